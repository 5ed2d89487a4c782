//! How records are listed, read one by one, and looked up.

use super::{
    Decoder, ErrorHandler, Expression, FieldPath, Headers, JobSpec, Method, Paginator, ParentStream,
    PartitionRouter, RequestBody, RequestOption, Span, Template,
};
use schemars::JsonSchema;
use serde::Deserialize;
use std::collections::BTreeMap;

/// How records are listed.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ReadSpec {
    /// Below the side's URL; with a `job` perhaps `{{ download_target }}`, if what names the files
    /// are addresses.
    pub path: Template,
    /// `POST` for listings that are asked for by a body; `PROPFIND` and `REPORT` of `WebDAV`. Default: `GET`.
    #[serde(default)]
    pub http_method: ReadMethod,
    /// What follows the `?`. Templates know `cursor`, `cursor_end`, `cursor_id`, `page_size`,
    /// `next_page_token` and, with a `partition_router`, `stream_partition`, and
    /// Airbyte's words for times (`day_delta(-7)`); a parameter that comes out empty is left out.
    #[serde(default)]
    pub request_parameters: BTreeMap<String, Template>,
    /// Headers sent with these requests.
    #[serde(default)]
    pub request_headers: Headers,
    /// The JSON that a `POST` carries. Texts in it are templates that know what
    /// `request_parameters` know; one that is a single `{{ … }}` keeps its type.
    #[serde(default)]
    pub request_body_json: Option<serde_json::Value>,
    /// The form that a `POST` carries instead: a map, filled in as `request_body_json` is. What
    /// is nested is named `a[b]`; each element of a list has the list's name.
    #[serde(default)]
    #[schemars(example = &BTreeMap::from([("status", "open")]))]
    pub request_body_data: Option<serde_json::Value>,
    /// The text that any request but a `GET` carries instead, as XML is. Its template knows what
    /// `request_parameters` know. It is sent as `application/json` if it is JSON, as `application/xml`
    /// if it begins with `<`, else as `text/plain`, unless `request_headers` name a `Content-Type`.
    /// Default: none.
    #[serde(default)]
    #[schemars(example = &"<propfind xmlns='DAV:'><allprop/></propfind>")]
    pub request_body_text: Option<Template>,
    /// Where in the answer the records are. Default: the answer itself if it is a
    /// list, else its only member that is one.
    #[serde(default)]
    pub record_selector: Option<RecordSelector>,
    /// In which form the answer comes. Default: JSON.
    #[serde(default)]
    pub decoder: Decoder,
    /// How a listing is cut into pages. Default: it is not.
    #[serde(default)]
    pub paginator: Paginator,
    /// How to ask for what changed only. Default: each poll reads everything.
    #[serde(default)]
    pub incremental_sync: Option<IncrementalSync>,
    /// What is made of a listing of everything that shows nothing at all. Default: `hold`.
    #[serde(default)]
    pub on_empty: OnEmpty,
    /// That there is a listing of this kind for each record of a parent, or for each of some
    /// values. Default: there is one.
    #[serde(default)]
    pub partition_router: Option<PartitionRouter>,
    /// That the side makes an export first, which is then what is read. Default: it answers at once.
    #[serde(default)]
    pub job: Option<Box<JobSpec>>,
    /// What the answers mean, before what the collection's and the side's handler say. Default: as they do.
    #[serde(default)]
    pub error_handler: Option<ErrorHandler>,
}

impl ReadSpec {
    /// A listing in one page, read whole each time.
    pub fn new(path: Template) -> Self {
        Self {
            path,
            http_method: ReadMethod::Get,
            request_parameters: BTreeMap::new(),
            request_headers: Headers::default(),
            request_body_json: None,
            request_body_data: None,
            request_body_text: None,
            record_selector: None,
            decoder: Decoder::Json,
            paginator: Paginator::None,
            incremental_sync: None,
            on_empty: OnEmpty::Hold,
            partition_router: None,
            job: None,
            error_handler: None,
        }
    }
}

impl ReadSpec {
    /// The same where parents that are another collection are listed at `/`: to be looked at
    /// without that.
    #[must_use]
    pub fn alone(mut self) -> Self {
        let alone = |stream| match stream {
            ParentStream::Collection(_) => ParentStream::Listing(Box::new(Self::new(Template::root()))),
            ParentStream::Listing(read) => ParentStream::Listing(Box::new(read.alone())),
        };
        self.partition_router.iter_mut().for_each(|router| router.each_parent(&alone));
        self
    }
}

/// Where in an answer the records are.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RecordSelector {
    /// Members to step into, from the outside; in a listing, `*` is every element or
    /// member. Default: none.
    #[serde(default)]
    #[schemars(example = &"items")]
    pub field_path: FieldPath,
    /// Which records of a listing are taken. Only in `read`. Default: all.
    #[serde(default)]
    pub record_filter: Option<RecordFilter>,
    /// The filter looks at what `transformations` made of a record, not at the record as it
    /// came. Needs `record_filter`. Default: `false`.
    #[serde(default)]
    pub transform_before_filtering: bool,
}

/// Which records of a listing are taken. The others are passed over: nothing is done with
/// them, and that they are gone is not concluded either.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RecordFilter {
    /// An expression that is true for those that are taken; it knows `record`.
    pub condition: Expression,
}

/// How a record says that it is gone.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(untagged, expecting = "an expression, or a map of `field` and, if need be, `values`")]
pub enum DeletedWhen {
    /// An expression that is true for records that are gone; it knows `record`.
    Expression(Expression),
    /// By one of its fields.
    Field(DeletedField),
}

/// A field that says that its record is gone.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DeletedField {
    /// Where it is in the record.
    pub field: FieldPath,
    /// What it then holds. Default: anything but nothing, `false`, zero and empty text.
    #[serde(default)]
    pub values: Option<Vec<serde_json::Value>>,
}

/// How to ask for what changed only.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct IncrementalSync {
    /// For those who know Airbyte's names; both mean the same here.
    #[serde(default, rename = "type")]
    pub kind: Option<IncrementalKind>,
    /// The field of a record that grows with each change: a time or a number.
    #[serde(default)]
    pub cursor_field: Option<FieldPath>,
    /// What the next poll starts from. Default: the largest `cursor_field` seen.
    #[serde(default)]
    pub cursor: CursorFrom,
    /// Where in a request the cursor goes. Without it, templates say so.
    #[serde(default, alias = "start_value_option")]
    pub start_time_option: Option<RequestOption>,
    /// The form of times: a `strftime` pattern, `epoch_s`, `epoch_ms` or `epoch_us`. Default:
    /// the form in which the side writes them.
    #[serde(default)]
    pub datetime_format: Option<String>,
    /// How far before the cursor each poll starts again, for what was written
    /// late. Default: `2s` for times, nothing for plain numbers, where seconds
    /// count as units.
    #[serde(default)]
    pub lookback_window: Option<Span>,
    /// Other forms in which records may have the value. Default: only `datetime_format`.
    #[serde(default)]
    #[schemars(example = &["%d.%m.%Y"])]
    pub cursor_datetime_formats: Vec<String>,
    /// From where on anything is read at all: in the form of the cursor, or as a day or a time,
    /// which is brought into it; empty text is nothing. A listing is then not complete, and
    /// deletes are not concluded from it. Default: from the beginning.
    #[serde(default, alias = "start_value")]
    #[schemars(example = &"2026-01-01T00:00:00Z")]
    pub start_datetime: Option<Template>,
    /// Up to where anything is read at all; needs `end_time_option`. Default: now.
    #[serde(default)]
    #[schemars(example = &"2026-12-31T00:00:00Z")]
    pub end_datetime: Option<Template>,
    /// Where in a request the end of what is asked for goes, if not into a template as
    /// `{{ cursor_end }}`. Default: nowhere; all up to now is asked for.
    #[serde(default)]
    pub end_time_option: Option<RequestOption>,
    /// Long ranges are asked for in slices of this length; needs `start_datetime` and
    /// `end_time_option`. Default: at once.
    #[serde(default)]
    pub step: Option<Span>,
    /// How far before the beginning of the next slice a slice ends, for sides that count the
    /// end in. Default: nothing, so that the boundary is read twice.
    #[serde(default)]
    pub cursor_granularity: Option<Span>,
    /// The next poll never starts later than this before now, for sides where changes
    /// become visible late. Default: nothing.
    #[serde(default)]
    pub safety_lag: Option<Span>,
    /// The side cannot be asked for changes: all is listed, and what is older than the cursor
    /// is left out here. Default: `false`.
    #[serde(default)]
    pub is_client_side_incremental: bool,
    /// The side cannot be asked for changes, but lists the newest first: a poll ends where
    /// it comes to what is older than the cursor. Default: `false`.
    #[serde(default)]
    pub is_data_feed: bool,
}

/// Airbyte's names of cursors.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
pub enum IncrementalKind {
    /// By time.
    DatetimeBasedCursor,
    /// By number.
    IncrementingCountCursor,
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

/// What is made of a listing of everything that shows nothing at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OnEmpty {
    /// The deletes that would follow wait for a person.
    #[default]
    Hold,
    /// Nothing is concluded from it.
    Skip,
    /// It is believed, as far as `guard` lets so many deletes pass.
    Sync,
}

/// How a listing is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
pub enum ReadMethod {
    /// By its address alone.
    #[default]
    Get,
    /// By a body.
    Post,
    /// As `WebDAV` lists a collection; with `decoder: { type: xml }`.
    Propfind,
    /// As `CalDAV` and `CardDAV` look for entries in one.
    Report,
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
    /// In which form the answer comes. Default: JSON.
    #[serde(default)]
    pub decoder: Decoder,
    /// What the answers mean, before what the collection's and the side's handler say. Default: as they do.
    #[serde(default)]
    pub error_handler: Option<ErrorHandler>,
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
    /// `POST`, for sides that take what to look for in a body. Default: it is read by `GET`.
    #[serde(default)]
    pub method: Option<Method>,
    /// The body that is sent; its templates know `identity`.
    #[serde(default)]
    pub request_body: Option<RequestBody>,
    /// Headers sent with this request.
    #[serde(default)]
    pub request_headers: Headers,
    /// Where in the answer the records are, or the one there is. Default: as for a listing.
    #[serde(default)]
    pub record_selector: Option<RecordSelector>,
    /// In which form the answer comes. Default: JSON.
    #[serde(default)]
    pub decoder: Decoder,
    /// What the answers mean, before what the collection's and the side's handler say. Default: as they do.
    #[serde(default)]
    pub error_handler: Option<ErrorHandler>,
}
