//! Setting a side's part of a record aside, with words for the person who is to look.
//! Whatever else the record has goes on.

use crate::error::EngineError;
use crate::happening::What;
use crate::machine::Machine;
use crate::observe::{Place, lacks_nothing};
use crate::personal::mask_words;
use crate::views::Entry;
use crate::wake::Now;
use hms_sync_model::{Body, Clock, FieldName, Lane, NativeId, ParkReason, Parked, RecordId};

impl Machine {
    pub(crate) fn park_not_kept(
        &mut self,
        place: Place<'_>,
        record: &RecordId,
        entry: &mut Entry,
        fields: Vec<FieldName>,
        now: Now,
    ) -> Result<(), EngineError> {
        let held = entry.state.sides.get(place.side).into_iter().flat_map(|part| part.held.iter());
        let earlier = held.filter(|(field, held)| held.not_kept && !fields.contains(field));
        let mut fields: Vec<FieldName> =
            earlier.map(|(field, _)| field.clone()).chain(fields.clone()).collect();
        fields.sort_unstable();
        let words = format!("{} answered that all was well and kept its old {}", place.side, names(&fields));
        // What has changed since the write has not been tried there: it need not wait.
        let tried = lacks_nothing(place, &entry.state);
        let clock = if tried { entry.state.merged.clock.clone() } else { Clock::new() };
        let reason = ParkReason::NotKept;
        let parked = Parked { reason, words, attempts: 0, fields, clock, given_up: false };
        self.emit_parked(record, entry, Lane::Side(place.side.clone()), parked, now)
    }

    /// Sets a side's part of a record aside for what became of some of its fields.
    #[expect(clippy::too_many_arguments, reason = "what to park, and why")]
    pub(crate) fn park_fields(
        &mut self,
        place: Place<'_>,
        record: &RecordId,
        entry: &mut Entry,
        reason: ParkReason,
        words: String,
        fields: Vec<FieldName>,
        now: Now,
    ) -> Result<(), EngineError> {
        let clock = entry.state.merged.clock.clone();
        let parked = Parked { reason, words, attempts: 0, fields, clock, given_up: false };
        self.emit_parked(record, entry, Lane::Side(place.side.clone()), parked, now)
    }

    pub(crate) fn park_flapping(
        &mut self,
        place: Place<'_>,
        record: &RecordId,
        entry: &mut Entry,
        fields: Vec<FieldName>,
        now: Now,
    ) -> Result<(), EngineError> {
        let words = format!(
            "{} and another side keep putting back each other's {}: {} keeps what it has; stop one of them, \
             then replay",
            place.side,
            names(&fields),
            place.side
        );
        self.park_fields(place, record, entry, ParkReason::Flapping, words, fields, now)
    }

    /// A side shows something else entirely under an id that was this record's.
    pub(crate) fn park_reused(
        &mut self,
        place: Place<'_>,
        record: &RecordId,
        entry: &mut Entry,
        now: Now,
    ) -> Result<(), EngineError> {
        let known = entry.state.sides.get(place.side).and_then(|part| part.parked.as_ref());
        if known.is_some_and(|known| known.reason == ParkReason::IdReused) {
            return Ok(());
        }
        let words = format!(
            "{} has something else entirely under the id that was this record's: if it is the same record, \
             replay; if the id was used again, discard, and give the other one an id of its own",
            place.side
        );
        self.park(record, entry, Lane::Side(place.side.clone()), ParkReason::IdReused, words, now)
    }

    /// Sets a record aside of which only its id on one side is known for sure.
    pub(crate) fn park_stub(
        &mut self,
        place: Place<'_>,
        record: &RecordId,
        entry: &mut Entry,
        id: NativeId,
        (reason, words, fields): (ParkReason, String, Vec<FieldName>),
        now: Now,
    ) -> Result<(), EngineError> {
        let words = if entry.state.erased.is_some() { mask_words(&words) } else { words };
        let part = entry.state.sides.get(place.side);
        if part.and_then(|part| part.parked.as_ref()).is_some_and(|p| p.reason == reason && p.words == words)
        {
            return Ok(());
        }
        if part.and_then(|part| part.id.as_ref()) != Some(&id) {
            let (side, words) = (place.side.clone(), words.clone());
            let body = Body::Doubted { side, stale: false, id: Some(id), message: None, words };
            self.emit(record, entry, body, now)?;
        }
        self.park_fields(place, record, entry, reason, words, fields, now)
    }

    /// Sets a lane of a record aside.
    pub(crate) fn park(
        &mut self,
        record: &RecordId,
        entry: &mut Entry,
        lane: Lane,
        reason: ParkReason,
        words: String,
        now: Now,
    ) -> Result<(), EngineError> {
        let attempts = match &lane {
            Lane::Side(side) => entry.state.sides.get(side).map_or(0, |part| part.attempts),
            Lane::Job(job) => entry.state.jobs.get(job).map_or(0, |job| job.attempts),
            Lane::Request(version) => entry.state.requests.get(version).map_or(0, |request| request.attempts),
        };
        let clock = entry.state.merged.clock.clone();
        let parked = Parked { reason, words, attempts, fields: Vec::new(), clock, given_up: false };
        self.emit_parked(record, entry, lane, parked, now)
    }

    fn emit_parked(
        &mut self,
        record: &RecordId,
        entry: &mut Entry,
        lane: Lane,
        parked: Parked,
        now: Now,
    ) -> Result<(), EngineError> {
        let told =
            What::Parked { lane: lane.to_string(), reason: format!("{}: {}", parked.reason, parked.words) };
        self.counts.parked += 1;
        self.emit(record, entry, Body::Parked { lane, parked }, now)?;
        self.tell(Some(record), told, now);
        Ok(())
    }
}

/// Fields, for people.
pub(crate) fn names(fields: &[FieldName]) -> String {
    fields.iter().map(FieldName::as_str).collect::<Vec<_>>().join(", ")
}
