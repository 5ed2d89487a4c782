//! The laws of merging that concern the resolver alone, by the names of the
//! specification. Histories are drawn from seeds: two to four sides that edit,
//! see each other's edits at random, and say truthfully what they had seen.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests may panic")]

use fastrand::Rng;
use hms_sync_model::{
    Actor, Author, Change, Clock, Dot, Edit, FieldName, SideName, Stamp, Time, Value, VecMap,
};
use hms_sync_resolver::{Deletes, FieldRule, Group, Kind, Owner, Policy, Presence, Record, Rules};

const HISTORIES: u64 = 2_000;
const FIELDS: [&str; 8] = ["plain", "ranked", "owned", "tags", "visits", "lead", "with", "best"];

fn field(name: &str) -> FieldName {
    FieldName::try_new(name).unwrap()
}

fn side(i: usize) -> SideName {
    SideName::try_new(["a", "b", "c", "d"][i]).unwrap()
}

fn rules(deletes: Deletes) -> Rules {
    let values = |all: &[&str]| all.iter().map(|v| Value::from(*v)).collect::<Vec<_>>();
    let ranked = vec![Policy::Precedence(values(&["w3", "w2"])), Policy::LastWriterWins];
    let resolve = |resolve: Vec<Policy>| FieldRule { resolve, ..FieldRule::default() };
    let kind = |kind: Kind| FieldRule { kind, ..FieldRule::default() };
    let owner = Some(Owner { side: side(0), unless_blank: false });
    Rules::builder()
        .side_order((0..4).map(side))
        .deletes(deletes)
        .field(field("ranked"), FieldRule { locks: values(&["w3"]), ..resolve(ranked.clone()) })
        .field(field("owned"), FieldRule { owner, ..FieldRule::default() })
        .field(field("tags"), kind(Kind::Set { remove_wins: false }))
        .field(field("visits"), kind(Kind::Counter))
        .field(field("best"), resolve(vec![Policy::Max]))
        .group(Group {
            name: "standing".into(),
            fields: vec![field("lead"), field("with")],
            lead: field("lead"),
            resolve: ranked,
            locks: Vec::new(),
        })
        .build()
        .unwrap()
}

/// A history: its edits in the order they were made.
fn history(rng: &mut Rng, rules: &Rules) -> Vec<Edit> {
    let sides = rng.usize(2..5);
    let mut replicas: Vec<Record> = vec![Record::default(); sides];
    let mut edits: Vec<Edit> = Vec::new();
    for step in 0..rng.i64(2..14) {
        let who = rng.usize(0..sides);
        // Somebody sees everything that another has seen, now and then.
        if rng.bool() {
            let other = replicas[rng.usize(0..sides)].clone();
            let seen: Vec<Edit> = edits.iter().filter(|e| other.clock.has(&e.dot)).cloned().collect();
            seen.iter().for_each(|edit| replicas[who].apply(rules, edit).unwrap());
        }
        let actor = Actor::side(side(who));
        let replica = &mut replicas[who];
        let touched: Vec<&str> = FIELDS.into_iter().filter(|_| rng.u8(0..3) == 0).collect();
        let changes = touched.into_iter().map(|name| {
            let before = replica.value(rules, &field(name));
            let after = match name {
                "tags" => {
                    let count = rng.usize(0..4);
                    Value::set((0..count).map(|_| Value::from(rng.i64(0..4))))
                }
                "visits" => {
                    let sum: i64 = before.to_json().as_i64().unwrap_or(0);
                    Value::from(sum + rng.i64(-3..5))
                }
                "best" => Value::from(rng.i64(0..9)),
                _ => Value::from(format!("w{}", rng.u8(0..4)).as_str()),
            };
            (field(name), Change { before, after })
        });
        let changes = changes.collect();
        let edit = Edit {
            generation: 0,
            dot: Dot { n: replica.clock.count(&actor) + 1, actor },
            context: replica.clock.clone(),
            but: VecMap::new(),
            changes,
            deletes: rng.u8(0..8) == 0,
            stamp: Stamp { low: Time(step * 10 - rng.i64(0..30)), high: Time(step * 10) },
            certain: true,
        };
        replicas[who].apply(rules, &edit).unwrap();
        edits.push(edit);
    }
    edits
}

fn fold(rules: &Rules, edits: &[Edit]) -> Record {
    let mut record = Record::default();
    edits.iter().for_each(|edit| record.apply(rules, edit).unwrap());
    record
}

/// Another order of arrival that keeps each author's own.
fn shuffled(rng: &mut Rng, edits: &[Edit]) -> Vec<Edit> {
    let mut left: Vec<Edit> = edits.to_vec();
    let mut out = Vec::new();
    while !left.is_empty() {
        let author = left[rng.usize(0..left.len())].dot.actor.clone();
        let first = left.iter().position(|edit| edit.dot.actor == author).unwrap();
        out.push(left.remove(first));
    }
    out
}

fn each(law: impl Fn(&mut Rng, &Rules, &[Edit])) {
    let rules = rules(Deletes::EditWins);
    for seed in 0..HISTORIES {
        let mut rng = Rng::with_seed(seed);
        let edits = history(&mut rng, &rules);
        let shown = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| law(&mut rng, &rules, &edits)));
        assert!(shown.is_ok(), "seed {seed}: {edits:#?}");
    }
}

#[test]
fn apply_commutes() {
    each(|rng, rules, edits| assert_eq!(fold(rules, edits), fold(rules, &shuffled(rng, edits))));
}

#[test]
fn apply_idempotent() {
    each(|_, rules, edits| {
        let mut record = fold(rules, edits);
        let once = record.clone();
        edits.iter().for_each(|edit| record.apply(rules, edit).unwrap());
        assert_eq!(record, once);
    });
}

#[test]
fn join_equals_apply() {
    each(|rng, rules, edits| {
        // Two replicas that each saw some of every author's past, and together all.
        let all = fold(rules, edits);
        let half = |rng: &mut Rng| {
            let upto: Vec<u64> = (0..4).map(|_| rng.u64(0..8)).collect();
            let kept = |e: &&Edit| (0..4).any(|i| e.dot.actor == Actor::side(side(i)) && e.dot.n <= upto[i]);
            edits.iter().filter(kept).cloned().collect::<Vec<_>>()
        };
        let (one, two) = (fold(rules, &half(rng)), fold(rules, &half(rng)));
        let joined = one.join(&two);
        assert_eq!(joined, two.join(&one), "commutes");
        assert_eq!(joined.join(&all), all.join(&joined));
        assert_eq!(all.join(&one), all, "what is known already adds nothing");
        assert_eq!(one.join(&one), one);
    });
}

#[test]
fn oracle_agrees() {
    each(|_, rules, edits| {
        let record = fold(rules, edits);
        for name in ["plain", "best", "lead", "with"] {
            let of: Vec<&Edit> = edits.iter().filter(|e| e.changes.contains_key(name)).collect();
            let survives =
                |e: &&&Edit| !of.iter().any(|other| other.dot != e.dot && other.context.has(&e.dot));
            let mut dots: Vec<Dot> = of.iter().filter(survives).map(|e| e.dot.clone()).collect();
            dots.sort();
            let ours: Vec<Dot> = record.siblings(&field(name)).iter().map(|s| s.dot.clone()).collect();
            assert_eq!(ours, dots, "{name}");
        }
    });
}

#[test]
fn one_sibling_per_actor() {
    each(|_, rules, edits| {
        let record = fold(rules, edits);
        for name in record.field_names() {
            let mut actors: Vec<_> = record.siblings(name).iter().map(|s| s.dot.actor.clone()).collect();
            let all = actors.len();
            actors.dedup();
            assert_eq!(actors.len(), all);
        }
    });
}

#[test]
fn chain_total_deterministic() {
    each(|rng, rules, edits| {
        let (one, two) = (fold(rules, edits), fold(rules, &shuffled(rng, edits)));
        for name in one.field_names() {
            let decision = one.decide(rules, name);
            assert_eq!(decision, two.decide(rules, name));
            let chosen = decision.siblings.is_empty() || decision.siblings.iter().any(|(_, wins)| *wins);
            let led = ["with", "owned", "ranked"].contains(&name.as_str());
            assert!(chosen || led, "{name}: nobody's value stands: {decision:?}");
        }
    });
}

#[test]
fn settle_changes_no_value() {
    each(|_, rules, edits| {
        let mut record = fold(rules, edits);
        let names: Vec<FieldName> =
            record.field_names().filter(|name| record.siblings(name).len() > 1).cloned().collect();
        // The fields of a group are settled together.
        let group = rules.groups()[0].fields.clone();
        let grouped = names.iter().any(|name| group.contains(name));
        let whole = group.into_iter().filter(|name| grouped && record.field_names().any(|n| n == name));
        let names: std::collections::BTreeSet<FieldName> = names.into_iter().chain(whole).collect();
        let before = record.values(rules);
        let value = |name: &FieldName| record.value(rules, name);
        let changes =
            names.iter().map(|n| (n.clone(), Change { before: value(n), after: value(n) })).collect();
        let actor = Actor { author: Author::Engine, epoch: 0 };
        let edit = Edit {
            generation: 0,
            dot: Dot { actor, n: 1 },
            context: record.clock.clone(),
            but: VecMap::new(),
            changes,
            deletes: record.presence(rules) == Presence::Deleted,
            stamp: Stamp::at(Time(1_000)),
            certain: true,
        };
        record.apply(rules, &edit).unwrap();
        assert_eq!(record.values(rules), before);
    });
}

fn edit(who: usize, n: u64, context: &[(usize, u64)], name: &str, after: Value, high: i64) -> Edit {
    Edit {
        generation: 0,
        dot: Dot { actor: Actor::side(side(who)), n },
        context: context.iter().map(|(i, n)| (Actor::side(side(*i)), *n)).collect::<Clock>(),
        but: VecMap::new(),
        changes: [(field(name), Change { before: Value::Absent, after })].into_iter().collect(),
        deletes: false,
        stamp: Stamp { low: Time(high - 5), high: Time(high) },
        certain: true,
    }
}

#[test]
fn own_past_always() {
    let rules = rules(Deletes::EditWins);
    let mut record = Record::default();
    record.apply(&rules, &edit(0, 1, &[], "best", Value::from(10), 1)).unwrap();
    // The fault of leaving out an author's own past: refused as malformed.
    assert!(record.apply(&rules, &edit(0, 2, &[], "best", Value::from(5), 2)).is_err());
    record.apply(&rules, &edit(0, 2, &[(0, 1)], "best", Value::from(5), 2)).unwrap();
    assert_eq!(
        record.value(&rules, &field("best")),
        Value::from(5),
        "a side may lower its own value under max"
    );
}

#[test]
fn later_wins_any_clock() {
    let rules = rules(Deletes::EditWins);
    let mut record = Record::default();
    record.apply(&rules, &edit(0, 1, &[], "plain", "first".into(), 9_000)).unwrap();
    record.apply(&rules, &edit(1, 1, &[(0, 1)], "plain", "second".into(), 10)).unwrap();
    assert_eq!(record.value(&rules, &field("plain")), "second".into(), "it had seen the first");
}

#[test]
fn sticky_order_invisible() {
    let rules = rules(Deletes::EditWins);
    let locked = edit(0, 1, &[], "ranked", "w3".into(), 1);
    let other = edit(1, 1, &[(0, 1)], "ranked", "w2".into(), 2);
    for order in [[&locked, &other], [&other, &locked]] {
        let mut record = Record::default();
        order.iter().for_each(|edit| record.apply(&rules, edit).unwrap());
        assert_eq!(record.value(&rules, &field("ranked")), "w3".into(), "only an operator leaves it");
    }
}

#[test]
fn agreeing_edits_are_no_conflict() {
    let rules = rules(Deletes::EditWins);
    let both = [edit(0, 1, &[], "plain", "x".into(), 1), edit(1, 1, &[], "plain", "x".into(), 2)];
    let record = fold(&rules, &both);
    assert!(!record.is_conflicted(&field("plain")) && record.conflicts(&rules).is_empty());
}

#[test]
fn delete_edit_per_policy() {
    let delete =
        Edit { changes: VecMap::new(), deletes: true, ..edit(1, 1, &[(0, 1)], "plain", Value::Null, 3) };
    let edits =
        [edit(0, 1, &[], "plain", "x".into(), 1), delete, edit(0, 2, &[(0, 1)], "plain", "y".into(), 2)];
    for (policy, wanted) in [
        (Deletes::EditWins, Presence::Present),
        (Deletes::DeleteWins, Presence::Deleted),
        (Deletes::Manual, Presence::Undecided),
    ] {
        let rules = rules(policy);
        assert_eq!(fold(&rules, &edits).presence(&rules), wanted);
    }
}

#[test]
fn malformed_never_panics() {
    let rules = rules(Deletes::EditWins);
    let mut record = Record::default();
    assert!(record.apply(&rules, &edit(0, 0, &[], "plain", Value::Null, 1)).is_err());
    assert!(record.apply(&rules, &edit(0, 1, &[(0, 7)], "plain", Value::Null, 1)).is_err());
    assert!(record.apply(&rules, &edit(0, u64::MAX, &[], "plain", Value::Null, i64::MIN + 5)).is_err());
    let other_life = Edit { generation: 3, ..edit(0, 1, &[], "plain", Value::Null, 1) };
    assert!(record.apply(&rules, &other_life).is_err());
    assert_eq!(record, Record::default(), "nothing of them is left");
}
