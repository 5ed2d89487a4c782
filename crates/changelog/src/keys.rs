//! The keys of the log's one tree. Numbers are big-endian, so that order of
//! bytes is order of numbers. A record id has no control characters, therefore
//! a zero byte ends it and sorts before any longer id.

use hms_sync_model::RecordId;
use hms_sync_proof::NodeAt;

/// Chunks of events: `e` | first seq.
pub(crate) const CHUNK: u8 = b'e';
/// Parts of an event larger than a chunk: `x` | seq | part.
pub(crate) const PART: u8 = b'x';
/// Keys that keep chunks by themselves: `f` | number.
const APART: u8 = b'f';
/// Runs of the tables: `r` | letter of the table | run | what it is.
const RUN: u8 = b'r';
/// The table of where each record's events are, by record | 0 | first version.
pub(crate) const INDEX: u8 = b'i';
/// The table of views.
pub(crate) const VIEW: u8 = b'v';
/// Hashes of the tree: `n` | level | index.
pub(crate) const NODE: u8 = b'n';
/// Ids of events that were dropped: `l` | number of the first.
pub(crate) const IDS: u8 = b'l';
/// The last event written, and the edge of the tree.
pub(crate) const HEAD: &[u8] = b"mhead";

/// When events were last found to be lost.
pub(crate) const LOST: &[u8] = b"mlost";

/// Whose copies of chunks are the right ones.
pub(crate) const COPIES: &[u8] = b"mcopies";

/// How much there is of each kind of record.
pub(crate) const TALLY: &[u8] = b"mtally";

pub(crate) fn chunk(first: u64) -> Vec<u8> {
    numbered(CHUNK, &[], first)
}

/// A group of ids of events that were dropped.
pub(crate) fn ids(first: u64) -> Vec<u8> {
    numbered(IDS, &[], first)
}

/// One of the keys that keep chunks by themselves.
pub(crate) const fn apart(number: u8) -> [u8; 2] {
    [APART, number]
}

/// In the index's table.
pub(crate) fn index(record: &RecordId, version: u64) -> Vec<u8> {
    let mut key = Vec::with_capacity(record.as_str().len() + 9);
    key.extend_from_slice(record.as_str().as_bytes());
    key.push(0);
    key.extend_from_slice(&version.to_be_bytes());
    key
}

/// Past all versions of a record and before the next record.
pub(crate) fn index_end(record: &RecordId) -> Vec<u8> {
    [record.as_str().as_bytes(), &[1]].concat()
}

/// The record of a key in the index's table.
pub(crate) fn index_record(key: &[u8]) -> &[u8] {
    key.split_last_chunk::<8>().and_then(|(rest, _)| rest.split_last()).map_or(key, |(_, record)| record)
}

/// The least key after `key`.
pub(crate) fn just_after(key: &[u8]) -> Vec<u8> {
    [key, &[0]].concat()
}

/// The list of a table's runs.
pub(crate) fn table(letter: u8) -> Vec<u8> {
    vec![b'm', b't', letter]
}

/// What all keys of a table's runs begin with.
pub(crate) fn runs(letter: u8) -> Vec<u8> {
    vec![RUN, letter]
}

/// What all keys of a run begin with.
pub(crate) fn run(letter: u8, run: u64) -> Vec<u8> {
    [&[RUN, letter], run.to_be_bytes().as_slice()].concat()
}

/// Past all keys of a run and before the next run.
pub(crate) fn run_end(letter: u8, number: u64) -> Vec<u8> {
    [run(letter, number).as_slice(), &[0xff]].concat()
}

/// The number of the run that a key belongs to.
pub(crate) fn read_run(key: &[u8]) -> Option<u64> {
    let (number, _) = key.get(2..)?.split_first_chunk::<8>()?;
    Some(u64::from_be_bytes(*number))
}

/// A block of a run: 0 | its first key.
pub(crate) fn block(letter: u8, number: u64, first: &[u8]) -> Vec<u8> {
    [run(letter, number).as_slice(), &[0], first].concat()
}

/// The first key in a block.
pub(crate) fn block_first(key: &[u8]) -> Option<&[u8]> {
    key.get(11..)
}

/// The parts of a run's filter: 1 | number of the part.
pub(crate) fn filter(letter: u8, number: u64) -> Vec<u8> {
    [run(letter, number).as_slice(), &[1]].concat()
}

pub(crate) fn filter_part(letter: u8, number: u64, part: u32) -> Vec<u8> {
    [filter(letter, number).as_slice(), &part.to_be_bytes()].concat()
}

/// A part of a large value: 2 | length of its key | its key | number of the part.
pub(crate) fn run_part(letter: u8, number: u64, key: &[u8], part: u32) -> Vec<u8> {
    let length = u16::try_from(key.len()).unwrap_or(u16::MAX);
    [run(letter, number).as_slice(), &[2], &length.to_be_bytes(), key, &part.to_be_bytes()].concat()
}

pub(crate) fn part(seq: u64, part: u32) -> Vec<u8> {
    numbered(PART, &part.to_be_bytes(), seq)
}

/// The hash of a complete subtree.
pub(crate) fn node(at: NodeAt) -> Vec<u8> {
    [&[NODE, at.level], at.index.to_be_bytes().as_slice()].concat()
}

/// The place of the subtree of a key.
pub(crate) fn read_node(key: &[u8]) -> Option<NodeAt> {
    let (&[NODE, level], index) = key.split_first_chunk::<2>()? else { return None };
    Some(NodeAt { level, index: u64::from_be_bytes(index.try_into().ok()?) })
}

fn numbered(letter: u8, tail: &[u8], number: u64) -> Vec<u8> {
    let mut key = Vec::with_capacity(13);
    key.push(letter);
    key.extend_from_slice(&number.to_be_bytes());
    key.extend_from_slice(tail);
    key
}

/// The first seq of a chunk's key.
pub(crate) fn read_chunk(key: &[u8]) -> Option<u64> {
    match key.split_first() {
        Some((&CHUNK, number)) => Some(u64::from_be_bytes(number.try_into().ok()?)),
        _ => None,
    }
}

/// Seq and number of a part's key.
pub(crate) fn read_part(key: &[u8]) -> Option<(u64, u32)> {
    match key.split_first() {
        Some((&PART, numbers)) => {
            let (seq, part) = numbers.split_first_chunk::<8>()?;
            Some((u64::from_be_bytes(*seq), u32::from_be_bytes(part.try_into().ok()?)))
        }
        _ => None,
    }
}

/// Record and version of an index key.
pub(crate) fn read_index(key: &[u8]) -> Option<(RecordId, u64)> {
    let (record, version) = split_index(key)?;
    Some((RecordId::try_new(record).ok()?, version))
}

/// The same, with the record as text that is not checked to be an id.
pub(crate) fn split_index(key: &[u8]) -> Option<(&str, u64)> {
    let (rest, version) = key.split_last_chunk::<8>()?;
    let (0, record) = rest.split_last()? else { return None };
    Some((std::str::from_utf8(record).ok()?, u64::from_be_bytes(*version)))
}

/// Where an event is: the first seq of its chunk, and its place in it from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Slot {
    pub(crate) first: u64,
    pub(crate) slot: u8,
}

impl Slot {
    /// What one takes.
    pub(crate) const BYTES: usize = 9;

    pub(crate) fn seq(self) -> u64 {
        self.first.saturating_add(u64::from(self.slot))
    }

    pub(crate) fn to_bytes(self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(9);
        bytes.extend_from_slice(&self.first.to_be_bytes());
        bytes.push(self.slot);
        bytes
    }

    pub(crate) fn read(bytes: &[u8]) -> Option<Self> {
        let (first, slot) = bytes.split_first_chunk::<8>()?;
        let [slot] = *slot else { return None };
        Some(Self { first: u64::from_be_bytes(*first), slot })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests may panic")]
    use super::*;

    #[test]
    fn a_record_id_cannot_hold_what_ends_it_in_a_key() {
        for c in (0u8..0x20).chain([0x7f]) {
            assert!(RecordId::try_new(format!("permit/{}", char::from(c))).is_err(), "{c:#x}");
        }
    }

    #[test]
    fn keys_read_back_and_sort_by_record_then_version() {
        let ids = ["a", "a ", "a/1", "a/10", "a/2", "b", "é"].map(|id| RecordId::try_new(id).unwrap());
        let mut last = Vec::new();
        for id in &ids {
            for version in [1, 2, 255, 256, u64::MAX] {
                let key = index(id, version);
                assert!(last < key && key < index_end(id));
                assert_eq!(read_index(&key), Some((id.clone(), version)));
                last = key;
            }
        }
        assert_eq!(read_chunk(&chunk(7)), Some(7));
        assert_eq!(read_part(&part(7, 9)), Some((7, 9)));
        let slot = Slot { first: 17, slot: 3 };
        assert_eq!(Slot::read(&slot.to_bytes()), Some(slot));
    }
}
