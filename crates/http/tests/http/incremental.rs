//! What changed only: from where on, up to where, and where the side cannot be asked.

use crate::sides::{Answering, Heard, Said, collection, ids, pass, plain, try_connector};
use hms_sync_connector::{Connector, Cursor, ReadRequest, Scope};
use serde_json::{Value as Json, json};

fn cursor(value: &Json) -> Scope {
    Scope::Since(Cursor(json!({ "value": value }).to_string()))
}

fn value(cursor: Option<Cursor>) -> Json {
    serde_json::from_str::<Json>(&cursor.unwrap().0).unwrap()["value"].clone()
}

/// Days of November, one record each, the newest last; `from`, `to` and `desc` are heard.
fn days(heard: &Heard) -> Said {
    let stamp = |day: usize| format!("2026-11-{day:02}T00:00:00Z");
    let bound = |name: &str| heard.query.get(name).cloned();
    let mut all: Vec<Json> = (1..=20)
        .filter(|day| bound("from").is_none_or(|from| stamp(*day) >= from))
        .filter(|day| bound("to").is_none_or(|to| stamp(*day) <= to))
        .map(|day| json!({ "id": day, "at": stamp(day) }))
        .collect();
    if heard.query.contains_key("desc") {
        all.reverse();
    }
    let skip = heard.number("offset").unwrap_or(0);
    let page: Vec<Json> = all.into_iter().skip(skip).take(heard.number("limit").unwrap_or(100)).collect();
    (vec![("date", "Sat, 21 Nov 2026 00:00:00 GMT".to_owned())], Json::Array(page).to_string())
}

#[tokio::test]
async fn a_side_that_cannot_be_asked_is_read_whole_and_only_what_changed_is_taken() {
    let side = Answering::with(days).await;
    let read = json!({ "path": "/p", "paginator": { "type": "offset", "page_size": 6 },
        "incremental_sync": { "cursor_field": "at", "is_client_side_incremental": true, "lookback_window": "1d" } });
    let connector = side.read(&read);
    assert!(connector.abilities(&collection()).incremental);
    let (seen, at) = pass(&connector, Scope::Everything, || {}).await.unwrap();
    assert_eq!(ids(&seen).into_iter().collect::<std::collections::BTreeSet<_>>().len(), 20);
    assert_eq!(value(at), json!("2026-11-20T00:00:00Z"));
    let (seen, _) = pass(&connector, cursor(&json!("2026-11-19T00:00:00Z")), || {}).await.unwrap();
    assert_eq!(ids(&seen), ["18", "19", "20"]);
    assert!(side.heard().iter().all(|heard| !heard.query.contains_key("from")));
}

#[tokio::test]
async fn a_feed_ends_where_it_comes_to_what_is_known() {
    let side = Answering::with(days).await;
    let mut read = json!({ "path": "/p", "request_parameters": { "desc": 1 },
        "paginator": { "type": "offset", "page_size": 6 },
        "incremental_sync": { "cursor_field": "at", "is_data_feed": true, "lookback_window": "1d" } });
    let (seen, at) = pass(&side.read(&read), Scope::Everything, || {}).await.unwrap();
    assert_eq!(ids(&seen).into_iter().collect::<std::collections::BTreeSet<_>>().len(), 20);
    assert_eq!(value(at), json!("2026-11-20T00:00:00Z"));
    let before = side.heard().len();
    let (seen, at) = pass(&side.read(&read), cursor(&json!("2026-11-19T00:00:00Z")), || {}).await.unwrap();
    assert_eq!((ids(&seen), side.heard().len() - before), (vec!["20".into(), "19".into(), "18".into()], 1));
    assert_eq!(value(at), json!("2026-11-20T00:00:00Z"));
    read["request_parameters"] = json!({});
    let said = pass(&side.read(&read), Scope::Everything, || {}).await.unwrap_err().to_string();
    assert!(said.contains("`is_data_feed` needs the newest first"), "{said}");
}

#[tokio::test]
async fn long_ranges_are_asked_for_in_slices() {
    let side = Answering::with(days).await;
    let read = json!({ "path": "/p", "paginator": { "type": "offset", "page_size": 3 }, "incremental_sync": {
        "type": "DatetimeBasedCursor", "cursor_field": "at", "datetime_format": "%Y-%m-%dT%H:%M:%SZ",
        "start_datetime": "2026-11-03T00:00:00Z", "end_datetime": "2026-11-18T12:00:00Z",
        "start_time_option": { "field_name": "from" }, "end_time_option": { "field_name": "to" },
        "step": "P5D", "cursor_granularity": "PT1S", "lookback_window": "P1D",
    }});
    let connector = side.read(&read);
    let all = |seen: &[hms_sync_connector::Observation]| {
        let mut all: Vec<u32> = ids(seen).iter().map(|id| id.parse().unwrap()).collect();
        all.sort_unstable();
        all.dedup();
        all
    };
    let (seen, at) = pass(&connector, Scope::Everything, || {}).await.unwrap();
    assert_eq!(all(&seen), (3..=18).collect::<Vec<_>>());
    assert_eq!(value(at), json!("2026-11-18T00:00:00Z"));
    let mut ranges: Vec<(String, String)> =
        side.heard().iter().map(|heard| (heard.query["from"].clone(), heard.query["to"].clone())).collect();
    ranges.dedup();
    let ranges: Vec<(&str, &str)> = ranges.iter().map(|(from, to)| (&from[5..], &to[5..])).collect();
    let expected = [
        ("11-03T00:00:00Z", "11-07T23:59:59Z"),
        ("11-08T00:00:00Z", "11-12T23:59:59Z"),
        ("11-13T00:00:00Z", "11-17T23:59:59Z"),
        ("11-18T00:00:00Z", "11-18T12:00:00Z"),
    ];
    assert_eq!(ranges, expected);
    // Each slice that is done need not be read again after a crash.
    let (mut after, mut cursors) = (None, Vec::new());
    loop {
        let scope = cursor(&json!("2026-11-09T00:00:00Z"));
        let page = connector.read(ReadRequest { collection: collection(), scope, after }).await.unwrap();
        assert!(!page.partial, "a poll need not show all");
        cursors.extend(page.cursor.map(|cursor| value(Some(cursor))));
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    assert_eq!(
        cursors,
        [json!("2026-11-12T23:59:59Z"), json!("2026-11-17T23:59:59Z"), json!("2026-11-18T00:00:00Z")]
    );
}

/// People write a day or a time as they are used to; the side hears its own form.
#[tokio::test]
async fn a_beginning_may_be_written_in_any_form() {
    let side = Answering::with(|_| plain(json!([]))).await;
    for (format, given, sent) in [
        ("%d.%m.%Y", "2026-11-15", Some("15.11.2026")),
        ("%d.%m.%Y", "15.11.2026", Some("15.11.2026")),
        ("%Y-%m-%dT%H:%M:%S.%f%z", "2026-11-15T02:00:00+02:00", Some("2026-11-15T00:00:00.000000+0000")),
        ("%s", "2026-11-15", Some("1794700800")),
        ("%ms", "1794700800000", Some("1794700800000")),
        ("%s", "", None),
    ] {
        let sync = json!({ "cursor_field": "at", "datetime_format": format, "start_datetime": given,
            "start_time_option": { "field_name": "from" } });
        let read = side.read(&json!({ "path": "/p", "incremental_sync": sync }));
        let request = ReadRequest { collection: collection(), scope: Scope::Everything, after: None };
        let page = read.read(request).await.unwrap();
        assert_eq!(page.partial, sent.is_some(), "{given}");
        let heard = side.heard().pop().unwrap();
        assert_eq!(heard.query.get("from").map(String::as_str), sent, "{given} as {format}");
    }
}

/// Airbyte's words for times stand in templates as they are.
#[tokio::test]
async fn requests_may_name_days_from_today() {
    let side = Answering::with(|_| plain(json!([]))).await;
    let day = || (chrono::Utc::now() - chrono::TimeDelta::days(30)).format("%Y-%m-%d").to_string();
    let word = "{{ day_delta(-30, format='%Y-%m-%d') }}";
    let read = json!({ "path": "/p", "http_method": "POST", "request_parameters": { "from": word },
        "request_body_json": { "from": word, "both": format!("{word}/") } });
    let before = day();
    pass(&side.read(&read), Scope::Everything, || {}).await.unwrap();
    let heard = side.heard().pop().unwrap();
    let from = &heard.query["from"];
    assert!([before, day()].contains(from), "{from}");
    assert_eq!(heard.body, json!({ "from": from, "both": format!("{from}/") }));
}

/// What lies outside the range is not shown, and not gone.
#[tokio::test]
async fn a_listing_of_a_range_proves_nothing_about_the_rest() {
    let side = Answering::with(days).await;
    let partial = async |sync: Json| {
        let mut sync = sync;
        sync["cursor_field"] = json!("at");
        sync["start_time_option"] = json!({ "field_name": "from" });
        let request = ReadRequest { collection: collection(), scope: Scope::Everything, after: None };
        let page = side.read(&json!({ "path": "/p", "incremental_sync": sync })).read(request).await.unwrap();
        (page.records.len(), page.partial)
    };
    assert_eq!(partial(json!({})).await, (20, false));
    assert_eq!(partial(json!({ "start_datetime": "2026-11-15T00:00:00Z" })).await, (6, true));
    let now = json!({ "end_time_option": { "field_name": "to" }, "end_datetime": "2026-11-02T00:00:00Z" });
    assert_eq!(partial(now).await, (2, true));
}

#[tokio::test]
async fn a_cursor_never_comes_nearer_to_now_than_the_lag() {
    let side = Answering::with(days).await;
    // The side's clock says the 21st.
    for (lag, at) in
        [("12h", "2026-11-20T00:00:00Z"), ("5d", "2026-11-16T00:00:00Z"), ("100d", "2026-11-09T00:00:00Z")]
    {
        let read = json!({ "path": "/p", "incremental_sync": {
            "cursor_field": "at", "start_time_option": { "field_name": "from" }, "safety_lag": lag } });
        let (_, cursor) =
            pass(&side.read(&read), self::cursor(&json!("2026-11-09T00:00:00Z")), || {}).await.unwrap();
        assert_eq!(value(cursor), json!(at), "{lag}");
    }
}

#[tokio::test]
async fn cursors_go_into_headers_and_bodies_in_the_form_asked_for() {
    fn answer(heard: &Heard) -> Said {
        let since = heard
            .header("x-since")
            .map(str::to_owned)
            .or(heard.body["filter"]["since"].as_str().map(str::to_owned));
        plain(json!([{ "id": 1, "at": "23.11.2026 12:00", "since": since }]))
    }
    let side = Answering::with(answer).await;
    for (option, post, format, sent) in [
        (
            json!({ "inject_into": "header", "field_name": "X-Since" }),
            false,
            "%Y-%m-%dT%H:%M:%SZ",
            "2026-11-23T11:00:00Z",
        ),
        (json!({ "inject_into": "body_json", "field_name": "filter.since" }), true, "epoch_s", "1795431600"),
    ] {
        let mut read = json!({ "path": "/p", "incremental_sync": { "cursor_field": "at", "datetime_format": format,
            "cursor_datetime_formats": ["%d.%m.%Y %H:%M"], "start_time_option": option, "lookback_window": "1h" } });
        if post {
            read["http_method"] = json!("POST");
        }
        let (seen, _) = pass(&side.read(&read), cursor(&json!("23.11.2026 12:00")), || {}).await.unwrap();
        let hms_sync_connector::Content::Whole(record) = &seen[0].content else { panic!() };
        assert_eq!(record["since"], json!(sent));
    }
}

#[test]
fn ranges_that_do_not_fit_are_told() {
    let sync = |more: Json| {
        let mut sync = json!({ "cursor_field": "at", "start_time_option": { "field_name": "from" } });
        sync.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        json!({ "read": { "path": "/p", "incremental_sync": sync } })
    };
    let to = json!({ "field_name": "to" });
    for (permits, said) in [
        (sync(json!({ "step": "1d" })), "step`: needs `end_time_option`"),
        (
            sync(json!({ "step": "1d", "end_time_option": to })),
            "step`: needs a time to begin at: `start_datetime`",
        ),
        (
            sync(json!({ "step": "10ms", "end_time_option": to, "start_datetime": "2026-01-01" })),
            "must be 1s at least",
        ),
        (sync(json!({ "end_datetime": "2026-01-01" })), "end_datetime`: needs `end_time_option`"),
        (
            sync(json!({ "start_datetime": "last week" })),
            "start_datetime`: \"last week\" is neither a number nor a time",
        ),
        (
            sync(json!({ "cursor_datetime_formats": ["%Q!"] })),
            "cursor_datetime_formats`: `%Q!` is no strftime pattern",
        ),
        (sync(json!({ "is_data_feed": true, "cursor": "last_run" })), "cursor`: `last_run` is no value"),
        (
            json!({ "read": { "path": "/p", "incremental_sync": { "is_data_feed": true } } }),
            "cursor_field`: is needed",
        ),
    ] {
        let error = try_connector(&json!({ "url": "http://h" }), &permits).unwrap_err();
        assert!(error.contains(said), "{error} does not say {said}");
    }
}

/// A token that a calendar forgot (410), and a page of a listing it forgot: all is listed anew
/// by the same pass, which is a poll and concludes nothing.
#[tokio::test]
async fn a_cursor_that_the_side_forgot_begins_anew() {
    use axum::http::{StatusCode, Uri};
    use std::sync::atomic::{AtomicUsize, Ordering};
    static FORGOTTEN: AtomicUsize = AtomicUsize::new(0);
    async fn calendar(uri: Uri) -> (StatusCode, String) {
        let query = uri.query().unwrap_or_default();
        let forgets = query.contains("after=") && FORGOTTEN.fetch_sub(1, Ordering::SeqCst) > 0;
        if query.contains("since=") || forgets || uri.path() == "/never" {
            return (StatusCode::GONE, json!({ "error": { "reason": "fullSyncRequired" } }).to_string());
        }
        let (from, next) = if query.contains("after=") { (3, Json::Null) } else { (1, json!("p2")) };
        let items: Vec<Json> =
            (from..from + 2).map(|n| json!({ "id": n, "at": format!("2026-11-2{n}T00:00:00Z") })).collect();
        (StatusCode::OK, json!({ "items": items, "next": next }).to_string())
    }
    let url = crate::sides::serve(axum::Router::new().fallback(calendar)).await;
    let of = |path: &str| {
        let read = json!({
            "path": path, "record_selector": { "field_path": "items" },
            "paginator": { "type": "cursor", "cursor_path": "next", "cursor_param": "after" },
            "incremental_sync": { "cursor_field": "at", "start_time_option": { "field_name": "since" } },
            "error_handler": { "response_filters": [
                { "http_codes": [410], "error_message_contains": "fullSyncRequired", "action": "RESET_PAGINATION" } ] },
        });
        try_connector(&json!({ "url": url }), &json!({ "read": read })).unwrap()
    };
    let connector = of("/events");
    FORGOTTEN.store(0, Ordering::SeqCst);
    let (seen, at) = pass(&connector, cursor(&json!("2026-11-29T00:00:00Z")), || {}).await.unwrap();
    assert_eq!(ids(&seen), ["1", "2", "3", "4"]);
    assert_eq!(value(at), json!("2026-11-24T00:00:00Z"), "and not the one that was lost");
    FORGOTTEN.store(1, Ordering::SeqCst);
    let (seen, _) = pass(&connector, Scope::Everything, || {}).await.unwrap();
    assert_eq!(ids(&seen), ["1", "2", "1", "2", "3", "4"]);
    FORGOTTEN.store(100, Ordering::SeqCst);
    let error = pass(&connector, Scope::Everything, || {}).await.unwrap_err().to_string();
    assert!(error.contains("each time it is begun anew"), "{error}");
    let error = pass(&of("/never"), Scope::Everything, || {}).await.unwrap_err();
    assert!(matches!(error, hms_sync_connector::ReadError::Denied { .. }), "{error}");
}

/// A list of what is gone, behind each pass, with a cursor of its own.
#[tokio::test]
async fn what_is_gone_is_listed_behind_the_records() {
    let side = Answering::with(|heard| match heard.path.as_str() {
        "/api/p" => days(heard),
        "/api/gone" => {
            let since = heard.query.get("since").cloned().unwrap_or_default();
            let all = ["2026-11-01T00:00:00Z", "2026-11-09T00:00:00Z"];
            let entry = |(n, at): (usize, &&str)| json!({ "record": 100 + n, "gone_at": at });
            let some = all.iter().enumerate().filter(|(_, at)| **at >= since.as_str()).map(entry);
            plain(Json::Array(some.collect()))
        }
        _ => plain(json!({ "ids": [7, "x"] })),
    })
    .await;
    let mut permits = json!({
        "read": { "path": "/p", "paginator": { "type": "offset", "page_size": 8 },
            "incremental_sync": { "cursor_field": "at", "start_time_option": { "field_name": "from" } } },
        "deletions": { "primary_key": "record", "read": { "path": "/gone",
            "incremental_sync": { "cursor_field": "gone_at", "start_time_option": { "field_name": "since" } } } },
    });
    let spec = json!({ "url": format!("{}/api", side.url) });
    let set_up = |permits: &Json| try_connector(&spec, permits);
    let walk = async |permits: &Json, scope: Scope| {
        let connector = set_up(permits).unwrap();
        let (mut seen, mut gone, mut cursor, mut after) = (0, Vec::new(), None, None);
        loop {
            let request = ReadRequest { collection: collection(), scope: scope.clone(), after };
            let page = connector.read(request).await.unwrap();
            assert!(!page.partial && page.unreadable.is_empty());
            seen += page.records.len();
            gone.extend(page.gone.iter().map(|id| id.as_str().to_owned()));
            cursor = page.cursor.or(cursor);
            after = page.next;
            if after.is_none() {
                return (seen, gone, cursor);
            }
        }
    };
    let (seen, gone, at) = walk(&permits, Scope::Everything).await;
    assert!(seen >= 20 && gone == ["100", "101"], "{seen} {gone:?}");
    let (seen, gone, again) = walk(&permits, Scope::Since(at.clone().unwrap())).await;
    assert_eq!((seen > 0, gone, &again), (true, vec!["101".to_owned()], &at));
    let heard = side.heard();
    assert_eq!(heard.last().unwrap().query["since"], "2026-11-08T23:59:58Z");
    // A cursor from before there was such a list holds for the records.
    let (seen, gone, _) = walk(&permits, cursor(&json!("2026-11-19T00:00:00Z"))).await;
    assert_eq!((seen > 1, gone.len()), (true, 2));
    // Entries that are ids alone, and a list without a cursor.
    permits["deletions"] = json!({ "read": { "path": "/ids" } });
    let (_, gone, _) = walk(&permits, Scope::Since(at.unwrap())).await;
    assert_eq!(gone, ["7", "x"]);
    permits["read"].as_object_mut().unwrap().remove("incremental_sync");
    let error = set_up(&permits).unwrap_err();
    assert!(error.contains("`permit.deletions`") && error.contains("needs `incremental_sync`"), "{error}");
}
