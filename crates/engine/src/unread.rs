//! Parts of a collection that a listing could not read: below a parent that we may not see, or
//! that the side fails at. What is known to be in one is not taken for gone; the rest of the
//! listing counts as if there were no such part.

use crate::happening::What;
use crate::machine::Machine;
use crate::plan::Shape;
use crate::state::{RecordState, SideState};
use crate::wake::Now;
use hms_sync_connector::Unread;
use hms_sync_model::{CollectionName, FieldName, SideName, Value};
use serde_json::{Map, Value as Json};

/// A part, by the fields and values that its records have.
pub(crate) type Part = Vec<(FieldName, Value)>;

impl Machine {
    /// Tells of parts that were not read. Answers which they are, and false if what is in one
    /// of them cannot be told from the rest.
    pub(crate) fn note_unread(
        &mut self,
        (side, collection): &(SideName, CollectionName),
        unread: Vec<Unread>,
        now: Now,
    ) -> (Vec<Part>, bool) {
        let plan = std::sync::Arc::clone(&self.plan);
        let shape =
            plan.collections.get(collection).and_then(|of| of.sides.get(side)).map(|part| &part.shape);
        let (mut parts, mut known) = (Vec::new(), true);
        for Unread { places, reason } in unread {
            self.counts.unreadable += 1;
            let told = What::Unreadable { side: side.clone(), collection: collection.clone(), reason };
            self.tell(None, told, now);
            let part: Part = places.iter().filter_map(|place| field_of(shape?, place)).collect();
            if part.is_empty() {
                known = false;
            } else {
                parts.push(part);
            }
        }
        (parts, known)
    }
}

/// The field at a place, and what the side's value there is in it.
fn field_of(shape: &Shape, (place, json): &(Vec<String>, Json)) -> Option<(FieldName, Value)> {
    let field = match shape {
        Shape::Fields(map) => map.field_at(place)?,
        Shape::Document => return None,
    };
    let doc = place.iter().rev().fold(json.clone(), |inner, part| {
        Json::Object(std::iter::once((part.clone(), inner)).collect::<Map<_, _>>())
    });
    let read = shape.read(&doc, true).ok()?;
    Some((field.clone(), read.get(field)?.clone()))
}

/// Whether a side's record is in one of the parts, or may be.
pub(crate) fn may_be_in(parts: &[Part], state: &RecordState, side: &SideName) -> bool {
    let Some(of) = state.sides.get(side).filter(|_| !parts.is_empty()) else { return false };
    parts.iter().any(|part| part.iter().all(|(field, value)| fits(of, field, value)))
}

fn fits(of: &SideState, field: &FieldName, value: &Value) -> bool {
    !of.held.contains_key(field) || of.shown_of(field) == *value
}
