//! The views: what can be looked up without reading the log from its start.
//!
//! A view is never a source of truth. Changes gather here in memory and are
//! saved from time to time, unsynced, behind the events they come from; after a
//! crash the events since the last save are folded again. An entry of an index
//! may be stale after that: whoever follows one checks it against the record.
//!
//! Keys, by their first letter: `r` record state, `l` native id to record,
//! `n` identity to record, `t` records with work to do, `k` records with
//! something parked, `s` the sync's own streams, `w` webhook messages taken in.

use crate::error::EngineError;
use crate::fold::side_of;
use crate::plan::Plan;
use crate::state::RecordState;
use crate::stream::StreamState;
use hms_sync_changelog::{Log, View};
use hms_sync_model::{
    Body, CollectionName, Event, EventId, FieldName, NativeId, RecordId, SideName, Time, Value,
};
use hms_sync_resolver::Rules;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

type Overlay = BTreeMap<Vec<u8>, Option<Vec<u8>>>;

/// What a save hands to the log: keys with their new values, and up to which event.
pub type Saved = (Vec<(Vec<u8>, Option<Vec<u8>>)>, u64);

/// All views of one sync, with what has changed and is not saved yet.
#[derive(Debug)]
pub struct Views {
    log: Log,
    /// Changes not yet handed to the log.
    fresh: Overlay,
    /// Changes handed to the log and not yet known to be readable there.
    saving: Option<Arc<Overlay>>,
    /// Records in use since the last save.
    records: HashMap<RecordId, Entry>,
    /// Records in use before it, as they are saved: not in use again until the
    /// next save, they leave memory.
    older: HashMap<RecordId, Entry>,
}

/// Saved records that stay in memory, at most.
const OLDER_MAX: usize = 4_096;

/// A record in memory.
#[derive(Debug)]
pub struct Entry {
    /// Its state.
    pub state: RecordState,
    /// Whether it differs from what is saved.
    pub dirty: bool,
}

impl Views {
    /// Views over what the log has saved. Call [`Views::catch_up`] before use.
    pub fn new(log: Log) -> Self {
        Self { log, fresh: Overlay::new(), saving: None, records: HashMap::new(), older: HashMap::new() }
    }

    /// The log underneath.
    pub fn log(&self) -> &Log {
        &self.log
    }

    /// Folds the events that came after the last save.
    pub fn catch_up(&mut self, plan: &Plan) -> Result<(), EngineError> {
        let mut next = self.log.views_upto().saturating_add(1);
        loop {
            let events = self.log.events(next, 1_024)?;
            if events.is_empty() {
                return Ok(());
            }
            for (id, event) in &events {
                next = event.seq.saturating_add(1);
                self.replay(plan, *id, event)?;
            }
            if self.dirty() > plan.dirty_max
                && let Some((changes, upto)) = self.begin_save(next.saturating_sub(1))
            {
                self.log.save_views(&changes, upto)?;
                self.end_save();
            }
        }
    }

    fn replay(&mut self, plan: &Plan, id: EventId, event: &Event) -> Result<(), EngineError> {
        if event.record.is_own_stream() {
            return self.fold_stream(id, event);
        }
        let mut entry = self.take(&event.record)?;
        if event.version > entry.state.version {
            self.fold(plan, &mut entry.state, id, event);
            entry.dirty = true;
        }
        // A save may have been cut in the middle: the record there, its index not.
        self.index_all(plan, &event.record, &entry.state);
        self.mark_todo(&event.record, true);
        self.put(event.record.clone(), entry);
        Ok(())
    }

    /// Takes a record out, to be changed and [`put`](Views::put) back. One that
    /// has no events yet comes as its empty state.
    pub fn take(&mut self, record: &RecordId) -> Result<Entry, EngineError> {
        if let Some(entry) = self.records.remove(record).or_else(|| self.older.remove(record)) {
            return Ok(entry);
        }
        let state = match self.get(&key(b'r', record.as_str().as_bytes()))? {
            Some(bytes) => decode(record, &bytes)?,
            None => RecordState::default(),
        };
        Ok(Entry { state, dirty: false })
    }

    /// Puts a record back.
    pub fn put(&mut self, record: RecordId, entry: Entry) {
        if entry.state.version > 0 {
            self.records.insert(record, entry);
        }
    }

    fn in_memory(&self, record: &RecordId) -> Option<&Entry> {
        self.records.get(record).or_else(|| self.older.get(record))
    }

    /// A copy of a record's state, for questions.
    pub fn peek(&self, record: &RecordId) -> Result<Option<RecordState>, EngineError> {
        if let Some(entry) = self.in_memory(record) {
            return Ok(Some(entry.state.clone()));
        }
        match self.get(&key(b'r', record.as_str().as_bytes()))? {
            Some(bytes) => Ok(Some(decode(record, &bytes)?)),
            None => Ok(None),
        }
    }

    /// Looks at a record's state without taking it out.
    pub fn peek_if<T>(
        &self,
        record: &RecordId,
        look: impl FnOnce(&RecordState) -> Option<T>,
    ) -> Result<Option<T>, EngineError> {
        if let Some(entry) = self.in_memory(record) {
            return Ok(look(&entry.state));
        }
        Ok(self.peek(record)?.as_ref().and_then(look))
    }

    /// Folds one event into a record's state and keeps the indexes in step.
    pub fn fold(&mut self, plan: &Plan, state: &mut RecordState, id: EventId, event: &Event) {
        let collection = plan.collections.get(event.record.collection());
        let no_rules = Rules::default();
        let rules = collection.map_or(&no_rules, |c| &c.rules);
        let identity = collection.map_or(&[][..], |c| &c.identity);
        let touches_identity = match &event.body {
            Body::Edited { edit, .. } => identity.iter().any(|f| edit.changes.contains_key(f)),
            _ => false,
        };
        let before =
            if touches_identity { identity_key(&event.record, state, rules, identity) } else { None };
        let old_id = side_of(&event.body).and_then(|s| state.sides.get(s)?.id.clone());
        state.fold(rules, id, event);
        if touches_identity {
            let after = identity_key(&event.record, state, rules, identity);
            if let Some(before) = before.filter(|b| after.as_ref() != Some(b)) {
                self.set(before, None);
            }
            if let Some(after) = after {
                self.set(after, Some(event.record.as_str().into()));
            }
        }
        if let Some(side) = side_of(&event.body) {
            let new_id = state.sides.get(side).and_then(|part| part.id.clone());
            if new_id != old_id {
                self.relink(&event.record, side, old_id.as_ref(), new_id.as_ref());
            }
        }
    }

    fn relink(&mut self, record: &RecordId, side: &SideName, old: Option<&NativeId>, new: Option<&NativeId>) {
        let collection = record.collection().to_owned();
        if let Some(old) = old {
            self.set(link_key(side, &collection, old), None);
        }
        if let Some(new) = new {
            self.set(link_key(side, &collection, new), Some(record.as_str().into()));
        }
    }

    /// Writes every index entry that a record's state asks for.
    fn index_all(&mut self, plan: &Plan, record: &RecordId, state: &RecordState) {
        for (side, part) in state.sides.iter() {
            if let Some(id) = &part.id {
                self.set(link_key(side, record.collection(), id), Some(record.as_str().into()));
            }
        }
        self.mark_parked(record, is_parked(state));
        let Some(collection) = plan.collections.get(record.collection()) else { return };
        if let Some(key) = identity_key(record, state, &collection.rules, &collection.identity) {
            self.set(key, Some(record.as_str().into()));
        }
    }

    /// Notes whether a record has work to do, so that a restart finds it.
    pub fn mark_todo(&mut self, record: &RecordId, todo: bool) {
        self.mark(key(b't', record.as_str().as_bytes()), todo);
    }

    /// Notes whether something of a record is parked.
    pub fn mark_parked(&mut self, record: &RecordId, parked: bool) {
        self.mark(key(b'k', record.as_str().as_bytes()), parked);
    }

    /// The record that a side's native id belongs to.
    pub fn linked(
        &self,
        side: &SideName,
        collection: &CollectionName,
        id: &NativeId,
    ) -> Result<Option<RecordId>, EngineError> {
        self.record_at(&link_key(side, collection.as_str(), id))
    }

    /// The record that carries an identity.
    pub fn identified(
        &self,
        collection: &CollectionName,
        values: &[Value],
    ) -> Result<Option<RecordId>, EngineError> {
        match identity_of_values(collection.as_str(), values) {
            Some(key) => self.record_at(&key),
            None => Ok(None),
        }
    }

    fn record_at(&self, key: &[u8]) -> Result<Option<RecordId>, EngineError> {
        let Some(bytes) = self.get(key)? else { return Ok(None) };
        let text = String::from_utf8_lossy(&bytes).into_owned();
        Ok(RecordId::try_new(text).ok())
    }

    /// Records linked to `side`, in pages, by the key of the last one.
    pub fn links(
        &self,
        side: &SideName,
        collection: &CollectionName,
        after: Option<&[u8]>,
        limit: usize,
    ) -> Result<Vec<(Vec<u8>, RecordId)>, EngineError> {
        let prefix = link_prefix(side, collection.as_str());
        let found = self.scan(&prefix, after, limit)?;
        Ok(found
            .into_iter()
            .filter_map(|(key, value)| Some((key, RecordId::try_new(String::from_utf8_lossy(&value)).ok()?)))
            .collect())
    }

    /// Records with work to do, in pages.
    pub fn todo(&self, after: Option<&RecordId>, limit: usize) -> Result<Vec<RecordId>, EngineError> {
        self.listed(b't', after, limit)
    }

    /// Records with something parked, in pages.
    pub fn parked(&self, after: Option<&RecordId>, limit: usize) -> Result<Vec<RecordId>, EngineError> {
        self.listed(b'k', after, limit)
    }

    fn listed(
        &self,
        letter: u8,
        after: Option<&RecordId>,
        limit: usize,
    ) -> Result<Vec<RecordId>, EngineError> {
        let after = after.map(|record| key(letter, record.as_str().as_bytes()));
        let found = self.scan(&[letter], after.as_deref(), limit)?;
        let text = |(key, _): (Vec<u8>, Vec<u8>)| {
            RecordId::try_new(String::from_utf8_lossy(key.get(1..).unwrap_or_default())).ok()
        };
        Ok(found.into_iter().filter_map(text).collect())
    }

    /// A stream of the sync's own.
    pub fn stream(&self, stream: &RecordId) -> Result<StreamState, EngineError> {
        match self.get(&key(b's', stream.as_str().as_bytes()))? {
            Some(bytes) => rmp_serde::from_slice(&bytes)
                .map_err(|why| EngineError::View { what: stream.to_string(), why: why.to_string() }),
            None => Ok(StreamState::default()),
        }
    }

    /// Folds one event of a stream of the sync's own.
    pub fn fold_stream(&mut self, id: EventId, event: &Event) -> Result<(), EngineError> {
        let mut state = self.stream(&event.record)?;
        if let Body::Received { message } = &event.body {
            self.set(message_key(&event.record, message), Some(event.at.0.to_be_bytes().into()));
        }
        if event.version > state.version {
            state.fold(id, event);
            let bytes = rmp_serde::to_vec_named(&state)
                .map_err(|why| EngineError::View { what: event.record.to_string(), why: why.to_string() })?;
            self.set(key(b's', event.record.as_str().as_bytes()), Some(bytes));
        }
        Ok(())
    }

    /// Whether a webhook message has been taken in, and when.
    pub fn received(&self, stream: &RecordId, message: &str) -> Result<Option<Time>, EngineError> {
        let found = self.get(&message_key(stream, message))?;
        Ok(found.and_then(|bytes| bytes.try_into().ok()).map(|at| Time(i64::from_be_bytes(at))))
    }

    fn set(&mut self, key: Vec<u8>, value: Option<Vec<u8>>) {
        self.fresh.insert(key, value);
    }

    /// Sets or removes a mark. Most come and go between two saves, and those
    /// need not be saved at all.
    fn mark(&mut self, key: Vec<u8>, on: bool) {
        if on {
            self.fresh.insert(key, Some(Vec::new()));
            return;
        }
        let saved = match self.saving.as_ref().and_then(|saving| saving.get(&key)) {
            Some(value) => value.is_some(),
            // What cannot be read is taken to be there.
            None => self.log.view(&key).map_or(true, |value| value.is_some()),
        };
        if saved {
            self.fresh.insert(key, None);
        } else {
            self.fresh.remove(&key);
        }
    }

    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, EngineError> {
        if let Some(value) = self.fresh.get(key) {
            return Ok(value.clone());
        }
        if let Some(value) = self.saving.as_ref().and_then(|saving| saving.get(key)) {
            return Ok(value.clone());
        }
        Ok(self.log.view(key)?)
    }

    /// Entries under `prefix` in order of key, unsaved ones included.
    fn scan(&self, prefix: &[u8], after: Option<&[u8]>, limit: usize) -> Result<Vec<View>, EngineError> {
        let from = after.map_or_else(|| prefix.to_vec(), |a| [a, &[0]].concat());
        let saved = self.log.views(prefix, after, limit)?;
        // Past the last saved key of a full page nothing may be taken from memory yet.
        let end = if saved.len() < limit { None } else { saved.last().map(|(key, _)| key.clone()) };
        let mut merged: BTreeMap<Vec<u8>, Option<Vec<u8>>> =
            saved.into_iter().map(|(key, value)| (key, Some(value))).collect();
        for layer in [self.saving.as_deref(), Some(&self.fresh)].into_iter().flatten() {
            let entries = layer
                .range(from.clone()..)
                .take_while(|(key, _)| key.starts_with(prefix) && end.as_ref().is_none_or(|end| *key <= end));
            merged.extend(entries.map(|(key, value)| (key.clone(), value.clone())));
        }
        Ok(merged.into_iter().filter_map(|(key, value)| Some((key, value?))).collect())
    }

    /// How much has changed since the last save.
    pub fn dirty(&self) -> usize {
        self.fresh.len() + self.records.len()
    }

    /// Takes what has changed, to be saved; nothing while a save is under way
    /// or if there is nothing. Records not in use since the last save leave memory.
    pub fn begin_save(&mut self, upto: u64) -> Option<Saved> {
        if self.saving.is_some() {
            return None;
        }
        for (record, entry) in self.records.iter_mut().filter(|(_, entry)| entry.dirty) {
            entry.dirty = false;
            match rmp_serde::to_vec_named(&entry.state) {
                Ok(bytes) => self.fresh.insert(key(b'r', record.as_str().as_bytes()), Some(bytes)),
                Err(why) => {
                    // Cannot happen for a state of ours; the log still has it all.
                    tracing::error!(%record, %why, "a record's view cannot be encoded");
                    None
                }
            };
        }
        self.older = std::mem::take(&mut self.records).into_iter().take(OLDER_MAX).collect();
        if self.fresh.is_empty() {
            return None;
        }
        let overlay = Arc::new(std::mem::take(&mut self.fresh));
        let changes = overlay.iter().map(|(key, value)| (key.clone(), value.clone())).collect();
        self.saving = Some(overlay);
        Some((changes, upto))
    }

    /// The save is readable in the log.
    pub fn end_save(&mut self) {
        self.saving = None;
    }
}

/// Whether anything of a record is parked.
pub(crate) fn is_parked(state: &RecordState) -> bool {
    state.malformed.is_some()
        || state.sides.values().any(|part| part.parked.is_some())
        || state.jobs.values().any(|job| job.parked.is_some())
        || state.requests.values().any(|request| request.parked.is_some())
}

fn decode(record: &RecordId, bytes: &[u8]) -> Result<RecordState, EngineError> {
    rmp_serde::from_slice(bytes)
        .map_err(|why| EngineError::View { what: record.to_string(), why: why.to_string() })
}

fn key(letter: u8, rest: &[u8]) -> Vec<u8> {
    let mut key = Vec::with_capacity(rest.len() + 1);
    key.push(letter);
    key.extend_from_slice(rest);
    key
}

fn link_prefix(side: &SideName, collection: &str) -> Vec<u8> {
    [b"l", side.as_str().as_bytes(), b"/", collection.as_bytes(), b"\0"].concat()
}

/// Native ids may be long; a long one stands as its hash, which the record's state confirms.
fn link_key(side: &SideName, collection: &str, id: &NativeId) -> Vec<u8> {
    let mut key = link_prefix(side, collection);
    if id.as_str().len() <= 200 {
        key.extend_from_slice(id.as_str().as_bytes());
    } else {
        key.push(0);
        key.extend_from_slice(blake3::hash(id.as_str().as_bytes()).as_bytes());
    }
    key
}

/// A number for a side's id of a record: a listing remembers these, not the ids.
pub(crate) fn link_hash(side: &SideName, collection: &CollectionName, id: &NativeId) -> u64 {
    let hash = blake3::hash(&link_key(side, collection.as_str(), id));
    let (head, _) = hash.as_bytes().split_at(8);
    head.try_into().map_or(0, u64::from_be_bytes)
}

fn message_key(stream: &RecordId, message: &str) -> Vec<u8> {
    let hash = blake3::hash(message.as_bytes());
    [b"w", stream.as_str().as_bytes(), b"\0", hash.as_bytes().as_slice()].concat()
}

fn identity_key(
    record: &RecordId,
    state: &RecordState,
    rules: &Rules,
    identity: &[FieldName],
) -> Option<Vec<u8>> {
    let values: Vec<Value> = identity.iter().map(|field| state.merged.value(rules, field)).collect();
    identity_of_values(record.collection(), &values)
}

/// The key of an identity; nothing if any part of it is not filled in.
fn identity_of_values(collection: &str, values: &[Value]) -> Option<Vec<u8>> {
    if values.is_empty() || values.iter().any(Value::is_blank) {
        return None;
    }
    let bytes = rmp_serde::to_vec(values).ok()?;
    Some([b"n", collection.as_bytes(), b"\0", blake3::hash(&bytes).as_bytes().as_slice()].concat())
}
