//! JSON whose texts are templates: what is added to a body, an item of a batch.

use super::Template;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{Error, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::{Number, Value as Json};
use std::borrow::Cow;
use std::fmt;

/// JSON in which texts may have `{{ … }}`. A text that is nothing but the name of
/// something, as `{{ id }}` or `{{ record.fee }}`, stands for that as it is, not for text.
#[derive(Debug, Clone, PartialEq)]
pub enum Tree {
    /// A number, a yes or no, nothing.
    Plain(Json),
    /// Text, to be filled in.
    Text(Template),
    /// A list of them.
    List(Vec<Tree>),
    /// Members by name, in the order in which they stand.
    Map(Vec<(String, Tree)>),
}

impl<'de> Deserialize<'de> for Tree {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Any;
        impl<'de> Visitor<'de> for Any {
            type Value = Tree;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("any value; texts in it may have `{{ … }}`")
            }
            fn visit_str<E: Error>(self, text: &str) -> Result<Tree, E> {
                Template::try_new(text).map(Tree::Text).map_err(E::custom)
            }
            fn visit_u64<E: Error>(self, n: u64) -> Result<Tree, E> {
                Ok(Tree::Plain(n.into()))
            }
            fn visit_i64<E: Error>(self, n: i64) -> Result<Tree, E> {
                Ok(Tree::Plain(n.into()))
            }
            fn visit_f64<E: Error>(self, n: f64) -> Result<Tree, E> {
                Number::from_f64(n).map(|n| Tree::Plain(n.into())).ok_or_else(|| E::custom("no number"))
            }
            fn visit_bool<E: Error>(self, b: bool) -> Result<Tree, E> {
                Ok(Tree::Plain(b.into()))
            }
            fn visit_unit<E: Error>(self) -> Result<Tree, E> {
                Ok(Tree::Plain(Json::Null))
            }
            fn visit_none<E: Error>(self) -> Result<Tree, E> {
                Ok(Tree::Plain(Json::Null))
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Tree, A::Error> {
                let mut elements = Vec::new();
                while let Some(element) = seq.next_element()? {
                    elements.push(element);
                }
                Ok(Tree::List(elements))
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Tree, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Tree::Map(members))
            }
        }
        deserializer.deserialize_any(Any)
    }
}

impl JsonSchema for Tree {
    fn schema_name() -> Cow<'static, str> {
        "Tree".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "description": "any value; texts in it may have `{{ … }}`" })
    }
}
