//! A sync that runs and one that does not are asked the same, and say the same.

use crate::bench::{Bench, until};
use serde_json::{Value as Json, json};

fn loaded() -> (Bench, crate::bench::Sync) {
    let bench = Bench::new();
    bench.clerk.seed_records(1, 3);
    let sync = bench.run();
    until("the first load", || bench.marshal.len() == 3);
    until("quiet", || bench.ask(&["status", "--json"]).json()["pending"] == 0);
    (bench, sync)
}

#[test]
fn the_log_tells_what_the_running_sync_told() {
    let (bench, sync) = loaded();
    bench.clerk.update("2", &json!({ "status": "approved" })).unwrap();
    until("the edit", || bench.marshal.find("P-000002")[0]["state"] == "OK");
    until("quiet", || bench.ask(&["status", "--json"]).json()["pending"] == 0);
    let questions: [&[&str]; 4] = [
        &["history", "permit/P-000002", "--json"],
        &["explain", "clerk:2", "--json"],
        &["explain", "permit/P-000002", "status", "--json"],
        &["parked", "list", "--json"],
    ];
    let live: Vec<Json> = questions.iter().map(|question| bench.ask(question).json()).collect();
    let events = bench.ask(&["log", "stats", "--json"]).json()["events"].clone();
    let (code, logged) = sync.stop();
    assert_eq!(code, 0, "{logged}");
    assert!(logged.contains("clerk edited status=approved"), "{logged}");
    for (question, live) in questions.iter().zip(live) {
        assert_eq!(bench.ask(question).json(), live, "{question:?}");
    }
    assert_eq!(bench.ask(&["status", "--json"]).json()["running"], "stopped");
    assert!(bench.ask(&["status"]).out.contains("is not running"));
    let sound = bench.ask(&["audit", "verify"]);
    assert!(sound.out.starts_with("sound: "), "{sound:?}");
    assert_eq!(bench.ask(&["log", "stats", "--json"]).json()["events"], events);
    assert!(bench.ask(&["log", "stats"]).out.contains(&format!("{events} events in ")));
    let poll = bench.ask(&["poll", "clerk", "permit"]);
    assert_eq!(poll.code, 1);
    assert!(poll.err.contains("not running"), "{poll:?}");
}

#[test]
fn a_history_reads_like_one() {
    let (bench, sync) = loaded();
    let ran = bench.ask(&["history", "permit/P-000002"]);
    assert_eq!(ran.code, 0, "{ran:?}");
    // Times, ids and the second word of the title differ from run to run.
    let lines: Vec<String> = ran
        .out
        .lines()
        .skip(1)
        .map(|line| {
            let words: Vec<&str> = line.split_whitespace().collect();
            [&words[..1], &words[3..]].concat().join(" ")
        })
        .collect();
    let expect = [
        "v1 edited clerk has it as its 2: address=2 Main Street, applicant=Applicant 2, fee=120.5, permit_no=P-000002, status=pending (poll)",
        "v2 intended to marshal: create address=2 Main Street, fee=120.5, permit_no=P-000002, status=pending",
    ];
    assert_eq!(lines[..2], expect);
    let took = lines.iter().find(|line| line.contains("applied marshal took it (create), as its INS-"));
    assert!(took.is_some(), "{lines:#?}");
    assert!(
        bench.ask(&["history", "permit/P-000002", "--after", "2"]).out.lines().count()
            < ran.out.lines().count()
    );
    drop(sync);
}

#[test]
fn an_unknown_name_is_told_with_how_to_name() {
    let (bench, _sync) = loaded();
    for args in
        [&["history", "permit/none"][..], &["explain", "clerk:99"], &["explain", "permit/P-000001", "colour"]]
    {
        let ran = bench.ask(args);
        assert_eq!(ran.code, 1);
        assert!(ran.err.contains("hint:"), "{ran:?}");
    }
    assert!(bench.ask(&["explain", "permit/P-000001", "colour"]).err.contains("address"));
}

#[test]
fn a_poll_out_of_turn_brings_what_has_changed() {
    let bench = Bench::with(|yaml| yaml.replace("poll_interval: 1s", "poll_interval: 1h"));
    bench.clerk.seed_records(1, 1);
    let _sync = bench.run();
    until("the first load", || bench.marshal.len() == 1);
    bench.clerk.update("1", &json!({ "notes": "seen" })).unwrap();
    assert_eq!(bench.ask(&["poll", "clerk", "permit"]).code, 0);
    until("the edit", || bench.marshal.find("P-000001")[0]["remarks"] == "seen");
    assert_eq!(bench.ask(&["poll", "clerk", "permits"]).code, 1);
}

#[test]
fn things_that_happen_are_told_as_json_lines() {
    use std::io::{BufRead, BufReader};
    let bench = Bench::new();
    bench.clerk.seed_records(1, 1);
    let mut child = crate::bench::command(&["run", &bench.file(), "--events", "--stop-with-stdin", "-q"])
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut seen = lines.map(|line| serde_json::from_str::<Json>(&line.unwrap()).unwrap());
    let delivered = seen.find(|event| event["kind"] == "delivered").expect("a delivery");
    assert_eq!(delivered["side"], "marshal");
    assert_eq!(delivered["operation"], "create");
    assert_eq!(delivered["fields"]["permit_no"], "P-000001");
    drop(child.stdin.take());
    assert!(child.wait().unwrap().success());
}
