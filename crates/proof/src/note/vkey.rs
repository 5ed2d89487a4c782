//! Names and public keys as notes know them (C2SP signed-note): a key's name, its
//! four-byte id, and the verifier key, one line of text by which it is handed on.
//!
//! What never happens here: taking a key from the note that it is to verify. Keys
//! come from elsewhere, and a note only says which of them to ask.

use super::signer::cosigned_text;
use super::{NoteError, NoteSignature};
use crate::key::PublicKey;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest, Sha256};
use std::fmt;
use std::str::FromStr;

/// The name of a key: not empty, no Unicode space, no plus sign, no control character.
/// A URL without a scheme by custom, as `log.example/permits`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyName(String);

impl KeyName {
    /// As text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for KeyName {
    type Err = NoteError;

    fn from_str(text: &str) -> Result<Self, NoteError> {
        let wrong = |c: char| c.is_whitespace() || c == '+' || c < ' ';
        if text.is_empty() || text.contains(wrong) {
            return Err(NoteError::KeyName);
        }
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Display for KeyName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The first four bytes of the hash over name, type and key: a hint at which key to
/// ask, too short to prove anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyId(pub [u8; 4]);

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:08x}", u32::from_be_bytes(self.0))
    }
}

/// What a key's signatures are made over. The numbers are signed-note's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SignatureType {
    /// `0x01`: the text of the note.
    Ed25519,
    /// `0x04`: the text of a checkpoint and the time at which a witness saw it
    /// (C2SP tlog-cosignature).
    CosignatureV1,
}

impl SignatureType {
    /// Its number.
    pub const fn number(self) -> u8 {
        match self {
            Self::Ed25519 => 0x01,
            Self::CosignatureV1 => 0x04,
        }
    }

    const fn of(number: u8) -> Option<Self> {
        match number {
            0x01 => Some(Self::Ed25519),
            0x04 => Some(Self::CosignatureV1),
            _ => None,
        }
    }
}

/// A public key, its name and what it signs: all that is needed to believe it.
/// As text `name+id+key`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifierKey {
    name: KeyName,
    id: KeyId,
    kind: SignatureType,
    public: PublicKey,
}

impl VerifierKey {
    /// Of this name and key.
    pub fn new(name: KeyName, kind: SignatureType, public: PublicKey) -> Self {
        let hash = Sha256::new()
            .chain_update(name.as_str())
            .chain_update([b'\n', kind.number()])
            .chain_update(public.to_bytes())
            .finalize();
        let id = hash.first_chunk().map_or(KeyId([0; 4]), |id| KeyId(*id));
        Self { name, id, kind, public }
    }

    /// The name.
    pub const fn name(&self) -> &KeyName {
        &self.name
    }

    /// The id.
    pub const fn id(&self) -> KeyId {
        self.id
    }

    /// What it signs.
    pub const fn kind(&self) -> SignatureType {
        self.kind
    }

    /// The key itself.
    pub const fn public(&self) -> &PublicKey {
        &self.public
    }

    /// Whether the line is this key's signature over the text; and when it was made,
    /// if it says that.
    pub(crate) fn check(&self, text: &str, line: &NoteSignature) -> Result<Option<u64>, NoteError> {
        let time = match self.kind {
            SignatureType::Ed25519 => self.check_plain(text, &line.bytes).map(|()| None),
            SignatureType::CosignatureV1 => self.check_cosignature(text, &line.bytes).map(Some),
        };
        time.ok_or_else(|| NoteError::WrongSignature { name: self.name.clone(), id: self.id })
    }

    fn check_plain(&self, text: &str, bytes: &[u8]) -> Option<()> {
        let signature = bytes.try_into().ok()?;
        self.public.accepts(text.as_bytes(), signature).then_some(())
    }

    fn check_cosignature(&self, text: &str, bytes: &[u8]) -> Option<u64> {
        let (time, signature) = bytes.split_first_chunk()?;
        let time = u64::from_be_bytes(*time);
        let text = cosigned_text(text, time).ok()?;
        self.public.accepts(text.as_bytes(), signature.try_into().ok()?).then_some(time)
    }
}

impl FromStr for VerifierKey {
    type Err = NoteError;

    fn from_str(text: &str) -> Result<Self, NoteError> {
        let malformed = |why| NoteError::VerifierKey { why };
        let mut parts = text.splitn(3, '+');
        let name: KeyName = parts.next().unwrap_or_default().parse()?;
        let id = parts.next().ok_or(malformed("it has no id"))?;
        let key = parts.next().ok_or(malformed("it has no key"))?;
        // The type and 32 bytes make 44 characters; those of other types may be longer.
        let key = STANDARD.decode(key).map_err(|_| malformed("the key is not base64"))?;
        let (number, key) = key.split_first().ok_or(malformed("the key is empty"))?;
        let kind = SignatureType::of(*number).ok_or(NoteError::UnknownType { found: *number })?;
        let key = key.try_into().map_err(|_| malformed("an Ed25519 key has 32 bytes"))?;
        let public = PublicKey::from_bytes(key).ok_or(malformed("the bytes are not a usable Ed25519 key"))?;
        let known = Self::new(name, kind, public);
        if known.id.to_string() != id {
            return Err(malformed("the id is not that of this name and key"));
        }
        Ok(known)
    }
}

impl fmt::Display for VerifierKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let key = [[self.kind.number()].as_slice(), &self.public.to_bytes()].concat();
        write!(f, "{}+{}+{}", self.name, self.id, STANDARD.encode(key))
    }
}

/// Keys that are believed, no two of which a signature line could confuse.
#[derive(Debug, Clone, Default)]
pub struct KnownKeys(Vec<VerifierKey>);

impl KnownKeys {
    /// Of these keys.
    pub fn new(keys: impl IntoIterator<Item = VerifierKey>) -> Result<Self, NoteError> {
        let mut known = Self::default();
        for key in keys {
            match known.find(key.name(), key.id()) {
                Some(same) if *same == key => {}
                Some(_) => return Err(NoteError::Ambiguous { name: key.name, id: key.id }),
                None => known.0.push(key),
            }
        }
        Ok(known)
    }

    /// The one of that name and id.
    pub(crate) fn find(&self, name: &KeyName, id: KeyId) -> Option<&VerifierKey> {
        self.0.iter().find(|key| key.id == id && key.name == *name)
    }
}
