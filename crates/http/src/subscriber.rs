//! A side that is only told: an endpoint that gets each change as a signed webhook
//! (Standard Webhooks) and is never read.
//!
//! The id of a message is the idempotency key of its write: the same on each attempt, also
//! after a restart. The endpoint has no ids of its own, so the first message's stands for
//! the record from then on.

use crate::error::{SpecError, quote};
use crate::spec::{Headers, HttpSpec, Secrets};
use crate::webhook::Signer;
use crate::wire::{Answer, Wire};
use crate::write::unanswered;
use futures_util::FutureExt;
use futures_util::future::{BoxFuture, ready};
use hms_sync_connector::{
    Abilities, Connector, Delivery, LookupRequest, Observation, Page, RawRequest, RawWebhook, ReadError,
    ReadRequest, Target, WebhookError, WriteRequest,
};
use hms_sync_model::{CollectionName, NativeId, Outcome, SideName, Written};
use http::{HeaderName, HeaderValue, Method, StatusCode};
use serde_json::json;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

const WEBHOOK_ID: HeaderName = HeaderName::from_static("webhook-id");
const WEBHOOK_TIMESTAMP: HeaderName = HeaderName::from_static("webhook-timestamp");
const WEBHOOK_SIGNATURE: HeaderName = HeaderName::from_static("webhook-signature");

/// An endpoint that is told of changes.
#[derive(Debug)]
pub struct SubscriberConnector {
    side: SideName,
    wire: Wire,
    signer: Signer,
    /// It said that it wants nothing more (410), and nobody has said otherwise since.
    ended: AtomicBool,
}

impl SubscriberConnector {
    /// Sets one up; the error names the key that does not fit. Nothing is sent.
    pub fn new(side: &SideName, spec: &HttpSpec, secret: &Secrets) -> Result<Self, SpecError> {
        if spec.error_handler.is_some() {
            let why = "does not go with a subscriber: Standard Webhooks says what its answers mean";
            return Err(SpecError::new("error_handler", why));
        }
        let signer = Signer::new(secret).map_err(|why| SpecError::new("secret", why))?;
        Ok(Self { side: side.clone(), wire: Wire::new(spec)?, signer, ended: AtomicBool::new(false) })
    }

    fn never_read<T>(&self) -> Result<T, ReadError> {
        Err(ReadError::Denied { reason: format!("{} is a subscriber: it is told and never read", self.side) })
    }

    async fn tell(&self, request: WriteRequest) -> Outcome {
        let label = format!("webhook {} to {}", request.key.as_str(), self.wire.base());
        if self.ended.load(Ordering::Relaxed) {
            return Outcome::Rejected { reason: format!("{label}: not sent; {}", ended_words(&self.side)) };
        }
        let (event, id) = match &request.target {
            Target::Create => ("created", NativeId::try_new(request.key.as_str())),
            Target::Update(id, _) => ("updated", Ok(id.clone())),
            Target::Delete(id, _) => ("deleted", Ok(id.clone())),
        };
        let id = match id {
            Ok(id) => id,
            Err(why) => return Outcome::Rejected { reason: format!("{label}: {why}") },
        };
        let prepared = match self.prepare(&request, event, &id) {
            Ok(prepared) => prepared,
            Err(why) => return Outcome::Rejected { reason: format!("{label}: {why}") },
        };
        match self.wire.send(prepared).await {
            Ok(answer) if answer.is_success() => Outcome::Applied(Written { id, tag: None, stored: None }),
            Ok(answer) => self.refused(&label, &answer),
            Err(lost) => unanswered(&label, &lost),
        }
    }

    fn prepare(
        &self,
        request: &WriteRequest,
        event: &str,
        id: &NativeId,
    ) -> Result<reqwest::Request, String> {
        let data = match request.target {
            Target::Create | Target::Update(..) => &request.whole,
            Target::Delete(..) => &request.changed,
        };
        let kind = format!("{}.{event}", request.collection);
        let body = json!({ "type": kind, "record": id.as_str(), "data": data.json() });
        let body = serde_json::to_vec(&body).map_err(|why| format!("the record is no JSON: {why}"))?;
        let at = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs().to_string();
        let url = self.wire.base().as_url().clone();
        let mut prepared = self.wire.request(Method::POST, url, &Headers::default())?;
        let signature = self.signer.sign(request.key.as_str(), &at, &body);
        for (name, text) in
            [(WEBHOOK_ID, request.key.as_str()), (WEBHOOK_TIMESTAMP, &at), (WEBHOOK_SIGNATURE, &signature)]
        {
            let value = HeaderValue::try_from(text).map_err(|_| format!("`{name}` cannot be sent"))?;
            prepared.headers_mut().insert(name, value);
        }
        Wire::put(&mut prepared, body);
        Ok(prepared)
    }

    /// What an answer that is not 2xx means: all but 410 is tried again.
    fn refused(&self, label: &str, answer: &Answer) -> Outcome {
        let (reason, after) = (format!("{label}: {}", answer.words()), answer.judged.after);
        match answer.status {
            StatusCode::GONE => {
                self.ended.store(true, Ordering::Relaxed);
                tracing::warn!(side = %self.side, "the subscriber wants no more webhooks");
                Outcome::Rejected { reason: format!("{reason}; {}", ended_words(&self.side)) }
            }
            StatusCode::TOO_MANY_REQUESTS => Outcome::RetryLater { reason, after, side_wide: true },
            StatusCode::SERVICE_UNAVAILABLE => {
                Outcome::RetryLater { reason, after, side_wide: after.is_some() }
            }
            // It may have been taken: the same message goes out again before any newer one.
            status if status.is_server_error() => Outcome::Unknown { reason },
            _ => Outcome::RetryLater { reason, after, side_wide: false },
        }
    }

    /// Whether anybody answers there, whatever it is.
    async fn knock(&self) -> Result<String, ReadError> {
        let url = self.wire.base().as_url().clone();
        let request = self.wire.request(Method::GET, url, &Headers::default());
        let request = request.map_err(|reason| ReadError::Denied { reason })?;
        match self.wire.send(request).await {
            Ok(answer) => {
                let status = answer.status.as_u16();
                Ok(format!("{} is there (it answers {status} to GET)", self.wire.base()))
            }
            Err(lost) => {
                let reason = quote(lost.reason().as_bytes(), 300);
                Err(ReadError::Later { reason, after: None })
            }
        }
    }
}

fn ended_words(side: &SideName) -> String {
    format!(
        "{side} wants no more webhooks (410 Gone): take it out of the configuration, or release what is \
         parked there once it does again"
    )
}

impl Connector for SubscriberConnector {
    fn abilities(&self, _: &CollectionName) -> Abilities {
        // A repeated message is known by its id.
        Abilities { create: true, update: true, delete: true, idempotency_key: true, ..Abilities::default() }
    }

    fn check(&self, _: &CollectionName) -> BoxFuture<'_, Result<String, ReadError>> {
        self.knock().boxed()
    }

    fn read(&self, _: ReadRequest) -> BoxFuture<'_, Result<Page, ReadError>> {
        ready(self.never_read()).boxed()
    }

    fn fetch(&self, _: CollectionName, _: NativeId) -> BoxFuture<'_, Result<Observation, ReadError>> {
        ready(self.never_read()).boxed()
    }

    fn lookup(&self, _: LookupRequest) -> BoxFuture<'_, Result<Vec<Observation>, ReadError>> {
        ready(self.never_read()).boxed()
    }

    fn write(&self, request: WriteRequest) -> BoxFuture<'_, Outcome> {
        self.tell(request).boxed()
    }

    fn send(&self, _: RawRequest) -> BoxFuture<'_, Outcome> {
        let reason = format!("{} is a subscriber: it gets webhooks and no other requests", self.side);
        ready(Outcome::Rejected { reason }).boxed()
    }

    fn released(&self) {
        self.ended.store(false, Ordering::Relaxed);
    }

    fn webhook(&self, _: &CollectionName, _: &RawWebhook) -> Result<Delivery, WebhookError> {
        Err(WebhookError::NotConfigured)
    }
}
