//! How a side is shown who we are. Secrets go in and have no way out.

use super::{BaseUrl, FieldPath, Headers, Span};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use secrecy::SecretString;
use serde::{Deserialize, Deserializer};
use std::borrow::Cow;
use std::collections::BTreeMap;

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
        #[serde(alias = "token", deserialize_with = "secret")]
        #[schemars(with = "SecretText")]
        api_token: SecretString,
    },
    /// `Authorization: Basic …`.
    #[serde(alias = "BasicHttpAuthenticator", alias = "http_basic")]
    Basic {
        /// The user.
        username: String,
        /// The password; may be empty.
        #[serde(default, deserialize_with = "secret")]
        #[schemars(with = "SecretText")]
        password: SecretString,
    },
    /// A key in a header, a parameter, the body or a cookie.
    #[serde(alias = "ApiKeyAuthenticator")]
    ApiKey {
        /// The key.
        #[serde(alias = "api_key", deserialize_with = "secret")]
        #[schemars(with = "SecretText")]
        api_token: SecretString,
        /// Where it goes.
        #[serde(default)]
        inject_into: Option<AuthOption>,
        /// The same in dlt's words: under which name.
        #[serde(default)]
        name: Option<String>,
        /// The same in dlt's words: where. Default: `header`.
        #[serde(default)]
        location: Option<AuthInto>,
    },
    /// OAuth 2: a token that is asked for and renewed.
    #[serde(alias = "OAuthAuthenticator", alias = "oauth2", alias = "oauth2_client_credentials")]
    Oauth(Box<OauthSpec>),
    /// A token that a login request is answered with.
    #[serde(alias = "SessionTokenAuthenticator")]
    SessionToken(Box<SessionSpec>),
    /// A token that we sign ourselves.
    #[serde(alias = "JwtAuthenticator")]
    Jwt(Box<JwtSpec>),
}

/// Where in a request something goes.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AuthOption {
    /// Airbyte's name of this; makes no difference.
    #[serde(default, rename = "type")]
    pub kind: Option<RequestOptionType>,
    /// Which part of the request.
    pub inject_into: AuthInto,
    /// Under which name.
    pub field_name: String,
}

/// Airbyte's name of a request option.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
pub enum RequestOptionType {
    /// The only one.
    #[serde(rename = "RequestOption", alias = "request_option")]
    RequestOption,
}

/// A part of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum AuthInto {
    /// A header.
    Header,
    /// A parameter behind the `?`.
    #[serde(alias = "query", alias = "param")]
    RequestParameter,
    /// A member of the JSON body.
    #[serde(alias = "body")]
    BodyJson,
    /// A field of the form in the body.
    BodyData,
    /// A cookie.
    Cookie,
}

/// OAuth 2, with `client_credentials` or `refresh_token`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct OauthSpec {
    /// Where tokens are asked for.
    #[serde(alias = "access_token_url", alias = "token_endpoint")]
    pub token_refresh_endpoint: BaseUrl,
    /// Who we are.
    pub client_id: String,
    /// What shows it.
    #[serde(default, deserialize_with = "maybe_secret")]
    #[schemars(with = "Option<SecretText>")]
    pub client_secret: Option<SecretString>,
    /// What we were given for tokens. Default: none, and tokens are had for `client_secret`.
    #[serde(default, deserialize_with = "maybe_secret")]
    #[schemars(with = "Option<SecretText>")]
    pub refresh_token: Option<SecretString>,
    /// Which way. Default: `refresh_token` where there is one, else `client_credentials`.
    #[serde(default)]
    pub grant_type: Option<GrantType>,
    /// What we want to be allowed.
    #[serde(default)]
    pub scopes: Vec<String>,
    /// Where `client_id` and `client_secret` go. Default: `body`.
    #[serde(default)]
    pub client_authentication: ClientAuthentication,
    /// More fields of the request, as `audience`.
    #[serde(default, alias = "access_token_request_data")]
    pub refresh_request_body: BTreeMap<String, String>,
    /// The answer's member with the token. Default: `access_token`.
    #[serde(default = "access_token")]
    pub access_token_name: String,
    /// The answer's member with how long it is taken, in seconds. Default: `expires_in`.
    #[serde(default = "expires_in")]
    pub expires_in_name: String,
}

fn access_token() -> String {
    "access_token".to_owned()
}

fn expires_in() -> String {
    "expires_in".to_owned()
}

/// The ways to a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum GrantType {
    /// For the client's own secret.
    ClientCredentials,
    /// For a token that somebody gave us, and that may be replaced each time.
    RefreshToken,
}

/// Where a client shows who it is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ClientAuthentication {
    /// In the form that is sent.
    #[default]
    Body,
    /// In `Authorization: Basic …`.
    Basic,
}

/// A login request and what is made of its answer.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SessionSpec {
    /// The request.
    pub login_requester: LoginRequester,
    /// Where in the answer the token is.
    pub session_token_path: FieldPath,
    /// How long it is taken, as `1h` or `PT1H`. Default: until the side answers 401.
    #[serde(default)]
    pub expiration_duration: Option<Span>,
    /// How it is shown. Default: `Authorization: Bearer …`.
    #[serde(default)]
    pub request_authentication: SessionUse,
}

/// A login request.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LoginRequester {
    /// Where.
    pub url: BaseUrl,
    /// Its JSON body, as `{ user: sync, password: … }`; each value may be a secret.
    #[serde(default, alias = "request_body_json", deserialize_with = "secrets")]
    #[schemars(with = "BTreeMap<String, SecretText>")]
    pub request_body: BTreeMap<String, SecretString>,
    /// Its headers.
    #[serde(default)]
    pub request_headers: Headers,
}

/// How a session's token is shown.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub enum SessionUse {
    /// `Authorization: Bearer …`.
    #[default]
    #[serde(alias = "Bearer")]
    Bearer,
    /// As a key.
    #[serde(alias = "ApiKey")]
    ApiKey {
        /// Where it goes.
        inject_into: AuthOption,
    },
}

/// A token that we sign ourselves.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct JwtSpec {
    /// What signs: text for `HS…`, else a private key in PEM.
    #[serde(deserialize_with = "secret")]
    #[schemars(with = "SecretText")]
    pub secret_key: SecretString,
    /// How.
    pub algorithm: JwtAlgorithm,
    /// That `secret_key` is Base64 of the bytes that sign; for `HS…`. Default: false.
    #[serde(default)]
    pub secret_key_is_base64: bool,
    /// How long a token is taken, in seconds. Default: 1200.
    #[serde(default = "twenty_minutes")]
    pub token_duration: u32,
    /// What stands before it in `Authorization`. Default: `Bearer`.
    #[serde(default = "bearer")]
    pub header_prefix: String,
    /// `kid`, `typ` and `cty` of its header.
    #[serde(default)]
    pub jwt_headers: BTreeMap<String, String>,
    /// `iss`, `sub` and `aud`.
    #[serde(default)]
    pub jwt_payload: BTreeMap<String, String>,
    /// More of what it says.
    #[serde(default)]
    pub additional_jwt_payload: BTreeMap<String, String>,
}

fn twenty_minutes() -> u32 {
    1_200
}

fn bearer() -> String {
    "Bearer".to_owned()
}

/// How a token is signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
pub enum JwtAlgorithm {
    /// HMAC with SHA-256.
    HS256,
    /// HMAC with SHA-384.
    HS384,
    /// HMAC with SHA-512.
    HS512,
    /// RSA with SHA-256.
    RS256,
    /// ECDSA on P-256 with SHA-256.
    ES256,
}

/// A secret as it may be written: text, or where it is read from.
#[derive(Debug)]
pub struct SecretText;

impl JsonSchema for SecretText {
    fn schema_name() -> Cow<'static, str> {
        "Secret".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "a secret: text, or `{ file: … }`, or `{ command: [ … ] }`",
            "anyOf": [
                { "type": ["string", "number", "boolean"] },
                {
                    "type": "object",
                    "properties": { "file": { "type": "string", "description": "a file that holds it" } },
                    "required": ["file"],
                    "additionalProperties": false
                },
                {
                    "type": "object",
                    "properties": {
                        "command": {
                            "type": "array",
                            "items": { "type": "string" },
                            "description": "a command that prints it"
                        }
                    },
                    "required": ["command"],
                    "additionalProperties": false
                }
            ]
        })
    }
}

fn secrets<'de, D: Deserializer<'de>>(deserializer: D) -> Result<BTreeMap<String, SecretString>, D::Error> {
    let plain = BTreeMap::<String, String>::deserialize(deserializer)?;
    Ok(plain.into_iter().map(|(name, text)| (name, text.into())).collect())
}

pub(super) fn secret<'de, D: Deserializer<'de>>(deserializer: D) -> Result<SecretString, D::Error> {
    String::deserialize(deserializer).map(SecretString::from)
}

pub(super) fn maybe_secret<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<SecretString>, D::Error> {
    Ok(Option::<String>::deserialize(deserializer)?.map(SecretString::from))
}
