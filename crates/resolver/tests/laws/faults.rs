//! Faults of natural first drafts, put back here in copies: the laws notice each
//! of them. A law that passes with the fault in place would be worth nothing.

use crate::history::{History, field};
use fastrand::Rng;
use hms_sync_model::{Actor, Clock, Dot, Edit, Value};
use hms_sync_resolver::{Record, Reg};

const HISTORIES: u64 = 2_000;

/// How many histories show the order of arrival when `state` says what comes of an order.
fn order_shows<T: PartialEq>(state: impl Fn(&History, &[&Edit]) -> T, spoil: impl Fn(&mut History)) -> u64 {
    let shows = |seed: &u64| {
        let mut rng = Rng::with_seed(*seed);
        let mut history = History::new(&mut rng).without_counter();
        spoil(&mut history);
        let straight: Vec<&Edit> = history.edits.iter().collect();
        let shuffled = history.any_order(&mut rng);
        state(&history, &straight) != state(&history, &shuffled)
    };
    (0..HISTORIES).filter(shows).count() as u64
}

/// The siblings of a field in a register of its own, contexts as they are told, unchecked.
fn unchecked(edits: &[&Edit], name: &str) -> Vec<(Dot, Value)> {
    let mut reg = Reg::default();
    for edit in edits {
        if let Some(change) = edit.changes.get(name) {
            reg.put(&edit.dot, &edit.context, change.clone(), edit.stamp);
        }
    }
    reg.siblings().iter().map(|s| (s.dot.clone(), s.change.after.clone())).collect()
}

fn without(context: &Clock, drops: impl Fn(&Actor) -> bool) -> Clock {
    context.iter().filter(|(actor, _)| !drops(actor)).map(|(actor, n)| (actor.clone(), n)).collect()
}

/// F1: the context leaves out its author's own past. The record refuses such
/// edits; a register that took them would show their order.
#[test]
fn own_past_left_out_is_noticed() {
    let forget = |history: &mut History| {
        for edit in &mut history.edits {
            edit.context = without(&edit.context, |actor| *actor == edit.dot.actor);
            edit.but.clear();
        }
    };
    let mut history = History::new(&mut Rng::with_seed(3));
    forget(&mut history);
    for edit in history.edits.iter().filter(|edit| edit.dot.n > 1) {
        assert!(Record::default().apply(&history.rules, edit).is_err(), "refused");
    }
    assert!(history.edits.iter().any(|edit| edit.dot.n > 1));
    let shown = order_shows(|_, edits| unchecked(edits, "plain"), forget);
    assert!(shown > HISTORIES / 20, "order shows in {shown} histories");
    let healthy = order_shows(
        |_, edits| unchecked(edits, "plain"),
        |history| {
            history.edits.iter_mut().for_each(|edit| edit.but.clear());
        },
    );
    assert_eq!(healthy, 0, "with their own past it shows in none");
}

/// A context goes back, as after a restore without a new epoch: who covers an edit need not
/// have said all that it had seen, and the order of arrival shows all the same in nothing.
#[test]
fn context_that_goes_back_shows_no_order() {
    let relink = |history: &mut History| {
        for edit in history.edits.iter_mut().filter(|edit| edit.dot.n % 3 == 0) {
            let own = edit.dot.actor.clone();
            edit.context = without(&edit.context, |actor| *actor != own);
        }
    };
    let shown = order_shows(|history, edits| history.fold(edits.iter().copied()), relink);
    assert_eq!(shown, 0);
}

/// F7: a lock as a sibling that no later edit may prune.
#[test]
fn lock_that_is_not_pruned_is_noticed() {
    let shown = order_shows(|_, edits| unpruned(edits), |_| {});
    assert!(shown > HISTORIES / 100, "order shows in {shown} histories");
}

fn unpruned(edits: &[&Edit]) -> Vec<Dot> {
    let locks = [Value::from("w3"), Value::from("w4")];
    let (mut siblings, mut seen): (Vec<(Dot, Value)>, Clock) = (Vec::new(), Clock::new());
    for edit in edits {
        let name = field("locked");
        let Some(change) = edit.changes.get(&name).filter(|_| !seen.has(&edit.dot)) else { continue };
        let context = edit.context_of(&name);
        siblings.retain(|(dot, value)| locks.contains(value) || !context.has(dot));
        siblings.push((edit.dot.clone(), change.after.clone()));
        seen.merge(&context);
        seen.see(&edit.dot.actor, edit.dot.n);
    }
    let mut dots: Vec<Dot> = siblings.into_iter().map(|(dot, _)| dot).collect();
    dots.sort();
    dots
}

/// A join that also keeps what one side has pruned.
#[test]
fn join_that_forgets_what_was_pruned_is_noticed() {
    let fails = |seed: &u64| {
        let mut rng = Rng::with_seed(*seed);
        let history = History::new(&mut rng).without_counter();
        let (some, others) = (history.some(&mut rng), history.some(&mut rng));
        let both: Vec<&Edit> = some.iter().chain(&others).copied().collect();
        let mut union = unchecked(&some, "plain");
        union.extend(unchecked(&others, "plain"));
        union.sort();
        union.dedup();
        union != unchecked(&both, "plain")
    };
    let failing = (0..HISTORIES).filter(fails).count() as u64;
    assert!(failing > HISTORIES / 100, "caught in {failing} histories");
}
