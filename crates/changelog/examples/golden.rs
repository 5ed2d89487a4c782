//! Makes a golden store: `cargo run -p hms-sync-changelog --example golden -- FOLDER`.
//! The folder must not be there. Beside the store, `store/`, it writes down what is to be
//! read from it for ever, `events.jsonl` and `rest.json`; `tests/log/golden.rs` compares.
//! A golden store that was made once is never made again.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a tool for whoever releases a format")]

use hms_sync_changelog::{Archived, Log, Options, Sealed as Ready, recover, seal};
use hms_sync_model::{
    Actor, Apart, Blob, Body, Change, Decimal, Digest, Dot, Edit, Event, EventId, FieldName, FieldResult,
    JobName, Lane, NativeId, Operation, ParkReason, Parked, RawHash, RecordId, Released, Request, Sealed,
    SideName, Source, Stamp, Tag, Time, Value, VecMap, WebhookMessage,
};
use std::collections::HashMap;
use std::path::{Path, PathBuf};

fn main() {
    let folder = PathBuf::from(std::env::args().nth(1).unwrap());
    std::fs::create_dir(&folder).unwrap();
    let mut maker = Maker::default();
    // Two lives, so that there is more than one run; groups of several sizes.
    for life in 0..2 {
        let log = Log::open(&folder.join("store"), Options::default()).unwrap();
        for group in [1, 2, 64, 200] {
            let events: Vec<Ready> = (0..group).map(|_| maker.next()).collect();
            log.append(&events).unwrap();
            let view = |n: u8| (vec![b'r', life, n], Some(vec![n; usize::from(n) * 40]));
            log.save_views(&(0..30).map(view).collect(), log.head()).unwrap();
        }
        log.close().unwrap();
    }
    drop_some(&folder.join("store"), &mut maker);
    lose_one(&folder);
    let log = Log::open(&folder.join("store"), Options::default()).unwrap();
    let events = log.events(1, usize::MAX).unwrap();
    let line = |(id, event): &(EventId, Event)| format!("{id} {}\n", serde_json::to_string(event).unwrap());
    std::fs::write(folder.join("events.jsonl"), events.iter().map(line).collect::<String>()).unwrap();
    let head = log.tree_head();
    let rest = serde_json::json!({
        "events": head.size,
        "root": format!("{}", head.root),
        "views": log.views(b"r", None, usize::MAX).unwrap().len(),
        "dropped": log.dropped_upto(),
        "archives": log.archived().iter().map(|range| &range.file).collect::<Vec<_>>(),
        "lost": log.lost().unwrap().iter().map(|lost| lost.count).sum::<u64>(),
    });
    std::fs::write(folder.join("rest.json"), format!("{rest:#}\n")).unwrap();
}

/// Drops the first events, as if they were archived, after what came of them was written down.
fn drop_some(store: &Path, maker: &mut Maker) {
    let log = Log::open(store, Options::default()).unwrap();
    let last = log.last_to_drop(150).unwrap().unwrap();
    for record in log.records(None, usize::MAX).unwrap() {
        let gone = log.history(&record, 1, usize::MAX).unwrap();
        let upto = gone.iter().filter(|(_, event)| event.seq <= last).count() as u64;
        let sealed = Sealed::from_bytes(b"a key id, and more");
        let body = Body::Carried { upto, state: Blob(vec![0x80]), sealed, fields: vec![field("text")] };
        log.append(&[maker.put(record.as_str(), body)]).unwrap();
    }
    let root = log.prover().head(last).unwrap().root.0;
    let (file, hash) = (format!("events-1-{last}.jsonl"), [7; 32]);
    let range = Archived { first: 1, last, at: Time(9), until: Time(5), hash, root, file: file.clone() };
    let (by, reason) = ("A. Clerk".to_owned(), "retention plan".to_owned());
    let body = Body::Archived { first: 1, last, file, hash: Digest(hash), root: Digest(root), by, reason };
    log.drop_archived(&range, &maker.put("@log/archives", body)).unwrap();
    log.append(&[maker.put("permit/lost", doubted(LOST))]).unwrap();
    log.append(&[maker.put("permit/lost", doubted("what came after"))]).unwrap();
    log.append(&(0..40).map(|_| maker.next()).collect::<Vec<_>>()).unwrap();
    log.close().unwrap();
}

/// Stands in an event that is lost, and cannot be made shorter by compression.
const LOST: &str = "q8Zr3Kx0vT7mWp2LsYb9";

fn doubted(words: &str) -> Body {
    let side = SideName::try_new("clerk").unwrap();
    Body::Doubted { side, stale: false, id: None, words: words.to_owned(), message: None }
}

/// Destroys one event, and puts what is recovered in the store's place.
fn lose_one(folder: &Path) {
    let (store, broken) = (folder.join("store"), folder.join("broken"));
    std::fs::rename(&store, &broken).unwrap();
    let mut db = std::fs::read(broken.join("db")).unwrap();
    for at in 0..db.len() - LOST.len() {
        if db[at..].starts_with(LOST.as_bytes()) {
            db[at..at + LOST.len()].fill(0);
        }
    }
    std::fs::write(broken.join("db"), db).unwrap();
    let report = recover(&broken, &store, Time(1_767_300_000_000_000)).unwrap();
    assert_eq!(report.events_lost(), 1, "{report:?}");
    std::fs::remove_dir_all(broken).unwrap();
    let log = Log::open(&store, Options::default()).unwrap();
    log.save_views(&(0..30).map(|n: u8| (vec![b'r', n], Some(vec![n; 40]))).collect(), log.head()).unwrap();
    log.close().unwrap();
}

#[derive(Default)]
struct Maker {
    seq: u64,
    last: HashMap<RecordId, (u64, EventId)>,
}

impl Maker {
    fn next(&mut self) -> Ready {
        let (record, body) = told(self.seq + 1);
        self.put(&record, body)
    }

    fn put(&mut self, record: &str, body: Body) -> Ready {
        self.seq += 1;
        let record = RecordId::try_new(record).unwrap();
        let (version, prev) = self.last.get(&record).copied().unwrap_or_default();
        let at = Time(1_767_225_600_000_000 + i64::try_from(self.seq).unwrap() * 1_500_000);
        let event = Event { seq: self.seq, record, version: version + 1, at, prev, body };
        let sealed = seal(&event).unwrap();
        self.last.insert(event.record, (version + 1, sealed.id));
        sealed
    }
}

fn field(name: &str) -> FieldName {
    FieldName::try_new(name).unwrap()
}

/// The record and the body of an event: every kind comes by turns, with values of every kind.
fn told(seq: u64) -> (String, Body) {
    let side = SideName::try_new("clerk").unwrap();
    let actor = Actor::side(side.clone());
    let clock = [(actor.clone(), seq)].into_iter().collect();
    let id = NativeId::try_new(format!("n/{seq}")).ok();
    let tag = Tag::try_new(format!("W/\"{seq}\"")).ok();
    let job = JobName::try_new("letters").unwrap();
    let words = format!("the side said \"no\" to {seq}");
    let record = format!("permit/é{}", seq % 7);
    let body = match seq % 22 {
        0 => Body::Intended { side, operation: Operation::Update, fields: values(seq), clock },
        1 => {
            let results = [
                (field("a"), FieldResult::Reformatted("A".into())),
                (field("b"), FieldResult::Altered(Value::Null)),
                (field("c"), FieldResult::NotKept),
            ];
            Body::Applied { side, of: 1, id, tag, results: results.into_iter().collect(), whole: true }
        }
        2 => Body::Failed { side, of: 1, failure: hms_sync_model::Failure::Rejected, words },
        3 => {
            let but = if seq.is_multiple_of(2) { vec![field("b")] } else { Vec::new() };
            Body::Confirmed { side, clock, tag, but }
        }
        4 => Body::Doubted {
            side,
            stale: seq.is_multiple_of(3),
            id,
            words,
            message: Some(WebhookMessage::Whole(format!("msg_{seq}"))),
        },
        5 => Body::Parked {
            lane: Lane::Side(side),
            parked: Parked {
                reason: ParkReason::Refused,
                words,
                attempts: 3,
                fields: vec![field("a")],
                clock,
                given_up: false,
            },
        },
        6 => Body::Released { lane: Lane::Job(job), action: Released::Replay },
        7 => tied(seq, side, id),
        8 => Body::Queued { job, request: request(seq, side) },
        9 => Body::Handled { job, clock },
        10 => Body::HandlerFailed { job, words },
        11 => {
            let cursor = Some(format!("2026-01-{seq}"));
            return (
                "@sync/clerk/permit".into(),
                Body::Cursor {
                    side,
                    cursor,
                    listed: true,
                    next: seq.is_multiple_of(2).then(|| format!("page-{seq}")),
                },
            );
        }
        13 | 14 => set_right(seq, side),
        15..=17 => tied(seq, side, id),
        18 => return ("@log/restores".into(), Body::Restored { last: seq }),
        19 => return ("@log/keys".into(), signing(seq)),
        12 => return ("@sync/clerk/hooks".into(), Body::Received { message: format!("msg_{seq}") }),
        _ => edited(seq, actor, id, tag),
    };
    (record, body)
}

/// Which native record is whose.
fn tied(seq: u64, side: SideName, id: Option<NativeId>) -> Body {
    match seq % 22 {
        7 => {
            let reason = "not the same".to_owned();
            let apart = Apart { id, by: seq.is_multiple_of(2).then(|| "A. Clerk".to_owned()), reason };
            Body::Unlinked { side, apart: (!seq.is_multiple_of(3)).then_some(apart) }
        }
        15 => {
            let (by, reason) = ("A. Clerk".to_owned(), "not the same".to_owned());
            let fields = if seq.is_multiple_of(2) { values(seq) } else { VecMap::new() };
            Body::Linked { side, id, fields, by, reason }
        }
        16 => {
            let (by, reason) = ("A. Clerk".to_owned(), "twice".to_owned());
            let gone = if seq.is_multiple_of(4) { vec![side] } else { Vec::new() };
            Body::Joined { into: RecordId::try_new("permit/é1").unwrap(), gone, by, reason }
        }
        _ => Body::Follows { of: RecordId::try_new("permit/é2").unwrap() },
    }
}

/// What a person had set right.
fn set_right(seq: u64, side: SideName) -> Body {
    let by = "A. Clerk".to_owned();
    if seq % 22 == 13 {
        let of = (!seq.is_multiple_of(3)).then(|| RecordId::try_new("permit/é1").unwrap());
        return Body::Erased { of, by, reason: "file 7".to_owned(), fields: vec![field("text")] };
    }
    let other = SideName::try_new("marshal").unwrap();
    let identity = if seq.is_multiple_of(3) { Vec::new() } else { vec![field("text")] };
    let sides = vec![side.clone(), other];
    Body::TakenUp { by, reason: "disk 7".to_owned(), sides, unread: vec![side], identity }
}

fn request(seq: u64, side: SideName) -> Request {
    let key = hms_sync_model::IdempotencyKey::try_new(format!("key-{seq}")).unwrap();
    Request { target: side, method: "POST".into(), path: "/letters".into(), body: "{}".into(), key }
}

fn signing(seq: u64) -> Body {
    let key = |n: u64| format!("log.example/permits+{n:08x}+AQ==");
    let last = seq.is_multiple_of(2).then(|| "log.example/permits\n7\n".to_owned());
    Body::Signing { key: key(seq), before: Some(key(seq - 1)), words: "every year".into(), last }
}

fn edited(seq: u64, actor: Actor, id: Option<NativeId>, tag: Option<Tag>) -> Body {
    let mut changes: VecMap<FieldName, Change> = VecMap::new();
    for (name, after) in values(seq).iter() {
        changes.insert(name.clone(), Change { before: Value::Absent, after: after.clone() });
    }
    // One in a while is larger than a chunk, and one larger than a value.
    if seq.is_multiple_of(45) {
        let letters: String =
            (0..seq * 200).map(|n| char::from(b'a' + u8::try_from(n * n % 23).unwrap())).collect();
        changes.insert(field("large"), Change { before: Value::Null, after: letters.as_str().into() });
    }
    let edit = Edit {
        generation: 1,
        dot: Dot { actor: actor.clone(), n: seq },
        context: [(actor, seq - 1)].into_iter().collect(),
        but: VecMap::new(),
        changes,
        deletes: seq.is_multiple_of(13),
        stamp: Stamp::at(Time(5)),
        certain: seq.is_multiple_of(2),
    };
    let source = match seq % 3 {
        0 => Source::Webhook(Some(WebhookMessage::Whole(format!("msg_{seq}")))),
        1 => Source::Page,
        _ if seq.is_multiple_of(2) => Source::Operator,
        _ => Source::Person { by: "A. Clerk".into(), reason: "file 7".into() },
    };
    let raw = seq.is_multiple_of(2).then(|| RawHash([u8::try_from(seq % 251).unwrap(); 32]));
    Body::Edited { edit, id, tag, source, raw }
}

/// A value of each kind.
fn values(seq: u64) -> hms_sync_model::FieldMap {
    [
        (field("absent"), Value::Absent),
        (field("null"), Value::Null),
        (field("bool"), true.into()),
        (field("number"), Value::Number(Decimal::parse("-12.5").unwrap())),
        (field("text"), format!("Zoë 水 {seq}").as_str().into()),
        (field("date"), Value::Date(hms_sync_model::Date(20_454))),
        (field("instant"), Value::Datetime(Time(1_767_225_600_123_456))),
        (field("set"), Value::set(["b".into(), 1.into()])),
        (field("json"), Value::Json("{\"a\":[1,2]}".into())),
    ]
    .into_iter()
    .collect()
}
