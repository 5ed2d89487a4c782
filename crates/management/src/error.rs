//! What can go wrong when somebody asks, and what they can do about it.

use crate::when::{HOW, NoTime};
use hms_sync_changelog::LogError;
use hms_sync_engine::EngineError;
use hms_sync_notary::{ExportError, NotaryError};
use std::net::SocketAddr;
use std::path::PathBuf;

/// Whether a text is no longer than a record's name can be.
///
/// # Errors
/// [`DeskError::NameTooLong`] otherwise, without the text.
pub fn name_fits(name: &str) -> Result<(), DeskError> {
    let bytes = name.len();
    if bytes > NAME_BYTES_MAX { Err(DeskError::NameTooLong { bytes }) } else { Ok(()) }
}

/// The longest name that is looked up, in bytes: longer than any id, also with a side before it.
pub const NAME_BYTES_MAX: usize = 4_096;

/// Why a question has no answer.
#[derive(Debug, thiserror::Error)]
pub enum DeskError {
    /// No record goes by that name.
    #[error("no record goes by the name {name:?}")]
    NoSuchRecord {
        /// The name.
        name: String,
    },
    /// What is called the name of a record is longer than any.
    #[error("the name of a record has {NAME_BYTES_MAX} bytes at most, this one has {bytes}")]
    NameTooLong {
        /// How long it is.
        bytes: usize,
    },
    /// The record has no such field.
    #[error("{record} has no field {field:?}")]
    NoSuchField {
        /// The record.
        record: String,
        /// The field.
        field: String,
        /// The fields it has.
        known: Vec<String>,
    },
    /// Nothing that is parked fits.
    #[error("nothing that is parked fits")]
    NothingParked,
    /// The question itself cannot be.
    #[error("{why}")]
    Invalid {
        /// Why.
        why: String,
        /// What would be right.
        hint: String,
    },
    /// A text that should name a time names none.
    #[error("{text:?} is no time")]
    NoTime {
        /// The text.
        text: String,
    },
    /// The engine will not do it.
    #[error("{why}")]
    Refused {
        /// Why.
        why: String,
    },
    /// The decision cannot be made.
    #[error("{why}")]
    NotDecided {
        /// Why.
        why: String,
    },
    /// What is said about which native record is whose cannot be.
    #[error("{why}")]
    NotTied {
        /// Why.
        why: String,
    },
    /// Somebody has changed what the decision is about.
    #[error("nothing was done: version {seen} was decided about, and since then {}", changed.join("; "))]
    Stale {
        /// The version that was seen.
        seen: u64,
        /// The version that there is.
        now: u64,
        /// What has changed, in words.
        changed: Vec<String>,
    },
    /// Nothing of the record can be erased.
    #[error("{why}")]
    NotErased {
        /// Why.
        why: String,
    },
    /// The record is not taken up.
    #[error("{why}")]
    NotTakenUp {
        /// Why.
        why: String,
    },
    /// It takes a running sync, and none runs.
    #[error("the sync is not running")]
    NotRunning,
    /// It takes a sync that nobody runs, and one does.
    #[error("the sync is running")]
    Runs,
    /// Only events that are archived can tell.
    #[error("{why}")]
    Archived {
        /// What is where.
        why: String,
    },
    /// The sync stopped while it was asked.
    #[error("the sync has stopped")]
    Stopped,
    /// The engine's views cannot be read.
    #[error("the sync cannot answer")]
    Engine(#[source] EngineError),
    /// The log cannot be read.
    #[error("the change log cannot be read")]
    Log(#[from] LogError),
    /// Nobody signs for this log.
    #[error("there is no key for this log")]
    NoNotary,
    /// Nothing can be signed.
    #[error(transparent)]
    Notary(Box<NotaryError>),
    /// There is no export.
    #[error(transparent)]
    Export(Box<ExportError>),
    /// The work was cut off.
    #[error("the answer was cut off: {why}")]
    CutOff {
        /// By what.
        why: String,
    },
}

impl From<EngineError> for DeskError {
    fn from(why: EngineError) -> Self {
        match why {
            EngineError::Stopped => Self::Stopped,
            why @ EngineError::Archived { .. } => Self::Archived { why: why.to_string() },
            why => Self::Engine(why),
        }
    }
}

impl From<NotaryError> for DeskError {
    fn from(why: NotaryError) -> Self {
        Self::Notary(Box::new(why))
    }
}

impl From<ExportError> for DeskError {
    fn from(why: ExportError) -> Self {
        Self::Export(Box::new(why))
    }
}

impl From<NoTime> for DeskError {
    fn from(why: NoTime) -> Self {
        Self::NoTime { text: why.text }
    }
}

impl DeskError {
    /// What the person who asked can do.
    pub fn hint(&self) -> String {
        match self {
            Self::NoSuchRecord { .. } | Self::NameTooLong { .. } => {
                "name it by its id, as collection/identity (permit/P-1001), or as side:id there (clerk:17)"
                    .into()
            }
            Self::NoSuchField { known, .. } => format!("its fields are {}", known.join(", ")),
            Self::NothingParked => "`hms-sync parked FILE list` shows what is parked".into(),
            Self::Invalid { hint, .. } => hint.clone(),
            Self::NoTime { .. } => HOW.into(),
            Self::Refused { .. } => "`hms-sync status FILE` shows the sides and their collections".into(),
            Self::NotTied { .. } => "`hms-sync explain FILE RECORD` shows what each side has of it".into(),
            Self::NotDecided { .. } => "`hms-sync conflicts FILE show RECORD` shows how it stands".into(),
            Self::Stale { now, .. } => {
                format!("look at it again, then decide with --version {now} if it is still right")
            }
            Self::NotErased { .. } => "`hms-sync explain FILE RECORD` shows how it stands".into(),
            Self::NotTakenUp { .. } => "`hms-sync parked FILE list` shows what is held, and why".into(),
            Self::Runs => "stop it first: only one process at a time can drop events from the log".into(),
            Self::Archived { .. } => {
                "`hms-sync audit ARCHIVE verify` checks an archive; each of its lines shows an event".into()
            }
            Self::NotRunning => "start it with `hms-sync run FILE`".into(),
            Self::Stopped => {
                "see its last log lines, then start it again; what was acknowledged is safe".into()
            }
            Self::Engine(_) | Self::Log(_) => {
                "`hms-sync audit FILE verify` shows whether the change log is sound".into()
            }
            Self::NoNotary => "it is made when the sync starts: `hms-sync run FILE`".into(),
            Self::Notary(_) | Self::Export(_) => {
                "`hms-sync status FILE` shows the last checkpoint; docs/audit.md says what breaks there are"
                    .into()
            }
            Self::CutOff { .. } => "ask again".into(),
        }
    }
}

/// Why the server does not start.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The address cannot be had.
    #[error("cannot listen on {address}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// What the system said.
        source: std::io::Error,
    },
    /// The system gives no random numbers for the token.
    #[error("no random numbers for the access token: {why}")]
    Random {
        /// What the system said.
        why: String,
    },
    /// The file that tells commands where to ask cannot be written.
    #[error("cannot write {}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// Two webhook routes have one path.
    #[error("two webhooks want the path {path}; give each its own")]
    SamePath {
        /// The path.
        path: String,
    },
}
