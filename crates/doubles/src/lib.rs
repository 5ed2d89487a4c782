//! Small real HTTP servers that stand for external systems, with faults on demand.
//!
//! A [`Double`] holds the records of one collection in memory behind the API of
//! a County Clerk or a Fire Marshal ([`Kind`]), on a free loopback port. A test
//! edits its records as one of that system's users would, makes it misbehave
//! ([`Faults`]), and afterwards reads what was really done to it: every write
//! that was carried out is in [`Double::effects`].
//!
//! Nothing here knows hms-sync. What a double says it holds is what it holds.

mod kind;
mod timeline;
mod effect;
mod faults;
mod store;
mod answer;
mod server;
mod control;
mod hook;
mod double;

pub use double::{Double, DoubleError, Options};
pub use effect::{Effect, Operation};
pub use faults::{BadAnswer, BadStore, Down, Faults};
pub use hook::Hook;
pub use kind::Kind;
pub use server::{Counts, MAX_PAGE};
