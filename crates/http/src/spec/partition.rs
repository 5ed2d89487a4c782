//! Collections that are listed parent by parent, or value by value.

use super::either::{self, Either};
use super::{FieldPath, ReadSpec, RequestOption};
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer};

/// Of what a listing is made that there is one of for each parent, or for each of some values.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub enum PartitionRouter {
    /// One listing for each record of a parent. Children of parents that are new are read from
    /// the beginning.
    #[serde(alias = "SubstreamPartitionRouter")]
    Substream(Box<SubstreamRouter>),
    /// One listing for each of these values.
    #[serde(alias = "ListPartitionRouter")]
    List(Box<ListRouter>),
}

/// One listing for each record of a parent.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SubstreamRouter {
    /// The parents: a collection of the same side, or how they are listed.
    pub parent_stream: ParentStream,
    /// Where in a parent's record its key is. Default: `id`.
    #[serde(default = "id")]
    pub parent_key: FieldPath,
    /// What templates call it: `{{ stream_partition.<partition_field> }}`.
    #[schemars(example = &"project")]
    pub partition_field: String,
    /// More of a parent for templates: `{{ stream_partition.extra_fields['owner.login'] }}`. Default: none.
    #[serde(default)]
    #[schemars(example = &["owner.login"])]
    pub extra_fields: Vec<FieldPath>,
    /// Where in a request the key goes, if not into a template.
    #[serde(default)]
    pub request_option: Option<RequestOption>,
    /// Where in each child's record the key is put, unless something is there. Default: nowhere.
    #[serde(default)]
    #[schemars(example = &"project_id")]
    pub record_field: Option<FieldPath>,
}

/// One listing for each of some values.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ListRouter {
    /// The values: texts or whole numbers.
    #[schemars(example = &["north", "south"])]
    pub values: Vec<serde_json::Value>,
    /// What templates call it: `{{ stream_partition.<partition_field> }}`.
    #[serde(alias = "cursor_field")]
    #[schemars(example = &"region")]
    pub partition_field: String,
    /// Where in a request the value goes, if not into a template.
    #[serde(default)]
    pub request_option: Option<RequestOption>,
    /// Where in each record the value is put, unless something is there. Default: nowhere.
    #[serde(default)]
    #[schemars(example = &"region")]
    pub record_field: Option<FieldPath>,
}

/// Where parents come from.
#[derive(Debug, Clone, JsonSchema)]
#[schemars(untagged)]
pub enum ParentStream {
    /// A collection of the same side that has a `read`.
    Collection(String),
    /// A listing that is not kept in step.
    Listing(Box<ReadSpec>),
}

impl<'de> Deserialize<'de> for ParentStream {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let expected = "a collection of the same side, or a listing as in `read`";
        Ok(match either::read(deserializer, expected)? {
            Either::Word(name) => Self::Collection(name),
            Either::Map(read) => Self::Listing(Box::new(read)),
        })
    }
}

fn id() -> FieldPath {
    FieldPath::dotted("id")
}
