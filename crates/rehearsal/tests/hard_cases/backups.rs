//! A side that is put back from a backup: what it shows waits for a person, who has ours
//! written back, or takes theirs.

use crate::scene::{Scene, everything, field, permit, side};
use crate::story::{Story, words};
use hms_sync_connector::Abilities;
use hms_sync_engine::{Command, Guard, Reply, stream_of};
use hms_sync_model::{NativeId, RecordId, Released, Time};

fn guard() -> Guard {
    Guard { max_deletes: 1, max_deletes_percent: 0, max_regressions: 2, max_regressions_percent: 0 }
}

/// Permits 1 to 4, which marshal and clerk have edited since the time that is answered.
fn edited_since(abilities: Abilities) -> (Story, Time) {
    let scene = Scene::new().guard(guard()).able("clerk", |able| *able = abilities);
    let mut story = Story::empty(scene);
    for no in ["1", "2", "3", "4"] {
        story.put("clerk", &[("no", no), ("status", "pending"), ("note", "a")]);
    }
    story.settle();
    let backup = story.play.now();
    story.wait(3_600);
    for no in ["1", "2", "3", "4"] {
        edit(&mut story, "marshal", no, &[("status", "approved")]);
        edit(&mut story, "clerk", no, &[("note", "b")]);
    }
    story.settle().wait(3_600);
    assert_eq!(shown(&story, "clerk"), ["1 b approved", "2 b approved", "3 b approved", "4 b approved"]);
    (story, backup)
}

/// The same, and clerk put back to that time and read in full.
fn put_back_on(abilities: Abilities) -> Story {
    let (mut story, backup) = edited_since(abilities);
    story.play.put_back(&permit(), &side("clerk"), backup).unwrap();
    story.play.forget();
    story.list("clerk").settle();
    story
}

fn put_back() -> Story {
    put_back_on(everything())
}

fn one(story: &Story, no: &str) -> RecordId {
    story.play.find(&format!("permit/{no}")).unwrap().unwrap()
}

fn edit(story: &mut Story, on: &str, no: &str, values: &[(&str, &str)]) {
    let fields = values.iter().map(|(name, text)| (field(name), (*text).into())).collect();
    let record = one(story, no);
    story.play.edit(&permit(), &side(on), &record, &fields).unwrap();
}

/// What a side has, as `1 a pending`.
fn shown(story: &Story, on: &str) -> Vec<String> {
    let docs = story.play.ids(&permit(), &side(on)).into_iter();
    let text = |id: NativeId| {
        let doc = story.play.doc(&permit(), &side(on), &id).unwrap();
        let value = |name: &str| doc[name].as_str().unwrap_or("-").to_owned();
        [value("no"), value("note"), value("status")].join(" ")
    };
    let mut all: Vec<String> = docs.map(text).collect();
    all.sort();
    all
}

fn merged(story: &Story, no: &str) -> String {
    words(&story.play.merged(&one(story, no)).unwrap())
}

fn listing() -> RecordId {
    stream_of(&side("clerk"), &permit()).unwrap()
}

fn say(story: &mut Story, action: Released) -> Option<Reply> {
    story.play.command(Command::Release { record: listing(), lane: None, action }).unwrap()
}

const APPROVED: [&str; 4] = ["1 b approved", "2 b approved", "3 b approved", "4 b approved"];
const PENDING: [&str; 4] = ["1 a pending", "2 a pending", "3 a pending", "4 a pending"];

#[test]
fn a_side_put_back_from_a_backup_is_held_and_the_others_go_on() {
    let mut story = put_back();
    let parked = story.play.parked().unwrap();
    assert_eq!((parked.len(), parked[0].reason.as_str()), (1, "regression"));
    let text = &parked[0].words;
    assert!(
        text.starts_with("clerk shows more than 2 of 4 records of permit as they stood before 20"),
        "{text}"
    );
    let status = story.play.machine().status().unwrap();
    let held = |name: &str| {
        let of = status.sides.iter().find(|of| of.side == name).unwrap();
        of.collections[0].held.clone()
    };
    assert_eq!((held("clerk").as_ref(), held("marshal")), (Some(text), None));
    story.expect("");
    // A new record and an edit of marshal's count; nothing is written to clerk.
    edit(&mut story, "marshal", "1", &[("note", "c")]);
    story.put("marshal", &[("no", "9"), ("status", "pending"), ("note", "n")]);
    // Nor is anything of what clerk's people do now lost, or taken in.
    edit(&mut story, "clerk", "2", &[("note", "d")]);
    story.settle().list("clerk").settle();
    assert_eq!(merged(&story, "1"), "no=1 note=c status=approved");
    assert_eq!(merged(&story, "2"), "no=2 note=b status=approved");
    assert_eq!(story.play.writes(), &[]);
    assert_eq!(
        shown(&story, "marshal")[1..],
        ["2 b approved", "3 b approved", "4 b approved", "9 n pending"]
    );
    // What is said of deletes is not said of this.
    for action in [Released::Replay, Released::Discard] {
        assert!(matches!(say(&mut story, action), Some(Reply::Count(0))));
    }
    assert_eq!(story.play.parked().unwrap().len(), 1);
}

#[test]
fn ours_is_pushed_to_a_side_that_was_put_back() {
    let mut story = put_back();
    assert!(matches!(say(&mut story, Released::PushOurs), Some(Reply::Count(1))));
    story.settle().expect(
        "7212 clerk link   permit/1 -> linked #14
         7212 clerk read   permit/1 -> as known #15
         7212 clerk link   permit/2 -> linked #14
         7212 clerk read   permit/2 -> as known #15
         7212 clerk link   permit/3 -> linked #14
         7212 clerk read   permit/3 -> as known #15
         7212 clerk link   permit/4 -> linked #14
         7212 clerk read   permit/4 -> as known #15
         7212 clerk update permit/1 note=b status=approved <- applied #17
         7212 clerk update permit/2 note=b status=approved <- applied #17
         7212 clerk update permit/3 note=b status=approved <- applied #17
         7212 clerk update permit/4 note=b status=approved <- applied #17",
    );
    for on in ["clerk", "marshal"] {
        assert_eq!(shown(&story, on), APPROVED);
    }
    assert_eq!((story.play.parked().unwrap(), story.play.conflicts()), (Vec::new(), &[][..]));
    // And what its people do from here on counts, as ever.
    edit(&mut story, "clerk", "1", &[("note", "z")]);
    story.settle();
    assert_eq!(merged(&story, "1"), "no=1 note=z status=approved");
    assert_eq!(story.play.conflicts(), &[]);
    story.stays_quiet();
}

#[test]
fn what_a_side_shows_that_was_put_back_is_taken_as_its_edits() {
    let mut story = put_back();
    assert!(matches!(say(&mut story, Released::TakeTheirs), Some(Reply::Count(1))));
    story.settle().expect(
        "7212 clerk   poll   permit/1 note=a status=pending -> edited #14
         7212 clerk   poll   permit/2 note=a status=pending -> edited #14
         7212 clerk   poll   permit/3 note=a status=pending -> edited #14
         7212 clerk   poll   permit/4 note=a status=pending -> edited #14
         7212 marshal update permit/1 note=a status=pending <- applied #16
         7212 marshal update permit/2 note=a status=pending <- applied #16
         7212 marshal update permit/3 note=a status=pending <- applied #16
         7212 marshal update permit/4 note=a status=pending <- applied #16",
    );
    for on in ["clerk", "marshal"] {
        assert_eq!(shown(&story, on), PENDING);
    }
    assert_eq!((story.play.parked().unwrap(), story.play.conflicts()), (Vec::new(), &[][..]));
    story.stays_quiet();
}

#[test]
fn a_single_record_set_back_by_a_user_is_an_edit() {
    let (mut story, _) = edited_since(everything());
    story.play.forget();
    for no in ["1", "2"] {
        edit(&mut story, "clerk", no, &[("note", "a"), ("status", "pending")]);
    }
    story.settle().expect(
        "7214 clerk poll permit/1 note=a status=pending -> edited #14
         7214 clerk poll permit/2 note=a status=pending -> edited #14
         7214 marshal update permit/1 note=a status=pending <- applied #16
         7214 marshal update permit/2 note=a status=pending <- applied #16",
    );
    assert_eq!(story.play.parked().unwrap(), &[]);
    assert_eq!(shown(&story, "marshal"), ["1 a pending", "2 a pending", "3 b approved", "4 b approved"]);
    story.stays_quiet();
}

#[test]
fn many_new_edits_are_no_regression() {
    let (mut story, _) = edited_since(everything());
    for no in ["1", "2", "3", "4"] {
        // The note stood there earlier, but never with this status.
        edit(&mut story, "clerk", no, &[("note", "a"), ("status", "denied")]);
    }
    story.settle();
    assert_eq!(story.play.parked().unwrap(), &[]);
    assert_eq!(shown(&story, "marshal")[0], "1 a denied");
}

#[test]
fn a_hold_survives_a_process_that_dies_and_so_does_what_a_person_said() {
    let mut story = put_back();
    edit(&mut story, "marshal", "1", &[("note", "c")]);
    for _ in 0..2 {
        story.play.restart(None).unwrap();
        story.settle().list("clerk").settle();
        assert_eq!(story.play.parked().unwrap().len(), 1);
    }
    assert_eq!((merged(&story, "1").as_str(), story.play.writes()), ("no=1 note=c status=approved", &[][..]));
    assert_eq!(shown(&story, "clerk"), PENDING);
    // It dies when it has been told and has read nothing yet.
    story.play.offline(&side("clerk"));
    assert!(matches!(say(&mut story, Released::PushOurs), Some(Reply::Count(1))));
    story.play.restart(None).unwrap();
    story.play.online(&side("clerk"));
    story.settle();
    for on in ["clerk", "marshal"] {
        assert_eq!(shown(&story, on)[..2], ["1 c approved", "2 b approved"]);
    }
    story.stays_quiet();
}

/// Permits 1 to 4, and 5 to 7 that were made since the backup.
fn put_back_before_some_were_made(abilities: Abilities) -> Story {
    let (mut story, backup) = edited_since(abilities);
    for no in ["5", "6", "7"] {
        story.put("marshal", &[("no", no), ("status", "pending"), ("note", "n")]);
    }
    story.settle().wait(3_600);
    assert_eq!(shown(&story, "clerk").len(), 7);
    story.play.put_back(&permit(), &side("clerk"), backup).unwrap();
    story.play.forget();
    story.list("clerk").settle();
    story
}

#[test]
fn what_was_made_since_the_backup_is_made_again_where_ours_is_pushed() {
    let deaf = Abilities { fetch: false, lookup: false, precondition: false, ..everything() };
    for (asked, abilities) in [(true, everything()), (false, deaf)] {
        let mut story = put_back_before_some_were_made(abilities);
        assert_eq!(story.play.parked().unwrap()[0].reason, "regression");
        assert_eq!(story.play.parked().unwrap().len(), 1);
        story.play.forget();
        say(&mut story, Released::PushOurs);
        story.settle().wait(60);
        story.settle();
        if asked {
            story.expect(
                "10815 clerk link   permit/1 -> linked #14
                 10815 clerk read   permit/1 -> as known #15
                 10815 clerk link   permit/2 -> linked #14
                 10815 clerk read   permit/2 -> as known #15
                 10815 clerk link   permit/3 -> linked #14
                 10815 clerk read   permit/3 -> as known #15
                 10815 clerk link   permit/4 -> linked #14
                 10815 clerk read   permit/4 -> as known #15
                 10815 clerk doubt  permit/5 -> read again #4: missing from a complete listing
                 10815 clerk doubt  permit/6 -> read again #4: missing from a complete listing
                 10815 clerk doubt  permit/7 -> read again #4: missing from a complete listing
                 10815 clerk unlink permit/5 -> unlinked #5
                 10815 clerk unlink permit/6 -> unlinked #5
                 10815 clerk unlink permit/7 -> unlinked #5
                 10820 clerk update permit/1 note=b status=approved <- applied #17
                 10820 clerk update permit/2 note=b status=approved <- applied #17
                 10820 clerk update permit/3 note=b status=approved <- applied #17
                 10820 clerk update permit/4 note=b status=approved <- applied #17
                 10820 clerk create permit/5 no=5 note=n status=pending <- applied #7
                 10820 clerk create permit/6 no=6 note=n status=pending <- applied #7
                 10820 clerk create permit/7 no=7 note=n status=pending <- applied #7",
            );
        }
        for on in ["clerk", "marshal"] {
            assert_eq!(shown(&story, on).len(), 7, "{on} {}", story.play.timeline());
            assert_eq!(shown(&story, on)[..4], APPROVED);
        }
        assert_eq!(story.play.parked().unwrap(), &[]);
        story.stays_quiet();
    }
}

#[test]
fn what_was_made_since_the_backup_is_under_the_delete_guard_where_theirs_is_taken() {
    let mut story = put_back_before_some_were_made(everything());
    say(&mut story, Released::TakeTheirs);
    story.settle();
    let parked = story.play.parked().unwrap();
    assert_eq!((parked.len(), parked[0].reason.as_str()), (1, "mass_delete"));
    assert_eq!(shown(&story, "marshal")[..4], PENDING);
    assert_eq!(shown(&story, "marshal").len(), 7);
    story.play.restart(None).unwrap();
    story.play.forget();
    say(&mut story, Released::Replay);
    story.settle().expect(
        "10815 clerk doubt permit/5 -> read again #4: missing from a complete listing
         10815 clerk doubt permit/6 -> read again #4: missing from a complete listing
         10815 clerk doubt permit/7 -> read again #4: missing from a complete listing
         10815 clerk read permit/5 -> deleted #5
         10815 clerk read permit/6 -> deleted #5
         10815 clerk read permit/7 -> deleted #5
         10815 marshal delete permit/5 <- applied #7
         10815 marshal delete permit/6 <- applied #7
         10815 marshal delete permit/7 <- applied #7",
    );
    assert_eq!(shown(&story, "marshal"), PENDING);
}

#[test]
fn what_was_deleted_since_the_backup_is_deleted_again_where_ours_is_pushed() {
    let (mut story, backup) = edited_since(everything());
    for no in ["1", "2", "3"] {
        let record = one(&story, no);
        story.play.delete(&permit(), &side("marshal"), &record).unwrap();
    }
    story.list("marshal").settle().list("marshal");
    say(&mut story, Released::Replay);
    let marshals = stream_of(&side("marshal"), &permit()).unwrap();
    let release = Command::Release { record: marshals, lane: None, action: Released::Replay };
    story.play.command(release).unwrap();
    story.settle().wait(3_600);
    assert_eq!(shown(&story, "clerk"), ["4 b approved"]);
    story.play.put_back(&permit(), &side("clerk"), backup).unwrap();
    story.list("clerk").settle();
    assert_eq!(story.play.parked().unwrap()[0].reason, "regression");
    story.play.forget();
    say(&mut story, Released::PushOurs);
    story.settle().expect(
        "10815 clerk link permit/1 -> linked #18
         10815 clerk read permit/1 -> as known #19
         10815 clerk link permit/2 -> linked #18
         10815 clerk read permit/2 -> as known #19
         10815 clerk link permit/3 -> linked #18
         10815 clerk read permit/3 -> as known #19
         10815 clerk link permit/4 -> linked #14
         10815 clerk read permit/4 -> as known #15
         10815 clerk delete permit/1 <- applied #21
         10815 clerk delete permit/2 <- applied #21
         10815 clerk delete permit/3 <- applied #21
         10815 clerk update permit/4 note=b status=approved <- applied #17",
    );
    for on in ["clerk", "marshal"] {
        assert_eq!(shown(&story, on), ["4 b approved"]);
    }
    story.stays_quiet();
}

#[test]
fn what_people_changed_after_the_backup_was_put_back_is_theirs_also_where_ours_is_pushed() {
    let (mut story, backup) = edited_since(everything());
    story.play.put_back(&permit(), &side("clerk"), backup).unwrap();
    edit(&mut story, "clerk", "1", &[("note", "new")]);
    story.list("clerk").settle();
    say(&mut story, Released::PushOurs);
    story.settle();
    for on in ["clerk", "marshal"] {
        assert_eq!(shown(&story, on), ["1 new approved", "2 b approved", "3 b approved", "4 b approved"]);
    }
}
