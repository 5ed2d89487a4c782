//! Reading ahead of what is judged, so that other threads can look at entries meanwhile.
//!
//! Whoever judges also reads, and looks at entries where nobody else has: it never waits
//! for a thread that has not begun, and needs none at all.
//!
//! What never happens here: lines out of their order, or more of them in memory than
//! [`BATCHES_AHEAD`] and [`BYTES_AHEAD`] allow, beside a single long one.

use super::batch::Batch;
use std::collections::VecDeque;
use std::io::BufRead;
use std::sync::mpsc::{Receiver, Sender, TryRecvError, channel};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{Builder, Scope, available_parallelism};

/// The most batches that are read and not judged.
const BATCHES_AHEAD: usize = 12;
/// Nothing more is read while what is not judged takes so many bytes.
const BYTES_AHEAD: usize = 4 << 20;
/// Fewer batches are not worth a thread.
const BATCHES_ALONE: usize = 4;
/// More threads than keep up with one that judges are of no use.
const HELPERS_MAX: usize = 4;

/// A batch to be looked at, and where it goes then.
type Job = (Batch, Sender<Batch>);

/// What waits to be looked at.
#[derive(Debug, Default)]
pub(super) struct Queue {
    jobs: Mutex<Jobs>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Jobs {
    waiting: VecDeque<Job>,
    /// Nobody wants them any more.
    over: bool,
}

impl Queue {
    fn jobs(&self) -> MutexGuard<'_, Jobs> {
        self.jobs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Looks at what waits, until nobody wants it any more.
    fn help(&self) {
        let mut jobs = self.jobs();
        while !jobs.over {
            jobs = match jobs.waiting.pop_front() {
                Some(job) => {
                    drop(jobs);
                    look(job);
                    self.jobs()
                }
                None => self.changed.wait(jobs).unwrap_or_else(PoisonError::into_inner),
            };
        }
    }
}

fn look((mut batch, back): Job) {
    batch.look();
    // Who does not wait for it any more has found something wrong before it.
    drop(back.send(batch));
}

/// Reads ahead.
#[derive(Debug)]
pub(super) struct Ahead<'scope, 'env, R> {
    input: R,
    scope: &'scope Scope<'scope, 'env>,
    queue: &'env Queue,
    /// Of each batch that is read and not judged: where it comes back, and what it takes.
    read: VecDeque<(Receiver<Batch>, usize)>,
    spare: Vec<Batch>,
    batches: usize,
    ended: bool,
}

impl<'scope, 'env, R: BufRead> Ahead<'scope, 'env, R> {
    pub(super) fn new(input: R, scope: &'scope Scope<'scope, 'env>, queue: &'env Queue) -> Self {
        let (read, spare) = (VecDeque::new(), Vec::new());
        Self { input, scope, queue, read, spare, batches: 0, ended: false }
    }

    /// The next lines, looked at; nothing after the last, or if a thread died over them.
    pub(super) fn next(&mut self) -> Option<Batch> {
        while !self.ended && self.has_room() {
            self.read_one();
        }
        let (next, _) = self.read.pop_front()?;
        loop {
            match next.try_recv() {
                Ok(batch) => return Some(batch),
                Err(TryRecvError::Disconnected) => return None,
                Err(TryRecvError::Empty) => {}
            }
            let job = self.queue.jobs().waiting.pop_front();
            match job {
                Some(job) => look(job),
                None => return next.recv().ok(),
            }
        }
    }

    /// Takes back what has been judged.
    pub(super) fn put_back(&mut self, batch: Batch) {
        self.spare.extend(batch.emptied());
    }

    fn has_room(&self) -> bool {
        let bytes: usize = self.read.iter().map(|(_, bytes)| bytes).sum();
        self.read.len() < BATCHES_AHEAD && bytes < BYTES_AHEAD
    }

    fn read_one(&mut self) {
        let mut batch = self.spare.pop().unwrap_or_default();
        batch.fill(&mut self.input);
        self.ended = batch.ending.is_some();
        let (back, comes) = channel();
        self.read.push_back((comes, batch.bytes()));
        self.queue.jobs().waiting.push_back((batch, back));
        self.queue.changed.notify_one();
        self.batches = self.batches.saturating_add(1);
        if self.batches == BATCHES_ALONE {
            self.call_helpers();
        }
    }

    /// Threads beside this one, as far as there are processors for them. Without any, all
    /// is done here.
    fn call_helpers(&self) {
        let processors = available_parallelism().map_or(1, usize::from);
        let queue = self.queue;
        for _ in 1..processors.min(HELPERS_MAX) {
            let name = "hms-sync-audit".to_owned();
            if Builder::new().name(name).spawn_scoped(self.scope, || queue.help()).is_err() {
                return;
            }
        }
    }
}

impl<R> Drop for Ahead<'_, '_, R> {
    fn drop(&mut self) {
        let mut jobs = self.queue.jobs();
        jobs.over = true;
        jobs.waiting.clear();
        drop(jobs);
        self.queue.changed.notify_all();
    }
}
