//! The ways in which a side shows that a webhook is its own.

use super::Place;
use crate::spec::Span;
use schemars::JsonSchema;
use serde::Deserialize;

/// How a side shows that a webhook is its own. All but `basic`, `bearer` and `token`
/// sign the body to the byte.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub enum Signature {
    /// Standard Webhooks: `webhook-signature`, version `v1` (`whsec_…`) or `v1a` (`whpk_…`).
    StandardWebhooks {
        /// How far its clock may be from ours, either way. Default: `5m`.
        #[serde(default = "five_minutes")]
        tolerance: Span,
    },
    /// GitHub: `X-Hub-Signature-256`; the id is `X-GitHub-Delivery`.
    Github {},
    /// Stripe: `Stripe-Signature: t=…,v1=…`; the id is the member `id`.
    Stripe {
        /// How far its clock may be from ours, either way. Default: `5m`.
        #[serde(default = "five_minutes")]
        tolerance: Span,
    },
    /// Slack: `X-Slack-Signature`, version `v0`; the id is the member `event_id`.
    Slack {
        /// How far its clock may be from ours, either way. Default: `5m`.
        #[serde(default = "five_minutes")]
        tolerance: Span,
    },
    /// An HMAC of the body in a header of any name.
    Hmac {
        /// The header, as `X-Shopify-Hmac-Sha256`.
        header: String,
        /// The hash. Default: `sha256`.
        #[serde(default)]
        algorithm: Algorithm,
        /// How the header writes it. Default: `hex`.
        #[serde(default)]
        encoding: Encoding,
        /// What stands before it, as `sha256=`. Default: nothing.
        #[serde(default)]
        prefix: String,
    },
    /// `Authorization: Basic …`; the secret is `user:password`.
    Basic {},
    /// `Authorization: Bearer …`; the secret is the token.
    Bearer {},
    /// The secret itself, in a header or in the body.
    Token {
        /// Where it is, as `{ header: X-Gitlab-Token }`.
        at: Place,
    },
}

impl Default for Signature {
    /// Standard Webhooks, five minutes either way.
    fn default() -> Self {
        Self::StandardWebhooks { tolerance: five_minutes() }
    }
}

fn five_minutes() -> Span {
    Span::seconds(5 * 60)
}

/// The hash below an HMAC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Algorithm {
    /// SHA-256.
    #[default]
    Sha256,
    /// SHA-512.
    Sha512,
}

/// How bytes are written in a header.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Encoding {
    /// Two digits a byte.
    #[default]
    Hex,
    /// Base64, with padding.
    Base64,
}
