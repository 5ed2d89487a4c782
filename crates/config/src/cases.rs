//! `tests:` of a collection: what people do, and what is to come of it. Read as strictly
//! as the rest, so that a test never passes because a name in it was misspelt.

use crate::fields::{Field, Fields};
use crate::node::{Entry, Kind, Node};
use crate::problem::{At, Problems, nearest};
use crate::section::{self, Section};
use crate::types::{Deed, Expect, ExpectedConflict, ExpectedMerge, ExpectedWrite, Step, TestCase, Who};
use hms_sync_mapping::{Direction, canonical};
use hms_sync_model::{FieldMap, FieldType, SideName, Value};
use serde_json::{Map, Value as Json};

/// What may be named in a test.
#[derive(Clone, Copy)]
struct Scope<'a> {
    fields: &'a Fields,
    sides: &'a [SideName],
}

/// What a field is named for, on which side.
#[derive(Clone, Copy)]
enum On<'a> {
    /// Anywhere.
    All,
    /// Somebody on the side sets it.
    Set(&'a SideName),
    /// It is written to the side.
    Written(&'a SideName),
}

/// The kinds of conflict that a test can expect.
const KINDS: &[(&str, &str)] =
    &[("edit_edit", "edit_edit"), ("edit_delete", "edit_delete"), ("create_create", "create_create")];

/// Reads `tests:`.
pub(crate) fn read(
    node: &Node,
    fields: &Fields,
    sides: &[SideName],
    problems: &mut Problems<'_>,
) -> Vec<TestCase> {
    let scope = Scope { fields, sides };
    let Some(mut map) = Section::open(node, "`tests`", problems) else { return Vec::new() };
    map.rest().into_iter().filter_map(|entry| one(entry, scope, problems)).collect()
}

fn one(entry: &Entry, scope: Scope<'_>, problems: &mut Problems<'_>) -> Option<TestCase> {
    let name: String = entry.key.chars().take(200).collect();
    let what = format!("test `{name}`");
    let mut map = Section::open(&entry.value, what.clone(), problems)?;
    let only = map.take("only", problems).and_then(|node| section::yes_no(node, "`only`", problems));
    let base = map.take("base", problems);
    let base = base.map(|node| values(node, &format!("`base` of {what}"), On::All, scope, problems));
    let edits = map.take("edits", problems);
    let expect = map.require("expect", problems);
    let known = map.known().to_vec();
    let mut steps = Vec::new();
    for entry in map.rest() {
        let Some(who) = who(entry, &what, &known, scope, problems) else { continue };
        if edits.is_some() {
            problems.add(entry.at, format!("{what} has `edits`, so who does what stands there"));
        }
        steps.extend(deeds(&entry.value, &who, &what, scope, problems));
    }
    if let Some(node) = edits {
        steps = in_order(node, &what, scope, problems);
    }
    if steps.is_empty() {
        problems.add_hint(
            entry.at,
            format!("nobody does anything in {what}"),
            "as `clerk: { status: revoked }`",
        );
    }
    let expect = expect.and_then(|node| self::expect(node, &what, scope, problems))?;
    let base = match base {
        Some(base) => Some(base?),
        None => None,
    };
    Some(TestCase { line: entry.at.line, name, only: only.unwrap_or(false), base, steps, expect })
}

/// Who does something: a side, or the operator.
fn who(
    entry: &Entry,
    what: &str,
    known: &[&'static str],
    scope: Scope<'_>,
    problems: &mut Problems<'_>,
) -> Option<Who> {
    if let Some(side) = scope.sides.iter().find(|side| side.as_str() == entry.key) {
        return Some(Who::Side(side.clone()));
    }
    if entry.key == "operator" {
        return Some(Who::Operator);
    }
    let names = scope.sides.iter().map(SideName::as_str).chain(["operator"]).chain(known.iter().copied());
    let shown: String = entry.key.chars().take(60).collect();
    let message = format!("`{shown}` in {what} is neither a key nor a side of this collection");
    problems.add_hint(entry.at, message, nearest(&entry.key, names));
    None
}

/// Edits one after the other; between two syncs they know nothing of each other.
fn in_order(node: &Node, what: &str, scope: Scope<'_>, problems: &mut Problems<'_>) -> Vec<Step> {
    let Some(nodes) = section::list(node, &format!("`edits` of {what}"), problems) else { return Vec::new() };
    let mut steps = Vec::new();
    for node in nodes {
        if matches!(&node.kind, Kind::Text(text) if text == "sync") {
            steps.push(Step::Sync);
            continue;
        }
        let Some(mut map) = Section::open(node, format!("an edit of {what}"), problems) else { continue };
        if let Some(node) = map.take("sync", problems) {
            if section::yes_no(node, "`sync`", problems) == Some(true) {
                steps.push(Step::Sync);
            }
            map.finish(problems);
            continue;
        }
        for entry in map.rest() {
            let Some(who) = who(entry, what, &["sync"], scope, problems) else { continue };
            steps.extend(deeds(&entry.value, &who, what, scope, problems));
        }
    }
    steps
}

/// What somebody does: one thing, or several in a list.
fn deeds(node: &Node, who: &Who, what: &str, scope: Scope<'_>, problems: &mut Problems<'_>) -> Vec<Step> {
    let nodes = match &node.kind {
        Kind::List(nodes) => nodes.as_slice(),
        _ => std::slice::from_ref(node),
    };
    let deed = |node: &Node| Some(Step::Do(who.clone(), deed(node, who, what, scope, problems)?));
    nodes.iter().filter_map(deed).collect()
}

fn deed(node: &Node, who: &Who, what: &str, scope: Scope<'_>, problems: &mut Problems<'_>) -> Option<Deed> {
    let (name, on) = match who {
        Who::Side(side) => (side.as_str(), On::Set(side)),
        Who::Operator => ("operator", On::All),
    };
    let what = format!("`{name}` of {what}");
    match &node.kind {
        Kind::Text(text) if text == "delete" => Some(Deed::Delete),
        Kind::Map(_) => match raw(node, scope) {
            Some(doc) if matches!(who, Who::Side(_)) => document(doc, &what, problems).map(Deed::Raw),
            _ => values(node, &what, on, scope, problems).map(Deed::Fields),
        },
        Kind::Spoilt => None,
        _ => {
            let message =
                format!("{what} must be fields with values, or `delete`; this is {}", node.describe());
            problems.add(node.at, message);
            None
        }
    }
}

/// The document of `{ raw: … }`, unless there is a field of that name.
fn raw<'n>(node: &'n Node, scope: Scope<'_>) -> Option<&'n Node> {
    let field = scope.fields.all.iter().any(|field| field.name.as_str() == "raw");
    match &node.kind {
        Kind::Map(entries) if entries.len() == 1 && !field => node.get("raw"),
        _ => None,
    }
}

fn document(node: &Node, what: &str, problems: &mut Problems<'_>) -> Option<Json> {
    let found = json(node);
    if !matches!(found, Some(Json::Object(_)) | None) {
        problems.add(node.at, format!("`raw` of {what} must be a map, as the side has it"));
        return None;
    }
    found
}

/// A part of the file as JSON; nothing if something in it is wrong, which is said.
fn json(node: &Node) -> Option<Json> {
    Some(match &node.kind {
        Kind::Null => Json::Null,
        Kind::Bool(b) => Json::Bool(*b),
        Kind::Number(number) => Json::Number(number.clone()),
        Kind::Text(text) => Json::String(text.clone()),
        Kind::List(nodes) => Json::Array(nodes.iter().map(json).collect::<Option<_>>()?),
        Kind::Map(entries) => {
            let members = entries.iter().map(|entry| Some((entry.key.clone(), json(&entry.value)?)));
            Json::Object(members.collect::<Option<Map<_, _>>>()?)
        }
        Kind::Spoilt => return None,
    })
}

/// Fields with canonical values.
fn values(
    node: &Node,
    what: &str,
    on: On<'_>,
    scope: Scope<'_>,
    problems: &mut Problems<'_>,
) -> Option<FieldMap> {
    let before = problems.count();
    let mut map = Section::open(node, what, problems)?;
    let mut found = FieldMap::new();
    for entry in map.rest() {
        let Some(field) = field(&entry.key, entry.at, what, scope, problems) else { continue };
        place(field, entry.at, what, on, problems);
        if let Some(value) = value(&entry.value, &field.ty, &format!("`{}` in {what}", field.name), problems)
        {
            found.insert(field.name.clone(), value);
        }
    }
    (problems.count() == before).then_some(found)
}

fn field<'f>(
    name: &str,
    at: At,
    what: &str,
    scope: Scope<'f>,
    problems: &mut Problems<'_>,
) -> Option<&'f Field> {
    let field = scope.fields.all.iter().find(|field| field.name.as_str() == name);
    if field.is_none() && !scope.fields.is_broken(name) {
        let shown: String = name.chars().take(60).collect();
        let hint = nearest(name, scope.fields.all.iter().map(|field| field.name.as_str()));
        problems.add_hint(at, format!("`{shown}` in {what} is no field"), hint);
    }
    field
}

/// Nobody on a side can set what the side does not have, and nothing is written there that
/// is only read.
fn place(field: &Field, at: At, what: &str, on: On<'_>, problems: &mut Problems<'_>) {
    let (side, written) = match on {
        On::All => return,
        On::Set(side) => (side, false),
        On::Written(side) => (side, true),
    };
    let name = &field.name;
    match field.places.iter().find(|place| place.side == *side) {
        None if field.broken.contains(side) => {}
        None => problems.add(at, format!("`{name}` in {what}: `{side}` has no such field")),
        Some(place) if written && place.mapping.direction == Direction::FromSide => {
            problems.add(at, format!("`{name}` in {what}: the field is never written to `{side}`"));
        }
        Some(_) => {}
    }
}

/// A canonical value of a field.
pub(crate) fn value(node: &Node, ty: &FieldType, what: &str, problems: &mut Problems<'_>) -> Option<Value> {
    let json = json(node)?;
    match canonical(ty, &json) {
        Ok(value) => Some(value),
        Err(why) => {
            let scalar = matches!(json, Json::Number(_) | Json::Bool(_));
            let textual = matches!(ty, FieldType::String | FieldType::Text);
            let hint = match ty {
                FieldType::Enum(allowed) => {
                    Some(nearest(json.as_str().unwrap_or_default(), allowed.iter().map(|a| &**a)))
                }
                _ => (scalar && textual).then(|| "put it in quotes".to_owned()),
            };
            let message =
                format!("{what}: {} is no value of this field: expected {}", node.describe(), why.expected);
            problems.push(node.at, message, hint);
            None
        }
    }
}

fn expect(node: &Node, what: &str, scope: Scope<'_>, problems: &mut Problems<'_>) -> Option<Expect> {
    let before = problems.count();
    let what = format!("`expect` of {what}");
    let mut map = Section::open(node, what.clone(), problems)?;
    let merged = map.take("merged", problems);
    let merged = merged.and_then(|node| self::merged(node, &what, scope, problems));
    let writes = map.take("writes", problems);
    let writes = writes.map(|node| self::writes(node, &what, scope, problems)).unwrap_or_default();
    let conflicts = map.take("conflicts", problems);
    let conflicts = conflicts.and_then(|node| self::conflicts(node, &what, scope, problems));
    map.finish(problems);
    let expect = Expect { merged, writes, conflicts };
    if problems.count() == before && expect == Expect::default() {
        problems.add_hint(node.at, format!("{what} is empty"), "name `merged`, `writes` or `conflicts`");
    }
    (problems.count() == before).then_some(expect)
}

fn merged(node: &Node, what: &str, scope: Scope<'_>, problems: &mut Problems<'_>) -> Option<ExpectedMerge> {
    let what = format!("`merged` in {what}");
    match &node.kind {
        Kind::Text(_) => {
            section::choice(node, &what, &[("deleted", ())], problems).map(|()| ExpectedMerge::Deleted)
        }
        _ => values(node, &what, On::All, scope, problems).map(ExpectedMerge::Fields),
    }
}

fn writes(
    node: &Node,
    what: &str,
    scope: Scope<'_>,
    problems: &mut Problems<'_>,
) -> Vec<(SideName, ExpectedWrite)> {
    let what = format!("`writes` in {what}");
    let Some(mut map) = Section::open(node, what.clone(), problems) else { return Vec::new() };
    let mut found = Vec::new();
    for entry in map.rest() {
        let Some(side) = scope.sides.iter().find(|side| side.as_str() == entry.key) else {
            let shown: String = entry.key.chars().take(60).collect();
            let hint = nearest(&entry.key, scope.sides.iter().map(SideName::as_str));
            problems.add_hint(entry.at, format!("`{shown}` in {what} is no side of this collection"), hint);
            continue;
        };
        if let Some(write) = write(&entry.value, side, &what, scope, problems) {
            found.push((side.clone(), write));
        }
    }
    found
}

fn write(
    node: &Node,
    side: &SideName,
    what: &str,
    scope: Scope<'_>,
    problems: &mut Problems<'_>,
) -> Option<ExpectedWrite> {
    let what = format!("`{side}` in {what}");
    if matches!(node.kind, Kind::Text(_)) {
        let words = [("none", false), ("delete", true)];
        let deletes = section::choice(node, &what, &words, problems)?;
        return Some(if deletes { ExpectedWrite::Delete } else { ExpectedWrite::Nothing });
    }
    if let Some(doc) = raw(node, scope) {
        return document(doc, &what, problems).map(ExpectedWrite::Raw);
    }
    let fields = values(node, &what, On::Written(side), scope, problems)?;
    if fields.is_empty() {
        problems.add_hint(node.at, format!("{what} names no field"), "`none` says that nothing is written");
        return None;
    }
    Some(ExpectedWrite::Fields(fields))
}

fn conflicts(
    node: &Node,
    what: &str,
    scope: Scope<'_>,
    problems: &mut Problems<'_>,
) -> Option<Vec<ExpectedConflict>> {
    let what = format!("`conflicts` in {what}");
    let before = problems.count();
    let nodes = section::list(node, &what, problems)?;
    let found = nodes.iter().filter_map(|node| conflict(node, &what, scope, problems)).collect();
    (problems.count() == before).then_some(found)
}

/// A field, or `record`; alone, or with what is to be known of the conflict.
fn conflict(
    node: &Node,
    what: &str,
    scope: Scope<'_>,
    problems: &mut Problems<'_>,
) -> Option<ExpectedConflict> {
    let blank = |field: Option<&Field>| ExpectedConflict {
        field: field.map(|field| field.name.clone()),
        kind: None,
        value: None,
        rule: None,
        losers: Vec::new(),
    };
    if !matches!(node.kind, Kind::Map(_)) {
        let name = section::text(node, &format!("a conflict of {what}"), problems)?;
        return Some(blank(about(name, node, what, scope, problems)?));
    }
    let mut map = Section::open(node, format!("a conflict of {what}"), problems)?;
    let named = map.require("field", problems);
    let kind = map.take("kind", problems);
    let kind = kind.and_then(|node| section::choice(node, "`kind`", KINDS, problems));
    let rule = map.take("rule", problems).and_then(|node| section::text(node, "`rule`", problems));
    let (value, losers) = (map.take("value", problems), map.take("losers", problems));
    map.finish(problems);
    let named = named?;
    let field = about(section::text(named, "`field`", problems)?, named, what, scope, problems)?;
    let mut found = blank(field);
    found.kind = kind.map(str::to_owned);
    found.rule = rule.map(str::to_owned);
    // Of a record it is in words whether it is there.
    let ty = field.map_or(FieldType::String, |field| field.ty.clone());
    found.value = value.and_then(|node| self::value(node, &ty, "`value`", problems));
    found.losers = losers.map(|node| self::losers(node, &ty, scope, problems)).unwrap_or_default();
    Some(found)
}

/// The field that a conflict is about; `record` is about whether the record is there.
#[expect(clippy::option_option, reason = "no field is an answer, and a mistake is none")]
fn about<'f>(
    name: &str,
    node: &Node,
    what: &str,
    scope: Scope<'f>,
    problems: &mut Problems<'_>,
) -> Option<Option<&'f Field>> {
    let is_field = scope.fields.all.iter().any(|field| field.name.as_str() == name);
    if name == "record" && !is_field {
        return Some(None);
    }
    field(name, node.at, what, scope, problems).map(Some)
}

fn losers(
    node: &Node,
    ty: &FieldType,
    scope: Scope<'_>,
    problems: &mut Problems<'_>,
) -> Vec<(SideName, Value)> {
    let Some(mut map) = Section::open(node, "`losers`", problems) else { return Vec::new() };
    let mut found = Vec::new();
    for entry in map.rest() {
        let Some(Who::Side(side)) = who(entry, "`losers`", &[], scope, problems) else { continue };
        let what = format!("`{side}` in `losers`");
        found.extend(value(&entry.value, ty, &what, problems).map(|value| (side, value)));
    }
    found
}
