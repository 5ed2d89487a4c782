//! Tests in a configuration: those of the examples hold, and one that does not hold says
//! why; to people, to programs, and to continuous integration.

use crate::bench::{Ran, command};
use std::path::{Path, PathBuf};

const EXAMPLES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/examples");

fn test(file: &Path, args: &[&str]) -> Ran {
    let file = file.display().to_string();
    let args = [&["test", file.as_str()], args].concat();
    let out = command(&args).env("POCKETBASE_TOKEN", "none").output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    Ran { code: out.status.code().unwrap(), out: text(out.stdout), err: text(out.stderr) }
}

/// The permits of the example, changed as is asked.
fn permits(folder: &Path, change: impl Fn(String) -> String) -> PathBuf {
    let yaml = std::fs::read_to_string(format!("{EXAMPLES}/permit-sync.yaml")).unwrap();
    let file = folder.join("permit-sync.yaml");
    std::fs::write(&file, change(yaml)).unwrap();
    file
}

#[test]
fn the_tests_of_every_example_hold() {
    let mut found = 0;
    for folder in [EXAMPLES.to_owned(), format!("{EXAMPLES}/cookbook")] {
        for file in std::fs::read_dir(folder).unwrap() {
            let path = file.unwrap().path();
            if path.extension().is_some_and(|end| end == "yaml") {
                found += 1;
                let ran = test(&path, &[]);
                assert_eq!(ran.code, 0, "{}: {}{}", path.display(), ran.out, ran.err);
                assert!(ran.out.contains(" passed in ") && !ran.out.contains("0 tests"), "{ran:?}");
            }
        }
    }
    assert!(found >= 12, "{found}");
}

#[test]
fn a_test_that_does_not_hold_says_what_came_and_why() {
    let folder = tempfile::tempdir().unwrap();
    let file = permits(folder.path(), |yaml| {
        yaml.replace("[revoked, denied, approved, pending]", "[approved, revoked]")
    });
    let xml = folder.path().join("out.xml");
    let ran = test(&file, &["--junit", &xml.display().to_string(), "the stronger"]);
    assert_eq!(ran.code, 1, "{ran:?}");
    let mut rest = ran.out.as_str();
    for line in [
        "failed permit: the stronger status stands, whoever was first (",
        "permit-sync.yaml:",
        "  merged\n    status  expected revoked\n            found    approved\n            because  precedence; \
         not revoked of clerk",
        "  writes to clerk\n    record  expected nothing\n            found    update status=approved",
        "  writes to marshal\n    status  expected revoked\n            found    not written",
        "  conflicts\n    status  expected edit_edit, by precedence, not approved of marshal\n            found    \
         edit_edit, by precedence, nothing of marshal lost",
        "  what happened\n",
        "clerk",
        "0 tests passed in ",
        ", 7 left out",
    ] {
        let at = rest.find(line).unwrap_or_else(|| panic!("{line:?} is missing in\n{}", ran.out));
        rest = &rest[at..];
    }
    assert!(ran.err.contains("1 test of 1 failed"), "{ran:?}");
    let xml = std::fs::read_to_string(xml).unwrap();
    assert!(xml.contains("<testsuite name=\"PermitSync\" tests=\"1\" failures=\"1\" errors=\"0\""), "{xml}");
    let head = "<testcase classname=\"permit\" name=\"the stronger status stands, whoever was first\"";
    assert!(xml.contains(head), "{xml}");
    assert!(xml.contains("<failure message=\"merged status: expected revoked, found approved\">"), "{xml}");
    let json: serde_json::Value =
        serde_json::from_str(&test(&file, &["--json", "the stronger"]).out).unwrap();
    assert_eq!((&json["passed"], &json["failed"], &json["left_out"]), (&0.into(), &1.into(), &7.into()));
    assert_eq!(json["tests"][0]["mismatches"][0]["found"], "approved");
}

#[test]
fn what_cannot_be_played_says_so_and_only_leaves_the_others_out() {
    let folder = tempfile::tempdir().unwrap();
    let file = permits(folder.path(), |yaml| {
        yaml + "      early:\n        only: true\n        clerk: delete\n        expect: { merged: deleted }\n"
    });
    let ran = test(&file, &[]);
    assert_eq!(ran.code, 1, "{ran:?}");
    assert!(
        ran.out.contains("it could not be played: nobody can delete the record before it is known"),
        "{ran:?}"
    );
    assert!(ran.out.contains(", 8 left out"), "{ran:?}");
    let none = test(&file, &["no such test"]);
    assert!(none.code == 1 && none.err.contains("no test has \"no such test\" in its name"), "{none:?}");
    let bare = permits(folder.path(), |yaml| yaml.split("    tests:").next().unwrap().to_owned());
    let none = test(&bare, &[]);
    assert!(none.code == 1 && none.err.contains("has no tests"), "{none:?}");
    let wrong = permits(folder.path(), |yaml| {
        yaml.replace("clerk:   { status: revoked }", "clerk:   { state: revoked }")
    });
    let wrong = test(&wrong, &[]);
    assert!(wrong.code == 3 && wrong.err.contains("`state` in `clerk` of test"), "{wrong:?}");
}

/// An operator takes a lock off, and it reaches every side.
#[test]
fn an_operator_plays_too() {
    let folder = tempfile::tempdir().unwrap();
    let file = permits(folder.path(), |yaml| {
        let locked = yaml.replace(
            "resolve: [ { precedence: [revoked, denied, approved, pending] }, last_writer_wins ]",
            "locks: [revoked]",
        );
        locked.split("    tests:").next().unwrap().to_owned()
            + "    tests:\n      locked:\n        base: { permit_no: P-1, status: pending }\n        edits:\n          \
               - clerk: { status: revoked }\n          - sync\n          - marshal: { status: approved }\n          \
               - sync\n          - operator: { status: denied }\n        expect:\n          \
               merged: { status: denied }\n          writes: { clerk: { status: denied }, marshal: { status: denied } }\n"
    });
    let ran = test(&file, &[]);
    assert_eq!(ran.code, 0, "{}", ran.out);
    let file = permits(folder.path(), |_| {
        std::fs::read_to_string(&file).unwrap().replace("          - operator: { status: denied }\n", "")
    });
    let ran = test(&file, &[]);
    assert!(ran.out.contains("locked: only a person at hms-sync changes it from here"), "{}", ran.out);
}

/// What a test costs is bounded by what it does: events of a log in memory.
#[test]
fn a_hundred_tests_are_played_while_somebody_waits() {
    let folder = tempfile::tempdir().unwrap();
    let file = permits(folder.path(), |yaml| {
        let (head, tests) = yaml.split_once("    tests:\n").unwrap();
        let one = tests.split("      whoever has seen").next().unwrap();
        let many = (0..100).map(|n| one.replace("the stronger status", &format!("{n} the stronger status")));
        format!("{head}    tests:\n{}", many.collect::<String>())
    });
    // Others may be busy on the machine: the best of a few counts.
    let mut json = test(&file, &["--json"]).json();
    for _ in 0..4 {
        if json["ms"].as_f64().unwrap() < 1_000.0 {
            break;
        }
        json = test(&file, &["--json"]).json();
    }
    assert_eq!((&json["passed"], &json["failed"]), (&100.into(), &0.into()));
    let events: u64 =
        json["tests"].as_array().unwrap().iter().map(|test| test["events"].as_u64().unwrap()).sum();
    assert!(events <= 100 * 40, "{events} events");
    eprintln!("100 tests, {events} events, {} ms", json["ms"]);
    assert!(json["ms"].as_f64().unwrap() < 1_000.0, "{}", json["ms"]);
}
