//! A webhook that is sent again is known by its id for thirty days, and forgotten then.

use crate::stage::{self, item, native, side};
use hms_sync_changelog::{Log, MemoryDisk};
use hms_sync_connector::{Abilities, Content, Delivery, Observation};
use hms_sync_engine::{Effect, Machine, Now, Plan, ReplyTo, Wake};
use hms_sync_model::Time;
use serde_json::json;
use std::time::Duration;

const DAY: Duration = Duration::from_hours(24);

fn plan() -> Plan {
    let part = stage::part(Abilities::default());
    stage::plan(item(), stage::collection([(side("a"), part)]))
}

struct World {
    machine: Machine,
    log: Log,
    mono: Time,
}

impl World {
    /// Takes in the message of this number; answers whether it was known.
    fn hear(&mut self, n: usize) -> bool {
        let before = self.machine.status().unwrap().counts.duplicate_webhooks;
        let id = native(&(n % 5).to_string());
        let content = Content::Whole(json!({ "id": n % 5, "n": n }));
        let record = Observation { id, tag: None, modified: None, content };
        let delivery = Delivery { message: Some(format!("m{n}")), records: vec![record], hints: Vec::new() };
        let wake = Wake::Webhook { side: side("a"), collection: item(), delivery, reply: ReplyTo(n as u64) };
        self.mono = self.mono.plus(Duration::from_millis(1));
        let now = Now { wall: Time(1_790_000_000_000_000 + self.mono.0), mono: self.mono };
        for effect in self.machine.step(wake, now).unwrap() {
            match effect {
                Effect::Append(events) => self.log.append(&events).unwrap(),
                Effect::Reply { .. } | Effect::Tell(_) | Effect::Save(_) => {}
                other => panic!("{other:?}"),
            }
        }
        self.machine.status().unwrap().counts.duplicate_webhooks > before
    }

    fn pass(&mut self, days: u32) {
        self.mono = self.mono.plus(DAY * days);
    }
}

#[test]
fn what_was_heard_is_known_for_thirty_days_and_forgotten_then() {
    let log = Log::on(MemoryDisk::new()).unwrap();
    let machine = Machine::open(plan().into(), log.clone(), 1).unwrap();
    let mut world = World { machine, log, mono: Time(1) };
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
