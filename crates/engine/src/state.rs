//! What is known of one record: the merged registers, and for each side what it
//! holds, what it has been shown, and what is under way to it.
//!
//! All of it is a fold over the record's events ([`RecordState::fold`]) and
//! nothing else: dropping every view and replaying the log gives the same state.
//! Only what [`crate::lane`] keeps (timers, requests in flight) is outside.

use crate::brake::Flips;
use crate::conflicts::{Met, Touched};
use hms_sync_model::{
    Actor, Clock, EventId, FieldMap, FieldName, IdempotencyKey, JobName, NativeId, Operation, Parked,
    RecordId, Request, SideName, Tag, Time, Value, VecMap,
};
use hms_sync_resolver::Record;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::time::Duration;

/// One record, as all its events make it.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct RecordState {
    /// How many events the record has.
    #[serde(rename = "n")]
    pub version: u64,
    /// The id of the last one.
    #[serde(rename = "h")]
    pub head: EventId,
    /// The registers.
    #[serde(rename = "m")]
    pub merged: Record,
    /// When an edit last changed the registers.
    #[serde(rename = "e", default, skip_serializing_if = "is_default")]
    pub edited_at: Time,
    /// Fields that sides keep putting back, and how often.
    #[serde(rename = "y", default, skip_serializing_if = "VecMap::is_empty")]
    pub flips: VecMap<FieldName, Flips>,
    /// What each side is known to hold.
    #[serde(rename = "s", default, skip_serializing_if = "VecMap::is_empty")]
    pub sides: VecMap<SideName, SideState>,
    /// What each handler has dealt with.
    #[serde(rename = "j", default, skip_serializing_if = "VecMap::is_empty")]
    pub jobs: VecMap<JobName, JobState>,
    /// Requests of handlers that are not done, by the version of their event.
    #[serde(rename = "q", default, skip_serializing_if = "VecMap::is_empty")]
    pub requests: VecMap<u64, RequestState>,
    /// Where concurrent edits have met: by field, or about whether the record is there.
    #[serde(rename = "k", default, skip_serializing_if = "VecMap::is_empty")]
    pub conflicts: VecMap<Touched, Met>,
    /// Its personal fields were erased: they are closed.
    #[serde(rename = "z", default, skip_serializing_if = "Option::is_none")]
    pub erased: Option<Erasure>,
    /// It is one with this record, and goes on there.
    #[serde(rename = "o", default, skip_serializing_if = "Option::is_none")]
    pub joined: Option<RecordId>,
    /// The record whose place on a side it took.
    #[serde(rename = "b", default, skip_serializing_if = "Option::is_none")]
    pub follows: Option<RecordId>,
    /// Which life of the counters of people at hms-sync and of hms-sync itself; a side's is none below it.
    #[serde(rename = "l", default, skip_serializing_if = "is_default")]
    pub epoch: u32,
    /// An event of this record could not be applied: it is left alone until a person looks.
    #[serde(rename = "x", default, skip_serializing_if = "Option::is_none")]
    pub malformed: Option<String>,
}

/// What was erased of a record.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Erasure {
    /// When.
    #[serde(rename = "t")]
    pub at: Time,
    /// Who asked for it.
    #[serde(rename = "w")]
    pub by: String,
    /// Why.
    #[serde(rename = "y")]
    pub reason: String,
    /// The fields that are closed since.
    #[serde(rename = "f")]
    pub fields: BTreeSet<FieldName>,
}

/// One side's part of a record.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct SideState {
    /// Which life of the side's counters.
    #[serde(rename = "e", default, skip_serializing_if = "is_default")]
    pub epoch: u32,
    /// The side's id of the record.
    #[serde(rename = "i", default, skip_serializing_if = "Option::is_none")]
    pub id: Option<NativeId>,
    /// The side's version tag, as last heard.
    #[serde(rename = "v", default, skip_serializing_if = "Option::is_none")]
    pub tag: Option<Tag>,
    /// When we made the record there, or may have.
    #[serde(rename = "m", default, skip_serializing_if = "Option::is_none")]
    pub made: Option<Time>,
    /// The side is known not to have the record any more.
    #[serde(rename = "g", default, skip_serializing_if = "is_default")]
    pub gone: bool,
    /// A person unlinked it: nothing is brought to the side until it is linked again.
    #[serde(rename = "u", default, skip_serializing_if = "is_default")]
    pub unlinked: bool,
    /// Native records there that it is not matched with.
    #[serde(rename = "x", default, skip_serializing_if = "Vec::is_empty")]
    pub apart: Vec<NativeId>,
    /// What the side's people have been shown of the merged record.
    #[serde(rename = "a", default, skip_serializing_if = "Clock::is_empty")]
    pub acked: Clock,
    /// Fields of which they have been shown less.
    #[serde(rename = "b", default, skip_serializing_if = "VecMap::is_empty")]
    pub but: VecMap<FieldName, Clock>,
    /// What the side holds, field by field.
    #[serde(rename = "f", default, skip_serializing_if = "VecMap::is_empty")]
    pub held: VecMap<FieldName, Held>,
    /// The write that has no final outcome yet.
    #[serde(rename = "w", default, skip_serializing_if = "Option::is_none")]
    pub write: Option<Write>,
    /// What the last write found there, until its values have settled.
    #[serde(rename = "l", default, skip_serializing_if = "Option::is_none")]
    pub last_write: Option<LastWrite>,
    /// Since when the side has to be read again, and why.
    #[serde(rename = "d", default, skip_serializing_if = "Option::is_none")]
    pub doubt: Option<Doubt>,
    /// Failed tries since the last success or change.
    #[serde(rename = "t", default, skip_serializing_if = "is_default")]
    pub attempts: u32,
    /// Set aside.
    #[serde(rename = "p", default, skip_serializing_if = "Option::is_none")]
    pub parked: Option<Parked>,
    /// When the record was taken up, if this side has not been read since: until then nothing
    /// of the record is sent anywhere.
    #[serde(rename = "n", default, skip_serializing_if = "Option::is_none")]
    pub unread: Option<Time>,
    /// When what it holds was last confirmed by an observation or an answer.
    #[serde(rename = "c", default, skip_serializing_if = "is_default")]
    pub seen_at: Time,
}

/// What a side holds of one field.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Held {
    /// The full canonical value: what was sent, or what an edit of the side's made of it.
    #[serde(rename = "s")]
    pub sent: Value,
    /// What the side shows instead of the image of `sent`, if it does.
    #[serde(rename = "o", default, skip_serializing_if = "Option::is_none")]
    pub shown: Option<Value>,
    /// The side answered that all was well and kept its old value.
    #[serde(rename = "k", default, skip_serializing_if = "is_default")]
    pub not_kept: bool,
}

impl Held {
    /// A side that holds just what was sent.
    pub fn plain(value: Value) -> Self {
        Self { sent: value, shown: None, not_kept: false }
    }

    /// What the side shows of it in canonical form, lossy sides aside.
    pub(crate) fn as_shown(&self) -> Value {
        self.shown.as_ref().unwrap_or(&self.sent).clone()
    }
}

/// A write without a final outcome.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Write {
    /// The version of its `Intended` event.
    #[serde(rename = "n")]
    pub version: u64,
    /// What it does.
    #[serde(rename = "o")]
    pub operation: Operation,
    /// The values it carries.
    #[serde(rename = "f")]
    pub fields: FieldMap,
    /// What the merged state had seen.
    #[serde(rename = "c")]
    pub clock: Clock,
    /// The id of its event: the idempotency key is made of it.
    #[serde(rename = "e")]
    pub event: EventId,
    /// When it was intended: a side may forget its key some time after that.
    #[serde(rename = "t", default, skip_serializing_if = "is_default")]
    pub at: Time,
    /// Fields that waited for a person when it was intended: its answer shows nobody the others' values.
    #[serde(rename = "k", default, skip_serializing_if = "Vec::is_empty")]
    pub kept: Vec<FieldName>,
    /// Whether it was to carry more, which has been erased since: it must not be sent
    /// again under its key.
    #[serde(rename = "x", default, skip_serializing_if = "is_default")]
    pub cut: bool,
}

/// What stood on the side before our last write, for telling a stale read from an edit.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct LastWrite {
    /// When its outcome came in.
    #[serde(rename = "e")]
    pub ended: Time,
    /// What the fields showed before it.
    #[serde(rename = "b")]
    pub before: FieldMap,
    /// The side's version tag before it.
    #[serde(rename = "v", default, skip_serializing_if = "Option::is_none")]
    pub tag: Option<Tag>,
    /// Whether the side has shown our values since.
    #[serde(rename = "s", default, skip_serializing_if = "is_default")]
    pub shown: bool,
    /// What fields showed before an edit of the side's that only its answer told of.
    #[serde(rename = "t", default, skip_serializing_if = "VecMap::is_empty")]
    pub told: FieldMap,
    /// The same of writes shortly before it, the last one first, until a read has shown one.
    #[serde(rename = "p", default, skip_serializing_if = "Vec::is_empty")]
    pub past: Vec<PastWrite>,
}

/// What stood on the side before a write that another has followed: a read that lags may
/// still show it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PastWrite {
    /// When its outcome came in.
    #[serde(rename = "e")]
    pub ended: Time,
    /// What the fields showed before it, and before what its answer told of.
    #[serde(rename = "b")]
    pub before: FieldMap,
    /// The side's version tag before it.
    #[serde(rename = "v", default, skip_serializing_if = "Option::is_none")]
    pub tag: Option<Tag>,
}

/// So many of them are remembered.
const PAST_MAX: usize = 4;

impl LastWrite {
    /// A write has followed this one: what is to be remembered of it and of those before.
    pub(crate) fn passed(self) -> Vec<PastWrite> {
        let Self { ended, mut before, tag, told, mut past, .. } = self;
        told.into_iter().for_each(|(field, value)| drop(before.insert(field, value)));
        if !before.is_empty() || tag.is_some() {
            past.truncate(PAST_MAX - 1);
            past.insert(0, PastWrite { ended, before, tag });
        }
        past
    }

    /// Writes before it whose past a read may still show at `now`, where it lags by no more
    /// than `window`.
    pub(crate) fn past_within(&self, window: Duration, now: Time) -> impl Iterator<Item = &PastWrite> {
        self.past.iter().filter(move |past| now < past.ended.plus(window))
    }
}

/// A side that has to be read again.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Doubt {
    /// When it was last raised.
    #[serde(rename = "t")]
    pub raised: Time,
    /// When it was first raised.
    #[serde(rename = "f", default)]
    pub since: Time,
    /// How many reads were passed over: the second after the settle window decides.
    #[serde(rename = "n")]
    pub times: u32,
}

/// What one handler has dealt with.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct JobState {
    /// The state of the record it last finished with.
    #[serde(rename = "c")]
    pub handled: Clock,
    /// Keys of the requests that the call now under way has asked for: the same
    /// call made again after a crash asks for the same ones.
    #[serde(rename = "k", default, skip_serializing_if = "Vec::is_empty")]
    pub asked: Vec<IdempotencyKey>,
    /// Failed calls since.
    #[serde(rename = "t", default, skip_serializing_if = "is_default")]
    pub attempts: u32,
    /// Set aside.
    #[serde(rename = "p", default, skip_serializing_if = "Option::is_none")]
    pub parked: Option<Parked>,
}

/// A request of a handler's that is not done.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RequestState {
    /// The request.
    #[serde(rename = "q")]
    pub request: Request,
    /// Failed tries.
    #[serde(rename = "t", default, skip_serializing_if = "is_default")]
    pub attempts: u32,
    /// Set aside.
    #[serde(rename = "p", default, skip_serializing_if = "Option::is_none")]
    pub parked: Option<Parked>,
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

impl SideState {
    /// The actor that edits made on `side` are ascribed to.
    pub fn actor(&self, side: &SideName) -> Actor {
        Actor { epoch: self.epoch, ..Actor::side(side.clone()) }
    }

    /// Whether the side has the record, as far as we know.
    pub fn has_it(&self) -> bool {
        self.id.is_some() && !self.gone
    }

    /// Whether it was linked by a person's word and has never been seen there.
    pub(crate) fn is_unseen(&self) -> bool {
        self.epoch > 0
            && self.held.is_empty()
            && self.acked.is_empty()
            && self.write.is_none()
            && self.doubt.is_some()
    }

    /// Until when the side's record is known to have been as it was known: up to then no
    /// edit was made that we do not know. `pass` is when the last pass over all records
    /// began and ended. One that ended in doubt may have shown the edit already.
    pub(crate) fn unchanged_until(&self, pass: Option<(Time, Time)>) -> Time {
        if self.unread.is_some() {
            // What was known of it may have been known only in part.
            return Time::MIN;
        }
        let passed = pass.filter(|(_, ended)| self.doubt.as_ref().is_none_or(|doubt| *ended < doubt.since));
        passed.map_or(self.seen_at, |(began, _)| self.seen_at.max(began))
    }

    /// What its people had been shown of `field`.
    pub fn acked_of(&self, field: &FieldName) -> &Clock {
        self.but.get(field).unwrap_or(&self.acked)
    }

    /// What they had been shown of every field.
    pub(crate) fn acked_of_all(&self) -> Clock {
        self.but.values().fold(self.acked.clone(), |seen, of_field| seen.common(of_field))
    }
}

impl RecordState {
    /// The part of `side`, made if it is new.
    pub fn side_mut(&mut self, side: &SideName) -> &mut SideState {
        part_of(&mut self.sides, side)
    }
}

/// The part of `side` among these, made if it is new. Most records come to have two.
pub(crate) fn part_of<'s>(sides: &'s mut VecMap<SideName, SideState>, side: &SideName) -> &'s mut SideState {
    if sides.is_empty() {
        sides.reserve(2);
    }
    sides.entry_or(side.clone(), SideState::default)
}
