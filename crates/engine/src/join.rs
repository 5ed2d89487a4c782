//! Two records that are one: what the one had enters the other as a single edit by the actor
//! `join`, which has seen nothing, so that each field that differs is decided as between any two
//! who did not know of each other. Clocks are never merged: two records count their edits alike.
//!
//! What the first had on sides where the other is not becomes the other's; where both are, the
//! first's is deleted, as the delete of a person who knew all of it.

use crate::error::EngineError;
use crate::happening::What;
use crate::link::{Cannot, is_one_with};
use crate::machine::Machine;
use crate::personal::is_open;
use crate::plan::CollectionPlan;
use crate::state::RecordState;
use crate::views::Entry;
use crate::wake::Now;
use hms_sync_model::{
    Author, Body, Change, Clock, Edit, FieldMap, FieldName, NativeId, RecordId, SideName, Source, Stamp,
    Value, VecMap,
};
use hms_sync_resolver::Presence;
use std::sync::Arc;

/// Who did it, where no person did.
const ENGINE: &str = "hms-sync";

/// Whether two records that a side made one are one here, too.
pub(crate) enum Merged {
    /// They are.
    Done,
    /// They will be: a write of one of them is under way.
    Later,
    /// It cannot be told what the side means.
    No,
}

impl Machine {
    /// Makes one of two records at a person's word.
    pub(crate) fn join(
        &mut self,
        record: &RecordId,
        into: &RecordId,
        (by, reason): (String, String),
        now: Now,
    ) -> Result<Result<(), Cannot>, EngineError> {
        let plan = Arc::clone(&self.plan);
        if record == into || record.collection() != into.collection() {
            return Ok(Err("two records of one collection can be made one".to_owned()));
        }
        let Some(collection) = plan.collections.get(record.collection()) else {
            return Ok(Err(format!("the configuration has no collection {:?}", record.collection())));
        };
        let (from, to) =
            (self.views.peek(record)?.unwrap_or_default(), self.views.peek(into)?.unwrap_or_default());
        let why = cannot_join(collection, record, &from).or_else(|| cannot_join(collection, into, &to));
        if let Some(why) = why {
            return Ok(Err(why));
        }
        self.make_one(collection, record, into, None, (&by, &reason), now)?;
        Ok(Ok(()))
    }

    /// A side answers a read of one record with another one: its people made one of the two.
    /// Answers whether that has been taken in.
    pub(crate) fn merged_there(
        &mut self,
        record: &RecordId,
        side: &SideName,
        answered: &NativeId,
        now: Now,
    ) -> Result<Merged, EngineError> {
        let plan = Arc::clone(&self.plan);
        let Some((name, collection)) = plan.collections.get_key_value(record.collection()) else {
            return Ok(Merged::No);
        };
        let Some(into) = self.views.linked(side, name, answered)?.filter(|into| into != record) else {
            return Ok(Merged::No);
        };
        let (from, to) =
            (self.views.peek(record)?.unwrap_or_default(), self.views.peek(&into)?.unwrap_or_default());
        let has_it =
            to.sides.get(side).is_some_and(|part| part.has_it() && part.id.as_ref() == Some(answered));
        if !has_it || is_over(collection, record, &from).or_else(|| is_over(collection, &into, &to)).is_some()
        {
            return Ok(Merged::No);
        }
        if is_written(record, &from).or_else(|| is_written(&into, &to)).is_some() {
            return Ok(Merged::Later);
        }
        let reason = format!("{side} made one of the two");
        self.make_one(collection, record, &into, Some(side), (ENGINE, &reason), now)?;
        Ok(Merged::Done)
    }

    fn make_one(
        &mut self,
        collection: &CollectionPlan,
        record: &RecordId,
        into: &RecordId,
        merged_on: Option<&SideName>,
        (by, reason): (&str, &str),
        now: Now,
    ) -> Result<(), EngineError> {
        let mut from = self.views.take(record)?;
        let mut to = self.views.take(into)?;
        let edit = join_edit(self.floor, collection, &from.state, &to.state);
        if let Some(edit) = edit {
            self.counts.edits += 1;
            let source = Source::Person { by: by.to_owned(), reason: reason.to_owned() };
            let body = Body::Edited { edit, id: None, tag: None, source, raw: None };
            self.emit(into, &mut to, body, now)?;
        }
        let moves = |(side, part): (&SideName, &crate::state::SideState)| {
            let free = to.state.sides.get(side).is_none_or(|part| !part.has_it() && part.write.is_none());
            let id = part.id.clone().filter(|_| part.has_it() && free && Some(side) != merged_on)?;
            // What it shows in a form of its own is read again.
            let plain = part.held.iter().filter(|(_, held)| held.shown.is_none() && !held.not_kept);
            let fields = plain.map(|(field, held)| (field.clone(), held.sent.clone())).collect();
            Some((side.clone(), id, fields))
        };
        let moves: Vec<(SideName, NativeId, FieldMap)> = from.state.sides.iter().filter_map(moves).collect();
        for (side, id, fields) in moves {
            self.emit(record, &mut from, Body::Unlinked { side: side.clone(), apart: None }, now)?;
            let (by, reason) = (by.to_owned(), reason.to_owned());
            self.emit(into, &mut to, Body::Linked { side, id: Some(id), fields, by, reason }, now)?;
        }
        self.end_in(record, &mut from, into, merged_on.cloned().into_iter().collect(), (by, reason), now)?;
        self.tell(Some(record), What::Joined { into: into.clone() }, now);
        self.finish(record.clone(), from, now)?;
        self.finish(into.clone(), to, now)
    }

    /// A record ends, and another goes on for it.
    pub(crate) fn end_in(
        &mut self,
        record: &RecordId,
        entry: &mut Entry,
        into: &RecordId,
        gone: Vec<SideName>,
        (by, reason): (&str, &str),
        now: Now,
    ) -> Result<(), EngineError> {
        let (by, reason) = (by.to_owned(), reason.to_owned());
        let body = Body::Joined { into: into.clone(), gone, by: by.clone(), reason: reason.clone() };
        self.emit(record, entry, body, now)?;
        if entry.state.merged.clock.is_empty() {
            return Ok(());
        }
        let (state, who) = (&entry.state, (Author::Join, self.floor));
        let seen = state.merged.clock.clone();
        let edit = Edit { deletes: true, ..state.edit_by(who, seen, VecMap::new(), Stamp::at(now.wall)) };
        let source = Source::Person { by, reason };
        self.emit(record, entry, Body::Edited { edit, id: None, tag: None, source, raw: None }, now)?;
        Ok(())
    }
}

/// Why a record cannot be joined with another.
fn cannot_join(collection: &CollectionPlan, record: &RecordId, state: &RecordState) -> Option<Cannot> {
    is_over(collection, record, state).or_else(|| is_written(record, state))
}

/// Why there is nothing of a record that could be joined.
fn is_over(collection: &CollectionPlan, record: &RecordId, state: &RecordState) -> Option<Cannot> {
    if let Some(why) = is_one_with(record, state) {
        return Some(why);
    }
    if let Some(why) = &state.malformed {
        return Some(format!("{record} is held: {why}"));
    }
    if state.merged.presence(&collection.rules) != Presence::Present {
        return Some(format!("{record} is not there, or it is not decided whether it is"));
    }
    None
}

/// Whether it is not known yet what became of a write of a record.
fn is_written(record: &RecordId, state: &RecordState) -> Option<Cannot> {
    let mut open = state.sides.iter().filter(|(_, part)| part.write.is_some());
    open.next()
        .map(|(side, _)| format!("{record} is being written to {side} just now: try again when that is done"))
}

/// What the one record has and the other has not, or otherwise; not what identifies it.
fn join_edit(floor: u32, collection: &CollectionPlan, from: &RecordState, to: &RecordState) -> Option<Edit> {
    let rules = &collection.rules;
    let closed = |field: &FieldName| to.erased.as_ref().is_some_and(|erased| erased.fields.contains(field));
    let (mut changes, mut stamp) = (VecMap::new(), Stamp::default());
    for (field, value) in from.merged.current(rules) {
        let differs = *value != Value::Absent && to.merged.value(rules, field) != *value;
        if !differs || collection.identity.contains(field) || !is_open(&value) || closed(field) {
            continue;
        }
        let winner =
            from.merged.decide(rules, field).siblings.iter().find(|(_, wins)| *wins).map(|(s, _)| s.stamp);
        stamp = winner.unwrap_or_default().max(stamp);
        changes.insert(field.clone(), Change { before: Value::Absent, after: value.into_owned() });
    }
    rules.complete_groups(&mut changes, |field| from.merged.value(rules, field));
    if changes.is_empty() {
        return None;
    }
    Some(to.edit_by((Author::Join, floor), Clock::new(), changes, stamp))
}
