//! Reading a table in order: through one run, and through several as one. Nothing
//! is written here.

use super::Table;
use super::block::{self, read_entry};
use crate::error::LogError;
use crate::keys;
use crate::pack;
use crate::storage::{Entry, Order, Span, Storage};

/// A key, and its value unless it is removed.
pub(super) type Pair = (Vec<u8>, Option<Vec<u8>>);

/// Goes through one run in order.
pub(super) struct Cursor<'a> {
    table: &'a Table,
    store: &'a dyn Storage,
    run: u64,
    /// The block that holds `from`, if it has been found; those after it, once it is at its end.
    start: Option<Entry>,
    blocks: Option<Box<dyn Iterator<Item = Result<Entry, LogError>> + 'a>>,
    /// Where the next block begins at the earliest.
    beyond: Vec<u8>,
    block: Vec<u8>,
    at: usize,
    from: Vec<u8>,
    /// The last key of the blocks so far, if there were any.
    last: Option<Vec<u8>>,
}

impl<'a> Cursor<'a> {
    /// Begins at `from`.
    pub(super) fn new(
        table: &'a Table,
        store: &'a dyn Storage,
        run: u64,
        from: &[u8],
    ) -> Result<Self, LogError> {
        let letter = table.shape.letter;
        let first = keys::block(letter, run, &[]);
        let (mut start, mut beyond) = (None, first.clone());
        if !from.is_empty() {
            // The block that begins at `from` or before it holds `from`, if any does.
            let upto = keys::block(letter, run, &keys::just_after(from));
            let before = Span { from: first, to: upto };
            start = store.scan(before, Order::Descending).next().transpose()?;
            if let Some((place, _)) = &start {
                beyond = keys::just_after(place);
            }
        }
        let (blocks, block, from) = (None, Vec::new(), from.to_vec());
        Ok(Self { table, store, run, start, blocks, beyond, block, at: 0, from, last: None })
    }

    /// The next block. Mostly the first one holds all that is wanted, and no other is looked for.
    fn next_block(&mut self) -> Option<Result<Entry, LogError>> {
        if let Some(start) = self.start.take() {
            return Some(Ok(start));
        }
        let (store, end) = (self.store, keys::filter(self.table.shape.letter, self.run));
        let beyond = &mut self.beyond;
        let from = || Span { from: std::mem::take(beyond), to: end };
        self.blocks.get_or_insert_with(|| store.scan(from(), Order::Ascending)).next()
    }

    pub(super) fn next(&mut self) -> Result<Option<Pair>, LogError> {
        loop {
            if let Some(((key, value), next)) = read_entry(&self.block, self.at) {
                self.at = next;
                if key < self.from.as_slice() {
                    continue;
                }
                return Ok(Some((key.to_vec(), value.map(<[u8]>::to_vec))));
            }
            let Some(entry) = self.next_block() else { return Ok(None) };
            let (place, value) = entry?;
            let first = keys::block_first(&place).unwrap_or_default();
            (self.block, self.at) = (Vec::new(), 0);
            let damaged = || self.table.damaged(first);
            if self.last.as_deref().is_some_and(|last| first <= last) {
                return Err(damaged());
            }
            if let Some(value) = self.table.join(self.store, self.run, first, &value)? {
                self.last = Some(first.to_vec());
                if first >= self.from.as_slice() {
                    return Ok(Some((first.to_vec(), Some(value))));
                }
                continue;
            }
            let block =
                pack::unpack(block::MAGIC, &place, &value).ok_or_else(damaged)?.map_err(|_| damaged())?;
            self.last = Some(block::last_key(&block, first).ok_or_else(damaged)?.to_vec());
            self.block = block;
        }
    }
}

/// Goes through several runs as one: of a key that several have, the last one's value stands.
pub(super) struct Merged<'a> {
    /// Older first.
    cursors: Vec<(Cursor<'a>, Option<Pair>)>,
}

impl<'a> Merged<'a> {
    pub(super) fn new(
        table: &'a Table,
        store: &'a dyn Storage,
        runs: impl Iterator<Item = u64>,
        from: &[u8],
    ) -> Result<Self, LogError> {
        let cursor = |run| {
            let mut cursor = Cursor::new(table, store, run, from)?;
            let head = cursor.next()?;
            Ok((cursor, head))
        };
        Ok(Self { cursors: runs.map(cursor).collect::<Result<_, LogError>>()? })
    }

    pub(super) fn next(&mut self) -> Result<Option<Pair>, LogError> {
        let mut least: Option<(usize, &[u8])> = None;
        for (at, (_, head)) in self.cursors.iter().enumerate() {
            if let Some((key, _)) = head
                && least.is_none_or(|(_, least)| key.as_slice() < least)
            {
                least = Some((at, key));
            }
        }
        let Some((first, _)) = least else { return Ok(None) };
        let mut newest: Option<Pair> = None;
        for (cursor, head) in self.cursors.iter_mut().skip(first) {
            let key = |pair: &Pair| newest.as_ref().is_none_or(|(key, _)| *key == pair.0);
            if head.as_ref().is_some_and(key) {
                newest = std::mem::replace(head, cursor.next()?);
            }
        }
        Ok(newest)
    }
}
