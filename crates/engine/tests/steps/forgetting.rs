//! A webhook that is sent again is known by its id for thirty days, and forgotten then. It
//! leaves one event, whichever: so it is durable whole or not at all.

use crate::stage::{self, item, native, side};
use hms_sync_changelog::{Archived, Log, MemoryDisk, Sealed};
use hms_sync_connector::{Abilities, Content, Delivery, Observation};
use hms_sync_engine::{Effect, Machine, Now, Plan, ReplyTo, Wake};
use hms_sync_model::{Kind, Time};
use serde_json::json;
use std::time::Duration;

const DAY: Duration = Duration::from_hours(24);

fn plan() -> Plan {
    let part = stage::part(Abilities::default());
    stage::plan(item(), stage::collection([(side("a"), part)]))
}

fn record(id: usize, n: usize) -> Observation {
    let content = Content::Whole(json!({ "id": id, "n": n }));
    Observation { id: native(&id.to_string()), tag: None, modified: None, content }
}

struct World {
    machine: Machine,
    log: Log,
    mono: Time,
}

impl World {
    fn on(log: Log, mono: Time) -> Self {
        Self { machine: Machine::open(plan().into(), log.clone(), 1).unwrap(), log, mono }
    }

    /// The next life of it, on nothing but the log.
    fn anew(self) -> Self {
        drop(self.machine);
        self.log.drop_views().unwrap();
        Self::on(self.log, self.mono)
    }

    fn now(&self) -> Now {
        Now { wall: Time(1_790_000_000_000_000 + self.mono.0), mono: self.mono }
    }

    /// Takes in the message of this number; answers whether it was known.
    fn hear(&mut self, n: usize) -> bool {
        let before = self.machine.status().unwrap().counts.duplicate_webhooks;
        self.take_in(n, vec![record(n % 5, n)]);
        self.machine.status().unwrap().counts.duplicate_webhooks > before
    }

    /// Takes in the message of this number, with these records.
    fn take_in(&mut self, n: usize, records: Vec<Observation>) {
        let events = self.told(n, records);
        self.log.append(&events).unwrap();
    }

    /// The events that the message of this number is to leave, with these records.
    fn told(&mut self, n: usize, records: Vec<Observation>) -> Vec<Sealed> {
        let mut told = Vec::new();
        let delivery = Delivery { message: Some(format!("m{n}")), records, hints: Vec::new() };
        let wake = Wake::Webhook { side: side("a"), collection: item(), delivery, reply: ReplyTo(n as u64) };
        self.mono = self.mono.plus(Duration::from_millis(1));
        for effect in self.machine.step(wake, self.now()).unwrap() {
            match effect {
                Effect::Append(events) => told.extend(events),
                Effect::Reply { .. } | Effect::Tell(_) | Effect::Save(_) => {}
                other => panic!("{other:?}"),
            }
        }
        told
    }

    /// What kinds of events came after the first `after`.
    fn kinds(&self, after: u64) -> Vec<Kind> {
        let events = self.log.events(after + 1, 100).unwrap();
        events.iter().map(|(_, event)| event.body.kind()).collect()
    }

    /// Drops the first events, up to `last` or a few fewer, as if they were archived.
    fn archive(&mut self, last: u64) {
        let (last, now) = (self.log.last_to_drop(last).unwrap().unwrap(), self.now());
        let mut after = None;
        loop {
            let (events, next) = self.machine.carry(last, after.as_ref(), 7, now).unwrap();
            self.log.append(&events).unwrap();
            after = next;
            if after.is_none() {
                break;
            }
        }
        let root = self.log.prover().head(last).unwrap().root.0;
        let until = self.log.event(last).unwrap().unwrap().1.at;
        let range =
            Archived { first: 1, last, at: now.wall, until, hash: [7; 32], root, file: "to-there".into() };
        let approval = self.machine.approve(&range, "me".into(), "asked".into(), now).unwrap().unwrap();
        self.log.drop_archived(&range, &approval).unwrap();
    }

    fn pass(&mut self, days: u32) {
        self.mono = self.mono.plus(DAY * days);
    }
}

#[test]
fn what_was_heard_is_known_for_thirty_days_and_forgotten_then() {
    let mut world = World::on(Log::on(MemoryDisk::new()).unwrap(), Time(1));
    // More than are looked at in one go, so that a round takes several.
    (0..1_000).for_each(|n| assert!(!world.hear(n)));
    assert!(world.hear(0) && world.hear(999));
    world.pass(29);
    // By now it is known that there are none to be forgotten for a day.
    (1_000..2_000).for_each(|n| assert!(!world.hear(n)));
    assert!(world.hear(0) && world.hear(999));
    world.pass(2);
    (2_000..3_000).for_each(|n| assert!(!world.hear(n)));
    assert!(!world.hear(0) && !world.hear(999), "they are forgotten");
    assert!(world.hear(1_000), "what is younger is not");
}

#[test]
fn a_webhook_of_one_record_leaves_one_event_and_is_known_by_it() {
    let mut world = World::on(Log::on(MemoryDisk::new()).unwrap(), Time(1));
    assert!(!world.hear(0));
    assert_eq!(world.kinds(0), [Kind::Edited, Kind::Received], "the stream begins with the first");
    assert!(!world.hear(1) && !world.hear(2));
    assert_eq!(world.kinds(2), [Kind::Edited, Kind::Edited]);
    assert!(world.hear(0) && world.hear(1) && world.hear(2));
    world = world.anew();
    assert!(world.hear(0) && world.hear(1) && world.hear(2), "the log alone says so");
    assert_eq!(world.log.head(), 4);
}

#[test]
fn a_webhook_that_no_event_of_a_record_tells_of_is_known_by_its_own() {
    let mut world = World::on(Log::on(MemoryDisk::new()).unwrap(), Time(1));
    assert!(!world.hear(0));
    let head = world.log.head();
    world.take_in(1, vec![record(0, 0)]);
    assert_eq!(world.kinds(head), [Kind::Received], "it says what is known");
    world.take_in(2, vec![record(0, 7), record(1, 7)]);
    assert_eq!(world.kinds(head + 1), [Kind::Edited, Kind::Edited, Kind::Received], "it says two things");
    world = world.anew();
    assert!(world.hear(1) && world.hear(2));
}

/// Once the message was known before its records were durable: sent again after a power cut
/// between them, it was passed over.
#[test]
fn a_webhook_of_which_a_power_cut_left_a_part_is_taken_in_when_it_comes_again() {
    for began in [false, true] {
        for left in 0.. {
            let mut world = World::on(Log::on(MemoryDisk::new()).unwrap(), Time(1));
            if began {
                assert!(!world.hear(0));
            }
            let events = world.told(1, vec![record(1, 1), record(2, 1), record(3, 1)]);
            let all = events.len();
            world.log.append(&events.into_iter().take(left).collect::<Vec<_>>()).unwrap();
            let mut world = world.anew();
            let before = world.machine.status().unwrap().counts.duplicate_webhooks;
            world.take_in(1, vec![record(1, 1), record(2, 1), record(3, 1)]);
            let known = world.machine.status().unwrap().counts.duplicate_webhooks > before;
            assert_eq!(known, left == all, "{left} of {all} events are left");
            for id in ["a:1", "a:2", "a:3"] {
                assert!(world.machine.find(id).unwrap().is_some(), "{id} with {left} of {all} events left");
            }
            if left == all {
                break;
            }
        }
    }
}

#[test]
fn what_archived_events_told_of_is_known_all_the_same() {
    let mut world = World::on(Log::on(MemoryDisk::new()).unwrap(), Time(1));
    (0..60).for_each(|n| assert!(!world.hear(n)));
    let mut world = world.anew();
    world.archive(world.log.head());
    assert!(world.log.dropped_upto() > 40, "up to {}", world.log.dropped_upto());
    let mut world = world.anew();
    (0..60).for_each(|n| assert!(world.hear(n), "{n}"));
}
