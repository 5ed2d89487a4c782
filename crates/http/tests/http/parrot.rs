//! A side that answers what it is told, and writes down what it hears.

use crate::sides::{collection, connector, key, serve};
use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use hms_sync_connector::{Connector, Target, WriteRequest};
use hms_sync_http::HttpConnector;
use hms_sync_model::Outcome;
use serde_json::{Value as Json, json};
use std::sync::{Arc, Mutex};

pub(crate) fn request(target: Target, fields: Json) -> WriteRequest {
    WriteRequest {
        collection: collection(),
        target,
        changed: fields.clone().into(),
        whole: fields.into(),
        former: None,
        key: key("k-1"),
    }
}

pub(crate) fn word(outcome: &Outcome) -> &'static str {
    match outcome {
        Outcome::Applied(_) => "applied",
        Outcome::Noop => "noop",
        Outcome::Conflict { .. } => "conflict",
        Outcome::Exists { .. } => "exists",
        Outcome::Gone => "gone",
        Outcome::Rejected { .. } => "rejected",
        Outcome::RetryLater { side_wide: true, .. } => "side later",
        Outcome::RetryLater { .. } => "later",
        Outcome::Unknown { .. } => "unknown",
    }
}

type Answers = Arc<Mutex<Option<(u16, HeaderMap, String)>>>;
type Heard = Arc<Mutex<Vec<Request>>>;

/// What it heard.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    pub(crate) method: String,
    pub(crate) uri: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: String,
}

/// A side that answers what it is told, and writes down what it hears.
pub(crate) struct Parrot {
    pub(crate) connector: HttpConnector,
    answers: Answers,
    pub(crate) heard: Heard,
}

impl Parrot {
    pub(crate) async fn new(change: impl FnOnce(&mut Json)) -> Self {
        async fn handle(
            State((answers, heard)): State<(Answers, Heard)>,
            request: axum::extract::Request,
        ) -> Response {
            let (parts, body) = request.into_parts();
            let body = axum::body::to_bytes(body, 1 << 20).await.unwrap();
            heard.lock().unwrap().push(Request {
                method: parts.method.to_string(),
                uri: parts.uri.to_string(),
                headers: parts.headers,
                body: String::from_utf8(body.to_vec()).unwrap(),
            });
            let (status, headers, body) = answers.lock().unwrap().clone().unwrap();
            (StatusCode::from_u16(status).unwrap(), headers, body).into_response()
        }
        let (answers, heard) = (Answers::default(), Heard::default());
        let router = Router::new().fallback(handle).with_state((Arc::clone(&answers), Arc::clone(&heard)));
        let url = serve(router).await;
        let mut permits = json!({
            "create": { "method": "POST", "path": "/p" },
            "update": { "method": "PATCH", "path": "/p/{{ id }}" },
            "delete": { "method": "DELETE", "path": "/p/{{ id }}" },
        });
        change(&mut permits);
        let connector = connector(&json!({ "url": format!("{url}/api") }), &permits);
        Self { connector, answers, heard }
    }

    pub(crate) async fn write(
        &self,
        target: Target,
        status: u16,
        headers: &[(&str, &str)],
        body: &str,
    ) -> Outcome {
        let headers =
            headers.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect();
        *self.answers.lock().unwrap() = Some((status, headers, body.to_owned()));
        self.connector.write(request(target, json!({ "a": 1 }))).await
    }

    /// Writes this, with a 200 and nothing else for an answer, and tells what was heard.
    pub(crate) async fn hear(&self, request: WriteRequest) -> Request {
        *self.answers.lock().unwrap() = Some((200, HeaderMap::new(), String::new()));
        self.connector.write(request).await;
        self.heard.lock().unwrap().last().cloned().unwrap()
    }

    pub(crate) fn last(&self) -> (String, HeaderMap) {
        let last = self.heard.lock().unwrap().last().cloned().unwrap();
        (last.uri, last.headers)
    }
}
