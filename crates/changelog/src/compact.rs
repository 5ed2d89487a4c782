//! A compact copy: every key that counts, written in order into a fresh folder, then
//! verified. For a log whose file has grown, because the storage gives no room back of
//! segments that hold events beside outdated views (`disk.rs`).
//!
//! What never happens here: a change of the log that is copied, and a copy under its
//! final name that has not been verified.

use crate::disk::Disk;
use crate::error::LogError;
use crate::folder::{self, io};
use crate::log::{Log, Options};
use crate::storage::{Batch, Order, Span, Storage};
use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// The most values in one batch.
const BATCH_VALUES: usize = 8;

/// What a compact copy came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Compacted {
    /// Events in it, each verified.
    pub events: u64,
    /// What the log takes on disk, in bytes.
    pub bytes_before: u64,
    /// What the copy takes.
    pub bytes_after: u64,
}

impl Log {
    /// Makes a compact copy of the log in `dir`, which must not be there. Nothing can be
    /// appended meanwhile.
    ///
    /// # Errors
    /// [`LogError::Io`] if the folder is there or cannot be made; [`LogError::Poisoned`]
    /// for a log that takes no writes; [`LogError::Damaged`] if the copy is not sound, for
    /// then the log is not either. The log itself is as it was.
    pub fn compact_into(&self, dir: &Path, options: Options) -> Result<Compacted, LogError> {
        let _writing = self.inner.write()?;
        let store = self.inner.store.as_ref();
        self.inner.index.flush_all(store)?;
        store.sync()?;
        if dir.exists() {
            let there = std::io::Error::from(std::io::ErrorKind::AlreadyExists);
            return Err(io("make the folder", dir)(there));
        }
        let unfinished = beside(dir);
        if unfinished.exists() {
            // Left of one that was cut off.
            std::fs::remove_dir_all(&unfinished).map_err(io("clear away", &unfinished))?;
        }
        std::fs::create_dir(&unfinished).map_err(io("make the folder", &unfinished))?;
        let fresh = Disk::open(&unfinished, options.clone())?;
        copy(store, &fresh)?;
        Box::new(fresh).close();
        let events = self.compare(&unfinished, options)?;
        std::fs::rename(&unfinished, dir).map_err(io("rename", &unfinished))?;
        folder::sync_names(dir)?;
        let bytes = |path: PathBuf| std::fs::metadata(path).map_or(0, |found| found.len());
        Ok(Compacted { events, bytes_before: store.bytes(), bytes_after: bytes(dir.join("db")) })
    }

    /// Verifies the copy; it ends with the same root.
    fn compare(&self, copy: &Path, options: Options) -> Result<u64, LogError> {
        let fresh = Log::open(copy, options)?;
        let report = fresh.verify(|_| {})?;
        if let Some(bad) = report.first_bad {
            return Err(LogError::Damaged { seq: bad.seq, damage: bad.what });
        }
        if fresh.tree_head() != self.tree_head() {
            let why = "the copy's root is another than the log's".to_owned();
            return Err(LogError::Corrupt { path: copy.to_owned(), why });
        }
        Ok(report.events)
    }
}

/// The name under which a copy is made.
fn beside(dir: &Path) -> PathBuf {
    let mut name = OsString::from(dir.file_name().unwrap_or_default());
    name.push(".unfinished");
    dir.with_file_name(name)
}

/// Every key with its value, in order.
fn copy(from: &dyn Storage, to: &dyn Storage) -> Result<(), LogError> {
    let mut batch = Batch::new();
    for entry in from.scan(Span { from: Vec::new(), to: vec![0xff] }, Order::Ascending) {
        let (key, value) = entry?;
        batch.push((key.to_vec(), Some(value.to_vec())));
        if batch.len() == BATCH_VALUES {
            to.apply(std::mem::take(&mut batch))?;
        }
    }
    to.apply(batch)?;
    to.sync()
}
