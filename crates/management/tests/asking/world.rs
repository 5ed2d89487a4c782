//! Logs to ask about: one that is told event by event, one that a seed makes.

use hms_sync_changelog::{Log, MemoryDisk, seal};
use hms_sync_connector::Abilities;
use hms_sync_engine::{CollectionPlan, CollectionSide, Plan, RecordState, Shape, SidePlan, stream_of};
use hms_sync_management::Desk;
use hms_sync_mapping::{FieldMapping, FieldPath, SideMap};
use hms_sync_model::{
    Actor, Author, Body, Change, Clock, CollectionName, Dot, Edit, Event, EventId, Failure, FieldMap,
    FieldName, FieldResult, FieldType, Lane, NativeId, Operation, ParkReason, Parked, RawHash, RecordId,
    Released, SideName, Source, Stamp, Time, Value, VecMap, WebhookMessage,
};
use hms_sync_resolver::{FieldRule, Policy, Rules};
use hms_sync_vault::{MemoryFolder, Random, Vault};
use std::collections::{BTreeMap, BTreeSet};

pub const SIDES: [&str; 2] = ["clerk", "marshal"];
pub const FIELDS: [&str; 3] = ["no", "note", "status"];
const STATUSES: [&str; 4] = ["revoked", "denied", "approved", "pending"];
/// 2023-11-14 22:13:20 UTC.
pub const BEGIN: i64 = 1_700_000_000_000_000;

pub fn side(name: &str) -> SideName {
    SideName::try_new(name).unwrap()
}

pub fn field(name: &str) -> FieldName {
    FieldName::try_new(name).unwrap()
}

pub fn record(id: &str) -> RecordId {
    RecordId::try_new(id).unwrap()
}

pub fn rules() -> Rules {
    let rule = |resolve: Vec<Policy>| FieldRule { resolve, ..FieldRule::default() };
    Rules::builder()
        .side_order(SIDES.map(side))
        .field(field("status"), rule(vec![Policy::Precedence(STATUSES.map(Value::from).to_vec())]))
        .build()
        .unwrap()
}

fn plan(personal: &BTreeSet<FieldName>) -> Plan {
    let mut plan = Plan::new("Test");
    for name in ["permit", "site"] {
        let mut sides = VecMap::new();
        for name in SIDES {
            plan.sides.insert(side(name), SidePlan::default());
            let map =
                |f: &str| FieldMapping::plain(field(f), FieldType::String, FieldPath::parse(f).unwrap());
            let abilities = Abilities { update: true, create: true, ..Abilities::default() };
            let shape = Shape::Fields(SideMap::new(FIELDS.map(map).to_vec()).unwrap());
            let settle_window = std::time::Duration::from_secs(1);
            sides.insert(
                side(name),
                CollectionSide { settle_window, ..CollectionSide::new(abilities, shape) },
            );
        }
        let (identity, personal) = (vec![field("no")], personal.clone());
        let collection = CollectionPlan { identity, rules: rules(), personal, ..CollectionPlan::new(sides) };
        plan.collections.insert(CollectionName::try_new(name).unwrap(), collection);
    }
    plan
}

/// A log, and all that is in it.
pub struct World {
    pub log: Log,
    pub events: Vec<(EventId, Event)>,
    states: BTreeMap<RecordId, RecordState>,
    now: i64,
    /// Nothing if no field is personal.
    vault: Option<Vault>,
}

/// A side's edit: what it had seen of the other's, and its changes.
#[derive(Clone)]
pub struct By<'a> {
    pub side: &'a str,
    pub n: u64,
    pub seen: &'a [(&'a str, u64)],
    pub source: Source,
    pub raw: Option<RawHash>,
}

impl World {
    pub fn new() -> Self {
        let log = Log::on(MemoryDisk::new()).unwrap();
        Self { log, events: Vec::new(), states: BTreeMap::new(), now: BEGIN, vault: None }
    }

    /// The keys of a world with personal fields.
    pub fn vault(&self) -> &Vault {
        self.vault.as_ref().unwrap()
    }

    fn personal_fields(&self) -> BTreeSet<FieldName> {
        self.vault.iter().map(|_| field("note")).collect()
    }

    /// Time goes on.
    pub fn wait(&mut self, micros: i64) {
        self.now += micros;
    }

    /// The next event.
    pub fn add(&mut self, of: &RecordId, body: Body) {
        let state = self.states.entry(of.clone()).or_default();
        let event = Event {
            seq: self.events.len() as u64 + 1,
            record: of.clone(),
            version: state.version + 1,
            at: Time(self.now),
            prev: state.head,
            body,
        };
        let mut kept = event.clone();
        if let Some(vault) = self.vault.as_ref().filter(|_| state.erased.is_none()) {
            vault.seal(&mut kept, &[field("note")].into()).unwrap();
        }
        let sealed = seal(&kept).unwrap();
        state.fold(&rules(), sealed.id, &event);
        let id = sealed.id;
        self.log.append(&[sealed]).unwrap();
        self.events.push((id, event));
    }

    pub fn edit(&mut self, of: &RecordId, by: &By<'_>, changes: &[(&str, Value, Value)]) {
        let changes = changes.iter().map(|(name, before, after)| {
            (field(name), Change { before: before.clone(), after: after.clone() })
        });
        let mut context: Clock = by.seen.iter().map(|(name, n)| (Actor::side(side(name)), *n)).collect();
        let actor = Actor::side(side(by.side));
        context.see(&actor, by.n - 1);
        let edit = Edit {
            generation: 0,
            dot: Dot { actor, n: by.n },
            context,
            but: VecMap::new(),
            changes: changes.collect(),
            deletes: false,
            stamp: Stamp::at(Time(self.now)),
            certain: true,
        };
        let id = Some(NativeId::try_new(format!("{}-7", by.side)).unwrap());
        let (source, raw) = (by.source.clone(), by.raw);
        self.add(of, Body::Edited { edit, id, tag: None, source, raw });
    }

    /// The record as its events for which `held` is true make it.
    pub fn fold(&self, of: &RecordId, held: impl Fn(&Event) -> bool) -> RecordState {
        let mut state = RecordState::default();
        let mine = self.events.iter().filter(|(_, event)| event.record == *of && held(event));
        mine.for_each(|(id, event)| state.fold(&rules(), *id, event));
        state
    }

    pub fn records(&self) -> Vec<RecordId> {
        self.states.keys().filter(|record| !record.is_own_stream()).cloned().collect()
    }

    pub fn desk(&self) -> Desk {
        Desk::stopped(plan(&self.personal_fields()), self.log.clone(), self.vault.clone()).unwrap()
    }

    /// One that keeps few records in memory: of long ones snapshots are saved.
    pub fn cramped_desk(&self) -> Desk {
        let mut plan = plan(&self.personal_fields());
        (plan.records_max, plan.unsaved_max) = (2, 5);
        Desk::stopped(plan, self.log.clone(), self.vault.clone()).unwrap()
    }

    /// So many events of some records and streams, as `seed` has it.
    pub fn random(seed: u64, count: usize) -> Self {
        Self::new().fill(seed, count)
    }

    /// The same, with notes that are personal.
    pub fn personal(seed: u64, count: usize) -> Self {
        let mut dice = fastrand::Rng::with_seed(seed);
        let random = Random::of(move |bytes| {
            dice.fill(bytes);
            Ok(())
        });
        let vault = Vault::on(MemoryFolder::new(), random).unwrap();
        Self { vault: Some(vault), ..Self::new() }.fill(seed, count)
    }

    fn fill(self, seed: u64, count: usize) -> Self {
        let (mut world, mut rng) = (self, fastrand::Rng::with_seed(seed));
        let records = ["permit/a", "permit/b", "permit/c", "site/a", "site/b"].map(record);
        while world.events.len() < count {
            world.wait([0, 0, 1, 999, 70_000, 3_000_000][rng.usize(0..6)]);
            if rng.u8(0..12) == 0 {
                world.stream_event(&mut rng);
            } else {
                // The first has most of them, the last few.
                let of = &records[rng.usize(0..5).min(rng.usize(0..5))];
                world.record_event(of, &mut rng);
            }
        }
        world
    }

    fn stream_event(&mut self, rng: &mut fastrand::Rng) {
        let side = side(SIDES[rng.usize(0..2)]);
        let collection = CollectionName::try_new(["permit", "site"][rng.usize(0..2)]).unwrap();
        let stream = stream_of(&side, &collection).unwrap();
        let body = if rng.bool() {
            Body::Received { message: format!("m{}", rng.u16(..)) }
        } else {
            Body::Cursor { side, cursor: Some("1".into()), listed: false, next: None }
        };
        self.add(&stream, body);
    }

    fn record_event(&mut self, of: &RecordId, rng: &mut fastrand::Rng) {
        let name = SIDES[rng.usize(0..2)];
        let side = side(name);
        let open = self.states.get(of).and_then(|state| state.sides.get(&side)?.write.as_ref());
        let open = open.map(|write| write.version);
        let words = "as it is".to_owned();
        let value = |rng: &mut fastrand::Rng| match rng.u8(0..6) {
            0 => Value::Absent,
            1 => Value::Null,
            n => STATUSES[usize::from(n - 2)].into(),
        };
        let body = match (rng.u8(0..20), open) {
            (0..8, _) => self.random_edit(of, name, rng),
            (8..12, None) => {
                let fields: FieldMap = [(field(FIELDS[rng.usize(0..3)]), value(rng))].into_iter().collect();
                let operation = [Operation::Create, Operation::Update][rng.usize(0..2)];
                Body::Intended { side, operation, fields, clock: self.clock(of) }
            }
            (8..12, Some(of)) => {
                let altered = FieldResult::Altered("other".into());
                let results =
                    if rng.bool() { [(field("note"), altered)].into_iter().collect() } else { VecMap::new() };
                Body::Applied { side, of, id: None, tag: None, results, whole: rng.bool() }
            }
            (12, Some(of)) => Body::Failed { side, of, failure: Failure::Away, words },
            (13, Some(of)) => Body::Failed { side, of, failure: Failure::Conflict, words },
            (14, _) => Body::Doubted {
                side,
                stale: false,
                id: None,
                message: Some(WebhookMessage::Whole("m".into())),
                words,
            },
            (15, _) => {
                let (reason, fields, clock) = (ParkReason::Refused, vec![field("note")], self.clock(of));
                let parked = Parked { reason, words, attempts: 1, fields, clock, given_up: false };
                Body::Parked { lane: Lane::Side(side), parked }
            }
            (16, _) => Body::Released { lane: Lane::Side(side), action: Released::Replay },
            (17, _) if rng.u8(0..8) == 0 => Body::Unlinked { side, apart: None },
            _ => Body::Confirmed { side, clock: self.clock(of), tag: None, but: Vec::new() },
        };
        self.add(of, body);
    }

    fn clock(&self, of: &RecordId) -> Clock {
        self.states.get(of).map(|state| state.merged.clock.clone()).unwrap_or_default()
    }

    fn random_edit(&self, of: &RecordId, name: &str, rng: &mut fastrand::Rng) -> Body {
        let (clock, state) = (self.clock(of), self.states.get(of));
        let agrees = rng.u8(0..6) == 0;
        let author = if agrees { Author::Engine } else { Author::Side(side(name)) };
        let epoch =
            if agrees { 0 } else { state.and_then(|s| s.sides.get(&side(name))).map_or(0, |p| p.epoch) };
        let actor = Actor { author, epoch };
        let n = clock.count(&actor) + 1;
        let seen = |(actor, n): (&Actor, u64)| (actor.clone(), if agrees { n } else { rng.u64(0..=n) });
        let mut context: Clock = clock.iter().map(seen).collect();
        context.see(&actor, n - 1);
        let mut changes = VecMap::new();
        let merged = |f: &FieldName| state.map_or(Value::Absent, |state| state.merged.value(&rules(), f));
        let names = FIELDS.map(|name| rng.bool().then_some(name));
        for name in names.into_iter().flatten() {
            let (name, before) = (field(name), merged(&field(name)));
            let after = match rng.u8(0..6) {
                _ if agrees => before.clone(),
                0 => Value::Absent,
                1 => Value::Null,
                n => STATUSES[usize::from(n - 2)].into(),
            };
            changes.insert(name, Change { before, after });
        }
        let edit = Edit {
            generation: 0,
            dot: Dot { actor, n },
            context,
            but: VecMap::new(),
            changes,
            deletes: !agrees && rng.u8(0..12) == 0,
            stamp: Stamp::at(Time(self.now)),
            certain: true,
        };
        let source = if agrees { Source::Engine } else { Source::Page };
        let id = (!agrees).then(|| NativeId::try_new("7").unwrap());
        Body::Edited { edit, id, tag: None, source, raw: None }
    }
}

/// A time as people write it, to the microsecond.
pub fn written(at: Time) -> String {
    at.to_chrono().format("%Y-%m-%dT%H:%M:%S%.6fZ").to_string()
}
