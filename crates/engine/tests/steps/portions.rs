//! A page of a first listing is taken in by portions: what the first records of it need
//! leaves while the others wait, and the next page is asked for when all are in.

use crate::stage::{self, item, job, native, side};
use hms_sync_changelog::{Log, MemoryDisk};
use hms_sync_connector::{Abilities, Content, Observation, Page, PageToken};
use hms_sync_engine::{CollectionSide, Effect, Machine, Now, Plan, Wake};
use hms_sync_model::Time;
use serde_json::json;
use std::sync::Arc;
use std::time::Duration;

const RECORDS: usize = 200;

/// One side that is listed, and a handler for each record of it.
fn plan() -> Arc<Plan> {
    let abilities = Abilities { read: true, ..Abilities::default() };
    let part = CollectionSide { poll_interval: Some(Duration::from_mins(1)), ..stage::part(abilities) };
    let mut plan = stage::plan(item(), stage::collection([(side("a"), part)]));
    plan.jobs.insert(job(), stage::handler(item(), RECORDS));
    Arc::new(plan)
}

struct World {
    log: Log,
    machine: Machine,
    mono: i64,
}

impl World {
    fn on(log: Log) -> Self {
        Self { machine: Machine::open(plan(), log.clone(), 1).unwrap(), log, mono: 1 }
    }

    fn now(&self) -> Now {
        Now { wall: Time(1_700_000_000_000_000 + self.mono), mono: Time(self.mono) }
    }

    /// One step; answers with the pages that are asked for and the handlers that are called.
    fn step(&mut self, wake: Wake) -> (Vec<(u64, Option<PageToken>)>, usize) {
        self.mono += 1;
        let (mut asked, mut called) = (Vec::new(), 0);
        for effect in self.machine.step(wake, self.now()).unwrap() {
            match effect {
                Effect::Append(events) => self.log.append(&events).unwrap(),
                Effect::Read { pass, request, .. } => asked.push((pass, request.after)),
                Effect::Handle { .. } => called += 1,
                Effect::Tell(_) => {}
                other => panic!("{other:?}"),
            }
        }
        (asked, called)
    }

    fn page(pass: u64) -> Wake {
        let record = |n: usize| Observation {
            id: native(&n.to_string()),
            tag: None,
            modified: None,
            content: Content::Whole(json!({ "id": n })),
        };
        let records = (0..RECORDS).map(record).collect();
        let next = Some(PageToken("2".to_owned()));
        let result = Ok(Page { records, next, ..Page::default() });
        Wake::Page { side: side("a"), collection: item(), pass, result }
    }

    fn is_due(&self) -> bool {
        self.machine.next_timer(Time(self.mono)).is_some_and(|at| at <= Time(self.mono))
    }
}

#[test]
fn what_the_first_records_of_a_page_need_leaves_before_the_others_are_looked_at() {
    let mut world = World::on(Log::on(MemoryDisk::new()).unwrap());
    let (asked, _) = world.step(Wake::Start);
    assert_eq!(asked[0].1, None);
    let (next, mut called) = world.step(World::page(asked[0].0));
    assert!(0 < called && called < RECORDS && next.is_empty(), "{called} {next:?}");
    while called < RECORDS {
        assert!(world.is_due());
        let (next, more) = world.step(Wake::Timer);
        called += more;
        assert_eq!((more > 0, next.is_empty()), (true, called < RECORDS), "{called}");
        if let [(_, after)] = &*next {
            assert_eq!(*after, Some(PageToken("2".to_owned())));
        }
    }
    assert!(!world.is_due());
}

#[test]
fn a_page_that_was_cut_short_is_read_again() {
    let disk = MemoryDisk::new();
    let mut world = World::on(Log::on(disk.clone()).unwrap());
    let (asked, _) = world.step(Wake::Start);
    let (_, called) = world.step(World::page(asked[0].0));
    drop(world);
    let mut world = World::on(Log::on(disk).unwrap());
    let (asked, again) = world.step(Wake::Start);
    assert_eq!((asked.len(), asked[0].1.as_ref(), again), (1, None, called));
}
