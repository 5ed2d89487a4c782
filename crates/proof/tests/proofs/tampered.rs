//! Nothing tampered with passes: 100,000 mutated proofs and more. The one thing that
//! hashes cannot tell is a root under a wrong size; there the verifier must say
//! exactly what RFC 9162's own algorithm says.

use crate::model::{Grown, grown};
use hms_sync_proof::{ConsistencyProof, InclusionProof, ProofError, TreeHash, TreeHead};

fn flipped(hash: TreeHash, bit: usize) -> TreeHash {
    let mut bytes = hash.0;
    bytes[bit / 8] ^= 1 << (bit % 8);
    TreeHash(bytes)
}

/// Every list of hashes that differs from this one by a bit, a hash more or less, or
/// two exchanged.
fn mutations(path: &[TreeHash], other: TreeHash) -> Vec<Vec<TreeHash>> {
    let mut all = Vec::new();
    for n in 0..path.len() {
        for bit in 0..256 {
            let mut changed = path.to_vec();
            changed[n] = flipped(changed[n], bit);
            all.push(changed);
        }
        let mut less = path.to_vec();
        less.remove(n);
        all.push(less);
        let mut exchanged = path.to_vec();
        exchanged.swap(n, 0);
        all.push(exchanged);
    }
    for n in 0..=path.len() {
        for hash in path.iter().copied().chain([other, TreeHash::empty(), TreeHash([0; 32])]) {
            let mut more = path.to_vec();
            more.insert(n, hash);
            all.push(more);
        }
    }
    all.retain(|mutated| mutated != path);
    all
}

fn inclusion(grown: &Grown, index: u64, size: u64) -> (InclusionProof, [u8; 32], TreeHead) {
    let proof = InclusionProof::prove(&grown.nodes, index, size).unwrap();
    (proof, grown.ids[index as usize], grown.heads[size as usize])
}

fn consistency(grown: &Grown, older: u64, newer: u64) -> (ConsistencyProof, TreeHead, TreeHead) {
    let proof = ConsistencyProof::prove(&grown.nodes, older, newer).unwrap();
    (proof, grown.heads[older as usize], grown.heads[newer as usize])
}

#[test]
fn no_mutated_path_passes() {
    let grown = grown(70);
    let mut tried = 0_u32;
    for size in [1, 2, 3, 4, 5, 6, 7, 8, 9, 13, 31, 32, 33, 64, 65, 70] {
        for index in [0, 1, 2, 6, 30, 32, size / 2, size - 1] {
            if index >= size {
                continue;
            }
            let (proof, id, head) = inclusion(&grown, index, size);
            for path in mutations(&proof.path, head.root) {
                tried += 1;
                InclusionProof { index, path }.verify(&id, &head).unwrap_err();
            }
        }
        for older in [1, 2, 3, 5, 6, 7, 8, 31, 32, 33, 64, 69, size - 1, size] {
            if older > size || older == 0 {
                continue;
            }
            let (proof, older, newer) = consistency(&grown, older, size);
            for path in mutations(&proof.path, newer.root) {
                tried += 1;
                ConsistencyProof { path }.verify(&older, &newer).unwrap_err();
            }
        }
    }
    assert!(tried >= 100_000, "{tried}");
}

#[test]
fn no_other_leaf_place_or_root_passes() {
    let grown = grown(70);
    for size in [1, 2, 5, 8, 33, 64, 70] {
        for index in 0..size {
            let (proof, id, head) = inclusion(&grown, index, size);
            for other in (0..size + 2).chain([u64::MAX, u64::MAX - 1, 1 << 63]).filter(|n| *n != index) {
                let moved = InclusionProof { index: other, ..proof.clone() };
                moved.verify(&id, &head).unwrap_err();
            }
            for bit in 0..256 {
                let root = flipped(head.root, bit);
                proof.verify(&id, &TreeHead { root, ..head }).unwrap_err();
                proof.verify(&flipped(TreeHash(id), bit).0, &head).unwrap_err();
            }
        }
    }
}

#[test]
fn no_other_root_passes_a_consistency_proof() {
    let grown = grown(70);
    for newer in [1, 2, 3, 5, 8, 33, 64, 70] {
        for older in 0..=newer {
            let (proof, older, newer) = consistency(&grown, older, newer);
            for bit in 0..256 {
                let one = TreeHead { root: flipped(older.root, bit), ..older };
                let other = TreeHead { root: flipped(newer.root, bit), ..newer };
                proof.verify(&one, &newer).unwrap_err();
                if older.size > 0 {
                    proof.verify(&older, &other).unwrap_err();
                }
                if older.size == newer.size {
                    proof.verify(&one, &other).map_or_else(|_| (), |()| assert!(older.size > 0));
                }
            }
            if older != newer {
                let swapped = proof.verify(&newer, &older).unwrap_err();
                assert!(matches!(swapped, ProofError::Shrunk { .. }));
            }
        }
    }
}

/// RFC 9162 §2.1.3.2, step by step.
fn rfc_inclusion(proof: &InclusionProof, leaf: &[u8], head: &TreeHead) -> bool {
    if proof.index >= head.size {
        return false;
    }
    let (mut node, mut last) = (proof.index, head.size - 1);
    let mut hash = TreeHash::leaf(leaf);
    for beside in &proof.path {
        if last == 0 {
            return false;
        }
        if node & 1 == 1 || node == last {
            hash = TreeHash::node(beside, &hash);
            while node & 1 == 0 && node != 0 {
                (node, last) = (node >> 1, last >> 1);
            }
        } else {
            hash = TreeHash::node(&hash, beside);
        }
        (node, last) = (node >> 1, last >> 1);
    }
    last == 0 && hash == head.root
}

/// RFC 9162 §2.1.4.2, step by step; it covers sizes of which both have leaves and the
/// newer has more.
fn rfc_consistency(proof: &ConsistencyProof, older: &TreeHead, newer: &TreeHead) -> bool {
    let mut path = proof.path.clone();
    if older.size.is_power_of_two() {
        path.insert(0, older.root);
    }
    let Some((seed, rest)) = path.split_first() else { return false };
    if proof.path.is_empty() {
        return false;
    }
    let (mut node, mut last) = (older.size - 1, newer.size - 1);
    while node & 1 == 1 {
        (node, last) = (node >> 1, last >> 1);
    }
    let (mut first, mut second) = (*seed, *seed);
    for beside in rest {
        if last == 0 {
            return false;
        }
        if node & 1 == 1 || node == last {
            (first, second) = (TreeHash::node(beside, &first), TreeHash::node(beside, &second));
            while node & 1 == 0 && node != 0 {
                (node, last) = (node >> 1, last >> 1);
            }
        } else {
            second = TreeHash::node(&second, beside);
        }
        (node, last) = (node >> 1, last >> 1);
    }
    last == 0 && first == older.root && second == newer.root
}

/// Sizes that a hostile checkpoint could name.
const HOSTILE: [u64; 7] =
    [u64::MAX, u64::MAX - 1, (1 << 63) + 1, 1 << 63, (1 << 63) - 1, 1 << 32, u32::MAX as u64];

#[test]
fn wrong_sizes_are_judged_as_rfc_9162_judges_them() {
    let grown = grown(40);
    for size in 1..=40 {
        for index in 0..size {
            let (proof, id, head) = inclusion(&grown, index, size);
            for wrong in (0..=42).chain(HOSTILE) {
                let head = TreeHead { size: wrong, ..head };
                let ours = proof.verify(&id, &head).is_ok();
                assert_eq!(ours, rfc_inclusion(&proof, &id, &head), "{index} of {size} in {wrong}");
            }
        }
        for older in 1..size {
            let (proof, older, newer) = consistency(&grown, older, size);
            for (one, other) in (1..=42).chain(HOSTILE).flat_map(|n| [(n, newer.size), (older.size, n)]) {
                let (one, other) = (TreeHead { size: one, ..older }, TreeHead { size: other, ..newer });
                let ours = proof.verify(&one, &other).is_ok();
                let rfc = one.size < other.size && rfc_consistency(&proof, &one, &other);
                assert_eq!(ours, rfc, "{older:?} {newer:?} as {one:?} {other:?}");
            }
        }
    }
}

#[test]
fn trees_without_leaves_have_their_rules() {
    let grown = grown(3);
    let [empty, three] = [grown.heads[0], grown.heads[3]];
    let none = ConsistencyProof { path: Vec::new() };
    none.verify(&empty, &empty).unwrap();
    none.verify(&empty, &three).unwrap();
    let hash = ConsistencyProof { path: vec![three.root] };
    assert_eq!(hash.verify(&empty, &three), Err(ProofError::Length { expected: 0, found: 1 }));
    assert_eq!(hash.verify(&three, &three), Err(ProofError::Length { expected: 0, found: 1 }));
    let wrong = TreeHead { root: three.root, ..empty };
    let refused = Err(ProofError::EmptyRoot { stated: three.root });
    assert_eq!(none.verify(&wrong, &three), refused);
    assert_eq!(none.verify(&wrong, &wrong), refused);
    assert_eq!(none.verify(&empty, &wrong), refused);
    let path = Vec::new();
    let beyond = InclusionProof { index: 0, path }.verify(&[], &empty);
    assert_eq!(beyond, Err(ProofError::BeyondTree { index: 0, size: 0 }));
}

#[test]
fn two_histories_of_one_size_are_called_so() {
    let grown = grown(5);
    let (proof, head, _) = consistency(&grown, 5, 5);
    let fork = TreeHead { root: TreeHash([9; 32]), ..head };
    let refused = proof.verify(&head, &fork).unwrap_err();
    assert!(matches!(refused, ProofError::Fork { size: 5, .. }), "{refused}");
}

#[test]
fn huge_trees_are_checked_as_small_ones() {
    // A leaf at the end of a tree of 2^64 - 1: 63 hashes to its left, made up.
    let size = u64::MAX;
    let path: Vec<_> = (0..63).map(|n| TreeHash([n; 32])).collect();
    let root = path.iter().fold(TreeHash::leaf(b"last"), |here, left| TreeHash::node(left, &here));
    let proof = InclusionProof { index: size - 1, path };
    proof.verify(b"last", &TreeHead { size, root }).unwrap();
    // A leaf at its beginning: 64 to its right.
    let path: Vec<_> = (0..64).map(|n| TreeHash([n; 32])).collect();
    let root = path.iter().fold(TreeHash::leaf(b"first"), |here, right| TreeHash::node(&here, right));
    InclusionProof { index: 0, path }.verify(b"first", &TreeHead { size, root }).unwrap();
    // From the tree before its last leaf: all that tree's peaks but the seed, and the leaf.
    let seed = TreeHash([99; 32]);
    let leaf = TreeHash::leaf(b"last");
    let peaks: Vec<_> = (1..63).map(|n| TreeHash([n; 32])).collect();
    let older = peaks.iter().fold(seed, |here, left| TreeHash::node(left, &here));
    let newer = peaks.iter().fold(TreeHash::node(&seed, &leaf), |here, left| TreeHash::node(left, &here));
    let mut path = vec![seed, leaf];
    path.extend(peaks);
    let heads = [TreeHead { size: size - 1, root: older }, TreeHead { size, root: newer }];
    let proof = ConsistencyProof { path };
    proof.verify(&heads[0], &heads[1]).unwrap();
    assert!(rfc_consistency(&proof, &heads[0], &heads[1]));
}
