//! What is written to a side must come back: over generated types, formats, value maps,
//! expressions and values, what is found is true, and what is not found holds.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests may panic")]

use hms_sync_mapping::{Expressions, FieldMapping, FieldPath, Finding, SideMap, ValueMap};
use hms_sync_model::{Decimal, FieldMap, FieldName, FieldType, Value};
use proptest::prelude::*;
use serde_json::{Value as Json, json};

fn name() -> FieldName {
    FieldName::try_new("f").unwrap()
}

fn side(ty: FieldType, change: impl FnOnce(&mut FieldMapping)) -> SideMap {
    let mut mapping = FieldMapping::plain(name(), ty, FieldPath::parse("f").unwrap());
    change(&mut mapping);
    SideMap::new(vec![mapping]).unwrap()
}

fn words() -> FieldType {
    FieldType::Enum(["pending", "approved"].map(Into::into).to_vec())
}

fn pair(to: &str, from: &str) -> Expressions {
    Expressions { to: to.to_owned(), from: from.to_owned() }
}

fn told(side: &SideMap, samples: &[Value]) -> Vec<String> {
    side.findings(&name(), samples).iter().map(ToString::to_string).collect()
}

#[test]
fn each_finding_shows_a_value() {
    let number = |digits: &str| Value::Number(Decimal::parse(digits).unwrap());
    let map = |pairs: &[(&str, Json)], to: Option<Json>| ValueMap {
        pairs: pairs.iter().map(|(key, word)| ((*key).to_owned(), word.clone())).collect(),
        otherwise_to: to,
        otherwise_from: None,
    };
    let one = [("pending", json!("P"))];
    let unlisted = side(words(), |m| m.values = Some(map(&one, None)));
    assert_eq!(
        told(&unlisted, &[]),
        ["\"approved\" cannot be written: expected one of the values of its value map: pending"]
    );
    let otherwise = side(words(), |m| m.values = Some(map(&one, Some(json!("P")))));
    assert_eq!(
        told(&otherwise, &[]),
        ["\"approved\" is written as \"P\", which is read back as \"pending\""]
    );
    let day = side(FieldType::Datetime, |m| m.format = Some("%Y-%m-%d".into()));
    assert_eq!(
        told(&day, &[]),
        ["2026-11-23T09:08:07Z is written as \"2026-11-23\", which is read back as 2026-11-23T00:00:00Z"]
    );
    let rounded = side(FieldType::Decimal, |m| m.expressions = Some(pair("value | round(2)", "value")));
    let found = told(&rounded, &[number("12.345")]);
    assert_eq!(found, ["12.345 is written as 12.35, which is read back as 12.35"]);
    let digits = side(FieldType::String, |m| m.format = Some("number".into()));
    assert_eq!(told(&digits, &[]), ["\"08\" is written as 8, which is read back as \"8\""]);
    let empty = side(FieldType::Text, |m| m.null_as = Some(json!("")));
    assert_eq!(told(&empty, &[]), ["\"\" is written as \"\", which is read back as null"]);
    for plain in
        [FieldType::String, FieldType::Text, FieldType::Decimal, FieldType::Date, words(), FieldType::Json]
    {
        assert_eq!(told(&side(plain, |_| {}), &[]), [""; 0]);
    }
}

#[test]
fn a_pair_that_breaks_a_law_is_a_mistake() {
    let mistakes = |to: &str, from: &str| {
        let side = side(FieldType::Integer, |m| m.expressions = Some(pair(to, from)));
        let found = side.findings(&name(), &[]);
        found.into_iter().filter(Finding::is_mistake).map(|finding| finding.to_string()).collect::<Vec<_>>()
    };
    assert_eq!(mistakes("value * 3", "value // 3"), [""; 0]);
    assert!(mistakes("value * 2", "value")[0].contains("it would never come to rest"));
    assert!(mistakes("'n/a'", "value")[0].contains("which cannot be read: expected a whole number"));
    assert_eq!(mistakes("'P-' ~ value", "value[2:]"), [""; 0]);
}

#[test]
fn an_expression_that_runs_for_ever_is_stopped() {
    let side = side(FieldType::Integer, |m| {
        m.expressions = Some(pair("range(100000) | map('string') | join | length", "value"));
    });
    let fields: FieldMap = [(name(), Value::from(1))].into_iter().collect();
    let why = side.write(&fields).unwrap_err().to_string();
    assert!(why.starts_with("field `f` cannot be written at `f`"), "{why}");
}

fn mapping() -> impl Strategy<Value = FieldMapping> {
    let plain = |ty| FieldMapping::plain(name(), ty, FieldPath::parse("f").unwrap());
    let formats =
        prop::sample::select(vec!["%d.%m.%Y", "%Y-%m", "%Y-%m-%d %H:%M", "epoch_s", "epoch_ms", "%d.%m.%y"]);
    let pairs = vec![
        ("value", "value"),
        ("value * 10", "value / 10"),
        ("value | int", "value"),
        ("value + 1", "value - 1"),
    ];
    prop_oneof![
        formats.prop_map(move |f| FieldMapping { format: Some(f.into()), ..plain(FieldType::Datetime) }),
        prop::sample::select(pairs).prop_map(move |(to, from)| FieldMapping {
            expressions: Some(pair(to, from)),
            ..plain(FieldType::Integer)
        }),
        prop::sample::select(vec![json!(""), json!(0)])
            .prop_map(move |null| FieldMapping { null_as: Some(null), ..plain(FieldType::String) }),
        Just(plain(FieldType::Decimal)),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// What is said to be lost is lost, and of what nothing is said the laws hold.
    #[test]
    fn what_is_found_is_true(mapping in mapping(), n in 0..2_000_000_000_000_i64) {
        let ty = mapping.ty.clone();
        let side = SideMap::new(vec![mapping]).unwrap();
        let found = side.findings(&name(), &[]);
        for finding in &found {
            if let Finding::Lossy { value, written, back } = finding {
                prop_assert_eq!(&side.write(&[(name(), value.clone())].into_iter().collect()).unwrap()["f"], written);
                prop_assert_eq!(&side.image(&name(), value), back);
                prop_assert_ne!(value, back);
            }
        }
        prop_assume!(!found.iter().any(Finding::is_mistake));
        let value = match ty {
            FieldType::Datetime => Value::Datetime(hms_sync_model::Time(n * 1_000)),
            FieldType::Integer => Value::from(n % 1_000_000),
            _ => return Ok(()),
        };
        let image = side.image(&name(), &value);
        prop_assert_eq!(side.image(&name(), &image), image.clone());
        prop_assert_eq!(side.put(&name(), &image, &value), value);
    }
}
