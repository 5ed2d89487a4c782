//! Laws of order: when and how often an edit arrives, and by which way, makes no difference.

use crate::edit;
use crate::history::{History, actor, all_fields, field, operator};
use fastrand::Rng;
use hms_sync_model::{Actor, Clock, Dot, Edit, EditRef, Stamp, Time, Value, VecMap};
use hms_sync_resolver::{Malformed, Record, Rules, Unfit};

pub(crate) fn own_past_always(_: &mut Rng, history: &History) -> u64 {
    let record = history.fold(&history.edits);
    for made in &history.edits {
        assert_eq!(made.context.count(&made.dot.actor), made.dot.n - 1);
        for name in made.changes.keys() {
            assert_eq!(made.context_of(name).count(&made.dot.actor), made.dot.n - 1, "{name}");
        }
        let mut forgetful = made.clone();
        forgetful.context =
            made.context.iter().filter(|(actor, _)| **actor != made.dot.actor).map(owned).collect();
        if made.dot.n > 1 {
            let mut same = record.clone();
            let refused = same.apply(&history.rules, &forgetful);
            assert!(matches!(refused, Err(Malformed::NotOwnPast { .. })), "{refused:?}");
            assert_eq!(same, record, "nothing of it is left");
        }
    }
    1
}

fn owned((actor, n): (&Actor, u64)) -> (Actor, u64) {
    (actor.clone(), n)
}

pub(crate) fn apply_commutes(rng: &mut Rng, history: &History) -> u64 {
    let straight = history.fold(&history.edits);
    assert_eq!(history.fold(history.own_order(rng)), straight);
    assert!(!history.rules.take_any_order(), "there is a counter");
    let history = history.without_counter();
    assert_eq!(history.fold(history.any_order(rng)), history.fold(&history.edits));
    1
}

/// The same edit by an author who had seen nothing but its own past.
fn blind(made: &Edit) -> Edit {
    let dot = made.dot.clone();
    Edit { context: Clock::of(dot.actor, dot.n - 1), but: VecMap::new(), ..made.clone() }
}

/// Edits as they lie in the log come to what they come to in memory, in any order and twice,
/// whether the record was looked at meanwhile or not; and so does what lies there damaged.
pub(crate) fn apply_ref_equals_apply(rng: &mut Rng, history: &History) -> u64 {
    let history = history.without_counter();
    let edits: Vec<Edit> = history.any_order(rng).into_iter().cloned().collect();
    let blind: Vec<Edit> = edits.iter().map(blind).collect();
    let plain = Rules::default();
    assert!(plain.take_any_order());
    let mut lay = 0;
    for (rules, edits) in [(&history.rules, &edits), (&plain, &edits), (&plain, &blind)] {
        let (mut straight, mut lying) = (Record::default(), Record::default());
        for at in (0..edits.len()).chain([0]) {
            let mut bytes = rmp_serde::to_vec_named(&edits[at]).unwrap();
            if let Some(edit) = EditRef::read(&bytes) {
                lying.apply_ref(rules, &edit).unwrap();
                straight.apply(rules, &edits[at]).unwrap();
                lay += 1;
            } else if rules == &history.rules {
                lying.apply(rules, &edits[at]).unwrap();
                straight.apply(rules, &edits[at]).unwrap();
            }
            if rng.u8(0..6) == 0 {
                assert_eq!(lying.clone(), straight);
            }
            if rng.u8(0..30) == 0 {
                assert_eq!(lying.met().count(), straight.met().count());
            }
            if rng.u8(0..3) > 0 {
                continue;
            }
            let place = rng.usize(0..bytes.len());
            bytes[place] = rng.u8(..);
            let (mut lying, mut straight) = (lying.clone(), straight.clone());
            if let Some(edit) = EditRef::read(&bytes) {
                let taken = lying.apply_ref(rules, &edit);
                if !matches!(taken, Err(Unfit::Unread)) {
                    let whole = rmp_serde::from_slice::<Edit>(&bytes).unwrap();
                    assert_eq!(taken.is_ok(), straight.apply(rules, &whole).is_ok());
                }
                assert_eq!(lying, straight);
            }
        }
        assert_eq!(lying, straight);
    }
    u64::from(lay > 0)
}

/// Many edits at once, as they lie in the log, come to what they come to one by one, in any order,
/// with some of them twice and some damaged, into a record that has some of them already or has
/// been looked at; what is refused is refused at the same place.
pub(crate) fn apply_batch_equals_apply_ref(rng: &mut Rng, history: &History) -> u64 {
    let history = history.without_counter();
    let edits: Vec<Edit> = history.any_order(rng).into_iter().cloned().collect();
    let blind: Vec<Edit> = edits.iter().map(blind).collect();
    let (plain, mut at_once) = (Rules::default(), 0);
    for (rules, edits) in [(&history.rules, &edits), (&plain, &edits), (&plain, &blind), (&plain, &blind)] {
        let (mut one_by_one, mut batched) = (Record::default(), Record::default());
        let mut rest: Vec<Vec<u8>> =
            edits.iter().map(|made| rmp_serde::to_vec_named(made).unwrap()).collect();
        let again = rest.get(rng.usize(0..rest.len())).unwrap().clone();
        rest.insert(rng.usize(0..rest.len()), again);
        while !rest.is_empty() {
            let mut part: Vec<Vec<u8>> = rest.drain(..rng.usize(1..rest.len() + 1)).collect();
            if rng.u8(0..4) == 0 {
                let bytes = rng.choice(&mut part).unwrap();
                let place = rng.usize(0..bytes.len());
                bytes[place] = rng.u8(..);
            }
            let part: Vec<EditRef<'_>> = part.iter().filter_map(|bytes| EditRef::read(bytes)).collect();
            let taken = part.iter().try_for_each(|edit| one_by_one.apply_ref(rules, edit));
            assert_eq!(batched.apply_batch(rules, &part), taken);
            at_once += u64::from(part.len() > 1 && taken.is_ok());
            if rng.u8(0..6) == 0 {
                assert_eq!(batched.clone(), one_by_one);
            }
            if rng.u8(0..30) == 0 {
                assert_eq!(batched.met().count(), one_by_one.met().count());
            }
        }
        assert_eq!(batched, one_by_one);
    }
    at_once.min(1)
}

/// An edit that has a name which cannot be one leaves nothing behind.
pub(crate) fn unread_leaves_nothing(rng: &mut Rng, history: &History) -> u64 {
    let history = history.without_counter();
    let edits: Vec<Edit> = history.any_order(rng).into_iter().map(blind).collect();
    let (plain, mut record, mut refused) = (Rules::default(), Record::default(), 0);
    for edit in &edits {
        let good = rmp_serde::to_vec_named(edit).unwrap();
        let mut bad = good.clone();
        let names = (0..bad.len()).filter(|at| bad[*at].is_ascii_lowercase()).collect::<Vec<_>>();
        bad[*rng.choice(&names).unwrap()] = b' ';
        if let Some(bad) = EditRef::read(&bad) {
            let before = record.clone();
            if record.apply_ref(&plain, &bad).is_err() {
                refused += 1;
                assert_eq!(record, before);
            }
        }
        if let Some(good) = EditRef::read(&good) {
            record.apply_ref(&plain, &good).unwrap();
        }
    }
    u64::from(refused > 0)
}

pub(crate) fn apply_idempotent(rng: &mut Rng, history: &History) -> u64 {
    let once = history.fold(&history.edits);
    let twice = history.fold(history.edits.iter().chain(history.own_order(rng)));
    assert_eq!(once, twice);
    1
}

pub(crate) fn join_is_lattice(rng: &mut Rng, history: &History) -> u64 {
    let [a, b, c] = [0; 3].map(|_| history.fold(history.part(rng)));
    lattice(&a, &b, &c);
    let history = history.without_counter();
    let [a, b, c] = [0; 3].map(|_| history.fold(history.some(rng)));
    lattice(&a, &b, &c);
    1
}

fn lattice(a: &Record, b: &Record, c: &Record) {
    assert_eq!(a.join(b), b.join(a), "commutative");
    assert_eq!(a.join(b).join(c), a.join(&b.join(c)), "associative");
    assert_eq!(a.join(a), *a, "idempotent");
    assert_eq!(a.join(b).join(a), a.join(b), "an upper bound");
    assert_eq!(a.join(&Record::default()), *a, "nothing is the least");
}

pub(crate) fn join_equals_apply(rng: &mut Rng, history: &History) -> u64 {
    let (some, others) = (history.part(rng), history.part(rng));
    let both = history.fold(some.iter().chain(&others).copied());
    assert_eq!(history.fold(some).join(&history.fold(others)), both);
    let history = history.without_counter();
    let (some, others) = (history.some(rng), history.some(rng));
    let both = history.fold(some.iter().chain(&others).copied());
    assert_eq!(history.fold(some).join(&history.fold(others)), both);
    1
}

pub(crate) fn one_sibling_per_actor(rng: &mut Rng, history: &History) -> u64 {
    let history = history.without_counter();
    let record = history.fold(history.some(rng)).join(&history.fold(history.some(rng)));
    let one_each = |dots: Vec<&Dot>| dots.windows(2).all(|two| two[0].actor < two[1].actor);
    for name in all_fields() {
        assert!(one_each(record.siblings(&name).iter().map(|s| &s.dot).collect()), "{name}");
    }
    assert!(one_each(record.presence_siblings().iter().map(|s| &s.dot).collect()));
    1
}

pub(crate) fn contexts_never_go_back(_: &mut Rng, history: &History) -> u64 {
    let mut said: VecMap<Actor, Clock> = VecMap::new();
    let mut of_field: VecMap<(Actor, String), Clock> = VecMap::new();
    for made in &history.edits {
        let before = said.insert(made.dot.actor.clone(), made.context.clone());
        assert!(made.context.covers(&before.unwrap_or_default()));
        for name in made.changes.keys() {
            let seen = made.context_of(name);
            assert!(made.context.covers(&seen), "an exception claims less, never more");
            let key = (made.dot.actor.clone(), name.to_string());
            let before = of_field.insert(key, seen.clone()).unwrap_or_default();
            assert!(seen.covers(&before), "{name}");
        }
    }
    1
}

/// A side that lost its memory begins again in the next epoch: its numbers mean
/// other edits, and neither life's edits say anything about the other's.
pub(crate) fn epoch_isolates(rng: &mut Rng, history: &History) -> u64 {
    let record = history.fold(&history.edits);
    let epochs = history.edits.iter().map(|made| made.dot.actor.epoch).max().unwrap();
    let mut next = edit(("a", 1), &[], "plain", "from the next epoch", 1_000);
    next.dot.actor = Actor { epoch: epochs + 1, ..actor("a") };
    let mut after = record.clone();
    after.apply(&history.rules, &next).unwrap();
    let mut dots: Vec<Dot> = record.siblings(&field("plain")).iter().map(|s| s.dot.clone()).collect();
    dots.push(next.dot.clone());
    dots.sort();
    let now: Vec<Dot> = after.siblings(&field("plain")).iter().map(|s| s.dot.clone()).collect();
    assert_eq!(now, dots, "who knows nothing removes nothing, also not of their earlier life");
    let mut first = history.fold([&next]);
    history.own_order(rng).iter().for_each(|edit| first.apply(&history.rules, edit).unwrap());
    assert_eq!(first, after);
    u64::from(epochs > 0)
}

pub(crate) fn generation_isolated(rng: &mut Rng, history: &History) -> u64 {
    let old = history.fold(&history.edits);
    let mut fresh = Record::default();
    fresh.generation = 1;
    for made in &history.edits {
        let refused = fresh.apply(&history.rules, made);
        assert!(matches!(refused, Err(Malformed::Generation { .. })));
    }
    let birth = Edit { generation: 1, ..edit(("b", 1), &[], "plain", "born again", 2_000) };
    let mut same = old.clone();
    assert!(same.apply(&history.rules, &birth).is_err());
    assert_eq!(same, old);
    fresh.apply(&history.rules, &birth).unwrap();
    assert_eq!(fresh.values(&history.rules).len(), 1, "no field of the earlier life shows");
    let partly = history.fold(history.part(rng));
    assert_eq!(fresh.join(&partly), fresh);
    assert_eq!(partly.join(&fresh), fresh);
    1
}

/// Garbage is refused or taken in, and in neither case does anything panic.
pub(crate) fn malformed_never_panics(rng: &mut Rng, history: &History) -> u64 {
    let mut record = history.fold(&history.edits);
    let (mut no, mut yes) = (0, 0);
    for _ in 0..8 {
        let garbage = garbage(rng, history);
        let before = record.clone();
        match record.apply(&history.rules, &garbage) {
            Ok(()) => yes += 1,
            Err(why) => {
                no += 1;
                assert!(!why.to_string().is_empty());
                assert_eq!(record, before, "nothing of it is left");
            }
        }
    }
    read_all(&record, &history.rules);
    read_all(&record.join(&history.fold(history.part(rng))), &history.rules);
    yes.min(no)
}

fn read_all(record: &Record, rules: &Rules) {
    for name in all_fields() {
        let decision = record.decide(rules, &name);
        assert_eq!(decision.value, record.value(rules, &name), "{name}");
        assert!(!decision.reason.to_string().is_empty());
    }
    record.conflicts(rules);
    record.presence(rules);
}

fn garbage(rng: &mut Rng, history: &History) -> Edit {
    let numbers = [0, 1, 2, 7, u64::MAX - 1, u64::MAX];
    let times = [i64::MIN, -1, 0, 50, i64::MAX];
    let huge = hms_sync_model::Decimal::parse(&"9".repeat(60)).map_or(Value::Null, Value::Number);
    let values =
        [Value::Absent, Value::Null, Value::Bool(true), huge, "w3".into(), Value::set([Value::Null])];
    let mut made = rng.choice(&history.edits).unwrap().clone();
    if rng.bool() {
        made.dot.n = *rng.choice(&numbers).unwrap();
    }
    if rng.bool() {
        made.dot.actor = if rng.bool() { operator() } else { actor("z") };
    }
    if rng.bool() {
        made.context.see(&actor("b"), *rng.choice(&numbers).unwrap());
        made.context.see(&made.dot.actor, made.dot.n.saturating_sub(1));
    }
    if rng.u8(0..4) == 0 {
        made.generation = rng.u32(0..2);
    }
    made.stamp = Stamp { low: Time(*rng.choice(&times).unwrap()), high: Time(*rng.choice(&times).unwrap()) };
    for name in all_fields() {
        if rng.u8(0..3) > 0 {
            continue;
        }
        let mut value = || rng.choice(&values).unwrap().clone();
        let change = hms_sync_model::Change { before: value(), after: value() };
        made.changes.insert(name.clone(), change);
        if rng.u8(0..4) == 0 {
            let clock = [(made.dot.actor.clone(), *rng.choice(&numbers).unwrap())];
            made.but.insert(name, clock.into_iter().collect());
        }
    }
    made
}

/// What is written down and read again is the same record.
pub(crate) fn encoding_keeps_everything(_: &mut Rng, history: &History) -> u64 {
    let record = history.fold(&history.edits);
    let bytes = rmp_serde::to_vec_named(&record).unwrap();
    assert_eq!(rmp_serde::from_slice::<Record>(&bytes).unwrap(), record);
    1
}
