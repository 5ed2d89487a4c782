//! Who signs: a name and a secret key. The log signs the text of its checkpoints
//! (signed-note, type `0x01`); a witness signs that text and the time at which it
//! saw it (C2SP tlog-cosignature, type `0x04`).
//!
//! What never happens here: deciding whether a checkpoint may be signed, or reading
//! a clock.

use super::vkey::{KeyName, SignatureType, VerifierKey};
use super::{NoteError, NoteSignature};
use crate::checkpoint::Checkpoint;
use crate::key::SigningKey;

/// The largest time of a cosignature (tlog-cosignature): 2^63 - 1.
const TIME_MAX: u64 = u64::MAX >> 1;

/// A name and its secret key.
#[derive(Debug)]
pub struct Signer {
    name: KeyName,
    key: SigningKey,
}

impl Signer {
    /// Of this name and key.
    pub const fn new(name: KeyName, key: SigningKey) -> Self {
        Self { name, key }
    }

    /// The name.
    pub const fn name(&self) -> &KeyName {
        &self.name
    }

    /// What to hand to those who verify a log's signatures.
    pub fn verifier_key(&self) -> VerifierKey {
        VerifierKey::new(self.name.clone(), SignatureType::Ed25519, self.key.public())
    }

    /// What to hand to those who verify a witness's cosignatures.
    pub fn cosigner_key(&self) -> VerifierKey {
        VerifierKey::new(self.name.clone(), SignatureType::CosignatureV1, self.key.public())
    }

    /// As a log, over a note's text.
    pub(crate) fn sign(&self, text: &str) -> NoteSignature {
        let bytes = self.key.sign(text.as_bytes()).to_vec();
        NoteSignature { name: self.name.clone(), id: self.verifier_key().id(), bytes }
    }

    /// As a witness: that at this time (seconds since 1970) the checkpoint was the
    /// largest it had seen of that log, and consistent with those before.
    pub fn cosign(&self, checkpoint: &Checkpoint, time: u64) -> Result<NoteSignature, NoteError> {
        let signature = self.key.sign(cosigned_text(&checkpoint.to_string(), time)?.as_bytes());
        let bytes = [time.to_be_bytes().as_slice(), &signature].concat();
        Ok(NoteSignature { name: self.name.clone(), id: self.cosigner_key().id(), bytes })
    }
}

/// What a cosignature is made over: a line that keeps it apart from other signatures,
/// the time, and the whole text of the checkpoint.
pub(crate) fn cosigned_text(text: &str, time: u64) -> Result<String, NoteError> {
    if time > TIME_MAX {
        return Err(NoteError::Time { found: time });
    }
    Ok(format!("cosignature/v1\ntime {time}\n{text}"))
}
