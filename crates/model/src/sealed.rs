//! A sealed value: what stands in the change log for a personal value.
//!
//! Only its record's key opens it, and only in the place it was sealed for. This
//! room holds the bytes and knows which key they ask for; it can neither seal nor
//! open. Once the key is destroyed the bytes say nothing any more.

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;
use std::sync::Arc;

/// Which key something is sealed under: a random name, never used for another key.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyId(pub [u8; KeyId::LEN]);

impl KeyId {
    /// Its length in bytes.
    pub const LEN: usize = 8;
}

impl fmt::Debug for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// The id of a key, and bytes that it opens.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Sealed(Arc<[u8]>);

impl Sealed {
    /// Puts both together.
    pub fn new(key: KeyId, bytes: &[u8]) -> Self {
        Self([key.0.as_slice(), bytes].concat().into())
    }

    /// From the form on disk; nothing if it is too short to name a key.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        (bytes.len() >= KeyId::LEN).then(|| Self(bytes.into()))
    }

    /// The form on disk: the key's id, then what it opens.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Which key it asks for.
    pub fn key(&self) -> KeyId {
        KeyId(self.0.first_chunk().copied().unwrap_or_default())
    }

    /// What the key opens.
    pub fn content(&self) -> &[u8] {
        self.0.get(KeyId::LEN..).unwrap_or_default()
    }
}

impl fmt::Debug for Sealed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "sealed({:?}, {} bytes)", self.key(), self.content().len())
    }
}

impl Serialize for Sealed {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(&self.0)
    }
}

impl<'de> Deserialize<'de> for Sealed {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Bytes;
        impl serde::de::Visitor<'_> for Bytes {
            type Value = Sealed;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{} bytes or more", KeyId::LEN)
            }
            fn visit_bytes<E: serde::de::Error>(self, bytes: &[u8]) -> Result<Sealed, E> {
                Sealed::from_bytes(bytes).ok_or_else(|| E::invalid_length(bytes.len(), &self))
            }
        }
        deserializer.deserialize_bytes(Bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn key_and_content_come_apart_again() {
        let sealed = Sealed::new(KeyId([7; 8]), b"abc");
        assert_eq!((sealed.key(), sealed.content()), (KeyId([7; 8]), b"abc".as_slice()));
        let bytes = rmp_serde::to_vec(&sealed).unwrap();
        assert_eq!(rmp_serde::from_slice::<Sealed>(&bytes).unwrap(), sealed);
        assert!(rmp_serde::from_slice::<Sealed>(&rmp_serde::to_vec(&"short").unwrap()).is_err());
        assert_eq!(Sealed::from_bytes(&[1; 7]), None);
    }
}
