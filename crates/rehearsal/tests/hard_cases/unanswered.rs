//! Writes whose answer is lost, and what is done before they are sent again; answers that
//! do not say what was stored, and updates that find no record.

use crate::scene::{Scene, permit, side};
use crate::story::{Story, Values};
use hms_sync_connector::Abilities;
use hms_sync_engine::{OnAltered, OnMissing};
use hms_sync_model::{FieldType, Released};
use hms_sync_rehearsal::Trouble;
use hms_sync_resolver::Deletes;
use serde_json::json;
use std::time::Duration;

const NEW: Values<'_> = &[("status", "pending"), ("note", "a")];

fn marshal_can(change: impl FnOnce(&mut Abilities)) -> Scene {
    Scene::new().able("marshal", |can| {
        can.precondition = false;
        change(can);
    })
}

/// The clerk makes permit 7, and the marshal's answer to the create is lost.
fn lost_create(scene: Scene, trouble: Trouble) -> Story {
    let mut story = Story::empty(scene);
    story.settle();
    story.mood("marshal").troubles.push_back(trouble);
    story.put("clerk", NEW);
    // The marshal is not listed meanwhile, which would show what became of it.
    story.poll("clerk").wait(10).poll("clerk");
    story
}

fn at_marshal(story: &Story) -> usize {
    story.play.ids(&permit(), &side("marshal")).len()
}

fn parked(story: &Story) -> Vec<(String, String)> {
    story.play.parked().unwrap().into_iter().map(|item| (item.reason, item.words)).collect()
}

#[test]
fn a_create_without_an_answer_is_looked_up_before_it_is_sent_again() {
    for trouble in [Trouble::AnswerLost, Trouble::RequestLost] {
        let story = lost_create(marshal_can(|_| {}), trouble.clone());
        assert_eq!((at_marshal(&story), parked(&story).len()), (1, 0), "{trouble:?}");
        assert_eq!(story.shows("marshal"), "no=7 note=a status=pending");
    }
}

#[test]
fn a_create_without_an_answer_is_sent_again_under_its_key() {
    for trouble in [Trouble::AnswerLost, Trouble::RequestLost] {
        let story = lost_create(
            marshal_can(|can| (can.lookup, can.idempotency_key) = (false, true)),
            trouble.clone(),
        );
        assert_eq!((at_marshal(&story), parked(&story).len()), (1, 0), "{trouble:?}");
    }
}

#[test]
fn a_create_without_an_answer_key_and_look_up_waits_for_a_person() {
    for (trouble, there) in [(Trouble::AnswerLost, 1), (Trouble::RequestLost, 0)] {
        let mut story = lost_create(marshal_can(|can| can.lookup = false), trouble);
        let [(reason, words)] = &parked(&story)[..] else { panic!("{:?}", parked(&story)) };
        assert_eq!(reason, "unknown");
        assert!(words.contains("see there whether it was done") && words.contains("replay"), "{words}");
        assert_eq!(at_marshal(&story), there, "nothing is sent twice by itself");
        if there == 0 {
            story.release("marshal", Released::Replay).poll("clerk");
            assert_eq!((at_marshal(&story), parked(&story).len()), (1, 0), "sent again by a word");
        }
    }
}

#[test]
fn an_update_without_an_answer_is_read_or_waits_for_a_person() {
    for (fetch, trouble) in
        [(true, Trouble::AnswerLost), (true, Trouble::RequestLost), (false, Trouble::RequestLost)]
    {
        let mut story = Story::of(marshal_can(|can| can.fetch = fetch), NEW);
        story.mood("marshal").troubles.push_back(trouble);
        story.edit("clerk", &[("note", "b")]).poll("clerk").wait(10).poll("clerk");
        let waits = parked(&story).iter().any(|(reason, _)| reason == "unknown");
        assert_eq!(waits, !fetch, "{}", story.play.timeline());
        if !fetch {
            // The person looked, and has it sent again.
            story.release("marshal", Released::Replay).poll("clerk");
        }
        story.all_hold("no=7 note=b status=pending");
    }
}

#[test]
fn a_delete_without_an_answer_is_sent_again() {
    for trouble in [Trouble::AnswerLost, Trouble::RequestLost] {
        let mut story = Story::of(marshal_can(|can| can.fetch = false), NEW);
        story.mood("marshal").troubles.push_back(trouble);
        story.delete("clerk").settle();
        assert_eq!((story.shows("marshal"), parked(&story).len()), ("nothing".to_owned(), 0));
    }
}

/// A process dies after it sent an update; the next starts so many seconds later.
fn after_a_death(seconds: u64) -> String {
    let scene = marshal_can(|can| {
        // It need not be read before it is written.
        can.precondition = true;
        can.idempotency_key = true;
        can.key_valid_for = Some(Duration::from_mins(1));
    });
    let mut story = Story::of(scene, NEW);
    story.play.offline(&side("marshal"));
    story.edit("clerk", &[("note", "b")]).poll("clerk");
    story.wait(seconds);
    story.play.restart(None).unwrap();
    story.play.forget();
    story.play.online(&side("marshal"));
    story.settle();
    assert_eq!(story.shows("marshal"), "no=7 note=b status=pending");
    story.play.timeline()
}

#[test]
fn a_key_is_trusted_for_as_long_as_the_side_remembers_it() {
    let soon = after_a_death(30);
    assert!(!soon.contains("we looked"), "sent again under its key:\n{soon}");
    let late = after_a_death(90);
    assert!(late.contains("we looked"), "looked for first:\n{late}");
}

fn deleted_there(what: OnMissing, change: impl FnOnce(&mut Abilities)) -> Story {
    let scene = marshal_can(change).deletes(Deletes::DeleteWins).on_missing("marshal", what);
    let mut story = Story::of(scene, NEW);
    story.delete("marshal").edit("clerk", &[("note", "b")]).poll("clerk");
    story
}

#[test]
fn an_update_that_finds_nothing_means_what_it_is_said_to() {
    let mut deleted = deleted_there(OnMissing::Deleted, |can| can.fetch = false);
    deleted.settle();
    assert_eq!((deleted.shows("clerk"), deleted.shows("marshal")), ("nothing".into(), "nothing".into()));

    let again = deleted_there(OnMissing::Recreate, |can| can.precondition = true);
    assert_eq!(again.shows("clerk"), "no=7 note=b status=pending", "{}", again.play.timeline());
    assert_eq!(again.shows("marshal"), "no=7 note=b status=pending", "{}", again.play.timeline());
    assert_eq!(at_marshal(&again), 1);

    let waits = deleted_there(OnMissing::Park, |can| can.precondition = true);
    let [(reason, words)] = &parked(&waits)[..] else { panic!("{:?}", parked(&waits)) };
    assert_eq!(reason, "refused");
    assert!(words.starts_with("marshal no longer has the record: put it back"), "{words}");
    assert_eq!(waits.shows("clerk"), "no=7 note=b status=pending");
}

#[test]
fn what_an_answer_does_not_show_is_read_back() {
    for read_back in [false, true] {
        let scene = Scene::new().field("score", FieldType::Integer, |_| {});
        let scene = scene.on_altered("marshal", OnAltered::KeepOurs);
        let scene = if read_back { scene.read_back("marshal") } else { scene };
        let mut story = Story::of(scene, &[("status", "pending"), ("note", "a"), ("score", "1")]);
        story.mood("marshal").answers = false;
        story.habit("marshal", |_, doc| {
            let score = doc["score"].to_string().parse::<i64>().unwrap_or(0).min(100);
            doc["score"] = json!(score);
            Ok(())
        });
        story.edit("clerk", &[("score", "120")]).poll("clerk");
        let seen = story.play.timeline().contains("marshal  read");
        assert_eq!(seen, read_back, "{}", story.play.timeline());
        story.settle();
        story.stays_quiet();
    }
}
