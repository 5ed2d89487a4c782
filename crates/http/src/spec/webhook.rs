//! How a side tells us of changes by itself.

use super::RecordSelector;
use super::auth::maybe_secret;
use schemars::JsonSchema;
use secrecy::SecretString;
use serde::Deserialize;

/// How a side tells us of changes by itself.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct WebhookSpec {
    /// Where we listen for it, below the management address: `/hooks/clerk`.
    pub path: String,
    /// What the side signs with (Standard Webhooks, `whsec_…`); several, separated
    /// by blanks, while it is being changed.
    #[serde(default, deserialize_with = "maybe_secret")]
    #[schemars(with = "Option<String>")]
    pub secret: Option<SecretString>,
    /// Must be true for a webhook without a secret: anybody who reaches it is believed.
    #[serde(default)]
    pub unsigned: bool,
    /// What a delivery is worth. Default: `whole`.
    #[serde(default)]
    pub payload: Payload,
    /// Where in the delivery the record or the records are. Default: the delivery
    /// itself, or its member `data`.
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
