//! Every mistake is named in one run, with its place and what to do; nothing a
//! file holds makes reading it panic, hang or tell a secret.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, reason = "tests may panic")]

use hms_sync_config::{Config, ConfigErrors, load, parse};
use proptest::prelude::*;
use std::path::Path;
use std::time::{Duration, Instant};

const SECRET: &str = "s3cr3t-from-the-environment";

fn env(name: &str) -> Option<String> {
    (name == "REGISTER_TOKEN").then(|| SECRET.to_owned())
}

fn check(yaml: &str) -> Result<Config, ConfigErrors> {
    parse("sync.yaml", yaml, &env)
}

fn errors(yaml: &str) -> String {
    check(yaml).map_or_else(|errors| errors.to_string(), |config| format!("no mistake: {config:?}"))
}

#[test]
fn every_kind_of_mistake_in_one_run() {
    let text = errors(include_str!("data/mistakes.yaml"));
    assert!(!text.contains(SECRET), "{text}");
    insta::assert_snapshot!(text);
}

/// In the words of who writes the file, not of the program.
#[test]
fn a_word_where_a_number_belongs() {
    let side = "sync: a\nsides: { clerk: { connector: http, url: 127.0.0.1:8080, api_budget: { policies: [ { type: \
                moving_window, rates: [ { limit: ten, interval: 1s } ] } ] } } }\ncollections: {}\n";
    let text = errors(side);
    assert!(text.contains("expected a whole number"), "{text}");
    assert!(text.contains("starts with http:// or https://"), "{text}");
}

#[test]
fn what_is_no_config_at_all() {
    let long_line = format!("sync: {}", "x".repeat(100_000));
    let all = [
        ("nothing", ""),
        ("only a comment", "# x\n"),
        ("not a map", "- a\n- b\n"),
        ("two documents", "sync: a\n---\nsync: b\n"),
        ("not closed", "sync: [a\n"),
        ("a tab", "sides:\n\tclerk: 1\n"),
        ("a reference not closed", "sync: ${NAME\n"),
        ("a reference to nothing", "sync: ${}\n"),
        ("a message of one's own", "sync: ${NAME:?the name of the sync}\n"),
        ("an unknown operator", "sync: ${NAME:=x}\n"),
        ("a long line", &long_line),
        ("an unknown alias", "sync: *x\n"),
    ];
    let text: Vec<String> = all.iter().map(|(what, yaml)| format!("== {what}\n{}\n", errors(yaml))).collect();
    insta::assert_snapshot!(text.join("\n"));
}

#[test]
fn a_file_that_is_not_there() {
    let errors = load(Path::new("no/such/file.yaml"), &env).unwrap_err();
    assert!(errors.to_string().starts_with("no/such/file.yaml: cannot be read: "), "{errors}");
}

#[test]
fn billion_laughs_is_refused_at_once() {
    let mut lines = vec!["a0: &a0 [x, x, x, x, x, x, x, x, x]".to_owned()];
    for i in 1..12 {
        let before = vec![format!("*a{}", i - 1); 9].join(", ");
        lines.push(format!("a{i}: &a{i} [{before}]"));
    }
    let yaml = lines.join("\n");
    let began = Instant::now();
    let errors = check(&yaml).unwrap_err();
    assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
    assert_eq!(errors.count(), 1, "{errors}");
}

#[test]
fn deep_nesting_is_refused_at_once() {
    for (open, close) in [("[", "]"), ("{a: ", "}"), ("- ", "")] {
        let yaml = format!("sync: \n  {}1{}", open.repeat(20_000), close.repeat(20_000));
        let began = Instant::now();
        assert!(check(&yaml).is_err());
        assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
    }
}

#[test]
fn a_thousand_mistakes_are_counted_and_a_hundred_shown() {
    let keys: Vec<String> = (0..1_000).map(|i| format!("key{i}: x")).collect();
    let errors = check(&keys.join("\n")).unwrap_err();
    assert_eq!(errors.problems.len(), 100);
    assert!(errors.count() >= 1_000, "{}", errors.count());
    assert!(errors.to_string().len() < 64 * 1024);
}

/// Cuts, doubles, swaps and garbles parts of a text.
fn garbled(text: &'static str) -> impl Strategy<Value = String> {
    let edit = (any::<prop::sample::Index>(), 0..40_usize, "[a-z0-9:{}\\[\\], \n\"'*&$#|>%-]{0,6}");
    prop::collection::vec(edit, 1..6).prop_map(move |edits| {
        let mut letters: Vec<char> = text.chars().collect();
        for (place, length, new) in edits {
            let start = place.index(letters.len());
            let end = (start + length).min(letters.len());
            letters.splice(start..end, new.chars());
            letters.push('\n');
        }
        letters.into_iter().collect()
    })
}

fn bounded(yaml: &str) -> Result<(), TestCaseError> {
    if let Err(errors) = check(yaml) {
        prop_assert!(errors.count() > 0);
        prop_assert!(errors.problems.len() <= 100);
        for problem in &errors.problems {
            prop_assert!(problem.message.len() < 8_000, "{}", problem);
            prop_assert!(problem.snippet.as_ref().is_none_or(|s| s.len() < 2_000), "{}", problem);
            prop_assert!(!problem.to_string().contains(SECRET), "{}", problem);
            prop_assert!(problem.line <= yaml.matches(['\r', '\n']).count() + 1, "{}", problem);
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn a_garbled_config_never_panics(yaml in garbled(include_str!("../../../docs/examples/permit-sync.yaml"))) {
        bounded(&yaml)?;
    }

    #[test]
    fn garbled_mistakes_never_panic(yaml in garbled(include_str!("data/mistakes.yaml"))) {
        bounded(&yaml)?;
    }

    #[test]
    fn any_text_never_panics(yaml in ".{0,200}", yaml_like in "([a-z]{1,3}: ?|- |\\[|\\]|\\{|\\}|\n|  |\\$\\{[A-Z]{0,2}(:-|:\\?)?|&a|\\*a|<<: |\"|'|!|,){0,60}") {
        bounded(&yaml)?;
        bounded(&yaml_like)?;
    }
}
