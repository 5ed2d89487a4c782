//! A log of which one value is not what was written, under hashes that are right where it has
//! any: whoever can write the file can make them. It opens and answers, or says what is wrong,
//! takes the next event or none, and its verification ends.

#![allow(clippy::unwrap_used, reason = "tests may panic")]

use super::Log;
use crate::archived::{self, Archived};
use crate::frame::{Frame, Sealed, seal};
use crate::hole::{self, Lost};
use crate::memory::MemoryDisk;
use crate::{keys, pack, views};
use hms_sync_hostile::Reader;
use hms_sync_model::{Body, Event, EventId, RecordId, Time};
use std::collections::BTreeMap;

/// What a case says of its value, and what is made right in it.
const AS_IS: u8 = 0;
/// Frames of events, each after its length, packed into a chunk; the hashes of the events fit.
const EVENTS: u8 = 1;
/// A hash of all that follows it.
const HASHED: u8 = 2;
/// Four bytes that say what it is, and the hash of the numbers that stand before it.
const HOLE: u8 = 3;
/// The same with hash and length first.
const RANGE: u8 = 4;

fn record(n: u64) -> RecordId {
    RecordId::try_new(if n == 0 { "@sync/a/item".to_owned() } else { format!("permit/{n}") }).unwrap()
}

/// Makes events that follow each other.
#[derive(Default)]
struct Maker {
    seq: u64,
    last: BTreeMap<RecordId, (u64, EventId)>,
}

impl Maker {
    fn next(&mut self, record: &RecordId, message: &str) -> Sealed {
        let (version, prev) = self.last.get(record).copied().unwrap_or_default();
        let (seq, version) = (self.seq + 1, version + 1);
        let (record, body) = (record.clone(), Body::Received { message: message.to_owned() });
        let at = Time(seq.cast_signed());
        let sealed = seal(&Event { seq, record: record.clone(), version, at, prev, body }).unwrap();
        (self.seq, _) = (seq, self.last.insert(record, (version, sealed.id)));
        sealed
    }
}

/// A log with all that there can be: chunks, an event in parts, ids of events that were dropped
/// and what stands for them, a hole, a stored index, views.
fn written() -> MemoryDisk {
    let (disk, mut maker) = (MemoryDisk::new(), Maker::default());
    let log = Log::on(disk.clone()).unwrap();
    let mut some =
        |count: u64| -> Vec<Sealed> { (0..count).map(|n| maker.next(&record(n % 4), "m")).collect() };
    log.append(&some(10)).unwrap();
    let (root, file) = (log.prover().head(10).unwrap().root.0, "events.jsonl".to_owned());
    log.append(&some(12)).unwrap();
    let approval = maker.next(&RecordId::try_new("@log/archives").unwrap(), "m");
    let range = Archived { first: 1, last: 10, at: Time(9), until: Time(5), hash: [7; 32], root, file };
    log.drop_archived(&range, &approval).unwrap();
    let mut rng = fastrand::Rng::with_seed(7);
    let large: String = (0..13_000).map(|_| rng.alphanumeric()).collect();
    log.append(&[maker.next(&record(1), &large)]).unwrap();
    let lost = Lost { first: maker.seq + 1, count: 3, at: Time(7) };
    log.lose(lost).unwrap();
    maker.seq = lost.last();
    for _ in 0..3 {
        let some: Vec<Sealed> = (0..12).map(|n| maker.next(&record(n % 4), "m")).collect();
        log.append(&some).unwrap();
    }
    let view = |n: u8| (vec![b'r', n], Some(vec![n; 30]));
    log.save_views(&(0..9).map(view).collect(), log.head()).unwrap();
    let report = log.verify(|_| {}).unwrap();
    assert!(report.is_sound(), "{report:?}");
    log.close().unwrap();
    disk
}

/// A case: what is made right, the length of the key, the key, the rest.
fn case(kind: u8, key: &[u8], rest: &[u8]) -> Vec<u8> {
    [&[kind, u8::try_from(key.len()).unwrap()], key, rest].concat()
}

fn sound((key, value): (Vec<u8>, Vec<u8>)) -> Option<Vec<u8>> {
    if let Some(frames) = pack::unpack(pack::PACKED, &[], &value) {
        return Some(case(EVENTS, &key, &lengths(&frames.unwrap())));
    }
    if let Some(hole) = hole::read(&value) {
        hole.unwrap();
        return Some(case(HOLE, &key, value.get(..28).unwrap()));
    }
    if archived::read(&value).is_some() || archived::read_group(&value).is_some() {
        let (magic, rest) = (value.get(..4).unwrap(), value.get(40..).unwrap());
        return Some(case(RANGE, &key, &[magic, rest].concat()));
    }
    if key == keys::TALLY || key.starts_with(b"mt") {
        return Some(case(HASHED, &key, value.get(32..).unwrap()));
    }
    // Of parts, hashes of the tree and blocks, which have tests of their own, a few: there are
    // many of them, and little is read in them.
    let few = b"xnr".contains(key.first()?);
    (!few || key.last()? % 8 == 0).then(|| case(AS_IS, &key, &value))
}

/// The payloads of these frames, each after its length.
fn lengths(mut frames: &[u8]) -> Vec<u8> {
    let mut all = Vec::new();
    while let Ok((frame, rest)) = Frame::split(frames) {
        let payload = frame.payload();
        all.extend_from_slice(&u16::try_from(payload.len()).unwrap().to_be_bytes());
        all.extend_from_slice(payload);
        frames = rest;
    }
    all
}

/// Frames of these payloads, with the hashes that they must have.
fn frames(mut rest: &[u8]) -> Vec<u8> {
    let mut all = Vec::new();
    while let Some((length, after)) = rest.split_first_chunk::<2>() {
        let (payload, after) = after.split_at(usize::from(u16::from_be_bytes(*length)).min(after.len()));
        all.extend_from_slice(&crate::frame::MAGIC);
        all.push(1);
        all.extend_from_slice(&u32::try_from(payload.len()).unwrap().to_be_bytes());
        all.extend_from_slice(blake3::hash(payload).as_bytes());
        all.extend_from_slice(payload);
        rest = after;
    }
    all
}

fn entry(case: &[u8]) -> Option<(&[u8], Vec<u8>)> {
    let (&[kind, length], rest) = case.split_first_chunk::<2>()?;
    let (key, rest) = rest.split_at_checked(length.into())?;
    let hash = |bytes: &[u8]| *blake3::hash(bytes).as_bytes();
    let value = match kind {
        EVENTS => pack::compress(pack::PACKED, &[], &frames(rest))?,
        HASHED => [hash(rest).as_slice(), rest].concat(),
        HOLE => [rest, &hash(rest.get(4..)?)].concat(),
        RANGE => archived::value(*rest.first_chunk()?, rest.get(4..)?),
        _ => rest.to_vec(),
    };
    Some((key, value))
}

#[test]
fn hostile_logs() {
    let disk = written();
    let kept = disk.entries();
    let number = |number: u64| number.to_be_bytes();
    let ends = [number(u64::MAX), number(u64::MAX - 1), number(1 << 28), number(0), number(1)];
    Reader::new("logs")
        .sound(kept.iter().cloned().filter_map(sound))
        .words(
            [&b"\xf5hmE\x01"[..], b"\xf5hmZ", b"\xf5hmL", b"\xf5hmH", b"\xf5hmA", b"\xf5hmI", b"\xa1q", b"e"]
                .into_iter()
                .chain(ends.iter().map(<[u8; 8]>::as_slice)),
        )
        .fewer(2_500)
        .at_most(200_000)
        .bytes(|case| {
            let Some((key, value)) = entry(case) else { return false };
            asked(MemoryDisk::forged(&kept, key, &value))
        });
}

/// Whether all is as it was. Everything is asked of it whether or not.
fn asked(disk: MemoryDisk) -> bool {
    let Ok(log) = Log::on(disk) else { return false };
    let (head, mut sound) = (log.head(), true);
    let mut seen = |is: bool| sound &= is;
    seen(head == 63 && log.dropped_upto() == 10);
    let all = log.events(1, 500);
    seen(all.as_ref().is_ok_and(|all| all.len() == 50));
    let all = all.unwrap_or_default();
    assert!(all.iter().all(|(_, event)| event.seq <= head), "an event past the head");
    for n in 0..4 {
        let (record, history) = (record(n), log.history(&record(n), 1, 500));
        let wrong = |(_, event): &(EventId, Event)| event.record != record;
        assert!(!history.as_ref().is_ok_and(|all| all.iter().any(wrong)), "another record's event");
        seen(history.is_ok_and(|all| all.len() >= 11) && log.last(&record).is_ok());
        seen(log.last_seq(&record).is_ok());
    }
    for seq in [1, 11, 25, head, u64::MAX] {
        let (event, proof) = (log.event(seq), log.inclusion(seq, head));
        seen(event.is_ok() || [1, 25, u64::MAX].contains(&seq));
        seen(proof.is_ok() || seq == u64::MAX);
    }
    seen(log.consistency(3, head).is_ok() && log.prover().head(head).is_ok());
    seen(log.newest().is_ok() && log.lost_at().is_ok() && log.records(None, 100).is_ok());
    seen(log.counts().is_ok() && log.last_to_drop(head).is_ok());
    seen(log.views(b"r", None, 100).is_ok_and(|all| all.len() == 9) && log.view(b"r\x05").is_ok());
    // What is said to have been lost, or dropped, may be more than anybody can count.
    let lost = log.lost().map(|lost| lost.iter().map(|lost| lost.count).fold(0, u64::saturating_add));
    if lost.is_ok_and(|lost| lost < 10_000) && head < 10_000 {
        seen(log.verify(|_| {}).is_ok_and(|report| report.is_sound()));
    }
    let mut maker = Maker { seq: head.min(u64::MAX - 1), ..Maker::default() };
    let next = maker.next(&RecordId::try_new("permit/new").unwrap(), "m");
    seen(log.append(&[next]).is_ok());
    let changes = [(b"r1".to_vec(), Some(vec![1]))].into_iter().collect::<views::Changes>();
    seen(log.save_views(&changes, log.head()).is_ok());
    seen(log.close().is_ok());
    sound
}
