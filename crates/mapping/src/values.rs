//! Value maps: `{ approved: OK, denied: NO }`.
//!
//! Pairs are one-to-one, so each way has one answer. Values outside the pairs
//! have one only where a default is declared, and the defaults are such that
//! the lens laws hold: what the default shows is itself a listed value.

use crate::canonical::{Unfit, from_text, listed};
use hms_sync_model::{FieldType, Value};
use serde_json::Value as Json;
use std::sync::Arc;

/// A value map as written.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ValueMap {
    /// Canonical text and what the side calls it. The side's word is text, a
    /// number, true, false or null.
    pub pairs: Vec<(String, Json)>,
    /// What the side gets for a canonical value that is not listed.
    pub otherwise_to: Option<Json>,
    /// The canonical value, one of those listed, for a word of the side that is not listed.
    pub otherwise_from: Option<String>,
}

/// Why a value map cannot be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidValues {
    /// No pairs.
    #[error("a value map needs at least one pair")]
    Empty,
    /// A key is no value of the field's type.
    #[error("{0}")]
    Key(Unfit),
    /// Two keys are the same value.
    #[error("the value {0} is listed twice")]
    KeyTwice(String),
    /// Two keys have the same word, so it could not be read back.
    #[error("{first} and {second} are both {word} there, so it could not be read back")]
    NotOneToOne {
        /// The key listed first.
        first: String,
        /// The key listed later.
        second: String,
        /// The side's word for both.
        word: String,
    },
    /// A word that is an array or an object.
    #[error("{0} is no single value: text, a number, true, false or null")]
    NotScalar(String),
    /// `otherwise.from` is not one of the keys.
    #[error("the value to read other words as, {0}, must be one of those listed")]
    OtherwiseFrom(String),
    /// `otherwise.to` is a word that could not be read back.
    #[error(
        "the word to write for other values, {0}, could not be read back: list it, or say what to read it as"
    )]
    OtherwiseTo(String),
}

/// A value map, ready for use.
#[derive(Debug, Clone)]
pub(crate) struct Table {
    /// Ascending by canonical value.
    to: Vec<(Value, Json)>,
    /// Words that are text, ascending.
    from_text: Vec<(Arc<str>, Value)>,
    /// Words that are not.
    from_other: Vec<(Value, Value)>,
    otherwise_to: Option<Json>,
    otherwise_from: Option<Value>,
}

/// A word as a value, so that 1 and 1.0 are one word.
fn word(json: &Json) -> Option<Value> {
    match json {
        Json::Null => Some(Value::Null),
        Json::Bool(b) => Some(Value::Bool(*b)),
        Json::String(text) => Some(Value::text(text.as_str())),
        Json::Number(_) => crate::canonical(&FieldType::Decimal, json).ok(),
        Json::Array(_) | Json::Object(_) => None,
    }
}

impl Table {
    pub(crate) fn compile(ty: &FieldType, map: &ValueMap) -> Result<Self, InvalidValues> {
        if map.pairs.is_empty() {
            return Err(InvalidValues::Empty);
        }
        let mut table = Self {
            to: Vec::new(),
            from_text: Vec::new(),
            from_other: Vec::new(),
            otherwise_to: map.otherwise_to.clone(),
            otherwise_from: None,
        };
        for (key, native) in &map.pairs {
            let value = from_text(ty, key).map_err(InvalidValues::Key)?;
            table.list(&value, native)?;
            table.to.push((value, native.clone()));
        }
        table.to.sort_by(|(a, _), (b, _)| a.cmp(b));
        table.from_text.sort();
        if let Some([(twice, _), _]) = table.to.array_windows().find(|[(a, _), (b, _)]| a == b) {
            return Err(InvalidValues::KeyTwice(twice.to_string()));
        }
        table.take_defaults(ty, map)?;
        Ok(table)
    }

    /// Enters one pair for reading.
    fn list(&mut self, value: &Value, native: &Json) -> Result<(), InvalidValues> {
        let word = word(native).ok_or_else(|| InvalidValues::NotScalar(native.to_string()))?;
        if let Some(first) = self.listed(native) {
            return Err(InvalidValues::NotOneToOne {
                first: first.to_string(),
                second: value.to_string(),
                word: native.to_string(),
            });
        }
        match word {
            Value::Text(text) => {
                self.from_text.push((text, value.clone()));
                self.from_text.sort();
            }
            other => self.from_other.push((other, value.clone())),
        }
        Ok(())
    }

    fn take_defaults(&mut self, ty: &FieldType, map: &ValueMap) -> Result<(), InvalidValues> {
        if let Some(key) = &map.otherwise_from {
            let value = from_text(ty, key).map_err(InvalidValues::Key)?;
            if self.word_for(&value).is_none() {
                return Err(InvalidValues::OtherwiseFrom(key.clone()));
            }
            self.otherwise_from = Some(value);
        }
        match &map.otherwise_to {
            Some(native) if word(native).is_none() => Err(InvalidValues::NotScalar(native.to_string())),
            Some(native) if self.otherwise_from.is_none() && self.listed(native).is_none() => {
                Err(InvalidValues::OtherwiseTo(native.to_string()))
            }
            _ => Ok(()),
        }
    }

    /// Whether every value comes back as what it was.
    pub(crate) fn is_lossless(&self) -> bool {
        self.otherwise_to.is_none() && !self.from_other.iter().any(|(word, _)| *word == Value::Null)
    }

    fn listed(&self, native: &Json) -> Option<&Value> {
        if let Json::String(text) = native {
            let at = self.from_text.binary_search_by(|(word, _)| (**word).cmp(text)).ok()?;
            return self.from_text.get(at).map(|(_, value)| value);
        }
        if self.from_other.is_empty() {
            return None;
        }
        let native = word(native)?;
        self.from_other.iter().find(|(word, _)| *word == native).map(|(_, value)| value)
    }

    fn word_for(&self, value: &Value) -> Option<&Json> {
        let at = self.to.binary_search_by(|(listed, _)| listed.cmp(value)).ok()?;
        self.to.get(at).map(|(_, native)| native)
    }

    pub(crate) fn read(&self, native: &Json) -> Result<Value, Unfit> {
        match self.listed(native).or(self.otherwise_from.as_ref().filter(|_| !native.is_null())) {
            Some(value) => Ok(value.clone()),
            None if native.is_null() => Ok(Value::Null),
            None => {
                let words: Vec<String> =
                    self.to.iter().filter_map(|(_, native)| Some(word(native)?.to_string())).collect();
                let words = listed(words.iter().map(String::as_str));
                Err(Unfit::new(native, format!("one of the words of its value map: {words}")))
            }
        }
    }

    pub(crate) fn write(&self, value: &Value) -> Result<Json, Unfit> {
        if let Some(native) = self.word_for(value).or(self.otherwise_to.as_ref()) {
            return Ok(native.clone());
        }
        let keys: Vec<String> = self.to.iter().map(|(key, _)| key.to_string()).collect();
        let keys = listed(keys.iter().map(String::as_str));
        Err(Unfit::value(value, format!("one of the values of its value map: {keys}")))
    }
}
