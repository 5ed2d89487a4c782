//! What entries say of each other: versions of a record follow one by one, and each names
//! the one before. All of them are proven entries already, so this can only find a log
//! that contradicts itself, or a history with holes.
//!
//! What never happens here: more memory than for [`RECORDS_MAX`] records.

use super::Proven;
use crate::error::Problem;
use crate::form::Scope;
use std::collections::HashMap;
use std::collections::hash_map::Entry;

/// Records whose last event is remembered.
const RECORDS_MAX: usize = 1 << 18;

/// The last entry of each record.
pub(super) struct Links(HashMap<[u8; 16], (u64, [u8; 32])>);

impl Links {
    pub(super) fn new() -> Self {
        Self(HashMap::new())
    }

    /// Takes the next entry in. Where the history is to be whole no version may be missing;
    /// in a range none after the first that is there.
    /// Records past the bound are not followed; the tree proves their entries all the same.
    pub(super) fn follow(&mut self, proven: &Proven, scope: &Scope) -> Result<(), Problem> {
        let key = *proven.record.first_chunk().unwrap_or(&[0; 16]);
        let room = self.0.len() < RECORDS_MAX;
        let known = match self.0.entry(key) {
            Entry::Occupied(known) => Some(known.into_mut()),
            Entry::Vacant(_) => None,
        };
        if known.is_none() && !room {
            return Ok(());
        }
        let (version, id) = known.as_deref().copied().unwrap_or_default();
        let expected = version.saturating_add(1);
        if proven.version == expected {
            if (known.is_some() || proven.version == 1) && proven.prev != id {
                return Err(Problem::Prev);
            }
        } else if proven.version < expected || !may_lack(scope, known.is_some()) {
            return Err(Problem::VersionGap { expected, found: proven.version });
        }
        let last = (proven.version, proven.id);
        match known {
            Some(known) => *known = last,
            None => drop(self.0.insert(key, last)),
        }
        Ok(())
    }
}

/// Whether versions of a record may be missing, of which some event was shown or none.
fn may_lack(scope: &Scope, shown: bool) -> bool {
    match scope {
        Scope::Whole | Scope::Record(_) => false,
        Scope::Range(_) => !shown,
        Scope::Part(_) => true,
    }
}
