//! Names and ids, each its own type so that they cannot be mixed up.
//!
//! A name is shared text: cloning one copies a pointer. `try_new` is the only
//! way in for text from outside; what it lets through is safe to print in one
//! line and to put in a key of the change log.

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::borrow::Borrow;
use std::cell::RefCell;
use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::ops::Deref;
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

/// A short text that is compared far more often than made: its first bytes lie beside
/// the pointer, and mostly decide. Ordered, compared and hashed as its text is.
#[derive(Clone, Eq)]
struct Word {
    /// The first eight bytes, big-endian, filled up with zeros: no name has a zero byte.
    head: u64,
    text: Arc<str>,
}

impl Word {
    fn head(text: &str) -> u64 {
        let mut head = [0; 8];
        head.iter_mut().zip(text.bytes()).for_each(|(to, byte)| *to = byte);
        u64::from_be_bytes(head)
    }

    /// Whether the head is all there is.
    fn is_short(&self) -> bool {
        self.head.trailing_zeros() >= 8
    }

    fn same_text(&self, other: &Self) -> bool {
        self.is_short() || Arc::ptr_eq(&self.text, &other.text) || self.text == other.text
    }
}

impl From<Arc<str>> for Word {
    fn from(text: Arc<str>) -> Self {
        Self { head: Self::head(&text), text }
    }
}

/// The longest word that is remembered: every kind of name may be so long.
const MET_LEN_MAX: usize = 64;

thread_local! {
    /// Words met lately. The names in a log are few and come again and again: what is
    /// decoded shares its text with what was decoded before. Each has one place; what
    /// stood there gives way.
    static MET: RefCell<[Option<Word>; 256]> = const { RefCell::new([const { None }; 256]) };
}

/// What a name keeps its text in.
trait Kept: Sized {
    /// The same text, if it was met lately: then it has been checked.
    fn met(_text: &str) -> Option<Self> {
        None
    }

    /// For whoever decodes the same text next.
    fn remember(&self) {}
}

impl Kept for Arc<str> {}

impl Word {
    /// Where a text that begins and is long so would be remembered.
    fn place(head: u64, len: usize) -> usize {
        let mixed = (head ^ (len as u64)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        usize::try_from(mixed >> 56).unwrap_or(0)
    }
}

impl Kept for Word {
    fn met(text: &str) -> Option<Self> {
        let head = Self::head(text);
        MET.with_borrow(|met| {
            let word = met.get(Self::place(head, text.len()))?.as_ref()?;
            (word.head == head && *word.text == *text).then(|| word.clone())
        })
    }

    fn remember(&self) {
        if self.text.len() > MET_LEN_MAX {
            return;
        }
        let place = Self::place(self.head, self.text.len());
        MET.with_borrow_mut(|met| met.get_mut(place).into_iter().for_each(|kept| *kept = Some(self.clone())));
    }
}

impl Deref for Word {
    type Target = str;
    fn deref(&self) -> &str {
        &self.text
    }
}

impl PartialEq for Word {
    fn eq(&self, other: &Self) -> bool {
        self.head == other.head && self.same_text(other)
    }
}

impl PartialOrd for Word {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Word {
    fn cmp(&self, other: &Self) -> Ordering {
        match self.head.cmp(&other.head) {
            Ordering::Equal if self.is_short() || Arc::ptr_eq(&self.text, &other.text) => Ordering::Equal,
            Ordering::Equal => self.text.cmp(&other.text),
            decided => decided,
        }
    }
}

impl Hash for Word {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.text.hash(state);
    }
}

macro_rules! name {
    ($(#[$doc:meta])* $type:ident($inner:ty), $what:literal, $max:literal, $allowed:expr) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $type($inner);

        impl $type {
            #[doc = concat!("The longest ", $what, ", in bytes.")]
            pub const MAX_LEN: usize = $max;

            #[doc = concat!("Checks a text that is to be a ", $what, ".")]
            pub fn try_new(text: impl Into<Arc<str>>) -> Result<Self, InvalidName> {
                let text: Arc<str> = text.into();
                Self::check(&text).map(|()| Self(text.into()))
            }

            /// As [`Self::try_new`], sharing its text with one that was read lately.
            pub(crate) fn read(text: &str) -> Result<Self, InvalidName> {
                if let Some(met) = <$inner>::met(text) {
                    return Ok(Self(met));
                }
                let name = Self::try_new(text)?;
                name.0.remember();
                Ok(name)
            }

            #[doc = concat!("Whether a text can be a ", $what, ".")]
            pub fn check(text: &str) -> Result<(), InvalidName> {
                if text.is_empty() {
                    return Err(InvalidName::Empty { what: $what });
                }
                if text.len() > $max {
                    return Err(InvalidName::TooLong { what: $what, max: $max, len: text.len() });
                }
                let allowed: fn(char) -> bool = $allowed;
                match text.chars().find(|c| !allowed(*c)) {
                    Some(found) => Err(InvalidName::Character { what: $what, found }),
                    None => Ok(()),
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

        impl Serialize for $type {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.0)
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
                        $type::read(text).map_err(E::custom)
                    }
                }
                deserializer.deserialize_str(Text)
            }
        }
    };
}

name!(
    /// One external system in a sync.
    SideName(Word), "side name", 64, plain
);
name!(
    /// A kind of record, as `permit`.
    CollectionName(Word), "collection name", 64, plain
);
name!(
    /// A canonical field of a collection.
    FieldName(Word), "field name", 128, plain
);
name!(
    /// One handler job of a sync: what `on_change` was given for one collection.
    JobName(Word), "job name", 128, plain
);
name!(
    /// A record's id inside hms-sync: `permit/2kq0x6m3v9c1d`, or a stream of the
    /// sync itself: `@sync/…`. Never reused, never shown to a side.
    RecordId(Arc<str>), "record id", 256, record
);
name!(
    /// A record's id on a side, in that side's own words.
    NativeId(Arc<str>), "native id", 65_536, foreign
);
name!(
    /// What a side calls the version of a record: an `ETag`, a revision, a row version.
    Tag(Arc<str>), "version tag", 4_096, foreign
);
name!(
    /// Sent with every attempt of one write so that the side can tell a retry
    /// from a new request (IETF draft-ietf-httpapi-idempotency-key-header).
    IdempotencyKey(Arc<str>), "idempotency key", 128, plain
);

/// The stream of the keys that the log signs with.
pub const KEYS_STREAM: &str = "@log/keys";

/// The stream of what was archived and dropped from the log.
pub const ARCHIVES_STREAM: &str = "@log/archives";

impl RecordId {
    /// The collection part: what stands before the first slash.
    pub fn collection(&self) -> &str {
        // It is short: looked for byte by byte, the slash is found soonest.
        let end = self.0.bytes().position(|byte| byte == b'/').unwrap_or(self.0.len());
        self.0.get(..end).unwrap_or_default()
    }

    /// Whether this is a stream of the sync itself (cursors, received webhooks)
    /// and no record of a side.
    pub fn is_own_stream(&self) -> bool {
        self.0.starts_with('@')
    }
}

#[cfg(test)]
mod tests {
    use super::{FieldName, Word};
    use proptest::prelude::*;
    use std::hash::{BuildHasher, RandomState};
    use std::sync::Arc;

    proptest! {
        #[test]
        fn a_word_is_ordered_compared_and_hashed_as_its_text(
            a in "[ab\u{e9}]{0,10}",
            b in "[ab\u{e9}]{0,10}",
        ) {
            let (one, two) = (Word::from(Arc::from(a.as_str())), Word::from(Arc::from(b.as_str())));
            prop_assert_eq!(one.cmp(&two), a.cmp(&b));
            prop_assert_eq!(one == two, a == b);
            let state = RandomState::new();
            prop_assert_eq!(state.hash_one(&one), state.hash_one(a.as_str()));
        }
    }

    #[test]
    fn a_name_reads_back_as_its_text() {
        let name = FieldName::try_new("status").unwrap();
        let text = serde_json::to_string(&name).unwrap();
        assert_eq!(text, "\"status\"");
        assert_eq!(serde_json::from_str::<FieldName>(&text).unwrap(), name);
    }
}
