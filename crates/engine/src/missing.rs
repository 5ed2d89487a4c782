//! Answers that do not say enough: an update that finds no record, which was deleted or
//! lost there (`on_missing`), and a write that does not show what was stored (`read_back`).

use crate::error::EngineError;
use crate::machine::Machine;
use crate::observe::Place;
use crate::plan::OnMissing;
use crate::views::Entry;
use crate::wake::Now;
use hms_sync_model::{Body, Lane, ParkReason, RecordId, Source};

impl Machine {
    /// The side answered that it has no such record. Answers whether that settles it; if
    /// not, a look by the record's id does.
    pub(crate) fn not_there(
        &mut self,
        place: Place<'_>,
        record: &RecordId,
        entry: &mut Entry,
        words: &str,
        now: Now,
    ) -> Result<bool, EngineError> {
        let side = place.side;
        let there = entry.state.sides.get(side).filter(|part| part.has_it());
        let Some(id) = there.and_then(|part| part.id.clone()) else { return Ok(false) };
        match place.plan.on_missing {
            OnMissing::Deleted if place.plan.abilities.fetch => return Ok(false),
            OnMissing::Deleted => self.gone(place, record, entry, id, Source::Answer, now)?,
            OnMissing::Recreate => {
                self.emit(record, entry, Body::Unlinked { side: side.clone(), apart: None }, now)?;
            }
            OnMissing::Unlink => {
                let reason = format!("{words}; `on_missing` says to go on without it");
                self.set_apart(place, record, entry, id, None, reason, now)?;
            }
            OnMissing::Park => {
                let words = format!(
                    "{words}: put it back there and replay, or delete it on another side; what changes it \
                     next tries again"
                );
                self.park(record, entry, Lane::Side(side.clone()), ParkReason::Refused, words, now)?;
            }
        }
        Ok(true)
    }

    /// What was stored is looked at: it may be something else than what was sent.
    pub(crate) fn look_back(
        &mut self,
        place: Place<'_>,
        record: &RecordId,
        entry: &mut Entry,
        now: Now,
    ) -> Result<(), EngineError> {
        let words = "the answer does not show what was stored".to_owned();
        let body = Body::Doubted { side: place.side.clone(), stale: false, id: None, message: None, words };
        self.emit(record, entry, body, now).map(|_| ())
    }
}
