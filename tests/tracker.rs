//! The promise of sub-collections: a parent whose children cannot be read stops no other, and
//! nothing below it is taken for gone; records of several routers and several kinds of parents
//! are all listed; a key of several parts is one id both ways.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, reason = "tests may panic")]

use axum::Router;
use axum::body::{Bytes, to_bytes};
use axum::extract::{Request, State};
use axum::http::{Method, StatusCode};
use hms_sync::{Running, Sync};
use hms_sync_doubles::Double;
use hms_sync_tests::until;
use serde_json::{Value as Json, json};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use tempfile::TempDir;

/// A tracker: boards with lines, each known by its board and its number.
#[derive(Debug, Clone, Default)]
struct Tracker(Arc<Mutex<Shelf>>);

#[derive(Debug, Default)]
struct Shelf {
    lines: BTreeMap<(String, u64), Json>,
    /// Boards whose lines are answered with this status.
    refused: BTreeMap<String, u16>,
}

impl Tracker {
    async fn serve(&self) -> String {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let router = Router::new().fallback(handle).with_state(self.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        url
    }

    fn put(&self, board: &str, no: u64, text: &str) {
        let line = json!({ "board": board, "no": no, "text": text });
        self.0.lock().unwrap().lines.insert((board.to_owned(), no), line);
    }

    fn remove(&self, board: &str, no: u64) {
        self.0.lock().unwrap().lines.remove(&(board.to_owned(), no));
    }

    fn refuse(&self, board: &str, status: Option<u16>) {
        let refused = &mut self.0.lock().unwrap().refused;
        match status {
            Some(status) => drop(refused.insert(board.to_owned(), status)),
            None => drop(refused.remove(board)),
        }
    }

    fn text(&self, board: &str, no: u64) -> Option<String> {
        Some(self.0.lock().unwrap().lines.get(&(board.to_owned(), no))?["text"].as_str()?.to_owned())
    }

    fn answer(&self, method: &Method, path: &str, body: &Bytes) -> (StatusCode, String) {
        let shelf = &mut *self.0.lock().unwrap();
        let parts: Vec<String> =
            path.trim_matches('/').split('/').map(|part| part.replace("%2F", "/")).collect();
        let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
        let found = |json: Json| (StatusCode::OK, json.to_string());
        match (method.as_str(), parts.as_slice()) {
            ("GET", ["boards"]) => {
                let boards: BTreeSet<&String> = shelf.lines.keys().map(|(board, _)| board).collect();
                found(boards.into_iter().map(|board| json!({ "name": board })).collect())
            }
            ("GET", ["boards", board, "lines"]) => match shelf.refused.get(*board) {
                Some(status) => (StatusCode::from_u16(*status).unwrap(), "not you".to_owned()),
                None => found(
                    shelf.lines.iter().filter(|((of, _), _)| of == board).map(|(_, l)| l.clone()).collect(),
                ),
            },
            ("POST", ["lines"]) => {
                let line: Json = serde_json::from_slice(body).unwrap();
                let key = (line["board"].as_str().unwrap().to_owned(), line["no"].as_u64().unwrap());
                shelf.lines.insert(key, line);
                (StatusCode::CREATED, String::new())
            }
            (method, ["boards", board, "lines", no]) => {
                let key = ((*board).to_owned(), no.parse().unwrap());
                let Some(line) = shelf.lines.get_mut(&key) else {
                    return (StatusCode::NOT_FOUND, String::new());
                };
                if method == "PATCH" {
                    let patch: Json = serde_json::from_slice(body).unwrap();
                    patch.as_object().unwrap().iter().for_each(|(name, value)| line[name] = value.clone());
                }
                let line = line.clone();
                if method == "DELETE" {
                    shelf.lines.remove(&key);
                }
                found(line)
            }
            _ => (StatusCode::NOT_FOUND, String::new()),
        }
    }
}

async fn handle(State(tracker): State<Tracker>, request: Request) -> (StatusCode, String) {
    let (parts, body) = request.into_parts();
    let body = to_bytes(body, 1 << 20).await.unwrap();
    tracker.answer(&parts.method, parts.uri.path(), &body)
}

/// The tracker and a marshal, whose inspections go by `board/no`.
async fn start(tracker: &str, marshal: &Double, fetch: &str) -> (Running, TempDir) {
    let folder = TempDir::new().unwrap();
    let one = "/boards/{{ id.board }}/lines/{{ id.no }}";
    let yaml = format!(
        "sync: Tracked
data_dir: {data}
management: 127.0.0.1:0
sides:
  tracker: {{ connector: http, url: '{tracker}', retry: {{ max_attempts: 4, initial: 10ms, max: 50ms }} }}
  marshal: {{ connector: http, url: '{marshal}', authenticator: {{ type: basic, username: sync, password: demo }} }}
collections:
  line:
    identity: [board, no]
    guard: {{ max_deletes: 100, max_deletes_percent: 100 }}
    sides:
      tracker:
        primary_key: [board, no]
        read:
          path: '/boards/{{{{ stream_partition.board }}}}/lines'
          full_interval: 150ms
          poll_interval: 150ms
          partition_router: {{ type: substream, parent_stream: {{ path: /boards }}, parent_key: name, partition_field: board, record_field: board }}
        {fetch}
        create: {{ method: POST, path: /lines }}
        update: {{ method: PATCH, path: '{one}' }}
        delete: {{ method: DELETE, path: '{one}' }}
      marshal:
        settle_window: 500ms
        read: {{ path: /inspections, paginator: {{ type: offset, page_size: 50 }}, poll_interval: 100ms, full_interval: 200ms }}
        fetch: {{ path: '/inspections/{{{{ id }}}}' }}
        create: {{ method: POST, path: /inspections }}
        update: {{ method: PATCH, path: '/inspections/{{{{ id }}}}' }}
        delete: {{ method: DELETE, path: '/inspections/{{{{ id }}}}' }}
    fields:
      board: {{ type: string, tracker: board, marshal: address }}
      no: {{ type: integer, tracker: no, marshal: {{ path: permitId, format: text }} }}
      text: {{ type: text, tracker: text, marshal: remarks }}
",
        data = folder.path().join("data").display(),
        marshal = marshal.url(),
    );
    (Sync::from_yaml(&yaml, &|_| None).await.expect("the sync starts"), folder)
}

/// Board, number and text of what the marshal has.
fn there(marshal: &Double) -> BTreeSet<(String, u64, String)> {
    let text = |record: &Json, key: &str| record[key].as_str().unwrap_or_default().to_owned();
    let all = marshal.records();
    all.iter()
        .map(|of| (text(of, "address"), text(of, "permitId").parse().unwrap(), text(of, "remarks")))
        .collect()
}

async fn comes_to(what: &str, marshal: &Double, expected: &[(&str, u64, &str)]) {
    let expected: BTreeSet<_> =
        expected.iter().map(|(board, no, text)| ((*board).to_owned(), *no, (*text).to_owned())).collect();
    until(what, 20, || async { (there(marshal) == expected).then_some(()) }).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_below_a_parent_that_cannot_be_read_is_taken_for_gone() {
    let (tracker, marshal) = (Tracker::default(), Double::marshal().await.unwrap());
    for (board, no) in [("a", 1), ("a", 2), ("b", 1), ("b", 2), ("c", 1)] {
        tracker.put(board, no, "old");
    }
    // Without `fetch` a record that is not shown cannot be asked for.
    let (sync, _folder) = start(&tracker.serve().await, &marshal, "").await;
    let all = [("a", 1, "old"), ("a", 2, "old"), ("b", 1, "old"), ("b", 2, "old"), ("c", 1, "old")];
    comes_to("all are there", &marshal, &all).await;
    for status in [403, 404, 500] {
        tracker.refuse("a", Some(status));
        tracker.put("b", 1, "old");
        comes_to("both again", &marshal, &all).await;
        tracker.put("c", 1, &status.to_string());
        tracker.remove("a", 1);
        tracker.remove("b", 1);
        let c = status.to_string();
        let rest = [("a", 1, "old"), ("a", 2, "old"), ("b", 2, "old"), ("c", 1, c.as_str())];
        comes_to("the others go on", &marshal, &rest).await;
        tracker.put("a", 1, "old");
        tracker.put("c", 1, "old");
        tracker.refuse("a", None);
    }
    tracker.remove("a", 1);
    let rest = [("a", 2, "old"), ("b", 2, "old"), ("c", 1, "old")];
    comes_to("it is read again, and what it lacks is gone", &marshal, &rest).await;
    // All are refused: that is no listing at all.
    for board in ["a", "b", "c"] {
        tracker.refuse(board, Some(403));
    }
    until("it is told", 20, || async {
        let status = sync.desk().status().await.unwrap().status;
        let side = status.sides.into_iter().find(|of| of.side == "tracker")?;
        side.collections[0]
            .trouble
            .clone()
            .filter(|why| why.contains("none can be read") && why.contains("403"))
    })
    .await;
    comes_to("nothing is deleted", &marshal, &rest).await;
    sync.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_of_several_parts_is_one_record_both_ways() {
    let (tracker, marshal) = (Tracker::default(), Double::marshal().await.unwrap());
    for (board, no) in [("a", 1), ("a", 2), ("b/c", 1)] {
        tracker.put(board, no, "old");
    }
    let fetch = "fetch: { path: '/boards/{{ id.board }}/lines/{{ id.no }}' }";
    let (sync, _folder) = start(&tracker.serve().await, &marshal, fetch).await;
    comes_to(
        "those with the same number are told apart",
        &marshal,
        &[("a", 1, "old"), ("a", 2, "old"), ("b/c", 1, "old")],
    )
    .await;
    let of = |board: &str, no: u64| {
        let all = marshal.records();
        let found = all.iter().find(|of| of["address"] == board && of["permitId"] == no.to_string()).unwrap();
        found["id"].as_str().unwrap().to_owned()
    };
    marshal.update(&of("a", 2), &json!({ "remarks": "theirs" })).unwrap();
    until("an edit comes there", 20, || async { (tracker.text("a", 2)? == "theirs").then_some(()) }).await;
    assert_eq!(tracker.text("a", 1).as_deref(), Some("old"));
    marshal
        .create(&json!({ "permitId": "3", "address": "b", "remarks": "new", "state": "PENDING" }))
        .unwrap();
    until("a new one is made there", 20, || async { tracker.text("b", 3) }).await;
    marshal.delete(&of("a", 1)).unwrap();
    until("a delete comes there", 20, || async { tracker.text("a", 1).is_none().then_some(()) }).await;
    tracker.put("b", 3, "ours");
    let rest = [("a", 2, "theirs"), ("b", 3, "ours"), ("b/c", 1, "old")];
    comes_to("and back", &marshal, &rest).await;
    assert_eq!(marshal.len(), 3, "none is there twice");
    let again = sync.desk().status().await.unwrap().status;
    assert_eq!(again.parked, 0);
    sync.stop().await.unwrap();
}
