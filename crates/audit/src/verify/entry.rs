//! One entry: its bytes have its id, its id is a leaf of the tree, and what is shown beside
//! the bytes is what they say.

use crate::error::Problem;
use crate::form::Entry;
use crate::payload::Payload;
use crate::write::SHOWN_BYTES_MAX;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hms_sync_proof::{ManyVerifier, TreeHash};

/// An entry that is in the tree.
#[derive(Debug)]
pub(super) struct Proven {
    pub(super) seq: u64,
    pub(super) record: String,
    pub(super) version: u64,
    pub(super) prev: [u8; 32],
    pub(super) id: [u8; 32],
}

impl Proven {
    /// Checks it.
    pub(super) fn of(entry: &Entry<'_>, tree: &mut ManyVerifier) -> Result<Self, Problem> {
        let payload = STANDARD.decode(entry.payload.as_bytes()).map_err(|_| Problem::Base64)?;
        let id = blake3::hash(&payload);
        if *id.to_hex() != *entry.id {
            return Err(Problem::Id);
        }
        let path = entry.proof.iter().map(|hash| hash.parse::<TreeHash>());
        let path = path.collect::<Result<Vec<_>, _>>().map_err(|_| Problem::NoHash)?;
        // A number of 0 is no place at all.
        let index = entry.seq.wrapping_sub(1);
        tree.verify(index, id.as_bytes(), &path).map_err(Problem::NotInTree)?;
        let read = Payload::read(&payload).map_err(Problem::Payload)?;
        shown(entry, &read, payload.len())?;
        let Payload { seq, record, version, prev, .. } = read;
        Ok(Self { seq, record, version, prev, id: *id.as_bytes() })
    }
}

/// Whether what is shown is what the payload says.
fn shown(entry: &Entry<'_>, read: &Payload, bytes: usize) -> Result<(), Problem> {
    let event = match entry.event {
        Some(event) => event.get() == read.json,
        None => bytes > SHOWN_BYTES_MAX,
    };
    let members = [
        ("seq", entry.seq == read.seq),
        ("record", entry.record == read.record),
        ("version", entry.version == read.version),
        ("at", entry.at == read.at.to_string()),
        ("event", event),
    ];
    let wrong = members.into_iter().find(|(_, same)| !same);
    wrong.map_or(Ok(()), |(member, _)| Err(Problem::Shown { member }))
}
