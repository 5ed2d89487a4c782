//! What a hostile export costs: lines that never end, that claim more than they hold, that
//! hold millions of nothings. In a process of its own, for what it may take of memory is measured.
#![allow(clippy::unwrap_used, reason = "tests may panic")]

use hms_sync_audit::{AuditError, Auditor, LINE_BYTES_MAX};
use std::io::{BufReader, Read};

const MIB: u64 = 1 << 20;

/// Some bytes, then others over and over, so many in all; never in memory at once.
struct Endless {
    begins: &'static [u8],
    again: &'static [u8],
    at: u64,
    end: u64,
}

impl Read for Endless {
    fn read(&mut self, room: &mut [u8]) -> std::io::Result<usize> {
        let mut count = 0;
        for byte in room.iter_mut() {
            if self.at == self.end {
                break;
            }
            let at = usize::try_from(self.at).unwrap();
            let again = at.wrapping_sub(self.begins.len()) % self.again.len();
            *byte = *self.begins.get(at).unwrap_or_else(|| self.again.get(again).unwrap());
            (self.at, count) = (self.at + 1, count + 1);
        }
        Ok(count)
    }
}

/// What of this process's memory is in use at most, in bytes.
fn peak() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() << 10
}

/// Verifies it, after `head`. Answers what was said, and what it took of memory.
fn cost(head: &str, begins: &'static [u8], again: &'static [u8], bytes: u64) -> (String, u64) {
    // From here on the most that is in use is counted anew.
    std::fs::write("/proc/self/clear_refs", "5").unwrap();
    let before = peak();
    let line = Endless { begins, again, at: 0, end: bytes };
    let input = BufReader::with_capacity(256 << 10, head.as_bytes().chain(line));
    let Err(AuditError::Bad(bad)) = Auditor::new().verify(input, |_| {}) else { panic!("{again:?} passed") };
    (bad.to_string(), peak() - before)
}

/// The first two lines of a sound export of one entry.
fn head() -> String {
    use hms_sync_audit::{Begin, Scope, Writer};
    use hms_sync_proof::{Checkpoint, Frontier, Signer, SigningKey, TreeHash};
    let signer = Signer::new("log.example/hostile".parse().unwrap(), SigningKey::from_seed(&[1; 32]));
    let mut tree = Frontier::new();
    tree.append(TreeHash::leaf(&[7; 32])).unwrap();
    let note = Checkpoint::new(signer.name().as_str(), tree.head()).unwrap().sign(&signer).unwrap();
    let keys = [signer.verifier_key()];
    let begin = Begin { origin: signer.name().as_str(), keys: &keys, scope: Scope::Whole, checkpoint: &note };
    let mut out = Vec::new();
    Writer::begin(&mut out, &begin).unwrap();
    String::from_utf8(out).unwrap()
}

/// What comes before, what the line begins with, what comes over and over, how many bytes; what is
/// said, and what it may take.
type Case<'a> = (&'a str, &'static [u8], &'static [u8], u64, &'static str, u64);

#[test]
fn no_line_takes_much_more_than_the_longest_entry() {
    let head = head();
    let longest = LINE_BYTES_MAX as u64;
    let gib = 1024 * MIB;
    let much = longest + 48 * MIB;
    let cases: [Case<'_>; 7] = [
        ("", b"", b"x", gib, "longer than any line", 8 * MIB),
        ("", b"{\"export\":{\"keys\":[", b"\"\",", 90 * MIB, "longer than any line", 8 * MIB),
        ("", b"", b"[", gib, "longer than any line", 8 * MIB),
        (&head, b"{\"consistency\":{\"older\":1,\"proof\":[", b"\"\",", gib, "longer than any line", 8 * MIB),
        (&head, b"{\"entry\":{\"payload\":\"", b"A", gib, "longer than any line", much),
        (&head, b"{\"entry\":{\"proof\":[", b"\"\",", 90 * MIB, "ends here", much),
        (
            &head,
            b"{\"entry\":{\"proof\":[\"\"]}}\n",
            b"\"\",\n",
            20 * MIB,
            "not a line of an export",
            8 * MIB,
        ),
    ];
    for (head, begins, again, bytes, said, most) in cases {
        let (words, took) = cost(head, begins, again, bytes);
        assert!(words.contains(said), "{}: {words}", begins.escape_ascii());
        assert!(took < most, "{}: {} MiB", begins.escape_ascii(), took / MIB);
    }
    // A whole line of millions of nothings: nothing is kept of them.
    let mut line = b"{\"entry\":{\"proof\":[\"\"".to_vec();
    line.extend(b",\"\"".repeat(20 << 20));
    line.extend(b"]}}\n");
    let export = [head.as_bytes(), &line].concat();
    drop(line);
    std::fs::write("/proc/self/clear_refs", "5").unwrap();
    let before = peak();
    assert!(Auditor::new().verify(export.as_slice(), |_| {}).is_err());
    let took = peak() - before;
    assert!(took < 64 * MIB + 48 * MIB, "{} MiB", took / MIB);
}
