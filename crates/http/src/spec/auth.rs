//! How a side is shown who we are. Secrets go in and have no way out.

use schemars::JsonSchema;
use secrecy::SecretString;
use serde::{Deserialize, Deserializer};

/// How we show a side who we are.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub enum Authenticator {
    /// Not at all.
    #[default]
    #[serde(alias = "NoAuth")]
    None,
    /// `Authorization: Bearer …`.
    #[serde(alias = "BearerAuthenticator")]
    Bearer {
        /// The token.
        #[serde(deserialize_with = "secret")]
        #[schemars(with = "String")]
        api_token: SecretString,
    },
    /// `Authorization: Basic …`.
    #[serde(alias = "BasicHttpAuthenticator")]
    Basic {
        /// The user.
        username: String,
        /// The password; may be empty.
        #[serde(default, deserialize_with = "secret")]
        #[schemars(with = "String")]
        password: SecretString,
    },
}

pub(super) fn secret<'de, D: Deserializer<'de>>(deserializer: D) -> Result<SecretString, D::Error> {
    String::deserialize(deserializer).map(SecretString::from)
}

pub(super) fn maybe_secret<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<SecretString>, D::Error> {
    Ok(Option::<String>::deserialize(deserializer)?.map(SecretString::from))
}
