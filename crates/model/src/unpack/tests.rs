//! What is read is what serde reads; lies about lengths make no room.

use crate::{Actor, Author, Change, Clock, Dot, Edit, FieldName, SideName, Stamp, Time, Value};
use hms_sync_hostile::Reader;
use proptest::prelude::*;

fn actor() -> impl Strategy<Value = Actor> {
    let author = prop_oneof![
        "[a-c]{1,9}".prop_map(|name| Author::Side(SideName::try_new(name).unwrap())),
        Just(Author::Operator),
        Just(Author::Engine),
    ];
    (author, 0_u32..3).prop_map(|(author, epoch)| Actor { author, epoch })
}

fn value() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Absent),
        Just(Value::Null),
        any::<bool>().prop_map(Value::Bool),
        any::<i64>().prop_map(Value::from),
        "\\PC{0,40}".prop_map(|text| Value::from(text.as_str())),
        any::<i32>().prop_map(|day| Value::Date(crate::Date(day))),
        any::<i64>().prop_map(|at| Value::Datetime(Time(at))),
        Just(Value::Json("[1]".into())),
        Just(Value::set([Value::from("a")])),
    ]
}

fn clock() -> impl Strategy<Value = Clock> {
    prop::collection::vec((actor(), 1_u64..u64::MAX), 0..4).prop_map(|pairs| pairs.into_iter().collect())
}

prop_compose! {
    fn edit()(
        generation in 0_u32..2, actor in actor(), n in any::<u64>(), context in clock(),
        but in prop::option::weighted(0.1, clock()), flags in any::<[bool; 2]>(), low in any::<i64>(),
        high in any::<i64>(),
        changes in prop::collection::vec(("[a-z]{1,12}", value(), value()), 0..4),
    ) -> Edit {
        let field = |name: String| FieldName::try_new(name).unwrap();
        let change = |(name, before, after)| (field(name), Change { before, after });
        Edit {
            generation,
            dot: Dot { actor, n },
            context,
            but: but.map(|clock| (field("f".to_owned()), clock)).into_iter().collect(),
            changes: changes.into_iter().map(change).collect(),
            deletes: flags[0],
            stamp: Stamp { low: Time(low), high: Time(high) },
            certain: flags[1],
        }
    }
}

proptest! {
    /// What is read is what serde reads, and what the log mostly holds is read here.
    #[test]
    fn reads_what_serde_reads(edit in edit()) {
        let bytes = rmp_serde::to_vec_named(&edit).unwrap();
        let sets = edit.changes.values().any(|c| [&c.before, &c.after].iter().any(|v| matches!(v, Value::Set(_))));
        let read = Edit::unpack(&bytes);
        prop_assert_eq!(read.is_some(), edit.but.is_empty() && !sets);
        prop_assert!(read.is_none_or(|read| read == edit));
    }

    /// Of other bytes nothing is read that serde would not read, and nothing panics.
    #[test]
    fn reads_nothing_that_serde_would_not(
        edit in edit(),
        places in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        cut in any::<prop::sample::Index>(),
    ) {
        let mut bytes = rmp_serde::to_vec_named(&edit).unwrap();
        for (place, byte) in places {
            let at = place.index(bytes.len());
            bytes[at] = byte;
        }
        let short = cut.index(bytes.len());
        for bytes in [&bytes[..], &bytes[..short]] {
            if let Some(read) = Edit::unpack(bytes) {
                prop_assert_eq!(rmp_serde::from_slice::<Edit>(bytes).unwrap(), read);
            }
        }
    }
}

#[test]
fn lengths_that_lie_make_no_room() {
    let field = [b"\x81\xa1f\xde\xff\xff".as_slice(), &[0xa1, b'a'], &[0x82]].concat();
    for bytes in [&field[..], b"\x8f", b"\xde\xff\xff", b"\xdb\xff\xff\xff\xff", b""] {
        assert_eq!(Edit::unpack(bytes), None);
    }
}

/// Nothing is read that serde would not read, and both read the same.
#[test]
fn hostile_edits() {
    let side = |name: &str| Actor { author: Author::Side(SideName::try_new(name).unwrap()), epoch: 2 };
    let edit = |changes: Vec<(&str, Value, Value)>, context: Vec<(Actor, u64)>| {
        let change = |(name, before, after)| (FieldName::try_new(name).unwrap(), Change { before, after });
        let edit = Edit {
            generation: 1,
            dot: Dot { actor: side("clerk"), n: 300 },
            context: context.into_iter().collect(),
            but: crate::VecMap::new(),
            changes: changes.into_iter().map(change).collect(),
            deletes: false,
            stamp: Stamp { low: Time(-5), high: Time(1_795_000_000_000_000) },
            certain: true,
        };
        rmp_serde::to_vec_named(&edit).unwrap()
    };
    let text = |text: &str| Value::from(text);
    Reader::new("edits")
        .sound([
            edit(vec![("status", text("pending"), text("approved"))], vec![(side("marshal"), 7)]),
            edit(vec![], vec![]),
            edit(
                vec![
                    ("a", Value::Absent, Value::Null),
                    ("b", Value::Bool(true), Value::from(-7)),
                    ("c", Value::Date(crate::Date(-1)), Value::Datetime(Time(i64::MIN))),
                    ("d", Value::Json("[1]".into()), text(&"long ".repeat(60))),
                ],
                vec![(side("clerk"), 1), (side("x"), u64::MAX)],
            ),
        ])
        .words([
            &b"\x81"[..],
            b"\xa1",
            b"\xde\xff\xff",
            b"\xdb\xff\xff\xff\xff",
            b"\xc0",
            b"\xcf",
            b"\xd3",
            b"clerk",
        ])
        .bytes(|bytes| {
            let read = Edit::unpack(bytes);
            if let Some(read) = &read {
                assert_eq!(&rmp_serde::from_slice::<Edit>(bytes).unwrap(), read);
            }
            read.is_some()
        });
}
