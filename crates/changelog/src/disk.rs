//! The storage on disk: sled 0.34.7, and what it takes to trust it.
//!
//! - Its `flush` asks the kernel to start writing and does not wait for the
//!   disk, so `sync` calls `sync_data` on a handle of its own to `db` afterwards.
//! - Values stay small enough (see `pack.rs`) that it never writes blob files,
//!   which it would not sync.
//! - As its source reads, it may write over a segment whose pages were rewritten
//!   elsewhere once its log is a segment (512 KiB) further, durable or not; a
//!   power cut then could take old and new copy. To make that unlikely, a sync
//!   comes before a batch that would bring the unsynced bytes past
//!   [`UNSYNCED_MAX`], those of views included, and its background thread is off,
//!   which rewrites pages on its own. This narrows the window and does not close
//!   it: one batch may be larger than the bound, and how much log a byte takes is
//!   an estimate. The price is space: of segments that hold events and outdated
//!   views, the latter's part is not given back.
//! - A write of its threads that fails can leave a `flush` waiting for ever; a
//!   second `flush` wakes it. A thread here does that ([`Pulse`]).
//!
//! sled's own compression is off: chunks that we compress can be found in the raw file.

use crate::error::LogError;
use crate::folder::{self, Held, io};
use crate::log::Options;
use crate::storage::{Batch, Entry, Order, Span, Storage, Value};
use std::fs::{File, OpenOptions};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// Bytes of keys and values between two syncs, if no batch is larger. The file
/// grew by about four bytes for each when measured with small events; with large
/// values beside small changes it is more.
const UNSYNCED_MAX: usize = 112 << 10;
/// What a removed key counts as: leaves of blocks are rewritten for every few.
const REMOVED_BYTES: usize = 2 << 10;
/// How long a handle of this process may take to let go of a closed log.
const LET_GO: Duration = Duration::from_secs(3);
/// How often a flush that is still under way is looked at.
const PULSE: Duration = Duration::from_millis(250);

/// A folder with sled's files in it.
#[derive(Debug)]
pub(crate) struct Disk {
    /// Nothing only while this is being dropped.
    db: Option<sled::Db>,
    file: File,
    dir: PathBuf,
    options: Options,
    pulse: Pulse,
    /// Bytes applied since the last sync.
    unsynced: AtomicUsize,
    /// Last, so that the lock is let go after sled has let go of its files.
    _held: Held,
}

impl Disk {
    pub(crate) fn open(dir: &Path, options: Options) -> Result<Self, LogError> {
        let held = folder::hold(dir)?;
        let db = open_sled(dir, &options)?;
        let path = dir.join("db");
        let file = OpenOptions::new().read(true).write(true).open(&path).map_err(io("open", &path))?;
        let disk = Self {
            pulse: Pulse::start(db.clone())?,
            db: Some(db),
            file,
            dir: dir.to_owned(),
            options,
            unsynced: AtomicUsize::new(0),
            _held: held,
        };
        disk.sync()?;
        folder::sync_names(dir)?;
        Ok(disk)
    }

    fn db(&self) -> Result<&sled::Db, LogError> {
        self.db.as_ref().ok_or(LogError::Closed)
    }
}

/// Opens sled. A file lock that is still held is waited for: our own lock is
/// taken already, so it can only be a thread of this process that lets go.
fn open_sled(dir: &Path, options: &Options) -> Result<sled::Db, LogError> {
    let corrupt = |why: String| LogError::Corrupt { path: dir.to_owned(), why };
    let begun = Instant::now();
    loop {
        let config = sled::Config::new()
            .path(dir)
            .cache_capacity(options.cache_bytes)
            .flush_every_ms(None)
            .use_compression(false);
        // sled asserts what it finds in its files; on damaged ones that is a panic.
        let opened = catch_unwind(AssertUnwindSafe(|| config.open()));
        match opened {
            Ok(Ok(db)) => return Ok(db),
            Ok(Err(sled::Error::Io(why))) => {
                if !why.to_string().contains("could not acquire lock") {
                    return Err(io("open", dir)(why));
                }
                if begun.elapsed() > LET_GO {
                    return Err(LogError::InUse { place: dir.display().to_string() });
                }
                thread::sleep(Duration::from_millis(5));
            }
            Ok(Err(why)) => return Err(corrupt(why.to_string())),
            Err(panic) => return Err(corrupt(panic_words(panic.as_ref()))),
        }
    }
}

fn panic_words(panic: &(dyn std::any::Any + Send)) -> String {
    let words = panic.downcast_ref::<String>().map(String::as_str);
    words.or(panic.downcast_ref::<&str>().copied()).unwrap_or("it gave up without a word").to_owned()
}

fn failed(doing: &'static str) -> impl FnOnce(sled::Error) -> LogError {
    move |why| LogError::Storage { doing, source: Arc::new(why) }
}

impl Storage for Disk {
    fn get(&self, key: &[u8]) -> Result<Option<Value>, LogError> {
        Ok(self.db()?.get(key).map_err(failed("read"))?.map(Value::Sled))
    }

    fn scan(&self, span: Span, order: Order) -> Box<dyn Iterator<Item = Result<Entry, LogError>> + '_> {
        let db = match self.db() {
            Ok(db) => db,
            Err(why) => return Box::new(std::iter::once(Err(why))),
        };
        let entry = |found: sled::Result<(sled::IVec, sled::IVec)>| {
            found.map(|(key, value)| (Value::Sled(key), Value::Sled(value))).map_err(failed("read"))
        };
        let range = db.range(span.from..span.to);
        match order {
            Order::Ascending => Box::new(range.map(entry)),
            Order::Descending => Box::new(range.rev().map(entry)),
        }
    }

    fn apply(&self, batch: Batch) -> Result<(), LogError> {
        let mut all = sled::Batch::default();
        let mut bytes = 0;
        for (key, value) in batch {
            bytes += key.len() + value.as_ref().map_or(REMOVED_BYTES, Vec::len);
            match value {
                Some(value) => all.insert(key, value),
                None => all.remove(key),
            }
        }
        if self.unsynced.load(Ordering::Acquire) + bytes > UNSYNCED_MAX {
            self.sync()?;
        }
        self.db()?.apply_batch(all).map_err(failed("write"))?;
        self.unsynced.fetch_add(bytes, Ordering::AcqRel);
        Ok(())
    }

    fn sync(&self) -> Result<(), LogError> {
        let db = self.db()?;
        self.pulse.during(|| db.flush()).map_err(failed("flush"))?;
        self.file.sync_data().map_err(io("sync", &self.dir.join("db")))?;
        self.unsynced.store(0, Ordering::Release);
        Ok(())
    }

    fn bytes(&self) -> u64 {
        self.file.metadata().map_or(0, |found| found.len())
    }

    /// sled writes a snapshot of its page table while opening, and the next
    /// start then needs not read its whole file: so it is opened once more.
    fn close(mut self: Box<Self>) {
        self.let_go();
        match open_sled(&self.dir, &self.options) {
            Ok(db) => self.db = Some(db),
            Err(why) => tracing::warn!(%why, "the next start of the change log will be slow"),
        }
    }
}

impl Disk {
    fn let_go(&mut self) {
        self.pulse.stop();
        let db = self.db.take();
        // sled unwraps its own last sync while it is being dropped.
        if let Err(panic) = catch_unwind(AssertUnwindSafe(|| drop(db))) {
            tracing::error!(why = panic_words(panic.as_ref()), "the change log's storage did not end well");
        }
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        self.let_go();
    }
}

/// Wakes a flush that waits for a write which has failed.
///
/// sled wakes its waiters after a successful write; after a failed one it
/// notes the error, and only the next call of `flush` looks at the note and
/// wakes them all. So while one is under way for long, this thread calls it too.
#[derive(Debug)]
struct Pulse {
    /// Odd while a flush is under way.
    turns: Arc<AtomicU64>,
    stop: Option<mpsc::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Pulse {
    fn start(db: sled::Db) -> Result<Self, LogError> {
        let turns = Arc::new(AtomicU64::new(0));
        let (stop, stopped) = mpsc::channel::<()>();
        let seen = Arc::clone(&turns);
        let beat = move || {
            let mut last = 0;
            while stopped.recv_timeout(PULSE) == Err(mpsc::RecvTimeoutError::Timeout) {
                let now = seen.load(Ordering::Acquire);
                if now % 2 == 1 && now == last {
                    // The one who waits gets the error.
                    let _same = db.flush();
                }
                last = now;
            }
        };
        let thread = thread::Builder::new().name("hms-sync log pulse".into()).spawn(beat);
        let thread = thread.map_err(io("start a thread for", Path::new("the change log")))?;
        Ok(Self { turns, stop: Some(stop), thread: Some(thread) })
    }

    fn during<T>(&self, work: impl FnOnce() -> T) -> T {
        self.turns.fetch_add(1, Ordering::AcqRel);
        let result = work();
        self.turns.fetch_add(1, Ordering::AcqRel);
        result
    }

    fn stop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the change log's pulse ended before its time");
        }
    }
}
