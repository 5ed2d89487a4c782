//! How a write is made to depend on what was read.

use super::FieldPath;
use super::either::{self, Either};
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Deserializer};
use std::borrow::Cow;

/// How an update or a delete names the version that was read, so that the side
/// refuses it if there is a newer one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Precondition {
    /// Not at all: the side has no such thing, or takes no notice of it.
    None,
    /// In a header.
    Header {
        /// `If-Match`, `If-Unmodified-Since` or one of the side's own.
        name: String,
        /// Whether weak tags (`W/"…"`) are sent too. The standard says that they never
        /// match; some sides take them.
        weak: bool,
        /// Whether the tag stands in quotes.
        quoted: bool,
    },
    /// In the body, beside the fields.
    Field {
        /// Where.
        path: FieldPath,
        /// Whether a number is sent as text.
        text: bool,
    },
    /// In a parameter behind the `?`.
    Query {
        /// Its name.
        name: String,
    },
}

/// The word for [`Precondition::None`].
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum PreconditionWord {
    /// The side has no such thing, or takes no notice of it.
    None,
}

/// One of `header`, `field` and `query`.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct PreconditionMap {
    /// The header: `If-Match`, `If-Unmodified-Since` or one of the side's own.
    #[serde(default)]
    header: Option<String>,
    /// Where in the body, beside the fields. With `json_patch` it is a `test`.
    #[serde(default)]
    field: Option<FieldPath>,
    /// The parameter behind the `?`.
    #[serde(default)]
    query: Option<String>,
    /// For a header: send weak tags (`W/"…"`) too. Default: no; the record is read before the write instead.
    #[serde(default)]
    weak: bool,
    /// For a header: whether the tag stands in quotes. Default: yes for `If-Match`.
    #[serde(default)]
    quoted: Option<bool>,
    /// For a field: send a number as text. Default: no.
    #[serde(default)]
    text: bool,
}

impl<'de> Deserialize<'de> for Precondition {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let expected = "`none`, or a map with one of `header`, `field` and `query`";
        let map = match either::read::<_, PreconditionWord, PreconditionMap>(deserializer, expected)? {
            Either::Word(PreconditionWord::None) => return Ok(Self::None),
            Either::Map(map) => map,
        };
        match (map.header, map.field, map.query) {
            (Some(name), None, None) => {
                let quoted = map.quoted.unwrap_or_else(|| name.eq_ignore_ascii_case("if-match"));
                Ok(Self::Header { name, weak: map.weak, quoted })
            }
            (None, Some(path), None) if !path.is_empty() => Ok(Self::Field { path, text: map.text }),
            (None, None, Some(name)) if !name.is_empty() => Ok(Self::Query { name }),
            _ => Err(serde::de::Error::custom("just one of `header`, `field` and `query` must be given")),
        }
    }
}

impl JsonSchema for Precondition {
    fn schema_name() -> Cow<'static, str> {
        "Precondition".into()
    }
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        #[derive(JsonSchema)]
        #[schemars(untagged)]
        #[expect(dead_code, reason = "only its schema is asked for")]
        enum Either {
            Word(PreconditionWord),
            Map(PreconditionMap),
        }
        Either::json_schema(generator)
    }
}

/// Where a record's version is: in a header of the answer that carries the record,
/// in the record, or in either, the header first.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct VersionTag {
    /// In this header of an answer about one record, as `ETag` or `Last-Modified`.
    #[serde(default)]
    pub header: Option<String>,
    /// In the record.
    #[serde(default)]
    pub field: Option<FieldPath>,
}

impl VersionTag {
    /// The header alone.
    pub fn header(name: &str) -> Self {
        Self { header: Some(name.to_owned()), field: None }
    }

    /// Whether it is read from the standard's header.
    pub fn is_etag(&self) -> bool {
        self.header.as_deref().is_some_and(|name| name.eq_ignore_ascii_case("etag"))
    }
}
