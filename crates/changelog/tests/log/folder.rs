//! The folder: one process at a time, no newer format, nothing that is not ours;
//! refused in words, and untouched.

use crate::common::{Maker, Place};
use hms_sync_changelog::{Log, LogError, Options};
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

fn contents(dir: &Path) -> BTreeMap<String, Vec<u8>> {
    let entries = fs::read_dir(dir).unwrap().map(Result::unwrap);
    entries
        .filter(|entry| entry.path().is_file())
        .map(|entry| (entry.file_name().into_string().unwrap(), fs::read(entry.path()).unwrap()))
        .collect()
}

#[test]
fn a_second_opening_is_refused_until_the_first_is_gone() {
    for place in Place::both() {
        let log = place.open();
        let clone = log.clone();
        for _ in 0..2 {
            let why = place.try_open().unwrap_err();
            assert!(matches!(why, LogError::InUse { .. }), "{why}");
            assert!(why.to_string().contains("in use by another process"), "{why}");
        }
        drop(log);
        place.try_open().unwrap_err();
        drop(clone);
        place.open();
    }
}

#[test]
fn a_newer_format_is_refused_and_untouched() {
    let place = Place::folder();
    let Place::Folder(dir) = &place else { unreachable!() };
    place.open().append(&Maker::default().many(5, 1, 50)).unwrap();
    fs::write(dir.path().join("format"), "hms-sync change log\nformat 3\n").unwrap();
    let before = contents(dir.path());
    let why = place.try_open().unwrap_err();
    assert!(matches!(why, LogError::NewerFormat { found: 3, known: 2, .. }), "{why}");
    assert_eq!(contents(dir.path()), before);
    fs::write(dir.path().join("format"), "hms-sync change log\nformat 1\n").unwrap();
    assert_eq!(place.open().head(), 5);
}

#[test]
fn a_folder_of_something_else_is_refused_and_untouched() {
    for (name, text) in [("db", "theirs"), ("format", "XFS\n"), ("format", "hms-sync change log\nformat x\n")]
    {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join(name), text).unwrap();
        let why = Log::open(dir.path(), Options::default()).unwrap_err();
        assert!(matches!(why, LogError::NotALog { .. }), "{why}");
        let mut after = contents(dir.path());
        after.remove("lock");
        assert_eq!(after, BTreeMap::from([(name.to_owned(), text.as_bytes().to_vec())]));
    }
}

#[test]
fn a_path_that_cannot_be_a_folder_is_an_error_in_words() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("file");
    fs::write(&file, "").unwrap();
    let why = Log::open(&file.join("log"), Options::default()).unwrap_err();
    assert!(matches!(why, LogError::Io { doing: "make the folder", .. }), "{why}");
}

#[test]
fn folders_on_the_way_are_made() {
    let dir = tempfile::tempdir().unwrap();
    let deep = dir.path().join("a/b/c");
    Log::open(&deep, Options::default()).unwrap().append(&Maker::default().many(2, 1, 50)).unwrap();
    assert_eq!(Log::open(&deep, Options::default()).unwrap().head(), 2);
}

/// A process that was killed while sled wrote a snapshot.
#[test]
fn a_snapshot_cut_short_is_cleared_away() {
    let place = Place::folder();
    let Place::Folder(dir) = &place else { unreachable!() };
    let log = place.open();
    log.append(&Maker::default().many(5, 1, 50)).unwrap();
    log.close().unwrap();
    for left in ["", "half of it"] {
        fs::write(dir.path().join("snap.00000000FFFFFFFF.generating"), left).unwrap();
        assert_eq!(place.open().head(), 5);
        assert!(!contents(dir.path()).keys().any(|name| name.ends_with(".generating")));
    }
}

/// A first start that was cut off: nothing was acknowledged, and sled refuses what it left.
#[test]
fn a_log_that_was_being_made_is_made_anew() {
    for conf in ["", "half"] {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("format.new"), "hms-sync change log\nformat 1\n").unwrap();
        fs::write(dir.path().join("conf"), conf).unwrap();
        fs::write(dir.path().join("db"), "half").unwrap();
        let log = Log::open(dir.path(), Options::default()).unwrap();
        log.append(&Maker::default().many(5, 1, 50)).unwrap();
        drop(log);
        assert_eq!(Log::open(dir.path(), Options::default()).unwrap().head(), 5);
        assert!(!dir.path().join("format.new").exists());
    }
    // Somebody else's, whatever lies beside it.
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("format.new"), "hms-sync").unwrap();
    fs::write(dir.path().join("db"), "theirs").unwrap();
    let why = Log::open(dir.path(), Options::default()).unwrap_err();
    assert!(matches!(why, LogError::NotALog { .. }), "{why}");
    assert_eq!(fs::read(dir.path().join("db")).unwrap(), b"theirs");
}

/// Counts what is warned of in a thread.
struct Warnings(Arc<AtomicUsize>);

impl tracing::Subscriber for Warnings {
    fn enabled(&self, _: &tracing::Metadata<'_>) -> bool {
        true
    }

    fn event(&self, event: &tracing::Event<'_>) {
        if *event.metadata().level() <= tracing::Level::WARN {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn new_span(&self, _: &tracing::span::Attributes<'_>) -> tracing::span::Id {
        tracing::span::Id::from_u64(1)
    }

    fn record(&self, _: &tracing::span::Id, _: &tracing::span::Record<'_>) {}
    fn record_follows_from(&self, _: &tracing::span::Id, _: &tracing::span::Id) {}
    fn enter(&self, _: &tracing::span::Id) {}
    fn exit(&self, _: &tracing::span::Id) {}
}

#[test]
fn a_log_that_ends_well_warns_of_nothing() {
    let warned = Arc::new(AtomicUsize::new(0));
    tracing::subscriber::with_default(Warnings(Arc::clone(&warned)), || {
        for closed in [true, false] {
            let place = Place::folder();
            let log = place.open();
            log.append(&Maker::default().many(5, 1, 50)).unwrap();
            if closed {
                log.close().unwrap();
            }
        }
        tracing::warn!("this is counted");
    });
    assert_eq!(warned.load(Ordering::Relaxed), 1);
}
