//! Teeth: each fault of a natural first draft that lives in the engine, put back, breaks
//! at least one law. Prints which: this crate's tests with the feature `faults` and
//! `--nocapture`.

use crate::laws::{Law, run};
use hms_sync_resolver::fault::{Fault, with};
use std::collections::BTreeMap;

/// Worlds in which a fault may show.
const WORLDS: u64 = 64;

/// The faults that live in the engine; the resolver's laws have the others.
const HERE: [Fault; 9] = [
    Fault::OwnPastLeftOut,
    Fault::StaleReadBelieved,
    Fault::AnswerSwallowed,
    Fault::SentCountsAsKept,
    Fault::OpenWriteForgotten,
    Fault::InStepUnacknowledged,
    Fault::OneContext,
    Fault::EpochKept,
    Fault::NeverSettled,
];

/// In how many worlds each law is broken.
fn counts(run: impl Fn(u64) -> BTreeMap<Law, String>) -> BTreeMap<Law, usize> {
    let mut counts = BTreeMap::new();
    (0..WORLDS).flat_map(|seed| run(seed).into_keys()).for_each(|law| *counts.entry(law).or_default() += 1);
    counts
}

/// A law notices a fault where it is broken in more than one world, and far more often than without.
#[test]
fn mutants() {
    let healthy = counts(run);
    for fault in HERE {
        let number = Fault::ALL.iter().position(|other| *other == fault).unwrap() + 1;
        let with_it = counts(|seed| with(fault, || run(seed)));
        let notices = |(law, worlds): &(&Law, &usize)| **worlds > 2 * healthy.get(law).unwrap_or(&0) + 1;
        let laws: Vec<&Law> = with_it.iter().filter(notices).map(|(law, _)| law).collect();
        eprintln!("F{number} {fault:?} → {laws:?}");
        assert!(!laws.is_empty(), "no law notices F{number} {fault:?}");
    }
}
