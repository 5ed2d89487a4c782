//! Webhooks going out, as their receivers see them: by the official verifier.

use crate::sides::{collection, id, key, serve};
use axum::Router;
use axum::body::Bytes;
use axum::http::{HeaderMap, StatusCode};
use axum::response::IntoResponse;
use axum::routing::any;
use hms_sync_connector::{Connector, Target, WriteRequest};
use hms_sync_http::SubscriberConnector;
use hms_sync_model::{Outcome, SideName};
use serde_json::{Value as Json, json};
use standardwebhooks::Webhook;
use std::sync::{Arc, Mutex};
use std::time::Duration;

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const NEXT: &str = "whsec_ZGVtby1zZWNyZXQtZGVtby1zZWNyZXQ=";

/// What came, and what is answered.
#[derive(Default)]
struct Desk {
    came: Vec<(HeaderMap, Bytes)>,
    answer: Option<(u16, Option<(&'static str, &'static str)>)>,
}

type Shared = Arc<Mutex<Desk>>;

async fn subscriber(secret: Json) -> (SubscriberConnector, Shared) {
    let desk = Shared::default();
    let taken = Arc::clone(&desk);
    let handler = any(move |headers: HeaderMap, body: Bytes| async move {
        let mut desk = taken.lock().unwrap();
        desk.came.push((headers, body));
        let (status, header) = desk.answer.unwrap_or((204, None));
        let mut answer = StatusCode::from_u16(status).unwrap().into_response();
        if let Some((name, value)) = header {
            answer.headers_mut().insert(name, value.parse().unwrap());
        }
        answer
    });
    let url = serve(Router::new().route("/in/permits", handler)).await;
    let spec =
        serde_json::from_value(json!({ "url": format!("{url}/in/permits"), "timeout": "5s" })).unwrap();
    let secret = serde_json::from_value(secret).unwrap();
    let side = SideName::try_new("tenant").unwrap();
    (SubscriberConnector::new(&side, &spec, &secret).unwrap(), desk)
}

fn request(target: Target, n: u32) -> WriteRequest {
    let whole = json!({ "permit_no": "P-1", "status": "open" });
    let changed = json!({ "status": "open" });
    WriteRequest {
        collection: collection(),
        target,
        changed: changed.into(),
        whole: whole.into(),
        former: None,
        key: key(&format!("key-{n}")),
    }
}

fn last(desk: &Shared) -> (HeaderMap, Json) {
    let desk = desk.lock().unwrap();
    let (headers, body) = desk.came.last().unwrap();
    Webhook::new(SECRET).unwrap().verify(body, headers).unwrap();
    (headers.clone(), serde_json::from_slice(body).unwrap())
}

#[tokio::test]
async fn each_change_is_a_message_that_the_official_verifier_accepts() {
    let (subscriber, desk) = subscriber(json!(SECRET)).await;
    let Outcome::Applied(written) = subscriber.write(request(Target::Create, 1)).await else { panic!() };
    assert_eq!(written.id, id("key-1"), "the first message stands for the record");
    let (headers, body) = last(&desk);
    assert_eq!(headers["webhook-id"], "key-1");
    assert_eq!(headers["content-type"], "application/json");
    let data = json!({ "permit_no": "P-1", "status": "open" });
    assert_eq!(body, json!({ "type": "permit.created", "record": "key-1", "data": data }));
    let update = Target::Update(written.id.clone(), None);
    assert!(matches!(subscriber.write(request(update, 2)).await, Outcome::Applied(_)));
    assert_eq!(last(&desk).1, json!({ "type": "permit.updated", "record": "key-1", "data": data }));
    let delete = Target::Delete(written.id, None);
    assert!(matches!(subscriber.write(request(delete, 3)).await, Outcome::Applied(_)));
    let (headers, body) = last(&desk);
    assert_eq!((headers["webhook-id"].as_bytes(), &body["type"]), (&b"key-3"[..], &json!("permit.deleted")));
    assert_eq!(body["record"], "key-1");
}

#[tokio::test]
async fn every_try_carries_the_same_id_and_body() {
    let (subscriber, desk) = subscriber(json!(SECRET)).await;
    desk.lock().unwrap().answer = Some((500, None));
    for _ in 0..3 {
        let outcome = subscriber.write(request(Target::Create, 1)).await;
        assert!(matches!(outcome, Outcome::Unknown { .. }), "{outcome:?}");
    }
    let came = &desk.lock().unwrap().came;
    assert!(came.iter().all(|(headers, body)| headers["webhook-id"] == "key-1" && *body == came[0].1));
}

#[tokio::test]
async fn what_answers_mean() {
    let (subscriber, desk) = subscriber(json!(SECRET)).await;
    for (status, header, later) in [
        (429, Some(("retry-after", "7")), Some((Some(7), true))),
        (429, None, Some((None, true))),
        (503, Some(("retry-after", "9")), Some((Some(9), true))),
        (503, None, Some((None, false))),
        (400, None, Some((None, false))),
        (404, None, Some((None, false))),
        // Nobody goes where it points.
        (307, Some(("location", "/in/permits")), Some((None, false))),
        (502, None, None),
    ] {
        desk.lock().unwrap().answer = Some((status, header));
        let before = desk.lock().unwrap().came.len();
        let outcome = subscriber.write(request(Target::Create, 1)).await;
        match (&outcome, later) {
            (Outcome::RetryLater { after, side_wide, .. }, Some((seconds, all))) => {
                assert_eq!((*after, *side_wide), (seconds.map(Duration::from_secs), all), "{status}");
            }
            (Outcome::Unknown { .. }, None) => {}
            _ => panic!("{status}: {outcome:?}"),
        }
        assert_eq!(desk.lock().unwrap().came.len(), before + 1, "{status}");
    }
}

#[tokio::test]
async fn who_is_gone_is_left_alone_until_a_person_says_otherwise() {
    let (subscriber, desk) = subscriber(json!(SECRET)).await;
    desk.lock().unwrap().answer = Some((410, None));
    for n in 0..3 {
        let Outcome::Rejected { reason } = subscriber.write(request(Target::Create, n)).await else {
            panic!()
        };
        assert!(reason.contains("tenant wants no more webhooks"), "{reason}");
    }
    assert_eq!(desk.lock().unwrap().came.len(), 1, "only the first was sent");
    desk.lock().unwrap().answer = None;
    subscriber.released();
    assert!(matches!(subscriber.write(request(Target::Create, 0)).await, Outcome::Applied(_)));
}

#[tokio::test]
async fn while_a_secret_is_changed_either_verifies() {
    let (subscriber, desk) = subscriber(json!([NEXT, SECRET])).await;
    assert!(matches!(subscriber.write(request(Target::Create, 1)).await, Outcome::Applied(_)));
    let (headers, body) = desk.lock().unwrap().came.last().unwrap().clone();
    for secret in [SECRET, NEXT] {
        Webhook::new(secret).unwrap().verify(&body, &headers).unwrap();
    }
    Webhook::new("whsec_YW5vdGhlci1zZWNyZXQtYW5vdGhlcg==").unwrap().verify(&body, &headers).unwrap_err();
    assert!(!format!("{subscriber:?}").contains("MfKQ9r8G"));
}

#[tokio::test]
async fn a_subscriber_without_a_secret_is_none() {
    let spec = serde_json::from_value(json!({ "url": "http://127.0.0.1:1/" })).unwrap();
    let side = SideName::try_new("tenant").unwrap();
    for (secret, said) in [
        (json!(""), "webhooks are signed"),
        (json!("whsec_c2hvcnQ="), "too short"),
        (json!("whpk_11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo="), "is a public key"),
    ] {
        let secret = serde_json::from_value(secret).unwrap();
        let error = SubscriberConnector::new(&side, &spec, &secret).unwrap_err().to_string();
        assert!(error.contains(said), "{error} does not say {said}");
    }
}
