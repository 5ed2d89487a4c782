//! Where a field lies in a side's record: `location.address`.
//!
//! Segments are split once. Walking a path allocates nothing and never goes
//! deeper than the path is long.

use serde_json::{Map, Value as Json};
use std::fmt;
use std::sync::Arc;

/// Why a text is no path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidPath {
    /// Nothing, or nothing between two dots.
    #[error("a path must not have an empty part; write a dot that belongs to a name as `\\.`")]
    EmptyPart,
    /// A backslash before something other than a dot or a backslash.
    #[error("a backslash in a path must stand before a dot or another backslash")]
    Backslash,
    /// More parts than [`FieldPath::MAX_PARTS`].
    #[error("a path may have {} parts at most", FieldPath::MAX_PARTS)]
    TooDeep,
}

/// What stands at a path.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Found<'a> {
    /// The record ends before the path does.
    Missing,
    /// A value, or a null on the way.
    Value(&'a Json),
    /// Something on the way that is no object.
    NoObject(&'a Json),
}

/// A dotted path, split.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FieldPath(Arc<[Box<str>]>);

static NULL: Json = Json::Null;

impl FieldPath {
    /// The most parts a path may have.
    pub const MAX_PARTS: usize = 16;

    /// Reads `a.b`; `\.` is a dot that belongs to a name, `\\` a backslash.
    pub fn parse(text: &str) -> Result<Self, InvalidPath> {
        let (mut parts, mut part) = (Vec::new(), String::new());
        let mut letters = text.chars();
        while let Some(letter) = letters.next() {
            match letter {
                '\\' => match letters.next() {
                    Some(escaped @ ('.' | '\\')) => part.push(escaped),
                    _ => return Err(InvalidPath::Backslash),
                },
                '.' => parts.push(std::mem::take(&mut part)),
                other => part.push(other),
            }
        }
        parts.push(part);
        if parts.iter().any(String::is_empty) {
            return Err(InvalidPath::EmptyPart);
        }
        if parts.len() > Self::MAX_PARTS {
            return Err(InvalidPath::TooDeep);
        }
        Ok(Self(parts.into_iter().map(String::into_boxed_str).collect()))
    }

    /// The parts, outermost first.
    pub fn parts(&self) -> impl ExactSizeIterator<Item = &str> {
        self.0.iter().map(|part| &**part)
    }

    /// The last part, and those on the way to it.
    pub(crate) fn split_last(&self) -> Option<(&str, &[Box<str>])> {
        self.0.split_last().map(|(last, way)| (&**last, way))
    }

    /// Whether one of the two lies inside the other, or both are the same.
    pub fn overlaps(&self, other: &Self) -> bool {
        self.0.iter().zip(other.0.iter()).all(|(a, b)| a == b)
    }

    pub(crate) fn find<'a>(&self, doc: &'a Json) -> Found<'a> {
        let mut at = doc;
        for part in self.0.iter() {
            match at {
                Json::Object(members) => match members.get(&**part) {
                    Some(member) => at = member,
                    None => return Found::Missing,
                },
                Json::Null => return Found::Value(&NULL),
                other => return Found::NoObject(other),
            }
        }
        Found::Value(at)
    }

    /// Puts `value` at the path; objects on the way are made. What is there and
    /// is no object gives way, which [`crate::SideMap`] rules out beforehand.
    pub(crate) fn place(&self, doc: &mut Map<String, Json>, value: Json) {
        let Some((last, way)) = self.0.split_last() else {
            return;
        };
        let mut at = doc;
        for part in way {
            let next = at.entry(part.to_string()).or_insert_with(|| Json::Object(Map::new()));
            if !next.is_object() {
                *next = Json::Object(Map::new());
            }
            let Json::Object(members) = next else { return };
            at = members;
        }
        at.insert(last.to_string(), value);
    }
}

impl fmt::Display for FieldPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, part) in self.0.iter().enumerate() {
            let escaped = part.replace('\\', "\\\\").replace('.', "\\.");
            write!(f, "{}{escaped}", if i == 0 { "" } else { "." })?;
        }
        Ok(())
    }
}

impl fmt::Debug for FieldPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl std::str::FromStr for FieldPath {
    type Err = InvalidPath;
    fn from_str(text: &str) -> Result<Self, InvalidPath> {
        Self::parse(text)
    }
}
