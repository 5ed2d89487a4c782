//! A record on two or three sides, of which events are lost in a recovery.

use crate::stage::{self, LOST, field, item, job, lose, native, side};
use hms_sync_changelog::{Log, Options, Sealed};
use hms_sync_connector::{Abilities, Content, Cursor, Observation, Page, Scope, Target, WriteRequest};
use hms_sync_engine::{
    CollectionPlan, CollectionSide, Command, Effect, Machine, Now, Plan, RecordState, Reply, ReplyTo, Wake,
};
use hms_sync_model::{Body, Outcome, RecordId, SideName, Time, Written};
use hms_sync_resolver::{Policy, Rules};
use serde_json::{Value as Json, json};
use std::collections::{BTreeMap, VecDeque};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

pub(crate) const RECOVERED: Time = Time(1_700_000_000_000_000);

/// `a` can be asked for one record, `b` only be listed, `c` neither: it is only written to.
/// Of what they disagree on, `status` goes by precedence.
fn plan(with: &[&str], has_job: bool) -> Arc<Plan> {
    let part = |name: &str| {
        let (read, fetch) = (name != "c", name == "a");
        let abilities =
            Abilities { read, fetch, create: true, update: true, delete: true, ..Abilities::default() };
        let poll_interval = read.then_some(Duration::from_mins(1));
        let shape = stage::texts(&["no", "status", "note"]);
        CollectionSide { poll_interval, shape, ..stage::part(abilities) }
    };
    let precedence = Policy::Precedence(["revoked", "approved"].map(Into::into).to_vec());
    let status = hms_sync_resolver::FieldRule { resolve: vec![precedence], ..Default::default() };
    let rules = Rules::builder()
        .default_resolve(vec![Policy::LastWriterWins])
        .field(field("status"), status)
        .build()
        .unwrap();
    let sides = with.iter().map(|name| (side(name), part(name)));
    let of = CollectionPlan { identity: vec![field("no")], rules, ..stage::collection(sides) };
    let mut plan = stage::plan(item(), of);
    if has_job {
        plan.jobs.insert(job(), stage::handler(item(), 1));
    }
    Arc::new(plan)
}

/// What the sides have, by id.
pub(crate) type World = BTreeMap<&'static str, BTreeMap<String, Json>>;

pub(crate) struct Scene {
    pub(crate) machine: Machine,
    pub(crate) world: World,
    pub(crate) now: i64,
    /// What was asked of sides and handlers, in order.
    pub(crate) asked: Vec<String>,
    /// The id that side `b` gives to its first record.
    pub(crate) new_id: String,
}

impl Scene {
    pub(crate) fn open(dir: &Path, plan: &Arc<Plan>, world: World, now: i64) -> Self {
        let log = Log::open(dir, Options::default()).unwrap();
        let machine = Machine::open(Arc::clone(plan), log, 1).unwrap();
        Self { machine, world, now, asked: Vec::new(), new_id: "b1".into() }
    }

    pub(crate) fn close(self) -> (World, i64) {
        let Self { machine, world, now, .. } = self;
        let log = machine.log().clone();
        drop(machine);
        log.close().unwrap();
        (world, now)
    }

    /// Steps once and carries nothing out: what is to be durable, and what is to be done.
    pub(crate) fn step(&mut self, wake: Wake) -> (Vec<Sealed>, Vec<Effect>) {
        self.now += 1_000_000;
        let now = Now { wall: Time(self.now), mono: Time(self.now) };
        let mut effects = self.machine.step(wake, now).unwrap();
        match effects.first() {
            Some(Effect::Append(_)) => {
                let Effect::Append(events) = effects.remove(0) else { unreachable!() };
                (events, effects)
            }
            _ => (Vec::new(), effects),
        }
    }

    /// Goes on from one wake until nothing is left to do; answers with what was replied.
    pub(crate) fn run(&mut self, wake: Wake) -> Vec<Reply> {
        let (mut wakes, mut replies) = (VecDeque::from([wake]), Vec::new());
        while let Some(wake) = wakes.pop_front() {
            let (events, effects) = self.step(wake);
            if !events.is_empty() {
                self.machine.log().append(&events).unwrap();
            }
            for effect in effects {
                match effect {
                    Effect::Reply { reply, .. } => replies.push(reply),
                    effect => wakes.extend(self.carry_out(effect)),
                }
            }
            if wakes.is_empty() && self.machine.next_timer(Time(self.now)).is_some_and(|at| at.0 <= self.now)
            {
                wakes.push_back(Wake::Timer);
            }
        }
        replies
    }

    fn observed(&self, side: &SideName, id: &str) -> Observation {
        let doc = self.world.get(side.as_str()).and_then(|docs| docs.get(id)).cloned();
        let content = doc.map_or(Content::Gone, Content::Whole);
        Observation { id: native(id), tag: None, modified: None, content }
    }

    fn carry_out(&mut self, effect: Effect) -> Option<Wake> {
        let began = Time(self.now);
        match effect {
            Effect::Read { side, pass, request, .. } => {
                let all = request.scope == Scope::Everything;
                self.asked.push(format!("{} {side}", if all { "list" } else { "poll" }));
                let ids: Vec<String> = self.world[side.as_str()].keys().cloned().collect();
                let records =
                    if all { ids.iter().map(|id| self.observed(&side, id)).collect() } else { vec![] };
                let page = Page { records, cursor: Some(Cursor("c".into())), ..Page::default() };
                Some(Wake::Page { side, collection: request.collection, pass, result: Ok(page.into()) })
            }
            Effect::Fetch { record, side, id, .. } => {
                self.asked.push(format!("fetch {side}"));
                let seen = self.observed(&side, id.as_str());
                Some(Wake::Fetched { record, side, began, result: Ok(seen) })
            }
            Effect::Write { record, side, version, request } => {
                let outcome = self.write(&side, &request);
                Some(Wake::Wrote { record, side, version, outcome })
            }
            Effect::Handle { record, job, clock, .. } => {
                self.asked.push(format!("call {job}"));
                Some(Wake::Handled { record, job, clock, result: Ok(()) })
            }
            Effect::Send { record, target, version, .. } => {
                self.asked.push(format!("send {target}"));
                Some(Wake::Sent { record, target, version, outcome: Outcome::Noop })
            }
            Effect::Save(_) => Some(Wake::Saved),
            Effect::Tell(_) => None,
            other => panic!("{other:?}"),
        }
    }

    fn write(&mut self, side: &SideName, request: &WriteRequest) -> Outcome {
        let docs = self.world.get_mut(side.as_str()).unwrap();
        let (verb, id) = match &request.target {
            Target::Create if side.as_str() == "b" && docs.is_empty() => ("create", self.new_id.clone()),
            Target::Create => ("create", format!("{side}{}", docs.len() + 1)),
            Target::Update(id, _) => ("update", id.as_str().to_owned()),
            Target::Delete(id, _) => ("delete", id.as_str().to_owned()),
        };
        self.asked.push(format!("{verb} {side} {}", *request.changed));
        if verb == "delete" {
            docs.remove(&id);
            return Outcome::Noop;
        }
        let doc = docs.entry(id.clone()).or_insert_with(|| json!({}));
        for (name, value) in request.changed.as_object().unwrap() {
            doc[name] = value.clone();
        }
        let stored = (verb == "create" || side.as_str() != "c").then(|| doc.clone());
        Outcome::Applied(Written { id: native(&id), tag: None, stored })
    }

    pub(crate) fn poll_all(&mut self) {
        self.now += 120_000_000;
        self.run(Wake::Timer);
        for name in ["a", "b"] {
            if self.world.contains_key(name) {
                let command = Command::Poll { side: side(name), collection: item(), full: true };
                self.run(Wake::Command { command, reply: ReplyTo(0) });
            }
        }
    }

    pub(crate) fn record(&self) -> RecordId {
        self.machine.find("item/1").unwrap().unwrap()
    }

    pub(crate) fn state(&self) -> RecordState {
        self.machine.state(&self.record()).unwrap().unwrap()
    }

    pub(crate) fn take_up(&mut self) -> Reply {
        let command = Command::TakeUp { record: self.record(), by: "jo".into(), reason: "disk 7".into() };
        let replies = self.run(Wake::Command { command, reply: ReplyTo(0) });
        let [reply] = replies.try_into().unwrap();
        reply
    }

    pub(crate) fn has(&self, side: &str) -> Vec<&Json> {
        self.world[side].values().collect()
    }

    /// Somebody changes what a side says of the note.
    pub(crate) fn edit(&mut self, side: &str, id: &str, note: &str) {
        self.world.get_mut(side).unwrap().get_mut(id).unwrap()["note"] = note.into();
        self.poll_all();
    }

    /// Goes on with the log in another folder, and as `plan` says.
    pub(crate) fn on(self, dir: &Path, plan: &Arc<Plan>) -> Self {
        let (world, now) = self.close();
        Self::open(dir, plan, world, now)
    }

    /// What was asked since, but for reading.
    pub(crate) fn sent(&mut self) -> Vec<String> {
        let reads = ["list", "poll", "fetch"];
        self.asked.drain(..).filter(|line| !reads.iter().any(|verb| line.starts_with(verb))).collect()
    }

    /// The state that a replay of the log gives, with no view to help it.
    pub(crate) fn assert_replayed(self, plan: &Arc<Plan>) {
        let (state, record) = (self.state(), self.record());
        let log = self.machine.log().clone();
        drop(self.machine);
        log.drop_views().unwrap();
        let machine = Machine::open(Arc::clone(plan), log, 2).unwrap();
        assert_eq!(machine.state(&record).unwrap().unwrap(), state);
    }
}

/// The sides have come in step, with the log in the folder `log`.
pub(crate) fn begun(with: &[&'static str], job: bool, b: &str) -> (tempfile::TempDir, Arc<Plan>, Scene) {
    let place = tempfile::tempdir().unwrap();
    let plan = plan(with, job);
    let mut world: World = with.iter().map(|name| (*name, BTreeMap::new())).collect();
    let doc = json!({ "no": "1", "status": "approved", "note": "first" });
    world.get_mut("a").unwrap().insert("a1".into(), doc);
    let mut scene = Scene::open(&place.path().join("log"), &plan, world, RECOVERED.0 - 3_600_000_000);
    b.clone_into(&mut scene.new_id);
    scene.run(Wake::Start);
    scene.poll_all();
    (place, plan, scene)
}

/// A plan, a log in the folder `new`, the sides, and the time.
pub(crate) type Damaged = (tempfile::TempDir, Arc<Plan>, World, i64);

/// The sides come in step, `a` is edited twice, and the log loses the first of these edits and
/// all that came of it.
pub(crate) fn damaged(with: &[&'static str], job: bool) -> Damaged {
    damaged_of(with, job, "b1")
}

/// The same, where `b` gives its record an id of its own.
pub(crate) fn damaged_of(with: &[&'static str], job: bool, b: &str) -> Damaged {
    let (place, plan, mut scene) = begun(with, job, b);
    scene.edit("a", "a1", LOST);
    scene.edit("a", "a1", "third");
    assert!(scene.machine.log().events(1, 100).unwrap().iter().any(|(_, event)| {
        matches!(&event.body, Body::Edited { edit, .. }
            if edit.changes.get(&field("note")).is_some_and(|change| change.after == LOST.into()))
    }));
    let (world, now) = scene.close();
    lose(&place.path().join("log"), &place.path().join("new"), RECOVERED);
    (place, plan, world, now + 3_600_000_000)
}
