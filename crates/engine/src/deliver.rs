//! Delivery: bringing every side in step with the merged record.
//!
//! Level-triggered: what to do next for a record on a side is worked out from
//! its state at the moment there is room to do it ([`next_step`]), never queued
//! up. An intent is durable before its request leaves; a request without an
//! answer is looked into, or repeated under its own idempotency key, before
//! anything else is written there.

use crate::brake::fights;
use crate::error::EngineError;
use crate::gate::Health;
use crate::happening::What;
use crate::image::same_but_form;
use crate::lane::{Busy, Track};
use crate::machine::Machine;
use crate::observe::{Place, Seen};
use crate::plan::{CollectionPlan, CollectionSide};
use crate::project::{
    Projection, held_back, is_all_of_groups_in, is_unconfirmed, lacks, projection, same, shown, whole,
};
use crate::state::{RecordState, SideState, Write};
use crate::unaware;
use crate::views::Entry;
use crate::wake::{Effect, Now};
use hms_sync_connector::{Content, LookupRequest, Observation, ReadError, Target, WriteRequest};
use hms_sync_model::{
    Body, Failure, FieldMap, FieldName, FieldResult, IdempotencyKey, Lane, NativeId, Operation, Outcome,
    ParkReason, RecordId, SideName, Source, Tag, Time, Value, VecMap, Written,
};
use hms_sync_resolver::fault::{Fault, is_back};
use serde_json::Value as Json;
use std::sync::Arc;
use std::time::Duration;

/// How long a look-up or a doubt waits after the trouble that raised it.
const LOOK_DELAY: Duration = Duration::from_millis(50);

/// How long a request of a connection that broke, or of a process that died, may
/// still arrive: a look that finds nothing is believed only if one after this agrees.
const LATE_ARRIVAL: Duration = Duration::from_secs(1);

/// What a record needs on one side.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Step {
    /// Nothing.
    Rest,
    /// A new write, of what [`projection`] says.
    Write,
    /// The write that was not carried out so far, once more.
    Again,
    /// A look at the record by its id.
    Read,
    /// A look at what carries its identity.
    LookUp,
    /// A person's word.
    Park(ParkReason, String),
}

/// What this process knows of a lane besides the record's state.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Known {
    /// The side reported something there in answer to a create.
    look: bool,
    /// The write that the side is known not to have carried out.
    refused: Option<u64>,
    /// The record was read by its id just now.
    fresh: bool,
}

/// How long after a read of the record a write may follow without another.
const FRESH: Duration = Duration::from_secs(1);

impl Known {
    fn of(lane: &crate::lane::Lane, now: Now) -> Self {
        let fresh = lane.read_at.is_some_and(|at| now.mono < at.plus(FRESH));
        Self { look: lane.look.is_some(), refused: lane.refused, fresh }
    }
}

/// Works out what `record` needs on `side`.
pub(crate) fn next_step(
    collection: &CollectionPlan,
    plan: &CollectionSide,
    state: &RecordState,
    side: &SideName,
    listed: bool,
    lane: Known,
) -> Step {
    let nobody = SideState::default();
    let part = state.sides.get(side).unwrap_or(&nobody);
    if state.malformed.is_some() || rests(state, part) {
        return Step::Rest;
    }
    let quarantined = |part: &SideState| {
        let parked = part.parked.as_ref();
        parked.is_some_and(|p| matches!(p.reason, ParkReason::AmbiguousMatch | ParkReason::Unreadable))
    };
    if state.merged.clock.is_empty() {
        let stub = part.id.is_some() && plan.abilities.fetch && !quarantined(part);
        return if stub { Step::Read } else { Step::Rest };
    }
    if lane.look && plan.abilities.lookup {
        return Step::LookUp;
    }
    if let Some(write) = &part.write {
        let refused = lane.refused == Some(write.version);
        return unfinished(plan, part, write, refused, || projection(collection, state, side, listed));
    }
    if part.doubt.is_some() && part.id.is_some() && plan.abilities.fetch {
        return Step::Read;
    }
    match lacks(collection, state, side, listed) {
        // A write must not overwrite what nobody has seen: it depends on the version
        // that was read, or at least follows a read at once.
        Some(operation) if operation != Operation::Create && plan.abilities.fetch => {
            let conditional = plan.abilities.precondition && part.tag.is_some();
            if conditional || lane.fresh { Step::Write } else { Step::Read }
        }
        Some(_) => Step::Write,
        None if let Some(words) = held_back(collection, state, side, listed) => {
            Step::Park(ParkReason::Unmappable, words)
        }
        None if plan.abilities.fetch && !fights(part) && is_unconfirmed(collection, state, side) => {
            Step::Read
        }
        None => Step::Rest,
    }
}

/// Whether the side's part is parked, and nothing has happened since that could
/// make another try worthwhile.
fn rests(state: &RecordState, part: &SideState) -> bool {
    let Some(parked) = &part.parked else { return false };
    match parked.reason {
        ParkReason::Unknown | ParkReason::AmbiguousMatch | ParkReason::IdReused | ParkReason::Unreadable => {
            true
        }
        ParkReason::Flapping => false,
        // What is doubted since is looked at: it may be gone.
        _ => parked.clock == state.merged.clock && part.doubt.is_none(),
    }
}

/// A write whose fate is open, or that was refused for now.
fn unfinished(
    plan: &CollectionSide,
    part: &SideState,
    write: &Write,
    refused: bool,
    wanted: impl FnOnce() -> Option<Projection>,
) -> Step {
    if is_back(Fault::OpenWriteForgotten) {
        return Step::Again;
    }
    if refused {
        return match wanted() {
            Some(wanted)
                if !write.cut && wanted.operation == write.operation && wanted.fields == write.fields =>
            {
                Step::Again
            }
            Some(_) => Step::Write,
            // In step without it: a look says so to the log.
            None if plan.abilities.fetch && part.id.is_some() => Step::Read,
            None => Step::Rest,
        };
    }
    if !write.cut && plan.abilities.idempotency_key || write.operation == Operation::Delete {
        return Step::Again;
    }
    match write.operation {
        Operation::Update if plan.abilities.fetch => Step::Read,
        Operation::Create if plan.abilities.lookup => Step::LookUp,
        Operation::Create | Operation::Update | Operation::Delete => Step::Park(
            ParkReason::Unknown,
            "the connection broke after the request was sent, and the side offers neither an idempotency key nor \
             a way to look: see there whether it was done; replay sends it again, discard leaves it"
                .to_owned(),
        ),
    }
}

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
            let step = next_step(collection, plan, &entry.state, side, listed, known);
            let work = step != Step::Rest;
            // What waits for the first listing is found again by it, also after a restart.
            any |= work || !listed && lacks(collection, &entry.state, side, true).is_some();
            if work {
                if let Some(due) = due_of_doubt(plan, &entry.state, side, &step, now) {
                    let lane = self.lanes.open(record, &track);
                    lane.due = lane.due.max(Some(due));
                }
                self.lanes.schedule(record, &track, now.mono);
            } else {
                self.lanes.close(record, &track);
            }
        }
        any |= self.reconsider_requests(record, &entry.state, now);
        any |= self.reconsider_jobs(record, &entry.state, now);
        any
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
        self.pump_jobs(now)
    }

    /// Does what a record needs on a side.
    fn advance(&mut self, record: &RecordId, side: &SideName, now: Now) -> Result<(), EngineError> {
        let plan = Arc::clone(&self.plan);
        let track = Track::Deliver(side.clone());
        let Some((name, collection)) = plan.collections.get_key_value(record.collection()) else {
            return Ok(());
        };
        let Some(part_plan) = collection.sides.get(side) else { return Ok(()) };
        let place = Place { side, name, collection, plan: part_plan };
        let Some(lane) = self.lanes.get(record, &track) else { return Ok(()) };
        if lane.busy.is_some() {
            return Ok(());
        }
        if lane.due.is_some_and(|due| due > now.mono) {
            self.lanes.schedule(record, &track, now.mono);
            return Ok(());
        }
        let known = Known::of(lane, now);
        let mut entry = self.views.take(record)?;
        let listed = self.passes.is_listed(side, name);
        match next_step(collection, part_plan, &entry.state, side, listed, known) {
            Step::Rest => self.lanes.close(record, &track),
            Step::Write => {
                if let Some(wanted) = projection(collection, &entry.state, side, listed) {
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

    /// A write has its outcome.
    pub(crate) fn wrote(
        &mut self,
        record: &RecordId,
        side: &SideName,
        version: u64,
        outcome: Outcome,
        now: Now,
    ) -> Result<(), EngineError> {
        let track = Track::Deliver(side.clone());
        if self.lanes.get(record, &track).and_then(|lane| lane.busy.clone()) != Some(Busy::Writing(version)) {
            return Ok(());
        }
        self.lanes.open(record, &track).busy = None;
        let (health, words) = health(&outcome);
        self.gate_end(side, health, &words, now);
        let plan = Arc::clone(&self.plan);
        let Some((name, collection)) = plan.collections.get_key_value(record.collection()) else {
            return Ok(());
        };
        let Some(part_plan) = collection.sides.get(side) else { return Ok(()) };
        let place = Place { side, name, collection, plan: part_plan };
        let mut entry = self.views.take(record)?;
        match outcome {
            Outcome::Applied(written) => {
                let shown = written.stored.as_ref().map(|doc| self.quiet.of(written.tag.as_ref(), doc));
                let id = written.id.clone();
                self.applied(place, record, &mut entry, version, Some(written), now)?;
                self.finish(record.clone(), entry, now)?;
                // A listing will show the same.
                return shown.map_or(Ok(()), |shown| self.note_quiet(side, name, &id, shown));
            }
            Outcome::Noop => self.applied(place, record, &mut entry, version, None, now)?,
            failed => self.failed(place, record, &mut entry, version, failed, now)?,
        }
        self.finish(record.clone(), entry, now)
    }

    /// The side carried a write out: what did it make of each field?
    fn applied(
        &mut self,
        place: Place<'_>,
        record: &RecordId,
        entry: &mut Entry,
        of: u64,
        written: Option<Written>,
        now: Now,
    ) -> Result<(), EngineError> {
        let side = place.side;
        let nobody = SideState::default();
        let part = entry.state.sides.get(side).unwrap_or(&nobody);
        let Some(write) = part.write_of(of) else { return Ok(()) };
        let (id, tag, doc) = match written {
            Some(Written { id, tag, stored }) => (Some(id), tag, stored),
            None => (part.id.clone(), None, None),
        };
        let stored = doc.as_ref().and_then(|doc| place.plan.shape.read(doc, false).ok());
        let mut results =
            stored.as_ref().map(|stored| judge(place, part, &write.fields, stored)).unwrap_or_default();
        if is_back(Fault::AnswerSwallowed) {
            swallow(place, part, &write.fields, stored.as_ref(), &mut results);
        }
        let unkept = results.values().any(|result| *result == FieldResult::NotKept);
        self.counts.delivered += 1;
        let after = now.wall.since(entry.state.edited_at).as_micros();
        self.tell_way(record, now, || What::Delivered {
            side: side.clone(),
            operation: write.operation,
            fields: write.fields.clone(),
            after_us: u64::try_from(after).unwrap_or(u64::MAX),
        });
        let deleted = write.operation == Operation::Delete;
        let whole = stored.is_some()
            && !deleted
            && is_all_of_groups_in(place.collection, place.plan, &entry.state, side, &write.fields);
        let body = Body::Applied {
            side: side.clone(),
            of,
            id: id.clone().filter(|_| !deleted),
            tag: tag.clone(),
            results: results.clone(),
            whole,
        };
        self.emit(record, entry, body, now)?;
        let lane = self.lanes.open(record, &Track::Deliver(side.clone()));
        (lane.look, lane.due, lane.failed_reads, lane.refused) = (None, None, 0, None);
        // Of one that another process sent it is not known.
        let sent_at = lane.sent.filter(|(version, _)| *version == of).map_or(Time(0), |(_, at)| at);
        let looks = whole && !is_back(Fault::AnswerSwallowed);
        if let (true, Some(fields), Some(id), Some(doc)) = (looks, stored, id, doc) {
            // What else the answer shows is the side's own doing, with our write before its eyes.
            let (source, began) = (Source::Answer, sent_at);
            let seen = Seen { id, tag, modified: None, fields, doc, source, began, certain: true };
            self.compare(place, record, entry, &seen, now)?;
            self.on_altered(place, record, entry, &seen, &results, now)?;
        }
        if unkept {
            self.doubt(place, record, entry, "the answer shows what was there before our write", now)
        } else {
            Ok(())
        }
    }

    /// A write was not carried out, or nobody knows.
    fn failed(
        &mut self,
        place: Place<'_>,
        record: &RecordId,
        entry: &mut Entry,
        of: u64,
        outcome: Outcome,
        now: Now,
    ) -> Result<(), EngineError> {
        let side = place.side.clone();
        let Some((failure, words, asked)) = failure_of(outcome, &side) else { return Ok(()) };
        let write = entry.state.sides.get(&side).and_then(|p| p.write_of(of));
        let creates = write.is_some_and(|w| w.operation == Operation::Create);
        let sent = write.map(|write| write.fields.clone());
        self.counts.retries += 1;
        self.emit(
            record,
            entry,
            Body::Failed { side: side.clone(), of, failure, words: words.clone() },
            now,
        )?;
        let retry = self.plan.sides.get(&side).map(|p| p.retry).unwrap_or_default();
        let attempts = entry.state.sides.get(&side).map_or(0, |part| part.attempts);
        let track = Track::Deliver(side.clone());
        if attempts >= retry.max_attempts && failure != Failure::Away {
            return self.park(record, entry, Lane::Side(side), ParkReason::OutOfRetries, words, now);
        }
        let looked = self.lanes.get(record, &track).is_some_and(|lane| lane.look.is_some());
        match failure {
            Failure::Exists | Failure::Rejected if creates && place.plan.abilities.lookup && !looked => {
                self.lanes.open(record, &track).look = Some(words);
                return Ok(());
            }
            Failure::Rejected | Failure::Exists => {
                let words = match sent.and_then(|s| unaware::words(place.collection, &entry.state, &side, &s))
                {
                    Some(why) => format!("{words}; {why}"),
                    None => words,
                };
                return self.park(record, entry, Lane::Side(side), ParkReason::Refused, words, now);
            }
            Failure::Conflict | Failure::Gone => {
                self.emit(
                    record,
                    entry,
                    Body::Doubted {
                        side: side.clone(),
                        stale: false,
                        id: None,
                        message: None,
                        words: words.clone(),
                    },
                    now,
                )?;
            }
            Failure::RetryLater | Failure::Away => {
                let lane = self.lanes.open(record, &track);
                lane.refused = Some(of).filter(|of| lane.unsure != Some(*of));
            }
            Failure::Unknown | Failure::NotApplied => {
                let lane = self.lanes.open(record, &track);
                (lane.refused, lane.unsure) = (None, Some(of));
            }
        }
        let wait = match asked {
            Some(asked) => asked,
            None if matches!(failure, Failure::Away | Failure::Conflict) => Duration::ZERO,
            None => self.backoff(&retry, attempts.saturating_sub(1)),
        };
        self.lanes.open(record, &track).due = Some(now.mono.plus(wait));
        let wait_ms = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX);
        self.tell(Some(record), What::Delayed { side, reason: words, wait_ms }, now);
        Ok(())
    }

    /// One record was read by its id.
    pub(crate) fn fetched(
        &mut self,
        record: &RecordId,
        side: &SideName,
        began: Time,
        result: Result<Observation, ReadError>,
        now: Now,
    ) -> Result<(), EngineError> {
        if !self.end_read(record, side, &Busy::Reading, result.as_ref().err(), now) {
            return Ok(());
        }
        let seen = match result {
            Ok(seen) => seen,
            Err(why) => return self.read_failed(record, side, &why, now),
        };
        let plan = Arc::clone(&self.plan);
        let Some((name, collection)) = plan.collections.get_key_value(record.collection()) else {
            return Ok(());
        };
        let Some(part_plan) = collection.sides.get(side) else { return Ok(()) };
        let place = Place { side, name, collection, plan: part_plan };
        let entry = self.views.take(record)?;
        if entry.state.sides.get(side).and_then(|part| part.id.as_ref()) != Some(&seen.id) {
            return self.finish(record.clone(), entry, now);
        }
        self.lanes.open(record, &Track::Deliver(side.clone())).read_at = Some(now.mono);
        let doubt = entry.state.sides.get(side).and_then(|part| part.doubt.as_ref());
        let again = doubt.is_some_and(|doubt| doubt.raised > began);
        self.observe(place, record.clone(), entry, seen, Source::Fetch, began, now)?;
        // A hint that came while the read was under way is not answered by it.
        if again { self.hint_again(record, side, now) } else { Ok(()) }
    }

    fn hint_again(&mut self, record: &RecordId, side: &SideName, now: Now) -> Result<(), EngineError> {
        let mut entry = self.views.take(record)?;
        if entry.state.sides.get(side).is_some_and(|part| part.doubt.is_none() && part.id.is_some()) {
            let words = "named while it was being read".to_owned();
            let body = Body::Doubted { side: side.clone(), stale: false, id: None, message: None, words };
            self.emit(record, &mut entry, body, now)?;
        }
        self.finish(record.clone(), entry, now)
    }

    /// A record was looked up by its identity.
    pub(crate) fn looked_up(
        &mut self,
        record: &RecordId,
        side: &SideName,
        began: Time,
        result: Result<Vec<Observation>, ReadError>,
        now: Now,
    ) -> Result<(), EngineError> {
        if !self.end_read(record, side, &Busy::Looking, result.as_ref().err(), now) {
            return Ok(());
        }
        let found = match result {
            Ok(found) => found,
            Err(why) => return self.read_failed(record, side, &why, now),
        };
        let plan = Arc::clone(&self.plan);
        let Some((name, collection)) = plan.collections.get_key_value(record.collection()) else {
            return Ok(());
        };
        let Some(part_plan) = collection.sides.get(side) else { return Ok(()) };
        let place = Place { side, name, collection, plan: part_plan };
        let refused = self.lanes.open(record, &Track::Deliver(side.clone())).look.take();
        let mut entry = self.views.take(record)?;
        let mut there = found.into_iter().filter(|seen| !matches!(seen.content, Content::Gone));
        match (there.next(), there.next()) {
            (Some(seen), None) => self.found_one(place, record.clone(), entry, seen, began, now),
            (None, _) => {
                self.found_none(place, record, &mut entry, refused, now)?;
                self.finish(record.clone(), entry, now)
            }
            (Some(a), Some(b)) => {
                let words = format!(
                    "{side} has several records with this identity: {:.60}, {:.60}",
                    a.id.as_str(),
                    b.id.as_str()
                );
                self.park(
                    record,
                    &mut entry,
                    Lane::Side(side.clone()),
                    ParkReason::AmbiguousMatch,
                    words,
                    now,
                )?;
                self.finish(record.clone(), entry, now)
            }
        }
    }

    /// Just one carries the identity: ours, or one that we link to.
    fn found_one(
        &mut self,
        place: Place<'_>,
        record: RecordId,
        mut entry: Entry,
        seen: Observation,
        began: Time,
        now: Now,
    ) -> Result<(), EngineError> {
        let other = self.views.linked(place.side, place.name, &seen.id)?;
        if let Some(other) = other.filter(|other| *other != record) {
            let words =
                format!("{} has it as {:.60}, which is linked to {other}", place.side, seen.id.as_str());
            self.park(
                &record,
                &mut entry,
                Lane::Side(place.side.clone()),
                ParkReason::AmbiguousMatch,
                words,
                now,
            )?;
            return self.finish(record, entry, now);
        }
        let write = entry.state.sides.get(place.side).and_then(|part| part.write.clone());
        let Content::Whole(doc) = &seen.content else { return self.finish(record, entry, now) };
        let doc = doc.clone();
        let Ok(fields) = place.plan.shape.read(&doc, false) else {
            return self.observe(place, record, entry, seen, Source::Fetch, began, now);
        };
        let mut seen = Seen {
            id: seen.id,
            tag: seen.tag,
            modified: seen.modified,
            fields,
            doc,
            source: Source::Fetch,
            began,
            certain: true,
        };
        let creates = write.filter(|write| write.operation == Operation::Create);
        if let Some(write) = creates
            && !self.land_create(place, &record, &mut entry, &seen, now)?
        {
            let words = "something else with this identity is there".to_owned();
            let body = Body::Failed {
                side: place.side.clone(),
                of: write.version,
                failure: Failure::NotApplied,
                words,
            };
            self.emit(&record, &mut entry, body, now)?;
            // Who made it so may have seen our create, or may not.
            seen.certain = false;
        }
        self.compare(place, &record, &mut entry, &seen, now)?;
        self.finish(record, entry, now)
    }

    /// Nothing carries the identity: the create was not done.
    fn found_none(
        &mut self,
        place: Place<'_>,
        record: &RecordId,
        entry: &mut Entry,
        refused: Option<String>,
        now: Now,
    ) -> Result<(), EngineError> {
        let open =
            entry.state.sides.get(place.side).and_then(|part| part.write.as_ref()).map(|write| write.version);
        let lane = self.lanes.open(record, &Track::Deliver(place.side.clone()));
        if open.is_some() && refused.is_none() && !std::mem::replace(&mut lane.looked_once, true) {
            lane.due = Some(now.mono.plus(LATE_ARRIVAL));
            return Ok(());
        }
        lane.looked_once = false;
        if let Some(of) = open {
            let words = "we looked twice: it is not there".to_owned();
            let body = Body::Failed { side: place.side.clone(), of, failure: Failure::NotApplied, words };
            self.emit(record, entry, body, now)?;
        }
        match refused {
            Some(words) => {
                self.park(record, entry, Lane::Side(place.side.clone()), ParkReason::Refused, words, now)
            }
            None => Ok(()),
        }
    }

    /// Frees the lane after a read. Answers false if nobody waited for it.
    fn end_read(
        &mut self,
        record: &RecordId,
        side: &SideName,
        busy: &Busy,
        failed: Option<&ReadError>,
        now: Now,
    ) -> bool {
        let track = Track::Deliver(side.clone());
        if self.lanes.get(record, &track).and_then(|lane| lane.busy.as_ref()) != Some(busy) {
            return false;
        }
        let lane = self.lanes.open(record, &track);
        lane.busy = None;
        if failed.is_none() {
            lane.failed_reads = 0;
        }
        let (health, words) = match failed {
            None => (Health::Well, String::new()),
            Some(ReadError::Later { reason, after: Some(after) }) => (Health::Pause(*after), reason.clone()),
            Some(ReadError::Later { reason, after: None }) => (Health::Unwell, reason.clone()),
            Some(why) => (Health::Well, why.to_string()),
        };
        self.gate_end(side, health, &words, now);
        true
    }

    /// A read of one record failed: later, or not at all.
    fn read_failed(
        &mut self,
        record: &RecordId,
        side: &SideName,
        why: &ReadError,
        now: Now,
    ) -> Result<(), EngineError> {
        let retry = self.plan.sides.get(side).map(|p| p.retry).unwrap_or_default();
        let track = Track::Deliver(side.clone());
        let failures = self.lanes.open(record, &track).failed_reads;
        let wait = self.backoff(&retry, failures);
        let lane = self.lanes.open(record, &track);
        lane.failed_reads = failures.saturating_add(1);
        lane.due = Some(now.mono.plus(wait));
        let mut entry = self.views.take(record)?;
        let hopeless =
            !why.is_retryable() || matches!(why, ReadError::Broken { .. }) && failures >= retry.max_attempts;
        if hopeless {
            let words = format!("the record cannot be read from {side}: {why}");
            self.park(record, &mut entry, Lane::Side(side.clone()), ParkReason::Unreadable, words, now)?;
        }
        self.finish(record.clone(), entry, now)
    }
}

/// What kind of failure an outcome is, in words, and for how long the side asks to be left
/// alone; nothing for a success.
fn failure_of(outcome: Outcome, side: &SideName) -> Option<(Failure, String, Option<Duration>)> {
    Some(match outcome {
        Outcome::Applied(_) | Outcome::Noop => return None,
        Outcome::Conflict { reason } => (Failure::Conflict, reason, None),
        Outcome::Exists { reason } => (Failure::Exists, reason, None),
        Outcome::Gone => (Failure::Gone, format!("{side} no longer has the record"), None),
        Outcome::Rejected { reason } => (Failure::Rejected, reason, None),
        Outcome::RetryLater { reason, after, side_wide } => {
            (if side_wide { Failure::Away } else { Failure::RetryLater }, reason, after)
        }
        Outcome::Unknown { reason } => (Failure::Unknown, reason, None),
    })
}

/// What an outcome tells of the side's health.
pub(crate) fn health(outcome: &Outcome) -> (Health, String) {
    match outcome {
        Outcome::RetryLater { reason, after: Some(after), side_wide: true } => {
            (Health::Pause(*after), reason.clone())
        }
        Outcome::RetryLater { reason, after: None, side_wide: true } => (Health::Away, reason.clone()),
        Outcome::RetryLater { reason, side_wide: false, .. } | Outcome::Unknown { reason } => {
            (Health::Unwell, reason.clone())
        }
        _ => (Health::Well, String::new()),
    }
}

/// What the side made of each field that was written, where it is not what was sent.
pub(crate) fn judge(
    place: Place<'_>,
    part: &SideState,
    sent: &FieldMap,
    stored: &FieldMap,
) -> VecMap<FieldName, FieldResult> {
    // A side that clamps shows the same of 120 and of 130.
    let altered_before = |field| {
        let held = part.held.get(field).filter(|held| !held.not_kept);
        let shown =
            held.and_then(|held| Some((place.plan.shape.image(field, &held.sent), held.shown.as_ref()?)));
        shown.is_some_and(|(sent, shown)| !same_but_form(&sent, shown))
    };
    let mut results = VecMap::new();
    for (field, value) in sent.iter() {
        let Some(there) = stored.get(field) else { continue };
        let ours = place.plan.shape.image(field, value);
        if same(there, &ours) || is_back(Fault::SentCountsAsKept) {
            continue;
        }
        let before = shown(place.plan, part, field);
        let result = if same_but_form(there, &ours) {
            FieldResult::Reformatted(there.clone())
        } else if part.has_it() && same(there, &before) && !altered_before(field) {
            FieldResult::NotKept
        } else {
            FieldResult::Altered(there.clone())
        };
        results.insert(field.clone(), result);
    }
    results
}

/// F3: what else an answer shows counts as written by us.
fn swallow(
    place: Place<'_>,
    part: &SideState,
    sent: &FieldMap,
    stored: Option<&FieldMap>,
    results: &mut VecMap<FieldName, FieldResult>,
) {
    for (field, there) in stored.iter().flat_map(|stored| stored.iter()) {
        if !sent.contains_key(field) && !same(there, &shown(place.plan, part, field)) {
            results.insert(field.clone(), FieldResult::Altered(there.clone()));
        }
    }
}

/// A side keeps a field that is not mentioned: what is absent elsewhere is null there.
fn nothing_absent(fields: &FieldMap) -> FieldMap {
    let named = |value: &Value| if *value == Value::Absent { Value::Null } else { value.clone() };
    fields.iter().map(|(field, value)| (field.clone(), named(value))).collect()
}

/// The request for a write: a patch of what it changes and the whole record.
fn request(
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
    let shaped = |fields: &FieldMap| -> Result<Arc<Json>, String> {
        place.plan.shape.write(fields).map(Arc::new).map_err(|why| why.to_string())
    };
    let (changed, whole) = match write.operation {
        Operation::Create => {
            let all = shaped(&write.fields)?;
            (Arc::clone(&all), all)
        }
        Operation::Update => {
            (shaped(&nothing_absent(&write.fields))?, shaped(&whole(place.collection, place.plan, state))?)
        }
        Operation::Delete => (shaped(&write.fields)?, Arc::default()),
    };
    let key = write.event.to_string();
    let key = IdempotencyKey::try_new(key.get(..32).unwrap_or(&key)).map_err(|why| why.to_string())?;
    Ok(WriteRequest { collection: place.name.clone(), target, changed, whole, key })
}

/// A doubt that came up again waits until the settle window is over.
fn due_of_doubt(
    plan: &CollectionSide,
    state: &RecordState,
    side: &SideName,
    step: &Step,
    now: Now,
) -> Option<Time> {
    let part = state.sides.get(side)?;
    if *step != Step::Read {
        return None;
    }
    let doubt = part.doubt.as_ref()?;
    let last = part.last_write.as_ref()?;
    if doubt.times < 2 {
        return None;
    }
    let wait = last.ended.plus(plan.settle_window).since(now.wall);
    Some(now.mono.plus(wait.max(LOOK_DELAY)))
}
