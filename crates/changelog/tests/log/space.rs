//! What is rewritten does not pile up: however often views are saved anew, the file
//! stays within a bound that depends on how much there is, and not on how often it
//! was written.

use crate::common::{Maker, Place};
use hms_sync_changelog::{Changes, Log};

/// Views in use, and the bytes of each: 800 kB in all.
const VIEWS: u32 = 500;
const VIEW_BYTES: usize = 400;

/// Saves a tenth of all views anew.
fn save(log: &Log, round: u32, random: &mut fastrand::Rng) {
    let view = |n: u32| {
        let value: Vec<u8> = std::iter::repeat_with(|| random.u8(..)).take(VIEW_BYTES).collect();
        (n.to_be_bytes().to_vec(), Some(value))
    };
    let changes: Changes = (0..VIEWS).filter(|n| n % 10 == round % 10).map(view).collect();
    log.save_views(&changes, log.head()).unwrap();
}

/// The size of the file after each tenth part of `rounds` in which all views are written once,
/// with so many events beside each.
fn sizes(rounds: u32, events: usize) -> Vec<u64> {
    let place = Place::folder();
    let (log, mut maker) = (place.open(), Maker::default());
    let mut random = fastrand::Rng::with_seed(11);
    let mut sizes = Vec::new();
    for round in 0..rounds * 10 {
        log.append(&maker.many(events, 100, 200)).unwrap();
        save(&log, round, &mut random);
        if (round + 1) % rounds == 0 {
            sizes.push(log.stats().bytes >> 10);
        }
    }
    let stats = log.stats();
    println!("{stats:?}");
    log.close().unwrap();
    assert!(place.open().verify(|_| {}).unwrap().is_sound());
    sizes
}

#[test]
fn views_that_are_rewritten_do_not_pile_up() {
    // 40 MB of views are written, of which 0.8 MB count.
    let sizes = sizes(200, 0);
    println!("{sizes:?}");
}

#[test]
fn beside_events_too() {
    let sizes = sizes(200, 4);
    println!("{sizes:?}");
}
