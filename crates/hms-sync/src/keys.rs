//! Where a sync's keys are: beside its log, in a folder of their own.
//!
//! Only who holds the log's lock may open them.

use crate::error::SyncError;
use hms_sync_engine::Plan;
use hms_sync_vault::Vault;
use std::path::Path;

/// The folder of the keys, in a sync's data folder.
const FOLDER: &str = "keys";

/// The keys of the personal fields of a sync whose log is open; nothing if it has no
/// such fields and never had any.
pub fn open_keys(data_dir: &Path, plan: &Plan) -> Result<Option<Vault>, SyncError> {
    let dir = data_dir.join(FOLDER);
    let personal = plan.collections.values().any(|of| !of.personal.is_empty());
    if !personal && !dir.exists() {
        return Ok(None);
    }
    Vault::open(&dir).map(Some).map_err(|source| SyncError::Keys { dir: dir.display().to_string(), source })
}
