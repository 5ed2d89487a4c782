//! A million records of any kind, and a million mappings: read, or refused in words.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests may panic")]

use hms_sync_hostile::Reader;
use hms_sync_mapping::{
    Expressions, FieldMapping, FieldPath, Normal, SideMap, ValueMap, canonical, from_text,
};
use hms_sync_model::{ElementKey, FieldName, FieldType};
use serde_json::{Value as Json, json};

fn field(name: &str, ty: FieldType) -> FieldMapping {
    FieldMapping::plain(
        FieldName::try_new(name).unwrap(),
        ty,
        FieldPath::parse(&format!("r.{name}")).unwrap(),
    )
}

fn words() -> FieldType {
    FieldType::Enum(["pending", "approved"].map(Into::into).to_vec())
}

fn types() -> Vec<FieldType> {
    use FieldType::{Bool, Date, Datetime, Decimal, Integer, Json, Object, Set, String, Text};
    let by_key = Set(Box::new(Object(ElementKey::new(["id"]))));
    vec![String, Text, Integer, Decimal, Bool, Date, Datetime, words(), Json, Set(Box::new(String)), by_key]
}

/// Every type, and every way to write one.
fn map() -> SideMap {
    let mut all: Vec<FieldMapping> =
        types().into_iter().enumerate().map(|(n, ty)| field(&format!("f{n}"), ty)).collect();
    let formatted =
        |name: &str, ty, format: &str| FieldMapping { format: Some(format.into()), ..field(name, ty) };
    all.push(formatted("day", FieldType::Date, "%d.%m.%Y"));
    all.push(formatted("at", FieldType::Datetime, "%d/%m/%Y %I:%M %p"));
    all.push(formatted("ms", FieldType::Datetime, "epoch_ms"));
    all.push(formatted("digits", FieldType::Decimal, "text"));
    all.push(formatted("no", FieldType::String, "number"));
    let pairs =
        [("pending".to_owned(), json!(1)), ("approved".to_owned(), json!("OK"))].into_iter().collect();
    let values = Some(ValueMap { pairs, otherwise_from: Some("pending".into()), ..ValueMap::default() });
    all.push(FieldMapping { values, ..field("state", words()) });
    let expressions = Some(Expressions { to: "value * 100".into(), from: "value / 100".into() });
    all.push(FieldMapping { expressions, ..field("cents", FieldType::Decimal) });
    all.push(FieldMapping {
        normalize: vec![Normal::Trim],
        null_as: Some(json!("")),
        ..field("name", FieldType::Text)
    });
    SideMap::new(all).unwrap()
}

/// What is read is written, and comes to the same when it is read again.
#[test]
fn hostile_records() {
    let map = map();
    Reader::new("records")
        .sound([
            r#"{"r":{"f0":"a","f1":"e\u0301\r\n","f2":-7,"f3":1.50,"f4":true,"f5":"2026-03-01","f6":"2026-03-01T09:30:00.5+02:00"}}"#,
            r#"{"r":{"f7":"approved","f8":{"b":[1.0,null],"a":{}},"f9":["b","a"],"f10":[{"id":1},{"id":2,"x":[]}]}}"#,
            r#"{"r":{"day":"28.02.2026","at":"01/03/2026 12:30 PM","ms":1795000000123,"digits":"12.5","no":17,"state":"OK","cents":1250,"name":" x "}}"#,
        ])
        .words([
            "{", "}", "[", "]", ",", ":", "\"", "null", "true", "\"f6\":", "\"f8\":[[[[", "\"f10\":[{\"id\":", "-", "e",
            "T24:00:00Z", "-0001-01-01", "+14:00", "29.02.2023", "\\ud800", "\\u0000", "AM", "1e400",
        ])
        .texts(|text| {
            let Ok(doc) = serde_json::from_str::<Json>(text) else { return false };
            let (read, unread) = map.read_each(&doc, true);
            assert!(unread.iter().all(|why| why.to_string().len() < 2_000), "{unread:?}");
            if let Ok(written) = map.write(&read) {
                let (again, _) = map.read_each(&written, true);
                assert!(map.write(&again).is_ok(), "{written}");
            }
            !read.is_empty()
        });
}

/// Values of every type, and as text.
#[test]
fn hostile_values() {
    let types = types();
    Reader::new("values")
        .sound([
            "\"2026-03-01T09:30:00.5+02:00\"",
            "\"2026-03-01\"",
            "-12.5e3",
            "true",
            "\"approved\"",
            "[{\"id\":[1]},{\"id\":2}]",
            "{\"b\":1.0,\"a\":[]}",
        ])
        .words([
            "\"", "{", "}", "[", "]", ":", "-", "T", "Z", "+00:00", "24:00:00", "e", ".", "null", "\\ud83d",
            "\"id\":",
        ])
        .texts(|text| {
            let json = serde_json::from_str::<Json>(text).ok();
            let mut taken = false;
            for ty in &types {
                taken |= json.as_ref().is_some_and(|json| canonical(ty, json).is_ok());
                let _unfit = from_text(ty, text);
            }
            taken
        });
}

#[test]
fn hostile_expressions() {
    let value = Json::from("a-17");
    Reader::new("mapping expressions")
        .sound([
            "(value | split('-') | list)[1]",
            "'a-' ~ value",
            "{'on': '1'}[value] if value in ['on', 'off'] else value | upper",
            "((value | length) * 100 // 3 % 7 ** 2) | string",
        ])
        .words(["value"])
        .minijinja()
        .texts(|text| {
            let expressions = Some(Expressions { to: text.into(), from: text.into() });
            let mapping = FieldMapping { expressions, ..field("f", FieldType::String) };
            let Ok(map) = SideMap::new(vec![mapping]) else { return false };
            map.read_each(&json!({ "r": { "f": value } }), false).1.is_empty()
        });
}

#[test]
fn hostile_formats_and_paths() {
    Reader::new("formats and paths")
        .sound(["%d.%m.%Y %I:%M %p", "%Y-%m-%dT%H:%M:%S%.3f%:z", "epoch_ms", "%Y%m%d%H%M%S"])
        .words([
            "%", "%Y", "%y", "%j", "%U", "%s", "%f", "%.f", "%z", "%Z", "%+", "%p", "%e", ".", "\\.", "[0]",
            "*",
        ])
        .texts(|text| {
            if let Ok(path) = FieldPath::parse(text) {
                assert_eq!(FieldPath::parse(&path.to_string()).as_ref(), Ok(&path));
            }
            let format = |ty| FieldMapping { format: Some(text.into()), ..field("f", ty) };
            let map = SideMap::new(vec![format(FieldType::Datetime)]);
            let day = SideMap::new(vec![format(FieldType::Date)]);
            for map in [&map, &day].into_iter().flatten() {
                map.read_each(&json!({ "r": { "f": "2026-03-01 09:30" } }), false);
            }
            map.is_ok()
        });
}

/// One of some thousand parts takes longer to try than a person waits.
#[test]
fn a_pattern_is_only_so_long() {
    let format = |times: usize| FieldMapping {
        format: Some("%Y-%m-%d ".repeat(times)),
        ..field("f", FieldType::Date)
    };
    assert!(SideMap::new(vec![format(100)]).is_ok());
    let why = SideMap::new(vec![format(112)]).unwrap_err();
    let cause = std::error::Error::source(&why).map(ToString::to_string).unwrap_or_default();
    let words = "a date pattern has 1000 bytes at most, and this one 1008";
    assert!(format!("{why}: {cause}").contains(words), "{why}: {cause}");
}
