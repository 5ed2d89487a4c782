//! Saved views: a cache beside the events. What the keys and values mean is
//! their owner's business.
//!
//! Saves are not synced. How far they go is noted together with them, so that of a
//! save cut short nothing is seen. Nothing is ever acknowledged because of a view.

use crate::error::LogError;
use crate::keys;
use crate::log::Log;
use crate::storage::Span;
use crate::table::Building;
use std::collections::BTreeMap;
use std::ops::Bound;

/// The key and the value of a saved view.
pub type View = (Vec<u8>, Vec<u8>);

/// Views to be saved: each key with its new value, or nothing to remove it.
pub type Changes = BTreeMap<Vec<u8>, Option<Vec<u8>>>;

/// The longest key of a view, in bytes.
pub const VIEW_KEY_BYTES_MAX: usize = 400;
/// The largest view, in bytes: 16 MiB.
pub const VIEW_BYTES_MAX: usize = 16 << 20;

impl Log {
    /// The event up to which all saved views go; 0 if there are none. Events
    /// after it are to be replayed into the views when a process starts.
    pub fn views_upto(&self) -> u64 {
        self.inner.views.upto()
    }

    /// Saves views, and that they go up to event `upto`. Not synced.
    ///
    /// # Errors
    /// [`LogError::TooLarge`] and [`LogError::ViewsAhead`] before anything is
    /// written; an error of the storage stops all writing.
    pub fn save_views(&self, changes: &Changes, upto: u64) -> Result<(), LogError> {
        self.save_some(changes, &mut None, usize::MAX, upto)?;
        while self.tend(usize::MAX)? {}
        Ok(())
    }

    /// Saves some of the views: up to `blocks` blocks more of the run in `building`, which
    /// is begun if there is none. Answers whether that was all; they can be seen then.
    pub(crate) fn save_some(
        &self,
        changes: &Changes,
        building: &mut Option<Building>,
        blocks: usize,
        upto: u64,
    ) -> Result<bool, LogError> {
        if building.is_none() {
            for (key, value) in changes {
                check_size("view key", key.len(), VIEW_KEY_BYTES_MAX)?;
                check_size("view", value.as_ref().map_or(0, Vec::len), VIEW_BYTES_MAX)?;
            }
        }
        let _writing = self.inner.write()?;
        let head = self.head();
        if upto > head {
            return Err(LogError::ViewsAhead { upto, head });
        }
        let (store, table) = (self.inner.store.as_ref(), &self.inner.views);
        let poison = |why: &LogError| self.inner.poison(&why.in_one_line());
        let mut run = match building.take() {
            Some(run) => run,
            None => table.begin(changes.len()),
        };
        let from = run.after().map_or(Bound::Unbounded, |after| Bound::Excluded(after.to_vec()));
        let rest = changes.range::<Vec<u8>, _>((from, Bound::Unbounded));
        let rest = rest.map(|(key, value)| Ok((key, value.as_ref())));
        if table.write(store, &mut run, rest, blocks).inspect_err(poison)? {
            table.end(store, run, upto).inspect_err(poison)?;
            return Ok(true);
        }
        *building = Some(run);
        Ok(false)
    }

    /// The saved view at `key`.
    ///
    /// # Errors
    /// [`LogError::DamagedTable`] if it is not what was saved.
    pub fn view(&self, key: &[u8]) -> Result<Option<Vec<u8>>, LogError> {
        self.inner.views.get(self.inner.store.as_ref(), key)
    }

    /// Up to `limit` saved views whose keys begin with `prefix`, in order of
    /// key, from the first after `after` on.
    ///
    /// # Errors
    /// As [`Log::view`].
    pub fn views(&self, prefix: &[u8], after: Option<&[u8]>, limit: usize) -> Result<Vec<View>, LogError> {
        let span = Span::prefix(prefix);
        let after = after.map_or_else(Vec::new, keys::just_after);
        let (from, to) = (span.from.max(after), (!prefix.is_empty()).then_some(span.to));
        let mut found = Vec::new();
        if limit == 0 {
            return Ok(found);
        }
        self.inner.views.each(self.inner.store.as_ref(), &from, to.as_deref(), None, |key, view| {
            found.push((key.to_vec(), view));
            Ok(found.len() < limit)
        })?;
        Ok(found)
    }

    /// Removes all saved views, to be made anew from the events.
    pub fn drop_views(&self) -> Result<(), LogError> {
        let _writing = self.inner.write()?;
        let cleared = self.inner.views.clear(self.inner.store.as_ref());
        cleared.inspect_err(|why| self.inner.poison(&why.in_one_line()))
    }

    /// On opening: views that go past the last event are dropped.
    pub(crate) fn settle_views(&self) -> Result<(), LogError> {
        if self.views_upto() > self.head() {
            tracing::info!("saved views are dropped and made anew from the events");
            self.drop_views()?;
        }
        Ok(())
    }
}

/// The table of views, of runs that are merged when there are `fan_out`.
pub(crate) fn shape(fan_out: usize, block_bytes: usize) -> crate::table::Shape {
    crate::table::Shape { letter: keys::VIEW, name: "views", known_by: |key| key, fan_out, block_bytes }
}

fn check_size(what: &'static str, bytes: usize, max: usize) -> Result<(), LogError> {
    if bytes > max { Err(LogError::TooLarge { what, bytes, max }) } else { Ok(()) }
}
