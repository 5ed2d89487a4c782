//! Epochs that are over, folded into the ones that go on: a record must not carry for ever
//! how often a side was linked anew.
//!
//! What everybody has seen of an author's earlier epochs counts as that author's last edit of
//! the epoch that goes on: the same author, and a name that everybody has seen as well. So no
//! later edit can tell the two apart. What never happens here: an answer that changes.

use hms_sync_model::{Actor, Clock, Dot};

/// The authors that have edited in several epochs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Closed {
    /// Of each its last edit.
    last: Vec<Dot>,
    /// All that has been seen in the epochs before.
    before: Clock,
}

impl Closed {
    /// Those of a record that has taken in what `clock` says.
    pub(crate) fn of(clock: &Clock) -> Self {
        let (mut last, mut before): (Vec<Dot>, Clock) = (Vec::new(), Clock::new());
        for (actor, n) in clock.iter() {
            let goes_on = clock.iter().filter(|(other, _)| other.author == actor.author);
            match goes_on.max_by_key(|(other, _)| other.epoch) {
                Some((other, _)) if other.epoch > actor.epoch => before.see(actor, n),
                _ => last.push(Dot { actor: actor.clone(), n }),
            }
        }
        last.retain(|dot| before.iter().any(|(actor, _)| actor.author == dot.actor.author));
        Self { last, before }
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.last.is_empty()
    }

    /// What an edit of a closed epoch counts as.
    pub(crate) fn dot(&self, dot: &Dot) -> Option<&Dot> {
        let closed = self.before.has(dot);
        self.last.iter().find(|last| closed && last.actor.author == dot.actor.author)
    }

    /// A clock without closed epochs. Whoever has not seen all of an author's has seen none.
    #[must_use]
    pub fn clock(&self, clock: &Clock) -> Clock {
        let mut now = clock.without(|actor| self.before.count(actor) > 0);
        for last in &self.last {
            let mut of_author = self.before.iter().filter(|(actor, _)| actor.author == last.actor.author);
            if of_author.all(|(actor, n)| clock.count(actor) >= n) {
                now.see(&last.actor, last.n);
            }
        }
        now
    }

    /// What one who edits in `actor` is called from here on.
    pub(crate) fn goes_on_as(&self, actor: &Actor) -> Option<&Dot> {
        let closed = self.before.count(actor) > 0;
        self.last.iter().find(|last| closed && last.actor.author == actor.author)
    }
}
