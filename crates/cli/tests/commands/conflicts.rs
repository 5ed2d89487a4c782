//! A conflict is looked at and decided by people: while the sync runs, and from its log.

use crate::asking::conflicted;
use crate::bench::{Bench, until};

/// What both systems hold of the permit.
fn states(bench: &Bench) -> (String, String) {
    let text = |of: &serde_json::Value| of.as_str().unwrap().to_owned();
    let (clerk, marshal) = (bench.clerk.find("P-000002"), bench.marshal.find("P-000002"));
    (text(&clerk[0]["status"]), text(&marshal[0]["state"]))
}

#[test]
fn people_see_a_conflict_and_have_the_last_word() {
    let (bench, sync) = conflicted();
    until("all sides to agree", || bench.ask(&["conflicts", "list", "--json"]).out == "[]\n");
    assert!(bench.ask(&["conflicts", "list"]).out.contains("--all shows those that have ended"));
    assert!(bench.ask(&["status"]).out.contains("0 conflicts open and 0 decided"));
    let all = bench.ask(&["conflicts", "list", "--all", "--field", "status"]).out;
    assert!(all.contains("P-000002") && all.contains("edit_edit, ended"), "{all}");
    assert!(all.contains("approved of marshal"), "what lost is told: {all}");
    let shown = bench.ask(&["conflicts", "show", "permit/P-000002", "status"]);
    for line in [
        "status: edit_edit, ended",
        "precedence: changed without knowing of each other",
        "before    pending",
        "stands    revoked by clerk at 20",
        "loser 1   approved by marshal at 20",
        "had not yet seen",
        "noted that all sides agree",
    ] {
        assert!(shown.out.contains(line), "{line:?} is missing in {shown:?}");
    }
    let version = bench.ask(&["conflicts", "show", "clerk:2", "--json"]).json()["version"].to_string();

    let why = ["--reason", "file 7", "--by", "ann"];
    let restored =
        bench.ask(&[&["conflicts", "restore", "clerk:2", "status", "--loser", "1"], &why[..]].concat());
    assert!(
        restored.out.contains("ann at hms-sync set status to approved (was revoked): file 7"),
        "{restored:?}"
    );
    until("the loser on both sides", || states(&bench) == ("approved".into(), "OK".into()));

    let late = ["conflicts", "resolve", "clerk:2", "status", "--winner", "--version", version.as_str()];
    let stale = bench.ask(&[&late[..], &why[..]].concat());
    assert_eq!(stale.code, 1, "{stale:?}");
    assert!(
        stale.err.contains("ann at hms-sync set status to approved") && stale.err.contains("hint: look"),
        "{stale:?}"
    );

    let unsaid = bench.ask(&["conflicts", "resolve", "clerk:2", "status", "--winner"]);
    assert_eq!(unsaid.code, 2, "{unsaid:?}");
    assert_eq!(sync.stop().0, 0);
    let decide = ["conflicts", "resolve", "clerk:2", "status", "--value", "denied"];
    let decided = bench.ask(&[&decide[..], &why[..]].concat());
    assert!(decided.out.ends_with("it is brought to the sides when the sync runs\n"), "{decided:?}");
    let unfit = ["conflicts", "resolve", "clerk:2", "status", "--value", "odd"];
    let unfit = bench.ask(&[&unfit[..], &why[..]].concat());
    assert!(unfit.err.contains("status: found \"odd\", expected one of pending, approved"), "{unfit:?}");
    let sync = bench.run();
    until("the decision on both sides", || states(&bench) == ("denied".into(), "NO".into()));
    assert!(bench.ask(&["audit", "verify"]).code == 0);
    drop(sync);
}
