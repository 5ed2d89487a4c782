//! How a listing is read that the side makes as an export, in its own time.

use super::{ErrorHandler, FieldPath, Headers, Span, Template};
use schemars::JsonSchema;
use serde::Deserialize;
use std::collections::BTreeMap;

/// An export that the side is asked to make: it is begun, asked for its state until it is done,
/// and then the listing itself reads the files that it has made. Templates of the listing know
/// `creation_response`, `polling_response` and `download_target` then.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct JobSpec {
    /// The request that begins it. Its templates know what those of a listing know, and so from where
    /// on is to be read goes here.
    pub creation_requester: JobRequester,
    /// The request that asks for its state. Its templates, and those of the requests after it,
    /// know `creation_response` as well: the JSON of the answer, with its `headers`.
    pub polling_requester: JobRequester,
    /// Where in the answer to that its state is.
    pub status_extractor: JobExtractor,
    /// What the states mean.
    pub status_mapping: JobStatusMapping,
    /// The request whose answer names the files of an export that is done; its templates know
    /// `polling_response` too. Default: the last answer of `polling_requester` does.
    #[serde(default)]
    pub download_target_requester: Option<JobRequester>,
    /// Where in that answer the files are named: a text, or a list of texts. Each is a
    /// `download_target`. Default: there is one file, and it has no name.
    #[serde(default)]
    pub download_target_extractor: Option<JobExtractor>,
    /// The request that stops an export that is given up while it may still go on. Default: none is.
    #[serde(default)]
    pub abort_requester: Option<JobRequester>,
    /// The request that removes an export that was read or given up. Default: none is.
    #[serde(default)]
    pub delete_requester: Option<JobRequester>,
    /// How long after an answer its state is asked for again, if the answer does not say
    /// `Retry-After`. At most `5m`. Default: `5s`.
    #[serde(default = "five_seconds")]
    pub polling_interval: Span,
    /// How long an export is waited for before it is given up. At most `24h`. Default: `1h`.
    #[serde(default = "an_hour")]
    pub polling_job_timeout: Span,
    /// How long after an export that failed or took too long the next is begun. Default: `1m`.
    #[serde(default = "a_minute")]
    pub failed_retry_wait: Span,
}

fn five_seconds() -> Span {
    Span::seconds(5)
}

fn an_hour() -> Span {
    Span::seconds(3_600)
}

fn a_minute() -> Span {
    Span::seconds(60)
}

/// One of the requests of an export.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct JobRequester {
    /// Below the side's URL.
    pub path: Template,
    /// How it is asked. Default: `GET`.
    #[serde(default)]
    pub http_method: JobMethod,
    /// What follows the `?`.
    #[serde(default)]
    pub request_parameters: BTreeMap<String, Template>,
    /// Headers sent with it.
    #[serde(default)]
    pub request_headers: Headers,
    /// The JSON that it carries, filled in as that of a listing is.
    #[serde(default)]
    pub request_body_json: Option<serde_json::Value>,
    /// The form that it carries instead.
    #[serde(default)]
    #[schemars(example = &BTreeMap::from([("format", "csv")]))]
    pub request_body_data: Option<serde_json::Value>,
    /// The text that it carries instead, sent as what that of a listing is sent as.
    #[serde(default)]
    #[schemars(example = &"<export/>")]
    pub request_body_text: Option<Template>,
    /// What the answers mean, before what the collection's and the side's handler say. Default: as they do.
    #[serde(default)]
    pub error_handler: Option<ErrorHandler>,
}

/// How a request of an export is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
pub enum JobMethod {
    /// By its address alone.
    #[default]
    Get,
    /// As most exports are begun.
    Post,
    /// Begun under a name of ours.
    Put,
    /// As some are stopped.
    Patch,
    /// As most are removed.
    Delete,
}

/// Where in an answer something is.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct JobExtractor {
    /// Members to step into, from the outside; `*` is every element or member.
    #[schemars(example = &"job.files.*.url")]
    pub field_path: FieldPath,
}

/// What the states of an export mean, as the side writes them. A state that is not named is an error.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct JobStatusMapping {
    /// It is under way, or in line.
    pub running: Vec<String>,
    /// It is done.
    pub completed: Vec<String>,
    /// It failed.
    #[serde(default)]
    pub failed: Vec<String>,
    /// It took the side too long.
    #[serde(default)]
    pub timeout: Vec<String>,
    /// It is done, and there was nothing to export.
    #[serde(default)]
    pub skipped: Vec<String>,
}
