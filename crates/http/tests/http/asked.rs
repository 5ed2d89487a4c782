//! Listings that are asked for by a body: where a paginator's, a poll's and a partition's
//! values go in JSON and in a form, and of which type they are there.

use crate::sides::{Answering, Heard, Said, ids, pass, plain, shelf, try_connector};
use hms_sync_connector::{Cursor, Scope};
use serde_json::{Value as Json, json};
use std::collections::{BTreeSet, HashMap};

const ALL: usize = 25;

fn cursor(value: &Json) -> Scope {
    Scope::Since(Cursor(json!({ "value": value }).to_string()))
}

/// What a form says.
fn form(heard: &Heard) -> HashMap<String, String> {
    url::form_urlencoded::parse(heard.text.as_bytes()).into_owned().collect()
}

/// A number at `page.<name>`: a number in JSON, its digits in a form.
fn number(heard: &Heard, name: &str) -> Option<usize> {
    if heard.body.is_object() {
        let value = heard.body.pointer(&format!("/page/{name}"))?;
        return Some(usize::try_from(value.as_u64().expect("a number in JSON")).unwrap());
    }
    form(heard).get(&format!("page[{name}]")).map(|text| text.parse().unwrap())
}

/// Ten records a page, or as many as are wanted.
fn answer(heard: &Heard) -> Said {
    assert!(heard.query.is_empty(), "all of it is in the body: {heard:?}");
    let size = number(heard, "size").unwrap_or(10);
    let from = number(heard, "skip").or(number(heard, "number").map(|page| (page - 1) * size));
    let from = from.or(number(heard, "after")).unwrap_or(0);
    let next = (from + size < ALL).then_some(from + size);
    plain(json!({ "items": shelf(from, size, ALL), "next": next }))
}

#[tokio::test]
async fn pages_are_asked_for_in_json_and_in_a_form() {
    let at = |into: &str, name: &str| json!({ "inject_into": into, "field_path": ["page", name] });
    for into in ["body_json", "body_data"] {
        let size = at(into, "size");
        for (paginator, first) in [
            (json!({ "type": "OffsetIncrement", "page_token_option": at(into, "skip") }), Some("skip")),
            (json!({ "type": "PageIncrement", "page_token_option": at(into, "number") }), Some("number")),
            (
                json!({ "type": "cursor", "cursor_path": "next", "page_token_option": at(into, "after") }),
                None,
            ),
            (
                json!({ "type": "cursor", "cursor_value": "last_record.id + 1", "stop_condition": "not response.next",
                    "page_token_option": at(into, "after") }),
                None,
            ),
        ] {
            let mut paginator = paginator;
            paginator["page_size"] = json!(7);
            paginator["page_size_option"] = size.clone();
            let side = Answering::with(answer).await;
            let read = json!({ "path": "/p", "http_method": "POST", "paginator": paginator });
            let (seen, _) = pass(&side.read(&read), Scope::Everything, || {}).await.unwrap();
            let seen: BTreeSet<String> = ids(&seen).into_iter().collect();
            assert_eq!(seen.len(), ALL, "{paginator}");
            let heard = side.heard();
            assert!(heard.iter().all(|heard| number(heard, "size") == Some(7)), "{paginator}");
            assert_eq!(first.is_some(), first.is_some_and(|name| number(&heard[0], name).is_some()));
            let kind =
                if into == "body_json" { "application/json" } else { "application/x-www-form-urlencoded" };
            assert!(heard.iter().all(|heard| heard.header("content-type") == Some(kind)), "{paginator}");
        }
    }
}

/// What stands in the body already stays there, and a token is of the type it came in.
#[tokio::test]
async fn values_are_put_beside_what_the_body_says() {
    fn answer(heard: &Heard) -> Said {
        let next = match heard.body["page"].get("after") {
            None => json!("7"),
            Some(Json::String(text)) if text == "7" => json!(8),
            Some(other) => {
                assert_eq!(other, &json!(8));
                Json::Null
            }
        };
        plain(json!({ "items": [], "next": next }))
    }
    let side = Answering::with(answer).await;
    let read = json!({ "path": "/p", "http_method": "POST", "request_body_json": { "page": { "sort": "id" }, "of": 1 },
        "paginator": { "type": "cursor", "cursor_path": "next",
            "page_token_option": { "inject_into": "body_json", "field_name": "page.after" } } });
    pass(&side.read(&read), Scope::Everything, || {}).await.unwrap();
    let heard: Vec<Json> = side.heard().into_iter().map(|heard| heard.body).collect();
    let body = |page: Json| json!({ "page": page, "of": 1 });
    assert_eq!(
        heard,
        [
            body(json!({ "sort": "id" })),
            body(json!({ "sort": "id", "after": "7" })),
            body(json!({ "sort": "id", "after": 8 })),
        ]
    );
}

/// An address for the next page brings its own parameters, and no body.
#[tokio::test]
async fn a_body_goes_with_an_address_as_well() {
    fn answer(heard: &Heard) -> Said {
        assert_eq!(heard.body, json!({ "page": { "size": 10 } }));
        let from = heard.number("from").unwrap_or(0);
        let next = (from + 10 < ALL).then(|| format!("?from={}", from + 10));
        plain(json!({ "items": shelf(from, 10, ALL), "next": next }))
    }
    let side = Answering::with(answer).await;
    let read = json!({ "path": "/p", "http_method": "POST", "paginator": { "type": "next_url", "page_size": 10,
        "page_size_option": { "inject_into": "body_json", "field_path": ["page", "size"] } } });
    let (seen, _) = pass(&side.read(&read), Scope::Everything, || {}).await.unwrap();
    assert_eq!((ids(&seen).len(), side.heard().len()), (ALL, 3));
}

#[tokio::test]
async fn a_form_is_filled_in_as_json_is() {
    let side = Answering::with(|_: &Heard| plain(json!([]))).await;
    let read = json!({ "path": "/p", "http_method": "POST",
        "request_body_data": { "q": "a b&c", "n": 5, "since": "{{ cursor }}", "of": { "kind": ["x", "y"] } },
        "incremental_sync": { "cursor_field": "at", "datetime_format": "%Y-%m-%d",
            "end_time_option": { "inject_into": "body_data", "field_name": "until" }, "end_datetime": "2026-02-01" } });
    pass(&side.read(&read), Scope::Everything, || {}).await.unwrap();
    assert_eq!(
        side.heard()[0].text,
        "n=5&of%5Bkind%5D=x&of%5Bkind%5D=y&q=a+b%26c&until=2026-02-01",
        "an empty cursor is left out"
    );
}

/// A count is a number in JSON; a time whose form is named is text, as Airbyte sends it.
#[tokio::test]
async fn ends_of_a_poll_go_into_the_body() {
    let option = |into: &str, name: &str| json!({ "inject_into": into, "field_path": ["range", name] });
    for (into, format, start, from, sent) in [
        ("body_json", None, "0", json!(41), json!({ "range": { "from": 41 } })),
        (
            "body_json",
            Some("epoch_s"),
            "0",
            json!(1_795_431_600),
            json!({ "range": { "from": "1795431600", "to": "1795500000" } }),
        ),
        (
            "body_json",
            None,
            "2026-01-01T00:00:00Z",
            json!("2026-11-23T11:00:00Z"),
            json!({ "range": { "from": "2026-11-23T11:00:00Z" } }),
        ),
        (
            "body_data",
            Some("epoch_s"),
            "0",
            json!(1_795_431_600),
            json!("range%5Bfrom%5D=1795431600&range%5Bto%5D=1795500000"),
        ),
        ("body_data", None, "0", json!(41), json!("range%5Bfrom%5D=41")),
    ] {
        let side = Answering::with(|_: &Heard| plain(json!([]))).await;
        let mut sync = json!({ "cursor_field": "at", "start_time_option": option(into, "from"),
            "start_datetime": start, "lookback_window": "0s" });
        if let Some(format) = format {
            sync["datetime_format"] = json!(format);
            sync["end_time_option"] = option(into, "to");
            sync["end_datetime"] = json!("1795500000");
        }
        let read = json!({ "path": "/p", "http_method": "POST", "incremental_sync": sync });
        pass(&side.read(&read), cursor(&from), || {}).await.unwrap();
        let heard = side.heard().remove(0);
        let came = if into == "body_json" { heard.body } else { json!(heard.text) };
        assert_eq!(came, sent, "{read}");
    }
}

#[tokio::test]
async fn partitions_go_into_the_body_as_they_are_written() {
    fn answer(heard: &Heard) -> Said {
        let text = if heard.body.is_object() { heard.body["of"].to_string() } else { heard.text.clone() };
        plain(json!([{ "id": text }]))
    }
    for (into, values, sent) in [
        ("body_json", json!([7, "8"]), ["7", "\"8\""]),
        ("body_data", json!([7, "8"]), ["of=7", "of=8"]),
        // As a variable of the environment has them.
        ("body_json", json!("a b, ,c,"), ["\"a b\"", "\"c\""]),
    ] {
        let side = Answering::with(answer).await;
        let read = json!({ "path": "/p", "http_method": "POST", "partition_router": { "type": "list", "values": values,
            "cursor_field": "of", "request_option": { "inject_into": into, "field_name": "of" } } });
        let (seen, _) = pass(&side.read(&read), Scope::Everything, || {}).await.unwrap();
        assert_eq!(ids(&seen), sent, "{read}");
    }
}

#[test]
fn bodies_that_do_not_fit_are_told() {
    let at = |into: &str, name: &str| json!({ "inject_into": into, "field_name": name });
    let offset = |token: Json| json!({ "paginator": { "type": "offset", "page_token_option": token } });
    let both = json!({ "paginator": { "type": "offset", "page_token_option": at("body_json", "a"),
        "page_size_option": at("body_data", "b") } });
    for (read, method, said) in [
        (
            offset(at("body_json", "a")),
            "GET",
            "page_token_option.inject_into`: a body needs `http_method: POST`",
        ),
        (
            offset(at("body_data", "a")),
            "GET",
            "page_token_option.inject_into`: a body needs `http_method: POST`",
        ),
        (both, "POST", "`permit.read`: puts values into JSON (`body_json`) and into a form (`body_data`)"),
        (
            json!({ "request_body_json": {}, "paginator": { "type": "page", "page_size_option": at("body_data", "a") } }),
            "POST",
            "page_size_option.inject_into`: a request has one body, and `request_body_json` makes it JSON",
        ),
        (
            json!({ "request_body_data": {}, "paginator": { "type": "page", "page_size_option": at("body_json", "a") } }),
            "POST",
            "a request has one body, and `request_body_data` makes it a form: `inject_into: body_data`",
        ),
        (
            json!({ "request_body_text": "x", "paginator": { "type": "page", "page_size_option": at("body_json", "a") } }),
            "POST",
            "`request_body_text` is all of it: name the value in a template there",
        ),
        (
            json!({ "paginator": { "type": "offset", "offset_param": "o", "page_token_option": { "field_name": "a" } } }),
            "GET",
            "`permit.read.paginator`: has both `offset_param` and `page_token_option`; one is enough",
        ),
        (
            json!({ "paginator": { "type": "page", "page_size_param": "", "page_size_option": { "field_name": "a" } } }),
            "GET",
            "has both `page_size_param` and `page_size_option`; one is enough",
        ),
        (json!({ "request_body_data": [] }), "POST", "request_body_data`: must be a map of names and values"),
        (json!({ "request_body_data": {} }), "GET", "request_body_data`: needs `http_method: POST`"),
        (
            json!({ "request_body_data": {}, "request_body_json": {} }),
            "POST",
            "request_body_data`: does not go with `request_body_json`: a request has one body",
        ),
        (
            json!({ "partition_router": { "type": "list", "values": " , ", "partition_field": "a", "request_option": { "field_name": "a" } } }),
            "GET",
            "values`: has 0 values",
        ),
    ] {
        let mut read = read;
        read["path"] = json!("/p");
        read["http_method"] = json!(method);
        let error = try_connector(&json!({ "url": "http://h" }), &json!({ "read": read })).unwrap_err();
        assert!(error.contains(said), "{error} does not say {said}");
    }
}
