//! The shape of a tree, which its size alone decides: where it splits, and which
//! complete subtrees a stretch of leaves is made of (RFC 6962 §2.1).
//!
//! What never happens here: hashing, or trusting that a size is small.

/// The place of a complete subtree: of the `2^level` leaves from
/// `index * 2^level` on. Level 0 are the leaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeAt {
    /// How many levels stand below it.
    pub level: u8,
    /// How many of its level stand to its left.
    pub index: u64,
}

impl NodeAt {
    /// The node of which it is a child.
    pub(crate) fn parent(self) -> Self {
        Self { level: self.level.saturating_add(1), index: self.index >> 1 }
    }
}

/// A stretch of leaves that is a subtree of some tree: `from` is a multiple of the
/// power of two that `to - from` does not exceed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stretch {
    /// Its first leaf.
    pub(crate) from: u64,
    /// The leaf after its last.
    pub(crate) to: u64,
}

impl Stretch {
    /// How many leaves it has.
    pub(crate) fn len(self) -> u64 {
        self.to.saturating_sub(self.from)
    }

    /// Its two children, if it has more than one leaf: the left has as many leaves
    /// as the largest power of two that is less than all of them.
    pub(crate) fn split(self) -> Option<(Self, Self)> {
        let last = self.len().checked_sub(1)?;
        let half = 1_u64 << last.checked_ilog2()?;
        let middle = self.from.checked_add(half)?;
        Some((Self { from: self.from, to: middle }, Self { from: middle, to: self.to }))
    }

    /// The complete subtrees it is made of, the largest (leftmost) first.
    pub(crate) fn complete(self) -> impl DoubleEndedIterator<Item = NodeAt> {
        let len = self.len();
        (0..u64::BITS).rev().filter(move |level| len >> level & 1 == 1).map(move |level| {
            // What stands before this subtree: the stretch's beginning and the larger ones.
            let larger = len.checked_shr(level.saturating_add(1)).unwrap_or(0) << 1;
            let index = (self.from >> level).saturating_add(larger);
            NodeAt { level: u8::try_from(level).unwrap_or(u8::MAX), index }
        })
    }
}
