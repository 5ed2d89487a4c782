//! What an edit was made from, as one hash: the record's JSON as its side showed
//! it. The only place where raw input becomes a hash.
//!
//! The bytes are the JSON in its shortest form: no blanks, the keys of each object
//! in order of their bytes, numbers as they came, in UTF-8. So it does not matter
//! how the side laid its answer out. Nothing of the input is kept.
//!
//! Of a record with personal fields the hash is keyed under the record's key: whoever
//! tries all birth dates learns nothing from it, and once the key is destroyed nobody does.

use crate::error::EngineError;
use hms_sync_model::{RawHash, RecordId};
use hms_sync_vault::Vault;
use serde_json::Value as Json;

/// The most room that is kept for the next record, in bytes.
const KEPT_MAX: usize = 64 << 10;

/// Hashes raw input, with room that is used again.
#[derive(Debug, Default)]
pub(crate) struct RawHasher {
    bytes: Vec<u8>,
}

impl RawHasher {
    /// The hash of what a side showed of a record, keyed under the record's
    /// key, which is made if it has none, where `under` keeps keys.
    pub(crate) fn raw_hash(
        &mut self,
        record: &RecordId,
        shown: &Json,
        under: Option<&Vault>,
    ) -> Result<Option<RawHash>, EngineError> {
        let Some(vault) = under else { return Ok(self.plain(shown)) };
        Ok(self.written(shown, |bytes| vault.keyed_hash(record, bytes)).transpose()?.map(RawHash))
    }

    /// The hash under no key.
    pub(crate) fn plain(&mut self, shown: &Json) -> Option<RawHash> {
        self.written(shown, |bytes| RawHash(*blake3::hash(bytes).as_bytes()))
    }

    /// What `hash` makes of the JSON in its shortest form.
    fn written<T>(&mut self, shown: &Json, hash: impl FnOnce(&[u8]) -> T) -> Option<T> {
        // Writing to memory does not fail.
        let hash = serde_json::to_writer(&mut self.bytes, shown).ok().map(|()| hash(&self.bytes));
        // The room lives on; what was in it need not.
        self.bytes.fill(0);
        self.bytes.clear();
        self.bytes.shrink_to(KEPT_MAX);
        hash
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests may panic")]
    use super::*;

    fn hashed(text: &str) -> RawHash {
        let record = RecordId::try_new("permit/1").unwrap();
        let shown: Json = serde_json::from_str(text).unwrap();
        RawHasher::default().raw_hash(&record, &shown, None).unwrap().unwrap()
    }

    #[test]
    fn the_layout_of_an_answer_makes_no_difference() {
        let plain = hashed(r#"{"a":{"b":1.50,"c":"é\n"},"z":[null,true]}"#);
        assert_eq!(hashed("{ \"z\": [null, true],\n \"a\": {\"c\": \"\\u00e9\\n\", \"b\": 1.50} }"), plain);
        let bytes = "{\"a\":{\"b\":1.50,\"c\":\"é\\n\"},\"z\":[null,true]}".as_bytes();
        assert_eq!(plain.0, *blake3::hash(bytes).as_bytes());
    }

    #[test]
    fn under_a_key_it_confirms_nothing() {
        let [one, other] = ["permit/1", "permit/2"].map(|id| RecordId::try_new(id).unwrap());
        let shown: Json = serde_json::from_str(r#"{"phone":"555-0199"}"#).unwrap();
        let mut dice = fastrand::Rng::with_seed(7);
        let random = hms_sync_vault::Random::of(move |bytes| {
            dice.fill(bytes);
            Ok(())
        });
        let vault = Vault::on(hms_sync_vault::MemoryFolder::new(), random).unwrap();
        let mut hasher = RawHasher::default();
        let mut hash = |record, under| hasher.raw_hash(record, &shown, under).unwrap().unwrap();
        let keyed = hash(&one, Some(&vault));
        assert_eq!(keyed, hash(&one, Some(&vault)));
        assert_ne!(keyed, hash(&one, None));
        assert_ne!(keyed, hash(&other, Some(&vault)));
        vault.destroy(std::slice::from_ref(&one)).unwrap();
        assert_ne!(keyed, hash(&one, Some(&vault)), "another key, another hash");
    }

    #[test]
    fn every_value_makes_a_difference() {
        let all = [r#"{"a":1}"#, r#"{"a":1.0}"#, r#"{"a":"1"}"#, r#"{"b":1}"#, r#"{"a":null}"#, "{}"];
        let hashes: std::collections::BTreeSet<_> = all.into_iter().map(hashed).collect();
        assert_eq!(hashes.len(), all.len());
    }
}
