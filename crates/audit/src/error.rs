//! What can be wrong with an export, in words for the person who checks it.

use crate::payload::PayloadError;
use hms_sync_proof::{CheckpointError, ProofError};
use std::fmt;

/// Why a verification came to no good end, or an export could not be written.
#[derive(Debug, thiserror::Error)]
pub enum AuditError {
    /// The export cannot be read.
    #[error("the export cannot be read")]
    Read {
        /// What the system said.
        source: std::io::Error,
    },
    /// It cannot be written.
    #[error("the export cannot be written")]
    Write {
        /// What the system said.
        source: std::io::Error,
    },
    /// It cannot be written as JSON.
    #[error("the export cannot be written")]
    Encode {
        /// What the encoder said.
        source: serde_json::Error,
    },
    /// An entry to be written is none.
    #[error("an entry to be exported is no event: {why}")]
    NoEvent {
        /// What speaks against it.
        why: PayloadError,
    },
    /// The keys that were given cannot be used together.
    #[error("the keys that were given cannot be used")]
    Keys {
        /// Why.
        source: CheckpointError,
    },
    /// A log signs with a key of a log.
    #[error("{key} is the key of a witness, not of a log")]
    WitnessKey {
        /// Its name.
        key: String,
    },
    /// Keys of several logs.
    #[error("keys of two logs were given, {first} and {second}")]
    TwoLogs {
        /// One name.
        first: String,
        /// The other.
        second: String,
    },
    /// An older checkpoint that was given cannot be believed.
    #[error("the older checkpoint {label} is not one of this log")]
    Older {
        /// What it was called.
        label: String,
        /// Why.
        source: CheckpointError,
    },
    /// Something in the export is not as it was written.
    #[error(transparent)]
    Bad(#[from] Box<BadLine>),
}

/// The first line that is not as it was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadLine {
    /// Which line, from 1.
    pub line: u64,
    /// Which entry of the log, if it is one.
    pub seq: Option<u64>,
    /// Of which record, if that can be said.
    pub record: Option<String>,
    /// What is wrong with it.
    pub what: Problem,
}

impl std::error::Error for BadLine {}

impl fmt::Display for BadLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.seq, &self.record) {
            (Some(seq), Some(record)) => {
                write!(f, "entry {seq} of {} (line {})", record.escape_debug(), self.line)?;
            }
            (Some(seq), None) => write!(f, "entry {seq} (line {})", self.line)?,
            (None, _) => write!(f, "line {}", self.line)?,
        }
        write!(f, ": {}", self.what)
    }
}

/// What is wrong with a line.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    /// Longer than any line.
    #[error("it is longer than any line of an export")]
    TooLong,
    /// The file ends here, and should not.
    #[error("the export ends here, before its last line")]
    Cut,
    /// Not a line of an export.
    #[error("it is not a line of an export: {why}")]
    NotALine {
        /// What speaks against it.
        why: String,
    },
    /// A line of another kind has its place here.
    #[error("a line {found:?} stands where {expected} should")]
    OutOfPlace {
        /// The kind found.
        found: &'static str,
        /// What should be here.
        expected: &'static str,
    },
    /// A newer form.
    #[error("the export has form {found}, this verifier knows form {}; use a newer one", crate::form::FORMAT)]
    Format {
        /// Its version.
        found: u32,
    },
    /// It is of another log than the key.
    #[error("the export is of {found:?}, the key that was given is of {expected:?}")]
    OtherLog {
        /// The key's log.
        expected: String,
        /// The export's.
        found: String,
    },
    /// The keys that it names are none.
    #[error("the export names no usable key: {why}")]
    NoKey {
        /// Why.
        why: String,
    },
    /// It is an export of something else than was asked for.
    #[error("this is not the whole history of {expected:?}")]
    OtherScope {
        /// The record asked for.
        expected: String,
    },
    /// The checkpoint is not to be believed.
    #[error("the checkpoint is not to be believed: {0}")]
    Checkpoint(CheckpointError),
    /// The payload is no event.
    #[error("its payload is no event: {0}")]
    Payload(PayloadError),
    /// The payload is not base64.
    #[error("its payload is not base64")]
    Base64,
    /// Its id is not the hash of its payload.
    #[error("its payload does not have the hash that its id is")]
    Id,
    /// What is shown is not what the payload says.
    #[error("what is shown as {member:?} is not what the payload says")]
    Shown {
        /// Of which member.
        member: &'static str,
    },
    /// A hash in a proof is none.
    #[error("its proof has something that is no hash")]
    NoHash,
    /// It is not in the tree.
    #[error("it is not the entry that the checkpoint has there: {0}")]
    NotInTree(ProofError),
    /// It does not follow the entry before it.
    #[error("it stands after entry {after}: entries are shown in ascending order, each once")]
    Order {
        /// The entry before it.
        after: u64,
    },
    /// An entry is not there.
    #[error("it is missing")]
    Missing,
    /// It belongs to another record.
    #[error("it does not belong to {expected:?}, whose history this is")]
    OtherRecord {
        /// The record of the export.
        expected: String,
    },
    /// It is none of the range.
    #[error("it is not one of the entries {first} to {last}, which this is said to hold")]
    OutOfRange {
        /// The first that is.
        first: u64,
        /// The last that is.
        last: u64,
    },
    /// A version is not there.
    #[error("version {expected} of the record is missing before it: it has version {found}")]
    VersionGap {
        /// The version that should come.
        expected: u64,
        /// The one that came.
        found: u64,
    },
    /// It names another event before it.
    #[error("the previous event it names is not the one its record has")]
    Prev,
    /// What the log says of the record is not to be believed.
    #[error("what the log says of the record is not to be believed: {0}")]
    RecordHead(CheckpointError),
    /// It says something else than the export shows.
    #[error("the log says that the record has {said} at this checkpoint, the export {shown}")]
    RecordEnd {
        /// What the log signed.
        said: String,
        /// What is here.
        shown: String,
    },
    /// The count is another.
    #[error("it counts {stated} entries, there are {found}")]
    Count {
        /// What it says.
        stated: u64,
        /// How many there are.
        found: u64,
    },
    /// Something follows the last line.
    #[error("something follows the end of the export")]
    AfterEnd,
    /// An older checkpoint is no beginning of this one.
    #[error("the history is not a continuation of the older checkpoint {label}: {why}")]
    Rewritten {
        /// What it was called.
        label: String,
        /// Why.
        why: ProofError,
    },
    /// An older checkpoint goes past this one.
    #[error(
        "the older checkpoint {label} has {older} entries, this export only {size}: entries were taken back, or the export is older than it"
    )]
    Ahead {
        /// What it was called.
        label: String,
        /// Its size.
        older: u64,
        /// The export's size.
        size: u64,
    },
    /// The export has no proof for an older checkpoint.
    #[error(
        "the export has no proof for the older checkpoint {label} of {older} entries: have it made with `--checkpoint`"
    )]
    NoProof {
        /// What it was called.
        label: String,
        /// Its size.
        older: u64,
    },
}
