//! Sets of objects that are known by a key: what becomes of one that several change.

use crate::scene::{Scene, permit, side};
use crate::story::Story;
use hms_sync_model::{ElementKey, FieldType};
use hms_sync_resolver::Kind;
use serde_json::json;

fn scene(remove_wins: bool) -> Scene {
    let of = FieldType::Object(ElementKey::new(["id"]));
    Scene::new().field("lines", FieldType::Set(Box::new(of)), |rule| rule.kind = Kind::Set { remove_wins })
}

fn story(remove_wins: bool, lines: &str) -> Story {
    Story::of(scene(remove_wins), &[("status", "pending"), ("lines", lines)])
}

#[test]
fn objects_that_are_changed_on_both_sides_each_keep_their_change() {
    let mut story = story(false, r#"[{"id":1,"n":1},{"id":2,"n":1}]"#);
    story.edit("clerk", &[("lines", r#"[{"id":1,"n":5},{"id":2,"n":1}]"#)]);
    story.edit("marshal", &[("lines", r#"[{"id":2,"n":7},{"id":1,"n":1},{"id":3}]"#)]);
    story.settle().expect(
        r#"   3 clerk    poll     permit/7 lines={{"id":1,"n":5}, {"id":2,"n":1}}           -> edited #4
              3 marshal  doubt    permit/7                                                  -> read again #6: it was shown otherwise while a request was under way
              3 marshal  update   permit/7 lines={{"id":1,"n":5}, {"id":2,"n":1}}           <- changed there meanwhile #7: 412
              3 marshal  doubt    permit/7                                                  -> read again #8: 412
              3 marshal  read     permit/7 lines={{"id":1,"n":1}, {"id":2,"n":7}, {"id":3}} -> edited #9 (concurrent with #4)
              3 clerk    update   permit/7 lines={{"id":1,"n":5}, {"id":2,"n":7}, {"id":3}} <- applied #12
              3 marshal  update   permit/7 lines={{"id":1,"n":5}, {"id":2,"n":7}, {"id":3}} <- applied #13
              3 engine   settle   permit/7 lines={{"id":1,"n":5}, {"id":2,"n":7}, {"id":3}} -> settled #14"#,
    );
    story.all_hold(r#"lines={{\"id\":1,\"n\":5}, {\"id\":2,\"n\":7}, {\"id\":3}} no=7 status=pending"#);
    assert_eq!(story.play.conflicts(), &[]);
    story.stays_quiet();
}

#[test]
fn members_of_one_object_are_merged_and_of_one_member_the_later_change_stands() {
    let mut story = story(false, r#"[{"id":1,"n":1,"m":1}]"#);
    story.edit("clerk", &[("lines", r#"[{"id":1,"n":5,"m":1}]"#)]);
    story.edit("marshal", &[("lines", r#"[{"id":1,"n":1,"m":7}]"#)]).settle();
    story.all_hold(r#"lines={{\"id\":1,\"m\":7,\"n\":5}} no=7 status=pending"#);
    assert_eq!(story.play.conflicts(), &[]);
    story.play.forget();
    story.edit("clerk", &[("lines", r#"[{"id":1,"n":6,"m":7}]"#)]);
    story.edit("marshal", &[("lines", r#"[{"id":1,"n":8,"m":7}]"#)]).settle().expect(
        r#"10805 clerk    poll     permit/7 lines={{"id":1,"m":7,"n":6}}  -> edited #15
           10805 marshal  doubt    permit/7                               -> read again #17: it was shown otherwise while a request was under way
           10805 marshal  update   permit/7 lines={{"id":1,"m":7,"n":6}}  <- changed there meanwhile #18: 412
           10805 marshal  doubt    permit/7                               -> read again #19: 412
           10805 marshal  read     permit/7 lines={{"id":1,"m":7,"n":8}}  -> edited #20 (concurrent with #15)
           10805 engine   resolve  permit/7 lines: {{"id":1,"m":7,"n":8}} (member by member in 1; loser {{"id":1,"m":7,"n":6}}@clerk)
           10805 marshal  read     permit/7                               -> in step #22
           10805 clerk    update   permit/7 lines={{"id":1,"m":7,"n":8}}  <- applied #23
           10805 engine   settle   permit/7 lines={{"id":1,"m":7,"n":8}}  -> settled #24"#,
    );
    story.all_hold(r#"lines={{\"id\":1,\"m\":7,\"n\":8}} no=7 status=pending"#);
    story.stays_quiet();
}

#[test]
fn an_object_that_one_takes_out_and_another_changes_stays_or_goes_as_the_rule_says() {
    let kept = r#"lines={{\"id\":1,\"m\":1,\"n\":2}} no=7 status=pending"#;
    for (remove_wins, stands) in [(false, kept), (true, "lines={} no=7 status=pending")] {
        let mut story = story(remove_wins, r#"[{"id":1,"n":1,"m":1}]"#);
        story.edit("clerk", &[("lines", "[]")]);
        story.edit("marshal", &[("lines", r#"[{"id":1,"n":2,"m":1}]"#)]).settle();
        story.all_hold(stands);
        story.stays_quiet();
        // What is put in anew has nothing of what was taken out.
        story.edit("clerk", &[("lines", "[]")]).settle();
        story.edit("clerk", &[("lines", r#"[{"id":1}]"#)]).settle();
        story.all_hold(r#"lines={{\"id\":1}} no=7 status=pending"#);
    }
}

#[test]
fn two_objects_with_one_key_make_the_record_unreadable_and_nothing_else() {
    let mut story = story(false, r#"[{"id":1}]"#);
    let (id, doc) = (story.id("marshal"), json!({ "lines": [{ "id": 1 }, { "id": 1, "n": 2 }] }));
    story.play.raw(&permit(), &side("marshal"), Some(&id), &doc).unwrap();
    story.settle().expect(
        "   2 marshal  park     permit/7 -> unreadable #4: field `lines` at `lines`: found two elements with 1 at `id`, expected each key once",
    );
}
