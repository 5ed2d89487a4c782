//! `to:` and `from:`: a field's way to a side and back in two expressions, for what no
//! value map or format says: a unit, a prefix, a word made of two.
//!
//! Each sees one value and gives one. They run with fuel and have bounds, so that none can run
//! for ever or fill the memory, and an expression that fails is a value that does not fit, in words.

use hms_sync_bounds::Limit;
use hms_sync_model::Decimal;
use minijinja::value::ValueKind;
use minijinja::{Environment, UndefinedBehavior, Value as Seen};
use serde_json::Value as Json;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, LazyLock};

/// Steps an expression may take; 64 bytes of text that it makes, or has go through a filter, are one.
const FUEL: u64 = 40_000;
/// What it may come to: more than any field holds.
const RESULT: Limit = Limit { parts: 100_000, bytes: 16_000_000 };
/// The longest expression, in bytes. One of some thousand signs would take the whole stack to build.
pub const EXPRESSION_MAX: usize = 4_000;

/// A pair of expressions as written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expressions {
    /// What the side is given, of our `value`.
    pub to: String,
    /// Our value, of the side's `value`.
    pub from: String,
}

/// Why an expression cannot be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{key}` will not do: {why}")]
pub struct InvalidExpression {
    /// `to` or `from`.
    pub key: &'static str,
    /// What is wrong.
    pub why: String,
}

/// A pair, ready for use.
#[derive(Debug, Clone)]
pub(crate) struct Pair {
    pub(crate) to: Compiled,
    pub(crate) from: Compiled,
}

impl Pair {
    pub(crate) fn compile(written: &Expressions) -> Result<Self, InvalidExpression> {
        let compile = |key, source| Compiled::new(source).map_err(|why| InvalidExpression { key, why });
        Ok(Self { to: compile("to", &written.to)?, from: compile("from", &written.from)? })
    }
}

/// The language: minijinja's filters and tests.
static LANGUAGE: LazyLock<Environment<'static>> = LazyLock::new(|| {
    let mut env = Environment::new();
    env.set_fuel(Some(FUEL));
    env.set_undefined_behavior(UndefinedBehavior::Strict);
    hms_sync_bounds::teach(&mut env);
    env
});

/// One expression.
#[derive(Clone)]
pub(crate) struct Compiled {
    source: Arc<str>,
    expression: Arc<minijinja::Expression<'static, 'static>>,
}

impl fmt::Debug for Compiled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.source)
    }
}

impl Compiled {
    fn new(source: &str) -> Result<Self, String> {
        if source.len() > EXPRESSION_MAX {
            return Err(format!("it has more than {EXPRESSION_MAX} bytes"));
        }
        let (expression, _) = hms_sync_bounds::compile(&LANGUAGE, source).map_err(|why| words(&why))?;
        let globals: Vec<&str> = LANGUAGE.globals().map(|(name, _)| name).collect();
        let names = expression.undeclared_variables(false);
        let stranger =
            names.iter().filter(|name| *name != "value" && !globals.contains(&name.as_str())).min();
        if let Some(name) = stranger {
            return Err(format!("it names `{name}`; there is `value` alone"));
        }
        Ok(Self { source: source.into(), expression: Arc::new(expression) })
    }

    /// What it makes of a value.
    pub(crate) fn of(&self, value: &Json) -> Result<Json, String> {
        let with = BTreeMap::from([("value", seen(value))]);
        let made = self.expression.eval(with).map_err(|why| words(&why))?;
        hms_sync_bounds::check(&made, RESULT)
            .map_err(|why| format!("what it comes to is too large: {why}"))?;
        json(&made)
    }
}

fn words(why: &minijinja::Error) -> String {
    why.detail().map_or_else(|| why.kind().to_string(), str::to_owned)
}

/// JSON as an expression sees it. Whole numbers beyond 64 bits are text, to the digit.
fn seen(json: &Json) -> Seen {
    match json {
        Json::Null => Seen::from(()),
        Json::Bool(b) => Seen::from(*b),
        Json::Number(n) => match (n.as_i64(), n.as_f64()) {
            (Some(n), _) => Seen::from(n),
            (None, Some(n)) if json.to_string().contains(['.', 'e', 'E']) => Seen::from(n),
            (None, _) => Seen::from(n.to_string()),
        },
        Json::String(text) => Seen::from(text.as_str()),
        Json::Array(elements) => elements.iter().map(seen).collect(),
        Json::Object(members) => Seen::from(
            members.iter().map(|(name, member)| (name.clone(), seen(member))).collect::<BTreeMap<_, _>>(),
        ),
    }
}

fn json(value: &Seen) -> Result<Json, String> {
    match value.kind() {
        ValueKind::Undefined => Err("it gives nothing".to_owned()),
        ValueKind::None => Ok(Json::Null),
        ValueKind::Number if !value.is_integer() => {
            let number = f64::try_from(value.clone()).map_err(|why| words(&why))?;
            exact(number).ok_or_else(|| format!("{number} is no number that can be kept"))
        }
        _ => serde_json::to_value(value).map_err(|why| why.to_string()),
    }
}

/// A number of the machine's as the decimal that was meant: its first fifteen digits, which
/// are all that come through its arithmetic.
fn exact(number: f64) -> Option<Json> {
    let digits = Decimal::parse(&format!("{number:.14e}")).ok()?;
    digits.as_str().parse().ok().map(Json::Number)
}
