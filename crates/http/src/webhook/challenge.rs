//! Answers to the questions by which sides find out whether we listen.
//!
//! An answer is plain text of a bounded length: what a stranger sends is never
//! given back as anything that a browser would run.

use crate::decode;
use crate::spec::Challenge;
use hms_sync_connector::{RawWebhook, WebhookError};
use http::Method;
use secrecy::ExposeSecret;
use serde_json::Value as Json;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

/// The longest text that is given back.
const ECHO_MAX: usize = 2_048;

/// What is asked, and what is answered.
pub(super) enum Handshake {
    Slack,
    Meta { digest: [u8; 32] },
    MicrosoftGraph,
}

impl Handshake {
    pub(super) fn new(spec: &Challenge) -> Result<Self, &'static str> {
        Ok(match spec {
            Challenge::Slack {} => Self::Slack,
            Challenge::MicrosoftGraph {} => Self::MicrosoftGraph,
            Challenge::Meta { verify_token } => {
                let token = verify_token.as_ref().map_or("", ExposeSecret::expose_secret);
                if token.is_empty() {
                    return Err("is needed: what was entered at the side");
                }
                Self::Meta { digest: Sha256::digest(token).into() }
            }
        })
    }

    /// Nothing if it is no such question. `genuine` says whether it is signed.
    pub(super) fn answer(
        &self,
        raw: &RawWebhook,
        genuine: impl FnOnce() -> bool,
    ) -> Option<Result<String, WebhookError>> {
        match self {
            Self::Slack => {
                let text = slack(raw)?;
                Some(if genuine() { echo(text) } else { Err(WebhookError::Unauthorised) })
            }
            Self::Meta { digest } => {
                let asked = raw.method == Method::GET && parameter(raw, "hub.mode")? == "subscribe";
                let token = Sha256::digest(parameter(raw, "hub.verify_token").unwrap_or_default());
                if !asked {
                    return None;
                }
                Some(if bool::from(digest.ct_eq(&token)) {
                    echo(parameter(raw, "hub.challenge").unwrap_or_default())
                } else {
                    Err(WebhookError::Unauthorised)
                })
            }
            Self::MicrosoftGraph => {
                (raw.method == Method::POST).then(|| parameter(raw, "validationToken")).flatten().map(echo)
            }
        }
    }
}

/// The challenge of a message of type `url_verification`.
fn slack(raw: &RawWebhook) -> Option<String> {
    // Messages are many and challenges are few: look before parsing.
    if raw.method != Method::POST || !raw.body.windows(16).any(|part| part == b"url_verification") {
        return None;
    }
    let json = decode::parse(&raw.body).ok()?;
    let is_one = json.get("type").and_then(Json::as_str) == Some("url_verification");
    is_one.then(|| json.get("challenge").and_then(Json::as_str).unwrap_or_default().to_owned())
}

fn echo(text: String) -> Result<String, WebhookError> {
    if text.is_empty() || text.len() > ECHO_MAX {
        let reason = format!("the challenge has {} bytes; 1 to {ECHO_MAX} are answered", text.len());
        return Err(WebhookError::Malformed { reason });
    }
    Ok(text)
}

/// A parameter of the request's address.
fn parameter(raw: &RawWebhook, name: &str) -> Option<String> {
    let pairs = url::form_urlencoded::parse(raw.query.as_deref()?.as_bytes());
    pairs.into_iter().find(|(key, _)| key == name).map(|(_, value)| value.into_owned())
}
