//! What a side stored otherwise than it was sent (a clamped number, a text cut short), and
//! what is done about it: `on_altered`.
//!
//! What never happens here: a value of a record in words for people, it may be personal.

use crate::aside::names;
use crate::error::EngineError;
use crate::image::same_but_form;
use crate::machine::Machine;
use crate::observe::{Place, Seen};
use crate::plan::OnAltered;
use crate::project::{same, shown};
use crate::state::{RecordState, SideState};
use crate::views::Entry;
use crate::wake::Now;
use hms_sync_model::{Body, FieldMap, FieldName, FieldResult, Lane, ParkReason, RecordId, Value, VecMap};

impl Machine {
    /// A write was carried out, and the side shows something else in some fields.
    pub(crate) fn on_altered(
        &mut self,
        place: Place<'_>,
        record: &RecordId,
        entry: &mut Entry,
        seen: &Seen,
        results: &VecMap<FieldName, FieldResult>,
        now: Now,
    ) -> Result<(), EngineError> {
        let altered = results.iter().filter_map(|(field, result)| match result {
            FieldResult::Altered(there) => Some((field.clone(), there.clone())),
            FieldResult::Taken | FieldResult::Reformatted(_) | FieldResult::NotKept => None,
        });
        let altered: FieldMap = altered.collect();
        if altered.is_empty() {
            return Ok(());
        }
        match place.plan.on_altered {
            OnAltered::KeepOurs => Ok(()),
            OnAltered::TakeTheirs => self.edit(place, record, entry, seen, altered, true, now),
            OnAltered::Park => {
                let fields: Vec<FieldName> = altered.keys().cloned().collect();
                let words = format!(
                    "{} stored another {} than it was sent; replay sends ours again, discard leaves what is there",
                    place.side,
                    names(&fields)
                );
                self.park_altered(place, record, entry, fields, words, now)
            }
        }
    }

    /// Somebody changed a text that the side holds cut short: what is cut off cannot be known.
    pub(crate) fn park_cut_short(
        &mut self,
        place: Place<'_>,
        record: &RecordId,
        entry: &mut Entry,
        fields: Vec<FieldName>,
        now: Now,
    ) -> Result<(), EngineError> {
        let words = format!(
            "somebody on {} changed {}, of which the side holds less than it was sent: what it lacks cannot be \
             known; replay takes what stands there as the whole, discard leaves both as they are",
            place.side,
            names(&fields)
        );
        self.park_altered(place, record, entry, fields, words, now)
    }

    fn park_altered(
        &mut self,
        place: Place<'_>,
        record: &RecordId,
        entry: &mut Entry,
        fields: Vec<FieldName>,
        words: String,
        now: Now,
    ) -> Result<(), EngineError> {
        let part = entry.state.sides.get(place.side);
        let known = part.and_then(|part| part.parked.as_ref());
        let clock = &entry.state.merged.clock;
        if let Some(known) = known.filter(|known| known.words == words && known.clock == *clock) {
            if part.is_some_and(|part| part.doubt.is_none()) {
                return Ok(());
            }
            // What was doubted since is settled by this read: it is as it was.
            let (lane, parked) = (Lane::Side(place.side.clone()), known.clone());
            return self.emit(record, entry, Body::Parked { lane, parked }, now).map(|_| ());
        }
        self.park_fields(place, record, entry, ParkReason::Altered, words, fields, now)
    }
}

/// Whether a side shows nothing new but in fields that wait for a person.
pub(crate) fn is_set_aside(place: Place<'_>, state: &RecordState, seen: &Seen) -> bool {
    let Some(part) = state.sides.get(place.side).filter(|part| part.doubt.is_none()) else { return false };
    let altered = part.parked.as_ref().filter(|parked| parked.reason == ParkReason::Altered);
    let Some(parked) = altered.filter(|parked| parked.clock == state.merged.clock) else { return false };
    let mut new = seen.fields.iter().filter(|(field, view)| !same(view, &shown(place.plan, part, field)));
    new.all(|(field, _)| parked.fields.contains(field))
}

/// Of what a side shows anew, the texts that it was known to hold cut short. Of one that it was
/// not known to hold at all nothing is lacking.
pub(crate) fn cut_short(place: Place<'_>, part: &SideState, fields: &FieldMap) -> Vec<FieldName> {
    let cut = |field: &&FieldName| {
        let held = part.held.get(*field).filter(|held| !held.not_kept && held.sent.as_text().is_some());
        let shown =
            held.and_then(|held| Some((place.plan.shape.image(field, &held.sent), held.shown.as_ref()?)));
        shown.is_some_and(|(sent, shown)| *shown != Value::Absent && !same_but_form(&sent, shown))
    };
    fields.keys().filter(cut).cloned().collect()
}
