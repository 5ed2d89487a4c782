//! Ranges of events that were archived: what stands in their place once they are dropped,
//! and their ids, which stay, so that the tree and every proof in it do.
//!
//! Ranges follow each other from event 1 on. Nothing here removes anything (`dropped.rs`).

use crate::error::{Damage, LogError};
use crate::keys;
use crate::storage::{Batch, Order, Span, Storage};
use crate::tally::Tally;
use hms_sync_model::{EventId, Time};

/// Begins what stands in the place of a range.
pub(crate) const MAGIC: [u8; 4] = [0xf5, b'h', b'm', b'A'];
/// Begins a group of ids.
pub(crate) const IDS_MAGIC: [u8; 4] = [0xf5, b'h', b'm', b'I'];
/// Ids in one group.
pub(crate) const GROUP_IDS: u64 = 128;
/// The longest name of a file, in bytes.
pub(crate) const FILE_NAME_MAX: usize = 255;

/// Events that were archived and dropped from the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Archived {
    /// The number of the first.
    pub first: u64,
    /// The number of the last.
    pub last: u64,
    /// When they were dropped.
    pub at: Time,
    /// When the last of them was written.
    pub until: Time,
    /// The BLAKE3 hash of the file they are in.
    pub hash: [u8; 32],
    /// The root of the tree over the first `last` events.
    pub root: [u8; 32],
    /// The name of that file.
    pub file: String,
}

impl Archived {
    /// How many they are.
    pub fn count(&self) -> u64 {
        self.last.saturating_sub(self.first).saturating_add(1)
    }

    /// Where the group begins that holds the id of event `seq`.
    pub(crate) fn group_of(&self, seq: u64) -> u64 {
        let offset = seq.saturating_sub(self.first);
        self.first.saturating_add(offset - offset % GROUP_IDS)
    }

    /// As it is stored, with how much there was of each collection up to its last event.
    pub(crate) fn to_bytes(&self, tally: &Tally) -> Vec<u8> {
        let numbers = [
            self.first.to_be_bytes(),
            self.last.to_be_bytes(),
            self.at.0.to_be_bytes(),
            self.until.0.to_be_bytes(),
        ];
        let length = u16::try_from(self.file.len()).unwrap_or(u16::MAX).to_be_bytes();
        let (file, tally) = (self.file.as_bytes(), tally.to_bytes());
        let rest = [&numbers.concat(), self.hash.as_slice(), &self.root, &length, file, &tally].concat();
        value(MAGIC, &rest)
    }
}

/// A range, and how much there was of each collection up to its last event.
pub(crate) type Counted = (Archived, Tally);

/// The range at the start of `value`; nothing if it does not begin like one. What follows it
/// does not count: in a raw file something does.
pub(crate) fn read(value: &[u8]) -> Option<Result<Counted, Damage>> {
    let rest = value.strip_prefix(&MAGIC)?;
    Some(hashed(rest).and_then(|rest| read_rest(rest).ok_or(Damage::Parts)))
}

/// Magic, the hash of what comes after it, the length of the rest, the rest.
pub(crate) fn value(magic: [u8; 4], rest: &[u8]) -> Vec<u8> {
    let length = u32::try_from(rest.len()).unwrap_or(u32::MAX).to_be_bytes();
    let hash = blake3::Hasher::new().update(&length).update(rest).finalize();
    [magic.as_slice(), hash.as_bytes(), &length, rest].concat()
}

/// The rest, if the hash before it is its own.
fn hashed(value: &[u8]) -> Result<&[u8], Damage> {
    let (hash, value) = value.split_first_chunk::<32>().ok_or(Damage::Cut)?;
    let (length, value) = value.split_first_chunk::<4>().ok_or(Damage::Cut)?;
    let rest = usize::try_from(u32::from_be_bytes(*length)).ok().and_then(|length| value.get(..length));
    let rest = rest.ok_or(Damage::Cut)?;
    let found = blake3::Hasher::new().update(length).update(rest).finalize();
    if found.as_bytes() == hash { Ok(rest) } else { Err(Damage::Hash) }
}

fn read_rest(rest: &[u8]) -> Option<Counted> {
    let (numbers, rest) = rest.split_first_chunk::<32>()?;
    let mut numbers = numbers.as_chunks::<8>().0.iter().map(|number| u64::from_be_bytes(*number));
    let (first, last, at, until) = (numbers.next()?, numbers.next()?, numbers.next()?, numbers.next()?);
    let (hash, rest) = rest.split_first_chunk::<32>()?;
    let (root, rest) = rest.split_first_chunk::<32>()?;
    let (length, rest) = rest.split_first_chunk::<2>()?;
    let (file, tally) = rest.split_at_checked(u16::from_be_bytes(*length).into())?;
    let file = std::str::from_utf8(file).ok()?.to_owned();
    let (at, until) = (Time(at.cast_signed()), Time(until.cast_signed()));
    let archived = Archived { first, last, at, until, hash: *hash, root: *root, file };
    (first > 0 && first <= last && last < u64::MAX).then_some(())?;
    Some((archived, Tally::from_bytes(tally)?))
}

/// A group of ids as it is stored.
pub(crate) fn group(first: u64, ids: &[EventId]) -> Vec<u8> {
    let rest = [first.to_be_bytes().as_slice(), &ids.iter().flat_map(|id| id.0).collect::<Vec<_>>()].concat();
    value(IDS_MAGIC, &rest)
}

/// The number of the first and the ids of a stored group; nothing if `value` does not begin like one.
pub(crate) fn read_group(value: &[u8]) -> Option<Result<(u64, Vec<EventId>), Damage>> {
    let rest = value.strip_prefix(&IDS_MAGIC)?;
    Some(hashed(rest).and_then(|rest| {
        let (first, ids) = rest.split_first_chunk::<8>().ok_or(Damage::Cut)?;
        let (ids, []) = ids.as_chunks::<32>() else { return Err(Damage::Cut) };
        Ok((u64::from_be_bytes(*first), ids.iter().map(|id| EventId(*id)).collect()))
    }))
}

/// The batches of a range's ids.
pub(crate) fn batches(first: u64, ids: &[EventId]) -> impl Iterator<Item = Batch> {
    let size = usize::try_from(GROUP_IDS).unwrap_or(usize::MAX);
    (first..).step_by(size).zip(ids.chunks(size)).map(|(first, ids)| {
        let value = group(first, ids);
        vec![(keys::ids(first), Some(value))]
    })
}

/// Shows the ids of the events from `from` to `to`, which were archived in one range.
/// Answers whether `take` wants more.
pub(crate) fn each_id(
    store: &dyn Storage,
    archived: &Archived,
    from: u64,
    to: u64,
    mut take: impl FnMut(EventId) -> Result<bool, LogError>,
) -> Result<bool, LogError> {
    let mut next = from;
    while next <= to {
        let first = archived.group_of(next);
        let damaged = |damage| LogError::Damaged { seq: next, damage };
        let value = store.get(&keys::ids(first))?.ok_or_else(|| damaged(Damage::Missing))?;
        let (named, ids) = read_group(&value).ok_or_else(|| damaged(Damage::Head))?.map_err(damaged)?;
        let skip = usize::try_from(next.saturating_sub(first)).unwrap_or(usize::MAX);
        if named != first || ids.len() <= skip {
            return Err(damaged(Damage::Place(named)));
        }
        for id in ids.into_iter().skip(skip) {
            if next > to {
                break;
            }
            if !take(id)? {
                return Ok(false);
            }
            next = next.saturating_add(1);
        }
    }
    Ok(true)
}

/// Every range of a log, in order, and the tally up to the last of them.
pub(crate) fn all(store: &dyn Storage) -> Result<(Vec<Archived>, Tally), LogError> {
    let (mut found, mut tally, mut next) = (Vec::new(), Tally::default(), 1);
    while let Some(value) = store.get(&keys::chunk(next))? {
        match read(&value) {
            Some(Ok((archived, counted))) if archived.first == next => {
                next = archived.last.saturating_add(1);
                found.push(archived);
                tally = counted;
            }
            // A damaged one: a verification names it.
            Some(_) | None => break,
        }
    }
    Ok((found, tally))
}

/// Keys of what is left of dropped events, up to `limit` of them: chunks in the ranges, their
/// parts, and ids past the last range.
pub(crate) fn left_over(
    store: &dyn Storage,
    ranges: &[Archived],
    limit: usize,
) -> Result<Vec<Vec<u8>>, LogError> {
    let mut found = Vec::new();
    let end = ranges.last().map_or(0, |range| range.last).saturating_add(1);
    let chunks = ranges.iter().map(|range| Span {
        from: keys::chunk(range.first.saturating_add(1)),
        to: keys::chunk(range.last.saturating_add(1)),
    });
    let parts = Span { from: keys::part(0, 0), to: keys::part(end, 0) };
    let ids = Span { from: keys::ids(end), to: Span::prefix(&[keys::IDS]).to };
    for span in chunks.chain([parts, ids]) {
        for entry in store.scan(span, Order::Ascending).take(limit.saturating_sub(found.len())) {
            found.push(entry?.0.to_vec());
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests may panic")]
    use super::*;

    fn archived() -> Archived {
        let (at, until) = (Time(9), Time(-5));
        Archived { first: 1, last: 300, at, until, hash: [1; 32], root: [2; 32], file: "é.jsonl".into() }
    }

    #[test]
    fn a_range_reads_back_and_a_changed_one_does_not() {
        let mut tally = Tally::default();
        tally.add(300, "permit/1", 1, 7);
        let bytes = archived().to_bytes(&tally);
        assert_eq!(read(&bytes).unwrap().unwrap(), (archived(), tally));
        for at in 4..bytes.len() {
            let mut bytes = bytes.clone();
            *bytes.get_mut(at).unwrap() ^= 1;
            read(&bytes).unwrap().unwrap_err();
        }
        assert!(read(b"else").is_none());
    }

    #[test]
    fn the_largest_range_fits_into_a_value() {
        let mut tally = Tally::default();
        for n in 0..60 {
            tally.add(n, &format!("{n:064}/1"), 1, 7);
        }
        let file = "x".repeat(FILE_NAME_MAX);
        assert!(Archived { file, ..archived() }.to_bytes(&tally).len() <= 5 * 1_024);
    }

    #[test]
    fn a_group_of_ids_reads_back_and_a_changed_one_does_not() {
        let ids: Vec<EventId> = (0..128).map(|n| EventId([n; 32])).collect();
        let bytes = group(77, &ids);
        assert_eq!(read_group(&bytes).unwrap().unwrap(), (77, ids));
        for at in 4..bytes.len() {
            let mut bytes = bytes.clone();
            *bytes.get_mut(at).unwrap() ^= 1;
            read_group(&bytes).unwrap().unwrap_err();
        }
        read_group(&bytes[..bytes.len() - 1]).unwrap().unwrap_err();
    }

    /// Under a hash that is right.
    #[test]
    fn hostile_ranges() {
        let mut tally = Tally::default();
        (0..3).for_each(|n| tally.add(n, "permit/1", 1, 7));
        let (range, ids) = (archived().to_bytes(&tally), group(7, &[EventId([1; 32]), EventId([2; 32])]));
        // Which of both it is, and what comes behind magic, hash and length.
        let rest = |kind: u8, bytes: &[u8]| [&[kind], bytes.get(40..).unwrap()].concat();
        hms_sync_hostile::Reader::new("ranges").sound([rest(0, &range), rest(1, &ids)]).bytes(|bytes| {
            let Some((kind, rest)) = bytes.split_first() else { return false };
            match kind {
                0 => read(&value(MAGIC, rest)).unwrap().is_ok(),
                _ => read_group(&value(IDS_MAGIC, rest)).unwrap().is_ok(),
            }
        });
    }
}
