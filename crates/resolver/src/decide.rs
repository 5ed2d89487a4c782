//! From siblings to a value, with the reason.

use crate::expression::Expression;
use crate::fault::{Fault, is_back};
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
    /// Why an expression that was asked first could not decide.
    pub failed: Option<String>,
    /// Every concurrent value, and whether it is the one that stands.
    pub siblings: Vec<(Sibling, bool)>,
}

impl Decision {
    /// Why, in words, and what was tried before.
    pub fn words(&self) -> String {
        match &self.failed {
            Some(failed) => format!("{}; the expression could not decide: {failed}", self.reason),
            None => self.reason.to_string(),
        }
    }

    /// The same in a sentence.
    pub fn sentence(&self) -> String {
        let words = self.reason.sentence();
        match &self.failed {
            Some(failed) => format!("{words}; the expression asked before could not decide: {failed}"),
            None => words,
        }
    }
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

/// A value among siblings: why it stands, and through whom.
struct Verdict<'a> {
    value: Value,
    reason: Reason,
    by: Option<By<'a>>,
    failed: Option<String>,
}

/// Whose edit a value comes from; nothing for a value that is nobody's alone.
enum By<'a> {
    /// What this edit left.
    Left(&'a Sibling),
    /// What this edit found.
    Found(&'a Sibling),
}

impl<'a> Verdict<'a> {
    fn left(reason: Reason, sibling: &'a Sibling) -> Self {
        Self { value: sibling.change.after.clone(), reason, by: Some(By::Left(sibling)), failed: None }
    }

    fn found(reason: Reason, sibling: &'a Sibling) -> Self {
        Self { value: sibling.change.before.clone(), reason, by: Some(By::Found(sibling)), failed: None }
    }

    fn nobody() -> Self {
        Self { value: Value::Absent, reason: Reason::Nobody, by: None, failed: None }
    }
}

/// Decides one field.
pub(crate) fn decide(record: &Record, rules: &Rules, field: &FieldName) -> Decision {
    let Some(state) = record.field(field) else {
        return Decision { value: Value::Absent, reason: Reason::Nobody, failed: None, siblings: Vec::new() };
    };
    let rule = rules.rule(field);
    let (mut failed, leads) = (None, rules.group_of(field).is_some());
    let (value, reason) = match state {
        FieldState::Set(elements) => (union(elements, rule), Reason::Union),
        FieldState::Elements(elements) => {
            let contested: Vec<Value> = elements.contested().cloned().collect();
            let reason = if contested.is_empty() { Reason::Union } else { Reason::Elements(contested) };
            (elements.value(rules, rule), reason)
        }
        FieldState::Counter(sums) => (crate::number::sum(sums.values().map(|sum| &sum.total)), Reason::Sum),
        FieldState::Value { last, .. } if rule.kind != Kind::Value && is_back(Fault::KindsAtReadTime) => {
            (at_read_time(last, rule), Reason::Union)
        }
        FieldState::Value { .. } => {
            if let Some(group) = rules.group_of(field).filter(|group| group.lead != *field) {
                (with_lead(record, rules, &group.lead, state), Reason::GroupLead(group.lead.clone()))
            } else {
                let verdict = decide_value(state, rules, rule, leads);
                failed = verdict.failed;
                (verdict.value, verdict.reason)
            }
        }
    };
    let mark = |sibling: &Sibling| (sibling.clone(), sibling.change.after == value);
    let siblings = state.siblings().iter().map(mark).collect();
    Decision { value, reason, failed, siblings }
}

fn decide_value<'a>(state: &'a FieldState, rules: &Rules, rule: &FieldRule, leads: bool) -> Verdict<'a> {
    if let Some(standing) = state.standing(rule) {
        if !rule.fills_blank.is_empty() {
            return among(standing, rules, rule, leads);
        }
        let reason = match &rule.owner {
            Some(owner) if rule.locks.is_empty() => Reason::Owner(owner.side.clone()),
            _ => Reason::Locked,
        };
        let verdict = among(standing, rules, rule, leads);
        // What waits for a person waits for one here too.
        return if verdict.reason == Reason::Manual { verdict } else { Verdict { reason, ..verdict } };
    }
    among(state.siblings(), rules, rule, leads)
}

/// The rules in order, until one value is left; then the last resort. Each rule
/// looks at all who are left, also at those who agree with another: a preferred
/// side is heard though somebody else said the same. Whoever leads a group must be
/// somebody, whom the others follow.
fn among<'a>(siblings: &'a [Sibling], rules: &Rules, rule: &FieldRule, leads: bool) -> Verdict<'a> {
    let mut failed = None;
    let verdict = among_failing(siblings, rules, rule, leads, &mut failed);
    Verdict { failed, ..verdict }
}

fn among_failing<'a>(
    siblings: &'a [Sibling],
    rules: &Rules,
    rule: &FieldRule,
    leads: bool,
    failed: &mut Option<String>,
) -> Verdict<'a> {
    let mut left: Vec<&Sibling> = match siblings {
        [] => return Verdict::nobody(),
        [only] => return Verdict::left(Reason::OnlyValue, only),
        several => several.iter().collect(),
    };
    if let Some(winner) = agreed(rules, &left) {
        return Verdict::left(Reason::Agreed, winner);
    }
    for policy in &rule.resolve {
        match policy {
            Policy::Manual => {
                return earliest_of(&left)
                    .map_or_else(Verdict::nobody, |s| Verdict::found(Reason::Manual, s));
            }
            Policy::MergeText => {
                if let Some(value) = merge_texts(&distinct(rules, &left)) {
                    return Verdict { value, reason: Reason::Policy(policy.clone()), by: None, failed: None };
                }
            }
            Policy::Expression(expression) => match chosen(expression, rules, rule, &left, leads) {
                Ok((value, by)) => {
                    let reason = Reason::Policy(policy.clone());
                    return Verdict { value, reason, by: by.map(By::Left), failed: None };
                }
                Err(why) => *failed = Some(why),
            },
            _ => left = filter(policy, &left),
        }
        if let Some(winner) = agreed(rules, &left) {
            return Verdict::left(Reason::Policy(policy.clone()), winner);
        }
    }
    last_resort(rules, &left).map_or_else(Verdict::nobody, |s| Verdict::left(Reason::LastResort, s))
}

/// What an expression comes to, and whose value that is if it is anybody's.
fn chosen<'a>(
    expression: &Expression,
    rules: &Rules,
    rule: &FieldRule,
    left: &[&'a Sibling],
    leads: bool,
) -> Result<(Value, Option<&'a Sibling>), String> {
    let value = expression.choose(&rule.ty, left).map_err(|why| why.to_string())?;
    let same: Vec<&Sibling> = left.iter().copied().filter(|s| s.change.after == value).collect();
    let by = last_resort(rules, &same);
    if by.is_none() && leads {
        return Err("it comes to a value that nobody set, and a group follows somebody".to_owned());
    }
    Ok((value, by))
}

/// One of them, if all have the same value.
fn agreed<'a>(rules: &Rules, siblings: &[&'a Sibling]) -> Option<&'a Sibling> {
    let [first, rest @ ..] = siblings else { return None };
    let same = rest.iter().all(|other| other.change.after == first.change.after);
    if same { last_resort(rules, siblings) } else { None }
}

/// Who can have come first: what that edit found is what stood before those who disagree.
fn earliest_of<'a>(siblings: &[&'a Sibling]) -> Option<&'a Sibling> {
    siblings.iter().copied().min_by_key(|sibling| (sibling.stamp.high, &sibling.dot))
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

/// A field of a group: as whoever decided the lead left it, or found it. A locked
/// lead locks the whole group.
fn with_lead(record: &Record, rules: &Rules, lead: &FieldName, state: &FieldState) -> Value {
    let rule = rules.rule(lead);
    let lead = record.field(lead);
    let by = lead.and_then(|lead| decide_value(lead, rules, rule, true).by);
    let locked = lead.and_then(|lead| lead.standing(rule)).and_then(|_| state.standing(rule));
    let own = |of: &Sibling| {
        let siblings = locked.unwrap_or_default().iter().chain(state.siblings());
        siblings.into_iter().find(|sibling| sibling.dot.actor == of.dot.actor)
    };
    let part = by.and_then(|by| match by {
        By::Left(of) => own(of).map(|sibling| &sibling.change.after),
        By::Found(of) => own(of).map(|sibling| &sibling.change.before),
    });
    part.cloned()
        .unwrap_or_else(|| untouched(rules, lead.map_or(&[], FieldState::siblings), state.siblings()))
}

/// What stands in a group's field that whoever decided the lead left alone: an
/// edit of somebody who left the lead alone, or what stood there before those
/// who lost touched it.
fn untouched(rules: &Rules, leads: &[Sibling], members: &[Sibling]) -> Value {
    let lost = |sibling: &&Sibling| leads.iter().any(|lead| lead.dot.actor == sibling.dot.actor);
    let (of_losers, others): (Vec<&Sibling>, Vec<&Sibling>) = members.iter().partition(lost);
    let found = || earliest_of(&of_losers).map(|sibling| &sibling.change.before);
    last_resort(rules, &others).map(|other| &other.change.after).or_else(found).cloned().unwrap_or_default()
}

/// A set or a counter out of concurrent values: only where F8 (`fault.rs`) is put back.
fn at_read_time(last: &Reg, rule: &FieldRule) -> Value {
    let changes = || last.siblings().iter().map(|sibling| &sibling.change);
    if rule.kind == Kind::Counter {
        let added: Vec<Value> = changes().map(|c| crate::number::difference(&c.before, &c.after)).collect();
        return crate::number::sum(added.iter());
    }
    let elements = |value: &Value| match value {
        Value::Set(elements) => elements.to_vec(),
        _ => Vec::new(),
    };
    Value::set(changes().flat_map(|change| elements(&change.after)))
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
        let decision = Decision { value, reason, failed: None, siblings };
        all.push(Conflict { field: None, kind: ConflictKind::EditDelete, decision });
    }
    all
}
