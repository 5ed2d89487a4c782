//! The connector against real servers: what it promises, and what it makes of
//! every kind of answer.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::panic_in_result_fn,
    clippy::panic,
    reason = "tests may panic"
)]

mod sides;
mod tls;
mod answers;
mod auth;
mod errors;
mod budget;
mod attacks;
mod parrot;
mod promises;
mod reading;
mod transformations;
mod paginators;
mod incremental;
mod partitions;
mod around;
mod exports;
mod forms;
mod asked;
mod writing;
mod keys;
mod subscribers;
mod bodies;
mod versions;
mod batches;
mod webhooks;
mod hostile;
