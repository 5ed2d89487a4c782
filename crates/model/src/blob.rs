//! Bytes that stand in an event as they are: a hash of 32, or content in a form of its own.
//!
//! This room keeps them and knows nothing of what they say.

use crate::EventId;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;

/// A hash of 32 bytes, of whatever the field that holds it says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest(pub [u8; 32]);

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        EventId(self.0).fmt(f)
    }
}

// On disk as an event's id is: 32 bytes.
impl Serialize for Digest {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        EventId(self.0).serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Digest {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        EventId::deserialize(deserializer).map(|bytes| Self(bytes.0))
    }
}

/// Content of any length, in a form that its owner knows.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Blob(pub Vec<u8>);

impl fmt::Debug for Blob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes", self.0.len())
    }
}

impl Serialize for Blob {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(&self.0)
    }
}

impl<'de> Deserialize<'de> for Blob {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Bytes;
        impl serde::de::Visitor<'_> for Bytes {
            type Value = Blob;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("bytes")
            }
            fn visit_bytes<E: serde::de::Error>(self, bytes: &[u8]) -> Result<Blob, E> {
                Ok(Blob(bytes.to_vec()))
            }
        }
        deserializer.deserialize_bytes(Bytes)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests may panic")]
    use super::*;

    #[test]
    fn bytes_come_back_as_they_were() {
        let (digest, blob) = (Digest([7; 32]), Blob(vec![0xc1, 0, 255]));
        let bytes = rmp_serde::to_vec(&(digest, blob.clone())).unwrap();
        assert_eq!(rmp_serde::from_slice::<(Digest, Blob)>(&bytes).unwrap(), (digest, blob));
        assert!(rmp_serde::from_slice::<Digest>(&rmp_serde::to_vec(&Blob(vec![1; 31])).unwrap()).is_err());
    }
}
