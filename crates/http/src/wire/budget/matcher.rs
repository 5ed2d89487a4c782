//! Which requests a policy of a budget is for. It looks at a request as it is about to leave,
//! and changes nothing in it.

use crate::error::SpecError;
use crate::spec::RequestMatcher;
use http::Method;
use reqwest::Request;

/// What is true of the requests that a policy is for.
#[derive(Debug)]
pub(super) struct Matcher {
    method: Option<Method>,
    spec: RequestMatcher,
}

impl Matcher {
    /// `key` is where it stands.
    pub(super) fn new(key: &str, spec: &RequestMatcher) -> Result<Self, SpecError> {
        let method = |word: &String| match word.to_ascii_uppercase().as_str() {
            "GET" => Ok(Method::GET),
            "POST" => Ok(Method::POST),
            "PUT" => Ok(Method::PUT),
            "PATCH" => Ok(Method::PATCH),
            "DELETE" => Ok(Method::DELETE),
            _ => Err(SpecError::new(key, format!("`{word:.20}` is no method"))),
        };
        Ok(Self { method: spec.method.as_ref().map(method).transpose()?, spec: spec.clone() })
    }

    /// As how many requests each that it is for counts.
    pub(super) fn weight(&self) -> u64 {
        u64::from(self.spec.weight)
    }

    pub(super) fn takes(&self, request: &Request) -> bool {
        let url = request.url();
        let has = |name: &str, value: &str| url.query_pairs().any(|(n, v)| n == name && v == value);
        self.method.as_ref().is_none_or(|method| method == request.method())
            && self
                .spec
                .headers
                .iter()
                .all(|(name, value)| request.headers().get_all(name).iter().any(|there| there == value))
            && self.spec.params.iter().all(|(name, value)| has(name, value))
            && self
                .spec
                .url_path_pattern
                .as_ref()
                .is_none_or(|pattern| pattern.is_in(url.path().trim_end_matches('/')))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests may panic")]
    use super::Matcher;
    use http::Method;
    use reqwest::Request;
    use serde_json::{Value as Json, json};

    fn takes(spec: Json, request: &Request) -> bool {
        Matcher::new("matchers", &serde_json::from_value(spec).unwrap()).unwrap().takes(request)
    }

    #[test]
    fn all_that_is_said_must_be_true() {
        let url = "https://clerk.example/api/search/?expand=all&tag=a%20b&tag=c";
        let mut request = Request::new(Method::POST, url.parse().unwrap());
        request.headers_mut().append("x-tier", "slow".parse().unwrap());
        request.headers_mut().append("x-tier", "bulk".parse().unwrap());
        for (spec, expected) in [
            (json!({}), true),
            (json!({ "method": "post" }), true),
            (json!({ "method": "GET" }), false),
            (json!({ "url_path_pattern": "^/api/search$" }), true),
            (json!({ "url_path_pattern": "^/search$" }), false),
            (json!({ "url_path_pattern": "expand" }), false),
            (json!({ "params": { "expand": "all", "tag": "a b" } }), true),
            (json!({ "params": { "expand": "all", "tag": "d" } }), false),
            (json!({ "params": { "page": "1" } }), false),
            (json!({ "headers": { "X-Tier": "bulk" } }), true),
            (json!({ "headers": { "X-Tier": "BULK" } }), false),
            (json!({ "headers": { "X-Other": "bulk" } }), false),
            (json!({ "method": "POST", "url_path_pattern": "search", "params": { "tag": "c" } }), true),
            (json!({ "method": "GET", "url_path_pattern": "search", "params": { "tag": "c" } }), false),
        ] {
            assert_eq!(takes(spec.clone(), &request), expected, "{spec}");
        }
    }
}
