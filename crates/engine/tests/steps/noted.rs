//! What a side showed last of a record that was in step is known across a start: shown the same
//! again, the record is not made anew. Only that: whatever happened since then, or is read by
//! other rules now, is looked at.

use crate::stage::{self, field, item, native, side};
use hms_sync_changelog::{Log, MemoryDisk};
use hms_sync_connector::{Abilities, Content, Observation, Page};
use hms_sync_engine::{CollectionSide, Command, Effect, Machine, Now, Plan, ReplyTo, Tie, Tied, Wake};
use hms_sync_model::{Body, Outcome, RecordId, SideName, Time, Written};
use serde_json::{Value as Json, json};
use std::sync::Arc;
use std::time::Duration;

const RECORDS: usize = 100;

/// What is listed at `a` is made at `b`, and both are polled. Few records stay in memory.
fn plan() -> Plan {
    let abilities =
        Abilities { read: true, create: true, update: true, idempotency_key: true, ..Abilities::default() };
    let part = || CollectionSide {
        shape: stage::texts(&["no"]),
        poll_interval: Some(Duration::from_mins(1)),
        ..stage::part(abilities)
    };
    let mut plan = stage::plan(item(), stage::collection([(side("a"), part()), (side("b"), part())]));
    plan.records_max = 2;
    if let Some(b) = plan.sides.get_mut(&side("b")) {
        b.in_flight_max = 2 * RECORDS;
    }
    plan
}

fn shown(n: usize, no: &str) -> Observation {
    let content = Content::Whole(json!({ "no": no, "on": "b" }));
    Observation { id: native(&n.to_string()), tag: None, modified: None, content }
}

struct World {
    log: Log,
    machine: Machine,
    mono: i64,
    /// Writes that are asked for: which record, where, at which version, and what it carries.
    writes: Vec<(RecordId, SideName, u64, Json)>,
    /// The pass of each side that waits for a page.
    passes: Vec<(&'static str, u64)>,
}

impl World {
    fn under(plan: Plan, log: Log, mono: i64) -> Self {
        let machine = Machine::open(Arc::new(plan), log.clone(), 1).unwrap();
        let mut world = Self { log, machine, mono, writes: Vec::new(), passes: Vec::new() };
        world.step(Wake::Start);
        world
    }

    /// A new process on the same log.
    fn again(self, plan: Plan) -> Self {
        Self::under(plan, self.log, self.mono)
    }

    fn now(&self) -> Now {
        Now { wall: Time(1_700_000_000_000_000 + self.mono), mono: Time(self.mono) }
    }

    fn step(&mut self, wake: Wake) {
        self.mono += 1;
        for effect in self.machine.step(wake, self.now()).unwrap() {
            match effect {
                Effect::Append(events) => self.log.append(&events).unwrap(),
                Effect::Write { record, side, version, request } => {
                    let no = request.whole.json()["no"].clone();
                    self.writes.push((record, side, version, no));
                }
                Effect::Read { side, pass, .. } => {
                    let name = if side.as_str() == "a" { "a" } else { "b" };
                    self.passes.push((name, pass));
                }
                _ => {}
            }
        }
    }

    /// A side shows some records, all that it has of late. Answers how many events that made, those
    /// of its own streams left out, and how many were read.
    fn show(&mut self, name: &str, records: Vec<Observation>) -> (usize, u64) {
        while !self.passes.iter().any(|(of, _)| *of == name) {
            self.mono = Time(self.mono).plus(Duration::from_mins(1)).0;
            self.step(Wake::Timer);
        }
        let at = self.passes.iter().position(|(of, _)| *of == name).unwrap();
        let (_, pass) = self.passes.remove(at);
        let (head, reads) = (self.log.head(), self.log.reads());
        let page = Page { records, ..Page::default() };
        self.step(Wake::Page { side: side(name), collection: item(), pass, result: Ok(page.into()) });
        while self.machine.next_timer(Time(self.mono)).is_some_and(|at| at <= Time(self.mono)) {
            self.step(Wake::Timer);
        }
        let read = self.log.reads() - reads;
        let events = self.log.events(head + 1, usize::MAX).unwrap();
        (events.iter().filter(|(_, event)| !event.record.is_own_stream()).count(), read)
    }

    /// What is asked for is done. `b` shows what it has then, `a` does not.
    fn carry_out(&mut self) {
        for (record, side, version, no) in std::mem::take(&mut self.writes) {
            let (id, at_b) = (native(no.as_str().unwrap()), side.as_str() == "b");
            let stored = at_b.then(|| json!({ "no": no, "on": "b" }));
            let id = if at_b { id } else { native("7") };
            let outcome = Outcome::Applied(Written { id, tag: None, stored });
            self.step(Wake::Wrote { record, side, version, outcome });
        }
    }

    fn save(&mut self) {
        let (changes, upto) = self.machine.save_all().unwrap();
        self.log.save_views(&changes, upto).unwrap();
        self.step(Wake::Saved);
    }

    /// All records of `a` are at `b`, which has shown them in its answers, and that is saved.
    fn in_step() -> Self {
        let mut world = Self::under(plan(), Log::on(MemoryDisk::new()).unwrap(), 1);
        world.show("b", Vec::new());
        world.show("a", (0..RECORDS).map(|n| shown(n, &n.to_string())).collect());
        assert_eq!(world.writes.len(), RECORDS);
        world.carry_out();
        world.save();
        world
    }
}

fn all_of_b() -> Vec<Observation> {
    (0..RECORDS).map(|n| shown(n, &n.to_string())).collect()
}

#[test]
fn what_was_shown_before_a_start_is_not_made_anew_to_be_compared() {
    let mut world = World::in_step().again(plan());
    assert_eq!(world.show("b", all_of_b()), (0, 0));
    // And nothing changes once it is known to this process.
    assert_eq!(world.show("b", all_of_b()), (0, 0));
    assert!(world.writes.is_empty());
}

#[test]
fn what_differs_from_what_was_shown_is_an_edit() {
    let mut world = World::in_step().again(plan());
    let mut all = all_of_b();
    all[7] = shown(7, "seven");
    let (events, read) = world.show("b", all);
    assert!(events > 0 && (1..10).contains(&read), "{events} events, {read} read");
    world.step(Wake::Timer);
    let edited = world.log.events(1, usize::MAX).unwrap();
    let edits = edited.iter().filter(|(_, event)| matches!(&event.body, Body::Edited { .. }));
    assert_eq!(edits.count(), RECORDS + 1);
}

/// The link was saved with what stood then; what came later did not change the link.
#[test]
fn what_was_shown_before_something_happened_is_looked_at() {
    let mut world = World::in_step();
    let mut all = all_of_b();
    all[7] = shown(7, "seven");
    all.push(shown(RECORDS, "new, so that there is something to be saved"));
    assert!(world.show("b", all).0 > 1);
    // That goes to `a`: as long as it does, nothing is noted of it.
    assert!(world.writes.iter().any(|(_, side, _, no)| side.as_str() == "a" && no == "seven"));
    world.writes.retain(|(_, _, _, no)| no == "seven");
    world.carry_out();
    world.save();
    assert_eq!(world.log.views_upto(), world.log.head());
    let mut world = world.again(plan());
    let mut all = all_of_b();
    all.push(shown(RECORDS, "new, so that there is something to be saved"));
    let (events, read) = world.show("b", all);
    assert!(events > 0, "one is back at what it was");
    assert!((1..20).contains(&read), "of the others nothing has happened: {read} read");
}

#[test]
fn what_happened_after_the_save_is_looked_at() {
    let mut world = World::in_step();
    world.show("b", vec![shown(7, "seven")]);
    let mut world = world.again(plan());
    let (events, _) = world.show("b", vec![shown(7, "7")]);
    assert!(events > 0, "it is back at what it was");
}

#[test]
fn under_another_plan_nothing_is_believed_and_under_the_old_one_it_is_again() {
    let mut other = plan();
    other.backlog_max += 1;
    let mut world = World::in_step().again(other.clone());
    let (events, read) = world.show("b", all_of_b());
    assert!(events == 0 && read >= RECORDS as u64, "{events} events, {read} read");
    let mut world = world.again(other.clone());
    let (_, read) = world.show("b", all_of_b());
    assert!(read >= RECORDS as u64, "what another plan has noted is not believed at its second start either");
    let mut world = world.again(plan());
    assert_eq!(world.show("b", all_of_b()), (0, 0));
}

/// What such a word is about may be what another record showed, and was passed over.
#[test]
fn what_was_shown_before_a_person_spoke_of_links_is_looked_at() {
    for saved in [false, true] {
        let mut world = World::in_step();
        let mut events = world.log.events(1, usize::MAX).unwrap().into_iter();
        let (_, event) = events.find(|(_, event)| !event.record.is_own_stream()).unwrap();
        let head = world.log.head();
        let (by, reason) = ("ada".to_owned(), "not the same".to_owned());
        let tie = Tie { record: event.record, wanted: Tied::Unlink(side("b")), by, reason };
        world.step(Wake::Command { command: Command::Tie(tie), reply: ReplyTo(1) });
        assert!(world.log.head() > head, "it is done");
        if saved {
            world.save();
        }
        let mut world = world.again(plan());
        let (_, read) = world.show("b", all_of_b());
        assert!(read >= RECORDS as u64, "{read} read, saved: {saved}");
    }
}

/// Whoever has the folder of a log must not find there what was shown of persons.
#[test]
fn of_personal_fields_nothing_is_saved() {
    let personal = || {
        let mut plan = plan();
        plan.collections.get_mut(&item()).unwrap().personal.insert(field("no"));
        plan
    };
    let links = |log: &Log| log.views(b"l", None, 10 * RECORDS).unwrap();
    let noted = |log: &Log| links(log).iter().filter(|(_, value)| value.contains(&0)).count();
    assert_eq!(noted(&World::in_step().log), RECORDS, "of those at b");
    let vault = hms_sync_vault::Vault::on(
        hms_sync_vault::MemoryFolder::new(),
        hms_sync_vault::Random::of(|bytes| {
            bytes.fill(7);
            Ok(())
        }),
    );
    let log = Log::on(MemoryDisk::new()).unwrap();
    let machine = Machine::open_with(Arc::new(personal()), log.clone(), Some(vault.unwrap()), 1).unwrap();
    let mut world = World { log, machine, mono: 1, writes: Vec::new(), passes: Vec::new() };
    world.step(Wake::Start);
    world.show("b", Vec::new());
    world.show("a", (0..RECORDS).map(|n| shown(n, &n.to_string())).collect());
    world.carry_out();
    world.save();
    assert_eq!((links(&world.log).len(), noted(&world.log)), (2 * RECORDS, 0));
}
