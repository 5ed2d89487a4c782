//! Tests in a config: what they come to, and that each mistake in one is named.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests may panic")]

use hms_sync_config::{Deed, ExpectedMerge, ExpectedWrite, Step, TestCase, Who, parse};

const HEAD: &str = include_str!("../../../docs/examples/one-way.yaml");

fn read(tests: &str) -> Result<Vec<TestCase>, String> {
    let head = HEAD.split("    tests:").next().unwrap();
    let yaml = format!("{head}    tests:\n{tests}");
    match parse("sync.yaml", &yaml, &|_| None) {
        Ok(config) => Ok(config.collections.values().next().unwrap().tests.clone()),
        Err(why) => Err(why.to_string()),
    }
}

#[test]
fn a_test_comes_to_steps_in_order() {
    let tests = read(
        "      a:\n        base: { number: N, issued: 2026-03-01 }\n        register: [ { title: x }, delete ]\n        \
         index: { raw: { title: 1 } }\n        expect: { merged: deleted, writes: { index: none } }\n",
    )
    .unwrap();
    let [test] = tests.as_slice() else { panic!("{tests:?}") };
    assert_eq!((test.name.as_str(), test.only, test.line > 20), ("a", false, true));
    let who: Vec<String> = test
        .steps
        .iter()
        .map(|step| match step {
            Step::Sync => "sync".to_owned(),
            Step::Do(Who::Operator, _) => "operator".to_owned(),
            Step::Do(Who::Side(side), Deed::Fields(fields)) => format!("{side} {}", fields.len()),
            Step::Do(Who::Side(side), Deed::Raw(doc)) => format!("{side} {doc}"),
            Step::Do(Who::Side(side), Deed::Delete) => format!("{side} deletes"),
        })
        .collect();
    assert_eq!(who, ["register 1", "register deletes", "index {\"title\":1}"]);
    assert_eq!(test.expect.merged, Some(ExpectedMerge::Deleted));
    assert_eq!(test.expect.writes[0].1, ExpectedWrite::Nothing);
    let issued = test.base.as_ref().unwrap().iter().find(|(name, _)| name.as_str() == "issued").unwrap();
    assert_eq!(issued.1.to_string(), "2026-03-01");
}

#[test]
fn each_mistake_is_named_with_its_line_and_a_hint() {
    for (test, words) in [
        (
            "{ register: { titel: x }, expect: { merged: {} } }",
            "`titel` in `register` of test `a` is no field",
        ),
        ("{ register: { titel: x }, expect: { merged: {} } }", "did you mean `title`?"),
        ("{ registre: { title: x }, expect: { merged: {} } }", "neither a key nor a side of this collection"),
        ("{ registre: { title: x }, expect: { merged: {} } }", "did you mean `register`?"),
        ("{ register: { issued: soon }, expect: { merged: {} } }", "expected a date as 2026-03-01"),
        ("{ register: { title: 5 }, expect: { merged: {} } }", "put it in quotes"),
        (
            "{ register: gone, expect: { merged: {} } }",
            "must be fields with values, or `delete`; this is `gone`",
        ),
        ("{ register: delete }", "test `a` needs `expect`"),
        ("{ register: delete, expect: {} }", "`expect` of test `a` is empty"),
        ("{ expect: { merged: deleted } }", "nobody does anything in test `a`"),
        ("{ register: delete, expect: { merged: gone } }", "cannot be `gone`"),
        ("{ register: delete, expect: { writes: { court: none } } }", "`court` in `writes`"),
        (
            "{ register: delete, expect: { writes: { register: { title: x } } } }",
            "is never written to `register`",
        ),
        ("{ register: delete, expect: { writes: { index: {} } } }", "`none` says that nothing is written"),
        (
            "{ register: delete, expect: { conflicts: [ { field: title, kind: edit } ] } }",
            "`kind` cannot be `edit`",
        ),
        ("{ register: delete, expect: { conflicts: [ { kind: edit_edit } ] } }", "needs `field`"),
        ("{ register: delete, expect: { conflicts: title } }", "must be a list"),
        (
            "{ register: delete, edits: [sync], expect: { conflicts: [] } }",
            "has `edits`, so who does what stands there",
        ),
        ("{ edits: [ { title: x } ], expect: { conflicts: [] } }", "`title` in test `a` is neither"),
        ("{ index: { raw: x }, expect: { conflicts: [] } }", "`raw` of `index` of test `a` must be a map"),
        ("{ register: delete, only: maybe, expect: { conflicts: [] } }", "`only` must be `true` or `false`"),
        ("5", "test `a` must be a map"),
    ] {
        let said = read(&format!("      a: {test}\n")).expect_err(test);
        assert!(said.contains(words), "{test}\n{said}");
        assert!(said.starts_with("sync.yaml:"), "{said}");
    }
}

/// The field `title` as it stands on the index.
fn mapped(place: &str) -> String {
    let yaml = HEAD.split("    tests:").next().unwrap();
    let yaml = yaml.replace("index: title }", &format!("index: {place} }}"));
    let yaml = yaml.replace("{ type: text,   owner", "{ type: decimal,   owner");
    parse("sync.yaml", &yaml, &|_| None).map_or_else(|why| why.to_string(), |_| "right".to_owned())
}

#[test]
fn what_does_not_come_back_is_named_with_a_value_that_shows_it() {
    for (place, words) in [
        (r#"{ path: t, to: "value * 100", from: "value / 100", samples: [1.5, 2] }"#, "right"),
        (
            r#"{ path: t, to: "value | round(2)", from: value, samples: [12.345] }"#,
            "field `title` on `index`: 12.345 is written as 12.35, which is read back as 12.35",
        ),
        (r#"{ path: t, to: "value * 2", from: value, samples: [1] }"#, "it would never come to rest"),
        (
            r#"{ path: t, to: "'x'", from: value, samples: [1] }"#,
            "which cannot be read: expected a decimal number",
        ),
        (r#"{ path: t, to: "value ~ 'x'", samples: [1] }"#, "has only one of `to` and `from`"),
        ("{ path: t, to: value, from: value }", "need `samples`"),
        ("{ path: t, samples: [1] }", "go with `to` and `from`"),
        (r#"{ path: t, to: "value +", from: value, samples: [1] }"#, "`to` will not do"),
        ("{ path: t, to: price, from: value, samples: [1] }", "it names `price`; there is `value` alone"),
        ("{ path: t, to: value, from: value, samples: [x] }", "is no value of this field"),
        ("{ path: t, format: text, to: value, from: value, samples: [1] }", "one way of being written"),
    ] {
        let said = mapped(place);
        assert!(said.contains(words), "{place}\n{said}");
    }
}

#[test]
fn a_value_without_a_word_is_a_mistake() {
    let yaml =
        include_str!("../../../docs/examples/permit-sync.yaml").replace(", revoked: REVOKED } }", " } }");
    let said = parse("sync.yaml", &yaml, &|_| None).unwrap_err().to_string();
    assert!(said.contains("field `status` on `marshal`: \"revoked\" cannot be written"), "{said}");
    assert!(said.contains("otherwise: { to: … }"), "{said}");
}
