//! What a value comes to when it is written out, found without writing it.

use minijinja::Value;
use minijinja::value::ValueKind;

/// The most that a value may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limit {
    /// Values, with those in its lists and maps.
    pub parts: usize,
    /// Bytes of its texts and names.
    pub bytes: usize,
}

/// How deep a value may nest: deeper than any record, and not so deep that the stack ends.
const DEPTH_MAX: usize = 128;

/// A value that is more than it may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TooLarge {
    /// It has more parts.
    Parts(usize),
    /// Its texts have more bytes.
    Bytes(usize),
    /// It nests deeper.
    Depth,
}

impl std::fmt::Display for TooLarge {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Parts(most) => write!(f, "it has more than {most} parts"),
            Self::Bytes(most) => write!(f, "its texts have more than {most} bytes"),
            Self::Depth => write!(f, "it nests more than {DEPTH_MAX} lists and maps"),
        }
    }
}

impl std::error::Error for TooLarge {}

/// Goes through a value as far as it may go, and says how many parts that were.
pub fn check(value: &Value, limit: Limit) -> Result<usize, TooLarge> {
    let mut scales = Scales { limit, left: limit };
    scales.put(value, 0)?;
    Ok(limit.parts - scales.left.parts)
}

struct Scales {
    limit: Limit,
    left: Limit,
}

impl Scales {
    fn put(&mut self, value: &Value, depth: usize) -> Result<(), TooLarge> {
        if depth > DEPTH_MAX {
            return Err(TooLarge::Depth);
        }
        let parts = self.left.parts.checked_sub(1).ok_or(TooLarge::Parts(self.limit.parts))?;
        let long = value.as_str().map(str::len).or_else(|| value.as_bytes().map(<[u8]>::len));
        let bytes =
            self.left.bytes.checked_sub(long.unwrap_or_default()).ok_or(TooLarge::Bytes(self.limit.bytes))?;
        self.left = Limit { parts, bytes };
        let is_map = match value.kind() {
            ValueKind::Map => true,
            ValueKind::Seq | ValueKind::Iterable => false,
            _ => return Ok(()),
        };
        for part in value.try_iter().into_iter().flatten() {
            if is_map && let Ok(member) = value.get_item(&part) {
                self.put(&member, depth + 1)?;
            }
            self.put(&part, depth + 1)?;
        }
        Ok(())
    }
}
