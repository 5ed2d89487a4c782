//! A multi-value register: the edits that no other edit's author had seen.
//!
//! Shapiro et al., INRIA RR-7506 §3.2; with dots, Preguiça, Almeida et al. 2010.
//! Invariants: `siblings = {e : no received e' has e.dot in its context}`; at most
//! one sibling per actor, because an actor's own past is in its context.

use hms_sync_model::{Change, Clock, Dot, Stamp};
use serde::{Deserialize, Serialize};

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

/// A register.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Reg {
    /// Concurrent values, in order of their dots.
    #[serde(rename = "s")]
    siblings: Vec<Sibling>,
    /// Every dot the register has taken in, or seen covered.
    #[serde(rename = "c")]
    seen: Clock,
}

impl Reg {
    /// Takes in one edit whose author had seen `context`. Taking it in twice, or
    /// in another order, makes no difference.
    pub fn put(&mut self, dot: &Dot, context: &Clock, change: Change, stamp: Stamp) {
        self.put_knowing(dot, context, None, change, stamp);
    }

    /// The same, where `after` is known to be `context` and the edit itself: mostly all
    /// that the register has then seen, and shared instead of made anew.
    pub(crate) fn put_knowing(
        &mut self,
        dot: &Dot,
        context: &Clock,
        after: Option<&Clock>,
        change: Change,
        stamp: Stamp,
    ) {
        if self.seen.has(dot) {
            return;
        }
        self.siblings.retain(|sibling| !context.has(&sibling.dot));
        let sibling = Sibling { dot: dot.clone(), change, stamp };
        let at = self.siblings.partition_point(|other| other.dot < sibling.dot);
        // One is the rule.
        self.siblings.reserve_exact(1);
        self.siblings.insert(at, sibling);
        match after.filter(|after| after.covers(&self.seen)) {
            Some(after) => self.seen.clone_from(after),
            None => self.cover(dot, context),
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
        if self.seen.has(dot) {
            return;
        }
        self.siblings.retain(|s| locks.contains(&s.change.after) || !context.has(&s.dot));
        self.siblings.push(Sibling { dot: dot.clone(), change: change.clone(), stamp });
        self.siblings.sort_by(|a, b| a.dot.cmp(&b.dot));
        self.cover(dot, context);
    }

    /// Takes in an edit that removes what its author had seen and adds nothing.
    pub fn release(&mut self, dot: &Dot, context: &Clock) {
        if self.seen.has(dot) {
            return;
        }
        self.siblings.retain(|sibling| !context.has(&sibling.dot));
        self.cover(dot, context);
    }

    /// Shares what it has seen with others that have seen the same.
    pub(crate) fn share(&mut self, seen: &Clock) {
        self.seen.share(seen);
    }

    fn cover(&mut self, dot: &Dot, context: &Clock) {
        self.seen.merge(context);
        self.seen.see(&dot.actor, dot.n);
    }

    /// Both together: the least upper bound.
    #[must_use]
    pub fn join(&self, other: &Self) -> Self {
        let keeps =
            |two: &Self, sibling: &Sibling| two.siblings.contains(sibling) || !two.seen.has(&sibling.dot);
        let ours = self.siblings.iter().filter(|s| keeps(other, s));
        let theirs = other.siblings.iter().filter(|s| keeps(self, s) && !self.siblings.contains(s));
        let mut siblings: Vec<Sibling> = ours.chain(theirs).cloned().collect();
        siblings.sort_by(|a, b| a.dot.cmp(&b.dot));
        Self { siblings, seen: self.seen.clone().merged(&other.seen) }
    }

    /// The concurrent values.
    pub fn siblings(&self) -> &[Sibling] {
        &self.siblings
    }

    /// Every dot taken in or covered.
    pub fn seen(&self) -> &Clock {
        &self.seen
    }

    /// Whether there is no value.
    pub fn is_empty(&self) -> bool {
        self.siblings.is_empty()
    }
}
