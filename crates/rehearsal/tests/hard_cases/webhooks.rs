//! Messages that are sent again for days, and sides that are polled today and tell of
//! changes by themselves tomorrow.

use crate::scene::{Scene, field, permit, side};
use crate::story::Story;
use hms_sync_connector::{Content, Delivery, Observation};
use hms_sync_engine::Plan;
use hms_sync_model::{FieldMap, FieldType, NativeId, Value};
use serde_json::{Value as Json, json};

const DAY: u64 = 24 * 3_600;

fn told(story: &mut Story, message: &str, seen: &Observation) {
    let delivery =
        Delivery { message: Some(message.to_owned()), records: vec![seen.clone()], hints: Vec::new() };
    story.play.deliver(&permit(), &side("clerk"), delivery).unwrap();
}

#[test]
fn a_message_sent_again_for_eight_days_over_restarts_says_nothing_new() {
    let mut story = Story::of(Scene::new(), &[("status", "pending"), ("note", "a")]);
    let id = story.id("clerk");
    let first = story.play.seen(&permit(), &side("clerk"), &id).unwrap();
    told(&mut story, "msg_1", &first);
    story.edit("clerk", &[("note", "b")]).settle();
    for day in 1..=8 {
        story.wait(DAY);
        story.play.restart(None).unwrap();
        story.play.forget();
        told(&mut story, "msg_1", &first);
        let counts = story.play.counts().unwrap();
        assert_eq!((counts.duplicate_webhooks, counts.webhooks), (1, 0), "day {day}");
        assert_eq!(story.play.writes(), &[], "day {day}");
    }
    story.all_hold("no=7 note=b status=pending");
}

#[test]
fn messages_of_a_month_ago_are_forgotten_and_those_of_last_week_are_not() {
    let mut story = Story::of(Scene::new(), &[("status", "pending"), ("note", "a")]);
    let id = story.id("clerk");
    let seen = story.play.seen(&permit(), &side("clerk"), &id).unwrap();
    for n in 0..100 {
        told(&mut story, &format!("old_{n}"), &seen);
    }
    story.wait(24 * DAY);
    for n in 0..200 {
        told(&mut story, &format!("new_{n}"), &seen);
    }
    story.wait(7 * DAY);
    story.play.restart(None).unwrap();
    // Some are looked at whenever others come in.
    for n in 0..200 {
        told(&mut story, &format!("newest_{n}"), &seen);
    }
    for n in 0..200 {
        told(&mut story, &format!("new_{n}"), &seen);
    }
    assert_eq!(story.play.counts().unwrap().duplicate_webhooks, 200, "each of last week is known");
    for n in 0..100 {
        told(&mut story, &format!("old_{n}"), &seen);
    }
    assert_eq!(story.play.counts().unwrap().duplicate_webhooks, 200, "none of a month ago is");
}

#[test]
fn what_a_sweep_finds_and_no_webhook_had_told_is_counted() {
    let mut story = Story::of(Scene::new(), &[("status", "pending"), ("note", "a")]);
    let (id, clerk) = (story.id("clerk"), side("clerk"));
    let repairs = |story: &Story| story.play.counts().unwrap().repairs;
    story.edit("clerk", &[("note", "b")]).settle();
    assert_eq!(repairs(&story), 0, "it is polled and no more");
    for note in ["c", "d"] {
        story.edit("clerk", &[("note", note)]);
        story.play.webhook(&permit(), &clerk, &id, true).unwrap();
        story.settle();
    }
    assert_eq!(repairs(&story), 0, "the webhooks told of it");
    story.edit("clerk", &[("note", "e")]).settle();
    assert_eq!(repairs(&story), 1);
    story.all_hold("no=7 note=e status=pending");
}

/// What the sync is told of fields: all, none of the notes at the marshal's, or notes that
/// go one way only.
fn mapped(which: u8) -> Plan {
    let scene = Scene::new().field("fee", FieldType::String, |_| {});
    match which {
        0 => scene.plan(),
        1 => scene.without("marshal", "note").plan(),
        _ => scene.map("clerk", "note", |map| map.direction = hms_sync_mapping::Direction::FromSide).plan(),
    }
}

fn value(field_name: &str, n: u64) -> FieldMap {
    let text = match field_name {
        "status" => ["pending", "approved", "revoked"][usize::try_from(n % 3).unwrap()].to_owned(),
        _ => format!("{field_name} {n}"),
    };
    [(field(field_name), Value::Text(text.into()))].into_iter().collect()
}

/// Changes go on while the clerk is polled, or tells by webhook whole or as a hint, some of
/// which get lost; between restarts also what is mapped changes. A sweep at the end finds
/// what no webhook told.
#[test]
fn switching_between_polls_and_webhooks_and_mappings_loses_and_deletes_nothing() {
    for seed in 0..12 {
        let mut rng = fastrand::Rng::with_seed(seed);
        let mut story = Story::empty(Scene::new());
        story.plan = mapped(0);
        story.play = hms_sync_rehearsal::Rehearsal::new(story.plan.clone()).unwrap();
        let clerk = side("clerk");
        let mut ids: Vec<NativeId> = Vec::new();
        for phase in 0..12 {
            if phase > 0 {
                story.play.restart(Some(mapped(rng.u8(..3)))).unwrap();
            }
            let polled = rng.bool();
            for change in 0..rng.u64(2..8) {
                let n = phase * 100 + change;
                let id = if ids.len() < 10 && rng.bool() {
                    let no = ids.len().to_string();
                    let id = story.put("clerk", &[("no", &no), ("status", "pending"), ("note", "first")]);
                    ids.push(id.clone());
                    id
                } else if ids.is_empty() {
                    continue;
                } else {
                    let id = ids[rng.usize(..ids.len())].clone();
                    let name = ["note", "fee", "status"][rng.usize(..3)];
                    story.play.edit_id(&permit(), &clerk, &id, &value(name, n)).unwrap();
                    id
                };
                if !polled && rng.u8(..10) > 0 {
                    story.play.webhook(&permit(), &clerk, &id, rng.bool()).unwrap();
                }
            }
            if polled {
                story.poll("clerk");
            }
            story.wait(60);
        }
        story.play.restart(Some(mapped(0))).unwrap();
        story.wait(60).list("clerk").list("marshal").settle();
        let marshal = side("marshal");
        let shown = |side| {
            let records = story.play.records().unwrap();
            records
                .into_iter()
                .map(|record| (record.clone(), story.play.shown(side, &record).unwrap()))
                .collect()
        };
        let (theirs, ours): (Vec<_>, Vec<_>) = (shown(&clerk), shown(&marshal));
        assert_eq!(theirs, ours, "seed {seed}");
        assert_eq!(theirs.len(), ids.len(), "seed {seed}");
        assert!(theirs.iter().all(|(_, fields)| fields.is_some()), "seed {seed}: {theirs:?}");
        assert_eq!(story.play.ids(&permit(), &marshal).len(), ids.len(), "seed {seed}");
        let lost = |id: &NativeId| story.play.doc(&permit(), &clerk, id).is_none();
        assert!(!ids.iter().any(lost), "seed {seed}");
        assert_eq!(story.play.parked().unwrap(), [], "seed {seed}");
        story.stays_quiet();
    }
}

/// The clerk's listing puts the note there from what it knows of the permit's parent. Read by
/// itself the permit has none, or null.
#[test]
fn what_only_a_listing_knows_is_not_cleared_by_a_read_of_the_record_alone() {
    let shown = |scene: Scene, doc: &Json| {
        let mut story = Story::of(scene, &[("status", "pending"), ("note", "a")]);
        story.wait(60);
        let content = Content::Whole(doc.clone());
        let seen = Observation { id: story.id("clerk"), tag: None, modified: None, content };
        told(&mut story, "msg_1", &seen);
        (story.merged(), story.shows("marshal"))
    };
    let scene = || Scene::new().able("clerk", |can| can.fetch = false);
    let without = json!({ "no": "7", "status": "approved" });
    for doc in [&without, &json!({ "no": "7", "status": "approved", "note": null })] {
        let (merged, marshal) = shown(scene().filled_by_listing("clerk", "note"), doc);
        assert_eq!(merged, "no=7 note=a status=approved", "{doc}");
        assert_eq!(marshal, "no=7 note=a status=approved", "{doc}");
    }
    let (merged, _) = shown(scene(), &without);
    assert_eq!(merged, "no=7 status=approved", "what the record itself shows is cleared");
}

/// The webhook told of it just now, and a listing may be older: but of the note nothing else tells.
#[test]
fn what_only_a_listing_knows_is_taken_from_it_soon_after_a_webhook() {
    let scene = Scene::new().able("clerk", |can| can.fetch = false).filled_by_listing("clerk", "note").map(
        "clerk",
        "note",
        |map| map.direction = hms_sync_mapping::Direction::FromSide,
    );
    let mut story = Story::empty(scene);
    let id = story.put("clerk", &[("no", "7"), ("status", "pending"), ("note", "a")]);
    let content = Content::Whole(json!({ "no": "7", "status": "pending" }));
    told(&mut story, "msg_1", &Observation { id, tag: None, modified: None, content });
    story.poll("clerk");
    assert_eq!(story.merged(), "no=7 note=a status=pending");
    assert_eq!(story.shows("marshal"), "no=7 note=a status=pending");
}
