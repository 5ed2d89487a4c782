//! Addresses and requests as templates, compiled once when the side is set up.

use crate::decode::Decoder;
use crate::error::SpecError;
use crate::spec::{self, BaseUrl, FieldPath, Headers, RecordSelector, Template};
use crate::template::Compiled;
use crate::wire::{Answer, Lost, Urgency, Verdicts, Wire};
use http::Method;
use http::header::ACCEPT;
use minijinja::Value;
use std::collections::BTreeMap;
use url::Url;

/// One kind of request.
#[derive(Debug)]
pub(crate) struct Ask {
    pub(crate) method: Method,
    /// `GET /permits`, for people.
    pub(crate) label: String,
    prefix: String,
    path: Compiled,
    parameters: Vec<(String, Compiled)>,
    /// The whole address, where there is nothing to fill in.
    fixed: Option<Url>,
    pub(crate) headers: Headers,
    pub(crate) selector: Option<FieldPath>,
    pub(crate) decoder: Decoder,
    /// What its answers mean, before what the side's handler says.
    pub(crate) own: Option<Verdicts>,
}

/// The parts of a spec that make a request.
pub(crate) struct Parts<'s> {
    pub(crate) path: &'s Template,
    pub(crate) parameters: &'s BTreeMap<String, Template>,
    pub(crate) headers: &'s Headers,
    pub(crate) selector: Option<&'s RecordSelector>,
}

impl Ask {
    /// `key` is where it stands in the config, `known` what templates may name.
    pub(crate) fn new(
        key: &str,
        method: Method,
        base: &BaseUrl,
        parts: &Parts<'_>,
        known: &[&str],
    ) -> Result<Self, SpecError> {
        let bad = |name: &str, why: &dyn std::fmt::Display| SpecError::new(format!("{key}.{name}"), why);
        let source = parts.path.as_str();
        if !source.starts_with('/') {
            return Err(bad("path", &"must start with `/`; it stands below the side's URL"));
        }
        let path = Compiled::path(source, known).map_err(|e| bad("path", &e))?;
        let mut parameters = Vec::new();
        for (name, template) in parts.parameters {
            // What writes, and may be tried again, does not look at the clock.
            let reads = matches!(method.as_str(), "GET" | "PROPFIND" | "REPORT") || known.contains(&"cursor");
            let new = if reads { Compiled::asking } else { Compiled::text };
            let compiled = new(template.as_str(), known);
            parameters
                .push((name.clone(), compiled.map_err(|e| bad(&format!("request_parameters.{name}"), &e))?));
        }
        let mut ask = Self {
            label: format!("{method} {source}"),
            method,
            prefix: base.prefix().to_owned(),
            path,
            parameters,
            fixed: None,
            headers: parts.headers.clone(),
            selector: parts.selector.map(|selector| selector.field_path.clone()),
            decoder: Decoder::Json,
            own: None,
        };
        if !ask.is_live() {
            let url = ask.url(&Value::UNDEFINED, &[]).map_err(|e| bad("path", &e))?;
            ask.fixed = Some(url);
        }
        Ok(ask)
    }

    /// Answers come in this form.
    pub(crate) fn decode(&mut self, key: &str, spec: &spec::Decoder) -> Result<(), SpecError> {
        self.decoder = Decoder::new(spec).map_err(|why| SpecError::new(key, why))?;
        let said = self.headers.iter().any(|(name, _)| name == ACCEPT);
        if !said && *spec != spec::Decoder::Json {
            self.headers.add("accept", self.decoder.accepts()).map_err(|why| SpecError::new(key, why))?;
        }
        Ok(())
    }

    fn is_live(&self) -> bool {
        !self.path.is_plain() || self.parameters.iter().any(|(_, text)| !text.is_plain())
    }

    /// Whether any of its templates names `name`.
    pub(crate) fn uses(&self, name: &str) -> bool {
        self.path.uses(name) || self.parameters.iter().any(|(_, text)| text.uses(name))
    }

    /// The members of `name` that its templates name.
    pub(crate) fn members_of(&self, name: &str) -> Vec<String> {
        let texts = self.parameters.iter().map(|(_, text)| text);
        texts.chain([&self.path]).flat_map(|text| text.members_of(name)).collect()
    }

    /// Its templates, as they were written.
    pub(crate) fn sources(&self) -> impl Iterator<Item = &str> {
        self.parameters.iter().map(|(_, text)| text).chain([&self.path]).map(Compiled::source)
    }

    /// The address, with `more` parameters behind the configured ones.
    pub(crate) fn url(&self, with: &Value, more: &[(&str, &str)]) -> Result<Url, String> {
        let mut url = if let Some(fixed) = &self.fixed {
            fixed.clone()
        } else {
            let path = self.path.fill(with).map_err(|e| e.to_string())?;
            let mut url = below(&self.prefix, &path)?;
            for (name, text) in &self.parameters {
                let text = text.fill(with).map_err(|e| format!("parameter `{name}`: {e}"))?;
                if !text.is_empty() {
                    url.query_pairs_mut().append_pair(name, &text);
                }
            }
            url
        };
        if !more.is_empty() {
            url.query_pairs_mut().extend_pairs(more);
        }
        Ok(url)
    }

    /// Sends one, as made by [`Self::request`].
    pub(crate) async fn send(&self, wire: &Wire, request: reqwest::Request) -> Result<Answer, Lost> {
        let urgency = if request.method().is_safe() { Urgency::Read } else { Urgency::Write };
        wire.send_as(urgency, request, self.own.as_ref()).await
    }

    /// The whole request.
    pub(crate) fn request(
        &self,
        wire: &Wire,
        with: &Value,
        more: &[(&str, &str)],
    ) -> Result<reqwest::Request, String> {
        wire.request(self.method.clone(), self.url(with, more)?, &self.headers)
    }
}

/// The URL at `path` below `prefix`. Refuses steps upwards in any spelling: a
/// URL cannot carry an id that is `..`, so it must not be sent as something else.
pub(crate) fn below(prefix: &str, path: &str) -> Result<Url, String> {
    let plain = path.split(['?', '#']).next().unwrap_or_default();
    let steps = |segment: &str| {
        let segment = segment.to_ascii_lowercase().replace("%2e", ".");
        segment == "." || segment == ".."
    };
    if plain.split(['/', '\\']).any(steps) {
        return Err(format!("{plain:.80?} cannot be a path: `.` and `..` are no segments"));
    }
    Url::parse(&format!("{prefix}{path}")).map_err(|e| format!("{plain:.80?} cannot be a path: {e}"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests may panic")]
    use super::{Ask, Parts, below};
    use crate::spec::{BaseUrl, Headers, Template};
    use http::Method;
    use minijinja::context;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    fn ask(path: &str, parameters: &[(&str, &str)]) -> Result<Ask, crate::SpecError> {
        let parameters: BTreeMap<_, _> = parameters
            .iter()
            .map(|(name, text)| ((*name).to_owned(), Template::try_new(*text).unwrap()))
            .collect();
        let path = Template::try_new(path).unwrap();
        let parts =
            Parts { path: &path, parameters: &parameters, headers: &Headers::default(), selector: None };
        Ask::new("c.fetch", Method::GET, &BaseUrl::try_new("http://h/api").unwrap(), &parts, &["id"])
    }

    #[test]
    fn addresses() {
        let fixed = ask("/permits", &[("sort", "updated")]).unwrap();
        assert_eq!(
            fixed.url(&context! {}, &[("limit", "2")]).unwrap().as_str(),
            "http://h/api/permits?sort=updated&limit=2"
        );
        let live = ask("/permits/{{ id }}", &[("q", "{{ id }}"), ("none", "{{ '' }}")]).unwrap();
        let url = live.url(&context! { id => "a b/&" }, &[]).unwrap();
        assert_eq!(url.as_str(), "http://h/api/permits/a%20b%2F%26?q=a+b%2F%26");
        assert_eq!(ask("permits", &[]).unwrap_err().key, "c.fetch.path");
        assert_eq!(ask("/", &[("q", "{{ cursor }}")]).unwrap_err().key, "c.fetch.request_parameters.q");
    }

    #[test]
    fn dots_are_refused_in_every_spelling() {
        for path in ["/..", "/a/./b", "/a/%2e%2E/b", "/a/.%2e", "/a\\..\\b"] {
            below("http://h/api", path).unwrap_err();
        }
        below("http://h/api", "/a/..b/c.?q=/../").unwrap();
    }

    proptest! {
        /// No id leaves its segment.
        #[test]
        fn ids_stay_where_they_are(id in "\\PC{1,12}|[./%\\\\?#@:2eE]{1,8}") {
            let live = ask("/permits/{{ id }}", &[]).unwrap();
            if let Ok(url) = live.url(&context! { id => id.clone() }, &[]) {
                let segments: Vec<&str> = url.path_segments().unwrap().collect();
                prop_assert_eq!(segments.len(), 3);
                prop_assert!(url.query().is_none() && url.fragment().is_none());
                prop_assert_eq!(url.host_str(), Some("h"));
            } else {
                prop_assert!(matches!(id.as_str(), "." | ".."));
            }
        }
    }
}
