//! What a record needs on a side, worked out from its state at the moment there is room to
//! do it. Pure: it reads no clock and changes nothing.

use crate::brake::fights;
use crate::plan::{CollectionPlan, CollectionSide};
use crate::project::{Projection, held_back, is_unconfirmed, lacks, projection};
use crate::state::{RecordState, SideState, Write};
use crate::taken_up::{Way, is_unread, way_to_read};
use crate::wake::Now;
use hms_sync_model::{Operation, ParkReason, SideName, Time};
use hms_sync_resolver::fault::{Fault, is_back};
use std::time::Duration;

/// How long a look-up or a doubt waits after the trouble that raised it.
const LOOK_DELAY: Duration = Duration::from_millis(50);

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
    /// Nothing to look at: the side was read as a whole and has not shown it.
    NotShown,
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
    /// What time it is.
    wall: Time,
    /// When the last complete listing of the side began.
    listing: Option<Time>,
}

/// How long after a read of the record a write may follow without another.
const FRESH: Duration = Duration::from_secs(1);

impl Known {
    pub(crate) fn of(lane: &crate::lane::Lane, now: Now) -> Self {
        let fresh = lane.read_at.is_some_and(|at| now.mono < at.plus(FRESH));
        Self { look: lane.look.is_some(), refused: lane.refused, fresh, wall: now.wall, listing: None }
    }

    /// The same with when the last complete listing of the side began.
    pub(crate) fn with_listing(self, listing: Option<Time>) -> Self {
        Self { listing, ..self }
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
    if is_unread(collection, state) {
        return first_read(collection, plan, state, side, lane);
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
        let known = plan.abilities.idempotency_key && !write.cut && !is_forgotten(plan, write, lane.wall);
        return unfinished(plan, part, write, (refused, known), || {
            projection(collection, state, side, listed)
        });
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

/// What is to be done on a side before anything of a record is sent that was taken up.
fn first_read(
    collection: &CollectionPlan,
    plan: &CollectionSide,
    state: &RecordState,
    side: &SideName,
    lane: Known,
) -> Step {
    let Some(since) = state.sides.get(side).and_then(|part| part.unread) else { return Step::Rest };
    match way_to_read(collection, plan, state, side) {
        Some(Way::Fetch) => Step::Read,
        Some(Way::LookUp) => Step::LookUp,
        Some(Way::Listing) if lane.listing.is_some_and(|began| began >= since) => Step::NotShown,
        Some(Way::Listing) | None => Step::Rest,
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
    (refused, known): (bool, bool),
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
    if known || write.operation == Operation::Delete {
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

/// Whether the side may have forgotten the write's idempotency key: sent again under it,
/// the write may be carried out twice.
fn is_forgotten(plan: &CollectionSide, write: &Write, wall: Time) -> bool {
    plan.abilities.key_valid_for.is_some_and(|life| wall > write.at.plus(life))
}

/// A doubt that came up again waits until the settle window is over.
pub(crate) fn due_of_doubt(
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
    let last = part.last_write.as_ref().map(|last| last.ended).max(part.made)?;
    if doubt.times < 2 {
        return None;
    }
    let wait = last.plus(plan.settle_window).since(now.wall);
    Some(now.mono.plus(wait.max(LOOK_DELAY)))
}
