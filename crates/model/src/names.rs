//! Names and ids, each its own type so that they cannot be mixed up.
//!
//! A name is shared text: cloning one copies a pointer. `try_new` is the only
//! way in for text from outside; what it lets through is safe to print in one
//! line and to put in a key of the change log.

use serde::{Deserialize, Deserializer, Serialize};
use std::borrow::Borrow;
use std::fmt;
use std::sync::Arc;

/// Why a text cannot be a name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidName {
    /// The text has no characters.
    #[error("a {what} must not be empty")]
    Empty {
        /// What the text was meant to name.
        what: &'static str,
    },
    /// The text is longer than its kind allows.
    #[error("a {what} may have {max} bytes at most, this one has {len}")]
    TooLong {
        /// What the text was meant to name.
        what: &'static str,
        /// The bound, in bytes.
        max: usize,
        /// What was given, in bytes.
        len: usize,
    },
    /// A character that this kind of name cannot hold.
    #[error("a {what} must not contain {found:?}")]
    Character {
        /// What the text was meant to name.
        what: &'static str,
        /// The first such character.
        found: char,
    },
}

/// Letters of a name that people write in YAML: no blanks, slashes or control characters.
fn plain(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '_' | '-' | '.' | '@')
}

/// Letters of an id that another system chose: anything but NUL.
fn foreign(c: char) -> bool {
    c != '\0'
}

/// Letters of a record id: a collection, a slash, and a printable rest.
fn record(c: char) -> bool {
    !c.is_control()
}

macro_rules! name {
    ($(#[$doc:meta])* $type:ident, $what:literal, $max:literal, $allowed:expr) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
        #[serde(transparent)]
        pub struct $type(Arc<str>);

        impl $type {
            #[doc = concat!("The longest ", $what, ", in bytes.")]
            pub const MAX_LEN: usize = $max;

            #[doc = concat!("Checks a text that is to be a ", $what, ".")]
            pub fn try_new(text: impl Into<Arc<str>>) -> Result<Self, InvalidName> {
                let text: Arc<str> = text.into();
                if text.is_empty() {
                    return Err(InvalidName::Empty { what: $what });
                }
                if text.len() > $max {
                    return Err(InvalidName::TooLong { what: $what, max: $max, len: text.len() });
                }
                let allowed: fn(char) -> bool = $allowed;
                match text.chars().find(|c| !allowed(*c)) {
                    Some(found) => Err(InvalidName::Character { what: $what, found }),
                    None => Ok(Self(text)),
                }
            }

            /// The text itself.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:?}", &*self.0)
            }
        }

        impl Borrow<str> for $type {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        impl AsRef<str> for $type {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }

        impl std::str::FromStr for $type {
            type Err = InvalidName;
            fn from_str(text: &str) -> Result<Self, InvalidName> {
                Self::try_new(text)
            }
        }

        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                struct Text;
                impl serde::de::Visitor<'_> for Text {
                    type Value = $type;
                    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                        f.write_str(concat!("a ", $what))
                    }
                    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<$type, E> {
                        $type::try_new(text).map_err(E::custom)
                    }
                }
                deserializer.deserialize_str(Text)
            }
        }
    };
}

name!(
    /// One external system in a sync.
    SideName, "side name", 64, plain
);
name!(
    /// A kind of record, as `permit`.
    CollectionName, "collection name", 64, plain
);
name!(
    /// A canonical field of a collection.
    FieldName, "field name", 128, plain
);
name!(
    /// One handler job of a sync: what `on_change` was given for one collection.
    JobName, "job name", 128, plain
);
name!(
    /// A record's id inside hms-sync: `permit/2kq0x6m3v9c1d`, or a stream of the
    /// sync itself: `@sync/…`. Never reused, never shown to a side.
    RecordId, "record id", 256, record
);
name!(
    /// A record's id on a side, in that side's own words.
    NativeId, "native id", 65_536, foreign
);
name!(
    /// What a side calls the version of a record: an `ETag`, a revision, a row version.
    Tag, "version tag", 4_096, foreign
);
name!(
    /// Sent with every attempt of one write so that the side can tell a retry
    /// from a new request (IETF draft-ietf-httpapi-idempotency-key-header).
    IdempotencyKey, "idempotency key", 128, plain
);

/// The stream of the keys that the log signs with.
pub const KEYS_STREAM: &str = "@log/keys";

impl RecordId {
    /// The collection part: what stands before the first slash.
    pub fn collection(&self) -> &str {
        self.0.split('/').next().unwrap_or_default()
    }

    /// Whether this is a stream of the sync itself (cursors, received webhooks)
    /// and no record of a side.
    pub fn is_own_stream(&self) -> bool {
        self.0.starts_with('@')
    }
}
