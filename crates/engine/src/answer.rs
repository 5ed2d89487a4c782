//! What a side answered to a write, and what that says of each field: an answer is believed
//! of what was sent, and what else it shows is the side's own doing.

use crate::contract::Extent;
use crate::error::EngineError;
use crate::gate::Health;
use crate::happening::What;
use crate::image::same_but_form;
use crate::lane::{Busy, Track};
use crate::machine::Machine;
use crate::observe::{Place, Seen};
use crate::page::Doc;
use crate::project::{is_all_of_groups_in, same, shown};
use crate::state::SideState;
use crate::unaware;
use crate::views::Entry;
use crate::wake::Now;
use hms_sync_model::{
    Body, Failure, FieldMap, FieldName, FieldResult, Lane, Operation, Outcome, ParkReason, RecordId,
    SideName, Source, Time, Value, VecMap, Written,
};
use hms_sync_resolver::fault::{Fault, is_back};
use std::sync::Arc;
use std::time::Duration;

impl Machine {
    /// A write has its outcome.
    pub(crate) fn wrote(
        &mut self,
        record: &RecordId,
        side: &SideName,
        version: u64,
        outcome: Outcome,
        now: Now,
    ) -> Result<(), EngineError> {
        if self.retold(record, side, version, &outcome, now) {
            return Ok(());
        }
        let track = Track::Deliver(side.clone());
        if self.lanes.get(record, &track).and_then(|lane| lane.busy.clone()) != Some(Busy::Writing(version)) {
            return Ok(());
        }
        self.lanes.open(record, &track).busy = None;
        let (health, words) = health(&outcome);
        self.gate_end(side, health, &words, now);
        let plan = Arc::clone(&self.plan);
        let Some(place) = Place::of(&plan, record, side) else { return Ok(()) };
        let mut entry = self.views.take(record)?;
        match outcome {
            Outcome::Applied(written) => {
                let shown = written.stored.as_ref().map(|doc| self.quiet.of(written.tag.as_ref(), doc));
                let id = written.id.clone();
                self.applied(place, record, &mut entry, version, Some(written), now)?;
                self.finish(record.clone(), entry, now)?;
                // A listing will show the same.
                let part = (side, place.name, &id);
                return shown.map_or(Ok(()), |shown| self.note_quiet_of(record, part, shown).map(drop));
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
        let answer = doc.as_ref().and_then(|doc| self.fit(place, doc, Extent::Alone).ok());
        let mut answer = answer.map(|fit| fit.fields).unwrap_or_default();
        let is_part = is_part(place, part, &write.fields, &answer);
        answer.retain(|_, value| !is_part || *value != Value::Absent);
        let mut results = judge(place, part, &write.fields, &answer);
        let stored = (doc.is_some() && !is_part && !answer.is_empty()).then_some(answer);
        if is_back(Fault::AnswerSwallowed) {
            swallow(place, part, &write.fields, stored.as_ref(), &mut results);
        }
        let unkept = results.values().any(|result| *result == FieldResult::NotKept);
        let unshown = place.plan.read_back && place.plan.abilities.fetch && stored.is_none();
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
            let (source, began, aged) = (Source::Answer, sent_at, false);
            let doc = Doc::Whole(doc);
            let seen = Seen { id, tag, modified: None, fields, doc, source, began, aged, certain: true };
            self.compare(place, record, entry, &seen, now)?;
            self.on_altered(place, record, entry, &seen, &results, now)?;
        }
        if unkept {
            self.doubt(place, record, entry, "the answer shows what was there before our write", now)
        } else if unshown && !deleted {
            self.look_back(place, record, entry, now)
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
        // A read may have shown meanwhile what became of it.
        let Some(write) = entry.state.sides.get(&side).and_then(|p| p.write_of(of)) else { return Ok(()) };
        let creates = write.operation == Operation::Create;
        let sent = write.fields.clone();
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
                let words = match unaware::words(place.collection, &entry.state, &side, &sent) {
                    Some(why) => format!("{words}; {why}"),
                    None => words,
                };
                return self.park(record, entry, Lane::Side(side), ParkReason::Refused, words, now);
            }
            Failure::Gone if self.not_there(place, record, entry, &words, now)? => return Ok(()),
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
                (lane.refused, lane.unsure, lane.unsure_since) = (None, Some(of), Some(now.wall));
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

/// Whether an answer lacks what the record has: then it is about a part of it
/// (`{"id": "7", "success": true}`), and says nothing of what it lacks.
fn is_part(place: Place<'_>, part: &SideState, sent: &FieldMap, answer: &FieldMap) -> bool {
    let lacks = |field: &FieldName| answer.get(field) == Some(&Value::Absent);
    let has = |field: &FieldName| !sent.contains_key(field) && !shown(place.plan, part, field).is_nothing();
    place.collection.identity.iter().any(lacks) || answer.keys().any(|field| lacks(field) && has(field))
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
