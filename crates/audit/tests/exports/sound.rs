//! What a log wrote verifies, and it is said what that does not prove.

use crate::common::{ORIGIN, auditor, history, key, signer, usual, verify};
use hms_sync_audit::{AuditError, Auditor, BadLine, Problem, Range, Scope};
use hms_sync_proof::{Note, Signer, SigningKey};

#[test]
fn the_whole_of_a_log_of_any_size_verifies() {
    for size in [0, 1, 2, 3, 7, 8, 9, 64, 100] {
        let history = history(size, &usual);
        let report = verify(&history.whole()).unwrap();
        assert_eq!((report.entries, report.size, report.proven), (size, size, true));
        assert_eq!(report.root, history.heads[size as usize].root.to_string());
        assert!(report.contiguous && report.last.unwrap_or(0) == size);
        assert_eq!(report.not_proven().len(), 1, "{:?}", report.not_proven());
    }
}

#[test]
fn the_whole_history_of_a_record_verifies_and_is_told_from_another() {
    let history = history(30, &usual);
    let export = history.of_record(3, &[]);
    let report = verify(&export).unwrap();
    assert_eq!((report.entries, report.last), (7, Some(27)));
    let mut auditor = auditor();
    auditor.whole_history_of("permit/3");
    auditor.verify(export.as_bytes(), |_| {}).unwrap();
    for other in [history.of_record(2, &[]), history.whole()] {
        let Err(AuditError::Bad(bad)) = auditor.verify(other.as_bytes(), |_| {}) else { panic!() };
        assert_eq!(bad.what, Problem::OtherScope { expected: "permit/3".into() });
    }
}

#[test]
fn a_part_says_that_it_is_one() {
    let history = history(30, &usual);
    let part = || Scope::Part([("side".to_owned(), "clerk".to_owned())].into());
    let report = verify(&history.export(part(), [3, 4, 9, 30], &[])).unwrap();
    assert!(!report.contiguous && report.not_proven().iter().any(|open| open.contains("left out")));
    let report = verify(&history.export(part(), 10..=20, &[])).unwrap();
    assert!(report.contiguous && report.not_proven().iter().any(|open| open.contains("before the first")));
    assert_eq!((report.first, report.last), (Some(10), Some(20)));
    verify(&history.export(part(), [], &[])).unwrap();
}

#[test]
fn without_a_key_it_is_said_what_is_not_proven() {
    let export = history(9, &usual).whole();
    let report = Auditor::new().verify(export.as_bytes(), |_| {}).unwrap();
    assert!(!report.proven && report.not_proven()[0].contains(ORIGIN));
}

#[test]
fn older_checkpoints_fit_by_a_proof_or_by_the_entries() {
    let history = history(30, &usual);
    let some: Vec<u64> = (0..=30).collect();
    for export in [history.whole(), history.of_record(1, &some)] {
        for size in 0..=30 {
            let mut auditor = auditor();
            auditor.older("old", history.checkpoint(size).to_string());
            let report = auditor.verify(export.as_bytes(), |_| {}).unwrap();
            assert_eq!(report.older, [size]);
            assert!(report.not_proven().is_empty());
        }
    }
    let mut auditor = auditor();
    auditor.older("old.txt", history.checkpoint(12).to_string());
    let Err(AuditError::Bad(bad)) = auditor.verify(history.of_record(1, &[11]).as_bytes(), |_| {}) else {
        panic!()
    };
    assert_eq!(bad.what, Problem::NoProof { label: "old.txt".into(), older: 12 });
}

#[test]
fn a_known_witness_is_named() {
    let history = history(9, &usual);
    let witness = Signer::new("witness.example/w".parse().unwrap(), SigningKey::from_seed(&[9; 32]));
    let mut note: Note = history.checkpoint(9);
    let checkpoint = hms_sync_proof::Checkpoint::new(ORIGIN, history.heads[9]).unwrap();
    note.add(witness.cosign(&checkpoint, 1_700_000_000).unwrap()).unwrap();
    let plain = serde_json_text(&history.checkpoint(9).to_string());
    let export = history.whole().replace(&plain, &serde_json_text(&note.to_string()));
    let mut auditor = auditor();
    assert_eq!(auditor.verify(export.as_bytes(), |_| {}).unwrap().witnesses, []);
    auditor.witness(witness.cosigner_key());
    let report = auditor.verify(export.as_bytes(), |_| {}).unwrap();
    assert_eq!(report.witnesses[0].time, Some(1_700_000_000));
    assert!(report.not_proven().is_empty());
}

fn serde_json_text(text: &str) -> String {
    serde_json::to_string(text).unwrap()
}

#[test]
fn keys_and_checkpoints_of_the_wrong_kind_are_refused_in_words() {
    let history = history(9, &usual);
    let export = history.whole();
    let said = |auditor: Auditor| match auditor.verify(export.as_bytes(), |_| {}) {
        Err(why) => match std::error::Error::source(&why) {
            Some(source) => format!("{why}: {source}"),
            None => why.to_string(),
        },
        Ok(report) => panic!("{report:?}"),
    };
    let with = |key: &str| {
        let mut auditor = Auditor::new();
        auditor.key(key.parse().unwrap());
        auditor
    };
    assert!(said(with(&signer(1).cosigner_key().to_string())).contains("is the key of a witness"));
    let other = Signer::new("log.example/other".parse().unwrap(), SigningKey::from_seed(&[1; 32]));
    assert!(said(with(&other.verifier_key().to_string())).contains("the key that was given is of"));
    let mut two = with(&other.verifier_key().to_string());
    two.key(key());
    assert!(said(two).contains("keys of two logs"));
    assert!(said(with(&signer(2).verifier_key().to_string())).contains("checkpoint is not to be believed"));
    let mut old = auditor();
    let note = hms_sync_proof::Checkpoint::new("log.example/other", history.heads[3]).unwrap();
    old.older("theirs.txt", note.sign(&other).unwrap().to_string());
    assert!(said(old).contains("theirs.txt is not one of this log"));
    let mut old = auditor();
    old.older("junk", "no note at all");
    assert!(said(old).contains("not a signed note"));
    let mut witness = auditor();
    witness.witness(signer(1).cosigner_key());
    assert!(said(witness).contains("is not its own witness"));
}

#[test]
fn an_archive_of_a_range_verifies_and_none_of_it_can_be_left_out() {
    let history = history(30, &usual);
    let range = |first, last| Scope::Range(Range { first, last });
    for (first, last) in [(1, 30), (1, 12), (7, 20), (30, 30)] {
        let report = verify(&history.export(range(first, last), first..=last, &[])).unwrap();
        assert_eq!((report.first, report.last, report.contiguous), (Some(first), Some(last), true));
        assert_eq!(report.not_proven().len(), 1, "{:?}", report.not_proven());
    }
    let bad = |seqs: Vec<u64>| -> BadLine {
        match verify(&history.export(range(7, 20), seqs, &[])) {
            Err(AuditError::Bad(bad)) => *bad,
            other => panic!("{other:?}"),
        }
    };
    for gone in 7..20 {
        let bad = bad((7..=20).filter(|seq| *seq != gone).collect());
        assert_eq!((bad.seq, bad.what), (Some(gone), Problem::Missing));
    }
    assert_eq!(bad((7..=19).collect()).what, Problem::Count { stated: 20, found: 19 });
    assert_eq!(bad(Vec::new()).what, Problem::Count { stated: 20, found: 0 });
    for outside in [(6..=20), (7..=21)] {
        assert_eq!(bad(outside.collect()).what, Problem::OutOfRange { first: 7, last: 20 });
    }
}
