//! The whole way of a value, as a clerk reads it: what a side showed, who changed it
//! knowing what, which rule decided, what became of the writes.

use crate::world::{By, World, field, record, rules, side};
use hms_sync_management::{FieldStory, SideStory};
use hms_sync_model::{
    Actor, Author, Body, Change, Clock, Dot, Edit, Failure, FieldResult, Lane, Operation, ParkReason, Parked,
    RawHash, RecordId, Released, Source, Stamp, Time, Value, VecMap, WebhookMessage,
};
use serde_json::json;

const RAW: RawHash = RawHash([7; 32]);

fn by<'a>(side: &'a str, n: u64, seen: &'a [(&'a str, u64)]) -> By<'a> {
    By { side, n, seen, source: Source::Page, raw: Some(RAW) }
}

fn intended(to: &str, name: &str, value: &str) -> Body {
    let fields = [(field(name), value.into())].into_iter().collect();
    Body::Intended { side: side(to), operation: Operation::Update, fields, clock: Clock::new() }
}

fn applied(of_side: &str, of: u64, results: &[(&str, FieldResult)]) -> Body {
    let results = results.iter().map(|(name, result)| (field(name), result.clone())).collect();
    Body::Applied { side: side(of_side), of, id: None, tag: None, results, whole: true }
}

fn parked(of_side: &str, reason: ParkReason, name: &str) -> Body {
    let (words, fields, clock) = ("it says no".to_owned(), vec![field(name)], Clock::new());
    let parked = Parked { reason, words, attempts: 2, fields, clock, given_up: false };
    Body::Parked { lane: Lane::Side(side(of_side)), parked }
}

/// hms-sync writes down that all sides agree on a field.
fn settled(world: &World, of: &RecordId, name: &str) -> Body {
    let state = world.fold(of, |_| true);
    let value = state.merged.value(&rules(), &field(name));
    let actor = Actor { author: Author::Engine, epoch: 0 };
    let n = state.merged.clock.count(&actor) + 1;
    let edit = Edit {
        generation: 0,
        dot: Dot { actor, n },
        context: state.merged.clock,
        but: VecMap::new(),
        changes: [(field(name), Change { before: value.clone(), after: value })].into_iter().collect(),
        deletes: false,
        stamp: Stamp::at(Time(0)),
        certain: true,
    };
    Body::Edited { edit, id: None, tag: None, source: Source::Engine, raw: None }
}

/// Both have the record, in step.
fn begun() -> (World, RecordId) {
    let (mut world, of) = (World::new(), record("permit/1"));
    let first = [("no", Value::Absent, "P-1".into()), ("status", Value::Absent, "pending".into())];
    world.edit(&of, &by("clerk", 1, &[]), &first);
    world.wait(1_000_000);
    world.edit(&of, &by("marshal", 1, &[("clerk", 1)]), &first);
    world.wait(1_000_000);
    (world, of)
}

async fn story(world: &World, of: &RecordId, name: &str) -> FieldStory {
    let found = world.desk().explain(of.as_str(), Some(name), None).await.unwrap();
    assert_eq!((found.stories.len(), found.fields.len()), (1, 1));
    found.stories[0].clone()
}

fn of_side<'a>(story: &'a FieldStory, name: &str) -> &'a SideStory {
    story.sides.iter().find(|part| part.side == name).unwrap()
}

#[tokio::test]
async fn two_change_a_field_at_once_and_a_rule_decides() {
    let (mut world, of) = begun();
    let hint = Some(WebhookMessage::Part("msg_7".to_owned()));
    let words = "a webhook named it".to_owned();
    world.add(&of, Body::Doubted { side: side("clerk"), stale: false, id: None, message: hint, words });
    let read = By { source: Source::Fetch, ..by("clerk", 2, &[("marshal", 1)]) };
    world.edit(&of, &read, &[("status", "pending".into(), "revoked".into())]);
    world.wait(1_000_000);
    let told = By {
        source: Source::Webhook(Some(WebhookMessage::Whole("msg_9".into()))),
        ..by("marshal", 2, &[("clerk", 1)])
    };
    world.edit(&of, &told, &[("status", "pending".into(), "approved".into())]);
    world.add(&of, intended("marshal", "status", "revoked"));

    for settles in [false, true] {
        if settles {
            world.add(&of, applied("marshal", 6, &[]));
            let body = settled(&world, &of, "status");
            world.add(&of, body);
        }
        let found = story(&world, &of, "status").await;
        assert_eq!((found.value.as_str(), found.rule.as_str()), (Some("revoked"), "precedence"));
        assert_eq!(
            found.words,
            "changed without knowing of each other: the first of revoked, denied, approved, pending stands"
        );
        assert_eq!(found.settled.as_ref().map(|noted| noted.version), settles.then_some(8));
        let [winner, loser] = found.values.as_slice() else { panic!("{found:?}") };
        assert!(winner.stands && !loser.stands);
        let (winner, loser) = (winner.edit.as_ref().unwrap(), loser.edit.as_ref().unwrap());
        assert_eq!((winner.version, winner.by.as_str(), winner.source.as_str()), (4, "clerk", "read"));
        assert_eq!(winner.words, "set status to revoked (was pending)");
        assert_eq!(winner.webhook.as_deref(), Some("msg_7"));
        assert_eq!(
            winner.source_words,
            "seen when the record was read, because webhook message msg_7 named it"
        );
        assert_eq!(winner.raw, Some("07".repeat(32)));
        assert_eq!(
            winner.context_words,
            "had seen all changes of others until then; marshal's change of status at 22:13:23 came in later"
        );
        assert_eq!(
            (loser.source_words.as_str(), loser.webhook.as_deref()),
            ("told by a webhook, message msg_9", Some("msg_9"))
        );
        assert_eq!(loser.context_words, "had not yet seen clerk's change of status at 22:13:22");
        let unseen = &loser.not_seen[0];
        assert_eq!(
            (unseen.by.as_str(), unseen.field.as_deref(), unseen.version),
            ("clerk", Some("status"), 4)
        );
        assert_eq!(of_side(&found, "clerk").state, "made_there");
        let there = of_side(&found, "marshal");
        assert_eq!(there.state, if settles { "delivered" } else { "under_way" });
        assert_eq!(there.shows, Some(json!(if settles { "revoked" } else { "approved" })));
        assert_eq!(there.writes[0].words, "to marshal: update status=revoked");
        assert_eq!(there.writes[0].answer.as_deref(), settles.then_some("taken"));
    }
}

#[tokio::test]
async fn a_write_is_told_from_its_intent_to_what_was_read_back() {
    let (mut world, of) = begun();
    world.edit(&of, &by("clerk", 2, &[("marshal", 1)]), &[("note", Value::Absent, "a  b".into())]);
    world.add(&of, intended("marshal", "note", "a  b"));
    let failed =
        |failure, words: &str| Body::Failed { side: side("marshal"), of: 4, failure, words: words.into() };
    world.add(&of, failed(Failure::Away, "503"));
    world.add(&of, failed(Failure::Unknown, "connection reset\u{1b}[2J"));
    world.add(&of, applied("marshal", 4, &[("note", FieldResult::Reformatted("a b".into()))]));
    world
        .add(&of, Body::Confirmed { side: side("marshal"), clock: Clock::new(), tag: None, but: Vec::new() });
    let found = story(&world, &of, "note").await;
    assert_eq!((found.rule.as_str(), found.values.len()), ("only_value", 1));
    let part = of_side(&found, "marshal");
    let [write] = part.writes.as_slice() else { panic!("{part:?}") };
    let tries: Vec<(&str, &str)> = write.tries.iter().map(|t| (t.kind.as_str(), t.words.as_str())).collect();
    assert_eq!(
        tries,
        [
            ("away", "marshal was away or asked for less, to be tried again: 503"),
            ("unknown", "no answer from marshal, it may or may not have been done: connection reset [2J"),
        ]
    );
    assert_eq!((write.outcome.as_str(), write.answer.as_deref()), ("applied", Some("reformatted")));
    assert_eq!(write.applied.as_ref().unwrap().words, "marshal took it; it writes note as a b");
    assert_eq!((&write.shows, &part.shows), (&Some(json!("a b")), &Some(json!("a b"))));
    assert_eq!(write.read_back.as_ref().map(|noted| noted.version), Some(8));
    assert_eq!((part.state.as_str(), part.words.as_str()), ("delivered", "it was brought there"));
    // The write was decided for this field; another one has nothing of it.
    assert!(of_side(&story(&world, &of, "no").await, "marshal").writes.is_empty());
}

#[tokio::test]
async fn what_was_altered_not_kept_or_refused_is_told() {
    for (result, answer, words) in [
        (FieldResult::Altered("x".into()), "altered", "marshal took it; it made note x of it"),
        (FieldResult::NotKept, "not_kept", "marshal took it; it did not keep note"),
    ] {
        let (mut world, of) = begun();
        world.edit(&of, &by("clerk", 2, &[("marshal", 1)]), &[("note", Value::Absent, "y".into())]);
        world.add(&of, intended("marshal", "note", "y"));
        world.add(&of, applied("marshal", 4, &[("note", result)]));
        let found = story(&world, &of, "note").await;
        let write = &of_side(&found, "marshal").writes[0];
        assert_eq!(write.answer.as_deref(), Some(answer));
        assert_eq!(write.applied.as_ref().unwrap().words, words);
    }
    let (mut world, of) = begun();
    world.edit(&of, &by("clerk", 2, &[("marshal", 1)]), &[("note", Value::Absent, "y".into())]);
    world.add(&of, intended("marshal", "note", "y"));
    let refused = "422".to_owned();
    world.add(&of, Body::Failed { side: side("marshal"), of: 4, failure: Failure::Rejected, words: refused });
    world.add(&of, parked("marshal", ParkReason::Refused, "note"));
    let found = story(&world, &of, "note").await;
    let part = of_side(&found, "marshal");
    assert_eq!(
        (part.state.as_str(), part.words.as_str()),
        ("parked", "set aside, it was refused: it says no")
    );
    assert_eq!(part.writes[0].outcome, "failed");
    assert_eq!(part.writes[0].tries[1].kind, "parked");
    world.add(&of, Body::Released { lane: Lane::Side(side("marshal")), action: Released::Replay });
    let part = of_side(&story(&world, &of, "note").await, "marshal").clone();
    assert_eq!(part.state, "to_be_brought");
    assert_eq!(part.writes[0].tries[2].words, "a person asked to try it again");
}

#[tokio::test]
async fn a_side_that_kept_its_old_value_is_told_also_when_that_came_out_later() {
    let (mut world, of) = begun();
    world.edit(&of, &by("clerk", 2, &[("marshal", 1)]), &[("status", "pending".into(), "denied".into())]);
    world.add(&of, intended("marshal", "status", "denied"));
    world.add(&of, applied("marshal", 4, &[]));
    world.add(&of, parked("marshal", ParkReason::NotKept, "status"));
    let found = story(&world, &of, "status").await;
    let part = of_side(&found, "marshal");
    assert_eq!(part.state, "not_kept");
    assert_eq!(part.words, "it answered that all was well and kept its old value");
    assert_eq!(part.shows, Some(json!("pending")));
    assert_eq!(part.writes[0].answer.as_deref(), Some("not_kept"));
}

#[tokio::test]
async fn a_delete_is_told_with_who_made_it() {
    let (mut world, of) = begun();
    let actor = Actor::side(side("clerk"));
    let edit = Edit {
        generation: 0,
        dot: Dot { actor: actor.clone(), n: 2 },
        context: [(actor, 1), (Actor::side(side("marshal")), 1)].into_iter().collect(),
        but: VecMap::new(),
        changes: VecMap::new(),
        deletes: true,
        stamp: Stamp::default(),
        certain: true,
    };
    world.add(&of, Body::Edited { edit, id: None, tag: None, source: Source::Missing, raw: None });
    let found = world.desk().explain(of.as_str(), None, None).await.unwrap();
    assert_eq!(found.presence, "deleted");
    let [says] = found.presence_values.as_slice() else { panic!("{found:?}") };
    assert!(says.stands && says.value == json!(false));
    let edit = says.edit.as_ref().unwrap();
    assert_eq!((edit.by.as_str(), edit.words.as_str()), ("clerk", "deleted the record"));
    assert_eq!(edit.source_words, "missing from the full listing");
}

/// Epochs that are over were folded: a value keeps the edit that it came with, and nobody is
/// said not to have seen what everybody has seen.
#[tokio::test]
async fn an_edit_of_an_epoch_that_was_folded_is_still_found() {
    let (mut world, of) = begun();
    world.edit(&of, &by("marshal", 2, &[("clerk", 1)]), &[("status", "pending".into(), "approved".into())]);
    world.wait(1_000_000);
    let clock = |world: &World| world.fold(&of, |_| true).merged.clock;
    let now = |world: &World, actor: Actor, n: u64, changes: &[(&str, &str, &str)]| {
        let Body::Edited { edit, .. } = settled(world, &of, "status") else { panic!("no edit") };
        let change = |(name, before, after): &(&str, &str, &str)| {
            (field(name), Change { before: (*before).into(), after: (*after).into() })
        };
        let changes = changes.iter().map(change).collect();
        let edit = Edit { dot: Dot { actor, n }, changes, stamp: Stamp::at(Time(n.cast_signed())), ..edit };
        Body::Edited { edit, id: None, tag: None, source: Source::Page, raw: None }
    };
    let again = Actor { epoch: 1, ..Actor::side(side("marshal")) };
    let body = now(&world, again.clone(), 1, &[("no", "P-1", "P-2")]);
    world.add(&of, body);
    world.wait(1_000_000);
    let body = now(&world, Actor { author: Author::Engine, epoch: 0 }, 1, &[]);
    world.add(&of, body);
    let marshals: Vec<Actor> = (clock(&world).iter().map(|(actor, _)| actor.clone()))
        .filter(|actor| actor.as_side() == Some(&side("marshal")))
        .collect();
    assert_eq!(marshals, [again]);
    world.wait(1_000_000);
    let body = now(&world, Actor::side(side("clerk")), 2, &[("no", "P-2", "P-3")]);
    world.add(&of, body);
    let found = story(&world, &of, "status").await;
    let made = found.values[0].edit.as_ref().unwrap();
    assert_eq!((made.version, made.by.as_str()), (3, "marshal"));
    assert_eq!(made.words, "set status to approved (was pending)");
    let last = story(&world, &of, "no").await;
    let made = last.values[0].edit.as_ref().unwrap();
    assert!(!made.context_words.contains("not yet seen"), "{}", made.context_words);
    let told = world.desk().explain(of.as_str(), None, None).await.unwrap();
    let words: Vec<&str> = told.edits.iter().map(|edit| edit.words.as_str()).collect();
    assert!(words.iter().any(|words| words.contains("everybody has seen")), "{words:?}");
}
