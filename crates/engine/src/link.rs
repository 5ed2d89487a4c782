//! Which native record is whose: a person takes a record and a side's native record apart,
//! puts them together again, or says that two records are one.
//!
//! Nothing here guesses, and no native record is touched but what a join makes superfluous.
//! What was taken apart is not matched again until a person says so.

use crate::error::EngineError;
use crate::lane::Track;
use crate::machine::Machine;
use crate::observe::Place;
use crate::state::RecordState;
use crate::views::Entry;
use crate::wake::{Now, Reply};
use hms_sync_model::{Apart, Body, FieldMap, NativeId, RecordId, SideName};
use std::sync::Arc;

/// A person's word about which native record is whose.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tie {
    /// Which record.
    pub record: RecordId,
    /// What is to become of it.
    pub wanted: Tied,
    /// Who says so.
    pub by: String,
    /// Why.
    pub reason: String,
}

/// What is to become of a record's ties.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Tied {
    /// The record and what is there on a side go separate ways.
    Unlink(SideName),
    /// A native record of a side becomes the record's part there; without an id what is
    /// there is found as on a first listing.
    Relink(SideName, Option<NativeId>),
    /// The record is one with another, which goes on.
    Join(RecordId),
}

/// Why it is not done, in words.
pub(crate) type Cannot = String;

impl Machine {
    /// Does what a person says; it is durable before they are answered.
    pub(crate) fn tie(&mut self, tie: Tie, now: Now) -> Result<Reply, EngineError> {
        let Tie { record, wanted, by, reason } = tie;
        let version = self.views.peek(&record)?.map_or(0, |state| state.version);
        let done = match wanted {
            Tied::Unlink(side) => self.unlink(&record, &side, (by, reason), now)?,
            Tied::Relink(side, id) => self.relink(&record, &side, id, (by, reason), now)?,
            Tied::Join(into) => self.join(&record, &into, (by, reason), now)?,
        };
        Ok(match done {
            Ok(()) => Reply::Made(version.saturating_add(1)),
            Err(why) => Reply::Refused(why),
        })
    }

    fn unlink(
        &mut self,
        record: &RecordId,
        side: &SideName,
        (by, reason): (String, String),
        now: Now,
    ) -> Result<Result<(), Cannot>, EngineError> {
        let plan = Arc::clone(&self.plan);
        let Some(place) = Place::of(&plan, record, side) else { return Ok(Err(no_such_side(record, side))) };
        let mut entry = self.views.take(record)?;
        let part = entry.state.sides.get(side).filter(|part| part.has_it());
        let id = match (is_one_with(record, &entry.state), part.and_then(|part| part.id.clone())) {
            (Some(why), _) => Err(why),
            (None, None) => Err(format!("{record} has no native record on {side} to be unlinked from")),
            (None, Some(id)) => Ok(id),
        };
        match id {
            Err(why) => {
                self.views.put(record.clone(), entry);
                Ok(Err(why))
            }
            Ok(id) => {
                self.set_apart(place, record, &mut entry, id, Some(by), reason, now)?;
                self.finish(record.clone(), entry, now)?;
                Ok(Ok(()))
            }
        }
    }

    /// Takes a record and a side's native record apart. The native record begins a record of its
    /// own, which is kept from the sides where the first one is: with the same identity they
    /// would be matched there, or made twice.
    #[expect(clippy::too_many_arguments, reason = "what is taken apart, by whom and why")]
    pub(crate) fn set_apart(
        &mut self,
        place: Place<'_>,
        record: &RecordId,
        entry: &mut Entry,
        id: NativeId,
        by: Option<String>,
        reason: String,
        now: Now,
    ) -> Result<(), EngineError> {
        let side = place.side;
        let apart = Apart { id: Some(id.clone()), by: by.clone(), reason: reason.clone() };
        self.emit(record, entry, Body::Unlinked { side: side.clone(), apart: Some(apart) }, now)?;
        self.lanes.close(record, &Track::Deliver(side.clone()));
        let (next, mut own) = self.record_apart(side, place.name, &id, Some(record))?;
        self.emit(&next, &mut own, Body::Follows { of: record.clone() }, now)?;
        let others = entry.state.sides.iter().filter(|(other, part)| *other != side && part.has_it());
        for (other, part) in others {
            let apart = Apart { id: part.id.clone(), by: by.clone(), reason: reason.clone() };
            self.emit(&next, &mut own, Body::Unlinked { side: other.clone(), apart: Some(apart) }, now)?;
        }
        let words = format!("taken apart from {record}");
        let body = Body::Doubted { side: side.clone(), stale: false, id: Some(id), message: None, words };
        self.emit(&next, &mut own, body, now)?;
        self.finish(next, own, now)?;
        if !place.plan.abilities.fetch {
            self.ask_pass(side, place.name, true);
        }
        Ok(())
    }

    fn relink(
        &mut self,
        record: &RecordId,
        side: &SideName,
        id: Option<NativeId>,
        (by, reason): (String, String),
        now: Now,
    ) -> Result<Result<(), Cannot>, EngineError> {
        let plan = Arc::clone(&self.plan);
        let Some(place) = Place::of(&plan, record, side) else { return Ok(Err(no_such_side(record, side))) };
        let state = self.views.peek(record)?.unwrap_or_default();
        if let Some(why) = cannot_take(record, &state, side) {
            return Ok(Err(why));
        }
        // Without an id it is what was unlinked there last, if anything was.
        let id = id.or_else(|| state.sides.get(side)?.apart.last().cloned());
        let other = match &id {
            Some(id) => self.views.linked(side, place.name, id)?,
            None => None,
        };
        if let Some(other) = other.filter(|other| other != record) {
            let with = self.views.peek(&other)?.unwrap_or_default();
            let mut elsewhere = with.sides.iter().filter(|(of, part)| *of != side && part.has_it());
            if let Some((of, _)) = elsewhere.next() {
                return Ok(Err(format!(
                    "it belongs to {other}, which is on {of} as well: unlink it there first, or join the two"
                )));
            }
            self.give_up(&other, record, (&by, &reason), now)?;
        }
        let named = id.is_some();
        let mut entry = self.views.take(record)?;
        self.emit(
            record,
            &mut entry,
            Body::Linked { side: side.clone(), id, fields: FieldMap::new(), by, reason },
            now,
        )?;
        self.finish(record.clone(), entry, now)?;
        if named && place.plan.abilities.fetch {
            return Ok(Ok(()));
        }
        // What the side shows is known, and was passed over.
        self.quiet.clear();
        self.ask_pass(side, place.name, true);
        Ok(Ok(()))
    }

    /// A record that has nothing but what goes to another one ends there.
    fn give_up(
        &mut self,
        record: &RecordId,
        into: &RecordId,
        (by, reason): (&str, &str),
        now: Now,
    ) -> Result<(), EngineError> {
        let mut entry = self.views.take(record)?;
        let sides: Vec<SideName> = entry.state.sides.keys().cloned().collect();
        for side in sides {
            self.emit(record, &mut entry, Body::Unlinked { side, apart: None }, now)?;
        }
        self.end_in(record, &mut entry, into, Vec::new(), (by, reason), now)?;
        self.finish(record.clone(), entry, now)
    }
}

/// Why nothing is done with a record that goes on under another name.
pub(crate) fn is_one_with(record: &RecordId, state: &RecordState) -> Option<Cannot> {
    state.joined.as_ref().map(|into| format!("{record} is one with {into}: name that one"))
}

/// Why a record cannot be given a native record on a side.
fn cannot_take(record: &RecordId, state: &RecordState, side: &SideName) -> Option<Cannot> {
    if let Some(why) = is_one_with(record, state) {
        return Some(why);
    }
    if state.merged.clock.is_empty() {
        return Some(format!("nothing is known of {record} yet"));
    }
    let part = state.sides.get(side)?;
    if let Some(id) = part.id.as_ref().filter(|_| !part.gone) {
        return Some(format!("it has {:.60} on {side}: unlink that first", id.as_str()));
    }
    part.write.as_ref().map(|_| format!("it is being made on {side} just now: try again when that is done"))
}

fn no_such_side(record: &RecordId, side: &SideName) -> Cannot {
    format!("{side} has no collection {:?}", record.collection())
}
