//! Sides that hold less than we do, or the same in another form.

use crate::scene::{Scene, permit, side};
use crate::story::Story;
use hms_sync_mapping::FieldPath;
use hms_sync_model::FieldType;
use serde_json::json;

#[test]
fn a_side_without_the_time_of_day_moves_the_date_and_the_time_survives() {
    let scene = Scene::new()
        .field("due", FieldType::Datetime, |_| {})
        .map("marshal", "due", |map| map.format = Some("%Y-%m-%d".into()));
    let mut story =
        Story::of(scene, &[("status", "pending"), ("note", "a"), ("due", "2026-03-01T09:30:00Z")]);
    story.edit("marshal", &[("due", "2026-03-05T00:00:00Z")]).settle().expect(
        "   2 marshal  poll     permit/7 due=2026-03-05T09:30:00Z -> edited #4
            2 clerk    update   permit/7 due=2026-03-05T09:30:00Z <- applied #6",
    );
    assert_eq!(story.merged(), "due=2026-03-05T09:30:00Z no=7 note=a status=pending");
    story.stays_quiet();
}

#[test]
fn a_side_that_stores_some_fields_leaves_the_others_alone() {
    let scene = Scene::new().without("marshal", "note");
    let mut story = Story::of(scene, &[("status", "pending"), ("note", "a")]);
    story.edit("marshal", &[("status", "approved")]).settle().expect(
        "   2 marshal  poll     permit/7 status=approved -> edited #4
            2 clerk    update   permit/7 status=approved <- applied #6",
    );
    assert_eq!(story.shows("clerk"), "no=7 note=a status=approved");
    story.stays_quiet();
}

#[test]
fn line_ends_and_numbers_in_other_forms_are_no_edits() {
    let scene = Scene::new().field("text", FieldType::Text, |_| {}).field("fee", FieldType::Decimal, |_| {});
    let mut story =
        Story::of(scene, &[("status", "pending"), ("note", "a"), ("text", "x\ny"), ("fee", "10")]);
    story.habit("marshal", |_, _| Ok(()));
    story.edit("clerk", &[("note", "b")]).settle();
    let (id, marshal) = (story.id("marshal"), side("marshal"));
    let mut seen = story.play.seen(&permit(), &marshal, &id).unwrap();
    let doc = json!({"no": "7", "note": "b", "status": "pending", "text": "x\r\ny\r\n", "fee": "10.00"});
    seen.content = hms_sync_connector::Content::Whole(doc);
    story.play.forget();
    story.play.late_webhook(&permit(), &marshal, seen).unwrap();
    story.expect("");
}

#[test]
fn whole_numbers_beyond_the_reach_of_floats_are_kept_and_a_side_that_rounds_them_alters() {
    let scene = Scene::new().field("serial", FieldType::Integer, |_| {});
    let mut story = Story::of(scene, &[("status", "pending"), ("note", "a"), ("serial", "1")]);
    story.habit("marshal", |_, doc| {
        doc["serial"] = json!(9_007_199_254_740_992_u64);
        Ok(())
    });
    story.edit("clerk", &[("serial", "9007199254740993")]).settle().expect(
        "   2 clerk    poll     permit/7 serial=9007199254740993 -> edited #4
            2 marshal  update   permit/7 serial=9007199254740993 <- applied #6, serial as 9007199254740992 (altered)",
    );
    assert_eq!(story.merged(), "no=7 note=a serial=9007199254740993 status=pending");
    story.stays_quiet();
}

#[test]
fn null_and_empty_are_two_values_and_a_side_without_null_says_what_it_holds_instead() {
    let scene = Scene::new().map("marshal", "note", |map| {
        map.null_as = Some(json!("(none)"));
        map.path = FieldPath::parse("remarks").unwrap();
    });
    let mut story = Story::of(scene, &[("status", "pending"), ("note", "a")]);
    story.edit("clerk", &[("note", "null")]).settle().expect(
        "   2 clerk    poll     permit/7 note=null -> edited #4
            2 marshal  update   permit/7 note=null <- applied #6",
    );
    assert_eq!(story.raw("marshal")["remarks"], json!("(none)"));
    story.edit("marshal", &[("note", "")]).settle().expect(
        "   3 marshal  poll     permit/7 note=(empty) -> edited #7
            3 clerk    update   permit/7 note=(empty) <- applied #9",
    );
    story.all_hold("no=7 note=(empty) status=pending");
}

#[test]
fn a_field_that_a_full_payload_lacks_was_taken_out() {
    let mut story = Story::of(Scene::new(), &[("status", "pending"), ("note", "a")]);
    story.edit("marshal", &[("note", "-")]).settle().expect(
        "   2 marshal  poll     permit/7 note=(absent) -> edited #4
            2 clerk    update   permit/7 note=(absent) <- applied #6",
    );
    assert_eq!(story.merged(), "no=7 status=pending");
    story.stays_quiet();
}
