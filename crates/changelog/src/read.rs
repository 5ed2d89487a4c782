//! Reading events: by number, in order, by record. Nothing past the head is
//! shown, and no event whose bytes, place or record are not the right ones.

use crate::error::{Damage, LogError};
use crate::frame::Frame;
use crate::keys::{self, Slot};
use crate::log::Log;
use crate::pack;
use crate::storage::{Entry, Order, Span, Storage, Value};
use hms_sync_model::{Event, EventId, RecordId};

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

/// Shows the frames of the events from `from` to `last`, ascending, until `take` has enough.
/// Whole chunks are read. A frame's hash is not checked.
pub(crate) fn each_frame(
    store: &dyn Storage,
    from: u64,
    last: u64,
    mut take: impl FnMut(u64, Frame<'_>) -> Result<bool, LogError>,
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
        let chunk = load(store, first, entry.1)?;
        let (mut rest, mut seq) = (&*chunk, first);
        while !rest.is_empty() {
            let (frame, after) = Frame::split(rest).map_err(|damage| LogError::Damaged { seq, damage })?;
            rest = after;
            if seq == next {
                if !take(seq, frame)? || next == last {
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
pub(crate) struct LastChunk(Option<(u64, Value)>);

impl LastChunk {
    /// The frame at `slot`.
    pub(crate) fn frame(&mut self, store: &dyn Storage, slot: Slot) -> Result<Frame<'_>, LogError> {
        let damaged = |damage| LogError::Damaged { seq: slot.seq(), damage };
        if self.0.as_ref().is_none_or(|(first, _)| *first != slot.first) {
            let value = store.get(&keys::chunk(slot.first))?.ok_or_else(|| damaged(Damage::Missing))?;
            self.0 = Some((slot.first, load(store, slot.first, value)?));
        }
        let (_, frames) = self.0.as_ref().ok_or_else(|| damaged(Damage::Missing))?;
        Frame::nth(frames, slot.slot.into()).map_err(damaged)
    }
}

impl Log {
    /// The event with this number and its id; nothing past the head.
    ///
    /// # Errors
    /// [`LogError::Damaged`] rather than any byte that is not as it was written.
    pub fn event(&self, seq: u64) -> Result<Option<(EventId, Event)>, LogError> {
        if seq == 0 || seq > self.head() {
            return Ok(None);
        }
        self.events(seq, 1).map(|mut found| found.pop())
    }

    /// Up to `limit` events from number `from` on, ascending. Fewer come only at
    /// the head. Whole chunks are read, so many at once are fast.
    ///
    /// # Errors
    /// [`LogError::Damaged`] for the first that is missing or not as written.
    pub fn events(&self, from: u64, limit: usize) -> Result<Vec<(EventId, Event)>, LogError> {
        let mut found = Vec::with_capacity(limit.min(4_096));
        if limit == 0 {
            return Ok(found);
        }
        each_frame(self.inner.store.as_ref(), from, self.head(), |seq, frame| {
            found.push(frame.open(seq).map_err(|damage| LogError::Damaged { seq, damage })?);
            Ok(found.len() < limit)
        })?;
        Ok(found)
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
        let (mut chunk, mut found) = (LastChunk::default(), Vec::new());
        for (version, slot) in self.inner.index.entries(store, record, from_version, limit)? {
            if slot.seq() > head {
                break;
            }
            found.push(open_at(store, &mut chunk, record, version, slot)?);
        }
        Ok(found)
    }

    /// The version and the id of a record's last durable event.
    ///
    /// # Errors
    /// As [`Log::history`].
    pub fn last(&self, record: &RecordId) -> Result<Option<(u64, EventId)>, LogError> {
        let (store, head) = (self.inner.store.as_ref(), self.head());
        let Some((version, slot)) = self.inner.index.last(store, record, head)? else { return Ok(None) };
        let (id, event) = open_at(store, &mut LastChunk::default(), record, version, slot)?;
        Ok(Some((event.version, id)))
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

/// The event that an index entry leads to, if it is the right one.
pub(crate) fn open_at(
    store: &dyn Storage,
    chunk: &mut LastChunk,
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
