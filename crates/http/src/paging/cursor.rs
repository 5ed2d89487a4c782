//! From where a poll may start once a page, or a pass, has been kept.
//!
//! Never past what was there when the pass began: what is written behind our back has
//! a later value, or one that is as late as polls look back.

use super::{Progress, Style};
use crate::stamp::{Scale, Stamp};
use serde_json::Value as Json;
use std::cmp::Ordering;

/// Where the next poll starts after a pass. What was missed has a value past the side's
/// clock when the pass began, and past all that was shown when skipping began.
pub(super) fn at_end(last: &Progress, style: Style, scale: Option<&Scale>) -> Option<Json> {
    let scale = scale?;
    let top = last.top.as_ref().and_then(|json| scale.read(json));
    let then = top.as_ref().and_then(|top| began(last, style, scale, top));
    let dated = match (top, then) {
        (Some(top), Some(then)) if top.compare(&then) == Some(Ordering::Less) => Some(top),
        (_, then) => then,
    };
    let known = highest([last.sure.clone(), last.floor.clone()], Some(scale));
    let cursor = highest([dated.map(|stamp| stamp.to_json()), known], Some(scale))?;
    held_back(cursor, last, scale)
}

/// Where a poll may start in the middle of a pass that goes on by keys, all values up
/// to `stamp` having been shown.
pub(super) fn midway(last: &Progress, stamp: &Stamp, scale: Option<&Scale>) -> Option<Json> {
    let scale = scale?;
    let then = began(last, Style::Keyset, scale, stamp);
    let stamp =
        then.filter(|then| then.compare(stamp) == Some(Ordering::Less)).unwrap_or_else(|| stamp.clone());
    let cursor = highest([Some(stamp.to_json()), last.floor.clone()], Some(scale))?;
    held_back(cursor, last, scale)
}

/// The side's clock when the pass began. Where it shows none, what it showed of late was
/// there then, less the time that has passed since.
fn began(last: &Progress, style: Style, scale: &Scale, like: &Stamp) -> Option<Stamp> {
    match (last.date, style) {
        (Some(date), _) => scale.at(date, like),
        (None, Style::Keyset) => scale.at(scale.time(like)?.minus(last.elapsed), like),
        (None, _) => None,
    }
}

/// No later than the safety lag lets it be, nor than what was asked for, and never
/// earlier than it was.
fn held_back(cursor: Json, last: &Progress, scale: &Scale) -> Option<Json> {
    let mut cursor = cursor;
    let mut held = false;
    let lagging = |stamp: &Stamp| scale.at(last.date?.minus(scale.lag()?), stamp);
    let asked = |_: &Stamp| scale.of_text(last.until.as_deref()?);
    for limit in [&lagging as &dyn Fn(&Stamp) -> Option<Stamp>, &asked] {
        let Some(stamp) = scale.read(&cursor) else { return Some(cursor) };
        if let Some(limit) = limit(&stamp).filter(|limit| limit.compare(&stamp) == Some(Ordering::Less)) {
            cursor = limit.to_json();
            held = true;
        }
    }
    if held { highest([Some(cursor), last.floor.clone()], Some(scale)) } else { Some(cursor) }
}

fn highest(values: [Option<Json>; 2], scale: Option<&Scale>) -> Option<Json> {
    let scale = scale?;
    let [a, b] = values.map(|json| json.and_then(|json| Some((scale.read(&json)?, json))));
    match (a, b) {
        (Some(a), Some(b)) => Some(if b.0.compare(&a.0) == Some(Ordering::Greater) { b.1 } else { a.1 }),
        (a, b) => a.or(b).map(|(_, json)| json),
    }
}
