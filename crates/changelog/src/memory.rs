//! A disk in memory for simulation and tests: it keeps what was synced through
//! a crash, loses unsynced batches as a power cut would, and fails when told to.
//!
//! A log on it that was open during a crash is dead: all its calls fail.

use crate::error::LogError;
use crate::storage::{Batch, Entry, Order, Span, Storage, Value};
use std::collections::BTreeMap;
use std::fmt;
use std::ops::Bound;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// A handle to one disk; its clones are the same disk. Survives [`MemoryDisk::crash`].
#[derive(Clone, Default)]
pub struct MemoryDisk(Arc<Mutex<State>>);

/// What stood at a key.
type Before = (Vec<u8>, Option<Arc<[u8]>>);

#[derive(Default)]
struct State {
    /// What readers see: durable entries and unsynced ones.
    now: BTreeMap<Vec<u8>, Arc<[u8]>>,
    /// For each unsynced batch, what stood at its keys before.
    undo: Vec<Vec<Before>>,
    bytes: u64,
    /// Counts crashes, so that logs opened before one are dead.
    life: u64,
    open: bool,
    fail_sync: bool,
    fail_write: bool,
    /// So many batches and syncs more succeed.
    fail_after: Option<u64>,
    syncs: u64,
}

impl State {
    fn put(&mut self, key: Vec<u8>, value: Option<Arc<[u8]>>) -> Option<Arc<[u8]>> {
        let size = |value: &Option<Arc<[u8]>>| value.as_ref().map_or(0, |v| v.len() as u64);
        self.bytes += size(&value);
        let old = match value {
            Some(value) => self.now.insert(key, value),
            None => self.now.remove(&key),
        };
        self.bytes -= size(&old);
        old
    }
}

impl State {
    /// Whether the next step fails.
    fn fails(&mut self) -> bool {
        match &mut self.fail_after {
            Some(0) => true,
            Some(left) => {
                *left -= 1;
                false
            }
            None => false,
        }
    }
}

impl MemoryDisk {
    /// An empty disk.
    pub fn new() -> Self {
        Self::default()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Every change is one call that cannot stop in the middle.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A power cut: of the unsynced batches the first few survive, as many as
    /// `seed` says, from none to all. Logs that were open on the disk are dead.
    pub fn crash(&self, seed: u64) {
        let mut state = self.state();
        let choices = state.undo.len() as u64 + 1;
        let keep = usize::try_from(seed % choices).unwrap_or(0);
        while state.undo.len() > keep {
            for (key, old) in state.undo.pop().into_iter().flatten().rev() {
                state.put(key, old);
            }
        }
        state.undo.clear();
        state.life += 1;
        state.open = false;
        (state.fail_sync, state.fail_write, state.fail_after) = (false, false, None);
    }

    /// The next sync fails; what was unsynced stays so.
    pub fn fail_next_sync(&self) {
        self.state().fail_sync = true;
    }

    /// The next batch is refused.
    pub fn fail_next_write(&self) {
        self.state().fail_write = true;
    }

    /// So many batches and syncs more succeed, and none after them until the next crash.
    pub fn fail_after(&self, steps: u64) {
        self.state().fail_after = Some(steps);
    }

    /// How many batches are not synced yet.
    pub fn unsynced(&self) -> usize {
        self.state().undo.len()
    }

    /// How many syncs were asked for, failed ones included.
    pub fn syncs(&self) -> u64 {
        self.state().syncs
    }

    /// Every key with its value, as they lie: for tests that tamper.
    pub fn entries(&self) -> Vec<(Vec<u8>, Vec<u8>)> {
        self.state().now.iter().map(|(key, value)| (key.clone(), value.to_vec())).collect()
    }

    /// A disk with these entries, of which `key` has another value.
    #[cfg(test)]
    pub(crate) fn forged(entries: &[(Vec<u8>, Vec<u8>)], key: &[u8], value: &[u8]) -> Self {
        let disk = Self::new();
        entries.iter().for_each(|(key, value)| disk.tamper(key, Some(value)));
        disk.tamper(key, Some(value));
        disk
    }

    /// Puts `value` at `key` behind the log's back, durably; nothing removes it.
    pub fn tamper(&self, key: &[u8], value: Option<&[u8]>) {
        self.state().put(key.to_vec(), value.map(Arc::from));
    }
}

impl fmt::Debug for MemoryDisk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.state();
        write!(f, "MemoryDisk({} entries, {} unsynced)", state.now.len(), state.undo.len())
    }
}

#[derive(Debug, thiserror::Error)]
enum Trouble {
    #[error("the disk has lost power since")]
    Crashed,
    #[error("the disk was told to fail")]
    Told,
}

fn failed(doing: &'static str, why: Trouble) -> LogError {
    LogError::Storage { doing, source: Arc::new(why) }
}

/// One opening of a disk, until its next crash.
#[derive(Debug)]
pub(crate) struct Memory {
    disk: MemoryDisk,
    life: u64,
}

impl Memory {
    pub(crate) fn open(disk: MemoryDisk) -> Result<Self, LogError> {
        let mut state = disk.state();
        if state.open {
            return Err(LogError::InUse { place: "a disk in memory".into() });
        }
        state.open = true;
        let life = state.life;
        drop(state);
        Ok(Self { disk, life })
    }

    fn state(&self, doing: &'static str) -> Result<MutexGuard<'_, State>, LogError> {
        let state = self.disk.state();
        if state.life == self.life { Ok(state) } else { Err(failed(doing, Trouble::Crashed)) }
    }

    /// For a batch, if it is not to fail.
    fn writing(&self) -> Result<MutexGuard<'_, State>, LogError> {
        let mut state = self.state("write")?;
        let fails = std::mem::take(&mut state.fail_write) || state.fails();
        if fails { Err(failed("write", Trouble::Told)) } else { Ok(state) }
    }
}

impl Storage for Memory {
    fn get(&self, key: &[u8]) -> Result<Option<Value>, LogError> {
        Ok(self.state("read")?.now.get(key).cloned().map(Value::Shared))
    }

    fn scan(&self, span: Span, order: Order) -> Box<dyn Iterator<Item = Result<Entry, LogError>> + '_> {
        let (mut from, mut to) = (Bound::Included(span.from), Bound::Excluded(span.to));
        let next = move || -> Result<Option<Entry>, LogError> {
            if matches!((&from, &to), (Bound::Included(a) | Bound::Excluded(a), Bound::Excluded(b)) if a >= b)
            {
                return Ok(None);
            }
            let state = self.state("read")?;
            let mut range = state.now.range::<Vec<u8>, _>((from.as_ref(), to.as_ref()));
            let found = match order {
                Order::Ascending => range.next(),
                Order::Descending => range.next_back(),
            };
            let Some((key, value)) = found else { return Ok(None) };
            match order {
                Order::Ascending => from = Bound::Excluded(key.clone()),
                Order::Descending => to = Bound::Excluded(key.clone()),
            }
            Ok(Some((Value::Owned(key.clone()), Value::Shared(Arc::clone(value)))))
        };
        let mut next = Some(next);
        Box::new(std::iter::from_fn(move || {
            let step = next.as_mut()?().transpose();
            if !matches!(step, Some(Ok(_))) {
                next = None;
            }
            step
        }))
    }

    fn apply(&self, batch: Batch) -> Result<(), LogError> {
        let mut state = self.writing()?;
        let mut undo = Vec::with_capacity(batch.len());
        for (key, value) in batch {
            let old = state.put(key.clone(), value.map(Arc::from));
            undo.push((key, old));
        }
        state.undo.push(undo);
        Ok(())
    }

    fn sync(&self) -> Result<(), LogError> {
        let mut state = self.state("sync")?;
        state.syncs += 1;
        if std::mem::take(&mut state.fail_sync) || state.fails() {
            return Err(failed("sync", Trouble::Told));
        }
        state.undo.clear();
        Ok(())
    }

    fn bytes(&self) -> u64 {
        self.disk.state().bytes
    }

    fn close(self: Box<Self>) {}
}

impl Drop for Memory {
    fn drop(&mut self) {
        let mut state = self.disk.state();
        if state.life == self.life {
            state.open = false;
        }
    }
}
