//! Packing.

use super::{ELEMENTS, FORM, REST_FOLLOWS, SETTLED, SHARED_FOLLOWS, SHARED_MAX, TEXT, UNITS};
use crate::field::FieldState;
use crate::record::Record;
use crate::reg::{Reg, Sibling};
use hms_sync_model::{Actor, Author, Dot, Stamp, Time, Value};
use std::collections::BTreeSet;

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
    /// The text before.
    text: Vec<u8>,
}

/// All registers of a record.
fn regs(record: &Record) -> Vec<&Reg> {
    std::iter::once(record.presence_reg())
        .chain(record.fields().values().flat_map(FieldState::regs))
        .collect()
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
        Self { bytes: vec![FORM], actors, latest, unit, known: Vec::new(), last: None, text: Vec::new() }
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
            FieldState::Elements(elements) => {
                self.bytes.push(ELEMENTS);
                self.reg(&elements.edits, record, 0);
                self.number(elements.by_key.len() as u64);
                for (key, element) in elements.by_key.iter() {
                    self.value(key);
                    self.reg(&element.whole, record, 0);
                    self.number(element.members.len() as u64);
                    for (name, reg) in element.members.iter() {
                        self.text(name);
                        self.reg(reg, record, 0);
                    }
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
        // Edits of epochs that were folded share a dot: the stamp is that of the last one.
        let last = self.known.iter().rev().find(|(at, n, _)| (*at, *n) == (place, dot.n));
        let known = last.is_some_and(|(_, _, of)| of == stamp);
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
            Value::Text(text) => self.text_after(text.as_bytes()),
        }
    }

    /// A text, after the one before.
    fn text_after(&mut self, text: &[u8]) {
        let same = self.text.iter().zip(text).take_while(|(a, b)| a == b).count();
        let shared = same.min(SHARED_MAX);
        let rest = text.get(shared..).unwrap_or_default();
        let (of_shared, of_rest) = (shared.min(SHARED_FOLLOWS), rest.len().min(REST_FOLLOWS));
        self.bytes.push(TEXT + low((of_shared << 4 | of_rest) as u64));
        if of_shared == SHARED_FOLLOWS {
            self.number((shared - of_shared) as u64);
        }
        if of_rest == REST_FOLLOWS {
            self.number((rest.len() - of_rest) as u64);
        }
        self.bytes.extend_from_slice(rest);
        self.text.truncate(shared);
        self.text.extend_from_slice(rest);
    }
}
