//! What people are told, as plain data: the same for the command and the API.

mod conflict;
mod link;
mod page;
mod past;
mod story;
mod subscriber;

pub use conflict::{
    Chosen, ConflictPage, ConflictQuery, ConflictStory, Decide, MetValue, Pick, RecordConflicts, Restore,
};
pub use hms_sync_engine::ParkedItem;
pub use link::{Join, LinkDifference, Relink, RelinkPreview, Unlink};
pub use page::{LogPage, LogQuery};
pub use past::{AsOf, Diff, FieldDiff, PointReport};
pub use story::{EditStory, FieldStory, NotSeen, Noted, SideStory, ValueStory, WriteStory};
pub use subscriber::{Subscribe, Subscribed, TellAgain};

use hms_sync_engine::{ErasedReport, FieldReport, SidePart, Status};
use hms_sync_notary::NotaryStatus;
use serde::{Deserialize, Serialize};

/// Whether and where a sync runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Running {
    /// A process keeps the sides in step.
    Live,
    /// Nobody does; the answer is what the log holds.
    Stopped,
}

/// The sync at a glance.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StatusReport {
    /// Whether it runs.
    pub running: Running,
    /// The rest.
    #[serde(flatten)]
    pub status: Status,
    /// Key and last checkpoint of the log, and why it signs no more if that is so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub audit: Option<NotaryStatus>,
}

/// A signed checkpoint.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckpointReport {
    /// Events in it.
    pub size: u64,
    /// The root over them, in base64.
    pub root: String,
    /// The signed note.
    pub note: String,
}

/// Which parked things are meant. Every part that is given must fit.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ParkedFilter {
    /// Those of one record, by any of its names.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub record: Option<String>,
    /// Those of one lane, as the list shows it: a side, a handler, a request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lane: Option<String>,
    /// Those for one side.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub side: Option<String>,
    /// Those with one kind of trouble, as the list shows it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

impl ParkedFilter {
    /// Whether it lets everything through.
    pub fn is_open(&self) -> bool {
        *self == Self::default()
    }

    /// Whether it lets `item` through. The record is compared by id.
    pub(crate) fn fits(&self, item: &ParkedItem) -> bool {
        let same = |wanted: &Option<String>, found: &str| wanted.as_ref().is_none_or(|w| w == found);
        let of_side = self.side.as_ref().is_none_or(|side| {
            item.lane == *side
                || item.record.strip_prefix("@sync/").is_some_and(|s| s.starts_with(&format!("{side}/")))
        });
        of_side
            && same(&self.record, &item.record)
            && same(&self.lane, &item.lane)
            && same(&self.reason, &item.reason)
    }
}

/// Some of what is parked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ParkedPage {
    /// The items, in order of record.
    pub items: Vec<ParkedItem>,
    /// Where to go on; nothing if this is all.
    pub next: Option<String>,
}

/// What came of a release.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Released {
    /// How many things were taken up or let be.
    pub released: usize,
}

/// One event of a record's history.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EventReport {
    /// The record it belongs to, or a stream of the sync's own.
    pub record: String,
    /// What people call the record now, where events of several are told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// Its place in the whole log.
    pub seq: u64,
    /// Its place in the record's history.
    pub version: u64,
    /// When hms-sync wrote it, in RFC 3339.
    pub at: String,
    /// The kind of event.
    pub kind: String,
    /// The side it is about.
    pub side: Option<String>,
    /// In one line.
    pub words: String,
    /// Everything it says.
    pub detail: serde_json::Value,
    /// Its BLAKE3 hash, in hexadecimal.
    pub id: String,
    /// The id of the record's event before it; zeros for the first.
    pub prev: String,
}

/// A record's history, or a part of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct History {
    /// The record's id.
    pub record: String,
    /// What people call it.
    pub title: String,
    /// Where its first events are, if they are no longer in the log.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub archived: Option<String>,
    /// Its events in order.
    pub events: Vec<EventReport>,
    /// The version to go on after; nothing if this is all.
    pub next: Option<u64>,
}

/// Why a record, or one field of it, is as it is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Explanation {
    /// The record's id.
    pub record: String,
    /// What people call it.
    pub title: String,
    /// The time that was meant, in RFC 3339; nothing for now.
    pub asked: Option<String>,
    /// How many events the record had then.
    pub version: u64,
    /// Whether it is there, deleted, or disputed.
    pub presence: String,
    /// Who says that it is there, and who deleted it; told if somebody did.
    pub presence_values: Vec<ValueStory>,
    /// The fields asked for.
    pub fields: Vec<FieldReport>,
    /// The way of each of them.
    pub stories: Vec<FieldStory>,
    /// Its part on each side.
    pub sides: Vec<SidePart>,
    /// What was erased of it, if its personal fields were.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub erased: Option<ErasedReport>,
    /// Where its first events are, if they are no longer in the log.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub archived: Option<String>,
    /// The edits that made the fields what they are, the latest ones if there are many.
    pub edits: Vec<EventReport>,
}

/// What came of an erasure.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Erased {
    /// The record's id.
    pub record: String,
    /// What people call it.
    pub title: String,
    /// The fields whose values cannot be read any more, and that are closed from now on.
    pub fields: Vec<String>,
}

/// A record that was held and is taken up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TakenUp {
    /// The record's id.
    pub record: String,
    /// What people call it.
    pub title: String,
    /// The version of the event that says so.
    pub version: u64,
    /// The sides that are read before anything is sent.
    pub unread: Vec<String>,
    /// What waits for a person: it may have been done before.
    pub parked: Vec<ParkedItem>,
}

/// What a check of the whole log found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verified {
    /// Whether everything held.
    pub sound: bool,
    /// Events read.
    pub events: u64,
    /// Records and streams they belong to.
    pub records: u64,
    /// Events that an earlier recovery has found missing.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub lost: Vec<LostEvents>,
    /// What was archived and dropped; its ids are checked as part of the tree.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub archived: Vec<ArchivedEvents>,
    /// The first bad entry: where it is and what is wrong with it.
    pub problem: Option<String>,
    /// Checkpoints on record, each of which the log continues.
    #[serde(default)]
    pub recorded: u64,
    /// Verifier keys that it signs with, or has signed with, under this name or another.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub keys: Vec<String>,
}

/// Events that were archived and dropped from the log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ArchivedEvents {
    /// The number of the first.
    pub first: u64,
    /// The number of the last.
    pub last: u64,
    /// The name of the file they are in.
    pub file: String,
    /// The BLAKE3 hash of that file, in hexadecimal.
    pub hash: String,
    /// When the last of them was written.
    pub until: String,
    /// When they were dropped.
    pub dropped: String,
}

/// What came of a drop.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dropped {
    /// What was dropped.
    #[serde(flatten)]
    pub archived: ArchivedEvents,
    /// Events that take the place of what was dropped: of each record and stream how it stood.
    pub records: u64,
    /// What the log takes on disk now; a compact copy takes less.
    pub bytes: u64,
}

/// Events that follow each other and were lost.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LostEvents {
    /// The number of the first.
    pub first: u64,
    /// The number of the last.
    pub last: u64,
    /// When a recovery found them missing.
    pub found: String,
}
