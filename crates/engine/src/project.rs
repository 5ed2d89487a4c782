//! What a side should be sent: the difference between the merged record and
//! what the side holds. Pure, and asked anew each time: nothing that is pending
//! is ever remembered, so nothing pending can be forgotten or sent stale.

use crate::brake::fights_over;
use crate::personal::is_open;
use crate::plan::{CollectionPlan, CollectionSide};
use crate::state::{RecordState, SideState};
use hms_sync_model::{Clock, FieldMap, FieldName, Operation, SideName, Value};
use hms_sync_resolver::{Presence, Reason};
use std::collections::BTreeSet;

/// A write that would bring a side in step.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Projection {
    /// What it does.
    pub operation: Operation,
    /// The canonical values it carries.
    pub fields: FieldMap,
}

/// Two values that no side need be told apart by a write: equal, or one absent
/// and the other null, which many sides cannot tell from each other.
pub(crate) fn same(a: &Value, b: &Value) -> bool {
    let nothing = |v: &Value| matches!(v, Value::Absent | Value::Null);
    a == b || nothing(a) && nothing(b)
}

/// What `side` should be sent; nothing if it is in step or cannot take it.
/// `listed` says whether everything on the side has been read once: before
/// that, what it seems to lack may be there.
pub(crate) fn projection(
    collection: &CollectionPlan,
    state: &RecordState,
    side: &SideName,
    listed: bool,
) -> Option<Projection> {
    let plan = collection.sides.get(side)?;
    let can = plan.abilities;
    let nobody = SideState::default();
    let part = state.sides.get(side).unwrap_or(&nobody);
    match state.merged.presence(&collection.rules) {
        Presence::Present if part.has_it() && can.update => {
            let mut fields = differing(collection, plan, state, part, side);
            fields.retain(|field, _| !fights_over(part, field));
            (!fields.is_empty()).then_some(Projection { operation: Operation::Update, fields })
        }
        Presence::Present if !part.has_it() && can.create && (listed || !can.read) => {
            let fields = whole(collection, plan, state);
            (!fields.is_empty()).then_some(Projection { operation: Operation::Create, fields })
        }
        Presence::Deleted if part.has_it() && can.delete => {
            Some(Projection { operation: Operation::Delete, fields: FieldMap::new() })
        }
        _ => None,
    }
}

/// Every field that the side takes and that has a value.
pub(crate) fn whole(collection: &CollectionPlan, plan: &CollectionSide, state: &RecordState) -> FieldMap {
    let all = state.merged.current(&collection.rules);
    let there =
        all.filter(|(field, value)| **value != Value::Absent && is_open(value) && plan.shape.takes(field));
    there.map(|(field, value)| (field.clone(), value.into_owned())).collect()
}

/// The fields whose merged value the side does not hold.
fn differing(
    collection: &CollectionPlan,
    plan: &CollectionSide,
    state: &RecordState,
    part: &SideState,
    side: &SideName,
) -> FieldMap {
    let mut fields = FieldMap::new();
    // Both are in order of name.
    let mut held = part.held.iter().peekable();
    for (field, value) in state.merged.current(&collection.rules) {
        while held.next_if(|(name, _)| *name < field).is_some() {}
        let holds = held.next_if(|(name, _)| *name == field).map(|(_, holds)| holds);
        let settled = holds.is_some_and(|holds| same(&value, &holds.sent)) || !is_open(&value);
        if settled || !plan.shape.takes(field) {
            continue;
        }
        let in_step = match holds {
            Some(_) => {
                let image = plan.shape.image(field, &value);
                same(&image, &shown(plan, part, field))
            }
            None => same(&plan.shape.image(field, &value), &Value::Absent),
        };
        if !in_step && !keeps_its_own(collection, state, side, field) {
            fields.insert(field.clone(), value.into_owned());
        }
    }
    fields
}

/// What the side shows of `field`, in its own image.
pub(crate) fn shown(plan: &CollectionSide, part: &SideState, field: &FieldName) -> Value {
    match part.held.get(field) {
        Some(held) => match &held.shown {
            Some(shown) => shown.clone(),
            None => plan.shape.image(field, &held.sent),
        },
        None => Value::Absent,
    }
}

/// While a person has to decide, those who disagree keep what they have.
fn keeps_its_own(
    collection: &CollectionPlan,
    state: &RecordState,
    side: &SideName,
    field: &FieldName,
) -> bool {
    if !state.merged.is_conflicted(field) {
        return false;
    }
    let decision = state.merged.decide(&collection.rules, field);
    matches!(decision.reason, Reason::Manual)
        && decision.siblings.iter().any(|(sibling, _)| sibling.dot.actor.as_side() == Some(side))
}

/// What `side`'s people are known to have seen of `field`: what they have been
/// shown, and what they did themselves.
fn has_seen(state: &RecordState, part: &SideState, side: &SideName, field: &FieldName) -> Clock {
    let mut seen = part.acked_of(field).clone();
    let actor = part.actor(side);
    seen.see(&actor, state.merged.clock.count(&actor));
    seen
}

/// Whether there is something of the record, be it in fields that `side` does not have,
/// that its people were not around for: a delete of theirs would be taken for concurrent
/// with it. A read that shows the record there settles it.
pub(crate) fn is_behind(state: &RecordState, side: &SideName) -> bool {
    let Some(part) = state.sides.get(side).filter(|part| part.has_it()) else { return false };
    if part.acked.covers(&state.merged.clock) && part.but.is_empty() {
        return false;
    }
    let actor = part.actor(side);
    let mut seen = part.acked.clone();
    seen.see(&actor, state.merged.clock.count(&actor));
    !part.but.is_empty() || !seen.covers(&state.merged.clock)
}

/// Whether `side`, though in step, is not known to have seen all that was
/// merged: its next edit would be taken for a concurrent one. A read begun after
/// the merge that shows it unchanged settles it.
pub(crate) fn is_unconfirmed(plan: &CollectionSide, state: &RecordState, side: &SideName) -> bool {
    let Some(part) = state.sides.get(side).filter(|part| part.has_it()) else { return false };
    if part.acked.covers(&state.merged.clock) && part.but.is_empty() {
        return false;
    }
    state.merged.field_names().any(|field| {
        (plan.shape.takes(field) || plan.shape.gives(field))
            && !has_seen(state, part, side, field).covers(&state.merged.seen(field))
    })
}

/// Fields whose siblings every side has seen: their decision can be written
/// down, so that a later change of the rules does not turn what is long settled.
/// The fields of a group are settled together or not at all.
pub(crate) fn settled_fields(collection: &CollectionPlan, state: &RecordState) -> BTreeSet<FieldName> {
    let is_seen = |field: &FieldName| seen_by_all(collection, state, field);
    let mut settled = BTreeSet::new();
    for field in state.merged.met() {
        let group = collection.rules.group_of(field).map(|group| group.fields.as_slice());
        let members = group.unwrap_or(std::slice::from_ref(field));
        let there = || members.iter().filter(|member| state.merged.field_names().any(|name| name == *member));
        if there().all(is_seen) {
            settled.extend(there().cloned());
        }
    }
    settled
}

/// Whether every side that has the field has seen all its siblings.
fn seen_by_all(collection: &CollectionPlan, state: &RecordState, field: &FieldName) -> bool {
    let all = state.merged.seen(field);
    let mut sides =
        collection.sides.iter().filter(|(_, plan)| plan.shape.takes(field) || plan.shape.gives(field));
    sides.all(|(side, plan)| match state.sides.get(side) {
        Some(part) if part.has_it() => has_seen(state, part, side, field).covers(&all),
        Some(_) | None => !plan.abilities.create,
    })
}
