//! Nothing acknowledged is lost, and after a failed write nothing is acknowledged.

use crate::common::{Maker, Place, record};
use hms_sync_changelog::{Log, LogError, MemoryDisk, Options, Sealed};
use std::collections::BTreeSet;
use std::fs;

#[test]
fn a_crash_loses_only_what_was_not_acknowledged() {
    for seed in 0..40 {
        let disk = MemoryDisk::new();
        let log = Log::on(disk.clone()).unwrap();
        let mut maker = Maker::default();
        log.append(&maker.many(100, 5, 200)).unwrap();
        disk.fail_next_sync();
        log.append(&maker.many(150, 5, 200)).unwrap_err();
        assert_eq!(log.head(), 100, "what is not durable is not shown");
        assert_eq!(log.events(90, 1_000).unwrap().len(), 11);
        assert!(log.last(&record(0)).unwrap().unwrap().0 <= 20);
        disk.crash(seed);
        let log = Log::on(disk).unwrap();
        assert!((100..=250).contains(&log.head()), "seed {seed}: {}", log.head());
        assert!(log.verify(|_| {}).unwrap().is_sound());
        assert_eq!(log.stats().poisoned, None);
    }
}

type Entries = Vec<(Vec<u8>, Vec<u8>)>;

/// What the disk has after a commit of `events`, behind `first`, of whose batches power left the
/// first `batches`; and of how many.
fn after_batches(first: &[Sealed], events: &[Sealed], batches: u64) -> (Entries, u64) {
    let disk = MemoryDisk::new();
    let log = Log::on(disk.clone()).unwrap();
    log.append(first).unwrap();
    disk.fail_next_sync();
    log.append(events).unwrap_err();
    let all = disk.unsynced() as u64;
    disk.crash(batches);
    (disk.entries(), all)
}

/// What a batch brought, as logs of format 1 laid it key by key: chunks, hashes, and the mark.
fn laid(before: &Entries, after: &Entries) -> Entries {
    let place = |key: &[u8]| b"enm".iter().position(|first| key[0] == *first).unwrap();
    let mut laid: Entries = after.iter().filter(|entry| !before.contains(entry)).cloned().collect();
    laid.sort_by_key(|(key, _)| (place(key), key.clone()));
    assert_eq!(laid.last().unwrap().0, b"mhead");
    laid
}

fn disk_of<'a>(entries: impl IntoIterator<Item = &'a (Vec<u8>, Vec<u8>)>) -> MemoryDisk {
    let disk = MemoryDisk::new();
    entries.into_iter().for_each(|(key, value)| disk.tamper(key, Some(value)));
    disk
}

/// A log of format 1 whose last commit lost power after its first `cut` keys; which events it
/// was of, and how many keys.
fn cut_short(cut: usize) -> (MemoryDisk, Vec<Sealed>, usize) {
    let mut maker = Maker::default();
    let (first, events) = (maker.many(30, 5, 200), maker.many(90, 5, 200));
    let (before, batches) = after_batches(&first, &events, 0);
    assert_eq!(batches, 1);
    let laid = laid(&before, &after_batches(&first, &events, 1).0);
    (disk_of(before.iter().chain(laid.iter().take(cut))), events, laid.len())
}

#[test]
fn of_a_commit_cut_short_the_first_whole_events_are_taken_up_and_the_rest_follows() {
    let mut heads = BTreeSet::new();
    let keys = cut_short(0).2;
    for cut in 0..=keys {
        let (disk, events, _) = cut_short(cut);
        let log = Log::on(disk.clone()).unwrap();
        assert_eq!(log.stats().poisoned, None, "after {cut} of {keys} keys");
        assert!(log.verify(|_| {}).unwrap().is_sound());
        let taken = usize::try_from(log.head()).unwrap() - 30;
        heads.insert(taken);
        let ids: Vec<_> = log.events(31, 999).unwrap().into_iter().map(|(id, _)| id).collect();
        assert!(ids.iter().eq(events[..taken].iter().map(|event| &event.id)));
        log.append(&events[taken..]).unwrap();
        let root = log.tree_head();
        assert!(log.verify(|_| {}).unwrap().is_sound());
        log.close().unwrap();
        assert_eq!(Log::on(disk).unwrap().tree_head(), root);
    }
    assert!(heads.len() > 7 && heads.contains(&0) && heads.contains(&90), "{heads:?}");
}

/// Also of the largest batches there are: of events that do not compress.
#[test]
fn a_batch_that_lacks_no_more_than_its_mark_is_taken_up_whatever_its_size() {
    let mut most = 0;
    for bytes in [700, 1_300, 1_900, 2_500, 3_100, 3_700] {
        let mut maker = Maker::default();
        let (first, events) = (maker.many(3, 3, 50), maker.noisy(60, bytes));
        let (mut before, batches) = after_batches(&first, &events, 0);
        for batch in 1..=batches {
            let after = after_batches(&first, &events, batch).0;
            let laid = laid(&before, &after);
            for cut in 0..=laid.len() {
                let chunks = laid.iter().take(cut).filter(|(key, _)| key[0] == b'e');
                if cut < laid.len() {
                    most = most.max(chunks.map(|(_, value)| value.len()).sum::<usize>());
                }
                let log = Log::on(disk_of(before.iter().chain(laid.iter().take(cut)))).unwrap();
                assert_eq!(log.stats().poisoned, None, "events of {bytes} bytes, {cut} of {}", laid.len());
            }
            before = after;
        }
    }
    assert!(most > 43 << 10, "{most} bytes behind the mark at most");
}

#[test]
fn what_is_left_of_a_commit_is_not_taken_up_unless_all_of_it_is_whole_and_follows() {
    let keys = cut_short(0).2;
    // Chunks, and nothing else of it.
    let (disk, ..) = cut_short(keys / 2);
    let chunks: Vec<_> = disk.entries().into_iter().filter(|(key, _)| key[0] == b'e').collect();
    let first = |key: &[u8]| u64::from_be_bytes(key[1..].try_into().unwrap());
    let behind: Vec<_> = chunks.iter().filter(|(key, _)| first(key) > 30).collect();
    assert!(behind.len() > 2);
    let damaged = |change: &dyn Fn(&MemoryDisk)| {
        let (disk, ..) = cut_short(keys / 2);
        change(&disk);
        let log = Log::on(disk).unwrap();
        let why = log.stats().poisoned.expect("nothing more is written");
        assert!(why.contains("the end of the log is damaged: it should be event 30"), "{why}");
        assert!(!log.verify(|_| {}).unwrap().is_sound());
    };
    for (key, value) in &behind {
        let mut flipped = value.clone();
        *flipped.last_mut().unwrap() ^= 1;
        damaged(&|disk| disk.tamper(key, Some(&flipped)));
    }
    // One is missing, one stands in the place of another, one is of no events.
    damaged(&|disk| disk.tamper(&behind[0].0, None));
    damaged(&|disk| disk.tamper(&behind[1].0, Some(&behind[0].1)));
    damaged(&|disk| disk.tamper(&behind[1].0, Some(b"")));
}

/// Of events that never were in one batch none is taken up: a mark that was put back is found.
#[test]
fn more_than_a_batch_is_not_taken_up() {
    let disk = MemoryDisk::new();
    let log = Log::on(disk.clone()).unwrap();
    let mut maker = Maker::default();
    log.append(&maker.many(30, 5, 200)).unwrap();
    let mark = disk.entries().into_iter().find(|(key, _)| key == b"mhead").unwrap().1;
    for _ in 0..60 {
        log.append(&maker.many(30, 5, 900)).unwrap();
    }
    drop(log);
    disk.tamper(b"mhead", Some(&mark));
    let log = Log::on(disk).unwrap();
    assert!(log.stats().poisoned.unwrap().contains("the end of the log is damaged"));
}

#[test]
fn a_failed_sync_stops_writing_is_not_tried_again_and_leaves_reading() {
    let disk = MemoryDisk::new();
    let log = Log::on(disk.clone()).unwrap();
    let mut maker = Maker::default();
    log.append(&maker.many(10, 2, 50)).unwrap();
    let more = maker.many(1, 1, 50);
    disk.fail_next_sync();
    let syncs = disk.syncs();
    let why = log.append(&more).unwrap_err();
    assert!(matches!(why, LogError::Storage { doing: "sync", .. }), "{why}");
    for result in [log.append(&more), log.save_views(&[].into(), 10), log.drop_views()] {
        let why = result.unwrap_err();
        assert!(matches!(&why, LogError::Poisoned { why } if why.contains("told to fail")), "{why}");
    }
    assert_eq!(log.events(1, 100).unwrap().len(), 10);
    assert!(log.stats().poisoned.is_some());
    assert!(matches!(log.close(), Err(LogError::Poisoned { .. })));
    assert_eq!(disk.syncs(), syncs + 1, "one sync failed and none came after it");
}

#[test]
fn a_refused_write_stops_writing() {
    for views in [false, true] {
        let disk = MemoryDisk::new();
        let log = Log::on(disk.clone()).unwrap();
        let mut maker = Maker::default();
        disk.fail_next_write();
        let result = if views {
            log.save_views(&[(b"k".to_vec(), Some(b"v".to_vec()))].into(), 0)
        } else {
            log.append(&maker.many(3, 1, 50))
        };
        result.unwrap_err();
        let again = log.append(&Maker::default().many(3, 1, 50)).unwrap_err();
        assert!(matches!(again, LogError::Poisoned { .. }));
        assert_eq!(log.head(), 0);
    }
}

#[test]
fn a_gap_is_refused_and_nothing_is_written_or_stopped() {
    for place in Place::both() {
        let log = place.open();
        let events = Maker::default().many(6, 2, 50);
        log.append(&events[..2]).unwrap();
        for wrong in [&events[3..], &events[1..2], &[events[2].clone(), events[4].clone()]] {
            let why = log.append(wrong).unwrap_err();
            assert!(matches!(why, LogError::Gap { .. }), "{why}");
        }
        log.append(&events[2..]).unwrap();
        assert_eq!(log.head(), 6);
        let ahead = log.save_views(&[].into(), 7).unwrap_err();
        assert!(matches!(ahead, LogError::ViewsAhead { upto: 7, head: 6 }));
        assert!(log.verify(|_| {}).unwrap().is_sound());
    }
}

/// The files as a killed process leaves them: nothing is closed, no thread ends.
#[test]
fn what_is_acknowledged_is_in_the_files() {
    let dir = tempfile::tempdir().unwrap();
    let log = Log::open(dir.path(), Options::default()).unwrap();
    let mut maker = Maker::default();
    for round in 1..=12u64 {
        log.append(&maker.many(50, 7, 250)).unwrap();
        let copy = tempfile::tempdir().unwrap();
        fs::create_dir(copy.path().join("blobs")).unwrap();
        for name in ["format", "conf", "db", "journal.0", "journal.1"] {
            fs::copy(dir.path().join(name), copy.path().join(name)).unwrap();
        }
        let found = Log::open(copy.path(), Options::default()).unwrap();
        assert_eq!(found.head(), round * 50);
        assert!(found.verify(|_| {}).unwrap().is_sound());
    }
}

#[test]
fn a_closed_log_takes_no_more() {
    for place in Place::both() {
        let log = place.open();
        let reader = log.clone();
        let mut maker = Maker::default();
        log.append(&maker.many(3, 1, 50)).unwrap();
        log.close().unwrap();
        assert!(matches!(reader.append(&maker.many(1, 1, 50)), Err(LogError::Closed)));
        assert_eq!(reader.events(1, 9).unwrap().len(), 3);
    }
}
