//! Delivery: bringing every side in step with the merged record.
//!
//! Level-triggered: what to do next for a record on a side is worked out from
//! its state at the moment there is room to do it ([`next_step`]), never queued
//! up. An intent is durable before its request leaves; a request without an
//! answer is looked into, or repeated under its own idempotency key, before
//! anything else is written there.

use crate::error::EngineError;
use crate::lane::{Busy, Track};
use crate::machine::Machine;
use crate::observe::Place;
use crate::plan::CollectionPlan;
use crate::project::{Projection, lacks, projection, whole};
use crate::state::{RecordState, SideState, Write};
use crate::step::{Known, Step, due_of_doubt, next_step};
use crate::taken_up::is_unread;
use crate::views::Entry;
use crate::wake::{Effect, Now};
use hms_sync_connector::{LookupRequest, Shaped, Target, WriteRequest};
use hms_sync_model::{
    Body, CollectionName, Failure, FieldMap, IdempotencyKey, Lane, NativeId, Operation, ParkReason, RecordId,
    SideName, Tag, Value,
};
use serde_json::Value as Json;
use std::sync::Arc;

impl Machine {
    /// Puts each of a record's lanes where it belongs. Answers whether any has work.
    pub(crate) fn reconsider(
        &mut self,
        collection: &CollectionPlan,
        record: &RecordId,
        entry: &Entry,
        now: Now,
    ) -> bool {
        let Some((name, _)) = self.plan.collections.get_key_value(record.collection()) else { return false };
        let name = name.clone();
        let mut any = false;
        for (side, plan) in collection.sides.iter() {
            let track = Track::Deliver(side.clone());
            let lane = self.lanes.get(record, &track);
            let (busy, known) =
                lane.map_or((false, Known::default()), |lane| (lane.busy.is_some(), Known::of(lane, now)));
            if busy {
                any = true;
                continue;
            }
            let listed = self.passes.is_listed(side, &name);
            let known = known.with_listing(self.passes.last_complete(side, &name));
            let step = next_step(collection, plan, &entry.state, side, listed, known);
            let work = step != Step::Rest;
            // What waits for the first listing is found again by it, also after a restart.
            let waits = || !listed && !entry.state.sides.get(side).is_some_and(SideState::has_it);
            any |= work || waits() && lacks(collection, &entry.state, side, true).is_some();
            if work && !self.is_kept_from(side, &name) {
                if let Some(due) = due_of_doubt(plan, &entry.state, side, &step, now) {
                    let lane = self.lanes.open(record, &track);
                    lane.due = lane.due.max(Some(due));
                }
                self.lanes.schedule(record, &track, now.mono);
            } else {
                self.lanes.close(record, &track);
            }
        }
        if is_unread(collection, &entry.state) {
            self.ask_listings(collection, record, entry);
            any = true;
        }
        any |= self.reconsider_requests(record, &entry.state, now);
        any |= self.reconsider_jobs(record, &entry.state, now);
        any
    }

    /// Whether nothing goes to a side now, whatever it lacks: a person is waited for, or what
    /// is told again goes first.
    fn is_kept_from(&self, side: &SideName, name: &CollectionName) -> bool {
        self.passes.is_held(side, name) || self.is_held_back(side)
    }

    /// Does what waits in the queues, as far as there is room.
    pub(crate) fn pump(&mut self, now: Now) -> Result<(), EngineError> {
        if self.stopping {
            return Ok(());
        }
        let plan = Arc::clone(&self.plan);
        for side in plan.sides.keys() {
            let (deliver, send) = (Track::Deliver(side.clone()), Track::Send(side.clone()));
            while self.gates.get(side).is_some_and(|gate| gate.is_open(now.mono)) {
                if let Some(record) = self.lanes.next(&deliver) {
                    self.advance(&record, side, now)?;
                } else if let Some(record) = self.lanes.next(&send) {
                    self.send_next(&record, side, now)?;
                } else {
                    break;
                }
            }
        }
        self.pump_retellings(now)?;
        self.pump_jobs(now)
    }

    /// Does what a record needs on a side.
    fn advance(&mut self, record: &RecordId, side: &SideName, now: Now) -> Result<(), EngineError> {
        let plan = Arc::clone(&self.plan);
        let track = Track::Deliver(side.clone());
        let Some(place) = Place::of(&plan, record, side) else { return Ok(()) };
        let Some(lane) = self.lanes.get(record, &track) else { return Ok(()) };
        if lane.busy.is_some() {
            return Ok(());
        }
        if self.is_kept_from(side, place.name) {
            // It stands with the records that have work.
            self.lanes.close(record, &track);
            return Ok(());
        }
        if lane.due.is_some_and(|due| due > now.mono) {
            self.lanes.schedule(record, &track, now.mono);
            return Ok(());
        }
        let known = Known::of(lane, now).with_listing(self.passes.last_complete(side, place.name));
        let mut entry = self.views.take(record)?;
        let listed = self.passes.is_listed(side, place.name);
        match next_step(place.collection, place.plan, &entry.state, side, listed, known) {
            Step::Rest => self.lanes.close(record, &track),
            Step::Write | Step::Again if self.plan.restored || self.passes.is_shut(side, place.name) => {
                self.lanes.close(record, &track);
            }
            Step::Write => {
                if let Some(wanted) = projection(place.collection, &entry.state, side, listed) {
                    return self.write_new(place, record, entry, wanted, now);
                }
            }
            Step::Again => {
                let of = entry.state.sides.get(side).and_then(|part| part.write.as_ref()).map(|w| w.version);
                // What became of the tries before is not known, also not of an earlier process's.
                let lane = self.lanes.open(record, &track);
                lane.unsure = of.filter(|_| lane.refused != of).or(lane.unsure);
                self.write_again(place, record, &mut entry, now)?;
            }
            Step::Read => self.read_one(place, record, &entry, now),
            Step::LookUp => self.look_up(place, record, &entry, now),
            Step::NotShown => {
                self.not_shown(place, record, &mut entry, now)?;
                return self.finish(record.clone(), entry, now);
            }
            Step::Park(reason, words) => {
                self.park(record, &mut entry, Lane::Side(side.clone()), reason, words, now)?;
                return self.finish(record.clone(), entry, now);
            }
        }
        self.views.put(record.clone(), entry);
        Ok(())
    }

    fn set_busy(&mut self, record: &RecordId, side: &SideName, busy: Busy, now: Now) {
        let lane = self.lanes.open(record, &Track::Deliver(side.clone()));
        if matches!(busy, Busy::Writing(_)) {
            lane.read_at = None;
            lane.refused = None;
        }
        lane.busy = Some(busy);
        lane.due = None;
        if let Some(gate) = self.gates.get_mut(side) {
            gate.begin(now.mono);
        }
    }

    fn read_one(&mut self, place: Place<'_>, record: &RecordId, entry: &Entry, now: Now) {
        let Some(id) = entry.state.sides.get(place.side).and_then(|part| part.id.clone()) else { return };
        self.set_busy(record, place.side, Busy::Reading, now);
        let (side, collection) = (place.side.clone(), place.name.clone());
        self.push(Effect::Fetch { record: record.clone(), side, collection, id });
    }

    fn look_up(&mut self, place: Place<'_>, record: &RecordId, entry: &Entry, now: Now) {
        let rules = &place.collection.rules;
        let values =
            place.collection.identity.iter().map(|f| (f.clone(), entry.state.merged.value(rules, f)));
        let identity = place.plan.shape.write(&values.collect()).unwrap_or(Json::Null);
        self.set_busy(record, place.side, Busy::Looking, now);
        let request = LookupRequest { collection: place.name.clone(), identity };
        self.push(Effect::LookUp { record: record.clone(), side: place.side.clone(), request });
    }

    /// Writes down what is to be written, and has it written once that is durable.
    fn write_new(
        &mut self,
        place: Place<'_>,
        record: &RecordId,
        mut entry: Entry,
        wanted: Projection,
        now: Now,
    ) -> Result<(), EngineError> {
        let clock = entry.state.merged.clock.clone();
        let body = Body::Intended {
            side: place.side.clone(),
            operation: wanted.operation,
            fields: wanted.fields,
            clock,
        };
        let version = self.emit(record, &mut entry, body, now)?;
        self.lanes.open(record, &Track::Deliver(place.side.clone())).sent = Some((version, now.wall));
        if self.write_again(place, record, &mut entry, now)? {
            self.views.mark_todo(record, true);
            self.views.put(record.clone(), entry);
            return Ok(());
        }
        self.finish(record.clone(), entry, now)
    }

    /// Sends the write that stands in the record's state. Answers whether it can be sent.
    fn write_again(
        &mut self,
        place: Place<'_>,
        record: &RecordId,
        entry: &mut Entry,
        now: Now,
    ) -> Result<bool, EngineError> {
        let Some(part) = entry.state.sides.get(place.side) else { return Ok(false) };
        let Some(write) = &part.write else { return Ok(false) };
        let version = write.version;
        match request(place, &entry.state, part, write) {
            Ok(request) => {
                self.set_busy(record, place.side, Busy::Writing(version), now);
                self.counts.writes += 1;
                let (record, side) = (record.clone(), place.side.clone());
                self.push(Effect::Write { record, side, version, request });
                Ok(true)
            }
            Err(words) => {
                let body = Body::Failed {
                    side: place.side.clone(),
                    of: version,
                    failure: Failure::Rejected,
                    words: words.clone(),
                };
                self.emit(record, entry, body, now)?;
                let lane = Lane::Side(place.side.clone());
                self.park(record, entry, lane, ParkReason::Unmappable, words, now)?;
                Ok(false)
            }
        }
    }
}

/// A side keeps a field that is not mentioned: what is absent elsewhere is null there.
fn nothing_absent(fields: &FieldMap) -> FieldMap {
    let named = |value: &Value| if *value == Value::Absent { Value::Null } else { value.clone() };
    fields.iter().map(|(field, value)| (field.clone(), named(value))).collect()
}

/// The request for a write: a patch of what it changes and the whole record.
pub(crate) fn request(
    place: Place<'_>,
    state: &RecordState,
    part: &SideState,
    write: &Write,
) -> Result<WriteRequest, String> {
    let tag =
        |part: &SideState| -> Option<Tag> { part.tag.clone().filter(|_| place.plan.abilities.precondition) };
    let id = |part: &SideState| -> Result<NativeId, String> {
        part.id.clone().ok_or_else(|| format!("{} has no id for the record", place.side))
    };
    let target = match write.operation {
        Operation::Create => Target::Create,
        Operation::Update => Target::Update(id(part)?, tag(part)),
        Operation::Delete => Target::Delete(id(part)?, tag(part)),
    };
    let shaped = |fields: &FieldMap| -> Result<Shaped, String> {
        place.plan.shape.shaped(fields).map_err(|why| why.to_string())
    };
    let (changed, whole) = match write.operation {
        Operation::Create => {
            let all = shaped(&write.fields)?;
            (all.clone(), all)
        }
        Operation::Update => {
            (shaped(&nothing_absent(&write.fields))?, shaped(&whole(place.collection, place.plan, state))?)
        }
        Operation::Delete => (shaped(&write.fields)?, Shaped::default()),
    };
    let former = part.id.clone().filter(|_| write.operation == Operation::Create && part.gone);
    let key = blake3::Hash::from_bytes(write.event.0).to_hex();
    let key = IdempotencyKey::try_new(key.get(..32).unwrap_or(&key)).map_err(|why| why.to_string())?;
    Ok(WriteRequest { collection: place.name.clone(), target, changed, whole, former, key })
}
