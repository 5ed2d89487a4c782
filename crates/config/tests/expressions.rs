//! Expressions in a config: compiled and tried when it is read, and their mistakes
//! told with the place in the file.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, reason = "tests may panic")]

use hms_sync_config::{Problem, parse};
use hms_sync_model::FieldName;
use hms_sync_resolver::Policy;

/// The example with one more field, and something in place of its groups.
fn config(field: &str, more: &str) -> Result<hms_sync_config::Config, Vec<Problem>> {
    let yaml = include_str!("../../../docs/examples/permit-sync.yaml");
    let notes = yaml.lines().find(|line| line.trim_start().starts_with("notes:")).unwrap();
    let yaml = yaml.replace(notes, &format!("{notes}\n      {field}\n{more}"));
    parse("sync.yaml", &yaml, &|_| None).map_err(|errors| errors.problems)
}

fn problem(field: &str) -> Problem {
    let mut problems = config(field, "").expect_err(field);
    assert_eq!(problems.len(), 1, "{field}: {problems:?}");
    problems.remove(0)
}

#[test]
fn an_expression_of_every_type_is_tried_and_taken() {
    for (ty, expression) in [
        ("integer", "siblings | map(attribute='value') | max"),
        ("decimal", "(siblings | map(attribute='value') | sum) / siblings | length"),
        ("string", "(siblings | selectattr('side', 'equalto', 'clerk') | first).value"),
        ("string", "siblings[0].value | int"),
        ("text", "siblings | map(attribute='value') | join(', ')"),
        ("bool", "siblings[0].value or siblings[1].value"),
        ("date", "siblings | map(attribute='value') | min"),
        ("datetime", "siblings[0].at"),
        ("enum, values: [a]", "'a' if siblings[0].before is none else 'a'"),
        ("set, of: integer", "siblings[0].value + siblings[1].value"),
        ("json", "siblings[0].value.a"),
        ("json", "siblings | map(attribute='value') | list"),
    ] {
        let taken = config(
            &format!("x: {{ type: {ty}, clerk: x, resolve: {{ expression: \"{expression}\" }} }}"),
            "",
        );
        if expression.ends_with("int") {
            taken.expect_err("a number for a string");
            continue;
        }
        let config = taken.unwrap_or_else(|problems| panic!("{ty}, {expression}: {problems:?}"));
        let rules = &config.collections.get("permit").unwrap().rules;
        let resolve = &rules.field(&FieldName::try_new("x").unwrap()).unwrap().resolve;
        let [Policy::Expression(kept)] = resolve.as_slice() else { panic!("{resolve:?}") };
        assert_eq!(kept.source(), expression);
    }
}

#[test]
fn mistakes_point_into_the_expression() {
    for (written, pointed, words) in [
        ("\"siblings | map(attribute='value'\"", "map(attribute='value'", "syntax error"),
        ("\"siblings | maxx\"", "maxx", "tried on made-up values, unknown filter"),
        ("'siblings[0].value + clock'", "clock", "it names `clock`; known here: siblings"),
        ("\"now()\"", "now", "it names `now`"),
        ("'siblings[0].value.year'", "siblings[0].value.year", "undefined value"),
        ("\"'abc'\"", "'abc'", "it comes to text, expected a whole number"),
        ("\"siblings[0].value / 5\"", "siblings[0]", "it comes to a number, expected a whole number"),
    ] {
        let field = format!("x: {{ type: integer, clerk: x, resolve: {{ expression: {written} }} }}");
        let problem = problem(&field);
        assert!(problem.message.starts_with("`expression` of field `x`: "), "{problem}");
        assert!(problem.message.contains(words), "{problem}");
        assert!(problem.hint.as_ref().unwrap().contains("fields.md"), "{problem}");
        let column = 7 + field.find(written).unwrap();
        let within = written.find(pointed).unwrap();
        let range = column..=column + written.len();
        assert!(range.contains(&problem.column), "{problem}");
        // As near as minijinja knows: at it, or at the beginning of what it is in.
        assert!(problem.column <= column + within || words == "syntax error", "{problem}");
    }
    let field = "x:\n        type: integer\n        clerk: x\n        resolve:\n          expression: >-\n            siblings[0].value +\n            sibling[1].value";
    let problem = problem(field);
    assert!(
        problem.snippet.as_ref().unwrap().contains("sibling[1]") || problem.message.contains("`sibling`"),
        "{problem}"
    );
}

#[test]
fn where_no_expression_can_be() {
    let of = |field: &str| problem(field).message;
    assert!(of("x: { type: integer, clerk: x, resolve: expression }").contains("needs the expression"));
    assert!(of("x: { type: integer, clerk: x, resolve: { expression: [a] } }").contains("must be text"));
    let yaml = include_str!("../../../docs/examples/permit-sync.yaml");
    assert!(yaml.contains("resolve: last_writer_wins"), "the example has changed");
    let yaml = yaml.replacen("resolve: last_writer_wins", "resolve: { expression: siblings }", 1);
    let errors = parse("sync.yaml", &yaml, &|_| None).unwrap_err();
    assert!(errors.to_string().contains("`expression` depends on a field's type"), "{errors}");
}

/// What is wrong with a group of status and scheduled, with these formulas.
fn group(formulas: &str) -> Vec<String> {
    let groups =
        format!("    groups:\n      g: {{ fields: [status, scheduled], lead: status, {formulas} }}\n");
    let yaml = include_str!("../../../docs/examples/permit-sync.yaml");
    let own = |line: &str| line.trim_start().starts_with("resolve: [ { precedence");
    let fields: Vec<&str> = yaml.lines().filter(|line| !own(line)).collect();
    let fields = fields.join("\n").replace(", resolve: { prefer: [marshal, clerk] } }", " }");
    let yaml = format!("{fields}\n{groups}");
    match parse("sync.yaml", &yaml, &|_| None) {
        Ok(_) => Vec::new(),
        Err(errors) => errors.problems.into_iter().map(|problem| problem.message).collect(),
    }
}

#[test]
fn formulas_of_a_group_are_tried_too() {
    let derive =
        "derive: { scheduled: \"edited_at if status == 'revoked' and scheduled is none else scheduled\" }";
    assert_eq!(
        group(&format!("{derive}, require: \"status != 'revoked' or scheduled is not none\"")),
        [""; 0]
    );
    for (formulas, words) in [
        ("require: status", "comes to neither true nor false"),
        ("require: \"fee > 1\"", "it names `fee`; known here: status, scheduled"),
        ("require: \"edited_at > scheduled\"", "it names `edited_at`"),
        ("require: [a]", "must be text"),
        ("derive: { schedule: \"1\" }", "names `schedule`, which is no field of it"),
        ("derive: { scheduled: \"7\" }", "`scheduled` in `derive` of group `g`: tried on made-up values"),
        ("derive: { scheduled: \"edited_on\" }", "it names `edited_on`"),
        (
            "derive: { scheduled: \"scheduled if status else edited_at\", status: \"status if scheduled else status\" }",
            "what `scheduled` is derived from is derived from it",
        ),
    ] {
        let said = group(formulas);
        assert!(said.len() == 1 && said[0].contains(words), "{formulas}: {said:?}");
    }
}

#[test]
fn what_normalize_and_fills_blank_may_say() {
    for field in [
        "x: { type: string, normalize: [trim, collapse, nfc, lower], clerk: x, marshal: x }",
        "x: { type: set, normalize: [upper], clerk: x }",
        "x: { type: string, clerk: x, marshal: { path: x, fills_blank: true } }",
    ] {
        config(field, "").unwrap_or_else(|problems| panic!("{field}: {problems:?}"));
    }
    for (field, words) in [
        ("x: { type: integer, normalize: [trim], clerk: x }", "is for text, this is integer"),
        ("x: { type: string, normalize: [trimm], clerk: x }", "cannot be `trimm`"),
        ("x: { type: string, normalize: [trim, trim], clerk: x }", "says `trim` twice"),
        ("x: { type: string, normalize: [lower, upper], clerk: x }", "both lower and upper"),
        ("x: { type: string, normalize: trim, clerk: x }", "must be a list"),
        ("x: { type: string, clerk: { path: x, fills_blank: true } }", "every side only fills blanks"),
        ("x: { type: string, owner: clerk, clerk: x, marshal: { path: x, fills_blank: true } }", "do not go"),
        (
            "x: { type: string, clerk: x, marshal: { path: x, direction: to_side, fills_blank: true } }",
            "never read from `marshal`",
        ),
        ("x: { type: string, derive: a, clerk: x }", "`derive` in field `x` is for groups"),
        ("x: { type: string, expression: a, clerk: x }", "is a policy"),
    ] {
        assert!(problem(field).message.contains(words), "{}", problem(field));
    }
}
