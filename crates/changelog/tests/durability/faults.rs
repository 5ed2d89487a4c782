//! Each write and each sync fails once, one run after the other until one passes
//! clean. Whatever fails: it is said in words, nothing is acknowledged afterwards,
//! a failed sync is not tried again, nothing stands still, and with the disk whole
//! again the log opens with everything acknowledged and goes on.

use crate::child::Plan;
use crate::image::{Disk, Fate};
use crate::record::{Change, Entry, acknowledged, told};
use crate::shim::{Stage, fast_folder};
use crate::story::{examine, ids};
use fastrand::Rng;
use hms_sync_model::EventId;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

const PLAN: Plan = Plan { sessions: 2, rounds: 5, small: true };
/// Children at a time: they wait, mostly.
const CHILDREN: usize = 6;
/// More changes than the plan comes to.
const CHANGES_MAX: u64 = 400;

/// How a change fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Fault {
    how: &'static str,
    /// Whether all that come after it fail too.
    stays: bool,
}

impl Fault {
    fn settings(self, at: u64) -> Vec<(&'static str, String)> {
        let mut settings = vec![("RECORDER_FAIL", at.to_string()), ("RECORDER_HOW", self.how.to_owned())];
        if self.stays {
            settings.push(("RECORDER_STAYS", "1".to_owned()));
        }
        settings
    }
}

/// What came of a run: whether the fault was met at all, and whether the child gave up over it.
struct Run {
    met: bool,
    failed: bool,
    /// Whether it was a sync of the database or of the journal that failed.
    sync: bool,
}

/// Which file's sync it is, if it is one of the database or of the journal.
fn synced(entry: &Entry) -> Option<&str> {
    match &entry.change {
        Change::Sync { path } if path == "log/db" || path.starts_with("log/journal.") => Some(path),
        _ => None,
    }
}

/// One run in which change number `at` fails.
fn run(fault: Fault, at: u64, ids: &[EventId]) -> Run {
    let stage = Stage::new();
    let entries = stage.run(PLAN, &fault.settings(at));
    let lines = told(&entries);
    let context =
        || format!("{fault:?} at {at}: {:?}\n{lines:?}", entries.iter().find(|entry| entry.error != 0));
    let struck = entries.iter().position(|entry| entry.error != 0 && entry.error != 17);
    let failed = lines.iter().any(|line| line.starts_with("failed"));
    if failed {
        assert!(!lines.contains(&"done"), "{}", context());
        let given_up = entries
            .iter()
            .position(|entry| matches!(&entry.change, Change::Told(line) if line.starts_with("failed")))
            .unwrap();
        assert_eq!(acknowledged(&entries[given_up..]), 0, "acknowledged afterwards: {}", context());
    } else {
        assert_eq!(acknowledged(&entries), PLAN.events() as u64 - 2, "{}", context());
    }
    let sync = struck.and_then(|struck| synced(&entries[struck]).map(|path| (struck, path)));
    if let Some((struck, path)) = sync.filter(|_| fault.how != "EINTR") {
        if failed {
            let again = entries[struck + 1..].iter().any(|entry| synced(entry) == Some(path));
            assert!(!again, "tried again: {}", context());
        } else {
            assert!(is_ending(&entries[struck..]), "a failed sync was passed over: {}", context());
        }
        // The pages that were to be written may be gone, and nobody will say so again.
        check_image(&entries, ids, &context);
    }
    let found = examine(&stage.log(), acknowledged(&entries), ids);
    found.unwrap_or_else(|why| panic!("{why}: {}", context()));
    Run {
        met: entries.iter().filter(|entry| entry.counts()).count() as u64 >= at,
        failed,
        sync: sync.is_some(),
    }
}

/// Whether these are what comes after the last promise of a session: sled ends with one
/// more sync, on which nothing depends.
fn is_ending(rest: &[Entry]) -> bool {
    told(rest).first().is_some_and(|line| *line == "done" || line.starts_with("opened"))
}

/// The disk as it is when all that was not synced is gone.
fn check_image(entries: &[Entry], ids: &[EventId], context: &dyn Fn() -> String) {
    let mut disk = Disk::default();
    entries.iter().for_each(|entry| disk.apply(entry));
    let dir = fast_folder();
    disk.image(Fate::Lost, &mut Rng::with_seed(0), dir.path());
    let found = examine(&dir.path().join("log"), acknowledged(entries), ids);
    found.unwrap_or_else(|why| panic!("with its pages gone: {why}: {}", context()));
}

/// Each change fails in turn, until a run passes clean. Answers how many did, how
/// many the child gave up over, and how many of them were syncs of the database
/// or of the journal.
fn each(fault: Fault) -> (u64, u64, u64) {
    let (next, clean) = (AtomicU64::new(1), AtomicU64::new(u64::MAX));
    let (failed, syncs) = (AtomicU64::new(0), AtomicU64::new(0));
    let ids = ids(PLAN.events() + 3);
    thread::scope(|scope| {
        for _ in 0..CHILDREN {
            scope.spawn(|| {
                loop {
                    let at = next.fetch_add(1, Ordering::Relaxed);
                    if at > clean.load(Ordering::Relaxed) {
                        return;
                    }
                    assert!(at < CHANGES_MAX, "no run passes clean");
                    let run = run(fault, at, &ids);
                    if !run.met {
                        clean.fetch_min(at, Ordering::Relaxed);
                    }
                    failed.fetch_add(u64::from(run.failed), Ordering::Relaxed);
                    syncs.fetch_add(u64::from(run.sync), Ordering::Relaxed);
                }
            });
        }
    });
    (clean.into_inner(), failed.into_inner(), syncs.into_inner())
}

#[test]
fn an_input_output_error_at_each_change() {
    let (changes, failed, syncs) = each(Fault { how: "EIO", stays: false });
    assert!(
        changes > 60 && failed > 40 && syncs > 15,
        "{changes} changes, {failed} failures, {syncs} of syncs"
    );
}

#[test]
fn a_disk_that_dies_at_each_change() {
    let (changes, failed, _) = each(Fault { how: "EIO", stays: true });
    assert!(changes > 60 && failed > 50, "{changes} changes, {failed} failures");
}

#[test]
fn a_full_disk_from_each_change_on() {
    let (changes, failed, _) = each(Fault { how: "ENOSPC", stays: true });
    assert!(changes > 60 && failed > 50, "{changes} changes, {failed} failures");
}

#[test]
fn an_interruption_at_each_change() {
    let (changes, _, _) = each(Fault { how: "EINTR", stays: false });
    assert!(changes > 60, "{changes} changes");
}

#[test]
fn a_short_write_at_each_change_is_gone_on_with() {
    let (changes, failed, _) = each(Fault { how: "SHORT", stays: false });
    assert!(changes > 60, "{changes} changes");
    assert_eq!(failed, 0, "a short write is no error");
}

/// A disk that is full after so many bytes; then there is room again.
#[test]
fn a_disk_that_fills_up_under_load() {
    const PLAN: Plan = Plan { sessions: 1, rounds: 60, small: false };
    const FILLS: u64 = 20;
    let seed = fastrand::u64(..1 << 40);
    let ids = ids(PLAN.events() + 3);
    let fill = |n: u64| {
        let room = Rng::with_seed(seed + n).u64(..6 << 20);
        let stage = Stage::new();
        let entries = stage.run(PLAN, &[("RECORDER_ROOM", room.to_string())]);
        let lines = told(&entries);
        let failed = lines.iter().any(|line| line.starts_with("failed") && line.contains("No space left"));
        let context = || format!("seed {seed}, {room} bytes: {lines:?}");
        assert!(failed || lines.last() == Some(&"done"), "{}", context());
        let found = examine(&stage.log(), acknowledged(&entries), &ids);
        found.unwrap_or_else(|why| panic!("{why}: {}", context()));
        failed
    };
    let failed = thread::scope(|scope| {
        let runs: Vec<_> = (0..2)
            .map(|part| {
                scope.spawn({
                    let fill = &fill;
                    move || (part..FILLS).step_by(2).filter(|n| fill(*n)).count()
                })
            })
            .collect();
        runs.into_iter().map(|run| run.join().unwrap()).sum::<usize>()
    });
    assert!(failed > 5, "{failed} of {FILLS} met a full disk");
}
