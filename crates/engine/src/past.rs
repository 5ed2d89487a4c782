//! How a record stood: its state after so many of its events, and which events
//! there were at a time.
//!
//! Reads only the record's own events, however many the log has; times are found
//! by halving, because they never go back.

use crate::carry::{self, Look};
use crate::error::EngineError;
use crate::plan::Plan;
use crate::state::RecordState;
use crate::views::{rules_of, saved_state};
use hms_sync_changelog::Log;
use hms_sync_model::{Body, Clock, RecordId, Time};
use hms_sync_resolver::{Record, Rules};
use hms_sync_vault::Vault;

/// Events of a record read at once.
const PAGE_EVENTS: usize = 256;

/// A record as its first `version` events make it. What `vault` cannot open any more is
/// there as it is sealed.
pub fn state_at(
    log: &Log,
    vault: Option<&Vault>,
    plan: &Plan,
    record: &RecordId,
    version: u64,
) -> Result<RecordState, EngineError> {
    let saved = saved_state(log, vault, record)?.filter(|state| state.version <= version);
    let rules = rules_of(plan, record);
    fold_on(log, Look::Opened(vault), rules, record, saved.unwrap_or_default(), version)
}

/// The same, from a state on that was kept on the way.
pub(crate) fn fold_on(
    log: &Log,
    look: Look<'_>,
    rules: &Rules,
    record: &RecordId,
    mut state: RecordState,
    version: u64,
) -> Result<RecordState, EngineError> {
    if version > state.version
        && let Some(first) = first_after(log, record, state.version)?
        && first > state.version.saturating_add(1)
        && let Some(base) = carry::base(log, look, record, first)?
    {
        if base.state.version > version {
            return Err(archived(log, record, base.state.version));
        }
        state = base.state;
    }
    loop {
        let left = usize::try_from(version.saturating_sub(state.version)).unwrap_or(usize::MAX);
        let mut page = log.history(record, state.version.saturating_add(1), left.min(PAGE_EVENTS))?;
        // Where versions were lost, so many events may go past the one that is asked for.
        page.retain(|(_, event)| event.version <= version);
        if page.is_empty() {
            return Ok(state);
        }
        for (id, event) in &mut page {
            look.at(event);
            state.fold(rules, *id, event);
        }
    }
}

/// A record as somebody had seen it whose context is `seen`: the edits of its log that are
/// in it, and no others. Nothing where the log does not have them all: where some are still
/// to be written, or were dropped together with some that are not in `seen`.
pub(crate) fn record_seen(
    log: &Log,
    vault: Option<&Vault>,
    rules: &Rules,
    record: &RecordId,
    seen: &Clock,
) -> Result<Option<Record>, EngineError> {
    let (mut view, mut from) = (Record::default(), 1);
    if let Some(first) = first_after(log, record, 0)?.filter(|first| *first > 1) {
        let base = carry::base(log, Look::Opened(vault), record, first)?;
        let Some(base) = base.filter(|base| seen.covers(&base.state.merged.clock)) else { return Ok(None) };
        (view, from) = (base.state.merged, base.state.version.saturating_add(1));
    }
    loop {
        let mut page = log.history(record, from, PAGE_EVENTS)?;
        let Some((_, last)) = page.last() else { return Ok(view.clock.covers(seen).then_some(view)) };
        from = last.version.saturating_add(1);
        for (_, event) in &mut page {
            Look::Opened(vault).at(event);
            if let Body::TakenUp { identity, .. } = &event.body {
                view.start_over(|field| identity.contains(field));
            }
            if let Body::Edited { edit, .. } = &event.body
                && seen.has(&edit.dot)
                && let Err(why) = view.apply(rules, edit)
            {
                tracing::debug!(%record, %why, "an edit is left out of what was seen");
            }
        }
    }
}

/// The version of a record's first event in the log after one.
pub(crate) fn first_after(log: &Log, record: &RecordId, version: u64) -> Result<Option<u64>, EngineError> {
    Ok(log.history(record, version.saturating_add(1), 1)?.first().map(|(_, event)| event.version))
}

/// The last version of a record that was dropped; 0 if none was.
fn dropped_upto(log: &Log, record: &RecordId) -> Result<u64, EngineError> {
    if log.dropped_upto() == 0 {
        return Ok(0);
    }
    Ok(first_after(log, record, 0)?.map_or(0, |first| first.saturating_sub(1)))
}

/// Where the events of a record are that were dropped.
fn archived(log: &Log, record: &RecordId, upto: u64) -> EngineError {
    let files: Vec<String> = log.archived().into_iter().map(|range| range.file).collect();
    EngineError::Archived { record: record.to_string(), upto, files: files.join(", ") }
}

/// How many events a record had at `at`, those of that moment included.
///
/// # Errors
/// [`EngineError::Archived`] if only events that were dropped can tell.
pub fn version_at(log: &Log, record: &RecordId, at: Time) -> Result<u64, EngineError> {
    let last = log.last(record)?.map_or(0, |(version, _)| version);
    let found = last_where(last, |version| {
        let found = log.history(record, version, 1)?;
        Ok(found.first().is_some_and(|(_, event)| event.at <= at))
    })?;
    match if found > 0 { 0 } else { dropped_upto(log, record)? } {
        0 => Ok(found),
        // All of them had been written by then.
        upto if log.archived().last().is_some_and(|range| range.until <= at) => Ok(upto),
        upto => Err(archived(log, record, upto)),
    }
}

/// How many of a record's events stand at `seq` or before it in the whole log.
pub fn version_upto(log: &Log, record: &RecordId, seq: u64) -> Result<u64, EngineError> {
    let last = log.last(record)?.map_or(0, |(version, _)| version);
    let found = last_where(last, |version| {
        let found = log.history(record, version, 1)?;
        Ok(found.first().is_some_and(|(_, event)| event.seq <= seq))
    })?;
    // Of a range that was dropped it cannot be said where in it which event stood.
    if found == 0 && seq >= log.dropped_upto() { dropped_upto(log, record) } else { Ok(found) }
}

/// The number of the last event that the log had at `at`, those of that moment included.
/// A number that was lost stands where the next event does.
pub fn events_at(log: &Log, at: Time) -> Result<u64, EngineError> {
    let found = last_where(log.head(), |seq| {
        Ok(log.events(seq, 1)?.first().is_some_and(|(_, event)| event.at <= at))
    })?;
    let dropped = log.archived().last().filter(|range| range.until <= at).map_or(0, |range| range.last);
    Ok(found.max(dropped))
}

/// The last number up to `most` for which `holds` is true, where it is true for all before it.
fn last_where(
    most: u64,
    mut holds: impl FnMut(u64) -> Result<bool, EngineError>,
) -> Result<u64, EngineError> {
    let (mut low, mut high) = (0, most);
    while low < high {
        let middle = high - (high - low) / 2;
        if holds(middle)? {
            low = middle;
        } else {
            high = middle - 1;
        }
    }
    Ok(low)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests may panic")]
    use super::*;

    #[test]
    fn halving_finds_the_last_in_few_looks() {
        for most in 0..200 {
            for wanted in 0..=most {
                let mut looks = 0_u32;
                let found = last_where(most, |n| {
                    looks += 1;
                    assert!(n >= 1 && n <= most);
                    Ok(n <= wanted)
                });
                assert_eq!(found.unwrap(), wanted, "of {most}");
                assert!(looks <= 8, "{looks} looks among {most}");
            }
        }
    }
}
