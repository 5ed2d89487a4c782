//! `key:` of a set of objects: what it makes of a field, and what is wrong with it, told with
//! its place.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests may panic")]

use hms_sync_config::{Config, ConfigErrors, parse};
use hms_sync_model::FieldName;
use hms_sync_resolver::Kind;

fn check(field: &str, more: &str) -> Result<Config, ConfigErrors> {
    check_with(field, more, "true")
}

fn check_with(field: &str, more: &str, accept: &str) -> Result<Config, ConfigErrors> {
    let sides = "sides:\n  one: { connector: http, url: 'http://127.0.0.1:1' }\n  two: { connector: http, url: 'http://127.0.0.1:2' }\n";
    let part = |name: &str| {
        format!(
            "      {name}: {{ accept_lost_updates: {accept}, version_tag: {{ field: rev }}, read: {{ path: /a }}, create: {{ method: POST, path: /a }}, update: {{ method: PATCH, path: '/a/{{{{ id }}}}' }} }}\n"
        )
    };
    let yaml = format!(
        "sync: Keys\n{sides}collections:\n  order:\n    identity: [no]\n    sides:\n{}{}    fields:\n      \
         no: {{ type: string, one: no, two: no }}\n      lines: {field}\n{more}",
        part("one"),
        part("two"),
    );
    parse("sync.yaml", &yaml, &|_| None)
}

fn wrong(field: &str, more: &str) -> String {
    check(field, more).map_or_else(|errors| errors.to_string(), |_| panic!("{field} is taken"))
}

#[test]
fn elements_with_a_key_merge_by_themselves() {
    let rule = |field: &str| {
        let config = check(field, "").unwrap_or_else(|errors| panic!("{errors}"));
        let lines = FieldName::try_new("lines").unwrap();
        let rule = config.collections.get("order").unwrap().rules.field(&lines).unwrap();
        (rule.kind, rule.key().map(ToString::to_string))
    };
    let (add, remove) = (Kind::Set { remove_wins: false }, Kind::Set { remove_wins: true });
    let (id, no) = (Some("id".to_owned()), Some("ref.no".to_owned()));
    assert_eq!(rule("{ type: set, key: id, one: lines, two: lines }"), (add, id.clone()));
    assert_eq!(rule("{ type: set, of: json, key: ref.no, one: lines, resolve: add_wins }"), (add, no));
    assert_eq!(rule("{ type: set, key: id, one: lines, resolve: { union: remove_wins } }"), (remove, id));
    assert_eq!(rule("{ type: set, of: json, one: lines, resolve: add_wins }"), (add, None));
    assert_eq!(rule("{ type: set, of: json, one: lines }"), (Kind::Value, None));
}

#[test]
fn what_is_wrong_with_a_key_is_told_with_its_place() {
    for (field, place, message, hint) in [
        (
            "{ type: set, key: id, one: a, resolve: last_writer_wins }",
            ":13:53: ",
            "field `lines` has a `key`, so its elements merge by themselves",
            "{ union: add_wins } or { union: remove_wins }",
        ),
        (
            "{ type: set, key: a..b, one: a }",
            ":13:32: ",
            "`key` of field `lines` `a..b` will not do: a path must not have an empty part",
            "`\\.`",
        ),
        (
            "{ type: json, key: id, one: a }",
            ":13:33: ",
            "field `lines` has `key`, but is no set",
            "type: set",
        ),
        (
            "{ type: set, of: integer, key: id, one: a }",
            ":13:31: ",
            "`of` of field `lines`: elements with a `key` are objects, this is `integer`",
            "leave out one of the two",
        ),
        ("{ type: set, key: 5, one: a }", ":13:32: ", "`key` of field `lines` must be text", "in quotes"),
        (
            "{ type: set, key: id, one: a, owner: one }",
            ":13:7: ",
            "field `lines` is a union or counter, to which `owner` and `locks` do not apply",
            "",
        ),
        (
            "{ type: set, key: id, one: { path: a, values: { a: b } } }",
            ":13:",
            "`a` in `values` of field `lines` on `one` is no value of the field: expected an object with text or a \
             number at `id`",
            "",
        ),
    ] {
        let told = wrong(field, "");
        for part in [place, message, hint] {
            assert!(told.contains(part), "{part:?} is missing in {told}");
        }
    }
    let keyed = "{ type: set, key: id, one: a, two: a }";
    let group = "    groups:\n      all: { fields: [no, lines], lead: no }\n";
    let told = wrong(keyed, group);
    assert!(
        told.contains("field `lines` is in group `all`, so its elements cannot merge by `key`"),
        "{told}"
    );
    let case = "    tests:\n      two of one:\n        base: { no: A, lines: [{ id: 1 }, { id: 1 }] }\n        expect: { writes: { one: none } }\n";
    let told = wrong(keyed, case);
    assert!(told.contains("expected each key once"), "{told}");
}

#[test]
fn a_lost_write_would_be_a_lost_element() {
    // Where lost updates are accepted it is taken.
    check("{ type: set, key: id, one: a, two: a }", "").unwrap_or_else(|errors| panic!("{errors}"));
    let told = check_with("{ type: set, key: id, one: a, two: a }", "", "false").unwrap_err().to_string();
    assert!(told.contains("a write to `one` can overwrite an unseen edit"), "{told}");
}
