//! A record's registers in one piece of memory, as long as nobody has asked for them:
//! an edit is taken in where it lies, and no block of memory is taken for it.
//!
//! Only registers of single values that everybody may write stand like this, with few
//! authors; of all others the answer is no, and [`Record`](crate::Record) opens what is
//! here. What comes of an edit is what [`Reg`] makes of it: what its author had seen of
//! others goes through a [`Reg`], and what is left is the shortest case of that.
//! These bytes are never kept: what is kept is packed (`packed`).
//!
//! Numbers are little-endian. A register: its length, u32 | length of the field's name, u8,
//! 0 for presence, which comes first | how many siblings, u8 | how many others, u8 | the
//! name | the others, each the actor's place in the record's clock, u8, and number, u32 | the
//! siblings in order of place. A sibling: its length, u32 | place, u8 | number, u32 | `high`,
//! i64 | microseconds from `low`, u32, all ones if nothing is known of it | after | before.
//! A value: a byte 0 absent, 1 null, 2 false, 3 true, 4 number, 5 date, 6 instant, 7 JSON,
//! 8 text; what is a text has its length, u32, before it, but for short ones: 9 + length.

mod batch;
mod open;
mod slot;

use crate::reg::Seen;
use hms_sync_model::{
    Change, ChangeRef, Clock, Dot, Edit, EditRef, FieldName, Stamp, TextRef, Time, Value, ValueRef,
};
use slot::{Slot, value_len};
use std::hint::black_box;
use std::ops::Range;

/// Of a register, up to its name.
const HEAD: usize = 7;
/// Of a sibling, up to its values.
const SIBLING: usize = 21;
/// One of the others.
const OTHER: usize = 5;
/// The first head of a short text.
const SHORT: u8 = 9;
/// No longer than this is a short one.
const SHORT_MAX: usize = (u8::MAX - SHORT) as usize;
/// What stands for a stamp of which no `low` is known.
const NO_LOW: u32 = u32::MAX;

/// The registers; empty of a record that nobody has edited.
#[derive(Debug, Clone, Default)]
pub(crate) struct Flat(Vec<u8>);

/// Where a register is.
#[derive(Clone, Copy)]
struct Place {
    at: usize,
    len: usize,
    name: usize,
    siblings: u8,
    others: u8,
}

/// Whose an edit is, and when.
#[derive(Clone, Copy)]
struct Mark {
    place: u8,
    n: u32,
    high: i64,
    width: u32,
}

impl Mark {
    fn of(place: usize, n: u64, stamp: Stamp) -> Option<Self> {
        let width = match stamp.high.0.checked_sub(stamp.low.0) {
            _ if stamp.low == Time::MIN => NO_LOW,
            width => u32::try_from(width?).ok().filter(|width| *width != NO_LOW)?,
        };
        Some(Self { place: u8::try_from(place).ok()?, n: u32::try_from(n).ok()?, high: stamp.high.0, width })
    }

    fn stamp(&self) -> Stamp {
        let low = if self.width == NO_LOW { i64::MIN } else { self.high - i64::from(self.width) };
        Stamp { low: Time(low), high: Time(self.high) }
    }
}

impl Flat {
    /// Takes in one edit whose author had seen only its own past. If the answer is nothing,
    /// doing it all again is right: nothing has been taken in of what cannot be an edit, and
    /// of others a part at most.
    pub(crate) fn take(&mut self, clock: &mut Clock, edit: &EditRef<'_>) -> Option<()> {
        self.touch();
        let known = clock.place_of(edit.actor);
        let dot = if known.is_none() { Some(edit.dot()?) } else { None };
        let only = edit.only_change();
        if only.is_none() && !edit.changes().all(|change| self.can_have(change.field)) {
            return None;
        }
        self.begin();
        let first = match &only {
            Some(change) => self.find_or_add(change.field)?,
            None => 0,
        };
        let place = match (known, dot) {
            (None, Some(dot)) => self.meet(clock, &dot)?,
            (known, _) => known?,
        };
        let mark = Mark::of(place, edit.n, edit.stamp)?;
        match only {
            Some(ChangeRef { before, after, .. }) => self.put(first, &mark, before, after)?,
            None => {
                for ChangeRef { field, before, after } in edit.changes() {
                    let at = self.find_or_add(field)?;
                    self.put(at, &mark, before, after)?;
                }
            }
        }
        self.put(PRESENCE, &mark, ValueRef::Absent, ValueRef::Bool(!edit.deletes))?;
        clock.see_at(place, edit.n);
        Some(())
    }

    /// The same with any edit that fits the record.
    pub(crate) fn take_seen(&mut self, clock: &mut Clock, edit: &Edit) -> Option<()> {
        self.meet(clock, &edit.dot)?;
        let seen = Seen::of(&edit.dot, &edit.context);
        self.begin();
        let present = Change { before: Value::Absent, after: Value::Bool(!edit.deletes) };
        self.put_seen(PRESENCE, clock, &seen, present, edit.stamp)?;
        for (field, change) in edit.changes.iter() {
            let at = self.find_or_add(field.as_str().into())?;
            self.put_seen(at, clock, &seen, change.clone(), edit.stamp)?;
        }
        clock.see(&edit.dot.actor, edit.dot.n);
        Some(())
    }

    /// The place of an author; if this is its first edit of the record, those behind it move on.
    fn meet(&mut self, clock: &mut Clock, dot: &Dot) -> Option<usize> {
        if let Some(place) = clock.iter().position(|(actor, _)| *actor == dot.actor) {
            return Some(place);
        }
        let mut with = clock.clone();
        with.see(&dot.actor, dot.n);
        let place = with.iter().position(|(actor, _)| *actor == dot.actor)?;
        let new = u8::try_from(place).ok().filter(|_| u8::try_from(with.len()).is_ok())?;
        if place < clock.len() {
            let mut at = 0;
            while let Some(reg) = self.reg(at) {
                self.move_places(&reg, new)?;
                at += reg.len;
            }
        }
        *clock = with;
        Some(place)
    }

    /// In a register, all places from one on are one more.
    fn move_places(&mut self, reg: &Place, from: u8) -> Option<()> {
        let mut inside = reg.behind_name();
        let one_more = |bytes: &mut [u8], at: usize| {
            bytes.get_mut(at).filter(|place| **place >= from).into_iter().for_each(|place| *place += 1);
        };
        for _ in 0..reg.others {
            one_more(&mut self.0, inside);
            inside += OTHER;
        }
        for _ in 0..reg.siblings {
            let len = self.number(inside)?;
            one_more(&mut self.0, inside + 4);
            inside += len;
        }
        Some(())
    }

    #[inline]
    fn number(&self, at: usize) -> Option<usize> {
        usize::try_from(u32::from_le_bytes(*self.0.get(at..)?.first_chunk()?)).ok()
    }

    #[inline]
    fn reg(&self, at: usize) -> Option<Place> {
        let [a, b, c, d, name, siblings, others] = *self.0.get(at..)?.first_chunk::<HEAD>()?;
        let len = usize::try_from(u32::from_le_bytes([a, b, c, d])).ok()?;
        Some(Place { at, len, name: name.into(), siblings, others })
    }

    /// Asks for the memory that is about to be gone through, line by line, so that it is on its
    /// way while the author is looked up: of many records most are in no cache.
    #[inline]
    fn touch(&self) {
        for at in (0..self.0.len().min(TOUCHED_MAX)).step_by(LINE) {
            black_box(self.0.get(at));
        }
    }

    /// Makes a place for presence in a record that nobody has edited.
    fn begin(&mut self) {
        if self.0.is_empty() {
            self.0.reserve_exact(ROOM_MIN);
            self.0.extend_from_slice(&[7, 0, 0, 0, 0, 0, 0]);
        }
    }

    /// Where a field is; if it is not there, where it would be.
    fn find(&self, field: TextRef<'_>) -> Result<usize, usize> {
        let mut at = 0;
        while let Some(reg) = self.reg(at) {
            if reg.name == field.len()
                && self.0.get(at + HEAD..at + HEAD + reg.name) == Some(field.as_bytes())
            {
                return Ok(at);
            }
            at += reg.len;
        }
        Err(at)
    }

    /// Whether a field is there or can be.
    fn can_have(&self, field: TextRef<'_>) -> bool {
        !field.is_empty() && self.find(field).is_ok() || FieldName::check(field.as_str()).is_ok()
    }

    fn find_or_add(&mut self, field: TextRef<'_>) -> Option<usize> {
        let at = match self.find(field) {
            Ok(at) => return (at > PRESENCE).then_some(at),
            Err(end) => end,
        };
        FieldName::check(field.as_str()).ok()?;
        let name = u8::try_from(field.len()).ok()?;
        self.make_room(at..at, HEAD + field.len());
        let mut to = Slot(self.0.get_mut(at..)?);
        to.number(u32::try_from(HEAD + field.len()).ok()?)?;
        to.array([name, 0, 0])?;
        to.put(field.as_bytes())?;
        Some(at)
    }

    /// Takes an edit into a register whose author had seen only its own edits.
    fn put(&mut self, at: usize, mark: &Mark, before: ValueRef<'_>, after: ValueRef<'_>) -> Option<()> {
        let mut reg = self.reg(at)?;
        if reg.others > 0 && !self.forget_other(&mut reg, mark)? {
            return Some(());
        }
        let (mut inside, mut old) = (reg.inside(), 0);
        for _ in 0..reg.siblings {
            let (len, head) = self.0.get(inside..)?.split_first_chunk::<4>()?;
            let (place, n) = head.first_chunk::<5>()?.split_first()?;
            let len = usize::try_from(u32::from_le_bytes(*len)).ok()?;
            if *place >= mark.place {
                if *place == mark.place {
                    if u32::from_le_bytes(*n.first_chunk()?) >= mark.n {
                        return Some(());
                    }
                    old = len;
                }
                break;
            }
            inside += len;
        }
        let new = SIBLING + value_len(after) + value_len(before);
        let siblings = reg.siblings.checked_add(u8::from(old == 0))?;
        let len = u32::try_from(reg.len - old + new).ok()?;
        self.make_room(inside..inside + old, new);
        let mut to = Slot(self.0.get_mut(inside..)?);
        to.sibling(mark, before, after)?;
        let mut head = Slot(self.0.get_mut(at..)?);
        head.number(len)?;
        head.0.get_mut(1).map(|count| *count = siblings)
    }

    /// Of an author who has no sibling in a register: whether its edit is new there; then what was
    /// seen of it stands with the edit.
    fn forget_other(&mut self, reg: &mut Place, mark: &Mark) -> Option<bool> {
        let mut at = reg.behind_name();
        for _ in 0..reg.others {
            let [place, n @ ..] = *self.0.get(at..)?.first_chunk::<OTHER>()?;
            if place == mark.place {
                if u32::from_le_bytes(n) >= mark.n {
                    return Some(false);
                }
                self.make_room(at..at + OTHER, 0);
                (reg.others, reg.len) = (reg.others - 1, reg.len - OTHER);
                let mut head = Slot(self.0.get_mut(reg.at..)?);
                head.number(u32::try_from(reg.len).ok()?)?;
                head.0.get_mut(2).map(|count| *count = reg.others)?;
                return Some(true);
            }
            at += OTHER;
        }
        Some(true)
    }

    /// Takes an edit into a register, whatever its author had seen.
    fn put_seen(
        &mut self,
        at: usize,
        clock: &Clock,
        seen: &Seen<'_>,
        change: Change,
        stamp: Stamp,
    ) -> Option<()> {
        let place = self.reg(at)?;
        let mut reg = self.read(&place, clock)?;
        reg.put_seen(seen, change, stamp);
        let bytes = open::written(self.0.get(at + HEAD..at + HEAD + place.name)?, &reg, clock)?;
        self.make_room(at..at + place.len, bytes.len());
        Slot(self.0.get_mut(at..)?).put(&bytes)
    }

    /// Makes a range so long, and moves what is behind it.
    fn make_room(&mut self, range: Range<usize>, len: usize) {
        let (Range { start, end }, old) = (range, self.0.len());
        if end - start == len {
            return;
        }
        if let Some(more) = len.checked_sub(end - start) {
            if self.0.capacity() - old < more {
                self.0.reserve_exact(more.max(old.min(DOUBLED_MAX)).max(old / 4).max(ROOM_MIN));
            }
            self.0.resize(old + more, 0);
            self.0.copy_within(end..old, end + more);
        } else {
            self.0.copy_within(end..old, start + len);
            self.0.truncate(old - (end - start) + len);
        }
    }
}

/// Bytes that come from memory at once, and how many are asked for before they are needed.
const LINE: usize = 64;
const TOUCHED_MAX: usize = 512;

/// Where presence is.
const PRESENCE: usize = 0;

/// Room is made for so many bytes at least, and no more than so many at once, or a quarter.
const ROOM_MIN: usize = 256;
const DOUBLED_MAX: usize = 512;

impl Place {
    /// Where the others begin.
    fn behind_name(&self) -> usize {
        self.at + HEAD + self.name
    }

    /// Where its siblings begin.
    fn inside(&self) -> usize {
        self.behind_name() + usize::from(self.others) * OTHER
    }
}
