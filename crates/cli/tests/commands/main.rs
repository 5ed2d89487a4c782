//! The commands from outside: what they print, how they end, and that a sync
//! that runs and one that does not give the same answers.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests may panic")]

mod bench;
mod help;
mod check;
mod codes;
mod answers;
mod parked;
mod stop;
