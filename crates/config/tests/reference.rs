//! The reference in `docs/` is what the types give. `cargo xtask docs` sets
//! `HMS_SYNC_WRITE_DOCS`, and then this test writes it instead.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests may panic")]

use hms_sync_config::{Page, schema};
use serde_json::{Value, json};
use std::path::PathBuf;

fn docs(page: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../docs/reference").join(page)
}

#[test]
fn the_reference_is_what_the_types_give() {
    for (page, file) in [(Page::Http, "http.md"), (Page::Keys, "keys.md")] {
        let before = std::fs::read_to_string(docs(file)).unwrap_or_default();
        let now = page.render(&schema(), &before, env!("CARGO_PKG_VERSION"));
        if std::env::var_os("HMS_SYNC_WRITE_DOCS").is_some() {
            std::fs::write(docs(file), &now).unwrap();
            continue;
        }
        let differs = before.lines().zip(now.lines()).position(|(a, b)| a != b);
        assert!(
            before == now,
            "docs/reference/{file} is not what the types give from line {} on: run `cargo xtask docs`",
            differs.unwrap_or(before.lines().count().min(now.lines().count())) + 1
        );
    }
}

/// A type that nothing is said of has no empty paragraph, and a list ends before a heading.
#[test]
fn parts_of_a_page_have_one_empty_line_between_them() {
    for page in [Page::Http, Page::Keys] {
        let text = page.render(&schema(), "", "9.9.9");
        assert!(!text.contains("\n\n\n"), "{:?}", text.split("\n\n\n").next().unwrap().lines().last());
        let lines: Vec<&str> = text.lines().collect();
        let heading = lines.windows(2).find(|pair| pair[1].starts_with('#') && !pair[0].is_empty());
        assert_eq!(heading, None);
    }
}

/// Rows of the tables: key, type, default, example, since, meaning.
fn rows(page: Page) -> Vec<Vec<String>> {
    let text = page.render(&schema(), "", "9.9.9");
    let rows = text.lines().filter(|line| line.starts_with("| `"));
    rows.map(|line| line.trim_matches('|').split(" | ").map(|cell| cell.trim().to_owned()).collect())
        .collect()
}

#[test]
fn every_key_is_told_in_full() {
    for page in [Page::Http, Page::Keys] {
        for row in rows(page) {
            let [key, ty, default, example, since, meaning] = row.as_slice() else { panic!("{row:?}") };
            for (what, cell) in [("type", ty), ("default", default), ("since", since)] {
                assert!(!cell.is_empty(), "{key} has no {what}");
            }
            assert!(!meaning.is_empty(), "{key} has no description");
            assert!(example.len() > 2, "{key} has no example: give its field `#[schemars(example = …)]`");
        }
    }
}

#[test]
fn keys_of_every_depth_are_on_the_page() {
    let found: Vec<String> =
        rows(Page::Http).into_iter().map(|row| row.into_iter().next().unwrap()).collect();
    for key in [
        "`url`",
        "`primary_key`",
        "`poll_interval`",
        "`cursor_field`",
        "`page_param`",
        "`api_token`",
        "`retry`",
        "`url_path_pattern`",
        "`weight`",
    ] {
        assert!(found.iter().any(|there| there == key), "{key} is missing");
    }
    let found: Vec<String> =
        rows(Page::Keys).into_iter().map(|row| row.into_iter().next().unwrap()).collect();
    for key in
        ["`sync`", "`identity`", "`max_deletes`", "`otherwise`", "`lead`", "`precedence`", "`witnesses`"]
    {
        assert!(found.iter().any(|there| there == key), "{key} is missing");
    }
}

fn small(keys: &Value) -> Value {
    let side = json!({ "type": "object", "description": "A side.", "properties": keys, "required": [] });
    json!({ "$defs": { "Side": side } })
}

#[test]
fn what_only_one_of_several_maps_names_is_told_too() {
    let names = |key: &str, of: &str| json!({ "type": "object", "properties": { key: { "$ref": format!("#/$defs/{of}") } } });
    let number = |key: &str| json!({ "type": "object", "description": "A map.", "properties": { key: { "type": "integer" } } });
    let mut schema =
        small(&json!({ "policies": { "type": "array", "items": { "$ref": "#/$defs/Policy" } } }));
    schema["$defs"]["Policy"] = json!({ "oneOf": [names("rate", "Rate"), names("matcher", "Matcher")] });
    schema["$defs"]["Rate"] = number("limit");
    schema["$defs"]["Matcher"] = number("weight");
    let page = Page::Http.render(&schema, "", "0.1.0");
    for told in ["## `policies.rate`", "| `limit` |", "## `policies.matcher`", "| `weight` |"] {
        assert!(page.contains(told), "{told} is missing: {page}");
    }
}

#[test]
fn a_word_that_nothing_is_said_of_stands_alone() {
    let mut schema = small(&json!({ "secret": { "$ref": "#/$defs/Secret" } }));
    let told = json!({ "type": "integer", "description": "By its number." });
    schema["$defs"]["Secret"] = json!({ "oneOf": [{ "type": "string" }, told] });
    let page = Page::Http.render(&schema, "", "0.1.0");
    assert!(page.contains("\n- text\n- number: By its number.\n"), "{page}");
}

#[test]
fn a_key_that_was_there_keeps_its_version_and_a_new_one_gets_ours() {
    let one = json!({ "a": { "type": "string", "description": "One, as `x`." } });
    let first = Page::Http.render(&small(&one), "", "0.1.0");
    assert!(first.contains("| `a` | text | none | `x` | 0.1.0 | One, as `x`. |"), "{first}");
    let two = json!({ "a": one["a"], "b": { "type": "integer", "description": "Two. Default: 7." } });
    let later = Page::Http.render(&small(&two), &first, "0.2.0");
    assert!(later.contains("| `a` | text | none | `x` | 0.1.0 |"), "{later}");
    assert!(later.contains("| `b` | number | `7` | `7` | 0.2.0 | Two. |"), "{later}");
    assert_eq!(Page::Http.render(&small(&two), &later, "0.3.0"), later);
}
