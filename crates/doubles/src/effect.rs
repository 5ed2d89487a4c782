//! What was really done to a system, written down by the system itself: the
//! witness for "nothing lost, nothing doubled".

use serde::{Deserialize, Serialize};

/// What a write did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Operation {
    /// A record was made.
    Create,
    /// A record was changed.
    Update,
    /// A record was deleted.
    Delete,
}

/// One write that the API carried out. Edits by the system's own users are not among them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Effect {
    /// What it did.
    pub operation: Operation,
    /// The record's id, as in a path.
    pub id: String,
    /// The permit number that the record had afterwards, or when it was deleted.
    pub natural: Option<String>,
    /// The `Idempotency-Key` that came with it.
    pub key: Option<String>,
    /// A hash of the request's body.
    pub body_hash: u64,
    /// Microseconds since 1970 at which it was carried out.
    pub at: i64,
}

/// A hash that is the same in every process.
pub(crate) fn body_hash(body: &[u8]) -> u64 {
    use std::hash::{DefaultHasher, Hasher};
    let mut hasher = DefaultHasher::new();
    hasher.write(body);
    hasher.finish()
}

/// How many creates made a record for a permit number that an earlier create
/// had made one for already.
pub(crate) fn doubled(effects: &[Effect]) -> usize {
    let mut seen = std::collections::HashSet::new();
    let creates = effects.iter().filter(|effect| effect.operation == Operation::Create);
    creates.filter_map(|effect| effect.natural.as_deref()).filter(|natural| !seen.insert(*natural)).count()
}
