//! Proofs over a history, pure: what the log shows and an auditor checks.
//!
//! The log hashes its events into one Merkle tree (RFC 6962, SHA-256), says from
//! time to time how large the tree is and which root it has (a **checkpoint**, C2SP
//! tlog-checkpoint), signs that (C2SP signed-note, Ed25519), and has it countersigned
//! by **witnesses** (C2SP tlog-cosignature). Against a checkpoint an **inclusion
//! proof** shows that an entry is in the log, and a **consistency proof** that an
//! older checkpoint is a beginning of a newer one.
//!
//! Here is all of that which needs neither disk nor network, for both ends: whoever
//! verifies needs this crate alone. A tree's leaf is any run of bytes; the log puts
//! the 32 bytes of an event's id there.
//!
//! What never happens here: I/O, reading a clock, randomness, knowing what an event
//! is. Whatever comes from outside is taken to be hostile: it is refused with a
//! reason, and nothing in it makes this crate panic, overflow or allocate more than
//! a small multiple of what was handed in.
//!
//! ```
//! use hms_sync_proof::{
//!     Checkpoint, Frontier, InclusionProof, KeyName, MemoryNodes, Signer, SigningKey, TreeHash, Trust,
//! };
//!
//! let name: KeyName = "log.example/permits".parse()?;
//! let signer = Signer::new(name.clone(), SigningKey::from_seed(&[7; 32]));
//!
//! // The log: three events, their tree, a checkpoint.
//! let (mut tree, mut nodes) = (Frontier::new(), MemoryNodes::default());
//! for id in [[1; 32], [2; 32], [3; 32]] {
//!     tree.append_with(TreeHash::leaf(&id), |at, hash| nodes.keep(at, hash))?;
//! }
//! let note = Checkpoint::new(name.as_str(), tree.head())?.sign(&signer)?.to_string();
//! let proof = InclusionProof::prove(&nodes, 1, tree.size())?;
//!
//! // The auditor: has name and key from elsewhere, and believes nothing else.
//! let trust = Trust::new(name.as_str(), [signer.verifier_key()], [])?;
//! let opened = trust.open(note.as_bytes())?;
//! proof.verify(&[2; 32], opened.checkpoint().head())?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod tree;
mod key;
mod note;
mod checkpoint;
mod record;

pub use checkpoint::trust::{OpenedCheckpoint, Trust};
pub use checkpoint::{Checkpoint, CheckpointError};
pub use key::{PublicKey, SigningKey};
pub use note::signer::Signer;
pub use note::vkey::{KeyId, KeyName, KnownKeys, SignatureType, VerifierKey};
pub use note::{Note, NoteError, NoteSignature, Verified};
pub use record::RecordHead;
pub use tree::ProofError;
pub use tree::frontier::Frontier;
pub use tree::hash::TreeHash;
pub use tree::many::{ManyProver, ManyVerifier};
pub use tree::proof::{ConsistencyProof, InclusionProof, TreeHead};
pub use tree::prove::{MemoryNodes, NodeSource, ProveError};
pub use tree::shape::NodeAt;

/// The limits on what comes from outside, in one place.
pub mod limits {
    pub use crate::note::{NOTE_BYTES_MAX, SIGNATURES_MAX};
    pub use crate::tree::proof::PATH_HASHES_MAX;
}
