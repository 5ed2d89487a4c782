//! Reading events: by number, in order, by record. Nothing past the head is
//! shown, and no event whose bytes, place or record are not the right ones.

use crate::archived::{self, Archived};
use crate::chunks::Chunks;
use crate::copies::Copies;
use crate::dropped::range_of;
use crate::error::{Damage, LogError};
use crate::frame::Frame;
use crate::hole::{self, Lost};
use crate::keys::{self, Slot};
use crate::log::{Inner, Log, lost_at};
use crate::pack;
use crate::storage::{Entry, Order, Span, Storage, Value};
use hms_sync_model::{Event, EventId, RecordId, Time};
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// The frames of the chunk stored as `value` under `first`: decompressed, parts put together.
pub(crate) fn load(store: &dyn Storage, first: u64, value: Value) -> Result<Value, LogError> {
    let damaged = |damage| LogError::Damaged { seq: first, damage };
    if let Some(frames) = pack::unpack(pack::PACKED, &[], &value) {
        return frames.map(Value::Owned).map_err(damaged);
    }
    let Some(parts) = pack::parts_of(&value) else { return Ok(value) };
    let mut whole = Vec::new();
    for part in 0..parts {
        let value = store.get(&keys::part(first, part))?.ok_or_else(|| damaged(Damage::Cut))?;
        whole.extend_from_slice(pack::part_bytes(&value, first, part).map_err(damaged)?);
    }
    Ok(Value::Owned(whole))
}

fn chunk_of(entry: &Entry) -> Result<u64, LogError> {
    keys::read_chunk(&entry.0).ok_or(LogError::Damaged { seq: 0, damage: Damage::Key })
}

/// What stands in a place of the log.
#[derive(Debug)]
pub(crate) enum Place<'a> {
    /// An event, by its number.
    Event(u64, Frame<'a>),
    /// Events that were lost.
    Lost(Lost),
    /// Events that were dropped: those from the first number to the second, of a range.
    Dropped(&'a Archived, u64, u64),
}

/// Shows the frames of the events from `from` to `last`, ascending, until `take` has enough.
/// Whole chunks are read. A frame's hash is not checked. Lost events are passed over.
pub(crate) fn each_frame(
    store: &dyn Storage,
    from: u64,
    last: u64,
    mut take: impl FnMut(u64, Frame<'_>) -> Result<bool, LogError>,
) -> Result<(), LogError> {
    each_place(store, from, last, |place| match place {
        Place::Event(seq, frame) => take(seq, frame),
        Place::Lost(_) | Place::Dropped(..) => Ok(true),
    })
}

/// The same with what was lost or dropped, as far as it lies between the two.
pub(crate) fn each_place(
    store: &dyn Storage,
    from: u64,
    last: u64,
    mut take: impl FnMut(Place<'_>) -> Result<bool, LogError>,
) -> Result<(), LogError> {
    let mut next = from.max(1);
    if next > last {
        return Ok(());
    }
    let missing = |seq| LogError::Damaged { seq, damage: Damage::Missing };
    let until = Span { from: keys::chunk(0), to: keys::chunk(next.saturating_add(1)) };
    let start = store.scan(until, Order::Descending).next().ok_or_else(|| missing(next))??;
    let span = Span { from: keys::chunk(chunk_of(&start)?), to: Span::prefix(&[keys::CHUNK]).to };
    for entry in store.scan(span, Order::Ascending) {
        let entry = entry?;
        let first = chunk_of(&entry)?;
        if first > next {
            return Err(missing(next));
        }
        if let Some(lost) = hole::read(&entry.1) {
            let lost = lost.map_err(|damage| LogError::Damaged { seq: first, damage })?;
            let end = lost.last().min(last);
            if end >= next {
                let part = Lost { first: next, count: end - next + 1, ..lost };
                if !take(Place::Lost(part))? || end == last {
                    return Ok(());
                }
                next = end.saturating_add(1);
            }
            continue;
        }
        if let Some(range) = archived::read(&entry.1) {
            let (range, _) = range.map_err(|damage| LogError::Damaged { seq: first, damage })?;
            let end = range.last.min(last);
            if end >= next {
                if !take(Place::Dropped(&range, next, end))? || end == last {
                    return Ok(());
                }
                next = end.saturating_add(1);
            }
            continue;
        }
        let chunk = load(store, first, entry.1)?;
        let (mut rest, mut seq) = (&*chunk, first);
        while !rest.is_empty() {
            let (frame, after) = Frame::split(rest).map_err(|damage| LogError::Damaged { seq, damage })?;
            rest = after;
            if seq == next {
                if !take(Place::Event(seq, frame))? || next == last {
                    return Ok(());
                }
                next = next.saturating_add(1);
            }
            seq = seq.saturating_add(1);
        }
    }
    Err(missing(next))
}

/// The chunk read last, so that neighbours in it cost one read.
#[derive(Debug, Default)]
pub(crate) struct LastChunk<'a> {
    last: Option<(u64, Value)>,
    /// Those read before, by whoever.
    kept: Option<&'a Chunks>,
    copies: Option<&'a Copies>,
}

impl<'a> LastChunk<'a> {
    /// One that takes what was read before from memory, and what there are copies of from those.
    pub(crate) fn of(log: &'a Inner) -> Self {
        Self { last: None, kept: Some(&log.chunks), copies: Some(&log.copies) }
    }

    /// One that keeps nothing for others.
    pub(crate) fn from_copies(copies: &'a Copies) -> Self {
        Self { last: None, kept: None, copies: Some(copies) }
    }

    fn read(&self, store: &dyn Storage, slot: Slot) -> Result<Value, LogError> {
        if let Some(frames) = self.kept.and_then(|kept| kept.get(slot.first)) {
            return Ok(Value::Shared(frames));
        }
        let copy = self.copies.and_then(|copies| copies.frames(slot.first));
        let frames = copy.map_or_else(|| stored(store, slot), Ok)?;
        let Some(kept) = self.kept else { return Ok(frames) };
        let frames = Arc::from(&*frames);
        kept.keep(slot.first, &frames);
        Ok(Value::Shared(frames))
    }

    /// Puts what is stored in the place of what was read last. Answers whether that is another:
    /// then it was a copy that is not what the log has, and all copies are thrown away.
    fn read_stored(&mut self, store: &dyn Storage, slot: Slot) -> Result<bool, LogError> {
        let frames = stored(store, slot)?;
        if self.last.as_ref().is_none_or(|(first, last)| *first != slot.first || **last == *frames) {
            return Ok(false);
        }
        if let Some(copies) = self.copies {
            copies.doubt(slot.first);
        }
        let frames = Arc::from(&*frames);
        if let Some(kept) = self.kept {
            kept.keep(slot.first, &frames);
        }
        self.last = Some((slot.first, Value::Shared(frames)));
        Ok(true)
    }

    /// The frame at `slot`.
    fn frame(&mut self, store: &dyn Storage, slot: Slot) -> Result<Frame<'_>, LogError> {
        let damaged = |damage| LogError::Damaged { seq: slot.seq(), damage };
        if self.last.as_ref().is_none_or(|(first, _)| *first != slot.first) {
            self.last = Some((slot.first, self.read(store, slot)?));
        }
        let (_, frames) = self.last.as_ref().ok_or_else(|| damaged(Damage::Missing))?;
        Frame::nth(frames, slot.slot.into()).map_err(damaged)
    }
}

/// The frames of the chunk that holds `slot`.
fn stored(store: &dyn Storage, slot: Slot) -> Result<Value, LogError> {
    let missing = LogError::Damaged { seq: slot.seq(), damage: Damage::Missing };
    load(store, slot.first, store.get(&keys::chunk(slot.first))?.ok_or(missing)?)
}

impl Log {
    /// What was lost, as recoveries have noted it. Looks at every chunk.
    ///
    /// # Errors
    /// [`LogError::Damaged`] for a note that is not as it was written.
    pub fn lost(&self) -> Result<Vec<Lost>, LogError> {
        let mut all = Vec::new();
        for entry in self.inner.store.scan(Span::prefix(&[keys::CHUNK]), Order::Ascending) {
            let entry = entry?;
            let seq = chunk_of(&entry)?;
            if let Some(lost) = hole::read(&entry.1) {
                all.push(lost.map_err(|damage| LogError::Damaged { seq, damage })?);
            }
        }
        Ok(all)
    }

    /// When a recovery last found events to be lost; nothing if none ever did.
    ///
    /// # Errors
    /// If the storage cannot be read.
    pub fn lost_at(&self) -> Result<Option<Time>, LogError> {
        lost_at(self.inner.store.as_ref())
    }

    /// The last event that there is, and its id: none that was lost.
    ///
    /// # Errors
    /// [`LogError::Damaged`] if it is not as it was written.
    pub fn newest(&self) -> Result<Option<(EventId, Event)>, LogError> {
        for entry in self.inner.store.scan(Span::prefix(&[keys::CHUNK]), Order::Descending) {
            let entry = entry?;
            let first = chunk_of(&entry)?;
            let gone = hole::read(&entry.1).is_some() || archived::read(&entry.1).is_some();
            if first > self.head() || gone {
                continue;
            }
            return Ok(self.events(first, pack::CHUNK_EVENTS_MAX)?.pop());
        }
        Ok(None)
    }

    /// The event with this number and its id; nothing past the head.
    ///
    /// # Errors
    /// [`LogError::Damaged`] rather than any byte that is not as it was written, and
    /// for an event that was lost in a recovery, or archived and dropped.
    pub fn event(&self, seq: u64) -> Result<Option<(EventId, Event)>, LogError> {
        if seq == 0 || seq > self.head() {
            return Ok(None);
        }
        let found = self.events(seq, 1)?.pop().filter(|(_, event)| event.seq == seq);
        match found {
            Some(found) => Ok(Some(found)),
            None => Err(LogError::Damaged { seq, damage: self.loss_of(seq)? }),
        }
    }

    /// Why `seq`, which reads pass over, is not there.
    fn loss_of(&self, seq: u64) -> Result<Damage, LogError> {
        if let Some(range) = range_of(&self.archived(), seq) {
            return Ok(range.damage());
        }
        let until = Span { from: keys::chunk(0), to: keys::chunk(seq.saturating_add(1)) };
        let last = self.inner.store.scan(until, Order::Descending).next().transpose()?;
        let lost = last.and_then(|(_, value)| hole::read(&value)?.ok());
        Ok(lost.map_or(Damage::Missing, |lost| Damage::Lost { at: lost.at }))
    }

    /// Up to `limit` events from number `from` on, ascending. Fewer come only at
    /// the head. Those lost in a recovery, or dropped, are passed over. Whole chunks are read, so
    /// many at once are fast.
    ///
    /// # Errors
    /// [`LogError::Damaged`] for the first that is missing or not as written.
    pub fn events(&self, from: u64, limit: usize) -> Result<Vec<(EventId, Event)>, LogError> {
        self.events_within(from, u64::MAX, limit)
    }

    /// The same, and none past number `to`: nothing is read of what stands after a hole that
    /// ends later.
    ///
    /// # Errors
    /// As [`Log::events`].
    pub fn events_within(&self, from: u64, to: u64, limit: usize) -> Result<Vec<(EventId, Event)>, LogError> {
        let mut found = Vec::with_capacity(limit.min(4_096));
        if limit == 0 {
            return Ok(found);
        }
        each_frame(self.inner.store.as_ref(), from, to.min(self.head()), |seq, frame| {
            found.push(frame.open(seq).map_err(|damage| LogError::Damaged { seq, damage })?);
            self.inner.reads.fetch_add(1, Ordering::Relaxed);
            Ok(found.len() < limit)
        })?;
        Ok(found)
    }

    /// Shows the events from `from` to `to` and their bytes as they were hashed, ascending, until
    /// `take` has enough. One chunk is in memory at a time.
    ///
    /// # Errors
    /// As [`Log::events`], and what `take` answers.
    pub fn walk<E: From<LogError>>(
        &self,
        from: u64,
        to: u64,
        mut take: impl FnMut(&Event, &[u8]) -> Result<bool, E>,
    ) -> Result<(), E> {
        let mut stopped = None;
        each_frame(self.inner.store.as_ref(), from, to.min(self.head()), |seq, frame| {
            let (_, event) = frame.open(seq).map_err(|damage| LogError::Damaged { seq, damage })?;
            match take(&event, frame.payload()) {
                Ok(more) => Ok(more),
                Err(why) => {
                    stopped = Some(why);
                    Ok(false)
                }
            }
        })?;
        stopped.map_or(Ok(()), Err)
    }

    /// Up to `limit` events of a record from `from_version` on, ascending.
    ///
    /// # Errors
    /// [`LogError::Damaged`] and [`LogError::DamagedIndex`] rather than a wrong event.
    pub fn history(
        &self,
        record: &RecordId,
        from_version: u64,
        limit: usize,
    ) -> Result<Vec<(EventId, Event)>, LogError> {
        let (store, head) = (self.inner.store.as_ref(), self.head());
        let (mut chunk, mut found) = (LastChunk::of(&self.inner), Vec::new());
        for (version, slot) in self.inner.index.entries(store, record, from_version, limit)? {
            if slot.seq() > head {
                break;
            }
            found.push(open_at(store, &mut chunk, record, version, slot)?);
            self.inner.reads.fetch_add(1, Ordering::Relaxed);
        }
        Ok(found)
    }

    /// Whether there may be events of a record, also dropped ones; never false if there are.
    /// Reads nothing, and of a record that is new answers mostly at once that there are none.
    pub fn may_know(&self, record: &RecordId) -> bool {
        self.inner.index.may_have(record) || self.dropped_upto() > 0
    }

    /// The version and the id of a record's last durable event.
    ///
    /// # Errors
    /// As [`Log::history`].
    pub fn last(&self, record: &RecordId) -> Result<Option<(u64, EventId)>, LogError> {
        let (store, head) = (self.inner.store.as_ref(), self.head());
        let Some((version, slot)) = self.inner.index.last(store, record, head)? else { return Ok(None) };
        let (id, event) = open_at(store, &mut LastChunk::of(&self.inner), record, version, slot)?;
        self.inner.reads.fetch_add(1, Ordering::Relaxed);
        Ok(Some((event.version, id)))
    }

    /// The number of a record's last durable event; nothing if it has none that was not dropped.
    /// Reads no event.
    ///
    /// # Errors
    /// [`LogError::DamagedIndex`] for an index that cannot be read.
    pub fn last_seq(&self, record: &RecordId) -> Result<Option<u64>, LogError> {
        let last = self.inner.index.last(self.inner.store.as_ref(), record, self.head())?;
        Ok(last.map(|(_, slot)| slot.seq()))
    }

    /// Up to `limit` records that have durable events, in order of their ids,
    /// from the one after `after` on. One seek a record, however long its history.
    ///
    /// # Errors
    /// [`LogError::DamagedIndex`] for an index key that names no record.
    pub fn records(&self, after: Option<&RecordId>, limit: usize) -> Result<Vec<RecordId>, LogError> {
        self.inner.index.records(self.inner.store.as_ref(), after, limit, self.head())
    }
}

/// The event that an index entry leads to, if it is the right one. What a copy lacks or has wrong
/// is looked for in the log itself.
pub(crate) fn open_at(
    store: &dyn Storage,
    chunk: &mut LastChunk<'_>,
    record: &RecordId,
    version: u64,
    slot: Slot,
) -> Result<(EventId, Event), LogError> {
    let found = open_in(chunk, store, record, version, slot);
    let elsewhere = found.is_err() && chunk.read_stored(store, slot)?;
    if elsewhere { open_in(chunk, store, record, version, slot) } else { found }
}

/// The same, of what is at hand.
fn open_in(
    chunk: &mut LastChunk<'_>,
    store: &dyn Storage,
    record: &RecordId,
    version: u64,
    slot: Slot,
) -> Result<(EventId, Event), LogError> {
    let seq = slot.seq();
    let frame = chunk.frame(store, slot)?;
    let (id, event) = frame.open(seq).map_err(|damage| LogError::Damaged { seq, damage })?;
    if event.record == *record && event.version == version {
        return Ok((id, event));
    }
    let record = record.to_string();
    Err(LogError::DamagedIndex { record, version, damage: Damage::IndexExtra })
}
