//! What a side should be sent: the difference between the merged record and
//! what the side holds. Pure, and asked anew each time: nothing that is pending
//! is ever remembered, so nothing pending can be forgotten or sent stale.

use crate::brake::fights_over;
use crate::personal::is_open;
use crate::plan::{CollectionPlan, CollectionSide, Plan};
use crate::state::{RecordState, SideState};
use hms_sync_model::{Clock, FieldMap, FieldName, Operation, RecordId, SideName, Value};
use hms_sync_resolver::fault::{Fault, is_back};
use hms_sync_resolver::{Broken, Presence, Reason, Record, Rules};
use std::borrow::Cow;
use std::collections::BTreeSet;
use std::sync::Arc;

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
    match (a, b) {
        // Mostly one is a copy of the other.
        (Value::Text(a), Value::Text(b)) => Arc::ptr_eq(a, b) || a == b,
        (Value::Absent | Value::Null, Value::Absent | Value::Null) => true,
        _ => a == b,
    }
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
    let (plan, operation) = candidate(collection, state, side, listed)?;
    let owned = |(field, value): (&FieldName, Cow<'_, Value>)| (field.clone(), value.into_owned());
    let fields: FieldMap = match operation {
        Operation::Update => sendable(collection, plan, state, side).map(owned).collect(),
        Operation::Create => takeable(collection, plan, state).map(owned).collect(),
        Operation::Delete => FieldMap::new(),
    };
    (operation == Operation::Delete || !fields.is_empty()).then_some(Projection { operation, fields })
}

/// What [`projection`] would do, without the values. Most records lack nothing, and those
/// that do are asked again when there is room to write.
pub(crate) fn lacks(
    collection: &CollectionPlan,
    state: &RecordState,
    side: &SideName,
    listed: bool,
) -> Option<Operation> {
    let (plan, operation) = candidate(collection, state, side, listed)?;
    let any = match operation {
        Operation::Update => sendable(collection, plan, state, side).next().is_some(),
        Operation::Create => takeable(collection, plan, state).next().is_some(),
        Operation::Delete => true,
    };
    debug_assert_eq!(any, projection(collection, state, side, listed).is_some());
    any.then_some(operation)
}

/// The one write that can come into question for `side`, if there is anything to write.
fn candidate<'c>(
    collection: &'c CollectionPlan,
    state: &RecordState,
    side: &SideName,
    listed: bool,
) -> Option<(&'c CollectionSide, Operation)> {
    let plan = collection.sides.get(side)?;
    let can = plan.abilities;
    let has_it = state.sides.get(side).is_some_and(SideState::has_it);
    if is_unlinked(state, side) {
        return None;
    }
    let operation = match state.merged.presence(&collection.rules) {
        Presence::Present if has_it && can.update => Operation::Update,
        Presence::Present if !has_it && can.create && (listed || !can.read) => {
            let takes = |broken: &Broken<'_>| broken.group.fields.iter().any(|field| plan.shape.takes(field));
            if collection.rules.broken(&state.merged).iter().any(takes) {
                return None;
            }
            Operation::Create
        }
        Presence::Deleted if has_it && can.delete => Operation::Delete,
        _ => return None,
    };
    Some((plan, operation))
}

/// Whether a person took the record and the side apart.
fn is_unlinked(state: &RecordState, side: &SideName) -> bool {
    state.sides.get(side).is_some_and(|part| part.unlinked)
}

/// Why something that `side` should be sent is held back: a group that does not keep
/// what it requires. A record that is not there yet waits as a whole.
pub(crate) fn held_back(
    collection: &CollectionPlan,
    state: &RecordState,
    side: &SideName,
    listed: bool,
) -> Option<String> {
    let rules = &collection.rules;
    let concerns = state.merged.presence(rules) == Presence::Present && !is_unlinked(state, side);
    if rules.formulas().is_empty() || !concerns {
        return None;
    }
    let plan = collection.sides.get(side)?;
    let can = plan.abilities;
    let has_it = state.sides.get(side).is_some_and(SideState::has_it);
    let differing: BTreeSet<&FieldName> = if has_it && can.update {
        differing(collection, plan, state, side).map(|(field, _)| field).collect()
    } else if !has_it && can.create && (listed || !can.read) {
        BTreeSet::new()
    } else {
        return None;
    };
    let broken = rules.broken(&state.merged);
    let concerned = |broken: &&Broken<'_>| {
        let there = |field: &FieldName| {
            if has_it { differing.contains(field) } else { plan.shape.takes(field) }
        };
        broken.group.fields.iter().any(there)
    };
    broken.iter().find(concerned).map(|Broken { group, require, failed }| {
        let why = failed.as_ref().map(|why| format!(" ({why})")).unwrap_or_default();
        format!(
            "group {} is held back: it requires `{require}`, which does not hold for the merged record{why}; \
             put it right on any side",
            group.name
        )
    })
}

/// Whether everything of groups with a `require` that the side should hold went with a
/// write: what was held back has not been shown to anybody.
pub(crate) fn is_all_of_groups_in(
    collection: &CollectionPlan,
    plan: &CollectionSide,
    state: &RecordState,
    side: &SideName,
    written: &FieldMap,
) -> bool {
    if collection.rules.formulas().is_empty() {
        return true;
    }
    let grouped = |field: &FieldName| collection.rules.group_of(field).is_some();
    differing(collection, plan, state, side).all(|(field, _)| written.contains_key(field) || !grouped(field))
}

/// Every field that the side takes and that has a value.
pub(crate) fn whole(collection: &CollectionPlan, plan: &CollectionSide, state: &RecordState) -> FieldMap {
    takeable(collection, plan, state).map(|(field, value)| (field.clone(), value.into_owned())).collect()
}

/// The same, one after the other.
fn takeable<'s>(
    collection: &'s CollectionPlan,
    plan: &'s CollectionSide,
    state: &'s RecordState,
) -> impl Iterator<Item = (&'s FieldName, Cow<'s, Value>)> {
    let all = state.merged.current(&collection.rules);
    all.filter(|(field, value)| {
        !matches!(**value, Value::Absent) && is_open(value) && plan.shape.takes(field)
    })
}

/// The fields whose merged value the side does not hold.
fn differing<'s>(
    collection: &'s CollectionPlan,
    plan: &'s CollectionSide,
    state: &'s RecordState,
    side: &'s SideName,
) -> impl Iterator<Item = (&'s FieldName, Cow<'s, Value>)> {
    let part = state.sides.get(side);
    // Both are in order of name.
    let mut held = part.into_iter().flat_map(|part| part.held.iter()).peekable();
    state.merged.current(&collection.rules).filter(move |(field, value)| {
        let field = *field;
        while held.next_if(|(name, _)| *name < field).is_some() {}
        let holds = held.next_if(|(name, _)| *name == field).map(|(_, holds)| holds);
        let settled = holds.is_some_and(|holds| same(value, &holds.sent)) || !is_open(value);
        if settled || !plan.shape.takes(field) {
            return false;
        }
        let image = plan.shape.image(field, value);
        let there = part.filter(|_| holds.is_some()).map(|part| shown(plan, part, field));
        let in_step = same(&image, &there.unwrap_or_default());
        !in_step && !keeps_its_own(&collection.rules, &state.merged, side, field)
    })
}

/// Those of them that it is to be sent now: no group that is held back, nothing that it fights over.
fn sendable<'s>(
    collection: &'s CollectionPlan,
    plan: &'s CollectionSide,
    state: &'s RecordState,
    side: &'s SideName,
) -> impl Iterator<Item = (&'s FieldName, Cow<'s, Value>)> {
    let broken = collection.rules.broken(&state.merged);
    let part = state.sides.get(side);
    differing(collection, plan, state, side).filter(move |(field, _)| {
        let is_held = broken.iter().any(|broken| broken.group.fields.contains(field));
        !is_held && !part.is_some_and(|part| fights_over(part, field))
    })
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

/// While a person has to decide, those who disagree keep what they have, and have not
/// been shown what others have. A group waits as a whole, for its lead.
pub(crate) fn keeps_its_own(rules: &Rules, merged: &Record, side: &SideName, field: &FieldName) -> bool {
    let lead = rules.group_of(field).map_or(field, |group| &group.lead);
    if !merged.is_conflicted(lead) {
        return false;
    }
    let decision = merged.decide(rules, lead);
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
/// with it. A read that shows the record there settles it, but for what a conflict that
/// waits for a person keeps from them.
pub(crate) fn is_behind(rules: &Rules, state: &RecordState, side: &SideName) -> bool {
    let Some(part) = state.sides.get(side).filter(|part| part.has_it()) else { return false };
    if has_seen_all(part, state) {
        return false;
    }
    let actor = part.actor(side);
    let mut seen = part.acked.clone();
    seen.see(&actor, state.merged.clock.count(&actor));
    let shown = |field: &FieldName| !keeps_its_own(rules, &state.merged, side, field);
    part.but.keys().any(shown) || !seen.covers(&state.merged.clock)
}

/// Whether a side is known to have seen all that was merged.
fn has_seen_all(part: &SideState, state: &RecordState) -> bool {
    part.but.is_empty() && part.acked.covers(&state.merged.clock)
}

/// Whether, by its clocks alone, all sides have a record and have seen all of it, all handlers
/// are done with it, and nothing is under way.
pub(crate) fn is_in_step(plan: &Plan, record: &RecordId, state: &RecordState) -> bool {
    let Some((name, collection)) = plan.collections.get_key_value(record.collection()) else { return false };
    let clock = &state.merged.clock;
    let open = |part: &SideState| part.write.is_some() || part.doubt.is_some() || part.unread.is_some();
    let quiet = |part: &SideState| !open(part) && has_seen_all(part, state);
    let mut jobs = plan.jobs.iter().filter(|(_, job)| job.collection == *name);
    state.requests.is_empty()
        && collection.sides.keys().all(|side| state.sides.get(side).is_some_and(quiet))
        && jobs.all(|(job, _)| state.jobs.get(job).is_some_and(|job| job.handled.covers(clock)))
}

/// Whether `side`, though in step, is not known to have seen all that was
/// merged: its next edit would be taken for a concurrent one. A read begun after
/// the merge that shows it unchanged settles it.
pub(crate) fn is_unconfirmed(collection: &CollectionPlan, state: &RecordState, side: &SideName) -> bool {
    if is_back(Fault::InStepUnacknowledged) {
        return false;
    }
    let Some(plan) = collection.sides.get(side) else { return false };
    let Some(part) = state.sides.get(side).filter(|part| part.has_it()) else { return false };
    if has_seen_all(part, state) {
        return false;
    }
    state.merged.field_names().any(|field| {
        (plan.shape.takes(field) || plan.shape.gives(field))
            && !has_seen(state, part, side, field).covers(&state.merged.seen(field))
            && !keeps_its_own(&collection.rules, &state.merged, side, field)
            // What it did not keep it will not show, however often it is read.
            && !part.held.get(field).is_some_and(|held| held.not_kept)
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
        Some(part) if part.unlinked => true,
        Some(_) | None => !plan.abilities.create,
    })
}
