//! A page of a first listing is taken in by portions: what the first records of it need
//! leaves while the others wait. The next page of a listing is on its way meanwhile, and
//! no more than that one.

use crate::stage::{self, item, job, native, side};
use hms_sync_changelog::{Log, MemoryDisk, Sealed};
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
    plan.jobs.insert(job(), stage::handler(item(), 100 * RECORDS));
    Arc::new(plan)
}

struct World {
    log: Log,
    machine: Machine,
    mono: i64,
    /// Events that are not durable yet, while the log lags.
    lagging: Option<Vec<Sealed>>,
}

impl World {
    fn on(log: Log) -> Self {
        Self::under(plan(), log)
    }

    fn under(plan: Arc<Plan>, log: Log) -> Self {
        Self { machine: Machine::open(plan, log.clone(), 1).unwrap(), log, mono: 1, lagging: None }
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
                Effect::Append(events) => match &mut self.lagging {
                    Some(lagging) => lagging.extend(events),
                    None => self.log.append(&events).unwrap(),
                },
                Effect::Read { pass, request, .. } => asked.push((pass, request.after)),
                Effect::Handle { .. } => called += 1,
                Effect::Tell(_) => {}
                other => panic!("{other:?}"),
            }
        }
        (asked, called)
    }

    fn page(pass: u64) -> Wake {
        Self::page_of(pass, 0, "2")
    }

    /// A page that begins with a record, and what comes after it.
    fn page_of(pass: u64, first: usize, next: &str) -> Wake {
        let record = |n: usize| Observation {
            id: native(&n.to_string()),
            tag: None,
            modified: None,
            content: Content::Whole(json!({ "id": n })),
        };
        let records = (first..first + RECORDS).map(record).collect();
        let next = Some(PageToken(next.to_owned()));
        let result = Ok(Page { records, next, ..Page::default() }.into());
        Wake::Page { side: side("a"), collection: item(), pass, result }
    }

    /// The last page of a listing.
    fn last(pass: u64) -> Wake {
        Wake::Page { side: side("a"), collection: item(), pass, result: Ok(Page::default().into()) }
    }

    /// What is still to be taken in, a portion a step. Answers with the handlers that were called by
    /// then, and the pages that were asked for.
    fn rest(&mut self, mut called: usize) -> (usize, Vec<(u64, Option<PageToken>)>) {
        let mut asked = Vec::new();
        while self.is_due() {
            let (next, more) = self.step(Wake::Timer);
            assert!(more < RECORDS, "{more} in one step");
            called += more;
            asked.extend(next);
        }
        (called, asked)
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
    let (next, called) = world.step(World::page(asked[0].0));
    assert!(0 < called && called < RECORDS, "{called}");
    assert_eq!(next, [(asked[0].0, Some(PageToken("2".to_owned())))], "it is asked for ahead");
    assert_eq!(world.rest(called), (RECORDS, Vec::new()));
    assert!(!world.is_due());
}

#[test]
fn a_page_that_comes_before_its_turn_waits_for_it() {
    let mut world = World::on(Log::on(MemoryDisk::new()).unwrap());
    let (asked, _) = world.step(Wake::Start);
    let pass = asked[0].0;
    let (_, called) = world.step(World::page(pass));
    let (next, none) = world.step(World::page_of(pass, RECORDS, "3"));
    assert_eq!((next, none), (Vec::new(), 0), "nothing is asked for before its turn has come");
    let (called, next) = world.rest(called);
    assert_eq!((called, next), (2 * RECORDS, vec![(pass, Some(PageToken("3".to_owned())))]));
    assert_eq!(world.machine.status().unwrap().counts.observations, 2 * RECORDS as u64);
    assert!(!world.is_due());
}

#[test]
fn the_next_page_of_a_listing_of_what_is_known_is_on_its_way_before_this_one_is_taken_in() {
    let mut world = World::on(Log::on(MemoryDisk::new()).unwrap());
    let mut pass = world.step(Wake::Start).0[0].0;
    for turn in 0..2 {
        let before = world.machine.status().unwrap().counts.observations;
        let (next, called) = world.step(World::page(pass));
        assert_eq!((next.len(), called > 0), (1, turn == 0));
        let after = world.machine.status().unwrap().counts.observations;
        assert_eq!(after > before, turn == 0, "a first listing begins at once, by portions");
        world.rest(called);
        // Where nothing was known nothing can be missing: only of later ones is it kept what they showed.
        assert_eq!(format!("{:?}", world.machine).contains("seen: Seen { parts: [] }"), turn == 0);
        world.step(World::last(pass));
        // The next listing.
        world.mono += 61_000_000;
        if turn == 0 {
            pass = world.step(Wake::Timer).0[0].0;
        }
    }
    assert_eq!(world.machine.status().unwrap().counts.observations, 2 * RECORDS as u64);
}

#[test]
fn no_more_is_taken_in_than_the_log_can_make_durable() {
    let mut world = World::on(Log::on(MemoryDisk::new()).unwrap());
    let pass = world.step(Wake::Start).0[0].0;
    world.lagging = Some(Vec::new());
    let mut pages = 0;
    while pages < 20 {
        world.step(World::page_of(pass, pages * RECORDS, "more"));
        world.rest(0);
        pages += 1;
    }
    let taken_in = world.machine.status().unwrap().counts.observations;
    assert!(taken_in > 1_000 && taken_in < 3_000, "{taken_in} of {} were taken in", pages * RECORDS);
    assert!(!world.is_due(), "it waits until they are durable");
    let events = world.lagging.take().unwrap();
    world.log.append(&events).unwrap();
    assert!(world.is_due());
    world.rest(0);
    assert!(world.machine.status().unwrap().counts.observations > taken_in);
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

#[test]
fn what_stands_otherwise_in_a_later_listing_is_taken_in_by_portions_and_what_does_not_at_once() {
    let mut plan = Plan::clone(&plan());
    plan.jobs.clear();
    let mut world = World::under(Arc::new(plan), Log::on(MemoryDisk::new()).unwrap());
    let pass = world.step(Wake::Start).0[0].0;
    world.step(World::page(pass));
    world.rest(0);
    world.step(World::last(pass));
    let taken_in = |world: &World| world.machine.status().unwrap().counts.observations;
    for (turn, portions) in [(1, true), (2, true), (3, false)] {
        world.mono += 61_000_000;
        let pass = world.step(Wake::Timer).0[0].0;
        let record = |n: usize| Observation {
            id: native(&n.to_string()),
            tag: None,
            modified: None,
            content: Content::Whole(json!({ "id": n, "turn": turn.min(2) })),
        };
        let before = taken_in(&world);
        let result = Ok(Page { records: (0..RECORDS).map(record).collect(), ..Page::default() }.into());
        world.step(Wake::Page { side: side("a"), collection: item(), pass, result });
        let at_once = taken_in(&world) - before;
        assert_eq!(at_once < RECORDS as u64, portions, "{at_once} in turn {turn}");
        world.rest(0);
        assert_eq!(taken_in(&world) - before, RECORDS as u64);
    }
}
