//! Sets of objects that are known by a key: what they take, refuse and write.
#![allow(clippy::unwrap_used, reason = "tests may panic")]

use hms_sync_mapping::{FieldMapping, FieldPath, Finding, SideMap, ValueMap, canonical};
use hms_sync_model::{ElementKey, FieldName, FieldType, Value};
use serde_json::json;

fn lines(key: &[&str]) -> FieldType {
    FieldType::Set(Box::new(FieldType::Object(ElementKey::new(key.iter().copied()))))
}

fn field() -> FieldName {
    FieldName::try_new("lines").unwrap()
}

fn mapping(key: &[&str]) -> FieldMapping {
    FieldMapping::plain(field(), lines(key), FieldPath::parse("lines").unwrap())
}

#[test]
fn order_and_form_of_objects_do_not_count() {
    let ty = lines(&["id"]);
    let one = canonical(&ty, &json!([{ "n": 1.0, "id": 2 }, { "id": "a", "x": { "c": 1, "b": null } }]));
    let other = canonical(&ty, &json!([{ "x": { "b": null, "c": 1 }, "id": "a" }, { "id": 2.0, "n": 1 }]));
    assert_eq!(one, other);
    assert_eq!(one.unwrap().to_string(), r#"{{"id":"a","x":{"b":null,"c":1}}, {"id":2,"n":1}}"#);
}

#[test]
fn what_has_no_key_or_anothers_is_refused_with_words() {
    let refused = |json| canonical(&lines(&["ref", "no"]), &json).unwrap_err().to_string();
    for (json, words) in [
        (
            json!([{ "ref": 1 }]),
            "found an object of 1 members, expected an object with text or a number at `ref.no`",
        ),
        (
            json!([{ "ref": { "no": null } }]),
            "found an object of 1 members, expected an object with text or a number at `ref.no`",
        ),
        (json!([1]), "found 1, expected an object with text or a number at `ref.no`"),
        (json!([[]]), "found an array of 0, expected an object with text or a number at `ref.no`"),
        (json!({ "ref": { "no": 1 } }), "found an object of 1 members, expected an array"),
        (
            json!([{ "ref": { "no": 1 } }, { "ref": { "no": 1.0 }, "x": 1 }]),
            "found two elements with 1 at `ref.no`, expected each key once",
        ),
    ] {
        assert_eq!(refused(json), words);
    }
    // A text and a number are two keys.
    assert!(canonical(&lines(&["id"]), &json!([{ "id": 1 }, { "id": "1" }])).is_ok());
}

#[test]
fn a_side_is_given_objects_in_the_order_of_their_keys() {
    let side = SideMap::new(vec![mapping(&["id"])]).unwrap();
    let shown = json!({ "lines": [{ "id": 10, "a": 1 }, { "id": 9, "b": 2 }, { "id": "z", "a": 0 }] });
    let fields = side.read(&shown).unwrap();
    let given = json!({ "lines": [{ "b": 2, "id": 9 }, { "a": 1, "id": 10 }, { "a": 0, "id": "z" }] });
    assert_eq!(side.write(&fields).unwrap(), given);
    assert_eq!(side.read(&side.write(&fields).unwrap()).unwrap(), fields);
    assert_eq!(serde_json::from_str::<serde_json::Value>(&side.write_text(&fields).unwrap()).unwrap(), given);
    let wrong = [(field(), Value::set(["text".into()]))].into_iter().collect();
    assert!(side.write(&wrong).unwrap_err().to_string().contains("an object with text or a number at `id`"));
}

#[test]
fn the_way_of_objects_is_tried_and_values_and_formats_are_refused() {
    let side = SideMap::new(vec![mapping(&["ref", "id"])]).unwrap();
    assert_eq!(side.findings(&field(), &[]), []);
    let null_as = FieldMapping { null_as: Some("".into()), ..mapping(&["id"]) };
    let found = SideMap::new(vec![null_as]).unwrap().findings(&field(), &[]);
    assert!(!found.iter().any(Finding::is_mistake), "{found:?}");
    let pairs = vec![("a".to_owned(), json!("b"))];
    let values = FieldMapping { values: Some(ValueMap { pairs, ..ValueMap::default() }), ..mapping(&["id"]) };
    assert!(SideMap::new(vec![values]).unwrap_err().to_string().contains("elements of this set are objects"));
    let format = FieldMapping { format: Some("text".to_owned()), ..mapping(&["id"]) };
    assert!(SideMap::new(vec![format]).is_err());
}
