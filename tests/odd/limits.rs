//! Rows 21 and 22: a side that says when to come back is left alone until then, however its
//! clock goes; and no request leaves that its budget has no room for.

use crate::api::{Moods, Wait};
use crate::pair::{Ways, pair};
use crate::slips::{Slip, slipped};
use crate::{SCHEDULES, for_each_seed};
use hms_sync_engine::Command;
use hms_sync_model::{CollectionName, Released, SideName};
use std::time::Duration;

/// How long a storm of 429 lasts, in seconds.
const STORM: i64 = 40;

/// `Retry-After` in seconds, as a date of a clock that is right or an hour off, or not at all.
pub(crate) async fn storm(seed: u64) {
    let wait = [Wait::Seconds, Wait::Date, Wait::Nothing][usize::try_from(seed % 3).unwrap()];
    let skew = [0, 3_600, -3_600][usize::try_from(seed / 3 % 3).unwrap()];
    let mut world = pair(seed, Ways::default(), [Moods::default(), Moods { skew, ..Moods::default() }]).await;
    world.work(20).await;
    let (began, ends) = (world.now, world.now + STORM * 1_000_000);
    world.apis[1].state().storm = Some((ends, wait));
    for n in 0..10 {
        world.apis[0].state().edit(&format!("P-{n}"), "status", "new");
    }
    world.work(STORM + 100).await;
    let state = world.apis[1].state();
    // What was under way when the first was refused is of no account.
    let first = state.limited.first().copied().unwrap_or(i64::MAX);
    let asked = state.limited.iter().filter(|at| **at > first + 2_000_000).count();
    let back = state.served.iter().find(|at| **at > began).expect("it is asked again") - ends;
    let (most, late) = if wait == Wait::Nothing { (80, 61_000_000) } else { (1, 4_000_000) };
    assert!(asked <= most, "seed {seed}, {wait:?}, {skew} s: asked {asked} times in the storm");
    assert!(back <= late, "seed {seed}, {wait:?}, {skew} s: came back {back} µs after it");
    drop(state);
    assert_eq!(world.apis[0].items(), world.apis[1].items(), "seed {seed}");
}

#[test]
fn row_21_a_side_is_left_alone_until_it_wants_us_back() {
    for_each_seed(SCHEDULES, storm);
}

/// So many requests in any such time, by the side's own count.
const LIMIT: usize = 10;
const WINDOW: Duration = Duration::from_millis(20);

/// A first listing, live writes, what is replayed and another listing of everything, in an
/// order drawn from the seed: all of them share one budget. This runs by the clock on the
/// wall, as budgets do.
pub(crate) async fn budget(seed: u64) {
    let budget =
        ", api_budget: { policies: [ { type: moving_window, rates: [ { limit: 10, interval: 20ms } ] } ] }";
    let ways = Ways { side: slipped(Slip::NoBudget, budget, ""), ..Ways::default() };
    let mut world = pair(seed, ways, [Moods::default(), Moods::default()]).await;
    let mut rng = fastrand::Rng::with_seed(seed);
    for n in 0..rng.u32(8..16) {
        world.apis[0].state().edit(&format!("P-{n}"), "status", "new");
    }
    world.work(20).await;
    let refused = rng.usize(2..=7);
    world.apis[1].state().moods.unprocessable = true;
    for n in 0..refused {
        world.apis[0].state().edit(&format!("P-{n}"), "status", "refused");
    }
    world.work(20).await;
    assert_eq!(world.status().parked, refused, "seed {seed}");
    world.apis[1].state().moods.unprocessable = false;
    for parked in world.parked() {
        world.ask(Command::Release { record: parked, lane: None, action: Released::Replay });
    }
    for side in ["clerk", "marshal"] {
        let (side, collection) =
            (SideName::try_new(side).unwrap(), CollectionName::try_new("permit").unwrap());
        world.ask(Command::Poll { side, collection, full: true });
        for n in 0..rng.u32(1..4) {
            world.apis[0].state().edit(&format!("P-{}", rng.u32(..8)), "status", &format!("v{n}"));
        }
    }
    world.work(30).await;
    assert_eq!(world.apis[0].items(), world.apis[1].items(), "seed {seed}");
    for api in &world.apis {
        let served = api.state().served_at.clone();
        assert!(served.len() > 2 * LIMIT, "seed {seed}: {} requests show nothing", served.len());
        for window in served.windows(LIMIT + 1) {
            let span = window[LIMIT] - window[0];
            assert!(span >= WINDOW, "seed {seed}: {} requests within {span:?}", LIMIT + 1);
        }
    }
}

#[test]
fn row_22_live_replay_and_backfill_share_one_budget() {
    for_each_seed(SCHEDULES, budget);
}
