//! A set whose elements are objects, each known by its key: every element is a record of
//! registers, one for each of its members.
//!
//! Beside them stand the element as a whole, which says whether it is in, and the set as a
//! whole as each author left it, which is what people are shown where edits met. As for
//! every other field, which registers an edit goes to depends on the edit alone. What never
//! happens here: a member that no author who kept the element had in it.

use crate::field::{Put, join_maps};
use crate::policy::{filter, last_resort};
use crate::reg::{Reg, Sibling};
use crate::rules::{FieldRule, Kind, Rules};
use hms_sync_model::{Author, Change, Clock, ElementKey, Value, VecMap};
use serde_json::Value as Json;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// The registers of a set by key.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Elements {
    /// The set as each author left it.
    pub(crate) edits: Reg,
    pub(crate) by_key: VecMap<Value, Element>,
}

/// The registers of one element.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Element {
    /// The element as each author left it; absent for those who took it out.
    pub(crate) whole: Reg,
    /// Its members.
    pub(crate) members: VecMap<Arc<str>, Reg>,
}

/// An element's members with their values.
type Members = BTreeMap<String, Value>;

fn members(element: &Value) -> Members {
    let Value::Json(text) = element else { return Members::new() };
    // What is no object has no key, and is no element.
    let all: BTreeMap<String, Json> = serde_json::from_str(text).unwrap_or_default();
    all.into_iter().map(|(name, member)| (name, Value::Json(member.to_string().into()))).collect()
}

fn element<'a>(members: impl Iterator<Item = (&'a String, Value)>) -> Value {
    let one = |(name, member): (&String, Value)| format!("{}:{member}", Json::from(name.as_str()));
    let members: Vec<String> = members.map(one).collect();
    Value::Json(format!("{{{}}}", members.join(",")).into())
}

fn by_key<'v>(key: &ElementKey, set: &'v Value) -> BTreeMap<Value, &'v Value> {
    match set {
        Value::Set(elements) => elements.iter().filter_map(|e| Some((key.of(e)?, e))).collect(),
        _ => BTreeMap::new(),
    }
}

impl Elements {
    /// Takes in one edit.
    pub(crate) fn put(&mut self, key: &ElementKey, put: &Put<'_>) {
        self.edits.put_seen(put.seen, put.change.clone(), put.stamp);
        let (before, after) = (by_key(key, &put.change.before), by_key(key, &put.change.after));
        // What all have seen and agree on, written down, is said of every element.
        let settles = put.dot.actor.author == Author::Engine;
        let keys: BTreeSet<&Value> = before.keys().chain(after.keys()).collect();
        for id in keys {
            let (found, left) = (before.get(id).copied(), after.get(id).copied());
            if found != left || settles {
                self.by_key.entry_or(id.clone(), Element::default).put(put, found, left, settles);
            }
        }
    }

    /// Both together.
    pub(crate) fn join(&self, other: &Self) -> Self {
        let by_key = join_maps(&self.by_key, &other.by_key, Element::join);
        Self { edits: self.edits.join(&other.edits), by_key }
    }

    /// Every register there is.
    pub(crate) fn regs(&self) -> impl Iterator<Item = &Reg> {
        std::iter::once(&self.edits).chain(self.by_key.values().flat_map(Element::regs))
    }

    pub(crate) fn regs_mut(&mut self) -> impl Iterator<Item = &mut Reg> {
        let members = self.by_key.iter_mut().flat_map(|(_, element)| {
            let Element { whole, members } = element;
            std::iter::once(whole).chain(members.iter_mut().map(|(_, reg)| reg))
        });
        std::iter::once(&mut self.edits).chain(members)
    }

    pub(crate) fn seen(&self) -> Clock {
        self.regs().fold(Clock::new(), |seen, reg| seen.merged(&reg.seen()))
    }

    /// The elements that are in, each with its members.
    pub(crate) fn value(&self, rules: &Rules, rule: &FieldRule) -> Value {
        Value::set(self.by_key.values().filter_map(|element| element.value(rules, rule)))
    }

    /// Keys of elements that somebody left in, and of which several changed a member to
    /// different values.
    pub(crate) fn contested(&self) -> impl Iterator<Item = &Value> {
        self.by_key.iter().filter(|(_, element)| element.is_contested()).map(|(key, _)| key)
    }
}

impl Element {
    fn put(&mut self, put: &Put<'_>, found: Option<&Value>, left: Option<&Value>, settles: bool) {
        let value = |element: Option<&Value>| element.cloned().unwrap_or_default();
        let change = Change { before: value(found), after: value(left) };
        self.whole.put(put.dot, put.context, change, put.stamp);
        let had = found.map(members).unwrap_or_default();
        let Some(has) = left.map(members) else {
            // Whoever takes it out takes out what it saw of it, and nothing else.
            for name in had.keys() {
                self.member(name).release(put.dot, put.context);
            }
            return;
        };
        let names: BTreeSet<&String> = had.keys().chain(has.keys()).collect();
        for name in names {
            let of = |members: &Members| members.get(name).cloned().unwrap_or_default();
            let change = Change { before: of(&had), after: of(&has) };
            if change.before != change.after || settles {
                self.member(name).put(put.dot, put.context, change, put.stamp);
            }
        }
    }

    fn member(&mut self, name: &str) -> &mut Reg {
        self.members.entry_or(name.into(), Reg::default)
    }

    fn join(&self, other: &Self) -> Self {
        let members = join_maps(&self.members, &other.members, Reg::join);
        Self { whole: self.whole.join(&other.whole), members }
    }

    fn regs(&self) -> impl Iterator<Item = &Reg> {
        std::iter::once(&self.whole).chain(self.members.values())
    }

    /// Those who left it in; none where it is out.
    fn left_in(&self, rule: &FieldRule) -> Vec<&Sibling> {
        let remove_wins = matches!(rule.kind, Kind::Set { remove_wins: true });
        let all = self.whole.siblings();
        let left: Vec<&Sibling> = all.iter().filter(|s| s.change.after != Value::Absent).collect();
        if remove_wins && left.len() < all.len() { Vec::new() } else { left }
    }

    fn value(&self, rules: &Rules, rule: &FieldRule) -> Option<Value> {
        let left = self.left_in(rule);
        if left.is_empty() {
            return None;
        }
        let wholes: Vec<(&Sibling, Members)> =
            left.into_iter().map(|sibling| (sibling, members(&sibling.change.after))).collect();
        let names: BTreeSet<&String> = wholes.iter().flat_map(|(_, members)| members.keys()).collect();
        let stands = names.into_iter().map(|name| (name, self.stands(name, &wholes, rules, rule)));
        Some(element(stands.filter(|(_, member)| *member != Value::Absent)))
    }

    /// What a member is: what those made of it who changed it, else as it was left.
    fn stands(&self, name: &str, wholes: &[(&Sibling, Members)], rules: &Rules, rule: &FieldRule) -> Value {
        if let Some(reg) = self.members.get(name).filter(|reg| !reg.is_empty()) {
            return among(reg.siblings().iter().collect(), rules, rule);
        }
        let as_left = |(sibling, members): &(&Sibling, Members)| {
            let change = Change { before: Value::Absent, after: members.get(name)?.clone() };
            Some(Sibling { dot: sibling.dot.clone(), change, stamp: sibling.stamp })
        };
        let left: Vec<Sibling> = wholes.iter().filter_map(as_left).collect();
        among(left.iter().collect(), rules, rule)
    }

    fn is_contested(&self) -> bool {
        let differs = |reg: &Reg| match reg.siblings() {
            [first, rest @ ..] => rest.iter().any(|other| other.change.after != first.change.after),
            [] => false,
        };
        let somebody = self.whole.siblings().iter().any(|sibling| sibling.change.after != Value::Absent);
        somebody && self.members.values().any(differs)
    }
}

/// The rules among values that met, as far as they choose one of them.
fn among(mut left: Vec<&Sibling>, rules: &Rules, rule: &FieldRule) -> Value {
    for policy in &rule.resolve {
        left = filter(policy, &left);
    }
    last_resort(rules, &left).map(|sibling| sibling.change.after.clone()).unwrap_or_default()
}
