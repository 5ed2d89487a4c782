//! Rules that act when an edit is taken in: kinds, owners, locks, and sides that fill blanks.
//!
//! What was folded under others is not what the log comes to now. Then the saved views are
//! dropped, and made anew from the events; of the log nothing is changed. Rules that act
//! when a value is asked for are not looked at: they may change at any time.

use crate::error::EngineError;
use crate::plan::Plan;
use hms_sync_changelog::{Log, View};

/// Where the saved views say what they were folded under.
const KEY: &[u8] = b"f";

/// Drops the saved views if they were folded under other rules. Answers with what is to be
/// saved with the next ones, if that is not there yet.
pub(crate) fn drop_if_changed(log: &Log, plan: &Plan) -> Result<Option<View>, EngineError> {
    let now = mark(plan);
    match log.view(KEY)? {
        Some(before) if before == now => return Ok(None),
        Some(_) => {
            tracing::info!("kinds, owners or locks have changed: all records are folded anew");
            log.drop_views()?;
        }
        None => {}
    }
    Ok(Some((KEY.to_vec(), now)))
}

/// A mark of all rules that act when an edit is taken in.
fn mark(plan: &Plan) -> Vec<u8> {
    let mut hasher = blake3::Hasher::new();
    for (name, collection) in plan.collections.iter() {
        let folding = collection.rules.folding();
        hasher.update(name.as_str().as_bytes()).update(b"\n").update(folding.as_bytes()).update(b"\n");
    }
    hasher.finalize().as_bytes().to_vec()
}
