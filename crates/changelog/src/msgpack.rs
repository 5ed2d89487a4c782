//! Looks over `MessagePack` before it is decoded.
//!
//! A decoder recurses and allocates as its input tells it to. This walk does
//! neither: it bounds the depth and compares every declared length with the
//! bytes that are left, so that what passes is safe to decode. Never panics,
//! whatever the bytes.

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
    /// Something else stands where this should.
    #[error("it has something else where {0} should be")]
    Other(&'static str),
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
    let mut rest = Rest::of(bytes);
    rest.pass_over(DEPTH_MAX)?;
    rest.end()
}

/// Whether bytes that an encoder made have so many that could open an array or a map
/// that they may be nested too deep. Much cheaper than to walk them.
pub(crate) fn may_be_deep(bytes: &[u8]) -> bool {
    let opens = |byte: &u8| u8::from(matches!(byte, 0x80..=0x9f | 0xdc..=0xdf));
    // So many fit into one byte, and the sum is made for many bytes at once.
    let opening = bytes.chunks(128).map(|some| usize::from(some.iter().map(opens).sum::<u8>()));
    opening.sum::<usize>() > DEPTH_MAX
}

/// What has not been read yet. Reads values one after the other, and takes only the
/// forms that we write.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rest<'a>(&'a [u8]);

impl<'a> Rest<'a> {
    /// All of `bytes`.
    pub(crate) fn of(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    /// Nothing may be left.
    pub(crate) fn end(self) -> Result<(), Unsound> {
        if self.0.is_empty() { Ok(()) } else { Err(Unsound::Trailing) }
    }

    /// Passes over one value that holds others `depth` deep at most.
    pub(crate) fn pass_over(&mut self, depth: usize) -> Result<(), Unsound> {
        // How many values are still to come in each array or map that is open. The
        // innermost is kept apart.
        let (mut open, mut left): (Vec<usize>, usize) = (Vec::new(), 1);
        loop {
            match self.item()? {
                Item::Holds(count) if count > 0 => {
                    if count > self.0.len() {
                        return Err(Unsound::Cut);
                    }
                    if open.len() == depth {
                        return Err(Unsound::TooDeep);
                    }
                    open.push(left);
                    left = count;
                }
                Item::Holds(_) | Item::Whole => {
                    left -= 1;
                    while left == 0 {
                        let Some(outer) = open.pop() else { return Ok(()) };
                        left = outer - 1;
                    }
                }
            }
        }
    }

    fn marker(&mut self) -> Result<u8, Unsound> {
        let (&marker, rest) = self.0.split_first().ok_or(Unsound::Cut)?;
        self.0 = rest;
        Ok(marker)
    }

    /// How many entries the map has that comes next.
    pub(crate) fn map(&mut self) -> Result<usize, Unsound> {
        let count = match self.marker()? {
            marker @ 0x80..=0x8f => usize::from(marker & 0x0f),
            0xde => self.number::<2>()?,
            _ => return Err(Unsound::Other("a map")),
        };
        if count > self.0.len() { Err(Unsound::Cut) } else { Ok(count) }
    }

    /// The text that comes next.
    pub(crate) fn text(&mut self) -> Result<&'a str, Unsound> {
        let length = match self.marker()? {
            marker @ 0xa0..=0xbf => usize::from(marker & 0x1f),
            0xd9 => self.number::<1>()?,
            0xda => self.number::<2>()?,
            0xdb => self.number::<4>()?,
            _ => return Err(Unsound::Other("text")),
        };
        let bytes = self.take(length)?;
        std::str::from_utf8(bytes).map_err(|_| Unsound::Other("text"))
    }

    /// The `N` bytes that come next.
    pub(crate) fn bytes<const N: usize>(&mut self) -> Result<[u8; N], Unsound> {
        let length = match self.marker()? {
            0xc4 => self.number::<1>()?,
            _ => return Err(Unsound::Other("bytes")),
        };
        self.take(length)?.try_into().map_err(|_| Unsound::Other("bytes of the right length"))
    }

    /// The number that comes next; not less than 0.
    pub(crate) fn count(&mut self) -> Result<u64, Unsound> {
        let number = match self.marker()? {
            marker @ 0x00..=0x7f => usize::from(marker),
            0xcc => self.number::<1>()?,
            0xcd => self.number::<2>()?,
            0xce => self.number::<4>()?,
            0xcf => self.number::<8>()?,
            _ => return Err(Unsound::Other("a number")),
        };
        Ok(number as u64)
    }

    /// The number that comes next, whatever its sign.
    pub(crate) fn integer(&mut self) -> Result<i64, Unsound> {
        let mut after = *self;
        let negative = match after.marker()? {
            marker @ 0xe0..=0xff => i64::from(marker.cast_signed()),
            0xd0 => i64::from(i8::from_be_bytes(after.fixed()?)),
            0xd1 => i64::from(i16::from_be_bytes(after.fixed()?)),
            0xd2 => i64::from(i32::from_be_bytes(after.fixed()?)),
            0xd3 => i64::from_be_bytes(after.fixed()?),
            _ => return i64::try_from(self.count()?).map_err(|_| Unsound::Other("a smaller number")),
        };
        *self = after;
        Ok(negative)
    }

    fn fixed<const N: usize>(&mut self) -> Result<[u8; N], Unsound> {
        let (head, rest) = self.0.split_first_chunk::<N>().ok_or(Unsound::Cut)?;
        self.0 = rest;
        Ok(*head)
    }

    fn number<const N: usize>(&mut self) -> Result<usize, Unsound> {
        Ok(self.fixed::<N>()?.iter().fold(0, |sum, byte| (sum << 8) | usize::from(*byte)))
    }

    fn take(&mut self, count: usize) -> Result<&'a [u8], Unsound> {
        let (taken, rest) = self.0.split_at_checked(count).ok_or(Unsound::Cut)?;
        self.0 = rest;
        Ok(taken)
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
        let marker = self.marker()?;
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

    #[test]
    fn what_is_too_deep_may_be_deep() {
        for opening in [
            &[0x91][..],
            &[0x81, 0xc0],
            &[0xdc, 0, 1],
            &[0xdd, 0, 0, 0, 1],
            &[0xde, 0, 1, 0xc0],
            &[0xdf, 0, 0, 0, 1, 0xc0],
        ] {
            let nested = |depth: usize| [opening.repeat(depth), vec![0xc0]].concat();
            assert_eq!(check(&nested(DEPTH_MAX)), Ok(()));
            assert_eq!(check(&nested(DEPTH_MAX + 1)), Err(Unsound::TooDeep));
            assert!(may_be_deep(&nested(DEPTH_MAX + 1)), "{opening:?}");
        }
        assert!(!may_be_deep(&[b'a'; 5_000]));
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
