//! Group commit: one thread writes for many.
//!
//! While it syncs, submissions gather; the next sync is for all of them, and waits for no more:
//! who could still come may be waiting for it. Order
//! is kept: nothing is acknowledged before what was submitted before it. Views
//! are saved after the events submitted before them, a slice after each commit,
//! so that no event waits for a whole save.

use crate::error::LogError;
use crate::frame::Sealed;
use crate::log::{Log, blocks_for};
use crate::table::Building;
use crate::views::Changes;
use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, TryRecvError, sync_channel};
use std::thread::{self, JoinHandle};

/// Called once, on the writer's thread, when the events are durable or will not
/// be. Should be quick, and must not wait for the writer.
pub type Done = Box<dyn FnOnce(Result<(), LogError>) + Send>;

/// Submissions that may wait before `append` blocks.
const QUEUE_MAX: usize = 4_096;
/// The most events that share a sync.
const GROUP_EVENTS_MAX: usize = 8_192;
/// The most bytes that share a sync; one submission may be larger.
const GROUP_BYTES_MAX: usize = 16 << 20;

/// Called on the writer's thread before each commit: what must be durable before the
/// events, and why it cannot be made so.
pub type Before = Box<dyn FnMut() -> Result<(), String> + Send>;

enum Job {
    Append(Vec<Sealed>, Done),
    SaveViews(Arc<Changes>, u64, Done),
}

/// The writer's thread and the queue to it.
pub struct Writer {
    /// Nothing once closed.
    queue: Option<SyncSender<Job>>,
    thread: Option<JoinHandle<()>>,
    log: Log,
}

impl fmt::Debug for Writer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Writer").field("head", &self.log.head()).finish_non_exhaustive()
    }
}

impl Writer {
    /// Starts the thread. If the system gives none, the log can be read, and
    /// every submission is answered with [`LogError::Closed`].
    pub fn spawn(log: Log) -> Self {
        Self::spawn_behind(log, Box::new(|| Ok(())))
    }

    /// The same, with something that is made durable before the events of each commit.
    /// If it cannot be, the events are not written, and no later ones.
    pub fn spawn_behind(log: Log, before: Before) -> Self {
        let (queue, jobs) = sync_channel(QUEUE_MAX);
        let its = log.clone();
        let thread =
            thread::Builder::new().name("hms-sync log".into()).spawn(move || run(&its, before, &jobs));
        match thread {
            Ok(thread) => Self { queue: Some(queue), thread: Some(thread), log },
            Err(why) => {
                tracing::error!(%why, "the change log's writer cannot be started");
                Self { queue: None, thread: None, log }
            }
        }
    }

    /// Hands on events to be appended and returns at once; blocks only while the
    /// queue is full. `done` is called when they are durable. With no events it
    /// is called when all that was submitted before has been dealt with.
    pub fn append(&self, events: Vec<Sealed>, done: Done) {
        let refused = match &self.queue {
            Some(queue) => queue.send(Job::Append(events, done)).err().map(|refused| refused.0),
            None => Some(Job::Append(events, done)),
        };
        if let Some(Job::Append(_, done)) = refused {
            done(Err(LogError::Closed));
        }
    }

    /// Hands on views to be saved, after all that was submitted before. `done` is
    /// called when they can be read in the log. A save that fails stops all writing.
    pub fn save_views(&self, changes: Arc<Changes>, upto: u64, done: Done) {
        let refused = match &self.queue {
            Some(queue) => queue.send(Job::SaveViews(changes, upto, done)).err().map(|refused| refused.0),
            None => Some(Job::SaveViews(changes, upto, done)),
        };
        if let Some(Job::SaveViews(_, _, done)) = refused {
            done(Err(LogError::Closed));
        }
    }

    /// Deals with all that was submitted, ends the thread, closes the log.
    pub fn close(mut self) -> Result<(), LogError> {
        self.end();
        let log = self.log.clone();
        drop(self);
        log.close()
    }

    fn end(&mut self) {
        drop(self.queue.take());
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the change log's writer ended before its time");
        }
    }
}

impl Drop for Writer {
    /// Waits until all that was submitted has been dealt with.
    fn drop(&mut self) {
        self.end();
    }
}

/// Views being saved, a slice at a time.
struct Saving {
    changes: Arc<Changes>,
    upto: u64,
    /// What has been written of them.
    building: Option<Building>,
    done: Done,
}

fn run(log: &Log, mut before: Before, jobs: &Receiver<Job>) {
    let mut saving: VecDeque<Saving> = VecDeque::new();
    let mut waiting = None;
    let mut behind = false;
    loop {
        // With something left to save, nobody is waited for.
        let job = match waiting.take() {
            Some(job) => Some(job),
            None if saving.is_empty() && !behind => match jobs.recv() {
                Ok(job) => Some(job),
                Err(_) => return,
            },
            None => match jobs.try_recv() {
                Ok(job) => Some(job),
                Err(TryRecvError::Empty) => None,
                Err(TryRecvError::Disconnected) if saving.is_empty() => return,
                Err(TryRecvError::Disconnected) => None,
            },
        };
        let mut events = 0;
        match job {
            Some(Job::Append(first, done)) => {
                let (group, next) = gather(jobs, first, done);
                events = group.iter().map(|(events, _)| events.len()).sum();
                commit(log, &mut before, group);
                waiting = next;
            }
            Some(Job::SaveViews(changes, upto, done)) => {
                saving.push_back(Saving { changes, upto, building: None, done });
            }
            None => {}
        }
        behind = tend(log, &mut saving, events);
    }
}

/// Saves a slice of what is to be saved, in step with the events that come in.
/// Answers whether the index has more.
fn tend(log: &Log, saving: &mut VecDeque<Saving>, events: usize) -> bool {
    let behind = log.tend(events).unwrap_or_else(|why| {
        tracing::error!(why = why.in_one_line(), "the index was not written");
        false
    });
    if let Some(first) = saving.front_mut() {
        let blocks = blocks_for(events);
        match log.save_some(&first.changes, &mut first.building, blocks, first.upto) {
            Ok(true) => end_save(saving, Ok(())),
            Ok(false) => {}
            Err(why) => {
                tracing::error!(why = why.in_one_line(), "views were not saved");
                end_save(saving, Err(why));
            }
        }
    }
    behind
}

fn end_save(saving: &mut VecDeque<Saving>, result: Result<(), LogError>) {
    if let Some(ended) = saving.pop_front() {
        (ended.done)(result);
    }
}

/// The appends that wait, up to a bound or the next job of another kind, which
/// comes back beside them.
fn gather(jobs: &Receiver<Job>, events: Vec<Sealed>, done: Done) -> (Vec<(Vec<Sealed>, Done)>, Option<Job>) {
    let bytes_of = |events: &[Sealed]| events.iter().map(|event| event.frame.len()).sum::<usize>();
    let (mut count, mut bytes) = (events.len(), bytes_of(&events));
    let mut group = vec![(events, done)];
    while count < GROUP_EVENTS_MAX && bytes < GROUP_BYTES_MAX {
        match jobs.try_recv() {
            Ok(Job::Append(events, done)) => {
                count += events.len();
                bytes += bytes_of(&events);
                group.push((events, done));
            }
            Ok(other) => return (group, Some(other)),
            Err(TryRecvError::Empty | TryRecvError::Disconnected) => break,
        }
    }
    (group, None)
}

fn commit(log: &Log, before: &mut Before, group: Vec<(Vec<Sealed>, Done)>) {
    if let Err(why) = before() {
        log.stop(&why);
        let why = LogError::Before { why: why.into() };
        return group.into_iter().for_each(|(_, done)| done(Err(why.clone())));
    }
    let results = log.commit(group.iter().map(|(events, _)| events.as_slice()));
    for ((_, done), result) in group.into_iter().zip(results) {
        done(result);
    }
}
