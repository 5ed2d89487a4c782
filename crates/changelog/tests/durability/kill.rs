//! A process that is killed at any moment loses nothing that it was promised.

use crate::child::{Plan, command};
use crate::shim::fast_folder;
use crate::story::{examine, ids};
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{ChildStdout, Stdio};
use std::thread;
use std::time::Duration;

/// Kills; `HMS_SYNC_KILLS` asks for more.
const ROUNDS: usize = 50;
/// Rounds on one folder, each going on where the one before was cut off.
const ROUNDS_PER_FOLDER: usize = 10;
/// The longest life of a child, in milliseconds.
const LIFE_MS: u64 = 250;
/// More than a child comes to in its life.
const PLAN: Plan = Plan { sessions: 40, rounds: 100, small: false };

/// The last event that the child said was durable, and whether its log had opened.
fn listen(from: ChildStdout) -> (u64, bool) {
    let (mut acknowledged, mut opened) = (0, false);
    let mut lines = BufReader::new(from);
    let mut line = String::new();
    // What is cut off in its middle was not said.
    while lines.read_line(&mut line).unwrap() > 0 && line.ends_with('\n') {
        opened |= line.starts_with("opened");
        if let Some(seq) = line.trim_end().strip_prefix("ack ") {
            acknowledged = seq.parse().unwrap();
        }
        assert!(!line.starts_with("failed"), "{line}");
        line.clear();
    }
    lines.read_to_string(&mut line).unwrap();
    (acknowledged, opened)
}

/// Starts a child, kills it after a while, and answers what it was promised.
fn live(dir: &Path, life: Duration) -> (u64, bool) {
    let mut child = command(dir, PLAN).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let out = child.stdout.take().unwrap();
    let heard = thread::spawn(move || listen(out));
    thread::sleep(life);
    child.kill().unwrap();
    child.wait().unwrap();
    heard.join().unwrap()
}

#[test]
fn a_killed_process_loses_nothing_acknowledged() {
    let seed = fastrand::u64(..1 << 40);
    let mut random = fastrand::Rng::with_seed(seed);
    let rounds = std::env::var("HMS_SYNC_KILLS").map_or(ROUNDS, |count| count.parse().unwrap());
    let (mut promised, mut cut) = (0u64, 0);
    for _ in 0..rounds.div_ceil(ROUNDS_PER_FOLDER) {
        let place = fast_folder();
        let dir = place.path().join("log");
        let mut last = 0;
        for round in 0..ROUNDS_PER_FOLDER {
            let (acknowledged, opened) = live(&dir, Duration::from_millis(random.u64(..LIFE_MS)));
            cut += u32::from(opened);
            promised += acknowledged.saturating_sub(last);
            last = last.max(acknowledged);
            let ids = ids(last as usize + 4_000);
            let head = examine(&dir, last, &ids);
            last = head.unwrap_or_else(|why| panic!("seed {seed}, round {round}: {why}"));
        }
    }
    assert!(
        cut as usize > rounds / 2 && promised > 1_000,
        "{cut} had begun, {promised} events were promised"
    );
}
