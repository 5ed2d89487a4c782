//! Webhooks going out: one signed message (Standard Webhooks) for each edit by
//! a user, in order, tried a few times.

use crate::double::DoubleError;
use crate::store::Reply;
use bytes::Bytes;
use http::{Request, StatusCode};
use http_body_util::Full;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use url::Url;

/// Where webhooks go, and what they are signed with.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Hook {
    /// An `http://` URL.
    pub url: String,
    /// `whsec_…`.
    pub secret: String,
}

/// Tries of one message before it is given up.
const TRIES: u32 = 5;

/// What a webhook tells.
pub(crate) struct Message {
    pub(crate) event: &'static str,
    pub(crate) at: i64,
    pub(crate) record: Bytes,
}

impl Message {
    /// In the envelope that Standard Webhooks recommends.
    pub(crate) fn new(event: &'static str, at: i64, reply: &Reply) -> Self {
        Self { event, at, record: reply.body.clone() }
    }

    fn body(&self, kind: &str) -> Vec<u8> {
        let at = chrono::DateTime::from_timestamp_micros(self.at).unwrap_or_default().to_rfc3339();
        let mut body = format!(r#"{{"type":"{kind}.{}","timestamp":"{at}","data":"#, self.event).into_bytes();
        body.extend_from_slice(&self.record);
        body.push(b'}');
        body
    }
}

/// Counts of webhooks.
#[derive(Debug, Default)]
pub(crate) struct HookCounts {
    pub(crate) delivered: AtomicU64,
    pub(crate) given_up: AtomicU64,
}

/// Sends messages until the sender's other end is dropped.
pub(crate) struct Postman {
    target: Url,
    address: String,
    signer: standardwebhooks::Webhook,
    kind: &'static str,
    counts: Arc<HookCounts>,
    connection: Option<SendRequest<Full<Bytes>>>,
    seed: u64,
}

impl Postman {
    pub(crate) fn new(
        hook: &Hook,
        kind: &'static str,
        counts: Arc<HookCounts>,
        seed: u64,
    ) -> Result<Self, DoubleError> {
        let bad = |why: &str| DoubleError::Hook(format!("{}: {why}", hook.url));
        let target = Url::parse(&hook.url).map_err(|e| bad(&e.to_string()))?;
        if target.scheme() != "http" {
            return Err(bad("not an http:// URL"));
        }
        let host = target.host_str().ok_or_else(|| bad("no host"))?;
        let address = format!("{host}:{}", target.port().unwrap_or(80));
        let signer = standardwebhooks::Webhook::new(&hook.secret).map_err(|e| bad(&e.to_string()))?;
        Ok(Self { target, address, signer, kind, counts, connection: None, seed })
    }

    pub(crate) async fn run(mut self, mut inbox: mpsc::UnboundedReceiver<Message>) {
        let mut n: u64 = 0;
        while let Some(message) = inbox.recv().await {
            n += 1;
            let id = format!("msg_{:x}_{n}", self.seed);
            let delivered = self.deliver(&id, message.body(self.kind).into()).await;
            let counter = if delivered { &self.counts.delivered } else { &self.counts.given_up };
            counter.fetch_add(1, Ordering::Relaxed);
        }
    }

    async fn deliver(&mut self, id: &str, body: Bytes) -> bool {
        for attempt in 0..TRIES {
            if attempt > 0 {
                tokio::time::sleep(Duration::from_millis(50 << attempt)).await;
            }
            match tokio::time::timeout(Duration::from_secs(10), self.post(id, body.clone())).await {
                Ok(Some(status)) if status.is_success() => return true,
                Ok(Some(_)) => {}
                Ok(None) | Err(_) => self.connection = None,
            }
        }
        false
    }

    async fn post(&mut self, id: &str, body: Bytes) -> Option<StatusCode> {
        if self.connection.as_ref().is_none_or(SendRequest::is_closed) {
            let stream = TcpStream::connect(&self.address).await.ok()?;
            stream.set_nodelay(true).ok()?;
            let (sender, connection) = handshake(TokioIo::new(stream)).await.ok()?;
            tokio::spawn(connection);
            self.connection = Some(sender);
        }
        let now = chrono::Utc::now().timestamp();
        let request = Request::post(self.target.path())
            .header("host", &self.address)
            .header("content-type", "application/json")
            .header("webhook-id", id)
            .header("webhook-timestamp", now)
            .header("webhook-signature", self.signer.sign(id, now, &body).ok()?)
            .body(Full::new(body))
            .ok()?;
        let sender = self.connection.as_mut()?;
        sender.ready().await.ok()?;
        let response = sender.send_request(request).await.ok()?;
        let status = response.status();
        http_body_util::BodyExt::collect(response.into_body()).await.ok()?;
        Some(status)
    }
}
