//! The flip brake: two sides, mostly their automations, that keep undoing each other.
//!
//! An edit flips a field when it puts back what stood there before another side's edit that
//! its author had seen. People do that once or twice. What has gone to and fro as often as
//! [`FLIPS_MAX`], each time within [`FLIP_AGE_MAX`], is a fight: the side that made the last
//! edit keeps what it has there until a person looks. Its other fields go on.

use crate::state::{RecordState, SideState};
use hms_sync_model::{Change, Edit, FieldName, ParkReason, Time, VecMap};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// Flips in a row that are let pass.
const FLIPS_MAX: u32 = 5;

/// How long after the last flip another one counts with it.
const FLIP_AGE_MAX: Duration = Duration::from_hours(1);

/// How often a field has gone to and fro.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Flips {
    /// Flips in a row.
    #[serde(rename = "n")]
    pub count: u32,
    /// When the last one was heard of.
    #[serde(rename = "t")]
    pub at: Time,
}

/// What an edit, not yet taken in, makes of the flips.
pub(crate) fn flips_with(state: &RecordState, edit: &Edit, at: Time) -> VecMap<FieldName, Flips> {
    let mut flips = state.flips.clone();
    // Nothing can be put back in a record that is new.
    if edit.actor().as_side().is_none() || state.merged.clock.is_empty() && flips.is_empty() {
        return flips;
    }
    for (field, change) in edit.changes.iter().filter(|(_, change)| change.before != change.after) {
        let [last] = state.merged.siblings(field) else {
            flips.remove(field);
            continue;
        };
        let other = last.dot.actor.as_side().is_some() && last.dot.actor != *edit.actor();
        let back = last.change.before == change.after && last.change.after == change.before;
        if other && back && edit.context_of(field).has(&last.dot) {
            let before = flips.get(field).filter(|flips| at.since(flips.at) < FLIP_AGE_MAX);
            let count = before.map_or(0, |flips| flips.count).saturating_add(1);
            flips.insert(field.clone(), Flips { count, at });
        } else {
            flips.remove(field);
        }
    }
    flips
}

/// The fields of an edit that have gone to and fro too often.
pub(crate) fn flapping(state: &RecordState, changes: &VecMap<FieldName, Change>) -> Vec<FieldName> {
    let often =
        |(field, flips): &(&FieldName, &Flips)| flips.count > FLIPS_MAX && changes.contains_key(*field);
    state.flips.iter().filter(often).map(|(field, _)| field.clone()).collect()
}

/// Whether the side keeps what it has in some field, because it fights over it.
pub(crate) fn fights(part: &SideState) -> bool {
    part.parked.as_ref().is_some_and(|parked| parked.reason == ParkReason::Flapping)
}

/// Whether it does in `field`.
pub(crate) fn fights_over(part: &SideState, field: &FieldName) -> bool {
    fights(part) && part.parked.as_ref().is_some_and(|parked| parked.fields.contains(field))
}
