//! Listings that are read by an export: made in the side's own time, fetched file by file, and
//! never taken for whole unless they are.

use crate::sides::{
    Answering, Heard, Said, collection, connector, first, ids, pass, plain, serve, try_connector,
};
use axum::Router;
use axum::http::HeaderMap;
use flate2::{Compression, write::GzEncoder};
use hms_sync_connector::{Connector, Cursor, Page, ReadError, ReadRequest, Scope};
use hms_sync_http::HttpConnector;
use serde_json::{Value as Json, json};
use std::io::Write;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// A listing that is read by an export, with what is other in this one.
fn exported(other: Json) -> Json {
    let mut read = json!({
        "path": "/files/{{ download_target }}",
        "job": {
            "creation_requester": { "path": "/exports", "http_method": "POST", "request_body_json": { "kind": "p" } },
            "polling_requester": { "path": "/exports/{{ creation_response.id }}" },
            "status_extractor": { "field_path": "status" },
            "status_mapping": {
                "running": ["queued", "running"], "completed": ["done"], "failed": ["failed"], "timeout": ["late"],
                "skipped": ["empty"],
            },
            "download_target_extractor": { "field_path": "files" },
            "abort_requester": { "path": "/exports/{{ creation_response.id }}/stop", "http_method": "POST" },
            "delete_requester": { "path": "/exports/{{ creation_response['id'] }}", "http_method": "DELETE" },
            "polling_interval": "10ms",
            "failed_retry_wait": "1ms",
        },
    });
    merge(&mut read, other);
    read
}

fn merge(into: &mut Json, other: Json) {
    match (into, other) {
        (Json::Object(into), Json::Object(other)) => {
            other.into_iter().for_each(|(name, value)| merge(into.entry(name).or_insert(Json::Null), value));
        }
        (into, other) => *into = other,
    }
}

/// The states that an export goes through, each said so often, and what its last answer names.
fn side(
    states: &'static [&'static str],
    files: Json,
    file: fn(&Heard) -> Said,
) -> impl Fn(&Heard) -> Said + Clone {
    let (asked, made) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    move |heard: &Heard| match (heard.method.as_str(), heard.path.as_str()) {
        ("POST", "/api/exports") => {
            asked.store(0, Ordering::SeqCst);
            plain(json!({ "id": made.fetch_add(1, Ordering::SeqCst) + 7 }))
        }
        ("GET", path) if path.starts_with("/api/exports/") => {
            let state = states[asked.fetch_add(1, Ordering::SeqCst).min(states.len() - 1)];
            plain(json!({ "status": state, "files": files, "why": "too much at once" }))
        }
        ("GET", _) => file(heard),
        _ => plain(json!({})),
    }
}

/// What was asked, in short.
fn told(side: &Answering) -> Vec<String> {
    side.heard()
        .iter()
        .map(|heard| format!("{} {}", heard.method, heard.path.trim_start_matches("/api")))
        .collect()
}

fn two_records(heard: &Heard) -> Said {
    let name = heard.path.rsplit('/').next().unwrap();
    plain(json!([{ "id": format!("{name}1") }, { "id": format!("{name}2") }]))
}

/// Reads to the end, or to the first error.
async fn pages(side: &HttpConnector, scope: Scope) -> (Vec<Page>, Option<ReadError>) {
    let (mut pages, mut after) = (Vec::new(), None);
    loop {
        match side
            .read(ReadRequest { collection: collection(), scope: scope.clone(), after: after.take() })
            .await
        {
            Ok(page) => {
                after.clone_from(&page.next);
                pages.push(page);
                if after.is_none() {
                    return (pages, None);
                }
            }
            Err(why) => return (pages, Some(why)),
        }
    }
}

#[tokio::test]
async fn an_export_is_begun_waited_for_read_file_by_file_and_removed() {
    let side = Answering::with(side(&["queued", "running", "done"], json!(["a", "b"]), two_records)).await;
    let (pages, why) = pages(&side.read(&exported(json!({}))), Scope::Everything).await;
    assert!(why.is_none(), "{why:?}");
    let seen: Vec<_> = pages.iter().flat_map(|page| page.records.clone()).collect();
    assert_eq!(ids(&seen), ["a1", "a2", "b1", "b2"]);
    assert_eq!(
        told(&side),
        [
            "POST /exports",
            "GET /exports/7",
            "GET /exports/7",
            "GET /exports/7",
            "GET /files/a",
            "GET /files/b",
            "DELETE /exports/7",
        ]
    );
    assert_eq!(side.heard()[0].body, json!({ "kind": "p" }));
    assert!(pages.iter().all(|page| !page.partial && page.unreadable.is_empty()));
    // Its records are as old as the export, which was waited for two times.
    let aged = pages.iter().filter(|page| !page.records.is_empty());
    assert!(aged.into_iter().all(|page| page.age >= Duration::from_millis(20)));
}

/// The names of files by a request of its own, tables that were packed, and what templates know.
#[tokio::test]
async fn files_may_be_packed_tables_that_another_request_names() {
    fn packed(rows: &str) -> Vec<u8> {
        let mut packer = GzEncoder::new(Vec::new(), Compression::fast());
        packer.write_all(rows.as_bytes()).unwrap();
        packer.finish().unwrap()
    }
    let handle = |request: axum::extract::Request| async move {
        let path = request.uri().path().to_owned();
        let json = |json: Json| json.to_string().into_bytes();
        let mut headers = HeaderMap::new();
        let body = match path.as_str() {
            "/exports" => {
                headers.insert("location", "9".parse().unwrap());
                Vec::new()
            }
            "/exports/9" => json(json!({ "job": { "state": 2 }, "result": "r-1" })),
            "/results/r-1" => {
                json(json!({ "parts": [{ "url": "/parts/1.csv.gz" }, { "url": "/parts/2.csv.gz" }] }))
            }
            "/parts/1.csv.gz" => packed("id;n\n1;a\n2;b\n"),
            "/parts/2.csv.gz" => [packed("id;n\n"), packed("3;c\n")].concat(),
            other => panic!("{other}"),
        };
        (headers, body)
    };
    let url = serve(Router::new().fallback(handle)).await;
    let read = exported(json!({
        "path": "{{ download_target }}",
        "decoder": { "type": "csv", "delimiter": ";" },
        "job": {
            "polling_requester": { "path": "/exports/{{ creation_response.headers['Location'] }}" },
            "status_extractor": { "field_path": ["job", "state"] },
            "status_mapping": { "running": ["1"], "completed": ["2"] },
            "download_target_requester": { "path": "/results/{{ polling_response.result }}" },
            "download_target_extractor": { "field_path": "parts.*.url" },
            "abort_requester": null,
            "delete_requester": null,
        },
    }));
    let side = connector(&json!({ "url": url }), &json!({ "read": read }));
    let (seen, _) = pass(&side, Scope::Everything, || {}).await.unwrap();
    assert_eq!(ids(&seen), ["1", "2", "3"]);
}

#[tokio::test]
async fn an_export_that_fails_or_takes_too_long_is_an_error_that_names_it() {
    for (states, timeout, words, after) in [
        (
            &["running", "failed"][..],
            "1h",
            "at /api/exports/7 failed: it is `failed`",
            &["DELETE /exports/7"][..],
        ),
        (
            &["late"],
            "1h",
            "at /api/exports/7 took the side too long: it is `late`",
            &["POST /exports/7/stop", "DELETE /exports/7"],
        ),
        (
            &["running"],
            "50ms",
            "the export is not done after 50ms (`polling_job_timeout`)",
            &["POST /exports/7/stop", "DELETE /exports/7"],
        ),
        (
            &["odd"],
            "1h",
            "is `odd`, which `status_mapping` does not name",
            &["POST /exports/7/stop", "DELETE /exports/7"],
        ),
    ] {
        let side = Answering::with(side(states, json!(["a"]), two_records)).await;
        let read = side.read(&exported(json!({ "job": { "polling_job_timeout": timeout } })));
        let (pages, why) = pages(&read, Scope::Everything).await;
        let why = why.unwrap();
        assert!(why.is_retryable() && why.to_string().contains(words), "{why}");
        assert!(why.to_string().contains("POST /exports"), "{why}");
        assert!(pages.iter().all(|page| page.records.is_empty() && page.next.is_some()));
        assert!(
            told(&side).ends_with(&after.iter().map(|one| (*one).to_owned()).collect::<Vec<_>>()),
            "{:?}",
            told(&side)
        );
    }
}

/// The next one is not begun at once, and the words of the last are told meanwhile.
#[tokio::test]
async fn after_a_failure_another_is_begun_later() {
    let side = Answering::with(side(&["failed"], json!(["a"]), two_records)).await;
    let read = side.read(&exported(json!({ "job": { "failed_retry_wait": "1h" } })));
    let (_, why) = pages(&read, Scope::Everything).await;
    assert!(
        matches!(why, Some(ReadError::Later { after: Some(after), .. }) if after == Duration::from_hours(1))
    );
    let many = side.heard().len();
    let why = first(&read).await.unwrap_err();
    assert!(matches!(&why, ReadError::Later { after: Some(_), .. }), "{why}");
    assert!(why.to_string().contains("it is `failed`"), "{why}");
    assert_eq!(side.heard().len(), many, "nothing is asked for");
}

/// A pass that goes on where its export failed begins another, and so does one of another process.
#[tokio::test]
async fn what_is_not_remembered_is_begun_anew() {
    let side = Answering::with(side(&["done"], json!(["a", "b"]), two_records)).await;
    let read = exported(json!({}));
    let (before, after) = (side.read(&read), side.read(&read));
    let (mut shown, mut token) = (Vec::new(), None);
    for _ in 0..3 {
        let request = ReadRequest { collection: collection(), scope: Scope::Everything, after: token };
        let page = before.read(request).await.unwrap();
        shown.extend(page.records);
        token = page.next;
    }
    assert_eq!(ids(&shown), ["a1", "a2"], "begun, looked at, and one file is read");
    let request = ReadRequest { collection: collection(), scope: Scope::Everything, after: token };
    let mut page = after.read(request).await.unwrap();
    let mut seen = Vec::new();
    while let Some(token) = page.next {
        let request = ReadRequest { collection: collection(), scope: Scope::Everything, after: Some(token) };
        page = after.read(request).await.unwrap();
        seen.extend(page.records.clone());
    }
    assert_eq!(ids(&seen), ["a1", "a2", "b1", "b2"]);
    let told = told(&side);
    assert!(told.contains(&"GET /exports/8".to_owned()), "{told:?}");
    // Whoever began the first one and begins again has it removed.
    first(&before).await.unwrap();
    assert!(self::told(&side).contains(&"DELETE /exports/7".to_owned()));
}

/// A file that breaks off, or will not do, makes the listing no whole one.
#[tokio::test]
async fn a_file_that_is_not_whole_ends_the_pass() {
    fn cut(heard: &Heard) -> Said {
        if heard.path.ends_with('a') {
            two_records(heard)
        } else {
            (Vec::new(), "[{\"id\": \"b1\"}, {\"id\"".to_owned())
        }
    }
    let side = Answering::with(side(&["done"], json!(["a", "b"]), cut)).await;
    let (pages, why) = pages(&side.read(&exported(json!({}))), Scope::Everything).await;
    assert!(why.as_ref().is_some_and(|why| why.to_string().contains("ends in the middle")), "{why:?}");
    assert!(pages.iter().all(|page| page.next.is_some()));
    assert!(told(&side).ends_with(&["DELETE /exports/7".to_owned()]), "{:?}", told(&side));
}

/// An archive of files in one form each, with what is in them.
fn zipped(files: &[(&str, &str)]) -> Vec<u8> {
    let mut writer = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    for (name, content) in files {
        writer.start_file(*name, zip::write::SimpleFileOptions::default()).unwrap();
        writer.write_all(content.as_bytes()).unwrap();
    }
    writer.finish().unwrap().into_inner()
}

/// A zip file is one page of all the files in it, and each has its own head or its own place of records.
#[tokio::test]
async fn files_may_be_archives_of_several() {
    let csv = zipped(&[("a.csv", "id;n\n1;a\n"), ("sub/b.csv", "n;id\nb;2\nc;3\n")]);
    let json =
        zipped(&[("a.json", r#"{"rows":[{"id":1}],"total":1}"#), ("b.json", r#"{"rows":[{"id":2}]}"#)]);
    for (body, decoder, selector, seen) in [
        (csv.clone(), json!({ "type": "csv", "delimiter": ";" }), json!(null), &["1", "2", "3"][..]),
        (json, json!({ "type": "json" }), json!({ "field_path": "rows" }), &["1", "2"]),
        (zipped(&[]), json!({ "type": "json" }), json!(null), &[]),
    ] {
        let handle = move |request: axum::extract::Request| async move {
            match (request.method().as_str(), request.uri().path()) {
                ("POST", _) => json!({ "id": 7 }).to_string().into_bytes(),
                ("GET", "/exports/7") => {
                    json!({ "status": "done", "files": "a.zip" }).to_string().into_bytes()
                }
                ("GET", "/files/a.zip") => {
                    assert!(request.headers()["accept"].to_str().unwrap().starts_with("application/zip"));
                    body.clone()
                }
                _ => Vec::new(),
            }
        };
        let url = serve(Router::new().fallback(handle)).await;
        let decoder = json!({ "type": "ZipfileDecoder", "decoder": decoder });
        let read = exported(json!({ "decoder": decoder, "record_selector": selector }));
        let side = connector(&json!({ "url": url }), &json!({ "read": read }));
        assert_eq!(ids(&pass(&side, Scope::Everything, || {}).await.unwrap().0), seen);
    }
    // Cut off, it is no listing, and who reads is told of which side's file.
    let half = csv[..csv.len() - 10].to_vec();
    let url = serve(Router::new().fallback(move || async move { half.clone() })).await;
    let read = json!({ "path": "/files/a.zip", "decoder": { "type": "zip" } });
    let why = first(&connector(&json!({ "url": url }), &json!({ "read": read }))).await.unwrap_err();
    let said = "GET /files/a.zip: the answer is a zip file that is cut off or broken";
    assert!(why.is_retryable() && why.to_string().contains(said), "{why}");
    let read = json!({ "path": "/p", "decoder": { "type": "zip", "decoder": { "type": "zip" } } });
    let why = try_connector(&json!({ "url": url }), &json!({ "read": read })).unwrap_err();
    assert!(why.contains("`permit.read.decoder`") && why.contains("archives in archives"), "{why}");
}

#[tokio::test]
async fn packed_files_are_bounded_and_must_be_whole() {
    let zeros = {
        let mut packer = GzEncoder::new(Vec::new(), Compression::best());
        packer.write_all(&vec![b' '; 3 << 20]).unwrap();
        packer.finish().unwrap()
    };
    let half = zeros[..30].to_vec();
    let bomb = zipped(&[("a.json", &" ".repeat(3 << 20))]);
    for (body, decoder, words) in [
        (zeros, "json", "once unpacked (`max_body_bytes`)"),
        (half, "json", "cannot be unpacked"),
        (bomb, "zip", "once unpacked (`max_body_bytes`)"),
    ] {
        let url = serve(Router::new().fallback(move || async move { body.clone() })).await;
        let side = json!({ "url": url, "max_body_bytes": "1MiB" });
        let read = json!({ "path": "/p", "decoder": { "type": decoder } });
        let why = first(&connector(&side, &json!({ "read": read }))).await.unwrap_err().to_string();
        assert!(why.contains(words), "{why}");
    }
}

#[tokio::test]
async fn nothing_to_export_is_an_empty_listing() {
    for (states, files) in [(&["empty"][..], json!(null)), (&["done"], json!([]))] {
        let side = Answering::with(side(states, files, two_records)).await;
        let (pages, why) = pages(&side.read(&exported(json!({}))), Scope::Everything).await;
        assert!(why.is_none(), "{why:?}");
        let last = pages.last().unwrap();
        assert!(last.records.is_empty() && !last.empty_is_meant && !last.partial);
        let read = exported(json!({ "on_empty": "skip" }));
        let (pages, _) = self::pages(&side.read(&read), Scope::Everything).await;
        assert!(pages.last().unwrap().partial);
    }
    let side = Answering::with(side(&["done"], json!(null), two_records)).await;
    let (_, why) = pages(&side.read(&exported(json!({}))), Scope::Everything).await;
    assert!(why.unwrap().to_string().contains("nothing at `files` that names its files"));
}

/// A server of files, and what it was shown.
async fn files() -> (String, Arc<Mutex<Vec<HeaderMap>>>) {
    let shown = Arc::new(Mutex::new(Vec::new()));
    let log = Arc::clone(&shown);
    let handle = move |headers: HeaderMap| async move {
        log.lock().unwrap().push(headers);
        json!([{ "id": "far" }]).to_string()
    };
    (serve(Router::new().fallback(handle)).await, shown)
}

#[tokio::test]
async fn a_file_elsewhere_is_fetched_only_where_the_config_says_so_and_without_our_secret() {
    let (elsewhere, shown) = files().await;
    for (named, fetched) in [(json!([]), false), (json!([format!("{elsewhere}/out")]), true)] {
        let target = format!("{elsewhere}/out/1.json?signature=canary-of-theirs");
        let side = Answering::with(side(&["done"], json!([target]), two_records)).await;
        let read = exported(json!({
            "path": "{{ download_target }}",
            "partition_router": { "type": "list", "values": ["canary"], "partition_field": "of",
                "request_option": { "inject_into": "header", "field_name": "X-Tenant" } },
        }));
        let spec = json!({
            "url": format!("{}/api", side.url), "download_urls": named,
            "authenticator": { "type": "bearer", "api_token": "canary-of-ours" },
            "request_headers": { "X-Tenant": "7" },
        });
        let (pages, why) = pages(&connector(&spec, &json!({ "read": read })), Scope::Everything).await;
        assert_eq!(shown.lock().unwrap().len(), usize::from(fetched));
        if fetched {
            assert_eq!(ids(&pages.last().unwrap().records), ["far"]);
            assert!(why.is_none(), "{why:?}");
            let headers = shown.lock().unwrap()[0].clone();
            assert!(
                headers.get("authorization").is_none() && headers.get("x-tenant").is_none(),
                "{headers:?}"
            );
        } else {
            let why = why.unwrap().to_string();
            assert!(why.contains(&elsewhere) && why.contains("nor named in `download_urls`"), "{why}");
            assert!(!why.contains("canary"), "{why}");
            assert!(told(&side).ends_with(&["DELETE /exports/7".to_owned()]), "{:?}", told(&side));
        }
    }
    // Beside what is named is not below it, and a name of ours is no other way in.
    for target in [
        format!("{elsewhere}/outer/1.json"),
        "http://169.254.169.254/latest".to_owned(),
        "file:///etc/x".to_owned(),
    ] {
        let side = Answering::with(side(&["done"], json!([target]), two_records)).await;
        let read = exported(json!({ "path": "{{ download_target }}" }));
        let spec =
            json!({ "url": format!("{}/api", side.url), "download_urls": [format!("{elsewhere}/out")] });
        let (_, why) = pages(&connector(&spec, &json!({ "read": read })), Scope::Everything).await;
        assert!(why.unwrap().to_string().contains("nor named in `download_urls`"));
    }
    assert_eq!(shown.lock().unwrap().len(), 1);
}

/// What is asked for goes into the request that begins the export, each partition has its own, and
/// the pages of a file go on as those of a listing.
#[tokio::test]
async fn polls_partitions_and_pages_of_exports() {
    fn answer(heard: &Heard) -> Said {
        let region = heard.body.get("region").and_then(Json::as_str);
        // Each request of an export says of which partition it is, where that goes into a header.
        let said = heard.header("x-region").unwrap();
        assert!(region.is_none_or(|region| region == said), "{heard:?}");
        assert!(heard.path == "/api/exports" || heard.path.contains(said), "{heard:?}");
        match (heard.method.as_str(), heard.path.as_str()) {
            ("POST", "/api/exports") => {
                assert_eq!(heard.query.get("since").map(String::as_str), Some("5"), "{heard:?}");
                plain(json!({ "id": region.unwrap() }))
            }
            ("GET", "/api/exports/north") => plain(json!({ "status": "failed" })),
            ("GET", "/api/exports/south") => plain(json!({ "status": "done" })),
            ("GET", path) => {
                assert!(path == "/api/exports/south/rows" && !heard.query.contains_key("since"), "{heard:?}");
                let from = heard.number("offset").unwrap();
                let rows = (from..5.min(from + 2)).map(|n| json!({ "id": n, "seq": n + 10 }));
                plain(json!(rows.collect::<Vec<_>>()))
            }
            _ => plain(json!({})),
        }
    }
    let side = Answering::with(answer).await;
    let read = exported(json!({
        "path": "/exports/{{ creation_response.id }}/rows",
        "paginator": { "type": "offset", "page_size": 2 },
        "partition_router": { "type": "list", "values": ["north", "south"], "partition_field": "region",
            "request_option": { "inject_into": "header", "field_name": "X-Region" } },
        "incremental_sync": { "cursor_field": "seq", "start_time_option": { "field_name": "since" }, "start_value": "5" },
        "job": {
            "creation_requester": { "request_body_json": { "region": "{{ stream_partition.region }}" } },
            "download_target_extractor": null,
        },
    }));
    let read = side.read(&read);
    let (mut seen, mut unread, mut cursor, mut after) = (Vec::new(), Vec::new(), None::<Cursor>, None);
    for _ in 0..40 {
        let request =
            ReadRequest { collection: collection(), scope: Scope::Everything, after: after.clone() };
        match read.read(request).await {
            Ok(page) => {
                seen.extend(page.records);
                unread.extend(page.unreadable);
                cursor = page.cursor.or(cursor);
                after = page.next;
                if after.is_none() {
                    break;
                }
            }
            // The side is asked again for one that it fails at.
            Err(why) => assert!(why.to_string().contains("it is `failed`"), "{why}"),
        }
    }
    assert_eq!(after, None);
    let mut seen = ids(&seen);
    seen.dedup();
    assert_eq!(seen.first().map(String::as_str), Some("0"));
    assert!(["0", "1", "2", "3", "4"].iter().all(|id| seen.iter().any(|seen| seen == id)), "{seen:?}");
    assert!(unread.len() == 1 && unread[0].contains("/api/exports/north failed"), "{unread:?}");
    assert!(cursor.is_some());
}

#[tokio::test]
async fn a_check_begins_no_export() {
    let side = Answering::with(side(&["done"], json!(["a"]), two_records)).await;
    let said = side.read(&exported(json!({}))).check(&collection()).await.unwrap();
    assert!(said.contains("not for a check"), "{said}");
    assert_eq!(told(&side), [] as [String; 0]);
}

#[test]
fn mistakes_are_told() {
    for (other, said) in [
        (json!({ "path": "/files" }), "read.path`: does not say which file"),
        (
            json!({ "job": { "download_target_extractor": null } }),
            "read.job.download_target_extractor`: is needed",
        ),
        (json!({ "job": { "polling_interval": "6m" } }), "read.job.polling_interval`: is 5m at most"),
        (json!({ "job": { "polling_job_timeout": "0s" } }), "read.job.polling_job_timeout`: must be longer"),
        (json!({ "job": { "status_mapping": { "failed": ["done"] } } }), "`done` cannot mean two things"),
        (json!({ "job": { "status_mapping": { "completed": [] } } }), "it would never end"),
        (
            json!({ "job": { "polling_requester": { "path": "/x/{{ download_target }}" } } }),
            "names `download_target`",
        ),
        (json!({ "path": "{{ download_target }}", "paginator": { "type": "offset" } }), "asked for as it is"),
        (
            json!({ "path": "{{ download_target }}", "request_parameters": { "a": "b" } }),
            "asked for as it is",
        ),
    ] {
        let side = json!({ "url": "http://h.example" });
        let why = try_connector(&side, &json!({ "read": exported(other) })).unwrap_err();
        assert!(why.contains(said), "{why}");
    }
    let side = json!({
        "url": "https://h.example", "download_urls": ["http://169.254.169.254/x"],
    });
    assert!(try_connector(&side, &json!({})).unwrap_err().contains("download_urls"));
}
