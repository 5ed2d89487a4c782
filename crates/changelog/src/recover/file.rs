//! The raw files of a log, one behind the other, read in pieces and only read, and how new the
//! bytes at a place are: sled's file, then the journal's.

use crate::error::LogError;
use crate::folder::{JOURNAL, io};
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

/// What is looked through at a time.
const PIECE: usize = 4 << 20;
/// More than any value that begins in a piece goes past its end.
pub(super) const OVERLAP: usize = 64 << 10;
/// sled writes its file in segments of so many bytes, each with its place in the log's order.
const SEGMENT: u64 = 512 << 10;

/// What is in the journal is newer than what sled has.
const AGE_OF_JOURNAL: u64 = 1 << 62;

#[derive(Debug)]
pub(super) struct RawFile {
    parts: Vec<Part>,
    pub(super) bytes: u64,
    /// For each segment of sled's file, where it belongs in the order of writing; 0 if that
    /// cannot be told.
    ages: Vec<u64>,
}

/// One of the files.
#[derive(Debug)]
struct Part {
    file: File,
    path: PathBuf,
    /// Where it begins in the whole.
    from: u64,
    bytes: u64,
}

impl RawFile {
    /// Those in a log's folder, of which the journal's need not be there.
    pub(super) fn open(dir: &Path) -> Result<Self, LogError> {
        let mut raw = Self { parts: Vec::new(), bytes: 0, ages: Vec::new() };
        raw.add(dir.join("db"))?;
        let mut at = 0;
        while at < raw.bytes {
            let age = segment_age(&raw.read(at, 20)?).unwrap_or(0);
            raw.ages.push(age);
            at += SEGMENT;
        }
        for path in JOURNAL.map(|name| dir.join(name)).into_iter().filter(|path| path.is_file()) {
            raw.add(path)?;
        }
        Ok(raw)
    }

    fn add(&mut self, path: PathBuf) -> Result<(), LogError> {
        let file = File::open(&path).map_err(io("open", &path))?;
        let bytes = file.metadata().map_err(io("read", &path))?.len();
        self.parts.push(Part { file, path, from: self.bytes, bytes });
        self.bytes += bytes;
        Ok(())
    }

    /// Up to `length` bytes from `at` on.
    pub(super) fn read(&self, at: u64, length: usize) -> Result<Vec<u8>, LogError> {
        let there = usize::try_from(self.bytes.saturating_sub(at)).unwrap_or(usize::MAX);
        let mut bytes = vec![0; length.min(there)];
        let end = at + bytes.len() as u64;
        let mut rest = bytes.as_mut_slice();
        for part in &self.parts {
            let (from, to) = (at.max(part.from), end.min(part.from + part.bytes));
            if from < to {
                let length = usize::try_from(to - from).unwrap_or(usize::MAX);
                let (its, after) = std::mem::take(&mut rest).split_at_mut_checked(length).unwrap_or_default();
                part.file.read_exact_at(its, from - part.from).map_err(io("read", &part.path))?;
                rest = after;
            }
        }
        Ok(bytes)
    }

    /// Larger for what was written later.
    pub(super) fn age(&self, at: u64) -> u64 {
        if self.parts.first().is_some_and(|db| at >= db.bytes) {
            return AGE_OF_JOURNAL + at;
        }
        let segment = usize::try_from(at / SEGMENT).ok().and_then(|segment| self.ages.get(segment));
        segment.filter(|age| **age > 0).map_or(0, |age| age.saturating_add(at % SEGMENT))
    }

    /// Shows every place at which one of our magics stands, with the bytes from there on.
    pub(super) fn each_magic(
        &self,
        mut found: impl FnMut(u64, &[u8]) -> Result<(), LogError>,
    ) -> Result<(), LogError> {
        let mut from = 0;
        while from < self.bytes {
            let piece = self.read(from, PIECE + OVERLAP)?;
            let mut at = 0;
            while let Some(next) = piece
                .get(at..PIECE.min(piece.len()))
                .and_then(|rest| rest.iter().position(|byte| *byte == 0xf5))
            {
                at += next;
                if let Some(rest) = piece.get(at..).filter(|rest| rest.starts_with(b"\xf5hm")) {
                    found(from + at as u64, rest)?;
                }
                at += 1;
            }
            from += PIECE as u64;
        }
        Ok(())
    }
}

/// The place in the log's order that the head of a segment names, if it can be one.
fn segment_age(head: &[u8]) -> Option<u64> {
    let (lsn, _) = head.get(4..)?.split_first_chunk::<8>()?;
    let lsn = i64::from_le_bytes(*lsn) ^ i64::MAX;
    u64::try_from(lsn).ok().filter(|lsn| lsn.is_multiple_of(SEGMENT)).map(|lsn| lsn.saturating_add(1))
}
