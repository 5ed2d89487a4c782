//! The Merkle tree of RFC 6962 §2.1 (the same in RFC 9162 §2.1) with SHA-256: its
//! hashes, its shape, the edge that grows, and proofs made and checked.
//!
//! What never happens here: keeping a tree. The log's store keeps the hashes of
//! complete subtrees; here they are only computed, asked for and compared.

pub(crate) mod hash;
pub(crate) mod shape;
pub(crate) mod frontier;
pub(crate) mod proof;
pub(crate) mod prove;
pub(crate) mod many;

use hash::TreeHash;

/// Why a proof, a tree head or the stored edge of a tree is not accepted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProofError {
    /// The entry lies beyond the tree's end.
    #[error("entry {index} is not in a tree of {size} entries")]
    BeyondTree {
        /// The entry asked for, counted from 0.
        index: u64,
        /// How many entries the tree has.
        size: u64,
    },
    /// What is called the older tree is the larger one.
    #[error("a tree of {older} entries cannot be a beginning of one of {newer}")]
    Shrunk {
        /// Entries of the tree said to be older.
        older: u64,
        /// Entries of the tree said to be newer.
        newer: u64,
    },
    /// The sizes alone say how many hashes the proof has; it has another number.
    #[error("the proof has {found} hashes, for these sizes it must have {expected}")]
    Length {
        /// How many there must be.
        expected: usize,
        /// How many there are.
        found: usize,
    },
    /// The proof leads elsewhere: the entry is not there, or something was changed.
    #[error("the proof leads to the root {found}, but the tree of {size} entries is said to have {stated}")]
    Root {
        /// Entries of the tree.
        size: u64,
        /// The root stated.
        stated: TreeHash,
        /// The root that follows from the proof.
        found: TreeHash,
    },
    /// Two roots for one size: two histories.
    #[error("two roots for a tree of {size} entries, {older} and {newer}: these are two histories")]
    Fork {
        /// Entries of both trees.
        size: u64,
        /// The root of the one said to be older.
        older: TreeHash,
        /// The root of the other.
        newer: TreeHash,
    },
    /// A tree of no entries has one root only.
    #[error("a tree without entries cannot have the root {stated}")]
    EmptyRoot {
        /// The root stated.
        stated: TreeHash,
    },
    /// One of many proofs leads elsewhere.
    #[error("entry {index} is not the one of the tree of {size} entries with the root {root}")]
    Entry {
        /// The entry, counted from 0.
        index: u64,
        /// Entries of the tree.
        size: u64,
        /// Its root.
        root: TreeHash,
    },
    /// Of many entries one comes after a later one, or twice.
    #[error("entry {index} does not come in its order")]
    Order {
        /// The entry, counted from 0.
        index: u64,
    },
    /// The tree has as many entries as can be counted.
    #[error("the tree is full: no more than 2^64 - 1 entries can be counted")]
    Full,
    /// Bytes that are no list of hashes.
    #[error("{found} bytes are not a proof: it is whole hashes of 32 bytes each, at most {max} of them")]
    PathBytes {
        /// How many bytes there are.
        found: usize,
        /// The most hashes any proof has.
        max: usize,
    },
    /// Bytes that are no stored frontier.
    #[error("these {found} bytes are not the stored edge of a tree: {why}")]
    FrontierBytes {
        /// How many bytes there are.
        found: usize,
        /// What speaks against it.
        why: &'static str,
    },
    /// Text that is no hash.
    #[error("not a hash: it is the base64 of 32 bytes, 44 characters")]
    HashText,
}
