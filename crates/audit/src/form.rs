//! The lines of an export (`docs/format.md`), each a JSON object of one member that says
//! what the line is.
//!
//! What never happens here: passing over a member that is not known. What nobody checks
//! must not stand beside what is proven.

use hms_sync_proof::TreeHash;
use serde::de::{SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

/// The form's version.
pub const FORMAT: u32 = 1;

/// Letters of kinds of events and what they stand for: a legend for who reads an export.
pub const KINDS: &[(&str, &str)] = &[
    ("E", "edited"),
    ("I", "intended"),
    ("A", "applied"),
    ("F", "failed"),
    ("C", "confirmed"),
    ("D", "doubted"),
    ("P", "parked"),
    ("R", "released"),
    ("U", "unlinked"),
    ("Q", "queued"),
    ("H", "handled"),
    ("h", "handler failed"),
    ("K", "cursor"),
    ("W", "received"),
    ("S", "signing"),
    ("X", "erased"),
    ("V", "carried"),
    ("Z", "archived"),
    ("L", "linked"),
    ("J", "joined"),
    ("N", "follows"),
    ("T", "taken up"),
    ("B", "restored"),
];

/// What was asked for, in words; nobody can prove that nothing of it was left out.
pub type Selection = BTreeMap<String, String>;

/// What of the log an export holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// Every entry up to the checkpoint.
    Whole,
    /// Every entry of one record.
    Record(String),
    /// Every entry from one to another: an archive.
    Range(Range),
    /// Some entries.
    Part(Selection),
}

/// Entries that follow each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Range {
    /// The first.
    pub first: u64,
    /// The last.
    pub last: u64,
}

/// The first line.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Header {
    pub(crate) format: u32,
    /// Which log.
    pub(crate) origin: String,
    /// The keys that it says it signs with. For information: who verifies has them from elsewhere.
    pub(crate) keys: Vec<String>,
    pub(crate) scope: Scope,
    /// The legend. For information.
    #[serde(default)]
    pub(crate) kinds: BTreeMap<String, String>,
}

/// That an older checkpoint is a beginning of the export's.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Consistency {
    /// The older one's size.
    pub(crate) older: u64,
    pub(crate) proof: Vec<String>,
}

/// One event.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Entry<'a> {
    pub(crate) seq: u64,
    #[serde(borrow)]
    pub(crate) record: Cow<'a, str>,
    pub(crate) version: u64,
    #[serde(borrow)]
    pub(crate) at: Cow<'a, str>,
    /// In hexadecimal.
    #[serde(borrow)]
    pub(crate) id: Cow<'a, str>,
    /// The payload for people; left out where it is large.
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    pub(crate) event: Option<&'a RawValue>,
    /// In base64.
    #[serde(borrow)]
    pub(crate) payload: Cow<'a, str>,
    pub(crate) proof: Path,
}

/// More hashes than any way into a tree has.
const HASHES_MAX: usize = 65;

/// The hashes beside an entry's way into the tree, in base64; none past [`HASHES_MAX`] is kept.
#[derive(Debug, Default)]
pub(crate) struct Path {
    pub(crate) hashes: Vec<TreeHash>,
    /// Something among them is no hash.
    pub(crate) wrong: bool,
}

impl Serialize for Path {
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        out.collect_seq(self.hashes.iter().map(ToString::to_string))
    }
}

impl<'de> Deserialize<'de> for Path {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_seq(PathVisitor)
    }
}

struct PathVisitor;

impl<'de> Visitor<'de> for PathVisitor {
    type Value = Path;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of hashes")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Path, A::Error> {
        let mut path = Path::default();
        while let Some(HashText(hash)) = seq.next_element()? {
            match hash {
                Some(hash) if path.hashes.len() < HASHES_MAX => path.hashes.push(hash),
                Some(_) => {}
                None => path.wrong = true,
            }
        }
        Ok(path)
    }
}

/// A text, as the hash that it is, if it is one.
struct HashText(Option<TreeHash>);

impl<'de> Deserialize<'de> for HashText {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Text;
        impl Visitor<'_> for Text {
            type Value = HashText;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a hash in base64")
            }

            fn visit_str<E>(self, text: &str) -> Result<HashText, E> {
                Ok(HashText(text.parse().ok()))
            }
        }
        from.deserialize_str(Text)
    }
}

/// The last line.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct End {
    pub(crate) entries: u64,
}

/// A line.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Line<'a> {
    Export(Header),
    /// A signed note.
    Checkpoint(String),
    Consistency(Consistency),
    #[serde(borrow)]
    Entry(Entry<'a>),
    /// A signed note.
    RecordHead(String),
    End(End),
}

impl Line<'_> {
    /// What it is.
    pub(crate) const fn name(&self) -> &'static str {
        match self {
            Self::Export(_) => "export",
            Self::Checkpoint(_) => "checkpoint",
            Self::Consistency(_) => "consistency",
            Self::Entry(_) => "entry",
            Self::RecordHead(_) => "record_head",
            Self::End(_) => "end",
        }
    }
}
