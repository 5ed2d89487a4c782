//! The laws of the whole loop, by the names of the specification: the real machine in
//! simulated time, with two to five sides whose every screen is known (`screen`).
//!
//! One world, with its trace: `LAWS_SEED=7 cargo test -p hms-sync-engine --test laws -- --nocapture`;
//! with `LAWS_RECORD=13` of one of its records, with all events.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::print_stderr,
    clippy::panic_in_result_fn,
    clippy::struct_excessive_bools,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    unreachable_pub,
    missing_docs,
    reason = "a test may panic, and shows its trace"
)]

mod laws;
#[cfg(feature = "faults")]
mod mutants;
mod screen;
mod side;
mod world;

use world::World;

/// One world with its trace, where the environment names one.
#[test]
fn one_world() {
    if let Ok(seed) = std::env::var("LAWS_SEED") {
        World::new(seed.parse().unwrap(), true).run();
    }
}
