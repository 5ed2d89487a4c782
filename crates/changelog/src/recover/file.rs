//! The raw file, read in pieces and only read, and how new the bytes at a place are.

use crate::error::LogError;
use crate::folder::io;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

/// What is looked through at a time.
const PIECE: usize = 4 << 20;
/// More than any value that begins in a piece goes past its end.
pub(super) const OVERLAP: usize = 64 << 10;
/// sled writes its file in segments of so many bytes, each with its place in the log's order.
const SEGMENT: u64 = 512 << 10;

#[derive(Debug)]
pub(super) struct RawFile {
    file: File,
    path: PathBuf,
    pub(super) bytes: u64,
    /// For each segment, where it belongs in the order of writing; 0 if that cannot be told.
    ages: Vec<u64>,
}

impl RawFile {
    pub(super) fn open(path: &Path) -> Result<Self, LogError> {
        let file = File::open(path).map_err(io("open", path))?;
        let bytes = file.metadata().map_err(io("read", path))?.len();
        let mut raw = Self { file, path: path.to_owned(), bytes, ages: Vec::new() };
        let mut at = 0;
        while at < bytes {
            raw.ages.push(segment_age(&raw.read(at, 20)?).unwrap_or(0));
            at += SEGMENT;
        }
        Ok(raw)
    }

    /// Up to `length` bytes from `at` on.
    pub(super) fn read(&self, at: u64, length: usize) -> Result<Vec<u8>, LogError> {
        let there = usize::try_from(self.bytes.saturating_sub(at)).unwrap_or(usize::MAX);
        let mut bytes = vec![0; length.min(there)];
        self.file.read_exact_at(&mut bytes, at).map_err(io("read", &self.path))?;
        Ok(bytes)
    }

    /// Larger for what was written later.
    pub(super) fn age(&self, at: u64) -> u64 {
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
