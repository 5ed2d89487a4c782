//! Two sides that undo each other, and ids that change their meaning.

use crate::scene::Scene;
use crate::story::Story;
use hms_sync_engine::Recreate;
use hms_sync_model::Released;

#[test]
fn two_automations_that_keep_undoing_each_other_are_stopped_and_the_other_fields_flow() {
    let mut story = Story::of(Scene::new(), &[("status", "pending"), ("note", "a")]);
    story.edit("clerk", &[("status", "approved")]).settle();
    // What each does a minute after it was given the other's.
    for _ in 0..4 {
        story.wait(60).edit("marshal", &[("status", "pending")]).settle();
        story.wait(60).edit("clerk", &[("status", "approved")]).settle();
    }
    story.expect(
        "   2 clerk    poll     permit/7 status=approved -> edited #4
            2 marshal  update   permit/7 status=approved <- applied #6
           63 marshal  poll     permit/7 status=pending  -> edited #7
           63 clerk    update   permit/7 status=pending  <- applied #9
          124 clerk    poll     permit/7 status=approved -> edited #10
          124 marshal  update   permit/7 status=approved <- applied #12
          185 marshal  poll     permit/7 status=pending  -> edited #13
          185 clerk    update   permit/7 status=pending  <- applied #15
          246 clerk    poll     permit/7 status=approved -> edited #16
          246 marshal  update   permit/7 status=approved <- applied #18
          307 marshal  poll     permit/7 status=pending  -> edited #19
          307 clerk    update   permit/7 status=pending  <- applied #21
          368 clerk    poll     permit/7 status=approved -> edited #22
          368 clerk    park     permit/7                 -> flapping #23: clerk and another side keep putting back each other's status: clerk keeps what it has; stop one of them, then replay
          368 marshal  update   permit/7 status=approved <- applied #25
          429 marshal  poll     permit/7 status=pending  -> edited #26
          429 marshal  park     permit/7                 -> flapping #27: marshal and another side keep putting back each other's status: marshal keeps what it has; stop one of them, then replay",
    );
    story.stays_quiet();
    // Each keeps its own, and what else they do goes on.
    story.edit("marshal", &[("note", "b")]).settle();
    assert_eq!(story.shows("clerk"), "no=7 note=b status=approved");
    assert_eq!(story.shows("marshal"), "no=7 note=b status=pending");
    story.release("clerk", Released::Replay).release("marshal", Released::Replay).settle();
    story.all_hold("no=7 note=b status=pending");
}

#[test]
fn people_who_change_their_minds_are_no_fight() {
    let mut story = Story::of(Scene::new(), &[("status", "pending"), ("note", "a")]);
    for _ in 0..20 {
        story.edit("clerk", &[("status", "approved")]).settle().wait(4_000);
        story.edit("marshal", &[("status", "pending")]).settle().wait(4_000);
    }
    assert_eq!(story.play.parked().unwrap(), &[]);
    story.all_hold("no=7 note=a status=pending");
}

#[test]
fn an_id_that_is_used_again_for_another_record_is_parked() {
    let mut story = Story::of(Scene::new(), &[("status", "pending"), ("note", "a")]);
    story.edit("marshal", &[("no", "8"), ("status", "denied"), ("note", "other")]).settle().expect(
        "   2 marshal  park     permit/7 -> id_reused #4: marshal has something else entirely under the id that was this record's: if it is the same record, replay; if the id was used again, discard, and give the other one an id of its own",
    );
    assert_eq!(story.shows("clerk"), "no=7 note=a status=pending");
    story.stays_quiet();
    story.release("marshal", Released::Replay).settle();
    assert_eq!(story.shows("clerk"), "no=8 note=other status=denied");
}

#[test]
fn a_corrected_identity_is_an_edit() {
    let mut story = Story::of(Scene::new(), &[("status", "pending"), ("note", "a")]);
    story.edit("marshal", &[("no", "8"), ("status", "denied")]).settle().expect(
        "   2 marshal  poll     permit/8 no=8 status=denied -> edited #4
            2 clerk    update   permit/8 no=8 status=denied <- applied #6",
    );
    story.all_hold("no=8 note=a status=denied");
}

#[test]
fn a_record_that_comes_back_is_the_old_one_where_that_is_asked_for() {
    let scene = Scene::new().recreate(Recreate::Revive);
    let mut story = Story::of(scene, &[("status", "pending"), ("note", "a")]);
    let old = story.record();
    story.delete("clerk").settle();
    story.play.forget();
    story.put("marshal", &[("status", "approved")]);
    story.settle().expect(
        "   3 marshal  poll     permit/7 no=7 status=approved        -> edited #8
            3 clerk    create   permit/7 no=7 note=a status=approved <- applied #11
            3 marshal  update   permit/7 note=a                      <- applied #12",
    );
    assert_eq!(story.play.find("permit/7").unwrap(), Some(old));
    story.stays_quiet();
}
