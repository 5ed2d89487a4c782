//! A multi-value register: the edits that no other edit's author had seen.
//!
//! Shapiro et al., INRIA RR-7506 §3.2; with dots, Preguiça, Almeida et al. 2010.
//! Invariants: `siblings = {e : no received e' has e.dot in its context}`; at most
//! one sibling per actor, because an actor's own past is in its context. So what a
//! register has seen of an actor that has a sibling in it is that sibling and what
//! came before; only what it has seen of others is kept beside them.

use crate::closed::Closed;
use crate::fault::{Fault, is_back};
use crate::few::Few;
use hms_sync_model::{Actor, Change, Clock, Dot, Stamp};
use serde::{Deserialize, Serialize};
use std::cell::OnceCell;

/// One of several concurrent values of a register.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sibling {
    /// The edit that it came with.
    #[serde(rename = "d")]
    pub dot: Dot,
    /// The value before and after that edit.
    #[serde(rename = "c")]
    pub change: Change,
    /// When the edit can have been made.
    #[serde(rename = "t")]
    pub stamp: Stamp,
}

/// What an edit's author had seen of others: one clock for all registers that have seen
/// just that, made when the first of them asks.
pub(crate) struct Seen<'a> {
    dot: &'a Dot,
    context: &'a Clock,
    others: OnceCell<Clock>,
}

impl<'a> Seen<'a> {
    pub(crate) fn of(dot: &'a Dot, context: &'a Clock) -> Self {
        Self { dot, context, others: OnceCell::new() }
    }

    /// Of others alone, without the author's own past.
    fn others(&self) -> &Clock {
        self.others.get_or_init(|| self.context.without(|actor| *actor == self.dot.actor))
    }
}

/// A register.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(from = "Kept")]
pub struct Reg {
    /// Concurrent values, in order of their dots.
    siblings: Few<Sibling>,
    /// What it has seen, or seen covered, of actors that have no sibling here.
    others: Clock,
}

/// A register as it was kept before records were packed.
#[derive(Deserialize)]
struct Kept {
    #[serde(rename = "s")]
    siblings: Vec<Sibling>,
    #[serde(rename = "c")]
    seen: Clock,
}

impl From<Kept> for Reg {
    fn from(Kept { siblings, seen }: Kept) -> Self {
        Self::of(siblings, &seen)
    }
}

impl Reg {
    /// With these siblings, after it has seen so much.
    pub(crate) fn of(siblings: Vec<Sibling>, seen: &Clock) -> Self {
        let has = |actor: &Actor| siblings.iter().any(|sibling| sibling.dot.actor == *actor);
        let others = seen.without(has);
        Self { siblings: siblings.into(), others }
    }

    /// Takes in one edit whose author had seen `context`. Taking it in twice, or
    /// in another order, makes no difference.
    pub fn put(&mut self, dot: &Dot, context: &Clock, change: Change, stamp: Stamp) {
        self.put_seen(&Seen::of(dot, context), change, stamp);
    }

    /// The same, with what other registers may have seen as well.
    pub(crate) fn put_seen(&mut self, seen: &Seen<'_>, change: Change, stamp: Stamp) {
        let dot = seen.dot;
        if self.siblings.is_empty() && self.others.is_empty() && dot.n > 0 {
            // Nothing to compare with.
            self.siblings.insert(0, Sibling { dot: dot.clone(), change, stamp });
            self.others.clone_from(seen.others());
            return;
        }
        let had = self.has(dot);
        // Also of one that is covered: whoever covers it need not have said all that it had seen.
        self.cover(seen);
        if had {
            return;
        }
        let sibling = Sibling { dot: dot.clone(), change, stamp };
        let at = self.siblings.partition_point(|other| other.dot < sibling.dot);
        self.siblings.insert(at, sibling);
        if !self.others.is_empty() && self.others.count(&dot.actor) > 0 {
            self.others = self.others.without(|actor| *actor == dot.actor);
        }
    }

    /// F7 (`fault.rs`): takes in an edit and keeps the locked values beside it.
    #[cfg(feature = "faults")]
    pub(crate) fn put_beside(
        &mut self,
        dot: &Dot,
        context: &Clock,
        change: &Change,
        stamp: Stamp,
        locks: &[hms_sync_model::Value],
    ) {
        let mut seen = self.seen();
        if seen.has(dot) {
            return;
        }
        seen.merge(context);
        self.siblings.retain(|s| locks.contains(&s.change.after) || !context.has(&s.dot));
        let at = self.siblings.partition_point(|other| other.dot < *dot);
        self.siblings.insert(at, Sibling { dot: dot.clone(), change: change.clone(), stamp });
        self.others = seen.without(|actor| self.siblings.iter().any(|sibling| sibling.dot.actor == *actor));
    }

    /// Takes in an edit that removes what its author had seen and adds nothing.
    pub fn release(&mut self, dot: &Dot, context: &Clock) {
        let had = self.has(dot);
        self.cover(&Seen::of(dot, context));
        if !had {
            self.others.see(&dot.actor, dot.n);
        }
    }

    /// Whether it has taken in an edit, or seen it covered.
    fn has(&self, dot: &Dot) -> bool {
        let own = self.siblings.iter().find(|sibling| sibling.dot.actor == dot.actor);
        dot.n <= own.map_or_else(|| self.others.count(&dot.actor), |sibling| sibling.dot.n)
    }

    /// Lets go of what an edit's author had seen, and remembers that it was seen.
    fn cover(&mut self, seen: &Seen<'_>) {
        self.siblings.retain(|sibling| !seen.context.has(&sibling.dot));
        let own = &seen.dot.actor;
        if self.siblings.is_empty() && seen.context.covers(&self.others) {
            self.others.clone_from(seen.others());
            return;
        }
        for (actor, n) in seen.context.iter().filter(|(actor, _)| *actor != own) {
            // Of whom a sibling is left, the author had not seen so much.
            if !self.siblings.iter().any(|sibling| sibling.dot.actor == *actor) {
                self.others.see(actor, n);
            }
        }
    }

    /// Both together: the least upper bound.
    #[must_use]
    pub fn join(&self, other: &Self) -> Self {
        let keeps = |two: &Self, sibling: &Sibling| two.siblings.contains(sibling) || !two.has(&sibling.dot);
        let ours = self.siblings.iter().filter(|s| keeps(other, s));
        let theirs = other.siblings.iter().filter(|s| keeps(self, s) && !self.siblings.contains(s));
        let mut siblings: Vec<Sibling> = ours.chain(theirs).cloned().collect();
        siblings.sort_by(|a, b| a.dot.cmp(&b.dot));
        Self::of(siblings, &self.seen().merged(&other.seen()))
    }

    /// Whether no author left different values in different epochs.
    pub(crate) fn each_says_one_thing(&self) -> bool {
        let agree = |one: &Sibling, next: &Sibling| {
            one.dot.actor.author != next.dot.actor.author || one.change.after == next.change.after
        };
        // In order of their dots: an author's epochs lie side by side.
        self.siblings.iter().zip(self.siblings.iter().skip(1)).all(|(one, next)| agree(one, next))
    }

    /// Folds closed epochs. Of one author's values that of the last epoch stays.
    pub(crate) fn close(&mut self, closed: &Closed) {
        let mut siblings: Vec<Sibling> = Vec::new();
        for mut sibling in std::mem::take(&mut self.siblings).into_vec() {
            if let Some(last) = closed.dot(&sibling.dot) {
                if is_back(Fault::FoldForgets) {
                    continue;
                }
                sibling.dot = last.clone();
            }
            // In order of their dots: an author's last epoch comes last.
            siblings.retain(|other| other.dot.actor != sibling.dot.actor);
            siblings.push(sibling);
        }
        siblings.sort_by(|a, b| a.dot.cmp(&b.dot));
        *self = Self::of(siblings, &closed.clock(&self.others));
    }

    /// The concurrent values.
    pub fn siblings(&self) -> &[Sibling] {
        &self.siblings
    }

    /// Every dot taken in or covered.
    pub fn seen(&self) -> Clock {
        let mut seen = self.others.clone();
        self.siblings.iter().for_each(|sibling| seen.see(&sibling.dot.actor, sibling.dot.n));
        seen
    }

    /// What it has seen of actors that have no sibling here.
    pub(crate) fn others(&self) -> &Clock {
        &self.others
    }

    /// As it was kept: `others` are of nobody who has a sibling.
    pub(crate) fn kept(siblings: Vec<Sibling>, others: Clock) -> Self {
        Self { siblings: siblings.into(), others }
    }

    /// Whether there is no value.
    pub fn is_empty(&self) -> bool {
        self.siblings.is_empty()
    }
}
