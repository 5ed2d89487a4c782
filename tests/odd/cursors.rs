//! Row 1: no change is lost at the boundary of a cursor. Polls alone bring it about: the
//! collection is listed in full once, at the start, and never again.

use crate::api::{Api, Moods, START};
use crate::slips::{Slip, slipped};
use crate::world::World;
use crate::{SCHEDULES, for_each_seed};

/// As far as polls look back, in seconds: no change is shown later.
const LOOKBACK: i64 = 10;

fn yaml(page: usize) -> String {
    let lookback = slipped(Slip::NoLookback, LOOKBACK, 0);
    format!(
        "sync: Odd
sides:
  clerk: {{ connector: http, url: \"URL0\" }}
  vault: {{ connector: http, url: \"URL1\" }}
collections:
  permit:
    identity: [no]
    sides:
      clerk:
        read:
          path: /items
          record_selector: {{ field_path: [items] }}
          paginator: {{ type: offset, page_size: {page} }}
          incremental_sync:
            cursor_field: updated_at
            datetime_format: epoch_s
            start_time_option: {{ field_name: since }}
            lookback_window: {lookback}s
          poll_interval: 7s
        lookup: {{ path: /items, request_parameters: {{ no: \"{{{{ identity.no }}}}\" }}, \
         record_selector: {{ field_path: [items] }} }}
      vault:
        lookup: {{ path: /items, request_parameters: {{ no: \"{{{{ identity.no }}}}\" }}, \
         record_selector: {{ field_path: [items] }} }}
        create: {{ method: POST, path: /items }}
        update: {{ method: PATCH, path: \"/items/{{{{ id }}}}\" }}
    fields:
      no: {{ type: string, clerk: {{ path: no, direction: from_side }}, vault: no }}
      status: {{ type: string, clerk: {{ path: status, direction: from_side }}, \
       vault: {{ path: status, direction: to_side }} }}
"
    )
}

/// A schedule drawn from a seed: what happens, when, and what goes wrong meanwhile.
pub(crate) async fn schedule(seed: u64) {
    let mut rng = fastrand::Rng::with_seed(seed);
    let share = |rng: &mut fastrand::Rng| if rng.bool() { rng.f64() * 0.4 } else { 0.0 };
    let moods = Moods {
        broken: share(&mut rng) / 2.0,
        shuffled: share(&mut rng),
        twice: share(&mut rng),
        again: share(&mut rng) / 2.0,
        late_max: if rng.bool() { LOOKBACK - 1 } else { 0 },
        exclusive: rng.bool(),
        skew: [0, 0, 3_600, -3_600][rng.usize(..4)],
        ..Moods::default()
    };
    let clerk = Api::start(seed, moods).await;
    let vault = Api::start(seed, Moods { keys: true, ..Moods::default() }).await;
    let records = rng.u32(1..=12);
    let mut world = World::new(seed, &yaml(rng.usize(2..=6)), vec![clerk, vault]);
    world.latency_max = [20_000, 1_500_000][rng.usize(..2)];
    let (mut at, changes) = (START, rng.usize(5..=25));
    for n in 0..changes {
        // Many in one second, then nothing for a while.
        at += if rng.u8(..3) > 0 { rng.i64(0..400_000) } else { rng.i64(0..20_000_000) };
        let (no, status) = (format!("P-{}", rng.u32(..records)), format!("v{n}"));
        world.at(at, move |apis| {
            apis[0].state().edit(&no, "status", &status);
        });
    }
    world.until(at + 20_000_000).await;
    // Whatever goes wrong comes to its end; the polls go on.
    for api in &world.apis {
        let mut state = api.state();
        state.moods = Moods {
            exclusive: state.moods.exclusive,
            skew: state.moods.skew,
            keys: true,
            ..Moods::default()
        };
    }
    world.work(200).await;
    assert_eq!(world.status().pending, 0, "seed {seed}");
    assert_eq!(world.apis[0].items(), world.apis[1].items(), "seed {seed}");
}

/// Equal times, changes that become visible late, pages in no order, repeated and cut off,
/// lengths that are wrong, and clocks an hour off.
#[test]
fn row_1_final_sets_are_equal_after_every_schedule() {
    for_each_seed(SCHEDULES, schedule);
}
