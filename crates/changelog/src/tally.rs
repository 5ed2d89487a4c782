//! How much there is of each kind of record: events, records, bytes. Counted as events
//! come, stored beside the index now and then, and made anew from the events where
//! there is none; a verification compares it with them.
//!
//! What never happens here: growing without bound, whatever the ids are.

use std::collections::BTreeMap;

/// The most groups that are counted apart; the others are counted together. With the
/// longest names all of them fit into one value.
const GROUPS_MAX: usize = 48;
/// The longest name of a group, in bytes.
const NAME_BYTES_MAX: usize = 64;

/// How much there is of something.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Count {
    /// Events.
    pub events: u64,
    /// Records, or streams of the sync's own, they belong to.
    pub records: u64,
    /// Bytes of the events, as they are encoded, before compression.
    pub bytes: u64,
}

/// Counts by collection, up to an event.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    pub(crate) upto: u64,
    /// By what stands before the first slash of the ids. Those of no group of their own
    /// are counted under no name.
    groups: BTreeMap<String, Count>,
}

impl Tally {
    /// Counts the next event.
    pub(crate) fn add(&mut self, seq: u64, record: &str, version: u64, bytes: usize) {
        self.upto = seq;
        let name = record.split('/').next().unwrap_or_default();
        if !self.groups.contains_key(name) {
            let apart = name.len() <= NAME_BYTES_MAX && self.groups.len() < GROUPS_MAX;
            self.groups.entry(if apart { name.to_owned() } else { String::new() }).or_default();
        }
        let name = if self.groups.contains_key(name) { name } else { "" };
        let Some(count) = self.groups.get_mut(name) else { return };
        count.events = count.events.saturating_add(1);
        count.records = count.records.saturating_add(u64::from(version == 1));
        count.bytes = count.bytes.saturating_add(bytes as u64);
    }

    /// Of a log of which nothing up to `seq` was counted.
    pub(crate) fn upto(seq: u64) -> Self {
        Self { upto: seq, groups: BTreeMap::new() }
    }

    /// By name.
    pub(crate) fn into_groups(self) -> BTreeMap<String, Count> {
        self.groups
    }

    /// A hash of the rest, `upto`, then for each group its name and its counts.
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        let mut rest = self.upto.to_be_bytes().to_vec();
        for (name, Count { events, records, bytes }) in &self.groups {
            rest.push(u8::try_from(name.len()).unwrap_or(0));
            rest.extend_from_slice(name.as_bytes());
            [events, records, bytes].into_iter().for_each(|n| rest.extend_from_slice(&n.to_be_bytes()));
        }
        [blake3::hash(&rest).as_bytes(), rest.as_slice()].concat()
    }

    /// What was written by [`Tally::to_bytes`], and nothing else.
    pub(crate) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (hash, rest) = bytes.split_first_chunk::<32>()?;
        if blake3::hash(rest).as_bytes() != hash {
            return None;
        }
        let (upto, mut rest) = rest.split_first_chunk::<8>()?;
        let mut tally = Self { upto: u64::from_be_bytes(*upto), groups: BTreeMap::new() };
        while let Some((&length, after)) = rest.split_first() {
            let (name, after) = after.split_at_checked(length.into())?;
            let (numbers, after) = after.split_first_chunk::<24>()?;
            let mut numbers = numbers.as_chunks::<8>().0.iter().map(|number| u64::from_be_bytes(*number));
            let count = Count { events: numbers.next()?, records: numbers.next()?, bytes: numbers.next()? };
            tally.groups.insert(std::str::from_utf8(name).ok()?.to_owned(), count);
            rest = after;
        }
        (tally.groups.len() <= GROUPS_MAX + 1).then_some(tally)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests may panic")]
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_is_counted_is_bounded_and_reads_back(
            events in prop::collection::vec(("[a-z]{1,2}|[a-z]{60,70}", 0u64..3, 0usize..400), 0..300),
        ) {
            let mut tally = Tally::default();
            for ((name, version, bytes), seq) in events.iter().zip(1..) {
                tally.add(seq, &format!("{name}/1"), *version, *bytes);
            }
            let stored = tally.to_bytes();
            prop_assert!(stored.len() <= 5_120 - 512, "{} bytes", stored.len());
            prop_assert_eq!(Tally::from_bytes(&stored), Some(tally.clone()));
            let groups = tally.into_groups();
            prop_assert_eq!(groups.values().map(|c| c.events).sum::<u64>(), events.len() as u64);
            prop_assert_eq!(groups.values().map(|c| c.bytes).sum::<u64>(), events.iter().map(|e| e.2 as u64).sum::<u64>());
        }

        #[test]
        fn other_bytes_are_no_counts_and_no_panic(bytes in prop::collection::vec(any::<u8>(), 0..200), hashed: bool) {
            let bytes = if hashed { [blake3::hash(&bytes).as_bytes(), bytes.as_slice()].concat() } else { bytes };
            if let Some(tally) = Tally::from_bytes(&bytes) {
                prop_assert!(tally.groups.len() <= GROUPS_MAX + 1);
            }
        }
    }
}
