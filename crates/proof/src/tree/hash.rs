//! A hash of the tree: SHA-256 with a byte before it that keeps leaves and inner
//! nodes apart (RFC 6962 §2.1), so that no inner node can be shown as an entry.

use super::ProofError;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest, Sha256};
use std::fmt;
use std::str::FromStr;

/// What goes before a leaf's bytes (RFC 6962 §2.1).
const LEAF: [u8; 1] = [0x00];

/// What goes before the hashes of two children (RFC 6962 §2.1).
const NODE: [u8; 1] = [0x01];

/// The hash of a leaf, of an inner node or of a whole tree. Shown as base64, the
/// form in which checkpoints and proofs carry it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TreeHash(pub [u8; 32]);

impl TreeHash {
    /// The hash of a leaf with these bytes: of an event, its id.
    pub fn leaf(bytes: &[u8]) -> Self {
        Self(Sha256::new().chain_update(LEAF).chain_update(bytes).finalize().into())
    }

    /// The hash of the node above two others.
    pub fn node(left: &Self, right: &Self) -> Self {
        Self(Sha256::new().chain_update(NODE).chain_update(left.0).chain_update(right.0).finalize().into())
    }

    /// The root of the tree without entries: the hash of nothing.
    pub fn empty() -> Self {
        Self(Sha256::digest([]).into())
    }
}

impl fmt::Display for TreeHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&STANDARD.encode(self.0))
    }
}

impl fmt::Debug for TreeHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().take(6).try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl FromStr for TreeHash {
    type Err = ProofError;

    /// Standard base64 with padding (RFC 4648 §4), in its one canonical form.
    fn from_str(text: &str) -> Result<Self, ProofError> {
        if text.len() != 44 {
            return Err(ProofError::HashText);
        }
        let bytes = STANDARD.decode(text).map_err(|_| ProofError::HashText)?;
        bytes.try_into().map(Self).map_err(|_| ProofError::HashText)
    }
}
