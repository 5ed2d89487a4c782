//! Saved views: a cache beside the events. What the keys and values mean is
//! their owner's business.
//!
//! Saves are not synced. The marker of how far they go is written after all of
//! a save, so that a save cut short leaves views that are newer than the marker
//! and never older. Nothing is ever acknowledged because of a view.

use crate::error::LogError;
use crate::keys;
use crate::log::{Log, read_number};
use crate::pack::{PART_BYTES, VALUE_BYTES_MAX};
use crate::storage::{Batch, Order, Span, Storage, Value};
use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::atomic::Ordering;

/// The key and the value of a saved view.
pub type View = (Vec<u8>, Vec<u8>);

/// Views to be saved: each key with its new value, or nothing to remove it.
pub type Changes = BTreeMap<Vec<u8>, Option<Vec<u8>>>;

/// The longest key of a view, in bytes.
pub const VIEW_KEY_BYTES_MAX: usize = 400;
/// The largest view, in bytes: 16 MiB.
pub const VIEW_BYTES_MAX: usize = 16 << 20;
/// The marker while views are being removed: past every event.
const DROPPING: u64 = u64::MAX;
/// The most keys in one batch.
const BATCH_KEYS_MAX: usize = 64;
/// First byte of a view's value: the view follows.
const WHOLE: u8 = 0;
/// First byte of a view's value: number of parts and hash of the view follow.
const SPLIT: u8 = 1;

impl Log {
    /// The event up to which all saved views go; 0 if there are none. Events
    /// after it are to be replayed into the views when a process starts.
    pub fn views_upto(&self) -> u64 {
        self.inner.views_upto.load(Ordering::Acquire)
    }

    /// Saves views, and then that they go up to event `upto`. Not synced.
    ///
    /// # Errors
    /// [`LogError::TooLarge`] and [`LogError::ViewsAhead`] before anything is
    /// written; an error of the storage stops all writing.
    pub fn save_views(&self, changes: &Changes, upto: u64) -> Result<(), LogError> {
        self.save_some(changes, None, usize::MAX, upto).map(drop)
    }

    /// Saves up to `limit` of the views after key `after`. Answers the last key
    /// that was saved; nothing once all are, and `upto` is noted.
    pub(crate) fn save_some<'a>(
        &self,
        changes: &'a Changes,
        after: Option<&[u8]>,
        limit: usize,
        upto: u64,
    ) -> Result<Option<&'a [u8]>, LogError> {
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        let slice = || changes.range::<[u8], _>((from, Bound::Unbounded)).take(limit);
        for (key, value) in slice() {
            check_size("view key", key.len(), VIEW_KEY_BYTES_MAX)?;
            check_size("view", value.as_ref().map_or(0, Vec::len), VIEW_BYTES_MAX)?;
        }
        let _writing = self.inner.write()?;
        let head = self.head();
        if upto > head {
            return Err(LogError::ViewsAhead { upto, head });
        }
        let poison = |why: &LogError| self.inner.poison(&why.in_one_line());
        let (last, count) = self.write_views(slice()).inspect_err(poison)?;
        if count == limit && last.is_some() {
            return Ok(last);
        }
        let marker = vec![(keys::VIEWS_UPTO.to_vec(), Some(upto.to_be_bytes().to_vec()))];
        self.inner.store.apply(marker).inspect_err(poison)?;
        self.inner.views_upto.store(upto, Ordering::Release);
        Ok(None)
    }

    /// Answers the last key, and how many there were.
    fn write_views<'a>(
        &self,
        changes: impl Iterator<Item = (&'a Vec<u8>, &'a Option<Vec<u8>>)>,
    ) -> Result<(Option<&'a [u8]>, usize), LogError> {
        let store = self.inner.store.as_ref();
        let (mut last, mut count) = (None, 0);
        let mut batch = Batch::with_capacity(BATCH_KEYS_MAX);
        for (key, value) in changes {
            (last, count) = (Some(key.as_slice()), count + 1);
            let value = value.as_deref();
            if self.needs_parts(key, value)? {
                store.apply(std::mem::take(&mut batch))?;
                store.apply(split(store, key, value)?)?;
                continue;
            }
            batch.push((keys::view(key), value.map(whole)));
            if batch.len() == BATCH_KEYS_MAX {
                store.apply(std::mem::take(&mut batch))?;
            }
        }
        store.apply(batch)?;
        Ok((last, count))
    }

    /// Whether a view is kept in parts, or was.
    fn needs_parts(&self, key: &[u8], value: Option<&[u8]>) -> Result<bool, LogError> {
        if value.is_some_and(|value| value.len() >= VALUE_BYTES_MAX) {
            self.inner.split_views.store(true, Ordering::Release);
            return Ok(true);
        }
        // Most logs have no view that large; then nothing needs to be looked up.
        if !self.inner.split_views.load(Ordering::Acquire) {
            return Ok(false);
        }
        let old = self.inner.store.get(&keys::view(key))?;
        Ok(old.is_some_and(|old| old.first() == Some(&SPLIT)))
    }

    /// The saved view at `key`. One look-up in the storage.
    ///
    /// # Errors
    /// [`LogError::DamagedView`] if it is not what was saved.
    pub fn view(&self, key: &[u8]) -> Result<Option<Vec<u8>>, LogError> {
        match self.inner.store.get(&keys::view(key))? {
            Some(value) => self.open_view(key, &value),
            None => Ok(None),
        }
    }

    /// Up to `limit` saved views whose keys begin with `prefix`, in order of
    /// key, from the first after `after` on.
    ///
    /// # Errors
    /// As [`Log::view`].
    pub fn views(&self, prefix: &[u8], after: Option<&[u8]>, limit: usize) -> Result<Vec<View>, LogError> {
        let mut span = Span::prefix(&keys::view(prefix));
        if let Some(after) = after {
            span = span.after(&keys::view(after));
        }
        let mut found = Vec::new();
        for entry in self.inner.store.scan(span, Order::Ascending) {
            if found.len() >= limit {
                break;
            }
            let (key, value) = entry?;
            let key = key.get(1..).unwrap_or_default().to_vec();
            if let Some(view) = self.open_view(&key, &value)? {
                found.push((key, view));
            }
        }
        Ok(found)
    }

    /// Removes all saved views, to be made anew from the events. The marker says so
    /// first: if this is cut short, the next start ends it.
    pub fn drop_views(&self) -> Result<(), LogError> {
        let _writing = self.inner.write()?;
        self.inner.views_upto.store(0, Ordering::Release);
        self.remove_views().inspect_err(|why| self.inner.poison(&why.in_one_line()))
    }

    fn remove_views(&self) -> Result<(), LogError> {
        let store = self.inner.store.as_ref();
        store.apply(vec![(keys::VIEWS_UPTO.to_vec(), Some(DROPPING.to_be_bytes().to_vec()))])?;
        for letter in [keys::VIEW, keys::VIEW_PART] {
            loop {
                let entries = store.scan(Span::prefix(&[letter]), Order::Ascending).take(BATCH_KEYS_MAX);
                let batch = entries
                    .map(|entry| Ok((entry?.0.to_vec(), None)))
                    .collect::<Result<Batch, LogError>>()?;
                if batch.is_empty() {
                    break;
                }
                store.apply(batch)?;
            }
        }
        store.apply(vec![(keys::VIEWS_UPTO.to_vec(), None)])?;
        self.inner.split_views.store(false, Ordering::Release);
        Ok(())
    }

    /// On opening: views that go past the last event, or were being removed, are
    /// dropped. Those of a first save that was cut short may stay: they are newer
    /// than the marker would be, and never older.
    pub(crate) fn settle_views(&self) -> Result<(), LogError> {
        let store = self.inner.store.as_ref();
        let any = |letter| {
            store.scan(Span::prefix(&[letter]), Order::Ascending).next().transpose().map(|e| e.is_some())
        };
        self.inner.split_views.store(any(keys::VIEW_PART)?, Ordering::Release);
        let upto = read_number(store, keys::VIEWS_UPTO)?;
        if upto.is_some_and(|upto| upto > self.head()) {
            tracing::info!("saved views are dropped and made anew from the events");
            self.drop_views()?;
        }
        Ok(())
    }

    fn open_view(&self, key: &[u8], value: &[u8]) -> Result<Option<Vec<u8>>, LogError> {
        if let Some((&WHOLE, view)) = value.split_first() {
            return Ok(Some(view.to_vec()));
        }
        let store = self.inner.store.as_ref();
        if let Some(view) = assemble(store, key, value)? {
            return Ok(Some(view));
        }
        // It may have been saved anew between two of its parts; nobody writes now.
        let _writing = self.inner.write()?;
        let Some(value) = store.get(&keys::view(key))? else { return Ok(None) };
        match value.split_first() {
            Some((&WHOLE, view)) => Ok(Some(view.to_vec())),
            _ => assemble(store, key, &value)?
                .map(Some)
                .ok_or_else(|| LogError::DamagedView { key: key.escape_ascii().to_string() }),
        }
    }
}

fn check_size(what: &'static str, bytes: usize, max: usize) -> Result<(), LogError> {
    if bytes > max { Err(LogError::TooLarge { what, bytes, max }) } else { Ok(()) }
}

fn whole(view: &[u8]) -> Vec<u8> {
    let mut value = Vec::with_capacity(view.len() + 1);
    value.push(WHOLE);
    value.extend_from_slice(view);
    value
}

/// How many parts the value stands for, and the hash of them together.
fn read_split(value: &[u8]) -> Option<(u32, [u8; 32])> {
    let (&SPLIT, rest) = value.split_first()? else { return None };
    let (parts, hash) = rest.split_first_chunk::<4>()?;
    Some((u32::from_be_bytes(*parts), hash.try_into().ok()?))
}

/// A view from its parts; nothing if they do not make what the value says.
fn assemble(store: &dyn Storage, key: &[u8], value: &[u8]) -> Result<Option<Vec<u8>>, LogError> {
    let Some((parts, hash)) = read_split(value) else { return Ok(None) };
    let mut view = Vec::new();
    for part in 0..parts {
        let Some(bytes) = store.get(&keys::view_part(key, part))? else { return Ok(None) };
        view.extend_from_slice(&bytes);
    }
    Ok((*blake3::hash(&view).as_bytes() == hash).then_some(view))
}

/// One batch that replaces a view which is kept in parts, or was.
fn split(store: &dyn Storage, key: &[u8], view: Option<&[u8]>) -> Result<Batch, LogError> {
    let old: Option<Value> = store.get(&keys::view(key))?;
    let old_parts = old.and_then(|old| read_split(&old)).map_or(0, |(parts, _)| parts);
    let (mut batch, mut parts) = (Batch::new(), 0u32);
    match view {
        Some(view) if view.len() >= VALUE_BYTES_MAX => {
            for bytes in view.chunks(PART_BYTES) {
                batch.push((keys::view_part(key, parts), Some(bytes.to_vec())));
                parts += 1;
            }
            let value = [&[SPLIT], parts.to_be_bytes().as_slice(), blake3::hash(view).as_bytes()].concat();
            batch.push((keys::view(key), Some(value)));
        }
        small => batch.push((keys::view(key), small.map(whole))),
    }
    batch.extend((parts..old_parts).map(|part| (keys::view_part(key, part), None)));
    Ok(batch)
}
