//! The ways to a token: OAuth, a login, our own signature. What is sent for one goes to
//! its configured endpoint and nowhere else.

use super::answer::Lost;
use super::client::Asker;
use super::hidden::Hidden;
use super::identity::bad;
use super::kept::Kept;
use super::token::Given;
use super::wait;
use crate::decode;
use crate::error::{SpecError, quote};
use crate::paging::hash;
use crate::spec::{
    BaseUrl, ClientAuthentication, FieldPath, GrantType, JwtAlgorithm, JwtSpec, LoginRequester, OauthSpec,
    SessionSpec,
};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use chrono::Utc;
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderValue, Method, StatusCode};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value as Json;
use std::fs::File;
use std::path::Path;
use std::time::Duration;

/// OAuth 2.
#[derive(Debug)]
pub(crate) struct Oauth {
    spec: OauthSpec,
    grant: GrantType,
    /// A number for the configured refresh token.
    of: u64,
    kept: Option<Kept>,
    /// The newest refresh token.
    refresh: Option<SecretString>,
    /// That it is not on the disk yet.
    unwritten: bool,
}

impl Oauth {
    pub(crate) fn new(spec: &OauthSpec, hidden: &Hidden) -> Result<Self, SpecError> {
        let usual =
            if spec.refresh_token.is_some() { GrantType::RefreshToken } else { GrantType::ClientCredentials };
        let grant = spec.grant_type.unwrap_or(usual);
        match grant {
            GrantType::RefreshToken if spec.refresh_token.is_none() => {
                return Err(bad(".refresh_token", "is needed for this `grant_type`"));
            }
            GrantType::ClientCredentials if spec.client_secret.is_none() => {
                return Err(bad(".client_secret", "is needed, or a `refresh_token`"));
            }
            _ => {}
        }
        spec.client_secret.iter().chain(&spec.refresh_token).for_each(|secret| hidden.add(secret));
        let of = spec.refresh_token.as_ref().map_or(0, |token| hash(&token.expose_secret()));
        let refresh = spec.refresh_token.clone();
        Ok(Self { spec: spec.clone(), grant, of, kept: None, refresh, unwritten: false })
    }

    pub(crate) fn keep_in(&mut self, folder: &Path, side: &str) {
        self.kept = Some(Kept::new(folder, side));
    }

    pub(crate) async fn ask(&mut self, asker: &Asker, hidden: &Hidden) -> Result<Given, String> {
        if self.grant == GrantType::ClientCredentials {
            return self.request(asker, hidden, None).await.map_err(Refusal::words);
        }
        let kept = self.kept.clone().ok_or("there is no place to keep the next refresh token")?;
        self.write(&kept).await?;
        let _locked = self.read(&kept, hidden).await?;
        let used = self.refresh.clone();
        match self.request(asker, hidden, used.as_ref()).await {
            Ok(given) => {
                self.write(&kept).await?;
                Ok(given)
            }
            Err(Refusal::Invalid(why)) => {
                // Another process may have replaced it without our lock, as from a backup.
                let newer = kept.read(self.of).map_err(|why| unread(&kept, &why))?;
                let same = |token: &SecretString| {
                    used.as_ref().is_some_and(|used| used.expose_secret() == token.expose_secret())
                };
                let Some(newer) = newer.filter(|newer| !same(newer)) else {
                    return Err(format!("{why}; somebody has to give us another `refresh_token`"));
                };
                hidden.add_passing(&newer);
                self.refresh = Some(newer);
                let used = self.refresh.clone();
                let given = self.request(asker, hidden, used.as_ref()).await.map_err(Refusal::words)?;
                self.write(&kept).await?;
                Ok(given)
            }
            Err(Refusal::Other(why)) => Err(why),
        }
    }

    /// The newest token that is on the disk, and a lock on it.
    async fn read(&mut self, kept: &Kept, hidden: &Hidden) -> Result<File, String> {
        let (file, of) = (kept.clone(), self.of);
        let read = move || {
            let locked = file.lock()?;
            Ok::<_, std::io::Error>((locked, file.read(of)?))
        };
        let (locked, token) = blocking(read).await.map_err(|why| unread(kept, &why))?;
        if let Some(token) = token {
            hidden.add_passing(&token);
            self.refresh = Some(token);
        }
        Ok(locked)
    }

    /// Puts a new one on the disk, before anything is done with it.
    async fn write(&mut self, kept: &Kept) -> Result<(), String> {
        let Some(token) = self.refresh.clone().filter(|_| self.unwritten) else { return Ok(()) };
        let (file, of) = (kept.clone(), self.of);
        blocking(move || file.write(&token, of)).await.map_err(|why| {
            format!("the new refresh token cannot be kept in {}: {why}", kept.path().display())
        })?;
        self.unwritten = false;
        Ok(())
    }

    /// The request for a token; what is in it goes to the endpoint alone.
    fn prepared(&self, refresh: Option<&SecretString>) -> Result<reqwest::Request, Refusal> {
        let spec = &self.spec;
        let mut form = url::form_urlencoded::Serializer::new(String::new());
        for (name, text) in &spec.refresh_request_body {
            form.append_pair(name, text);
        }
        let grant = if refresh.is_some() { "refresh_token" } else { "client_credentials" };
        form.append_pair("grant_type", grant);
        if let Some(token) = refresh {
            form.append_pair("refresh_token", token.expose_secret());
        }
        if !spec.scopes.is_empty() {
            form.append_pair("scope", &spec.scopes.join(" "));
        }
        let url = spec.token_refresh_endpoint.as_url().clone();
        let mut request = reqwest::Request::new(Method::POST, url);
        let secret = spec.client_secret.as_ref().map_or("", |secret| secret.expose_secret());
        match spec.client_authentication {
            ClientAuthentication::Basic => {
                let encoded =
                    |text: &str| url::form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
                let both = STANDARD.encode(format!("{}:{}", encoded(&spec.client_id), encoded(secret)));
                let mut value = HeaderValue::try_from(format!("Basic {both}")).map_err(|e| other(&e))?;
                value.set_sensitive(true);
                request.headers_mut().insert(AUTHORIZATION, value);
            }
            ClientAuthentication::Body => {
                form.append_pair("client_id", &spec.client_id);
                if !secret.is_empty() {
                    form.append_pair("client_secret", secret);
                }
            }
        }
        let kind = HeaderValue::from_static("application/x-www-form-urlencoded");
        request.headers_mut().insert(CONTENT_TYPE, kind);
        *request.body_mut() = Some(form.finish().into());
        Ok(request)
    }

    async fn request(
        &mut self,
        asker: &Asker,
        hidden: &Hidden,
        refresh: Option<&SecretString>,
    ) -> Result<Given, Refusal> {
        let request = self.prepared(refresh)?;
        let spec = &self.spec;
        let json = answer(asker, &spec.token_refresh_endpoint, request, hidden).await?;
        let token =
            token_at(&json, &FieldPath::dotted(&spec.access_token_name), &spec.token_refresh_endpoint)?;
        let life = match json.get(&spec.expires_in_name) {
            Some(Json::Number(n)) => n.as_f64().and_then(wait::length),
            Some(Json::String(text)) => text.trim().parse().ok().and_then(wait::length),
            _ => None,
        };
        if let (Some(Json::String(next)), Some(used)) = (json.get("refresh_token"), refresh)
            && next != used.expose_secret()
        {
            self.refresh = Some(next.clone().into());
            self.unwritten = true;
            hidden.add_passing(&next.clone().into());
        }
        Ok(Given { token, life })
    }
}

/// Why there is no token.
enum Refusal {
    /// What we were given for tokens is taken no longer.
    Invalid(String),
    Other(String),
}

impl Refusal {
    fn words(self) -> String {
        match self {
            Self::Invalid(why) | Self::Other(why) => why,
        }
    }
}

fn other(why: &dyn std::fmt::Display) -> Refusal {
    Refusal::Other(why.to_string())
}

fn unread(kept: &Kept, why: &std::io::Error) -> String {
    format!("the refresh token in {} cannot be read: {why}", kept.path().display())
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> std::io::Result<T> + Send + 'static,
) -> std::io::Result<T> {
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|why| Err(std::io::Error::other(why)))
}

/// What an endpoint answers, as JSON.
async fn answer(
    asker: &Asker,
    at: &BaseUrl,
    request: reqwest::Request,
    hidden: &Hidden,
) -> Result<Json, Refusal> {
    let lost = |lost: Lost| Refusal::Other(format!("no token: {}", lost.reason()));
    let (status, _, body) = asker.ask(request, at).await.map_err(lost)?;
    let body = body.map_err(|why| Refusal::Other(format!("no token from {at}: {why}")))?;
    let json: Option<Json> = decode::read(&body).ok();
    if status.is_success() {
        return json.ok_or_else(|| Refusal::Other(format!("no token from {at}: the answer is no JSON")));
    }
    let why =
        format!("no token from {at}: answered {} {}", status.as_u16(), quote(&hidden.out_of(&body), 200));
    let invalid =
        json.as_ref().and_then(|json| json.get("error")).is_some_and(|error| error == "invalid_grant");
    Err(if invalid && matches!(status, StatusCode::BAD_REQUEST | StatusCode::UNAUTHORIZED) {
        Refusal::Invalid(why)
    } else {
        Refusal::Other(why)
    })
}

fn token_at(json: &Json, path: &FieldPath, at: &BaseUrl) -> Result<SecretString, Refusal> {
    match path.get(json).and_then(Json::as_str) {
        Some(token) if !token.is_empty() => Ok(token.to_owned().into()),
        _ => Err(Refusal::Other(format!("no token from {at}: there is none at `{path}` in the answer"))),
    }
}

/// A login.
#[derive(Debug)]
pub(crate) struct Session {
    login: LoginRequester,
    path: FieldPath,
    life: Option<Duration>,
}

impl Session {
    pub(crate) fn new(spec: &SessionSpec, hidden: &Hidden) -> Self {
        spec.login_requester.request_body.values().for_each(|secret| hidden.add(secret));
        let life = spec.expiration_duration.map(|span| span.0);
        Self { login: spec.login_requester.clone(), path: spec.session_token_path.clone(), life }
    }

    pub(crate) async fn ask(&self, asker: &Asker, hidden: &Hidden) -> Result<Given, String> {
        let mut request = reqwest::Request::new(Method::POST, self.login.url.as_url().clone());
        for (name, value) in self.login.request_headers.iter() {
            request.headers_mut().insert(name, value.clone());
        }
        request.headers_mut().insert(CONTENT_TYPE, super::JSON);
        let members = self.login.request_body.iter();
        let body: Json =
            members.map(|(name, text)| (name.clone(), Json::from(text.expose_secret()))).collect();
        *request.body_mut() = Some(body.to_string().into());
        let json = answer(asker, &self.login.url, request, hidden).await.map_err(Refusal::words)?;
        let token = token_at(&json, &self.path, &self.login.url).map_err(Refusal::words)?;
        Ok(Given { token, life: self.life })
    }
}

/// Our own signature.
pub(crate) struct Jwt {
    spec: JwtSpec,
    header: Header,
    key: EncodingKey,
}

impl std::fmt::Debug for Jwt {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Jwt").field("spec", &self.spec).finish_non_exhaustive()
    }
}

impl Jwt {
    pub(crate) fn new(spec: &JwtSpec, hidden: &Hidden) -> Result<Self, SpecError> {
        hidden.add(&spec.secret_key);
        let key = |why: &str| bad(".secret_key", why);
        let text = spec.secret_key.expose_secret();
        let signs = |algorithm| {
            if spec.secret_key_is_base64 {
                let bytes = STANDARD.decode(text.trim()).map_err(|_| key("is no Base64"))?;
                return Ok((algorithm, EncodingKey::from_secret(&bytes)));
            }
            Ok((algorithm, EncodingKey::from_secret(text.as_bytes())))
        };
        let (algorithm, signer) = match spec.algorithm {
            JwtAlgorithm::HS256 => signs(Algorithm::HS256)?,
            JwtAlgorithm::HS384 => signs(Algorithm::HS384)?,
            JwtAlgorithm::HS512 => signs(Algorithm::HS512)?,
            JwtAlgorithm::RS256 => {
                let read = EncodingKey::from_rsa_pem(text.as_bytes());
                (Algorithm::RS256, read.map_err(|_| key("is no RSA key in PEM"))?)
            }
            JwtAlgorithm::ES256 => {
                let read = EncodingKey::from_ec_pem(text.as_bytes());
                (Algorithm::ES256, read.map_err(|_| key("is no P-256 key in PEM (PKCS 8)"))?)
            }
        };
        let mut header = Header::new(algorithm);
        for (name, text) in &spec.jwt_headers {
            match name.as_str() {
                "kid" => header.kid = Some(text.clone()),
                "typ" => header.typ = Some(text.clone()),
                "cty" => header.cty = Some(text.clone()),
                _ => return Err(bad(".jwt_headers", "knows `kid`, `typ` and `cty`")),
            }
        }
        let jwt = Self { spec: spec.clone(), header, key: signer };
        // What cannot sign is told before it is needed.
        jwt.sign().map_err(|why| key(&why))?;
        Ok(jwt)
    }

    pub(crate) fn sign(&self) -> Result<Given, String> {
        let now = Utc::now().timestamp();
        let claims = self.spec.jwt_payload.iter().chain(&self.spec.additional_jwt_payload);
        let mut payload: serde_json::Map<String, Json> =
            claims.map(|(name, text)| (name.clone(), text.clone().into())).collect();
        payload.insert("iat".to_owned(), now.into());
        payload.insert("exp".to_owned(), (now + i64::from(self.spec.token_duration)).into());
        let token = jsonwebtoken::encode(&self.header, &payload, &self.key)
            .map_err(|_| "the token cannot be signed with `secret_key`".to_owned())?;
        let life = Some(Duration::from_secs(self.spec.token_duration.into()));
        Ok(Given { token: token.into(), life })
    }
}
