//! sled as one would use it first: an event a value, an index entry beside it.
//! With the same cache and the same guard as ours: its `flush` alone is no sync.

use super::{Engine, Group, encoded, event_key, place_key};
use std::fs::File;
use std::path::Path;

/// Larger batches let sled's memory grow past its cache.
const BATCH_EVENTS: usize = 64;
const CACHE_BYTES: u64 = 24 << 20;

pub(super) struct Plain {
    db: sled::Db,
    file: File,
}

impl Plain {
    pub(super) fn open(dir: &Path) -> anyhow::Result<Self> {
        let db = sled::Config::new().path(dir).cache_capacity(CACHE_BYTES).flush_every_ms(None).open()?;
        Ok(Self { db, file: File::options().write(true).open(dir.join("db"))? })
    }
}

impl Engine for Plain {
    fn append(&mut self, group: &Group) -> anyhow::Result<()> {
        for some in group.events.chunks(BATCH_EVENTS) {
            let mut batch = sled::Batch::default();
            for event in some {
                batch.insert(event_key(event.seq), encoded(event)?);
                batch.insert(place_key(event.record.as_str(), event.version), &event.seq.to_be_bytes());
                batch.insert(b"mhead", &event.seq.to_be_bytes());
            }
            self.db.apply_batch(batch)?;
        }
        self.db.flush()?;
        Ok(self.file.sync_data()?)
    }
}
