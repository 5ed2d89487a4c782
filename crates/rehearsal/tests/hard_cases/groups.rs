//! Fields that go together.

use crate::scene::Scene;
use crate::story::Story;
use hms_sync_model::FieldType;

fn scene() -> Scene {
    Scene::new().field("revoked_at", FieldType::String, |_| {}).group(
        &["status", "revoked_at"],
        "status",
        |_| {},
    )
}

#[test]
fn concurrent_edits_of_different_members_the_winner_takes_the_whole_group() {
    let mut story = Story::of(scene(), &[("status", "approved"), ("revoked_at", "-")]);
    story
        .edit("clerk", &[("status", "revoked"), ("revoked_at", "monday")])
        .edit("marshal", &[("revoked_at", "never")])
        .settle()
        .expect(
        "   3 clerk    poll     permit/7 revoked_at=monday status=revoked -> edited #4
            3 marshal  doubt    permit/7                                  -> read again #6: it was shown otherwise while a request was under way
            3 marshal  update   permit/7 revoked_at=monday status=revoked <- changed there meanwhile #7: 412
            3 marshal  doubt    permit/7                                  -> read again #8: 412
            3 marshal  read     permit/7 revoked_at=never                 -> edited #9 (concurrent with #4)
            3 engine   resolve  permit/7 revoked_at: monday               (goes with status; loser never@marshal)
            3 engine   resolve  permit/7 status: revoked                  (precedence; loser approved@marshal)
            3 clerk    read     permit/7                                  -> in step #11
            3 marshal  update   permit/7 revoked_at=monday status=revoked <- applied #12
            3 engine   settle   permit/7 revoked_at=monday status=revoked -> settled #13",
    );
    story.all_hold("no=7 revoked_at=monday status=revoked");
}

#[test]
fn a_side_with_the_lead_alone_leaves_the_rest_of_the_group() {
    let scene = scene().without("marshal", "revoked_at");
    let mut story = Story::of(scene, &[("status", "approved"), ("revoked_at", "never")]);
    story.edit("marshal", &[("status", "revoked")]).settle().expect(
        "   2 marshal  poll     permit/7 status=revoked -> edited #4
            2 clerk    update   permit/7 status=revoked <- applied #6",
    );
    assert_eq!(story.shows("clerk"), "no=7 revoked_at=never status=revoked");
    story.stays_quiet();
}

#[test]
fn a_side_that_keeps_one_member_and_not_another_parks_the_group() {
    let mut story = Story::of(scene(), &[("status", "approved"), ("revoked_at", "never")]);
    story.habit("marshal", |before, doc| {
        if let Some(at) = before.get("revoked_at") {
            doc["revoked_at"] = at.clone();
        }
        Ok(())
    });
    story.edit("clerk", &[("status", "revoked"), ("revoked_at", "monday")]).settle().expect(
        "   2 clerk    poll     permit/7 revoked_at=monday status=revoked -> edited #4
            2 marshal  update   permit/7 revoked_at=monday status=revoked <- applied #6, revoked_at not kept
            2 marshal  doubt    permit/7                                  -> read again #7: the answer shows what was there before our write
            2 marshal  park     permit/7                                  -> not_kept #8: marshal answered that all was well and kept its old revoked_at",
    );
    story.stays_quiet();
}
