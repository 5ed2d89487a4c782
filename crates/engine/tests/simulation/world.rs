//! The simulated world: its time, its network, and a machine that dies and starts anew.

mod plan;
mod people;
mod archive;
mod starts;
mod oracles;

use crate::side::{Mood, SimSide};
pub use archive::DROPS;
use hms_sync_changelog::{Log, MemoryDisk};
use hms_sync_connector::ReadError;
use hms_sync_engine::{Effect, Machine, Now, Plan, Reply, ShownPage, Wake};
use hms_sync_model::{Outcome, RecordId, SideName, Time};
use hms_sync_vault::{MemoryFolder, Random, Vault};
use plan::{FIELDS, is_archived, is_grouped, is_personal, plan};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

/// When users and faults stop.
const CALM: i64 = 120_000_000;
/// When all must be equal and quiet.
const END: i64 = CALM + 600_000_000;

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

    fn open_keys(&self) -> Vault {
        let mut rng = fastrand::Rng::with_seed(self.seed ^ self.life);
        let random = Random::of(move |bytes| {
            rng.fill(bytes);
            Ok(())
        });
        Vault::on(self.keys.clone(), random).expect("the keys open after a crash")
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
}

fn brief(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Applied(written) => format!("applied {}", written.id),
        other => format!("{other:?}"),
    }
}
