//! What is rewritten does not pile up: however often views are saved anew, the file
//! stays within a bound that depends on how much there is, and not on how often it
//! was written.

use crate::common::{Maker, Place};
use hms_sync_changelog::{Changes, Log, LogError, Options};

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

#[test]
fn a_compact_copy_is_the_same_log_in_less_room() {
    let place = Place::folder();
    let (log, mut maker) = (place.open(), Maker::default());
    let mut random = fastrand::Rng::with_seed(11);
    for round in 0..600 {
        log.append(&maker.many(4, 100, 200)).unwrap();
        save(&log, round, &mut random);
    }
    log.append(&[maker.next(&crate::common::record(7), 40_000).0]).unwrap();
    let home = tempfile::tempdir().unwrap();
    let copy = home.path().join("copy");
    let found = log.compact_into(&copy, Options::default()).unwrap();
    assert_eq!(found.events, 2_401);
    assert!(found.bytes_after * 3 < found.bytes_before, "{found:?}");
    let fresh = Log::open(&copy, Options::default()).unwrap();
    assert_eq!(fresh.events(1, usize::MAX).unwrap(), log.events(1, usize::MAX).unwrap());
    assert_eq!(fresh.views(&[], None, usize::MAX).unwrap(), log.views(&[], None, usize::MAX).unwrap());
    assert_eq!(fresh.views_upto(), log.views_upto());
    assert_eq!(fresh.counts().unwrap(), log.counts().unwrap());
    // Both go on.
    let next = maker.many(3, 2, 20);
    fresh.append(&next).unwrap();
    log.append(&next).unwrap();
    assert_eq!(fresh.tree_head(), log.tree_head());
    let again = log.compact_into(&copy, Options::default()).unwrap_err();
    assert!(matches!(again, LogError::Io { .. }), "{again}");
}

#[test]
fn a_damaged_log_has_no_compact_copy() {
    let place = Place::Memory(hms_sync_changelog::MemoryDisk::new());
    let log = place.open();
    log.append(&Maker::default().many(100, 10, 20)).unwrap();
    let Place::Memory(disk) = &place else { return };
    let (key, mut value) = disk.entries().into_iter().find(|(key, _)| key[0] == b'e').unwrap();
    value[50] ^= 1;
    disk.tamper(&key, Some(&value));
    let home = tempfile::tempdir().unwrap();
    let copy = home.path().join("copy");
    let why = log.compact_into(&copy, Options::default()).unwrap_err();
    assert!(matches!(why, LogError::Damaged { .. }), "{why}");
    assert!(!copy.exists(), "what is not sound has no final name");
}
