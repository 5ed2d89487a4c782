//! A log that has grown large. Filling and looking are processes of their own,
//! so that each has its own memory and opens what another has closed.

use super::events::Maker;
use super::ours::Ours;
use super::{Engine, Group};
use anyhow::Context;
use hms_sync_changelog::{Log, Options};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// Events that become durable together while a log grows.
const GROUP: usize = 1_024;
/// Events of each turn while a small and a large log are compared.
const TURN: usize = 20_480;
/// Turns.
const TURNS: usize = 5;
/// Records for each event of a log: ten events a record.
const EVENTS_PER_RECORD: usize = 10;
/// Histories that are asked for.
const HISTORIES: usize = 4_000;
/// More than a record here has.
const LONG: usize = 10_000;

/// What filling a log came to.
#[derive(Debug, Serialize, Deserialize)]
pub struct Filled {
    /// Events a second, while it grew.
    pub rate: f64,
    /// Events a second at its end, and of a small log by turns with it.
    pub turns: Vec<(f64, f64)>,
    /// Bytes of the events themselves, without a head.
    pub payload: u64,
    /// Bytes taken on disk, once it is closed.
    pub disk: u64,
    /// The most memory the process had, in MiB.
    pub peak_rss_mib: f64,
}

/// What looking into a closed log came to.
#[derive(Debug, Serialize, Deserialize)]
pub struct Looked {
    /// From the call until it can be read and written.
    pub open_s: f64,
    /// The middle of the times a record's whole history took, in microseconds.
    pub history_p50_us: f64,
    /// Of a hundred, the second slowest.
    pub history_p99_us: f64,
    /// Events a second, if it was verified.
    pub verify_rate: Option<f64>,
    /// The most memory the process had, in MiB.
    pub peak_rss_mib: f64,
}

/// Runs this program again as `words` say, and answers what that said.
///
/// # Errors
/// If it did not end well.
pub fn ask<T: DeserializeOwned>(words: &[&str]) -> anyhow::Result<T> {
    let mut child = Command::new(std::env::current_exe()?);
    let said = child.args(words).stdin(Stdio::null()).stderr(Stdio::inherit()).output()?;
    anyhow::ensure!(said.status.success(), "{words:?}: {}", said.status);
    Ok(serde_json::from_slice(&said.stdout)?)
}

/// Fills a log in `dir`; the last events by turns with a small log in `beside`.
///
/// # Errors
/// What the log said.
pub fn fill(dir: &Path, events: usize, beside: Option<&Path>) -> anyhow::Result<Filled> {
    let mut filled = Filled { rate: 0.0, turns: Vec::new(), payload: 0, disk: 0, peak_rss_mib: 0.0 };
    let mut large = Growing::begin(dir, events)?;
    let last = beside.map_or(0, |_| TURNS * TURN);
    filled.rate = large.grow(events.saturating_sub(last))?;
    if let Some(beside) = beside {
        let mut small = Growing::begin(beside, TURNS * TURN)?;
        for _ in 0..TURNS {
            filled.turns.push((small.grow(TURN)?, large.grow(TURN)?));
        }
        small.end()?;
    }
    filled.payload = large.payload;
    large.end()?;
    (filled.disk, filled.peak_rss_mib) = (disk_of(dir)?, peak_rss_mib()?);
    Ok(filled)
}

/// A log, and what makes its events.
struct Growing {
    log: Ours,
    maker: Maker,
    payload: u64,
}

impl Growing {
    fn begin(dir: &Path, events: usize) -> anyhow::Result<Self> {
        Ok(Self { log: Ours::open(dir)?, maker: Maker::new(events / EVENTS_PER_RECORD), payload: 0 })
    }

    /// Answers events a second, without the time to make them.
    #[expect(clippy::cast_precision_loss, reason = "counts of events are far below 2^52")]
    fn grow(&mut self, events: usize) -> anyhow::Result<f64> {
        let (mut left, mut spent) = (events, Duration::ZERO);
        while left > 0 {
            let group = self.maker.group(left.min(GROUP))?;
            left -= group.sealed.len();
            self.payload += payload_of(&group);
            let begun = Instant::now();
            self.log.append(&group)?;
            spent += begun.elapsed();
        }
        Ok(events as f64 / spent.as_secs_f64())
    }

    fn end(self) -> anyhow::Result<()> {
        self.log.close()
    }
}

/// Bytes of the events themselves.
pub fn payload_of(group: &Group) -> u64 {
    group.sealed.iter().map(|sealed| sealed.payload().len() as u64).sum()
}

/// Opens the log in `dir` and asks for histories; verifies it, if it is told to.
///
/// # Errors
/// What the log said, or that it is not sound.
#[expect(clippy::cast_precision_loss, reason = "counts of events are far below 2^52")]
pub fn look(dir: &Path, verify: bool) -> anyhow::Result<Looked> {
    let begun = Instant::now();
    let log = Log::open(dir, Options::default())?;
    let open_s = begun.elapsed().as_secs_f64();
    let mut took = histories(&log)?;
    took.sort_by(f64::total_cmp);
    let at = |percent: usize| took.get(took.len() * percent / 100).copied().unwrap_or(f64::NAN);
    let mut verify_rate = None;
    if verify {
        let begun = Instant::now();
        let report = log.verify(|_| {})?;
        anyhow::ensure!(report.is_sound() && report.events == log.head(), "the log is not sound: {report:?}");
        verify_rate = Some(report.events as f64 / begun.elapsed().as_secs_f64());
    }
    let (history_p50_us, history_p99_us) = (at(50), at(99));
    log.close()?;
    Ok(Looked { open_s, history_p50_us, history_p99_us, verify_rate, peak_rss_mib: peak_rss_mib()? })
}

/// Times of whole histories of records in no order, in microseconds.
fn histories(log: &Log) -> anyhow::Result<Vec<f64>> {
    let records = usize::try_from(log.head())? / EVENTS_PER_RECORD;
    let mut random = fastrand::Rng::with_seed(7);
    let mut took = Vec::with_capacity(HISTORIES);
    for _ in 0..HISTORIES {
        let record = Maker::record(random.usize(..records.max(1)))?;
        let begun = Instant::now();
        let history = log.history(&record, 1, LONG)?;
        took.push(begun.elapsed().as_secs_f64() * 1e6);
        anyhow::ensure!(history.iter().all(|(_, event)| event.record == record), "not of {record}");
    }
    Ok(took)
}

/// What the files in a folder take on disk, in bytes.
fn disk_of(dir: &Path) -> anyhow::Result<u64> {
    let mut bytes = 0;
    for entry in std::fs::read_dir(dir)? {
        let entry = entry?;
        let found = entry.metadata()?;
        bytes += if found.is_dir() { disk_of(&entry.path())? } else { found.blocks() * 512 };
    }
    Ok(bytes)
}

/// The most memory this process has had in use so far, in MiB.
fn peak_rss_mib() -> anyhow::Result<f64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).context("no VmHWM")?;
    let kib: f64 = line.trim().trim_end_matches("kB").trim().parse()?;
    Ok(kib / 1024.0)
}
