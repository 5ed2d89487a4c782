//! What the engine is told to do: sides, collections, jobs and their bounds.
//!
//! Built once by whoever assembles a sync (from YAML or from the builder),
//! checked by then, and never changed while the sync runs.

use crate::contract::Contract;
use hms_sync_connector::{Abilities, Shaped};
use hms_sync_mapping::{SideMap, UnmappableField, UnreadableField, canonical};
use hms_sync_model::{CollectionName, FieldMap, FieldName, FieldType, JobName, SideName, Value, VecMap};
use hms_sync_resolver::Rules;
use serde_json::Value as Json;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// One sync.
#[derive(Debug, Clone)]
pub struct Plan {
    /// Its name.
    pub name: String,
    /// The external systems.
    pub sides: VecMap<SideName, SidePlan>,
    /// The kinds of record.
    pub collections: VecMap<CollectionName, CollectionPlan>,
    /// The handlers.
    pub jobs: VecMap<JobName, JobPlan>,
    /// Most records that may wait, ready to be delivered, before reading pauses.
    pub backlog_max: usize,
    /// Records kept in memory as they are, at most.
    pub records_max: usize,
    /// Changed views that wait in memory before they are saved, in keys.
    pub unsaved_max: usize,
    /// How often collections of sides are asked for changes instead, as long as one of their
    /// webhooks has come within this time.
    pub sweeps: BTreeMap<(SideName, CollectionName), Duration>,
    /// What records of sides are agreed to be, where that is said.
    pub contracts: BTreeMap<(SideName, CollectionName), Contract>,
    /// The log was put back from a backup: everything is read anew, and nothing is written.
    pub restored: bool,
}

impl Plan {
    /// A plan with nothing in it.
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            sides: VecMap::new(),
            collections: VecMap::new(),
            jobs: VecMap::new(),
            backlog_max: 2_048,
            records_max: 6_000,
            unsaved_max: 8_000,
            sweeps: BTreeMap::new(),
            contracts: BTreeMap::new(),
            restored: false,
        }
    }
}

/// How to treat one side.
#[derive(Debug, Clone)]
pub struct SidePlan {
    /// Most requests under way to it at once.
    pub in_flight_max: usize,
    /// Retries of what it could not take.
    pub retry: Retry,
}

/// How often and when to try again. Waits are drawn evenly between nothing and
/// `initial · 2^attempt`, `max` at most (full jitter).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retry {
    /// Tries before something is parked.
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

impl Default for SidePlan {
    fn default() -> Self {
        Self { in_flight_max: 32, retry: Retry::default() }
    }
}

/// One kind of record.
#[derive(Debug, Clone)]
pub struct CollectionPlan {
    /// Fields that say which records of different sides are one.
    pub identity: Vec<FieldName>,
    /// How concurrent edits merge.
    pub rules: Rules,
    /// Where the records are.
    pub sides: VecMap<SideName, CollectionSide>,
    /// When deletes found in a listing wait for a person.
    pub guard: Guard,
    /// What a record is that comes back after it was deleted everywhere.
    pub recreate: Recreate,
    /// Fields whose values are sealed wherever they are kept.
    pub personal: BTreeSet<FieldName>,
}

impl CollectionPlan {
    /// A collection on these sides, with no identity, and nothing said of the rest.
    pub fn new(sides: impl IntoIterator<Item = (SideName, CollectionSide)>) -> Self {
        Self {
            identity: Vec::new(),
            rules: Rules::default(),
            sides: sides.into_iter().collect(),
            guard: Guard::default(),
            recreate: Recreate::default(),
            personal: BTreeSet::new(),
        }
    }
}

/// One side's part in a collection.
#[derive(Debug, Clone)]
pub struct CollectionSide {
    /// What the side can do here.
    pub abilities: Abilities,
    /// How its records are read and written.
    pub shape: Shape,
    /// How often to ask for changes; never, if nothing is set.
    pub poll_interval: Option<Duration>,
    /// How often to read everything; only at the start, if nothing is set.
    pub full_interval: Option<Duration>,
    /// How long after a write a read may still show what was there before it.
    pub settle_window: Duration,
    /// What is done when the side stores something else than it was sent.
    pub on_altered: OnAltered,
    /// What it means that an update finds no record there.
    pub on_missing: OnMissing,
    /// Whether a write whose answer does not show the record is followed by a read of it.
    pub read_back: bool,
    /// Fields that listings fill in: elsewhere than in a listing, that they are absent or null
    /// tells nothing.
    pub filled_by_listing: Vec<FieldName>,
}

impl CollectionSide {
    /// A side that can do so much here. Nobody polls it, what it shows is believed at once, and
    /// nothing is said of the rest.
    pub fn new(abilities: Abilities, shape: Shape) -> Self {
        Self {
            abilities,
            shape,
            poll_interval: None,
            full_interval: None,
            settle_window: Duration::ZERO,
            on_altered: OnAltered::default(),
            on_missing: OnMissing::default(),
            read_back: false,
            filled_by_listing: Vec::new(),
        }
    }
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

/// What a record is that comes back, with the same identity, after it was deleted everywhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Recreate {
    /// A new one, without anything of the old.
    #[default]
    Fresh,
    /// The old one: fields that it is not given anew are what they were.
    Revive,
}

/// What is done when a side stores something else than it was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OnAltered {
    /// Ours stays the merged value; the difference is listed.
    #[default]
    KeepOurs,
    /// What the side made of it is the side's edit, and counts everywhere.
    TakeTheirs,
    /// A person decides.
    Park,
}

/// Between a side's JSON and canonical fields.
#[derive(Debug, Clone)]
pub enum Shape {
    /// Field by field.
    Fields(SideMap),
    /// The whole record is one opaque field, as handlers want it. Read only.
    Document,
}

/// The most that the fields of one record may take, in bytes: a field of 16 MiB, and
/// all others. Values before and after a change go into one event of the log.
pub const FIELDS_BYTES_MAX: usize = 17 << 20;

/// Why a side's record cannot be read into ours.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unreadable {
    /// A field does not hold what its type says.
    #[error(transparent)]
    Field(#[from] UnreadableField),
    /// The fields together are larger than one record may be.
    #[error("its fields take {bytes} bytes; a record may take {FIELDS_BYTES_MAX} at most")]
    TooLarge {
        /// What they take.
        bytes: usize,
    },
}

/// The one field of [`Shape::Document`].
pub const DOCUMENT: &str = "document";

impl Shape {
    /// The canonical fields of a side's record.
    pub fn read(&self, doc: &Json, partial: bool) -> Result<FieldMap, Unreadable> {
        let (fields, unfit) = self.read_each(doc, partial)?;
        unfit.into_iter().next().map_or(Ok(fields), |why| Err(why.into()))
    }

    /// Those that can be read, and why the others cannot.
    pub(crate) fn read_each(
        &self,
        doc: &Json,
        partial: bool,
    ) -> Result<(FieldMap, Vec<UnreadableField>), Unreadable> {
        let (fields, unfit) = match self {
            Self::Fields(map) => map.read_each(doc, partial),
            Self::Document => {
                let field = FieldName::try_new(DOCUMENT).ok();
                let value = canonical(&FieldType::Json, doc);
                (field.zip(value.ok()).into_iter().collect(), Vec::new())
            }
        };
        let bytes = fields.iter().fold(0, |sum: usize, (_, value)| sum.saturating_add(value.kept_bytes()));
        if bytes > FIELDS_BYTES_MAX { Err(Unreadable::TooLarge { bytes }) } else { Ok((fields, unfit)) }
    }

    /// Fields that a side gives and whose place is not in its record.
    pub fn lacking(&self, doc: &Json) -> Vec<FieldName> {
        match self {
            Self::Fields(map) => map.lacking(doc),
            Self::Document => Vec::new(),
        }
    }

    /// A side's record with just these fields.
    pub fn write(&self, fields: &FieldMap) -> Result<Json, UnmappableField> {
        match self {
            Self::Fields(map) => map.write(fields),
            Self::Document => Ok(Json::Null),
        }
    }

    /// The same, to be sent.
    pub fn shaped(&self, fields: &FieldMap) -> Result<Shaped, UnmappableField> {
        match self {
            Self::Fields(map) => Ok(Shaped::of_text(map.write_text(fields)?)),
            Self::Document => Ok(Shaped::default()),
        }
    }

    /// Whether we may write `field` to the side.
    pub fn takes(&self, field: &FieldName) -> bool {
        match self {
            Self::Fields(map) => map.takes(field),
            Self::Document => false,
        }
    }

    /// Whether the side's edits of `field` count.
    pub fn gives(&self, field: &FieldName) -> bool {
        match self {
            Self::Fields(map) => map.gives(field),
            Self::Document => true,
        }
    }

    /// What the side will show of a canonical value.
    pub fn image(&self, field: &FieldName, value: &Value) -> Value {
        match self {
            Self::Fields(map) => map.image(field, value),
            Self::Document => value.clone(),
        }
    }

    /// The canonical value when the side shows `view` and held `source` before.
    pub fn put(&self, field: &FieldName, view: &Value, source: &Value) -> Value {
        match self {
            Self::Fields(map) => map.put(field, view, source),
            Self::Document => view.clone(),
        }
    }

    /// The same of a view that nobody else needs.
    pub(crate) fn put_owned(&self, field: &FieldName, view: Value, source: &Value) -> Value {
        match self {
            Self::Fields(map) => map.put_owned(field, view, source),
            Self::Document => view,
        }
    }
}

/// How much at once is believed without asking.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Guard {
    /// So many deletes always pass.
    pub max_deletes: usize,
    /// Deletes of so many of a hundred of the side's records always pass.
    pub max_deletes_percent: usize,
    /// So many records that stand as they did earlier always pass.
    pub max_regressions: usize,
    /// So many of a hundred of the side's records always pass that do.
    pub max_regressions_percent: usize,
}

impl Guard {
    /// Whether `deletes` of `all` records may pass without a person's word.
    pub fn lets_pass(self, deletes: usize, all: usize) -> bool {
        deletes <= self.max_deletes
            || deletes.saturating_mul(100) <= all.saturating_mul(self.max_deletes_percent)
    }

    /// How many of `all` records may stand as they did earlier without a person's word.
    pub fn regressions_of(self, all: usize) -> usize {
        self.max_regressions.max(all.saturating_mul(self.max_regressions_percent) / 100)
    }
}

impl Default for Guard {
    fn default() -> Self {
        Self { max_deletes: 20, max_deletes_percent: 10, max_regressions: 20, max_regressions_percent: 10 }
    }
}

/// A handler that is called for each new or changed record of a collection.
#[derive(Debug, Clone)]
pub struct JobPlan {
    /// Of which collection.
    pub collection: CollectionName,
    /// Most calls at once.
    pub in_flight_max: usize,
    /// Retries of calls that failed.
    pub retry: Retry,
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests may panic")]
    use super::*;

    #[test]
    fn a_record_larger_than_the_log_takes_is_unreadable_in_words() {
        let text = |bytes: usize| Json::String("x".repeat(bytes));
        assert!(Shape::Document.read(&text(16 << 20), false).is_ok());
        let why = Shape::Document.read(&text(17 << 20), false).unwrap_err();
        assert_eq!(why.to_string(), "its fields take 17825806 bytes; a record may take 17825792 at most");
    }

    /// Before and after of the largest record fit into one event, and so do many small values.
    #[test]
    fn what_a_value_takes_is_never_counted_too_low() {
        let kept = |value: &Value| rmp_serde::to_vec_named(value).unwrap().len();
        let values = [
            Value::Absent,
            Value::Null,
            true.into(),
            5.into(),
            (-7_000_000_000).into(),
            "".into(),
            "é".into(),
            Value::Date(hms_sync_model::Date(20_000)),
            Value::Datetime(hms_sync_model::Time(i64::MIN)),
            Value::set([]),
            Value::set((0..5_000).map(Value::from)),
            Value::Json("{}".into()),
            Value::set([Value::set(["a".into()]), Value::Null]),
            "x".repeat(70_000).as_str().into(),
        ];
        for value in values {
            assert!(kept(&value) <= value.kept_bytes(), "{value:?}");
        }
        const { assert!(FIELDS_BYTES_MAX * 3 < hms_sync_changelog::EVENT_BYTES_MAX) };
    }
}
