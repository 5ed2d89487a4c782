//! An edit read straight from `MessagePack`: what serde would read from the form in
//! which the log keeps edits, in a fraction of the time.
//!
//! Only that form is read here. Whatever else stands in the bytes is left to serde:
//! the answer is then nothing, never something else. Never panics, never recurses,
//! and makes no room for what has not come.

use crate::{Actor, Change, Clock, Date, Decimal, Dot, Edit, FieldName, Stamp, Time, Value, VecMap};
use std::str;

/// What has not been read yet.
struct Bytes<'a>(&'a [u8]);

impl<'a> Bytes<'a> {
    fn byte(&mut self) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*first)
    }

    fn many(&mut self, n: usize) -> Option<&'a [u8]> {
        let (many, rest) = self.0.split_at_checked(n)?;
        self.0 = rest;
        Some(many)
    }

    fn big<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.many(N)?.try_into().ok()
    }

    fn text(&mut self) -> Option<&'a str> {
        let len = match self.byte()? {
            short @ 0xa0..=0xbf => usize::from(short & 0x1f),
            0xd9 => usize::from(self.byte()?),
            0xda => usize::from(u16::from_be_bytes(self.big()?)),
            0xdb => usize::try_from(u32::from_be_bytes(self.big()?)).ok()?,
            _ => return None,
        };
        str::from_utf8(self.many(len)?).ok()
    }

    fn map(&mut self) -> Option<usize> {
        match self.byte()? {
            short @ 0x80..=0x8f => Some(usize::from(short & 0x0f)),
            0xde => Some(usize::from(u16::from_be_bytes(self.big()?))),
            _ => None,
        }
    }

    /// The one map that is expected, or nothing.
    fn map_of(&mut self, len: usize) -> Option<()> {
        (self.map()? == len).then_some(())
    }

    fn key(&mut self, key: &str) -> Option<()> {
        (self.text()? == key).then_some(())
    }

    fn whole(&mut self) -> Option<i128> {
        Some(match self.byte()? {
            small @ 0x00..=0x7f => i128::from(small),
            0xcc => i128::from(self.byte()?),
            0xcd => i128::from(u16::from_be_bytes(self.big()?)),
            0xce => i128::from(u32::from_be_bytes(self.big()?)),
            0xcf => i128::from(u64::from_be_bytes(self.big()?)),
            small @ 0xe0..=0xff => i128::from(i8::from_be_bytes([small])),
            0xd0 => i128::from(i8::from_be_bytes(self.big()?)),
            0xd1 => i128::from(i16::from_be_bytes(self.big()?)),
            0xd2 => i128::from(i32::from_be_bytes(self.big()?)),
            0xd3 => i128::from(i64::from_be_bytes(self.big()?)),
            _ => return None,
        })
    }

    fn count(&mut self) -> Option<u64> {
        u64::try_from(self.whole()?).ok()
    }

    fn time(&mut self) -> Option<Time> {
        i64::try_from(self.whole()?).ok().map(Time)
    }

    fn yes_no(&mut self) -> Option<bool> {
        match self.byte()? {
            0xc2 => Some(false),
            0xc3 => Some(true),
            _ => None,
        }
    }

    fn actor(&mut self) -> Option<Actor> {
        Actor::read(self.text()?).ok()
    }

    fn dot(&mut self) -> Option<Dot> {
        self.map_of(2)?;
        self.key("actor")?;
        let actor = self.actor()?;
        self.key("n")?;
        Some(Dot { actor, n: self.count()? })
    }

    fn clock(&mut self) -> Option<Clock> {
        match self.map()? {
            0 => Some(Clock::new()),
            1 => Some((self.actor()?, self.count()?))
                .filter(|(_, n)| *n > 0)
                .map(|(actor, n)| Clock::of(actor, n)),
            several => {
                let mut clock = Clock::new();
                for _ in 0..several {
                    let (actor, n) = (self.actor()?, self.count()?);
                    // Twice the same, or nothing of somebody, is none of ours.
                    if n == 0 || clock.count(&actor) > 0 {
                        return None;
                    }
                    clock.see(&actor, n);
                }
                Some(clock)
            }
        }
    }

    fn value(&mut self) -> Option<Value> {
        match self.0.first()? {
            0x81 => self.map_of(1)?,
            _ => {
                return match self.text()? {
                    "a" => Some(Value::Absent),
                    "n" => Some(Value::Null),
                    _ => None,
                };
            }
        }
        Some(match self.text()? {
            "t" => Value::text(self.text()?),
            "b" => Value::Bool(self.yes_no()?),
            "#" => Value::Number(Decimal::parse(self.text()?).ok()?),
            "d" => Value::Date(Date(i32::try_from(self.whole()?).ok()?)),
            "i" => Value::Datetime(self.time()?),
            "j" => Value::Json(self.text()?.into()),
            _ => return None,
        })
    }

    fn change(&mut self) -> Option<Change> {
        self.map_of(2)?;
        self.key("before")?;
        let before = self.value()?;
        self.key("after")?;
        Some(Change { before, after: self.value()? })
    }

    fn changes(&mut self) -> Option<VecMap<FieldName, Change>> {
        let mut changes = VecMap::new();
        for _ in 0..self.map()? {
            let field = FieldName::read(self.text()?).ok()?;
            changes.insert(field, self.change()?);
        }
        Some(changes)
    }

    fn stamp(&mut self) -> Option<Stamp> {
        self.map_of(2)?;
        self.key("low")?;
        let low = self.time()?;
        self.key("high")?;
        Some(Stamp { low, high: self.time()? })
    }
}

impl Edit {
    /// The edit in `bytes`, if it stands there as the log keeps it and nothing else does.
    /// Nothing means that serde is to be asked, not that there is none.
    pub fn unpack(bytes: &[u8]) -> Option<Self> {
        let mut bytes = Bytes(bytes);
        let (mut dot, mut context, mut changes, mut stamp) = (None, None, None, None);
        let (mut generation, mut deletes, mut certain) = (None, None, None);
        for _ in 0..bytes.map()? {
            // A key that comes twice is none of ours.
            let new = match bytes.text()? {
                "d" => dot.replace(bytes.dot()?).is_none(),
                "c" => context.replace(bytes.clock()?).is_none(),
                "f" => changes.replace(bytes.changes()?).is_none(),
                "t" => stamp.replace(bytes.stamp()?).is_none(),
                "g" => generation.replace(u32::try_from(bytes.whole()?).ok()?).is_none(),
                "del" => deletes.replace(bytes.yes_no()?).is_none(),
                "ok" => certain.replace(bytes.yes_no()?).is_none(),
                _ => false,
            };
            if !new {
                return None;
            }
        }
        bytes.0.is_empty().then_some(())?;
        Some(Self {
            generation: generation.unwrap_or(0),
            dot: dot?,
            context: context?,
            but: VecMap::new(),
            changes: changes?,
            deletes: deletes.unwrap_or(false),
            stamp: stamp?,
            certain: certain.unwrap_or(true),
        })
    }
}

#[cfg(test)]
mod tests {
    use crate::{Actor, Author, Change, Clock, Dot, Edit, FieldName, SideName, Stamp, Time, Value};
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
}
