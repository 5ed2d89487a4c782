//! What a raw file holds: every event whose hash is right, wherever it lies, without
//! the storage that wrote it. Nothing is believed before its hash fits, and of what
//! stands for many copies only one is kept.

use super::file::RawFile;
use super::lz4;
use super::parts::Parts;
use crate::archived::{self, Archived, Counted};
use crate::error::LogError;
use crate::frame::{Frame, HEAD_BYTES, MAGIC as FRAME};
use crate::hole::{self, Lost};
use crate::pack::{self, PACKED};
use hms_sync_model::{ARCHIVES_STREAM, Body, Event, EventId, KEYS_STREAM};
use std::collections::{BTreeMap, HashMap};

/// Events that stand under one number beside each other, at most: a crash can leave some.
const RIVALS_MAX: u32 = 16;

/// Keys that are kept: a file of another hand may name any number.
const KEYS_MAX: usize = 1_024;

/// Past the number of any event: a file of another hand may have any.
const SEQS_END: u64 = 1 << 48;

/// Where bytes of events begin in the file.
#[derive(Debug, Clone)]
pub(super) enum Place {
    /// One frame as it is.
    Plain(u64),
    /// A packed chunk.
    Packed(u64),
    /// One frame in parts, in their order.
    Parts(Vec<u64>),
}

/// An event that was found whole.
#[derive(Debug, Clone, Copy)]
pub(super) struct Found {
    pub(super) id: EventId,
    /// The number of its place.
    place: u32,
    /// Where its frame begins in what is unpacked from there.
    offset: u32,
    /// Larger for what was written later.
    pub(super) age: u64,
}

/// Everything found, by number; several under one number if they differ.
#[derive(Debug, Default)]
pub(super) struct Finds {
    places: Vec<Place>,
    pub(super) events: BTreeMap<(u64, u32), Found>,
    /// Holes of earlier recoveries.
    pub(super) lost: Vec<Lost>,
    /// Ranges that were dropped, by their first event, and how new each is.
    pub(super) ranges: BTreeMap<u64, (u64, Counted)>,
    /// The same, as events of approvals tell of them.
    pub(super) told: BTreeMap<u64, Archived>,
    /// The keys that the log's events say it signs with.
    pub(super) keys: Vec<String>,
    /// Ids of dropped events, by the number of the first of each group.
    pub(super) ids: BTreeMap<u64, Vec<EventId>>,
    /// The place of each chunk and frame that was seen whole, by the start of its hash.
    seen: HashMap<[u8; 16], u32>,
}

/// Looks through the whole file.
pub(super) fn scan(file: &RawFile) -> Result<Finds, LogError> {
    let (mut finds, mut parts) = (Finds::default(), Parts::default());
    file.each_magic(|at, rest| {
        match rest.get(3) {
            Some(b'E') => finds.plain(file, at, rest),
            Some(b'Z') => finds.packed(file, at, rest),
            Some(b'X') => parts.note(at, file.age(at), rest),
            Some(b'H') => finds.hole(rest),
            Some(b'A') => finds.range(file.age(at), rest),
            Some(b'I') => finds.ids(rest),
            _ => {}
        }
        Ok(())
    })?;
    parts.join(file, |places, age, frame| finds.large(places, age, frame))?;
    Ok(finds)
}

/// The first bytes of a hash, which stand after the magic and `skip` bytes.
fn hash_at(rest: &[u8], skip: usize) -> Option<[u8; 16]> {
    rest.get(4 + skip..)?.first_chunk::<16>().copied()
}

impl Finds {
    fn place(&mut self, place: Place) -> u32 {
        self.places.push(place);
        u32::try_from(self.places.len() - 1).unwrap_or(u32::MAX)
    }

    fn plain(&mut self, file: &RawFile, at: u64, rest: &[u8]) {
        // After the magic come the version and the length.
        if hash_at(rest, 5).is_some_and(|hash| self.seen.contains_key(&hash)) {
            return;
        }
        let Ok((frame, _)) = Frame::split(rest) else { return };
        if let Ok((id, event)) = frame.open_anywhere() {
            let place = self.place(Place::Plain(at));
            if let Some(hash) = hash_at(rest, 5) {
                self.seen.insert(hash, place);
            }
            self.put(&event, Found { id, place, offset: 0, age: file.age(at) });
        }
    }

    fn packed(&mut self, file: &RawFile, at: u64, rest: &[u8]) {
        let Some(hash) = hash_at(rest, 0) else { return };
        if self.seen.contains_key(&hash) {
            return;
        }
        let (frames, whole) = unpack(rest);
        let place = self.place(Place::Packed(at));
        if whole {
            self.seen.insert(hash, place);
        }
        each_frame(&frames, |offset, id, event| {
            let offset = u32::try_from(offset).unwrap_or(u32::MAX);
            self.put(event, Found { id, place, offset, age: file.age(at) });
        });
    }

    fn large(&mut self, places: Vec<u64>, age: u64, frame: &[u8]) {
        if let Ok((id, event)) = Frame::split(frame).and_then(|(frame, _)| frame.open_anywhere()) {
            let place = self.place(Place::Parts(places));
            self.put(&event, Found { id, place, offset: 0, age });
        }
    }

    fn hole(&mut self, rest: &[u8]) {
        if let Some(Ok(lost)) = hole::read(rest)
            && lost.last() < SEQS_END
            && !self.lost.contains(&lost)
        {
            self.lost.push(lost);
        }
    }

    /// Notes what an event says was dropped.
    fn approval(&mut self, event: &Event) {
        let Body::Archived { first, last, file, hash, root, .. } = &event.body else { return };
        if event.record.as_str() != ARCHIVES_STREAM || !(*first..event.seq).contains(last) {
            return;
        }
        let (at, file) = (event.at, file.clone());
        let told = Archived { first: *first, last: *last, at, until: at, hash: hash.0, root: root.0, file };
        self.told.insert(*first, told);
    }

    /// Notes the keys that an event names.
    fn signing(&mut self, event: &Event) {
        let Body::Signing { key, before, .. } = &event.body else { return };
        for key in before.iter().chain([key]).filter(|_| event.record.as_str() == KEYS_STREAM) {
            if self.keys.len() < KEYS_MAX && !self.keys.contains(key) {
                self.keys.push(key.clone());
            }
        }
    }

    fn range(&mut self, age: u64, rest: &[u8]) {
        let Some(Ok(counted)) = archived::read(rest) else { return };
        let first = counted.0.first;
        if counted.0.last < SEQS_END && self.ranges.get(&first).is_none_or(|(known, _)| *known <= age) {
            self.ranges.insert(first, (age, counted));
        }
    }

    /// Ids under one number are always the same; a later group may have more of them.
    fn ids(&mut self, rest: &[u8]) {
        if let Some(Ok((first, ids))) = archived::read_group(rest)
            && self.ids.get(&first).is_none_or(|known| known.len() < ids.len())
        {
            self.ids.insert(first, ids);
        }
    }

    /// Keeps an event, and of one found before the newest copy.
    fn put(&mut self, event: &Event, found: Found) {
        let mut next = 0;
        for (_, known) in self.events.range_mut((event.seq, 0)..=(event.seq, u32::MAX)) {
            if known.id == found.id {
                known.age = known.age.max(found.age);
                return;
            }
            next += 1;
        }
        if next < RIVALS_MAX && (1..SEQS_END).contains(&event.seq) {
            self.approval(event);
            self.signing(event);
            self.events.insert((event.seq, next), found);
        }
    }

    /// Reads one event again. The chunk read last is kept in `last`.
    pub(super) fn read(
        &self,
        file: &RawFile,
        found: &Found,
        last: &mut Option<(u32, Vec<u8>)>,
    ) -> Result<Option<(Vec<u8>, Event)>, LogError> {
        if last.as_ref().is_none_or(|(place, _)| *place != found.place) {
            *last = Some((found.place, self.frames(file, found.place)?));
        }
        let frames = last.as_ref().and_then(|(_, frames)| frames.get(usize::try_from(found.offset).ok()?..));
        let Some((frame, rest)) = frames.and_then(|frames| Some((Frame::split(frames).ok()?.0, frames)))
        else {
            return Ok(None);
        };
        let Ok((id, event)) = frame.open_anywhere() else { return Ok(None) };
        let bytes = rest.get(..HEAD_BYTES + frame.bytes());
        Ok(bytes.filter(|_| id == found.id).map(|bytes| (bytes.to_vec(), event)))
    }

    /// What is unpacked from a place.
    fn frames(&self, file: &RawFile, place: u32) -> Result<Vec<u8>, LogError> {
        let place = usize::try_from(place).ok().and_then(|place| self.places.get(place));
        match place {
            Some(Place::Plain(at)) => file.read(*at, super::file::OVERLAP),
            Some(Place::Packed(at)) => Ok(unpack(&file.read(*at, super::file::OVERLAP)?).0),
            Some(Place::Parts(places)) => super::parts::read(file, places),
            None => Ok(Vec::new()),
        }
    }
}

/// The frames of the packed chunk at the start of `rest`, as far as they come out, and
/// whether its hash says that all of it is as it was written.
fn unpack(rest: &[u8]) -> (Vec<u8>, bool) {
    let length = rest.get(36..40).and_then(|bytes| Some(u32::from_be_bytes(bytes.try_into().ok()?)));
    let length = length.map_or(pack::CHUNK_BYTES_MAX, |length| usize::try_from(length).unwrap_or(usize::MAX));
    let Some(block) = rest.get(40..) else { return (Vec::new(), false) };
    // A length that cannot be right may be what is damaged: then all is taken that comes.
    let (frames, used) = lz4::unpack(block, length.min(pack::CHUNK_BYTES_MAX));
    let whole = rest.get(..40 + used).and_then(|value| pack::unpack(PACKED, &[], value));
    (frames, whole.is_some_and(|whole| whole.is_ok()))
}

/// Shows the frames in these bytes that are whole.
fn each_frame(frames: &[u8], mut take: impl FnMut(usize, EventId, &Event)) {
    let mut at = 0;
    while let Some(rest) = frames.get(at..).filter(|rest| !rest.is_empty()) {
        let opened = Frame::split(rest).and_then(|(frame, after)| Ok((frame.open_anywhere()?, after.len())));
        match opened {
            Ok(((id, event), after)) => {
                take(at, id, &event);
                at = frames.len() - after;
            }
            // To the next that could be one.
            Err(_) => match rest.get(1..).and_then(|rest| rest.windows(4).position(|window| window == FRAME))
            {
                Some(next) => at += 1 + next,
                None => return,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests may panic")]
    use super::super::parts::Parts;
    use super::{Finds, PACKED, each_frame, unpack};
    use crate::frame::seal;
    use crate::pack;
    use hms_sync_hostile::Reader;
    use hms_sync_model::{Body, Event, EventId, RecordId, Time};

    /// What a raw file may hold where one of our magics stands. Of a sound file each event comes
    /// out, of a damaged one no other.
    #[test]
    fn hostile_files() {
        let event = |seq: u64| {
            let (record, body) =
                (RecordId::try_new("permit/1").unwrap(), Body::Received { message: "m".into() });
            seal(&Event { seq, record, version: seq, at: Time(7), prev: EventId([3; 32]), body }).unwrap()
        };
        let events: Vec<_> = (1..6).map(event).collect();
        let frames: Vec<u8> = events.iter().flat_map(|event| event.frame().to_vec()).collect();
        let packed = pack::compress(PACKED, &[], &frames.repeat(3)).unwrap();
        let hole = [b"\xf5hmH".as_slice(), &[0; 24], blake3::hash(&[0; 24]).as_bytes()].concat();
        Reader::new("files")
            .sound([&frames, &packed, &[frames.as_slice(), &hole].concat()])
            .words([
                &b"\xf5hmE\x01"[..],
                b"\xf5hmZ",
                b"\xf5hmX",
                b"\xf5hmA",
                b"\xf5hmI",
                b"\xf5hm",
                b"\xff\xff\xff\xff",
            ])
            .bytes(|file| {
                let (mut finds, mut parts) = (Finds::default(), Parts::default());
                for at in (0..file.len()).filter(|at| file.get(*at) == Some(&0xf5)).take(40) {
                    let rest = file.get(at..).unwrap_or_default();
                    parts.note(at as u64, 7, rest);
                    finds.hole(rest);
                    finds.range(7, rest);
                    finds.ids(rest);
                }
                let (unpacked, _) = unpack(file);
                let mut found = 0;
                for bytes in [file, &unpacked] {
                    each_frame(bytes, |_, id, _| {
                        assert!(events.iter().any(|event| event.id == id), "an event that was never written");
                        found += 1;
                    });
                }
                found >= events.len()
            });
    }
}
