//! Has what was written read by the configuration's own reader, and leaves out
//! what is not taken there, until it is taken whole.

use crate::note::Notes;
use crate::out::{Item, Out, Stand, render};
use hms_sync_config::{At, Problem, parse};

/// So often something is left out before we give up.
const MAX_ROUNDS: usize = 400;

/// Keys without which there is no configuration: what is wrong with them is not
/// put right by leaving them out.
/// So are conditions: what is meant for some answers must not come to hold for all.
const NEEDED: [&str; 15] = [
    "sync",
    "sides",
    "collections",
    "connector",
    "url",
    "fields",
    "identity",
    "http_codes",
    "predicate",
    "error_message_contains",
    "matchers",
    "method",
    "url_path_pattern",
    "params",
    "headers",
];

/// The side that is written for people to fill in.
pub(crate) const STUB: &str = "other";

/// The text of a configuration that is taken whole, and what was left out for it; nothing if
/// no collection is left. `stub` answers for the environment.
pub(crate) fn settle(
    mut items: Vec<Item>,
    head: &str,
    stub: &dyn Fn(&str) -> Option<String>,
    notes: &mut Notes,
) -> Result<Option<String>, String> {
    let mut gone: Vec<Gone> = Vec::new();
    for _ in 0..MAX_ROUNDS {
        let (body, stands) = render(&items, head.lines().count() + 1);
        let yaml = format!("{head}{body}");
        let Err(errors) = parse("import", &yaml, stub) else {
            gone.into_iter().for_each(|gone| notes.lost(gone.from, gone.place(), gone.said()));
            return Ok(Some(yaml));
        };
        let left = items.iter().find(|item| item.key == "collections");
        if left.is_some_and(|left| left.value.is_empty()) {
            gone.into_iter().for_each(|gone| notes.lost(gone.from, gone.place(), gone.said()));
            return Ok(None);
        }
        let mut ways: Vec<(Vec<usize>, &Problem)> = Vec::new();
        for problem in &errors.problems {
            let Some(way) = way_of(problem, &stands, &items) else { continue };
            if !ways.iter().any(|(there, _)| way.starts_with(there) || there.starts_with(&way)) {
                ways.push((way, problem));
            }
        }
        if ways.is_empty() {
            return Err(errors.to_string());
        }
        // From the back, so that what is still to be left out keeps its place.
        ways.sort_by(|(a, _), (b, _)| b.cmp(a));
        for (way, problem) in ways {
            if let Some((from, key)) = remove(&mut items, &way) {
                // What it stood in went after it: the first reason is the one.
                let inner = format!("{key}.");
                let first = gone
                    .iter()
                    .find(|gone| gone.key.starts_with(&inner))
                    .map(|gone| (gone.from, gone.why.clone()));
                gone.retain(|gone| !gone.key.starts_with(&inner));
                let (from, why) = first.unwrap_or((from, problem.message.clone()));
                gone.push(Gone { key, from, why });
            }
        }
    }
    Err("too much of it is not taken".to_owned())
}

/// Something that was left out.
struct Gone {
    /// The way to it.
    key: String,
    from: At,
    why: String,
}

impl Gone {
    /// The key, and the collection or the side that it is of.
    fn place(&self) -> String {
        let mut parts = self.key.split('.');
        match (parts.next(), parts.next()) {
            (Some("collections"), Some(name)) => {
                let rest: Vec<&str> = parts.skip_while(|part| *part == "sides").collect();
                if rest.is_empty() {
                    format!("stream `{name}`")
                } else {
                    format!("`{}` of stream `{name}`", rest.join("."))
                }
            }
            (Some("sides"), Some(name)) => {
                format!("`{}` of side `{name}`", parts.collect::<Vec<_>>().join("."))
            }
            _ => format!("`{}`", self.key),
        }
    }

    fn said(&self) -> String {
        format!("left out: {}", self.why)
    }
}

/// The way to the key that a problem is about.
fn way_of(problem: &Problem, stands: &[Stand], items: &[Item]) -> Option<Vec<usize>> {
    let at = stands.iter().rfind(|stand| stand.line <= problem.line)?;
    let mut way = at.way.clone();
    // What is needed cannot go: then what it stands in goes.
    while let Some(key) = key_at(items, &way) {
        let named = way.len() == 2 && way.first() != Some(&0) && key != STUB;
        // Without its only matcher a policy would be for all requests.
        let of_matchers =
            way.split_last().and_then(|(_, outer)| key_at(items, outer)).is_some_and(|key| key == "matchers");
        if of_matchers {
            way.pop();
            continue;
        }
        if named || (way.len() > 2 && !NEEDED.contains(&key.as_str())) {
            return Some(way);
        }
        way.pop();
    }
    None
}

fn key_at(items: &[Item], way: &[usize]) -> Option<String> {
    let (last, before) = way.split_last()?;
    let mut here = Some(items);
    let mut list: Option<&[Out]> = None;
    for index in before {
        let value = match (here, list) {
            (Some(items), _) => &items.get(*index)?.value,
            (None, Some(of)) => of.get(*index)?,
            (None, None) => return None,
        };
        (here, list) = match value {
            Out::Map(items) => (Some(items.as_slice()), None),
            Out::List(of) => (None, Some(of.as_slice())),
            Out::Text(_) | Out::Plain(_) | Out::Flow(_) => return None,
        };
    }
    match (here, list) {
        (Some(items), _) => items.get(*last).map(|item| item.key.clone()),
        // An element of a list has no key, and may go.
        (None, Some(_)) => Some((last + 1).to_string()),
        (None, None) => None,
    }
}

/// Takes a key out: where it came from, and its name.
fn remove(items: &mut Vec<Item>, way: &[usize]) -> Option<(At, String)> {
    let (first, rest) = way.split_first()?;
    if rest.is_empty() {
        if *first >= items.len() {
            return None;
        }
        let gone = items.remove(*first);
        return Some((gone.from, gone.key));
    }
    let item = items.get_mut(*first)?;
    let (from, key) = (item.from, item.key.clone());
    let (inner_from, inner) = within(&mut item.value, rest)?;
    let from = if inner_from.line > 0 { inner_from } else { from };
    Some((from, format!("{key}.{inner}")))
}

fn within(value: &mut Out, way: &[usize]) -> Option<(At, String)> {
    match value {
        Out::Map(items) => remove(items, way),
        Out::List(of) => {
            let (first, rest) = way.split_first()?;
            if rest.is_empty() {
                if *first < of.len() {
                    of.remove(*first);
                }
                return Some((At::default(), (first + 1).to_string()));
            }
            let (from, key) = within(of.get_mut(*first)?, rest)?;
            Some((from, format!("{}.{key}", first + 1)))
        }
        Out::Text(_) | Out::Plain(_) | Out::Flow(_) => None,
    }
}
