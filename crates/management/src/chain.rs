//! The way of a field's value, gathered from the record's events: the edits behind
//! it and what each was made from, what decided among them, what became of the
//! writes. One reading of the record's events, whatever else the log holds.

mod writes;

use crate::answers::{EditStory, EventReport, FieldStory, NotSeen, Noted, SideStory, ValueStory};
use crate::error::DeskError;
use crate::line::short;
use crate::shelf::Shelf;
use crate::told::phrases::{self, changed, origin, source_name, who};
use crate::told::{Teller, Told, Unseen};
use hms_sync_engine::{
    CollectionPlan, Plan, RecordState, SiblingReport, SideState, Standing, begins_with, kind_name,
};
use hms_sync_model::{
    Actor, Author, Body, Dot, Edit, Event, EventId, FieldMap, FieldName, ParkReason, RecordId, SideName,
    Source, Stamp, Value, VecMap,
};
use hms_sync_resolver::{Conflict, Decision, Reason, Rules, Sibling};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use writes::Writes;

/// Most edits in one explanation.
const EDITS_MAX: usize = 100;
/// Edits that are kept though no value of now comes from them.
const RECENT_MAX: usize = 64;
/// Edits told for a field whose value is everybody's together.
const TOGETHER_MAX: usize = 10;

/// What an explanation is made of.
pub(crate) struct Explained {
    pub(crate) state: RecordState,
    pub(crate) stories: Vec<FieldStory>,
    pub(crate) presence: Vec<ValueStory>,
    pub(crate) edits: Vec<EventReport>,
}

/// Explains a record, or one field of it, as its first `version` events make it.
pub(crate) fn explain(
    shelf: &Shelf,
    plan: &Plan,
    record: &RecordId,
    field: Option<&str>,
    version: u64,
) -> Result<Explained, DeskError> {
    let collection = plan.collections.get(record.collection());
    let none = Rules::default();
    let mut walk = Walk::new(collection.map_or(&none, |of| &of.rules), field);
    if let Some(state) = begins_with(&shelf.log, shelf.vault.as_ref(), record)? {
        walk.begin(state);
    }
    crate::desk::walk(shelf, record, 1, |id, event| {
        let wanted = event.version <= version;
        if wanted {
            walk.take(id, event);
        }
        wanted
    })?;
    Ok(walk.end(collection))
}

/// Edits that met in one place.
pub(crate) struct Quarrel {
    /// The field; nothing if it is about whether the record is there.
    pub(crate) field: Option<FieldName>,
    pub(crate) kind: String,
    pub(crate) standing: Standing,
    pub(crate) base: serde_json::Value,
    /// The name of what decided.
    pub(crate) reason: &'static str,
    pub(crate) words: String,
    /// The one that stands first: its story, what its edit left, and whether that deleted.
    pub(crate) values: Vec<(ValueStory, FieldMap, bool)>,
    pub(crate) ended: Option<Noted>,
    /// Who took part.
    pub(crate) sides: Vec<String>,
    /// Those that do not stand, as a list shows them.
    pub(crate) losers: Vec<SiblingReport>,
}

/// The conflicts of a record as its first `version` events make it: those that go on, and
/// the last one of each field that has ended.
pub(crate) fn quarrels(
    shelf: &Shelf,
    plan: &Plan,
    record: &RecordId,
    version: u64,
) -> Result<(RecordState, Vec<Quarrel>), DeskError> {
    let collection = plan.collections.get(record.collection());
    let none = Rules::default();
    let mut walk = Walk::new(collection.map_or(&none, |of| &of.rules), None);
    crate::desk::walk(shelf, record, 1, |id, event| {
        let wanted = event.version <= version;
        if wanted {
            walk.take(id, event);
        }
        wanted
    })?;
    let quarrels = walk.quarrels();
    Ok((walk.state, quarrels))
}

/// An edit that a value may come from.
struct Made {
    id: EventId,
    event: Event,
    unseen: Vec<Unseen>,
    /// The message id of the webhook that had the record read.
    hint: Option<String>,
    /// Whether it was the first that was heard of the record, or since it was taken up.
    first: Option<&'static str>,
}

impl Made {
    fn edit(&self) -> Option<&Edit> {
        match &self.event.body {
            Body::Edited { edit, .. } => Some(edit),
            _ => None,
        }
    }
}

/// What a value's edit goes by, whether its epoch was folded or not.
fn name_of(sibling: &Sibling) -> (Author, Stamp) {
    (sibling.dot.actor.author.clone(), sibling.stamp)
}

struct Walk<'a> {
    rules: &'a Rules,
    field: Option<&'a str>,
    teller: Teller,
    state: RecordState,
    made: BTreeMap<Dot, Made>,
    /// What stood in a field when all sides were found to agree on it.
    settled: VecMap<FieldName, (Decision, Noted)>,
    /// The last conflict of each place that has ended.
    over: BTreeMap<Option<FieldName>, (Conflict, Noted)>,
    writes: Writes,
    /// Webhooks that named the record, by side, since it was last heard of there.
    hints: VecMap<SideName, String>,
    edits: VecDeque<EventReport>,
}

impl<'a> Walk<'a> {
    fn new(rules: &'a Rules, field: Option<&'a str>) -> Self {
        Self {
            rules,
            field,
            teller: Teller::new(),
            state: RecordState::default(),
            made: BTreeMap::new(),
            settled: VecMap::new(),
            over: BTreeMap::new(),
            writes: Writes::default(),
            hints: VecMap::new(),
            edits: VecDeque::new(),
        }
    }

    /// Begins with what came of events that are no longer in the log.
    fn begin(&mut self, state: RecordState) {
        (self.state, self.teller) = (state, Teller::late());
    }

    fn take(&mut self, id: EventId, event: &Event) {
        let told = self.teller.tell(event);
        if let Body::Edited { edit, .. } = &event.body {
            let concerned = self.field.is_none_or(|field| edit.deletes || edit.changes.contains_key(field));
            if concerned {
                if self.edits.len() >= EDITS_MAX {
                    self.edits.pop_front();
                }
                self.edits.push_back(EventReport::of(id, event, &told));
            }
            self.end_quarrels(event, edit, &told);
            match edit.actor().author {
                Author::Engine => self.settle(event),
                Author::Side(_) | Author::Operator | Author::Join => self.edited(id, event, told),
            }
        }
        if matches!(event.body, Body::TakenUp { .. }) {
            self.start_over(event);
        }
        self.hint(&event.body);
        self.writes.take(event);
        if event.version > self.state.version {
            self.state.fold(self.rules, id, event);
        }
        self.prune();
    }

    /// Ends what went on before the record was taken up.
    fn start_over(&mut self, event: &Event) {
        self.settled.clear();
        self.hints.clear();
        let words = "the record was taken up from what its sides show".to_owned();
        let (at, kind) = (event.at.to_string(), "taken_up".to_owned());
        let noted = Noted { version: event.version, at, kind, words };
        for conflict in self.state.merged.conflicts(self.rules) {
            self.over.insert(conflict.field.clone(), (conflict, noted.clone()));
        }
    }

    /// Keeps the conflicts that an edit ends, as they stood just before it.
    fn end_quarrels(&mut self, event: &Event, edit: &Edit, told: &Told) {
        let merged = &self.state.merged;
        let disputed = merged.presence_siblings().len() > 1;
        if !disputed && !edit.changes.keys().any(|field| merged.is_conflicted(field)) {
            return;
        }
        let before = merged.conflicts(self.rules);
        let mut after = merged.clone();
        if after.apply(self.rules, edit).is_err() {
            return;
        }
        let goes_on: Vec<_> =
            after.conflicts(self.rules).into_iter().map(|conflict| conflict.field).collect();
        let kind = match edit.actor().author {
            Author::Engine => "settled",
            Author::Operator => "decided",
            Author::Side(_) | Author::Join => "changed",
        };
        for conflict in before.into_iter().filter(|conflict| !goes_on.contains(&conflict.field)) {
            let (at, words) = (event.at.to_string(), told.words.clone());
            let noted = Noted { version: event.version, at, kind: kind.to_owned(), words };
            self.over.insert(conflict.field.clone(), (conflict, noted));
        }
    }

    /// Those that go on, then the last of each place that has ended.
    fn quarrels(&self) -> Vec<Quarrel> {
        let live = self.state.merged.conflicts(self.rules);
        let over =
            self.over.iter().filter(|(field, _)| !live.iter().any(|conflict| conflict.field == **field));
        let over = over.map(|(_, (conflict, noted))| (conflict, Some(noted.clone())));
        live.iter()
            .map(|conflict| (conflict, None))
            .chain(over)
            .map(|(c, ended)| self.quarrel(c, ended))
            .collect()
    }

    fn quarrel(&self, conflict: &Conflict, ended: Option<Noted>) -> Quarrel {
        let Conflict { field, kind, decision } = conflict;
        let lead = field.as_ref().and_then(|field| self.rules.group_of(field)).map(|group| &group.lead);
        let by_lead = lead.map(|lead| self.state.merged.decide(self.rules, lead).reason == Reason::Manual);
        let open = decision.reason == Reason::Manual || by_lead.unwrap_or(false);
        let standing = match &ended {
            Some(_) => Standing::Ended,
            None => crate::conflicts::standing(open),
        };
        let earliest = decision.siblings.iter().min_by_key(|(sibling, _)| (sibling.stamp.high, &sibling.dot));
        let base = earliest.map(|(sibling, _)| sibling.change.before.to_json()).unwrap_or_default();
        let mut values: Vec<_> = decision
            .siblings
            .iter()
            .map(|(sibling, stands)| self.met(field.as_ref(), sibling, *stands, decision))
            .collect();
        values.sort_by_key(|(story, _, _)| !story.stands);
        let mut sides: Vec<String> =
            decision.siblings.iter().map(|(sibling, _)| sibling.dot.actor.author.to_string()).collect();
        sides.dedup();
        let lost = decision.siblings.iter().filter(|(_, stands)| !stands);
        let (reason, words) = match (field, &decision.reason) {
            (None, Reason::OnlyValue) => ("deletes", phrases::deletes(self.rules.deletes()).to_owned()),
            (_, reason) => (reason.name(), reason.sentence()),
        };
        Quarrel {
            field: field.clone(),
            kind: kind_name(*kind, decision).to_owned(),
            standing,
            base: if field.is_some() { base } else { serde_json::Value::Bool(true) },
            reason,
            words,
            values,
            ended,
            sides,
            losers: lost.map(|(sibling, stands)| SiblingReport::of(sibling, *stands)).collect(),
        }
    }

    fn met(
        &self,
        field: Option<&FieldName>,
        sibling: &Sibling,
        stands: bool,
        decision: &Decision,
    ) -> (ValueStory, FieldMap, bool) {
        let made = self.made_of(sibling);
        let (mut left, mut deletes) = (FieldMap::new(), sibling.change.after == Value::Bool(false));
        if let Some(Body::Edited { edit, .. }) = made.map(|made| &made.event.body) {
            deletes = edit.deletes;
            left = edit.changes.iter().map(|(field, change)| (field.clone(), change.after.clone())).collect();
        } else if let Some(field) = field {
            left.insert(field.clone(), sibling.change.after.clone());
        }
        let story = match field {
            Some(field) => self.value(field, sibling, stands, &decision.siblings),
            None => ValueStory {
                stands,
                value: sibling.change.after.to_json(),
                by: who(&sibling.dot.actor.author),
                edit: made.map(|made| made.story(None, &[])),
            },
        };
        (story, left, deletes)
    }

    /// What a settle covers is what stood just before it.
    fn settle(&mut self, event: &Event) {
        let Body::Edited { edit, .. } = &event.body else { return };
        let words = "all sides had come to agree on it".to_owned();
        let (at, kind) = (event.at.to_string(), "settled".to_owned());
        let noted = Noted { version: event.version, at, kind, words };
        for field in edit.changes.keys() {
            let decision = self.state.merged.decide(self.rules, field);
            let engines = |(sibling, _): &(Sibling, bool)| sibling.dot.actor.author == Author::Engine;
            if !decision.siblings.iter().all(engines) {
                self.settled.insert(field.clone(), (decision, noted.clone()));
            }
        }
    }

    fn edited(&mut self, id: EventId, event: &Event, told: Told) {
        let Body::Edited { edit, source, .. } = &event.body else { return };
        let hint = match (source, edit.actor().as_side()) {
            (Source::Fetch, Some(side)) => self.hints.get(side).cloned(),
            _ => None,
        };
        let merged = &self.state.merged;
        let first = match merged.presence_siblings() {
            [] if merged.clock.is_empty() => Some("was the first to show the record"),
            [] => Some("was the first to show the record since it was taken up"),
            _ => None,
        };
        let made = Made { id, event: event.clone(), unseen: told.unseen, hint, first };
        self.made.insert(edit.dot.clone(), made);
    }

    fn hint(&mut self, body: &Body) {
        match body {
            Body::Doubted { side, message: Some(message), .. } => {
                self.hints.insert(side.clone(), message.id().to_owned());
            }
            Body::Edited { .. } | Body::Confirmed { .. } | Body::Applied { .. } => {
                if let Some(side) = hms_sync_engine::side_of(body) {
                    self.hints.remove(side);
                }
            }
            _ => {}
        }
    }

    /// The edit that a value came with. Where its epoch was folded it goes by another dot.
    fn made_of(&self, sibling: &Sibling) -> Option<&Made> {
        let is_it = |made: &&Made| {
            made.edit().is_some_and(|edit| (edit.actor().author.clone(), edit.stamp) == name_of(sibling))
        };
        self.made.get(&sibling.dot).filter(is_it).or_else(|| self.made.values().find(is_it))
    }

    /// Lets go of edits that no value comes from any more.
    fn prune(&mut self) {
        if self.made.len() <= RECENT_MAX * 2 {
            return;
        }
        let merged = &self.state.merged;
        let standing = merged.field_names().flat_map(|field| merged.siblings(field));
        let settled =
            self.settled.values().flat_map(|(decision, _)| decision.siblings.iter().map(|(s, _)| s));
        let over =
            self.over.values().flat_map(|(conflict, _)| conflict.decision.siblings.iter().map(|(s, _)| s));
        let all = standing.chain(settled).chain(over).chain(merged.presence_siblings());
        let live: BTreeSet<(Author, Stamp)> = all.map(name_of).collect();
        let mut versions: Vec<u64> = self.made.values().map(|made| made.event.version).collect();
        versions.sort_unstable();
        let recent = versions.iter().rev().nth(RECENT_MAX).copied().unwrap_or(0);
        let is_live = |made: &Made| {
            made.edit().is_some_and(|edit| live.contains(&(edit.actor().author.clone(), edit.stamp)))
        };
        self.made.retain(|_, made| made.event.version > recent || is_live(made));
    }

    fn end(self, collection: Option<&CollectionPlan>) -> Explained {
        let stories = collection.map(|collection| {
            let asked = |f: &&FieldName| self.field.is_none_or(|wanted| wanted == f.as_str());
            let wanted = self.state.merged.field_names().filter(asked);
            wanted.map(|field| self.story(collection, field)).collect()
        });
        let stories = stories.unwrap_or_default();
        let presence = self.presence();
        Explained { stories, presence, state: self.state, edits: self.edits.into() }
    }

    fn story(&self, collection: &CollectionPlan, field: &FieldName) -> FieldStory {
        let now = self.state.merged.decide(self.rules, field);
        let by_engine = |(sibling, _): &(Sibling, bool)| sibling.dot.actor.author == Author::Engine;
        let agreed = !now.siblings.is_empty() && now.siblings.iter().all(by_engine);
        let settled = self.settled.get(field).filter(|_| agreed);
        let decision = settled.map_or(&now, |(before, _)| before);
        let mut values: Vec<ValueStory> = decision
            .siblings
            .iter()
            .map(|(sibling, wins)| self.value(field, sibling, *wins, &decision.siblings))
            .collect();
        values.sort_by_key(|value| !value.stands);
        if decision.siblings.is_empty() {
            values = self.together(field);
        }
        let since = values.iter().filter_map(|value| Some(value.edit.as_ref()?.version)).min().unwrap_or(0);
        let makers: Vec<&Actor> =
            decision.siblings.iter().filter(|(_, wins)| *wins).map(|(s, _)| &s.dot.actor).collect();
        let sides = collection.sides.keys().map(|side| {
            let made_there = makers.iter().any(|actor| actor.as_side() == Some(side));
            self.side(collection, side, field, &now.value, since, made_there)
        });
        FieldStory {
            field: field.to_string(),
            value: now.value.to_json(),
            rule: decision.reason.name().to_owned(),
            words: decision.sentence(),
            sides: sides.collect(),
            settled: settled.map(|(_, noted)| noted.clone()),
            values,
        }
    }

    fn value(
        &self,
        field: &FieldName,
        sibling: &Sibling,
        stands: bool,
        others: &[(Sibling, bool)],
    ) -> ValueStory {
        ValueStory {
            stands,
            value: sibling.change.after.to_json(),
            by: who(&sibling.dot.actor.author),
            edit: self
                .made_of(sibling)
                .map(|made| made.story(Some(field), &self.came_later(made, field, others))),
        }
    }

    /// Those of the values that met which were not known yet when an edit came in.
    fn came_later(&self, made: &Made, field: &FieldName, others: &[(Sibling, bool)]) -> Vec<Unseen> {
        let others = others.iter().filter_map(|(other, _)| Some((&other.dot, &self.made_of(other)?.event)));
        let later = others.filter(|(_, event)| event.version > made.event.version);
        let unseen = later.map(|(dot, event)| Unseen {
            by: dot.actor.author.clone(),
            field: Some(field.clone()),
            same: true,
            at: event.at,
            version: event.version,
        });
        unseen.collect()
    }

    /// The latest edits of a field to which everybody adds.
    fn together(&self, field: &FieldName) -> Vec<ValueStory> {
        let of = |made: &&Made| matches!(&made.event.body, Body::Edited { edit, .. } if edit.changes.contains_key(field));
        let mut all: Vec<&Made> = self.made.values().filter(of).collect();
        all.sort_by_key(|made| made.event.version);
        let latest = all.split_off(all.len().saturating_sub(TOGETHER_MAX));
        let story = |made: &Made| {
            let edit = made.story(Some(field), &[]);
            ValueStory { stands: true, value: edit.after.clone(), by: edit.by.clone(), edit: Some(edit) }
        };
        latest.into_iter().map(story).collect()
    }

    /// Who says that the record is there and who that it is not, if anybody does.
    fn presence(&self) -> Vec<ValueStory> {
        let siblings = self.state.merged.presence_siblings();
        if !siblings.iter().any(|sibling| sibling.change.after == Value::Bool(false)) {
            return Vec::new();
        }
        let there = self.state.merged.presence(self.rules) == hms_sync_resolver::Presence::Present;
        let value = |sibling: &Sibling| {
            let says = sibling.change.after == Value::Bool(true);
            ValueStory {
                stands: says == there,
                value: says.into(),
                by: who(&sibling.dot.actor.author),
                edit: self.made_of(sibling).map(|made| made.story(None, &[])),
            }
        };
        siblings.iter().map(value).collect()
    }

    fn side(
        &self,
        collection: &CollectionPlan,
        side: &SideName,
        field: &FieldName,
        value: &Value,
        since: u64,
        made_there: bool,
    ) -> SideStory {
        let writes = self.writes.of(side, field, since);
        let nobody = SideState::default();
        let part = self.state.sides.get(side).unwrap_or(&nobody);
        let shown = part.shown_of(field);
        let plan = collection.sides.get(side);
        let known = plan.is_some_and(|plan| plan.shape.takes(field) || plan.shape.gives(field));
        let same = plan.is_some_and(|plan| alike(&plan.shape.image(field, value), &shown));
        let parked = part.parked.as_ref();
        let last = writes.last();
        let not_kept = parked.is_some_and(|p| p.reason == ParkReason::NotKept && p.fields.contains(field));
        let (state, words) = match (parked, last) {
            _ if !known => ("not_of_this_side", "it has no such field".to_owned()),
            _ if not_kept => ("not_kept", "it answered that all was well and kept its old value".to_owned()),
            (Some(parked), _) if !same => (
                "parked",
                format!("set aside, {}: {}", phrases::park_reason(parked.reason), short(&parked.words)),
            ),
            _ if made_there => ("made_there", "the change was made there".to_owned()),
            (_, Some(write)) if write.outcome == "applied" => {
                ("delivered", "it was brought there".to_owned())
            }
            (_, Some(write)) if write.outcome == "open" => {
                ("under_way", "it is being brought there".to_owned())
            }
            _ if !part.has_it() => ("not_there", "it has no such record".to_owned()),
            _ if same => ("holds_it", "it had the same already".to_owned()),
            _ if plan.is_some_and(|plan| !plan.shape.takes(field)) => {
                ("not_of_this_side", "the field is only read there".to_owned())
            }
            _ => ("to_be_brought", "it is still to be brought there".to_owned()),
        };
        let shows = (part.has_it() && shown != Value::Absent).then(|| shown.to_json());
        SideStory { side: side.to_string(), state: state.to_owned(), words, shows, writes }
    }
}

/// Two values that sides cannot tell from each other.
fn alike(a: &Value, b: &Value) -> bool {
    let nothing = |value: &Value| matches!(value, Value::Absent | Value::Null);
    a == b || nothing(a) && nothing(b)
}

impl Made {
    /// The edit, as far as it is about one field; or about whether the record is there.
    /// `later` are the values it met that came in after it.
    fn story(&self, field: Option<&FieldName>, later: &[Unseen]) -> EditStory {
        let event = &self.event;
        let blank = EditStory {
            version: event.version,
            seq: event.seq,
            id: self.id.to_string(),
            at: event.at.to_string(),
            by: String::new(),
            words: String::new(),
            before: serde_json::Value::Null,
            after: serde_json::Value::Null,
            deletes: false,
            source: String::new(),
            webhook: None,
            source_words: String::new(),
            raw: None,
            not_seen: self.unseen.iter().chain(later).map(not_seen).collect(),
            context_words: String::new(),
            certain: true,
        };
        let Body::Edited { edit, source, raw, .. } = &event.body else { return blank };
        let change = field.and_then(|field| Some((field, edit.changes.get(field)?)));
        let words = match change {
            _ if edit.deletes => "deleted the record".to_owned(),
            Some((field, change)) => changed(field, change),
            None => "has the record".to_owned(),
        };
        let told = match source {
            Source::Webhook(message) => message.as_ref().map(|message| message.id().to_owned()),
            _ => self.hint.clone(),
        };
        EditStory {
            by: who(&edit.actor().author),
            words,
            before: change.map_or(serde_json::Value::Null, |(_, change)| change.before.to_json()),
            after: change.map_or(serde_json::Value::Null, |(_, change)| change.after.to_json()),
            deletes: edit.deletes,
            source: source_name(source).to_owned(),
            source_words: self.source_words(source),
            webhook: told,
            raw: raw.map(|hash| hash.to_string()),
            context_words: self.context_words(edit.certain, later),
            certain: edit.certain,
            ..blank
        }
    }

    fn source_words(&self, source: &Source) -> String {
        match &self.hint {
            Some(message) => {
                format!("{}, because webhook message {} named it", origin(source), short(message))
            }
            None => origin(source),
        }
    }

    fn context_words(&self, certain: bool, later: &[Unseen]) -> String {
        let known = match phrases::unseen(&self.unseen, self.event.at) {
            Some(words) => words,
            None if let Some(first) = self.first => first.to_owned(),
            None => "had seen all changes of others until then".to_owned(),
        };
        let later =
            phrases::later(later, self.event.at).map_or_else(String::new, |words| format!("; {words}"));
        let doubt = if certain { "" } else { "; how much exactly could not be found out" };
        format!("{known}{later}{doubt}")
    }
}

fn not_seen(unseen: &Unseen) -> NotSeen {
    NotSeen {
        by: who(&unseen.by),
        field: unseen.field.as_ref().map(ToString::to_string),
        at: unseen.at.to_string(),
        version: unseen.version,
    }
}
