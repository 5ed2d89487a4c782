//! Named cases: what each type takes, what formats and value maps lose, what is refused.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, reason = "tests may panic")]

use hms_sync_mapping::{Direction, FieldMapping, FieldPath, SideMap, ValueMap, canonical, from_text};
use hms_sync_model::{Decimal, FieldMap, FieldName, FieldType, Value};
use serde_json::{Value as Json, json};

fn name(text: &str) -> FieldName {
    FieldName::try_new(text).unwrap()
}

fn plain(field: &str, ty: FieldType, path: &str) -> FieldMapping {
    FieldMapping::plain(name(field), ty, FieldPath::parse(path).unwrap())
}

fn words() -> FieldType {
    FieldType::Enum(["pending", "approved"].map(Into::into).to_vec())
}

fn set_of(ty: FieldType) -> FieldType {
    FieldType::Set(Box::new(ty))
}

fn one(mapping: FieldMapping) -> SideMap {
    SideMap::new(vec![mapping]).unwrap()
}

fn shown(ty: &FieldType, json: &Json) -> String {
    canonical(ty, json).map_or_else(|e| e.to_string(), |v| format!("{v:?}"))
}

fn map(fields: &[(&str, Value)]) -> FieldMap {
    fields.iter().map(|(field, value)| (name(field), value.clone())).collect()
}

#[test]
fn each_type_takes_its_own() {
    use FieldType::{Bool, Date, Datetime, Decimal, Integer, Json as AnyJson, String, Text};
    for (ty, json, expected) in [
        (String, json!("a\r\n"), "\"a\\r\\n\""),
        (String, json!(5), "found 5, expected text"),
        (Text, json!("a\r\nb\rc\n\n"), "\"a\\nb\\nc\""),
        (Text, json!("e\u{301}"), "\"é\""),
        (Integer, json!("0010"), "10"),
        (Integer, json!(10.0), "10"),
        (Integer, json!(10.5), "found 10.5, expected a whole number"),
        (Decimal, json!("12.50"), "12.5"),
        (Decimal, json!("12,50"), "found \"12,50\", expected a decimal number"),
        (Bool, json!(true), "true"),
        (Bool, json!("true"), "found \"true\", expected true or false"),
        (Date, json!("2026-03-01"), "2026-03-01"),
        (Date, json!("2026-3-1"), "found \"2026-3-1\", expected a date as 2026-03-01"),
        (Date, json!("2026-02-30"), "found \"2026-02-30\", expected a date as 2026-03-01"),
        (Datetime, json!("2026-03-01T10:00:00+01:00"), "2026-03-01T09:00:00Z"),
        (Datetime, json!("2026-03-01 09:00:00.120Z"), "2026-03-01T09:00:00.120Z"),
        (
            Datetime,
            json!("2026-03-01 09:00:00"),
            "found \"2026-03-01 09:00:00\", expected an instant as 2026-03-01T09:30:00Z",
        ),
        (words(), json!("approved"), "\"approved\""),
        (words(), json!("APPROVED"), "found \"APPROVED\", expected one of pending, approved"),
        (set_of(String), json!(["b", "a", "b"]), "{a, b}"),
        (set_of(String), json!("a"), "found \"a\", expected an array"),
        (set_of(Integer), json!([1, "x"]), "found \"x\", expected a whole number"),
        (
            AnyJson,
            json!({"b": [1.0, {"d": null, "c": "é\n"}], "a": 1e2}),
            r#"{"a":100,"b":[1,{"c":"é\n","d":null}]}"#,
        ),
        (AnyJson, json!(null), "null"),
    ] {
        assert_eq!(shown(&ty, &json), expected, "{ty:?} {json}");
    }
}

#[test]
fn large_integers_stay_what_they_were() {
    let json: Json = serde_json::from_str("9007199254740993123").unwrap();
    let value = canonical(&FieldType::Integer, &json).unwrap();
    assert_eq!(value, Value::Number(Decimal::parse("9007199254740993123").unwrap()));
    let side = one(plain("n", FieldType::Integer, "n"));
    assert_eq!(side.write(&map(&[("n", value)])).unwrap().to_string(), r#"{"n":9007199254740993123}"#);
}

#[test]
fn nesting_is_bounded() {
    let mut json = json!(1);
    for _ in 0..100 {
        json = json!([json]);
    }
    assert_eq!(shown(&FieldType::Json, &json), "found an array of 1, expected JSON of at most 64 levels");
}

#[test]
fn errors_show_a_little_and_escape_it() {
    let long = format!("\n\u{1b}[31m{}", "x".repeat(1_000));
    let text = shown(&FieldType::Integer, &json!(long));
    assert!(
        text.starts_with(r#"found "\n\u{1b}[31mxxx"#) && text.ends_with("xx…\", expected a whole number"),
        "{text}"
    );
    assert!(text.len() < 120, "{text}");
}

#[test]
fn reads_nested_missing_and_null() {
    let side = SideMap::new(vec![
        plain("address", FieldType::Text, "location.address"),
        plain("dotted", FieldType::Text, "a\\.b"),
        plain("fee", FieldType::Decimal, "fee"),
        FieldMapping { direction: Direction::ToSide, ..plain("sent", FieldType::Text, "sent") },
    ])
    .unwrap();
    let read = |doc: Json| side.read(&doc).map_or_else(|e| e.to_string(), |f| format!("{f:?}"));
    assert_eq!(
        read(json!({"location": {"address": "x"}, "a.b": "y", "fee": null, "sent": "z"})),
        r#"{"address": "x", "dotted": "y", "fee": null}"#
    );
    assert_eq!(read(json!({"location": null})), r#"{"address": null, "dotted": (absent), "fee": (absent)}"#);
    assert_eq!(
        read(json!({"location": "x"})),
        "field `address` at `location.address`: found \"x\", expected an object on the way to it"
    );
    assert_eq!(read(json!({"a.b": 1})), "field `dotted` at `a\\.b`: found 1, expected text");
    assert_eq!(
        read(json!([])),
        "field `address` at `location.address`: found an array of 0, expected an object on the way to it"
    );
    let partial = side.read_partial(&json!({"fee": "1.0", "location": {}})).unwrap();
    assert_eq!(format!("{partial:?}"), r#"{"fee": 1}"#);
}

#[test]
fn writes_what_is_taken_and_nothing_else() {
    let side = SideMap::new(vec![
        plain("street", FieldType::Text, "location.address.street"),
        plain("town", FieldType::Text, "location.town"),
        FieldMapping { direction: Direction::FromSide, ..plain("id", FieldType::Text, "id") },
        FieldMapping { null_as: Some(json!("")), ..plain("note", FieldType::Text, "note") },
    ])
    .unwrap();
    let doc = side.write(&map(&[
        ("street", "x".into()),
        ("town", Value::Null),
        ("id", "7".into()),
        ("note", Value::Absent),
        ("other", "?".into()),
    ]));
    assert_eq!(doc.unwrap(), json!({"location": {"address": {"street": "x"}, "town": null}, "note": ""}));
    assert_eq!(side.write(&map(&[("street", Value::Absent)])).unwrap(), json!({}));
    let refused = side.write(&map(&[("town", Value::Bool(true))])).unwrap_err();
    assert_eq!(
        refused.to_string(),
        "field `town` cannot be written at `location.town`: found true, expected text"
    );
}

#[test]
fn a_side_that_holds_only_the_day_keeps_our_time_of_day() {
    let side =
        one(FieldMapping { format: Some("%Y-%m-%d".into()), ..plain("at", FieldType::Datetime, "at") });
    let at = |text: &str| from_text(&FieldType::Datetime, text).unwrap();
    let (ours, view) = (at("2026-03-01T09:30:00Z"), at("2026-03-05T00:00:00Z"));
    assert_eq!(side.image(&name("at"), &ours), at("2026-03-01T00:00:00Z"));
    assert_eq!(side.put(&name("at"), &view, &ours), at("2026-03-05T09:30:00Z"));
    assert_eq!(side.put(&name("at"), &view, &Value::Null), view);
}

#[test]
fn a_set_in_lossy_words_keeps_what_stayed() {
    let values = ValueMap {
        pairs: vec![("a".into(), json!("A")), ("b".into(), json!("B"))],
        otherwise_to: Some(json!("B")),
        otherwise_from: None,
    };
    let ty = set_of(FieldType::Enum(["a", "b", "c", "d"].map(Into::into).to_vec()));
    let side = one(FieldMapping { values: Some(values), ..plain("tags", ty, "tags") });
    let set = |all: &[&str]| Value::set(all.iter().map(|t| Value::from(*t)));
    let source = set(&["a", "c", "d"]);
    assert_eq!(side.image(&name("tags"), &source), set(&["a", "b"]));
    assert_eq!(side.put(&name("tags"), &set(&["b"]), &source), set(&["c", "d"]));
    assert_eq!(side.put(&name("tags"), &set(&["a"]), &source), set(&["a"]));
}

#[test]
fn values_that_no_word_stands_for_are_errors() {
    let values = ValueMap { pairs: vec![("pending".into(), json!("P"))], ..ValueMap::default() };
    let side = one(FieldMapping { values: Some(values), ..plain("s", words(), "s") });
    assert_eq!(
        side.read(&json!({"s": "X"})).unwrap_err().to_string(),
        "field `s` at `s`: found \"X\", expected one of the words of its value map: P"
    );
    assert_eq!(
        side.write(&map(&[("s", "approved".into())])).unwrap_err().to_string(),
        "field `s` cannot be written at `s`: found \"approved\", expected one of the values of its value map: pending"
    );
    assert_eq!(side.read(&json!({"s": null})).unwrap(), map(&[("s", Value::Null)]));
}

#[test]
fn refuses_maps_that_cannot_be_read_back() {
    let refused = |ty: FieldType, pairs: &[(&str, Json)], to: Option<Json>, from: Option<&str>| {
        let pairs = pairs.iter().map(|(k, n)| ((*k).to_owned(), n.clone())).collect();
        let values = ValueMap { pairs, otherwise_to: to, otherwise_from: from.map(str::to_owned) };
        SideMap::new(vec![FieldMapping { values: Some(values), ..plain("s", ty, "s") }])
            .unwrap_err()
            .to_string()
    };
    let p = ("pending", json!("P"));
    for (found, expected) in [
        (refused(words(), &[], None, None), "field `s`: a value map needs at least one pair"),
        (
            refused(words(), &[p.clone(), ("approved", json!("P"))], None, None),
            "field `s`: pending and approved are both \"P\" there, so it could not be read back",
        ),
        (
            refused(FieldType::Integer, &[("1", json!(1)), ("01", json!(2))], None, None),
            "field `s`: the value 1 is listed twice",
        ),
        (
            refused(FieldType::Integer, &[("1", json!(1)), ("2", json!(1.0))], None, None),
            "field `s`: 1 and 2 are both 1.0 there, so it could not be read back",
        ),
        (
            refused(words(), &[("gone", json!("P"))], None, None),
            "field `s`: found \"gone\", expected one of pending, approved",
        ),
        (
            refused(words(), &[("pending", json!([]))], None, None),
            "field `s`: [] is no single value: text, a number, true, false or null",
        ),
        (
            refused(words(), std::slice::from_ref(&p), None, Some("approved")),
            "field `s`: the value to read other words as, approved, must be one of those listed",
        ),
        (
            refused(words(), &[p], Some(json!("X")), None),
            "field `s`: the word to write for other values, \"X\", could not be read back: list it, or say what to read it as",
        ),
    ] {
        assert_eq!(found, expected);
    }
}

#[test]
fn refuses_formats_that_do_not_suit() {
    let refused = |ty: FieldType, format: &str| {
        SideMap::new(vec![FieldMapping { format: Some(format.into()), ..plain("d", ty, "d") }])
            .unwrap_err()
            .to_string()
    };
    for (found, expected) in [
        (
            refused(FieldType::Date, "YYYY-MM-DD"),
            "field `d`: `YYYY-MM-DD` is no date pattern: it is written as `%Y-%m-%d %H:%M:%S`",
        ),
        (
            refused(FieldType::Date, "%Q"),
            "field `d`: `%Q` is no date pattern: it is written as `%Y-%m-%d %H:%M:%S`",
        ),
        (
            refused(FieldType::Datetime, "%H:%M"),
            "field `d`: `%H:%M` cannot be read back: it writes 2026-11-23T09:08:07.123456Z as \"09:08\"",
        ),
        (
            refused(FieldType::Date, "%m-%d"),
            "field `d`: `%m-%d` cannot be read back: it writes 2026-11-23 as \"11-23\"",
        ),
        (
            refused(FieldType::Bool, "text"),
            "field `d`: `text` is no format of this type; only string, integer, decimal, date and datetime have formats; for other words use `values`",
        ),
        (
            refused(FieldType::Decimal, "%.2f"),
            "field `d`: `%.2f` is no format of this type; for numbers there is `text`",
        ),
    ] {
        assert_eq!(found, expected);
    }
}

#[test]
fn refuses_two_fields_in_one_place() {
    let two = |a: &str, b: &str, direction| {
        let second = FieldMapping { direction, ..plain("b", FieldType::Text, b) };
        SideMap::new(vec![plain("a", FieldType::Text, a), second]).map(|_| ()).map_err(|e| e.to_string())
    };
    assert_eq!(
        two("x", "x", Direction::Both).unwrap_err(),
        "fields `a` and `b` would both be written at `x`"
    );
    assert_eq!(
        two("x", "x.y", Direction::ToSide).unwrap_err(),
        "fields `a` and `b` would both be written at `x.y`"
    );
    assert_eq!(two("x.y", "x.z", Direction::Both), Ok(()));
    assert_eq!(two("x", "x", Direction::FromSide), Ok(()));
    for path in ["", "a..b", ".", "a.", "a\\x", "a\\"] {
        assert!(FieldPath::parse(path).is_err(), "{path}");
    }
    assert!(FieldPath::parse(&["a"; 17].join(".")).is_err());
}

#[test]
fn epochs_and_numbers_in_other_clothes() {
    for (format, native, canonical, back) in [
        ("epoch_s", json!(1_772_357_400), "2026-03-01T09:30:00Z", json!(1_772_357_400)),
        ("epoch_s", json!("1772357400.5"), "2026-03-01T09:30:00.500Z", json!(1_772_357_400)),
        ("epoch_ms", json!(-1), "1969-12-31T23:59:59.999Z", json!(-1)),
        ("epoch_s", json!(-0.5), "1969-12-31T23:59:59.500Z", json!(-1)),
    ] {
        let side = one(FieldMapping { format: Some(format.into()), ..plain("t", FieldType::Datetime, "t") });
        let read = side.read(&json!({"t": native})).unwrap();
        assert_eq!(read.get("t").unwrap().to_string(), canonical, "{format} {native}");
        assert_eq!(side.write(&read).unwrap()["t"], back);
    }
    let side = one(FieldMapping { format: Some("number".into()), ..plain("id", FieldType::String, "id") });
    let read = side.read(&json!({"id": 17})).unwrap();
    assert_eq!(read, map(&[("id", "17".into())]));
    assert_eq!(side.write(&read).unwrap(), json!({"id": 17}));
    let side = one(FieldMapping { format: Some("text".into()), ..plain("n", FieldType::Decimal, "n") });
    assert_eq!(side.write(&map(&[("n", 5.into())])).unwrap(), json!({"n": "5"}));
}
