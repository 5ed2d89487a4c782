//! A config as a program writes it, with no file: the tree that a file would
//! have been read into, so that both meet the same checks and the same words.
//!
//! A mistake in it is told by its dotted key, where a file has line and column.
//! `${NAME}` means nothing here: whoever writes a program has variables.

use crate::node::{Entry, Kind, Node};
use crate::problem::{At, Problems};
use serde_json::{Number, Value as Json};
use std::fmt;
use std::time::Duration;

/// A map of a config: keys, and what stands behind them, in order.
#[derive(Debug, Clone, Default)]
pub struct Draft(Vec<(String, DraftValue)>);

/// What stands behind a key.
#[derive(Debug, Clone)]
pub struct DraftValue(Part);

#[derive(Debug, Clone)]
enum Part {
    Null,
    Bool(bool),
    Number(Number),
    Text(String),
    Secret(Secret),
    List(Vec<DraftValue>),
    Map(Draft),
}

/// Text that no message shows.
#[derive(Clone)]
struct Secret(String);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[REDACTED]")
    }
}

impl Draft {
    /// A map without keys.
    pub fn new() -> Self {
        Self::default()
    }

    /// A map of one key.
    pub fn of(key: impl Into<String>, value: impl Into<DraftValue>) -> Self {
        let mut map = Self::new();
        map.add(key, value);
        map
    }

    /// Adds a key. One that is there already makes two of it, which is a mistake
    /// when the config is checked.
    pub fn add(&mut self, key: impl Into<String>, value: impl Into<DraftValue>) {
        self.0.push((key.into(), value.into()));
    }

    /// Puts a key in, in the place of one that is there already.
    pub fn set(&mut self, key: &str, value: impl Into<DraftValue>) {
        match self.0.iter_mut().find(|(known, _)| known == key) {
            Some((_, known)) => *known = value.into(),
            None => self.add(key, value),
        }
    }

    /// Puts a value in at a dotted path, over what is there, making the maps on the way.
    pub fn put(&mut self, path: &str, value: impl Into<DraftValue>) {
        let Some((key, rest)) = path.split_once('.') else { return self.set(path, value) };
        let there = self.0.iter_mut().find(|(known, _)| known == key);
        let mut inner = match there.map(|(_, value)| &mut value.0) {
            Some(Part::Map(map)) => std::mem::take(map),
            _ => Self::new(),
        };
        inner.put(rest, value);
        self.set(key, inner);
    }

    /// Whether it has the key.
    pub fn has(&self, key: &str) -> bool {
        self.0.iter().any(|(known, _)| known == key)
    }

    /// Whether it has no keys.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The tree.
    pub(crate) fn into_node(self, problems: &mut Problems<'_>) -> Node {
        DraftValue(Part::Map(self)).grow("", problems)
    }

    fn entries(self, path: &str, problems: &mut Problems<'_>) -> Vec<Entry> {
        let mut entries: Vec<Entry> = Vec::with_capacity(self.0.len());
        for (key, value) in self.0 {
            let path = below(path, &key);
            let value = value.grow(&path, problems);
            if entries.iter().any(|entry| entry.key == key) {
                problems.add(value.at, format!("`{}` is here twice", key.escape_debug()));
                continue;
            }
            entries.push(Entry { at: value.at, key, value });
        }
        entries
    }
}

impl DraftValue {
    /// Nothing, as `null` in a file.
    pub fn null() -> Self {
        Self(Part::Null)
    }

    /// Text that no message shows.
    pub fn secret(text: impl Into<String>) -> Self {
        Self(Part::Secret(Secret(text.into())))
    }

    /// A list.
    pub fn list<T: Into<DraftValue>>(values: impl IntoIterator<Item = T>) -> Self {
        Self(Part::List(values.into_iter().map(Into::into).collect()))
    }

    fn grow(self, path: &str, problems: &mut Problems<'_>) -> Node {
        let at = if path.is_empty() { At::default() } else { problems.place(path) };
        let kind = match self.0 {
            Part::Null => Kind::Null,
            Part::Bool(b) => Kind::Bool(b),
            Part::Number(n) => Kind::Number(n),
            Part::Text(text) => Kind::Text(text),
            Part::Secret(Secret(text)) => {
                problems.hide(path, &text);
                Kind::Text(text)
            }
            Part::List(values) => {
                let nth =
                    |(n, value): (usize, Self)| value.grow(&below(path, &(n + 1).to_string()), problems);
                Kind::List(values.into_iter().enumerate().map(nth).collect())
            }
            Part::Map(map) => Kind::Map(map.entries(path, problems)),
        };
        Node { at, kind }
    }
}

fn below(path: &str, key: &str) -> String {
    if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") }
}

impl From<Draft> for DraftValue {
    fn from(map: Draft) -> Self {
        Self(Part::Map(map))
    }
}

impl From<&str> for DraftValue {
    fn from(text: &str) -> Self {
        Self(Part::Text(text.to_owned()))
    }
}

impl From<String> for DraftValue {
    fn from(text: String) -> Self {
        Self(Part::Text(text))
    }
}

impl From<bool> for DraftValue {
    fn from(b: bool) -> Self {
        Self(Part::Bool(b))
    }
}

impl From<u64> for DraftValue {
    fn from(n: u64) -> Self {
        Self(Part::Number(n.into()))
    }
}

impl From<usize> for DraftValue {
    fn from(n: usize) -> Self {
        Self(Part::Number(n.into()))
    }
}

/// As `1m 30s`.
impl From<Duration> for DraftValue {
    fn from(length: Duration) -> Self {
        Self(Part::Text(humantime::format_duration(length).to_string()))
    }
}

impl From<Json> for DraftValue {
    fn from(json: Json) -> Self {
        Self(match json {
            Json::Null => Part::Null,
            Json::Bool(b) => Part::Bool(b),
            Json::Number(n) => Part::Number(n),
            Json::String(text) => Part::Text(text),
            Json::Array(values) => return Self::list(values),
            Json::Object(members) => {
                Part::Map(Draft(members.into_iter().map(|(key, value)| (key, value.into())).collect()))
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mistake_is_told_by_its_key() {
        let mut problems = Problems::new("Sync", "");
        let mut draft = Draft::of("sides", Draft::of("clerk", 1_u64));
        draft.add("sides", true);
        let node = draft.into_node(&mut problems);
        let clerk = node.get("sides").and_then(|sides| sides.get("clerk")).unwrap();
        problems.add(clerk.at, "no map");
        problems.add(node.at, "too little");
        let said = problems.into_errors().to_string();
        let expected = "Sync: `sides` is here twice\n  in sides\n\nSync: no map\n  in sides.clerk\n\n\
            Sync: too little\n\n3 mistakes";
        assert_eq!(said, expected);
    }

    #[test]
    fn secrets_are_shown_nowhere() {
        let mut problems = Problems::new("Sync", "");
        let draft = Draft::of("token", DraftValue::secret("hush-hush"));
        assert!(!format!("{draft:?}").contains("hush"), "{draft:?}");
        let node = draft.into_node(&mut problems);
        problems.add(node.at, "`hush-hush` will not do");
        assert_eq!(problems.into_errors().to_string(), "Sync: `${token}` will not do\n\n1 mistake");
    }
}
