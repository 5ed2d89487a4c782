//! The laws of the mapping, over generated types, formats, value maps and values.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, reason = "tests may panic")]

use hms_sync_mapping::{Direction, FieldMapping, FieldPath, SideMap, ValueMap, canonical};
use hms_sync_model::{Date, Decimal, ElementKey, FieldMap, FieldName, FieldType, Time, Value};
use proptest::prelude::*;
use serde_json::{Value as Json, json};

fn json_value() -> impl Strategy<Value = Json> {
    let leaf = prop_oneof![
        Just(Json::Null),
        any::<bool>().prop_map(Json::from),
        any::<i64>().prop_map(Json::from),
        any::<f64>().prop_map(Json::from),
        "-?(0|[1-9][0-9]{0,30})(\\.[0-9]{1,30})?([eE][-+]?[0-9]{1,4})?"
            .prop_map(|digits| serde_json::from_str(&digits).unwrap()),
        ".{0,12}".prop_map(Json::from),
        Just(json!("2026-03-01")),
        Just(json!("2026-03-01T09:30:00.5+02:00")),
        Just(json!("12.50")),
        Just(json!("a\r\nb\n\n")),
        Just(json!("e\u{301}")),
        Just(json!("pending")),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Json::from),
            prop::collection::btree_map("[a-c.\\\\]{0,2}", inner, 0..4)
                .prop_map(|members| Json::Object(members.into_iter().collect())),
        ]
    })
}

fn words() -> FieldType {
    FieldType::Enum(["pending", "approved", "denied", "revoked"].map(Into::into).to_vec())
}

fn scalar_type() -> impl Strategy<Value = FieldType> {
    prop_oneof![
        Just(FieldType::String),
        Just(FieldType::Text),
        Just(FieldType::Integer),
        Just(FieldType::Decimal),
        Just(FieldType::Bool),
        Just(FieldType::Date),
        Just(FieldType::Datetime),
        Just(words()),
        Just(FieldType::Json),
    ]
}

fn any_type() -> impl Strategy<Value = FieldType> {
    let by_key = || FieldType::Set(Box::new(FieldType::Object(ElementKey::new(["ref", "id"]))));
    prop_oneof![
        8 => scalar_type(),
        2 => scalar_type().prop_map(|of| FieldType::Set(Box::new(of))),
        1 => Just(by_key()),
    ]
}

/// Objects, each with another key.
fn objects(key: &ElementKey) -> BoxedStrategy<Value> {
    let id = prop_oneof![any::<i8>().prop_map(Json::from), "[a-z]{0,3}".prop_map(Json::from)];
    let key = key.clone();
    let all = prop::collection::vec((id, json_value()), 0..5).prop_map(|all| {
        all.into_iter()
            .map(|(id, rest)| json!({ "ref": { "id": id, "a": rest.clone() }, "b": rest }))
            .collect::<Vec<_>>()
    });
    all.prop_map(move |mut all| {
        let mut known = Vec::new();
        all.retain(|element| {
            let id = key.of_json(element).unwrap();
            let is_new = !known.contains(&id);
            known.push(id);
            is_new
        });
        Value::set(all.iter().map(|element| canonical(&FieldType::Json, element).unwrap()))
    })
    .boxed()
}

/// A canonical value of a type, made without the code under test.
fn value_of(ty: &FieldType) -> BoxedStrategy<Value> {
    let some = match ty {
        FieldType::String => {
            prop_oneof![".{0,8}", "[0-9]{1,3}", Just(String::new())].prop_map(Value::text).boxed()
        }
        FieldType::Text => "[a-zé ]{0,8}".prop_map(Value::text).boxed(),
        FieldType::Integer => any::<i64>().prop_map(Value::from).boxed(),
        FieldType::Decimal => (any::<i64>(), 0..6_u32)
            .prop_map(|(n, e)| Value::Number(Decimal::parse(&format!("{n}e-{e}")).unwrap()))
            .boxed(),
        FieldType::Bool => any::<bool>().prop_map(Value::Bool).boxed(),
        // From 1600 to 2400: what the patterns can write.
        FieldType::Date => (-135_000..157_000_i32).prop_map(|d| Value::Date(Date(d))).boxed(),
        FieldType::Datetime => (-11_000_000_000_000_000..13_000_000_000_000_000_i64)
            .prop_map(|t| Value::Datetime(Time(t)))
            .boxed(),
        FieldType::Enum(all) => prop::sample::select(all.clone()).prop_map(Value::Text).boxed(),
        FieldType::Json => json_value()
            .prop_filter_map("null is null under every type", |j| canonical(&FieldType::Json, &j).ok())
            .boxed(),
        FieldType::Object(_) => unreachable!("objects stand in sets"),
        FieldType::Set(of) if let FieldType::Object(key) = &**of => objects(key),
        FieldType::Set(of) => {
            let element = value_of(of).prop_filter("nothing absent stands in a set", |v| *v != Value::Absent);
            prop::collection::vec(element, 0..5).prop_map(Value::set).boxed()
        }
    };
    prop_oneof![12 => some, 1 => Just(Value::Null), 1 => Just(Value::Absent)].boxed()
}

fn element(ty: &FieldType) -> &FieldType {
    if let FieldType::Set(of) = ty { of } else { ty }
}

fn formats_of(ty: &FieldType) -> Vec<Option<&'static str>> {
    match element(ty) {
        FieldType::String => vec![None, Some("number")],
        FieldType::Integer | FieldType::Decimal => vec![None, Some("text")],
        FieldType::Date => vec![None, Some("%d.%m.%Y"), Some("%Y%m"), Some("%Y-%m-%dT00:00:00Z")],
        FieldType::Datetime => vec![
            None,
            Some("%Y-%m-%d"),
            Some("%Y-%m-%d %H:%M:%S"),
            Some("%Y-%m-%d %H:%M"),
            Some("%d/%m/%Y %I:%M %p"),
            Some("%Y-%m-%dT%H:%M:%S%.3f%:z"),
            Some("%Y-%m"),
            Some("%s"),
            Some("epoch_s"),
            Some("epoch_ms"),
        ],
        _ => vec![None],
    }
}

fn value_maps_of(ty: &FieldType) -> Vec<Option<ValueMap>> {
    let pairs = |p: &[(&str, Json)]| p.iter().map(|(k, n)| ((*k).to_owned(), n.clone())).collect();
    match element(ty) {
        FieldType::Enum(_) => vec![
            None,
            Some(ValueMap {
                pairs: pairs(&[
                    ("pending", json!(1)),
                    ("approved", json!("OK")),
                    ("denied", json!(false)),
                    ("revoked", json!(null)),
                ]),
                ..ValueMap::default()
            }),
            Some(ValueMap {
                pairs: pairs(&[("pending", json!("P")), ("approved", json!("OK"))]),
                otherwise_to: Some(json!("OTHER")),
                otherwise_from: Some("pending".to_owned()),
            }),
            Some(ValueMap {
                pairs: pairs(&[("pending", json!("P")), ("approved", json!("OK"))]),
                otherwise_to: Some(json!("OK")),
                otherwise_from: None,
            }),
        ],
        FieldType::Bool => {
            vec![
                None,
                Some(ValueMap {
                    pairs: pairs(&[("true", json!(1)), ("false", json!(0))]),
                    ..ValueMap::default()
                }),
            ]
        }
        _ => vec![None],
    }
}

fn name() -> FieldName {
    FieldName::try_new("f").unwrap()
}

/// A field on a side, in every way it can be configured.
fn mapping() -> impl Strategy<Value = FieldMapping> {
    let null_as = prop_oneof![3 => Just(None), 1 => Just(Some(json!(""))), 1 => Just(Some(json!(0)))];
    let path = prop::sample::select(vec!["f", "a.b", "a\\.b", "a.b.c.d"]);
    (any_type(), any::<prop::sample::Index>(), any::<prop::sample::Index>(), null_as, path).prop_map(
        |(ty, format, values, null_as, path)| {
            let (formats, maps) = (formats_of(&ty), value_maps_of(&ty));
            FieldMapping {
                format: formats[format.index(formats.len())].map(str::to_owned),
                values: maps[values.index(maps.len())].clone(),
                null_as,
                ..FieldMapping::plain(name(), ty, FieldPath::parse(path).unwrap())
            }
        },
    )
}

fn case() -> impl Strategy<Value = (SideMap, FieldType, Value, Value)> {
    mapping().prop_flat_map(|mapping| {
        let ty = mapping.ty.clone();
        let side = SideMap::new(vec![mapping]).unwrap();
        (Just(side), Just(ty.clone()), value_of(&ty), value_of(&ty))
    })
}

/// Some fields of a record that lie in each other's objects, in no order, with values.
fn record() -> impl Strategy<Value = (SideMap, FieldMap)> {
    const PATHS: [&str; 8] = ["b.d.e", "a", "b.c", "b\\.c", "é\"", "b.d.f.g", "c.a", "b.d.f.h"];
    let one =
        mapping().prop_flat_map(|mapping| (Just(mapping.clone()), prop::option::of(value_of(&mapping.ty))));
    prop::collection::vec(one, PATHS.len()).prop_map(|all| {
        let named = all.into_iter().zip(PATHS).enumerate().map(|(n, ((mapping, value), path))| {
            let field = FieldName::try_new(format!("f{n}")).unwrap();
            let path = FieldPath::parse(path).unwrap();
            (FieldMapping { field: field.clone(), path, ..mapping }, value.map(|value| (field, value)))
        });
        let (mappings, values): (Vec<_>, Vec<_>) = named.unzip();
        (SideMap::new(mappings).unwrap(), values.into_iter().flatten().collect())
    })
}

/// Once failed: one element that cannot be written makes the side show the whole set as it is.
#[test]
fn a_set_of_which_a_part_does_not_fit_is_put_back_as_shown() {
    let ty = FieldType::Set(Box::new(FieldType::String));
    let mapping = FieldMapping::plain(name(), ty, FieldPath::parse("f").unwrap());
    let side = SideMap::new(vec![FieldMapping { format: Some("number".to_owned()), ..mapping }]).unwrap();
    let set = |words: &[&str]| Value::set(words.iter().map(|word| Value::text(*word)));
    let (source, view) = (set(&["08"]), set(&["", "8"]));
    assert_eq!(side.image(&name(), &view), view);
    let put = side.put(&name(), &view, &source);
    assert_eq!(side.image(&name(), &put), view);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(10_000))]

    #[test]
    fn lens_getput((side, _, source, _) in case()) {
        prop_assert_eq!(side.put(&name(), &side.image(&name(), &source), &source), source);
    }

    /// A view is whatever the side can show: the image of any value.
    #[test]
    fn lens_putget((side, _, source, other) in case()) {
        let view = side.image(&name(), &other);
        let put = side.put(&name(), &view, &source);
        prop_assert_eq!(side.image(&name(), &put), view);
    }

    #[test]
    fn image_is_what_comes_back((side, _, value, _) in case()) {
        let fields: FieldMap = [(name(), value.clone())].into_iter().collect();
        if let Ok(doc) = side.write(&fields) {
            let back = side.read(&doc).map(|fields| fields.get(&name()).cloned());
            prop_assert_eq!(back, Ok(Some(side.image(&name(), &value))));
        }
    }

    #[test]
    fn image_is_a_fixpoint((side, _, value, _) in case()) {
        let once = side.image(&name(), &value);
        prop_assert_eq!(side.image(&name(), &once), once);
    }

    /// What is canonical, written plainly and read again, is the same value.
    #[test]
    fn canonical_is_a_fixpoint(ty in any_type(), json in json_value()) {
        if let Ok(value) = canonical(&ty, &json) {
            let side = SideMap::new(vec![FieldMapping::plain(name(), ty.clone(), FieldPath::parse("f").unwrap())]).unwrap();
            let doc = side.write(&[(name(), value.clone())].into_iter().collect()).unwrap();
            prop_assert_eq!(canonical(&ty, &doc["f"]).unwrap(), value);
        }
    }

    /// Whatever a side sends: a value or an error that fits in a line.
    #[test]
    fn reading_never_panics(mapping in mapping(), doc in json_value()) {
        let side = SideMap::new(vec![mapping]).unwrap();
        for doc in [doc.clone(), json!({ "f": doc.clone() }), json!({ "a": { "b": doc } })] {
            for read in [side.read(&doc), side.read_partial(&doc)] {
                if let Err(error) = read {
                    let text = error.to_string();
                    prop_assert!(text.starts_with("field `f` at `"), "{}", text);
                    prop_assert!(text.len() < 1_500 && !text.contains(char::is_control), "{}", text);
                }
            }
        }
    }

    /// Formats and paths of any text compile or are refused.
    #[test]
    fn compiling_never_panics(format in "(%[-_0]?[a-zA-Z%.:+]{1,2}|[ .:/T-]){0,8}|.{0,8}", path in ".{0,12}", at: i64, day: i32) {
        let Ok(path) = FieldPath::parse(&path) else { return Ok(()) };
        prop_assert_eq!(FieldPath::parse(&path.to_string()).unwrap(), path.clone());
        for ty in [FieldType::Date, FieldType::Datetime] {
            let value = if ty == FieldType::Date { Value::Date(Date(day)) } else { Value::Datetime(Time(at)) };
            let mapping = FieldMapping { format: Some(format.clone()), ..FieldMapping::plain(name(), ty, path.clone()) };
            if let Ok(side) = SideMap::new(vec![mapping]) {
                let image = side.image(&name(), &value);
                prop_assert_eq!(side.put(&name(), &image, &value), value);
            }
        }
    }

    /// What is written as text is what is written as a value.
    #[test]
    fn text_and_value_are_the_same((side, fields) in record()) {
        let (value, text) = (side.write(&fields), side.write_text(&fields));
        prop_assert_eq!(value.map(|doc| doc.to_string()).ok(), text.ok());
    }

    #[test]
    fn fields_that_are_not_taken_are_not_written(value in value_of(&FieldType::Text)) {
        let plain = FieldMapping::plain(name(), FieldType::Text, FieldPath::parse("f").unwrap());
        let side = SideMap::new(vec![FieldMapping { direction: Direction::FromSide, ..plain }]).unwrap();
        let fields = [(name(), value)].into_iter().collect();
        prop_assert_eq!(side.write(&fields).unwrap(), json!({}));
        prop_assert_eq!(side.write_text(&fields).unwrap(), "{}");
    }
}
