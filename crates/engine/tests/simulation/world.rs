//! The simulated world: time, the network, users, crashes, and the oracles.

use crate::side::{Mood, SimSide};
use hms_sync_changelog::{Archived, Log, MemoryDisk};
use hms_sync_connector::ReadError;
use hms_sync_engine::{
    CollectionPlan, CollectionSide, Command, Effect, Guard, Machine, Now, Plan, RecordState, Reply, ReplyTo,
    Retry, Shape, ShownPage, SidePlan, StreamState, Views, Wake,
};
use hms_sync_mapping::{FieldMapping, FieldPath, SideMap};
use hms_sync_model::{
    Body, CollectionName, FieldName, FieldType, Outcome, RecordId, Released, SideName, Time, Value, VecMap,
};
use hms_sync_resolver::{FieldRule, Group, Policy, Rules};
use hms_sync_vault::{MemoryFolder, Random, Vault};
use serde_json::{Map, json};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

const FIELDS: [(&str, &str); 4] = [("no", "ref"), ("status", "state"), ("note", "note"), ("site", "place")];
const PERSONAL: [&str; 2] = ["note", "site"];
const STATUSES: [&str; 4] = ["pending", "approved", "denied", "revoked"];
/// When users and faults stop.
const CALM: i64 = 120_000_000;
/// When all must be equal and quiet.
const END: i64 = CALM + 600_000_000;

fn side_name(i: usize) -> SideName {
    SideName::try_new(["clerk", "marshal"][i]).unwrap()
}

fn plan(sides: &[SimSide; 2], window: Duration, grouped: bool, personal: bool) -> Plan {
    let field = |name: &str| FieldName::try_new(name).unwrap();
    let mut plan = Plan::new("Sim");
    plan.records_max = 12;
    plan.unsaved_max = 40;
    let retry =
        Retry { max_attempts: 1_000, initial: Duration::from_millis(100), max: Duration::from_secs(5) };
    let mut parts = VecMap::new();
    for (i, side) in sides.iter().enumerate() {
        let maps = FIELDS.map(|names| {
            let path = if i == 0 { names.0 } else { names.1 };
            FieldMapping::plain(field(names.0), FieldType::String, FieldPath::parse(path).unwrap())
        });
        plan.sides.insert(side_name(i), SidePlan { in_flight_max: 4, retry });
        let part = CollectionSide {
            abilities: side.abilities(),
            shape: Shape::Fields(SideMap::new(maps.to_vec()).unwrap()),
            poll_interval: Some(Duration::from_secs(2)),
            full_interval: Some(Duration::from_secs(30)),
            settle_window: window,
            on_altered: hms_sync_engine::OnAltered::default(),
            on_missing: hms_sync_engine::OnMissing::Deleted,
            read_back: false,
        };
        parts.insert(side_name(i), part);
    }
    let precedence =
        Policy::Precedence(["revoked", "denied", "approved", "pending"].map(Value::from).to_vec());
    let rule = |resolve: Vec<Policy>| FieldRule { resolve, ..FieldRule::default() };
    let group = Group {
        name: "place".into(),
        fields: vec![field("note"), field("site")],
        lead: field("site"),
        resolve: vec![Policy::LastWriterWins],
        locks: Vec::new(),
    };
    let builder = if grouped { Rules::builder().group(group) } else { Rules::builder() };
    let rules = builder
        .side_order([side_name(0), side_name(1)])
        .field(field("no"), rule(vec![Policy::LastWriterWins]))
        .field(field("status"), rule(vec![precedence, Policy::LastWriterWins]))
        .field(field("note"), rule(vec![Policy::LastWriterWins]))
        .field(field("site"), rule(vec![Policy::Prefer(vec![side_name(1)])]))
        .build()
        .unwrap();
    let guard = Guard { max_deletes: 1_000, max_deletes_percent: 100, ..Guard::default() };
    let personal = PERSONAL.into_iter().filter(|_| personal).map(field).collect();
    let (identity, recreate) = (vec![field("no")], hms_sync_engine::Recreate::default());
    let collection = CollectionPlan { identity, rules, sides: parts, guard, recreate, personal };
    plan.collections.insert(CollectionName::try_new("permit").unwrap(), collection);
    plan
}

/// Whether two of the fields are a group in this world.
fn is_grouped(seed: u64) -> bool {
    seed % 3 == 1
}

/// All records and streams.
type States = (Vec<(RecordId, RecordState)>, Vec<(RecordId, StreamState)>);

/// How many drops went through, in all worlds.
pub static DROPS: AtomicU64 = AtomicU64::new(0);

/// In every third world events are archived and dropped.
fn is_archived(seed: u64) -> bool {
    seed % 3 == 1
}

/// Whether two of the fields are personal in this world.
fn is_personal(seed: u64) -> bool {
    seed % 5 < 3
}

/// Whether users of this world put records back to what they were: a side shows again what it showed
/// before. Here nothing is personal.
fn is_undoing(seed: u64) -> bool {
    seed % 5 == 4
}

/// What every personal value of these worlds begins with.
const SECRET: &str = "secret-";

/// Something on its way.
enum Due {
    /// A message reaches the machine of this life.
    Wake(u64, Wake),
    /// A request reaches a side: what it does there, and the life that sent it.
    Arrive(u64, Effect),
    User,
    Crash,
    /// The calendar's clock is set forward or back, by so much.
    Clock(i64),
    /// Somebody has a record's personal fields erased.
    Erase,
}

pub struct World {
    seed: u64,
    rng: fastrand::Rng,
    /// For what concerns personal fields, so that all else goes as it would without.
    dice: fastrand::Rng,
    /// For when events are archived and dropped, in the same way.
    clerk: fastrand::Rng,
    /// For what users undo.
    undo: fastrand::Rng,
    disk: MemoryDisk,
    keys: MemoryFolder,
    vault: Option<Vault>,
    /// Records whose personal fields somebody wanted erased, and their numbers.
    erased: BTreeMap<RecordId, String>,
    /// Those of which they were told that it is done.
    told: Vec<(u64, RecordId)>,
    done: BTreeSet<u64>,
    sides: [SimSide; 2],
    plan: Arc<Plan>,
    machine: Option<Machine>,
    life: u64,
    now: i64,
    /// How far the calendar's clock has been set from the true time.
    skew: i64,
    queue: BTreeMap<(i64, u64), Due>,
    order: u64,
    trace: bool,
    numbers: u64,
    turns: u64,
    faults: f64,
    alive: BTreeSet<String>,
    /// Where the reads of each side began, and in which life.
    reads: Vec<(SideName, u64, Option<String>)>,
}

impl World {
    pub fn new(seed: u64, trace: bool) -> Self {
        let mut rng = fastrand::Rng::with_seed(seed);
        let mut mood = |_: usize| Mood {
            etags: rng.bool(),
            keys: rng.bool(),
            bodies: rng.bool(),
            unique: rng.bool(),
            modified: rng.bool(),
            shouts: rng.u8(0..4) == 0,
        };
        let sides = [SimSide::new(mood(0), FIELDS[0].0), SimSide::new(mood(1), FIELDS[0].1)];
        let faults = [0.0, 0.05, 0.2][rng.usize(0..3)];
        let plan = plan(&sides, Duration::from_secs(5), is_grouped(seed), is_personal(seed));
        let plan = Arc::new(plan);
        let (disk, queue) = (MemoryDisk::new(), BTreeMap::new());
        Self {
            seed,
            rng,
            dice: fastrand::Rng::with_seed(seed ^ 0x5eed),
            clerk: fastrand::Rng::with_seed(seed ^ 0xa4c5),
            undo: fastrand::Rng::with_seed(seed ^ 0x0d0),
            disk,
            keys: MemoryFolder::new(),
            vault: None,
            erased: BTreeMap::new(),
            told: Vec::new(),
            done: BTreeSet::new(),
            sides,
            plan,
            machine: None,
            life: 0,
            now: 1_000,
            skew: 0,
            queue,
            order: 0,
            trace,
            numbers: 0,
            turns: 0,
            faults,
            alive: BTreeSet::new(),
            reads: Vec::new(),
        }
    }

    /// Dies in the middle of a first listing of ten pages. Answers from where each
    /// read of that side went on in the next life, until it was through.
    pub fn cut_short(mut self) -> Vec<Option<String>> {
        self.faults = 0.0;
        for _ in 0..30 {
            self.create(0);
        }
        let clerk = side_name(0);
        self.boot();
        while self.reads.iter().filter(|(side, _, _)| *side == clerk).count() < 5 {
            self.turn();
        }
        self.crash();
        let life = self.life;
        while self.sides[1].len() < 30 {
            self.turn();
        }
        let reads = self.reads.into_iter().filter(|(side, at, _)| *side == clerk && *at == life);
        reads.map(|(_, _, after)| after).collect()
    }

    /// Dies once both sides are known, and comes back after `down_us` to a new record of
    /// the first side, while the second cannot be read. Answers whether it creates it there.
    pub fn creates_unread(mut self, down_us: i64) -> bool {
        self.crash_when_quiet(down_us);
        let (marshal, until) = (side_name(1), self.now + 3_000_000);
        while self.now < until {
            self.queue.retain(
                |_, due| !matches!(due, Due::Arrive(_, Effect::Read { side, .. }) if *side == marshal),
            );
            self.turn();
        }
        self.sides[1].len() > 0
    }

    /// Both sides are known; then a record comes to one of them, and a process is started
    /// anew after so long.
    fn crash_when_quiet(&mut self, down_us: i64) {
        self.faults = 0.0;
        self.boot();
        while !self.queue.is_empty() {
            self.turn();
        }
        self.machine = None;
        self.disk.crash(self.seed);
        self.create(0);
        self.now += down_us;
        self.boot();
    }

    /// How long after a start, when nobody ran for so long, a side is first read.
    pub fn first_read_after(mut self, down_us: i64) -> i64 {
        self.crash_when_quiet(down_us);
        let began = self.now;
        let reads = |due: &Due| matches!(due, Due::Arrive(_, Effect::Read { .. }));
        while !self.queue.values().any(reads) {
            self.turn();
        }
        self.now - began
    }

    fn say(&self, words: impl FnOnce() -> String) {
        if self.trace {
            eprintln!("{:>9.3} {}", self.now as f64 / 1e6, words());
        }
    }

    fn at(&mut self, delay_us: i64, due: Due) {
        self.order += 1;
        self.queue.insert((self.now + delay_us.max(1), self.order), due);
    }

    fn clock(&self) -> Now {
        Now { wall: Time(1_700_000_000_000_000 + self.skew + self.now), mono: Time(self.now) }
    }

    /// Runs to the end and answers with the history, for comparing runs.
    pub fn run(mut self) -> Vec<String> {
        self.say(|| {
            format!(
                "seed {} {:?} {:?} faults {}",
                self.seed, self.sides[0].mood, self.sides[1].mood, self.faults
            )
        });
        for i in [0, 1] {
            for _ in 0..self.rng.usize(0..6) {
                self.create(i);
            }
        }
        for _ in 0..40 {
            let at = self.rng.i64(0..CALM);
            self.at(at, Due::User);
        }
        for _ in 0..self.rng.usize(0..4) {
            let at = self.rng.i64(0..CALM);
            self.at(at, Due::Crash);
        }
        self.set_clocks();
        if is_personal(self.seed) {
            for _ in 0..self.dice.usize(0..5) {
                let at = self.dice.i64(0..CALM);
                self.at(at, Due::Erase);
            }
        }
        self.boot();
        while self.now < END {
            self.turn();
        }
        self.operator();
        self.settle_erased();
        self.assert_equal();
        self.assert_quiet();
        self.assert_history()
    }

    /// In every fourth world somebody sets the calendar's clock now and then.
    fn set_clocks(&mut self) {
        let mut rng = fastrand::Rng::with_seed(self.seed);
        for _ in 0..if self.seed % 4 == 3 { rng.usize(1..6) } else { 0 } {
            let far = [2, 60, 3_600, 86_400][rng.usize(0..4)] * 1_000_000;
            let step = if rng.u8(0..3) > 0 { -far } else { far };
            self.at(rng.i64(0..CALM), Due::Clock(step));
        }
    }

    /// On a side that shows neither version tags nor what it stored, nobody can tell
    /// a write that was not kept from one that a user undid before we could look:
    /// that waits for a person, who here says that ours is to stand. Of a record whose
    /// personal fields were erased no tags are kept. So waits a side
    /// whose users have deleted all they had: there the deletes are meant.
    fn operator(&mut self) {
        for item in self.machine.as_ref().unwrap().parked(None, 100).unwrap() {
            let mood = self.sides[usize::from(item.lane == "marshal")].mood;
            let erased = self.erased.keys().any(|record| record.as_str() == item.record);
            let unsure = item.reason == "not_kept" && (erased || !mood.etags) && !mood.bodies;
            let all = (1..5).any(|n| item.words.contains(&format!(" showed {n} of {n} ")));
            let emptied = item.reason == "mass_delete" && all;
            assert!(unsure || emptied, "seed {}: {item:?}", self.seed);
            let record = RecordId::try_new(item.record).unwrap();
            let command = Command::Release { record, lane: None, action: Released::Replay };
            self.step(Wake::Command { command, reply: ReplyTo(0) });
        }
        let until = self.now + 60_000_000;
        while self.now < until {
            self.turn();
        }
    }

    fn boot(&mut self) {
        self.life += 1;
        let log = Log::on(self.disk.clone()).expect("the log opens after a crash");
        self.vault = is_personal(self.seed).then(|| self.open_keys());
        let log = if is_archived(self.seed) && self.clerk.bool() { self.archive(log) } else { log };
        let (plan, vault) = (Arc::clone(&self.plan), self.vault.clone());
        let machine = Machine::open_with(plan, log, vault, self.rng.u64(..)).expect("the machine opens");
        self.machine = Some(machine);
        self.step(Wake::Start);
    }

    /// Drops some of the events, as if they were archived, while nobody runs. The power may be
    /// cut between any two steps; what a record is must be the same before and after.
    fn archive(&mut self, log: Log) -> Log {
        let head = log.head();
        let Some(last) = log.last_to_drop(self.clerk.u64(0..=head)).unwrap() else { return log };
        self.say(|| format!("ARCHIVE {last} of {head}"));
        let (now, vault) = (self.clock(), self.vault.clone());
        let mut machine = Machine::open_with(Arc::clone(&self.plan), log.clone(), vault, 0).unwrap();
        machine.step(Wake::Stop, now).unwrap();
        let mut after = None;
        loop {
            let (events, next) = machine.carry(last, after.as_ref(), 7, now).unwrap();
            machine.flush_keys().unwrap();
            log.append(&events).unwrap();
            if self.clerk.u8(0..20) == 0 {
                self.disk.crash(self.clerk.u64(..));
                return Log::on(self.disk.clone()).unwrap();
            }
            match next {
                Some(next) => after = Some(next),
                None => break,
            }
        }
        let root = log.prover().head(last).unwrap().root.0;
        let until = log.event(last).unwrap().unwrap().1.at;
        let (first, at, file) = (log.dropped_upto() + 1, now.wall, format!("to-{last}"));
        let range = Archived { first, last, at, until, hash: [7; 32], root, file };
        let approval = machine.approve(&range, "sim".into(), "asked".into(), now).unwrap().unwrap();
        drop(machine);
        let anew = self.clerk.bool();
        let before = anew.then(|| self.states_anew(&log));
        if self.clerk.u8(0..4) == 0 {
            self.disk.fail_after(self.clerk.u64(0..9));
        }
        let done = log.drop_archived(&range, &approval);
        DROPS.fetch_add(u64::from(done.is_ok()), Ordering::Relaxed);
        let log = if done.is_err() {
            drop(log);
            self.disk.crash(self.clerk.u64(..));
            Log::on(self.disk.clone()).unwrap()
        } else {
            self.disk.fail_after(u64::MAX);
            log
        };
        if let Some(mut before) = before {
            let mut after = self.states_anew(&log);
            for (_, streams) in [&mut before, &mut after] {
                streams.retain(|(record, _)| record.as_str() != "@log/archives");
            }
            assert_eq!(before, after, "seed {}: a drop has changed records", self.seed);
        }
        log
    }

    /// All records and streams, from nothing but their events.
    fn states_anew(&self, log: &Log) -> States {
        log.drop_views().unwrap();
        let mut views = Views::new(log.clone(), Arc::clone(&self.plan)).with_vault(self.vault.clone());
        views.catch_up().unwrap();
        let all = log.records(None, 10_000).unwrap();
        let (streams, records): (Vec<_>, Vec<_>) = all.into_iter().partition(RecordId::is_own_stream);
        let records =
            records.into_iter().map(|record| (record.clone(), views.peek(&record).unwrap().unwrap()));
        let streams = streams.into_iter().map(|stream| (stream.clone(), views.stream(&stream).unwrap()));
        (records.collect(), streams.collect())
    }

    /// What was asked for and cut off before it was written down has not happened.
    fn settle_erased(&mut self) {
        let machine = self.machine.as_ref().unwrap();
        let is_erased =
            |record: &RecordId| machine.record(record).unwrap().is_some_and(|r| r.erased.is_some());
        for (_, record) in self.told.iter().filter(|(reply, _)| self.done.contains(reply)) {
            assert!(is_erased(record), "seed {}: {record} was said to be erased", self.seed);
        }
        self.erased.retain(|record, _| is_erased(record));
    }

    fn open_keys(&self) -> Vault {
        let mut rng = fastrand::Rng::with_seed(self.seed ^ self.life);
        let random = Random::of(move |bytes| {
            rng.fill(bytes);
            Ok(())
        });
        Vault::on(self.keys.clone(), random).expect("the keys open after a crash")
    }

    /// One of the records there are.
    fn erase(&mut self) {
        let Some(machine) = self.machine.as_ref() else { return };
        let records = machine.log().records(None, 1_000).unwrap();
        let records: Vec<_> = records.into_iter().filter(|record| !record.is_own_stream()).collect();
        if records.is_empty() {
            return;
        }
        let record = records[self.dice.usize(0..records.len())].clone();
        let Some(report) = machine.record(&record).unwrap() else { return };
        if let Some(no) = report.fields.iter().find(|field| field.field == "no") {
            self.say(|| format!("ERASE {record}"));
            self.erased.insert(record.clone(), no.value.as_str().unwrap_or_default().to_owned());
            let reply = 1_000 + self.told.len() as u64;
            self.told.push((reply, record.clone()));
            let command = Command::Erase { record, by: "sim".into(), reason: "asked".into() };
            self.step(Wake::Command { command, reply: ReplyTo(reply) });
        }
    }

    fn turn(&mut self) {
        self.turns += 1;
        assert!(self.turns < 300_000, "seed {}: it goes round and round", self.seed);
        let timer =
            self.machine.as_ref().and_then(|m| m.next_timer(Time(self.now))).map_or(i64::MAX, |at| at.0);
        let next = self.queue.first_key_value().map_or(i64::MAX, |(key, _)| key.0);
        if timer < next {
            self.now = self.now.max(timer);
            return self.step(Wake::Timer);
        }
        let Some(((at, _), due)) = self.queue.pop_first() else {
            self.now = END;
            return;
        };
        self.now = self.now.max(at);
        match due {
            Due::Wake(life, wake) if life == self.life => self.step(wake),
            Due::Wake(..) => {}
            Due::Arrive(life, effect) => self.arrive(life, effect),
            Due::User => self.user(),
            Due::Crash => self.crash(),
            Due::Clock(step) => {
                self.say(|| format!("the clock is set by {} s", step / 1_000_000));
                self.skew += step;
            }
            Due::Erase => self.erase(),
        }
    }

    fn crash(&mut self) {
        self.say(|| "CRASH".into());
        self.machine = None;
        self.disk.crash(self.rng.u64(..));
        if is_personal(self.seed) {
            self.keys.crash(self.dice.u64(..));
        }
        self.boot();
    }

    fn step(&mut self, wake: Wake) {
        let now = self.clock();
        let Some(machine) = self.machine.as_mut() else { return };
        let effects = machine.step(wake, now).expect("the log works");
        let calm = self.now > CALM;
        for effect in effects {
            match effect {
                Effect::Append(events) => {
                    if !calm && self.rng.u32(0..400) == 0 {
                        return self.crash();
                    }
                    let machine = self.machine.as_ref().expect("it runs");
                    machine.flush_keys().expect("the keys are kept");
                    let log = machine.log().clone();
                    if !calm && is_personal(self.seed) && self.dice.u32(0..800) == 0 {
                        return self.crash();
                    }
                    log.append(&events).expect("the disk works");
                    if !calm && self.rng.u32(0..400) == 0 {
                        return self.crash();
                    }
                }
                Effect::Save((changes, upto)) => {
                    let log = self.machine.as_ref().map(Machine::log).cloned().expect("it runs");
                    log.save_views(&changes, upto).expect("the disk works");
                    let life = self.life;
                    self.at(1_000, Due::Wake(life, Wake::Saved));
                }
                Effect::Tell(happening) => self.say(|| {
                    let record = happening.record.as_ref().map_or("", |r| r.as_str());
                    format!("        {record} {}", happening.what)
                }),
                Effect::Destroy { record, reply } => {
                    if !calm && self.dice.u32(0..4) == 0 {
                        return self.crash();
                    }
                    let vault = self.vault.as_ref().expect("there are keys");
                    let result = vault.destroy(&[record]).map(drop);
                    let (life, delay) = (self.life, self.dice.i64(500..60_000));
                    self.at(delay, Due::Wake(life, Wake::Destroyed { result, reply }));
                }
                Effect::Reply { to, reply: Reply::Done } => {
                    self.done.insert(to.0);
                }
                Effect::Reply { .. } | Effect::Handle { .. } | Effect::Send { .. } => {}
                request => {
                    let (life, delay) = (self.life, self.rng.i64(500..60_000));
                    self.at(delay, Due::Arrive(life, request));
                }
            }
        }
    }

    fn index(side: &SideName) -> usize {
        usize::from(side.as_str() == "marshal")
    }

    fn hit(&mut self, share: f64) -> bool {
        self.now < CALM && self.rng.f64() < share
    }

    /// A request reaches its side, though its sender may have died meanwhile.
    fn arrive(&mut self, life: u64, effect: Effect) {
        let clock = self.clock();
        let began = self.machine.as_ref().map_or(clock.wall, |machine| machine.time(clock));
        let away = self.hit(self.faults);
        let read_error = || ReadError::Later { reason: "503".into(), after: None };
        let wake = match effect {
            Effect::Read { side, pass, request, beforehand } => {
                self.reads.push((side.clone(), life, request.after.as_ref().map(|token| token.0.clone())));
                let result =
                    if away { Err(read_error()) } else { Ok(self.sides[Self::index(&side)].page(&request)) };
                let (collection, plan) = (request.collection, &self.plan);
                let result = result.map(|page| ShownPage::read(plan, (&side, &collection), beforehand, page));
                Wake::Page { side, collection, pass, result }
            }
            Effect::Fetch { record, side, id, .. } => {
                let result =
                    if away { Err(read_error()) } else { Ok(self.sides[Self::index(&side)].fetch(&id)) };
                Wake::Fetched { record, side, began, result }
            }
            Effect::LookUp { record, side, request } => {
                let found = self.sides[Self::index(&side)].lookup(&request.identity);
                Wake::LookedUp {
                    record,
                    side,
                    began,
                    result: if away { Err(read_error()) } else { Ok(found) },
                }
            }
            Effect::Write { record, side, version, request } => {
                let outcome = if away {
                    let side_wide = self.rng.bool();
                    Outcome::RetryLater { reason: "503".into(), after: None, side_wide }
                } else {
                    let done = self.sides[Self::index(&side)].write(&request, clock.wall);
                    let trace =
                        format!("{side} <- {:?} {} = {}", request.target, request.changed, brief(&done));
                    self.say(|| trace);
                    if self.hit(self.faults) { Outcome::Unknown { reason: "reset".into() } } else { done }
                };
                Wake::Wrote { record, side, version, outcome }
            }
            _ => return,
        };
        let delay = self.rng.i64(500..60_000);
        self.at(delay, Due::Wake(life, wake));
    }

    fn create(&mut self, i: usize) {
        self.numbers += 1;
        let number = format!("P{}", self.numbers);
        let mut doc = Map::new();
        for names in FIELDS {
            let name = if i == 0 { names.0 } else { names.1 };
            let value = match names.0 {
                "no" => number.clone(),
                "status" => STATUSES[self.rng.usize(0..4)].into(),
                _ => self.note(),
            };
            doc.insert(name.into(), value.into());
        }
        self.say(|| format!("user of {i} creates {doc:?}"));
        let at = self.clock().wall;
        self.sides[i].insert(doc, at);
        self.alive.insert(number);
    }

    fn note(&mut self) -> String {
        let n = self.rng.u32(0..1000);
        if is_personal(self.seed) { format!("{SECRET}{n}") } else { format!("v{n}") }
    }

    fn user(&mut self) {
        let i = self.rng.usize(0..2);
        let ids: Vec<String> = self.sides[i].rows.keys().cloned().collect();
        if ids.is_empty() || self.rng.u32(0..6) == 0 {
            return self.create(i);
        }
        let id = &ids[self.rng.usize(0..ids.len())];
        let at = self.clock().wall;
        if self.rng.u32(0..12) == 0 {
            self.say(|| format!("user of {i} deletes {id}"));
            let row = self.sides[i].rows.remove(id).unwrap();
            let number = row.doc[self.sides[i].key_field].as_str().unwrap_or_default().to_owned();
            self.alive.remove(&number);
            return;
        }
        let names = FIELDS[self.rng.usize(1..4)];
        let name = if i == 0 { names.0 } else { names.1 };
        let value = match names.0 {
            "status" => json!(STATUSES[self.rng.usize(0..4)]),
            _ => json!(self.note()),
        };
        let earlier = self.sides[i].rows[id].earlier.len();
        if is_undoing(self.seed) && earlier > 0 && self.undo.bool() {
            let which = self.undo.usize(0..earlier);
            self.say(|| format!("user of {i} undoes edits of {id} since {which}"));
            return self.sides[i].undo(id, which, at);
        }
        self.say(|| format!("user of {i} sets {id} {name}={value}"));
        if let Some(row) = self.sides[i].rows.get_mut(id) {
            row.earlier.push(row.doc.clone());
        }
        self.sides[i].set(id, &[(name.to_owned(), value)].into_iter().collect(), at);
    }

    /// A side's records in canonical words, by number.
    fn content(&self, i: usize) -> BTreeMap<String, BTreeMap<&'static str, String>> {
        let shouts = self.sides.iter().any(|side| side.mood.shouts);
        let mut all = BTreeMap::new();
        for row in self.sides[i].rows.values() {
            let text = |names: (&'static str, &'static str)| {
                let value = row.doc.get(if i == 0 { names.0 } else { names.1 }).cloned().unwrap_or_default();
                let text = value.as_str().unwrap_or_default().to_owned();
                (names.0, if shouts && names.0 == "note" { text.to_uppercase() } else { text })
            };
            let mut fields: BTreeMap<_, _> = FIELDS.map(text).into_iter().collect();
            let number = fields["no"].clone();
            if self.erased.values().any(|erased| *erased == number) {
                fields.retain(|name, _| !PERSONAL.contains(name));
            }
            assert!(
                all.insert(number.clone(), fields).is_none(),
                "seed {}: {number} is there twice on {i}",
                self.seed
            );
        }
        all
    }

    fn assert_equal(&self) {
        let (a, b) = (self.content(0), self.content(1));
        assert_eq!(a, b, "seed {}: the sides differ", self.seed);
        for number in &self.alive {
            assert!(a.contains_key(number), "seed {}: {number} was lost", self.seed);
        }
        for side in &self.sides {
            let mut seen = BTreeSet::new();
            for (number, id) in &side.creates {
                let again = !seen.insert(number);
                // A record may be made again after a delete; two at a time is what `content` finds.
                assert!(!again || !number.is_empty(), "seed {}: {number} {id}", self.seed);
            }
        }
        let parked = self.machine.as_ref().unwrap().parked(None, 10).unwrap();
        assert!(parked.is_empty(), "seed {}: parked {parked:?}", self.seed);
    }

    /// Three full cycles more write nothing and find nothing.
    fn assert_quiet(&mut self) {
        let writes: Vec<u64> = self.sides.iter().map(|side| side.writes).collect();
        let events = self.machine.as_ref().unwrap().log().head();
        let until = self.now + 100_000_000;
        while self.now < until {
            self.turn();
        }
        let after: Vec<u64> = self.sides.iter().map(|side| side.writes).collect();
        assert_eq!(writes, after, "seed {}: still writing", self.seed);
        let log = self.machine.as_ref().unwrap().log();
        let news = log.events(events + 1, 10_000).unwrap();
        let news: Vec<_> = news.iter().filter(|(_, event)| !event.record.is_own_stream()).collect();
        assert!(news.is_empty(), "seed {}: still finding news: {news:?}", self.seed);
    }

    /// The history verifies, and the views are what it replays to.
    fn assert_history(mut self) -> Vec<String> {
        let machine = self.machine.take().unwrap();
        let log = machine.log().clone();
        let report = log.verify(|_| {}).unwrap();
        assert!(report.is_sound(), "seed {}: {report:?}", self.seed);
        let states = |log: &Log| {
            let views = Views::new(log.clone(), Arc::clone(&self.plan));
            let mut views = views.with_vault(self.vault.clone());
            views.catch_up().unwrap();
            let records = log.records(None, 10_000).unwrap();
            records.iter().map(|r| (r.clone(), views.peek(r).unwrap())).collect::<BTreeMap<_, _>>()
        };
        let live = states(&log);
        log.drop_views().unwrap();
        let replayed = states(&log);
        assert_eq!(live, replayed, "seed {}: the views are not what the log replays to", self.seed);
        for (record, state) in replayed.iter().filter(|(record, _)| !record.is_own_stream()) {
            let report = state.as_ref().map(|state| machine.report(record, state));
            assert_eq!(machine.record(record).unwrap(), report, "seed {}: memory differs", self.seed);
        }
        self.assert_sealed(&log, &replayed);
        let events = log.events(1, 100_000).unwrap();
        let in_order = events.is_sorted_by_key(|(_, event)| event.at);
        assert!(in_order, "seed {}: an event is earlier than one before it", self.seed);
        for (_, event) in events.iter().filter(|_| is_grouped(self.seed)) {
            let Body::Edited { edit, .. } = &event.body else { continue };
            let [note, site] = ["note", "site"].map(|name| edit.changes.contains_key(name));
            assert_eq!(note, site, "seed {}: an edit of half a group: {event:?}", self.seed);
        }
        events.into_iter().map(|(id, event)| format!("{id} {:?}", event.body)).collect()
    }
}

impl World {
    /// Nothing personal stands open in the log, and what was erased is nowhere.
    fn assert_sealed(&self, log: &Log, states: &BTreeMap<RecordId, Option<RecordState>>) {
        let Some(vault) = &self.vault else { return };
        let holds =
            |bytes: &[u8]| bytes.windows(SECRET.len()).any(|w| w.eq_ignore_ascii_case(SECRET.as_bytes()));
        for (_, event) in log.events(1, 100_000).unwrap() {
            let bytes = rmp_serde::to_vec_named(&event).unwrap();
            assert!(!holds(&bytes), "seed {}: {event:?} is not sealed", self.seed);
        }
        for (record, number) in &self.erased {
            assert!(!vault.has(record), "seed {}: {record} has a key", self.seed);
            let state = states[record].as_ref().unwrap();
            assert!(state.erased.is_some(), "seed {}: {record} is not erased", self.seed);
            let bytes = rmp_serde::to_vec_named(state).unwrap();
            assert!(!holds(&bytes), "seed {}: {record} ({number}) tells: {state:?}", self.seed);
        }
    }
}

fn brief(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Applied(written) => format!("applied {}", written.id),
        other => format!("{other:?}"),
    }
}
