//! Erasing a record's personal fields: written down first, then the key is destroyed,
//! then nothing of them is left in memory or views. The record itself goes on.
//!
//! Whenever the process ends in between, the next start finishes it: what is written
//! down on the sync's own stream and still has a key has not been destroyed yet.

use crate::error::EngineError;
use crate::happening::What;
use crate::lane::{Busy, Track};
use crate::machine::Machine;
use crate::personal::{mask_words, personal_of};
use crate::state::{Erasure, RecordState, SideState, Write};
use crate::wake::{Effect, Now, Reply, ReplyTo};
use hms_sync_changelog::Log;
use hms_sync_model::{Body, FieldName, InvalidName, RecordId, VecMap};
use hms_sync_vault::{Vault, VaultError};
use std::collections::BTreeSet;

/// Events of the stream read at once.
const PAGE: usize = 1_024;

/// The sync's own list of erasures.
pub(crate) fn erasures() -> Result<RecordId, InvalidName> {
    RecordId::try_new("@sync/erasures")
}

/// Destroys the keys of records whose erasure was written down and not carried out.
pub(crate) fn finish_erasures(log: &Log, vault: &Vault) -> Result<(), EngineError> {
    let (stream, mut from, mut open) = (erasures()?, 1, Vec::new());
    loop {
        let page = log.history(&stream, from, PAGE)?;
        let Some((_, last)) = page.last() else { break };
        from = last.version.saturating_add(1);
        let named = page.into_iter().filter_map(|(_, event)| match event.body {
            Body::Erased { of, .. } => of,
            _ => None,
        });
        open.extend(named.filter(|record| vault.has(record)));
    }
    if !open.is_empty() {
        vault.destroy(&open)?;
        tracing::info!(records = open.len(), "an erasure that was cut off is finished");
    }
    Ok(())
}

impl Machine {
    /// Writes an erasure down. The one who asked is answered once the key is destroyed.
    pub(crate) fn erase(
        &mut self,
        record: &RecordId,
        by: String,
        reason: String,
        reply: ReplyTo,
        now: Now,
    ) -> Result<(), EngineError> {
        let mut entry = self.views.take(record)?;
        if let Some(why) = self.nothing_to_erase(record, &entry.state) {
            self.views.put(record.clone(), entry);
            self.reply(reply, Reply::Refused(why));
            return Ok(());
        }
        let mut fields = self.ever_sealed(record)?;
        fields.extend(personal_of(&self.plan, record).into_iter().flatten().cloned());
        let names: Vec<FieldName> = fields.into_iter().collect();
        let body = |of| Body::Erased { of, by: by.clone(), reason: reason.clone(), fields: names.clone() };
        self.emit(record, &mut entry, body(None), now)?;
        self.emit_stream(&erasures()?, body(Some(record.clone())), now)?;
        self.lanes.forget_words(record);
        self.views.forget_snapshot(record, &mut entry);
        self.finish(record.clone(), entry, now)?;
        self.push(Effect::Destroy { record: record.clone(), reply });
        self.tell(Some(record), What::Erased { fields: names }, now);
        Ok(())
    }

    /// Why there is nothing to erase; nothing if there is.
    fn nothing_to_erase(&self, record: &RecordId, state: &RecordState) -> Option<String> {
        if state.version == 0 || record.is_own_stream() {
            return Some(format!("{record} is no record"));
        }
        if let Some(Erasure { at, reason, .. }) = &state.erased {
            return Some(format!("the personal fields of {record} were erased at {at} already: {reason}"));
        }
        let has_key = self.views.vault().is_some_and(|vault| vault.has(record));
        (!has_key && personal_of(&self.plan, record).is_none()).then(|| {
            format!(
                "no field of {} is personal, so nothing of {record} is sealed; what stands open in a log that only \
                 grows cannot be erased",
                record.collection()
            )
        })
    }

    /// Fields of a record that were personal at any time.
    fn ever_sealed(&self, record: &RecordId) -> Result<BTreeSet<FieldName>, EngineError> {
        let (mut found, mut from) = (BTreeSet::new(), 1);
        loop {
            let page = self.views.log().history(record, from, PAGE)?;
            let Some((_, last)) = page.last() else { return Ok(found) };
            from = last.version.saturating_add(1);
            for (_, mut event) in page {
                found.append(&mut crate::carry::fields_of(&mut event));
            }
        }
    }

    /// Destroys a record's key at once: for a machine without a driver.
    pub fn destroy_key(&self, record: &RecordId) -> Result<(), EngineError> {
        self.vault()?.destroy(std::slice::from_ref(record))?;
        Ok(())
    }

    /// The key is destroyed, or may be.
    pub(crate) fn destroyed(
        &mut self,
        result: Result<(), VaultError>,
        reply: ReplyTo,
    ) -> Result<(), EngineError> {
        result?;
        self.reply(reply, Reply::Done);
        Ok(())
    }

    /// Whether a handler was handed the record before its personal fields were erased:
    /// what it asks for may still hold them.
    pub(crate) fn is_stale_call(&self, record: &RecordId, track: &Track) -> bool {
        self.lanes.get(record, track).is_some_and(|lane| lane.stale && lane.busy == Some(Busy::Handling))
    }
}

impl RecordState {
    /// Closes fields: nothing of them stays, and nothing that a side said.
    pub(crate) fn erase(&mut self, erasure: Erasure) {
        for field in &erasure.fields {
            self.merged.forget(field);
            self.conflicts.remove(&Some(field.clone()));
        }
        for (_, part) in self.sides.iter_mut() {
            part.erase(&erasure.fields);
        }
        // They may carry what was erased, and cannot be read any more. What a handler asks
        // for anew goes under the same keys: of what was sent already nothing is done twice.
        self.requests.clear();
        for (_, job) in self.jobs.iter_mut() {
            job.asked.clear();
            if let Some(parked) = &mut job.parked {
                parked.words = mask_words("");
            }
        }
        self.erased = Some(erasure);
    }
}

impl SideState {
    fn erase(&mut self, closed: &BTreeSet<FieldName>) {
        fn keep<V>(map: &mut VecMap<FieldName, V>, closed: &BTreeSet<FieldName>) {
            map.retain(|field, _| !closed.contains(field));
        }
        keep(&mut self.but, closed);
        keep(&mut self.held, closed);
        self.tag = None;
        if let Some(last) = &mut self.last_write {
            keep(&mut last.before, closed);
            keep(&mut last.told, closed);
            last.tag = None;
            for past in &mut last.past {
                keep(&mut past.before, closed);
                past.tag = None;
            }
            // One that tells nothing any more: whoever makes the record anew never knows of it.
            last.past.retain(|past| !past.before.is_empty());
        }
        if let Some(Write { fields, cut, .. }) = &mut self.write {
            let before = fields.len();
            keep(fields, closed);
            *cut |= fields.len() < before;
        }
        if let Some(parked) = &mut self.parked {
            parked.words = mask_words("");
        }
    }
}
