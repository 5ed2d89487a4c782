//! Text templates: `/permits/{{ id }}`, `updated > '{{ cursor }}'`.
//!
//! Compiled once, run with fuel and with bounds, so that no template can run for ever or fill the
//! memory. What is
//! filled into a path is percent-encoded as a part of one segment: no value can
//! leave its place. A name that nothing provides is an error, never empty text.

mod lapse;
mod lists;
mod methods;
mod said;
mod texts;
pub(crate) mod times;

use hms_sync_bounds::{Limit, TooLarge};
use minijinja::{Environment, UndefinedBehavior, Value};
use said::said;
pub(crate) use said::said_alone;
use serde_json::Value as Json;
use std::borrow::Cow;
use std::collections::{BTreeMap, HashSet};
use std::fmt;

/// Steps a template may take; 64 bytes of text are one. A page of parameters takes some dozens.
const FUEL: u64 = 40_000;

/// What of a template is no plain text, in bytes at most. Some thousand signs of it would take
/// the whole stack to build.
pub(crate) const LIVE_MAX: usize = 4_000;

/// The most parts that a list in a text may have, with those in its parts.
const PARTS_MAX: usize = 20_000;
/// The most bytes that the texts in what is filled in may have.
const BYTES_MAX: usize = 16_000_000;

/// The name each template has in its own environment.
const NAME: &str = "template";

/// What is wrong with a template, in words.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct TemplateError(String);

impl TemplateError {
    pub(crate) fn new(words: String) -> Self {
        Self(words)
    }
}

/// Whether `text` is a template at all.
pub(crate) fn check(text: &str) -> Result<(), TemplateError> {
    if is_plain(text) {
        return Ok(());
    }
    bounded(text)?;
    let environment = Environment::empty();
    let build = |text: &str| environment.template_from_str(text).map(drop);
    let said = said(text);
    hms_sync_bounds::build(&hms_sync_bounds::template(&said), &said, build).map_err(|why| broken(&why))
}

fn bounded(text: &str) -> Result<(), TemplateError> {
    let bytes = live(text);
    if bytes > LIVE_MAX {
        let why = format!(
            "what a template fills in (`{{{{ … }}}}`) has {LIVE_MAX} bytes at most, and here it has {bytes}"
        );
        return Err(TemplateError(why));
    }
    Ok(())
}

/// How many bytes of a template are no plain text.
fn live(text: &str) -> usize {
    let (mut rest, mut bytes) = (text, 0);
    while let Some(at) = rest.find('{') {
        let from = rest.get(at..).unwrap_or_default();
        rest = from.get(1..).unwrap_or_default();
        if let Some(open) = ["{{", "{%", "{#"].into_iter().find(|open| from.starts_with(open)) {
            let inside = from.get(open.len()..).unwrap_or_default();
            let long = length(inside, open);
            bytes += long;
            rest = inside.get(long..).unwrap_or_default();
        }
    }
    bytes
}

/// How far it is to what ends what `open` began. What ends it does not do so within a text.
fn length(inside: &str, open: &str) -> usize {
    let close = match open {
        "{{" => "}}",
        "{%" => "%}",
        _ => return inside.find("#}").unwrap_or(inside.len()),
    };
    let (mut quote, mut escaped) = (None, false);
    for (at, sign) in inside.char_indices() {
        match (quote, sign) {
            (Some(_), _) if std::mem::take(&mut escaped) => {}
            (Some(_), '\\') => escaped = true,
            (Some(open), sign) if sign == open => quote = None,
            (None, '\'' | '"') => quote = Some(sign),
            (None, _) if inside.get(at..).is_some_and(|rest| rest.starts_with(close)) => return at,
            _ => {}
        }
    }
    inside.len()
}

fn is_plain(text: &str) -> bool {
    !text.contains("{{") && !text.contains("{%") && !text.contains("{#")
}

fn broken(error: &minijinja::Error) -> TemplateError {
    let detail = error.detail().map_or_else(|| error.kind().to_string(), str::to_owned);
    TemplateError(format!("the template cannot be used: {detail}"))
}

/// Where values are written as they are.
fn plain() -> Environment<'static> {
    let mut environment = Environment::new();
    environment.set_formatter(|out, state, value| {
        small(value, PARTS_MAX)?;
        minijinja::escape_formatter(out, state, value)
    });
    environment
}

/// Refuses lists that go on and on, and texts that are in one very often: no fuel bounds them.
pub(crate) fn small(value: &Value, most: usize) -> Result<(), minijinja::Error> {
    let why = match hms_sync_bounds::check(value, Limit { parts: most, bytes: BYTES_MAX }) {
        Ok(_) => return Ok(()),
        Err(TooLarge::Parts(most)) => format!("a list that is filled in has {most} parts at most"),
        Err(why) => format!("what is filled in is too large: {why}"),
    };
    Err(minijinja::Error::new(minijinja::ErrorKind::InvalidOperation, why))
}

/// A template, ready to be filled in.
pub(crate) enum Compiled {
    /// There is nothing to fill in.
    Plain(String),
    Live(Box<Live>),
}

pub(crate) struct Live {
    source: String,
    env: Environment<'static>,
    names: HashSet<String>,
}

impl fmt::Debug for Compiled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Plain(text) => write!(f, "{text:?}"),
            Self::Live(_) => f.write_str("(template)"),
        }
    }
}

impl Compiled {
    /// Text as it is.
    pub(crate) fn text(source: &str, known: &[&str]) -> Result<Self, TemplateError> {
        Self::new(source, known, plain())
    }

    /// All of a body: it keeps its last line break, which the language takes away.
    pub(crate) fn whole(source: &str, known: &[&str]) -> Result<Self, TemplateError> {
        if is_plain(source) || !source.ends_with('\n') {
            return Self::text(source, known);
        }
        Self::text(&format!("{source}\n"), known)
    }

    /// Text of a request that reads: it may look at the clock.
    pub(crate) fn asking(source: &str, known: &[&str]) -> Result<Self, TemplateError> {
        let mut environment = plain();
        times::teach(&mut environment);
        Self::new(source, known, environment)
    }

    /// Each value is one segment of a path or a part of one.
    pub(crate) fn path(source: &str, known: &[&str]) -> Result<Self, TemplateError> {
        let mut environment = Environment::new();
        environment.set_formatter(|out, _, value| {
            small(value, PARTS_MAX)?;
            let text = value.to_string();
            if value.is_undefined() || value.is_none() || text.is_empty() {
                let kind = minijinja::ErrorKind::UndefinedError;
                return Err(minijinja::Error::new(kind, "there is nothing to put into the path"));
            }
            out.write_str(&segment(&text)).map_err(minijinja::Error::from)
        });
        Self::new(source, known, environment)
    }

    /// Text made of a record: what is not there is nothing.
    pub(crate) fn lenient(source: &str, known: &[&str]) -> Result<Self, TemplateError> {
        let mut environment = Environment::new();
        times::teach_lasting(&mut environment);
        environment.set_formatter(|out, state, value| {
            if value.is_undefined() || value.is_none() {
                return Ok(());
            }
            small(value, PARTS_MAX)?;
            minijinja::escape_formatter(out, state, value)
        });
        Self::with(source, known, environment, UndefinedBehavior::Chainable)
    }

    /// Statements, and at their end a single expression that is what comes of them: nothing if the
    /// text is another. What is not there is nothing.
    pub(crate) fn ending(source: &str, known: &[&str]) -> Option<Result<Self, TemplateError>> {
        let source = said::ending(source)?;
        Some(Self::lenient(&source, known))
    }

    /// What statements come to at their end.
    pub(crate) fn end(&self, with: &Value) -> Result<Value, TemplateError> {
        let Self::Live(live) = self else { return Ok(Value::UNDEFINED) };
        let template = live.env.get_template(NAME).map_err(|e| broken(&e))?;
        let filled = template.render_captured(with.clone()).map_err(|e| broken(&e))?;
        Ok(filled.state().lookup(said::END).unwrap_or_default())
    }

    fn new(source: &str, known: &[&str], env: Environment<'static>) -> Result<Self, TemplateError> {
        Self::with(source, known, env, UndefinedBehavior::Strict)
    }

    fn with(
        source: &str,
        known: &[&str],
        mut env: Environment<'static>,
        missing: UndefinedBehavior,
    ) -> Result<Self, TemplateError> {
        if is_plain(source) {
            return Ok(Self::Plain(source.to_owned()));
        }
        bounded(source)?;
        env.set_fuel(Some(FUEL));
        env.set_undefined_behavior(missing);
        teach(&mut env);
        let said = said(source);
        let build = |text: &str| env.add_template_owned(NAME, text.to_owned());
        hms_sync_bounds::build(&hms_sync_bounds::template(&said), &said, build)
            .map_err(|why| broken(&why))?;
        let template = env.get_template(NAME).map_err(|e| broken(&e))?;
        let names = template.undeclared_variables(false);
        no_strangers("template", &names, known, &env)?;
        Ok(Self::Live(Box::new(Live { source: source.to_owned(), env, names })))
    }

    /// The text with everything filled in.
    pub(crate) fn fill(&self, with: &Value) -> Result<Cow<'_, str>, TemplateError> {
        match self {
            Self::Plain(text) => Ok(text.into()),
            Self::Live(live) => {
                let template = live.env.get_template(NAME).map_err(|e| broken(&e))?;
                template.render(with.clone()).map(Into::into).map_err(|e| broken(&e))
            }
        }
    }

    /// Whether it has `name` filled in.
    pub(crate) fn uses(&self, name: &str) -> bool {
        matches!(self, Self::Live(live) if live.names.contains(name))
    }

    /// The members of `name` that it has filled in, as far as they are written with a dot.
    pub(crate) fn members_of(&self, name: &str) -> Vec<String> {
        let Self::Live(live) = self else { return Vec::new() };
        let named = live.env.get_template(NAME).map(|template| template.undeclared_variables(true));
        members(name, named.unwrap_or_default())
    }

    /// As it was written.
    pub(crate) fn source(&self) -> &str {
        match self {
            Self::Plain(text) => text,
            Self::Live(live) => &live.source,
        }
    }

    pub(crate) fn is_plain(&self) -> bool {
        matches!(self, Self::Plain(_))
    }
}

/// What all templates and expressions know.
pub(crate) fn teach(env: &mut Environment<'static>) {
    env.set_unknown_method_callback(methods::of);
    texts::teach(env);
    lists::teach(env);
    hms_sync_bounds::teach(env);
}

/// Refuses what names anything but these and what `env` gives to all; `what` it is.
pub(crate) fn no_strangers(
    what: &str,
    names: &HashSet<String>,
    known: &[&str],
    env: &Environment<'_>,
) -> Result<(), TemplateError> {
    let is_known = |name: &str| known.contains(&name) || env.globals().any(|(global, _)| global == name);
    let Some(name) = names.iter().filter(|name| !is_known(name)).min() else { return Ok(()) };
    let known = if known.is_empty() { "nothing".to_owned() } else { known.join(", ") };
    Err(TemplateError(format!("the {what} names `{name}`; known here: {known}")))
}

/// What is stepped into from `name`, of all that is named.
pub(crate) fn members(name: &str, named: HashSet<String>) -> Vec<String> {
    let member = |named: String| {
        let rest = named.strip_prefix(name)?.strip_prefix('.')?;
        Some(rest.split('.').next().unwrap_or(rest).to_owned())
    };
    named.into_iter().filter_map(member).collect()
}

/// JSON as templates see it. Numbers beyond 64 bits are text, to the digit.
pub(crate) fn value(json: &Json) -> Value {
    match json {
        Json::Null => Value::from(()),
        Json::Bool(b) => Value::from(*b),
        Json::Number(n) => match (n.as_i64(), n.as_u64()) {
            (Some(n), _) => Value::from(n),
            (None, Some(n)) => Value::from(n),
            (None, None) => Value::from(n.to_string()),
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

/// `text` as a part of one segment of a path.
pub(crate) fn segment(text: &str) -> String {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'~' | b'@' | b':') {
            out.push(char::from(byte));
        } else {
            out.push('%');
            for nibble in [byte >> 4, byte & 15] {
                out.extend(HEX.get(usize::from(nibble)).map(|digit| char::from(*digit)));
            }
        }
    }
    out
}

#[cfg(test)]
mod tests;
