//! A table: an ordered map of bytes in sorted runs, each written once and never
//! changed (a log-structured merge tree; O'Neil and others, 1996). What is saved
//! together becomes a run; when there are several of a size, they are merged to a
//! larger one. Nothing here knows what keys and values mean.
//!
//! Why not a key in the store for each of ours: sled rewrites a leaf for every few
//! keys that come to it, and ours lie far apart (decision 0007).
//!
//! A run counts from the moment the table's list names it. The list is one value and
//! says up to which event the table goes, so both change at once, or neither; what a
//! run cut short leaves behind is removed. All writing goes through the log's one
//! writer, a few blocks at a time; readers hold the list while they read some thousand
//! entries, and no run goes before that; for the next they take the list anew.

mod block;
mod merged;

use self::block::{Block, read_entry};
use self::merged::{Cursor, Merged};
use crate::error::LogError;
use crate::filter::{Filter, KeyHash};
use crate::keys;
use crate::pack::{self, PART_BYTES};
use crate::storage::{Batch, Order, Span, Storage};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard};

/// The largest entry inside a block; larger ones are kept in parts.
const ENTRY_BYTES_MAX: usize = 3_500;
/// The most blocks handed to the store at once.
const BATCH_BLOCKS: usize = 24;
/// The most parts handed to it at once.
const BATCH_PARTS: usize = 8;
/// The most keys removed at once.
const BATCH_REMOVED: usize = 16;
/// Removals that a merge may drop in the time of a block.
const DROPPED_PER_BLOCK: usize = 32;
/// Entries shown before the list is let go for a moment, so that no writer waits for a whole scan.
const SLICE_ENTRIES: usize = 4_096;
/// Begins what stands for one entry kept in parts.
const PARTS: [u8; 4] = [0xf5, b'h', b'm', b'P'];

/// Past the number of any run.
const RUN_NUMBERS_END: u64 = u64::MAX / 2;

/// What a table is like.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Shape {
    /// Its letter in the keys of the store.
    pub(crate) letter: u8,
    /// Its name, for people.
    pub(crate) name: &'static str,
    /// The part of a key that look-ups know.
    pub(crate) known_by: fn(&[u8]) -> &[u8],
    /// Runs of a size that are merged to one.
    pub(crate) fan_out: usize,
    /// Bytes of entries in a block, before compression.
    pub(crate) block_bytes: usize,
}

/// How much a table takes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TableSize {
    /// Entries, older values of a key that are not merged away yet included.
    pub entries: u64,
    /// Runs they lie in.
    pub runs: usize,
}

/// A table in the store.
#[derive(Debug)]
pub(crate) struct Table {
    shape: Shape,
    runs: RwLock<Runs>,
    work: Mutex<Work>,
}

#[derive(Debug, Default, Clone)]
struct Runs {
    /// The event up to which the table goes, as its owner says.
    upto: u64,
    /// Older first; a later one's values stand.
    list: Vec<Arc<Run>>,
}

#[derive(Debug)]
struct Run {
    number: u64,
    /// How many times its entries were merged.
    level: u8,
    keys: u64,
    filter: Filter,
    /// The hash of its filter, as the list has it.
    hash: [u8; 32],
}

/// What the writer has in hand.
#[derive(Debug, Default)]
struct Work {
    /// The number of the next run.
    next: u64,
    merge: Option<Merge>,
    /// Runs that count no more, to be removed.
    garbage: Vec<u64>,
    /// A merge came to something damaged: there are no more until the table is opened anew.
    stuck: bool,
}

#[derive(Debug)]
struct Merge {
    inputs: Vec<Arc<Run>>,
    building: Building,
}

/// A run that is being written.
#[derive(Debug)]
pub(crate) struct Building {
    number: u64,
    level: u8,
    keys: u64,
    filter: Filter,
    /// Whether removals are dropped: nothing older is left that they could hide.
    drops_removed: bool,
    /// The last key that was written, or dropped.
    after: Option<Vec<u8>>,
}

impl Building {
    /// The last key that was written, or dropped.
    pub(crate) fn after(&self) -> Option<&[u8]> {
        self.after.as_deref()
    }
}

impl Runs {
    /// The list as it is stored: a hash of the rest, `upto`, the runs.
    fn to_bytes(&self) -> Vec<u8> {
        let mut rest = self.upto.to_be_bytes().to_vec();
        for run in &self.list {
            rest.extend_from_slice(&run.number.to_be_bytes());
            rest.push(run.level);
            rest.extend_from_slice(&run.keys.to_be_bytes());
            rest.extend_from_slice(&run.hash);
        }
        [blake3::hash(&rest).as_bytes(), rest.as_slice()].concat()
    }
}

/// A run as the list names it: number, level, keys, the hash of its filter.
type Listed = (u64, u8, u64, [u8; 32]);

fn read_list(bytes: &[u8]) -> Option<(u64, Vec<Listed>)> {
    let (hash, rest) = bytes.split_first_chunk::<32>()?;
    if blake3::hash(rest).as_bytes() != hash {
        return None;
    }
    let (upto, rest) = rest.split_first_chunk::<8>()?;
    let (runs, rest) = rest.as_chunks::<49>();
    let run = |bytes: &[u8; 49]| {
        let (number, rest) = bytes.split_first_chunk::<8>()?;
        let (level, rest) = rest.split_first()?;
        let (keys, hash) = rest.split_first_chunk::<8>()?;
        let number = Some(u64::from_be_bytes(*number)).filter(|number| *number < RUN_NUMBERS_END)?;
        Some((number, *level, u64::from_be_bytes(*keys), hash.try_into().ok()?))
    };
    let runs = runs.iter().map(run).collect::<Option<Vec<_>>>()?;
    rest.is_empty().then_some((u64::from_be_bytes(*upto), runs))
}

impl Table {
    /// The table as it is in the store; empty if there is none, or if its list is not
    /// what was written. Nothing is changed.
    pub(crate) fn open(store: &dyn Storage, shape: Shape) -> Result<Self, LogError> {
        let list = store.get(&keys::table(shape.letter))?.and_then(|bytes| read_list(&bytes));
        let (upto, listed) = list.unwrap_or_default();
        let mut table = Self {
            shape,
            runs: RwLock::new(Runs { upto, list: Vec::with_capacity(listed.len()) }),
            work: Mutex::default(),
        };
        let mut list = Vec::with_capacity(listed.len());
        for (number, level, keys, hash) in listed {
            let filter = match table.read_filter(store, number)? {
                Some(filter) if filter.hash() == hash => filter,
                _ => match table.filter_anew(store, number) {
                    // A block of it is damaged: whoever comes to that one is told.
                    Err(LogError::DamagedTable { .. }) => Filter::of_all(),
                    filter => filter?,
                },
            };
            // Anyone can write a list: it counts no more keys than there are bits for.
            let keys = keys.min(filter.bits_max());
            list.push(Arc::new(Run { number, level, keys, filter, hash }));
        }
        table.work = Mutex::new(table.leftovers(store, &list)?);
        table.runs = RwLock::new(Runs { upto, list });
        Ok(table)
    }

    /// Runs in the store that the list does not name.
    fn leftovers(&self, store: &dyn Storage, list: &[Arc<Run>]) -> Result<Work, LogError> {
        let mut work = Work::default();
        let mut span = Span::prefix(&keys::runs(self.shape.letter));
        while let Some(entry) = store.scan(span.clone(), Order::Ascending).next() {
            let key = entry?.0;
            let Some(number) = keys::read_run(&key) else {
                // None of ours.
                span.from = keys::just_after(&key);
                continue;
            };
            if number >= RUN_NUMBERS_END {
                break;
            }
            if !list.iter().any(|run| run.number == number) {
                work.garbage.push(number);
            }
            work.next = work.next.max(number + 1);
            span.from = keys::run(self.shape.letter, number + 1);
        }
        let listed = list.iter().map(|run| run.number + 1).max();
        work.next = work.next.max(listed.unwrap_or(0));
        Ok(work)
    }

    fn read_filter(&self, store: &dyn Storage, number: u64) -> Result<Option<Filter>, LogError> {
        let mut bytes = Vec::new();
        let parts = store.scan(Span::prefix(&keys::filter(self.shape.letter, number)), Order::Ascending);
        for (entry, part) in parts.zip(0u32..) {
            let (key, some) = entry?;
            if *key != keys::filter_part(self.shape.letter, number, part) {
                return Ok(None);
            }
            bytes.extend_from_slice(&some);
        }
        Ok(Filter::from_bytes(&bytes))
    }

    /// Made of the entries, counted first: how many there are is not believed of a list.
    fn filter_anew(&self, store: &dyn Storage, number: u64) -> Result<Filter, LogError> {
        let (mut keys, mut cursor) = (0, Cursor::new(self, store, number, &[])?);
        while cursor.next()?.is_some() {
            keys += 1;
        }
        let mut filter = Filter::with_keys(keys);
        let mut cursor = Cursor::new(self, store, number, &[])?;
        while let Some((key, _)) = cursor.next()? {
            filter.put(KeyHash::of((self.shape.known_by)(&key)));
        }
        Ok(filter)
    }

    fn read(&self) -> RwLockReadGuard<'_, Runs> {
        // Every change is one call that cannot stop in the middle.
        self.runs.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn work(&self) -> MutexGuard<'_, Work> {
        self.work.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The event up to which the table goes.
    pub(crate) fn upto(&self) -> u64 {
        self.read().upto
    }

    /// How many entries are stored, older values of a key that are not merged away yet
    /// included, and in how many runs.
    pub(crate) fn size(&self) -> TableSize {
        let runs = self.read();
        let entries = runs.list.iter().fold(0u64, |sum, run| sum.saturating_add(run.keys));
        TableSize { entries, runs: runs.list.len() }
    }

    /// The value at `key`.
    pub(crate) fn get(&self, store: &dyn Storage, key: &[u8]) -> Result<Option<Vec<u8>>, LogError> {
        let runs = self.read();
        if runs.list.is_empty() {
            return Ok(None);
        }
        let hash = KeyHash::of((self.shape.known_by)(key));
        for run in runs.list.iter().rev().filter(|run| run.filter.has(hash)) {
            if let Some(value) = self.find(store, run.number, key)? {
                return Ok(value);
            }
        }
        Ok(None)
    }

    /// Whether it may have an entry whose key is known by this; never false if it has one.
    /// Reads nothing.
    pub(crate) fn may_have(&self, known_by: &[u8]) -> bool {
        let (runs, hash) = (self.read(), KeyHash::of(known_by));
        runs.list.iter().any(|run| run.filter.has(hash))
    }

    /// What one run says of `key`, if anything.
    #[expect(clippy::option_option, reason = "not in this run, or removed by it")]
    fn find(&self, store: &dyn Storage, run: u64, key: &[u8]) -> Result<Option<Option<Vec<u8>>>, LogError> {
        let mut cursor = Cursor::new(self, store, run, key)?;
        Ok(cursor.next()?.filter(|(found, _)| found == key).map(|(_, value)| value))
    }

    /// Shows the entries from `from` up to, not including, `to`, in order, until `take` has enough.
    /// `known_by` names what all keys sought are known by, if they have that in common.
    pub(crate) fn each(
        &self,
        store: &dyn Storage,
        from: &[u8],
        to: Option<&[u8]>,
        known_by: Option<&[u8]>,
        mut take: impl FnMut(&[u8], Vec<u8>) -> Result<bool, LogError>,
    ) -> Result<(), LogError> {
        let hash = known_by.map(KeyHash::of);
        let mut from = from.to_vec();
        while let Some(last) = self.slice(store, &from, to, hash, &mut take)? {
            from = keys::just_after(&last);
        }
        Ok(())
    }

    /// Shows some of the entries. Answers the last key shown if there may be more.
    fn slice(
        &self,
        store: &dyn Storage,
        from: &[u8],
        to: Option<&[u8]>,
        hash: Option<KeyHash>,
        take: &mut impl FnMut(&[u8], Vec<u8>) -> Result<bool, LogError>,
    ) -> Result<Option<Vec<u8>>, LogError> {
        let runs = self.read();
        let runs = runs.list.iter().filter(|run| hash.is_none_or(|hash| run.filter.has(hash)));
        let mut merged = Merged::new(self, store, runs.map(|run| run.number), from)?;
        let mut shown = 0;
        while let Some((key, value)) = merged.next()? {
            if to.is_some_and(|to| key.as_slice() >= to) {
                return Ok(None);
            }
            if let Some(value) = value
                && !take(&key, value)?
            {
                return Ok(None);
            }
            shown += 1;
            if shown == SLICE_ENTRIES {
                return Ok(Some(key));
            }
        }
        Ok(None)
    }

    /// Whether what is stored is what is in use: the list and all filters.
    pub(crate) fn is_as_stored(&self, store: &dyn Storage) -> Result<bool, LogError> {
        let runs = self.read();
        let list = store.get(&keys::table(self.shape.letter))?;
        if list.as_deref().is_some_and(|list| list != runs.to_bytes()) || list.is_none() && runs.upto > 0 {
            return Ok(false);
        }
        for run in &runs.list {
            if self.read_filter(store, run.number)?.as_ref() != Some(&run.filter) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Begins a run of about `keys` keys, newer than all others.
    pub(crate) fn begin(&self, keys: usize) -> Building {
        self.building(keys as u64, 0, false)
    }

    fn building(&self, keys: u64, level: u8, drops_removed: bool) -> Building {
        let mut work = self.work();
        let number = work.next;
        work.next += 1;
        Building { number, level, keys: 0, filter: Filter::with_keys(keys), drops_removed, after: None }
    }

    /// Writes up to `blocks` more blocks of a run. `entries` are those after
    /// [`Building::after`], in order. Answers whether that was all of them.
    pub(crate) fn write<K: AsRef<[u8]>, V: AsRef<[u8]>>(
        &self,
        store: &dyn Storage,
        building: &mut Building,
        entries: impl Iterator<Item = Result<(K, Option<V>), LogError>>,
        blocks: usize,
    ) -> Result<bool, LogError> {
        let mut writing =
            Writing { table: self, store, building, batch: Batch::new(), block: Block::default() };
        let (mut written, mut dropped) = (0usize, 0usize);
        for entry in entries {
            let (key, value) = entry?;
            let (key, value) = (key.as_ref(), value.as_ref().map(AsRef::as_ref));
            if value.is_none() && writing.building.drops_removed {
                dropped += 1;
                if dropped < blocks.saturating_mul(DROPPED_PER_BLOCK) {
                    continue;
                }
                writing.end_block()?;
                writing.building.after = Some(key.to_vec());
                return writing.hand_on().map(|()| false);
            }
            let bytes = key.len() + value.map_or(0, <[u8]>::len) + 4;
            let large = bytes > ENTRY_BYTES_MAX && value.is_some();
            if large || writing.block.bytes.len() + bytes > self.shape.block_bytes {
                written += usize::from(!writing.block.bytes.is_empty());
                writing.end_block()?;
                if written >= blocks {
                    return writing.hand_on().map(|()| false);
                }
            }
            match value {
                Some(value) if large => {
                    writing.put_large(key, value)?;
                    written += 1;
                }
                value => writing.block.put(key, value),
            }
        }
        writing.end_block()?;
        writing.hand_on()?;
        Ok(true)
    }

    /// Puts a run that has been written whole into the list, and notes how far the table goes now.
    pub(crate) fn end(&self, store: &dyn Storage, building: Building, upto: u64) -> Result<(), LogError> {
        self.put_in(store, building, &[], upto)
    }

    /// Puts a run in the place of those it was made of.
    fn put_in(
        &self,
        store: &dyn Storage,
        building: Building,
        inputs: &[Arc<Run>],
        upto: u64,
    ) -> Result<(), LogError> {
        let Building { number, level, keys, filter, .. } = building;
        let letter = self.shape.letter;
        let is_input = |run: &Arc<Run>| inputs.iter().any(|input| input.number == run.number);
        let mut next = self.read().clone();
        let place = next.list.iter().position(is_input).unwrap_or(next.list.len());
        next.list.retain(|run| !is_input(run));
        next.upto = upto;
        if keys > 0 {
            let bytes = filter.to_bytes();
            let parts = (0u32..).zip(bytes.chunks(PART_BYTES)).collect::<Vec<_>>();
            for some in parts.chunks(BATCH_PARTS) {
                let part =
                    |(n, bytes): &(u32, &[u8])| (keys::filter_part(letter, number, *n), Some(bytes.to_vec()));
                store.apply(some.iter().map(part).collect())?;
            }
            let hash = filter.hash();
            next.list.insert(place.min(next.list.len()), Arc::new(Run { number, level, keys, filter, hash }));
        }
        // Whoever reads the old list has it until they are done.
        let mut runs = self.runs.write().unwrap_or_else(PoisonError::into_inner);
        store.apply(vec![(keys::table(letter), Some(next.to_bytes()))])?;
        *runs = next;
        drop(runs);
        self.work().garbage.extend(inputs.iter().map(|run| run.number));
        Ok(())
    }

    /// Merges and clears away, up to `blocks` blocks. Answers whether more is due.
    ///
    /// A block that is not as it was written ends the merging, and nothing else: what
    /// is in a table can be made anew from the events, so writing events goes on.
    pub(crate) fn tend(&self, store: &dyn Storage, blocks: usize) -> Result<bool, LogError> {
        let garbage = self.work().garbage.last().copied();
        if let Some(run) = garbage {
            if self.remove_some(store, run, blocks)? {
                self.work().garbage.retain(|other| *other != run);
            }
            return Ok(true);
        }
        let merge = self.work().merge.take();
        let Some(mut merge) = merge.or_else(|| self.next_merge()) else { return Ok(false) };
        match self.merge_some(store, &mut merge, blocks) {
            Ok(true) => {
                let upto = self.upto();
                self.put_in(store, merge.building, &merge.inputs, upto)?;
            }
            Ok(false) => self.work().merge = Some(merge),
            Err(why @ LogError::DamagedTable { .. }) => {
                tracing::error!(why = why.in_one_line(), "its runs are no longer merged");
                let mut work = self.work();
                work.stuck = true;
                work.garbage.push(merge.building.number);
            }
            Err(why) => return Err(why),
        }
        Ok(true)
    }

    /// Answers whether that was all.
    fn merge_some(&self, store: &dyn Storage, merge: &mut Merge, blocks: usize) -> Result<bool, LogError> {
        let from = merge.building.after().map_or_else(Vec::new, keys::just_after);
        let inputs = merge.inputs.iter().map(|run| run.number);
        let mut merged = Merged::new(self, store, inputs, &from)?;
        let entries = std::iter::from_fn(|| merged.next().transpose());
        self.write(store, &mut merge.building, entries, blocks)
    }

    /// The runs to be merged next: of the smallest that are enough the oldest.
    fn next_merge(&self) -> Option<Merge> {
        if self.work().stuck {
            return None;
        }
        let runs = self.read();
        let same = |a: &Arc<Run>, b: &Arc<Run>| a.level == b.level;
        let groups: Vec<&[Arc<Run>]> = runs.list.chunk_by(same).collect();
        let inputs = groups.iter().rev().find_map(|group| group.get(..self.shape.fan_out))?.to_vec();
        let first = |runs: &[Arc<Run>]| runs.first().map(|run| run.number);
        let oldest = first(&inputs) == first(&runs.list);
        let keys = inputs.iter().fold(0u64, |keys, run| keys.saturating_add(run.keys));
        let level = inputs.first().map_or(0, |run| run.level).saturating_add(1);
        drop(runs);
        let building = self.building(keys, level, oldest);
        Some(Merge { inputs, building })
    }

    /// Removes up to `batches` batches of a run from the store. Answers whether that was all.
    fn remove_some(&self, store: &dyn Storage, number: u64, batches: usize) -> Result<bool, LogError> {
        let letter = self.shape.letter;
        for _ in 0..batches {
            let span = Span { from: keys::run(letter, number), to: keys::run_end(letter, number) };
            let entries = store.scan(span, Order::Ascending).take(BATCH_REMOVED);
            let batch =
                entries.map(|entry| Ok((entry?.0.to_vec(), None))).collect::<Result<Batch, LogError>>()?;
            let all = batch.len() < BATCH_REMOVED;
            store.apply(batch)?;
            if all {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Removes everything.
    pub(crate) fn clear(&self, store: &dyn Storage) -> Result<(), LogError> {
        let mut runs = self.runs.write().unwrap_or_else(PoisonError::into_inner);
        store.apply(vec![(keys::table(self.shape.letter), None)])?;
        let old = std::mem::take(&mut *runs);
        drop(runs);
        let mut work = self.work();
        if let Some(merge) = work.merge.take() {
            work.garbage.push(merge.building.number);
        }
        work.garbage.extend(old.list.iter().map(|run| run.number));
        work.stuck = false;
        drop(work);
        loop {
            let garbage = self.work().garbage.pop();
            let Some(run) = garbage else { return Ok(()) };
            self.remove_some(store, run, usize::MAX)?;
        }
    }

    fn damaged(&self, key: &[u8]) -> LogError {
        LogError::DamagedTable { table: self.shape.name, key: key.escape_ascii().to_string() }
    }

    /// A value kept in parts, if `value` stands for one.
    fn join(
        &self,
        store: &dyn Storage,
        run: u64,
        key: &[u8],
        value: &[u8],
    ) -> Result<Option<Vec<u8>>, LogError> {
        let Some(rest) = value.strip_prefix(&PARTS) else { return Ok(None) };
        let damaged = || self.damaged(key);
        let (parts, hash) = rest.split_first_chunk::<4>().ok_or_else(damaged)?;
        let mut whole = Vec::new();
        for part in 0..u32::from_be_bytes(*parts) {
            let bytes = store.get(&keys::run_part(self.shape.letter, run, key, part))?.ok_or_else(damaged)?;
            whole.extend_from_slice(&bytes);
        }
        let place = keys::block(self.shape.letter, run, key);
        if large_hash(&place, &whole).as_slice() == hash { Ok(Some(whole)) } else { Err(damaged()) }
    }
}

fn large_hash(place: &[u8], value: &[u8]) -> [u8; 32] {
    let length = (place.len() as u64).to_be_bytes();
    *blake3::Hasher::new().update(&length).update(place).update(value).finalize().as_bytes()
}

/// A run that blocks are being added to.
struct Writing<'a> {
    table: &'a Table,
    store: &'a dyn Storage,
    building: &'a mut Building,
    batch: Batch,
    block: Block,
}

impl Writing<'_> {
    fn end_block(&mut self) -> Result<(), LogError> {
        let block = std::mem::take(&mut self.block);
        if block.bytes.is_empty() {
            return Ok(());
        }
        let mut at = 0;
        while let Some(((key, _), next)) = read_entry(&block.bytes, at) {
            self.building.filter.put(KeyHash::of((self.table.shape.known_by)(key)));
            at = next;
        }
        let letter = self.table.shape.letter;
        let place = keys::block(letter, self.building.number, &block.first);
        let packed = pack::compress(block::MAGIC, &place, &block.bytes);
        let packed = packed.ok_or_else(|| self.table.damaged(&block.first))?;
        self.batch.push((place, Some(packed)));
        self.building.keys += block.keys;
        self.building.after = Some(block.last);
        if self.batch.len() < BATCH_BLOCKS {
            return Ok(());
        }
        self.hand_on()
    }

    fn put_large(&mut self, key: &[u8], value: &[u8]) -> Result<(), LogError> {
        self.hand_on()?;
        let (letter, run) = (self.table.shape.letter, self.building.number);
        let mut parts = 0u32;
        for bytes in value.chunks(PART_BYTES) {
            self.batch.push((keys::run_part(letter, run, key, parts), Some(bytes.to_vec())));
            parts += 1;
            if self.batch.len() >= BATCH_PARTS {
                self.hand_on()?;
            }
        }
        let place = keys::block(letter, run, key);
        let stands = [&PARTS, parts.to_be_bytes().as_slice(), &large_hash(&place, value)].concat();
        self.batch.push((place, Some(stands)));
        self.building.filter.put(KeyHash::of((self.table.shape.known_by)(key)));
        self.building.keys += 1;
        self.building.after = Some(key.to_vec());
        self.hand_on()
    }

    fn hand_on(&mut self) -> Result<(), LogError> {
        if self.batch.is_empty() { Ok(()) } else { self.store.apply(std::mem::take(&mut self.batch)) }
    }
}

#[cfg(test)]
mod hostile;
#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests may panic")]
    use super::*;
    use crate::memory::{Memory, MemoryDisk};
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    const SHAPE: Shape =
        Shape { letter: b'v', name: "views", known_by: |key| key, fan_out: 3, block_bytes: 120 };

    /// Of each save its entries, after how many blocks it stops for a merge, and how
    /// many blocks are merged before the next; whether the table is opened anew.
    type Save = (BTreeMap<u16, Option<u16>>, usize, usize, bool);

    fn saves() -> impl Strategy<Value = Vec<Save>> {
        let entries = prop::collection::btree_map(0u16..200, prop::option::of(0u16..6_000), 0..60);
        prop::collection::vec((entries, 1usize..4, 0usize..6, prop::bool::weighted(0.1)), 1..40)
    }

    /// Lengths about the bound between blocks and parts among them.
    fn value(n: u16) -> Vec<u8> {
        n.to_be_bytes()
            .iter()
            .copied()
            .cycle()
            .take(usize::from(if n.is_multiple_of(9) { n } else { n % 40 }))
            .collect()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(60))]
        #[test]
        fn a_table_is_a_map(saves in saves()) {
            let store = Memory::open(MemoryDisk::new()).unwrap();
            let mut table = Table::open(&store, SHAPE).unwrap();
            let mut model: BTreeMap<Vec<u8>, Vec<u8>> = BTreeMap::new();
            for (n, (changes, blocks, merged, anew)) in saves.into_iter().enumerate() {
                let changes: BTreeMap<Vec<u8>, Option<Vec<u8>>> =
                    changes.into_iter().map(|(k, v)| (k.to_be_bytes().to_vec(), v.map(value))).collect();
                let mut run = table.begin(changes.len());
                loop {
                    let after = run.after().map(<[u8]>::to_vec);
                    let rest = changes.iter().filter(|(key, _)| after.as_ref().is_none_or(|after| *key > after));
                    if table.write(&store, &mut run, rest.map(|(k, v)| Ok((k, v.as_ref()))), blocks).unwrap() {
                        break;
                    }
                    table.tend(&store, blocks).unwrap();
                }
                table.end(&store, run, n as u64).unwrap();
                for (key, value) in changes {
                    match value {
                        Some(value) => drop(model.insert(key, value)),
                        None => drop(model.remove(&key)),
                    }
                }
                for _ in 0..merged {
                    table.tend(&store, 2).unwrap();
                }
                if anew {
                    table = Table::open(&store, SHAPE).unwrap();
                    prop_assert!(table.is_as_stored(&store).unwrap());
                }
                prop_assert_eq!(table.upto(), n as u64);
                for key in 0u16..200 {
                    let key = key.to_be_bytes();
                    prop_assert_eq!(table.get(&store, &key).unwrap(), model.get(key.as_slice()).cloned());
                }
                let mut all = BTreeMap::new();
                table.each(&store, &50u16.to_be_bytes(), None, None, |k, v| Ok(all.insert(k.to_vec(), v).is_none())).unwrap();
                prop_assert!(all.iter().eq(model.range(50u16.to_be_bytes().to_vec()..)));
            }
            while table.tend(&store, 3).unwrap() {}
            prop_assert!(table.read().list.len() < 12, "{} runs", table.read().list.len());
            let runs: Vec<u64> = table.read().list.iter().map(|run| run.number).collect();
            let left = store.scan(Span::prefix(&keys::runs(b'v')), Order::Ascending);
            let left: Vec<u64> = left.map(|entry| keys::read_run(&entry.unwrap().0).unwrap()).collect();
            prop_assert!(left.iter().all(|run| runs.contains(run)), "what counts no more is removed");
        }
    }

    /// Blocks come in batches: wherever a power cut comes between them, the table is
    /// what it was, or what it was to become, and what was cut short is cleared away.
    #[test]
    fn a_run_cut_short_counts_nothing() {
        let entries = |value: u8| (0..40_u8).map(move |n| Ok(([n], Some([value; 20]))));
        let all_of = |disk: &MemoryDisk| {
            let store = Memory::open(disk.clone()).unwrap();
            let table = Table::open(&store, SHAPE).unwrap();
            assert!(table.is_as_stored(&store).unwrap());
            let mut all = Vec::new();
            table
                .each(&store, &[], None, None, |_, value| {
                    all.push(value);
                    Ok(true)
                })
                .unwrap();
            while table.tend(&store, 2).unwrap() {}
            let runs = store.scan(Span::prefix(&keys::runs(b'v')), Order::Ascending);
            let runs: std::collections::BTreeSet<u64> =
                runs.map(|entry| keys::read_run(&entry.unwrap().0).unwrap()).collect();
            assert_eq!(runs.len(), table.read().list.len());
            all
        };
        let (mut old, mut new) = (0, 0);
        for cut in 0..40 {
            let disk = MemoryDisk::new();
            let store = Memory::open(disk.clone()).unwrap();
            let table = Table::open(&store, SHAPE).unwrap();
            for value in [1, 2] {
                let mut run = table.begin(40);
                assert!(table.write(&store, &mut run, entries(value), usize::MAX).unwrap());
                table.end(&store, run, u64::from(value)).unwrap();
                if value == 1 {
                    store.sync().unwrap();
                }
            }
            let unsynced = disk.unsynced() as u64;
            assert!(unsynced > 2, "there are steps between");
            if cut > unsynced {
                break;
            }
            disk.crash(cut);
            match all_of(&disk) {
                all if all == vec![vec![1; 20]; 40] => old += 1,
                all if all == vec![vec![2; 20]; 40] => new += 1,
                all => panic!("after {cut} of {unsynced} steps it is a mixture of both: {all:?}"),
            }
        }
        assert!(old > 2 && new == 1, "{old} times as before, {new} times as after");
    }
}
