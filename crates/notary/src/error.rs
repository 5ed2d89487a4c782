//! What can go wrong with keys and checkpoints, in words for the person who reads it.

use hms_sync_changelog::LogError;
use hms_sync_proof::{CheckpointError, NoteError, ProofError, TreeHead};
use std::path::{Path, PathBuf};

/// What keeps the notary from its work.
#[derive(Debug, thiserror::Error)]
pub enum NotaryError {
    /// The file system refused.
    #[error("cannot {doing} {}", path.display())]
    Io {
        /// The step.
        doing: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The file of the key holds none.
    #[error("{} is not the log's key: {why}", path.display())]
    NotAKey {
        /// The file.
        path: PathBuf,
        /// What speaks against it.
        why: &'static str,
    },
    /// The key lies open.
    #[error("{} can be read by others; `chmod 600` it, and rotate the key if it may have been seen", path.display())]
    OpenKey {
        /// The file.
        path: PathBuf,
    },
    /// The system gave no randomness.
    #[error("no random key can be made: {why}")]
    Random {
        /// What it said.
        why: String,
    },
    /// The name cannot be a log's.
    #[error("{name:?} cannot be the name of a log")]
    Origin {
        /// The name.
        name: String,
        /// Why.
        source: NoteError,
    },
    /// The name is or was this log's.
    #[error(
        "this log has signed as {name:?} already, and a new origin needs a name that it never had: give another \
         one with `--origin` and as `origin` in the configuration, or take `origin` out of the configuration \
         and have one made up"
    )]
    UsedOrigin {
        /// The name.
        name: String,
    },
    /// There is no key yet.
    #[error("the log has no key yet: it is made at the first start")]
    NoKey,
    /// A change of the key is under way.
    #[error("the log's key is being changed already")]
    Changing,
    /// The log could not be read.
    #[error(transparent)]
    Log(#[from] LogError),
    /// A note could not be made.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// It refuses to sign.
    #[error(transparent)]
    Refused(#[from] Refusal),
}

impl NotaryError {
    pub(crate) fn io(doing: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> Self {
        move |source| Self::Io { doing, path: path.to_owned(), source }
    }

    /// This error and its causes in one line.
    pub(crate) fn in_one_line(&self) -> String {
        let (mut line, mut cause) = (self.to_string(), std::error::Error::source(self));
        while let Some(error) = cause {
            let words = error.to_string();
            if !line.ends_with(&words) {
                line = format!("{line}: {words}");
            }
            cause = error.source();
        }
        line
    }
}

/// Why no checkpoint is signed: the log is not a continuation of what was signed last.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Events are gone.
    #[error(
        "the log has {now} events, and a checkpoint of {signed} was signed: {} were lost or an old copy was restored; \
         `audit FILE new-origin` begins a new history in the open", signed.saturating_sub(*now)
    )]
    RolledBack {
        /// Events now.
        now: u64,
        /// Events of the last checkpoint.
        signed: u64,
    },
    /// Events are others.
    #[error(
        "the first {} events are not those of the checkpoint that was signed last ({why}); \
         `audit FILE new-origin` begins a new history in the open", signed.size
    )]
    Rewritten {
        /// What was signed.
        signed: TreeHead,
        /// How they differ.
        why: ProofError,
    },
    /// The last checkpoint is not one of this key.
    #[error(
        "the last checkpoint on record is not one of the log's keys ({why}); bring the folder `audit` back \
         as it was, or begin a new history in the open with `audit FILE new-origin`"
    )]
    Unknown {
        /// What is wrong with it.
        why: String,
    },
    /// The configuration names another log.
    #[error(
        "the log has signed as {found} and the configuration calls it {configured}; \
         `audit FILE new-origin` begins a new history in the open"
    )]
    OtherOrigin {
        /// The key's name.
        found: String,
        /// The configured one.
        configured: String,
    },
}
