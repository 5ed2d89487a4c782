//! An event's head: what verification and the index need of it, read from its bytes
//! without making the event. Tested against the whole event.
//!
//! All of the payload is walked, so that what passes is sound `MessagePack` that
//! says one thing only. What the body says is not looked at.

use crate::msgpack::{DEPTH_MAX, Rest, Unsound};
use hms_sync_model::{EventId, RecordId};

/// The part of an event that says where it belongs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Head<'a> {
    /// Its place in the log.
    pub(crate) seq: u64,
    /// A record id.
    pub(crate) record: &'a str,
    /// Its place in the record's history.
    pub(crate) version: u64,
    /// When it was written, in microseconds since 1970.
    pub(crate) at: i64,
    /// The record's event before it.
    pub(crate) prev: EventId,
}

/// What has been read so far.
#[derive(Default)]
struct Partly<'a> {
    seq: Option<u64>,
    record: Option<&'a str>,
    version: Option<u64>,
    at: Option<i64>,
    prev: Option<EventId>,
    has_body: bool,
}

impl<'a> Head<'a> {
    /// The head of an encoded event.
    pub(crate) fn read(payload: &'a [u8]) -> Result<Self, Unsound> {
        let mut rest = Rest::of(payload);
        let mut partly = Partly::default();
        for _ in 0..rest.map()? {
            partly.read_one(&mut rest)?;
        }
        rest.end()?;
        partly.whole().ok_or(Unsound::Other("an event"))
    }
}

impl<'a> Partly<'a> {
    fn read_one(&mut self, rest: &mut Rest<'a>) -> Result<(), Unsound> {
        match rest.text()? {
            "q" => once(&mut self.seq, rest.count()?),
            "r" => once(&mut self.record, record(rest.text()?)?),
            "n" => once(&mut self.version, rest.count()?),
            "t" => once(&mut self.at, rest.integer()?),
            "p" => once(&mut self.prev, EventId(rest.bytes()?)),
            "b" if !self.has_body => {
                self.has_body = true;
                body(rest)
            }
            "b" => Err(TWICE),
            // A letter of a newer version.
            _ => rest.pass_over(DEPTH_MAX - 1),
        }
    }

    fn whole(self) -> Option<Head<'a>> {
        let Self { seq, record, version, at, prev, has_body } = self;
        has_body.then_some(())?;
        Some(Head { seq: seq?, record: record?, version: version?, at: at?, prev: prev? })
    }
}

const TWICE: Unsound = Unsound::Other("a letter that it has not had yet");

/// A letter that comes twice could be read in two ways.
fn once<T>(place: &mut Option<T>, value: T) -> Result<(), Unsound> {
    if place.replace(value).is_some() { Err(TWICE) } else { Ok(()) }
}

fn record(text: &str) -> Result<&str, Unsound> {
    RecordId::check(text).map_err(|_| Unsound::Other("a record id"))?;
    Ok(text)
}

/// A map of one entry, the letter of its kind.
fn body(rest: &mut Rest<'_>) -> Result<(), Unsound> {
    if rest.map()? != 1 {
        return Err(Unsound::Other("one body"));
    }
    rest.text()?;
    rest.pass_over(DEPTH_MAX - 2)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests may panic")]
    use super::*;
    use hms_sync_model::{Body, Event, SideName, Time};
    use proptest::prelude::*;

    fn event(seq: u64, version: u64, at: i64, record: String, prev: [u8; 32]) -> Event {
        let (side, words) = (SideName::try_new("clerk").unwrap(), "why".to_owned());
        let body = Body::Doubted { side, stale: false, id: None, words };
        let record = RecordId::try_new(record).unwrap();
        Event { seq, record, version, at: Time(at), prev: EventId(prev), body }
    }

    fn payload() -> Vec<u8> {
        rmp_serde::to_vec_named(&event(1, 1, 5, "permit/1".into(), [0; 32])).unwrap()
    }

    #[test]
    fn a_letter_of_a_newer_version_is_passed_over_and_one_that_comes_twice_is_not() {
        let sound = payload();
        let with = |more: &[u8]| {
            let mut bytes = sound.clone();
            bytes[0] += 1;
            bytes.extend_from_slice(more);
            bytes
        };
        assert_eq!(Head::read(&with(&[0xa1, b'z', 0x92, 0xc0, 0x81, 1, 2])), Head::read(&sound));
        assert_eq!(Head::read(&with(&[0xa1, b'q', 1])), Err(TWICE));
        assert_eq!(Head::read(&with(&[0xa1, b'b', 0x80])), Err(TWICE));
        assert_eq!(Head::read(&with(&[0xa1, b'z', 0xc0, 0xc0])), Err(Unsound::Trailing));
        assert_eq!(Head::read(&with(&[])), Err(Unsound::Cut));
    }

    #[test]
    fn an_event_without_one_of_its_letters_is_none() {
        for letter in *b"qrntpb" {
            let mut bytes = payload();
            let at = bytes.windows(2).position(|two| two == [0xa1, letter]).unwrap();
            bytes[at + 1] = b'z';
            assert_eq!(Head::read(&bytes), Err(Unsound::Other("an event")), "{}", char::from(letter));
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(512))]
        #[test]
        fn a_head_is_what_the_event_says(
            seq: u64, version: u64, at: i64, record in "[a-zé@/]{1,40}", prev: [u8; 32], small: bool,
        ) {
            let (seq, version, at) = if small { (seq % 300, version % 300, at % 300) } else { (seq, version, at) };
            let event = event(seq, version, at, record, prev);
            let bytes = rmp_serde::to_vec_named(&event).unwrap();
            let head = Head::read(&bytes).unwrap();
            let record = event.record.as_str();
            prop_assert_eq!(head, Head { seq, record, version, at, prev: EventId(prev) });
        }

        /// Whatever is read as a head is what the decoder reads, where it reads anything.
        #[test]
        fn a_changed_byte_is_read_alike(at: prop::sample::Index, byte: u8) {
            let mut bytes = payload();
            let at = at.index(bytes.len());
            bytes[at] = byte;
            let whole: Result<Event, _> = rmp_serde::from_slice(&bytes);
            if let (Ok(head), Ok(event)) = (Head::read(&bytes), whole) {
                let same = (event.seq, event.record.as_str(), event.version, event.at.0, event.prev);
                prop_assert_eq!((head.seq, head.record, head.version, head.at, head.prev), same);
            }
        }

        #[test]
        fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(prop_oneof![0x80u8..=0xa4, 0xc0u8..=0xdf, any::<u8>()], 0..128)) {
            let _head = Head::read(&bytes);
        }
    }
}
