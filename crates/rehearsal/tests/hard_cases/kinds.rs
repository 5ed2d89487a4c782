//! Sets, counters, texts, owners, locks, and what waits for a person.

use crate::scene::Scene;
use crate::story::Story;
use hms_sync_model::FieldType;
use hms_sync_resolver::{Kind, Owner, Policy};
use serde_json::json;

fn set() -> Scene {
    Scene::new().field("tags", FieldType::Set(Box::new(FieldType::String)), |rule| {
        rule.kind = Kind::Set { remove_wins: false };
    })
}

#[test]
fn elements_added_on_both_sides_are_all_in() {
    let mut story = Story::of(set(), &[("status", "pending"), ("tags", "[\"a\"]")]);
    story.edit("clerk", &[("tags", "[\"a\",\"b\"]")]).edit("marshal", &[("tags", "[\"c\"]")]).settle().expect(
        "   3 clerk    poll     permit/7 tags={a, b} -> edited #4
            3 marshal  doubt    permit/7             -> read again #6: it was shown otherwise while a request was under way
            3 marshal  update   permit/7 tags={a, b} <- changed there meanwhile #7: 412
            3 marshal  doubt    permit/7             -> read again #8: 412
            3 marshal  read     permit/7 tags={c}    -> edited #9 (concurrent with #4)
            3 clerk    update   permit/7 tags={b, c} <- applied #12
            3 marshal  update   permit/7 tags={b, c} <- applied #13",
    );
    story.all_hold("no=7 status=pending tags={b, c}");
}

#[test]
fn an_element_added_anew_while_another_removes_it_is_in() {
    let mut story = Story::of(set(), &[("status", "pending"), ("tags", "[\"a\"]")]);
    story.play.offline(&crate::scene::side("clerk"));
    story.edit("marshal", &[("tags", "[]")]).poll("marshal");
    story.edit("marshal", &[("tags", "[\"a\"]")]).poll("marshal");
    story.edit("clerk", &[("tags", "[]")]);
    story.play.online(&crate::scene::side("clerk"));
    story.settle().expect(
        "   2 marshal  poll     permit/7 tags={}  -> edited #4
            2 clerk    update   permit/7 tags={}  <- away #6: clerk cannot be reached
            3 marshal  poll     permit/7 tags={a} -> edited #7
            3 clerk    update   permit/7 tags={}  <- away #8: clerk cannot be reached
            4 clerk    update   permit/7 tags={}  <- not carried out #9: it was refused, and is not wanted any more
            4 clerk    read     permit/7 tags={}  -> edited #10 (concurrent with #7)
            4 marshal  read     permit/7          -> in step #12
            4 clerk    update   permit/7 tags={a} <- applied #13",
    );
    story.all_hold("no=7 status=pending tags={a}");
}

#[test]
fn a_side_that_lower_cases_elements_neither_removes_nor_adds() {
    let mut story = Story::of(set(), &[("status", "pending"), ("tags", "[\"Fire\",\"Smoke\"]")]);
    let lower = |_: &serde_json::Map<String, serde_json::Value>,
                 doc: &mut serde_json::Map<String, serde_json::Value>| {
        let tags = doc.get("tags").and_then(|tags| tags.as_array()).cloned().unwrap_or_default();
        let tags: Vec<_> =
            tags.iter().map(|tag| json!(tag.as_str().unwrap_or_default().to_lowercase())).collect();
        doc.insert("tags".into(), json!(tags));
        Ok(())
    };
    story.habit("marshal", lower);
    story.edit("clerk", &[("tags", "[\"Fire\",\"Smoke\",\"Hot\"]")]).settle().expect(
        "   2 clerk    poll     permit/7 tags={Fire, Hot, Smoke} -> edited #4
            2 marshal  update   permit/7 tags={Fire, Hot, Smoke} <- applied #6, tags as {fire, hot, smoke} (reformatted)",
    );
    story.stays_quiet();
    // The removal of the image removes what it is an image of.
    story.edit("marshal", &[("tags", "[\"smoke\",\"hot\"]")]).settle().expect(
        "10803 marshal  poll     permit/7 tags={Hot, Smoke} -> edited #7
         10803 clerk    update   permit/7 tags={Hot, Smoke} <- applied #9",
    );
    assert_eq!(story.merged(), "no=7 status=pending tags={Hot, Smoke}");
    story.stays_quiet();
}

#[test]
fn a_counter_adds_what_each_side_added() {
    let scene = Scene::new().field("visits", FieldType::Integer, |rule| rule.kind = Kind::Counter);
    let mut story = Story::of(scene, &[("status", "pending"), ("visits", "10")]);
    story.edit("clerk", &[("visits", "12")]).edit("marshal", &[("visits", "15")]).settle().expect(
        "   3 clerk    poll     permit/7 visits=12 -> edited #4
            3 marshal  doubt    permit/7           -> read again #6: it was shown otherwise while a request was under way
            3 marshal  update   permit/7 visits=12 <- changed there meanwhile #7: 412
            3 marshal  doubt    permit/7           -> read again #8: 412
            3 marshal  read     permit/7 visits=15 -> edited #9 (concurrent with #4)
            3 clerk    update   permit/7 visits=17 <- applied #12
            3 marshal  update   permit/7 visits=17 <- applied #13",
    );
    story.all_hold("no=7 status=pending visits=17");
}

#[test]
fn texts_changed_in_different_lines_are_merged_and_others_go_to_the_next_rule() {
    let scene = Scene::new().field("body", FieldType::Text, |rule| {
        rule.resolve = vec![Policy::MergeText, Policy::LastWriterWins];
    });
    let mut story = Story::of(scene, &[("status", "pending"), ("body", "a\nb\nc\nd")]);
    story.edit("clerk", &[("body", "A\nb\nc\nd")]).edit("marshal", &[("body", "a\nb\nc\nD")]).settle().expect(
        "   3 clerk    poll     permit/7 body=A⏎b⏎c⏎d  -> edited #4
            3 marshal  doubt    permit/7               -> read again #6: it was shown otherwise while a request was under way
            3 marshal  update   permit/7 body=A⏎b⏎c⏎d  <- changed there meanwhile #7: 412
            3 marshal  doubt    permit/7               -> read again #8: 412
            3 marshal  read     permit/7 body=a⏎b⏎c⏎D  -> edited #9 (concurrent with #4)
            3 engine   resolve  permit/7 body: A⏎b⏎c⏎D (both texts merged; losers A⏎b⏎c⏎d@clerk, a⏎b⏎c⏎D@marshal)
            3 clerk    update   permit/7 body=A⏎b⏎c⏎D  <- applied #12
            3 marshal  update   permit/7 body=A⏎b⏎c⏎D  <- applied #13
            3 engine   settle   permit/7 body=A⏎b⏎c⏎D  -> settled #14",
    );
    story.all_hold("body=A\\nb\\nc\\nD no=7 status=pending");
    story.edit("clerk", &[("body", "x")]).edit("marshal", &[("body", "y")]).settle().expect(
        "10805 clerk    poll     permit/7 body=x  -> edited #15
         10805 marshal  doubt    permit/7         -> read again #17: it was shown otherwise while a request was under way
         10805 marshal  update   permit/7 body=x  <- changed there meanwhile #18: 412
         10805 marshal  doubt    permit/7         -> read again #19: 412
         10805 marshal  read     permit/7 body=y  -> edited #20 (concurrent with #15)
         10805 engine   resolve  permit/7 body: y (the later edit, order uncertain; loser x@clerk)
         10805 marshal  read     permit/7         -> in step #22
         10805 clerk    update   permit/7 body=y  <- applied #23
         10805 engine   settle   permit/7 body=y  -> settled #24",
    );
    story.all_hold("body=y no=7 status=pending");
}

#[test]
fn manual_leaves_both_their_own_and_a_third_the_last_agreed_value() {
    let scene = Scene::of(&["clerk", "marshal", "archive"])
        .field("note", FieldType::String, |rule| rule.resolve = vec![Policy::Manual]);
    let mut story = Story::of(scene, &[("status", "pending"), ("note", "a")]);
    story.edit("clerk", &[("note", "b")]).edit("marshal", &[("note", "c")]).settle().expect(
        "   3 clerk    poll     permit/7 note=b  -> edited #6
            3 marshal  doubt    permit/7         -> read again #9: it was shown otherwise while a request was under way
            3 archive  update   permit/7 note=b  <- applied #10
            3 marshal  update   permit/7 note=b  <- changed there meanwhile #11: 412
            3 marshal  doubt    permit/7         -> read again #12: 412
            3 marshal  read     permit/7 note=c  -> edited #13 (concurrent with #6)
            3 engine   resolve  permit/7 note: a (waits for a person; losers b@clerk, c@marshal)
            3 archive  update   permit/7 note=a  <- applied #15",
    );
    let notes: Vec<String> =
        ["clerk", "marshal", "archive"].map(|name| story.raw(name)["note"].to_string()).into();
    assert_eq!(notes, ["\"b\"", "\"c\"", "\"a\""]);
    story.stays_quiet();
}

#[test]
fn others_edits_of_an_owned_field_are_put_back() {
    let scene = Scene::new().field("fee", FieldType::Decimal, |rule| {
        rule.owner = Some(Owner { side: crate::scene::side("clerk"), unless_blank: false });
    });
    let mut story = Story::of(scene, &[("status", "pending"), ("fee", "10")]);
    story.edit("marshal", &[("fee", "99")]).settle().expect(
        "   2 marshal  poll     permit/7 fee=99 -> edited #4
            2 clerk    read     permit/7        -> in step #6
            2 marshal  update   permit/7 fee=10 <- applied #7",
    );
    story.all_hold("fee=10 no=7 status=pending");
}

#[test]
fn an_owned_field_is_filled_by_others_while_blank() {
    let scene = Scene::new().field("phone", FieldType::String, |rule| {
        rule.owner = Some(Owner { side: crate::scene::side("clerk"), unless_blank: true });
    });
    let mut story = Story::of(scene, &[("status", "pending"), ("phone", "")]);
    story.edit("marshal", &[("phone", "112")]).settle().expect(
        "   2 marshal  poll     permit/7 phone=112 -> edited #4
            2 clerk    update   permit/7 phone=112 <- applied #6",
    );
    story.all_hold("no=7 phone=112 status=pending");
}

#[test]
fn a_locked_value_is_given_back_to_who_changes_it() {
    let scene = Scene::new().field("status", FieldType::String, |rule| {
        (rule.resolve, rule.locks) = (crate::scene::strongest_first(), vec!["revoked".into()]);
    });
    let mut story = Story::of(scene, &[("status", "approved"), ("note", "a")]);
    story.edit("marshal", &[("status", "revoked")]).settle();
    story.play.forget();
    story.edit("clerk", &[("status", "approved")]).settle().expect(
        "   3 clerk    poll     permit/7 status=approved -> edited #7
            3 marshal  read     permit/7                 -> in step #9
            3 clerk    update   permit/7 status=revoked  <- applied #10",
    );
    story.all_hold("no=7 note=a status=revoked");
}

#[test]
fn an_array_of_objects_is_one_value_and_one_of_two_stands_whole() {
    let scene = Scene::new().field("parts", FieldType::Json, |_| {});
    let mut story = Story::of(scene, &[("status", "pending"), ("parts", "[{\"n\":1}]")]);
    story.edit("clerk", &[("parts", "[{\"n\":1},{\"n\":2}]")]);
    story.edit("marshal", &[("parts", "[{\"n\":3}]")]).settle().expect(
        "3 clerk poll permit/7 parts=[{\"n\":1},{\"n\":2}] -> edited #4
         3 marshal doubt permit/7 -> read again #6: it was shown otherwise while a request was under way
         3 marshal update permit/7 parts=[{\"n\":1},{\"n\":2}] <- changed there meanwhile #7: 412
         3 marshal doubt permit/7 -> read again #8: 412
         3 marshal read permit/7 parts=[{\"n\":3}] -> edited #9 (concurrent with #4)
         3 engine resolve permit/7 parts: [{\"n\":3}] (the later edit, order uncertain; loser [{\"n\":1},{\"n\":2}]@clerk)
         3 marshal read permit/7 -> in step #11
         3 clerk update permit/7 parts=[{\"n\":3}] <- applied #12
         3 engine settle permit/7 parts=[{\"n\":3}] -> settled #13",
    );
    story.all_hold("no=7 parts=[{\\\"n\\\":3}] status=pending");
}
