//! What elements of a set that are objects are known by.

use crate::{Decimal, Value};
use serde_json::Value as Json;
use std::fmt;
use std::sync::Arc;

/// The place of the key in an element: the names of members, outermost first.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ElementKey(Arc<[Box<str>]>);

impl ElementKey {
    /// A place by its parts.
    pub fn new<'a>(parts: impl IntoIterator<Item = &'a str>) -> Self {
        Self(parts.into_iter().map(Box::from).collect())
    }

    /// Its parts, outermost first.
    pub fn parts(&self) -> impl DoubleEndedIterator<Item = &str> {
        self.0.iter().map(|part| &**part)
    }

    /// The key of an element as a side shows it: a text or a number; nothing if it has none.
    pub fn of_json(&self, element: &Json) -> Option<Value> {
        if !element.is_object() {
            return None;
        }
        match self.parts().try_fold(element, |at, part| at.as_object()?.get(part))? {
            Json::String(text) => Some(Value::text(text.as_str())),
            Json::Number(number) => Decimal::parse(number.as_str()).ok().map(Value::Number),
            Json::Null | Json::Bool(_) | Json::Array(_) | Json::Object(_) => None,
        }
    }

    /// The key of a canonical element; nothing if it has none.
    pub fn of(&self, element: &Value) -> Option<Value> {
        match element {
            Value::Json(text) => self.of_json(&serde_json::from_str(text).ok()?),
            _ => None,
        }
    }
}

impl fmt::Display for ElementKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join("."))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_a_text_or_a_number_where_it_is_said_to_be() {
        let of = |parts: &[&str], text: &str| {
            ElementKey::new(parts.iter().copied()).of(&Value::Json(text.into())).map(|key| key.to_string())
        };
        assert_eq!(of(&["id"], r#"{"id":"a","n":1}"#), Some("a".to_owned()));
        assert_eq!(of(&["ref", "no"], r#"{"ref":{"no":1.0}}"#), Some("1".to_owned()));
        for none in ["1", "[]", "{}", r#"{"id":null}"#, r#"{"id":[1]}"#, r#"{"id":true}"#, "no json"] {
            assert_eq!(of(&["id"], none), None, "{none}");
        }
        assert_eq!(ElementKey::new(["ref", "no"]).to_string(), "ref.no");
    }
}
