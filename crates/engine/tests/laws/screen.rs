//! The second oracle: what was on each side's screens. Every edit notes which edits of
//! others the screen had taken into account for the field it changes, and which of them
//! were brought there by a write of ours. Nothing here asks the engine.

use crate::side::{Doc, FIELDS};
use hms_sync_model::{Clock, SideName};

pub const SIDES_MAX: usize = 5;
const FIELD_COUNT: usize = FIELDS.len();

/// For each side, up to which of its edits.
pub type Upto = [u64; SIDES_MAX];

/// An edit of one field that was made on a side.
#[derive(Debug, Clone)]
pub struct Made {
    /// The how-many-eth of this side on this record.
    pub n: u64,
    pub field: usize,
    /// What was on the screen of that field.
    pub seen: Upto,
    /// What of it our writes had brought there.
    pub told: Upto,
}

/// One side's part of one record.
#[derive(Debug, Clone, Default)]
pub struct Part {
    pub edits: Vec<Made>,
    pub made: u64,
    seen: [Upto; FIELD_COUNT],
    told: [Upto; FIELD_COUNT],
    /// The last of its edits of each field that has become an event.
    pub taken: [u64; FIELD_COUNT],
    /// What was last known to stand there: taken in, or written by us.
    known: Doc,
    /// What was known to stand there before that.
    stood: Vec<(usize, Option<String>)>,
    /// What we wrote there, field by field, be it kept or not.
    sent: Vec<(usize, Option<String>)>,
    /// Its events: their numbers, and the edits of each field that they brought.
    events: Vec<(u32, u64, [u64; FIELD_COUNT])>,
}

impl Part {
    /// Somebody changes fields here. Those of a group are edited as one: of all of them
    /// their author is known to have been told what they were told of each.
    pub fn edit(&mut self, fields: &[usize], group: &[usize]) {
        self.made += 1;
        for &field in fields {
            let (seen, mut told) = (self.seen[field], self.told[field]);
            for &other in group.iter().filter(|_| group.contains(&field)) {
                told.iter_mut().zip(self.told[other]).for_each(|(told, other)| *told = (*told).min(other));
            }
            self.edits.push(Made { n: self.made, field, seen, told });
        }
    }

    /// A new row of ours stands there: nothing of it is an edit of theirs.
    pub fn begin(&mut self, doc: &Doc) {
        self.taken = [self.made; FIELD_COUNT];
        doc.iter().enumerate().for_each(|(field, value)| self.know(field, value.clone()));
    }

    /// From now on this is known to stand there.
    pub fn know(&mut self, field: usize, value: Option<String>) {
        self.stood.push((field, std::mem::replace(&mut self.known[field], value)));
    }

    pub fn known(&self, field: usize) -> Option<&str> {
        self.known[field].as_deref()
    }

    /// The screen shows a value of a field that takes these edits into account.
    pub fn show(&mut self, field: usize, upto: &Upto, told: bool) {
        raise(&mut self.seen[field], upto);
        if told {
            raise(&mut self.told[field], upto);
        }
    }

    /// We are about to write this there.
    pub fn send(&mut self, field: usize, value: Option<String>) {
        self.sent.push((field, value));
    }

    /// What we last wrote there.
    pub fn last_sent(&self, field: usize) -> Option<&str> {
        self.sent.iter().rev().find(|(of, _)| *of == field)?.1.as_deref()
    }

    /// Whether something there was edited and has not become an event, and can be told from
    /// what was known to be there, or written by us, at any time.
    pub fn is_news(&self, field: usize, there: Option<&str>, alike: impl Fn(Option<&str>) -> bool) -> bool {
        let edited = self.last(field, u64::MAX).is_some_and(|made| made.n > self.taken[field]);
        let mut before = self.sent.iter().chain(&self.stood).filter(|(of, _)| *of == field);
        edited && !alike(self.known(field)) && !before.any(|(_, value)| value.as_deref() == there)
    }

    /// What was edited and has not become an event is taken to have been done with this on
    /// the screen.
    pub fn believe(&mut self, field: usize, upto: &Upto) {
        let taken = self.taken[field];
        let edits = self.edits.iter_mut().filter(|edit| edit.field == field && edit.n > taken);
        edits.for_each(|edit| raise(&mut edit.seen, upto));
    }

    /// Who edited a field here after the first `made` edits had this on the screen.
    pub fn showed(&mut self, field: usize, made: u64, upto: &Upto) {
        let edits = self.edits.iter_mut().filter(|edit| edit.field == field && edit.n > made);
        edits.for_each(|edit| raise(&mut edit.seen, upto));
    }

    /// Nobody knows what its people had been told when they edited, nor, until they are told
    /// of it again, later.
    pub fn doubt(&mut self) {
        self.doubt_of(&std::array::from_fn::<_, FIELD_COUNT, _>(|field| field));
    }

    /// The same of some fields.
    pub fn doubt_of(&mut self, fields: &[usize]) {
        fields.iter().for_each(|field| self.told[*field] = Upto::default());
        let edits = self.edits.iter_mut().filter(|edit| fields.contains(&edit.field));
        edits.for_each(|edit| edit.told = Upto::default());
    }

    /// Whether a field was edited here after the one edit and up to the other.
    pub fn edited_between(&self, field: usize, after: u64, upto: u64) -> bool {
        self.edits.iter().any(|edit| edit.field == field && edit.n > after && edit.n <= upto)
    }

    pub fn seen(&self, field: usize) -> &Upto {
        &self.seen[field]
    }

    /// The last edit of a field among the first `made`.
    pub fn last(&self, field: usize, made: u64) -> Option<&Made> {
        self.edits.iter().rev().find(|edit| edit.field == field && edit.n <= made)
    }

    /// An event of this side's brings what was made of these fields.
    pub fn take(&mut self, epoch: u32, n: u64, fields: &[(usize, u64)]) {
        let mut brings = self.events.last().map_or([0; FIELD_COUNT], |(_, _, brings)| *brings);
        for &(field, made) in fields {
            brings[field] = made;
            self.taken[field] = self.taken[field].max(made);
        }
        self.events.push((epoch, n, brings));
    }

    fn brought(&self, epoch: u32, n: u64, field: usize) -> u64 {
        let upto = self.events.iter().rev().find(|(e, of, _)| (*e, *of) <= (epoch, n));
        upto.map_or(0, |(_, _, brings)| brings[field])
    }
}

fn raise(all: &mut Upto, upto: &Upto) {
    all.iter_mut().zip(upto).for_each(|(have, to)| *have = (*have).max(*to));
}

/// Which edits of a field a clock speaks of.
pub fn upto(parts: &[Part], clock: &Clock, field: usize, index: impl Fn(&SideName) -> usize) -> Upto {
    let mut all = Upto::default();
    for (actor, n) in clock.iter() {
        if let Some(side) = actor.as_side().map(&index) {
            all[side] = all[side].max(parts[side].brought(actor.epoch, n, field));
        }
    }
    all
}

/// Who of the others is claimed to have been seen further than they were.
pub fn beyond(claimed: &Upto, seen: &Upto, own: usize) -> Option<usize> {
    (0..SIDES_MAX).find(|&side| side != own && claimed[side] > seen[side])
}
