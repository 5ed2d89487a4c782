//! Rows 9, 12 and 19: answers that are lost, listings that are not whole, and records that
//! somebody else has changed meanwhile.

use crate::api::{Moods, START};
use crate::pair::{Ways, calm, pair};
use crate::{SCHEDULES, for_each_seed};
use std::collections::BTreeMap;

const KEYS: &str = "        idempotency_key: { header: Idempotency-Key }\n";
const IF_MATCH: &str = "        precondition: { header: If-Match }\n";

/// The target carries a write out and drops the connection; or drops it before. Whether it
/// honours keys or can only be asked, and whether its answers show the record or its id alone:
/// nothing is made twice, and nothing is left out.
pub(crate) async fn lost_answers(seed: u64) {
    let keys = seed.is_multiple_of(2);
    let ways = Ways { part: if keys { KEYS } else { "" }, ..Ways::default() };
    let bad = Moods { lost: 0.3, refused: 0.2, brief: 0.3, keys, ..Moods::default() };
    let mut world = pair(seed, ways, [Moods::default(), bad]).await;
    let mut rng = fastrand::Rng::with_seed(seed);
    let mut at = START;
    for n in 0..20 {
        at += rng.i64(0..3_000_000);
        let (no, status) = (format!("P-{}", rng.u8(..8)), format!("v{n}"));
        world.at(at, move |apis| {
            apis[0].state().edit(&no, "status", &status);
        });
    }
    world.until(at + 1_000_000).await;
    world.work(60).await;
    calm(&world);
    world.work(200).await;
    let mut made: BTreeMap<String, usize> = BTreeMap::new();
    for done in world.apis[1].state().done.iter().filter(|done| done.method == "POST") {
        *made.entry(done.no.clone()).or_default() += 1;
    }
    assert!(made.values().all(|times| *times == 1), "seed {seed}: {made:?}");
    assert_eq!(world.apis[0].items(), world.apis[1].items(), "seed {seed}");
    assert_eq!(world.status().parked, 0, "seed {seed}");
}

#[test]
fn row_9_a_lost_answer_doubles_nothing() {
    for_each_seed(SCHEDULES, lost_answers);
}

/// Listings that stop in the middle as if that were their end, break off, or repeat
/// themselves: what they do not show is there all the same. What was deleted is found, also
/// where its id is given to another record. Where single records cannot be asked for, no
/// listing looks whole that is not: nobody could tell.
pub(crate) async fn broken_listings(seed: u64) {
    let asks = !seed.is_multiple_of(3);
    let short = if asks { 0.3 } else { 0.0 };
    let bad =
        Moods { short, broken: 0.2, again: 0.1, ids_reused: seed.is_multiple_of(2), ..Moods::default() };
    let plain = Ways::default();
    let ways = if asks { plain } else { Ways { fetch: "", ..plain } };
    let mut world = pair(seed, ways, [bad, Moods::default()]).await;
    for n in 0..12 {
        world.at(START, move |apis| {
            apis[0].state().edit(&format!("P-{n}"), "status", "new");
        });
    }
    world.work(240).await;
    let deleted = |world: &crate::world::World| {
        world.apis.iter().flat_map(|api| api.state().done.clone()).filter(|d| d.method == "DELETE").count()
    };
    assert_eq!(deleted(&world), 0, "seed {seed}");
    calm(&world);
    world.work(150).await;
    assert_eq!((world.apis[0].len(), world.apis[1].len()), (12, 12), "seed {seed}");
    world.apis[0].state().delete("P-3");
    world.work(30).await;
    world.apis[0].state().edit("P-new", "status", "new");
    world.work(150).await;
    assert_eq!(world.apis[0].items(), world.apis[1].items(), "seed {seed}");
    assert!(world.apis[1].items().contains_key("P-new"), "seed {seed}");
}

#[test]
fn row_12_what_a_listing_does_not_show_is_not_deleted_for_that() {
    for_each_seed(SCHEDULES, broken_listings);
}

/// Both sides change the same records at the same time, each another field, and refuse what
/// was written over a version that is not theirs: it is read again and merged again, and
/// both edits survive, also where a write is of the whole record. Answers how many writes were
/// refused.
pub(crate) async fn refused_versions(seed: u64) -> usize {
    let body = if seed.is_multiple_of(2) { "changed" } else { "whole" };
    let ways = Ways { part: IF_MATCH, body, ..Ways::default() };
    let moods = || Moods { if_match: true, ..Moods::default() };
    let mut world = pair(seed, ways, [moods(), moods()]).await;
    world.latency_max = 800_000;
    for n in 0..3 {
        world.at(START, move |apis| {
            apis[0].state().edit(&format!("P-{n}"), "status", "new");
        });
    }
    world.work(30).await;
    let mut rng = fastrand::Rng::with_seed(seed);
    let (mut at, mut wanted) = (world.now, BTreeMap::new());
    for n in 0..30 {
        at += rng.i64(0..2_500_000);
        let (side, no) = (rng.usize(..2), format!("P-{}", rng.u8(..3)));
        let (field, value) = (["status", "note"][side], format!("v{n}"));
        wanted.insert((no.clone(), side), value.clone());
        world.at(at, move |apis| {
            apis[side].state().edit(&no, field, &value);
        });
    }
    world.until(at).await;
    world.work(150).await;
    let both = world.apis[0].items();
    assert_eq!(both, world.apis[1].items(), "seed {seed}");
    for ((no, field), value) in &wanted {
        assert_eq!(both[no][*field], *value, "seed {seed}: {no}");
    }
    world.apis.iter().map(|api| api.state().refused).sum()
}

#[test]
fn row_19_a_412_is_read_and_merged_again() {
    let refused = std::sync::atomic::AtomicUsize::new(0);
    for_each_seed(SCHEDULES, |seed| {
        let refused = &refused;
        async move {
            let met = refused_versions(seed).await;
            refused.fetch_add(met, std::sync::atomic::Ordering::Relaxed);
        }
    });
    assert!(refused.into_inner() > 20, "hardly any write was refused: this shows nothing");
}
