//! What auditors are handed, from a sync that runs and from one that does not, and what
//! they find when it was changed.

use crate::bench::{Bench, Ran, hms_sync, until};
use serde_json::json;
use std::fs;
use std::path::PathBuf;

/// A sync that has loaded some records.
fn loaded(change: impl FnOnce(String) -> String) -> (Bench, crate::bench::Sync) {
    let bench = Bench::with(change);
    bench.clerk.seed_records(1, 5);
    let sync = bench.run();
    until("the first load", || bench.marshal.len() == 5);
    until("quiet", || bench.ask(&["status", "--json"]).json()["pending"] == 0);
    (bench, sync)
}

fn named(yaml: String) -> String {
    format!("{yaml}\naudit: {{ origin: log.example/permits, every: 1h }}\n")
}

impl Bench {
    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn export(&self, name: &str, args: &[&str]) -> String {
        let path = self.path(name).display().to_string();
        let ran = self.ask(&[&["audit", "export", "--out", &path], args].concat());
        assert_eq!(ran.code, 0, "{ran:?}");
        path
    }

    fn key(&self) -> String {
        self.ask(&["audit", "key"]).out.trim().to_owned()
    }

    /// A checkpoint kept elsewhere.
    fn checkpoint(&self, name: &str) -> String {
        let note = self.ask(&["audit", "checkpoint", "--json"]).json()["note"].as_str().unwrap().to_owned();
        fs::write(self.path(name), note).unwrap();
        self.path(name).display().to_string()
    }
}

fn verify(export: &str, args: &[&str]) -> Ran {
    hms_sync(&[&["audit", export, "verify"], args].concat())
}

#[test]
fn an_export_verifies_offline_whoever_made_it_and_a_changed_one_does_not() {
    let (bench, sync) = loaded(named);
    let old = bench.checkpoint("old.note");
    let (key, record) = (bench.key(), "permit/P-000002");
    assert!(key.starts_with("log.example/permits+"), "{key}");
    bench.clerk.update("2", &json!({ "status": "approved" })).unwrap();
    until("the edit", || bench.marshal.find("P-000002")[0]["state"] == "OK");
    until("quiet", || bench.ask(&["status", "--json"]).json()["pending"] == 0);
    let mut exports = Vec::new();
    for name in ["live", "stopped"] {
        exports.push((bench.export(&format!("{name}.whole"), &[]), "all "));
        exports.push((
            bench.export(&format!("{name}.record"), &["--record", record]),
            "the whole history of permit/",
        ));
        let part = ["--side", "marshal", "--field", "status", "--from", "2020-01-01", "--to", "2999-01-01"];
        exports.push((bench.export(&format!("{name}.part"), &part), "a part of the log"));
        if name == "live" {
            // From here on the log answers itself.
            sync_stop(&bench);
        }
    }
    drop(sync);
    for (export, words) in &exports {
        let ran = verify(export, &["--key", &key, "--checkpoint", &old]);
        assert_eq!(ran.code, 0, "{ran:?}");
        assert!(ran.out.starts_with("sound: ") && ran.out.contains(words), "{ran:?}");
        assert!(ran.out.contains("continues the checkpoint of"), "{ran:?}");
        assert_eq!(ran.out.contains("not proven"), words.contains("part"), "{ran:?}");
        let without = verify(export, &[]);
        assert!(
            without.code == 0 && without.out.contains("not proven: that this is a history of"),
            "{without:?}"
        );
        let lines = fs::read_to_string(export).unwrap().replacen("\"version\":", "\"version\":9", 1);
        fs::write(bench.path("changed"), lines).unwrap();
        let changed = verify(&bench.path("changed").display().to_string(), &["--key", &key]);
        assert_eq!(changed.code, 1);
        assert!(changed.err.contains("not as it was written: entry "), "{changed:?}");
        assert!(changed.err.contains("what is shown as \"version\""), "{changed:?}");
    }
    // The live one and the stopped one say the same of the record.
    let entries = |path: &str| -> Vec<String> {
        fs::read_to_string(path)
            .unwrap()
            .lines()
            .filter(|l| l.starts_with("{\"entry\""))
            .map(|l| l.split("\"proof\"").next().unwrap().to_owned())
            .collect()
    };
    assert_eq!(entries(&exports[1].0), entries(&exports[4].0));
    let whole = verify(&exports[0].0, &["--key", &key, "--record", record]);
    assert!(whole.err.contains("is not the whole history of"), "{whole:?}");
}

/// Has the running sync end by itself, as an operator would.
fn sync_stop(bench: &Bench) {
    let access: serde_json::Value =
        serde_json::from_slice(&fs::read(bench.data().join("management.json")).unwrap()).unwrap();
    let pid = access["pid"].to_string();
    assert!(std::process::Command::new("kill").args(["-INT", &pid]).status().unwrap().success());
    until("the sync to let go of its log", || bench.ask(&["status", "--json"]).out.contains("\"stopped\""));
}

#[test]
fn the_live_store_continues_what_others_were_shown_and_says_so() {
    let (bench, sync) = loaded(named);
    let (old, key) = (bench.checkpoint("old.note"), bench.key());
    for _ in 0..2 {
        let ran = bench.ask(&["audit", "verify", "--key", &key, "--checkpoint", &old]);
        assert_eq!(ran.code, 0, "{ran:?}");
        assert!(ran.out.contains("continues 1 checkpoint from elsewhere"), "{ran:?}");
        assert!(!ran.out.contains("not proven"), "{ran:?}");
        let alone = bench.ask(&["audit", "verify"]);
        assert!(alone.out.contains("not proven: ") && alone.out.contains("on record"), "{alone:?}");
        if bench.ask(&["status", "--json"]).json()["running"] == "live" {
            sync_stop(&bench);
        }
    }
    drop(sync);
    let keyless = bench.ask(&["audit", "verify", "--checkpoint", &old]);
    assert!(keyless.code == 1 && keyless.err.contains("without the key"), "{keyless:?}");
    let junk = bench.ask(&["audit", "verify", "--key", "junk"]);
    assert!(junk.code == 1 && junk.err.contains("is no verifier key"), "{junk:?}");
}

#[test]
fn a_restored_copy_is_named_and_signs_again_only_under_a_new_origin() {
    let (bench, sync) = loaded(|yaml| yaml);
    assert_eq!(sync.stop().0, 0);
    let first = bench.checkpoint("first.note");
    let key = bench.key();
    // A copy of the log as it is; then the sync goes on.
    copy(&bench.data(), &bench.path("backup"));
    let sync = bench.run();
    bench.clerk.update("1", &json!({ "status": "approved" })).unwrap();
    until("the edit", || bench.marshal.find("P-000001")[0]["state"] == "OK");
    let later = bench.checkpoint("later.note");
    assert_eq!(sync.stop().0, 0);
    // The copy comes back; what was signed stays.
    let audit = bench.path("audit.kept");
    fs::rename(bench.data().join("audit"), &audit).unwrap();
    fs::remove_dir_all(bench.data()).unwrap();
    fs::rename(bench.path("backup"), bench.data()).unwrap();
    fs::remove_dir_all(bench.data().join("audit")).unwrap();
    fs::rename(&audit, bench.data().join("audit")).unwrap();
    let refused = bench.ask(&["audit", "checkpoint"]);
    assert!(refused.code == 1 && refused.err.contains("an old copy was restored"), "{refused:?}");
    assert!(bench.ask(&["audit", "export"]).err.contains("an old copy was restored"));
    let found = bench.ask(&["audit", "verify", "--key", &key, "--checkpoint", &later]);
    assert!(found.code == 5 && found.err.contains("it is missing: there is a checkpoint of"), "{found:?}");
    // The sync runs all the same, and says what is wrong.
    let sync = bench.run();
    until("the break to be told", || bench.ask(&["status"]).out.contains("no checkpoint is signed: "));
    let ran = bench.ask(&["audit", "new-origin", "--reason", "the disk was lost"]);
    assert_eq!(ran.code, 0, "{ran:?}");
    let status = bench.ask(&["status"]).out;
    assert!(status.contains("last checkpoint: ") && !status.contains("no checkpoint"), "{status}");
    assert_ne!(bench.key(), key);
    let history = bench.ask(&["history", "@log/keys", "--json"]).json();
    let events = history["events"].as_array().unwrap();
    assert_eq!(events.len(), 2);
    assert_eq!(events[1]["detail"]["words"], "the disk was lost");
    assert!(events[1]["detail"]["last"].as_str().unwrap().contains(key.split('+').next().unwrap()));
    // What was shown before the break is still a beginning of this log.
    let ran = bench.ask(&["audit", "verify", "--key", &key, "--checkpoint", &first]);
    assert_eq!(ran.code, 0, "{ran:?}");
    drop(sync);
}

fn copy(from: &std::path::Path, to: &std::path::Path) {
    fs::create_dir(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let there = to.join(path.file_name().unwrap());
        if path.is_dir() { copy(&path, &there) } else { assert!(fs::copy(&path, &there).is_ok()) }
    }
}

#[test]
fn a_rotated_key_is_on_record_and_old_checkpoints_stay_good() {
    let (bench, sync) = loaded(named);
    let (old, before) = (bench.checkpoint("old.note"), bench.key());
    let ran = bench.ask(&["audit", "rotate-key", "--reason", "every year"]);
    assert_eq!(ran.code, 0, "{ran:?}");
    let after = bench.key();
    assert!(after != before && ran.out.trim() == after);
    let export = bench.export("whole", &[]);
    let both = verify(&export, &["--key", &after, "--key", &before, "--checkpoint", &old]);
    assert_eq!(both.code, 0, "{both:?}");
    let alone = verify(&export, &["--key", &before]);
    assert!(alone.code == 1 && alone.err.contains("not to be believed"), "{alone:?}");
    drop(sync);
    // No secret is shown anywhere.
    let secret = fs::read_to_string(bench.data().join("audit/key")).unwrap();
    // `PRIVATE+KEY+name+id+base64`, and base64 may have a `+` of its own.
    let secret = secret.trim().splitn(5, '+').last().unwrap();
    assert_eq!(secret.len(), 44, "the whole of it");
    assert!(!fs::read_to_string(&export).unwrap().contains(secret));
}

#[test]
fn an_export_is_never_written_over_a_file() {
    let (bench, sync) = loaded(named);
    let out = bench.export("there", &[]);
    let again = bench.ask(&["audit", "export", "--out", &out]);
    assert!(again.code == 1 && again.err.contains("is there already"), "{again:?}");
    let nobody = bench.ask(&["audit", "export", "--record", "permit/none"]);
    assert!(nobody.code == 1 && nobody.err.contains("no record goes by the name"), "{nobody:?}");
    let soon = bench.ask(&["audit", "export", "--from", "soon"]);
    assert!(soon.code == 1 && soon.err.contains("is no time"), "{soon:?}");
    drop(sync);
}

/// The key of a witness that nobody is.
const WITNESS: &str = "witness.example/w+bbabb70a+BNdamAGCsQq31Uv+08lkBzoO4XLz2qYjJa8CGmj3B1Ea";

#[test]
fn a_witness_that_is_away_or_never_answers_holds_nothing_up() {
    let nobody = |port: std::net::TcpListener| port.local_addr().unwrap();
    // Who connects to the first waits for ever; to the second nobody can.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let away = nobody(std::net::TcpListener::bind("127.0.0.1:0").unwrap());
    for at in [silent.local_addr().unwrap(), away] {
        let (bench, sync) = loaded(|yaml| {
            let witness = format!("{{ key: \"{WITNESS}\", url: \"http://{at}\" }}");
            format!("{yaml}\naudit: {{ every_events: 1, witnesses: [{witness}] }}\n")
        });
        bench.clerk.update("2", &json!({ "status": "approved" })).unwrap();
        until("the edit", || bench.marshal.find("P-000002")[0]["state"] == "OK");
        // The log's own checkpoints go on, with its signature alone.
        let size = || bench.ask(&["status", "--json"]).json()["audit"]["size"].as_u64();
        let before = size();
        bench.clerk.update("3", &json!({ "status": "approved" })).unwrap();
        until("another checkpoint", || size() > before);
        if at == away {
            until("it to be told", || bench.ask(&["status"]).out.contains("witness.example/w"));
        }
        assert_eq!(sync.stop().0, 0);
    }
}

#[test]
fn keys_of_the_wrong_kind_and_checkpoints_of_another_log_are_told() {
    let (bench, sync) = loaded(named);
    let (other, theirs) = loaded(|yaml| yaml);
    let (key, export, foreign) = (bench.key(), bench.export("whole", &[]), other.checkpoint("foreign.note"));
    let (file, foreign_key) = (bench.file(), other.key());
    let cut = bench.path("cut.note").display().to_string();
    let note = fs::read_to_string(&foreign).unwrap();
    fs::write(&cut, &note[..note.len() / 2]).unwrap();
    let secret = fs::read_to_string(bench.data().join("audit/key")).unwrap();
    for what in [&export, &file] {
        for (args, words) in [
            (vec!["--key", WITNESS], "is the key of a witness, not of a log"),
            (vec!["--key", secret.trim()], "is no verifier key"),
            (vec!["--key", &foreign_key], "the key that was given is of"),
            (vec!["--key", &key, "--key", &foreign_key], "keys of two logs"),
            (vec!["--key", &key, "--checkpoint", &foreign], "is not one of this log"),
            (vec!["--key", &key, "--checkpoint", &cut], "is not one of this log"),
            (vec!["--key", &key, "--checkpoint", "/nowhere/it.note"], "/nowhere/it.note"),
        ] {
            let ran = verify(what, &args);
            assert_ne!(ran.code, 0, "{ran:?}");
            assert!(ran.err.contains(words), "{args:?}: {words}: {ran:?}");
            assert!(!ran.err.contains("panicked") && !ran.err.contains(secret.trim()), "{ran:?}");
        }
    }
    drop((sync, theirs));
}

/// Names that nobody has are told in a line, whatever they are.
#[test]
fn a_name_of_any_length_and_letters_is_answered_in_words() {
    let (bench, sync) = loaded(|yaml| yaml);
    let long = format!("permit/{}", "x".repeat(64 << 10));
    for live in [true, false] {
        names(&bench, &long);
        if live {
            sync_stop(&bench);
        }
    }
    drop(sync);
}

fn names(bench: &Bench, long: &str) {
    for name in [long, "permit/水🚒", "permit/e\u{301}", "permit/\u{1}\u{7f}", "", " ", "../../etc"] {
        for command in ["history", "explain"] {
            let ran = bench.ask(&[command, name]);
            assert_eq!(ran.code, 1, "{ran:?}");
            let words = if name.len() > 4_096 {
                "the name of a record has 4096 bytes at most, this one has 65543"
            } else {
                "no record goes by the name"
            };
            assert!(ran.err.contains(words), "{:.300}", ran.err);
            assert!(ran.err.len() < 2_000, "{} bytes of words", ran.err.len());
            assert!(!ran.err.contains('\u{1}'), "{:?}", ran.err);
        }
    }
}
