//! Damaged files: an error in words or the right answer, never a panic that
//! reaches the caller, never a wrong byte.

use crate::common::Maker;
use hms_sync_changelog::{Log, Options};
use std::fs;
use std::path::Path;

/// Whether all is there and sound. sled takes a damaged end for one that was being written.
fn examine(dir: &Path, written: &[hms_sync_model::EventId]) -> bool {
    let Ok(log) = Log::open(dir, Options::default()) else { return false };
    let Ok(report) = log.verify(|_| {}) else { return false };
    let mut next = 1;
    while let Ok(events) = log.events(next, 16) {
        if events.is_empty() {
            break;
        }
        for (id, event) in events {
            assert_eq!(id, written[event.seq as usize - 1]);
            next = event.seq + 1;
        }
    }
    report.is_sound() && next as usize == written.len() + 1
}

#[test]
fn flipped_bits_and_cut_files_never_give_a_wrong_event_or_a_panic() {
    let dir = tempfile::tempdir().unwrap();
    let mut maker = Maker::default();
    let events = maker.many(3_000, 40, 150);
    let written: Vec<_> = events.iter().map(|sealed| sealed.id).collect();
    {
        let log = Log::open(dir.path(), Options::default()).unwrap();
        events.chunks(500).for_each(|events| log.append(events).unwrap());
    }
    let db = fs::read(dir.path().join("db")).unwrap();
    let used = db.iter().rposition(|byte| *byte != 0).unwrap();
    // Most of the file is copies that count no more; those written last mostly count.
    let chunks: Vec<usize> = (0..used).filter(|at| db[*at..].starts_with(b"\xf5hmZ")).collect();
    assert!(chunks.len() > 90, "{} packed chunks", chunks.len());
    let last = &chunks[chunks.len() - 40..];
    let mut random = fastrand::Rng::with_seed(11);
    let (mut hurt, mut cut) = (0, 0);
    for round in 0..24 {
        let copy = tempfile::tempdir().unwrap();
        fs::create_dir(copy.path().join("blobs")).unwrap();
        for name in ["format", "conf"] {
            fs::copy(dir.path().join(name), copy.path().join(name)).unwrap();
        }
        let mut bytes = db.clone();
        if round % 3 == 0 {
            bytes.truncate(random.usize(..used));
            cut += 1;
        } else {
            let at = if round % 3 == 1 { random.usize(..used) } else { last[random.usize(..40)] + 50 };
            bytes[at] ^= 1 << random.u8(..8);
        }
        fs::write(copy.path().join("db"), bytes).unwrap();
        hurt += u32::from(!examine(copy.path(), &written));
    }
    assert!(cut == 8 && hurt > 0, "no damage did anything: {hurt}");
}
