//! Many edits into one piece of memory at once: what stands is found out first, and the
//! piece is written once.
//!
//! Of each author's edits of a field the last one stands, whatever order they come in, so
//! the others are looked at and never written. What never happens here: a piece that has
//! some of the edits. It has all of them, or it is as it was.

use super::slot::{Slot, value_len};
use super::{Flat, HEAD, Mark, Place, SIBLING};
use hms_sync_model::{Actor, ChangeRef, Clock, EditRef, FieldName, ValueRef};

/// No more places for siblings than so many are laid out at once.
const GRID_MAX: usize = 1 << 16;

/// What stands in a register of one author.
#[derive(Clone, Copy)]
enum Stands<'a> {
    /// What stood there, with its head.
    Old {
        n: u32,
        bytes: &'a [u8],
    },
    New {
        mark: Mark,
        before: ValueRef<'a>,
        after: ValueRef<'a>,
    },
}

impl Stands<'_> {
    fn n(&self) -> u32 {
        match self {
            Self::Old { n, .. } => *n,
            Self::New { mark, .. } => mark.n,
        }
    }

    fn len(&self) -> usize {
        match self {
            Self::Old { bytes, .. } => bytes.len(),
            Self::New { before, after, .. } => SIBLING + value_len(*after) + value_len(*before),
        }
    }

    fn write(&self, to: &mut Slot<'_>, place: u8) -> Option<()> {
        match self {
            Self::Old { bytes, .. } => {
                let (len, [_, rest @ ..]) = bytes.split_first_chunk::<4>()? else { return None };
                to.array(*len)?;
                to.array([place])?;
                to.put(rest)
            }
            Self::New { mark, before, after } => to.sibling(mark, *before, *after),
        }
    }
}

/// All registers, presence first: a row for each, a column for each author.
struct Grid<'a> {
    names: Vec<&'a [u8]>,
    /// For each field of the grid which of `all` stands there, counted from 1.
    at: Vec<u32>,
    all: Vec<Stands<'a>>,
    width: usize,
}

impl<'a> Grid<'a> {
    fn new(width: usize, edits: usize) -> Self {
        let mut names = Vec::with_capacity(edits.min(15) + 1);
        names.push([].as_slice());
        let mut at = Vec::with_capacity(names.capacity() * width);
        at.resize(width, 0);
        Self { names, at, all: Vec::with_capacity(edits + width), width }
    }

    /// The row of a field, or of presence, which has no name.
    fn row(&mut self, name: &'a [u8]) -> Option<usize> {
        if let Some(row) = self.names.iter().position(|known| *known == name) {
            return Some(row);
        }
        let cells = self.at.len() + self.width;
        if cells > GRID_MAX || name.len() > usize::from(u8::MAX) {
            return None;
        }
        FieldName::check(str::from_utf8(name).ok()?).ok()?;
        self.names.push(name);
        self.at.resize(cells, 0);
        Some(self.names.len() - 1)
    }

    /// Puts what an author left into a row, if it is later than what stands there.
    #[inline]
    fn put(&mut self, row: usize, place: usize, new: Stands<'a>) -> Option<()> {
        let at = self.at.get_mut(row * self.width + place)?;
        match usize::try_from(*at).ok()?.checked_sub(1) {
            None => {
                self.all.push(new);
                *at = u32::try_from(self.all.len()).ok()?;
            }
            Some(known) => {
                let stands = self.all.get_mut(known)?;
                if stands.n() < new.n() {
                    *stands = new;
                }
            }
        }
        Some(())
    }

    /// What stands in a row, in order of author.
    fn standing(&self, row: usize) -> impl Iterator<Item = (usize, &Stands<'a>)> {
        let row = self.at.get(row * self.width..(row + 1) * self.width).unwrap_or_default();
        row.iter().enumerate().filter_map(|(place, at)| {
            Some((place, self.all.get(usize::try_from(*at).ok()?.checked_sub(1)?)?))
        })
    }

    /// What stood before.
    fn old(&mut self, flat: &'a Flat, reg: &Place, moved: &[usize]) -> Option<()> {
        if reg.others > 0 {
            return None;
        }
        let row = self.row(flat.0.get(reg.at + HEAD..reg.inside())?)?;
        let mut inside = reg.inside();
        for _ in 0..reg.siblings {
            let bytes = flat.0.get(inside..)?.get(..flat.number(inside)?)?;
            let [_, _, _, _, place, a, b, c, d] = *bytes.first_chunk()?;
            let place = moved.get(usize::from(place)).copied()?;
            self.put(row, place, Stands::Old { n: u32::from_le_bytes([a, b, c, d]), bytes })?;
            inside += bytes.len();
        }
        Some(())
    }

    fn new_edit(&mut self, edit: &EditRef<'a>, place: usize) -> Option<()> {
        let mark = Mark::of(place, edit.n, edit.stamp)?;
        let present = ValueRef::Bool(!edit.deletes);
        self.put(0, place, Stands::New { mark, before: ValueRef::Absent, after: present })?;
        for ChangeRef { field, before, after } in edit.changes() {
            let row = self.row(field.as_bytes()).filter(|row| *row > 0)?;
            self.put(row, place, Stands::New { mark, before, after })?;
        }
        Some(())
    }

    /// The piece of memory, made once and of just the length.
    fn written(&self) -> Option<Vec<u8>> {
        let names: usize = self.names.iter().map(|name| HEAD + name.len()).sum();
        let siblings: usize = self.all.iter().map(Stands::len).sum();
        let mut bytes = vec![0; names + siblings];
        let mut to = Slot(&mut bytes);
        for (row, name) in self.names.iter().enumerate() {
            let (mut count, mut len) = (0_u8, HEAD + name.len());
            for (_, stands) in self.standing(row) {
                (count, len) = (count.checked_add(1)?, len + stands.len());
            }
            to.number(u32::try_from(len).ok()?)?;
            to.array([u8::try_from(name.len()).ok()?, count, 0])?;
            to.put(name)?;
            for (place, stands) in self.standing(row) {
                stands.write(&mut to, u8::try_from(place).ok()?)?;
            }
        }
        Some(bytes)
    }
}

/// The clock with the authors that it has not seen; nothing if it has seen them all.
fn with_authors(clock: &Clock, edits: &[EditRef<'_>]) -> Option<Option<Clock>> {
    let mut new: Vec<&EditRef<'_>> = Vec::new();
    for edit in edits {
        if !new.iter().any(|known| known.actor == edit.actor) && clock.place_of(edit.actor).is_none() {
            new.push(edit);
        }
    }
    if new.is_empty() {
        return Some(None);
    }
    let mut pairs: Vec<(Actor, u64)> = Vec::with_capacity(new.len() + clock.len());
    for edit in new {
        pairs.push((edit.dot()?.actor, edit.n));
    }
    pairs.extend(clock.iter().map(|(actor, n)| (actor.clone(), n)));
    Some(Some(pairs.into_iter().collect()))
}

/// Where the places of a clock are in one that has more authors.
fn moved(clock: &Clock, with: &Clock) -> Vec<usize> {
    let mut more = with.iter().enumerate();
    clock
        .iter()
        .filter_map(|(actor, _)| more.find(|(_, (other, _))| *other == actor))
        .map(|(at, _)| at)
        .collect()
}

impl Flat {
    /// Takes in edits whose authors had seen only their own past. If the answer is nothing,
    /// none has been taken in.
    pub(crate) fn take_all(&mut self, clock: &mut Clock, edits: &[EditRef<'_>]) -> Option<()> {
        let with = with_authors(clock, edits)?;
        let now = with.as_ref().unwrap_or(clock);
        let mut grid = Grid::new(now.len(), edits.len());
        if !self.0.is_empty() {
            let (moved, mut at) = (moved(clock, now), 0);
            while let Some(reg) = self.reg(at) {
                grid.old(self, &reg, &moved)?;
                at += reg.len;
            }
        }
        for edit in edits {
            grid.new_edit(edit, now.place_of(edit.actor)?)?;
        }
        let bytes = grid.written()?;
        if let Some(with) = with {
            *clock = with;
        }
        // Every edit says that the record is there or not: the last ones of all authors stand there.
        for (place, stands) in grid.standing(0) {
            clock.see_at(place, stands.n().into());
        }
        self.0 = bytes;
        Some(())
    }
}
