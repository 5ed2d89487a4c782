//! The views: what can be looked up without reading the log from its start.
//!
//! A view is never a source of truth. Records in use are kept in memory; one that
//! has not been in use for long is forgotten, and made anew from its events when
//! it is asked for: a long history from a snapshot of its state on the way. The
//! indexes gather in memory and are saved from time to time, unsynced, with the
//! number of the event up to which they go; after a crash the records of the
//! events since then are indexed again. What is saved may be newer than that,
//! never older. An entry of an index may be stale after that: whoever follows one
//! checks it against the record.
//!
//! Keys, by their first letter: `r` snapshot of a record's state, `l` native id to record,
//! `n` identity to record, `t` records with work to do, `k` records with
//! something parked, `c` those with conflicts that go on, `h` those that have had some,
//! `s` the sync's own streams, `w` webhook messages taken in, `b` what
//! the blocks of the log hold, `q` the schema contract that a side was last read under, `f` the
//! rules that all was folded under, `p` the plan of the last start, `m` a secret
//! and `d` since when what was shown is believed (`quiet.rs`).

use crate::blocks::Block;
use crate::conflicts::{Live, saved_record, tally};
use crate::error::EngineError;
use crate::fold::side_of;
use crate::near::Near;
use crate::personal::personal_of;
use crate::plan::Plan;
use crate::snapshot;
use crate::state::RecordState;
use hms_sync_changelog::{Changes, Log, VIEW_BYTES_MAX, View};
use hms_sync_model::{Body, CollectionName, Event, EventId, NativeId, RecordId, SideName, Time, Value};
use hms_sync_resolver::{Presence, Rules};
use hms_sync_vault::Vault;
use rustc_hash::{FxHashMap, FxHashSet};
use std::collections::VecDeque;
use std::sync::{Arc, LazyLock};

mod blocks;
mod catch_up;
mod keys;
mod links;
mod loader;
mod marks;
mod saving;
mod streams;

use keys::{identity_key, identity_of_values, key, snapshot_key};
use links::link_key;
pub(crate) use links::{hash_of, link_hash, record_in};
use loader::Loader;
use marks::Marks;
use streams::Streams;

/// What a save hands to the log: keys with their new values, and up to which event.
pub type Saved = (Arc<Changes>, u64);

/// Events of a record between two snapshots of its state.
const SNAPSHOT_EVERY: u64 = 12;

/// All views of one sync, with what has changed and is not saved yet.
#[derive(Debug)]
pub struct Views {
    log: Log,
    plan: Arc<Plan>,
    /// What opens personal values; nothing if the sync has none.
    vault: Option<Vault>,
    /// Changes not yet handed to the log.
    fresh: Changes,
    /// Changes handed to the log and not yet known to be readable there.
    saving: Option<Arc<Changes>>,
    /// Records in use.
    records: FxHashMap<RecordId, Entry>,
    /// The same, in the order in which they came into memory.
    queue: VecDeque<RecordId>,
    /// Records with work to do.
    todo: Marks,
    /// Records with something parked.
    parked: Marks,
    /// Records with conflicts that go on.
    live: Live,
    /// The sync's own streams.
    streams: Streams,
    /// What the block of the last events holds.
    block: Block,
    /// The webhook message that was last looked at, to be forgotten if it is old.
    looked_at: Option<Vec<u8>>,
    /// No webhook message that is known was taken in before this time, if it was looked at all.
    oldest: Time,
    /// The same, of those that were looked at since the first one was.
    oldest_so_far: Option<Time>,
    /// Links that were asked for lately.
    near: Near,
    /// Up to which event what was shown last is not believed.
    doubted: u64,
    /// How many times an event of a record was found to tell of a webhook message.
    messages_noted: u64,
    /// Whether what was in step by its clocks before a start is so still.
    believes_clocks: bool,
}

/// A record in memory.
#[derive(Debug, Default)]
pub struct Entry {
    /// Its state.
    pub state: Box<RecordState>,
    /// The last event that changed it, as far as this process has made any.
    last: u64,
    /// The version of its saved snapshot; 0 if there is none.
    snapshot: u64,
    /// Whether it stands in the queue of those in memory.
    queued: bool,
    /// Whether what a side showed of it may have been noted (`quiet.rs`).
    pub(crate) noted: bool,
}

impl Entry {
    /// One that was made from its events, with the version of its snapshot.
    fn loaded(state: RecordState, snapshot: u64) -> Self {
        let noted = state.version > 0;
        Self { state: Box::new(state), last: 0, snapshot, queued: false, noted }
    }

    /// Notes that event `seq` has changed it.
    pub(crate) fn changed_by(&mut self, seq: u64) {
        self.last = seq;
    }
}

impl Views {
    /// Views over what the log has saved. Call [`Views::catch_up`] before use.
    pub fn new(log: Log, plan: Arc<Plan>) -> Self {
        Self {
            log,
            plan,
            vault: None,
            fresh: Changes::new(),
            saving: None,
            records: FxHashMap::default(),
            queue: VecDeque::new(),
            todo: Marks::default(),
            parked: Marks::default(),
            live: Live::default(),
            streams: Streams::default(),
            block: Block::default(),
            looked_at: None,
            oldest: Time::MIN,
            oldest_so_far: None,
            near: Near::default(),
            doubted: 0,
            messages_noted: 0,
            believes_clocks: false,
        }
    }

    /// The same, with the keys of personal fields.
    #[must_use]
    pub fn with_vault(self, vault: Option<Vault>) -> Self {
        Self { vault, ..self }
    }

    /// Whether records that are in step by their clocks need not be looked at after a start:
    /// under another plan they may be in step no more.
    pub(crate) fn believe_clocks(&mut self, believed: bool) {
        self.believes_clocks = believed;
    }

    /// The keys of personal fields.
    pub fn vault(&self) -> Option<&Vault> {
        self.vault.as_ref()
    }

    /// Saves something with the next views that is no view of a record.
    pub(crate) fn save_with(&mut self, (key, value): View) {
        self.set(key, Some(value));
    }

    /// Takes note of what an event says beside what it makes of its record or stream, whether it
    /// happens now or is caught up with.
    pub(crate) fn hear(&mut self, event: &Event) {
        self.sum_up(event);
        self.doubt_notes(event);
    }

    /// The log underneath.
    pub fn log(&self) -> &Log {
        &self.log
    }

    fn marked(&self, letter: u8) -> Result<FxHashSet<RecordId>, EngineError> {
        let (mut found, mut after) = (FxHashSet::default(), None);
        loop {
            let page = self.log.views(&[letter], after.as_deref(), 1_024)?;
            let Some((last, _)) = page.last() else { return Ok(found) };
            after = Some(last.clone());
            let text = |key: &[u8]| String::from_utf8_lossy(key.get(1..).unwrap_or_default()).into_owned();
            found.extend(page.iter().filter_map(|(key, _)| RecordId::try_new(text(key)).ok()));
        }
    }

    /// Takes a record out, to be changed and [`put`](Views::put) back. One that
    /// has no events yet comes as its empty state.
    pub fn take(&mut self, record: &RecordId) -> Result<Entry, EngineError> {
        if let Some(entry) = self.records.remove(record) {
            return Ok(entry);
        }
        let (state, snapshot) = self.load(record)?;
        Ok(Entry::loaded(state, snapshot))
    }

    /// A record's state, from its last snapshot and the events since; and the
    /// version of that snapshot.
    fn load(&self, record: &RecordId) -> Result<(RecordState, u64), EngineError> {
        if !self.log.may_know(record) {
            return Ok((RecordState::default(), 0));
        }
        let saved = self.get(&snapshot_key(record))?;
        Loader { log: &self.log, plan: &self.plan, vault: self.vault.as_ref() }.load(record, saved, u64::MAX)
    }

    /// Puts a record back. Those longest in memory leave it when there are many.
    pub fn put(&mut self, record: RecordId, mut entry: Entry) {
        if entry.state.version == 0 {
            return;
        }
        if !std::mem::replace(&mut entry.queued, true) {
            self.queue.push_back(record.clone());
        }
        self.records.insert(record, entry);
        for _ in 0..2 {
            if self.queue.len() > self.plan.records_max {
                self.retire();
            }
        }
    }

    /// The record longest in memory leaves it.
    fn retire(&mut self) {
        let Some(record) = self.queue.pop_front() else { return };
        // It can be made anew from what is durable; and it may be in use just now.
        let durable = self.log.head();
        match self.records.get(&record) {
            Some(entry) if entry.last <= durable => {}
            _ => return self.queue.push_back(record),
        }
        let Some(entry) = self.records.remove(&record) else { return };
        if entry.state.version.saturating_sub(entry.snapshot) < SNAPSHOT_EVERY {
            return;
        }
        let seals = personal_of(&self.plan, &record).is_some();
        if seals && self.vault.is_none() {
            return;
        }
        match snapshot::encode(self.vault.as_ref().filter(|_| seals), &record, &entry.state) {
            // The log takes no larger view: such a record is folded from its events each time.
            Ok(Some(bytes)) if bytes.len() > VIEW_BYTES_MAX => {}
            Ok(Some(bytes)) => {
                self.fresh.insert(snapshot_key(&record), Some(bytes));
            }
            Ok(None) => {}
            // Cannot happen for a state of ours; the log still has it all.
            Err(why) => tracing::error!(%record, why, "a record's view cannot be encoded"),
        }
    }

    /// Drops the snapshot of a record: it holds more than the record does now.
    pub(crate) fn forget_snapshot(&mut self, record: &RecordId, entry: &mut Entry) {
        entry.snapshot = 0;
        self.set(snapshot_key(record), None);
    }

    /// A copy of a record's state, for questions.
    pub fn peek(&self, record: &RecordId) -> Result<Option<RecordState>, EngineError> {
        if let Some(entry) = self.records.get(record) {
            return Ok(Some(RecordState::clone(&entry.state)));
        }
        let (state, _) = self.load(record)?;
        Ok((state.version > 0).then_some(state))
    }

    /// Looks at a record's state without taking it out.
    pub fn peek_if<T>(
        &self,
        record: &RecordId,
        look: impl FnOnce(&RecordState) -> Option<T>,
    ) -> Result<Option<T>, EngineError> {
        if let Some(entry) = self.records.get(record) {
            return Ok(look(&entry.state));
        }
        Ok(self.peek(record)?.as_ref().and_then(look))
    }

    /// Notes that what a side showed of a record has been noted. One that is not in
    /// memory is taken to have been when it comes.
    pub(crate) fn note(&mut self, record: &RecordId) {
        if let Some(entry) = self.records.get_mut(record) {
            entry.noted = true;
        }
    }

    /// Folds one event into a record's state and keeps the indexes in step. Answers with the
    /// id that a side has for the record from now on, if that is another one.
    pub fn fold(
        &mut self,
        state: &mut RecordState,
        id: EventId,
        event: &Event,
    ) -> Option<(SideName, NativeId)> {
        self.note_message(event);
        let plan = Arc::clone(&self.plan);
        let rules = rules_of(&plan, &event.record);
        let collection = plan.collections.get(event.record.collection());
        let identity = collection.map_or(&[][..], |c| &c.identity);
        let touches_identity = match &event.body {
            Body::Edited { edit, .. } => identity.iter().any(|f| edit.changes.contains_key(f)),
            _ => false,
        };
        let before =
            if touches_identity { identity_key(&event.record, state, rules, identity) } else { None };
        let side = side_of(&event.body);
        let old_id = side.and_then(|side| state.sides.get(side)?.id.clone());
        let past = state.past_conflicts();
        state.fold(rules, id, event);
        if state.past_conflicts() > past {
            self.set(key(b'h', event.record.as_str().as_bytes()), Some(Vec::new()));
        }
        if touches_identity {
            let after = identity_key(&event.record, state, rules, identity);
            if let Some(before) = before.filter(|b| after.as_ref() != Some(b))
                && self.is_free(&before, &event.record)
            {
                self.set(before, None);
            }
            if let Some(after) = after
                && (!is_apart(state) || self.is_free(&after, &event.record))
            {
                self.set(after, Some(event.record.as_str().into()));
            }
        }
        let side = side?;
        let new_id = state.sides.get(side).and_then(|part| part.id.as_ref());
        if new_id == old_id.as_ref() {
            return None;
        }
        self.relink(&event.record, side, old_id.as_ref(), new_id);
        new_id.map(|id| (side.clone(), id.clone()))
    }

    /// Whether an identity is carried by no record but this one. What cannot be read is not.
    fn is_free(&self, key: &[u8], record: &RecordId) -> bool {
        self.get(key).is_ok_and(|found| found.is_none_or(|found| found == record.as_str().as_bytes()))
    }

    /// Writes every index entry that a record's state asks for.
    fn index_all(&mut self, record: &RecordId, state: &RecordState) -> Result<(), EngineError> {
        let plan = Arc::clone(&self.plan);
        for (side, part) in state.sides.iter() {
            let Some(id) = &part.id else { continue };
            let key = link_key(side, record.collection(), id);
            // A record that is gone there may have given its id to another life.
            if !part.gone || self.get(&key)?.is_none() {
                self.set(key, Some(record.as_str().into()));
            }
        }
        self.mark_parked(record, is_parked(state));
        self.mark_conflicts(record, state);
        if state.past_conflicts() > 0 {
            self.set(key(b'h', record.as_str().as_bytes()), Some(Vec::new()));
        }
        let Some(collection) = plan.collections.get(record.collection()) else { return Ok(()) };
        let deleted = state.merged.presence(&collection.rules) == Presence::Deleted;
        if let Some(key) = identity_key(record, state, &collection.rules, &collection.identity)
            // Likewise for the identity of one that is deleted.
            && (!deleted && !is_apart(state) || self.get(&key)?.is_none())
        {
            self.set(key, Some(record.as_str().into()));
        }
        Ok(())
    }

    /// Notes whether a record has work to do, so that a restart finds it.
    pub fn mark_todo(&mut self, record: &RecordId, todo: bool) {
        self.todo.mark(record, todo);
    }

    /// Notes whether something of a record is parked.
    pub fn mark_parked(&mut self, record: &RecordId, parked: bool) {
        self.parked.mark(record, parked);
    }

    /// Notes how many of a record's conflicts go on.
    pub(crate) fn mark_conflicts(&mut self, record: &RecordId, state: &RecordState) {
        let tally = tally(self.plan.collections.get(record.collection()), state);
        self.live.mark(record, tally);
    }

    /// Records with conflicts that go on.
    pub(crate) fn live(&self) -> &Live {
        &self.live
    }

    /// Records that have had conflicts which ended, in order, so many or a few more.
    pub(crate) fn once_conflicted(
        &self,
        after: Option<&RecordId>,
        limit: usize,
    ) -> Result<Vec<RecordId>, EngineError> {
        let after = after.map(|record| key(b'h', record.as_str().as_bytes()));
        let found = self.scan(b"h", after.as_deref(), limit)?;
        Ok(found.into_iter().filter_map(saved_record).map(|(record, _)| record).collect())
    }

    fn resume_live(&mut self) -> Result<(), EngineError> {
        let mut after: Option<Vec<u8>> = None;
        loop {
            let page = self.log.views(b"c", after.as_deref(), 1_024)?;
            let Some((last, _)) = page.last() else { return Ok(()) };
            after = Some(last.clone());
            self.live.resume(page.into_iter().filter_map(saved_record));
        }
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
        Ok(self.get(key)?.as_deref().and_then(record_in))
    }

    /// Records with work to do, in order.
    pub fn todo(&self) -> Vec<RecordId> {
        self.todo.sorted()
    }

    /// How many they are.
    pub fn todo_count(&self) -> usize {
        self.todo.on.len()
    }

    /// How many records have something parked.
    pub fn parked_count(&self) -> usize {
        self.parked.on.len()
    }

    /// Records with something parked, in pages.
    pub fn parked(&self, after: Option<&RecordId>, limit: usize) -> Vec<RecordId> {
        let later = self.parked.on.iter().filter(|record| after.is_none_or(|after| *record > after));
        let mut page: Vec<RecordId> = later.cloned().collect();
        if limit < page.len() {
            page.select_nth_unstable(limit);
            page.truncate(limit);
        }
        page.sort_unstable();
        page
    }
}

/// Whether a record was taken apart from another one, which goes by the identity that both have.
fn is_apart(state: &RecordState) -> bool {
    state.follows.is_some() && state.sides.values().any(|part| part.unlinked)
}

/// Whether anything of a record is parked.
pub(crate) fn is_parked(state: &RecordState) -> bool {
    state.malformed.is_some()
        || state.sides.values().any(|part| part.parked.is_some())
        || state.jobs.values().any(|job| job.parked.is_some())
        || state.requests.values().any(|request| request.parked.is_some())
}

/// The rules that a record's edits are folded by: none where its collection is no longer configured.
pub(crate) fn rules_of<'a>(plan: &'a Plan, record: &RecordId) -> &'a Rules {
    static NONE: LazyLock<Rules> = LazyLock::new(Rules::default);
    plan.collections.get(record.collection()).map_or(&*NONE, |collection| &collection.rules)
}

/// A record's state as it was saved on the way, at whatever version that was; nothing
/// if it cannot be opened any more.
pub(crate) fn saved_state(
    log: &Log,
    vault: Option<&Vault>,
    record: &RecordId,
) -> Result<Option<RecordState>, EngineError> {
    let Some(bytes) = log.view(&snapshot_key(record))? else { return Ok(None) };
    snapshot::decode(vault, record, &bytes)
}
