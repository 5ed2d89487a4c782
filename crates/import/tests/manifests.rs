//! Manifests of every kind come out as configurations that are taken, and what
//! is not taken over is named with its line.
#![allow(clippy::unwrap_used, clippy::panic, clippy::format_push_string, reason = "tests may panic")]

use hms_sync_hostile::Reader;
use hms_sync_import::discover::{Sample, described, shape, style};
use hms_sync_import::{ImportError, Start, airbyte};
use std::path::PathBuf;
use std::time::Duration;

fn manifest(name: &str) -> String {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/manifests");
    std::fs::read_to_string(folder.join(name)).unwrap()
}

fn import(name: &str) -> Start {
    let start = airbyte(name, name.trim_end_matches(".yaml"), &manifest(name)).unwrap();
    let set = |_: &str| Some("https://x.example".to_owned());
    let unset =
        |variable: &str| start.variables.iter().find(|(name, _)| name == variable).and_then(|(v, _)| set(v));
    let taken = hms_sync_config::parse("out.yaml", &start.yaml, &|name| {
        let stands = |before: &str| start.yaml.contains(&format!("{before}${{{name}"));
        unset(name).map(|value| match () {
            // In the middle of a URL a host is wanted.
            () if stands("//") => "x.example".into(),
            () if stands("start_datetime: \"") => "2026-01-31".into(),
            () => value,
        })
    });
    taken.unwrap_or_else(|errors| panic!("{errors}\n{}", start.yaml));
    start
}

fn lost(start: &Start) -> Vec<String> {
    start.notes.iter().filter(|note| note.lost).map(|note| format!("{}: {note}", note.line)).collect()
}

#[track_caller]
fn says(start: &Start, parts: &[&str]) {
    for part in parts {
        assert!(start.yaml.contains(part), "{part} is not in\n{}", start.yaml);
    }
}

#[track_caller]
fn names(start: &Start, line: usize, part: &str) {
    let all = lost(start);
    assert!(
        start.notes.iter().any(|note| note.line == line && note.to_string().contains(part)),
        "line {line} {part} is not in {all:#?}"
    );
}

#[test]
fn bearer_offset_and_times_are_taken_over_whole() {
    let start = import("bearer_offset.yaml");
    assert_eq!(lost(&start), Vec::<String>::new());
    says(
        &start,
        &[
            r#"url: "https://${BEARER_OFFSET_HOST:?Host}/api/v1""#,
            r#"api_token: "${BEARER_OFFSET_API_TOKEN:?API token}""#,
            r#"Accept-Language: "${BEARER_OFFSET_LANGUAGE:-en}""#,
            r#"path: "/offices/${BEARER_OFFSET_OFFICE:-7}/permits""#,
            "field_path: [data, permits]",
            "offset_param: skip",
            "limit_param: limit",
            "page_size: 50",
            "cursor_field: changed_at",
            "field_name: changed_since",
            r#"datetime_format: "%Y-%m-%dT%H:%M:%S.%6fZ""#,
            "lookback_window: \"5m\"",
            "primary_key: [permit_id]",
            "fee: { type: decimal,",
            "issued: { type: date,",
            "place: { type: json,",
            "changed_at: { type: datetime,",
        ],
    );
    assert!(!start.yaml.contains("internal"), "{}", start.yaml);
    let variables: Vec<&str> = start.variables.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(variables, ["BEARER_OFFSET_API_TOKEN", "BEARER_OFFSET_HOST"]);
}

#[test]
fn references_of_all_kinds_are_followed() {
    let start = import("refs.yaml");
    says(
        &start,
        &[
            "\n  slashed:\n",
            "\n  base:\n",
            "\n  own:\n",
            "\n  there:\n",
            "path: /slashed",
            "path: /own/path",
            "field_path: [items]",
            "field_path: [data]",
            "field_path: [list]",
            "field_path: [rows]",
            "primary_key: [uid]",
        ],
    );
    assert_eq!(
        start.yaml.matches("url: https://refs.example/api").count()
            + start.yaml.matches("refs.example").count(),
        1
    );
}

#[test]
fn what_is_not_known_is_named_with_its_line() {
    let start = import("unknown.yaml");
    names(&start, 3, "`dynamic_streams`");
    names(&start, 11, "`no_such_key`");
    names(&start, 23, "`request_parameters.many`");
    names(&start, 24, ".casefold()");
    names(&start, 25, "`error_handler`");
    names(&start, 28, "`extractor`");
    names(&start, 31, "`advanced_auth`");
    says(
        &start,
        &[
            "today: \"{{ today_utc() }}\"",
            r#"kind: "${UNKNOWN_KIND:-}/${UNKNOWN_SUB_KIND}""#,
            "# Not taken over from unknown.yaml:",
        ],
    );
}

/// What real connectors are full of: addresses by choice, code beside what is declared, days
/// from today, and what one line means for all streams.
#[test]
fn what_connectors_commonly_say_is_taken_over() {
    let start = import("choices.yaml");
    says(
        &start,
        &[
            r#"url: "${CHOICES_BASE_URL:?The URL that all requests go below}""#,
            "path: /visits",
            "path: /fees",
            r#"start_datetime: "${CHOICES_START_DATE:?From when on}""#,
            r#"datetime_format: "%Y-%m-%dT%H:%M:%S.%3fZ""#,
            r#"step: "30d""#,
            r#"url: "https://duties.example""#,
            r#"path: "/offices/{{ stream_partition['office'] }}/duties""#,
            r#"since: "{{ day_delta(-30, format='%Y-%m-%d') }}""#,
            r#"until: "{{ now_utc().strftime('%Y-%m-%d') }}""#,
            "path: /answers",
        ],
    );
    let lost = lost(&start);
    assert_eq!(
        lost,
        [
            "7: `class_name` of stream `visits` (and 1 more stream): left out: it is code of Airbyte's; what stands beside it is taken as usual",
        ]
    );
    // What changes nothing of what is read is a note.
    names(
        &start,
        11,
        "`max_retries` of `error_handler` of stream `visits` (and 1 more stream): a write is repeated",
    );
    let variables: Vec<&str> = start.variables.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(variables, ["CHOICES_BASE_URL", "CHOICES_START_DATE"]);
}

/// Headers that say of which partition a request is, parameters that are lists, literals in quotes,
/// what asks whether people gave anything: all as requests say them.
#[test]
fn what_is_asked_is_what_the_manifest_asks() {
    let start = import("asked.yaml");
    says(
        &start,
        &[
            "client_authentication: basic",
            "client_id: \"${ASKED_CLIENT_ID:?Client}\"",
            "client_secret: \"${ASKED_CLIENT_SECRET}\"",
            "refresh_token: \"${ASKED_CLIENT_TOKEN}\"",
            "username: \"${ASKED_USER:?User}\"",
            "password: \"${ASKED_WORD:-}\"",
            "grant_type: client_credentials",
            "mine: \"{{ '${ASKED_OFFICE:-}' == '' }}\"",
            "window: \"[{{ cursor }}, {{ cursor_end }}]\"",
            "since: \"{{ cursor if cursor else '2020-01-01' }}\"",
            "first: \"{{ ('${ASKED_REGIONS:-}'|split(',')|map('trim')|select|list)[0] }}\"",
            "path: \"/kinds/{{ stream_partition.kind }}/permits\"",
            "Accept: application/json",
            "Accept: \"application/permits+json\"",
            "field_name: X-Office",
            "inject_into: header",
            "columns: [id, fee]",
            "from: \"{{ cursor }}\"",
            "values: [building, felling]",
            "parent_stream: offices",
            "parent_key: [address, code]",
            "number: { type: string, asked: { path: paper.number,",
            "details_fee: { type: decimal, asked: { path: details.fee,",
        ],
    );
    // The window's end is named, so the first range is cut; nothing names that of the second.
    assert_eq!(start.yaml.matches("step: ").count(), 1, "{}", start.yaml);
    assert_eq!(start.yaml.matches("is_client_side_incremental").count(), 0, "{}", start.yaml);
    // Listings that differ in their headers are of one side.
    assert_eq!(start.yaml.matches("connector: http").count(), 4, "{}", start.yaml);
    for (line, part) in [
        (3, "one export made after the other"),
        (14, "`access_token_value`"),
        (42, "`AddFields` of `made`"),
        (57, "`request_headers.X-Both`"),
        (69, "`incremental_dependency` of `partition_router` of stream `permits`: the children"),
        (75, "`owner.` and its name"),
        (76, "the side's own spelling"),
        (111, "taken as OAuth"),
        (118, "`partition_router` of stream `walks`: left out: a request is for one parent"),
        (126, "its parents' `made` is computed"),
        (128, "it has no `polling_requester`"),
    ] {
        names(&start, line, part);
    }
    assert_eq!(lost(&start).len(), 8, "{:#?}", lost(&start));
    let variables: Vec<&str> = start.variables.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(
        variables,
        [
            "ASKED_CLIENT_ID",
            "ASKED_CLIENT_SECRET",
            "ASKED_CLIENT_TOKEN",
            "ASKED_USER",
            "ASKED_WALKER",
            "ASKED_WALK_WORD"
        ]
    );
}

/// What is added to records is read where it comes from, and what is in no record is no field.
#[test]
fn added_fields_are_read_where_they_come_from() {
    let start = import("added.yaml");
    says(
        &start,
        &[
            // What is put together is segments, and a key of the parent's parent is given on.
            "path: \"/decks/{{ stream_partition.extra_fields['parent_slice_id'] }}/cards/{{ stream_partition.card }}/strokes\"",
            "all: \"1\"",
            "record_field: [parent_slice_id]",
            "extra_fields: [parent_slice_id]",
            "record_field: [card_id]",
            "primary_key:\n          - [of, stroke]\n          - deck",
            "stroke: { type: string, added: { path: of.stroke,",
            "moved: { type: datetime, added: { path: times.moved,",
            "drawn: { type: string, added: { path: drawn,",
            "cursor_field: [times, moved]",
            "cursor_datetime_formats: [\"%Y-%m-%dT%H:%M:%S%z\"]",
            "start_datetime: \"${ADDED_SINCE:?From when on records are read}\"",
            "field_name: X-To\n              inject_into: header",
            "cursor_granularity: \"1s\"",
        ],
    );
    assert!(!start.yaml.contains("seen: {") && !start.yaml.contains("cursor_field: at"), "{}", start.yaml);
    for (line, part) in [
        (14, "`class_name`"),
        (26, "`deck` is computed by `AddFields`"),
        (41, "`AddFields` of `deck`"),
        (42, "taken as it stands"),
        (43, "`AddFields` of `seen`"),
        (69, "`at` is added by `AddFields`"),
    ] {
        names(&start, line, part);
    }
}

/// What `AddFields` computes of a record is made by `transformations`, in the manifest's order.
#[test]
fn computed_fields_are_made_of_the_record() {
    let start = import("made.yaml");
    says(
        &start,
        &[
            "primary_key: [key]",
            "record_field: [town_name]",
            // The partition is where the record carries it.
            "path: [key]\n                value: \"{{ record.town_name }}-{{ record['no'] }}\"",
            "value: \"{{ record['first'] ~ ' ' ~ record.get('last', '')|upper }}\"",
            "value: \"${MADE_ACCOUNT:?Account}\"",
            "path: [meta, tags]",
            "value: \"{{ record['state'] | lower }}\"",
            // A copy of what is made is made in its turn.
            "path: [same]\n                value: \"{{ record.name }}\"",
            "type: remove_fields\n            field_pointers:\n",
            "- [meta, secret]\n",
            "condition: \"{{ record['kind'] == 'adult' }}\"",
            "value: \"{{ record['age'] >= 18 }}\"",
            "can_vote: { type: bool, made: { path: can_vote,",
            "parent_stream: people",
            "parent_key: key",
            "cursor_field: changed",
        ],
    );
    let order =
        ["path: [state]", "type: remove_fields", "path: [can_vote]"].map(|part| start.yaml.find(part));
    assert!(order.is_sorted(), "{}", start.yaml);
    for field in ["read_at", "hash", "secret"] {
        assert!(!start.yaml.contains(&format!("{field}: {{ type")), "{field} is in\n{}", start.yaml);
    }
    assert_eq!(lost(&start).len(), 3, "{:#?}", lost(&start));
    for (line, part) in [(24, "made of the clock"), (25, "the filter `hash`"), (26, "made of a partition")] {
        names(&start, line, part);
    }
}

/// A record has what its parent has, and the day that it was asked for, as there.
#[test]
fn what_a_listing_knows_is_in_its_records() {
    let start = import("around.yaml");
    says(
        &start,
        &[
            "extra_fields:\n              - [updated]\n              - [by, name]",
            "value: \"{{ stream_partition.extra_fields['updated'] | int }}\"",
            "value: \"{{ stream_partition['extra_fields']['by.name'] }}\"",
            "record_field: [order_id]",
            "value: \"{{ cursor_end }}\"",
            "cursor_granularity: \"1d\"",
            "primary_key: [day]",
            "end_datetime: \"${AROUND_END_DATE:-}\"",
        ],
    );
    assert!(start.notes.iter().any(|note| note.to_string().contains("made of the range that was asked for")));
    assert_eq!(lost(&start).len(), 3, "{:#?}", lost(&start));
    for (line, part) in [
        (22, "made of a partition by which its stream is not listed"),
        (23, "made of a partition by which its stream is not listed"),
        (24, "made of a range that no request of its stream asks for"),
    ] {
        names(&start, line, part);
    }
}

/// Words for times are known wherever they are there, but for the clock in what is made of a record.
#[test]
fn times_are_told_as_there() {
    let start = import("times.yaml");
    says(
        &start,
        &[
            "(year:{{ str_to_datetime(cursor).year }},month:{{ str_to_datetime(cursor).month }})",
            "format_datetime(record['updated'], '%Y') >= '2026' and str_to_datetime(record['made']).day != 1",
            "value: \"{{ format_datetime(record['timestamp'], '%Y-%m-%dT%H:%M:%SZ') }}\"",
        ],
    );
    assert_eq!(lost(&start).len(), 1, "{:#?}", lost(&start));
    names(&start, 26, "made of the clock");
}

/// Lengths of time, time zones, patterns and lists that grow; what stands in statements is said once.
#[test]
fn words_of_templates_are_those_of_airbyte() {
    let start = import("words.yaml");
    says(
        &start,
        &[
            // Not as its side: messages name both.
            "sync: words_sync\n\nsides:\n  words:",
            "since: \"{{ (now_utc() - duration('P30D')).strftime('%Y-%m-%d') }}\"",
            "day: \"{%- set today = today_with_timezone('${WORDS_ZONE:-UTC}') -%}{{ today.strftime('%Y%m%d') if \
             not '${WORDS_ZONE:-UTC}' else (today - duration('P1D')).strftime('%Y%m%d') }}\"",
            "key: \"{{ 'a' | hash ~ ('b' | hash('md5')) }}\"",
            "predicate: \"{{ response['message'] | regex_search('(?i)(is disabled)') != '' }}\"",
            "{% set _ = ids.append(one['id']) %}\\n{% endfor %}\\n{{ ids }}",
        ],
    );
    assert_eq!(lost(&start).len(), 2, "{:#?}", lost(&start));
    names(&start, 18, "`old` in `request_body_json` of stream `reports`: left out: it has the filter `hash`");
    names(&start, 23, "it calls `today_with_timezone`");
}

/// What a condition is about: a value anywhere in a record, or a field that is added.
#[test]
fn conditions_of_transformations_are_taken_over() {
    let start = import("conditions.yaml");
    says(
        &start,
        &[
            "condition: \"{{ property|string == '' }}\"\n            field_pointers:\n              - [\"**\"]",
            "condition: \"{{ property == '${CONDITIONS_HIDDEN:?Hidden}' }}\"\n            field_pointers:\n              - [\"**\"]",
            "condition: \"{{ value is not none and path[0] != '${CONDITIONS_HIDDEN:?Hidden}' }}\"",
            "note: { type: string,",
        ],
    );
    assert!(!start.yaml.contains("secret"), "{}", start.yaml);
    assert_eq!(lost(&start).len(), 3, "{:#?}", lost(&start));
    for (line, part) in [
        (16, "whatever `field_pointers` say"),
        (24, "is not about `property`"),
        (27, "`record` or `property`, not both"),
        (30, "the filter `hash`"),
    ] {
        names(&start, line, part);
    }
}

/// A filter looks at records before or after what is made of them, as it does there.
#[test]
fn a_filter_looks_at_what_it_looked_at() {
    let start = import("filtered.yaml");
    assert_eq!(lost(&start), Vec::<&str>::new());
    let parts: Vec<&str> = start.yaml.split("record_filter").collect();
    let [before, turned, compared, after] = parts.as_slice() else { panic!("{}", start.yaml) };
    // What a filter looks at before is read where it comes from.
    for part in ["value: \"{{ record['kind'] | upper }}\"", "- [meta, kind]"] {
        assert!(before.contains(part), "{part} is not in\n{before}");
    }
    assert!(!before.contains("path: [owner]") && !before.contains("- [who]"), "{before}");
    assert!(!turned.contains("transform_before_filtering"), "{turned}");
    assert!(turned.contains("owner: { type: string, filtered: { path: who.name,"), "{turned}");
    // What it looks at after must be there, and what is taken out must not.
    for part in [
        "path: [owner]\n                value: \"{{ record['who']['name'] }}\"",
        "- [draft]",
        "- [meta, kind]",
    ] {
        assert!(turned.contains(part), "{part} is not in\n{turned}");
    }
    assert!(!turned.contains("- [who]"), "{turned}");
    assert!(compared.contains("transform_before_filtering: true"), "{compared}");
    assert!(compared.contains("owner: { type: string, filtered: { path: owner,"), "{compared}");
    // A stream that compares with the cursor by itself makes records first.
    assert!(after.contains("transform_before_filtering: true"), "{after}");
}

#[test]
fn values_that_are_expressions_and_bodies_that_are_one_text_are_taken_over() {
    let start = import("listed.yaml");
    says(
        &start,
        &[
            "values: \"${LISTED_SHOPS:-a,b}\"",
            "values: [\"1\", \"2\", \"3\", \"4\", \"5\", \"6\", \"7\", \"8\", \"9\", \"10\", \"11\", \"12\"]",
            "values: [open, closed]",
            "request_body_text: \"shop={{ stream_partition.shop }}&key=${LISTED_KEY:?Key}&from={{ cursor }}\"",
            "Content-Type: application/x-www-form-urlencoded",
            // What the manifest says of a body stands.
            "content-type: text/csv",
            "request_body_text: \"{ \\\"kind\\\": \\\"{{ stream_partition.kind }}\\\" }\"",
            "Content-Type: application/json",
        ],
    );
    assert_eq!(start.yaml.to_lowercase().matches("content-type:").count(), 3, "{}", start.yaml);
    names(&start, 51, "write them out as a list");
    assert_eq!(lost(&start).len(), 1, "{:#?}", lost(&start));
}

#[test]
fn streams_that_are_found_at_run_time_are_named_with_what_to_write_instead() {
    let start = import("dynamic.yaml");
    assert_eq!(lost(&start).len(), 3, "{:#?}", lost(&start));
    for (line, part) in [
        (18, "`ParametrizedComponentsResolver` of `dynamic_streams` `tables`"),
        (18, "`list_of_parameters_for_stream`, 2 here"),
        (27, "what people chose in `config`"),
        (33, "what the side answers"),
    ] {
        names(&start, line, part);
    }
    says(&start, &["\n  rows:\n"]);
}

/// A variable is text: what holds a truth, a number or a list is told to expressions.
#[test]
fn what_people_are_asked_for_keeps_its_type() {
    let start = import("typed.yaml");
    says(
        &start,
        &[
            "all: \"{{ 'yes' if ('${TYPED_CLOSED:-}'|lower in ['true', '1', 'yes']) == true else 'no' }}\"",
            "most: \"{{ (('${TYPED_MOST:-}' or 0)|int) * 2 if (('${TYPED_MOST:-}' or 0)|int) else 7 }}\"",
            "kinds: \"${TYPED_KINDS:-a,b}\"",
            "range: \"in:{{ '{' }}{{ cursor ~ ' TO ' ~ now_utc() }}\"",
            "fields: \"id,name\"",
            "since: \"{{ cursor.replace('T', ' ') }}\"",
            "cursor_path: [next]",
            "offset_param: from\n            limit_param: \"\"",
            "action: ignore",
            "token_refresh_endpoint: \"${TYPED_AUTH_TOKEN_REFRESH_ENDPOINT:?Where tokens are asked for}\"",
            "refresh_token: \"${TYPED_C}\"",
            "query: \"{ rooms }\"",
            "field_name: first\n              inject_into: body_json",
            "error_message: \"No: {{ response['why'] }}\"",
            "backoff_time_in_seconds: 121",
            "condition: \"{{ record.kind in ('${TYPED_KINDS:-a,b}'|split(',')|map('trim')|select|list) }}\"",
            "api_token: \"${TYPED_AUTH_API_TOKEN:?Who we are}\"",
            "kind: \"{% if '${TYPED_HOW:-}' %}${TYPED_HOW:-}{% endif %}\"",
            "known: \"{{ 1 if '${TYPED_HOW:-}' != '' else 0 }}\"",
            "api_token: \"${TYPED_A}\"",
            "has_more_path: [more]",
            "max_concurrency: 3",
        ],
    );
    // Where the side names the address of the next page, nothing is lost by it.
    let ignored = lost(&start).into_iter().filter(|note| note.contains("ignore_stream_slicer")).count();
    assert_eq!(ignored, 1, "{:#?}", lost(&start));
    // A way of which a part cannot be told leads somewhere else.
    assert_eq!(start.yaml.matches("field_path: [rows]").count(), 3, "{}", start.yaml);
    for (line, part) in [
        (28, "it has the filter `wordcount`"),
        (33, "121 is taken: it is no variable with us"),
        (24, "nothing is sent: there is no parameter"),
        (27, "is no single text"),
        (37, "is what a poll does by itself"),
        (50, "the first that is named, `token`, is taken; the code around it, and `basic`"),
        (54, "`field_path`"),
        (61, "it is code of Airbyte's; say by `authenticator`"),
        (64, "`stop_condition`"),
        (76, "the first that is no code, `renewed`, is taken; the others (`coded`) are left out"),
    ] {
        names(&start, line, part);
    }
}

#[test]
fn slices_of_one_unit_stay_as_long_as_they_are() {
    let yaml = "streams:\n  - name: days\n    retriever: { requester: { url: 'https://x.example/days' } }\n    incremental_sync: { cursor_field: day, datetime_format: '%Y-%m-%d', start_datetime: '2026-01-01', start_time_option: { field_name: from }, end_time_option: { field_name: to }, step: P1D, cursor_granularity: P1D }\n";
    let start = airbyte("m.yaml", "m", yaml).unwrap();
    assert_eq!(lost(&start), Vec::<String>::new());
    says(&start, &["step: \"1d\"", "cursor_granularity: \"1d\""]);
}

/// What is refused after all is told with its reason where nothing else is left.
#[test]
fn what_is_refused_after_all_is_told() {
    let yaml = "streams:\n  - name: a\n    retriever: { requester: { url: 'https://x.example/{{ stream_partition.b }}' } }\n";
    let why = refused(yaml);
    assert!(why.contains("names `stream_partition`"), "{why}");
}

/// Where nothing can be taken over, each stream's reason is told with its line.
#[test]
fn a_manifest_of_which_nothing_comes_says_why() {
    let yaml = "streams:\n  - name: a\n    retriever: { type: CustomRetriever }\n  - name: b\n    retriever:\n      type: SimpleRetriever\n      requester: { type: CustomRequester }\n";
    let why = refused(yaml);
    assert!(why.contains("no stream in it that can be read over HTTP\nm.yaml:3:"), "{why}");
    assert!(why.contains("stream `a`: left out: `CustomRetriever` is no plain listing"), "{why}");
    assert!(why.contains("m.yaml:7:") && why.contains("stream `b`: left out: its requester"), "{why}");
}

/// Pages, the ends of a poll and partitions keep their places; a dot in a name is no step.
#[test]
fn what_goes_into_a_body_goes_there() {
    let start = import("by_body.yaml");
    assert_eq!(lost(&start), Vec::<String>::new());
    says(
        &start,
        &[
            "page_token_option:\n              field_name: [page, skip]\n              inject_into: body_json",
            "page_size_option:\n              field_name: [page.size]\n              inject_into: body_json",
            "start_time_option:\n              field_name: [range, from]\n              inject_into: body_json",
            "end_time_option:\n              field_name: [range, to]\n              inject_into: body_json",
            "request_body_data:\n            status: open\n            since: \"{{ cursor }}\"",
            "page_token_option:\n              field_name: page\n              inject_into: body_data",
            "page_size_option:\n              field_name: X-Size\n              inject_into: header",
            "values: \"${BY_BODY_ACCOUNTS:?Your accounts}\"",
            "request_option:\n              field_name: account\n              inject_into: body_data",
            "request_body_data:\n            kind: all",
            "values: \"${BY_BODY_REGIONS:-north,south}\"",
        ],
    );
    let told: Vec<String> = start.notes.iter().map(|note| format!("{}: {note}", note.line)).collect();
    let told = told.join("\n");
    assert!(told.contains("40: `values` in `partition_router` of stream `fees`: its `values` are what people choose: set BY_BODY_ACCOUNTS to them with commas between them"), "{told}");
}

#[test]
fn streams_without_a_listing_are_left_out_by_name() {
    let start = import("bodies.yaml");
    names(&start, 42, "stream `exported`");
    says(
        &start,
        &["url: \"https://bodies.example\"", "path: /v1/search", "kind: open", "path: /v1/report.csv"],
    );
    says(&start, &["cursor_field: ts", "datetime_format: epoch_s"]);
}

#[test]
fn pages_by_number_begin_where_the_manifest_says() {
    let start = import("paging.yaml");
    says(&start, &["page_size_param: per_page", "page_size: 20", "start_from: 0"]);
    names(&start, 61, "CustomPaginationStrategy");
}

#[test]
fn children_and_partitions_are_taken_over_or_named() {
    let start = import("oauth_children.yaml");
    names(&start, 18, "`oauth`");
    says(
        &start,
        &[
            "\n  projects:\n",
            "\n  tasks:\n",
            "primary_key: [id, project]",
            "identity: [id, project]",
            "parent_stream: projects",
            "parent_key: id",
            "partition_field: project",
            "path: \"/projects/{{ stream_partition.project }}/tasks\"",
            "values: [north, south]",
            "partition_field: region",
            "path: \"/regions/{{ stream_partition.region }}\"",
        ],
    );
}

#[test]
fn values_and_parents_are_not_put_together() {
    let yaml = manifest("routers.yaml").replace(
        "          - type: SubstreamPartitionRouter\n            parent_stream_configs:\n              - { type: ParentStreamConfig, stream: { $ref: \"#/definitions/users\" }, parent_key: id, partition_field: owner }\n    transf",
        "          - { type: ListPartitionRouter, cursor_field: owner, values: [a] }\n    transf",
    );
    let start = hms_sync_import::airbyte("routers.yaml", "routers", &yaml).unwrap();
    assert!(
        lost(&start).iter().any(|note| note.contains("make each a collection of its own")),
        "{:#?}",
        lost(&start)
    );
    assert_eq!(start.yaml.matches("parent_stream_configs:").count(), 1, "{}", start.yaml);
}

#[test]
fn several_routers_and_several_kinds_of_parents_are_taken_over_whole() {
    let start = import("routers.yaml");
    assert_eq!(lost(&start), Vec::<String>::new());
    says(
        &start,
        &[
            "primary_key: [board, \"no\"]",
            "identity: [board, \"no\"]",
            "parent_stream_configs:",
            "parent_stream: teams",
            "parent_stream: users",
            "type: ListPartitionRouter",
            "partition_field: year",
            // Routers of parents that are put together are parents of several kinds.
            "extra_fields:\n                  - [name]\n                partition_field: owner",
            "parent_key: id\n                partition_field: owner",
            "value: \"{{ stream_partition.owner ~ stream_partition.extra_fields['name'] }}\"",
        ],
    );
}

#[test]
fn who_we_are_what_answers_mean_and_budgets_are_taken_over_whole() {
    let start = import("identities.yaml");
    assert_eq!(lost(&start), Vec::<String>::new());
    says(
        &start,
        &[
            "type: oauth",
            "grant_type: refresh_token",
            "audience: deeds",
            "type: session_token",
            "url: \"https://two.example/login\"",
            "field_name: X-Session",
            "type: jwt",
            "header_prefix: \"\"",
            "aud: them",
            "type: wait_time_from_header",
            "factor: 3",
            "action: rate_limited",
            "type: constant",
            "cursor_path: [meta, next]",
            "cursor_param: after",
            "limit_param: size",
            "stop_condition: \"{{ not response['meta']['more'] }}\"",
            "field_name: [page, after]",
            "inject_into: body_json",
            "type: moving_window",
            "method: POST",
            "call_limit: 900",
        ],
    );
    // One of a filter's conditions is enough there: each is a filter of its own.
    assert_eq!(start.yaml.matches("action: ignore").count(), 3, "{}", start.yaml);
    assert_eq!(start.yaml.matches("error_message: \"it is archived\"").count(), 3, "{}", start.yaml);
    // Each handler keeps its own waits.
    assert_eq!(start.yaml.matches("backoff_strategies:").count(), 2, "{}", start.yaml);
}

#[test]
fn what_would_mean_something_else_with_us_is_left_out_whole() {
    let start = import("not_ours.yaml");
    for (line, part) in [
        (11, "`max_retries`"),
        (13, "`regex`"),
        (14, "CustomBackoffStrategy"),
        (16, "without a condition"),
        (17, "`action` is none of"),
        (18, "now_utc"),
        (27, "its login is no `POST`"),
        (36, "Base64"),
        (44, "grant_type: password"),
        (53, "a `weight` of 6 is more than the policy ever has"),
    ] {
        names(&start, line, part);
    }
    // What could not be said of a filter's condition took the filter with it.
    for part in ["ignore", "authenticator", "call_limit", "reset_pagination"] {
        assert!(
            !start.yaml.contains(&format!("{part}:")) && !start.yaml.contains(&format!(": {part}")),
            "{part}\n{}",
            start.yaml
        );
    }
    says(&start, &["limit: 10"]);
}

#[test]
fn budgets_are_for_the_requests_that_they_name() {
    let start = import("budgets.yaml");
    assert_eq!(lost(&start).len(), 2, "{:#?}", lost(&start));
    // No look-around in our patterns: the policy goes with it, and is made to hold for nothing else.
    names(&start, 34, "look-around");
    // What weighs more than a policy has would wait for ever.
    names(&start, 37, "a `weight` of 7 is more than the policy ever has");
    let sides = start.yaml.split_once("collections:").unwrap().0;
    let (first, second) = sides.split_once("\n  budgets_2:").unwrap();
    for (side, there, not_there) in [
        (
            first,
            &[
                "url_path_pattern: \"^/v2/search/[a-z]{1,9}$\"",
                "expand: all",
                "X-Tier: bulk",
                "limit: 10\n",
                "limit: 100\n",
                "method: POST\n              weight: 5\n",
                "method: PUT\n              weight: 4\n            -\n              weight: 1",
            ][..],
            &["url_base", "limit: 20\n", "limit: 30\n", "limit: 60\n"][..],
        ),
        (
            second,
            &["limit: 20\n", "limit: 100\n", "weight: 5\n"],
            &["url_base", "limit: 10\n", "limit: 30\n", "X-Tier"],
        ),
    ] {
        for part in there {
            assert!(side.contains(part), "{part} is not in\n{side}");
        }
        for part in not_there {
            assert!(!side.contains(part), "{part} is in\n{side}");
        }
        // Airbyte counts a request by the first policy that is for it.
        let kinds = ["type: moving_window", "type: fixed_window"];
        let count = kinds.iter().map(|kind| side.matches(kind).count()).sum::<usize>() - 1;
        assert_eq!(side.matches("type: unlimited").count(), count, "{side}");
    }
}

#[test]
fn streams_below_definitions_list_their_parents() {
    let start = import("workspaces.yaml");
    says(
        &start,
        &[
            "\n  boards:\n",
            "\n  cards:\n",
            // A parent that is no collection stands there whole, and one that is by its name.
            "path: /workspaces",
            "parent_stream: boards",
            "parent_key: gid",
            "partition_field: workspace_gid",
            "record_field: [workspace_gid]",
            // Of two routers both.
            "field_name: kind",
            "workspace: \"{{ stream_partition.workspace_gid }}\"",
            "path: \"/boards/{{ stream_partition['board_gid'] }}/cards\"",
            "action: reset_cursor",
        ],
    );
    assert!(!start.yaml.contains("\n  workspaces:\n    identity"), "{}", start.yaml);
    // Only the parent's requests have the handler: it is not one of the side.
    assert_eq!(start.yaml.matches("error_handler:").count(), 1, "{}", start.yaml);
    names(&start, 60, "`incremental_dependency`");
    assert_eq!(lost(&start), Vec::<String>::new());
}

#[test]
fn parameters_are_handed_down_through_references() {
    let start = import("handed_down.yaml");
    says(
        &start,
        &[
            "\n  deeds:\n",
            "\n  owners:\n",
            "path: /deeds",
            "field_path: [deeds]",
            "expand: owner",
            "cursor_field: changed",
            "step: \"30d\"",
            "lookback_window: \"10m\"",
            "field_name: changed_to",
            "page_param: page",
            "page_size_param: size",
        ],
    );
    names(&start, 21, "`clamping`");
}

#[test]
fn options_of_requests_and_of_partitions_find_their_place() {
    let start = import("options.yaml");
    says(
        &start,
        &[
            "path: /v2/offices",
            "open: \"1\"",
            "parent_key: code",
            "partition_field: office",
            "extra_fields:",
            "verbose: \"yes\"",
            "field_name: X-Year",
            "inject_into: header",
            "values: [\"2025\", \"2026\"]",
            "field_name: X-Key",
        ],
    );
    for (line, part) in
        [(23, "`authenticator`"), (46, "`lazy_read_pointer`"), (71, "its `values` are what people choose")]
    {
        names(&start, line, part);
    }
}

fn refused(yaml: &str) -> String {
    match airbyte("m.yaml", "m", yaml) {
        Err(why @ (ImportError::Unusable { .. } | ImportError::Unreadable(_))) => why.to_string(),
        Ok(start) => panic!("{}", start.yaml),
    }
}

#[test]
fn hostile_manifests_are_refused_with_their_line() {
    let circle = "streams:\n  - $ref: '#/definitions/a'\ndefinitions:\n  a: { $ref: '#/definitions/b' }\n  b: { $ref: '#/definitions/a' }\n";
    assert!(refused(circle).contains("circle"), "{}", refused(circle));
    let itself = "streams:\n  - name: a\n    retriever: { $ref: '#/streams/0/retriever' }\n";
    assert!(refused(itself).starts_with("m.yaml:3:"), "{}", refused(itself));
    let nothing = "streams:\n  - $ref: '#/definitions/missing'\n";
    assert!(
        refused(nothing).contains("m.yaml:2:11: there is nothing at `#/definitions/missing`"),
        "{}",
        refused(nothing)
    );
    for (yaml, said) in [
        ("", "no declarative manifest"),
        ("- a\n", "a list without `streams`"),
        ("streams: 5\n", "no stream"),
        ("streams: []\n", "no stream"),
        ("streams: [ { name: x } ]\n", "no stream"),
        ("a: [\n", "not YAML"),
        ("streams: [ { $ref: 5 } ]\n", "must be text"),
        ("streams:\n  - name: a\n    name: b\n", "twice"),
    ] {
        assert!(refused(yaml).contains(said), "{yaml:?}: {}", refused(yaml));
    }
}

#[test]
fn a_chain_of_references_that_doubles_at_each_step_costs_nothing() {
    let mut yaml = "streams:\n  - name: s\n    retriever: { requester: { url: 'https://x.example/s' } }\n    schema_loader: { schema: { $ref: '#/definitions/d0' } }\ndefinitions:\n".to_owned();
    for n in 0..40 {
        let next = n + 1;
        yaml += &format!(
            "  d{n}: {{ properties: {{ a: {{ $ref: '#/definitions/d{next}' }}, b: {{ $ref: '#/definitions/d{next}' }} }} }}\n"
        );
    }
    yaml += "  d40: { type: string }\n";
    let start = airbyte("m.yaml", "m", &yaml).unwrap();
    assert!(start.yaml.contains("a: { type: json"), "{}", start.yaml);
}

#[test]
fn text_of_a_manifest_can_neither_add_keys_nor_name_our_environment() {
    let yaml = "streams:\n  - name: \"s: {x\\n evil: 1\"\n    retriever: { requester: { url: 'https://x.example/${HOME}/s', request_headers: { X: \"a\\\"b: ${SECRET}\" } } }\n";
    let start = airbyte("m.yaml", "m\nevil: 1", yaml).unwrap();
    assert!(start.yaml.contains("$${HOME}") && start.yaml.contains("$${SECRET}"), "{}", start.yaml);
    assert!(!start.yaml.contains("\nevil"), "{}", start.yaml);
}

#[test]
fn a_large_manifest_is_read_in_time() {
    let mut yaml = "definitions:\n  r: { requester: { url_base: 'https://x.example' }, record_selector: { extractor: { field_path: [data] } } }\nstreams:\n".to_owned();
    for n in 0..200 {
        yaml += &format!(
            "  - name: s{n}\n    primary_key: id\n    retriever: {{ $ref: '#/definitions/r' }}\n    $parameters: {{ path: /s{n} }}\n    schema_loader:\n      schema:\n        properties:\n"
        );
        for p in 0..40 {
            yaml += &format!("          p{p}: {{ type: [string, 'null'] }}\n");
        }
    }
    let start = airbyte("m.yaml", "m", &yaml).unwrap();
    assert_eq!(start.yaml.matches("path: /s199").count(), 1 + 3, "{}", start.yaml.len());
}

/// What a side says of itself: descriptions, listings, headers.
#[test]
fn hostile_descriptions() {
    Reader::new("descriptions")
        .sound([
            r#"{"openapi":"3.0.1","servers":[{"url":"/v1"}],"paths":{"/p":{"get":{},"post":{}},"/p/{id}":{"get":{},"patch":{}}}}"#,
            r#"{"swagger":"2.0","basePath":"/v2","paths":{"/a/b":{"get":{"parameters":[{"name":"since"}]}}}}"#,
            r#"{"items":[{"id":1,"n":"a","at":"2026-03-01T09:30:00Z","l":[{"x":1}]},{"id":2,"n":null}],"total":2,"page":1}"#,
            r#"[{"_id":"a","fee":1.5,"o":{"street":"x"}}]"#,
        ])
        .words(["{", "}", "[", "]", "\"", ":", ",", "\"paths\":{", "\"get\":{}", "/{", "${", "{{", "\"id\":", "\"next\":", "null"])
        .texts(|text| {
            let Ok(body) = serde_json::from_str::<serde_json::Value>(text) else { return false };
            let seen = shape(&body).is_some();
            let headers = [("link".to_owned(), "</p?page=2>; rel=next".to_owned())].into();
            let sample = Sample { headers, body };
            let _style = style(&sample);
            described(&sample.body).is_some() || seen
        });
}

/// Manifests of a stranger's.
#[test]
fn hostile_manifests() {
    let sound: Vec<String> =
        ["bearer_offset.yaml", "refs.yaml", "identities.yaml", "routers.yaml", "oauth_children.yaml"]
            .map(manifest)
            .into();
    Reader::new("manifests")
        .sound(&sound)
        .words([
            "$ref: ",
            "\"#/definitions/",
            "type: ",
            "$parameters: ",
            "{{ ",
            " }}",
            "config['",
            "']",
            "\n",
            "  ",
            "- ",
            ": ",
            "[",
            "]",
            "{",
            "}",
            "streams:\n",
            "&a ",
            "*a",
            "${",
            "$$",
        ])
        // One takes some ten milliseconds: what comes of it is read as a configuration, many times.
        .at_most(150)
        .patience(Duration::from_secs(2))
        .texts(|yaml| airbyte("m.yaml", "m", yaml).is_ok());
}

#[test]
fn jobs_are_what_a_listing_reads() {
    let start = import("jobs.yaml");
    says(
        &start,
        &[
            r#"path: "{{ download_target }}""#,
            "type: csv",
            "path: /v1/exports",
            "http_method: POST",
            r#"from: "{{ cursor }}""#,
            r#"path: "/v1/exports/{{ creation_response['id'] }}""#,
            r#"path: "/v1/exports/{{ polling_response['id'] }}/files""#,
            // Under the names that these parts had before.
            r#"path: "/v1/exports/{{ creation_response['key'] }}""#,
            r#"path: "/v1/exports/{{ polling_response['key'] }}/older""#,
            "field_path: [urls]",
            r#"path: "/v1/exports/{{ creation_response['id'] }}/stop""#,
            "field_path: [files, \"*\", url]",
            r#"polling_job_timeout: "90m""#,
            r#"failed_retry_wait: "120s""#,
            "skipped: [empty]",
            "condition:",
            "offset_param: skip",
            "field_path: [rows]",
            "type: zip",
            r#"delimiter: ";""#,
            // The partition's header goes with each request of the export.
            "field_name: X-Region\n              inject_into: header",
        ],
    );
    assert!(!lost(&start).iter().any(|note| note.to_lowercase().contains("x-region")), "{:#?}", lost(&start));
    assert_eq!(start.yaml.matches("type: zip").count(), 2, "{}", start.yaml);
    assert!(!start.yaml.contains("looked"), "{}", start.yaml);
    assert_eq!(start.yaml.matches(r#"path: "{{ download_target }}""#).count(), 2, "{}", start.yaml);
    for (line, part) in [
        (46, "`request_headers` of `download_requester` of stream `reports`"),
        (52, "`delete_requester` of stream `reports`: left out: it is code"),
        (85, "it asks another URL"),
        (83, "stream `elsewhere`: left out: its `polling_requester` cannot be said"),
        (94, "stream `coded`: left out: its `status_extractor` names no place"),
        (121, "`decoder` of stream `archived`: left out: an archive in an archive is not read"),
    ] {
        names(&start, line, part);
    }
}
