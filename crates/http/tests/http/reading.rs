//! Reading: every kind of bad answer is the right error, and no record is missed.

use crate::sides::{collection, connector, first, id, ids, of, pass, permits, serve, side, try_connector};
use axum::Router;
use axum::extract::{Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::IntoResponse;
use axum::routing::get;
use hms_sync_connector::{Connector, Content, LookupRequest, ReadError, ReadRequest, Scope};
use hms_sync_doubles::{BadAnswer, Double, Down, Faults, Kind};
use serde_json::{Value as Json, json};
use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

async fn answer(clerk: &Double, answer: BadAnswer) -> Result<hms_sync_connector::Page, ReadError> {
    clerk.set_faults(Faults { answer: Some(answer), ..Faults::default() });
    first(&of(clerk)).await
}

fn broken(result: Result<hms_sync_connector::Page, ReadError>) -> String {
    match result {
        Err(ReadError::Broken { reason }) => reason,
        other => panic!("not broken: {other:?}"),
    }
}

#[tokio::test]
async fn bad_answers_are_told_apart() {
    let clerk = Double::clerk().await.unwrap();
    clerk.seed_records(1, 30);
    let html = broken(answer(&clerk, BadAnswer::Html).await);
    assert_eq!(
        html,
        "GET /permits: the answer is HTML instead of JSON: <html><body>Under maintenance</body></html>"
    );
    assert!(broken(answer(&clerk, BadAnswer::Truncated).await).contains("ends in the middle"));
    assert!(broken(answer(&clerk, BadAnswer::Deep(10_000)).await).contains("nests deeper"));
    let elsewhere = BadAnswer::Redirect("http://169.254.169.254/x".to_owned());
    assert!(broken(answer(&clerk, elsewhere).await).contains("points to http://169.254.169.254/x"));
    for (status, kind) in
        [(401, "denied"), (403, "denied"), (404, "denied"), (500, "later"), (502, "later"), (408, "later")]
    {
        let error = answer(&clerk, BadAnswer::Status(status)).await.unwrap_err();
        let found = match error {
            ReadError::Denied { .. } => "denied",
            ReadError::Later { .. } => "later",
            ReadError::Broken { .. } => "broken",
        };
        assert_eq!(found, kind, "{status}");
    }
}

#[tokio::test]
async fn what_is_sound_in_a_page_is_taken() {
    let clerk = Double::clerk().await.unwrap();
    clerk.seed_records(1, 30);
    let page = answer(&clerk, BadAnswer::WithoutId).await.unwrap();
    assert_eq!((page.records.len(), page.unreadable.len()), (19, 1));
    assert_eq!(page.unreadable[0], "GET /permits: record 1 of the page has no id at `id`");
    let page = answer(&clerk, BadAnswer::DuplicateIds).await.unwrap();
    assert_eq!((page.records.len(), page.unreadable.len()), (20, 0));
}

#[tokio::test]
async fn a_listing_that_never_ends_ends() {
    let clerk = Double::clerk().await.unwrap();
    clerk.seed_records(1, 30);
    clerk.set_faults(Faults { answer: Some(BadAnswer::Endless), ..Faults::default() });
    for scope in [Scope::Everything, Scope::Since(cursor_of(&clerk).await)] {
        let error = pass(&of(&clerk), scope, || {}).await.unwrap_err();
        assert!(error.to_string().contains("the same page comes again"), "{error}");
    }
    assert!(clerk.counts().requests < 30);
}

async fn cursor_of(double: &Double) -> hms_sync_connector::Cursor {
    double.set_faults(Faults::default());
    let cursor = pass(&of(double), Scope::Everything, || {}).await.unwrap().1.unwrap();
    double.set_faults(Faults { answer: Some(BadAnswer::Endless), ..Faults::default() });
    cursor
}

/// A listing goes on only in the pages it began with.
#[tokio::test]
async fn a_page_of_other_settings_is_refused() {
    let clerk = Double::clerk().await.unwrap();
    clerk.seed_records(1, 30);
    let after = first(&of(&clerk)).await.unwrap().next;
    let next = async |permits: &Json| {
        let request =
            ReadRequest { collection: collection(), scope: Scope::Everything, after: after.clone() };
        connector(&side(&clerk), permits).read(request).await
    };
    let same = permits(Kind::Clerk);
    assert!(!next(&same).await.unwrap().records.is_empty());
    for (key, value) in [("paginator/page_size", json!(10)), ("path", json!("/permits?x=1"))] {
        let mut other = same.clone();
        *other.pointer_mut(&format!("/read/{key}")).unwrap() = value;
        let said = broken(next(&other).await);
        assert!(said.contains("its settings were changed; it begins anew"), "{said}");
    }
}

/// Memory in use, in kB.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

#[tokio::test]
async fn a_huge_answer_takes_no_more_memory_than_allowed() {
    let clerk = Double::clerk().await.unwrap();
    let before = resident();
    for length in [200_000_000, u64::MAX] {
        let said = broken(answer(&clerk, BadAnswer::Huge(length)).await);
        assert!(said.contains("larger than 33554432 bytes"), "{said}");
    }
    // The bound, what the double has under way, and what other tests use meanwhile.
    let grown = resident() - before;
    assert!(grown < 120_000, "{grown} kB more");
}

#[tokio::test]
async fn an_id_that_cannot_be_one_is_told_and_the_others_are_taken() {
    let page = json!([
        { "id": "x".repeat((64 << 10) + 1) }, { "id": "a\0b" }, { "id": "" }, { "id": [1] }, { "id": 1.5 },
        { "id": "水/🚒 é" }, { "id": "e\u{301}" }, { "id": 7 },
    ]);
    let url = serve(Router::new().route("/p", get(move || async { axum::Json(page) }))).await;
    let page = first(&connector(&json!({ "url": url }), &json!({ "read": { "path": "/p" } }))).await.unwrap();
    assert_eq!(ids(&page.records), ["水/🚒 é", "e\u{301}", "7"]);
    let words =
        ["65536 bytes at most, this one has 65537", "must not contain '\\0'", "must not be empty", "", ""];
    assert_eq!(page.unreadable.len(), words.len(), "{:?}", page.unreadable);
    for (n, (line, words)) in page.unreadable.iter().zip(words).enumerate() {
        let place = format!("GET /p: record {} of the page", n + 1);
        assert!(line.starts_with(&place) && line.contains(words) && line.len() < 200, "{line:.300}");
    }
}

#[tokio::test]
async fn a_body_at_the_bound_is_read() {
    let body = format!("[{{\"id\":\"{}\"}}]", "x".repeat(1_000));
    let url = serve(Router::new().route(
        "/p",
        get({
            let body = body.clone();
            move || async { body }
        }),
    ))
    .await;
    for (bound, read) in [(body.len(), true), (body.len() - 1, false)] {
        let connector =
            connector(&json!({ "url": url, "max_body_bytes": bound }), &json!({ "read": { "path": "/p" } }));
        assert_eq!(first(&connector).await.is_ok(), read);
    }
}

#[tokio::test]
async fn away_means_later() {
    let clerk = Double::clerk().await.unwrap();
    let connector = of(&clerk);
    clerk.set_faults(Faults { hang: true, ..Faults::default() });
    let mut impatient = side(&clerk);
    impatient["timeout"] = json!("50ms");
    let error = first(&crate::sides::connector(&impatient, &permits(Kind::Clerk))).await.unwrap_err();
    assert!(
        matches!(&error, ReadError::Later { reason, .. } if reason.contains("nothing within 50ms")),
        "{error}"
    );
    clerk.set_faults(Faults { rate_limit: Some(1), ..Faults::default() });
    let mut limited = None;
    for _ in 0..3 {
        limited = first(&connector).await.err().or(limited);
    }
    let error = limited.unwrap();
    assert!(
        matches!(error, ReadError::Later { after: Some(after), .. } if after == Duration::from_secs(1)),
        "{error}"
    );
    for fault in [
        Faults { down: Some(Down::Dropped), ..Faults::default() },
        Faults { down: Some(Down::Refused), ..Faults::default() },
    ] {
        clerk.set_faults(fault);
        let error = first(&connector).await.unwrap_err();
        assert!(matches!(error, ReadError::Later { .. }), "{error}");
    }
}

#[tokio::test]
async fn retry_after_is_heard() {
    let answer = |headers: Vec<(&'static str, &'static str)>| {
        move || async move {
            let headers: HeaderMap =
                headers.iter().map(|(n, v)| (n.parse().unwrap(), v.parse().unwrap())).collect();
            (StatusCode::SERVICE_UNAVAILABLE, headers, "busy").into_response()
        }
    };
    let url = serve(
        Router::new()
            .route("/seconds", get(answer(vec![("retry-after", "7")])))
            .route("/far", get(answer(vec![("retry-after", "1000000000000")])))
            .route("/garbage", get(answer(vec![("retry-after", "-1")])))
            .route("/two", get(answer(vec![("retry-after", "5"), ("x", "y")])))
            .route("/none", get(answer(vec![]))),
    )
    .await;
    for (path, seconds) in
        [("/seconds", Some(7)), ("/far", Some(3_600)), ("/garbage", None), ("/two", Some(5)), ("/none", None)]
    {
        let connector = connector(&json!({ "url": url }), &json!({ "read": { "path": path } }));
        let Err(ReadError::Later { after, .. }) = first(&connector).await else { panic!("{path}") };
        assert_eq!(after, seconds.map(Duration::from_secs), "{path}");
    }
}

/// Many records share a time (the marshal's clock stands still), and every
/// second page users edit: nothing is missed, and a quiet poll is short.
#[tokio::test]
async fn nothing_is_missed_while_users_edit() {
    for double in [Double::clerk().await.unwrap(), Double::marshal().await.unwrap()] {
        let connector = of(&double);
        double.seed_records(1, 50);
        double.faults(|faults| faults.frozen_clock = true);
        double.seed_records(51, 70);
        double.faults(|faults| faults.frozen_clock = false);
        let text = if double.kind() == Kind::Clerk { "notes" } else { "remarks" };
        let all: Vec<String> = double
            .records()
            .iter()
            .map(|r| r["id"].as_str().map_or(r["id"].to_string(), str::to_owned))
            .collect();
        let mut rng = fastrand::Rng::with_seed(7);
        let mut n = 0;
        let mut edit = || {
            n += 1;
            let chosen = &all[rng.usize(..all.len())];
            double.update(chosen, &json!({ text: format!("edit {n}") })).unwrap();
        };
        let (seen, cursor) = pass(&connector, Scope::Everything, &mut edit).await.unwrap();
        let mut known: HashMap<_, _> = seen.into_iter().map(|seen| (seen.id.clone(), seen)).collect();
        assert_eq!(known.len(), 120, "{:?}", double.kind());
        let mut cursor = cursor.unwrap();
        for _ in 0..5 {
            edit();
            let (seen, next) = pass(&connector, Scope::Since(cursor), &mut edit).await.unwrap();
            known.extend(seen.into_iter().map(|seen| (seen.id.clone(), seen)));
            cursor = next.unwrap();
        }
        let (seen, _) = pass(&connector, Scope::Since(cursor), || {}).await.unwrap();
        known.extend(seen.into_iter().map(|seen| (seen.id.clone(), seen)));
        for record in double.records() {
            let key = id(record["id"].as_str().map_or(record["id"].to_string(), str::to_owned).as_str());
            assert_eq!(known[&key].content, Content::Whole(record.clone()));
            assert!(known[&key].modified.is_some());
        }
    }
}

/// A side as PocketBase is: numbered pages cut to 30, a filter that finds nothing
/// in another date form, times shared by many.
#[tokio::test]
async fn a_side_that_hears_only_its_own_date_form() {
    type Asked = Arc<Mutex<Vec<HashMap<String, String>>>>;
    async fn list(
        State(asked): State<Asked>,
        Query(query): Query<HashMap<String, String>>,
    ) -> axum::Json<Json> {
        let page: usize = query["page"].parse().unwrap();
        let filter = query.get("filter").cloned().unwrap_or_default();
        asked.lock().unwrap().push(query);
        let from = filter.strip_prefix("updated >= '").map(|rest| rest.trim_end_matches('\'').to_owned());
        let record = |n: usize| json!({ "id": format!("r{n:02}"), "updated": format!("2026-11-23 12:11:{:02}.989Z", n / 25) });
        let all: Vec<_> = (0..70).map(record).collect();
        let listed = all.into_iter().filter(|r| {
            from.as_ref()
                .is_none_or(|from| !from.contains('T') && r["updated"].as_str().unwrap() >= from.as_str())
        });
        let items: Vec<_> = listed.skip((page - 1) * 30).take(30).collect();
        axum::Json(json!({ "page": page, "items": items }))
    }
    let asked = Asked::default();
    let url = serve(Router::new().route("/records", get(list)).with_state(Arc::clone(&asked))).await;
    let permits = json!({
        "read": {
            "path": "/records",
            "request_parameters": { "filter": "{% if cursor %}updated >= '{{ cursor }}'{% endif %}", "sort": "updated,id" },
            "paginator": { "type": "page", "page_size": 30, "page_size_param": "perPage" },
            "incremental_sync": { "cursor_field": "updated" },
        },
    });
    let connector = connector(&json!({ "url": url }), &permits);
    let (seen, cursor) = pass(&connector, Scope::Everything, || {}).await.unwrap();
    let all: std::collections::BTreeSet<_> = ids(&seen).into_iter().collect();
    assert_eq!(all.len(), 70);
    assert!(!asked.lock().unwrap()[0].contains_key("filter"), "empty parameters are left out");
    let (seen, _) = pass(&connector, Scope::Since(cursor.unwrap()), || {}).await.unwrap();
    let polled = asked.lock().unwrap().iter().find_map(|query| query.get("filter").cloned()).unwrap();
    assert_eq!(polled, "updated >= '2026-11-23 12:11:00.989Z'");
    let ids: std::collections::HashSet<_> = seen.iter().map(|seen| &seen.id).collect();
    assert_eq!(ids.len(), 70);
}

#[tokio::test]
async fn the_time_of_the_last_run_can_be_the_cursor() {
    let asked = Arc::new(Mutex::new(Vec::new()));
    let url = serve(Router::new().route(
        "/p",
        get({
            let asked = Arc::clone(&asked);
            move |Query(query): Query<HashMap<String, String>>| async move {
                asked.lock().unwrap().push(query.get("since").cloned());
                "[{\"id\": 1}]"
            }
        }),
    ))
    .await;
    let sync = json!({ "cursor": "last_run", "start_time_option": { "field_name": "since" }, "lookback_window": "1h" });
    let connector =
        connector(&json!({ "url": url }), &json!({ "read": { "path": "/p", "incremental_sync": sync } }));
    let (_, cursor) = pass(&connector, Scope::Everything, || {}).await.unwrap();
    pass(&connector, Scope::Since(cursor.unwrap()), || {}).await.unwrap();
    let asked = asked.lock().unwrap();
    assert_eq!(asked[0], None);
    let since = chrono::DateTime::parse_from_rfc3339(asked[1].as_ref().unwrap()).unwrap();
    let ago = chrono::Utc::now().signed_duration_since(since).num_seconds();
    assert!((3_600..3_660).contains(&ago), "{ago}");
}

#[tokio::test]
async fn lookups_take_only_what_carries_the_identity() {
    let clerk = Double::clerk().await.unwrap();
    clerk.seed_records(1, 30);
    let ask = |connector: hms_sync_http::HttpConnector, no: &'static str| async move {
        let identity = json!({ "permit_no": no });
        connector.lookup(LookupRequest { collection: collection(), identity }).await
    };
    assert_eq!(ask(of(&clerk), "P-000007").await.unwrap()[0].id, id("7"));
    assert_eq!(ask(of(&clerk), "P-9").await, Ok(Vec::new()));
    // A filter that the side does not know is ignored by it: all records come.
    let mut wrong = permits(Kind::Clerk);
    wrong["lookup"]["request_parameters"] = json!({ "number": "{{ identity.permit_no }}" });
    let error = ask(connector(&side(&clerk), &wrong), "P-9").await.unwrap_err();
    assert!(error.to_string().contains("none of the 30 records found carries"), "{error}");
    assert_eq!(ask(connector(&side(&clerk), &wrong), "P-000007").await.unwrap().len(), 1);
}

#[tokio::test]
async fn checks_say_what_they_found() {
    let clerk = Double::clerk().await.unwrap();
    clerk.seed_records(1, 3);
    let line = of(&clerk).check(&collection()).await.unwrap();
    assert_eq!(line, "GET /permits answers: the first record is 1, 3 records in all");
    let mut unsaid = permits(Kind::Clerk);
    unsaid["read"].as_object_mut().unwrap().remove("record_selector").unwrap();
    let line = connector(&side(&clerk), &unsaid).check(&collection()).await.unwrap();
    assert_eq!(
        line,
        "GET /permits answers: the first record is 1, 3 records in all, records are taken from `items`"
    );
    let mut stranger = side(&clerk);
    stranger["authenticator"]["api_token"] = json!("wrong");
    let error = connector(&stranger, &permits(Kind::Clerk)).check(&collection()).await.unwrap_err();
    assert!(matches!(&error, ReadError::Denied { reason } if reason.contains("401")), "{error}");
    assert!(!format!("{error:?}").contains("wrong"));
    let line = connector(&side(&clerk), &json!({})).check(&collection()).await.unwrap();
    assert!(line.contains("is there"), "{line}");
}

#[test]
fn specs_that_do_not_fit_together() {
    let side = json!({ "url": "http://127.0.0.1:1" });
    for (permits, key) in [
        (json!({ "read": { "path": "permits" } }), "`permit.read.path`"),
        (
            json!({ "read": { "path": "/p", "incremental_sync": { "cursor_field": "u" } } }),
            "start_time_option",
        ),
        (
            json!({ "read": { "path": "/p", "incremental_sync": { "start_time_option": { "field_name": "s" } } } }),
            "cursor_field",
        ),
        (json!({ "read": { "path": "/p", "paginator": { "type": "keyset" } } }), "request_parameters"),
        (json!({ "read": { "path": "/p", "paginator": { "type": "page", "page_size": 0 } } }), "page_size"),
        (json!({ "fetch": { "path": "/p" } }), "which record"),
        (json!({ "update": { "method": "PATCH", "path": "/p/{{ ident }}" } }), "names `ident`"),
        (json!({ "create": { "method": "POST", "path": "/p/{{ id }}" } }), "names `id`"),
        (json!({ "lookup": { "path": "/p" } }), "identity"),
        (json!({ "webhook": { "path": "/h" } }), "unsigned: true"),
        (json!({ "webhook": { "path": "/h", "secret": "whsec_c2hvcnQ=" } }), "too short"),
        (json!({ "webhook": { "path": "/h", "unsigned": true, "payload": "hint" } }), "needs `fetch`"),
    ] {
        let error = try_connector(&side, &permits).unwrap_err();
        assert!(error.contains(key), "{error} does not say {key}");
    }
}
