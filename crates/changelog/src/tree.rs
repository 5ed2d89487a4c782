//! The log's Merkle tree: leaf i is event i + 1, its bytes are the event's id.
//!
//! What is kept: the growing edge, beside the number of the last event and in the same
//! batch as the events, so that nothing is computed anew at a start; and the hashes of
//! complete subtrees from one level on ([`KEPT_LEVEL`]). Those below are computed from the
//! ids of the events when a proof asks. [`leaves`] is the one place that knows where the
//! ids of a range come from.
//!
//! What never happens here: trusting the tree over the events, or the events over the
//! tree. Where they differ nothing more is written, and a verification names the place.

use crate::archived;
use crate::error::LogError;
use crate::hole::LOST_ID;
use crate::keys;
use crate::log::Log;
use crate::read::{Place, each_place};
use crate::storage::{Batch, Order, Span, Storage};
use hms_sync_model::EventId;
use hms_sync_proof::{
    ConsistencyProof, Frontier, InclusionProof, ManyProver, NodeAt, NodeSource, TreeHash, TreeHead,
};
use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;

/// The lowest level that is kept, on disk and on a disk in memory: a proof reads the ids
/// of some 256 events.
pub(crate) const KEPT_LEVEL: u8 = 8;
pub(crate) const KEPT_LEVEL_SMALL: u8 = 3;
/// Tiles remembered from one proof to the next.
const TILES_MAX: usize = 16;
/// Nodes in one batch while the tree of an old store is made.
const BATCH_NODES: usize = 64;

/// The edge of the tree, and from which level on its hashes are kept.
#[derive(Debug, Clone)]
pub(crate) struct Tree {
    edge: Frontier,
    kept: u8,
}

/// Events of one subtree that do not have the hash the tree has for them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Differs {
    pub(crate) first: u64,
    pub(crate) last: u64,
}

impl Differs {
    fn at(at: NodeAt) -> Self {
        let first = at.index.checked_shl(at.level.into()).unwrap_or(0);
        Self { first: first.saturating_add(1), last: first.saturating_add(1 << at.level.min(63)) }
    }
}

impl Tree {
    /// Of a log without events.
    pub(crate) const fn empty(kept: u8) -> Self {
        Self { edge: Frontier::new(), kept }
    }

    /// Without events, and what is kept of it is the same.
    pub(crate) const fn begun_anew(&self) -> Self {
        Self::empty(self.kept)
    }

    /// The tree of a log whose last event is `head`. The second answer says what is wrong
    /// with it. A log from before there were trees is given one.
    pub(crate) fn open(store: &dyn Storage, head: u64, kept: u8) -> Result<(Self, Option<String>), LogError> {
        let Some(stored) = store.get(keys::HEAD)? else { return Ok((Self::empty(kept), None)) };
        if stored.len() == 8 && head > 0 {
            return Self::make(store, head, kept);
        }
        let edge = Frontier::from_bytes(&stored).ok().filter(|edge| edge.size() == head);
        let Some(edge) = edge else {
            return Ok((Self::empty(kept), Some("the stored edge of the tree is damaged".to_owned())));
        };
        let nodes = Nodes::new(store, kept, head);
        let trouble = match Frontier::restore(&nodes, head).map_err(failure) {
            Ok(restored) if restored == edge => None,
            Ok(_) => Some("the tree's edge is not that of the last events".to_owned()),
            // One of the last events is damaged: a verification names it.
            Err(LogError::Damaged { .. }) => None,
            Err(why @ (LogError::DamagedTree { .. } | LogError::Proof(_))) => Some(why.to_string()),
            Err(why) => return Err(why),
        };
        Ok((Self { edge, kept }, trouble))
    }

    /// The tree as the mark of the last event has it; nothing if there is none, if it cannot be
    /// read, or is of a log from before there were trees.
    pub(crate) fn marked(store: &dyn Storage, kept: u8) -> Result<Option<Self>, LogError> {
        let Some(stored) = store.get(keys::HEAD)? else { return Ok(None) };
        let edge = Frontier::from_bytes(&stored).ok().filter(|edge| edge.size() > 0);
        Ok(edge.map(|edge| Self { edge, kept }))
    }

    /// Makes the tree of all events and stores it. What was stored of it before must fit.
    fn make(store: &dyn Storage, head: u64, kept: u8) -> Result<(Self, Option<String>), LogError> {
        let (mut tree, mut batch) = (Self::empty(kept), Batch::new());
        let mut differs = None;
        let made = each_id(store, 1, head, |id| {
            tree.grow(TreeHash::leaf(&id.0), &mut batch);
            if batch.len() >= BATCH_NODES {
                differs = differs.or(put_if_new(store, std::mem::take(&mut batch))?);
            }
            Ok(differs.is_none())
        });
        match made {
            Ok(()) => {}
            Err(why @ LogError::Damaged { .. }) => {
                return Ok((Self::empty(kept), Some(format!("the tree cannot be made: {why}"))));
            }
            Err(why) => return Err(why),
        }
        differs = differs.or(put_if_new(store, batch)?).or(tree.beyond(store)?);
        if let Some(Differs { first, last }) = differs {
            let why = format!("the stored tree has another hash for the events {first} to {last}");
            return Ok((tree, Some(why)));
        }
        store.apply(vec![(keys::HEAD.to_vec(), Some(tree.to_bytes()))])?;
        store.sync()?;
        tracing::info!(events = head, "the change log's tree was made from its events");
        Ok((tree, None))
    }

    /// Takes the next event in; what is to be kept of it goes to the batch.
    pub(crate) fn grow(&mut self, leaf: TreeHash, batch: &mut Batch) {
        let kept = self.kept;
        self.append(leaf, |at, hash| {
            if at.level >= kept {
                batch.push((keys::node(at), Some(hash.0.to_vec())));
            }
        });
    }

    /// Takes events in that were lost; what is to be kept of them goes to the store.
    pub(crate) fn grow_lost(&mut self, count: u64, store: &dyn Storage) -> Result<(), LogError> {
        let (leaf, mut batch) = (TreeHash::leaf(&LOST_ID.0), Batch::new());
        for _ in 0..count {
            self.grow(leaf, &mut batch);
            if batch.len() >= BATCH_NODES {
                store.apply(std::mem::take(&mut batch))?;
            }
        }
        store.apply(batch)
    }

    /// Takes the next event in, and compares what is kept of it with the store.
    pub(crate) fn compare(
        &mut self,
        leaf: TreeHash,
        store: &dyn Storage,
    ) -> Result<Option<Differs>, LogError> {
        let (kept, mut found) = (self.kept, Ok(None));
        self.append(leaf, |at, hash| {
            if at.level >= kept && matches!(found, Ok(None)) {
                let stored = store.get(&keys::node(at));
                found = stored.map(|s| (s.as_deref() != Some(&hash.0)).then(|| Differs::at(at)));
            }
        });
        found
    }

    fn append(&mut self, leaf: TreeHash, completed: impl FnMut(NodeAt, TreeHash)) {
        // No log comes to 2^64 events.
        drop(self.edge.append_with(leaf, completed));
    }

    /// How many events.
    pub(crate) const fn size(&self) -> u64 {
        self.edge.size()
    }

    pub(crate) fn head(&self) -> TreeHead {
        self.edge.head()
    }

    /// As it is stored: the number of the last event, then the edge.
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        self.edge.to_bytes()
    }

    /// The first events of which two trees of one size have different hashes.
    pub(crate) fn differs(&self, other: &Self) -> Option<Differs> {
        let (ours, others) = (self.to_bytes(), other.to_bytes());
        let mut peaks = ours.as_chunks::<8>().0.iter().skip(1).zip(others.as_chunks::<8>().0.iter().skip(1));
        let (size, mut first) = (self.size(), 0u64);
        for level in (0..u64::BITS).rev().filter(|level| size >> level & 1 == 1) {
            let last = first.saturating_add(1 << level);
            if peaks.by_ref().take(4).any(|(ours, others)| ours != others) {
                return Some(Differs { first: first.saturating_add(1), last });
            }
            first = last;
        }
        (ours != others).then_some(Differs { first: 1, last: size })
    }

    /// How many hashes are kept of a tree of this size.
    fn kept_nodes(&self) -> u64 {
        (self.kept..64).map(|level| self.size() >> level).sum()
    }

    /// A kept hash of events that the log does not have, or of none.
    pub(crate) fn beyond(&self, store: &dyn Storage) -> Result<Option<Differs>, LogError> {
        let mut count = 0u64;
        for entry in store.scan(Span::prefix(&[keys::NODE]), Order::Ascending) {
            let at = keys::read_node(&entry?.0).filter(|at| at.level >= self.kept && at.level < 64);
            let last = at.map(Differs::at);
            match last {
                Some(node) if node.last <= self.size() => count += 1,
                Some(node) => return Ok(Some(node)),
                None => return Ok(Some(Differs { first: 0, last: 0 })),
            }
        }
        Ok((count != self.kept_nodes()).then_some(Differs { first: 1, last: self.size() }))
    }
}

/// Stores nodes, unless others are there in their place.
fn put_if_new(store: &dyn Storage, batch: Batch) -> Result<Option<Differs>, LogError> {
    for (key, hash) in &batch {
        let there = store.get(key)?;
        if there.is_some_and(|there| Some(&*there) != hash.as_deref()) {
            return Ok(keys::read_node(key).map(Differs::at));
        }
    }
    store.apply(batch)?;
    Ok(None)
}

/// The ids of the events from `first` to `last`, as the tree has them. They are not
/// compared with the events' content: a wrong one makes a proof that proves nothing.
pub(crate) fn leaves(store: &dyn Storage, first: u64, last: u64) -> Result<Vec<EventId>, LogError> {
    let mut ids = Vec::new();
    each_id(store, first, last, |id| {
        ids.push(id);
        Ok(true)
    })?;
    Ok(ids)
}

/// The same, one after the other, until `take` has enough. Lost events have an id of zeros.
fn each_id(
    store: &dyn Storage,
    first: u64,
    last: u64,
    mut take: impl FnMut(EventId) -> Result<bool, LogError>,
) -> Result<(), LogError> {
    each_place(store, first, last, |place| match place {
        Place::Event(_, frame) => take(frame.id()),
        Place::Dropped(range, from, to) => archived::each_id(store, range, from, to, &mut take),
        Place::Lost(lost) => {
            (0..lost.count).try_fold(true, |more, _| if more { take(LOST_ID) } else { Ok(false) })
        }
    })
}

/// The hashes of a few hundred leaves that stand side by side, and the tile's number.
type Tile = (u64, Rc<[TreeHash]>);

/// Complete subtrees: those that are kept, and those below them.
#[derive(Debug)]
struct Nodes<'a> {
    store: &'a dyn Storage,
    kept: u8,
    /// The last event.
    head: u64,
    tiles: RefCell<VecDeque<Tile>>,
}

impl<'a> Nodes<'a> {
    fn new(store: &'a dyn Storage, kept: u8, head: u64) -> Self {
        Self { store, kept, head, tiles: RefCell::default() }
    }

    fn tile(&self, number: u64) -> Result<Rc<[TreeHash]>, LogError> {
        if let Some((_, tile)) = self.tiles.borrow().iter().find(|(known, _)| *known == number) {
            return Ok(Rc::clone(tile));
        }
        let all = Differs::at(NodeAt { level: self.kept, index: number });
        let ids = leaves(self.store, all.first, all.last.min(self.head))?;
        let tile: Rc<[TreeHash]> = ids.iter().map(|id| TreeHash::leaf(&id.0)).collect();
        let mut tiles = self.tiles.borrow_mut();
        tiles.truncate(TILES_MAX - 1);
        tiles.push_front((number, Rc::clone(&tile)));
        Ok(tile)
    }
}

impl NodeSource for Nodes<'_> {
    type Error = LogError;

    fn node(&self, at: NodeAt) -> Result<Option<TreeHash>, LogError> {
        let all = Differs::at(at);
        if all.last > self.head {
            return Ok(None);
        }
        if at.level >= self.kept {
            let stored = self.store.get(&keys::node(at))?;
            return Ok(stored.and_then(|hash| Some(TreeHash(hash.get(..)?.try_into().ok()?))));
        }
        let tile = self.tile(at.index >> (self.kept - at.level))?;
        let size = 1usize << at.level;
        let from = usize::try_from(at.index).unwrap_or(0) % (1 << (self.kept - at.level)) * size;
        let mut edge = Frontier::new();
        for leaf in tile.get(from..from + size).unwrap_or_default() {
            edge.append(*leaf)?;
        }
        Ok((edge.size() == size as u64).then(|| edge.root()))
    }
}

fn failure(why: hms_sync_proof::ProveError<LogError>) -> LogError {
    match why {
        hms_sync_proof::ProveError::Asked(why) => LogError::Proof(why),
        hms_sync_proof::ProveError::Missing { at } => {
            let all = Differs::at(at);
            LogError::DamagedTree { first: all.first, last: all.last }
        }
        hms_sync_proof::ProveError::Source(why) => why,
    }
}

/// Makes proofs, and remembers what it has read for the next one.
#[derive(Debug)]
pub struct Prover<'a> {
    nodes: Nodes<'a>,
}

impl Prover<'_> {
    /// That event `seq` is in the tree of the first `size` events.
    ///
    /// # Errors
    /// [`LogError::Proof`] for a place or a size that the log does not have.
    pub fn inclusion(&self, seq: u64, size: u64) -> Result<InclusionProof, LogError> {
        self.within(size)?;
        let beyond = hms_sync_proof::ProofError::BeyondTree { index: seq, size };
        let index = seq.checked_sub(1).ok_or(beyond)?;
        InclusionProof::prove(&self.nodes, index, size).map_err(failure)
    }

    /// The next of many proofs: that of event `seq`.
    ///
    /// # Errors
    /// As [`Self::inclusion`].
    pub fn next_of(&self, many: &mut ManyProver, seq: u64) -> Result<Vec<TreeHash>, LogError> {
        let beyond = hms_sync_proof::ProofError::Order { index: seq };
        many.prove(&self.nodes, seq.checked_sub(1).ok_or(beyond)?).map_err(failure)
    }

    /// That the tree of the first `older` events is a beginning of that of the first `newer`.
    ///
    /// # Errors
    /// As [`Self::inclusion`].
    pub fn consistency(&self, older: u64, newer: u64) -> Result<ConsistencyProof, LogError> {
        self.within(newer)?;
        ConsistencyProof::prove(&self.nodes, older, newer).map_err(failure)
    }

    /// Size and root of the tree of the first `size` events.
    ///
    /// # Errors
    /// As [`Self::inclusion`].
    pub fn head(&self, size: u64) -> Result<TreeHead, LogError> {
        self.within(size)?;
        Ok(Frontier::restore(&self.nodes, size).map_err(failure)?.head())
    }

    fn within(&self, size: u64) -> Result<(), LogError> {
        let newer = self.nodes.head;
        if size <= newer {
            return Ok(());
        }
        Err(LogError::Proof(hms_sync_proof::ProofError::Shrunk { older: size, newer }))
    }
}

impl Log {
    /// How many durable events there are, and the root of the tree over them.
    pub fn tree_head(&self) -> TreeHead {
        self.inner.tree().head()
    }

    /// Proofs about the durable events of this moment.
    pub fn prover(&self) -> Prover<'_> {
        let tree = self.inner.tree();
        Prover { nodes: Nodes::new(self.inner.store.as_ref(), tree.kept, tree.size()) }
    }

    /// That event `seq` is in the tree of the first `size` events.
    ///
    /// # Errors
    /// [`LogError::Proof`] for a place or a size that the log does not have.
    pub fn inclusion(&self, seq: u64, size: u64) -> Result<InclusionProof, LogError> {
        self.prover().inclusion(seq, size)
    }

    /// That the tree of the first `older` events is a beginning of that of the first `newer`.
    ///
    /// # Errors
    /// As [`Log::inclusion`].
    pub fn consistency(&self, older: u64, newer: u64) -> Result<ConsistencyProof, LogError> {
        self.prover().consistency(older, newer)
    }
}
