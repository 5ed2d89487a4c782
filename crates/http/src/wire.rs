//! The one way to a side: a client that follows nothing, believes no proxy, and
//! counts what it reads.
//!
//! Invariant: headers with secrets are put only on requests whose URL stands
//! below the configured one.

mod answer;
mod body;
mod client;
mod dial;
#[cfg(test)]
mod attacks;

pub(crate) use answer::{Answer, Lost};

use crate::error::SpecError;
use crate::spec::{Authenticator, BaseUrl, Headers, HttpSpec};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue, Method};
use secrecy::ExposeSecret;
use std::error::Error;
use std::time::Duration;
use tokio::sync::Semaphore;
use url::Url;

pub(crate) const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// A side's client.
#[derive(Debug)]
pub(crate) struct Wire {
    client: reqwest::Client,
    base: BaseUrl,
    headers: HeaderMap,
    places: Semaphore,
    body_max: usize,
    timeout: Duration,
}

impl Wire {
    pub(crate) fn new(spec: &HttpSpec) -> Result<Self, SpecError> {
        Self::with_lookup(spec, dial::system())
    }

    /// The same where names lead to what `lookup` says.
    fn with_lookup(spec: &HttpSpec, lookup: dial::Lookup) -> Result<Self, SpecError> {
        let timeout = spec.timeout.0;
        if timeout.is_zero() {
            return Err(SpecError::new("timeout", "must be longer than nothing"));
        }
        if spec.max_concurrency == 0 {
            return Err(SpecError::new("max_concurrency", "must be 1 at least"));
        }
        let connections = usize::from(spec.max_concurrency);
        let client = client::build(spec, &[("url", spec.url.as_url())], lookup)?;
        let mut headers = HeaderMap::new();
        headers.insert(ACCEPT, JSON);
        if let Some(authorization) = authorization(&spec.authenticator)? {
            headers.insert(AUTHORIZATION, authorization);
        }
        add(&mut headers, &spec.request_headers);
        Ok(Self {
            client,
            base: spec.url.clone(),
            headers,
            places: Semaphore::new(connections),
            body_max: usize::try_from(spec.max_body_bytes.0).unwrap_or(usize::MAX),
            timeout,
        })
    }

    pub(crate) fn base(&self) -> &BaseUrl {
        &self.base
    }

    /// A request with the side's headers. The error says why there can be none.
    pub(crate) fn request(
        &self,
        method: Method,
        url: Url,
        headers: &Headers,
    ) -> Result<reqwest::Request, String> {
        if !self.is_ours(&url) {
            return Err(format!("the address leaves {}", self.base));
        }
        let mut request = reqwest::Request::new(method, url);
        let ours = request.headers_mut();
        ours.clone_from(&self.headers);
        add(ours, headers);
        Ok(request)
    }

    /// Puts JSON into a request.
    pub(crate) fn put(request: &mut reqwest::Request, body: Vec<u8>) {
        request.headers_mut().insert(CONTENT_TYPE, JSON);
        *request.body_mut() = Some(body.into());
    }

    fn is_ours(&self, url: &Url) -> bool {
        let base = self.base.as_url();
        let below = url.path().strip_prefix(base.path().trim_end_matches('/'));
        url.scheme() == base.scheme()
            && url.host_str() == base.host_str()
            && url.port_or_known_default() == base.port_or_known_default()
            && url.username().is_empty()
            && url.password().is_none()
            && below.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    }

    /// Sends, and reads the answer to its end or to our bound.
    pub(crate) async fn send(&self, request: reqwest::Request) -> Result<Answer, Lost> {
        let Ok(_place) = self.places.acquire().await else {
            return Err(Lost::NotSent("we are closing".to_owned()));
        };
        let mut response = self.client.execute(request).await.map_err(|e| self.lost(&e))?;
        let status = response.status();
        let headers = std::mem::take(response.headers_mut());
        let body = body::read(response, self.body_max, |e| self.words(e)).await;
        Ok(Answer { status, headers, body })
    }

    fn lost(&self, error: &reqwest::Error) -> Lost {
        if error.is_connect() {
            Lost::NotSent(format!("cannot connect to {}: {}", self.base, self.words(error)))
        } else if error.is_builder() {
            Lost::NotSent(describe(error))
        } else {
            Lost::Sent(format!("no answer from {}: {}", self.base, self.words(error)))
        }
    }

    fn words(&self, error: &reqwest::Error) -> String {
        if error.is_timeout() {
            format!("nothing within {}", humantime::format_duration(self.timeout))
        } else {
            describe(error)
        }
    }
}

/// The innermost cause: the outer ones only repeat the URL, which may hold a secret.
fn describe(error: &reqwest::Error) -> String {
    let mut cause: &dyn Error = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    if std::ptr::addr_eq(cause, error) { "the request failed".to_owned() } else { cause.to_string() }
}

fn authorization(authenticator: &Authenticator) -> Result<Option<HeaderValue>, SpecError> {
    let text = match authenticator {
        Authenticator::None => return Ok(None),
        Authenticator::Bearer { api_token } => format!("Bearer {}", api_token.expose_secret()),
        Authenticator::Basic { username, password } => {
            format!("Basic {}", STANDARD.encode(format!("{username}:{}", password.expose_secret())))
        }
    };
    let mut value = HeaderValue::try_from(text).map_err(|_| {
        SpecError::new("authenticator", "the secret has characters that a header cannot carry")
    })?;
    value.set_sensitive(true);
    Ok(Some(value))
}

fn add(to: &mut HeaderMap, headers: &Headers) {
    for (name, value) in headers.iter() {
        to.insert(name, value.clone());
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests may panic")]
    use super::Wire;
    use crate::spec::{BaseUrl, HttpSpec};
    use url::Url;

    #[test]
    fn secrets_stay_below_the_configured_url() {
        let wire = Wire::new(&HttpSpec::new(BaseUrl::try_new("https://clerk.example/api").unwrap())).unwrap();
        for (url, ours) in [
            ("https://clerk.example/api/permits?x=1", true),
            ("https://clerk.example:443/api", true),
            ("https://clerk.example/apiary", false),
            ("https://clerk.example/api/../admin", false),
            ("http://clerk.example/api/permits", false),
            ("https://clerk.example:444/api/permits", false),
            ("https://clerk.example.evil/api/permits", false),
            ("https://clerk.example@evil/api/permits", false),
            ("https://u@clerk.example/api/permits", false),
        ] {
            let request =
                wire.request(http::Method::GET, Url::parse(url).unwrap(), &crate::spec::Headers::default());
            assert_eq!(request.is_ok(), ours, "{url}");
        }
    }
}
