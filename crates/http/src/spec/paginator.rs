//! How a listing is cut into pages.

use super::{Expression, FieldPath, RequestOption};
use schemars::JsonSchema;
use serde::Deserialize;

/// How a listing is cut into pages. The end of a listing is an empty page, or a
/// short one where pages are known to be longer.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub enum Paginator {
    /// Everything comes in one answer.
    #[default]
    #[serde(alias = "NoPagination", alias = "single_page")]
    None,
    /// Records are skipped: `?offset=200&limit=100`.
    #[serde(alias = "OffsetIncrement")]
    Offset {
        /// Records asked for at once. Default: 100.
        #[serde(default = "hundred", alias = "limit")]
        page_size: u32,
        /// The parameter that says how many to skip. Default: `offset`.
        #[serde(default)]
        #[schemars(example = &"offset")]
        offset_param: Option<String>,
        /// Where in a request that goes, if not into a parameter.
        #[serde(default)]
        page_token_option: Option<RequestOption>,
        /// The parameter that says how many are wanted; empty text: the side is not told. Default: `limit`.
        #[serde(default)]
        #[schemars(example = &"limit")]
        limit_param: Option<String>,
        /// Where in a request that goes, if not into a parameter.
        #[serde(default)]
        page_size_option: Option<RequestOption>,
        /// Where the answer says whether there is more: `true` or `false`.
        #[serde(default)]
        has_more_path: Option<FieldPath>,
        /// A listing with more pages is an error. Default: 100,000.
        #[serde(default)]
        max_pages: Option<u32>,
    },
    /// Pages are numbered: `?page=3&per_page=100`.
    #[serde(alias = "PageIncrement", alias = "page_number")]
    Page {
        /// Records asked for at once. Default: 100.
        #[serde(default = "hundred")]
        page_size: u32,
        /// The parameter that names the page. Default: `page`.
        #[serde(default)]
        #[schemars(example = &"page")]
        page_param: Option<String>,
        /// Where in a request that goes, if not into a parameter.
        #[serde(default)]
        page_token_option: Option<RequestOption>,
        /// The parameter that says how many are wanted; empty text: the side is not told. Default: `per_page`.
        #[serde(default)]
        #[schemars(example = &"per_page")]
        page_size_param: Option<String>,
        /// Where in a request that goes, if not into a parameter.
        #[serde(default)]
        page_size_option: Option<RequestOption>,
        /// The number of the first page. Default: 1.
        #[serde(default = "one", alias = "start_from_page", alias = "base_page")]
        start_from: u64,
        /// Where the answer says whether there is more: `true` or `false`.
        #[serde(default)]
        has_more_path: Option<FieldPath>,
        /// A listing with more pages is an error. Default: 100,000.
        #[serde(default)]
        max_pages: Option<u32>,
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
        /// Where in a request that goes, if not into a parameter.
        #[serde(default)]
        page_size_option: Option<RequestOption>,
        /// The field that records are sorted by. Default: the cursor field of `incremental_sync`.
        #[serde(default)]
        key_field: Option<FieldPath>,
        /// A listing with more pages is an error. Default: 100,000.
        #[serde(default)]
        max_pages: Option<u32>,
    },
    /// Each answer carries what the next page is asked for by.
    #[serde(alias = "CursorPagination", alias = "header_cursor")]
    Cursor(Box<CursorPaginator>),
    /// Each answer has a header `Link` that says where the next page is.
    #[serde(alias = "header_link")]
    LinkHeader {
        /// The relation that means the next page. Default: `next`.
        #[serde(default = "next", alias = "links_next_key")]
        rel: String,
        /// Records asked for at once. Default: as the side likes.
        #[serde(default)]
        page_size: Option<u32>,
        /// The parameter of the first request that says how many are wanted. Default: `per_page`.
        #[serde(default)]
        #[schemars(example = &"per_page")]
        limit_param: Option<String>,
        /// Where in a request that goes, if not into a parameter; a header or a body has it in each.
        #[serde(default)]
        page_size_option: Option<RequestOption>,
        /// A listing with more pages is an error. Default: 100,000.
        #[serde(default)]
        max_pages: Option<u32>,
    },
    /// Each answer says in its body where the next page is.
    #[serde(alias = "json_link", alias = "json_response")]
    NextUrl {
        /// Where in the answer the URL is. Default: `next`.
        #[serde(default = "next_path")]
        next_url_path: FieldPath,
        /// Records asked for at once. Default: as the side likes.
        #[serde(default)]
        page_size: Option<u32>,
        /// The parameter of the first request that says how many are wanted. Default: `limit`.
        #[serde(default)]
        #[schemars(example = &"limit")]
        limit_param: Option<String>,
        /// Where in a request that goes, if not into a parameter; a header or a body has it in each.
        #[serde(default)]
        page_size_option: Option<RequestOption>,
        /// Where the answer says whether there is more: `true` or `false`.
        #[serde(default)]
        has_more_path: Option<FieldPath>,
        /// A listing with more pages is an error. Default: 100,000.
        #[serde(default)]
        max_pages: Option<u32>,
    },
}

/// Each answer carries what the next page is asked for by; without it, the listing has
/// ended. One of `cursor_path`, `cursor_header` and `cursor_value` says where it is.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CursorPaginator {
    /// Where in the answer it is, as `meta.next_cursor`.
    #[serde(default)]
    pub cursor_path: Option<FieldPath>,
    /// The header of the answer that carries it.
    #[serde(default, alias = "cursor_key")]
    pub cursor_header: Option<String>,
    /// An expression that is it. Knows `response`, `headers` (names in lower case),
    /// `last_record`, `last_page_size` and `page_size`.
    #[serde(default)]
    #[schemars(example = &"last_record.id")]
    pub cursor_value: Option<Expression>,
    /// The parameter that carries it in the next request. Default: `cursor`, unless
    /// `page_token_option` or a template with `{{ next_page_token }}` says otherwise.
    #[serde(default)]
    pub cursor_param: Option<String>,
    /// Where in the next request it goes, if not into a parameter.
    #[serde(default)]
    pub page_token_option: Option<RequestOption>,
    /// Records asked for at once. Default: as the side likes.
    #[serde(default)]
    pub page_size: Option<u32>,
    /// The parameter that says how many are wanted. Default: `limit`.
    #[serde(default)]
    #[schemars(example = &"limit")]
    pub limit_param: Option<String>,
    /// Where in a request that goes, if not into a parameter.
    #[serde(default)]
    pub page_size_option: Option<RequestOption>,
    /// An expression that is true on the last page. Knows what `cursor_value` knows.
    #[serde(default)]
    #[schemars(example = &"not response.has_more")]
    pub stop_condition: Option<Expression>,
    /// Where the answer says whether there is more: `true` or `false`.
    #[serde(default)]
    pub has_more_path: Option<FieldPath>,
    /// A listing with more pages is an error. Default: 100,000.
    #[serde(default)]
    pub max_pages: Option<u32>,
    /// Whether an empty page ends the listing even if there is a cursor. Default: `false`.
    #[serde(default)]
    pub stop_after_empty_page: bool,
}

fn hundred() -> u32 {
    100
}

fn one() -> u64 {
    1
}

fn next() -> String {
    "next".to_owned()
}

fn next_path() -> FieldPath {
    FieldPath::member("next")
}

impl Paginator {
    /// By offset, with the usual names.
    pub fn offset(page_size: u32) -> Self {
        Self::Offset {
            page_size,
            offset_param: None,
            page_token_option: None,
            limit_param: None,
            page_size_option: None,
            has_more_path: None,
            max_pages: None,
        }
    }

    /// By page number from 1, with the usual names.
    pub fn page(page_size: u32) -> Self {
        Self::Page {
            page_size,
            page_param: None,
            page_token_option: None,
            page_size_param: None,
            page_size_option: None,
            start_from: 1,
            has_more_path: None,
            max_pages: None,
        }
    }
}
