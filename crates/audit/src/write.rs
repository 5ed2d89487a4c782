//! Writing an export, line by line, from what the caller reads out of its log.
//!
//! What never happens here: checking. Whoever writes an export proves nothing by that;
//! the verifier takes nothing on trust.

use crate::error::AuditError;
use crate::form::{Consistency, End, Entry, FORMAT, Header, KINDS, Line, Path, Scope};
use crate::payload::Payload;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hms_sync_proof::{Note, TreeHash, VerifierKey};
use serde_json::value::RawValue;
use std::io::Write;

/// Payloads larger than this are not shown once more as JSON.
pub(crate) const SHOWN_BYTES_MAX: usize = 1 << 20;

/// What an export begins with.
#[derive(Debug, Clone)]
pub struct Begin<'a> {
    /// Which log.
    pub origin: &'a str,
    /// The keys it signs with.
    pub keys: &'a [VerifierKey],
    /// What of the log it holds.
    pub scope: Scope,
    /// The checkpoint that all is proven against.
    pub checkpoint: &'a Note,
}

/// An export being written.
#[derive(Debug)]
pub struct Writer<W> {
    out: W,
    entries: u64,
}

impl<W: Write> Writer<W> {
    /// Writes the first lines.
    pub fn begin(out: W, begin: &Begin<'_>) -> Result<Self, AuditError> {
        let mut writer = Self { out, entries: 0 };
        writer.line(&Line::Export(Header {
            format: FORMAT,
            origin: begin.origin.to_owned(),
            keys: begin.keys.iter().map(ToString::to_string).collect(),
            scope: begin.scope.clone(),
            kinds: KINDS.iter().map(|(letter, word)| ((*letter).into(), (*word).into())).collect(),
        }))?;
        writer.line(&Line::Checkpoint(begin.checkpoint.to_string()))?;
        Ok(writer)
    }

    /// Writes that the checkpoint of `older` entries is a beginning of the export's. Before
    /// all entries.
    pub fn consistency(&mut self, older: u64, proof: &[TreeHash]) -> Result<(), AuditError> {
        let proof = proof.iter().map(ToString::to_string).collect();
        self.line(&Line::Consistency(Consistency { older, proof }))
    }

    /// Writes one entry: its bytes, and the hashes that prove it after those before
    /// ([`hms_sync_proof::ManyProver`]). In ascending order.
    pub fn entry(&mut self, payload: &[u8], proof: &[TreeHash]) -> Result<(), AuditError> {
        let id = blake3::hash(payload).to_hex();
        let read = Payload::read(payload).map_err(|why| AuditError::NoEvent { why })?;
        let event = (payload.len() <= SHOWN_BYTES_MAX).then(|| RawValue::from_string(read.json));
        let event = event.transpose().map_err(|why| AuditError::Encode { source: why })?;
        self.line(&Line::Entry(Entry {
            seq: read.seq,
            record: read.record.into(),
            version: read.version,
            at: read.at.to_string().into(),
            id: id.as_str().into(),
            event: event.as_deref(),
            payload: STANDARD.encode(payload).into(),
            proof: Path { hashes: proof.to_vec(), wrong: false },
        }))?;
        self.entries += 1;
        Ok(())
    }

    /// Writes what the log says of the record whose entries came. After all entries.
    pub fn record_head(&mut self, note: &Note) -> Result<(), AuditError> {
        self.line(&Line::RecordHead(note.to_string()))
    }

    /// Writes the last line. Answers how many entries there are.
    pub fn end(mut self) -> Result<u64, AuditError> {
        let entries = self.entries;
        self.line(&Line::End(End { entries }))?;
        self.out.flush().map_err(|source| AuditError::Write { source })?;
        Ok(entries)
    }

    fn line(&mut self, line: &Line<'_>) -> Result<(), AuditError> {
        serde_json::to_writer(&mut self.out, line).map_err(|why| AuditError::Encode { source: why })?;
        self.out.write_all(b"\n").map_err(|source| AuditError::Write { source })
    }
}
