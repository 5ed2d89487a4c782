//! A side, as the builder is told of it: what stands below `sides.<side>` in YAML.

use hms_sync_config::{Draft, DraftValue};
use hms_sync_engine::Retry;
use serde_json::Value as Json;
use std::time::Duration;

/// An external system with an HTTP API.
#[derive(Debug, Clone)]
pub struct Api {
    keys: Draft,
    headers: Draft,
    more: Vec<(String, Json)>,
}

impl Api {
    /// A REST API below `url`. Requests go nowhere else, and no redirect is followed.
    pub fn http(url: impl Into<String>) -> Self {
        let mut keys = Draft::of("connector", "http");
        keys.add("url", url.into());
        Self { keys, headers: Draft::new(), more: Vec::new() }
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

    /// Any key of the [reference](../../../docs/reference/http.md) by its dotted path, over what
    /// the other methods say: `set("api_budget", json!({ "policies": […] }))`. Texts behind keys that
    /// hold secrets (tokens, passwords, keys) are shown nowhere.
    #[must_use]
    pub fn set(mut self, path: &str, value: impl Into<Json>) -> Self {
        self.more.push((path.to_owned(), value.into()));
        self
    }

    /// As it would stand in YAML.
    pub(crate) fn draft(&self) -> Draft {
        let mut keys = self.keys.clone();
        if !self.headers.is_empty() {
            keys.add("request_headers", self.headers.clone());
        }
        for (path, value) in &self.more {
            let last = path.rsplit('.').next().unwrap_or(path);
            keys.put(path, hiding(last, value.clone()));
        }
        keys
    }
}

/// A value with its secrets hidden, by the key that it stands behind.
fn hiding(key: &str, value: Json) -> DraftValue {
    match value {
        Json::String(text) if holds_secret(key) => DraftValue::secret(text),
        Json::Array(values) => DraftValue::list(values.into_iter().map(|value| hiding(key, value))),
        Json::Object(members) => {
            let mut map = Draft::new();
            for (name, value) in members {
                let value = if holds_secret(key) { hiding(key, value) } else { hiding(&name, value) };
                map.set(&name, value);
            }
            map.into()
        }
        plain => plain.into(),
    }
}

fn holds_secret(key: &str) -> bool {
    ["token", "secret", "password", "request_headers", "refresh_request_body"]
        .iter()
        .any(|part| key.contains(part))
}
