//! The two files of the copies: the chunks one behind the other, and where each is.
//!
//! `places` begins with a head, then 16 bytes a chunk: its first event, u64; where it begins
//! in `chunks`, 48 bits; its length, 16 bits. Both ascend without a gap, and what does not is
//! not read. Of each [`MARKED`] places one is kept in memory.

use super::Stamp;
use crate::disk::written_beside;
use crate::error::LogError;
use crate::folder::{self, io};
use std::fs::{self, File, OpenOptions};
use std::io::{self as system, ErrorKind};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Begins `places`; the stamp follows.
const MAGIC: [u8; 16] = *b"hms-sync copies1";
const HEAD_BYTES: u64 = 32;
/// What a place takes.
const PLACE_BYTES: usize = 16;
/// Places that are read to find one.
const MARKED: usize = 64;
/// Places read at once when a log is opened.
const READ_PLACES: usize = 4_096;

/// The files, open.
#[derive(Debug)]
pub(super) struct Files {
    chunks: File,
    places: File,
    there: Mutex<There>,
}

/// What is in them.
#[derive(Debug, Default)]
struct There {
    /// The first event of every [`MARKED`]th chunk.
    marks: Vec<u64>,
    /// How many chunks.
    count: usize,
    /// Where the next one begins.
    end: u64,
    /// The first event of the last one, and where it begins.
    last: u64,
    last_at: u64,
}

/// Files that were there, and the event up to which they go.
#[derive(Debug, Default)]
pub(super) struct Found {
    pub(super) files: Option<Files>,
    pub(super) upto: u64,
}

impl There {
    /// Takes in a chunk; answers its place, if it follows the others.
    fn put(&mut self, first: u64, at: u64, length: usize) -> Option<[u8; PLACE_BYTES]> {
        let short = u16::try_from(length).ok()?;
        if first <= self.last || at != self.end || at >= 1 << 48 {
            return None;
        }
        if self.count.is_multiple_of(MARKED) {
            self.marks.push(first);
        }
        (self.count, self.last) = (self.count + 1, first);
        self.last_at = std::mem::replace(&mut self.end, at + u64::from(short));
        let place = (u128::from(first) << 64) | (u128::from(at) << 16) | u128::from(short);
        Some(place.to_be_bytes())
    }

    /// Forgets the last chunk; answers the event before it.
    fn pop(&mut self) -> u64 {
        let Some(count) = self.count.checked_sub(1) else { return 0 };
        (self.count, self.end) = (count, self.last_at);
        if count.is_multiple_of(MARKED) {
            self.marks.pop();
        }
        self.last = self.last.saturating_sub(1);
        self.last
    }

    /// The same without the marks.
    fn edge(&self) -> Self {
        Self { marks: Vec::new(), ..*self }
    }
}

/// First event, begin and length of the chunk with that place.
fn read_place(bytes: [u8; PLACE_BYTES]) -> (u64, u64, usize) {
    let place = u128::from_be_bytes(bytes);
    let low = |bits: u128, shift: u32| u64::try_from((place >> shift) & ((1 << bits) - 1)).unwrap_or(0);
    (low(64, 64), low(48, 16), usize::try_from(low(16, 0)).unwrap_or(0))
}

impl Files {
    /// Those in `dir`, if they have that stamp, as far as they are whole and go up to `head`.
    pub(super) fn open(dir: &Path, stamp: &Stamp, head: u64) -> Option<Found> {
        let open = |name| OpenOptions::new().read(true).write(true).open(dir.join(name)).ok();
        let (chunks, places) = (open("chunks")?, open("places")?);
        let mut found = [0; MAGIC.len() + size_of::<Stamp>()];
        places.read_exact_at(&mut found, 0).ok()?;
        if found.split_first_chunk()? != (&MAGIC, stamp.as_slice()) {
            return None;
        }
        let length = chunks.metadata().ok()?.len();
        let (there, upto) = read_places(&places, length, head).ok()?;
        // What lies beyond is written over.
        Some(Found { files: Some(Self { chunks, places, there: Mutex::new(there) }), upto })
    }

    /// New ones, in the place of any that are there.
    pub(super) fn create(dir: &Path, stamp: &Stamp) -> system::Result<Self> {
        fs::create_dir_all(dir)?;
        let create = |name| {
            let path = dir.join(name);
            if path.try_exists()? {
                // Whoever still reads it has it for themselves.
                fs::remove_file(&path)?;
            }
            OpenOptions::new().create_new(true).read(true).write(true).open(&path)
        };
        let files = Self { chunks: create("chunks")?, places: create("places")?, there: Mutex::default() };
        files.restamp(stamp)?;
        Ok(files)
    }

    /// Gives them another stamp, and ends them with the last chunk that is whole.
    pub(super) fn restamp(&self, stamp: &Stamp) -> system::Result<()> {
        let there = self.there();
        let places = HEAD_BYTES + (there.count * PLACE_BYTES) as u64;
        self.places.set_len(places)?;
        self.chunks.set_len(there.end)?;
        drop(there);
        write_at(&self.places, &[MAGIC.as_slice(), stamp].concat(), 0)
    }

    /// What is in both, in bytes.
    pub(super) fn bytes(&self) -> u64 {
        let there = self.there();
        HEAD_BYTES + (there.count * PLACE_BYTES) as u64 + there.end
    }

    fn there(&self) -> MutexGuard<'_, There> {
        // Every change is one call that cannot stop in the middle.
        self.there.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds chunks, each with its first event and its length.
    pub(super) fn append(&self, bytes: &[u8], chunks: &[(u64, usize)]) -> system::Result<()> {
        let mut grown = self.there().edge();
        let (end, count) = (grown.end, grown.count);
        let mut places = Vec::with_capacity(chunks.len() * PLACE_BYTES);
        for (first, length) in chunks {
            let at = grown.end;
            let place = grown.put(*first, at, *length);
            places.extend(place.ok_or_else(|| system::Error::other("chunks do not follow each other"))?);
        }
        write_at(&self.chunks, bytes, end)?;
        write_at(&self.places, &places, HEAD_BYTES + (count * PLACE_BYTES) as u64)?;
        let mut there = self.there();
        let mut marks = std::mem::take(&mut there.marks);
        marks.append(&mut grown.marks);
        *there = There { marks, ..grown };
        Ok(())
    }

    /// The chunk that begins with event `first`, as it was written.
    pub(super) fn get(&self, first: u64) -> Option<Vec<u8>> {
        let (from, count) = {
            let there = self.there();
            let mark = there.marks.partition_point(|mark| *mark <= first).checked_sub(1)?;
            let from = mark * MARKED;
            (from, there.count.checked_sub(from)?.min(MARKED))
        };
        let mut bytes = [0; MARKED * PLACE_BYTES];
        let some = bytes.get_mut(..count * PLACE_BYTES)?;
        self.places.read_exact_at(some, HEAD_BYTES + (from * PLACE_BYTES) as u64).ok()?;
        let (places, _) = some.as_chunks::<PLACE_BYTES>();
        let at = places.binary_search_by_key(&first, |place| read_place(*place).0).ok()?;
        let (_, at, length) = read_place(*places.get(at)?);
        let mut value = vec![0; length];
        self.chunks.read_exact_at(&mut value, at).ok()?;
        Some(value)
    }
}

/// The places in a file, as far as they follow each other, lie within `length` bytes of chunks
/// and go up to `head`, without the last of them, for how many events that chunk holds is not
/// said; and the event up to which they go.
fn read_places(file: &File, length: u64, head: u64) -> system::Result<(There, u64)> {
    let mut there = There::default();
    let mut bytes = vec![0; READ_PLACES * PLACE_BYTES];
    let (mut at, mut whole) = (HEAD_BYTES, true);
    while whole {
        let read = read_upto(file, &mut bytes, at)?;
        let (places, _) = bytes.get(..read).unwrap_or_default().as_chunks::<PLACE_BYTES>();
        whole = read == bytes.len();
        for (first, begin, bytes) in places.iter().map(|place| read_place(*place)) {
            let fits = first <= head && begin.saturating_add(bytes as u64) <= length;
            if !fits || there.put(first, begin, bytes).is_none() {
                whole = false;
                break;
            }
        }
        at += read as u64;
    }
    let upto = there.pop();
    Ok((there, upto))
}

/// Fills `bytes` as far as the file goes.
fn read_upto(file: &File, bytes: &mut [u8], at: u64) -> system::Result<usize> {
    let mut read = 0;
    while let Some(rest) = bytes.get_mut(read..).filter(|rest| !rest.is_empty()) {
        match file.read_at(rest, at + read as u64) {
            Ok(0) => break,
            Ok(some) => read += some,
            Err(why) if why.kind() == ErrorKind::Interrupted => {}
            Err(why) => return Err(why),
        }
    }
    Ok(read)
}

/// Writes, and says how much that was to whoever counts what sled writes.
fn write_at(file: &File, bytes: &[u8], at: u64) -> system::Result<()> {
    file.write_all_at(bytes, at)?;
    written_beside(bytes.len());
    Ok(())
}

/// Removes the files, for good.
pub(super) fn remove(dir: &Path) -> Result<(), LogError> {
    if !dir.try_exists().map_err(io("find", dir))? {
        return Ok(());
    }
    fs::remove_dir_all(dir).map_err(io("remove", dir))?;
    dir.parent().map_or(Ok(()), folder::sync)
}

#[cfg(test)]
pub(super) mod tests {
    #![allow(clippy::unwrap_used, reason = "tests may panic")]
    use super::{MAGIC, PLACE_BYTES};

    pub(in crate::copies) const HEAD: &[u8] = &MAGIC;

    /// The place of a chunk.
    pub(in crate::copies) fn place(first: u64, at: usize, length: usize) -> [u8; PLACE_BYTES] {
        let (at, length) = (u128::try_from(at).unwrap(), u128::try_from(length).unwrap());
        ((u128::from(first) << 64) | (at << 16) | length).to_be_bytes()
    }
}
