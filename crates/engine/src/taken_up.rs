//! A record that was held because events of it are lost, taken up again at a person's word.
//!
//! What was known of it cannot be trusted: it starts over from what its sides show, as if it
//! had just been linked, and all who edit it go on in their next epoch, because numbers that
//! they had may be among what is lost. Until each side that can be read has been, nothing is
//! sent anywhere, no handler is called, and no request leaves.
//!
//! What may have been sent before waits for a person: requests without an end, handlers, and
//! sides that cannot be read and of which it is not known whether they have the record.

use crate::error::EngineError;
use crate::happening::What;
use crate::machine::Machine;
use crate::observe::Place;
use crate::plan::{CollectionPlan, CollectionSide, Plan};
use crate::state::{RecordState, SideState};
use crate::views::Entry;
use crate::wake::{Now, Reply};
use hms_sync_model::{Actor, Body, Clock, FieldName, Lane, ParkReason, RecordId, SideName, Source, Time};
use std::sync::Arc;

/// By how much a loss raises all epochs of a record.
const LOSS_EPOCHS: u32 = 2;

/// How a side is read of which nothing is known but, perhaps, its id of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    /// By its id.
    Fetch,
    /// By its identity.
    LookUp,
    /// With the next complete listing.
    Listing,
}

impl RecordState {
    /// Starts over: what is known of the record from here on is what its sides show.
    pub(crate) fn take_up(
        &mut self,
        (sides, unread): (&[SideName], &[SideName]),
        identity: &[FieldName],
        at: Time,
    ) {
        self.malformed = None;
        self.epoch = self.epoch.saturating_add(1);
        self.merged.start_over(|field| identity.contains(field));
        self.flips.clear();
        for (_, met) in self.conflicts.iter_mut().filter(|(_, met)| met.ended.is_none()) {
            met.ended = Some(self.version);
        }
        for side in sides {
            self.side_mut(side);
        }
        for (side, part) in self.sides.iter_mut() {
            let unread = unread.contains(side);
            let old = std::mem::take(part);
            *part = SideState {
                epoch: old.epoch.saturating_add(1),
                id: old.id,
                gone: old.gone,
                unlinked: old.unlinked,
                apart: old.apart,
                acked: self.merged.clock.clone(),
                unread: unread.then_some(at),
                parked: old.parked.filter(|_| !unread),
                ..SideState::default()
            };
        }
    }

    /// Events of it are lost, and with them numbers that edits had: whoever edits it goes on in an
    /// epoch in which nothing can be lost. A taking up that is lost as well has raised them by one.
    pub(crate) fn begin_epochs(&mut self) {
        self.epoch = self.epoch.saturating_add(LOSS_EPOCHS);
        for (_, part) in self.sides.iter_mut() {
            part.epoch = part.epoch.saturating_add(LOSS_EPOCHS);
        }
    }

    /// Who makes an edit on `side`, as of now. `floor` is what restores of the log have begun.
    pub(crate) fn side_actor_from(&self, floor: u32, side: &SideName) -> Actor {
        let known = self.sides.get(side).map_or(0, |part| part.epoch);
        Actor { epoch: known.max(self.lowest_epoch(floor)), ..Actor::side(side.clone()) }
    }

    /// The epoch that nobody edits below.
    pub(crate) fn lowest_epoch(&self, floor: u32) -> u32 {
        floor.saturating_add(self.epoch)
    }
}

/// How `side` is to be read; nothing if it cannot be.
pub(crate) fn way_to_read(
    collection: &CollectionPlan,
    plan: &CollectionSide,
    state: &RecordState,
    side: &SideName,
) -> Option<Way> {
    let can = plan.abilities;
    let has_id = state.sides.get(side).is_some_and(|part| part.id.is_some());
    let known = |field: &FieldName| !state.merged.value(&collection.rules, field).is_blank();
    let named = !collection.identity.is_empty() && collection.identity.iter().all(known);
    match () {
        () if state.sides.get(side).is_some_and(|part| part.unlinked) => None,
        () if has_id && can.fetch => Some(Way::Fetch),
        () if named && can.lookup => Some(Way::LookUp),
        () if can.read => Some(Way::Listing),
        () => None,
    }
}

/// Whether a side is still to be read before anything of the record is sent.
pub(crate) fn is_unread(collection: &CollectionPlan, state: &RecordState) -> bool {
    state.sides.iter().filter(|(_, part)| part.unread.is_some()).any(|(side, _)| {
        let plan = collection.sides.get(side);
        plan.is_some_and(|plan| way_to_read(collection, plan, state, side).is_some())
    })
}

/// The same, of a record by its name.
pub(crate) fn is_unread_of(plan: &Plan, record: &RecordId, state: &RecordState) -> bool {
    plan.collections.get(record.collection()).is_some_and(|collection| is_unread(collection, state))
}

impl Machine {
    /// Takes a held record up. What may have been done for it is set aside first, so that a
    /// crash in between leaves it held.
    pub(crate) fn take_up_held(
        &mut self,
        record: &RecordId,
        by: String,
        reason: String,
        now: Now,
    ) -> Result<Reply, EngineError> {
        let plan = Arc::clone(&self.plan);
        let mut entry = self.views.take(record)?;
        let collection = match may_be_taken_up(&plan, record, &entry.state) {
            Ok(collection) => collection,
            Err(why) => {
                self.views.put(record.clone(), entry);
                return Ok(Reply::Refused(why));
            }
        };
        for (lane, words) in unsure(&plan, collection, record, &entry.state) {
            self.park(record, &mut entry, lane, ParkReason::Unknown, words, now)?;
        }
        let unread = |(side, part): &(&SideName, &CollectionSide)| {
            way_to_read(collection, part, &entry.state, side).is_some()
        };
        let unread: Vec<SideName> =
            collection.sides.iter().filter(unread).map(|(side, _)| side.clone()).collect();
        let sides = collection.sides.keys().cloned().collect();
        let told = What::TakenUp { by: by.clone(), unread: unread.clone() };
        let identity = collection.identity.clone();
        let body = Body::TakenUp { by, reason, sides, unread, identity };
        let version = self.emit(record, &mut entry, body, now)?;
        self.tell(Some(record), told, now);
        self.finish(record.clone(), entry, now)?;
        Ok(Reply::Made(version))
    }

    /// A side was looked through and has not shown the record.
    pub(crate) fn not_shown(
        &mut self,
        place: Place<'_>,
        record: &RecordId,
        entry: &mut Entry,
        now: Now,
    ) -> Result<(), EngineError> {
        let Some(part) = entry.state.sides.get(place.side) else { return Ok(()) };
        if let Some(id) = part.id.clone() {
            return self.gone(place, record, entry, id, Source::Missing, now);
        }
        let clock: Clock = part.acked_of_all();
        let body = Body::Confirmed { side: place.side.clone(), clock, tag: None, but: Vec::new() };
        self.emit(record, entry, body, now).map(|_| ())
    }

    /// Asks for the listings that a record waits for, each once.
    pub(crate) fn ask_listings(&mut self, collection: &CollectionPlan, record: &RecordId, entry: &Entry) {
        let Some((name, _)) = self.plan.collections.get_key_value(record.collection()) else { return };
        let name = name.clone();
        for (side, plan) in collection.sides.iter() {
            let since = entry.state.sides.get(side).and_then(|part| part.unread);
            if let Some(since) = since
                && way_to_read(collection, plan, &entry.state, side) == Some(Way::Listing)
            {
                self.passes.want_listing(side, &name, since);
            }
        }
    }
}

/// The collection of a record that can be taken up, or why it cannot.
fn may_be_taken_up<'p>(
    plan: &'p Plan,
    record: &RecordId,
    state: &RecordState,
) -> Result<&'p CollectionPlan, String> {
    let Some(collection) = plan.collections.get(record.collection()).filter(|_| !record.is_own_stream())
    else {
        return Err(format!("the configuration has no collection {:?}", record.collection()));
    };
    if state.malformed.is_none() {
        return Err(format!("{record} is not held: nothing of it is missing"));
    }
    let readable =
        |(side, part): (&SideName, &CollectionSide)| way_to_read(collection, part, state, side).is_some();
    if !collection.sides.iter().any(readable) {
        return Err(format!("no side of {record} can be read, so there is nothing to take it up from"));
    }
    Ok(collection)
}

/// What may or may not have been done for the record, and says so nowhere any more.
fn unsure(
    plan: &Plan,
    collection: &CollectionPlan,
    record: &RecordId,
    state: &RecordState,
) -> Vec<(Lane, String)> {
    let requests = state.requests.iter().filter(|(_, request)| request.parked.is_none());
    let requests = requests.map(|(version, _)| {
        let words = "it may have been sent: what came of it may be among the events that are lost; replay sends \
                     it (again), discard leaves it";
        (Lane::Request(*version), words.to_owned())
    });
    let jobs = plan.jobs.iter().filter(|(_, job)| job.collection.as_str() == record.collection());
    let jobs = jobs.filter(|(job, _)| state.jobs.get(*job).is_none_or(|job| job.parked.is_none()));
    let jobs = jobs.map(|(job, _)| {
        let words = "what it has dealt with may be among the events that are lost; replay calls it with the \
                     record as its sides show it, discard waits for the next change";
        (Lane::Job(job.clone()), words.to_owned())
    });
    let blind = collection.sides.iter().filter(|(side, part)| {
        let settled = state.sides.get(*side).is_some_and(|part| part.has_it() || part.unlinked);
        !settled && part.abilities.create && way_to_read(collection, part, state, side).is_none()
    });
    let blind = blind.map(|(side, _)| {
        let words = "it may have the record: that it was created there may be among the events that are lost, and \
                     the side cannot be read; replay creates it, discard leaves it";
        (Lane::Side(side.clone()), words.to_owned())
    });
    requests.chain(jobs).chain(blind).collect()
}
