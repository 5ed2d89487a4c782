//! Questions about the past, asked of a log whose every event is known: each answer is
//! what a plain look through all events gives, and costs no more reads than it must.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::cast_possible_wrap,
    unreachable_pub,
    reason = "tests may panic"
)]

mod erased;
mod archived;
mod holes;
mod keys;
mod listing;
mod past;
mod reads;
mod stories;
mod world;
