//! Group commit: one thread writes for many.
//!
//! While it syncs, submissions gather; the next sync is for all of them. Order
//! is kept: nothing is acknowledged before what was submitted before it, and
//! views are saved after the events submitted before them and before those
//! submitted after.

use crate::error::LogError;
use crate::frame::Sealed;
use crate::log::Log;
use std::fmt;
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

type Changes = Vec<(Vec<u8>, Option<Vec<u8>>)>;

enum Job {
    Append(Vec<Sealed>, Done),
    SaveViews(Changes, u64),
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
        let (queue, jobs) = sync_channel(QUEUE_MAX);
        let its = log.clone();
        let thread = thread::Builder::new().name("hms-sync log".into()).spawn(move || run(&its, &jobs));
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

    /// Hands on views to be saved, after all that was submitted before. A save
    /// that fails is reported by the next append: views are caches.
    pub fn save_views(&self, changes: Changes, upto: u64) {
        let sent = self.queue.as_ref().map(|queue| queue.send(Job::SaveViews(changes, upto)).is_ok());
        if sent != Some(true) {
            tracing::warn!("views were not saved: the change log's writer has ended");
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

fn run(log: &Log, jobs: &Receiver<Job>) {
    let mut waiting = jobs.recv().ok();
    while let Some(job) = waiting.take() {
        match job {
            Job::Append(events, done) => {
                let (group, next) = gather(jobs, events, done);
                commit(log, group);
                waiting = next;
            }
            Job::SaveViews(changes, upto) => {
                if let Err(why) = log.save_views(&changes, upto) {
                    tracing::error!(why = why.in_one_line(), "views were not saved");
                }
            }
        }
        if waiting.is_none() {
            waiting = jobs.recv().ok();
        }
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

fn commit(log: &Log, group: Vec<(Vec<Sealed>, Done)>) {
    let results = log.commit(group.iter().map(|(events, _)| events.as_slice()));
    for ((_, done), result) in group.into_iter().zip(results) {
        done(result);
    }
}
