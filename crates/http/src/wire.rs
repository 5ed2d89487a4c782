//! The one way to a side: a client that follows nothing, believes no proxy, and
//! counts what it reads.
//!
//! Invariant: headers with secrets are put only on requests whose URL stands
//! below the configured one.

use crate::error::{SpecError, quote};
use crate::spec::{Authenticator, BaseUrl, Headers, HttpSpec};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use chrono::{DateTime, Utc};
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, LOCATION, RETRY_AFTER};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use secrecy::ExposeSecret;
use std::error::Error;
use std::time::{Duration, SystemTime};
use tokio::sync::Semaphore;
use url::Url;

/// The longest that a side can send us away for.
const RETRY_AFTER_MAX: Duration = Duration::from_hours(1);

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

/// What came back.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    /// The whole body, or why it could not be read to its end.
    pub(crate) body: Result<Bytes, String>,
}

/// Why nothing came back.
#[derive(Debug)]
pub(crate) enum Lost {
    /// The request did not leave us.
    NotSent(String),
    /// It did, and what became of it is not known.
    Sent(String),
}

impl Lost {
    pub(crate) fn reason(&self) -> &str {
        match self {
            Self::NotSent(reason) | Self::Sent(reason) => reason,
        }
    }
}

impl Wire {
    pub(crate) fn new(spec: &HttpSpec) -> Result<Self, SpecError> {
        let timeout = spec.timeout.0;
        if timeout.is_zero() {
            return Err(SpecError::new("timeout", "must be longer than nothing"));
        }
        if spec.max_concurrency == 0 {
            return Err(SpecError::new("max_concurrency", "must be 1 at least"));
        }
        let connections = usize::from(spec.max_concurrency);
        let mut client = reqwest::Client::builder();
        if spec.url.as_url().scheme() == "http" {
            // Nothing there is encrypted: no need to read the machine's certificates.
            client = client.tls_certs_only(std::iter::empty());
        }
        let client = client
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .referer(false)
            .user_agent(concat!("hms-sync/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(timeout.min(Duration::from_secs(10)))
            .timeout(timeout)
            .pool_max_idle_per_host(connections)
            .tcp_nodelay(true)
            .build()
            .map_err(|e| SpecError::new("url", describe(&e)))?;
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
        let body = self.body(response).await;
        Ok(Answer { status, headers, body })
    }

    async fn body(&self, mut response: reqwest::Response) -> Result<Bytes, String> {
        let too_large = || format!("the answer is larger than {} bytes (`max_body_bytes`)", self.body_max);
        if response
            .content_length()
            .is_some_and(|length| usize::try_from(length).is_ok_and(|n| n > self.body_max))
        {
            return Err(too_large());
        }
        let broken = |e: reqwest::Error| format!("the answer broke off: {}", self.words(&e));
        let Some(first) = response.chunk().await.map_err(broken)? else { return Ok(Bytes::new()) };
        if first.len() > self.body_max {
            return Err(too_large());
        }
        let Some(second) = response.chunk().await.map_err(broken)? else { return Ok(first) };
        let announced = response.content_length().and_then(|length| usize::try_from(length).ok());
        let mut all = Vec::with_capacity(announced.unwrap_or(first.len() * 2).min(self.body_max));
        all.extend_from_slice(&first);
        let mut next = Some(second);
        while let Some(chunk) = next {
            let length = all.len().saturating_add(chunk.len());
            if length > self.body_max {
                return Err(too_large());
            }
            if length > all.capacity() {
                // Doubled, but never beyond the bound.
                let capacity = all.capacity().saturating_mul(2).clamp(length, self.body_max);
                all.reserve_exact(capacity - all.len());
            }
            all.extend_from_slice(&chunk);
            next = response.chunk().await.map_err(broken)?;
        }
        Ok(all.into())
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

impl Answer {
    /// What the body says, short, for people.
    pub(crate) fn words(&self) -> String {
        let said = match &self.body {
            Ok(body) => quote(body, 300),
            Err(reason) => reason.clone(),
        };
        let status = self.status.as_u16();
        if self.status.is_redirection() {
            let to = self.header(&LOCATION).unwrap_or_default();
            return format!(
                "answered {status} and points to {}; redirects are not followed",
                quote(to.as_bytes(), 200)
            );
        }
        let name = self.status.canonical_reason().unwrap_or("no known status");
        if said.is_empty() {
            format!("answered {status} {name}")
        } else {
            format!("answered {status} {name}: {said}")
        }
    }

    /// A header of one line of text.
    pub(crate) fn header(&self, name: &HeaderName) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// How long the side asked us to stay away.
    pub(crate) fn retry_after(&self) -> Option<Duration> {
        let values = self.headers.get_all(RETRY_AFTER).iter();
        values.filter_map(|value| wait(value.to_str().ok()?, Utc::now())).max()
    }
}

/// `Retry-After`: seconds or an HTTP date; the longest of several. What is
/// negative or makes no sense counts for nothing.
fn wait(text: &str, now: DateTime<Utc>) -> Option<Duration> {
    let text = text.trim();
    if let Ok(seconds) = text.parse::<f64>() {
        return (seconds.is_finite() && seconds >= 0.0)
            .then(|| Duration::try_from_secs_f64(seconds).unwrap_or(RETRY_AFTER_MAX).min(RETRY_AFTER_MAX));
    }
    let at = httpdate::parse_http_date(text).ok()?;
    Some(at.duration_since(SystemTime::from(now)).unwrap_or_default().min(RETRY_AFTER_MAX))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests may panic")]
    use super::{Wire, wait};
    use crate::spec::{BaseUrl, HttpSpec};
    use chrono::DateTime;
    use std::time::Duration;
    use url::Url;

    #[test]
    fn retry_after_in_all_its_forms() {
        let now = DateTime::parse_from_rfc3339("2026-11-23T12:00:00Z").unwrap().to_utc();
        let seconds = |n| Some(Duration::from_secs(n));
        for (given, read) in [
            ("0", seconds(0)),
            (" 7 ", seconds(7)),
            ("1.5", Some(Duration::from_millis(1_500))),
            ("-3", None),
            ("1e12", seconds(3_600)),
            ("99999999999999999999999", seconds(3_600)),
            ("inf", None),
            ("soon", None),
            ("", None),
            ("Mon, 23 Nov 2026 12:00:30 GMT", seconds(30)),
            ("Mon, 23 Nov 2026 11:00:00 GMT", seconds(0)),
            ("Tue, 23 Nov 2027 12:00:30 GMT", seconds(3_600)),
        ] {
            assert_eq!(wait(given, now), read, "{given}");
        }
    }

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
