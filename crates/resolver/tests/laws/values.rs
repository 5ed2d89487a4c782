//! Laws of value: what stands when edits met, whatever the rules.

use crate::edit;
use crate::history::{History, UNITS, actor, all_fields, chain, elements, field, words};
use crate::oracle::{Oracle, Said, survivors, tuple};
use fastrand::Rng;
use hms_sync_model::{Change, Dot, Edit, FieldName, Stamp, Time, Value};
use hms_sync_resolver::{Deletes, FieldRule, Kind, Policy, Presence, Reason, Rules};

pub(crate) fn oracle_agrees(rng: &mut Rng, history: &History) -> u64 {
    let record = history.fold(history.own_order(rng));
    let oracle = history.oracle();
    for name in all_fields() {
        if matches!(history.rules.rule(&name).kind, Kind::Value) {
            let dots: Vec<Dot> = record.siblings(&name).iter().map(|s| s.dot.clone()).collect();
            assert_eq!(dots, oracle.survivors(&name), "siblings of {name}");
        }
        let expected =
            if record.field_names().any(|n| *n == name) { oracle.value(&name) } else { Value::Absent };
        assert_eq!(record.value(&history.rules, &name), expected, "value of {name}");
        assert_eq!(record.decide(&history.rules, &name).value, expected, "decision of {name}");
    }
    1
}

pub(crate) fn chain_total_deterministic(rng: &mut Rng, history: &History) -> u64 {
    let (one, two) = (history.fold(history.own_order(rng)), history.fold(history.own_order(rng)));
    for name in all_fields() {
        let decision = one.decide(&history.rules, &name);
        assert_eq!(decision, two.decide(&history.rules, &name), "{name}");
        assert_eq!(decision.reason == Reason::Nobody, !one.field_names().any(|n| *n == name), "{name}");
    }
    assert_eq!(one.conflicts(&history.rules), two.conflicts(&history.rules));
    1
}

/// A rule that filters picks somebody's value, and only from those that compete.
pub(crate) fn filter_nonempty_subset(rng: &mut Rng, history: &History) -> u64 {
    let record = history.fold(&history.edits);
    let mut policies = chain(rng, false);
    policies.retain(|policy| *policy != Policy::Manual);
    policies.push(Policy::LastWriterWins);
    let rule = FieldRule { resolve: policies.clone(), ..FieldRule::default() };
    let rules = Rules::builder().field(field("mixed"), rule).build().unwrap();
    let decision = record.decide(&rules, &field("mixed"));
    let stands = decision.siblings.iter().filter(|(_, wins)| *wins).count();
    assert_eq!(stands == 0, decision.siblings.is_empty(), "{policies:?}: {decision:?}");
    assert_eq!(decision.siblings.len(), record.siblings(&field("mixed")).len());
    // Once it decides, what would come after it has no say.
    if matches!(decision.reason, Reason::Policy(_)) {
        let longer = [policies, chain(rng, true)].concat();
        let rule = FieldRule { resolve: longer, ..FieldRule::default() };
        let rules = Rules::builder().field(field("mixed"), rule).build().unwrap();
        assert_eq!(record.decide(&rules, &field("mixed")), decision);
    }
    1
}

/// An edit whose author had seen all others wins, however wrong its clock.
pub(crate) fn later_wins_any_clock(rng: &mut Rng, history: &History) -> u64 {
    let mut record = history.fold(&history.edits);
    let (who, early) = (actor("b"), Time(*rng.choice(&[i64::MIN, -1_000, 0, 1_000_000]).unwrap()));
    let names = ["plain", "mixed", "best", "note", "country", "postcode"].map(field);
    let change =
        |name: &FieldName| Change { before: record.value(&history.rules, name), after: "last".into() };
    let last = Edit {
        dot: Dot { n: record.clock.count(&who) + 1, actor: who },
        context: record.clock.clone(),
        changes: names.iter().map(|name| (name.clone(), change(name))).collect(),
        stamp: Stamp::at(early),
        ..edit(("b", 1), &[], "plain", "", 0)
    };
    record.apply(&history.rules, &last).unwrap();
    for name in names {
        assert_eq!(record.value(&history.rules, &name), "last".into(), "{name}");
        assert_eq!(record.siblings(&name).len(), 1, "{name}");
    }
    assert_eq!(record.presence(&history.rules), Presence::Present);
    1
}

pub(crate) fn agreeing_edits_are_no_conflict(rng: &mut Rng, history: &History) -> u64 {
    let record = history.fold(&history.edits);
    for name in all_fields() {
        if history.rules.rule(&name).key().is_some() {
            continue;
        }
        let after: Vec<&Value> = record.siblings(&name).iter().map(|s| &s.change.after).collect();
        let nothing = |value: &Value| matches!(value, Value::Absent | Value::Null);
        let differ = |one: &Value, other: &Value| one != other && !(nothing(one) && nothing(other));
        assert_eq!(record.is_conflicted(&name), after.windows(2).any(|two| differ(two[0], two[1])), "{name}");
    }
    let value = Value::from(format!("w{}", rng.u8(0..5)).as_str());
    let mut same = |name| edit((name, 1), &[], "mixed", value.clone(), rng.i64(0..50));
    let edits = ["a", "b", "c"].map(&mut same);
    let record = history.fold(&edits);
    assert!(!record.is_conflicted(&field("mixed")) && record.conflicts(&history.rules).is_empty());
    let decision = record.decide(&history.rules, &field("mixed"));
    assert_eq!((decision.value, decision.reason), (value, Reason::Agreed));
    assert!(decision.siblings.len() == 3 && decision.siblings.iter().all(|(_, wins)| *wins));
    let nothing = |name, value| edit((name, 1), &[], "mixed", value, 7);
    let record = history.fold(&[nothing("a", Value::Null), nothing("b", Value::Absent)]);
    assert!(!record.is_conflicted(&field("mixed")) && record.conflicts(&history.rules).is_empty());
    1
}

/// An addition that nobody who removed the element had seen keeps it in.
pub(crate) fn set_add_survives_reordering(rng: &mut Rng, history: &History) -> u64 {
    let history = history.without_counter();
    let record = history.fold(history.any_order(rng));
    let value = record.value(&history.rules, &field("tags"));
    for (element, additions) in by_element(&history.oracle(), "tags", true) {
        let survives = !additions.is_empty();
        assert_eq!(contains(&value, &element), survives, "{element:?}");
    }
    1
}

/// An element leaves a set only by removals whose authors had seen every addition.
pub(crate) fn set_remove_only_seen(rng: &mut Rng, history: &History) -> u64 {
    let history = history.without_counter();
    let record = history.fold(history.any_order(rng));
    let oracle = history.oracle();
    for name in ["tags", "flags"].map(field) {
        let value = record.value(&history.rules, &name);
        for element in oracle.elements(&name).iter().filter(|e| !contains(&value, e)) {
            let said = oracle.element(&name, element);
            let (added, removed): (Vec<_>, Vec<_>) =
                said.iter().partition(|said| said.change.after == Value::Bool(true));
            assert!(!removed.is_empty(), "{element:?} left {name} though nobody removed it");
            let taken_out = |dot: &Dot| said.iter().any(|s| s.edit.context_of(&name).has(dot));
            let seen = added.iter().all(|addition| taken_out(&addition.edit.dot));
            assert!(
                seen || name == field("flags"),
                "{element:?} was removed by somebody who had not seen it"
            );
        }
    }
    1
}

/// An element that several changed keeps what each made of it, and another stays as it was:
/// nothing that an author left in and nobody took out is lost, and nothing is there that
/// nobody left in.
pub(crate) fn element_keeps_what_each_changed(rng: &mut Rng, history: &History) -> u64 {
    let history = history.without_counter();
    let record = history.fold(history.any_order(rng));
    let oracle = history.oracle();
    let mut several = 0;
    for (name, remove_wins) in [("lines", false), ("parts", true)] {
        let name = field(name);
        let now = elements(&record.value(&history.rules, &name));
        for id in oracle.keys(&name) {
            let left = oracle.left_in(&name, id, remove_wins);
            let Some(element) = now.iter().find(|element| element["id"] == id) else {
                assert!(left.is_empty(), "{id} is gone from {name}, though it was left in");
                continue;
            };
            assert!(!left.is_empty(), "{id} is in {name}, though nobody left it in");
            let of = |set: &Value| elements(set).into_iter().find(|element| element["id"] == id);
            for (member, value) in element {
                let said = oracle.of_member(&name, id, member);
                let by = if said.is_empty() { &left } else { &said };
                let has = |by: &Said<'_>| of(&by.change.after).and_then(|e| e.get(member).copied());
                assert!(by.iter().any(|by| has(by) == Some(*value)), "{member} of {id} is nobody's");
            }
            several += u64::from(left.len() > 1);
        }
    }
    several
}

/// Where several changed the same member of an element, and nowhere else in such a set, the
/// field is in conflict; once all is settled, nowhere, and the value is what it was.
pub(crate) fn element_conflicts_are_listed(rng: &mut Rng, history: &History) -> u64 {
    let record = history.fold(history.own_order(rng));
    let oracle = history.oracle();
    let mut listed = 0;
    for name in ["lines", "parts"].map(field) {
        let contested: Vec<i64> = (oracle.keys(&name).into_iter())
            .filter(|id| {
                let differ = |member: &&str| {
                    let after = |said: &Said<'_>| {
                        let all = elements(&said.change.after);
                        all.iter().find(|e| e["id"] == *id).and_then(|e| e.get(*member).copied())
                    };
                    let said = oracle.of_member(&name, *id, member);
                    said.iter().any(|said_by| after(said_by) != after(&said[0]))
                };
                !oracle.left_in(&name, *id, false).is_empty() && ["n", "m", "note"].iter().any(differ)
            })
            .collect();
        assert_eq!(record.is_conflicted(&name), !contested.is_empty(), "{name}: {contested:?}");
        if let Reason::Elements(keys) = record.decide(&history.rules, &name).reason {
            let wanted: Vec<Value> = contested.iter().copied().map(Value::from).collect();
            assert_eq!(keys, wanted, "{name}");
        }
        let conflicts = record.conflicts(&history.rules);
        let is_listed = conflicts.iter().any(|conflict| conflict.field.as_ref() == Some(&name));
        assert_eq!(is_listed, !contested.is_empty(), "{name}");
        listed += u64::from(is_listed);
    }
    listed
}

fn contains(set: &Value, element: &Value) -> bool {
    matches!(set, Value::Set(elements) if elements.contains(element))
}

/// For each element the surviving edits that say `present`.
fn by_element(oracle: &Oracle<'_>, name: &str, present: bool) -> Vec<(Value, Vec<Dot>)> {
    let of = |element: Value| {
        let left = survivors(oracle.element(&field(name), &element));
        let says = left.iter().filter(|said| said.change.after == Value::Bool(present));
        let dots = says.map(|said| said.edit.dot.clone()).collect();
        (element, dots)
    };
    oracle.elements(&field(name)).into_iter().map(of).collect()
}

pub(crate) fn counter_sums(rng: &mut Rng, history: &History) -> u64 {
    let whole = |value: &Value| value.to_json().as_i64().unwrap_or(0);
    let added: i64 = (history.edits.iter())
        .filter_map(|edit| edit.changes.get("visits"))
        .map(|change| whole(&change.after) - whole(&change.before))
        .sum();
    let touched = history.edits.iter().any(|edit| edit.changes.contains_key("visits"));
    let expected = if touched { Value::from(added) } else { Value::Absent };
    let record = history.fold(history.own_order(rng));
    assert_eq!(record.value(&history.rules, &field("visits")), expected);
    let parts = history.fold(history.part(rng)).join(&history.fold(history.part(rng)));
    assert_eq!(parts.join(&record).value(&history.rules, &field("visits")), expected);
    1
}

/// A group's fields always stand together as one author had them before them.
pub(crate) fn group_never_splits(rng: &mut Rng, history: &History) -> u64 {
    let history = history.without_counter();
    let record = history.fold(history.any_order(rng));
    for unit in UNITS.iter().filter(|unit| unit.len() > 1) {
        let stands = tuple(unit, |name| record.value(&history.rules, name));
        let mut shown = vec![vec![Value::Absent; unit.len()]];
        for edit in history.edits.iter().filter(|edit| edit.changes.contains_key(unit[0])) {
            shown.push(tuple(unit, |name| edit.changes.get(name).unwrap().before.clone()));
            shown.push(tuple(unit, |name| edit.changes.get(name).unwrap().after.clone()));
        }
        assert!(shown.contains(&stands), "nobody had {unit:?} as {stands:?}");
    }
    1
}

pub(crate) fn delete_edit_per_policy(rng: &mut Rng, history: &History) -> u64 {
    let record = history.fold(history.own_order(rng));
    let (there, deleted) = history.oracle().presence();
    for policy in [Deletes::EditWins, Deletes::DeleteWins, Deletes::Manual] {
        let rules = Rules::builder().deletes(policy).build().unwrap();
        let expected = match (there, deleted, policy) {
            (true, false, _) | (true, true, Deletes::EditWins) => Presence::Present,
            (false, true, _) | (true, true, Deletes::DeleteWins) => Presence::Deleted,
            (true, true, Deletes::Manual) => Presence::Undecided,
            (false, false, _) => Presence::Unborn,
        };
        assert_eq!(record.presence(&rules), expected);
        let listed = record.conflicts(&rules).iter().any(|conflict| conflict.field.is_none());
        assert_eq!(listed, there && deleted, "edit and delete that met are a conflict");
    }
    u64::from(there && deleted)
}

/// A rule hears everybody, also who agrees with somebody else.
#[test]
fn agreeing_takes_nobodys_voice() {
    let edits = [
        edit(("a", 1), &[], "mixed", "x", 10),
        edit(("b", 1), &[], "mixed", "x", 50),
        edit(("c", 1), &[], "mixed", "y", 30),
    ];
    let preferred = Policy::Prefer(["a", "c"].map(crate::history::side).to_vec());
    for (policy, value) in [
        (preferred, "x"),
        (Policy::FirstWriterWins, "x"),
        (Policy::LastWriterWins, "x"),
        (Policy::Precedence(words(&["y"])), "y"),
    ] {
        let rule = FieldRule { resolve: vec![policy.clone()], ..FieldRule::default() };
        let rules = Rules::builder().field(field("mixed"), rule).build().unwrap();
        let decision = crate::history::fold(&rules, &edits).decide(&rules, &field("mixed"));
        assert_eq!((decision.value, decision.reason), (value.into(), Reason::Policy(policy)));
    }
}

/// Where nothing else decides, an operator comes before the sides.
#[test]
fn operator_comes_first_in_the_last_resort() {
    let mut by_operator = edit(("a", 1), &[], "mixed", "x", 10);
    by_operator.dot.actor = crate::history::operator();
    let rules = Rules::builder().side_order(["a", "b"].map(crate::history::side)).build().unwrap();
    let record = crate::history::fold(&rules, &[edit(("a", 1), &[], "mixed", "y", 10), by_operator]);
    let decision = record.decide(&rules, &field("mixed"));
    assert_eq!((decision.value, decision.reason), ("x".into(), Reason::LastResort));
}
