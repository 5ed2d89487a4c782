//! The log as questions read it: events of records, opened where their keys are there.
//! What was erased stays sealed, and is told as erased. An export is not read here: it
//! holds what was hashed, sealed as it is.

use hms_sync_changelog::{Log, LogError};
use hms_sync_model::{Event, EventId, RecordId};
use hms_sync_vault::Vault;

/// The log, and what opens its personal values.
#[derive(Debug, Clone)]
pub(crate) struct Shelf {
    pub(crate) log: Log,
    /// Nothing if the sync has no personal fields.
    pub(crate) vault: Option<Vault>,
}

impl Shelf {
    /// Events of a record from a version on, opened.
    pub(crate) fn history(
        &self,
        record: &RecordId,
        from: u64,
        count: usize,
    ) -> Result<Vec<(EventId, Event)>, LogError> {
        let mut page = self.log.history(record, from, count)?;
        page.iter_mut().for_each(|(_, event)| self.open(event));
        Ok(page)
    }

    /// Opens what can be opened of an event.
    pub(crate) fn open(&self, event: &mut Event) {
        if let Some(vault) = &self.vault {
            vault.open_event(event);
        }
    }
}
