//! The commands from outside: what they print, how they end, and that a sync
//! that runs and one that does not give the same answers.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::format_push_string,
    clippy::filter_next,
    reason = "tests may panic, and are read more than run"
)]

mod bench;
mod help;
mod check;
mod codes;
mod answers;
mod audit;
mod archive;
mod asking;
mod conflicts;
mod links;
mod logged;
mod parked;
mod recover;
mod starting;
mod stop;
mod taken_up;
mod testing;
