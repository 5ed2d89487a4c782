//! Looks over `MessagePack` before it is decoded.
//!
//! A decoder recurses and allocates as its input tells it to. This walk does
//! neither: it bounds the depth and compares every declared length with the
//! bytes that are left, so that what passes is safe to decode. Never panics,
//! whatever the bytes.

use crate::frame::Brief;
use hms_sync_model::EventId;

/// The deepest nesting of arrays and maps that an event may have.
pub(crate) const DEPTH_MAX: usize = 64;

/// Why bytes are not worth decoding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Unsound {
    /// A length goes past the end.
    #[error("it ends before its lengths say")]
    Cut,
    /// Bytes are left after the value.
    #[error("bytes are left at its end")]
    Trailing,
    /// Nested deeper than [`DEPTH_MAX`].
    #[error("it is nested deeper than {DEPTH_MAX}")]
    TooDeep,
    /// A marker that we never write.
    #[error("it has a marker {0:#04x}, which the log never writes")]
    Foreign(u8),
    /// Not the members that every event has.
    #[error("it has not the members of an event")]
    NoEvent,
}

/// What one marker opens.
enum Item {
    /// A value whose bytes have been passed over.
    Whole,
    /// An array or map of so many values still to come.
    Holds(usize),
}

/// Checks that `bytes` are exactly one value, no deeper than [`DEPTH_MAX`].
pub(crate) fn check(bytes: &[u8]) -> Result<(), Unsound> {
    let mut rest = Rest(bytes);
    rest.value(DEPTH_MAX)?;
    if rest.0.is_empty() { Ok(()) } else { Err(Unsound::Trailing) }
}

/// The members that say where an event belongs; the whole is checked as in [`check`].
pub(crate) fn brief(bytes: &[u8]) -> Result<Brief<'_>, Unsound> {
    let mut rest = Rest(bytes);
    let Item::Holds(items) = rest.item()? else { return Err(Unsound::NoEvent) };
    let (mut seq, mut record, mut version, mut prev, mut body) = (None, None, None, None, false);
    for _ in 0..items / 2 {
        match rest.bytes()? {
            b"q" => seq = Some(rest.integer()?),
            b"r" => record = std::str::from_utf8(rest.bytes()?).ok(),
            b"n" => version = Some(rest.integer()?),
            b"p" => prev = rest.bytes()?.try_into().ok().map(EventId),
            other => {
                body |= other == b"b";
                rest.value(DEPTH_MAX - 1)?;
            }
        }
    }
    if !rest.0.is_empty() {
        return Err(Unsound::Trailing);
    }
    match (seq, record, version, prev, body) {
        (Some(seq), Some(record), Some(version), Some(prev), true) => {
            Ok(Brief { seq, record, version, prev })
        }
        _ => Err(Unsound::NoEvent),
    }
}

/// Where values stand inside each other.
fn walk(rest: &mut Rest<'_>, depth_max: usize) -> Result<(), Unsound> {
    // How many values are still to come in each array or map that is open.
    let mut open: Vec<usize> = Vec::with_capacity(8);
    loop {
        match rest.item()? {
            Item::Holds(count) if count > 0 => {
                if count > rest.0.len() {
                    return Err(Unsound::Cut);
                }
                if open.len() == depth_max {
                    return Err(Unsound::TooDeep);
                }
                open.push(count);
            }
            Item::Holds(_) | Item::Whole => {
                while let Some(left) = open.last_mut() {
                    *left -= 1;
                    if *left > 0 {
                        break;
                    }
                    open.pop();
                }
                if open.is_empty() {
                    return Ok(());
                }
            }
        }
    }
}

struct Rest<'a>(&'a [u8]);

impl<'a> Rest<'a> {
    /// Passes over one value, nested so deep at most.
    fn value(&mut self, depth_max: usize) -> Result<(), Unsound> {
        walk(self, depth_max)
    }

    /// A whole number that is not negative.
    fn integer(&mut self) -> Result<u64, Unsound> {
        let (&marker, rest) = self.0.split_first().ok_or(Unsound::Cut)?;
        self.0 = rest;
        let number = match marker {
            0x00..=0x7f => Ok(usize::from(marker)),
            0xcc => self.number::<1>(),
            0xcd => self.number::<2>(),
            0xce => self.number::<4>(),
            0xcf => self.number::<8>(),
            _ => Err(Unsound::NoEvent),
        };
        number.map(|number| number as u64)
    }

    /// Text or bytes.
    fn bytes(&mut self) -> Result<&'a [u8], Unsound> {
        let (&marker, rest) = self.0.split_first().ok_or(Unsound::Cut)?;
        self.0 = rest;
        let length = match marker {
            0xa0..=0xbf => usize::from(marker & 0x1f),
            0xc4 | 0xd9 => self.number::<1>()?,
            0xc5 | 0xda => self.number::<2>()?,
            0xc6 | 0xdb => self.number::<4>()?,
            _ => return Err(Unsound::NoEvent),
        };
        let (bytes, rest) = self.0.split_at_checked(length).ok_or(Unsound::Cut)?;
        self.0 = rest;
        Ok(bytes)
    }

    fn number<const N: usize>(&mut self) -> Result<usize, Unsound> {
        let (head, rest) = self.0.split_first_chunk::<N>().ok_or(Unsound::Cut)?;
        self.0 = rest;
        Ok(head.iter().fold(0, |sum, byte| (sum << 8) | usize::from(*byte)))
    }

    fn skip(&mut self, count: usize) -> Result<Item, Unsound> {
        self.0 = self.0.get(count..).ok_or(Unsound::Cut)?;
        Ok(Item::Whole)
    }

    fn sized<const N: usize>(&mut self) -> Result<Item, Unsound> {
        let count = self.number::<N>()?;
        self.skip(count)
    }

    fn item(&mut self) -> Result<Item, Unsound> {
        let (&marker, rest) = self.0.split_first().ok_or(Unsound::Cut)?;
        self.0 = rest;
        match marker {
            0x00..=0x7f | 0xe0..=0xff | 0xc0 | 0xc2 | 0xc3 => Ok(Item::Whole),
            0x80..=0x8f => Ok(Item::Holds(usize::from(marker & 0x0f) * 2)),
            0x90..=0x9f => Ok(Item::Holds(usize::from(marker & 0x0f))),
            0xa0..=0xbf => self.skip(usize::from(marker & 0x1f)),
            0xc4 | 0xd9 => self.sized::<1>(),
            0xc5 | 0xda => self.sized::<2>(),
            0xc6 | 0xdb => self.sized::<4>(),
            0xcc | 0xd0 => self.skip(1),
            0xcd | 0xd1 => self.skip(2),
            0xca | 0xce | 0xd2 => self.skip(4),
            0xcb | 0xcf | 0xd3 => self.skip(8),
            0xdc => Ok(Item::Holds(self.number::<2>()?)),
            0xdd => Ok(Item::Holds(self.number::<4>()?)),
            0xde => Ok(Item::Holds(self.number::<2>()? * 2)),
            0xdf => Ok(Item::Holds(self.number::<4>()?.saturating_mul(2))),
            0xc1 | 0xc7..=0xc9 | 0xd4..=0xd8 => Err(Unsound::Foreign(marker)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn depth_is_counted_without_recursing() {
        let nested = |depth: usize| [vec![0x91; depth], vec![0xc0]].concat();
        assert_eq!(check(&nested(DEPTH_MAX)), Ok(()));
        assert_eq!(check(&nested(DEPTH_MAX + 1)), Err(Unsound::TooDeep));
        assert_eq!(check(&nested(1_000_000)), Err(Unsound::TooDeep));
    }

    #[test]
    fn lengths_past_the_end_are_found_before_anything_is_made_of_them() {
        assert_eq!(check(&[0xdd, 0xff, 0xff, 0xff, 0xff, 0xc0]), Err(Unsound::Cut));
        assert_eq!(check(&[0xdf, 0xff, 0xff, 0xff, 0xff]), Err(Unsound::Cut));
        assert_eq!(check(&[0xc6, 0xff, 0xff, 0xff, 0xff, 1]), Err(Unsound::Cut));
        assert_eq!(check(&[0xa5, b'a']), Err(Unsound::Cut));
        assert_eq!(check(&[0x92, 0xc0]), Err(Unsound::Cut));
        assert_eq!(check(&[]), Err(Unsound::Cut));
        assert_eq!(check(&[0xc0, 0xc0]), Err(Unsound::Trailing));
        assert_eq!(check(&[0xd4, 1, 1]), Err(Unsound::Foreign(0xd4)));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4_096))]
        /// Whatever the bytes: an answer. What passes, the decoder walks to its end.
        #[test]
        fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..256)) {
            if check(&bytes).is_ok() {
                let mut decoder = rmp_serde::Deserializer::from_read_ref(&bytes);
                let walked: Result<serde::de::IgnoredAny, _> = serde::Deserialize::deserialize(&mut decoder);
                prop_assert!(walked.is_ok());
            }
        }

        /// Bytes that lean towards markers with lengths.
        #[test]
        fn structured_bytes_never_panic(
            bytes in prop::collection::vec(prop_oneof![0x80u8..=0xa4, 0xc0u8..=0xdf, 0u8..4], 0..64),
        ) {
            let _unsound = check(&bytes);
        }
    }
}
