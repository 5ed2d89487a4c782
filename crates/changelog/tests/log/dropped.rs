//! Events that are archived may be dropped: their ids, the tree, the counts and every record
//! stay, and a drop that is cut off at any step has either not begun or is ended.

use crate::common::{Maker, Place, record};
use hms_sync_changelog::{Archived, Damage, Log, LogError, MemoryDisk, Options, Sealed};
use hms_sync_model::{EventId, Time};

/// What a file of the first `last` events would be said to be.
fn range(log: &Log, first: u64, last: u64) -> Archived {
    let root = log.prover().head(last).unwrap().root.0;
    let file = format!("events-{first}-{last}.jsonl");
    Archived { first, last, at: Time(9), until: Time(5), hash: [7; 32], root, file }
}

/// A log with events of `records` records and one more of each after them, so that each
/// has one that stays; and where a range can end that holds all but these.
fn written(log: &Log, maker: &mut Maker, count: usize) -> (Vec<Sealed>, u64) {
    let mut all = maker.many(count, 20, 90);
    all.push(maker.next(&record(3), 14_000).0);
    all.chunks(37).for_each(|some| log.append(some).unwrap());
    let end = log.last_to_drop(log.head()).unwrap().unwrap();
    assert_eq!(end, log.head());
    let later = maker.many(20, 20, 30);
    log.append(&later).unwrap();
    all.extend(later);
    (all, end)
}

fn approval(maker: &mut Maker) -> Sealed {
    maker.next(&hms_sync_model::RecordId::try_new("@log/archives").unwrap(), 40).0
}

/// All that must hold of a log of which the events up to `end` were dropped.
fn check(log: &Log, all: &[Sealed], end: u64, counts: &[u64]) {
    let ids: Vec<EventId> = all.iter().map(|sealed| sealed.id).collect();
    let found: Vec<EventId> = log.events(1, usize::MAX).unwrap().into_iter().map(|(id, _)| id).collect();
    assert_eq!(found, ids[usize::try_from(end).unwrap()..]);
    assert_eq!(log.dropped_upto(), end);
    for seq in [1, end].into_iter().filter(|seq| *seq <= end && end > 0) {
        match log.event(seq) {
            Err(LogError::Damaged { damage: Damage::Archived { .. }, .. }) => {}
            other => panic!("{seq}: {other:?}"),
        }
    }
    let mut names = log.records(None, 100).unwrap();
    names.retain(|name| !name.is_own_stream());
    assert_eq!(names.len(), 20);
    for name in &names {
        let history = log.history(name, 1, usize::MAX).unwrap();
        let last = log.last(name).unwrap().unwrap();
        assert_eq!(history.last().map(|(id, event)| (event.version, *id)), Some(last));
        assert!(history.iter().all(|(_, event)| event.seq > end));
    }
    let head = log.tree_head();
    for (seq, id) in (1..).zip(&ids) {
        log.inclusion(seq, head.size).unwrap().verify(&id.0, &head).unwrap();
    }
    for size in 1..=head.size {
        let older = log.prover().head(size).unwrap();
        log.consistency(size, head.size).unwrap().verify(&older, &head).unwrap();
    }
    let now: Vec<u64> = log.counts().unwrap().values().map(|count| count.events).collect();
    assert_eq!(now.iter().sum::<u64>(), counts.iter().sum::<u64>());
    let report = log.verify(|_| {}).unwrap();
    assert!(report.is_sound(), "{report:?}");
    assert_eq!(report.events, head.size - end);
    assert_eq!(report.archived.iter().map(Archived::count).sum::<u64>(), end);
}

#[test]
fn after_a_drop_all_but_the_events_is_there_and_the_log_goes_on() {
    for place in Place::both() {
        let (log, mut maker) = (place.open(), Maker::default());
        let (mut all, end) = written(&log, &mut maker, 500);
        let before = log.counts().unwrap();
        let event = approval(&mut maker);
        log.drop_archived(&range(&log, 1, end), &event).unwrap();
        all.push(event);
        let counts: Vec<u64> = before.values().map(|count| count.events).chain([1]).collect();
        check(&log, &all, end, &counts);
        log.close().unwrap();
        let log = place.open();
        check(&log, &all, end, &counts);
        // Another range, from where the first ended.
        let (more, second) = written(&log, &mut maker, 300);
        all.extend(more);
        let event = approval(&mut maker);
        let total: u64 = log.counts().unwrap().values().map(|count| count.events).sum::<u64>() + 1;
        log.drop_archived(&range(&log, end + 1, second), &event).unwrap();
        all.push(event);
        check(&log, &all, second, &[total]);
        assert_eq!(log.archived().len(), 2);
        log.close().unwrap();
        let log = place.open();
        check(&log, &all, second, &[total]);
        place.assert_no_blobs();
    }
}

#[test]
fn a_compact_copy_keeps_a_drop() {
    let place = Place::folder();
    let (log, mut maker) = (place.open(), Maker::default());
    let (mut all, end) = written(&log, &mut maker, 400);
    let event = approval(&mut maker);
    let total = log.counts().unwrap().values().map(|count| count.events).sum::<u64>() + 1;
    log.drop_archived(&range(&log, 1, end), &event).unwrap();
    all.push(event);
    let copies = tempfile::tempdir().unwrap();
    let copy = copies.path().join("copy");
    log.compact_into(&copy, Options::default()).unwrap();
    check(&Log::open(&copy, Options::default()).unwrap(), &all, end, &[total]);
}

/// Whether the range is dropped, after the log was opened again. All is as it must be either way.
fn dropped(disk: &MemoryDisk, all: &[Sealed], event: &Sealed, end: u64) -> bool {
    let log = Log::on(disk.clone()).unwrap();
    assert!(log.stats().poisoned.is_none());
    let dropped = log.dropped_upto() > 0;
    if dropped {
        let mut all = all.to_vec();
        all.push(event.clone());
        check(&log, &all, end, &[all.len() as u64]);
        let left = |letter: u8| disk.entries().iter().filter(|(key, _)| key[0] == letter).count();
        assert_eq!(left(b'x'), 0, "parts of what was dropped");
        assert!(left(b'e') < 8, "{} chunks", left(b'e'));
    } else {
        check(&log, all, 0, &[all.len() as u64]);
        log.drop_archived(&range(&log, 1, end), event).unwrap();
    }
    log.close().unwrap();
    dropped
}

#[test]
fn a_drop_that_is_cut_off_at_any_step_has_not_begun_or_is_ended() {
    let (mut begun, mut not) = (0, 0);
    for steps in 0.. {
        for seed in 0..3 {
            let (disk, mut maker) = (MemoryDisk::new(), Maker::default());
            let log = Log::on(disk.clone()).unwrap();
            let (all, end) = written(&log, &mut maker, 200);
            let event = approval(&mut maker);
            let range = range(&log, 1, end);
            disk.fail_after(steps);
            let done = log.drop_archived(&range, &event);
            if done.is_ok() {
                assert!(begun > 2 && not > 2, "{begun} had begun, {not} had not");
                return;
            }
            assert!(log.append(&maker.many(1, 1, 10)).is_err(), "nothing is written after an error");
            disk.crash(seed);
            // Also while the start removes what is left.
            if let Ok(log) = {
                disk.fail_after(seed);
                Log::on(disk.clone())
            } {
                drop(log);
            }
            disk.crash(seed);
            if dropped(&disk, &all, &event, end) { begun += 1 } else { not += 1 }
        }
    }
}

#[test]
fn what_is_not_archived_as_it_is_is_not_dropped() {
    let (log, mut maker) = (Log::on(MemoryDisk::new()).unwrap(), Maker::default());
    let (all, end) = written(&log, &mut maker, 200);
    let event = approval(&mut maker);
    let right = range(&log, 1, end);
    let wrong = [
        Archived { root: [1; 32], ..right.clone() },
        Archived { first: 2, ..right.clone() },
        Archived { last: end + 21, ..right.clone() },
        Archived { file: String::new(), ..right.clone() },
        Archived { file: "x".repeat(256), ..right.clone() },
    ];
    for wrong in wrong {
        let why = log.drop_archived(&wrong, &event).unwrap_err();
        assert!(matches!(why, LogError::NotToDrop { .. } | LogError::Proof(_)), "{why}");
    }
    let middle = log.last_to_drop(end - 3).unwrap().unwrap();
    assert!(middle < end - 3, "the last chunk has several events");
    let why = log.drop_archived(&range(&log, 1, end - 3), &event).unwrap_err();
    assert!(why.to_string().contains(&format!("they can end with {middle}")), "{why}");
    check(&log, &all, 0, &[all.len() as u64]);
}

#[test]
fn a_changed_id_or_range_is_found() {
    for letter in [b'l', b'e'] {
        let (disk, mut maker) = (MemoryDisk::new(), Maker::default());
        let log = Log::on(disk.clone()).unwrap();
        let (_, end) = written(&log, &mut maker, 300);
        log.drop_archived(&range(&log, 1, end), &approval(&mut maker)).unwrap();
        log.close().unwrap();
        let (key, mut value) = disk.entries().into_iter().find(|(key, _)| key[0] == letter).unwrap();
        *value.last_mut().unwrap() ^= 1;
        disk.tamper(&key, Some(&value));
        let Ok(log) = Log::on(disk) else { continue };
        let report = log.verify(|_| {}).unwrap();
        assert_eq!(report.first_bad.unwrap().seq, 1, "{}", char::from(letter));
    }
}
