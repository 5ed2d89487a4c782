//! Hostile input, for tests: what reads text or bytes from outside sees a million cases of it
//! in the ordinary test run, without a panic and each within a bounded time.
//!
//! A case follows from its seed and its number alone, so one that did harm can be run again
//! by itself:
//!
//! ```text
//! HMS_SYNC_HOSTILE_CASE=7:123456 cargo test -p hms-sync-http link
//! ```
//!
//! What never happens here: a case that depends on the clock, on another case or on how
//! many threads there are; knowing what any of the readers reads.

mod extremes;
mod cases;
mod readers;
mod watch;

pub use cases::Cases;
pub use readers::{Reader, Report};
