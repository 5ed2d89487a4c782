//! What answers cost, counted in events read: a question about a record costs the same
//! however much else the log holds, and blocks that hold nothing wanted are passed over.

use crate::world::{BEGIN, World, record, side, written};
use hms_sync_management::{Desk, LogQuery};
use hms_sync_model::{Body, Clock, Lane, ParkReason, Parked, Time};

fn confirmed(name: &str) -> Body {
    Body::Confirmed { side: side(name), clock: Clock::new(), tag: None, but: Vec::new() }
}

/// One record of forty events, each followed by `others` of other records.
fn log_with(others: usize) -> World {
    let mut world = World::new();
    let mut next = 0;
    for _ in 0..40 {
        world.wait(1_000_000);
        world.add(&record("permit/mine"), confirmed("clerk"));
        for _ in 0..others {
            next += 1;
            world.add(&record(&format!("permit/other-{}", next % 997)), confirmed("marshal"));
        }
    }
    world
}

/// Events read for one question.
async fn cost<T>(world: &World, question: impl Future<Output = T>) -> u64 {
    let before = world.log.reads();
    question.await;
    world.log.reads() - before
}

async fn costs(world: &World, desk: &Desk) -> Vec<u64> {
    let at = written(Time(BEGIN + 20_500_000));
    let of_record = LogQuery { record: Some("permit/mine".into()), ..LogQuery::default() };
    vec![
        cost(world, async { desk.history("permit/mine", 0, 100).await.unwrap().events.len() }).await,
        cost(world, async { desk.explain("permit/mine", None, None).await.unwrap() }).await,
        cost(world, async { desk.explain("permit/mine", None, Some(&at)).await.unwrap() }).await,
        cost(world, async { assert_eq!(desk.as_of("permit/mine", &at).await.unwrap().version, 20) }).await,
        cost(world, async { desk.diff("permit/mine", "v3", &at).await.unwrap() }).await,
        cost(world, async { assert_eq!(desk.log_list(&of_record).await.unwrap().events.len(), 40) }).await,
    ]
}

#[tokio::test]
async fn a_question_about_a_record_costs_the_same_however_long_the_log_is() {
    let (short, long) = (log_with(5), log_with(200));
    let found = costs(&short, &short.desk()).await;
    assert_eq!(found, costs(&long, &long.desk()).await);
    assert!(found.iter().all(|reads| *reads <= 200), "{found:?}");
}

#[tokio::test]
async fn a_time_in_the_log_is_found_by_halving() {
    let world = log_with(200);
    let desk = world.desk();
    let at = Some(written(Time(BEGIN + 20_000_000)));
    let query = LogQuery { from: at.clone(), to: at, limit: Some(1), ..LogQuery::default() };
    let reads = cost(&world, async {
        let page = desk.log_list(&query).await.unwrap();
        assert_eq!((page.events[0].seq, page.events[0].record.as_str()), (19 * 201 + 1, "permit/mine"));
    });
    let reads = reads.await;
    // Thirteen looks for each end among 8,040; no more than a stretch of events; and the forty
    // of the record, for what people call it.
    assert!(reads <= 13 * 2 + 128 + 40, "{reads}");
}

#[tokio::test]
async fn blocks_that_hold_nothing_wanted_are_passed_over() {
    let mut world = World::new();
    for n in 0..6_000 {
        let of = record(&format!("permit/r{}", n % 90));
        if n == 3_333 {
            let (reason, clock) = (ParkReason::Refused, Clock::new());
            let words = "no".to_owned();
            let parked = Parked { reason, words, attempts: 1, fields: Vec::new(), clock, given_up: false };
            world.add(&of, Body::Parked { lane: Lane::Side(side("marshal")), parked });
        } else {
            world.add(&of, confirmed("clerk"));
        }
    }
    let desk = world.desk();
    let open = 6_000 - 5 * 1_024;
    for reverse in [false, true] {
        for query in [
            LogQuery { kind: Some("parked".into()), reverse, ..LogQuery::default() },
            LogQuery { side: Some("marshal".into()), reverse, ..LogQuery::default() },
        ] {
            let page = desk.log_list(&query).await.unwrap();
            assert_eq!(page.events.iter().map(|event| event.seq).collect::<Vec<_>>(), [3_334]);
            assert_eq!(page.next, None);
            // The block that holds it, and the last one, which is not whole yet.
            assert_eq!(page.looked_at, 1_024 + open, "{query:?}");
        }
        let query = LogQuery { collection: Some("site".into()), reverse, ..LogQuery::default() };
        assert_eq!(desk.log_list(&query).await.unwrap().looked_at, open);
    }
}

/// Where most does not fit and no block can be passed over, an answer still ends.
#[tokio::test]
async fn an_answer_reads_so_many_events_and_says_where_to_go_on() {
    let mut world = World::new();
    for n in 0..20_000 {
        world.add(&record(&format!("permit/r{}", n % 90)), confirmed("clerk"));
    }
    let desk = world.desk();
    let query = LogQuery { field: Some("note".into()), ..LogQuery::default() };
    let first = desk.log_list(&query).await.unwrap();
    assert_eq!((first.events.len(), first.looked_at, first.next), (0, 16_384, Some(16_384)));
    let second = desk.log_list(&LogQuery { after: first.next, ..query }).await.unwrap();
    assert_eq!((second.events.len(), second.looked_at, second.next), (0, 20_000 - 16_384, None));
}
