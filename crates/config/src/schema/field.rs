//! The schema of a field: what it holds, and where it is on each side.

use super::BoolOrText;
use super::policy::{Owner, Resolve};
use schemars::JsonSchema;
use serde_json::Value as Json;
use std::collections::BTreeMap;

/// A field. Further keys are sides, each with the field's place on it.
#[derive(JsonSchema)]
pub(super) struct Field {
    /// What it holds.
    #[schemars(rename = "type")]
    ty: FieldType,
    /// The type of a set's elements. Default: `string`.
    of: Option<FieldType>,
    /// What the objects of a set are known by: a member, or a dotted path to one.
    #[schemars(example = &"id")]
    key: Option<String>,
    /// The values of an enum.
    values: Option<Vec<String>>,
    /// How concurrent edits merge.
    resolve: Option<Resolve>,
    /// The side whose word counts for every edit.
    owner: Option<Owner>,
    /// Values that only an operator can take out again.
    locks: Option<Vec<Json>>,
    /// Whether its values are personal: sealed wherever they are kept, and erased with their record's key.
    personal: Option<BoolOrText>,
    /// What does not count in its text.
    normalize: Option<Vec<Normal>>,
    /// Where it is, by side.
    #[schemars(flatten)]
    sides: BTreeMap<String, Place>,
}

/// Something that does not count in a text.
#[derive(JsonSchema)]
#[schemars(rename_all = "snake_case")]
enum Normal {
    /// White space at both ends.
    Trim,
    /// How much white space there is between words.
    Collapse,
    /// Unicode composed or not.
    Nfc,
    /// Capital letters.
    Lower,
    /// Small letters.
    Upper,
}

/// The types of fields.
#[derive(JsonSchema)]
#[schemars(rename_all = "snake_case")]
enum FieldType {
    /// Text kept to the letter.
    String,
    /// Text for people: line ends and Unicode form do not count.
    Text,
    /// A whole number of any size.
    Integer,
    /// An exact decimal number.
    Decimal,
    /// True or false.
    Bool,
    /// A calendar day.
    Date,
    /// An instant.
    Datetime,
    /// One of `values`.
    Enum,
    /// A set of elements of one type; order does not count.
    Set,
    /// Any JSON, as one value.
    Json,
}

/// Where a field is on a side.
#[derive(JsonSchema)]
#[schemars(untagged)]
enum Place {
    /// A dotted path.
    Path(String),
    /// A path and more.
    Mapped(Box<Mapped>),
}

/// Where a field is on a side, and how it is written there.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct Mapped {
    /// A dotted path.
    path: String,
    /// Which way the field goes. Default: `both`.
    direction: Option<Direction>,
    /// The side's words, by our value.
    values: Option<BTreeMap<String, Json>>,
    /// What to do with values and words that `values` does not list.
    otherwise: Option<Otherwise>,
    /// A `strftime` pattern, `epoch_s`, `epoch_ms`, `text` or `number`.
    format: Option<String>,
    /// What the side holds instead of null.
    null_as: Option<Json>,
    /// Whether the side's edits fill the field only while the others leave it blank. Default: false.
    fills_blank: Option<BoolOrText>,
    /// What the side is given, as an expression over our `value`; with `from` and `samples`.
    to: Option<String>,
    /// Our value, as an expression over the side's `value`; with `to` and `samples`.
    from: Option<String>,
    /// Values of ours that must come back as they are.
    samples: Option<Vec<Json>>,
}

/// Which way a field goes.
#[derive(JsonSchema)]
#[schemars(rename_all = "snake_case")]
enum Direction {
    /// Both ways.
    Both,
    /// The side is given the field; what it does to it is not taken.
    ToSide,
    /// The side's edits count; it is never written.
    FromSide,
}

/// Values and words that a value map does not list.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct Otherwise {
    /// The side's word for our values that are not listed.
    to: Option<Json>,
    /// The listed value of ours that words which are not listed are read as.
    from: Option<Json>,
}
