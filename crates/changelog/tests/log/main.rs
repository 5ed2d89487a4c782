//! What the change log promises, each promise in a file of its own. Wherever it
//! can be, the same test runs on a folder and on a disk in memory.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic_in_result_fn,
    clippy::string_slice,
    clippy::similar_names,
    clippy::cast_possible_truncation,
    reason = "tests may panic, and count in small numbers"
)]

mod common;
mod model;
mod crash;
mod group;
mod large;
mod folder;
mod tamper;
mod tree;
mod damage;
mod dropped;
mod counts;
mod space;
mod ids;
mod golden;
mod copies;
