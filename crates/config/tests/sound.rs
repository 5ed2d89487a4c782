//! What is right comes through, and the schema, the reference and the code
//! name the same keys.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, reason = "tests may panic")]

use hms_sync_config::{Config, load, parse, schema};
use hms_sync_model::{ElementKey, FieldName, Value};
use hms_sync_resolver::{Deletes, Kind, Policy};
use serde_json::Value as Json;
use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

fn nothing(_: &str) -> Option<String> {
    None
}

fn env(name: &str) -> Option<String> {
    match name {
        "TOKEN" => Some("12345".to_owned()),
        "CONCURRENCY" => Some("8".to_owned()),
        "ATTEMPTS" => Some("3".to_owned()),
        "HMS_SYNC_SECRET_COMMANDS" => Some("allow".to_owned()),
        _ => None,
    }
}

fn full() -> Config {
    parse("full.yaml", include_str!("data/full.yaml"), &env).unwrap_or_else(|errors| panic!("{errors}"))
}

fn field(name: &str) -> FieldName {
    FieldName::try_new(name).unwrap()
}

#[test]
fn all_examples_are_right() {
    let tokens = |name: &str| name.ends_with("_TOKEN").then(|| "t0ken".to_owned());
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/examples");
    let mut found = 0;
    for file in std::fs::read_dir(folder).unwrap() {
        let path = file.unwrap().path();
        if path.extension().is_some_and(|end| end == "yaml") {
            found += 1;
            load(&path, &tokens).unwrap_or_else(|errors| panic!("{errors}"));
        }
    }
    assert!(found >= 2, "{found} examples");
}

/// Whoever asks from another folder asks the same log.
#[test]
fn data_lies_beside_the_file_whatever_folder_the_process_is_in() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/examples");
    let config = load(&folder.join("permit-sync.yaml"), &nothing).unwrap();
    assert_eq!(config.data_dir, folder.join("./permit-sync"));
    let elsewhere = |name: &str| match name {
        "DATA_DIR" => Some("/var/lib/permits".to_owned()),
        name => name.ends_with("_TOKEN").then(|| "t0ken".to_owned()),
    };
    let config = load(&folder.join("pocketbase.yaml"), &elsewhere).unwrap();
    assert_eq!(config.data_dir, Path::new("/var/lib/permits"));
}

#[test]
fn the_permit_example_says_what_it_seems_to() {
    let yaml = include_str!("../../../docs/examples/permit-sync.yaml");
    let config = parse("permit-sync.yaml", yaml, &nothing).unwrap();
    assert_eq!((config.sync.as_str(), config.management.port()), ("PermitSync", 7070));
    let permit = config.collections.get("permit").unwrap();
    assert_eq!(permit.identity, [field("permit_no")]);
    assert_eq!((permit.guard.max_deletes, permit.guard.max_deletes_percent), (20, 10));
    assert_eq!((permit.guard.max_regressions, permit.guard.max_regressions_percent), (20, 10));
    let (clerk, marshal) = (permit.sides.get("clerk").unwrap(), permit.sides.get("marshal").unwrap());
    assert_eq!(clerk.poll_interval, Some(Duration::from_secs(5)));
    assert_eq!(marshal.full_interval, Some(Duration::from_hours(1)));
    assert_eq!(clerk.settle_window, Duration::from_secs(30));
    assert!(marshal.map.takes(&field("fee")) && !marshal.map.gives(&field("fee")));
    assert!(!marshal.map.takes(&field("applicant")));
    assert_eq!(config.sides.get("marshal").unwrap().retry.max_attempts, 10);
    let status = permit.rules.field(&field("status")).unwrap();
    let values = ["revoked", "denied", "approved", "pending"].map(Value::from).to_vec();
    assert_eq!(status.resolve, [Policy::Precedence(values), Policy::LastWriterWins]);
}

#[test]
fn every_key_at_once() {
    let config = full();
    assert_eq!(config.management.to_string(), "0.0.0.0:7070");
    let audit = &config.audit;
    assert_eq!(audit.origin.as_ref().unwrap().as_str(), "log.example/permits");
    assert_eq!((audit.every_events, audit.every), (500, Duration::from_secs(3)));
    assert_eq!(audit.witnesses[0].key.name().as_str(), "witness.example/w");
    let clerk = config.sides.get("clerk").unwrap();
    assert_eq!((clerk.retry.max_attempts, clerk.http.max_concurrency), (3, 8));
    assert!(!format!("{config:?}").contains("12345"), "secrets have no way out");
    let permit = config.collections.get("permit").unwrap();
    let rule = |name: &str| permit.rules.field(&field(name)).unwrap().clone();
    assert_eq!(permit.rules.deletes(), Deletes::Manual);
    assert_eq!(rule("tags").kind, Kind::Set { remove_wins: true });
    assert_eq!(rule("lines").kind, Kind::Set { remove_wins: true });
    assert_eq!(rule("lines").key(), Some(&ElementKey::new(["ref", "no"])));
    assert_eq!(rule("parts").kind, Kind::Set { remove_wins: false });
    assert_eq!(rule("parts").key(), Some(&ElementKey::new(["id"])));
    assert_eq!(rule("visits").kind, Kind::Counter);
    assert_eq!(rule("grade").locks, [Value::from("b"), Value::from("a")]);
    assert_eq!(rule("extra").resolve, [Policy::LastWriterWins]);
    assert!(rule("phone").owner.unwrap().unless_blank);
    assert_eq!(permit.personal.iter().map(FieldName::as_str).collect::<Vec<_>>(), ["phone"]);
    assert_eq!(permit.rules.groups().len(), 1);
    assert_eq!(rule("status").locks, [Value::from("revoked")]);
    assert_eq!(permit.sides.get("clerk").unwrap().settle_window, Duration::from_secs(5));
}

#[test]
fn a_subscriber_is_told_and_has_nothing_else() {
    let yaml = |tenant: &str, part: &str| {
        format!(
            "sync: Told\nsides:\n  clerk: {{ connector: http, url: 'http://127.0.0.1:1' }}\n  tenant: {tenant}\n\
             collections:\n  permit:\n    identity: [no]\n    sides:\n      clerk: {{ read: {{ path: /p }} }}\n      \
             tenant: {part}\n    fields:\n      \
             no: {{ type: string, clerk: {{ path: no, direction: from_side }}, tenant: number }}\n"
        )
    };
    let tenant = "{ connector: subscriber, url: 'http://127.0.0.1:1/in', secret: whsec_ZGVtby1zZWNyZXQtZGVtby1zZWNyZXQ= }";
    let config = parse("x.yaml", &yaml(tenant, "{}"), &nothing).unwrap();
    let side = config.sides.get("tenant").unwrap();
    assert!(side.subscriber.is_some());
    assert_eq!((side.retry.max_attempts, side.retry.max), (20, Duration::from_hours(12)));
    assert!(config.sides.get("clerk").unwrap().subscriber.is_none());
    for (tenant, part, words) in [
        ("{ connector: subscriber, url: 'http://127.0.0.1:1/in' }", "{}", "webhooks are signed"),
        (
            "{ connector: http, url: 'http://127.0.0.1:1/in', secret: x }",
            "{ lookup: { path: /p } }",
            "unknown key `secret`",
        ),
        (tenant, "{ read: { path: /p } }", "only told: it has no `read`"),
    ] {
        let errors = parse("x.yaml", &yaml(tenant, part), &nothing).unwrap_err();
        assert!(errors.problems[0].message.contains(words), "{errors}");
    }
}

#[test]
fn what_is_wrong_with_an_audit_is_told() {
    let said = |audit: &str| {
        let yaml = include_str!("../../../docs/examples/one-way.yaml");
        let errors = parse("x.yaml", &format!("{yaml}\naudit: {audit}\n"), &nothing).unwrap_err();
        assert_eq!(errors.count(), 1, "{errors}");
        errors.problems[0].message.clone()
    };
    let witness = "witness.example/w+bbabb70a+BNdamAGCsQq31Uv+08lkBzoO4XLz2qYjJa8CGmj3B1Ea";
    let log = "log.example/l+ab2ce9c0+AddamAGCsQq31Uv+08lkBzoO4XLz2qYjJa8CGmj3B1Ea";
    for (audit, words) in [
        ("{ origin: a b }", "`origin`"),
        ("{ origin: '123' }", "must not be a number"),
        ("{ every: 0s }", "longer than nothing"),
        ("{ every_events: 0 }", "`every_events`"),
        ("{ witnesses: [{ key: junk, url: 'https://w' }] }", "`key`"),
        (&format!("{{ witnesses: [{{ key: '{log}', url: 'https://w' }}] }}"), "not the key of a witness"),
        (&format!("{{ witnesses: [{{ key: '{witness}', url: w.example }}] }}"), "must be an address"),
        (
            &format!(
                "{{ witnesses: [{{ key: '{witness}', url: 'https://w' }}, {{ key: '{witness}', url: 'https://v' }}] }}"
            ),
            "here twice",
        ),
        ("{ often: true }", "unknown key"),
    ] {
        let found = said(audit);
        assert!(found.contains(words), "{audit}: {found}");
    }
}

#[test]
fn references_to_the_environment() {
    let sync = |text: &str, env: &dyn Fn(&str) -> Option<String>| {
        let yaml = include_str!("../../../docs/examples/one-way.yaml").replace("RegisterToIndex", text);
        parse("x.yaml", &yaml, env).map_or_else(|e| e.problems[0].message.clone(), |config| config.sync)
    };
    let set = |name: &str| match name {
        "FULL" => Some("full".to_owned()),
        "EMPTY" => Some(String::new()),
        _ => None,
    };
    for (text, expected) in [
        ("${FULL}", "full"),
        ("a-${FULL}-b", "a-full-b"),
        ("'${FULL}'", "full"),
        ("\"${FULL}\"", "full"),
        ("${FULL:-x}", "full"),
        ("${EMPTY:-x}", "x"),
        ("${UNSET:-x}", "x"),
        ("${UNSET-x}", "x"),
        ("x${EMPTY-y}", "x"),
        ("${UNSET:-${FULL}}", "full"),
        ("${UNSET:-${ALSO:-deep}}", "deep"),
        ("${UNSET}", "the environment variable `UNSET` is not set"),
        ("${EMPTY:?it is the name}", "the environment variable `EMPTY` is not set: it is the name"),
        ("\"$${FULL}\"", "`sync` `${FULL}` will not do"),
    ] {
        assert_eq!(sync(text, &set), expected, "{text}");
    }
}

#[test]
fn a_value_from_the_environment_adds_no_keys() {
    let yaml = include_str!("../../../docs/examples/one-way.yaml");
    let inject = |name: &str| (name == "INDEX_URL").then(|| "http://h }\nmanagement: 0.0.0.0:1".to_owned());
    let errors = parse("x.yaml", yaml, &inject).unwrap_err();
    assert_eq!(errors.count(), 1, "{errors}");
    assert!(!errors.to_string().contains("0.0.0.0"), "{errors}");
}

/// All names of properties in a schema.
fn properties(schema: &Json, found: &mut BTreeSet<String>) {
    match schema {
        Json::Object(members) => {
            if let Some(Json::Object(properties)) = members.get("properties") {
                found.extend(properties.keys().cloned());
            }
            members.values().for_each(|member| properties_in(member, found));
        }
        Json::Array(elements) => elements.iter().for_each(|element| properties_in(element, found)),
        _ => {}
    }
}

fn properties_in(schema: &Json, found: &mut BTreeSet<String>) {
    properties(schema, found);
}

fn all_properties() -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    properties(&schema(), &mut found);
    found
}

#[test]
fn every_key_of_the_schema_is_read_and_documented() {
    let (yaml, known) = (include_str!("data/full.yaml"), all_properties());
    assert!(known.len() > 70, "{known:?}");
    let configuration = include_str!("../../../docs/reference/configuration.md");
    let fields = include_str!("../../../docs/reference/fields.md");
    let named =
        |text: &str, key: &str| [format!("`{key}`"), format!("`{key}:")].iter().any(|k| text.contains(k));
    let unused: Vec<_> = known.iter().filter(|key| !yaml.contains(&format!("{key}:"))).collect();
    let silent: Vec<_> =
        known.iter().filter(|key| !named(configuration, key) && !named(fields, key)).collect();
    assert!(unused.is_empty(), "in the schema, but not in full.yaml: {unused:?}");
    assert!(silent.is_empty(), "in the schema, but not in docs/reference: {silent:?}");
}

/// Whether a schema lets a value through; as much of JSON Schema as ours uses.
fn fits(schema: &Json, value: &Json, root: &Json) -> Result<(), String> {
    let Json::Object(rules) = schema else {
        return if *schema == Json::Bool(false) { Err(format!("{value} is not wanted")) } else { Ok(()) };
    };
    if let Some(Json::String(to)) = rules.get("$ref") {
        fits(root.pointer(to.trim_start_matches('#')).unwrap(), value, root)?;
    }
    for any in ["anyOf", "oneOf"] {
        if let Some(Json::Array(options)) = rules.get(any) {
            let errors: Vec<_> =
                options.iter().filter_map(|option| fits(option, value, root).err()).collect();
            if errors.len() == options.len() {
                return Err(format!("{value} fits none: {errors:?}"));
            }
        }
    }
    if let Some(Json::Array(words)) = rules.get("enum")
        && !words.contains(value)
    {
        return Err(format!("{value} is none of {words:?}"));
    }
    if rules.get("const").is_some_and(|word| word != value) {
        return Err(format!("{value} is not {}", rules["const"]));
    }
    let types: Vec<&str> = match rules.get("type") {
        Some(Json::String(one)) => vec![one],
        Some(Json::Array(several)) => several.iter().filter_map(Json::as_str).collect(),
        _ => Vec::new(),
    };
    let kind = match value {
        Json::Null => "null",
        Json::Bool(_) => "boolean",
        Json::Number(_) => "number",
        Json::String(_) => "string",
        Json::Array(_) => "array",
        Json::Object(_) => "object",
    };
    let numeric = kind == "number" && types.contains(&"integer");
    if !(types.is_empty() || types.contains(&kind) || numeric) {
        return Err(format!("{value} is no {types:?}"));
    }
    inside(rules, value, root)
}

fn inside(rules: &serde_json::Map<String, Json>, value: &Json, root: &Json) -> Result<(), String> {
    if let (Some(items), Json::Array(elements)) = (rules.get("items"), value) {
        elements.iter().try_for_each(|element| fits(items, element, root))?;
    }
    let Json::Object(members) = value else { return Ok(()) };
    for key in rules.get("required").and_then(Json::as_array).into_iter().flatten() {
        if !members.contains_key(key.as_str().unwrap()) {
            return Err(format!("{key} is missing in {value}"));
        }
    }
    let empty = serde_json::Map::new();
    let properties = rules.get("properties").and_then(Json::as_object).unwrap_or(&empty);
    for (key, member) in members {
        match (properties.get(key), rules.get("additionalProperties")) {
            (Some(schema), _) | (None, Some(schema)) => {
                fits(schema, member, root).map_err(|why| format!("{key}: {why}"))?;
            }
            (None, None) => {}
        }
    }
    Ok(())
}

#[test]
fn the_schema_lets_what_is_right_through_and_stops_what_is_not() {
    let schema = schema();
    let check = |yaml: &str| {
        let value: Json = serde_saphyr::from_str(yaml).unwrap();
        fits(&schema, &value, &schema)
    };
    for yaml in [
        include_str!("../../../docs/examples/permit-sync.yaml"),
        include_str!("../../../docs/examples/one-way.yaml"),
    ] {
        check(yaml).unwrap_or_else(|why| panic!("{why}"));
    }
    let full = include_str!("data/full.yaml");
    // Other names for policies and numbers from the environment are for files, not for editors.
    let full = full.replace("value_priority", "precedence").replace("newest_wins", "last_writer_wins");
    let full = full.replace("delta", "counter").replace("\"${CONCURRENCY}\"", "8");
    check(&full).unwrap_or_else(|why| panic!("{why}"));
    for (right, wrong) in [
        ("connector: http\n    url: http://127.0.0.1:8081", "conector: http\n    url: http://127.0.0.1:8081"),
        ("poll_interval", "poll_intervall"),
        ("timeout", "timeuot"),
        ("primary_key", "primary_kee"),
        ("direction: to_side", "direction: to"),
        ("merge_text", "merge_txt"),
        ("unless_blank", "unless_blnk"),
    ] {
        assert!(full.contains(right), "{right}");
        check(&full.replacen(right, wrong, 1)).expect_err(wrong);
    }
}
