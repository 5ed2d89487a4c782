//! What a side's answers mean, where that is not what their status says.

use super::Template;
use schemars::JsonSchema;
use serde::Deserialize;

/// What a side's answers mean, where that is not what their status says.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ErrorHandler {
    /// Which of Airbyte's handlers it is; makes no difference.
    #[serde(default, rename = "type")]
    pub kind: HandlerType,
    /// Tried in this order; the first that fits decides. Default: the status does.
    #[serde(default)]
    pub response_filters: Vec<ResponseFilter>,
    /// How long to wait before the next try; the first that knows decides. Default: `Retry-After`.
    #[serde(default)]
    pub backoff_strategies: Vec<BackoffStrategy>,
    /// Handlers that are asked before this one, each with its own waits.
    #[serde(default)]
    pub error_handlers: Vec<ErrorHandler>,
}

/// Airbyte's names of handlers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum HandlerType {
    /// Filters and waits.
    #[default]
    #[serde(alias = "DefaultErrorHandler")]
    Default,
    /// Several handlers.
    #[serde(alias = "CompositeErrorHandler")]
    Composite,
}

/// Which answers mean what. All conditions that are given must hold; without one it fits every answer
/// that is not 2xx.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ResponseFilter {
    /// Airbyte's name of this; makes no difference.
    #[serde(default, rename = "type")]
    pub kind: Option<FilterType>,
    /// What such an answer means.
    pub action: Action,
    /// Its status is one of these.
    #[serde(default)]
    pub http_codes: Vec<u16>,
    /// Its body contains this text.
    #[serde(default)]
    pub error_message_contains: Option<String>,
    /// An expression that is true; it knows `response`, `headers` and `status`.
    #[serde(default)]
    pub predicate: Option<Template>,
    /// What to tell people before the side's own words.
    #[serde(default)]
    pub error_message: Option<String>,
    /// That the side did nothing when it answers so. Without it a failure inside the
    /// side after a write stays unknown, and somebody looks before writing again.
    #[serde(default)]
    pub not_applied: bool,
}

/// Airbyte's name of a filter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
pub enum FilterType {
    /// The only one.
    #[serde(rename = "HttpResponseFilter", alias = "http_response_filter")]
    Http,
}

/// What an answer means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// It is what was asked for.
    #[serde(alias = "SUCCESS")]
    Success,
    /// A read: it says nothing. A write: there is nothing to do.
    #[serde(alias = "IGNORE")]
    Ignore,
    /// Try again later.
    #[serde(alias = "RETRY")]
    Retry,
    /// A person has to act.
    #[serde(alias = "FAIL", alias = "raise")]
    Fail,
    /// Nothing is sent to the side for a while.
    #[serde(alias = "RATE_LIMITED")]
    RateLimited,
    /// Our token is no longer taken: get another and try once more.
    #[serde(alias = "REFRESH_TOKEN_THEN_RETRY")]
    RefreshTokenThenRetry,
    /// A listing: what it goes on from is no longer known there. It begins anew without a
    /// cursor, and nothing is deleted by it.
    #[serde(alias = "RESET_CURSOR", alias = "RESET_PAGINATION", alias = "reset_pagination")]
    ResetCursor,
}

/// How long to wait before the next try. No wait is longer than an hour.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub enum BackoffStrategy {
    /// Always so long.
    #[serde(alias = "ConstantBackoff", alias = "ConstantBackoffStrategy")]
    Constant {
        /// In seconds.
        backoff_time_in_seconds: f64,
    },
    /// Twice as long each time in a row.
    #[serde(alias = "ExponentialBackoff", alias = "ExponentialBackoffStrategy")]
    Exponential {
        /// The first wait, in seconds. Default: 5.
        #[serde(default = "five")]
        factor: f64,
    },
    /// As long as a header says: in seconds or as a date.
    #[serde(alias = "WaitTimeFromHeader")]
    WaitTimeFromHeader {
        /// Its name.
        header: String,
        /// A longer wait means that a person has to act.
        #[serde(default)]
        max_waiting_time_in_seconds: Option<f64>,
    },
    /// Until the time in a header: in seconds or milliseconds since 1970, or as a date.
    #[serde(alias = "WaitUntilTimeFromHeader")]
    WaitUntilTimeFromHeader {
        /// Its name.
        header: String,
        /// At least so long, in seconds.
        #[serde(default)]
        min_wait: Option<f64>,
    },
}

fn five() -> f64 {
    5.0
}
