//! A simulated side: a small API with records, versions and moods.

use hms_sync_connector::{
    Abilities, Content, Cursor, Observation, Page, ReadRequest, Scope, Target, WriteRequest,
};
use hms_sync_model::{NativeId, Outcome, Tag, Time, Written};
use serde_json::{Map, Value as Json};
use std::collections::{BTreeMap, HashMap};

/// How a side behaves, chosen by the seed.
#[derive(Debug, Clone, Copy)]
pub struct Mood {
    pub etags: bool,
    pub keys: bool,
    pub bodies: bool,
    pub unique: bool,
    pub modified: bool,
    /// Field `note` is stored in capitals.
    pub shouts: bool,
}

#[derive(Debug, Clone)]
pub struct Row {
    pub doc: Map<String, Json>,
    pub version: u64,
    pub changed: u64,
    pub at: Time,
    /// What it held before each edit of a user.
    pub earlier: Vec<Map<String, Json>>,
}

#[derive(Debug)]
pub struct SimSide {
    pub mood: Mood,
    pub rows: BTreeMap<String, Row>,
    pub changes: u64,
    pub ids: u64,
    pub keys: HashMap<String, Written>,
    /// Creates carried out, by natural key: twice is a doubled effect.
    pub creates: Vec<(String, String)>,
    pub writes: u64,
    pub key_field: &'static str,
}

impl SimSide {
    pub fn new(mood: Mood, key_field: &'static str) -> Self {
        Self {
            mood,
            rows: BTreeMap::new(),
            changes: 0,
            ids: 0,
            keys: HashMap::new(),
            creates: Vec::new(),
            writes: 0,
            key_field,
        }
    }

    pub fn abilities(&self) -> Abilities {
        Abilities {
            read: true,
            incremental: true,
            fetch: true,
            lookup: true,
            create: true,
            update: true,
            delete: true,
            idempotency_key: self.mood.keys,
            key_valid_for: None,
            precondition: self.mood.etags,
        }
    }

    fn touch(&mut self, id: &str, now: Time) {
        self.changes += 1;
        let changed = self.changes;
        if let Some(row) = self.rows.get_mut(id) {
            row.version += 1;
            row.changed = changed;
            row.at = now;
        }
    }

    pub fn insert(&mut self, doc: Map<String, Json>, now: Time) -> String {
        self.ids += 1;
        let id = format!("n{}", self.ids);
        self.rows.insert(id.clone(), Row { doc, version: 0, changed: 0, at: now, earlier: Vec::new() });
        self.shout(&id);
        self.touch(&id, now);
        id
    }

    /// A user puts a record back to what it was before one of their edits.
    pub fn undo(&mut self, id: &str, which: usize, now: Time) {
        if let Some(row) = self.rows.get_mut(id)
            && let Some(earlier) = row.earlier.get(which)
        {
            row.doc.clone_from(earlier);
            self.touch(id, now);
        }
    }

    pub fn set(&mut self, id: &str, fields: &Map<String, Json>, now: Time) {
        if let Some(row) = self.rows.get_mut(id) {
            row.doc.extend(fields.clone());
            self.shout(id);
            self.touch(id, now);
        }
    }

    fn shout(&mut self, id: &str) {
        if let Some(row) = self.rows.get_mut(id).filter(|_| self.mood.shouts)
            && let Some(Json::String(text)) = row.doc.get_mut("note")
        {
            *text = text.to_uppercase();
        }
    }

    fn view(&self, id: &str) -> Option<Observation> {
        let row = self.rows.get(id)?;
        let mut doc = row.doc.clone();
        doc.insert("id".into(), id.into());
        Some(Observation {
            id: NativeId::try_new(id).unwrap(),
            tag: self.mood.etags.then(|| Tag::try_new(format!("v{}", row.version)).unwrap()),
            modified: self.mood.modified.then_some(row.at),
            content: Content::Whole(Json::Object(doc)),
        })
    }

    pub fn len(&self) -> usize {
        self.rows.len()
    }

    pub fn fetch(&self, id: &NativeId) -> Observation {
        let gone = Observation { id: id.clone(), tag: None, modified: None, content: Content::Gone };
        self.view(id.as_str()).unwrap_or(gone)
    }

    pub fn lookup(&self, identity: &Json) -> Vec<Observation> {
        let wanted = &identity[self.key_field];
        let ids = self.rows.iter().filter(|(_, row)| row.doc.get(self.key_field) == Some(wanted));
        ids.filter_map(|(id, _)| self.view(id)).collect()
    }

    /// Pages of three, by order of change; the token is where the next starts.
    pub fn page(&self, request: &ReadRequest) -> Page {
        let from = match (&request.after, &request.scope) {
            (Some(token), _) => token.0.parse().unwrap(),
            // One step back, as a window of overlap.
            (None, Scope::Since(cursor)) => cursor.0.parse::<u64>().unwrap().saturating_sub(1),
            (None, Scope::Everything) => 0,
        };
        let mut rows: Vec<(&String, &Row)> = self.rows.iter().filter(|(_, row)| row.changed > from).collect();
        rows.sort_by_key(|(_, row)| row.changed);
        let page: Vec<_> = rows.iter().take(3).collect();
        let last = page.last().map_or(from, |(_, row)| row.changed);
        let more = rows.len() > page.len();
        Page {
            records: page.iter().filter_map(|(id, _)| self.view(id)).collect(),
            next: more.then(|| hms_sync_connector::PageToken(last.to_string())),
            cursor: Some(Cursor(last.to_string())),
            ..Page::default()
        }
    }

    pub fn write(&mut self, request: &WriteRequest, now: Time) -> Outcome {
        if let Some(written) = self.keys.get(request.key.as_str()).filter(|_| self.mood.keys) {
            return Outcome::Applied(written.clone());
        }
        self.writes += 1;
        let Json::Object(doc) = Json::clone(&request.changed) else {
            return Outcome::Rejected { reason: "not an object".into() };
        };
        let outcome = match &request.target {
            Target::Create => self.create(doc, now),
            Target::Update(id, tag) => self.update(id, tag.as_ref(), &doc, now),
            Target::Delete(id, tag) => self.delete(id, tag.as_ref()),
        };
        if let Outcome::Applied(written) = &outcome {
            self.keys.insert(request.key.to_string(), written.clone());
        }
        outcome
    }

    fn written(&self, id: &str) -> Outcome {
        let seen = self.view(id).unwrap();
        let Content::Whole(doc) = seen.content else { unreachable!() };
        Outcome::Applied(Written { id: seen.id, tag: seen.tag, stored: self.mood.bodies.then_some(doc) })
    }

    fn create(&mut self, doc: Map<String, Json>, now: Time) -> Outcome {
        let natural = doc.get(self.key_field).and_then(Json::as_str).unwrap_or_default().to_owned();
        let taken =
            self.rows.values().any(|row| row.doc.get(self.key_field) == Some(&Json::from(natural.as_str())));
        if taken && self.mood.unique {
            return Outcome::Exists { reason: "409".into() };
        }
        let id = self.insert(doc, now);
        self.creates.push((natural, id.clone()));
        self.written(&id)
    }

    fn stale(&self, id: &str, tag: Option<&Tag>) -> bool {
        let row = self.rows.get(id);
        tag.is_some()
            && row.is_some_and(|row| tag.map(Tag::as_str) != Some(format!("v{}", row.version).as_str()))
    }

    fn update(&mut self, id: &NativeId, tag: Option<&Tag>, doc: &Map<String, Json>, now: Time) -> Outcome {
        if !self.rows.contains_key(id.as_str()) {
            return Outcome::Gone;
        }
        if self.stale(id.as_str(), tag) {
            return Outcome::Conflict { reason: "412".into() };
        }
        self.set(id.as_str(), doc, now);
        self.written(id.as_str())
    }

    fn delete(&mut self, id: &NativeId, tag: Option<&Tag>) -> Outcome {
        if self.stale(id.as_str(), tag) {
            return Outcome::Conflict { reason: "412".into() };
        }
        match self.rows.remove(id.as_str()) {
            Some(_) => Outcome::Applied(Written { id: id.clone(), tag: None, stored: None }),
            None => Outcome::Noop,
        }
    }
}
