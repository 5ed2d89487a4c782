//! A write to a side, and what came of it.

use crate::{NativeId, Tag, Value};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// What a write does to the side's record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Operation {
    /// Makes a record that the side does not have yet.
    Create,
    /// Changes fields of a record that the side has.
    Update,
    /// Removes the side's record.
    Delete,
}

impl Operation {
    /// `create`, `update` or `delete`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Update => "update",
            Self::Delete => "delete",
        }
    }
}

/// What a side made of one field that was written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum FieldResult {
    /// It holds what was sent, or says nothing to the contrary.
    #[serde(rename = "t")]
    Taken,
    /// It holds the same in another form. The form is what the side shows from now on.
    #[serde(rename = "r")]
    Reformatted(Value),
    /// It holds something else than was there before and than was sent (clamped, truncated).
    #[serde(rename = "a")]
    Altered(Value),
    /// It still holds what was there before.
    #[serde(rename = "n")]
    NotKept,
}

/// A write that the side carried out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written {
    /// The side's id of the record.
    pub id: NativeId,
    /// The side's version tag after the write, if it names one.
    pub tag: Option<Tag>,
    /// The record as the side says it now holds it, if it says so.
    pub stored: Option<serde_json::Value>,
}

/// What came of a write. Every case is a normal one: there is no `Err`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// Done.
    Applied(Written),
    /// There was nothing to do: a delete of what is gone already.
    Noop,
    /// The side's record is not the version the write was made for (412, or 409
    /// on an update): read it again, merge, try again.
    Conflict {
        /// What the side said.
        reason: String,
    },
    /// A create met a record that is there already (409, or a duplicate key
    /// reported in another way): look it up and link it.
    Exists {
        /// What the side said.
        reason: String,
    },
    /// The side no longer has the record (404 or 410 on an update).
    Gone,
    /// The side will not take it, now or later (400, 413, 422, …).
    Rejected {
        /// What the side said, with the status.
        reason: String,
    },
    /// The side refused for now and did nothing (429, 503, connection refused).
    RetryLater {
        /// What the side said.
        reason: String,
        /// How long it asked us to stay away.
        after: Option<Duration>,
        /// Whether the whole side is away or asks for less, not just this record.
        side_wide: bool,
    },
    /// The request was sent and no answer came: it may or may not have been done.
    Unknown {
        /// What broke.
        reason: String,
    },
}
