//! What has changed of the views and is not saved yet, over what is: read as one, and handed to
//! the log from time to time.

use super::blocks::saved_block;
use super::{Saved, Views, key};
use crate::error::EngineError;
use crate::quiet::Quiet;
use hms_sync_changelog::View;
use std::sync::Arc;

impl Views {
    pub(super) fn set(&mut self, key: Vec<u8>, value: Option<Vec<u8>>) {
        if key.first() == Some(&b'l') {
            self.near.forget(&key);
        }
        self.fresh.insert(key, value);
    }

    /// What stands at a key, saved or not.
    pub(crate) fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, EngineError> {
        match self.unsaved_value(key) {
            Some(value) => Ok(value.clone()),
            None => Ok(self.log.view(key)?),
        }
    }

    /// What stands at a key that is not saved yet; nothing inside if it was removed.
    pub(super) fn unsaved_value(&self, key: &[u8]) -> Option<&Option<Vec<u8>>> {
        self.fresh.get(key).or_else(|| self.saving.as_ref()?.get(key))
    }

    /// Entries under `prefix` in order of key after `after`, unsaved ones included: `limit`
    /// or a few more, and none only if there are no more.
    pub(super) fn scan(
        &self,
        prefix: &[u8],
        after: Option<&[u8]>,
        limit: usize,
    ) -> Result<Vec<View>, EngineError> {
        let mut after = after.map(<[u8]>::to_vec);
        loop {
            let from =
                after.as_ref().map_or_else(|| prefix.to_vec(), |after| [after.as_slice(), &[0]].concat());
            let saved = self.log.views(prefix, after.as_deref(), limit)?;
            // Past the last saved key of a full page nothing may be taken from memory yet.
            let end = if saved.len() < limit { None } else { saved.last().map(|(key, _)| key.clone()) };
            let mut all: Vec<(&[u8], Option<&[u8]>)> =
                saved.iter().map(|(key, value)| (key.as_slice(), Some(value.as_slice()))).collect();
            for layer in [self.saving.as_deref(), Some(&self.fresh)].into_iter().flatten() {
                let entries = layer.range(from.clone()..).take_while(|(key, _)| {
                    key.starts_with(prefix) && end.as_ref().is_none_or(|end| *key <= end)
                });
                all.extend(entries.map(|(key, value)| (key.as_slice(), value.as_deref())));
            }
            // Of two with one key the later stands: their order is kept.
            all.sort_by_key(|(key, _)| *key);
            let last = all.chunk_by(|(a, _), (b, _)| a == b).filter_map(<[_]>::last);
            let found: Vec<View> =
                last.filter_map(|(key, value)| Some((key.to_vec(), (*value)?.to_vec()))).collect();
            if !found.is_empty() || end.is_none() {
                return Ok(found);
            }
            // All of the page has been removed since it was saved.
            after = end;
        }
    }

    /// Keys that wait to be saved.
    pub fn unsaved(&self) -> usize {
        self.fresh.len() + self.streams.unsaved()
    }

    /// Takes what has changed, to be saved; nothing while a save is under way or
    /// if there is nothing. `last` is the last event that has been folded, and `quiet` knows
    /// what sides show of records since.
    pub(crate) fn begin_save(&mut self, last: u64, quiet: &Quiet) -> Option<Saved> {
        if self.saving.is_some() {
            return None;
        }
        self.streams.save(&mut self.fresh);
        self.todo.save(b't', &mut self.fresh);
        self.parked.save(b'k', &mut self.fresh);
        self.live.save(|record| key(b'c', record.as_str().as_bytes()), &mut self.fresh);
        if self.fresh.is_empty() {
            return None;
        }
        let open = self.block.open().and_then(|(block, summary)| saved_block(block, summary));
        self.fresh.extend(open.map(|(key, value)| (key, Some(value))));
        let mut changes = std::mem::take(&mut self.fresh);
        self.add_notes(&mut changes, quiet, last);
        let changes = Arc::new(changes);
        self.saving = Some(Arc::clone(&changes));
        Some((changes, last))
    }

    /// The save is readable in the log.
    pub fn end_save(&mut self) {
        self.saving = None;
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests may panic")]
    use super::*;
    use crate::plan::Plan;
    use hms_sync_changelog::{Log, MemoryDisk};

    /// Once failed: pages of which nothing is left looked like the end.
    #[test]
    fn a_scan_goes_on_where_whole_pages_have_been_removed() {
        let log = Log::on(MemoryDisk::new()).unwrap();
        let mut views = Views::new(log.clone(), Arc::new(Plan::new("test")));
        views.fresh.extend((0..10_u8).map(|n| (vec![b'l', n], Some(vec![n]))));
        let (changes, _) = views.begin_save(0, &Quiet::default()).unwrap();
        log.save_views(&changes, 0).unwrap();
        views.end_save();
        views.fresh.extend((2..7_u8).map(|n| (vec![b'l', n], None)));
        let (mut found, mut after) = (Vec::new(), None);
        loop {
            let page = views.scan(b"l", after.as_deref(), 2).unwrap();
            let Some((last, _)) = page.last() else { break };
            after = Some(last.clone());
            found.extend(page.into_iter().map(|(key, _)| key[1]));
        }
        assert_eq!(found, [0, 1, 7, 8, 9]);
    }
}
