//! How records are made, changed and deleted.

use super::{BodyShape, BodySpec, ErrorHandler, FieldPath, Headers, RecordSelector, Span, Template};
use schemars::JsonSchema;
use serde::Deserialize;
use std::collections::BTreeMap;

/// A side that carries out repeated requests with the same key once.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct IdempotencySpec {
    /// The header that carries the key. Default: `Idempotency-Key`.
    #[serde(default = "idempotency_header")]
    pub header: String,
    /// How long the side remembers a key. A write without an answer that is older is looked
    /// for before it is sent again. Default: for ever.
    #[serde(default)]
    pub valid_for: Option<Span>,
    /// Answers that mean: the first request with this key is still being worked on. Default:
    /// 409 with the word `idempotency`.
    #[serde(default)]
    pub in_progress_when: Option<Vec<AnswerWhen>>,
}

fn idempotency_header() -> String {
    "Idempotency-Key".to_owned()
}

/// How a record is made, changed or deleted.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct WriteSpec {
    /// `POST`, `PUT`, `PATCH` or `DELETE`.
    pub method: Method,
    /// Below the side's URL; knows `{{ id }}`, but not in a create.
    pub path: Template,
    /// Which fields are sent, and how. Default: all to create, `changed` to update (all, if it
    /// is a `PUT`), none to delete, as JSON.
    #[serde(default)]
    pub body: Option<BodySpec>,
    /// What follows the `?`.
    #[serde(default)]
    pub request_parameters: BTreeMap<String, Template>,
    /// Headers sent with this request; templates know what those of the path know.
    #[serde(default)]
    pub request_headers: Headers,
    /// Where in the answer the record is. Default: the answer itself.
    #[serde(default)]
    pub record_selector: Option<RecordSelector>,
    /// Where the id of a new record is. Default: in the record that the answer shows, else
    /// the last segment of `Location`.
    #[serde(default)]
    pub id_from: Option<IdFrom>,
    /// What the answers mean, before what the collection's and the side's handler say. Default: as they do.
    #[serde(default)]
    pub error_handler: Option<ErrorHandler>,
}

/// Where an answer to a create says which id the new record has.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum IdFrom {
    /// In the answer's body, outside of the record.
    Field(FieldPath),
    /// In this header; of an address (`Location`) its last segment.
    Header(String),
    /// Nowhere: it is made of what we sent, as `{{ record.permit_no }}`.
    Template(Template),
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
            id_from: None,
            error_handler: None,
        }
    }

    /// Which fields it sends, if the spec says so.
    pub fn fields(&self) -> Option<BodyShape> {
        self.body.as_ref().and_then(|body| body.fields)
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

/// An answer that has a meaning of its own.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AnswerWhen {
    /// The answer's status, as 400.
    pub status: u16,
    /// Text that the answer contains, as `validation_not_unique`. Default: any answer.
    #[serde(default)]
    pub body_contains: String,
}
