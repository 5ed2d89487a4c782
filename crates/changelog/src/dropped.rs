//! Dropping what is archived: events that are in a file elsewhere, which the caller has read
//! back and found whole, are removed; their ids and the tree stay.
//!
//! The steps, each durable before the next: the ids beside the events; the event of the
//! approval together with what stands for the range, in one batch; the removal, which the
//! next start goes on with if it is cut off. So at any moment either all events can be read,
//! or the range is dropped for good and the log says so.
//!
//! What never happens here: a drop of events that the log does not know to be in the tree
//! with the root that was archived, or of a range that holds lost ones.

use crate::archived::{self, Archived, FILE_NAME_MAX};
use crate::error::{Damage, LogError};
use crate::frame::Sealed;
use crate::keys;
use crate::log::Log;
use crate::pack;
use crate::read::{Place, each_place};
use crate::storage::{Batch, Order, Span, Storage};
use crate::tally::Tally;
use hms_sync_model::EventId;
use hms_sync_proof::TreeHash;
use std::sync::PoisonError;

/// Keys removed in one batch.
const BATCH_REMOVED: usize = 64;

impl Log {
    /// What was archived and dropped, in order.
    pub fn archived(&self) -> Vec<Archived> {
        // Every change is one call that cannot stop in the middle.
        self.inner.archived.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The last event that was dropped; 0 if none was.
    pub fn dropped_upto(&self) -> u64 {
        self.inner.index.dropped()
    }

    /// The last event up to `seq` at which a range that is dropped can end: events that lie
    /// in one chunk go together. Nothing if no event can be dropped.
    ///
    /// # Errors
    /// If the storage cannot be read.
    pub fn last_to_drop(&self, seq: u64) -> Result<Option<u64>, LogError> {
        let (seq, from) = (seq.min(self.head()), self.dropped_upto().saturating_add(1));
        let end = if seq == self.head() {
            seq
        } else {
            let span = Span { from: keys::chunk(from), to: keys::chunk(seq.saturating_add(2)) };
            let next = self.inner.store.scan(span, Order::Descending).next().transpose()?;
            next.and_then(|(key, _)| keys::read_chunk(&key)).map_or(0, |first| first.saturating_sub(1))
        };
        Ok(Some(end).filter(|end| *end >= from))
    }

    /// Drops events that are archived. `approval` is the event that says so, which must
    /// follow the last one. Blocks.
    ///
    /// # Errors
    /// [`LogError::NotToDrop`] and [`LogError::Gap`] before anything is done; any other error
    /// stops all writing, and the next start ends what was begun.
    pub fn drop_archived(&self, range: &Archived, approval: &Sealed) -> Result<(), LogError> {
        let _writing = self.inner.write()?;
        self.check_drop(range)?;
        let expected = self.head().saturating_add(1);
        if approval.seq != expected {
            return Err(LogError::Gap { expected, found: approval.seq });
        }
        let store = self.inner.store.as_ref();
        let tally = self.tally_upto(range.last)?;
        self.inner.index.tally(store, self.head())?;
        let cleared = self.inner.copies.clear();
        let put = cleared.and_then(|()| self.inner.put_range(range, &tally, approval));
        let done = put.and_then(|()| clear(store, &self.archived()));
        done.inspect_err(|why| self.inner.poison(&why.in_one_line()))
    }

    /// Whether a range can be dropped.
    fn check_drop(&self, range: &Archived) -> Result<(), LogError> {
        let not = |why: String| LogError::NotToDrop { first: range.first, last: range.last, why };
        let (from, ends) = (self.dropped_upto().saturating_add(1), self.last_to_drop(range.last)?);
        if range.first != from || ends != Some(range.last) {
            let last = ends.map_or_else(|| "none can".to_owned(), |last| format!("they can end with {last}"));
            return Err(not(format!("events are dropped from {from} on, and {last}")));
        }
        if range.file.is_empty() || range.file.len() > FILE_NAME_MAX {
            return Err(not(format!("the name of a file has 1 to {FILE_NAME_MAX} bytes")));
        }
        if self.prover().head(range.last)?.root.0 != range.root {
            return Err(not("what is archived has another root than they have".to_owned()));
        }
        let mut lost = None;
        each_place(self.inner.store.as_ref(), range.first, range.last, |place| {
            if let Place::Lost(found) = place {
                lost = Some(found);
            }
            Ok(lost.is_none())
        })?;
        match lost {
            Some(lost) => Err(not(format!("{} to {} of them are lost", lost.first, lost.last()))),
            None => Ok(()),
        }
    }

    /// How much there is up to an event that is there.
    fn tally_upto(&self, last: u64) -> Result<Tally, LogError> {
        let store = self.inner.store.as_ref();
        let (_, mut tally) = archived::all(store)?;
        crate::index::count_up(store, last, &mut tally)?;
        Ok(tally)
    }
}

impl crate::log::Inner {
    /// The ids, then the approval and what stands for the range.
    fn put_range(&self, range: &Archived, tally: &Tally, approval: &Sealed) -> Result<(), LogError> {
        let store = self.store.as_ref();
        let ids = crate::tree::leaves(store, range.first, range.last)?;
        archived::batches(range.first, &ids).try_for_each(|batch| store.apply(batch))?;
        store.sync()?;
        let (mut grown, mut batch) = (self.tree().clone(), Batch::new());
        let placed = pack::pack(std::iter::once(approval), &mut grown, |events, _| {
            batch.extend(events);
            Ok::<(), LogError>(())
        })?;
        batch.push((keys::chunk(range.first), Some(range.to_bytes(tally))));
        store.apply(batch)?;
        store.sync()?;
        self.index.put(&placed);
        self.index.count(&placed);
        self.index.set_dropped(range.last);
        self.archived.write().unwrap_or_else(PoisonError::into_inner).push(range.clone());
        self.set_head(approval.seq, grown);
        Ok(())
    }
}

impl Log {
    /// Notes a range that was dropped, in a log that is made anew: a recovery's part.
    pub(crate) fn put_dropped(
        &self,
        mut range: Archived,
        tally: &Tally,
        ids: &[EventId],
    ) -> Result<(), LogError> {
        let _writing = self.inner.write()?;
        let (expected, store) = (self.head().saturating_add(1), self.inner.store.as_ref());
        if range.first != expected || self.dropped_upto() != self.head() {
            return Err(LogError::Gap { expected, found: range.first });
        }
        let mut tree = self.inner.tree().clone();
        let grow = |ids: &[EventId]| {
            let mut batch = Batch::new();
            ids.iter().for_each(|id| tree.grow(TreeHash::leaf(&id.0), &mut batch));
            store.apply(batch)
        };
        let put = ids.chunks(BATCH_REMOVED).try_for_each(grow).and_then(|()| {
            archived::batches(range.first, ids).try_for_each(|batch| store.apply(batch))?;
            // Where ids are missing, the tree is another one than was archived.
            range.root = tree.head().root.0;
            let value = range.to_bytes(tally);
            store.apply(vec![
                (keys::chunk(range.first), Some(value)),
                (keys::HEAD.to_vec(), Some(tree.to_bytes())),
            ])?;
            store.sync()
        });
        put.inspect_err(|why| self.inner.poison(&why.in_one_line()))?;
        self.inner.index.begin_after(range.last, tally);
        let last = range.last;
        self.inner.archived.write().unwrap_or_else(PoisonError::into_inner).push(range);
        self.inner.set_head(last, tree);
        Ok(())
    }
}

/// Removes what is left of events that were dropped.
pub(crate) fn clear(store: &dyn Storage, ranges: &[Archived]) -> Result<(), LogError> {
    let mut removed = false;
    loop {
        let keys = archived::left_over(store, ranges, BATCH_REMOVED)?;
        if keys.is_empty() {
            return if removed { store.sync() } else { Ok(()) };
        }
        store.apply(keys.into_iter().map(|key| (key, None)).collect())?;
        removed = true;
    }
}

/// The range that an event was dropped with.
pub(crate) fn range_of(ranges: &[Archived], seq: u64) -> Option<&Archived> {
    ranges.iter().find(|range| (range.first..=range.last).contains(&seq))
}

impl Archived {
    /// Why one of its events is not there.
    pub(crate) fn damage(&self) -> Damage {
        Damage::Archived { file: self.file.clone() }
    }
}
