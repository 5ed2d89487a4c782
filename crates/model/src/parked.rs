//! What is set aside: why, which part of a record's way it concerns, and what a person did about it.
//!
//! The names and letters in the serde names are part of the format on disk (`docs/format.md`).

use crate::{Clock, FieldName, JobName, SideName};
use serde::{Deserialize, Serialize};
use std::fmt;

/// Which part of a record's way something concerns.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Lane {
    /// Bringing the merged record to a side.
    #[serde(rename = "s")]
    Side(SideName),
    /// Calling a handler.
    #[serde(rename = "j")]
    Job(JobName),
    /// One queued request: the version of its `Queued` event.
    #[serde(rename = "q")]
    Request(u64),
}

impl fmt::Display for Lane {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Side(side) => write!(f, "{side}"),
            Self::Job(job) => write!(f, "{job}"),
            Self::Request(version) => write!(f, "request v{version}"),
        }
    }
}

/// Why something was set aside. The names are those of the reports.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ParkReason {
    /// The side will not take the write.
    Refused,
    /// As often as the configuration allows, the side could not take it.
    OutOfRetries,
    /// The side answers that all is well and keeps the old value.
    NotKept,
    /// The side keeps something else than what it was sent.
    Altered,
    /// Nobody can say whether the write was done, and the side offers no way to look.
    Unknown,
    /// Two native records claim the same identity.
    AmbiguousMatch,
    /// The side shows another record under an id that was this one's.
    IdReused,
    /// A policy asks a person to decide.
    Manual,
    /// The merged record cannot be put into the side's shape.
    Unmappable,
    /// The side's record cannot be read into ours.
    Unreadable,
    /// A handler failed as often as the configuration allows.
    HandlerFailed,
    /// More deletes at once than the guard lets pass.
    MassDelete,
    /// An event that the resolver cannot apply.
    Malformed,
    /// Two sides keep undoing each other.
    Flapping,
    /// Many records of a side stand as they did earlier, as after a restore from a backup.
    Regression,
}

impl fmt::Display for ParkReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Refused => "refused",
            Self::OutOfRetries => "out_of_retries",
            Self::NotKept => "not_kept",
            Self::Altered => "altered",
            Self::Unknown => "unknown",
            Self::AmbiguousMatch => "ambiguous_match",
            Self::IdReused => "id_reused",
            Self::Manual => "manual",
            Self::Unmappable => "unmappable",
            Self::Unreadable => "unreadable",
            Self::HandlerFailed => "handler_failed",
            Self::MassDelete => "mass_delete",
            Self::Malformed => "malformed",
            Self::Flapping => "flapping",
            Self::Regression => "regression",
        })
    }
}

/// What is set aside, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Parked {
    /// The kind of trouble.
    #[serde(rename = "k")]
    pub reason: ParkReason,
    /// In words: what failed, and what the side said.
    #[serde(rename = "w")]
    pub words: String,
    /// Tries made before it was set aside.
    #[serde(rename = "n", default)]
    pub attempts: u32,
    /// The fields that the trouble is about, if it is about some.
    #[serde(rename = "f", default, skip_serializing_if = "Vec::is_empty")]
    pub fields: Vec<FieldName>,
    /// The merged state it was set aside at: a newer one is tried again by itself.
    #[serde(rename = "c", default)]
    pub clock: Clock,
    /// Whether a person has let it be since. It is set aside all the same.
    #[serde(rename = "u", default, skip_serializing_if = "std::ops::Not::not")]
    pub given_up: bool,
}

/// What a person did about something parked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Released {
    /// Try again from the start.
    Replay,
    /// Leave it; the side keeps what it has until the record changes again.
    Discard,
    /// Of a side that was put back to an earlier state: write ours back to it.
    PushOurs,
    /// Of the same: what it shows now counts as its people's edits.
    TakeTheirs,
}
