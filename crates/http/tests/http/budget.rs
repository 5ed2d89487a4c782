//! The budget, by the side's own count.

use crate::sides::{collection, connector, first, key, serve, try_connector};
use axum::Router;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use hms_sync_connector::{Connector, ReadError, Shaped, Target, WriteRequest};
use hms_sync_http::HttpConnector;
use hms_sync_model::Outcome;
use serde_json::{Value as Json, json};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

type Came = Arc<Mutex<Vec<(Instant, String)>>>;

/// Notes when what came; with `reset`, says how many are left.
async fn side(reset: Option<u64>) -> (String, Came) {
    async fn handle(State((came, reset)): State<(Came, Option<u64>)>, request: Request) -> Response {
        let mut came = came.lock().unwrap();
        came.push((Instant::now(), request.method().to_string()));
        let body = if request.method() == "GET" { "[]" } else { "{\"id\":1}" };
        match reset {
            // Three requests, and then none.
            Some(seconds) if came.len() <= 3 => {
                let left = (3 - came.len()).to_string();
                ([("ratelimit-remaining", left), ("ratelimit-reset", seconds.to_string())], body)
                    .into_response()
            }
            Some(_) => (StatusCode::TOO_MANY_REQUESTS, [("ratelimit-reset", "7200")], "").into_response(),
            None => body.into_response(),
        }
    }
    let came = Came::default();
    let url = serve(Router::new().fallback(handle).with_state((Arc::clone(&came), reset))).await;
    (url, came)
}

fn of(url: &str, budget: &Json) -> Arc<HttpConnector> {
    let side = json!({ "url": url, "api_budget": budget });
    Arc::new(connector(
        &side,
        &json!({ "read": { "path": "/p" }, "create": { "method": "POST", "path": "/p" } }),
    ))
}

async fn write(connector: &HttpConnector) -> Outcome {
    let fields = Shaped::from(json!({ "a": 1 }));
    let (changed, whole) = (fields.clone(), fields);
    let target = Target::Create;
    connector
        .write(WriteRequest { collection: collection(), target, changed, whole, former: None, key: key("k") })
        .await
}

/// The most that came in any `window`.
fn busiest(came: &[(Instant, String)], window: Duration) -> usize {
    let at = |n: usize| came[n].0;
    (0..came.len())
        .map(|n| (n..came.len()).take_while(|m| at(*m) - at(n) < window).count())
        .max()
        .unwrap_or(0)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_window_ever_has_more_and_hardly_less() {
    const SECONDS: u32 = 3;
    let (url, came) = side(None).await;
    let budget = json!({ "type": "HTTPAPIBudget", "policies": [
        { "type": "MovingWindowCallRatePolicy", "rates": [{ "limit": 500, "interval": "PT1S" }], "matchers": [] },
    ] });
    let connector = of(&url, &budget);
    let until = Instant::now() + Duration::from_secs(SECONDS.into());
    let all: Vec<_> = (0..32)
        .map(|n| {
            let connector = Arc::clone(&connector);
            tokio::spawn(async move {
                while Instant::now() < until {
                    if n % 4 == 0 {
                        first(&connector).await.unwrap();
                    } else {
                        assert!(matches!(write(&connector).await, Outcome::Applied(_)));
                    }
                }
            })
        })
        .collect();
    for one in all {
        one.await.unwrap();
    }
    let came = came.lock().unwrap();
    assert_eq!(busiest(&came, Duration::from_secs(1)), 500);
    let within = came.iter().filter(|(at, _)| *at < until).count();
    // The share of what three windows allow.
    assert!(within * 100 >= 500 * SECONDS as usize * 95, "{within} in {SECONDS} s");
}

#[tokio::test]
async fn a_fixed_window_of_which_nobody_says_when_is_kept_anywhere() {
    let (url, came) = side(None).await;
    let connector = of(
        &url,
        &json!({ "policies": [
        { "type": "FixedWindowCallRatePolicy", "period": "300ms", "call_limit": 5 },
    ] }),
    );
    for _ in 0..17 {
        first(&connector).await.unwrap();
    }
    assert_eq!(busiest(&came.lock().unwrap(), Duration::from_millis(300)), 5);
}

/// People's changes go before a listing that was there first.
#[tokio::test]
async fn writes_go_first() {
    let (url, came) = side(None).await;
    let connector = of(
        &url,
        &json!({ "policies": [
        { "type": "moving_window", "rates": [{ "limit": 2, "interval": "400ms" }] },
    ] }),
    );
    let spawn = |writes: bool| {
        let connector = Arc::clone(&connector);
        tokio::spawn(async move {
            if writes {
                assert!(matches!(write(&connector).await, Outcome::Applied(_)));
            } else {
                first(&connector).await.unwrap();
            }
        })
    };
    let mut all: Vec<_> = (0..6).map(|_| spawn(false)).collect();
    while came.lock().unwrap().len() < 2 {
        tokio::task::yield_now().await;
    }
    all.extend((0..4).map(|_| spawn(true)));
    for one in all {
        one.await.unwrap();
    }
    let methods: Vec<String> = came.lock().unwrap().iter().map(|(_, method)| method.clone()).collect();
    assert_eq!(methods, ["GET", "GET", "POST", "POST", "POST", "POST", "GET", "GET", "GET", "GET"]);
}

#[tokio::test]
async fn what_the_side_says_is_left_is_kept() {
    let (url, came) = side(Some(1)).await;
    let connector = of(&url, &json!({ "policies": [] }));
    for _ in 0..3 {
        first(&connector).await.unwrap();
    }
    let held = Instant::now();
    // The fourth waits until the side counts anew; then the side says: not for two hours.
    let error = first(&connector).await.unwrap_err();
    assert!(held.elapsed() >= Duration::from_millis(500), "{:?}", held.elapsed());
    let ReadError::Later { after, .. } = error else { panic!("{error:?}") };
    assert_eq!(after, Some(Duration::from_hours(1)), "an hour at most");
    assert_eq!(came.lock().unwrap().len(), 4);
    // Nobody waits an hour in line: it is told, and nothing is sent.
    let outcome = write(&connector).await;
    let Outcome::RetryLater { reason, after: Some(after), side_wide: true } = outcome else {
        panic!("{outcome:?}")
    };
    assert!(after > Duration::from_mins(59), "{after:?}");
    assert!(reason.contains("takes no more requests for 59m"), "{reason}");
    assert_eq!(came.lock().unwrap().len(), 4);
}

#[tokio::test]
async fn policies_are_for_the_methods_they_name() {
    let (url, came) = side(None).await;
    let connector = of(
        &url,
        &json!({ "policies": [
        { "type": "UnlimitedCallRatePolicy", "matchers": [{ "method": "GET" }] },
        { "type": "moving_window", "rates": [{ "limit": 1, "interval": "1h" }] },
    ] }),
    );
    for _ in 0..20 {
        first(&connector).await.unwrap();
    }
    assert!(matches!(write(&connector).await, Outcome::Applied(_)));
    assert!(matches!(write(&connector).await, Outcome::RetryLater { .. }));
    assert_eq!(came.lock().unwrap().len(), 21);
    for (policy, told) in [
        (
            json!({ "type": "fixed_window", "period": "1s", "call_limit": 0 }),
            "`api_budget.policies.1.call_limit`: must be 1",
        ),
        (
            json!({ "type": "moving_window", "rates": [], "matchers": [{ "method": "FLY" }] }),
            "`FLY` is no method",
        ),
        (
            json!({ "type": "unlimited", "matchers": [{ "url_path_pattern": "/x(?=y)" }] }),
            "the pattern cannot be used: look-around",
        ),
        (
            json!({ "type": "fixed_window", "period": "1s", "call_limit": 5, "matchers": [{}, { "weight": 6 }] }),
            "`api_budget.policies.1.matchers`: a `weight` of 6 is more than its policy ever has",
        ),
        (
            json!({ "type": "moving_window", "rates": [{ "limit": 9, "interval": "1s" }, { "limit": 3, "interval": "1ms" }],
                "matchers": [{ "weight": 4 }] }),
            "would wait for ever: it has 3",
        ),
        (json!({ "type": "unlimited", "matchers": [{ "weight": 0 }] }), "a `weight` is 1 at least"),
    ] {
        let side = json!({ "url": url, "api_budget": { "policies": [policy] } });
        let why = try_connector(&side, &json!({ "read": { "path": "/p" } })).unwrap_err();
        assert!(why.contains(told), "{why}");
    }
}

/// A request counts as the first matcher that is for it says; what has no room for it waits.
#[tokio::test]
async fn a_request_counts_by_its_weight() {
    let (url, came) = side(None).await;
    let matchers =
        json!([{ "method": "POST", "weight": 3 }, { "weight": 2 }, { "method": "GET", "weight": 9 }]);
    let policy =
        json!({ "type": "moving_window", "rates": [{ "limit": 9, "interval": "1h" }], "matchers": matchers });
    let connector = of(&url, &json!({ "policies": [policy] }));
    first(&connector).await.unwrap();
    assert!(matches!(write(&connector).await, Outcome::Applied(_)));
    first(&connector).await.unwrap();
    // Seven of nine are taken: there is room for one that counts as two, and none for one of three.
    assert!(matches!(write(&connector).await, Outcome::RetryLater { .. }));
    first(&connector).await.unwrap();
    assert!(matches!(first(&connector).await, Err(ReadError::Later { .. })));
    assert_eq!(came.lock().unwrap().len(), 4);
}

/// What the side says is left is counted in the same: two are too few for one that counts as three.
#[tokio::test]
async fn what_is_left_is_enough_for_the_weight_of_a_request_or_not() {
    let (url, came) = side(Some(7_200)).await;
    let policy = json!({ "type": "moving_window", "rates": [{ "limit": 100, "interval": "1h" }],
        "matchers": [{ "method": "POST", "weight": 3 }, {}] });
    let connector = of(&url, &json!({ "policies": [policy] }));
    first(&connector).await.unwrap();
    assert!(matches!(write(&connector).await, Outcome::RetryLater { .. }));
    first(&connector).await.unwrap();
    let came: Vec<String> = came.lock().unwrap().iter().map(|(_, method)| method.clone()).collect();
    assert_eq!(came, ["GET", "GET"]);
}

/// By the side's own count no window has more than its limit, however heavy the requests are.
#[tokio::test]
async fn heavy_requests_wait_for_as_much_room_as_they_take() {
    const WINDOW: Duration = Duration::from_millis(300);
    let (url, came) = side(None).await;
    let matchers = json!([{ "method": "POST", "weight": 3 }, { "method": "GET" }]);
    let policy = json!({ "type": "fixed_window", "period": "300ms", "call_limit": 4, "matchers": matchers });
    let connector = of(&url, &json!({ "policies": [policy] }));
    let all = (0..12).map(|n| {
        let connector = Arc::clone(&connector);
        tokio::spawn(async move {
            if n % 3 == 0 {
                assert!(matches!(write(&connector).await, Outcome::Applied(_)));
            } else {
                first(&connector).await.unwrap();
            }
        })
    });
    for one in all.collect::<Vec<_>>() {
        one.await.unwrap();
    }
    let came = came.lock().unwrap();
    assert_eq!(came.len(), 12);
    for (began, _) in came.iter() {
        let within = came.iter().filter(|(at, _)| *at >= *began && *at < *began + WINDOW);
        let heard: usize = within.map(|(_, method)| if method == "POST" { 3 } else { 1 }).sum();
        assert!(heard <= 4, "{heard}");
    }
}

/// What came, by method and path.
async fn counting() -> (String, Arc<Mutex<BTreeMap<String, usize>>>) {
    type Counts = Arc<Mutex<BTreeMap<String, usize>>>;
    async fn handle(State(counts): State<Counts>, request: Request) -> &'static str {
        let what = format!("{} {}", request.method(), request.uri().path());
        *counts.lock().unwrap().entry(what).or_default() += 1;
        if request.uri().path().contains("search") { "[]" } else { "{\"id\":1}" }
    }
    let counts = Counts::default();
    let url = serve(Router::new().fallback(handle).with_state(Arc::clone(&counts))).await;
    (url, counts)
}

/// Listings and writes are both `POST`: only what the matcher says tells them apart.
#[tokio::test]
async fn policies_are_for_the_paths_parameters_and_headers_they_name() {
    for (matcher, held) in [
        (json!({ "url_path_pattern": "^/v1/search$" }), true),
        (json!({ "method": "POST", "params": { "kind": "all" } }), true),
        (json!({ "headers": { "X-Tier": "bulk" } }), true),
        (json!({ "url_path_pattern": "^/search$" }), false),
        (json!({ "url_path_pattern": "search", "params": { "kind": "some" } }), false),
    ] {
        let (url, counts) = counting().await;
        let side = json!({ "url": format!("{url}/v1"), "api_budget": { "policies": [
            { "type": "moving_window", "rates": [{ "limit": 1, "interval": "1h" }], "matchers": [matcher] },
        ] } });
        let read = json!({ "path": "/search", "http_method": "POST", "request_parameters": { "kind": "all" },
            "request_headers": { "X-Tier": "bulk" } });
        let create = json!({ "method": "POST", "path": "/things" });
        let connector = connector(&side, &json!({ "read": read, "create": create }));
        for _ in 0..5 {
            assert!(matches!(write(&connector).await, Outcome::Applied(_)), "{matcher}");
        }
        first(&connector).await.unwrap();
        let again = first(&connector).await;
        assert_eq!(matches!(again, Err(ReadError::Later { .. })), held, "{matcher}: {again:?}");
        assert!(matches!(write(&connector).await, Outcome::Applied(_)), "{matcher}");
        let counts = counts.lock().unwrap();
        assert_eq!(counts["POST /v1/things"], 6, "{matcher}");
        assert_eq!(counts["POST /v1/search"], if held { 1 } else { 2 }, "{matcher}");
    }
}
