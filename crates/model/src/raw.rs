//! The hash of what an edit was made from, as its side showed it: whoever has kept
//! an answer of the side's can show that it is the one. It says nothing of its own.

use crate::EventId;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;

/// The BLAKE3 hash of a record's JSON as a side showed it. Which bytes are hashed
/// is told in `docs/format.md`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RawHash(pub [u8; 32]);

impl fmt::Display for RawHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        EventId(self.0).fmt(f)
    }
}

// On disk as an event's id is: 32 bytes.
impl Serialize for RawHash {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        EventId(self.0).serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for RawHash {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        EventId::deserialize(deserializer).map(|bytes| Self(bytes.0))
    }
}
