//! From siblings to a value, with the reason.

use crate::field::FieldState;
use crate::policy::{distinct, filter, last_resort};
use crate::reason::Reason;
use crate::record::Record;
use crate::reg::{Reg, Sibling};
use crate::rules::{FieldRule, Kind, Policy, Rules};
use hms_sync_model::{FieldName, Value, VecMap};

/// A field's value, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    /// The value that stands.
    pub value: Value,
    /// Why.
    pub reason: Reason,
    /// Every concurrent value, and whether it is the one that stands.
    pub siblings: Vec<(Sibling, bool)>,
}

/// What kind of conflict there is. The names are those of the reports.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConflictKind {
    /// Different values of one field.
    EditEdit,
    /// One deleted the record, another changed it.
    EditDelete,
    /// Both made the record, with different values.
    CreateCreate,
}

impl ConflictKind {
    /// `edit_edit`, `edit_delete`, `create_create`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::EditEdit => "edit_edit",
            Self::EditDelete => "edit_delete",
            Self::CreateCreate => "create_create",
        }
    }
}

/// One conflict.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Conflict {
    /// Of which field; nothing if it is about the record itself.
    pub field: Option<FieldName>,
    /// Which kind.
    pub kind: ConflictKind,
    /// What stands, why, and what does not.
    pub decision: Decision,
}

/// Decides one field.
pub(crate) fn decide(record: &Record, rules: &Rules, field: &FieldName) -> Decision {
    let Some(state) = record.field(field) else {
        return Decision { value: Value::Absent, reason: Reason::Nobody, siblings: Vec::new() };
    };
    let rule = rules.rule(field);
    let (value, reason) = match state {
        FieldState::Set(elements) => (union(elements, rule), Reason::Union),
        FieldState::Counter(sums) => (crate::number::sum(sums.values().map(|sum| &sum.total)), Reason::Sum),
        FieldState::Value { .. } => match rules.group_of(field).filter(|group| group.lead != *field) {
            Some(group) => {
                (with_lead(record, rules, &group.lead, field), Reason::GroupLead(group.lead.clone()))
            }
            None => decide_value(state, rules, rule),
        },
    };
    let mark = |sibling: &Sibling| (sibling.clone(), sibling.change.after == value);
    let siblings = state.siblings().iter().map(mark).collect();
    Decision { value, reason, siblings }
}

fn decide_value(state: &FieldState, rules: &Rules, rule: &FieldRule) -> (Value, Reason) {
    if let Some(standing) = state.standing(rule) {
        let (value, _) = among(standing, rules, rule);
        let reason = match &rule.owner {
            Some(owner) if rule.locks.is_empty() => Reason::Owner(owner.side.clone()),
            _ => Reason::Locked,
        };
        return (value, reason);
    }
    among(state.siblings(), rules, rule)
}

/// The rules in order, until one value is left; then the last resort.
fn among(siblings: &[Sibling], rules: &Rules, rule: &FieldRule) -> (Value, Reason) {
    let mut left = match siblings {
        [] => return (Value::Absent, Reason::Nobody),
        [only] => return (only.change.after.clone(), Reason::OnlyValue),
        several => distinct(rules, several),
    };
    if let [only] = left.as_slice() {
        return (only.change.after.clone(), Reason::Agreed);
    }
    for policy in &rule.resolve {
        match policy {
            Policy::Manual => return (agreed_before(&left), Reason::Manual),
            Policy::MergeText => {
                if let Some(merged) = merge_texts(&left) {
                    return (merged, Reason::Policy(policy.clone()));
                }
            }
            _ => left = filter(policy, &left),
        }
        if let [only] = left.as_slice() {
            return (only.change.after.clone(), Reason::Policy(policy.clone()));
        }
    }
    match last_resort(rules, &left) {
        Some(winner) => (winner.change.after.clone(), Reason::LastResort),
        None => (Value::Absent, Reason::Nobody),
    }
}

/// What stood before those who disagree touched it.
fn agreed_before(siblings: &[&Sibling]) -> Value {
    let first = siblings.iter().min_by_key(|sibling| (sibling.stamp.high, &sibling.dot));
    first.map(|sibling| sibling.change.before.clone()).unwrap_or_default()
}

/// Two texts over what both started from.
fn merge_texts(siblings: &[&Sibling]) -> Option<Value> {
    let [a, b] = siblings else { return None };
    let base = a.change.before.as_text()?;
    if b.change.before != a.change.before {
        return None;
    }
    crate::text::merge(base, a.change.after.as_text()?, b.change.after.as_text()?).map(Value::text)
}

/// A field of a group: as whoever won the lead has it.
fn with_lead(record: &Record, rules: &Rules, lead: &FieldName, field: &FieldName) -> Value {
    let siblings = record.siblings(field);
    let of_lead = decide(record, rules, lead);
    let won = |actor: &hms_sync_model::Actor| {
        of_lead.siblings.iter().any(|(s, wins)| *wins && s.dot.actor == *actor)
    };
    let lost = |actor: &hms_sync_model::Actor| {
        of_lead.siblings.iter().any(|(s, wins)| !wins && s.dot.actor == *actor)
    };
    let of_winner: Vec<&Sibling> = siblings.iter().filter(|s| won(&s.dot.actor)).collect();
    if let Some(winner) = last_resort(rules, &of_winner) {
        return winner.change.after.clone();
    }
    // The winner left the field alone: what stood there before those who lost touched it.
    let (of_losers, others): (Vec<&Sibling>, Vec<&Sibling>) =
        siblings.iter().partition(|s| lost(&s.dot.actor));
    match last_resort(rules, &others) {
        Some(other) => other.change.after.clone(),
        None => agreed_before(&of_losers),
    }
}

/// The elements that are in.
fn union(elements: &VecMap<Value, Reg>, rule: &FieldRule) -> Value {
    let remove_wins = matches!(rule.kind, Kind::Set { remove_wins: true });
    let is_in = |reg: &Reg| {
        let says = |present: bool| reg.siblings().iter().any(|s| s.change.after == Value::Bool(present));
        says(true) && !(remove_wins && says(false))
    };
    Value::set(elements.iter().filter(|(_, reg)| is_in(reg)).map(|(element, _)| element.clone()))
}

/// Every conflict of a record.
pub(crate) fn conflicts(record: &Record, rules: &Rules) -> Vec<Conflict> {
    let mut all = Vec::new();
    for field in record.field_names().filter(|field| record.is_conflicted(field)) {
        let decision = decide(record, rules, field);
        let made = decision.siblings.iter().all(|(sibling, _)| sibling.change.before == Value::Absent);
        let kind = if made { ConflictKind::CreateCreate } else { ConflictKind::EditEdit };
        all.push(Conflict { field: Some(field.clone()), kind, decision });
    }
    let presence = record.presence_siblings();
    if let [first, rest @ ..] = presence
        && rest.iter().any(|sibling| sibling.change.after != first.change.after)
    {
        let (value, reason) = match record.presence(rules) {
            crate::Presence::Present => (Value::Bool(true), Reason::OnlyValue),
            crate::Presence::Deleted => (Value::Bool(false), Reason::OnlyValue),
            crate::Presence::Unborn | crate::Presence::Undecided => (Value::Null, Reason::Manual),
        };
        let siblings = presence.iter().map(|s| (s.clone(), s.change.after == value)).collect();
        let decision = Decision { value, reason, siblings };
        all.push(Conflict { field: None, kind: ConflictKind::EditDelete, decision });
    }
    all
}
