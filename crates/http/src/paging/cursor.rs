//! From where a poll may start once a pass has ended.

use super::Progress;
use crate::stamp::Scale;
use serde_json::Value as Json;
use std::cmp::Ordering;

/// Where the next poll starts. What changed after the pass began and was missed
/// has a value past the side's clock of then, and past all that was shown when
/// skipping began.
pub(super) fn at_end(last: &Progress, scale: Option<&Scale>) -> Option<Json> {
    let scale = scale?;
    let top = last.top.as_ref().and_then(|json| scale.read(json));
    let then = top.as_ref().zip(last.date).and_then(|(top, date)| scale.at(date, top));
    let dated = match (top, then) {
        (Some(top), Some(then)) if top.compare(&then) == Some(Ordering::Less) => Some(top),
        (_, then) => then,
    };
    let known = highest([last.sure.clone(), last.floor.clone()], Some(scale));
    highest([dated.map(|stamp| stamp.to_json()), known], Some(scale))
}

fn highest(values: [Option<Json>; 2], scale: Option<&Scale>) -> Option<Json> {
    let scale = scale?;
    let [a, b] = values.map(|json| json.and_then(|json| Some((scale.read(&json)?, json))));
    match (a, b) {
        (Some(a), Some(b)) => Some(if b.0.compare(&a.0) == Some(Ordering::Greater) { b.1 } else { a.1 }),
        (a, b) => a.or(b).map(|(_, json)| json),
    }
}
