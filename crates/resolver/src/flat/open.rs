//! Registers out of one piece of memory and into it.

use super::{Flat, HEAD, Mark, OTHER, Place, SHORT, SIBLING, Slot, value_len};
use crate::field::FieldState;
use crate::record::Open;
use crate::reg::{Reg, Sibling};
use hms_sync_model::{Actor, Change, Clock, Date, Decimal, Dot, FieldName, Time, Value, ValueRef, VecMap};

impl Flat {
    /// The registers, each by itself. What is here was written here: there is no end of it
    /// before its end.
    pub(crate) fn open(&self, clock: &Clock) -> Open {
        let (mut presence, mut fields, mut at) = (Reg::default(), VecMap::new(), 0);
        while let Some(place) = self.reg(at)
            && let Some(reg) = self.read(&place, clock)
        {
            match self.name(&place) {
                Some(field) => drop(fields.insert(field, FieldState::Value { last: reg, first: None })),
                None => presence = reg,
            }
            at += place.len;
        }
        Open { presence, fields }
    }

    /// The field whose register this is; nothing for presence.
    fn name(&self, place: &Place) -> Option<FieldName> {
        let from = place.at + HEAD;
        let text = str::from_utf8(self.0.get(from..from + place.name)?).ok()?;
        FieldName::try_new(text).ok()
    }

    pub(super) fn read(&self, place: &Place, clock: &Clock) -> Option<Reg> {
        let mut from = Reader(self.0.get(place.at..place.at + place.len)?);
        from.many(HEAD + place.name)?;
        let mut others = Clock::new();
        for _ in 0..place.others {
            let (actor, n) = (from.actor(clock)?, from.number()?);
            others.see(&actor, n.into());
        }
        let mut siblings = Vec::with_capacity(place.siblings.into());
        for _ in 0..place.siblings {
            from.number()?;
            let [who] = from.array()?;
            let (n, high) = (from.number()?, i64::from_le_bytes(from.array()?));
            let mark = Mark { place: who, n, high, width: from.number()? };
            let (actor, _) = clock.at(who.into())?;
            let after = from.value()?;
            let change = Change { before: from.value()?, after };
            siblings.push(Sibling {
                dot: Dot { actor: actor.clone(), n: mark.n.into() },
                change,
                stamp: mark.stamp(),
            });
        }
        Some(Reg::kept(siblings, others))
    }
}

/// A register as it lies in one piece; nothing if it cannot.
pub(super) fn written(name: &[u8], reg: &Reg, clock: &Clock) -> Option<Vec<u8>> {
    let place = |wanted: &Actor| clock.iter().position(|(actor, _)| actor == wanted);
    let mut len = HEAD + name.len() + reg.others().len() * OTHER;
    for sibling in reg.siblings() {
        let (after, before) = (value(&sibling.change.after)?, value(&sibling.change.before)?);
        len += SIBLING + value_len(after) + value_len(before);
    }
    let mut bytes = vec![0; len];
    let mut to = Slot(&mut bytes);
    to.number(u32::try_from(len).ok()?)?;
    let [siblings, others] = [reg.siblings().len(), reg.others().len()];
    to.array([name.len().try_into().ok()?, siblings.try_into().ok()?, others.try_into().ok()?])?;
    to.put(name)?;
    for (actor, n) in reg.others().iter() {
        to.array([u8::try_from(place(actor)?).ok()?])?;
        to.number(u32::try_from(n).ok()?)?;
    }
    for sibling in reg.siblings() {
        let (after, before) = (value(&sibling.change.after)?, value(&sibling.change.before)?);
        let mark = Mark::of(place(&sibling.dot.actor)?, sibling.dot.n, sibling.stamp)?;
        to.sibling(&mark, before, after)?;
    }
    Some(bytes)
}

/// A value as it may lie here.
fn value(value: &Value) -> Option<ValueRef<'_>> {
    Some(match value {
        Value::Absent => ValueRef::Absent,
        Value::Null => ValueRef::Null,
        Value::Bool(b) => ValueRef::Bool(*b),
        Value::Number(n) => ValueRef::Number(n.as_str().into()),
        Value::Text(text) => ValueRef::Text((&**text).into()),
        Value::Date(day) => ValueRef::Date(*day),
        Value::Datetime(at) => ValueRef::Datetime(*at),
        Value::Json(text) => ValueRef::Json((&**text).into()),
        Value::Set(_) | Value::Sealed(_) => return None,
    })
}

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn many(&mut self, n: usize) -> Option<&'a [u8]> {
        let (many, rest) = self.0.split_at_checked(n)?;
        self.0 = rest;
        Some(many)
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (many, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(*many)
    }

    fn number(&mut self) -> Option<u32> {
        self.array().map(u32::from_le_bytes)
    }

    fn actor(&mut self, clock: &Clock) -> Option<Actor> {
        let [place] = self.array()?;
        clock.at(place.into()).map(|(actor, _)| actor.clone())
    }

    fn text(&mut self) -> Option<&'a str> {
        let len = self.number()?;
        str::from_utf8(self.many(usize::try_from(len).ok()?)?).ok()
    }

    fn value(&mut self) -> Option<Value> {
        let [kind] = self.array()?;
        Some(match kind {
            0 => Value::Absent,
            1 => Value::Null,
            2 | 3 => Value::Bool(kind == 3),
            4 => Value::Number(Decimal::parse(self.text()?).ok()?),
            5 => Value::Date(Date(i32::from_le_bytes(self.array()?))),
            6 => Value::Datetime(Time(i64::from_le_bytes(self.array()?))),
            7 => Value::Json(self.text()?.into()),
            8 => Value::text(self.text()?),
            short => Value::text(str::from_utf8(self.many(usize::from(short - SHORT))?).ok()?),
        })
    }
}
