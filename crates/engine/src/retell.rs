//! Who is only told (a subscriber) may be told again, or no more.
//!
//! What it took from an event of the log on is sent again as it was: the same messages under the
//! same ids, in the order in which it took them, one at a time. What is new waits until that is
//! done, so that nobody is told of something older last. A start ends it; so does an answer that
//! will not change. Nothing of it is an event.
//!
//! That it wants no more, or wants it again, is an event on its own stream, and holds until a
//! person says otherwise: then it is told how everything stands by then.

use crate::answer::health;
use crate::deliver::request;
use crate::error::EngineError;
use crate::happening::What;
use crate::machine::Machine;
use crate::observe::Place;
use crate::past::state_at;
use crate::stream::stream_of;
use crate::wake::{Effect, Now, Reply};
use hms_sync_changelog::Log;
use hms_sync_connector::WriteRequest;
use hms_sync_model::{Body, Clock, Lane, Outcome, ParkReason, Parked, RecordId, Released, SideName, Time};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// Events looked at in one step.
const LOOK_EVENTS: usize = 256;

/// How far a side has been told again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Replay {
    /// The number of the first event that was looked at.
    pub from: u64,
    /// The number of the last one that is.
    pub upto: u64,
    /// How far it has come.
    pub at: u64,
    /// Messages that were taken.
    pub told: u64,
    /// Messages that cannot be made again: their record is erased, or its events are archived.
    pub left_out: u64,
    /// How it ended, if it has.
    pub ended: Option<String>,
}

/// What is under way to one side.
#[derive(Debug)]
pub(crate) struct Retelling {
    pub(crate) report: Replay,
    /// Whether the last event is settled. What was under way when it was asked for may have been
    /// taken and lost too, so its outcomes are waited for.
    settled: bool,
    /// The message that comes next: its record, and the version of what asked for it.
    next: Option<(RecordId, u64)>,
    busy: bool,
    attempts: u32,
    due: Time,
}

impl Retelling {
    fn is_on(&self) -> bool {
        self.report.ended.is_none()
    }
}

impl Machine {
    /// Whether the side is only told, and can tell a message that it had before.
    fn is_only_told(&self, side: &SideName) -> bool {
        let mut parts = self.plan.collections.values().filter_map(|of| of.sides.get(side)).peekable();
        parts.peek().is_some()
            && parts.all(|part| {
                let can = &part.abilities;
                can.idempotency_key && !can.read && !can.fetch && !can.lookup
            })
    }

    /// Begins to tell a side again what it took, from the event after `after` on.
    pub(crate) fn retell(&mut self, side: SideName, after: u64) -> Reply {
        if !self.is_only_told(&side) {
            return Reply::Refused(format!(
                "{side} is no subscriber: what a side holds that is read is brought in step by itself"
            ));
        }
        if self.plan.restored {
            return Reply::Refused("this run only reads: the log was put back from a backup".to_owned());
        }
        if self.unsubscribed.contains_key(&side) {
            return Reply::Refused(format!("{side} is unsubscribed: nothing is sent to it"));
        }
        if self.retellings.get(&side).is_some_and(Retelling::is_on) {
            return Reply::Refused(format!("{side} is being told again already: `status` shows how far"));
        }
        let (from, upto) = (after.saturating_add(1), self.last_made());
        let report = Replay { from, upto, at: after, told: 0, left_out: 0, ended: None };
        let (next, due) = (None, Time(0));
        let retelling = Retelling { report, settled: false, next, busy: false, attempts: 0, due };
        self.retellings.insert(side, retelling);
        Reply::Done
    }

    /// Whether a side is told nothing that is new: not before it has been told again, or not
    /// at all.
    pub(crate) fn is_held_back(&self, side: &SideName) -> bool {
        self.unsubscribed.contains_key(side) || self.is_retelling(side)
    }

    /// Whether a side is being told again.
    fn is_retelling(&self, side: &SideName) -> bool {
        self.retellings.get(side).is_some_and(Retelling::is_on)
    }

    /// When to go on, if only time keeps it.
    pub(crate) fn retells_at(&self, now: Time) -> Option<Time> {
        let durable = self.views.log().head();
        let waits = |of: &Retelling| of.busy || of.settled && of.report.upto > durable;
        let on = self.retellings.iter().filter(|(_, of)| of.is_on() && !waits(of));
        on.filter_map(|(side, of)| {
            let gate = self.gates.get(side).filter(|gate| gate.in_flight() == 0)?;
            let open = if gate.is_open(now) { Some(now) } else { gate.opens_at(now) };
            Some(open?.max(of.due))
        })
        .min()
    }

    /// Sends what comes next where nothing else is under way.
    pub(crate) fn pump_retellings(&mut self, now: Now) -> Result<(), EngineError> {
        let sides: Vec<SideName> = self.retellings.keys().cloned().collect();
        sides.iter().try_for_each(|side| self.tell_next(side, now))
    }

    fn tell_next(&mut self, side: &SideName, now: Now) -> Result<(), EngineError> {
        let plan = Arc::clone(&self.plan);
        let last_made = self.last_made();
        let free = self.gates.get(side).is_some_and(|gate| gate.in_flight() == 0 && gate.is_open(now.mono));
        let Some(of) =
            self.retellings.get_mut(side).filter(|of| of.is_on() && !of.busy && of.due <= now.mono)
        else {
            return Ok(());
        };
        if !free {
            return Ok(());
        }
        if !of.settled {
            (of.settled, of.report.upto) = (true, last_made);
        }
        if of.report.upto > self.views.log().head() {
            return Ok(());
        }
        if of.next.is_none() {
            of.next = next_message(self.views.log(), side, &mut of.report)?;
        }
        let Some((record, version)) = of.next.clone() else {
            if of.report.at >= of.report.upto {
                self.retold_all(side, "all is told", now);
            }
            return Ok(());
        };
        let erased = |state: &crate::state::RecordState| state.erased.is_some().then_some(());
        let erased = self.views.peek_if(&record, erased)?.is_some();
        let again = if erased { None } else { self.message(&plan, side, &record, version)? };
        let Some(of) = self.retellings.get_mut(side) else { return Ok(()) };
        let Some(request) = again else {
            (of.next, of.report.left_out) = (None, of.report.left_out.saturating_add(1));
            return Ok(());
        };
        of.busy = true;
        if let Some(gate) = self.gates.get_mut(side) {
            gate.begin(now.mono);
        }
        self.push(Effect::Write { record, side: side.clone(), version, request });
        Ok(())
    }

    /// A message as it was; nothing if it cannot be made again.
    fn message(
        &self,
        plan: &crate::plan::Plan,
        side: &SideName,
        record: &RecordId,
        version: u64,
    ) -> Result<Option<WriteRequest>, EngineError> {
        let Some(place) = Place::of(plan, record, side) else { return Ok(None) };
        let state = match state_at(self.views.log(), self.views.vault(), plan, record, version) {
            Ok(state) => state,
            Err(EngineError::Archived { .. }) => return Ok(None),
            Err(other) => return Err(other),
        };
        let part = state.sides.get(side);
        let Some((part, write)) = part.and_then(|part| Some((part, part.write_of(version)?))) else {
            return Ok(None);
        };
        Ok(request(place, &state, part, write).ok())
    }

    /// Whether an outcome is of a message that was sent again; then it is seen to.
    pub(crate) fn retold(
        &mut self,
        record: &RecordId,
        side: &SideName,
        version: u64,
        outcome: &Outcome,
        now: Now,
    ) -> bool {
        let ours = |of: &Retelling| of.busy && of.next.as_ref() == Some(&(record.clone(), version));
        if !self.retellings.get(side).is_some_and(ours) {
            return false;
        }
        let (state, words) = health(outcome);
        self.gate_end(side, state, &words, now);
        let retry = self.plan.sides.get(side).map(|p| p.retry).unwrap_or_default();
        let attempt = self.retellings.get(side).map_or(0, |of| of.attempts);
        let wait = self.backoff(&retry, attempt);
        let Some(of) = self.retellings.get_mut(side) else { return true };
        of.busy = false;
        let wait = match outcome {
            Outcome::Applied(_) | Outcome::Noop => {
                (of.next, of.attempts, of.due) = (None, 0, now.mono);
                of.report.told = of.report.told.saturating_add(1);
                return true;
            }
            Outcome::RetryLater { after, .. } => after.map_or(wait, |after| after.max(wait)),
            Outcome::Unknown { .. } => wait,
            Outcome::Conflict { .. } | Outcome::Exists { .. } | Outcome::Gone | Outcome::Rejected { .. } => {
                Duration::MAX
            }
        };
        of.attempts = of.attempts.saturating_add(1);
        of.due = now.mono.plus(wait.min(Duration::from_hours(24)));
        if wait == Duration::MAX || of.attempts >= retry.max_attempts {
            self.retold_all(side, &words, now);
        }
        true
    }

    /// It is over; what is new goes out now.
    fn retold_all(&mut self, side: &SideName, words: &str, now: Now) {
        let Some(of) = self.retellings.get_mut(side) else { return };
        of.report.ended = Some(words.to_owned());
        let (told, left_out) = (of.report.told, of.report.left_out);
        let words = words.to_owned();
        self.tell(None, What::Retold { side: side.clone(), told, left_out, words }, now);
        self.look_at_all();
    }
}

/// The next message that a side took, of the events that are still to be looked at; nothing if
/// there is none among the next few.
fn next_message(
    log: &Log,
    side: &SideName,
    report: &mut Replay,
) -> Result<Option<(RecordId, u64)>, EngineError> {
    let events = log.events_within(report.at.saturating_add(1), report.upto, LOOK_EVENTS)?;
    if events.is_empty() {
        report.at = report.upto;
    }
    for (_, event) in events {
        report.at = event.seq;
        if let Body::Applied { side: by, of, .. } = &event.body
            && by == side
        {
            return Ok(Some((event.record, *of)));
        }
    }
    Ok(None)
}

impl Machine {
    /// The sides that want no more, by what was said of it.
    pub(crate) fn read_subscriptions(&mut self) -> Result<(), EngineError> {
        let plan = Arc::clone(&self.plan);
        let mut all = BTreeMap::new();
        for side in plan.sides.keys().filter(|side| self.is_only_told(side)) {
            for collection in plan.collections.iter().filter(|(_, of)| of.sides.contains_key(side)) {
                if let Some(said) = self.views.stream(&stream_of(side, collection.0)?)?.held {
                    all.insert(side.clone(), said.words);
                }
            }
        }
        self.unsubscribed = all;
        Ok(())
    }

    /// A subscriber wants no more, or wants it again.
    pub(crate) fn subscribe(
        &mut self,
        side: &SideName,
        wanted: bool,
        (by, reason): (&str, &str),
        now: Now,
    ) -> Result<Reply, EngineError> {
        let plan = Arc::clone(&self.plan);
        if !self.is_only_told(side) {
            return Ok(Reply::Refused(format!("{side} is no subscriber")));
        }
        if self.unsubscribed.contains_key(side) != wanted {
            let words = if wanted { "is subscribed as it is" } else { "is unsubscribed already" };
            return Ok(Reply::Refused(format!("{side} {words}")));
        }
        for (collection, _) in plan.collections.iter().filter(|(_, of)| of.sides.contains_key(side)) {
            let lane = Lane::Side(side.clone());
            let body = if wanted {
                Body::Released { lane, action: Released::Replay }
            } else {
                let words = format!("{by} unsubscribed it: {reason}");
                let (reason, clock) = (ParkReason::Manual, Clock::default());
                let parked =
                    Parked { reason, words, attempts: 0, fields: Vec::new(), clock, given_up: false };
                Body::Parked { lane, parked }
            };
            self.emit_stream(&stream_of(side, collection)?, body, now)?;
        }
        self.read_subscriptions()?;
        if wanted {
            // What it was not told stands with the records that have work.
            self.look_at_all();
        } else if self.is_retelling(side) {
            self.retold_all(side, "it is unsubscribed", now);
        }
        Ok(Reply::Done)
    }
}
