//! What a side makes of what it is given.

use crate::scene::Scene;
use crate::story::Story;
use hms_sync_engine::OnAltered;
use hms_sync_model::{FieldType, Released};
use serde_json::json;

#[test]
fn a_side_that_trims_in_its_answer_is_in_step() {
    let mut story = Story::of(Scene::new(), &[("status", "pending"), ("note", "a")]);
    story.habit("marshal", |_, doc| {
        let text = doc["note"].as_str().unwrap_or_default().trim().to_uppercase();
        doc["note"] = json!(text);
        Ok(())
    });
    story.edit("clerk", &[("note", " big news ")]).settle().expect(
        "   2 clerk    poll     permit/7 note= big news  -> edited #4
            2 marshal  update   permit/7 note= big news  <- applied #6, note as BIG NEWS (reformatted)",
    );
    story.stays_quiet();
    assert_eq!(story.merged(), "no=7 note= big news  status=pending");
    assert_eq!(story.raw("marshal")["note"], json!("BIG NEWS"));
}

fn clamped(what: OnAltered) -> Story {
    let scene = Scene::new().field("score", FieldType::Integer, |_| {}).on_altered("marshal", what);
    let mut story = Story::of(scene, &[("status", "pending"), ("note", "a"), ("score", "1")]);
    story.habit("marshal", |_, doc| {
        let score = doc["score"].to_string().parse::<i64>().unwrap_or(0).min(100);
        doc["score"] = json!(score);
        Ok(())
    });
    story
}

#[test]
fn a_side_that_clamps_makes_no_edit_and_no_loop() {
    let mut story = clamped(OnAltered::KeepOurs);
    story.edit("clerk", &[("score", "120")]).settle().expect(
        "   2 clerk    poll     permit/7 score=120 -> edited #4
            2 marshal  update   permit/7 score=120 <- applied #6, score as 100 (altered)",
    );
    story.stays_quiet();
    assert_eq!(story.merged(), "no=7 note=a score=120 status=pending");
    story.edit("clerk", &[("score", "130")]).settle().expect(
        "10803 clerk    poll     permit/7 score=130 -> edited #7
         10803 marshal  update   permit/7 score=130 <- applied #9, score as 100 (altered)",
    );
}

#[test]
fn a_value_that_is_not_kept_is_parked_after_a_second_look() {
    let mut story = Story::of(Scene::new(), &[("status", "pending"), ("note", "a")]);
    story.habit("marshal", |before, doc| {
        if let Some(note) = before.get("note") {
            doc["note"] = note.clone();
        }
        Ok(())
    });
    story.edit("clerk", &[("note", "b")]).settle().expect(
        "   2 clerk    poll     permit/7 note=b -> edited #4
            2 marshal  update   permit/7 note=b <- applied #6, note not kept
            2 marshal  doubt    permit/7        -> read again #7: the answer shows what was there before our write
            2 marshal  park     permit/7        -> not_kept #8: marshal answered that all was well and kept its old note",
    );
    story.stays_quiet();
    assert_eq!(story.merged(), "no=7 note=b status=pending");
}

#[test]
fn a_side_without_tags_that_does_not_keep_a_value_is_given_its_settle_window() {
    let scene = Scene::new().able("marshal", |can| can.precondition = false);
    let mut story = Story::of(scene, &[("status", "pending"), ("note", "a")]);
    story.habit("marshal", |before, doc| {
        if let Some(note) = before.get("note") {
            doc["note"] = note.clone();
        }
        Ok(())
    });
    story.edit("clerk", &[("note", "b")]).settle().expect(
        "   2 clerk    poll     permit/7 note=b -> edited #4
            2 marshal  update   permit/7 note=b <- applied #6, note not kept
            2 marshal  doubt    permit/7        -> read again #7: the answer shows what was there before our write
            2 marshal  doubt    permit/7        -> read again #8: it still shows what was there before our write
           32 marshal  park     permit/7        -> not_kept #9: marshal answered that all was well and kept its old note",
    );
    story.stays_quiet();
}

#[test]
fn what_an_automation_changes_in_the_answer_is_an_edit_that_has_seen_our_write() {
    let mut story = Story::of(Scene::new(), &[("status", "pending"), ("note", "a")]);
    story.habit("marshal", |_, doc| {
        if doc["status"] == json!("revoked") {
            doc["note"] = json!("by the book");
        }
        Ok(())
    });
    story.edit("clerk", &[("status", "revoked")]).settle().expect(
        "   2 clerk    poll     permit/7 status=revoked   -> edited #4
            2 marshal  update   permit/7 status=revoked   <- applied #6
            2 marshal  answer   permit/7 note=by the book -> edited #7
            2 clerk    update   permit/7 note=by the book <- applied #9",
    );
    story.all_hold("no=7 note=by the book status=revoked");
}

#[test]
fn a_side_that_reformats_later_is_an_edit_and_comes_to_rest() {
    let mut story = Story::of(Scene::new(), &[("status", "pending"), ("note", "a")]);
    story.edit("clerk", &[("note", "b c")]).settle();
    story.edit("marshal", &[("note", "B C")]).settle().expect(
        "   2 clerk    poll     permit/7 note=b c -> edited #4
            2 marshal  update   permit/7 note=b c <- applied #6
            3 marshal  poll     permit/7 note=B C -> edited #7
            3 clerk    update   permit/7 note=B C <- applied #9",
    );
    story.stays_quiet();
}

#[test]
fn what_a_side_made_of_it_counts_everywhere_where_that_is_asked_for() {
    let mut story = clamped(OnAltered::TakeTheirs);
    story.edit("clerk", &[("score", "120")]).settle().expect(
        "   2 clerk    poll     permit/7 score=120 -> edited #4
            2 marshal  update   permit/7 score=120 <- applied #6, score as 100 (altered)
            2 marshal  answer   permit/7 score=100 -> edited #7
            2 clerk    update   permit/7 score=100 <- applied #9",
    );
    story.all_hold("no=7 note=a score=100 status=pending");
}

#[test]
fn what_a_side_made_of_it_waits_for_a_person_where_that_is_asked_for() {
    let mut story = clamped(OnAltered::Park);
    story.edit("clerk", &[("score", "120")]).settle().expect(
        "   2 clerk    poll     permit/7 score=120 -> edited #4
            2 marshal  update   permit/7 score=120 <- applied #6, score as 100 (altered)
            2 marshal  park     permit/7           -> altered #7: marshal stored another score than it was sent; replay sends ours again, discard leaves what is there",
    );
    story.stays_quiet();
    story.habit("marshal", |_, _| Ok(()));
    story.play.forget();
    story.release("marshal", Released::Replay).settle().expect(
        "10802 operator release  permit/7 marshal   -> replayed #8
         10802 marshal  update   permit/7 score=120 <- applied #10",
    );
    story.all_hold("no=7 note=a score=120 status=pending");
}

/// A side that holds ten letters of a note.
fn cut_short() -> Story {
    let mut story = Story::of(Scene::new(), &[("status", "pending"), ("note", "a")]);
    story.habit("marshal", |_, doc| {
        let text: String = doc["note"].as_str().unwrap_or_default().chars().take(10).collect();
        doc["note"] = json!(text);
        Ok(())
    });
    story.edit("clerk", &[("note", "a long story")]).settle();
    assert_eq!(story.raw("marshal")["note"], json!("a long sto"));
    story.play.forget();
    story
}

#[test]
fn an_edit_of_a_text_that_the_side_holds_cut_short_is_parked() {
    let mut story = cut_short();
    story.edit("marshal", &[("note", "a wrong sto"), ("status", "approved")]).settle().expect(
        "   3 marshal  poll     permit/7 status=approved -> edited #7
            3 marshal  park     permit/7                 -> altered #8: somebody on marshal changed note, of which the side holds less than it was sent: what it lacks cannot be known; replay takes what stands there as the whole, discard leaves both as they are
            3 clerk    update   permit/7 status=approved <- applied #10",
    );
    assert_eq!(story.shows("clerk"), "no=7 note=a long story status=approved");
    story.stays_quiet();
    story.play.forget();
    story.release("marshal", Released::Replay).settle().expect(
        "10803 operator release  permit/7 marshal           -> replayed #11
         10803 marshal  update   permit/7 note=a long story <- changed there meanwhile #13: 412
         10803 marshal  doubt    permit/7                   -> read again #14: 412
         10803 marshal  read     permit/7 note=a wrong sto  -> edited #15
         10803 clerk    update   permit/7 note=a wrong sto  <- applied #17",
    );
    story.all_hold("no=7 note=a wrong sto status=approved");
}

#[test]
fn a_text_that_is_cut_short_does_not_keep_the_other_fields() {
    let mut story = cut_short();
    story.edit("marshal", &[("status", "approved")]).settle().expect(
        "   3 marshal  poll     permit/7 status=approved -> edited #7
            3 clerk    update   permit/7 status=approved <- applied #9",
    );
    assert_eq!(story.shows("clerk"), "no=7 note=a long story status=approved");
    story.stays_quiet();
}

/// `{"id": "7", "success": true}`, and an answer with some fields: what is not there is not cleared.
#[test]
fn an_answer_that_shows_a_part_of_the_record_says_nothing_of_the_rest() {
    for shown in [vec![], vec!["status"], vec!["note"], vec!["status", "note"]] {
        for fetch in [true, false] {
            let mut story = Story::empty(Scene::new().able("marshal", |can| can.fetch = fetch));
            story.mood("marshal").answers_only = Some(shown.iter().map(|name| (*name).to_owned()).collect());
            story.put("clerk", &[("no", "7"), ("status", "pending"), ("note", "a")]);
            story.settle().list("marshal").settle();
            story.all_hold("no=7 note=a status=pending");
            story.edit("clerk", &[("note", "b")]).settle();
            story.all_hold("no=7 note=b status=pending");
            story.edit("marshal", &[("status", "approved")]).settle();
            story.edit("clerk", &[("status", "revoked")]).settle().wait(60).list("marshal").settle();
            story.all_hold("no=7 note=b status=revoked");
            assert_eq!(story.play.parked().unwrap(), [], "{shown:?} {fetch}");
            story.stays_quiet();
        }
    }
}

/// Whether the side dropped the status, or its answer left it out, only a read can tell.
#[test]
fn what_an_answer_with_the_identity_leaves_out_may_be_there_all_the_same() {
    let mut story = Story::empty(Scene::new());
    story.mood("marshal").answers_only = Some(vec!["no".into(), "note".into()]);
    story.put("clerk", &[("no", "7"), ("status", "pending"), ("note", "a")]);
    story.settle().list("marshal").settle();
    story.edit("clerk", &[("status", "approved")]).settle();
    story.edit("marshal", &[("note", "b")]).settle();
    story.edit("clerk", &[("status", "revoked")]).settle().wait(60).list("marshal").settle();
    story.stays_quiet();
    assert_eq!(story.merged(), "no=7 note=b status=revoked");
    for side in ["clerk", "marshal"] {
        let raw = story.raw(side);
        assert_eq!((&raw["note"], &raw["status"]), (&json!("b"), &json!("revoked")), "{side}");
    }
    assert_eq!(story.play.parked().unwrap(), []);
}

/// What it dropped counts, so what its people set again is an edit, though it is what it was sent.
#[test]
fn what_was_dropped_and_set_again_is_an_edit_where_the_side_is_believed() {
    let scene = Scene::new().on_altered("marshal", OnAltered::TakeTheirs);
    let mut story = Story::of(scene, &[("status", "pending"), ("note", "a")]);
    story.habit("marshal", |_, doc| {
        doc.remove("note");
        Ok(())
    });
    story.edit("clerk", &[("note", "b")]).settle();
    assert_eq!(story.merged(), "no=7 status=pending");
    story.mood("marshal").habit = None;
    story.edit("marshal", &[("note", "b")]).settle();
    story.all_hold("no=7 note=b status=pending");
}
