//! What is rewritten does not pile up: however often views are saved anew, the file
//! stays within a bound that depends on how much there is, and not on how often it
//! was written.

use crate::common::Place;
use hms_sync_changelog::{Changes, Log};

/// Views in use, and the bytes of each: 200 kB in all.
const VIEWS: u32 = 500;
const VIEW_BYTES: usize = 400;
const MB: u64 = 1_000_000;

/// Saves a tenth of all views anew.
fn save(log: &Log, round: u32, random: &mut fastrand::Rng) {
    let view = |n: u32| {
        let value: Vec<u8> = std::iter::repeat_with(|| random.u8(..)).take(VIEW_BYTES).collect();
        (n.to_be_bytes().to_vec(), Some(value))
    };
    let changes: Changes = (0..VIEWS).filter(|n| n % 10 == round % 10).map(view).collect();
    log.save_views(&changes, log.head()).unwrap();
}

#[test]
fn views_that_are_rewritten_do_not_pile_up() {
    let place = Place::folder();
    let log = place.open();
    let mut random = fastrand::Rng::with_seed(11);
    // 40 MB of views, which do not compress, and each is merged a few times.
    (0..2_000).for_each(|round| save(&log, round, &mut random));
    let stats = log.stats();
    assert!(stats.bytes < 32 * MB, "{stats:?}");
    assert!(stats.views.runs < 24 && stats.views.entries < u64::from(VIEWS) * 16, "{stats:?}");
    log.close().unwrap();
    assert_eq!(place.open().views(&[], None, usize::MAX).unwrap().len(), VIEWS as usize);
}
