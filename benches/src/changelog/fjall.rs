//! fjall, a log-structured engine of today, with the keys that plain sled has.

use super::{Engine, Group, encoded, event_key, place_key};
use fjall::{Database, Keyspace, KeyspaceCreateOptions, PersistMode};
use std::path::Path;

const CACHE_BYTES: u64 = 24 << 20;

pub(super) struct Fjall {
    db: Database,
    all: Keyspace,
}

impl Fjall {
    pub(super) fn open(dir: &Path) -> anyhow::Result<Self> {
        let db = Database::builder(dir).cache_size(CACHE_BYTES).open()?;
        let all = db.keyspace("log", KeyspaceCreateOptions::default)?;
        Ok(Self { db, all })
    }
}

impl Engine for Fjall {
    fn append(&mut self, group: &Group) -> anyhow::Result<()> {
        let mut batch = self.db.batch().durability(Some(PersistMode::SyncData));
        for event in &group.events {
            batch.insert(&self.all, event_key(event.seq), encoded(event)?);
            batch.insert(&self.all, place_key(event.record.as_str(), event.version), event.seq.to_be_bytes());
        }
        if let Some(last) = group.events.last() {
            batch.insert(&self.all, b"mhead".as_slice(), last.seq.to_be_bytes());
        }
        Ok(batch.commit()?)
    }
}
