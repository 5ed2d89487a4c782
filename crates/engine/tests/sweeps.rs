//! A side whose webhooks come is asked for changes at another pace, and only as long as
//! they come.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, reason = "tests may panic")]

use hms_sync_changelog::{Log, MemoryDisk};
use hms_sync_connector::{Abilities, Delivery, Page};
use hms_sync_engine::{
    CollectionPlan, CollectionSide, Effect, Guard, Machine, Now, Plan, ReplyTo, Shape, SidePlan, Wake,
};
use hms_sync_model::{CollectionName, SideName, Time, VecMap};
use hms_sync_resolver::Rules;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

const START: i64 = 1_700_000_000_000_000;
const MINUTE: i64 = 60_000_000;

fn key() -> (SideName, CollectionName) {
    (SideName::try_new("a").unwrap(), CollectionName::try_new("item").unwrap())
}

fn plan() -> Arc<Plan> {
    let (side, collection) = key();
    let part = CollectionSide {
        abilities: Abilities { read: true, ..Abilities::default() },
        shape: Shape::Document,
        poll_interval: Some(Duration::from_mins(1)),
        full_interval: None,
        settle_window: Duration::ZERO,
        on_altered: hms_sync_engine::OnAltered::default(),
        on_missing: hms_sync_engine::OnMissing::Deleted,
        read_back: false,
    };
    let of = CollectionPlan {
        identity: Vec::new(),
        rules: Rules::default(),
        sides: [(side.clone(), part)].into_iter().collect::<VecMap<_, _>>(),
        guard: Guard::default(),
        recreate: hms_sync_engine::Recreate::default(),
        personal: BTreeSet::new(),
    };
    let mut plan = Plan::new("Test");
    plan.sides.insert(side, SidePlan::default());
    plan.collections.insert(collection, of);
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
                self.step(Wake::Page { side, collection, pass, result: Ok(page) }, minute);
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
