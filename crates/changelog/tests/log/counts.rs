//! What a log says of how much it holds is what its events come to, however it was
//! opened, cut off or tampered with.

use crate::common::{Maker, Place};
use hms_sync_changelog::{Count, Damage, Log, MemoryDisk, Sealed};
use hms_sync_model::RecordId;
use proptest::prelude::*;
use std::collections::BTreeMap;

type Counts = BTreeMap<String, Count>;

/// The record of a number, in one of three collections or a stream of the sync's own.
fn record(n: usize) -> RecordId {
    let collection = ["permit", "inspection", "@sync", "fee"][n % 4];
    RecordId::try_new(format!("{collection}/{n}")).unwrap()
}

#[derive(Default)]
struct Model {
    maker: Maker,
    counts: Counts,
}

impl Model {
    fn append(&mut self, log: &Log, events: &[(usize, usize)]) {
        let sealed: Vec<Sealed> =
            events.iter().map(|(n, size)| self.maker.next(&record(*n), *size).0).collect();
        for one in &sealed {
            let count = self.counts.entry(one.record.collection().to_owned()).or_default();
            count.events += 1;
            count.records += u64::from(one.version == 1);
            count.bytes += one.frame_bytes() as u64 - 41;
        }
        log.append(&sealed).unwrap();
    }
}

fn events() -> impl Strategy<Value = Vec<(usize, usize)>> {
    prop::collection::vec((0usize..40, prop_oneof![9 => 1usize..90, 1 => 12_000usize..14_000]), 0..70)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn counts_are_what_the_events_come_to(steps in prop::collection::vec((events(), 0u8..4, any::<u64>()), 1..10)) {
        let disk = MemoryDisk::new();
        let (mut log, mut model) = (Log::on(disk.clone()).unwrap(), Model::default());
        for (events, how, seed) in steps {
            model.append(&log, &events);
            match how {
                0 => log.close().unwrap(),
                1 => disk.crash(seed),
                // Nobody has counted: an old log.
                2 => {
                    log.close().unwrap();
                    disk.tamper(b"mtally", None);
                }
                _ => {
                    prop_assert_eq!(log.counts().unwrap(), model.counts.clone());
                    continue;
                }
            }
            log = Log::on(disk.clone()).unwrap();
            prop_assert_eq!(log.counts().unwrap(), model.counts.clone());
            let report = log.verify(|_| {}).unwrap();
            prop_assert!(report.is_sound(), "{:?}", report);
        }
    }
}

#[test]
fn a_wrong_count_is_found_and_not_believed() {
    let disk = MemoryDisk::new();
    let (log, mut model) = (Log::on(disk.clone()).unwrap(), Model::default());
    model.append(&log, &(0..200).map(|n| (n, 20)).collect::<Vec<_>>());
    log.close().unwrap();
    let entries = disk.entries();
    let (key, stored) = entries.iter().find(|(key, _)| key == b"mtally").unwrap();
    let mut changed = stored.clone();
    *changed.last_mut().unwrap() ^= 1;
    // With its hash as it was, and with one that fits.
    let forged = [blake3::hash(&changed[32..]).as_bytes(), &changed[32..]].concat();
    for wrong in [changed, forged] {
        disk.tamper(key, Some(&wrong));
        let log = Log::on(disk.clone()).unwrap();
        let bad = log.verify(|_| {}).unwrap().first_bad.unwrap();
        assert_eq!((bad.seq, bad.what), (0, Damage::Table));
        drop(log);
    }
}

#[test]
fn a_log_on_disk_says_what_it_takes() {
    let place = Place::folder();
    let (log, mut model) = (place.open(), Model::default());
    model.append(&log, &(0..500).map(|n| (n % 100, 60)).collect::<Vec<_>>());
    log.save_views(&[(b"k".to_vec(), Some(vec![1])), (b"l".to_vec(), None)].into(), log.head()).unwrap();
    log.close().unwrap();
    let log = place.open();
    let stats = log.stats();
    assert_eq!((stats.events, stats.index.entries, stats.index.runs), (500, 100, 1));
    assert_eq!((stats.views.entries, stats.views.runs, stats.views_upto), (2, 1, 500));
    assert_eq!(log.counts().unwrap(), model.counts);
}
