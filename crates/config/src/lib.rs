//! YAML in, a checked plan out.
