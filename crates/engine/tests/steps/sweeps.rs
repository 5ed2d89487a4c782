//! A side whose webhooks come is asked for changes at another pace, and only as long as
//! they come.

use crate::stage;
use hms_sync_changelog::{Log, MemoryDisk};
use hms_sync_connector::{Abilities, Delivery, Page};
use hms_sync_engine::{CollectionSide, Effect, Machine, Now, Plan, ReplyTo, Wake};
use hms_sync_model::{CollectionName, SideName, Time};
use std::sync::Arc;
use std::time::Duration;

const START: i64 = 1_700_000_000_000_000;
const MINUTE: i64 = 60_000_000;

fn key() -> (SideName, CollectionName) {
    (stage::side("a"), stage::item())
}

fn plan() -> Arc<Plan> {
    let (side, name) = key();
    let abilities = Abilities { read: true, ..Abilities::default() };
    let part = CollectionSide { poll_interval: Some(Duration::from_mins(1)), ..stage::part(abilities) };
    let mut plan = stage::plan(name, stage::collection([(side, part)]));
    plan.sweeps.insert(key(), Duration::from_hours(1));
    Arc::new(plan)
}

/// The machine, and the minutes at which it asks.
struct Watch {
    machine: Machine,
    asked: Vec<i64>,
}

impl Watch {
    fn step(&mut self, wake: Wake, minute: i64) {
        let now = Now { wall: Time(START + minute * MINUTE), mono: Time(minute * MINUTE) };
        for effect in self.machine.step(wake, now).unwrap() {
            if let Effect::Read { pass, .. } = effect {
                self.asked.push(minute);
                let page = Page::default();
                let (side, collection) = key();
                self.step(Wake::Page { side, collection, pass, result: Ok(page.into()) }, minute);
            }
        }
    }

    fn webhook(&mut self, minute: i64) {
        let (side, collection) = key();
        let delivery =
            Delivery { message: Some(format!("msg_{minute}")), records: Vec::new(), hints: Vec::new() };
        self.step(Wake::Webhook { side, collection, delivery, reply: ReplyTo(1) }, minute);
    }

    fn until(&mut self, from: i64, to: i64, webhooks_every: Option<i64>) -> Vec<i64> {
        self.asked.clear();
        for minute in from..to {
            if webhooks_every.is_some_and(|every| minute % every == 0) {
                self.webhook(minute);
            }
            self.step(Wake::Timer, minute);
        }
        std::mem::take(&mut self.asked)
    }
}

#[test]
fn a_side_that_tells_by_itself_is_asked_seldom() {
    let machine = Machine::open(plan(), Log::on(MemoryDisk::new()).unwrap(), 1).unwrap();
    let mut watch = Watch { machine, asked: Vec::new() };
    watch.step(Wake::Start, 0);
    assert_eq!(watch.until(1, 6, None), [1, 2, 3, 4, 5], "every minute while none come");
    let told = watch.until(6, 200, Some(10));
    assert!(told.len() <= 8 && told.windows(2).skip(5).all(|two| two[1] - two[0] == 60), "{told:?}");
    let again = watch.until(200, 330, None);
    let tail: Vec<_> = (320..330).collect();
    assert!(again.ends_with(&tail), "every minute once none has come for an hour: {again:?}");
}
