//! The words a spec is made of: lengths of time, URLs, headers, paths,
//! templates. Each is checked where it is read, so that a mistake is reported
//! at its line; once built it is valid.

use crate::template;
use http::{HeaderName, HeaderValue};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{Error, MapAccess, SeqAccess, Unexpected, Visitor};
use serde::{Deserialize, Deserializer};
use std::borrow::Cow;
use std::fmt;
use std::time::Duration;
use url::Url;

/// A length of time, written with its unit: `30s`, `250ms`, `1h 30m`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Span(pub Duration);

impl Span {
    /// So many seconds.
    pub const fn seconds(n: u64) -> Self {
        Self(Duration::from_secs(n))
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        humantime::format_duration(self.0).fmt(f)
    }
}

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;
        impl Visitor<'_> for Text {
            type Value = Span;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a length of time with its unit, as `30s` or `5m`")
            }
            fn visit_str<E: Error>(self, text: &str) -> Result<Span, E> {
                let parsed = humantime::parse_duration(text).ok().or_else(|| iso_duration(text));
                parsed.map(Span).ok_or_else(|| E::invalid_value(Unexpected::Str(text), &self))
            }
            fn visit_u64<E: Error>(self, n: u64) -> Result<Span, E> {
                if n == 0 {
                    Ok(Span(Duration::ZERO))
                } else {
                    Err(E::invalid_value(Unexpected::Unsigned(n), &self))
                }
            }
        }
        deserializer.deserialize_any(Text)
    }
}

/// As in ISO 8601 and Airbyte: `P30D`, `PT1H30M`. A month has 30 days, a year 365.
fn iso_duration(text: &str) -> Option<Duration> {
    let (mut seconds, mut digits, mut in_day, mut parts) = (0_u64, String::new(), false, 0);
    for c in text.strip_prefix('P')?.chars() {
        let unit = match (c, in_day) {
            ('0'..='9', _) => {
                digits.push(c);
                continue;
            }
            ('T', false) if digits.is_empty() => {
                in_day = true;
                continue;
            }
            ('Y', false) => 365 * 86_400,
            ('M', false) => 30 * 86_400,
            ('W', false) => 7 * 86_400,
            ('D', false) => 86_400,
            ('H', true) => 3_600,
            ('M', true) => 60,
            ('S', true) => 1,
            _ => return None,
        };
        let many: u64 = std::mem::take(&mut digits).parse().ok()?;
        seconds = seconds.checked_add(many.checked_mul(unit)?)?;
        parts += 1;
    }
    (digits.is_empty() && parts > 0).then(|| Duration::from_secs(seconds))
}

/// A number of bytes, plain or with its unit: `1048576`, `32MB`, `32MiB`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Size(pub u64);

impl<'de> Deserialize<'de> for Size {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;
        impl Visitor<'_> for Text {
            type Value = Size;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number of bytes, as `32MB` or `1048576`")
            }
            fn visit_u64<E: Error>(self, n: u64) -> Result<Size, E> {
                Ok(Size(n))
            }
            fn visit_str<E: Error>(self, text: &str) -> Result<Size, E> {
                let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic() || c == ' ');
                let unit = match text.get(digits.len()..).unwrap_or_default().trim() {
                    "" | "B" => 1,
                    "kB" | "KB" => 1_000,
                    "KiB" => 1 << 10,
                    "MB" => 1_000_000,
                    "MiB" => 1 << 20,
                    "GB" => 1_000_000_000,
                    "GiB" => 1 << 30,
                    _ => 0,
                };
                let size = digits.parse::<u64>().ok().and_then(|n| n.checked_mul(unit)).filter(|_| unit > 0);
                size.map(Size).ok_or_else(|| E::invalid_value(Unexpected::Str(text), &self))
            }
        }
        deserializer.deserialize_any(Text)
    }
}

/// Where a side is: `http` or `https`, host, port, and the path all requests
/// stand below. No user, no query: secrets belong to the authenticator.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BaseUrl(Url);

/// Why a text is no [`BaseUrl`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidUrl {
    /// It cannot be read as a URL.
    #[error("not a URL: {0}")]
    Unreadable(url::ParseError),
    /// Neither `http` nor `https`.
    #[error("a side's URL starts with http:// or https://")]
    Scheme,
    /// It carries a user or a password.
    #[error("a URL must not carry a user or a password; use `authenticator`")]
    Secret,
    /// It carries `?…` or `#…`.
    #[error("a side's URL has no query and no fragment; use `request_parameters`")]
    Query,
}

impl BaseUrl {
    /// Reads one. A slash at the end makes no difference.
    pub fn try_new(text: &str) -> Result<Self, InvalidUrl> {
        let mut url = Url::parse(text).map_err(|why| match why {
            url::ParseError::RelativeUrlWithoutBase => InvalidUrl::Scheme,
            why => InvalidUrl::Unreadable(why),
        })?;
        if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
            return Err(InvalidUrl::Scheme);
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(InvalidUrl::Secret);
        }
        if url.query().is_some() || url.fragment().is_some() {
            return Err(InvalidUrl::Query);
        }
        let path = url.path().trim_end_matches('/').to_owned();
        url.set_path(&path);
        Ok(Self(url))
    }

    /// The URL itself.
    pub fn as_url(&self) -> &Url {
        &self.0
    }

    /// Whether `url` is this one or below it: nothing else may be asked for.
    pub fn holds(&self, url: &Url) -> bool {
        let below = url.path().strip_prefix(self.0.path().trim_end_matches('/'));
        url.origin() == self.0.origin()
            && url.username().is_empty()
            && url.password().is_none()
            && below.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    }

    /// The URL without a slash at its end, for paths to be appended.
    pub fn prefix(&self) -> &str {
        self.0.as_str().trim_end_matches('/')
    }
}

impl fmt::Display for BaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.prefix())
    }
}

impl<'de> Deserialize<'de> for BaseUrl {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<str>::deserialize(deserializer)?;
        Self::try_new(&text).map_err(D::Error::custom)
    }
}

/// Where something is in a JSON value: `location.address`, or `[data, items]`
/// for members whose names have dots. Empty: the value itself.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct FieldPath(Vec<String>);

impl FieldPath {
    /// From dotted text.
    pub fn dotted(text: &str) -> Self {
        Self(text.split('.').filter(|part| !part.is_empty()).map(str::to_owned).collect())
    }

    /// Of these members, from the outside.
    pub(crate) fn of(parts: &[&str]) -> Self {
        Self(parts.iter().map(|part| (*part).to_owned()).collect())
    }

    /// A member of this name, whatever is in it.
    pub fn member(name: &str) -> Self {
        Self(vec![name.to_owned()])
    }

    /// What is there in `value`; a number steps into a list.
    pub fn get<'v>(&self, value: &'v serde_json::Value) -> Option<&'v serde_json::Value> {
        self.0.iter().try_fold(value, |value, part| match value {
            serde_json::Value::Object(members) => members.get(part),
            serde_json::Value::Array(elements) => elements.get(part.parse::<usize>().ok()?),
            _ => None,
        })
    }

    /// Takes out what is there in `value`, the rest is dropped.
    pub fn take(&self, value: serde_json::Value) -> Option<serde_json::Value> {
        self.0.iter().try_fold(value, |value, part| match value {
            serde_json::Value::Object(mut members) => members.remove(part),
            serde_json::Value::Array(elements) => elements.into_iter().nth(part.parse().ok()?),
            _ => None,
        })
    }

    /// Whether it leads to several places: `*` is every element or member.
    pub fn has_wildcard(&self) -> bool {
        self.0.iter().any(|part| part == "*")
    }

    /// Whether all of it but its end is in `value`.
    pub(crate) fn is_open_in(&self, value: &serde_json::Value) -> bool {
        match self.0.split_last() {
            Some((_, outer)) if !outer.is_empty() => {
                self.get(value).is_none() && Self(outer.to_vec()).get(value).is_some()
            }
            _ => false,
        }
    }

    /// The members to step into, from the outside.
    pub fn parts(&self) -> impl ExactSizeIterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }

    /// Whether it is the value itself.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Display for FieldPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join("."))
    }
}

impl<'de> Deserialize<'de> for FieldPath {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Path;
        impl<'de> Visitor<'de> for Path {
            type Value = FieldPath;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a path, as `location.address` or `[location, address]`")
            }
            fn visit_str<E: Error>(self, text: &str) -> Result<FieldPath, E> {
                Ok(FieldPath::dotted(text))
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<FieldPath, A::Error> {
                let mut parts = Vec::new();
                while let Some(part) = seq.next_element()? {
                    parts.push(part);
                }
                Ok(FieldPath(parts))
            }
        }
        deserializer.deserialize_any(Path)
    }
}

/// Text with `{{ … }}` in it, in the language of minijinja. A plain number or
/// `true` is text as well.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template(String);

impl Template {
    /// Reads one; the error says what is wrong with it and where.
    pub fn try_new(text: impl Into<String>) -> Result<Self, template::TemplateError> {
        let text = text.into();
        template::check(&text)?;
        Ok(Self(text))
    }

    /// The path `/`.
    pub(crate) fn root() -> Self {
        Self("/".to_owned())
    }

    /// The text as written.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl<'de> Deserialize<'de> for Template {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;
        impl Visitor<'_> for Text {
            type Value = Template;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("text, with `{{ … }}` where something is to be filled in")
            }
            fn visit_str<E: Error>(self, text: &str) -> Result<Template, E> {
                Template::try_new(text).map_err(E::custom)
            }
            fn visit_u64<E: Error>(self, n: u64) -> Result<Template, E> {
                Ok(Template(n.to_string()))
            }
            fn visit_i64<E: Error>(self, n: i64) -> Result<Template, E> {
                Ok(Template(n.to_string()))
            }
            fn visit_f64<E: Error>(self, n: f64) -> Result<Template, E> {
                Ok(Template(n.to_string()))
            }
            fn visit_bool<E: Error>(self, b: bool) -> Result<Template, E> {
                Ok(Template(b.to_string()))
            }
        }
        deserializer.deserialize_any(Text)
    }
}

/// Headers sent with each request. Their values may be secrets and are never shown.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Headers(Vec<(HeaderName, HeaderValue)>);

impl Headers {
    /// Adds one; the error says which and why not.
    pub fn add(&mut self, name: &str, value: &str) -> Result<(), String> {
        let shown: String = name.chars().take(60).collect();
        let name = HeaderName::try_from(name).map_err(|_| format!("`{shown}` is no name of a header"))?;
        if OURS.contains(&name) {
            return Err(format!("the header `{shown}` is set by the connector itself"));
        }
        let mut value = HeaderValue::try_from(value).map_err(|_| {
            format!("the value of header `{shown}` has characters that a header cannot carry")
        })?;
        value.set_sensitive(true);
        self.0.push((name, value));
        Ok(())
    }

    /// Adds one that has been checked.
    pub(crate) fn put(&mut self, name: HeaderName, value: HeaderValue) {
        self.0.push((name, value));
    }

    /// Names and values.
    pub fn iter(&self) -> impl Iterator<Item = (&HeaderName, &HeaderValue)> {
        self.0.iter().map(|(name, value)| (name, value))
    }
}

/// Headers that frame the request.
pub(crate) const OURS: [HeaderName; 4] = [
    http::header::HOST,
    http::header::CONTENT_LENGTH,
    http::header::TRANSFER_ENCODING,
    http::header::CONNECTION,
];

impl<'de> Deserialize<'de> for Headers {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Pairs;
        impl<'de> Visitor<'de> for Pairs {
            type Value = Headers;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("headers by name")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Headers, A::Error> {
                let mut headers = Headers::default();
                while let Some((name, value)) = map.next_entry::<String, Template>()? {
                    headers.add(&name, value.as_str()).map_err(A::Error::custom)?;
                }
                Ok(headers)
            }
        }
        deserializer.deserialize_map(Pairs)
    }
}

macro_rules! schema {
    ($type:ident, $($json:tt)+) => {
        impl JsonSchema for $type {
            fn schema_name() -> Cow<'static, str> {
                stringify!($type).into()
            }
            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!($($json)+)
            }
        }
    };
}

schema!(Span, { "type": "string", "description": "a length of time with its unit, as `30s` or `5m`" });
schema!(Size, { "type": ["integer", "string"], "description": "a number of bytes, as `32MB` or `1048576`" });
schema!(BaseUrl, { "type": "string", "format": "uri", "description": "an http or https URL without user and query" });
schema!(FieldPath, {
    "anyOf": [{ "type": "string" }, { "type": "array", "items": { "type": "string" } }],
    "description": "a path, as `location.address` or `[location, address]`"
});
schema!(Template, {
    "type": ["string", "number", "boolean"],
    "description": "text, with `{{ … }}` where something is to be filled in"
});
schema!(Headers, {
    "type": "object",
    "additionalProperties": { "type": ["string", "number", "boolean"] },
    "description": "headers by name"
});

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests may panic")]
    use super::{BaseUrl, FieldPath, Headers, InvalidUrl, Size, Span, Template};
    use serde::de::DeserializeOwned;
    use serde_json::json;
    use std::time::Duration;

    fn read<T: DeserializeOwned>(value: serde_json::Value) -> Result<T, String> {
        serde_json::from_value(value).map_err(|e| e.to_string())
    }

    #[test]
    fn spans_need_a_unit() {
        assert_eq!(read(json!("1m 30s")), Ok(Span(Duration::from_secs(90))));
        assert_eq!(read(json!(0)), Ok(Span(Duration::ZERO)));
        for (text, seconds) in
            [("P1D", 86_400), ("PT1H30M", 5_400), ("P1Y2M", 36_720_000), ("P1WT1S", 604_801)]
        {
            assert_eq!(read(json!(text)), Ok(Span(Duration::from_secs(seconds))), "{text}");
        }
        for bad in ["P", "PT", "P1", "P1H", "PT1D", "PD", "P1D1"] {
            read::<Span>(json!(bad)).unwrap_err();
        }
        for bad in [json!("30"), json!(30), json!("soon"), json!("-1s"), json!(null)] {
            assert!(read::<Span>(bad.clone()).unwrap_err().contains("length of time"), "{bad}");
        }
    }

    #[test]
    fn sizes_with_and_without_unit() {
        for (given, bytes) in
            [(json!(7), 7), (json!("7"), 7), (json!("2 MB"), 2_000_000), (json!("2MiB"), 2 << 20)]
        {
            assert_eq!(read(given), Ok(Size(bytes)));
        }
        for bad in [json!("2 parsecs"), json!("MB"), json!(-1), json!("99999999999GB")] {
            read::<Size>(bad).unwrap_err();
        }
    }

    #[test]
    fn urls_carry_no_secrets() {
        assert_eq!(BaseUrl::try_new("http://h:1/api/").unwrap().prefix(), "http://h:1/api");
        assert_eq!(BaseUrl::try_new("http://h").unwrap().prefix(), "http://h");
        assert_eq!(BaseUrl::try_new("http://u:p@h/"), Err(InvalidUrl::Secret));
        assert_eq!(BaseUrl::try_new("http://h/?token=1"), Err(InvalidUrl::Query));
        assert_eq!(BaseUrl::try_new("file:///etc/passwd"), Err(InvalidUrl::Scheme));
        assert_eq!(BaseUrl::try_new("127.0.0.1:8080"), Err(InvalidUrl::Scheme));
        assert!(matches!(BaseUrl::try_new("http://["), Err(InvalidUrl::Unreadable(_))));
    }

    #[test]
    fn paths_dotted_or_listed() {
        let value = json!({ "a": { "b.c": [1, 2] } });
        let path: FieldPath = read(json!(["a", "b.c", "1"])).unwrap();
        assert_eq!(path.get(&value), Some(&json!(2)));
        assert_eq!(path.clone().take(value.clone()), Some(json!(2)));
        assert_eq!(FieldPath::dotted("a.b").get(&value), None);
        assert_eq!(FieldPath::default().get(&value), Some(&value));
    }

    #[test]
    fn templates_are_checked_where_they_are_read() {
        assert_eq!(read::<Template>(json!(5)).unwrap().as_str(), "5");
        assert!(read::<Template>(json!("{{ id")).unwrap_err().contains("template"));
    }

    #[test]
    fn headers_are_typed_and_hidden() {
        let headers: Headers = read(json!({ "X-Api-Key": "s3cret" })).unwrap();
        assert!(!format!("{headers:?}").contains("s3cret"));
        for bad in [json!({ "a b": "1" }), json!({ "a": "1\r\nx: 2" }), json!({ "Host": "elsewhere" })] {
            read::<Headers>(bad).unwrap_err();
        }
    }
}
