//! What people say about which native record is whose, and what they are told.

use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

/// A record and what a side has of it are to go separate ways.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Unlink {
    /// The record, by any of its names.
    pub record: String,
    /// The side.
    pub side: String,
    /// Who asks for it.
    pub by: String,
    /// Why.
    pub reason: String,
}

/// A native record is to become a record's part on a side.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Relink {
    /// The record, by any of its names.
    pub record: String,
    /// The side.
    pub side: String,
    /// The side's id; nothing for the one that was unlinked last, or for whatever is found there.
    #[serde(default)]
    pub id: Option<String>,
    /// Who asks for it.
    pub by: String,
    /// Why.
    pub reason: String,
}

/// A record is to be one with another, which goes on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Join {
    /// The record that ends, by any of its names.
    pub record: String,
    /// The record that goes on.
    pub into: String,
    /// Who asks for it.
    pub by: String,
    /// Why.
    pub reason: String,
}

/// What a relink would bring together.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RelinkPreview {
    /// The record.
    pub record: String,
    /// What people call it.
    pub title: String,
    /// The side's id of what would be linked; nothing if whatever is found there would be.
    pub id: Option<String>,
    /// The record that this one is part of now; it would end.
    pub now_of: Option<String>,
    /// Fields in which the two differ, as far as it is known what the side has.
    pub differences: Vec<LinkDifference>,
}

/// A field in which a record and a native record differ.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LinkDifference {
    /// The field.
    pub field: String,
    /// The record's value.
    pub ours: Json,
    /// What the side has.
    pub theirs: Json,
}
