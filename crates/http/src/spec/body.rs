//! What the body of a request is made of.

use super::either::{self, Either};
use super::{FieldPath, Template, Tree};
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Deserializer};
use std::borrow::Cow;

/// Which fields a write sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum BodyShape {
    /// Those that differ.
    Changed,
    /// All that are mapped.
    Whole,
    /// None: the request has no body, but for what is added.
    None,
}

/// How a body is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum BodyFormat {
    /// `application/json`.
    #[default]
    Json,
    /// `application/x-www-form-urlencoded`: members as `a[b]=1`, elements of lists as `a[]=1`.
    Form,
    /// The same, but for lists: `a=1&a=2`.
    FormRepeated,
    /// `application/merge-patch+json` (RFC 7396): null removes a member.
    MergePatch,
    /// `application/json-patch+json` (RFC 6902): an `add` for each field that is sent.
    JsonPatch,
    /// `text/plain`: what `text` says, as a calendar entry is written.
    Text,
}

/// The body of a write: a word for the fields it sends, or a map that says more.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct BodySpec {
    /// Which fields are sent. Default: all to create, `changed` to update, none to delete.
    pub fields: Option<BodyShape>,
    /// How it is written. Default: `json`.
    pub format: BodyFormat,
    /// Members around the fields, from the outside.
    pub wrap: FieldPath,
    /// What else is sent.
    pub add: Option<Tree>,
    /// The body, for `text`.
    pub text: Option<Template>,
    /// The `Content-Type`. Default: as `format` says.
    pub content_type: Option<String>,
}

impl BodySpec {
    /// Just these fields, as JSON.
    pub fn of(fields: BodyShape) -> Self {
        Self { fields: Some(fields), ..Self::default() }
    }
}

/// The body of a write where more is to be said than which fields it sends.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct BodyMap {
    /// Which fields are sent: `changed`, `whole` or `none`. Default: all to create,
    /// `changed` to update, none to delete.
    #[serde(default)]
    fields: Option<BodyShape>,
    /// `json`, `form`, `form_repeated`, `merge_patch`, `json_patch` or `text`. Default: `json`.
    #[serde(default)]
    format: BodyFormat,
    /// Members around the fields, from the outside, as `data.attributes`; `0` is a
    /// list with one element.
    #[serde(default)]
    wrap: FieldPath,
    /// What else is sent: constants and templates, which know what those of the path
    /// know. For `json_patch` a list of operations, which go before ours.
    #[serde(default)]
    add: Option<Tree>,
    /// For `text`: all of the body, a template that knows what those of the path know. The fields
    /// are sent as far as it names them: `{{ record.title }}`.
    #[serde(default)]
    #[schemars(example = &"SUMMARY:{{ record.title }}")]
    text: Option<Template>,
    /// The `Content-Type`. Default: as `format` says.
    #[serde(default)]
    content_type: Option<String>,
}

impl<'de> Deserialize<'de> for BodySpec {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let expected = "`changed`, `whole`, `none`, or a map with `fields`, `format`, `wrap`, `add`";
        Ok(match either::read::<_, BodyShape, BodyMap>(deserializer, expected)? {
            Either::Word(fields) => Self::of(fields),
            Either::Map(BodyMap { fields, format, wrap, add, text, content_type }) => {
                Self { fields, format, wrap, add, text, content_type }
            }
        })
    }
}

impl JsonSchema for BodySpec {
    fn schema_name() -> Cow<'static, str> {
        "BodySpec".into()
    }
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        #[derive(JsonSchema)]
        #[schemars(untagged)]
        #[expect(dead_code, reason = "only its schema is asked for")]
        enum Either {
            Word(BodyShape),
            Map(BodyMap),
        }
        Either::json_schema(generator)
    }
}

/// The body of a request that reads.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(tag = "type", deny_unknown_fields)]
pub enum RequestBody {
    /// `application/json`.
    #[serde(rename = "json", alias = "RequestBodyJsonObject")]
    Json {
        /// What is sent; its templates know what those of the path know.
        value: Tree,
    },
    /// `application/x-www-form-urlencoded`: members as `a[b]=1`, elements of lists as `a=1&a=2`.
    #[serde(rename = "form", alias = "RequestBodyUrlEncodedForm")]
    Form {
        /// What is sent; its templates know what those of the path know.
        value: Tree,
    },
}
