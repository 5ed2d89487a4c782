//! Showing a side who we are. A secret belongs to one origin (scheme, host, port) and
//! is put only on requests that go there; it is put on where they are sent, so that no
//! label, no error and nothing kept ever has it.

use super::hidden::Hidden;
use super::token::{Source, Tokens};
use crate::error::SpecError;
use crate::spec::{AuthInto, AuthOption, Authenticator, BaseUrl, SessionUse};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::header::{AUTHORIZATION, CONTENT_TYPE, COOKIE};
use http::{HeaderName, HeaderValue};
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value as Json;
use url::Url;

/// Where a secret is put.
#[derive(Debug, Clone)]
pub(crate) enum Place {
    /// In a header, behind a prefix.
    Header(HeaderName, String),
    Parameter(String),
    Json(String),
    Form(String),
    Cookie(String),
}

/// Who we are to a side.
#[derive(Debug)]
pub(crate) enum Identity {
    Nobody,
    /// A header that never changes, made once.
    Header(HeaderName, HeaderValue),
    Fixed(Place, SecretString),
    Renewed(Place, Tokens),
}

impl Identity {
    /// Takes our secret out of an address that a side gave: in the one of the next page
    /// it may repeat all that it was asked.
    pub(crate) fn bare(&self, url: &mut Url) {
        if let Self::Fixed(Place::Parameter(name), _) | Self::Renewed(Place::Parameter(name), _) = self {
            without(url, name);
        }
    }

    pub(crate) fn new(spec: &Authenticator, hidden: &Hidden) -> Result<Self, SpecError> {
        let bearer = || Place::Header(AUTHORIZATION, "Bearer ".to_owned());
        let fixed = |place: Place, secret: &SecretString| {
            hidden.add(secret);
            let printable = secret.expose_secret().bytes().all(|b| (0x20..0x7f).contains(&b));
            if matches!(place, Place::Header(..) | Place::Cookie(_)) && !printable {
                return Err(bad("", "the secret has characters that a header cannot carry"));
            }
            match place {
                Place::Header(name, prefix) => {
                    let whole = value(&format!("{prefix}{}", secret.expose_secret()));
                    Ok(Self::Header(name, whole.map_err(|why| bad("", &why))?))
                }
                place => Ok(Self::Fixed(place, secret.clone())),
            }
        };
        match spec {
            Authenticator::None => Ok(Self::Nobody),
            Authenticator::Bearer { api_token } => fixed(bearer(), api_token),
            Authenticator::Basic { username, password } => {
                hidden.add(password);
                let both = STANDARD.encode(format!("{username}:{}", password.expose_secret()));
                fixed(Place::Header(AUTHORIZATION, "Basic ".to_owned()), &both.into())
            }
            Authenticator::ApiKey { api_token, inject_into, name, location } => {
                let option = match (inject_into, name) {
                    (Some(option), None) if location.is_none() => option.clone(),
                    (None, Some(name)) => AuthOption {
                        kind: None,
                        inject_into: location.unwrap_or(AuthInto::Header),
                        field_name: name.clone(),
                    },
                    (None, None) => return Err(bad(".inject_into", "is needed: where the key goes")),
                    _ => return Err(bad(".inject_into", "says the same as `name` and `location`")),
                };
                fixed(place(&option)?, api_token)
            }
            Authenticator::Oauth(spec) => {
                Ok(Self::Renewed(bearer(), Tokens::new(Source::oauth(spec, hidden)?, hidden.clone())))
            }
            Authenticator::SessionToken(spec) => {
                let place = match &spec.request_authentication {
                    SessionUse::Bearer => bearer(),
                    SessionUse::ApiKey { inject_into } => place(inject_into)?,
                };
                Ok(Self::Renewed(place, Tokens::new(Source::session(spec, hidden), hidden.clone())))
            }
            Authenticator::Jwt(spec) => {
                let prefix = match spec.header_prefix.trim() {
                    "" => String::new(),
                    prefix => format!("{prefix} "),
                };
                let place = Place::Header(AUTHORIZATION, prefix);
                Ok(Self::Renewed(place, Tokens::new(Source::jwt(spec, hidden)?, hidden.clone())))
            }
        }
    }
}

/// The origins other than the side's own that its secrets are sent to.
pub(crate) fn origins(spec: &Authenticator) -> Vec<(&'static str, &Url)> {
    match spec {
        Authenticator::Oauth(spec) => {
            vec![("authenticator.token_refresh_endpoint", spec.token_refresh_endpoint.as_url())]
        }
        Authenticator::SessionToken(spec) => {
            vec![("authenticator.login_requester.url", spec.login_requester.url.as_url())]
        }
        _ => Vec::new(),
    }
}

pub(crate) fn bad(key: &str, why: &str) -> SpecError {
    SpecError::new(format!("authenticator{key}"), why)
}

fn place(option: &AuthOption) -> Result<Place, SpecError> {
    let name = option.field_name.clone();
    if name.is_empty() {
        return Err(bad(".inject_into", "needs a name"));
    }
    Ok(match option.inject_into {
        AuthInto::Header => {
            let header = HeaderName::try_from(&name);
            let header =
                header.map_err(|_| bad(".inject_into", &format!("`{name:.60}` is no name of a header")))?;
            if crate::spec::OURS.contains(&header) {
                return Err(bad(".inject_into", &format!("`{name:.60}` is set by the connector itself")));
            }
            Place::Header(header, String::new())
        }
        AuthInto::RequestParameter => Place::Parameter(name),
        AuthInto::BodyJson => Place::Json(name),
        AuthInto::BodyData => Place::Form(name),
        AuthInto::Cookie => {
            let token = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
            if !name.bytes().all(token) {
                return Err(bad(".inject_into", &format!("`{name:.60}` is no name of a cookie")));
            }
            Place::Cookie(name)
        }
    })
}

/// Takes a parameter out of an address.
fn without(url: &mut Url, name: &str) {
    if !url.query_pairs().any(|(known, _)| known == name) {
        return;
    }
    let others = url.query_pairs().filter(|(known, _)| known != name);
    let others: Vec<(String, String)> = others.map(|(n, v)| (n.into_owned(), v.into_owned())).collect();
    url.set_query(None);
    if !others.is_empty() {
        url.query_pairs_mut().extend_pairs(others);
    }
}

/// Whether `url` is of the same scheme, host and port.
pub(crate) fn same_origin(base: &BaseUrl, url: &Url) -> bool {
    let base = base.as_url();
    url.scheme() == base.scheme()
        && url.host_str() == base.host_str()
        && url.port_or_known_default() == base.port_or_known_default()
        && url.username().is_empty()
        && url.password().is_none()
}

/// A secret is for its own origin and no other.
pub(crate) fn ours(origin: &BaseUrl, url: &Url) -> Result<(), String> {
    if same_origin(origin, url) {
        Ok(())
    } else {
        Err(format!("the address leaves {origin}, and our secret is not for others"))
    }
}

impl Place {
    /// Puts the secret on a request to `origin`; no other gets it.
    pub(crate) fn put(
        &self,
        secret: &SecretString,
        origin: &BaseUrl,
        request: &mut reqwest::Request,
    ) -> Result<(), String> {
        ours(origin, request.url())?;
        let secret = secret.expose_secret();
        match self {
            Self::Header(name, prefix) => {
                request.headers_mut().insert(name, value(&format!("{prefix}{secret}"))?);
            }
            Self::Cookie(name) => {
                let ours = format!("{name}={secret}");
                let all = match request.headers().get(COOKIE).and_then(|there| there.to_str().ok()) {
                    Some(there) => format!("{there}; {ours}"),
                    None => ours,
                };
                request.headers_mut().insert(COOKIE, value(&all)?);
            }
            Self::Parameter(name) => {
                without(request.url_mut(), name);
                request.url_mut().query_pairs_mut().append_pair(name, secret);
            }
            Self::Json(name) => {
                let mut json = match request.body().and_then(reqwest::Body::as_bytes) {
                    None => Json::Object(serde_json::Map::new()),
                    Some(body) => serde_json::from_slice(body)
                        .map_err(|_| "the key goes into a JSON body, and this is none".to_owned())?,
                };
                let members =
                    json.as_object_mut().ok_or("the key goes into a JSON object, and this is none")?;
                members.insert(name.clone(), Json::String(secret.to_owned()));
                *request.body_mut() = Some(json.to_string().into());
                request.headers_mut().insert(CONTENT_TYPE, super::JSON);
            }
            Self::Form(name) => {
                let form = HeaderValue::from_static("application/x-www-form-urlencoded");
                let there = request.body().and_then(reqwest::Body::as_bytes).map(<[u8]>::to_vec);
                if there.is_some() && request.headers().get(CONTENT_TYPE) != Some(&form) {
                    return Err("the key goes into a form, and the body is none".to_owned());
                }
                let there = String::from_utf8_lossy(&there.unwrap_or_default()).into_owned();
                let body = url::form_urlencoded::Serializer::new(there).append_pair(name, secret).finish();
                *request.body_mut() = Some(body.into());
                request.headers_mut().insert(CONTENT_TYPE, form);
            }
        }
        Ok(())
    }
}

fn value(text: &str) -> Result<HeaderValue, String> {
    let value = HeaderValue::try_from(text);
    let mut value = value.map_err(|_| "our secret has characters that a header cannot carry".to_owned())?;
    value.set_sensitive(true);
    Ok(value)
}
