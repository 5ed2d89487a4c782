//! Saved views of which one is not what was saved, as who can write the log's file can make it:
//! links, marks, streams with their cursors and places, webhook messages, summaries of blocks,
//! notes of what was shown. A machine starts on them, or says in words what it cannot read.

mod carried;

use crate::stage::{self, item, native, side};
use hms_sync_changelog::{Log, MemoryDisk};
use hms_sync_connector::{Abilities, Content, Cursor, Delivery, Observation, Page, PageToken};
use hms_sync_engine::{CollectionSide, Effect, EngineError, Machine, Now, Plan, ReplyTo, Wake};
use hms_sync_hostile::Reader;
use hms_sync_model::{RecordId, Time};
use serde_json::json;
use std::sync::Arc;
use std::time::Duration;

fn plan() -> Plan {
    let abilities = Abilities { read: true, create: true, update: true, ..Abilities::default() };
    let part = || CollectionSide {
        shape: stage::texts(&["no", "on"]),
        poll_interval: Some(Duration::from_mins(1)),
        ..stage::part(abilities)
    };
    let mut of = stage::collection([(side("a"), part()), (side("b"), part())]);
    of.identity = vec![stage::field("no")];
    let mut plan = stage::plan(item(), of);
    (plan.records_max, plan.unsaved_max) = (2, 4);
    plan
}

fn shown(n: usize, on: &str) -> Observation {
    let content = Content::Whole(json!({ "no": n.to_string(), "on": on }));
    Observation { id: native(&n.to_string()), tag: None, modified: None, content }
}

/// What a machine does, but for requests: those it only tells.
struct Running {
    log: Log,
    machine: Machine,
    at: i64,
    passes: Vec<(&'static str, u64)>,
}

impl Running {
    fn on(log: Log) -> Result<Self, EngineError> {
        let machine = Machine::open(Arc::new(plan()), log.clone(), 1)?;
        Ok(Self { log, machine, at: 0, passes: Vec::new() })
    }

    fn step(&mut self, wake: Wake) -> Result<(), EngineError> {
        self.at += 1_000_000;
        let now = Now { wall: Time(1_700_000_000_000_000 + self.at), mono: Time(self.at) };
        let mut saved = false;
        for effect in self.machine.step(wake, now)? {
            match effect {
                Effect::Append(events) => self.log.append(&events)?,
                Effect::Save((changes, upto)) => {
                    self.log.save_views(&changes, upto)?;
                    saved = true;
                }
                Effect::Read { side, pass, .. } => {
                    self.passes.push((if side.as_str() == "a" { "a" } else { "b" }, pass));
                }
                _ => {}
            }
        }
        if saved { self.step(Wake::Saved) } else { Ok(()) }
    }

    fn told(&mut self, by: &str, n: usize) -> Result<(), EngineError> {
        let message = Some(format!("{by}{n}{}", self.at));
        let delivery = Delivery { message, records: vec![shown(n, by)], hints: Vec::new() };
        self.step(Wake::Webhook { side: side(by), collection: item(), delivery, reply: ReplyTo(7) })
    }

    /// Answers what is asked for by all passes; at `b`, `next` comes after it: the first listing of
    /// `a` is over, and what it shows is compared with what it showed last.
    fn paged(&mut self, next: Option<&str>) -> Result<(), EngineError> {
        let passes = std::mem::take(&mut self.passes);
        for (name, pass) in passes {
            let page = Page {
                records: (1..9).map(|n| shown(n, name)).collect(),
                next: next.filter(|_| name == "b").map(|next| PageToken(next.to_owned())),
                cursor: Some(Cursor("{\"value\":7}".to_owned())),
                ..Page::default()
            };
            let (side, collection, result) = (side(name), item(), Ok(page.into()));
            self.step(Wake::Page { side, collection, pass, result })?;
            // What was left of it.
            self.step(Wake::Timer)?;
        }
        Ok(())
    }

    /// All that people and the machine itself ask of views.
    fn all(&mut self) -> Result<(), EngineError> {
        self.step(Wake::Start)?;
        // Links are followed by pages first: then what was shown last is asked for as well.
        self.paged(Some("t2"))?;
        for n in 1..4 {
            self.told("a", n)?;
            self.told("b", n + 1)?;
        }
        self.paged(None)?;
        self.at += 60_000_000;
        self.step(Wake::Timer)?;
        self.paged(None)?;
        let machine = &self.machine;
        machine.status()?;
        machine.parked(None, 100)?;
        for past in [true, false] {
            machine.conflicts(None, 100, past)?;
        }
        machine.block(0);
        for name in ["a:1", "b:2", "3", "item/1", "@sync/a/item"] {
            if let Some(record) = machine.find(name)? {
                machine.title_of(&record)?;
                machine.record(&record)?;
            }
        }
        Ok(())
    }
}

/// A log in the middle of its first listings, with records in step and some in work.
fn kept() -> MemoryDisk {
    let disk = MemoryDisk::new();
    let mut running = Running::on(Log::on(disk.clone()).unwrap()).unwrap();
    running.step(Wake::Start).unwrap();
    for n in 1..9 {
        running.told("a", n).unwrap();
        running.told("b", n).unwrap();
    }
    running.paged(Some("t1")).unwrap();
    running.step(Wake::Timer).unwrap();
    running.step(Wake::Stop).unwrap();
    disk
}

fn forged(case: &[u8]) -> Option<(Vec<u8>, Vec<u8>)> {
    let (length, rest) = case.split_first()?;
    let (key, value) = rest.split_at_checked((*length).into())?;
    Some((key.to_vec(), value.to_vec()))
}

#[test]
fn hostile_views() {
    let disk = kept();
    let kept = disk.entries();
    let log = Log::on(disk).unwrap();
    let views = log.views(b"", None, 1_000).unwrap();
    let letters: std::collections::BTreeSet<u8> = views.iter().map(|(key, _)| key[0]).collect();
    assert!(b"lnwsfp".iter().all(|letter| letters.contains(letter)), "{letters:?}");
    let case = |key: &[u8], value: &[u8]| [&[u8::try_from(key.len()).unwrap()], key, value].concat();
    let sound = views.iter().map(|(key, value)| case(key, value));
    // Links with what was shown last.
    let links = views.iter().filter(|(key, _)| key[0] == b'l');
    let noted = links.map(|(key, value)| case(key, &[value.as_slice(), &[0], &[7; 16]].concat()));
    let block = [b"b".as_slice(), &[0; 8]].concat();
    let words: [&[u8]; 12] = [
        b"\x01d\xff\xff\xff\xff\xff\xff\xff\xff",
        b"\x07titem/1",
        b"\x07kitem/1",
        b"\x07citem/1",
        b"\x07hitem/1",
        b"\x01m",
        &block,
        b"\xdd\xff\xff\xff\xff",
        b"\xdf\xff\xff\xff\xff",
        b"\x91\x91",
        b"\xd3\x7f\xff\xff\xff\xff\xff\xff\xff",
        b"\0\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff",
    ];
    Reader::new("views").sound(sound.chain(noted)).words(words).fewer(1_000).at_most(200_000).bytes(|case| {
        let Some((key, value)) = forged(case) else { return false };
        let disk = MemoryDisk::new();
        kept.iter().for_each(|(key, value)| disk.tamper(key, Some(value)));
        let log = Log::on(disk).unwrap();
        let changes = [(key, Some(value))].into_iter().collect();
        if log.save_views(&changes, log.views_upto()).is_err() {
            return false;
        }
        let asked = Running::on(log.clone()).and_then(|mut running| running.all());
        if let Err(why) = &asked {
            let words = why.to_string();
            assert!(words.len() < 1_000, "{words}");
        }
        // The log is what counts, and nothing of it is changed by what lies beside it.
        let record = RecordId::try_new("item/none").unwrap();
        assert!(log.history(&record, 1, 9).unwrap().is_empty() && log.event(1).is_ok());
        asked.is_ok()
    });
}
