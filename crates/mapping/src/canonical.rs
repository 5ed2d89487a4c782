//! Each type's own parsing: from JSON or from text to the one form that equal
//! things share.
//!
//! What is made here is a fixpoint: the canonical value, written as JSON and
//! read again, is the same value. Depth is bounded; nothing is rounded.

use chrono::{DateTime, NaiveDate};
use hms_sync_model::{Date, Decimal, ElementKey, FieldType, InvalidDecimal, Time, Value};
use serde_json::Value as Json;
use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fmt::Write;

/// How deep a `json` field, or a set of sets, may nest.
pub(crate) const MAX_DEPTH: usize = 64;
/// How much of a value an error shows, in characters.
const SHOWN: usize = 60;

/// A value that does not fit its field.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("found {found}, expected {expected}")]
pub struct Unfit {
    /// What was there: shortened, escaped, safe to print in one line.
    pub found: String,
    /// What would have fitted.
    pub expected: String,
}

impl Unfit {
    pub(crate) fn new(found: &Json, expected: impl Into<String>) -> Self {
        Self { found: shown(found), expected: expected.into() }
    }

    pub(crate) fn value(found: &Value, expected: impl Into<String>) -> Self {
        let found = match found {
            Value::Text(text) => quoted(text),
            other => shortened(&other.to_string()),
        };
        Self { found, expected: expected.into() }
    }
}

/// A JSON value for an error message: what kind it is if it is large, else itself.
fn shown(json: &Json) -> String {
    match json {
        Json::String(text) => quoted(text),
        Json::Array(elements) => format!("an array of {}", elements.len()),
        Json::Object(members) => format!("an object of {} members", members.len()),
        Json::Number(number) => shortened(number.as_str()),
        Json::Null | Json::Bool(_) => json.to_string(),
    }
}

fn quoted(text: &str) -> String {
    format!("\"{}\"", shortened(text))
}

fn shortened(text: &str) -> String {
    let mut out: String = text.chars().take(SHOWN).flat_map(char::escape_debug).collect();
    if text.chars().nth(SHOWN).is_some() {
        out.push('…');
    }
    out
}

/// The canonical value of a JSON value under `ty`. Null is null under every type.
///
/// # Errors
/// When the JSON is nothing that the type can hold.
pub fn canonical(ty: &FieldType, json: &Json) -> Result<Value, Unfit> {
    at_depth(ty, json, 0)
}

fn at_depth(ty: &FieldType, json: &Json, depth: usize) -> Result<Value, Unfit> {
    if json.is_null() {
        return Ok(Value::Null);
    }
    match (ty, json) {
        (FieldType::String, Json::String(text)) => Ok(Value::text(text.as_str())),
        (FieldType::Text, Json::String(text)) => Ok(Value::text(&*same_text(text))),
        (FieldType::Integer | FieldType::Decimal, Json::Number(n)) => number(ty, n.as_str(), json),
        (FieldType::Integer | FieldType::Decimal, Json::String(text)) => number(ty, text.trim(), json),
        (FieldType::Bool, Json::Bool(b)) => Ok(Value::Bool(*b)),
        (FieldType::Date, Json::String(text)) => date(text).map(Value::Date).ok_or_else(|| unfit(ty, json)),
        (FieldType::Datetime, Json::String(text)) => {
            instant(text).map(Value::Datetime).ok_or_else(|| unfit(ty, json))
        }
        (FieldType::Enum(allowed), Json::String(text)) => match allowed.iter().find(|a| ***a == **text) {
            Some(known) => Ok(Value::Text(known.clone())),
            None => Err(unfit(ty, json)),
        },
        (FieldType::Set(of), Json::Array(elements)) if depth < MAX_DEPTH => {
            let found: Result<Vec<_>, _> = elements.iter().map(|e| at_depth(of, e, depth + 1)).collect();
            let found = found?;
            if let FieldType::Object(key) = &**of {
                each_once(key, elements)?;
            }
            Ok(Value::set(found))
        }
        (FieldType::Object(key), Json::Object(_)) if key.of_json(json).is_some() => {
            canonical_json(json).map(|text| Value::Json(text.into()))
        }
        (FieldType::Json, _) => canonical_json(json).map(|text| Value::Json(text.into())),
        _ => Err(unfit(ty, json)),
    }
}

/// No two elements may have the same key: which of them would an edit be of?
fn each_once(key: &ElementKey, elements: &[Json]) -> Result<(), Unfit> {
    let mut known = BTreeSet::new();
    for id in elements.iter().filter_map(|element| key.of_json(element)) {
        if !known.insert(id.clone()) {
            let found = format!("two elements with {} at `{key}`", Unfit::value(&id, "").found);
            return Err(Unfit { found, expected: "each key once".to_owned() });
        }
    }
    Ok(())
}

/// The canonical value that a person wrote as text: in a config, on a command
/// line. `true`, `12.5`, `approved`, `2026-03-01`; sets and `json` as JSON.
///
/// # Errors
/// When the text is nothing that the type can hold.
pub fn from_text(ty: &FieldType, text: &str) -> Result<Value, Unfit> {
    let json = match ty {
        FieldType::Bool | FieldType::Set(_) | FieldType::Json => {
            serde_json::from_str(text).unwrap_or_else(|_| Json::String(text.to_owned()))
        }
        _ => Json::String(text.to_owned()),
    };
    canonical(ty, &json)
}

pub(crate) fn unfit(ty: &FieldType, json: &Json) -> Unfit {
    Unfit::new(json, expected(ty))
}

/// What fits a type, in words.
pub(crate) fn expected(ty: &FieldType) -> Cow<'static, str> {
    match ty {
        FieldType::String | FieldType::Text => "text".into(),
        FieldType::Integer => "a whole number".into(),
        FieldType::Decimal => "a decimal number".into(),
        FieldType::Bool => "true or false".into(),
        FieldType::Date => "a date as 2026-03-01".into(),
        FieldType::Datetime => "an instant as 2026-03-01T09:30:00Z".into(),
        FieldType::Enum(allowed) => format!("one of {}", listed(allowed.iter().map(|a| &**a))).into(),
        FieldType::Set(_) => "an array".into(),
        FieldType::Object(key) => format!("an object with text or a number at `{key}`").into(),
        FieldType::Json => format!("JSON of at most {MAX_DEPTH} levels").into(),
    }
}

/// `a, b, c`, cut after a dozen.
pub(crate) fn listed<'a>(names: impl ExactSizeIterator<Item = &'a str>) -> String {
    let (count, mut out) = (names.len(), String::new());
    for (i, name) in names.take(12).enumerate() {
        out.push_str(if i == 0 { "" } else { ", " });
        out.push_str(&shortened(name));
    }
    if count > 12 {
        out.push_str(", …");
    }
    out
}

fn number(ty: &FieldType, text: &str, json: &Json) -> Result<Value, Unfit> {
    let number = Decimal::parse(text).map_err(|why| match why {
        InvalidDecimal::NotANumber => unfit(ty, json),
        InvalidDecimal::TooLong => {
            Unfit::new(json, format!("{} of at most {} digits", expected(ty), Decimal::MAX_DIGITS))
        }
    })?;
    if *ty == FieldType::Integer && !number.is_integer() {
        return Err(unfit(ty, json));
    }
    Ok(Value::Number(number))
}

fn date(text: &str) -> Option<Date> {
    // Chrono also takes `2026-3-1` and signs; one form only is wanted here.
    let plain = text.len() == 10 && text.bytes().all(|b| b.is_ascii_digit() || b == b'-');
    let day = NaiveDate::parse_from_str(text, "%Y-%m-%d").ok().filter(|_| plain)?;
    Some(Date::from_chrono(day))
}

fn instant(text: &str) -> Option<Time> {
    let parsed = DateTime::parse_from_rfc3339(text);
    let parsed = parsed.or_else(|why| {
        // A blank instead of the T, as SQL writes it.
        let (day, time) = text.split_once(' ').ok_or(why)?;
        DateTime::parse_from_rfc3339(&format!("{day}T{time}"))
    });
    Some(Time::from_chrono(parsed.ok()?.to_utc()))
}

/// Line ends as LF, none at the end, Unicode composed. Borrowed if it already is.
fn same_text(text: &str) -> Cow<'_, str> {
    let text = if text.contains('\r') {
        Cow::Owned(text.replace("\r\n", "\n").replace('\r', "\n"))
    } else {
        Cow::Borrowed(text)
    };
    let text = match text {
        Cow::Borrowed(text) => Cow::Borrowed(text.trim_end_matches('\n')),
        Cow::Owned(text) => Cow::Owned(text.trim_end_matches('\n').to_owned()),
    };
    match text {
        Cow::Borrowed(text) => composed(text),
        Cow::Owned(text) => Cow::Owned(composed(&text).into_owned()),
    }
}

/// Unicode composed.
pub(crate) fn composed(text: &str) -> Cow<'_, str> {
    if text.is_ascii() {
        return text.into();
    }
    let nfc = icu_normalizer::ComposingNormalizerBorrowed::new_nfc();
    if nfc.is_normalized(text) { text.into() } else { nfc.normalize(text).into_owned().into() }
}

/// Canonical JSON text: members sorted, no white space, numbers in one form.
fn canonical_json(json: &Json) -> Result<String, Unfit> {
    let mut out = String::new();
    if write_json(json, &mut out, 0) { Ok(out) } else { Err(unfit(&FieldType::Json, json)) }
}

/// Appends; answers false if it nests too deeply.
fn write_json(json: &Json, out: &mut String, depth: usize) -> bool {
    if depth > MAX_DEPTH {
        return false;
    }
    match json {
        Json::Number(n) => match Decimal::parse(n.as_str()) {
            Ok(number) => out.push_str(number.as_str()),
            // Larger than any number we hold: kept as the side wrote it.
            Err(_) => out.push_str(n.as_str()),
        },
        Json::Array(elements) => {
            out.push('[');
            for (i, element) in elements.iter().enumerate() {
                out.push_str(if i == 0 { "" } else { "," });
                if !write_json(element, out, depth + 1) {
                    return false;
                }
            }
            out.push(']');
        }
        Json::Object(members) => {
            // Sorted here: with serde_json's `preserve_order` anywhere in the tree a map is not.
            let mut sorted: Vec<_> = members.iter().collect();
            sorted.sort_unstable_by_key(|(name, _)| *name);
            out.push('{');
            for (i, (name, member)) in sorted.into_iter().enumerate() {
                out.push_str(if i == 0 { "" } else { "," });
                push_text(out, name);
                out.push(':');
                if !write_json(member, out, depth + 1) {
                    return false;
                }
            }
            out.push('}');
        }
        Json::String(text) => push_text(out, text),
        Json::Bool(_) | Json::Null => push_display(out, json),
    }
    true
}

fn push_text(out: &mut String, text: &str) {
    push_display(out, &Json::from(text));
}

fn push_display(out: &mut String, json: &Json) {
    // Writing to a String cannot fail.
    if write!(out, "{json}").is_err() {
        out.push_str("null");
    }
}
