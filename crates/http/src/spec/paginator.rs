//! How a listing is cut into pages.

use super::FieldPath;
use schemars::JsonSchema;
use serde::Deserialize;

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
