//! Edits as nobody should make them: contexts from the future, contexts that leave out
//! what others had seen, dots out of range, clocks at the ends of time. Each is refused
//! or taken in by the same rule as any other, nothing panics, and another order of
//! arrival gives the same.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests may panic")]

use fastrand::Rng;
use hms_sync_model::{
    Actor, Author, Change, Clock, Dot, Edit, ElementKey, FieldName, FieldType, SideName, Stamp, Time, Value,
    VecMap,
};
use hms_sync_resolver::{Expression, FieldRule, Group, Kind, Malformed, Owner, Policy, Record, Rules};

/// 1601-01-01 and 9999-12-31, and what no calendar has.
const TIMES: [i64; 6] = [-11_644_473_600_000_000, 253_402_300_799_999_999, i64::MIN, i64::MAX, 0, 1];

fn field(name: &str) -> FieldName {
    FieldName::try_new(name).unwrap()
}

fn side(name: &str) -> SideName {
    SideName::try_new(name).unwrap()
}

fn rules(rng: &mut Rng) -> Rules {
    let chain = |rng: &mut Rng| {
        let policy = match rng.u8(0..8) {
            0 => Policy::LastWriterWins,
            1 => Policy::FirstWriterWins,
            2 => Policy::Prefer(vec![side("nobody"), side("b")]),
            3 => Policy::Precedence(vec!["no such value".into(), "v1".into()]),
            4 => Policy::Max,
            5 => Policy::MergeText,
            6 => Policy::Expression(Expression::of_siblings("siblings[1].value ~ siblings[0].at").unwrap()),
            _ => Policy::Manual,
        };
        vec![policy]
    };
    let of = |kind| FieldRule { kind, ..FieldRule::default() };
    let owner = Some(Owner { side: side("nobody"), unless_blank: false });
    let group = Group {
        name: "g".to_owned(),
        fields: vec![field("lead"), field("member")],
        lead: field("lead"),
        resolve: chain(rng),
        locks: vec!["v2".into()],
    };
    Rules::builder()
        .field(field("plain"), FieldRule { resolve: chain(rng), ..FieldRule::default() })
        .field(field("locked"), FieldRule { locks: vec!["v1".into()], ..FieldRule::default() })
        .field(field("owned"), FieldRule { owner, ..FieldRule::default() })
        .field(field("blank"), FieldRule { fills_blank: vec![side("a")], ..FieldRule::default() })
        .field(field("tags"), of(Kind::Set { remove_wins: rng.bool() }))
        .field(field("lines"), FieldRule { ty: by_key(), ..of(Kind::Set { remove_wins: rng.bool() }) })
        .group(group)
        .build()
        .unwrap()
}

/// Objects that are known by their `id`.
fn by_key() -> FieldType {
    FieldType::Set(Box::new(FieldType::Object(ElementKey::new(["id"]))))
}

/// Objects, and what is no object or has no key.
fn objects(rng: &mut Rng) -> Value {
    let all =
        ["{}", "1", "no json", r#"{"id":1}"#, r#"{"id":1,"n":2}"#, r#"{"id":2,"n":[{}]}"#, r#"{"id":{}}"#];
    let some = all.iter().filter(|_| rng.bool()).map(|text| Value::Json((*text).into()));
    let some: Vec<Value> = some.collect();
    if rng.u8(0..8) == 0 { "no set".into() } else { Value::set(some) }
}

/// An edit whose context says whatever it likes of others.
fn edit(rng: &mut Rng) -> Edit {
    let actor = match rng.u8(0..5) {
        0 => Actor { author: Author::Operator, epoch: 0 },
        n => {
            Actor { author: Author::Side(side(["a", "b", "c"][usize::from(n % 3)])), epoch: u32::from(n) / 4 }
        }
    };
    let n = [1, 2, 3, u64::MAX, 0][rng.usize(0..5)];
    let clock = |rng: &mut Rng, own: u64| {
        let mut context = Clock::new();
        for name in ["a", "b", "c"] {
            context.see(&Actor::side(side(name)), [0, 0, 1, 2, u64::MAX][rng.usize(0..5)]);
        }
        context = context.without(|other| *other == actor);
        context.see(&actor, own);
        context
    };
    let own = if rng.u8(0..12) == 0 { n } else { n.saturating_sub(1) };
    let context = clock(rng, own);
    let names = ["plain", "locked", "owned", "blank", "tags", "lines", "stranger"];
    let mut touched: Vec<&str> = names.into_iter().filter(|_| rng.bool()).collect();
    if rng.bool() {
        touched.extend(["lead", "member"]);
    }
    let changes: VecMap<FieldName, Change> = touched
        .into_iter()
        .map(|name| {
            let value = |rng: &mut Rng| match (name, rng.u8(0..6)) {
                ("tags", n) => Value::set([Value::from(i64::from(n)), "x".into()]),
                ("lines", _) => objects(rng),
                (_, 0) => Value::Null,
                (_, 1) => Value::Absent,
                (_, 2) => Value::Datetime(Time(TIMES[rng.usize(0..6)])),
                (_, n) => Value::from(format!("v{n}").as_str()),
            };
            (field(name), Change { before: value(rng), after: value(rng) })
        })
        .collect();
    let but = if rng.u8(0..4) == 0 { Some((field("plain"), clock(rng, 0))) } else { None };
    let mut time = || Time(TIMES[rng.usize(0..6)]);
    let stamp = Stamp { low: time(), high: time() };
    Edit {
        generation: 0,
        dot: Dot { actor, n },
        context,
        but: but.into_iter().collect(),
        changes,
        deletes: rng.u8(0..6) == 0,
        stamp,
        certain: rng.bool(),
    }
}

#[test]
fn whatever_is_taken_in_is_the_same_in_every_order() {
    let (mut taken, mut refused) = (0, 0);
    for seed in 0..6_000 {
        let mut rng = Rng::with_seed(seed);
        let rules = rules(&mut rng);
        let mut edits: Vec<Edit> = Vec::new();
        for _ in 0..rng.usize(2..10) {
            let edit = edit(&mut rng);
            // A dot is one edit, whatever else is wrong.
            if !edits.iter().any(|other| other.dot == edit.dot) {
                edits.push(edit);
            }
        }
        edits.retain(|edit| {
            let answer = Record::default().apply(&rules, edit);
            *if answer.is_ok() { &mut taken } else { &mut refused } += 1;
            answer.is_ok()
        });
        let fold = |edits: &[Edit]| {
            let mut record = Record::default();
            edits.iter().for_each(|edit| record.apply(&rules, edit).unwrap());
            record
        };
        let one = fold(&edits);
        rng.shuffle(&mut edits);
        edits.extend(edits.first().cloned());
        let other = fold(&edits);
        assert_eq!(one, other, "seed {seed}: {edits:#?}");
        for name in one.field_names() {
            assert_eq!(one.decide(&rules, name), other.decide(&rules, name), "seed {seed}: {name}");
        }
        assert_eq!(one.presence(&rules), other.presence(&rules));
        let bytes = rmp_serde::to_vec_named(&one).unwrap();
        assert_eq!(rmp_serde::from_slice::<Record>(&bytes).unwrap(), one, "seed {seed}");
    }
    assert!(taken > 10_000 && refused > 1_000, "{taken} taken, {refused} refused");
}

#[test]
fn what_is_out_of_range_is_refused_with_words() {
    let mut rng = Rng::with_seed(1);
    let sound = std::iter::repeat_with(|| edit(&mut rng)).find(|e| e.dot.n == 2 && e.but.is_empty()).unwrap();
    let refused = |edit: &Edit| Record::default().apply(&Rules::default(), edit).unwrap_err();
    let dot = |n| Dot { n, ..sound.dot.clone() };
    assert_eq!(refused(&Edit { dot: dot(0), ..sound.clone() }), Malformed::NoNumber(dot(0)));
    let ahead = refused(&Edit { dot: dot(u64::MAX), ..sound.clone() });
    assert!(ahead.to_string().contains("had seen"), "{ahead}");
    let other = refused(&Edit { generation: 3, ..sound });
    assert!(other.to_string().contains("generation 3"), "{other}");
}
