//! The laws' world: two to five sides with moods, users, faults and the real machine,
//! in simulated time from a seed. Each record is a history of its own. Every event is
//! folded a second time here, and what breaks a law is noted under the law's name.

use crate::laws::Law;
use crate::screen::{Part, Upto, beyond, upto};
use crate::side::{BY, Doc, FIELDS, Mood, NO, NOTE, Shown, Side};
use hms_sync_changelog::{Log, MemoryDisk, Sealed};
use hms_sync_connector::{Delivery, ReadError, Target};
use hms_sync_engine::{
    CollectionPlan, CollectionSide, Effect, Guard, Machine, Now, OnAltered, Plan, RecordState, Recreate,
    ReplyTo, Retry, Shape, SidePlan, SideState, Wake,
};
use hms_sync_mapping::{FieldMapping, FieldPath, SideMap};
use hms_sync_model::{
    Actor, Body, Clock, CollectionName, Edit, Event, FieldMap, FieldName, FieldResult, FieldType, NativeId,
    Operation, Outcome, ParkReason, RecordId, SideName, Source, Time, Value, VecMap,
};
use hms_sync_resolver::{FieldRule, Group, Owner, Policy, Reason, Record, Rules};
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

pub const EPOCH: i64 = 1_700_000_000_000_000;
/// Histories in one world.
pub const RECORDS: usize = 20;
const POLL: i64 = 4_000_000;
const WINDOW: i64 = 3_000_000;
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
        };
        parts.insert(side_name(i), part);
    }
    let guard = Guard { max_deletes: 1_000, max_deletes_percent: 100 };
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
        let sides: Vec<Side> = (0..count).map(|i| Side::new(Mood::new(&mut rng, i == 0))).collect();
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
            Effect::Read { side, pass, request } => {
                let i = index(&side);
                let page = self.sides[i].page(&mut shown);
                self.screens(i, &shown);
                let result = if away { Err(failed()) } else { Ok(page) };
                (Wake::Page { side, collection: request.collection, pass, result }, i)
            }
            Effect::Fetch { record, side, id, .. } => {
                let i = index(&side);
                let seen = self.sides[i].fetch(id.as_str(), &mut shown);
                self.screens(i, &shown);
                let result = if away { Err(failed()) } else { Ok(seen) };
                (Wake::Fetched { record, side, began, result }, i)
            }
            Effect::LookUp { record, side, request } => {
                let i = index(&side);
                let found = self.sides[i].lookup(&request, &mut shown);
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
                    if self.hit(faults) { Outcome::Unknown { reason: "reset".into() } } else { done }
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
        for (id, _) in &shown.made {
            let Some(row) = self.sides[i].rows.get(id) else { continue };
            let (no, doc) = (row.no, row.now().doc.clone());
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
            let made = self.parts[no][i].made;
            self.say_of(no, || format!("user of {} deletes {no} {id}", side_name(i)));
            return self.sides[i].remove(&id, made);
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
        let seen = self.sides[i].fetch(&id, &mut shown);
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

    /// An event of the machine's: judged by the laws, and folded once more.
    fn event(&mut self, sealed: &Sealed, side: usize, shown: &Shown) {
        self.events += 1;
        let event: Event = rmp_serde::from_slice(sealed.payload()).unwrap();
        if event.record.is_own_stream() {
            return;
        }
        if self.now > QUIET && !self.relinked {
            self.late += 1;
            self.say(|| format!("LATE {event:?}"));
        }
        let known = self.histories.contains_key(&event.record);
        if !known {
            // Which record it is shows with its first edit.
            self.histories.insert(event.record.clone(), History { no: usize::MAX, ..History::default() });
        }
        if let Body::Edited { edit, id: Some(id), .. } = &event.body {
            let id = id.as_str();
            let no = self.sides[side].rows[id].no;
            if self.histories[&event.record].no != no {
                self.histories.get_mut(&event.record).unwrap().no = no;
                self.of_no.entry(no).or_default().push(event.record.clone());
            }
            let made = shown.made.iter().find(|(of, _)| of == id).map_or(0, |(_, made)| *made);
            self.edited(&event, edit, side, no, made);
        }
        if let Body::Edited { edit, .. } = &event.body {
            self.order_laws(&event, edit, self.histories[&event.record].no);
        }
        let rules = self.plan.collections.values().next().unwrap();
        let history = self.histories.get_mut(&event.record).unwrap();
        history.state.fold(&rules.rules, sealed.id, &event);
        let no = history.no;
        if self.only.is_some() || matches!(event.body, Body::Edited { .. }) {
            self.say_of(no, || format!("        {no} {:?}", event.body));
        }
        self.after(&event, no);
    }

    /// Whether a side that ignores what it is sent is taken for one that makes something else
    /// of it: so its people are taken to have been shown it.
    fn makes_something_else(&self, i: usize, f: usize, part: &SideState) -> bool {
        let held = part.held.get(&name(f)).filter(|held| !held.not_kept);
        self.sides[i].mood.ignores && f == BY && held.is_some_and(|held| held.shown.is_some())
    }

    /// What must hold of every edit that the engine ascribes to a side.
    fn edited(&mut self, event: &Event, edit: &Edit, side: usize, no: usize, made: u64) {
        // A side that reformats edits, where its answers do not say so: nothing was said anew.
        let changed = |(_, change): &(&FieldName, &hms_sync_model::Change)| {
            change.before != change.after && !alike(change.before.as_text(), change.after.as_text())
        };
        let fields: Vec<usize> = edit.changes.iter().filter(changed).map(|(f, _)| number(f)).collect();
        if self.relinked {
            return;
        }
        for (f, change) in edit.changes.iter() {
            self.parts[no][side].know(number(f), change.after.as_text().map(str::to_owned));
        }
        let mut brings = Vec::new();
        for f in fields {
            let part = &self.parts[no][side];
            let by = part.last(f, made).cloned().filter(|by| by.n > part.taken[f]);
            // Where nobody knows whether our create was there before, all that is there is theirs.
            if by.is_none() && !edit.certain {
                continue;
            }
            let Some(by) = by else {
                let what = format!("{} is said to have set {}: {edit:?}", side_name(side), FIELDS[f]);
                self.breaks(Law::stale_read_never_wins, no, || what);
                continue;
            };
            let claimed = upto(&self.parts[no], &edit.context_of(&name(f)), f, index);
            // Without versions an answer shows what somebody did just before it, as if after.
            let blind = matches!(event.body, Body::Edited { source: Source::Answer, .. })
                && !self.sides[side].mood.tags;
            let part = self.histories[&event.record].state.sides.get(&side_name(side));
            let altered = part.is_some_and(|part| self.makes_something_else(side, f, part));
            if let (false, Some(of)) = (blind || altered, beyond(&claimed, &by.seen, side)) {
                let what = format!(
                    "{} had not been shown {}: {edit:?} {by:?} {claimed:?}",
                    FIELDS[f],
                    side_name(of)
                );
                self.breaks(Law::never_claims_more_than_the_screen_showed, no, || what);
            }
            let parts = &self.parts[no];
            let less = (0..parts.len())
                .find(|of| *of != side && parts[*of].edited_between(f, claimed[*of], by.told[*of]));
            // A group of which a part was written is known no further than the rest of it is.
            let part_of_group = self.group().contains(&f)
                && self.group().iter().any(|member| edit.but.contains_key(&name(*member)));
            if let (true, Some(of)) = (edit.certain && !part_of_group, less) {
                let what = format!(
                    "{} of {} was on the screen: {edit:?} {by:?} {claimed:?}",
                    FIELDS[f],
                    side_name(of)
                );
                self.breaks(Law::claims_less_only_where_uncertain, no, || what);
            }
            brings.push((f, by.n));
        }
        self.parts[no][side].take(edit.dot.actor.epoch, edit.dot.n, &brings);
        if !edit.certain {
            self.parts[no][side].doubt();
        }
        self.whole_groups(event, edit, side, no);
    }

    /// The laws of merging that can be told from the log alone.
    fn order_laws(&mut self, event: &Event, edit: &Edit, no: usize) {
        if edit.context.count(&edit.dot.actor) + 1 != edit.dot.n {
            self.breaks(Law::own_past_always, no, || format!("{edit:?}"));
        }
        let history = self.histories.get_mut(&event.record).unwrap();
        history.edits.push(edit.clone());
        let mut back = false;
        // What each edit says of the record, and of the fields that it touches.
        for f in edit.changes.keys().map(Some).chain([None]) {
            let seen = f.map_or_else(|| edit.context.clone(), |f| edit.context_of(f));
            let before = history.said.insert((edit.dot.actor.clone(), f.cloned()), seen.clone());
            back |= before.is_some_and(|before| !seen.covers(&before));
        }
        if back {
            let edits = history.edits.clone();
            self.breaks(Law::contexts_never_go_back, no, || format!("{edit:?} after {edits:?}"));
        }
    }

    /// Who sees a part of a group keeps the rest as it was on their screen.
    fn whole_groups(&self, event: &Event, edit: &Edit, side: usize, no: usize) {
        let groups = self.rules().groups().to_vec();
        for group in groups.iter().filter(|group| group.fields.iter().any(|f| edit.changes.contains_key(f))) {
            for f in group.fields.iter().filter(|f| !self.sides[side].mood.maps[number(f)]) {
                let history = &self.histories[&event.record];
                let seen = edit.context_of(f);
                let mut view = Record::default();
                for other in history.edits.iter().filter(|other| seen.has(&other.dot)) {
                    view.apply(self.rules(), other).unwrap();
                }
                let (then, said) =
                    (view.value(self.rules(), f), edit.changes.get(f).map(|c| c.after.clone()));
                let untouched = said.as_ref().is_none_or(|said| *said == then);
                if !untouched {
                    let what = format!("{f} was {then:?} for {}: {edit:?}", side_name(side));
                    self.breaks(Law::group_partial_side_keeps_rest, no, || what);
                }
            }
        }
    }

    /// What must hold after an event.
    fn after(&mut self, event: &Event, no: usize) {
        if self.relinked {
            return;
        }
        let history = &self.histories[&event.record];
        if let Some(why) = &history.state.malformed {
            let why = why.clone();
            return self.breaks(Law::own_past_always, no, || why);
        }
        match &event.body {
            Body::Applied { side, of, results, .. } => {
                self.agreed(event, index(side), *of, no);
                // It may have been kept and undone at once.
                let lost = |result: &FieldResult| *result == FieldResult::NotKept;
                let fields: Vec<usize> =
                    results.iter().filter(|(_, result)| lost(result)).map(|(f, _)| number(f)).collect();
                self.parts[no][index(side)].doubt_of(&fields);
            }
            Body::Intended { side, operation, fields, clock } => {
                self.intended(event, (index(side), *operation), fields, clock, no);
            }
            Body::Edited { .. } => {
                let merged = &history.state.merged;
                let twice = |f: &FieldName| {
                    let actors = merged.siblings(f).iter().map(|s| &s.dot.actor);
                    actors.clone().collect::<BTreeSet<_>>().len() != actors.count()
                };
                if let Some(f) = merged.field_names().find(|f| twice(f)).cloned() {
                    self.breaks(Law::one_sibling_per_actor, no, || format!("{f} after {event:?}"));
                }
                self.group_stands(event, no);
            }
            Body::Confirmed { side, .. } => {
                let (i, part) = (index(side), &history.state.sides.get(side).unwrap());
                if !part.has_it() {
                    return;
                }
                let claims: Vec<(usize, Clock)> = (1..FIELDS.len())
                    .filter(|f| self.sides[i].mood.maps[*f] && !self.makes_something_else(i, *f, part))
                    .map(|f| (f, part.acked_of(&name(f)).clone()))
                    .collect();
                for (f, clock) in claims {
                    let claimed = upto(&self.parts[no], &clock, f, index);
                    let seen = *self.parts[no][i].seen(f);
                    if let Some(of) = beyond(&claimed, &seen, i) {
                        let what =
                            format!("{} of {} was never shown by {}", FIELDS[f], side_name(of), side_name(i));
                        let what = format!("{what}: {event:?} {claimed:?} {seen:?}");
                        self.breaks(Law::in_step_acknowledges_only_when_confirmed, no, || what);
                    }
                }
            }
            _ => {}
        }
    }

    /// A create that a read shows to be there: somebody may have made just the same.
    fn agreed(&mut self, event: &Event, side: usize, of: u64, no: usize) {
        let intent = self.intents.get(&(event.record.clone(), of)).filter(|intent| intent.creates);
        let Some((intent, row)) = intent.zip(self.sides[side].row_of(no)) else { return };
        let doc = row.1.doc.clone();
        let part = &mut self.parts[no][side];
        for f in (0..FIELDS.len()).filter(|f| intent.fields[*f]) {
            if alike(doc[f].as_deref(), intent.values[f].as_deref()) {
                part.show(f, &intent.upto[f], false);
                part.believe(f, &intent.upto[f]);
            }
        }
    }

    fn group_stands(&self, event: &Event, no: usize) {
        let history = &self.histories[&event.record];
        for group in self.rules().groups() {
            let stands: Vec<Value> =
                group.fields.iter().map(|f| history.state.merged.value(self.rules(), f)).collect();
            let mut had = vec![vec![Value::Absent; stands.len()]];
            for edit in history.edits.iter().filter(|edit| edit.changes.contains_key(&group.lead)) {
                let of = |f: &FieldName| {
                    edit.changes
                        .get(f)
                        .cloned()
                        .unwrap_or(hms_sync_model::Change { before: Value::Absent, after: Value::Absent })
                };
                had.push(group.fields.iter().map(|f| of(f).before).collect());
                had.push(group.fields.iter().map(|f| of(f).after).collect());
            }
            let untouched = history.edits.iter().all(|edit| !edit.changes.contains_key(&group.lead));
            if !untouched && !had.contains(&stands) {
                let what = format!("nobody had {:?} as {stands:?}: {event:?}", group.fields);
                return self.breaks(Law::group_never_splits, no, || what);
            }
        }
    }

    fn intended(
        &mut self,
        event: &Event,
        (side, operation): (usize, Operation),
        fields: &FieldMap,
        clock: &Clock,
        no: usize,
    ) {
        let merged = &self.histories[&event.record].state.merged;
        let text = |value: Value| value.as_text().map(str::to_owned);
        let intent = Intent {
            side,
            creates: operation == Operation::Create,
            fields: std::array::from_fn(|f| fields.contains_key(&name(f))),
            upto: std::array::from_fn(|f| upto(&self.parts[no], clock, f, index)),
            values: std::array::from_fn(|f| text(merged.value(self.rules(), &name(f)))),
        };
        debug_assert_eq!(intent.side, side);
        for f in (0..FIELDS.len()).filter(|f| intent.fields[*f]) {
            self.parts[no][side].send(f, intent.values[f].clone());
        }
        self.intents.insert((event.record.clone(), event.version), intent);
    }
}

impl World {
    /// What must hold when all has been quiet for a while.
    fn judge(&mut self) {
        if self.late > 0 || self.late_writes > 0 {
            let what = format!("{} events and {} writes after all was quiet", self.late, self.late_writes);
            self.breaks(Law::quiet_means_silent_3_cycles, 0, || what);
        }
        if self.late_reads > 0 {
            let what = format!("{} records were read after all was quiet", self.late_reads);
            self.breaks(Law::nobody_reads_on, 0, || what);
        }
        let records: Vec<RecordId> = self.histories.keys().cloned().collect();
        for record in records {
            let history = &self.histories[&record];
            if !history.state.merged.clock.is_empty() {
                self.judge_one(&record, history);
            }
        }
    }

    fn judge_one(&self, record: &RecordId, history: &History) {
        let no = history.no;
        let rules = self.rules().clone();
        let merged = &history.state.merged;
        let waits = waiting(merged, &rules);
        let there = merged.presence(&rules) == hms_sync_resolver::Presence::Present;
        for i in 0..self.sides.len() {
            let side = side_name(i);
            let Some(part) = history.state.sides.get(&side) else { continue };
            if let Some(parked) = &part.parked {
                if parked.reason == ParkReason::NotKept && there {
                    self.judge_not_kept(history, part, i, &waits);
                }
                continue;
            }
            let Some(id) = part.id.as_ref().map(hms_sync_model::NativeId::as_str) else { continue };
            let Some(row) = self.sides[i].rows.get(id) else { continue };
            if row.now().gone == there || part.write.is_some() || part.doubt.is_some() {
                let what = format!("{side}: gone {} there {there} {part:?}", row.now().gone);
                self.breaks(Law::projection_settles, no, || what);
            }
            if !there {
                continue;
            }
            let doc = row.now().doc.clone();
            for f in (1..FIELDS.len()).filter(|f| self.sides[i].mood.maps[*f]) {
                let value = merged.value(&rules, &name(f));
                let same = alike(value.as_text(), doc[f].as_deref());
                let ignored = self.sides[i].mood.ignores && f == BY;
                // Nor can a user's edit in the blind window of a write that is not kept be told
                // from a side that makes something else of it: it is said to be altered.
                let altered = ignored && is_listed_as_altered(part, f, &doc);
                if !same && !waits.contains(&f) && !altered {
                    let what = format!("{side} shows {} as {:?}, and it is {value:?}", FIELDS[f], doc[f]);
                    let law = if ignored { Law::not_kept_is_pending } else { Law::n_sides_converge };
                    self.breaks(law, no, || what);
                }
                let truth = &self.parts[no][i];
                // Who sets what we were writing there cannot be told from our write.
                let late = alike(truth.last_sent(f), doc[f].as_deref());
                let swallowed = truth.last(f, u64::MAX).is_some_and(|made| made.n > truth.taken[f])
                    && !alike(truth.known(f), doc[f].as_deref())
                    && !late
                    && !altered;
                if swallowed {
                    let what = format!(
                        "{side} shows {} as {:?}, and no event says so: {truth:?}",
                        FIELDS[f], doc[f]
                    );
                    self.breaks(Law::swallows_no_automation_edit, no, || what);
                }
                let seen = {
                    let mut seen = part.acked_of(&name(f)).clone();
                    let actor = part.actor(&side);
                    seen.see(&actor, merged.clock.count(&actor));
                    seen
                };
                if !waits.contains(&f) && !seen.covers(&merged.seen(&name(f))) {
                    let what = format!(
                        "{side} shows {} and is said to have seen {seen:?} of {:?}",
                        FIELDS[f],
                        merged.seen(&name(f))
                    );
                    self.breaks(Law::in_step_acknowledges_only_when_confirmed, no, || what);
                }
            }
        }
        let parked = history.state.sides.values().any(|part| part.parked.is_some());
        let everywhere = (0..self.sides.len())
            .all(|i| history.state.sides.get(&side_name(i)).is_some_and(hms_sync_engine::SideState::has_it));
        if there && everywhere && !parked {
            self.settled(record, history, &rules, &waits);
        }
    }

    /// A side that did not keep a field has everything else, and was sent what is merged now.
    fn judge_not_kept(&self, history: &History, part: &SideState, i: usize, waits: &BTreeSet<usize>) {
        let (rules, merged) = (self.rules(), &history.state.merged);
        let Some(row) = part.id.as_ref().and_then(|id| self.sides[i].rows.get(id.as_str())) else { return };
        let mapped = (1..FIELDS.len()).filter(|f| self.sides[i].mood.maps[*f] && !waits.contains(f));
        for f in mapped {
            let value = merged.value(rules, &name(f));
            let held = part.held.get(&name(f)).filter(|held| held.not_kept);
            let there = [row.now().doc[f].as_deref(), held.and_then(|held| held.sent.as_text())];
            if !there.iter().any(|there| alike(value.as_text(), *there)) {
                let what = format!("{} was not sent {} as {value:?}: {part:?}", side_name(i), FIELDS[f]);
                self.breaks(Law::not_kept_is_pending, history.no, || what);
            }
        }
    }

    /// One value a field is left, which no other policy turns.
    fn settled(&self, _: &RecordId, history: &History, rules: &Rules, waits: &BTreeSet<usize>) {
        let merged = &history.state.merged;
        let others = crate::world::rules(self.seed, !self.seed);
        for f in (0..FIELDS.len()).filter(|f| !waits.contains(f)) {
            let owned = rules.rule(&name(f)).owner.is_some();
            let (now, then) = (merged.value(rules, &name(f)), merged.value(&others, &name(f)));
            if !owned && now != then {
                let what = format!("{} turns from {now:?} to {then:?}", FIELDS[f]);
                self.breaks(Law::settled_survives_policy_change, history.no, || what);
            }
        }
    }
}

/// The fields of a record that wait for a person.
fn waiting(merged: &Record, rules: &Rules) -> BTreeSet<usize> {
    let fields = (1..FIELDS.len()).map(name);
    let waits = fields.filter(|f| {
        let lead = rules.group_of(f).map_or(f, |group| &group.lead);
        merged.decide(rules, lead).reason == Reason::Manual
    });
    waits.map(|f| number(&f)).collect()
}
