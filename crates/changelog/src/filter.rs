//! Which keys a run may hold: a Bloom filter with ten bits a key (Bloom, 1970), so
//! that nine hundred and ninety of a thousand runs without a key need not be read.
//! It never denies a key that was put in.

/// Bits for each key.
const BITS_PER_KEY: u64 = 10;
/// Bits set by a key: 0.7 of those above (Kirsch and Mitzenmacher, 2006: two hashes make them all).
const PROBES: u64 = 6;

/// A set of keys that may say yes wrongly and no only rightly.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Filter {
    words: Vec<u64>,
}

/// The hash of a key, for any filter.
#[derive(Debug, Clone, Copy)]
pub(crate) struct KeyHash(u64, u64);

impl KeyHash {
    pub(crate) fn of(key: &[u8]) -> Self {
        let hash = blake3::hash(key);
        let (a, rest) = hash.as_bytes().split_at(8);
        let (b, _) = rest.split_at(8);
        let number = |bytes: &[u8]| bytes.try_into().map_or(0, u64::from_le_bytes);
        Self(number(a), number(b) | 1)
    }
}

impl Filter {
    /// An empty one for about so many keys.
    pub(crate) fn with_keys(keys: u64) -> Self {
        let words = keys.saturating_mul(BITS_PER_KEY).div_ceil(64).max(1);
        Self { words: vec![0; usize::try_from(words).unwrap_or(usize::MAX)] }
    }

    /// One that denies nothing.
    pub(crate) fn of_all() -> Self {
        Self { words: vec![u64::MAX] }
    }

    fn bits(&self, key: KeyHash) -> impl Iterator<Item = (usize, u64)> + use<> {
        let bits = self.bits_max();
        (0..PROBES).map(move |probe| {
            let bit = key.0.wrapping_add(key.1.wrapping_mul(probe)) % bits.max(1);
            (usize::try_from(bit / 64).unwrap_or(0), 1 << (bit % 64))
        })
    }

    pub(crate) fn put(&mut self, key: KeyHash) {
        for (word, bit) in self.bits(key) {
            if let Some(word) = self.words.get_mut(word) {
                *word |= bit;
            }
        }
    }

    /// Whether the key may have been put in.
    pub(crate) fn has(&self, key: KeyHash) -> bool {
        self.bits(key).all(|(word, bit)| self.words.get(word).is_some_and(|word| word & bit != 0))
    }

    /// How many bits there are: no more keys can have been put in one by one.
    pub(crate) fn bits_max(&self) -> u64 {
        self.words.len() as u64 * 64
    }

    /// The BLAKE3 hash of its stored form.
    pub(crate) fn hash(&self) -> [u8; 32] {
        *blake3::hash(&self.to_bytes()).as_bytes()
    }

    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        self.words.iter().flat_map(|word| word.to_le_bytes()).collect()
    }

    pub(crate) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (words, rest) = bytes.as_chunks::<8>();
        let whole = rest.is_empty() && !words.is_empty();
        whole.then(|| Self { words: words.iter().map(|word| u64::from_le_bytes(*word)).collect() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_put_in_is_there_and_little_else() {
        let mut filter = Filter::with_keys(1_000);
        let key = |n: u32| KeyHash::of(&n.to_be_bytes());
        (0..1_000).for_each(|n| filter.put(key(n)));
        let filter = Filter::from_bytes(&filter.to_bytes()).unwrap_or_else(|| Filter::with_keys(0));
        assert!((0..1_000).all(|n| filter.has(key(n))));
        let wrong = (1_000..11_000).filter(|n| filter.has(key(*n))).count();
        assert!(wrong < 200, "{wrong} of 10,000");
    }
}
