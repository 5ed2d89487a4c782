//! Expressions over what a side answered: `response.meta.next`, `record.archived`.
//!
//! Compiled once, run with fuel; what is not there is nothing, and steps into
//! nothing lead to nothing. They see values, and words for times that do not see the clock.

use crate::template::{self, LIVE_MAX, TemplateError};
use minijinja::value::ValueKind;
use minijinja::{Environment, UndefinedBehavior, Value};
use serde_json::Value as Json;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::LazyLock;

/// Steps an expression may take; 64 bytes of text are one.
const FUEL: u64 = 40_000;
/// The most parts that JSON may have: more than any record does.
const PARTS_MAX: usize = 1_000_000;

static LANGUAGE: LazyLock<Environment<'static>> = LazyLock::new(|| {
    let mut language = Environment::new();
    let functions: Vec<String> = language.globals().map(|(name, _)| name.to_owned()).collect();
    functions.iter().for_each(|name| language.remove_global(name));
    language.set_fuel(Some(FUEL));
    language.set_undefined_behavior(UndefinedBehavior::Chainable);
    template::times::teach_lasting(&mut language);
    template::teach(&mut language);
    language
});

/// An expression, ready to be asked.
pub(crate) struct Formula {
    source: String,
    compiled: minijinja::Expression<'static, 'static>,
}

impl fmt::Debug for Formula {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.source)
    }
}

impl Formula {
    /// Whether `text` is an expression at all.
    pub(crate) fn check(text: &str) -> Result<(), TemplateError> {
        compile(text).map(|_| ())
    }

    /// `known` are the names it may use.
    pub(crate) fn new(text: &str, known: &[&str]) -> Result<Self, TemplateError> {
        let compiled = compile(text)?;
        template::no_strangers("expression", &compiled.undeclared_variables(false), known, &LANGUAGE)?;
        Ok(Self { source: text.to_owned(), compiled })
    }

    /// As it was written.
    pub(crate) fn source(&self) -> &str {
        &self.source
    }

    /// Whether it looks at `name`.
    pub(crate) fn uses(&self, name: &str) -> bool {
        self.compiled.undeclared_variables(false).contains(name)
    }

    /// The members of `name` that it looks at, as far as they are written with a dot.
    pub(crate) fn members_of(&self, name: &str) -> Vec<String> {
        template::members(name, self.compiled.undeclared_variables(true))
    }

    /// What it comes to.
    pub(crate) fn of(&self, with: &Value) -> Result<Value, TemplateError> {
        self.compiled.eval(with.clone()).map_err(|error| {
            let detail = error.detail().map_or_else(|| error.kind().to_string(), str::to_owned);
            TemplateError::new(format!("{:.80} cannot be worked out: {detail}", self.source))
        })
    }

    /// Whether it is true, as Airbyte has it: nothing, empty text and lists, zero, and the
    /// text `false` are not.
    pub(crate) fn is_true(&self, with: &Value) -> Result<bool, TemplateError> {
        let value = self.of(with)?;
        let no = |text: &str| matches!(text.trim(), "" | "false" | "False" | "none" | "None" | "0");
        Ok(value.is_true() && !value.as_str().is_some_and(no))
    }
}

fn compile(text: &str) -> Result<minijinja::Expression<'static, 'static>, TemplateError> {
    let inner = single(text).unwrap_or(text.trim());
    if inner.is_empty() || inner.len() > LIVE_MAX {
        return Err(TemplateError::new(format!("an expression has 1 to {LIVE_MAX} bytes")));
    }
    hms_sync_bounds::compile(&LANGUAGE, &template::said_alone(inner)).map(|(compiled, _)| compiled).map_err(
        |error| {
            let detail = error.detail().map_or_else(|| error.kind().to_string(), str::to_owned);
            TemplateError::new(format!("the expression cannot be used: {detail}"))
        },
    )
}

/// What is in `{{ … }}`, if that is all there is.
pub(crate) fn single(text: &str) -> Option<&str> {
    let inner = text.trim().strip_prefix("{{")?.strip_suffix("}}")?;
    (!inner.contains("{{") && !inner.contains("}}")).then(|| inner.trim())
}

/// JSON as expressions see it: numbers are numbers, to be compared. One beyond all that can be
/// calculated with, as `1e320`, is greater than any other, or less.
pub(crate) fn value(json: &Json) -> Value {
    match json {
        Json::Null => Value::from(()),
        Json::Bool(b) => Value::from(*b),
        Json::Number(n) => match (n.as_i64(), n.as_u64(), n.as_f64()) {
            (Some(n), ..) => Value::from(n),
            (None, Some(n), _) => Value::from(n),
            (None, None, Some(n)) => Value::from(n),
            (None, None, None) if n.as_str().starts_with('-') => Value::from(f64::NEG_INFINITY),
            (None, None, None) => Value::from(f64::INFINITY),
        },
        Json::String(text) => Value::from(text.as_str()),
        Json::Array(elements) => elements.iter().map(value).collect(),
        Json::Object(members) => {
            let members: BTreeMap<_, _> =
                members.iter().map(|(name, member)| (name.clone(), value(member))).collect();
            Value::from(members)
        }
    }
}

/// What an expression came to, as JSON, which has no number that is beyond all others.
pub(crate) fn json(value: &Value) -> Result<Json, String> {
    template::small(value, PARTS_MAX).map_err(|why| why.detail().unwrap_or_default().to_owned())?;
    if is_beyond(value) {
        return Err("the expression comes to a number that cannot be calculated with, as `1e320`".to_owned());
    }
    serde_json::to_value(value).map_err(|e| format!("the expression comes to what JSON cannot hold: {e}"))
}

/// Whether a number in a value that has been weighed is none of JSON's.
fn is_beyond(value: &Value) -> bool {
    match value.kind() {
        ValueKind::Number => f64::try_from(value.clone()).is_ok_and(|n| !n.is_finite()),
        ValueKind::Seq | ValueKind::Iterable => {
            value.try_iter().into_iter().flatten().any(|part| is_beyond(&part))
        }
        ValueKind::Map => {
            let mut keys = value.try_iter().into_iter().flatten();
            keys.any(|key| value.get_item(&key).is_ok_and(|member| is_beyond(&member)))
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests may panic")]
    use super::{Formula, json as comes_to, value};
    use hms_sync_hostile::Reader;
    use minijinja::context;
    use serde_json::json;

    fn is_true(text: &str, record: serde_json::Value) -> bool {
        let formula = Formula::new(text, &["record"]).unwrap();
        formula.is_true(&context! { record => value(&record) }).unwrap()
    }

    #[test]
    fn conditions_of_airbyte_read_as_they_are() {
        let record = json!({ "status": "active", "score": 1.5, "tags": [], "nested": { "a": null } });
        for (text, expected) in [
            ("{{ record['status'] == 'active' }}", true),
            ("record.status in ['closed', 'gone']", false),
            ("{{ record.get('score', 0) > 1.25 }}", true),
            ("{{ record.get('missing', 7) == 7 }}", true),
            ("{{ record.get('nothing', {}).get('more') }}", false),
            ("{{ record.nothing.get('more') }}", false),
            ("{{ record.status.upper().startswith('ACT') }}", true),
            ("{{ 'score' in record.keys() }}", true),
            ("record.nested.a.b.c", false),
            ("record.nothing is not none and record.nothing", false),
            ("record.tags", false),
            ("'False'", false),
            ("format_datetime('23.11.2026', '%Y', '%d.%m.%Y') == '2026'", true),
            ("{{ str_to_datetime(record.get('at', '2026-11-23')).month > 11 }}", false),
            ("timestamp('1970-01-02') == max(86400, 7)", true),
            ("not record.archived", true),
            (
                "str_to_datetime('2026-11-23') - duration('P1D') < str_to_datetime('2026-11-22T00:00:01Z')",
                true,
            ),
            ("record.status | regex_search('^(a.*)e$') == 'activ'", true),
        ] {
            assert_eq!(is_true(text, record.clone()), expected, "{text}");
        }
    }

    #[test]
    fn what_cannot_be_used_is_told_at_once() {
        for (text, said) in [
            ("{{ recrod.a }}", "names `recrod`; known here: record"),
            ("record.", "cannot be used"),
            ("", "1 to 4000 bytes"),
            ("now()", "names `now`"),
        ] {
            let error = Formula::new(text, &["record"]).unwrap_err().to_string();
            assert!(error.contains(said), "{error}");
        }
    }

    /// No float holds them: they are compared as what they are, and nothing is made of them.
    #[test]
    fn numbers_beyond_all_others_are_numbers() {
        let record: serde_json::Value = serde_json::from_str(
            r#"{ "big": 1e320, "small": -1e320, "tiny": 1e-400, "list": [{ "n": 1e320 }] }"#,
        )
        .unwrap();
        for (text, expected) in [
            ("record.big > 5", true),
            ("record.big > '9'", false),
            ("record.big is number and record.small < 0", true),
            ("record.small > record.big", false),
            ("record.tiny == 0", true),
        ] {
            assert_eq!(is_true(text, record.clone()), expected, "{text}");
        }
        let with = context! { record => value(&record) };
        for text in ["record.big", "[record.small]", "record.list", "record.big * 2", "0 * record.big"] {
            let why = comes_to(&Formula::new(text, &["record"]).unwrap().of(&with).unwrap()).unwrap_err();
            assert!(why.contains("cannot be calculated with"), "{text}: {why}");
        }
    }

    #[test]
    fn no_list_becomes_json_without_end() {
        let long = vec!["a".repeat(1_000); 20_000];
        let with = context! { record => value(&json!({ "l": [1], "long": long })) };
        let of = |text: &str| {
            let made = Formula::new(text, &["record"]).unwrap().of(&with).map_err(|why| why.to_string())?;
            comes_to(&made)
        };
        assert!(of("record.l + [2]").is_ok_and(|json| json == json!([1, 2])));
        for (text, words) in [
            ("record.l * 100000", "a list cannot be multiplied"),
            ("[record.l * 99999999] ~ 'a'", "a list cannot be multiplied"),
            ("''.join(record.long)", "a list or map is too large here"),
            ("record.long", "its texts have more than 16000000 bytes"),
            ("'a' in (record.l * 9999999)", "a list cannot be multiplied"),
        ] {
            let why = of(text).unwrap_err();
            assert!(why.contains(words), "{text}: {why}");
        }
    }

    #[test]
    fn hostile_expressions_over_answers() {
        let record = json!({ "a": 1.5, "tags": ["x", "y"], "nested": { "b": null }, "text": "ß,🚒" });
        let with = context! { record => value(&record) };
        Reader::new("expressions over answers")
            .sound([
                "{{ record['a'] == 1.5 and record.tags | length > 1 }}",
                "record.get('missing', 7) == 7",
                "record.text | upper | replace('ß', 's') ~ record.nested.b.c",
                "record.tags[::-1] | join(',') if record.a is defined else [1, 2, {'k': -3 // 2 ** 4}]",
            ])
            .words(["{{", "}}", "record", ".a", "tags"])
            .minijinja()
            .texts(|text| {
                let Ok(formula) = Formula::new(text, &["record"]) else { return false };
                formula.members_of("record");
                formula
                    .is_true(&with)
                    .is_ok_and(|_| formula.of(&with).is_ok_and(|value| comes_to(&value).is_ok()))
            });
    }
}
