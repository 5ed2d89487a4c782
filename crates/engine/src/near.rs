//! Which records sides' ids led to lately, as it is saved: whoever comes by again, as
//! webhooks do, needs not look it up in the log once more.
//!
//! What never happens here: an answer that is not that of the log. A link that changes is
//! taken out, and is found among what is not saved yet.

use hms_sync_model::RecordId;
use rustc_hash::FxHashMap;
use std::sync::{Mutex, PoisonError};

/// Links remembered before the older half is forgotten.
const HALF_MAX: usize = 8_192;

/// Links by their keys.
#[derive(Debug, Default)]
pub(crate) struct Near(Mutex<Halves>);

#[derive(Debug, Default)]
struct Halves {
    young: FxHashMap<Vec<u8>, RecordId>,
    old: FxHashMap<Vec<u8>, RecordId>,
}

impl Halves {
    fn put(&mut self, key: Vec<u8>, record: RecordId) {
        if self.young.len() >= HALF_MAX {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(key, record);
    }
}

impl Near {
    /// Where a key led to.
    pub(crate) fn get(&self, key: &[u8]) -> Option<RecordId> {
        // Every change is one call that cannot stop in the middle.
        let mut halves = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(record) = halves.young.get(key) {
            return Some(record.clone());
        }
        let (key, record) = halves.old.remove_entry(key)?;
        halves.put(key, record.clone());
        Some(record)
    }

    /// Remembers where a key leads to.
    pub(crate) fn put(&self, key: Vec<u8>, record: RecordId) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).put(key, record);
    }

    /// A key leads elsewhere from now on.
    pub(crate) fn forget(&mut self, key: &[u8]) {
        let halves = self.0.get_mut().unwrap_or_else(PoisonError::into_inner);
        halves.young.remove(key);
        halves.old.remove(key);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests may panic")]
    use super::*;

    #[test]
    fn what_was_asked_for_lately_is_remembered_and_what_changed_is_not() {
        let (record, mut near) = (RecordId::try_new("permit/1").unwrap(), Near::default());
        let key = |n: usize| n.to_be_bytes().to_vec();
        for n in 0..=HALF_MAX {
            near.put(key(n), record.clone());
        }
        assert_eq!(near.get(&key(7)), Some(record.clone()));
        for n in HALF_MAX + 1..2 * HALF_MAX {
            near.put(key(n), record.clone());
        }
        near.put(key(3 * HALF_MAX), record.clone());
        assert_eq!(
            (near.get(&key(7)), near.get(&key(8))),
            (Some(record), None),
            "the one was asked for again"
        );
        near.forget(&key(7));
        assert_eq!(near.get(&key(7)), None);
    }
}
