//! What came of a record's first events, so that they can be dropped from the log: written
//! down as an event, and a fold that begins with it where they are gone.
//!
//! The event says how the record stood after so many of its events, and changes nothing of a
//! fold that has them all: with and without them a record comes to the same state, and to the
//! same state at every version since. What is personal stands in it twice: sealed as it was in
//! the events, which is what is left once the key is destroyed, and whole under the key.
//!
//! What never happens here: dropping anything, or a state that a replay would not make.

use crate::error::EngineError;
use crate::machine::Machine;
use crate::past::version_upto;
use crate::plan::Plan;
use crate::state::RecordState;
use crate::stream::{self, StreamCarry, StreamState};
use crate::views::rules_of;
use crate::wake::Now;
use hms_sync_changelog::{Archived, Log, Sealed};
use hms_sync_model::{ARCHIVES_STREAM, Blob, Body, Digest, Event, EventId, FieldName, KEYS_STREAM, RecordId};
use hms_sync_vault::Vault;
use std::collections::BTreeSet;
use std::sync::Arc;

/// Events of a record read at once.
const PAGE_EVENTS: usize = 256;

/// How events are looked at.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Look<'v> {
    /// With what is personal opened, as far as it can be.
    Opened(Option<&'v Vault>),
    /// As if no key were left.
    Shut,
}

impl Look<'_> {
    pub(crate) fn at(self, event: &mut Event) {
        match self {
            Self::Opened(Some(vault)) => vault.open_event(event),
            Self::Opened(None) => {}
            Self::Shut => Vault::shut_event(event),
        }
    }
}

fn failed(record: &RecordId, why: &str) -> EngineError {
    EngineError::Carried { record: record.to_string(), why: why.to_owned() }
}

/// The state that an event carries; nothing if it is of another kind. The second answer is
/// whether all of it could be opened.
fn carried(
    look: Look<'_>,
    record: &RecordId,
    body: &Body,
) -> Result<Option<(RecordState, bool)>, EngineError> {
    let Body::Carried { upto, state, sealed, .. } = body else { return Ok(None) };
    let opened = match (look, sealed) {
        (Look::Opened(Some(vault)), Some(sealed)) => vault.open_state(record, *upto, sealed),
        _ => None,
    };
    let whole = sealed.is_none() || opened.is_some() || matches!(look, Look::Shut);
    let bytes = opened.as_deref().unwrap_or(&state.0);
    let state = rmp_serde::from_slice(bytes).map_err(|why| failed(record, &why.to_string()))?;
    Ok(Some((state, whole)))
}

/// What a fold of a record begins with, where its first events are no longer in the log.
#[derive(Debug)]
pub(crate) struct Base {
    pub(crate) state: RecordState,
    /// Whether all of it could be opened.
    pub(crate) whole: bool,
}

/// What was carried over of a record whose first event in the log has version `first`;
/// nothing if nothing was, so that what is missing was lost.
pub(crate) fn base(
    log: &Log,
    look: Look<'_>,
    record: &RecordId,
    first: u64,
) -> Result<Option<Base>, EngineError> {
    if log.dropped_upto() == 0 || record.is_own_stream() {
        return Ok(None);
    }
    let (mut from, mut nearest) = (first, None::<Base>);
    loop {
        let page = log.history(record, from, PAGE_EVENTS)?;
        let Some((_, last)) = page.last() else { return Ok(nearest) };
        from = last.version.saturating_add(1);
        for (_, event) in &page {
            let Some((state, whole)) = carried(look, record, &event.body)? else { continue };
            let next = state.version.saturating_add(1);
            // One that was cut off may have carried over more than was dropped in the end.
            if next >= first && nearest.as_ref().is_none_or(|base| state.version < base.state.version) {
                nearest = Some(Base { state, whole });
            }
            if next == first {
                return Ok(nearest);
            }
        }
    }
}

/// What a fold of a record begins with, where its first events were dropped.
pub fn begins_with(
    log: &Log,
    vault: Option<&Vault>,
    record: &RecordId,
) -> Result<Option<RecordState>, EngineError> {
    let first = log.history(record, 1, 1)?.first().map_or(1, |(_, event)| event.version);
    if first == 1 {
        return Ok(None);
    }
    Ok(base(log, Look::Opened(vault), record, first)?.map(|base| base.state))
}

/// A record as its first `upto` events make it, and nothing kept on the way is taken.
pub(crate) fn folded(
    log: &Log,
    look: Look<'_>,
    plan: &Plan,
    record: &RecordId,
    upto: u64,
) -> Result<RecordState, EngineError> {
    crate::past::fold_on(log, look, rules_of(plan, record), record, RecordState::default(), upto)
}

fn encode(record: &RecordId, state: &impl serde::Serialize) -> Result<Vec<u8>, EngineError> {
    rmp_serde::to_vec_named(state).map_err(|why| failed(record, &why.to_string()))
}

/// Fields whose values are sealed in the first `upto` events of a record.
fn sealed_fields(log: &Log, record: &RecordId, upto: u64) -> Result<Vec<FieldName>, EngineError> {
    let (mut found, mut from) = (BTreeSet::new(), 1);
    loop {
        let mut page = log.history(record, from, PAGE_EVENTS)?;
        page.retain(|(_, event)| event.version <= upto);
        let Some((_, last)) = page.last() else { return Ok(found.into_iter().collect()) };
        from = last.version.saturating_add(1);
        for (_, event) in &mut page {
            found.append(&mut fields_of(event));
        }
    }
}

/// Fields whose values are sealed in an event, or in those that it stands for.
pub(crate) fn fields_of(event: &mut Event) -> BTreeSet<FieldName> {
    let mut found = Vault::sealed_fields(event);
    if let Body::Carried { fields, .. } = &event.body {
        found.extend(fields.iter().cloned());
    }
    found
}

impl Machine {
    /// Makes the events without which those up to `last` cannot be dropped: for up to `limit`
    /// records after `after`. They are to be appended, in order. Answers where to go on. Only
    /// while nothing else goes on.
    ///
    /// # Errors
    /// If the log or the keys cannot be read, or a state is larger than an event may be.
    pub fn carry(
        &mut self,
        last: u64,
        after: Option<&RecordId>,
        limit: usize,
        now: Now,
    ) -> Result<(Vec<Sealed>, Option<RecordId>), EngineError> {
        let now = self.steady.tick(now);
        let records = self.log().records(after, limit)?;
        for record in &records {
            let first = self.log().history(record, 1, 1)?.pop();
            if first.is_none_or(|(_, event)| event.seq > last) {
                continue;
            }
            if record.is_own_stream() {
                self.carry_stream(record, last, now)?;
            } else {
                self.carry_record(record, last, now)?;
            }
        }
        Ok((std::mem::take(&mut self.batch), records.last().cloned()))
    }

    fn carry_record(&mut self, record: &RecordId, last: u64, now: Now) -> Result<(), EngineError> {
        let upto = version_upto(self.log(), record, last)?;
        if self.is_carried(record, upto)? {
            return Ok(());
        }
        let (vault, plan) = (self.views.vault().cloned(), Arc::clone(self.plan()));
        let fold = |look| folded(self.log(), look, &plan, record, upto);
        let opened = fold(Look::Opened(vault.as_ref()))?;
        let (state, sealed) = match vault.as_ref().filter(|vault| vault.has(record)) {
            Some(vault) => (fold(Look::Shut)?, vault.seal_state(record, upto, &encode(record, &opened)?)?),
            None => (opened, None),
        };
        let fields = sealed_fields(self.log(), record, upto)?;
        let body = Body::Carried { upto, state: Blob(encode(record, &state)?), sealed, fields };
        let mut entry = self.views.take(record)?;
        let emitted = self.emit(record, &mut entry, body, now);
        self.views.put(record.clone(), entry);
        emitted.map(|_| ())
    }

    /// Whether the record's last event carries just that: of a run that was cut off.
    fn is_carried(&self, record: &RecordId, upto: u64) -> Result<bool, EngineError> {
        let Some((version, _)) = self.log().last(record)? else { return Ok(false) };
        let found = self.log().history(record, version, 1)?.pop();
        Ok(found.is_some_and(|(_, event)| matches!(event.body, Body::Carried { upto: n, .. } if n == upto)))
    }

    fn carry_stream(&mut self, record: &RecordId, last: u64, now: Now) -> Result<(), EngineError> {
        if [KEYS_STREAM, ARCHIVES_STREAM].contains(&record.as_str()) {
            return self.tell_again(record, last, now);
        }
        // Also those that events of records tell of, which are dropped as well.
        let until = self.log().events(last, 1)?.first().map_or(now.wall, |(_, event)| event.at);
        let messages = self.views.messages(record, now.wall.minus(stream::REMEMBERED), until)?;
        let mut parts: Vec<&[stream::Message]> = messages.chunks(stream::MESSAGES_MAX).collect();
        if parts.is_empty() {
            parts.push(&[]);
        }
        for part in parts {
            let state = self.views.stream(record)?;
            let upto = state.version;
            let carry = StreamCarry { state, messages: part.to_vec() };
            let state = Blob(encode(record, &carry)?);
            self.emit_stream(record, Body::Carried { upto, state, sealed: None, fields: Vec::new() }, now)?;
        }
        Ok(())
    }

    /// What a stream says of keys and archives stands in the log for good: it is said once
    /// more, in the same order, if it has not been yet.
    fn tell_again(&mut self, record: &RecordId, last: u64, now: Now) -> Result<(), EngineError> {
        let history = self.log().history(record, 1, usize::MAX)?;
        let (old, new): (Vec<_>, Vec<_>) = history.into_iter().partition(|(_, event)| event.seq <= last);
        let is_new = |body: &Body| new.iter().any(|(_, event)| event.body == *body);
        if old.iter().all(|(_, event)| is_new(&event.body)) {
            return Ok(());
        }
        let all: Vec<Body> = old.into_iter().chain(new).map(|(_, event)| event.body).collect();
        for (n, body) in all.iter().enumerate() {
            if !all.iter().skip(n + 1).any(|later| later == body) {
                self.emit_stream(record, body.clone(), now)?;
            }
        }
        Ok(())
    }

    /// Makes the event with which a range is dropped. It is to be handed to the log with it.
    pub fn approve(
        &mut self,
        range: &Archived,
        by: String,
        reason: String,
        now: Now,
    ) -> Result<Option<Sealed>, EngineError> {
        let now = self.steady.tick(now);
        let Archived { first, last, hash, root, file, .. } = range.clone();
        let (hash, root) = (Digest(hash), Digest(root));
        let record = RecordId::try_new(ARCHIVES_STREAM)?;
        self.emit_stream(&record, Body::Archived { first, last, file, hash, root, by, reason }, now)?;
        Ok(std::mem::take(&mut self.batch).pop())
    }
}

impl StreamState {
    /// What was carried over takes the place of all that was known.
    pub(crate) fn begin_with(&mut self, id: EventId, event: &Event) {
        let Body::Carried { state, .. } = &event.body else { return };
        // One of a newer version that cannot be read changes nothing.
        if let Ok(carry) = rmp_serde::from_slice::<StreamCarry>(&state.0) {
            *self = StreamState { version: event.version, head: id, ..carry.state };
        }
    }
}
