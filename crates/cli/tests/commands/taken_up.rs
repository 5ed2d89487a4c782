//! `log take-up`: a record that is held after a recovery goes on from what its sides show,
//! and history, explain and verify say what happened.

use crate::bench::{Bench, Ran, until};
use hms_sync_doubles::Double;
use serde_json::{Value as Json, json};
use std::fs;

/// Stands in events that are to be lost, and cannot be made shorter by compression.
const LOST: &str = "q8Zr3Kx0vT7mWp2LsYb9";
const NAME: &str = "permit/P-000001";

fn notes(bench: &Bench) -> Json {
    bench.marshal.find("P-000001")[0]["remarks"].clone()
}

fn id_of(side: &Double) -> String {
    match &side.records()[0]["id"] {
        Json::String(id) => id.clone(),
        id => id.to_string(),
    }
}

/// The clerk edits its one record, and the marshal gets it.
fn brought(bench: &Bench, words: &str) {
    let id = id_of(&bench.clerk);
    bench.clerk.update(&id, &json!({ "notes": words })).unwrap();
    until(words, || notes(bench) == words);
    // Its outcome is in the log, too.
    until("the outcome", || {
        let history = bench.ask(&["history", NAME, "--json"]).out;
        history.matches("\"applied\"").count() > history.matches("\"intended\"").count() / 2
            && bench.ask(&["status", "--json"]).json()["pending"] == 0
    });
}

/// A record of three edits, of which the second and what came of it are lost.
fn held() -> Bench {
    let bench = Bench::new();
    bench.clerk.seed_records(1, 1);
    let sync = bench.run();
    until("it to arrive", || bench.marshal.len() == 1);
    brought(&bench, LOST);
    brought(&bench, "the third");
    assert_eq!(sync.stop().0, 0);
    let path = bench.data().join("db");
    let mut db = fs::read(&path).unwrap();
    let found: Vec<usize> =
        (0..db.len() - LOST.len()).filter(|at| db[*at..].starts_with(LOST.as_bytes())).collect();
    found.into_iter().for_each(|at| db[at..at + LOST.len()].fill(0));
    fs::write(path, db).unwrap();
    let ran = bench.ask(&["log", "recover", "--replace"]);
    assert_eq!(ran.code, 1, "{ran:?}");
    // Another tree than was signed: a person begins a new history in the open.
    let ran = bench.ask(&["audit", "new-origin", "--reason", "disk 7"]);
    assert_eq!(ran.code, 0, "{ran:?}");
    bench
}

fn take_up(bench: &Bench, more: &[&str]) -> Ran {
    bench.ask(&[&["log", "take-up", NAME, "--by", "jo", "--reason", "disk 7"], more].concat())
}

#[test]
fn a_held_record_is_taken_up_and_every_question_says_so() {
    let bench = held();
    let list = bench.ask(&["parked", "list"]).out;
    assert!(list.contains("lost in a recovery") && list.contains("log FILE take-up permit/"), "{list}");
    let id = id_of(&bench.marshal);
    bench.marshal.update(&id, &json!({ "remarks": "while it was held" })).unwrap();
    let effects = (bench.clerk.effects().len(), bench.marshal.effects().len());
    let ran = take_up(&bench, &[]);
    assert_eq!(ran.code, 0, "{ran:?}");
    let said = "when the sync runs it is read from clerk, marshal, and only then anything is sent";
    assert!(ran.out.starts_with("taken up: P-000001 (version ") && ran.out.contains(said), "{}", ran.out);
    assert_eq!(bench.ask(&["parked", "list"]).out, "nothing is parked\n");
    let record = bench.ask(&["explain", NAME]).out;
    assert!(record.contains("to be read first"), "{record}");
    let sync = bench.run();
    let same = || bench.clerk.records()[0]["notes"] == notes(&bench);
    until("both to be the same", || same() && bench.ask(&["status", "--json"]).json()["pending"] == 0);
    let history = bench.ask(&["history", NAME]).out;
    let words = "jo had it taken up from what its sides show, without the events that are lost: disk 7; to be read \
                 first: clerk, marshal";
    assert!(history.contains("taken_up") && history.contains(words), "{history}");
    let kinds = bench.ask(&["log", "list", "--kind", "taken_up"]).out;
    assert_eq!(kinds.lines().count(), 1, "{kinds}");
    let explained = bench.ask(&["explain", NAME, "status"]).out;
    assert!(explained.contains("since it was taken up"), "{explained}");
    // The clerk was brought in step, once; and the marshal got the fee, which it does not show.
    let after = (bench.clerk.effects().len(), bench.marshal.effects().len());
    assert_eq!(after, (effects.0 + 1, effects.1 + 1));
    let verified = bench.ask(&["audit", "verify"]);
    assert!(verified.code == 0 && verified.out.contains("lost in a recovery of 20"), "{verified:?}");
    // It goes its way again.
    brought(&bench, "the fifth");
    assert_eq!(sync.stop().0, 0);
}

#[test]
fn a_running_sync_takes_one_up_at_once() {
    let bench = held();
    let sync = bench.run();
    let done = take_up(&bench, &["--json"]).json();
    assert_eq!(done["title"], "P-000001");
    until("it to be read", || bench.ask(&["status", "--json"]).json()["pending"] == 0);
    brought(&bench, "the fourth");
    let again = take_up(&bench, &[]);
    assert_eq!(again.code, 1, "{again:?}");
    assert!(again.err.contains("is not held") && again.err.contains("parked FILE list"), "{}", again.err);
    let nobody = bench.ask(&["log", "take-up", "permit/P-9", "--reason", "disk 7"]);
    assert_eq!(nobody.code, 1, "{nobody:?}");
    let blank = bench.ask(&["log", "take-up", NAME, "--reason", " "]);
    assert!(blank.code == 1 && blank.err.contains("needs a reason"), "{blank:?}");
    assert_eq!(sync.stop().0, 0);
}
