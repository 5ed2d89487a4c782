//! An event's bytes, read without knowing what its kind means: where it belongs, and the
//! whole of it as JSON, member for member.
//!
//! So an export of a newer hms-sync is proven and shown by an older verifier as well.
//! Bytes become hexadecimal, everything else what JSON has for it.
//!
//! What never happens here: recursion deeper than [`DEPTH_MAX`], or making anything of a
//! declared length before that many bytes are there.

use hms_sync_model::Time;
use serde::Serialize;
use std::io::Write;

/// The deepest nesting of arrays and maps.
const DEPTH_MAX: usize = 64;

/// Why bytes are no event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PayloadError {
    /// A length goes past the end.
    #[error("it ends before its lengths say")]
    Cut,
    /// Bytes are left after it.
    #[error("bytes are left at its end")]
    Trailing,
    /// Nested deeper than any event.
    #[error("it is nested deeper than {DEPTH_MAX}")]
    TooDeep,
    /// A marker that no log writes.
    #[error("it has a marker {0:#04x}, which no log writes")]
    Foreign(u8),
    /// Text that is none.
    #[error("it has text that is not UTF-8")]
    Text,
    /// A map's key that is not text.
    #[error("it has a key that is not text")]
    Key,
    /// Not the members that every event has, or one twice.
    #[error("it has not the members of an event, each once")]
    NoEvent,
}

/// What an event's bytes say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Payload {
    /// Its place in the log, from 1.
    pub seq: u64,
    /// The record it belongs to.
    pub record: String,
    /// Its place in the record's history, from 1.
    pub version: u64,
    /// When it was written.
    pub at: Time,
    /// The id of the record's event before it; zeros for the first.
    pub prev: [u8; 32],
    /// The whole of it, as JSON without blanks.
    pub json: String,
}

impl Payload {
    /// Reads them.
    pub fn read(bytes: &[u8]) -> Result<Self, PayloadError> {
        let mut json = Vec::with_capacity(bytes.len() * 2);
        let Head { seq, record, version, at, prev } = read(bytes, &mut json)?;
        let (record, json) = (record.to_owned(), String::from_utf8(json).map_err(|_| PayloadError::Text)?);
        Ok(Self { seq, record, version, at, prev, json })
    }
}

/// The same without the whole of it.
pub(crate) struct Head<'a> {
    pub(crate) seq: u64,
    pub(crate) record: &'a str,
    pub(crate) version: u64,
    pub(crate) at: Time,
    pub(crate) prev: [u8; 32],
}

/// Reads them, and shows all of it as JSON to `out`, which takes everything.
pub(crate) fn read<'a>(bytes: &'a [u8], out: &mut impl Write) -> Result<Head<'a>, PayloadError> {
    let mut reader = Reader { rest: bytes, out };
    let (mut seq, mut record, mut version, mut at, mut prev) = (None, None, None, None, None);
    let mut members = Members::default();
    let Marker::Map(count) = reader.head()? else { return Err(PayloadError::NoEvent) };
    reader.put(b"{");
    for n in 0..count {
        let key = reader.key(n)?;
        let once = match key {
            b"q" => seq.replace(reader.whole()?).is_none(),
            b"r" => record.replace(reader.text()?).is_none(),
            b"n" => version.replace(reader.whole()?).is_none(),
            b"t" => at.replace(reader.signed()?).is_none(),
            b"p" => prev.replace(reader.hash()?).is_none(),
            other => {
                reader.value(DEPTH_MAX - 1)?;
                members.once(other)
            }
        };
        if !once {
            return Err(PayloadError::NoEvent);
        }
    }
    reader.put(b"}");
    if !reader.rest.is_empty() {
        return Err(PayloadError::Trailing);
    }
    match (seq, record, version, at, prev) {
        (Some(seq), Some(record), Some(version), Some(at), Some(prev)) if members.has(b"b") => {
            Ok(Head { seq, record, version, at: Time(at), prev })
        }
        _ => Err(PayloadError::NoEvent),
    }
}

/// Members beside those that are read; a few letters.
#[derive(Default)]
struct Members<'a>(Vec<&'a [u8]>);

impl<'a> Members<'a> {
    fn once(&mut self, name: &'a [u8]) -> bool {
        let new = self.0.len() < DEPTH_MAX && !self.has(name);
        self.0.push(name);
        new
    }

    fn has(&self, name: &[u8]) -> bool {
        self.0.contains(&name)
    }
}

/// What a marker begins.
enum Marker {
    Nil,
    Bool(bool),
    Whole(u64),
    Negative(i64),
    Float(f64),
    Text(usize),
    Bytes(usize),
    List(usize),
    Map(usize),
}

struct Reader<'a, 'o, W> {
    rest: &'a [u8],
    out: &'o mut W,
}

impl<'a, W: Write> Reader<'a, '_, W> {
    fn put(&mut self, bytes: &[u8]) {
        // Whatever is written to takes everything.
        let _taken = self.out.write_all(bytes);
    }

    fn take<const N: usize>(&mut self) -> Result<[u8; N], PayloadError> {
        let (head, rest) = self.rest.split_first_chunk().ok_or(PayloadError::Cut)?;
        self.rest = rest;
        Ok(*head)
    }

    fn bytes(&mut self, count: usize) -> Result<&'a [u8], PayloadError> {
        let (bytes, rest) = self.rest.split_at_checked(count).ok_or(PayloadError::Cut)?;
        self.rest = rest;
        Ok(bytes)
    }

    fn length<const N: usize>(&mut self) -> Result<usize, PayloadError> {
        Ok(self.take::<N>()?.iter().fold(0, |sum, byte| (sum << 8) | usize::from(*byte)))
    }

    fn head(&mut self) -> Result<Marker, PayloadError> {
        let [marker] = self.take()?;
        Ok(match marker {
            0x00..=0x7f => Marker::Whole(marker.into()),
            0x80..=0x8f => Marker::Map(usize::from(marker & 0x0f)),
            0x90..=0x9f => Marker::List(usize::from(marker & 0x0f)),
            0xa0..=0xbf => Marker::Text(usize::from(marker & 0x1f)),
            0xc0 => Marker::Nil,
            0xc2 => Marker::Bool(false),
            0xc3 => Marker::Bool(true),
            0xc4 => Marker::Bytes(self.length::<1>()?),
            0xc5 => Marker::Bytes(self.length::<2>()?),
            0xc6 => Marker::Bytes(self.length::<4>()?),
            0xca => Marker::Float(f32::from_be_bytes(self.take()?).into()),
            0xcb => Marker::Float(f64::from_be_bytes(self.take()?)),
            0xcc => Marker::Whole(u8::from_be_bytes(self.take()?).into()),
            0xcd => Marker::Whole(u16::from_be_bytes(self.take()?).into()),
            0xce => Marker::Whole(u32::from_be_bytes(self.take()?).into()),
            0xcf => Marker::Whole(u64::from_be_bytes(self.take()?)),
            0xd0 => Marker::Negative(i8::from_be_bytes(self.take()?).into()),
            0xd1 => Marker::Negative(i16::from_be_bytes(self.take()?).into()),
            0xd2 => Marker::Negative(i32::from_be_bytes(self.take()?).into()),
            0xd3 => Marker::Negative(i64::from_be_bytes(self.take()?)),
            0xd9 => Marker::Text(self.length::<1>()?),
            0xda => Marker::Text(self.length::<2>()?),
            0xdb => Marker::Text(self.length::<4>()?),
            0xdc => Marker::List(self.length::<2>()?),
            0xdd => Marker::List(self.length::<4>()?),
            0xde => Marker::Map(self.length::<2>()?),
            0xdf => Marker::Map(self.length::<4>()?),
            0xe0..=0xff => Marker::Negative(i8::from_be_bytes([marker]).into()),
            0xc1 | 0xc7..=0xc9 | 0xd4..=0xd8 => return Err(PayloadError::Foreign(marker)),
        })
    }

    /// The `n`-th key of a map, with what stands around it.
    fn key(&mut self, n: usize) -> Result<&'a [u8], PayloadError> {
        if n > 0 {
            self.put(b",");
        }
        let Marker::Text(length) = self.head()? else { return Err(PayloadError::Key) };
        let key = self.bytes(length)?;
        self.show_text(key)?;
        self.put(b":");
        Ok(key)
    }

    fn whole(&mut self) -> Result<u64, PayloadError> {
        let Marker::Whole(number) = self.head()? else { return Err(PayloadError::NoEvent) };
        self.show_json(&number);
        Ok(number)
    }

    fn signed(&mut self) -> Result<i64, PayloadError> {
        let number = match self.head()? {
            Marker::Whole(number) => i64::try_from(number).map_err(|_| PayloadError::NoEvent)?,
            Marker::Negative(number) => number,
            _ => return Err(PayloadError::NoEvent),
        };
        self.show_json(&number);
        Ok(number)
    }

    fn text(&mut self) -> Result<&'a str, PayloadError> {
        let Marker::Text(length) = self.head()? else { return Err(PayloadError::NoEvent) };
        let text = self.bytes(length)?;
        self.show_text(text)?;
        std::str::from_utf8(text).map_err(|_| PayloadError::Text)
    }

    fn hash(&mut self) -> Result<[u8; 32], PayloadError> {
        let Marker::Bytes(32) = self.head()? else { return Err(PayloadError::NoEvent) };
        let hash = self.take()?;
        self.show_bytes(&hash);
        Ok(hash)
    }

    fn value(&mut self, depth: usize) -> Result<(), PayloadError> {
        match self.head()? {
            Marker::Nil => self.put(b"null"),
            Marker::Bool(truth) => self.put(if truth { b"true" } else { b"false" }),
            Marker::Whole(number) => self.show_json(&number),
            Marker::Negative(number) => self.show_json(&number),
            Marker::Float(number) if number.is_finite() => self.show(format_args!("{number:?}")),
            Marker::Float(_) => self.put(b"null"),
            Marker::Text(length) => {
                let text = self.bytes(length)?;
                self.show_text(text)?;
            }
            Marker::Bytes(length) => {
                let bytes = self.bytes(length)?;
                self.show_bytes(bytes);
            }
            Marker::List(count) => {
                let depth = depth.checked_sub(1).ok_or(PayloadError::TooDeep)?;
                self.put(b"[");
                for n in 0..count {
                    if n > 0 {
                        self.put(b",");
                    }
                    self.value(depth)?;
                }
                self.put(b"]");
            }
            Marker::Map(count) => {
                let depth = depth.checked_sub(1).ok_or(PayloadError::TooDeep)?;
                self.put(b"{");
                for n in 0..count {
                    self.key(n)?;
                    self.value(depth)?;
                }
                self.put(b"}");
            }
        }
        Ok(())
    }

    fn show(&mut self, what: impl std::fmt::Display) {
        // Whatever is written to takes everything.
        let _taken = write!(self.out, "{what}");
    }

    /// A number, faster than [`Self::show`].
    fn show_json(&mut self, number: &impl Serialize) {
        // Whatever is written to takes everything.
        let _taken = serde_json::to_writer(&mut *self.out, number);
    }

    fn show_text(&mut self, text: &[u8]) -> Result<(), PayloadError> {
        let text = std::str::from_utf8(text).map_err(|_| PayloadError::Text)?;
        // Counted to the end, so that many are looked at together.
        let escaped = text.bytes().filter(|byte| *byte < b' ' || matches!(byte, b'"' | b'\\')).count();
        if escaped > 0 {
            return serde_json::to_writer(&mut *self.out, text).map_err(|_| PayloadError::Text);
        }
        self.put(b"\"");
        self.put(text.as_bytes());
        self.put(b"\"");
        Ok(())
    }

    fn show_bytes(&mut self, bytes: &[u8]) {
        let digit = |half: u8| if half < 10 { b'0' + half } else { b'a' + half - 10 };
        self.put(b"\"");
        for some in bytes.chunks(32) {
            let mut digits = [0; 64];
            for ([high, low], byte) in digits.as_chunks_mut::<2>().0.iter_mut().zip(some) {
                (*high, *low) = (digit(byte >> 4), digit(byte & 15));
            }
            self.put(digits.get(..some.len() * 2).unwrap_or_default());
        }
        self.put(b"\"");
    }
}
