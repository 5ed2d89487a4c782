//! One field's registers: one or two for a value, one for each element of a
//! set, one for each member of an element of a set of objects, one for each actor of a
//! counter.
//!
//! Which registers an edit goes to depends on the edit and the fold-time rules
//! alone, never on what is there already: that is what makes the order of
//! arrival invisible also for owners and locks.

use crate::closed::Closed;
use crate::elements::Elements;
use crate::fault::{Fault, is_back};
use crate::reg::{Reg, Seen, Sibling};
use crate::rules::{FieldRule, Kind, Owner};
use hms_sync_model::{Actor, Author, Change, Clock, Dot, Stamp, Value, VecMap};
use serde::Deserialize;

/// A field's registers.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub enum FieldState {
    /// A value. With an owner or locks the first register stands before the second.
    #[serde(rename = "v")]
    Value {
        /// Everybody's.
        #[serde(rename = "r")]
        last: Reg,
        /// The owner's, those that do not merely fill blanks, or the locked values'.
        #[serde(rename = "f", default)]
        first: Option<Box<Reg>>,
    },
    /// A set: for each element whether it is in.
    #[serde(rename = "s")]
    Set(VecMap<Value, Reg>),
    /// A set of objects: the registers of each element, by its key.
    #[serde(skip)]
    Elements(Box<Elements>),
    /// A counter: each actor's cumulative sum.
    #[serde(rename = "n")]
    Counter(VecMap<Actor, Sum>),
}

/// What one actor added to a counter so far.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
pub struct Sum {
    /// The actor's last edit that is in it.
    #[serde(rename = "n")]
    pub(crate) upto: u64,
    /// The sum.
    #[serde(rename = "v")]
    pub(crate) total: Value,
}

/// An edit of one field, as its registers need it.
pub(crate) struct Put<'a> {
    pub(crate) dot: &'a Dot,
    /// What its author had seen, its own past included.
    pub(crate) context: &'a Clock,
    /// The same, for all registers that it goes to.
    pub(crate) seen: &'a Seen<'a>,
    pub(crate) change: &'a Change,
    pub(crate) stamp: Stamp,
    /// Whether it reaches a locked value; nothing where no value is locked.
    pub(crate) locks: Option<bool>,
}

impl FieldState {
    /// No values yet, in the registers that the rule asks for.
    pub(crate) fn new(rule: &FieldRule) -> Self {
        match rule.kind {
            _ if is_back(Fault::KindsAtReadTime) => Self::Value { last: Reg::default(), first: None },
            Kind::Value => Self::Value { last: Reg::default(), first: None },
            Kind::Set { .. } if rule.key().is_some() => Self::Elements(Box::default()),
            Kind::Set { .. } => Self::Set(VecMap::new()),
            Kind::Counter => Self::Counter(VecMap::new()),
        }
    }

    /// Takes in one edit.
    pub(crate) fn put(&mut self, rule: &FieldRule, put: &Put<'_>) {
        match self {
            Self::Value { last, first } => put_value(last, first, rule, put),
            Self::Set(elements) => put_set(elements, put),
            Self::Elements(elements) => {
                if let Some(key) = rule.key() {
                    elements.put(key, put);
                }
            }
            Self::Counter(sums) => put_counter(sums, put),
        }
    }

    /// Both together. Fields of different kinds never meet: kinds are fold-time.
    pub(crate) fn join(&self, other: &Self) -> Self {
        match (self, other) {
            (Self::Value { last: a, first: x }, Self::Value { last: b, first: y }) => {
                let first = match (x, y) {
                    (Some(x), Some(y)) => Some(Box::new(x.join(y))),
                    (one, two) => one.clone().or_else(|| two.clone()),
                };
                Self::Value { last: a.join(b), first }
            }
            (Self::Set(a), Self::Set(b)) => Self::Set(join_maps(a, b, Reg::join)),
            (Self::Elements(a), Self::Elements(b)) => Self::Elements(Box::new(a.join(b))),
            (Self::Counter(a), Self::Counter(b)) => {
                let later = |a: &Sum, b: &Sum| if a.upto >= b.upto { a.clone() } else { b.clone() };
                Self::Counter(join_maps(a, b, later))
            }
            _ => self.clone(),
        }
    }

    /// Every register there is; a counter has none.
    pub(crate) fn regs(&self) -> Vec<&Reg> {
        match self {
            Self::Value { last, first } => std::iter::once(last).chain(first.as_deref()).collect(),
            Self::Set(elements) => elements.values().collect(),
            Self::Elements(elements) => elements.regs().collect(),
            Self::Counter(_) => Vec::new(),
        }
    }

    /// Whether folding closed epochs drops no value that another answer came of. Whether an
    /// element is in a set follows from what each author said last, and folding keeps that.
    pub(crate) fn is_decided(&self) -> bool {
        match self {
            Self::Set(elements) => elements.values().all(Reg::each_says_one_thing),
            Self::Value { .. } | Self::Elements(_) | Self::Counter(_) => {
                self.regs().iter().all(|reg| reg.siblings().len() < 2)
            }
        }
    }

    /// Folds closed epochs.
    pub(crate) fn close(&mut self, closed: &Closed) {
        match self {
            Self::Value { last, first } => {
                last.close(closed);
                if let Some(first) = first {
                    first.close(closed);
                }
            }
            Self::Set(elements) => elements.iter_mut().for_each(|(_, reg)| reg.close(closed)),
            Self::Elements(elements) => elements.regs_mut().for_each(|reg| reg.close(closed)),
            Self::Counter(sums) => close_counter(sums, closed),
        }
    }

    /// Every dot that any register has taken in or seen covered.
    pub(crate) fn seen(&self) -> Clock {
        let all = |seen: Clock, reg: &Reg| seen.merged(&reg.seen());
        match self {
            Self::Value { last, first: None } => last.seen(),
            Self::Value { last, first: Some(first) } => last.seen().merged(&first.seen()),
            Self::Set(elements) => elements.values().fold(Clock::new(), all),
            Self::Elements(elements) => elements.seen(),
            Self::Counter(sums) => sums.iter().map(|(actor, sum)| (actor.clone(), sum.upto)).collect(),
        }
    }

    /// Everybody's concurrent values; none for counters and sets of single values, where
    /// nothing competes.
    pub(crate) fn siblings(&self) -> &[Sibling] {
        match self {
            Self::Value { last, .. } => last.siblings(),
            Self::Elements(elements) => elements.edits.siblings(),
            Self::Set(_) | Self::Counter(_) => &[],
        }
    }

    /// Whether concurrent edits left different values; in a set of objects, in a member of
    /// one of them.
    pub(crate) fn is_contested(&self) -> bool {
        if let Self::Elements(elements) = self {
            return elements.contested().next().is_some();
        }
        match self.siblings() {
            [] | [_] => false,
            [first, rest @ ..] => rest.iter().any(|other| !other.change.after.says_what(&first.change.after)),
        }
    }

    /// The owner's or the locked values, if they stand before everybody's.
    pub(crate) fn standing(&self, rule: &FieldRule) -> Option<&[Sibling]> {
        match self {
            Self::Value { first: Some(first), .. } if stands(first, rule) => Some(first.siblings()),
            _ => None,
        }
    }
}

/// Whether the first register's value stands before the second's.
fn stands(first: &Reg, rule: &FieldRule) -> bool {
    let blank_gives_way =
        !rule.fills_blank.is_empty() || rule.owner.as_ref().is_some_and(|owner| owner.unless_blank);
    let filled = |sibling: &Sibling| !blank_gives_way || !sibling.change.after.is_blank();
    first.siblings().iter().any(filled)
}

pub(crate) fn join_maps<K: Ord + Clone, V: Clone>(
    a: &VecMap<K, V>,
    b: &VecMap<K, V>,
    join: impl Fn(&V, &V) -> V,
) -> VecMap<K, V> {
    let mut joined = a.clone();
    for (key, theirs) in b.iter() {
        let both = joined.get(key).map_or_else(|| theirs.clone(), |ours| join(ours, theirs));
        joined.insert(key.clone(), both);
    }
    joined
}

fn put_value(last: &mut Reg, first: &mut Option<Box<Reg>>, rule: &FieldRule, put: &Put<'_>) {
    let Put { dot, context, seen, change, stamp, locks } = put;
    let operator = dot.actor.author == Author::Operator;
    #[cfg(feature = "faults")]
    if locks.is_some() && is_back(Fault::LockNotPruned) {
        return last.put_beside(dot, context, change, *stamp, &rule.locks);
    }
    last.put_seen(seen, (*change).clone(), *stamp);
    if let Some(Owner { side, .. }) = &rule.owner
        && (operator || dot.actor.as_side() == Some(side))
    {
        first.get_or_insert_default().put(dot, context, (*change).clone(), *stamp);
    }
    let fills = |side| rule.fills_blank.contains(side);
    if !rule.fills_blank.is_empty() && (operator || dot.actor.as_side().is_some_and(|side| !fills(side))) {
        first.get_or_insert_default().put(dot, context, (*change).clone(), *stamp);
    }
    let Some(reaches_lock) = *locks else { return };
    if reaches_lock {
        // A lock is released only by an operator who had seen it: sides see
        // their own past and nothing else of this register. What all have seen and
        // agree on, written down, stands for all that it was decided among.
        let own: Clock = [(dot.actor.clone(), dot.n.saturating_sub(1))].into_iter().collect();
        let context = if operator || dot.actor.author == Author::Engine { context } else { &own };
        first.get_or_insert_default().put(dot, context, (*change).clone(), *stamp);
    } else if operator {
        first.get_or_insert_default().release(dot, context);
    }
}

fn elements(value: &Value) -> &[Value] {
    match value {
        Value::Set(elements) => elements,
        _ => &[],
    }
}

/// An addition or removal for each element that the edit added or removed.
fn put_set(regs: &mut VecMap<Value, Reg>, put: &Put<'_>) {
    let (before, after) = (elements(&put.change.before), elements(&put.change.after));
    let added = after.iter().filter(|e| !before.contains(e)).map(|e| (e, true));
    let removed = before.iter().filter(|e| !after.contains(e)).map(|e| (e, false));
    for (element, present) in added.chain(removed) {
        let change = Change { before: Value::Bool(!present), after: Value::Bool(present) };
        regs.entry_or(element.clone(), Reg::default).put(put.dot, put.context, change, put.stamp);
    }
}

/// The actor's own sum grows by what the edit added. What is no whole number
/// counts as no change of the sum. An actor's edits come in its own order, as
/// the log keeps them; one that came before is passed over.
fn put_counter(sums: &mut VecMap<Actor, Sum>, put: &Put<'_>) {
    let sum = sums.entry_or(put.dot.actor.clone(), Sum::default);
    if put.dot.n <= sum.upto {
        return;
    }
    let delta = crate::number::difference(&put.change.before, &put.change.after);
    sum.total = crate::number::sum([&sum.total, &delta].into_iter());
    sum.upto = put.dot.n;
}

/// An author's sums of all epochs are one sum.
fn close_counter(sums: &mut VecMap<Actor, Sum>, closed: &Closed) {
    for (actor, sum) in std::mem::take(sums) {
        if is_back(Fault::FoldForgets) && closed.goes_on_as(&actor).is_some() {
            continue;
        }
        let last = closed.goes_on_as(&actor);
        let (actor, upto) = last.map_or((actor, sum.upto), |last| (last.actor.clone(), last.n));
        let all = sums.entry_or(actor, Sum::default);
        all.total = crate::number::sum([&all.total, &sum.total].into_iter());
        all.upto = all.upto.max(upto);
    }
}
