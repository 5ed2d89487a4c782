//! What a checked config is. Whoever holds one may rely on it: names are
//! known, mappings compile, rules name existing sides and values.

use crate::contract::SchemaContract;
use hms_sync_http::spec::{HttpCollection, HttpSpec, Secrets};
use hms_sync_mapping::SideMap;
use hms_sync_model::{CollectionName, FieldMap, FieldName, SideName, Value, VecMap};
use hms_sync_notary::Settings;
use hms_sync_resolver::Rules;
use serde_json::Value as Json;
use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

/// One sync, as configured.
#[derive(Debug, Clone)]
pub struct Config {
    /// Its name.
    pub sync: String,
    /// Where the change log is. A relative path is relative to the current directory.
    pub data_dir: PathBuf,
    /// Where the management API, the dashboard and the webhooks listen.
    pub management: SocketAddr,
    /// How the log's checkpoints are signed.
    pub audit: Settings,
    /// The external systems.
    pub sides: VecMap<SideName, Side>,
    /// The kinds of record.
    pub collections: VecMap<CollectionName, Collection>,
}

/// One external system.
#[derive(Debug, Clone)]
pub struct Side {
    /// How it is reached.
    pub http: HttpSpec,
    /// What webhooks to it are signed with, if it is a subscriber: it is told and never read.
    pub subscriber: Option<Secrets>,
    /// How often and when to try again.
    pub retry: Retry,
}

/// Retries of a write: exponential back-off with full jitter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retry {
    /// Tries before a write is parked.
    pub max_attempts: u32,
    /// The widest first wait.
    pub initial: Duration,
    /// The widest wait of all.
    pub max: Duration,
}

impl Default for Retry {
    fn default() -> Self {
        Self { max_attempts: 12, initial: Duration::from_millis(50), max: Duration::from_mins(1) }
    }
}

impl Retry {
    /// For webhooks going out, whose receivers may be away for days.
    pub(crate) const DAYS: Self =
        Self { max_attempts: 20, initial: Duration::from_secs(5), max: Duration::from_hours(12) };
}

/// One kind of record.
#[derive(Debug, Clone)]
pub struct Collection {
    /// Fields that say which records of different sides are one.
    pub identity: Vec<FieldName>,
    /// How concurrent edits merge.
    pub rules: Rules,
    /// Where the records are.
    pub sides: VecMap<SideName, CollectionSide>,
    /// How many deletes at once are believed.
    pub guard: Guard,
    /// Whether a record that comes back after it was deleted everywhere is the old one, with
    /// the fields that it had, and not a new one.
    pub revives: bool,
    /// Fields whose values are sealed wherever they are kept.
    pub personal: BTreeSet<FieldName>,
    /// What people may do, and what is to come of it.
    pub tests: Vec<TestCase>,
}

/// What people do with a record, and what is to come of it.
#[derive(Debug, Clone, PartialEq)]
pub struct TestCase {
    /// The line where it stands; 0 if that is in no file.
    pub line: usize,
    /// What it is called.
    pub name: String,
    /// Whether tests that do not say so are left out.
    pub only: bool,
    /// A record that all sides have before; without one, people make it.
    pub base: Option<FieldMap>,
    /// What happens, in order.
    pub steps: Vec<Step>,
    /// What is to come of it.
    pub expect: Expect,
}

/// One thing that happens in a test.
#[derive(Debug, Clone, PartialEq)]
pub enum Step {
    /// All sides are read, and everything is brought where it belongs.
    Sync,
    /// Somebody does something. Between two syncs nobody knows of the others.
    Do(Who, Deed),
}

/// Who does something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Who {
    /// People of a side.
    Side(SideName),
    /// A person at hms-sync.
    Operator,
}

/// What somebody does with the record.
#[derive(Debug, Clone, PartialEq)]
pub enum Deed {
    /// Sets fields to canonical values, or makes the record with them.
    Fields(FieldMap),
    /// Sets members of the side's own document.
    Raw(Json),
    /// Deletes it.
    Delete,
}

/// What is to come of a test. What is not named may be anything.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Expect {
    /// The record in the end.
    pub merged: Option<ExpectedMerge>,
    /// What is written to sides.
    pub writes: Vec<(SideName, ExpectedWrite)>,
    /// Where edits meet: these places and no others.
    pub conflicts: Option<Vec<ExpectedConflict>>,
}

/// A record in the end.
#[derive(Debug, Clone, PartialEq)]
pub enum ExpectedMerge {
    /// It is deleted.
    Deleted,
    /// These fields have these values.
    Fields(FieldMap),
}

/// What is written to a side.
#[derive(Debug, Clone, PartialEq)]
pub enum ExpectedWrite {
    /// Nothing.
    Nothing,
    /// The record is deleted there.
    Delete,
    /// These fields with these values, and no others.
    Fields(FieldMap),
    /// In the end the side's own document says this, whatever else it says.
    Raw(Json),
}

/// A place where edits are to meet. What is not named may be anything.
#[derive(Debug, Clone, PartialEq)]
pub struct ExpectedConflict {
    /// The field; nothing if it is about whether the record is there.
    pub field: Option<FieldName>,
    /// `edit_edit`, `edit_delete`, `create_create`.
    pub kind: Option<String>,
    /// The value that stands.
    pub value: Option<Value>,
    /// What decides, by its name in the configuration.
    pub rule: Option<String>,
    /// Those that lose, by side.
    pub losers: Vec<(SideName, Value)>,
}

/// When deletes found in a listing wait for a person: more than `max_deletes`
/// of them that are also more than `max_deletes_percent` of the records. And when a side
/// does that shows records as they were earlier, as from a backup, by the same rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Guard {
    /// So many always pass.
    pub max_deletes: usize,
    /// So many of a hundred always pass.
    pub max_deletes_percent: usize,
    /// So many records as they were earlier always pass.
    pub max_regressions: usize,
    /// So many of a hundred always pass.
    pub max_regressions_percent: usize,
}

impl Default for Guard {
    fn default() -> Self {
        Self { max_deletes: 20, max_deletes_percent: 10, max_regressions: 20, max_regressions_percent: 10 }
    }
}

/// One side's part in a collection.
#[derive(Debug, Clone)]
pub struct CollectionSide {
    /// The requests.
    pub http: HttpCollection,
    /// The fields.
    pub map: SideMap,
    /// How often to ask for changes; never, if nothing is set.
    pub poll_interval: Option<Duration>,
    /// How often to read everything; only at the start, if nothing is set.
    pub full_interval: Option<Duration>,
    /// How often to ask for changes while its webhooks come.
    pub sweep_interval: Option<Duration>,
    /// How long after a write a read may still show what was there before it.
    pub settle_window: Duration,
    /// What is done when the side stores something else than it was sent.
    pub on_altered: OnAltered,
    /// What it means that an update finds no record there.
    pub on_missing: OnMissing,
    /// Whether a write whose answer does not show the record is followed by a read of it.
    pub read_back: bool,
    /// What its records are to be, where that is said.
    pub contract: Option<SchemaContract>,
}

/// What it means that an update finds no record there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OnMissing {
    /// It was deleted there.
    #[default]
    Deleted,
    /// It was lost there: it is made again, and deleted nowhere.
    Recreate,
    /// A person decides.
    Park,
    /// The record goes on without it: it is neither made again there nor deleted anywhere.
    Unlink,
}

/// What is done when a side stores something else than it was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OnAltered {
    /// Ours stays the merged value; the difference is listed.
    #[default]
    KeepOurs,
    /// What the side made of it counts everywhere.
    TakeTheirs,
    /// A person decides.
    Park,
}

/// [`CollectionSide::settle_window`] of a side that names none.
pub const SETTLE_WINDOW: Duration = Duration::from_secs(30);
