//! A pass goes on with the page that could not be read: a long listing need not begin anew
//! because one answer of thousands was a 503.

use crate::stage;
use hms_sync_changelog::{Log, MemoryDisk};
use hms_sync_connector::{Abilities, Content, Observation, Page, PageToken, ReadError};
use hms_sync_engine::{CollectionSide, Effect, Machine, Now, Plan, Wake};
use hms_sync_model::{CollectionName, SideName, Time};
use serde_json::json;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

const START: i64 = 1_700_000_000_000_000;
const SECOND: i64 = 1_000_000;

fn key() -> (SideName, CollectionName) {
    (stage::side("a"), stage::item())
}

fn plan(fetch: bool) -> Arc<Plan> {
    let (side, name) = key();
    let abilities = Abilities { read: true, fetch, ..Abilities::default() };
    let part = CollectionSide { full_interval: Some(Duration::from_hours(1)), ..stage::part(abilities) };
    Arc::new(stage::plan(name, stage::collection([(side, part)])))
}

struct World {
    machine: Machine,
    seconds: i64,
    /// Records that were asked for one by one.
    fetched: Vec<String>,
}

/// What is asked for: the pass, and the page.
type Asked = Option<(u64, Option<String>)>;

impl World {
    fn step(&mut self, wake: Wake) -> Asked {
        let now = Now { wall: Time(START + self.seconds * SECOND), mono: Time(self.seconds * SECOND) };
        let effects = self.machine.step(wake, now).unwrap();
        let mut asked = None;
        for effect in effects {
            match effect {
                Effect::Read { pass, request, .. } => {
                    asked = Some((pass, request.after.map(|token| token.0)));
                }
                Effect::Fetch { id, .. } => self.fetched.push(id.as_str().to_owned()),
                _ => {}
            }
        }
        asked
    }

    fn answer(&mut self, pass: u64, result: Result<Page, ReadError>) -> Asked {
        let (side, collection) = key();
        let result = result.map(Into::into);
        self.step(Wake::Page { side, collection, pass, result })
    }

    fn page(&mut self, pass: u64, next: &str) -> Asked {
        let next = Some(PageToken(next.to_owned()));
        self.answer(pass, Ok(Page { next, ..Page::default() }))
    }

    /// Waits until something is asked for.
    fn wait(&mut self, most: i64) -> (u64, Option<String>) {
        for _ in 0..most {
            self.seconds += 1;
            let due = self.machine.next_timer(Time(self.seconds * SECOND));
            if due.is_some_and(|at| at <= Time(self.seconds * SECOND))
                && let Some(asked) = self.step(Wake::Timer)
            {
                return asked;
            }
        }
        panic!("nothing is asked for within {most} seconds");
    }
}

fn later() -> Result<Page, ReadError> {
    Err(ReadError::Later { reason: "503".to_owned(), after: None })
}

#[test]
fn a_pass_goes_on_with_the_page_that_failed() {
    let machine = Machine::open(plan(false), Log::on(MemoryDisk::new()).unwrap(), 1).unwrap();
    let mut world = World { machine, seconds: 0, fetched: Vec::new() };
    let (pass, at) = world.step(Wake::Start).unwrap();
    assert_eq!(at, None);
    assert_eq!(world.page(pass, "2"), Some((pass, Some("2".to_owned()))));
    assert_eq!(world.answer(pass, later()), None, "not at once");
    assert_eq!(world.wait(5), (pass, Some("2".to_owned())));
    assert_eq!(world.answer(pass, later()), None);
    assert_eq!(world.wait(5), (pass, Some("2".to_owned())));
    assert_eq!(world.page(pass, "3"), Some((pass, Some("3".to_owned()))));
    // Where nothing came for long, too much may have moved: a first listing goes on from its
    // place for a minute, and then it begins anew.
    world.seconds += 61;
    assert_eq!(world.answer(pass, later()), None);
    let (again, at) = world.wait(60);
    assert_eq!((again > pass, at), (true, None));
    // So it does where the answer itself will not do.
    assert_eq!(world.page(again, "2"), Some((again, Some("2".to_owned()))));
    assert_eq!(world.answer(again, Err(ReadError::Broken { reason: "no list".to_owned() })), None);
    assert_eq!(world.wait(60).1, None);
}

/// What the side lists as gone is gone, unless the same pass showed it; where one record can be
/// asked for, it is asked.
#[test]
fn what_is_listed_as_gone_is_believed_or_asked_for() {
    let record = |n: usize| Observation {
        id: stage::native(&n.to_string()),
        tag: None,
        modified: None,
        content: Content::Whole(json!({ "id": n })),
    };
    for can_ask in [false, true] {
        let machine = Machine::open(plan(can_ask), Log::on(MemoryDisk::new()).unwrap(), 1).unwrap();
        let mut world = World { machine, seconds: 0, fetched: Vec::new() };
        let (pass, _) = world.step(Wake::Start).unwrap();
        let records = (1..=3).map(record).collect();
        let next = Some(PageToken("2".to_owned()));
        let gone = vec![stage::native("9")];
        assert!(world.answer(pass, Ok(Page { records, next, gone, ..Page::default() })).is_some());
        assert_eq!(world.answer(pass, Ok(Page::default())), None);
        world.seconds += 10;
        let at = world.wait(3_700).0;
        // The first came back since, the second is gone; of the third nothing is said.
        let gone = [1, 2].map(|n| stage::native(&n.to_string())).to_vec();
        let records = vec![record(1), record(3)];
        let page = Page { records, gone, partial: true, ..Page::default() };
        assert_eq!(world.answer(at, Ok(page)), None);
        for _ in 0..30 {
            world.seconds += 1;
            world.step(Wake::Timer);
        }
        let there = |n: &str| {
            let found = world.machine.find(&format!("a:{n}")).unwrap().unwrap();
            let state = world.machine.state(&found).unwrap().unwrap();
            state.sides.get(&key().0).unwrap().has_it()
        };
        if can_ask {
            assert_eq!([there("1"), there("2"), there("3")], [true; 3]);
            let fetched: BTreeSet<&str> = world.fetched.iter().map(String::as_str).collect();
            assert_eq!(fetched, BTreeSet::from(["1", "2"]));
        } else {
            assert_eq!([there("1"), there("2"), there("3")], [true, false, true]);
            assert!(world.fetched.is_empty());
        }
    }
}
