//! The journal: what was committed lately, one record behind the other in two files that take
//! turns. What is in it is durable before anybody is told, and goes to sled later, much at a
//! time, as sled takes as long for little as for much.
//!
//! A record holds whole batches. While one generation of records is on its way to sled, the
//! next goes into the other file. A file is written over, and not cut, once all that it held is
//! durable in sled: it keeps its place on the disk. Which records are of now is told by their
//! generation.
//!
//! A record that is not whole ends its generation, as a power cut leaves it. But one that a
//! later record calls durable was damaged since, and then the journal is not taken at all. The
//! form on disk is in `docs/format.md`.
//!
//! What never happens here: a record that does not fit its hash is used; a sync that failed, or
//! a write, is tried again.

use super::meter::written_beside;
use crate::error::LogError;
use crate::folder::{JOURNAL, io};
use crate::storage::Batch;
use std::cmp::Ordering;
use std::fs::{File, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

/// Begins every record.
const MAGIC: [u8; 4] = [0xf5, b'h', b'm', b'J'];
/// Bytes of the hash, of the 32 that BLAKE3 makes.
const HASH_BYTES: usize = 16;
/// Before the batches of a record: magic, length, five numbers, hash.
const HEAD_BYTES: usize = 4 + 4 + 5 * 8 + HASH_BYTES;
/// A file grows by so many bytes at a time, which are there before records come.
const GROWS: usize = 256 << 10;
/// So many bytes are written before a sync asks for it.
const BUFFER_MAX: usize = 128 << 10;
/// What is wrong with a file of which a record is missing that somebody was told of.
const NOT_WHOLE: &str = "records of the journal that were durable are not whole any more";
/// So many times the bytes of a file may be hashed to find the records behind its last one: in
/// a file of ours each byte is in one of them.
const SEARCH_MAX: u64 = 4;
/// Instead of a value's length where the key is removed.
const REMOVED: u32 = u32::MAX;

/// What the head of a record says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Head {
    /// Of what comes after it.
    bytes: u32,
    generation: u64,
    /// From 0 on in each generation.
    number: u64,
    /// So many of its generation were durable when it was made.
    durable: u64,
    /// The last generation that was durable in sled when it was made.
    stored: u64,
    /// How many records the generation before has.
    before: u64,
}

impl Head {
    /// With room for the hash.
    fn to_bytes(self) -> [u8; HEAD_BYTES] {
        let mut bytes = [0; HEAD_BYTES];
        let numbers = [self.generation, self.number, self.durable, self.stored, self.before];
        let numbers = numbers.map(u64::to_le_bytes);
        let parts = [&MAGIC[..], &self.bytes.to_le_bytes()];
        let all = parts.into_iter().chain(numbers.iter().map(|number| &number[..])).flatten();
        bytes.iter_mut().zip(all).for_each(|(byte, from)| *byte = *from);
        bytes
    }

    fn read(bytes: &[u8; HEAD_BYTES]) -> Option<Self> {
        let (length, mut rest) = bytes.strip_prefix(&MAGIC)?.split_first_chunk()?;
        let mut number = || {
            let (number, after) = rest.split_first_chunk()?;
            rest = after;
            Some(u64::from_le_bytes(*number))
        };
        let bytes = u32::from_le_bytes(*length);
        let (generation, position, durable) = (number()?, number()?, number()?);
        Some(Self { bytes, generation, number: position, durable, stored: number()?, before: number()? })
    }
}

/// The hash of a record whose head has no hash yet, or another.
fn hash(head: &[u8], batches: &[u8]) -> [u8; HASH_BYTES] {
    let mut hasher = blake3::Hasher::new();
    hasher.update(head.get(..HEAD_BYTES - HASH_BYTES).unwrap_or_default()).update(batches);
    let mut hash = [0; HASH_BYTES];
    hasher.finalize_xof().fill(&mut hash);
    hash
}

/// One of the two files.
#[derive(Debug)]
struct Half {
    file: File,
    path: PathBuf,
    bytes: u64,
}

impl Half {
    fn open(path: PathBuf) -> Result<Self, LogError> {
        let opened = OpenOptions::new().create(true).truncate(false).read(true).write(true).open(&path);
        let file = opened.map_err(io("open", &path))?;
        let bytes = file.metadata().map_err(io("read", &path))?.len();
        Ok(Self { file, path, bytes })
    }

    fn write(&self, bytes: &[u8], at: u64) -> Result<(), LogError> {
        self.file.write_all_at(bytes, at).map_err(io("write", &self.path))?;
        written_beside(bytes.len());
        Ok(())
    }

    fn sync(&self) -> Result<(), LogError> {
        self.file.sync_data().map_err(io("sync", &self.path))
    }

    /// Makes it so long that a record up to `end` fits.
    fn grow(&mut self, end: u64) -> Result<(), LogError> {
        while self.bytes < end {
            self.write(&vec![0; GROWS], self.bytes)?;
            self.bytes += GROWS as u64;
        }
        Ok(())
    }

    fn cut(&mut self) -> Result<(), LogError> {
        if self.bytes > 0 {
            self.file.set_len(0).map_err(io("cut", &self.path))?;
            self.bytes = 0;
        }
        self.sync()
    }

    /// The head of a record at `at`, as it stands and as it reads, if the file goes on for as
    /// long as it says.
    fn head(&self, at: u64) -> Result<Option<([u8; HEAD_BYTES], Head)>, LogError> {
        let Some(there) = self.bytes.saturating_sub(at).checked_sub(HEAD_BYTES as u64) else {
            return Ok(None);
        };
        let mut bytes = [0; HEAD_BYTES];
        self.file.read_exact_at(&mut bytes, at).map_err(io("read", &self.path))?;
        let head = Head::read(&bytes).filter(|head| u64::from(head.bytes) <= there);
        Ok(head.map(|head| (bytes, head)))
    }

    /// The record at `at` if it is whole: its head and its batches.
    fn record(&self, at: u64) -> Result<Option<(Head, Vec<u8>)>, LogError> {
        let Some((begin, head)) = self.head(at)? else { return Ok(None) };
        let mut batches = vec![0; head.bytes as usize];
        self.file.read_exact_at(&mut batches, at + HEAD_BYTES as u64).map_err(io("read", &self.path))?;
        let fits = begin.ends_with(&hash(&begin, &batches));
        Ok(fits.then_some((head, batches)))
    }

    /// What its records come to, from its beginning up to the first that is not whole.
    fn read(&self) -> Result<Found, LogError> {
        let mut found = Found::default();
        while let Some((head, batches)) = self.record(found.ends)? {
            let follows = found.said.is_none_or(|said| said.generation == head.generation);
            if !follows || head.number != found.records {
                break;
            }
            entries(&batches, &mut found.batch).ok_or_else(|| self.corrupt("a record is not of its form"))?;
            found.records += 1;
            found.said = newer(found.said, Some(head));
            found.ends += HEAD_BYTES as u64 + u64::from(head.bytes);
        }
        Ok(found)
    }

    /// What all whole records say, wherever they lie: after a power cut there may be some behind
    /// one that is not whole.
    fn newest(&self, found: &Found) -> Result<Option<Head>, LogError> {
        let (mut newest, mut at, mut piece) = (found.said, found.ends, vec![0; GROWS]);
        let mut left = self.bytes.saturating_mul(SEARCH_MAX);
        while at < self.bytes {
            let length = piece.len().min(usize::try_from(self.bytes - at).unwrap_or(usize::MAX));
            let piece = piece.get_mut(..length).unwrap_or_default();
            self.file.read_exact_at(piece, at).map_err(io("read", &self.path))?;
            for (offset, _) in piece.windows(MAGIC.len()).enumerate().filter(|(_, four)| *four == MAGIC) {
                let place = at + offset as u64;
                let bytes = self.head(place)?.map_or(0, |(_, head)| u64::from(head.bytes));
                left = left.checked_sub(bytes).ok_or_else(|| self.corrupt("records lie in records"))?;
                newest = newer(newest, self.record(place)?.map(|(head, _)| head));
            }
            // A magic may lie across the end of the piece.
            at += length.saturating_sub(MAGIC.len() - 1).max(1) as u64;
        }
        Ok(newest)
    }

    fn corrupt(&self, why: &str) -> LogError {
        LogError::Corrupt { path: self.path.clone(), why: why.to_owned() }
    }
}

/// What both say of the newest generation.
fn newer(one: Option<Head>, other: Option<Head>) -> Option<Head> {
    let (Some(one), Some(other)) = (one, other) else { return one.or(other) };
    Some(match one.generation.cmp(&other.generation) {
        Ordering::Less => other,
        Ordering::Greater => one,
        Ordering::Equal => {
            let (durable, stored) = (one.durable.max(other.durable), one.stored.max(other.stored));
            Head { durable, stored, ..one }
        }
    })
}

/// What one file holds.
#[derive(Debug, Default)]
struct Found {
    batch: Batch,
    records: u64,
    /// What they say of the journal.
    said: Option<Head>,
    /// Where the last of its records ends.
    ends: u64,
}

impl Found {
    fn is_of(&self, generation: u64) -> bool {
        self.said.is_some_and(|said| said.generation == generation)
    }
}

/// Takes apart what is in a record. Nothing if that is not of its form.
fn entries(mut bytes: &[u8], batch: &mut Batch) -> Option<()> {
    while !bytes.is_empty() {
        let mut length = || {
            let (length, rest) = bytes.split_first_chunk()?;
            bytes = rest;
            Some(u32::from_le_bytes(*length))
        };
        let (key, value) = (length()?, length()?);
        let mut take = |length: u32| {
            let (taken, rest) = bytes.split_at_checked(usize::try_from(length).ok()?)?;
            bytes = rest;
            Some(taken.to_vec())
        };
        let key = take(key)?;
        let value = if value == REMOVED { None } else { Some(take(value)?) };
        batch.push((key, value));
    }
    Some(())
}

/// What is left to be brought to sled, and where the journal goes on.
#[derive(Debug, Default)]
struct Left {
    batch: Batch,
    generation: u64,
    records: u64,
    ends: u64,
}

/// Puts together what both files hold. `halves` in the order of [`JOURNAL`].
fn left(halves: &[Half; 2]) -> Result<Left, LogError> {
    let [first, second] = halves;
    let (found, others) = (first.read()?, second.read()?);
    let Some(newest) = newer(first.newest(&found)?, second.newest(&others)?) else {
        return Ok(Left::default());
    };
    let (its, its_half, others, other_half) = match half_of(newest.generation) {
        0 => (found, first, others, second),
        _ => (others, second, found, first),
    };
    let its = if its.is_of(newest.generation) { its } else { Found::default() };
    if its.records < newest.durable {
        return Err(its_half.corrupt(NOT_WHOLE));
    }
    let mut batch = Batch::new();
    if newest.stored < newest.generation.saturating_sub(1) {
        if !others.is_of(newest.generation - 1) || others.records != newest.before {
            return Err(other_half.corrupt(NOT_WHOLE));
        }
        batch = others.batch;
    }
    if newest.stored < newest.generation {
        batch.extend(its.batch);
    }
    Ok(Left { batch, generation: newest.generation, records: its.records, ends: its.ends })
}

/// Which file a generation goes into.
fn half_of(generation: u64) -> usize {
    usize::from(generation % 2 == 1)
}

/// The journal of an open log.
#[derive(Debug)]
pub(super) struct Journal {
    halves: [Half; 2],
    /// What the next record says.
    next: Head,
    /// Where it goes.
    at: u64,
    /// The record itself, with room for its head.
    buffer: Vec<u8>,
    /// Whether something was written since the last sync.
    unsynced: bool,
    /// A write or a sync has failed: what the files hold is not known.
    failed: bool,
}

impl Journal {
    /// Opens it in `dir`. Answers with it what may not be in sled: what comes later in the
    /// batch is newer. Once that is durable in sled, [`Journal::clear`] is due.
    ///
    /// # Errors
    /// [`LogError::Corrupt`] if a record was durable and is not whole any more.
    pub(super) fn open(dir: &Path) -> Result<(Self, Batch), LogError> {
        let [first, second] = JOURNAL;
        let halves = [Half::open(dir.join(first))?, Half::open(dir.join(second))?];
        let left = left(&halves)?;
        let next = Head {
            bytes: 0,
            generation: left.generation.max(1),
            number: left.records,
            durable: left.records,
            stored: left.generation.saturating_sub(1),
            before: 0,
        };
        let (buffer, at) = (vec![0; HEAD_BYTES], left.ends);
        Ok((Self { halves, next, at, buffer, unsynced: false, failed: false }, left.batch))
    }

    /// Takes in a batch, which is durable after the next sync.
    pub(super) fn put(&mut self, batch: &Batch) -> Result<(), LogError> {
        for (key, value) in batch {
            let length = |bytes: usize| u32::try_from(bytes).unwrap_or(REMOVED).to_le_bytes();
            self.buffer.extend_from_slice(&length(key.len()));
            let value_length = value.as_ref().map_or(REMOVED.to_le_bytes(), |value| length(value.len()));
            self.buffer.extend_from_slice(&value_length);
            self.buffer.extend_from_slice(key);
            self.buffer.extend_from_slice(value.as_deref().unwrap_or_default());
        }
        if self.buffer.len() > BUFFER_MAX { self.guarded(Self::write) } else { Ok(()) }
    }

    /// Returns when the disk has all that was taken in.
    pub(super) fn sync(&mut self) -> Result<(), LogError> {
        if self.buffer.len() == HEAD_BYTES && !self.unsynced && !self.failed {
            return Ok(());
        }
        self.guarded(|journal| {
            if journal.buffer.len() > HEAD_BYTES {
                journal.write()?;
            }
            journal.make_durable()
        })
    }

    /// Begins the next generation. What is in this one goes to sled now; the one before it
    /// is durable there.
    pub(super) fn turn(&mut self) -> Result<(), LogError> {
        self.guarded(|journal| {
            journal.next.stored = journal.next.generation.saturating_sub(1);
            journal.write()?;
            journal.make_durable()?;
            let (generation, before) = (journal.next.generation.saturating_add(1), journal.next.number);
            journal.next = Head { generation, before, number: 0, durable: 0, ..journal.next };
            journal.at = 0;
            Ok(())
        })
    }

    /// All that it holds is durable in sled: says so, and becomes empty.
    pub(super) fn clear(&mut self) -> Result<(), LogError> {
        if self.halves.iter().all(|half| half.bytes == 0) {
            return Ok(());
        }
        self.guarded(|journal| {
            journal.next.stored = journal.next.generation;
            journal.write()?;
            journal.make_durable()?;
            // The older one first: alone it would be taken for what is left.
            let newer = half_of(journal.next.generation);
            for half in [1 - newer, newer] {
                journal.halves.get_mut(half).map_or(Ok(()), Half::cut)?;
            }
            let generation = journal.next.generation.saturating_add(1);
            journal.next = Head { generation, number: 0, durable: 0, ..journal.next };
            journal.at = 0;
            Ok(())
        })
    }

    /// Does `work`, if nothing has failed so far, and nothing ever again if that fails.
    fn guarded(&mut self, work: impl FnOnce(&mut Self) -> Result<(), LogError>) -> Result<(), LogError> {
        if self.failed {
            return Err(LogError::Closed);
        }
        self.failed = true;
        work(self)?;
        self.failed = false;
        Ok(())
    }

    fn half(&mut self) -> &mut Half {
        let [first, second] = &mut self.halves;
        if half_of(self.next.generation) == 0 { first } else { second }
    }

    /// Writes what was taken in, as one record.
    fn write(&mut self) -> Result<(), LogError> {
        let bytes = self.buffer.len().saturating_sub(HEAD_BYTES);
        let too_large =
            |_| LogError::TooLarge { what: "record of the journal", bytes, max: u32::MAX as usize };
        self.next.bytes = u32::try_from(bytes).map_err(too_large)?;
        let mut buffer = std::mem::take(&mut self.buffer);
        if let Some((head, batches)) = buffer.split_first_chunk_mut::<HEAD_BYTES>() {
            *head = self.next.to_bytes();
            let hash = hash(head, batches);
            head.iter_mut().skip(HEAD_BYTES - HASH_BYTES).zip(hash).for_each(|(byte, of)| *byte = of);
        }
        let (at, end) = (self.at, self.at + buffer.len() as u64);
        let half = self.half();
        half.grow(end)?;
        half.write(&buffer, at)?;
        buffer.truncate(HEAD_BYTES);
        buffer.shrink_to(BUFFER_MAX);
        (self.buffer, self.at, self.unsynced) = (buffer, end, true);
        self.next.number = self.next.number.saturating_add(1);
        Ok(())
    }

    fn make_durable(&mut self) -> Result<(), LogError> {
        self.half().sync()?;
        self.unsynced = false;
        self.next.durable = self.next.number;
        Ok(())
    }
}

#[cfg(test)]
mod tests;
