//! Holes: where events were lost in a recovery. A hole stands in the place of its
//! first event, says how many there were and when they were found missing, and is
//! known by a hash of its own, so that it can be found in a raw file as events can.
//!
//! Reads pass over holes; a verification counts them. No number of a lost event is
//! given to another one, and what a lost event was is nowhere made up.

use crate::error::Damage;
use crate::keys;
use crate::storage::Batch;
use hms_sync_model::{EventId, Time};

/// The most events that one hole stands for: each has a leaf in the tree.
pub(crate) const EVENTS_MAX: u64 = 1 << 28;
/// Stands in the tree for the id of an event that was lost.
pub(crate) const LOST_ID: EventId = EventId([0; 32]);

/// Begins every hole.
pub(crate) const MAGIC: [u8; 4] = [0xf5, b'h', b'm', b'H'];
/// Events that follow each other and were lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lost {
    /// The number of the first.
    pub first: u64,
    /// How many; at least one.
    pub count: u64,
    /// When a recovery found them missing.
    pub at: Time,
}

impl Lost {
    /// The number of the last.
    pub fn last(&self) -> u64 {
        self.first.saturating_add(self.count.saturating_sub(1))
    }

    fn to_bytes(self) -> Vec<u8> {
        let numbers = [self.first.to_be_bytes(), self.count.to_be_bytes(), self.at.0.to_be_bytes()].concat();
        [MAGIC.as_slice(), &numbers, blake3::hash(&numbers).as_bytes()].concat()
    }

    /// The batch that writes it, with the edge of the tree that its leaves are in.
    pub(crate) fn batch(self, edge: Vec<u8>) -> Batch {
        vec![(keys::chunk(self.first), Some(self.to_bytes())), (keys::HEAD.to_vec(), Some(edge))]
    }
}

/// The hole at the start of `value`; nothing if it does not begin like one.
pub(crate) fn read(value: &[u8]) -> Option<Result<Lost, Damage>> {
    let rest = value.strip_prefix(&MAGIC)?;
    Some(read_rest(rest))
}

fn read_rest(rest: &[u8]) -> Result<Lost, Damage> {
    let (numbers, hash) = rest.split_first_chunk::<24>().ok_or(Damage::Cut)?;
    let (hash, _) = hash.split_first_chunk::<32>().ok_or(Damage::Cut)?;
    if blake3::hash(numbers).as_bytes() != hash {
        return Err(Damage::Hash);
    }
    let mut each =
        numbers.chunks_exact(8).filter_map(|number| Some(u64::from_be_bytes(number.try_into().ok()?)));
    let (Some(first), Some(count), Some(at)) = (each.next(), each.next(), each.next()) else {
        return Err(Damage::Cut);
    };
    if first == 0 || count == 0 || count > EVENTS_MAX || first.checked_add(count).is_none() {
        return Err(Damage::Parts);
    }
    Ok(Lost { first, count, at: Time(at.cast_signed()) })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests may panic")]
    use super::*;

    #[test]
    fn a_hole_reads_back_and_a_changed_one_does_not() {
        let lost = Lost { first: 7, count: 3, at: Time(1_700_000_000_000_000) };
        let bytes = lost.to_bytes();
        assert_eq!((lost.last(), bytes.len()), (9, 60));
        assert_eq!(read(&bytes).unwrap().unwrap(), lost);
        for at in 4..bytes.len() {
            let mut bytes = bytes.clone();
            *bytes.get_mut(at).unwrap() ^= 1;
            read(&bytes).unwrap().unwrap_err();
        }
        assert!(read(b"else").is_none());
        for (first, count) in [(0, 1), (1, 0), (u64::MAX, 1)] {
            read(&Lost { first, count, ..lost }.to_bytes()).unwrap().unwrap_err();
        }
    }
}
