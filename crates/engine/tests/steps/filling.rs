//! While a side is being filled, what a poll of it brings is what was written there just now:
//! then polls get a small share of the time, and no longer than that.

use crate::stage::{self, item, native, side};
use hms_sync_changelog::{Log, MemoryDisk};
use hms_sync_connector::{Abilities, Content, Observation, Page};
use hms_sync_engine::{CollectionSide, Effect, Machine, Now, Plan, SidePlan, Wake};
use hms_sync_model::{Outcome, RecordId, SideName, Time, Written};
use serde_json::json;
use std::sync::Arc;
use std::time::Duration;

const SECOND: i64 = 1_000_000;
const RECORDS: usize = 60;

/// What is read from `a` is created on `b`, a few at a time; `b` is polled every second.
fn plan() -> Arc<Plan> {
    let part = |abilities, poll_interval| CollectionSide {
        shape: stage::texts(&["n"]),
        poll_interval,
        ..stage::part(abilities)
    };
    let reads = Abilities { read: true, ..Abilities::default() };
    let (a, b) = (part(reads, None), part(Abilities { create: true, ..reads }, Some(Duration::from_secs(1))));
    let mut plan = stage::plan(item(), stage::collection([(side("a"), a), (side("b"), b)]));
    plan.sides.insert(side("b"), SidePlan { in_flight_max: 1, ..SidePlan::default() });
    Arc::new(plan)
}

struct World {
    machine: Machine,
    log: Log,
    second: i64,
    /// Passes that wait for a page.
    asked: Vec<(SideName, u64)>,
    /// Creates without an answer.
    open: Vec<(RecordId, u64)>,
    made: usize,
}

impl World {
    fn step(&mut self, wake: Wake) {
        let micros = self.second * SECOND + 1;
        let now = Now { wall: Time(1_700_000_000 * SECOND + micros), mono: Time(micros) };
        for effect in self.machine.step(wake, now).unwrap() {
            match effect {
                Effect::Append(events) => self.log.append(&events).unwrap(),
                Effect::Read { side, pass, .. } => self.asked.push((side, pass)),
                Effect::Write { record, version, .. } => self.open.push((record, version)),
                Effect::Tell(_) => {}
                other => panic!("{other:?}"),
            }
        }
    }

    /// Answers all that was asked: `a` has records, `b` has nothing new.
    fn show(&mut self) {
        for (of, pass) in std::mem::take(&mut self.asked) {
            let record = |n: usize| Observation {
                id: native(&n.to_string()),
                tag: None,
                modified: None,
                content: Content::Whole(json!({ "n": n.to_string() })),
            };
            let records = if of == side("a") { (0..RECORDS).map(record).collect() } else { Vec::new() };
            let result = Ok(Page { records, ..Page::default() }.into());
            self.step(Wake::Page { side: of, collection: item(), pass, result });
        }
    }

    fn write_all(&mut self) {
        while let Some((record, version)) = self.open.pop() {
            self.made += 1;
            let id = native(&format!("b{}", self.made));
            let outcome = Outcome::Applied(Written { id, tag: None, stored: None });
            self.step(Wake::Wrote { record, side: side("b"), version, outcome });
        }
    }

    /// At which of these seconds `b` is asked, if nothing else happens.
    fn polls(&mut self, seconds: std::ops::Range<i64>) -> Vec<i64> {
        let mut found = Vec::new();
        for second in seconds {
            self.second = second;
            self.step(Wake::Timer);
            if !self.asked.is_empty() {
                found.push(second);
                break;
            }
        }
        found
    }
}

#[test]
fn polls_of_a_side_that_is_being_filled_rest_until_it_is_full() {
    let log = Log::on(MemoryDisk::new()).unwrap();
    let machine = Machine::open(plan(), log.clone(), 1).unwrap();
    let mut world = World { machine, log, second: 0, asked: Vec::new(), open: Vec::new(), made: 0 };
    world.step(Wake::Start);
    world.show();
    world.step(Wake::Timer);
    assert!(!world.open.is_empty() && world.open.len() < RECORDS, "{}", world.open.len());
    assert_eq!(world.polls(1..9), [1]);
    // The poll takes a second: the next one comes four seconds later.
    world.second = 2;
    world.show();
    assert_eq!(world.polls(3..30), [6]);
    world.second = 7;
    world.show();
    let next = world.machine.next_timer(Time(7 * SECOND + 1));
    assert_eq!(next, Some(Time(11 * SECOND + 1)), "nobody is woken for a poll that rests");
    assert_eq!(world.polls(8..10), [] as [i64; 0]);
    world.write_all();
    assert_eq!(world.made, RECORDS);
    assert_eq!(world.polls(10..30), [10], "nothing waits any more");
}
