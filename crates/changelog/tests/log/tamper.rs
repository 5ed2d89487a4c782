//! Whatever is changed behind the log's back is found, the first bad event is
//! named, and no read returns anything that was not written.

use crate::common::{Maker, doubt, record};
use hms_sync_changelog::{BadEntry, Damage, Log, MemoryDisk, seal};
use hms_sync_model::{Event, EventId};
use proptest::prelude::*;
use std::sync::OnceLock;

type Entries = Vec<(Vec<u8>, Vec<u8>)>;

/// A log of 120 events, two of them in parts: what was written, and how it lies.
fn log() -> &'static (Vec<(EventId, Event)>, Entries) {
    static MADE: OnceLock<(Vec<(EventId, Event)>, Entries)> = OnceLock::new();
    MADE.get_or_init(|| {
        let disk = MemoryDisk::new();
        let log = Log::on(disk.clone()).unwrap();
        let mut maker = Maker::default();
        let made: Vec<_> = (0..120)
            .map(|n| maker.next(&record(n % 7), if n % 50 == 30 { 12_000 } else { 20 + n * 3 }))
            .collect();
        for group in made.chunks(33) {
            log.append(&group.iter().map(|(sealed, _)| sealed.clone()).collect::<Vec<_>>()).unwrap();
        }
        // What was merged is cleared away.
        (0..200).for_each(|_| log.append(&[]).unwrap());
        log.close().unwrap();
        let written = made.into_iter().map(|(sealed, event)| (sealed.id, event)).collect();
        (written, disk.entries())
    })
}

/// A disk with these entries.
fn disk(entries: &Entries) -> MemoryDisk {
    let disk = MemoryDisk::new();
    for (key, value) in entries {
        disk.tamper(key, Some(value));
    }
    disk
}

/// Verifies, reads everything in every way, and answers what was found.
fn examine(disk: MemoryDisk) -> Option<BadEntry> {
    let (written, _) = log();
    let log = Log::on(disk).unwrap();
    for (at, (id, event)) in written.iter().enumerate() {
        if let Ok(Some(read)) = log.event(event.seq) {
            assert_eq!(read, (*id, event.clone()));
        }
        if at % 11 == 0
            && let Ok(read) = log.events(event.seq, 30)
        {
            assert!(written[at..].starts_with(&read));
        }
    }
    for n in 0..7 {
        let history: Vec<_> = written.iter().filter(|(_, event)| event.record == record(n)).collect();
        if let Ok(read) = log.history(&record(n), 1, 1_000) {
            assert!(read.iter().all(|entry| history.contains(&entry)));
        }
        if let Ok(Some((version, id))) = log.last(&record(n)) {
            assert!(history.iter().any(|(known, event)| *known == id && event.version == version));
        }
    }
    log.verify(|_| {}).unwrap().first_bad
}

/// The event that byte `at` of this entry belongs to, by the form on disk alone.
fn owner(key: &[u8], value: &[u8], at: usize) -> u64 {
    let first = u64::from_be_bytes(key[1..9].try_into().unwrap());
    if key[0] == b'x' || value.starts_with(b"\xf5hmL") || value.starts_with(b"\xf5hmZ") {
        return first;
    }
    let (mut start, mut seq) = (0, first);
    loop {
        let length = u32::from_be_bytes(value[start + 5..start + 9].try_into().unwrap()) as usize;
        start += 41 + length;
        if at < start {
            return seq;
        }
        seq += 1;
    }
}

#[test]
fn an_untouched_log_is_sound() {
    assert_eq!(examine(disk(&log().1)), None);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]
    #[test]
    fn a_flipped_bit_of_an_event_is_named(which in any::<prop::sample::Index>(), at in any::<prop::sample::Index>(), bit in 0u8..8) {
        let mut entries = log().1.clone();
        let stored: Vec<usize> =
            (0..entries.len()).filter(|n| matches!(entries[*n].0[0], b'e' | b'x')).collect();
        let (key, value) = &mut entries[stored[which.index(stored.len())]];
        let at = at.index(value.len());
        let expected = owner(key, value, at);
        value[at] ^= 1 << bit;
        let found = examine(disk(&entries)).map(|bad| bad.seq);
        prop_assert_eq!(found, Some(expected));
    }

    #[test]
    fn any_change_of_any_entry_is_found(
        which in any::<prop::sample::Index>(),
        at in any::<prop::sample::Index>(),
        bit in 0u8..8,
        kind in 0u8..5,
    ) {
        let mut entries = log().1.clone();
        let n = which.index(entries.len());
        let (key, value) = entries[n].clone();
        match kind {
            0 => drop(entries.remove(n)),
            1 => entries[n].1[at.index(value.len())] ^= 1 << bit,
            2 => entries[n].1.truncate(at.index(value.len())),
            3 => {
                // Under another key; the letters stay, or nobody would look there.
                let letters = if matches!(key[0], b'm' | b'r') { 2 } else { 1 };
                let at = letters + at.index(key.len() - letters);
                prop_assume!(key != b"mti" && key != b"mtally");
                entries[n].0[at] ^= 1 << bit;
                let moved = entries[n].0.clone();
                if let Some(other) = (0..entries.len()).find(|m| *m != n && entries[*m].0 == moved) {
                    entries.remove(other);
                }
            }
            _ => {
                // The value of another entry of its kind.
                let other = at.index(entries.len());
                prop_assume!(entries[other].0[0] == key[0] && entries[other].1 != value);
                entries[n].1 = entries[other].1.clone();
            }
        }
        // Without the list of its runs the index is made anew, as if there were none; so is the tally.
        prop_assume!(kind != 0 || (key != b"mti" && key != b"mtally"));
        prop_assume!(entries[..] != log().1[..]);
        prop_assert!(examine(disk(&entries)).is_some(), "{} ({kind})", key.escape_ascii());
    }
}

/// Damage in several places, of any kind: the first event that any of it concerns is named.
#[test]
fn of_several_bad_events_the_first_is_named() {
    let mut random = fastrand::Rng::with_seed(36);
    for _ in 0..60 {
        let mut entries = log().1.clone();
        let chunks = places(&entries, b'e');
        let mut hurt = Vec::new();
        for _ in 0..random.usize(2..5) {
            let n = chunks[random.usize(..chunks.len())];
            let (key, value) = &mut entries[n];
            if !hurt.iter().any(|(_, harmed)| *harmed == n) {
                let at = random.usize(..value.len());
                hurt.push((owner(key, value, at), n));
                value[at] ^= 1 << random.u8(..8);
            }
        }
        let first = hurt.iter().map(|(seq, _)| *seq).min();
        assert_eq!(examine(disk(&entries)).map(|bad| bad.seq), first, "{hurt:?}");
    }
}

/// Entries of one letter, by their place.
fn places(entries: &Entries, letter: u8) -> Vec<usize> {
    (0..entries.len()).filter(|n| entries[*n].0[0] == letter).collect()
}

#[test]
fn a_dropped_chunk_is_named_wherever_it_was() {
    let entries = &log().1;
    for n in places(entries, b'e') {
        let seq = u64::from_be_bytes(entries[n].0[1..].try_into().unwrap());
        let mut entries = entries.clone();
        entries.remove(n);
        let found = examine(disk(&entries)).unwrap();
        assert_eq!((found.seq, found.what), (seq, Damage::Missing));
    }
}

#[test]
fn swapped_chunks_are_named() {
    let mut entries = log().1.clone();
    let chunks = places(&entries, b'e');
    let (a, b) = (chunks[0], chunks[1]);
    let first = entries[b].0.clone();
    let (one, two) = (entries[a].1.clone(), entries[b].1.clone());
    (entries[a].1, entries[b].1) = (two, one);
    let found = examine(disk(&entries)).unwrap();
    let stands = u64::from_be_bytes(first[1..].try_into().unwrap());
    assert_eq!((found.seq, found.what), (1, Damage::Place(stands)));
}

/// Blocks of the index, by their place.
fn blocks(entries: &Entries) -> Vec<usize> {
    let is_block = |n: &usize| entries[*n].0.starts_with(b"ri") && entries[*n].0[10] == 0;
    places(entries, b'r').into_iter().filter(is_block).collect()
}

/// The entries of a block, by the form on disk alone: key and value.
fn unpack(block: &[u8]) -> Entries {
    let length = u32::from_be_bytes(block[36..40].try_into().unwrap()) as usize;
    let bytes = lz4_flex::block::decompress(&block[40..], length).unwrap();
    let (mut found, mut rest) = (Entries::new(), bytes.as_slice());
    while !rest.is_empty() {
        let length = |at: usize| usize::from(u16::from_be_bytes([rest[at], rest[at + 1]]));
        let (key, value) = (length(0), length(2));
        found.push((rest[4..4 + key].to_vec(), rest[4 + key..4 + key + value].to_vec()));
        rest = &rest[4 + key + value..];
    }
    found
}

/// A block of these entries, as it would have been written at `place`.
fn pack(place: &[u8], entries: &Entries) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (key, value) in entries {
        bytes.extend_from_slice(&(key.len() as u16).to_be_bytes());
        bytes.extend_from_slice(&(value.len() as u16).to_be_bytes());
        bytes.extend_from_slice(&[key.as_slice(), value].concat());
    }
    let length = (bytes.len() as u32).to_be_bytes();
    let block = lz4_flex::block::compress(&bytes);
    let hash = blake3::Hasher::new().update(place).update(&length).update(&block).finalize();
    [b"\xf5hmB", hash.as_bytes().as_slice(), &length, &block].concat()
}

/// The events that a value of the index leads to.
fn led_to(value: &[u8]) -> impl Iterator<Item = u64> {
    value.chunks(9).map(|slot| u64::from_be_bytes(slot[..8].try_into().unwrap()) + u64::from(slot[8]))
}

#[test]
fn a_missing_index_entry_is_named_with_its_event() {
    let whole = &log().1;
    for n in blocks(whole) {
        let all = unpack(&whole[n].1);
        for at in 0..all.len() {
            let mut rest = all.clone();
            let (key, value) = rest.remove(at);
            let mut entries = whole.clone();
            entries[n].1 = pack(&whole[n].0, &rest);
            let found = examine(disk(&entries)).unwrap();
            assert_eq!((found.seq, found.what), (led_to(&value).min().unwrap(), Damage::Index));
            assert!(key.starts_with(found.record.unwrap().as_str().as_bytes()));
        }
    }
}

#[test]
fn a_missing_block_of_the_index_is_named_with_its_first_event() {
    let whole = &log().1;
    assert!(blocks(whole).len() > 3);
    for n in blocks(whole) {
        let mut entries = whole.clone();
        let (_, block) = entries.remove(n);
        let first = unpack(&block).iter().flat_map(|(_, value)| led_to(value)).min().unwrap();
        let found = examine(disk(&entries)).unwrap();
        assert_eq!((found.seq, found.what), (first, Damage::Index));
    }
}

#[test]
fn an_index_entry_of_no_event_is_named() {
    let mut entries = log().1.clone();
    let n = blocks(&entries)[0];
    let mut block = unpack(&entries[n].1);
    let (mut key, value) = block[0].clone();
    *key.last_mut().unwrap() = 200;
    block.insert(1, (key, value[..9].to_vec()));
    entries[n].1 = pack(&entries[n].0, &block);
    let found = examine(disk(&entries)).unwrap();
    assert_eq!((found.seq, found.what), (led_to(&value).next().unwrap(), Damage::IndexExtra));
}

#[test]
fn an_index_that_claims_too_much_is_found_and_one_that_claims_too_little_is_made_whole() {
    let whole = &log().1;
    let list = whole.iter().position(|(key, _)| key == b"mti").unwrap();
    let claiming = |upto: u64| {
        let mut entries = whole.clone();
        let rest = [&upto.to_be_bytes(), &entries[list].1[40..]].concat();
        entries[list].1 = [blake3::hash(&rest).as_bytes().as_slice(), &rest].concat();
        entries
    };
    for upto in [0u64, 1, 60, 119] {
        assert_eq!(examine(disk(&claiming(upto))), None);
        let log = Log::on(disk(&claiming(upto))).unwrap();
        assert_eq!(log.history(&record(3), 1, 99).unwrap().len(), 17);
    }
    let mut entries = claiming(120);
    entries.remove(blocks(whole).pop().unwrap());
    assert_eq!(examine(disk(&entries)).unwrap().what, Damage::Index);
}

#[test]
fn run_numbers_of_another_hand_end_nothing() {
    for key in [b"ri".to_vec(), b"ri\0\0".to_vec(), [b"ri".as_slice(), &[0xff; 8], &[0]].concat()] {
        let mut entries = log().1.clone();
        entries.push((key, vec![1]));
        let log = Log::on(disk(&entries)).unwrap();
        assert_eq!(log.history(&record(3), 1, 99).unwrap().len(), 17);
    }
}

/// What can be made anew never stops what cannot.
#[test]
fn a_damaged_block_of_the_views_stops_merging_and_not_writing() {
    let memory = MemoryDisk::new();
    let log = Log::on(memory.clone()).unwrap();
    let save = |n: u8| log.save_views(&[(vec![b'k', n], Some(vec![n]))].into(), 0).unwrap();
    save(1);
    let (key, mut block) = memory.entries().into_iter().find(|(key, _)| key.starts_with(b"rv")).unwrap();
    *block.last_mut().unwrap() ^= 1;
    memory.tamper(&key, Some(&block));
    (2..9).for_each(save);
    log.append(&[seal(&doubt(1, &record(0), 1, EventId::default(), 9)).unwrap()]).unwrap();
    assert_eq!(log.stats().poisoned, None);
    assert_eq!(log.view(b"k\x08").unwrap(), Some(vec![8]));
    assert!(log.view(b"k\x01").unwrap_err().to_string().contains("a block of the views"));
}

#[test]
fn a_damaged_filter_of_the_index_is_found_and_not_believed() {
    let mut entries = log().1.clone();
    let filter = entries.iter().position(|(key, _)| key.starts_with(b"ri") && key[10] == 1).unwrap();
    entries[filter].1.fill(0);
    assert_eq!(examine(disk(&entries)).unwrap().what, Damage::Table);
    let log = Log::on(disk(&entries)).unwrap();
    assert_eq!(log.history(&record(3), 1, 99).unwrap().len(), 17);
}

#[test]
fn an_index_without_its_list_is_made_anew() {
    let mut entries = log().1.clone();
    entries.retain(|(key, _)| key != b"mti");
    assert_eq!(examine(disk(&entries)), None);
    let log = Log::on(disk(&entries)).unwrap();
    assert_eq!(log.history(&record(3), 1, 99).unwrap().len(), 17);
}

#[test]
fn the_end_cannot_be_cut_off_unseen() {
    let mut entries = log().1.clone();
    let last = *places(&entries, b'e').last().unwrap();
    let (key, _) = entries.remove(last);
    let first = u64::from_be_bytes(key[1..].try_into().unwrap());
    let log = Log::on(disk(&entries)).unwrap();
    assert!(log.stats().poisoned.unwrap().contains("the end of the log is damaged"));
    log.append(&[seal(&doubt(log.head() + 1, &record(0), 90, EventId::default(), 9)).unwrap()]).unwrap_err();
    drop(log);
    // Also when the count is made to fit.
    let head = entries.iter().position(|(key, _)| key == b"mhead").unwrap();
    entries[head].1 = (first - 1).to_be_bytes().to_vec();
    let log = Log::on(disk(&entries)).unwrap();
    assert_eq!(log.head(), first - 1);
    assert!(log.stats().poisoned.unwrap().contains("the stored tree has another hash"));
    assert!(matches!(log.verify(|_| {}).unwrap().first_bad.unwrap().what, Damage::Tree { .. }));
    entries.retain(|(key, _)| key != b"mhead");
    assert!(examine(disk(&entries)).is_some());
}

#[test]
fn a_chain_that_does_not_hold_is_named() {
    let id = |event: &Event| seal(event).unwrap().id;
    let one = doubt(1, &record(0), 1, EventId::default(), 10);
    let two = doubt(2, &record(0), 2, id(&one), 10);
    let cases = [
        (doubt(3, &record(0), 3, id(&one), 10), Damage::Prev),
        (doubt(3, &record(0), 4, id(&two), 10), Damage::VersionGap),
        (doubt(3, &record(0), 0, id(&two), 10), Damage::VersionGap),
        (doubt(3, &record(1), 1, id(&two), 10), Damage::Prev),
        (doubt(3, &record(1), 2, EventId::default(), 10), Damage::VersionGap),
    ];
    for (three, what) in cases {
        let log = Log::on(MemoryDisk::new()).unwrap();
        let events = [&one, &two, &three].map(|event| seal(event).unwrap());
        log.append(&events).unwrap();
        let found = log.verify(|_| {}).unwrap().first_bad.unwrap();
        let expected = BadEntry { seq: 3, record: Some(three.record.clone()), what };
        assert_eq!(found, expected, "{found}");
    }
    // The same version twice.
    let log = Log::on(MemoryDisk::new()).unwrap();
    let again = doubt(3, &record(0), 2, id(&one), 11);
    log.append(&[&one, &two, &again].map(|event| seal(event).unwrap())).unwrap();
    let found = log.verify(|_| {}).unwrap().first_bad.unwrap();
    assert_eq!((found.seq, found.what), (3, Damage::VersionGap));
}

#[test]
fn a_chain_is_checked_past_what_is_remembered() {
    let log = Log::on(MemoryDisk::new()).unwrap();
    let mut maker = Maker::default();
    // More records than the table holds, so that most are looked up again.
    for _ in 0..2 {
        log.append(&maker.many(40_000, 40_000, 1)).unwrap();
    }
    let mut told = Vec::new();
    let report = log.verify(|events| told.push(events)).unwrap();
    assert!(report.is_sound(), "{report:?}");
    assert_eq!((report.events, report.records), (80_000, 40_000));
    assert!(told.is_sorted() && told.len() > 10 && *told.last().unwrap() == 80_000);
}
