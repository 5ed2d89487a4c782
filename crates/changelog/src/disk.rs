//! The storage on disk: sled 0.34.7, a journal before it, and what it takes to trust both.
//!
//! A batch is durable in the journal ([`journal`]) before anybody is told, and comes to sled
//! later, much at a time ([`moving`]); until then reading finds it in memory ([`fresh`]). What
//! a process leaves in the journal goes to sled at the next start.
//!
//! - sled's `flush` asks the kernel to start writing and does not wait for the
//!   disk, so `sync_data` is called on a handle of its own to `db` afterwards.
//! - Values stay small enough (see `pack.rs`) that it never writes blob files,
//!   which it would not sync.
//! - Its recovery takes a segment (512 KiB of its log) for durable once a later one says
//!   so, and it writes over segments whose pages are newer elsewhere; it calls durable
//!   what it has merely written. Should a power cut take one of them and leave a later
//!   one, the whole log can be gone. So between two syncs its log never grows by more
//!   than a segment: how far it grew is measured, how far a portion may take it is bounded
//!   ([`growth_max`]), and a sync comes first where both together could be too much. What an
//!   earlier process has left unsynced is synced before anything is written, and its
//!   background thread is off, which rewrites pages on its own. The price is space: of
//!   segments that hold events and outdated views, the latter's part is not given back.
//! - After a sync that failed nobody knows what the disk has, and a second one may
//!   say yes to pages that are gone. sled writes and syncs once more while it is being
//!   dropped, so after that it is not dropped: it holds its files until the process ends.
//! - A write of its threads that fails can leave a `flush` waiting for ever; a
//!   second `flush` wakes it. A thread here does that ([`Pulse`]).
//!
//! sled's own compression is off: chunks that we compress can be found in the raw file.

mod apart;
mod fresh;
mod journal;
mod meter;
mod moving;
mod pulse;
mod syncing;

pub(crate) use self::meter::written_beside;

use self::fresh::{Fresh, Stands};
use self::journal::Journal;
use self::meter::Meter;
use self::moving::Mover;
use self::pulse::Pulse;
use self::syncing::Syncing;
use crate::error::LogError;
use crate::folder::{self, Held, JOURNAL, io};
use crate::log::Options;
use crate::storage::{Batch, Entry, Order, Span, Storage, Value};
use std::fs::OpenOptions;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// A segment of sled's log.
const SEGMENT: u64 = 512 << 10;
/// What may be written between two syncs: a little less, for what ends a segment.
const UNSYNCED_MAX: u64 = SEGMENT - (16 << 10);

/// The most that sled's log grows by for a batch of so many bytes and removed keys: leaves
/// are rewritten or split, and with each of them sled moves another out of a segment that it
/// wants to use again. In 128,000 batches of all kinds it was 235 KiB for 7 KiB, 331 KiB for
/// 29 KiB, 394 KiB for 41 KiB, and 364 KiB for sixteen removed keys. Past 60 KiB it can be
/// more than a segment.
fn growth_max(bytes: usize, removed: usize) -> u64 {
    (240 << 10) + 4 * bytes as u64 + (10 << 10) * removed as u64
}

/// So many times as much as gathers otherwise: then a commit waits for what is on its way to sled.
const WAITS_AT: usize = 4;

/// How long a handle of this process may take to let go of a closed log.
const LET_GO: Duration = Duration::from_secs(3);

/// A folder with sled's files in it.
#[derive(Debug)]
pub(crate) struct Disk {
    /// Nothing only while this is being dropped.
    db: Option<sled::Db>,
    dir: PathBuf,
    options: Options,
    syncing: Arc<Syncing>,
    journal: Mutex<Journal>,
    fresh: Arc<Fresh>,
    mover: Mover,
    pulse: Pulse,
    /// Last, so that the lock is let go after sled has let go of its files.
    held: Held,
}

impl Disk {
    pub(crate) fn open(dir: &Path, options: Options) -> Result<Self, LogError> {
        let held = folder::hold(dir)?;
        let (journal, left) = Journal::open(dir)?;
        let db = open_sled(dir, &options)?;
        let path = dir.join("db");
        let file = OpenOptions::new().read(true).write(true).open(&path).map_err(io("open", &path))?;
        let (pulse, flushes) = Pulse::start(db.clone())?;
        let (meter, failed) = (Meter::new(), AtomicBool::new(false));
        let syncing = Arc::new(Syncing { file, path, flushes, meter, failed });
        let fresh = Arc::<Fresh>::default();
        let mover = Mover::start(db.clone(), Arc::clone(&syncing), Arc::clone(&fresh))?;
        let (db, dir, journal) = (Some(db), dir.to_owned(), Mutex::new(journal));
        let mut disk = Self { db, dir, options, syncing, journal, fresh, mover, pulse, held };
        if !disk.db()?.was_recovered() {
            apart::lay(disk.db()?)?;
        }
        // What an earlier process left unsynced of sled's log counts too.
        disk.syncing.sync(disk.db()?)?;
        if !left.is_empty() {
            tracing::info!(entries = left.len(), "the journal's last entries go to the storage");
        }
        disk.fresh.put(left);
        disk.bring_all()?;
        let named = folder::sync_names(&disk.dir).and_then(|()| disk.held.made(&disk.dir));
        named.inspect_err(|_| disk.syncing.failed.store(true, Ordering::Release))?;
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
        // A new thread gets memory from the system that nobody wrote to, so the zeros that sled
        // asks for (see the workspace's Cargo.toml) need not be written.
        let opened = thread::scope(|here| {
            let opening = thread::Builder::new().spawn_scoped(here, || config.open())?;
            Ok(opening.join())
        });
        match opened.map_err(io("start a thread to open", dir))? {
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

/// What sled said in a panic.
#[derive(Debug, thiserror::Error)]
#[error("it gave up: {0}")]
struct GaveUp(String);

/// Has sled do something. On damaged files it asserts, and that is a panic, while reading too.
fn guarded<T>(doing: &'static str, work: impl FnOnce() -> sled::Result<T>) -> Result<T, LogError> {
    match catch_unwind(AssertUnwindSafe(work)) {
        Ok(result) => result.map_err(|why| LogError::Storage { doing, source: Arc::new(why) }),
        Err(panic) => Err(LogError::Storage { doing, source: Arc::new(GaveUp(panic_words(panic.as_ref()))) }),
    }
}

impl Storage for Disk {
    fn get(&self, key: &[u8]) -> Result<Option<Value>, LogError> {
        match self.fresh.get(key) {
            Stands::Fresh(value) => Ok(Some(Value::Sled(value))),
            Stands::Removed => Ok(None),
            Stands::Stored => {
                let db = self.db()?;
                Ok(guarded("read", || db.get(key))?.map(Value::Sled))
            }
        }
    }

    fn scan(&self, span: Span, order: Order) -> Box<dyn Iterator<Item = Result<Entry, LogError>> + '_> {
        match self.db() {
            Ok(db) => Box::new(self.fresh.scan(db, span, order)),
            Err(why) => Box::new(std::iter::once(Err(why))),
        }
    }

    fn apply(&self, batch: Batch) -> Result<(), LogError> {
        // What went wrong meanwhile is said at the next chance.
        self.mover.is_idle()?;
        self.journal().put(&batch)?;
        self.fresh.put(batch);
        if self.is_full() { self.sync() } else { Ok(()) }
    }

    fn sync(&self) -> Result<(), LogError> {
        let mut journal = self.journal();
        journal.sync()?;
        if self.is_full() { self.send(&mut journal) } else { Ok(()) }
    }

    fn rest(&self) -> Result<(), LogError> {
        let mut journal = self.journal();
        let is_due = self.fresh.bytes() > self.options.journal_bytes && self.mover.is_idle()?;
        if is_due { self.send(&mut journal) } else { Ok(()) }
    }

    fn bytes(&self) -> u64 {
        // Without the journal's lock, which is held while it syncs.
        let journal = JOURNAL.iter().filter_map(|name| std::fs::metadata(self.dir.join(name)).ok());
        let all = self.syncing.file.metadata().ok().into_iter().chain(journal);
        all.map(|found| found.len()).sum()
    }

    /// sled writes a snapshot of its page table while opening, and the next
    /// start then needs not read its whole file: so it is opened once more.
    fn close(mut self: Box<Self>) {
        self.let_go();
        match open_sled(&self.dir, &self.options) {
            Ok(db) => end(db),
            Err(why) => tracing::warn!(%why, "the next start of the change log will be slow"),
        }
    }
}

impl Disk {
    fn journal(&self) -> MutexGuard<'_, Journal> {
        // One that failed says so itself.
        self.journal.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether no more may gather.
    fn is_full(&self) -> bool {
        self.fresh.bytes() > WAITS_AT * self.options.journal_bytes
    }

    /// Sends what has gathered on its way to sled, once what was sent before is there.
    fn send(&self, journal: &mut Journal) -> Result<(), LogError> {
        self.mover.settle()?;
        journal.turn()?;
        self.mover.ask(self.fresh.send())
    }

    /// Brings all to sled; the journal is empty afterwards.
    fn bring_all(&self) -> Result<(), LogError> {
        let mut journal = self.journal();
        journal.sync()?;
        self.mover.settle()?;
        if !self.fresh.is_empty() {
            self.mover.ask(self.fresh.send())?;
            self.mover.settle()?;
        }
        journal.clear()
    }

    fn let_go(&mut self) {
        let Some(db) = self.db.take() else { return };
        let has_failed = || self.syncing.failed.load(Ordering::Acquire);
        if !has_failed()
            && let Err(why) = self.bring_all()
        {
            tracing::warn!(
                why = why.in_one_line(),
                "the next start brings the rest of the journal to the storage"
            );
        }
        let has_failed = has_failed();
        self.mover.stop();
        self.pulse.stop();
        if has_failed { std::mem::forget(db) } else { end(db) }
    }
}

/// Ends sled, which unwraps its own last sync while it is being dropped.
fn end(db: sled::Db) {
    if let Err(panic) = catch_unwind(AssertUnwindSafe(|| drop(db))) {
        tracing::error!(why = panic_words(panic.as_ref()), "the change log's storage did not end well");
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        self.let_go();
    }
}
