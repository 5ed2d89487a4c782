//! The regression brake: a side that suddenly shows many of its records as they were earlier
//! was not edited by people; it was put back from a backup.
//!
//! In a pass, records that stand as they did earlier are put by until the pass has ended: few
//! of them are ordinary edits. Once they are more than the guard lets pass, all that the side
//! shows of the collection waits for a person, and nothing is written there. None of it is
//! lost, for the side goes on showing it: after the person's word it is read in full.
//!
//! What never happens here: taking any of it in unasked, or forgetting the hold or the word.

use crate::altered::cut_short;
use crate::earlier::{Earlier, earlier};
use crate::error::EngineError;
use crate::happening::What;
use crate::lane::Track;
use crate::machine::Machine;
use crate::observe::{Looked, Place, Seen};
use crate::page::Doc;
use crate::pass::PutBy;
use crate::project::{same, shown};
use crate::state::{RecordState, SideState};
use crate::stream::{StreamState, Told};
use crate::views::Entry;
use crate::wake::Now;
use hms_sync_connector::{Content, Observation};
use hms_sync_model::{
    Body, Clock, CollectionName, FieldMap, Lane, NativeId, ParkReason, Parked, RecordId, SideName, Source,
    Time,
};
use hms_sync_resolver::Presence;
use std::time::Duration;

/// More than so many always wait: until the pass has ended they are kept in memory.
const PUT_BY_MAX: usize = 10_000;

/// The first wait before a side is listed once more of which records are still missing.
const AGAIN: Duration = Duration::from_secs(5);

/// What is known of a side that may have been put back from a backup.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Regression {
    /// What it shows waits for a person.
    pub(crate) held: bool,
    /// What the person has said, until it is done.
    pub(crate) told: Option<Told>,
    /// Listings since then.
    rounds: u32,
}

impl Regression {
    pub(crate) fn of(state: &StreamState) -> Self {
        Self { held: state.regressed.is_some(), told: state.told, rounds: 0 }
    }

    /// Whether nothing may be written there.
    pub(crate) fn is_shut(&self) -> bool {
        self.held || self.told.is_some()
    }

    /// How long until the side is listed once more.
    pub(crate) fn wait(&mut self) -> Duration {
        self.rounds = self.rounds.saturating_add(1);
        AGAIN.saturating_mul(1 << (self.rounds - 1).min(7))
    }
}

impl Machine {
    /// Takes over from a side's stream what waits for a person, and what one has said.
    pub(crate) fn know_regression(
        &mut self,
        key: &(SideName, CollectionName),
        stream: &RecordId,
    ) -> Result<(), EngineError> {
        let state = self.views.stream(stream)?;
        self.passes.know_regression(key, &state);
        Ok(())
    }

    /// A record that stands on a side as it did earlier: put by, written back, or taken, as it
    /// has been said. Answers whether there is nothing more to be learnt of it now.
    pub(crate) fn turned_back(
        &mut self,
        place: Place<'_>,
        record: &RecordId,
        entry: &mut Entry,
        seen: &Seen,
        now: Now,
    ) -> Result<bool, EngineError> {
        let Some(pass) = self.passes.get(place.side, place.name) else { return Ok(false) };
        let told = pass.regression().told;
        let wanted = match told {
            None => seen.source == Source::Page && pass.puts_by(),
            Some(_) => matches!(seen.source, Source::Page | Source::Fetch),
        };
        let busy = self.lanes.get(record, &Track::Deliver(place.side.clone()));
        let busy = busy.is_some_and(|lane| lane.busy.is_some());
        if !wanted || busy || !may_be_compared(place, &entry.state, seen, now) {
            return Ok(false);
        }
        let open = self.without_absences(place.side, place.name, seen.open(place, entry)).into_owned();
        let Some(part) = entry.state.sides.get(place.side) else { return Ok(false) };
        let different = different(place, part, &open);
        if different.is_empty() {
            return Ok(false);
        }
        if told.is_some_and(|told| !told.ours) {
            return self.take_theirs(place, record, entry, &open, different, now);
        }
        let found =
            earlier((self.views.log(), self.views.vault(), &self.plan), place, record, &open, &different)?;
        match (found, told) {
            (Some(found), Some(_)) => self.push_ours(place, record, entry, &open, (&found, &different), now),
            (Some(found), None) if found.whole => self.put_by(place, seen, found.until, now),
            _ => Ok(false),
        }
    }

    /// What it shows are its people's edits.
    fn take_theirs(
        &mut self,
        place: Place<'_>,
        record: &RecordId,
        entry: &mut Entry,
        seen: &Seen,
        mut fields: FieldMap,
        now: Now,
    ) -> Result<bool, EngineError> {
        let Some(part) = entry.state.sides.get(place.side).filter(|part| part.has_it()) else {
            return Ok(false);
        };
        let cut = cut_short(place, part, &fields);
        fields.retain(|field, _| !cut.contains(field));
        if fields.is_empty() {
            return Ok(false);
        }
        let side = place.side.clone();
        self.tell_way(record, now, || What::Edited { side, fields: fields.clone() });
        self.edit(place, record, entry, seen, fields, seen.certain, now).map(|()| true)
    }

    /// What it shows is what it holds, and nobody's edit: what differs from ours is written
    /// there. What never stood there before is an edit, by whom it is not known what they saw.
    fn push_ours(
        &mut self,
        place: Place<'_>,
        record: &RecordId,
        entry: &mut Entry,
        seen: &Seen,
        (found, different): (&Earlier, &FieldMap),
        now: Now,
    ) -> Result<bool, EngineError> {
        let Some(part) = entry.state.sides.get(place.side) else { return Ok(false) };
        let fields = held_now(place, part, &found.part, seen, different);
        let (side, id) = (place.side.clone(), Some(seen.id.clone()));
        let reason = "it stands there as it did earlier: ours is written back".to_owned();
        let body = Body::Linked { side, id, fields, by: "a person".to_owned(), reason };
        self.emit(record, entry, body, now)?;
        let seen = Seen { certain: false, ..seen.clone() };
        self.compare(place, record, entry, &seen, now).map(|()| true)
    }

    /// Keeps what was seen until the pass has ended, or holds the side.
    fn put_by(&mut self, place: Place<'_>, seen: &Seen, until: Time, now: Now) -> Result<bool, EngineError> {
        let key = (place.side.clone(), place.name.clone());
        let Seen { id, tag, modified, doc: Doc::Whole(doc), began, aged, .. } = seen.clone() else {
            return Ok(false);
        };
        let seen = Observation { id, tag, modified, content: Content::Whole(doc) };
        let Some(many) = self.passes.put_by(&key, PutBy { seen, began: Looked { at: began, aged } }, until)
        else {
            return Ok(false);
        };
        self.put_by += 1;
        let guard = place.collection.guard;
        if many.records <= guard.max_regressions {
            return Ok(true);
        }
        let all = match many.all {
            Some(all) => all,
            None => self.count_records(&key)?,
        };
        if many.records > guard.regressions_of(all).min(PUT_BY_MAX) {
            self.hold_side(&key, (many.records, all), many.until, now)?;
        }
        Ok(true)
    }

    /// How many records a side has, about.
    fn count_records(&mut self, key: &(SideName, CollectionName)) -> Result<usize, EngineError> {
        let (mut all, mut after) = (0, None::<Vec<u8>>);
        loop {
            let links = self.views.links(&key.0, &key.1, after.as_deref(), 1_024)?;
            let Some((last, _)) = links.last() else { break };
            (all, after) = (all + links.len(), Some(last.clone()));
        }
        self.passes.know_count(key, all);
        Ok(all)
    }

    /// What a side shows waits for a person from here on.
    fn hold_side(
        &mut self,
        key: &(SideName, CollectionName),
        (records, all): (usize, usize),
        until: Time,
        now: Now,
    ) -> Result<(), EngineError> {
        let (side, collection) = key;
        let words = format!(
            "{side} shows more than {} of {all} records of {collection} as they stood before {until}: was it put \
             back from a backup? What it shows is held, and nothing is written there; push-ours writes ours \
             back, take-theirs takes what it shows as its edits",
            records.saturating_sub(1)
        );
        let lane = Lane::Side(side.clone());
        let stream = crate::stream::stream_of(side, collection)?;
        self.tell(Some(&stream), What::Parked { lane: lane.to_string(), reason: words.clone() }, now);
        let (reason, clock, fields) = (ParkReason::Regression, Clock::default(), Vec::new());
        let parked = Parked { reason, words, attempts: 0, fields, clock, given_up: false };
        self.emit_stream(&stream, Body::Parked { lane, parked }, now)?;
        self.know_regression(key, &stream)
    }

    /// A record that is not there any more on a side that ours is written back to: it was lost
    /// there, and is made again. Answers whether it is so.
    pub(crate) fn lost_there(
        &mut self,
        place: Place<'_>,
        record: &RecordId,
        entry: &mut Entry,
        now: Now,
    ) -> Result<bool, EngineError> {
        let pass = self.passes.get(place.side, place.name);
        let ours = pass.and_then(|pass| pass.regression().told).is_some_and(|told| told.ours);
        let part = entry.state.sides.get(place.side);
        let there = part.is_some_and(|part| part.has_it() && part.write.is_none());
        if !ours || !there || entry.state.merged.presence(&place.collection.rules) != Presence::Present {
            return Ok(false);
        }
        let body = Body::Unlinked { side: place.side.clone(), apart: None };
        self.emit(record, entry, body, now).map(|_| true)
    }

    /// Records that a complete listing of such a side did not show. Answers whether all that
    /// is to be said of them was.
    pub(crate) fn make_again(
        &mut self,
        key: &(SideName, CollectionName),
        missing: Vec<(RecordId, NativeId)>,
        now: Now,
    ) -> Result<bool, EngineError> {
        let part = self.plan.collections.get(&key.1).and_then(|of| of.sides.get(&key.0));
        let asks = part.is_some_and(|part| part.abilities.fetch);
        let all_said = !asks || missing.is_empty();
        for (record, id) in missing {
            self.missing(&key.0, &key.1, &record, id, now)?;
        }
        Ok(all_said)
    }
}

/// Whether what a side shows of a record can be compared with what it is known to hold, and
/// is not older than what we did there.
fn may_be_compared(place: Place<'_>, state: &RecordState, seen: &Seen, now: Now) -> bool {
    let Some(part) = state.sides.get(place.side) else { return false };
    let window = place.plan.settle_window;
    let settled = |ended: Time| seen.began > ended && now.wall >= ended.plus(window);
    let doubtful = part.parked.as_ref().is_some_and(|parked| {
        matches!(parked.reason, ParkReason::IdReused | ParkReason::AmbiguousMatch | ParkReason::Unreadable)
    });
    let known = state.malformed.is_none() && state.joined.is_none() && !doubtful && !part.unlinked;
    let open = part.write.is_some() || part.unread.is_some() || part.is_unseen();
    let back = part.gone && state.merged.presence(&place.collection.rules) == Presence::Deleted;
    known
        && !open
        && part.id.as_ref() == Some(&seen.id)
        && (part.has_it() || back && settled(part.seen_at))
        && part.last_write.as_ref().is_none_or(|last| settled(last.ended))
}

/// What a side shows that it is not known to hold; all of it, where it is not known to be there.
fn different(place: Place<'_>, part: &SideState, seen: &Seen) -> FieldMap {
    let is_new = |(field, view): &(&hms_sync_model::FieldName, &hms_sync_model::Value)| {
        let late = part.held.get(*field).filter(|held| held.not_kept);
        !same(view, &shown(place.plan, part, field))
            && !late.is_some_and(|held| same(view, &place.plan.shape.image(field, &held.sent)))
    };
    seen.fields.iter().filter(is_new).map(|(field, view)| (field.clone(), view.clone())).collect()
}

/// What a side holds that was put back: what it shows, but for what never stood there before,
/// in whose place is what did.
fn held_now(
    place: Place<'_>,
    part: &SideState,
    then: &SideState,
    seen: &Seen,
    different: &FieldMap,
) -> FieldMap {
    let mut fields = FieldMap::new();
    for (field, view) in seen.fields.iter() {
        let before = then.held.get(field);
        let stood = before.is_some() && same(view, &shown(place.plan, then, field));
        if different.contains_key(field) && !stood {
            if let Some(held) = before {
                fields.insert(field.clone(), held.sent.clone());
            }
            continue;
        }
        let source = before.or_else(|| part.held.get(field)).map(|held| held.sent.clone());
        let value = place.plan.shape.put(field, view, &source.unwrap_or_default());
        if value != hms_sync_model::Value::Absent {
            fields.insert(field.clone(), value);
        }
    }
    fields
}
