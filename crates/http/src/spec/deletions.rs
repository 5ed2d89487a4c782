//! Where a side lists what is gone.

use super::{PrimaryKey, ReadSpec};
use schemars::JsonSchema;
use serde::Deserialize;

/// A listing of records that are gone: what is left of them is their ids.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DeletionsSpec {
    /// Where in an entry the id of the record that is gone stands. An entry may be the id itself.
    /// Default: the collection's `primary_key`.
    #[serde(default)]
    #[schemars(example = &"record_id")]
    pub primary_key: Option<PrimaryKey>,
    /// How they are listed; with `incremental_sync` they have a cursor of their own.
    pub read: ReadSpec,
}
