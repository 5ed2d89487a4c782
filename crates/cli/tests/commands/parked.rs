//! Something is set aside, looked at, tried again, let be: live and from the log.

use crate::bench::{Bench, until};
use serde_json::json;

/// The marshal does not know the word that the configuration gives it.
fn with_a_refusal() -> Bench {
    let bench = Bench::with(|yaml| yaml.replace("pending: PENDING", "pending: WAITING"));
    bench.clerk.seed_records(1, 2);
    bench
}

fn parked(bench: &Bench) -> usize {
    bench.ask(&["parked", "list", "--json"]).json().as_array().unwrap().len()
}

#[test]
fn a_person_looks_and_decides() {
    let bench = with_a_refusal();
    let sync = bench.run();
    until("both to be set aside", || parked(&bench) == 2);
    let list = bench.ask(&["parked", "list"]).out;
    assert!(list.contains("P-000001") && list.contains("refused") && list.contains("WAITING"), "{list}");
    let shown = bench.ask(&["parked", "show", "permit/P-000001"]).out;
    assert!(shown.contains("refused after 1 try"), "{shown}");
    assert!(shown.contains("state must be one of"), "{shown}");
    assert_eq!(
        bench.ask(&["parked", "list", "--side", "clerk", "--json"]).json().as_array().unwrap().len(),
        0
    );
    let discarded = bench.ask(&["parked", "discard", "permit/P-000001"]);
    assert_eq!(discarded.out, "1 thing let be\n", "{discarded:?}");
    // It stays listed: the marshal is still without it.
    let shown = bench.ask(&["parked", "show", "permit/P-000001"]).out;
    assert!(shown.contains("refused after 1 try, given up\n  POST /inspections"), "{shown}");
    let list = bench.ask(&["parked", "list", "--json"]).json();
    let given_up = |title: &str| {
        let item = list
            .as_array()
            .unwrap()
            .iter()
            .find(|item| item["title"].as_str().unwrap().contains(title))
            .unwrap();
        (item["given_up"].as_bool().unwrap(), item["words"].as_str().unwrap().contains("given up"))
    };
    assert_eq!((given_up("P-000001"), given_up("P-000002")), ((true, false), (false, false)));
    assert!(bench.ask(&["parked", "list"]).out.contains("refused, given up"));
    let nothing = bench.ask(&["parked", "discard", "permit/P-000001"]);
    assert_eq!(nothing.code, 1, "{nothing:?}");
    let replayed = bench.ask(&["parked", "replay", "permit/P-000002", "--reason", "refused"]);
    assert_eq!(replayed.out, "1 thing will be tried again\n", "{replayed:?}");
    // It is refused again, and history says that it was a person's word.
    until("it to be set aside again", || {
        let history = bench.ask(&["history", "permit/P-000002"]).out;
        history.matches("marshal set aside").count() == 2
            && history.contains("a person asked to try marshal again")
    });
    drop(sync);
}

#[test]
fn what_is_released_while_nothing_runs_is_taken_up_by_the_next_run() {
    let bench = with_a_refusal();
    let sync = bench.run();
    until("both to be set aside", || parked(&bench) == 2);
    assert_eq!(sync.stop().0, 0);
    assert_eq!(parked(&bench), 2);
    let replayed = bench.ask(&["parked", "replay", "--all"]);
    assert_eq!(replayed.out, "2 things will be tried again when the sync runs\n", "{replayed:?}");
    assert_eq!(parked(&bench), 0);
    assert!(bench.ask(&["audit", "verify"]).out.starts_with("sound"));
    // The mistake is mended, and the next run delivers both.
    let yaml = std::fs::read_to_string(bench.file()).unwrap();
    std::fs::write(bench.file(), yaml.replace("WAITING", "PENDING")).unwrap();
    let sync = bench.run();
    until("both to arrive", || bench.marshal.len() == 2);
    assert_eq!(bench.marshal.doubled(), 0);
    assert_eq!(sync.stop().0, 0);
}

/// Thirty permits whose notes were changed from the second to the third, and at the clerk's are
/// the second again, all at once.
fn put_back() -> Bench {
    let bench = Bench::new();
    bench.clerk.seed_records(1, 30);
    let notes = |text: &str| {
        (1..=30).for_each(|id| bench.clerk.update(&id.to_string(), &json!({ "notes": text })).unwrap());
    };
    notes("second");
    let sync = bench.run();
    let arrived = |text: &'static str| {
        let has = |no: usize| bench.marshal.find(&format!("P-{no:06}")).first()?.get("remarks").cloned();
        until(text, || (1..=30).all(|no| has(no).is_some_and(|remarks| remarks == text)));
    };
    arrived("second");
    notes("third");
    arrived("third");
    sync.stop();
    notes("second");
    bench
}

#[test]
fn ours_is_written_back_to_a_side_that_was_put_back() {
    let bench = put_back();
    let sync = bench.run();
    until("the side to be held", || parked(&bench) == 1);
    let status = bench.ask(&["status"]).out;
    assert!(status.contains("was it put back from a backup?"), "{status}");
    let item = bench.ask(&["parked", "list", "--reason", "regression", "--json"]).json()[0].clone();
    let listing = item["record"].as_str().unwrap().to_owned();
    assert!(listing.starts_with("@sync/clerk/"), "{listing}");
    let wrong = bench.ask(&["parked", "replay", &listing]);
    assert_eq!(wrong.code, 1, "{wrong:?}");
    assert!(wrong.err.contains("push-ours writes ours back to it"), "{wrong:?}");
    sync.stop();
    let said = bench.ask(&["parked", "push-ours", &listing]);
    assert_eq!(
        said.out, "1 listing: ours will be written back when the sync runs, once everything is read there\n",
        "{said:?}"
    );
    let sync = bench.run();
    let third = |no: usize| bench.clerk.find(&format!("P-{no:06}"))[0]["notes"] == "third";
    until("the clerk to have it again", || (1..=30).all(third));
    assert_eq!(parked(&bench), 0);
    assert_eq!(bench.marshal.find("P-000007")[0]["remarks"], "third");
    let wrong = bench.ask(&["parked", "take-theirs", &listing]);
    assert_eq!(wrong.code, 1, "{wrong:?}");
    let history = bench.ask(&["history", &listing]).out;
    assert!(history.contains("many records stand as they did earlier"), "{history}");
    assert!(history.contains("a person has ours written back to clerk"), "{history}");
    sync.stop();
}
