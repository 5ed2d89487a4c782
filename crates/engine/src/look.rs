//! What reads of one record showed, by its id or by its identity: what became of a write
//! without an outcome is concluded from them and from nothing else.

use crate::contract::Extent;
use crate::error::EngineError;
use crate::gate::Health;
use crate::join::Merged;
use crate::lane::{Busy, Track};
use crate::machine::Machine;
use crate::observe::{Place, Seen};
use crate::page::Doc;
use crate::state::SideState;
use crate::views::Entry;
use crate::wake::Now;
use hms_sync_connector::{Content, Observation, ReadError};
use hms_sync_model::{
    Body, Failure, Lane, NativeId, Operation, ParkReason, RecordId, SideName, Source, Time,
};
use std::sync::Arc;
use std::time::Duration;

/// How long a request of a connection that broke, or of a process that died, may
/// still arrive: a look that finds nothing is believed only if one after this agrees.
const LATE_ARRIVAL: Duration = Duration::from_secs(1);

impl Machine {
    /// One record was read by its id.
    pub(crate) fn fetched(
        &mut self,
        record: &RecordId,
        side: &SideName,
        began: Time,
        result: Result<Observation, ReadError>,
        now: Now,
    ) -> Result<(), EngineError> {
        let Some(seen) = self.end_read(record, side, &Busy::Reading, result, now)? else { return Ok(()) };
        let plan = Arc::clone(&self.plan);
        let Some(place) = Place::of(&plan, record, side) else { return Ok(()) };
        let entry = self.views.take(record)?;
        if self.passes.is_held(side, place.name) {
            return self.finish(record.clone(), entry, now);
        }
        if entry.state.sides.get(side).and_then(|part| part.id.as_ref()) != Some(&seen.id) {
            return self.answered_as_another(place, record, entry, &seen.id, now);
        }
        self.lanes.open(record, &Track::Deliver(side.clone())).read_at = Some(now.mono);
        let doubt = entry.state.sides.get(side).and_then(|part| part.doubt.as_ref());
        let again = doubt.is_some_and(|doubt| doubt.raised > began);
        self.observe(place, record.clone(), entry, seen.into(), Source::Fetch, began.into(), now)?;
        // A hint that came while the read was under way is not answered by it.
        if again { self.hint_again(record, side, now) } else { Ok(()) }
    }

    /// A read by id was answered with another record: the side's people made one of two, or
    /// its id has changed.
    fn answered_as_another(
        &mut self,
        place: Place<'_>,
        record: &RecordId,
        mut entry: Entry,
        answered: &NativeId,
        now: Now,
    ) -> Result<(), EngineError> {
        let part = entry.state.sides.get(place.side);
        let Some(asked) = part.and_then(|part| part.id.clone()) else {
            return self.finish(record.clone(), entry, now);
        };
        let unborn = entry.state.merged.clock.is_empty();
        if unborn || !part.is_some_and(SideState::has_it) {
            // Known to be another's: of this one there is nothing.
            self.gone(place, record, &mut entry, asked, Source::Fetch, now)?;
            return self.finish(record.clone(), entry, now);
        }
        if let Some(of) = part.and_then(|part| part.write.as_ref()).map(|write| write.version) {
            let words = format!("we looked: {} has another record there", place.side);
            let body = Body::Failed { side: place.side.clone(), of, failure: Failure::Gone, words };
            self.emit(record, &mut entry, body, now)?;
        }
        self.views.put(record.clone(), entry);
        match self.merged_there(record, place.side, answered, now)? {
            Merged::Done => return Ok(()),
            Merged::Later => {
                self.lanes.open(record, &Track::Deliver(place.side.clone())).due =
                    Some(now.mono.plus(LATE_ARRIVAL));
                let entry = self.views.take(record)?;
                return self.finish(record.clone(), entry, now);
            }
            Merged::No => {}
        }
        let mut entry = self.views.take(record)?;
        let words = format!(
            "{} answers with {:.60} when it is asked for {:.60}: if that is this record under a new id, unlink \
             it and relink it to the new one",
            place.side,
            answered.as_str(),
            asked.as_str()
        );
        self.park(record, &mut entry, Lane::Side(place.side.clone()), ParkReason::IdReused, words, now)?;
        self.finish(record.clone(), entry, now)
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
        let Some(found) = self.end_read(record, side, &Busy::Looking, result, now)? else { return Ok(()) };
        let plan = Arc::clone(&self.plan);
        let Some(place) = Place::of(&plan, record, side) else { return Ok(()) };
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
        let Ok(fields) = self.fit(place, &doc, Extent::Alone).map(|fit| fit.fields) else {
            return self.observe(place, record, entry, seen.into(), Source::Fetch, began.into(), now);
        };
        let mut seen = Seen {
            id: seen.id,
            tag: seen.tag,
            modified: seen.modified,
            fields,
            doc: Doc::Whole(doc),
            source: Source::Fetch,
            began,
            aged: false,
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
        if entry.state.sides.get(place.side).is_some_and(|part| part.unread.is_some()) {
            self.not_shown(place, record, entry, now)?;
        }
        match refused {
            Some(words) => {
                self.park(record, entry, Lane::Side(place.side.clone()), ParkReason::Refused, words, now)
            }
            None => Ok(()),
        }
    }

    /// Frees the lane after a read. Answers with what it showed; nothing if nobody waited for
    /// it, or if it failed, which is then seen to.
    fn end_read<T>(
        &mut self,
        record: &RecordId,
        side: &SideName,
        busy: &Busy,
        result: Result<T, ReadError>,
        now: Now,
    ) -> Result<Option<T>, EngineError> {
        let track = Track::Deliver(side.clone());
        if self.lanes.get(record, &track).and_then(|lane| lane.busy.as_ref()) != Some(busy) {
            return Ok(None);
        }
        let lane = self.lanes.open(record, &track);
        lane.busy = None;
        if result.is_ok() {
            lane.failed_reads = 0;
        }
        let (health, words) = match &result {
            Ok(_) => (Health::Well, String::new()),
            Err(ReadError::Later { reason, after: Some(after) }) => (Health::Pause(*after), reason.clone()),
            Err(ReadError::Later { reason, after: None }) => (Health::Unwell, reason.clone()),
            Err(why) => (Health::Well, why.to_string()),
        };
        self.gate_end(side, health, &words, now);
        match result {
            Ok(found) => Ok(Some(found)),
            Err(why) => self.read_failed(record, side, &why, now).map(|()| None),
        }
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
