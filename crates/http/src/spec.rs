//! What stands in a config for a side reached over HTTP: plain data, checked as
//! it is read. Names follow Airbyte's low-code vocabulary where it has one.
//!
//! Nothing in here is ever written out again: secrets have no way back.

mod auth;
mod batch;
mod body;
mod budget;
mod decoder;
mod deletions;
mod either;
mod errors;
mod expression;
mod job;
mod key;
mod network;
mod paginator;
mod partition;
pub(crate) mod pattern;
mod precondition;
mod read;
mod text;
mod transform;
mod tree;
mod webhook;
mod write;

pub use auth::{
    AuthInto, AuthOption, Authenticator, ClientAuthentication, GrantType, JwtAlgorithm, JwtSpec,
    LoginRequester, OauthSpec, RequestOptionType, SecretText, SessionSpec, SessionUse,
};
pub use batch::{BatchOperation, BatchSpec};
pub use body::{BodyFormat, BodyShape, BodySpec, RequestBody};
pub use budget::{ApiBudget, BudgetType, CallRatePolicy, Rate, RequestMatcher};
pub use decoder::{Decoder, TextEncoding};
pub use deletions::DeletionsSpec;
pub use errors::{Action, BackoffStrategy, ErrorHandler, FilterType, HandlerType, ResponseFilter};
pub use expression::{Expression, InjectInto, RequestOption};
pub use job::{JobExtractor, JobMethod, JobRequester, JobSpec, JobStatusMapping};
pub use key::PrimaryKey;
pub use network::{Network, TlsSpec, TlsVersion};
pub use paginator::{CursorPaginator, Paginator};
pub use partition::{ListRouter, ParentSpec, ParentStream, PartitionRouter, SubstreamRouter};
pub use pattern::PathPattern;
pub use precondition::{Precondition, VersionTag};
pub use read::{
    CursorFrom, DeletedField, DeletedWhen, FetchSpec, IncrementalKind, IncrementalSync, LookupSpec, OnEmpty,
    ReadMethod, ReadSpec, RecordFilter, RecordSelector,
};
pub(crate) use text::OURS;
pub use text::{BaseUrl, FieldPath, Headers, InvalidUrl, Size, Span, Template};
pub use transform::{AddedField, Transformation};
pub use tree::Tree;
pub use webhook::{
    Algorithm, CallSpec, Challenge, Encoding, EventType, Payload, Place, Secrets, Signature, SubscribeSpec,
    WebhookSpec,
};
pub use write::{AnswerWhen, IdFrom, IdempotencySpec, Method, WriteSpec};

use schemars::JsonSchema;
use serde::Deserialize;

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
    /// What the side's answers mean, where that is not what their status says.
    #[serde(default)]
    pub error_handler: Option<ErrorHandler>,
    /// How many requests the side takes. Default: as it says when there were too many.
    #[serde(default)]
    pub api_budget: Option<ApiBudget>,
    /// Headers sent with every request.
    #[serde(default)]
    pub request_headers: Headers,
    /// That the side carries out a repeated request once, for all its collections.
    #[serde(default)]
    pub idempotency_key: Option<IdempotencySpec>,
    /// Networks whose addresses the side may have although they are not the world's,
    /// as `10.0.0.0/8`. Default: none; this machine only where it is written out.
    #[serde(default)]
    pub allow_networks: Vec<Network>,
    /// Where else the files of exports (`job` of a listing) may be fetched, each with all below it, as
    /// `https://files.example/exports`. Nothing of ours is shown there, no secret and no header.
    /// Default: below `url` only.
    #[serde(default)]
    pub download_urls: Vec<BaseUrl>,
    /// How the side's certificate is judged, and what we show of ours.
    #[serde(default)]
    pub tls: Option<TlsSpec>,
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
            error_handler: None,
            api_budget: None,
            request_headers: Headers::default(),
            idempotency_key: None,
            allow_networks: Vec::new(),
            download_urls: Vec::new(),
            tls: None,
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

/// A kind of record on a side: what stands below `collections.<c>.sides.<side>`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HttpCollection {
    /// Where a record's id is; several paths, if only together they tell records apart. Default: `id`.
    #[serde(default = "id")]
    pub primary_key: PrimaryKey,
    /// Where a record's version is. Default: the `ETag` header, where there is one.
    #[serde(default)]
    pub version_tag: Option<VersionTag>,
    /// How a write names the version that was read. Default: `If-Match`, if versions come from
    /// the `ETag` header; else not at all.
    #[serde(default)]
    pub precondition: Option<Precondition>,
    /// Where a record says when it was last changed. Default: the cursor field, if it holds a time.
    #[serde(default)]
    pub modified: Option<FieldPath>,
    /// How a record says of itself that it is gone. Default: it never does.
    #[serde(default)]
    pub deleted_when: Option<DeletedWhen>,
    /// Where the side lists the ids of records that are gone. Default: nowhere.
    #[serde(default)]
    pub deletions: Option<DeletionsSpec>,
    /// That the side carries out a repeated request once. Default: as the side says.
    #[serde(default)]
    pub idempotency_key: Option<IdempotencySpec>,
    /// What the answers to its requests mean, before what the side's handler says. Default: as
    /// that does.
    #[serde(default)]
    pub error_handler: Option<ErrorHandler>,
    /// What is made of each record that is read, in this order, before anything but
    /// `record_filter` looks at it: fields that are computed, fields that are taken out. Default: nothing.
    #[serde(default)]
    pub transformations: Vec<Transformation>,
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
    /// How a record is made or changed, where both are one request: a `PUT` at a path
    /// made of the identity. Stands for `create` and `update` where those are not given.
    #[serde(default)]
    pub upsert: Option<WriteSpec>,
    /// How a record that was deleted is brought back under its old id. Without it, it is made anew.
    #[serde(default)]
    pub undelete: Option<WriteSpec>,
    /// Answers to a create that mean: there is such a record already. 409 always does.
    #[serde(default)]
    pub exists_when: Vec<AnswerWhen>,
    /// Answers to an update or a delete that mean: there is no such record. 404 and 410 always do.
    #[serde(default)]
    pub gone_when: Vec<AnswerWhen>,
    /// Answers to an update or a delete that mean: there is a newer version. 409 and 412 always do.
    #[serde(default)]
    pub conflict_when: Vec<AnswerWhen>,
    /// How many writes go in one request. Default: each in its own.
    #[serde(default)]
    pub batch: Option<BatchSpec>,
    /// The fields at paths of the side's records, for naming them to people. Not part of a config.
    #[serde(skip)]
    pub field_names: Vec<(Vec<String>, String)>,
    /// How the side tells us of changes by itself.
    #[serde(default)]
    pub webhook: Option<WebhookSpec>,
}

fn id() -> PrimaryKey {
    PrimaryKey::at(FieldPath::dotted("id"))
}

impl Default for HttpCollection {
    /// Ids at `id`, and no request yet.
    fn default() -> Self {
        Self {
            primary_key: id(),
            version_tag: None,
            precondition: None,
            modified: None,
            deleted_when: None,
            deletions: None,
            idempotency_key: None,
            error_handler: None,
            transformations: Vec::new(),
            read: None,
            fetch: None,
            lookup: None,
            create: None,
            update: None,
            delete: None,
            upsert: None,
            undelete: None,
            exists_when: Vec::new(),
            gone_when: Vec::new(),
            conflict_when: Vec::new(),
            batch: None,
            field_names: Vec::new(),
            webhook: None,
        }
    }
}

impl HttpCollection {
    /// How a write names the version that was read.
    pub fn precondition(&self) -> Precondition {
        let etag = self.version_tag.as_ref().is_none_or(VersionTag::is_etag);
        match &self.precondition {
            Some(precondition) => precondition.clone(),
            None if etag => Precondition::Header { name: "If-Match".to_owned(), weak: false, quoted: true },
            None => Precondition::None,
        }
    }

    /// Whether writes can be made to depend on the version that was read.
    pub fn preconditions(&self) -> bool {
        self.precondition() != Precondition::None
    }

    /// Where in a record something lies that is read here: its id, its version, when it was
    /// changed, whether it is gone; and what is made there.
    pub fn own_paths(&self) -> impl Iterator<Item = &FieldPath> {
        let cursor = self.read.as_ref().and_then(|read| read.incremental_sync.as_ref());
        let gone = match &self.deleted_when {
            Some(DeletedWhen::Field(gone)) => Some(&gone.field),
            Some(DeletedWhen::Expression(_)) | None => None,
        };
        let tag = self.version_tag.as_ref().and_then(|tag| tag.field.as_ref());
        let cursor = cursor.and_then(|sync| sync.cursor_field.as_ref());
        let others = [tag, self.modified.as_ref(), cursor, gone];
        let made = self.transformations.iter().flat_map(Transformation::made);
        self.primary_key.paths().iter().chain(others.into_iter().flatten()).chain(made)
    }

    /// The request that makes a record.
    pub fn creates(&self) -> Option<&WriteSpec> {
        self.create.as_ref().or(self.upsert.as_ref())
    }

    /// The request that changes a record.
    pub fn updates(&self) -> Option<&WriteSpec> {
        self.update.as_ref().or(self.upsert.as_ref())
    }
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
