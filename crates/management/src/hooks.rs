//! Webhooks: raw body in, durable before 2xx.
//!
//! The connector says whether a delivery is genuine and what it holds; the engine
//! makes it durable; only then the sender hears 200. If the engine cannot, the
//! sender hears 503 and sends it again. More at once than fit in our memory hear 429.

use crate::body::{Refusal, read_within};
use crate::serve::{Limits, Peer, Room};
use axum::body::HttpBody;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use hms_sync_connector::{Connector, RawWebhook, WebhookError};
use hms_sync_engine::{Reply, Wake};
use hms_sync_model::{CollectionName, SideName, Time};
use http::{HeaderValue, Method, Request, StatusCode, header};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};
use tokio::sync::Semaphore;

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

/// How much is taken in at once.
#[derive(Debug)]
pub(crate) struct Intake {
    /// One for each webhook.
    places: Semaphore,
    /// Of their bodies.
    kibibytes: Semaphore,
}

impl Intake {
    pub(crate) fn new(limits: &Limits) -> Self {
        let kibibytes = (limits.hook_bytes_max / 1_024).clamp(1, Semaphore::MAX_PERMITS);
        Self {
            places: Semaphore::new(limits.hooks_max.clamp(1, Semaphore::MAX_PERMITS)),
            kibibytes: Semaphore::new(kibibytes),
        }
    }
}

/// Where webhooks usually are: who has no secret is not told which of these paths there are.
pub(crate) const USUAL: &str = "/hooks/";

/// What is neither a route of the API nor where webhooks come in.
pub(crate) async fn nothing_here() -> Refusal {
    let hint = "the API is at /api/status and others, for who has its token; /metrics and /healthz for all who watch; \
                webhooks come in at the paths that the configuration names";
    Refusal::new(StatusCode::NOT_FOUND, "there is nothing here", hint)
}

/// Answers a webhook that came to `route`, or to where one could be.
pub(crate) async fn hook<B>(
    room: &Room,
    route: Option<&HookRoute>,
    peer: Peer,
    request: Request<B>,
) -> Response
where
    B: HttpBody<Data = Bytes> + Unpin,
{
    match take_in(room, route, peer, request).await {
        Ok(Told::Durable) => StatusCode::OK.into_response(),
        Ok(Told::Challenge(text)) => {
            // Text of a stranger's: not to be taken for anything else.
            let plain = [(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"))];
            (plain, text).into_response()
        }
        Err(refusal) => {
            let (status, why) = (refusal.status.as_u16(), &refusal.error);
            if let Some(HookRoute { side, collection, .. }) = route {
                tracing::warn!(%side, %collection, status, why, "webhook not taken in");
            } else {
                tracing::warn!(status, why, "webhook to a path that no configuration names");
            }
            let mut response = refusal.into_response();
            if response.status() == StatusCode::METHOD_NOT_ALLOWED {
                response.headers_mut().insert(header::ALLOW, HeaderValue::from_static("POST"));
            }
            response
        }
    }
}

/// What a sender is told.
enum Told {
    /// That it is on the disk, or that there was nothing to keep.
    Durable,
    /// The answer to its question whether we listen.
    Challenge(String),
}

async fn take_in<B>(
    room: &Room,
    route: Option<&HookRoute>,
    peer: Peer,
    request: Request<B>,
) -> Result<Told, Refusal>
where
    B: HttpBody<Data = Bytes> + Unpin,
{
    let Ok(_place) = room.intake.places.try_acquire() else { return Err(Refusal::busy()) };
    let Limits { body_bytes_max, body_patience, answer_patience, .. } = room.limits;
    let (parts, body) = request.into_parts();
    let (body, _held) = read_within(body, body_bytes_max, body_patience, &room.intake.kibibytes).await?;
    let raw = RawWebhook {
        method: parts.method,
        query: parts.uri.query().map(str::to_owned),
        peer: Some(peer.0),
        ..RawWebhook::new(parts.headers, body, now())
    };
    let by = judge(route, &room.hooks);
    let asked = by.and_then(|by| by.connector.handshake(&by.collection, &raw));
    if let (Some(_), Some(answer)) = (route, asked) {
        return answer.map(Told::Challenge).map_err(refusal);
    }
    if raw.method != Method::POST {
        return Err(Refusal::new(StatusCode::METHOD_NOT_ALLOWED, "webhooks are sent with POST", "use POST"));
    }
    let judged = by.map(|by| by.connector.webhook(&by.collection, &raw));
    let (Some(route), Some(judged)) = (route, judged) else {
        return Err(refusal(WebhookError::Unauthorised));
    };
    let delivery = judged.map_err(refusal)?;
    drop(raw);
    if delivery.records.is_empty() && delivery.hints.is_empty() && delivery.message.is_none() {
        return Ok(Told::Durable);
    }
    let Some(engine) = room.desk.engine() else { return Err(Refusal::later()) };
    let (side, collection) = (route.side.clone(), route.collection.clone());
    let durable = engine.ask(move |reply| Wake::Webhook { side, collection, delivery, reply });
    match tokio::time::timeout(answer_patience, durable).await {
        Ok(Ok(Reply::Done | Reply::Count(_) | Reply::Made(_) | Reply::Stale(_))) => Ok(Told::Durable),
        Ok(Ok(Reply::Refused(why))) => {
            Err(Refusal::new(StatusCode::BAD_REQUEST, why, "see the sync's configuration"))
        }
        Ok(Err(_)) | Err(_) => Err(Refusal::later()),
    }
}

/// Who judges a webhook that came to `route`. What came to a path that is nobody's is judged by who
/// judges at another, and is refused whatever he says: it takes as long, so that how long it takes
/// does not tell which paths there are.
fn judge<'r>(route: Option<&'r HookRoute>, hooks: &'r Hooks) -> Option<&'r HookRoute> {
    // Looked up whether it is needed or not.
    let other = hooks.values().next();
    route.or(other)
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

#[cfg(test)]
mod timing;
