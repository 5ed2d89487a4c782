//! Places for a log to live in, and events to put into it.

use hms_sync_changelog::{Log, LogError, MemoryDisk, Options, Sealed, seal};
use hms_sync_model::{Body, Event, EventId, RecordId, SideName, Time};
use std::collections::HashMap;
use tempfile::TempDir;

/// Where a log is.
pub(crate) enum Place {
    Folder(TempDir),
    Memory(MemoryDisk),
}

impl Place {
    pub(crate) fn folder() -> Self {
        Self::Folder(tempfile::tempdir().unwrap())
    }

    pub(crate) fn both() -> [Self; 2] {
        [Self::folder(), Self::Memory(MemoryDisk::new())]
    }

    pub(crate) fn try_open(&self) -> Result<Log, LogError> {
        match self {
            Self::Folder(dir) => {
                Log::open(dir.path(), Options { cache_bytes: 8 << 20, journal_bytes: 16 << 10 })
            }
            Self::Memory(disk) => Log::on(disk.clone()),
        }
    }

    pub(crate) fn open(&self) -> Log {
        self.try_open().unwrap()
    }

    /// sled would never sync what it puts there.
    pub(crate) fn assert_no_blobs(&self) {
        if let Self::Folder(dir) = self {
            let blobs = std::fs::read_dir(dir.path().join("blobs")).unwrap().count();
            assert_eq!(blobs, 0, "values too large for sled's log");
        }
    }
}

/// Makes events that follow each other, per log and per record.
#[derive(Default, Clone)]
pub(crate) struct Maker {
    pub(crate) seq: u64,
    last: HashMap<RecordId, (u64, EventId)>,
}

impl Maker {
    /// The next event of `record`, with about `size` bytes in it.
    pub(crate) fn next(&mut self, record: &RecordId, size: usize) -> (Sealed, Event) {
        self.next_with(record, size, |_| {})
    }

    fn next_with(
        &mut self,
        record: &RecordId,
        size: usize,
        change: impl FnOnce(&mut Event),
    ) -> (Sealed, Event) {
        let (version, prev) = self.last.get(record).copied().unwrap_or_default();
        let mut event = doubt(self.seq + 1, record, version + 1, prev, size);
        change(&mut event);
        let sealed = seal(&event).unwrap();
        self.seq += 1;
        self.last.insert(record.clone(), (version + 1, sealed.id));
        (sealed, event)
    }

    /// `count` events of `records` records in turn.
    pub(crate) fn many(&mut self, count: usize, records: usize, size: usize) -> Vec<Sealed> {
        (0..count).map(|n| self.next(&record(n % records), size).0).collect()
    }

    /// `count` events of one record with `size` bytes in them that do not compress.
    pub(crate) fn noisy(&mut self, count: usize, size: usize) -> Vec<Sealed> {
        let mut random = fastrand::Rng::with_seed(size as u64);
        let mut noise = |event: &mut Event| {
            if let Body::Doubted { words, .. } = &mut event.body {
                *words = std::iter::repeat_with(|| random.alphanumeric()).take(size).collect();
            }
        };
        (0..count).map(|_| self.next_with(&record(0), size, &mut noise).0).collect()
    }
}

pub(crate) fn record(n: usize) -> RecordId {
    RecordId::try_new(format!("permit/{n}")).unwrap()
}

/// An event, right or wrong.
pub(crate) fn doubt(seq: u64, record: &RecordId, version: u64, prev: EventId, size: usize) -> Event {
    let words: String = std::iter::repeat_n(format!("{seq}."), size / 2 + 1).collect();
    let words = words[..size].to_owned();
    let side = SideName::try_new("clerk").unwrap();
    let at = Time(1_700_000_000_000_000 + i64::try_from(seq).unwrap());
    Event {
        seq,
        record: record.clone(),
        version,
        at,
        prev,
        body: Body::Doubted { side, stale: false, id: None, message: None, words },
    }
}
