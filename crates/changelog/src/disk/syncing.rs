//! Makes what sled has in hand durable, whoever asks for it.

use super::guarded;
use super::meter::Meter;
use super::pulse::Flushes;
use crate::error::LogError;
use crate::folder::io;
use std::fs::File;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};

/// What a sync takes besides sled.
#[derive(Debug)]
pub(super) struct Syncing {
    pub(super) file: File,
    pub(super) path: PathBuf,
    pub(super) flushes: Flushes,
    /// What was written since the last sync.
    pub(super) meter: Meter,
    /// A sync has failed: nothing must be written or synced any more.
    pub(super) failed: AtomicBool,
}

impl Syncing {
    /// Returns when the kernel has all that sled was handed.
    pub(super) fn flush(&self, db: &sled::Db) -> Result<(), LogError> {
        guarded("flush", || self.flushes.during(|| db.flush())).map(drop)
    }

    /// Returns when the disk has it. Nothing must be written meanwhile.
    pub(super) fn sync(&self, db: &sled::Db) -> Result<(), LogError> {
        self.flush(db)?;
        if let Err(why) = self.file.sync_data() {
            self.failed.store(true, Ordering::Release);
            return Err(io("sync", &self.path)(why));
        }
        self.meter.reset();
        Ok(())
    }
}
