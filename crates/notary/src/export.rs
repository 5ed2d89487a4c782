//! Exports from the log: what was asked for, proven against a checkpoint signed just now.
//!
//! What never happens here: holding more than a chunk of events in memory.

use crate::error::NotaryError;
use crate::notary::{Notary, Signed};
use hms_sync_audit::{AuditError, Begin, Range, Scope, Writer};
use hms_sync_changelog::{Log, LogError, Prover};
use hms_sync_model::{Event, EventId, RecordId};
use hms_sync_proof::{ManyProver, Note, RecordHead, TreeHead};
use std::io::Write;

/// The most checkpoints on record that an export shows itself to continue; of more, the
/// newest and some between the older ones.
const OLDER_MAX: usize = 256;
/// Events of a record read at once.
const PAGE: usize = 256;

/// What is asked for.
pub struct Ask<'a> {
    /// What of the log.
    pub scope: Scope,
    /// Of a part: which events.
    pub fits: &'a dyn Fn(&Event) -> bool,
    /// Sizes of older checkpoints that it is to show itself to continue.
    pub older: &'a [u64],
}

impl std::fmt::Debug for Ask<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Ask").field("scope", &self.scope).field("older", &self.older).finish_non_exhaustive()
    }
}

/// Why there is no export.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// Nothing can be signed.
    #[error(transparent)]
    Notary(#[from] NotaryError),
    /// It cannot be written.
    #[error(transparent)]
    Write(#[from] AuditError),
    /// The log cannot be read.
    #[error(transparent)]
    Log(#[from] LogError),
    /// There is no such record.
    #[error("the log has no event of {record}")]
    NoRecord {
        /// Its id.
        record: String,
    },
    /// A size that the log does not have.
    #[error("the log has {now} events; there can be no proof for a checkpoint of {older}")]
    Older {
        /// Events in the checkpoint asked for.
        older: u64,
        /// Events now.
        now: u64,
    },
}

impl Notary {
    /// Writes an export. Answers how many entries it has. Blocks.
    pub fn export(&self, log: &Log, ask: &Ask<'_>, out: impl Write) -> Result<u64, ExportError> {
        let Signed { head, note } = self.sign(log)?;
        let record = match &ask.scope {
            Scope::Record(record) => {
                let none = || ExportError::NoRecord { record: record.clone() };
                let id = RecordId::try_new(record.as_str()).map_err(|_| none())?;
                Some((id.clone(), last_within(log, &id, head.size)?.ok_or_else(none)?))
            }
            Scope::Whole | Scope::Range(_) | Scope::Part(_) => None,
        };
        let prover = log.prover();
        let mut writer = self.begin(ask, &note, out)?;
        for older in self.older(ask, &head)? {
            writer.consistency(older, &prover.consistency(older, head.size)?.path)?;
        }
        let mut many = Entries { writer: &mut writer, prover: &prover, many: ManyProver::new(head.size) };
        match &record {
            Some((record, _)) => many.of_record(log, record, head.size)?,
            None => many.in_order(log, ask, head.size)?,
        }
        if let Some((record, (version, event))) = record {
            let said = self.head_of(&record, version, event, head)?;
            writer.record_head(&self.sign_record(&said)?)?;
        }
        Ok(writer.end()?)
    }

    fn begin<W: Write>(&self, ask: &Ask<'_>, note: &Note, out: W) -> Result<Writer<W>, ExportError> {
        let keys = self.keys();
        let origin = keys.first().ok_or(NotaryError::NoKey)?.name().as_str();
        let begin = Begin { origin, keys: &keys, scope: ask.scope.clone(), checkpoint: note };
        Ok(Writer::begin(out, &begin)?)
    }

    fn head_of(
        &self,
        record: &RecordId,
        version: u64,
        event: EventId,
        tree: TreeHead,
    ) -> Result<RecordHead, NotaryError> {
        let keys = self.keys();
        let origin = keys.first().ok_or(NotaryError::NoKey)?.name().to_string();
        Ok(RecordHead { origin, record: record.to_string(), version, event: event.0, tree })
    }

    /// The sizes that the export shows itself to continue, smaller first.
    fn older(&self, ask: &Ask<'_>, head: &TreeHead) -> Result<Vec<u64>, ExportError> {
        if let Some(older) = ask.older.iter().find(|older| **older > head.size) {
            return Err(ExportError::Older { older: *older, now: head.size });
        }
        let recorded = self.checkpoints()?;
        let mut sizes: Vec<u64> =
            recorded.iter().map(|head| head.size).filter(|size| *size < head.size).collect();
        let (step, newest) = (1 + sizes.len() / (OLDER_MAX / 2), sizes.len().saturating_sub(OLDER_MAX / 2));
        let kept = sizes.drain(..).enumerate().filter(|(n, _)| *n >= newest || n % step == 0);
        let mut sizes: Vec<u64> = kept.map(|(_, size)| size).chain(ask.older.iter().copied()).collect();
        sizes.sort_unstable();
        sizes.dedup();
        Ok(sizes)
    }
}

/// Entries being written.
struct Entries<'e, W> {
    writer: &'e mut Writer<W>,
    prover: &'e Prover<'e>,
    many: ManyProver,
}

impl<W: Write> Entries<'_, W> {
    fn put(&mut self, event: &Event, payload: &[u8]) -> Result<(), ExportError> {
        let proof = self.prover.next_of(&mut self.many, event.seq)?;
        Ok(self.writer.entry(payload, &proof)?)
    }

    fn in_order(&mut self, log: &Log, ask: &Ask<'_>, size: u64) -> Result<(), ExportError> {
        let (first, last) = match ask.scope {
            Scope::Range(Range { first, last }) => (first, last.min(size)),
            Scope::Whole | Scope::Record(_) | Scope::Part(_) => (1, size),
        };
        let all = !matches!(ask.scope, Scope::Part(_));
        log.walk(first, last, |event, payload| {
            if all || (ask.fits)(event) {
                self.put(event, payload)?;
            }
            Ok(true)
        })
    }

    fn of_record(&mut self, log: &Log, record: &RecordId, size: u64) -> Result<(), ExportError> {
        let mut next = 1;
        loop {
            let page = log.history(record, next, PAGE)?;
            let Some((_, last)) = page.last() else { return Ok(()) };
            next = last.version.saturating_add(1);
            for (_, event) in &page {
                if event.seq > size {
                    return Ok(());
                }
                log.walk(event.seq, event.seq, |event, payload| self.put(event, payload).map(|()| false))?;
            }
        }
    }
}

/// Version and id of a record's last event up to `size`.
fn last_within(log: &Log, record: &RecordId, size: u64) -> Result<Option<(u64, EventId)>, LogError> {
    let Some((mut version, _)) = log.last(record)? else { return Ok(None) };
    while version > 0 {
        match log.history(record, version, 1)?.pop() {
            Some((id, event)) if event.seq <= size => return Ok(Some((version, id))),
            _ => version -= 1,
        }
    }
    Ok(None)
}
