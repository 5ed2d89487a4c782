//! The table of record keys, each wrapped by the epoch key: in memory the same bytes
//! as in its file, so that no record key lies open in either.

use crate::cipher::{self, SEAL, Secret};
use crate::epoch::Epoch;
use crate::error::VaultError;
use crate::random::Random;
use hms_sync_model::{KeyId, RecordId};
use rustc_hash::FxHashMap;

const MAGIC: &[u8; 16] = b"hms-sync keys 1\n";
/// Magic, epoch number, check.
pub(crate) const HEAD: usize = 40;
/// Record, key id, wrapped key, check.
pub(crate) const ENTRY: usize = NAME + KeyId::LEN + SEAL + 32 + 8;
const NAME: usize = 16;

/// How a record is called here: a hash of its id, so that entries are of one length.
pub(crate) type Name = [u8; NAME];

pub(crate) fn name_of(record: &RecordId) -> Name {
    let hash = blake3::hash(record.as_str().as_bytes());
    hash.as_bytes().first_chunk().copied().unwrap_or_default()
}

/// Record keys under one epoch key.
#[derive(Default)]
pub(crate) struct Table {
    entries: Vec<u8>,
    places: FxHashMap<Name, usize>,
}

/// What of a file is a table.
pub(crate) struct Found {
    pub(crate) epoch: u64,
    pub(crate) table: Table,
    /// The length up to which it is whole; behind it stands what was never synced.
    pub(crate) len: usize,
    /// Entries within that are damaged: the keys of so many records are lost.
    pub(crate) damaged: usize,
}

/// The head of a table's file.
pub(crate) fn head(epoch: u64) -> Vec<u8> {
    let said = [MAGIC.as_slice(), &epoch.to_be_bytes()].concat();
    let check = blake3::hash(&said);
    [said.as_slice(), check.as_bytes().get(..16).unwrap_or_default()].concat()
}

fn check(epoch: u64, said: &[u8]) -> [u8; 8] {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&epoch.to_be_bytes()).update(said);
    hasher.finalize().as_bytes().first_chunk().copied().unwrap_or_default()
}

/// Name and key id: what a wrapped key is bound to.
fn place(name: &Name, id: KeyId) -> Vec<u8> {
    [b"hms-sync record key 1".as_slice(), name, &id.0].concat()
}

impl Table {
    /// Reads a file. Entries that are cut short or damaged at its end were never
    /// acknowledged; damaged ones before others are counted.
    pub(crate) fn read(file: &[u8]) -> Result<Found, VaultError> {
        let form = |why: &str| VaultError::Form { name: "the table", why: why.to_owned() };
        let (first, rest) = file.split_at_checked(HEAD).ok_or_else(|| form("it is cut short"))?;
        let number = first.strip_prefix(MAGIC).and_then(|rest| rest.first_chunk());
        let epoch =
            u64::from_be_bytes(*number.ok_or_else(|| form("it begins otherwise, or is of a newer form"))?);
        if first != head(epoch) {
            return Err(form("its head is damaged"));
        }
        let mut found = Found { epoch, table: Self::default(), len: HEAD, damaged: 0 };
        let mut damaged = 0;
        for (n, entry) in rest.chunks_exact(ENTRY).enumerate() {
            let Some((said, own)) = entry.split_last_chunk::<8>() else { break };
            if check(epoch, said) != *own {
                damaged += 1;
                continue;
            }
            found.table.push(entry);
            found.len = HEAD + (n + 1) * ENTRY;
            found.damaged = damaged;
        }
        Ok(found)
    }

    /// A file of this table.
    pub(crate) fn to_file(&self, epoch: u64) -> Vec<u8> {
        [head(epoch).as_slice(), &self.entries].concat()
    }

    /// Entries from `from` bytes on, as they stand in the file behind its head.
    pub(crate) fn entries_from(&self, from: usize) -> &[u8] {
        self.entries.get(from..).unwrap_or_default()
    }

    /// All entries, in bytes.
    pub(crate) fn bytes(&self) -> usize {
        self.entries.len()
    }

    /// How many records have a key.
    pub(crate) fn len(&self) -> usize {
        self.places.len()
    }

    pub(crate) fn has(&self, name: &Name) -> bool {
        self.places.contains_key(name)
    }

    fn push(&mut self, entry: &[u8]) {
        let at = self.entries.len();
        self.entries.extend_from_slice(entry);
        if let Some(name) = entry.first_chunk() {
            self.places.insert(*name, at);
        }
    }

    /// A record's key.
    pub(crate) fn get(&self, epoch: &Epoch, name: &Name) -> Option<(KeyId, Secret)> {
        let at = *self.places.get(name)?;
        let rest = self.entries.get(at..at.checked_add(ENTRY)?)?.get(NAME..)?;
        let (id, rest) = rest.split_first_chunk()?;
        let id = KeyId(*id);
        let plain = cipher::open(&epoch.key, &place(name, id), rest.get(..SEAL + 32)?)?;
        let mut key = Secret::default();
        key.copy_from_slice(plain.first_chunk::<32>()?);
        Some((id, key))
    }

    /// Whether an epoch key opens any of them; where there are none, any may be theirs.
    pub(crate) fn is_of(&self, epoch: &Epoch) -> bool {
        self.places.is_empty() || self.places.keys().any(|name| self.get(epoch, name).is_some())
    }

    /// Puts a record's key in.
    pub(crate) fn insert(
        &mut self,
        epoch: &Epoch,
        name: &Name,
        (id, key): (KeyId, &Secret),
        random: &mut Random,
    ) -> Result<(), VaultError> {
        let wrapped = cipher::seal(&epoch.key, random, &place(name, id), key.as_slice())?;
        let mut entry = Vec::with_capacity(ENTRY);
        entry.extend_from_slice(name);
        entry.extend_from_slice(&id.0);
        entry.extend_from_slice(&wrapped);
        let check = check(epoch.number, &entry);
        entry.extend_from_slice(&check);
        self.push(&entry);
        Ok(())
    }

    /// Takes in what was put into another table behind so many bytes of it.
    pub(crate) fn take_in(
        &mut self,
        other: &Self,
        from: usize,
        (old, new): (&Epoch, &Epoch),
        random: &mut Random,
    ) -> Result<(), VaultError> {
        let late = other.entries_from(from).chunks_exact(ENTRY).filter_map(<[u8]>::first_chunk);
        for name in late {
            if let Some((id, key)) = other.get(old, name) {
                self.insert(new, name, (id, &key), random)?;
            }
        }
        Ok(())
    }

    /// The same keys but for some, wrapped by another epoch key.
    pub(crate) fn without(
        &self,
        gone: &[Name],
        old: &Epoch,
        new: &Epoch,
        random: &mut Random,
    ) -> Result<Self, VaultError> {
        let mut rest = Self { entries: Vec::with_capacity(self.entries.len()), places: FxHashMap::default() };
        let mut kept: Vec<(&Name, usize)> = self.places.iter().map(|(name, at)| (name, *at)).collect();
        kept.sort_unstable_by_key(|(_, at)| *at);
        for (name, _) in kept.into_iter().filter(|(name, _)| !gone.contains(name)) {
            // One that cannot be unwrapped opens nothing, with or without it.
            let Some((id, key)) = self.get(old, name) else { continue };
            rest.insert(new, name, (id, &key), random)?;
        }
        Ok(rest)
    }
}
