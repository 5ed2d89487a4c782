//! 1,000 tampered copies and more: each is found, and the first bad entry named.

use crate::common::{History, ORIGIN, auditor, bad, found, grown, history, signer, usual, verify};
use hms_sync_audit::{Auditor, Problem, Scope};
use hms_sync_proof::ProofError;

const SIZE: u64 = 40;

fn lines(export: &str) -> Vec<String> {
    export.lines().map(str::to_owned).collect()
}

fn joined(lines: &[String]) -> String {
    lines.iter().fold(String::new(), |all, line| all + line + "\n")
}

/// The line of the n-th entry.
fn at(n: u64) -> usize {
    n as usize + 1
}

/// The text of a member of a line.
fn member<'l>(line: &'l str, name: &str) -> &'l str {
    let from = line.find(&format!("\"{name}\":")).unwrap() + name.len() + 3;
    let rest = &line[from..];
    let end = if let Some(text) = rest.strip_prefix('"') {
        text.find('"').unwrap() + 2
    } else {
        rest.find([',', '}']).unwrap()
    };
    &rest[..end]
}

/// A history that differs from the usual one at one event, and in nothing else that was said.
fn other_at(changed: u64) -> History {
    history(SIZE, &|seq| if seq == changed { "forged".to_owned() } else { usual(seq) })
}

#[test]
fn a_flipped_bit_of_any_entry_is_named() {
    let export = lines(&history(SIZE, &usual).whole());
    let mut rng = fastrand::Rng::with_seed(36);
    for n in 1..=SIZE {
        for name in ["payload", "id", "event", "record", "at", "seq", "version"] {
            for _ in 0..3 {
                let mut copy = export.clone();
                let line = copy[at(n)].clone();
                let begin = line.find(&format!("\"{name}\":")).unwrap() + name.len() + 3;
                let length = member(&line, name).len();
                let mut bytes = line.into_bytes();
                let place = begin + rng.usize(..length);
                let bit = loop {
                    let bit = 1 << rng.u8(..7);
                    if bytes[place] ^ bit != b'\n' {
                        break bit;
                    }
                };
                bytes[place] ^= bit;
                copy[at(n)] = String::from_utf8(bytes).unwrap();
                let bad = bad(&joined(&copy));
                assert_eq!(bad.line, at(n) as u64 + 1, "{name}: {bad}");
            }
        }
    }
}

#[test]
fn dropped_inserted_and_reordered_entries_are_named() {
    let export = lines(&history(SIZE, &usual).whole());
    for n in 1..=SIZE {
        let mut copy = export.clone();
        copy.remove(at(n));
        let bad_line = bad(&joined(&copy));
        if n < SIZE {
            assert_eq!((bad_line.seq, bad_line.what), (Some(n), Problem::Missing));
        } else {
            assert_eq!(bad_line.what, Problem::Count { stated: SIZE, found: SIZE - 1 });
        }
        // Once more, anywhere later.
        for after in [n, (n + 7).min(SIZE)] {
            let mut copy = export.clone();
            copy.insert(at(after) + 1, export[at(n)].clone());
            let bad_line = bad(&joined(&copy));
            assert_eq!((bad_line.seq, bad_line.what), (Some(n), Problem::Order { after }));
        }
        for other in n + 1..=SIZE.min(n + 5) {
            let mut copy = export.clone();
            copy.swap(at(n), at(other));
            assert_eq!(bad(&joined(&copy)).seq, Some(n), "{other} for {n}");
        }
    }
}

#[test]
fn a_cut_export_is_found_wherever_it_was_cut() {
    let export = history(SIZE, &usual).whole();
    let whole = lines(&export);
    for n in 0..whole.len() {
        let bad_line = bad(&joined(&whole[..n]));
        assert_eq!((bad_line.line, bad_line.what), (n as u64 + 1, Problem::Cut));
    }
    for n in (0..export.len()).filter(|n| export.is_char_boundary(*n)) {
        assert_eq!(bad(&export[..n]).what, Problem::Cut);
    }
    // Cut, and ended as if it were whole.
    for n in 1..SIZE {
        let mut copy = whole[..=at(n)].to_vec();
        copy.push(format!("{{\"end\":{{\"entries\":{n}}}}}"));
        assert_eq!(bad(&joined(&copy)).what, Problem::Count { stated: SIZE, found: n });
    }
    assert_eq!(bad(&(export + "\n")).what, Problem::AfterEnd);
}

#[test]
fn entries_of_another_log_are_named_with_their_own_proofs_and_with_ours() {
    let ours = lines(&history(SIZE, &usual).whole());
    for n in 1..=SIZE {
        let theirs = lines(&other_at(n).whole());
        for from_there in [theirs[at(n)].clone(), {
            let (old, new) = (member(&ours[at(n)], "payload"), member(&theirs[at(n)], "payload"));
            let event = &theirs[at(n)][theirs[at(n)].find("\"event\":").unwrap()..];
            let event = &event[..event.find(",\"payload\"").unwrap()];
            let line = &ours[at(n)];
            let own = &line[line.find("\"event\":").unwrap()..];
            let own = &own[..own.find(",\"payload\"").unwrap()];
            line.replace(old, new)
                .replace(own, event)
                .replace(member(line, "id"), member(&theirs[at(n)], "id"))
        }] {
            let mut copy = ours.clone();
            copy[at(n)] = from_there;
            let bad_line = bad(&joined(&copy));
            assert_eq!(bad_line.seq, Some(n));
            assert!(matches!(bad_line.what, Problem::NotInTree(ProofError::Entry { .. })), "{bad_line}");
        }
        // All that follows is theirs too: the checkpoint is still ours.
        let copy = [&ours[..at(n)], &theirs[at(n)..]].concat();
        assert_eq!(bad(&joined(&copy)).seq, Some(n));
    }
}

#[test]
fn all_hashes_made_anew_without_the_key_are_of_no_use() {
    for n in 1..=SIZE {
        let other = other_at(n);
        let forger = grown(other.events, other.payloads, signer(66));
        // Signed with the forger's own key, which the export names as the log's.
        let export = forger.whole();
        assert!(matches!(bad(&export).what, Problem::Checkpoint(_)));
        // Who has no key believes it, and is told so.
        let report = Auditor::new().verify(export.as_bytes(), |_| {}).unwrap();
        assert!(!report.proven);
        // With the true checkpoint the first entry that differs is named.
        let (mut copy, ours) = (lines(&export), lines(&history(SIZE, &usual).whole()));
        copy[1].clone_from(&ours[1]);
        assert_eq!(bad(&joined(&copy)).seq.unwrap(), 1, "the first proof leads to another root");
    }
}

#[test]
fn a_fork_is_found_by_who_has_an_older_checkpoint() {
    let ours = history(SIZE, &usual);
    for n in 1..=SIZE {
        // The key's holder writes another history from the n-th event on.
        let fork = other_at(n);
        for export in [fork.whole(), fork.of_record(n % 4, &(0..=SIZE).collect::<Vec<_>>())] {
            verify(&export).unwrap();
            for size in 1..=SIZE {
                let mut auditor = auditor();
                auditor.older("mine", ours.checkpoint(size).to_string());
                let result = auditor.verify(export.as_bytes(), |_| {});
                if size < n {
                    result.unwrap();
                } else {
                    assert!(matches!(found(result).what, Problem::Rewritten { .. }), "{n} {size}");
                }
            }
        }
    }
}

#[test]
fn a_checkpoint_played_back_is_found() {
    let ours = history(SIZE, &usual);
    for size in 0..SIZE {
        // An old export is a true one; who has seen more is told.
        let old = history(size, &usual).whole();
        verify(&old).unwrap();
        let mut auditor = auditor();
        auditor.older("later", ours.checkpoint(SIZE).to_string());
        let what = found(auditor.verify(old.as_bytes(), |_| {})).what;
        assert_eq!(what, Problem::Ahead { label: "later".into(), older: SIZE, size });
        // An old checkpoint over newer entries.
        let (mut copy, old) = (lines(&ours.whole()), lines(&old));
        copy[1].clone_from(&old[1]);
        assert_eq!(bad(&joined(&copy)).seq, Some(1));
    }
}

#[test]
fn an_event_kept_back_from_a_record_is_found() {
    let history = history(SIZE, &usual);
    let export = lines(&history.of_record(2, &[]));
    let versions = SIZE / 4;
    for n in 1..=versions {
        // With all proofs made for what is left, as an exporter would that keeps it back.
        let seqs = (1..=SIZE).filter(|seq| seq % 4 == 2 && *seq != n * 4 - 2);
        let kept_back = history.export(Scope::Record("permit/2".into()), seqs, &[]);
        let bad_line = bad(&kept_back);
        if n < versions {
            assert_eq!(bad_line.what, Problem::VersionGap { expected: n, found: n + 1 });
        } else {
            let (said, shown) = (format!("{versions} events"), format!("{} events", versions - 1));
            assert_eq!(bad_line.what, Problem::RecordEnd { said, shown });
        }
    }
    // Without what the log says, or with what it said of another or earlier.
    let head = export.len() - 2;
    let mut copy = export.clone();
    copy.remove(head);
    assert!(matches!(bad(&joined(&copy)).what, Problem::OutOfPlace { .. }));
    for other in
        [history.record_head("permit/1"), crate::common::history(SIZE - 4, &usual).record_head("permit/2")]
    {
        let mut copy = export.clone();
        copy[head] = serde_json::to_string(&serde_json::json!({ "record_head": other.to_string() })).unwrap();
        assert!(matches!(bad(&joined(&copy)).what, Problem::RecordEnd { .. }));
    }
    // Under another record's name.
    let renamed = joined(&export).replacen("permit/2", "permit/9", 1);
    let bad_line = bad(&renamed);
    assert_eq!(
        (bad_line.seq, bad_line.what),
        (Some(2), Problem::OtherRecord { expected: "permit/9".into() })
    );
}

#[test]
fn a_link_to_an_event_that_is_no_leaf_is_worth_nothing() {
    // CVE-2022-36111: an event that exists only as what another one names before it.
    let ours = history(SIZE, &usual);
    for n in 2..=SIZE / 4 {
        let seq = n * 4 - 2;
        let (mut events, mut payloads) = (ours.events.clone(), ours.payloads.clone());
        let mut hidden = events[seq as usize - 5].clone();
        hidden.body = other_at(seq - 4).events[seq as usize - 5].body.clone();
        let hidden = rmp_serde::to_vec_named(&hidden).unwrap();
        let event = &mut events[seq as usize - 1];
        event.prev = hms_sync_model::EventId(*blake3::hash(&hidden).as_bytes());
        payloads[seq as usize - 1] = rmp_serde::to_vec_named(event).unwrap();
        let log = grown(events, payloads, signer(1));
        // The log's own events do not hang together.
        let bad_line = bad(&log.of_record(2, &[]));
        assert_eq!((bad_line.seq, bad_line.what), (Some(seq), Problem::Prev));
        // The hidden one in its predecessor's place is linked, and is no leaf.
        let mut copy = lines(&log.of_record(2, &[]));
        let lying = other_at(seq - 4);
        copy[at(n - 1)].clone_from(&lines(&lying.of_record(2, &[]))[at(n - 1)]);
        let bad_line = bad(&joined(&copy));
        assert_eq!(bad_line.seq, Some(seq - 4));
        assert!(matches!(bad_line.what, Problem::NotInTree(_)), "{bad_line}");
    }
}

#[test]
fn what_is_shown_beside_the_bytes_is_what_they_say() {
    let export = lines(&history(SIZE, &usual).whole());
    for n in 1..=SIZE {
        let edits = [
            (format!("\"words\":\"the {n}."), String::new(), "event"),
            (format!("the {n}. word"), "the last word".to_owned(), "event"),
            ("\"record\":\"permit/".to_owned(), "\"record\":\"permit/1".to_owned(), "record"),
            ("\"version\":".to_owned(), "\"version\":1".to_owned(), "version"),
            ("2023-".to_owned(), "2024-".to_owned(), "at"),
        ];
        for (from, to, member) in edits.iter().skip(1) {
            let mut copy = export.clone();
            copy[at(n)] = copy[at(n)].replacen(from, to, 1);
            assert_ne!(copy, export);
            let bad_line = bad(&joined(&copy));
            assert_eq!((bad_line.seq, bad_line.what), (Some(n), Problem::Shown { member }));
        }
        let mut copy = export.clone();
        copy[at(n)] = copy[at(n)].replacen("{\"seq\"", "{\"note\":\"checked\",\"seq\"", 1);
        assert!(matches!(bad(&joined(&copy)).what, Problem::NotALine { .. }));
    }
    assert!(export[0].contains(ORIGIN));
}

#[test]
fn junk_is_refused_in_words() {
    let deep = format!("{{\"export\":{}", "[".repeat(100_000));
    for junk in ["\n", "{}\n", "[]\n", "null\n", "\u{0}\n", "{\"end\":{\"entries\":0}}\n", &(deep + "\n")] {
        let bad_line = bad(junk);
        assert_eq!(bad_line.line, 1, "{bad_line}");
    }
    assert_eq!(bad("").what, Problem::Cut);
    let newer = history(1, &usual).whole().replacen("\"format\":1", "\"format\":2", 1);
    assert_eq!(bad(&newer).what, Problem::Format { found: 2 });
    let endless = std::io::BufReader::new(std::io::repeat(b' '));
    assert_eq!(found(auditor().verify(endless, |_| {})).what, Problem::TooLong);
}
