//! A snapshot of a record's state as it is saved: MessagePack, or the same sealed.
//!
//! A sealed one whose key is gone is as good as none: the state is made from the events.

use crate::error::EngineError;
use crate::state::RecordState;
use hms_sync_model::{RecordId, Sealed};
use hms_sync_vault::Vault;

/// Before a sealed one: a byte that never begins MessagePack.
const SEALED: u8 = 0xC1;

/// Sealed, if there is something to seal it with and the record is not erased: what is
/// left of it then is personal no more. Nothing if its key is gone: while the events
/// before its erasure are folded, it is as if it were still to come.
pub(crate) fn encode(
    vault: Option<&Vault>,
    record: &RecordId,
    state: &RecordState,
) -> Result<Option<Vec<u8>>, String> {
    let plain = rmp_serde::to_vec_named(state).map_err(|why| why.to_string())?;
    let Some(vault) = vault.filter(|_| state.erased.is_none()) else { return Ok(Some(plain)) };
    let sealed = vault.seal_state(record, state.version, &plain).map_err(|why| why.in_one_line())?;
    let version = state.version.to_be_bytes();
    Ok(sealed.map(|sealed| [&[SEALED], version.as_slice(), sealed.as_bytes()].concat()))
}

/// The state; nothing if it cannot be opened.
pub(crate) fn decode(
    vault: Option<&Vault>,
    record: &RecordId,
    bytes: &[u8],
) -> Result<Option<RecordState>, EngineError> {
    let view = |why: String| EngineError::View { what: record.to_string(), why };
    let Some(rest) = bytes.strip_prefix(&[SEALED]) else {
        return rmp_serde::from_slice(bytes).map(Some).map_err(|why| view(why.to_string()));
    };
    let (version, sealed) = rest.split_first_chunk().ok_or_else(|| view("it is cut short".to_owned()))?;
    let sealed = Sealed::from_bytes(sealed).ok_or_else(|| view("it is cut short".to_owned()))?;
    let plain = vault.and_then(|vault| vault.open_state(record, u64::from_be_bytes(*version), &sealed));
    let decode = |plain: Vec<u8>| rmp_serde::from_slice(&plain).map_err(|why| view(why.to_string()));
    plain.map(decode).transpose()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests may panic")]
mod tests;
