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
use crate::storage::{Order, Span, Storage, Value};
use crate::table::{Building, Shape, Table};
use crate::tally::Tally;
use hms_sync_model::RecordId;
use rustc_hash::FxHashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::sync_channel;
use std::sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

/// Events whose entries gather before they go to the store: what is made anew
/// when a log is opened is twice that, at most.
pub(crate) const GENERATION_EVENTS: u64 = 32_768;
/// The most entries in one value.
const RUN_MAX: usize = 300;

/// Entries of one record, by version.
type Entries = Vec<(u64, Slot)>;
type Layer = FxHashMap<RecordId, Entries>;

/// The index: a table in the store, and what is newer in memory.
#[derive(Debug)]
pub(crate) struct Index {
    table: Table,
    layers: RwLock<Layers>,
    /// Events whose entries gather before they go to the store.
    generation: u64,
    /// The last event that was dropped. Entries of those stay stored and lead nowhere.
    dropped: AtomicU64,
    /// How much there was up to it.
    counted: Tally,
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
    /// Its records, in order.
    order: Vec<RecordId>,
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
            let mut order: Vec<RecordId> = layer.keys().cloned().collect();
            order.sort_unstable();
            let (upto, building) = (self.last, Mutex::default());
            self.old = Some(Arc::new(Flush { layer, order, upto, building }));
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
    /// Events that cannot be read are left out; a verification names them. `counted` is how much
    /// there was up to the last event that was dropped.
    pub(crate) fn open(
        store: &dyn Storage,
        head: u64,
        generation: u64,
        shape: Shape,
        counted: Tally,
    ) -> Result<Self, LogError> {
        let table = Table::open(store, shape)?;
        let (stored, mut layers) = (table.upto(), Layers::default());
        let tally = stored_tally(store)?.filter(|tally| tally.upto > counted.upto);
        let tally = tally.unwrap_or_else(|| counted.clone());
        layers.tally_stored = tally.upto;
        // One that is far behind is not worth the wait: it is made when it is asked for.
        let near = stored.saturating_sub(generation.saturating_mul(2));
        layers.tally = (near..=head).contains(&tally.upto).then_some(tally);
        if stored < head || layers.tally.as_ref().is_some_and(|tally| tally.upto < head) {
            gather(store, stored, head, &mut layers)?;
        }
        let dropped = AtomicU64::new(counted.upto);
        Ok(Self { table, layers: RwLock::new(layers), generation, dropped, counted })
    }

    /// The table in the store.
    pub(crate) fn table(&self) -> &Table {
        &self.table
    }

    /// The last event that was dropped; 0 if none was.
    pub(crate) fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Acquire)
    }

    /// Entries of events up to `seq` lead nowhere from now on.
    pub(crate) fn set_dropped(&self, seq: u64) {
        self.dropped.store(seq, Ordering::Release);
    }

    /// Begins after events that were dropped before there was anything.
    pub(crate) fn begin_after(&self, seq: u64, tally: &Tally) {
        self.set_dropped(seq);
        let mut layers = self.write();
        layers.last = seq;
        layers.tally = Some(tally.clone());
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
        let mut tally = self.counted.clone();
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
        let after = run.after().and_then(|after| Some(keys::read_index(after)?.0));
        let from = after.map_or(0, |after| flush.order.partition_point(|record| *record < after));
        let written = run.after().map(<[u8]>::to_vec);
        let rest = flush.order.iter().skip(from);
        let entries = rest.filter_map(|record| Some((record, flush.layer.get(record)?)));
        let entries = entries.flat_map(|(record, entries)| {
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

    /// Whether there may be entries of a record; never false if there are. Reads nothing.
    pub(crate) fn may_have(&self, record: &RecordId) -> bool {
        let in_memory = self.read().each().any(|layer| layer.contains_key(record));
        in_memory || self.table.may_have(record.as_str().as_bytes())
    }

    /// Where up to `limit` of a record's events are, from version `from` on.
    pub(crate) fn entries(
        &self,
        store: &dyn Storage,
        record: &RecordId,
        from: u64,
        limit: usize,
    ) -> Result<Entries, LogError> {
        let (layers, dropped) = (self.read(), self.dropped());
        let (mut found, mut next) = (Entries::new(), from);
        self.stored_runs(store, record, from, |version, run| {
            for (version, slot) in read_run(record, version, run)? {
                if version >= next && found.len() < limit && slot.seq() > dropped {
                    found.push((version, slot));
                    next = version.saturating_add(1);
                }
            }
            Ok(found.len() < limit)
        })?;
        for entries in layers.each().filter_map(|layer| layer.get(record)) {
            let room = limit.saturating_sub(found.len());
            let there = |(version, slot): &&(u64, Slot)| *version >= next && slot.seq() > dropped;
            found.extend(entries.iter().filter(there).take(room));
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
        let (layers, dropped) = (self.read(), self.dropped());
        let there = dropped.saturating_add(1)..=head;
        let fits = |(_, slot): &&(u64, Slot)| there.contains(&slot.seq());
        let mut newest = layers.each().rev().filter_map(|layer| layer.get(record));
        if let Some(last) = newest.find_map(|entries| entries.iter().rev().find(fits)) {
            return Ok(Some(*last));
        }
        let mut last = None;
        self.stored_runs(store, record, 0, |version, run| {
            let run = read_run(record, version, run)?;
            last = run.into_iter().rfind(|(_, slot)| there.contains(&slot.seq())).or(last);
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
        let (layers, dropped) = (self.read(), self.dropped());
        let there = dropped.saturating_add(1)..=head;
        let comes = |(record, entries): &(&RecordId, &Entries)| {
            after.is_none_or(|after| *record > after)
                && entries.iter().any(|(_, slot)| there.contains(&slot.seq()))
        };
        let mut fresh: Vec<&RecordId> =
            layers.each().flat_map(|layer| layer.iter().filter(comes)).map(|(record, _)| record).collect();
        fresh.sort_unstable();
        fresh.dedup();
        let (mut found, mut fresh) = (Vec::new(), fresh.into_iter().peekable());
        let mut stored = self.next_stored(store, after, head)?;
        while found.len() < limit {
            let Some(next) = fresh.peek().copied().into_iter().chain(stored.as_ref()).min().cloned() else {
                break;
            };
            fresh.next_if(|record| **record == next);
            if stored.as_ref() == Some(&next) {
                stored = self.next_stored(store, Some(&next), head)?;
            }
            found.push(next);
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
        let (mut next, dropped) = (None, self.dropped());
        let there = dropped.saturating_add(1)..=head;
        self.table.each(store, &from, None, None, |key, run| {
            let damaged = || LogError::DamagedIndex {
                record: String::from_utf8_lossy(key).escape_debug().to_string(),
                version: 0,
                damage: Damage::Key,
            };
            let (record, version) = keys::read_index(key).ok_or_else(damaged)?;
            let run = split_run(version, &run).ok_or_else(damaged)?;
            let fits = run.iter().any(|(_, slot)| there.contains(&slot.seq()));
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

    /// Takes in the events of a chunk: for where they are those after `stored`, none after `last`.
    fn gather(&mut self, first: u64, chunk: &[u8], stored: u64, last: u64) {
        let (mut rest, mut seq) = (chunk, first);
        while let Ok((frame, after)) = Frame::split(rest) {
            if seq > last {
                return;
            }
            let place = u8::try_from(seq.saturating_sub(first)).map(|slot| Slot { first, slot });
            if let (Ok(slot), Some(head)) = (place, frame.unproved(seq)) {
                self.count(seq, head.record, head.version, frame.bytes());
                if seq > stored
                    && let Ok(record) = RecordId::try_new(head.record)
                {
                    self.put(&record, head.version, slot);
                }
            }
            (rest, seq) = (after, seq.saturating_add(1));
        }
    }

    fn put(&mut self, record: &RecordId, version: u64, slot: Slot) {
        self.last = self.last.max(slot.seq());
        self.gathered += 1;
        // A version that comes twice is damage; the later one stands, as it would in the store.
        let entries = match self.young.get_mut(record) {
            Some(entries) => entries,
            None => self.young.entry(record.clone()).or_default(),
        };
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
pub(crate) fn count_up(store: &dyn Storage, last: u64, tally: &mut Tally) -> Result<(), LogError> {
    each_frame(store, tally.upto.saturating_add(1), last, |seq, frame| {
        let head = frame.unproved(seq).ok_or(LogError::Damaged { seq, damage: Damage::Head })?;
        tally.add(seq, head.record, head.version, frame.bytes());
        Ok(true)
    })
}

/// Chunks unpacked ahead of what is gathered from them.
const AHEAD: usize = 8;

/// Reads the events after `stored` for where they are, and those after the tally to count
/// them. The next chunks are read and unpacked meanwhile.
fn gather(store: &dyn Storage, stored: u64, head: u64, layers: &mut Layers) -> Result<(), LogError> {
    let known = layers.tally.as_ref().map_or(stored, |tally| tally.upto.min(stored));
    let before = Span { from: keys::chunk(0), to: keys::chunk(known.saturating_add(2)) };
    let start = match store.scan(before, Order::Descending).next() {
        Some(entry) => keys::read_chunk(&entry?.0).unwrap_or(0),
        None => 0,
    };
    let span = Span { from: keys::chunk(start), to: Span::prefix(&[keys::CHUNK]).to };
    std::thread::scope(|scope| {
        let (give, take) = sync_channel(AHEAD);
        scope.spawn(move || {
            // Whoever takes them may have ended with an error.
            chunks(store, span, head).try_for_each(|chunk| give.send(chunk))
        });
        take.into_iter().try_for_each(|chunk| {
            let (first, chunk) = chunk?;
            layers.gather(first, &chunk, stored, head);
            Ok::<(), LogError>(())
        })
    })?;
    // Also of events that cannot be read nothing more is to come.
    layers.last = head;
    Ok(())
}

/// The chunks of `span` that begin with event `last` at most, unpacked, each with the number
/// of its first event.
fn chunks(
    store: &dyn Storage,
    span: Span,
    last: u64,
) -> impl Iterator<Item = Result<(u64, Value), LogError>> {
    let entries = store.scan(span, Order::Ascending).take_while(move |entry| match entry {
        Ok((key, _)) => keys::read_chunk(key).is_none_or(|first| first <= last),
        Err(_) => true,
    });
    entries.filter_map(move |entry| match entry {
        Ok((key, value)) => {
            let first = keys::read_chunk(&key)?;
            load(store, first, value).ok().map(|chunk| Ok((first, chunk)))
        }
        Err(why) => Some(Err(why)),
    })
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
