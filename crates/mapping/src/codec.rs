//! One field on one side, compiled: reading, writing, and the lens between
//! what we hold and what the side shows of it.

use crate::canonical::{Unfit, canonical, expected};
use crate::expression::{Expressions, InvalidExpression, Pair};
use crate::format::{Format, number};
use crate::normal::normal;
use crate::values::Table;
use crate::{InvalidFormat, InvalidValues, Normal, ValueMap};
use hms_sync_model::{FieldType, Time, Value};
use serde_json::Value as Json;

/// How a type is written on a side.
#[derive(Debug, Clone)]
pub struct Codec {
    ty: FieldType,
    format: Option<Format>,
    table: Option<Table>,
    pair: Option<Pair>,
    null_as: Option<Json>,
    normalize: Vec<Normal>,
    /// Every value comes back as it was: `image` and `put` have nothing to do.
    lossless: bool,
}

/// Why a codec cannot be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum InvalidCodec {
    #[error(transparent)]
    Format(#[from] InvalidFormat),
    #[error(transparent)]
    Values(#[from] InvalidValues),
    #[error(transparent)]
    Expression(#[from] InvalidExpression),
    #[error("a field has either `format`, `values`, or `to` and `from`: one way of being written")]
    Both,
    #[error("`normalize` is for text, and does not go with `values`, whose words are what they are")]
    Normalize,
    #[error("`values` is for single values, and the elements of this set are objects")]
    Objects,
    #[error("`null_as` must be text, a number, true or false")]
    NullAs,
}

impl Codec {
    pub(crate) fn compile(
        ty: FieldType,
        format: Option<&str>,
        values: Option<&ValueMap>,
        null_as: Option<Json>,
        normalize: Vec<Normal>,
        expressions: Option<&Expressions>,
    ) -> Result<Self, InvalidCodec> {
        if !normalize.is_empty() && (values.is_some() || !Normal::suits(&ty)) {
            return Err(InvalidCodec::Normalize);
        }
        if values.is_some() && matches!(element_type(&ty), FieldType::Object(_)) {
            return Err(InvalidCodec::Objects);
        }
        let ways = [format.is_some(), values.is_some(), expressions.is_some()];
        if ways.into_iter().filter(|is_there| *is_there).count() > 1 {
            return Err(InvalidCodec::Both);
        }
        if matches!(null_as, Some(Json::Null | Json::Array(_) | Json::Object(_))) {
            return Err(InvalidCodec::NullAs);
        }
        let element = element_type(&ty);
        let format = format.map(|f| Format::compile(element, f)).transpose()?;
        let table = values.map(|v| Table::compile(element, v)).transpose()?;
        let pair = expressions.map(Pair::compile).transpose()?;
        let lossless = null_as.is_none()
            && pair.is_none()
            && normalize.is_empty()
            && table.as_ref().is_none_or(Table::is_lossless)
            && matches!(format, None | Some(Format::NumberAsText));
        Ok(Self { ty, format, table, pair, null_as, normalize, lossless })
    }

    /// The field's type.
    pub fn ty(&self) -> &FieldType {
        &self.ty
    }

    /// Whether the side can hold every canonical value as it is.
    pub fn is_lossless(&self) -> bool {
        self.lossless
    }

    /// The canonical value of what the side shows.
    pub(crate) fn read(&self, json: &Json) -> Result<Value, Unfit> {
        if self.null_as.as_ref().is_some_and(|null| null == json) {
            return Ok(Value::Null);
        }
        self.read_as_it_is(json).map(|value| normal(&self.normalize, value))
    }

    fn read_as_it_is(&self, json: &Json) -> Result<Value, Unfit> {
        if let Some(pair) = self.pair.as_ref().filter(|_| !json.is_null()) {
            let ours = pair.from.of(json).map_err(|why| Unfit::new(json, fitting("from", &why)))?;
            return canonical(&self.ty, &ours);
        }
        if self.format.is_none() && self.table.is_none() {
            return canonical(&self.ty, json);
        }
        match (&self.ty, json) {
            (FieldType::Set(_), Json::Array(elements)) => {
                let elements: Result<Vec<_>, _> = elements.iter().map(|e| self.read_one(e)).collect();
                Ok(Value::set(elements?))
            }
            (FieldType::Set(_), Json::Null) => Ok(Value::Null),
            (FieldType::Set(_), _) => Err(Unfit::new(json, expected(&self.ty))),
            _ => self.read_one(json),
        }
    }

    fn read_one(&self, json: &Json) -> Result<Value, Unfit> {
        match (&self.table, &self.format) {
            (Some(table), _) => table.read(json),
            (None, Some(format)) => {
                let value = format.read(json)?;
                if fits(element_type(&self.ty), &value) {
                    return Ok(value);
                }
                Err(Unfit::new(json, expected(element_type(&self.ty))))
            }
            (None, None) => canonical(element_type(&self.ty), json),
        }
    }

    /// What the side is given for a canonical value; nothing for one that is left out.
    pub(crate) fn write(&self, value: &Value) -> Result<Option<Json>, Unfit> {
        match value {
            Value::Absent => Ok(self.null_as.clone()),
            Value::Null => Ok(Some(self.null_as.clone().unwrap_or(Json::Null))),
            one if self.pair.is_some() => self.write_by_expression(one).map(Some),
            Value::Set(elements) if matches!(self.ty, FieldType::Set(_)) => {
                let elements: Result<Vec<_>, _> = elements.iter().map(|e| self.write_one(e)).collect();
                Ok(Some(Json::Array(self.in_order(elements?))))
            }
            one => self.write_one(one).map(Some),
        }
    }

    /// Objects stand in the order of their keys.
    fn in_order(&self, mut elements: Vec<Json>) -> Vec<Json> {
        if let FieldType::Object(key) = element_type(&self.ty) {
            elements.sort_by_cached_key(|element| key.of_json(element));
        }
        elements
    }

    /// The same as JSON text at the end of `to`. Answers false for what is left out.
    pub(crate) fn write_text(&self, value: &Value, to: &mut Vec<u8>) -> Result<bool, Unfit> {
        let as_it_is = self.pair.is_none() && self.table.is_none() && self.format.is_none();
        // Writing to memory does not fail.
        match value {
            Value::Text(text) if as_it_is && fits(&self.ty, value) => {
                Ok(serde_json::to_writer(to, &**text).is_ok())
            }
            other => match self.write(other)? {
                Some(native) => Ok(serde_json::to_writer(to, &native).is_ok()),
                None => Ok(false),
            },
        }
    }

    fn write_by_expression(&self, value: &Value) -> Result<Json, Unfit> {
        let Some(pair) = self.pair.as_ref().filter(|_| fits(&self.ty, value)) else {
            return Err(Unfit::value(value, expected(&self.ty)));
        };
        pair.to.of(&plain(value)?).map_err(|why| Unfit::value(value, fitting("to", &why)))
    }

    fn write_one(&self, value: &Value) -> Result<Json, Unfit> {
        if *value == Value::Null {
            return Ok(Json::Null);
        }
        if !fits(element_type(&self.ty), value) {
            return Err(Unfit::value(value, expected(element_type(&self.ty))));
        }
        match (&self.table, &self.format) {
            (Some(table), _) => table.write(value),
            (None, Some(format)) => format.write(value),
            (None, None) => plain(value),
        }
    }

    /// What the side will show of `value`.
    pub(crate) fn image(&self, value: &Value) -> Value {
        if self.lossless {
            return value.clone();
        }
        match self.write(value) {
            Ok(Some(native)) => self.read(&native).unwrap_or_else(|_| value.clone()),
            Ok(None) => Value::Absent,
            Err(_) => value.clone(),
        }
    }

    /// The canonical value of which the side shows `view`, and that keeps of
    /// `source` what the side cannot hold.
    pub(crate) fn put(&self, view: &Value, source: &Value) -> Value {
        if self.lossless {
            return view.clone();
        }
        let image = self.image(source);
        if *view == image {
            return source.clone();
        }
        let kept = match (view, source, &image) {
            (Value::Datetime(view), Value::Datetime(source), Value::Datetime(image)) => {
                put_instant(*view, *source, *image)
            }
            (Value::Set(view), Value::Set(source), _) => Some(self.put_set(view, source)),
            _ => None,
        };
        // Only if the side then shows what it showed.
        kept.filter(|kept| self.image(kept) == *view).unwrap_or_else(|| view.clone())
    }

    /// Elements whose image is still shown stay as they were; the others are taken as shown.
    fn put_set(&self, view: &[Value], source: &[Value]) -> Value {
        let image_of = |element: &Value| match self.write_one(element).and_then(|json| self.read_one(&json)) {
            Ok(image) => normal(&self.normalize, image),
            Err(_) => element.clone(),
        };
        let known: Vec<(Value, &Value)> = source.iter().map(|e| (image_of(e), e)).collect();
        let kept =
            known.iter().filter(|(image, _)| view.binary_search(image).is_ok()).map(|(_, e)| (*e).clone());
        let new = view.iter().filter(|v| !known.iter().any(|(image, _)| image == *v)).cloned();
        Value::set(kept.chain(new))
    }
}

/// What an expression would have taken, in words.
fn fitting(key: &str, why: &str) -> String {
    let why: String = why.chars().take(200).map(|c| if c.is_control() { ' ' } else { c }).collect();
    format!("what `{key}` can be worked out of ({why})")
}

/// The part of the instant that the side does not hold, carried over.
fn put_instant(view: Time, source: Time, image: Time) -> Option<Value> {
    let moved = source.0.checked_sub(image.0).and_then(|rest| view.0.checked_add(rest));
    moved.map(|at| Value::Datetime(Time(at)))
}

/// The type of what stands in a set; of anything else the type itself.
fn element_type(ty: &FieldType) -> &FieldType {
    match ty {
        FieldType::Set(of) => of,
        other => other,
    }
}

/// Whether a canonical value is one of the type.
fn fits(ty: &FieldType, value: &Value) -> bool {
    match (ty, value) {
        (_, Value::Null | Value::Absent)
        | (FieldType::String | FieldType::Text, Value::Text(_))
        | (FieldType::Decimal, Value::Number(_))
        | (FieldType::Bool, Value::Bool(_))
        | (FieldType::Date, Value::Date(_))
        | (FieldType::Datetime, Value::Datetime(_))
        | (FieldType::Json, Value::Json(_)) => true,
        (FieldType::Integer, Value::Number(number)) => number.is_integer(),
        (FieldType::Enum(allowed), Value::Text(text)) => allowed.contains(text),
        (FieldType::Object(key), element @ Value::Json(_)) => key.of(element).is_some(),
        (FieldType::Set(of), Value::Set(elements)) => elements.iter().all(|e| fits(of, e)),
        _ => false,
    }
}

/// A canonical value in the form that every side without a format is given.
fn plain(value: &Value) -> Result<Json, Unfit> {
    Ok(match value {
        Value::Number(n) => number(n.as_str()).unwrap_or_else(|| Json::from(n.as_str())),
        Value::Json(text) => serde_json::from_str(text).map_err(|_| Unfit::value(value, "JSON"))?,
        other => other.to_json(),
    })
}
