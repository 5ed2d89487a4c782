//! How far a log went at least that may not open any more: what its last checkpoint says,
//! if the log signed it.
//!
//! What never happens here: believing a checkpoint that one of the log's own keys did not
//! sign, or writing anything.

use crate::error::NotaryError;
use crate::folder::Folder;
use crate::key;
use hms_sync_proof::{Signer, Trust, VerifierKey};
use std::path::Path;

/// What the last checkpoint of a log says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LastSigned {
    /// So many events there were; 0 if no checkpoint can be believed.
    pub size: u64,
    /// Why a checkpoint that is on record is not believed.
    pub doubt: Option<String>,
}

/// Reads the last checkpoint beside a log. `named` are the keys that the log's own events say
/// it signs with: those of the same origin as the key in the folder count beside that.
pub fn last_signed(data_dir: &Path, named: &[String]) -> LastSigned {
    read(data_dir, named).unwrap_or_else(|why| LastSigned { size: 0, doubt: Some(why.in_one_line()) })
}

fn read(data_dir: &Path, named: &[String]) -> Result<LastSigned, NotaryError> {
    let folder = Folder::of(data_dir);
    let notes = folder.last_notes()?;
    if notes.is_empty() {
        return Ok(LastSigned::default());
    }
    let own = key::read(&folder.key())?.as_ref().map(Signer::verifier_key).ok_or(NotaryError::NoKey)?;
    let named = named.iter().filter_map(|key| key.parse::<VerifierKey>().ok());
    let mut keys: Vec<VerifierKey> = named.filter(|key| key.name() == own.name() && *key != own).collect();
    let origin = own.name().to_string();
    keys.push(own);
    let trust = Trust::new(&origin, keys, [])?;
    let mut last = LastSigned::default();
    for note in notes {
        match trust.open(&note) {
            Ok(opened) => last.size = last.size.max(opened.checkpoint().head().size),
            Err(why) => last.doubt = Some(why.to_string()),
        }
    }
    Ok(last)
}
