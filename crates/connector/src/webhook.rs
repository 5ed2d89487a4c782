//! Webhooks, taken apart. The endpoint is the management room's; the checks are
//! the connector's, because each system signs in its own way.

use crate::Observation;
use bytes::Bytes;
use hms_sync_model::{NativeId, Time};
use std::net::IpAddr;

/// A webhook as it came in: the body to the byte, because signatures cover bytes.
#[derive(Debug, Clone)]
pub struct RawWebhook {
    /// All headers; names in lower case.
    pub headers: http::HeaderMap,
    /// The raw body.
    pub body: Bytes,
    /// When it came.
    pub received: Time,
    /// How it was sent: `POST`, but for some questions whether we listen.
    pub method: http::Method,
    /// What followed the `?`.
    pub query: Option<String>,
    /// The other end of the connection it came by, which may be a proxy.
    pub peer: Option<IpAddr>,
}

impl RawWebhook {
    /// One that was sent with POST, from nobody knows where.
    pub fn new(headers: http::HeaderMap, body: Bytes, received: Time) -> Self {
        Self { headers, body, received, method: http::Method::POST, query: None, peer: None }
    }
}

/// What a genuine webhook says.
#[derive(Debug, Clone, PartialEq)]
pub struct Delivery {
    /// The sender's message id, the same on its retries; nothing if it gives none.
    pub message: Option<String>,
    /// Records it carries.
    pub records: Vec<Observation>,
    /// Records it only names; each is read before anything is concluded.
    pub hints: Vec<NativeId>,
}

/// Why a webhook is not taken in.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WebhookError {
    /// Not signed by whom it should be, too old, or not signed at all. Says
    /// nothing about which, so that a forger learns nothing.
    #[error("signature missing or not valid")]
    Unauthorised,
    /// Genuine, and not to be understood.
    #[error("{reason}")]
    Malformed {
        /// What was wrong, and where.
        reason: String,
    },
    /// No webhook is configured for this collection.
    #[error("no webhook is configured here")]
    NotConfigured,
}
