//! Records with something to be done about them, as sets in memory.

use super::key;
use hms_sync_changelog::Changes;
use hms_sync_model::RecordId;
use rustc_hash::FxHashSet;

/// A set of records, all of it in memory, and how it differs from what is saved.
#[derive(Debug, Default)]
pub(super) struct Marks {
    pub(super) on: FxHashSet<RecordId>,
    unsaved: FxHashSet<RecordId>,
}

impl Marks {
    /// Puts a record in or takes it out. Most come and go between two saves, and
    /// those need not be saved at all.
    pub(super) fn mark(&mut self, record: &RecordId, on: bool) {
        if on == self.on.contains(record) {
            return;
        }
        if on {
            self.on.insert(record.clone());
        } else {
            self.on.remove(record);
        }
        if !self.unsaved.remove(record) {
            self.unsaved.insert(record.clone());
        }
    }

    pub(super) fn save(&mut self, letter: u8, fresh: &mut Changes) {
        for record in self.unsaved.drain() {
            let on = self.on.contains(&record).then(Vec::new);
            fresh.insert(key(letter, record.as_str().as_bytes()), on);
        }
    }

    /// All of them, in order.
    pub(super) fn sorted(&self) -> Vec<RecordId> {
        let mut all: Vec<RecordId> = self.on.iter().cloned().collect();
        all.sort_unstable();
        all
    }
}
