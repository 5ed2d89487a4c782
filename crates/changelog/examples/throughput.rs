//! How many events a second become durable, in groups of several sizes, and how
//! fast they are read again. `cargo run --release -p hms-sync-changelog --example
//! throughput [folder]`; the folder decides which disk is measured.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::cast_precision_loss,
    reason = "a tool for the one who tunes"
)]

use hms_sync_changelog::{Log, Options, Sealed, seal};
use hms_sync_model::{
    Actor, Body, Change, Dot, Edit, Event, EventId, FieldName, RecordId, SideName, Source, Stamp, Time,
    Value, VecMap,
};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

fn main() {
    let base = std::env::args().nth(1).map_or_else(std::env::temp_dir, PathBuf::from);
    println!("{:>7} {:>9} {:>11} {:>11} {:>10}", "group", "events", "events/s", "us/group", "bytes/ev");
    for (group, events) in [(1, 1_000), (16, 10_000), (64, 50_000), (1_024, 300_000)] {
        let dir = tempfile::tempdir_in(&base).unwrap();
        append(dir.path(), group, events);
        if group == 1_024 {
            read(dir.path());
            views(dir.path());
        }
    }
}

fn append(dir: &Path, group: usize, count: usize) {
    let log = Log::open(dir, Options::default()).unwrap();
    let mut spent = Duration::ZERO;
    let mut made = Made { seq: 0, last: vec![(0, EventId::default()); (count / 3).max(1)] };
    for _ in 0..count / group {
        let events: Vec<Sealed> = (0..group).map(|_| made.next()).collect();
        let begun = Instant::now();
        log.append(&events).unwrap();
        spent += begun.elapsed();
    }
    let (rate, each) =
        (made.seq as f64 / spent.as_secs_f64(), spent.as_secs_f64() * 1e6 / (count / group) as f64);
    let bytes = log.stats().bytes / made.seq;
    println!("{group:>7} {:>9} {rate:>11.0} {each:>11.1} {bytes:>10}", made.seq);
    log.close().unwrap();
}

fn read(dir: &Path) {
    let timed = |what: &str, count: u64, begun: Instant| {
        let each = begun.elapsed().as_secs_f64() / count as f64;
        println!("{what:<28} {:>11.0} /s  {:>8.2} us", 1.0 / each, each * 1e6);
    };
    let begun = Instant::now();
    let log = Log::open(dir, Options::default()).unwrap();
    println!("open after close             {:>11.1} ms", begun.elapsed().as_secs_f64() * 1e3);
    let (begun, mut next) = (Instant::now(), 1);
    while let Some((_, last)) = log.events(next, 1_024).unwrap().last() {
        next = last.seq + 1;
    }
    timed("replay", next - 1, begun);
    let begun = Instant::now();
    assert!(log.verify(|_| {}).unwrap().is_sound());
    timed("verify", next - 1, begun);
    let records = log.records(None, 5_000).unwrap();
    let begun = Instant::now();
    for record in &records {
        log.last(record).unwrap();
    }
    timed("last of a record", records.len() as u64, begun);
    let event = made_event(1, 7, 1, EventId::default());
    let begun = Instant::now();
    for _ in 0..100_000 {
        std::hint::black_box(seal(&event).unwrap());
    }
    timed("seal", 100_000, begun);
}

fn views(dir: &Path) {
    let log = Log::open(dir, Options::default()).unwrap();
    let key = |n: u64| format!("rpermit/{:013x}", n.wrapping_mul(0x9e37_79b9_7f4a_7c15)).into_bytes();
    let begun = Instant::now();
    for page in 0..100 {
        let changes: std::collections::BTreeMap<_, _> =
            (page * 1_000..(page + 1) * 1_000).map(|n| (key(n), Some(vec![7; 400]))).collect();
        log.save_views(&changes, log.head()).unwrap();
    }
    println!("save views                   {:>11.0} /s", 1e5 / begun.elapsed().as_secs_f64());
    let begun = Instant::now();
    for n in 0..100_000 {
        assert!(log.view(&key(n * 7 % 100_000)).unwrap().is_some());
    }
    println!("view                         {:>11.0} /s", 1e5 / begun.elapsed().as_secs_f64());
    let grown = log.stats().bytes;
    for round in 0..50u8 {
        for page in 0..20 {
            let changes: std::collections::BTreeMap<_, _> =
                (page * 1_000..(page + 1) * 1_000).map(|n| (key(n), Some(vec![round; 400]))).collect();
            log.save_views(&changes, log.head()).unwrap();
        }
    }
    println!("1,000,000 rewritten views grew the file by {} KB", (log.stats().bytes - grown) / 1_024);
}

struct Made {
    seq: u64,
    /// Version and id of each record's last event.
    last: Vec<(u64, EventId)>,
}

impl Made {
    fn next(&mut self) -> Sealed {
        self.seq += 1;
        let n =
            usize::try_from(self.seq.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 20).unwrap() % self.last.len();
        let last = self.last.get_mut(n).unwrap();
        let sealed = seal(&made_event(self.seq, n, last.0 + 1, last.1)).unwrap();
        *last = (sealed.version, sealed.id);
        sealed
    }
}

/// An edit of two fields, about 300 bytes.
fn made_event(seq: u64, n: usize, version: u64, prev: EventId) -> Event {
    let actor = Actor::side(SideName::try_new("clerk").unwrap());
    let change = |name: &str, after: &str| {
        (FieldName::try_new(name).unwrap(), Change { before: Value::Absent, after: after.into() })
    };
    let words = "An applicant asked for the hall to be open until midnight on both days";
    let changes: VecMap<_, _> = [change("status", "approved"), change("notes", words)].into_iter().collect();
    let edit = Edit {
        generation: 0,
        dot: Dot { actor: actor.clone(), n: version },
        context: [(actor, version.saturating_sub(1))].into_iter().collect(),
        but: VecMap::new(),
        changes,
        deletes: false,
        stamp: Stamp::at(Time(1_700_000_000_000_000)),
        certain: true,
    };
    let id = hms_sync_model::NativeId::try_new(format!("{n}")).ok();
    let tag = hms_sync_model::Tag::try_new(format!("W/\"{version}\"")).ok();
    let body = Body::Edited { edit, id, tag, source: Source::Page, raw: None };
    let record = RecordId::try_new(format!("permit/{:013x}", n.wrapping_mul(0x9e37_79b9_7f4a_7c15))).unwrap();
    Event { seq, record, version, at: Time(1_700_000_000_000_000), prev, body }
}
