//! Secrets of a webhook, one or several. They go in and have no way out.

use super::super::SecretText;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use secrecy::{ExposeSecret, SecretString};
use serde::de::{SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use std::borrow::Cow;
use std::fmt;

/// What a side shows or signs with: one text, or a list while it is being changed.
#[derive(Debug, Clone, Default)]
pub struct Secrets(Vec<SecretString>);

impl Secrets {
    /// Just one.
    pub fn one(secret: impl Into<String>) -> Self {
        Self(vec![SecretString::from(secret.into())])
    }

    /// Each that is not empty.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|secret| secret.expose_secret().trim()).filter(|secret| !secret.is_empty())
    }
}

impl<'de> Deserialize<'de> for Secrets {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Texts;
        impl<'de> Visitor<'de> for Texts {
            type Value = Secrets;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("text, or a list of texts")
            }
            fn visit_unit<E>(self) -> Result<Secrets, E> {
                Ok(Secrets::default())
            }
            fn visit_str<E>(self, text: &str) -> Result<Secrets, E> {
                Ok(Secrets::one(text))
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Secrets, A::Error> {
                let mut secrets = Vec::new();
                while let Some(secret) = seq.next_element::<String>()? {
                    secrets.push(SecretString::from(secret));
                }
                Ok(Secrets(secrets))
            }
        }
        deserializer.deserialize_any(Texts)
    }
}

impl JsonSchema for Secrets {
    fn schema_name() -> Cow<'static, str> {
        "Secrets".into()
    }
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let one = generator.subschema_for::<SecretText>();
        json_schema!({
            "anyOf": [one, { "type": "array", "items": one }],
            "description": "a secret, or a list of them while it is being changed"
        })
    }
}
