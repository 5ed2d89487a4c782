//! What is not believed in bulk.

use crate::scene::{Scene, permit, side};
use crate::story::Story;
use hms_sync_engine::Command;
use hms_sync_model::{FieldMap, Released, Value};

/// Five permits, of which marshal no longer shows the note.
fn without_notes() -> Story {
    let mut story = Story::empty(Scene::new());
    for no in ["1", "2", "3", "4", "5"] {
        story.put("clerk", &[("no", no), ("status", "pending"), ("note", "x")]);
    }
    story.settle();
    story.play.forget();
    for id in story.play.ids(&permit(), &side("marshal")) {
        let gone: FieldMap = [(crate::scene::field("note"), Value::Absent)].into_iter().collect();
        story.play.edit_id(&permit(), &side("marshal"), &id, &gone).unwrap();
    }
    story
}

#[test]
fn a_field_that_half_a_page_lacks_is_held_until_a_person_says_that_it_is_meant() {
    let mut story = without_notes();
    story.settle().expect("");
    let parked = story.play.parked().unwrap();
    assert_eq!((parked.len(), parked[0].reason.as_str()), (1, "mass_delete"));
    assert!(parked[0].words.contains("lacks note"), "{}", parked[0].words);
    // What marshal does to other fields counts, and a restart forgets nothing.
    story.play.restart(None).unwrap();
    let one = story.play.find("permit/1").unwrap().unwrap();
    let approved: FieldMap = [(crate::scene::field("status"), "approved".into())].into_iter().collect();
    story.play.edit(&permit(), &side("marshal"), &one, &approved).unwrap();
    story.settle();
    assert_eq!(crate::story::words(&story.play.merged(&one).unwrap()), "no=1 note=x status=approved");
    let record = hms_sync_model::RecordId::try_new(parked[0].record.as_str()).unwrap();
    story.play.command(Command::Release { record, lane: None, action: Released::Replay }).unwrap();
    story.settle();
    assert_eq!(crate::story::words(&story.play.merged(&one).unwrap()), "no=1 status=approved");
    assert_eq!(story.play.parked().unwrap(), &[]);
}

#[test]
fn a_field_that_one_record_lacks_was_emptied() {
    let mut story = Story::of(Scene::new(), &[("status", "pending"), ("note", "a")]);
    story.edit("marshal", &[("note", "-")]).settle();
    assert_eq!(story.merged(), "no=7 status=pending");
}
