//! Laws of value: what stands when edits met, whatever the rules.

use crate::history::{History, UNITS, actor, all_fields, chain, engine, field, words};
use crate::oracle::{Oracle, survivors, tuple};
use crate::{each, edit};
use hms_sync_model::{Change, Dot, Edit, FieldName, Stamp, Time, Value, VecMap};
use hms_sync_resolver::{Deletes, FieldRule, Kind, Policy, Presence, Reason, Record, Rules};
use std::cell::Cell;

#[test]
fn oracle_agrees() {
    each(|rng, history| {
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
    });
}

#[test]
fn chain_total_deterministic() {
    each(|rng, history| {
        let (one, two) = (history.fold(history.own_order(rng)), history.fold(history.own_order(rng)));
        for name in all_fields() {
            let decision = one.decide(&history.rules, &name);
            assert_eq!(decision, two.decide(&history.rules, &name), "{name}");
            assert_eq!(decision.reason == Reason::Nobody, !one.field_names().any(|n| *n == name), "{name}");
        }
        assert_eq!(one.conflicts(&history.rules), two.conflicts(&history.rules));
    });
}

/// A rule that filters picks somebody's value, and only from those that compete.
#[test]
fn filter_nonempty_subset() {
    each(|rng, history| {
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
    });
}

/// An edit whose author had seen all others wins, however wrong its clock.
#[test]
fn later_wins_any_clock() {
    each(|rng, history| {
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
    });
}

#[test]
fn agreeing_edits_are_no_conflict() {
    each(|rng, history| {
        let record = history.fold(&history.edits);
        for name in all_fields() {
            let after: Vec<&Value> = record.siblings(&name).iter().map(|s| &s.change.after).collect();
            assert_eq!(record.is_conflicted(&name), after.windows(2).any(|two| two[0] != two[1]), "{name}");
        }
        let value = Value::from(format!("w{}", rng.u8(0..5)).as_str());
        let mut same = |name| edit((name, 1), &[], "mixed", value.clone(), rng.i64(0..50));
        let edits = ["a", "b", "c"].map(&mut same);
        let record = history.fold(&edits);
        assert!(!record.is_conflicted(&field("mixed")) && record.conflicts(&history.rules).is_empty());
        let decision = record.decide(&history.rules, &field("mixed"));
        assert_eq!((decision.value, decision.reason), (value, Reason::Agreed));
        assert!(decision.siblings.len() == 3 && decision.siblings.iter().all(|(_, wins)| *wins));
    });
}

/// An addition that nobody who removed the element had seen keeps it in.
#[test]
fn set_add_survives_reordering() {
    each(|rng, history| {
        let history = history.without_counter();
        let record = history.fold(history.any_order(rng));
        let value = record.value(&history.rules, &field("tags"));
        for (element, additions) in by_element(&history.oracle(), "tags", true) {
            let survives = !additions.is_empty();
            assert_eq!(contains(&value, &element), survives, "{element:?}");
        }
    });
}

/// An element leaves a set only by removals whose authors had seen every addition.
#[test]
fn set_remove_only_seen() {
    each(|rng, history| {
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
    });
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

#[test]
fn counter_sums() {
    each(|rng, history| {
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
    });
}

/// A group's fields always stand together as one author had them before them.
#[test]
fn group_never_splits() {
    each(|rng, history| {
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
    });
}

#[test]
fn delete_edit_per_policy() {
    let met = Cell::new(0);
    each(|rng, history| {
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
        met.set(met.get() + u32::from(there && deleted));
    });
    assert!(met.get() > 100, "edit met delete in {} histories", met.get());
}

/// What hms-sync writes down once all agree: nothing changes, except that
/// nothing can turn it any more but a new edit.
#[test]
fn settle_changes_no_value() {
    let settled = Cell::new(0);
    each(|rng, history| {
        let mut record = history.fold(&history.edits);
        if record.presence(&history.rules) == Presence::Undecided {
            return;
        }
        let before = (record.values(&history.rules), record.presence(&history.rules));
        let names = to_settle(&history, &record);
        let settle = settle(&record, &history.rules, &names);
        record.apply(&history.rules, &settle).unwrap();
        assert_eq!((record.values(&history.rules), record.presence(&history.rules)), before);
        settled.set(settled.get() + names.len());
        for name in &names {
            assert_eq!(record.siblings(name).len(), 1, "{name}");
        }
        if names.contains(&field("mixed")) {
            let rule = FieldRule { resolve: chain(rng, true), ..FieldRule::default() };
            let other = Rules::builder().field(field("mixed"), rule).build().unwrap();
            let value = |rules: &Rules| record.value(rules, &field("mixed"));
            assert_eq!(value(&other), value(&history.rules), "another policy turns nothing that is settled");
        }
        let late = history.fold(history.own_order(rng).into_iter().chain([&settle]));
        assert_eq!(late, record, "it is an edit like any other");
    });
    assert!(settled.get() > 1_000, "{} fields settled", settled.get());
}

/// Fields where edits met, groups whole, those left out that wait for a person.
fn to_settle(history: &History, record: &Record) -> Vec<FieldName> {
    let met = |unit: &&&[&str]| unit.iter().any(|name| record.siblings(&field(name)).len() > 1);
    let decided = |unit: &&&[&str]| record.decide(&history.rules, &field(unit[0])).reason != Reason::Manual;
    UNITS.iter().filter(met).filter(decided).flat_map(|unit| unit.iter().map(|name| field(name))).collect()
}

fn settle(record: &Record, rules: &Rules, names: &[FieldName]) -> Edit {
    let stays = |name: &FieldName| {
        let value = record.value(rules, name);
        (name.clone(), Change { before: value.clone(), after: value })
    };
    Edit {
        generation: 0,
        dot: Dot { actor: engine(), n: 1 },
        context: record.clock.clone(),
        but: VecMap::new(),
        changes: names.iter().map(stays).collect(),
        deletes: record.presence(rules) == Presence::Deleted,
        stamp: Stamp::at(Time(1_000)),
        certain: true,
    }
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
