//! Whether a field's way to a side can be gone back: tried on samples of its type and on
//! values that a seed makes, so that a mapping that loses something is found before
//! anything is synchronised, with a value that shows it.
//!
//! A side may hold less than we do (a day of an instant): that is lawful, because what it
//! cannot hold survives its edits, and is told. What cannot be written at all, or not be
//! read again, or breaks a law of the lens, is a mistake.

use crate::canonical::Unfit;
use crate::codec::Codec;
use hms_sync_model::{Date, Decimal, ElementKey, FieldType, Time, Value};
use serde_json::Value as Json;
use std::fmt;

/// Values made from the seed, for each type.
const MADE: u64 = 64;

/// What a mapping does to a value that it should not.
#[derive(Debug, Clone, PartialEq)]
pub enum Finding {
    /// The side has no word for it.
    NoWord {
        /// Our value.
        value: Value,
        /// What could be written.
        why: Unfit,
    },
    /// What is written cannot be read.
    NotRead {
        /// Our value.
        value: Value,
        /// What is written for it.
        written: Json,
        /// What could be read.
        why: Unfit,
    },
    /// It comes back as another: the side holds less than we do.
    Lossy {
        /// Our value.
        value: Value,
        /// What is written for it.
        written: Json,
        /// What is read back.
        back: Value,
    },
    /// What is read back would be written otherwise, and so on without end.
    Restless {
        /// Our value.
        value: Value,
        /// What is read back.
        back: Value,
        /// What is read back of that.
        again: Value,
    },
    /// A side that shows what it was given would change our value.
    Forgets {
        /// Our value.
        value: Value,
        /// What it becomes.
        becomes: Value,
    },
}

impl Finding {
    /// Whether the field cannot be kept in step so; else it is only less exact there.
    pub fn is_mistake(&self) -> bool {
        !matches!(self, Self::Lossy { .. })
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoWord { value, why } => {
                write!(f, "{} cannot be written: expected {}", shown(value), why.expected)
            }
            Self::NotRead { value, written, why } => {
                write!(
                    f,
                    "{} is written as {written:.60}, which cannot be read: expected {}",
                    shown(value),
                    why.expected
                )
            }
            Self::Lossy { value, written, back } => {
                write!(
                    f,
                    "{} is written as {written:.60}, which is read back as {}",
                    shown(value),
                    shown(back)
                )
            }
            Self::Restless { value, back, again } => {
                let (value, back, again) = (shown(value), shown(back), shown(again));
                write!(f, "{value} is read back as {back}, and that as {again}: it would never come to rest")
            }
            Self::Forgets { value, becomes } => {
                write!(
                    f,
                    "{} would become {} when the side shows what it was given",
                    shown(value),
                    shown(becomes)
                )
            }
        }
    }
}

fn shown(value: &Value) -> String {
    match value {
        Value::Text(text) => format!("{:?}", text.chars().take(60).collect::<String>()),
        other => format!("{other:.60}"),
    }
}

/// What is found on the way of values of the codec's type to a side and back: of each kind
/// the first, with the plainest value. `samples` are tried first.
pub(crate) fn findings(codec: &Codec, samples: &[Value]) -> Vec<Finding> {
    let mut found: Vec<Finding> = Vec::new();
    for value in samples.iter().cloned().chain(values(codec.ty())) {
        for finding in of_value(codec, &value) {
            let known = |other: &Finding| std::mem::discriminant(other) == std::mem::discriminant(&finding);
            if !found.iter().any(known) {
                found.push(finding);
            }
        }
    }
    found
}

/// What is found of one value.
pub(crate) fn of_value(codec: &Codec, value: &Value) -> Vec<Finding> {
    let mut found = Vec::new();
    let written = match codec.write(value) {
        Ok(Some(written)) => written,
        Ok(None) => return found,
        Err(why) => {
            // A type without end has values that a side has no words for; a list has none.
            if is_listed(codec.ty()) {
                found.push(Finding::NoWord { value: value.clone(), why });
            }
            return found;
        }
    };
    let back = match codec.read(&written) {
        Ok(back) => back,
        Err(why) => {
            found.push(Finding::NotRead { value: value.clone(), written, why });
            return found;
        }
    };
    let again = codec.image(&back);
    if again != back {
        found.push(Finding::Restless { value: value.clone(), back: back.clone(), again });
    }
    let becomes = codec.put(&back, value);
    if becomes != *value {
        found.push(Finding::Forgets { value: value.clone(), becomes });
    }
    if back != *value {
        found.push(Finding::Lossy { value: value.clone(), written, back });
    }
    found
}

/// Whether all values of a type can be listed.
fn is_listed(ty: &FieldType) -> bool {
    match ty {
        FieldType::Enum(_) | FieldType::Bool => true,
        FieldType::Set(of) => is_listed(of),
        _ => false,
    }
}

/// Values of a type: all, if they can be listed; else plain ones, corners, and made ones.
fn values(ty: &FieldType) -> Vec<Value> {
    let text = |texts: &[&str]| texts.iter().map(|text| Value::text(*text)).collect::<Vec<_>>();
    match ty {
        FieldType::Enum(words) => words.iter().map(|word| Value::Text(word.clone())).collect(),
        FieldType::Bool => vec![Value::Bool(true), Value::Bool(false)],
        FieldType::String => text(&["A-17", "12", "08", "", "é"]),
        FieldType::Text => text(&["Some words.", "two\nlines", "", "é"]),
        FieldType::Integer => {
            [1, 0, -7, 1_000_000, 4_294_967_296].map(Value::from).into_iter().chain(integers()).collect()
        }
        FieldType::Decimal => {
            let plain = ["1", "0", "12.5", "12.345", "-0.001", "1234567.89"];
            plain.iter().filter_map(|digits| decimal(digits)).chain(decimals()).collect()
        }
        FieldType::Date => {
            [20_780, 0, 11_016].map(|day| Value::Date(Date(day))).into_iter().chain(days()).collect()
        }
        FieldType::Datetime => {
            let corners = [1_795_424_887_000_000, 1_795_424_887_123_456, 951_782_400_000_000];
            corners.map(|at| Value::Datetime(Time(at))).into_iter().chain(instants()).collect()
        }
        FieldType::Json => vec![Value::Json("{\"a\":1}".into()), Value::Json("[1,2]".into())],
        FieldType::Object(key) => [1, 2].map(|n| object(key, n)).to_vec(),
        FieldType::Set(of) => {
            let elements = values(of);
            let one = |value: &Value| Value::set([value.clone()]);
            elements.iter().map(one).chain([Value::set(elements.iter().cloned()), Value::set([])]).collect()
        }
    }
}

/// An object with that key, and nothing else.
fn object(key: &ElementKey, n: u8) -> Value {
    let text =
        key.parts().rev().fold(n.to_string(), |inner, part| format!("{{{}:{inner}}}", Json::from(part)));
    Value::Json(text.into())
}

/// Numbers that look like chance and are the same each time.
fn made() -> impl Iterator<Item = u64> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    std::iter::repeat_with(move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    })
    .take(usize::try_from(MADE).unwrap_or(0))
}

/// A number below `most`, as one that fits anywhere.
fn below(n: u64, most: u64) -> i64 {
    i64::try_from(n % most).unwrap_or(0)
}

fn integers() -> impl Iterator<Item = Value> {
    made().map(|n| Value::from(below(n, 2_000_000_000) - 1_000_000_000))
}

fn decimal(digits: &str) -> Option<Value> {
    Decimal::parse(digits).ok().map(Value::Number)
}

fn decimals() -> impl Iterator<Item = Value> {
    made().filter_map(|n| decimal(&format!("{}e-{}", below(n, 1_000_000_000), n % 5)))
}

/// From 1970 to 2100.
fn days() -> impl Iterator<Item = Value> {
    made().map(|n| Value::Date(Date(i32::try_from(n % 47_000).unwrap_or(0))))
}

fn instants() -> impl Iterator<Item = Value> {
    made().map(|n| Value::Datetime(Time(below(n, 4_000_000_000_000_000))))
}
