//! Writes that depend on what was read, refusals and the fields they name, and answers with
//! a meaning of their own.

use crate::parrot::{Parrot, request, word};
use crate::sides::{collection, connector, id, serve};
use axum::{Json as Body, Router, http::HeaderMap, routing::get};
use hms_sync_connector::{Connector, Target};
use hms_sync_model::{Outcome, Tag};
use serde_json::{Value as Json, json};

fn tagged(tag: &str) -> Target {
    Target::Update(id("7"), Some(Tag::try_new(tag).unwrap()))
}

async fn parrot(precondition: Json) -> Parrot {
    Parrot::new(|permits| permits["precondition"] = precondition).await
}

#[tokio::test]
async fn a_version_goes_where_the_side_wants_it() {
    let heard = parrot(json!({ "query": "rev" })).await.hear(request(tagged("3-a b"), json!({}))).await;
    assert_eq!(heard.uri, "/api/p/7?rev=3-a+b");
    let heard =
        parrot(json!({ "field": "meta.rev" })).await.hear(request(tagged("5"), json!({ "a": 1 }))).await;
    assert_eq!(heard.body, "{\"a\":1,\"meta\":{\"rev\":5}}");
    let delete = Target::Delete(id("7"), Tag::try_new("5").ok());
    let heard = parrot(json!({ "field": "rev", "text": true })).await.hear(request(delete, Json::Null)).await;
    assert_eq!(heard.body, "{\"rev\":\"5\"}");
    let heard =
        parrot(json!({ "header": "X-Version" })).await.hear(request(tagged("\"5\""), json!({}))).await;
    assert_eq!(heard.headers["x-version"], "5");
    let date = parrot(json!({ "header": "If-Unmodified-Since" })).await;
    let heard = date.hear(request(tagged("2026-11-23 12:11:20.989Z"), json!({}))).await;
    assert_eq!(heard.headers["if-unmodified-since"], "Mon, 23 Nov 2026 12:11:20 GMT");
    let outcome = date.write(tagged("17"), 200, &[], "").await;
    assert!(matches!(&outcome, Outcome::Rejected { reason } if reason.contains("is no time")), "{outcome:?}");
    let none = parrot(json!("none")).await;
    assert!(!none.connector.abilities(&collection()).precondition);
    assert!(!none.hear(request(tagged("\"5\""), json!({}))).await.headers.contains_key("if-match"));
}

#[tokio::test]
async fn a_version_may_be_a_test_of_a_patch() {
    let parrot = Parrot::new(|permits| {
        permits["version_tag"] = json!({ "field": "rev" });
        permits["precondition"] = json!({ "field": "rev" });
        permits["update"]["body"] = json!({ "format": "json_patch" });
    })
    .await;
    let heard = parrot.hear(request(tagged("5"), json!({ "a": 1 }))).await;
    let expected = json!([
        { "op": "test", "path": "/rev", "value": 5 },
        { "op": "add", "path": "/a", "value": 1 },
    ]);
    assert_eq!(serde_json::from_str::<Json>(&heard.body).unwrap(), expected);
}

/// A side that shows one record with this tag in the header and this one in the body.
async fn tag_of(header: Option<&'static str>, field: Json, permits: Json) -> Option<String> {
    let router = Router::new().route(
        "/p/7",
        get(async move || {
            let mut headers = HeaderMap::new();
            headers.extend(header.map(|tag| (axum::http::header::ETAG, tag.parse().unwrap())));
            (headers, Body(json!({ "id": 7, "etag": field })))
        }),
    );
    let mut all = permits;
    all["fetch"] = json!({ "path": "/p/{{ id }}" });
    let connector = connector(&json!({ "url": serve(router).await }), &all);
    let seen = connector.fetch(collection(), id("7")).await.unwrap();
    seen.tag.map(|tag| tag.as_str().to_owned())
}

#[tokio::test]
async fn quotes_make_no_difference_and_weak_tags_no_condition() {
    let both = json!({ "version_tag": { "header": "ETag", "field": "etag" } });
    assert_eq!(tag_of(Some("\"a\""), json!("x"), both.clone()).await.as_deref(), Some("\"a\""));
    assert_eq!(tag_of(Some("a"), json!("x"), both.clone()).await.as_deref(), Some("\"a\""));
    assert_eq!(tag_of(None, json!("a"), both).await.as_deref(), Some("\"a\""));
    // As none: who has no version reads the record before each write.
    assert_eq!(tag_of(Some("W/\"a\""), json!(1), json!({})).await, None);
    let weak = json!({ "precondition": { "header": "If-Match", "weak": true } });
    assert_eq!(tag_of(Some("W/\"a\""), json!(1), weak.clone()).await.as_deref(), Some("W/\"a\""));
    let field = json!({ "version_tag": { "field": "etag" } });
    assert_eq!(tag_of(None, json!(5), field).await.as_deref(), Some("5"));
    let parrot = parrot(weak["precondition"].clone()).await;
    let heard = parrot.hear(request(tagged("W/\"a\""), json!({}))).await;
    assert_eq!(heard.headers["if-match"], "W/\"a\"");
}

#[tokio::test]
async fn a_refusal_names_the_field() {
    let parrot = Parrot::new(|permits| permits["create"]["body"] = json!({ "wrap": "permit" })).await;
    let body = "{\"errors\":{\"permit[location][address]\":[\"is too long\"]}}";
    let Outcome::Rejected { reason } = parrot.write(Target::Create, 422, &[], body).await else { panic!() };
    assert!(reason.ends_with("; there `location.address`: is too long"), "{reason}");
}

#[tokio::test]
async fn answers_may_mean_other_things() {
    let parrot = Parrot::new(|permits| {
        permits["gone_when"] = json!([{ "status": 403, "body_contains": "no such" }]);
        permits["conflict_when"] = json!([{ "status": 428 }]);
    })
    .await;
    let (update, delete) = (Target::Update(id("7"), None), Target::Delete(id("7"), None));
    assert_eq!(word(&parrot.write(update.clone(), 403, &[], "no such permit").await), "gone");
    assert_eq!(word(&parrot.write(delete.clone(), 403, &[], "no such permit").await), "noop");
    assert_eq!(word(&parrot.write(update.clone(), 403, &[], "not you").await), "rejected");
    assert_eq!(word(&parrot.write(update, 428, &[], "").await), "conflict");
    assert_eq!(word(&parrot.write(Target::Create, 428, &[], "").await), "rejected");
    assert_eq!(word(&parrot.write(delete, 204, &[], "").await), "applied");
}

#[tokio::test]
async fn a_key_that_is_being_worked_on_waits() {
    let body = "{\"title\":\"A request is outstanding for this Idempotency-Key\"}";
    let parrot = Parrot::new(|permits| permits["idempotency_key"] = json!({ "valid_for": "24h" })).await;
    let abilities = parrot.connector.abilities(&collection());
    assert_eq!(abilities.key_valid_for, Some(std::time::Duration::from_hours(24)));
    assert_eq!(word(&parrot.write(Target::Create, 409, &[], body).await), "later");
    assert_eq!(word(&parrot.write(Target::Create, 409, &[], "there already").await), "exists");
    assert_eq!(word(&parrot.write(Target::Create, 422, &[], body).await), "rejected", "a key used again");
    let own = json!({ "in_progress_when": [{ "status": 423 }] });
    let parrot = Parrot::new(|permits| permits["idempotency_key"] = own).await;
    assert_eq!(word(&parrot.write(Target::Create, 409, &[], body).await), "exists");
    let keyless = Parrot::new(|_| {}).await;
    assert_eq!(word(&keyless.write(Target::Create, 409, &[], body).await), "exists");
}
