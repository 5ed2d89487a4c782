//! Reading a collection page by page.

use crate::Observation;
use hms_sync_model::{CollectionName, InvalidName, NativeId};
use std::time::Duration;

/// Where the next poll starts, in the connector's own words. Kept in the change
/// log, in the same commit as the records it stands behind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cursor(pub String);

/// Where the next page of the same pass starts, in the connector's own words.
/// Lives no longer than the pass.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PageToken(pub String);

/// How much of a collection a pass is to read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Scope {
    /// Everything there is: the first load, the sweep for deletes and drift.
    Everything,
    /// What changed since the cursor, and some of what was there before.
    Since(Cursor),
}

/// Asks for one page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReadRequest {
    /// Of which collection.
    pub collection: CollectionName,
    /// Of which pass.
    pub scope: Scope,
    /// After which page; nothing for the first.
    pub after: Option<PageToken>,
}

/// A part of a collection that could not be read. Its records say that they are of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Unread {
    /// Where in them, as members to step into, and what stands there: all of it does.
    pub places: Vec<(Vec<String>, serde_json::Value)>,
    /// Why it could not be read: a line for people.
    pub reason: String,
}

/// One page of records.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Page {
    /// The records that could be read, in the side's order.
    pub records: Vec<Observation>,
    /// How many of them, about, the same pass has shown on an earlier page: they are taken in as
    /// the others are, and not counted once more.
    pub shown_before: usize,
    /// Records of the page that could not be: without id, not an object, too large.
    /// Each is a line for people that names the place. They make a listing incomplete.
    pub unreadable: Vec<String>,
    /// Parts of the collection that could not be read: that their records are not shown proves
    /// nothing.
    pub unread: Vec<Unread>,
    /// Records that the page showed and that are not to be taken: they are there, so that
    /// a listing without them proves nothing about them.
    pub passed_over: Vec<NativeId>,
    /// Records that the side lists as gone. Where the side can be asked for one record, it is
    /// asked before they are believed to be; else what the same pass showed is there.
    pub gone: Vec<NativeId>,
    /// Whether the pass leaves out a part of the collection: then nothing is concluded from
    /// what it does not show.
    pub partial: bool,
    /// How long before the page was asked for its records may have been looked at: as long as it
    /// took to make the file that they are from. What is known of a record since is newer.
    pub age: Duration,
    /// Whether a complete listing that showed nothing at all is to be believed.
    pub empty_is_meant: bool,
    /// The page after this one; nothing if it was the last.
    pub next: Option<PageToken>,
    /// Where the next poll may start once everything up to this page is durable.
    /// Nothing if that cannot be said before the pass has ended.
    pub cursor: Option<Cursor>,
}

/// Why nothing was read. The words say what failed, where, and what to do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// The side could not be reached, broke off, or asked us to come back later.
    #[error("{reason}")]
    Later {
        /// What happened.
        reason: String,
        /// How long it asked us to stay away.
        after: Option<Duration>,
    },
    /// The side answered, and the answer will not do: not JSON, no list at the
    /// configured place, a page that repeats itself, a redirect to elsewhere.
    #[error("{reason}")]
    Broken {
        /// What was wrong with the answer.
        reason: String,
    },
    /// The side does not let us in, or the request is wrong: a person has to act.
    #[error("{reason}")]
    Denied {
        /// What the side said.
        reason: String,
    },
}

impl ReadError {
    /// Whether trying again without a change by a person can help.
    pub fn is_retryable(&self) -> bool {
        !matches!(self, Self::Denied { .. })
    }

    /// For an id that the side gave and that cannot be one.
    pub fn bad_id(id: &NativeId, why: &InvalidName) -> Self {
        Self::Broken { reason: format!("the side's id {:.40} cannot be used: {why}", id.as_str()) }
    }
}
