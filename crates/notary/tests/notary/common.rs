//! A log with a notary.

use hms_sync_changelog::{Log, MemoryDisk, Sealed, seal};
use hms_sync_model::{Body, Event, EventId, KEYS_STREAM, RecordId, SideName, Time};
use hms_sync_notary::{KeyChange, Notary, Settings};
use hms_sync_proof::Trust;
use tempfile::TempDir;

pub(crate) struct Office {
    pub(crate) dir: TempDir,
    pub(crate) disk: MemoryDisk,
    pub(crate) log: Log,
    pub(crate) notary: Notary,
}

pub(crate) fn settings() -> Settings {
    Settings { origin: Some("log.example/permits".parse().unwrap()), ..Settings::default() }
}

/// A disk with what is on another.
pub(crate) fn copy(disk: &MemoryDisk) -> MemoryDisk {
    let fresh = MemoryDisk::new();
    disk.entries().iter().for_each(|(key, value)| fresh.tamper(key, Some(value)));
    fresh
}

impl Office {
    /// After a first start.
    pub(crate) fn new() -> Self {
        Self::with(settings())
    }

    pub(crate) fn with(settings: Settings) -> Self {
        let (dir, disk) = (tempfile::tempdir().unwrap(), MemoryDisk::new());
        let log = Log::on(disk.clone()).unwrap();
        let notary = Notary::open(dir.path(), "Permits", settings, &log).unwrap();
        let office = Self { dir, disk, log, notary };
        let change = office.notary.first_key(&office.log).unwrap().unwrap();
        office.record(change);
        office.notary.take_up(&office.log).unwrap();
        office
    }

    /// After a restart, on this disk.
    pub(crate) fn again(self, disk: MemoryDisk) -> Self {
        let Self { dir, log, notary, disk: _ } = self;
        drop(log);
        let settings = notary.settings().clone();
        let log = Log::on(disk.clone()).unwrap();
        let notary = Notary::open(dir.path(), "Permits", settings, &log).unwrap();
        Self { dir, disk, log, notary }
    }

    pub(crate) fn put(&self, record: &str, body: Body) {
        self.log.append(&[self.event(record, body)]).unwrap();
    }

    pub(crate) fn event(&self, record: &str, body: Body) -> Sealed {
        let record = RecordId::try_new(record).unwrap();
        let (version, prev) = self.log.last(&record).unwrap().unwrap_or((0, EventId::default()));
        let at = Time(1_700_000_000_000_000);
        seal(&Event { seq: self.log.head() + 1, record, version: version + 1, at, prev, body }).unwrap()
    }

    /// So many events of three records.
    pub(crate) fn grow(&self, count: usize, words: &str) {
        for n in 0..count {
            self.put(&format!("permit/{}", n % 3), doubt(words));
        }
    }

    pub(crate) fn record(&self, change: KeyChange) {
        let KeyChange { key, before, words, last } = change;
        self.put(KEYS_STREAM, Body::Signing { key, before, words, last });
    }

    pub(crate) fn trust(&self) -> Trust {
        Trust::new(self.notary.keys()[0].name().as_str(), self.notary.keys(), []).unwrap()
    }

    pub(crate) fn file(&self, name: &str) -> std::path::PathBuf {
        self.dir.path().join("audit").join(name)
    }
}

pub(crate) fn doubt(words: &str) -> Body {
    Body::Doubted {
        side: SideName::try_new("clerk").unwrap(),
        stale: false,
        id: None,
        words: words.into(),
        message: None,
    }
}
