//! What tells the records of a side apart.

use super::FieldPath;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::de::{Error, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use std::borrow::Cow;
use std::fmt;

/// Where a record's id is: at one path, or at several that tell records apart together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PrimaryKey(Vec<FieldPath>);

impl PrimaryKey {
    /// At one path.
    pub fn at(path: FieldPath) -> Self {
        Self(vec![path])
    }

    /// The paths, in order.
    pub fn paths(&self) -> &[FieldPath] {
        &self.0
    }
}

impl fmt::Display for PrimaryKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let paths: Vec<String> = self.0.iter().map(FieldPath::to_string).collect();
        f.write_str(&paths.join(", "))
    }
}

/// How it is written.
#[derive(JsonSchema)]
#[schemars(untagged)]
#[expect(dead_code, reason = "the schema is derived from it")]
enum Written {
    /// One path.
    One(String),
    /// Several, each as `a.b` or `[a, b]`.
    Several(Vec<FieldPath>),
}

impl JsonSchema for PrimaryKey {
    fn schema_name() -> Cow<'static, str> {
        "PrimaryKey".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        Written::json_schema(generator)
    }
}

impl<'de> Deserialize<'de> for PrimaryKey {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Paths;
        impl<'de> Visitor<'de> for Paths {
            type Value = PrimaryKey;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a path, as `id`, or a list of paths that tell records apart together")
            }
            fn visit_str<E: Error>(self, text: &str) -> Result<PrimaryKey, E> {
                Ok(PrimaryKey::at(FieldPath::dotted(text)))
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<PrimaryKey, A::Error> {
                let mut paths = Vec::new();
                while let Some(path) = seq.next_element()? {
                    paths.push(path);
                }
                Ok(PrimaryKey(paths))
            }
        }
        deserializer.deserialize_any(Paths)
    }
}
