//! Teeth: what each row promises is broken by the slips that it is there for.

use crate::slips::{Slip, with};
use crate::{answers, cursors, limits, switching};
use std::panic::{AssertUnwindSafe, catch_unwind};

/// So many schedules may pass before one notices a slip.
const SEEDS: u64 = 24;

/// Whether a schedule does not end as it should.
fn notices<T>(slip: Slip, play: impl AsyncFn(u64) -> T) -> bool {
    let fails = |seed| {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        with(slip, || catch_unwind(AssertUnwindSafe(|| runtime.block_on(play(seed)))).is_err())
    };
    (0..SEEDS).any(fails)
}

#[test]
fn every_slip_is_noticed() {
    let rows = [
        ("1", Slip::NoLookback, notices(Slip::NoLookback, cursors::schedule)),
        ("9", Slip::LostMeansNotDone, notices(Slip::LostMeansNotDone, answers::lost_answers)),
        ("12", Slip::BrokenMeansEnded, notices(Slip::BrokenMeansEnded, answers::broken_listings)),
        ("12", Slip::GoneUnasked, notices(Slip::GoneUnasked, answers::broken_listings)),
        ("19", Slip::NoPrecondition, notices(Slip::NoPrecondition, answers::refused_versions)),
        ("21", Slip::ComesBackAtOnce, notices(Slip::ComesBackAtOnce, limits::storm)),
        ("22", Slip::NoBudget, notices(Slip::NoBudget, limits::budget)),
        ("27", Slip::GoneUnasked, notices(Slip::GoneUnasked, switching::switches)),
        ("27", Slip::NoListings, notices(Slip::NoListings, switching::switches)),
        ("28", Slip::NoListings, notices(Slip::NoListings, switching::rewound)),
    ];
    for (row, slip, noticed) in rows {
        println!("row {row}: {slip:?} is {}noticed", if noticed { "" } else { "not " });
    }
    assert!(rows.iter().all(|(.., noticed)| *noticed), "{rows:?}");
}
