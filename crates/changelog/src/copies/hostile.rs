//! Files of copies with any bytes in them, and with chunks of any content under hashes that are
//! right: whoever can write the folder can make them. What is read is what the log has, and all
//! that it has, the files are never believed about how much there is, and they are made anew
//! beside the appends.

#![allow(clippy::unwrap_used, reason = "tests may panic")]

use super::files::tests::{HEAD, place};
use super::{Copies, Stamp};
use crate::frame::{Frame, seal};
use crate::keys::{self, Slot};
use crate::log::Log;
use crate::memory::{Memory, MemoryDisk};
use crate::pack;
use crate::read::{LastChunk, open_at};
use crate::storage::Storage;
use hms_sync_hostile::Reader;
use hms_sync_model::{Body, Event, EventId, RecordId, Time};
use std::fs;
use std::path::{Path, PathBuf};

const STAMP: Stamp = [7; 16];
/// Between `places` and `chunks` of a case.
const MARK: &[u8] = b"\n====\n";

/// What a case says of the files, and what is made right in them.
const AS_IS: u8 = 0;
/// As they are, and longer than any disk, without taking room on it.
const GIANT: u8 = 1;
/// Of the second chunk, the frames, which are packed; its place is right.
const FRAMES: u8 = 2;
/// Of the second chunk, the length that it says to have unpacked, and the packed bytes; its hash
/// and its place are right.
const PACKED: u8 = 3;

/// Longer than the disk of whoever runs this.
const GIANT_BYTES: u64 = 1 << 40;

/// A log with chunks that are packed, one that is not, and an event in parts.
struct Written {
    entries: Vec<(Vec<u8>, Vec<u8>)>,
    head: u64,
    /// Its chunks that can be copied, each with its first event.
    chunks: Vec<(u64, Vec<u8>)>,
}

fn written() -> Written {
    let (disk, mut seq, mut rng) = (MemoryDisk::new(), 0, fastrand::Rng::with_seed(7));
    let log = Log::on(disk.clone()).unwrap();
    let mut some = |count: usize, length: usize| {
        let event = |_| {
            seq += 1;
            let record = RecordId::try_new("permit/1").unwrap();
            let message = (0..length).map(|_| rng.alphanumeric()).collect();
            let (at, prev, body) = (Time(7), EventId::default(), Body::Received { message });
            seal(&Event { seq, record, version: seq, at, prev, body }).unwrap()
        };
        let some: Vec<_> = (0..count).map(event).collect();
        log.append(&some).unwrap();
    };
    some(20, 1);
    // One that cannot be made shorter.
    some(1, 4_000);
    some(1, 13_000);
    some(40, 1);
    some(3, 5);
    let head = log.head();
    log.close().unwrap();
    disk.tamper(keys::COPIES, Some(&STAMP));
    let entries = disk.entries();
    let chunk = |(key, value): &(Vec<u8>, Vec<u8>)| {
        let first = keys::read_chunk(key).filter(|_| super::is_copied(value))?;
        Some((first, value.clone()))
    };
    let chunks: Vec<_> = entries.iter().filter_map(chunk).collect();
    assert!(chunks.iter().any(|(_, value)| !value.starts_with(&pack::PACKED)), "one is not packed");
    Written { entries, head, chunks }
}

/// Lays `places` and `chunks` beside the log in `dir`.
fn lay(dir: &Path, files: [&[u8]; 2]) -> [PathBuf; 2] {
    let beside = dir.join("copies");
    fs::create_dir(&beside).unwrap();
    let paths = ["places", "chunks"].map(|name| beside.join(name));
    paths.iter().zip(files).for_each(|(path, bytes)| fs::write(path, bytes).unwrap());
    paths
}

impl Written {
    fn store(&self) -> Memory {
        let disk = MemoryDisk::new();
        self.entries.iter().for_each(|(key, value)| disk.tamper(key, Some(value)));
        Memory::open(disk).unwrap()
    }

    /// `places` and `chunks`, with `value` in the place of the second chunk.
    fn files(&self, value: Option<&[u8]>) -> (Vec<u8>, Vec<u8>) {
        let (mut places, mut chunks) = ([HEAD, &STAMP].concat(), Vec::new());
        for (n, (first, own)) in self.chunks.iter().enumerate() {
            let value = value.filter(|_| n == 1).unwrap_or(own);
            places.extend_from_slice(&place(*first, chunks.len(), value.len()));
            chunks.extend_from_slice(value);
        }
        (places, chunks)
    }

    fn as_case(&self, kind: u8) -> Vec<u8> {
        let (places, chunks) = self.files(None);
        [&[kind], places.as_slice(), MARK, &chunks].concat()
    }

    /// The files that a case is of, and whether they may have other events than the log.
    fn unpacked(&self, case: &[u8]) -> Option<(Vec<u8>, Vec<u8>, u64)> {
        let (kind, rest) = case.split_first()?;
        let forged = match *kind {
            FRAMES => pack::compress(pack::PACKED, &[], rest)?,
            PACKED => [&pack::PACKED, blake3::hash(rest).as_bytes().as_slice(), rest].concat(),
            _ => {
                let end = rest.windows(MARK.len()).position(|window| window == MARK).unwrap_or(rest.len());
                let chunks = rest.get(end + MARK.len()..).unwrap_or_default().to_vec();
                let giant = if *kind == GIANT { GIANT_BYTES } else { 0 };
                return Some((rest.get(..end)?.to_vec(), chunks, giant));
            }
        };
        // What is longer has no place.
        let (places, chunks) =
            self.files(Some(&forged).filter(|forged| u16::try_from(forged.len()).is_ok()).map(Vec::as_slice));
        Some((places, chunks, 0))
    }

    /// All that the log has is read, and is that. Answers whether nothing in the files was found
    /// to be wrong.
    fn read(&self, dir: &Path, is_ours: bool) -> bool {
        let store = self.store();
        let copies = Copies::open(dir, &store, self.head).unwrap();
        assert!(copies.bytes() <= 1 << 20, "what the files say of how much there is");
        for first in [0, 2, self.head, self.head + 1, u64::MAX] {
            let none = self.chunks.iter().all(|(own, _)| *own != first);
            assert!(!none || !is_ours || copies.frames(first).is_none(), "{first} begins no chunk");
        }
        for (first, value) in &self.chunks {
            let own = pack::unpack(pack::PACKED, &[], value).map_or_else(|| value.clone(), Result::unwrap);
            let (mut rest, mut slot) = (own.as_slice(), 0);
            while let Ok((frame, after)) = Frame::split(rest) {
                let (mut chunk, seq) = (LastChunk::from_copies(&copies), first + u64::from(slot));
                let record = RecordId::try_new("permit/1").unwrap();
                let found = open_at(&store, &mut chunk, &record, seq, Slot { first: *first, slot });
                assert_eq!(found.unwrap().0, frame.id(), "event {seq} is not the log's");
                (rest, slot) = (after, slot + 1);
            }
        }
        let whole = copies.bytes() > 0;
        self.chunks.iter().for_each(|(first, value)| copies.compare(*first, value));
        self.made_anew(&copies, &store);
        copies.clear().unwrap();
        assert!(!dir.join("copies").exists());
        whole
    }

    /// What is behind is copied beside the appends. Of what the files passed over there is none.
    fn made_anew(&self, copies: &Copies, store: &dyn Storage) {
        (0..100).find(|_| !copies.catch_up(store, 0, self.head).unwrap()).unwrap();
        for (first, value) in &self.chunks {
            let own = pack::unpack(pack::PACKED, &[], value).map_or_else(|| value.clone(), Result::unwrap);
            let copy = copies.frames(*first);
            assert!(copy.is_none_or(|found| *found == *own), "another copy of {first}");
        }
        let last = self.chunks.last().and_then(|(first, _)| copies.frames(*first));
        assert!(last.is_some(), "the last has no copy");
    }
}

#[test]
fn what_a_copy_lacks_or_has_wrong_is_looked_for_in_the_log() {
    let written = written();
    let (_, second) = written.chunks.get(1).unwrap();
    let frames = pack::unpack(pack::PACKED, &[], second).unwrap().unwrap();
    let (_, after) = Frame::split(&frames).unwrap();
    // The first frame of several, and all of them, the last with another hash.
    let first = frames.get(..frames.len() - after.len()).unwrap();
    let mut last = frames.clone();
    *last.last_mut().unwrap() ^= 1;
    for forged in [first, &last] {
        let dir = tempfile::tempdir().unwrap();
        let (places, chunks, _) = written.unpacked(&[&[FRAMES], forged].concat()).unwrap();
        lay(dir.path(), [&places, &chunks]);
        assert!(!written.read(dir.path(), false), "the copy is not found to be wrong");
    }
}

#[test]
fn places_that_end_where_no_chunk_begins_keep_no_chunk_from_being_copied() {
    let written = written();
    let (first, value) = written.chunks.last().unwrap();
    assert!(*first < written.head, "the last chunk has several events");
    let dir = tempfile::tempdir().unwrap();
    let places = [HEAD, &STAMP, &place(first + 1, 0, value.len())].concat();
    lay(dir.path(), [&places, value]);
    written.read(dir.path(), false);
}

#[test]
fn hostile_copies() {
    let written = written();
    let (_, second) = written.chunks.get(1).unwrap();
    let frames = pack::unpack(pack::PACKED, &[], second).unwrap().unwrap();
    let packed = second.get(36..).unwrap();
    let sound = [
        written.as_case(AS_IS),
        written.as_case(GIANT),
        [&[FRAMES], frames.as_slice()].concat(),
        [&[PACKED], packed].concat(),
    ];
    let (_, single) = written.chunks.iter().find(|(_, value)| !value.starts_with(&pack::PACKED)).unwrap();
    let far = place(u64::MAX, (1 << 48) - 1, 0xffff);
    Reader::new("copies")
        .sound(sound)
        .words([MARK, HEAD, &STAMP, &pack::PACKED, b"\xf5hmE\x01", single, &far, &[0xff; 4], &[0; 16]])
        .fewer(4_000)
        .at_most(200_000)
        .bytes(|case| {
            let Some((places, chunks, giant)) = written.unpacked(case) else { return false };
            let dir = tempfile::tempdir().unwrap();
            for path in lay(dir.path(), [&places, &chunks]).iter().filter(|_| giant > 0) {
                fs::File::options().write(true).open(path).unwrap().set_len(giant).unwrap();
            }
            written.read(dir.path(), case.first().is_none_or(|kind| ![FRAMES, PACKED].contains(kind)))
        });
}
