//! Signed notes (C2SP signed-note): a text, an empty line, and signature lines of the
//! form `— name base64`, where the base64 holds the key's four-byte id and the
//! signature. Here the form: reading, writing, and asking known keys.
//!
//! What never happens here: taking a text's meaning from it before a known key's
//! signature over it is verified; that is why a note that was read hands its text out
//! through [`Note::verify`] only.

pub(crate) mod vkey;
pub(crate) mod signer;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use std::fmt;
use std::str::FromStr;
use vkey::{KeyId, KeyName, KnownKeys, VerifierKey};

/// The largest note that is read. signed-note asks for a limit that leaves room for
/// 16 signatures of up to 5 KB; this leaves it thrice over.
pub const NOTE_BYTES_MAX: usize = 256 * 1024;

/// The most signatures of a note (signed-note: at least 16).
pub const SIGNATURES_MAX: usize = 64;

/// What begins a signature line: an em dash (U+2014) and a space.
const DASH: &str = "\u{2014} ";

/// Why a note or a key is not accepted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoteError {
    /// Larger than any note is.
    #[error("the note has {found} bytes, more than the {max} that are read", max = NOTE_BYTES_MAX)]
    TooLarge {
        /// How many it has.
        found: usize,
    },
    /// Not a signed note.
    #[error("not a signed note: {why}")]
    Malformed {
        /// What speaks against it.
        why: &'static str,
    },
    /// A line among the signatures that is none.
    #[error("not a signature line: {why}")]
    MalformedLine {
        /// What speaks against it.
        why: &'static str,
    },
    /// More signatures than any note has.
    #[error("the note has more than the {max} signatures that are read", max = SIGNATURES_MAX)]
    TooManySignatures,
    /// A known key's name and id, and not its signature: forged or damaged.
    #[error("the signature of {name} ({id}) does not fit the text: it is forged, or something was changed")]
    WrongSignature {
        /// The key's name.
        name: KeyName,
        /// Its id.
        id: KeyId,
    },
    /// Nobody known signed it.
    #[error("no known key has signed it")]
    Unsigned,
    /// Not a name for a key.
    #[error(
        "not a name for a key: it has no spaces, no control characters and no plus sign, and is not empty"
    )]
    KeyName,
    /// Not a verifier key.
    #[error("not a verifier key (name+id+key): {why}")]
    VerifierKey {
        /// What speaks against it.
        why: &'static str,
    },
    /// A verifier key of a kind that is not known here.
    #[error("a verifier key of type 0x{found:02x}; known are 0x01 (Ed25519) and 0x04 (cosignature/v1)")]
    UnknownType {
        /// Its type.
        found: u8,
    },
    /// Two keys that a signature line could not tell apart.
    #[error("two different keys are called {name} ({id}); a signature would not say whose it is")]
    Ambiguous {
        /// The name of both.
        name: KeyName,
        /// The id of both.
        id: KeyId,
    },
    /// A time that a cosignature cannot carry.
    #[error("the time of a cosignature is at most 2^63 - 1 seconds, not {found}")]
    Time {
        /// The time asked for.
        found: u64,
    },
}

/// A line among a note's signatures, as it stands there; it proves nothing yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NoteSignature {
    pub(crate) name: KeyName,
    pub(crate) id: KeyId,
    pub(crate) bytes: Vec<u8>,
}

impl NoteSignature {
    /// Whose it says it is.
    pub const fn name(&self) -> &KeyName {
        &self.name
    }

    /// The id of the key it says it is by.
    pub const fn id(&self) -> KeyId {
        self.id
    }

    /// From lines alone, each ended by a newline: what a witness answers
    /// (C2SP tlog-witness).
    pub fn parse_lines(text: &str) -> Result<Vec<Self>, NoteError> {
        let malformed = |why| NoteError::MalformedLine { why };
        if text.len() > NOTE_BYTES_MAX {
            return Err(NoteError::TooLarge { found: text.len() });
        }
        let lines = text.strip_suffix('\n').ok_or(malformed("the last line has no end"))?;
        if lines.split('\n').nth(SIGNATURES_MAX).is_some() {
            return Err(NoteError::TooManySignatures);
        }
        lines.split('\n').map(str::parse).collect()
    }
}

impl FromStr for NoteSignature {
    type Err = NoteError;

    /// From one line, without the newline at its end.
    fn from_str(line: &str) -> Result<Self, NoteError> {
        let malformed = |why| NoteError::MalformedLine { why };
        let rest =
            line.strip_prefix(DASH).ok_or(malformed("it does not begin with an em dash and a space"))?;
        let (name, bytes) = rest.split_once(' ').ok_or(malformed("it has no key name and signature"))?;
        let name = name.parse()?;
        let bytes = STANDARD.decode(bytes).map_err(|_| malformed("the signature is not base64"))?;
        match bytes.split_first_chunk() {
            Some((id, signature)) if !signature.is_empty() => {
                Ok(Self { name, id: KeyId(*id), bytes: signature.to_vec() })
            }
            _ => Err(malformed("the signature is cut off")),
        }
    }
}

impl fmt::Display for NoteSignature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes = [&self.id.0, self.bytes.as_slice()].concat();
        write!(f, "{DASH}{} {}", self.name, STANDARD.encode(bytes))
    }
}

/// A text with signature lines under it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    text: String,
    signatures: Vec<NoteSignature>,
}

/// What a known key says of a note.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verified {
    /// Whose signature it is.
    pub key: VerifierKey,
    /// When it was made, in seconds since 1970, if it is a cosignature. The witness's
    /// clock: it is for the caller to say how old or how far ahead it may be.
    pub time: Option<u64>,
}

impl Note {
    /// A note of this text with this signature.
    pub(crate) fn new(text: String, signature: NoteSignature) -> Self {
        Self { text, signatures: vec![signature] }
    }

    /// Reads a note. It says nothing yet: see [`Self::verify`].
    pub fn parse(bytes: &[u8]) -> Result<Self, NoteError> {
        let malformed = |why| NoteError::Malformed { why };
        if bytes.len() > NOTE_BYTES_MAX {
            return Err(NoteError::TooLarge { found: bytes.len() });
        }
        if bytes.iter().any(|byte| *byte < 0x20 && *byte != b'\n') {
            return Err(malformed("it has control characters"));
        }
        let note = std::str::from_utf8(bytes).map_err(|_| malformed("it is not UTF-8"))?;
        let (body, lines) = note.rsplit_once("\n\n").ok_or(malformed("no empty line before signatures"))?;
        let signatures = NoteSignature::parse_lines(lines)?;
        Ok(Self { text: format!("{body}\n"), signatures })
    }

    /// Asks the known keys. Gives the text, and what each of them says: each key once,
    /// by the first of its lines.
    ///
    /// Lines of other keys are passed over (signed-note). A line with a known key's
    /// name and id that is not that key's signature spoils the note, wherever it stands.
    pub fn verify(&self, keys: &KnownKeys) -> Result<(&str, Vec<Verified>), NoteError> {
        let mut verified: Vec<Verified> = Vec::new();
        for line in &self.signatures {
            let Some(key) = keys.find(&line.name, line.id) else { continue };
            let time = key.check(&self.text, line)?;
            if verified.iter().all(|said| said.key != *key) {
                verified.push(Verified { key: key.clone(), time });
            }
        }
        if verified.is_empty() {
            return Err(NoteError::Unsigned);
        }
        Ok((&self.text, verified))
    }

    /// Puts a signature under the others.
    pub fn add(&mut self, signature: NoteSignature) -> Result<(), NoteError> {
        if self.signatures.len() >= SIGNATURES_MAX {
            return Err(NoteError::TooManySignatures);
        }
        self.signatures.push(signature);
        Ok(())
    }

    /// The lines under the text.
    pub fn signatures(&self) -> &[NoteSignature] {
        &self.signatures
    }
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.text)?;
        self.signatures.iter().try_for_each(|line| writeln!(f, "{line}"))
    }
}
