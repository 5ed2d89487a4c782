//! The change log: an append-only history of events, durable before anything
//! is done about them, and a cache of views beside it.
//!
//! It knows frames, keys and hashes, and not what an event means. An event is
//! acknowledged only after `sync_data` has returned; nothing stored is ever
//! rewritten (views are); a byte that does not fit its hash is never served; an
//! error while writing stops all further writing, and a failed sync is not tried
//! again. The form on disk is in `docs/format.md`.

mod error;
mod msgpack;
mod head;
mod frame;
mod keys;
mod storage;
mod folder;
mod disk;
mod memory;
mod tree;
mod hole;
mod archived;
mod dropped;
mod pack;
mod filter;
mod chunks;
mod copies;
mod table;
mod tail;
mod tally;
mod index;
mod log;
mod read;
mod views;
mod verify;
mod writer;
mod compact;
mod recover;

pub use archived::Archived;
pub use compact::Compacted;
pub use error::{Damage, LogError};
pub use frame::{EVENT_BYTES_MAX, Sealed, seal};
pub use hole::Lost;
pub use log::{Log, LogStats, Options};
pub use memory::MemoryDisk;
pub use recover::{BrokenRecord, Known, Recovery, Way, recover, recover_in_place, recover_known, replace};
pub use table::TableSize;
pub use tally::Count;
pub use tree::Prover;
pub use verify::{BadEntry, VerifyReport};
pub use views::{Changes, VIEW_BYTES_MAX, VIEW_KEY_BYTES_MAX, View};
pub use writer::{Before, Done, Writer};
