//! The schema of `tests`: what people may do with a record, and what is to come of it.

use super::BoolOrText;
use schemars::JsonSchema;
use serde_json::Value as Json;
use std::collections::BTreeMap;

/// What people do with one record, and what is to come of it. Further keys are sides, and
/// `operator`: what they do, knowing nothing of each other.
#[derive(JsonSchema)]
pub(super) struct Test {
    /// Leaves out the tests that do not say so.
    only: Option<BoolOrText>,
    /// A record that all sides have before, by field. Without it people make the record.
    base: Option<BTreeMap<String, Json>>,
    /// What happens in order, where the order counts: `{ SIDE: … }`, `{ sync: true }`.
    edits: Option<Vec<Happens>>,
    /// What is to come of it.
    expect: Expected,
    /// What people of a side do.
    #[schemars(flatten)]
    sides: BTreeMap<String, Json>,
}

/// One thing that happens.
#[derive(JsonSchema)]
#[schemars(untagged)]
enum Happens {
    /// `sync`.
    Word(String),
    /// Who does what.
    Does(Does),
}

/// Who does what; or a sync.
#[derive(JsonSchema)]
struct Does {
    /// All sides are read, and everything is brought where it belongs.
    sync: Option<BoolOrText>,
    /// What people of a side do: fields with values, `delete`, or `raw` and a document of the side's.
    #[schemars(flatten)]
    sides: BTreeMap<String, Json>,
}

/// What is to come of a test; what is not named may be anything.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct Expected {
    /// Fields of the record in the end, or `deleted`.
    merged: Option<Json>,
    /// What is written, by side: fields with values, `none`, `delete`, or `raw` and what the side's document says.
    writes: Option<BTreeMap<String, Json>>,
    /// Where edits meet: these places and no others.
    conflicts: Option<Vec<ExpectedConflict>>,
}

/// A place where edits meet.
#[derive(JsonSchema)]
#[schemars(untagged)]
enum ExpectedConflict {
    /// A field, or `record`.
    Place(String),
    /// The same with more.
    With(ConflictWith),
}

/// A place where edits meet, and what becomes of it.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct ConflictWith {
    /// A field, or `record`.
    field: String,
    /// Which kind.
    kind: Option<ConflictKind>,
    /// The value that stands.
    value: Option<Json>,
    /// What decides, by its name.
    rule: Option<String>,
    /// The values that lose, by side.
    losers: Option<BTreeMap<String, Json>>,
}

/// The kinds of conflict.
#[derive(JsonSchema)]
#[schemars(rename_all = "snake_case")]
enum ConflictKind {
    /// Different values of one field.
    EditEdit,
    /// One deleted the record, another changed it.
    EditDelete,
    /// Both made the record.
    CreateCreate,
}
