//! Checkpoints (C2SP tlog-checkpoint): which log, how many entries, which root, as
//! three lines of text, and perhaps further lines that nobody here looks at.
//!
//! What never happens here: signing by itself. Whether a size may be signed (its
//! events durable, nothing signed before taken back) is for the log to know.

pub(crate) mod trust;

use crate::note::signer::Signer;
use crate::note::{Note, NoteError};
use crate::tree::ProofError;
use crate::tree::proof::TreeHead;
use std::fmt;
use std::str::FromStr;

/// Why a checkpoint is not accepted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CheckpointError {
    /// The note or a key is wrong, or the signatures are.
    #[error(transparent)]
    Note(#[from] NoteError),
    /// The signed text is not a checkpoint's.
    #[error("not a checkpoint: {why}")]
    Malformed {
        /// What speaks against it.
        why: &'static str,
    },
    /// The head it states cannot be.
    #[error("the checkpoint contradicts itself")]
    Head(#[source] ProofError),
    /// It is another log's.
    #[error("this is a checkpoint of {found:?}, not of {expected:?}")]
    OtherLog {
        /// The log asked for.
        expected: String,
        /// The log it is of.
        found: String,
    },
    /// Only witnesses signed it, not the log itself.
    #[error("the log's own key has not signed this checkpoint, only others have")]
    NotByTheLog,
    /// The log's key has another name than the log.
    #[error("the key of {name} does not sign for {origin}: log and key have one name")]
    OtherName {
        /// The log.
        origin: String,
        /// The key's name.
        name: String,
    },
    /// A key that would vouch for itself.
    #[error("{name} has the log's own key: a log is not its own witness")]
    OwnWitness {
        /// The witness.
        name: String,
    },
    /// One witness under two names would count twice.
    #[error("{first} and {second} have one key: a witness counts once")]
    OneWitnessTwice {
        /// The one name.
        first: String,
        /// The other, or the same with another type of signature.
        second: String,
    },
}

/// What a log says of itself at one moment. Its text (`to_string`) is what is signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkpoint {
    origin: String,
    head: TreeHead,
    extensions: Vec<String>,
}

impl Checkpoint {
    /// Of this log and tree. The origin is one line, by custom a URL without a scheme.
    pub fn new(origin: &str, head: TreeHead) -> Result<Self, CheckpointError> {
        if !is_line(origin) {
            return Err(CheckpointError::Malformed { why: "the origin is empty or not one line of text" });
        }
        head.check().map_err(CheckpointError::Head)?;
        Ok(Self { origin: origin.to_owned(), head, extensions: Vec::new() })
    }

    /// With one more line under the three. tlog-checkpoint advises against them: no
    /// witness vouches for what they say.
    pub fn with_extension(mut self, line: &str) -> Result<Self, CheckpointError> {
        if !is_line(line) {
            return Err(CheckpointError::Malformed { why: "an extension is empty or not one line of text" });
        }
        self.extensions.push(line.to_owned());
        Ok(self)
    }

    /// Which log.
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// How many entries, and the root over them.
    pub const fn head(&self) -> &TreeHead {
        &self.head
    }

    /// The lines under the three.
    pub fn extensions(&self) -> &[String] {
        &self.extensions
    }

    /// Signed by the log, whose name is the origin (tlog-checkpoint advises that;
    /// here it holds always). Call it only for a tree that cannot be lost any more.
    pub fn sign(&self, signer: &Signer) -> Result<Note, CheckpointError> {
        if signer.name().as_str() != self.origin {
            let (origin, name) = (self.origin.clone(), signer.name().to_string());
            return Err(CheckpointError::OtherName { origin, name });
        }
        let text = self.to_string();
        let signature = signer.sign(&text);
        Ok(Note::new(text, signature))
    }
}

impl FromStr for Checkpoint {
    type Err = CheckpointError;

    /// From a note's text. This verifies no signature: see [`Trust::open`](crate::Trust::open).
    fn from_str(text: &str) -> Result<Self, CheckpointError> {
        let malformed = |why| CheckpointError::Malformed { why };
        let mut lines = text.strip_suffix('\n').ok_or(malformed("its last line has no end"))?.split('\n');
        let origin = lines.next().unwrap_or_default();
        let size = lines.next().ok_or(malformed("it has no size"))?;
        let size = decimal(size).ok_or(malformed("its size is not a decimal number below 2^64"))?;
        let root = lines.next().ok_or(malformed("it has no root"))?;
        let root = root.parse().map_err(|_| malformed("its root is not the base64 of 32 bytes"))?;
        let checkpoint = Self::new(origin, TreeHead { size, root })?;
        lines.try_fold(checkpoint, Self::with_extension)
    }
}

impl fmt::Display for Checkpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}\n{}\n{}", self.origin, self.head.size, self.head.root)?;
        self.extensions.iter().try_for_each(|line| writeln!(f, "{line}"))
    }
}

/// A line that a note can hold: not empty, no newline or other control character.
pub(crate) fn is_line(text: &str) -> bool {
    !text.is_empty() && !text.contains(|c: char| c < ' ')
}

/// A number in its one decimal form: digits only, no zero in front.
pub(crate) fn decimal(text: &str) -> Option<u64> {
    let canonical = text.bytes().all(|byte| byte.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
    if canonical { text.parse().ok() } else { None }
}
