//! How records are made, changed and deleted.

use super::{Headers, RecordSelector, Template};
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
