//! The promise about deletes and refusals: a mass delete waits for a person, a
//! single one passes, and a record that a side refuses delays only itself.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, reason = "tests may panic")]

use axum::body::{Bytes, to_bytes};
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use hms_sync_doubles::{Double, Operation};
use hms_sync_management::ParkedItem;
use hms_sync_model::Released;
use hms_sync_tests::{Pair, until};
use serde_json::json;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

fn deletes(double: &Double) -> usize {
    double.effects().iter().filter(|effect| effect.operation == Operation::Delete).count()
}

/// Users delete these; the guard holds them back.
async fn held(pair: &Pair, ids: std::ops::RangeInclusive<u64>) -> ParkedItem {
    for id in ids {
        pair.clerk.delete(&id.to_string()).unwrap();
    }
    let item = until("the deletes are held", 20, || async { pair.parked().await.pop() }).await;
    assert!(item.record.contains("clerk"), "{item:?} does not name the side");
    assert!(pair.listing("clerk").await.held.is_some());
    pair.full_round().await;
    assert_eq!(deletes(&pair.marshal), 0);
    item
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_single_delete_propagates() {
    let pair = Pair::start(30).await;
    pair.clerk.delete("7").unwrap();
    until("it is deleted", 20, || async { (pair.marshal.find("P-000007").is_empty()).then_some(()) }).await;
    pair.settle("equal").await;
    assert_eq!((deletes(&pair.marshal), pair.marshal.len()), (1, 29));
    assert!(pair.parked().await.is_empty());
    pair.sync.stop().await.unwrap();
}

/// What a filter leaves out, or lies outside the range that is read, is not gone; what is
/// gone still is.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_passed_over_is_neither_deleted_nor_held() {
    let pair = Pair::start(30).await;
    let (plain, since) =
        ("record_selector: { field_path: [items] }", "start_time_option: { field_name: since }");
    let filtered =
        "record_selector: { field_path: [items], record_filter: { condition: \"record.id > 25\" } }";
    let ranged = format!("{since}, start_datetime: \"2100-01-01T00:00:00Z\"");
    let pair = pair.reconfigured(|yaml| yaml.replacen(since, &ranged, 1)).await;
    pair.full_round().await;
    assert!(pair.parked().await.is_empty(), "outside the range");
    let pair = pair.reconfigured(|yaml| yaml.replacen(plain, filtered, 1)).await;
    pair.full_round().await;
    assert!(pair.parked().await.is_empty(), "left out by the filter");
    assert_eq!((deletes(&pair.marshal), pair.marshal.len()), (0, 30));
    pair.clerk.delete("7").unwrap();
    until("one that is gone is deleted", 20, || async {
        (pair.marshal.find("P-000007").is_empty()).then_some(())
    })
    .await;
    assert_eq!((deletes(&pair.marshal), pair.marshal.len()), (1, 29));
    pair.sync.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_empty_listing_deletes_nothing_and_replay_lets_it_pass() {
    let pair = Pair::start(30).await;
    let item = held(&pair, 1..=30).await;
    assert_eq!(pair.marshal.len(), 30);
    pair.release(&item.record, Released::Replay).await;
    until("all are deleted", 20, || async { pair.marshal.is_empty().then_some(()) }).await;
    assert_eq!(deletes(&pair.marshal), 30);
    pair.sync.stop().await.unwrap();
}

/// An empty listing may be configured to mean nothing, or what it says.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_empty_listing_is_worth_what_is_configured() {
    let pair = Pair::start(4).await;
    let on_empty = |word: &'static str| {
        move |yaml: &str| {
            yaml.replacen("path: /permits\n", &format!("path: /permits\n          on_empty: {word}\n"), 1)
        }
    };
    let pair = pair.reconfigured(on_empty("skip")).await;
    (1..=4).for_each(|id| pair.clerk.delete(&id.to_string()).unwrap());
    pair.full_round().await;
    assert!(pair.parked().await.is_empty(), "nothing is even held");
    assert_eq!((deletes(&pair.marshal), pair.marshal.len()), (0, 4));
    let pair = pair.reconfigured(on_empty("sync")).await;
    until("all are deleted", 20, || async { pair.marshal.is_empty().then_some(()) }).await;
    assert_eq!(deletes(&pair.marshal), 4);
    pair.sync.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_mass_delete_waits_while_edits_go_on_and_discard_leaves_the_records() {
    let pair = Pair::start(30).await;
    let item = held(&pair, 1..=12).await;
    let named = "showed 12 of 30 records no more (1, 10, 11, 12, 2, 3, 4, 5, 6, 7, 2 more); replay";
    assert!(item.words.contains(named), "{}", item.words);
    pair.clerk.update("20", &json!({ "notes": "meanwhile" })).unwrap();
    until("edits go on", 20, || async {
        (pair.marshal.find("P-000020")[0]["remarks"] == "meanwhile").then_some(())
    })
    .await;
    pair.release(&item.record, Released::Discard).await;
    pair.full_round().await;
    assert_eq!((deletes(&pair.marshal), pair.marshal.len()), (0, 30));
    pair.sync.stop().await.unwrap();
}

/// What stands before the marshal and refuses one permit until it is mended.
#[derive(Debug, Clone)]
struct Porter {
    marshal: String,
    mended: Arc<AtomicBool>,
    refused: Arc<AtomicUsize>,
    http: reqwest::Client,
}

async fn porter(State(porter): State<Porter>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let body: Bytes = to_bytes(body, 1 << 20).await.unwrap();
    if String::from_utf8_lossy(&body).contains("P-000004") && !porter.mended.load(Ordering::SeqCst) {
        porter.refused.fetch_add(1, Ordering::SeqCst);
        let words = r#"{"error":"the district of this permit is closed"}"#;
        return (StatusCode::UNPROCESSABLE_ENTITY, words).into_response();
    }
    let path = parts.uri.path_and_query().map_or("/", |path| path.as_str());
    let method = reqwest::Method::from_bytes(parts.method.as_str().as_bytes()).unwrap();
    let mut onward = porter.http.request(method, format!("{}{path}", porter.marshal)).body(body);
    for (name, value) in
        parts.headers.iter().filter(|(name, _)| !matches!(name.as_str(), "host" | "content-length"))
    {
        onward = onward.header(name.as_str(), value.as_bytes());
    }
    match onward.send().await {
        Ok(answer) => {
            let status = StatusCode::from_u16(answer.status().as_u16()).unwrap();
            (status, [("content-type", "application/json")], answer.bytes().await.unwrap()).into_response()
        }
        Err(_) => StatusCode::BAD_GATEWAY.into_response(),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refused_record_delays_only_itself_and_is_parked_with_the_words_of_the_side() {
    let (clerk, marshal) = (Double::clerk().await.unwrap(), Double::marshal().await.unwrap());
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let at = Porter { marshal: marshal.url(), mended: Arc::default(), refused: Arc::default(), http };
    let door = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", door.local_addr().unwrap());
    let app = axum::Router::new().fallback(porter).with_state(at.clone());
    let serving = tokio::spawn(async move { axum::serve(door, app).await });
    clerk.seed_records(1, 20);
    let pair = Pair::between(clerk, marshal, url).await;
    until("the others arrive", 20, || async { (pair.marshal.len() == 19).then_some(()) }).await;
    let item = until("it is parked", 20, || async { pair.parked().await.pop() }).await;
    assert!(item.words.contains("the district of this permit is closed"), "{item:?}");
    assert_eq!((item.title.as_str(), item.lane.as_str()), ("P-000004", "marshal"));
    let refused = at.refused.load(Ordering::SeqCst);
    pair.full_round().await;
    assert_eq!(at.refused.load(Ordering::SeqCst), refused, "it rests");
    at.mended.store(true, Ordering::SeqCst);
    assert_eq!(pair.release("permit/P-000004", Released::Replay).await, 1);
    pair.settle("it is delivered").await;
    assert_eq!((pair.marshal.len(), pair.marshal.doubled()), (20, 0));
    assert!(pair.parked().await.is_empty());
    pair.sync.stop().await.unwrap();
    serving.abort();
}
