//! The keys that each component of a manifest may have and that are read here or
//! change nothing for us; the others are named one by one.

/// Keys that may stand anywhere and change nothing.
pub(super) const EVERYWHERE: &[&str] = &[
    "type",
    "$parameters",
    "$options",
    "name",
    "path",
    "primary_key",
    "cursor_field",
    "description",
    "$comment",
];

pub(super) const MANIFEST: &[&str] = &[
    "version",
    "check",
    "definitions",
    "streams",
    // Named one by one.
    "dynamic_streams",
    "spec",
    "schemas",
    "metadata",
    "api_budget",
    "concurrency_level",
    "description",
];
pub(super) const SPEC: &[&str] = &[
    "connection_specification",
    "connectionSpecification",
    "documentation_url",
    "documentationUrl",
    "changelog_url",
    "changelogUrl",
    "additionalProperties",
];
pub(super) const STREAM: &[&str] = &[
    "retriever",
    "incremental_sync",
    "schema_loader",
    "transformations",
    // There is no state of Airbyte's to take over.
    "state_migrations",
];
pub(super) const RETRIEVER: &[&str] =
    &["requester", "record_selector", "paginator", "partition_router", "decoder"];
pub(super) const JOB: &[&str] = &[
    "creation_requester",
    "polling_requester",
    "polling_job_timeout",
    "status_extractor",
    "status_mapping",
    "failed_retry_wait_time_in_seconds",
    "download_target_requester",
    "download_target_extractor",
    "url_requester",
    "urls_extractor",
    "download_requester",
    "download_extractor",
    "download_decoder",
    "download_paginator",
    "abort_requester",
    "delete_requester",
    "record_selector",
    "partition_router",
];
pub(super) const REQUESTER: &[&str] = &[
    "url_base",
    "url",
    "http_method",
    "method",
    "authenticator",
    "request_parameters",
    "request_headers",
    "request_body_json",
    "request_body_data",
    "request_body",
    "request_options_provider",
    "error_handler",
    "use_cache",
];
pub(super) const SELECTOR: &[&str] =
    &["extractor", "record_filter", "schema_normalization", "transform_before_filtering"];
pub(super) const PAGINATOR: &[&str] =
    &["pagination_strategy", "page_size_option", "page_token_option", "url_base"];
pub(super) const STRATEGY: &[&str] =
    &["page_size", "start_from_page", "cursor_value", "stop_condition", "inject_on_first_request"];
pub(super) const CURSOR: &[&str] = &[
    "cursor_datetime_formats",
    "datetime_format",
    "start_datetime",
    "start_time_option",
    "lookback_window",
    "is_data_feed",
    "is_client_side_incremental",
    "cursor_granularity",
    "step",
    "end_datetime",
    "end_time_option",
    "start_value",
    "start_value_option",
];
pub(super) const VALUES: &[&str] = &["values", "request_option"];
pub(super) const SUBSTREAM: &[&str] = &["parent_stream_configs"];
pub(super) const UNION: &[&str] = &["partition_routers", "partition_field"];
pub(super) const PARENT: &[&str] =
    &["stream", "parent_key", "partition_field", "extra_fields", "request_option"];
pub(super) const HANDLER: &[&str] = &["error_handlers", "response_filters", "backoff_strategies"];
pub(super) const FILTER: &[&str] = &[
    "action",
    "http_codes",
    "error_message_contains",
    "predicate",
    "error_message",
    // Airbyte's own word for people; changes nothing of what is done.
    "failure_type",
];
pub(super) const BUDGET: &[&str] =
    &["policies", "ratelimit_reset_header", "ratelimit_remaining_header", "status_codes_for_ratelimit_hit"];
pub(super) const POLICY: &[&str] = &["period", "call_limit", "rates", "matchers"];
pub(super) const OAUTH: &[&str] = &[
    "token_refresh_endpoint",
    "client_id",
    "client_secret",
    "refresh_token",
    "grant_type",
    "scopes",
    "refresh_request_body",
    "access_token_name",
    "expires_in_name",
    // A token that takes the place of ours is kept without being told so.
    "refresh_token_updater",
];
pub(super) const SESSION: &[&str] =
    &["login_requester", "session_token_path", "expiration_duration", "request_authentication"];
pub(super) const LOGIN: &[&str] = &[
    "url_base",
    "url",
    "http_method",
    "method",
    "authenticator",
    "request_body_json",
    "request_body",
    "request_headers",
];
pub(super) const JWT: &[&str] = &[
    "secret_key",
    "algorithm",
    "base64_encode_secret_key",
    "token_duration",
    "header_prefix",
    "jwt_headers",
    "jwt_payload",
    "additional_jwt_payload",
];

/// What is done instead of some keys.
pub(super) const INSTEAD: &[(&str, &str)] = &[
    ("class_name", "left out: it is code of Airbyte's; what stands beside it is taken as usual"),
    ("regex", "left out: the header is read as seconds or as a date"),
    (
        "token_expiry_date_format",
        "left out: how long a token is taken is read in seconds, and a 401 renews it before",
    ),
    ("file_uploader", "left out: records are kept in step, files are not fetched"),
    ("config_normalization_rules", "left out: values of the environment are taken as they are"),
    ("fetch_properties_from_endpoint", "left out: name the properties in `request_parameters`"),
    ("query_properties", "left out: name the properties in `request_parameters`"),
    (
        "ignore_stream_slicer_parameters_on_paginated_requests",
        "left out: the next page is asked for as the side says",
    ),
    ("page_size_reduction", "left out: choose a page size that the side can answer in time"),
    ("connect_timeout_in_seconds", "left out: `timeout` of the side holds for a request as a whole"),
    ("read_timeout_in_seconds", "left out: `timeout` of the side holds for a request as a whole"),
    ("record_expander", "left out: records are taken as the side lists them"),
];

/// Keys without which the same records are read, and what is done instead of them.
pub(super) const NOTHING_LOST: &[(&str, &str)] = &[
    ("max_retries", "a write is repeated as `retry` of the side says, a read at its next turn"),
    ("max_time", "a write is repeated as `retry` of the side says, a read at its next turn"),
    ("token_expiry_date", "a token is asked for at the first request"),
    ("access_token_value", "a token is asked for at the first request"),
    ("advanced_auth", "the consent is not asked for; put the tokens into the environment"),
    ("incremental_dependency", "the children of all parents are asked for, each since its own cursor"),
    ("lazy_read_pointer", "children are asked for by requests of their own"),
    ("is_compare_strictly", "records with the cursor's own value are read again"),
    ("allow_catalog_defined_cursor_field", "the cursor field is the one that is named"),
    ("use_tcp_keepalive", "connections are kept as long as the side likes"),
    ("pagination_reset", "a listing that breaks off is read again from its last page"),
    ("clamping", "a poll has one interval, from its cursor to now"),
    ("partition_field_start", "a poll has one interval, from its cursor to now"),
    ("partition_field_end", "a poll has one interval, from its cursor to now"),
    ("global_substream_cursor", "each parent's children have a cursor of their own"),
    ("maximum_attempts_to_acquire", "a request waits until there is room"),
    ("stream_groups", "all requests of a side share one budget"),
    ("request_window_splitting", "a poll asks for everything since its cursor"),
    ("max_concurrent_async_job_count", "a listing has one export made after the other"),
];
