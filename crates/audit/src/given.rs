//! What an auditor brings along: the log's keys, witnesses', checkpoints from earlier.
//!
//! What never happens here: taking any of it from the export.

use crate::error::{AuditError, Problem};
use hms_sync_proof::{ConsistencyProof, ProofError, SignatureType, TreeHead, Trust, VerifierKey};

/// Keys and checkpoints, as they were given.
#[derive(Debug, Clone, Default)]
pub(crate) struct Given {
    pub(crate) keys: Vec<VerifierKey>,
    pub(crate) witnesses: Vec<VerifierKey>,
    /// What each is called, and the note.
    pub(crate) older: Vec<(String, Vec<u8>)>,
}

impl Given {
    /// Whom to believe; nothing if there is no key.
    pub(crate) fn trust(&self) -> Result<Option<Trust>, AuditError> {
        let Some(first) = self.keys.first() else { return Ok(None) };
        if let Some(key) = self.keys.iter().find(|key| key.kind() != SignatureType::Ed25519) {
            return Err(AuditError::WitnessKey { key: key.name().to_string() });
        }
        if let Some(other) = self.keys.iter().find(|key| key.name() != first.name()) {
            let (first, second) = (first.name().to_string(), other.name().to_string());
            return Err(AuditError::TwoLogs { first, second });
        }
        self.trust_in(first.name().as_str(), &self.keys).map(Some)
    }

    /// The log of that name, signed by these keys.
    pub(crate) fn trust_in(&self, origin: &str, keys: &[VerifierKey]) -> Result<Trust, AuditError> {
        Trust::new(origin, keys.iter().cloned(), self.witnesses.iter().cloned())
            .map_err(|source| AuditError::Keys { source })
    }

    /// The older checkpoints, smaller first.
    pub(crate) fn open_older(&self, trust: &Trust) -> Result<Vec<Older>, AuditError> {
        let open = |(label, note): &(String, Vec<u8>)| match trust.open(note) {
            Ok(opened) => Ok(Older { label: label.clone(), head: *opened.checkpoint().head(), fits: false }),
            Err(source) => Err(AuditError::Older { label: label.clone(), source }),
        };
        let mut older = self.older.iter().map(open).collect::<Result<Vec<_>, _>>()?;
        older.sort_by_key(|older| older.head.size);
        Ok(older)
    }
}

/// An older checkpoint.
#[derive(Debug, Clone)]
pub(crate) struct Older {
    label: String,
    pub(crate) head: TreeHead,
    /// Whether it has been shown to be a beginning of the export's.
    pub(crate) fits: bool,
}

impl Older {
    /// One that goes past the export cannot be its beginning; the export's own needs no proof.
    pub(crate) fn begin(&mut self, head: &TreeHead) -> Result<(), Problem> {
        if self.head.size > head.size {
            let (label, older) = (self.label.clone(), self.head.size);
            return Err(Problem::Ahead { label, older, size: head.size });
        }
        if self.head.size == head.size || self.head.size == 0 {
            self.prove(&ConsistencyProof { path: Vec::new() }, head)?;
        }
        Ok(())
    }

    /// By a proof.
    pub(crate) fn prove(&mut self, proof: &ConsistencyProof, head: &TreeHead) -> Result<(), Problem> {
        proof.verify(&self.head, head).map_err(|why| self.rewritten(why))?;
        self.fits = true;
        Ok(())
    }

    /// By the tree that the entries have at its size.
    pub(crate) fn compare(&mut self, made: TreeHead) -> Result<(), Problem> {
        if made != self.head {
            let (size, older, newer) = (made.size, self.head.root, made.root);
            return Err(self.rewritten(ProofError::Fork { size, older, newer }));
        }
        self.fits = true;
        Ok(())
    }

    fn rewritten(&self, why: ProofError) -> Problem {
        Problem::Rewritten { label: self.label.clone(), why }
    }

    /// Nothing in the export was about it.
    pub(crate) fn end(&self) -> Result<(), Problem> {
        if self.fits {
            return Ok(());
        }
        Err(Problem::NoProof { label: self.label.clone(), older: self.head.size })
    }
}
