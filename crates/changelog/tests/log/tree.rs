//! The tree over the events is the one that anybody would make of their ids, whatever
//! became of the log meanwhile; and what does not fit it is named.

use crate::common::{Maker, Place, doubt, record};
use hms_sync_changelog::{BadEntry, Damage, Log, LogError, MemoryDisk, Sealed, seal};
use hms_sync_model::EventId;
use hms_sync_proof::{Frontier, TreeHash, TreeHead};

/// The tree of these events, made leaf by leaf.
pub(crate) fn tree_of(ids: impl IntoIterator<Item = EventId>) -> Frontier {
    let mut tree = Frontier::new();
    ids.into_iter().for_each(|id| tree.append(TreeHash::leaf(&id.0)).unwrap());
    tree
}

/// That the log has the tree of these ids, and proofs from it.
pub(crate) fn check_tree(log: &Log, ids: &[EventId]) {
    let size = ids.len() as u64;
    assert_eq!(log.tree_head(), tree_of(ids.iter().copied()).head());
    let prover = log.prover();
    for seq in (1..=size).step_by(1 + ids.len() / 9) {
        let proof = prover.inclusion(seq, size).unwrap();
        proof.verify(&ids[seq as usize - 1].0, &log.tree_head()).unwrap();
        let older = prover.head(seq).unwrap();
        assert_eq!(older, tree_of(ids[..seq as usize].iter().copied()).head());
        prover.consistency(seq, size).unwrap().verify(&older, &log.tree_head()).unwrap();
        let proof = log.inclusion(1, seq).unwrap();
        proof.verify(&ids[0].0, &older).unwrap();
    }
    assert!(matches!(log.inclusion(size + 1, size + 1), Err(LogError::Proof(_))));
    assert!(matches!(log.inclusion(0, size), Err(LogError::Proof(_))));
    assert!(matches!(log.consistency(0, size + 1), Err(LogError::Proof(_))));
}

fn ids(events: &[Sealed]) -> Vec<EventId> {
    events.iter().map(|event| event.id).collect()
}

#[test]
fn a_log_of_more_than_a_tile_has_its_tree_after_every_restart() {
    for place in Place::both() {
        let events = Maker::default().many(700, 9, 40);
        let mut log = place.open();
        for (n, group) in events.chunks(117).enumerate() {
            log.append(group).unwrap();
            if n % 2 == 0 {
                drop(log);
                log = place.open();
            }
        }
        check_tree(&log, &ids(&events));
        assert!(log.verify(|_| {}).unwrap().is_sound());
    }
}

/// Nothing is worked out anew at a start: no event is read for the tree, however long the log is.
#[test]
fn the_tree_is_there_after_a_start_without_a_look_at_any_event() {
    for place in Place::both() {
        let mut maker = Maker::default();
        for events in [300, 6_000] {
            let log = place.open();
            assert_eq!(log.reads(), 0);
            log.append(&maker.many(events, 50, 20)).unwrap();
            let head = log.tree_head();
            log.close().unwrap();
            let log = place.open();
            assert_eq!((log.tree_head(), log.reads()), (head, 0));
            log.inclusion(7, head.size).unwrap();
            log.close().unwrap();
        }
    }
}

/// A disk with these entries.
fn disk(entries: &[(Vec<u8>, Vec<u8>)]) -> MemoryDisk {
    let disk = MemoryDisk::new();
    entries.iter().for_each(|(key, value)| disk.tamper(key, Some(value)));
    disk
}

/// The keys of a store, with their values.
type Entries = Vec<(Vec<u8>, Vec<u8>)>;

/// A log of 90 events of 4 records, and how it lies.
fn made(change: impl Fn(u64) -> usize) -> (Vec<Sealed>, Entries) {
    let place = MemoryDisk::new();
    let log = Log::on(place.clone()).unwrap();
    let mut maker = Maker::default();
    let events: Vec<_> = (1..=90).map(|n| maker.next(&record(n as usize % 4), change(n)).0).collect();
    for group in events.chunks(5) {
        log.append(group).unwrap();
    }
    log.close().unwrap();
    (events, place.entries())
}

fn is_node(entry: &(Vec<u8>, Vec<u8>)) -> bool {
    entry.0[0] == b'n'
}

fn cut_head(entries: &mut [(Vec<u8>, Vec<u8>)]) {
    entries.iter_mut().filter(|(key, _)| key == b"mhead").for_each(|(_, value)| value.truncate(8));
}

#[test]
fn a_log_from_before_there_were_trees_is_given_one_once() {
    let (events, whole) = made(|_| 30);
    // Also where making it was cut short.
    for left in [0, 1, 5] {
        let mut old = whole.clone();
        let mut nodes = 0;
        old.retain(|entry| {
            !is_node(entry) || {
                nodes += 1;
                nodes <= left
            }
        });
        cut_head(&mut old);
        let disk = disk(&old);
        let log = Log::on(disk.clone()).unwrap();
        assert_eq!(log.stats().poisoned, None);
        check_tree(&log, &ids(&events));
        assert!(log.verify(|_| {}).unwrap().is_sound());
        drop(log);
        assert_eq!(disk.entries(), whole, "byte for byte what it would have been");
    }
}

#[test]
fn a_hash_of_the_tree_that_is_not_as_written_is_named_with_its_events() {
    let (_, whole) = made(|_| 30);
    let nodes: Vec<usize> = (0..whole.len()).filter(|n| is_node(&whole[*n])).collect();
    assert_eq!(nodes.len(), 90 / 8 + 90 / 16 + 90 / 32 + 90 / 64);
    for n in nodes {
        let (level, index) = (whole[n].0[1], u64::from_be_bytes(whole[n].0[2..].try_into().unwrap()));
        let expected = (index << level, (index + 1) << level);
        for remove in [false, true] {
            let mut entries = whole.clone();
            if remove {
                drop(entries.remove(n));
            } else {
                entries[n].1[7] ^= 1;
            }
            let log = Log::on(disk(&entries)).unwrap();
            let found = log.verify(|_| {}).unwrap().first_bad.unwrap();
            assert_eq!((found.seq, found.what), (expected.0 + 1, Damage::Tree { last: expected.1 }));
        }
    }
}

#[test]
fn an_event_replaced_with_all_its_hashes_is_found_by_the_tree() {
    // The last event of a record: no chain leads past it.
    let (_, whole) = made(|_| 30);
    for changed in [87, 88, 90] {
        let (_, mut other) = made(|n| if n == changed { 31 } else { 30 });
        other.retain(|entry| !is_node(entry) && entry.0 != b"mhead");
        other.extend(whole.iter().filter(|entry| is_node(entry) || entry.0 == b"mhead").cloned());
        let log = Log::on(disk(&other)).unwrap();
        let found = log.verify(|_| {}).unwrap().first_bad.unwrap();
        let Damage::Tree { last } = found.what else { panic!("{found}") };
        assert!((found.seq..=last).contains(&changed) && last - found.seq < 8, "{found}");
        // Whoever cannot tell what is right takes no more events.
        let next = seal(&doubt(91, &record(70), 1, EventId::default(), 5)).unwrap();
        let poisoned = log.stats().poisoned.is_some();
        assert_eq!((poisoned, log.append(&[next]).is_err()), (changed > 88, changed > 88));
    }
}

#[test]
fn an_edge_that_is_not_as_written_stops_writing() {
    let (_, whole) = made(|_| 30);
    let head = whole.iter().position(|(key, _)| key == b"mhead").unwrap();
    for at in 8..whole[head].1.len() {
        let mut entries = whole.clone();
        entries[head].1[at] ^= 4;
        let log = Log::on(disk(&entries)).unwrap();
        assert!(log.stats().poisoned.is_some(), "byte {at}");
        assert!(!log.verify(|_| {}).unwrap().is_sound());
    }
}

/// A checkpoint of the first events of a log.
fn checkpoint(events: &[Sealed], size: usize) -> TreeHead {
    tree_of(events[..size].iter().map(|event| event.id)).head()
}

#[test]
fn another_history_does_not_fit_a_checkpoint_and_the_first_stretch_is_named() {
    let (events, whole) = made(|_| 30);
    let checkpoints = [0, 1, 20, 40, 60, 90].map(|size| checkpoint(&events, size));
    let log = Log::on(disk(&whole)).unwrap();
    assert!(log.verify_against(&checkpoints, |_| {}).unwrap().is_sound());
    // All hashes made anew, the same beginning.
    let (_, other) = made(|n| if n == 45 { 31 } else { 30 });
    let log = Log::on(disk(&other)).unwrap();
    assert!(log.verify(|_| {}).unwrap().is_sound(), "by itself no log can tell");
    let found = log.verify_against(&checkpoints, |_| {}).unwrap().first_bad.unwrap();
    assert_eq!(found, BadEntry { seq: 41, record: None, what: Damage::Checkpoint { last: 60 } });
    // Rolled back.
    let short = Log::on(MemoryDisk::new()).unwrap();
    short.append(&events[..50]).unwrap();
    let found = short.verify_against(&checkpoints, |_| {}).unwrap().first_bad.unwrap();
    assert_eq!(found, BadEntry { seq: 51, record: None, what: Damage::RolledBack { last: 60 } });
    let empty = Log::on(MemoryDisk::new()).unwrap();
    assert!(empty.verify_against(&checkpoints[..1], |_| {}).unwrap().is_sound());
    let forged = TreeHead { size: 0, root: checkpoints[1].root };
    assert!(!empty.verify_against(&[forged], |_| {}).unwrap().is_sound());
}
