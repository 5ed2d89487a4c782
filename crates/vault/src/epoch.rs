//! The epoch key: the one secret that lies on the disk as it is, in one of two slots
//! of a file that is never moved, only written over.

use crate::cipher::Secret;
use zeroize::Zeroizing;

/// A block of its own for each slot, so that writing one touches nothing of the other.
pub(crate) const SLOT: usize = 4096;
/// Where in a slot the key stands a second time: one bad sector must not cost all keys.
const COPY: usize = SLOT / 2;
/// The file's length.
pub(crate) const FILE: usize = 2 * SLOT;
const MAGIC: &[u8; 16] = b"hms-sync epoch 1";

/// The key that all record keys are wrapped by.
#[derive(Clone)]
pub(crate) struct Epoch {
    /// Counts up with each erasure.
    pub(crate) number: u64,
    pub(crate) key: Secret,
    /// Which slot it lies in: 0 or 1.
    pub(crate) slot: usize,
}

impl Epoch {
    /// Its slot's content.
    pub(crate) fn to_slot(&self) -> Zeroizing<Vec<u8>> {
        let mut slot = Zeroizing::new(Vec::with_capacity(SLOT));
        for end in [COPY, SLOT] {
            let from = slot.len();
            slot.extend_from_slice(MAGIC);
            slot.extend_from_slice(&self.number.to_be_bytes());
            slot.extend_from_slice(self.key.as_slice());
            let check = blake3::hash(slot.get(from..).unwrap_or_default());
            slot.extend_from_slice(check.as_bytes());
            slot.resize(end, 0);
        }
        slot
    }

    /// Where it lies in the file.
    pub(crate) fn offset(slot: usize) -> u64 {
        if slot == 0 { 0 } else { SLOT as u64 }
    }

    fn from_slot(slot: usize, bytes: &[u8]) -> Option<Self> {
        let second = || Self::from_copy(slot, bytes.get(COPY..)?);
        Self::from_copy(slot, bytes).or_else(second)
    }

    fn from_copy(slot: usize, bytes: &[u8]) -> Option<Self> {
        let (said, rest) = bytes.split_at_checked(56)?;
        if rest.get(..32)? != blake3::hash(said).as_bytes() {
            return None;
        }
        let (number, key) = said.strip_prefix(MAGIC)?.split_first_chunk()?;
        let mut secret = Secret::default();
        secret.copy_from_slice(key.first_chunk::<32>()?);
        Some(Self { number: u64::from_be_bytes(*number), key: secret, slot })
    }
}

/// What a slot holds.
pub(crate) enum Slot {
    /// Nothing: all zeros.
    Empty,
    /// A key.
    Whole(Epoch),
    /// What a write that was cut short, or an overwriting that was, left there.
    Spoilt,
}

/// Both slots of a file.
pub(crate) fn slots(file: &[u8]) -> [Slot; 2] {
    let slot = |n: usize| {
        let from = n.saturating_mul(SLOT).min(file.len());
        let bytes = file.get(from..from.saturating_add(SLOT).min(file.len())).unwrap_or_default();
        match Epoch::from_slot(n, bytes) {
            Some(epoch) => Slot::Whole(epoch),
            None if bytes.len() == SLOT && bytes.iter().all(|byte| *byte == 0) => Slot::Empty,
            None => Slot::Spoilt,
        }
    };
    [slot(0), slot(1)]
}
