//! Writes that depend on the version that was read.

use crate::error::SpecError;
use crate::spec::{FieldPath, HttpCollection, Precondition};
use chrono::DateTime;
use hms_sync_model::Tag;
use http::header::{IF_MATCH, IF_NONE_MATCH, IF_UNMODIFIED_SINCE};
use http::{HeaderMap, HeaderName, HeaderValue};
use serde_json::{Number, Value as Json};
use std::time::SystemTime;

/// How a write names the version, set up.
#[derive(Debug)]
pub(crate) enum Guard {
    None,
    Header { name: HeaderName, weak: bool, quoted: bool },
    Field { path: FieldPath, text: bool },
    Query { name: String },
}

impl Guard {
    pub(crate) fn new(key: &str, spec: &HttpCollection) -> Result<Self, SpecError> {
        Ok(match spec.precondition() {
            Precondition::None => Self::None,
            Precondition::Header { name, weak, quoted } => {
                let name = HeaderName::try_from(&name).map_err(|_| {
                    SpecError::new(format!("{key}.header"), format!("`{name}` is no name of a header"))
                })?;
                Self::Header { name, weak, quoted }
            }
            Precondition::Field { path, text } => Self::Field { path, text },
            Precondition::Query { name } => Self::Query { name },
        })
    }

    /// Whether versions are entity tags, which are the same with and without quotes.
    pub(crate) fn is_etag(&self) -> bool {
        matches!(self, Self::Header { name, .. } if *name == IF_MATCH)
    }

    /// Whether weak tags can be named: the standard says that they never match (RFC 9110,
    /// 13.1.1), so that one would refuse every write.
    pub(crate) fn takes_weak(&self) -> bool {
        match self {
            Self::Header { weak, .. } if self.is_etag() => *weak,
            Self::None | Self::Header { .. } | Self::Field { .. } | Self::Query { .. } => true,
        }
    }

    /// Whether this version can be named.
    pub(crate) fn takes(&self, tag: &Tag) -> bool {
        self.takes_weak() || !is_weak(tag.as_str())
    }

    /// Puts the version into the headers, if it belongs there.
    pub(crate) fn head(&self, tag: &Tag, headers: &mut HeaderMap) -> Result<(), String> {
        let Self::Header { name, quoted, .. } = self else { return Ok(()) };
        let text = if *name == IF_UNMODIFIED_SINCE {
            http_date(tag.as_str())?
        } else if *quoted {
            quoted_tag(tag.as_str())
        } else {
            bare(tag.as_str()).to_owned()
        };
        headers.insert(name, value("version tag", &text)?);
        Ok(())
    }

    /// Behind the `?`, if it belongs there.
    pub(crate) fn query<'t>(&'t self, tag: &'t Tag) -> Option<(&'t str, &'t str)> {
        match self {
            Self::Query { name } => Some((name, tag.as_str())),
            Self::None | Self::Header { .. } | Self::Field { .. } => None,
        }
    }

    /// In the body, if it belongs there.
    pub(crate) fn body(&self, tag: &Tag) -> Option<(&FieldPath, Json)> {
        let Self::Field { path, text } = self else { return None };
        let number = tag.as_str().parse::<u64>().ok().filter(|n| !text && n.to_string() == tag.as_str());
        Some((path, number.map_or_else(|| tag.as_str().into(), |n| Json::Number(Number::from(n)))))
    }

    /// Makes a create depend on there being no such record yet.
    pub(crate) fn none_there(&self, headers: &mut HeaderMap) {
        if self.is_etag() {
            headers.insert(IF_NONE_MATCH, HeaderValue::from_static("*"));
        }
    }
}

pub(crate) fn value(what: &str, text: &str) -> Result<HeaderValue, String> {
    HeaderValue::try_from(text)
        .map_err(|_| format!("the {what} {text:.60?} has characters that a header cannot carry"))
}

/// Whether a tag says that records with the same tag may still differ.
pub(crate) fn is_weak(tag: &str) -> bool {
    tag.get(..2).is_some_and(|start| start.eq_ignore_ascii_case("w/"))
}

/// One form for tags that come with quotes in one place and bare in another.
pub(crate) fn quoted_tag(tag: &str) -> String {
    let tag = tag.trim();
    let (weak, opaque) = if is_weak(tag) { ("W/", tag.get(2..).unwrap_or_default()) } else { ("", tag) };
    format!("{weak}\"{}\"", bare(opaque))
}

fn bare(tag: &str) -> &str {
    let inner = tag.strip_prefix('"').and_then(|tag| tag.strip_suffix('"'));
    inner.unwrap_or(tag)
}

/// A time as headers carry it, from one or from RFC 3339.
fn http_date(text: &str) -> Result<String, String> {
    if httpdate::parse_http_date(text).is_ok() {
        return Ok(text.to_owned());
    }
    let at = DateTime::parse_from_rfc3339(&text.replacen(' ', "T", 1));
    let at =
        at.map_err(|_| format!("the version tag {text:.60?} is no time, as If-Unmodified-Since needs it"))?;
    Ok(httpdate::fmt_http_date(SystemTime::from(at)))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests may panic")]
    use super::{Guard, http_date, quoted_tag};
    use crate::spec::FieldPath;
    use hms_sync_model::Tag;
    use serde_json::json;

    #[test]
    fn tags_have_one_form() {
        for (given, one) in [
            ("abc", "\"abc\""),
            ("\"abc\"", "\"abc\""),
            ("W/\"a\"", "W/\"a\""),
            ("w/a", "W/\"a\""),
            ("", "\"\""),
        ] {
            assert_eq!(quoted_tag(given), one);
            assert_eq!(quoted_tag(one), one);
        }
    }

    #[test]
    fn times_become_dates() {
        let date = "Mon, 23 Nov 2026 12:11:20 GMT";
        for given in [date, "2026-11-23T12:11:20Z", "2026-11-23 12:11:20.989Z", "2026-11-23T13:11:20+01:00"] {
            assert_eq!(http_date(given).unwrap(), date);
        }
        assert!(http_date("17").unwrap_err().contains("no time"));
    }

    #[test]
    fn versions_that_are_numbers_are_sent_as_numbers() {
        let guard = |text| Guard::Field { path: FieldPath::dotted("rev"), text };
        let sent = |guard: &Guard, tag| guard.body(&Tag::try_new(tag).unwrap()).unwrap().1;
        assert_eq!(sent(&guard(false), "5"), json!(5));
        assert_eq!(sent(&guard(false), "05"), json!("05"));
        assert_eq!(sent(&guard(false), "3-a"), json!("3-a"));
        assert_eq!(sent(&guard(true), "5"), json!("5"));
    }
}
