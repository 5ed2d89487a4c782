//! The ladder: which way is taken, what is said about it, and that it ends the same
//! when it is cut off and begun anew.

use crate::common::{Maker, record};
use crate::store::{NOW, fast_folder, read, recovered, small, write};
use hms_sync_changelog::{
    Damage, Log, LogError, Options, Way, recover, recover_in_place, recover_known, replace,
};
use std::fs;

#[test]
fn a_sound_log_is_copied() {
    let (report, log, _place) = recovered(&small().files, &small().ids);
    assert_eq!((report.way, report.events, report.last), (Way::Opened, 3_000, 3_000));
    assert_eq!((report.reasons.len(), log.views_upto()), (0, 3_000));
}

#[test]
fn a_damaged_snapshot_is_left_aside() {
    let mut files = small().files.clone();
    let snapshot = files.keys().find(|name| name.starts_with("snap.")).unwrap().clone();
    files.get_mut(&snapshot).unwrap()[20] ^= 1;
    let (report, _, _place) = recovered(&files, &small().ids);
    assert_eq!((report.way, report.events), (Way::OpenedWithoutSnapshots, 3_000));
    assert!(report.reasons[0].contains("corrupted"), "{:?}", report.reasons);
}

/// A log with a stretch of events destroyed wherever they lie in its file.
fn with_a_gap() -> (hms_sync_changelog::Recovery, Log, tempfile::TempDir) {
    let mut files = small().files.clone();
    let db = files.get_mut("db").unwrap();
    small().values.destroy(db, 1_000..1_200);
    small().values.destroy(db, 1_500..1_501);
    recovered(&files, &small().ids)
}

#[test]
fn what_is_lost_is_said_and_reads_pass_over_it() {
    let (report, log, _place) = with_a_gap();
    assert_eq!(report.way, Way::Salvaged);
    assert!(report.lost.len() == 2 && (200..400).contains(&report.events_lost()), "{report:?}");
    assert!(!report.broken.is_empty());
    let lost = report.lost[0];
    let why = log.event(lost.first).unwrap_err();
    assert!(matches!(why, LogError::Damaged { damage: Damage::Lost { at: NOW }, .. }), "{why}");
    assert!(why.to_string().contains("2027-01-15 08:00:00 UTC"), "{why}");
    let after = log.events(lost.first, 3).unwrap();
    assert!(after.len() == 3 && after[0].1.seq == lost.last() + 1);
    for broken in report.broken.iter().take(20) {
        let history = log.history(&broken.record, 1, usize::MAX).unwrap();
        let versions: Vec<u64> = history.iter().map(|(_, event)| event.version).collect();
        let at = versions.iter().position(|version| *version == broken.before).unwrap();
        assert_eq!(at.checked_sub(1).map_or(0, |at| versions[at]), broken.after);
    }
}

#[test]
fn the_tree_over_a_hole_is_the_same_after_a_restart_and_proves_what_is_left() {
    let (report, log, place) = with_a_gap();
    let head = log.tree_head();
    assert_eq!(head.size, report.last);
    log.close().unwrap();
    let log = Log::open(&place.path().join("new"), Options::default()).unwrap();
    assert_eq!(log.tree_head(), head);
    let ends = report.lost.iter().flat_map(|lost| [lost.first - 1, lost.last() + 1]);
    for seq in ends.chain([1, report.last]) {
        let (id, _) = log.event(seq).unwrap().unwrap();
        log.inclusion(seq, head.size).unwrap().verify(&id.0, &head).unwrap();
    }
    // And what was lost stands there as lost, not as anything that it was.
    let lost = report.lost[0].first;
    let proof = log.inclusion(lost, head.size).unwrap();
    proof.verify(&[0; 32], &head).unwrap();
    proof.verify(&small().ids[lost as usize - 1].0, &head).unwrap_err();
}

#[test]
fn a_log_with_holes_goes_on_and_is_recovered_again_with_the_same_holes() {
    let (report, log, place) = with_a_gap();
    let into = place.path().join("new");
    // A new record, and one that is there.
    let mut maker = Maker::default();
    maker.seq = log.head();
    let events: Vec<_> = (0..40).map(|n| maker.next(&record(9_000 + n % 2), 100).0).collect();
    log.append(&events).unwrap();
    log.close().unwrap();
    let log = Log::open(&into, Options::default()).unwrap();
    assert_eq!(log.head(), report.last + 40);
    assert_eq!(log.history(&record(9_001), 1, 99).unwrap().len(), 20);
    let verified = log.verify(|_| {}).unwrap();
    assert!(verified.is_sound() && verified.lost == report.lost);
    log.close().unwrap();
    let mut files = read(&into);
    files.retain(|name, _| !name.starts_with("snap.") && name != "conf");
    let again = place.path().join("again");
    write(&files, &again);
    let twice = recover(&again, &place.path().join("newer"), hms_sync_model::Time(5)).unwrap();
    assert_eq!(twice.lost, report.lost, "with the time of the first");
    assert_eq!(twice.events, report.events + 40);
}

#[test]
fn a_recovery_cut_off_is_begun_anew_and_ends_the_same() {
    let mut files = small().files.clone();
    files.get_mut("db").unwrap()[300_000..340_000].fill(0);
    let place = fast_folder();
    let dir = place.path().join("log");
    write(&files, &dir);
    let whole = recover(&dir, &place.path().join("one"), NOW).unwrap();
    // What one that was cut off leaves.
    let left = place.path().join("two.unfinished");
    fs::create_dir_all(left.join("third/blobs")).unwrap();
    fs::write(left.join("third/db"), "half").unwrap();
    let again = recover(&dir, &place.path().join("two"), NOW).unwrap();
    assert_eq!((again.events, &again.lost, again.last), (whole.events, &whole.lost, whole.last));
    assert!(!left.exists());
}

#[test]
fn what_must_not_be_touched_is_not() {
    let place = fast_folder();
    let (dir, into) = (place.path().join("log"), place.path().join("new"));
    write(&small().files, &dir);
    fs::create_dir(&into).unwrap();
    assert!(matches!(recover(&dir, &into, NOW), Err(LogError::InTheWay { .. })));
    fs::remove_dir(&into).unwrap();
    let log = Log::open(&dir, Options::default()).unwrap();
    assert!(matches!(recover(&dir, &into, NOW), Err(LogError::InUse { .. })));
    drop(log);
    fs::write(dir.join("format"), "hms-sync change log\nformat 3\n").unwrap();
    assert!(matches!(recover(&dir, &into, NOW), Err(LogError::NewerFormat { .. })));
    fs::remove_file(dir.join("db")).unwrap();
    fs::remove_file(dir.join("format")).unwrap();
    let why = recover(&dir, &into, NOW).unwrap_err();
    assert!(matches!(why, LogError::NothingToRecover { .. }), "{why}");
    assert!(!into.exists());
}

#[test]
fn a_recovered_log_takes_the_place_of_the_damaged_one() {
    let place = fast_folder();
    let (dir, into) = (place.path().join("log"), place.path().join("new"));
    write(&small().files, &dir);
    let before = read(&dir);
    recover(&dir, &into, NOW).unwrap();
    let aside = replace(&dir, &into, NOW).unwrap();
    assert!(aside.ends_with("log.damaged-20270115T080000Z"), "{}", aside.display());
    assert_eq!(read(&aside), before);
    assert_eq!(Log::open(&dir, Options::default()).unwrap().head(), 3_000);
    assert!(!into.exists());
}

#[test]
fn events_that_are_known_to_have_been_there_are_lost_at_the_end() {
    let place = fast_folder();
    let (dir, into) = (place.path().join("log"), place.path().join("new"));
    write(&small().files, &dir);
    let report = recover_known(&dir, &into, &|_| 3_050, NOW).unwrap();
    assert_eq!((report.way, report.last, report.events_lost()), (Way::Salvaged, 3_050, 50));
    assert_eq!((report.lost[0].first, report.broken.len()), (3_001, 0));
    assert!(report.reasons[0].contains("there were more"), "{:?}", report.reasons);
    let log = Log::open(&into, Options::default()).unwrap();
    assert!(log.verify(|_| {}).unwrap().is_sound());
    assert_eq!(log.head(), 3_050, "no other event gets their numbers");
}

/// Everything that a recovery in place can be cut off at: it is simply begun again.
#[test]
fn a_recovery_in_place_that_was_cut_off_is_begun_again() {
    let mut files = small().files.clone();
    files.get_mut("db").unwrap()[300_000..340_000].fill(0);
    let whole = {
        let place = fast_folder();
        let dir = place.path().join("log");
        write(&files, &dir);
        let (report, aside) = recover_in_place(&dir, &|_| 0, NOW).unwrap();
        assert_eq!((&report.from, &report.into), (&aside, &dir));
        assert_eq!(read(&aside), files);
        report
    };
    for step in 0..4 {
        let place = fast_folder();
        let (dir, made) = (place.path().join("log"), place.path().join("log.replacing"));
        write(&files, &dir);
        match step {
            // In its middle.
            0 => {
                fs::create_dir_all(place.path().join("log.replacing.unfinished/third/blobs")).unwrap();
                fs::write(place.path().join("log.replacing.unfinished/third/db"), "half").unwrap();
            }
            // When the new log was finished, and one of another time lies there.
            1 => drop(recover(&dir, &made, NOW).unwrap()),
            2 => write(&small().files, &made),
            // Between the two renames.
            _ => {
                recover(&dir, &made, NOW).unwrap();
                fs::rename(&dir, place.path().join("log.damaged-20260101T000000Z")).unwrap();
            }
        }
        let (report, aside) = recover_in_place(&dir, &|_| 0, NOW).unwrap();
        assert_eq!(
            (report.events, &report.lost, report.last),
            (whole.events, &whole.lost, whole.last),
            "{step}"
        );
        assert_eq!(read(&aside), files, "{step}");
        assert!(!made.exists() && !place.path().join("log.replacing.unfinished").exists());
        let log = Log::open(&dir, Options::default()).unwrap();
        assert!(log.verify(|_| {}).unwrap().is_sound());
    }
}

#[test]
fn a_recovery_in_place_needs_the_log_for_itself() {
    let place = fast_folder();
    let dir = place.path().join("log");
    write(&small().files, &dir);
    let log = Log::open(&dir, Options::default()).unwrap();
    assert!(matches!(recover_in_place(&dir, &|_| 0, NOW), Err(LogError::InUse { .. })));
    drop(log);
    recover_in_place(&dir, &|_| 0, NOW).unwrap();
}
