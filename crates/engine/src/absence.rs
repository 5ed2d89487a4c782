//! The absence brake: a field that many records of a page lack all at once was not emptied
//! by people; the side has another shape than it had.
//!
//! What the side no longer shows is then taken as not mentioned, until a person says that it
//! is meant. As for deletes, nothing is inferred in bulk.

use crate::error::EngineError;
use crate::machine::Machine;
use crate::observe::Seen;
use crate::state::RecordState;
use crate::stream::stream_of;
use crate::wake::Now;
use hms_sync_connector::{Content, Observation};
use hms_sync_model::{
    Body, Clock, CollectionName, FieldName, Lane, ParkReason, Parked, RecordId, SideName, Value,
};
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

/// So few records of a page may lose a field at once without a question.
const FEW: usize = 2;

impl Machine {
    /// Looks over a page for fields that half of its records have lost, and withholds them.
    pub(crate) fn notice_absences(
        &mut self,
        key: &(SideName, CollectionName),
        records: &[Observation],
        now: Now,
    ) -> Result<(), EngineError> {
        let (side, name) = key;
        let mut lost: BTreeMap<FieldName, usize> = BTreeMap::new();
        for seen in records {
            for field in self.lost_by(side, name, seen)? {
                *lost.entry(field).or_default() += 1;
            }
        }
        let many = |count: usize| count > FEW && count.saturating_mul(2) >= records.len();
        let known =
            |field: &FieldName| self.passes.get(side, name).is_some_and(|pass| pass.knows_absent(field));
        let fields: Vec<FieldName> =
            lost.into_iter().filter(|(field, n)| many(*n) && !known(field)).map(|(field, _)| field).collect();
        if fields.is_empty() { Ok(()) } else { self.withhold(key, fields, records.len(), now) }
    }

    /// The fields that a record which we know was known to have there, and that it lacks now.
    fn lost_by(
        &self,
        side: &SideName,
        name: &CollectionName,
        seen: &Observation,
    ) -> Result<Vec<FieldName>, EngineError> {
        let part = self.plan.collections.get(name).and_then(|of| of.sides.get(side));
        let (Some(part), Content::Whole(doc)) = (part, &seen.content) else { return Ok(Vec::new()) };
        let lacking = part.shape.lacking(doc);
        if lacking.is_empty() {
            return Ok(lacking);
        }
        let Some(record) = self.views.linked(side, name, &seen.id)? else { return Ok(Vec::new()) };
        let lost = |state: &RecordState| {
            let part = state.sides.get(side).filter(|part| part.has_it())?;
            // What it did not keep it never had.
            let had = |field: &&FieldName| !part.shown_of(field).is_blank();
            Some(lacking.iter().filter(had).cloned().collect())
        };
        Ok(self.views.peek_if(&record, lost)?.unwrap_or_default())
    }

    fn withhold(
        &mut self,
        key: &(SideName, CollectionName),
        fields: Vec<FieldName>,
        records: usize,
        now: Now,
    ) -> Result<(), EngineError> {
        let (side, collection) = key;
        let names: Vec<&str> = fields.iter().map(FieldName::as_str).collect();
        let words = format!(
            "half of a page of {records} records of {side} lacks {}, which they had: has its shape changed? Until \
             you say, it counts as not mentioned; replay to take it out on the other sides, discard to leave it",
            names.join(", ")
        );
        let lane = Lane::Side(side.clone());
        let stream = stream_of(side, collection)?;
        self.tell(
            Some(&stream),
            crate::happening::What::Parked { lane: lane.to_string(), reason: words.clone() },
            now,
        );
        let known = self.passes.get(side, collection).map(crate::pass::Pass::withheld);
        let fields = known.into_iter().flatten().cloned().chain(fields).collect();
        let (reason, clock) = (ParkReason::MassDelete, Clock::default());
        let parked = Parked { reason, words, attempts: 0, fields, clock, given_up: false };
        self.emit_stream(&stream, Body::Parked { lane, parked }, now)?;
        self.know_absences(key, &stream)
    }

    /// Takes over from a side's stream which fields are withheld.
    pub(crate) fn know_absences(
        &mut self,
        key: &(SideName, CollectionName),
        stream: &RecordId,
    ) -> Result<(), EngineError> {
        let state = self.views.stream(stream)?;
        self.passes.know_absences(key, &state);
        Ok(())
    }

    /// What was seen, without the absence of fields that are withheld.
    pub(crate) fn without_absences<'s>(
        &self,
        side: &SideName,
        name: &CollectionName,
        seen: Cow<'s, Seen>,
    ) -> Cow<'s, Seen> {
        let withheld = self.passes.get(side, name).map(crate::pass::Pass::withheld);
        let Some(withheld) = withheld.filter(|withheld| !withheld.is_empty()) else { return seen };
        let mut seen = seen.into_owned();
        seen.fields.retain(|field, value| *value != Value::Absent || !withheld.contains(field));
        Cow::Owned(seen)
    }
}

/// Which fields of a side's records are withheld, and of which a person has said that it is meant.
#[derive(Debug, Clone, Default)]
pub(crate) struct Absences {
    pub(crate) withheld: BTreeSet<FieldName>,
    pub(crate) meant: BTreeSet<FieldName>,
}
