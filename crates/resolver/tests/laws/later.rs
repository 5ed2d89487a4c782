//! Laws of what comes later: what is settled, other rules, replicas that part and meet,
//! records that are joined, choices made on an old screen.

use crate::edit;
use crate::history::{History, UNITS, all_fields, engine, field, operator};
use crate::oracle::{Oracle, tuple};
use fastrand::Rng;
use hms_sync_model::{
    Actor, Author, Change, Clock, Dot, Edit, FieldName, SideName, Stamp, Time, Value, VecMap,
};
use hms_sync_resolver::{Closed, FieldRule, Kind, Policy, Presence, Reason, Record, Rules, Sibling};
use std::collections::BTreeSet;

/// What hms-sync writes down once all agree: nothing changes, except that
/// nothing can turn it any more but a new edit.
pub(crate) fn settle_changes_no_value(rng: &mut Rng, history: &History) -> u64 {
    let mut record = history.fold(&history.edits);
    if record.presence(&history.rules) == Presence::Undecided {
        return 0;
    }
    let before = (record.values(&history.rules), record.presence(&history.rules));
    let names = to_settle(history, &record);
    let settle = settle(&record, &history.rules, &names);
    record.apply(&history.rules, &settle).unwrap();
    assert_eq!((record.values(&history.rules), record.presence(&history.rules)), before);
    for name in &names {
        assert_eq!(record.siblings(name).len(), 1, "{name}");
    }
    let late = history.fold(history.own_order(rng).into_iter().chain([&settle]));
    assert_eq!(late, record, "it is an edit like any other");
    names.len() as u64
}

/// What is settled stands, whatever policies come later. A value that stands before
/// everybody's by its owner is not settled: its register is the owner's alone.
pub(crate) fn settled_survives_policy_change(rng: &mut Rng, history: &History) -> u64 {
    let mut record = history.fold(&history.edits);
    if record.presence(&history.rules) == Presence::Undecided {
        return 0;
    }
    let mut names = to_settle(history, &record);
    record.apply(&history.rules, &settle(&record, &history.rules, &names)).unwrap();
    names.retain(|name| history.rules.rule(name).owner.is_none());
    let others = crate::history::rules(rng);
    for name in &names {
        let (now, then) = (record.value(&others, name), record.value(&history.rules, name));
        assert_eq!(now, then, "{name} under other policies");
    }
    names.len() as u64
}

/// Policies act when a value is asked for: under others, the record that has lived is
/// what its log makes. Kinds, owners and locks act when an edit is taken in: under
/// others, what the log makes is what the second implementation makes of it.
pub(crate) fn refold_equals_live_after_policy_change(rng: &mut Rng, history: &History) -> u64 {
    let live = history.fold(history.own_order(rng));
    let policies = crate::history::rules(rng);
    let again = crate::history::fold(&policies, &history.edits);
    assert_eq!(again, live, "a change of policies changes no register");
    for name in all_fields() {
        assert_eq!(again.decide(&policies, &name), live.decide(&policies, &name), "{name}");
    }
    let rules = crate::history::other_kinds(rng);
    let again = crate::history::fold(&rules, history.own_order(rng));
    let oracle = Oracle { rules: &rules, edits: &history.edits };
    for name in again.field_names() {
        assert_eq!(again.value(&rules, name), oracle.value(name), "{name} under other kinds");
    }
    1
}

/// A counter's value is the sum of what anybody added, however replicas parted and met.
pub(crate) fn counter_survives_partition(rng: &mut Rng, history: &History) -> u64 {
    let visits = field("visits");
    let parts: Vec<Vec<&Edit>> = (0..rng.usize(2..6)).map(|_| history.part(rng)).collect();
    let mut there: Vec<&Edit> = parts.iter().flatten().copied().collect();
    there.sort_by(|x, y| x.dot.cmp(&y.dot));
    there.dedup_by(|x, y| x.dot == y.dot);
    let whole = |value: &Value| value.to_json().as_i64().unwrap_or(0);
    let changes: Vec<&Change> = there.iter().filter_map(|edit| edit.changes.get(&visits)).collect();
    let added: i64 = changes.iter().map(|change| whole(&change.after) - whole(&change.before)).sum();
    let mut replicas: Vec<Record> = parts.into_iter().map(|part| history.fold(part)).collect();
    for _ in 0..rng.usize(0..4) {
        let (from, to) = (rng.usize(0..replicas.len()), rng.usize(0..replicas.len()));
        replicas[to] = replicas[to].join(&replicas[from]);
    }
    rng.shuffle(&mut replicas);
    let met = replicas.iter().fold(Record::default(), |met, replica| met.join(replica));
    let expected = if changes.is_empty() { Value::Absent } else { Value::from(added) };
    assert_eq!(met.value(&history.rules, &visits), expected);
    u64::from(changes.len() > 1)
}

/// Who sees one field of a group and changes it edits the group as they saw it: where
/// they stand, the rest is what it was on their screen; where they do not, nothing of
/// theirs shows.
pub(crate) fn group_partial_side_keeps_rest(rng: &mut Rng, history: &History) -> u64 {
    let seen = history.fold(history.part(rng));
    let unit = *rng.choice(&[UNITS[10], UNITS[11]]).unwrap();
    let one = field(unit[rng.usize(0..unit.len())]);
    let change = Change { before: seen.value(&history.rules, &one), after: "theirs".into() };
    let mut changes: VecMap<FieldName, Change> = [(one.clone(), change)].into_iter().collect();
    history.rules.complete_groups(&mut changes, |name| seen.value(&history.rules, name));
    let last = Edit { context: seen.clock.clone(), changes, ..edit(("e", 1), &[], "plain", "", 30) };
    let mut record = history.fold(&history.edits);
    record.apply(&history.rules, &last).unwrap();
    let stands = tuple(unit, |name| record.value(&history.rules, name));
    let theirs = tuple(unit, |name| last.changes.get(name).unwrap().after.clone());
    let shows = unit.iter().zip(&stands).any(|(name, value)| field(name) == one && *value == "theirs".into());
    assert!(!shows || stands == theirs, "{unit:?} stands as {stands:?}, and they left {theirs:?}");
    u64::from(shows)
}

/// Two records found to be one: the loser's values come in as one edit of an author of
/// its own, who has seen nothing. The loser's own edits bear names that in the survivor
/// mean others.
pub(crate) fn join_records_redots(rng: &mut Rng, history: &History) -> u64 {
    let survivor = history.fold(&history.edits);
    let loser = History::new(rng);
    let values = crate::history::fold(&loser.rules, &loser.edits).values(&loser.rules);
    let names = ["plain", "mixed", "best"].map(field);
    let differ = |name: &&FieldName| {
        values.get(*name).is_some_and(|value| *value != survivor.value(&history.rules, name))
    };
    let entering = |name: &FieldName| {
        let after = values.get(name).cloned().unwrap_or_default();
        (name.clone(), Change { before: Value::Absent, after })
    };
    let changes: VecMap<FieldName, Change> = names.iter().filter(differ).map(entering).collect();
    let actor = Actor { author: Author::Join, epoch: 0 };
    let join = Edit { changes, dot: Dot { actor, n: 1 }, ..edit(("a", 1), &[], "plain", "", 30) };
    let mut joined = survivor.clone();
    joined.apply(&history.rules, &join).unwrap();
    let first = history.fold([&join].into_iter().chain(&history.edits));
    assert_eq!(first, joined, "it is an edit like any other");
    for name in &names {
        let (there, now) = (survivor.siblings(name), joined.siblings(name));
        assert!(
            there.iter().all(|sibling| now.contains(sibling)),
            "{name}: nothing of the survivor's is gone"
        );
        assert_eq!(now.len(), there.len() + usize::from(join.changes.contains_key(name)), "{name}");
    }
    assert!(joined.clock.covers(&survivor.clock));
    join.changes.len() as u64
}

/// Of two who choose at hms-sync itself, the second chose before the first's choice was
/// on the screen: such a choice is refused, and nothing of it is left.
pub(crate) fn stale_choice_is_refused(_: &mut Rng, history: &History) -> u64 {
    let choice = |record: &Record, after: &str| Edit {
        dot: Dot { n: record.clock.count(&operator()) + 1, actor: operator() },
        context: record.clock.clone(),
        ..edit(("a", 1), &[], "plain", after, 5_000)
    };
    let shown = history.fold(&history.edits);
    let (one, two) = (choice(&shown, "one's"), choice(&shown, "the other's"));
    let mut record = shown.clone();
    record.apply(&history.rules, &one).unwrap();
    let chosen = record.clone();
    // Under its own name it is the first once more; under the next it lacks its own past.
    record.apply(&history.rules, &two).unwrap();
    assert_eq!(record, chosen);
    let renamed = Edit { dot: Dot { n: two.dot.n + 1, ..two.dot.clone() }, ..two };
    assert!(record.apply(&history.rules, &renamed).is_err(), "the first choice was not on that screen");
    assert_eq!(record, chosen);
    1
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

/// Epochs that everybody has seen are folded away: neither now nor after whatever comes later,
/// be it by somebody who is linked anew and has seen nothing, is any answer another one.
pub(crate) fn closed_epochs_change_no_answer(rng: &mut Rng, history: &History) -> u64 {
    let begun = history.edits.iter().position(|edit| edit.dot.actor.epoch > 0).unwrap_or(history.edits.len());
    let mut beginnings = (begun..history.edits.len()).rev().map(|last| &history.edits[..=last]);
    let Some((mut whole, closed)) = beginnings.find_map(|edits| all_seen(history, edits)) else {
        return 0;
    };
    let mut folded = whole.clone();
    folded.close(&closed);
    let authors: BTreeSet<&Author> = folded.clock.iter().map(|(actor, _)| &actor.author).collect();
    assert_eq!(folded.clock.iter().count(), authors.len(), "one epoch each: {:?}", folded.clock);
    let encoded = rmp_serde::to_vec_named(&folded).unwrap();
    assert_eq!(rmp_serde::from_slice::<Record>(&encoded).unwrap(), folded);
    same_answers(&history.rules, &whole, &folded);
    let mut shown = vec![whole.clock.clone()];
    for step in 0..rng.i64(1..6) {
        let later = later(rng, history, &whole, &shown, step * 20 + 200);
        let renamed = Edit { context: closed.clock(&later.context), ..later.clone() };
        whole.apply(&history.rules, &later).unwrap();
        folded.apply(&history.rules, &renamed).unwrap();
        shown.push(whole.clock.clone());
        same_answers(&history.rules, &whole, &folded);
    }
    1
}

/// An element that one added while another took it out does not keep closed epochs: it is in or
/// out for ever after as it is now. One that an author says two things of in two epochs does.
#[test]
fn an_element_met_by_add_and_remove_is_folded() {
    let set = |all: &[&str]| Value::set(all.iter().map(|element| Value::from(*element)));
    let change = |dot, context: &[(&str, u64)], epoch, before: &[&str], after: &[&str]| {
        let mut made = edit(dot, context, "tags", Value::Absent, 100);
        made.dot.actor.epoch = epoch;
        made.changes.insert(field("tags"), Change { before: set(before), after: set(after) });
        made
    };
    for remove_wins in [false, true] {
        let kind = FieldRule { kind: Kind::Set { remove_wins }, ..FieldRule::default() };
        let rules = Rules::builder().field(field("tags"), kind).build().unwrap();
        let mut record = Record::default();
        let removes = [change(("b", 1), &[], 0, &[], &["x"]), change(("b", 2), &[("b", 1)], 0, &["x"], &[])];
        let add = change(("a", 1), &[], 0, &[], &["x"]);
        removes.iter().chain([&add]).for_each(|edit| record.apply(&rules, edit).unwrap());
        let value = record.value(&rules, &field("tags"));
        assert_eq!(value, if remove_wins { set(&[]) } else { set(&["x"]) });

        let mut linked_anew = edit(("a", 1), &[("a", 1), ("b", 2)], "plain", "y", 200);
        linked_anew.dot.actor.epoch = 1;
        let mut split = record.clone();
        record.apply(&rules, &linked_anew).unwrap();
        let closed = record.closed();
        assert!(record.is_decided());
        record.close(&closed);
        assert_eq!(record.clock.to_string(), "a#1:1 b:2");
        assert_eq!(record.value(&rules, &field("tags")), value);
        let mut again = change(("b", 3), &[("b", 2)], 0, &["x"], &[]);
        again.context.see(&linked_anew.dot.actor, 1);
        record.apply(&rules, &again).unwrap();
        assert_eq!(record.value(&rules, &field("tags")), set(&[]), "what was folded can be taken out");

        split.apply(&rules, &change(("a", 1), &[], 1, &["x"], &[])).unwrap();
        assert!(!split.is_decided(), "of two things that an author said folding would drop one");
    }
}

/// A side was put back from a backup, and a person says that its values are to be taken. As edits of
/// the epoch in which it was shown the others they win; as edits of a new one that has seen nothing
/// they lose to a policy, and the person's word is turned over; as edits of a new one that has seen
/// what the side had been shown they are the same as the first, with an author more to carry.
#[test]
fn taken_from_a_backup_comes_after_what_was_shown() {
    let prefers = |name| SideName::try_new(name).unwrap();
    let rule = FieldRule { resolve: vec![Policy::Prefer(vec![prefers("b")])], ..FieldRule::default() };
    let rules = Rules::builder().field(field("plain"), rule).build().unwrap();
    let mut shown = Record::default();
    shown.apply(&rules, &edit(("a", 1), &[], "plain", "backed up", 100)).unwrap();
    shown.apply(&rules, &edit(("b", 1), &[("a", 1)], "plain", "newer", 200)).unwrap();
    let taken = |dot, context: &[(&str, u64)], epoch| {
        let mut made = edit(dot, context, "plain", "backed up", 300);
        made.dot.actor.epoch = epoch;
        let mut record = shown.clone();
        record.apply(&rules, &made).unwrap();
        (record.value(&rules, &field("plain")), record.clock.len())
    };
    assert_eq!(taken(("a", 2), &[("a", 1), ("b", 1)], 0), ("backed up".into(), 2));
    assert_eq!(taken(("a", 1), &[], 1), ("newer".into(), 3));
    assert_eq!(taken(("a", 1), &[("a", 1), ("b", 1)], 1), ("backed up".into(), 3));
}

/// A record of which everybody has seen everything, and the epochs that can be folded, if there
/// are any: what waits for a person waits.
fn all_seen(history: &History, edits: &[Edit]) -> Option<(Record, Closed)> {
    let mut record = history.fold(edits);
    let decided = |name: &FieldName| record.decide(&history.rules, name).reason != Reason::Manual;
    let locked = record.locked_before(&history.rules, &record.closed());
    let names = [to_settle(history, &record), locked.into_iter().filter(decided).collect()].concat();
    let settle = settle(&record, &history.rules, &names);
    record.apply(&history.rules, &settle).unwrap();
    let closed = record.closed();
    let foldable =
        !closed.is_empty() && record.is_decided() && record.locked_before(&history.rules, &closed).is_empty();
    foldable.then_some((record, closed))
}

/// An edit by somebody who has been shown the record since it was folded, or by somebody who
/// is linked anew: that one has seen nothing of it.
fn later(rng: &mut Rng, history: &History, record: &Record, shown: &[Clock], at: i64) -> Edit {
    let mut made = rng.choice(&history.edits).unwrap().clone();
    let author = made.dot.actor.author.clone();
    let last = record.clock.iter().filter(|(actor, _)| actor.author == author).map(|(actor, _)| actor.epoch);
    let last = last.max().unwrap_or(made.dot.actor.epoch);
    let mut who = Actor { author, epoch: last };
    let mut context = rng.choice(shown).unwrap().clone();
    if rng.u8(0..3) == 0 {
        (who.epoch, context) = (who.epoch + 1, Clock::new());
    }
    let n = record.clock.count(&who);
    context.see(&who, n);
    for (name, change) in made.changes.iter_mut() {
        change.before = record.value(&history.rules, name);
    }
    let stamp = Stamp { low: Time(at - rng.i64(0..40)), high: Time(at) };
    Edit { dot: Dot { actor: who, n: n + 1 }, context, but: VecMap::new(), stamp, ..made }
}

fn same_answers(rules: &Rules, one: &Record, other: &Record) {
    assert_eq!(one.presence(rules), other.presence(rules));
    for name in all_fields() {
        let (one, other) = (one.decide(rules, &name), other.decide(rules, &name));
        let told = |decision: &hms_sync_resolver::Decision| {
            let by =
                |(s, wins): &(Sibling, bool)| (s.dot.actor.author.clone(), s.change.clone(), s.stamp, *wins);
            decision.siblings.iter().map(by).collect::<Vec<_>>()
        };
        assert_eq!(
            (&one.value, &one.reason, told(&one)),
            (&other.value, &other.reason, told(&other)),
            "{name}"
        );
    }
    let places = |record: &Record| record.conflicts(rules).into_iter().map(|c| c.field).collect::<Vec<_>>();
    assert_eq!(places(one), places(other));
}
