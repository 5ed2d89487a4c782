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
use crate::state::SideState;
use crate::views::Entry;
use crate::wake::Now;
use hms_sync_model::{FieldMap, FieldName, FieldResult, ParkReason, RecordId, VecMap};

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
        let known = entry.state.sides.get(place.side).and_then(|part| part.parked.as_ref());
        if known.is_some_and(|known| known.words == words && known.clock == entry.state.merged.clock) {
            return Ok(());
        }
        self.park_fields(place, record, entry, ParkReason::Altered, words, fields, now)
    }
}

/// Of what a side shows anew, the texts that it was known to hold cut short.
pub(crate) fn cut_short(place: Place<'_>, part: &SideState, fields: &FieldMap) -> Vec<FieldName> {
    let cut = |field: &&FieldName| {
        let held = part.held.get(*field).filter(|held| !held.not_kept && held.sent.as_text().is_some());
        let shown =
            held.and_then(|held| Some((place.plan.shape.image(field, &held.sent), held.shown.as_ref()?)));
        shown.is_some_and(|(sent, shown)| !same_but_form(&sent, shown))
    };
    fields.keys().filter(cut).cloned().collect()
}
