//! What was committed and is not in sled yet, and how reading puts both together.
//!
//! What never happens here: a key that is missed because it is on its way. It leaves this
//! room only once sled shows it.

use super::guarded;
use crate::error::LogError;
use crate::storage::{Batch, Entry, Order, Span, Value};
use sled::IVec;
use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

/// Keys with their new values, or nothing where they are removed.
pub(super) type Keys = BTreeMap<IVec, Option<IVec>>;

/// What stands at a key.
pub(super) enum Stands {
    /// This, and sled may have another.
    Fresh(IVec),
    /// Nothing, though sled may have something.
    Removed,
    /// What sled has.
    Stored,
}

/// One for the storage and its threads.
#[derive(Debug, Default)]
pub(super) struct Fresh(RwLock<Inner>);

#[derive(Debug, Default)]
struct Inner {
    /// Whoever scans has it as it was.
    gathered: Arc<Keys>,
    /// Bytes of it, of keys put several times more than there are.
    bytes: usize,
    /// On its way to sled.
    moving: Option<Arc<Keys>>,
}

impl Fresh {
    fn read(&self) -> RwLockReadGuard<'_, Inner> {
        // Every change is calls that cannot stop in the middle.
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Inner> {
        self.0.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes in a batch.
    pub(super) fn put(&self, batch: Batch) {
        let mut inner = self.write();
        let bytes =
            |(key, value): &(Vec<u8>, Option<Vec<u8>>)| key.len() + value.as_ref().map_or(0, Vec::len);
        inner.bytes += batch.iter().map(bytes).sum::<usize>();
        let fresh = batch.into_iter().map(|(key, value)| (IVec::from(key), value.map(IVec::from)));
        Arc::make_mut(&mut inner.gathered).extend(fresh);
    }

    /// How much has gathered, in bytes.
    pub(super) fn bytes(&self) -> usize {
        self.read().bytes
    }

    /// Whether nothing has gathered.
    pub(super) fn is_empty(&self) -> bool {
        self.read().gathered.is_empty()
    }

    /// All that has gathered, which is on its way to sled from now on.
    pub(super) fn send(&self) -> Arc<Keys> {
        let mut inner = self.write();
        let keys = std::mem::take(&mut inner.gathered);
        inner.bytes = 0;
        inner.moving = Some(Arc::clone(&keys));
        keys
    }

    /// What was on its way is in sled.
    pub(super) fn arrived(&self) {
        self.write().moving = None;
    }

    /// What stands at `key`.
    pub(super) fn get(&self, key: &[u8]) -> Stands {
        let inner = self.read();
        match inner.gathered.get(key).or_else(|| inner.moving.as_ref()?.get(key)) {
            Some(Some(value)) => Stands::Fresh(value.clone()),
            Some(None) => Stands::Removed,
            None => Stands::Stored,
        }
    }

    /// The entries of `span`, those in sled among them.
    pub(super) fn scan(&self, db: &sled::Db, span: Span, order: Order) -> Scan {
        let inner = self.read();
        let layers = [Some(Arc::clone(&inner.gathered)), inner.moving.clone()];
        drop(inner);
        let stored = db.range(span.from.clone()..span.to.clone());
        let (from, to) = (Bound::Included(span.from.into()), Bound::Excluded(span.to.into()));
        Scan { layers, from, to, stored: Some(stored), next: None, order, over: false }
    }
}

/// Entries of sled and fresh ones, in one order.
pub(super) struct Scan {
    /// What was fresh when it began, the newest first.
    layers: [Option<Arc<Keys>>; 2],
    /// Where they have not been shown yet.
    from: Bound<IVec>,
    to: Bound<IVec>,
    /// Nothing once it is at its end: asked again it would show what has arrived since, and was
    /// shown already.
    stored: Option<sled::Iter>,
    /// Taken out of sled, and not shown yet.
    next: Option<(IVec, IVec)>,
    order: Order,
    over: bool,
}

impl Scan {
    /// The next one of sled.
    fn fetch(&mut self) -> Result<(), LogError> {
        if self.next.is_none()
            && let Some(stored) = &mut self.stored
        {
            let order = self.order;
            let step = || match order {
                Order::Ascending => stored.next().transpose(),
                Order::Descending => stored.next_back().transpose(),
            };
            self.next = guarded("read", step)?;
            if self.next.is_none() {
                self.stored = None;
            }
        }
        Ok(())
    }

    /// The next fresh one.
    fn fresh(&self) -> Option<(IVec, Option<IVec>)> {
        let (from, to) = (self.from.as_ref(), self.to.as_ref());
        if matches!((from, to), (Bound::Included(a) | Bound::Excluded(a), Bound::Included(b) | Bound::Excluded(b)) if a >= b)
        {
            return None;
        }
        let of = |keys: &Arc<Keys>| {
            let mut range = keys.range::<IVec, _>((from, to));
            let next = match self.order {
                Order::Ascending => range.next(),
                Order::Descending => range.next_back(),
            };
            next.map(|(key, value)| (key.clone(), value.clone()))
        };
        let [newer, older] = self.layers.each_ref().map(|layer| layer.as_ref().and_then(of));
        match (newer, older) {
            (Some(newer), Some(older)) if !self.is_due(&newer.0, &older.0) => Some(older),
            (newer, older) => newer.or(older),
        }
    }

    /// Whether `key` comes no later than `other`.
    fn is_due(&self, key: &IVec, other: &IVec) -> bool {
        match self.order {
            Order::Ascending => key <= other,
            Order::Descending => key >= other,
        }
    }

    fn step(&mut self) -> Result<Option<Entry>, LogError> {
        let stands = |(key, value)| (Value::Sled(key), Value::Sled(value));
        loop {
            self.fetch()?;
            let fresh = self
                .fresh()
                .filter(|(key, _)| self.next.as_ref().is_none_or(|(stored, _)| self.is_due(key, stored)));
            let Some((key, value)) = fresh else { return Ok(self.next.take().map(stands)) };
            match self.order {
                Order::Ascending => self.from = Bound::Excluded(key.clone()),
                Order::Descending => self.to = Bound::Excluded(key.clone()),
            }
            // What sled has at this key is of before.
            self.next.take_if(|(stored, _)| *stored == key);
            if let Some(value) = value {
                return Ok(Some(stands((key, value))));
            }
        }
    }
}

impl Iterator for Scan {
    type Item = Result<Entry, LogError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.over {
            return None;
        }
        let found = self.step().transpose();
        // After an error, what comes next in sled may be anything.
        self.over = !matches!(found, Some(Ok(_)));
        found
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests may panic")]

    use super::*;
    use fastrand::Rng;

    fn batch(random: &mut Rng) -> Batch {
        let entry = |random: &mut Rng| {
            let value = (random.u8(..3) > 0).then(|| vec![random.u8(..)]);
            (vec![random.u8(..24)], value)
        };
        (0..random.usize(..6)).map(|_| entry(random)).collect()
    }

    fn bring(db: &sled::Db, keys: &Keys) {
        for (key, value) in keys {
            match value {
                Some(value) => db.insert(key, value).map(drop).unwrap(),
                None => db.remove(key).map(drop).unwrap(),
            }
        }
    }

    /// Whatever is where, a key stands as it was put last; and a scan shows each key once, in
    /// order, also while what it began with arrives in sled.
    #[test]
    fn reading_finds_what_is_on_its_way() {
        for seed in 0..60 {
            let mut random = Rng::with_seed(seed);
            let dir = tempfile::tempdir().unwrap();
            let db = sled::Config::new().path(dir.path()).flush_every_ms(None).open().unwrap();
            let (fresh, mut model) = (Fresh::default(), BTreeMap::<Vec<u8>, Vec<u8>>::new());
            let mut moving: Option<Arc<Keys>> = None;
            for _ in 0..60 {
                match random.u8(..6) {
                    0 if moving.is_none() => moving = Some(fresh.send()),
                    1 => {
                        if let Some(keys) = moving.take() {
                            bring(&db, &keys);
                            fresh.arrived();
                        }
                    }
                    _ => {
                        let batch = batch(&mut random);
                        for (key, value) in &batch {
                            match value {
                                Some(value) => model.insert(key.clone(), value.clone()),
                                None => model.remove(key),
                            };
                        }
                        fresh.put(batch);
                    }
                }
                let key = vec![random.u8(..24)];
                let found = match fresh.get(&key) {
                    Stands::Fresh(value) => Some(value.to_vec()),
                    Stands::Removed => None,
                    Stands::Stored => db.get(&key).unwrap().map(|value| value.to_vec()),
                };
                assert_eq!(found.as_ref(), model.get(&key), "seed {seed}");
                let (from, to) = (vec![random.u8(..24)], vec![random.u8(..26)]);
                let inside = |key: &&Vec<u8>| from <= **key && **key < to;
                let mut expected: Vec<Vec<u8>> = model.keys().filter(inside).cloned().collect();
                let order = if random.bool() { Order::Ascending } else { Order::Descending };
                if order == Order::Descending {
                    expected.reverse();
                }
                let arrives = random.usize(..8);
                let mut shown = Vec::new();
                let mut scan = fresh.scan(&db, Span { from: from.clone(), to: to.clone() }, order);
                loop {
                    if shown.len() == arrives
                        && let Some(keys) = moving.take()
                    {
                        bring(&db, &keys);
                        fresh.arrived();
                    }
                    let Some(entry) = scan.next() else { break };
                    let (key, value) = entry.unwrap();
                    assert_eq!(model.get(&*key).map(Vec::as_slice), Some(&*value), "seed {seed}");
                    shown.push(key.to_vec());
                }
                assert_eq!(shown, expected, "seed {seed}, {order:?}");
            }
        }
    }
}
