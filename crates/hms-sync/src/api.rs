//! A side, as the builder is told of it.

use hms_sync_engine::Retry;
use hms_sync_http::spec::{Authenticator, BaseUrl, HttpSpec, IdempotencySpec, Span};
use std::time::Duration;

/// An external system with an HTTP API.
#[derive(Debug, Clone)]
pub struct Api {
    url: String,
    authenticator: Authenticator,
    timeout: Duration,
    max_concurrency: u16,
    pub(crate) retry: Retry,
}

impl Api {
    /// A REST API below `url`. Requests go nowhere else, and no redirect is followed.
    pub fn http(url: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            authenticator: Authenticator::None,
            timeout: Duration::from_secs(30),
            max_concurrency: 32,
            retry: Retry::default(),
        }
    }

    /// Shows who we are by `Authorization: Bearer …`.
    #[must_use]
    pub fn bearer(mut self, token: impl Into<String>) -> Self {
        self.authenticator = Authenticator::Bearer { api_token: token.into().into() };
        self
    }

    /// Shows who we are by user and password.
    #[must_use]
    pub fn basic(mut self, username: impl Into<String>, password: impl Into<String>) -> Self {
        self.authenticator =
            Authenticator::Basic { username: username.into(), password: password.into().into() };
        self
    }

    /// The longest one request may take. 30 seconds, if nothing is said.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// The most requests at once. 32, if nothing is said.
    #[must_use]
    pub fn max_concurrency(mut self, requests: u16) -> Self {
        self.max_concurrency = requests.max(1);
        self
    }

    /// How often and when to try again what the side could not take.
    #[must_use]
    pub fn retry(mut self, retry: Retry) -> Self {
        self.retry = retry;
        self
    }

    pub(crate) fn in_flight_max(&self) -> usize {
        self.max_concurrency.into()
    }

    pub(crate) fn spec(&self) -> Result<HttpSpec, String> {
        let url = BaseUrl::try_new(&self.url).map_err(|why| why.to_string())?;
        Ok(HttpSpec {
            authenticator: self.authenticator.clone(),
            timeout: Span(self.timeout),
            max_concurrency: self.max_concurrency,
            idempotency_key: Some(IdempotencySpec { header: "Idempotency-Key".to_owned() }),
            ..HttpSpec::new(url)
        })
    }
}
