//! Which native record is whose: taken apart, put together again, merged, and split.

use crate::scene::{Scene, permit, side};
use crate::story::{Story, words};
use hms_sync_engine::{OnMissing, Reply, Tied};
use hms_sync_model::{Author, Clock, RecordId};

/// Permit 7, taken apart from what marshal has.
fn apart() -> Story {
    let mut story = Story::of(Scene::new(), &[("status", "pending"), ("note", "a")]);
    let record = story.record();
    assert!(matches!(story.tie(&record, Tied::Unlink(side("marshal"))), Reply::Made(_)));
    story
}

#[test]
fn what_is_unlinked_stays_on_both_sides_and_is_not_matched_again() {
    let mut story = apart();
    let marshals = story.play.ids(&permit(), &side("marshal"));
    story.settle().expect(
        "   1 marshal  unlink   permit/7                            -> taken apart #4
            1 engine   follow   permit/permit/p8rwh4t1wdmw4fbz      -> after another #1
            1 clerk    unlink   permit/permit/p8rwh4t1wdmw4fbz      -> taken apart #2
            1 marshal  doubt    permit/marshal n1                   -> read again #3: taken apart from permit/0db38kjhd6tpjgf1
            1 marshal  read     permit/7 no=7 note=a status=pending -> edited #4",
    );
    // Each goes its own way, whatever is edited and however often both are read in full.
    story.edit("clerk", &[("note", "b")]).settle();
    let own = story.record_at("marshal", &marshals[0]);
    story.play.edit_id(&permit(), &side("marshal"), &marshals[0], &fields("note", "c")).unwrap();
    story.list("clerk").list("marshal").settle().expect(
        "   2 clerk    poll     permit/7 note=b -> edited #5
            3 marshal  poll     permit/7 note=c -> edited #5",
    );
    assert_eq!(story.play.writes(), &[]);
    assert_eq!(story.play.ids(&permit(), &side("marshal")), marshals);
    assert_eq!(story.play.ids(&permit(), &side("clerk")).len(), 1);
    assert_ne!(own, story.record());
    assert_eq!(story.merged(), "no=7 note=b status=pending");
    assert_eq!(words(&story.play.merged(&own).unwrap()), "no=7 note=c status=pending");
    assert_eq!(story.play.state(&own).unwrap().follows, Some(story.record()));
    assert_eq!(story.play.find("permit/7").unwrap(), Some(story.record()));
    assert_eq!(story.play.parked().unwrap(), &[]);
    story.stays_quiet();
}

fn fields(name: &str, value: &str) -> hms_sync_model::FieldMap {
    [(crate::scene::field(name), value.into())].into_iter().collect()
}

#[test]
fn what_is_relinked_is_as_at_the_first_link_and_its_differences_are_concurrent() {
    let mut story = apart();
    let id = story.play.ids(&permit(), &side("marshal"))[0].clone();
    let (record, own) = (story.record(), story.record_at("marshal", &id));
    story.edit("clerk", &[("status", "revoked")]).settle();
    story.play.edit_id(&permit(), &side("marshal"), &id, &fields("note", "c")).unwrap();
    story.settle().play.forget();
    assert!(matches!(story.tie(&record, Tied::Relink(side("marshal"), None)), Reply::Made(_)));
    story.settle().expect(
        "   3 clerk    unlink   permit/7                            -> unlinked #6
            3 marshal  unlink   permit/7                            -> unlinked #7
            3 engine   join     permit/7                            -> one with another #8
            3 engine   join     permit/7                            -> joined #9
            3 marshal  link     permit/7                            -> linked #6
            3 marshal  read     permit/7 no=7 note=c status=pending -> edited #7 (concurrent with #5)
            3 engine   resolve  permit/7 note: c                    (the later edit, order uncertain; loser a@clerk)
            3 engine   resolve  permit/7 status: revoked            (precedence; loser pending@marshal#2)
            3 clerk    update   permit/7 note=c                     <- applied #10
            3 marshal  update   permit/7 status=revoked             <- applied #11
            3 engine   settle   permit/7 no=7 note=c status=revoked -> settled #12",
    );
    let state = story.play.state(&record).unwrap();
    assert!(state.merged.clock.iter().any(|(actor, _)| actor.to_string() == "marshal#2"), "{state:?}");
    assert_eq!(story.play.state(&own).unwrap().joined, Some(record.clone()));
    assert_eq!(story.record_at("marshal", &id), record);
    story.all_hold("no=7 note=c status=revoked");
}

#[test]
fn epochs_that_are_over_are_folded_once_everybody_has_seen_them() {
    let mut story = Story::of(Scene::new(), &[("status", "pending"), ("note", "a")]);
    let (record, id) = (story.record(), story.id("marshal"));
    for n in 1..=4 {
        story.tie(&record, Tied::Unlink(side("marshal")));
        story.settle();
        let note = format!("m{n}");
        story.play.edit_id(&permit(), &side("marshal"), &id, &fields("note", &note)).unwrap();
        story.settle();
        story.tie(&record, Tied::Relink(side("marshal"), None));
        story.settle();
        story.edit("marshal", &[("note", &format!("{note}!"))]).settle();
        story.all_hold(&format!("no=7 note={note}! status=pending"));
        story.stays_quiet();
        let state = story.play.state(&record).unwrap();
        let epochs =
            |clock: &Clock| clock.iter().filter(|(a, _)| a.as_side() == Some(&side("marshal"))).count();
        assert_eq!(epochs(&state.merged.clock), 1, "{:?}", state.merged.clock);
        assert!(state.sides.values().all(|part| epochs(&part.acked) <= 1), "{:?}", state.sides);
        assert!(state.sides.get(&side("marshal")).unwrap().epoch >= n);
    }
    assert!(story.play.timeline().contains("closed epochs folded"), "{}", story.play.timeline());
    // What is after the fold is after all before it, and a replay comes to the same.
    let before = story.play.state(&record).unwrap();
    story.play.restart(None).unwrap();
    assert_eq!(story.play.state(&record).unwrap(), before);
    story.edit("clerk", &[("note", "last")]).settle();
    story.all_hold("no=7 note=last status=pending");
}

#[test]
fn a_relink_to_what_is_not_there_leaves_the_two_apart_and_the_next_one_makes_it_anew() {
    let mut story = apart();
    let (record, id) = (story.record(), story.play.ids(&permit(), &side("marshal"))[0].clone());
    let own = story.record_at("marshal", &id);
    story.play.delete(&permit(), &side("marshal"), &own).unwrap();
    story.settle();
    story.tie(&record, Tied::Relink(side("marshal"), Some(id)));
    story.settle();
    assert!(story.play.ids(&permit(), &side("marshal")).is_empty());
    story.tie(&record, Tied::Relink(side("marshal"), None));
    story.settle();
    story.all_hold("no=7 note=a status=pending");
}

#[test]
fn an_update_that_finds_nothing_leaves_the_record_without_that_side_where_that_is_asked_for() {
    let scene = Scene::new().on_missing("marshal", OnMissing::Unlink);
    let mut story = Story::of(scene, &[("status", "pending"), ("note", "a")]);
    story.delete("marshal").edit("clerk", &[("note", "b")]).poll("clerk").settle().expect(
        "   3 clerk    poll     permit/7 note=b                -> edited #4
            3 marshal  update   permit/7 note=b                <- gone #6: marshal no longer has the record
            3 marshal  unlink   permit/7                       -> taken apart #7
            3 engine   follow   permit/permit/p8rwh4t1wdmw4fbz -> after another #1
            3 clerk    unlink   permit/permit/p8rwh4t1wdmw4fbz -> taken apart #2
            3 marshal  doubt    permit/marshal n1              -> read again #3: taken apart from permit/0db38kjhd6tpjgf1
            3 marshal  unlink   permit/permit/p8rwh4t1wdmw4fbz -> unlinked #4",
    );
    assert!(story.play.ids(&permit(), &side("marshal")).is_empty());
    assert_eq!(story.merged(), "no=7 note=b status=pending");
    assert_eq!(story.shows("clerk"), "no=7 note=b status=pending");
    story.stays_quiet();
}

/// Permits 7 and 8; permit 8 is merged into 7 by marshal's people.
fn two() -> (Story, RecordId, RecordId) {
    let mut story = Story::of(Scene::new(), &[("status", "pending"), ("note", "a")]);
    story.put("clerk", &[("no", "8"), ("status", "approved"), ("note", "b")]);
    story.settle().play.forget();
    let (seven, eight) = (story.record(), story.play.find("permit/8").unwrap().unwrap());
    (story, seven, eight)
}

fn merged_at_marshal() -> (Story, RecordId, RecordId) {
    let (mut story, seven, eight) = two();
    let marshal = side("marshal");
    let (a, b) = (story.play.id_on(&marshal, &eight).unwrap(), story.play.id_on(&marshal, &seven).unwrap());
    story.play.merge(&permit(), &marshal, &a, &b).unwrap();
    (story, seven, eight)
}

#[test]
fn of_two_records_merged_on_a_side_one_goes_on_with_what_the_other_had() {
    let (mut story, seven, eight) = merged_at_marshal();
    let alias = story.play.id_on(&side("marshal"), &eight).unwrap();
    story.settle().expect(
        "   3 marshal  doubt    permit/8                        -> read again #4: missing from a complete listing
            3 engine   join     permit/7 note=b status=approved -> joined #4 (concurrent with #1)
            3 engine   resolve  permit/7 note: b                (the later edit; loser a@clerk)
            3 engine   resolve  permit/7 status: approved       (precedence; loser pending@clerk)
            3 engine   join     permit/8                        -> one with another #5
            3 engine   join     permit/8                        -> joined #6
            3 clerk    delete   permit/8                        <- applied #8
            3 clerk    update   permit/7 note=b status=approved <- applied #7
            3 marshal  update   permit/7 note=b status=approved <- applied #8
            3 engine   settle   permit/7 note=b status=approved -> settled #9",
    );
    // Two edits that nobody had seen of each other: the stronger status, the later note.
    story.all_hold("no=7 note=b status=approved");
    assert_eq!(story.play.ids(&permit(), &side("clerk")).len(), 1);
    let clock = story.play.state(&seven).unwrap().merged.clock;
    assert!(clock.iter().any(|(actor, n)| actor.author == Author::Join && n == 1), "{clock}");
    // All names of the one that ended lead to the one that goes on.
    assert_eq!(story.play.find("permit/8").unwrap(), Some(seven.clone()));
    assert_eq!(story.record_at("marshal", &alias), seven);
    assert_eq!(story.play.find(eight.as_str()).unwrap(), Some(eight));
}

#[test]
fn a_merge_that_is_undone_makes_a_new_record_that_follows_the_old_one() {
    let (mut story, _, eight) = merged_at_marshal();
    let alias = story.play.id_on(&side("marshal"), &eight).unwrap();
    story.settle().play.forget();
    let mut back = fields("no", "8");
    back.insert(crate::scene::field("status"), "denied".into());
    story.play.put_as(&permit(), &side("marshal"), &alias, &back).unwrap();
    story.settle().expect(
        "   4 engine   follow   permit/permit/f513ckmdhpmhy4b5 -> after another #1
            4 marshal  poll     permit/8 no=8 status=denied    -> edited #2
            4 clerk    create   permit/8 no=8 status=denied    <- applied #4",
    );
    let new = story.record_at("marshal", &alias);
    assert_ne!(new, eight);
    assert_eq!(story.play.state(&new).unwrap().follows, Some(eight));
    assert_eq!(words(&story.play.merged(&new).unwrap()), "no=8 status=denied");
    assert_eq!(story.play.ids(&permit(), &side("clerk")).len(), 2);
    story.stays_quiet();
}

#[test]
fn a_person_joins_two_records_and_what_only_one_had_on_a_side_is_taken_over() {
    let (mut story, seven, eight) = two();
    let marshal = side("marshal");
    story.tie(&seven, Tied::Unlink(marshal.clone()));
    story.settle();
    let apart = story.play.ids(&permit(), &marshal);
    story.play.forget();
    assert!(matches!(story.tie(&eight, Tied::Join(seven.clone())), Reply::Made(_)));
    story.settle().expect(
        "   2 engine   join     permit/7 note=b status=approved -> joined #5 (concurrent with #1)
            2 engine   resolve  permit/7 note: b                (the later edit; loser a@clerk)
            2 engine   resolve  permit/7 status: approved       (precedence; loser pending@clerk)
            2 marshal  unlink   permit/8                        -> unlinked #4
            2 marshal  link     permit/7                        -> linked #6
            2 engine   join     permit/8                        -> one with another #5
            2 engine   join     permit/8                        -> joined #6
            2 marshal  read     permit/7                        -> as known #8
            2 clerk    delete   permit/8                        <- applied #8
            2 clerk    update   permit/7 note=b status=approved <- applied #10
            2 marshal  update   permit/7 no=7                   <- applied #11
            2 engine   settle   permit/7 note=b status=approved -> settled #12",
    );
    assert_eq!(story.play.ids(&permit(), &marshal), apart);
    assert_eq!(story.merged(), "no=7 note=b status=approved");
    assert_eq!(story.shows("marshal"), "no=7 note=b status=approved");
    assert_eq!(story.play.ids(&permit(), &side("clerk")).len(), 1);
    assert!(matches!(story.tie(&eight, Tied::Join(seven)), Reply::Refused(_)));
    story.stays_quiet();
}
