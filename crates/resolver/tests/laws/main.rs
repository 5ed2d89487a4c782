//! The laws of merging that concern the resolver alone, by the names of the
//! specification. Each is tried on histories drawn from seeds (`history`) and
//! where a value is at stake compared with a second implementation (`oracle`);
//! `faults` shows that the laws would notice what natural first drafts get wrong.
//! A seed that ever failed goes into [`FAILED_ONCE`] and is tried for ever.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests may panic")]

mod history;
mod oracle;
mod order;
mod values;
mod tiers;
mod faults;

use fastrand::Rng;
use history::History;
use hms_sync_model::{Change, Clock, Dot, Edit, Stamp, Time, Value, VecMap};
use oracle::Oracle;

/// How many histories each law is tried on.
const HISTORIES: u64 = 2_500;

/// Seeds of histories on which some law failed once; they come first.
const FAILED_ONCE: &[u64] = &[967, 1667];

/// Tries a law on every history.
fn each(law: impl Fn(&mut Rng, History)) {
    for seed in FAILED_ONCE.iter().copied().chain(0..HISTORIES) {
        let mut rng = Rng::with_seed(seed);
        let history = History::new(&mut rng);
        let tried = std::panic::AssertUnwindSafe(|| law(&mut rng, history));
        if std::panic::catch_unwind(tried).is_err() {
            let history = History::new(&mut Rng::with_seed(seed));
            panic!("fails with seed {seed}: {history:#?}");
        }
    }
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
