//! Many writes in one request: what goes into it, and what each of them hears.

use crate::parrot::{request, word};
use crate::sides::{collection, connector, id, key, serve};
use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use axum::{Json as Body, Router};
use futures_util::future::join_all;
use hms_sync_connector::{Connector, Target, WriteRequest};
use hms_sync_http::HttpConnector;
use hms_sync_model::{Outcome, Tag};
use serde_json::{Value as Json, json};
use std::sync::{Arc, Mutex};

#[derive(Debug, Clone, Copy, PartialEq)]
enum Manner {
    /// Each item has a status of its own.
    Each,
    /// One bad item and nothing is done.
    AllOrNothing,
    /// There is no such endpoint.
    Absent,
    /// It breaks after all was done.
    Breaks,
    /// It forgets one.
    Short,
}

/// A side that takes single writes and batches, and refuses what is `bad`.
#[derive(Clone)]
struct Side {
    manner: Manner,
    /// Sizes of batches, in order; 1 is a write that came alone.
    heard: Arc<Mutex<Vec<usize>>>,
    items: Arc<Mutex<Vec<Json>>>,
}

fn one(body: &Json) -> (u16, Json) {
    if body["a"] == "bad" {
        (422, json!({ "errors": { "a": ["is bad"] } }))
    } else {
        (201, json!({ "id": format!("id-{}", body["a"]), "a": body["a"] }))
    }
}

impl Side {
    fn batch(&self, body: &Json) -> Response {
        let items = body["requests"].as_array().unwrap().clone();
        self.heard.lock().unwrap().push(items.len());
        let mut results: Vec<Json> = items
            .iter()
            .map(|item| {
                let (status, body) = one(&item["body"]);
                json!({ "status": status, "body": body, "headers": { "ETag": format!("v{}", body["a"]) } })
            })
            .collect();
        self.items.lock().unwrap().extend(items);
        let refused = results.iter().any(|result| result["status"] == 422);
        match self.manner {
            Manner::Absent => return (StatusCode::FORBIDDEN, "off").into_response(),
            Manner::Breaks => return (StatusCode::BAD_GATEWAY, "?").into_response(),
            Manner::AllOrNothing if refused => {
                return (StatusCode::BAD_REQUEST, "one is bad").into_response();
            }
            Manner::Short => drop(results.pop()),
            Manner::Each | Manner::AllOrNothing => {}
        }
        Body(json!({ "responses": results })).into_response()
    }
}

async fn handle(State(side): State<Side>, uri: Uri, _: Method, _: HeaderMap, body: String) -> Response {
    let body: Json = serde_json::from_str(&body).unwrap();
    if uri.path() == "/api/batch" {
        return side.batch(&body);
    }
    side.heard.lock().unwrap().push(1);
    let (status, body) = one(&body);
    (StatusCode::from_u16(status).unwrap(), Body(body)).into_response()
}

async fn side(manner: Manner, change: impl FnOnce(&mut Json)) -> (Side, HttpConnector) {
    let side = Side { manner, heard: Arc::default(), items: Arc::default() };
    let url = serve(Router::new().fallback(handle).with_state(side.clone())).await;
    let mut permits = json!({
        "idempotency_key": {},
        "create": { "method": "POST", "path": "/p" },
        "update": { "method": "PATCH", "path": "/p/{{ id }}" },
        "batch": {
            "path": "/batch", "max_items": 4, "max_wait": "20s", "items_path": "requests",
            "results_path": "responses", "status_field": "status", "body_field": "body", "headers_field": "headers",
        },
    });
    change(&mut permits);
    (side, connector(&json!({ "url": format!("{url}/api") }), &permits))
}

fn create(a: &Json) -> WriteRequest {
    let word = a.as_str().map_or_else(|| a.to_string(), str::to_owned);
    WriteRequest { key: key(&format!("k-{word}")), ..request(Target::Create, json!({ "a": a })) }
}

async fn write_all(connector: &HttpConnector, values: &[Json]) -> Vec<Outcome> {
    join_all(values.iter().map(|a| connector.write(create(a)))).await
}

fn words(outcomes: &[Outcome]) -> Vec<&'static str> {
    outcomes.iter().map(word).collect()
}

#[tokio::test]
async fn each_write_has_its_own_outcome() {
    let (side, connector) = side(Manner::Each, |permits| {
        permits["batch"]["item"] = json!({
            "method": "{{ method }}", "path": "/v1{{ path }}", "body": "{{ body }}", "headers": "{{ headers }}",
        });
    })
    .await;
    let outcomes = write_all(&connector, &[json!(1), json!("bad"), json!(3), json!(4)]).await;
    assert_eq!(words(&outcomes), ["applied", "rejected", "applied", "applied"]);
    assert_eq!(*side.heard.lock().unwrap(), [4], "one request");
    let Outcome::Applied(written) = &outcomes[2] else { panic!() };
    assert_eq!((written.id.as_str(), written.tag.as_ref().unwrap().as_str()), ("id-3", "\"v3\""));
    assert_eq!(written.stored.as_ref().unwrap()["a"], 3);
    let Outcome::Rejected { reason } = &outcomes[1] else { panic!() };
    assert!(reason.contains("422") && reason.ends_with("; there `a`: is bad"), "{reason}");
    let item = &side.items.lock().unwrap()[0];
    assert_eq!((&item["method"], &item["path"]), (&json!("POST"), &json!("/v1/p")));
    assert_eq!(item["headers"], json!({ "content-type": "application/json", "idempotency-key": "k-1" }));
    assert!(connector.abilities(&collection()).idempotency_key);
}

#[tokio::test]
async fn one_that_spoils_a_batch_spoils_only_itself() {
    let (side, connector) = side(Manner::AllOrNothing, |_| {}).await;
    let outcomes = write_all(&connector, &[json!(1), json!(2), json!("bad"), json!(4)]).await;
    assert_eq!(words(&outcomes), ["applied", "applied", "rejected", "applied"]);
    assert_eq!(*side.heard.lock().unwrap(), [4, 2, 2, 1, 1], "in halves, the spoilt one alone");
    let Outcome::Rejected { reason } = &outcomes[2] else { panic!() };
    assert!(reason.contains("is bad"), "the words are those that it hears alone: {reason}");
    assert!(!connector.abilities(&collection()).idempotency_key, "no item carries its key");
}

#[tokio::test]
async fn a_side_without_batches_is_left_alone_with_them() {
    let (side, connector) = side(Manner::Absent, |_| {}).await;
    for _ in 0..2 {
        let outcomes = write_all(&connector, &[json!(1), json!(2), json!(3), json!(4)]).await;
        assert_eq!(words(&outcomes), ["applied"; 4]);
    }
    assert_eq!(*side.heard.lock().unwrap(), [4, 1, 1, 1, 1, 1, 1, 1, 1]);
}

#[tokio::test]
async fn what_became_of_a_lost_batch_is_unknown_for_all() {
    for manner in [Manner::Breaks, Manner::Short] {
        let (side, connector) = side(manner, |_| {}).await;
        let outcomes = write_all(&connector, &[json!(1), json!(2), json!(3), json!(4)]).await;
        assert_eq!(words(&outcomes), ["unknown"; 4], "{manner:?}: {outcomes:?}");
        assert_eq!(*side.heard.lock().unwrap(), [4], "nothing is sent again");
    }
}

#[tokio::test]
async fn who_waits_long_enough_goes_with_whom_there_is() {
    let (side, connector) = side(Manner::Each, |permits| permits["batch"]["max_wait"] = json!("30ms")).await;
    let outcomes = write_all(&connector, &[json!(1), json!(2), json!(3)]).await;
    assert_eq!(words(&outcomes), ["applied"; 3]);
    assert_eq!(*side.heard.lock().unwrap(), [3]);
    assert_eq!(words(&write_all(&connector, &[json!(9)]).await), ["applied"]);
    assert_eq!(*side.heard.lock().unwrap(), [3, 1], "one alone is no batch");
}

#[tokio::test]
async fn a_condition_is_not_lost_in_a_batch() {
    let (side, connector) = side(Manner::Each, |_| {}).await;
    let update = Target::Update(id("id-1"), Tag::try_new("\"v1\"").ok());
    let outcome = connector.write(request(update, json!({ "a": 1 }))).await;
    assert_eq!((word(&outcome), side.heard.lock().unwrap().as_slice()), ("applied", &[1][..]));
}

#[tokio::test]
async fn a_list_of_records_is_a_batch_too() {
    let router = Router::new().route(
        "/p",
        axum::routing::post(async |Body(records): Body<Vec<Json>>| {
            let result = |record: &Json| {
                if record["a"] == "bad" {
                    json!({ "error": { "message": "is bad" } })
                } else {
                    json!({ "id": record["a"], "a": record["a"], "error": null })
                }
            };
            Body(records.iter().map(result).collect::<Vec<_>>())
        }),
    );
    let connector = connector(
        &json!({ "url": serve(router).await }),
        &json!({
            "create": { "method": "POST", "path": "/p" },
            "batch": {
                "path": "/p", "operations": ["create"], "max_items": 3, "max_wait": "20s", "item": "{{ record }}",
                "error_field": "error",
            },
        }),
    );
    let outcomes = write_all(&connector, &[json!(1), json!("bad"), json!(3)]).await;
    assert_eq!(words(&outcomes), ["applied", "rejected", "applied"]);
}
