//! The one way to a side. Everything that is sent to it goes through here: guarded where
//! it is dialled, within the side's budget, shown who we are where it is sent, and
//! counted as it is read. Redirects are not followed, proxies not believed.
//!
//! Invariant: secrets are put only on requests to the origin they belong to, and other
//! headers only on requests whose URL stands below the configured one.

mod answer;
mod wait;
mod hidden;
mod verdict;
mod body;
mod dial;
mod client;
mod kept;
mod grant;
mod token;
mod identity;
mod budget;
#[cfg(test)]
mod attacks;

pub(crate) use answer::{Answer, Lost};
pub(crate) use body::{all_of, gunzip, too_large_unpacked};
pub(crate) use budget::Urgency;
pub(crate) use verdict::{Verdict, Verdicts};

use crate::error::SpecError;
use crate::spec::{BaseUrl, Headers, HttpSpec};
use budget::Budget;
use bytes::Bytes;
use client::Asker;
use hidden::Hidden;
use http::header::{ACCEPT, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use identity::{Identity, same_origin};
use std::path::Path;
use std::time::Duration;
use tokio::sync::Semaphore;
use url::Url;
use verdict::Judged;

pub(crate) const JSON: HeaderValue = HeaderValue::from_static("application/json");
const FORM: HeaderValue = HeaderValue::from_static("application/x-www-form-urlencoded");

/// Headers whose names say so hold secrets.
const SECRET_NAMES: [&str; 5] = ["auth", "cookie", "key", "secret", "token"];

/// A side's client.
#[derive(Debug)]
pub(crate) struct Wire {
    asker: Asker,
    base: BaseUrl,
    /// Where else files may be fetched.
    downloads: Vec<BaseUrl>,
    headers: HeaderMap,
    identity: Identity,
    verdicts: Verdicts,
    budget: Budget,
    places: Semaphore,
    hidden: Hidden,
}

impl Wire {
    pub(crate) fn new(spec: &HttpSpec) -> Result<Self, SpecError> {
        Self::with_lookup(spec, dial::system())
    }

    /// The same where names lead to what `lookup` says.
    fn with_lookup(spec: &HttpSpec, lookup: dial::Lookup) -> Result<Self, SpecError> {
        if spec.timeout.0.is_zero() {
            return Err(SpecError::new("timeout", "must be longer than nothing"));
        }
        if spec.max_concurrency == 0 {
            return Err(SpecError::new("max_concurrency", "must be 1 at least"));
        }
        let mut origins = identity::origins(&spec.authenticator);
        origins.insert(0, ("url", spec.url.as_url()));
        origins.extend(spec.download_urls.iter().map(|url| ("download_urls", url.as_url())));
        let shows_itself = spec.tls.as_ref().is_some_and(|tls| tls.client_certificate.is_some());
        if shows_itself && !spec.download_urls.is_empty() {
            let why = "does not go with `tls.client_certificate`: it would be shown there too";
            return Err(SpecError::new("download_urls", why));
        }
        let hidden = Hidden::default();
        let mut headers = HeaderMap::new();
        headers.insert(ACCEPT, JSON);
        add(&mut headers, &spec.request_headers);
        for (name, value) in spec.request_headers.iter() {
            if let (true, Ok(text)) =
                (SECRET_NAMES.iter().any(|part| name.as_str().contains(part)), value.to_str())
            {
                hidden.add(&text.to_owned().into());
            }
        }
        Ok(Self {
            asker: Asker::new(spec, &origins, lookup)?,
            base: spec.url.clone(),
            downloads: spec.download_urls.clone(),
            headers,
            identity: Identity::new(&spec.authenticator, &hidden)?,
            verdicts: Verdicts::new(spec.error_handler.as_ref())?,
            budget: Budget::new(spec.api_budget.as_ref())?,
            places: Semaphore::new(usize::from(spec.max_concurrency)),
            hidden,
        })
    }

    /// Where tokens that replace configured ones are kept.
    pub(crate) fn keep_tokens_in(&mut self, folder: &Path, side: &str) {
        if let Identity::Renewed(_, tokens) = &mut self.identity {
            tokens.keep_in(folder, side);
        }
    }

    pub(crate) fn base(&self) -> &BaseUrl {
        &self.base
    }

    /// The most bytes of an answer, once it is unpacked.
    pub(crate) fn body_max(&self) -> usize {
        self.asker.body_max()
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

    /// Puts a form into a request.
    pub(crate) fn put_form(request: &mut reqwest::Request, body: String) {
        request.headers_mut().insert(CONTENT_TYPE, FORM);
        *request.body_mut() = Some(body.into());
    }

    /// Puts text into a request, as what it is, unless its headers say otherwise.
    pub(crate) fn put_text(request: &mut reqwest::Request, body: String) {
        request.headers_mut().entry(CONTENT_TYPE).or_insert_with(|| type_of(&body));
        *request.body_mut() = Some(body.into());
    }

    fn is_ours(&self, url: &Url) -> bool {
        let base = self.base.as_url();
        let below = url.path().strip_prefix(base.path().trim_end_matches('/'));
        same_origin(&self.base, url) && below.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    }

    /// Sends, and reads the answer to its end or to our bound. What writes goes first.
    pub(crate) async fn send(&self, request: reqwest::Request) -> Result<Answer, Lost> {
        let urgency = if request.method().is_safe() { Urgency::Read } else { Urgency::Write };
        self.send_as(urgency, request, None).await
    }

    /// The same, as urgent as that, its answer judged by handlers of its own before the
    /// side's. Where the side no longer takes our token it is renewed, and the request sent
    /// once more.
    pub(crate) async fn send_as(
        &self,
        urgency: Urgency,
        mut request: reqwest::Request,
        own: Option<&Verdicts>,
    ) -> Result<Answer, Lost> {
        let (place, tokens) = match &self.identity {
            Identity::Nobody => return self.once(urgency, request, own).await,
            Identity::Header(name, value) => {
                identity::ours(&self.base, request.url()).map_err(Lost::NotSent)?;
                request.headers_mut().insert(name.clone(), value.clone());
                return self.once(urgency, request, own).await;
            }
            Identity::Fixed(place, secret) => {
                place.put(secret, &self.base, &mut request).map_err(Lost::NotSent)?;
                return self.once(urgency, request, own).await;
            }
            Identity::Renewed(place, tokens) => (place, tokens),
        };
        let again = request.try_clone();
        let (token, number) = tokens.token(&self.asker, None).await.map_err(Lost::NotSent)?;
        place.put(&token, &self.base, &mut request).map_err(Lost::NotSent)?;
        let answer = self.once(urgency, request, own).await?;
        let Some(mut again) = again.filter(|_| answer.refuses_the_token()) else { return Ok(answer) };
        let (token, _) = tokens.token(&self.asker, Some(number)).await.map_err(Lost::NotSent)?;
        place.put(&token, &self.base, &mut again).map_err(Lost::NotSent)?;
        self.once(urgency, again, own).await
    }

    /// Where a file may be fetched that an answer named; the error names where it is.
    pub(crate) fn downloads_from(&self, url: &Url) -> Result<&BaseUrl, String> {
        let mut places = std::iter::once(&self.base).chain(&self.downloads);
        places.find(|place| place.holds(url)).ok_or_else(|| {
            let origin = url.origin().ascii_serialization();
            format!("is at {origin:.100}, which is neither below {} nor named in `download_urls`", self.base)
        })
    }

    /// Fetches a file from where else it may be fetched. Nothing of ours is on the request.
    pub(crate) async fn fetch(
        &self,
        (url, from): (Url, &BaseUrl),
        accept: &HeaderValue,
        own: Option<&Verdicts>,
    ) -> Result<Answer, Lost> {
        let mut request = reqwest::Request::new(Method::GET, url);
        request.headers_mut().insert(ACCEPT, accept.clone());
        let Ok(_place) = self.places.acquire().await else {
            return Err(Lost::NotSent("we are closing".to_owned()));
        };
        let (status, headers, body) = self.asker.ask(request, from).await?;
        Ok(self.judged(status, headers, body, own))
    }

    async fn once(
        &self,
        urgency: Urgency,
        request: reqwest::Request,
        own: Option<&Verdicts>,
    ) -> Result<Answer, Lost> {
        let permit = self.budget.leave(urgency, &request).await.map_err(|wait| {
            let shown = humantime::format_duration(Duration::from_secs(wait.as_secs().max(1)));
            Lost::Held(format!("{} takes no more requests for {shown}", self.base), wait)
        })?;
        let Ok(_place) = self.places.acquire().await else {
            return Err(Lost::NotSent("we are closing".to_owned()));
        };
        let (status, headers, body) = self.asker.ask(request, &self.base).await?;
        self.budget.heard(&permit, status.as_u16(), &headers);
        drop(permit);
        Ok(self.judged(status, headers, body, own))
    }

    /// An address that the side gave, without our secret, to be kept.
    pub(crate) fn bare(&self, mut url: Url) -> Url {
        self.identity.bare(&mut url);
        url
    }

    /// What came back, and what it means on this side.
    pub(crate) fn judged(
        &self,
        status: StatusCode,
        headers: HeaderMap,
        body: Result<Bytes, String>,
        own: Option<&Verdicts>,
    ) -> Answer {
        let judged = Judged { verdict: Verdict::Unsaid, after: None, said: None };
        let mut answer = Answer { status, headers, body, judged, hidden: self.hidden.clone() };
        let spoken = own.and_then(|own| own.speaks(&answer));
        answer.judged = spoken.unwrap_or_else(|| self.verdicts.of(&answer));
        if answer.judged.verdict == Verdict::Unsaid && self.budget.is_hit(status.as_u16()) {
            answer.judged.verdict = Verdict::RateLimited;
        }
        if answer.judged.verdict == Verdict::RateLimited || status == StatusCode::TOO_MANY_REQUESTS {
            let reset = || self.budget.reset_in(&answer.headers);
            answer.judged.after = answer.judged.after.or_else(reset);
        }
        answer
    }
}

fn add(to: &mut HeaderMap, headers: &Headers) {
    for (name, value) in headers.iter() {
        to.insert(name, value.clone());
    }
}

/// What a text is: JSON if it is that, XML if it begins so.
fn type_of(text: &str) -> HeaderValue {
    let begin = text.trim_start();
    let is_json = || serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok();
    match begin.as_bytes().first() {
        Some(b'<') => HeaderValue::from_static("application/xml; charset=utf-8"),
        Some(b'{' | b'[') if is_json() => JSON,
        _ => HeaderValue::from_static("text/plain; charset=utf-8"),
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
