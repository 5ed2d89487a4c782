//! The rehearsal as whoever writes one sees it: people, questions, and what was told.

use crate::error::RehearsalError;
use crate::people;
use crate::play::Due;
use crate::side::{Doc, Mood, Side, overlay};
use crate::told::{Conflict, Told, Wrote};
use hms_sync_changelog::{Log, MemoryDisk};
use hms_sync_engine::{Command, Machine, Now, ParkedItem, Plan, RecordState, Reply, state_at};
use hms_sync_model::{CollectionName, FieldMap, NativeId, RecordId, SideName, Time, Value};
use hms_sync_vault::{MemoryFolder, Random, Vault};
use serde_json::Value as Json;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

/// By the calendar, when a rehearsal begins.
const START: Time = Time(1_700_000_000_000_000);
/// How long each thing takes that people do.
const PEOPLE_US: i64 = 1_000_000;
/// Drives the jitter of retries.
const SEED: u64 = 7;

/// One sync, played.
#[derive(Debug)]
pub struct Rehearsal {
    pub(crate) plan: Arc<Plan>,
    pub(crate) disk: MemoryDisk,
    keys: MemoryFolder,
    pub(crate) vault: Option<Vault>,
    pub(crate) machine: Machine,
    pub(crate) sides: BTreeMap<(SideName, CollectionName), Side>,
    pub(crate) offline: BTreeSet<SideName>,
    pub(crate) now_us: i64,
    pub(crate) queue: BTreeMap<(i64, u64), Due>,
    pub(crate) order: u64,
    /// Counts the processes, so that what was sent to one before is not heard.
    pub(crate) life: u64,
    pub(crate) replies: BTreeMap<u64, Reply>,
    pub(crate) told: Told,
    /// Counts what brought the sync further, and when that last happened.
    pub(crate) progress: u64,
    pub(crate) progress_us: i64,
}

/// A log and its keys as they stood at some time.
#[derive(Debug, Clone)]
pub struct Backup {
    entries: Vec<(Vec<u8>, Vec<u8>)>,
}

/// What a rehearsal leaves out of a plan: handlers, and reads by the clock, since
/// [`Rehearsal::settle`] says when sides are read.
fn playable(mut plan: Plan) -> Plan {
    let jobs: BTreeSet<CollectionName> = plan.jobs.values().map(|job| job.collection.clone()).collect();
    plan.jobs.clear();
    plan.collections.retain(|name, _| !jobs.contains(name));
    for (_, collection) in plan.collections.iter_mut() {
        for (_, side) in collection.sides.iter_mut() {
            (side.poll_interval, side.full_interval) = (None, None);
        }
    }
    plan
}

impl Rehearsal {
    /// A sync as `plan` has it, with empty sides and an empty log.
    pub fn new(plan: Plan) -> Result<Self, RehearsalError> {
        let plan = Arc::new(playable(plan));
        let (disk, keys) = (MemoryDisk::new(), MemoryFolder::new());
        let (machine, vault) = boot(&plan, &disk, &keys, 0)?;
        let mut sides = BTreeMap::new();
        for (name, collection) in plan.collections.iter() {
            for (side, part) in collection.sides.iter() {
                sides.insert((side.clone(), name.clone()), Side::new(part.abilities));
            }
        }
        let mut rehearsal = Self {
            plan,
            disk,
            keys,
            vault,
            machine,
            sides,
            offline: BTreeSet::new(),
            now_us: 0,
            queue: BTreeMap::new(),
            order: 0,
            life: 0,
            replies: BTreeMap::new(),
            told: Told::default(),
            progress: 0,
            progress_us: 0,
        };
        rehearsal.start()?;
        Ok(rehearsal)
    }

    /// The time, as the engine is told it.
    pub(crate) fn clock(&self) -> Now {
        Now { wall: START.plus(Duration::from_micros(self.now_us.unsigned_abs())), mono: Time(self.now_us) }
    }

    /// What time it is.
    pub fn now(&self) -> Time {
        self.clock().wall
    }

    /// Puts a side back to how it stood at `at`, as from a backup.
    pub fn put_back(
        &mut self,
        collection: &CollectionName,
        side: &SideName,
        at: Time,
    ) -> Result<(), RehearsalError> {
        let now = self.now();
        self.side_mut(collection, side)?.put_back(at, now);
        Ok(())
    }

    /// Lets time pass in which nobody does anything and no side is read.
    pub fn wait(&mut self, duration: Duration) {
        self.now_us = self.now_us.saturating_add(i64::try_from(duration.as_micros()).unwrap_or(i64::MAX));
    }

    /// How a side behaves from here on.
    pub fn mood(
        &mut self,
        collection: &CollectionName,
        side: &SideName,
    ) -> Result<&mut Mood, RehearsalError> {
        Ok(&mut self.side_mut(collection, side)?.mood)
    }

    /// The side cannot be reached until it is [`Self::online`] again. Until then nothing
    /// that waits for its time is waited for.
    pub fn offline(&mut self, side: &SideName) {
        self.offline.insert(side.clone());
    }

    /// The side can be reached again.
    pub fn online(&mut self, side: &SideName) {
        self.offline.remove(side);
    }

    fn side(&self, collection: &CollectionName, side: &SideName) -> Result<&Side, RehearsalError> {
        self.sides.get(&(side.clone(), collection.clone())).ok_or_else(|| no_place(collection, side))
    }

    pub(crate) fn side_mut(
        &mut self,
        collection: &CollectionName,
        side: &SideName,
    ) -> Result<&mut Side, RehearsalError> {
        self.sides.get_mut(&(side.clone(), collection.clone())).ok_or_else(|| no_place(collection, side))
    }

    /// Has people of a side set `fields` in `doc`.
    fn drawn(
        &self,
        collection: &CollectionName,
        side: &SideName,
        mut doc: Doc,
        fields: &FieldMap,
    ) -> Result<Doc, RehearsalError> {
        let part = self.plan.collections.get(collection).and_then(|of| of.sides.get(side));
        let part = part.ok_or_else(|| no_place(collection, side))?;
        people::set(side, &part.shape, &mut doc, fields)?;
        Ok(doc)
    }

    fn doing(&mut self) -> Time {
        self.now_us = self.now_us.saturating_add(PEOPLE_US);
        self.clock().wall
    }

    /// People of a side make a record, with canonical values. Answers with its id there.
    pub fn put(
        &mut self,
        collection: &CollectionName,
        side: &SideName,
        fields: &FieldMap,
    ) -> Result<NativeId, RehearsalError> {
        let doc = self.drawn(collection, side, Doc::new(), fields)?;
        let now = self.doing();
        Ok(self.side_mut(collection, side)?.insert(doc, now)?)
    }

    /// The same under an id of the caller's, which may have been used before.
    pub fn put_as(
        &mut self,
        collection: &CollectionName,
        side: &SideName,
        id: &NativeId,
        fields: &FieldMap,
    ) -> Result<(), RehearsalError> {
        let doc = self.drawn(collection, side, Doc::new(), fields)?;
        let now = self.doing();
        self.side_mut(collection, side)?.insert_as(id, doc, now);
        Ok(())
    }

    /// People of a side set fields of a record, to canonical values; an absent one is taken out.
    pub fn edit(
        &mut self,
        collection: &CollectionName,
        side: &SideName,
        record: &RecordId,
        fields: &FieldMap,
    ) -> Result<(), RehearsalError> {
        let id = self.id_on(side, record)?;
        self.edit_id(collection, side, &id, fields)
    }

    /// The same, of a record that is named by its id on the side.
    pub fn edit_id(
        &mut self,
        collection: &CollectionName,
        side: &SideName,
        id: &NativeId,
        fields: &FieldMap,
    ) -> Result<(), RehearsalError> {
        let doc = self.side(collection, side)?.doc(id).cloned().ok_or_else(|| not_there(side, id))?;
        let doc = self.drawn(collection, side, doc, fields)?;
        let now = self.doing();
        self.side_mut(collection, side)?.change(id, doc, now);
        Ok(())
    }

    /// People of a side set members of a record's own document, as the side has it; without
    /// an id they make a record of it. Answers with its id there.
    pub fn raw(
        &mut self,
        collection: &CollectionName,
        side: &SideName,
        id: Option<&NativeId>,
        members: &Json,
    ) -> Result<NativeId, RehearsalError> {
        let mut doc = match id {
            Some(id) => self.side(collection, side)?.doc(id).cloned().ok_or_else(|| not_there(side, id))?,
            None => Doc::new(),
        };
        overlay(&mut doc, members);
        let now = self.doing();
        let there = self.side_mut(collection, side)?;
        match id {
            Some(id) => {
                there.change(id, doc, now);
                Ok(id.clone())
            }
            None => Ok(there.insert(doc, now)?),
        }
    }

    /// People of a side delete a record.
    pub fn delete(
        &mut self,
        collection: &CollectionName,
        side: &SideName,
        record: &RecordId,
    ) -> Result<(), RehearsalError> {
        let id = self.id_on(side, record)?;
        let now = self.doing();
        let removed = self.side_mut(collection, side)?.remove(&id, now);
        removed.then_some(()).ok_or_else(|| not_there(side, &id))
    }

    /// People of a side make one of two records: the first is gone, and whoever asks for it is
    /// shown the second.
    pub fn merge(
        &mut self,
        collection: &CollectionName,
        side: &SideName,
        id: &NativeId,
        into: &NativeId,
    ) -> Result<(), RehearsalError> {
        let now = self.doing();
        let merged = self.side_mut(collection, side)?.merge(id, into, now);
        merged.then_some(()).ok_or_else(|| not_there(side, id))
    }

    /// A record as it lies on a side, in the side's own shape.
    pub fn doc(&self, collection: &CollectionName, side: &SideName, id: &NativeId) -> Option<Json> {
        self.side(collection, side).ok()?.doc(id).cloned().map(Json::Object)
    }

    /// The ids of all records on a side.
    pub fn ids(&self, collection: &CollectionName, side: &SideName) -> Vec<NativeId> {
        self.side(collection, side).map(|side| side.ids().cloned().collect()).unwrap_or_default()
    }

    /// A side's id of a record, as far as the sync knows it.
    pub fn id_on(&self, side: &SideName, record: &RecordId) -> Result<NativeId, RehearsalError> {
        let state = self.state(record)?;
        let id = state.sides.get(side).filter(|part| part.has_it()).and_then(|part| part.id.clone());
        id.ok_or_else(|| RehearsalError::NotThere { side: side.clone(), record: record.to_string() })
    }

    /// The record with this identity, as a person names it: `permit/7`; or by its id.
    pub fn find(&self, name: &str) -> Result<Option<RecordId>, RehearsalError> {
        Ok(self.machine.find(name)?)
    }

    /// All records of the sync.
    pub fn records(&self) -> Result<Vec<RecordId>, RehearsalError> {
        let mut all = self.machine.log().records(None, 10_000)?;
        all.retain(|record| !record.is_own_stream());
        Ok(all)
    }

    /// All that the sync knows of a record, folded from its events.
    pub fn state(&self, record: &RecordId) -> Result<RecordState, RehearsalError> {
        let log = self.machine.log();
        let Some((version, _)) = log.last(record)? else {
            return Err(RehearsalError::NoRecord(record.clone()));
        };
        Ok(state_at(log, self.vault.as_ref(), &self.plan, record, version)?)
    }

    /// A record's merged values.
    pub fn merged(&self, record: &RecordId) -> Result<FieldMap, RehearsalError> {
        let state = self.state(record)?;
        let rules = self.plan.collections.get(record.collection()).map(|of| &of.rules);
        Ok(rules.map(|rules| state.merged.values(rules)).unwrap_or_default())
    }

    /// What a side holds of a record, in canonical values as the side shows them; nothing
    /// if it does not have it.
    pub fn shown(&self, side: &SideName, record: &RecordId) -> Result<Option<FieldMap>, RehearsalError> {
        let Ok(id) = self.id_on(side, record) else { return Ok(None) };
        let of = self.plan.collections.get_key_value(record.collection());
        let Some((name, part)) = of.and_then(|(name, of)| Some((name, of.sides.get(side)?))) else {
            return Ok(None);
        };
        let Some(doc) = self.doc(name, side, &id) else { return Ok(None) };
        let fields = part.shape.read(&doc, false).unwrap_or_default();
        Ok(Some(
            fields
                .iter()
                .filter(|(_, v)| **v != Value::Absent)
                .map(|(f, v)| (f.clone(), v.clone()))
                .collect(),
        ))
    }

    /// What was written to sides, in order.
    pub fn writes(&self) -> &[Wrote] {
        &self.told.wrote
    }

    /// Where concurrent edits met, and what became of it; of each field the last.
    pub fn conflicts(&self) -> &[Conflict] {
        &self.told.conflicts
    }

    /// What was set aside.
    pub fn parked(&self) -> Result<Vec<ParkedItem>, RehearsalError> {
        Ok(self.machine.parked(None, 1_000)?)
    }

    /// The engine's counters.
    pub fn counts(&self) -> Result<hms_sync_engine::Counts, RehearsalError> {
        Ok(self.machine.status()?.counts)
    }

    /// What happened, a line for each thing: when (seconds), who, what, to which record.
    pub fn timeline(&self) -> String {
        self.told.timeline(START)
    }

    /// Forgets what was told so far: writes, conflicts, the timeline.
    pub fn forget(&mut self) {
        self.told.forget();
    }

    /// A person asks for something, and the sync does what follows from it.
    pub fn command(&mut self, command: Command) -> Result<Option<Reply>, RehearsalError> {
        let reply = self.ask(command)?;
        self.run()?;
        Ok(reply)
    }

    /// The process ends and another starts on the same log, perhaps with another plan.
    pub fn restart(&mut self, plan: Option<Plan>) -> Result<(), RehearsalError> {
        if let Some(plan) = plan {
            self.plan = Arc::new(playable(plan));
        }
        self.disk.crash(0);
        self.reboot()
    }

    /// The log as it stands now.
    pub fn backup(&self) -> Backup {
        Backup { entries: self.disk.entries() }
    }

    /// The process ends, the log is put back to what it was, and another process starts.
    pub fn restore(&mut self, backup: &Backup) -> Result<(), RehearsalError> {
        let disk = MemoryDisk::new();
        for (key, value) in &backup.entries {
            disk.tamper(key, Some(value));
        }
        self.disk = disk;
        self.reboot()
    }

    /// The same, and that the log was put back is said: everything is read, nothing is written.
    pub fn restore_and_look(&mut self, backup: &Backup) -> Result<(), RehearsalError> {
        let plan = Plan::clone(&self.plan);
        self.plan = Arc::new(Plan { restored: true, ..plan.clone() });
        self.restore(backup)?;
        self.settle()?;
        self.plan = Arc::new(plan);
        Ok(())
    }

    fn reboot(&mut self) -> Result<(), RehearsalError> {
        self.life += 1;
        let (machine, vault) = boot(&self.plan, &self.disk, &self.keys, self.life)?;
        (self.machine, self.vault) = (machine, vault);
        self.start()
    }
}

/// A machine on what the disk holds.
fn boot(
    plan: &Arc<Plan>,
    disk: &MemoryDisk,
    keys: &MemoryFolder,
    life: u64,
) -> Result<(Machine, Option<Vault>), RehearsalError> {
    let personal = plan.collections.values().any(|of| !of.personal.is_empty());
    let mut rng = fastrand::Rng::with_seed(SEED.wrapping_add(life));
    let random = Random::of(move |bytes| {
        rng.fill(bytes);
        Ok(())
    });
    let vault = if personal { Some(Vault::on(keys.clone(), random)?) } else { None };
    let log = Log::on(disk.clone())?;
    let mut machine = Machine::open_with(Arc::clone(plan), log, vault.clone(), SEED)?;
    machine.tell_all(false);
    Ok((machine, vault))
}

fn no_place(collection: &CollectionName, side: &SideName) -> RehearsalError {
    RehearsalError::NoPlace { side: side.clone(), collection: collection.to_string() }
}

fn not_there(side: &SideName, id: &NativeId) -> RehearsalError {
    RehearsalError::NotThere { side: side.clone(), record: id.to_string() }
}
