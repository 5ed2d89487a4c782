//! What is sealed in an event, and that it opens again only in its place.

use crate::common::{edited, event, field, filled, open, personal, record, side, with_phone};
use hms_sync_model::{
    Body, Clock, Failure, FieldResult, IdempotencyKey, JobName, Lane, Operation, ParkReason, Parked, Request,
    Tag, Value,
};
use hms_sync_vault::MemoryFolder;
use proptest::prelude::*;

const SECRET: &str = "555-0199";

fn parked() -> Parked {
    Parked {
        reason: ParkReason::Refused,
        words: format!("{SECRET} is no number"),
        attempts: 1,
        fields: vec![field("phone")],
        clock: Clock::new(),
        given_up: false,
    }
}

/// An event of every kind that could carry a personal value, with one in every place.
fn carriers() -> Vec<Body> {
    let (side, tag) = (side(), || Some(Tag::try_new(format!("\"{SECRET}\"")).unwrap()));
    let words = || format!("answered 422: {SECRET} is not allowed");
    let mut edit = edited(&[("phone", SECRET.into()), ("status", "open".into())]);
    if let Body::Edited { edit, tag: of, .. } = &mut edit {
        *of = tag();
        edit.changes.get_mut("phone").unwrap().before = Value::set([SECRET.into()]);
    }
    let job = JobName::try_new("notify").unwrap();
    let request = Request {
        target: side.clone(),
        method: "POST".into(),
        path: format!("/call/{SECRET}"),
        body: format!("{{\"to\":\"{SECRET}\"}}"),
        key: IdempotencyKey::try_new("k").unwrap(),
    };
    let results = [
        (field("phone"), FieldResult::Reformatted(SECRET.into())),
        (field("born"), FieldResult::Altered(SECRET.into())),
    ];
    vec![
        edit,
        Body::Intended {
            side: side.clone(),
            operation: Operation::Update,
            fields: [(field("phone"), SECRET.into()), (field("born"), Value::Null)].into_iter().collect(),
            clock: Clock::new(),
        },
        Body::Applied {
            side: side.clone(),
            of: 1,
            id: None,
            tag: tag(),
            results: results.into_iter().collect(),
            whole: true,
        },
        Body::Failed { side: side.clone(), of: 1, failure: Failure::Rejected, words: words() },
        Body::Confirmed { side: side.clone(), clock: Clock::new(), tag: tag(), but: Vec::new() },
        Body::Doubted { side: side.clone(), stale: false, id: None, message: None, words: words() },
        Body::Parked { lane: Lane::Side(side), parked: parked() },
        Body::Queued { job: job.clone(), request },
        Body::HandlerFailed { job, words: words() },
    ]
}

#[test]
fn no_event_carries_a_personal_value_past_the_border() {
    let vault = open(&MemoryFolder::new(), 1);
    for (version, body) in (1..).zip(carriers()) {
        let plain = event(&record(1), version, body);
        let mut sealed = plain.clone();
        vault.seal(&mut sealed, &personal()).unwrap();
        let bytes = rmp_serde::to_vec_named(&sealed).unwrap();
        let found = bytes.windows(SECRET.len()).any(|window| window == SECRET.as_bytes());
        assert!(!found, "{plain:?} is written as {sealed:?}");
        let mut back: hms_sync_model::Event = rmp_serde::from_slice(&bytes).unwrap();
        vault.open_event(&mut back);
        assert_eq!(back, plain);
    }
}

#[test]
fn what_is_not_personal_stays_as_it_is() {
    let vault = open(&MemoryFolder::new(), 1);
    let mut event = event(&record(1), 1, edited(&[("status", "open".into())]));
    let plain = event.clone();
    vault.seal(&mut event, &personal()).unwrap();
    assert_eq!(event, plain);
}

#[test]
fn a_sealed_value_opens_in_its_own_place_only() {
    let folder = MemoryFolder::new();
    let (vault, sealed) = filled(&folder, 2);
    let opened = |event: &hms_sync_model::Event| {
        let mut event = event.clone();
        vault.open_event(&mut event);
        event
    };
    assert_eq!(opened(&sealed[0]), with_phone(0));
    let mut moved = sealed[0].clone();
    moved.version = 2;
    assert_eq!(opened(&moved).body, sealed[0].body, "another version");
    let mut moved = sealed[0].clone();
    moved.record = record(1);
    assert_eq!(opened(&moved).body, sealed[0].body, "another record");
    let Body::Edited { edit, .. } = &mut moved.body else { panic!() };
    let change = edit.changes.remove("phone").unwrap();
    edit.changes.insert(field("born"), change);
    moved.record = record(0);
    assert_eq!(opened(&moved).body, moved.body, "another field");
}

#[test]
fn equal_values_are_sealed_unequally_and_lengths_are_hidden() {
    let vault = open(&MemoryFolder::new(), 1);
    let seal = |text: &str| {
        let mut event = event(&record(1), 1, edited(&[("phone", text.into())]));
        vault.seal(&mut event, &personal()).unwrap();
        let Body::Edited { edit, .. } = event.body else { panic!() };
        let Value::Sealed(sealed) = edit.changes.get("phone").unwrap().after.clone() else { panic!() };
        sealed
    };
    assert_ne!(seal(SECRET), seal(SECRET));
    assert_eq!(seal("1").as_bytes().len(), seal("+49 30 1234567").as_bytes().len());
}

#[test]
fn what_cannot_be_opened_reads_as_erased() {
    let vault = open(&MemoryFolder::new(), 1);
    for (version, body) in (1..).zip(carriers()) {
        let mut sealed = event(&record(1), version, body);
        vault.seal(&mut sealed, &personal()).unwrap();
        open(&MemoryFolder::new(), 2).open_event(&mut sealed);
        match sealed.body {
            Body::Failed { words, .. } | Body::Doubted { words, .. } | Body::HandlerFailed { words, .. } => {
                assert_eq!(words, "(erased)");
            }
            Body::Parked { parked, .. } => assert_eq!(parked.words, "(erased)"),
            Body::Queued { request, .. } => {
                assert_eq!((&*request.path, &*request.body), ("(erased)", "(erased)"));
            }
            Body::Confirmed { tag, .. } => assert_eq!(tag, None),
            Body::Edited { edit, tag, .. } => {
                assert_eq!(
                    (edit.changes.get("phone").unwrap().after.to_string(), tag),
                    ("(erased)".into(), None)
                );
            }
            Body::Intended { fields, .. } => assert!(fields.get("phone").unwrap().is_sealed()),
            _ => {}
        }
    }
}

#[test]
fn a_keyed_hash_differs_from_record_to_record_and_ends_with_the_key() {
    let folder = MemoryFolder::new();
    let (vault, _) = filled(&folder, 2);
    let hash = |vault: &hms_sync_vault::Vault, n: usize| vault.keyed_hash(&record(n), b"1970-01-01").unwrap();
    let [one, two] = [0, 1].map(|n| hash(&vault, n));
    assert_ne!(one, two);
    assert_ne!(one, *blake3::hash(b"1970-01-01").as_bytes());
    assert_eq!(hash(&open(&folder, 9), 0), one, "the same while there is the key");
    let new = hash(&vault, 7);
    vault.flush().unwrap();
    assert_eq!(hash(&open(&folder, 10), 7), new, "the first thing that asks for a key makes it");
    vault.destroy(&[record(0)]).unwrap();
    assert_ne!(hash(&open(&folder, 11), 0), one, "nobody can make it again");
}

proptest! {
    /// Whatever stands where something sealed should be: no panic, and nothing opens.
    #[test]
    fn any_bytes_in_the_place_of_something_sealed(bytes in proptest::collection::vec(any::<u8>(), 0..200), mark in any::<bool>()) {
        let folder = MemoryFolder::new();
        let (vault, _) = filled(&folder, 1);
        let mut words = String::from_utf8_lossy(&bytes).into_owned();
        if mark {
            words.insert_str(0, "\u{1}sealed\u{1}");
        }
        let value = hms_sync_model::Sealed::from_bytes(&bytes).map_or(Value::Null, Value::Sealed);
        let mut one = event(&record(0), 1, edited(&[("phone", value.clone())]));
        vault.open_event(&mut one);
        let Body::Edited { edit, .. } = one.body else { panic!() };
        prop_assert_eq!(&edit.changes.get("phone").unwrap().after, &value);
        let body = Body::Failed { side: side(), of: 1, failure: Failure::Unknown, words: words.clone() };
        let mut two = event(&record(0), 1, body);
        vault.open_event(&mut two);
        let Body::Failed { words: opened, .. } = two.body else { panic!() };
        prop_assert_eq!(opened, if mark { "(erased)".to_owned() } else { words });
    }
}
