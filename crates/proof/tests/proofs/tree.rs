//! The growing tree, its proofs and their checks against the model: every size up to
//! 70, every leaf, every pair of sizes; and larger trees at random.

use crate::model::{self, grown};
use hms_sync_proof::{
    ConsistencyProof, Frontier, InclusionProof, MemoryNodes, NodeAt, ProofError, ProveError, TreeHash,
};

/// Every size up to here, whole.
const SIZES: usize = 70;

#[test]
fn roots_are_the_models() {
    let grown = grown(SIZES);
    for (size, head) in grown.heads.iter().enumerate() {
        assert_eq!(head.size, size as u64);
        assert_eq!(head.root, model::root(&grown.ids[..size]), "size {size}");
    }
}

#[test]
fn every_inclusion_proof_is_the_models_and_holds() {
    let grown = grown(SIZES);
    for size in 1..=SIZES {
        for index in 0..size {
            let proof = InclusionProof::prove(&grown.nodes, index as u64, size as u64).unwrap();
            assert_eq!(proof.path, model::path(index, &grown.ids[..size]), "{index} in {size}");
            proof.verify(&grown.ids[index], &grown.heads[size]).unwrap();
            let back = InclusionProof::from_bytes(proof.index, &proof.path_bytes()).unwrap();
            assert_eq!(back, proof);
        }
    }
}

#[test]
fn every_consistency_proof_is_the_models_and_holds() {
    let grown = grown(SIZES);
    for newer in 0..=SIZES {
        for older in 0..=newer {
            let proof = ConsistencyProof::prove(&grown.nodes, older as u64, newer as u64).unwrap();
            let expected = if older == 0 { Vec::new() } else { model::proof(older, &grown.ids[..newer]) };
            assert_eq!(proof.path, expected, "{older} in {newer}");
            proof.verify(&grown.heads[older], &grown.heads[newer]).unwrap();
            assert_eq!(ConsistencyProof::from_bytes(&proof.to_bytes()).unwrap(), proof);
        }
    }
}

#[test]
fn larger_trees_at_random() {
    let mut rng = fastrand::Rng::with_seed(9162);
    let grown = grown(5_000);
    for _ in 0..40 {
        let newer = rng.usize(71..=5_000);
        let (older, index) = (rng.usize(1..=newer), rng.usize(..newer));
        let ids = &grown.ids[..newer];
        assert_eq!(grown.heads[newer].root, model::root(ids));
        let proof = InclusionProof::prove(&grown.nodes, index as u64, newer as u64).unwrap();
        assert_eq!(proof.path, model::path(index, ids));
        proof.verify(&ids[index], &grown.heads[newer]).unwrap();
        let proof = ConsistencyProof::prove(&grown.nodes, older as u64, newer as u64).unwrap();
        assert_eq!(proof.path, model::proof(older, ids));
        proof.verify(&grown.heads[older], &grown.heads[newer]).unwrap();
    }
}

#[test]
fn an_append_completes_few_subtrees_and_each_once() {
    let (mut tree, mut seen) = (Frontier::new(), std::collections::BTreeSet::new());
    for id in model::ids(1_024) {
        let mut completed = 0;
        let leaf = TreeHash::leaf(&id);
        tree.append_with(leaf, |at, _| {
            completed += 1;
            assert!(seen.insert(at), "{at:?} twice");
        })
        .unwrap();
        assert_eq!(completed, 1 + (tree.size() - 1).trailing_ones());
    }
    assert_eq!(seen.len(), 2 * 1_024 - 1);
}

#[test]
fn a_stored_frontier_goes_on_where_it_was() {
    let grown = grown(SIZES);
    for size in 0..=SIZES {
        let restored = Frontier::restore(&grown.nodes, size as u64).unwrap();
        let bytes = restored.to_bytes();
        assert_eq!(bytes.len(), 8 + 32 * size.count_ones() as usize);
        let mut tree = Frontier::from_bytes(&bytes).unwrap();
        assert_eq!((tree.head(), &tree), (grown.heads[size], &restored));
        for id in &grown.ids[size..] {
            tree.append(TreeHash::leaf(id)).unwrap();
        }
        assert_eq!(tree.head(), grown.heads[SIZES]);
    }
}

#[test]
fn a_stored_frontier_has_one_form() {
    let bytes = Frontier::restore(&grown(SIZES).nodes, 70).unwrap().to_bytes();
    for cut in 0..bytes.len() {
        Frontier::from_bytes(&bytes[..cut]).unwrap_err();
    }
    Frontier::from_bytes(&[bytes.as_slice(), &[0]].concat()).unwrap_err();
    Frontier::from_bytes(&[bytes.as_slice(), &[0; 32]].concat()).unwrap_err();
    Frontier::from_bytes(&u64::MAX.to_be_bytes()).unwrap_err();
}

#[test]
fn hashes_of_one_level_find_those_above() {
    let grown = grown(64);
    let level_3 = (0..8).map(|index| NodeAt { level: 3, index });
    let mut above = Frontier::new();
    for at in level_3 {
        let mut leaves = Frontier::new();
        let first = at.index as usize * 8;
        for id in &grown.ids[first..first + 8] {
            leaves.append(TreeHash::leaf(id)).unwrap();
        }
        above.append(leaves.root()).unwrap();
    }
    assert_eq!(above.root(), grown.heads[64].root);
}

#[test]
fn what_cannot_be_proved_is_said() {
    let grown = grown(8);
    let beyond = InclusionProof::prove(&grown.nodes, 8, 8).unwrap_err();
    assert!(matches!(beyond, ProveError::Asked(ProofError::BeyondTree { index: 8, size: 8 })));
    let shrunk = ConsistencyProof::prove(&grown.nodes, 8, 7).unwrap_err();
    assert!(matches!(shrunk, ProveError::Asked(ProofError::Shrunk { older: 8, newer: 7 })));
    let missing = InclusionProof::prove(&grown.nodes, 0, 9).unwrap_err();
    assert_eq!(
        missing.to_string(),
        "the stored tree has no hash for number 8 of level 0; rebuild the tree from the events"
    );
    for size in [u64::MAX, u64::MAX - 1, 1 << 63, (1 << 63) + 1] {
        let none = MemoryNodes::default();
        InclusionProof::prove(&none, 0, size).unwrap_err();
        InclusionProof::prove(&none, size - 1, size).unwrap_err();
        ConsistencyProof::prove(&none, size - 1, size).unwrap_err();
        ConsistencyProof::prove(&none, 1, size).unwrap_err();
        Frontier::restore(&none, size).unwrap_err();
    }
}

#[test]
fn the_last_leaf_that_can_be_counted_is_the_last() {
    let full = [u64::MAX.to_be_bytes().as_slice(), &[7; 64 * 32]].concat();
    let mut full = Frontier::from_bytes(&full).unwrap();
    assert_eq!(full.append(TreeHash::empty()), Err(ProofError::Full));
    let mut nearly = [(u64::MAX - 1).to_be_bytes().as_slice(), &[7; 63 * 32]].concat();
    let mut tree = Frontier::from_bytes(&nearly).unwrap();
    tree.append(TreeHash([7; 32])).unwrap();
    assert_eq!(tree, full);
    nearly.truncate(8);
    Frontier::from_bytes(&nearly).unwrap_err();
}
