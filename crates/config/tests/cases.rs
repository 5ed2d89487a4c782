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
