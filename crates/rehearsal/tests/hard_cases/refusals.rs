//! What a side will not take.

use crate::scene::Scene;
use crate::story::Story;
use hms_sync_model::Released;
use serde_json::json;

#[test]
fn a_refused_write_is_parked_for_its_side_and_the_others_hold_the_new_value() {
    let mut story =
        Story::of(Scene::of(&["clerk", "marshal", "archive"]), &[("status", "pending"), ("note", "a")]);
    story.habit("marshal", |_, doc| {
        if doc["status"] == json!("approved") { Err("an inspector is missing".into()) } else { Ok(()) }
    });
    story.edit("clerk", &[("status", "approved")]).settle().expect(
        "   2 clerk    poll     permit/7 status=approved -> edited #6
            2 archive  update   permit/7 status=approved <- applied #9
            2 marshal  update   permit/7 status=approved <- refused #10: 422: an inspector is missing
            2 marshal  park     permit/7                 -> refused #11: 422: an inspector is missing",
    );
    assert_eq!(story.shows("archive"), "no=7 note=a status=approved");
    // What marshal does next, it does without having seen the approval.
    story.edit("marshal", &[("status", "denied")]).settle().expect(
        "   3 marshal  poll     permit/7 status=denied  -> edited #12 (concurrent with #6)
            3 engine   resolve  permit/7 status: denied (precedence; loser approved@clerk)
            3 marshal  read     permit/7                -> in step #15
            3 archive  update   permit/7 status=denied  <- applied #16
            3 clerk    update   permit/7 status=denied  <- applied #17
            3 engine   settle   permit/7 status=denied  -> settled #18",
    );
    story.all_hold("no=7 note=a status=denied");
}

#[test]
fn a_parked_write_is_tried_again_when_the_merged_value_changes() {
    let mut story = Story::of(Scene::new(), &[("status", "pending"), ("note", "a")]);
    story.habit(
        "marshal",
        |_, doc| {
            if doc["note"] == json!("bad") { Err("no bad words".into()) } else { Ok(()) }
        },
    );
    story.edit("clerk", &[("note", "bad")]).settle().expect(
        "   2 clerk    poll     permit/7 note=bad -> edited #4
            2 marshal  update   permit/7 note=bad <- refused #6: 422: no bad words
            2 marshal  park     permit/7          -> refused #7: 422: no bad words",
    );
    story.edit("clerk", &[("note", "good")]).settle().expect(
        "   3 clerk    poll     permit/7 note=good -> edited #8
            3 marshal  update   permit/7 note=good <- applied #10",
    );
    story.all_hold("no=7 note=good status=pending");
}

#[test]
fn a_parked_write_is_tried_again_when_a_person_says_so() {
    let mut story = Story::of(Scene::new(), &[("status", "pending"), ("note", "a")]);
    story.habit("marshal", |_, _| Err("not now".into()));
    story.edit("clerk", &[("note", "b")]).settle();
    story.play.forget();
    story.habit("marshal", |_, _| Ok(()));
    story.release("marshal", Released::Replay).settle().expect(
        "   2 operator release  permit/7 marshal -> replayed #8
            2 marshal  update   permit/7 note=b  <- applied #10",
    );
    story.all_hold("no=7 note=b status=pending");
}

#[test]
fn a_merge_that_is_invalid_as_a_whole_is_refused_by_both_and_names_both_edits() {
    use hms_sync_model::FieldType;
    let scene =
        Scene::new().field("country", FieldType::String, |_| {}).field("postcode", FieldType::String, |_| {});
    let mut story = Story::of(scene, &[("country", "NL"), ("postcode", "1234AB")]);
    for name in ["clerk", "marshal"] {
        story.habit(name, |_, doc| {
            let fits =
                doc["country"] != json!("DE") || doc["postcode"].as_str().is_some_and(|code| code.len() == 5);
            if fits { Ok(()) } else { Err("postcode does not fit country".into()) }
        });
    }
    story.edit("clerk", &[("country", "DE")]).edit("marshal", &[("postcode", "9999ZZ")]).settle().expect(
        "   3 clerk    poll     permit/7 country=DE      -> edited #4
            3 marshal  doubt    permit/7                 -> read again #6: it was shown otherwise while a request was under way
            3 marshal  update   permit/7 country=DE      <- changed there meanwhile #7: 412
            3 marshal  doubt    permit/7                 -> read again #8: 412
            3 marshal  read     permit/7 postcode=9999ZZ -> edited #9
            3 clerk    update   permit/7 postcode=9999ZZ <- refused #12: 422: postcode does not fit country
            3 clerk    park     permit/7                 -> refused #13: 422: postcode does not fit country; postcode of marshal and country of clerk were set without knowing of each other: if they go together, name them in `groups`
            3 marshal  update   permit/7 country=DE      <- refused #14: 422: postcode does not fit country
            3 marshal  park     permit/7                 -> refused #15: 422: postcode does not fit country; country of clerk and postcode of marshal were set without knowing of each other: if they go together, name them in `groups`",
    );
    story.stays_quiet();
}
