//! Notes and keys: published examples, the form in every detail, and that nothing
//! changed in a note passes.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hms_sync_proof::{
    Checkpoint, KeyName, KnownKeys, Note, NoteError, NoteSignature, SignatureType, Signer, SigningKey,
    TreeHash, TreeHead, VerifierKey, limits,
};

/// The test vector of C2SP signed-note.
const C2SP: (&str, &str) = (
    "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k",
    "This is an example message.\n\n\
     — example.com/foo Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXppzi2ONncAlTgK7Ztg1ERYNZXsYjOBH3mFXmRKuwHjG1Yu72IneyaQM=\n",
);

/// The test vector of golang.org/x/mod/sumdb/note, the format's first implementation.
const GO: (&str, &str) = (
    "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
    "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n\n\
     — PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n",
);

/// Two seeds of which the keys, called `n`, have one id (found by trying).
const CLASH: [u32; 2] = [16_036, 50_085];

/// The example of C2SP signed-note, of which the key is not published.
const QUASIMODO: &str = "Ognuno sta solo sul cuor della terra\ntrafitto da un raggio di sole:\n\n\
     ed è subito sera.\n\n\
     — quasimodo.example/salvatore NnugSzTjtVAewIS+Z/iJhUPeFDkO/5QQ2i5ddnGITLlC+EhfLW9oJKONrMouFSQU0xMcXxj99ihAQwaqP3ZekRwNtIc=\n";

pub(crate) fn signer(name: &str, seed: u8) -> Signer {
    Signer::new(name.parse().unwrap(), SigningKey::from_seed(&[seed; 32]))
}

pub(crate) fn checkpoint(origin: &str, size: u64) -> Checkpoint {
    let root = if size == 0 { TreeHash::empty() } else { TreeHash([size as u8; 32]) };
    Checkpoint::new(origin, TreeHead { size, root }).unwrap()
}

pub(crate) fn known<const N: usize>(keys: [VerifierKey; N]) -> KnownKeys {
    KnownKeys::new(keys).unwrap()
}

fn refused(note: &[u8], keys: &KnownKeys) -> NoteError {
    match Note::parse(note) {
        Ok(note) => note.verify(keys).unwrap_err(),
        Err(wrong) => wrong,
    }
}

#[test]
fn published_notes_are_verified_and_written_back() {
    for (key, text) in [C2SP, GO] {
        let key: VerifierKey = key.parse().unwrap();
        assert_eq!(key.kind(), SignatureType::Ed25519);
        let note = Note::parse(text.as_bytes()).unwrap();
        let keys = known([key.clone()]);
        let (body, verified) = note.verify(&keys).unwrap();
        assert_eq!(Some(body), text.rsplit_once("\n— ").map(|(body, _)| body));
        assert_eq!((verified.len(), &verified[0].key, verified[0].time), (1, &key, None));
        assert_eq!(note.to_string(), text);
    }
    let poem = Note::parse(QUASIMODO.as_bytes()).unwrap();
    assert_eq!(poem.to_string(), QUASIMODO);
    assert_eq!(poem.signatures()[0].name().as_str(), "quasimodo.example/salvatore");
}

#[test]
fn published_keys_are_written_back() {
    let cosigner = "remora.n621.de+da77ade7+BOvN63jn/bLvkieywe8R6UYAtVtNbZpXh34x7onlmtw2";
    let plus = "TEST+7997405c+AQcC+FTVKf0jlTdHDY3rbevmnKxxPjigCXlVtGe6RIr6";
    for text in [C2SP.0, GO.0, cosigner, plus] {
        assert_eq!(text.parse::<VerifierKey>().unwrap().to_string(), text);
    }
    let key: VerifierKey = cosigner.parse().unwrap();
    assert_eq!((key.kind(), key.id().to_string().as_str()), (SignatureType::CosignatureV1, "da77ade7"));
}

#[test]
fn the_go_signer_key_signs_the_same() {
    // Type 0x01 and seed of "PRIVATE+KEY+PeterNeumann+c74f20a3+…", as published.
    let seed = [
        0x81, 0x0a, 0x14, 0x02, 0xd5, 0x14, 0x6c, 0x8d, 0x84, 0xf2, 0x44, 0x33, 0x30, 0xf5, 0x40, 0x80, 0xeb,
        0xf9, 0x8e, 0xe1, 0x7d, 0x9c, 0x74, 0xf6, 0x25, 0x2f, 0xc5, 0xd5, 0xc7, 0x28, 0x31, 0x73,
    ];
    let name: KeyName = "PeterNeumann".parse().unwrap();
    let signer = Signer::new(name, SigningKey::from_seed(&seed));
    assert_eq!(signer.verifier_key().to_string(), GO.0);
}

#[test]
fn no_bit_of_a_note_can_be_changed() {
    let (key, text) = C2SP;
    let keys = known([key.parse().unwrap()]);
    for n in 0..text.len() {
        for bit in 0..8 {
            let mut changed = text.as_bytes().to_vec();
            changed[n] ^= 1 << bit;
            refused(&changed, &keys);
        }
    }
    for n in 0..text.len() {
        refused(&text.as_bytes()[..n], &keys);
        let mut less = text.as_bytes().to_vec();
        less.remove(n);
        refused(&less, &keys);
        for byte in [b'\n', b' ', b'=', b'A'] {
            let mut more = text.as_bytes().to_vec();
            more.insert(n, byte);
            refused(&more, &keys);
        }
    }
    refused(&[text.as_bytes(), b"\n"].concat(), &keys);
    refused(&[text.as_bytes(), text.as_bytes()].concat(), &keys);
}

/// The order of Ed25519's group (RFC 8032 §5.1), little-endian.
const ORDER: [u8; 32] = [
    0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14, 0, 0, 0,
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
];

#[test]
fn a_signature_has_one_form() {
    // A signature's second half plus the group's order is the same to a verifier that
    // does not look (RFC 8032 §5.1.7).
    let (key, text) = C2SP;
    let base64 = text.trim_end().rsplit_once(' ').unwrap().1;
    let mut bytes = STANDARD.decode(base64).unwrap();
    let mut carry = 0;
    for (byte, more) in bytes[36..].iter_mut().zip(ORDER) {
        let sum = u16::from(*byte) + u16::from(more) + carry;
        (*byte, carry) = (sum as u8, sum >> 8);
    }
    assert_eq!(carry, 0);
    let changed = text.replace(base64, &STANDARD.encode(bytes));
    let wrong = refused(changed.as_bytes(), &known([key.parse().unwrap()]));
    assert!(matches!(wrong, NoteError::WrongSignature { .. }), "{wrong}");
}

#[test]
fn no_bit_of_a_key_can_be_changed() {
    for (key, _) in [C2SP, GO] {
        for n in 0..key.len() {
            for bit in 0..8 {
                let mut changed = key.as_bytes().to_vec();
                changed[n] ^= 1 << bit;
                if let Ok(changed) = std::str::from_utf8(&changed) {
                    changed.parse::<VerifierKey>().unwrap_err();
                }
            }
            key[..n].parse::<VerifierKey>().unwrap_err();
            key[n + 1..].parse::<VerifierKey>().unwrap_err();
        }
        for more in [" ", "\n", "=", "A", "+"] {
            format!("{key}{more}").parse::<VerifierKey>().unwrap_err();
        }
    }
}

#[test]
fn keys_that_are_none_are_refused_in_words() {
    let said = |key: &str| key.parse::<VerifierKey>().unwrap_err().to_string();
    assert_eq!(said("name"), "not a verifier key (name+id+key): it has no id");
    assert_eq!(said("name+00000000"), "not a verifier key (name+id+key): it has no key");
    assert_eq!(said("+00000000+AA=="), NoteError::KeyName.to_string());
    assert_eq!(said("a name+00000000+AA=="), NoteError::KeyName.to_string());
    assert_eq!(
        said("name+00000000+BgAA"),
        "a verifier key of type 0x06; known are 0x01 (Ed25519) and 0x04 (cosignature/v1)"
    );
    assert_eq!(said("name+00000000+AQAA"), "not a verifier key (name+id+key): an Ed25519 key has 32 bytes");
    // The identity, the simplest key of small order: type 0x01, then 1 and 31 zeros.
    assert_eq!(
        said("name+00000000+AQEAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"),
        "not a verifier key (name+id+key): the bytes are not a usable Ed25519 key"
    );
    let upper = C2SP.0.replace("530d903a", "530D903A");
    assert_eq!(said(&upper), "not a verifier key (name+id+key): the id is not that of this name and key");
}

#[test]
fn forms_that_are_no_notes_are_refused() {
    let (key, text) = C2SP;
    let keys = known([key.parse().unwrap()]);
    let (body, line) = text.split_once("\n\n").unwrap();
    for wrong in [
        String::new(),
        "\n".to_owned(),
        "\n\n".to_owned(),
        "\n\n\n".to_owned(),
        format!("{body}\n\n"),
        format!("{body}\n{line}"),
        format!("{body}\r\n\r\n{line}"),
        format!("{body}\t\n\n{line}"),
        format!("{body}\0\n\n{line}"),
        format!("{body}\n\n{}", line.trim_end()),
        format!("{body}\n\n{line}\n"),
        format!("{body}\n\n{line}{body}\n"),
        format!("{body}\n\n{}", line.replace('—', "-")),
        format!("{body}\n\n{}", line.replace('—', "——")),
        format!("{body}\n\n {line}"),
        format!("{body}\n\n{}", line.replace(" Uw", "  Uw")),
        format!("{body}\n\n{}", line.replace("aQM=", "aQM")),
        format!("{body}\n\n{}", line.replace("aQM=", "aQN=")),
        format!("{body}\n\n{}", line.replace("foo", "foo+")),
        format!("{body}\n\n— example.com/foo Uw2QOg==\n"),
        format!("{body}\n\n— example.com/foo Uw2Q\n"),
    ] {
        let why = refused(wrong.as_bytes(), &keys);
        let form = matches!(why, NoteError::Malformed { .. } | NoteError::MalformedLine { .. });
        assert!(form || why == NoteError::KeyName, "{wrong:?}: {why}");
    }
    assert_eq!(refused(&[text.as_bytes(), &[0xff]].concat(), &keys), Note::parse(b"\xff").unwrap_err());
}

#[test]
fn unknown_signatures_are_passed_over() {
    let (key, text) = C2SP;
    let known_line = text.rsplit_once("\n\n").unwrap().1;
    let keys = known([key.parse().unwrap()]);
    // By others, of other kinds and lengths; by the same name with another id; by the
    // same id with another name.
    let others = "— elsewhere.example/log AAAAAAA=\n— example.com/foo AAAAAAEC\n— example.com/bar Uw2QOgEC\n";
    for lines in [format!("{others}{known_line}"), format!("{known_line}{others}")] {
        let note = Note::parse(format!("This is an example message.\n\n{lines}").as_bytes()).unwrap();
        assert_eq!(note.signatures().len(), 4);
        let (_, verified) = note.verify(&keys).unwrap();
        assert_eq!(verified.len(), 1);
    }
    let alone = format!("This is an example message.\n\n{others}");
    assert_eq!(refused(alone.as_bytes(), &keys), NoteError::Unsigned);
    assert_eq!(refused(text.as_bytes(), &KnownKeys::default()), NoteError::Unsigned);
}

#[test]
fn a_known_keys_wrong_signature_spoils_the_note() {
    let (log, witness) = (signer("log.example", 1), signer("witness.example", 2));
    let checkpoint = checkpoint("log.example", 3);
    let mut note = checkpoint.sign(&log).unwrap();
    let other = Checkpoint::new("log.example", TreeHead { size: 4, ..*checkpoint.head() }).unwrap();
    note.add(witness.cosign(&other, 5).unwrap()).unwrap();
    let both = known([log.verifier_key(), witness.cosigner_key()]);
    let wrong = note.verify(&both).unwrap_err();
    assert!(matches!(wrong, NoteError::WrongSignature { .. }), "{wrong}");
    note.verify(&known([log.verifier_key()])).unwrap();
    // Also if a right one stands before it.
    let mut note = checkpoint.sign(&log).unwrap();
    note.add(checkpoint.sign(&log).unwrap().signatures()[0].clone()).unwrap();
    assert_eq!(note.verify(&both).unwrap().1.len(), 1);
    note.add(other.sign(&log).unwrap().signatures()[0].clone()).unwrap();
    note.verify(&both).unwrap_err();
}

#[test]
fn limits_are_kept() {
    let (key, text) = C2SP;
    let keys = known([key.parse().unwrap()]);
    let line = "— elsewhere.example/log AAAAAAA=\n";
    let many = |count: usize| format!("{text}{}", line.repeat(count));
    Note::parse(many(limits::SIGNATURES_MAX - 1).as_bytes()).unwrap().verify(&keys).unwrap();
    assert_eq!(refused(many(limits::SIGNATURES_MAX).as_bytes(), &keys), NoteError::TooManySignatures);
    let large = format!("{}{text}", "x".repeat(limits::NOTE_BYTES_MAX));
    assert_eq!(refused(large.as_bytes(), &keys), NoteError::TooLarge { found: large.len() });
    // 16 signatures of 5 KB, as signed-note demands.
    let line = format!("— elsewhere.example/log {}\n", "AAAA".repeat(5_000 / 3));
    let large = format!("{text}{}", line.repeat(15));
    Note::parse(large.as_bytes()).unwrap().verify(&keys).unwrap();
    let mut note = checkpoint("log.example", 3).sign(&signer("log.example", 1)).unwrap();
    let again = note.signatures()[0].clone();
    for _ in 1..limits::SIGNATURES_MAX {
        note.add(again.clone()).unwrap();
    }
    assert_eq!(note.add(again), Err(NoteError::TooManySignatures));
}

#[test]
fn lines_alone_are_read_as_a_witness_sends_them() {
    let lines = "— a.example AAAAAAEC\n— b.example AAAAAAED\n";
    let read = NoteSignature::parse_lines(lines).unwrap();
    assert_eq!(read.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n") + "\n", lines);
    for wrong in ["", "\n", "— a.example AAAAAAEC", "— a.example AAAAAAEC\n\n", "\n— a.example AAAAAAEC\n"]
    {
        NoteSignature::parse_lines(wrong).unwrap_err();
    }
    let many = "— a.example AAAAAAEC\n".repeat(limits::SIGNATURES_MAX + 1);
    assert_eq!(NoteSignature::parse_lines(&many), Err(NoteError::TooManySignatures));
}

#[test]
fn keys_that_a_line_would_confuse_are_not_known_together() {
    let key = |seed: u32| {
        let mut bytes = [0; 32];
        bytes[..4].copy_from_slice(&seed.to_be_bytes());
        Signer::new("n".parse().unwrap(), SigningKey::from_seed(&bytes)).verifier_key()
    };
    let [one, other] = CLASH.map(key);
    assert!(one != other && one.id() == other.id());
    let (name, id) = (one.name().clone(), one.id());
    assert_eq!(KnownKeys::new([one.clone(), other]).unwrap_err(), NoteError::Ambiguous { name, id });
    KnownKeys::new([one.clone(), one, key(0)]).unwrap();
}

#[test]
fn a_signing_key_never_shows_itself() {
    let key = SigningKey::from_seed(&[0xab; 32]);
    assert_eq!(format!("{key:?} {key:#?}"), "SigningKey(…) SigningKey(…)");
    let shown = format!("{:?}", signer("log.example", 0xab)).to_lowercase();
    assert!(!shown.contains("abab") && !shown.contains("171"), "{shown}");
}

#[test]
fn names_are_those_of_signed_note() {
    for name in ["a", "log.example/permits", "é", "a-b_c:d", "—"] {
        assert_eq!(name.parse::<KeyName>().unwrap().as_str(), name);
    }
    for name in ["", " ", "a b", "a+b", "a\n", "\u{a0}", "a\u{2003}b", "a\u{85}", "\u{7}", "a\0"] {
        assert_eq!(name.parse::<KeyName>(), Err(NoteError::KeyName), "{name:?}");
    }
}
