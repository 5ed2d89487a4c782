//! Walking a map of the config: keys that are known, keys that are required,
//! and, at the end, keys that nobody asked for.
//!
//! A getter that answers `None` has said why, or somebody before it has.

use crate::node::{Entry, Kind, Node};
use crate::problem::{At, Problems, nearest};
use std::fmt::Display;
use std::ops::RangeInclusive;
use std::str::FromStr;
use std::time::Duration;

/// A map being read.
#[derive(Debug)]
pub(crate) struct Section<'n> {
    /// As in "unknown key in *side `clerk`*".
    name: String,
    at: At,
    left: Vec<&'n Entry>,
    known: Vec<&'static str>,
}

impl<'n> Section<'n> {
    /// Opens a map; anything else is a problem.
    pub(crate) fn open(node: &'n Node, name: impl Into<String>, problems: &mut Problems<'_>) -> Option<Self> {
        let name = name.into();
        match &node.kind {
            Kind::Map(entries) => {
                Some(Self { name, at: node.at, left: entries.iter().collect(), known: Vec::new() })
            }
            Kind::Spoilt => None,
            _ => {
                problems.add(node.at, format!("{name} must be a map, this is {}", node.describe()));
                None
            }
        }
    }

    /// What the map is called.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Where the map begins.
    pub(crate) fn at(&self) -> At {
        self.at
    }

    /// The value behind a key, if it is there.
    pub(crate) fn take(&mut self, key: &'static str, problems: &mut Problems<'_>) -> Option<&'n Node> {
        self.known.push(key);
        let place = self.left.iter().position(|entry| entry.key == key)?;
        let entry = self.left.remove(place);
        if matches!(entry.value.kind, Kind::Null) {
            problems.add(entry.at, format!("`{key}` in {} has no value", self.name));
            return None;
        }
        Some(&entry.value)
    }

    /// The value behind a key that must be there.
    pub(crate) fn require(&mut self, key: &'static str, problems: &mut Problems<'_>) -> Option<&'n Node> {
        if !self.left.iter().any(|entry| entry.key == key) {
            self.known.push(key);
            problems.add(self.at, format!("{} needs `{key}`", self.name));
            return None;
        }
        self.take(key, problems)
    }

    /// Everything not taken so far.
    pub(crate) fn rest(&mut self) -> Vec<&'n Entry> {
        std::mem::take(&mut self.left)
    }

    /// The keys asked for so far.
    pub(crate) fn known(&self) -> &[&'static str] {
        &self.known
    }

    /// What is left is unknown.
    pub(crate) fn finish(self, problems: &mut Problems<'_>) {
        for entry in self.left {
            let message = format!("unknown key `{}` in {}", short(&entry.key), self.name);
            problems.add_hint(entry.at, message, nearest(&entry.key, self.known.iter().copied()));
        }
    }
}

fn short(text: &str) -> String {
    text.chars().take(60).collect()
}

fn wrong(node: &Node, what: &str, expected: &str, problems: &mut Problems<'_>) {
    if !matches!(node.kind, Kind::Spoilt) {
        problems.add(node.at, format!("{what} must be {expected}, this is {}", node.describe()));
    }
}

/// Text.
pub(crate) fn text<'n>(node: &'n Node, what: &str, problems: &mut Problems<'_>) -> Option<&'n str> {
    match &node.kind {
        Kind::Text(text) => Some(text),
        Kind::Number(_) | Kind::Bool(_) => {
            let message = format!("{what} must be text, this is {}", node.describe());
            problems.add_hint(node.at, message, "put it in quotes");
            None
        }
        _ => {
            wrong(node, what, "text", problems);
            None
        }
    }
}

/// Text that a type can read: a name, a path, an address.
pub(crate) fn parsed<T: FromStr<Err: Display>>(
    node: &Node,
    what: &str,
    problems: &mut Problems<'_>,
) -> Option<T> {
    let given = text(node, what, problems)?;
    match given.parse() {
        Ok(value) => Some(value),
        Err(why) => {
            problems.add(node.at, format!("{what} {} will not do: {why}", node.describe()));
            None
        }
    }
}

/// A key that is a name.
pub(crate) fn key<T: FromStr<Err: Display>>(entry: &Entry, problems: &mut Problems<'_>) -> Option<T> {
    match entry.key.parse() {
        Ok(name) => Some(name),
        Err(why) => {
            problems.add(entry.at, format!("`{}` will not do: {why}", short(&entry.key)));
            None
        }
    }
}

/// A whole number within a range.
pub(crate) fn whole(
    node: &Node,
    what: &str,
    range: RangeInclusive<u64>,
    problems: &mut Problems<'_>,
) -> Option<u64> {
    let number = match &node.kind {
        Kind::Number(number) => number.as_u64(),
        // A number that came from the environment is text here.
        Kind::Text(text) => text.trim().parse().ok(),
        _ => None,
    };
    let number = number.filter(|n| range.contains(n));
    if number.is_none() {
        let expected = format!("a whole number from {} to {}", range.start(), range.end());
        wrong(node, what, &expected, problems);
    }
    number
}

/// `true` or `false`.
pub(crate) fn yes_no(node: &Node, what: &str, problems: &mut Problems<'_>) -> Option<bool> {
    let answer = match &node.kind {
        Kind::Bool(b) => Some(*b),
        Kind::Text(text) => text.trim().parse().ok(),
        _ => None,
    };
    if answer.is_none() {
        wrong(node, what, "`true` or `false`", problems);
    }
    answer
}

/// The longest duration a config may name.
const MAX_DURATION: Duration = Duration::from_hours(366 * 24);

/// A duration as `30s`, `1h 30m`; zero is a problem.
pub(crate) fn duration(node: &Node, what: &str, problems: &mut Problems<'_>) -> Option<Duration> {
    let Kind::Text(text) = &node.kind else {
        wrong(node, what, "a duration as `30s`, `5m` or `1h`", problems);
        return None;
    };
    match humantime::parse_duration(text.trim()) {
        Ok(given) if given.is_zero() => {
            problems.add(node.at, format!("{what} must be longer than nothing"));
            None
        }
        Ok(given) if given > MAX_DURATION => {
            problems.add(node.at, format!("{what} must be a year at most"));
            None
        }
        Ok(given) => Some(given),
        Err(_) => {
            wrong(node, what, "a duration as `30s`, `5m` or `1h`", problems);
            None
        }
    }
}

/// A list's elements.
pub(crate) fn list<'n>(node: &'n Node, what: &str, problems: &mut Problems<'_>) -> Option<&'n [Node]> {
    let Kind::List(nodes) = &node.kind else {
        wrong(node, what, "a list as `[a, b]`", problems);
        return None;
    };
    Some(nodes)
}

/// One of a few words.
pub(crate) fn choice<T: Copy>(
    node: &Node,
    what: &str,
    words: &[(&str, T)],
    problems: &mut Problems<'_>,
) -> Option<T> {
    let given = text(node, what, problems)?;
    if let Some((_, chosen)) = words.iter().find(|(word, _)| *word == given) {
        return Some(*chosen);
    }
    let known = words.iter().map(|(word, _)| *word);
    problems.add_hint(node.at, format!("{what} cannot be {}", node.describe()), nearest(given, known));
    None
}
