//! Pure merging: registers, clocks, policies.
