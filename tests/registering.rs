//! The promise of a registration: a side that wants to be asked for its webhooks is asked
//! once, and again before it stops sending them, also over restarts.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, reason = "tests may panic")]

use axum::Json as Answer;
use axum::extract::State;
use axum::routing::{get, patch, post};
use hms_sync::{Running, Sync};
use hms_sync_tests::until;
use serde_json::{Value as Json, json};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// How often it was asked.
#[derive(Clone, Default)]
struct Asked {
    anew: Arc<AtomicUsize>,
    again: Arc<AtomicUsize>,
}

/// What is subscribed to ends in less than a second.
fn soon() -> Answer<Json> {
    let ends = std::time::SystemTime::now() + std::time::Duration::from_millis(200);
    let ends = ends.duration_since(std::time::UNIX_EPOCH).unwrap().as_millis();
    Answer(json!({ "id": "s-1", "ends": u64::try_from(ends).unwrap() }))
}

async fn side(asked: Asked) -> String {
    let router = axum::Router::new()
        .route("/permits", get(|| async { Answer(json!([])) }))
        .route(
            "/subscriptions",
            post(|State(asked): State<Asked>| async move {
                asked.anew.fetch_add(1, Ordering::Relaxed);
                soon()
            }),
        )
        .route(
            "/subscriptions/s-1",
            patch(|State(asked): State<Asked>| async move {
                asked.again.fetch_add(1, Ordering::Relaxed);
                soon()
            }),
        )
        .with_state(asked);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, router).await });
    url
}

async fn start(url: &str, data: &Path) -> Running {
    let yaml = format!(
        "sync: Registering
data_dir: {data}
management: 127.0.0.1:0
sides:
  a: {{ connector: http, url: '{url}' }}
  b: {{ connector: http, url: '{url}' }}
collections:
  permit:
    identity: [no]
    sides:
      a:
        read: {{ path: /permits }}
        webhook:
          path: /hooks/a
          secret: whsec_ZGVtby1zZWNyZXQtZGVtby1zZWNyZXQ=
          subscribe:
            callback_url: https://sync.example/hooks/a
            create: {{ method: POST, path: /subscriptions, json: {{ url: '{{{{ callback_url }}}}' }} }}
            renew: {{ method: PATCH, path: '/subscriptions/{{{{ id }}}}' }}
            expires: ends
      b: {{ read: {{ path: /permits }} }}
    fields:
      no: {{ type: string, a: {{ path: no, direction: from_side }}, b: {{ path: no, direction: from_side }} }}
",
        data = data.display(),
    );
    Sync::from_yaml(&yaml, &|_| None).await.expect("the sync starts")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_side_is_asked_once_and_then_to_go_on() {
    let (folder, asked) = (tempfile::tempdir().unwrap(), Asked::default());
    let url = side(asked.clone()).await;
    let count = |of: &AtomicUsize| of.load(Ordering::Relaxed);
    for _ in 0..2 {
        let before = count(&asked.again);
        let sync = start(&url, folder.path()).await;
        until("it is asked to go on", 20, || async { (count(&asked.again) >= before + 2).then_some(()) })
            .await;
        sync.stop().await.unwrap();
    }
    assert_eq!(count(&asked.anew), 1, "a restart asks for nothing twice");
}
