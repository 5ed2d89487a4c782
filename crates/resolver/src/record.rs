//! A record: its fields, whether it is there, and what it has seen.

use crate::closed::Closed;
use crate::decide::{Conflict, Decision, conflicts, decide};
use crate::fault::{Fault, is_back, none_is_back};
use crate::field::{FieldState, Put};
use crate::flat::Flat;
use crate::reg::{Reg, Seen, Sibling};
use crate::rules::{Deletes, Rules};
use hms_sync_model::{Actor, Author, Change, Clock, Dot, Edit, EditRef, FieldMap, FieldName, Value, VecMap};
use serde::de::value::MapAccessDeserializer;
use serde::de::{self, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::borrow::Cow;
use std::fmt;
use std::sync::OnceLock;

/// One record's registers.
///
/// As long as nobody asks for what is in them they lie in one piece of memory, where
/// [`Record::apply_ref`] takes edits in faster than anywhere else. Whoever asks has
/// them opened, and open they stay.
#[derive(Clone, Default)]
pub struct Record {
    /// Which life of the record: 0, and one more for each re-creation after a delete.
    pub generation: u32,
    /// Every edit it has taken in.
    pub clock: Clock,
    /// The registers while they are not open; once they are, nothing.
    flat: Flat,
    open: OnceLock<Box<Open>>,
}

/// A record's registers, each by itself.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Open {
    pub(crate) presence: Reg,
    pub(crate) fields: VecMap<FieldName, FieldState>,
}

impl PartialEq for Record {
    fn eq(&self, other: &Self) -> bool {
        (self.generation, &self.clock, self.open()) == (other.generation, &other.clock, other.open())
    }
}

impl Eq for Record {}

impl fmt::Debug for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Open { presence, fields } = self.open();
        let mut record = f.debug_struct("Record");
        record.field("generation", &self.generation).field("presence", presence);
        record.field("fields", fields).field("clock", &self.clock).finish_non_exhaustive()
    }
}

impl Serialize for Record {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(&crate::packed::pack(self))
    }
}

/// A record as it was kept before it was packed: such snapshots still open.
#[derive(Deserialize)]
struct Named {
    #[serde(rename = "g", default)]
    generation: u32,
    #[serde(rename = "p", default)]
    presence: Reg,
    #[serde(rename = "f", default)]
    fields: VecMap<FieldName, FieldState>,
    #[serde(rename = "c", default)]
    clock: Clock,
}

impl<'de> Deserialize<'de> for Record {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Kept;
        impl<'de> Visitor<'de> for Kept {
            type Value = Record;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a record")
            }
            fn visit_bytes<E: de::Error>(self, bytes: &[u8]) -> Result<Record, E> {
                crate::packed::unpack(bytes).ok_or_else(|| E::custom("these bytes are no record"))
            }
            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Record, A::Error> {
                let named = Named::deserialize(MapAccessDeserializer::new(map))?;
                let Named { generation, presence, fields, clock } = named;
                Ok(Record::of(generation, presence, fields, clock))
            }
        }
        deserializer.deserialize_any(Kept)
    }
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

/// Why an edit that lies in bytes cannot be taken in.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unfit {
    /// It is not quite what the log keeps: it is to be read whole, which says what is wrong.
    #[error("the edit is not laid out as the log keeps one, or has a name that cannot be one")]
    Unread,
    /// It does not fit the record.
    #[error(transparent)]
    Malformed(#[from] Malformed),
}

/// Whether an edit leaves `field` at a locked value; nothing if it has none. A
/// group is locked as a whole, by its lead.
fn reaches_lock(rules: &Rules, edit: &Edit, field: &FieldName, change: &Change) -> Option<bool> {
    if rules.are_plain() {
        return None;
    }
    let (rule, change) = match rules.group_of(field) {
        Some(group) => (rules.rule(&group.lead), edit.changes.get(&group.lead)),
        None => (rules.rule(field), Some(change)),
    };
    let reaches = || change.is_some_and(|change| rule.locks.contains(&change.after));
    (!rule.locks.is_empty()).then(reaches)
}

/// Whether an edit is of fields alone that have one value which everybody may write.
fn is_plain(rules: &Rules, edit: &EditRef<'_>) -> bool {
    rules.are_plain() || edit.changes().all(|change| rules.is_plain(change.field.as_str()))
}

/// Whether an edit without its author's own past is let in.
fn passes_unseen(actor: &Actor) -> bool {
    is_back(Fault::OwnPastLeftOut) || is_back(Fault::OneOperator) && actor.author == Author::Operator
}

impl Open {
    fn put(&mut self, rules: &Rules, edit: &Edit) {
        let (stamp, all) = (edit.stamp, Seen::of(&edit.dot, &edit.context));
        let first = self.fields.is_empty();
        if first {
            self.fields.reserve(edit.changes.len());
        }
        for (field, change) in edit.changes.iter() {
            let rule = rules.rule(field);
            let locks = reaches_lock(rules, edit, field, change);
            // Of the first edit every field is new.
            let known = if first { None } else { self.fields.get_mut(field) };
            let (known, mut new) = match known {
                Some(state) => (Some(state), None),
                None => (None, Some(FieldState::new(rule))),
            };
            let Some(state) = known.or(new.as_mut()) else { continue };
            let dot = &edit.dot;
            if edit.but.contains_key(field) && !is_back(Fault::OneContext) {
                let context = edit.context_of(field);
                let seen = Seen::of(dot, &context);
                state.put(rule, &Put { dot, context: &context, seen: &seen, change, stamp, locks });
            } else {
                state.put(rule, &Put { dot, context: &edit.context, seen: &all, change, stamp, locks });
            }
            if let Some(new) = new {
                self.fields.insert(field.clone(), new);
            }
        }
        let present = Change { before: Value::Absent, after: Value::Bool(!edit.deletes) };
        if !is_back(Fault::PresenceUntouched) || edit.deletes || self.presence.is_empty() {
            self.presence.put_seen(&all, present, stamp);
        }
    }
}

impl Record {
    /// Takes in one edit: the only place where registers change. Taking it in
    /// twice, or in another order with others, makes no difference.
    pub fn apply(&mut self, rules: &Rules, edit: &Edit) -> Result<(), Malformed> {
        self.check(edit)?;
        self.change(|open| open.put(rules, edit));
        self.clock.see(&edit.dot.actor, edit.dot.n);
        Ok(())
    }

    /// Takes in one edit as it lies in the log, with the same outcome.
    pub fn apply_ref(&mut self, rules: &Rules, edit: &EditRef<'_>) -> Result<(), Unfit> {
        let flat = self.is_flat() && is_plain(rules, edit);
        if flat && self.is_blind(edit) && self.flat.take(&mut self.clock, edit).is_some() {
            return Ok(());
        }
        let edit = edit.to_edit().ok_or(Unfit::Unread)?;
        self.check(&edit)?;
        if flat && self.flat.take_seen(&mut self.clock, &edit).is_some() {
            return Ok(());
        }
        Ok(self.apply(rules, &edit)?)
    }

    /// Takes in edits as they lie in the log, with the outcome of one after the other: if one
    /// is refused, those before it have been taken in, and those behind it have not. What a
    /// later edit replaces is never written.
    pub fn apply_batch(&mut self, rules: &Rules, edits: &[EditRef<'_>]) -> Result<(), Unfit> {
        let flat = edits.len() > 1 && self.is_flat();
        let plain = flat && edits.iter().all(|edit| is_plain(rules, edit) && self.is_blind(edit));
        if plain && self.flat.take_all(&mut self.clock, edits).is_some() {
            return Ok(());
        }
        edits.iter().try_for_each(|edit| self.apply_ref(rules, edit))
    }

    /// Whether the registers lie in one piece.
    fn is_flat(&self) -> bool {
        self.open.get().is_none() && none_is_back()
    }

    /// Whether an edit is of this life, and its author had seen nothing but its own past.
    fn is_blind(&self, edit: &EditRef<'_>) -> bool {
        edit.saw_only_its_own() && edit.generation == self.generation
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

    /// Starts over: whether it is there and what its fields hold is nobody's word any more,
    /// but for the fields that `keeps` names. What has been seen of it stays seen.
    pub fn start_over(&mut self, keeps: impl Fn(&FieldName) -> bool) {
        self.change(|open| {
            open.presence = Reg::default();
            open.fields.retain(|field, _| keeps(field));
        });
    }

    /// Forgets all that was ever in a field, as if nobody had touched it. What has been
    /// seen of the record stays.
    pub fn forget(&mut self, field: &FieldName) {
        self.change(|open| drop(open.fields.remove(field)));
    }

    /// The epochs that are over.
    pub fn closed(&self) -> Closed {
        Closed::of(&self.clock)
    }

    /// Whether nothing is left to decide that folding could decide: no two values stand beside each
    /// other but those of several authors who added and took out an element of a set.
    pub fn is_decided(&self) -> bool {
        let Open { presence, fields } = self.open();
        presence.siblings().len() < 2 && fields.values().all(FieldState::is_decided)
    }

    /// Fields that are locked since a closed epoch. Their authors' own past is all that an edit
    /// of theirs sees of a lock, and it must not become more: they are to be settled first.
    pub fn locked_before(&self, rules: &Rules, closed: &Closed) -> Vec<FieldName> {
        let is_closed = |sibling: &Sibling| closed.dot(&sibling.dot).is_some();
        let locked = self.fields().iter().filter(|(field, state)| match state {
            FieldState::Value { first: Some(first), .. } => {
                !rules.rule(field).locks.is_empty() && first.siblings().iter().any(is_closed)
            }
            _ => false,
        });
        locked.map(|(field, _)| field.clone()).collect()
    }

    /// Folds closed epochs into those that go on. It changes no answer, now or later, where
    /// everybody has seen all of them, [`Self::is_decided`], and nothing is [`Self::locked_before`].
    pub fn close(&mut self, closed: &Closed) {
        self.change(|open| {
            open.presence.close(closed);
            open.fields.iter_mut().for_each(|(_, state)| state.close(closed));
        });
        self.clock = closed.clock(&self.clock);
    }

    /// Two replicas of the same record together: the least upper bound.
    #[must_use]
    pub fn join(&self, other: &Self) -> Self {
        // Another life is not merged with: the later one stands.
        if self.generation != other.generation {
            return if self.generation > other.generation { self.clone() } else { other.clone() };
        }
        let (ours, theirs) = (self.open(), other.open());
        let mut fields = ours.fields.clone();
        for (field, theirs) in theirs.fields.iter() {
            let both = fields.get(field).map_or_else(|| theirs.clone(), |ours| ours.join(theirs));
            fields.insert(field.clone(), both);
        }
        let presence = ours.presence.join(&theirs.presence);
        Self::of(self.generation, presence, fields, self.clock.clone().merged(&other.clock))
    }

    /// As it was kept.
    pub(crate) fn of(
        generation: u32,
        presence: Reg,
        fields: VecMap<FieldName, FieldState>,
        clock: Clock,
    ) -> Self {
        let open = OnceLock::from(Box::new(Open { presence, fields }));
        Self { generation, clock, flat: Flat::default(), open }
    }

    fn open(&self) -> &Open {
        self.open.get_or_init(|| Box::new(self.flat.open(&self.clock)))
    }

    /// Changes the registers, each by itself.
    fn change<T>(&mut self, act: impl FnOnce(&mut Open) -> T) -> T {
        let mut open = self.open.take().unwrap_or_else(|| Box::new(self.flat.open(&self.clock)));
        self.flat = Flat::default();
        let done = act(&mut open);
        self.open = OnceLock::from(open);
        done
    }

    pub(crate) fn fields(&self) -> &VecMap<FieldName, FieldState> {
        &self.open().fields
    }

    pub(crate) fn presence_reg(&self) -> &Reg {
        &self.open().presence
    }

    /// Fields that any edit has touched, in order of name.
    pub fn field_names(&self) -> impl Iterator<Item = &FieldName> {
        self.fields().keys()
    }

    pub(crate) fn field(&self, field: &FieldName) -> Option<&FieldState> {
        self.fields().get(field)
    }

    /// The value of a field; absent if nobody has touched it.
    pub fn value(&self, rules: &Rules, field: &FieldName) -> Value {
        match self.fields().get(field) {
            Some(state) => self.value_of(rules, field, state).into_owned(),
            None => Value::Absent,
        }
    }

    /// Every field that any edit has touched with its value, in order of name.
    pub fn current<'a>(&'a self, rules: &'a Rules) -> impl Iterator<Item = (&'a FieldName, Cow<'a, Value>)> {
        self.fields().iter().map(|(field, state)| (field, self.value_of(rules, field, state)))
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
        self.fields().iter().filter(several).map(|(field, _)| field)
    }

    /// The value of a field, and why.
    pub fn decide(&self, rules: &Rules, field: &FieldName) -> Decision {
        decide(self, rules, field)
    }

    /// Every field's value, those that are absent left out.
    pub fn values(&self, rules: &Rules) -> FieldMap {
        let all = self.fields().keys().map(|field| (field.clone(), self.value(rules, field)));
        all.filter(|(_, value)| *value != Value::Absent).collect()
    }

    /// The concurrent values of a field, in order of their dots.
    pub fn siblings(&self, field: &FieldName) -> &[Sibling] {
        self.fields().get(field).map_or(&[], FieldState::siblings)
    }

    /// Every edit that a field has taken in, or seen covered.
    pub fn seen(&self, field: &FieldName) -> Clock {
        self.fields().get(field).map(FieldState::seen).unwrap_or_default()
    }

    /// Whether concurrent edits left different values in a field; in a set of objects, in a
    /// member of one of them.
    pub fn is_conflicted(&self, field: &FieldName) -> bool {
        self.field(field).is_some_and(FieldState::is_contested)
    }

    /// Whether any field is: whoever asks of many asks this first, as mostly none is.
    pub fn any_conflicted(&self) -> bool {
        self.fields().values().any(FieldState::is_contested)
    }

    /// Every conflict there is now.
    pub fn conflicts(&self, rules: &Rules) -> Vec<Conflict> {
        conflicts(self, rules)
    }

    /// The edits that say whether the record is there.
    pub fn presence_siblings(&self) -> &[Sibling] {
        self.presence_reg().siblings()
    }

    /// Whether the record is there.
    pub fn presence(&self, rules: &Rules) -> Presence {
        let says = |present: bool| {
            self.presence_reg().siblings().iter().any(|sibling| sibling.change.after == Value::Bool(present))
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
