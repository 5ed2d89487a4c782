//! `log recover`: a damaged log is left as it is, or put aside; what is lost is said.

use crate::bench::{Bench, Ran};
use hms_sync_changelog::{Log, Options, seal};
use hms_sync_model::{Body, Event, EventId, RecordId, SideName, Time};
use std::fs;

/// Events of a chunk: what one that is destroyed takes along.
const CHUNK: u64 = 12;

/// A log of 400 events of one record on the bench, in packed chunks.
fn fill(bench: &Bench) {
    let log = Log::open(&bench.data(), Options::default()).unwrap();
    let mut prev = EventId::default();
    let events: Vec<_> = (1..=400u64)
        .map(|seq| {
            let record = RecordId::try_new("permit/1").unwrap();
            let side = SideName::try_new("clerk").unwrap();
            let words = format!("{seq:0200}");
            let body = Body::Doubted { side, stale: false, id: None, words, message: None };
            let at = Time(1_700_000_000_000_000 + i64::try_from(seq).unwrap());
            let sealed = seal(&Event { seq, record, version: seq, at, prev, body }).unwrap();
            prev = sealed.id;
            sealed
        })
        .collect();
    log.append(&events).unwrap();
    log.close().unwrap();
    fs::write(bench.data().join("beside"), "of the record").unwrap();
}

/// Destroys a whole chunk in the middle of the database, wherever it lies. Which comes
/// first there is sled's affair: the last one, which is shorter, is never meant.
fn harm(bench: &Bench) {
    let path = bench.data().join("db");
    let mut db = fs::read(&path).unwrap();
    let packed =
        |db: &[u8], at: usize| db[at..].starts_with(b"\xf5hmZ").then(|| db[at + 4..at + 40].to_vec());
    let places: Vec<(usize, Vec<u8>)> =
        (0..db.len() - 60).filter_map(|at| Some((at, packed(&db, at)?))).collect();
    let unpacked = |head: &[u8]| u32::from_be_bytes(head[32..].try_into().unwrap());
    let whole = places.iter().map(|(_, head)| unpacked(head)).max().unwrap();
    let mut heads: Vec<&Vec<u8>> = Vec::new();
    for (_, head) in &places {
        if unpacked(head) == whole && !heads.contains(&head) {
            heads.push(head);
        }
    }
    assert!(heads.len() > 8, "{} chunks", heads.len());
    for (at, _) in places.iter().filter(|(_, head)| head == heads[4]) {
        db[at + 4..at + 60].fill(0);
    }
    fs::write(path, db).unwrap();
}

fn recover(bench: &Bench, more: &[&str]) -> Ran {
    bench.ask(&[&["log", "recover"], more].concat())
}

#[test]
fn what_is_lost_is_said_and_the_damaged_log_stays() {
    let bench = Bench::new();
    fill(&bench);
    harm(&bench);
    let before = fs::read(bench.data().join("db")).unwrap();
    let ran = recover(&bench, &[]);
    assert_eq!(ran.code, 1, "{ran:?}");
    let lost = format!("lost: {CHUNK} events: ");
    for words in ["kept:", &lost, "permit/1 lacks versions ", "was not touched"] {
        assert!(ran.out.contains(words), "{words}: {}", ran.out);
    }
    let lost = format!("{CHUNK} events could not be recovered");
    assert!(ran.err.contains(&lost) && ran.err.contains("hint"), "{}", ran.err);
    assert_eq!(fs::read(bench.data().join("db")).unwrap(), before);
    let again = recover(&bench, &[]);
    assert_eq!(again.code, 5, "{again:?}");
    assert!(again.err.contains("is there already") && again.err.contains("--into"), "{}", again.err);
}

#[test]
fn a_recovered_log_is_used_from_then_on_and_says_what_it_lacks() {
    let bench = Bench::new();
    fill(&bench);
    harm(&bench);
    let ran = recover(&bench, &["--replace", "--json"]);
    assert_eq!(ran.code, 1, "{ran:?}");
    let told: serde_json::Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!((&told["way"], &told["events"]), (&"salvaged".into(), &(400 - CHUNK).into()));
    let lost = &told["lost"][0];
    assert_eq!(lost["last"].as_u64().unwrap() - lost["first"].as_u64().unwrap(), CHUNK - 1);
    let aside = std::path::Path::new(told["damaged_kept_in"].as_str().unwrap()).to_owned();
    assert!(aside.join("db").exists());
    assert_eq!(fs::read_to_string(bench.data().join("beside")).unwrap(), "of the record");
    let verified = bench.ask(&["audit", "verify"]);
    assert_eq!(verified.code, 0, "{verified:?}");
    let lost = format!("but for {CHUNK} events lost in a recovery of 20");
    assert!(verified.out.contains(&lost), "{}", verified.out);
    // The record that lacks events is held, and says why.
    let parked = bench.ask(&["parked", "list"]);
    assert!(parked.out.contains("lost in a recovery"), "{parked:?}");
}

#[test]
fn a_log_that_is_sound_is_copied() {
    let bench = Bench::new();
    fill(&bench);
    let into = bench.folder.path().join("copy");
    let ran = recover(&bench, &["--into", into.to_str().unwrap()]);
    assert_eq!(ran.code, 0, "{ran:?}");
    assert!(ran.out.contains("it opens as it is: 400 events"), "{}", ran.out);
    assert_eq!(Log::open(&into, Options::default()).unwrap().head(), 400);
}

#[test]
fn a_log_that_another_process_has_is_not_recovered() {
    let bench = Bench::new();
    fill(&bench);
    let _theirs = Log::open(&bench.data(), Options::default()).unwrap();
    let ran = recover(&bench, &[]);
    assert_eq!(ran.code, 5, "{ran:?}");
    assert!(ran.err.contains("in use by another process"), "{}", ran.err);
}
