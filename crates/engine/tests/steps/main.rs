//! The machine, step by step: what it asks for and writes down in one situation each. What all of
//! them are set up with is in `stage`.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "tests may panic"
)]

mod stage;
mod aged;
mod beforehand;
mod erasure;
mod filling;
mod forgetting;
mod going_on;
mod hostile;
mod ids;
mod noted;
mod portions;
mod recovered;
mod starts;
mod sweeps;
mod taken_up;
