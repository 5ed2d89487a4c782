//! Many entries proved one after the other, in ascending order: each proof goes only as
//! far as a node that an earlier one has proven already. For entries without a gap that
//! is about one hash each, and each entry is found to be right or wrong by itself.
//!
//! Both ends keep the same stack: stretches of leaves, side by side, that cover all leaves
//! still to come. An entry's proof leads from its leaf to the stretch it lies in; what
//! stood to the right of that way is proven with it and takes the stretch's place.
//!
//! What never happens here: going back, or more memory than the tree has levels.

use super::ProofError;
use super::hash::TreeHash;
use super::proof::TreeHead;
use super::prove::{NodeSource, ProveError, subtree};
use super::shape::Stretch;

/// A step of the way down: what stands beside it, and whether on the left.
type Beside = (Stretch, bool);

/// The way down to a leaf from a stretch that has it: what stands beside, the topmost first.
fn way_down(mut here: Stretch, index: u64) -> Vec<Beside> {
    let mut way = Vec::new();
    while let Some((left, right)) = here.split() {
        let goes_left = index < left.to;
        let (down, beside) = if goes_left { (left, right) } else { (right, left) };
        way.push((beside, !goes_left));
        here = down;
    }
    way
}

/// Makes proofs for one entry after the other.
#[derive(Debug, Clone)]
pub struct ManyProver {
    size: u64,
    /// The leftmost on top.
    known: Vec<Stretch>,
}

impl ManyProver {
    /// For entries of the tree of the first `size` leaves.
    pub fn new(size: u64) -> Self {
        Self { size, known: vec![Stretch { from: 0, to: size }] }
    }

    /// The hashes that prove the leaf at `index` to who has verified those before.
    pub fn prove<S: NodeSource>(
        &mut self,
        source: &S,
        index: u64,
    ) -> Result<Vec<TreeHash>, ProveError<S::Error>> {
        let size = self.size;
        let stretch = loop {
            let stretch = self.known.pop().ok_or(ProofError::BeyondTree { index, size })?;
            if index < stretch.to {
                break stretch;
            }
        };
        if index < stretch.from {
            return Err(ProofError::Order { index }.into());
        }
        let way = way_down(stretch, index);
        self.known.extend(way.iter().filter(|(_, left)| !left).map(|(beside, _)| *beside));
        way.iter().rev().map(|(beside, _)| subtree(source, *beside)).collect()
    }
}

/// Checks proofs of one entry after the other.
#[derive(Debug, Clone)]
pub struct ManyVerifier {
    head: TreeHead,
    /// The leftmost on top.
    known: Vec<(Stretch, TreeHash)>,
}

impl ManyVerifier {
    /// Against what a checkpoint says of the tree.
    pub fn new(head: TreeHead) -> Result<Self, ProofError> {
        head.check()?;
        Ok(Self { head, known: vec![(Stretch { from: 0, to: head.size }, head.root)] })
    }

    /// Checks that the leaf with these bytes stands at `index`. If it does not, nothing
    /// is proven by it.
    pub fn verify(&mut self, index: u64, leaf: &[u8], path: &[TreeHash]) -> Result<(), ProofError> {
        let (size, stated) = (self.head.size, self.head.root);
        let passed = self.known.iter().rev().take_while(|(stretch, _)| stretch.to <= index).count();
        let at = self.known.len().checked_sub(passed.saturating_add(1));
        let found = at.and_then(|at| Some((at, *self.known.get(at)?)));
        let (at, (stretch, hash)) = found.ok_or(ProofError::BeyondTree { index, size })?;
        if index < stretch.from {
            return Err(ProofError::Order { index });
        }
        let way = way_down(stretch, index);
        if way.len() != path.len() {
            return Err(ProofError::Length { expected: way.len(), found: path.len() });
        }
        let climbed = way.iter().rev().zip(path).fold(TreeHash::leaf(leaf), |here, ((_, left), beside)| {
            if *left { TreeHash::node(beside, &here) } else { TreeHash::node(&here, beside) }
        });
        if climbed != hash {
            return Err(ProofError::Entry { index, size, root: stated });
        }
        self.known.truncate(at);
        let besides = way.iter().zip(path.iter().rev());
        self.known.extend(besides.filter(|((_, left), _)| !left).map(|((at, _), hash)| (*at, *hash)));
        Ok(())
    }
}
