//! One entry: its bytes have its id, its id is a leaf of the tree, and what is shown beside
//! the bytes is what they say.

use crate::error::Problem;
use crate::form::Entry;
use crate::payload::{self, Head};
use crate::write::SHOWN_BYTES_MAX;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hms_sync_proof::ManyVerifier;
use serde_json::value::RawValue;
use std::io::{self, Write};

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
        if entry.proof.wrong {
            return Err(Problem::NoHash);
        }
        // A number of 0 is no place at all.
        let index = entry.seq.wrapping_sub(1);
        tree.verify(index, id.as_bytes(), &entry.proof.hashes).map_err(Problem::NotInTree)?;
        let mut same = Same::of(entry.event.map(RawValue::get));
        let read = payload::read(&payload, &mut same).map_err(Problem::Payload)?;
        let event = if entry.event.is_some() { same.to_its_end() } else { payload.len() > SHOWN_BYTES_MAX };
        shown(entry, &read, event)?;
        let Head { seq, record, version, prev, .. } = read;
        Ok(Self { seq, record: record.to_owned(), version, prev, id: *id.as_bytes() })
    }
}

/// Compares what is written to it with what is expected, and keeps nothing.
struct Same<'a> {
    /// What is still to come; nothing if all is well whatever comes.
    rest: Option<&'a [u8]>,
    differs: bool,
}

impl<'a> Same<'a> {
    fn of(expected: Option<&'a str>) -> Self {
        Self { rest: expected.map(str::as_bytes), differs: false }
    }

    /// Whether just what was expected has come.
    fn to_its_end(&self) -> bool {
        !self.differs && self.rest.is_none_or(<[u8]>::is_empty)
    }
}

impl Write for Same<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if let Some(rest) = &mut self.rest {
            match rest.strip_prefix(bytes) {
                Some(after) => *rest = after,
                None => self.differs = true,
            }
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Whether what is shown is what the payload says.
fn shown(entry: &Entry<'_>, read: &Head<'_>, event: bool) -> Result<(), Problem> {
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
