//! `sides:` at the top: what systems there are and how they are reached.

use crate::bridge;
use crate::fields::FIELD_KEYS;
use crate::node::{Entry, Kind, Node};
use crate::places;
use crate::problem::{Problems, listed};
use crate::section::{self, Section};
use crate::types::{Retry, Side};
use hms_sync_http::spec::{
    AddedField, Expression, FieldPath, HttpSpec, PathPattern, Secrets, Template, Transformation,
};
use hms_sync_http::{HttpConnector, SpecError, SubscriberConnector};
use hms_sync_model::{SideName, VecMap};
use std::collections::BTreeMap;

/// The most sides a sync may have.
pub(crate) const MAX_SIDES: usize = 64;

/// The kinds of connector, and whether what they reach is only told.
const CONNECTORS: &[(&str, bool)] = &[("http", false), ("subscriber", true)];

/// What is wrong with a pattern of paths, as `api_budget` has them.
pub fn wrong_pattern(text: &str) -> Option<String> {
    PathPattern::try_new(text).err()
}

/// What is wrong with the value of a field that `transformations` add.
pub fn wrong_value(text: &str) -> Option<String> {
    let value = match Template::try_new(text) {
        Ok(value) => value,
        Err(why) => return Some(why.to_string()),
    };
    AddedField { path: FieldPath::member("it"), value }.check().err()
}

/// What is wrong with the condition under which `transformations` add fields.
pub fn wrong_addition(condition: &str) -> Option<String> {
    wrong_step(condition, |condition| Transformation::AddFields { fields: Vec::new(), condition })
}

/// What is wrong with the condition of what `transformations` take out.
pub fn wrong_removal(condition: &str) -> Option<String> {
    wrong_step(condition, |condition| Transformation::RemoveFields { field_pointers: Vec::new(), condition })
}

fn wrong_step(condition: &str, step: impl Fn(Option<Expression>) -> Transformation) -> Option<String> {
    match Expression::try_new(condition) {
        Ok(condition) => step(Some(condition)).check().err(),
        Err(why) => Some(why.to_string()),
    }
}

/// What is known of a side when it has been read: its name at least.
pub(crate) struct Read {
    pub(crate) name: SideName,
    pub(crate) side: Option<Side>,
}

/// Reads `sides:`.
pub(crate) fn read(node: &Node, problems: &mut Problems<'_>) -> Vec<Read> {
    let Some(mut map) = Section::open(node, "`sides`", problems) else { return Vec::new() };
    let entries = map.rest();
    if !(1..=MAX_SIDES).contains(&entries.len()) {
        problems.add(node.at, format!("a sync has 1 to {MAX_SIDES} sides, this one has {}", entries.len()));
    }
    entries.into_iter().filter_map(|entry| one(entry, problems)).collect()
}

/// The sides, if all of them could be read.
pub(crate) fn whole(read: Vec<Read>) -> Option<VecMap<SideName, Side>> {
    read.into_iter().map(|read| Some((read.name, read.side?))).collect()
}

fn one(entry: &Entry, problems: &mut Problems<'_>) -> Option<Read> {
    let name: SideName = section::key(entry, problems)?;
    if FIELD_KEYS.contains(&name.as_str()) {
        let hint = format!("these are keys of a field: {}", listed(FIELD_KEYS.iter().copied()));
        problems.add_hint(entry.at, format!("a side cannot be called `{name}`"), hint);
    }
    let what = format!("side `{name}`");
    let Some(mut map) = Section::open(&entry.value, what.clone(), problems) else {
        return Some(Read { name, side: None });
    };
    let connector = map.require("connector", problems);
    let is_told = connector.and_then(|node| section::choice(node, "`connector`", CONNECTORS, problems));
    let usual = if is_told == Some(true) { Retry::DAYS } else { Retry::default() };
    let retry = map.take("retry", problems).map_or(Some(usual), |node| retry(node, &what, usual, problems));
    let secret = (is_told == Some(true)).then(|| map.take("secret", problems)).flatten();
    let secret = secret.and_then(|node| bridge::read::<Secrets>(node, "`secret`", &[], problems));
    let rest = Node { at: map.at(), kind: Kind::Map(map.rest().into_iter().cloned().collect()) };
    let ours: &[&str] =
        if is_told == Some(true) { &["connector", "retry", "secret"] } else { &["connector", "retry"] };
    let http: Option<HttpSpec> = is_told.and_then(|_| bridge::read(&rest, &what, ours, problems));
    let subscriber = (is_told == Some(true)).then(|| secret.unwrap_or_default());
    if let Some(http) = &http
        && let Err(why) = reached(&name, http, subscriber.as_ref())
    {
        problems.add(places::of(&entry.value, &why.key), format!("{what}: {why}"));
    }
    let side = http.zip(retry).map(|(http, retry)| Side { http, subscriber, retry });
    Some(Read { name, side })
}

/// What the connector finds wrong with the side itself.
fn reached(name: &SideName, http: &HttpSpec, subscriber: Option<&Secrets>) -> Result<(), SpecError> {
    match subscriber {
        Some(secret) => SubscriberConnector::new(name, http, secret).map(drop),
        None => HttpConnector::new(name, http.clone(), BTreeMap::new()).map(drop),
    }
}

fn retry(node: &Node, what: &str, usual: Retry, problems: &mut Problems<'_>) -> Option<Retry> {
    let before = problems.count();
    let mut map = Section::open(node, format!("`retry` of {what}"), problems)?;
    let mut retry = usual;
    if let Some(node) = map.take("max_attempts", problems) {
        let given = section::whole(node, "`max_attempts`", 1..=1_000, problems);
        retry.max_attempts = given.and_then(|n| u32::try_from(n).ok()).unwrap_or(retry.max_attempts);
    }
    if let Some(node) = map.take("initial", problems) {
        retry.initial = section::duration(node, "`initial`", problems).unwrap_or(retry.initial);
    }
    if let Some(node) = map.take("max", problems) {
        retry.max = section::duration(node, "`max`", problems).unwrap_or(retry.max);
    }
    if retry.initial > retry.max {
        problems.add(map.at(), format!("`initial` of {} must not be longer than `max`", map.name()));
    }
    map.finish(problems);
    (problems.count() == before).then_some(retry)
}
