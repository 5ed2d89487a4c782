//! Making proofs from the stored hashes of complete subtrees (RFC 6962 §2.1.1 and
//! §2.1.2): walks down the shape of the tree and asks for what stands beside the way,
//! about as many hashes as the tree has levels.
//!
//! What never happens here: reading leaves, or all of anything.

use super::ProofError;
use super::frontier::fold;
use super::hash::TreeHash;
use super::proof::{ConsistencyProof, InclusionProof};
use super::shape::{NodeAt, Stretch};
use std::collections::BTreeMap;
use std::convert::Infallible;
use std::error::Error;

/// Where the hashes of complete subtrees are kept.
pub trait NodeSource {
    /// Why it could not be read.
    type Error: Error + 'static;

    /// The hash of the complete subtree there, if it is kept. A source that keeps
    /// only some levels computes the others (see [`crate::Frontier`]).
    fn node(&self, at: NodeAt) -> Result<Option<TreeHash>, Self::Error>;
}

/// Why no proof could be made.
#[derive(Debug, thiserror::Error)]
pub enum ProveError<E: Error + 'static> {
    /// What was asked for does not go with the sizes.
    #[error(transparent)]
    Asked(#[from] ProofError),
    /// A subtree that the log must have is not kept.
    #[error("the stored tree has no hash for number {} of level {}; rebuild the tree from the events", at.index, at.level)]
    Missing {
        /// Its place.
        at: NodeAt,
    },
    /// The store could not be read.
    #[error("the stored tree cannot be read")]
    Source(#[source] E),
}

/// A source in memory: for auditors who fold an export, and for tests.
#[derive(Debug, Clone, Default)]
pub struct MemoryNodes(BTreeMap<NodeAt, TreeHash>);

impl MemoryNodes {
    /// Keeps one hash.
    pub fn keep(&mut self, at: NodeAt, hash: TreeHash) {
        self.0.insert(at, hash);
    }
}

impl NodeSource for MemoryNodes {
    type Error = Infallible;

    fn node(&self, at: NodeAt) -> Result<Option<TreeHash>, Infallible> {
        Ok(self.0.get(&at).copied())
    }
}

impl InclusionProof {
    /// The proof that the leaf at `index` is in the tree of the first `size` leaves
    /// (RFC 6962 §2.1.1).
    pub fn prove<S: NodeSource>(source: &S, index: u64, size: u64) -> Result<Self, ProveError<S::Error>> {
        if index >= size {
            return Err(ProofError::BeyondTree { index, size }.into());
        }
        let mut here = Stretch { from: 0, to: size };
        let mut path = Vec::new();
        while let Some((left, right)) = here.split() {
            let (down, beside) = if index < left.to { (left, right) } else { (right, left) };
            path.push(subtree(source, beside)?);
            here = down;
        }
        path.reverse();
        Ok(Self { index, path })
    }
}

impl ConsistencyProof {
    /// The proof that the tree of the first `older` leaves is a beginning of the
    /// tree of the first `newer` (RFC 6962 §2.1.2). Nothing needs to be shown for a
    /// tree without leaves or for the same tree: the proof is empty then.
    pub fn prove<S: NodeSource>(source: &S, older: u64, newer: u64) -> Result<Self, ProveError<S::Error>> {
        if older > newer {
            return Err(ProofError::Shrunk { older, newer }.into());
        }
        let mut here = Stretch { from: 0, to: newer };
        let mut path = Vec::new();
        while older > 0
            && here.to != older
            && let Some((left, right)) = here.split()
        {
            let (down, beside) = if older <= left.to { (left, right) } else { (right, left) };
            path.push(subtree(source, beside)?);
            here = down;
        }
        // The older tree's own root is known to who checks; a part of it is not.
        if here.from > 0 {
            path.push(subtree(source, here)?);
        }
        path.reverse();
        Ok(Self { path })
    }
}

/// The hash of a complete subtree that must be kept.
pub(crate) fn kept<S: NodeSource>(source: &S, at: NodeAt) -> Result<TreeHash, ProveError<S::Error>> {
    source.node(at).map_err(ProveError::Source)?.ok_or(ProveError::Missing { at })
}

/// The hash of a stretch of leaves.
pub(crate) fn subtree<S: NodeSource>(source: &S, stretch: Stretch) -> Result<TreeHash, ProveError<S::Error>> {
    let peaks = stretch.complete().map(|at| kept(source, at)).collect::<Result<Vec<_>, _>>()?;
    Ok(fold(peaks.into_iter()))
}
