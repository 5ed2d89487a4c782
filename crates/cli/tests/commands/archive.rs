//! `log archive`: from a running sync the archive alone; with an approval, of a stopped one,
//! the events leave the log, and the sync goes on as if nothing had happened.

use crate::bench::{Bench, Ran, hms_sync, until};
use serde_json::json;
use std::fs;
use std::path::PathBuf;

fn quiet(bench: &Bench) {
    until("quiet", || bench.ask(&["status", "--json"]).json()["pending"] == 0);
}

/// The archive that a run has made.
fn made(ran: &Ran) -> PathBuf {
    assert_eq!(ran.code, 0, "{ran:?}");
    PathBuf::from(ran.json()["archive"].as_str().unwrap())
}

#[test]
fn what_is_dropped_is_archived_first_and_the_sync_goes_on() {
    let bench = Bench::new();
    bench.clerk.seed_records(1, 5);
    let sync = bench.run();
    until("the first load", || bench.marshal.len() == 5);
    quiet(&bench);
    let folder = bench.folder.path().join("archives").display().to_string();
    let archive = |more: &[&str]| {
        bench
            .ask(&[&["log", "archive", "--before", "2999-01-01", "--into", &folder, "--json"], more].concat())
    };
    let drop = ["--drop", "--approved-by", "A. Clerk", "--reason", "file 7"];
    // Of one that runs the archive is made, and nothing is dropped.
    let live = made(&archive(&[]));
    let refused = archive(&drop);
    assert!(refused.code == 1 && refused.err.contains("only while it is stopped"), "{refused:?}");
    for lacking in [&["--drop"][..], &["--drop", "--approved-by", "A. Clerk"], &["--reason", "file 7"]] {
        assert_eq!(archive(lacking).code, 2, "{lacking:?}");
    }
    sync.stop();
    let key = bench.ask(&["audit", "key"]).out.trim().to_owned();
    let ran = hms_sync(&["audit", &live.display().to_string(), "verify", "--key", &key]);
    assert!(ran.code == 0 && ran.out.contains("the archive of events 1 to "), "{ran:?}");
    let (before, explained) = (
        bench.ask(&["as-of", "permit/P-000002", "now", "--json"]).json(),
        bench.ask(&["explain", "permit/P-000002"]),
    );
    let ran = archive(&drop);
    let path = made(&ran);
    assert_eq!(ran.json()["dropped"]["file"], path.file_name().unwrap().to_str().unwrap());
    assert!(!PathBuf::from(&folder).join("archive.unfinished").exists());
    // It is told by every question, and changes no answer about now.
    let after = bench.ask(&["as-of", "permit/P-000002", "now", "--json"]).json();
    assert_eq!((&before["fields"], &before["sides"]), (&after["fields"], &after["sides"]));
    assert_eq!(explained.code, 0);
    let name = path.file_name().unwrap().to_str().unwrap();
    for asked in [
        &["history", "permit/P-000002"][..],
        &["explain", "permit/P-000002"],
        &["log", "list"],
        &["audit", "verify"],
    ] {
        let told = bench.ask(asked);
        assert!(told.code == 0 && format!("{}{}", told.out, told.err).contains(name), "{told:?}");
    }
    let early = bench.ask(&["as-of", "permit/P-000002", "2020-01-01"]);
    assert!(early.code == 1 && early.err.contains("no longer in the change log"), "{early:?}");
    assert!(bench.ask(&["history", "@log/archives"]).out.contains("approved by A. Clerk, file 7"));
    let again = archive(&drop);
    assert_eq!(again.code, 0, "the events that took their place can be archived in turn: {again:?}");
    // A run goes on: nothing is made twice, and changes still go both ways.
    let _sync = bench.run();
    bench.clerk.update("2", &json!({ "status": "approved" })).unwrap();
    until("the edit", || bench.marshal.find("P-000002")[0]["state"] == "OK");
    quiet(&bench);
    assert_eq!((bench.clerk.len(), bench.marshal.len()), (5, 5));
    assert_eq!(bench.ask(&["audit", "verify"]).code, 0);
    assert!(fs::read_to_string(&path).unwrap().starts_with("{\"export\":"));
}

#[test]
fn an_archive_of_before_the_key_was_changed_is_as_good_as_one_of_today() {
    let bench = Bench::new();
    bench.clerk.seed_records(1, 5);
    let sync = bench.run();
    until("the first load", || bench.marshal.len() == 5);
    quiet(&bench);
    sync.stop();
    let folder = bench.folder.path().join("archives").display().to_string();
    let first = bench.ask(&["log", "archive", "--before", "2999-01-01", "--into", &folder, "--json"]);
    let old = made(&first);
    let last = first.json()["last"].to_string();
    let archive = |more: &[&str]| {
        bench.ask(&[&["log", "archive", "--until", &last, "--into", &folder, "--json"], more].concat())
    };
    let bytes = fs::read(&old).unwrap();
    let key = bench.ask(&["audit", "key"]).out;
    assert_eq!(bench.ask(&["audit", "rotate-key", "--reason", "every year"]).code, 0);
    assert_ne!(bench.ask(&["audit", "key"]).out, key);
    assert_eq!(bench.ask(&["audit", "checkpoint"]).code, 0);
    // The one that is there is read back, and kept; its checkpoint is by the old key.
    assert_eq!(made(&archive(&[])), old);
    assert_eq!(fs::read(&old).unwrap(), bytes);
    let ran = archive(&["--drop", "--approved-by", "A. Clerk", "--reason", "file 7"]);
    assert_eq!(made(&ran), old);
    assert_eq!(fs::read(&old).unwrap(), bytes);
    assert_eq!(bench.ask(&["audit", "verify"]).code, 0);
}
