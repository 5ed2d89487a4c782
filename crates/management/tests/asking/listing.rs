//! The events of the whole log that fit: those that a plain filter over all of them finds.

use crate::world::{FIELDS, SIDES, World, field, written};
use hms_sync_management::{Desk, LogQuery};
use hms_sync_model::{Body, Event, Kind, Time};

/// Whether an event fits, by the plainest reading of the question.
fn fits(query: &LogQuery, from: Option<Time>, to: Option<Time>, event: &Event) -> bool {
    let stream = event.record.as_str().strip_prefix("@sync/").and_then(|rest| rest.split_once('/'));
    let (side, collection) = match stream {
        Some((side, collection)) => (Some(side.to_owned()), collection),
        None => (hms_sync_engine::side_of(&event.body).map(ToString::to_string), event.record.collection()),
    };
    let named = |name: &String| match &event.body {
        Body::Edited { edit, .. } => edit.changes.contains_key(&field(name)),
        Body::Intended { fields, .. } => fields.contains_key(&field(name)),
        Body::Applied { results, .. } => results.contains_key(&field(name)),
        Body::Parked { parked, .. } => parked.fields.contains(&field(name)),
        _ => false,
    };
    let kinds = query.kind.as_ref().map(|kinds| kinds.split(',').map(str::to_owned).collect::<Vec<_>>());
    query.side.as_ref().is_none_or(|wanted| side.as_ref() == Some(wanted))
        && query.collection.as_ref().is_none_or(|wanted| collection == wanted)
        && query.record.as_ref().is_none_or(|wanted| event.record.as_str() == wanted)
        && kinds.is_none_or(|kinds| kinds.iter().any(|kind| kind == event.body.kind().as_str()))
        && query.field.as_ref().is_none_or(named)
        && from.is_none_or(|from| event.at >= from)
        && to.is_none_or(|to| event.at <= to)
}

/// All pages of an answer, by number, and how many events were read for them.
async fn all(desk: &Desk, query: &LogQuery) -> (Vec<u64>, u64) {
    let (mut found, mut looked_at, mut query) = (Vec::new(), 0, query.clone());
    for page in 0.. {
        assert!(page < 10_000, "no end: {query:?}");
        let some = desk.log_list(&query).await.unwrap();
        assert!(some.events.len() <= query.limit.unwrap_or(1_000));
        found.extend(some.events.iter().map(|event| event.seq));
        looked_at += some.looked_at;
        let Some(next) = some.next else { break };
        query.after = Some(next);
    }
    (found, looked_at)
}

fn random_query(world: &World, rng: &mut fastrand::Rng) -> (LogQuery, Option<Time>, Option<Time>) {
    let mut some = |share: u8| rng.u8(0..10) < share;
    let [side, record, collection, kind, from, to, field] = [3, 3, 3, 4, 4, 4, 2].map(&mut some);
    let reverse = rng.bool();
    let mut time = || Time(world.events[rng.usize(0..world.events.len())].1.at.0 + rng.i64(-1..=1));
    let (from, to) = (from.then(&mut time), to.then(&mut time));
    let records = world.records();
    let kinds: Vec<&str> =
        (0..rng.usize(1..4)).map(|_| Kind::ALL[rng.usize(0..Kind::ALL.len())].as_str()).collect();
    let query = LogQuery {
        side: side.then(|| SIDES[rng.usize(0..2)].to_owned()),
        record: record.then(|| records[rng.usize(0..records.len())].to_string()),
        collection: collection.then(|| ["permit", "site"][rng.usize(0..2)].to_owned()),
        kind: kind.then(|| kinds.join(",")),
        from: from.map(written),
        to: to.map(written),
        field: field.then(|| FIELDS[rng.usize(0..3)].to_owned()),
        limit: Some([1, 7, 64, 1_000][rng.usize(0..4)]),
        after: None,
        reverse,
    };
    (query, from, to)
}

/// Asks a log forty questions. What is found across pages is what fits.
pub async fn check_questions(world: &World, seed: u64) {
    let (desk, mut rng) = (world.desk(), fastrand::Rng::with_seed(seed));
    let mut hits = 0;
    for _ in 0..40 {
        let (query, from, to) = random_query(world, &mut rng);
        let mut expect: Vec<u64> = world
            .events
            .iter()
            .filter(|(_, event)| fits(&query, from, to, event))
            .map(|(_, event)| event.seq)
            .collect();
        if query.reverse {
            expect.reverse();
        }
        // One at a time is slow where much fits.
        let limit = if expect.len() > 60 { Some(200) } else { query.limit };
        let query = LogQuery { limit, ..query };
        let (found, looked_at) = all(&desk, &query).await;
        assert_eq!(found, expect, "seed {seed}: {query:?}");
        // Each is looked at once, whatever the pages.
        assert!(looked_at <= world.events.len() as u64, "{looked_at}, seed {seed}: {query:?}");
        hits += expect.len();
    }
    assert!(hits > 300, "{hits}");
}

#[tokio::test]
async fn what_is_listed_is_what_fits_across_pages() {
    for seed in 0..2 {
        check_questions(&World::random(seed, 2_700), seed).await;
    }
}

#[tokio::test]
async fn each_event_is_listed_with_the_words_of_its_history() {
    let world = World::random(5, 400);
    let desk = world.desk();
    for reverse in [false, true] {
        let page = desk.log_list(&LogQuery { reverse, ..LogQuery::default() }).await.unwrap();
        assert_eq!(page.events.len(), 400);
        for event in page.events {
            // Of a long history the list hears the last events only.
            if event.version > 60 {
                continue;
            }
            let history = desk.history(&event.record, event.version - 1, 1).await.unwrap();
            assert_eq!(event.words, history.events[0].words);
            assert_eq!(
                (event.id, event.prev),
                (history.events[0].id.clone(), history.events[0].prev.clone())
            );
        }
    }
}

#[tokio::test]
async fn mistakes_in_a_question_are_told() {
    let desk = World::random(1, 10).desk();
    let check = async |query: LogQuery, words: &str| {
        let why = desk.log_list(&query).await.unwrap_err();
        let told = format!("{why} {}", why.hint());
        assert!(told.contains(words), "{told}");
    };
    let query = LogQuery::default;
    check(LogQuery { kind: Some("edited,edit".into()), ..query() }, "handler_failed").await;
    check(LogQuery { side: Some("no such/side".into()), ..query() }, "status FILE").await;
    check(LogQuery { from: Some("early".into()), ..query() }, "2 h ago").await;
    check(LogQuery { record: Some("permit/none".into()), ..query() }, "permit/none").await;
    check(LogQuery { field: Some(String::new()), ..query() }, "field").await;
}
