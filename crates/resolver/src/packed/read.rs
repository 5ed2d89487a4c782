//! Reading what was packed, in this form and the one before.

use super::{
    DEPTH_MAX, ELEMENTS, FORM, FORM_WHOLE_TEXTS, REST_FOLLOWS, SETTLED, SHARED_FOLLOWS, SHARED_MAX, TEXT,
    UNITS,
};
use crate::elements::{Element, Elements};
use crate::field::{FieldState, Sum};
use crate::record::Record;
use crate::reg::{Reg, Sibling};
use hms_sync_model::{
    Actor, Author, Change, Clock, Date, Decimal, Dot, FieldName, Sealed, SideName, Stamp, Time, Value, VecMap,
};

/// The record in bytes; nothing if they hold none.
pub(crate) fn unpack(bytes: &[u8]) -> Option<Record> {
    let mut from = Unpacker::new(bytes)?;
    let generation = u32::try_from(from.number()?).ok()?;
    from.actors()?;
    let mut clock = Clock::new();
    for actor in from.actors.clone() {
        clock.see(&actor, from.number()?);
    }
    from.times()?;
    let mut fields = VecMap::new();
    for _ in 0..from.number()? {
        let field = FieldName::try_new(from.text()?).ok()?;
        let state = from.state(&clock)?;
        fields.insert(field, state);
    }
    let head = from.byte()?;
    let presence = from.reg(head, &clock)?;
    from.bytes.is_empty().then(|| Record::of(generation, presence, fields, clock))
}

struct Unpacker<'a> {
    bytes: &'a [u8],
    actors: Vec<Actor>,
    latest: i64,
    unit: u64,
    known: Vec<(Dot, Stamp)>,
    last: Option<(Dot, Stamp)>,
    /// The text before; nothing where texts stand whole.
    text: Option<Vec<u8>>,
}

impl<'a> Unpacker<'a> {
    fn new(bytes: &'a [u8]) -> Option<Self> {
        let (form, bytes) = bytes.split_first()?;
        let text = match *form {
            FORM => Some(Vec::new()),
            FORM_WHOLE_TEXTS => None,
            _ => return None,
        };
        Some(Self { bytes, actors: Vec::new(), latest: 0, unit: 1, known: Vec::new(), last: None, text })
    }

    fn byte(&mut self) -> Option<u8> {
        let (first, rest) = self.bytes.split_first()?;
        self.bytes = rest;
        Some(*first)
    }

    fn number(&mut self) -> Option<u64> {
        let mut n = 0_u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            n |= u64::from(byte & 0x7f).checked_shl(shift)?;
            if byte < 0x80 {
                return Some(n);
            }
        }
        None
    }

    fn signed(&mut self) -> Option<i64> {
        let n = self.number()?;
        Some((n >> 1).cast_signed() ^ -(n & 1).cast_signed())
    }

    fn raw(&mut self, len: u64) -> Option<&'a [u8]> {
        let (many, rest) = self.bytes.split_at_checked(usize::try_from(len).ok()?)?;
        self.bytes = rest;
        Some(many)
    }

    fn text_of(&mut self, len: u64) -> Option<&'a str> {
        std::str::from_utf8(self.raw(len)?).ok()
    }

    fn text(&mut self) -> Option<&'a str> {
        let len = self.number()?;
        self.text_of(len)
    }

    fn actors(&mut self) -> Option<()> {
        for _ in 0..self.number()? {
            let code = self.number()?;
            let author = match code >> 1 {
                0 => Author::Engine,
                1 => Author::Operator,
                2 => Author::Join,
                len => Author::Side(SideName::try_new(self.text_of(len - 3)?).ok()?),
            };
            let epoch = if code & 1 == 1 { u32::try_from(self.number()?).ok()? } else { 0 };
            self.actors.push(Actor { author, epoch });
        }
        Some(())
    }

    fn times(&mut self) -> Option<()> {
        self.unit = *UNITS.get(usize::from(self.byte()?))?;
        self.latest = self.signed()?.wrapping_mul(self.unit.cast_signed());
        Some(())
    }

    fn actor(&mut self) -> Option<Actor> {
        let place = usize::try_from(self.number()?).ok()?;
        self.actors.get(place).cloned()
    }

    fn state(&mut self, record: &Clock) -> Option<FieldState> {
        let head = self.byte()?;
        match head & 3 {
            _ if head == ELEMENTS => self.elements(record).map(|all| FieldState::Elements(Box::new(all))),
            0 => Some(FieldState::Value { last: self.reg(head, record)?, first: None }),
            1 => {
                let last = self.reg(head, record)?;
                let head = self.byte()?;
                Some(FieldState::Value { last, first: Some(Box::new(self.reg(head, record)?)) })
            }
            2 => {
                let mut elements = VecMap::new();
                for _ in 0..self.number()? {
                    let element = self.value(0)?;
                    let head = self.byte()?;
                    elements.insert(element, self.reg(head, record)?);
                }
                Some(FieldState::Set(elements))
            }
            _ => {
                let mut sums = VecMap::new();
                for _ in 0..self.number()? {
                    let actor = self.actor()?;
                    sums.insert(actor, Sum { upto: self.number()?, total: self.value(0)? });
                }
                Some(FieldState::Counter(sums))
            }
        }
    }

    fn elements(&mut self, record: &Clock) -> Option<Elements> {
        let head = self.byte()?;
        let mut all = Elements { edits: self.reg(head, record)?, by_key: VecMap::new() };
        for _ in 0..self.number()? {
            let key = self.value(0)?;
            let head = self.byte()?;
            let mut element = Element { whole: self.reg(head, record)?, members: VecMap::new() };
            for _ in 0..self.number()? {
                let name = self.text()?.into();
                let head = self.byte()?;
                element.members.insert(name, self.reg(head, record)?);
            }
            all.by_key.insert(key, element);
        }
        Some(all)
    }

    fn reg(&mut self, head: u8, record: &Clock) -> Option<Reg> {
        if head == SETTLED {
            let (dot, stamp) = self.last.clone()?;
            let (after, others) = (self.value(0)?, record.without(|actor| *actor == dot.actor));
            let change = Change { before: after.clone(), after };
            return Some(Reg::kept(vec![Sibling { dot, change, stamp }], others));
        }
        let count = match head >> 4 {
            15 => self.number()?,
            few => few.into(),
        };
        let mut seen = Clock::new();
        let rest = (head >> 2) & 3;
        if rest == 2 {
            for _ in 0..self.number()? {
                let actor = self.actor()?;
                seen.see(&actor, self.number()?);
            }
        }
        let mut siblings = Vec::new();
        for _ in 0..count {
            siblings.push(self.sibling()?);
        }
        self.last = siblings.last().map(|sibling: &Sibling| (sibling.dot.clone(), sibling.stamp));
        let has = |actor: &Actor| siblings.iter().any(|s: &Sibling| s.dot.actor == *actor);
        let others = if rest == 1 { record.without(has) } else { seen.without(has) };
        Some(Reg::kept(siblings, others))
    }

    fn sibling(&mut self) -> Option<Sibling> {
        let head = self.byte()?;
        let actor = match head & 3 {
            3 => self.actor()?,
            place => self.actors.get(usize::from(place))?.clone(),
        };
        let n = match head >> 5 {
            0 => self.number()?,
            n => n.into(),
        };
        let dot = Dot { actor, n };
        let stamp = if (head >> 4) & 1 == 1 {
            self.known.iter().rev().find(|(known, _)| *known == dot)?.1
        } else {
            let stamp = self.stamp()?;
            self.known.push((dot.clone(), stamp));
            stamp
        };
        let after = self.value(0)?;
        let before = match (head >> 2) & 3 {
            0 => Value::Absent,
            1 => after.clone(),
            _ => self.value(0)?,
        };
        Some(Sibling { dot, change: Change { before, after }, stamp })
    }

    fn stamp(&mut self) -> Option<Stamp> {
        let high = self.latest.wrapping_sub(self.number()?.wrapping_mul(self.unit).cast_signed());
        let low = match self.number()? {
            0 => i64::MIN,
            1 => self.signed()?,
            width => high.wrapping_sub((width - 2).wrapping_mul(self.unit).cast_signed()),
        };
        Some(Stamp { low: Time(low), high: Time(high) })
    }

    fn value(&mut self, depth: usize) -> Option<Value> {
        let head = if self.text.is_some() { self.byte()?.into() } else { self.number()? };
        Some(match head {
            0 => Value::Absent,
            1 => Value::Null,
            n @ (2 | 3) => Value::Bool(n == 3),
            4 => Value::Number(Decimal::parse(self.text()?).ok()?),
            5 => Value::Date(Date(i32::try_from(self.signed()?).ok()?)),
            6 => Value::Datetime(Time(self.signed()?)),
            7 if depth < DEPTH_MAX => {
                let count = self.number()?;
                let mut elements = Vec::new();
                for _ in 0..count {
                    elements.push(self.value(depth + 1)?);
                }
                Value::set(elements)
            }
            7 => return None,
            8 => Value::Json(self.text()?.into()),
            9 => {
                let len = self.number()?;
                Value::Sealed(Sealed::from_bytes(self.raw(len)?)?)
            }
            text => Value::text(self.text_after(text - u64::from(TEXT))?),
        })
    }

    /// A text, after the one before.
    fn text_after(&mut self, head: u64) -> Option<&str> {
        let Some(mut last) = self.text.take() else { return self.text_of(head) };
        let (mut shared, mut rest) = (usize::try_from(head >> 4).ok()?, head & 15);
        if shared == SHARED_FOLLOWS {
            shared = shared.checked_add(usize::try_from(self.number()?).ok()?)?;
        }
        if rest == REST_FOLLOWS as u64 {
            rest = rest.checked_add(self.number()?)?;
        }
        if shared > last.len().min(SHARED_MAX) {
            return None;
        }
        last.truncate(shared);
        last.extend_from_slice(self.raw(rest)?);
        str::from_utf8(self.text.insert(last)).ok()
    }
}
