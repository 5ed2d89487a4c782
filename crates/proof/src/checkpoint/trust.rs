//! Whom a verifier believes, brought from elsewhere: one log by name, its keys, and
//! witnesses. Only through this a checkpoint becomes something to rely on.
//!
//! What never happens here: believing what a checkpoint says of itself. A log that
//! names its own key, or a verifier that looks a key up by a name that the log gave,
//! can be led to another history (CVE-2022-39199).

use super::{Checkpoint, CheckpointError};
use crate::note::vkey::{KnownKeys, SignatureType, VerifierKey};
use crate::note::{Note, NoteError, NoteSignature, Verified};

/// One log and whom to believe about it.
#[derive(Debug, Clone)]
pub struct Trust {
    origin: String,
    log: Vec<VerifierKey>,
    known: KnownKeys,
}

/// A checkpoint that the log signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenedCheckpoint {
    checkpoint: Checkpoint,
    log: Vec<Verified>,
    witnesses: Vec<Verified>,
}

impl OpenedCheckpoint {
    /// What the log says.
    pub const fn checkpoint(&self) -> &Checkpoint {
        &self.checkpoint
    }

    /// The log's keys that signed it: one at least.
    pub fn log(&self) -> &[Verified] {
        &self.log
    }

    /// The known witnesses that signed it, each key once: none perhaps. How many it
    /// takes is for the caller to say.
    pub fn witnesses(&self) -> &[Verified] {
        &self.witnesses
    }
}

impl Trust {
    /// The log of that origin, signed by any of these keys (several where it has
    /// changed its key), and these witnesses. A key counts once: no witness has the
    /// log's, and no two have one (tlog-cosignature asks witnesses for the same).
    pub fn new(
        origin: &str,
        log: impl IntoIterator<Item = VerifierKey>,
        witnesses: impl IntoIterator<Item = VerifierKey>,
    ) -> Result<Self, CheckpointError> {
        let log: Vec<_> = log.into_iter().collect();
        let witnesses: Vec<_> = witnesses.into_iter().collect();
        let own = |witness: &&VerifierKey| log.iter().any(|key| key.public() == witness.public());
        if let Some(witness) = witnesses.iter().find(own) {
            return Err(CheckpointError::OwnWitness { name: witness.name().to_string() });
        }
        for (n, witness) in witnesses.iter().enumerate() {
            let same = |other: &&VerifierKey| other.public() == witness.public() && *other != witness;
            if let Some(other) = witnesses.iter().skip(n).find(same) {
                let (first, second) = (witness.to_string(), other.to_string());
                return Err(CheckpointError::OneWitnessTwice { first, second });
            }
        }
        let known = KnownKeys::new(log.iter().cloned().chain(witnesses))?;
        Ok(Self { origin: origin.to_owned(), log, known })
    }

    /// The checkpoint in a note, if it is this log's and the log signed it. A known
    /// witness's line that is wrong spoils it; unknown lines are passed over.
    pub fn open(&self, note: &[u8]) -> Result<OpenedCheckpoint, CheckpointError> {
        let note = Note::parse(note)?;
        let (text, verified) = note.verify(&self.known)?;
        let (log, witnesses): (Vec<_>, Vec<_>) =
            verified.into_iter().partition(|said| self.log.contains(&said.key));
        if log.is_empty() {
            return Err(CheckpointError::NotByTheLog);
        }
        let checkpoint: Checkpoint = text.parse()?;
        self.is_ours(&checkpoint.origin)?;
        Ok(OpenedCheckpoint { checkpoint, log, witnesses })
    }

    /// The text of a note that the log signed.
    pub(crate) fn text_of<'n>(&self, note: &'n Note) -> Result<&'n str, CheckpointError> {
        let (text, verified) = note.verify(&self.known)?;
        let by_log = verified.iter().any(|said| self.log.contains(&said.key));
        if by_log { Ok(text) } else { Err(CheckpointError::NotByTheLog) }
    }

    /// Whether an origin is that of this log.
    pub(crate) fn is_ours(&self, origin: &str) -> Result<(), CheckpointError> {
        if origin == self.origin {
            return Ok(());
        }
        Err(CheckpointError::OtherLog { expected: self.origin.clone(), found: origin.to_owned() })
    }

    /// What a witness's answer is worth: the known witness's cosignature of that
    /// checkpoint, to be put under its note; nothing if the line is not by a known
    /// witness's cosigning key.
    pub fn cosignature(
        &self,
        checkpoint: &Checkpoint,
        line: &NoteSignature,
    ) -> Result<Option<Verified>, NoteError> {
        let key = self.known.find(line.name(), line.id());
        let witness =
            |key: &&VerifierKey| key.kind() == SignatureType::CosignatureV1 && !self.log.contains(key);
        let Some(key) = key.filter(witness) else { return Ok(None) };
        let time = key.check(&checkpoint.to_string(), line)?;
        Ok(Some(Verified { key: key.clone(), time }))
    }
}
