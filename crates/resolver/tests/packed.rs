//! A record's snapshot: it comes back as it was, also from before it was packed, and
//! whatever else is read makes nothing panic.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests may panic")]

use fastrand::Rng;
use hms_sync_model::{
    Actor, Author, Change, Clock, Date, Decimal, Dot, Edit, FieldName, SideName, Stamp, Time, Value, VecMap,
};
use hms_sync_resolver::{FieldRule, Kind, Owner, Record, Rules};
use serde::Serialize;

fn field(name: &str) -> FieldName {
    FieldName::try_new(name).unwrap()
}

fn rules() -> Rules {
    let owner = Some(Owner { side: SideName::try_new("a").unwrap(), unless_blank: true });
    let kind = |kind| FieldRule { kind, ..FieldRule::default() };
    Rules::builder()
        .field(field("owned"), FieldRule { owner, ..FieldRule::default() })
        .field(field("tags"), kind(Kind::Set { remove_wins: false }))
        .field(field("visits"), kind(Kind::Counter))
        .build()
        .unwrap()
}

fn value(rng: &mut Rng) -> Value {
    match rng.u8(0..11) {
        0 => Value::Absent,
        1 => Value::Null,
        2 => Value::Bool(rng.bool()),
        3 => Value::Number(Decimal::parse("-12.50").unwrap()),
        4 => Value::Date(Date(rng.i32(..))),
        5 => Value::Datetime(Time(rng.i64(..))),
        6 => Value::Json("{\"a\":1}".into()),
        7 => Value::set([Value::from("x"), Value::set([Value::Null])]),
        8 => Value::from("long ".repeat(rng.usize(0..60)).as_str()),
        _ => Value::from(rng.i64(0..9)),
    }
}

fn time(rng: &mut Rng) -> Time {
    Time(match rng.u8(0..5) {
        0 => rng.i64(..),
        1 => i64::MIN,
        2 => i64::MAX,
        3 => rng.i64(0..100) * 1_000_000,
        _ => rng.i64(0..100) * 1_000,
    })
}

#[derive(Serialize)]
struct Bytes<'a>(#[serde(serialize_with = "as_bytes")] &'a [u8]);

fn as_bytes<S: serde::Serializer>(bytes: &&[u8], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_bytes(bytes)
}

/// A record after some edits by many, of whom some had seen some.
fn record(rng: &mut Rng) -> Record {
    let (rules, mut record) = (rules(), Record::default());
    record.generation = rng.u32(0..3);
    let actors = rng.u32(1..7);
    for _ in 0..rng.usize(0..14) {
        let author = match rng.u8(0..4) {
            0 => Author::Operator,
            1 => Author::Engine,
            _ => Author::Side(SideName::try_new(["a", "bc", "d@e.f"][rng.usize(0..3)]).unwrap()),
        };
        let actor = Actor { author, epoch: rng.u32(0..actors) };
        let n = record.clock.count(&actor) + 1 + if rng.u8(0..9) == 0 { 300 } else { 0 };
        let mut context = Clock::new();
        for (other, n) in record.clock.iter().filter(|_| rng.bool()) {
            context.see(other, n);
        }
        context.see(&actor, n - 1);
        let names = ["plain", "owned", "tags", "visits", "other"];
        let touched: Vec<&str> = names.into_iter().filter(|_| rng.bool()).collect();
        let changes = touched.into_iter().map(|name| {
            let change = match name {
                "tags" => Change { before: Value::set([]), after: Value::set([value(rng), value(rng)]) },
                "visits" => Change { before: Value::from(1), after: Value::from(rng.i64(0..9)) },
                _ => Change { before: value(rng), after: value(rng) },
            };
            (field(name), change)
        });
        let changes: VecMap<FieldName, Change> = changes.collect();
        let edit = Edit {
            generation: record.generation,
            dot: Dot { actor, n },
            context,
            but: VecMap::new(),
            changes,
            deletes: rng.u8(0..9) == 0,
            stamp: Stamp { low: time(rng), high: time(rng) },
            certain: true,
        };
        record.apply(&rules, &edit).unwrap();
    }
    record
}

#[test]
fn comes_back_as_it_was() {
    for seed in 0..20_000 {
        let record = record(&mut Rng::with_seed(seed));
        let bytes = rmp_serde::to_vec_named(&record).unwrap();
        assert_eq!(rmp_serde::from_slice::<Record>(&bytes).unwrap(), record, "seed {seed}");
    }
}

#[test]
fn any_bytes_make_nothing_panic() {
    let mut read = 0;
    for seed in 0..20_000 {
        let mut rng = Rng::with_seed(seed);
        let whole = rmp_serde::to_vec_named(&record(&mut rng)).unwrap();
        let header = if whole[0] == 0xc4 { 2 } else { 3 };
        let mut bytes = whole[header..].to_vec();
        for _ in 0..rng.usize(1..4) {
            let at = rng.usize(0..bytes.len());
            bytes[at] = rng.u8(..);
        }
        bytes.truncate(rng.usize(0..bytes.len() * 2).max(1));
        let packed = rmp_serde::to_vec(&Bytes(&bytes)).unwrap();
        if let Ok(record) = rmp_serde::from_slice::<Record>(&packed) {
            read += 1;
            let again = rmp_serde::to_vec_named(&record).unwrap();
            drop(rmp_serde::from_slice::<Record>(&again));
        }
    }
    assert!(read > 100, "{read}");
}

/// As records were packed before texts were written after each other: the seed that
/// each was drawn from, and its bytes.
#[test]
fn what_was_packed_in_the_first_form_still_opens() {
    let mut read = 0;
    for line in include_str!("golden/form_1.txt").lines() {
        let (seed, hex) = line.split_once(' ').unwrap();
        let bytes: Vec<u8> =
            (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect();
        let packed = rmp_serde::to_vec(&Bytes(&bytes)).unwrap();
        let drawn = record(&mut Rng::with_seed(seed.parse().unwrap()));
        assert_eq!(rmp_serde::from_slice::<Record>(&packed).unwrap(), drawn, "seed {seed}");
        read += 1;
    }
    assert!(read > 20, "{read}");
}

/// What few bytes may make is bounded: no text takes more than 64 bytes of the one before.
#[test]
fn texts_that_begin_alike_take_little_and_make_little() {
    let long = |end: u32| format!("{}{end}", "Grand Rue 12, Luxembourg, ".repeat(4));
    let mut record = Record::default();
    for n in 1..=9_u32 {
        let side = SideName::try_new(format!("s{n}")).unwrap();
        let change = Change { before: Value::Absent, after: Value::from(long(n).as_str()) };
        let edit = Edit {
            generation: 0,
            dot: Dot { actor: Actor::side(side), n: 1 },
            context: Clock::new(),
            but: VecMap::new(),
            changes: [(field("address"), change)].into_iter().collect(),
            deletes: false,
            stamp: Stamp::at(Time(0)),
            certain: true,
        };
        record.apply(&rules(), &edit).unwrap();
    }
    let bytes = rmp_serde::to_vec_named(&record).unwrap();
    assert!(bytes.len() < 105 + 9 * (105 - 64 + 15), "{}", bytes.len());
    assert_eq!(rmp_serde::from_slice::<Record>(&bytes).unwrap(), record);
}

/// As snapshots were until now: a map, field by field.
#[test]
fn what_was_kept_before_it_was_packed_still_opens() {
    #[derive(Serialize)]
    struct Kept {
        s: Vec<u8>,
        c: Clock,
    }
    #[derive(Serialize)]
    struct Named {
        g: u32,
        p: Kept,
        c: Clock,
    }
    let actor = Actor::side(SideName::try_new("a").unwrap());
    let clock: Clock = [(actor, 3)].into_iter().collect();
    let old = Named { g: 2, p: Kept { s: Vec::new(), c: clock.clone() }, c: clock };
    let record: Record = rmp_serde::from_slice(&rmp_serde::to_vec_named(&old).unwrap()).unwrap();
    assert_eq!((record.generation, record.clock.to_string().as_str()), (2, "a:3"));
}
