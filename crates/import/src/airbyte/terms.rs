//! What expressions are made of, as far as it has to be seen here: names and the ways into
//! them, literals, and what stands between separators.

use std::borrow::Cow;

/// A name with the way into it: `config['a'].b.get('c', 'd')`.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) name: String,
    pub(super) way: Vec<String>,
    /// What stands in for the last of it.
    pub(super) otherwise: Option<String>,
}

impl Place {
    pub(super) fn read(text: &str) -> Option<Self> {
        let end = text.find(|c: char| !(c.is_alphanumeric() || c == '_')).unwrap_or(text.len());
        let (name, tail) = text.split_at_checked(end)?;
        let (mut rest, mut way, mut otherwise) = (tail, Vec::new(), None);
        while !rest.is_empty() {
            if let Some(inside) = rest.strip_prefix(".get(") {
                let (arguments, after) = inside.split_once(')')?;
                // `.get('a', {}).get('b')`: what stands in for a map is nothing.
                let (key, default) =
                    arguments.split_once(',').map_or((arguments, None), |(k, d)| (k, Some(d.trim())));
                way.push(literal(key.trim()).filter(|_| key.trim().starts_with(['"', '\'']))?);
                otherwise = default.and_then(literal);
                rest = after;
            } else if let Some(inside) = rest.strip_prefix('[') {
                let (key, after) = inside.split_once(']')?;
                way.push(literal(key.trim()).filter(|_| key.trim().starts_with(['"', '\'']))?);
                rest = after;
            } else {
                let inside = rest.strip_prefix('.')?;
                let end = inside.find(|c: char| !(c.is_alphanumeric() || c == '_')).unwrap_or(inside.len());
                let (key, after) = inside.split_at_checked(end)?;
                if key.is_empty() || after.starts_with('(') {
                    return None;
                }
                way.push(key.to_owned());
                rest = after;
            }
        }
        Some(Self { name: name.to_owned(), way, otherwise })
    }

    /// How long the way behind a name is.
    pub(super) fn length(tail: &str) -> usize {
        let mut length = 0;
        while let Some(rest) = tail.get(length..).filter(|rest| !rest.is_empty()) {
            let step = if rest.starts_with(".get(") {
                rest.find(')').map(|at| at + 1)
            } else if let Some(inside) = rest.strip_prefix('[') {
                // A number is the place in a list, and no name.
                let named = inside.trim_start().starts_with(['"', '\'']);
                rest.find(']').filter(|_| named).map(|at| at + 1)
            } else if let Some(inside) = rest.strip_prefix('.') {
                let end = inside.find(|c: char| !(c.is_alphanumeric() || c == '_')).unwrap_or(inside.len());
                (end > 0 && !inside.get(end..).unwrap_or_default().starts_with('(')).then_some(end + 1)
            } else {
                None
            };
            match step {
                Some(step) => length += step,
                None => break,
            }
        }
        length
    }
}

/// The way into `name`, if an expression is nothing else; what stands in for a part does
/// not count.
pub(super) fn way_into(expression: &str, name: &str) -> Option<Vec<String>> {
    let place = Place::read(expression)?;
    (place.name == name && !place.way.is_empty()).then_some(place.way)
}

/// The way into `name` that a text begins with.
pub(super) fn leading_way(text: &str, name: &str) -> Option<Vec<String>> {
    let tail = text.strip_prefix(name)?;
    let way = tail.get(..Place::length(tail))?;
    way_into(&format!("{name}{way}"), name)
}

/// `'x' in config` asks whether it is given: with us, whether the variable holds anything.
pub(super) fn asked(inside: &str) -> String {
    let mut out = String::new();
    let mut rest = inside;
    while let Some((before, after)) = rest.split_once(" in config") {
        let goes_on = after.starts_with(|c: char| c.is_alphanumeric() || matches!(c, '_' | '.' | '['));
        let (head, is_not) = before.strip_suffix(" not").map_or((before, false), |head| (head, true));
        let quote = head.chars().next_back().filter(|c| matches!(c, '\'' | '"'));
        let open = quote.and_then(|quote| head.get(..head.len().saturating_sub(1))?.rfind(quote));
        match open.and_then(|open| Some((head.get(..open)?, head.get(open..)?))) {
            Some((head, key)) if !goes_on => {
                out.push_str(head);
                out.push_str(if is_not { "not " } else { "" });
                out.extend(["config[", key, "]"]);
            }
            _ => out.extend([before, " in config"]),
        }
        rest = after;
    }
    out.push_str(rest);
    out
}

/// A literal's text: in quotes, a number, `true`.
pub(super) fn literal(text: &str) -> Option<String> {
    for quote in ['"', '\''] {
        if let Some(inside) = text.strip_prefix(quote).and_then(|rest| rest.strip_suffix(quote)) {
            return (!inside.contains(quote)).then(|| inside.to_owned());
        }
    }
    let plain = !text.is_empty() && text.chars().all(|c| c.is_ascii_digit() || matches!(c, '.' | '-'));
    (plain || matches!(text, "true" | "false" | "True" | "False")).then(|| text.to_lowercase())
}

/// A text whose quotes, written around all of it, are for Airbyte alone: it reads what a template
/// comes to as a literal, so that `'{{ x }}'` is text whatever `x` is. Statements may stand before.
pub(super) fn unquoted(text: &str) -> Cow<'_, str> {
    let (statements, last) =
        text.rfind("%}").and_then(|at| text.split_at_checked(at + 2)).unwrap_or(("", text));
    match literal_text(last) {
        Some(inside) if statements.is_empty() => Cow::Borrowed(inside),
        Some(inside) if are_statements(statements) => Cow::Owned(format!("{statements}{inside}")),
        _ => Cow::Borrowed(text),
    }
}

/// What is within quotes that are around all of a text.
fn literal_text(text: &str) -> Option<&str> {
    let trimmed = text.trim();
    let quote = trimmed.chars().next().filter(|c| matches!(c, '"' | '\''))?;
    let inside = trimmed.strip_prefix(quote)?.strip_suffix(quote)?;
    // Quotes within an expression are its own; others end the literal.
    let mut rest = inside;
    while let Some((before, after)) = rest.split_once("{{") {
        rest = closed(after).filter(|_| !before.contains(quote))?.1;
    }
    (!rest.contains(quote)).then_some(inside)
}

/// Whether a text writes nothing by itself.
fn are_statements(text: &str) -> bool {
    let mut parts = text.split("{%");
    let is_blank = |text: &str| text.trim().is_empty();
    parts.next().is_some_and(is_blank)
        && parts.all(|part| part.split_once("%}").is_some_and(|(_, behind)| is_blank(behind)))
}

/// The text up to `}}` that is not in quotes, and what is behind.
pub(super) fn closed(text: &str) -> Option<(&str, &str)> {
    let (mut quote, mut depth) = (None, 0_usize);
    let mut before = ' ';
    for (at, c) in text.char_indices() {
        match (quote, c) {
            (None, '{') => depth += 1,
            // `{'a': {}}}}`: the last two are meant.
            (None, '}') if depth > 0 => {
                depth -= 1;
                before = ' ';
                continue;
            }
            (None, '}') if before == '}' => {
                return Some((text.get(..at - 1)?, text.get(at + 1..)?));
            }
            (None, '"' | '\'') => quote = Some(c),
            (Some(open), c) if c == open => quote = None,
            _ => {}
        }
        before = c;
    }
    None
}

/// The parts between separators that are not in quotes or brackets.
pub(super) fn split<'t>(text: &'t str, separators: &[&str]) -> Vec<&'t str> {
    let (mut parts, mut begin, mut depth, mut quote) = (Vec::new(), 0, 0_i32, None);
    let mut skip = 0;
    for (at, c) in text.char_indices() {
        if at < skip {
            continue;
        }
        match (quote, c) {
            (Some(open), c) if c == open => quote = None,
            (Some(_), _) => {}
            (None, '"' | '\'') => quote = Some(c),
            (None, '(' | '[' | '{') => depth += 1,
            (None, ')' | ']' | '}') => depth -= 1,
            (None, _) if depth == 0 => {
                let here = text.get(at..).unwrap_or_default();
                if let Some(found) = separators.iter().find(|s| here.starts_with(**s)) {
                    parts.push(text.get(begin..at).unwrap_or_default());
                    begin = at + found.len();
                    skip = begin;
                }
            }
            (None, _) => {}
        }
    }
    parts.push(text.get(begin..).unwrap_or_default());
    parts
}
