//! An edit as it lies in `MessagePack`: what serde would read from the form in which the
//! log keeps edits, in a fraction of the time, and without taking any memory.
//!
//! Only that form is read here. Whatever else stands in the bytes is left to serde:
//! the answer is then nothing, never something else. Never panics, never recurses,
//! and makes no room for what has not come.

mod bytes;

pub use bytes::TextRef;

use crate::{Actor, Change, Clock, Date, Decimal, Dot, Edit, FieldName, Stamp, Time, Value, VecMap};
use bytes::Bytes;

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
    pub actor: TextRef<'a>,
    /// 1 for the actor's first edit of the record.
    pub n: u64,
    /// Whether the edit deletes the record.
    pub deletes: bool,
    /// When it can have happened.
    pub stamp: Stamp,
    /// Whether what its author had seen could be found out.
    pub certain: bool,
    /// Whether that was its own past and nothing else.
    blind: bool,
    context: Many<'a, (TextRef<'a>, u64)>,
    changes: Many<'a, ChangeRef<'a>>,
}

/// A field's change that still lies where it came.
#[derive(Debug, Clone, Copy)]
pub struct ChangeRef<'a> {
    /// The field.
    pub field: TextRef<'a>,
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
    Number(TextRef<'a>),
    /// [`Value::Text`].
    Text(TextRef<'a>),
    /// [`Value::Date`].
    Date(Date),
    /// [`Value::Datetime`].
    Datetime(Time),
    /// [`Value::Json`].
    Json(TextRef<'a>),
}

/// Entries of a map: the first, as most have one, and where the others lie.
#[derive(Debug, Clone, Copy)]
struct Many<'a, T> {
    first: Option<T>,
    more: usize,
    rest: Bytes<'a>,
}

impl<'a, T: Copy> Many<'a, T> {
    /// Reads over a map. Keys must ascend, as they do in the log.
    #[expect(clippy::inline_always, reason = "what is read stays in registers")]
    #[inline(always)]
    fn read(
        bytes: &mut Bytes<'a>,
        read: impl Fn(&mut Bytes<'a>) -> Option<T>,
        ascend: impl Fn(&T, &T) -> bool,
    ) -> Option<Self> {
        let (mut many, mut last) = (Self { first: None, more: 0, rest: *bytes }, None);
        for _ in 0..bytes.map()? {
            let next = read(bytes)?;
            match &last {
                None => (many.first, many.rest) = (Some(next), *bytes),
                Some(last) if ascend(last, &next) => many.more += 1,
                Some(_) => return None,
            }
            last = Some(next);
        }
        Some(many)
    }

    fn len(&self) -> usize {
        self.more + usize::from(self.first.is_some())
    }

    #[inline]
    fn iter(&self, read: impl Fn(&mut Bytes<'a>) -> Option<T>) -> impl Iterator<Item = T> {
        let (mut rest, more) = (self.rest, self.more);
        self.first.into_iter().chain((0..more).map_while(move |_| read(&mut rest)))
    }
}

impl<'a> EditRef<'a> {
    /// The edit in `bytes`, if it stands there as the log keeps it and nothing else does.
    /// Nothing means that serde is to be asked, not that there is none.
    #[expect(clippy::redundant_closure_for_method_calls, reason = "a closure becomes part of its caller")]
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
        let context = Many::read(&mut bytes, |bytes| bytes.entry(), |(one, _), (next, _)| one != next)?;
        bytes.key(left, b"\xa1f")?;
        let changes = Many::read(&mut bytes, |bytes| bytes.change(), |one, next| one.field < next.field)?;
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
        let blind = match context.first {
            None => n == 1,
            Some((of, past)) => context.more == 0 && of == actor && n.checked_sub(1) == Some(past),
        };
        whole.then_some(Self { generation, actor, n, deletes, stamp, certain, blind, context, changes })
    }

    /// The fields that changed, in order of name.
    pub fn changes(&self) -> impl Iterator<Item = ChangeRef<'a>> {
        self.changes.iter(Bytes::change)
    }

    /// The change, if it is the only one.
    #[inline]
    pub fn only_change(&self) -> Option<ChangeRef<'a>> {
        self.changes.first.filter(|_| self.changes.more == 0)
    }

    /// Whether its author had seen its own past and nothing else.
    pub fn saw_only_its_own(&self) -> bool {
        self.blind
    }

    /// Its name; nothing if its author cannot be one.
    pub fn dot(&self) -> Option<Dot> {
        Some(Dot { actor: Actor::read(self.actor.as_str()).ok()?, n: self.n })
    }

    /// The edit, in memory of its own; nothing if its names cannot be names.
    pub fn to_edit(&self) -> Option<Edit> {
        let mut context = Clock::new();
        for (actor, n) in self.context.iter(Bytes::entry) {
            let actor = Actor::read(actor.as_str()).ok()?;
            if context.count(&actor) > 0 {
                return None;
            }
            context.see(&actor, n);
        }
        let mut changes = VecMap::new();
        changes.reserve(self.changes.len().min(ROOM_MAX));
        for ChangeRef { field, before, after } in self.changes() {
            let change = Change { before: before.to_value()?, after: after.to_value()? };
            changes.insert(FieldName::read(field.as_str()).ok()?, change);
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
            Self::Number(text) => Value::Number(Decimal::parse(text.as_str()).ok()?),
            Self::Text(text) => Value::text(text.as_str()),
            Self::Date(day) => Value::Date(day),
            Self::Datetime(at) => Value::Datetime(at),
            Self::Json(text) => Value::Json(text.as_str().into()),
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
mod tests;
