//! What the records of a listing look like: where they are, what tells them
//! apart, what grows with each change, what is in them.

use super::usable;
use serde_json::{Map, Value as Json};
use std::collections::{BTreeMap, BTreeSet};

/// So deep is a listing looked for in an answer.
const MAX_DEPTH: usize = 3;
/// The most fields that are proposed.
const MAX_FIELDS: usize = 200;

/// What records look like.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shape {
    /// The members to step into, from the answer to the listing.
    pub list: Vec<String>,
    /// How many records were seen.
    pub seen: usize,
    /// The field that tells them apart.
    pub id: String,
    /// A second one, if only both together do.
    pub id_with: Option<String>,
    /// A field that people know a record by, if one is as telling as the id.
    pub natural: Option<String>,
    /// The field that grows with each change.
    pub cursor: Option<String>,
    /// The field with a version.
    pub version: Option<String>,
    /// Fields and their types, in the order of the records.
    pub fields: Vec<(String, &'static str)>,
}

impl Shape {
    /// Whether a field is the side's own business: its id, its times, its version.
    pub fn known(&self, field: &str) -> bool {
        let own = [Some(&self.id), self.id_with.as_ref(), self.cursor.as_ref(), self.version.as_ref()];
        own.into_iter().flatten().any(|known| known == field)
            || matches!(
                plain(field).as_str(),
                "createdat" | "created" | "createdon" | "etag" | "self" | "links"
            )
    }
}

/// The shape of an answer; nothing if it holds no listing of records.
pub fn shape(body: &Json) -> Option<Shape> {
    let (list, records) = listing(body, 0)?;
    let records: Vec<&Map<String, Json>> = records.iter().filter_map(Json::as_object).collect();
    let mut fields: Vec<String> = Vec::new();
    for record in &records {
        for field in record.keys().filter(|field| !field.starts_with("_links") && usable(field)) {
            if fields.len() < MAX_FIELDS && !fields.contains(field) {
                fields.push(field.clone());
            }
        }
    }
    let telling: Vec<&String> = fields.iter().filter(|field| tells_apart(&records, field)).collect();
    let (id, id_with) = match telling.iter().max_by_key(|field| idlike(field)) {
        Some(id) => (*id, None),
        None => pair(&records, &fields).map(|(id, with)| (id, Some(with)))?,
    };
    let natural =
        telling.iter().filter(|field| **field != id && natural(field) > 0).max_by_key(|field| natural(field));
    let mut cursors: Vec<(&String, u8)> =
        fields.iter().map(|field| (field, growing(field))).filter(|(_, rank)| *rank > 0).collect();
    cursors.retain(|(field, _)| records.iter().all(|record| record.get(*field).is_some_and(is_moment)));
    let cursor = cursors.iter().max_by_key(|(_, rank)| *rank).map(|(field, _)| (*field).clone());
    let version = fields.iter().find(|field| {
        matches!(plain(field).as_str(), "etag" | "rev" | "revision" | "version" | "lockversion")
            && records.iter().all(|record| record.get(*field).is_some_and(is_scalar))
    });
    Some(Shape {
        list,
        seen: records.len(),
        id: id.clone(),
        id_with: id_with.cloned(),
        natural: natural.map(|field| (*field).clone()),
        cursor,
        version: version.cloned(),
        fields: fields.iter().map(|field| (field.clone(), type_of(&records, field))).collect(),
    })
}

/// Where the records are.
fn listing(body: &Json, depth: usize) -> Option<(Vec<String>, &Vec<Json>)> {
    match body {
        Json::Array(of) if !of.is_empty() && of.iter().all(Json::is_object) => Some((Vec::new(), of)),
        Json::Object(members) if depth < MAX_DEPTH => {
            let inner = members.iter().filter(|(name, _)| usable(name)).filter_map(|(name, member)| {
                let (mut way, of) = listing(member, depth + 1)?;
                way.insert(0, name.clone());
                Some((way, of))
            });
            // The longest list; of two, the one nearer to the top.
            inner.max_by_key(|(way, of)| (listlike(way), of.len(), MAX_DEPTH - way.len()))
        }
        _ => None,
    }
}

fn listlike(way: &[String]) -> bool {
    let known =
        ["items", "data", "results", "records", "value", "values", "entries", "content", "hits", "rows"];
    way.last().is_some_and(|name| known.contains(&name.to_lowercase().as_str()))
}

/// A name without what differs from one style to the other.
fn plain(field: &str) -> String {
    field.chars().filter(|c| c.is_alphanumeric()).collect::<String>().to_lowercase()
}

fn is_scalar(value: &Json) -> bool {
    matches!(value, Json::String(_) | Json::Number(_))
}

fn tells_apart(records: &[&Map<String, Json>], field: &str) -> bool {
    let mut seen = BTreeSet::new();
    records.iter().all(|record| {
        record.get(field).is_some_and(|value| {
            is_scalar(value) && value.as_str() != Some("") && seen.insert(value.to_string())
        })
    })
}

/// How much a name looks like a part of an id.
fn likeness(field: &str) -> u8 {
    idlike(field).max(natural(field))
}

/// Two fields that tell records apart together: those that look most like ids, the first named
/// first.
fn pair<'f>(records: &[&Map<String, Json>], fields: &'f [String]) -> Option<(&'f String, &'f String)> {
    let scalar = |field: &&String| {
        likeness(field) > 1
            && records
                .iter()
                .all(|record| record.get(*field).is_some_and(|v| is_scalar(v) && v.as_str() != Some("")))
    };
    let likely: Vec<&String> = fields.iter().filter(scalar).collect();
    let pairs = likely.iter().enumerate().flat_map(|(n, b)| likely.iter().take(n).map(|a| (*a, *b)));
    let apart = |(a, b): &(&String, &String)| {
        let mut seen = BTreeSet::new();
        let text = |record: &Map<String, Json>, field: &String| record.get(field).map(Json::to_string);
        records.iter().all(|record| seen.insert((text(record, a), text(record, b))))
    };
    pairs.filter(apart).max_by_key(|(a, b)| u16::from(likeness(a)) + u16::from(likeness(b)))
}

fn idlike(field: &str) -> u8 {
    match plain(field).as_str() {
        "id" => 9,
        "uuid" | "guid" | "uid" => 8,
        "key" | "sysid" | "objectid" | "recordid" => 7,
        name if name.ends_with("uuid") => 6,
        name if name.ends_with("id") => 5,
        name if natural(name) > 0 => 3,
        "name" | "slug" | "code" => 2,
        name if growing(name) > 0 => 0,
        _ => 1,
    }
}

/// How much a name looks like what people know a record by.
fn natural(field: &str) -> u8 {
    match plain(field).as_str() {
        "number" | "code" | "slug" | "reference" | "externalid" | "email" | "sku" => 3,
        name if name.ends_with("number") || name.ends_with("code") || name.ends_with("ref") => 3,
        _ if field.ends_with("_no") || field.ends_with("No") || field.ends_with("Nr") => 3,
        name if name.ends_with("id") && !matches!(name, "id" | "uuid" | "guid" | "uid") => 2,
        _ => 0,
    }
}

/// How much a name looks like the time of the last change.
fn growing(field: &str) -> u8 {
    match plain(field).as_str() {
        "updatedat" | "updated" | "modifiedat" | "modified" | "lastmodified" | "updatedon" | "modifiedon" => {
            9
        }
        "lastupdated" | "lastmodifieddate" | "changedat" | "changed" | "mtime" | "updatetime"
        | "updateddate" => 8,
        name if name.contains("updated") || name.contains("modified") || name.contains("changed") => 6,
        "createdat" | "created" | "timestamp" => 0,
        _ => 0,
    }
}

/// A time or a number that can grow.
fn is_moment(value: &Json) -> bool {
    match value {
        Json::Number(n) => n.as_f64().is_some_and(|n| n > 0.0),
        Json::String(text) => is_datetime(text) || is_date(text),
        _ => false,
    }
}

fn digits(text: &str, places: &[usize]) -> bool {
    let bytes = text.as_bytes();
    places.iter().all(|place| bytes.get(*place).is_some_and(u8::is_ascii_digit))
}

fn is_date(text: &str) -> bool {
    let bytes = text.as_bytes();
    text.len() == 10
        && digits(text, &[0, 1, 2, 3, 5, 6, 8, 9])
        && bytes.get(4) == Some(&b'-')
        && bytes.get(7) == Some(&b'-')
}

fn is_datetime(text: &str) -> bool {
    let date = text.get(..10).is_some_and(is_date);
    date && matches!(text.as_bytes().get(10), Some(b'T' | b' ')) && digits(text, &[11, 12, 14, 15])
}

/// The type that all values of a field have.
fn type_of(records: &[&Map<String, Json>], field: &str) -> &'static str {
    let mut kinds: BTreeMap<&'static str, usize> = BTreeMap::new();
    for value in records.iter().filter_map(|record| record.get(field)) {
        let kind = match value {
            Json::Null => continue,
            Json::Bool(_) => "bool",
            Json::Number(n) if n.is_i64() || n.is_u64() => "integer",
            Json::Number(_) => "decimal",
            Json::String(text) if is_date(text) => "date",
            Json::String(text) if is_datetime(text) && text.ends_with('Z') => "datetime",
            Json::String(_) => "string",
            Json::Array(_) | Json::Object(_) => "json",
        };
        *kinds.entry(kind).or_default() += 1;
    }
    let kinds: Vec<&'static str> = kinds.into_keys().collect();
    match kinds.as_slice() {
        [] => "string",
        [one] => one,
        ["decimal", "integer"] => "decimal",
        kinds if kinds.iter().all(|kind| matches!(*kind, "date" | "datetime" | "string")) => "string",
        _ => "json",
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests may panic")]
    use super::shape;
    use serde_json::json;

    #[test]
    fn two_fields_tell_records_apart_where_none_does_alone() {
        let row =
            |board: &str, no: u64, label: &str| json!({ "label": label, "board_id": board, "line_no": no });
        let shape = shape(&json!([row("a", 1, "x"), row("a", 2, "y"), row("b", 1, "x")])).unwrap();
        assert_eq!((shape.id.as_str(), shape.id_with.as_deref()), ("board_id", Some("line_no")));
        assert!(shape.known("line_no"));
        assert_eq!(super::shape(&json!([row("a", 1, "x"), row("a", 1, "x")])), None);
    }

    #[test]
    fn ids_cursors_and_types_are_seen() {
        let body = json!({ "total": 2, "links": [{ "rel": "x" }], "items": [
            { "id": 1, "permit_no": "P-1", "fee": 1, "open": true, "place": {}, "day": "2026-01-02",
              "updated_at": "2026-01-02T03:04:05Z", "note": null, "same": "x", "rev": 1 },
            { "id": 2, "permit_no": "P-2", "fee": 1.5, "open": false, "place": {}, "day": "2026-01-03",
              "updated_at": "2026-01-02T03:04:05Z", "note": "n", "same": "x", "rev": 1 },
        ] });
        let shape = shape(&body).unwrap();
        assert_eq!((shape.list.as_slice(), shape.seen), (&["items".to_owned()][..], 2));
        assert_eq!((shape.id.as_str(), shape.natural.as_deref()), ("id", Some("permit_no")));
        assert_eq!((shape.cursor.as_deref(), shape.version.as_deref()), (Some("updated_at"), Some("rev")));
        let of = |name: &str| shape.fields.iter().find(|(field, _)| field == name).unwrap().1;
        let found = ["id", "fee", "open", "place", "day", "updated_at", "note"].map(of);
        assert_eq!(found, ["integer", "decimal", "bool", "json", "date", "datetime", "string"]);
    }

    #[test]
    fn names_that_would_mean_something_in_a_configuration_are_passed_over() {
        let named = |name: &str| json!({ "id": 1, name: 2 });
        for name in ["${HOME}", "{{ id }}", "a\nevil: 1", "a\revil: 1", "$${x}"] {
            let shape = shape(&json!([named(name)])).unwrap();
            assert_eq!(shape.fields.len(), 1, "{name:?}");
            assert_eq!(super::shape(&json!({ name: [{ "id": 1 }] })), None, "{name:?}");
        }
        assert_eq!(shape(&json!([named("$top")])).unwrap().fields.len(), 2);
    }

    #[test]
    fn what_holds_no_records_is_none() {
        for body in
            [json!({}), json!([]), json!([1, 2]), json!({ "error": "x" }), json!([{ "a": 1 }, { "a": 1 }])]
        {
            assert_eq!(shape(&body), None, "{body}");
        }
    }
}
