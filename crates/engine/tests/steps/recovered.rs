//! A log that has lost events: the sync starts on it, reads its sides anew, and does
//! nothing for a record of which nobody knows what was done.

use crate::stage::{self, LOST, item, job, lose, side};
use hms_sync_changelog::{Log, Options, seal};
use hms_sync_connector::{Abilities, Scope};
use hms_sync_engine::{CollectionSide, Effect, Machine, Now, Plan, Wake, stream_of};
use hms_sync_model::{Body, Event, EventId, IdempotencyKey, RecordId, Request, Tag, Time, VecMap};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

const START: Time = Time(1_700_000_000_000_000);
const RECOVERED: Time = Time(1_700_000_100_000_000);

/// Two polled sides, and a handler of what is on the first.
fn plan() -> Arc<Plan> {
    let part = || {
        let abilities = Abilities { read: true, ..Abilities::default() };
        CollectionSide { poll_interval: Some(Duration::from_mins(1)), ..stage::part(abilities) }
    };
    let mut plan = stage::plan(item(), stage::collection(["a", "b"].map(|name| (side(name), part()))));
    plan.jobs.insert(job(), stage::handler(item(), 1));
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
    let report = lose(&dir, &into, RECOVERED);
    assert_eq!(report.lost.iter().map(|lost| lost.count).sum::<u64>(), 1, "{report:?}");
    let log = Log::open(&into, Options::default()).unwrap();
    (place, log)
}

fn listed(name: &str) -> (RecordId, Body) {
    let stream = stream_of(&side(name), &item()).unwrap();
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
