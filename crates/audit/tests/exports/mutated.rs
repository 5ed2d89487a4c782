//! 100,000 mutated exports: none is accepted, and nothing panics.

use crate::common::{auditor, history, usual};
use hms_sync_audit::Payload;
use hms_sync_hostile::Reader;

/// Mutates one line at a place or two.
fn mutate(line: &mut Vec<u8>, rng: &mut fastrand::Rng) {
    for _ in 0..rng.usize(1..3) {
        let at = rng.usize(..line.len());
        match rng.u8(..6) {
            0 | 1 => line[at] ^= 1 << rng.u8(..8),
            2 => line[at] = rng.u8(..),
            3 => drop(line.remove(at)),
            4 => line.insert(at, rng.u8(..)),
            _ => {
                let from = rng.usize(..line.len());
                let some: Vec<u8> = line[from..line.len().min(from + rng.usize(1..60))].to_vec();
                line.splice(at..at, some);
            }
        }
        if line.is_empty() {
            line.push(b' ');
        }
    }
}

/// A line without what means nothing in JSON.
fn meaning(line: &[u8]) -> Option<serde_json::Value> {
    serde_json::from_slice(line).ok()
}

#[test]
fn of_a_hundred_thousand_mutated_exports_none_passes() {
    let history = history(11, &usual);
    let whole = history.of_record(3, &[4, 7]);
    let lines: Vec<&[u8]> = whole.split_terminator('\n').map(str::as_bytes).collect();
    let auditor = {
        let mut auditor = auditor();
        auditor.older("old", history.checkpoint(7).to_string());
        auditor
    };
    auditor.verify(whole.as_bytes(), |_| {}).unwrap();
    let mut rng = fastrand::Rng::with_seed(38);
    let (mut refused, mut same) = (0u32, 0u32);
    while refused < 100_000 {
        // The first line's legend and keys are for people; the proof for 4 is for who asks for it.
        let n = [1, 3, 4, 5, 6, 7, 8][rng.usize(..7)];
        let mut line = lines[n].to_vec();
        mutate(&mut line, &mut rng);
        if meaning(&line).is_some_and(|meant| Some(meant) == meaning(lines[n])) {
            same += 1;
            continue;
        }
        let copy = [&lines[..n], &[&line], &lines[n + 1..]].concat().join(&b'\n');
        let copy = [copy.as_slice(), b"\n"].concat();
        let result = auditor.verify(copy.as_slice(), |_| {});
        assert!(result.is_err(), "{}", String::from_utf8_lossy(&line));
        refused += 1;
    }
    assert!(same < 20_000, "{same}");
}

/// Events as a verifier reads them that does not know their kinds: what is read is JSON.
#[test]
fn hostile_payloads() {
    let history = history(3, &usual);
    // One letter more, of a newer version.
    let mut newer = history.payloads[0].clone();
    newer[0] += 1;
    newer.extend_from_slice(b"\xa2zz\x95\x91\x91\x81\xa1b\xcb\x3f\xf8\0\0\0\0\0\0\xc0\xc3\xc4\x02\xff\x00\xd3\xff\xff\xff\xff\xff\xff\xff\xff");
    Reader::new("payloads")
        .sound(history.payloads.iter().chain([&newer]))
        .words([
            &b"\x81"[..],
            b"\x91",
            b"\xa1b",
            b"\xa1q",
            b"\xc4\x20",
            b"\xdd\xff\xff\xff\xff",
            b"\xdf",
            b"\xcb",
            b"\xd9\xff",
        ])
        .bytes(|bytes| {
            let Ok(payload) = Payload::read(bytes) else { return false };
            assert!(serde_json::from_str::<serde_json::Value>(&payload.json).is_ok(), "{}", payload.json);
            true
        });
}
