//! Our own writes coming back, and edits that agree.

use crate::scene::{Scene, permit, side};
use crate::story::Story;
use hms_sync_rehearsal::Trouble;

#[test]
fn an_echo_by_poll_is_no_event() {
    let mut story = Story::of(Scene::new(), &[("status", "pending"), ("note", "a")]);
    story.edit("clerk", &[("status", "approved")]).settle().expect(
        "   2 clerk    poll     permit/7 status=approved -> edited #4
            2 marshal  update   permit/7 status=approved <- applied #6",
    );
    story.all_hold("no=7 note=a status=approved");
}

#[test]
fn an_echo_by_webhook_is_no_event() {
    let mut story = Story::of(Scene::new(), &[("status", "pending"), ("note", "a")]);
    story.edit("clerk", &[("status", "approved")]).settle().expect(
        "   2 clerk    poll     permit/7 status=approved -> edited #4
            2 marshal  update   permit/7 status=approved <- applied #6",
    );
    let (id, marshal) = (story.id("marshal"), side("marshal"));
    story.play.webhook(&permit(), &marshal, &id, true).unwrap();
    story.expect("");
}

#[test]
fn an_echo_before_the_outcome_is_known_acknowledges_the_write() {
    let scene = Scene::new().able("marshal", |can| can.precondition = false);
    let mut story = Story::of(scene, &[("status", "pending"), ("note", "a")]);
    story.mood("marshal").troubles.push_back(Trouble::AnswerLost);
    story.edit("clerk", &[("status", "approved")]).settle().expect(
        "   2 clerk    poll     permit/7 status=approved -> edited #4
            2 marshal  update   permit/7 status=approved <- no answer #6: the connection broke
            2 marshal  update   permit/7 status=approved <- applied #7",
    );
    // What marshal does now, it does knowing of the approval.
    story.edit("marshal", &[("status", "pending")]).settle().expect(
        "   3 marshal  doubt    permit/7                -> read again #8: it shows what was there before our write
            3 marshal  doubt    permit/7                -> read again #9: it shows what was there before our write
           32 marshal  read     permit/7 status=pending -> edited #10
           32 clerk    update   permit/7 status=pending <- applied #12",
    );
    story.all_hold("no=7 note=a status=pending");
}

#[test]
fn the_same_edit_on_both_sides_is_no_conflict_and_the_next_is_after_both() {
    let mut story = Story::of(Scene::new(), &[("status", "pending"), ("note", "a")]);
    story.edit("clerk", &[("status", "revoked")]).edit("marshal", &[("status", "revoked")]).settle().expect(
        "   3 clerk    poll     permit/7 status=revoked -> edited #4
            3 marshal  update   permit/7 status=revoked <- changed there meanwhile #6: 412
            3 marshal  doubt    permit/7                -> read again #7: 412
            3 marshal  read     permit/7 status=revoked -> edited #8 (concurrent with #4)
            3 clerk    read     permit/7                -> in step #9
            3 marshal  read     permit/7                -> in step #10
            3 engine   settle   permit/7 status=revoked -> settled #11",
    );
    assert_eq!(story.play.conflicts(), &[]);
    story.edit("marshal", &[("status", "approved")]).settle().expect(
        "   4 marshal  poll     permit/7 status=approved -> edited #12
            4 clerk    update   permit/7 status=approved <- applied #14",
    );
    story.all_hold("no=7 note=a status=approved");
}
