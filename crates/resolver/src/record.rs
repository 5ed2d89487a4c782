//! A record: its fields, whether it is there, and what it has seen.

use crate::decide::{Conflict, Decision, conflicts, decide};
use crate::fault::{Fault, is_back};
use crate::field::{FieldState, Put};
use crate::reg::{Reg, Sibling};
use crate::rules::{Deletes, Rules};
use hms_sync_model::{Actor, Author, Change, Clock, Dot, Edit, FieldMap, FieldName, Value, VecMap};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;

/// One record's registers.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Record {
    /// Which life of the record: 0, and one more for each re-creation after a delete.
    #[serde(rename = "g", default)]
    pub generation: u32,
    #[serde(rename = "p", default)]
    presence: Reg,
    #[serde(rename = "f", default)]
    fields: VecMap<FieldName, FieldState>,
    /// Every edit it has taken in.
    #[serde(rename = "c", default)]
    pub clock: Clock,
}

/// Whether a record is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Presence {
    /// No edit has been taken in yet.
    Unborn,
    /// It is there.
    Present,
    /// It has been deleted.
    Deleted,
    /// Deleted by one, changed by another who did not know: a person decides.
    Undecided,
}

/// Why an edit cannot be taken in.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// Counters start at 1.
    #[error("edit {0} has no number: counting starts at 1")]
    NoNumber(Dot),
    /// An author has always seen its own past, and never its future.
    #[error("edit {dot} says that its author had seen {seen} edits of its own, not {}", dot.n - 1)]
    NotOwnPast {
        /// The edit.
        dot: Dot,
        /// What its context says.
        seen: u64,
    },
    /// The edit is of another life of the record.
    #[error("edit {dot} is of generation {found}, the record of generation {wanted}")]
    Generation {
        /// The edit.
        dot: Dot,
        /// The edit's generation.
        found: u32,
        /// The record's.
        wanted: u32,
    },
}

/// Whether an edit leaves `field` at a locked value; nothing if it has none. A
/// group is locked as a whole, by its lead.
fn reaches_lock(rules: &Rules, edit: &Edit, field: &FieldName, change: &Change) -> Option<bool> {
    let (rule, change) = match rules.group_of(field) {
        Some(group) => (rules.rule(&group.lead), edit.changes.get(&group.lead)),
        None => (rules.rule(field), Some(change)),
    };
    let reaches = || change.is_some_and(|change| rule.locks.contains(&change.after));
    (!rule.locks.is_empty()).then(reaches)
}

/// Whether an edit without its author's own past is let in.
fn passes_unseen(actor: &Actor) -> bool {
    is_back(Fault::OwnPastLeftOut) || is_back(Fault::OneOperator) && actor.author == Author::Operator
}

impl Record {
    /// Takes in one edit: the only place where registers change. Taking it in
    /// twice, or in another order with others, makes no difference.
    pub fn apply(&mut self, rules: &Rules, edit: &Edit) -> Result<(), Malformed> {
        self.check(edit)?;
        let stamp = edit.stamp;
        let mut seen = edit.context.clone();
        seen.see(&edit.dot.actor, edit.dot.n);
        if self.fields.is_empty() {
            self.fields.reserve(edit.changes.len());
        }
        for (field, change) in edit.changes.iter() {
            let rule = rules.rule(field);
            // Whoever is checked has its own past in its context.
            let (context, after) = if edit.but.contains_key(field) && !is_back(Fault::OneContext) {
                (Cow::Owned(edit.context_of(field)), None)
            } else {
                (Cow::Borrowed(&edit.context), Some(&seen))
            };
            let locks = reaches_lock(rules, edit, field, change);
            let put = Put { dot: &edit.dot, context, after, change, stamp, locks };
            let state = self.fields.entry_or(field.clone(), || FieldState::new(rule));
            state.put(rule, &put);
            state.share(&seen);
        }
        let present = Change { before: Value::Absent, after: Value::Bool(!edit.deletes) };
        if !is_back(Fault::PresenceUntouched) || edit.deletes || self.presence.is_empty() {
            self.presence.put_knowing(&edit.dot, &edit.context, Some(&seen), present, stamp);
        }
        self.presence.share(&seen);
        self.clock.see(&edit.dot.actor, edit.dot.n);
        self.clock.share(&seen);
        Ok(())
    }

    fn check(&self, edit: &Edit) -> Result<(), Malformed> {
        let dot = &edit.dot;
        if dot.n == 0 {
            return Err(Malformed::NoNumber(dot.clone()));
        }
        let seen = edit.context.count(&dot.actor);
        let exception = edit.but.values().map(|clock| clock.count(&dot.actor)).find(|n| *n >= dot.n);
        if (seen != dot.n - 1 || exception.is_some()) && !passes_unseen(&dot.actor) {
            return Err(Malformed::NotOwnPast { dot: dot.clone(), seen: exception.unwrap_or(seen) });
        }
        // An unborn record takes the generation of nobody: it starts at its own.
        if edit.generation != self.generation {
            let (found, wanted) = (edit.generation, self.generation);
            return Err(Malformed::Generation { dot: dot.clone(), found, wanted });
        }
        Ok(())
    }

    /// Forgets all that was ever in a field, as if nobody had touched it. What has been
    /// seen of the record stays.
    pub fn forget(&mut self, field: &FieldName) {
        self.fields.remove(field);
    }

    /// Two replicas of the same record together: the least upper bound.
    #[must_use]
    pub fn join(&self, other: &Self) -> Self {
        // Another life is not merged with: the later one stands.
        if self.generation != other.generation {
            return if self.generation > other.generation { self.clone() } else { other.clone() };
        }
        let mut fields = self.fields.clone();
        for (field, theirs) in other.fields.iter() {
            let both = fields.get(field).map_or_else(|| theirs.clone(), |ours| ours.join(theirs));
            fields.insert(field.clone(), both);
        }
        Self {
            generation: self.generation,
            presence: self.presence.join(&other.presence),
            fields,
            clock: self.clock.clone().merged(&other.clock),
        }
    }

    /// Fields that any edit has touched, in order of name.
    pub fn field_names(&self) -> impl Iterator<Item = &FieldName> {
        self.fields.keys()
    }

    pub(crate) fn field(&self, field: &FieldName) -> Option<&FieldState> {
        self.fields.get(field)
    }

    /// The value of a field; absent if nobody has touched it.
    pub fn value(&self, rules: &Rules, field: &FieldName) -> Value {
        match self.fields.get(field) {
            Some(state) => self.value_of(rules, field, state).into_owned(),
            None => Value::Absent,
        }
    }

    /// Every field that any edit has touched with its value, in order of name.
    pub fn current<'a>(&'a self, rules: &'a Rules) -> impl Iterator<Item = (&'a FieldName, Cow<'a, Value>)> {
        self.fields.iter().map(|(field, state)| (field, self.value_of(rules, field, state)))
    }

    fn value_of<'a>(&'a self, rules: &Rules, field: &FieldName, state: &'a FieldState) -> Cow<'a, Value> {
        match state {
            FieldState::Value { last, first: None } if rules.group_of(field).is_none() => {
                match last.siblings() {
                    [only] => Cow::Borrowed(&only.change.after),
                    _ => Cow::Owned(self.decide(rules, field).value),
                }
            }
            _ => Cow::Owned(self.decide(rules, field).value),
        }
    }

    /// Fields in which concurrent edits meet, whether they differ or not.
    pub fn met(&self) -> impl Iterator<Item = &FieldName> {
        let several = |(_, state): &(&FieldName, &FieldState)| state.siblings().len() > 1;
        self.fields.iter().filter(several).map(|(field, _)| field)
    }

    /// The value of a field, and why.
    pub fn decide(&self, rules: &Rules, field: &FieldName) -> Decision {
        decide(self, rules, field)
    }

    /// Every field's value, those that are absent left out.
    pub fn values(&self, rules: &Rules) -> FieldMap {
        let all = self.fields.keys().map(|field| (field.clone(), self.value(rules, field)));
        all.filter(|(_, value)| *value != Value::Absent).collect()
    }

    /// The concurrent values of a field, in order of their dots.
    pub fn siblings(&self, field: &FieldName) -> &[Sibling] {
        self.fields.get(field).map_or(&[], FieldState::siblings)
    }

    /// Every edit that a field has taken in, or seen covered.
    pub fn seen(&self, field: &FieldName) -> Clock {
        self.fields.get(field).map(FieldState::seen).unwrap_or_default()
    }

    /// Whether concurrent edits left different values in a field.
    pub fn is_conflicted(&self, field: &FieldName) -> bool {
        match self.siblings(field) {
            [] | [_] => false,
            [first, rest @ ..] => rest.iter().any(|sibling| sibling.change.after != first.change.after),
        }
    }

    /// Every conflict there is now.
    pub fn conflicts(&self, rules: &Rules) -> Vec<Conflict> {
        conflicts(self, rules)
    }

    /// The edits that say whether the record is there.
    pub fn presence_siblings(&self) -> &[Sibling] {
        self.presence.siblings()
    }

    /// Whether the record is there.
    pub fn presence(&self, rules: &Rules) -> Presence {
        let says = |present: bool| {
            self.presence.siblings().iter().any(|sibling| sibling.change.after == Value::Bool(present))
        };
        match (says(true), says(false)) {
            (false, false) => Presence::Unborn,
            (true, false) => Presence::Present,
            (false, true) => Presence::Deleted,
            (true, true) => match rules.deletes() {
                Deletes::EditWins => Presence::Present,
                Deletes::DeleteWins => Presence::Deleted,
                Deletes::Manual => Presence::Undecided,
            },
        }
    }
}
