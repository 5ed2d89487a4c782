//! A field's value in canonical form.
//!
//! Each type has one form for equal things (`10` and `10.0`, a set in any
//! order, a JSON object with its keys in any order), so equality of canonical
//! values is plain `==`. Making the form is the mapping's work; this room only
//! holds it. Absent, null and empty are three different values.

use crate::{Decimal, ElementKey, Sealed, Time};
use chrono::{Datelike, NaiveDate};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;
use std::sync::Arc;

/// A calendar day without a time zone: days since 1970-01-01.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Date(pub i32);

/// 1970-01-01 counted in days from the start of the common era, as chrono counts.
const EPOCH_FROM_CE: i32 = 719_163;

impl Date {
    /// The same day from chrono's type.
    pub fn from_chrono(day: NaiveDate) -> Self {
        Self(day.num_days_from_ce().saturating_sub(EPOCH_FROM_CE))
    }

    /// The same day as chrono's type; the ends of the range saturate.
    pub fn to_chrono(self) -> NaiveDate {
        let end = if self.0 < 0 { NaiveDate::MIN } else { NaiveDate::MAX };
        NaiveDate::from_num_days_from_ce_opt(self.0.saturating_add(EPOCH_FROM_CE)).unwrap_or(end)
    }
}

impl fmt::Display for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.to_chrono())
    }
}

impl fmt::Debug for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// What type a canonical field has; see `docs/reference/fields.md` for each.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum FieldType {
    /// Text kept to the letter.
    #[default]
    String,
    /// Text for people: line ends and Unicode form do not count as differences.
    Text,
    /// A whole number of any size.
    Integer,
    /// An exact decimal number.
    Decimal,
    /// True or false.
    Bool,
    /// A calendar day.
    Date,
    /// An instant.
    Datetime,
    /// One of the listed texts.
    Enum(Vec<Arc<str>>),
    /// A set of elements of one type; order does not count.
    Set(Box<FieldType>),
    /// Any JSON, taken as one opaque value.
    Json,
    /// An object that is known by its key: what stands in a set that merges by key.
    Object(ElementKey),
}

/// A canonical value. The order of values of one type is the natural one; it
/// is what the policies `min` and `max` use.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum Value {
    /// The side's record has no such field.
    #[default]
    Absent,
    /// The field is there and holds null.
    Null,
    /// True or false.
    Bool(bool),
    /// An exact number.
    Number(Decimal),
    /// Text, also the text of an `enum`.
    Text(Arc<str>),
    /// A calendar day.
    Date(Date),
    /// An instant.
    Datetime(Time),
    /// Elements ascending, none twice. Build with [`Value::set`].
    Set(Arc<[Value]>),
    /// Canonical JSON text: keys sorted, no white space.
    Json(Arc<str>),
    /// A personal value that is not open: as it stands in the log, or because its
    /// record's key is gone. No side ever shows or is sent one.
    Sealed(Sealed),
}

impl Value {
    /// Text.
    pub fn text(text: impl Into<Arc<str>>) -> Self {
        Self::Text(text.into())
    }

    /// A set of the given elements, in whatever order and number they come.
    pub fn set(elements: impl IntoIterator<Item = Value>) -> Self {
        let mut all: Vec<Value> = elements.into_iter().collect();
        all.sort();
        all.dedup();
        Self::Set(all.into())
    }

    /// Whether there is no value: absent or null.
    pub fn is_nothing(&self) -> bool {
        matches!(self, Self::Absent | Self::Null)
    }

    /// Whether a person would call it not filled in: absent, null, or empty.
    pub fn is_blank(&self) -> bool {
        match self {
            Self::Absent | Self::Null => true,
            Self::Text(text) => text.trim().is_empty(),
            Self::Set(elements) => elements.is_empty(),
            _ => false,
        }
    }

    /// Whether both say the same to a person: null and absent do.
    pub fn says_what(&self, other: &Self) -> bool {
        self == other || [self, other].iter().all(|value| matches!(value, Self::Absent | Self::Null))
    }

    /// What it takes in the change log, in bytes; a little more rather than less.
    pub fn kept_bytes(&self) -> usize {
        const AROUND: usize = 12;
        let inside = match self {
            Self::Absent | Self::Null | Self::Bool(_) | Self::Date(_) | Self::Datetime(_) => 0,
            Self::Number(n) => n.as_str().len(),
            Self::Text(text) | Self::Json(text) => text.len(),
            Self::Sealed(sealed) => sealed.as_bytes().len(),
            Self::Set(elements) => {
                elements.iter().fold(0, |sum: usize, element| sum.saturating_add(element.kept_bytes()))
            }
        };
        inside.saturating_add(AROUND)
    }

    /// Whether it is a personal value that is not open.
    pub fn is_sealed(&self) -> bool {
        matches!(self, Self::Sealed(_))
    }

    /// The text, if it is one.
    pub fn as_text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    /// As JSON for people and APIs: absent becomes `null`, and what cannot be opened
    /// `{"erased": true}`, so this is one-way.
    pub fn to_json(&self) -> serde_json::Value {
        use serde_json::Value as Json;
        match self {
            Self::Absent | Self::Null => Json::Null,
            Self::Bool(b) => Json::Bool(*b),
            Self::Number(n) => serde_json::from_str(n.as_str()).unwrap_or(Json::Null),
            Self::Text(text) => Json::String(text.to_string()),
            Self::Date(day) => Json::String(day.to_string()),
            Self::Datetime(at) => Json::String(at.to_string()),
            Self::Set(elements) => Json::Array(elements.iter().map(Self::to_json).collect()),
            Self::Json(text) => serde_json::from_str(text).unwrap_or(Json::Null),
            Self::Sealed(_) => serde_json::json!({ "erased": true }),
        }
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(text.into())
    }
}

impl From<bool> for Value {
    fn from(b: bool) -> Self {
        Self::Bool(b)
    }
}

impl From<i64> for Value {
    fn from(n: i64) -> Self {
        Self::Number(n.into())
    }
}

impl fmt::Display for Value {
    /// As in a sentence: `approved`, `12.5`, `(absent)`, `{a, b}`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Absent => f.write_str("(absent)"),
            Self::Null => f.write_str("null"),
            Self::Bool(b) => write!(f, "{b}"),
            Self::Number(n) => write!(f, "{n}"),
            Self::Text(text) if text.is_empty() => f.write_str("(empty)"),
            Self::Text(text) | Self::Json(text) => f.write_str(text),
            Self::Date(day) => write!(f, "{day}"),
            Self::Datetime(at) => write!(f, "{at}"),
            Self::Set(elements) => {
                f.write_str("{")?;
                for (i, element) in elements.iter().enumerate() {
                    write!(f, "{}{element}", if i == 0 { "" } else { ", " })?;
                }
                f.write_str("}")
            }
            Self::Sealed(_) => f.write_str("(erased)"),
        }
    }
}

impl fmt::Debug for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => write!(f, "{text:?}"),
            _ => fmt::Display::fmt(self, f),
        }
    }
}

/// The change log's form of a value, one letter per kind. The letters are part
/// of the format (`docs/format.md`) and never change their meaning.
#[derive(Serialize, Deserialize)]
enum Kept<'a> {
    #[serde(rename = "a")]
    Absent,
    #[serde(rename = "n")]
    Null,
    #[serde(rename = "b")]
    Bool(bool),
    #[serde(rename = "#")]
    Number(Decimal),
    #[serde(rename = "t", borrow)]
    Text(std::borrow::Cow<'a, str>),
    #[serde(rename = "d")]
    Date(Date),
    #[serde(rename = "i")]
    Datetime(Time),
    #[serde(rename = "s")]
    Set(std::borrow::Cow<'a, [Value]>),
    #[serde(rename = "j")]
    Json(std::borrow::Cow<'a, str>),
    #[serde(rename = "x")]
    Sealed(Sealed),
}

impl Serialize for Value {
    /// For people (JSON) as [`Value::to_json`]; for the change log as one tagged value.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            return self.to_json().serialize(serializer);
        }
        match self {
            Self::Absent => Kept::Absent,
            Self::Null => Kept::Null,
            Self::Bool(b) => Kept::Bool(*b),
            Self::Number(n) => Kept::Number(n.clone()),
            Self::Text(text) => Kept::Text((&**text).into()),
            Self::Date(day) => Kept::Date(*day),
            Self::Datetime(at) => Kept::Datetime(*at),
            Self::Set(elements) => Kept::Set((&**elements).into()),
            Self::Json(text) => Kept::Json((&**text).into()),
            Self::Sealed(sealed) => Kept::Sealed(sealed.clone()),
        }
        .serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Value {
    /// Only from the change log's form: JSON for people does not come back.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(match Kept::deserialize(deserializer)? {
            Kept::Absent => Self::Absent,
            Kept::Null => Self::Null,
            Kept::Bool(b) => Self::Bool(b),
            Kept::Number(n) => Self::Number(n),
            Kept::Text(text) => Self::Text(text.into()),
            Kept::Date(day) => Self::Date(day),
            Kept::Datetime(at) => Self::Datetime(at),
            Kept::Set(elements) => Self::set(elements.into_owned()),
            Kept::Json(text) => Self::Json(text.into()),
            Kept::Sealed(sealed) => Self::Sealed(sealed),
        })
    }
}
