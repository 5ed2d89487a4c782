//! What a page shows that is of a file made earlier: it is older than what became known since,
//! and no edit then. Only that: what it shows of other records is taken in as ever.

use crate::stage::{self, item, native, side};
use hms_sync_changelog::{Log, MemoryDisk};
use hms_sync_connector::{Abilities, Content, Observation, Page};
use hms_sync_engine::{CollectionSide, Effect, Machine, Now, Wake};
use hms_sync_model::{Body, Time};
use serde_json::json;
use std::sync::Arc;
use std::time::Duration;

const MINUTE: i64 = 60_000_000;

struct World {
    log: Log,
    machine: Machine,
    mono: i64,
    pass: Option<u64>,
}

impl World {
    fn new() -> Self {
        let abilities = Abilities { read: true, ..Abilities::default() };
        let part = CollectionSide {
            shape: stage::texts(&["n"]),
            poll_interval: Some(Duration::from_mins(1)),
            ..stage::part(abilities)
        };
        let plan = stage::plan(item(), stage::collection([(side("a"), part)]));
        let log = Log::on(MemoryDisk::new()).unwrap();
        let machine = Machine::open(Arc::new(plan), log.clone(), 1).unwrap();
        let mut world = Self { log, machine, mono: 1, pass: None };
        world.step(Wake::Start);
        world
    }

    fn step(&mut self, wake: Wake) {
        self.mono += 1;
        let now = Now { wall: Time(1_700_000_000_000_000 + self.mono), mono: Time(self.mono) };
        for effect in self.machine.step(wake, now).unwrap() {
            match effect {
                Effect::Append(events) => self.log.append(&events).unwrap(),
                Effect::Read { pass, .. } => self.pass = Some(pass),
                _ => {}
            }
        }
    }

    /// Shows records at the next poll; answers how many edits that made.
    fn show(&mut self, records: &[(&str, &str)], age: Duration) -> usize {
        while self.pass.is_none() {
            self.mono += MINUTE;
            self.step(Wake::Timer);
        }
        let pass = self.pass.take().unwrap();
        let head = self.log.head();
        let record = |(id, n): &(&str, &str)| {
            let content = Content::Whole(json!({ "n": n }));
            Observation { id: native(id), tag: None, modified: None, content }
        };
        let records = records.iter().map(record).collect();
        let result = Ok(Page { records, age, ..Page::default() }.into());
        self.step(Wake::Page { side: side("a"), collection: item(), pass, result });
        while self.machine.next_timer(Time(self.mono)).is_some_and(|at| at <= Time(self.mono)) {
            self.step(Wake::Timer);
        }
        let events = self.log.events(head + 1, usize::MAX).unwrap();
        events.iter().filter(|(_, event)| matches!(event.body, Body::Edited { .. })).count()
    }
}

#[test]
fn a_file_that_was_begun_before_an_edit_does_not_undo_it() {
    let mut world = World::new();
    assert_eq!(world.show(&[("1", "a"), ("2", "a")], Duration::ZERO), 2);
    assert_eq!(world.show(&[("1", "b"), ("2", "a")], Duration::ZERO), 1);
    // Asked for three minutes ago: before the edit of 1.
    assert_eq!(world.show(&[("1", "a"), ("2", "a")], Duration::from_mins(3)), 0);
    assert_eq!(
        world.show(&[("1", "b"), ("2", "c")], Duration::from_secs(1)),
        1,
        "of the other record it tells"
    );
    assert_eq!(world.show(&[("1", "a"), ("2", "c")], Duration::from_secs(1)), 1, "somebody put it back");
}
