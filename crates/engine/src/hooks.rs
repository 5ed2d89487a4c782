//! Webhooks that wait for the engine: those that come while a commit is under way are taken
//! in together, and share the next one.
//!
//! Whoever hands one in does not wake the engine, unless it waits for it. After a commit
//! that was for several it waits a little until somewhat more than half of them are there
//! again: where each sender waits for its answer before it sends the next, the others are on
//! their way while these are made durable, and more share a commit each time until they are
//! so many. A single one never waits.
//!
//! What never happens here: a webhook that is handed in and not answered. At the end of the
//! engine all that wait are let go of, which their senders hear as its end.

use crate::wake::Reply;
use hms_sync_connector::Delivery;
use hms_sync_model::{CollectionName, SideName};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::oneshot;

/// The most that are taken in together.
const TOGETHER_MAX: usize = 256;
/// The longest wait for company.
const COMPANY_WAIT: Duration = Duration::from_micros(2_500);
/// The longest wait for the next of it: once nobody has come for so long, nobody may.
const COMPANY_GAP: Duration = Duration::from_micros(250);

/// A webhook, checked and taken apart, and who waits for its being durable.
#[derive(Debug)]
pub(crate) struct Hook {
    pub(crate) side: SideName,
    pub(crate) collection: CollectionName,
    pub(crate) delivery: Delivery,
    pub(crate) tell: oneshot::Sender<Reply>,
}

/// Those that wait.
#[derive(Debug)]
pub(crate) struct Hooks(Mutex<Waiting>);

#[derive(Debug)]
struct Waiting {
    /// Nothing once the engine has ended.
    hooks: Option<Vec<Hook>>,
    /// How many wait when the engine is to be woken; nothing while it looks by itself.
    call_at: Option<usize>,
}

impl Hooks {
    /// None wait, and the first wakes the engine.
    pub(crate) fn new() -> Self {
        Self(Mutex::new(Waiting { hooks: Some(Vec::new()), call_at: Some(1) }))
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        // Every change is one call that cannot stop in the middle.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Hands one in. Answers whether the engine is to be woken; nothing if it has ended.
    pub(crate) fn put(&self, hook: Hook) -> Option<bool> {
        let mut waiting = self.waiting();
        let hooks = waiting.hooks.as_mut()?;
        hooks.push(hook);
        let count = hooks.len();
        Some(waiting.call_at.take_if(|at| count >= *at).is_some())
    }

    /// How many wait.
    pub(crate) fn count(&self) -> usize {
        self.waiting().hooks.as_ref().map_or(0, Vec::len)
    }

    /// Those that have waited longest. Nobody wakes the engine until it says so.
    pub(crate) fn take(&self) -> Vec<Hook> {
        let mut waiting = self.waiting();
        waiting.call_at = None;
        let Some(hooks) = &mut waiting.hooks else { return Vec::new() };
        let rest = hooks.split_off(hooks.len().min(TOGETHER_MAX));
        std::mem::replace(hooks, rest)
    }

    /// Has the engine woken when so many wait. Answers whether they do already.
    pub(crate) fn call_at(&self, count: usize) -> bool {
        let mut waiting = self.waiting();
        let there = waiting.hooks.as_ref().is_some_and(|hooks| hooks.len() >= count);
        waiting.call_at = (!there).then_some(count);
        there
    }

    /// Lets go of all that wait, and takes no more.
    pub(crate) fn close(&self) {
        // Dropped when the lock is free: it wakes their tasks.
        let gone = self.waiting().hooks.take();
        drop(gone);
    }
}

/// How long the next are waited for.
#[derive(Debug, Default)]
pub(crate) struct Company {
    /// How many were taken in together last.
    last: usize,
    /// While company is waited for: who was there when it was last looked, until when the next
    /// is waited for, and until when all.
    waits: Option<(usize, Instant, Instant)>,
}

impl Company {
    /// So many are taken in.
    pub(crate) fn came(&mut self, count: usize) {
        (self.last, self.waits) = (count, None);
    }

    /// Those taken in last are durable, and so many wait: how many make the next commit worth it.
    pub(crate) fn wanted(&self, waiting: usize) -> usize {
        (self.last.saturating_add(waiting) * 5 / 8).clamp(1, TOGETHER_MAX)
    }

    /// Begins to wait for more than `waiting`.
    pub(crate) fn wait(&mut self, waiting: usize, now: Instant) {
        self.waits = Some((waiting, now + COMPANY_GAP, now + COMPANY_WAIT));
    }

    /// When to look who is there; nothing if nobody is waited for.
    pub(crate) fn look_at(&self) -> Option<Instant> {
        self.waits.map(|(_, next, all)| next.min(all))
    }

    /// Whether the wait is over, with so many there.
    pub(crate) fn is_over(&mut self, waiting: usize, now: Instant) -> bool {
        let Some((before, next, all)) = self.waits else { return false };
        if now < next.min(all) {
            return false;
        }
        if waiting > before && now < all {
            self.waits = Some((waiting, now + COMPANY_GAP, all));
            return false;
        }
        self.waits = None;
        true
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests may panic")]
    use super::*;

    fn hook() -> (Hook, oneshot::Receiver<Reply>) {
        let (tell, told) = oneshot::channel();
        let delivery = Delivery { message: None, records: Vec::new(), hints: Vec::new() };
        let (side, collection) =
            (SideName::try_new("clerk").unwrap(), CollectionName::try_new("permit").unwrap());
        (Hook { side, collection, delivery, tell }, told)
    }

    #[test]
    fn the_engine_is_woken_once_and_by_as_many_as_it_waits_for() {
        let hooks = Hooks::new();
        let woken = |count| (0..count).map(|_| hooks.put(hook().0).unwrap()).collect::<Vec<_>>();
        assert_eq!(woken(3), [true, false, false], "the first wakes it");
        assert_eq!(hooks.take().len(), 3);
        assert_eq!(woken(2), [false, false], "it looks by itself");
        assert!(hooks.call_at(2), "they are there already");
        assert!(!hooks.call_at(4));
        assert_eq!(woken(3), [false, true, false]);
        assert_eq!(woken(TOGETHER_MAX), vec![false; TOGETHER_MAX]);
        assert_eq!([hooks.take().len(), hooks.take().len(), hooks.count()], [TOGETHER_MAX, 5, 0]);
    }

    #[test]
    fn who_waits_at_the_end_hears_of_it_and_nobody_comes_after() {
        let hooks = Hooks::new();
        let (one, mut told) = hook();
        assert_eq!(hooks.put(one), Some(true));
        hooks.close();
        assert_eq!(told.try_recv(), Err(oneshot::error::TryRecvError::Closed));
        assert_eq!(hooks.put(hook().0), None);
    }

    #[test]
    fn a_single_one_waits_for_nobody_and_many_for_more_than_half_of_them() {
        let mut company = Company::default();
        assert_eq!(company.wanted(1), 1);
        company.came(1);
        assert_eq!([0, 1, 2].map(|waiting| company.wanted(waiting)), [1, 1, 1]);
        company.came(32);
        assert_eq!([0, 32, 64].map(|waiting| company.wanted(waiting)), [20, 40, 60]);
        // Of sixty-four senders the first commits are for few, and soon for many.
        let mut group = 5;
        for _ in 0..12 {
            company.came(group);
            group = company.wanted(group.min(64 - group)).max(group.min(64 - group));
        }
        assert_eq!(group, 40);
    }

    #[test]
    fn the_wait_ends_when_nobody_comes_and_in_any_case() {
        let (mut company, began) = (Company::default(), Instant::now());
        let after = |gaps: u32| began + COMPANY_GAP * gaps;
        company.came(32);
        company.wait(5, began);
        assert!(!company.is_over(5, began));
        assert!(company.is_over(5, after(1)), "nobody has come");
        assert_eq!((company.look_at(), company.is_over(6, after(2))), (None, false), "it is over once");
        company.wait(0, began);
        for gaps in 1..10 {
            assert!(!company.is_over(gaps as usize, after(gaps)));
        }
        assert!(company.is_over(10, after(10)), "they come without end");
    }
}
