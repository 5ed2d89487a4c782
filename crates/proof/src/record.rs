//! What a log says of one record: which event is its last, in a tree of some size. A
//! signed note of its own, so that who is handed a record's history finds out whether its
//! end was kept back.
//!
//! It is the log's word and no proof by itself: but a later event of that record before
//! that size would show that the log lied, with its own signature under it.
//!
//! What never happens here: a text that could be taken for a checkpoint. A checkpoint's
//! second line is a number; the second line here begins with a word.

use crate::checkpoint::trust::Trust;
use crate::checkpoint::{CheckpointError, decimal, is_line};
use crate::note::Note;
use crate::note::signer::Signer;
use crate::tree::hash::TreeHash;
use crate::tree::proof::TreeHead;
use std::fmt;
use std::str::FromStr;

/// The first line.
const KIND: &str = "hms-sync/record-head/v1";

/// The last event of a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordHead {
    /// Which log.
    pub origin: String,
    /// Which record.
    pub record: String,
    /// How many events it has: the version of the last.
    pub version: u64,
    /// The id of the last.
    pub event: [u8; 32],
    /// The tree in which that is so.
    pub tree: TreeHead,
}

impl RecordHead {
    /// Signed by the log, whose name is the origin.
    pub fn sign(&self, signer: &Signer) -> Result<Note, CheckpointError> {
        if signer.name().as_str() != self.origin {
            let (origin, name) = (self.origin.clone(), signer.name().to_string());
            return Err(CheckpointError::OtherName { origin, name });
        }
        if !is_line(&self.record) || !is_line(&self.origin) {
            return Err(CheckpointError::Malformed { why: "a name in it is empty or not one line of text" });
        }
        let text = self.to_string();
        let signature = signer.sign(&text);
        Ok(Note::new(text, signature))
    }
}

impl fmt::Display for RecordHead {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { origin, record, version, event, tree } = self;
        write!(f, "{KIND}\nlog {origin}\nrecord {record}\nversion {version}\nevent ")?;
        write!(f, "{}\nsize {}\nroot {}\n", TreeHash(*event), tree.size, tree.root)
    }
}

impl FromStr for RecordHead {
    type Err = CheckpointError;

    /// From a note's text. This verifies no signature: see [`Trust::open_record`].
    fn from_str(text: &str) -> Result<Self, CheckpointError> {
        let why = "it is not what a log says of a record, each line in its place";
        let malformed = || CheckpointError::Malformed { why };
        let mut lines = text.strip_suffix('\n').ok_or_else(malformed)?.split('\n');
        let mut line = |word: &str| {
            let line = lines.next().ok_or_else(malformed)?;
            line.strip_prefix(word).filter(|rest| is_line(rest)).ok_or_else(malformed)
        };
        if format!("hms-sync/{}", line("hms-sync/")?) != KIND {
            return Err(malformed());
        }
        let number = |text: &str| decimal(text).ok_or_else(malformed);
        let hash = |text: &str| text.parse::<TreeHash>().map_err(|_| malformed());
        let head = Self {
            origin: line("log ")?.to_owned(),
            record: line("record ")?.to_owned(),
            version: number(line("version ")?)?,
            event: hash(line("event ")?)?.0,
            tree: TreeHead { size: number(line("size ")?)?, root: hash(line("root ")?)? },
        };
        if lines.next().is_some() { Err(malformed()) } else { Ok(head) }
    }
}

impl Trust {
    /// What this log says of a record, if the log signed it.
    pub fn open_record(&self, note: &[u8]) -> Result<RecordHead, CheckpointError> {
        let note = Note::parse(note)?;
        let head: RecordHead = self.text_of(&note)?.parse()?;
        self.is_ours(&head.origin)?;
        Ok(head)
    }
}
