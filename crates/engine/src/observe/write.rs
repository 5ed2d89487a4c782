//! What a side shows of a write whose outcome nobody knows, or that it did not keep.
//!
//! What never happens here: an edit. What is no write of ours is compared in the room above.

use super::{Place, Seen, lacks_nothing};
use crate::answer::judge;
use crate::classify::{Verdict, verdict};
use crate::error::EngineError;
use crate::image::same_but_form;
use crate::lane::Track;
use crate::machine::Machine;
use crate::project::{is_all_of_groups_in, same, shown};
use crate::state::{SideState, Write};
use crate::views::Entry;
use crate::wake::Now;
use hms_sync_model::{Body, Failure, FieldName, Lane, Operation, ParkReason, Parked, RecordId, Source};

impl Machine {
    /// A write that the side is known not to have carried out, and that is not wanted
    /// any more: else it would have been sent again, and not read for.
    pub(super) fn drop_refused(
        &mut self,
        place: Place<'_>,
        record: &RecordId,
        entry: &mut Entry,
        now: Now,
    ) -> Result<(), EngineError> {
        let write = entry.state.sides.get(place.side).and_then(|part| part.write.as_ref());
        let Some(of) = write.map(|write| write.version) else { return Ok(()) };
        let words = "it was refused, and is not wanted any more".to_owned();
        let body = Body::Failed { side: place.side.clone(), of, failure: Failure::NotApplied, words };
        self.emit(record, entry, body, now).map(|_| ())
    }

    /// Whether a write may or may not have been carried out.
    pub(crate) fn is_write_open(&self, place: Place<'_>, record: &RecordId, entry: &Entry) -> bool {
        let write = entry.state.sides.get(place.side).and_then(|part| part.write.as_ref());
        let refused =
            self.lanes.get(record, &Track::Deliver(place.side.clone())).and_then(|lane| lane.refused);
        write.is_some_and(|write| refused != Some(write.version))
    }

    /// Whether a read that shows what was there before a write without an outcome may lag
    /// behind it. Where it is sent again under its key, it need not be told from reads.
    pub(super) fn may_not_show_write(
        &self,
        place: Place<'_>,
        record: &RecordId,
        entry: &Entry,
        seen: &Seen,
        now: Now,
    ) -> bool {
        let Some(part) = entry.state.sides.get(place.side) else { return false };
        let Some(write) = part.write.as_ref().filter(|_| place.plan.abilities.idempotency_key) else {
            return false;
        };
        let lane = self.lanes.get(record, &Track::Deliver(place.side.clone()));
        let heard = lane.and_then(|lane| lane.unsure_since).unwrap_or(write.at);
        now.wall < heard.plus(place.plan.settle_window)
            && !write.cut
            && found_of(place, part, write, seen).is_as_before()
    }

    /// Whether a read began before it was heard that nobody knows what became of a write: it
    /// may have been done before the write was.
    pub(super) fn may_precede_write(&self, place: Place<'_>, record: &RecordId, seen: &Seen) -> bool {
        let lane = self.lanes.get(record, &Track::Deliver(place.side.clone()));
        lane.and_then(|lane| lane.unsure_since).is_some_and(|heard| seen.began <= heard)
    }

    /// A write has no outcome, and now we see the record: did it land? Answers
    /// whether what its author had seen is known.
    pub(super) fn look(
        &mut self,
        place: Place<'_>,
        record: &RecordId,
        entry: &mut Entry,
        seen: &Seen,
        now: Now,
    ) -> Result<bool, EngineError> {
        let Some(part) = entry.state.sides.get(place.side) else { return Ok(true) };
        let Some(write) = part.write.clone() else { return Ok(true) };
        let found = found_of(place, part, &write, seen);
        if found.landed() && write.operation != Operation::Delete {
            let results = judge(place, part, &write.fields, &seen.fields);
            let all =
                is_all_of_groups_in(place.collection, place.plan, &entry.state, place.side, &write.fields);
            let body = Body::Applied {
                side: place.side.clone(),
                of: write.version,
                id: Some(seen.id.clone()),
                tag: seen.tag.clone(),
                results,
                whole: all && shows_no_more(place, part, &write, seen),
            };
            self.emit(record, entry, body, now)?;
            return Ok(true);
        }
        let words = "we looked: it is not there".to_owned();
        let body =
            Body::Failed { side: place.side.clone(), of: write.version, failure: Failure::NotApplied, words };
        self.emit(record, entry, body, now)?;
        Ok(found.is_as_before())
    }

    /// The side still shows what was there before our write. That is believed of a read that
    /// has our write's version tag, or of a second one once the write must have settled.
    pub(super) fn still_refused(
        &mut self,
        place: Place<'_>,
        record: &RecordId,
        entry: &mut Entry,
        seen: &Seen,
        fields: Vec<FieldName>,
        now: Now,
    ) -> Result<(), EngineError> {
        let Some(part) = entry.state.sides.get(place.side) else { return Ok(()) };
        // The answer itself may be older than the write: whoever took it in has the side read.
        if seen.source == Source::Answer {
            return Ok(());
        }
        let current = seen.tag.is_some() && seen.tag == part.tag;
        let window = place.plan.settle_window;
        let settled = part.last_write.as_ref().is_none_or(|last| now.wall >= last.ended.plus(window));
        if let Some(parked) = part.parked.as_ref().filter(|_| part.doubt.is_none()) {
            if seen.tag.is_some() && !current {
                return self.still_lacks(place, record, entry, seen, fields, now);
            }
            let passed = parked.reason == ParkReason::NotKept && parked.clock != entry.state.merged.clock;
            if !passed || !lacks_nothing(place, &entry.state) {
                return Ok(());
            }
            // Something else has changed since, and is there: it waits as before, and is not
            // read again and again to be told so.
            let parked = Parked { clock: entry.state.merged.clock.clone(), ..parked.clone() };
            let lane = Lane::Side(place.side.clone());
            return self.emit(record, entry, Body::Parked { lane, parked }, now).map(|_| ());
        }
        // What was doubted since it was parked is settled by this read: it is as it was.
        let sure = part.parked.is_some() || current;
        if sure || settled && part.doubt.as_ref().is_some_and(|doubt| doubt.times >= 2) {
            if !current && seen.tag.is_some() {
                self.still_lacks(place, record, entry, seen, fields.clone(), now)?;
            }
            return self.park_not_kept(place, record, entry, fields, now);
        }
        self.doubt(place, record, entry, "it still shows what was there before our write", now)
    }

    /// The side shows what it was known to show, in a version that we did not know: the next
    /// write goes by that.
    fn still_lacks(
        &mut self,
        place: Place<'_>,
        record: &RecordId,
        entry: &mut Entry,
        seen: &Seen,
        but: Vec<FieldName>,
        now: Now,
    ) -> Result<(), EngineError> {
        let clock = entry.state.sides.get(place.side).map(SideState::acked_of_all).unwrap_or_default();
        let body = Body::Confirmed { side: place.side.clone(), clock, tag: seen.tag.clone(), but };
        self.emit(record, entry, body, now).map(|_| ())
    }
}

/// What of a write without an outcome a side shows, of the fields that it changes.
#[derive(Default)]
struct Found {
    ours: bool,
    before: bool,
    other: bool,
}

impl Found {
    /// All of it is there. Where a part of it is, somebody may have set just that.
    fn landed(&self) -> bool {
        self.ours && !self.before && !self.other
    }

    /// Nobody has seen it who edited there.
    fn is_as_before(&self) -> bool {
        !self.ours && !self.other
    }
}

fn found_of(place: Place<'_>, part: &SideState, write: &Write, seen: &Seen) -> Found {
    let mut found = Found::default();
    for (field, value) in write.fields.iter() {
        let Some(there) = seen.fields.get(field) else { continue };
        let (ours, was) = (place.plan.shape.image(field, value), shown(place.plan, part, field));
        if same(&ours, &was) || same_but_form(&ours, &was) {
            // A side that has a form of its own would not show ours.
            found.ours |= !same(&ours, &was) && same(there, &ours);
            continue;
        }
        let is_ours = same(there, &ours) || same_but_form(there, &ours);
        let is_before = !is_ours && same(there, &was);
        // What a side does not keep it shows as it was, whether the write came there or not.
        if is_before && part.held.get(field).is_some_and(|held| held.not_kept) {
            continue;
        }
        found.ours |= is_ours;
        found.before |= is_before;
        found.other |= !is_ours && !is_before;
    }
    found
}

/// Whether a side shows a part of a write of unknown fate and something that may be older than
/// the write before it: what its people did and knew is said when that has settled, in one.
pub(super) fn is_undecided(place: Place<'_>, entry: &Entry, seen: &Seen, now: Now) -> bool {
    let Some(part) = entry.state.sides.get(place.side) else { return false };
    let Some(write) = part.write.as_ref().filter(|write| write.operation != Operation::Delete) else {
        return false;
    };
    let found = found_of(place, part, write, seen);
    let in_part = !found.landed() && !found.is_as_before();
    in_part && matches!(verdict(place, part, seen, now), Verdict::Stale(_) | Verdict::Edit(_, true))
}

/// Whether a side shows a write of ours and nothing else that is new: so it has been shown
/// all of it.
fn shows_no_more(place: Place<'_>, part: &SideState, write: &Write, seen: &Seen) -> bool {
    part.held.iter().all(|(field, held)| {
        let Some(there) = seen.fields.get(field) else { return false };
        let sent = write.fields.get(field);
        same(there, &place.plan.shape.image(field, sent.unwrap_or(&held.sent)))
            || sent.is_none() && same(there, &shown(place.plan, part, field))
    })
}
