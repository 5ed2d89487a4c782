//! Hostile input, for tests: what reads text or bytes from outside sees a million cases of it
//! in the ordinary test run, without a panic, each within a bounded time and in bounded room.
//!
//! A case follows from its seed and its number alone, so one that did harm can be run again
//! by itself:
//!
//! ```text
//! HMS_SYNC_HOSTILE_CASE=7:123456 cargo test -p hms-sync-http link
//! ```
//!
//! What never happens here: a case that depends on the clock, on another case or on how
//! many threads there are; knowing what any of the readers reads, but for what a language is
//! written with that several of them read.

mod extremes;
mod cases;
mod minijinja;
mod readers;
mod room;
mod watch;

pub use cases::Cases;
pub use readers::{Reader, Report};
