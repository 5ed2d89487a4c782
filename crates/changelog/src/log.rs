//! The log itself: opening, appending, closing.
//!
//! One writer at a time. `head` moves only after a sync has returned, and
//! readers see nothing beyond it. The first error of a write stops all writing
//! until a restart, because nobody knows what of it reached the disk.

use crate::archived::{self, Archived};
use crate::chunks::Chunks;
use crate::copies::Copies;
use crate::disk::Disk;
use crate::dropped;
use crate::error::LogError;
use crate::frame::{Frame, Sealed};
use crate::hole::{self, Lost};
use crate::index::{self, GENERATION_EVENTS, Index};
use crate::keys;
use crate::memory::{Memory, MemoryDisk};
use crate::pack;
use crate::storage::{Order, Span, Storage};
use crate::table::{Table, TableSize};
use crate::tail;
use crate::tally::Count;
use crate::tree::{KEPT_LEVEL, KEPT_LEVEL_SMALL, Tree};
use crate::views;
use hms_sync_model::Time;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, RwLock};

/// How much gathers before it is stored, and in what portions.
struct Measures {
    /// Events whose index entries gather in memory.
    generation: u64,
    /// Runs of a size that are merged.
    fan_out: usize,
    /// Bytes of entries in a block of a run.
    block_bytes: usize,
    /// The lowest level of the tree that is kept.
    kept_level: u8,
}

/// On disk.
const LARGE: Measures =
    Measures { generation: GENERATION_EVENTS, fan_out: 8, block_bytes: 2_048, kept_level: KEPT_LEVEL };
/// On a disk in memory.
const SMALL: Measures =
    Measures { generation: 48, fan_out: 3, block_bytes: 200, kept_level: KEPT_LEVEL_SMALL };
/// The fewest blocks written at once to the tables.
const BLOCKS_MIN: usize = 4;
/// For so many events that come in, a block more, so that all ends however busy it is:
/// an event makes one or two entries, which are merged a few times, thirty to a block.
const EVENTS_PER_BLOCK: usize = 4;

/// How many blocks may be written before the next commit, when `events` came with the last.
pub(crate) fn blocks_for(events: usize) -> usize {
    BLOCKS_MIN.max(events / EVENTS_PER_BLOCK)
}

/// How a log on disk is opened.
#[derive(Debug, Clone)]
pub struct Options {
    /// Memory for pages that were read or written, in bytes.
    pub cache_bytes: u64,
    /// So many bytes gather in the journal before they go to the storage behind it; up to four
    /// times as many while others are on their way there.
    pub journal_bytes: usize,
}

impl Default for Options {
    /// 8 MiB of cache: what is in use lies in memory above the log. 512 KiB of journal.
    fn default() -> Self {
        Self { cache_bytes: 8 << 20, journal_bytes: 512 << 10 }
    }
}

/// What a log holds.
#[derive(Debug, Clone)]
pub struct LogStats {
    /// Durable events.
    pub events: u64,
    /// The event up to which views are saved.
    pub views_upto: u64,
    /// What it takes on disk, in bytes, copies of events for faster reading included.
    pub bytes: u64,
    /// The stored index.
    pub index: TableSize,
    /// The saved views.
    pub views: TableSize,
    /// Why it takes no more writes, if it does not.
    pub poisoned: Option<Arc<str>>,
}

/// A handle to an open change log; its clones are the same log.
#[derive(Debug, Clone)]
pub struct Log {
    pub(crate) inner: Arc<Inner>,
}

#[derive(Debug)]
pub(crate) struct Inner {
    pub(crate) store: Box<dyn Storage>,
    /// The last durable event.
    head: AtomicU64,
    /// Up to the last durable event.
    tree: Mutex<Tree>,
    pub(crate) index: Index,
    pub(crate) views: Table,
    pub(crate) chunks: Chunks,
    pub(crate) copies: Copies,
    /// What was archived and dropped.
    pub(crate) archived: RwLock<Vec<Archived>>,
    writing: Mutex<()>,
    poison: OnceLock<Arc<str>>,
    closed: AtomicBool,
    /// Events read since it was opened.
    pub(crate) reads: AtomicU64,
}

impl Log {
    /// Opens the log in `dir` and makes the folder if there is none.
    ///
    /// If the storage opens but the end of the log is not whole, the log opens
    /// for reading only, so that [`Log::verify`] can name what is damaged.
    ///
    /// # Errors
    /// [`LogError::InUse`], [`LogError::NewerFormat`], [`LogError::NotALog`] and
    /// [`LogError::Io`] before anything is changed; [`LogError::Corrupt`] if the
    /// storage cannot be opened.
    pub fn open(dir: &Path, options: Options) -> Result<Self, LogError> {
        Self::start(Box::new(Disk::open(dir, options)?), &LARGE, Some(dir))
    }

    /// Opens the log on a disk in memory. One log at a time, as in a folder. What
    /// gathers there before it is stored is little, so that tests meet all stages.
    pub fn on(disk: MemoryDisk) -> Result<Self, LogError> {
        Self::start(Box::new(Memory::open(disk)?), &SMALL, None)
    }

    fn start(store: Box<dyn Storage>, measures: &Measures, dir: Option<&Path>) -> Result<Self, LogError> {
        let Measures { generation, fan_out, block_bytes, kept_level } = *measures;
        tail::take_up(store.as_ref(), kept_level)?;
        let (head, trouble) = find_head(store.as_ref())?;
        let (tree, tree_trouble) = match &trouble {
            // The end of the log is not whole, and so no edge fits it.
            Some(_) => (Tree::empty(kept_level), None),
            None => Tree::open(store.as_ref(), head, kept_level)?,
        };
        let (ranges, counted) = archived::all(store.as_ref())?;
        if trouble.is_none() && tree_trouble.is_none() {
            // A drop that was cut off goes on.
            dropped::clear(store.as_ref(), &ranges)?;
        }
        let views = Table::open(store.as_ref(), views::shape(fan_out, block_bytes))?;
        let index =
            Index::open(store.as_ref(), head, generation, index::shape(fan_out, block_bytes), counted)?;
        let copies = match dir {
            Some(dir) if trouble.is_none() => Copies::open(dir, store.as_ref(), head)?,
            _ => Copies::default(),
        };
        let inner = Inner {
            store,
            index,
            copies,
            head: AtomicU64::new(head),
            tree: Mutex::new(tree),
            views,
            chunks: Chunks::default(),
            archived: RwLock::new(ranges),
            writing: Mutex::new(()),
            poison: OnceLock::new(),
            closed: AtomicBool::new(false),
            reads: AtomicU64::new(0),
        };
        let log = Self { inner: Arc::new(inner) };
        match trouble.or(tree_trouble) {
            Some(why) => log.inner.poison(&why),
            None => log.settle_views()?,
        }
        Ok(log)
    }

    /// The number of the last durable event; 0 if there is none.
    pub fn head(&self) -> u64 {
        self.inner.head.load(Ordering::Acquire)
    }

    /// How many events have been read since it was opened, for whoever wants to know
    /// what an answer costs.
    pub fn reads(&self) -> u64 {
        self.inner.reads.load(Ordering::Relaxed)
    }

    /// Appends events and returns when they are durable. Blocks.
    ///
    /// # Errors
    /// [`LogError::Gap`] if they do not follow the head one by one: nothing is
    /// written then. Any other error stops all writing: the events may or may
    /// not be there after a restart.
    pub fn append(&self, events: &[Sealed]) -> Result<(), LogError> {
        let result = self.commit(std::iter::once(events)).pop().unwrap_or(Ok(()));
        self.tend(events.len())?;
        result
    }

    /// Notes events that were lost, which must follow the head: a recovery's part.
    pub(crate) fn lose(&self, lost: Lost) -> Result<(), LogError> {
        let _writing = self.inner.write()?;
        let expected = self.head().saturating_add(1);
        if lost.first != expected {
            return Err(LogError::Gap { expected, found: lost.first });
        }
        let (events, max) = (usize::try_from(lost.count).unwrap_or(usize::MAX), hole::EVENTS_MAX);
        if lost.count > max {
            let max = usize::try_from(max).unwrap_or(usize::MAX);
            return Err(LogError::TooLarge { what: "hole, in events,", bytes: events, max });
        }
        let store = self.inner.store.as_ref();
        let mut tree = self.inner.tree().clone();
        let noted = tree.grow_lost(lost.count, store).and_then(|()| {
            let latest = lost_at(store)?.map_or(lost.at, |before| before.max(lost.at));
            store.apply(lost.batch(tree.to_bytes(), latest))?;
            store.sync()
        });
        noted.inspect_err(|why| self.inner.poison(&why.in_one_line()))?;
        self.inner.set_head(lost.last(), tree);
        Ok(())
    }

    /// Appends several submissions with one sync. A submission that does not
    /// follow the one before is refused by itself.
    pub(crate) fn commit<'a>(
        &self,
        submissions: impl ExactSizeIterator<Item = &'a [Sealed]>,
    ) -> Vec<Result<(), LogError>> {
        let _writing = match self.inner.write() {
            Ok(guard) => guard,
            Err(why) => return submissions.map(|_| Err(why.clone())).collect(),
        };
        let head = self.head();
        let (mut last, mut taken) = (head, Vec::with_capacity(submissions.len()));
        let mut results: Vec<Result<(), LogError>> = submissions
            .map(|events| {
                last = follow(last, events)?;
                taken.push(events);
                Ok(())
            })
            .collect();
        if last == head {
            return results;
        }
        match self.inner.write_events(taken.into_iter().flatten()) {
            Ok(tree) => {
                self.inner.set_head(last, tree);
                self.inner.copies.keep(head, last);
            }
            Err(why) => {
                self.inner.poison(&why.in_one_line());
                results.iter_mut().filter(|result| result.is_ok()).for_each(|r| *r = Err(why.clone()));
            }
        }
        results
    }

    /// Takes no more writes.
    pub(crate) fn stop(&self, why: &str) {
        self.inner.poison(why);
    }

    /// Brings part of what gathers in memory to the store, in step with `events`
    /// more events. Answers whether more is due.
    pub(crate) fn tend(&self, events: usize) -> Result<bool, LogError> {
        let Ok(_writing) = self.inner.write() else { return Ok(false) };
        let (store, blocks) = (self.inner.store.as_ref(), blocks_for(events));
        let tended = self.inner.index.flush_some(store, blocks).and_then(|flushing| {
            let index = flushing || self.inner.index.table().tend(store, blocks)?;
            let tables = self.inner.views.tend(store, blocks)? || index;
            let dropped = self.inner.index.dropped();
            Ok(self.inner.copies.catch_up(store, dropped, self.head())? || tables)
        });
        let tended = tended.and_then(|more| store.rest().map(|()| more));
        tended.inspect_err(|why| self.inner.poison(&why.in_one_line()))
    }

    /// What the log holds.
    pub fn stats(&self) -> LogStats {
        LogStats {
            events: self.head(),
            views_upto: self.views_upto(),
            bytes: self.inner.store.bytes().saturating_add(self.inner.copies.bytes()),
            index: self.inner.index.table().size(),
            views: self.inner.views.size(),
            poisoned: self.inner.poison.get().cloned(),
        }
    }

    /// How much there is of each collection, by name, and of the sync's own streams.
    /// Kept up to date with each commit. A log from before that was so reads all its
    /// events, once each time it is open.
    ///
    /// # Errors
    /// [`LogError::Damaged`] if that comes to an event that cannot be read.
    pub fn counts(&self) -> Result<BTreeMap<String, Count>, LogError> {
        Ok(self.inner.index.tally(self.inner.store.as_ref(), self.head())?.into_groups())
    }

    /// Makes everything durable and refuses further writes. The last handle to
    /// close also prepares a fast next start.
    ///
    /// # Errors
    /// What the sync said, or [`LogError::Poisoned`] if an earlier write failed.
    pub fn close(self) -> Result<(), LogError> {
        match self.inner.write() {
            Ok(_writing) => {
                let store = self.inner.store.as_ref();
                let flushed = self.inner.index.flush_all(store).and_then(|()| store.sync());
                flushed.inspect_err(|why| self.inner.poison(&why.in_one_line()))?;
                self.inner.closed.store(true, Ordering::Release);
            }
            Err(LogError::Closed) => {}
            Err(why) => return Err(why),
        }
        if let Ok(inner) = Arc::try_unwrap(self.inner) {
            inner.store.close();
        } else {
            tracing::debug!("the change log is closed for writing; somebody still reads it");
        }
        Ok(())
    }
}

impl Inner {
    /// The right to write, or why there is none.
    pub(crate) fn write(&self) -> Result<MutexGuard<'_, ()>, LogError> {
        let guard = self.writing.lock().map_err(|_| LogError::Poisoned {
            why: "a write stopped in its middle, by a fault in the storage".into(),
        })?;
        if let Some(why) = self.poison.get() {
            return Err(LogError::Poisoned { why: Arc::clone(why) });
        }
        if self.closed.load(Ordering::Acquire) { Err(LogError::Closed) } else { Ok(guard) }
    }

    /// Stops all writing.
    pub(crate) fn poison(&self, why: &str) {
        tracing::error!(why, "the change log takes no more writes");
        self.poison.get_or_init(|| why.into());
    }

    /// The tree over all durable events.
    pub(crate) fn tree(&self) -> MutexGuard<'_, Tree> {
        // Every change is one call that cannot stop in the middle.
        self.tree.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Both at once, for whoever holds the tree.
    pub(crate) fn set_head(&self, head: u64, grown: Tree) {
        let mut tree = self.tree();
        *tree = grown;
        self.head.store(head, Ordering::Release);
    }

    /// Answers with the tree as it is then.
    fn write_events<'a>(&self, events: impl Iterator<Item = &'a Sealed>) -> Result<Tree, LogError> {
        let mut tree = self.tree().clone();
        let copied = self.copies.begin(self.store.as_ref(), tree.size())?;
        let placed = pack::pack(events, &mut tree, |batch, placed| {
            if copied {
                self.copies.gather(&batch);
            }
            self.store.apply(batch)?;
            // Nobody sees them before the head has moved.
            self.index.put(placed);
            Ok::<_, LogError>(())
        })?;
        self.store.sync()?;
        self.index.count(&placed);
        Ok(tree)
    }
}

/// The last of `events`, which must follow `last` without a gap.
fn follow(last: u64, events: &[Sealed]) -> Result<u64, LogError> {
    events.iter().try_fold(last, |last, event| {
        let expected = last.saturating_add(1);
        if event.seq == expected { Ok(expected) } else { Err(LogError::Gap { expected, found: event.seq }) }
    })
}

/// When events were last found to be lost.
pub(crate) fn lost_at(store: &dyn Storage) -> Result<Option<Time>, LogError> {
    let value = store.get(keys::LOST)?;
    Ok(value.and_then(|value| value.first_chunk().map(|at| Time(i64::from_be_bytes(*at)))))
}

/// The log's own count of its events.
pub(crate) fn counted(store: &dyn Storage) -> Result<Option<u64>, LogError> {
    let value = store.get(keys::HEAD)?;
    Ok(value.and_then(|value| value.first_chunk().map(|seq| u64::from_be_bytes(*seq))))
}

/// The last event, by its mark and by the last chunk. What a power cut has left behind the mark
/// is taken up before; if they differ, the second answer says what is wrong.
fn find_head(store: &dyn Storage) -> Result<(u64, Option<String>), LogError> {
    let marked = counted(store)?.unwrap_or(0);
    let Some(entry) = store.scan(Span::prefix(&[keys::CHUNK]), Order::Descending).next() else {
        let trouble = (marked > 0).then(|| format!("all events up to {marked} are missing"));
        return Ok((marked, trouble));
    };
    let (key, chunk) = entry?;
    let first = keys::read_chunk(&key).unwrap_or(u64::MAX);
    let stored = match pack::unpack(pack::PACKED, &[], &chunk) {
        None if let Some(lost) = hole::read(&chunk) => {
            lost.ok().filter(|lost| lost.first == first).map(|lost| lost.last())
        }
        Some(frames) => frames.ok().and_then(|frames| last_in(first, &frames)),
        None if let Some(range) = archived::read(&chunk) => {
            range.ok().filter(|(range, _)| range.first == first).map(|(range, _)| range.last)
        }
        None if pack::parts_of(&chunk).is_some() => Some(first),
        None => last_in(first, &chunk),
    };
    let trouble = (stored != Some(marked)).then(|| {
        let seen = stored.map_or("not whole".to_owned(), |seq| format!("event {seq}"));
        format!("the end of the log is damaged: it should be event {marked} and is {seen}")
    });
    // The farther of the two, so that `verify` comes by what is wrong.
    Ok((stored.unwrap_or(first).max(marked), trouble))
}

/// The number of the last frame in a chunk, if all of it is frames.
fn last_in(first: u64, chunk: &[u8]) -> Option<u64> {
    let (mut rest, mut next) = (chunk, first);
    while !rest.is_empty() {
        rest = Frame::split(rest).ok()?.1;
        next = next.checked_add(1)?;
    }
    next.checked_sub(1).filter(|last| *last >= first)
}

#[cfg(test)]
mod hostile;
