//! A small map kept as a sorted vector: the fields of a record, the sides of a
//! sync, the actors of a clock. Tens of entries at most, read far more often
//! than changed, and encoded as they lie.
//!
//! Invariant: keys ascend strictly, also after decoding from a hostile input.

use serde::de::{MapAccess, Visitor};
use serde::ser::SerializeMap;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::borrow::Borrow;
use std::fmt;
use std::marker::PhantomData;

/// A sorted vector of pairs with the calls of a map.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct VecMap<K, V> {
    entries: Vec<(K, V)>,
}

/// Entries for which room is made before they have come.
const ROOM_MAX: usize = 64;

impl<K, V> Default for VecMap<K, V> {
    fn default() -> Self {
        Self { entries: Vec::new() }
    }
}

impl<K: Ord, V> VecMap<K, V> {
    /// A map with nothing in it. Allocates nothing.
    pub const fn new() -> Self {
        Self { entries: Vec::new() }
    }

    fn find<Q: Ord + ?Sized>(&self, key: &Q) -> Result<usize, usize>
    where
        K: Borrow<Q>,
    {
        self.entries.binary_search_by(|(k, _)| k.borrow().cmp(key))
    }

    /// The value at `key`.
    pub fn get<Q: Ord + ?Sized>(&self, key: &Q) -> Option<&V>
    where
        K: Borrow<Q>,
    {
        let at = self.find(key).ok()?;
        self.entries.get(at).map(|(_, v)| v)
    }

    /// The pair at `key`.
    pub fn get_key_value<Q: Ord + ?Sized>(&self, key: &Q) -> Option<(&K, &V)>
    where
        K: Borrow<Q>,
    {
        let at = self.find(key).ok()?;
        self.entries.get(at).map(|(k, v)| (k, v))
    }

    /// The value at `key`, to change.
    pub fn get_mut<Q: Ord + ?Sized>(&mut self, key: &Q) -> Option<&mut V>
    where
        K: Borrow<Q>,
    {
        let at = self.find(key).ok()?;
        self.entries.get_mut(at).map(|(_, v)| v)
    }

    /// Whether `key` has a value.
    pub fn contains_key<Q: Ord + ?Sized>(&self, key: &Q) -> bool
    where
        K: Borrow<Q>,
    {
        self.find(key).is_ok()
    }

    /// Most maps hold one or two pairs, and there are very many of them: room for
    /// what comes next is made sparingly.
    fn make_room(&mut self) {
        if self.entries.len() == self.entries.capacity() {
            self.entries.reserve_exact((self.entries.len() / 2).max(1));
        }
    }

    /// Most callers put keys in in ascending order, so the end is tried first.
    fn is_after_all(&self, key: &K) -> bool {
        self.entries.last().is_none_or(|(last, _)| last < key)
    }

    /// Makes room at one go for `more` pairs that are about to come.
    pub fn reserve(&mut self, more: usize) {
        self.entries.reserve_exact(more);
    }

    /// Puts `value` at `key` and returns what stood there.
    pub fn insert(&mut self, key: K, value: V) -> Option<V> {
        if self.is_after_all(&key) {
            self.make_room();
            self.entries.push((key, value));
            return None;
        }
        match self.find(&key) {
            Ok(at) => self.entries.get_mut(at).map(|(_, old)| std::mem::replace(old, value)),
            Err(at) => {
                self.make_room();
                self.entries.insert(at, (key, value));
                None
            }
        }
    }

    /// Takes `key` out and returns its value.
    pub fn remove<Q: Ord + ?Sized>(&mut self, key: &Q) -> Option<V>
    where
        K: Borrow<Q>,
    {
        let at = self.find(key).ok()?;
        Some(self.entries.remove(at).1)
    }

    /// The value at `key`; `make` fills the place if it is empty.
    pub fn entry_or(&mut self, key: K, make: impl FnOnce() -> V) -> &mut V {
        let at = if self.is_after_all(&key) { Err(self.entries.len()) } else { self.find(&key) };
        let at = match at {
            Ok(at) => at,
            Err(at) => {
                self.make_room();
                self.entries.insert(at, (key, make()));
                at
            }
        };
        #[expect(clippy::indexing_slicing, reason = "found or inserted at this place just above")]
        &mut self.entries[at].1
    }

    /// Pairs in ascending order of key.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = (&K, &V)> + ExactSizeIterator {
        self.entries.iter().map(|(k, v)| (k, v))
    }

    /// Pairs in ascending order of key, values to change.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = (&K, &mut V)> {
        self.entries.iter_mut().map(|(k, v)| (&*k, v))
    }

    /// Keys, ascending.
    pub fn keys(&self) -> impl DoubleEndedIterator<Item = &K> + ExactSizeIterator {
        self.entries.iter().map(|(k, _)| k)
    }

    /// Values in order of their keys.
    pub fn values(&self) -> impl DoubleEndedIterator<Item = &V> + ExactSizeIterator {
        self.entries.iter().map(|(_, v)| v)
    }

    /// Keeps the pairs for which `keep` answers true.
    pub fn retain(&mut self, mut keep: impl FnMut(&K, &mut V) -> bool) {
        self.entries.retain_mut(|(k, v)| keep(k, v));
    }

    /// Takes everything out.
    pub fn clear(&mut self) {
        self.entries.clear();
    }

    /// How many pairs there are.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }
}

impl<K: Ord, V> FromIterator<(K, V)> for VecMap<K, V> {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(pairs: I) -> Self {
        let mut map = Self { entries: Vec::new() };
        let mut pairs = pairs.into_iter();
        while let Some((key, value)) = pairs.next() {
            if map.entries.len() == map.entries.capacity() {
                // What is too much is given back.
                let (fewest, most) = pairs.size_hint();
                map.entries.reserve(1 + most.unwrap_or(fewest).min(ROOM_MAX));
            }
            map.insert(key, value);
        }
        if map.entries.capacity() > map.entries.len() + map.entries.len() / 2 {
            map.entries.shrink_to_fit();
        }
        map
    }
}

impl<K, V> IntoIterator for VecMap<K, V> {
    type Item = (K, V);
    type IntoIter = std::vec::IntoIter<(K, V)>;
    fn into_iter(self) -> Self::IntoIter {
        self.entries.into_iter()
    }
}

impl<K: fmt::Debug, V: fmt::Debug> fmt::Debug for VecMap<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.entries.iter().map(|(k, v)| (k, v))).finish()
    }
}

impl<K: Serialize, V: Serialize> Serialize for VecMap<K, V> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.entries.len()))?;
        for (key, value) in &self.entries {
            map.serialize_entry(key, value)?;
        }
        map.end()
    }
}

impl<'de, K: Ord + Deserialize<'de>, V: Deserialize<'de>> Deserialize<'de> for VecMap<K, V> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Pairs<K, V>(PhantomData<(K, V)>);
        impl<'de, K: Ord + Deserialize<'de>, V: Deserialize<'de>> Visitor<'de> for Pairs<K, V> {
            type Value = VecMap<K, V>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a map")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<VecMap<K, V>, A::Error> {
                let mut map = VecMap::new();
                map.entries.reserve(access.size_hint().unwrap_or(0).min(ROOM_MAX));
                while let Some((key, value)) = access.next_entry()? {
                    map.insert(key, value);
                }
                Ok(map)
            }
        }
        deserializer.deserialize_map(Pairs(PhantomData))
    }
}

#[cfg(test)]
mod tests {
    use super::VecMap;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    proptest! {
        /// A `VecMap` answers as the standard library's map does, whatever the calls.
        #[test]
        fn agrees_with_btreemap(calls in prop::collection::vec((0u8..3, 0u8..16, 0u8..8), 0..200)) {
            let (mut ours, mut model) = (VecMap::new(), BTreeMap::new());
            for (call, key, value) in calls {
                match call {
                    0 => prop_assert_eq!(ours.insert(key, value), model.insert(key, value)),
                    1 => prop_assert_eq!(ours.remove(&key), model.remove(&key)),
                    _ => prop_assert_eq!(*ours.entry_or(key, || value), *model.entry(key).or_insert(value)),
                }
                prop_assert!(ours.iter().eq(model.iter()));
            }
        }
    }
}
