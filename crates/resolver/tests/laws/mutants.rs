//! Teeth: each fault of a natural first draft that lives in the resolver, put back, fails
//! at least one law. Prints which: `cargo xtask test`, or this crate's tests with the
//! feature `faults` and `--nocapture`.

use crate::{LAWS, histories, try_on};
use hms_sync_resolver::fault::{Fault, is_back, with};

/// Histories on which a law may notice a fault.
const HISTORIES: usize = 600;

/// The faults that live in the resolver; the engine's laws have the others.
const HERE: [Fault; 7] = [
    Fault::OwnPastLeftOut,
    Fault::LockNotPruned,
    Fault::KindsAtReadTime,
    Fault::OneContext,
    Fault::PresenceUntouched,
    Fault::OneOperator,
    Fault::FoldForgets,
];

/// The laws that fail with `fault` put back.
fn failing(fault: Fault) -> Vec<&'static str> {
    let fails = |law: &&crate::Law| {
        let some = histories().iter().take(HISTORIES);
        with(fault, || some.map(|(seed, history)| try_on(law, *seed, history)).any(|held| held.is_none()))
    };
    LAWS.iter().filter(fails).map(|law| law.name).collect()
}

/// A law that fails because of a fault is what is wanted, and no word of it is printed.
fn hush() {
    let tell = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |why| {
        if !Fault::ALL.into_iter().any(is_back) {
            tell(why);
        }
    }));
}

#[test]
fn mutants() {
    hush();
    for fault in HERE {
        let number = Fault::ALL.iter().position(|other| *other == fault).unwrap() + 1;
        let laws = failing(fault);
        eprintln!("F{number} {fault:?} → {}", laws.join(", "));
        assert!(!laws.is_empty(), "no law notices F{number} {fault:?}");
    }
}
