//! `type:`, `of:`, `key:` and `values:` of a field.

use crate::node::{Kind, Node};
use crate::problem::{At, Problems, nearest};
use crate::section::{self, Section};
use hms_sync_mapping::FieldPath;
use hms_sync_model::{ElementKey, FieldType};
use std::sync::Arc;

/// Names of types in other products, with ours.
const TYPE_HINTS: &[(&str, &str)] = &[
    ("str", "string"),
    ("varchar", "string"),
    ("id", "string"),
    ("int", "integer"),
    ("number", "decimal"),
    ("float", "decimal"),
    ("double", "decimal"),
    ("money", "decimal"),
    ("boolean", "bool"),
    ("timestamp", "datetime"),
    ("time", "datetime"),
    ("instant", "datetime"),
    ("day", "date"),
    ("array", "set"),
    ("list", "set"),
    ("object", "json"),
    ("map", "json"),
    ("any", "json"),
    ("choice", "enum"),
    ("select", "enum"),
];

const TYPES: &[&str] =
    &["string", "text", "integer", "decimal", "bool", "date", "datetime", "enum", "set", "json"];

/// Takes a field's type out of its entry.
pub(crate) fn read(map: &mut Section<'_>, problems: &mut Problems<'_>) -> Option<FieldType> {
    let what = map.name().to_owned();
    let node = map.require("type", problems);
    let (of, values) = (map.take("of", problems), map.take("values", problems));
    let key = map.take("key", problems);
    let node = node?;
    let name = section::text(node, &format!("the type of {what}"), problems)?;
    let allowed = values.map(|node| (node.at, words(node, &what, problems)));
    let holds_enum = name == "enum"
        || name == "set" && matches!(of, Some(Node { kind: Kind::Text(t), .. }) if t == "enum");
    if let Some((at, _)) = allowed.as_ref().filter(|_| !holds_enum && TYPES.contains(&name)) {
        problems.add_hint(
            *at,
            format!("{what} has `values`, but is {name}"),
            "`values` here is the list of an enum; a side's words stand at the side",
        );
    }
    if let Some(of) = of.filter(|_| name != "set" && TYPES.contains(&name)) {
        problems.add(of.at, format!("{what} has `of`, but is no set"));
    }
    if let Some(key) = key.filter(|_| name != "set" && TYPES.contains(&name)) {
        let message = format!("{what} has `key`, but is no set");
        problems.add_hint(key.at, message, "a key says what the objects of a set are known by: type: set");
    }
    let allowed = allowed.map(|(_, words)| words);
    match name {
        "set" if key.is_some() => element_key(key?, of, &what, problems),
        "set" => {
            let Some(of) = of else { return Some(FieldType::Set(Box::new(FieldType::String))) };
            let name = section::text(of, &format!("`of` of {what}"), problems)?;
            Some(FieldType::Set(Box::new(simple_type(name, of.at, &what, allowed, problems)?)))
        }
        name => simple_type(name, node.at, &what, allowed, problems),
    }
}

/// A set of objects that are known by their key: a member of theirs, or a path to one.
fn element_key(key: &Node, of: Option<&Node>, what: &str, problems: &mut Problems<'_>) -> Option<FieldType> {
    let plain = |node: &&Node| !matches!(&node.kind, Kind::Text(name) if name == "json");
    if let Some(of) = of.filter(plain) {
        let message = format!("`of` of {what}: elements with a `key` are objects, this is {}", of.describe());
        problems.add_hint(of.at, message, "leave out one of the two");
    }
    let path: FieldPath = section::parsed(key, &format!("`key` of {what}"), problems)?;
    Some(FieldType::Set(Box::new(FieldType::Object(ElementKey::new(path.parts())))))
}

fn simple_type(
    name: &str,
    at: At,
    what: &str,
    allowed: Option<Vec<Arc<str>>>,
    problems: &mut Problems<'_>,
) -> Option<FieldType> {
    Some(match name {
        "string" => FieldType::String,
        "text" => FieldType::Text,
        "integer" => FieldType::Integer,
        "decimal" => FieldType::Decimal,
        "bool" => FieldType::Bool,
        "date" => FieldType::Date,
        "datetime" => FieldType::Datetime,
        "json" => FieldType::Json,
        "enum" => {
            if allowed.is_none() {
                problems.add_hint(
                    at,
                    format!("{what} is an enum without `values`"),
                    "list them: values: [pending, approved]",
                );
            }
            FieldType::Enum(allowed.filter(|words| !words.is_empty())?)
        }
        "set" => {
            problems.add_hint(at, format!("{what} is a set of sets"), "use `json` for the whole");
            return None;
        }
        other => {
            let known = TYPE_HINTS.iter().find(|(theirs, _)| theirs.eq_ignore_ascii_case(other));
            let hint = known.map_or_else(
                || nearest(other, TYPES.iter().copied()),
                |(_, ours)| format!("did you mean `{ours}`?"),
            );
            let other: String = other.chars().take(60).collect();
            problems.add_hint(at, format!("{what} cannot be of type `{other}`"), hint);
            return None;
        }
    })
}

/// The words of an enum; none if something is wrong with them, which is said.
fn words(node: &Node, what: &str, problems: &mut Problems<'_>) -> Vec<Arc<str>> {
    let mut words: Vec<Arc<str>> = Vec::new();
    let Some(nodes) = section::list(node, &format!("`values` of {what}"), problems) else { return words };
    for node in nodes {
        let Some(word) = section::text(node, &format!("a value of {what}"), problems) else { continue };
        if words.iter().any(|known| **known == *word) {
            problems.add(node.at, format!("{what} lists `{word}` twice"));
            continue;
        }
        words.push(word.into());
    }
    if nodes.is_empty() {
        problems.add(node.at, format!("`values` of {what} names no value"));
    }
    words
}
