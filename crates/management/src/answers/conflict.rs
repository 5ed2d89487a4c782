//! Conflicts: what met, who knew what, which rule decided, what a person made of it.

use crate::answers::{Noted, ParkedItem, ValueStory};
use hms_sync_engine::{ConflictItem, Standing};
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

/// Which conflicts are wanted. Every part that is given must fit.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ConflictQuery {
    /// Those that one side has a part in.
    pub side: Option<String>,
    /// Those of one collection.
    pub collection: Option<String>,
    /// Those of one field.
    pub field: Option<String>,
    /// Those of some kinds, as the list shows them, with commas between.
    pub kind: Option<String>,
    /// Only those that wait for a person.
    #[serde(default)]
    pub open: bool,
    /// Also those that have ended.
    #[serde(default)]
    pub all: bool,
    /// Those of the records after this one.
    pub after: Option<String>,
    /// So many at most, give or take those of one record.
    pub limit: Option<usize>,
}

impl ConflictQuery {
    /// Whether it is between sides that are wanted.
    pub(crate) fn fits_sides(&self, item: &ConflictItem) -> bool {
        self.side.as_ref().is_none_or(|side| item.sides.contains(side))
    }

    /// Whether a conflict is wanted, whichever sides it is between.
    pub(crate) fn fits(&self, item: &ConflictItem) -> bool {
        let same = |wanted: &Option<String>, fits: &dyn Fn(&str) -> bool| wanted.as_deref().is_none_or(fits);
        let fields = item.field.as_deref().unwrap_or_default();
        (!self.open || item.standing == Standing::Open)
            && same(&self.collection, &|name| item.record.split_once('/').is_some_and(|(of, _)| of == name))
            && same(&self.field, &|field| fields.split(", ").any(|other| other == field))
            && same(&self.kind, &|kinds| kinds.split(',').any(|kind| kind.trim() == item.kind))
    }
}

/// Some conflicts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ConflictPage {
    /// Those that fit, in order of record. There may be none though there are more.
    pub conflicts: Vec<ConflictItem>,
    /// Where to go on (`after` of the next question); nothing if this is all.
    pub next: Option<String>,
}

/// A record's conflicts in full.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RecordConflicts {
    /// The record's id.
    pub record: String,
    /// What people call it.
    pub title: String,
    /// How many events it has: who decides something names it as what they saw.
    pub version: u64,
    /// Whether it is there, deleted, or disputed.
    pub presence: String,
    /// Where edits met: those that go on, and the last one of each field that has ended.
    pub conflicts: Vec<ConflictStory>,
    /// What is set aside, where a side did not take what it was sent.
    pub parked: Vec<ParkedItem>,
}

/// One conflict in full.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ConflictStory {
    /// The field; nothing if it is about whether the record is there.
    pub field: Option<String>,
    /// `edit_edit`, `edit_delete`, `create_create`, `order_uncertain`.
    pub kind: String,
    /// How it stands.
    pub standing: Standing,
    /// What stood before those who met changed it.
    pub base: Json,
    /// What decided, by the name it has in the configuration.
    pub rule: String,
    /// The same in a sentence.
    pub words: String,
    /// Every value that met, the one that stands first.
    pub values: Vec<MetValue>,
    /// What ended it.
    pub ended: Option<Noted>,
}

/// One of the values that met.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MetValue {
    /// Its number among those that lost, from 1: what `restore` names.
    pub loser: Option<usize>,
    /// The value, who wanted it, and knowing what.
    #[serde(flatten)]
    pub story: ValueStory,
}

/// What a person decides.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Pick {
    /// This value: JSON, or the text of one.
    Value(Json),
    /// What this side has.
    Side(String),
    /// What stands.
    Winner,
    /// The record is there.
    Keep,
    /// The record is deleted.
    Delete,
}

/// A person's decision.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Decide {
    /// The record, by any of its names.
    pub record: String,
    /// The field; nothing if it is about whether the record is there.
    pub field: Option<String>,
    /// What is wanted.
    pub pick: Pick,
    /// The version of the record that they saw.
    pub version: u64,
    /// Who decides.
    pub by: String,
    /// Why.
    pub reason: String,
}

/// A value that lost is to stand.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Restore {
    /// The record, by any of its names.
    pub record: String,
    /// The field; nothing if it is about whether the record is there.
    pub field: Option<String>,
    /// The number of the value, as the record's conflicts show it.
    pub loser: usize,
    /// The version of the record that they saw.
    pub version: u64,
    /// Who decides.
    pub by: String,
    /// Why.
    pub reason: String,
}

/// What came of a decision.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Chosen {
    /// The record's id.
    pub record: String,
    /// What people call it.
    pub title: String,
    /// The version of the edit that was made.
    pub version: u64,
    /// What it says, in one line.
    pub words: String,
}
