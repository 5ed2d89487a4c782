//! Copies of chunks are read where they are what the log has, and do no harm where they are
//! not: damaged, cut, of another log, of a log that was put back.

use crate::common::{Maker, Place, record};
use hms_sync_changelog::{Archived, Log, Options, Sealed};
use hms_sync_model::{EventId, RecordId, Time};
use std::fs;
use std::path::{Path, PathBuf};

const RECORDS: usize = 20;
/// Bytes before the first place.
const HEAD: usize = 32;

fn open(dir: &Path) -> Log {
    Log::open(dir, Options::default()).unwrap()
}

/// Fills a log in groups of several sizes, and closes it.
fn fill(dir: &Path, maker: &mut Maker, count: usize) -> Vec<Sealed> {
    let log = open(dir);
    let events = maker.many(count, RECORDS, 90);
    let (alone, together) = events.split_at(count / 4);
    alone.chunks(3).chain(together.chunks(100)).for_each(|some| log.append(some).unwrap());
    log.close().unwrap();
    events
}

fn files(dir: &Path) -> [PathBuf; 2] {
    ["chunks", "places"].map(|name| dir.join("copies").join(name))
}

/// The first event of each chunk that has a copy.
fn firsts(dir: &Path) -> Vec<u64> {
    let places = fs::read(&files(dir)[1]).unwrap();
    let first = |place: &[u8; 16]| u64::from_be_bytes(place[..8].try_into().unwrap());
    places[HEAD..].as_chunks::<16>().0.iter().map(first).collect()
}

fn ids_of(events: &[Sealed], of: &RecordId) -> Vec<EventId> {
    events.iter().filter(|event| event.record == *of).map(|event| event.id).collect()
}

/// Every record's history is what was written, and the log is sound.
fn check(log: &Log, events: &[Sealed]) {
    for of in (0..RECORDS).map(record) {
        let found: Vec<EventId> =
            log.history(&of, 1, usize::MAX).unwrap().into_iter().map(|(id, _)| id).collect();
        assert_eq!(found, ids_of(events, &of), "{of}");
    }
    assert!(log.verify(|_| {}).unwrap().is_sound());
}

#[test]
fn damaged_copies_are_never_served() {
    let place = Place::folder();
    let Place::Folder(dir) = &place else { unreachable!() };
    let mut maker = Maker::default();
    let mut events = fill(dir.path(), &mut maker, 800);
    let whole = files(dir.path()).map(|path| fs::read(path).unwrap());
    assert!(whole.iter().all(|bytes| bytes.len() > 500), "there are copies");
    let mut random = fastrand::Rng::with_seed(5);
    for round in 0..40 {
        let (paths, mut bytes) = (files(dir.path()), whole.clone());
        let file = &mut bytes[round % 2];
        let at = random.usize(HEAD..file.len());
        match round / 2 % 5 {
            0 => file[at] ^= 1 << random.u8(..8),
            1 => file.truncate(at),
            2 => file[at..].fill(0),
            3 => random.fill(&mut file[at..]),
            _ => file.rotate_left(at),
        }
        fs::create_dir_all(dir.path().join("copies")).unwrap();
        paths.iter().zip(&bytes).for_each(|(path, bytes)| fs::write(path, bytes).unwrap());
        check(&open(dir.path()), &events);
    }
    // Those that were found wrong are made anew.
    let log = open(dir.path());
    for _ in 0..20 {
        let more = maker.many(20, RECORDS, 40);
        log.append(&more).unwrap();
        events.extend(more);
    }
    check(&log, &events);
    log.close().unwrap();
    assert_eq!(firsts(dir.path())[0], 1);
}

/// First event, and the bytes, of each chunk that has a copy.
fn copied(dir: &Path) -> Vec<(u64, Vec<u8>)> {
    let [chunks, places] = files(dir).map(|path| fs::read(path).unwrap());
    let read = |place: &[u8; 16]| {
        let (first, place) = place.split_at(8);
        let (at, length) = place.split_at(6);
        let number = |bytes: &[u8]| bytes.iter().fold(0, |number, byte| number << 8 | u64::from(*byte));
        let [at, length] = [at, length].map(|bytes| usize::try_from(number(bytes)).unwrap());
        (number(first), chunks[at..at + length].to_vec())
    };
    places[HEAD..].as_chunks::<16>().0.iter().map(read).collect()
}

/// Lays copies down, under the stamp that is there.
fn lay(dir: &Path, copies: &[(u64, Vec<u8>)]) {
    let (mut chunks, mut places) = (Vec::new(), fs::read(&files(dir)[1]).unwrap()[..HEAD].to_vec());
    for (first, bytes) in copies {
        places.extend_from_slice(&first.to_be_bytes());
        places.extend_from_slice(&chunks.len().to_be_bytes()[2..]);
        places.extend_from_slice(&bytes.len().to_be_bytes()[6..]);
        chunks.extend_from_slice(bytes);
    }
    files(dir).iter().zip([chunks, places]).for_each(|(path, bytes)| fs::write(path, bytes).unwrap());
}

#[test]
fn a_copy_that_ends_between_two_events_hides_none_of_them() {
    let (dir, shorter) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let mut maker = Maker::default();
    let mut events = fill(dir.path(), &mut maker, 40);
    fill(shorter.path(), &mut Maker::default(), 40);
    let (some, more) = (maker.many(8, RECORDS, 40), maker.many(3, RECORDS, 40));
    let log = open(dir.path());
    [&some, &more].into_iter().for_each(|some| log.append(some).unwrap());
    log.close().unwrap();
    // What a chunk of the first three of the eight is, all hashes right.
    let log = open(shorter.path());
    log.append(&some[..3]).unwrap();
    log.close().unwrap();
    let (mut copies, short) = (copied(dir.path()), copied(shorter.path()).pop().unwrap());
    let place = copies.iter_mut().find(|(first, _)| *first == some[0].seq).unwrap();
    assert!(place.0 == short.0 && place.1.len() > short.1.len());
    *place = short;
    lay(dir.path(), &copies);
    let laid = files(dir.path()).map(|path| fs::read(path).unwrap());
    events.extend(some);
    events.extend(more);
    let log = open(dir.path());
    check(&log, &events);
    assert!(!files(dir.path())[0].exists(), "what is not the log's is gone");
    // What is in memory is right, too.
    check(&log, &events);
    drop(log);
    // Whoever verifies first finds the log whole.
    fs::create_dir_all(dir.path().join("copies")).unwrap();
    files(dir.path()).iter().zip(&laid).for_each(|(path, bytes)| fs::write(path, bytes).unwrap());
    assert!(open(dir.path()).verify(|_| {}).unwrap().is_sound());
}

#[test]
fn copies_of_another_log_are_not_taken_and_forged_ones_are_found() {
    let (ours, theirs) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let events = fill(ours.path(), &mut Maker::default(), 300);
    // The same records, other values.
    let log = open(theirs.path());
    let mut maker = Maker::default();
    let others: Vec<Sealed> = (0..300).map(|n| maker.next(&record(n % RECORDS), 70).0).collect();
    log.append(&others).unwrap();
    log.close().unwrap();
    let [_, our_places] = files(ours.path()).map(|path| fs::read(path).unwrap());
    let [their_chunks, mut their_places] = files(theirs.path()).map(|path| fs::read(path).unwrap());
    let [chunks, places] = files(ours.path());
    fs::write(&chunks, &their_chunks).unwrap();
    fs::write(&places, &their_places).unwrap();
    check(&open(ours.path()), &events);
    // With the stamp of ours and the last one's first event they pass, where a chunk begins with
    // the same event.
    their_places[..HEAD].copy_from_slice(&our_places[..HEAD]);
    let last = |places: &[u8]| places.len() - 16..places.len() - 8;
    let at = last(&their_places);
    their_places[at].copy_from_slice(&our_places[last(&our_places)]);
    fs::write(&chunks, &their_chunks).unwrap();
    fs::write(&places, &their_places).unwrap();
    let log = open(ours.path());
    let first = log.history(&record(0), 1, 1).unwrap().remove(0).0;
    assert!(first == others[0].id || first == events[0].id);
    assert!(log.verify(|_| {}).unwrap().is_sound(), "the log itself is whole");
    drop(log);
    assert!(!chunks.exists(), "what is not the log's is gone");
    check(&open(ours.path()), &events);
}

#[test]
fn a_log_that_is_put_back_does_not_find_what_came_after() {
    let (dir, kept) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let mut maker = Maker::default();
    let mut events = fill(dir.path(), &mut maker, 300);
    let names = |dir: &Path| {
        fs::read_dir(dir)
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .filter(|path| path.is_file())
            .collect::<Vec<_>>()
    };
    for path in names(dir.path()) {
        fs::copy(&path, kept.path().join(path.file_name().unwrap())).unwrap();
    }
    fill(dir.path(), &mut maker.clone(), 200);
    names(dir.path()).iter().for_each(|path| fs::remove_file(path).unwrap());
    for path in names(kept.path()) {
        fs::copy(&path, dir.path().join(path.file_name().unwrap())).unwrap();
    }
    check(&open(dir.path()), &events);
    // Another history of the same length.
    let log = open(dir.path());
    let others = maker.many(200, RECORDS, 70);
    log.append(&others).unwrap();
    log.close().unwrap();
    events.extend(others);
    check(&open(dir.path()), &events);
}

#[test]
fn a_log_without_copies_gets_them_beside_its_appends() {
    let dir = tempfile::tempdir().unwrap();
    let mut maker = Maker::default();
    let mut events = fill(dir.path(), &mut maker, 2_000);
    let before = firsts(dir.path());
    fs::remove_dir_all(dir.path().join("copies")).unwrap();
    let log = open(dir.path());
    for _ in 0..20 {
        let more = maker.many(1, RECORDS, 40);
        log.append(&more).unwrap();
        events.extend(more);
    }
    check(&log, &events);
    assert!(log.stats().bytes > fs::metadata(dir.path().join("db")).unwrap().len(), "copies count");
    log.close().unwrap();
    assert_eq!(firsts(dir.path())[..before.len()], before);
}

#[test]
fn what_is_dropped_has_no_copies() {
    let dir = tempfile::tempdir().unwrap();
    let mut maker = Maker::default();
    let mut events = fill(dir.path(), &mut maker, 600);
    let log = open(dir.path());
    let last = log.last_to_drop(300).unwrap().unwrap();
    let root = log.prover().head(last).unwrap().root.0;
    let range =
        Archived { first: 1, last, at: Time(9), until: Time(5), hash: [7; 32], root, file: "a".into() };
    let approval = maker.next(&RecordId::try_new("@log/archives").unwrap(), 40).0;
    log.drop_archived(&range, &approval).unwrap();
    assert!(!dir.path().join("copies").exists());
    for _ in 0..5 {
        let more = maker.many(10, RECORDS, 40);
        log.append(&more).unwrap();
        events.extend(more);
    }
    events.retain(|event| event.seq > last);
    check(&log, &events);
    log.close().unwrap();
    assert_eq!(firsts(dir.path())[0], last + 1);
}
