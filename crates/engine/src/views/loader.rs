//! A record that is not in memory: its state, made anew from its snapshot and its events.
//! What never happens here: a change of anything.

use super::rules_of;
use crate::carry::{self, Look};
use crate::error::EngineError;
use crate::plan::Plan;
use crate::snapshot;
use crate::state::RecordState;
use hms_sync_changelog::Log;
use hms_sync_model::RecordId;
use hms_sync_vault::Vault;

/// What it takes to make a record.
#[derive(Debug, Clone, Copy)]
pub(super) struct Loader<'a> {
    pub(super) log: &'a Log,
    pub(super) plan: &'a Plan,
    pub(super) vault: Option<&'a Vault>,
}

impl Loader<'_> {
    /// A record's state before its event `before`, from the snapshot that is `saved` and the
    /// events since; and the version of that snapshot, which may be a later one.
    pub(super) fn load(
        self,
        record: &RecordId,
        saved: Option<Vec<u8>>,
        before: u64,
    ) -> Result<(RecordState, u64), EngineError> {
        let mut state = match saved {
            Some(bytes) => snapshot::decode(self.vault, record, &bytes)?.unwrap_or_default(),
            None => RecordState::default(),
        };
        let (snapshot, look) = (state.version, Look::Opened(self.vault));
        let (rules, next) = (rules_of(self.plan, record), snapshot.saturating_add(1));
        let room = usize::try_from(before.saturating_sub(next)).unwrap_or(usize::MAX);
        let mut history = self.log.history(record, next, room)?;
        // Where some were lost or dropped, later ones came in their place.
        history.retain(|(_, event)| event.version < before);
        let first = history.first().map_or(before, |(_, event)| event.version);
        let mut whole = true;
        if first > next
            && let Some(base) = carry::base(self.log, look, record, first)?
        {
            (state, whole) = (base.state, base.whole);
        }
        if !whole {
            // Whether it was erased, and may be so, stands in its last events.
            history = self.log.history(record, next, usize::MAX)?;
        }
        for (id, mut event) in history {
            if event.version > state.version {
                look.at(&mut event);
                state.fold(rules, id, &event);
            }
        }
        if !whole && state.erased.is_none() {
            state.malformed = Some("its key is gone, and with it what it held".to_owned());
        }
        Ok((state, snapshot))
    }
}
