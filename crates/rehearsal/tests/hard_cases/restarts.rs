//! Another process on the same log, or on an older one, or with other rules.

use crate::scene::{Scene, side};
use crate::story::Story;
use hms_sync_model::FieldType;
use hms_sync_resolver::{Owner, Policy};

fn ruled(policy: Policy) -> Scene {
    Scene::new().field("note", FieldType::String, |rule| rule.resolve = vec![policy])
}

#[test]
fn a_changed_policy_leaves_what_is_settled() {
    let mut story = Story::of(ruled(Policy::LastWriterWins), &[("status", "pending"), ("note", "a")]);
    story.edit("clerk", &[("note", "x")]).edit("marshal", &[("note", "y")]).settle();
    let settled = story.merged();
    story.play.restart(Some(ruled(Policy::Prefer(vec![side("clerk")])).plan())).unwrap();
    story.play.forget();
    story.settle();
    assert_eq!(story.play.writes(), &[]);
    story.all_hold(&settled);
}

#[test]
fn a_changed_policy_decides_what_waits() {
    let mut story = Story::of(ruled(Policy::Manual), &[("status", "pending"), ("note", "a")]);
    story.edit("clerk", &[("note", "x")]).edit("marshal", &[("note", "y")]).settle();
    assert_eq!(story.merged(), "no=7 note=a status=pending");
    story.play.restart(Some(ruled(Policy::Prefer(vec![side("clerk")])).plan())).unwrap();
    story.play.forget();
    story.settle().expect(
        "   3 clerk    read     permit/7        -> in step #11
            3 marshal  update   permit/7 note=x <- applied #12
            3 engine   settle   permit/7 note=x -> settled #13",
    );
    story.all_hold("no=7 note=x status=pending");
}

#[test]
fn an_owner_that_is_named_later_owns_what_was_edited_before() {
    let scene = || Scene::new().small();
    let mut story = Story::of(scene(), &[("status", "pending"), ("note", "a")]);
    for note in ["b", "c", "d", "e", "f", "g"] {
        story.edit("clerk", &[("note", note)]).settle();
    }
    story.edit("marshal", &[("note", "y")]).settle();
    // Others come, so that what is known of this one leaves the memory.
    for no in ["8", "9", "10"] {
        story.put("clerk", &[("no", no), ("status", "pending")]);
        story.settle();
    }
    assert_eq!(story.merged(), "no=7 note=y status=pending");
    let clerk = Owner { side: side("clerk"), unless_blank: false };
    let owned = scene().field("note", FieldType::String, |rule| rule.owner = Some(clerk));
    story.play.restart(Some(owned.plan())).unwrap();
    story.settle();
    story.all_hold("no=7 note=g status=pending");
}

#[test]
fn our_log_put_back_to_what_it_was_changes_nothing_where_the_sides_agree() {
    let mut story = Story::of(Scene::new(), &[("status", "pending"), ("note", "a")]);
    let backup = story.play.backup();
    story.edit("clerk", &[("status", "revoked")]).settle();
    story.edit("marshal", &[("status", "approved"), ("note", "b")]).settle();
    story.play.restore(&backup).unwrap();
    story.play.forget();
    story.settle();
    // What is tried before the other side has been read is refused there, or read first.
    assert!(story.play.writes().iter().all(|write| !write.applied), "{}", story.play.timeline());
    assert_eq!(story.play.conflicts(), &[]);
    story.expect(
        "3 clerk poll permit/7 note=b status=approved -> edited #4 (concurrent with #7)
         3 marshal update permit/7 note=b status=approved <- changed there meanwhile #6: 412
         3 marshal doubt permit/7 -> read again #7: 412
         3 marshal read permit/7 note=b status=approved -> edited #8
         3 clerk read permit/7 -> in step #9
         3 marshal read permit/7 -> in step #10
         3 engine settle permit/7 note=b status=approved -> settled #11",
    );
    story.all_hold("no=7 note=b status=approved");
}

#[test]
fn a_process_that_dies_before_the_answer_looks_before_it_writes_again() {
    let mut story = Story::of(Scene::new(), &[("status", "pending"), ("note", "a")]);
    story.mood("marshal").troubles.push_back(hms_sync_rehearsal::Trouble::AnswerLost);
    story.play.offline(&side("marshal"));
    story.edit("clerk", &[("note", "b")]).poll("clerk");
    story.play.restart(None).unwrap();
    story.play.online(&side("marshal"));
    story.settle().expect(
        "2 clerk   poll   permit/7 note=b -> edited #4
         2 marshal update permit/7 note=b <- away #6: marshal cannot be reached
         2 marshal update permit/7 note=b <- not carried out #7: we looked: it is not there
         2 marshal update permit/7 note=b <- no answer #9: the connection broke
         2 marshal update permit/7 note=b <- applied #10",
    );
    story.all_hold("no=7 note=b status=pending");
}

#[test]
fn of_a_log_put_back_everything_is_read_and_nothing_written_before_a_person_has_looked() {
    let mut story = Story::of(Scene::new(), &[("status", "pending"), ("note", "a")]);
    let backup = story.play.backup();
    // What the log no longer knows: an edit, one permit more, and one less.
    story.edit("clerk", &[("status", "revoked")]).settle();
    story.put("clerk", &[("no", "8"), ("status", "approved")]);
    story.play.offline(&side("marshal"));
    story.edit("clerk", &[("note", "b")]).poll("clerk");
    story.play.online(&side("marshal"));
    story.play.forget();
    story.play.restore_and_look(&backup).unwrap();
    assert_eq!(story.play.writes(), &[], "{}", story.play.timeline());
    let (counts, some) = story.play.machine().pending_writes(10).unwrap();
    let counts: Vec<_> = counts.iter().map(|((side, what), n)| format!("{side} {what} {n}")).collect();
    assert_eq!((counts, some.len()), (vec!["marshal create 1".to_owned(), "marshal update 1".to_owned()], 2));
    let clock = story.play.state(&story.record()).unwrap().merged.clock;
    let in_new = |(actor, _): (&hms_sync_model::Actor, u64)| actor.epoch == 1_000;
    assert!(clock.iter().any(in_new) && clock.iter().any(|(actor, _)| actor.epoch == 0), "{clock}");
    // The next run does what was shown.
    story.expect(
        "4 clerk poll permit/8 no=8 status=approved -> edited #1 (concurrent with #1)
         4 clerk poll permit/7 note=b status=revoked -> edited #4 (concurrent with #7)
         4 marshal poll permit/7 status=revoked -> edited #5 (concurrent with #4)
         4 clerk read permit/7 -> in step #6",
    );
    story.play.restart(None).unwrap();
    story.settle().expect(
        "4 marshal update permit/7 note=b <- applied #8
         4 engine settle permit/7 status=revoked -> settled #9
         4 marshal create permit/8 no=8 status=approved <- applied #3",
    );
    story.all_hold("no=7 note=b status=revoked");
}
