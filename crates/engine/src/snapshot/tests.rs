//! Snapshots of any bytes: a state that can be gone on from, nothing, or an error in words.

use super::{SEALED, decode, encode};
use crate::brake::Flips;
use crate::conflicts::Met;
use crate::state::RecordState;
use crate::views::is_parked;
use hms_sync_hostile::Reader;
use hms_sync_model::{
    Actor, Body, Change, Clock, Dot, Edit, Event, EventId, Failure, FieldMap, FieldName, FieldResult,
    FieldType, IdempotencyKey, JobName, Lane, NativeId, Operation, ParkReason, Parked, RecordId, Released,
    Request, SideName, Source, Stamp, Tag, Time, Value, VecMap,
};
use hms_sync_resolver::{FieldRule, Rules};
use hms_sync_vault::{MemoryFolder, Random, Vault};

fn field(name: &str) -> FieldName {
    FieldName::try_new(name).unwrap()
}

fn side(name: &str) -> SideName {
    SideName::try_new(name).unwrap()
}

fn record(n: u8) -> RecordId {
    RecordId::try_new(format!("permit/{n}")).unwrap()
}

fn job() -> JobName {
    JobName::try_new("notify").unwrap()
}

fn rules() -> Rules {
    let types = [
        ("f", FieldType::String),
        ("n", FieldType::Decimal),
        ("s", FieldType::Set(Box::new(FieldType::String))),
    ];
    let rule = |(name, ty)| (field(name), FieldRule { ty, ..FieldRule::default() });
    types
        .map(rule)
        .into_iter()
        .fold(Rules::builder(), |rules, (name, rule)| rules.field(name, rule))
        .build()
        .unwrap()
}

/// An edit of a side that had seen `context`.
fn edited(by: &str, n: u64, context: &[(&str, u64)], fields: &[(&str, Value)]) -> Body {
    let actor = |name: &str| Actor::side(side(name));
    let change =
        |(name, after): &(&str, Value)| (field(name), Change { before: Value::Absent, after: after.clone() });
    let edit = Edit {
        generation: 0,
        dot: Dot { actor: actor(by), n },
        context: context.iter().map(|(name, n)| (actor(name), *n)).collect(),
        but: VecMap::new(),
        changes: fields.iter().map(change).collect(),
        deletes: false,
        stamp: Stamp { low: Time(1), high: Time(2) },
        certain: true,
    };
    let (id, tag) = (NativeId::try_new(format!("{by}-7")).ok(), Tag::try_new("v1").ok());
    Body::Edited { edit, id, tag, source: Source::Page, raw: None }
}

/// A record's life: written, answered, edited by two at once, set aside, taken up, told of.
fn life() -> Vec<Body> {
    let fields = [(field("f"), Value::from("a")), (field("n"), Value::from(7))];
    let clock: Clock = [(Actor::side(side("clerk")), 1)].into_iter().collect();
    let results = [(field("n"), FieldResult::Reformatted(Value::from(8)))].into_iter().collect();
    let request = Request {
        target: side("clerk"),
        method: "POST".into(),
        path: "/notes".into(),
        body: "{\"a\":1}".into(),
        key: IdempotencyKey::try_new("k-1").unwrap(),
    };
    let parked = Parked {
        reason: ParkReason::NotKept,
        words: "it keeps 8".into(),
        attempts: 3,
        fields: vec![field("n")],
        clock: clock.clone(),
        given_up: false,
    };
    let lane = Lane::Side(side("marshal"));
    let set = Value::set(["x", "y"].map(Value::from));
    vec![
        edited("clerk", 1, &[], &[("f", "a".into()), ("n", 7.into()), ("s", set.clone())]),
        Body::Intended {
            side: side("marshal"),
            operation: Operation::Create,
            fields: fields.into_iter().collect(),
            clock,
        },
        Body::Applied {
            side: side("marshal"),
            of: 2,
            id: NativeId::try_new("m-1").ok(),
            tag: Tag::try_new("t").ok(),
            results,
            whole: true,
        },
        edited("clerk", 2, &[("clerk", 1)], &[("f", "b".into()), ("s", Value::Null)]),
        edited("marshal", 1, &[("clerk", 1)], &[("f", "c".into()), ("s", set)]),
        Body::Parked { lane: lane.clone(), parked },
        Body::Queued { job: job(), request },
        Body::HandlerFailed { job: job(), words: "no".into() },
        Body::Released { lane, action: Released::Replay },
        Body::Doubted { side: side("clerk"), stale: true, id: None, message: None, words: "a hint".into() },
        edited("marshal", 2, &[("clerk", 2), ("marshal", 1)], &[("f", "d".into()), ("n", Value::Absent)]),
        Body::Follows { of: record(9) },
    ]
}

/// What may come to any record, and goes through all that is known of its sides.
fn turns() -> Vec<Body> {
    let (by, reason) = (String::from("ada"), String::from("so it was"));
    let clock: Clock = [(Actor::side(side("clerk")), 9)].into_iter().collect();
    vec![
        Body::Confirmed { side: side("clerk"), clock, tag: None, but: vec![field("s")] },
        Body::Intended {
            side: side("clerk"),
            operation: Operation::Update,
            fields: [(field("f"), Value::from("z"))].into_iter().collect(),
            clock: Clock::new(),
        },
        Body::Failed { side: side("clerk"), of: 2, failure: Failure::Rejected, words: "no".into() },
        Body::Unlinked { side: side("marshal"), apart: None },
        Body::Linked {
            side: side("marshal"),
            id: NativeId::try_new("m-2").ok(),
            fields: FieldMap::new(),
            by: by.clone(),
            reason: reason.clone(),
        },
        Body::TakenUp {
            by: by.clone(),
            reason: reason.clone(),
            sides: vec![side("clerk"), side("marshal")],
            unread: vec![side("clerk")],
            identity: vec![field("n")],
        },
        Body::Erased { of: None, by, reason, fields: vec![field("f")] },
    ]
}

/// A state whose counters stand at their ends.
fn counted_out(mut state: RecordState) -> RecordState {
    let ended = Met { version: u64::MAX, at: Time(i64::MAX), times: u64::MAX, ended: None };
    (state.version, state.epoch) = (u64::MAX - 4, u32::MAX);
    state.flips.insert(field("f"), Flips { count: u32::MAX, at: Time(i64::MIN) });
    state.conflicts.insert(Some(field("f")), ended);
    state.edited_at = Time(i64::MAX);
    for (_, part) in state.sides.iter_mut() {
        (part.epoch, part.attempts, part.seen_at) = (u32::MAX, u32::MAX, Time(i64::MIN));
    }
    state.jobs.iter_mut().for_each(|(_, job)| job.attempts = u32::MAX);
    state.requests.iter_mut().for_each(|(_, request)| request.attempts = u32::MAX);
    state
}

fn fold(rules: &Rules, state: &mut RecordState, body: Body) {
    fold_as(state.version.saturating_add(1), rules, state, body);
}

fn fold_as(version: u64, rules: &Rules, state: &mut RecordState, body: Body) {
    let event =
        Event { seq: version, record: record(1), version, at: Time(5), prev: EventId::default(), body };
    state.fold(rules, EventId::default(), &event);
}

/// How the record stood after each event.
fn states() -> Vec<RecordState> {
    let (rules, mut state) = (rules(), RecordState::default());
    let after = life().into_iter().map(|body| {
        fold(&rules, &mut state, body);
        assert_eq!(state.malformed, None, "the life is one that can be");
        state.clone()
    });
    let mut all: Vec<RecordState> = after.collect();
    all.extend(all.last().cloned().map(counted_out));
    all
}

/// A vault that has keys of both records.
fn vault() -> Vault {
    let mut rng = fastrand::Rng::with_seed(7);
    let random = Random::of(move |bytes| {
        rng.fill(bytes);
        Ok(())
    });
    let vault = Vault::on(MemoryFolder::new(), random).unwrap();
    for n in 1..=2 {
        vault.keyed_hash(&record(n), b"").unwrap();
    }
    vault
}

/// Whatever is read as a state is one: it is written and read again, and all events go on from it.
fn goes_on(rules: &Rules, life: &[Body], state: &RecordState) {
    let bytes = encode(None, &record(1), state).unwrap().unwrap();
    let again = decode(None, &record(1), &bytes).unwrap().unwrap();
    assert_eq!(&again, state);
    is_parked(state);
    state.past_conflicts();
    let mut next = again;
    for body in life {
        fold(rules, &mut next, body.clone());
        for name in ["f", "n", "s"] {
            next.merged.decide(rules, &field(name));
        }
    }
    // And where some of them were lost.
    let late = next.version.saturating_add(7);
    fold_as(late, rules, &mut next, Body::Follows { of: record(9) });
    assert!(encode(None, &record(1), &next).is_ok());
}

#[test]
fn hostile_snapshots() {
    let (states, vault, rules, life) = (states(), vault(), rules(), [life(), turns()].concat());
    let kept = |vault| states.iter().map(move |state| encode(vault, &record(1), state).unwrap().unwrap());
    let sealed: Vec<Vec<u8>> = kept(Some(&vault)).collect();
    let some = |all: &Vec<Vec<u8>>| [0, 4, 11].map(|n| all[n].clone());
    let others = [1, 2].map(|n| encode(Some(&vault), &record(2), &states[n]).unwrap().unwrap());
    let letters = "nhmesyjqkzoblxivgupcwdtaf".split("").filter(|letter| !letter.is_empty());
    let letters: Vec<Vec<u8>> = letters.map(|letter| [&[0xa1], letter.as_bytes()].concat()).collect();
    let marks: [&[u8]; 9] = [
        &[SEALED],
        &[0x80],
        &[0x90],
        &[0xc4],
        &[0xdd, 0xff, 0xff, 0xff, 0xff],
        &[0xdf, 0xff, 0xff, 0xff, 0xff],
        &[0xc6, 0xff, 0xff, 0xff, 0xff],
        &[0xce, 0xff, 0xff, 0xff, 0xff],
        &[0xcf, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
    ];
    Reader::new("snapshots")
        .sound(kept(None).chain(some(&sealed)))
        .words(
            marks
                .into_iter()
                .chain(letters.iter().map(Vec::as_slice))
                .chain(others.iter().map(Vec::as_slice)),
        )
        .bytes(|bytes| {
            let mut taken = false;
            for vault in [None, Some(&vault)] {
                match decode(vault, &record(1), bytes) {
                    Ok(Some(state)) => {
                        let is_sealed = bytes.first() == Some(&SEALED);
                        assert!(!is_sealed || vault.is_some() && sealed.iter().any(|own| own == bytes));
                        goes_on(&rules, &life, &state);
                        taken = true;
                    }
                    Ok(None) => {}
                    Err(why) => {
                        let words = why.to_string();
                        assert!(words.contains("permit/1") && words.len() < 1_000, "{words}");
                    }
                }
            }
            taken
        });
}
