//! Exports so long that other threads look at entries ahead of the one that judges: the
//! answers are those of one who reads line by line, and the first bad entry is named
//! whoever comes to another one before.

use crate::common::{auditor, found, history, usual};
use hms_sync_audit::{AuditError, Problem};
use std::io::{self, BufRead, BufReader, Read};

/// Entries: some ten batches.
const SIZE: u64 = 3_000;

fn long() -> Vec<String> {
    history(SIZE, &usual).whole().lines().map(str::to_owned).collect()
}

fn joined(lines: &[String]) -> String {
    lines.iter().flat_map(|line| [line.as_str(), "\n"]).collect()
}

/// The line of entry `seq`, spoilt in one of several ways that are all found at it.
fn spoil(lines: &mut [String], seq: u64, way: u8) {
    let line = &mut lines[seq as usize + 1];
    *line = match way {
        0 => line.replacen("\"version\":", "\"version\":1", 1),
        1 => line.replacen("\"id\":\"", "\"id\":\"0", 1),
        2 => line.replacen("\"payload\":\"", "\"payload\":\"AAAA", 1),
        3 => line.replacen("\"proof\":[", "\"proof\":[\"none\",", 1),
        _ => "{\"entry\":7}".to_owned(),
    };
}

#[test]
fn the_first_of_several_bad_entries_is_named_wherever_the_others_are() {
    let (whole, mut rng) = (long(), fastrand::Rng::with_seed(41));
    for round in 0..60 {
        let mut copy = whole.clone();
        let mut places: Vec<u64> = (0..rng.usize(1..6)).map(|_| rng.u64(1..=SIZE)).collect();
        places.sort_unstable();
        places.dedup();
        places.iter().for_each(|seq| spoil(&mut copy, *seq, rng.u8(..5)));
        let bad = found(auditor().verify(joined(&copy).as_bytes(), |_| {}));
        let alone = {
            // Read by one who cannot get ahead: nothing follows the bad line.
            let upto = places[0] as usize + 2;
            found(auditor().verify(joined(&copy[..upto]).as_bytes(), |_| {}))
        };
        assert_eq!(bad, alone, "round {round}: {places:?}");
        assert_eq!(bad.line, places[0] + 2, "round {round}: {places:?}");
    }
}

#[test]
fn a_long_export_is_told_as_a_short_one_is() {
    let whole = joined(&long());
    let mut told = Vec::new();
    let report = auditor().verify(whole.as_bytes(), |entries| told.push(entries)).unwrap();
    assert_eq!((report.entries, report.last, told.as_slice()), (SIZE, Some(SIZE), [SIZE].as_slice()));
    // What follows its end, or is cut off it, is found after all that is before it.
    let bad = found(auditor().verify((whole.clone() + "\n").as_bytes(), |_| {}));
    assert_eq!((bad.line, bad.what), (SIZE + 4, Problem::AfterEnd));
    let bad = found(auditor().verify(&whole.as_bytes()[..whole.len() - 1], |_| {}));
    assert_eq!((bad.line, bad.what), (SIZE + 3, Problem::Cut));
}

/// Fails after so many bytes.
struct Failing<'a>(&'a [u8]);

impl Read for Failing<'_> {
    fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
        match self.0.read(room)? {
            0 => Err(io::Error::other("the disk is gone")),
            count => Ok(count),
        }
    }
}

#[test]
fn a_file_that_cannot_be_read_on_is_said_unless_something_before_it_is_wrong() {
    let whole = long();
    let some = joined(&whole[..2_000]);
    let reader = || BufReader::with_capacity(1 << 10, Failing(some.as_bytes()));
    let Err(AuditError::Read { source }) = auditor().verify(reader(), |_| {}) else { panic!("passed") };
    assert_eq!(source.to_string(), "the disk is gone");
    let mut copy = whole[..2_000].to_vec();
    spoil(&mut copy, 1_990, 1);
    let some = joined(&copy);
    let reader: &mut dyn BufRead = &mut BufReader::new(Failing(some.as_bytes()));
    assert_eq!(found(auditor().verify(reader, |_| {})).seq, Some(1_990));
}
