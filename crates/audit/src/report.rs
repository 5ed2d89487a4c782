//! What a verification has shown, and what it has not.

use crate::form::Scope;
use serde::{Deserialize, Serialize};

/// A witness that signed the checkpoint as well.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Witnessed {
    /// Its name.
    pub name: String,
    /// When, by its clock, in seconds since 1970; nothing if it did not say.
    pub time: Option<u64>,
}

/// What has been shown of an export in which nothing is wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// Which log it says it is of.
    pub origin: String,
    /// Whether that is proven: by a key that was given, not taken from the export.
    pub proven: bool,
    /// What of the log it holds.
    pub scope: Scope,
    /// Entries of the log at the checkpoint.
    pub size: u64,
    /// The root over them, in base64.
    pub root: String,
    /// Entries in the export, each in the tree of that root.
    pub entries: u64,
    /// The first and the last of them.
    pub first: Option<u64>,
    /// The last of them.
    pub last: Option<u64>,
    /// Whether none between those is left out.
    pub contiguous: bool,
    /// Sizes of the older checkpoints that were given: each is a beginning of this one.
    pub older: Vec<u64>,
    /// Known witnesses that signed the checkpoint.
    pub witnesses: Vec<Witnessed>,
}

impl Report {
    /// What has not been proven, in words.
    pub fn not_proven(&self) -> Vec<String> {
        let mut open = Vec::new();
        if !self.proven {
            open.push(format!(
                "that this is a history of {}: no key was given, and the one in the export proves nothing",
                self.origin
            ));
        }
        if self.older.is_empty() && self.witnesses.is_empty() {
            open.push(
                "that this is the history which others were shown: there was neither an older checkpoint \
                 nor a known witness, and whoever holds the log's key can write another one"
                    .to_owned(),
            );
        }
        if matches!(self.scope, Scope::Part(_)) {
            open.push(if self.contiguous {
                "that nothing before the first and after the last entry belongs to what was asked for"
                    .to_owned()
            } else {
                "that nothing that was asked for is left out: the export holds some entries".to_owned()
            });
        }
        open
    }
}
