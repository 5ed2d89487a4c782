//! `${NAME}` in a config: values from the environment.
//!
//! `${NAME}` must be set; `${NAME:-text}` falls back if it is unset or empty,
//! `${NAME-text}` if it is unset; `${NAME:?what it is}` says what is missing.
//! `$${` is a plain `${`. It works in quoted text too, because in `{ … }` YAML
//! demands the quotes. Only values are looked at, never keys; what comes in is
//! a value and can neither add keys nor change the file's structure. Values
//! never appear in messages, only the names.

use crate::node::{Kind, Node};
use crate::problem::{At, Problems};

/// How deep a fallback may hold another reference.
const MAX_DEPTH: usize = 4;
/// The longest text made of references, in bytes.
const MAX_BYTES: usize = 1024 * 1024;

type Lookup<'e> = &'e dyn Fn(&str) -> Option<String>;

/// Puts the environment's values in; what is missing is a problem each.
pub(crate) fn fill(node: &mut Node, env: Lookup<'_>, problems: &mut Problems<'_>) {
    match &mut node.kind {
        Kind::List(nodes) => nodes.iter_mut().for_each(|node| fill(node, env, problems)),
        Kind::Map(entries) => entries.iter_mut().for_each(|entry| fill(&mut entry.value, env, problems)),
        Kind::Text(text) if text.contains("${") => {
            let before = problems.count();
            *text = filled(text, node.at, env, problems, 0);
            if problems.count() > before {
                node.kind = Kind::Spoilt;
            }
        }
        _ => {}
    }
}

fn filled(text: &str, at: At, env: Lookup<'_>, problems: &mut Problems<'_>, depth: usize) -> String {
    let (mut out, mut rest) = (String::with_capacity(text.len()), text);
    while let Some((before, after)) = rest.split_once("${") {
        if out.len() > MAX_BYTES {
            problems.add(at, "with its environment variables put in, this is longer than 1 MiB");
            return String::new();
        }
        if let Some(before) = before.strip_suffix('$') {
            out.push_str(before);
            out.push_str("${");
            rest = after;
            continue;
        }
        out.push_str(before);
        let Some((inside, after)) = closed(after) else {
            problems.add_hint(at, "`${` without its `}`", "a plain `${` is written `$${`");
            return out;
        };
        out.push_str(&value_of(inside, at, env, problems, depth));
        rest = after;
    }
    out.push_str(rest);
    out
}

/// Splits at the brace that closes the reference.
fn closed(text: &str) -> Option<(&str, &str)> {
    let mut open = 0_usize;
    for (place, letter) in text.char_indices() {
        match letter {
            '{' => open += 1,
            '}' if open == 0 => return Some((text.get(..place)?, text.get(place + 1..)?)),
            '}' => open -= 1,
            _ => {}
        }
    }
    None
}

fn value_of(inside: &str, at: At, env: Lookup<'_>, problems: &mut Problems<'_>, depth: usize) -> String {
    let end = inside.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).unwrap_or(inside.len());
    let (name, rest) = inside.split_at_checked(end).unwrap_or((inside, ""));
    if name.is_empty() || name.starts_with(|c: char| c.is_ascii_digit()) {
        problems.add_hint(
            at,
            "`${` must be followed by the name of an environment variable",
            "a plain `${` is written `$${`",
        );
        return String::new();
    }
    let value = env(name).filter(|value| !(value.is_empty() && rest.starts_with(':')));
    if let Some(value) = value {
        problems.hide(name, &value);
        return value;
    }
    if let Some(fallback) = rest.strip_prefix(":-").or_else(|| rest.strip_prefix('-')) {
        if depth < MAX_DEPTH {
            return filled(fallback, at, env, problems, depth + 1);
        }
        problems.add(at, format!("fallbacks may be {MAX_DEPTH} deep at most"));
    } else if let Some(what) = rest.strip_prefix(":?").or_else(|| rest.strip_prefix('?')) {
        let what = if what.is_empty() { String::new() } else { format!(": {what}") };
        problems.add_hint(at, format!("the environment variable `{name}` is not set{what}"), set_it(name));
    } else if rest.is_empty() {
        problems.add_hint(at, format!("the environment variable `{name}` is not set"), set_it(name));
    } else {
        problems.add_hint(
            at,
            format!("`{name}` is followed by something unknown in `${{…}}`"),
            "known are `:-`, `-`, `:?` and `?`",
        );
    }
    String::new()
}

fn set_it(name: &str) -> String {
    format!("set it, or give a fallback: ${{{name}:-…}}")
}
