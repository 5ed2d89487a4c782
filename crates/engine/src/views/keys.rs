//! The keys of views, each a letter and what it is of.

use crate::state::RecordState;
use hms_sync_model::{FieldName, RecordId, Value};
use hms_sync_resolver::Rules;

pub(super) fn snapshot_key(record: &RecordId) -> Vec<u8> {
    key(b'r', record.as_str().as_bytes())
}

pub(super) fn key(letter: u8, rest: &[u8]) -> Vec<u8> {
    let mut key = Vec::with_capacity(rest.len() + 1);
    key.push(letter);
    key.extend_from_slice(rest);
    key
}

pub(super) fn identity_key(
    record: &RecordId,
    state: &RecordState,
    rules: &Rules,
    identity: &[FieldName],
) -> Option<Vec<u8>> {
    let values: Vec<Value> = identity.iter().map(|field| state.merged.value(rules, field)).collect();
    identity_of_values(record.collection(), &values)
}

/// The key of an identity; nothing if any part of it is not filled in.
pub(super) fn identity_of_values(collection: &str, values: &[Value]) -> Option<Vec<u8>> {
    if values.is_empty() || values.iter().any(Value::is_blank) {
        return None;
    }
    let bytes = rmp_serde::to_vec(values).ok()?;
    // As they are if they are short: what comes together then mostly lies together.
    let hash = (bytes.len() > 100).then(|| blake3::hash(&bytes));
    let bytes = hash.as_ref().map_or(bytes.as_slice(), |hash| hash.as_bytes().as_slice());
    Some([b"n", collection.as_bytes(), b"\0", bytes].concat())
}
