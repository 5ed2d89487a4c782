//! Logs to be damaged, made once, and what a recovery makes of a damaged one.

use crate::common::{Maker, record};
use crate::raw::Values;
use hms_sync_changelog::{Log, LogError, Options, Recovery, recover};
use hms_sync_model::{Event, EventId, Time};
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::OnceLock;
use tempfile::TempDir;

/// When the recoveries here take place.
pub(crate) const NOW: Time = Time(1_800_000_000_000_000);

/// The files of a closed log, and what is in it.
pub(crate) struct Store {
    pub(crate) files: BTreeMap<String, Vec<u8>>,
    pub(crate) ids: Vec<EventId>,
    pub(crate) values: Values,
}

/// Places in memory are fast.
pub(crate) fn fast_folder() -> TempDir {
    tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap()
}

fn make(events: usize, records: usize, closed: bool) -> Store {
    let dir = fast_folder();
    let log = Log::open(dir.path(), Options::default()).unwrap();
    let mut maker = Maker::default();
    let mut ids = Vec::with_capacity(events);
    while ids.len() < events {
        let group: Vec<_> = (0..512.min(events - ids.len()))
            .map(|n| {
                let size = if (ids.len() + n) % 1_999 == 700 { 16_000 } else { 40 + n % 160 };
                maker.next(&record((ids.len() + n) * 7 % records), size).0
            })
            .collect();
        log.append(&group).unwrap();
        ids.extend(group.iter().map(|sealed| sealed.id));
        let views = (0..30u8).map(|n| (vec![n], Some(vec![n; 300]))).collect();
        log.save_views(&views, log.head()).unwrap();
    }
    if closed {
        log.close().unwrap();
    } else {
        drop(log);
    }
    let files = read(dir.path());
    Store { files, values: Values::of(dir.path(), events as u64), ids }
}

/// 3,000 events of 60 records, closed well: sled has a snapshot.
pub(crate) fn small() -> &'static Store {
    static MADE: OnceLock<Store> = OnceLock::new();
    MADE.get_or_init(|| make(3_000, 60, true))
}

/// The same without an ending: no snapshot of the last session.
pub(crate) fn cut_off() -> &'static Store {
    static MADE: OnceLock<Store> = OnceLock::new();
    MADE.get_or_init(|| {
        let mut store = make(3_000, 60, false);
        store.files.retain(|name, _| !name.starts_with("snap."));
        store
    })
}

/// 100,000 events of 5,000 records.
pub(crate) fn large() -> &'static Store {
    static MADE: OnceLock<Store> = OnceLock::new();
    MADE.get_or_init(|| make(100_000, 5_000, true))
}

/// The files in a folder.
pub(crate) fn read(dir: &Path) -> BTreeMap<String, Vec<u8>> {
    let entries = fs::read_dir(dir).unwrap().map(Result::unwrap).filter(|entry| entry.path().is_file());
    entries.map(|entry| (entry.file_name().into_string().unwrap(), fs::read(entry.path()).unwrap())).collect()
}

/// Writes files as a log's folder.
pub(crate) fn write(files: &BTreeMap<String, Vec<u8>>, dir: &Path) {
    fs::create_dir_all(dir.join("blobs")).unwrap();
    for (name, bytes) in files {
        fs::write(dir.join(name), bytes).unwrap();
    }
}

/// Everything that is in a log, in order.
pub(crate) fn events(log: &Log) -> Result<Vec<(EventId, Event)>, LogError> {
    log.events(1, usize::MAX)
}

/// Recovers a store with these files and checks all that must hold whatever happened to
/// them. Answers the report, the new log, and its folder.
pub(crate) fn recovered(files: &BTreeMap<String, Vec<u8>>, ids: &[EventId]) -> (Recovery, Log, TempDir) {
    let place = fast_folder();
    let (dir, into) = (place.path().join("log"), place.path().join("new"));
    write(files, &dir);
    let report = recover(&dir, &into, NOW).unwrap();
    assert_eq!(read(&dir), *files, "the damaged folder was written to");
    assert!(!place.path().join("new.unfinished").exists());
    let log = Log::open(&into, Options::default()).unwrap();
    let found = events(&log).unwrap();
    assert_eq!(found.len() as u64, report.events);
    for (id, event) in &found {
        assert_eq!(*id, ids[event.seq as usize - 1], "event {} is not the one that was written", event.seq);
    }
    let verified = log.verify(|_| {}).unwrap();
    assert!(verified.is_sound(), "{verified:?}\n{report:?}");
    assert_eq!(verified.lost, report.lost);
    assert_eq!((verified.events, verified.records), (report.events, report.records));
    // What is said to be lost is what is not there, and nothing else.
    let lost = report.lost.iter().flat_map(|lost| lost.first..=lost.last());
    let mut all: Vec<u64> = found.iter().map(|(_, event)| event.seq).chain(lost).collect();
    all.sort_unstable();
    assert_eq!(all, (1..=report.last).collect::<Vec<_>>());
    assert_eq!(log.head(), report.last);
    (report, log, place)
}
