//! What stops an engine. Nothing a side does is among it: only its own log.

use hms_sync_changelog::LogError;
use hms_sync_model::InvalidName;
use hms_sync_vault::VaultError;

/// The engine cannot go on. What was acknowledged is safe; a restart takes up
/// where the log ends.
#[derive(Debug, Clone, thiserror::Error)]
pub enum EngineError {
    /// The change log failed.
    #[error("the change log failed")]
    Log(#[from] LogError),
    /// A view cannot be read.
    #[error(
        "the view of {what} cannot be read ({why}); start with --rebuild-views to make it anew from the log"
    )]
    View {
        /// Of which record or stream.
        what: String,
        /// What the decoder said.
        why: String,
    },
    /// What was carried over of archived events cannot be read.
    #[error("what came of the archived events of {record} cannot be read: {why}")]
    Carried {
        /// Of which record or stream.
        record: String,
        /// What the decoder said.
        why: String,
    },
    /// How a record stood is told by events that are in an archive.
    #[error(
        "versions 1 to {upto} of {record} are archived in {files}, and no longer in the change log; what is asked for can only be told from there"
    )]
    Archived {
        /// The record.
        record: String,
        /// The last version of it that is.
        upto: u64,
        /// The names of the files.
        files: String,
    },
    /// A name made here does not hold. Only a fault of ours gets here.
    #[error("a name cannot be made")]
    Name(#[from] InvalidName),
    /// An event cannot be encoded: it is larger than the log takes.
    #[error("an event of {record} cannot be kept: {why}")]
    Seal {
        /// Of which record.
        record: String,
        /// Why.
        why: String,
    },
    /// Keys cannot be had or kept.
    #[error("the keys of personal fields failed")]
    Vault(#[from] VaultError),
    /// Personal values are to be kept, and there is nothing to seal them with. Only a
    /// fault of ours gets here.
    #[error("a collection has personal fields, and the engine was given no keys to seal them with")]
    NoVault,
    /// The sync was stopped while somebody waited for it.
    #[error("the sync has stopped")]
    Stopped,
}
