//! A rehearsal: one sync played in simulated time against simulated sides.
//!
//! It drives the real [`hms_sync_engine::Machine`] with its real change log, on a disk in
//! memory. There is no network, no clock, no thread and no chance: the same script gives
//! the same history, event by event. A rehearsal of a few edits costs about a millisecond.
//!
//! **How concurrency is expressed.** What people do on a side ([`Rehearsal::edit`] and its
//! kin) is noticed when the side is read, and that is what [`Rehearsal::settle`] does: it has every
//! side read and lets the engine work until there is nothing left to do. So
//!
//! - edits between two settles are *concurrent*: none of their authors had been shown the
//!   others' (edits on one side follow each other, as a side knows its own past);
//! - an edit after a settle is *later* than all before it, because its side has been
//!   shown them.
//!
//! Each thing that people do takes a second, and sides tell when a record was last changed
//! unless their [`Mood`] says otherwise; so where the later of concurrent edits counts, it is
//! the one that stands later in the script. What a side makes of a write (trims it, clamps
//! it, refuses it, changes something else as well) is its mood too.
//!
//! ```text
//! let record = rehearsal.base(&permit, &values)?;      // in step on all sides
//! rehearsal.edit(&permit, &clerk, &record, &revoked)?; // these two know
//! rehearsal.edit(&permit, &marshal, &record, &noted)?; // nothing of each other
//! rehearsal.settle()?;
//! rehearsal.merged(&record)?; rehearsal.writes(); rehearsal.conflicts(); rehearsal.timeline();
//! ```

mod rehearsal;
mod base;
mod play;
mod side;
mod people;
mod told;
mod error;

pub use error::RehearsalError;
pub use rehearsal::{Backup, Rehearsal};
pub use side::{Habit, Mood, Trouble};
pub use told::{Conflict, Wrote};
