//! Checkpoints and cosignatures: published ones, the form in every detail, and whom a
//! verifier believes.

use crate::notes::{checkpoint, signer};
use hms_sync_proof::{
    Checkpoint, CheckpointError, NoteError, NoteSignature, ProofError, SignatureType, TreeHash, TreeHead,
    Trust, VerifierKey,
};

/// The example of C2SP tlog-checkpoint and tlog-cosignature (keys not published).
const SOFA: &str = "example.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n\n\
     — example.com/behind-the-sofa Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/Zhcyv2q1gGzGku9nTo+zyWE+xeMcTOAYQ8=\n\
     — witness.example.com/w1 jWbPPwAAAABkGFDLEZMHwSRaJNiIDoe9DYn/zXcrtPHeolMI5OWXEhZCB9dlrDJsX3b2oyin1nPZqhf5nNo0xUe+mbIUBkBIfZ+qnA==\n";

/// A checkpoint of a public log as it was served, with signatures of several kinds and
/// cosignatures of public witnesses; the keys are those that log and witnesses publish.
const ARCHE: &str = "arche2025h1.staging.ct.transparency.dev\n1432088532\nU7WM79jrzyhGZ5/GUBTpM7NzwdyfFx61t3RovgcC4Ro=\n\n\
     — arche2025h1.staging.ct.transparency.dev zTM8sQAAAZ5W0WdjBAMARjBEAiBjW5IQf9pvsYLfQFX6hoGREPMHbdQ3urbllzalApkptQIgIpwtEroeW2BXaHAI4kJXFbon5Ch9MNL5zRNZ55lvGt0=\n\
     — arche2025h1.staging.ct.transparency.dev ui8GwCF1+kWqZrxGdhj4aX3gcw7XUlXQQabg/27lefwhUkzbC3NygNI75MdhL1bfTW9g8Ei59RA23oHP7Ry1k3ZFWwQ=\n\
     — transparency.dev/DEV:witness-little-garden 2AQqhwAAAABqEiEgzgFIqqhbUoDwjMWE6UP8nd8/KYTzwZ2rhIgcqoXHAwVkjZr4AscylP3v7sEodkRAErumC2q44vdgJY096st5BQ==\n\
     — witness1.smartit.nu/witness1 pIyCDwAAAABqEiEghIp82KWebrw7/oHQwlTAm3g2RKS4+eebl8eO0WH+/iEcxZ75W3u5hNI7TOQtmJbqmNWVuE0tgh0XwzdZsDsUAQ==\n\
     — remora.n621.de 2net5wAAAABqEiEgPlfF3V06o0Y+fHM+J5J9s27wgxxcOVSpZ/2g/KSiXCg9DEZI+aVCIobWX9sXTynk5XeU/zZ0WBxtqB0DrAWfBw==\n\
     — witness.stagemole.eu Z/euoAAAAABqEiEgw0i+7g2ENfDAWHmtRzCfKTHSDwYDJA2NmKeGi9Y8FtEyOUvVr+AJmIY/2TUFucgKi7lI7cUiOvKFYe/TmN9DAg==\n";
const ARCHE_KEY: &str =
    "arche2025h1.staging.ct.transparency.dev+ba2f06c0+AU0vHmlGCS/PdN8b2OaGmKprLI8HKM+dJ472xgFYh15f";
const ARCHE_WITNESSES: [&str; 4] = [
    "transparency.dev/DEV:witness-little-garden+d8042a87+BCtusOxINQNUTN5Oj8HObRkh2yHf/MwYaGX4CPdiVEPM",
    "witness1.smartit.nu/witness1+a48c820f+BPSFWg9G6KPiO7QPryYO5Xq4oYJJ+kAvLKLSimDhoxMO",
    "remora.n621.de+da77ade7+BOvN63jn/bLvkieywe8R6UYAtVtNbZpXh34x7onlmtw2",
    "witness.stagemole.eu+67f7aea0+BEqSG3yu9YrmcM3BHvQYTxwFj3uSWakQepafafpUqklv",
];

const ORIGIN: &str = "log.example/permits";

fn arche() -> Trust {
    let witnesses = ARCHE_WITNESSES.map(|key| key.parse().unwrap());
    Trust::new("arche2025h1.staging.ct.transparency.dev", [ARCHE_KEY.parse().unwrap()], witnesses).unwrap()
}

fn trust(witnesses: impl IntoIterator<Item = VerifierKey>) -> Trust {
    Trust::new(ORIGIN, [signer(ORIGIN, 1).verifier_key()], witnesses).unwrap()
}

#[test]
fn the_published_checkpoint_is_read_and_written_back() {
    let (text, _) = SOFA.split_once("\n\n").unwrap();
    let text = format!("{text}\n");
    let checkpoint: Checkpoint = text.parse().unwrap();
    assert_eq!(checkpoint.origin(), "example.com/behind-the-sofa");
    assert_eq!(checkpoint.head().size, 20_852_163);
    assert_eq!(checkpoint.head().root.to_string(), "CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=");
    assert_eq!(checkpoint.to_string(), text);
    assert_eq!(hms_sync_proof::Note::parse(SOFA.as_bytes()).unwrap().to_string(), SOFA);
}

#[test]
fn a_public_logs_checkpoint_and_its_witnesses_are_verified() {
    let opened = arche().open(ARCHE.as_bytes()).unwrap();
    assert_eq!(opened.checkpoint().head().size, 1_432_088_532);
    assert_eq!(opened.log().len(), 1);
    // 2026-05-23, as the witnesses say; each its own key.
    let said: Vec<_> = opened.witnesses().iter().map(|said| (said.key.to_string(), said.time)).collect();
    assert_eq!(said, ARCHE_WITNESSES.map(|key| (key.to_owned(), Some(0x6a12_2120))));
    let lines = ARCHE.split_once("\n\n").unwrap().1;
    for line in NoteSignature::parse_lines(lines).unwrap().iter().skip(2) {
        assert!(arche().cosignature(opened.checkpoint(), line).unwrap().is_some());
    }
}

#[test]
fn no_bit_of_a_public_logs_checkpoint_can_be_changed() {
    // What is signed by known keys: the text, the log's Ed25519 line, one witness's.
    let lines: Vec<_> = ARCHE.split_inclusive('\n').collect();
    let kept = [&lines[..4], &lines[5..6], &lines[8..9]].concat().concat();
    assert!(arche().open(kept.as_bytes()).unwrap().witnesses().len() == 1);
    let witness_from = kept.rfind('—').unwrap();
    for n in 0..kept.len() {
        for bit in [0, 1, 5, 7] {
            let mut changed = kept.as_bytes().to_vec();
            changed[n] ^= 1 << bit;
            if let Ok(opened) = arche().open(&changed) {
                // The witness's line has become a stranger's.
                assert!(n > witness_from && opened.witnesses().is_empty(), "{n} {bit}");
            }
        }
    }
}

#[test]
fn what_is_signed_is_opened() {
    let log = signer(ORIGIN, 1);
    for size in [0, 1, 1 << 40, u64::MAX] {
        let checkpoint = checkpoint(ORIGIN, size);
        let note = checkpoint.sign(&log).unwrap().to_string();
        let opened = trust([]).open(note.as_bytes()).unwrap();
        assert_eq!(opened.checkpoint(), &checkpoint);
        assert_eq!((opened.log()[0].key.clone(), opened.log()[0].time), (log.verifier_key(), None));
        assert!(opened.witnesses().is_empty());
    }
    let more = checkpoint(ORIGIN, 5).with_extension("one").unwrap().with_extension("two lines").unwrap();
    let note = more.sign(&log).unwrap().to_string();
    let opened = trust([]).open(note.as_bytes()).unwrap();
    assert_eq!(opened.checkpoint().extensions(), ["one", "two lines"]);
}

#[test]
fn cosignatures_are_gathered_one_a_witness() {
    let (log, one, other) = (signer(ORIGIN, 1), signer("one.example", 2), signer("two.example", 3));
    let checkpoint = checkpoint(ORIGIN, 7);
    let trust = trust([one.cosigner_key(), other.cosigner_key()]);
    let mut note = checkpoint.sign(&log).unwrap();
    for (witness, time) in
        [(&one, 100), (&one, 200), (&signer("unknown.example", 4), 300), (&other, i64::MAX as u64)]
    {
        let answer = format!("{}\n", witness.cosign(&checkpoint, time).unwrap());
        for line in NoteSignature::parse_lines(&answer).unwrap() {
            let known = trust.cosignature(&checkpoint, &line).unwrap();
            assert_eq!(known.is_some(), time != 300);
            assert!(known.is_none_or(|said| said.time == Some(time)));
            note.add(line).unwrap();
        }
    }
    let opened = trust.open(note.to_string().as_bytes()).unwrap();
    let said: Vec<_> = opened.witnesses().iter().map(|said| (said.key.name().as_str(), said.time)).collect();
    assert_eq!(said, [("one.example", Some(100)), ("two.example", Some(i64::MAX as u64))]);
}

#[test]
fn a_cosignature_fits_its_checkpoint_and_time_only() {
    let (log, witness) = (signer(ORIGIN, 1), signer("witness.example", 2));
    let trust = trust([witness.cosigner_key()]);
    let right = checkpoint(ORIGIN, 7);
    let line = witness.cosign(&right, 1_679_315_147).unwrap();
    let others = [
        checkpoint(ORIGIN, 8),
        checkpoint("log.example/other", 7),
        Checkpoint::new(ORIGIN, TreeHead { root: TreeHash([8; 32]), ..*right.head() }).unwrap(),
        right.clone().with_extension("more").unwrap(),
    ];
    for other in others {
        trust.cosignature(&other, &line).unwrap_err();
    }
    let (start, text) = (format!("— {} ", line.name()), line.to_string());
    let base64 = text.strip_prefix(&start).unwrap();
    for n in 0..base64.len() {
        for with in ['A', 'B', 'Q', 'w', '/'] {
            let mut changed = base64.to_owned();
            changed.replace_range(n..=n, &with.to_string());
            if changed == base64 {
                continue;
            }
            let Ok(changed) = format!("{start}{changed}").parse::<NoteSignature>() else { continue };
            assert!(!matches!(trust.cosignature(&right, &changed), Ok(Some(_))), "{n} {with}");
        }
    }
    // A plain signature by the same secret key is no cosignature, nor the other way.
    let plain = Checkpoint::new("witness.example", *right.head()).unwrap().sign(&witness).unwrap();
    assert_eq!(trust.cosignature(&right, &plain.signatures()[0]).unwrap(), None);
    assert_eq!(trust.cosignature(&right, &right.sign(&log).unwrap().signatures()[0]).unwrap(), None);
    let plainly = Trust::new(ORIGIN, [log.verifier_key()], [witness.verifier_key()]).unwrap();
    assert_eq!(plainly.cosignature(&right, &plain.signatures()[0]).unwrap(), None);
    assert_eq!(plainly.cosignature(&right, &line).unwrap(), None);
    assert_eq!(witness.cosign(&right, 1 << 63), Err(NoteError::Time { found: 1 << 63 }));
}

#[test]
fn only_the_logs_own_signature_opens() {
    let (log, witness) = (signer(ORIGIN, 1), signer("witness.example", 2));
    let trust = trust([witness.cosigner_key()]);
    let right = checkpoint(ORIGIN, 7);
    let signed = right.sign(&log).unwrap().to_string();
    let (text, _) = signed.split_once("\n\n").unwrap();
    let only = format!("{text}\n\n{}\n", witness.cosign(&right, 1).unwrap());
    assert_eq!(trust.open(only.as_bytes()), Err(CheckpointError::NotByTheLog));
    // Another key under the log's name: unknown, whatever it says.
    let stranger = right.sign(&signer(ORIGIN, 9)).unwrap().to_string();
    assert_eq!(trust.open(stranger.as_bytes()), Err(CheckpointError::Note(NoteError::Unsigned)));
    // After a change of keys either opens, and both do together.
    let changed = Trust::new(ORIGIN, [log.verifier_key(), signer(ORIGIN, 9).verifier_key()], []).unwrap();
    let mut both = right.sign(&log).unwrap();
    both.add(right.sign(&signer(ORIGIN, 9)).unwrap().signatures()[0].clone()).unwrap();
    for (note, keys) in [(signed, 1), (stranger, 1), (both.to_string(), 2)] {
        assert_eq!(changed.open(note.as_bytes()).unwrap().log().len(), keys);
    }
}

#[test]
fn another_logs_checkpoint_is_refused() {
    // One key for two logs: the origin tells them apart.
    let other = signer("log.example/other", 1);
    let trust = Trust::new(ORIGIN, [other.verifier_key()], []).unwrap();
    let note = checkpoint("log.example/other", 7).sign(&other).unwrap().to_string();
    let (expected, found) = (ORIGIN.to_owned(), "log.example/other".to_owned());
    assert_eq!(trust.open(note.as_bytes()), Err(CheckpointError::OtherLog { expected, found }));
    let refused = checkpoint(ORIGIN, 7).sign(&other).unwrap_err();
    assert_eq!(
        refused.to_string(),
        "the key of log.example/other does not sign for log.example/permits: log and key have one name"
    );
}

#[test]
fn a_key_counts_once() {
    let log = signer(ORIGIN, 1);
    let itself = signer("witness.example", 1);
    let refused = Trust::new(ORIGIN, [log.verifier_key()], [itself.cosigner_key()]).unwrap_err();
    assert_eq!(refused, CheckpointError::OwnWitness { name: "witness.example".to_owned() });
    let (one, same) = (signer("one.example", 2), signer("two.example", 2));
    for twice in [[one.cosigner_key(), same.cosigner_key()], [one.cosigner_key(), one.verifier_key()]] {
        let refused = Trust::new(ORIGIN, [log.verifier_key()], twice).unwrap_err();
        assert!(matches!(refused, CheckpointError::OneWitnessTwice { .. }));
    }
    Trust::new(ORIGIN, [log.verifier_key()], [one.cosigner_key(), one.cosigner_key()]).unwrap();
    assert_eq!(one.cosigner_key().kind(), SignatureType::CosignatureV1);
}

#[test]
fn texts_that_are_no_checkpoints_are_refused() {
    let root = TreeHash([7; 32]).to_string();
    let right = format!("log.example\n7\n{root}\n");
    right.parse::<Checkpoint>().unwrap();
    for wrong in [
        String::new(),
        "\n".to_owned(),
        "log.example\n".to_owned(),
        "log.example\n7\n".to_owned(),
        format!("\n7\n{root}\n"),
        format!("log.example\n\n{root}\n"),
        format!("log.example\n07\n{root}\n"),
        format!("log.example\n+7\n{root}\n"),
        format!("log.example\n-7\n{root}\n"),
        format!("log.example\n7 \n{root}\n"),
        format!("log.example\n 7\n{root}\n"),
        format!("log.example\n٧\n{root}\n"),
        format!("log.example\n0x7\n{root}\n"),
        format!("log.example\n00\n{root}\n"),
        format!("log.example\n18446744073709551616\n{root}\n"),
        format!("log.example\n7\n{}\n", &root[..40]),
        format!("log.example\n7\n{}\n", root.trim_end_matches('=')),
        format!("log.example\n7\n{}9=\n", &root[..42]),
        format!("log.example\n7\n{root} \n"),
        format!("log.example\n7\n{root}"),
        format!("log.example\n7\n{root}\n\n"),
        format!("log.example\n7\n{root}\nmore"),
        format!("log.example\n7\n{root}\n\nmore\n"),
        format!("log.example\r\n7\n{root}\n"),
    ] {
        let refused = wrong.parse::<Checkpoint>().unwrap_err();
        assert!(matches!(refused, CheckpointError::Malformed { .. }), "{wrong:?}: {refused}");
    }
    let empty = format!("log.example\n0\n{root}\n").parse::<Checkpoint>().unwrap_err();
    assert_eq!(empty, CheckpointError::Head(ProofError::EmptyRoot { stated: TreeHash([7; 32]) }));
    for origin in ["", "two\nlines", "a\tb"] {
        Checkpoint::new(origin, TreeHead { size: 1, root: TreeHash([1; 32]) }).unwrap_err();
    }
    checkpoint("log.example", 1).with_extension("").unwrap_err();
    checkpoint("log.example", 1).with_extension("two\nlines").unwrap_err();
}
