//! How much the change log holds: of which collections, since when, and what it
//! takes. From counts that are kept with each commit, and two events that are read.

use hms_sync_changelog::{Log, LogError};
use hms_sync_engine::events_at;
use hms_sync_model::{Event, Time};
use serde::{Deserialize, Serialize};

/// How much the change log holds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StatsReport {
    /// Durable events.
    pub events: u64,
    /// Of these, how many are archived and no longer in the log.
    #[serde(default)]
    pub archived: u64,
    /// Records they belong to, without the sync's own streams.
    pub records: u64,
    /// What the log takes on disk, in bytes.
    pub bytes: u64,
    /// What the events take as they are encoded, before compression, in bytes.
    pub payload_bytes: u64,
    /// The same for one event, on average.
    pub payload_bytes_per_event: f64,
    /// What one event takes on disk, with all that belongs to it, on average.
    pub disk_bytes_per_event: f64,
    /// By collection, the largest first.
    pub collections: Vec<CollectionStats>,
    /// Why it cannot be said how much there is of each collection, if it cannot.
    pub uncounted: Option<String>,
    /// The first event.
    pub oldest: Option<EventMark>,
    /// The last event.
    pub newest: Option<EventMark>,
    /// The stored index of where each record's events are.
    pub index: StoredSize,
    /// The saved views.
    pub views: StoredSize,
    /// The event up to which views are saved.
    pub views_upto: u64,
    /// Why it takes no more writes, if it does not.
    pub poisoned: Option<String>,
}

/// How much there is of one collection.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CollectionStats {
    /// Its name; `@sync` for the sync's own streams, nothing for those not counted apart.
    pub name: String,
    /// Events.
    pub events: u64,
    /// Records they belong to.
    pub records: u64,
    /// What the events take as they are encoded, in bytes.
    pub payload_bytes: u64,
    /// Its part of all events, from 0 to 1.
    pub share: f64,
}

/// An event, and when it was written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventMark {
    /// Its place in the log.
    pub seq: u64,
    /// When hms-sync wrote it, in RFC 3339.
    pub at: String,
}

/// How much is stored of something that can be made anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredSize {
    /// Entries, older ones that are not merged away yet included.
    pub entries: u64,
    /// Sorted runs they lie in.
    pub runs: usize,
}

impl From<hms_sync_changelog::TableSize> for StoredSize {
    fn from(found: hms_sync_changelog::TableSize) -> Self {
        Self { entries: found.entries, runs: found.runs }
    }
}

impl StatsReport {
    /// Of a log. Damaged events are said and stop nothing; blocks if nobody has counted so far.
    pub fn of(log: &Log) -> Self {
        let found = log.stats();
        let counted = log.counts();
        let uncounted = counted.as_ref().err().map(LogError::to_string);
        let groups = counted.unwrap_or_default();
        let payload_bytes = groups.values().map(|count| count.bytes).sum();
        let collections = groups.into_iter().map(|(name, count)| CollectionStats {
            name,
            events: count.events,
            records: count.records,
            payload_bytes: count.bytes,
            share: ratio(count.events, found.events),
        });
        let mut collections: Vec<CollectionStats> = collections.collect();
        collections.sort_by(|a, b| b.events.cmp(&a.events).then_with(|| a.name.cmp(&b.name)));
        let own = |collection: &&CollectionStats| !collection.name.starts_with('@');
        Self {
            events: found.events,
            archived: log.dropped_upto(),
            records: collections.iter().filter(own).map(|collection| collection.records).sum(),
            bytes: found.bytes,
            payload_bytes,
            payload_bytes_per_event: ratio(payload_bytes, found.events),
            disk_bytes_per_event: ratio(found.bytes, found.events),
            collections,
            uncounted,
            oldest: mark(log, 1),
            newest: newest(log),
            index: found.index.into(),
            views: found.views.into(),
            views_upto: found.views_upto,
            poisoned: found.poisoned.map(|why| why.to_string()),
        }
    }
}

/// The last event that there is: where the log ends with lost ones, the last before them.
fn newest(log: &Log) -> Option<EventMark> {
    mark(log, log.head()).or_else(|| mark(log, events_at(log, Time(i64::MAX)).ok()?))
}

/// The first event from `seq` on. One that cannot be read has no time either.
fn mark(log: &Log, seq: u64) -> Option<EventMark> {
    let (_, Event { seq, at: Time(at), .. }) = log.events(seq, 1).ok()?.pop()?;
    Some(EventMark { seq, at: Time(at).to_string() })
}

/// To four places; 0 of nothing.
#[expect(clippy::cast_precision_loss, reason = "for people")]
fn ratio(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { (part as f64 / whole as f64 * 10_000.0).round() / 10_000.0 }
}
