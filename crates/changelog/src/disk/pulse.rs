//! Wakes a flush that waits for a write which has failed.
//!
//! sled wakes its waiters after a successful write; after a failed one it notes the
//! error, and only the next call of `flush` looks at the note and wakes them all. So
//! while one is under way for long, a thread here calls it too. It writes nothing else.

use super::guarded;
use crate::error::LogError;
use crate::folder::io;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, mpsc};
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// How often a flush that is still under way is looked at.
const PULSE: Duration = Duration::from_millis(250);

/// Tells the thread of flushes: odd while one is under way.
#[derive(Debug, Clone)]
pub(super) struct Flushes(Arc<AtomicU64>);

/// The thread, until it is stopped.
#[derive(Debug)]
pub(super) struct Pulse {
    stop: Option<mpsc::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Pulse {
    pub(super) fn start(db: sled::Db) -> Result<(Self, Flushes), LogError> {
        let turns = Arc::new(AtomicU64::new(0));
        let (stop, stopped) = mpsc::channel::<()>();
        let seen = Arc::clone(&turns);
        let beat = move || {
            let mut last = 0;
            while stopped.recv_timeout(PULSE) == Err(mpsc::RecvTimeoutError::Timeout) {
                let now = seen.load(Ordering::Acquire);
                if now % 2 == 1 && now == last {
                    // The one who waits gets the error.
                    let _same = guarded("flush", || db.flush());
                }
                last = now;
            }
        };
        let thread = thread::Builder::new().name("hms-sync log pulse".into()).spawn(beat);
        let thread = thread.map_err(io("start a thread for", Path::new("the change log")))?;
        Ok((Self { stop: Some(stop), thread: Some(thread) }, Flushes(turns)))
    }

    pub(super) fn stop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the change log's pulse ended before its time");
        }
    }
}

impl Flushes {
    /// Does `work`, which may wait for a write that fails. One at a time.
    pub(super) fn during<T>(&self, work: impl FnOnce() -> T) -> T {
        self.0.fetch_add(1, Ordering::AcqRel);
        let _ends = Ends(&self.0);
        work()
    }
}

/// Counts the end of a flush, however it ends.
struct Ends<'a>(&'a AtomicU64);

impl Drop for Ends<'_> {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::AcqRel);
    }
}
