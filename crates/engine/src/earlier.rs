//! How a record stood on a side earlier: whether what the side shows now is what it had
//! shown, or had taken from us, before. Read from the record's own events, which are looked
//! at only where a side shows something new.

use crate::carry::{self, Look};
use crate::error::EngineError;
use crate::fold::side_of;
use crate::observe::{Place, Seen};
use crate::past::first_after;
use crate::plan::Plan;
use crate::project::{same, shown};
use crate::state::{RecordState, SideState};
use crate::views::rules_of;
use hms_sync_changelog::Log;
use hms_sync_model::{FieldMap, FieldName, RecordId, Time, Value};
use hms_sync_vault::Vault;

/// Events of a record read at once.
const PAGE_EVENTS: usize = 256;

/// A record with more events than this is not looked through: it is one of few.
const EVENTS_MAX: u64 = 4_096;

/// The moment at which a side had a record most like what it shows now.
#[derive(Debug, Clone)]
pub(crate) struct Earlier {
    /// What the side held then.
    pub(crate) part: SideState,
    /// Whether all that it shows now stood there then.
    pub(crate) whole: bool,
    /// When that was over.
    pub(crate) until: Time,
    /// Of what differs now, how many fields stood there.
    alike: usize,
}

/// The last moment at which most of what `different` says stood on the side; nothing if none
/// of it ever did.
pub(crate) fn earlier(
    (log, vault, plan): (&Log, Option<&Vault>, &Plan),
    place: Place<'_>,
    record: &RecordId,
    seen: &Seen,
    different: &FieldMap,
) -> Result<Option<Earlier>, EngineError> {
    let mut best: Option<Earlier> = None;
    let mut over = true;
    each_state((log, vault, plan), record, |state, about, at| {
        if about.is_some_and(|side| side != place.side) {
            return;
        }
        let Some(part) = state.sides.get(place.side) else { return };
        let (whole, alike) = if part.has_it() { compared(place, part, seen, different) } else { (false, 0) };
        let better = best.as_ref().is_none_or(|best| (whole, alike) >= (best.whole, best.alike));
        if alike > 0 && better {
            (best, over) = (Some(Earlier { part: part.clone(), whole, until: at, alike }), false);
        } else if let Some(best) = best.as_mut().filter(|_| !over) {
            (best.until, over) = (at, true);
        }
    })?;
    Ok(best)
}

/// Whether all that a side shows now stood there at some time, and how much of what differs.
fn compared(place: Place<'_>, part: &SideState, seen: &Seen, different: &FieldMap) -> (bool, usize) {
    let stood = |field: &FieldName, view: &Value| same(view, &shown(place.plan, part, field));
    let held = |field: &FieldName| part.held.contains_key(field);
    // What it was not known to hold then says nothing, unless it is among what differs.
    let is_as_then = |(field, view): (&FieldName, &Value)| {
        if held(field) { stood(field, view) } else { !different.contains_key(field) || view.is_blank() }
    };
    let alike = different.iter().filter(|(field, view)| held(field) && stood(field, view)).count();
    (seen.fields.iter().all(is_as_then), alike)
}

/// Shows how a record stood after each of its events, and what side each was about.
fn each_state(
    (log, vault, plan): (&Log, Option<&Vault>, &Plan),
    record: &RecordId,
    mut see: impl FnMut(&RecordState, Option<&hms_sync_model::SideName>, Time),
) -> Result<(), EngineError> {
    let look = Look::Opened(vault);
    let (rules, mut state) = (rules_of(plan, record), RecordState::default());
    let Some(first) = first_after(log, record, 0)? else { return Ok(()) };
    if log.last(record)?.is_some_and(|(last, _)| last.saturating_sub(first) > EVENTS_MAX) {
        return Ok(());
    }
    if first > 1 {
        let Some(base) = carry::base(log, look, record, first)? else { return Ok(()) };
        state = base.state;
    }
    loop {
        let mut page = log.history(record, state.version.saturating_add(1), PAGE_EVENTS)?;
        if page.is_empty() {
            return Ok(());
        }
        for (id, event) in &mut page {
            look.at(event);
            state.fold(rules, *id, event);
            see(&state, side_of(&event.body), event.at);
        }
    }
}
