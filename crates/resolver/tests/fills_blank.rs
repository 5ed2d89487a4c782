//! A side that fills blanks: its edits count while the others have nothing there, and
//! the order of arrival is invisible.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests may panic")]

use fastrand::Rng;
use hms_sync_model::{
    Actor, Author, Change, Clock, Dot, Edit, FieldName, SideName, Stamp, Time, Value, VecMap,
};
use hms_sync_resolver::{FieldRule, Group, InvalidRules, Kind, Owner, Policy, Record, Rules};

fn side(name: &str) -> SideName {
    SideName::try_new(name).unwrap()
}

fn field() -> FieldName {
    FieldName::try_new("phone").unwrap()
}

fn filling() -> FieldRule {
    FieldRule { fills_blank: vec![side("filler")], resolve: vec![Policy::Max], ..FieldRule::default() }
}

fn rules() -> Rules {
    Rules::builder().field(field(), filling()).build().unwrap()
}

fn actor(name: &str) -> Actor {
    match name {
        "operator" => Actor { author: Author::Operator, epoch: 0 },
        "engine" => Actor { author: Author::Engine, epoch: 0 },
        name => Actor::side(side(name)),
    }
}

/// An edit of one who had seen `context`.
fn edit(name: &str, context: &Clock, after: &str, at: i64) -> Edit {
    let actor = actor(name);
    let after = if after.is_empty() { Value::Null } else { after.into() };
    let change = Change { before: Value::Absent, after };
    Edit {
        generation: 0,
        dot: Dot { n: context.count(&actor) + 1, actor },
        context: context.clone(),
        but: VecMap::new(),
        changes: [(field(), change)].into_iter().collect(),
        deletes: false,
        stamp: Stamp::at(Time(at)),
        certain: true,
    }
}

/// The value after edits, each made by somebody who had seen all before.
fn after(edits: &[(&str, &str)]) -> Value {
    let (rules, mut record) = (rules(), Record::default());
    for (at, (name, value)) in edits.iter().enumerate() {
        let edit = edit(name, &record.clock.clone(), value, i64::try_from(at).unwrap());
        record.apply(&rules, &edit).unwrap();
    }
    record.value(&rules, &field())
}

#[test]
fn fills_what_is_blank_and_nothing_else() {
    for (edits, expected) in [
        (&[("filler", "1")][..], "1"),
        (&[("filler", "1"), ("filler", "2")], "2"),
        (&[("clerk", "5"), ("filler", "1")], "5"),
        (&[("filler", "1"), ("clerk", "5")], "5"),
        (&[("filler", "1"), ("clerk", "5"), ("clerk", ""), ("filler", "2")], "2"),
        (&[("clerk", "5"), ("marshal", "6"), ("filler", "9")], "6"),
        (&[("clerk", "5"), ("operator", "7"), ("filler", "9")], "7"),
        (&[("clerk", ""), ("filler", "9")], "9"),
        // Writing down what stands makes no filler's value anybody else's.
        (&[("filler", "1"), ("engine", "1"), ("clerk", "5"), ("filler", "9")], "5"),
        (&[("filler", "1"), ("engine", "1"), ("filler", "9")], "9"),
    ] {
        assert_eq!(after(edits), expected.into(), "{edits:?}");
    }
}

/// In every order of arrival, and whoever had seen whom: the value of those who do not
/// merely fill, if any of theirs is filled in.
#[test]
fn order_is_invisible() {
    let rules = rules();
    for seed in 0..3_000 {
        let mut rng = Rng::with_seed(seed);
        let names = ["clerk", "marshal", "filler", "operator"];
        let mut views: Vec<Record> = names.iter().map(|_| Record::default()).collect();
        let mut edits = Vec::new();
        for at in 0..rng.i64(2..9) {
            let who = rng.usize(0..names.len());
            if rng.bool() {
                views[who] = views[who].join(&views[rng.usize(0..names.len())]);
            }
            let value = ["", "1", "2", "3"][rng.usize(0..4)];
            let edit = edit(names[who], &views[who].clock.clone(), value, at);
            views[who].apply(&rules, &edit).unwrap();
            edits.push(edit);
        }
        let fold = |edits: &[Edit]| {
            let mut record = Record::default();
            edits.iter().for_each(|edit| record.apply(&rules, edit).unwrap());
            record
        };
        let record = fold(&edits);
        rng.shuffle(&mut edits);
        assert_eq!(fold(&edits), record, "seed {seed}");
        let lives = |e: &&Edit| !edits.iter().any(|other| other.context.has(&e.dot));
        let counts = |e: &&Edit| e.dot.actor != actor("filler");
        let of_others = |e: &&Edit| !edits.iter().filter(counts).any(|other| other.context.has(&e.dot));
        let value = |e: &Edit| e.changes.get(&field()).unwrap().after.clone();
        let others: Vec<Value> = edits.iter().filter(counts).filter(of_others).map(value).collect();
        let filled = others.iter().filter(|v| !v.is_blank()).max();
        let anybody = edits.iter().filter(lives).map(value).filter(|v| !v.is_blank()).max();
        let expected = filled.or(anybody.as_ref()).cloned().unwrap_or(Value::Null);
        assert_eq!(record.value(&rules, &field()), expected, "seed {seed}: {edits:?}");
    }
}

#[test]
fn what_it_does_not_go_with() {
    let built = |rule: FieldRule| Rules::builder().field(field(), rule).build();
    let refused = Err(InvalidRules::FilledAndRuled(field()));
    let owner = Some(Owner { side: side("clerk"), unless_blank: true });
    assert_eq!(built(FieldRule { owner, ..filling() }), refused);
    assert_eq!(built(FieldRule { locks: vec!["1".into()], ..filling() }), refused);
    assert_eq!(built(FieldRule { kind: Kind::Counter, resolve: Vec::new(), ..filling() }), refused);
    let other = FieldName::try_new("other").unwrap();
    let (name, fields, lead) = ("g".to_owned(), vec![field(), other], field());
    let group = Group { name, fields, lead, resolve: Vec::new(), locks: Vec::new() };
    assert_eq!(Rules::builder().field(field(), filling()).group(group).build(), refused);
}
