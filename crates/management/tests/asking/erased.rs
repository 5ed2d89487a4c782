//! Personal fields: opened for whoever asks as long as their key is there, and told as
//! erased afterwards, whatever time is asked for.

use crate::past::{assert_stood, stood};
use crate::world::{World, field, record, written};
use hms_sync_management::LogQuery;
use hms_sync_model::{Body, Time};
use serde_json::{Value as Json, json};

const SEEDS: u64 = 8;

#[tokio::test]
async fn sealed_fields_are_opened_for_questions_about_the_past() {
    let mut saved = 0;
    for seed in 0..SEEDS {
        let world = World::personal(seed, 200);
        let desk = world.cramped_desk();
        let snapshots = world.log.views(b"r", None, 10).unwrap();
        saved += snapshots.iter().filter(|(_, bytes)| bytes.first() == Some(&0xC1)).count();
        assert!(world.vault().len() > 1);
        for of in world.records() {
            let times = world.events.iter().filter(|(_, event)| event.record == of);
            let times: Vec<Time> = times.map(|(_, event)| event.at).collect();
            for at in times {
                let state = world.fold(&of, |event| event.at <= at);
                assert_stood(&stood(&desk, &of, at).await, &state, &format!("seed {seed}, {of} at {}", at.0));
            }
        }
    }
    assert!(saved > 3, "of no long record a sealed snapshot was used");
}

#[tokio::test]
async fn what_was_erased_is_told_as_erased_of_any_time() {
    for seed in 0..SEEDS {
        let mut world = World::personal(seed, 200);
        let desk = world.desk();
        let of = record("permit/a");
        let noted = world.events.iter().find(|(_, event)| {
            let Body::Edited { edit, .. } = &event.body else { return false };
            event.record == of && edit.changes.get("note").is_some_and(|change| !change.after.is_blank())
        });
        let at = noted.expect("a note").1.at;
        let before = desk.as_of(of.as_str(), &written(at)).await.unwrap();
        let open = before.fields.iter().find(|f| f.field == "note").expect("a note").value.clone();
        assert!(open.is_string(), "seed {seed}: {open}");
        world.wait(1);
        let (by, reason, fields) = ("registry".to_owned(), "file 7".to_owned(), vec![field("note")]);
        world.add(&of, Body::Erased { of: None, by, reason, fields });
        world.vault().destroy(std::slice::from_ref(&of)).unwrap();
        let desk = world.cramped_desk();
        let then = desk.as_of(of.as_str(), &written(at)).await.unwrap();
        let note = then.fields.iter().find(|f| f.field == "note").expect("a note");
        assert_eq!(note.value, json!({ "erased": true }), "seed {seed}");
        assert_eq!(then.erased.expect("told of the time before, too").reason, "file 7");
        let now = desk.as_of(of.as_str(), "now").await.unwrap();
        assert!(now.fields.iter().all(|f| f.field != "note"), "seed {seed}");
        let told = desk.explain(of.as_str(), Some("note"), None).await.unwrap();
        let erased = told.erased.expect("told");
        assert_eq!((erased.by.as_str(), erased.fields), ("registry", vec!["note".to_owned()]));
        assert!(desk.explain(of.as_str(), Some("nonsense"), None).await.is_err());
        let query =
            LogQuery { record: Some(of.to_string()), kind: Some("erased".into()), ..LogQuery::default() };
        let listed = desk.log_list(&query).await.unwrap().events;
        assert_eq!(listed.len(), 1);
        assert_eq!(listed[0].words, "registry erased note: file 7");
        let diff = desk.diff(of.as_str(), "v0", "now").await.unwrap();
        let all = [
            serde_json::to_value(&then.fields).unwrap(),
            serde_json::to_value(&diff).unwrap(),
            serde_json::to_value(&told.edits).unwrap(),
            serde_json::to_value(desk.history(of.as_str(), 0, 1_000).await.unwrap()).unwrap(),
        ];
        all.iter().for_each(|told| assert_no_note(told, &format!("seed {seed}: {told}")));
    }
}

/// Wherever a note stands, it is erased or nothing.
fn assert_no_note(told: &Json, words: &str) {
    match told {
        Json::Object(of) => {
            let noted = of
                .get("note")
                .into_iter()
                .chain(of.get("value").filter(|_| of.get("field").is_some_and(|field| field == "note")));
            for value in noted {
                assert!(!value.is_string() || value == "(erased)", "{words}");
            }
            of.values().for_each(|value| assert_no_note(value, words));
        }
        Json::Array(all) => all.iter().for_each(|value| assert_no_note(value, words)),
        Json::Null | Json::Bool(_) | Json::Number(_) | Json::String(_) => {}
    }
}
