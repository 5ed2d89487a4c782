//! A log that has lost events: the sync starts on it, reads its sides anew, and does
//! nothing for a record of which nobody knows what was done.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, reason = "tests may panic")]

use hms_sync_changelog::{Log, Options, recover, seal};
use hms_sync_connector::{Abilities, Scope};
use hms_sync_engine::{
    CollectionPlan, CollectionSide, Effect, Guard, JobPlan, Machine, Now, Plan, Retry, Shape, SidePlan, Wake,
    stream_of,
};
use hms_sync_model::{
    Body, CollectionName, Event, EventId, FieldName, IdempotencyKey, JobName, RecordId, Request, SideName,
    Tag, Time, VecMap,
};
use hms_sync_resolver::Rules;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// Stands in events that are to be lost, and cannot be made shorter by compression.
const LOST: &str = "q8Zr3Kx0vT7mWp2LsYb9";
const START: Time = Time(1_700_000_000_000_000);
const RECOVERED: Time = Time(1_700_000_100_000_000);

fn side(name: &str) -> SideName {
    SideName::try_new(name).unwrap()
}

fn job() -> JobName {
    JobName::try_new("notify").unwrap()
}

/// Two polled sides, and a handler of what is on the first.
fn plan() -> Arc<Plan> {
    let collection = CollectionName::try_new("item").unwrap();
    let part = || CollectionSide {
        abilities: Abilities { read: true, ..Abilities::default() },
        shape: Shape::Document,
        poll_interval: Some(Duration::from_mins(1)),
        full_interval: None,
        settle_window: Duration::ZERO,
        on_altered: hms_sync_engine::OnAltered::default(),
        on_missing: hms_sync_engine::OnMissing::Deleted,
        read_back: false,
    };
    let mut plan = Plan::new("Test");
    let mut sides = VecMap::new();
    for name in ["a", "b"] {
        plan.sides.insert(side(name), SidePlan::default());
        sides.insert(side(name), part());
    }
    let of = CollectionPlan {
        identity: Vec::<FieldName>::new(),
        rules: Rules::default(),
        sides,
        guard: Guard::default(),
        recreate: hms_sync_engine::Recreate::default(),
        personal: BTreeSet::new(),
    };
    plan.collections.insert(collection.clone(), of);
    plan.jobs.insert(job(), JobPlan { collection, in_flight_max: 1, retry: Retry::default() });
    Arc::new(plan)
}

/// Appends events, each in a chunk of its own, and closes the log.
fn write(dir: &Path, events: Vec<(RecordId, Body)>) {
    let log = Log::open(dir, Options::default()).unwrap();
    let mut last: BTreeMap<RecordId, (u64, EventId)> = BTreeMap::new();
    for (seq, (record, body)) in (1..).zip(events) {
        let (version, prev) = last.get(&record).copied().unwrap_or_default();
        let at = Time(START.0 + i64::try_from(seq).unwrap());
        let event = Event { seq, record: record.clone(), version: version + 1, at, prev, body };
        let sealed = seal(&event).unwrap();
        last.insert(record, (version + 1, sealed.id));
        log.append(&[sealed]).unwrap();
    }
    log.close().unwrap();
}

/// Destroys every copy of the events with the mark, and recovers the log.
fn recovered(events: Vec<(RecordId, Body)>) -> (tempfile::TempDir, Log) {
    let place = tempfile::tempdir().unwrap();
    let (dir, into) = (place.path().join("log"), place.path().join("new"));
    write(&dir, events);
    let path = dir.join("db");
    let mut bytes = std::fs::read(&path).unwrap();
    let found: Vec<usize> =
        (0..bytes.len() - LOST.len()).filter(|at| bytes[*at..].starts_with(LOST.as_bytes())).collect();
    assert!(!found.is_empty());
    found.into_iter().for_each(|at| bytes[at..at + LOST.len()].fill(0));
    std::fs::write(&path, bytes).unwrap();
    let report = recover(&dir, &into, RECOVERED).unwrap();
    assert_eq!(report.lost.iter().map(|lost| lost.count).sum::<u64>(), 1, "{report:?}");
    let log = Log::open(&into, Options::default()).unwrap();
    (place, log)
}

fn listed(name: &str) -> (RecordId, Body) {
    let stream = stream_of(&side(name), &CollectionName::try_new("item").unwrap()).unwrap();
    let cursor = Some("2026-01-01".to_owned());
    (stream, Body::Cursor { side: side(name), cursor, listed: true, next: None })
}

fn queued() -> Body {
    let key = IdempotencyKey::try_new("k1").unwrap();
    let (method, path) = ("POST".to_owned(), "/mails".to_owned());
    Body::Queued {
        job: job(),
        request: Request { target: side("b"), method, path, body: "{}".to_owned(), key },
    }
}

fn sent(tag: &str) -> Body {
    let tag = Some(Tag::try_new(tag).unwrap());
    Body::Applied { side: side("b"), of: 1, id: None, tag, results: VecMap::new(), whole: false }
}

#[test]
fn after_a_loss_sides_are_read_anew_and_nothing_is_sent_twice() {
    let record = RecordId::try_new("item/1").unwrap();
    let failed = Body::HandlerFailed { job: job(), words: "later".to_owned() };
    let (_place, log) = recovered(vec![
        listed("a"),
        listed("b"),
        (record.clone(), queued()),
        (record.clone(), sent(LOST)),
        (record.clone(), failed),
    ]);
    let mut machine = Machine::open(plan(), log, 1).unwrap();
    let (mut scopes, mut mono) = (Vec::new(), 0);
    for wake in [Wake::Start, Wake::Timer, Wake::Timer] {
        mono += 1_000_000;
        let now = Now { wall: Time(RECOVERED.0 + mono), mono: Time(mono) };
        for effect in machine.step(wake, now).unwrap() {
            assert!(!matches!(effect, Effect::Send { .. } | Effect::Handle { .. }), "{effect:?}");
            if let Effect::Read { side, request, .. } = effect {
                scopes.push((side, request.scope));
            }
        }
    }
    assert_eq!(scopes, [(side("a"), Scope::Everything), (side("b"), Scope::Everything)]);
    let report = machine.record(&record).unwrap().unwrap();
    assert_eq!(report.sides.len(), 0);
}
