//! Expressions and where something is put into a request.

use super::FieldPath;
use crate::formula::Formula;
use crate::template::TemplateError;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::Error;
use serde::{Deserialize, Deserializer};
use std::borrow::Cow;

/// One expression in the language of minijinja: `response.meta.next`. It may stand
/// in `{{ … }}`, as in a template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expression(String);

impl Expression {
    /// Reads one; the error says what is wrong with it.
    pub fn try_new(text: impl Into<String>) -> Result<Self, TemplateError> {
        let text = text.into();
        Formula::check(&text)?;
        Ok(Self(text))
    }

    /// The text as written.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl<'de> Deserialize<'de> for Expression {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::try_new(String::deserialize(deserializer)?).map_err(D::Error::custom)
    }
}

impl JsonSchema for Expression {
    fn schema_name() -> Cow<'static, str> {
        "Expression".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "description": "an expression, as `response.meta.next`" })
    }
}

/// Where a value goes in a request.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RequestOption {
    /// Its name there; in a body a path, as `page.after` (in a form `page[after]`).
    #[serde(alias = "field_path")]
    pub field_name: FieldPath,
    /// Into what. Default: `request_parameter`.
    #[serde(default)]
    pub inject_into: InjectInto,
}

impl RequestOption {
    /// The parameter of this name.
    pub fn parameter(name: &str) -> Self {
        Self { field_name: FieldPath::member(name), inject_into: InjectInto::RequestParameter }
    }
}

/// A part of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum InjectInto {
    /// What follows the `?`.
    #[default]
    RequestParameter,
    /// A header.
    Header,
    /// The JSON of a `POST`.
    BodyJson,
    /// The form of a `POST`.
    BodyData,
}
