//! Files cut off, overwritten, shifted, with bits flipped: every event that is still
//! whole comes back, and none that was not written.

use crate::store::{Store, cut_off, large, recovered, small};
use fastrand::Rng;
use std::collections::{BTreeMap, BTreeSet};

type Files = BTreeMap<String, Vec<u8>>;

/// What can happen to a file.
#[derive(Debug, Clone, Copy)]
enum Harm {
    /// Its end is gone: so many bytes, or up to half of it.
    CutBytes,
    CutMuch,
    /// Its end is zeros.
    ZeroEnd,
    /// A page of zeros in its middle.
    Hole,
    /// One bit.
    Flip,
    /// A page that belongs elsewhere, or as it was long before.
    Misdirected,
    /// Bytes of no sense in many places.
    Noise,
}

const HARMS: [Harm; 7] =
    [Harm::CutBytes, Harm::CutMuch, Harm::ZeroEnd, Harm::Hole, Harm::Flip, Harm::Misdirected, Harm::Noise];

fn harm(bytes: &mut Vec<u8>, how: Harm, random: &mut Rng) {
    let used = bytes.iter().rposition(|byte| *byte != 0).unwrap_or(0).max(1);
    match how {
        Harm::CutBytes => bytes.truncate(used.saturating_sub(random.usize(1..200))),
        Harm::CutMuch => bytes.truncate(random.usize(used / 2..used)),
        Harm::ZeroEnd => {
            let from = used.saturating_sub(random.usize(1..40_000));
            bytes[from..].fill(0);
        }
        Harm::Hole => {
            let from = random.usize(..used) / 4_096 * 4_096;
            let to = bytes.len().min(from + 4_096);
            bytes[from..to].fill(0);
        }
        Harm::Flip => {
            let at = random.usize(..used);
            bytes[at] ^= 1 << random.u8(..8);
        }
        Harm::Misdirected if used > 16_384 => {
            let (from, to) =
                (random.usize(..used / 4_096 - 1) * 4_096, random.usize(..used / 4_096 - 1) * 4_096);
            bytes.copy_within(from..from + 4_096, to);
        }
        Harm::Misdirected | Harm::Noise => {
            for _ in 0..40 {
                let at = random.usize(..used);
                let end = bytes.len().min(at + random.usize(1..300));
                random.fill(&mut bytes[at..end]);
            }
        }
    }
}

/// Recovers one damaged store; answers how many of its whole events are not in it.
fn trial(store: &Store, files: &Files) -> (u64, u64) {
    let (report, log, _place) = recovered(files, &store.ids);
    let there: BTreeSet<u64> =
        crate::store::events(&log).unwrap().iter().map(|(_, event)| event.seq).collect();
    let whole = store.values.whole(&files["db"]);
    let missing = whole.difference(&there).count() as u64;
    assert_eq!(missing, 0, "{missing} of {} whole events did not come back: {report:?}", whole.len());
    let mut next = store.ids.len() as u64;
    next -= report.events;
    (whole.len() as u64, next)
}

#[test]
fn whatever_happens_to_the_database_every_whole_event_comes_back() {
    let seed = fastrand::u64(..1 << 40);
    let rounds = std::env::var("HMS_SYNC_DAMAGES").map_or(240, |count| count.parse().unwrap());
    let (mut lossy, mut kept) = (0, 0);
    for n in 0..rounds {
        let mut random = Rng::with_seed(seed + n as u64);
        let store = if n % 2 == 0 { small() } else { cut_off() };
        let how = HARMS[n / 2 % HARMS.len()];
        let mut files = store.files.clone();
        harm(files.get_mut("db").unwrap(), how, &mut random);
        let name = std::panic::AssertUnwindSafe(|| trial(store, &files));
        let (whole, lost) =
            std::panic::catch_unwind(name).unwrap_or_else(|_| panic!("seed {seed}, trial {n}, {how:?}"));
        lossy += u32::from(lost > 0);
        kept += whole;
    }
    assert!(lossy > 3 && kept > 0, "{lossy} of {rounds} lost anything");
}

#[test]
fn damage_to_any_other_file_loses_nothing() {
    let seed = fastrand::u64(..1 << 40);
    let store = small();
    let names: Vec<&String> =
        store.files.keys().filter(|name| !["db", "lock"].contains(&name.as_str())).collect();
    assert!(names.iter().any(|name| name.starts_with("snap.")));
    for (n, name) in names.iter().cycle().take(names.len() * 8).enumerate() {
        let mut random = Rng::with_seed(seed + n as u64);
        let mut files = store.files.clone();
        if n % 8 == 7 {
            files.remove(*name);
        } else {
            let file = files.get_mut(*name).unwrap();
            if file.is_empty() {
                // The journal of a closed log.
                file.resize(9_000, 1);
            }
            harm(file, HARMS[n % 7], &mut random);
        }
        if files.get("format").is_some_and(|text| {
            text.starts_with(b"hms-sync change log\nformat ") && text != b"hms-sync change log\nformat 2\n"
        }) {
            // It may have become the number of a newer format, which is refused.
            continue;
        }
        let (report, _, _place) = recovered(&files, &store.ids);
        assert_eq!((report.events, report.lost), (3_000, vec![]), "seed {seed}, {name}, trial {n}");
    }
}

#[test]
fn a_log_of_a_hundred_thousand_events_comes_back() {
    let seed = fastrand::u64(..1 << 40);
    for (n, how) in HARMS.into_iter().chain([Harm::Flip, Harm::Hole, Harm::CutMuch]).enumerate() {
        let mut random = Rng::with_seed(seed + n as u64);
        let mut files = large().files.clone();
        if n % 2 == 1 {
            files.retain(|name, _| !name.starts_with("snap."));
        }
        harm(files.get_mut("db").unwrap(), how, &mut random);
        let (whole, lost) = trial(large(), &files);
        assert!(whole + lost >= 99_000, "seed {seed}, {how:?}: {whole} whole, {lost} lost");
    }
}

/// sled's snapshot of it, cut off or with other bytes: nothing is lost, for the events are in the
/// database.
#[test]
fn a_damaged_snapshot_of_a_hundred_thousand_events_loses_nothing() {
    let seed = fastrand::u64(..1 << 40);
    let large = large();
    for (n, how) in [Harm::CutMuch, Harm::Flip, Harm::Noise].into_iter().enumerate() {
        let mut files = large.files.clone();
        let (name, bytes) = files.iter_mut().find(|(name, _)| name.starts_with("snap.")).unwrap();
        let (name, before) = (name.clone(), bytes.clone());
        harm(bytes, how, &mut Rng::with_seed(seed + n as u64));
        assert_ne!(*bytes, before, "{name}");
        let (report, _, _place) = recovered(&files, &large.ids);
        assert_eq!((report.events, report.lost), (100_000, vec![]), "seed {seed}, {how:?}");
    }
}
