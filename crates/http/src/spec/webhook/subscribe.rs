//! How a side is asked to send webhooks, where its API has requests for that.

use crate::spec::{FieldPath, Method, Span, Template};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value as Json;

/// How a side is asked to send webhooks, and asked again before it would stop.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SubscribeSpec {
    /// Where the side is to send them: our address as it sees it, `https://sync.example/hooks/clerk`.
    pub callback_url: String,
    /// The request that asks for them.
    pub create: CallSpec,
    /// The request that asks the side to go on; its templates also know `id`. Default: `create` again.
    #[serde(default)]
    pub renew: Option<CallSpec>,
    /// Where in the answer the subscription's id is. Default: `id`.
    #[serde(default = "id")]
    pub subscription_id: FieldPath,
    /// Where in the answer it stands when the subscription ends. Default: nowhere.
    #[serde(default)]
    pub expires: Option<FieldPath>,
    /// How long it is asked for (`{{ ends_at }}`), and holds if the answer does not say. Default:
    /// for ever.
    #[serde(default)]
    pub lifetime: Option<Span>,
    /// How long before its end it is renewed. Default: `1h`; never more than half of what is left.
    #[serde(default = "hour")]
    pub renew_before: Span,
}

/// One request of a registration. Templates know `callback_url`, `secret` and `ends_at`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CallSpec {
    /// `POST`, `PUT`, `PATCH` or `DELETE`.
    pub method: Method,
    /// Below the side's URL.
    pub path: Template,
    /// The body, as JSON; each text in it is a template. Default: none.
    #[serde(default)]
    pub json: Option<Json>,
}

fn id() -> FieldPath {
    FieldPath::dotted("id")
}

fn hour() -> Span {
    Span::seconds(3_600)
}
