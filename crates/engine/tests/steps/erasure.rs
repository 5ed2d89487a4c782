//! Erasure at awkward moments: with a write under way, with requests that wait, with a
//! handler that runs, with a side that repeats what it was given; and a key that is lost.

use crate::stage::{self, field, job, native, side};
use hms_sync_changelog::{Log, MemoryDisk};
use hms_sync_connector::{Abilities, Content, Delivery, Observation, WriteRequest};
use hms_sync_engine::{
    CollectionPlan, CollectionSide, Command, Effect, JobPlan, Machine, Now, Plan, RecordReport, Reply,
    ReplyTo, Retry, Wake, What,
};
use hms_sync_model::{Clock, CollectionName, NativeId, Outcome, RecordId, Tag, Time, Written};
use hms_sync_vault::{Folder, MemoryFolder, Random, Vault};
use serde_json::{Value as Json, json};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

const SECRET: &str = "555-0199";

fn person() -> CollectionName {
    CollectionName::try_new("person").unwrap()
}

/// Two sides that are told by webhooks, and a handler.
fn plan(keys: bool) -> Plan {
    let part = |name: &str| {
        let idempotency_key = keys && name == "b";
        let abilities =
            Abilities { create: true, update: true, delete: true, idempotency_key, ..Abilities::default() };
        let shape = stage::texts(&["no", "phone", "city"]);
        CollectionSide { shape, settle_window: Duration::from_secs(1), ..stage::part(abilities) }
    };
    let of = CollectionPlan {
        identity: vec![field("no")],
        personal: BTreeSet::from([field("phone")]),
        ..stage::collection(["a", "b"].map(|name| (side(name), part(name))))
    };
    let mut plan = stage::plan(person(), of);
    let retry = Retry { max_attempts: 3, ..Retry::default() };
    plan.jobs.insert(job(), JobPlan { retry, ..stage::handler(person(), 1) });
    plan
}

fn open_keys(keys: &MemoryFolder, seed: u64) -> Vault {
    let mut rng = fastrand::Rng::with_seed(seed);
    let fill = move |bytes: &mut [u8]| {
        rng.fill(bytes);
        Ok(())
    };
    Vault::on(keys.clone(), Random::of(fill)).unwrap()
}

struct Scene {
    disk: MemoryDisk,
    keys: MemoryFolder,
    machine: Machine,
    vault: Vault,
    plan: Arc<Plan>,
    now: i64,
    /// Effects that nobody has carried out yet.
    open: Vec<Effect>,
    told: Vec<String>,
}

impl Scene {
    fn new(keys: bool) -> Self {
        Self::on(MemoryDisk::new(), MemoryFolder::new(), plan(keys), 1_000_000, 1)
    }

    fn on(disk: MemoryDisk, keys: MemoryFolder, plan: Plan, now: i64, seed: u64) -> Self {
        let (plan, vault) = (Arc::new(plan), open_keys(&keys, seed));
        let log = Log::on(disk.clone()).unwrap();
        let machine = Machine::open_with(Arc::clone(&plan), log, Some(vault.clone()), 7).unwrap();
        let mut scene = Self { disk, keys, machine, vault, plan, now, open: Vec::new(), told: Vec::new() };
        scene.step(Wake::Start);
        scene
    }

    /// The process ends and another begins.
    fn restart(self) -> Self {
        let Self { disk, keys, machine, plan, now, .. } = self;
        drop(machine);
        disk.crash(u64::MAX);
        Self::on(disk, keys, Plan::clone(&plan), now, 2)
    }

    /// Carries out what needs no side; answers with what was replied.
    fn step(&mut self, wake: Wake) -> Vec<Reply> {
        self.now += 10_000;
        let now = Now { wall: Time(self.now), mono: Time(self.now) };
        let mut replies = Vec::new();
        for effect in self.machine.step(wake, now).unwrap() {
            match effect {
                Effect::Append(events) => {
                    self.machine.flush_keys().unwrap();
                    self.machine.log().append(&events).unwrap();
                }
                Effect::Reply { reply, .. } => replies.push(reply),
                Effect::Tell(happening) => self.told.push(format!("{} {:?}", happening.what, happening.what)),
                Effect::Destroy { record, reply } => {
                    let result = self.vault.destroy(&[record]).map(drop);
                    replies.extend(self.step(Wake::Destroyed { result, reply }));
                }
                other => self.open.push(other),
            }
        }
        replies
    }

    fn shows(&mut self, at: &str, doc: Json) {
        let observation = Observation {
            id: native(&format!("{at}-1")),
            tag: Some(Tag::try_new(format!("\"{doc}\"")).unwrap()),
            modified: None,
            content: Content::Whole(doc),
        };
        let delivery = Delivery { message: None, records: vec![observation], hints: Vec::new() };
        let wake = Wake::Webhook { side: side(at), collection: person(), delivery, reply: ReplyTo(1) };
        assert_eq!(self.step(wake), [Reply::Done]);
    }

    fn record(&self) -> RecordId {
        let records = self.machine.log().records(None, 10).unwrap();
        records.into_iter().find(|record| !record.is_own_stream()).unwrap()
    }

    fn report(&self) -> RecordReport {
        self.machine.record(&self.record()).unwrap().unwrap()
    }

    fn value(&self, name: &str) -> Option<Json> {
        self.report().fields.into_iter().find(|field| field.field == name).map(|field| field.value)
    }

    fn erase(&mut self) -> Vec<Reply> {
        let command = Command::Erase { record: self.record(), by: "me".into(), reason: "asked".into() };
        self.step(Wake::Command { command, reply: ReplyTo(2) })
    }

    /// The write that is under way to side b.
    fn write(&mut self) -> (u64, WriteRequest) {
        let at = self.open.iter().position(|effect| matches!(effect, Effect::Write { .. })).expect("a write");
        let Effect::Write { version, request, .. } = self.open.remove(at) else { panic!() };
        (version, request)
    }

    fn wrote(&mut self, version: u64, outcome: Outcome) {
        let record = self.record();
        self.step(Wake::Wrote { record, side: side("b"), version, outcome });
    }

    /// The handler's call that is under way, with what it was handed.
    fn call(&mut self) -> (Clock, Json) {
        let at = self.open.iter().position(|effect| matches!(effect, Effect::Handle { .. })).expect("a call");
        let Effect::Handle { clock, document, .. } = self.open.remove(at) else { panic!() };
        (clock, document)
    }

    fn queue(&mut self, clock: &Clock, body: &str) -> Vec<Reply> {
        let (record, clock) = (self.record(), clock.clone());
        self.step(Wake::Queue {
            record,
            job: job(),
            clock,
            n: 0,
            target: side("b"),
            method: "POST".into(),
            path: format!("/call/{body}"),
            body: body.to_owned(),
            reply: ReplyTo(3),
        })
    }

    /// The secret stands in no key and no value of the store, and nobody was told it.
    fn assert_secret(&self) {
        let holds = |bytes: &[u8]| bytes.windows(SECRET.len()).any(|window| window == SECRET.as_bytes());
        for seq in 1..=self.machine.log().head() {
            let (_, event) = self.machine.log().events(seq, 1).unwrap().remove(0);
            assert!(!holds(&rmp_serde::to_vec_named(&event).unwrap()), "{event:?}");
        }
        for (key, value) in self.disk.entries() {
            assert!(!holds(&key) && !holds(&value));
        }
        assert!(!self.told.iter().any(|line| line.contains(SECRET)), "{:?}", self.told);
    }
}

fn doc(phone: &str, city: &str) -> Json {
    json!({ "no": "7", "phone": phone, "city": city })
}

fn applied(doc: Json) -> Outcome {
    let id = NativeId::try_new("b-1").unwrap();
    Outcome::Applied(Written { id, tag: None, stored: Some(doc) })
}

#[test]
fn a_create_under_way_is_not_lost_and_not_done_twice() {
    let mut scene = Scene::new(true);
    scene.shows("a", doc(SECRET, "Ulm"));
    let (version, request) = scene.write();
    assert_eq!(request.changed["phone"], SECRET);
    assert_eq!(scene.erase(), [Reply::Done]);
    scene.wrote(version, applied(doc(SECRET, "Ulm")));
    assert_eq!(scene.value("phone"), None);
    assert!(!scene.open.iter().any(|effect| matches!(effect, Effect::Write { .. })), "{:?}", scene.open);
    scene.shows("a", doc("555-0000", "Bonn"));
    let (version, request) = scene.write();
    assert_eq!(*request.changed, json!({ "city": "Bonn" }));
    assert_eq!(*request.whole, json!({ "no": "7", "city": "Bonn" }));
    scene.wrote(version, applied(doc(SECRET, "Bonn")));
    assert_eq!(scene.value("city"), Some("Bonn".into()));
    scene.assert_secret();
    let scene = scene.restart();
    assert_eq!((scene.value("phone"), scene.value("city")), (None, Some("Bonn".into())));
}

/// Sent again under its key it would be another request: a person has to look.
#[test]
fn a_write_of_unknown_fate_is_not_repeated_without_what_was_erased() {
    for (erases, parked) in [(false, 0), (true, 1)] {
        let mut scene = Scene::new(true);
        scene.shows("a", doc(SECRET, "Ulm"));
        let (version, first) = scene.write();
        scene.wrote(version, Outcome::Unknown { reason: format!("no answer about {SECRET}") });
        if erases {
            assert_eq!(scene.erase(), [Reply::Done]);
        }
        for _ in 0..50 {
            scene.step(Wake::Timer);
        }
        assert_eq!(scene.machine.parked(None, 9).unwrap().len(), parked);
        if !erases {
            assert_eq!(scene.write().1, first, "else it is the same request once more");
        }
        scene.assert_secret();
    }
}

#[test]
fn what_a_side_repeats_after_the_erasure_is_not_kept() {
    let mut scene = Scene::new(false);
    scene.shows("a", doc(SECRET, "Ulm"));
    let (version, _) = scene.write();
    scene.erase();
    let reason = format!("POST /p: answered 422 Unprocessable Entity: {SECRET} is no number");
    scene.wrote(version, Outcome::Rejected { reason });
    let parked = scene.machine.parked(None, 9).unwrap().remove(0);
    let words = "answered 422 (the rest is left out, it may hold personal values)";
    assert_eq!(parked.words, words);
    assert_eq!(scene.report().sides.last().unwrap().parked.as_deref(), Some(&*format!("refused: {words}")));
    scene.assert_secret();
    let scene = scene.restart();
    assert_eq!(scene.machine.parked(None, 9).unwrap(), [parked]);
}

#[test]
fn words_of_a_side_are_sealed_before_and_gone_after() {
    let mut scene = Scene::new(false);
    scene.shows("a", doc(SECRET, "Ulm"));
    let (version, _) = scene.write();
    scene.wrote(version, Outcome::Rejected { reason: format!("{SECRET} is no number") });
    let said = |scene: &Scene| scene.report().sides.last().unwrap().parked.clone().unwrap();
    assert_eq!(said(&scene), format!("refused: {SECRET} is no number"), "opened for who asks");
    scene.assert_secret();
    let mut scene = scene.restart();
    assert_eq!(said(&scene), format!("refused: {SECRET} is no number"), "also after a restart");
    scene.erase();
    assert!(!said(&scene).contains(SECRET));
    assert!(!said(&scene.restart()).contains(SECRET));
}

#[test]
fn requests_that_wait_are_dropped_and_late_ones_refused() {
    let mut scene = Scene::new(false);
    scene.shows("a", doc(SECRET, "Ulm"));
    let (clock, document) = scene.call();
    assert_eq!(document["phone"], SECRET);
    assert_eq!(scene.queue(&clock, SECRET), [Reply::Done]);
    assert!(
        scene
            .open
            .iter()
            .any(|effect| matches!(effect, Effect::Send { request, .. } if request.body == SECRET))
    );
    scene.assert_secret();
    scene.erase();
    let refused = scene.queue(&clock, SECRET);
    assert!(
        matches!(&refused[..], [Reply::Refused(why)] if why.contains("while the handler ran")),
        "{refused:?}"
    );
    let failed = Err(format!("cannot call {SECRET}"));
    let record = scene.record();
    scene.step(Wake::Handled { record, job: job(), clock, result: failed });
    for _ in 0..50 {
        scene.step(Wake::Timer);
    }
    let (clock, document) = scene.call();
    assert_eq!(document, json!({ "no": "7", "city": "Ulm" }), "called anew with what is left");
    assert_eq!(scene.queue(&clock, "all is well"), [Reply::Done]);
    scene.assert_secret();
    let mut scene = scene.restart();
    scene.step(Wake::Timer);
    let sends = scene.open.iter().filter_map(|effect| match effect {
        Effect::Send { request, .. } => Some(request.body.as_str()),
        _ => None,
    });
    assert_eq!(sends.collect::<Vec<_>>(), ["all is well"]);
}

/// A damaged or missing key costs the old values; what sides show comes in anew.
#[test]
fn a_lost_key_is_healed_by_what_sides_show() {
    let mut scene = Scene::new(false);
    scene.shows("a", doc(SECRET, "Ulm"));
    let (version, _) = scene.write();
    scene.wrote(version, applied(doc(SECRET, "Ulm")));
    for name in ["epoch", "table"] {
        scene.keys.remove(name).unwrap();
    }
    let mut scene = scene.restart();
    assert_eq!(scene.value("phone"), Some(json!({ "erased": true })));
    assert!(
        !scene.open.iter().any(|effect| matches!(effect, Effect::Write { .. })),
        "nothing sealed is written"
    );
    scene.shows("a", doc(SECRET, "Ulm"));
    assert_eq!(scene.value("phone"), Some(SECRET.into()));
    scene.assert_secret();
    assert_eq!(scene.restart().value("phone"), Some(SECRET.into()));
}

#[test]
fn there_is_nothing_to_erase_twice_or_where_nothing_is_personal() {
    let mut scene = Scene::new(false);
    scene.shows("a", doc(SECRET, "Ulm"));
    assert_eq!(scene.erase(), [Reply::Done]);
    let events = scene.machine.log().head();
    let again = scene.erase();
    assert!(matches!(&again[..], [Reply::Refused(why)] if why.contains("already: asked")), "{again:?}");
    assert_eq!(scene.machine.log().head(), events);
    assert!(
        scene.told.iter().any(|line| line.starts_with("personal fields erased: phone")),
        "{:?}",
        scene.told
    );

    let mut open = plan(false);
    open.collections.get_mut("person").unwrap().personal.clear();
    let mut scene = Scene::on(MemoryDisk::new(), MemoryFolder::new(), open, 1_000_000, 3);
    scene.shows("a", doc(SECRET, "Ulm"));
    let refused = scene.erase();
    assert!(
        matches!(&refused[..], [Reply::Refused(why)] if why.contains("no field of person is personal")),
        "{refused:?}"
    );
    assert_eq!(scene.keys.operations(), 0, "a sync without personal fields has no keys");
}

/// A field that is personal no more is erased all the same, as far as it ever was.
#[test]
fn what_was_personal_once_can_be_erased_later() {
    let mut scene = Scene::new(false);
    scene.shows("a", doc(SECRET, "Ulm"));
    let Scene { disk, keys, machine, now, .. } = scene;
    drop(machine);
    let mut open = plan(false);
    open.collections.get_mut("person").unwrap().personal.clear();
    let mut scene = Scene::on(disk, keys, open, now, 4);
    assert_eq!(scene.value("phone"), Some(SECRET.into()), "its key still opens it");
    assert_eq!(scene.erase(), [Reply::Done]);
    assert_eq!((scene.value("phone"), scene.vault.len()), (None, 0));
    assert_eq!(scene.report().erased.unwrap().fields, ["phone"]);
}

#[test]
fn an_erasure_that_was_written_down_is_carried_out_at_the_next_start() {
    let mut scene = Scene::new(false);
    scene.shows("a", doc(SECRET, "Ulm"));
    let record = scene.record();
    let command = Command::Erase { record: record.clone(), by: "me".into(), reason: "asked".into() };
    let now = Now { wall: Time(scene.now + 1), mono: Time(scene.now + 1) };
    for effect in scene.machine.step(Wake::Command { command, reply: ReplyTo(1) }, now).unwrap() {
        match effect {
            Effect::Append(events) => scene.machine.log().append(&events).unwrap(),
            Effect::Tell(happening) => assert!(matches!(happening.what, What::Erased { .. })),
            _ => {}
        }
    }
    assert!(scene.vault.has(&record), "the process ends before the key is destroyed");
    let scene = scene.restart();
    assert!(!scene.vault.has(&record));
    assert_eq!(scene.value("phone"), None);
}
