//! The records of one double, the order of their changes, and what was done to
//! them. One lock guards it; nothing in here waits, and a page is copied out
//! record by record as bytes that were written once.

use crate::effect::{Effect, Operation, body_hash};
use crate::faults::BadStore;
use crate::kind::Kind;
use crate::timeline::Timeline;
use bytes::Bytes;
use http::StatusCode;
use serde_json::{Map, Value as Json};
use std::collections::HashMap;

/// One record.
struct Stored {
    bytes: Bytes,
    stamp: i64,
    slot: usize,
    natural: Option<String>,
}

/// What an API answers.
#[derive(Debug, Clone)]
pub(crate) struct Reply {
    pub(crate) status: StatusCode,
    pub(crate) body: Bytes,
    /// The record's stamp, where the answer is a record.
    pub(crate) stamp: Option<i64>,
}

impl Reply {
    fn record(status: StatusCode, stored: &Stored) -> Self {
        Self { status, body: stored.bytes.clone(), stamp: Some(stored.stamp) }
    }

    pub(crate) fn error(status: StatusCode, message: &str) -> Self {
        let body = serde_json::json!({ "error": message }).to_string();
        Self { status, body: body.into(), stamp: None }
    }

    fn missing() -> Self {
        Self::error(StatusCode::NOT_FOUND, "no such record")
    }
}

/// A write, as it came in.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Write<'r> {
    pub(crate) operation: Operation,
    /// Nothing for a create.
    pub(crate) id: Option<u64>,
    pub(crate) body: &'r [u8],
    /// `Idempotency-Key`.
    pub(crate) key: Option<&'r str>,
    /// `If-Match`, taken apart.
    pub(crate) only_if: Option<i64>,
    /// By a user of the system: not an effect of the API.
    pub(crate) by_user: bool,
}

/// What a listing asks for.
#[derive(Debug, Clone, Default)]
pub(crate) struct Query {
    pub(crate) since: Option<i64>,
    pub(crate) offset: usize,
    pub(crate) limit: usize,
    pub(crate) natural: Option<String>,
}

/// A page, as bytes of its records.
#[derive(Debug, Clone)]
pub(crate) struct Listed {
    pub(crate) records: Vec<Bytes>,
    pub(crate) total: usize,
}

pub(crate) struct Store {
    kind: Kind,
    unique: bool,
    idempotency: bool,
    records: HashMap<u64, Stored>,
    timeline: Timeline,
    by_natural: HashMap<String, Vec<u64>>,
    answered: HashMap<String, (u64, Reply)>,
    effects: Vec<Effect>,
    next_id: u64,
    last_stamp: i64,
    pub(crate) frozen: bool,
    pub(crate) bad: Option<BadStore>,
}

impl Store {
    pub(crate) fn new(kind: Kind, unique: bool, idempotency: bool) -> Self {
        Self {
            kind,
            unique,
            idempotency,
            records: HashMap::new(),
            timeline: Timeline::default(),
            by_natural: HashMap::new(),
            answered: HashMap::new(),
            effects: Vec::new(),
            next_id: 1,
            last_stamp: 0,
            frozen: false,
            bad: None,
        }
    }

    /// Carries a write out.
    pub(crate) fn write(&mut self, write: Write<'_>, now: i64) -> Reply {
        let hash = body_hash(write.body);
        let key = write.key.filter(|_| self.idempotency);
        if let Some((before, reply)) = key.and_then(|key| self.answered.get(key)) {
            if *before == hash {
                return reply.clone();
            }
            return Reply::error(
                StatusCode::UNPROCESSABLE_ENTITY,
                "this key came with another request before",
            );
        }
        let reply = match (write.operation, write.id) {
            (Operation::Create, _) => self.create(write.body, now),
            (Operation::Update, Some(id)) => self.update(id, &write, now),
            (Operation::Delete, Some(id)) => self.delete(id, &write),
            (Operation::Update | Operation::Delete, None) => Err(Reply::missing()),
        };
        match reply {
            Ok((id, natural, reply)) => {
                if !write.by_user {
                    self.effects.push(Effect {
                        operation: write.operation,
                        id: self.kind.id_text(id),
                        natural,
                        key: write.key.map(str::to_owned),
                        body_hash: hash,
                        at: now,
                    });
                }
                if let Some(key) = key {
                    self.answered.insert(key.to_owned(), (hash, reply.clone()));
                }
                reply
            }
            Err(reply) => reply,
        }
    }

    fn create(&mut self, body: &[u8], now: i64) -> Result<Done, Reply> {
        let record = self.parse(body)?;
        let natural = self.natural(&record);
        let taken = natural.as_ref().and_then(|n| self.by_natural.get(n)).is_some_and(|ids| !ids.is_empty());
        if self.unique && taken {
            let message = format!("there is such a {} already", self.kind.natural_field());
            return Err(Reply::error(StatusCode::CONFLICT, &message));
        }
        let id = self.next_id;
        self.next_id += 1;
        if let Some(natural) = &natural {
            self.by_natural.entry(natural.clone()).or_default().push(id);
        }
        let stored = self.put(id, record, natural.clone(), now);
        Ok((id, natural, Reply::record(StatusCode::CREATED, stored)))
    }

    fn update(&mut self, id: u64, write: &Write<'_>, now: i64) -> Result<Done, Reply> {
        let patch = self.parse(write.body)?;
        let old = self.current(id, write.only_if)?;
        let (slot, was) = (old.slot, old.natural.clone());
        let mut record: Map<String, Json> = serde_json::from_slice(&old.bytes).unwrap_or_default();
        if self.bad != Some(BadStore::KeepOld) || write.by_user {
            merge(&mut record, patch);
        }
        if let Some(bad) = self.bad.filter(|_| !write.by_user) {
            self.spoil(&mut record, bad);
        }
        let natural = self.natural(&record);
        if natural != was {
            self.rename(id, was, natural.clone());
        }
        self.timeline.remove(slot);
        let stored = self.put(id, record, natural.clone(), now);
        let reply = Reply::record(StatusCode::OK, stored);
        for (id, slot) in self.timeline.compact() {
            if let Some(stored) = self.records.get_mut(&id) {
                stored.slot = slot;
            }
        }
        Ok((id, natural, reply))
    }

    fn delete(&mut self, id: u64, write: &Write<'_>) -> Result<Done, Reply> {
        self.current(id, write.only_if)?;
        let Some(old) = self.records.remove(&id) else { return Err(Reply::missing()) };
        self.timeline.remove(old.slot);
        self.rename(id, old.natural.clone(), None);
        Ok((id, old.natural, Reply { status: StatusCode::NO_CONTENT, body: Bytes::new(), stamp: None }))
    }

    fn current(&self, id: u64, only_if: Option<i64>) -> Result<&Stored, Reply> {
        let stored = self.records.get(&id).ok_or_else(Reply::missing)?;
        match only_if {
            Some(stamp) if stamp != stored.stamp => {
                Err(Reply::error(StatusCode::PRECONDITION_FAILED, "the record is another version by now"))
            }
            _ => Ok(stored),
        }
    }

    fn parse(&self, body: &[u8]) -> Result<Map<String, Json>, Reply> {
        let refused = |message: &str| Reply::error(StatusCode::UNPROCESSABLE_ENTITY, message);
        let mut record: Map<String, Json> = serde_json::from_slice(body)
            .map_err(|e| Reply::error(StatusCode::BAD_REQUEST, &e.to_string()))?;
        self.kind.validate(&record).map_err(|e| refused(&e))?;
        record.remove("id");
        record.remove(self.kind.updated_field());
        Ok(record)
    }

    fn natural(&self, record: &Map<String, Json>) -> Option<String> {
        record.get(self.kind.natural_field()).and_then(Json::as_str).map(str::to_owned)
    }

    fn rename(&mut self, id: u64, was: Option<String>, is: Option<String>) {
        if let Some(was) = was
            && let Some(ids) = self.by_natural.get_mut(&was)
        {
            ids.retain(|other| *other != id);
            if ids.is_empty() {
                self.by_natural.remove(&was);
            }
        }
        if let Some(is) = is {
            self.by_natural.entry(is).or_default().push(id);
        }
    }

    fn put(&mut self, id: u64, mut record: Map<String, Json>, natural: Option<String>, now: i64) -> &Stored {
        if !self.frozen || self.last_stamp == 0 {
            self.last_stamp = self.kind.stamp(now, self.last_stamp);
        }
        let stamp = self.last_stamp;
        record.insert("id".to_owned(), self.kind.id_json(id));
        record.insert(self.kind.updated_field().to_owned(), self.kind.stamp_json(stamp));
        let bytes = serde_json::to_vec(&record).unwrap_or_default().into();
        let slot = self.timeline.push(stamp, id);
        let stored = Stored { bytes, stamp, slot, natural };
        self.records.entry(id).insert_entry(stored).into_mut()
    }

    fn spoil(&self, record: &mut Map<String, Json>, bad: BadStore) {
        for path in self.kind.texts() {
            let Some((first, rest)) = path.split_first() else { continue };
            let place = record.get_mut(*first);
            let place = rest.iter().fold(place, |place, part| place.and_then(|json| json.get_mut(*part)));
            if let Some(Json::String(text)) = place {
                *text = match bad {
                    BadStore::KeepOld => continue,
                    BadStore::Uppercase => text.to_uppercase(),
                    BadStore::Trim => text.trim().to_owned(),
                    BadStore::Cut(length) => text.chars().take(length).collect(),
                };
            }
        }
    }

    pub(crate) fn get(&self, id: u64) -> Reply {
        self.records.get(&id).map_or_else(Reply::missing, |stored| Reply::record(StatusCode::OK, stored))
    }

    pub(crate) fn list(&self, query: &Query) -> Listed {
        let bytes = |id: u64| self.records.get(&id).map(|stored| stored.bytes.clone());
        if let Some(natural) = &query.natural {
            let ids = self.by_natural.get(natural).map(Vec::as_slice).unwrap_or_default();
            let wanted = ids.iter().filter_map(|id| self.records.get(id));
            let wanted = wanted.filter(|stored| query.since.is_none_or(|since| stored.stamp >= since));
            let records =
                wanted.skip(query.offset).take(query.limit).map(|stored| stored.bytes.clone()).collect();
            return Listed { records, total: ids.len() };
        }
        let start = self.timeline.start(query.since);
        let records = self.timeline.page(start, query.offset).take(query.limit).filter_map(bytes).collect();
        Listed { records, total: self.timeline.count_from(start) }
    }

    /// Ids of the records with this permit number.
    pub(crate) fn find(&self, natural: &str) -> &[u64] {
        self.by_natural.get(natural).map(Vec::as_slice).unwrap_or_default()
    }

    /// All records, in order of their ids.
    pub(crate) fn snapshot(&self) -> Vec<Bytes> {
        let mut all: Vec<_> = self.records.iter().map(|(id, stored)| (*id, stored.bytes.clone())).collect();
        all.sort_unstable_by_key(|(id, _)| *id);
        all.into_iter().map(|(_, bytes)| bytes).collect()
    }

    pub(crate) fn len(&self) -> usize {
        self.records.len()
    }

    pub(crate) fn effects(&self) -> &[Effect] {
        &self.effects
    }

    pub(crate) fn forget_keys(&mut self) {
        self.answered.clear();
    }
}

/// The record, its permit number, and the answer.
type Done = (u64, Option<String>, Reply);

/// Members of `patch` replace those of `record`; objects merge.
fn merge(record: &mut Map<String, Json>, patch: Map<String, Json>) {
    for (name, value) in patch {
        match (record.get_mut(&name), value) {
            (Some(Json::Object(old)), Json::Object(new)) => merge(old, new),
            (_, value) => {
                record.insert(name, value);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests may panic")]
    use super::*;
    use serde_json::json;

    fn write(
        operation: Operation,
        id: Option<u64>,
        body: &'static [u8],
        key: Option<&'static str>,
    ) -> Write<'static> {
        Write { operation, id, body, key, only_if: None, by_user: false }
    }

    #[test]
    fn a_key_is_carried_out_once() {
        let mut store = Store::new(Kind::Marshal, false, true);
        let create = write(Operation::Create, None, br#"{"permitId":"P-1"}"#, Some("k"));
        let first = store.write(create, 10_000);
        let again = store.write(create, 20_000);
        assert_eq!((first.status, first.body), (StatusCode::CREATED, again.body));
        assert_eq!((store.len(), store.effects().len()), (1, 1));
        let other = store.write(write(Operation::Create, None, b"{}", Some("k")), 30_000);
        assert_eq!(other.status, StatusCode::UNPROCESSABLE_ENTITY);
        store.forget_keys();
        store.write(create, 40_000);
        assert_eq!(crate::effect::doubled(store.effects()), 1);
    }

    #[test]
    fn patches_merge_and_versions_are_checked() {
        let mut store = Store::new(Kind::Clerk, true, false);
        let body = br#"{"permit_no":"P-1","location":{"address":"a","zip":"1"}}"#;
        let stamp = store.write(write(Operation::Create, None, body, None), 5).stamp;
        let again = store.write(write(Operation::Create, None, body, None), 5);
        assert_eq!(again.status, StatusCode::CONFLICT);
        let mut patch = write(Operation::Update, Some(1), br#"{"location":{"address":"b"},"id":9}"#, None);
        patch.only_if = stamp;
        let reply = store.write(patch, 5);
        let record: Json = serde_json::from_slice(&reply.body).unwrap();
        assert_eq!(record["location"], json!({ "address": "b", "zip": "1" }));
        assert_eq!((record["id"].clone(), reply.stamp), (json!(1), Some(6)));
        assert_eq!(store.write(patch, 5).status, StatusCode::PRECONDITION_FAILED);
        assert_eq!(
            store.write(write(Operation::Delete, Some(1), b"", None), 5).status,
            StatusCode::NO_CONTENT
        );
        assert_eq!(
            store.write(write(Operation::Delete, Some(1), b"", None), 5).status,
            StatusCode::NOT_FOUND
        );
        assert_eq!(store.find("P-1"), &[] as &[u64]);
    }

    #[test]
    fn a_frozen_clock_gives_equal_stamps() {
        let mut store = Store::new(Kind::Clerk, false, false);
        store.write(write(Operation::Create, None, b"{}", None), 5);
        store.frozen = true;
        let stamps: Vec<_> =
            (6..9).map(|now| store.write(write(Operation::Create, None, b"{}", None), now).stamp).collect();
        assert_eq!(stamps, [Some(5); 3]);
    }
}
