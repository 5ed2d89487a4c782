//! Events that are in the journal alone, as a process leaves them that was killed: they are
//! there after a start, and a recovery finds them too.

use crate::common::{Maker, record};
use crate::store::{fast_folder, read, recovered, write};
use hms_sync_changelog::{Log, LogError, Options, Way};
use hms_sync_model::EventId;
use std::collections::BTreeMap;

type Files = BTreeMap<String, Vec<u8>>;

/// The files of a log of 400 events that is still open, the last 100 of them in the journal alone.
fn killed() -> (Files, Vec<EventId>) {
    let dir = fast_folder();
    let mut maker = Maker::default();
    let mut events: Vec<_> = (0..400).map(|n| maker.next(&record(n % 20), 60).0).collect();
    let ids = events.iter().map(|event| event.id).collect();
    let late = events.split_off(300);
    let log = Log::open(dir.path(), Options::default()).unwrap();
    log.append(&events).unwrap();
    log.close().unwrap();
    let log = Log::open(dir.path(), Options::default()).unwrap();
    late.chunks(10).for_each(|events| log.append(events).unwrap());
    (read(dir.path()), ids)
}

/// The file of the journal that is in use, and how much of it.
fn in_use(files: &Files) -> (String, usize) {
    let used = |bytes: &[u8]| bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
    let names = files.keys().filter(|name| name.starts_with("journal."));
    names.map(|name| (name.clone(), used(&files[name]))).max_by_key(|(_, used)| *used).unwrap()
}

#[test]
fn what_is_in_the_journal_alone_is_there_after_a_start() {
    let (files, ids) = killed();
    assert!(in_use(&files).1 > 3_000);
    let dir = fast_folder();
    write(&files, dir.path());
    let log = Log::open(dir.path(), Options::default()).unwrap();
    assert_eq!(log.head(), 400);
    assert!(log.verify(|_| {}).unwrap().is_sound());
    assert!(log.events(1, 999).unwrap().iter().map(|(id, _)| id).eq(&ids));
    // It is in sled now: without the journal nothing is missing.
    let mut files = read(dir.path());
    files.retain(|name, _| !name.starts_with("journal."));
    let dir = fast_folder();
    write(&files, dir.path());
    assert_eq!(Log::open(dir.path(), Options::default()).unwrap().head(), 400);
}

#[test]
fn a_recovery_finds_what_is_in_the_journal_alone() {
    let (mut files, ids) = killed();
    files.get_mut("db").unwrap()[..64].fill(0xaa);
    let (report, ..) = recovered(&files, &ids);
    assert_eq!((report.way, report.last), (Way::Salvaged, 400));
    assert!(report.lost.is_empty(), "{:?}", report.lost);
}

#[test]
fn a_journal_damaged_before_its_end_is_told_and_recovered_around() {
    let (mut files, ids) = killed();
    let (name, used) = in_use(&files);
    files.get_mut(&name).unwrap()[used / 2] ^= 1;
    let dir = fast_folder();
    write(&files, dir.path());
    let why = Log::open(dir.path(), Options::default()).unwrap_err();
    assert!(matches!(&why, LogError::Corrupt { path, .. } if path.ends_with(&name)), "{why}");
    assert_eq!(read(dir.path()).get("db"), files.get("db"), "nothing is written");
    let (report, ..) = recovered(&files, &ids);
    assert_eq!((report.way, report.last), (Way::Salvaged, 400));
    let lost: u64 = report.lost.iter().map(|lost| lost.count).sum();
    assert!(lost <= 10, "{:?}", report.lost);
}
