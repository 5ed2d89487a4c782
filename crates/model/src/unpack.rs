//! An edit as it lies in `MessagePack`: what serde would read from the form in which the
//! log keeps edits, in a fraction of the time, and without taking any memory.
//!
//! Only that form is read here. Whatever else stands in the bytes is left to serde:
//! the answer is then nothing, never something else. Never panics, never recurses,
//! and makes no room for what has not come.

use crate::{Actor, Change, Clock, Date, Decimal, Dot, Edit, FieldName, Stamp, Time, Value, VecMap};
use std::str;

/// An edit of which names and values still lie where they came.
///
/// What [`EditRef::read`] lets through is laid out as an edit is, but its names are not
/// checked yet: [`EditRef::to_edit`] does that, and whoever looks them up among checked
/// ones need not.
#[derive(Debug, Clone, Copy)]
pub struct EditRef<'a> {
    /// The record's generation.
    pub generation: u32,
    /// Who made it, as [`Actor`] is written.
    pub actor: &'a str,
    /// 1 for the actor's first edit of the record.
    pub n: u64,
    /// Whether the edit deletes the record.
    pub deletes: bool,
    /// When it can have happened.
    pub stamp: Stamp,
    /// Whether what its author had seen could be found out.
    pub certain: bool,
    context: Many<'a, (&'a str, u64)>,
    changes: Many<'a, ChangeRef<'a>>,
}

/// A field's change that still lies where it came.
#[derive(Debug, Clone, Copy)]
pub struct ChangeRef<'a> {
    /// The field.
    pub field: &'a str,
    /// What its author saw there before.
    pub before: ValueRef<'a>,
    /// What its author left there.
    pub after: ValueRef<'a>,
}

/// A value that still lies where it came. Sets and sealed values never do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ValueRef<'a> {
    /// [`Value::Absent`].
    Absent,
    /// [`Value::Null`].
    Null,
    /// [`Value::Bool`].
    Bool(bool),
    /// [`Value::Number`], in its canonical text.
    Number(&'a str),
    /// [`Value::Text`].
    Text(&'a str),
    /// [`Value::Date`].
    Date(Date),
    /// [`Value::Datetime`].
    Datetime(Time),
    /// [`Value::Json`].
    Json(&'a str),
}

/// Entries of a map: the first, as most have one, and where the others lie.
#[derive(Debug, Clone, Copy)]
struct Many<'a, T> {
    len: usize,
    first: Option<T>,
    rest: Bytes<'a>,
}

impl<'a, T: Copy> Many<'a, T> {
    /// Reads over a map. Keys must ascend, as they do in the log.
    fn read(
        bytes: &mut Bytes<'a>,
        read: impl Fn(&mut Bytes<'a>) -> Option<T>,
        ascend: impl Fn(T, T) -> bool,
    ) -> Option<Self> {
        let len = bytes.map()?;
        if len == 0 {
            return Some(Self { len, first: None, rest: *bytes });
        }
        let first = read(bytes)?;
        let (rest, mut last) = (*bytes, first);
        for _ in 1..len {
            let next = read(bytes)?;
            if !ascend(last, next) {
                return None;
            }
            last = next;
        }
        Some(Self { len, first: Some(first), rest })
    }

    fn iter(&self, read: impl Fn(&mut Bytes<'a>) -> Option<T>) -> impl Iterator<Item = T> {
        let (mut rest, more) = (self.rest, self.len.saturating_sub(1));
        self.first.into_iter().chain((0..more).map_while(move |_| read(&mut rest)))
    }
}

/// What has not been read yet.
#[derive(Debug, Clone, Copy)]
struct Bytes<'a>(&'a [u8]);

impl<'a> Bytes<'a> {
    #[inline]
    fn byte(&mut self) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*first)
    }

    #[inline]
    fn many(&mut self, n: usize) -> Option<&'a [u8]> {
        let (many, rest) = self.0.split_at_checked(n)?;
        self.0 = rest;
        Some(many)
    }

    #[inline]
    fn big<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (many, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(*many)
    }

    /// The bytes that are expected, or nothing.
    #[inline]
    fn just<const N: usize>(&mut self, expected: &[u8; N]) -> Option<()> {
        let (found, rest) = self.0.split_first_chunk::<N>()?;
        if found != expected {
            return None;
        }
        self.0 = rest;
        Some(())
    }

    /// The key that is expected, if it comes next: of so many it is one.
    #[inline]
    fn key<const N: usize>(&mut self, left: &mut usize, key: &[u8; N]) -> Option<()> {
        let fewer = left.checked_sub(1)?;
        self.just(key)?;
        *left = fewer;
        Some(())
    }

    #[inline]
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

    #[inline]
    fn count(&mut self) -> Option<u64> {
        match self.byte()? {
            small @ 0x00..=0x7f => Some(small.into()),
            0xcc => Some(self.byte()?.into()),
            0xcd => Some(u16::from_be_bytes(self.big()?).into()),
            0xce => Some(u32::from_be_bytes(self.big()?).into()),
            0xcf => Some(u64::from_be_bytes(self.big()?)),
            0xd0 => u64::try_from(i8::from_be_bytes(self.big()?)).ok(),
            0xd1 => u64::try_from(i16::from_be_bytes(self.big()?)).ok(),
            0xd2 => u64::try_from(i32::from_be_bytes(self.big()?)).ok(),
            0xd3 => u64::try_from(i64::from_be_bytes(self.big()?)).ok(),
            _ => None,
        }
    }

    #[inline]
    fn whole(&mut self) -> Option<i64> {
        match *self.0.first()? {
            0xe0..=0xff => self.byte().map(|small| i8::from_be_bytes([small]).into()),
            0xd0..=0xd3 => Some(match self.byte()? {
                0xd0 => i8::from_be_bytes(self.big()?).into(),
                0xd1 => i16::from_be_bytes(self.big()?).into(),
                0xd2 => i32::from_be_bytes(self.big()?).into(),
                _ => i64::from_be_bytes(self.big()?),
            }),
            _ => i64::try_from(self.count()?).ok(),
        }
    }

    fn yes_no(&mut self) -> Option<bool> {
        match self.byte()? {
            0xc2 => Some(false),
            0xc3 => Some(true),
            _ => None,
        }
    }

    fn dot(&mut self) -> Option<(&'a str, u64)> {
        self.just(b"\x82\xa5actor")?;
        let actor = self.text()?;
        self.just(b"\xa1n")?;
        Some((actor, self.count()?))
    }

    /// An entry of a clock, mostly of the one whose name is known already.
    #[inline]
    fn entry_after(&mut self, known: &'a str) -> Option<(&'a str, u64)> {
        let mut as_known = *self;
        if let Some(short) = u8::try_from(known.len()).ok().filter(|len| *len < 32)
            && as_known.byte() == Some(0xa0 | short)
            && as_known.many(known.len()) == Some(known.as_bytes())
        {
            *self = as_known;
            return self.count().filter(|n| *n > 0).map(|n| (known, n));
        }
        self.entry()
    }

    /// An entry of a clock; nothing of somebody is none of ours.
    #[inline]
    fn entry(&mut self) -> Option<(&'a str, u64)> {
        let (actor, n) = (self.text()?, self.count()?);
        (n > 0).then_some((actor, n))
    }

    #[inline]
    fn value(&mut self) -> Option<ValueRef<'a>> {
        match self.big()? {
            [0xa1, b'a'] => return Some(ValueRef::Absent),
            [0xa1, b'n'] => return Some(ValueRef::Null),
            [0x81, 0xa1] => {}
            _ => return None,
        }
        Some(match self.byte()? {
            b't' => ValueRef::Text(self.text()?),
            b'b' => ValueRef::Bool(self.yes_no()?),
            b'#' => ValueRef::Number(self.text().filter(|text| Decimal::is_canonical(text))?),
            b'd' => ValueRef::Date(Date(i32::try_from(self.whole()?).ok()?)),
            b'i' => ValueRef::Datetime(Time(self.whole()?)),
            b'j' => ValueRef::Json(self.text()?),
            _ => return None,
        })
    }

    #[inline]
    fn change(&mut self) -> Option<ChangeRef<'a>> {
        let field = self.text()?;
        self.just(b"\x82\xa6before")?;
        let before = self.value()?;
        self.just(b"\xa5after")?;
        Some(ChangeRef { field, before, after: self.value()? })
    }

    fn stamp(&mut self) -> Option<Stamp> {
        self.just(b"\x82\xa3low")?;
        let low = Time(self.whole()?);
        self.just(b"\xa4high")?;
        Some(Stamp { low, high: Time(self.whole()?) })
    }
}

impl<'a> EditRef<'a> {
    /// The edit in `bytes`, if it stands there as the log keeps it and nothing else does.
    /// Nothing means that serde is to be asked, not that there is none.
    pub fn read(bytes: &'a [u8]) -> Option<Self> {
        let mut bytes = Bytes(bytes);
        let mut left = bytes.map()?;
        // In the order in which the log has them.
        let left = &mut left;
        let generation = match bytes.key(left, b"\xa1g") {
            Some(()) => u32::try_from(bytes.count()?).ok()?,
            None => 0,
        };
        bytes.key(left, b"\xa1d")?;
        let (actor, n) = bytes.dot()?;
        bytes.key(left, b"\xa1c")?;
        let context =
            Many::read(&mut bytes, |bytes| bytes.entry_after(actor), |(one, _), (next, _)| one != next)?;
        bytes.key(left, b"\xa1f")?;
        let changes = Many::read(&mut bytes, Bytes::change, |one, next| one.field < next.field)?;
        let deletes = match bytes.key(left, b"\xa3del") {
            Some(()) => bytes.yes_no()?,
            None => false,
        };
        bytes.key(left, b"\xa1t")?;
        let stamp = bytes.stamp()?;
        let certain = match bytes.key(left, b"\xa2ok") {
            Some(()) => bytes.yes_no()?,
            None => true,
        };
        let whole = *left == 0 && bytes.0.is_empty();
        whole.then_some(Self { generation, actor, n, deletes, stamp, certain, context, changes })
    }

    /// The fields that changed, in order of name.
    pub fn changes(&self) -> impl Iterator<Item = ChangeRef<'a>> {
        self.changes.iter(Bytes::change)
    }

    /// Whether its author had seen its own past and nothing else.
    pub fn saw_only_its_own(&self) -> bool {
        match (self.context.len, self.context.first) {
            (0, _) => self.n == 1,
            (1, Some((actor, n))) => actor == self.actor && self.n.checked_sub(1) == Some(n),
            _ => false,
        }
    }

    /// Its name; nothing if its author cannot be one.
    pub fn dot(&self) -> Option<Dot> {
        Some(Dot { actor: Actor::read(self.actor).ok()?, n: self.n })
    }

    /// The edit, in memory of its own; nothing if its names cannot be names.
    pub fn to_edit(&self) -> Option<Edit> {
        let mut context = Clock::new();
        for (actor, n) in self.context.iter(Bytes::entry) {
            let actor = Actor::read(actor).ok()?;
            if context.count(&actor) > 0 {
                return None;
            }
            context.see(&actor, n);
        }
        let mut changes = VecMap::new();
        changes.reserve(self.changes.len.min(ROOM_MAX));
        for ChangeRef { field, before, after } in self.changes() {
            let change = Change { before: before.to_value()?, after: after.to_value()? };
            changes.insert(FieldName::read(field).ok()?, change);
        }
        Some(Edit {
            generation: self.generation,
            dot: self.dot()?,
            context,
            but: VecMap::new(),
            changes,
            deletes: self.deletes,
            stamp: self.stamp,
            certain: self.certain,
        })
    }
}

/// Changes for which room is made before they have been looked at.
const ROOM_MAX: usize = 64;

impl ValueRef<'_> {
    /// The value, in memory of its own; nothing if a number is none.
    pub fn to_value(&self) -> Option<Value> {
        Some(match *self {
            Self::Absent => Value::Absent,
            Self::Null => Value::Null,
            Self::Bool(b) => Value::Bool(b),
            Self::Number(text) => Value::Number(Decimal::parse(text).ok()?),
            Self::Text(text) => Value::text(text),
            Self::Date(day) => Value::Date(day),
            Self::Datetime(at) => Value::Datetime(at),
            Self::Json(text) => Value::Json(text.into()),
        })
    }
}

impl Edit {
    /// The edit in `bytes`, if it stands there as the log keeps it and nothing else does.
    /// Nothing means that serde is to be asked, not that there is none.
    pub fn unpack(bytes: &[u8]) -> Option<Self> {
        EditRef::read(bytes)?.to_edit()
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
