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

    /// The batch that writes it, with the edge of the tree that its leaves are in, and
    /// when events were last found to be lost.
    pub(crate) fn batch(self, edge: Vec<u8>, latest: Time) -> Batch {
        vec![
            (keys::chunk(self.first), Some(self.to_bytes())),
            (keys::LOST.to_vec(), Some(latest.0.to_be_bytes().to_vec())),
            (keys::HEAD.to_vec(), Some(edge)),
        ]
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
    use crate::{Log, LogError, MemoryDisk, Sealed, seal};
    use hms_sync_model::{Body, Event, RecordId};

    fn received(seq: u64, version: u64, prev: EventId) -> Sealed {
        let record = RecordId::try_new("@sync/a/item").unwrap();
        let body = Body::Received { message: format!("m{seq}") };
        seal(&Event { seq, record, version, at: Time(7), prev, body }).unwrap()
    }

    #[test]
    fn a_log_may_end_in_a_hole_and_go_on_and_its_tree_goes_with_it() {
        let disk = MemoryDisk::new();
        let log = Log::on(disk.clone()).unwrap();
        let first = received(1, 1, EventId::default());
        log.append(std::slice::from_ref(&first)).unwrap();
        assert_eq!(log.lost_at().unwrap(), None);
        let lost = Lost { first: 2, count: 600, at: Time(5) };
        log.lose(lost).unwrap();
        assert!(matches!(log.lose(lost), Err(LogError::Gap { expected: 602, found: 2 })));
        assert_eq!((log.head(), log.lost_at().unwrap()), (601, Some(Time(5))));
        assert_eq!(log.newest().unwrap().unwrap().0, first.id);
        assert!(log.verify(|_| {}).unwrap().is_sound());
        let next = received(602, 2, first.id);
        log.append(std::slice::from_ref(&next)).unwrap();
        assert_eq!(log.newest().unwrap().unwrap().0, next.id);
        let head = log.tree_head();
        for (seq, id) in [(1, first.id), (300, LOST_ID), (602, next.id)] {
            log.inclusion(seq, 602).unwrap().verify(&id.0, &head).unwrap();
        }
        log.close().unwrap();
        let log = Log::on(disk).unwrap();
        assert_eq!((log.tree_head(), log.lost().unwrap()), (head, vec![lost]));
        assert!(log.verify(|_| {}).unwrap().is_sound());
    }

    #[test]
    fn a_hole_too_large_to_have_leaves_is_refused() {
        let log = Log::on(MemoryDisk::new()).unwrap();
        let lost = Lost { first: 1, count: EVENTS_MAX + 1, at: Time(5) };
        assert!(matches!(log.lose(lost), Err(LogError::TooLarge { .. })));
        assert_eq!(log.head(), 0);
    }

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
