//! The parts of `MessagePack` that edits are made of.
//!
//! Whatever is short is looked at in one or two words. What never happens here: a text
//! that is not UTF-8, a length that is believed before its bytes have come.

use super::{ChangeRef, ValueRef};
use crate::{Date, Decimal, Stamp, Time};
use std::fmt;
use std::str;

/// A text that still lies where it came. It is UTF-8, but nothing more is known of it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct TextRef<'a>(&'a [u8]);

impl<'a> TextRef<'a> {
    /// Its bytes.
    #[inline]
    pub fn as_bytes(self) -> &'a [u8] {
        self.0
    }

    /// The same as text.
    pub fn as_str(self) -> &'a str {
        str::from_utf8(self.0).unwrap_or_default()
    }

    /// How many bytes it has.
    #[inline]
    pub fn len(self) -> usize {
        self.0.len()
    }

    /// Whether it has none.
    pub fn is_empty(self) -> bool {
        self.0.is_empty()
    }

    /// Of bytes that are a text.
    #[inline]
    fn checked(bytes: &'a [u8]) -> Option<Self> {
        (is_ascii(bytes) || str::from_utf8(bytes).is_ok()).then_some(Self(bytes))
    }
}

impl<'a> From<&'a str> for TextRef<'a> {
    #[inline]
    fn from(text: &'a str) -> Self {
        Self(text.as_bytes())
    }
}

impl fmt::Debug for TextRef<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.as_str())
    }
}

/// Whether all are ASCII; of up to sixteen bytes the first and the last words say it.
#[inline]
fn is_ascii(bytes: &[u8]) -> bool {
    const HIGH: u64 = 0x8080_8080_8080_8080;
    if bytes.len() > 16 {
        return bytes.is_ascii();
    }
    let word = match (bytes.first_chunk::<8>(), bytes.last_chunk::<8>()) {
        (Some(first), Some(last)) => u64::from_ne_bytes(*first) | u64::from_ne_bytes(*last),
        _ => match (bytes.first_chunk::<4>(), bytes.last_chunk::<4>()) {
            (Some(first), Some(last)) => (u32::from_ne_bytes(*first) | u32::from_ne_bytes(*last)).into(),
            _ => bytes.iter().fold(0, |all, byte| all | u64::from(*byte)),
        },
    };
    word & HIGH == 0
}

/// What has not been read yet.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bytes<'a>(pub(super) &'a [u8]);

impl<'a> Bytes<'a> {
    #[inline]
    fn byte(&mut self) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*first)
    }

    #[inline]
    fn many(&mut self, n: usize) -> Option<&'a [u8]> {
        let (many, rest) = self.0.split_at_checked(n)?;
        self.0 = rest;
        Some(many)
    }

    #[inline]
    fn big<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (many, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(*many)
    }

    /// The bytes that are expected, or nothing.
    #[inline]
    fn just<const N: usize>(&mut self, expected: &[u8; N]) -> Option<()> {
        let (found, rest) = self.0.split_first_chunk::<N>()?;
        if found != expected {
            return None;
        }
        self.0 = rest;
        Some(())
    }

    /// The key that is expected, if it comes next: of so many it is one.
    #[inline]
    pub(super) fn key<const N: usize>(&mut self, left: &mut usize, key: &[u8; N]) -> Option<()> {
        let fewer = left.checked_sub(1)?;
        self.just(key)?;
        *left = fewer;
        Some(())
    }

    #[expect(clippy::inline_always, reason = "what is read stays in registers")]
    #[inline(always)]
    fn text(&mut self) -> Option<TextRef<'a>> {
        let len = match self.byte()? {
            short @ 0xa0..=0xbf => usize::from(short & 0x1f),
            long => self.length(long)?,
        };
        TextRef::checked(self.many(len)?)
    }

    /// The length of a text that is not short.
    #[inline(never)]
    fn length(&mut self, head: u8) -> Option<usize> {
        Some(match head {
            0xd9 => usize::from(self.byte()?),
            0xda => usize::from(u16::from_be_bytes(self.big()?)),
            0xdb => usize::try_from(u32::from_be_bytes(self.big()?)).ok()?,
            _ => return None,
        })
    }

    #[inline]
    pub(super) fn map(&mut self) -> Option<usize> {
        match self.byte()? {
            short @ 0x80..=0x8f => Some(usize::from(short & 0x0f)),
            0xde => Some(usize::from(u16::from_be_bytes(self.big()?))),
            _ => None,
        }
    }

    #[inline]
    pub(super) fn count(&mut self) -> Option<u64> {
        match self.byte()? {
            small @ 0x00..=0x7f => Some(small.into()),
            large => self.large(large),
        }
    }

    /// A count that is not small.
    #[inline(never)]
    fn large(&mut self, head: u8) -> Option<u64> {
        match head {
            0xcc => Some(self.byte()?.into()),
            0xcd => Some(u16::from_be_bytes(self.big()?).into()),
            0xce => Some(u32::from_be_bytes(self.big()?).into()),
            0xcf => Some(u64::from_be_bytes(self.big()?)),
            0xd0 => u64::try_from(i8::from_be_bytes(self.big()?)).ok(),
            0xd1 => u64::try_from(i16::from_be_bytes(self.big()?)).ok(),
            0xd2 => u64::try_from(i32::from_be_bytes(self.big()?)).ok(),
            0xd3 => u64::try_from(i64::from_be_bytes(self.big()?)).ok(),
            _ => None,
        }
    }

    /// A time is nearly always one of eight bytes.
    #[expect(clippy::inline_always, reason = "what is read stays in registers")]
    #[inline(always)]
    fn time(&mut self) -> Option<Time> {
        if let Some(([0xcf, n @ ..], rest)) = self.0.split_first_chunk::<9>() {
            self.0 = rest;
            return i64::try_from(u64::from_be_bytes(*n)).ok().map(Time);
        }
        self.whole().map(Time)
    }

    #[inline(never)]
    fn whole(&mut self) -> Option<i64> {
        match *self.0.first()? {
            0xe0..=0xff => self.byte().map(|small| i8::from_be_bytes([small]).into()),
            0xd0..=0xd3 => Some(match self.byte()? {
                0xd0 => i8::from_be_bytes(self.big()?).into(),
                0xd1 => i16::from_be_bytes(self.big()?).into(),
                0xd2 => i32::from_be_bytes(self.big()?).into(),
                _ => i64::from_be_bytes(self.big()?),
            }),
            _ => i64::try_from(self.count()?).ok(),
        }
    }

    pub(super) fn yes_no(&mut self) -> Option<bool> {
        match self.byte()? {
            0xc2 => Some(false),
            0xc3 => Some(true),
            _ => None,
        }
    }

    #[expect(clippy::inline_always, reason = "what is read stays in registers")]
    #[inline(always)]
    pub(super) fn dot(&mut self) -> Option<(TextRef<'a>, u64)> {
        self.just(b"\x82\xa5actor")?;
        let actor = self.text()?;
        self.just(b"\xa1n")?;
        Some((actor, self.count()?))
    }

    /// An entry of a clock; nothing of somebody is none of ours.
    #[expect(clippy::inline_always, reason = "what is read stays in registers")]
    #[inline(always)]
    pub(super) fn entry(&mut self) -> Option<(TextRef<'a>, u64)> {
        let (actor, n) = (self.text()?, self.count()?);
        (n > 0).then_some((actor, n))
    }

    #[expect(clippy::inline_always, reason = "what is read stays in registers")]
    #[inline(always)]
    fn value(&mut self) -> Option<ValueRef<'a>> {
        match self.big()? {
            [0xa1, b'a'] => return Some(ValueRef::Absent),
            [0xa1, b'n'] => return Some(ValueRef::Null),
            [0x81, 0xa1] => {}
            _ => return None,
        }
        match self.byte()? {
            b't' => Some(ValueRef::Text(self.text()?)),
            other => self.other_value(other),
        }
    }

    #[inline(never)]
    fn other_value(&mut self, kind: u8) -> Option<ValueRef<'a>> {
        Some(match kind {
            b'b' => ValueRef::Bool(self.yes_no()?),
            b'#' => ValueRef::Number(self.text().filter(|text| Decimal::is_canonical(text.as_str()))?),
            b'd' => ValueRef::Date(Date(i32::try_from(self.whole()?).ok()?)),
            b'i' => ValueRef::Datetime(self.time()?),
            b'j' => ValueRef::Json(self.text()?),
            _ => return None,
        })
    }

    #[expect(clippy::inline_always, reason = "what is read stays in registers")]
    #[inline(always)]
    pub(super) fn change(&mut self) -> Option<ChangeRef<'a>> {
        let field = self.text()?;
        self.just(b"\x82\xa6before")?;
        let before = self.value()?;
        self.just(b"\xa5after")?;
        Some(ChangeRef { field, before, after: self.value()? })
    }

    #[expect(clippy::inline_always, reason = "what is read stays in registers")]
    #[inline(always)]
    pub(super) fn stamp(&mut self) -> Option<Stamp> {
        self.just(b"\x82\xa3low")?;
        let low = self.time()?;
        self.just(b"\xa4high")?;
        Some(Stamp { low, high: self.time()? })
    }
}
