//! Events as a clerk reads them: each story is a list of events and the lines
//! that are told.
#![allow(clippy::unwrap_used, reason = "tests may panic")]

use hms_sync_management::Teller;
use hms_sync_model::{
    Actor, Author, Body, Change, Clock, Dot, Edit, Event, EventId, Failure, FieldName, FieldResult, Lane,
    NativeId, Operation, ParkReason, Parked, RecordId, Released, SideName, Source, Stamp, Time, Value,
    VecMap,
};

fn side(name: &str) -> SideName {
    SideName::try_new(name).unwrap()
}

fn field(name: &str) -> FieldName {
    FieldName::try_new(name).unwrap()
}

/// An edit by a side: `seen` are the other sides' edits it had been shown.
fn edit(by: &str, n: u64, seen: &[(&str, u64)], changes: &[(&str, &str, &str)], id: Option<&str>) -> Body {
    let value = |text: &str| if text.is_empty() { Value::Absent } else { text.into() };
    let context: Clock = seen.iter().map(|(by, n)| (Actor::side(side(by)), *n)).collect();
    let changes = changes
        .iter()
        .map(|(name, before, after)| (field(name), Change { before: value(before), after: value(after) }));
    let edit = Edit {
        generation: 0,
        dot: Dot { actor: Actor::side(side(by)), n },
        context,
        but: VecMap::new(),
        changes: changes.collect(),
        deletes: false,
        stamp: Stamp::at(Time(1)),
        certain: true,
    };
    let id = id.map(|id| NativeId::try_new(id).unwrap());
    Body::Edited { edit, id, tag: None, source: Source::Page, raw: None }
}

fn told(bodies: Vec<Body>) -> Vec<String> {
    let mut teller = Teller::new();
    let event = |(i, body)| Event {
        seq: i as u64 + 10,
        record: RecordId::try_new("permit/1").unwrap(),
        version: i as u64 + 1,
        // The first at 10:41:07, each next one a second later.
        at: Time((38_467 + i64::try_from(i).unwrap()) * 1_000_000),
        prev: EventId::default(),
        body,
    };
    bodies.into_iter().enumerate().map(event).map(|event| teller.tell(&event).words).collect()
}

fn check(bodies: Vec<Body>, lines: &[&str]) {
    assert_eq!(told(bodies), lines);
}

fn intended(to: &str, operation: Operation, fields: &[(&str, &str)]) -> Body {
    let fields = fields.iter().map(|(name, value)| (field(name), Value::from(*value))).collect();
    Body::Intended { side: side(to), operation, fields, clock: Clock::new() }
}

fn applied(by: &str, of: u64, id: Option<&str>, results: &[(&str, FieldResult)]) -> Body {
    Body::Applied {
        side: side(by),
        of,
        id: id.map(|id| NativeId::try_new(id).unwrap()),
        tag: None,
        results: results.iter().map(|(name, result)| (field(name), result.clone())).collect(),
        whole: true,
    }
}

#[test]
fn both_change_a_field_at_once() {
    check(
        vec![
            edit("clerk", 1, &[], &[("no", "", "P-7"), ("status", "", "pending")], Some("7")),
            intended("marshal", Operation::Create, &[("no", "P-7"), ("status", "pending")]),
            applied("marshal", 2, Some("INS-7"), &[]),
            edit("clerk", 2, &[], &[("status", "pending", "revoked")], Some("7")),
            edit("marshal", 1, &[("clerk", 1)], &[("status", "pending", "approved")], Some("INS-7")),
        ],
        &[
            "clerk has it as its 7: no=P-7, status=pending (poll)",
            "to marshal: create no=P-7, status=pending",
            "marshal took it (create), as its INS-7",
            "clerk set status to revoked (was pending) (poll)",
            "marshal set status to approved (was pending); had not yet seen clerk's change of status at 10:41:10 (poll)",
        ],
    );
}

#[test]
fn a_later_edit_has_seen_the_other() {
    let lines = told(vec![
        edit("clerk", 1, &[], &[("status", "", "pending")], Some("7")),
        edit("marshal", 1, &[("clerk", 1)], &[("status", "pending", "approved")], None),
        edit("clerk", 2, &[("marshal", 1)], &[("status", "approved", "revoked")], None),
    ]);
    assert!(lines.iter().all(|line| !line.contains("not yet seen")), "{lines:?}");
}

#[test]
fn different_fields_at_once_are_told_as_such() {
    let lines = told(vec![
        edit("clerk", 1, &[], &[("note", "", "x"), ("status", "", "pending")], Some("7")),
        edit("marshal", 1, &[], &[("inspector", "", "Kim")], Some("INS-7")),
    ]);
    let wanted =
        "marshal has it as its INS-7: inspector=Kim; had not yet seen clerk's change at 10:41:07 (poll)";
    assert_eq!(lines.get(1).map(String::as_str), Some(wanted));
}

#[test]
fn what_a_side_made_of_a_write() {
    check(
        vec![
            intended("marshal", Operation::Update, &[("note", "a  b")]),
            applied("marshal", 1, None, &[("note", FieldResult::Reformatted("a b".into()))]),
            intended("marshal", Operation::Update, &[("fee", "9")]),
            applied("marshal", 3, None, &[("fee", FieldResult::NotKept)]),
        ],
        &[
            "to marshal: update note=a  b",
            "marshal took it (update note=a  b); it writes note as a b",
            "to marshal: update fee=9",
            "marshal took it (update fee=9); it did not keep fee",
        ],
    );
}

#[test]
fn trouble_and_what_a_person_did_about_it() {
    let parked = Parked {
        reason: ParkReason::Refused,
        words: "422: no such inspector\u{1b}[2J".into(),
        attempts: 1,
        fields: Vec::new(),
        clock: Clock::new(),
        given_up: false,
    };
    let lane = Lane::Side(side("marshal"));
    check(
        vec![
            Body::Failed { side: side("marshal"), of: 1, failure: Failure::Unknown, words: "reset".into() },
            Body::Parked { lane: lane.clone(), parked },
            Body::Released { lane, action: Released::Replay },
        ],
        &[
            "no answer from marshal, it may or may not have been done: reset",
            "marshal set aside after 1 try, it was refused: 422: no such inspector [2J",
            "a person asked to try marshal again",
        ],
    );
}

#[test]
fn a_record_that_was_held_is_taken_up() {
    let (by, reason, sides) = ("jo\u{1b}x".into(), "disk 7".into(), vec![side("clerk"), side("marshal")]);
    let unread = sides.clone();
    check(
        vec![Body::TakenUp { by, reason, sides, unread, identity: Vec::new() }],
        &["jo x had it taken up from what its sides show, without the events that are lost: disk 7; \
           to be read first: clerk, marshal"],
    );
}

#[test]
fn hms_sync_speaks_for_itself() {
    let Body::Edited { mut edit, .. } = edit("clerk", 1, &[], &[("status", "revoked", "revoked")], None)
    else {
        unreachable!()
    };
    edit.dot = Dot { actor: Actor { author: Author::Engine, epoch: 0 }, n: 1 };
    let settled = Body::Edited { edit, id: None, tag: None, source: Source::Engine, raw: None };
    check(vec![settled], &["hms-sync noted that all sides agree: status=revoked"]);
}
