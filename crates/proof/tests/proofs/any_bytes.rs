//! Bytes of any kind do no harm: nothing panics, and what is taken is written back as
//! it was.

use crate::notes::signer;
use hms_sync_proof::{
    Checkpoint, ConsistencyProof, Frontier, InclusionProof, KeyName, Note, NoteSignature, TreeHash, TreeHead,
    Trust, VerifierKey,
};
use proptest::prelude::*;

fn trust() -> Trust {
    let witness = signer("witness.example", 2).cosigner_key();
    Trust::new("log.example", [signer("log.example", 1).verifier_key()], [witness]).unwrap()
}

fn hashes() -> impl Strategy<Value = Vec<TreeHash>> {
    prop::collection::vec(any::<[u8; 32]>().prop_map(TreeHash), 0..70)
}

fn sizes() -> impl Strategy<Value = u64> {
    prop_oneof![0..100_u64, any::<u64>(), (0..64_u32).prop_map(|n| 1 << n), Just(u64::MAX)]
}

/// Text that is near to a note: its parts, in any order.
fn notelike() -> impl Strategy<Value = String> {
    let parts = prop_oneof![
        Just("\n".to_owned()),
        Just("\n\n".to_owned()),
        Just("— ".to_owned()),
        Just(" ".to_owned()),
        Just("log.example".to_owned()),
        Just("AAAAAAEC".to_owned()),
        Just("7".to_owned()),
        Just(TreeHash([7; 32]).to_string()),
        Just("+".to_owned()),
        ".{0,5}",
    ];
    prop::collection::vec(parts, 0..24).prop_map(|parts| parts.concat())
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn bytes_as_a_note(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        prop_assert!(trust().open(&bytes).is_err());
        if let Ok(note) = Note::parse(&bytes) {
            prop_assert_eq!(note.to_string().into_bytes(), bytes);
        }
    }

    #[test]
    fn text_as_everything(text in notelike()) {
        prop_assert!(trust().open(text.as_bytes()).is_err());
        if let Ok(note) = Note::parse(text.as_bytes()) {
            prop_assert_eq!(note.to_string(), text.as_str());
        }
        if let Ok(checkpoint) = text.parse::<Checkpoint>() {
            prop_assert_eq!(checkpoint.to_string(), text.as_str());
        }
        if let Ok(line) = text.parse::<NoteSignature>() {
            prop_assert_eq!(line.to_string(), text.as_str());
        }
        if let Ok(name) = text.parse::<KeyName>() {
            prop_assert_eq!(name.as_str(), text.as_str());
        }
        if let Ok(hash) = text.parse::<TreeHash>() {
            prop_assert_eq!(hash.to_string(), text.as_str());
        }
        prop_assert!(text.parse::<VerifierKey>().is_err());
    }

    #[test]
    fn checkpoints_of_any_kind_come_back(
        origin in "[^\\x00-\\x1f]{1,40}",
        size in 1..=u64::MAX,
        root in any::<[u8; 32]>(),
        more in prop::collection::vec("[^\\x00-\\x1f]{1,20}", 0..4),
    ) {
        let checkpoint = Checkpoint::new(&origin, TreeHead { size, root: TreeHash(root) }).unwrap();
        let checkpoint = more.iter().try_fold(checkpoint, |sum, line| sum.with_extension(line)).unwrap();
        prop_assert_eq!(checkpoint.to_string().parse::<Checkpoint>().unwrap(), checkpoint);
    }

    #[test]
    fn hashes_as_proofs(index in sizes(), size in sizes(), older in sizes(), path in hashes(), root in any::<[u8; 32]>()) {
        let head = TreeHead { size, root: TreeHash(root) };
        let proof = InclusionProof { index, path: path.clone() };
        prop_assert!(proof.verify(&[1; 32], &head).is_err());
        let before = TreeHead { size: older, root: TreeHash([9; 32]) };
        let proof = ConsistencyProof { path };
        prop_assert!(proof.verify(&before, &head).is_err());
    }

    #[test]
    fn bytes_as_stored_things(index in sizes(), bytes in prop::collection::vec(any::<u8>(), 0..2_200)) {
        if let Ok(frontier) = Frontier::from_bytes(&bytes) {
            prop_assert_eq!(frontier.to_bytes(), bytes.as_slice());
        }
        if let Ok(proof) = InclusionProof::from_bytes(index, &bytes) {
            prop_assert_eq!(proof.path_bytes(), bytes.as_slice());
            prop_assert!(bytes.len() <= 65 * 32);
        }
        if let Ok(proof) = ConsistencyProof::from_bytes(&bytes) {
            prop_assert_eq!(proof.to_bytes(), bytes);
        }
    }

    #[test]
    fn frontiers_of_any_size_take_a_leaf(size in sizes(), seed in any::<u8>()) {
        let peaks = vec![seed; 32 * size.count_ones() as usize];
        let mut tree = Frontier::from_bytes(&[size.to_be_bytes().as_slice(), &peaks].concat()).unwrap();
        let appended = tree.append(TreeHash::leaf(&[seed]));
        prop_assert_eq!(appended.is_err(), size == u64::MAX);
        prop_assert_eq!(tree.to_bytes().len(), 8 + 32 * tree.size().count_ones() as usize);
    }
}
