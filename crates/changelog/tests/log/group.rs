//! Group commit: many submit, one syncs, all are told, in order.

use crate::common::{Maker, Place, record};
use hms_sync_changelog::{Log, LogError, MemoryDisk, Writer};
use std::sync::{Arc, Mutex, mpsc};
use std::thread;

#[test]
fn every_submission_is_acknowledged_in_order() {
    for place in Place::both() {
        let log = place.open();
        let writer = Writer::spawn(log.clone());
        let maker = Mutex::new(Maker::default());
        let acknowledged = Arc::new(Mutex::new(Vec::new()));
        thread::scope(|scope| {
            for n in 0..8 {
                let (writer, maker, log, acknowledged) = (&writer, &maker, &log, &acknowledged);
                scope.spawn(move || {
                    for _ in 0..60 {
                        // Numbers are given out and submitted in one order.
                        let mut maker = maker.lock().unwrap();
                        let events = vec![maker.next(&record(n), 100).0, maker.next(&record(n), 100).0];
                        let (last, log) = (maker.seq, log.clone());
                        let acknowledged = Arc::clone(acknowledged);
                        let done = move |result: Result<(), LogError>| {
                            result.unwrap();
                            assert!(log.head() >= last);
                            acknowledged.lock().unwrap().push(last);
                        };
                        writer.append(events, Box::new(done));
                    }
                });
            }
        });
        writer.close().unwrap();
        let acknowledged = acknowledged.lock().unwrap();
        assert_eq!(*acknowledged, (1..=480).map(|n| n * 2).collect::<Vec<u64>>());
        drop(log);
        let log = place.open();
        assert_eq!(log.head(), 960);
        assert!(log.verify(|_| {}).unwrap().is_sound());
    }
}

/// A writer whose thread stands still until told to go on.
fn held(writer: &Writer) -> mpsc::Sender<()> {
    let (go, wait) = mpsc::channel::<()>();
    let (reached, here) = mpsc::channel();
    let done = move |_| {
        reached.send(()).unwrap();
        // Ends when the test lets go.
        let _gone = wait.recv();
    };
    writer.append(Vec::new(), Box::new(done));
    here.recv().unwrap();
    go
}

#[test]
fn what_waits_shares_one_sync() {
    let disk = MemoryDisk::new();
    let log = Log::on(disk.clone()).unwrap();
    let (writer, mut maker) = (Writer::spawn(log.clone()), Maker::default());
    let before = disk.syncs();
    let go = held(&writer);
    for _ in 0..100 {
        writer.append(maker.many(3, 2, 100), Box::new(|result| result.unwrap()));
    }
    drop(go);
    writer.close().unwrap();
    assert_eq!(disk.syncs() - before, 2, "one for the group, one for closing");
    assert_eq!(log.head(), 300);
}

#[test]
fn a_failed_sync_is_told_to_all_who_share_it_and_a_gap_only_to_its_own() {
    let disk = MemoryDisk::new();
    let log = Log::on(disk.clone()).unwrap();
    let (writer, mut maker) = (Writer::spawn(log.clone()), Maker::default());
    let results = Arc::new(Mutex::new(Vec::new()));
    let submit = |events| {
        let results = Arc::clone(&results);
        writer.append(events, Box::new(move |result| results.lock().unwrap().push(result)));
    };
    let go = held(&writer);
    submit(maker.many(2, 1, 100));
    submit(vec![maker.clone().many(5, 1, 100).pop().unwrap()]);
    submit(maker.many(2, 1, 100));
    disk.fail_next_sync();
    drop(go);
    let (told, wait) = mpsc::channel();
    writer.append(maker.many(1, 1, 100), Box::new(move |result| told.send(result).unwrap()));
    let last = wait.recv().unwrap().unwrap_err();
    drop(writer);
    let results = results.lock().unwrap();
    assert!(matches!(results[0], Err(LogError::Storage { doing: "sync", .. })));
    assert!(matches!(results[1], Err(LogError::Gap { expected: 3, found: 7 })));
    assert!(matches!(results[2], Err(LogError::Storage { doing: "sync", .. })));
    assert!(matches!(last, LogError::Storage { .. } | LogError::Poisoned { .. }));
    assert_eq!(log.head(), 0);
}

#[test]
fn views_are_saved_in_their_turn() {
    for place in Place::both() {
        let log = place.open();
        let (writer, mut maker) = (Writer::spawn(log.clone()), Maker::default());
        let go = held(&writer);
        for (upto, value) in [(4, b"one"), (8, b"two")] {
            writer.append(maker.many(4, 2, 100), Box::new(|result| result.unwrap()));
            let log = log.clone();
            let done = move |result: Result<(), LogError>| {
                result.unwrap();
                assert_eq!(log.view(b"k").unwrap().as_deref(), Some(value.as_slice()));
                assert_eq!(log.views_upto(), upto);
            };
            let changes = [(b"k".to_vec(), Some(value.to_vec()))].into();
            writer.save_views(Arc::new(changes), upto, Box::new(done));
        }
        drop(go);
        writer.close().unwrap();
        assert_eq!(log.views_upto(), 8);
    }
}

#[test]
fn no_event_waits_for_a_whole_save() {
    let log = Log::on(MemoryDisk::new()).unwrap();
    let (writer, mut maker) = (Writer::spawn(log.clone()), Maker::default());
    let go = held(&writer);
    let many = (0..10_000u32).map(|n| (n.to_be_bytes().to_vec(), Some(vec![1; 20])));
    let (told, order) = mpsc::channel();
    let saved = told.clone();
    writer.save_views(Arc::new(many.collect()), 0, Box::new(move |_| saved.send("saved").unwrap()));
    writer.append(maker.many(3, 1, 10), Box::new(move |_| told.send("durable").unwrap()));
    drop(go);
    assert_eq!(order.iter().collect::<Vec<_>>(), ["durable", "saved"]);
    assert_eq!(log.views(b"", None, usize::MAX).unwrap().len(), 10_000);
    writer.close().unwrap();
}

#[test]
fn a_writer_whose_log_is_closed_says_so() {
    let log = Log::on(MemoryDisk::new()).unwrap();
    let writer = Writer::spawn(log.clone());
    log.close().unwrap();
    let (told, wait) = mpsc::channel();
    let events = Maker::default().many(1, 1, 10);
    writer.append(events, Box::new(move |result| told.send(result).unwrap()));
    assert!(matches!(wait.recv().unwrap(), Err(LogError::Closed)));
}

/// Where all who could submit wait for the commit, it waits for nobody, however busy the one
/// before was: no wait for company hides in it.
#[test]
fn a_busy_commit_does_not_wait_where_nobody_comes() {
    const COMMITS: u32 = 400;
    let log = Log::on(MemoryDisk::new()).unwrap();
    let (writer, mut maker) = (Writer::spawn(log), Maker::default());
    let began = std::time::Instant::now();
    for _ in 0..COMMITS {
        let (tell, told) = mpsc::channel();
        writer.append(maker.many(64, 8, 10), Box::new(move |result| tell.send(result).unwrap()));
        told.recv().unwrap().unwrap();
    }
    let took = began.elapsed();
    assert!(took < std::time::Duration::from_micros(2_500) * COMMITS, "{COMMITS} commits took {took:?}");
}
