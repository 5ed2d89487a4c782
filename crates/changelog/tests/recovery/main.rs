//! Whatever happens to a log's files, a recovery brings back every event that is still
//! whole, says which are not, and leaves the damaged folder as it was.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic_in_result_fn,
    clippy::string_slice,
    clippy::cast_possible_truncation,
    reason = "tests may panic, and count in small numbers"
)]

#[path = "../log/common.rs"]
#[allow(dead_code, reason = "shared with the tests beside these")]
mod common;
mod store;
mod raw;
mod damage;
mod ladder;
mod journal;
mod archived;
mod killed;
