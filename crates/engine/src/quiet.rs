//! What sides showed last of records that are in step: shown the same again,
//! there is nothing to learn, and the record need not be looked at.
//!
//! Most of what a poll reads is that: what lies within its overlap, and our own
//! writes. Kept as hashes, in memory, for the records shown last; whatever
//! happens to a record takes it out. Forgetting costs a look, never a change.

use crate::error::EngineError;
use crate::machine::Machine;
use crate::page::Sight;
use crate::plan::CollectionPlan;
use crate::project::is_behind;
use crate::state::RecordState;
use crate::views::link_hash;
use hms_sync_connector::{Content, Observation};
use hms_sync_model::{CollectionName, NativeId, RecordId, SideName, Tag};
use rustc_hash::FxHashMap;
use serde_json::Value as Json;
use std::hash::{BuildHasher, RandomState};

/// Records remembered before the older half is forgotten.
const HALF_MAX: usize = 32_768;

/// Hashes of what was shown, by the hash of the side's id.
#[derive(Debug, Default)]
pub(crate) struct Quiet {
    young: FxHashMap<u64, u64>,
    old: FxHashMap<u64, u64>,
    /// A key of this process, so that nobody can make two things look the same.
    key: RandomState,
    /// Room for what is to be hashed: at one go that is done faster than piece by piece.
    bytes: Vec<u8>,
}

/// The most room that is kept for the next, in bytes.
const KEPT_MAX: usize = 64 << 10;

/// Adds a document to `bytes`: no two different ones are alike there.
fn put(doc: &Json, bytes: &mut Vec<u8>) {
    match doc {
        Json::Null => bytes.push(0),
        Json::Bool(b) => bytes.push(1 + u8::from(*b)),
        Json::Number(number) => put_text(3, number.as_str(), bytes),
        Json::String(text) => put_text(4, text, bytes),
        Json::Array(elements) => {
            put_head(5, elements.len(), bytes);
            elements.iter().for_each(|element| put(element, bytes));
        }
        Json::Object(members) => {
            put_head(6, members.len(), bytes);
            for (name, member) in members {
                put_text(4, name, bytes);
                put(member, bytes);
            }
        }
    }
}

fn put_text(kind: u8, text: &str, bytes: &mut Vec<u8>) {
    put_head(kind, text.len(), bytes);
    bytes.extend_from_slice(text.as_bytes());
}

fn put_head(kind: u8, length: usize, bytes: &mut Vec<u8>) {
    bytes.push(kind);
    bytes.extend_from_slice(&length.to_ne_bytes());
}

impl Quiet {
    /// A number for what was shown; nothing for what says nothing of the whole record.
    pub(crate) fn shown(&mut self, seen: &Sight) -> Option<u64> {
        match seen {
            Sight::AsItCame(Observation { tag, content: Content::Whole(doc), .. }) => {
                Some(self.of(tag.as_ref(), doc))
            }
            Sight::AsItCame(_) | Sight::Read(_) => None,
        }
    }

    /// The same, from its parts.
    pub(crate) fn of(&mut self, tag: Option<&Tag>, doc: &Json) -> u64 {
        put(doc, &mut self.bytes);
        let hash = self.key.hash_one((tag, &self.bytes));
        // The room lives on; what was in it need not.
        self.bytes.fill(0);
        self.bytes.clear();
        self.bytes.shrink_to(KEPT_MAX);
        hash
    }

    /// Whether just this was shown last, and nothing has happened since.
    pub(crate) fn knows(&self, link: u64, shown: u64) -> bool {
        self.young.get(&link).or_else(|| self.old.get(&link)) == Some(&shown)
    }

    fn note(&mut self, link: u64, shown: u64) {
        if self.young.len() >= HALF_MAX {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(link, shown);
    }

    /// An id of a side leads to another record from now on.
    pub(crate) fn forget_link(&mut self, side: &SideName, record: &RecordId, id: &NativeId) {
        if self.young.is_empty() && self.old.is_empty() {
            return;
        }
        let link = link_hash(side, record.collection(), id);
        self.young.remove(&link);
        self.old.remove(&link);
    }

    /// Something happened to a record.
    pub(crate) fn forget(&mut self, record: &RecordId, state: &RecordState) {
        if self.young.is_empty() && self.old.is_empty() {
            return;
        }
        for (side, id) in state.sides.iter().filter_map(|(side, part)| Some((side, part.id.as_ref()?))) {
            let link = link_hash(side, record.collection(), id);
            self.young.remove(&link);
            self.old.remove(&link);
        }
    }
}

impl Machine {
    /// Remembers what `side` showed of a record, if there is nothing to learn from it again.
    pub(crate) fn note_quiet(
        &mut self,
        side: &SideName,
        name: &CollectionName,
        id: &NativeId,
        shown: u64,
    ) -> Result<(), EngineError> {
        match self.views.linked(side, name, id)? {
            Some(record) => self.note_quiet_of(&record, (side, name, id), shown),
            None => Ok(()),
        }
    }

    /// The same of a record that `side`'s id is known to lead to.
    pub(crate) fn note_quiet_of(
        &mut self,
        record: &RecordId,
        (side, name, id): (&SideName, &CollectionName, &NativeId),
        shown: u64,
    ) -> Result<(), EngineError> {
        let Some(collection) = self.plan.collections.get(name) else { return Ok(()) };
        // What is still to be done for the record would take it out again.
        if !self.lanes.rests(record) {
            return Ok(());
        }
        let quiet = |state: &RecordState| is_quiet(collection, state, side, id).then_some(());
        if self.views.peek_if(record, quiet)?.is_some() {
            self.views.note(record);
            self.quiet.note(link_hash(side, name.as_str(), id), shown);
        }
        Ok(())
    }
}

/// Whether nothing on `side` is open: what it shows now can be shown again
/// without anything to be learnt from it, whenever that is.
fn is_quiet(collection: &CollectionPlan, state: &RecordState, side: &SideName, id: &NativeId) -> bool {
    let Some(part) = state.sides.get(side).filter(|_| collection.sides.contains_key(side)) else {
        return false;
    };
    state.malformed.is_none()
        && part.has_it()
        && part.id.as_ref() == Some(id)
        && part.write.is_none()
        && part.doubt.is_none()
        && part.unread.is_none()
        && part.parked.is_none()
        && part.last_write.as_ref().is_none_or(|last| last.shown)
        && part.held.values().all(|held| !held.not_kept)
        && !is_behind(&collection.rules, state, side)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use std::collections::HashSet;

    #[test]
    fn what_differs_is_told_apart() {
        let documents = [
            json!({}),
            json!([]),
            json!(null),
            json!(false),
            json!(true),
            json!(""),
            json!(1),
            json!("1"),
            json!(1.0),
            json!([1]),
            json!([[1]]),
            json!([1, 1]),
            json!({ "a": null }),
            json!({ "a": "b" }),
            json!({ "ab": "" }),
            json!({ "a": "", "b": "" }),
            json!({ "a": { "b": "" } }),
            json!(["a", "b"]),
            json!(["ab", ""]),
        ];
        let mut quiet = Quiet::default();
        let tags = [None, Tag::try_new("a").ok()];
        let mut seen = HashSet::new();
        for (tag, document) in tags.iter().flat_map(|tag| documents.iter().map(move |doc| (tag, doc))) {
            let number = quiet.of(tag.as_ref(), document);
            assert!(seen.insert(number), "{document} with {tag:?}");
            assert_eq!(quiet.of(tag.as_ref(), document), number);
        }
    }
}
