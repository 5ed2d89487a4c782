//! Every mistake is named in one run, with its place and what to do; nothing a
//! file holds makes reading it panic, hang or tell a secret.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "tests may panic"
)]

use hms_sync_config::{Config, ConfigErrors, load, parse};
use hms_sync_hostile::Reader;
use proptest::prelude::*;
use std::path::Path;
use std::time::{Duration, Instant};

/// So many are read in the ordinary run, as reading one takes long: whole configurations, small ones.
const WHOLE_CASES: u64 = 20_000;
const SMALL_CASES: u64 = 200_000;

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

#[test]
fn what_is_long_is_not_repeated_whole() {
    let (number, key) = ("2147483648".repeat(1_000), "k".repeat(10_000));
    for (yaml, start) in [
        (format!("sync: {number}\n"), "this is not YAML as we read it: "),
        (format!("? {key}\n: 1\n? {key}\n: 2\n"), "`kkk"),
    ] {
        let errors = check(&yaml).unwrap_err();
        let told = errors.problems.iter().find(|problem| problem.message.starts_with(start));
        let told = told.unwrap_or_else(|| panic!("{errors:.1000}"));
        assert!(told.message.chars().count() <= 1_501, "{}", told.message.len());
    }
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

fn bounded(yaml: &str) {
    if let Err(errors) = check(yaml) {
        sound_words(yaml, &errors);
    }
}

fn sound_words(yaml: &str, errors: &ConfigErrors) {
    assert!(errors.count() > 0);
    assert!(errors.problems.len() <= 100);
    let lines = yaml.matches(['\r', '\n']).count() + 1;
    for problem in &errors.problems {
        assert!(problem.message.len() < 8_000, "{problem}");
        assert!(problem.snippet.as_ref().is_none_or(|s| s.len() < 2_000), "{problem}");
        assert!(problem.line <= lines, "{problem}");
        assert!(!problem.to_string().contains(SECRET), "{problem}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn a_garbled_config_never_panics(yaml in garbled(include_str!("../../../docs/examples/permit-sync.yaml"))) {
        bounded(&yaml);
    }

    #[test]
    fn garbled_mistakes_never_panic(yaml in garbled(include_str!("data/mistakes.yaml"))) {
        bounded(&yaml);
    }

    #[test]
    fn any_text_never_panics(yaml in ".{0,200}", yaml_like in "([a-z]{1,3}: ?|- |\\[|\\]|\\{|\\}|\n|  |\\$\\{[A-Z]{0,2}(:-|:\\?)?|&a|\\*a|<<: |\"|'|!|,){0,60}") {
        bounded(&yaml);
        bounded(&yaml_like);
    }
}

/// What people write, of every kind: an example, recipes, all keys, and their mistakes.
const WHOLE: [&str; 6] = [
    include_str!("../../../docs/examples/one-way.yaml"),
    include_str!("../../../docs/examples/permit-sync.yaml"),
    include_str!("../../../docs/examples/cookbook/csv.yaml"),
    include_str!("../../../docs/examples/cookbook/oauth-cursor.yaml"),
    include_str!("../../../docs/examples/cookbook/webhook-sweep.yaml"),
    include_str!("../../../docs/examples/cookbook/children.yaml"),
];

/// The least that is a configuration, so that what is changed is never far from what is read.
const SMALL: [&str; 4] = [
    "sync: A
sides: { a: { connector: http, url: \"http://h/${X:-v1}\" }, b: { connector: http, url: http://i } }
collections: { p: { identity: [n],
  sides: { a: { read: { path: /p } }, b: { read: { path: /q }, create: { method: POST, path: /q } } },
  fields: { n: { type: string, a: { path: n, direction: from_side }, b: { path: m, direction: from_side } } } } }
",
    "sync: A
sides:
  a: &s { connector: http, url: http://h, authenticator: { type: bearer, api_token: \"${REGISTER_TOKEN}\" } }
  b: *s
collections:
  p:
    identity: [n]
    sides: { a: { read: { path: /p } }, b: { read: { path: /p } } }
    fields:
      n: { type: string, a: { path: n, direction: from_side }, b: { path: n, direction: from_side } }
      d: { type: date, a: { path: d, format: \"%d.%m.%Y\", direction: from_side }, resolve: [ { expression: \"(siblings | first).value\" } ] }
",
    "sync: A\nsides: {}\ncollections: {}\n",
    "a: [1, 'x', \"y\\n\", null, {b: !!str 1}]\nc: |\n  d\ne: >-\n  f\n",
];

const YAML: [&str; 38] = [
    ": ",
    "- ",
    "\n",
    "\n  ",
    "\n      ",
    "[",
    "]",
    "{",
    "}",
    ", ",
    "&a ",
    "*a",
    "<<: ",
    "!!str ",
    "| ",
    ">-\n",
    "\"",
    "'",
    "#",
    "${",
    "${X}",
    "${X:-",
    "}",
    ":?",
    "$$",
    "---\n",
    "? ",
    "~",
    "null",
    "0x1f",
    ".inf",
    "{{ id }}",
    "{{",
    "path: ",
    "type: ",
    "expression: ",
    "file: ",
    "env: ",
];

/// Whole configurations, of the size that people write.
#[test]
fn hostile_configurations() {
    Reader::new("configurations").sound(WHOLE).words(YAML).fewer(WHOLE_CASES).texts(hostile);
}

/// Nothing that a file says makes anything run, or reading it end in anything but words.
#[test]
fn hostile_small_configurations() {
    Reader::new("small configurations")
        .sound(&SMALL[..2])
        .words(SMALL)
        .words(YAML)
        .fewer(SMALL_CASES)
        .texts(hostile);
}

fn hostile(yaml: &str) -> bool {
    let read = check(yaml);
    if let (Err(errors), true) = (&read, WHOLE.contains(&yaml) || SMALL[..2].contains(&yaml)) {
        panic!("{errors}");
    }
    if let Err(errors) = &read {
        sound_words(yaml, errors);
    }
    read.is_ok()
}
