//! `normalize`: what it makes is a fixpoint, and a side that reformats changes nothing.
#![allow(clippy::unwrap_used, reason = "tests may panic")]

use hms_sync_mapping::{FieldMapping, FieldPath, Normal, SideMap, ValueMap};
use hms_sync_model::{FieldName, FieldType, Value};
use proptest::prelude::*;
use serde_json::{Value as Json, json};

fn name() -> FieldName {
    FieldName::try_new("f").unwrap()
}

fn mapping(ty: FieldType, steps: &[Normal]) -> FieldMapping {
    let plain = FieldMapping::plain(name(), ty, FieldPath::parse("f").unwrap());
    FieldMapping { normalize: steps.to_vec(), ..plain }
}

fn side(ty: FieldType, steps: &[Normal]) -> SideMap {
    SideMap::new(vec![mapping(ty, steps)]).unwrap()
}

fn read(side: &SideMap, json: Json) -> Value {
    side.read(&json!({ "f": json })).unwrap().get(&name()).unwrap().clone()
}

#[test]
fn each_step_does_what_it_says() {
    for (steps, given, expected) in [
        (&[Normal::Trim][..], " \u{a0}two  words\t\n", "two  words"),
        (&[Normal::Collapse], " two \n\t words ", " two words "),
        (&[Normal::Collapse, Normal::Trim], " two \n\t words ", "two words"),
        (&[Normal::Lower], "STRA\u{1e9e}E \u{130}", "stra\u{df}e i\u{307}"),
        (&[Normal::Upper], "stra\u{df}e", "STRASSE"),
        (&[Normal::Nfc], "e\u{301}", "\u{e9}"),
        (&[Normal::Nfc, Normal::Lower, Normal::Trim], " E\u{301} ", "\u{e9}"),
        (&[], " as it is ", " as it is "),
    ] {
        assert_eq!(read(&side(FieldType::String, steps), json!(given)), Value::from(expected), "{steps:?}");
    }
    let set = side(FieldType::Set(Box::new(FieldType::String)), &[Normal::Lower]);
    assert_eq!(read(&set, json!(["B", "a", "A"])), Value::set(["a", "b"].map(Value::from)));
    assert_eq!(read(&set, Json::Null), Value::Null);
}

#[test]
fn a_side_that_reformats_changes_nothing() {
    let side = side(FieldType::String, &[Normal::Trim, Normal::Lower]);
    let held = Value::from(" Ada ");
    // What stood there before `normalize` was said, and what a side makes of it.
    assert_eq!(side.image(&name(), &held), "ada".into());
    assert_eq!(side.put(&name(), &"ada".into(), &held), held);
    assert_eq!(side.put(&name(), &"eve".into(), &held), "eve".into());
}

#[test]
fn it_is_for_text_and_not_beside_words() {
    for ty in [FieldType::Integer, FieldType::Bool, FieldType::Json, FieldType::Enum(vec!["a".into()])] {
        SideMap::new(vec![mapping(ty, &[Normal::Trim])]).unwrap_err();
    }
    let values = Some(ValueMap { pairs: vec![("A".to_owned(), json!("x"))], ..ValueMap::default() });
    let why = SideMap::new(vec![FieldMapping { values, ..mapping(FieldType::String, &[Normal::Lower]) }]);
    assert!(why.unwrap_err().to_string().contains("does not go with `values`"));
}

proptest! {
    #[test]
    fn what_is_made_is_a_fixpoint(
        text in "\\PC{0,8}|[aA\u{130}\u{df}\u{301}\u{1e9e}\u{3a3} \u{a0}\r\n\t]{0,12}",
        steps in prop::sample::subsequence(
            vec![Normal::Trim, Normal::Collapse, Normal::Nfc, Normal::Lower, Normal::Upper], 0..5,
        ).prop_shuffle(),
        people in any::<bool>(),
    ) {
        let steps: Vec<Normal> =
            steps.into_iter().filter(|step| *step != Normal::Upper || text.is_ascii()).collect();
        prop_assume!(!(steps.contains(&Normal::Upper) && steps.contains(&Normal::Lower)));
        let side = side(if people { FieldType::Text } else { FieldType::String }, &steps);
        let value = read(&side, json!(text));
        let again = read(&side, json!(value.as_text().unwrap()));
        prop_assert_eq!(&again, &value);
        prop_assert_eq!(side.image(&name(), &value), value);
    }
}
