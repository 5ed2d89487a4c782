//! Sides to be read and written: the doubles, configured as in the examples, and
//! small servers that answer just one thing.

use axum::Router;
use hms_sync_connector::{Connector, Cursor, Observation, Page, ReadError, ReadRequest, Scope};
use hms_sync_doubles::{Double, Kind};
use hms_sync_http::HttpConnector;
use hms_sync_model::{CollectionName, IdempotencyKey, NativeId, SideName};
use serde_json::{Value as Json, json};

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
