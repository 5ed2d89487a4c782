//! Why keys cannot be had or kept.

use std::io;
use std::sync::Arc;

/// The vault failed. No value was written unsealed for it.
#[derive(Debug, Clone, thiserror::Error)]
pub enum VaultError {
    /// The operating system refused.
    #[error("cannot {doing} {name} of the keys")]
    Io {
        /// What was tried.
        doing: &'static str,
        /// Which file.
        name: String,
        /// What it said.
        source: Arc<io::Error>,
    },
    /// A file is none of ours, or of a newer form.
    #[error("{name} of the keys is not what hms-sync writes: {why}")]
    Form {
        /// Which file.
        name: &'static str,
        /// What is wrong with it.
        why: String,
    },
    /// The record keys are there, and the key that opens them is not.
    #[error(
        "the record keys are wrapped by epoch key {epoch}, and the epoch file does not hold it: \
         both files of the folder belong together"
    )]
    NoEpoch {
        /// Which one is asked for.
        epoch: u64,
    },
    /// The epoch key is there, and the record keys are not.
    #[error(
        "the epoch file is there, and the table of record keys is not: both files of the folder belong together"
    )]
    NoTable,
    /// No random bytes can be had.
    #[error("no random bytes for a key: {0}")]
    Random(String),
    /// A value cannot be put into the form that is sealed.
    #[error("a personal value cannot be encoded: {0}")]
    Encode(String),
    /// An earlier error stopped all writing of keys.
    #[error("no more keys are kept since an earlier error ({why}); restart to go on from what is durable")]
    Broken {
        /// The earlier error with its causes.
        why: Arc<str>,
    },
}

impl VaultError {
    /// Words around what the system said.
    pub(crate) fn io(doing: &'static str, name: &str) -> impl FnOnce(io::Error) -> Self {
        move |why| Self::Io { doing, name: name.to_owned(), source: Arc::new(why) }
    }

    /// This error and its cause in one line.
    pub fn in_one_line(&self) -> String {
        match std::error::Error::source(self) {
            Some(cause) => format!("{self}: {cause}"),
            None => self.to_string(),
        }
    }
}
