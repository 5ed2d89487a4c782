//! Questions by which sides find out whether we listen.

use crate::spec::auth::maybe_secret;
use schemars::JsonSchema;
use secrecy::SecretString;
use serde::Deserialize;

/// The question by which a side finds out whether we listen, before it sends anything.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub enum Challenge {
    /// Slack: a signed message of type `url_verification`; its `challenge` is the answer.
    Slack {},
    /// Meta: a GET with `hub.mode=subscribe` and our token; `hub.challenge` is the answer.
    Meta {
        /// What was entered at the side as the verify token.
        #[serde(default, deserialize_with = "maybe_secret")]
        #[schemars(with = "String")]
        verify_token: Option<SecretString>,
    },
    /// Microsoft Graph: a POST with `validationToken`, which is the answer.
    MicrosoftGraph {},
}
