//! The YAML file as a tree that knows where each part stands.
//!
//! The whole file is read into this tree first, within tight bounds, so that
//! one run finds every mistake and not only the first. Every later step walks
//! the tree; none looks at the text again.

use crate::problem::{At, ConfigErrors, Problems};
use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::Number;
use serde_saphyr::budget::BudgetBreach;
use serde_saphyr::{DuplicateKeyPolicy, Spanned};
use std::collections::BTreeMap;
use std::fmt;

/// The largest config, in bytes.
pub const MAX_BYTES: usize = 4 * 1024 * 1024;

/// One part of the file.
#[derive(Debug, Clone)]
pub struct Node {
    /// Where it begins.
    pub at: At,
    /// What it is.
    pub kind: Kind,
}

/// What a part of a file is.
#[derive(Debug, Clone)]
pub enum Kind {
    /// Nothing.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A number.
    Number(Number),
    /// Text.
    Text(String),
    /// A list.
    List(Vec<Node>),
    /// A map, in the order of the file.
    Map(Vec<Entry>),
    /// Something is wrong with it and said already; whoever meets it says nothing more.
    Spoilt,
}

/// A key and what stands behind it.
#[derive(Debug, Clone)]
pub struct Entry {
    /// Where the key is.
    pub at: At,
    /// The key.
    pub key: String,
    /// What stands behind it.
    pub value: Node,
}

impl Node {
    /// What this is, for a message.
    pub fn describe(&self) -> String {
        match &self.kind {
            Kind::Null | Kind::Spoilt => "nothing".to_owned(),
            Kind::Bool(b) => format!("`{b}`"),
            Kind::Number(n) => format!("the number `{n}`"),
            Kind::Text(text) => format!("`{}`", text.chars().take(60).collect::<String>()),
            Kind::List(_) => "a list".to_owned(),
            Kind::Map(_) => "a map".to_owned(),
        }
    }

    /// The value behind `key`, if this is a map that has it.
    pub fn get(&self, key: &str) -> Option<&Node> {
        match &self.kind {
            Kind::Map(entries) => entries.iter().find(|e| e.key == key).map(|e| &e.value),
            _ => None,
        }
    }
}

fn at(location: serde_saphyr::Location) -> At {
    let number = |n: u64| usize::try_from(n).unwrap_or(usize::MAX);
    At { line: number(location.line()), column: number(location.column()) }
}

/// Reads YAML that is no config. `name` stands for the file in messages.
///
/// # Errors
/// With what is no YAML, and with every key that is there twice.
pub fn tree(name: &str, yaml: &str) -> Result<Node, ConfigErrors> {
    let mut problems = Problems::new(name, yaml);
    match bounded(yaml, ANY, &mut problems) {
        Some(node) if problems.count() == 0 => Ok(node),
        _ => Err(problems.into_errors()),
    }
}

/// Reads a file's text. What is no YAML is one problem: nothing behind it can be judged.
pub(crate) fn read(yaml: &str, problems: &mut Problems<'_>) -> Option<Node> {
    bounded(yaml, CONFIG, problems)
}

fn bounded(yaml: &str, bounds: Bounds, problems: &mut Problems<'_>) -> Option<Node> {
    if yaml.len() > MAX_BYTES {
        problems.add(At::default(), format!("the file is larger than {} MiB", MAX_BYTES / 1024 / 1024));
        return None;
    }
    if let Some((line, text)) = yaml.lines().enumerate().find(|(_, text)| text.len() > 64 * 1024) {
        let column = text.chars().count().min(1);
        problems.add(At { line: line + 1, column }, "this line is longer than 64 KiB");
        return None;
    }
    match serde_saphyr::from_str_with_options::<Node>(yaml, options(bounds)) {
        Ok(mut node) => {
            drop_repeated(&mut node, problems);
            Some(node)
        }
        Err(error) => {
            let error = error.without_snippet();
            let place = error.location().map(at).unwrap_or_default();
            problems.add(place, unreadable(error));
            None
        }
    }
}

/// A key that is there twice: the first counts.
fn drop_repeated(node: &mut Node, problems: &mut Problems<'_>) {
    match &mut node.kind {
        Kind::List(nodes) => nodes.iter_mut().for_each(|node| drop_repeated(node, problems)),
        Kind::Map(entries) => {
            let mut seen = BTreeMap::new();
            entries.retain(|entry| match seen.insert(entry.key.clone(), entry.at) {
                None => true,
                Some(first) => {
                    let message = format!("`{}` is here twice, first in line {}", entry.key, first.line);
                    problems.add(entry.at, message);
                    false
                }
            });
            entries.iter_mut().for_each(|entry| drop_repeated(&mut entry.value, problems));
        }
        _ => {}
    }
}

fn unreadable(error: &serde_saphyr::Error) -> String {
    match error {
        serde_saphyr::Error::Budget { breach: BudgetBreach::Documents { .. }, .. } => {
            "a second document begins here: a config is one".to_owned()
        }
        serde_saphyr::Error::Budget { .. } => "the file is larger or nested deeper than is read".to_owned(),
        other => format!("this is not YAML as we read it: {:.300}", plain(&other.to_string())),
    }
}

/// The message without the place, which is told apart from it.
fn plain(message: &str) -> &str {
    let first = message.lines().next().unwrap_or(message);
    first.split_once(" at line ").map_or(first, |(text, _)| text)
}

/// How large and deep a file may be.
#[derive(Clone, Copy)]
struct Bounds {
    nodes: usize,
    depth: usize,
}

/// Of a config.
const CONFIG: Bounds = Bounds { nodes: 300_000, depth: 32 };
/// Of what other people's programs wrote: schemas within it are deep.
const ANY: Bounds = Bounds { nodes: 1_000_000, depth: 96 };

fn options(bounds: Bounds) -> serde_saphyr::Options {
    let budget = serde_saphyr::budget! {
        max_events: bounds.nodes * 2,
        max_nodes: bounds.nodes,
        max_aliases: 500,
        max_anchors: 500,
        max_recorded_anchor_events: 20_000,
        max_recorded_anchor_bytes: 1_000_000,
        max_depth: bounds.depth,
        max_documents: 1,
        max_total_scalar_bytes: MAX_BYTES,
        max_merge_keys: 500,
    };
    serde_saphyr::options! {
        budget: budget,
        duplicate_keys: DuplicateKeyPolicy::PassThrough,
        alias_limits: serde_saphyr::alias_limits! {
            max_total_replayed_events: 20_000,
            max_replay_stack_depth: 8,
        },
        leading_zero_numbers_as_strings: true,
        strict_booleans: true,
        with_snippet: false,
    }
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let spanned = Spanned::<Kind>::deserialize(deserializer)?;
        Ok(Self { at: at(spanned.defined), kind: spanned.value })
    }
}

impl<'de> Deserialize<'de> for Kind {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(AnyKind)
    }
}

struct AnyKind;

impl<'de> Visitor<'de> for AnyKind {
    type Value = Kind;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a scalar, a list or a map")
    }

    fn visit_unit<E: Error>(self) -> Result<Kind, E> {
        Ok(Kind::Null)
    }

    fn visit_none<E: Error>(self) -> Result<Kind, E> {
        Ok(Kind::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Kind, D::Error> {
        Kind::deserialize(deserializer)
    }

    fn visit_bool<E: Error>(self, b: bool) -> Result<Kind, E> {
        Ok(Kind::Bool(b))
    }

    fn visit_i64<E: Error>(self, n: i64) -> Result<Kind, E> {
        Ok(Kind::Number(n.into()))
    }

    fn visit_u64<E: Error>(self, n: u64) -> Result<Kind, E> {
        Ok(Kind::Number(n.into()))
    }

    fn visit_i128<E: Error>(self, n: i128) -> Result<Kind, E> {
        Ok(number_or_text(&n.to_string()))
    }

    fn visit_u128<E: Error>(self, n: u128) -> Result<Kind, E> {
        Ok(number_or_text(&n.to_string()))
    }

    fn visit_f64<E: Error>(self, n: f64) -> Result<Kind, E> {
        Number::from_f64(n).map(Kind::Number).ok_or_else(|| E::custom("not a finite number"))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Kind, E> {
        Ok(Kind::Text(text.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Kind, A::Error> {
        let mut nodes = Vec::new();
        while let Some(node) = access.next_element()? {
            nodes.push(node);
        }
        Ok(Kind::List(nodes))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Kind, A::Error> {
        let mut entries = Vec::new();
        while let Some(key) = access.next_key::<Spanned<String>>()? {
            let value = access.next_value()?;
            entries.push(Entry { at: at(key.defined), key: key.value, value });
        }
        Ok(Kind::Map(entries))
    }
}

fn number_or_text(digits: &str) -> Kind {
    digits.parse().map_or_else(|_| Kind::Text(digits.to_owned()), Kind::Number)
}
