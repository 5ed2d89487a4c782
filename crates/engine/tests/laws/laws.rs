//! The laws by name, the worlds they are tried on, and where they were broken.

use crate::world::{RECORDS, World};
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::OnceLock;

/// Worlds of the ordinary run: each has [`RECORDS`] histories.
const WORLDS: u64 = 500;

/// Seeds of worlds in which some law was broken once; they come first.
const FAILED_ONCE: &[u64] = &[
    163, 200, 442, 545, 614, 1011, 1154, 1214, 1609, 1624, 2266, 167, 282, 349, 747, 1161, 1729, 2149, 2314,
];

/// Those that were broken when no side was slow to show what is new: none is there.
pub const NONE_SLOW: &[u64] = &[163, 200, 442, 545, 614, 1011, 1154, 1214, 1609, 1624, 2266];

/// Those that were broken when the reads of no side lagged: none does.
pub const NONE_LAGS: &[u64] = &[163, 200, 442, 545, 614, 1011, 1154, 1214, 1609, 1624, 2266, 167, 282, 349];

/// The laws, and a test for each.
macro_rules! laws {
    ($($name:ident),* $(,)?) => {
        /// A law of the whole loop.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[allow(non_camel_case_types, reason = "the names are those of the specification")]
        pub enum Law {
            $($name,)*
        }

        $(#[test]
        fn $name() {
            assert_eq!(broken().get(&Law::$name), None, "see it with LAWS_SEED=…");
        })*
    };
}

laws! {
    own_past_always,
    one_sibling_per_actor,
    contexts_never_go_back,
    group_never_splits,
    group_partial_side_keeps_rest,
    settled_survives_policy_change,
    n_sides_converge,
    projection_settles,
    nobody_reads_on,
    quiet_means_silent_3_cycles,
    never_claims_more_than_the_screen_showed,
    claims_less_only_where_uncertain,
    stale_read_never_wins,
    swallows_no_automation_edit,
    not_kept_is_pending,
    in_step_acknowledges_only_when_confirmed,
}

/// What was broken in one world.
pub fn run(seed: u64) -> BTreeMap<Law, String> {
    let mut world = World::new(seed, false);
    let ran = catch_unwind(AssertUnwindSafe(|| world.run()));
    let mut broken = world.broken.take();
    if ran.is_err() {
        broken.insert(Law::projection_settles, format!("seed {seed} panics"));
    }
    broken
}

/// What was broken anywhere: all worlds, run once for all laws, on two threads.
fn broken() -> &'static BTreeMap<Law, String> {
    static ALL: OnceLock<BTreeMap<Law, String>> = OnceLock::new();
    ALL.get_or_init(|| {
        let began = std::time::Instant::now();
        let worlds = std::env::var("LAWS_WORLDS").ok().and_then(|n| n.parse().ok()).unwrap_or(WORLDS);
        let seeds: Vec<u64> = FAILED_ONCE.iter().copied().chain(0..worlds).collect();
        let half = |odd: usize| {
            let mine = seeds.iter().skip(odd).step_by(2);
            mine.flat_map(|seed| run(*seed)).collect::<Vec<_>>()
        };
        let found = std::thread::scope(|scope| {
            let other = scope.spawn(|| half(1));
            let mut found = half(0);
            found.extend(other.join().unwrap());
            found
        });
        let mut all = BTreeMap::new();
        let mut count: BTreeMap<Law, u64> = BTreeMap::new();
        for (law, why) in found {
            if std::env::var_os("LAWS_ALL").is_some() {
                eprintln!("{law:?}: {why}");
            }
            *count.entry(law).or_default() += 1;
            all.entry(law).or_insert(why);
        }
        eprintln!(
            "{} histories in {:?}; broken in so many worlds: {count:?}",
            seeds.len() * RECORDS,
            began.elapsed()
        );
        all
    })
}
