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
mod attacks;
mod promises;
mod reading;
mod paginators;
mod incremental;
mod forms;
mod writing;
mod subscribers;
mod webhooks;
