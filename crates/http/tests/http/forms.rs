//! Records in other forms than JSON, places with several lists, records that are passed
//! over, and records that say that they are gone.

use crate::sides::{Answering, Heard, Said, collection, id, ids, pass, plain, try_connector};
use hms_sync_connector::{Connector, Content, ReadError, ReadRequest, Scope};
use serde_json::{Value as Json, json};

async fn read(side: &Answering, read: &Json) -> Result<Vec<Json>, String> {
    let (seen, _) = pass(&side.read(read), Scope::Everything, || {}).await.map_err(|e| e.to_string())?;
    let whole = |content| if let Content::Whole(record) = content { record } else { panic!("{content:?}") };
    Ok(seen.into_iter().map(|seen| whole(seen.content)).collect())
}

#[tokio::test]
async fn every_form_brings_the_same_records() {
    fn answer(heard: &Heard) -> Said {
        let body = match heard.path.as_str() {
            "/api/jsonl" => "{\"id\":\"1\",\"n\":\"a\"}\n{\"id\":\"2\",\"n\":\"b\"}\n",
            "/api/csv" => "id;n\r\n1;a\r\n2;b\r\n",
            "/api/xml" => "<?xml version=\"1.0\"?><r><p><id>1</id><n>a</n></p><p><id>2</id><n>b</n></p></r>",
            _ => "<r><p><id>1</id><n>a</n></p></r>",
        };
        (Vec::new(), body.to_owned())
    }
    let side = Answering::with(answer).await;
    let both = [json!({ "id": "1", "n": "a" }), json!({ "id": "2", "n": "b" })];
    let selector = json!({ "field_path": "r.p" });
    for (path, decoder, selector, accept, many) in [
        ("/jsonl", json!({ "type": "JsonlDecoder" }), Json::Null, "application/x-ndjson", 2),
        ("/csv", json!({ "type": "CsvDecoder", "delimiter": ";" }), Json::Null, "text/csv", 2),
        ("/xml", json!({ "type": "XmlDecoder" }), selector.clone(), "application/xml", 2),
        ("/xml/one", json!({ "type": "xml" }), selector, "application/xml", 1),
    ] {
        let spec = json!({ "path": path, "decoder": decoder, "record_selector": selector });
        assert_eq!(read(&side, &spec).await.as_deref(), Ok(&both[..many]), "{spec}");
        let heard = side.heard().pop().unwrap();
        assert!(heard.header("accept").unwrap().starts_with(accept), "{heard:?}");
    }
}

/// What a text is sent as that is all of a body, by what it is once it is filled in.
#[tokio::test]
async fn a_text_is_sent_as_what_it_is() {
    let side = Answering::with(|_| plain(json!([{ "id": "1" }]))).await;
    for (text, kind) in [
        ("<find/>", "application/xml; charset=utf-8"),
        ("{{ '  <find/>' }}", "application/xml; charset=utf-8"),
        ("{ \"from\": \"{{ cursor }}\" }", "application/json"),
        ("[]", "application/json"),
        ("{ permits { id } }", "text/plain; charset=utf-8"),
        ("{\"from\": }", "text/plain; charset=utf-8"),
        ("fields id; limit 5;", "text/plain; charset=utf-8"),
        ("{{ '' }}", "text/plain; charset=utf-8"),
    ] {
        let spec = json!({ "path": "/p", "http_method": "POST", "request_body_text": text });
        assert_eq!(read(&side, &spec).await.unwrap(), [json!({ "id": "1" })]);
        assert_eq!(side.heard().pop().unwrap().header("content-type"), Some(kind), "{text}");
        let mut said = spec;
        said["request_headers"] = json!({ "Content-Type": "application/graphql" });
        read(&side, &said).await.unwrap();
        assert_eq!(side.heard().pop().unwrap().header("content-type"), Some("application/graphql"));
    }
}

/// As calendars and address books are asked: by methods of their own, with XML.
#[tokio::test]
async fn listings_are_asked_for_by_the_methods_of_webdav() {
    let side = Answering::with(|_| (Vec::new(), "<r><p><id>1</id></p></r>".to_owned())).await;
    for (method, text, sent) in [
        (
            "PROPFIND",
            "<propfind xmlns='DAV:'><allprop/></propfind>",
            "<propfind xmlns='DAV:'><allprop/></propfind>",
        ),
        ("REPORT", "<since>{{ cursor }}</since>", "<since></since>"),
        ("POST", "permits since ever", "permits since ever"),
    ] {
        let spec = json!({ "path": "/p", "http_method": method, "request_body_text": text,
            "request_headers": { "Content-Type": "application/xml", "Depth": "1" },
            "decoder": { "type": "xml" }, "record_selector": { "field_path": "r.p" } });
        assert_eq!(read(&side, &spec).await.unwrap(), [json!({ "id": "1" })]);
        let heard = side.heard().pop().unwrap();
        assert_eq!((heard.method.as_str(), heard.text.as_str()), (method, sent));
        assert_eq!(
            (heard.header("content-type"), heard.header("depth")),
            (Some("application/xml"), Some("1"))
        );
    }
    for (spec, told) in [
        (
            json!({ "request_body_text": "x" }),
            "`permit.read.request_body_text`: needs another `http_method` than GET",
        ),
        (
            json!({ "http_method": "POST", "request_body_text": "x", "request_body_json": {} }),
            "a request has one body",
        ),
        (json!({ "http_method": "REPORT", "request_body_text": "{{ id }}" }), "the template names `id`"),
        (json!({ "http_method": "MKCOL" }), "unknown variant `MKCOL`"),
    ] {
        let mut read = json!({ "path": "/p" });
        read.as_object_mut().unwrap().extend(spec.as_object().unwrap().clone());
        let why = try_connector(&json!({ "url": side.url }), &json!({ "read": read })).unwrap_err();
        assert!(why.contains(told), "{why}");
    }
}

#[tokio::test]
async fn another_form_than_configured_is_told_with_its_place() {
    fn answer(heard: &Heard) -> Said {
        (Vec::new(), heard.query["body"].clone())
    }
    let side = Answering::with(answer).await;
    for (kind, body, said) in [
        ("json", "id,n\n1,a\n", "the answer is not JSON"),
        ("jsonl", "{\"id\":1}\n{\"id\":", "line 2 of the answer ends in the middle"),
        ("csv", "id,n\n1,a\n2\n", "line 3 of the CSV has 1 values, its head 2"),
        ("csv", "<html><body>Maintenance", "HTML or XML instead of CSV"),
        ("xml", "{\"id\":1}", "the answer is not XML"),
        ("xml", "<r><p>", "ends in the middle"),
    ] {
        let spec =
            json!({ "path": "/p", "decoder": { "type": kind }, "request_parameters": { "body": body } });
        let error = read(&side, &spec).await.unwrap_err();
        assert!(error.starts_with("GET /p: ") && error.contains(said), "{error} does not say {said}");
    }
}

#[tokio::test]
async fn nested_lists_are_one() {
    let body =
        json!({ "years": [{ "permits": [{ "id": 1 }] }, {}, { "permits": [{ "id": 2 }, { "id": 3 }] }] });
    let side = Answering::with(move |_: &Heard| plain(body.clone())).await;
    let spec = json!({ "path": "/p", "record_selector": { "field_path": ["years", "*", "permits"] } });
    assert_eq!(read(&side, &spec).await.unwrap().len(), 3);
    let wrong = json!({ "path": "/p", "record_selector": { "field_path": "years.*.permit" } });
    assert!(read(&side, &wrong).await.unwrap_err().contains("nothing at `years.*.permit`"));
}

#[tokio::test]
async fn what_a_filter_leaves_out_is_passed_over_and_not_gone() {
    let items = json!([{ "id": 1, "s": "open" }, { "id": 2, "s": "draft" }, { "id": 3, "s": "open" }, { "s": "sum" }]);
    let side = Answering::with(move |_: &Heard| plain(items.clone())).await;
    let spec = json!({ "path": "/p", "record_selector": { "record_filter": { "condition": "{{ record.s == 'open' }}" } } });
    let request = ReadRequest { collection: collection(), scope: Scope::Everything, after: None };
    let page = side.read(&spec).read(request.clone()).await.unwrap();
    assert_eq!(ids(&page.records), ["1", "3"]);
    assert_eq!((page.passed_over, page.unreadable.len(), page.partial), (vec![id("2")], 0, false));
    // What cannot be told is told, and makes the listing incomplete.
    let bad =
        json!({ "path": "/p", "record_selector": { "record_filter": { "condition": "record.s + 1 > 0" } } });
    let page = side.read(&bad).read(request).await.unwrap();
    assert_eq!((page.records.len(), page.unreadable.len()), (0, 4));
    assert!(
        page.unreadable[0].contains("record 1 of the page cannot be told by `record_filter`"),
        "{page:?}"
    );
}

#[tokio::test]
async fn records_say_that_they_are_gone() {
    fn answer(heard: &Heard) -> Said {
        let all = json!([{ "id": 1, "deleted_at": null }, { "id": 2, "deleted_at": "2026-11-23" }]);
        plain(if heard.path.ends_with("/2") { all[1].clone() } else { all })
    }
    let side = Answering::with(answer).await;
    for deleted_when in [json!({ "field": "deleted_at" }), json!("{{ record.deleted_at is not none }}")] {
        let permits = json!({ "deleted_when": deleted_when, "read": { "path": "/p" }, "fetch": { "path": "/p/{{ id }}" } });
        let connector = try_connector(&json!({ "url": format!("{}/api", side.url) }), &permits).unwrap();
        let (seen, _) = pass(&connector, Scope::Everything, || {}).await.unwrap();
        let gone: Vec<bool> = seen.iter().map(|seen| seen.content == Content::Gone).collect();
        assert_eq!(gone, [false, true]);
        assert_eq!(connector.fetch(collection(), id("2")).await.unwrap().content, Content::Gone);
    }
}

#[tokio::test]
async fn an_empty_listing_is_worth_what_is_configured() {
    let side = Answering::with(|heard: &Heard| {
        let from = heard.number("offset").unwrap();
        plain(json!(crate::sides::shelf(from, 2, heard.number("all").unwrap())))
    })
    .await;
    for (on_empty, all, partial, meant) in [
        ("hold", 0, false, false),
        ("skip", 0, true, false),
        ("sync", 0, false, true),
        ("skip", 3, false, false),
        ("sync", 3, false, false),
    ] {
        let spec = json!({ "path": "/p", "on_empty": on_empty, "request_parameters": { "all": all },
            "paginator": { "type": "offset", "page_size": 2 } });
        let connector = side.read(&spec);
        let (mut after, mut found) = (None, (false, false));
        loop {
            let request = ReadRequest { collection: collection(), scope: Scope::Everything, after };
            let page = connector.read(request).await.unwrap();
            found = (found.0 || page.partial, found.1 || page.empty_is_meant);
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        assert_eq!(found, (partial, meant), "{on_empty} of {all}");
    }
}

#[test]
fn what_does_not_fit_is_told() {
    let filter = json!({ "record_filter": { "condition": "record.a" } });
    for (permits, said) in [
        (
            json!({ "fetch": { "path": "/{{ id }}", "record_selector": filter } }),
            "permit.fetch.record_selector.record_filter`: only a listing",
        ),
        (
            json!({ "webhook": { "path": "/h", "unsigned": true, "record_selector": filter } }),
            "only a listing can be filtered",
        ),
        (
            json!({ "lookup": { "path": "/p", "record_selector": { "transform_before_filtering": true } } }),
            "permit.lookup.record_selector.transform_before_filtering`: only a listing",
        ),
        (
            json!({ "read": { "path": "/p", "record_selector": { "transform_before_filtering": true } } }),
            "permit.read.record_selector.transform_before_filtering`: needs a `record_filter`",
        ),
        (
            json!({ "read": { "path": "/p", "record_selector": { "record_filter": { "condition": "recrd.a" } } } }),
            "condition`: the expression names `recrd`",
        ),
        (
            json!({ "read": { "path": "/p", "decoder": { "type": "csv", "delimiter": "ü" } } }),
            "permit.read.decoder`: `delimiter`",
        ),
        (json!({ "deleted_when": { "field": "" } }), "permit.deleted_when`: `field` names no field"),
        (json!({ "deleted_when": 5 }), "an expression, or a map of `field`"),
    ] {
        let error = try_connector(&json!({ "url": "http://h" }), &permits).unwrap_err();
        assert!(error.contains(said), "{error} does not say {said}");
    }
}

#[tokio::test]
async fn a_form_that_is_broken_makes_no_empty_listing() {
    let side = Answering::with(|_: &Heard| (Vec::new(), "<r><error>no</error></r>".to_owned())).await;
    let spec = json!({ "path": "/p", "decoder": { "type": "xml" }, "record_selector": { "field_path": "r.items.p" } });
    let connector = side.read(&spec);
    let request = ReadRequest { collection: collection(), scope: Scope::Everything, after: None };
    let error = connector.read(request).await.unwrap_err();
    assert!(
        matches!(&error, ReadError::Broken { reason } if reason.contains("nothing at `r.items.p`")),
        "{error}"
    );
}

/// In each form that nests, the last level is read, and what is deeper is told with its place.
#[tokio::test]
async fn an_answer_may_nest_so_deep_and_no_deeper() {
    fn answer(heard: &Heard) -> Said {
        let (form, depth) = heard.path.trim_start_matches("/api/").split_once('/').unwrap();
        let depth: usize = depth.parse().unwrap();
        let record = |levels: usize| {
            format!("{{\"id\":\"1\",\"a\":{}{}}}", "[".repeat(levels - 1), "]".repeat(levels - 1))
        };
        let body = match form {
            "json" => format!("[{}]", record(depth - 1)),
            "jsonl" => format!("{{\"id\":\"0\"}}\n{}\n", record(depth)),
            "xml" => format!("<r><id>1</id>{}{}</r>", "<a>".repeat(depth - 1), "</a>".repeat(depth - 1)),
            other => panic!("{other}"),
        };
        (Vec::new(), body)
    }
    let side = Answering::with(answer).await;
    for (form, selector, told) in [
        ("json", Json::Null, "GET /json/65: the answer nests deeper than 64 levels at byte 77: "),
        ("jsonl", Json::Null, "GET /jsonl/65: line 2 of the answer nests deeper than 64 levels at byte 77: "),
        (
            "xml",
            json!({ "field_path": "r" }),
            "GET /xml/65: the answer nests deeper than 64 levels at byte 202, in `a`",
        ),
    ] {
        let spec = |depth: usize| {
            let path = format!("/{form}/{depth}");
            json!({ "path": path, "decoder": { "type": form }, "record_selector": selector })
        };
        let sound = read(&side, &spec(64)).await.unwrap();
        assert_eq!(sound.last().unwrap()["id"], "1", "{form}");
        let why = read(&side, &spec(65)).await.unwrap_err();
        assert!(why.contains(told), "{why} does not say {told}");
    }
}
