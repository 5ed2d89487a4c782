//! An edit: what one actor changed on one record, and what it had seen.

use crate::{Actor, Clock, Dot, FieldName, Time, Value, VecMap};
use serde::{Deserialize, Serialize};
use std::fmt;

/// Canonical fields of a record.
pub type FieldMap = VecMap<FieldName, Value>;

/// When an edit can have happened: not before `low`, not after `high`.
///
/// A side without modification times that is polled every five minutes gives
/// an interval of five minutes; a webhook gives a narrow one.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
pub struct Stamp {
    /// The last moment at which the edit is known not to have been there.
    pub low: Time,
    /// The latest moment at which it can have been made.
    pub high: Time,
}

impl Stamp {
    /// An instant that is known exactly.
    pub fn at(time: Time) -> Self {
        Self { low: time, high: time }
    }
}

impl fmt::Debug for Stamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}..{}", self.low.0, self.high.0)
    }
}

/// A field's value before and after an edit, both canonical.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Change {
    /// What its author saw there before.
    pub before: Value,
    /// What its author left there.
    pub after: Value,
}

/// One edit of one record: the only thing that changes a record's registers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Edit {
    /// The record's generation: 0, and one more for each re-creation after a delete.
    #[serde(rename = "g", default, skip_serializing_if = "is_zero")]
    pub generation: u32,
    /// The edit's name.
    #[serde(rename = "d")]
    pub dot: Dot,
    /// What its author had seen, its own past included.
    #[serde(rename = "c")]
    pub context: Clock,
    /// Fields of which its author had seen less than `context` says.
    #[serde(rename = "x", default, skip_serializing_if = "VecMap::is_empty")]
    pub but: VecMap<FieldName, Clock>,
    /// The fields that changed, and only those.
    #[serde(rename = "f")]
    pub changes: VecMap<FieldName, Change>,
    /// Whether the edit deletes the record. Every other edit says that it is present.
    #[serde(rename = "del", default, skip_serializing_if = "is_false")]
    pub deletes: bool,
    /// When it can have happened.
    #[serde(rename = "t")]
    pub stamp: Stamp,
    /// False if what its author had seen could not be found out; the context
    /// then claims too little, never too much.
    #[serde(rename = "ok", default = "yes", skip_serializing_if = "is_true")]
    pub certain: bool,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the form serde asks for")]
fn is_zero(n: &u32) -> bool {
    *n == 0
}
#[expect(clippy::trivially_copy_pass_by_ref, reason = "the form serde asks for")]
fn is_false(b: &bool) -> bool {
    !*b
}
#[expect(clippy::trivially_copy_pass_by_ref, reason = "the form serde asks for")]
fn is_true(b: &bool) -> bool {
    *b
}
fn yes() -> bool {
    true
}

impl Edit {
    /// Who made it.
    pub fn actor(&self) -> &Actor {
        &self.dot.actor
    }

    /// What its author had seen of `field`, its own past included.
    pub fn context_of(&self, field: &FieldName) -> Clock {
        let mut seen = self.but.get(field).unwrap_or(&self.context).clone();
        seen.see(&self.dot.actor, self.dot.n.saturating_sub(1));
        seen
    }
}
