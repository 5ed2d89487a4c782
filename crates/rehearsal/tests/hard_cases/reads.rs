//! Reads that are older than they seem, and writes that come too late.

use crate::scene::{Scene, permit, side};
use crate::story::Story;
use hms_sync_connector::{Content, Delivery, Observation};
use hms_sync_model::NativeId;
use serde_json::json;
use std::time::Duration;

fn untagged() -> Scene {
    Scene::new().able("marshal", |can| can.precondition = false)
}

#[test]
fn a_snapshot_with_an_older_tag_is_ignored() {
    let mut story = Story::of(Scene::new(), &[("status", "approved"), ("note", "a")]);
    let (id, marshal) = (story.id("marshal"), side("marshal"));
    let old = story.play.seen(&permit(), &marshal, &id).unwrap();
    story.edit("clerk", &[("status", "revoked")]).settle().expect(
        "   2 clerk    poll     permit/7 status=revoked -> edited #4
            2 marshal  update   permit/7 status=revoked <- applied #6",
    );
    story.play.late_webhook(&permit(), &marshal, old).unwrap();
    story.settle().expect(
        "   2 marshal  doubt    permit/7 -> read again #7: a webhook shows it otherwise
            2 marshal  read     permit/7 -> in step #8",
    );
    story.all_hold("no=7 note=a status=revoked");
}

#[test]
fn a_replica_that_lags_never_lowers_a_precedence() {
    let mut story = Story::of(untagged(), &[("status", "approved"), ("note", "a")]);
    story.mood("marshal").answers = false;
    story.mood("marshal").lag = Duration::from_secs(10);
    story.wait(60).edit("clerk", &[("status", "revoked")]).settle().expect(
        "  62 clerk    poll     permit/7 status=revoked -> edited #4
           62 marshal  update   permit/7 status=revoked <- applied #6",
    );
    story.wait(60).settle().expect(" 122 marshal  read     permit/7 -> in step #7");
    story.all_hold("no=7 note=a status=revoked");
}

#[test]
fn a_replica_that_lags_and_cannot_be_asked_by_id_never_lowers_a_precedence() {
    let scene = untagged().able("marshal", |can| can.fetch = false);
    let mut story = Story::of(scene, &[("status", "approved"), ("note", "a")]);
    story.mood("marshal").answers = false;
    story.mood("marshal").lag = Duration::from_secs(10);
    story.wait(60).edit("clerk", &[("status", "revoked")]).settle().expect(
        "  62 clerk    poll     permit/7 status=revoked -> edited #4
           62 marshal  update   permit/7 status=revoked <- applied #6",
    );
    story.wait(60).settle().expect(" 122 marshal  read     permit/7 -> in step #7");
    story.all_hold("no=7 note=a status=revoked");
}

#[test]
fn a_user_who_reverts_our_write_is_heard_after_a_second_look() {
    let mut story = Story::of(untagged(), &[("status", "approved"), ("note", "a")]);
    story.edit("clerk", &[("status", "revoked")]).settle();
    story.edit("marshal", &[("status", "approved")]).settle().expect(
        "   2 clerk    poll     permit/7 status=revoked  -> edited #4
            2 marshal  update   permit/7 status=revoked  <- applied #6
            3 marshal  doubt    permit/7                 -> read again #7: it shows what was there before our write
            3 marshal  doubt    permit/7                 -> read again #8: it shows what was there before our write
           32 marshal  read     permit/7 status=approved -> edited #9
           32 clerk    update   permit/7 status=approved <- applied #11",
    );
    story.all_hold("no=7 note=a status=approved");
}

#[test]
fn a_webhook_that_was_overtaken_makes_no_event_or_a_read() {
    let mut story = Story::of(Scene::new(), &[("status", "approved"), ("note", "a")]);
    let (id, marshal) = (story.id("marshal"), side("marshal"));
    story.edit("marshal", &[("note", "b")]);
    let first = story.play.seen(&permit(), &marshal, &id).unwrap();
    story.edit("marshal", &[("note", "c")]).settle().expect(
        "   3 marshal  poll     permit/7 note=c -> edited #4
            3 clerk    update   permit/7 note=c <- applied #6",
    );
    story.play.late_webhook(&permit(), &marshal, first).unwrap();
    story.settle().expect(
        "   3 marshal  doubt    permit/7 -> read again #7: a webhook shows it otherwise
            3 marshal  read     permit/7 -> in step #8",
    );
    story.all_hold("no=7 note=c status=approved");
}

#[test]
fn an_edit_polled_after_our_conditional_write_is_seen_and_concurrent() {
    let mut story = Story::of(Scene::new(), &[("status", "pending"), ("note", "a")]);
    story.edit("clerk", &[("status", "revoked")]).edit("marshal", &[("status", "approved")]);
    story.poll("clerk").settle().expect(
        "   3 clerk    poll     permit/7 status=revoked  -> edited #4
            3 marshal  update   permit/7 status=revoked  <- changed there meanwhile #6: 412
            3 marshal  doubt    permit/7                 -> read again #7: 412
            3 marshal  read     permit/7 status=approved -> edited #8 (concurrent with #4)
            3 engine   resolve  permit/7 status: revoked (precedence; loser approved@marshal)
            3 clerk    read     permit/7                 -> in step #10
            3 marshal  update   permit/7 status=revoked  <- applied #11
            3 engine   settle   permit/7 status=revoked  -> settled #12",
    );
    story.all_hold("no=7 note=a status=revoked");
}

#[test]
fn without_preconditions_a_read_before_the_write_finds_the_edit() {
    let mut story = Story::of(untagged(), &[("status", "pending"), ("note", "a")]);
    story.edit("clerk", &[("status", "revoked")]).edit("marshal", &[("status", "approved")]);
    story.poll("clerk").settle().expect(
        "   3 clerk    poll     permit/7 status=revoked  -> edited #4
            3 marshal  read     permit/7 status=approved -> edited #5 (concurrent with #4)
            3 engine   resolve  permit/7 status: revoked (precedence; loser approved@marshal)
            3 clerk    read     permit/7                 -> in step #7
            3 marshal  update   permit/7 status=revoked  <- applied #8
            3 engine   settle   permit/7 status=revoked  -> settled #9",
    );
    story.all_hold("no=7 note=a status=revoked");
}

#[test]
fn a_blind_write_loses_an_edit_that_nobody_saw() {
    let scene = untagged().able("marshal", |can| can.fetch = false);
    let mut story = Story::of(scene, &[("status", "pending"), ("note", "a")]);
    story.edit("clerk", &[("note", "ours")]).edit("marshal", &[("note", "theirs")]);
    story.poll("clerk").settle().expect(
        "   3 clerk    poll     permit/7 note=ours -> edited #4
            3 marshal  update   permit/7 note=ours <- applied #6",
    );
    story.all_hold("no=7 note=ours status=pending");
}

#[test]
fn a_read_that_does_not_show_yet_what_we_made_is_no_delete() {
    let mut story = Story::empty(Scene::new());
    story.mood("marshal").lag = std::time::Duration::from_secs(5);
    story.put("clerk", &[("status", "pending")]);
    story.poll("clerk");
    assert_eq!(story.play.ids(&permit(), &side("marshal")).len(), 1);
    story.play.forget();
    // Somebody's webhook names it, and the replica that is asked does not know it yet.
    let id = story.id("marshal");
    story.play.webhook(&permit(), &side("marshal"), &id, false).unwrap();
    story.settle().expect(
        "   1 marshal  doubt    permit/7 -> read again #4: a webhook named it
            1 marshal  doubt    permit/7 -> read again #5: it was made just now, and a read may not show it yet
            1 marshal  doubt    permit/7 -> read again #6: it was made just now, and a read may not show it yet
           31 marshal  read     permit/7 -> in step #7",
    );
    story.all_hold("no=7 status=pending");
}

#[test]
fn what_is_deleted_soon_after_we_made_it_is_deleted_everywhere_once_it_has_settled() {
    let mut story = Story::of(Scene::new(), &[("status", "pending"), ("note", "a")]);
    story.delete("marshal").settle().expect(
        "   2 marshal  doubt    permit/7 -> read again #4: missing from a complete listing
            2 marshal  doubt    permit/7 -> read again #5: it was made just now, and a read may not show it yet
            2 marshal  doubt    permit/7 -> read again #6: it was made just now, and a read may not show it yet
           31 marshal  read     permit/7 -> deleted #7
           31 clerk    delete   permit/7 <- applied #9",
    );
    assert_eq!(story.shows("clerk"), "nothing");
    story.stays_quiet();
}

/// Marshal's reads are answered by a replica ten seconds behind.
fn lagging(scene: Scene) -> Story {
    let mut story = Story::of(scene, &[("status", "pending"), ("note", "a")]);
    story.mood("marshal").lag = Duration::from_secs(10);
    story.wait(60);
    story
}

#[test]
fn of_two_writes_in_a_row_a_read_that_lags_undoes_neither() {
    let mut story = lagging(untagged());
    story.edit("clerk", &[("note", "b")]).poll("clerk");
    story.edit("clerk", &[("note", "c")]).poll("clerk").poll("marshal").settle().expect(
        "62 clerk poll permit/7 note=b -> edited #4
         62 marshal update permit/7 note=b <- applied #6
         63 clerk poll permit/7 note=c -> edited #7
         63 marshal doubt permit/7 -> read again #8: it shows what was there before our write
         63 marshal doubt permit/7 -> read again #9: it shows what was there before our write
         92 marshal read permit/7 -> as known #10
         92 marshal update permit/7 note=c <- applied #12
         92 marshal doubt permit/7 -> read again #13: the read began before our write ended
         92 marshal doubt permit/7 -> read again #14: it shows what was there before our write
         122 marshal read permit/7 -> in step #15",
    );
    story.wait(60).settle();
    story.all_hold("no=7 note=c status=pending");
}

#[test]
fn of_two_writes_in_a_row_a_read_with_the_oldest_tag_undoes_neither() {
    let mut story = lagging(Scene::new());
    story.edit("clerk", &[("note", "b")]).poll("clerk");
    story.edit("clerk", &[("note", "c")]).poll("clerk").poll("marshal").settle().expect(
        "62 clerk poll permit/7 note=b -> edited #4
         62 marshal update permit/7 note=b <- applied #6
         63 clerk poll permit/7 note=c -> edited #7
         63 marshal update permit/7 note=c <- applied #9",
    );
    story.wait(60).settle();
    story.all_hold("no=7 note=c status=pending");
}

#[test]
fn what_only_an_answer_told_of_a_read_that_lags_does_not_undo() {
    let mut story = lagging(untagged());
    story.habit("marshal", |_, doc| {
        if doc["status"] == serde_json::json!("revoked") {
            doc["note"] = serde_json::json!("by the book");
        }
        Ok(())
    });
    story.edit("clerk", &[("status", "revoked")]).poll("clerk").poll("marshal").settle().expect(
        "62 clerk poll permit/7 status=revoked -> edited #4
         62 marshal update permit/7 status=revoked <- applied #6
         62 marshal answer permit/7 note=by the book -> edited #7
         62 clerk update permit/7 note=by the book <- applied #9",
    );
    story.wait(60).settle();
    story.all_hold("no=7 note=by the book status=revoked");
}

#[test]
fn what_we_deleted_a_read_that_lags_does_not_bring_back() {
    let mut story = lagging(untagged());
    story.delete("clerk").list("clerk").settle().poll("marshal").list("marshal").settle().expect(
        "62 clerk doubt permit/7 -> read again #4: missing from a complete listing
         62 clerk read permit/7 -> deleted #5
         62 marshal delete permit/7 <- applied #7
         62 marshal doubt permit/7 -> read again #8: we deleted it just now, and a read may show it still
         62 marshal doubt permit/7 -> read again #9: we deleted it just now, and a read may show it still
         92 marshal read permit/7 -> in step #10",
    );
    story.wait(60).settle();
    assert_eq!((story.shows("clerk"), story.shows("marshal")), ("nothing".into(), "nothing".into()));
    assert_eq!(story.play.records().unwrap().len(), 1);
}

#[test]
fn what_a_webhook_told_of_is_not_gone_because_reads_do_not_show_it_yet() {
    let mut story = Story::empty(Scene::new());
    story.settle();
    story.mood("marshal").lag = Duration::from_secs(10);
    let id = story.put("marshal", &[("status", "pending"), ("note", "a")]);
    story.play.webhook(&permit(), &side("marshal"), &id, true).unwrap();
    story.play.webhook(&permit(), &side("marshal"), &id, false).unwrap();
    story.poll("marshal").list("marshal").settle().expect(
        "1 marshal webhook permit/7 no=7 note=a status=pending -> edited #1
         1 clerk create permit/7 no=7 note=a status=pending <- applied #3
         1 marshal doubt permit/7 -> read again #4: a webhook named it
         1 marshal doubt permit/7 -> read again #5: it was made just now, and a read may not show it yet
         1 marshal doubt permit/7 -> read again #6: it was made just now, and a read may not show it yet
         31 marshal read permit/7 -> in step #7",
    );
    story.wait(60).settle();
    story.all_hold("no=7 note=a status=pending");
}

/// `{"id": "2", "restricted": true}` in a listing, or with 200 in the answer to a read: the
/// record's fields are not there, and so are not cleared.
#[test]
fn what_comes_under_an_id_without_the_identity_is_not_the_record() {
    for doc in [json!({}), json!({ "status": "closed" })] {
        let scene = Scene::new().able("clerk", |can| can.fetch = false);
        let mut story = Story::of(scene, &[("status", "pending"), ("note", "a")]);
        story.wait(60);
        let id = story.id("clerk");
        let seen = Observation { id, tag: None, modified: None, content: Content::Whole(doc.clone()) };
        let delivery = Delivery { message: Some("1".into()), records: vec![seen], hints: Vec::new() };
        story.play.deliver(&permit(), &side("clerk"), delivery).unwrap();
        assert_eq!(story.merged(), "no=7 note=a status=pending", "{doc}");
        assert_eq!(story.shows("marshal"), "no=7 note=a status=pending", "{doc}");
        let parked = story.play.parked().unwrap();
        assert_eq!((parked.len(), parked[0].reason.as_str()), (1, "unreadable"), "{doc} {parked:?}");
        assert!(parked[0].words.contains("it lacks no:"), "{parked:?}");
        // What it is again is read, and it goes on by itself.
        story.edit("clerk", &[("note", "b")]).settle();
        story.all_hold("no=7 note=b status=pending");
        assert_eq!(story.play.parked().unwrap(), []);
    }
    // One that nobody knows yet, with nothing that is mapped.
    let mut story = Story::of(Scene::new(), &[("status", "pending"), ("note", "a")]);
    let content = Content::Whole(json!({ "name": "an event" }));
    let seen = Observation { id: NativeId::try_new("evt_9").unwrap(), tag: None, modified: None, content };
    let delivery = Delivery { message: Some("2".into()), records: vec![seen], hints: Vec::new() };
    story.play.deliver(&permit(), &side("clerk"), delivery).unwrap();
    story.settle();
    assert_eq!(story.play.ids(&permit(), &side("marshal")).len(), 1, "nothing was made of it");
}
