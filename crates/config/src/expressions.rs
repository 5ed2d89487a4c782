//! Expressions: compiled and tried on made-up values before anything is synced,
//! so that a mistake is found here and not in the night.

use crate::node::Node;
use crate::policies::Scope;
use crate::problem::Problems;
use crate::section;
use hms_sync_model::{Actor, Change, Date, Dot, ElementKey, FieldType, SideName, Stamp, Time, Value};
use hms_sync_resolver::{Expression, ExpressionError, Sibling};

/// Reads the expression of `resolve`, over siblings of the field's type.
pub(crate) fn of_siblings(
    node: &Node,
    what: &str,
    scope: Scope<'_>,
    problems: &mut Problems<'_>,
) -> Option<Expression> {
    let ty = scope.ty?;
    let source = section::text(node, what, problems)?;
    let expression = told(Expression::of_siblings(source), node, source, what, problems)?;
    let tried = tries(ty, scope.sides).into_iter().map(|(one, other)| expression.choose(ty, &[&one, &other]));
    works(tried.map(|result| result.map(drop)), node, source, what, problems)?;
    Some(expression)
}

/// Reads an expression over the values of fields, and tries it with `with`.
pub(crate) fn of_fields(
    node: &Node,
    what: &str,
    names: &[&str],
    with: impl Fn(&Expression, &[(&str, &Value)]) -> Result<(), ExpressionError>,
    types: &[(&str, &FieldType)],
    problems: &mut Problems<'_>,
) -> Option<Expression> {
    let source = section::text(node, what, problems)?;
    let expression = told(Expression::compile(source, names), node, source, what, problems)?;
    let tried: Vec<_> = (0..3)
        .map(|n| {
            let values: Vec<(&str, Value)> = types.iter().map(|(name, ty)| (*name, nth(ty, n))).collect();
            let given: Vec<(&str, &Value)> = values.iter().map(|(name, value)| (*name, value)).collect();
            with(&expression, &given)
        })
        .collect();
    works(tried.into_iter(), node, source, what, problems)?;
    Some(expression)
}

/// One of a few made-up values.
fn nth(ty: &FieldType, n: usize) -> Value {
    if n == 2 { Value::Null } else { samples(ty).into_iter().nth(n).unwrap_or_default() }
}

/// What comes out, or a problem with its place.
fn told<T>(
    result: Result<T, ExpressionError>,
    node: &Node,
    source: &str,
    what: &str,
    problems: &mut Problems<'_>,
) -> Option<T> {
    match result {
        Ok(value) => Some(value),
        Err(why) => {
            tell(&why, "", node, source, what, problems);
            None
        }
    }
}

fn tell(
    why: &ExpressionError,
    tried: &str,
    node: &Node,
    source: &str,
    what: &str,
    problems: &mut Problems<'_>,
) {
    let ExpressionError { words, detail, line, column } = why;
    let detail = detail.as_ref().filter(|detail| *detail != words).map(|d| format!(": {d}"));
    let place = if source.contains('\n') {
        format!("line {line}, column {column}")
    } else {
        format!("column {column}")
    };
    let at = problems.inside(node.at, source, *line, *column);
    let message = format!("{what}: {tried}{words}{} ({place} of it)", detail.unwrap_or_default());
    let hint = "docs/reference/fields.md says what an expression may name, and shows some";
    problems.add_hint(at, message, hint);
}

/// Some of the tries must do: an expression may well be for some values only.
fn works(
    mut tried: impl Iterator<Item = Result<(), ExpressionError>>,
    node: &Node,
    source: &str,
    what: &str,
    problems: &mut Problems<'_>,
) -> Option<()> {
    let Some(Err(first)) = tried.next() else { return Some(()) };
    if tried.any(|result| result.is_ok()) {
        return Some(());
    }
    tell(&first, "tried on made-up values, ", node, source, what, problems);
    None
}

/// Pairs of concurrent edits with values of the type.
fn tries(ty: &FieldType, sides: &[SideName]) -> Vec<(Sibling, Sibling)> {
    let all = samples(ty);
    let edit = |side: Option<&SideName>, value: &Value, at: i64| {
        let side = side.or(sides.first())?;
        Some(Sibling {
            dot: Dot { actor: Actor::side(side.clone()), n: 1 },
            change: Change { before: Value::Null, after: value.clone() },
            stamp: Stamp::at(Time(at)),
        })
    };
    let pair = |(one, other): (&Value, &Value)| {
        Some((edit(sides.first(), one, 1_000_000)?, edit(sides.last(), other, 2_000_000)?))
    };
    all.iter().zip(all.iter().skip(1)).filter_map(pair).collect()
}

/// Made-up values of a type, each different from the next.
fn samples(ty: &FieldType) -> Vec<Value> {
    let number = |n: i64| Value::from(n);
    match ty {
        FieldType::String | FieldType::Text => {
            ["12", "7", "some text", "other text"].map(Value::from).to_vec()
        }
        FieldType::Integer | FieldType::Decimal => [12, 7, 1].map(number).to_vec(),
        FieldType::Bool => vec![Value::Bool(true), Value::Bool(false)],
        FieldType::Date => [20_000, 20_001].map(|day| Value::Date(Date(day))).to_vec(),
        FieldType::Datetime => [1_000_000, 2_000_000].map(|at| Value::Datetime(Time(at))).to_vec(),
        FieldType::Enum(words) => {
            let all: Vec<Value> = words.iter().map(|word| Value::Text(word.clone())).collect();
            if all.len() == 1 { [all, vec![Value::Null]].concat() } else { all }
        }
        FieldType::Set(of) => {
            let elements = samples(of);
            let without = elements.iter().skip(1).cloned();
            vec![Value::set(without), Value::set(elements.iter().take(1).cloned())]
        }
        FieldType::Object(key) => [1, 2].map(|n| object(key, n)).to_vec(),
        FieldType::Json => ["12", "7", "\"text\"", "{\"a\":1}", "{\"a\":2}", "[1]"]
            .map(|text| Value::Json(text.into()))
            .to_vec(),
    }
}

/// An object with that key, and nothing else.
fn object(key: &ElementKey, n: u8) -> Value {
    let text = key.parts().rev().fold(n.to_string(), |inner, part| format!("{{{part:?}:{inner}}}"));
    Value::Json(text.into())
}
