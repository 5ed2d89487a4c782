//! Expressions: one line of minijinja's language over the values at hand, for
//! rules that no other policy says.
//!
//! Compiled once; what is compiled has no loops, and fuel bounds the rest, so that
//! no expression runs for ever or fills the memory. It sees values and nothing
//! else: no clock, no randomness, no files. What it is asked about comes in the
//! order of the dots, so the order of arrival is invisible. A failure is a word
//! about the expression, never about what was in a field: that may be personal.

use crate::reg::Sibling;
use hms_sync_bounds::{Guarded, Limit};
use hms_sync_mapping::{EXPRESSION_MAX, canonical};
use hms_sync_model::{Decimal, FieldType, Time, Value};
use minijinja::value::ValueKind;
use minijinja::{Environment, Error, UndefinedBehavior, Value as Given};
use serde_json::Value as Json;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, LazyLock};

/// Steps an expression may take; a byte of text costs about as much as a tenth of one.
const FUEL: u64 = 50_000;
/// The most bytes that a result may have.
const RESULT_MAX: usize = 1_000_000;
/// What an element of a list or a map counts, in bytes.
const ELEMENT: usize = 50;
/// How deep a result may nest.
const DEPTH_MAX: usize = 64;
/// What an expression that resolves a field may name.
const NAMES: &[&str] = &["siblings"];

/// The language: filters and tests of minijinja, without functions that make
/// something out of nothing.
static LANGUAGE: LazyLock<Environment<'static>> = LazyLock::new(|| {
    let mut language = Environment::new();
    let functions: Vec<String> = language.globals().map(|(name, _)| name.to_owned()).collect();
    functions.iter().for_each(|name| language.remove_global(name));
    language.set_fuel(Some(FUEL));
    language.set_undefined_behavior(UndefinedBehavior::Strict);
    hms_sync_bounds::teach(&mut language);
    // Errors then know their place.
    language.set_debug(true);
    language
});

/// An expression, compiled.
#[derive(Clone)]
pub struct Expression {
    source: Arc<str>,
    guarded: Arc<Guarded>,
    compiled: Arc<minijinja::Expression<'static, 'static>>,
}

/// Why an expression cannot be used, or did not come to a value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{words}")]
pub struct ExpressionError {
    /// What is wrong. Nothing of what was in a field is in it.
    pub words: String,
    /// What exactly, where that is known; it may quote values.
    pub detail: Option<String>,
    /// The line of the expression, from 1.
    pub line: usize,
    /// The column in it, in characters, from 1.
    pub column: usize,
}

impl PartialEq for Expression {
    fn eq(&self, other: &Self) -> bool {
        self.source == other.source
    }
}

impl Eq for Expression {}

impl fmt::Debug for Expression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Expression({:?})", self.source)
    }
}

impl fmt::Display for Expression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.source)
    }
}

impl Expression {
    /// One that chooses among siblings: it may name `siblings`.
    pub fn of_siblings(source: &str) -> Result<Self, ExpressionError> {
        Self::compile(source, NAMES)
    }

    /// One that may name `names` and nothing else.
    pub fn compile(source: &str, names: &[&str]) -> Result<Self, ExpressionError> {
        if source.len() > EXPRESSION_MAX {
            return Err(said(format!("an expression may have {EXPRESSION_MAX} bytes at most")));
        }
        let (compiled, guarded) =
            hms_sync_bounds::compile(&LANGUAGE, source).map_err(|why| placed(&why, source, |byte| byte))?;
        let used = compiled.undeclared_variables(false);
        if let Some(stranger) = used.iter().filter(|name| !names.contains(&name.as_str())).min() {
            let (line, column) = place_of(source, word_at(source, stranger));
            let words = format!("it names `{stranger}`; known here: {}", names.join(", "));
            return Err(ExpressionError { words, detail: None, line, column });
        }
        Ok(Self { source: source.into(), guarded: Arc::new(guarded), compiled: Arc::new(compiled) })
    }

    /// As it was written.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// Whether it names `name`.
    pub fn uses(&self, name: &str) -> bool {
        self.compiled.undeclared_variables(false).contains(name)
    }

    /// The value of type `ty` that it comes to among `siblings`: one of theirs, or another.
    pub fn choose(&self, ty: &FieldType, siblings: &[&Sibling]) -> Result<Value, ExpressionError> {
        let seen: Result<Vec<Given>, ExpressionError> = siblings.iter().map(|s| sibling(s)).collect();
        let result = self.run(map([("siblings", Given::from(seen?))]))?;
        let known: Vec<&Value> = siblings.iter().map(|sibling| &sibling.change.after).collect();
        to_value(ty, &result, &known)
    }

    /// The value of type `ty` that it comes to with these names and values. What equals
    /// one of the values is that value, to the last digit.
    pub fn value(&self, ty: &FieldType, given: &[(&str, &Value)]) -> Result<Value, ExpressionError> {
        let known: Vec<&Value> = given.iter().map(|(_, value)| *value).collect();
        to_value(ty, &self.run(names(given)?)?, &known)
    }

    /// Whether it holds with these names and values.
    pub fn holds(&self, given: &[(&str, &Value)]) -> Result<bool, ExpressionError> {
        let result = self.run(names(given)?)?;
        bool::try_from(result).map_err(|_| said("it comes to neither true nor false".to_owned()))
    }

    fn run(&self, given: Given) -> Result<Given, ExpressionError> {
        let place = |byte| self.guarded.original(byte);
        self.compiled.eval(given).map_err(|why| placed(&why, &self.source, place))
    }
}

fn names(given: &[(&str, &Value)]) -> Result<Given, ExpressionError> {
    let members: Result<Vec<_>, _> = given.iter().map(|(name, value)| Ok((*name, seen(value)?))).collect();
    Ok(map(members?))
}

fn map<'a>(members: impl IntoIterator<Item = (&'a str, Given)>) -> Given {
    let members = members.into_iter().map(|(name, value)| (name.to_owned(), value));
    Given::from(members.collect::<BTreeMap<String, Given>>())
}

fn said(words: String) -> ExpressionError {
    ExpressionError { words, detail: None, line: 1, column: 1 }
}

fn placed(why: &Error, source: &str, original: impl Fn(usize) -> usize) -> ExpressionError {
    let (line, column) = match why.range() {
        Some(range) => place_of(source, original(range.start)),
        None => (why.line().unwrap_or(1), 1),
    };
    ExpressionError { words: why.kind().to_string(), detail: why.detail().map(str::to_owned), line, column }
}

/// Where a name stands first; at the beginning, if nowhere.
fn word_at(source: &str, name: &str) -> usize {
    let part = |c: char| c.is_alphanumeric() || c == '_';
    let whole = |&(at, _): &(usize, &str)| {
        let (before, after) = (source.get(..at).unwrap_or_default(), source.get(at + name.len()..));
        !before.ends_with(part) && !after.unwrap_or_default().starts_with(part)
    };
    source.match_indices(name).find(whole).map_or(0, |(at, _)| at)
}

/// Line and column of a byte.
fn place_of(source: &str, byte: usize) -> (usize, usize) {
    let before = source.get(..byte).unwrap_or(source);
    let column = before.rsplit('\n').next().unwrap_or_default().chars().count();
    (before.matches('\n').count() + 1, column + 1)
}

/// A sibling as expressions see it.
fn sibling(of: &Sibling) -> Result<Given, ExpressionError> {
    let Sibling { dot, change, stamp } = of;
    let side = dot.actor.as_side().map_or_else(|| Given::from(()), |side| Given::from(side.as_str()));
    let members = [
        ("value", seen(&change.after)?),
        ("absent", Given::from(change.after == Value::Absent)),
        ("before", seen(&change.before)?),
        ("side", side),
        ("author", Given::from(dot.actor.author.to_string())),
        ("at", Given::from(instant(stamp.high))),
        ("not_before", Given::from(instant(stamp.low))),
    ];
    Ok(map(members))
}

/// An instant as text that sorts as instants do, the years 1 to 9999.
fn instant(at: Time) -> String {
    const FIRST: i64 = -62_135_596_800_000_000;
    const LAST: i64 = 253_402_300_799_999_999;
    Time(at.0.clamp(FIRST, LAST)).to_chrono().to_rfc3339_opts(chrono::SecondsFormat::Micros, true)
}

/// A canonical value as expressions see it.
fn seen(value: &Value) -> Result<Given, ExpressionError> {
    Ok(match value {
        Value::Absent | Value::Null => Given::from(()),
        Value::Bool(b) => Given::from(*b),
        Value::Number(number) => numeric(number)?,
        Value::Text(text) => Given::from(&**text),
        Value::Date(day) => Given::from(day.to_string()),
        Value::Datetime(at) => Given::from(instant(*at)),
        Value::Set(elements) => {
            Given::from(elements.iter().map(seen).collect::<Result<Vec<_>, ExpressionError>>()?)
        }
        Value::Json(text) => from_json(&serde_json::from_str(text).unwrap_or(Json::Null)),
        Value::Sealed(_) => return Err(said("a value is erased".to_owned())),
    })
}

/// A number to the last digit, or none at all.
fn numeric(number: &Decimal) -> Result<Given, ExpressionError> {
    if let Ok(whole) = number.as_str().parse::<i128>() {
        return Ok(Given::from(whole));
    }
    let near: f64 = number.as_str().parse().unwrap_or(f64::NAN);
    let exact = Decimal::parse(&near.to_string()).is_ok_and(|back| back == *number);
    if exact {
        Ok(Given::from(near))
    } else {
        Err(said("a number has more digits than it can hold".to_owned()))
    }
}

/// JSON as expressions see it. Numbers beyond what they can hold are text, to the digit.
fn from_json(json: &Json) -> Given {
    match json {
        Json::Null => Given::from(()),
        Json::Bool(b) => Given::from(*b),
        Json::Number(n) => {
            let number = Decimal::parse(n.as_str()).ok().and_then(|number| numeric(&number).ok());
            number.unwrap_or_else(|| Given::from(n.as_str()))
        }
        Json::String(text) => Given::from(text.as_str()),
        Json::Array(elements) => elements.iter().map(from_json).collect(),
        Json::Object(members) => map(members.iter().map(|(name, member)| (name.as_str(), from_json(member)))),
    }
}

/// A result as a value of the type. `known` are the values it was made of: a date or
/// an instant that is one of them is it, whatever text it went through.
fn to_value(ty: &FieldType, result: &Given, known: &[&Value]) -> Result<Value, ExpressionError> {
    if result.is_none() {
        let is_absent = known.contains(&&Value::Absent) && !known.contains(&&Value::Null);
        return Ok(if is_absent { Value::Absent } else { Value::Null });
    }
    if let (FieldType::Date | FieldType::Datetime, Some(text)) = (ty, result.as_str()) {
        let same = |value: &&&Value| seen(value).is_ok_and(|seen| seen.as_str() == Some(text));
        if let Some(value) = known.iter().find(same) {
            return Ok((**value).clone());
        }
    }
    let most = Limit { parts: RESULT_MAX / ELEMENT, bytes: RESULT_MAX };
    let weighed = hms_sync_bounds::check(result, most);
    weighed.map_err(|why| {
        let detail = Some(why.to_string());
        ExpressionError { detail, ..said("its result is too large".to_owned()) }
    })?;
    let mut left = RESULT_MAX;
    let json = to_json(result, &mut left, 0)?;
    canonical(ty, &json).map_err(|why| {
        let words = format!("it comes to {}, expected {}", kind_of(&json), why.expected);
        ExpressionError { detail: Some(why.to_string()), ..said(words) }
    })
}

fn kind_of(json: &Json) -> &'static str {
    match json {
        Json::Null => "nothing",
        Json::Bool(_) => "true or false",
        Json::Number(_) => "a number",
        Json::String(_) => "text",
        Json::Array(_) => "a list",
        Json::Object(_) => "a map",
    }
}

fn to_json(result: &Given, left: &mut usize, depth: usize) -> Result<Json, ExpressionError> {
    let too_large = || said("its result is too large".to_owned());
    let mut spend = |size: usize| -> Result<(), ExpressionError> {
        *left = left.checked_sub(size).ok_or_else(too_large)?;
        Ok(())
    };
    spend(ELEMENT + result.as_str().map_or(0, str::len))?;
    if depth > DEPTH_MAX {
        return Err(too_large());
    }
    match result.kind() {
        ValueKind::None => Ok(Json::Null),
        ValueKind::Bool => Ok(Json::Bool(result.is_true())),
        ValueKind::Number => number_of(result).ok_or_else(|| said("its result is no number".to_owned())),
        ValueKind::String => Ok(Json::from(result.as_str().unwrap_or_default())),
        ValueKind::Seq | ValueKind::Iterable => {
            let elements = result.try_iter().map_err(|why| placed(&why, "", |byte| byte))?;
            elements.map(|element| to_json(&element, left, depth + 1)).collect()
        }
        ValueKind::Map => {
            let keys = result.try_iter().map_err(|why| placed(&why, "", |byte| byte))?;
            let member = |key: Given| {
                let value = result.get_item(&key).map_err(|why| placed(&why, "", |byte| byte))?;
                Ok((key.to_string(), to_json(&value, left, depth + 1)?))
            };
            keys.map(member).collect()
        }
        ValueKind::Undefined => {
            Err(said("undefined value: it comes to something that is not there".to_owned()))
        }
        _ => Err(said("it comes to nothing that a field can hold".to_owned())),
    }
}

/// A number written out; not a number and the infinite are none.
fn number_of(number: &Given) -> Option<Json> {
    let digits = match i128::try_from(number.clone()) {
        Ok(whole) if number.is_integer() => whole.to_string(),
        _ => f64::try_from(number.clone()).ok().filter(|n| n.is_finite())?.to_string(),
    };
    serde_json::from_str(&digits).ok()
}
