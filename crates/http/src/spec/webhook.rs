//! How a side tells us of changes by itself.

mod challenge;
mod secret;
mod signature;
mod subscribe;

pub use challenge::Challenge;
pub use secret::Secrets;
pub use signature::{Algorithm, Encoding, Signature};
pub use subscribe::{CallSpec, SubscribeSpec};

use super::{FieldPath, Network, RecordSelector};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::value::MapAccessDeserializer;
use serde::de::{MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use std::borrow::Cow;
use std::fmt;

/// How a side tells us of changes by itself.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct WebhookSpec {
    /// Where we listen for it, below the management address: `/hooks/clerk`.
    pub path: String,
    /// What the side shows or signs with; several in a list while it is being
    /// changed. Standard Webhooks: `whsec_…` or `whpk_…`, several also separated by blanks.
    #[serde(default)]
    pub secret: Secrets,
    /// How the side shows that a webhook is its own. Default: Standard Webhooks.
    #[serde(default)]
    pub signature: Signature,
    /// Must be true for a webhook without a secret: anybody who reaches it is believed.
    #[serde(default)]
    pub unsigned: bool,
    /// Networks that webhooks may come from, as `192.0.2.0/24`; it does not make a
    /// secret needless. Default: any.
    #[serde(default)]
    pub allow_networks: Vec<Network>,
    /// Networks of reverse proxies in front of us, whose `X-Forwarded-For` is believed.
    /// Default: none.
    #[serde(default)]
    pub trusted_proxies: Vec<Network>,
    /// The question by which a side finds out whether we listen, and its answer. Default: none.
    #[serde(default)]
    pub challenge: Option<Challenge>,
    /// How the side is asked to send webhooks, where its API has requests for that.
    #[serde(default)]
    pub subscribe: Option<SubscribeSpec>,
    /// Where a message's id is, the same when it is sent again. Default: as the
    /// kind of `signature` has it.
    #[serde(default)]
    pub id: Option<Place>,
    /// Where a message says what happened; several are joined by a dot. Default: the member `type`.
    #[serde(default)]
    pub event_type: EventType,
    /// What is taken in, as `permit.updated` or `permit.*`; the rest is answered
    /// with success and passed over. Default: all.
    #[serde(default)]
    pub events: Vec<String>,
    /// What means that a record was deleted. Default: what has `delete` in it, which
    /// is believed only after the record was looked for.
    #[serde(default)]
    pub deleted_when: Vec<String>,
    /// What a delivery is worth. Default: `whole`.
    #[serde(default)]
    pub payload: Payload,
    /// Where in the delivery the list of messages is, where it has several. Default:
    /// the delivery itself if it is a list.
    #[serde(default)]
    pub batch: Option<FieldPath>,
    /// Where in a message the record or the records are. Default: its member `data`, where the
    /// message says what happened or has no key of its own, else the message itself.
    #[serde(default)]
    pub record_selector: Option<RecordSelector>,
}

/// What a webhook's delivery is worth.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Payload {
    /// It carries whole records, which are believed.
    #[default]
    #[serde(alias = "authoritative")]
    Whole,
    /// It carries the changed fields of records, which are believed.
    Partial,
    /// It only names records; they are read.
    Hint,
}

/// A place in a delivery.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Place {
    /// This header.
    Header(String),
    /// This member of the body.
    Field(FieldPath),
}

/// Where a message says what happened: one place or several.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventType(pub Vec<Place>);

impl Default for EventType {
    /// The member `type`.
    fn default() -> Self {
        Self(vec![Place::Field(FieldPath::dotted("type"))])
    }
}

impl<'de> Deserialize<'de> for EventType {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct OneOrMore;
        impl<'de> Visitor<'de> for OneOrMore {
            type Value = EventType;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(
                    "a place, as `{ field: type }` or `{ header: X-GitHub-Event }`, or a list of them",
                )
            }
            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<EventType, A::Error> {
                Place::deserialize(MapAccessDeserializer::new(map)).map(|place| EventType(vec![place]))
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<EventType, A::Error> {
                let mut places = Vec::new();
                while let Some(place) = seq.next_element()? {
                    places.push(place);
                }
                Ok(EventType(places))
            }
        }
        deserializer.deserialize_any(OneOrMore)
    }
}

impl JsonSchema for EventType {
    fn schema_name() -> Cow<'static, str> {
        "EventType".into()
    }
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let place = generator.subschema_for::<Place>();
        json_schema!({
            "anyOf": [place, { "type": "array", "items": place }],
            "description": "a place in a delivery, or several whose words are joined by a dot"
        })
    }
}
