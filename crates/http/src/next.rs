//! Where an answer says that the next page is.

use crate::error::SpecError;
use crate::formula::{self, Formula};
use crate::link;
use crate::paging::{Facts, shown};
use crate::spec::{BaseUrl, CursorPaginator, FieldPath, Paginator};
use crate::wire::Answer;
use http::HeaderName;
use http::header::LINK;
use minijinja::{Value, context};
use serde_json::Value as Json;
use std::collections::BTreeMap;
use url::Url;

/// What the expressions of a paginator may name.
const KNOWN: &[&str] = &["response", "headers", "last_record", "last_page_size", "page_size"];

/// How it is found.
#[derive(Debug, Default)]
pub(crate) struct Follow {
    next: Option<Place>,
    more: Option<FieldPath>,
    stop: Option<Formula>,
    page_size: Option<u32>,
}

#[derive(Debug)]
enum Place {
    Body(FieldPath),
    Header(HeaderName),
    Value(Formula),
    /// A link of this relation.
    Link(String),
    Url(FieldPath),
}

/// What an answer says of it before its records are taken out.
#[derive(Debug, Default)]
pub(crate) struct Told {
    next: Option<String>,
    is_number: bool,
    more: Option<bool>,
    /// The answer, for expressions.
    response: Option<Value>,
}

impl Follow {
    pub(crate) fn new(key: &str, paginator: &Paginator) -> Result<Self, SpecError> {
        let more = |more: &Option<FieldPath>| Self { more: more.clone(), ..Self::default() };
        Ok(match paginator {
            Paginator::None | Paginator::Keyset { .. } => Self::default(),
            Paginator::Offset { has_more_path, .. } | Paginator::Page { has_more_path, .. } => {
                more(has_more_path)
            }
            Paginator::LinkHeader { rel, .. } => {
                Self { next: Some(Place::Link(rel.clone())), ..Self::default() }
            }
            Paginator::NextUrl { next_url_path, has_more_path, .. } => {
                Self { next: Some(Place::Url(next_url_path.clone())), ..more(has_more_path) }
            }
            Paginator::Cursor(spec) => Self {
                next: Some(place(key, spec)?),
                stop: formula(key, "stop_condition", spec.stop_condition.as_ref())?,
                page_size: spec.page_size,
                ..more(&spec.has_more_path)
            },
        })
    }

    /// Whether tokens are addresses.
    pub(crate) fn is_address(&self) -> bool {
        matches!(self.next, Some(Place::Link(_) | Place::Url(_)))
    }

    /// What the answer to a request to `asked` says; the error is a line for people.
    pub(crate) fn told(
        &self,
        base: &BaseUrl,
        asked: &Url,
        answer: &Answer,
        json: &Json,
    ) -> Result<Told, String> {
        let more = self.more.as_ref().and_then(|path| path.get(json)).and_then(flag);
        let mut is_number = false;
        let next = match &self.next {
            None | Some(Place::Value(_)) => None,
            Some(Place::Body(path)) => {
                let said = path.get(json);
                is_number = said.is_some_and(Json::is_number);
                said.map(token).transpose()?.flatten()
            }
            Some(Place::Header(name)) => header(answer, name),
            Some(Place::Url(path)) => {
                let text = path.get(json).map(token).transpose()?.flatten();
                text.map(|text| address(base, asked, &text)).transpose()?
            }
            Some(Place::Link(relation)) => {
                let headers = answer.headers.get_all(LINK).iter().filter_map(|value| value.to_str().ok());
                link::target(headers, relation).map(|text| address(base, asked, text)).transpose()?
            }
        };
        let wanted = matches!(self.next, Some(Place::Value(_))) || self.stop.is_some();
        Ok(Told { next, is_number, more, response: wanted.then(|| formula::value(json)) })
    }

    /// Puts what was told, and what expressions say of it, beside a page's other facts.
    pub(crate) fn complete(
        &self,
        told: Told,
        answer: &Answer,
        last: Option<Value>,
        facts: &mut Facts,
    ) -> Result<(), String> {
        facts.next = told.next;
        facts.next_is_number = told.is_number;
        facts.more = told.more;
        let Some(response) = told.response else { return Ok(()) };
        let header = |(name, value): (&HeaderName, &http::HeaderValue)| {
            Some((name.as_str().to_owned(), value.to_str().ok()?.to_owned()))
        };
        let headers: BTreeMap<String, String> = answer.headers.iter().filter_map(header).collect();
        let with = context! {
            response, headers, last_record => last, last_page_size => facts.len, page_size => self.page_size,
        };
        if let Some(Place::Value(formula)) = &self.next {
            let value = formula.of(&with).map_err(|e| format!("`cursor_value`: {e}"))?;
            let json = formula::json(&value)?;
            facts.next_is_number = json.is_number();
            facts.next = token(&json)?;
        }
        if let Some(stop) = &self.stop
            && stop.is_true(&with).map_err(|e| format!("`stop_condition`: {e}"))?
        {
            facts.more = Some(false);
        }
        Ok(())
    }

    /// Whether the last record of a page must be at hand.
    pub(crate) fn looks_at_records(&self) -> bool {
        matches!(self.next, Some(Place::Value(_))) || self.stop.is_some()
    }
}

fn place(key: &str, spec: &CursorPaginator) -> Result<Place, SpecError> {
    let bad = |name: &str, why: String| SpecError::new(format!("{key}.{name}"), why);
    match (&spec.cursor_path, &spec.cursor_header, &spec.cursor_value) {
        (Some(path), None, None) => Ok(Place::Body(path.clone())),
        (None, Some(name), None) => HeaderName::try_from(name)
            .map(Place::Header)
            .map_err(|_| bad("cursor_header", format!("`{name}` is no name of a header"))),
        (None, None, Some(text)) => Formula::new(text.as_str(), KNOWN)
            .map(Place::Value)
            .map_err(|e| bad("cursor_value", e.to_string())),
        (None, None, None) => {
            let why = "needs one of `cursor_path`, `cursor_header` and `cursor_value`: where an answer says \
                       what the next page is asked for by";
            Err(SpecError::new(key, why))
        }
        _ => {
            Err(SpecError::new(key, "has more than one of `cursor_path`, `cursor_header` and `cursor_value`"))
        }
    }
}

fn formula(
    key: &str,
    name: &str,
    text: Option<&crate::spec::Expression>,
) -> Result<Option<Formula>, SpecError> {
    let new = |text: &crate::spec::Expression| {
        Formula::new(text.as_str(), KNOWN).map_err(|e| SpecError::new(format!("{key}.{name}"), e))
    };
    text.map(new).transpose()
}

fn header(answer: &Answer, name: &HeaderName) -> Option<String> {
    answer.header(name).map(str::trim).filter(|text| !text.is_empty()).map(str::to_owned)
}

/// A token, unless there is none: nothing, empty text, `false`.
fn token(json: &Json) -> Result<Option<String>, String> {
    match json {
        Json::Null | Json::Bool(false) => Ok(None),
        Json::String(text) => Ok((!text.is_empty()).then(|| text.clone())),
        Json::Number(n) => Ok(Some(n.to_string())),
        Json::Bool(true) | Json::Array(_) | Json::Object(_) => {
            let kind = if json.is_boolean() { "`true`" } else { "a list or an object" };
            Err(format!("where the next page should be said, there is {kind}"))
        }
    }
}

/// Truth as sides write it; nothing if it is none.
fn flag(json: &Json) -> Option<bool> {
    match json {
        Json::Bool(more) => Some(*more),
        Json::Number(n) => n.as_f64().map(|n| n != 0.0),
        Json::String(text) => match text.to_ascii_lowercase().as_str() {
            "true" | "yes" | "1" => Some(true),
            "false" | "no" | "0" => Some(false),
            _ => None,
        },
        Json::Null | Json::Array(_) | Json::Object(_) => None,
    }
}

/// Seen from the address that was asked. It comes out of data: it may lead nowhere
/// but below the side's own URL.
fn address(base: &BaseUrl, asked: &Url, text: &str) -> Result<String, String> {
    let url = asked.join(text.trim()).map_err(|e| format!("the next page's address cannot be read: {e}"));
    let mut url = url?;
    url.set_fragment(None);
    if !base.holds(&url) {
        let origin = url.origin().ascii_serialization();
        return Err(format!(
            "the next page is said to be at {origin:.100} {}, which is not below {base}; it is not asked for",
            shown(url.as_str())
        ));
    }
    Ok(url.into())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests may panic")]
    use super::{address, flag, token};
    use crate::spec::BaseUrl;
    use proptest::prelude::*;
    use serde_json::json;
    use url::Url;

    fn next(text: &str) -> Result<String, String> {
        let base = BaseUrl::try_new("https://h.example/api").unwrap();
        address(&base, &Url::parse("https://h.example/api/permits?page=1").unwrap(), text)
    }

    #[test]
    fn addresses_are_seen_from_the_one_that_was_asked() {
        for (text, full) in [
            ("?page=2", "https://h.example/api/permits?page=2"),
            ("/api/permits?page=2#x", "https://h.example/api/permits?page=2"),
            ("more/2", "https://h.example/api/more/2"),
            ("https://h.example:443/api/x", "https://h.example/api/x"),
        ] {
            assert_eq!(next(text).as_deref(), Ok(full), "{text}");
        }
        for text in [
            "https://evil.example/api/permits",
            "http://h.example/api/permits",
            "//169.254.169.254/api/latest",
            "https://h.example:444/api/permits",
            "https://h.example@evil/api/",
            "https://u:p@h.example/api/permits",
            "../admin",
            "/api/../admin",
            "/api/%2e%2e/admin",
            "/apiary",
            "\\\\evil\\api",
            "file:///etc/passwd",
            "javascript:1",
        ] {
            let error = next(text).unwrap_err();
            assert!(error.contains("not below https://h.example/api"), "{text}: {error}");
        }
        assert!(!next("https://evil/?access_token=s3cret").unwrap_err().contains("s3cret"));
    }

    #[test]
    fn no_token_and_no_flag() {
        for (json, expected) in [
            (json!(null), None),
            (json!(""), None),
            (json!(false), None),
            (json!(12), Some("12")),
            (json!("a"), Some("a")),
        ] {
            assert_eq!(token(&json).unwrap().as_deref(), expected);
        }
        token(&json!({})).unwrap_err();
        let flags =
            [json!(true), json!("false"), json!(0), json!("maybe"), json!(null)].map(|json| flag(&json));
        assert_eq!(flags, [Some(true), Some(false), Some(false), None, None]);
    }

    proptest! {
        /// Whatever a side says, it does not lead us away from it.
        #[test]
        fn nothing_leads_away(text in "(https?:)?[/\\\\@:.a-z0-9%?#]{0,40}") {
            if let Ok(text) = next(&text) {
                let url = Url::parse(&text).unwrap();
                prop_assert_eq!(url.host_str(), Some("h.example"));
                prop_assert!(url.path() == "/api" || url.path().starts_with("/api/"));
            }
        }
    }
}
