//! Webhooks coming in: is it genuine, and what does it say?
//!
//! Pure: the time of arrival is given. What is not signed by whom it should be
//! learns nothing from the answer. A message is one thing that happened; a delivery
//! has one of them, or a list.

mod challenge;
mod origin;
mod signature;
mod subscribe;

use crate::decode;
use crate::error::{SpecError, quote};
use crate::select::{self, Lens};
use crate::spec::{BaseUrl, FieldPath, Payload, Place, Signature, WebhookSpec};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use challenge::Handshake;
use hms_sync_connector::{Content, Delivery, Observation, RawWebhook, WebhookError};
use hms_sync_model::NativeId;
use http::{HeaderMap, HeaderName};
use origin::Origin;
use serde_json::Value as Json;
use sha2::{Digest, Sha256};
pub(crate) use signature::Signer;
use signature::{ID_MAX, Verifier, WEBHOOK_ID};
use std::fmt;
pub(crate) use subscribe::Subscribe;

const GITHUB_DELIVERY: HeaderName = HeaderName::from_static("x-github-delivery");

/// A webhook, set up.
pub(crate) struct Hook {
    verifier: Verifier,
    origin: Origin,
    challenge: Option<Handshake>,
    pub(crate) subscribe: Option<Subscribe>,
    id: Spot,
    /// A message without an id will not do.
    id_wanted: bool,
    event_type: Vec<Spot>,
    events: Vec<String>,
    deleted_when: Vec<String>,
    payload: Payload,
    batch: Option<FieldPath>,
    selector: Option<FieldPath>,
    /// Where records are that stand neither alone nor where a selector says.
    data: FieldPath,
    can_fetch: bool,
}

impl fmt::Debug for Hook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hook")
            .field("payload", &self.payload)
            .field("secrets", &self.verifier.secrets())
            .finish_non_exhaustive()
    }
}

/// A place in a delivery, ready for use.
#[derive(Debug, Clone)]
enum Spot {
    Header(HeaderName),
    Field(FieldPath),
}

impl Spot {
    fn new(place: &Place) -> Result<Self, String> {
        match place {
            Place::Header(name) => header_name(name).map(Self::Header),
            Place::Field(path) => Ok(Self::Field(path.clone())),
        }
    }

    /// The text there; a number counts as text.
    fn text(&self, raw: &RawWebhook, message: &Json) -> Option<String> {
        match self {
            Self::Header(name) => once(&raw.headers, name).map(str::to_owned),
            Self::Field(path) => match path.get(message)? {
                Json::String(text) => Some(text.clone()),
                Json::Number(n) => Some(n.to_string()),
                Json::Null | Json::Bool(_) | Json::Array(_) | Json::Object(_) => None,
            },
        }
    }
}

impl fmt::Display for Spot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Header(name) => write!(f, "header `{name}`"),
            Self::Field(path) => write!(f, "`{path}`"),
        }
    }
}

impl Hook {
    pub(crate) fn new(
        key: &str,
        base: &BaseUrl,
        spec: &WebhookSpec,
        can_fetch: bool,
    ) -> Result<Self, SpecError> {
        let bad = |name: &str, why: &str| SpecError::new(format!("{key}.{name}"), why);
        if !spec.path.starts_with('/') {
            return Err(bad("path", "must start with `/`"));
        }
        if spec.payload == Payload::Hint && !can_fetch {
            return Err(bad("payload", "a hint needs `fetch`, to read what it names"));
        }
        if spec.allow_networks.is_empty() && !spec.trusted_proxies.is_empty() {
            return Err(bad("trusted_proxies", "is of no use without `allow_networks`"));
        }
        if spec.event_type.0.is_empty() {
            return Err(bad("event_type", "names no place"));
        }
        let spot = |name: &str, place| Spot::new(place).map_err(|why| bad(name, &why));
        let event_type: Result<_, _> =
            spec.event_type.0.iter().map(|place| spot("event_type.header", place)).collect();
        let subscribe = spec
            .subscribe
            .as_ref()
            .map(|subscribe| Subscribe::new(&format!("{key}.subscribe"), base, subscribe, &spec.secret));
        let challenge = spec.challenge.as_ref().map(Handshake::new).transpose();
        Ok(Self {
            verifier: Verifier::new(key, spec)?,
            origin: Origin::new(&spec.allow_networks, &spec.trusted_proxies),
            subscribe: subscribe.transpose()?,
            challenge: challenge.map_err(|why| bad("challenge.verify_token", why))?,
            id: spec
                .id
                .as_ref()
                .map(|place| spot("id.header", place))
                .transpose()?
                .unwrap_or_else(|| usual_id(spec)),
            id_wanted: spec.id.is_some(),
            event_type: event_type?,
            events: spec.events.clone(),
            deleted_when: spec.deleted_when.clone(),
            payload: spec.payload,
            batch: spec.batch.clone(),
            selector: spec.record_selector.as_ref().map(|selector| selector.field_path.clone()),
            data: FieldPath::dotted("data"),
            can_fetch,
        })
    }

    /// The answer to a question whether we listen; nothing if it is no such question.
    pub(crate) fn handshake(&self, raw: &RawWebhook) -> Option<Result<String, WebhookError>> {
        let challenge = self.challenge.as_ref()?;
        if !self.origin.admits(raw) {
            return Some(Err(WebhookError::Unauthorised));
        }
        challenge.answer(raw, || self.verifier.is_genuine(raw))
    }

    /// What a delivery says, if it is genuine.
    pub(crate) fn open(&self, lens: &Lens, raw: &RawWebhook) -> Result<Delivery, WebhookError> {
        if !self.origin.admits(raw) || !self.verifier.is_genuine(raw) {
            return Err(WebhookError::Unauthorised);
        }
        self.read(lens, raw).map_err(|reason| WebhookError::Malformed { reason })
    }

    fn read(&self, lens: &Lens, raw: &RawWebhook) -> Result<Delivery, String> {
        let json = decode::parse(&raw.body).map_err(|why| why.replace("the answer", "the webhook"))?;
        let mut delivery = Delivery { message: None, records: Vec::new(), hints: Vec::new() };
        let (messages, several) = self.messages(json)?;
        let message = self.message_id(raw, &messages)?;
        let mut read = 0;
        for message in messages {
            let Some(deleted) = self.wanted(raw, &message)? else { continue };
            let (records, many) = self.records(lens, message)?;
            for record in records {
                read += 1;
                let place = |why: String| {
                    if many || several { format!("record {read} {why}") } else { format!("the record {why}") }
                };
                self.take(lens, record, deleted, &mut delivery).map_err(place)?;
            }
        }
        // What says nothing to us need not be remembered.
        let nothing = delivery.records.is_empty() && delivery.hints.is_empty();
        delivery.message = message.filter(|_| !nothing);
        Ok(delivery)
    }

    /// The messages of a delivery, and whether they came as a list.
    fn messages(&self, json: Json) -> Result<(Vec<Json>, bool), String> {
        let found = match &self.batch {
            Some(path) => {
                path.take(json).ok_or_else(|| format!("there is nothing at `{path}` in the webhook"))?
            }
            None => json,
        };
        match (found, &self.batch) {
            (Json::Array(messages), _) => Ok((messages, true)),
            (_, Some(path)) => Err(format!("there is no list of messages at `{path}` in the webhook")),
            (message, None) => Ok((vec![message], false)),
        }
    }

    /// Whether the body of a message says what happened, as an event around a record does.
    fn says_what_happened(&self, message: &Json) -> bool {
        let said = |spot: &Spot| match spot {
            Spot::Field(path) => path.get(message).is_some_and(Json::is_string),
            Spot::Header(_) => false,
        };
        self.event_type.iter().any(said)
    }

    /// The id of a delivery: the same when it is sent again.
    fn message_id(&self, raw: &RawWebhook, messages: &[Json]) -> Result<Option<String>, String> {
        let one = |message: &Json| match self.id.text(raw, message).filter(|id| !id.is_empty()) {
            Some(id) if id.len() > ID_MAX => {
                Err(format!("the id at {} is longer than {ID_MAX} bytes", self.id))
            }
            Some(id) if id.chars().any(char::is_control) => {
                Err(format!("the id at {} has control characters: {}", self.id, quote(id.as_bytes(), 60)))
            }
            None if self.id_wanted => Err(format!("there is no message id at {}", self.id)),
            id => Ok(id),
        };
        match (messages, &self.id) {
            ([], Spot::Field(_)) => Ok(None),
            ([message], _) => one(message),
            (_, Spot::Header(_)) => one(&Json::Null),
            // Of a list: all of them.
            (messages, Spot::Field(_)) => {
                let mut hash = Sha256::new();
                for message in messages {
                    let Some(id) = one(message)? else { return Ok(None) };
                    hash.update(id.len().to_be_bytes());
                    hash.update(id);
                }
                let hash = URL_SAFE_NO_PAD.encode(hash.finalize());
                Ok(Some(format!("batch:{hash}")))
            }
        }
    }

    /// Whether a message is to be taken in, and whether it says that a record was deleted.
    fn wanted(&self, raw: &RawWebhook, message: &Json) -> Result<Option<bool>, String> {
        let words: Vec<String> = self.event_type.iter().filter_map(|spot| spot.text(raw, message)).collect();
        if words.is_empty() && !(self.events.is_empty() && self.deleted_when.is_empty()) {
            let places: Vec<String> = self.event_type.iter().map(Spot::to_string).collect();
            return Err(format!("the webhook does not say what happened at {}", places.join(" or ")));
        }
        let event = words.join(".");
        let is_one = |patterns: &[String]| patterns.iter().any(|pattern| fits(pattern, &event));
        let deleted =
            if self.deleted_when.is_empty() { event.contains("delete") } else { is_one(&self.deleted_when) };
        let wanted =
            self.events.is_empty() || is_one(&self.events) || (deleted && !self.deleted_when.is_empty());
        Ok(wanted.then_some(deleted))
    }

    fn take(&self, lens: &Lens, record: Json, deleted: bool, delivery: &mut Delivery) -> Result<(), String> {
        let bare = record.as_object().is_some_and(|members| members.len() <= lens.key.len());
        let record = if self.payload == Payload::Whole && !deleted && !bare {
            lens.made(record)?
        } else {
            lens.partly(record)?
        };
        let id = match (self.payload, &record) {
            // A hint may be the bare id.
            (Payload::Hint, Json::String(_) | Json::Number(_)) if lens.key.alone().is_some() => {
                select::scalar_id(&record)?
            }
            _ => lens.id(&record)?,
        };
        let believed = deleted && !self.deleted_when.is_empty() && !self.can_fetch;
        if believed {
            delivery.records.push(Observation { id, tag: None, modified: None, content: Content::Gone });
            return Ok(());
        }
        match self.content(record, deleted || bare) {
            None => delivery.hints.push(id),
            Some((record, partial)) => delivery.records.push(observation(lens, id, record, partial)),
        }
        Ok(())
    }

    /// Nothing for a record that is only named. That it was deleted is not
    /// believed either: it is read, and what is gone is gone.
    fn content(&self, record: Json, named: bool) -> Option<(Json, bool)> {
        match self.payload {
            Payload::Hint => None,
            _ if named => None,
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
                let inside = json.get("data").filter(|data| data.is_object() || data.is_array());
                let is_event = inside.is_some() && self.says_what_happened(&json);
                if is_event && lens.key.is_in(&json) && inside.is_some_and(|data| !has_keys(lens, data)) {
                    // An event's id taken for a record's would be another record.
                    let why = "it says what happened and has a `data` without the key: say by `record_selector` \
                               where the record is (`field_path: []` for the message itself)";
                    return Err(why.to_owned());
                }
                if inside.is_some() && (is_event || !lens.key.is_in(&json)) {
                    self.data.take(json).unwrap_or_default()
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
}

/// Whether a record, or each of some, has a key.
fn has_keys(lens: &Lens, data: &Json) -> bool {
    data.as_array().map_or_else(|| lens.key.is_in(data), |all| all.iter().all(|one| lens.key.is_in(one)))
}

/// Where each kind of sender writes the id of a message.
fn usual_id(spec: &WebhookSpec) -> Spot {
    match &spec.signature {
        Signature::Github {} => Spot::Header(GITHUB_DELIVERY),
        Signature::Stripe { .. } => Spot::Field(FieldPath::dotted("id")),
        Signature::Slack { .. } => Spot::Field(FieldPath::dotted("event_id")),
        Signature::StandardWebhooks { .. }
        | Signature::Hmac { .. }
        | Signature::Basic {}
        | Signature::Bearer {}
        | Signature::Token { .. } => Spot::Header(WEBHOOK_ID),
    }
}

/// `permit.*` fits all that begins with `permit.`.
fn fits(pattern: &str, event: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some(start) => event.starts_with(start),
        None => pattern == event,
    }
}

fn header_name(name: &str) -> Result<HeaderName, String> {
    HeaderName::try_from(name).map_err(|_| format!("`{}` is no name of a header", quote(name.as_bytes(), 60)))
}

/// A header that comes just once.
fn once<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Option<&'h str> {
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
