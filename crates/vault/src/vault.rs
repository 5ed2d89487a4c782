//! Keys of records: made when they are first needed, durable before what they seal,
//! destroyed for good.
//!
//! Destroying goes in steps, each durable before the next: the table of all other
//! keys, wrapped by a new epoch key, under a name of its own; the new epoch key, in the
//! slot that is free; the new table in place of the old; the old epoch key, written
//! over. Cut off between any two, opening goes back to the old state or on to the new,
//! and leaves no epoch key but the one in use. Tested by `tests/vault/cut.rs`.

use crate::cipher::{self, Secret};
use crate::epoch::{self, Epoch, SLOT, Slot};
use crate::error::VaultError;
use crate::folder::{Files, Folder};
use crate::random::Random;
use crate::table::{self, HEAD, Name, Table, name_of};
use hms_sync_model::{KeyId, RecordId};
use std::fmt;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

const EPOCH: &str = "epoch";
const TABLE: &str = "table";
const TABLE_NEW: &str = "table.new";

/// All record keys of a sync. Clones are handles to the same ones.
///
/// Reading and making keys never waits for a disk; [`flush`](Vault::flush) does.
#[derive(Clone)]
pub struct Vault {
    keys: Arc<Mutex<Keys>>,
    /// Taken before `keys`, by whoever writes files.
    disk: Arc<Mutex<Disk>>,
}

pub(crate) struct Keys {
    /// Nothing until the first key is made.
    epoch: Option<Epoch>,
    table: Table,
    pub(crate) random: Random,
}

struct Disk {
    folder: Box<dyn Folder>,
    /// How many bytes of entries are durable.
    durable: usize,
    /// Whether the files are there.
    made: bool,
    broken: Option<Arc<str>>,
}

impl fmt::Debug for Vault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Vault").field("records", &self.len()).finish_non_exhaustive()
    }
}

fn held<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Vault {
    /// The keys in a folder. Makes nothing there until there is a key to keep.
    pub fn open(dir: &Path) -> Result<Self, VaultError> {
        Self::on(Files::at(dir), Random::system())
    }

    /// The same, on any folder and any randomness. Finishes, or takes back, an erasure
    /// that was cut off.
    pub fn on(folder: impl Folder + 'static, random: Random) -> Result<Self, VaultError> {
        let mut disk = Disk { folder: Box::new(folder), durable: 0, made: false, broken: None };
        let (epoch, table) = disk.read()?;
        let keys = Keys { epoch, table, random };
        Ok(Self { keys: Arc::new(Mutex::new(keys)), disk: Arc::new(Mutex::new(disk)) })
    }

    /// How many records have a key.
    pub fn len(&self) -> usize {
        held(&self.keys).table.len()
    }

    /// Whether no record has one.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether a record has a key.
    pub fn has(&self, record: &RecordId) -> bool {
        held(&self.keys).table.has(&name_of(record))
    }

    /// A hash of raw input that confirms nothing to whoever lacks the record's key, which
    /// is made if it has none. Not for a record that is erased: of its input nothing is kept.
    pub fn keyed_hash(&self, record: &RecordId, input: &[u8]) -> Result<[u8; 32], VaultError> {
        let (_, key) = held(&self.keys).get_or_make(record)?;
        let own = Secret::new(blake3::derive_key("hms-sync 2026-11 hash of raw input", key.as_slice()));
        Ok(*blake3::keyed_hash(&own, input).as_bytes())
    }

    /// The keys, to seal with one of them.
    pub(crate) fn keys(&self) -> MutexGuard<'_, Keys> {
        held(&self.keys)
    }

    /// A record's key, if it has one.
    pub(crate) fn key(&self, record: &RecordId) -> Option<(KeyId, Secret)> {
        held(&self.keys).get(&name_of(record))
    }

    /// Makes every key durable that has been made. To be called before what was sealed
    /// under it is. After an error no more keys are kept: it is never tried again.
    pub fn flush(&self) -> Result<(), VaultError> {
        let mut disk = held(&self.disk);
        disk.check()?;
        let (epoch, new, upto) = {
            let keys = held(&self.keys);
            let Some(epoch) = &keys.epoch else { return Ok(()) };
            if keys.table.bytes() == disk.durable && disk.made {
                return Ok(());
            }
            (epoch.clone(), keys.table.entries_from(disk.durable).to_vec(), keys.table.bytes())
        };
        let written = disk.append(&epoch, &new);
        if let Err(why) = &written {
            disk.broken = Some(why.in_one_line().into());
        } else {
            disk.durable = upto;
        }
        written
    }

    /// Destroys the keys of records for good. Answers how many had one. After an error
    /// they may be there or not; opening anew tells.
    pub fn destroy(&self, records: &[RecordId]) -> Result<usize, VaultError> {
        let mut disk = held(&self.disk);
        disk.check()?;
        let Some(Change { gone, old, next, mut rest, upto }) = held(&self.keys).change(records)? else {
            return Ok(0);
        };
        // Nobody who seals waits for the disk.
        if let Err(why) = disk.replace(&rest, &old, &next) {
            disk.broken = Some(why.in_one_line().into());
            return Err(why);
        }
        disk.durable = rest.bytes();
        let mut keys = held(&self.keys);
        let Keys { table, random, .. } = &mut *keys;
        rest.take_in(table, upto, (&old, &next), random)?;
        (keys.table, keys.epoch) = (rest, Some(next));
        Ok(gone)
    }
}

/// What the keys are to become.
struct Change {
    /// So many are destroyed.
    gone: usize,
    old: Epoch,
    next: Epoch,
    rest: Table,
    /// How far the old table went, in bytes.
    upto: usize,
}

impl Keys {
    /// All keys but those of `records`, under a new epoch key; nothing if they have none.
    fn change(&mut self, records: &[RecordId]) -> Result<Option<Change>, VaultError> {
        let gone: Vec<Name> = records.iter().map(name_of).filter(|name| self.table.has(name)).collect();
        let Some(old) = self.epoch.clone().filter(|_| !gone.is_empty()) else { return Ok(None) };
        let number = old.number.saturating_add(1);
        let next = Epoch { number, key: cipher::secret(&mut self.random)?, slot: 1 - old.slot.min(1) };
        let rest = self.table.without(&gone, &old, &next, &mut self.random)?;
        Ok(Some(Change { gone: gone.len(), old, next, rest, upto: self.table.bytes() }))
    }

    fn get(&self, name: &Name) -> Option<(KeyId, Secret)> {
        self.table.get(self.epoch.as_ref()?, name)
    }

    /// A record's key, if it has one.
    pub(crate) fn of(&self, record: &RecordId) -> Option<(KeyId, Secret)> {
        self.get(&name_of(record))
    }

    /// A record's key, which is made if it has none.
    pub(crate) fn get_or_make(&mut self, record: &RecordId) -> Result<(KeyId, Secret), VaultError> {
        let name = &name_of(record);
        if let Some(known) = self.get(name) {
            return Ok(known);
        }
        if self.epoch.is_none() {
            self.epoch = Some(Epoch { number: 1, key: cipher::secret(&mut self.random)?, slot: 0 });
        }
        let (id, key) = (KeyId(self.random.array()?), cipher::secret(&mut self.random)?);
        if let Some(epoch) = &self.epoch {
            self.table.insert(epoch, name, (id, &key), &mut self.random)?;
        }
        Ok((id, key))
    }
}

impl Disk {
    fn check(&self) -> Result<(), VaultError> {
        match &self.broken {
            Some(why) => Err(VaultError::Broken { why: Arc::clone(why) }),
            None => Ok(()),
        }
    }

    /// Reads what is there, and puts in order what was cut off.
    fn read(&mut self) -> Result<(Option<Epoch>, Table), VaultError> {
        let read = |name| self.folder.read(name).map_err(VaultError::io("read", name));
        let (epochs, file) = (read(EPOCH)?, read(TABLE)?);
        let Some(file) = file else {
            return if epochs.is_some() { Err(VaultError::NoTable) } else { Ok((None, Table::default())) };
        };
        let slots = epochs.as_deref().map(epoch::slots);
        let keyless = !slots.iter().flatten().any(|slot| matches!(slot, Slot::Whole(_)));
        if keyless && file.len() <= HEAD {
            // The table is made first: cut off there, nothing was ever kept in it.
            return Ok((None, Table::default()));
        }
        let found = Table::read(&file)?;
        // One of that number may be of another folder: going on with it would have the right one
        // overwritten, and its keys for good with it.
        let own = slots.iter().flatten().find_map(|slot| match slot {
            Slot::Whole(epoch) if epoch.number == found.epoch && found.table.is_of(epoch) => {
                Some(epoch.clone())
            }
            Slot::Whole(_) | Slot::Empty | Slot::Spoilt => None,
        });
        let own = own.ok_or(VaultError::NoEpoch { epoch: found.epoch })?;
        self.made = true;
        self.tidy(&own, slots)?;
        if found.damaged > 0 {
            tracing::error!(
                keys = found.damaged,
                "record keys are damaged: the personal values under them cannot be read any more"
            );
        }
        if file.len() > found.len {
            tracing::warn!(
                bytes = file.len() - found.len,
                "the table of record keys ends in no whole entry, and is cut off there: after a power cut nothing \
                 was sealed under what is lost, otherwise it cannot be read any more"
            );
            let len = found.len as u64;
            self.folder.truncate(TABLE, len).map_err(VaultError::io("cut off", TABLE))?;
            self.folder.sync(TABLE).map_err(VaultError::io("sync", TABLE))?;
        }
        self.durable = found.table.bytes();
        // Entries lie in the file where they lie in memory, if none before them is missing.
        if found.damaged > 0 {
            self.rewrite(&found.table, found.epoch)?;
        }
        Ok((Some(own), found.table))
    }

    /// Leaves no epoch key but the one in use: of an erasure that was cut off before the
    /// new table took its place, the new one; after it, the old one.
    fn tidy(&mut self, own: &Epoch, slots: Option<[Slot; 2]>) -> Result<(), VaultError> {
        // The table that was read must not give way to another after this.
        self.folder.sync_names().map_err(VaultError::io("sync the names", "the folder"))?;
        for (n, slot) in slots.into_iter().flatten().enumerate() {
            if n != own.slot && !matches!(slot, Slot::Empty) {
                self.wipe(n)?;
            }
        }
        if self.folder.read(TABLE_NEW).map_err(VaultError::io("read", TABLE_NEW))?.is_some() {
            self.folder.remove(TABLE_NEW).map_err(VaultError::io("remove", TABLE_NEW))?;
        }
        Ok(())
    }

    fn wipe(&mut self, slot: usize) -> Result<(), VaultError> {
        self.put(slot, &[0; SLOT])
    }

    fn put(&mut self, slot: usize, bytes: &[u8]) -> Result<(), VaultError> {
        self.folder.write_at(EPOCH, Epoch::offset(slot), bytes).map_err(VaultError::io("write", EPOCH))?;
        self.folder.sync(EPOCH).map_err(VaultError::io("sync", EPOCH))
    }

    /// Makes folder and files, the table first: one without a key is known to be unused.
    fn found(&mut self, epoch: &Epoch) -> Result<(), VaultError> {
        self.folder.make().map_err(VaultError::io("make", "the folder"))?;
        self.folder.create(TABLE, &table::head(epoch.number)).map_err(VaultError::io("make", TABLE))?;
        self.folder.sync(TABLE).map_err(VaultError::io("sync", TABLE))?;
        self.folder.sync_names().map_err(VaultError::io("sync the names", "the folder"))?;
        // Zeros first: its blocks have their place before there is a secret in them.
        self.folder.create(EPOCH, &[0; epoch::FILE]).map_err(VaultError::io("make", EPOCH))?;
        self.folder.sync(EPOCH).map_err(VaultError::io("sync", EPOCH))?;
        self.put(epoch.slot, &epoch.to_slot())?;
        self.folder.sync_names().map_err(VaultError::io("sync the names", "the folder"))?;
        self.made = true;
        Ok(())
    }

    /// Puts entries behind those that are durable.
    fn append(&mut self, epoch: &Epoch, entries: &[u8]) -> Result<(), VaultError> {
        if !self.made {
            self.found(epoch)?;
        }
        let at = (HEAD + self.durable) as u64;
        self.folder.write_at(TABLE, at, entries).map_err(VaultError::io("write", TABLE))?;
        self.folder.sync(TABLE).map_err(VaultError::io("sync", TABLE))
    }

    /// Puts a table in place of the old one, under the same epoch key.
    fn rewrite(&mut self, table: &Table, epoch: u64) -> Result<(), VaultError> {
        self.folder.create(TABLE_NEW, &table.to_file(epoch)).map_err(VaultError::io("write", TABLE_NEW))?;
        self.folder.sync(TABLE_NEW).map_err(VaultError::io("sync", TABLE_NEW))?;
        self.folder.rename(TABLE_NEW, TABLE).map_err(VaultError::io("rename", TABLE_NEW))?;
        self.folder.sync_names().map_err(VaultError::io("sync the names", "the folder"))
    }

    /// The steps of destroying.
    fn replace(&mut self, rest: &Table, old: &Epoch, next: &Epoch) -> Result<(), VaultError> {
        if !self.made {
            // Nothing of the old state is on the disk.
            self.found(next)?;
            return self.append_all(rest);
        }
        self.folder
            .create(TABLE_NEW, &rest.to_file(next.number))
            .map_err(VaultError::io("write", TABLE_NEW))?;
        self.folder.sync(TABLE_NEW).map_err(VaultError::io("sync", TABLE_NEW))?;
        self.put(next.slot, &next.to_slot())?;
        self.folder.rename(TABLE_NEW, TABLE).map_err(VaultError::io("rename", TABLE_NEW))?;
        self.folder.sync_names().map_err(VaultError::io("sync the names", "the folder"))?;
        self.wipe(old.slot)
    }

    fn append_all(&mut self, table: &Table) -> Result<(), VaultError> {
        self.folder
            .write_at(TABLE, HEAD as u64, table.entries_from(0))
            .map_err(VaultError::io("write", TABLE))?;
        self.folder.sync(TABLE).map_err(VaultError::io("sync", TABLE))
    }
}
