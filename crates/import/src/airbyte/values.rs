//! The values that a list router lists for, where a manifest gives them as an expression: a list
//! that is written in it, numbers in a row, or what people choose, maybe with what stands in.

use super::terms::{Place, literal, split, way_into};

/// The most values that numbers in a row come to.
const MAX_RANGE: i64 = 1_000;

/// What an expression says of the values.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Listed {
    /// They are these.
    Known(Vec<String>),
    /// People choose them; what stands in if they do not.
    Chosen(Vec<String>, Option<String>),
}

impl Listed {
    /// What a text comes to, if it is one of these.
    pub(super) fn read(text: &str) -> Option<Self> {
        let text = text.trim();
        if let Some(known) = list(text) {
            return Some(Self::Known(known));
        }
        let inside = text.strip_prefix("{{")?.strip_suffix("}}")?;
        (!inside.contains("{{")).then(|| expression(inside.trim())).flatten()
    }
}

fn expression(text: &str) -> Option<Listed> {
    let text = bare(text);
    if let Some(known) = list(text).or_else(|| range(text)) {
        return Some(Listed::Known(known));
    }
    if let [first, second] = split(text, &[" or "]).as_slice() {
        return with(expression(first.trim())?, expression(second.trim())?);
    }
    if let [first, rest] = split(text, &[" if "]).as_slice()
        && let [condition, other] = split(rest, &[" else "]).as_slice()
    {
        let chosen = expression(first.trim())?;
        let Listed::Chosen(way, _) = &chosen else { return None };
        return asks_for(condition.trim(), way).then(|| with(chosen, expression(other.trim())?)).flatten();
    }
    chosen(text)
}

/// An expression without the brackets around it and what changes nothing of a list: with us values
/// are trimmed, and empty ones are none.
fn bare(text: &str) -> &str {
    let mut text = text;
    let terms = split(text, &["|"]);
    for term in terms.iter().skip(1).rev() {
        if !matches!(term.trim(), "list" | "map('trim')" | "map(\"trim\")" | "select") {
            break;
        }
        text = text.strip_suffix(term).and_then(|rest| rest.strip_suffix('|')).unwrap_or(text);
    }
    let text = text.trim();
    // `(a) or (b)` is in no brackets as a whole.
    let inner = text.strip_prefix('(').and_then(|rest| rest.strip_suffix(')'));
    inner.filter(|inner| !inner.contains(['(', ')'])).map_or(text, |inner| bare(inner.trim()))
}

/// What people choose, as a list or as a text with commas in it.
fn chosen(text: &str) -> Option<Listed> {
    let split_off =
        [".split(',')", ".split(\",\")", "|split(',')", "|split(\",\")", "| split(',')", "| split(\",\")"];
    let text = split_off.iter().find_map(|end| text.strip_suffix(end)).unwrap_or(text).trim();
    // `.get('x', ['a', 'b'])`: what stands in is a list.
    if let Some((before, arguments)) = text.strip_suffix(')').and_then(|rest| rest.rsplit_once(".get("))
        && let [key, default] = split(arguments, &[","]).as_slice()
        && let Some(default) = list(default.trim())
    {
        let way = way_into(&format!("{before}.get({})", key.trim()), "config")?;
        return joined(&default).map(|default| Listed::Chosen(way, Some(default)));
    }
    let place = Place::read(text).filter(|place| place.name == "config" && !place.way.is_empty())?;
    Some(Listed::Chosen(place.way, place.otherwise))
}

/// What is chosen, with what stands in.
fn with(chosen: Listed, other: Listed) -> Option<Listed> {
    let (Listed::Chosen(way, None), Listed::Known(other)) = (chosen, other) else { return None };
    joined(&other).map(|other| Listed::Chosen(way, Some(other)))
}

/// Whether a condition asks whether something was chosen.
fn asks_for(condition: &str, way: &[String]) -> bool {
    let [key] = way else { return way_into(condition, "config").as_deref() == Some(way) };
    let there = condition.strip_suffix(" in config").and_then(|key| literal(key.trim()));
    there.as_deref() == Some(key) || way_into(condition, "config").as_deref() == Some(way)
}

/// As a variable has them; nothing if commas would tell them apart otherwise.
fn joined(values: &[String]) -> Option<String> {
    let is_plain = |text: &String| !text.contains([',', '{', '}', '$']) && text.trim() == text;
    values.iter().all(is_plain).then(|| values.join(","))
}

/// A list of literals.
fn list(text: &str) -> Option<Vec<String>> {
    let inside = text.strip_prefix('[')?.strip_suffix(']')?.trim();
    let inside = inside.strip_suffix(',').unwrap_or(inside);
    if inside.trim().is_empty() {
        return Some(Vec::new());
    }
    split(inside, &[","]).into_iter().map(|one| literal(one.trim())).collect()
}

/// Numbers in a row: `range(1, 13)`.
fn range(text: &str) -> Option<Vec<String>> {
    let inside = text.strip_prefix("range(")?.strip_suffix(')')?;
    let numbers: Vec<i64> = inside.split(',').map(|n| n.trim().parse().ok()).collect::<Option<_>>()?;
    let (from, to, step) = match numbers.as_slice() {
        [to] => (0, *to, 1),
        [from, to] => (*from, *to, 1),
        [from, to, step] if *step > 0 => (*from, *to, *step),
        _ => return None,
    };
    let step = usize::try_from(step).ok()?;
    let within = to.checked_sub(from).is_some_and(|many| (0..=MAX_RANGE).contains(&many));
    within.then(|| (from..to).step_by(step).map(|n| n.to_string()).collect())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests may panic")]
    use super::Listed;

    #[test]
    fn values_in_all_their_forms() {
        let known = |values: &[&str]| Some(Listed::Known(values.iter().map(|&v| v.to_owned()).collect()));
        let chosen = |otherwise: Option<&str>| {
            Some(Listed::Chosen(vec!["ids".to_owned()], otherwise.map(str::to_owned)))
        };
        for (text, read) in [
            ("{{ config['ids'] }}", chosen(None)),
            ("{{ config.ids | list }}", chosen(None)),
            ("{{ config['ids'].split(',') }}", chosen(None)),
            ("{{ config['ids'] | split(',') | map('trim') | list }}", chosen(None)),
            ("{{ config.get('ids', 'a,b').split(',') }}", chosen(Some("a,b"))),
            ("{{ config.get('ids', ['a', 'b']) }}", chosen(Some("a,b"))),
            ("{{ config['ids'] or ['a', 'b'] }}", chosen(Some("a,b"))),
            ("{{ (config['ids']) or (['a']) }}", chosen(Some("a"))),
            ("{{ config['ids'] if 'ids' in config else [1, 2] }}", chosen(Some("1,2"))),
            ("{{ config['ids'] if config.get('ids') else [] }}", chosen(Some(""))),
            ("{{ ['a', 'b,c'] }}", known(&["a", "b,c"])),
            ("['a', 2,]", known(&["a", "2"])),
            ("{{ range(1, 4) | list }}", known(&["1", "2", "3"])),
            ("{{ range(0, 10, 5) }}", known(&["0", "5"])),
            ("{{ range(99999999) }}", None),
            ("{{ config['ids'] or ['a,b'] }}", None),
            ("{{ config['ids'] if config['other'] else ['a'] }}", None),
            ("{{ config['ids'] | map(attribute='id') }}", None),
            ("{{ day_delta(-1) }}", None),
            ("{{ config }}", None),
            ("", None),
        ] {
            assert_eq!(Listed::read(text), read, "{text}");
        }
    }
}
