//! Conflicts: that each is listed for as long as it is one and found again after, that a
//! person's word about one stands everywhere, and that no word overrules another unseen.

use crate::world::{By, World, field, record, rules, side};
use hms_sync_engine::{ConflictItem, Standing};
use hms_sync_management::{ConflictQuery, Decide, Desk, DeskError, Pick, Restore};
use hms_sync_model::{
    Actor, Author, Body, Change, Clock, Dot, Edit, FieldResult, NativeId, Operation, RecordId, Source, Stamp,
    Time, Value, VecMap,
};
use hms_sync_resolver::Presence;
use serde_json::json;

fn by<'a>(side: &'a str, n: u64, seen: &'a [(&'a str, u64)]) -> By<'a> {
    By { side, n, seen, source: Source::Page, raw: None }
}

/// An edit by a side that deletes the record, or one of the engine's that settles a field.
fn edit(world: &World, of: &RecordId, author: Author, field_name: Option<&str>, seen_all: bool) -> Body {
    let state = world.fold(of, |_| true);
    let actor = Actor { author, epoch: 0 };
    let n = state.merged.clock.count(&actor) + 1;
    let mut context = if seen_all { state.merged.clock.clone() } else { Clock::new() };
    context.see(&actor, n - 1);
    let id = actor.as_side().map(|side| NativeId::try_new(format!("{side}-7")).unwrap());
    let changes = field_name.map(|name| {
        let value = state.merged.value(&rules(), &field(name));
        (field(name), Change { before: value.clone(), after: value })
    });
    let edit = Edit {
        generation: 0,
        dot: Dot { actor, n },
        context,
        but: VecMap::new(),
        changes: changes.into_iter().collect(),
        deletes: field_name.is_none(),
        stamp: Stamp::at(Time(0)),
        certain: true,
    };
    let source = if id.is_some() { Source::Page } else { Source::Engine };
    Body::Edited { edit, id, tag: None, source, raw: None }
}

/// Both have permit 1 and each changed its status unknown to the other; and so permit 2.
fn met() -> (World, RecordId) {
    let mut world = World::new();
    for id in ["permit/1", "permit/2"] {
        let of = record(id);
        let first = [("no", Value::Absent, id.into()), ("status", Value::Absent, "pending".into())];
        world.edit(&of, &by("clerk", 1, &[]), &first);
        world.edit(&of, &by("marshal", 1, &[("clerk", 1)]), &first);
        world.wait(1_000_000);
        let clerks = [("status", "pending".into(), "revoked".into()), ("note", Value::Absent, "x".into())];
        world.edit(&of, &by("clerk", 2, &[("marshal", 1)]), &clerks);
        world.wait(1_000_000);
        world.edit(
            &of,
            &by("marshal", 2, &[("clerk", 1)]),
            &[("status", "pending".into(), "approved".into())],
        );
    }
    (world, record("permit/1"))
}

async fn list(desk: &Desk, query: ConflictQuery) -> Vec<ConflictItem> {
    let (mut query, mut all) = (query, Vec::new());
    loop {
        let page = desk.conflicts(&query).await.unwrap();
        all.extend(page.conflicts);
        query.after = page.next;
        if query.after.is_none() {
            return all;
        }
    }
}

fn all() -> ConflictQuery {
    ConflictQuery { all: true, ..ConflictQuery::default() }
}

fn decide(of: &RecordId, name: Option<&str>, pick: Pick, version: u64, by: &str) -> Decide {
    let (record, field) = (of.to_string(), name.map(str::to_owned));
    Decide { record, field, pick, version, by: by.to_owned(), reason: "file 7".to_owned() }
}

fn restore(of: &RecordId, name: Option<&str>, loser: usize, version: u64) -> Restore {
    let (record, field) = (of.to_string(), name.map(str::to_owned));
    Restore { record, field, loser, version, by: "ann".to_owned(), reason: "file 7".to_owned() }
}

/// What of a record is to be brought where.
async fn pending(desk: &Desk, of: &RecordId) -> Vec<(String, Vec<String>)> {
    let report = desk.record(of.as_str()).await.unwrap();
    report.sides.into_iter().map(|part| (part.side, part.pending)).collect()
}

async fn status_of(desk: &Desk, of: &RecordId) -> serde_json::Value {
    let report = desk.record(of.as_str()).await.unwrap();
    report.fields.iter().find(|field| field.field == "status").unwrap().value.clone()
}

#[tokio::test]
async fn a_conflict_is_listed_and_told_with_who_knew_what() {
    let (world, of) = met();
    let desk = world.desk();
    let listed = list(&desk, ConflictQuery::default()).await;
    assert_eq!(listed.len(), 2, "{listed:?}");
    let item = &listed[0];
    assert_eq!((item.record.as_str(), item.field.as_deref()), ("permit/1", Some("status")));
    assert_eq!((item.kind.as_str(), item.standing, item.version), ("edit_edit", Standing::Decided, 4));
    assert_eq!((&item.value, item.words.as_str()), (&json!("revoked"), "precedence"));
    assert_eq!((item.losers[0].by.as_str(), &item.losers[0].value), ("marshal", &json!("approved")));
    assert_eq!(item.sides, ["clerk", "marshal"]);
    let status = desk.status().await.unwrap().status;
    assert_eq!((status.conflicts.open, status.conflicts.decided), (0, 2));

    let told = desk.conflicts_of("permit/1", Some("status")).await.unwrap();
    assert_eq!((told.version, told.conflicts.len()), (4, 1));
    let story = &told.conflicts[0];
    assert_eq!(
        (&story.base, story.rule.as_str(), story.kind.as_str()),
        (&json!("pending"), "precedence", "edit_edit")
    );
    let [winner, loser] = story.values.as_slice() else { panic!("{story:?}") };
    assert_eq!((winner.loser, loser.loser), (None, Some(1)));
    assert_eq!((winner.story.by.as_str(), loser.story.by.as_str()), ("clerk", "marshal"));
    let knowing = loser.story.edit.as_ref().unwrap().context_words.clone();
    assert_eq!(knowing, "had not yet seen clerk's change of status at 22:13:21");
    assert!(desk.conflicts_of("permit/1", Some("colour")).await.is_err());

    let fits = async |query: ConflictQuery| list(&desk, query).await.len();
    let some = |text: &str| Some(text.to_owned());
    assert_eq!(fits(ConflictQuery { side: some("marshal"), ..all() }).await, 2);
    assert_eq!(fits(ConflictQuery { side: some("court"), ..all() }).await, 0);
    assert_eq!(fits(ConflictQuery { collection: some("site"), ..all() }).await, 0);
    assert_eq!(fits(ConflictQuery { field: some("note"), ..all() }).await, 0);
    assert_eq!(fits(ConflictQuery { kind: some("refused, edit_edit"), ..all() }).await, 2);
    assert_eq!(fits(ConflictQuery { kind: some("refused"), ..all() }).await, 0);
    assert_eq!(fits(ConflictQuery { open: true, ..ConflictQuery::default() }).await, 0);
    assert_eq!(fits(ConflictQuery { limit: Some(1), ..all() }).await, 2);
    let page = desk.conflicts(&ConflictQuery { limit: Some(1), ..all() }).await.unwrap();
    assert_eq!((page.conflicts.len(), page.next.as_deref()), (1, Some("permit/1")));
    let _ = of;
}

#[tokio::test]
async fn a_value_that_lost_long_ago_comes_back_on_every_side() {
    let (mut world, of) = met();
    let settled = edit(&world, &of, Author::Engine, Some("status"), true);
    world.add(&of, settled);
    let desk = world.desk();
    assert_eq!(list(&desk, ConflictQuery::default()).await.len(), 1);
    let listed = list(&desk, all()).await;
    let ended = listed.iter().find(|item| item.standing == Standing::Ended).unwrap();
    assert_eq!((ended.record.as_str(), ended.words.as_str()), ("permit/1", "it ended with v5"));
    let [lost] = ended.losers.as_slice() else { panic!("{ended:?}") };
    assert_eq!((lost.by.as_str(), &lost.value, lost.wins), ("marshal", &json!("approved"), false));
    assert_eq!(ended.sides, ["clerk", "marshal"]);
    let of_side =
        |side: &str| ConflictQuery { side: Some(side.to_owned()), field: ended.field.clone(), ..all() };
    // The one that has ended, and the same of permit 2, which goes on.
    assert_eq!(list(&desk, of_side("marshal")).await.len(), 2);
    assert_eq!(list(&desk, of_side("court")).await.len(), 0);
    let told = desk.conflicts_of("permit/1", None).await.unwrap();
    let story = &told.conflicts[0];
    assert_eq!(story.standing, Standing::Ended);
    assert_eq!(story.ended.as_ref().map(|noted| (noted.version, noted.kind.as_str())), Some((5, "settled")));
    assert_eq!(story.values[1].loser, Some(1));

    let wrong = desk.restore(&restore(&of, Some("status"), 2, 5)).await.unwrap_err();
    assert!(wrong.to_string().contains("has the number 2: 1 lost there"), "{wrong}");
    let chosen = desk.restore(&restore(&of, Some("status"), 1, 5)).await.unwrap();
    assert_eq!(chosen.version, 6);
    assert_eq!(chosen.words, "ann at hms-sync set status to approved (was revoked): file 7");
    assert_eq!(status_of(&desk, &of).await, "approved");
    // The marshal has it already; what the clerk made of it is put back.
    let pending = pending(&desk, &of).await;
    assert_eq!(pending[0], ("clerk".to_owned(), vec!["status".to_owned()]));
    // It is durable: whoever opens the log anew finds it.
    assert_eq!(status_of(&world.desk(), &of).await, "approved");
    let history = desk.history("permit/1", 5, 10).await.unwrap();
    assert_eq!(history.events[0].detail["source"], json!({ "by": "ann", "reason": "file 7" }));
}

#[tokio::test]
async fn the_second_of_two_operators_overrules_nothing_unseen() {
    let (world, of) = met();
    let desk = world.desk();
    let ann = decide(&of, Some("status"), Pick::Value(json!("denied")), 4, "ann");
    assert_eq!(desk.decide(&ann).await.unwrap().version, 5);
    let bob = decide(&of, Some("status"), Pick::Side("marshal".into()), 4, "bob");
    let stale = desk.decide(&bob).await.unwrap_err();
    let DeskError::Stale { seen, now, changed } = &stale else { panic!("{stale}") };
    assert_eq!((*seen, *now), (4, 5));
    assert_eq!(changed, &["v5 ann at hms-sync set status to denied (was revoked): file 7"]);
    assert!(stale.hint().contains("--version 5"), "{}", stale.hint());
    assert_eq!(status_of(&desk, &of).await, "denied");
    assert!(matches!(desk.restore(&restore(&of, Some("status"), 1, 4)).await, Err(DeskError::Stale { .. })));
    // Another field of it is another matter.
    let note = decide(&of, Some("note"), Pick::Value(json!("seen")), 4, "bob");
    assert_eq!(desk.decide(&note).await.unwrap().version, 6);
    // Whether the record is there concerns all of it.
    let gone = decide(&of, None, Pick::Delete, 4, "bob");
    assert!(matches!(desk.decide(&gone).await, Err(DeskError::Stale { .. })));
    let bob = Decide { version: 6, ..bob };
    assert_eq!(desk.decide(&bob).await.unwrap().version, 7);
}

#[tokio::test]
async fn what_changes_no_value_makes_no_decision_stale() {
    let (mut world, of) = met();
    let confirmed = Body::Confirmed { side: side("clerk"), clock: Clock::new(), tag: None, but: Vec::new() };
    world.add(&of, confirmed);
    let settled = edit(&world, &of, Author::Engine, Some("status"), true);
    world.add(&of, settled);
    let desk = world.desk();
    let winner = decide(&of, Some("status"), Pick::Winner, 4, "ann");
    assert_eq!(desk.decide(&winner).await.unwrap().version, 7);
    assert_eq!(status_of(&desk, &of).await, "revoked");
}

#[tokio::test]
async fn whether_a_record_is_there_is_decided_without_a_field() {
    let (mut world, of) = met();
    let deleted = edit(&world, &of, Author::Side(side("clerk")), None, false);
    world.add(&of, deleted);
    let desk = world.desk();
    let kinds: Vec<String> =
        list(&desk, ConflictQuery::default()).await.into_iter().map(|item| item.kind).collect();
    assert_eq!(kinds, ["edit_edit", "edit_delete", "edit_edit"]);
    let told = desk.conflicts_of("permit/1", None).await.unwrap();
    let story = told.conflicts.iter().find(|story| story.field.is_none()).unwrap();
    assert_eq!(story.words, "deleted and changed without knowing of each other: the change stands");
    // A field is not decided over a delete that was not seen.
    let status = decide(&of, Some("status"), Pick::Winner, 4, "ann");
    assert!(matches!(desk.decide(&status).await, Err(DeskError::Stale { .. })));
    let loser = story.values.iter().find_map(|value| value.loser).unwrap();
    desk.restore(&restore(&of, None, loser, 5)).await.unwrap();
    assert_eq!(desk.record("permit/1").await.unwrap().presence, "deleted");
    let field = decide(&of, Some("status"), Pick::Winner, 6, "ann");
    let refused = desk.decide(&field).await.unwrap_err();
    assert!(refused.to_string().contains("the record is deleted"), "{refused}");
    desk.decide(&decide(&of, None, Pick::Keep, 6, "ann")).await.unwrap();
    assert_eq!(desk.record("permit/1").await.unwrap().presence, "present");
}

#[tokio::test]
async fn a_decision_that_cannot_be_is_refused_in_words() {
    let (world, of) = met();
    let desk = world.desk();
    for (asked, words) in [
        (decide(&of, Some("colour"), Pick::Winner, 4, "ann"), "has no field"),
        (decide(&of, Some("status"), Pick::Keep, 4, "ann"), "not about a field"),
        (decide(&of, None, Pick::Value(json!("x")), 4, "ann"), "a record has no value"),
        (decide(&of, Some("status"), Pick::Side("court".into()), 4, "ann"), "no side of it"),
        (decide(&of, Some("status"), Pick::Winner, 4, " "), "name of who decides"),
        (Decide { reason: String::new(), ..decide(&of, Some("status"), Pick::Winner, 4, "ann") }, "a reason"),
        (decide(&record("permit/9"), None, Pick::Keep, 4, "ann"), "no record goes by"),
    ] {
        let why = desk.decide(&asked).await.unwrap_err();
        assert!(why.to_string().contains(words), "{asked:?}: {why}");
    }
    assert_eq!(desk.record("permit/1").await.unwrap().version, 4);
}

#[tokio::test]
async fn what_a_side_made_something_else_of_is_listed() {
    let (mut world, of) = met();
    let fields = [(field("note"), Value::from("a long note"))].into_iter().collect();
    let clock = world.fold(&of, |_| true).merged.clock;
    world.add(&of, Body::Intended { side: side("marshal"), operation: Operation::Update, fields, clock });
    let results = [(field("note"), FieldResult::Altered("a long".into()))].into_iter().collect();
    world.add(&of, Body::Applied { side: side("marshal"), of: 5, id: None, tag: None, results, whole: true });
    let altered = ConflictQuery { kind: Some("altered".into()), ..ConflictQuery::default() };
    let listed = list(&world.desk(), altered).await;
    assert_eq!(listed.len(), 1, "{listed:?}");
    assert_eq!(
        (listed[0].field.as_deref(), listed[0].words.as_str()),
        (Some("note"), "marshal made a long of it")
    );
}

/// What is listed is what the states of all records say, whatever is in memory, however it
/// is paged, and the numbers of `status` are those of the list; also after a start anew.
#[tokio::test]
async fn the_list_and_its_numbers_are_what_the_records_say() {
    for seed in 0..12 {
        let world = World::random(seed, 400);
        let expect: usize =
            world.records().iter().map(|of| world.fold(of, |_| true).merged.conflicts(&rules()).len()).sum();
        let past: usize = world
            .records()
            .iter()
            .map(|of| world.fold(of, |_| true).conflicts.values().filter(|met| met.ended.is_some()).count())
            .sum();
        for desk in [world.desk(), world.cramped_desk(), world.cramped_desk()] {
            let listed = list(&desk, ConflictQuery { limit: Some(1), ..all() }).await;
            let between = |standing: &[Standing]| {
                let edits = ["edit_edit", "create_create", "edit_delete", "order_uncertain"];
                let fits = |item: &&ConflictItem| {
                    standing.contains(&item.standing) && edits.contains(&item.kind.as_str())
                };
                listed.iter().filter(fits).count()
            };
            assert_eq!(between(&[Standing::Open, Standing::Decided]), expect, "seed {seed}");
            assert_eq!(between(&[Standing::Ended]), past, "seed {seed}");
            let altered = listed.iter().filter(|item| item.kind == "altered").count();
            let told = desk.status().await.unwrap().status.conflicts;
            assert_eq!(told.open + told.decided, (expect + altered) as u64, "seed {seed}");
        }
    }
}

/// Each time that values begin to differ is one conflict more, and the log says as many.
#[test]
fn conflicts_counted_are_conflicts_recorded() {
    let mut found = 0;
    for seed in 20..32 {
        let world = World::random(seed, 300);
        for of in world.records() {
            let (mut times, mut before) = (0, Vec::new());
            let last = world.fold(&of, |_| true);
            for version in 1..=last.version {
                let state = world.fold(&of, |event| event.version <= version);
                let now: Vec<_> = state.merged.conflicts(&rules()).into_iter().map(|c| c.field).collect();
                times += now.iter().filter(|field| !before.contains(*field)).count() as u64;
                before = now;
                assert_ne!(state.merged.presence(&rules()), Presence::Undecided);
            }
            assert_eq!(
                last.conflicts.values().map(|met| met.times).sum::<u64>(),
                times,
                "{of} of seed {seed}"
            );
            found += times;
        }
    }
    assert!(found > 100, "{found}");
}

/// What is listed of a conflict that has ended is what one finds who looks at the record, but for
/// what is personal: no list shows that.
#[tokio::test]
async fn what_lost_in_one_that_has_ended_is_listed_as_it_is_told() {
    let (mut ended, mut hidden) = (0, 0);
    for seed in 0..6 {
        for (world, personal) in [(World::random(seed, 300), false), (World::personal(seed, 300), true)] {
            let desk = world.desk();
            let mut over = list(&desk, all()).await;
            over.retain(|item| item.standing == Standing::Ended);
            for item in over {
                let told = desk.conflicts_of(&item.record, None).await.unwrap().conflicts;
                let same = told.iter().find(|of| of.standing == Standing::Ended && of.field == item.field);
                let Some(story) = same else { continue };
                let lost = story.values.iter().filter(|met| met.loser.is_some());
                let lost: Vec<_> = lost.map(|met| met.story.value.clone()).collect();
                let mut shown: Vec<_> = item.losers.into_iter().map(|lost| lost.value).collect();
                if personal && item.field.as_deref() == Some("note") {
                    assert!(shown.iter().all(|value| value == "(personal)"), "seed {seed}: {shown:?}");
                    assert_eq!(shown.len(), lost.len(), "seed {seed}");
                    hidden += shown.len();
                    shown.clone_from(&lost);
                }
                assert_eq!(shown, lost, "seed {seed}: {} of {}", story.kind, item.record);
                ended += lost.len();
            }
        }
    }
    assert!(ended > 20 && hidden > 3, "{ended} lost, {hidden} of them hidden");
}
