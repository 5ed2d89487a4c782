//! Deletes, and records that come back.

use crate::scene::{Scene, permit, side};
use crate::story::Story;
use hms_sync_connector::{Content, Observation};
use hms_sync_resolver::Deletes;

fn base(deletes: Deletes) -> Story {
    Story::of(Scene::new().deletes(deletes), &[("status", "pending"), ("note", "a")])
}

#[test]
fn a_concurrent_edit_wins_over_a_delete_and_the_record_is_made_again() {
    let mut story = base(Deletes::EditWins);
    story.delete("clerk").edit("marshal", &[("note", "b")]).settle().expect(
        "   3 marshal  poll     permit/7 note=b                     -> edited #4
            3 clerk    update   permit/7 note=b                     <- gone #6: clerk no longer has the record
            3 clerk    doubt    permit/7                            -> read again #7: clerk no longer has the record
            3 clerk    read     permit/7                            -> deleted #8 (concurrent with #4)
            3 engine   resolve  permit/7 presence: present          (an edit wins over a delete; loser deleted@clerk)
            3 clerk    create   permit/7 no=7 note=b status=pending <- applied #10",
    );
    story.all_hold("no=7 note=b status=pending");
}

#[test]
fn a_delete_wins_over_a_concurrent_edit_where_that_is_the_rule() {
    let mut story = base(Deletes::DeleteWins);
    story.delete("clerk").edit("marshal", &[("note", "b")]).settle().expect(
        "   3 marshal  poll     permit/7 note=b            -> edited #4
            3 clerk    update   permit/7 note=b            <- gone #6: clerk no longer has the record
            3 clerk    doubt    permit/7                   -> read again #7: clerk no longer has the record
            3 clerk    read     permit/7                   -> deleted #8 (concurrent with #4)
            3 engine   resolve  permit/7 presence: deleted (a delete wins over an edit; loser present@marshal)
            3 marshal  delete   permit/7                   <- applied #10",
    );
    assert_eq!(story.shows("marshal"), "nothing");
    story.stays_quiet();
}

#[test]
fn a_delete_against_an_edit_waits_for_a_person_where_that_is_the_rule() {
    let mut story = base(Deletes::Manual);
    story.delete("clerk").edit("marshal", &[("note", "b")]).settle().expect(
        "   3 marshal  poll     permit/7 note=b            -> edited #4
            3 clerk    update   permit/7 note=b            <- gone #6: clerk no longer has the record
            3 clerk    doubt    permit/7                   -> read again #7: clerk no longer has the record
            3 clerk    read     permit/7                   -> deleted #8 (concurrent with #4)
            3 engine   resolve  permit/7 presence: present (waits for a person; loser deleted@clerk)",
    );
    assert_eq!(
        (story.shows("clerk"), story.shows("marshal")),
        ("nothing".into(), "no=7 note=b status=pending".into())
    );
    story.stays_quiet();
}

#[test]
fn a_delete_by_who_knew_of_the_edit_deletes_everywhere() {
    let mut story = base(Deletes::EditWins);
    story.edit("marshal", &[("note", "b")]).settle();
    story.delete("clerk").settle().expect(
        "   2 marshal  poll     permit/7 note=b -> edited #4
            2 clerk    update   permit/7 note=b <- applied #6
            3 clerk    doubt    permit/7        -> read again #7: missing from a complete listing
            3 clerk    read     permit/7        -> deleted #8
            3 marshal  delete   permit/7        <- applied #10",
    );
    assert_eq!(story.shows("marshal"), "nothing");
    story.stays_quiet();
}

#[test]
fn a_delete_on_both_sides_is_no_conflict() {
    let mut story = base(Deletes::EditWins);
    story.delete("clerk").delete("marshal").settle().expect(
        "   3 clerk    doubt    permit/7 -> read again #4: missing from a complete listing
            3 marshal  doubt    permit/7 -> read again #5: missing from a complete listing
            3 clerk    read     permit/7 -> deleted #6
            3 marshal  doubt    permit/7 -> read again #7: it was made just now, and a read may not show it yet
            3 marshal  doubt    permit/7 -> read again #8: it was made just now, and a read may not show it yet
           31 marshal  read     permit/7 -> deleted #9",
    );
    assert_eq!(story.play.conflicts(), &[]);
    story.stays_quiet();
}

#[test]
fn a_partial_side_deletes_though_a_field_it_lacks_was_changed_long_ago() {
    let scene = Scene::new().without("marshal", "note");
    let mut story = Story::of(scene, &[("status", "pending"), ("note", "a")]);
    story.edit("clerk", &[("note", "b")]).settle();
    // The record was listed once more, and was there.
    story.list("marshal").delete("marshal").settle().expect(
        "   2 clerk    poll     permit/7 note=b -> edited #4
            2 marshal  read     permit/7        -> in step #5
            3 marshal  doubt    permit/7        -> read again #6: missing from a complete listing
            3 marshal  doubt    permit/7        -> read again #7: it was made just now, and a read may not show it yet
            3 marshal  doubt    permit/7        -> read again #8: it was made just now, and a read may not show it yet
           31 marshal  read     permit/7        -> deleted #9
           31 clerk    delete   permit/7        <- applied #11",
    );
    assert_eq!(story.shows("clerk"), "nothing");
    story.stays_quiet();
}

#[test]
fn a_partial_side_deletes_while_a_field_it_lacks_is_changed() {
    let scene = Scene::new().without("marshal", "note");
    let mut story = Story::of(scene, &[("status", "pending"), ("note", "a")]);
    story.edit("clerk", &[("note", "b")]).delete("marshal").settle().expect(
        "   3 clerk    poll     permit/7 note=b              -> edited #4
            3 marshal  doubt    permit/7                     -> read again #5: missing from a complete listing
            3 marshal  doubt    permit/7                     -> read again #6: it was made just now, and a read may not show it yet
            3 marshal  doubt    permit/7                     -> read again #7: it was made just now, and a read may not show it yet
           31 marshal  read     permit/7                     -> deleted #8 (concurrent with #4)
           31 engine   resolve  permit/7 presence: present   (an edit wins over a delete; loser deleted@marshal)
           31 marshal  create   permit/7 no=7 status=pending <- applied #10",
    );
    assert_eq!(story.shows("clerk"), "no=7 note=b status=pending");
    story.stays_quiet();
}

#[test]
fn a_record_made_again_after_a_delete_is_a_new_one_without_the_old_fields() {
    let mut story = base(Deletes::EditWins);
    let old = story.record();
    story.delete("clerk").settle().expect(
        "   2 clerk    doubt    permit/7 -> read again #4: missing from a complete listing
            2 clerk    read     permit/7 -> deleted #5
            2 marshal  delete   permit/7 <- applied #7",
    );
    story.put("marshal", &[("status", "approved")]);
    story.settle().expect(
        "   3 engine   follow   permit/permit/csd31pdf9n80hn1z -> after another #1
            3 marshal  poll     permit/7 no=7 status=approved  -> edited #2
            3 clerk    create   permit/7 no=7 status=approved  <- applied #4",
    );
    let new = story.play.find("permit/7").unwrap().unwrap();
    assert_ne!(old, new);
    assert_eq!(story.play.state(&new).unwrap().follows, Some(old));
    assert_eq!(story.play.merged(&new).unwrap().len(), 2);
    story.stays_quiet();
}

#[test]
fn a_late_word_that_the_row_before_is_gone_says_nothing_of_the_one_that_is_there() {
    let mut story = Story::of(Scene::new(), &[("status", "pending"), ("note", "a")]);
    let before = story.id("marshal");
    story.edit("clerk", &[("note", "b")]).delete("marshal").settle();
    assert_ne!(story.id("marshal"), before);
    story.play.forget();
    let gone = Observation { id: before, tag: None, modified: None, content: Content::Gone };
    story.play.late_webhook(&permit(), &side("marshal"), gone).unwrap();
    story.settle().expect("");
    story.all_hold("no=7 note=b status=pending");
}

#[test]
fn a_late_word_that_a_deleted_record_is_there_brings_nothing_back() {
    let mut story = Story::of(Scene::new(), &[("status", "pending"), ("note", "a")]);
    let (id, marshal) = (story.id("marshal"), side("marshal"));
    let old = story.play.seen(&permit(), &marshal, &id).unwrap();
    story.delete("clerk").settle();
    story.play.forget();
    story.play.late_webhook(&permit(), &marshal, old).unwrap();
    story.settle();
    assert_eq!(story.play.writes(), &[]);
    assert!(story.play.ids(&permit(), &side("clerk")).is_empty());
}
