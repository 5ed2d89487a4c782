//! A side, as the builder is told of it: what stands below `sides.<side>` in YAML.

use hms_sync_config::{Draft, DraftValue};
use hms_sync_engine::Retry;
use std::time::Duration;

/// An external system with an HTTP API.
#[derive(Debug, Clone)]
pub struct Api {
    keys: Draft,
    headers: Draft,
}

impl Api {
    /// A REST API below `url`. Requests go nowhere else, and no redirect is followed.
    pub fn http(url: impl Into<String>) -> Self {
        let mut keys = Draft::of("connector", "http");
        keys.add("url", url.into());
        Self { keys, headers: Draft::new() }
    }

    fn with(mut self, key: &str, value: impl Into<DraftValue>) -> Self {
        self.keys.set(key, value);
        self
    }

    /// Shows who we are by `Authorization: Bearer …`.
    #[must_use]
    pub fn bearer(self, token: impl Into<String>) -> Self {
        let mut who = Draft::of("type", "bearer");
        who.add("api_token", DraftValue::secret(token));
        self.with("authenticator", who)
    }

    /// Shows who we are by user and password.
    #[must_use]
    pub fn basic(self, username: impl Into<String>, password: impl Into<String>) -> Self {
        let mut who = Draft::of("type", "basic");
        who.add("username", username.into());
        who.add("password", DraftValue::secret(password));
        self.with("authenticator", who)
    }

    /// A header sent with every request. Its value is shown nowhere.
    #[must_use]
    pub fn request_header(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.set(name, DraftValue::secret(value));
        self
    }

    /// The longest one request may take. 30 seconds, if nothing is said.
    #[must_use]
    pub fn timeout(self, timeout: Duration) -> Self {
        self.with("timeout", timeout)
    }

    /// The largest answer that is read; a larger one is an error. 32 MiB, if nothing is said.
    #[must_use]
    pub fn max_body_bytes(self, bytes: u64) -> Self {
        self.with("max_body_bytes", bytes)
    }

    /// The most requests at once. 32, if nothing is said.
    #[must_use]
    pub fn max_concurrency(self, requests: u16) -> Self {
        self.with("max_concurrency", u64::from(requests.max(1)))
    }

    /// That the side carries out a repeated request with the same key once, for
    /// all its collections; `header` carries the key. Without it, a write whose
    /// answer was lost is looked for before it is made again.
    #[must_use]
    pub fn idempotency_key(self, header: impl Into<String>) -> Self {
        self.with("idempotency_key", Draft::of("header", header.into()))
    }

    /// How often and when to try again what the side could not take.
    #[must_use]
    pub fn retry(self, retry: Retry) -> Self {
        let mut how = Draft::of("max_attempts", u64::from(retry.max_attempts));
        how.add("initial", retry.initial);
        how.add("max", retry.max);
        self.with("retry", how)
    }

    /// As it would stand in YAML.
    pub(crate) fn draft(&self) -> Draft {
        let mut keys = self.keys.clone();
        if !self.headers.is_empty() {
            keys.add("request_headers", self.headers.clone());
        }
        keys
    }
}
