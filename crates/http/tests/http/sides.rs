//! Sides to be read and written: the doubles, configured as in the examples, and
//! small servers that answer just one thing.

use axum::Router;
use axum::body::to_bytes;
use axum::extract::{Query, Request};
use axum::http::{HeaderMap, HeaderName, HeaderValue};
use hms_sync_connector::{Connector, Cursor, Observation, Page, ReadError, ReadRequest, Scope};
use hms_sync_doubles::{Double, Kind};
use hms_sync_http::HttpConnector;
use hms_sync_model::{CollectionName, IdempotencyKey, NativeId, SideName};
use serde_json::{Value as Json, json};
use std::collections::HashMap;
use std::sync::{Arc, Mutex};

pub(crate) fn collection() -> CollectionName {
    CollectionName::try_new("permit").unwrap()
}

pub(crate) fn id(text: &str) -> NativeId {
    NativeId::try_new(text).unwrap()
}

pub(crate) fn key(text: &str) -> IdempotencyKey {
    IdempotencyKey::try_new(text).unwrap()
}

pub(crate) fn try_connector(side: &Json, permits: &Json) -> Result<HttpConnector, String> {
    let side = serde_json::from_value(side.clone()).map_err(|e| e.to_string())?;
    let permits = serde_json::from_value(permits.clone()).map_err(|e| e.to_string())?;
    let name = SideName::try_new("side").unwrap();
    HttpConnector::new(&name, side, [(collection(), permits)].into()).map_err(|e| e.to_string())
}

pub(crate) fn connector(side: &Json, permits: &Json) -> HttpConnector {
    try_connector(side, permits).unwrap()
}

/// The example's side of a double, with changes by merge.
pub(crate) fn permits(kind: Kind) -> Json {
    match kind {
        Kind::Clerk => json!({
            "read": {
                "path": "/permits",
                "record_selector": { "field_path": ["items"] },
                "paginator": { "type": "offset", "page_size": 20 },
                "incremental_sync": {
                    "cursor_field": "updated_at", "start_time_option": { "field_name": "since" },
                    "lookback_window": "2s",
                },
            },
            "fetch": { "path": "/permits/{{ id }}" },
            "create": { "method": "POST", "path": "/permits" },
            "update": { "method": "PATCH", "path": "/permits/{{ id }}", "body": "changed" },
            "delete": { "method": "DELETE", "path": "/permits/{{ id }}" },
            "lookup": { "path": "/permits", "request_parameters": { "permit_no": "{{ identity.permit_no }}" } },
        }),
        Kind::Marshal => json!({
            "idempotency_key": { "header": "Idempotency-Key" },
            "read": {
                "path": "/inspections",
                "paginator": { "type": "offset", "page_size": 20 },
                "incremental_sync": { "cursor_field": "updatedAt", "start_time_option": { "field_name": "since" } },
            },
            "fetch": { "path": "/inspections/{{ id }}" },
            "create": { "method": "POST", "path": "/inspections" },
            "update": { "method": "PATCH", "path": "/inspections/{{ id }}" },
            "delete": { "method": "DELETE", "path": "/inspections/{{ id }}" },
            "lookup": { "path": "/inspections", "request_parameters": { "permitId": "{{ identity.permitId }}" } },
        }),
    }
}

pub(crate) fn side(double: &Double) -> Json {
    let authenticator = match double.kind() {
        Kind::Clerk => json!({ "type": "bearer", "api_token": "demo" }),
        Kind::Marshal => json!({ "type": "basic", "username": "sync", "password": "demo" }),
    };
    json!({ "url": double.url(), "authenticator": authenticator, "timeout": "5s" })
}

pub(crate) fn of(double: &Double) -> HttpConnector {
    connector(&side(double), &permits(double.kind()))
}

/// Serves until the test ends; answers its URL.
pub(crate) async fn serve(router: Router) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, router).await });
    url
}

pub(crate) async fn first(connector: &HttpConnector) -> Result<Page, ReadError> {
    connector.read(ReadRequest { collection: collection(), scope: Scope::Everything, after: None }).await
}

/// A whole pass; `meanwhile` is called between pages.
pub(crate) async fn pass(
    connector: &HttpConnector,
    scope: Scope,
    mut meanwhile: impl FnMut(),
) -> Result<(Vec<Observation>, Option<Cursor>), ReadError> {
    let (mut seen, mut cursor, mut after) = (Vec::new(), None, None);
    loop {
        let request = ReadRequest { collection: collection(), scope: scope.clone(), after };
        let page = connector.read(request).await?;
        assert_eq!(page.unreadable, [] as [String; 0]);
        seen.extend(page.records);
        cursor = page.cursor.or(cursor);
        after = page.next;
        if after.is_none() {
            return Ok((seen, cursor));
        }
        meanwhile();
    }
}

/// What a side was asked.
#[derive(Debug, Clone)]
pub(crate) struct Heard {
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) query: HashMap<String, String>,
    pub(crate) headers: HeaderMap,
    pub(crate) text: String,
    /// The same as JSON, if it is that.
    pub(crate) body: Json,
}

impl Heard {
    /// A parameter as a number.
    pub(crate) fn number(&self, name: &str) -> Option<usize> {
        self.query.get(name).map(|text| text.parse().unwrap())
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }
}

/// A side made of one function, which writes down what it is asked.
pub(crate) struct Answering {
    pub(crate) url: String,
    heard: Arc<Mutex<Vec<Heard>>>,
}

/// Headers and a body.
pub(crate) type Said = (Vec<(&'static str, String)>, String);

/// JSON and nothing else.
pub(crate) fn plain(json: Json) -> Said {
    (Vec::new(), json.to_string())
}

impl Answering {
    pub(crate) async fn with(answer: impl Fn(&Heard) -> Said + Clone + Send + Sync + 'static) -> Self {
        let heard = Arc::new(Mutex::new(Vec::new()));
        let log = Arc::clone(&heard);
        let handle = move |Query(query): Query<HashMap<String, String>>, request: Request| async move {
            let (parts, body) = request.into_parts();
            let body = to_bytes(body, 1 << 20).await.unwrap();
            let text = String::from_utf8(body.to_vec()).unwrap();
            let (method, path) = (parts.method.to_string(), parts.uri.path().to_owned());
            let body = serde_json::from_str(&text).unwrap_or(Json::Null);
            let heard = Heard { method, path, query, headers: parts.headers, text, body };
            log.lock().unwrap().push(heard.clone());
            let (said, body) = answer(&heard);
            let mut headers = HeaderMap::new();
            for (name, value) in said {
                headers.append(HeaderName::from_static(name), HeaderValue::try_from(value).unwrap());
            }
            (headers, body)
        };
        Self { url: serve(Router::new().fallback(handle)).await, heard }
    }

    /// A connector whose records are read this way.
    pub(crate) fn read(&self, read: &Json) -> HttpConnector {
        connector(&json!({ "url": format!("{}/api", self.url) }), &json!({ "read": read }))
    }

    pub(crate) fn heard(&self) -> Vec<Heard> {
        self.heard.lock().unwrap().clone()
    }
}

/// Ids of what was seen, in order.
pub(crate) fn ids(seen: &[Observation]) -> Vec<String> {
    seen.iter().map(|seen| seen.id.as_str().to_owned()).collect()
}

/// So many records from this one on, `{ "id": n }`.
pub(crate) fn shelf(from: usize, many: usize, all: usize) -> Vec<Json> {
    (from..all.min(from + many)).map(|n| json!({ "id": n })).collect()
}
