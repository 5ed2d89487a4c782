//! What came after what: knowledge decides, clocks only where there is none.

use crate::scene::{Scene, permit, side};
use crate::story::Story;
use hms_sync_model::FieldType;
use hms_sync_resolver::Policy;

#[test]
fn two_edits_of_one_side_before_an_acknowledgement_the_later_stands_alone() {
    let mut story = Story::of(Scene::new(), &[("status", "pending"), ("note", "a")]);
    story.play.offline(&side("marshal"));
    story.edit("clerk", &[("status", "revoked")]).poll("clerk");
    story.edit("clerk", &[("status", "approved")]).poll("clerk");
    story.expect(
        "   2 clerk    poll     permit/7 status=revoked  -> edited #4
            2 marshal  update   permit/7 status=revoked  <- away #6: marshal cannot be reached
            3 clerk    poll     permit/7 status=approved -> edited #7
            3 marshal  update   permit/7 status=revoked  <- away #8: marshal cannot be reached",
    );
    story.play.online(&side("marshal"));
    story.settle().expect("   3 marshal  update   permit/7 status=approved <- applied #10");
    assert_eq!(story.play.conflicts(), &[]);
    story.all_hold("no=7 note=a status=approved");
}

#[test]
fn concurrent_edits_of_one_field_are_decided_and_the_loser_is_given_the_winner() {
    let mut story = Story::of(Scene::new(), &[("status", "pending"), ("note", "a")]);
    story.edit("clerk", &[("status", "revoked")]).edit("marshal", &[("status", "approved")]).settle().expect(
        "   3 clerk    poll     permit/7 status=revoked  -> edited #4
            3 marshal  doubt    permit/7                 -> read again #6: it was shown otherwise while a request was under way
            3 marshal  update   permit/7 status=revoked  <- changed there meanwhile #7: 412
            3 marshal  doubt    permit/7                 -> read again #8: 412
            3 marshal  read     permit/7 status=approved -> edited #9 (concurrent with #4)
            3 engine   resolve  permit/7 status: revoked (precedence; loser approved@marshal)
            3 clerk    read     permit/7                 -> in step #11
            3 marshal  update   permit/7 status=revoked  <- applied #12
            3 engine   settle   permit/7 status=revoked  -> settled #13",
    );
    story.all_hold("no=7 note=a status=revoked");
}

#[test]
fn concurrent_edits_of_different_fields_both_stand() {
    let mut story = Story::of(Scene::new(), &[("status", "pending"), ("note", "a")]);
    story.edit("clerk", &[("status", "revoked")]).edit("marshal", &[("note", "b")]).settle().expect(
        "   3 clerk    poll     permit/7 status=revoked -> edited #4
            3 marshal  doubt    permit/7                -> read again #6: it was shown otherwise while a request was under way
            3 marshal  update   permit/7 status=revoked <- changed there meanwhile #7: 412
            3 marshal  doubt    permit/7                -> read again #8: 412
            3 marshal  read     permit/7 note=b         -> edited #9
            3 clerk    update   permit/7 note=b         <- applied #12
            3 marshal  update   permit/7 status=revoked <- applied #13",
    );
    assert_eq!(story.play.conflicts(), &[]);
    story.all_hold("no=7 note=b status=revoked");
}

#[test]
fn revoked_then_reinstated_by_who_knew_stands() {
    let mut story = Story::of(Scene::new(), &[("status", "approved"), ("note", "a")]);
    story.edit("clerk", &[("status", "revoked")]).settle();
    story.edit("marshal", &[("status", "approved")]).settle().expect(
        "   2 clerk    poll     permit/7 status=revoked  -> edited #4
            2 marshal  update   permit/7 status=revoked  <- applied #6
            3 marshal  poll     permit/7 status=approved -> edited #7
            3 clerk    update   permit/7 status=approved <- applied #9",
    );
    assert_eq!(story.play.conflicts(), &[]);
    story.all_hold("no=7 note=a status=approved");
}

#[test]
fn reinstated_while_the_revocation_is_under_way_stays_revoked() {
    let mut story = Story::of(Scene::new(), &[("status", "denied"), ("note", "a")]);
    story.play.offline(&side("marshal"));
    story.edit("clerk", &[("status", "revoked")]).poll("clerk");
    story.edit("marshal", &[("status", "approved")]);
    story.play.online(&side("marshal"));
    story.settle().expect(
        "   2 clerk    poll     permit/7 status=revoked  -> edited #4
            2 marshal  update   permit/7 status=revoked  <- away #6: marshal cannot be reached
            3 marshal  doubt    permit/7                 -> read again #7: it was shown otherwise while a request was under way
            3 marshal  update   permit/7 status=revoked  <- changed there meanwhile #8: 412
            3 marshal  doubt    permit/7                 -> read again #9: 412
            3 marshal  read     permit/7 status=approved -> edited #10 (concurrent with #4)
            3 engine   resolve  permit/7 status: revoked (precedence; loser approved@marshal)
            3 clerk    read     permit/7                 -> in step #12
            3 marshal  update   permit/7 status=revoked  <- applied #13
            3 engine   settle   permit/7 status=revoked  -> settled #14",
    );
    story.all_hold("no=7 note=a status=revoked");
}

#[test]
fn a_clock_an_hour_ahead_turns_no_order_and_counts_no_further_than_we_heard() {
    let mut story = Story::of(Scene::new(), &[("status", "pending"), ("note", "a")]);
    story.mood("clerk").clock_ahead_us = 3_600_000_000;
    story.edit("clerk", &[("note", "early")]).settle();
    story.edit("marshal", &[("note", "late")]).settle().expect(
        "   2 clerk    poll     permit/7 note=early -> edited #4
            2 marshal  update   permit/7 note=early <- applied #6
            3 marshal  poll     permit/7 note=late  -> edited #7
            3 clerk    update   permit/7 note=late  <- applied #9",
    );
    story.edit("clerk", &[("note", "x")]).edit("marshal", &[("note", "y")]).settle().expect(
        "   5 clerk    poll     permit/7 note=x  -> edited #10
            5 marshal  doubt    permit/7         -> read again #12: it was shown otherwise while a request was under way
            5 marshal  update   permit/7 note=x  <- changed there meanwhile #13: 412
            5 marshal  doubt    permit/7         -> read again #14: 412
            5 marshal  read     permit/7 note=y  -> edited #15 (concurrent with #10)
            5 engine   resolve  permit/7 note: x (the later edit, order uncertain; loser y@marshal)
            5 clerk    read     permit/7         -> in step #17
            5 marshal  update   permit/7 note=x  <- applied #18
            5 engine   settle   permit/7 note=x  -> settled #19",
    );
    story.stays_quiet();
}

/// Clerk is read five minutes after somebody there set `slow`; marshal told of `fast` at once.
fn slow_and_fast(rules: Vec<Policy>) -> Story {
    let scene = Scene::new().field("note", FieldType::String, |rule| rule.resolve = rules);
    let mut story = Story::of(scene, &[("status", "pending"), ("note", "a")]);
    story.mood("clerk").modified = false;
    story.edit("clerk", &[("note", "slow")]).wait(200);
    story.edit("marshal", &[("note", "fast")]).wait(1);
    let (id, marshal) = (story.id("marshal"), side("marshal"));
    story.play.offline(&side("clerk"));
    story.play.webhook(&permit(), &marshal, &id, true).unwrap();
    story.wait(100);
    story.play.online(&side("clerk"));
    story.settle();
    story
}

#[test]
fn a_slow_poll_does_not_count_as_later_the_next_rule_decides() {
    let mut story = slow_and_fast(vec![Policy::LastWriterWins, Policy::Prefer(vec![side("marshal")])]);
    story.expect(
        " 204 marshal  doubt    permit/7            -> read again #4: a webhook shows it otherwise
          204 marshal  read     permit/7 note=fast  -> edited #5
          204 clerk    update   permit/7 note=fast  <- away #7: clerk cannot be reached
          304 clerk    doubt    permit/7            -> read again #8: it was shown otherwise while a request was under way
          304 clerk    update   permit/7 note=fast  <- changed there meanwhile #9: 412
          304 clerk    doubt    permit/7            -> read again #10: 412
          304 clerk    read     permit/7 note=slow  -> edited #11 (concurrent with #5)
          304 engine   resolve  permit/7 note: fast (preferred side; loser slow@clerk)
          304 marshal  read     permit/7            -> in step #13
          304 clerk    update   permit/7 note=fast  <- applied #14
          304 engine   settle   permit/7 note=fast  -> settled #15",
    );
    story.all_hold("no=7 note=fast status=pending");
}

#[test]
fn where_no_rule_decides_between_a_slow_poll_and_a_webhook_the_order_is_said_to_be_uncertain() {
    let story = slow_and_fast(vec![Policy::LastWriterWins]);
    assert_eq!(story.play.conflicts()[0].reason, "the later edit, order uncertain");
}

#[test]
fn a_time_of_change_of_the_whole_record_is_an_upper_bound_for_a_field() {
    let rules = vec![Policy::LastWriterWins, Policy::Prefer(vec![side("marshal")])];
    let scene = Scene::new().field("note", FieldType::String, |rule| rule.resolve = rules);
    let mut story = Story::of(scene, &[("status", "pending"), ("note", "a")]);
    story.edit("clerk", &[("note", "first")]).wait(50);
    story.edit("marshal", &[("note", "second")]).wait(50);
    // The clerk's record is the newest now, by another field.
    story.edit("clerk", &[("status", "approved")]).settle();
    assert_eq!(story.play.conflicts()[0].reason, "preferred side");
    story.expect(
        "104 clerk poll permit/7 note=first status=approved -> edited #4
         104 marshal doubt permit/7 -> read again #6: it was shown otherwise while a request was under way
         104 marshal update permit/7 note=first status=approved <- changed there meanwhile #7: 412
         104 marshal doubt permit/7 -> read again #8: 412
         104 marshal read permit/7 note=second -> edited #9 (concurrent with #4)
         104 engine resolve permit/7 note: second (preferred side; loser first@clerk)
         104 clerk update permit/7 note=second <- applied #12
         104 marshal update permit/7 status=approved <- applied #13
         104 engine settle permit/7 note=second -> settled #14",
    );
    story.all_hold("no=7 note=second status=approved");
}

#[test]
fn modification_times_that_cannot_be_are_not_believed() {
    for ahead in [-12_000_000_000_000_000, 240_000_000_000_000_000] {
        let mut story = Story::of(Scene::new(), &[("status", "pending"), ("note", "a")]);
        story.mood("clerk").clock_ahead_us = ahead;
        story.edit("clerk", &[("note", "x")]).edit("marshal", &[("note", "y")]).settle();
        assert_eq!(story.play.conflicts()[0].reason, "the later edit, order uncertain");
        assert_eq!(story.play.counts().unwrap().wrong_times, 1);
        story.expect(
            "3 clerk poll permit/7 note=x -> edited #4
             3 marshal doubt permit/7 -> read again #6: it was shown otherwise while a request was under way
             3 marshal update permit/7 note=x <- changed there meanwhile #7: 412
             3 marshal doubt permit/7 -> read again #8: 412
             3 marshal read permit/7 note=y -> edited #9 (concurrent with #4)
             3 engine resolve permit/7 note: x (the later edit, order uncertain; loser y@marshal)
             3 clerk read permit/7 -> in step #11
             3 marshal update permit/7 note=x <- applied #12
             3 engine settle permit/7 note=x -> settled #13",
        );
    }
}
