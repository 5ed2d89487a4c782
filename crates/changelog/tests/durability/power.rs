//! A power cut at any moment loses nothing that was acknowledged.

use crate::child::Plan;
use crate::image::{Disk, Fate};
use crate::record::{Change, Entry, acknowledged, told};
use crate::shim::{Stage, fast_folder};
use crate::story::{Story, examine, ids};
use fastrand::Rng;
use hms_sync_model::EventId;
use std::sync::Mutex;
use std::thread;

const PLAN: Plan = Plan { sessions: 3, rounds: 36, small: false };
/// Images that are opened; `HMS_SYNC_POWER_IMAGES` asks for more.
const IMAGES: usize = 320;
/// Threads that open them.
const THREADS: usize = 2;

/// How one image was found.
#[derive(Debug)]
struct Trial {
    cut: usize,
    fate: Fate,
    acknowledged: u64,
    /// Unsynced writes that it lost.
    lost: usize,
    found: Result<u64, String>,
}

fn images() -> usize {
    std::env::var("HMS_SYNC_POWER_IMAGES").map_or(IMAGES, |count| count.parse().unwrap())
}

/// Cuts the power after entries spread over the record, from `from` on, and opens what is left.
fn cut(entries: &[Entry], from: usize, count: usize, seed: u64) -> Vec<Trial> {
    let (ids, found) = (ids(PLAN.events()), Mutex::new(Vec::new()));
    thread::scope(|scope| {
        for part in 0..THREADS {
            let (ids, found) = (&ids, &found);
            scope.spawn(move || {
                for trial in cut_some(entries, from, count, seed, part, ids) {
                    found.lock().unwrap().push(trial);
                }
            });
        }
    });
    found.into_inner().unwrap()
}

/// Every `THREADS`-th of the images, from number `part` on.
fn cut_some(
    entries: &[Entry],
    from: usize,
    count: usize,
    seed: u64,
    part: usize,
    ids: &[EventId],
) -> Vec<Trial> {
    let (mut disk, mut at) = (Disk::default(), 0);
    let image = |n: usize| {
        let mut random = Rng::with_seed(seed + n as u64);
        let cut = from + (entries.len() - from) * n / count + random.usize(..=(entries.len() - from) / count);
        let cut = cut.min(entries.len());
        while at < cut {
            disk.apply(&entries[at]);
            at += 1;
        }
        let dir = fast_folder();
        let fate = Fate::ALL[n / THREADS % Fate::ALL.len()];
        let lost = disk.image(fate, &mut random, dir.path());
        let acknowledged = acknowledged(&entries[..cut]);
        let found = examine(&dir.path().join("log"), acknowledged, ids);
        Trial { cut, fate, acknowledged, lost, found }
    };
    (part..count).step_by(THREADS).map(image).collect()
}

/// A trial, and what was done since the last sync before its cut.
fn describe(entries: &[Entry], trial: &Trial) -> String {
    let is_sync = |entry: &Entry| matches!(&entry.change, Change::Sync { path } if path == "log/db");
    let last = entries[..trial.cut].iter().rposition(is_sync).unwrap_or(0);
    let Trial { cut, fate, acknowledged, lost, found } = trial;
    let mut lines =
        vec![format!("after {cut}, {fate:?}, {lost} lost, {acknowledged} acknowledged: {found:?}")];
    for (n, entry) in entries.iter().enumerate().take(trial.cut).skip(last) {
        lines.push(match &entry.change {
            Change::Write { path, offset, bytes } => {
                format!("{n:6} write {path} at {offset}, segment {}, {} bytes", offset >> 19, bytes.len())
            }
            other => format!("{n:6} {other:?}"),
        });
    }
    lines.join("\n")
}

fn record(settings: &[(&str, String)]) -> Vec<Entry> {
    let entries = Stage::new().run(PLAN, settings);
    assert_eq!(told(&entries).last(), Some(&"done"), "{:?}", told(&entries));
    assert_eq!(acknowledged(&entries), PLAN.events() as u64 - 2);
    entries
}

#[test]
fn a_power_cut_loses_nothing_acknowledged() {
    let seed = fastrand::u64(..1 << 40);
    let entries = record(&[]);
    let trials = cut(&entries, 0, images(), seed);
    let bad: Vec<&Trial> = trials.iter().filter(|trial| trial.found.is_err()).collect();
    let told: Vec<String> = bad.iter().take(5).map(|trial| describe(&entries, trial)).collect();
    assert!(bad.is_empty(), "seed {seed}: {} of {} images:\n{}", bad.len(), trials.len(), told.join("\n"));
    let telling = trials.iter().filter(|trial| trial.lost > 0).count();
    assert!(trials.len() >= 200 && telling > trials.len() / 4, "{telling} of {} lost anything", trials.len());
}

/// What sled's recovery rests on: a segment of its log is durable before the one after the next.
#[test]
fn between_two_syncs_the_log_grows_by_less_than_a_segment() {
    let (mut grown, mut most, mut open) = (0, 0, false);
    for entry in record(&[]) {
        match &entry.change {
            Change::Told(line) if line.starts_with("opened") => (grown, open) = (0, true),
            Change::Told(line) if line == "done" => open = false,
            // Opening clears what a crash left.
            Change::MakeFolder { path } if path == "log" => open = false,
            Change::Write { path, bytes, .. } if path == "log/db" && open => grown += bytes.len(),
            Change::Sync { path } if path == "log/db" => grown = 0,
            _ => {}
        }
        most = most.max(grown);
    }
    assert!(most > 64 << 10 && most <= 512 << 10, "{most} bytes");
}

/// sled's leaf of the last chunks holds nothing else that changes (`apart.rs`), and what is
/// committed comes to sled some at a time: with the views 5.2 times as much is written as there
/// are frames; otherwise 6.5 times.
#[test]
fn what_is_committed_is_written_to_sled_less_than_six_times() {
    let entries = record(&[]);
    let frames: usize = Story::upto(0).take(PLAN.events()).iter().map(|event| event.frame().len()).sum();
    let written = entries.iter().map(|entry| match &entry.change {
        Change::Write { path, bytes, .. } if path == "log/db" => bytes.len(),
        _ => 0,
    });
    let written: usize = written.sum();
    assert!(written < 6 * frames, "{written} bytes for {frames}");
}

/// The guard is `sync_data` before the acknowledgement: without it the test above must fail.
#[test]
fn without_the_guard_the_images_are_found_broken() {
    let entries = record(&[("RECORDER_NO_FDATASYNC", "1".to_owned())]);
    let first = entries
        .iter()
        .position(|entry| matches!(&entry.change, Change::Told(line) if line.starts_with("ack")))
        .unwrap();
    let trials = cut(&entries, first + 1, 84, 1);
    let telling: Vec<&Trial> =
        trials.iter().filter(|trial| trial.lost > 0 && trial.acknowledged > 0).collect();
    let broken = telling.iter().filter(|trial| trial.found.is_err()).count();
    assert!(telling.len() >= 40, "{} images can tell", telling.len());
    assert!(broken * 10 >= telling.len() * 9, "{broken} of {} are found broken", telling.len());
}
