//! A double does what it is set to, and says truly what was done to it.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic_in_result_fn,
    reason = "tests may panic"
)]

use hms_sync_doubles::{BadAnswer, BadStore, Double, Down, Faults, Hook, Kind, Operation};
use reqwest::{Client, Response, StatusCode};
use serde_json::{Value as Json, json};
use std::time::Duration;

async fn get(double: &Double, path: &str) -> Response {
    request(double, Client::new().get(format!("{}{path}", double.url()))).await.unwrap()
}

async fn request(double: &Double, builder: reqwest::RequestBuilder) -> reqwest::Result<Response> {
    builder.header("authorization", double.kind().authorization()).send().await
}

async fn post(double: &Double, body: &Json, key: &str) -> reqwest::Result<Response> {
    let url = format!("{}{}", double.url(), double.kind().path());
    request(double, Client::new().post(url).header("idempotency-key", key).json(body)).await
}

#[tokio::test]
async fn the_clerk_lists_by_time_and_keeps_versions() {
    let clerk = Double::clerk().await.unwrap();
    clerk.seed_records(1, 25);
    let page: Json = get(&clerk, "/permits?offset=20&limit=10").await.json().await.unwrap();
    assert_eq!((page["items"].as_array().unwrap().len(), &page["total"]), (5, &json!(25)));
    let since = page["items"][3]["updated_at"].as_str().unwrap();
    let rest: Json = get(&clerk, &format!("/permits?since={since}")).await.json().await.unwrap();
    assert_eq!(rest["items"].as_array().unwrap().len(), 2, "since is inclusive");
    let found: Json = get(&clerk, "/permits?permit_no=P-000007").await.json().await.unwrap();
    assert_eq!(found["items"][0]["id"], json!(7));

    let one = get(&clerk, "/permits/7").await;
    let tag = one.headers()["etag"].clone();
    clerk.update("7", &json!({ "location": { "address": "9 Side Street" } })).unwrap();
    let url = format!("{}/permits/7", clerk.url());
    let stale = Client::new().patch(&url).header("if-match", tag).json(&json!({ "status": "approved" }));
    assert_eq!(request(&clerk, stale).await.unwrap().status(), StatusCode::PRECONDITION_FAILED);
    let unknown = Client::new().patch(&url).json(&json!({ "status": "lost" }));
    assert_eq!(request(&clerk, unknown).await.unwrap().status(), StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(Client::new().get(&url).send().await.unwrap().status(), StatusCode::UNAUTHORIZED);
    assert!(clerk.effects().is_empty(), "users' edits and refused writes are no effects");
}

#[tokio::test]
async fn the_marshal_answers_a_bare_list() {
    let marshal = Double::marshal().await.unwrap();
    let made = post(&marshal, &Kind::Marshal.sample(1), "k1").await.unwrap();
    assert_eq!(made.status(), StatusCode::CREATED);
    let again: Json = post(&marshal, &Kind::Marshal.sample(1), "k1").await.unwrap().json().await.unwrap();
    assert_eq!(again["id"], "INS-1");
    post(&marshal, &Kind::Marshal.sample(1), "k2").await.unwrap();
    let list: Json = get(&marshal, "/inspections").await.json().await.unwrap();
    assert_eq!(list.as_array().unwrap().len(), 2);
    assert!(list[0]["updatedAt"].is_u64());
    let effects = marshal.effects();
    assert_eq!((effects.len(), marshal.doubled()), (2, 1));
    assert_eq!((effects[0].operation, effects[0].key.as_deref()), (Operation::Create, Some("k1")));
    assert_eq!(marshal.find("P-000001").len(), 2);
}

#[tokio::test]
async fn faults_before_and_after_the_write() {
    let marshal = Double::marshal().await.unwrap();
    let body = Kind::Marshal.sample(1);
    marshal.set_faults(Faults { unavailable: 1.0, ..Faults::default() });
    assert_eq!(post(&marshal, &body, "a").await.unwrap().status(), StatusCode::SERVICE_UNAVAILABLE);
    assert!(marshal.is_empty());
    marshal.set_faults(Faults { lost: 1.0, ..Faults::default() });
    post(&marshal, &body, "a").await.unwrap_err();
    assert_eq!(marshal.len(), 1);
    marshal.set_faults(Faults { rate_limit: Some(10), ..Faults::default() });
    let mut limited = 0;
    for _ in 0..5 {
        let answer = get(&marshal, "/inspections").await;
        if answer.status() == StatusCode::TOO_MANY_REQUESTS {
            assert_eq!(answer.headers()["retry-after"], "1");
            limited += 1;
        }
    }
    assert!(limited >= 3, "{limited} of 5 within a tenth of a second");
    marshal.faults(|faults| faults.rate_limit = None);
    assert_eq!(get(&marshal, "/inspections").await.status(), StatusCode::OK);
    assert_eq!(marshal.counts().unavailable + marshal.counts().lost, 2);
}

#[tokio::test]
async fn goes_down_and_comes_back() {
    let clerk = Double::clerk().await.unwrap();
    let client = Client::new();
    let ask = || request(&clerk, client.get(format!("{}/permits", clerk.url())));
    ask().await.unwrap();
    for down in [Down::Refused, Down::Dropped] {
        clerk.faults(|faults| faults.down = Some(down));
        let mut error = ask().await.unwrap_err();
        while down == Down::Refused && !error.is_connect() {
            error = ask().await.unwrap_err();
        }
        clerk.faults(|faults| faults.down = None);
        while ask().await.is_err() {
            tokio::task::yield_now().await;
        }
    }
    clerk.faults(|faults| (faults.down, faults.back_after_ms) = (Some(Down::Refused), Some(20)));
    ask().await.unwrap_err();
    while ask().await.is_err() {
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

#[tokio::test]
async fn bad_answers_and_bad_stores() {
    let clerk = Double::clerk().await.unwrap();
    clerk.seed_records(1, 3);
    let text = async |answer| {
        clerk.faults(|faults| faults.answer = Some(answer));
        get(&clerk, "/permits?offset=2&limit=2").await.text().await.unwrap()
    };
    assert!(text(BadAnswer::Html).await.starts_with("<html>"));
    assert_eq!(text(BadAnswer::Huge(3_000_000)).await.len(), 3_000_000);
    assert_eq!(text(BadAnswer::Deep(10_000)).await.len(), 20_000);
    assert!(serde_json::from_str::<Json>(&text(BadAnswer::Truncated).await).is_err());
    assert!(!text(BadAnswer::WithoutId).await.contains("\"id\""));
    assert_eq!(text(BadAnswer::DuplicateIds).await.matches("\"id\"").count(), 2);
    assert_eq!(text(BadAnswer::Endless).await.matches("\"id\"").count(), 2);
    clerk.set_faults(Faults { store: Some(BadStore::Uppercase), ..Faults::default() });
    let url = format!("{}/permits/1", clerk.url());
    let patch = || request(&clerk, Client::new().patch(&url).json(&json!({ "applicant": "Ann" })));
    let stored: Json = patch().await.unwrap().json().await.unwrap();
    assert_eq!(stored["applicant"], "ANN");
    clerk.faults(|faults| faults.store = Some(BadStore::KeepOld));
    let stored: Json = patch().await.unwrap().json().await.unwrap();
    assert_eq!(stored["applicant"], "ANN");
}

#[tokio::test]
async fn another_process_can_do_the_same() {
    let clerk = Double::clerk().await.unwrap();
    let url = |path: &str| format!("{}/_double/{path}", clerk.url());
    let client = Client::new();
    let edit = json!({ "operation": "create", "body": Kind::Clerk.sample(1) });
    assert!(client.post(url("edits")).json(&edit).send().await.unwrap().status().is_success());
    let faults = json!({ "unavailable": 0.5, "answer": { "huge": 5 } });
    assert!(client.put(url("faults")).json(&faults).send().await.unwrap().status().is_success());
    let wrong = json!({ "unavailble": 0.5 });
    assert_eq!(
        client.put(url("faults")).json(&wrong).send().await.unwrap().status(),
        StatusCode::BAD_REQUEST
    );
    let summary: Json = client.get(url("summary")).send().await.unwrap().json().await.unwrap();
    assert_eq!((&summary["records"], &summary["doubled"]), (&json!(1), &json!(0)));
    let records: Json = client.get(url("records")).send().await.unwrap().json().await.unwrap();
    assert_eq!(records[0]["permit_no"], "P-000001");
}

#[tokio::test]
async fn users_edits_go_out_signed_and_in_order() {
    let receiver = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let secret = "whsec_ZGVtby1zZWNyZXQtZGVtby1zZWNyZXQ=";
    let url = format!("http://{}/hooks/clerk", receiver.local_addr().unwrap());
    let clerk = Double::clerk().await.unwrap();
    assert!(clerk.set_hook(Some(&Hook { url: "ftp://x".into(), secret: secret.into() })).is_err());
    clerk.set_hook(Some(&Hook { url, secret: secret.into() })).unwrap();
    let id = clerk.create(&Kind::Clerk.sample(1)).unwrap();
    clerk.update(&id, &json!({ "status": "approved" })).unwrap();
    clerk.delete(&id).unwrap();

    let (stream, _) = receiver.accept().await.unwrap();
    let (seen, mut messages) = tokio::sync::mpsc::unbounded_channel();
    let service = hyper::service::service_fn(move |request: http::Request<hyper::body::Incoming>| {
        let seen = seen.clone();
        async move {
            let (parts, body) = request.into_parts();
            let body = http_body_util::BodyExt::collect(body).await?.to_bytes();
            standardwebhooks::Webhook::new(secret).unwrap().verify(&body, &parts.headers).unwrap();
            seen.send(serde_json::from_slice::<Json>(&body).unwrap()).unwrap();
            Ok::<_, hyper::Error>(http::Response::new(String::new()))
        }
    });
    let io = hyper_util::rt::TokioIo::new(stream);
    tokio::spawn(hyper::server::conn::http1::Builder::new().serve_connection(io, service));
    for (event, status) in [("created", Some("pending")), ("updated", Some("approved")), ("deleted", None)] {
        let message = messages.recv().await.unwrap();
        assert_eq!(message["type"], format!("permit.{event}"));
        assert_eq!(message["data"]["status"].as_str(), status);
        assert_eq!(message["data"]["id"].to_string(), id);
    }
}
