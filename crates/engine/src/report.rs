//! What people are told when they ask: status, parked items, a record as it
//! stands. Plain data, the same for the command, the API and the page.

use crate::conflicts::Tally;
use crate::error::EngineError;
use crate::machine::Machine;
use crate::personal::{mask_words, personal_of};
use crate::project::{held_back, projection};
use crate::retell::Replay;
use crate::state::RecordState;
use crate::state::SideState;
use crate::stream::stream_of;
use hms_sync_model::{CollectionName, FieldName, Lane, NativeId, Parked, RecordId, SideName, Time, Value};
use hms_sync_resolver::Sibling;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Joins of joined records that are followed.
const JOINS_MAX: usize = 16;

/// Counters since the process started.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// Records looked at.
    pub observations: u64,
    /// Records of pages that could not be read.
    pub unreadable: u64,
    /// Values that do not fit, or that nobody has spoken of, and that were passed over as the
    /// contract says: each time that their record was looked at.
    #[serde(default)]
    pub discarded: u64,
    /// Edits taken in.
    pub edits: u64,
    /// Fields where concurrent edits met.
    pub conflicts: u64,
    /// Times of a last change, as sides tell them, that cannot be.
    #[serde(default)]
    pub wrong_times: u64,
    /// Reads that may have been older than a write of ours.
    pub stale_reads: u64,
    /// Requests sent to write.
    pub writes: u64,
    /// Writes and requests carried out.
    pub delivered: u64,
    /// Tries that came to nothing.
    pub retries: u64,
    /// Things set aside.
    pub parked: u64,
    /// Webhooks taken in.
    pub webhooks: u64,
    /// Webhooks that had been taken in before.
    pub duplicate_webhooks: u64,
    /// Edits that a read found on a side whose webhooks come, and that none of them had told.
    #[serde(default)]
    pub repairs: u64,
    /// Handler calls that ended well.
    pub handled: u64,
    /// Events written.
    pub events: u64,
}

/// The sync at a glance.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// Its name.
    pub sync: String,
    /// Events in the log.
    pub events: u64,
    /// Each side.
    pub sides: Vec<SideStatus>,
    /// Records with something to be done, waiting for their time or for room.
    pub pending: usize,
    /// Things parked.
    pub parked: usize,
    /// Conflicts between edits, and between what was written and what a side made of it.
    #[serde(default)]
    pub conflicts: Tally,
    /// Counters since the process started.
    pub counts: Counts,
}

/// One side at a glance.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SideStatus {
    /// Its name.
    pub side: String,
    /// Whether it cannot be reached.
    pub away: bool,
    /// Requests under way.
    pub in_flight: usize,
    /// Records ready to be delivered to it.
    pub ready: usize,
    /// Its collections.
    pub collections: Vec<CollectionStatus>,
    /// Who said that it wants no more, and why, if it is a subscriber that does not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unsubscribed: Option<String>,
    /// How far it has been told again what it took, if that was asked for since the start.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replay: Option<Replay>,
}

/// One collection of a side at a glance.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CollectionStatus {
    /// Its name.
    pub collection: String,
    /// Whether everything has been read once.
    pub listed: bool,
    /// Where the next poll starts, in the connector's words.
    pub cursor: Option<String>,
    /// When the last pass began, in RFC 3339.
    pub last_read: Option<String>,
    /// Why it cannot be read, if it cannot.
    pub trouble: Option<String>,
    /// Deletes that wait for a person.
    pub held: Option<String>,
    /// What its records have had since the process started that the contract does not know, by
    /// its place.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unknown_fields: Vec<String>,
}

/// Something parked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ParkedItem {
    /// Of which record, or stream.
    pub record: String,
    /// What people call the record: its identity.
    pub title: String,
    /// What of it: a side, a handler, a request.
    pub lane: String,
    /// The kind of trouble.
    pub reason: String,
    /// In words.
    pub words: String,
    /// Tries made.
    pub attempts: u32,
    /// Whether a person has let it be. It stays listed, because the side is still
    /// not in step.
    pub given_up: bool,
}

/// A record as it stands.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RecordReport {
    /// Its id.
    pub record: String,
    /// What people call it.
    pub title: String,
    /// How many events it has.
    pub version: u64,
    /// Whether it is there, deleted, or disputed.
    pub presence: String,
    /// Its fields.
    pub fields: Vec<FieldReport>,
    /// Its sides.
    pub sides: Vec<SidePart>,
    /// The record that it is one with, and that goes on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub joined: Option<String>,
    /// The record whose place on a side it took.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub follows: Option<String>,
    /// What was erased of it, if its personal fields were.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub erased: Option<ErasedReport>,
}

/// What was erased of a record.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ErasedReport {
    /// When, in RFC 3339.
    pub at: String,
    /// Who asked for it.
    pub by: String,
    /// Why.
    pub reason: String,
    /// The fields that are closed since.
    pub fields: Vec<String>,
}

/// One field of a record.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FieldReport {
    /// Its name.
    pub field: String,
    /// The value that stands.
    pub value: serde_json::Value,
    /// Why, in words.
    pub reason: String,
    /// All values that none of the others had seen: who, what, and whether it stands.
    pub siblings: Vec<SiblingReport>,
}

/// One of the values that met.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SiblingReport {
    /// Who wanted it.
    pub by: String,
    /// The value.
    pub value: serde_json::Value,
    /// When it was made at the latest, in RFC 3339.
    pub at: String,
    /// Whether it stands.
    pub wins: bool,
}

impl SiblingReport {
    /// That value, and whether it stands.
    pub fn of(sibling: &Sibling, wins: bool) -> Self {
        Self {
            by: sibling.dot.actor.to_string(),
            value: sibling.change.after.to_json(),
            at: sibling.stamp.high.to_string(),
            wins,
        }
    }
}

/// A record's part on one side.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SidePart {
    /// The side.
    pub side: String,
    /// Its id there.
    pub id: Option<String>,
    /// A person took the two apart: nothing is brought there.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub unlinked: bool,
    /// Whether it has all that is merged.
    pub in_step: bool,
    /// What it has been shown, as a clock.
    pub has_seen: String,
    /// Fields of which it has not been shown the latest.
    #[serde(default)]
    pub not_shown: Vec<String>,
    /// What it is known to hold, field by field: as it shows it, in hms-sync's own form.
    #[serde(default)]
    pub holds: BTreeMap<String, serde_json::Value>,
    /// When what it holds was last confirmed, in RFC 3339.
    #[serde(default)]
    pub seen_at: Option<String>,
    /// Whether it is still to be read, since the record was taken up: until it is, nothing is sent.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub unread: bool,
    /// What is to be brought to it.
    pub pending: Vec<String>,
    /// Why nothing is brought to it.
    pub parked: Option<String>,
}

impl Machine {
    /// The sync at a glance.
    pub fn status(&self) -> Result<Status, EngineError> {
        let mut sides = Vec::new();
        for (side, _) in self.plan.sides.iter() {
            let gate = self.gates.get(side);
            let collections = self.passes.iter().filter(|(of, _, _)| *of == side);
            let collections: Result<Vec<_>, EngineError> = collections
                .map(|(_, collection, pass)| {
                    let stream = self.views.stream(pass.stream())?;
                    Ok(CollectionStatus {
                        collection: collection.to_string(),
                        listed: pass.listed,
                        cursor: pass.cursor().map(str::to_owned),
                        last_read: (pass.last_began().0 > 0).then(|| pass.last_began().to_string()),
                        trouble: pass.trouble.clone(),
                        held: stream.regressed.or(stream.held).or(stream.withheld).map(|held| held.words),
                        unknown_fields: self.strangers.of(side, collection),
                    })
                })
                .collect();
            sides.push(SideStatus {
                side: side.to_string(),
                away: gate.is_some_and(crate::gate::Gate::is_away),
                in_flight: gate.map_or(0, crate::gate::Gate::in_flight),
                ready: self.lanes.ready_for(&crate::lane::Track::Deliver(side.clone())),
                collections: collections?,
                unsubscribed: self.unsubscribed.get(side).cloned(),
                replay: self.retellings.get(side).map(|of| of.report.clone()),
            });
        }
        Ok(Status {
            sync: self.plan.name.clone(),
            events: self.views.log().head(),
            sides,
            pending: self.views.todo_count(),
            parked: self.views.parked_count() + self.held_streams()?.len(),
            conflicts: self.views.live().total(),
            counts: self.counts,
        })
    }

    fn held_streams(&self) -> Result<Vec<(RecordId, Parked)>, EngineError> {
        let mut held = Vec::new();
        for (side, collection, _) in self.passes.iter() {
            let stream = stream_of(side, collection)?;
            let state = self.views.stream(&stream)?;
            let all = [state.regressed, state.held, state.withheld];
            held.extend(all.into_iter().flatten().map(|parked| (stream.clone(), parked)));
        }
        Ok(held)
    }

    /// What is parked, after a record in order of id, so many records at most.
    pub fn parked(&self, after: Option<&RecordId>, limit: usize) -> Result<Vec<ParkedItem>, EngineError> {
        let mut items = Vec::new();
        if after.is_none() {
            for (stream, parked) in self.held_streams()? {
                items.push(item(stream.to_string(), stream.to_string(), "listing".to_owned(), &parked));
            }
        }
        for record in self.views.parked(after, limit) {
            if let Some(state) = self.views.peek(&record)? {
                self.parked_of(&record, &state, &mut items);
            }
        }
        Ok(items)
    }

    fn parked_of(&self, record: &RecordId, state: &RecordState, items: &mut Vec<ParkedItem>) {
        let title = self.title(record, state);
        if let Some(why) = &state.malformed {
            items.push(ParkedItem {
                record: record.to_string(),
                title: title.clone(),
                lane: "record".into(),
                reason: "malformed".into(),
                words: format!(
                    "{why}; `hms-sync log FILE take-up {record}` has it taken up from what its sides show"
                ),
                attempts: 0,
                given_up: false,
            });
        }
        let sides =
            state.sides.iter().filter_map(|(s, part)| Some((Lane::Side(s.clone()), part.parked.as_ref()?)));
        let jobs =
            state.jobs.iter().filter_map(|(j, job)| Some((Lane::Job(j.clone()), job.parked.as_ref()?)));
        let requests =
            state.requests.iter().filter_map(|(v, r)| Some((Lane::Request(*v), r.parked.as_ref()?)));
        let all = sides.chain(jobs).chain(requests);
        let masks = personal_of(&self.plan, record).is_some();
        items.extend(all.map(|(lane, parked)| {
            let item = item(record.to_string(), title.clone(), lane.to_string(), parked);
            if masks { ParkedItem { words: mask_words(&item.words), ..item } } else { item }
        }));
    }

    /// What people call a record: its identity, or its id on the first side that has one.
    pub fn title(&self, record: &RecordId, state: &RecordState) -> String {
        let collection = self.plan.collections.get(record.collection());
        let identity = collection.map(|of| {
            let values = of.identity.iter().map(|field| state.merged.value(&of.rules, field));
            values
                .filter(|value| !value.is_blank())
                .map(|value| value.to_string())
                .collect::<Vec<_>>()
                .join(" ")
        });
        identity.filter(|text| !text.is_empty()).unwrap_or_else(|| {
            let first = state
                .sides
                .iter()
                .find_map(|(side, part)| Some(format!("{side} {:.60}", part.id.as_ref()?.as_str())));
            first.unwrap_or_else(|| record.to_string())
        })
    }

    /// The same, of a record that is named by its id.
    pub fn title_of(&self, record: &RecordId) -> Result<String, EngineError> {
        let title = self.views.peek_if(record, |state| Some(self.title(record, state)))?;
        Ok(title.unwrap_or_else(|| record.to_string()))
    }

    /// Finds a record by what a person calls it: its id, `collection/identity`,
    /// or `side:native id`. One that became one with another goes by its own id only.
    pub fn find(&self, name: &str) -> Result<Option<RecordId>, EngineError> {
        let mut found = self.found(name)?;
        for _ in 0..JOINS_MAX {
            let Some(record) = found.as_ref().filter(|record| record.as_str() != name) else { break };
            let Some(into) = self.views.peek_if(record, |state| state.joined.clone())? else { break };
            found = Some(into);
        }
        Ok(found)
    }

    fn found(&self, name: &str) -> Result<Option<RecordId>, EngineError> {
        if let Ok(record) = RecordId::try_new(name)
            && (self.views.peek(&record)?.is_some() || record.is_own_stream())
        {
            return Ok(Some(record));
        }
        if let Some((side, id)) = name.split_once(':')
            && let (Ok(side), Ok(id)) = (SideName::try_new(side), NativeId::try_new(id))
        {
            for collection in self.plan.collections.keys() {
                if let Some(record) = self.views.linked(&side, collection, &id)? {
                    return Ok(Some(record));
                }
            }
        }
        let Some((collection, identity)) = name.split_once('/') else { return Ok(None) };
        let Ok(collection) = CollectionName::try_new(collection) else { return Ok(None) };
        let Some(plan) = self.plan.collections.get(&collection) else { return Ok(None) };
        let [field] = plan.identity.as_slice() else { return Ok(None) };
        let ty = plan.rules.field(field).map(|rule| rule.ty.clone()).unwrap_or_default();
        let value = hms_sync_mapping::from_text(&ty, identity).unwrap_or_else(|_| Value::text(identity));
        self.views.identified(&collection, &[value])
    }

    /// All that is known of a record.
    pub fn state(&self, record: &RecordId) -> Result<Option<RecordState>, EngineError> {
        self.views.peek(record)
    }

    /// A record as it stands.
    pub fn record(&self, record: &RecordId) -> Result<Option<RecordReport>, EngineError> {
        let Some(state) = self.views.peek(record)? else { return Ok(None) };
        Ok(Some(self.report(record, &state)))
    }

    /// The same for a state that was folded elsewhere, as of an earlier time.
    pub fn report(&self, record: &RecordId, state: &RecordState) -> RecordReport {
        let collection = self.plan.collections.get(record.collection());
        let fields = collection.map(|of| {
            let report = |field| {
                let decision = state.merged.decide(&of.rules, field);
                let siblings =
                    decision.siblings.iter().map(|(sibling, wins)| SiblingReport::of(sibling, *wins));
                FieldReport {
                    field: field.to_string(),
                    value: decision.value.to_json(),
                    siblings: siblings.collect(),
                    reason: decision.words(),
                }
            };
            state.merged.field_names().map(report).collect()
        });
        let sides = state.sides.iter().map(|(side, part)| {
            let wanted = collection.and_then(|of| projection(of, state, side, true));
            let held = collection.and_then(|of| held_back(of, state, side, true));
            SidePart {
                side: side.to_string(),
                id: part.id.as_ref().filter(|_| !part.gone).map(ToString::to_string),
                unlinked: part.unlinked,
                in_step: wanted.is_none() && held.is_none() && part.write.is_none(),
                has_seen: part.acked.to_string(),
                not_shown: not_shown(state, part),
                holds: holds(part),
                seen_at: (part.seen_at > Time(0)).then(|| part.seen_at.to_string()),
                unread: part.unread.is_some(),
                pending: wanted
                    .map(|w| w.fields.keys().map(ToString::to_string).collect())
                    .unwrap_or_default(),
                parked: part.parked.as_ref().map(in_words),
            }
        });
        RecordReport {
            record: record.to_string(),
            title: self.title(record, state),
            version: state.version,
            presence: collection.map_or_else(String::new, |of| {
                format!("{:?}", state.merged.presence(&of.rules)).to_lowercase()
            }),
            fields: fields.unwrap_or_default(),
            sides: sides.collect(),
            joined: state.joined.as_ref().map(ToString::to_string),
            follows: state.follows.as_ref().map(ToString::to_string),
            erased: state.erased.as_ref().map(|erased| ErasedReport {
                at: erased.at.to_string(),
                by: erased.by.clone(),
                reason: erased.reason.clone(),
                fields: erased.fields.iter().map(ToString::to_string).collect(),
            }),
        }
    }
}

/// The fields of which a side's people have seen less than there is.
fn not_shown(state: &RecordState, part: &SideState) -> Vec<String> {
    let behind = |field: &&FieldName| {
        let seen = part.acked_of(field);
        state.merged.siblings(field).iter().any(|sibling| !seen.has(&sibling.dot))
    };
    state.merged.field_names().filter(behind).map(ToString::to_string).collect()
}

fn holds(part: &SideState) -> BTreeMap<String, serde_json::Value> {
    let shown = part.held.keys().map(|field| (field, part.shown_of(field)));
    let there = shown.filter(|(_, value)| *value != Value::Absent);
    there.map(|(field, value)| (field.to_string(), value.to_json())).collect()
}

fn in_words(parked: &Parked) -> String {
    let given_up = if parked.given_up { ", given up" } else { "" };
    format!("{}{given_up}: {}", parked.reason, parked.words)
}

fn item(record: String, title: String, lane: String, parked: &Parked) -> ParkedItem {
    ParkedItem {
        record,
        title,
        lane,
        reason: parked.reason.to_string(),
        words: parked.words.clone(),
        attempts: parked.attempts,
        given_up: parked.given_up,
    }
}
