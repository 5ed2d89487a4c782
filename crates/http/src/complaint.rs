//! Which field a refusal is about, where the answer says so. Sides say it in a dozen ways;
//! hostile input: any JSON may come.

use crate::decode;
use crate::error::quote;
use serde_json::{Map, Value as Json};

/// So many are told at most.
const MOST: usize = 8;

/// What an answer says of one field.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Complaint {
    /// Where, in the side's words.
    path: Vec<String>,
    words: String,
}

/// Names of members that say where.
const PLACES: [&str; 9] =
    ["source", "pointer", "loc", "field", "param", "path", "name", "property", "propertyPath"];

/// Names of members that say what.
const WORDS: [&str; 9] =
    ["detail", "message", "msg", "description", "reason", "title", "error", "code", "type"];

/// Where lists of complaints, or maps of them by field, stand.
const LISTS: [&str; 10] = [
    "errors",
    "detail",
    "details",
    "data",
    "invalid-params",
    "invalid_params",
    "violations",
    "fieldViolations",
    "fields",
    "error",
];

/// Members that enclose a record in a request, but are no part of it.
const AROUND: [&str; 5] = ["body", "data", "attributes", "query", "record"];

/// The fields that an answer names, in our words where `names` has them: `; field address
/// (location.address): too long`. Empty if it names none.
pub(crate) fn named(body: &[u8], around: &[&str], names: &[(Vec<String>, String)]) -> String {
    let Ok(json) = decode::read(body) else { return String::new() };
    let mut found = Vec::new();
    all(&json, 0, &mut found);
    let mut told: Vec<String> = Vec::new();
    for complaint in &found {
        let line = complaint.told(around, names);
        if !told.contains(&line) && told.len() < MOST {
            told.push(line);
        }
    }
    told.iter().fold(String::new(), |out, line| out + "; " + line)
}

impl Complaint {
    fn told(&self, around: &[&str], names: &[(Vec<String>, String)]) -> String {
        let mut path = self.path.as_slice();
        let known = loop {
            if let Some((_, name)) = names.iter().find(|(place, _)| is_in(path, place)) {
                break Some(name);
            }
            match path.split_first() {
                Some((first, rest))
                    if !rest.is_empty()
                        && (AROUND.contains(&first.as_str()) || around.contains(&first.as_str())) =>
                {
                    path = rest;
                }
                Some(_) | None => break None,
            }
        };
        let place = quote(path.join(".").as_bytes(), 80);
        let words = if self.words.is_empty() { String::new() } else { format!(": {}", self.words) };
        match known {
            Some(name) if *name == place => format!("field `{name}`{words}"),
            Some(name) => format!("field `{name}` (there `{place}`){words}"),
            None => format!("there `{place}`{words}"),
        }
    }
}

/// Whether `path` leads to `place` or into it. Sides write names in their own case.
fn is_in(path: &[String], place: &[String]) -> bool {
    let mut pairs = path.iter().zip(place);
    path.len() >= place.len() && !place.is_empty() && pairs.all(|(a, b)| a.eq_ignore_ascii_case(b))
}

/// Everything in `json` that looks like a complaint about a field.
fn all(json: &Json, depth: u8, found: &mut Vec<Complaint>) {
    if depth > 4 || found.len() >= MOST {
        return;
    }
    match json {
        Json::Array(elements) => elements.iter().for_each(|element| all(element, depth + 1, found)),
        Json::Object(members) => object(members, depth, found),
        Json::Null | Json::Bool(_) | Json::Number(_) | Json::String(_) => {}
    }
}

fn object(members: &Map<String, Json>, depth: u8, found: &mut Vec<Complaint>) {
    if let Some(complaint) = one(members) {
        found.push(complaint);
        return;
    }
    let before = found.len();
    for name in LISTS {
        match members.get(name) {
            Some(Json::Object(inner)) if one(inner).is_none() => by_field(inner, depth, found),
            Some(inner) => all(inner, depth + 1, found),
            None => {}
        }
    }
    // Some have nothing around: `{ "address": ["is too long"] }`.
    if found.len() == before && depth == 0 && members.values().all(is_lines) {
        by_field(members, depth, found);
    }
}

/// `{ "address": ["is too long"], "fee": { "code": …, "message": … } }`
fn by_field(members: &Map<String, Json>, depth: u8, found: &mut Vec<Complaint>) {
    for (name, member) in members {
        let words = match member {
            Json::Array(_) if is_lines(member) => lines(member),
            Json::Object(inner) => match says(inner) {
                words if !words.is_empty() && !LISTS.contains(&name.as_str()) => words,
                _ => {
                    all(member, depth + 1, found);
                    continue;
                }
            },
            Json::String(_) if !WORDS.contains(&name.as_str()) => lines(member),
            other => {
                all(other, depth + 1, found);
                continue;
            }
        };
        if !name.is_empty() && found.len() < MOST {
            found.push(Complaint { path: parts(name), words });
        }
    }
}

/// `{ "field": "address", "message": "too long" }` in its many spellings.
fn one(members: &Map<String, Json>) -> Option<Complaint> {
    let path = PLACES.iter().find_map(|name| place(members.get(*name)?))?;
    let words = says(members);
    (!path.is_empty() && !words.is_empty()).then_some(Complaint { path, words })
}

fn place(json: &Json) -> Option<Vec<String>> {
    match json {
        Json::String(text) => Some(parts(text)),
        Json::Array(elements) if !elements.is_empty() => elements
            .iter()
            .map(|element| match element {
                Json::String(text) => Some(text.clone()),
                Json::Number(n) => Some(n.to_string()),
                _ => None,
            })
            .collect(),
        Json::Object(inner) => {
            PLACES.iter().skip(1).chain(&["parameter"]).find_map(|name| place(inner.get(*name)?))
        }
        _ => None,
    }
}

fn says(members: &Map<String, Json>) -> String {
    let text = |name: &&str| members.get(*name).and_then(Json::as_str).filter(|text| !text.is_empty());
    WORDS.iter().find_map(text).map(|text| quote(text.as_bytes(), 200)).unwrap_or_default()
}

fn is_lines(json: &Json) -> bool {
    matches!(json, Json::Array(lines) if !lines.is_empty() && lines.iter().all(Json::is_string))
}

fn lines(json: &Json) -> String {
    match json {
        Json::String(text) => quote(text.as_bytes(), 200),
        Json::Array(lines) => {
            let all: Vec<&str> = lines.iter().filter_map(Json::as_str).collect();
            quote(all.join(", ").as_bytes(), 200)
        }
        _ => String::new(),
    }
}

/// `/data/attributes/address`, `$.location.address`, `permit[address]`, `location.address`.
fn parts(text: &str) -> Vec<String> {
    let text: String = text.chars().take(200).collect();
    let cut = |c: char| matches!(c, '/' | '.' | '[' | ']' | '#' | '$');
    text.split(cut)
        .filter(|part| !part.is_empty())
        .map(|part| part.replace("~1", "/").replace("~0", "~"))
        .collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests may panic")]
    use super::named;
    use hms_sync_hostile::Reader;
    use serde_json::{Value as Json, json};

    fn told(answer: &Json) -> String {
        let path = |text: &str| text.split('.').map(str::to_owned).collect();
        let names = [
            (path("location.address"), "address".to_owned()),
            (path("fee"), "fee".to_owned()),
            (path("permit_no"), "permit_no".to_owned()),
        ];
        named(answer.to_string().as_bytes(), &["permit"], &names)
    }

    #[test]
    fn the_field_is_found_in_every_spelling() {
        let long = "; field `address` (there `location.address`): too long";
        for answer in [
            // RFC 9457 with its `errors`.
            json!({ "type": "about:blank", "title": "Bad", "errors": [{ "detail": "too long", "pointer": "#/location/address" }] }),
            // FastAPI.
            json!({ "detail": [{ "type": "string_too_long", "loc": ["body", "location", "address"], "msg": "too long" }] }),
            // JSON:API.
            json!({ "errors": [{ "status": "422", "source": { "pointer": "/data/attributes/location/address" }, "detail": "too long" }] }),
            // Rails and Laravel.
            json!({ "errors": { "location.address": ["too long"] } }),
            json!({ "message": "The given data was invalid.", "errors": { "permit[location][address]": ["too long"] } }),
            // Symfony, Kinto, Google.
            json!({ "violations": [{ "propertyPath": "location.address", "title": "too long" }] }),
            json!({ "errno": 107, "details": [{ "location": "body", "name": "data.location.address", "description": "too long" }] }),
            json!({ "error": { "code": 400, "details": [{ "fieldViolations": [{ "field": "location.address", "description": "too long" }] }] } }),
        ] {
            assert_eq!(told(&answer), long, "{answer}");
        }
        for (answer, expected) in [
            // PocketBase.
            (
                json!({ "data": { "permit_no": { "code": "validation_not_unique", "message": "Must be unique." } }, "message": "Failed to create record.", "status": 400 }),
                "; field `permit_no`: Must be unique.",
            ),
            // Stripe.
            (
                json!({ "error": { "code": "parameter_invalid", "message": "Invalid fee", "param": "fee", "type": "invalid_request_error" } }),
                "; field `fee`: Invalid fee",
            ),
            // Django REST framework.
            (
                json!({ "fee": ["A valid number is required.", "Again."] }),
                "; field `fee`: A valid number is required., Again.",
            ),
            // GitHub.
            (
                json!({ "message": "Validation Failed", "errors": [{ "resource": "Permit", "field": "color", "code": "missing_field" }] }),
                "; there `color`: missing_field",
            ),
        ] {
            assert_eq!(told(&answer), expected, "{answer}");
        }
    }

    #[test]
    fn an_answer_that_names_none_adds_nothing() {
        for answer in [
            json!({ "code": 400, "message": "no" }),
            json!({ "error": "no" }),
            json!({ "error": { "message": "no", "type": "x" } }),
            json!([1, "a"]),
            json!({ "data": {}, "message": "x", "status": 400 }),
        ] {
            assert_eq!(told(&answer), "", "{answer}");
        }
        assert_eq!(named(b"<html>", &[], &[]), "");
    }

    #[test]
    fn hostile_refusals() {
        let names = [(vec!["location".to_owned(), "address".to_owned()], "address".to_owned())];
        Reader::new("refusals")
            .sound([
                r##"{"title":"Bad","errors":[{"detail":"too long","pointer":"#/location/address"}]}"##,
                r#"{"detail":[{"loc":["body","location",7],"msg":"too long"}]}"#,
                r#"{"errors":{"permit[location][address]":["too long","again"]}}"#,
                r#"{"error":{"details":[{"fieldViolations":[{"field":"a~1b","description":"x"}]}]}}"#,
            ])
            .words([
                "{",
                "}",
                "[",
                "]",
                "\"errors\":",
                "\"data\":{",
                "\"loc\":[",
                "\"",
                "/",
                "~1",
                ".",
                "\\n",
                ",",
            ])
            .bytes(|body| {
                let told = named(body, &["permit"], &names);
                assert!(told.chars().count() < 9 * 320, "{told}");
                assert!(!told.chars().any(char::is_control), "{told:?}");
                !told.is_empty()
            });
    }
}
