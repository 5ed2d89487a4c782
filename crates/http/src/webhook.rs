//! Webhooks coming in: is it genuine, and what does it say?
//!
//! Standard Webhooks: HMAC-SHA256 over id, time and the raw body. Pure: the time
//! of arrival is given. What is not signed by whom it should be learns nothing
//! from the answer.

use crate::error::SpecError;
use crate::select::{self, Lens};
use crate::spec::{FieldPath, Payload, WebhookSpec};
use hms_sync_connector::{Content, Delivery, Observation, RawWebhook, WebhookError};
use hms_sync_model::NativeId;
use http::HeaderMap;
use secrecy::ExposeSecret;
use serde_json::Value as Json;
use standardwebhooks::{HEADER_WEBHOOK_ID, HEADER_WEBHOOK_SIGNATURE, HEADER_WEBHOOK_TIMESTAMP, Webhook};
use std::fmt;
use subtle::ConstantTimeEq;

/// How far the sender's clock may be from ours.
const TOLERANCE_SECONDS: u64 = 5 * 60;
/// Signatures that are looked at in one header.
const SIGNATURES_MAX: usize = 16;
/// The shortest secret, in bytes, that cannot be guessed.
const SECRET_MIN: usize = 16;

/// A webhook, set up.
pub(crate) struct Hook {
    /// None: unsigned, by explicit wish.
    signers: Vec<Webhook>,
    payload: Payload,
    selector: Option<FieldPath>,
}

impl fmt::Debug for Hook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hook")
            .field("payload", &self.payload)
            .field("secrets", &self.signers.len())
            .finish_non_exhaustive()
    }
}

impl Hook {
    pub(crate) fn new(key: &str, spec: &WebhookSpec, can_fetch: bool) -> Result<Self, SpecError> {
        let bad = |name: &str, why: &str| SpecError::new(format!("{key}.{name}"), why);
        if !spec.path.starts_with('/') {
            return Err(bad("path", "must start with `/`"));
        }
        if spec.payload == Payload::Hint && !can_fetch {
            return Err(bad("payload", "a hint needs `fetch`, to read what it names"));
        }
        let secrets = spec.secret.as_ref().map_or("", ExposeSecret::expose_secret);
        let mut signers = Vec::new();
        for secret in secrets.split_whitespace() {
            let signer = signer(secret);
            signers.push(signer.map_err(|why| bad("secret", why))?);
        }
        match (signers.is_empty(), spec.unsigned) {
            (true, false) => {
                Err(bad("secret", "is needed: without it anybody could send; or say `unsigned: true`"))
            }
            (false, true) => Err(bad("unsigned", "does not go with a secret")),
            _ => Ok(Self {
                signers,
                payload: spec.payload,
                selector: spec.record_selector.as_ref().map(|selector| selector.field_path.clone()),
            }),
        }
    }

    pub(crate) fn open(&self, lens: &Lens, raw: &RawWebhook) -> Result<Delivery, WebhookError> {
        let message = self.genuine(raw)?;
        let malformed = |reason: String| WebhookError::Malformed { reason };
        let json =
            select::parse(&raw.body).map_err(|why| malformed(why.replace("the answer", "the webhook")))?;
        let deleted = json.get("type").and_then(Json::as_str).is_some_and(|event| event.contains("delete"));
        let (records, many) = self.records(lens, json).map_err(malformed)?;
        let mut delivery = Delivery { message, records: Vec::new(), hints: Vec::new() };
        for (index, record) in records.into_iter().enumerate() {
            let place = |why: String| {
                malformed(if many {
                    format!("record {} {why}", index + 1)
                } else {
                    format!("the record {why}")
                })
            };
            let id = match (self.payload, &record) {
                // A hint may be the bare id.
                (Payload::Hint, Json::String(_) | Json::Number(_)) => {
                    select::scalar_id(&record).map_err(place)?
                }
                _ => lens.id(&record).map_err(place)?,
            };
            match self.content(record, deleted) {
                None => delivery.hints.push(id),
                Some((record, partial)) => delivery.records.push(observation(lens, id, record, partial)),
            }
        }
        Ok(delivery)
    }

    /// Nothing for a record that is only named. That it was deleted is not
    /// believed either: it is read, and what is gone is gone.
    fn content(&self, record: Json, deleted: bool) -> Option<(Json, bool)> {
        let bare = record.as_object().is_some_and(|members| members.len() <= 1);
        match self.payload {
            Payload::Hint => None,
            _ if deleted || bare => None,
            Payload::Whole => Some((record, false)),
            Payload::Partial => Some((record, true)),
        }
    }

    fn records(&self, lens: &Lens, json: Json) -> Result<(Vec<Json>, bool), String> {
        let found = match (&self.selector, json) {
            (Some(path), json) => {
                path.take(json).ok_or_else(|| format!("there is nothing at `{path}` in the webhook"))?
            }
            (None, json) => {
                let inside = json.get("data").is_some_and(|data| data.is_object() || data.is_array());
                if inside && lens.primary_key.get(&json).is_none() {
                    FieldPath::dotted("data").take(json).unwrap_or_default()
                } else {
                    json
                }
            }
        };
        Ok(match found {
            Json::Array(records) => (records, true),
            record => (vec![record], false),
        })
    }

    /// The message's id, if it is signed as it should be.
    fn genuine(&self, raw: &RawWebhook) -> Result<Option<String>, WebhookError> {
        let id = text(&raw.headers, HEADER_WEBHOOK_ID);
        if self.signers.is_empty() {
            return Ok(id.map(str::to_owned));
        }
        let signed = || {
            let id = id.filter(|id| !id.is_empty() && id.len() <= 256)?;
            let at: i64 = text(&raw.headers, HEADER_WEBHOOK_TIMESTAMP)?.parse().ok()?;
            let received = raw.received.0.div_euclid(1_000_000);
            if received.abs_diff(at) > TOLERANCE_SECONDS {
                return None;
            }
            let given = text(&raw.headers, HEADER_WEBHOOK_SIGNATURE)?;
            let ours: Vec<String> =
                self.signers.iter().filter_map(|signer| signer.sign(id, at, &raw.body).ok()).collect();
            let mut matches = subtle::Choice::from(0);
            for given in given.split(' ').take(SIGNATURES_MAX) {
                for ours in &ours {
                    matches |= given.as_bytes().ct_eq(ours.as_bytes());
                }
            }
            bool::from(matches).then(|| id.to_owned())
        };
        signed().map(Some).ok_or(WebhookError::Unauthorised)
    }
}

fn signer(secret: &str) -> Result<Webhook, &'static str> {
    use base64::Engine;
    let key =
        base64::engine::general_purpose::STANDARD.decode(secret.strip_prefix("whsec_").unwrap_or(secret));
    let key = key.map_err(|_| "is no base64, as `whsec_…` has it")?;
    if key.len() < SECRET_MIN {
        return Err("is too short: 16 bytes at least, in base64");
    }
    Webhook::from_bytes(key).map_err(|_| "cannot be used")
}

/// A header that comes just once.
fn text<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    let mut values = headers.get_all(name).iter();
    let value = values.next()?.to_str().ok()?;
    values.next().is_none().then_some(value)
}

fn observation(lens: &Lens, id: NativeId, record: Json, partial: bool) -> Observation {
    let mut seen = lens.observe(id, record, None);
    if partial && let Content::Whole(record) = seen.content {
        seen.content = Content::Partial(record);
    }
    seen
}
