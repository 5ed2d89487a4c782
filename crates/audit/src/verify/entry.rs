//! One entry: its bytes have its id, its id is a leaf of the tree, and what is shown beside
//! the bytes is what they say.
//!
//! All but the tree can be looked at out of order ([`Looked`]), on any thread; what is
//! wrong first stays what is named.

use crate::error::Problem;
use crate::form::Entry;
use crate::payload::{self, Head};
use crate::write::SHOWN_BYTES_MAX;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hms_sync_proof::{ManyVerifier, TreeHash};
use serde_json::value::RawValue;
use std::io::{self, Write};

/// The hash of a record's id.
pub(super) fn record_hash(record: &str) -> [u8; 32] {
    *blake3::hash(record.as_bytes()).as_bytes()
}

/// An entry that is in the tree.
#[derive(Debug)]
pub(super) struct Proven {
    pub(super) seq: u64,
    /// Its record, as [`record_hash`] has it.
    pub(super) record: [u8; 32],
    pub(super) version: u64,
    pub(super) prev: [u8; 32],
    pub(super) id: [u8; 32],
}

/// An entry as far as it can be checked by itself.
#[derive(Debug)]
pub(super) struct Looked {
    pub(super) seq: u64,
    hashed: Result<Hashed, Problem>,
}

/// One whose bytes have its id.
#[derive(Debug)]
struct Hashed {
    id: [u8; 32],
    path: Vec<TreeHash>,
    said: Result<Said, Problem>,
}

/// What its bytes say, and what is shown says too.
#[derive(Debug)]
struct Said {
    record: [u8; 32],
    version: u64,
    prev: [u8; 32],
}

impl Looked {
    /// Looks at it. `payload` is room for its bytes.
    pub(super) fn at(entry: Entry<'_>, payload: &mut Vec<u8>) -> Self {
        Self { seq: entry.seq, hashed: Hashed::of(entry, payload) }
    }

    /// Checks its place in the tree.
    pub(super) fn prove(self, tree: &mut ManyVerifier) -> Result<Proven, Problem> {
        let Hashed { id, path, said } = self.hashed?;
        // A number of 0 is no place at all.
        let index = self.seq.wrapping_sub(1);
        tree.verify(index, &id, &path).map_err(Problem::NotInTree)?;
        let Said { record, version, prev } = said?;
        Ok(Proven { seq: self.seq, record, version, prev, id })
    }
}

impl Hashed {
    fn of(mut entry: Entry<'_>, payload: &mut Vec<u8>) -> Result<Self, Problem> {
        payload.clear();
        STANDARD.decode_vec(entry.payload.as_bytes(), payload).map_err(|_| Problem::Base64)?;
        let id = blake3::hash(payload);
        if *id.to_hex() != *entry.id {
            return Err(Problem::Id);
        }
        if entry.proof.wrong {
            return Err(Problem::NoHash);
        }
        let path = std::mem::take(&mut entry.proof.hashes);
        Ok(Self { id: *id.as_bytes(), path, said: Said::of(&entry, payload) })
    }
}

impl Said {
    fn of(entry: &Entry<'_>, payload: &[u8]) -> Result<Self, Problem> {
        let mut same = Same::of(entry.event.map(RawValue::get));
        let read = payload::read(payload, &mut same).map_err(Problem::Payload)?;
        let event = if entry.event.is_some() { same.to_its_end() } else { payload.len() > SHOWN_BYTES_MAX };
        shown(entry, &read, event)?;
        Ok(Self { record: record_hash(read.record), version: read.version, prev: read.prev })
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
        self.write_all(bytes)?;
        Ok(bytes.len())
    }

    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        if let Some(rest) = &mut self.rest {
            match rest.strip_prefix(bytes) {
                Some(after) => *rest = after,
                None => self.differs = true,
            }
        }
        Ok(())
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
