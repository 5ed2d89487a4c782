//! What an expression comes to has a bound, whatever the record is: it is told, and no memory taken.
#![allow(clippy::unwrap_used, reason = "tests may panic")]

use hms_sync_mapping::{Expressions, FieldMapping, FieldPath, SideMap};
use hms_sync_model::{FieldName, FieldType};
use serde_json::{Value as Json, json};
use std::time::{Duration, Instant};

/// What is said of a field that an expression reads from a value, if it does not read it.
fn told(expression: &str, value: &Json) -> Option<String> {
    let path = FieldPath::parse("r.f").unwrap();
    let mapping = FieldMapping {
        expressions: Some(Expressions { to: expression.into(), from: expression.into() }),
        ..FieldMapping::plain(FieldName::try_new("fee").unwrap(), FieldType::Json, path)
    };
    let map = SideMap::new(vec![mapping]).unwrap_or_else(|why| panic!("{expression}: {why:?}"));
    let began = Instant::now();
    let (_, unread) = map.read_each(&json!({ "r": { "f": value } }), false);
    assert!(began.elapsed() < Duration::from_secs(10), "{expression} took {:?}", began.elapsed());
    unread.first().map(|why| {
        let cause = std::error::Error::source(why).map(|why| format!(": {why}")).unwrap_or_default();
        format!("{why}{cause}")
    })
}

/// Each of these comes to more than it may. The counts are such that a machine bears it where it
/// is not stopped; with others it would not.
#[test]
fn what_is_too_large_is_told_with_its_field() {
    let long = "a".repeat(100_000);
    let list = json!(["a", ["b", 1], { "c": null }]);
    for (expression, value, words) in [
        ("value * 200000", &list, "a list cannot be multiplied"),
        ("200000 * value", &list, "a list cannot be multiplied"),
        ("[value] * 200000", &json!(1), "a list cannot be multiplied"),
        ("[[value] * 999] * 999", &json!(1), "a list cannot be multiplied"),
        ("(value * 200000) ~ ' EUR'", &list, "a list cannot be multiplied"),
        ("(value * 200000) in 'abc'", &list, "a list cannot be multiplied"),
        ("value[1:] * 100000", &list, "a list cannot be multiplied"),
        ("(value | list) * 100000", &list, "a list cannot be multiplied"),
        ("(1, value) * 200000", &list, "a list cannot be multiplied"),
        ("(value * 200000)[0]", &list, "a list cannot be multiplied"),
        // One text in many places.
        ("[0] | batch(9999, value)", &json!(long), "too large"),
        ("[0] | batch(999, [0] | batch(999, value)) | string", &json!(1), "too large"),
        ("[0] | batch(999, value) | join", &json!(long), "too large"),
        ("[0] | slice(9999, value)", &json!(long), "too large"),
        ("range(99999) | map('string') | list", &json!(1), "fuel"),
        ("[range(99999), range(99999)]", &json!(1), "too large"),
        ("value * 99999", &json!(long), "fuel"),
        ("value ~ value * 99999", &json!(long), "fuel"),
        ("value | replace('a', value)", &json!(long), "fuel"),
        ("value | indent(99999999)", &json!("a\nb"), "fuel"),
        ("'%99999999s' | format(value)", &json!("a"), "fuel"),
        ("'%.99999999f' | format(1.5)", &json!("a"), ""),
        ("value | list | join(value)", &json!(long), "fuel"),
        ("{ value: [0] | batch(999, value) | list }", &json!(long), "too large"),
    ] {
        let said = told(expression, value).unwrap_or_else(|| panic!("{expression} came to something"));
        assert!(said.contains(words) && said.contains("fee"), "{expression}: {said}");
        assert!(said.len() < 500, "{expression}: {said}");
    }
}

/// What was used before is used still.
#[test]
fn what_is_not_too_large_is_as_it_was() {
    let long = json!("a".repeat(200_000));
    let list = json!((0..5_000).map(|n| json!({ "id": n, "tags": ["x", n] })).collect::<Vec<_>>());
    for (expression, value) in [
        ("value", &list),
        ("value | map(attribute='id') | sum * 100", &list),
        ("value + value", &list),
        ("value | map(attribute='id') | join(',')", &list),
        ("[value[0].id in [0], value[-1]['tags'][1] * 1e-5 * -2]", &list),
        ("(value | list | length * 3) ~ ' a'", &list),
        ("value ~ '-' ~ value", &long),
        ("value | upper | replace('A', 'b') | trim", &long),
        ("'-' * 70 ~ value", &json!("a")),
        ("value is defined and value is not none and value not in ['a', 'b']", &json!("c")),
        ("value.x | default(1) * 2", &json!({ "a": 1 })),
        ("(value | split('-') | list)[1] | int * 2 ~ 'a'", &json!("a-17")),
    ] {
        assert_eq!(told(expression, value), None, "{expression}");
    }
}
