//! Stores of every format that was ever released open for ever, are sound, and say what
//! they said then. New ones are made with `examples/golden.rs`; old ones are never changed.

use hms_sync_changelog::{Log, Options, Sealed, seal};
use hms_sync_model::{Body, Event, EventId, Kind, RecordId, Time};
use std::path::{Path, PathBuf};
use tempfile::TempDir;

fn golden() -> Vec<PathBuf> {
    let home = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    let mut all: Vec<PathBuf> = std::fs::read_dir(home)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.is_dir())
        .collect();
    all.sort();
    assert!(!all.is_empty(), "no golden store");
    all
}

/// A store is opened in a copy: a golden one is never written to.
fn copied(store: &Path) -> TempDir {
    let copy = tempfile::tempdir().unwrap();
    for entry in std::fs::read_dir(store).unwrap() {
        let entry = entry.unwrap();
        if entry.file_type().unwrap().is_file() {
            std::fs::copy(entry.path(), copy.path().join(entry.file_name())).unwrap();
        }
    }
    copy
}

fn open(dir: &TempDir) -> Log {
    Log::open(dir.path(), Options::default()).unwrap()
}

fn line((id, event): &(EventId, Event)) -> String {
    format!("{id} {}\n", serde_json::to_string(event).unwrap())
}

#[test]
fn stores_of_every_released_format_say_what_they_said() {
    for golden in golden() {
        let dir = copied(&golden.join("store"));
        let log = open(&dir);
        let told: String = log.events(1, usize::MAX).unwrap().iter().map(line).collect();
        let expected = std::fs::read_to_string(golden.join("events.jsonl")).unwrap();
        for (told, expected) in told.lines().zip(expected.lines()) {
            assert_eq!(told, expected, "{}", golden.display());
        }
        assert_eq!(told.lines().count(), expected.lines().count());
        let report = log.verify(|_| {}).unwrap();
        assert!(report.is_sound(), "{}: {report:?}", golden.display());
        let rest: serde_json::Value =
            serde_json::from_slice(&std::fs::read(golden.join("rest.json")).unwrap()).unwrap();
        let head = log.tree_head();
        assert_eq!(rest["events"], head.size);
        // Those from before there were any have none.
        let count = |name: &str| rest[name].as_u64().unwrap_or(0);
        assert_eq!((log.dropped_upto(), report.events_lost()), (count("dropped"), count("lost")));
        assert_eq!(report.events + count("dropped") + count("lost"), head.size);
        let archives: Vec<&str> = report.archived.iter().map(|range| range.file.as_str()).collect();
        assert_eq!(
            archives,
            rest["archives"]
                .as_array()
                .map_or(Vec::new(), |all| all.iter().map(|file| file.as_str().unwrap()).collect())
        );
        assert_eq!(rest["root"], head.root.to_string());
        assert_eq!(rest["views"], log.views(b"r", None, usize::MAX).unwrap().len());
    }
}

/// What a released version can write is in some store, so that every later one is held to read it.
#[test]
fn every_kind_of_event_is_in_a_store() {
    let mut missing: Vec<Kind> = Kind::ALL.to_vec();
    for golden in golden() {
        let log = open(&copied(&golden.join("store")));
        for (_, event) in log.events(1, usize::MAX).unwrap() {
            missing.retain(|kind| *kind != event.body.kind());
        }
    }
    assert_eq!(missing, [], "make a store of these: examples/golden.rs");
}

#[test]
fn a_store_of_an_older_format_goes_on() {
    for golden in golden() {
        let dir = copied(&golden.join("store"));
        let log = open(&dir);
        let head = log.head();
        for record in log.records(None, usize::MAX).unwrap() {
            let event = after(&log, &record);
            log.append(&[event]).unwrap();
        }
        log.close().unwrap();
        let log = open(&dir);
        assert!(log.head() > head);
        let report = log.verify(|_| {}).unwrap();
        assert!(report.is_sound(), "{}: {report:?}", golden.display());
    }
}

/// One more event of a record.
fn after(log: &Log, record: &RecordId) -> Sealed {
    let (version, prev) = log.last(record).unwrap().unwrap();
    let body = Body::Received { message: "one more".into() };
    let event =
        Event { seq: log.head() + 1, record: record.clone(), version: version + 1, at: Time(1), prev, body };
    seal(&event).unwrap()
}
