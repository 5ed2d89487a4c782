//! Copies of the chunks of events in files of their own, so that one can be read without
//! its neighbours: sled keeps nine of them in a leaf, and reads, checks and takes apart the
//! whole leaf for each (decision 0015).
//!
//! What never happens here: anything that the log rests on. A copy is made of events that
//! are durable, is shown only if its hashes fit, and whoever finds none, or not in it what should be,
//! reads the log itself.
//! Nothing is synced. The files are thrown away when there is any doubt about them, and when
//! events are dropped, and are made anew beside the appends.
//!
//! Whose copies they are is said by a stamp of chance, here and in the log. It is another one
//! after each start, from the first commit on: so a log that was put back from elsewhere
//! does not find copies of what it never held.

mod files;
#[cfg(test)]
mod hostile;

use self::files::{Files, Found};
use crate::error::LogError;
use crate::frame::Frame;
use crate::keys;
use crate::pack;
use crate::storage::{Batch, Order, Span, Storage, Value};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

/// Chunks that are copied in one go, where some are behind.
const BEHIND_CHUNKS: usize = 64;

/// Whose copies they are.
type Stamp = [u8; 16];

/// The copies of one log; none for a log that is in no folder.
#[derive(Debug, Default)]
pub(crate) struct Copies {
    dir: Option<PathBuf>,
    /// What can be read.
    shown: RwLock<Option<Arc<Files>>>,
    work: Mutex<Work>,
}

/// What the writer has in hand.
#[derive(Debug, Default)]
struct Work {
    /// Up to this event there are copies.
    upto: u64,
    /// Whether the files have the stamp of this start.
    stamped: bool,
    /// No more copies until the next start: a file could not be written.
    off: bool,
    gathered: Gathered,
}

/// Chunks that are copied when their events are durable.
#[derive(Debug, Default)]
struct Gathered {
    bytes: Vec<u8>,
    /// The first event of each, and its length.
    chunks: Vec<(u64, usize)>,
}

impl Gathered {
    fn put(&mut self, first: u64, value: &[u8]) {
        self.bytes.extend_from_slice(value);
        self.chunks.push((first, value.len()));
    }
}

/// Whether a value is a chunk that holds its events itself.
fn is_copied(value: &[u8]) -> bool {
    value.starts_with(&pack::PACKED) || Frame::split(value).is_ok()
}

impl Copies {
    /// The copies that lie beside the log in `dir`, which goes up to `head`. Nothing is changed.
    pub(crate) fn open(dir: &Path, store: &dyn Storage, head: u64) -> Result<Self, LogError> {
        let dir = dir.join("copies");
        let stamp = store.get(keys::COPIES)?.and_then(|stamp| Stamp::try_from(&*stamp).ok());
        let found = stamp.and_then(|stamp| Files::open(&dir, &stamp, head)).unwrap_or_default();
        // What comes next is copied from here: where no chunk begins, the places are not ours, and
        // the chunk that is there would never get a copy.
        let goes_on = store.get(&keys::chunk(found.upto.saturating_add(1)))?.is_some();
        let Found { files, upto } = if goes_on { found } else { Found::default() };
        let work = Work { upto, ..Work::default() };
        Ok(Self { dir: Some(dir), shown: RwLock::new(files.map(Arc::new)), work: Mutex::new(work) })
    }

    fn work(&self) -> MutexGuard<'_, Work> {
        // Losing what is in hand is no loss: it is found missing, and read from the log.
        self.work.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn shown(&self) -> Option<Arc<Files>> {
        // Every change is one call that cannot stop in the middle.
        self.shown.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn show(&self, files: Option<Arc<Files>>) {
        *self.shown.write().unwrap_or_else(PoisonError::into_inner) = files;
    }

    /// The frames of the chunk that begins with event `first`, if there is a copy that is whole.
    pub(crate) fn frames(&self, first: u64) -> Option<Value> {
        let value = self.shown()?.get(first)?;
        let frames = match pack::unpack(pack::PACKED, &[], &value) {
            Some(frames) => frames.ok(),
            None => proved(first, &value).then_some(value),
        };
        let begins =
            |frames: &Vec<u8>| Frame::split(frames).is_ok_and(|(frame, _)| frame.unproved(first).is_some());
        let frames = frames.filter(begins);
        if frames.is_none() {
            self.doubt(first);
        }
        frames.map(Value::Owned)
    }

    /// Whether what is stored as the chunk of event `first` is what its copy says, if there is one.
    /// If not, there are no copies any more.
    pub(crate) fn compare(&self, first: u64, stored: &[u8]) {
        if self.shown().and_then(|files| files.get(first)).is_some_and(|copy| copy != stored) {
            self.doubt(first);
        }
    }

    /// The copy of the chunk of event `first` is not what is stored: there are no copies any more.
    pub(crate) fn doubt(&self, first: u64) {
        tracing::warn!(event = first, "a copy of events is not what the change log has: all are made anew");
        self.show(None);
        let mut work = self.work();
        *work = Work::default();
        if let Some(Err(why)) = self.dir.as_deref().map(files::remove) {
            tracing::warn!(why = why.in_one_line(), "they could not be removed");
        }
    }

    /// Before events are written that follow `head`: whether they are to be gathered. With the
    /// first ones the stamp changes, in the log as well.
    pub(crate) fn begin(&self, store: &dyn Storage, head: u64) -> Result<bool, LogError> {
        let Some(dir) = &self.dir else { return Ok(false) };
        let mut work = self.work();
        if work.off {
            return Ok(false);
        }
        if !work.stamped {
            let stamp = stamp_of_chance(dir);
            store.apply(vec![(keys::COPIES.to_vec(), Some(stamp.to_vec()))])?;
            let files = match self.shown() {
                Some(files) => files.restamp(&stamp).map(|()| files),
                None => Files::create(dir, &stamp).map(Arc::new),
            };
            if self.shown().is_none() {
                work.upto = 0;
            }
            match files {
                Ok(files) => self.show(Some(files)),
                Err(why) => return Ok(self.give_up(&mut work, &why)),
            }
            work.stamped = true;
        }
        work.gathered = Gathered::default();
        Ok(work.upto == head)
    }

    /// A batch that is being written.
    pub(crate) fn gather(&self, batch: &Batch) {
        let mut work = self.work();
        for (key, value) in batch {
            if let (Some(first), Some(value)) = (keys::read_chunk(key), value)
                && is_copied(value)
            {
                work.gathered.put(first, value);
            }
        }
    }

    /// What was gathered is durable: copies it. It follows event `before` and goes up to `upto`.
    pub(crate) fn keep(&self, before: u64, upto: u64) {
        let mut work = self.work();
        let gathered = std::mem::take(&mut work.gathered);
        let Some(files) = self.shown().filter(|_| work.stamped && work.upto == before) else { return };
        match files.append(&gathered.bytes, &gathered.chunks) {
            Ok(()) => work.upto = upto,
            Err(why) => {
                self.give_up(&mut work, &why);
            }
        }
    }

    /// Copies some of the chunks that have no copy yet, of events after `dropped` and up to
    /// `head`. Answers whether there are more. Only the writer may call it.
    pub(crate) fn catch_up(&self, store: &dyn Storage, dropped: u64, head: u64) -> Result<bool, LogError> {
        let upto = self.work().upto;
        if upto == head || self.begin(store, head)? {
            return Ok(false);
        }
        let (upto, off) = {
            let work = self.work();
            (work.upto.max(dropped), work.off)
        };
        if off || self.dir.is_none() {
            return Ok(false);
        }
        let from = keys::chunk(upto.saturating_add(1));
        let span = Span { from, to: Span::prefix(&[keys::CHUNK]).to };
        let (mut gathered, mut next) = (Gathered::default(), head.saturating_add(1));
        for (n, entry) in store.scan(span, Order::Ascending).enumerate() {
            let (key, value) = entry?;
            let Some(first) = keys::read_chunk(&key).filter(|first| *first <= head) else { break };
            if n == BEHIND_CHUNKS {
                next = first;
                break;
            }
            if is_copied(&value) {
                gathered.put(first, &value);
            }
        }
        let mut work = self.work();
        work.gathered = gathered;
        work.upto = upto;
        drop(work);
        self.keep(upto, next.saturating_sub(1));
        Ok(next <= head)
    }

    /// No more copies until the next start; answers that there is nothing to gather.
    fn give_up(&self, work: &mut Work, why: &std::io::Error) -> bool {
        tracing::warn!(%why, "events cannot be copied for faster reading: they are read from the change log");
        work.off = true;
        self.show(None);
        false
    }

    /// What they take, in bytes.
    pub(crate) fn bytes(&self) -> u64 {
        self.shown().map_or(0, |files| files.bytes())
    }

    /// Throws all copies away for good, before events are dropped.
    pub(crate) fn clear(&self) -> Result<(), LogError> {
        let Some(dir) = &self.dir else { return Ok(()) };
        let mut work = self.work();
        self.show(None);
        let off = work.off;
        *work = Work { off, ..Work::default() };
        files::remove(dir)
    }
}

/// Whether all of a chunk that is not packed has the hashes that it is stored under.
fn proved(first: u64, value: &[u8]) -> bool {
    let (mut rest, mut seq) = (value, first);
    while let Ok((frame, after)) = Frame::split(rest) {
        if frame.head(seq).is_err() {
            return false;
        }
        (rest, seq) = (after, seq.saturating_add(1));
    }
    rest.is_empty()
}

/// A stamp that no other start has.
fn stamp_of_chance(dir: &Path) -> Stamp {
    use std::hash::{BuildHasher, RandomState};
    let now = std::time::SystemTime::now();
    let [a, b] =
        [RandomState::new(), RandomState::new()].map(|state| state.hash_one((dir, now, std::process::id())));
    ((u128::from(a) << 64) | u128::from(b)).to_be_bytes()
}
