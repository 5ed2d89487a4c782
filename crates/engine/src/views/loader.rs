//! What a record was: its state, made anew from its events. What never happens here: a
//! change of anything.

use super::rules_of;
use crate::carry::{self, Look};
use crate::error::EngineError;
use crate::plan::Plan;
use crate::snapshot;
use crate::state::RecordState;
use hms_sync_changelog::Log;
use hms_sync_model::{Event, RecordId};
use hms_sync_vault::Vault;
use std::borrow::Cow;

/// What it takes to know what a record was.
#[derive(Debug, Clone, Copy)]
pub(super) struct Past<'a> {
    pub(super) log: &'a Log,
    pub(super) plan: &'a Plan,
    pub(super) vault: Option<&'a Vault>,
}

impl Past<'_> {
    /// A record's state before its event `before`, from the snapshot that is `saved` and the
    /// events since; and the version of that snapshot, which may be a later one.
    pub(super) fn of(
        self,
        record: &RecordId,
        saved: Option<Vec<u8>>,
        before: u64,
    ) -> Result<(RecordState, u64), EngineError> {
        let mut state = match saved {
            Some(bytes) => snapshot::decode(self.vault, record, &bytes)?.unwrap_or_default(),
            None => RecordState::default(),
        };
        let snapshot = state.version;
        let (rules, next) = (rules_of(self.plan, record), snapshot.saturating_add(1));
        let room = usize::try_from(before.saturating_sub(next)).unwrap_or(usize::MAX);
        let mut history = self.log.history(record, next, room)?;
        // Where some were lost or dropped, later ones came in their place.
        history.retain(|(_, event)| event.version < before);
        let first = history.first().map_or(before, |(_, event)| event.version);
        let mut whole = true;
        if first > next
            && let Some(base) = carry::base(self.log, Look::Opened(self.vault), record, first)?
        {
            (state, whole) = (base.state, base.whole);
        }
        if !whole {
            // Whether it was erased, and may be so, stands in its last events.
            history = self.log.history(record, next, usize::MAX)?;
        }
        for (id, event) in history {
            if event.version > state.version {
                state.fold(rules, id, &opened(self.vault, &event));
            }
        }
        if !whole && state.erased.is_none() {
            state.malformed = Some("its key is gone, and with it what it held".to_owned());
        }
        Ok((state, snapshot))
    }
}

/// An event as the engine works with it.
pub(super) fn opened<'e>(vault: Option<&Vault>, event: &'e Event) -> Cow<'e, Event> {
    match vault {
        Some(vault) => {
            let mut event = event.clone();
            vault.open_event(&mut event);
            Cow::Owned(event)
        }
        None => Cow::Borrowed(event),
    }
}
