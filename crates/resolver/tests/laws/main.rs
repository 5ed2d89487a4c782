//! The laws of merging that concern the resolver alone, by the names of the
//! specification. Each is tried on histories drawn from seeds (`history`) and
//! where a value is at stake compared with a second implementation (`oracle`);
//! `mutants` and `faults` show that the laws notice what natural first drafts get wrong.
//! A seed that ever failed goes into [`FAILED_ONCE`] and is tried for ever.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::print_stderr, reason = "tests may panic")]

mod history;
mod oracle;
mod order;
mod values;
mod tiers;
mod later;
mod faults;
#[cfg(feature = "faults")]
mod mutants;

use fastrand::Rng;
use history::History;
use hms_sync_model::{Change, Clock, Dot, Edit, Stamp, Time, Value, VecMap};
use oracle::Oracle;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::OnceLock;

/// How many histories each law is tried on.
const HISTORIES: u64 = 10_000;

/// Seeds of histories on which some law failed once; they come first.
const FAILED_ONCE: &[u64] = &[967, 1667, 28, 144, 60];

/// A law: what must hold of every history.
struct Law {
    name: &'static str,
    /// Panics where it does not hold; answers in how many cases it had something to say.
    check: fn(&mut Rng, &History) -> u64,
    /// In how many cases it must have something to say, of all the histories together.
    cases_min: u64,
}

/// The laws, and a test for each.
macro_rules! laws {
    ($($module:ident::$name:ident in $cases_min:literal),* $(,)?) => {
        const LAWS: &[Law] =
            &[$(Law { name: stringify!($name), check: $module::$name, cases_min: $cases_min }),*];
        $(#[test]
        fn $name() {
            hold(stringify!($name));
        })*
    };
}

laws! {
    order::own_past_always in 10_000,
    order::apply_commutes in 10_000,
    order::apply_ref_equals_apply in 5_000,
    order::apply_batch_equals_apply_ref in 5_000,
    order::unread_leaves_nothing in 2_000,
    order::apply_idempotent in 10_000,
    order::join_is_lattice in 10_000,
    order::join_equals_apply in 10_000,
    order::one_sibling_per_actor in 10_000,
    order::contexts_never_go_back in 10_000,
    order::epoch_isolates in 3_000,
    order::generation_isolated in 10_000,
    order::malformed_never_panics in 10_000,
    order::encoding_keeps_everything in 10_000,
    values::oracle_agrees in 10_000,
    values::chain_total_deterministic in 10_000,
    values::filter_nonempty_subset in 10_000,
    values::later_wins_any_clock in 10_000,
    values::agreeing_edits_are_no_conflict in 10_000,
    values::set_add_survives_reordering in 10_000,
    values::set_remove_only_seen in 10_000,
    values::element_keeps_what_each_changed in 1_000,
    values::element_conflicts_are_listed in 1_000,
    values::counter_sums in 10_000,
    values::group_never_splits in 10_000,
    values::delete_edit_per_policy in 1_000,
    tiers::sticky_order_invisible in 1_000,
    tiers::sticky_left_only_by_an_operator in 500,
    tiers::owner_order_invisible in 4_000,
    tiers::owner_has_the_last_word in 10_000,
    later::counter_survives_partition in 5_000,
    later::group_partial_side_keeps_rest in 1_000,
    later::settle_changes_no_value in 10_000,
    later::settled_survives_policy_change in 10_000,
    later::refold_equals_live_after_policy_change in 10_000,
    later::join_records_redots in 10_000,
    later::closed_epochs_change_no_answer in 1_000,
    later::stale_choice_is_refused in 10_000,
}

/// Every history, with its seed; drawn once for all laws.
fn histories() -> &'static [(u64, History)] {
    static ALL: OnceLock<Vec<(u64, History)>> = OnceLock::new();
    ALL.get_or_init(|| {
        let seeds = FAILED_ONCE.iter().copied().chain(0..HISTORIES);
        seeds.map(|seed| (seed, History::new(&mut Rng::with_seed(seed)))).collect()
    })
}

/// Tries a law on one history; nothing if it does not hold there.
fn try_on(law: &Law, seed: u64, history: &History) -> Option<u64> {
    let mut rng = Rng::with_seed(!seed);
    catch_unwind(AssertUnwindSafe(|| (law.check)(&mut rng, history))).ok()
}

/// Tries a law on every history.
fn hold(name: &str) {
    let law = LAWS.iter().find(|law| law.name == name).unwrap();
    let mut cases = 0;
    for (seed, history) in histories() {
        match try_on(law, *seed, history) {
            Some(said) => cases += said,
            None => panic!("{name} fails with seed {seed}: {history:#?}"),
        }
    }
    assert!(cases >= law.cases_min, "{name} had something to say in {cases} cases");
}

impl History {
    fn oracle(&self) -> Oracle<'_> {
        Oracle { rules: &self.rules, edits: &self.edits }
    }
}

/// An edit of one field by `actor`, who had seen `context`.
fn edit(dot: (&str, u64), context: &[(&str, u64)], name: &str, after: impl Into<Value>, at: i64) -> Edit {
    let change = Change { before: Value::Absent, after: after.into() };
    Edit {
        generation: 0,
        dot: Dot { actor: history::actor(dot.0), n: dot.1 },
        context: context.iter().map(|(name, n)| (history::actor(name), *n)).collect::<Clock>(),
        but: VecMap::new(),
        changes: [(history::field(name), change)].into_iter().collect(),
        deletes: false,
        stamp: Stamp { low: Time(at - 5), high: Time(at) },
        certain: true,
    }
}
