//! A side that answers that all was well and keeps what it had.

use crate::scene::{Scene, permit, side};
use crate::story::Story;
use hms_sync_connector::{Content, Observation};
use hms_sync_model::FieldType;
use hms_sync_rehearsal::Trouble;
use hms_sync_resolver::Owner;
use serde_json::json;

/// Permit 7, of which marshal never keeps a note that it is sent.
fn keeps_its_note(scene: Scene) -> Story {
    let mut story = Story::of(scene, &[("status", "pending"), ("note", "a")]);
    story.habit("marshal", |before, doc| {
        if let Some(note) = before.get("note") {
            doc["note"] = note.clone();
        }
        Ok(())
    });
    story
}

#[test]
fn what_has_changed_since_is_sent_all_the_same() {
    let owned = |rule: &mut hms_sync_resolver::FieldRule| {
        rule.owner = Some(Owner { side: side("clerk"), unless_blank: false });
    };
    let scene = Scene::new().field("status", FieldType::String, owned);
    let mut story = Story::of(scene, &[("status", "pending"), ("note", "a")]);
    // Its automation has a word to say whenever a note comes, which it does not keep.
    story.habit("marshal", |before, doc| {
        if !before.is_empty() && before.get("note") != doc.get("note") {
            doc["note"] = before["note"].clone();
            doc["status"] = json!("denied");
        }
        Ok(())
    });
    story.edit("clerk", &[("note", "b")]).settle().expect(
        "2 clerk    poll     permit/7 note=b         -> edited #4
         2 marshal  update   permit/7 note=b         <- applied #6, note not kept
         2 marshal  answer   permit/7 status=denied  -> edited #7
         2 marshal  doubt    permit/7                -> read again #8: the answer shows what was there before our write
         2 clerk    read     permit/7                -> in step #9
         2 marshal  park     permit/7                -> not_kept #10: marshal answered that all was well and kept its old note
         2 marshal  update   permit/7 status=pending <- applied #12
         2 marshal  park     permit/7                -> not_kept #13: marshal answered that all was well and kept its old note",
    );
    assert_eq!(story.shows("marshal"), "no=7 note=a status=pending");
    story.stays_quiet();
}

#[test]
fn a_later_answer_that_shows_the_old_value_shows_nobody_ours() {
    let mut story = keeps_its_note(Scene::new());
    story.edit("clerk", &[("note", "b")]).settle();
    story.edit("clerk", &[("status", "approved")]).settle();
    story.play.forget();
    story.edit("marshal", &[("note", "c")]).settle().expect(
        "4 marshal  poll     permit/7 note=c -> edited #13
         4 engine   resolve  permit/7 note: c (the later edit; loser b@clerk)
         4 marshal  read     permit/7        -> in step #15
         4 clerk    update   permit/7 note=c <- applied #16
         4 engine   settle   permit/7 note=c -> settled #17",
    );
}

#[test]
fn what_is_not_mentioned_is_not_taken_for_kept() {
    let scene = Scene::new().able("marshal", |can| (can.precondition, can.fetch) = (false, false));
    let mut story = keeps_its_note(scene);
    story.edit("clerk", &[("note", "b")]).settle();
    story.list("marshal").settle().wait(60).list("marshal").settle();
    let parked = story.play.parked().unwrap();
    assert_eq!((parked.len(), parked[0].reason.as_str()), (1, "not_kept"));
    story.play.forget();
    let part = Content::Partial(json!({ "no": "7", "status": "pending" }));
    let seen = Observation { id: story.id("marshal"), tag: None, modified: None, content: part };
    story.play.late_webhook(&permit(), &side("marshal"), seen).unwrap();
    story.expect("");
    assert_eq!(story.play.parked().unwrap(), parked);
}

#[test]
fn what_a_side_never_kept_it_does_not_lack() {
    let mut story = Story::empty(Scene::new());
    story.habit("marshal", |_, doc| {
        doc.remove("note");
        Ok(())
    });
    for no in ["1", "2", "3", "4", "5"] {
        story.put("clerk", &[("no", no), ("status", "pending")]);
    }
    story.settle();
    for id in story.play.ids(&permit(), &side("clerk")) {
        let note = [(crate::scene::field("note"), "x".into())].into_iter().collect();
        story.play.edit_id(&permit(), &side("clerk"), &id, &note).unwrap();
    }
    story.settle().list("marshal").settle();
    let parked = story.play.parked().unwrap();
    assert_eq!(parked.len(), 5, "{parked:?}");
    assert!(parked.iter().all(|item| item.reason == "not_kept"), "{parked:?}");
}

#[test]
fn the_next_write_goes_by_the_version_that_was_read() {
    let mut story = keeps_its_note(Scene::new());
    story.edit("clerk", &[("note", "b")]).settle();
    story.play.forget();
    story.mood("marshal").troubles.push_back(Trouble::AnswerLost);
    story.edit("clerk", &[("note", "c")]).settle().expect(
        " 3 clerk    poll     permit/7 note=c -> edited #9
          3 marshal  update   permit/7 note=c <- no answer #11: the connection broke
          3 marshal  update   permit/7 note=c <- not carried out #12: we looked: it is not there
          3 marshal  doubt    permit/7        -> read again #13: it still shows what was there before our write
          3 marshal  doubt    permit/7        -> read again #14: it still shows what was there before our write
         32 marshal  read     permit/7        -> as known #15
         32 marshal  park     permit/7        -> not_kept #16: marshal answered that all was well and kept its old note
         32 marshal  update   permit/7 note=c <- applied #18, note not kept
         32 marshal  doubt    permit/7        -> read again #19: the answer shows what was there before our write
         32 marshal  park     permit/7        -> not_kept #20: marshal answered that all was well and kept its old note",
    );
    story.stays_quiet();
}

#[test]
fn fields_that_are_not_kept_one_after_the_other_are_all_listed() {
    let scene = Scene::new().field("by", FieldType::String, |_| {});
    let mut story = Story::of(scene, &[("status", "pending"), ("note", "a"), ("by", "x")]);
    story.habit("marshal", |before, doc| {
        for name in ["note", "by"] {
            if let Some(value) = before.get(name) {
                doc[name] = value.clone();
            }
        }
        Ok(())
    });
    story.edit("clerk", &[("note", "b")]).settle();
    story.edit("clerk", &[("by", "y")]).settle();
    let parked = story.play.parked().unwrap();
    assert!(parked[0].words.ends_with("kept its old by, note"), "{parked:?}");
    let state = story.play.state(&story.record()).unwrap();
    let fields = &state.sides.get(&side("marshal")).unwrap().parked.as_ref().unwrap().fields;
    assert_eq!(fields.iter().map(hms_sync_model::FieldName::as_str).collect::<Vec<_>>(), ["by", "note"]);
    story.stays_quiet();
}
