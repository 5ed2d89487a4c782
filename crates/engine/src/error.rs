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
