//! Rules among concurrent values: each keeps some of them and never none.
//!
//! A rule that has nothing to say keeps what it was given. The last resort is
//! total: it depends on nothing but the siblings and the order of the sides.

use crate::reg::Sibling;
use crate::rules::{Policy, Rules};
use hms_sync_model::{Author, SideName, Value};
use std::cmp::Reverse;

/// What one rule keeps of `siblings`, of which two at least differ.
pub(crate) fn filter<'a>(policy: &Policy, siblings: &[&'a Sibling]) -> Vec<&'a Sibling> {
    let kept: Vec<&Sibling> = match policy {
        Policy::LastWriterWins => latest(siblings),
        Policy::FirstWriterWins => earliest(siblings),
        Policy::Prefer(sides) => lowest(siblings, |sibling| side_rank(sibling, sides)),
        Policy::Precedence(values) => lowest(siblings, |sibling| {
            values.iter().position(|value| *value == sibling.change.after).unwrap_or(values.len())
        }),
        Policy::Max => lowest(&filled(siblings), |sibling| Reverse(sibling.change.after.clone())),
        Policy::Min => lowest(&filled(siblings), |sibling| sibling.change.after.clone()),
        Policy::MergeText | Policy::Expression(_) | Policy::Manual => siblings.to_vec(),
    };
    if kept.is_empty() { siblings.to_vec() } else { kept }
}

fn side_rank(sibling: &Sibling, sides: &[SideName]) -> usize {
    let side = sibling.dot.actor.as_side();
    sides.iter().position(|other| Some(other) == side).unwrap_or(sides.len())
}

fn lowest<'a, K: Ord>(siblings: &[&'a Sibling], rank: impl Fn(&Sibling) -> K) -> Vec<&'a Sibling> {
    let Some(best) = siblings.iter().map(|sibling| rank(sibling)).min() else { return Vec::new() };
    siblings.iter().copied().filter(|sibling| rank(sibling) == best).collect()
}

/// Blank values have no say where there are others.
fn filled<'a>(siblings: &[&'a Sibling]) -> Vec<&'a Sibling> {
    siblings.iter().copied().filter(|sibling| !sibling.change.after.is_blank()).collect()
}

/// Those that no other is certain to be later than.
fn latest<'a>(siblings: &[&'a Sibling]) -> Vec<&'a Sibling> {
    let beaten = |s: &Sibling| siblings.iter().any(|other| other.stamp.low > s.stamp.high);
    siblings.iter().copied().filter(|sibling| !beaten(sibling)).collect()
}

/// Those that no other is certain to be earlier than.
fn earliest<'a>(siblings: &[&'a Sibling]) -> Vec<&'a Sibling> {
    let beaten = |s: &Sibling| siblings.iter().any(|other| other.stamp.high < s.stamp.low);
    siblings.iter().copied().filter(|sibling| !beaten(sibling)).collect()
}

/// The one that stands when no rule decides. An operator comes before every side.
pub(crate) fn last_resort<'a>(rules: &Rules, siblings: &[&'a Sibling]) -> Option<&'a Sibling> {
    let rank = |s: &Sibling| {
        let operator = s.dot.actor.author == Author::Operator;
        (s.stamp.high, operator, Reverse(rules.rank(s.dot.actor.as_side())), s.dot.clone())
    };
    siblings.iter().copied().max_by_key(|sibling| rank(sibling))
}

/// One sibling for each value: the one that the last resort would take.
pub(crate) fn distinct<'a>(rules: &Rules, siblings: &[&'a Sibling]) -> Vec<&'a Sibling> {
    let mut values: Vec<&Value> = Vec::new();
    for sibling in siblings {
        if !values.contains(&&sibling.change.after) {
            values.push(&sibling.change.after);
        }
    }
    let of = |value: &&Value| {
        let same: Vec<&Sibling> = siblings.iter().copied().filter(|s| s.change.after == **value).collect();
        last_resort(rules, &same)
    };
    values.iter().filter_map(of).collect()
}
