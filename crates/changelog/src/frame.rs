//! A frame: one event's bytes with a head of their own, so that an event can be
//! found and proved whole in a raw file, without index or storage.
//!
//! `F5 'h' 'm' 'E'` | version 1 | payload length, u32 | BLAKE3 of the payload |
//! payload. Nothing is read out of a frame before its hash fits.

use crate::error::{Damage, LogError};
use crate::head::Head;
use crate::msgpack;
use hms_sync_model::{Event, EventId, RecordId};
use hms_sync_proof::TreeHash;

/// Begins every frame. F5 occurs nowhere in UTF-8.
pub(crate) const MAGIC: [u8; 4] = [0xf5, b'h', b'm', b'E'];
/// The frame's version.
const VERSION: u8 = 1;
/// Bytes before the payload.
pub(crate) const HEAD_BYTES: usize = 4 + 1 + 4 + 32;
/// The largest event, encoded, in bytes: 64 MiB, room for the values before and after
/// a change of the largest record that is taken in.
pub const EVENT_BYTES_MAX: usize = 64 << 20;

/// Room that is made for a frame before its length is known: most events of a record of
/// ten fields find place in it.
const FRAME_ROOM: usize = 640;

/// An event in its final form, with its id. Made by [`seal`].
#[derive(Debug, Clone)]
pub struct Sealed {
    /// Its place in the log.
    pub seq: u64,
    /// The record it belongs to.
    pub record: RecordId,
    /// Its place in the record's history.
    pub version: u64,
    /// The BLAKE3 hash of its encoded content.
    pub id: EventId,
    pub(crate) frame: Vec<u8>,
    /// The hash of its leaf in the tree.
    pub(crate) leaf: TreeHash,
}

impl Sealed {
    /// What it takes in the log, in bytes, head included.
    pub fn frame_bytes(&self) -> usize {
        self.frame.len()
    }

    /// The bytes it takes in the log, head included.
    pub fn frame(&self) -> &[u8] {
        &self.frame
    }

    /// The event as it is encoded, without the head: what its id is the hash of.
    pub fn payload(&self) -> &[u8] {
        self.frame.get(HEAD_BYTES..).unwrap_or_default()
    }
}

/// Encodes an event and computes its id. Pure; the caller's thread pays.
///
/// # Errors
/// [`LogError::TooLarge`] past [`EVENT_BYTES_MAX`]; [`LogError::Encode`] for
/// values nested so deep that the log would refuse to read them back.
pub fn seal(event: &Event) -> Result<Sealed, LogError> {
    let failed = |why: String| LogError::Encode { record: event.record.to_string(), why };
    let mut frame = Vec::with_capacity(FRAME_ROOM);
    frame.resize(HEAD_BYTES, 0);
    rmp_serde::encode::write_named(&mut frame, event).map_err(|why| failed(why.to_string()))?;
    let Some((head, payload)) = frame.split_at_mut_checked(HEAD_BYTES) else {
        return Err(failed("it has no content".into()));
    };
    let length = u32::try_from(payload.len()).unwrap_or(u32::MAX);
    if payload.len() > EVENT_BYTES_MAX {
        return Err(LogError::TooLarge { what: "event", bytes: payload.len(), max: EVENT_BYTES_MAX });
    }
    if msgpack::may_be_deep(payload) {
        msgpack::check(payload).map_err(|why| failed(why.to_string()))?;
    }
    let id = EventId(*blake3::hash(payload).as_bytes());
    let mut rest = head;
    for part in [MAGIC.as_slice(), &[VERSION], &length.to_be_bytes(), &id.0] {
        let Some((place, after)) = rest.split_at_mut_checked(part.len()) else { break };
        place.copy_from_slice(part);
        rest = after;
    }
    let (record, leaf) = (event.record.clone(), TreeHash::leaf(&id.0));
    Ok(Sealed { seq: event.seq, record, version: event.version, id, frame, leaf })
}

/// A frame as it lies in a chunk. Its hash is not checked yet.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Frame<'a> {
    id: EventId,
    payload: &'a [u8],
}

impl<'a> Frame<'a> {
    /// The frame at the start of `bytes`, and what comes after it.
    pub(crate) fn split(bytes: &'a [u8]) -> Result<(Self, &'a [u8]), Damage> {
        let (magic, rest) = bytes.split_first_chunk::<4>().ok_or(Damage::Cut)?;
        if *magic != MAGIC {
            return Err(Damage::Head);
        }
        let (&version, rest) = rest.split_first().ok_or(Damage::Cut)?;
        if version != VERSION {
            return Err(Damage::FrameVersion(version));
        }
        let (length, rest) = rest.split_first_chunk::<4>().ok_or(Damage::Cut)?;
        let (id, rest) = rest.split_first_chunk::<32>().ok_or(Damage::Cut)?;
        let length = usize::try_from(u32::from_be_bytes(*length)).map_err(|_| Damage::Cut)?;
        let (payload, rest) = rest.split_at_checked(length).ok_or(Damage::Cut)?;
        Ok((Self { id: EventId(*id), payload }, rest))
    }

    /// The id under which it is stored.
    pub(crate) const fn id(self) -> EventId {
        self.id
    }

    /// The bytes that were hashed.
    pub(crate) const fn payload(self) -> &'a [u8] {
        self.payload
    }

    /// How long the event is, as it is encoded.
    pub(crate) const fn bytes(self) -> usize {
        self.payload.len()
    }

    /// The `slot`-th frame of a chunk, from 0.
    pub(crate) fn nth(chunk: &'a [u8], slot: u64) -> Result<Self, Damage> {
        let mut rest = chunk;
        for _ in 0..slot {
            if rest.is_empty() {
                return Err(Damage::Missing);
            }
            rest = Self::split(rest)?.1;
        }
        if rest.is_empty() { Err(Damage::Missing) } else { Ok(Self::split(rest)?.0) }
    }

    /// The head of the event, if its content is sound; its hash is not checked.
    pub(crate) fn unproved(self, seq: u64) -> Option<Head<'a>> {
        Head::read(self.payload).ok().filter(|head| head.seq == seq)
    }

    /// The id and the head of the event, after its hash, its form and its place have been checked.
    pub(crate) fn head(self, seq: u64) -> Result<(EventId, Head<'a>), Damage> {
        self.prove()?;
        let head = Head::read(self.payload).map_err(|why| Damage::Content(why.to_string()))?;
        if head.seq == seq { Ok((self.id, head)) } else { Err(Damage::Place(head.seq)) }
    }

    fn prove(self) -> Result<(), Damage> {
        if *blake3::hash(self.payload).as_bytes() == self.id.0 { Ok(()) } else { Err(Damage::Hash) }
    }

    /// The event, after its hash, its form and its place have been checked.
    pub(crate) fn open(self, seq: u64) -> Result<(EventId, Event), Damage> {
        let (id, event) = self.open_anywhere()?;
        if event.seq == seq { Ok((id, event)) } else { Err(Damage::Place(event.seq)) }
    }

    /// The same, whatever its place.
    pub(crate) fn open_anywhere(self) -> Result<(EventId, Event), Damage> {
        self.prove()?;
        msgpack::check(self.payload).map_err(|why| Damage::Content(why.to_string()))?;
        let event: Event = rmp_serde::from_slice(self.payload).map_err(|why| content(&why.to_string()))?;
        Ok((self.id, event))
    }
}

/// Letters may come and old ones never change their meaning: a kind that is not known is a newer one.
fn content(why: &str) -> Damage {
    match why.strip_prefix("unknown variant ") {
        Some(rest) => Damage::Newer(rest.split(',').next().unwrap_or_default().to_owned()),
        None => Damage::Content(why.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests may panic")]
    use super::*;
    use hms_sync_hostile::Reader;
    use hms_sync_model::{
        Actor, Body, Change, Clock, Dot, Edit, FieldName, RawHash, SideName, Source, Stamp, Time, Value,
        VecMap, WebhookMessage,
    };
    use std::collections::BTreeMap;

    /// An event with a body of some kind, and one letter more.
    #[derive(serde::Serialize)]
    struct Written<'a> {
        q: u64,
        r: &'a str,
        n: u64,
        t: i64,
        p: EventId,
        b: BTreeMap<&'a str, BTreeMap<&'a str, &'a str>>,
        zz: [u8; 3],
    }

    fn frame(record: &str, kind: &str) -> Vec<u8> {
        let body = BTreeMap::from([(kind, BTreeMap::from([("i", "m1"), ("yy", "new")]))]);
        let event = Written { q: 1, r: record, n: 1, t: 5, p: EventId::default(), b: body, zz: [1, 2, 3] };
        let payload = rmp_serde::to_vec_named(&event).unwrap();
        let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
        [&MAGIC, &[VERSION][..], &length, blake3::hash(&payload).as_bytes(), &payload].concat()
    }

    fn open(bytes: &[u8]) -> Result<Event, Damage> {
        Frame::split(bytes)?.0.open(1).map(|(_, event)| event)
    }

    #[test]
    fn letters_of_a_newer_version_are_passed_over() {
        let event = open(&frame("permit/1", "W")).unwrap();
        assert_eq!(event.body, hms_sync_model::Body::Received { message: "m1".into() });
    }

    #[test]
    fn a_kind_of_a_newer_version_is_refused_in_words_and_verified_all_the_same() {
        let bytes = frame("permit/1", "Ω");
        let why = open(&bytes).unwrap_err();
        assert_eq!(why, Damage::Newer("`Ω`".into()));
        assert!(why.to_string().contains("a newer one wrote it"), "{why}");
        assert_eq!(Frame::split(&bytes).unwrap().0.head(1).unwrap().1.record, "permit/1");
    }

    #[test]
    fn a_frame_of_a_newer_version_is_refused_in_words() {
        let mut bytes = frame("permit/1", "W");
        bytes.iter_mut().skip(4).take(1).for_each(|version| *version = 2);
        assert_eq!(open(&bytes).unwrap_err(), Damage::FrameVersion(2));
    }

    #[test]
    fn ids_that_are_none_are_refused_wherever_they_come_from() {
        for id in ["x".repeat(64 << 10), "permit/\0".into(), "permit/a\nb".into(), String::new()] {
            let bytes = frame(&id, "W");
            assert!(matches!(open(&bytes), Err(Damage::Content(_))));
            assert!(matches!(Frame::split(&bytes).unwrap().0.head(1), Err(Damage::Content(_))));
        }
        assert_eq!(open(&frame("permit/é水🚒", "W")).unwrap().record.as_str(), "permit/é水🚒");
    }

    /// Under a hash that is right, as who can write the file can make one: what is read by the
    /// head alone and as a whole is the same.
    #[test]
    fn hostile_events() {
        let event = |body: Body| Event {
            seq: 1,
            record: RecordId::try_new("permit/1").unwrap(),
            version: 300,
            at: Time(-5),
            prev: EventId([7; 32]),
            body,
        };
        let side = SideName::try_new("clerk").unwrap();
        let message = Some(WebhookMessage::Part("m1".into()));
        let doubted = Body::Doubted { side, stale: true, id: None, message, words: "ü".into() };
        let change = Change { before: Value::Null, after: Value::set([2.into(), "é".into(), true.into()]) };
        let edit = Edit {
            generation: 1,
            dot: Dot { actor: Actor::side(SideName::try_new("clerk").unwrap()), n: 300 },
            context: Clock::new(),
            but: VecMap::new(),
            changes: [(FieldName::try_new("tags").unwrap(), change)].into_iter().collect(),
            deletes: false,
            stamp: Stamp { low: Time(1), high: Time(i64::MAX) },
            certain: true,
        };
        let source = Source::Webhook(Some(WebhookMessage::Whole("m1".into())));
        let edited = Body::Edited { edit, id: None, tag: None, source, raw: Some(RawHash([7; 32])) };
        let sound = [doubted, Body::Received { message: "m1".into() }, edited].map(event);
        let sound = sound.iter().map(|event| seal(event).unwrap().payload().to_vec());
        Reader::new("events")
            .sound(sound)
            .words([
                &b"\x81"[..],
                b"\xa1b",
                b"\xa1q",
                b"\xc4\x20",
                b"\xdd\xff\xff\xff\xff",
                b"\x91\x91",
                b"\xd3",
                b"\xc0",
            ])
            .bytes(|payload| {
                let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
                let id = blake3::hash(payload);
                let bytes = [&MAGIC, &[VERSION][..], &length, id.as_bytes(), payload].concat();
                let (frame, rest) = Frame::split(&bytes).unwrap();
                assert!(rest.is_empty());
                let Ok((_, event)) = frame.open_anywhere() else { return false };
                let Ok((_, head)) = frame.head(event.seq) else { return false };
                assert_eq!((head.record, head.version), (event.record.as_str(), event.version));
                true
            });
    }
}
