//! Whatever is appended, saved, dropped, reopened and cut off, the log answers
//! as a vector of events and a map of views do.

use crate::common::{Maker, Place, record};
use hms_sync_changelog::{Log, Sealed};
use hms_sync_model::Event;
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};

#[derive(Debug, Clone)]
enum Step {
    /// Events: record and size.
    Append(Vec<(usize, usize)>),
    /// Views: key and size of the value; an empty one removes the key.
    Save(Vec<(u8, usize)>),
    DropViews,
    Close,
    Forget,
    Crash(u64),
}

fn size() -> impl Strategy<Value = usize> {
    prop_oneof![12 => 1usize..300, 2 => 4_700usize..5_300, 1 => 9_000usize..30_000]
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => prop::collection::vec((0usize..6, size()), 0..90).prop_map(Step::Append),
        5 => prop::collection::vec((0u8..12, prop_oneof![1 => Just(0), 8 => size()]), 0..70).prop_map(Step::Save),
        1 => Just(Step::DropViews),
        1 => Just(Step::Close),
        1 => Just(Step::Forget),
        2 => any::<u64>().prop_map(Step::Crash),
    ]
}

#[derive(Default)]
struct Model {
    maker: Maker,
    events: Vec<(Sealed, Event)>,
    views: BTreeMap<Vec<u8>, Vec<u8>>,
    upto: u64,
    /// Everything that was ever saved, for what a crash may leave.
    ever: BTreeSet<(Vec<u8>, Vec<u8>)>,
    saves: u32,
}

impl Model {
    fn append(&mut self, log: &Log, events: &[(usize, usize)]) {
        let made: Vec<_> = events.iter().map(|(n, size)| self.maker.next(&record(*n), *size)).collect();
        let sealed: Vec<Sealed> = made.iter().map(|(sealed, _)| sealed.clone()).collect();
        log.append(&sealed).unwrap();
        self.events.extend(made);
    }

    fn save(&mut self, log: &Log, views: &[(u8, usize)]) {
        self.saves += 1;
        let mut changes = BTreeMap::new();
        for (key, size) in views {
            let value: Vec<u8> = self.saves.to_le_bytes().iter().copied().cycle().take(*size).collect();
            changes.insert(vec![b'k', *key], (*size > 0).then_some(value));
        }
        log.save_views(&changes, log.head()).unwrap();
        self.upto = log.head();
        for (key, value) in changes {
            match value {
                Some(value) => {
                    self.ever.insert((key.clone(), value.clone()));
                    self.views.insert(key, value);
                }
                None => drop(self.views.remove(&key)),
            }
        }
    }

    fn drop_views(&mut self, log: &Log) {
        log.drop_views().unwrap();
        self.views.clear();
        self.upto = 0;
    }

    /// Views may be lost or old after a power cut, and never anything else.
    fn after_crash(&mut self, log: &Log) {
        self.views = log.views(b"", None, usize::MAX).unwrap().into_iter().collect();
        self.upto = log.views_upto();
        assert!(self.upto <= log.head());
        for (key, value) in &self.views {
            assert!(self.ever.contains(&(key.clone(), value.clone())), "never saved: {key:?}");
        }
    }

    fn check(&self, log: &Log) {
        let ids: Vec<_> = self.events.iter().map(|(sealed, event)| (sealed.id, event.clone())).collect();
        assert_eq!(log.head(), ids.len() as u64);
        assert_eq!(log.events(1, usize::MAX).unwrap(), ids);
        assert_eq!(log.events(log.head() + 1, 9).unwrap(), []);
        crate::tree::check_tree(log, &ids.iter().map(|(id, _)| *id).collect::<Vec<_>>());
        let mut by_record = BTreeMap::<_, Vec<_>>::new();
        for (at, entry) in ids.iter().enumerate() {
            if at % 7 == 0 {
                assert_eq!(log.event(entry.1.seq).unwrap().as_ref(), Some(entry));
                assert_eq!(log.events(entry.1.seq, 20).unwrap(), ids[at..ids.len().min(at + 20)]);
            }
            by_record.entry(entry.1.record.clone()).or_default().push(entry.clone());
        }
        let records: Vec<_> = by_record.keys().cloned().collect();
        assert_eq!(log.records(None, usize::MAX).unwrap(), records);
        if let [first, rest @ ..] = records.as_slice() {
            assert_eq!(log.records(Some(first), 2).unwrap(), rest[..rest.len().min(2)]);
        }
        for (record, history) in &by_record {
            assert_eq!(log.history(record, 1, usize::MAX).unwrap(), *history);
            assert!(log.may_know(record));
            assert_eq!(
                log.history(record, 3, 2).unwrap(),
                history[history.len().min(2)..history.len().min(4)]
            );
            let (id, last) = history.last().unwrap();
            assert_eq!(log.last(record).unwrap(), Some((last.version, *id)));
        }
        assert_eq!(log.last(&record(99)).unwrap(), None);
        self.check_views(log);
    }

    fn check_views(&self, log: &Log) {
        let views: Vec<_> = self.views.clone().into_iter().collect();
        assert_eq!(log.views_upto(), self.upto);
        assert_eq!(log.views(b"k", None, usize::MAX).unwrap(), views);
        assert_eq!(log.views(b"l", None, usize::MAX).unwrap(), []);
        for key in 0..12 {
            let key = [b'k', key];
            assert_eq!(log.view(&key).unwrap().as_ref(), self.views.get(key.as_slice()));
        }
        let after: Vec<_> =
            views.iter().filter(|(key, _)| key.as_slice() > &[b'k', 5][..]).take(3).cloned().collect();
        assert_eq!(log.views(b"k", Some(&[b'k', 5]), 3).unwrap(), after);
    }
}

fn run(place: &Place, steps: &[Step]) {
    let (mut model, mut log) = (Model::default(), place.open());
    for step in steps {
        match step {
            Step::Append(events) => model.append(&log, events),
            Step::Save(views) => model.save(&log, views),
            Step::DropViews => model.drop_views(&log),
            Step::Close => {
                log.close().unwrap();
                log = place.open();
            }
            Step::Forget => {
                drop(log);
                log = place.open();
            }
            Step::Crash(seed) => {
                if let Place::Memory(disk) = place {
                    disk.crash(*seed);
                    assert!(log.save_views(&[].into(), 0).is_err(), "a log outlives its disk's power");
                }
                drop(log);
                log = place.open();
                model.after_crash(&log);
            }
        }
        model.check_views(&log);
    }
    model.check(&log);
    let report = log.verify(|_| {}).unwrap();
    assert!(report.is_sound(), "{report:?}");
    assert_eq!(report.events, log.head());
    assert_eq!(report.records, log.records(None, usize::MAX).unwrap().len() as u64);
    log.close().unwrap();
    let log = place.open();
    model.check(&log);
    place.assert_no_blobs();
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]
    #[test]
    fn a_log_in_memory_is_a_vector_and_a_map(steps in prop::collection::vec(step(), 1..14)) {
        run(&Place::Memory(hms_sync_changelog::MemoryDisk::new()), &steps);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]
    #[test]
    fn a_log_in_a_folder_is_a_vector_and_a_map(steps in prop::collection::vec(step(), 1..10)) {
        run(&Place::folder(), &steps);
    }
}
