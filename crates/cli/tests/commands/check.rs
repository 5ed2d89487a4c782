//! `check`: every mistake with its place, every side asked, nothing written.

use crate::bench::{Bench, Ran, hms_sync};
use hms_sync_doubles::Down;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;

const BROKEN: &str = "\
sync: PermitSync
data_dir: ./permit-sync
sides:
  clerk:
    connector: http
    url: http://127.0.0.1:1
    time_out: 30s
  marshal:
    connector: smoke-signals
collections:
  permit:
    identity: [permit_no]
    sides:
      clerk: { read: { path: /permits, poll_interval: often } }
      marshall: { read: { path: /inspections } }
    fields:
      permit_no: { type: strnig, clerk: permit_no }
";

#[test]
fn every_mistake_is_shown_with_its_place_and_a_hint() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("sync.yaml");
    std::fs::write(&file, BROKEN).unwrap();
    let file = file.display().to_string();
    for command in [&["check", &file][..], &["run", &file], &["status", &file]] {
        let Ran { code, out, err } = hms_sync(command);
        assert_eq!((code, out.as_str()), (3, ""), "{err}");
        insta::allow_duplicates! {
            insta::assert_snapshot!(err.replace(&file, "sync.yaml"));
        }
    }
    let left: Vec<_> =
        std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left, ["sync.yaml"]);
}

const PLANS: &str = "\
sync: Plans
data_dir: ./plans
collections:
  plan:
    identity: [title]
    sides:
      drafts: { read: { path: /a } }
      office: { read: { path: /b }, create: { method: POST, path: /b }, update: { method: PUT, path: '/b/{{ id }}' } }
    fields:
      title: { type: text, drafts: { path: title, direction: from_side }, office: title }
      rank: { type: integer, drafts: { path: rank, direction: from_side } }
";

/// A side whose one record shows another `rank` in each answer.
fn shaky() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for (n, stream) in listener.incoming().enumerate() {
            let mut stream = stream.unwrap();
            let mut asked = BufReader::new(stream.try_clone().unwrap()).lines();
            while asked.next().is_some_and(|line| line.is_ok_and(|line| !line.is_empty())) {}
            let body = format!("[{{\"id\":\"1\",\"title\":\"Plan\",\"rank\":{n}}}]");
            let length = body.len();
            let head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close";
            // Whoever asked may have gone.
            let _gone = write!(stream, "{head}\r\nContent-Length: {length}\r\n\r\n{body}");
        }
    });
    url
}

#[test]
fn what_a_side_shows_otherwise_each_time_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("sync.yaml");
    let yaml = format!(
        "{PLANS}sides:\n  drafts: {{ connector: http, url: \"{}\" }}\n  office: {{ connector: http, url: \"{}\" }}\n",
        shaky(),
        shaky()
    );
    std::fs::write(&file, yaml).unwrap();
    let ran = hms_sync(&["check", &file.display().to_string(), "--json"]);
    assert_eq!(ran.code, 0, "{} {}", ran.out, ran.err);
    let found = ran.json();
    let warned = |side: &str| {
        let of = found["sides"].as_array().unwrap().iter().find(|of| of["side"] == side).unwrap();
        of["warnings"].to_string().contains("field `rank` of record 1 differs between two reads")
    };
    assert!(warned("drafts") && !warned("office"), "{found}");
}

/// A place, or a cursor, that no record has is misspelt, most likely; what is there is told.
#[test]
fn what_no_record_has_is_told() {
    let bench = Bench::with(|yaml| {
        yaml.replace("clerk: notes", "clerk: ntoes")
            .replace("cursor_field: updated_at", "cursor_field: updatedat")
    });
    bench.clerk.seed_records(1, 3);
    let json = bench.ask(&["check", "--json"]).json();
    let warnings = json["sides"][0]["warnings"].to_string();
    for told in [
        "none of the 3 records that were read has `ntoes` (field `notes`); the first has ",
        "none of the 3 records that were read has `updatedat` (`cursor_field`): every poll would read everything",
    ] {
        assert!(warnings.contains(told), "{warnings}");
    }
    assert!(warnings.contains("permit_no"), "{warnings}");
    assert!(!json["sides"][1]["warnings"].to_string().contains("records that were read"), "{json}");
}

/// What is found, with the time of a read taken out.
fn steady(text: &str) -> String {
    let words = text.split(' ').collect::<Vec<_>>();
    let number = |i: usize| words.get(i + 1).is_some_and(|next| next.starts_with("ms"));
    let steady = words.iter().enumerate().map(|(i, word)| if number(i) { "N" } else { word });
    steady.collect::<Vec<_>>().join(" ")
}

#[test]
fn both_sides_answer_and_nothing_is_written() {
    let bench = Bench::new();
    bench.clerk.seed_records(1, 2);
    bench.marshal.seed_records(1, 1);
    let ran = bench.ask(&["check"]);
    assert_eq!((ran.code, ran.err.as_str()), (0, ""), "{}", ran.out);
    insta::assert_snapshot!(steady(&ran.out.replace(&bench.file(), "sync.yaml")));
    assert!(!bench.data().exists(), "the data folder was made");
    assert!(bench.clerk.effects().is_empty() && bench.marshal.effects().is_empty());
    let json = bench.ask(&["check", "--json"]).json();
    assert_eq!(json["sides"][0]["answers"], true);
    assert_eq!(json["sides"][0]["version_tags"], true);
    assert_eq!(json["sides"][1]["version_tags"], false);
}

#[test]
fn a_side_that_is_away_is_named() {
    let bench = Bench::new();
    bench.marshal.faults(|faults| faults.down = Some(Down::Refused));
    let ran = bench.ask(&["check"]);
    assert_eq!(ran.code, 4, "{ran:?}");
    assert!(ran.out.contains("ok clerk permit"), "{}", ran.out);
    assert!(ran.out.contains("FAIL marshal permit: "), "{}", ran.out);
    assert!(ran.err.contains("1 place of 2"), "{}", ran.err);
    let json = bench.ask(&["check", "--json"]);
    assert_eq!(json.code, 4);
    let report: serde_json::Value = serde_json::from_str(&json.out).unwrap();
    assert_eq!(report["sides"][1]["answers"], false);
}

#[test]
fn a_side_that_does_not_let_us_in_is_named() {
    let bench = Bench::with(|yaml| yaml.replace("api_token: demo", "api_token: wrong"));
    let ran = bench.ask(&["check"]);
    assert_eq!(ran.code, 4);
    assert!(ran.out.contains("FAIL clerk permit: ") && ran.out.contains("401"), "{}", ran.out);
    assert!(!ran.out.contains("wrong") && !ran.err.contains("wrong"), "the token was shown");
}

#[test]
fn the_example_is_right_and_checking_it_makes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let example = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/examples/permit-sync.yaml");
    let mut check = crate::bench::command(&["check", example]);
    check.current_dir(folder.path());
    for side in ["CLERK_URL", "MARSHAL_URL"] {
        check.env(side, "http://127.0.0.1:1");
    }
    let ran = Ran::of(check.output().unwrap());
    assert_eq!(ran.code, 4, "{ran:?}");
    assert!(ran.out.contains("PermitSync is right"), "{}", ran.out);
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}
