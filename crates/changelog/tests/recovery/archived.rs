//! A recovery does not take what was archived and dropped for a loss.

use crate::common::{Maker, record};
use crate::store::{NOW, fast_folder, read, write};
use hms_sync_changelog::{Archived, Log, Options, Recovery, Sealed, Way, recover, seal};
use hms_sync_model::{Blob, Body, Digest, Event, RecordId, Time};
use hms_sync_proof::TreeHead;
use std::collections::BTreeMap;
use std::path::Path;

const RECORDS: usize = 15;

struct Store {
    files: BTreeMap<String, Vec<u8>>,
    all: Vec<Sealed>,
    range: Archived,
    head: TreeHead,
}

/// The next event of a record with a body of its own.
fn with_body(log: &Log, record: &RecordId, seq: u64, body: Body) -> Sealed {
    let (version, prev) = log.last(record).unwrap().unwrap_or_default();
    let at = Time(1_700_000_000_000_000 + i64::try_from(seq).unwrap());
    seal(&Event { seq, record: record.clone(), version: version + 1, at, prev, body }).unwrap()
}

/// A log of which 700 events were dropped, and some that came later.
fn store() -> Store {
    let dir = fast_folder();
    let log = Log::open(dir.path(), Options::default()).unwrap();
    let mut maker = Maker::default();
    let mut all = maker.many(700, RECORDS, 120);
    all.chunks(50).for_each(|some| log.append(some).unwrap());
    let last = log.head();
    for n in 0..RECORDS {
        let upto = log.last(&record(n)).unwrap().unwrap().0;
        let body = Body::Carried { upto, state: Blob(vec![7; 90]), sealed: None, fields: Vec::new() };
        let carried = with_body(&log, &record(n), log.head() + 1, body);
        log.append(std::slice::from_ref(&carried)).unwrap();
        all.push(carried);
    }
    let root = log.prover().head(last).unwrap().root.0;
    let (at, until, file) = (Time(9), Time(5), "one.jsonl".to_owned());
    let range = Archived { first: 1, last, at, until, hash: [7; 32], root, file: file.clone() };
    let (by, reason) = ("A. Person".to_owned(), "old".to_owned());
    let body = Body::Archived { first: 1, last, file, hash: Digest([7; 32]), root: Digest(root), by, reason };
    let archives = RecordId::try_new("@log/archives").unwrap();
    let approval = with_body(&log, &archives, log.head() + 1, body);
    log.drop_archived(&range, &approval).unwrap();
    all.push(approval);
    let head = log.tree_head();
    log.close().unwrap();
    Store { files: read(dir.path()), all, range, head }
}

/// Overwrites every stretch that begins with `magic`, so many bytes of it.
fn destroy(db: &mut [u8], magic: &[u8], bytes: usize) -> usize {
    let found: Vec<usize> = (0..db.len() - magic.len()).filter(|at| db[*at..].starts_with(magic)).collect();
    for at in &found {
        let end = (at + bytes).min(db.len());
        db[*at..end].fill(0);
    }
    found.len()
}

fn recovered(store: &Store, place: &Path) -> (Recovery, Log) {
    let (dir, into) = (place.join("log"), place.join("new"));
    write(&store.files, &dir);
    let report = recover(&dir, &into, NOW).unwrap();
    let log = Log::open(&into, Options::default()).unwrap();
    let verified = log.verify(|_| {}).unwrap();
    assert!(verified.is_sound(), "{verified:?}");
    assert_eq!(verified.archived, log.archived());
    let found = log.events(1, usize::MAX).unwrap();
    assert!(found.iter().all(|(_, event)| event.seq > store.range.last), "what was dropped stays so");
    for (id, event) in found {
        assert_eq!(id, store.all[event.seq as usize - 1].id);
    }
    (report, log)
}

/// So that the storage finds nothing: the heads of its segments are gone.
fn without_storage(store: &mut Store) {
    store.files.retain(|name, _| !name.starts_with("snap."));
    let db = store.files.get_mut("db").unwrap();
    db.chunks_mut(512 << 10).for_each(|segment| segment[..20].fill(0));
}

#[test]
fn a_range_that_was_dropped_is_no_loss() {
    let mut store = store();
    for way in [Way::Opened, Way::Salvaged] {
        if way == Way::Salvaged {
            without_storage(&mut store);
        }
        let place = fast_folder();
        let (report, log) = recovered(&store, place.path());
        assert_eq!((report.way, report.events_lost(), report.ids_missing), (way, 0, 0), "{report:?}");
        assert_eq!(report.archived, [store.range.clone()]);
        assert!(report.broken.is_empty(), "{:?}", report.broken);
        assert_eq!(log.tree_head(), store.head);
    }
}

#[test]
fn where_nothing_stands_for_the_range_any_more_the_approval_tells_of_it() {
    let mut store = store();
    without_storage(&mut store);
    let db = store.files.get_mut("db").unwrap();
    assert!(destroy(db, b"\xf5hmA", 60) > 0);
    let place = fast_folder();
    let (report, log) = recovered(&store, place.path());
    assert_eq!((report.events_lost(), report.archived.len()), (0, 1), "{report:?}");
    assert_eq!(report.archived[0].file, "one.jsonl");
    assert_eq!(log.tree_head(), store.head);
}

#[test]
fn where_ids_are_missing_the_tree_is_said_to_be_another() {
    let mut store = store();
    without_storage(&mut store);
    let db = store.files.get_mut("db").unwrap();
    assert!(destroy(db, b"\xf5hmI", 60) > 0);
    let place = fast_folder();
    let (report, log) = recovered(&store, place.path());
    assert_eq!((report.events_lost(), report.ids_missing), (0, 700), "{report:?}");
    assert_ne!(log.tree_head().root, store.head.root);
}
