//! A million cases of each thing that an outsider gives: what is taken is written back as it
//! was, and nothing that was changed is believed.

use crate::model::grown;
use crate::notes::{checkpoint, signer};
use hms_sync_hostile::Reader;
use hms_sync_proof::{
    Checkpoint, ConsistencyProof, Frontier, InclusionProof, KeyName, Note, NoteSignature, TreeHash, TreeHead,
    Trust, VerifierKey,
};

const WORDS: [&str; 14] = [
    "\n",
    "\n\n",
    "— ",
    " ",
    "log.example",
    "witness.example",
    "+",
    "AAAA",
    "=",
    "==",
    "/",
    "7",
    "\u{a0}",
    "\r\n",
];

fn note() -> String {
    let checkpoint = checkpoint("log.example", 7).with_extension("more").unwrap();
    let mut note = checkpoint.sign(&signer("log.example", 1)).unwrap();
    note.add(signer("witness.example", 2).cosign(&checkpoint, 1_795_000_000).unwrap()).unwrap();
    note.to_string()
}

/// A note that is taken says what the sound one says, whoever else has signed it.
#[test]
fn hostile_notes() {
    let witness = signer("witness.example", 2).cosigner_key();
    let trust = Trust::new("log.example", [signer("log.example", 1).verifier_key()], [witness]).unwrap();
    let sound = note();
    let said = sound.split("\n\n").next().unwrap().to_owned() + "\n";
    Reader::new("notes").sound([&sound]).words(WORDS).bytes(|bytes| {
        if let Ok(note) = Note::parse(bytes) {
            assert_eq!(note.to_string().as_bytes(), bytes);
        }
        let Ok(opened) = trust.open(bytes) else { return false };
        assert_eq!(opened.checkpoint().to_string(), said);
        true
    });
}

/// What is read is written back as it was.
fn back<T: std::str::FromStr + ToString>(text: &str) -> bool {
    text.parse::<T>().is_ok_and(|read| {
        assert_eq!(read.to_string(), text);
        true
    })
}

/// What stands in notes and settings, each read by itself.
#[test]
fn hostile_lines_of_notes() {
    let key = signer("log.example", 1).verifier_key().to_string();
    let signature = note().lines().last().unwrap().to_owned();
    let checkpoint = checkpoint("log.example", 7).to_string();
    let hash = TreeHash([7; 32]).to_string();
    Reader::new("lines of notes")
        .sound([key.as_str(), &signature, &checkpoint, &hash, "log.example"])
        .words(WORDS)
        .texts(|text| {
            let lines = NoteSignature::parse_lines(text).is_ok();
            let read = [
                back::<VerifierKey>(text),
                back::<NoteSignature>(text),
                back::<Checkpoint>(text),
                back::<KeyName>(text),
                back::<TreeHash>(text),
            ];
            lines || read.contains(&true)
        });
}

/// Sizes and hashes of any kind prove nothing but what is so.
#[test]
fn hostile_proofs() {
    let grown = grown(70);
    let numbers = |index: u64, size: u64| [index.to_be_bytes(), size.to_be_bytes()].concat();
    let inclusion = |index: u64, size: u64| {
        let path = InclusionProof::prove(&grown.nodes, index, size).unwrap().path_bytes();
        [numbers(index, size), path].concat()
    };
    let consistency = |older: u64, size: u64| {
        [numbers(older, size), ConsistencyProof::prove(&grown.nodes, older, size).unwrap().to_bytes()]
            .concat()
    };
    let sound =
        [inclusion(0, 1), inclusion(33, 70), inclusion(69, 70), consistency(7, 70), consistency(64, 65)];
    let head = |size: u64| {
        let known = usize::try_from(size).ok().and_then(|size| grown.heads.get(size));
        known.copied().unwrap_or(TreeHead { size, root: TreeHash([9; 32]) })
    };
    Reader::new("proofs")
        .sound(sound)
        .words([[0xff; 32].as_slice(), &[0; 32], &grown.ids[33], &[0; 8]])
        .bytes(|bytes| {
            let Some((numbers, path)) = bytes.split_at_checked(16) else { return false };
            let [index, size] =
                [&numbers[..8], &numbers[8..]].map(|n| u64::from_be_bytes(n.try_into().unwrap()));
            if let Ok(frontier) = Frontier::from_bytes(path) {
                assert_eq!(frontier.to_bytes(), path);
            }
            let leaf = usize::try_from(index).ok().and_then(|index| grown.ids.get(index));
            let proof = InclusionProof::from_bytes(index, path);
            let in_it = proof.is_ok_and(|proof| proof.verify(leaf.unwrap_or(&[7; 32]), &head(size)).is_ok());
            assert!(!in_it || leaf.is_some() && size <= 70, "{index} in {size}");
            let proof = ConsistencyProof::from_bytes(path);
            let goes_on = proof.is_ok_and(|proof| proof.verify(&head(index), &head(size)).is_ok());
            assert!(!goes_on || index <= size, "{index} in {size}");
            in_it || goes_on
        });
}
