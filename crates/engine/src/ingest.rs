//! `ingest` of the resolver's specification: what a side shows anew becomes an edit by it,
//! which claims to have seen what its people had been shown, and never more.

use crate::brake::flapping;
use crate::classify::{is_credible, seen_by_group, stamp};
use crate::error::EngineError;
use crate::happening::What;
use crate::image::original;
use crate::machine::Machine;
use crate::observe::{Place, Seen};
use crate::page::Doc;
use crate::past::record_seen;
use crate::plan::CollectionPlan;
use crate::state::{RecordState, SideState};
use crate::views::Entry;
use crate::wake::Now;
use hms_sync_model::{
    Actor, Apart, Body, Change, Dot, Edit, Failure, FieldMap, FieldName, NativeId, Operation, RawHash,
    RecordId, Source, Value, VecMap,
};
use hms_sync_resolver::fault::{Fault, is_back};
use hms_sync_resolver::{Record, Rules};

impl Machine {
    /// Makes an edit of the fields that a side shows anew.
    #[expect(clippy::too_many_arguments, reason = "one edit with all that is known about it")]
    pub(crate) fn edit(
        &mut self,
        place: Place<'_>,
        record: &RecordId,
        entry: &mut Entry,
        seen: &Seen,
        fields: FieldMap,
        certain: bool,
        now: Now,
    ) -> Result<(), EngineError> {
        let pass = self.passes.get(place.side, place.name);
        let nobody = SideState::default();
        let part = entry.state.sides.get(place.side).unwrap_or(&nobody);
        let change = |(field, view): (FieldName, Value)| {
            let held = part.held.get(&field);
            let before = held.map(|held| held.sent.clone()).unwrap_or_default();
            let view = match held.and_then(|held| held.shown.as_ref()) {
                Some(shown) => original(&view, &place.plan.shape.image(&field, &before), shown),
                None => view,
            };
            let after = place.plan.shape.put_owned(&field, view, &before);
            (field, Change { before, after })
        };
        let low = part.unchanged_until(pass.map(super::pass::Pass::last));
        self.counts.wrong_times += u64::from(seen.modified.is_some_and(|at| !is_credible(at, low, now.wall)));
        let actor = entry.state.side_actor_from(self.floor, place.side);
        let n = entry.state.merged.clock.count(&actor);
        let mut context = part.acked.clone();
        if !is_back(Fault::OwnPastLeftOut) {
            context.see(&actor, n);
        }
        let rules = &place.collection.rules;
        let mut changes: VecMap<FieldName, Change> = fields.into_iter().map(change).collect();
        let view = self.rest_of_groups(record, &entry.state, part, rules, &changes, (&actor, n))?;
        rules.complete_groups(&mut changes, |field| match part.held.get(field) {
            Some(held) => held.sent.clone(),
            None => view.as_ref().unwrap_or(&entry.state.merged).value(rules, field),
        });
        let stamp = stamp(seen.modified, low, now.wall);
        let has = |field: &FieldName| place.plan.shape.gives(field) || place.plan.shape.takes(field);
        rules.derive(&mut changes, has, stamp.high, &actor.author);
        let edit = Edit {
            generation: entry.state.merged.generation,
            context,
            but: if is_back(Fault::OneContext) {
                VecMap::new()
            } else {
                seen_by_group(rules, part, &changes)
            },
            changes,
            deletes: false,
            stamp,
            certain,
            dot: Dot { n: n.saturating_add(1), actor },
        };
        self.counts.edits += 1;
        let raw = self.raw_of(place, record, entry, &seen.doc)?;
        let body = Body::Edited {
            edit,
            id: Some(seen.id.clone()),
            tag: seen.tag.clone(),
            source: seen.source.clone(),
            raw,
        };
        let event = self.emit_event(record, entry, body, now)?;
        let Body::Edited { edit, .. } = &event.body else { return Ok(()) };
        self.tell_decisions(place.collection, record, entry, &edit.changes, now);
        match flapping(&entry.state, &edit.changes) {
            fields if fields.is_empty() => Ok(()),
            fields => self.park_flapping(place, record, entry, fields, now),
        }
    }

    /// The record as the side's people had seen it, where they edit a group of which the
    /// side shows a part, and the rest has changed since: they edit what they had seen.
    fn rest_of_groups(
        &self,
        record: &RecordId,
        state: &RecordState,
        part: &SideState,
        rules: &Rules,
        changes: &VecMap<FieldName, Change>,
        (actor, n): (&Actor, u64),
    ) -> Result<Option<Record>, EngineError> {
        if state.erased.is_some() {
            return Ok(None);
        }
        for group in rules.groups().iter().filter(|g| g.fields.iter().any(|f| changes.contains_key(f))) {
            let members = || group.fields.iter();
            let mut seen =
                members().fold(part.acked.clone(), |seen, field| seen.common(part.acked_of(field)));
            seen.see(actor, n);
            let hidden =
                |field: &&FieldName| !part.held.contains_key(*field) && !changes.contains_key(*field);
            if members().filter(hidden).any(|field| !seen.covers(&state.merged.seen(field))) {
                let (log, vault) = (self.views.log(), self.views.vault());
                return record_seen(log, vault, rules, record, &seen);
            }
        }
        Ok(None)
    }

    /// The hash of what a side showed of a record; nothing once its personal fields are erased.
    fn raw_of(
        &mut self,
        place: Place<'_>,
        record: &RecordId,
        entry: &Entry,
        shown: &Doc,
    ) -> Result<Option<RawHash>, EngineError> {
        if entry.state.erased.is_some() {
            return Ok(None);
        }
        let shown = match shown {
            Doc::Whole(shown) => shown,
            // The record has no key: where one may have, nothing is hashed beforehand.
            Doc::Hashed(hash) => return Ok(*hash),
        };
        let personal = !place.collection.personal.is_empty();
        let vault = self.views.vault().filter(|vault| personal || vault.has(record));
        if personal && vault.is_none() {
            return Err(EngineError::NoVault);
        }
        self.raw.raw_hash(record, shown, vault)
    }

    /// Tells of the fields where concurrent edits met.
    fn tell_decisions(
        &mut self,
        collection: &CollectionPlan,
        record: &RecordId,
        entry: &Entry,
        changes: &VecMap<FieldName, Change>,
        now: Now,
    ) {
        let merged = &entry.state.merged;
        if !merged.any_conflicted() {
            return;
        }
        for field in changes.keys().filter(|field| merged.is_conflicted(field)) {
            let decision = merged.decide(&collection.rules, field);
            self.counts.conflicts += 1;
            let lost = decision.siblings.iter().filter(|(_, wins)| !wins);
            let told = What::Decided {
                field: field.clone(),
                winner: decision.value.clone(),
                losers: lost.map(|(s, _)| (s.dot.actor.to_string(), s.change.after.clone())).collect(),
                reason: decision.reason,
            };
            self.tell(Some(record), told, now);
        }
    }

    /// The side has no such record (any more).
    pub(crate) fn gone(
        &mut self,
        place: Place<'_>,
        record: &RecordId,
        entry: &mut Entry,
        id: NativeId,
        source: Source,
        now: Now,
    ) -> Result<(), EngineError> {
        let Some(part) = entry.state.sides.get(place.side) else { return Ok(()) };
        // One that starts over says so itself, also where it was known to be gone.
        let says_so = part.unread.is_some() && part.id.is_some();
        if !part.has_it() && !says_so {
            let clock = part.acked_of_all();
            let known = part.doubt.is_none() && part.unread.is_none();
            let body = Body::Confirmed { side: place.side.clone(), clock, tag: None, but: Vec::new() };
            return if known { Ok(()) } else { self.emit(record, entry, body, now).map(|_| ()) };
        }
        if entry.state.merged.clock.is_empty() {
            // A hint of something that is not there.
            let body = Body::Unlinked { side: place.side.clone(), apart: None };
            return self.emit(record, entry, body, now).map(|_| ());
        }
        if part.is_unseen() {
            let words = format!("{} has nothing under the id that it was linked to", place.side);
            let apart = Some(Apart { id: None, by: None, reason: words });
            let body = Body::Unlinked { side: place.side.clone(), apart };
            return self.emit(record, entry, body, now).map(|_| ());
        }
        if may_be_new(place, part, &source, now) {
            return self.doubt(
                place,
                record,
                entry,
                "it was made just now, and a read may not show it yet",
                now,
            );
        }
        let open = self.is_write_open(place, record, entry);
        if let Some(write) = part.write.clone().filter(|write| open || write.operation == Operation::Delete) {
            let side = place.side.clone();
            if write.operation == Operation::Delete {
                let results = VecMap::new();
                let body =
                    Body::Applied { side, of: write.version, id: None, tag: None, results, whole: false };
                return self.emit(record, entry, body, now).map(|_| ());
            }
            let words = "we looked: the record is gone".to_owned();
            self.emit(
                record,
                entry,
                Body::Failed { side, of: write.version, failure: Failure::Gone, words },
                now,
            )?;
        }
        let nobody = SideState::default();
        let part = entry.state.sides.get(place.side).unwrap_or(&nobody);
        let actor = entry.state.side_actor_from(self.floor, place.side);
        let n = entry.state.merged.clock.count(&actor);
        let mut context = part.acked.clone();
        if !is_back(Fault::OwnPastLeftOut) {
            context.see(&actor, n);
        }
        let edit = Edit {
            generation: entry.state.merged.generation,
            context,
            but: part.but.clone(),
            changes: VecMap::new(),
            deletes: true,
            stamp: stamp(None, part.seen_at, now.wall),
            certain: true,
            dot: Dot { n: n.saturating_add(1), actor },
        };
        self.counts.edits += 1;
        self.emit(record, entry, Body::Edited { edit, id: Some(id), tag: None, source, raw: None }, now)?;
        self.tell(Some(record), What::Deleted { side: place.side.clone() }, now);
        Ok(())
    }
}

/// Whether a read that does not find the record may be older than our making it: time tells.
fn may_be_new(place: Place<'_>, part: &SideState, source: &Source, now: Now) -> bool {
    let read = matches!(source, Source::Fetch | Source::Missing) && !is_back(Fault::StaleReadBelieved);
    read && part.made.is_some_and(|made| now.wall < made.plus(place.plan.settle_window))
}
