//! Proofs as values, and checking them (RFC 9162 §2.1.3.2 and §2.1.4.2).
//!
//! The two sizes decide how many hashes a proof has and on which side each goes, so
//! that is worked out first and anything longer or shorter is refused unseen. A path
//! from a leaf goes through an inner part, up to where it meets the path of the
//! tree's last leaf, and then along the tree's right border, where all that comes
//! beside it stands to the left.
//!
//! What never happens here: accepting a proof that could be written in another way,
//! or a size taken on trust.

use super::ProofError;
use super::hash::TreeHash;

/// The most hashes that any proof has: a tree of 2^64 - 1 leaves has 64 levels, and a
/// consistency proof may begin with one hash more.
pub const PATH_HASHES_MAX: usize = 65;

/// What a checkpoint says of a tree: how many leaves, and which root.
///
/// The two belong together and come from one signed checkpoint: a root by itself does
/// not say its size, and with a wrong size the same hashes can fit another place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TreeHead {
    /// How many leaves.
    pub size: u64,
    /// The root over them.
    pub root: TreeHash,
}

impl TreeHead {
    /// A tree without leaves has one root only (RFC 6962 §2.1).
    pub(crate) fn check(&self) -> Result<(), ProofError> {
        if self.size == 0 && self.root != TreeHash::empty() {
            return Err(ProofError::EmptyRoot { stated: self.root });
        }
        Ok(())
    }

    /// Whether what was worked out is what is stated.
    fn confirm(&self, found: TreeHash) -> Result<(), ProofError> {
        if found == self.root {
            return Ok(());
        }
        Err(ProofError::Root { size: self.size, stated: self.root, found })
    }
}

/// That a leaf stands at a place in a tree (RFC 6962 §2.1.1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InclusionProof {
    /// Its place, counted from 0.
    pub index: u64,
    /// The hashes beside the way from the leaf to the root, the lowest first.
    pub path: Vec<TreeHash>,
}

impl InclusionProof {
    /// Checks that the leaf with these bytes (of an event, its id) stands at
    /// `index` in the tree of that head.
    pub fn verify(&self, leaf: &[u8], head: &TreeHead) -> Result<(), ProofError> {
        let beyond = ProofError::BeyondTree { index: self.index, size: head.size };
        let last = head.size.checked_sub(1).filter(|last| self.index <= *last).ok_or(beyond)?;
        let way = Way::of(self.index, last);
        let (inner, border) = way.cut(&self.path, 0)?;
        let met = way.climb(TreeHash::leaf(leaf), inner);
        head.confirm(along_border(met, border))
    }

    /// The path as bytes: its hashes, one after the other.
    pub fn path_bytes(&self) -> Vec<u8> {
        to_bytes(&self.path)
    }

    /// From a place and the path's bytes.
    pub fn from_bytes(index: u64, path: &[u8]) -> Result<Self, ProofError> {
        Ok(Self { index, path: from_bytes(path)? })
    }
}

/// That one tree is a beginning of another (RFC 6962 §2.1.2).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConsistencyProof {
    /// The hashes from which both roots follow, the lowest first.
    pub path: Vec<TreeHash>,
}

impl ConsistencyProof {
    /// Checks that the newer tree begins with the older one: that nothing before
    /// `older.size` was changed, taken out or put in.
    ///
    /// Any tree begins with the tree without leaves, and with itself; the proof is
    /// empty then (as tlog-witness wants it), and the roots must be right all the same.
    pub fn verify(&self, older: &TreeHead, newer: &TreeHead) -> Result<(), ProofError> {
        older.check()?;
        newer.check()?;
        if older.size > newer.size {
            return Err(ProofError::Shrunk { older: older.size, newer: newer.size });
        }
        if older.size == newer.size && older.root != newer.root {
            return Err(ProofError::Fork { size: older.size, older: older.root, newer: newer.root });
        }
        let ends = older.size.checked_sub(1).zip(newer.size.checked_sub(1));
        match ends.filter(|(older, newer)| older < newer) {
            Some((last_older, last_newer)) => self.grown(last_older, last_newer, older, newer),
            None => expect_length(0, self.path.len()),
        }
    }

    /// The case in which both have leaves and the newer has more of them.
    fn grown(
        &self,
        last: u64,
        last_newer: u64,
        older: &TreeHead,
        newer: &TreeHead,
    ) -> Result<(), ProofError> {
        // The proof begins at the smallest complete subtree that ends where the older tree
        // ends. If that is the whole older tree, its root is known and left out.
        let way = Way::of(last, last_newer).above(older.size.trailing_zeros());
        let (seed, path) = if older.size.is_power_of_two() {
            (older.root, self.path.as_slice())
        } else {
            let expected = way.len().saturating_add(1);
            let (seed, path) = self.path.split_first().ok_or(ProofError::Length { expected, found: 0 })?;
            (*seed, path)
        };
        let (inner, border) = way.cut(path, self.path.len().saturating_sub(path.len()))?;
        older.confirm(along_border(way.climb_left(seed, inner), border))?;
        newer.confirm(along_border(way.climb(seed, inner), border))
    }

    /// As bytes: its hashes, one after the other.
    pub fn to_bytes(&self) -> Vec<u8> {
        to_bytes(&self.path)
    }

    /// From the bytes that [`Self::to_bytes`] gave.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, ProofError> {
        Ok(Self { path: from_bytes(bytes)? })
    }
}

/// The way from a node to the root.
struct Way {
    /// The node's place on its level: bit n says on which side of the way, n levels
    /// up, the hash beside it stands.
    index: u64,
    /// How many levels up to where it meets the way of the last leaf.
    inner: u32,
    /// How many hashes come to it along the right border, from there on.
    border: u32,
}

impl Way {
    /// From a leaf, in a tree with that last leaf, which it does not exceed.
    fn of(index: u64, last: u64) -> Self {
        let inner = u64::BITS.saturating_sub((index ^ last).leading_zeros());
        Self { index, inner, border: index.checked_shr(inner).unwrap_or(0).count_ones() }
    }

    /// The part of it from that level up.
    fn above(self, level: u32) -> Self {
        let index = self.index.checked_shr(level).unwrap_or(0);
        Self { index, inner: self.inner.saturating_sub(level), border: self.border }
    }

    /// How many hashes stand beside it.
    fn len(&self) -> usize {
        usize::try_from(self.inner.saturating_add(self.border)).unwrap_or(usize::MAX)
    }

    /// A path cut where the border begins, if it is exactly as long as the way;
    /// `before` hashes of the proof are not in it.
    fn cut<'p>(
        &self,
        path: &'p [TreeHash],
        before: usize,
    ) -> Result<(&'p [TreeHash], &'p [TreeHash]), ProofError> {
        expect_length(self.len().saturating_add(before), path.len().saturating_add(before))?;
        let inner = usize::try_from(self.inner).unwrap_or(usize::MAX);
        Ok(path.split_at_checked(inner).unwrap_or((path, &[])))
    }

    /// Up the inner part, each hash on its side.
    fn climb(&self, from: TreeHash, inner: &[TreeHash]) -> TreeHash {
        self.sides(inner).fold(from, |here, (left, beside)| {
            if left { TreeHash::node(beside, &here) } else { TreeHash::node(&here, beside) }
        })
    }

    /// The same for a tree that ends here: what stands to the right is not in it yet.
    fn climb_left(&self, from: TreeHash, inner: &[TreeHash]) -> TreeHash {
        let left = self.sides(inner).filter_map(|(left, beside)| left.then_some(beside));
        left.fold(from, |here, beside| TreeHash::node(beside, &here))
    }

    /// Each hash of the inner part, and whether it stands to the left.
    fn sides<'p>(&self, inner: &'p [TreeHash]) -> impl Iterator<Item = (bool, &'p TreeHash)> + use<'p> {
        let index = self.index;
        (0..u64::BITS).zip(inner).map(move |(level, beside)| (index >> level & 1 == 1, beside))
    }
}

/// Up the right border, where all stands to the left.
fn along_border(from: TreeHash, border: &[TreeHash]) -> TreeHash {
    border.iter().fold(from, |here, left| TreeHash::node(left, &here))
}

/// Exactly so many hashes.
fn expect_length(expected: usize, found: usize) -> Result<(), ProofError> {
    if expected == found { Ok(()) } else { Err(ProofError::Length { expected, found }) }
}

fn to_bytes(path: &[TreeHash]) -> Vec<u8> {
    path.iter().flat_map(|hash| hash.0).collect()
}

fn from_bytes(bytes: &[u8]) -> Result<Vec<TreeHash>, ProofError> {
    let (hashes, left) = bytes.as_chunks();
    if !left.is_empty() || hashes.len() > PATH_HASHES_MAX {
        return Err(ProofError::PathBytes { found: bytes.len(), max: PATH_HASHES_MAX });
    }
    Ok(hashes.iter().copied().map(TreeHash).collect())
}
