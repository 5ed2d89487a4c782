//! What a recovery has kept and what not, for the person who has to answer for it.

use super::Held;
use super::rebuild::Rebuilt;
use crate::archived::Archived;
use crate::hole::Lost;
use hms_sync_model::RecordId;
use std::path::{Path, PathBuf};

/// How far down the ladder a recovery went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// A copy of it opens and is sound.
    Opened,
    /// A copy of it does so without the storage's snapshots.
    OpenedWithoutSnapshots,
    /// A new log was made of the events found in the raw file.
    Salvaged,
}

impl Way {
    /// In a word, as in reports.
    pub fn word(self) -> &'static str {
        match self {
            Self::Opened => "opened",
            Self::OpenedWithoutSnapshots => "opened without snapshots",
            Self::Salvaged => "salvaged",
        }
    }
}

/// A record that lacks versions before one that is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BrokenRecord {
    /// Which.
    pub record: RecordId,
    /// The last version before those that are lost; 0 if there is none.
    pub after: u64,
    /// The first version after them.
    pub before: u64,
}

/// What a recovery came to.
#[derive(Debug, Clone)]
pub struct Recovery {
    /// The damaged folder.
    pub from: PathBuf,
    /// The new log.
    pub into: PathBuf,
    /// How it was made.
    pub way: Way,
    /// What was wrong with the ways tried before.
    pub reasons: Vec<String>,
    /// Events that are there.
    pub events: u64,
    /// Records and streams that they belong to.
    pub records: u64,
    /// The last number that was given to an event.
    pub last: u64,
    /// The numbers of those that are not there, in order.
    pub lost: Vec<Lost>,
    /// Records that lack versions between others.
    pub broken: Vec<BrokenRecord>,
    /// Numbers under which only events of a history that was given up were found.
    pub left_out: Vec<u64>,
    /// What had been archived and dropped, and is not lost.
    pub archived: Vec<Archived>,
    /// How many ids of its events were not found: the tree is another one then.
    pub ids_missing: u64,
}

impl Recovery {
    pub(super) fn opened(dir: &Path, into: &Path, way: Way, found: &Held, reasons: Vec<String>) -> Self {
        Self {
            from: dir.to_owned(),
            into: into.to_owned(),
            way,
            reasons,
            events: found.events,
            records: found.records,
            last: found.head,
            lost: found.lost.clone(),
            broken: Vec::new(),
            left_out: Vec::new(),
            archived: found.archived.clone(),
            ids_missing: 0,
        }
    }

    pub(super) fn salvaged(dir: &Path, into: &Path, made: Rebuilt, reasons: Vec<String>) -> Self {
        let Rebuilt { events, records, last, lost, broken, left_out, archived, ids_missing } = made;
        Self {
            from: dir.to_owned(),
            into: into.to_owned(),
            way: Way::Salvaged,
            reasons,
            events,
            records,
            last,
            lost,
            broken,
            left_out,
            archived,
            ids_missing,
        }
    }

    /// How many events are not there.
    pub fn events_lost(&self) -> u64 {
        self.lost.iter().map(|lost| lost.count).sum()
    }
}
