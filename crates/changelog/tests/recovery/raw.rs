//! Which events are still whole in a raw file: those whose value, as it is in the store
//! before any damage, lies in the file byte for byte. The code that recovers has no part in it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// The values that hold events, by their first bytes: what they are, and the events in
/// them; for parts of a large event, that event and which part.
#[derive(Debug, Default)]
pub(crate) struct Values {
    chunks: BTreeMap<Vec<u8>, (Vec<u8>, Vec<u64>)>,
    parts: BTreeMap<Vec<u8>, (Vec<u8>, u64)>,
    /// How many parts a large event has.
    large: BTreeMap<u64, usize>,
}

/// Magic and hash of a chunk; magic, event and part of a part.
const CHUNK_HEAD: usize = 36;
const PART_HEAD: usize = 16;

impl Values {
    /// Of a store that is whole, which is opened with sled itself.
    pub(crate) fn of(dir: &Path, events: u64) -> Self {
        let db = sled::Config::new().path(dir).flush_every_ms(None).open().unwrap();
        let mut values = Self::default();
        let chunks: Vec<(u64, Vec<u8>)> = db
            .scan_prefix(b"e")
            .map(|entry| entry.unwrap())
            .map(|(key, value)| (u64::from_be_bytes(key[1..].try_into().unwrap()), value.to_vec()))
            .collect();
        let next = chunks.iter().skip(1).map(|(first, _)| *first).chain([events + 1]);
        for ((first, value), next) in chunks.iter().zip(next) {
            if value.starts_with(b"\xf5hmL") {
                let parts = u32::from_be_bytes(value[4..].try_into().unwrap());
                values.large.insert(*first, parts as usize);
            } else {
                let seqs = (*first..next).collect();
                values.chunks.insert(value[..CHUNK_HEAD].to_vec(), (value.clone(), seqs));
            }
        }
        for entry in db.scan_prefix(b"x") {
            let (key, value) = entry.unwrap();
            let seq = u64::from_be_bytes(key[1..9].try_into().unwrap());
            values.parts.insert(value[..PART_HEAD].to_vec(), (value.to_vec(), seq));
        }
        values
    }

    /// The numbers of the events that have a whole copy in `db`.
    pub(crate) fn whole(&self, db: &[u8]) -> BTreeSet<u64> {
        let (mut found, mut parts) = (BTreeSet::new(), BTreeMap::<u64, BTreeSet<&[u8]>>::new());
        for at in places(db) {
            let rest = &db[at..];
            if let Some((value, seqs)) = rest.get(..CHUNK_HEAD).and_then(|head| self.chunks.get(head))
                && rest.starts_with(value)
            {
                found.extend(seqs.iter().copied());
            }
            if let Some((value, seq)) = rest.get(..PART_HEAD).and_then(|head| self.parts.get(head))
                && rest.starts_with(value)
            {
                parts.entry(*seq).or_default().insert(&value[..PART_HEAD]);
            }
        }
        let joined = parts.iter().filter(|(seq, parts)| self.large.get(seq) == Some(&parts.len()));
        found.extend(joined.map(|(seq, _)| *seq));
        found
    }

    /// Destroys every copy of the chunks with these events.
    pub(crate) fn destroy(&self, db: &mut [u8], seqs: std::ops::Range<u64>) {
        for at in places(db) {
            let chunk = db.get(at..at + CHUNK_HEAD).and_then(|head| self.chunks.get(head));
            if chunk.is_some_and(|(_, of)| of.iter().any(|seq| seqs.contains(seq))) {
                let end = db.len().min(at + 200);
                db[at + 4..end].fill(0);
            }
        }
    }
}

/// Where our magics stand.
fn places(db: &[u8]) -> Vec<usize> {
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(next) = db[at..].iter().position(|byte| *byte == 0xf5) {
        at += next;
        if db[at..].starts_with(b"\xf5hm") {
            found.push(at);
        }
        at += 1;
    }
    found
}
