//! Questions about the past, as a clerk asks them and reads the answers.

use crate::bench::{Bench, Ran, until};
use serde_json::{Value as Json, json};

/// The clerk and the marshal change one permit at once; revoked comes before approved.
pub(crate) fn conflicted() -> (Bench, crate::bench::Sync) {
    // No webhooks are sent here: both changes are found by polls.
    let bench = Bench::with(|yaml| yaml.replace("poll_interval: 1s", "poll_interval: 1h"));
    bench.clerk.seed_records(1, 2);
    let sync = bench.run();
    until("the first load", || bench.marshal.len() == 2);
    until("quiet", || bench.ask(&["status", "--json"]).json()["pending"] == 0);
    let there = bench.marshal.find("P-000002")[0]["id"].as_str().unwrap().to_owned();
    bench.clerk.update("2", &json!({ "status": "revoked", "notes": "a\u{1b}[2Jb" })).unwrap();
    bench.marshal.update(&there, &json!({ "state": "OK" })).unwrap();
    // Both are read before what the one says can be brought to the other.
    far_apart(&bench, 1_000);
    assert_eq!(bench.ask(&["poll", "marshal", "permit"]).code, 0);
    assert_eq!(bench.ask(&["poll", "clerk", "permit"]).code, 0);
    until("the edits", || edits(&bench) >= 2);
    far_apart(&bench, 0);
    until("the decision", || bench.marshal.find("P-000002")[0]["state"] == "REVOKED");
    until("quiet", || bench.ask(&["status", "--json"]).json()["pending"] == 0);
    (bench, sync)
}

/// How long each answer of both systems takes.
fn far_apart(bench: &Bench, ms: u64) {
    for system in [&bench.clerk, &bench.marshal] {
        system.faults(|faults| faults.latency_ms = ms);
    }
}

/// Edits of the record since the first.
fn edits(bench: &Bench) -> usize {
    let listed = bench.ask(&["log", "list", "--record", "clerk:2", "--kind", "edited", "--json"]);
    listed.out.lines().count().saturating_sub(1)
}

fn assert_lines(ran: &Ran, lines: &[&str]) {
    assert_eq!(ran.code, 0, "{ran:?}");
    let mut rest = ran.out.as_str();
    for line in lines {
        let at =
            rest.find(line).unwrap_or_else(|| panic!("{line:?} is missing or out of order in\n{}", ran.out));
        rest = &rest[at..];
    }
    assert!(!ran.out.contains('\u{1b}'), "{:?}", ran.out);
}

#[test]
fn the_running_sync_and_its_log_say_the_same_of_the_past() {
    let (bench, sync) = conflicted();
    let history = bench.ask(&["history", "clerk:2", "--json"]).json();
    let at = history["events"][0]["at"].as_str().unwrap();
    let questions: [&[&str]; 6] = [
        &["explain", "clerk:2", "status", "--at", at, "--json"],
        &["as-of", "clerk:2", at, "--json"],
        &["diff", "clerk:2", "v1", "2100-01-01", "--json"],
        &["diff", "clerk:2", "v0", at, "--json"],
        &["log", "list", "--record", "clerk:2", "--json"],
        &["log", "list", "--kind", "edited", "--kind", "applied", "--reverse", "--limit", "3", "--json"],
    ];
    let live: Vec<Ran> = questions.iter().map(|question| bench.ask(question)).collect();
    assert_eq!(sync.stop().0, 0);
    for (question, live) in questions.iter().zip(live) {
        let stopped = bench.ask(question);
        assert_eq!((live.code, stopped.code), (0, 0), "{question:?}: {live:?}");
        assert_eq!(stopped.out, live.out, "{question:?}");
    }
}

#[test]
fn the_way_of_a_value_reads_like_one() {
    let (bench, _sync) = conflicted();
    let lines = [
        "P-000002",
        "status: revoked",
        "changed without knowing of each other: the first of revoked, denied, approved, pending stands",
        "stands  revoked by clerk",
        "set status to revoked (was pending), v",
        "learnt",
        "BLAKE3 ",
        "lost  approved by marshal",
        "set status to approved (was pending), v",
        "clerk: the change was made there",
        "marshal: it was brought there",
        "to marshal: update status=revoked",
        "marshal took it",
        "its changes",
    ];
    assert_lines(&bench.ask(&["explain", "permit/P-000002", "status"]), &lines);
    let lines = [
        "address",
        "2 Main Street  clerk at 20",
        "status",
        "revoked",
        "stands revoked by clerk",
        "lost approved by marshal",
        "in step",
        "everything",
    ];
    assert_lines(&bench.ask(&["explain", "permit/P-000002"]), &lines);
    let lines = ["from v1 (", "notes (empty) -> a [2Jb", "status pending -> revoked", "clerk set"];
    assert_lines(&bench.ask(&["diff", "permit/P-000002", "1", "now"]), &lines);
    assert_lines(&bench.ask(&["diff", "permit/P-000002", "now", "now"]), &["no field differs"]);
    let before = bench.ask(&["as-of", "permit/P-000002", "2001-01-01"]);
    assert_lines(&before, &["at 2001-01-01 23:59:59.999 hms-sync did not know it yet"]);
    let lines = ["as it stood at 20", "version ", "status", "revoked", "clerk", "in step"];
    assert_lines(&bench.ask(&["as-of", "permit/P-000002", "now"]), &lines);
}

#[test]
fn the_raw_input_of_an_edit_is_what_the_side_showed() {
    let (bench, _sync) = conflicted();
    let found = bench.ask(&["explain", "clerk:2", "status", "--json"]).json();
    let raw = found["stories"][0]["values"][0]["edit"]["raw"].clone();
    let shown: Json = bench.clerk.find("P-000002")[0].clone();
    // Shortest form, keys in order: what serde_json writes.
    let hash = blake3::hash(shown.to_string().as_bytes()).to_hex().to_string();
    assert_eq!(raw, json!(hash), "{shown}");
}

#[test]
fn the_log_is_listed_by_what_is_looked_for() {
    let (bench, sync) = conflicted();
    // A poll that ends between two questions would add to it.
    assert_eq!(sync.stop().0, 0);
    let all = bench.ask(&["log", "list", "--json"]).out;
    let all: Vec<Json> = all.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(all.iter().map(|event| event["seq"].as_u64().unwrap()).eq(1..=all.len() as u64));
    let seqs = |args: &[&str]| {
        let ran = bench.ask(&[&["log", "list", "--json"], args].concat());
        assert_eq!(ran.code, 0, "{ran:?}");
        let seq = |line: &str| serde_json::from_str::<Json>(line).unwrap()["seq"].as_u64().unwrap();
        ran.out.lines().map(seq).collect::<Vec<u64>>()
    };
    let last = all.len() as u64;
    assert_eq!(seqs(&["--last", "2"]), [last - 1, last]);
    assert_eq!(seqs(&["--reverse", "--limit", "2"]), [last, last - 1]);
    assert_eq!(seqs(&["--reverse", "--after", "3"]), [2, 1]);
    assert_eq!(seqs(&["--after", &(last - 1).to_string()]), [last]);
    assert_eq!(seqs(&["--limit", "0"]), [0; 0]);
    let at = all[4]["at"].as_str().unwrap();
    assert_eq!(seqs(&["--to", at]).last().copied().max(Some(5)), seqs(&["--to", at]).last().copied());
    assert!(seqs(&["--from", at]).contains(&5));
    let marshals = seqs(&["--side", "marshal", "--kind", "edited"]);
    let expect = all.iter().filter(|event| event["side"] == "marshal" && event["kind"] == "edited");
    assert_eq!(marshals, expect.map(|event| event["seq"].as_u64().unwrap()).collect::<Vec<_>>());
    let told = bench.ask(&["log", "list", "--field", "status", "--last", "1"]);
    assert_lines(&told, &["P-000002", "status=revoked"]);
    assert_eq!(bench.ask(&["log", "list", "--kind", "unlinked"]).err, "no event fits\n");
}

#[test]
fn a_time_that_is_none_is_told_with_examples() {
    let bench = Bench::new();
    for args in [
        &["as-of", "permit/P-1", "soon"][..],
        &["explain", "permit/P-1", "--at", "25:00"],
        &["diff", "permit/P-1", "v1", "2026-02-30"],
        &["log", "list", "--from", "tomorrow"],
    ] {
        let ran = bench.ask(args);
        assert_eq!(ran.code, 2, "{ran:?}");
        assert!(ran.err.contains("is no time") && ran.err.contains("2 h ago"), "{ran:?}");
    }
    let (bench, _sync) = conflicted();
    let ran = bench.ask(&["log", "list", "--kind", "edit"]);
    assert_eq!(ran.code, 1);
    assert!(ran.err.contains("handler_failed"), "{ran:?}");
}
