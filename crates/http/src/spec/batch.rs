//! Many writes in one request.

use super::{FieldPath, Headers, Method, Span, Template, Tree};
use schemars::JsonSchema;
use serde::Deserialize;

/// An endpoint that takes many writes in one request and answers for each of them.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct BatchSpec {
    /// `POST`, `PUT`, `PATCH` or `DELETE`. Default: `POST`.
    #[serde(default = "post")]
    pub method: Method,
    /// Below the side's URL.
    pub path: Template,
    /// Headers sent with this request.
    #[serde(default)]
    pub request_headers: Headers,
    /// Which writes go into it. Default: all that have a request of their own.
    #[serde(default = "all")]
    pub operations: Vec<BatchOperation>,
    /// The most writes in one request. Default: 50. No more than the side's
    /// `max_concurrency` are ever under way.
    #[serde(default = "fifty")]
    pub max_items: u16,
    /// The longest that a write waits for others to go with it. Default: `10ms`.
    #[serde(default = "ten_milliseconds")]
    pub max_wait: Span,
    /// Where in the body the list of items is, as `requests`. Default: the body is the list.
    #[serde(default)]
    pub items_path: FieldPath,
    /// One item. Knows `method`, `path`, `headers` and `body` of the write's own request, and
    /// `id`, `record` and `key`. Default: `method`, `path` and `body`.
    #[serde(default)]
    pub item: Option<Tree>,
    /// Where in the answer the results are, one for each item in the same order. Default:
    /// the answer is the list.
    #[serde(default)]
    pub results_path: FieldPath,
    /// Where in a result its status is, as `status`. Without it, each result of an answer
    /// that went well went well, unless `error_field` says otherwise.
    #[serde(default)]
    pub status_field: Option<FieldPath>,
    /// Where in a result the answer's body is. Default: the result itself.
    #[serde(default)]
    pub body_field: FieldPath,
    /// Where in a result the answer's headers are.
    #[serde(default)]
    pub headers_field: Option<FieldPath>,
    /// Where a result says what is wrong with its item: there and neither null, `false` nor empty, the item
    /// was refused.
    #[serde(default)]
    pub error_field: Option<FieldPath>,
}

/// A kind of write.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum BatchOperation {
    /// Making a record.
    Create,
    /// Changing one.
    Update,
    /// Deleting one.
    Delete,
}

fn post() -> Method {
    Method::Post
}

fn all() -> Vec<BatchOperation> {
    vec![BatchOperation::Create, BatchOperation::Update, BatchOperation::Delete]
}

fn fifty() -> u16 {
    50
}

fn ten_milliseconds() -> Span {
    Span(std::time::Duration::from_millis(10))
}
