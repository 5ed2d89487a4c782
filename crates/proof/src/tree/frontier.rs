//! The edge at which the tree grows: the roots of the complete subtrees that its
//! leaves so far make up, one for each bit set in their number. With it an append
//! and the root cost a few hashes, whatever the size, and a start costs none.
//!
//! What never happens here: going back to earlier leaves.

use super::ProofError;
use super::hash::TreeHash;
use super::proof::TreeHead;
use super::prove::{NodeSource, ProveError, kept};
use super::shape::{NodeAt, Stretch};

/// The growing edge of a tree.
///
/// Handing it the hashes of complete subtrees of one height instead of leaves gives
/// the same roots: so a store that keeps only some levels finds the others again.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Frontier {
    size: u64,
    /// Of `size`'s complete subtrees, the largest first.
    peaks: Vec<TreeHash>,
}

impl Frontier {
    /// The edge of a tree without leaves.
    pub const fn new() -> Self {
        Self { size: 0, peaks: Vec::new() }
    }

    /// The edge of a tree of `size` leaves whose subtrees are stored.
    pub fn restore<S: NodeSource>(source: &S, size: u64) -> Result<Self, ProveError<S::Error>> {
        let places = Stretch { from: 0, to: size }.complete();
        let peaks = places.map(|at| kept(source, at)).collect::<Result<_, _>>()?;
        Ok(Self { size, peaks })
    }

    /// How many leaves there are.
    pub const fn size(&self) -> u64 {
        self.size
    }

    /// Takes the next leaf in.
    pub fn append(&mut self, leaf: TreeHash) -> Result<(), ProofError> {
        self.append_with(leaf, |_, _| ())
    }

    /// Takes the next leaf in, and tells which subtrees it completes: itself first,
    /// then each above that, two in the mean. Those are what a store keeps.
    pub fn append_with(
        &mut self,
        leaf: TreeHash,
        mut completed: impl FnMut(NodeAt, TreeHash),
    ) -> Result<(), ProofError> {
        let size = self.size.checked_add(1).ok_or(ProofError::Full)?;
        let mut at = NodeAt { level: 0, index: self.size };
        let mut hash = leaf;
        completed(at, hash);
        while at.index & 1 == 1
            && let Some(left) = self.peaks.pop()
        {
            hash = TreeHash::node(&left, &hash);
            at = at.parent();
            completed(at, hash);
        }
        self.peaks.push(hash);
        self.size = size;
        Ok(())
    }

    /// The root of the tree as it stands.
    pub fn root(&self) -> TreeHash {
        fold(self.peaks.iter().copied())
    }

    /// Size and root, as a checkpoint states them.
    pub fn head(&self) -> TreeHead {
        TreeHead { size: self.size, root: self.root() }
    }

    /// As bytes to be stored: the size, u64 big-endian, then 32 bytes for each bit
    /// set in it, the largest subtree first. One frontier has one form.
    pub fn to_bytes(&self) -> Vec<u8> {
        let hashes = self.peaks.iter().flat_map(|peak| peak.0);
        self.size.to_be_bytes().into_iter().chain(hashes).collect()
    }

    /// From the bytes that [`Self::to_bytes`] gave.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, ProofError> {
        let wrong = |why| ProofError::FrontierBytes { found: bytes.len(), why };
        let (size, rest) = bytes.split_first_chunk().ok_or(wrong("the size is cut off"))?;
        let size = u64::from_be_bytes(*size);
        let (hashes, left) = rest.as_chunks();
        if !left.is_empty() || u32::try_from(hashes.len()) != Ok(size.count_ones()) {
            return Err(wrong("the number of hashes does not go with the size"));
        }
        Ok(Self { size, peaks: hashes.iter().copied().map(TreeHash).collect() })
    }
}

/// The root over complete subtrees that stand side by side, the largest first.
pub(crate) fn fold(peaks: impl DoubleEndedIterator<Item = TreeHash>) -> TreeHash {
    peaks.rev().reduce(|right, left| TreeHash::node(&left, &right)).unwrap_or_else(TreeHash::empty)
}
