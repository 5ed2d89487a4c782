//! Conflicts as things that are counted and listed: where concurrent edits met, what
//! came of it, and which of them nobody has ended yet.
//!
//! What met is part of a record's fold ([`Met`]), so a conflict that has long been
//! settled is still known. Records with conflicts that go on are kept in memory with
//! their numbers ([`Live`]), as those with something parked are: a listing looks at
//! these records and at nothing else. Nothing here decides between values.

use crate::error::EngineError;
use crate::image::same_but_form;
use crate::machine::Machine;
use crate::personal::{mask_words, personal_of};
use crate::plan::CollectionPlan;
use crate::project::same;
use crate::report::SiblingReport;
use crate::state::RecordState;
use hms_sync_changelog::{Changes, View};
use hms_sync_model::{Edit, FieldName, ParkReason, Parked, RecordId, SideName, Time, Value};
use hms_sync_resolver::{Conflict, ConflictKind, Decision, Presence, Reason};
use rustc_hash::FxHashSet;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::ops::Bound;

/// The last conflict of a field, or about whether the record is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Met {
    /// The version of the event that made it, or that joined in last.
    #[serde(rename = "n")]
    pub version: u64,
    /// When that was.
    #[serde(rename = "t")]
    pub at: Time,
    /// How many conflicts there have been here.
    #[serde(rename = "c")]
    pub times: u64,
    /// The version of the event that ended it.
    #[serde(rename = "e", default, skip_serializing_if = "Option::is_none")]
    pub ended: Option<u64>,
}

/// What an edit touches: a field, or whether the record is there.
pub type Touched = Option<FieldName>;

impl RecordState {
    /// Where an edit that comes next touches a conflict.
    pub(crate) fn touched_conflicts(&self, edit: &Edit) -> Vec<Touched> {
        if !is_disputed(self) && !self.merged.any_conflicted() {
            return Vec::new();
        }
        let fields = edit.changes.keys().filter(|field| self.merged.is_conflicted(field));
        let presence = is_disputed(self).then_some(None);
        fields.map(|field| Some(field.clone())).chain(presence).collect()
    }

    /// Notes what an edit did to conflicts: those in `before` may have ended, others begun.
    pub(crate) fn note_conflicts(&mut self, edit: &Edit, before: Vec<Touched>, version: u64, at: Time) {
        let goes_on = self.touched_conflicts(edit);
        for ended in before.into_iter().filter(|touched| !goes_on.contains(touched)) {
            if let Some(met) = self.conflicts.get_mut(&ended) {
                met.ended = Some(version);
            }
        }
        for touched in goes_on {
            let known = self.conflicts.get(&touched).copied();
            let open = known.filter(|met| met.ended.is_none());
            let times = known.map_or(0, |met| met.times).saturating_add(open.is_none().into());
            self.conflicts.insert(touched, Met { version, at, times, ended: None });
        }
    }

    /// How many conflicts have ended here.
    pub(crate) fn past_conflicts(&self) -> u64 {
        let past = |met: &Met| met.times.saturating_sub(met.ended.is_none().into());
        self.conflicts.values().map(past).fold(0, u64::saturating_add)
    }
}

/// Whether one deleted the record and another changed it.
fn is_disputed(state: &RecordState) -> bool {
    match state.merged.presence_siblings() {
        [] | [_] => false,
        [first, rest @ ..] => rest.iter().any(|other| other.change.after != first.change.after),
    }
}

/// Conflicts by number.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tally {
    /// Those that wait for a person.
    pub open: u64,
    /// Those that a rule has decided and whose losers are still there.
    pub decided: u64,
}

impl Tally {
    fn is_zero(self) -> bool {
        self == Self::default()
    }
}

/// Records with conflicts that go on, and how they differ from what is saved.
#[derive(Debug, Default)]
pub(crate) struct Live {
    on: BTreeMap<RecordId, Tally>,
    unsaved: FxHashSet<RecordId>,
    total: Tally,
}

impl Live {
    /// Takes in what was saved.
    pub(crate) fn resume(&mut self, saved: impl Iterator<Item = (RecordId, Vec<u8>)>) {
        for (record, bytes) in saved {
            let tally = rmp_serde::from_slice(&bytes).unwrap_or(Tally { open: 0, decided: 1 });
            self.mark(&record, tally);
        }
        self.unsaved.clear();
    }

    /// Notes how many of a record's conflicts go on.
    pub(crate) fn mark(&mut self, record: &RecordId, tally: Tally) {
        let before = self.on.get(record).copied().unwrap_or_default();
        if before == tally {
            return;
        }
        self.total.open = self.total.open.saturating_add(tally.open).saturating_sub(before.open);
        self.total.decided = self.total.decided.saturating_add(tally.decided).saturating_sub(before.decided);
        if tally.is_zero() {
            self.on.remove(record);
        } else {
            self.on.insert(record.clone(), tally);
        }
        self.unsaved.insert(record.clone());
    }

    pub(crate) fn save(&mut self, key: impl Fn(&RecordId) -> Vec<u8>, fresh: &mut Changes) {
        for record in self.unsaved.drain() {
            let tally = self.on.get(&record).and_then(|tally| rmp_serde::to_vec_named(tally).ok());
            fresh.insert(key(&record), tally);
        }
    }

    /// All of them together.
    pub(crate) fn total(&self) -> Tally {
        self.total
    }

    /// The records after one, in order.
    pub(crate) fn after(&self, after: Option<&RecordId>) -> impl Iterator<Item = &RecordId> {
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        self.on.range::<RecordId, _>((from, Bound::Unbounded)).map(|(record, _)| record)
    }
}

/// How many of a record's conflicts go on.
pub(crate) fn tally(collection: Option<&CollectionPlan>, state: &RecordState) -> Tally {
    let mut tally = Tally::default();
    let Some(collection) = collection else { return tally };
    let goes_on = state.conflicts.values().any(|met| met.ended.is_none());
    if goes_on {
        for conflict in state.merged.conflicts(&collection.rules) {
            let count =
                if waits(collection, state, &conflict) { &mut tally.open } else { &mut tally.decided };
            *count += 1;
        }
    }
    tally.decided += u64::try_from(altered(collection, state).count()).unwrap_or(u64::MAX);
    tally
}

/// Whether a conflict waits for a person.
fn waits(collection: &CollectionPlan, state: &RecordState, conflict: &Conflict) -> bool {
    match &conflict.field {
        None => state.merged.presence(&collection.rules) == Presence::Undecided,
        Some(field) => {
            let lead =
                collection.rules.group_of(field).map(|group| &group.lead).filter(|lead| *lead != field);
            let reason = lead.map(|lead| state.merged.decide(&collection.rules, lead).reason);
            reason.as_ref().unwrap_or(&conflict.decision.reason) == &Reason::Manual
        }
    }
}

/// What sides made something else of, though they said that all was well.
fn altered<'s>(
    collection: &'s CollectionPlan,
    state: &'s RecordState,
) -> impl Iterator<Item = (&'s SideName, &'s FieldName, &'s Value)> {
    let of_side = |(side, part): (&'s SideName, &'s crate::state::SideState)| {
        let plan = collection.sides.get(side);
        part.held.iter().filter_map(move |(field, held)| {
            let shown = held.shown.as_ref().filter(|_| !held.not_kept)?;
            let ours = plan?.shape.image(field, &held.sent);
            (!same(shown, &ours) && !same_but_form(shown, &ours)).then_some((side, field, shown))
        })
    };
    state.sides.iter().flat_map(of_side)
}

/// How it stands with a conflict.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    /// A person has to do something.
    Open,
    /// A rule has decided, and the losers are still there.
    Decided,
    /// It is over: all sides came to agree, or somebody changed the field who had seen all of it.
    Ended,
}

/// One conflict, in short.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ConflictItem {
    /// The record's id.
    pub record: String,
    /// What people call it.
    pub title: String,
    /// How many events it has: what an operator who looks at this has seen.
    pub version: u64,
    /// The field; nothing if it is about the record itself.
    pub field: Option<String>,
    /// `edit_edit`, `edit_delete`, `create_create`, `order_uncertain`, `refused`, `not_kept`,
    /// `altered`, `ambiguous_match`, `id_reused`.
    pub kind: String,
    /// How it stands.
    pub standing: Standing,
    /// The value that stands.
    pub value: serde_json::Value,
    /// What decided, or what the side said.
    pub words: String,
    /// The values that do not stand. Of one that has ended they are in the record's events alone.
    pub losers: Vec<SiblingReport>,
    /// The sides that it is between.
    pub sides: Vec<String>,
    /// When it began, or when somebody joined in last, in RFC 3339.
    pub at: Option<String>,
}

/// The kind of a conflict between edits. What nobody could tell the order of says so.
pub fn kind_name(kind: ConflictKind, decision: &Decision) -> &'static str {
    if decision.reason == Reason::LastResort { "order_uncertain" } else { kind.as_str() }
}

/// The kind of conflict that something parked is; nothing if it is none.
fn parked_kind(parked: &Parked) -> Option<&'static str> {
    match parked.reason {
        ParkReason::Refused => Some("refused"),
        ParkReason::NotKept => Some("not_kept"),
        ParkReason::Altered => Some("altered"),
        ParkReason::AmbiguousMatch => Some("ambiguous_match"),
        ParkReason::IdReused => Some("id_reused"),
        ParkReason::OutOfRetries
        | ParkReason::Unknown
        | ParkReason::Manual
        | ParkReason::Unmappable
        | ParkReason::Unreadable
        | ParkReason::HandlerFailed
        | ParkReason::MassDelete
        | ParkReason::Malformed
        | ParkReason::Flapping
        | ParkReason::Regression => None,
    }
}

/// What stands for a value that not everybody is to see.
const MASK: &str = "(personal)";

impl Machine {
    /// Conflicts of the records after one, in order of record: of so many records at
    /// most. With `past` those too that have ended. The record is the last that was
    /// looked at; nothing if there are no more.
    pub fn conflicts(
        &self,
        after: Option<&RecordId>,
        limit: usize,
        past: bool,
    ) -> Result<(Vec<ConflictItem>, Option<RecordId>), EngineError> {
        let mut records: Vec<RecordId> = self.views.live().after(after).take(limit).cloned().collect();
        records.extend(self.views.parked(after, limit));
        if past {
            records.extend(self.views.once_conflicted(after, limit)?);
        }
        records.sort_unstable();
        records.dedup();
        let more = records.len() >= limit;
        records.truncate(limit);
        let mut items = Vec::new();
        for record in &records {
            if let Some(state) = self.views.peek(record)? {
                items.extend(self.conflicts_of(record, &state, past));
            }
        }
        Ok((items, records.pop().filter(|_| more)))
    }

    /// Conflicts of one record.
    pub fn conflicts_of(&self, record: &RecordId, state: &RecordState, past: bool) -> Vec<ConflictItem> {
        let Some(collection) = self.plan().collections.get(record.collection()) else { return Vec::new() };
        let blank = ConflictItem {
            record: record.to_string(),
            title: self.title(record, state),
            version: state.version,
            field: None,
            kind: String::new(),
            standing: Standing::Ended,
            value: serde_json::Value::Null,
            words: String::new(),
            losers: Vec::new(),
            sides: Vec::new(),
            at: None,
        };
        let mut items = between_edits(collection, state, &blank);
        items.extend(with_sides(collection, state, &blank));
        if past {
            items.extend(ended(collection, state, &blank));
        }
        if let Some(personal) = personal_of(self.plan(), record) {
            items.iter_mut().for_each(|item| mask(item, personal));
        }
        items
    }
}

fn between_edits(
    collection: &CollectionPlan,
    state: &RecordState,
    blank: &ConflictItem,
) -> Vec<ConflictItem> {
    let item = |conflict: Conflict| {
        let open = waits(collection, state, &conflict);
        let Conflict { field, kind, decision } = conflict;
        let met = state.conflicts.get(&field);
        let lost = decision.siblings.iter().filter(|(_, wins)| !wins);
        let mut sides: Vec<String> =
            decision.siblings.iter().map(|(sibling, _)| sibling.dot.actor.author.to_string()).collect();
        sides.dedup();
        ConflictItem {
            field: field.as_ref().map(ToString::to_string),
            kind: kind_name(kind, &decision).to_owned(),
            standing: if open { Standing::Open } else { Standing::Decided },
            value: decision.value.to_json(),
            words: match (&field, &decision.reason) {
                (None, Reason::OnlyValue) => "as the collection's `deletes` says".to_owned(),
                (_, reason) => reason.to_string(),
            },
            losers: lost.map(|(sibling, wins)| SiblingReport::of(sibling, *wins)).collect(),
            sides,
            at: met.map(|met| met.at.to_string()),
            ..blank.clone()
        }
    };
    state.merged.conflicts(&collection.rules).into_iter().map(item).collect()
}

fn with_sides(collection: &CollectionPlan, state: &RecordState, blank: &ConflictItem) -> Vec<ConflictItem> {
    let parked = state.sides.iter().filter_map(|(side, part)| {
        let parked = part.parked.as_ref()?;
        let fields: Vec<&str> = parked.fields.iter().map(FieldName::as_str).collect();
        Some(ConflictItem {
            field: (!fields.is_empty()).then(|| fields.join(", ")),
            kind: parked_kind(parked)?.to_owned(),
            standing: if parked.given_up { Standing::Decided } else { Standing::Open },
            words: parked.words.clone(),
            sides: vec![side.to_string()],
            ..blank.clone()
        })
    });
    let altered = altered(collection, state).map(|(side, field, shown)| ConflictItem {
        field: Some(field.to_string()),
        kind: "altered".to_owned(),
        standing: Standing::Decided,
        value: state.merged.value(&collection.rules, field).to_json(),
        words: format!("{side} made {shown:.60} of it"),
        sides: vec![side.to_string()],
        ..blank.clone()
    });
    parked.chain(altered).collect()
}

fn ended(collection: &CollectionPlan, state: &RecordState, blank: &ConflictItem) -> Vec<ConflictItem> {
    let over = state.conflicts.iter().filter_map(|(touched, met)| Some((touched, met, met.ended?)));
    let item = |(touched, met, ended): (&Touched, &Met, u64)| ConflictItem {
        field: touched.as_ref().map(ToString::to_string),
        kind: if touched.is_some() { ConflictKind::EditEdit } else { ConflictKind::EditDelete }
            .as_str()
            .to_owned(),
        value: match touched {
            Some(field) => state.merged.value(&collection.rules, field).to_json(),
            None => (state.merged.presence(&collection.rules) == Presence::Present).into(),
        },
        words: format!("it ended with v{ended}"),
        at: Some(met.at.to_string()),
        ..blank.clone()
    };
    over.map(item).collect()
}

/// A list is read by many: personal values are shown only where one record is looked at.
fn mask(item: &mut ConflictItem, personal: &std::collections::BTreeSet<FieldName>) {
    let is_personal =
        |field: &String| personal.iter().any(|name| field.split(", ").any(|f| f == name.as_str()));
    if item.field.as_ref().is_some_and(is_personal) {
        item.value = MASK.into();
        item.losers.iter_mut().for_each(|lost| lost.value = MASK.into());
    }
    if matches!(item.kind.as_str(), "refused" | "not_kept" | "altered" | "ambiguous_match" | "id_reused") {
        item.words = mask_words(&item.words);
    }
}

/// Reads what a saved entry says: which record, and the rest.
pub(crate) fn saved_record((key, value): View) -> Option<(RecordId, Vec<u8>)> {
    let text = String::from_utf8_lossy(key.get(1..)?).into_owned();
    Some((RecordId::try_new(text).ok()?, value))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests may panic")]
    use super::Met;
    use crate::state::RecordState;
    use hms_sync_model::{FieldName, Time};

    /// A state that is read from the log may say anything of how often there were conflicts.
    #[test]
    fn counts_that_cannot_be_do_no_harm() {
        let met = |times, ended| Met { version: 1, at: Time(1), times, ended };
        let mut state = RecordState::default();
        state.conflicts.insert(None, met(0, None));
        assert_eq!(state.past_conflicts(), 0);
        for name in ["f", "g"] {
            state.conflicts.insert(FieldName::try_new(name).ok(), met(u64::MAX, Some(1)));
        }
        assert_eq!(state.past_conflicts(), u64::MAX);
    }
}
