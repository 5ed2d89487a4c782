//! A start after a crash: what had not been saved is read once, and what is in step is left alone.

use crate::stage::{self, item, native, side};
use hms_sync_changelog::{Log, MemoryDisk};
use hms_sync_connector::{Abilities, Content, Observation, Page};
use hms_sync_engine::{CollectionSide, Effect, Machine, Now, Plan, Wake};
use hms_sync_model::{Outcome, RecordId, Time, Written};
use serde_json::json;
use std::sync::Arc;
use std::time::Duration;

const RECORDS: usize = 200;

/// What is listed on one side is made on the other, all of it at once.
fn plan() -> Arc<Plan> {
    let read = Abilities { read: true, ..Abilities::default() };
    let write = Abilities { create: true, idempotency_key: true, ..Abilities::default() };
    let part = |abilities, poll_interval| CollectionSide {
        shape: stage::texts(&["no"]),
        poll_interval,
        ..stage::part(abilities)
    };
    let minute = Some(Duration::from_mins(1));
    let of = stage::collection([(side("a"), part(read, minute)), (side("b"), part(write, None))]);
    let mut plan = stage::plan(item(), of);
    if let Some(b) = plan.sides.get_mut(&side("b")) {
        b.in_flight_max = 2 * RECORDS;
    }
    Arc::new(plan)
}

struct World {
    log: Log,
    machine: Machine,
    mono: i64,
}

impl World {
    fn on(log: Log) -> Self {
        Self::under(plan(), log)
    }

    fn under(plan: Arc<Plan>, log: Log) -> Self {
        Self { machine: Machine::open(plan, log.clone(), 1).unwrap(), log, mono: 1 }
    }

    /// One step. Answers with the writes that are asked for, and the pass of a page that is.
    fn step(&mut self, wake: Wake) -> (Vec<(RecordId, u64)>, Option<u64>) {
        self.mono += 1;
        let now = Now { wall: Time(1_700_000_000_000_000 + self.mono), mono: Time(self.mono) };
        let (mut writes, mut asked) = (Vec::new(), None);
        for effect in self.machine.step(wake, now).unwrap() {
            match effect {
                Effect::Append(events) => self.log.append(&events).unwrap(),
                Effect::Write { record, version, .. } => writes.push((record, version)),
                Effect::Read { pass, .. } => asked = Some(pass),
                _ => {}
            }
        }
        (writes, asked)
    }

    fn wrote(&mut self, (record, version): (RecordId, u64)) {
        let id = native(record.as_str());
        let outcome = Outcome::Applied(Written { id, tag: None, stored: None });
        self.step(Wake::Wrote { record, side: side("b"), version, outcome });
    }

    /// Lists all records and saves the views. Answers with the writes that they need.
    fn list(&mut self) -> Vec<(RecordId, u64)> {
        let (_, pass) = self.step(Wake::Start);
        let records = (0..RECORDS).map(|n| Observation {
            id: native(&n.to_string()),
            tag: None,
            modified: None,
            content: Content::Whole(json!({ "no": n.to_string() })),
        });
        let page = Page { records: records.collect(), ..Page::default() };
        let page =
            Wake::Page { side: side("a"), collection: item(), pass: pass.unwrap(), result: Ok(page.into()) };
        let (mut writes, _) = self.step(page);
        while writes.len() < RECORDS {
            writes.extend(self.step(Wake::Timer).0);
        }
        let (changes, upto) = self.machine.save_all().unwrap();
        self.log.save_views(&changes, upto).unwrap();
        writes
    }
}

#[test]
fn a_start_reads_no_event_twice() {
    let mut world = World::on(Log::on(MemoryDisk::new()).unwrap());
    let writes = world.list();
    let upto = world.log.head();
    writes.into_iter().for_each(|write| world.wrote(write));
    let (log, before) = (world.log.clone(), world.log.reads());
    drop(World::on(world.log));
    let read = log.reads() - before;
    assert!(log.head() - upto >= RECORDS as u64, "they follow the save");
    assert!(read <= log.head(), "{read} of {} events", log.head());
}

#[test]
fn only_what_waits_is_taken_up_after_a_start() {
    let mut world = World::on(Log::on(MemoryDisk::new()).unwrap());
    let mut writes = world.list();
    let waiting = writes.split_off(RECORDS - 50);
    writes.into_iter().for_each(|write| world.wrote(write));
    let mut world = World::on(world.log);
    assert_eq!(world.machine.status().unwrap().pending, 50);
    let (mut again, _) = world.step(Wake::Start);
    let mut expected = waiting;
    again.sort();
    expected.sort();
    assert_eq!(again, expected, "in the first step");
}

#[test]
fn under_another_plan_all_that_changed_is_looked_at() {
    let mut world = World::on(Log::on(MemoryDisk::new()).unwrap());
    let writes = world.list();
    writes.into_iter().for_each(|write| world.wrote(write));
    let mut other = Plan::clone(&plan());
    other.backlog_max += 1;
    assert_eq!(World::on(world.log.clone()).machine.status().unwrap().pending, 0);
    let world = World::under(other.into(), world.log);
    assert_eq!(world.machine.status().unwrap().pending, RECORDS);
}
