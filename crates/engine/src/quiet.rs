//! What sides showed last of records that are in step: shown the same again,
//! there is nothing to learn, and the record need not be looked at.
//!
//! Most of what a poll reads is that: what lies within its overlap, and our own
//! writes. Kept as hashes, in memory, for the records shown last; whatever
//! happens to a record takes it out. Forgetting costs a look, never a change.
//!
//! What is known when a link is saved is saved with it (`views/links.rs`), with the number of the
//! log's last event: a later process believes it if the record has no event after that, and no
//! person has said anything since of links, or of what waited to be taken in. The
//! hashes are made under a key of the log's own, the plan and all else that what is shown is
//! read by, so that none from other circumstances is ever met again.

use crate::error::EngineError;
use crate::machine::Machine;
use crate::page::Sight;
use crate::plan::CollectionPlan;
use crate::project::is_behind;
use crate::state::RecordState;
use crate::views::{Views, link_hash};
use hms_sync_connector::{Content, Observation};
use hms_sync_model::{CollectionName, NativeId, RecordId, SideName, Tag, Time};
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
    /// A secret, so that nobody can make two things look the same.
    key: [u8; 32],
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

/// Where the views have what all keys are made from.
const KEY: &[u8] = b"m";

/// The secret of a log, which stays as long as its views do.
fn secret(views: &mut Views) -> Result<[u8; 32], EngineError> {
    if let Some(secret) = views.get(KEY)?.and_then(|bytes| bytes.try_into().ok()) {
        return Ok(secret);
    }
    // The system's own randomness stands behind it.
    let random = RandomState::new();
    let mut secret = [0; 32];
    for (n, part) in secret.chunks_exact_mut(8).enumerate() {
        part.copy_from_slice(&random.hash_one(n).to_ne_bytes());
    }
    views.save_with((KEY.to_vec(), secret.to_vec()));
    Ok(secret)
}

impl Quiet {
    /// One that believes what earlier processes saved if all is as it was: the program, the plan, of
    /// which there is a mark, what the log has lost, and how often it was put back from a backup, of
    /// which `floor` tells.
    pub(crate) fn after(views: &mut Views, plan: &[u8; 32], floor: u32) -> Result<Self, EngineError> {
        let lost_at = views.log().lost_at()?.unwrap_or(Time::MIN);
        let mut hasher = blake3::Hasher::new_keyed(&secret(views)?);
        hasher.update(env!("CARGO_PKG_VERSION").as_bytes()).update(&[0]);
        hasher.update(plan);
        hasher.update(&lost_at.0.to_be_bytes()).update(&floor.to_be_bytes());
        Ok(Self { key: *hasher.finalize().as_bytes(), ..Self::default() })
    }

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
        match tag {
            Some(tag) => put_text(4, tag.as_str(), &mut self.bytes),
            None => self.bytes.push(0),
        }
        put(doc, &mut self.bytes);
        let hash = *blake3::keyed_hash(&self.key, &self.bytes).as_bytes();
        // The room lives on; what was in it need not.
        self.bytes.fill(0);
        self.bytes.clear();
        self.bytes.shrink_to(KEPT_MAX);
        hash.first_chunk().map_or(0, |first| u64::from_be_bytes(*first))
    }

    /// Whether just this was shown last, and nothing has happened since.
    pub(crate) fn knows(&self, link: u64, shown: u64) -> bool {
        self.last(link) == Some(shown)
    }

    /// What was shown last, if nothing has happened since.
    pub(crate) fn last(&self, link: u64) -> Option<u64> {
        self.young.get(&link).or_else(|| self.old.get(&link)).copied()
    }

    /// Whether nothing is known.
    pub(crate) fn is_empty(&self) -> bool {
        self.young.is_empty() && self.old.is_empty()
    }

    /// Forgets everything.
    pub(crate) fn clear(&mut self) {
        (self.young, self.old) = Default::default();
    }

    fn note(&mut self, link: u64, shown: u64) {
        if self.young.len() >= HALF_MAX {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(link, shown);
    }

    /// An id of a side leads to another record from now on.
    pub(crate) fn forget_link(&mut self, side: &SideName, record: &RecordId, id: &NativeId) {
        if self.is_empty() {
            return;
        }
        let link = link_hash(side, record.collection(), id);
        self.young.remove(&link);
        self.old.remove(&link);
    }

    /// Something happened to a record.
    pub(crate) fn forget(&mut self, record: &RecordId, state: &RecordState) {
        if self.is_empty() {
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
        let Some(record) = self.views.linked(side, name, id)? else { return Ok(()) };
        if self.note_quiet_of(&record, (side, name, id), shown)? {
            // Not to be made again for that, by another process either.
            self.views.save_link(side, &record, id);
        }
        Ok(())
    }

    /// The same of a record that `side`'s id is known to lead to. Answers whether it is remembered.
    pub(crate) fn note_quiet_of(
        &mut self,
        record: &RecordId,
        (side, name, id): (&SideName, &CollectionName, &NativeId),
        shown: u64,
    ) -> Result<bool, EngineError> {
        let Some(collection) = self.plan.collections.get(name) else { return Ok(false) };
        if self.passes.get(side, name).is_some_and(|pass| !pass.withheld().is_empty()) {
            // A part of what was shown was passed over.
            return Ok(false);
        }
        // What is still to be done for the record would take it out again.
        if !self.lanes.rests(record) {
            return Ok(false);
        }
        let quiet = |state: &RecordState| is_quiet(collection, state, side, id).then_some(());
        let quiet = self.views.peek_if(record, quiet)?.is_some();
        if quiet {
            self.views.note(record);
            self.quiet.note(link_hash(side, name.as_str(), id), shown);
        }
        Ok(quiet)
    }

    /// Whether an earlier process knew that just this was shown last under a side's id, and nothing
    /// has happened to its record since. Asked for the first time that the id is shown.
    pub(crate) fn was_quiet(
        &mut self,
        (side, name): &(SideName, CollectionName),
        id: &NativeId,
        (link, shown): (u64, u64),
    ) -> Result<bool, EngineError> {
        let Some((record, note)) = self.views.noted(side, name, id)? else { return Ok(false) };
        if note.shown != shown || self.views.last_event(&record)?.is_none_or(|last| last > note.upto) {
            return Ok(false);
        }
        self.views.note(&record);
        self.quiet.note(link, shown);
        Ok(true)
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
