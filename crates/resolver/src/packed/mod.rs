//! A record as bytes, for snapshots: small, because there is one for every record, and
//! quick to read. A view that may be thrown away: the log has it all.
//!
//! Actors are named once, at the head. A register's clock follows from its siblings but
//! for actors that have none there, an edit's stamp is written where its dot comes first,
//! and a text says only what it does not begin with in common with the text before it:
//! what was there before an edit and after it, and what others left there. Reading never
//! panics, and makes no room for what has not come.

mod read;
mod write;

pub(crate) use read::unpack;
pub(crate) use write::pack;

/// The form; another one begins with another byte.
const FORM: u8 = 2;
/// The form before, in which texts stand whole. It is still read.
const FORM_WHOLE_TEXTS: u8 = 1;
/// How deep sets may nest.
const DEPTH_MAX: usize = 64;

/// A register of one sibling, the edit of the register before, that left what it found;
/// it has seen all that the record has. Like this stand the fields of a quiet record.
const SETTLED: u8 = 3 << 2;

/// The head of a set of objects, by key.
const ELEMENTS: u8 = 2 | 1 << 2;

/// Microseconds that the times of a record are counted in.
const UNITS: [u64; 3] = [1_000_000, 1_000, 1];

/// The first head of a text: what comes before are other values.
const TEXT: u8 = 10;
/// In a text's head, from so many bytes on that it shares with the text before, or has
/// besides, their number follows.
const SHARED_FOLLOWS: usize = 14;
const REST_FOLLOWS: usize = 15;
/// So much of a text is taken from the one before at most: what few bytes make stays small.
const SHARED_MAX: usize = 64;
