//! A record that was held after a loss, taken up at a person's word: it starts over from what
//! its sides show, and nothing is sent before they have been read.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "tests may panic"
)]

use hms_sync_changelog::{Log, Options, Sealed, recover};
use hms_sync_connector::{Abilities, Content, Cursor, Observation, Page, Scope, Target, WriteRequest};
use hms_sync_engine::{
    CollectionPlan, CollectionSide, Command, Effect, Guard, JobPlan, Machine, Now, Plan, RecordState, Reply,
    ReplyTo, Retry, Shape, SidePlan, Wake,
};
use hms_sync_mapping::{FieldMapping, FieldPath, SideMap};
use hms_sync_model::{
    Body, CollectionName, FieldName, FieldType, JobName, NativeId, Outcome, RecordId, Released, SideName,
    Time, VecMap, Written,
};
use hms_sync_resolver::{Policy, Rules};
use serde_json::{Value as Json, json};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// Stands in events that are to be lost, and cannot be made shorter by compression.
const LOST: &str = "q8Zr3Kx0vT7mWp2LsYb9";
const RECOVERED: Time = Time(1_700_000_000_000_000);

fn side(name: &str) -> SideName {
    SideName::try_new(name).unwrap()
}

fn field(name: &str) -> FieldName {
    FieldName::try_new(name).unwrap()
}

fn item() -> CollectionName {
    CollectionName::try_new("item").unwrap()
}

fn native(id: &str) -> NativeId {
    NativeId::try_new(id).unwrap()
}

/// `a` can be asked for one record, `b` only be listed, `c` neither: it is only written to.
/// Of what they disagree on, `status` goes by precedence.
fn plan(with: &[&str], job: bool) -> Arc<Plan> {
    let mut plan = Plan::new("Test");
    let mut sides = VecMap::new();
    for name in with {
        let maps = ["no", "status", "note"]
            .map(|name| FieldMapping::plain(field(name), FieldType::String, FieldPath::parse(name).unwrap()));
        let (read, fetch) = (*name != "c", *name == "a");
        let abilities =
            Abilities { read, fetch, create: true, update: true, delete: true, ..Abilities::default() };
        let part = CollectionSide {
            abilities,
            shape: Shape::Fields(SideMap::new(maps.to_vec()).unwrap()),
            poll_interval: read.then_some(Duration::from_mins(1)),
            full_interval: None,
            settle_window: Duration::ZERO,
            on_altered: hms_sync_engine::OnAltered::default(),
            on_missing: hms_sync_engine::OnMissing::Deleted,
            read_back: false,
        };
        plan.sides.insert(side(name), SidePlan::default());
        sides.insert(side(name), part);
    }
    let precedence = Policy::Precedence(["revoked", "approved"].map(Into::into).to_vec());
    let status = hms_sync_resolver::FieldRule { resolve: vec![precedence], ..Default::default() };
    let rules = Rules::builder()
        .default_resolve(vec![Policy::LastWriterWins])
        .field(field("status"), status)
        .build()
        .unwrap();
    let of = CollectionPlan {
        identity: vec![field("no")],
        rules,
        sides,
        guard: Guard::default(),
        recreate: hms_sync_engine::Recreate::default(),
        personal: BTreeSet::new(),
    };
    plan.collections.insert(item(), of);
    if job {
        let part = JobPlan { collection: item(), in_flight_max: 1, retry: Retry::default() };
        plan.jobs.insert(JobName::try_new("notify").unwrap(), part);
    }
    Arc::new(plan)
}

/// What the sides have, by id.
type World = BTreeMap<&'static str, BTreeMap<String, Json>>;

struct Scene {
    machine: Machine,
    world: World,
    now: i64,
    /// What was asked of sides and handlers, in order.
    asked: Vec<String>,
    /// The id that side `b` gives to its first record.
    new_id: String,
}

impl Scene {
    fn open(dir: &Path, plan: &Arc<Plan>, world: World, now: i64) -> Self {
        let log = Log::open(dir, Options::default()).unwrap();
        let machine = Machine::open(Arc::clone(plan), log, 1).unwrap();
        Self { machine, world, now, asked: Vec::new(), new_id: "b1".into() }
    }

    fn close(self) -> (World, i64) {
        let Self { machine, world, now, .. } = self;
        let log = machine.log().clone();
        drop(machine);
        log.close().unwrap();
        (world, now)
    }

    /// Steps once and carries nothing out: what is to be durable, and what is to be done.
    fn step(&mut self, wake: Wake) -> (Vec<Sealed>, Vec<Effect>) {
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
    fn run(&mut self, wake: Wake) -> Vec<Reply> {
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
            Effect::Read { side, pass, request } => {
                let all = request.scope == Scope::Everything;
                self.asked.push(format!("{} {side}", if all { "list" } else { "poll" }));
                let ids: Vec<String> = self.world[side.as_str()].keys().cloned().collect();
                let records =
                    if all { ids.iter().map(|id| self.observed(&side, id)).collect() } else { vec![] };
                let page = Page { records, cursor: Some(Cursor("c".into())), ..Page::default() };
                Some(Wake::Page { side, collection: request.collection, pass, result: Ok(page) })
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

    fn poll_all(&mut self) {
        self.now += 120_000_000;
        self.run(Wake::Timer);
        for name in ["a", "b"] {
            if self.world.contains_key(name) {
                let command = Command::Poll { side: side(name), collection: item(), full: true };
                self.run(Wake::Command { command, reply: ReplyTo(0) });
            }
        }
    }

    fn record(&self) -> RecordId {
        self.machine.find("item/1").unwrap().unwrap()
    }

    fn state(&self) -> RecordState {
        self.machine.state(&self.record()).unwrap().unwrap()
    }

    fn take_up(&mut self) -> Reply {
        let command = Command::TakeUp { record: self.record(), by: "jo".into(), reason: "disk 7".into() };
        let replies = self.run(Wake::Command { command, reply: ReplyTo(0) });
        let [reply] = replies.try_into().unwrap();
        reply
    }

    fn has(&self, side: &str) -> Vec<&Json> {
        self.world[side].values().collect()
    }

    /// What was asked since, but for reading.
    fn sent(&mut self) -> Vec<String> {
        let reads = ["list", "poll", "fetch"];
        self.asked.drain(..).filter(|line| !reads.iter().any(|verb| line.starts_with(verb))).collect()
    }

    /// The state that a replay of the log gives, with no view to help it.
    fn assert_replayed(self, plan: &Arc<Plan>) {
        let (state, record) = (self.state(), self.record());
        let log = self.machine.log().clone();
        drop(self.machine);
        log.drop_views().unwrap();
        let machine = Machine::open(Arc::clone(plan), log, 2).unwrap();
        assert_eq!(machine.state(&record).unwrap().unwrap(), state);
    }
}

/// The sides come in step, `a` is edited twice, and the log loses the first of these edits and
/// all that came of it.
fn damaged(with: &[&'static str], job: bool) -> (tempfile::TempDir, Arc<Plan>, World, i64) {
    damaged_of(with, job, "b1")
}

/// The same, where `b` gives its record an id of its own.
fn damaged_of(with: &[&'static str], job: bool, b: &str) -> (tempfile::TempDir, Arc<Plan>, World, i64) {
    let place = tempfile::tempdir().unwrap();
    let (dir, into) = (place.path().join("log"), place.path().join("new"));
    let plan = plan(with, job);
    let mut world: World = with.iter().map(|name| (*name, BTreeMap::new())).collect();
    let doc = json!({ "no": "1", "status": "approved", "note": "first" });
    world.get_mut("a").unwrap().insert("a1".into(), doc);
    let mut scene = Scene::open(&dir, &plan, world, RECOVERED.0 - 3_600_000_000);
    b.clone_into(&mut scene.new_id);
    scene.run(Wake::Start);
    scene.poll_all();
    scene.world.get_mut("a").unwrap().get_mut("a1").unwrap()["note"] = LOST.into();
    scene.poll_all();
    scene.world.get_mut("a").unwrap().get_mut("a1").unwrap()["note"] = "third".into();
    scene.poll_all();
    assert!(scene.machine.log().events(1, 100).unwrap().iter().any(|(_, event)| {
        matches!(&event.body, Body::Edited { edit, .. }
            if edit.changes.get(&field("note")).is_some_and(|change| change.after == LOST.into()))
    }));
    let (world, now) = scene.close();
    let path = dir.join("db");
    let mut bytes = std::fs::read(&path).unwrap();
    let found: Vec<usize> =
        (0..bytes.len() - LOST.len()).filter(|at| bytes[*at..].starts_with(LOST.as_bytes())).collect();
    found.into_iter().for_each(|at| bytes[at..at + LOST.len()].fill(0));
    std::fs::write(&path, bytes).unwrap();
    let report = recover(&dir, &into, RECOVERED).unwrap();
    assert!(report.events_lost() > 0, "{report:?}");
    (place, plan, world, now + 3_600_000_000)
}

#[test]
fn it_starts_over_from_what_its_sides_show_and_sends_nothing_before_they_are_read() {
    let (place, plan, mut world, now) = damaged(&["a", "b"], false);
    // While it is held, both sides are edited.
    world.get_mut("a").unwrap().get_mut("a1").unwrap()["status"] = "revoked".into();
    world.get_mut("b").unwrap().get_mut("b1").unwrap()["note"] = "of b".into();
    let mut scene = Scene::open(&place.path().join("new"), &plan, world, now);
    scene.run(Wake::Start);
    scene.poll_all();
    assert!(scene.state().malformed.is_some());
    assert_eq!(scene.sent(), [""; 0]);
    let before = scene.state();
    let Reply::Made(version) = scene.take_up() else { panic!() };
    // Both were read, each in its way, before the first write left.
    let first_write = scene.asked.iter().position(|line| line.starts_with("update")).unwrap();
    for read in ["fetch a", "list b"] {
        let at = scene.asked.iter().position(|line| line == read);
        assert!(at.is_some_and(|at| at < first_write), "{read}: {:?}", scene.asked);
    }
    let state = scene.state();
    assert_eq!(state.malformed, None);
    for name in ["a", "b"] {
        let (part, old) = (state.sides.get(&side(name)).unwrap(), before.sides.get(&side(name)).unwrap());
        assert_eq!((part.epoch, part.unread), (old.epoch + 1, None), "{name}");
        assert_eq!(part.id, old.id);
        let actor = part.actor(&side(name));
        assert_eq!(state.merged.clock.count(&actor), 1, "{name}: {}", state.merged.clock);
    }
    assert!(state.merged.clock.covers(&before.merged.clock));
    // What they had differently is decided by the rules, as where records meet for the first time.
    let met = state.conflicts.get(&Some(field("status"))).unwrap();
    assert!(met.version > version, "{met:?}");
    scene.poll_all();
    assert_eq!(scene.has("a"), scene.has("b"));
    assert_eq!(scene.has("a")[0]["status"], "revoked");
    scene.asked.clear();
    for _ in 0..3 {
        scene.poll_all();
    }
    assert_eq!(scene.sent(), [""; 0]);
    // It is edited on and goes its way; the history has no gap but the one.
    scene.world.get_mut("b").unwrap().get_mut("b1").unwrap()["note"] = "later".into();
    scene.poll_all();
    assert_eq!(scene.has("a")[0]["note"], "later");
    scene.assert_replayed(&plan);
}

#[test]
fn a_crash_at_any_event_of_it_sends_nothing_unread() {
    for kept in 0..=2 {
        let (place, plan, world, now) = damaged(&["a", "b"], true);
        let dir = place.path().join("new");
        let mut scene = Scene::open(&dir, &plan, world, now);
        scene.run(Wake::Start);
        let record = scene.record();
        let command = Command::TakeUp { record, by: "jo".into(), reason: "disk 7".into() };
        let (events, _) = scene.step(Wake::Command { command, reply: ReplyTo(0) });
        // The handler is set aside first, then it is taken up.
        assert_eq!(events.len(), 2);
        if kept > 0 {
            scene.machine.log().append(&events[..kept]).unwrap();
        }
        let (world, now) = scene.close();
        let mut scene = Scene::open(&dir, &plan, world, now);
        scene.run(Wake::Start);
        if kept < 2 {
            assert!(scene.state().malformed.is_some(), "after {kept}");
            assert_eq!(scene.sent(), [""; 0], "after {kept}");
            assert!(matches!(scene.take_up(), Reply::Made(_)));
        }
        assert_eq!(scene.state().malformed, None);
        assert!(scene.asked.iter().any(|line| line == "fetch a"), "{:?}", scene.asked);
        scene.poll_all();
        // They had the same all the time.
        assert_eq!(scene.sent(), [""; 0], "after {kept}");
        assert!(scene.state().sides.values().all(|part| part.unread.is_none()));
        scene.assert_replayed(&plan);
    }
}

#[test]
fn what_may_have_been_done_waits_for_a_person() {
    let (place, plan, world, now) = damaged(&["a", "b"], true);
    let mut scene = Scene::open(&place.path().join("new"), &plan, world, now);
    scene.run(Wake::Start);
    assert!(matches!(scene.take_up(), Reply::Made(_)));
    scene.world.get_mut("a").unwrap().get_mut("a1").unwrap()["note"] = "fourth".into();
    scene.poll_all();
    assert!(!scene.sent().iter().any(|line| line.starts_with("call")));
    let parked = scene.machine.parked(None, 10).unwrap();
    let [parked] = parked.try_into().unwrap();
    assert_eq!((parked.lane.as_str(), parked.reason.as_str()), ("notify", "unknown"));
    let command = Command::Release { record: scene.record(), lane: None, action: Released::Replay };
    assert_eq!(scene.run(Wake::Command { command, reply: ReplyTo(0) }), [Reply::Count(1)]);
    assert_eq!(scene.sent(), ["call notify"]);
}

#[test]
fn a_side_that_cannot_be_read_gets_all_of_it_once_the_others_were() {
    let (place, plan, mut world, now) = damaged(&["a", "c"], false);
    world.get_mut("a").unwrap().get_mut("a1").unwrap()["note"] = "fourth".into();
    let mut scene = Scene::open(&place.path().join("new"), &plan, world, now);
    scene.run(Wake::Start);
    assert!(matches!(scene.take_up(), Reply::Made(_)));
    scene.poll_all();
    let all = json!({ "no": "1", "note": "fourth", "status": "approved" });
    assert_eq!(scene.sent(), [format!("update c {all}")]);
    scene.assert_replayed(&plan);
}

#[test]
fn a_record_that_one_side_no_longer_has_is_a_delete_that_met_an_edit() {
    let (place, plan, mut world, now) = damaged(&["a", "b"], false);
    world.get_mut("b").unwrap().clear();
    world.get_mut("b").unwrap().insert("b9".into(), json!({ "no": "9", "status": "approved" }));
    let mut scene = Scene::open(&place.path().join("new"), &plan, world, now);
    scene.run(Wake::Start);
    assert!(matches!(scene.take_up(), Reply::Made(_)));
    scene.poll_all();
    // The edit wins, as the rules say: it is made again where it was deleted.
    let notes: Vec<&Json> = scene.has("b").into_iter().filter(|doc| doc["no"] == "1").collect();
    assert_eq!(notes, scene.has("a").into_iter().filter(|doc| doc["no"] == "1").collect::<Vec<_>>());
    assert_eq!(notes.len(), 1, "{:?}", scene.world);
}

#[test]
fn one_that_is_linked_by_its_identity_alone_is_found_in_a_listing() {
    // With the outcome of the create its link to b is lost: the record is known on a alone.
    let (place, plan, world, now) = damaged_of(&["a", "b"], false, LOST);
    let mut scene = Scene::open(&place.path().join("new"), &plan, world, now);
    assert_eq!(scene.state().sides.get(&side("b")).and_then(|part| part.id.clone()), None);
    assert!(matches!(scene.take_up(), Reply::Made(_)));
    scene.run(Wake::Start);
    scene.poll_all();
    assert_eq!((scene.has("a").len(), scene.has("b").len()), (1, 1), "{:?}", scene.world);
    assert_eq!(scene.state().sides.get(&side("b")).unwrap().id, Some(native(LOST)));
    assert_eq!(scene.sent(), [""; 0]);
    scene.assert_replayed(&plan);
}

#[test]
fn what_is_not_held_or_has_nothing_to_be_read_is_refused_in_words() {
    let (place, plan, world, now) = damaged(&["a", "b"], false);
    let mut scene = Scene::open(&place.path().join("new"), &plan, world, now);
    scene.run(Wake::Start);
    assert!(matches!(scene.take_up(), Reply::Made(_)));
    let Reply::Refused(why) = scene.take_up() else { panic!() };
    assert!(why.contains("is not held"), "{why}");

    let (place, plan, world, now) = damaged(&["a", "c"], false);
    let mut blind = Plan::clone(&plan);
    blind.collections.get_mut(&item()).unwrap().sides.remove(&side("a"));
    let mut scene = Scene::open(&place.path().join("new"), &Arc::new(blind), world, now);
    scene.run(Wake::Start);
    let Reply::Refused(why) = scene.take_up() else { panic!() };
    assert!(why.contains("can be read"), "{why}");
}
