//! Webhooks: raw body in, durable before 2xx.
//!
//! The connector says whether a delivery is genuine and what it holds; the engine
//! makes it durable; only then the sender hears 200. If the engine cannot, the
//! sender hears 503 and sends it again.

use crate::body::{Refusal, read};
use crate::serve::{Limits, Room};
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use hms_sync_connector::{Connector, RawWebhook, WebhookError};
use hms_sync_engine::{Reply, Wake};
use hms_sync_model::{CollectionName, SideName, Time};
use http::{HeaderValue, Method, StatusCode, header};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

/// Where a side's webhooks come in.
#[derive(Debug, Clone)]
pub struct HookRoute {
    /// The whole path: `/hooks/clerk`.
    pub path: String,
    /// From which side.
    pub side: SideName,
    /// Of which collection.
    pub collection: CollectionName,
    /// Who checks them and takes them apart.
    pub connector: Arc<dyn Connector>,
}

/// All of them, by path.
pub(crate) type Hooks = BTreeMap<String, HookRoute>;

/// Everything that is no route of ours: a webhook, or nothing.
pub(crate) async fn hook(State(room): State<Arc<Room>>, request: Request) -> Response {
    let Some(route) = room.hooks.get(request.uri().path()) else {
        let hint = "webhooks come in at the paths that the configuration names";
        return Refusal::new(StatusCode::NOT_FOUND, "there is nothing here", hint).into_response();
    };
    if request.method() != Method::POST {
        let refusal = Refusal::new(StatusCode::METHOD_NOT_ALLOWED, "webhooks are sent with POST", "use POST");
        let mut response = refusal.into_response();
        response.headers_mut().insert(header::ALLOW, HeaderValue::from_static("POST"));
        return response;
    }
    match take_in(&room, route, request).await {
        Ok(()) => StatusCode::OK.into_response(),
        Err(refusal) => {
            let (status, why) = (refusal.status.as_u16(), &refusal.error);
            tracing::warn!(side = %route.side, collection = %route.collection, status, why, "webhook not taken in");
            refusal.into_response()
        }
    }
}

async fn take_in(room: &Room, route: &HookRoute, request: Request) -> Result<(), Refusal> {
    let Limits { body_bytes_max, body_patience, answer_patience, .. } = room.limits;
    let (parts, body) = request.into_parts();
    let body = read(body, body_bytes_max, body_patience).await?;
    let raw = RawWebhook { headers: parts.headers, body, received: now() };
    let delivery = route.connector.webhook(&route.collection, &raw).map_err(refusal)?;
    let Some(engine) = room.desk.engine() else { return Err(Refusal::later()) };
    let (side, collection) = (route.side.clone(), route.collection.clone());
    let durable = engine.ask(move |reply| Wake::Webhook { side, collection, delivery, reply });
    match tokio::time::timeout(answer_patience, durable).await {
        Ok(Ok(Reply::Done | Reply::Count(_) | Reply::Made(_) | Reply::Stale(_))) => Ok(()),
        Ok(Ok(Reply::Refused(why))) => {
            Err(Refusal::new(StatusCode::BAD_REQUEST, why, "see the sync's configuration"))
        }
        Ok(Err(_)) | Err(_) => Err(Refusal::later()),
    }
}

fn refusal(why: WebhookError) -> Refusal {
    let words = why.to_string();
    match why {
        WebhookError::Unauthorised => {
            Refusal::new(StatusCode::UNAUTHORIZED, words, "sign it with the secret of the configuration")
        }
        WebhookError::Malformed { .. } => {
            Refusal::new(StatusCode::BAD_REQUEST, words, "send the record as the side's API shows it")
        }
        WebhookError::NotConfigured => {
            Refusal::new(StatusCode::NOT_FOUND, words, "name a webhook in the configuration")
        }
    }
}

fn now() -> Time {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Time(i64::try_from(since.as_micros()).unwrap_or(i64::MAX))
}
