//! A simulated side: records in the side's own shape, ids, version tags, and moods.
//!
//! It knows nothing of the sync. What people do to it and what is written to it go
//! the same way; only a mood makes a difference between the two.

use hms_sync_connector::{
    Content, Cursor, Observation, Page, PageToken, ReadRequest, Scope, Target, WriteRequest,
};
use hms_sync_model::{InvalidName, NativeId, Outcome, Tag, Time, Written};
use serde_json::{Map, Value as Json};
use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// Records on one page.
const PAGE_RECORDS: usize = 100;

/// A record in a side's shape.
pub(crate) type Doc = Map<String, Json>;

/// What a side makes of a write: what stood there before (nothing for a create), and what
/// is about to be stored, which it may change. An error refuses the write in these words.
pub type Habit = Arc<dyn Fn(&Map<String, Json>, &mut Map<String, Json>) -> Result<(), String> + Send + Sync>;

/// What becomes of the next write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Trouble {
    /// It is carried out and the answer is lost.
    AnswerLost,
    /// It is not carried out, and whether it was nobody can tell.
    RequestLost,
    /// The side cannot take it now and asks to be left alone for so long.
    Later(Duration),
}

/// How a side behaves.
#[derive(Clone)]
pub struct Mood {
    /// Its records have version tags.
    pub tags: bool,
    /// It tells when a record was last changed.
    pub modified: bool,
    /// It answers a write with the record as it stored it.
    pub answers: bool,
    /// The members that such an answer shows, if it does not show all.
    pub answers_only: Option<Vec<String>>,
    /// How far what it shows lags behind what it holds.
    pub lag: Duration,
    /// How far its clock is ahead of ours, in microseconds.
    pub clock_ahead_us: i64,
    /// What it makes of what is written to it.
    pub habit: Option<Habit>,
    /// What becomes of the next writes, in order.
    pub troubles: VecDeque<Trouble>,
}

impl fmt::Debug for Mood {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mood")
            .field("tags", &self.tags)
            .field("modified", &self.modified)
            .field("answers", &self.answers)
            .field("answers_only", &self.answers_only)
            .field("lag", &self.lag)
            .field("clock_ahead_us", &self.clock_ahead_us)
            .field("habit", &self.habit.is_some())
            .field("troubles", &self.troubles)
            .finish()
    }
}

/// One record, as it stood from one time on.
#[derive(Debug, Clone)]
struct Row {
    doc: Doc,
    version: u64,
    /// Its place in the order of changes.
    changed: u64,
    at: Time,
}

/// One record's life: what stood there from when on.
type Life = Vec<(Time, Option<Row>)>;

/// One side's records of one collection.
#[derive(Debug)]
pub(crate) struct Side {
    pub(crate) mood: Mood,
    lives: BTreeMap<NativeId, Life>,
    changes: u64,
    ids: u64,
    done: BTreeMap<String, Written>,
    keys: bool,
    incremental: bool,
    /// A record was removed since everything was last listed.
    pub(crate) removed: bool,
    /// Records that were made one with others: asked for, the others are shown.
    merged: BTreeMap<NativeId, NativeId>,
}

impl Side {
    pub(crate) fn new(abilities: hms_sync_connector::Abilities) -> Self {
        let mood = Mood {
            tags: abilities.precondition,
            modified: true,
            answers: true,
            answers_only: None,
            lag: Duration::ZERO,
            clock_ahead_us: 0,
            habit: None,
            troubles: VecDeque::new(),
        };
        let (keys, incremental) = (abilities.idempotency_key, abilities.incremental);
        let (lives, done) = (BTreeMap::new(), BTreeMap::new());
        Self {
            mood,
            lives,
            changes: 0,
            ids: 0,
            done,
            keys,
            incremental,
            removed: false,
            merged: BTreeMap::new(),
        }
    }

    fn row(&self, id: &NativeId) -> Option<&Row> {
        self.lives.get(id)?.last()?.1.as_ref()
    }

    /// What stood there at `at`.
    fn row_at(&self, id: &NativeId, at: Time) -> Option<&Row> {
        self.lives.get(id)?.iter().rev().find(|(from, _)| *from <= at)?.1.as_ref()
    }

    /// The record as it stands.
    pub(crate) fn doc(&self, id: &NativeId) -> Option<&Doc> {
        self.row(id).map(|row| &row.doc)
    }

    /// The ids of all records that are there.
    pub(crate) fn ids(&self) -> impl Iterator<Item = &NativeId> {
        self.lives.keys().filter(|id| self.row(id).is_some())
    }

    fn put(&mut self, id: &NativeId, doc: Option<Doc>, now: Time) {
        self.changes += 1;
        let version = self.row(id).map_or(1, |row| row.version + 1);
        let changed = self.changes;
        self.removed |= doc.is_none();
        let row = doc.map(|doc| Row { doc, version, changed, at: now });
        self.lives.entry(id.clone()).or_default().push((now, row));
    }

    /// A new record.
    pub(crate) fn insert(&mut self, doc: Doc, now: Time) -> Result<NativeId, InvalidName> {
        self.ids += 1;
        let id = NativeId::try_new(format!("n{}", self.ids))?;
        self.put(&id, Some(doc), now);
        Ok(id)
    }

    /// Puts a record there under an id that the side had used before, or not.
    pub(crate) fn insert_as(&mut self, id: &NativeId, doc: Doc, now: Time) {
        self.merged.remove(id);
        self.put(id, Some(doc), now);
    }

    /// Another content of a record that is there. Answers whether it was.
    pub(crate) fn change(&mut self, id: &NativeId, doc: Doc, now: Time) -> bool {
        let there = self.row(id).is_some();
        if there {
            self.put(id, Some(doc), now);
        }
        there
    }

    /// Removes a record. Answers whether it was there.
    pub(crate) fn remove(&mut self, id: &NativeId, now: Time) -> bool {
        let there = self.row(id).is_some();
        if there {
            self.put(id, None, now);
        }
        there
    }

    /// Puts everything back to how it stood at `at`, version tags and times with it, as from a
    /// backup: nothing of it is a change that a poll for changes would show.
    pub(crate) fn put_back(&mut self, at: Time, now: Time) {
        let ids: Vec<NativeId> = self.lives.keys().cloned().collect();
        for id in ids {
            let row = self.row_at(&id, at).cloned();
            self.lives.entry(id).or_default().push((now, row));
        }
        self.done.clear();
    }

    fn tag(&self, row: &Row) -> Option<Tag> {
        let named = || Tag::try_new(format!("v{}", row.version)).ok();
        if self.mood.tags { named() } else { None }
    }

    fn view(&self, id: &NativeId, at: Time) -> Option<Observation> {
        let row = self.row_at(id, at)?;
        let told = Time(row.at.0.saturating_add(self.mood.clock_ahead_us));
        Some(Observation {
            id: id.clone(),
            tag: self.tag(row),
            modified: self.mood.modified.then_some(told),
            content: Content::Whole(Json::Object(row.doc.clone())),
        })
    }

    /// One record, as the side shows it.
    pub(crate) fn fetch(&self, id: &NativeId, now: Time) -> Observation {
        let gone = Observation { id: id.clone(), tag: None, modified: None, content: Content::Gone };
        let (at, id) = (now.minus(self.mood.lag), self.merged.get(id).unwrap_or(id));
        self.view(id, at).unwrap_or(gone)
    }

    /// Makes one of two records: who asks for the first is shown the second. Answers whether
    /// both were there.
    pub(crate) fn merge(&mut self, id: &NativeId, into: &NativeId, now: Time) -> bool {
        let both = self.row(id).is_some() && self.row(into).is_some();
        if both {
            self.put(id, None, now);
            self.merged.insert(id.clone(), into.clone());
        }
        both
    }

    /// The records that show all that `identity` says.
    pub(crate) fn lookup(&self, identity: &Json, now: Time) -> Vec<Observation> {
        let at = now.minus(self.mood.lag);
        let found = self.lives.keys().filter_map(|id| self.view(id, at));
        found.filter(|seen| matches!(&seen.content, Content::Whole(doc) if holds(doc, identity))).collect()
    }

    /// One page, by order of change.
    pub(crate) fn page(&self, request: &ReadRequest, now: Time) -> Page {
        let at = now.minus(self.mood.lag);
        let number = |text: &str| text.parse().unwrap_or(0);
        let from: u64 = match (&request.after, &request.scope) {
            (Some(token), _) => number(&token.0),
            (None, Scope::Since(cursor)) if self.incremental => number(&cursor.0),
            (None, Scope::Since(_) | Scope::Everything) => 0,
        };
        let rows = self.lives.keys().filter_map(|id| Some((id, self.row_at(id, at)?)));
        let mut rows: Vec<_> = rows.filter(|(_, row)| row.changed > from).collect();
        rows.sort_by_key(|(_, row)| row.changed);
        let more = rows.len() > PAGE_RECORDS;
        rows.truncate(PAGE_RECORDS);
        let last = rows.last().map_or(from, |(_, row)| row.changed);
        Page {
            records: rows.iter().filter_map(|(id, _)| self.view(id, at)).collect(),
            next: more.then(|| PageToken(last.to_string())),
            cursor: Some(Cursor(last.to_string())),
            ..Page::default()
        }
    }

    /// Carries out a write, as the mood has it.
    pub(crate) fn write(&mut self, request: &WriteRequest, now: Time) -> Outcome {
        if let Some(written) = self.done.get(request.key.as_str()).filter(|_| self.keys) {
            return Outcome::Applied(written.clone());
        }
        match self.mood.troubles.pop_front() {
            None => self.carry_out(request, now),
            Some(Trouble::AnswerLost) => {
                self.carry_out(request, now);
                Outcome::Unknown { reason: "the connection broke".to_owned() }
            }
            Some(Trouble::RequestLost) => Outcome::Unknown { reason: "the connection broke".to_owned() },
            Some(Trouble::Later(after)) => {
                let reason = "503: come back later".to_owned();
                Outcome::RetryLater { reason, after: Some(after), side_wide: false }
            }
        }
    }

    fn carry_out(&mut self, request: &WriteRequest, now: Time) -> Outcome {
        let outcome = match &request.target {
            Target::Create => self.create(&request.changed, now),
            Target::Update(id, tag) => self.update(id, tag.as_ref(), &request.changed, now),
            Target::Delete(id, tag) => self.delete(id, tag.as_ref(), now),
        };
        if let Outcome::Applied(written) = &outcome {
            self.done.insert(request.key.to_string(), written.clone());
        }
        outcome
    }

    /// What the side's mood makes of what is to be stored.
    fn accustomed(&self, before: &Doc, after: &mut Doc) -> Result<(), Outcome> {
        let Some(habit) = self.mood.habit.clone() else { return Ok(()) };
        habit(before, after).map_err(|words| Outcome::Rejected { reason: format!("422: {words}") })
    }

    fn written(&self, id: &NativeId) -> Outcome {
        let row = self.row(id);
        let says = |member: &String| self.mood.answers_only.as_ref().is_none_or(|only| only.contains(member));
        let said = |row: &Row| {
            let members = row.doc.iter().filter(|(name, _)| says(name));
            Json::Object(members.map(|(name, value)| (name.clone(), value.clone())).collect())
        };
        let stored = row.filter(|_| self.mood.answers).map(said);
        Outcome::Applied(Written { id: id.clone(), tag: row.and_then(|row| self.tag(row)), stored })
    }

    fn create(&mut self, changed: &Json, now: Time) -> Outcome {
        let mut doc = changed.as_object().cloned().unwrap_or_default();
        if let Err(refused) = self.accustomed(&Doc::new(), &mut doc) {
            return refused;
        }
        match self.insert(doc, now) {
            Ok(id) => self.written(&id),
            Err(why) => Outcome::Rejected { reason: why.to_string() },
        }
    }

    /// Whether the record is not the version that the write was made for.
    fn moved_on(&self, row: &Row, tag: Option<&Tag>) -> bool {
        tag.is_some() && tag != self.tag(row).as_ref()
    }

    fn update(&mut self, id: &NativeId, tag: Option<&Tag>, changed: &Json, now: Time) -> Outcome {
        let Some(row) = self.row(id) else { return Outcome::Gone };
        if self.moved_on(row, tag) {
            return Outcome::Conflict { reason: "412".to_owned() };
        }
        let before = row.doc.clone();
        let mut doc = before.clone();
        overlay(&mut doc, changed);
        if let Err(refused) = self.accustomed(&before, &mut doc) {
            return refused;
        }
        self.change(id, doc, now);
        self.written(id)
    }

    fn delete(&mut self, id: &NativeId, tag: Option<&Tag>, now: Time) -> Outcome {
        let Some(row) = self.row(id) else { return Outcome::Noop };
        if self.moved_on(row, tag) {
            return Outcome::Conflict { reason: "412".to_owned() };
        }
        self.put(id, None, now);
        Outcome::Applied(Written { id: id.clone(), tag: None, stored: None })
    }
}

/// Whether `doc` says all that `part` says.
fn holds(doc: &Json, part: &Json) -> bool {
    match part {
        Json::Object(members) => {
            members.iter().all(|(key, value)| doc.get(key).is_some_and(|d| holds(d, value)))
        }
        other => doc == other,
    }
}

/// Lays the members of `changed` over those of `doc`, object by object.
pub(crate) fn overlay(doc: &mut Doc, changed: &Json) {
    for (key, value) in changed.as_object().into_iter().flatten() {
        match (doc.get_mut(key), value) {
            (Some(Json::Object(inner)), Json::Object(_)) => overlay(inner, value),
            _ => {
                doc.insert(key.clone(), value.clone());
            }
        }
    }
}
