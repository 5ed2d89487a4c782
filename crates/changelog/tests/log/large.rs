//! Events and views of any size up to the bound, and no further; never a blob.

use crate::common::{Maker, Place, doubt, record};
use hms_sync_changelog::{EVENT_BYTES_MAX, LogError, VIEW_BYTES_MAX, VIEW_KEY_BYTES_MAX, seal};
use hms_sync_model::{Change, Dot, Edit, EventId, FieldName, Stamp, Value, VecMap};

#[test]
fn events_of_any_size_up_to_the_bound_come_back() {
    for place in Place::both() {
        let log = place.open();
        let mut maker = Maker::default();
        let mut made = Vec::new();
        for size in [0, 1, 4_900, 5_000, 5_040, 5_080, 5_120, 10_000, 100_000, EVENT_BYTES_MAX - 300] {
            made.push(maker.next(&record(0), size));
            made.push(maker.next(&record(1), 40));
        }
        let sealed: Vec<_> = made.iter().map(|(sealed, _)| sealed.clone()).collect();
        log.append(&sealed).unwrap();
        log.close().unwrap();
        let log = place.open();
        let expected: Vec<_> = made.into_iter().map(|(sealed, event)| (sealed.id, event)).collect();
        assert!(log.events(1, 100).unwrap() == expected);
        for (id, event) in &expected {
            assert_eq!(log.event(event.seq).unwrap().unwrap().0, *id);
        }
        assert!(log.verify(|_| {}).unwrap().is_sound());
        place.assert_no_blobs();
    }
}

#[test]
fn an_event_past_the_bound_is_refused_in_words() {
    let event = doubt(1, &record(0), 1, EventId::default(), EVENT_BYTES_MAX);
    let why = seal(&event).unwrap_err();
    assert!(matches!(why, LogError::TooLarge { what: "event", .. }));
    assert!(why.to_string().contains("takes 67108864 at most"), "{why}");
}

#[test]
fn an_event_nested_too_deep_to_be_read_back_is_refused() {
    let nested = |depth: usize| {
        let value = (0..depth).fold(Value::Null, |value, _| Value::set([value]));
        let mut event = doubt(1, &record(0), 1, EventId::default(), 0);
        let actor: hms_sync_model::Actor = "clerk".parse().unwrap();
        let changes: VecMap<_, _> = std::iter::once((
            FieldName::try_new("tags").unwrap(),
            Change { before: Value::Absent, after: value },
        ))
        .collect();
        event.body = hms_sync_model::Body::Edited {
            edit: Edit {
                generation: 0,
                dot: Dot { actor, n: 1 },
                context: hms_sync_model::Clock::new(),
                but: VecMap::new(),
                changes,
                deletes: false,
                stamp: Stamp::default(),
                certain: true,
            },
            id: None,
            tag: None,
            source: hms_sync_model::Source::Page,
            raw: None,
        };
        seal(&event)
    };
    nested(10).unwrap();
    assert!(matches!(nested(60), Err(LogError::Encode { .. })));
}

#[test]
fn views_grow_shrink_and_go() {
    for place in Place::both() {
        let log = place.open();
        let sizes = [0, 3_494, 3_495, 3_496, 5_118, 5_119, 5_120, 40_000, 5_300, 200_000, 3, 12_000];
        let save = |value: Option<Vec<u8>>| log.save_views(&[(b"k".to_vec(), value)].into(), 0).unwrap();
        for (n, size) in sizes.into_iter().enumerate() {
            let value = vec![n as u8; size];
            save(Some(value.clone()));
            assert!(log.view(b"k").unwrap() == Some(value));
        }
        save(None);
        assert_eq!(log.view(b"k").unwrap(), None);
        if let Place::Memory(disk) = &place {
            // With the twenty-seventh save all is merged to one run.
            (0..14).for_each(|_| log.save_views(&[(b"l".to_vec(), Some(vec![1]))].into(), 0).unwrap());
            let left = disk.entries().into_iter().filter(|(key, _)| key[0] == b'r' && key[10] == 2).count();
            assert_eq!(left, 0, "parts of views that are gone");
        }
        place.assert_no_blobs();
    }
}

#[test]
fn views_past_the_bounds_are_refused_and_stop_nothing() {
    let log = Place::folder().open();
    let long = log.save_views(&[(vec![1; VIEW_KEY_BYTES_MAX + 1], None)].into(), 0).unwrap_err();
    assert!(matches!(long, LogError::TooLarge { what: "view key", .. }));
    let large = log.save_views(&[(vec![1], Some(vec![0; VIEW_BYTES_MAX + 1]))].into(), 0).unwrap_err();
    assert!(matches!(large, LogError::TooLarge { what: "view", .. }));
    log.append(&Maker::default().many(1, 1, 10)).unwrap();
}

/// Leaves full of values and keys of the largest size, written over and over.
#[test]
fn the_largest_values_and_keys_never_become_blobs() {
    let place = Place::folder();
    let log = place.open();
    let mut random = fastrand::Rng::with_seed(7);
    let mut maker = Maker::default();
    let long = hms_sync_model::RecordId::try_new(format!("permit/{}", "x".repeat(249))).unwrap();
    for _ in 0..12 {
        let events: Vec<_> = (0..40).map(|_| maker.next(&long, random.usize(4_500..5_060)).0).collect();
        log.append(&events).unwrap();
        let changes: std::collections::BTreeMap<_, _> = (0..100)
            .map(|_| {
                let mut key = vec![b'k'; VIEW_KEY_BYTES_MAX - 1];
                key.push(random.u8(..));
                (key, random.bool().then(|| vec![1; random.usize(5_000..5_120)]))
            })
            .collect();
        log.save_views(&changes, log.head()).unwrap();
        place.assert_no_blobs();
    }
    assert!(log.verify(|_| {}).unwrap().is_sound());
}
