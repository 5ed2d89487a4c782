//! A side of the laws' worlds: rows, moods, and what it does with requests.

use hms_sync_connector::{Abilities, Content, LookupRequest, Observation, Page, Target, WriteRequest};
use hms_sync_model::{NativeId, Outcome, Tag, Time, Written};
use serde_json::{Map, Value as Json};
use std::collections::{BTreeMap, HashMap};

/// The fields, the identity first; `status` and `since` are a group in some worlds.
pub const FIELDS: [&str; 5] = ["no", "status", "since", "note", "by"];
pub const NO: usize = 0;
pub const NOTE: usize = 3;
pub const BY: usize = 4;

/// The values of one record, by field.
pub type Doc = [Option<String>; FIELDS.len()];

/// How a side behaves.
#[derive(Debug, Clone)]
pub struct Mood {
    pub tags: bool,
    pub bodies: bool,
    pub keys: bool,
    pub modified: bool,
    /// `note` is stored in capitals.
    pub shouts: bool,
    /// Writes of `by` are answered and not kept.
    pub ignores: bool,
    /// Who writes `status` and not `by` finds `by` changed.
    pub automation: bool,
    pub maps: [bool; FIELDS.len()],
    /// A row that is written anew is not shown by reads for so long.
    pub slow: i64,
    /// Reads show rows as they stood so long ago: they are answered by a replica.
    pub lag: i64,
}

impl Mood {
    pub fn new(rng: &mut fastrand::Rng, first: bool) -> Self {
        let mut one_in = |n: u8| rng.u8(0..n) == 0;
        let (ignores, automation, partial) = (one_in(6), one_in(4), one_in(3));
        let mut mood = Self {
            tags: one_in(2),
            bodies: one_in(2),
            keys: one_in(2),
            modified: one_in(2),
            shouts: one_in(4),
            ignores,
            automation: automation && !ignores,
            maps: [true; FIELDS.len()],
            slow: 0,
            lag: 0,
        };
        // Whether a write that nobody saw was kept, or undone by a user before a later edit,
        // cannot be told where a tag says that somebody edited and no answer says what was stored.
        mood.bodies |= mood.ignores && mood.tags;
        if partial && !first {
            for field in &mut mood.maps[1..] {
                *field = rng.bool();
            }
        }
        mood
    }

    pub fn abilities(&self) -> Abilities {
        Abilities {
            read: true,
            incremental: false,
            fetch: true,
            lookup: true,
            create: true,
            update: true,
            delete: true,
            idempotency_key: self.keys,
            key_valid_for: None,
            precondition: self.tags,
        }
    }
}

/// A row as it stood at some time.
#[derive(Debug, Clone)]
pub struct State {
    pub doc: Doc,
    pub version: u64,
    /// How many edits had been made on this side of this record.
    pub made: u64,
    pub at: i64,
    /// From when on it stood there.
    since: i64,
    pub gone: bool,
}

#[derive(Debug)]
pub struct Row {
    /// Which record.
    pub no: usize,
    /// The newest last.
    pub states: Vec<State>,
    /// From when on reads show it.
    pub shown_from: i64,
}

impl Row {
    pub fn now(&self) -> &State {
        self.states.last().unwrap()
    }

    /// As reads show it, which lag by so much; nothing if they do not show it yet.
    fn read(&self, lag: i64, now: i64) -> Option<&State> {
        if lag == 0 {
            return Some(self.now());
        }
        self.states.iter().rev().find(|state| state.since + lag <= now)
    }
}

/// What a request to a side shows: observations, with what edits each of them has in it.
#[derive(Debug, Default)]
pub struct Shown {
    pub made: Vec<(String, u64)>,
    /// What a replica showed of rows that stand otherwise by now.
    pub old: HashMap<String, Doc>,
}

impl Shown {
    fn note(&mut self, id: &str, state: &State, lag: i64) {
        self.made.push((id.to_owned(), state.made));
        if lag > 0 {
            self.old.insert(id.to_owned(), state.doc.clone());
        }
    }
}

#[derive(Debug)]
pub struct Side {
    pub mood: Mood,
    pub rows: BTreeMap<String, Row>,
    ids: u64,
    versions: u64,
    /// What it answered to which key, and how many edits there had been.
    keys: HashMap<String, (Written, u64)>,
    pub writes: u64,
}

/// What a write did.
pub struct Done {
    pub outcome: Outcome,
    /// The row, and the fields that were kept.
    pub kept: Option<(String, [bool; FIELDS.len()])>,
    /// Whether the side's automation changed `by`.
    pub automated: bool,
    /// How many edits of its people the answer has in it, where that is not all of them.
    pub made: Option<u64>,
}

impl Done {
    fn nothing(outcome: Outcome) -> Self {
        Self { outcome, kept: None, automated: false, made: None }
    }
}

impl Side {
    pub fn new(mood: Mood) -> Self {
        Self { mood, rows: BTreeMap::new(), ids: 0, versions: 0, keys: HashMap::new(), writes: 0 }
    }

    fn stored(&self, field: usize, value: String) -> String {
        if field == NOTE && self.mood.shouts { value.to_uppercase() } else { value }
    }

    /// Puts a new row there. Answers with its id.
    pub fn insert(&mut self, no: usize, doc: Doc, made: u64, now: i64) -> String {
        self.ids += 1;
        self.versions += 1;
        let id = format!("n{}", self.ids);
        let doc: Doc = std::array::from_fn(|f| doc[f].clone().map(|value| self.stored(f, value)));
        let state = State { doc, version: self.versions, made, at: now, since: now, gone: false };
        self.rows.insert(id.clone(), Row { no, states: vec![state], shown_from: 0 });
        id
    }

    /// Changes some fields of a row.
    pub fn set(&mut self, id: &str, changes: Vec<(usize, Option<String>)>, made: u64, now: i64) {
        self.versions += 1;
        let version = self.versions;
        let changes: Vec<_> =
            changes.into_iter().map(|(f, v)| (f, v.map(|value| self.stored(f, value)))).collect();
        let row = self.rows.get_mut(id).unwrap();
        let mut state = State { version, made, at: now, since: now, ..row.now().clone() };
        changes.into_iter().for_each(|(field, value)| state.doc[field] = value);
        row.states.push(state);
    }

    pub fn remove(&mut self, id: &str, made: u64, now: i64) {
        let row = self.rows.get_mut(id).unwrap();
        let state = State { gone: true, made, since: now, ..row.now().clone() };
        row.states.push(state);
    }

    /// The row of a record, if it is there.
    pub fn row_of(&self, no: usize) -> Option<(&String, &State)> {
        let rows = self.rows.iter().map(|(id, row)| (id, row.no, row.now()));
        rows.filter(|(_, of, state)| *of == no && !state.gone).map(|(id, _, state)| (id, state)).next()
    }

    fn json(&self, id: &str, doc: &Doc) -> Json {
        let mut fields: Map<String, Json> = Map::new();
        for (f, value) in doc.iter().enumerate().filter(|(f, _)| self.mood.maps[*f]) {
            if let Some(value) = value {
                fields.insert(FIELDS[f].into(), value.as_str().into());
            }
        }
        fields.insert("id".into(), id.into());
        Json::Object(fields)
    }

    fn tag(&self, state: &State) -> Option<Tag> {
        self.mood.tags.then(|| Tag::try_new(format!("v{}", state.version)).unwrap())
    }

    fn view(&self, id: &str, state: &State) -> Observation {
        Observation {
            id: NativeId::try_new(id).unwrap(),
            tag: self.tag(state),
            modified: self.mood.modified.then_some(Time(super::world::EPOCH + state.at)),
            content: Content::Whole(self.json(id, &state.doc)),
        }
    }

    /// Whether people have done something to a row that reads do not show yet.
    pub fn has_unread(&self, id: &str, now: i64) -> bool {
        let row = self.rows.get(id);
        // The last read was a little earlier.
        let lag = if self.mood.lag > 0 { self.mood.lag + 1_000_000 } else { 0 };
        row.is_some_and(|row| row.read(lag, now).is_none_or(|read| read.made < row.now().made))
    }

    pub fn page(&self, shown: &mut Shown, now: i64) -> Page {
        let mut records = Vec::new();
        let rows = self.rows.iter().filter(|(_, row)| row.shown_from <= now);
        let rows = rows.filter_map(|(id, row)| Some((id, row.read(self.mood.lag, now)?)));
        for (id, state) in rows.filter(|(_, state)| !state.gone) {
            shown.note(id, state, self.mood.lag);
            records.push(self.view(id, state));
        }
        Page { records, ..Page::default() }
    }

    pub fn fetch(&self, id: &str, shown: &mut Shown, now: i64) -> Observation {
        let hidden = self.rows.get(id).is_some_and(|row| row.shown_from > now);
        match self.rows.get(id).and_then(|row| row.read(self.mood.lag, now)) {
            Some(state) if !state.gone && !hidden => {
                shown.note(id, state, if now == i64::MAX { 0 } else { self.mood.lag });
                self.view(id, state)
            }
            state => {
                shown.made.push((id.to_owned(), state.map_or(0, |state| state.made)));
                Observation {
                    id: NativeId::try_new(id).unwrap(),
                    tag: None,
                    modified: None,
                    content: Content::Gone,
                }
            }
        }
    }

    pub fn lookup(&self, request: &LookupRequest, shown: &mut Shown, now: i64) -> Vec<Observation> {
        let wanted = request.identity[FIELDS[NO]].as_str();
        let rows = self.rows.iter().filter_map(|(id, row)| Some((id, row.read(self.mood.lag, now)?)));
        let there = rows.filter(|(_, state)| !state.gone && state.doc[NO].as_deref() == wanted);
        there
            .map(|(id, state)| {
                shown.note(id, state, self.mood.lag);
                self.view(id, state)
            })
            .collect()
    }

    /// Carries a write out.
    pub fn write(&mut self, request: &WriteRequest, no: usize, made: u64, now: i64, auto: &str) -> Done {
        if let Some((written, made)) = self.keys.get(request.key.as_str()).filter(|_| self.mood.keys) {
            return Done { made: Some(*made), ..Done::nothing(Outcome::Applied(written.clone())) };
        }
        self.writes += 1;
        let value = |name: &str| request.changed.get(name).map(|v| v.as_str().map(str::to_owned));
        let changes: Vec<(usize, Option<String>)> = (0..FIELDS.len())
            .filter(|f| self.mood.maps[*f])
            .filter_map(|f| value(FIELDS[f]).map(|v| (f, v)))
            .collect();
        let mut kept = [false; FIELDS.len()];
        let creates = matches!(request.target, Target::Create);
        let ignored = |f: usize| f == BY && self.mood.ignores && !creates;
        changes.iter().filter(|(f, _)| !ignored(*f)).for_each(|(f, _)| kept[*f] = true);
        let keeps: Vec<_> = changes.into_iter().filter(|(f, _)| kept[*f]).collect();
        let id = match &request.target {
            Target::Create if self.row_of(no).is_some() => {
                return Done::nothing(Outcome::Exists { reason: "409".into() });
            }
            Target::Create => {
                let mut doc = Doc::default();
                keeps.into_iter().for_each(|(f, v)| doc[f] = v);
                let id = self.insert(no, doc, made, now);
                self.rows.get_mut(&id).unwrap().shown_from = now + self.mood.slow;
                id
            }
            Target::Update(id, tag) | Target::Delete(id, tag) => {
                let id = id.as_str();
                let Some(row) = self.rows.get(id).filter(|row| !row.now().gone) else {
                    let deletes = matches!(request.target, Target::Delete(..));
                    return Done::nothing(if deletes { Outcome::Noop } else { Outcome::Gone });
                };
                if tag.is_some() && *tag != self.tag(row.now()) {
                    return Done::nothing(Outcome::Conflict { reason: "412".into() });
                }
                if matches!(request.target, Target::Delete(..)) {
                    self.remove(id, made, now);
                    let written = Written { id: NativeId::try_new(id).unwrap(), tag: None, stored: None };
                    return Done::nothing(Outcome::Applied(written));
                }
                self.set(id, keeps, made, now);
                id.to_owned()
            }
        };
        let automated = (self.mood.automation && self.mood.maps[BY] && kept[1] && !kept[BY] && !creates)
            .then(|| auto.to_owned());
        if let Some(value) = &automated {
            self.set(&id, vec![(BY, Some(value.clone()))], made + 1, now);
        }
        let state = self.rows[&id].now();
        let stored = self.mood.bodies.then(|| self.json(&id, &state.doc));
        let written = Written { id: NativeId::try_new(id.as_str()).unwrap(), tag: self.tag(state), stored };
        let automated = automated.is_some();
        let made = made + u64::from(automated);
        self.keys.insert(request.key.to_string(), (written.clone(), made));
        Done { outcome: Outcome::Applied(written), kept: Some((id, kept)), automated, made: None }
    }
}
