//! How views catch up, when a process starts, with the events that came after the last save:
//! one thread reads them, one makes what their records were before, one folds and indexes.
//!
//! What never happens here: a new event.

use super::loader::Loader;
use super::{Entry, Views, rules_of, snapshot_key};
use crate::carry::Look;
use crate::error::EngineError;
use crate::plan::Plan;
use crate::project::is_in_step;
use crate::quiet::Quiet;
use crate::state::RecordState;
use hms_sync_changelog::{Log, LogError};
use hms_sync_model::{Event, EventId, RecordId};
use hms_sync_vault::Vault;
use rustc_hash::{FxHashMap, FxHashSet};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

/// Events read at once.
const EVENTS: usize = 512;

/// Portions that wait for the next thread.
const AHEAD: usize = 2;

/// Records changed by the events read before they are indexed: most are changed by several
/// events that lie apart, and are then indexed once.
const RECORDS: usize = 4_096;

/// Records remembered as met. More are looked for again in vain.
const MET_MAX: usize = 1 << 16;

/// How many times as much as while it runs may be unsaved before a process that catches up
/// saves: what is saved while nothing else is done holds the start up.
const UNSAVED: usize = 4;

type Events = Vec<(EventId, Event)>;

/// Some events, and what records that they are of were before.
struct Portion {
    events: Events,
    /// Those that were not met before, each with the version of its snapshot.
    before: Vec<(RecordId, RecordState, u64)>,
}

impl Views {
    /// Indexes what came after the last save.
    pub fn catch_up(&mut self) -> Result<(), EngineError> {
        self.todo.on = self.marked(b't')?;
        self.parked.on = self.marked(b'k')?;
        self.resume_live()?;
        self.resume_block()?;
        self.resume_doubt()?;
        let (log, first) = (self.log.clone(), self.log.views_upto().saturating_add(1));
        let (plan, vault) = (Arc::clone(&self.plan), self.vault.clone());
        tracing::debug!(first, last = log.head(), "events since the views were saved are taken in");
        std::thread::scope(|scope| {
            let (give, events) = sync_channel(AHEAD);
            let (give_on, portions) = sync_channel(AHEAD);
            let (log, plan, vault) = (&log, &plan, vault.as_ref());
            scope.spawn(move || read(log, first, &give));
            scope.spawn(move || look_back(log, plan, vault, events, &give_on));
            let mut touched = FxHashMap::default();
            for portion in portions {
                self.take_in(portion?, &mut touched)?;
            }
            self.index_touched(&mut touched)
        })
    }

    /// Folds events that come next, and indexes their records once there are many.
    fn take_in(
        &mut self,
        Portion { events, before }: Portion,
        touched: &mut FxHashMap<RecordId, u64>,
    ) -> Result<(), EngineError> {
        for (record, state, snapshot) in before {
            if !self.records.contains_key(&record) {
                self.put(record, Entry::loaded(state, snapshot));
            }
        }
        let last = events.last().map(|(_, event)| event.seq);
        for (id, event) in events {
            self.hear(&event);
            if event.record.is_own_stream() {
                self.fold_stream(id, &event)?;
            } else {
                self.note_message(&event);
                touched.insert(event.record.clone(), event.seq);
                self.replay(id, event)?;
            }
        }
        let unsaved_max = self.plan.unsaved_max.saturating_mul(UNSAVED);
        if touched.len() < RECORDS && self.unsaved() <= unsaved_max {
            return Ok(());
        }
        self.index_touched(touched)?;
        if self.unsaved() > unsaved_max
            && let Some((changes, upto)) = last.and_then(|last| self.begin_save(last, &Quiet::default()))
        {
            self.log.save_views(&changes, upto)?;
            self.end_save();
        }
        Ok(())
    }

    /// Indexes records in the order of their last events: of two that carry an identity the
    /// later one stands, as when it happened.
    fn index_touched(&mut self, touched: &mut FxHashMap<RecordId, u64>) -> Result<(), EngineError> {
        let mut all: Vec<(RecordId, u64)> = touched.drain().collect();
        all.sort_unstable_by_key(|(_, last)| *last);
        all.iter().try_for_each(|(record, _)| self.index_anew(record))
    }

    /// Folds an event that comes next in its record, so that the record need not
    /// be made from its history.
    fn replay(&mut self, id: EventId, mut event: Event) -> Result<(), EngineError> {
        let new = event.version == 1 && !self.records.contains_key(&event.record);
        let mut entry = if new { Entry::default() } else { self.take(&event.record)? };
        // One made from its history has it already. After a recovery some before it may be missing.
        if event.version > entry.state.version {
            Look::Opened(self.vault.as_ref()).at(&mut event);
            entry.state.fold(rules_of(&self.plan, &event.record), id, &event);
            entry.changed_by(event.seq);
        }
        self.put(event.record, entry);
        Ok(())
    }

    /// Indexes a record by its state, whatever the index says. Most are in step: those need
    /// not be looked at, for which many would have to be read once more.
    fn index_anew(&mut self, record: &RecordId) -> Result<(), EngineError> {
        let entry = self.take(record)?;
        self.index_all(record, &entry.state)?;
        let rests = self.believes_clocks && is_in_step(&self.plan, record, &entry.state);
        self.mark_todo(record, !rests);
        self.put(record.clone(), entry);
        Ok(())
    }
}

/// Reads the events from `next` on.
fn read(log: &Log, mut next: u64, give: &SyncSender<Result<Events, LogError>>) {
    loop {
        let events = log.events(next, EVENTS);
        let last = events.as_ref().ok().and_then(|events| events.last()).map(|(_, last)| last.seq);
        // Whoever takes them may have ended with an error.
        let gone = give.send(events).is_err();
        match last {
            Some(last) if !gone => next = last.saturating_add(1),
            _ => return,
        }
    }
}

/// Makes what the records of events were before the first of these, of each once.
fn look_back(
    log: &Log,
    plan: &Plan,
    vault: Option<&Vault>,
    events: Receiver<Result<Events, LogError>>,
    give: &SyncSender<Result<Portion, EngineError>>,
) {
    let (loader, mut met) = (Loader { log, plan, vault }, FxHashSet::default());
    for events in events {
        let portion = events.map_err(EngineError::from).and_then(|events| {
            let mut before = Vec::new();
            for (_, event) in &events {
                if event.record.is_own_stream() || !met.insert(event.record.clone()) || event.version == 1 {
                    continue;
                }
                let saved = log.view(&snapshot_key(&event.record))?;
                let (state, snapshot) = loader.load(&event.record, saved, event.version)?;
                before.push((event.record.clone(), state, snapshot));
            }
            if met.len() > MET_MAX {
                met.clear();
            }
            Ok(Portion { events, before })
        });
        // Whoever takes them may have ended with an error.
        if give.send(portion).is_err() {
            return;
        }
    }
}
