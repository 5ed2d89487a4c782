//! How many requests a side takes.

use super::{Headers, PathPattern, Span};
use schemars::JsonSchema;
use serde::Deserialize;
use std::collections::BTreeMap;

/// How many requests a side takes, for everything that is asked of it together.
/// Writes go first, then what is needed to write, then polls, then full listings.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ApiBudget {
    /// Airbyte's name of this; makes no difference.
    #[serde(default, rename = "type")]
    pub kind: Option<BudgetType>,
    /// All of them hold at once.
    pub policies: Vec<CallRatePolicy>,
    /// The header that says when the side counts anew: in seconds from now, seconds or
    /// milliseconds since 1970, or as a date.
    #[serde(default = "reset")]
    pub ratelimit_reset_header: String,
    /// The header that says how many requests are left until then.
    #[serde(default = "remaining")]
    pub ratelimit_remaining_header: String,
    /// Answers that say that there were too many.
    #[serde(default = "too_many")]
    pub status_codes_for_ratelimit_hit: Vec<u16>,
}

fn reset() -> String {
    "ratelimit-reset".to_owned()
}

fn remaining() -> String {
    "ratelimit-remaining".to_owned()
}

fn too_many() -> Vec<u16> {
    vec![429]
}

/// Airbyte's names of budgets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
pub enum BudgetType {
    /// The only one.
    #[serde(rename = "HTTPAPIBudget", alias = "http_api_budget")]
    Http,
}

/// How many requests in which time.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub enum CallRatePolicy {
    /// So many in a period that the side begins anew by its own clock. As nobody says when,
    /// no period of that length has more; a reset header says when to begin.
    #[serde(alias = "FixedWindowCallRatePolicy")]
    FixedWindow {
        /// How long it is, as `1s` or `PT1S`.
        period: Span,
        /// So many.
        call_limit: u32,
        /// For which requests. Default: all.
        #[serde(default)]
        matchers: Vec<RequestMatcher>,
    },
    /// So many in any period of that length.
    #[serde(alias = "MovingWindowCallRatePolicy")]
    MovingWindow {
        /// All of them hold at once.
        rates: Vec<Rate>,
        /// For which requests. Default: all.
        #[serde(default)]
        matchers: Vec<RequestMatcher>,
    },
    /// As many as one likes; the policies after it do not count these requests.
    #[serde(alias = "UnlimitedCallRatePolicy")]
    Unlimited {
        /// For which requests. Default: all.
        #[serde(default)]
        matchers: Vec<RequestMatcher>,
    },
}

/// So many requests in a time.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Rate {
    /// So many.
    pub limit: u32,
    /// In this time, as `1s` or `PT1S`.
    pub interval: Span,
}

/// Which requests a policy is for: those of which all of it is true.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RequestMatcher {
    /// Those of this method. Default: of any.
    #[serde(default)]
    #[schemars(example = &"GET")]
    pub method: Option<String>,
    /// Those in whose path this regular expression is found: the path of the whole URL, as it
    /// is sent, without a slash at its end. Default: any path.
    #[serde(default)]
    #[schemars(example = &"^/api/search$")]
    pub url_path_pattern: Option<PathPattern>,
    /// Those with all these parameters behind the `?`. Default: any.
    #[serde(default)]
    #[schemars(example = &BTreeMap::from([("expand", "all")]))]
    pub params: BTreeMap<String, String>,
    /// Those with all these headers. Default: any.
    #[serde(default)]
    #[schemars(example = &BTreeMap::from([("X-Tier", "bulk")]))]
    pub headers: Headers,
    /// As how many requests of its policy each counts, by the first matcher that is for it. The
    /// policy's limits are as high at least.
    #[serde(default = "one")]
    pub weight: u32,
}

fn one() -> u32 {
    1
}
