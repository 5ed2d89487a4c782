//! The index: where each record's events are.
//!
//! One key in the store for each event would cost more than the event itself:
//! sled rewrites a leaf for every few keys that come to it, and the keys of
//! different records lie far apart. So entries gather in memory, and go to the
//! store a generation at a time, all of a record's together, in slices between
//! the commits. A marker, written last, says up to which event the stored index
//! goes; what comes after it is made anew from the events when a log is opened.
//! What the store holds beyond the marker, of a flush cut short, is not looked at.

use crate::error::{Damage, LogError};
use crate::frame::Frame;
use crate::keys::{self, Slot};
use crate::log::read_number;
use crate::pack::Placed;
use crate::read::load;
use crate::storage::{Batch, Order, Span, Storage};
use hms_sync_model::RecordId;
use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

/// Events whose entries gather before they go to the store: what is made anew
/// when a log is opened is twice that, at most.
pub(crate) const GENERATION_EVENTS: u64 = 32_768;
/// The most records whose entries are written in one batch.
const BATCH_RECORDS: usize = 64;
/// The most entries in one value.
const RUN_MAX: usize = 500;

/// Entries of one record, by version.
type Entries = Vec<(u64, Slot)>;
type Layer = BTreeMap<RecordId, Entries>;

/// The part of the index that is in memory.
#[derive(Debug)]
pub(crate) struct Index {
    layers: RwLock<Layers>,
    /// Events whose entries gather before they go to the store.
    generation: u64,
}

#[derive(Debug, Default)]
struct Layers {
    /// The store has everything up to this event.
    stored: u64,
    /// On its way to the store.
    old: Option<Flush>,
    young: Layer,
    /// Events in it.
    gathered: u64,
    /// The last event in it.
    last: u64,
}

/// A generation on its way to the store.
#[derive(Debug)]
struct Flush {
    layer: Arc<Layer>,
    upto: u64,
    /// The last record that has been written.
    done: Option<RecordId>,
}

impl Layers {
    /// The layers in memory, older first.
    fn each(&self) -> impl DoubleEndedIterator<Item = &Layer> {
        self.old.iter().map(|flush| flush.layer.as_ref()).chain([&self.young])
    }

    fn turn(&mut self) {
        if self.old.is_none() && self.gathered > 0 {
            let layer = Arc::new(std::mem::take(&mut self.young));
            self.old = Some(Flush { layer, upto: self.last, done: None });
            self.gathered = 0;
        }
    }
}

impl Index {
    fn read(&self) -> RwLockReadGuard<'_, Layers> {
        // Every change is one call that cannot stop in the middle.
        self.layers.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Layers> {
        self.layers.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// The index of a log whose last event is `head`: what is stored, and the rest from the events.
    /// Events that cannot be read are left out; a verification names them.
    pub(crate) fn open(store: &dyn Storage, head: u64, generation: u64) -> Result<Self, LogError> {
        let stored = read_number(store, keys::INDEXED)?.unwrap_or(0);
        let mut layers = Layers { stored, ..Layers::default() };
        if stored < head {
            gather(store, stored, head, &mut layers)?;
        }
        Ok(Self { layers: RwLock::new(layers), generation })
    }

    /// Up to which event the stored index goes.
    pub(crate) fn stored(&self) -> u64 {
        self.read().stored
    }

    /// Takes in where events are that have just become durable.
    pub(crate) fn add(&self, placed: Vec<Placed>) {
        let mut layers = self.write();
        for Placed { record, version, slot } in placed {
            layers.put(record, version, slot);
        }
    }

    /// Brings some of what waits to the store: of `records` records, if so many
    /// are due. Answers whether more is due.
    pub(crate) fn flush_some(&self, store: &dyn Storage, records: usize) -> Result<bool, LogError> {
        let slice = {
            let mut layers = self.write();
            if layers.gathered >= self.generation {
                layers.turn();
            }
            layers.old.as_ref().map(|flush| (Arc::clone(&flush.layer), flush.upto, flush.done.clone()))
        };
        let Some((layer, upto, done)) = slice else { return Ok(false) };
        let from = done.map_or(Bound::Unbounded, Bound::Excluded);
        let (mut last, mut written, mut batch) = (None, 0, Batch::new());
        for (record, entries) in layer.range::<RecordId, _>((from, Bound::Unbounded)).take(records) {
            for (version, run) in runs(entries) {
                batch.push((keys::index(record, version), Some(run)));
            }
            (last, written) = (Some(record), written + 1);
            if batch.len() >= BATCH_RECORDS {
                store.apply(std::mem::take(&mut batch))?;
            }
        }
        let ended = written < records;
        if ended {
            batch.push((keys::INDEXED.to_vec(), Some(upto.to_be_bytes().to_vec())));
        }
        store.apply(batch)?;
        let mut layers = self.write();
        if ended {
            layers.old = None;
            layers.stored = upto;
        } else if let Some(flush) = &mut layers.old {
            flush.done = last.cloned();
        }
        Ok(!ended || layers.gathered >= self.generation)
    }

    /// Brings everything to the store.
    pub(crate) fn flush_all(&self, store: &dyn Storage) -> Result<(), LogError> {
        loop {
            while self.flush_some(store, usize::MAX)? {}
            let mut layers = self.write();
            layers.turn();
            if layers.old.is_none() {
                return Ok(());
            }
        }
    }

    /// Where up to `limit` of a record's events are, from version `from` on.
    pub(crate) fn entries(
        &self,
        store: &dyn Storage,
        record: &RecordId,
        from: u64,
        limit: usize,
    ) -> Result<Entries, LogError> {
        let layers = self.read();
        let upto = Span { from: keys::index(record, 0), to: keys::index(record, from.saturating_add(1)) };
        let start = match (from > 1 && layers.stored > 0)
            .then(|| store.scan(upto, Order::Descending).next())
            .flatten() {
            Some(entry) => version_of(&entry?.0),
            None => from,
        };
        let (mut found, mut next) = (Entries::new(), from);
        let span = Span { from: keys::index(record, start), to: keys::index_end(record) };
        let stored = (layers.stored > 0).then(|| store.scan(span, Order::Ascending));
        for entry in stored.into_iter().flatten() {
            if found.len() >= limit {
                break;
            }
            let (key, value) = entry?;
            for (version, slot) in read_run(record, version_of(&key), &value)? {
                if version >= next && slot.seq() <= layers.stored && found.len() < limit {
                    found.push((version, slot));
                    next = version.saturating_add(1);
                }
            }
        }
        for entries in layers.each().filter_map(|layer| layer.get(record)) {
            let room = limit.saturating_sub(found.len());
            found.extend(entries.iter().filter(|(version, _)| *version >= next).take(room));
            next = found.last().map_or(next, |(version, _)| version.saturating_add(1));
        }
        Ok(found)
    }

    /// Where a record's last events are, newest first, `head` at most.
    pub(crate) fn last(
        &self,
        store: &dyn Storage,
        record: &RecordId,
        head: u64,
    ) -> Result<Option<(u64, Slot)>, LogError> {
        let layers = self.read();
        let fits = |(_, slot): &&(u64, Slot)| slot.seq() <= head;
        let mut newest = layers.each().rev().filter_map(|layer| layer.get(record));
        if let Some(last) = newest.find_map(|entries| entries.iter().rev().find(fits)) {
            return Ok(Some(*last));
        }
        let span = Span { from: keys::index(record, 0), to: keys::index_end(record) };
        for entry in store.scan(span, Order::Descending) {
            let (key, value) = entry?;
            let run = read_run(record, version_of(&key), &value)?;
            if let Some(last) = run.iter().rev().find(|(_, slot)| slot.seq() <= head.min(layers.stored)) {
                return Ok(Some(*last));
            }
        }
        Ok(None)
    }

    /// Up to `limit` records with events up to `head`, in order, from the one after `after` on.
    pub(crate) fn records(
        &self,
        store: &dyn Storage,
        after: Option<&RecordId>,
        limit: usize,
        head: u64,
    ) -> Result<Vec<RecordId>, LogError> {
        let layers = self.read();
        let mut found: Vec<RecordId> = Vec::new();
        let mut last = after.cloned();
        let mut stored = next_stored(store, last.as_ref(), head.min(layers.stored))?;
        while found.len() < limit {
            let from = last.as_ref().map_or(Bound::Unbounded, Bound::Excluded);
            let fresh = layers.each().filter_map(|layer| {
                let mut later = layer.range::<RecordId, _>((from, Bound::Unbounded));
                let has = |entries: &Entries| entries.iter().any(|(_, slot)| slot.seq() <= head);
                later.find(|(_, entries)| has(entries)).map(|(record, _)| record)
            });
            let Some(next) = fresh.chain(stored.as_ref()).min().cloned() else { break };
            if stored.as_ref() == Some(&next) {
                stored = next_stored(store, Some(&next), head.min(layers.stored))?;
            }
            found.push(next.clone());
            last = Some(next);
        }
        Ok(found)
    }
}

impl Layers {
    fn put(&mut self, record: RecordId, version: u64, slot: Slot) {
        self.last = self.last.max(slot.seq());
        self.gathered += 1;
        // A version that comes twice is damage; the later one stands, as it would in the store.
        let entries = self.young.entry(record).or_default();
        match entries.binary_search_by_key(&version, |(version, _)| *version) {
            Ok(at) => entries.iter_mut().skip(at).take(1).for_each(|entry| entry.1 = slot),
            Err(at) => entries.insert(at, (version, slot)),
        }
    }
}

/// Reads the events after `stored` for where they are.
fn gather(store: &dyn Storage, stored: u64, head: u64, layers: &mut Layers) -> Result<(), LogError> {
    let before = Span { from: keys::chunk(0), to: keys::chunk(stored.saturating_add(2)) };
    let start = match store.scan(before, Order::Descending).next() {
        Some(entry) => keys::read_chunk(&entry?.0).unwrap_or(0),
        None => 0,
    };
    let span = Span { from: keys::chunk(start), to: Span::prefix(&[keys::CHUNK]).to };
    for entry in store.scan(span, Order::Ascending) {
        let (key, value) = entry?;
        let Some(first) = keys::read_chunk(&key) else { continue };
        let Ok(chunk) = load(store, first, value) else { continue };
        let (mut rest, mut seq) = (&*chunk, first);
        while let Ok((frame, after)) = Frame::split(rest) {
            if seq > head {
                return Ok(());
            }
            let place = u8::try_from(seq.saturating_sub(first)).map(|slot| Slot { first, slot });
            if let (true, Ok(slot), Some((record, version))) = (seq > stored, place, frame.place(seq)) {
                layers.put(record, version, slot);
            }
            (rest, seq) = (after, seq.saturating_add(1));
        }
    }
    // Also of events that cannot be read nothing more is to come.
    layers.last = head;
    Ok(())
}

/// Entries as they are stored: versions that follow each other in one value.
fn runs(entries: &Entries) -> Vec<(u64, Vec<u8>)> {
    let mut runs: Vec<(u64, Vec<u8>)> = Vec::with_capacity(1);
    let mut next = None;
    for (version, slot) in entries {
        let bytes = slot.to_bytes();
        match runs.last_mut() {
            Some((_, run)) if next == Some(*version) && run.len() < RUN_MAX * bytes.len() => {
                run.extend_from_slice(&bytes);
            }
            _ => runs.push((*version, bytes)),
        }
        next = version.checked_add(1);
    }
    runs
}

fn version_of(key: &[u8]) -> u64 {
    key.last_chunk::<8>().map_or(0, |version| u64::from_be_bytes(*version))
}

/// The entries in a stored value that begins with `version`.
fn read_run(record: &RecordId, version: u64, value: &[u8]) -> Result<Entries, LogError> {
    let damaged = || LogError::DamagedIndex { record: record.to_string(), version, damage: Damage::Key };
    split_run(version, value).ok_or_else(damaged)
}

/// The same, of whatever record.
pub(crate) fn split_run(version: u64, value: &[u8]) -> Option<Entries> {
    if value.is_empty() || !value.len().is_multiple_of(Slot::BYTES) {
        return None;
    }
    let slots = value.chunks(Slot::BYTES).map(Slot::read);
    slots.zip(version..).map(|(slot, version)| Some((version, slot?))).collect()
}

/// The place of one event in the stored index.
pub(crate) fn stored_place(
    store: &dyn Storage,
    record: &RecordId,
    version: u64,
) -> Result<Option<Slot>, LogError> {
    let upto = Span { from: keys::index(record, 0), to: keys::index(record, version.saturating_add(1)) };
    let Some(entry) = store.scan(upto, Order::Descending).next() else { return Ok(None) };
    let (key, value) = entry?;
    let run = split_run(version_of(&key), &value).unwrap_or_default();
    Ok(run.into_iter().find(|(found, _)| *found == version).map(|(_, slot)| slot))
}

/// The first record after `after` with stored entries of events up to `upto`. One seek, mostly.
fn next_stored(
    store: &dyn Storage,
    after: Option<&RecordId>,
    upto: u64,
) -> Result<Option<RecordId>, LogError> {
    let mut span = Span::prefix(&[keys::INDEX]);
    if let Some(after) = after {
        span.from = keys::index_end(after);
    }
    loop {
        let Some(entry) = store.scan(span.clone(), Order::Ascending).next() else { return Ok(None) };
        let (key, value) = entry?;
        let damaged = || LogError::DamagedIndex {
            record: String::from_utf8_lossy(&key).escape_debug().to_string(),
            version: 0,
            damage: Damage::Key,
        };
        let (record, version) = keys::read_index(&key).ok_or_else(damaged)?;
        let run = split_run(version, &value).ok_or_else(damaged)?;
        if run.iter().any(|(_, slot)| slot.seq() <= upto) {
            return Ok(Some(record));
        }
        span.from = keys::index_end(&record);
    }
}
