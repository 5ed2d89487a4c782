//! Links: which record a side's id leads to, and what the side showed last under it if that is
//! known (`quiet.rs`). That is saved with the link: a later process need not make the record
//! anew to see that the side still shows the same.
//!
//! What never happens here: a look at a record's state. Whoever follows a link checks it
//! against the record, unless nothing has happened to that since.

use super::Views;
use crate::error::EngineError;
use crate::personal::personal_of;
use crate::quiet::Quiet;
use hms_sync_changelog::{Changes, View};
use hms_sync_model::{Body, CollectionName, Event, NativeId, RecordId, SideName};
use std::cell::RefCell;
use std::hash::{BuildHasher, RandomState};
use std::sync::LazyLock;

/// What a side showed last of a record that was in step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Note {
    /// Its number, as [`Quiet::of`] makes it.
    pub(crate) shown: u64,
    /// The last event of the log when that was so.
    pub(crate) upto: u64,
}

/// Where the views say up to which event notes are not believed.
const DOUBTED: &[u8] = b"d";

/// Stands between a record and its note: no record's id has it.
const END: u8 = 0;

/// Adds a note to a link's value, which is its record.
fn put_note(value: &mut Vec<u8>, note: Note) {
    value.reserve_exact(1 + 2 * size_of::<u64>());
    value.push(END);
    value.extend_from_slice(&note.shown.to_be_bytes());
    value.extend_from_slice(&note.upto.to_be_bytes());
}

/// The note in a link's value.
fn note_in(value: &[u8]) -> Option<Note> {
    let end = value.iter().position(|byte| *byte == END)?;
    let (shown, upto) = value.get(end + 1..)?.split_first_chunk()?;
    Some(Note { shown: u64::from_be_bytes(*shown), upto: u64::from_be_bytes(upto.try_into().ok()?) })
}

/// The record that an entry of an index names.
pub(crate) fn record_in(value: &[u8]) -> Option<RecordId> {
    let id = value.split(|byte| *byte == END).next().unwrap_or_default();
    RecordId::try_new(String::from_utf8_lossy(id)).ok()
}

impl Views {
    pub(super) fn relink(
        &mut self,
        record: &RecordId,
        side: &SideName,
        old: Option<&NativeId>,
        new: Option<&NativeId>,
    ) {
        let collection = record.collection();
        if let Some(old) = old {
            self.set(link_key(side, collection, old), None);
        }
        if let Some(new) = new {
            self.set(link_key(side, collection, new), Some(record.as_str().into()));
        }
    }

    /// The record that a side's native id belongs to.
    pub fn linked(
        &self,
        side: &SideName,
        collection: &CollectionName,
        id: &NativeId,
    ) -> Result<Option<RecordId>, EngineError> {
        let key = link_key(side, collection.as_str(), id);
        if let Some(value) = self.unsaved_value(&key) {
            return Ok(value.as_deref().and_then(record_in));
        }
        if let Some(record) = self.near.get(&key) {
            return Ok(Some(record));
        }
        let found = self.log.view(&key)?.as_deref().and_then(record_in);
        if let Some(record) = &found {
            self.near.put(key, record.clone());
        }
        Ok(found)
    }

    /// What links `side`'s ids to records, in pages, by the key of the last one: keys that
    /// [`hash_of`] takes, and values that [`record_in`] takes.
    pub(crate) fn links(
        &self,
        side: &SideName,
        collection: &CollectionName,
        after: Option<&[u8]>,
        limit: usize,
    ) -> Result<Vec<View>, EngineError> {
        self.scan(&link_prefix(side, collection.as_str(), 0), after, limit)
    }

    /// The record that a saved link leads to, with its note if it has one; nothing for a link that this
    /// process has followed or changed.
    pub(crate) fn noted(
        &self,
        side: &SideName,
        collection: &CollectionName,
        id: &NativeId,
    ) -> Result<Option<(RecordId, Note)>, EngineError> {
        let key = link_key(side, collection.as_str(), id);
        if self.unsaved_value(&key).is_some() || self.near.get(&key).is_some() {
            return Ok(None);
        }
        let Some(value) = self.log.view(&key)? else { return Ok(None) };
        let Some(record) = record_in(&value) else { return Ok(None) };
        let note = note_in(&value).filter(|note| note.upto >= self.doubted);
        self.near.put(key, record.clone());
        Ok(note.map(|note| (record, note)))
    }

    /// A person said something of links, or of what waited: what was passed over until then is to be
    /// looked at once more, and no note that was saved before is believed.
    pub(super) fn doubt_notes(&mut self, event: &Event) {
        use Body::{Joined, Linked, Released, Unlinked};
        if let Joined { .. } | Linked { .. } | Released { .. } | Unlinked { .. } = event.body {
            self.doubted = event.seq;
            self.set(DOUBTED.to_vec(), Some(event.seq.to_be_bytes().into()));
        }
    }

    /// Since when notes are believed, as it was saved.
    pub(super) fn resume_doubt(&mut self) -> Result<(), EngineError> {
        let saved = self.get(DOUBTED)?.and_then(|bytes| bytes.try_into().ok());
        self.doubted = saved.map_or(0, u64::from_be_bytes);
        Ok(())
    }

    /// The last event of a record; nothing if it has none that is still there.
    pub(crate) fn last_event(&self, record: &RecordId) -> Result<Option<u64>, EngineError> {
        match self.records.get(record).map(|entry| entry.last) {
            Some(last) if last > 0 => Ok(Some(last)),
            // What of it is not durable yet is in memory.
            _ => Ok(self.log.last_seq(record)?),
        }
    }

    /// Has a link saved once more, with what is known of it by then, where that may be saved.
    pub(crate) fn save_link(&mut self, side: &SideName, record: &RecordId, id: &NativeId) {
        if personal_of(&self.plan, record).is_some() {
            return;
        }
        let key = link_key(side, record.collection(), id);
        self.fresh.entry(key).or_insert_with(|| Some(record.as_str().into()));
    }

    /// Adds to links that are to be saved what their sides showed last, but not of
    /// collections with personal fields: who has the log must not learn of those.
    pub(super) fn add_notes(&self, changes: &mut Changes, quiet: &Quiet, upto: u64) {
        if quiet.is_empty() {
            return;
        }
        let personal = self.plan.collections.iter().filter(|(_, of)| !of.personal.is_empty());
        let personal: Vec<Vec<u8>> = personal
            .flat_map(|(name, of)| of.sides.keys().map(|side| link_prefix(side, name.as_str(), 0)))
            .collect();
        for (key, value) in changes.range_mut(b"l".to_vec()..b"m".to_vec()) {
            let Some((value, shown)) = value.as_mut().zip(quiet.last(hash_of(key))) else { continue };
            if !personal.iter().any(|prefix| key.starts_with(prefix)) {
                put_note(value, Note { shown, upto });
            }
        }
    }
}

fn link_prefix(side: &SideName, collection: &str, room: usize) -> Vec<u8> {
    let mut key = Vec::with_capacity(side.as_str().len() + collection.len() + 3 + room);
    put_link_prefix(&mut key, side, collection);
    key
}

fn put_link_prefix(key: &mut Vec<u8>, side: &SideName, collection: &str) {
    for part in [b"l", side.as_str().as_bytes(), b"/", collection.as_bytes(), b"\0"] {
        key.extend_from_slice(part);
    }
}

pub(super) fn link_key(side: &SideName, collection: &str, id: &NativeId) -> Vec<u8> {
    let mut key = link_prefix(side, collection, id.as_str().len().min(ID_BYTES_MAX));
    put_id(&mut key, id);
    key
}

/// The longest native id that stands in a key as it is.
const ID_BYTES_MAX: usize = 200;

/// Native ids may be long; a long one stands as its hash, which the record's state confirms.
fn put_id(key: &mut Vec<u8>, id: &NativeId) {
    if id.as_str().len() <= ID_BYTES_MAX {
        key.extend_from_slice(id.as_str().as_bytes());
    } else {
        key.push(0);
        key.extend_from_slice(blake3::hash(id.as_str().as_bytes()).as_bytes());
    }
}

thread_local! {
    /// Room for a key that is made only to be hashed.
    static ROOM: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// A number for a side's id of a record: a listing remembers these, not the ids.
pub(crate) fn link_hash(side: &SideName, collection: &str, id: &NativeId) -> u64 {
    ROOM.with_borrow_mut(|key| {
        key.clear();
        put_link_prefix(key, side, collection);
        put_id(key, id);
        hash_of(key)
    })
}

/// The same, from its key in the index.
pub(crate) fn hash_of(key: &[u8]) -> u64 {
    /// Of this process, so that nobody can make two ids look the same.
    static KEY: LazyLock<RandomState> = LazyLock::new(RandomState::new);
    KEY.hash_one(key)
}
