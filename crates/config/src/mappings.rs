//! A field on one side: its path, or a map of path, direction, words and format.

use crate::fields::Place;
use crate::node::{Entry, Kind, Node};
use crate::problem::{At, Problems, nearest};
use crate::section::{self, Section};
use hms_sync_mapping::{Direction, Expressions, FieldMapping, FieldPath, ValueMap, from_text};
use hms_sync_model::{FieldName, FieldType, SideName, Value};
use serde_json::Value as Json;

/// Reads a field's place on `side`. Without a type only what does not depend
/// on one is checked, and nothing comes out.
pub(crate) fn read(
    entry: &Entry,
    field: &FieldName,
    side: &SideName,
    ty: Option<&FieldType>,
    problems: &mut Problems<'_>,
) -> Option<Place> {
    let node = &entry.value;
    let what = format!("field `{field}` on `{side}`");
    let (mapping, fills_blank, samples) = match &node.kind {
        Kind::Text(_) => {
            let path = section::parsed(node, &format!("the path of {what}"), problems)?;
            (FieldMapping::plain(field.clone(), ty?.clone(), path), false, Vec::new())
        }
        Kind::Map(_) => mapping(Section::open(node, what, problems)?, field, ty, problems)?,
        Kind::Spoilt => return None,
        _ => {
            problems.add(entry.at, format!("{what} must be a path or a map, this is {}", node.describe()));
            return None;
        }
    };
    Some(Place { at: node.at, side: side.clone(), mapping, fills_blank, samples })
}

const DIRECTIONS: &[(&str, Direction)] =
    &[("both", Direction::Both), ("to_side", Direction::ToSide), ("from_side", Direction::FromSide)];

fn mapping(
    mut map: Section<'_>,
    field: &FieldName,
    ty: Option<&FieldType>,
    problems: &mut Problems<'_>,
) -> Option<(FieldMapping, bool, Vec<Value>)> {
    let before = problems.count();
    let what = map.name().to_owned();
    let path: Option<FieldPath> = map
        .require("path", problems)
        .and_then(|node| section::parsed(node, &format!("the path of {what}"), problems));
    let direction = map
        .take("direction", problems)
        .and_then(|node| section::choice(node, "`direction`", DIRECTIONS, problems));
    let format = map.take("format", problems).and_then(|node| section::text(node, "`format`", problems));
    let null_as = map.take("null_as", problems).and_then(|node| scalar(node, "`null_as`", problems));
    let fills = map
        .take("fills_blank", problems)
        .and_then(|node| section::yes_no(node, &format!("`fills_blank` of {what}"), problems));
    let values = map.take("values", problems);
    let otherwise = map.take("otherwise", problems);
    if let Some(otherwise) = otherwise.filter(|_| values.is_none()) {
        problems.add(otherwise.at, format!("`otherwise` of {what} goes with `values`"));
    }
    let values = values.and_then(|node| value_map(node, otherwise, &what, ty, problems));
    let (to, from) = (map.take("to", problems), map.take("from", problems));
    let samples = map.take("samples", problems);
    let pair = expressions([to, from], samples, &what, map.at(), problems);
    let samples = samples.zip(ty).map(|(node, ty)| self::samples(node, &what, ty, problems));
    map.finish(problems);
    let mapping = FieldMapping {
        field: field.clone(),
        ty: ty?.clone(),
        path: path?,
        direction: direction.unwrap_or_default(),
        values,
        format: format.map(str::to_owned),
        null_as,
        normalize: Vec::new(),
        expressions: pair,
    };
    (problems.count() == before).then_some((mapping, fills.unwrap_or(false), samples.unwrap_or_default()))
}

/// `to` and `from`, which come together and with samples to try them on.
fn expressions(
    pair: [Option<&Node>; 2],
    samples: Option<&Node>,
    what: &str,
    at: At,
    problems: &mut Problems<'_>,
) -> Option<Expressions> {
    let [to, from] = match (pair, samples) {
        ([None, None], None) => return None,
        ([None, None], Some(samples)) => {
            problems.add(samples.at, format!("`samples` of {what} go with `to` and `from`"));
            return None;
        }
        ([Some(to), Some(from)], Some(_)) => [to, from],
        ([Some(_), Some(_)], None) => {
            let hint = "some values of ours that must come back as they are: samples: [1, 12.5]";
            problems.add_hint(at, format!("`to` and `from` of {what} need `samples`"), hint);
            return None;
        }
        ([Some(alone), None] | [None, Some(alone)], _) => {
            let hint = "what one writes the other must read: give both";
            problems.add_hint(alone.at, format!("{what} has only one of `to` and `from`"), hint);
            return None;
        }
    };
    let text = |node, key, problems: &mut Problems<'_>| section::text(node, key, problems).map(str::to_owned);
    Some(Expressions { to: text(to, "`to`", problems)?, from: text(from, "`from`", problems)? })
}

/// Values of the field that must come back as they are.
fn samples(node: &Node, what: &str, ty: &FieldType, problems: &mut Problems<'_>) -> Vec<Value> {
    let Some(nodes) = section::list(node, &format!("`samples` of {what}"), problems) else {
        return Vec::new();
    };
    if nodes.is_empty() {
        problems.add(node.at, format!("`samples` of {what} names no value"));
    }
    let what = format!("a sample of {what}");
    nodes.iter().filter_map(|node| crate::cases::value(node, ty, &what, problems)).collect()
}

fn value_map(
    node: &Node,
    otherwise: Option<&Node>,
    what: &str,
    ty: Option<&FieldType>,
    problems: &mut Problems<'_>,
) -> Option<ValueMap> {
    let mut map = Section::open(node, format!("`values` of {what}"), problems)?;
    let mut values = ValueMap::default();
    for entry in map.rest() {
        let native = match entry.value.kind {
            Kind::Null => Some(Json::Null),
            _ => scalar(&entry.value, &format!("the word for `{}`", entry.key), problems),
        };
        listed(entry, what, ty, problems);
        let native = native?;
        if let Some((first, _)) = values.pairs.iter().find(|(_, other)| *other == native) {
            let message = format!(
                "`{first}` and `{}` of {what} are both {native} there, so it could not be read back",
                entry.key
            );
            problems.add_hint(
                entry.value.at,
                message,
                "leave one out and say with `otherwise: { to: … }` what becomes of it",
            );
        }
        values.pairs.push((entry.key.clone(), native));
    }
    if let Some(otherwise) = otherwise {
        let mut map = Section::open(otherwise, format!("`otherwise` of {what}"), problems)?;
        values.otherwise_to = map.take("to", problems).and_then(|node| scalar(node, "`to`", problems));
        let from = map.take("from", problems).and_then(|node| scalar(node, "`from`", problems));
        values.otherwise_from =
            from.map(|json| json.as_str().map_or_else(|| json.to_string(), str::to_owned));
        map.finish(problems);
    }
    Some(values)
}

/// A value map's key must be a value of the field, or of its elements.
fn listed(entry: &Entry, what: &str, ty: Option<&FieldType>, problems: &mut Problems<'_>) {
    let ty = match ty {
        Some(FieldType::Set(of)) => of,
        Some(ty) => ty,
        None => return,
    };
    let Err(why) = from_text(ty, &entry.key) else { return };
    let shown: String = entry.key.chars().take(60).collect();
    let message =
        format!("`{shown}` in `values` of {what} is no value of the field: expected {}", why.expected);
    let hint = match ty {
        FieldType::Enum(allowed) => Some(nearest(&entry.key, allowed.iter().map(|a| &**a))),
        _ => None,
    };
    problems.push(entry.at, message, hint);
}

/// Text, a number, true or false, as the side writes it.
fn scalar(node: &Node, what: &str, problems: &mut Problems<'_>) -> Option<Json> {
    match &node.kind {
        Kind::Text(text) => Some(Json::from(text.as_str())),
        Kind::Number(number) => Some(Json::Number(number.clone())),
        Kind::Bool(b) => Some(Json::Bool(*b)),
        Kind::Spoilt => None,
        _ => {
            problems.add(
                node.at,
                format!("{what} must be text, a number, true or false, this is {}", node.describe()),
            );
            None
        }
    }
}
