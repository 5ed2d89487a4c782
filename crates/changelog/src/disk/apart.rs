//! Keys without values, in a new storage, that keep the chunks of events by themselves.
//!
//! sled writes a value when it comes, as a link to its leaf, and the whole leaf whenever
//! it has more than sixteen entries and splits, or has had ten links. It splits after the
//! ninth. Chunks come in ascending order; were the marker of the last event and the lists
//! of runs in the leaf where they end, these would be links too, and chunks that lie there
//! already would be written again and again. So seven keys that never change stand between,
//! and eight after them keep what does change in another leaf: the leaf where chunks end
//! splits when there are ten, with nine of them to its left, for good. Each is written
//! twice then (measured: decision 0012).
//!
//! What never happens here: anything that reading rests on. A storage without these keys,
//! or with some, is as good, and slower.

use super::guarded;
use crate::error::LogError;
use crate::keys;

/// In one leaf with the last chunks: with nine chunks and the next one they make it split.
const BESIDE: u8 = 7;
/// More than sixteen make a leaf split after the ninth; two too many are removed then.
const ALL: u8 = 17;
const SPLIT_AFTER: u8 = 9;

/// Puts them into a storage that has nothing in it yet.
pub(super) fn lay(db: &sled::Db) -> Result<(), LogError> {
    guarded("write", || {
        for n in 0..ALL {
            db.insert(keys::apart(n), &[])?;
        }
        // Whoever comes by a leaf that is too large splits it.
        db.get(keys::apart(0))?;
        for n in BESIDE..SPLIT_AFTER {
            db.remove(keys::apart(n))?;
        }
        Ok(())
    })
}
