//! A record in its side's shape, on the way to it: as JSON text, or as a JSON value.
//!
//! Most of what is written is only sent: its text is made once, and no value of it. Who
//! looks at it is given the value, made from the text when it is first asked for.

use serde_json::Value as Json;
use std::fmt;
use std::ops::Deref;
use std::sync::{Arc, OnceLock};

/// JSON that is mostly sent and seldom looked at. Clones are the same.
#[derive(Clone, Default)]
pub struct Shaped(Arc<Inner>);

#[derive(Default)]
struct Inner {
    text: OnceLock<Box<str>>,
    json: OnceLock<Json>,
}

impl Shaped {
    /// What `text` says. It must be JSON; anything else counts as null.
    pub fn of_text(text: impl Into<Box<str>>) -> Self {
        Self(Arc::new(Inner { text: text.into().into(), json: OnceLock::new() }))
    }

    /// As JSON text in its shortest form, the keys of each object in order.
    pub fn text(&self) -> &str {
        self.0.text.get_or_init(|| self.0.json.get().unwrap_or(&Json::Null).to_string().into())
    }

    /// As a value.
    pub fn json(&self) -> &Json {
        self.0.json.get_or_init(|| {
            let text = self.0.text.get();
            text.and_then(|text| serde_json::from_str(text).ok()).unwrap_or(Json::Null)
        })
    }
}

impl Deref for Shaped {
    type Target = Json;
    fn deref(&self) -> &Json {
        self.json()
    }
}

impl From<Json> for Shaped {
    fn from(json: Json) -> Self {
        Self(Arc::new(Inner { text: OnceLock::new(), json: json.into() }))
    }
}

impl PartialEq for Shaped {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0) || self.json() == other.json()
    }
}

impl fmt::Debug for Shaped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text())
    }
}

impl fmt::Display for Shaped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text())
    }
}

#[cfg(test)]
mod tests {
    use super::Shaped;
    use serde_json::{Value as Json, json};

    #[test]
    fn text_and_value_say_the_same_whichever_came_first() {
        let (text, value) = (r#"{"a":{"b":1.50},"c":"é\n"}"#, json!({ "c": "é\n", "a": { "b": 0 } }));
        let shaped = Shaped::of_text(text);
        assert_eq!(shaped.text(), text);
        assert_eq!(shaped["a"]["b"].to_string(), "1.50");
        let other = Shaped::from(value.clone());
        assert_eq!((other.text(), other.json()), (r#"{"a":{"b":0},"c":"é\n"}"#, &value));
        assert_ne!(shaped, other);
        assert_eq!(Shaped::of_text(other.text()), other);
        assert_eq!((Shaped::default().text(), Shaped::default().json()), ("null", &Json::Null));
        assert_eq!(*Shaped::of_text("{").json(), Json::Null);
    }
}
