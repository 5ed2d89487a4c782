//! What stands in a config for a side reached over HTTP: plain data, checked as
//! it is read. Names follow Airbyte's low-code vocabulary where it has one.
//!
//! Nothing in here is ever written out again: secrets have no way back.

mod text;

pub use text::{BaseUrl, FieldPath, Headers, InvalidUrl, Size, Span, Template};

use schemars::JsonSchema;
use secrecy::SecretString;
use serde::{Deserialize, Deserializer};
use std::collections::BTreeMap;

/// A side reached over HTTP: what stands below `sides.<name>`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HttpSpec {
    /// Where the side is. Every request goes below this URL and nowhere else.
    pub url: BaseUrl,
    /// How we show who we are. Default: not at all.
    #[serde(default)]
    pub authenticator: Authenticator,
    /// The longest one request may take, its answer read to the end. Default: `30s`.
    #[serde(default = "thirty_seconds")]
    pub timeout: Span,
    /// The most requests at once. Default: 32.
    #[serde(default = "thirty_two")]
    pub max_concurrency: u16,
    /// The largest answer that is read; a larger one is an error. Default: `32MiB`.
    #[serde(default = "thirty_two_mib")]
    pub max_body_bytes: Size,
    /// Headers sent with every request.
    #[serde(default)]
    pub request_headers: Headers,
    /// That the side carries out a repeated request once, for all its collections.
    #[serde(default)]
    pub idempotency_key: Option<IdempotencySpec>,
}

impl HttpSpec {
    /// A side at `url`, with the defaults.
    pub fn new(url: BaseUrl) -> Self {
        Self {
            url,
            authenticator: Authenticator::None,
            timeout: thirty_seconds(),
            max_concurrency: thirty_two(),
            max_body_bytes: thirty_two_mib(),
            request_headers: Headers::default(),
            idempotency_key: None,
        }
    }
}

fn thirty_seconds() -> Span {
    Span::seconds(30)
}

fn thirty_two() -> u16 {
    32
}

fn thirty_two_mib() -> Size {
    Size(32 << 20)
}

/// How we show a side who we are.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub enum Authenticator {
    /// Not at all.
    #[default]
    #[serde(alias = "NoAuth")]
    None,
    /// `Authorization: Bearer …`.
    #[serde(alias = "BearerAuthenticator")]
    Bearer {
        /// The token.
        #[serde(deserialize_with = "secret")]
        #[schemars(with = "String")]
        api_token: SecretString,
    },
    /// `Authorization: Basic …`.
    #[serde(alias = "BasicHttpAuthenticator")]
    Basic {
        /// The user.
        username: String,
        /// The password; may be empty.
        #[serde(default, deserialize_with = "secret")]
        #[schemars(with = "String")]
        password: SecretString,
    },
}

fn secret<'de, D: Deserializer<'de>>(deserializer: D) -> Result<SecretString, D::Error> {
    String::deserialize(deserializer).map(SecretString::from)
}

fn maybe_secret<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<SecretString>, D::Error> {
    Ok(Option::<String>::deserialize(deserializer)?.map(SecretString::from))
}

/// A side that carries out repeated requests with the same key once.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct IdempotencySpec {
    /// The header that carries the key. Default: `Idempotency-Key`.
    #[serde(default = "idempotency_header")]
    pub header: String,
}

fn idempotency_header() -> String {
    "Idempotency-Key".to_owned()
}

/// A kind of record on a side: what stands below `collections.<c>.sides.<side>`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HttpCollection {
    /// Where a record's id is. Default: `id`.
    #[serde(default = "id")]
    pub primary_key: FieldPath,
    /// Where a record's version is. Default: the `ETag` header, where there is one.
    #[serde(default)]
    pub version_tag: Option<VersionTag>,
    /// Where a record says when it was last changed. Default: the cursor field, if it holds a time.
    #[serde(default)]
    pub modified: Option<FieldPath>,
    /// That the side carries out a repeated request once. Default: as the side says.
    #[serde(default)]
    pub idempotency_key: Option<IdempotencySpec>,
    /// How records are listed.
    #[serde(default)]
    pub read: Option<ReadSpec>,
    /// How one record is read by its id.
    #[serde(default)]
    pub fetch: Option<FetchSpec>,
    /// How records are found by their identity.
    #[serde(default)]
    pub lookup: Option<LookupSpec>,
    /// How a record is made.
    #[serde(default)]
    pub create: Option<WriteSpec>,
    /// How a record is changed.
    #[serde(default)]
    pub update: Option<WriteSpec>,
    /// How a record is deleted.
    #[serde(default)]
    pub delete: Option<WriteSpec>,
    /// Answers to a create that mean: there is such a record already. 409 always does.
    #[serde(default)]
    pub exists_when: Vec<ExistsWhen>,
    /// How the side tells us of changes by itself.
    #[serde(default)]
    pub webhook: Option<WebhookSpec>,
}

fn id() -> FieldPath {
    FieldPath::dotted("id")
}

impl Default for HttpCollection {
    /// Ids at `id`, and no request yet.
    fn default() -> Self {
        Self {
            primary_key: id(),
            version_tag: None,
            modified: None,
            idempotency_key: None,
            read: None,
            fetch: None,
            lookup: None,
            create: None,
            update: None,
            delete: None,
            exists_when: Vec::new(),
            webhook: None,
        }
    }
}

impl HttpCollection {
    /// Whether writes can be made to depend on the version that was read:
    /// versions come from the `ETag` header, and so `If-Match` can be sent.
    pub fn preconditions(&self) -> bool {
        match &self.version_tag {
            None => true,
            Some(VersionTag::Header(name)) => name.eq_ignore_ascii_case("etag"),
            Some(VersionTag::Field(_)) => false,
        }
    }
}

/// Where a record's version is.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum VersionTag {
    /// In this header of the answer that carries the record.
    Header(String),
    /// In the record.
    Field(FieldPath),
}

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
    pub field_path: FieldPath,
}

/// How a listing is cut into pages. The end of a listing is an empty page, or a
/// short one where pages are known to be longer.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub enum Paginator {
    /// Everything comes in one answer.
    #[default]
    #[serde(alias = "NoPagination")]
    None,
    /// Records are skipped: `?offset=200&limit=100`.
    #[serde(alias = "OffsetIncrement")]
    Offset {
        /// Records asked for at once. Default: 100.
        #[serde(default = "hundred")]
        page_size: u32,
        /// The parameter that says how many to skip. Default: `offset`.
        #[serde(default = "offset")]
        offset_param: String,
        /// The parameter that says how many are wanted. Default: `limit`.
        #[serde(default = "limit")]
        limit_param: String,
    },
    /// Pages are numbered: `?page=3&per_page=100`.
    #[serde(alias = "PageIncrement")]
    Page {
        /// Records asked for at once. Default: 100.
        #[serde(default = "hundred")]
        page_size: u32,
        /// The parameter that names the page. Default: `page`.
        #[serde(default = "page")]
        page_param: String,
        /// The parameter that says how many are wanted. Default: `per_page`.
        #[serde(default = "per_page")]
        page_size_param: String,
        /// The number of the first page. Default: 1.
        #[serde(default = "one", alias = "start_from_page")]
        start_from: u64,
    },
    /// Each page is asked for by the last record of the one before it, which
    /// `request_parameters` name as `{{ cursor }}` and `{{ cursor_id }}`.
    Keyset {
        /// Records asked for at once. Default: 100.
        #[serde(default = "hundred")]
        page_size: u32,
        /// The parameter that says how many are wanted, unless a template does.
        #[serde(default)]
        limit_param: Option<String>,
        /// The field that records are sorted by. Default: the cursor field of `incremental_sync`.
        #[serde(default)]
        key_field: Option<FieldPath>,
    },
}

fn hundred() -> u32 {
    100
}

fn one() -> u64 {
    1
}

fn offset() -> String {
    "offset".to_owned()
}

fn limit() -> String {
    "limit".to_owned()
}

fn page() -> String {
    "page".to_owned()
}

fn per_page() -> String {
    "per_page".to_owned()
}

impl Paginator {
    /// By offset, with the usual names.
    pub fn offset(page_size: u32) -> Self {
        Self::Offset { page_size, offset_param: offset(), limit_param: limit() }
    }

    /// By page number from 1, with the usual names.
    pub fn page(page_size: u32) -> Self {
        Self::Page { page_size, page_param: page(), page_size_param: per_page(), start_from: 1 }
    }
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

/// How a record is made, changed or deleted.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct WriteSpec {
    /// `POST`, `PUT`, `PATCH` or `DELETE`.
    pub method: Method,
    /// Below the side's URL; knows `{{ id }}`, but not in a create.
    pub path: Template,
    /// Which fields are sent. Default: all to create, `changed` to update, none to delete.
    #[serde(default)]
    pub body: Option<BodyShape>,
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

impl WriteSpec {
    /// The request with the usual body for what it does.
    pub fn new(method: Method, path: Template) -> Self {
        Self {
            method,
            path,
            body: None,
            request_parameters: BTreeMap::new(),
            request_headers: Headers::default(),
            record_selector: None,
        }
    }
}

/// The methods that write.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
pub enum Method {
    /// `POST`.
    Post,
    /// `PUT`.
    Put,
    /// `PATCH`.
    Patch,
    /// `DELETE`.
    Delete,
}

/// Which fields a write sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum BodyShape {
    /// Those that differ.
    Changed,
    /// All that are mapped.
    Whole,
    /// None: the request has no body.
    None,
}

/// An answer to a create that means: there is such a record already.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ExistsWhen {
    /// The answer's status, as 400.
    pub status: u16,
    /// Text that the answer contains, as `validation_not_unique`.
    pub body_contains: String,
}

/// How a side tells us of changes by itself.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct WebhookSpec {
    /// Where we listen for it, below the management address: `/hooks/clerk`.
    pub path: String,
    /// What the side signs with (Standard Webhooks, `whsec_…`); several, separated
    /// by blanks, while it is being changed.
    #[serde(default, deserialize_with = "maybe_secret")]
    #[schemars(with = "Option<String>")]
    pub secret: Option<SecretString>,
    /// Must be true for a webhook without a secret: anybody who reaches it is believed.
    #[serde(default)]
    pub unsigned: bool,
    /// What a delivery is worth. Default: `whole`.
    #[serde(default)]
    pub payload: Payload,
    /// Where in the delivery the record or the records are. Default: the delivery
    /// itself, or its member `data`.
    #[serde(default)]
    pub record_selector: Option<RecordSelector>,
}

/// What a webhook's delivery is worth.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Payload {
    /// It carries whole records, which are believed.
    #[default]
    #[serde(alias = "authoritative")]
    Whole,
    /// It carries the changed fields of records, which are believed.
    Partial,
    /// It only names records; they are read.
    Hint,
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic, reason = "tests may panic")]
    use super::*;
    use serde_json::json;

    fn collection(value: serde_json::Value) -> Result<HttpCollection, String> {
        serde_json::from_value(value).map_err(|e| e.to_string())
    }

    #[test]
    fn a_side_and_its_defaults() {
        let side: HttpSpec = serde_json::from_value(json!({
            "url": "http://127.0.0.1:8081",
            "authenticator": { "type": "BearerAuthenticator", "api_token": "t0ken" },
        }))
        .unwrap();
        assert_eq!(side.timeout, Span::seconds(30));
        assert_eq!(side.max_body_bytes, Size(32 << 20));
        assert!(matches!(side.authenticator, Authenticator::Bearer { .. }));
        assert!(!format!("{side:?}").contains("t0ken"));
    }

    #[test]
    fn the_marshal_of_the_example() {
        let marshal = collection(json!({
            "primary_key": "id",
            "idempotency_key": { "header": "Idempotency-Key" },
            "read": {
                "path": "/inspections",
                "paginator": { "type": "offset", "page_size": 200 },
                "incremental_sync": { "cursor_field": "updatedAt", "start_time_option": { "field_name": "since" } },
            },
            "update": { "method": "PATCH", "path": "/inspections/{{ id }}" },
            "lookup": { "path": "/inspections", "request_parameters": { "permitId": "{{ identity.permitId }}" } },
            "version_tag": { "field": "rev" },
        }))
        .unwrap();
        assert_eq!(marshal.read.as_ref().unwrap().paginator, Paginator::offset(200));
        assert!(!marshal.preconditions());
        assert!(HttpCollection::default().preconditions());
    }

    #[test]
    fn mistakes_are_told() {
        for (value, said) in [
            (json!({ "reed": {} }), "unknown field `reed`"),
            (json!({ "read": {} }), "missing field `path`"),
            (json!({ "fetch": { "path": "/x/{{ id" } }), "template"),
            (json!({ "update": { "method": "GET", "path": "/" } }), "unknown variant `GET`"),
            (json!({ "read": { "path": "/", "paginator": { "type": "book" } } }), "unknown variant `book`"),
            (
                json!({ "read": { "path": "/", "paginator": { "type": "page", "offset_param": "o" } } }),
                "unknown field",
            ),
        ] {
            let error = collection(value).unwrap_err();
            assert!(error.contains(said), "{error} does not say {said}");
        }
    }

    #[test]
    fn every_key_is_described() {
        let schema = schemars::schema_for!(HttpCollection).to_value();
        let properties = schema.get("properties").unwrap().as_object().unwrap();
        assert!(properties.len() >= 12);
        for (key, property) in properties {
            assert!(property.get("description").is_some(), "{key} has no description");
        }
    }
}
