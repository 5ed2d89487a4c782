//! The tree as RFC 6962 §2.1 defines it, word for word: recursive, slow, plain.

use hms_sync_proof::{Frontier, MemoryNodes, TreeHash, TreeHead};

/// The largest power of two less than `n`.
fn split(n: usize) -> usize {
    let mut k = 1;
    while k * 2 < n {
        k *= 2;
    }
    k
}

/// MTH.
pub(crate) fn root(leaves: &[[u8; 32]]) -> TreeHash {
    match leaves {
        [] => TreeHash::empty(),
        [leaf] => TreeHash::leaf(leaf),
        _ => {
            let (left, right) = leaves.split_at(split(leaves.len()));
            TreeHash::node(&root(left), &root(right))
        }
    }
}

/// PATH.
pub(crate) fn path(m: usize, leaves: &[[u8; 32]]) -> Vec<TreeHash> {
    if leaves.len() == 1 {
        return Vec::new();
    }
    let k = split(leaves.len());
    let (left, right) = leaves.split_at(k);
    let (mut path, beside) = if m < k { (path(m, left), right) } else { (path(m - k, right), left) };
    path.push(root(beside));
    path
}

/// PROOF.
pub(crate) fn proof(m: usize, leaves: &[[u8; 32]]) -> Vec<TreeHash> {
    subproof(m, leaves, true)
}

fn subproof(m: usize, leaves: &[[u8; 32]], whole: bool) -> Vec<TreeHash> {
    if m == leaves.len() {
        return if whole { Vec::new() } else { vec![root(leaves)] };
    }
    let k = split(leaves.len());
    let (left, right) = leaves.split_at(k);
    let (mut proof, beside) =
        if m <= k { (subproof(m, left, whole), right) } else { (subproof(m - k, right, false), left) };
    proof.push(root(beside));
    proof
}

/// So many event ids, each its own.
pub(crate) fn ids(count: usize) -> Vec<[u8; 32]> {
    let mut rng = fastrand::Rng::with_seed(6962);
    (0..count).map(|_| std::array::from_fn(|_| rng.u8(..))).collect()
}

/// A tree as the log builds it: what it stores, and its head at every size.
pub(crate) struct Grown {
    pub(crate) ids: Vec<[u8; 32]>,
    pub(crate) nodes: MemoryNodes,
    pub(crate) heads: Vec<TreeHead>,
}

/// A tree of so many leaves.
pub(crate) fn grown(count: usize) -> Grown {
    let ids = ids(count);
    let (mut tree, mut nodes) = (Frontier::new(), MemoryNodes::default());
    let mut heads = vec![tree.head()];
    for id in &ids {
        tree.append_with(TreeHash::leaf(id), |at, hash| nodes.keep(at, hash)).unwrap();
        heads.push(tree.head());
    }
    Grown { ids, nodes, heads }
}
