//! `error_handler`: what answers mean where it is not what their status says.

use crate::sides::{collection, connector, first, id, key, serve, try_connector};
use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use hms_sync_connector::{Connector, LookupRequest, Page, ReadError, Shaped, Target, WriteRequest};
use hms_sync_http::HttpConnector;
use hms_sync_model::Outcome;
use serde_json::{Value as Json, json};
use std::sync::{Arc, Mutex};
use std::time::Duration;

type Answer = (u16, Vec<(String, String)>, String);

/// A side that answers all with the same.
struct Side {
    connector: HttpConnector,
    answer: Arc<Mutex<Answer>>,
}

impl Side {
    async fn new(handler: Json) -> Self {
        async fn handle(State(answer): State<Arc<Mutex<Answer>>>) -> (StatusCode, HeaderMap, String) {
            let (status, headers, body) = answer.lock().unwrap().clone();
            let headers = headers.iter().map(|(n, v)| (n.parse().unwrap(), v.parse().unwrap())).collect();
            (StatusCode::from_u16(status).unwrap(), headers, body)
        }
        let answer = Arc::<Mutex<Answer>>::default();
        let url = serve(Router::new().fallback(handle).with_state(Arc::clone(&answer))).await;
        let permits = json!({
            "read": { "path": "/p" },
            "fetch": { "path": "/p/{{ id }}" },
            "lookup": { "path": "/p", "request_parameters": { "a": "{{ identity.a }}" } },
            "create": { "method": "POST", "path": "/p" },
            "update": { "method": "PATCH", "path": "/p/{{ id }}" },
        });
        let side = json!({
            "url": url, "error_handler": handler,
            "authenticator": { "type": "bearer", "api_token": "s3cret-token" },
        });
        Self { connector: connector(&side, &permits), answer }
    }

    fn answers(&self, status: u16, headers: &[(&str, &str)], body: &str) {
        let headers = headers.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect();
        *self.answer.lock().unwrap() = (status, headers, body.to_owned());
    }

    async fn reads(&self, status: u16, headers: &[(&str, &str)], body: &str) -> Result<Page, ReadError> {
        self.answers(status, headers, body);
        first(&self.connector).await
    }

    async fn writes(&self, target: Target, status: u16, body: &str) -> Outcome {
        self.answers(status, &[], body);
        let fields = Shaped::from(json!({ "a": 1 }));
        let (changed, whole) = (fields.clone(), fields);
        self.connector
            .write(WriteRequest {
                collection: collection(),
                target,
                changed,
                whole,
                former: None,
                key: key("k"),
            })
            .await
    }
}

fn after(result: Result<Page, ReadError>) -> (Option<f64>, String) {
    match result {
        Err(ReadError::Later { after, reason }) => (after.map(|wait| wait.as_secs_f64()), reason),
        other => panic!("not later: {other:?}"),
    }
}

#[tokio::test]
async fn reads_mean_what_filters_say() {
    let side = Side::new(json!({
        "type": "DefaultErrorHandler",
        "response_filters": [
            { "type": "HttpResponseFilter", "http_codes": [200], "predicate": "{{ response.code == 17 }}", "action": "RATE_LIMITED" },
            { "http_codes": [404], "error_message_contains": "no permits yet", "action": "success" },
            { "http_codes": [404], "action": "IGNORE" },
            { "http_codes": [403], "predicate": "{{ headers['x-busy'] == 'yes' and status == 403 }}", "action": "retry" },
            { "http_codes": [500], "action": "FAIL", "error_message": "their database is broken" },
        ],
    }))
    .await;
    assert_eq!(side.reads(200, &[], "[{\"id\":1}]").await.unwrap().records.len(), 1);
    after(side.reads(200, &[], "{\"code\":17}").await);
    // `no permits yet` is taken as a listing: that it is none is told as of any.
    let page = side.reads(404, &[], "{\"items\":[],\"say\":\"no permits yet\"}").await.unwrap();
    assert_eq!((page.records.len(), page.unreadable.len()), (0, 0));
    // What is ignored is never a complete listing: nothing is taken to be deleted.
    let page = side.reads(404, &[], "gone fishing").await.unwrap();
    assert_eq!(
        page.unreadable,
        ["GET /p: answered 404 Not Found: gone fishing, which `error_handler` ignores"]
    );
    assert_eq!((page.records.len(), page.next, page.cursor), (0, None, None));
    after(side.reads(403, &[("x-busy", "yes")], "").await);
    assert!(matches!(side.reads(403, &[("x-busy", "no")], "").await, Err(ReadError::Denied { .. })));
    let Err(ReadError::Denied { reason }) = side.reads(500, &[], "x").await else { panic!() };
    assert_eq!(reason, "GET /p: their database is broken; it answered 500 Internal Server Error: x");
    // Of one record, what is ignored says nothing: not even that there is none.
    side.answers(404, &[], "gone fishing");
    assert!(matches!(side.connector.fetch(collection(), id("1")).await, Err(ReadError::Broken { .. })));
    let lookup = LookupRequest { collection: collection(), identity: json!({ "a": 1 }) };
    assert!(matches!(side.connector.lookup(lookup).await, Err(ReadError::Broken { .. })));
}

#[tokio::test]
async fn writes_that_may_have_been_carried_out_stay_unknown() {
    let side = Side::new(json!({ "response_filters": [
        { "http_codes": [500], "error_message_contains": "before commit", "action": "retry", "not_applied": true },
        { "http_codes": [200, 403, 500, 502], "error_message_contains": "busy", "action": "retry" },
        { "http_codes": [409], "action": "ignore" },
        { "http_codes": [304], "action": "success" },
        { "http_codes": [418], "action": "fail" },
        { "http_codes": [420, 500], "action": "rate_limited" },
    ] }))
    .await;
    let update = || Target::Update(id("7"), None);
    let later = |outcome: &Outcome| matches!(outcome, Outcome::RetryLater { side_wide: false, .. });
    let held = |outcome: &Outcome| matches!(outcome, Outcome::RetryLater { side_wide: true, .. });
    assert!(later(&side.writes(update(), 403, "busy").await));
    assert!(later(&side.writes(update(), 500, "lost before commit").await));
    for status in [200, 500, 502] {
        let outcome = side.writes(update(), status, "busy").await;
        assert!(matches!(outcome, Outcome::Unknown { .. }), "{status}: {outcome:?}");
    }
    assert_eq!(side.writes(update(), 409, "").await, Outcome::Noop);
    let outcome = side.writes(Target::Create, 409, "").await;
    assert!(matches!(&outcome, Outcome::Rejected { reason } if reason.contains("there is no record")));
    assert!(matches!(side.writes(update(), 304, "").await, Outcome::Applied(_)));
    assert!(matches!(side.writes(update(), 418, "").await, Outcome::Rejected { .. }));
    assert!(held(&side.writes(update(), 420, "").await));
    assert!(held(&side.writes(update(), 500, "").await));
    assert!(matches!(side.writes(update(), 502, "").await, Outcome::Unknown { .. }), "as without a filter");
}

#[tokio::test]
async fn waits_are_as_long_as_strategies_say() {
    let constant = json!({ "backoff_strategies": [
        { "type": "WaitUntilTimeFromHeader", "header": "X-Reset", "min_wait": 5 },
        { "type": "WaitTimeFromHeader", "header": "X-Wait", "max_waiting_time_in_seconds": 7200 },
        { "type": "ConstantBackoff", "backoff_time_in_seconds": 2.5 },
    ] });
    let side = Side::new(constant).await;
    assert_eq!(after(side.reads(503, &[("retry-after", "9")], "").await).0, Some(2.5));
    assert_eq!(after(side.reads(429, &[("x-wait", "30")], "").await).0, Some(30.0));
    assert_eq!(after(side.reads(503, &[("x-reset", "1")], "").await).0, Some(5.0));
    let epoch = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs() + 60;
    let (wait, _) = after(side.reads(503, &[("x-reset", &epoch.to_string())], "").await);
    assert!((55.0..=60.0).contains(&wait.unwrap()), "{wait:?}");
    // An hour at most, and said so; longer than a person wanted to wait is theirs.
    let (wait, reason) = after(side.reads(503, &[("x-wait", "5400")], "").await);
    assert_eq!(wait, Some(3_600.0));
    assert!(reason.contains("a wait of 1h 30m was asked for, an hour is kept"), "{reason}");
    let Err(ReadError::Denied { reason }) = side.reads(503, &[("x-wait", "7201")], "").await else {
        panic!()
    };
    assert!(reason.contains("`X-Wait` asks for 2h 1s"), "{reason}");
    let side = Side::new(json!({ "error_handlers": [{
        "response_filters": [{ "http_codes": [400], "action": "retry" }],
        "backoff_strategies": [{ "type": "ExponentialBackoff", "factor": 0.2 }],
    }], "type": "CompositeErrorHandler" }))
    .await;
    // In a row each wait is twice the last; what fails while one waits makes it no longer.
    let mut waits = Vec::new();
    for _ in 0..3 {
        waits.push(after(side.reads(400, &[], "").await).0.unwrap());
        waits.push(after(side.reads(400, &[], "").await).0.unwrap());
        tokio::time::sleep(Duration::from_secs_f64(*waits.last().unwrap() + 0.01)).await;
    }
    assert_eq!(waits, [0.2, 0.2, 0.4, 0.4, 0.8, 0.8]);
    side.reads(200, &[], "[]").await.unwrap();
    assert_eq!(after(side.reads(400, &[], "").await).0, Some(0.2));
}

#[tokio::test]
async fn words_of_the_side_are_short_and_hold_no_secret_of_ours() {
    let side = Side::new(Json::Null).await;
    for body in [
        "bad token s3cret-token".to_owned(),
        format!("{} s3cret-token", "x".repeat(290)),
        "Authorization: Basic czNjcmV0LXRva2Vu".to_owned(),
    ] {
        let said = side.reads(401, &[], &body).await.unwrap_err().to_string();
        assert!(!said.contains("s3cret") && !said.contains("czNjcmV0"), "{said}");
        assert!(said.chars().count() < 400, "{said}");
        let Outcome::RetryLater { reason, .. } = side.writes(Target::Create, 401, &body).await else {
            panic!()
        };
        assert!(!reason.contains("s3cret") && !reason.contains("czNjcmV0"), "{reason}");
    }
    let said = side.reads(302, &[("location", "http://x/?token=s3cret-token")], "").await.unwrap_err();
    assert!(said.to_string().contains("points to http://x/?token=(secret);"), "{said}");
}

#[test]
fn what_does_not_fit_is_named() {
    for (handler, told) in [
        (json!({ "response_filters": [{ "action": "explode" }] }), "unknown variant `explode`"),
        (
            json!({ "response_filters": [{ "action": "retry", "http_codes": [99] }] }),
            "`error_handler.response_filters.1.http_codes`: 99 is no status",
        ),
        (
            json!({ "response_filters": [{ "action": "retry", "predicate": "{{ nonsense }}" }] }),
            "response_filters.1.predicate`: the template names `nonsense`; known here: response, headers, status",
        ),
        (
            json!({ "backoff_strategies": [{ "type": "constant", "backoff_time_in_seconds": -1 }] }),
            "-1 is no length",
        ),
        (
            json!({ "backoff_strategies": [{ "type": "wait_time_from_header", "header": "a b" }] }),
            "`a b` is no name of a header",
        ),
    ] {
        let side = json!({ "url": "http://localhost", "error_handler": handler });
        let why = try_connector(&side, &json!({ "read": { "path": "/p" } })).unwrap_err();
        assert!(why.contains(told), "{why}");
    }
}

/// A handler of a request speaks before that of its collection, and that before the side's.
#[tokio::test]
async fn the_nearest_handler_speaks_first() {
    async fn teapot(request: axum::extract::Request) -> (StatusCode, &'static str) {
        match request.uri().path() {
            "/busy" => (StatusCode::INTERNAL_SERVER_ERROR, "busy"),
            _ => (StatusCode::IM_A_TEAPOT, "short and stout"),
        }
    }
    let url = serve(Router::new().fallback(teapot)).await;
    let handler = |action: &str| json!({ "response_filters": [{ "http_codes": [418], "action": action }] });
    let side = json!({ "url": url, "error_handler": handler("fail") });
    let waits = json!({ "backoff_strategies": [{ "type": "constant", "backoff_time_in_seconds": 7 }] });
    let set_up = |of_collection: bool, of_request: bool, path: &str| {
        let mut permits = json!({
            "read": { "path": path }, "fetch": { "path": "/p/{{ id }}" },
            "update": { "method": "PATCH", "path": "/p/{{ id }}" },
            "delete": { "method": "DELETE", "path": "/p/{{ id }}" },
        });
        if of_collection {
            permits["error_handler"] = handler("retry");
        }
        if of_request {
            permits["read"]["error_handler"] = waits.clone();
            permits["fetch"]["error_handler"] = handler("ignore");
            permits["update"]["error_handler"] = handler("ignore");
        }
        connector(&side, &permits)
    };
    assert!(matches!(first(&set_up(false, false, "/p")).await, Err(ReadError::Denied { .. })));
    assert!(matches!(first(&set_up(true, false, "/p")).await, Err(ReadError::Later { .. })));
    let both = set_up(true, true, "/p");
    // No filter of its own: the collection's decides. Its own waits hold where only the status does.
    assert!(matches!(first(&both).await, Err(ReadError::Later { .. })));
    assert_eq!(after(first(&set_up(true, true, "/busy")).await).0, Some(7.0));
    assert_eq!(after(first(&set_up(true, false, "/busy")).await).0, None);
    assert!(matches!(both.fetch(collection(), id("1")).await, Err(ReadError::Broken { .. })));
    let write = async |target: Target| {
        let fields = Shaped::from(json!({ "a": 1 }));
        let (changed, whole) = (fields.clone(), fields);
        let request =
            WriteRequest { collection: collection(), target, changed, whole, former: None, key: key("k") };
        both.write(request).await
    };
    assert!(matches!(write(Target::Update(id("1"), None)).await, Outcome::Noop));
    assert!(matches!(write(Target::Delete(id("1"), None)).await, Outcome::RetryLater { .. }));
    let wrong = json!({ "read": { "path": "/", "error_handler": { "response_filters": [
        { "http_codes": [99], "action": "fail" } ] } } });
    let error = try_connector(&side, &wrong).unwrap_err();
    assert!(error.contains("permit.read.error_handler.response_filters.1.http_codes"), "{error}");
}
