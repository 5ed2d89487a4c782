//! Handlers: code of the user's that is called for each new or changed record,
//! and the requests it asks for.
//!
//! A call is made once per change: `Handled` is durable before the next one. A
//! call that a crash cut off is made again, and its requests carry the same
//! numbers, so that none is queued twice. Requests of one record to one side
//! leave in the order in which they were asked for.

use crate::error::EngineError;
use crate::gate::Health;
use crate::happening::What;
use crate::lane::{Busy, Track};
use crate::machine::Machine;
use crate::personal::is_open;
use crate::plan::{DOCUMENT, JobPlan, Plan};
use crate::state::{JobState, RecordState, RequestState};
use crate::taken_up::is_unread_of;
use crate::wake::{Effect, Now, Reply, Wake};
use hms_sync_connector::RawRequest;
use hms_sync_model::{
    Body, Clock, Failure, FieldName, IdempotencyKey, JobName, Lane, Outcome, ParkReason, RecordId, Request,
    SideName, VecMap,
};
use hms_sync_resolver::{Presence, Rules};
use serde_json::Value as Json;
use std::sync::Arc;

impl Machine {
    /// Puts a record's handler lanes where they belong. Answers whether any has work.
    pub(crate) fn reconsider_jobs(&mut self, record: &RecordId, state: &RecordState, now: Now) -> bool {
        let plan = Arc::clone(&self.plan);
        let jobs = plan.jobs.iter().filter(|(_, job)| job.collection.as_str() == record.collection());
        let mut any = false;
        for (name, _) in jobs {
            let track = Track::Handle(name.clone());
            let busy = self.lanes.get(record, &track).is_some_and(|lane| lane.busy.is_some());
            let wanted = wants_call(&plan, record, state, name);
            any |= wanted || busy;
            if wanted && !busy {
                self.lanes.schedule(record, &track, now.mono);
            } else if !busy {
                self.lanes.close(record, &track);
            }
        }
        any
    }

    /// Puts a record's requests where they belong. Answers whether there are any.
    pub(crate) fn reconsider_requests(&mut self, record: &RecordId, state: &RecordState, now: Now) -> bool {
        if state.malformed.is_some() || is_unread_of(&self.plan, record, state) {
            return false;
        }
        let mut any = false;
        for (_, request) in state.requests.iter().filter(|(_, request)| request.parked.is_none()) {
            any = true;
            self.lanes.schedule(record, &Track::Send(request.request.target.clone()), now.mono);
        }
        any
    }

    /// Calls handlers as far as there is room.
    pub(crate) fn pump_jobs(&mut self, now: Now) -> Result<(), EngineError> {
        let plan = Arc::clone(&self.plan);
        if plan.restored {
            return Ok(());
        }
        for (name, job) in plan.jobs.iter() {
            let track = Track::Handle(name.clone());
            while self.job_slots.get(&track).copied().unwrap_or(0) < job.in_flight_max {
                let Some(record) = self.lanes.next(&track) else { break };
                self.call(&record, name, job, now)?;
            }
        }
        Ok(())
    }

    fn call(
        &mut self,
        record: &RecordId,
        name: &JobName,
        job: &JobPlan,
        now: Now,
    ) -> Result<(), EngineError> {
        let track = Track::Handle(name.clone());
        let Some(lane) = self.lanes.get(record, &track) else { return Ok(()) };
        if lane.due.is_some_and(|due| due > now.mono) {
            self.lanes.schedule(record, &track, now.mono);
            return Ok(());
        }
        let entry = self.views.take(record)?;
        let state = &entry.state;
        let rules = self.plan.collections.get(&job.collection).map(|of| of.rules.clone()).unwrap_or_default();
        if wants_call(&self.plan, record, state, name) {
            let clock = state.merged.clock.clone();
            if let Some(document) = document(state, &rules) {
                let lane = self.lanes.open(record, &track);
                lane.busy = Some(Busy::Handling);
                lane.due = None;
                *self.job_slots.entry(track).or_default() += 1;
                self.push(Effect::Handle { record: record.clone(), job: name.clone(), clock, document });
            } else {
                // Deleted on its side: there is nothing to hand over.
                let mut entry = entry;
                self.emit(record, &mut entry, Body::Handled { job: name.clone(), clock }, now)?;
                return self.finish(record.clone(), entry, now);
            }
        }
        self.views.put(record.clone(), entry);
        Ok(())
    }

    /// A handler is done.
    pub(crate) fn handled(
        &mut self,
        record: &RecordId,
        job: &JobName,
        clock: Clock,
        result: Result<(), String>,
        now: Now,
    ) -> Result<(), EngineError> {
        let track = Track::Handle(job.clone());
        if self.lanes.get(record, &track).and_then(|lane| lane.busy.as_ref()) != Some(&Busy::Handling) {
            return Ok(());
        }
        let lane = self.lanes.open(record, &track);
        (lane.busy, lane.stale) = (None, false);
        if let Some(slots) = self.job_slots.get_mut(&track) {
            *slots = slots.saturating_sub(1);
        }
        let mut entry = self.views.take(record)?;
        match result {
            Ok(()) => {
                self.counts.handled += 1;
                self.emit(record, &mut entry, Body::Handled { job: job.clone(), clock }, now)?;
                self.tell(Some(record), What::Handled { job: job.to_string() }, now);
            }
            Err(words) => {
                let retry = self.plan.jobs.get(job).map(|job| job.retry).unwrap_or_default();
                self.emit(
                    record,
                    &mut entry,
                    Body::HandlerFailed { job: job.clone(), words: words.clone() },
                    now,
                )?;
                let attempts = entry.state.jobs.get(job).map_or(0, |job| job.attempts);
                if attempts >= retry.max_attempts {
                    self.park(
                        record,
                        &mut entry,
                        Lane::Job(job.clone()),
                        ParkReason::HandlerFailed,
                        words,
                        now,
                    )?;
                } else {
                    let wait = self.backoff(&retry, attempts.saturating_sub(1));
                    self.lanes.open(record, &track).due = Some(now.mono.plus(wait));
                }
            }
        }
        self.finish(record.clone(), entry, now)
    }

    /// A handler asks for a request. The same call of the same handler for the
    /// same state, made again after a crash, is answered and changes nothing.
    pub(crate) fn queue(&mut self, wake: Wake, now: Now) -> Result<(), EngineError> {
        let Wake::Queue { record, job, clock, n, target, method, path, body, reply } = wake else {
            return Ok(());
        };
        if !self.plan.sides.contains_key(&target) {
            self.reply(reply, Reply::Refused(format!("there is no side {target:?} in this sync")));
            return Ok(());
        }
        if self.is_stale_call(&record, &Track::Handle(job.clone())) {
            let why = "the record's personal fields were erased while the handler ran".to_owned();
            self.reply(reply, Reply::Refused(why));
            return Ok(());
        }
        let key = request_key(&self.plan.name, &record, &job, &clock, n)?;
        let mut entry = self.views.take(&record)?;
        let known = entry.state.jobs.get(&job).is_some_and(|job| job.asked.contains(&key));
        if !known {
            let request = Request { target, method, path, body, key };
            self.emit(&record, &mut entry, Body::Queued { job, request }, now)?;
        }
        self.finish(record, entry, now)?;
        self.reply(reply, Reply::Done);
        Ok(())
    }

    /// Sends a record's next request to a side.
    pub(crate) fn send_next(
        &mut self,
        record: &RecordId,
        target: &SideName,
        now: Now,
    ) -> Result<(), EngineError> {
        let track = Track::Send(target.clone());
        let Some(lane) = self.lanes.get(record, &track) else { return Ok(()) };
        if lane.busy.is_some() {
            return Ok(());
        }
        if lane.due.is_some_and(|due| due > now.mono) {
            self.lanes.schedule(record, &track, now.mono);
            return Ok(());
        }
        let entry = self.views.take(record)?;
        let waits = self.plan.restored || is_unread_of(&self.plan, record, &entry.state);
        match next_request(&entry.state, target).filter(|_| !waits) {
            Some((version, next)) => {
                let Request { method, path, body, key, .. } = next.request.clone();
                let lane = self.lanes.open(record, &track);
                lane.busy = Some(Busy::Sending(version));
                lane.due = None;
                if let Some(gate) = self.gates.get_mut(target) {
                    gate.begin(now.mono);
                }
                self.counts.writes += 1;
                let request = RawRequest { method, path, body, key };
                self.push(Effect::Send { record: record.clone(), target: target.clone(), version, request });
            }
            None => self.lanes.close(record, &track),
        }
        self.views.put(record.clone(), entry);
        Ok(())
    }

    /// A handler's request has its outcome.
    pub(crate) fn sent(
        &mut self,
        record: &RecordId,
        target: &SideName,
        version: u64,
        outcome: Outcome,
        now: Now,
    ) -> Result<(), EngineError> {
        let track = Track::Send(target.clone());
        if self.lanes.get(record, &track).and_then(|lane| lane.busy.clone()) != Some(Busy::Sending(version)) {
            return Ok(());
        }
        self.lanes.open(record, &track).busy = None;
        let (health, words) = crate::answer::health(&outcome);
        self.gate_end(target, health, &words, now);
        let mut entry = self.views.take(record)?;
        let asked =
            entry.state.requests.get(&version).map(|r| format!("{} {}", r.request.method, r.request.path));
        let request = asked.unwrap_or_default();
        match outcome {
            Outcome::Applied(_) | Outcome::Noop => {
                let results = VecMap::new();
                let body = Body::Applied {
                    side: target.clone(),
                    of: version,
                    id: None,
                    tag: None,
                    results,
                    whole: false,
                };
                self.counts.delivered += 1;
                self.emit(record, &mut entry, body, now)?;
                self.tell(Some(record), What::Sent { side: target.clone(), request }, now);
            }
            failed => self.send_failed(record, &mut entry, target, version, failed, health, now)?,
        }
        self.finish(record.clone(), entry, now)
    }

    #[expect(clippy::too_many_arguments, reason = "one failed request with all that is known about it")]
    fn send_failed(
        &mut self,
        record: &RecordId,
        entry: &mut crate::views::Entry,
        target: &SideName,
        version: u64,
        outcome: Outcome,
        health: Health,
        now: Now,
    ) -> Result<(), EngineError> {
        let (failure, words, asked) = match outcome {
            Outcome::RetryLater { reason, after, side_wide } => {
                (if side_wide { Failure::Away } else { Failure::RetryLater }, reason, after)
            }
            Outcome::Unknown { reason } => (Failure::Unknown, reason, None),
            Outcome::Gone => {
                (Failure::Rejected, format!("{target} knows nothing at this path (404 or 410)"), None)
            }
            Outcome::Conflict { reason } | Outcome::Exists { reason } | Outcome::Rejected { reason } => {
                (Failure::Rejected, reason, None)
            }
            Outcome::Applied(_) | Outcome::Noop => return Ok(()),
        };
        self.counts.retries += 1;
        let body = Body::Failed { side: target.clone(), of: version, failure, words: words.clone() };
        self.emit(record, entry, body, now)?;
        let retry = self.plan.sides.get(target).map(|p| p.retry).unwrap_or_default();
        let attempts = entry.state.requests.get(&version).map_or(0, |request| request.attempts);
        let lane = Lane::Request(version);
        if failure == Failure::Rejected {
            return self.park(record, entry, lane, ParkReason::Refused, words, now);
        }
        if attempts >= retry.max_attempts {
            return self.park(record, entry, lane, ParkReason::OutOfRetries, words, now);
        }
        let wait = match asked {
            Some(asked) => asked,
            None if health == Health::Away => std::time::Duration::ZERO,
            None => self.backoff(&retry, attempts.saturating_sub(1)),
        };
        self.lanes.open(record, &Track::Send(target.clone())).due = Some(now.mono.plus(wait));
        let wait_ms = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX);
        self.tell(Some(record), What::Delayed { side: target.clone(), reason: words, wait_ms }, now);
        Ok(())
    }
}

/// Whether a handler has not seen the record as it is now.
fn wants_call(plan: &Plan, record: &RecordId, state: &RecordState, job: &JobName) -> bool {
    let nobody = JobState::default();
    let seen = state.jobs.get(job).unwrap_or(&nobody);
    // Whether it was called is a person's to find out.
    let rests = seen
        .parked
        .as_ref()
        .is_some_and(|parked| parked.reason == ParkReason::Unknown || parked.clock == state.merged.clock);
    state.malformed.is_none()
        && !is_unread_of(plan, record, state)
        && !state.merged.clock.is_empty()
        && !rests
        && !seen.handled.covers(&state.merged.clock)
}

/// The record as a handler is handed it; nothing if it is deleted.
fn document(state: &RecordState, rules: &Rules) -> Option<Json> {
    if state.merged.presence(rules) != Presence::Present {
        return None;
    }
    let field = FieldName::try_new(DOCUMENT).ok()?;
    if state.merged.field_names().any(|name| *name == field) {
        return Some(state.merged.value(rules, &field).to_json());
    }
    let fields = state.merged.current(rules).filter(|(_, value)| is_open(value));
    Some(Json::Object(fields.map(|(name, value)| (name.to_string(), value.to_json())).collect()))
}

/// The oldest request to a side that is not set aside.
fn next_request<'a>(state: &'a RecordState, target: &SideName) -> Option<(u64, &'a RequestState)> {
    // Of a record that is held nobody knows what has been sent.
    let sound = state.malformed.is_none();
    let mut open = state.requests.iter().filter(|(_, r)| r.parked.is_none() && r.request.target == *target);
    open.next().filter(|_| sound).map(|(version, request)| (*version, request))
}

/// The key of a handler's `n`-th request for one state of a record: the same on
/// every attempt and in every life of the process.
fn request_key(
    sync: &str,
    record: &RecordId,
    job: &JobName,
    clock: &Clock,
    n: u32,
) -> Result<IdempotencyKey, EngineError> {
    let text = format!("{sync}\n{record}\n{job}\n{clock}\n{n}");
    let hash = blake3::hash(text.as_bytes()).to_hex();
    Ok(IdempotencyKey::try_new(hash.get(..32).unwrap_or(&hash))?)
}
