//! A record as bytes, for snapshots: small, because there is one for every record, and
//! quick to read. A view that may be thrown away: the log has it all.
//!
//! Actors are named once, at the head. A register's clock follows from its siblings but
//! for actors that have none there, and an edit's stamp is written where its dot comes
//! first. Reading never panics, and makes no room for what has not come.

use crate::field::{FieldState, Sum};
use crate::record::Record;
use crate::reg::{Reg, Sibling};
use hms_sync_model::{
    Actor, Author, Change, Clock, Date, Decimal, Dot, FieldName, Sealed, SideName, Stamp, Time, Value, VecMap,
};
use std::collections::BTreeSet;

/// The form; another one begins with another byte.
const FORM: u8 = 1;
/// How deep sets may nest.
const DEPTH_MAX: usize = 64;

/// The record as bytes.
pub(crate) fn pack(record: &Record) -> Vec<u8> {
    let mut out = Packer::new(record);
    out.number(record.generation.into());
    out.actors();
    for actor in out.actors.clone() {
        out.number(record.clock.count(&actor));
    }
    out.times();
    out.number(record.fields().len() as u64);
    for (field, state) in record.fields().iter() {
        out.text(field.as_str());
        out.state(state, record);
    }
    out.reg(record.presence_reg(), record, 0);
    out.bytes
}

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

/// A register of one sibling, the edit of the register before, that left what it found;
/// it has seen all that the record has. Like this stand the fields of a quiet record.
const SETTLED: u8 = 3 << 2;

/// Microseconds that the times of a record are counted in.
const UNITS: [u64; 3] = [1_000_000, 1_000, 1];

/// The lowest eight bits.
fn low(n: u64) -> u8 {
    let [low, ..] = n.to_le_bytes();
    low
}

struct Packer {
    bytes: Vec<u8>,
    actors: Vec<Actor>,
    /// The latest time of all, and what others are counted from it in.
    latest: i64,
    unit: u64,
    /// Dots whose stamp is written.
    known: Vec<(usize, u64, Stamp)>,
    /// The last sibling of the register before.
    last: Option<(Dot, Stamp)>,
}

/// All registers of a record.
fn regs(record: &Record) -> Vec<&Reg> {
    let mut all = vec![record.presence_reg()];
    for state in record.fields().values() {
        match state {
            FieldState::Value { last, first } => {
                all.push(last);
                all.extend(first.as_deref());
            }
            FieldState::Set(elements) => all.extend(elements.values()),
            FieldState::Counter(_) => {}
        }
    }
    all
}

/// From the latest time back. Exact whatever the two are.
fn back(latest: i64, at: i64) -> u64 {
    latest.wrapping_sub(at).cast_unsigned()
}

impl Packer {
    fn new(record: &Record) -> Self {
        let mut actors: BTreeSet<&Actor> = record.clock.iter().map(|(actor, _)| actor).collect();
        let (mut latest, mut unit) = (i64::MIN, 0);
        let all = regs(record);
        for reg in &all {
            actors.extend(reg.others().iter().map(|(actor, _)| actor));
            actors.extend(reg.siblings().iter().map(|sibling| &sibling.dot.actor));
            let highs = reg.siblings().iter().map(|sibling| sibling.stamp.high.0);
            latest = highs.fold(latest, i64::max);
        }
        for state in record.fields().values() {
            if let FieldState::Counter(sums) = state {
                actors.extend(sums.keys());
            }
        }
        for sibling in all.iter().flat_map(|reg| reg.siblings()) {
            let Stamp { low, high } = sibling.stamp;
            let odd =
                |at: i64| UNITS.iter().position(|unit| at.unsigned_abs().is_multiple_of(*unit)).unwrap_or(2);
            unit = unit.max(odd(high.0));
            if low != Time::MIN {
                unit = unit.max(odd(low.0));
            }
        }
        // Those who settle come first: of quiet records every register is theirs.
        let mut actors: Vec<Actor> = actors.into_iter().cloned().collect();
        actors.sort_by_key(|actor| actor.author != Author::Engine);
        let unit = UNITS.get(unit).copied().unwrap_or(1);
        let latest = if latest == i64::MIN { 0 } else { latest };
        Self { bytes: vec![FORM], actors, latest, unit, known: Vec::new(), last: None }
    }

    fn number(&mut self, mut n: u64) {
        while n >= 0x80 {
            self.bytes.push(low(n) | 0x80);
            n >>= 7;
        }
        self.bytes.push(low(n));
    }

    fn signed(&mut self, n: i64) {
        self.number(((n << 1) ^ (n >> 63)).cast_unsigned());
    }

    fn raw(&mut self, bytes: &[u8]) {
        self.number(bytes.len() as u64);
        self.bytes.extend_from_slice(bytes);
    }

    fn text(&mut self, text: &str) {
        self.raw(text.as_bytes());
    }

    fn actors(&mut self) {
        self.number(self.actors.len() as u64);
        for Actor { author, epoch } in self.actors.clone() {
            let (code, name) = match &author {
                Author::Engine => (0, ""),
                Author::Operator => (1, ""),
                Author::Join => (2, ""),
                Author::Side(side) => (3 + side.as_str().len() as u64, side.as_str()),
            };
            self.number((code << 1) | u64::from(epoch > 0));
            self.bytes.extend_from_slice(name.as_bytes());
            if epoch > 0 {
                self.number(epoch.into());
            }
        }
    }

    fn times(&mut self) {
        let unit = UNITS.iter().position(|unit| *unit == self.unit).unwrap_or(2);
        self.bytes.push(low(unit as u64));
        self.signed(self.latest.div_euclid(self.unit.cast_signed()));
    }

    fn state(&mut self, state: &FieldState, record: &Record) {
        match state {
            FieldState::Value { last, first: None } => self.reg(last, record, 0),
            FieldState::Value { last, first: Some(first) } => {
                self.reg(last, record, 1);
                self.reg(first, record, 0);
            }
            FieldState::Set(elements) => {
                self.bytes.push(2);
                self.number(elements.len() as u64);
                for (element, reg) in elements.iter() {
                    self.value(element);
                    self.reg(reg, record, 0);
                }
            }
            FieldState::Counter(sums) => {
                self.bytes.push(3);
                self.number(sums.len() as u64);
                for (actor, sum) in sums.iter() {
                    self.number(self.place(actor) as u64);
                    self.number(sum.upto);
                    self.value(&sum.total);
                }
            }
        }
    }

    fn place(&self, actor: &Actor) -> usize {
        self.actors.iter().position(|known| known == actor).unwrap_or(0)
    }

    /// `kind` is what the field is; a register of its own is 0.
    fn reg(&mut self, reg: &Reg, record: &Record, kind: u8) {
        let has = |actor: &Actor| reg.siblings().iter().any(|sibling| sibling.dot.actor == *actor);
        // What else it has seen: nothing, all that the record has, or this.
        let rest = match reg.others() {
            none if none.is_empty() => 0,
            all if *all == record.clock.without(has) => 1,
            _ => 2,
        };
        let count = reg.siblings().len();
        if let ([only], 0, 1) = (reg.siblings(), kind, rest)
            && only.change.before == only.change.after
            && self.last.as_ref() == Some(&(only.dot.clone(), only.stamp))
        {
            self.bytes.push(SETTLED);
            return self.value(&only.change.after);
        }
        let few = count.min(15);
        self.bytes.push(kind | (rest << 2) | (low(few as u64) << 4));
        if few == 15 {
            self.number(count as u64);
        }
        if rest == 2 {
            self.number(reg.others().len() as u64);
            for (actor, n) in reg.others().iter() {
                self.number(self.place(actor) as u64);
                self.number(n);
            }
        }
        reg.siblings().iter().for_each(|sibling| self.sibling(sibling));
        self.last = reg.siblings().last().map(|sibling| (sibling.dot.clone(), sibling.stamp));
    }

    fn sibling(&mut self, sibling: &Sibling) {
        let Sibling { dot, change, stamp } = sibling;
        let place = self.place(&dot.actor);
        let known = self.known.iter().any(|(at, n, of)| (*at, *n, *of) == (place, dot.n, *stamp));
        let before = match &change.before {
            Value::Absent => 0,
            same if *same == change.after => 1,
            _ => 2,
        };
        let (who, n) = (place.min(3), if dot.n < 8 { low(dot.n) } else { 0 });
        self.bytes.push(low(who as u64) | (before << 2) | (u8::from(known) << 4) | (n << 5));
        if who == 3 {
            self.number(place as u64);
        }
        if n == 0 {
            self.number(dot.n);
        }
        if !known {
            self.stamp(*stamp);
            self.known.push((place, dot.n, *stamp));
        }
        self.value(&change.after);
        if before == 2 {
            self.value(&change.before);
        }
    }

    fn stamp(&mut self, Stamp { low, high }: Stamp) {
        self.number(back(self.latest, high.0) / self.unit);
        match high.0.checked_sub(low.0) {
            _ if low == Time::MIN => self.number(0),
            Some(width) if width >= 0 => self.number(2 + width.cast_unsigned() / self.unit),
            // From the future, or from very long ago.
            _ => {
                self.number(1);
                self.signed(low.0);
            }
        }
    }

    fn value(&mut self, value: &Value) {
        match value {
            Value::Absent => self.number(0),
            Value::Null => self.number(1),
            Value::Bool(b) => self.number(2 + u64::from(*b)),
            Value::Number(n) => {
                self.number(4);
                self.text(n.as_str());
            }
            Value::Date(day) => {
                self.number(5);
                self.signed(day.0.into());
            }
            Value::Datetime(at) => {
                self.number(6);
                self.signed(at.0);
            }
            Value::Set(elements) => {
                self.number(7);
                self.number(elements.len() as u64);
                elements.iter().for_each(|element| self.value(element));
            }
            Value::Json(text) => {
                self.number(8);
                self.text(text);
            }
            Value::Sealed(sealed) => {
                self.number(9);
                self.raw(sealed.as_bytes());
            }
            Value::Text(text) => {
                self.number(10 + text.len() as u64);
                self.bytes.extend_from_slice(text.as_bytes());
            }
        }
    }
}

struct Unpacker<'a> {
    bytes: &'a [u8],
    actors: Vec<Actor>,
    latest: i64,
    unit: u64,
    known: Vec<(Dot, Stamp)>,
    last: Option<(Dot, Stamp)>,
}

impl<'a> Unpacker<'a> {
    fn new(bytes: &'a [u8]) -> Option<Self> {
        let bytes = bytes.strip_prefix(&[FORM])?;
        Some(Self { bytes, actors: Vec::new(), latest: 0, unit: 1, known: Vec::new(), last: None })
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
            self.known.iter().find(|(known, _)| *known == dot)?.1
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
        Some(match self.number()? {
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
            text => Value::text(self.text_of(text - 10)?),
        })
    }
}
