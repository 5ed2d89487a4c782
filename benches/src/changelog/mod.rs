//! The change log beside others that keep the same events: each engine, the
//! events, and a log that has grown large.
//!
//! Every engine is handed events as values, encodes them alike, answers only when
//! the group is on the disk, and keeps what is needed to find a record's events
//! again. Only ours also hashes and chains them. The bare file is handed the bytes.

mod events;
mod fjall;
mod grown;
mod ours;
mod plain;
mod raw;
mod sqlite;

pub use events::{Group, Maker};
pub use grown::{Filled, Looked, ask, fill, look, payload_of};

use hms_sync_model::Event;
use std::path::Path;

/// Something that keeps events.
pub trait Engine {
    /// Makes a group durable.
    ///
    /// # Errors
    /// What the engine said.
    fn append(&mut self, group: &Group) -> anyhow::Result<()>;
}

/// The engines that are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kept {
    /// Bytes added to a file, and one sync: nothing that lasts can be faster.
    Raw,
    /// hms-sync.
    Ours,
    /// sled, an event a value.
    Plain,
    /// `SQLite`.
    Sqlite,
    /// fjall.
    Fjall,
}

impl Kept {
    /// All of them, in the order in which they take turns.
    pub const ALL: [Self; 5] = [Self::Raw, Self::Ours, Self::Plain, Self::Sqlite, Self::Fjall];

    /// Its name in the table.
    pub fn name(self) -> &'static str {
        match self {
            Self::Raw => "raw append (limit)",
            Self::Ours => "hms-sync",
            Self::Plain => "sled, one event a value",
            Self::Sqlite => "SQLite (WAL, FULL)",
            Self::Fjall => "fjall",
        }
    }

    /// Opens it in an empty folder.
    ///
    /// # Errors
    /// What the engine said.
    pub fn open(self, dir: &Path) -> anyhow::Result<Box<dyn Engine>> {
        Ok(match self {
            Self::Raw => Box::new(raw::Raw::open(dir)?),
            Self::Ours => Box::new(ours::Ours::open(dir)?),
            Self::Plain => Box::new(plain::Plain::open(dir)?),
            Self::Sqlite => Box::new(sqlite::Sqlite::open(dir)?),
            Self::Fjall => Box::new(fjall::Fjall::open(dir)?),
        })
    }
}

/// An event as the engines keep it that know no hashes.
fn encoded(event: &Event) -> anyhow::Result<Vec<u8>> {
    let mut bytes = Vec::with_capacity(448);
    rmp_serde::encode::write_named(&mut bytes, event)?;
    Ok(bytes)
}

/// The key of an event in the engines that have keys: `e` | seq.
fn event_key(seq: u64) -> Vec<u8> {
    [b"e".as_slice(), &seq.to_be_bytes()].concat()
}

/// The key of where it is: `i` | record | `00` | version.
fn place_key(record: &str, version: u64) -> Vec<u8> {
    [b"i", record.as_bytes(), &[0], &version.to_be_bytes()].concat()
}
