//! What stands as it did earlier is put by until the pass has ended; a process that dies
//! meanwhile reads it again.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, reason = "tests may panic")]

use hms_sync_changelog::{Log, MemoryDisk};
use hms_sync_connector::{Abilities, Content, Cursor, Observation, Page, PageToken, ReadRequest, Scope};
use hms_sync_engine::{
    CollectionPlan, CollectionSide, Effect, Guard, Machine, Now, Plan, Shape, SidePlan, Wake,
};
use hms_sync_model::{CollectionName, NativeId, SideName, Time};
use serde_json::json;
use std::sync::Arc;
use std::time::Duration;

const START: i64 = 1_700_000_000_000_000;
const MINUTE: i64 = 60_000_000;

fn key() -> (SideName, CollectionName) {
    (SideName::try_new("a").unwrap(), CollectionName::try_new("item").unwrap())
}

fn plan(max_regressions: usize) -> Arc<Plan> {
    let (side, collection) = key();
    let abilities = Abilities { read: true, incremental: true, ..Abilities::default() };
    let plain = CollectionSide::new(abilities, Shape::Document);
    let part = CollectionSide { poll_interval: Some(Duration::from_mins(1)), ..plain };
    let guard = Guard { max_regressions, max_regressions_percent: 0, ..Guard::default() };
    let of = CollectionPlan { guard, ..CollectionPlan::new([(side.clone(), part)]) };
    let mut plan = Plan::new("Test");
    plan.sides.insert(side, SidePlan::default());
    plan.collections.insert(collection, of);
    Arc::new(plan)
}

/// A side that answers each request with the pages it is given, and the machine.
struct Scene {
    machine: Machine,
    plan: Arc<Plan>,
    log: Log,
    minute: i64,
    /// What was asked for and is not answered yet.
    asked: Vec<(u64, ReadRequest)>,
}

impl Scene {
    fn new(max_regressions: usize) -> Self {
        let (plan, log) = (plan(max_regressions), Log::on(MemoryDisk::new()).unwrap());
        let machine = Machine::open(Arc::clone(&plan), log.clone(), 1).unwrap();
        let mut scene = Self { machine, plan, log, minute: 0, asked: Vec::new() };
        scene.step(Wake::Start);
        scene
    }

    fn step(&mut self, wake: Wake) {
        let now = Now { wall: Time(START + self.minute * MINUTE), mono: Time(self.minute * MINUTE) };
        for effect in self.machine.step(wake, now).unwrap() {
            match effect {
                Effect::Append(events) => self.log.append(&events).unwrap(),
                Effect::Read { pass, request, .. } => self.asked.push((pass, request)),
                _ => {}
            }
        }
    }

    /// The next request, some time later.
    fn request(&mut self) -> ReadRequest {
        while self.asked.is_empty() {
            self.minute += 1;
            self.step(Wake::Timer);
        }
        self.asked[0].1.clone()
    }

    /// A page with records of these ids and contents.
    fn page(&mut self, records: &[(&str, &str)], cursor: &str, next: Option<&str>) {
        self.request();
        let (pass, _) = self.asked.remove(0);
        let seen = |(id, content): &(&str, &str)| Observation {
            id: NativeId::try_new(*id).unwrap(),
            tag: None,
            modified: None,
            content: Content::Whole(json!({ "content": content })),
        };
        let page = Page {
            records: records.iter().map(seen).collect(),
            cursor: Some(Cursor(cursor.to_owned())),
            next: next.map(|next| PageToken(next.to_owned())),
            ..Page::default()
        };
        let (side, collection) = key();
        self.step(Wake::Page { side, collection, pass, result: Ok(page.into()) });
    }

    /// The process dies, and another takes over.
    fn dies(&mut self) {
        self.asked.clear();
        self.machine = Machine::open(Arc::clone(&self.plan), self.log.clone(), 2).unwrap();
        self.minute += 60;
        self.step(Wake::Start);
    }

    fn edits(&self) -> u64 {
        let events = self.log.events(1, 1_000).unwrap();
        let edits =
            events.iter().filter(|(_, event)| matches!(event.body, hms_sync_model::Body::Edited { .. }));
        edits.count() as u64
    }

    /// Records 1 to 3 with their second content.
    fn with_second_contents(max_regressions: usize) -> Self {
        let mut scene = Self::new(max_regressions);
        scene.page(&[("1", "a"), ("2", "a"), ("3", "a")], "c1", None);
        scene.page(&[("1", "b"), ("2", "b"), ("3", "b")], "c2", None);
        assert_eq!(scene.edits(), 6);
        scene
    }
}

#[test]
fn the_cursor_does_not_go_past_what_is_put_by() {
    let mut scene = Scene::with_second_contents(2);
    scene.page(&[("1", "a")], "c3", Some("2"));
    assert_eq!((scene.request().after, scene.edits()), (Some(PageToken("2".into())), 6));
    scene.dies();
    assert_eq!(scene.request().scope, Scope::Since(Cursor("c2".into())));
    scene.page(&[("1", "a")], "c3", Some("2"));
    scene.page(&[("2", "c")], "c4", None);
    assert_eq!(scene.edits(), 8, "both are edits");
    assert_eq!(scene.request().scope, Scope::Since(Cursor("c4".into())));
    assert!(scene.machine.parked(None, 10).unwrap().is_empty());
}

#[test]
fn what_is_put_by_over_several_pages_is_counted_together() {
    let mut scene = Scene::with_second_contents(1);
    scene.page(&[("1", "a")], "c3", Some("2"));
    assert!(scene.machine.parked(None, 10).unwrap().is_empty());
    scene.page(&[("2", "a"), ("3", "c")], "c4", None);
    assert_eq!(scene.machine.parked(None, 10).unwrap()[0].reason, "regression");
    // Not even what is new, for the side is not what it was.
    assert_eq!(scene.edits(), 6);
    scene.dies();
    scene.page(&[("3", "d"), ("4", "a")], "c5", None);
    assert_eq!(scene.edits(), 6);
}

#[test]
fn what_each_pass_puts_by_is_counted_alone() {
    let mut scene = Scene::with_second_contents(1);
    scene.page(&[("1", "a")], "c3", None);
    scene.page(&[("2", "a")], "c4", None);
    assert_eq!(scene.edits(), 8);
    assert!(scene.machine.parked(None, 10).unwrap().is_empty());
}
