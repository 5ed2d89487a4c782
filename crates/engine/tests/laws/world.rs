//! The laws' world: two to five sides with moods, users, faults and the real machine,
//! in simulated time from a seed. Each record is a history of its own. Every event is
//! folded a second time here, and what breaks a law is noted under the law's name.

mod heard;
mod judge;

use crate::laws::{Law, NONE_LAGS, NONE_SLOW};
use crate::screen::{Part, Upto, upto};
use crate::side::{BY, Doc, FIELDS, Mood, NO, NOTE, Shown, Side};
use hms_sync_changelog::{Log, MemoryDisk};
use hms_sync_connector::{Delivery, ReadError, Target};
use hms_sync_engine::{
    CollectionPlan, CollectionSide, Effect, Guard, Machine, Now, OnAltered, Plan, RecordState, Recreate,
    ReplyTo, Retry, Shape, ShownPage, SidePlan, SideState, Wake,
};
use hms_sync_mapping::{FieldMapping, FieldPath, SideMap};
use hms_sync_model::{
    Actor, Body, Clock, CollectionName, Edit, Event, FieldName, FieldType, NativeId, Outcome, RecordId,
    SideName, Time, Value, VecMap,
};
use hms_sync_resolver::{FieldRule, Group, Owner, Policy, Rules};
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

pub const EPOCH: i64 = 1_700_000_000_000_000;
/// Histories in one world.
pub const RECORDS: usize = 20;
const POLL: i64 = 4_000_000;
const WINDOW: i64 = 3_000_000;
/// How long a slow side does not show a row that was written just now.
const SLOW: i64 = 2_500_000;
/// How far the reads of a side lag that are answered by a replica: not beyond the window.
const LAG: i64 = 2_000_000;
/// When users and faults stop, and when all must be quiet.
const CALM: i64 = 24_000_000;
const QUIET: i64 = CALM + 24_000_000;
const END: i64 = QUIET + 3 * POLL + 1_000_000;

const STATUSES: [&str; 4] = ["pending", "approved", "denied", "revoked"];

pub fn side_name(i: usize) -> SideName {
    SideName::try_new(["a", "b", "c", "d", "e"][i]).unwrap()
}

fn index(side: &SideName) -> usize {
    usize::from(side.as_str().as_bytes()[0] - b'a')
}

fn name(field: usize) -> FieldName {
    FieldName::try_new(FIELDS[field]).unwrap()
}

fn number(field: &FieldName) -> usize {
    FIELDS.iter().position(|name| *name == field.as_str()).unwrap()
}

/// Texts that a reformatting side makes one of.
fn alike(one: Option<&str>, two: Option<&str>) -> bool {
    one.unwrap_or_default().eq_ignore_ascii_case(two.unwrap_or_default())
}

/// Whether the engine says that the side makes of a field what it shows.
fn is_listed_as_altered(part: &SideState, f: usize, doc: &Doc) -> bool {
    let held = part.held.get(&name(f)).filter(|held| !held.not_kept);
    let shown = held.and_then(|held| held.shown.as_ref());
    shown.is_some_and(|shown| alike(shown.as_text(), doc[f].as_deref()))
}

fn policies(rng: &mut fastrand::Rng) -> Vec<Policy> {
    let one = |rng: &mut fastrand::Rng| match rng.u8(0..10) {
        0 => Policy::FirstWriterWins,
        1 => Policy::Prefer(vec![side_name(rng.usize(0..2))]),
        2 => Policy::Precedence(STATUSES.iter().rev().map(|s| Value::from(*s)).collect()),
        3 => Policy::Max,
        4 => Policy::Min,
        5 => Policy::Manual,
        6 => Policy::MergeText,
        _ => Policy::LastWriterWins,
    };
    (0..rng.usize(1..3)).map(|_| one(rng)).collect()
}

/// Rules that differ in their policies alone, whatever the seed for those.
fn rules(seed: u64, policy_seed: u64) -> Rules {
    let (mut rng, mut draw) = (fastrand::Rng::with_seed(seed), fastrand::Rng::with_seed(policy_seed));
    let (grouped, locked, owned) = (rng.bool(), rng.u8(0..4) == 0, rng.u8(0..4) == 0);
    let mut rule = || FieldRule { resolve: policies(&mut draw), ..FieldRule::default() };
    let owner = owned.then(|| Owner { side: side_name(0), unless_blank: false });
    let locks = if locked { vec![Value::from("revoked")] } else { Vec::new() };
    let mut builder = Rules::builder()
        .side_order([side_name(0), side_name(1)])
        .field(name(NOTE), rule())
        .field(name(BY), FieldRule { owner, ..rule() });
    if grouped {
        let (fields, lead) = (vec![name(1), name(2)], name(1));
        // Merging texts makes no sense for what a group goes by.
        let resolve = rule().resolve.into_iter().filter(|policy| *policy != Policy::MergeText).collect();
        builder = builder.group(Group { name: "standing".into(), fields, lead, resolve, locks });
    } else {
        builder = builder.field(name(1), FieldRule { locks, ..rule() }).field(name(2), rule());
    }
    builder.build().unwrap()
}

fn plan(sides: &[Side], rules: Rules) -> Plan {
    let mut plan = Plan::new("Laws");
    let retry =
        Retry { max_attempts: 1_000, initial: Duration::from_millis(50), max: Duration::from_secs(1) };
    let mut parts = VecMap::new();
    for (i, side) in sides.iter().enumerate() {
        let mapped = (0..FIELDS.len()).filter(|f| side.mood.maps[*f]);
        let maps = mapped
            .map(|f| FieldMapping::plain(name(f), FieldType::String, FieldPath::parse(FIELDS[f]).unwrap()));
        plan.sides.insert(side_name(i), SidePlan { in_flight_max: 8, retry });
        let part = CollectionSide {
            abilities: side.mood.abilities(),
            shape: Shape::Fields(SideMap::new(maps.collect()).unwrap()),
            poll_interval: Some(Duration::from_micros(POLL as u64)),
            full_interval: None,
            settle_window: Duration::from_micros(WINDOW as u64),
            on_altered: OnAltered::KeepOurs,
            on_missing: hms_sync_engine::OnMissing::Deleted,
            read_back: false,
            filled_by_listing: Vec::new(),
        };
        parts.insert(side_name(i), part);
    }
    let guard = Guard { max_deletes: 1_000, max_deletes_percent: 100, ..Guard::default() };
    let (identity, personal) = (vec![name(NO)], BTreeSet::new());
    let collection =
        CollectionPlan { identity, rules, sides: parts, guard, recreate: Recreate::Fresh, personal };
    plan.collections.insert(CollectionName::try_new("item").unwrap(), collection);
    plan
}

/// Something on its way.
enum Due {
    Wake(Wake, usize, Shown),
    Arrive(Effect),
    User,
    Create(usize),
    Hint,
}

/// What an intent carried.
struct Intent {
    side: usize,
    creates: bool,
    fields: [bool; FIELDS.len()],
    /// Which edits the merged values of each field had taken into account.
    upto: [Upto; FIELDS.len()],
    /// The merged values as the side shows them.
    values: [Option<String>; FIELDS.len()],
}

/// One record, as its events make it here.
#[derive(Default)]
struct History {
    state: RecordState,
    no: usize,
    edits: Vec<Edit>,
    said: HashMap<(Actor, Option<FieldName>), Clock>,
    /// Edits that folded epochs which are over: who has seen one has seen what it had seen.
    folded: Vec<Edit>,
}

pub struct World {
    pub seed: u64,
    rng: fastrand::Rng,
    sides: Vec<Side>,
    parts: Vec<Vec<Part>>,
    plan: Arc<Plan>,
    machine: Machine,
    faults: f64,
    deletes: bool,
    now: i64,
    queue: BTreeMap<(i64, u64), Due>,
    order: u64,
    words: u64,
    histories: HashMap<RecordId, History>,
    of_no: HashMap<usize, Vec<RecordId>>,
    intents: HashMap<(RecordId, u64), Intent>,
    /// Records on sides that lag where a write without a version went over what no read had
    /// shown yet: when that was done cannot be told.
    blind: BTreeSet<(usize, usize)>,
    /// Events of records since all should be quiet.
    late: u64,
    late_writes: u64,
    late_reads: u64,
    /// From here on sides begin anew: only the laws of order are looked at.
    relinked: bool,
    end: i64,
    pub events: u64,
    pub broken: RefCell<BTreeMap<Law, String>>,
    trace: bool,
    /// The one record whose trace is wanted, with all its events.
    only: Option<usize>,
}

impl World {
    pub fn new(seed: u64, trace: bool) -> Self {
        let mut rng = fastrand::Rng::with_seed(seed);
        let count = *rng.choice(&[2, 2, 2, 3, 3, 4, 5]).unwrap();
        let mut sides: Vec<Side> = (0..count).map(|i| Side::new(Mood::new(&mut rng, i == 0))).collect();
        let mut slow = fastrand::Rng::with_seed(!seed);
        for side in sides.iter_mut().filter(|_| slow.u8(0..6) == 0 && !NONE_SLOW.contains(&seed)) {
            side.mood.slow = SLOW;
        }
        let mut lags = fastrand::Rng::with_seed(seed.rotate_left(32) ^ 7);
        let lagging = NONE_LAGS.iter().all(|none| *none != seed) && lags.bool();
        for side in sides.iter_mut().filter(|_| lagging && lags.u8(0..3) == 0) {
            side.mood.lag = LAG;
        }
        let faults = *rng.choice(&[0.0, 0.0, 0.1, 0.25]).unwrap();
        let deletes = rng.u8(0..4) == 0;
        let plan = Arc::new(plan(&sides, rules(seed, seed)));
        let log = Log::on(MemoryDisk::new()).unwrap();
        let mut machine = Machine::open(Arc::clone(&plan), log, seed).unwrap();
        machine.tell_all(false);
        Self {
            seed,
            rng,
            parts: vec![vec![Part::default(); count]; RECORDS],
            sides,
            plan,
            machine,
            faults,
            deletes,
            now: 1_000,
            queue: BTreeMap::new(),
            order: 0,
            words: 0,
            histories: HashMap::new(),
            of_no: HashMap::new(),
            intents: HashMap::new(),
            blind: BTreeSet::new(),
            late: 0,
            late_writes: 0,
            late_reads: 0,
            relinked: false,
            end: END,
            events: 0,
            broken: RefCell::default(),
            trace,
            only: std::env::var("LAWS_RECORD").ok().and_then(|no| no.parse().ok()),
        }
    }

    /// What concerns the whole world.
    fn say(&self, words: impl FnOnce() -> String) {
        if self.trace && self.only.is_none() {
            self.print(&words());
        }
    }

    /// What concerns one record.
    fn say_of(&self, no: usize, words: impl FnOnce() -> String) {
        if self.trace && self.only.is_none_or(|only| only == no) {
            self.print(&words());
        }
    }

    fn print(&self, words: &str) {
        eprintln!("{:>9.3} {words}", self.now as f64 / 1e6);
    }

    fn breaks(&self, law: Law, no: usize, why: impl FnOnce() -> String) {
        let (seed, now) = (self.seed, self.now as f64 / 1e6);
        if self.trace {
            if self.only.is_some_and(|only| only != no) {
                return;
            }
            eprintln!("BREAKS {law:?}: record {no} at {now:.3}: {}", why());
            return;
        }
        self.broken
            .borrow_mut()
            .entry(law)
            .or_insert_with(|| format!("seed {seed}, record {no} at {now:.3}: {}", why()));
    }

    fn at(&mut self, delay: i64, due: Due) {
        self.order += 1;
        self.queue.insert((self.now + delay.max(1), self.order), due);
    }

    fn clock(&self) -> Now {
        Now { wall: Time(EPOCH + self.now), mono: Time(self.now) }
    }

    fn rules(&self) -> &Rules {
        &self.plan.collections.values().next().unwrap().rules
    }

    fn group(&self) -> &'static [usize] {
        if self.rules().groups().is_empty() { &[] } else { &[1, 2] }
    }

    /// Runs to the end. What was broken stands in `broken`.
    pub fn run(&mut self) {
        for (i, side) in self.sides.iter().enumerate() {
            self.say_of(self.only.unwrap_or(0), || format!("{} {:?}", side_name(i), side.mood));
        }
        self.say_of(self.only.unwrap_or(0), || format!("faults {} {:?}", self.faults, self.rules()));
        for no in 0..RECORDS {
            let at = self.rng.i64(0..CALM / 3);
            self.at(at, Due::Create(no));
        }
        for _ in 0..RECORDS * 6 {
            let at = self.rng.i64(0..CALM);
            self.at(at, Due::User);
        }
        for _ in 0..self.rng.usize(0..RECORDS) {
            let at = self.rng.i64(0..CALM);
            self.at(at, Due::Hint);
        }
        self.step(Wake::Start, 0, Shown::default());
        let mut turns = 0;
        while self.now < END {
            self.turn();
            turns += 1;
            if turns > 60_000 {
                return self.breaks(Law::quiet_means_silent_3_cycles, 0, || "it goes round and round".into());
            }
        }
        self.judge();
        if self.seed.is_multiple_of(8) {
            self.relink();
        }
    }

    /// After a stop a side of each record has been unlinked; it is found again, and edited.
    fn relink(&mut self) {
        let mut unlinked = Vec::new();
        let records: BTreeMap<RecordId, usize> =
            self.histories.iter().map(|(r, h)| (r.clone(), h.no)).collect();
        for (record, no) in records {
            let i = self.rng.usize(0..self.sides.len());
            let state = &self.histories[&record].state;
            if self.sides[i].row_of(no).is_none() || !state.sides.contains_key(&side_name(i)) {
                continue;
            }
            let body = Body::Unlinked { side: side_name(i), apart: None };
            let (version, prev) = (state.version + 1, state.head);
            let seq = self.machine.log().head() + 1 + unlinked.len() as u64;
            let event = Event { seq, record, version, at: Time(EPOCH + self.now), prev, body };
            unlinked.push(hms_sync_changelog::seal(&event).unwrap());
        }
        let log = self.machine.log().clone();
        log.append(&unlinked).unwrap();
        self.relinked = true;
        self.end = self.now + 3 * POLL;
        self.queue.clear();
        self.machine = Machine::open(Arc::clone(&self.plan), log, !self.seed).unwrap();
        for _ in 0..RECORDS * 2 {
            let at = self.rng.i64(1_000_000..2 * POLL);
            self.at(at, Due::User);
        }
        self.step(Wake::Start, 0, Shown::default());
        while self.now < self.end {
            self.turn();
        }
    }

    fn turn(&mut self) {
        let timer = self.machine.next_timer(Time(self.now)).map_or(i64::MAX, |at| at.0);
        let next = self.queue.first_key_value().map_or(i64::MAX, |(key, _)| key.0);
        if timer.min(next) > self.end {
            self.now = self.end;
            return;
        }
        if timer < next {
            self.now = self.now.max(timer);
            return self.step(Wake::Timer, 0, Shown::default());
        }
        let ((at, _), due) = self.queue.pop_first().unwrap();
        self.now = self.now.max(at);
        match due {
            Due::Wake(wake, side, shown) => self.step(wake, side, shown),
            Due::Arrive(effect) => self.arrive(effect),
            Due::User => self.user(),
            Due::Create(no) => self.create(no),
            Due::Hint => self.hint(),
        }
    }

    /// The machine takes in what happened on a side, which showed these rows.
    fn step(&mut self, wake: Wake, side: usize, shown: Shown) {
        let now = self.clock();
        let effects = self.machine.step(wake, now).expect("the log works");
        for effect in effects {
            match effect {
                Effect::Append(events) => {
                    self.machine.log().append(&events).expect("the disk works");
                    events.iter().for_each(|sealed| self.event(sealed, side, &shown));
                }
                Effect::Save(_) => panic!("nothing is saved so soon"),
                Effect::Tell(happening) => self.say(|| format!("        {}", happening.what)),
                Effect::Reply { .. }
                | Effect::Handle { .. }
                | Effect::Send { .. }
                | Effect::Destroy { .. } => {}
                request => {
                    let delay = self.rng.i64(500..40_000);
                    self.at(delay, Due::Arrive(request));
                }
            }
        }
    }

    fn hit(&mut self, share: f64) -> bool {
        self.now < CALM && self.rng.f64() < share
    }

    fn arrive(&mut self, effect: Effect) {
        let began = self.machine.time(self.clock());
        let (away, faults) = (self.hit(self.faults), self.faults);
        let failed = || ReadError::Later { reason: "503".into(), after: None };
        let (now, mut shown) = (self.now, Shown::default());
        if now > QUIET && !self.relinked && matches!(effect, Effect::Fetch { .. } | Effect::LookUp { .. }) {
            self.late_reads += 1;
        }
        let (wake, at) = match effect {
            Effect::Read { side, pass, request, beforehand } => {
                let i = index(&side);
                let page = self.sides[i].page(&mut shown, now);
                self.screens(i, &shown);
                let result = if away { Err(failed()) } else { Ok(page) };
                let collection = request.collection;
                let plan = self.machine.plan();
                let result = result.map(|page| ShownPage::read(plan, (&side, &collection), beforehand, page));
                (Wake::Page { side, collection, pass, result }, i)
            }
            Effect::Fetch { record, side, id, .. } => {
                let i = index(&side);
                let seen = self.sides[i].fetch(id.as_str(), &mut shown, now);
                self.screens(i, &shown);
                let result = if away { Err(failed()) } else { Ok(seen) };
                (Wake::Fetched { record, side, began, result }, i)
            }
            Effect::LookUp { record, side, request } => {
                let i = index(&side);
                let found = self.sides[i].lookup(&request, &mut shown, now);
                self.screens(i, &shown);
                let result = if away { Err(failed()) } else { Ok(found) };
                (Wake::LookedUp { record, side, began, result }, i)
            }
            Effect::Write { record, side, version, request } => {
                let i = index(&side);
                let outcome = if away {
                    Outcome::RetryLater { reason: "503".into(), after: None, side_wide: self.rng.bool() }
                } else {
                    let done = self.carry_out(&record, i, version, &request, &mut shown);
                    // What became of it cannot be told from reads that lag; a key tells.
                    let tells = self.sides[i].mood.lag == 0 || self.sides[i].mood.keys;
                    if tells && self.hit(faults) { Outcome::Unknown { reason: "reset".into() } } else { done }
                };
                (Wake::Wrote { record, side, version, outcome }, i)
            }
            _ => return,
        };
        let delay = self.rng.i64(500..40_000);
        self.at(delay, Due::Wake(wake, at, shown));
    }

    /// A write reaches its side: from now on its screens show it.
    fn carry_out(
        &mut self,
        record: &RecordId,
        i: usize,
        version: u64,
        request: &hms_sync_connector::WriteRequest,
        shown: &mut Shown,
    ) -> Outcome {
        let no = self.histories[record].no;
        self.words += 1;
        let (auto, made, now) = (format!("auto{}", self.words), self.parts[no][i].made, self.now);
        let (target, changed) = (&request.target, &request.changed);
        // What its automation makes of a write is shown by an answer that has the record in it.
        let before = match target {
            Target::Update(id, Some(_)) if self.sides[i].mood.bodies => {
                self.sides[i].rows.get(id.as_str()).map(|row| row.now().doc.clone())
            }
            _ => None,
        };
        if let Target::Update(id, None) | Target::Delete(id, None) = target
            && self.sides[i].has_unread(id.as_str(), now)
        {
            self.blind.insert((no, i));
        }
        let done = self.sides[i].write(request, no, made, now, &auto);
        self.say_of(no, || format!("{} <- {no} {target:?} {changed} = {:?}", side_name(i), done.outcome));
        if now > QUIET && !self.relinked {
            self.late_writes += 1;
        }
        let Some((id, kept)) = done.kept else {
            if let Target::Update(id, _) | Target::Delete(id, _) = &request.target {
                shown.made.push((id.to_string(), done.made.unwrap_or(made)));
            }
            return done.outcome;
        };
        if self.relinked {
            shown.made.push((id, made));
            return done.outcome;
        }
        let doc = self.sides[i].rows[&id].now().doc.clone();
        if let Some(before) = &before {
            self.goes_over(no, i, kept, before);
        }
        let intent = &self.intents[&(record.clone(), version)];
        let part = &mut self.parts[no][i];
        if matches!(target, Target::Create) {
            // What was edited on a row that is gone went with it.
            part.begin(&doc);
        }
        for f in 0..FIELDS.len() {
            let shows = alike(doc[f].as_deref(), intent.values[f].as_deref());
            if kept[f] || intent.fields[f] && shows {
                part.show(f, &intent.upto[f], true);
                part.know(f, doc[f].clone());
            } else if shows {
                part.show(f, &intent.upto[f], false);
            } else if intent.fields[f] && !self.sides[i].mood.bodies {
                // Where a side says that all is well, it is believed until it shows otherwise,
                // also of what somebody did just before.
                part.show(f, &intent.upto[f], false);
                part.believe(f, &intent.upto[f]);
            }
        }
        if done.automated {
            // It has our write before its eyes.
            part.show(BY, &intent.upto[BY], false);
            part.edit(&[BY], &[]);
        }
        shown.made.push((id, self.parts[no][i].made));
        self.screens(i, shown);
        done.outcome
    }

    /// A write that goes by the version that a side has shown goes over nothing in it
    /// that has not become an event.
    fn goes_over(&self, no: usize, i: usize, kept: [bool; FIELDS.len()], before: &Doc) {
        let part = &self.parts[no][i];
        for f in (0..FIELDS.len()).filter(|f| kept[*f]) {
            let there = before[f].as_deref();
            if part.is_news(f, there, |known| alike(known, there)) {
                let what = format!("{} had {there:?} in {}: {part:?}", side_name(i), FIELDS[f]);
                self.breaks(Law::swallows_no_automation_edit, no, || what);
            }
        }
    }

    /// Screens of rows that are being read: what they show that is in step has been seen.
    fn screens(&mut self, i: usize, shown: &Shown) {
        for (id, made) in &shown.made {
            let Some(row) = self.sides[i].rows.get(id) else { continue };
            let old = shown.old.get(id);
            let (no, doc) = (row.no, old.unwrap_or(&row.now().doc).clone());
            let Some(record) = self.of_no.get(&no).and_then(|all| all.last()) else { continue };
            let history = &self.histories[record];
            let (merged, rules) = (&history.state.merged, self.rules());
            let shows = |f: &usize| {
                let value = merged.value(rules, &name(*f));
                alike(value.as_text(), doc[*f].as_deref())
            };
            let in_step: Vec<usize> = (0..FIELDS.len()).filter(shows).collect();
            self.say_of(no, || {
                format!("        {no} is read on {}: {doc:?}, {in_step:?} in step", side_name(i))
            });
            for f in in_step {
                let seen = upto(&self.parts[no], &self.histories[record].state.merged.clock, f, index);
                self.parts[no][i].show(f, &seen, false);
                if old.is_some() {
                    // It stood there already when they edited what the replica does not show yet.
                    self.parts[no][i].showed(f, *made, &seen);
                }
            }
        }
    }

    fn word(&mut self, field: usize) -> Option<String> {
        self.words += 1;
        let word = match field {
            1 => STATUSES[self.rng.usize(0..4)].to_owned(),
            _ if self.rng.u8(0..3) == 0 => ["x", "y"][self.rng.usize(0..2)].to_owned(),
            _ => format!("w{}", self.words),
        };
        (self.rng.u8(0..16) > 0 || field == NO).then_some(word)
    }

    fn create(&mut self, no: usize) {
        let twice = self.rng.u8(0..6) == 0;
        for _ in 0..=usize::from(twice) {
            let i = self.rng.usize(0..self.sides.len());
            if self.sides[i].row_of(no).is_some() {
                continue;
            }
            let mut doc = Doc::default();
            doc[NO] = Some(format!("P{no}"));
            let mut fields: Vec<usize> = (0..FIELDS.len()).filter(|f| self.sides[i].mood.maps[*f]).collect();
            for &f in &fields[1..] {
                doc[f] = self.word(f);
            }
            fields.retain(|f| doc[*f].is_some());
            let group = self.group();
            let part = &mut self.parts[no][i];
            part.edit(&fields, group);
            let (made, now) = (part.made, self.now);
            self.say_of(no, || format!("user of {} creates {no} {doc:?}", side_name(i)));
            self.sides[i].insert(no, doc, made, now);
        }
    }

    fn user(&mut self) {
        let (no, i) = (self.rng.usize(0..RECORDS), self.rng.usize(0..self.sides.len()));
        let Some((id, state)) = self.sides[i].row_of(no) else { return };
        let (id, doc) = (id.clone(), state.doc.clone());
        if self.deletes && self.rng.u8(0..20) == 0 {
            self.parts[no][i].made += 1;
            let (made, now) = (self.parts[no][i].made, self.now);
            self.say_of(no, || format!("user of {} deletes {no} {id}", side_name(i)));
            return self.sides[i].remove(&id, made, now);
        }
        let mapped: Vec<usize> = (1..FIELDS.len()).filter(|f| self.sides[i].mood.maps[*f]).collect();
        let Some(&field) = self.rng.choice(&mapped) else { return };
        let mut changes = vec![(field, self.word(field))];
        if let Some(&other) = self.rng.choice(&mapped).filter(|f| **f != field) {
            changes.push((other, self.word(other)));
        }
        changes.retain(|(f, value)| !alike(doc[*f].as_deref(), value.as_deref()));
        if changes.is_empty() {
            return;
        }
        let fields: Vec<usize> = changes.iter().map(|(f, _)| *f).collect();
        let group = self.group();
        self.parts[no][i].edit(&fields, group);
        let (made, now) = (self.parts[no][i].made, self.now);
        self.say_of(no, || format!("user of {} sets {no} {id} {changes:?}", side_name(i)));
        self.sides[i].set(&id, changes, made, now);
    }

    /// A webhook, perhaps long under way: it carries a row, or only names it.
    fn hint(&mut self) {
        let i = self.rng.usize(0..self.sides.len());
        let ids: Vec<String> = self.sides[i].rows.keys().cloned().collect();
        let Some(id) = self.rng.choice(&ids).cloned() else { return };
        let mut shown = Shown::default();
        let seen = self.sides[i].fetch(&id, &mut shown, i64::MAX);
        self.screens(i, &shown);
        let message = Some(format!("m{}", self.rng.u8(0..8)));
        let (records, hints) = if self.rng.bool() {
            (vec![seen], Vec::new())
        } else {
            (Vec::new(), vec![NativeId::try_new(id.as_str()).unwrap()])
        };
        let delivery = Delivery { message, records, hints };
        let collection = CollectionName::try_new("item").unwrap();
        let wake = Wake::Webhook { side: side_name(i), collection, delivery, reply: ReplyTo(0) };
        let delay = self.rng.i64(1_000..2_000_000);
        self.at(delay, Due::Wake(wake, i, shown));
    }
}
