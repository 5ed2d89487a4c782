//! Some of the events of the whole log, and which are wanted.

use crate::answers::EventReport;
use serde::{Deserialize, Serialize};

/// Which events are wanted, as people say it. Every part that is given must fit.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LogQuery {
    /// Those that concern one side.
    pub side: Option<String>,
    /// Those of one record, by any of its names.
    pub record: Option<String>,
    /// Those of one collection.
    pub collection: Option<String>,
    /// Those of some kinds, by name, with commas between.
    pub kind: Option<String>,
    /// Those from a time on.
    pub from: Option<String>,
    /// Those up to a time, its last moment included.
    pub to: Option<String>,
    /// Those that name one field: edits that change it, writes that carry it.
    pub field: Option<String>,
    /// So many at most.
    pub limit: Option<usize>,
    /// Those past this one: after it, or before it where the newest come first.
    pub after: Option<u64>,
    /// The newest first.
    #[serde(default)]
    pub reverse: bool,
}

/// Some events of the log.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LogPage {
    /// Those that fit, in the order asked for. There may be none though there are more.
    pub events: Vec<EventReport>,
    /// Where to go on (`after` of the next question); nothing if this is all.
    pub next: Option<u64>,
    /// Where what comes before is, if that was asked for and is no longer in the log.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub archived: Option<String>,
    /// How many events were read to find them.
    pub looked_at: u64,
}
