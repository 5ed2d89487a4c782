//! How records are listed, read one by one, and looked up.

use super::{FieldPath, Headers, Paginator, Span, Template};
use schemars::JsonSchema;
use serde::Deserialize;
use std::collections::BTreeMap;

/// How records are listed.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ReadSpec {
    /// Below the side's URL.
    pub path: Template,
    /// What follows the `?`. Templates know `cursor`, `cursor_id` and `page_size`;
    /// a parameter that comes out empty is left out.
    #[serde(default)]
    pub request_parameters: BTreeMap<String, Template>,
    /// Headers sent with these requests.
    #[serde(default)]
    pub request_headers: Headers,
    /// Where in the answer the records are. Default: the answer itself if it is a
    /// list, else its only member that is one.
    #[serde(default)]
    pub record_selector: Option<RecordSelector>,
    /// How a listing is cut into pages. Default: it is not.
    #[serde(default)]
    pub paginator: Paginator,
    /// How to ask for what changed only. Default: each poll reads everything.
    #[serde(default)]
    pub incremental_sync: Option<IncrementalSync>,
}

impl ReadSpec {
    /// A listing in one page, read whole each time.
    pub fn new(path: Template) -> Self {
        Self {
            path,
            request_parameters: BTreeMap::new(),
            request_headers: Headers::default(),
            record_selector: None,
            paginator: Paginator::None,
            incremental_sync: None,
        }
    }
}

/// Where in an answer the records are.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RecordSelector {
    /// Members to step into, from the outside.
    #[schemars(example = &"items")]
    pub field_path: FieldPath,
}

/// How to ask for what changed only.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct IncrementalSync {
    /// The field of a record that grows with each change: a time or a number.
    #[serde(default)]
    pub cursor_field: Option<FieldPath>,
    /// What the next poll starts from. Default: the largest `cursor_field` seen.
    #[serde(default)]
    pub cursor: CursorFrom,
    /// The parameter that carries the cursor. Without it, templates do.
    #[serde(default)]
    pub start_time_option: Option<StartTimeOption>,
    /// The form of times: a `strftime` pattern, `epoch_s` or `epoch_ms`. Default:
    /// the form in which the side writes them.
    #[serde(default)]
    pub datetime_format: Option<String>,
    /// How far before the cursor each poll starts again, for what was written
    /// late. Default: `2s` for times, nothing for plain numbers, where seconds
    /// count as units.
    #[serde(default)]
    pub lookback_window: Option<Span>,
}

/// What a poll starts from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum CursorFrom {
    /// The largest value of `cursor_field` seen.
    #[default]
    Field,
    /// The time at which the last complete pass began, by our own clock.
    LastRun,
}

/// The parameter that carries the cursor.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct StartTimeOption {
    /// Its name, as `since`.
    pub field_name: String,
}

/// How one record is read by its id.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FetchSpec {
    /// Below the side's URL; `{{ id }}` is the record's id.
    pub path: Template,
    /// What follows the `?`.
    #[serde(default)]
    pub request_parameters: BTreeMap<String, Template>,
    /// Headers sent with this request.
    #[serde(default)]
    pub request_headers: Headers,
    /// Where in the answer the record is. Default: the answer itself.
    #[serde(default)]
    pub record_selector: Option<RecordSelector>,
}

/// How records are found by their identity.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LookupSpec {
    /// Below the side's URL; `{{ identity.<field> }}` is a field of the identity
    /// in the side's own shape.
    pub path: Template,
    /// What follows the `?`.
    #[serde(default)]
    pub request_parameters: BTreeMap<String, Template>,
    /// Headers sent with this request.
    #[serde(default)]
    pub request_headers: Headers,
    /// Where in the answer the records are. Default: as for a listing.
    #[serde(default)]
    pub record_selector: Option<RecordSelector>,
}
