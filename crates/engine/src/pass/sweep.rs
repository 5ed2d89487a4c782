//! What a complete listing no longer shows: looked for at its end, believed if the guard lets
//! so many pass, and asked for one by one where a side can be asked.

use super::Running;
use crate::error::EngineError;
use crate::happening::What;
use crate::machine::Machine;
use crate::state::RecordState;
use crate::stream::{Told, stream_of};
use crate::unread::may_be_in;
use crate::views::{hash_of, link_hash, record_in};
use crate::wake::Now;
use hms_sync_connector::{Content, Observation};
use hms_sync_model::{
    Body, Clock, CollectionName, Lane, NativeId, ParkReason, Parked, RecordId, SideName, Source, Time,
};

/// Records that were not shown, and how many there are in all.
type Missing = (Vec<(RecordId, NativeId)>, usize);

/// So many records whose deletes wait are named.
const NAMED_MAX: usize = 10;

impl Machine {
    /// Looks for records that a full listing did not show, if that says anything. Answers
    /// whether all that it says has been taken in.
    pub(super) fn sweep_if_believed(
        &mut self,
        key: &(SideName, CollectionName),
        running: &Running,
        told: Option<Told>,
        now: Now,
    ) -> Result<bool, EngineError> {
        if self.passes.is_held(&key.0, &key.1) {
            return Ok(false);
        }
        match told {
            // It began before a person said what is to become of it.
            Some(told) if running.began < told.at || !running.sound => Ok(false),
            Some(_) | None => Ok(!running.sound || self.sweep(key, running, now)?),
        }
    }

    /// Whether this listing was the last of those by which a person's word about a side that
    /// was put back is done; if not, the side is listed once more.
    pub(super) fn is_told_done(
        &mut self,
        key: &(SideName, CollectionName),
        told: Option<Told>,
        now: Now,
    ) -> Result<bool, EngineError> {
        if told.is_none() {
            return Ok(false);
        }
        let state = self.views.stream(&stream_of(&key.0, &key.1)?)?;
        if state.told.is_none() {
            self.passes.know_regression(key, &state);
        } else if let Some(pass) = self.passes.all.get_mut(key) {
            pass.next_full = Some(now.mono.plus(pass.regression.wait()));
        }
        Ok(state.told.is_none())
    }

    /// Notes that a full listing has ended. Answers whether one was waited for.
    pub(super) fn listing_ended(
        &mut self,
        key: &(SideName, CollectionName),
        began: Time,
        complete: bool,
    ) -> bool {
        let Some(pass) = self.passes.all.get_mut(key) else { return false };
        pass.full_began = Some(began);
        if complete {
            pass.complete_began = Some(began);
        }
        match pass.wanted {
            Some(since) if began < since => pass.ask(true),
            Some(_) => pass.wanted = None,
            None => return false,
        }
        true
    }

    /// Looks for records that a complete listing did not show. Answers false if
    /// their deletes wait for a person.
    fn sweep(
        &mut self,
        key: &(SideName, CollectionName),
        running: &Running,
        now: Now,
    ) -> Result<bool, EngineError> {
        let (side, collection) = key;
        let (missing, all) = self.unshown(key, running)?;
        let stream = stream_of(side, collection)?;
        let state = self.views.stream(&stream)?;
        if state.told.is_some_and(|told| told.ours) {
            return self.make_again(key, missing, now);
        }
        let guard = self.plan.collections.get(collection).map(|of| of.guard).unwrap_or_default();
        // What came there while it was listed is no sign that the listing is broken.
        let empty = running.seen.is_empty() && !missing.is_empty() && !running.empty_is_meant;
        if (empty || !guard.lets_pass(missing.len(), all)) && !state.approved {
            if state.held.is_none() {
                self.hold_deletes(key, &stream, &missing, all, now)?;
            }
            return Ok(false);
        }
        for (record, id) in missing {
            self.missing(side, collection, &record, id, now)?;
        }
        Ok(true)
    }

    /// The records that a listing did not show and should have, and how many there are in all.
    fn unshown(&self, key: &(SideName, CollectionName), running: &Running) -> Result<Missing, EngineError> {
        let (side, collection) = key;
        let (mut missing, mut all, mut after) = (Vec::new(), 0, None);
        if running.blank {
            return Ok((missing, all));
        }
        loop {
            let links = self.views.links(side, collection, after.as_deref(), 1_024)?;
            let Some((last, _)) = links.last() else { break };
            after = Some(last.clone());
            for (key, value) in links {
                if running.seen.has(hash_of(&key)) {
                    all += 1;
                    continue;
                }
                let Some(record) = record_in(&value) else { continue };
                let known = self.views.peek_if(&record, |state| has_since(state, side, running))?;
                let Some(judged) = known else { continue };
                all += 1;
                // An entry of the index may be stale: the record has another id by now.
                let absent = judged.filter(|id| !running.seen.has(link_hash(side, collection.as_str(), id)));
                missing.extend(absent.map(|id| (record, id)));
            }
        }
        Ok((missing, all))
    }

    fn hold_deletes(
        &mut self,
        (side, collection): &(SideName, CollectionName),
        stream: &RecordId,
        missing: &[(RecordId, NativeId)],
        all: usize,
        now: Now,
    ) -> Result<(), EngineError> {
        // What a side calls a person's record by may tell who it is.
        let personal = self.plan.collections.get(collection).is_some_and(|of| !of.personal.is_empty());
        let name = |(record, id): &(RecordId, NativeId)| {
            if personal { record.to_string() } else { format!("{:.60}", id.as_str()) }
        };
        let mut named: Vec<String> = missing.iter().take(NAMED_MAX).map(name).collect();
        let more = missing.len() - named.len();
        named.extend((more > 0).then(|| format!("{more} more")));
        let words = format!(
            "a listing of {side} showed {} of {all} records no more ({}); \
             replay to delete them on the other sides, discard to leave them",
            missing.len(),
            named.join(", "),
        );
        let lane = Lane::Side(side.clone());
        self.tell(Some(stream), What::Parked { lane: lane.to_string(), reason: words.clone() }, now);
        let parked = Parked {
            reason: ParkReason::MassDelete,
            words,
            attempts: 0,
            fields: Vec::new(),
            clock: Clock::default(),
            given_up: false,
        };
        self.emit_stream(stream, Body::Parked { lane, parked }, now)
    }

    /// A record that the side lists as gone.
    pub(super) fn told_gone(
        &mut self,
        key: &(SideName, CollectionName),
        id: NativeId,
        now: Now,
    ) -> Result<(), EngineError> {
        let (side, collection) = key;
        if self.passes.is_held(side, collection) {
            return Ok(());
        }
        let Some(record) = self.views.linked(side, collection, &id)? else { return Ok(()) };
        let has_it = |state: &RecordState| {
            state.sides.get(side).filter(|part| part.has_it()).and_then(|part| part.id.clone())
        };
        if self.views.peek_if(&record, has_it)? != Some(id.clone()) {
            return Ok(());
        }
        let part = self.plan.collections.get(collection).and_then(|of| of.sides.get(side));
        let can_ask = part.is_some_and(|part| part.abilities.fetch);
        let link = link_hash(side, collection.as_str(), &id);
        let running = self.passes.all.get(key).and_then(|pass| pass.running.as_ref());
        // It came back since: the list says nothing of that.
        if !can_ask && running.is_some_and(|running| running.blank || running.seen.has(link)) {
            return Ok(());
        }
        self.missing(side, collection, &record, id, now)
    }

    /// One record that a complete listing did not show.
    pub(crate) fn missing(
        &mut self,
        side: &SideName,
        collection: &CollectionName,
        record: &RecordId,
        id: NativeId,
        now: Now,
    ) -> Result<(), EngineError> {
        let part = self.plan.collections.get(collection).and_then(|of| of.sides.get(side));
        // What was set aside before it was known is not asked for.
        let stub = |state: &RecordState| {
            let aside = state.sides.get(side).is_some_and(|part| part.parked.is_some());
            (aside && state.merged.clock.is_empty()).then_some(())
        };
        let stub = self.views.peek_if(record, stub)?.is_some();
        if part.is_some_and(|part| part.abilities.fetch) && !stub {
            let mut entry = self.views.take(record)?;
            if entry.state.sides.get(side).is_some_and(|part| part.doubt.is_some()) {
                // It is to be asked for already, when it may be.
                return self.finish(record.clone(), entry, now);
            }
            let words = "missing from a complete listing".to_owned();
            self.emit(
                record,
                &mut entry,
                Body::Doubted { side: side.clone(), stale: false, id: None, message: None, words },
                now,
            )?;
            return self.finish(record.clone(), entry, now);
        }
        let gone = Observation { id, tag: None, modified: None, content: Content::Gone };
        self.intake(side, collection, gone.into(), Source::Missing, now.wall.into(), now)
    }
}

/// The side's id of a record that it should show, if nothing was heard of it since the listing
/// began, and it is in no part that could not be read.
#[expect(clippy::option_option, reason = "not there at all, or there and too fresh to judge")]
fn has_since(state: &RecordState, side: &SideName, running: &Running) -> Option<Option<NativeId>> {
    let part = state.sides.get(side).filter(|part| part.has_it())?;
    let unread = may_be_in(&running.unread, state, side);
    let judged = part.seen_at < running.began && part.write.is_none() && !unread;
    Some(part.id.clone().filter(|_| judged))
}
