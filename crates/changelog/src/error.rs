//! What can go wrong with a change log, in words for the person who reads it.
//!
//! One failed sync is told to many waiters, so an error is cheap to clone.

use std::error::Error;
use std::path::PathBuf;
use std::sync::Arc;

/// The cause underneath, shared between all who are told of it.
pub(crate) type Cause = Arc<dyn Error + Send + Sync>;

/// Why the change log did not do what it was asked to.
#[derive(Debug, Clone, thiserror::Error)]
pub enum LogError {
    /// The file system refused.
    #[error("cannot {doing} {}", path.display())]
    Io {
        /// The step, as "sync".
        doing: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: Arc<std::io::Error>,
    },
    /// The storage underneath refused to read or write.
    #[error("the change log's storage failed while it was to {doing}")]
    Storage {
        /// The step, as "write events".
        doing: &'static str,
        /// What it said.
        source: Cause,
    },
    /// Somebody else has the log open.
    #[error(
        "the change log at {place} is in use by another process; stop that one first, or ask it through its API"
    )]
    InUse {
        /// Its folder.
        place: String,
    },
    /// A newer hms-sync wrote the log.
    #[error(
        "the change log at {} has format {found}, this hms-sync knows formats up to {known}; use the newer hms-sync",
        path.display()
    )]
    NewerFormat {
        /// Its folder.
        path: PathBuf,
        /// The format it has.
        found: u32,
        /// The newest format known here.
        known: u32,
    },
    /// The folder holds something else.
    #[error("{} is not a change log: {why}; nothing in it was touched", path.display())]
    NotALog {
        /// The folder.
        path: PathBuf,
        /// What speaks against it.
        why: String,
    },
    /// The storage's own files are damaged beyond what it can open.
    #[error(
        "the change log at {} is damaged and cannot be opened ({why}); `hms-sync log FILE recover` makes a new one of all that is whole in it",
        path.display()
    )]
    Corrupt {
        /// The folder.
        path: PathBuf,
        /// What the storage said.
        why: String,
    },
    /// Where a recovered log is to go, there is something.
    #[error("{} is there already; nothing was done", path.display())]
    InTheWay {
        /// What is there.
        path: PathBuf,
    },
    /// There is no file that could hold events.
    #[error("{} has no file named db, so there is nothing to recover from", path.display())]
    NothingToRecover {
        /// The folder.
        path: PathBuf,
    },
    /// One entry is not what was written; it is not served.
    #[error("event {seq} of the change log is damaged: {damage}; `verify` shows whether others are")]
    Damaged {
        /// The event's place in the log.
        seq: u64,
        /// In which way.
        damage: Damage,
    },
    /// The index leads nowhere; the events themselves may be whole.
    #[error("the change log's index of {record} is damaged at version {version}: {damage}")]
    DamagedIndex {
        /// The record asked for.
        record: String,
        /// The version asked for.
        version: u64,
        /// In which way.
        damage: Damage,
    },
    /// A part of the index or of the saved views is not as it was written.
    #[error("a block of the {table} is not as it was written, at {key}; no event is concerned by this")]
    DamagedTable {
        /// Which of both.
        table: &'static str,
        /// The key, made printable.
        key: String,
    },
    /// A hash of the tree is not there.
    #[error("the tree has no hash for the events {first} to {last}; `verify` shows what is damaged")]
    DamagedTree {
        /// The first of them.
        first: u64,
        /// The last of them.
        last: u64,
    },
    /// A proof was asked for that there cannot be.
    #[error(transparent)]
    Proof(#[from] hms_sync_proof::ProofError),
    /// Events that do not follow the last one.
    #[error("event {found} does not follow event {}; nothing was written", expected.saturating_sub(1))]
    Gap {
        /// The number that would have followed.
        expected: u64,
        /// The number that came.
        found: u64,
    },
    /// More bytes than the log takes in one piece.
    #[error("the {what} has {bytes} bytes; the change log takes {max} at most")]
    TooLarge {
        /// Event, view or view key.
        what: &'static str,
        /// Its size.
        bytes: usize,
        /// The bound.
        max: usize,
    },
    /// Events that cannot be dropped as they are asked to be.
    #[error("events {first} to {last} are not dropped from the change log: {why}")]
    NotToDrop {
        /// The first.
        first: u64,
        /// The last.
        last: u64,
        /// Why.
        why: String,
    },
    /// The event cannot be put into the log's form.
    #[error("an event of {record} cannot be encoded: {why}")]
    Encode {
        /// Of which record.
        record: String,
        /// What the encoder said.
        why: String,
    },
    /// Views were to be saved that stand ahead of the events.
    #[error("views up to event {upto} cannot be saved: the last durable event is {head}")]
    ViewsAhead {
        /// How far the views go.
        upto: u64,
        /// The last durable event.
        head: u64,
    },
    /// What must be durable before the events is not.
    #[error("nothing was written: {why}")]
    Before {
        /// Why, in the words of whoever keeps it.
        why: Arc<str>,
    },
    /// An earlier error stopped all writing; reading goes on.
    #[error(
        "the change log takes no more writes since an earlier error ({why}); restart to go on from what is durable"
    )]
    Poisoned {
        /// The earlier error with its causes.
        why: Arc<str>,
    },
    /// The log was closed, or its writer has ended.
    #[error("the change log is closed")]
    Closed,
}

impl LogError {
    /// This error and its causes in one line.
    pub(crate) fn in_one_line(&self) -> String {
        let mut line = self.to_string();
        let mut cause = self.source();
        while let Some(error) = cause {
            line = format!("{line}: {error}");
            cause = error.source();
        }
        line
    }
}

/// In which way an entry is not what was written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Damage {
    /// It is not there.
    #[error("it is missing")]
    Missing,
    /// It was lost; what is left of the log was recovered.
    #[error("it was lost, as a recovery has found at {}", at.to_chrono().format("%Y-%m-%d %H:%M:%S UTC"))]
    Lost {
        /// When that was found.
        at: hms_sync_model::Time,
    },
    /// It was archived and dropped.
    #[error("it was dropped from the change log once it was archived, and is in {file}")]
    Archived {
        /// The name of the file.
        file: String,
    },
    /// What is there does not begin like an entry.
    #[error("its frame has no head")]
    Head,
    /// It ends before its own length says.
    #[error("its frame is cut short")]
    Cut,
    /// It lies in a compressed chunk that cannot be decompressed.
    #[error("the chunk it lies in cannot be decompressed")]
    Packed,
    /// A frame of a version unknown here.
    #[error("its frame has version {0}, which is unknown here")]
    FrameVersion(u8),
    /// Its bytes have another hash than its id.
    #[error("its content does not have the hash it is stored under")]
    Hash,
    /// Its content is no event.
    #[error("its content is no event ({0})")]
    Content(String),
    /// It says something that this version does not know.
    #[error("it says what this hms-sync does not know ({0}); a newer one wrote it, use that")]
    Newer(String),
    /// Another event stands in its place.
    #[error("event {0} stands in its place")]
    Place(u64),
    /// The key it is stored under is none of ours.
    #[error("it is stored under a key that is not one of the log's")]
    Key,
    /// Parts of an event larger than a chunk that belong to none.
    #[error("it has parts that belong to no event")]
    Parts,
    /// The index does not lead to it.
    #[error("the index does not lead to it")]
    Index,
    /// What is stored of the index, beside the entries, is not what it should be.
    #[error("the stored index is not as it was written")]
    Table,
    /// The index leads to it and it is another event.
    #[error("an index entry leads to it that it does not belong to")]
    IndexExtra,
    /// Its record has no event of the version before.
    #[error("the version before it is missing from its record")]
    VersionGap,
    /// The tree's hash over some events is not the one that they have.
    #[error("the tree has another hash for the events from it to {last}: they, or the tree, were changed")]
    Tree {
        /// The last of those events.
        last: u64,
    },
    /// The tree up to some event is not the one of a checkpoint.
    #[error("the events from it to {last} are not those of the checkpoint of {last} events")]
    Checkpoint {
        /// The last of those events.
        last: u64,
    },
    /// A checkpoint goes past the last event.
    #[error("it is missing: there is a checkpoint of {last} events, and the log ends before it")]
    RolledBack {
        /// The last event of the checkpoint.
        last: u64,
    },
    /// The log's own count ends before it.
    #[error("the log's own count ends before it")]
    Uncounted,
    /// It names another previous event than its record has.
    #[error("the previous event it names is not the one its record has")]
    Prev,
}
