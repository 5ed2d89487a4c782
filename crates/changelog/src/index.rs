//! The index: where each record's events are.
//!
//! Entries gather in memory, and go to a table of the store a generation at a time,
//! all of a record's together, in slices between the commits. What comes after the
//! last generation is made anew from the events when a log is opened. So is the tally
//! of what there is (`tally.rs`), which is kept here because it takes in the same events.

use crate::error::{Damage, LogError};
use crate::frame::Frame;
use crate::keys::{self, Slot};
use crate::pack::Placed;
use crate::read::{each_frame, load};
use crate::storage::{Order, Span, Storage};
use crate::table::{Building, Shape, Table};
use crate::tally::Tally;
use hms_sync_model::RecordId;
use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

/// Events whose entries gather before they go to the store: what is made anew
/// when a log is opened is twice that, at most.
pub(crate) const GENERATION_EVENTS: u64 = 32_768;
/// The most entries in one value.
const RUN_MAX: usize = 300;

/// Entries of one record, by version.
type Entries = Vec<(u64, Slot)>;
type Layer = BTreeMap<Known, Entries>;

/// A record in a layer. Its first bytes lie in the map itself, so that most
/// comparisons need not look further. In the order of the ids, which have no zero byte.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Known {
    begins: u128,
    record: RecordId,
}

impl Known {
    fn by(record: &RecordId) -> Self {
        let mut begins = [0; 16];
        begins.iter_mut().zip(record.as_str().bytes()).for_each(|(place, byte)| *place = byte);
        Self { begins: u128::from_be_bytes(begins), record: record.clone() }
    }
}

/// The index: a table in the store, and what is newer in memory.
#[derive(Debug)]
pub(crate) struct Index {
    table: Table,
    layers: RwLock<Layers>,
    /// Events whose entries gather before they go to the store.
    generation: u64,
}

#[derive(Debug, Default)]
struct Layers {
    /// On its way to the store.
    old: Option<Arc<Flush>>,
    young: Layer,
    /// Events in it.
    gathered: u64,
    /// The last event in it.
    last: u64,
    /// How much there is up to the last event; nothing if nobody has counted.
    tally: Option<Tally>,
    /// Up to which event the stored tally goes.
    tally_stored: u64,
}

/// A generation on its way to the store.
#[derive(Debug)]
struct Flush {
    layer: Layer,
    upto: u64,
    /// What has been written of it.
    building: Mutex<Option<Building>>,
}

impl Layers {
    /// The layers in memory, older first.
    fn each(&self) -> impl DoubleEndedIterator<Item = &Layer> {
        self.old.iter().map(|flush| &flush.layer).chain([&self.young])
    }

    fn turn(&mut self) {
        if self.old.is_none() && self.gathered > 0 {
            let layer = std::mem::take(&mut self.young);
            self.old = Some(Arc::new(Flush { layer, upto: self.last, building: Mutex::default() }));
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
    pub(crate) fn open(
        store: &dyn Storage,
        head: u64,
        generation: u64,
        shape: Shape,
    ) -> Result<Self, LogError> {
        let table = Table::open(store, shape)?;
        let (stored, mut layers) = (table.upto(), Layers::default());
        let tally = stored_tally(store)?.unwrap_or_default();
        layers.tally_stored = tally.upto;
        // One that is far behind is not worth the wait: it is made when it is asked for.
        let near = stored.saturating_sub(generation.saturating_mul(2));
        layers.tally = (near..=head).contains(&tally.upto).then_some(tally);
        if stored < head || layers.tally.as_ref().is_some_and(|tally| tally.upto < head) {
            gather(store, stored, head, &mut layers)?;
        }
        Ok(Self { table, layers: RwLock::new(layers), generation })
    }

    /// The table in the store.
    pub(crate) fn table(&self) -> &Table {
        &self.table
    }

    /// Up to which event the stored index goes.
    pub(crate) fn stored(&self) -> u64 {
        self.table.upto()
    }

    /// Takes in where events are that become durable now.
    pub(crate) fn put(&self, placed: &[Placed]) {
        let mut layers = self.write();
        placed.iter().for_each(|placed| layers.put(&placed.record, placed.version, placed.slot));
    }

    /// Counts events that have become durable.
    pub(crate) fn count(&self, placed: &[Placed]) {
        let mut layers = self.write();
        for Placed { record, version, slot, bytes } in placed {
            layers.count(slot.seq(), record.as_str(), *version, *bytes);
        }
    }

    /// How much there is of each kind of record, up to the last event. Counts all
    /// events if nobody has so far.
    pub(crate) fn tally(&self, store: &dyn Storage, head: u64) -> Result<Tally, LogError> {
        if let Some(tally) = &self.read().tally {
            return Ok(tally.clone());
        }
        let mut tally = Tally::default();
        count_up(store, head, &mut tally)?;
        // What came meanwhile is little. No more comes while this is held.
        let mut layers = self.write();
        count_up(store, layers.last.max(self.table.upto()), &mut tally)?;
        Ok(layers.tally.get_or_insert(tally).clone())
    }

    /// Stores the tally, if it has changed. A cache, as the rest of the index is.
    fn store_tally(&self, store: &dyn Storage) -> Result<(), LogError> {
        let mut layers = self.write();
        let Some(tally) = layers.tally.clone().filter(|tally| tally.upto > layers.tally_stored) else {
            return Ok(());
        };
        layers.tally_stored = tally.upto;
        drop(layers);
        store.apply(vec![(keys::TALLY.to_vec(), Some(tally.to_bytes()))])
    }

    /// Brings up to `blocks` blocks of what waits to the store, if a generation is
    /// due. Answers whether more is.
    pub(crate) fn flush_some(&self, store: &dyn Storage, blocks: usize) -> Result<bool, LogError> {
        let due = {
            let mut layers = self.write();
            if layers.gathered >= self.generation {
                layers.turn();
            }
            layers.old.clone()
        };
        let Some(flush) = due else { return Ok(false) };
        let mut building = flush.building.lock().unwrap_or_else(PoisonError::into_inner);
        let run = building.get_or_insert_with(|| self.table.begin(flush.layer.len()));
        let after = run.after().and_then(|after| Some(Known::by(&keys::read_index(after)?.0)));
        let from = after.as_ref().map_or(Bound::Unbounded, Bound::Included);
        let written = run.after().map(<[u8]>::to_vec);
        let entries =
            flush.layer.range((from, Bound::Unbounded)).flat_map(|(Known { record, .. }, entries)| {
                runs(entries).into_iter().map(|(version, run)| (keys::index(record, version), Some(run)))
            });
        let entries = entries.filter(|(key, _)| written.as_ref().is_none_or(|written| key > written)).map(Ok);
        if !self.table.write(store, run, entries, blocks)? {
            return Ok(true);
        }
        if let Some(run) = building.take() {
            // Whoever looks meanwhile finds it twice, which is seen.
            self.table.end(store, run, flush.upto)?;
            self.store_tally(store)?;
        }
        let mut layers = self.write();
        layers.old = None;
        Ok(layers.gathered >= self.generation)
    }

    /// Brings everything to the store.
    pub(crate) fn flush_all(&self, store: &dyn Storage) -> Result<(), LogError> {
        loop {
            while self.flush_some(store, usize::MAX)? {}
            let mut layers = self.write();
            layers.turn();
            if layers.old.is_none() {
                drop(layers);
                return self.store_tally(store);
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
        let (mut found, mut next) = (Entries::new(), from);
        self.stored_runs(store, record, from, |version, run| {
            for (version, slot) in read_run(record, version, run)? {
                if version >= next && found.len() < limit {
                    found.push((version, slot));
                    next = version.saturating_add(1);
                }
            }
            Ok(found.len() < limit)
        })?;
        let known = Known::by(record);
        for entries in layers.each().filter_map(|layer| layer.get(&known)) {
            let room = limit.saturating_sub(found.len());
            found.extend(entries.iter().filter(|(version, _)| *version >= next).take(room));
            next = found.last().map_or(next, |(version, _)| version.saturating_add(1));
        }
        Ok(found)
    }

    /// The stored values of one record that can hold version `from` or later ones, in
    /// order, each with its first version.
    fn stored_runs(
        &self,
        store: &dyn Storage,
        record: &RecordId,
        from: u64,
        mut take: impl FnMut(u64, &[u8]) -> Result<bool, LogError>,
    ) -> Result<(), LogError> {
        let first = from.saturating_sub(RUN_MAX as u64 - 1);
        let (from, to) = (keys::index(record, first), keys::index_end(record));
        let known_by = record.as_str().as_bytes();
        self.table.each(store, &from, Some(&to), Some(known_by), |key, run| take(version_of(key), &run))
    }

    /// The place of one event in the stored index.
    pub(crate) fn stored_place(
        &self,
        store: &dyn Storage,
        record: &RecordId,
        version: u64,
    ) -> Result<Option<Slot>, LogError> {
        let mut place = None;
        self.stored_runs(store, record, version, |first, run| {
            let run = split_run(first, run).unwrap_or_default();
            place = run.into_iter().find(|(found, _)| *found == version).map(|(_, slot)| slot);
            Ok(place.is_none() && first <= version)
        })?;
        Ok(place)
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
        let known = Known::by(record);
        let mut newest = layers.each().rev().filter_map(|layer| layer.get(&known));
        if let Some(last) = newest.find_map(|entries| entries.iter().rev().find(fits)) {
            return Ok(Some(*last));
        }
        let mut last = None;
        self.stored_runs(store, record, 0, |version, run| {
            let run = read_run(record, version, run)?;
            last = run.into_iter().rfind(|(_, slot)| slot.seq() <= head).or(last);
            Ok(true)
        })?;
        Ok(last)
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
        let mut stored = self.next_stored(store, last.as_ref(), head)?;
        while found.len() < limit {
            let known = last.as_ref().map(Known::by);
            let from = known.as_ref().map_or(Bound::Unbounded, Bound::Excluded);
            let fresh = layers.each().filter_map(|layer| {
                let mut later = layer.range((from, Bound::Unbounded));
                let has = |entries: &Entries| entries.iter().any(|(_, slot)| slot.seq() <= head);
                later.find(|(_, entries)| has(entries)).map(|(known, _)| &known.record)
            });
            let Some(next) = fresh.chain(stored.as_ref()).min().cloned() else { break };
            if stored.as_ref() == Some(&next) {
                stored = self.next_stored(store, Some(&next), head)?;
            }
            found.push(next.clone());
            last = Some(next);
        }
        Ok(found)
    }

    /// The first record after `after` with stored entries of events up to `head`.
    fn next_stored(
        &self,
        store: &dyn Storage,
        after: Option<&RecordId>,
        head: u64,
    ) -> Result<Option<RecordId>, LogError> {
        let from = after.map_or_else(Vec::new, keys::index_end);
        let mut next = None;
        self.table.each(store, &from, None, None, |key, run| {
            let damaged = || LogError::DamagedIndex {
                record: String::from_utf8_lossy(key).escape_debug().to_string(),
                version: 0,
                damage: Damage::Key,
            };
            let (record, version) = keys::read_index(key).ok_or_else(damaged)?;
            let run = split_run(version, &run).ok_or_else(damaged)?;
            let fits = run.iter().any(|(_, slot)| slot.seq() <= head);
            next = fits.then_some(record);
            Ok(!fits)
        })?;
        Ok(next)
    }
}

/// The table of the index, of runs that are merged when there are `fan_out`.
pub(crate) fn shape(fan_out: usize, block_bytes: usize) -> Shape {
    Shape { letter: keys::INDEX, name: "index", known_by: keys::index_record, fan_out, block_bytes }
}

impl Layers {
    fn count(&mut self, seq: u64, record: &str, version: u64, bytes: usize) {
        if let Some(tally) = self.tally.as_mut().filter(|tally| tally.upto < seq) {
            tally.add(seq, record, version, bytes);
        }
    }

    fn put(&mut self, record: &RecordId, version: u64, slot: Slot) {
        self.last = self.last.max(slot.seq());
        self.gathered += 1;
        // A version that comes twice is damage; the later one stands, as it would in the store.
        let entries = self.young.entry(Known::by(record)).or_default();
        match entries.binary_search_by_key(&version, |(version, _)| *version) {
            Ok(at) => entries.iter_mut().skip(at).take(1).for_each(|entry| entry.1 = slot),
            Err(at) => entries.insert(at, (version, slot)),
        }
    }
}

/// The tally as it is stored; nothing if it is not what was written.
pub(crate) fn stored_tally(store: &dyn Storage) -> Result<Option<Tally>, LogError> {
    Ok(store.get(keys::TALLY)?.and_then(|bytes| Tally::from_bytes(&bytes)))
}

/// Counts the events after those counted, up to `last`.
fn count_up(store: &dyn Storage, last: u64, tally: &mut Tally) -> Result<(), LogError> {
    each_frame(store, tally.upto.saturating_add(1), last, |seq, frame| {
        let head = frame.unproved(seq).ok_or(LogError::Damaged { seq, damage: Damage::Head })?;
        tally.add(seq, head.record, head.version, frame.bytes());
        Ok(true)
    })
}

/// Reads the events after `stored` for where they are, and those after the tally to count them.
fn gather(store: &dyn Storage, stored: u64, head: u64, layers: &mut Layers) -> Result<(), LogError> {
    let known = layers.tally.as_ref().map_or(stored, |tally| tally.upto.min(stored));
    let before = Span { from: keys::chunk(0), to: keys::chunk(known.saturating_add(2)) };
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
            if let (Ok(slot), Some(head)) = (place, frame.unproved(seq)) {
                layers.count(seq, head.record, head.version, frame.bytes());
                if seq > stored
                    && let Ok(record) = RecordId::try_new(head.record)
                {
                    layers.put(&record, head.version, slot);
                }
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
