//! What a verification remembers: the last event of each of many records, in a table of
//! fixed size, by keyed hashes.
//!
//! What never happens here: growing. A record that was pushed out is looked up elsewhere.

use crate::keys::Slot;
use hms_sync_model::EventId;
use std::hash::{BuildHasher, RandomState};

/// Records of one bucket.
const WAYS: usize = 8;
/// The most buckets: 1,048,576 records, about 26 MB.
const BUCKETS_MAX: u64 = 1 << 17;

/// Hashes under a key that only this run knows, so that nobody can make two
/// different things look the same.
#[derive(Default)]
pub(super) struct Hasher([RandomState; 2]);

impl Hasher {
    /// Of a record.
    pub(super) fn record(&self, record: &str) -> u64 {
        let [a, _] = &self.0;
        a.hash_one(record)
    }

    /// Of an event.
    pub(super) fn event(&self, id: EventId) -> u64 {
        let [_, b] = &self.0;
        b.hash_one(id.0)
    }

    /// Of an index entry, whose record has that hash.
    pub(super) fn entry(&self, record: u64, version: u64, slot: Slot) -> u128 {
        let entry = (record, version, slot.first, slot.slot);
        let [a, b] = &self.0;
        (u128::from(a.hash_one(entry)) << 64) | u128::from(b.hash_one(entry))
    }
}

/// The last events of some records that have one remainder.
#[derive(Clone, Default)]
struct Bucket {
    /// The hash of the record in each place; 0 for none.
    records: [u64; WAYS],
    /// Version and hash of its last event.
    last: [(u64, u64); WAYS],
    /// The place that is given up next.
    next: u8,
}

/// The table.
pub(super) struct Seen(Vec<Bucket>);

impl Seen {
    /// For so many events.
    pub(super) fn for_events(events: u64) -> Self {
        let buckets = events.div_ceil(WAYS as u64).clamp(1, BUCKETS_MAX);
        Self(vec![Bucket::default(); usize::try_from(buckets).unwrap_or(1)])
    }

    fn place(&self, record: u64) -> usize {
        usize::try_from(record % self.0.len().max(1) as u64).unwrap_or(0)
    }

    /// Version and hash of the last event of the record with that hash, if it is still known.
    pub(super) fn last(&self, record: u64) -> Option<(u64, u64)> {
        let bucket = self.0.get(self.place(record))?;
        let at = bucket.records.iter().position(|known| *known == record)?;
        bucket.last.get(at).copied()
    }

    /// Remembers it.
    pub(super) fn put(&mut self, record: u64, version: u64, event: u64) {
        let place = self.place(record);
        let Some(bucket) = self.0.get_mut(place) else { return };
        let known = bucket.records.iter().position(|known| *known == record);
        let at = known.unwrap_or_else(|| {
            bucket.next = bucket.next.wrapping_add(1);
            usize::from(bucket.next) % WAYS
        });
        if let (Some(name), Some(last)) = (bucket.records.get_mut(at), bucket.last.get_mut(at)) {
            (*name, *last) = (record, (version, event));
        }
    }
}
