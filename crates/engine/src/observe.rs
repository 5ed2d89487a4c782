//! From what was seen to what happened: which record an observation is of, and
//! whether it is an edit, an echo of our own write, or a stale read.
//!
//! This is `classify` and `ingest` of the resolver's specification. The rule
//! that matters most: an edit never claims that its author had seen more than
//! was on their screen. Where that cannot be found out, it claims less.

use crate::altered::cut_short;
use crate::brake::{fights, flapping};
use crate::classify::{Verdict, is_another, is_credible, seen_by_group, stamp, verdict};
use crate::deliver::judge;
use crate::error::EngineError;
use crate::happening::What;
use crate::image::{original, same_but_form};
use crate::lane::Track;
use crate::machine::Machine;
use crate::past::record_seen;
use crate::personal::{closed, mask_words, without};
use crate::plan::{CollectionPlan, CollectionSide, Recreate};
use crate::project::{held_back, is_all_of_groups_in, is_behind, lacks, same, shown};
use crate::state::{Held, RecordState, SideState, Write};
use crate::views::Entry;
use crate::wake::Now;
use hms_sync_connector::{Content, Observation};
use hms_sync_model::{
    Actor, Body, Change, CollectionName, Dot, Edit, Failure, FieldMap, FieldName, FieldResult, InvalidName,
    Lane, NativeId, Operation, ParkReason, Parked, RawHash, RecordId, SideName, Source, Tag, Time, Value,
    VecMap,
};
use hms_sync_resolver::fault::{Fault, is_back};
use hms_sync_resolver::{Presence, Record, Rules};
use serde_json::Value as Json;
use std::borrow::Cow;
use std::sync::Arc;

/// One side of one collection, with the plan for it.
#[derive(Clone, Copy)]
pub(crate) struct Place<'a> {
    pub(crate) side: &'a SideName,
    pub(crate) name: &'a CollectionName,
    pub(crate) collection: &'a CollectionPlan,
    pub(crate) plan: &'a CollectionSide,
}

/// What was seen of one record, in canonical fields.
#[derive(Clone)]
pub(crate) struct Seen {
    pub(crate) id: NativeId,
    pub(crate) tag: Option<Tag>,
    pub(crate) modified: Option<Time>,
    pub(crate) fields: FieldMap,
    /// The record as the side showed it.
    pub(crate) doc: Json,
    pub(crate) source: Source,
    /// When the read began.
    pub(crate) began: Time,
    /// Whether it is known what those who edited there had seen.
    pub(crate) certain: bool,
}

impl Seen {
    /// The same without fields that are closed.
    fn open(&self, place: Place<'_>, entry: &Entry) -> Cow<'_, Self> {
        match closed(&entry.state, Some(&place.collection.personal)) {
            Some(closed) => Cow::Owned(Self { fields: without(&self.fields, &closed), ..self.clone() }),
            None => Cow::Borrowed(self),
        }
    }
}

impl Machine {
    /// Takes in one record as a side showed it.
    pub(crate) fn intake(
        &mut self,
        side: &SideName,
        name: &CollectionName,
        seen: Observation,
        source: Source,
        began: Time,
        now: Now,
    ) -> Result<(), EngineError> {
        let plan = Arc::clone(&self.plan);
        let Some(collection) = plan.collections.get(name) else { return Ok(()) };
        let Some(part) = collection.sides.get(side) else { return Ok(()) };
        let place = Place { side, name, collection, plan: part };
        self.counts.observations += 1;
        let known = match self.views.linked(side, name, &seen.id)? {
            Some(record) => Some((self.views.take(&record)?, record)),
            None => None,
        };
        match known {
            Some((entry, record))
                if entry.state.sides.get(side).and_then(|p| p.id.as_ref()) == Some(&seen.id) =>
            {
                self.observe(place, record, entry, seen, source, began, now)
            }
            stale => {
                if let Some((entry, record)) = stale {
                    self.views.put(record, entry);
                }
                let record = new_record_id(&plan.name, side, name, &seen.id, None)?;
                let entry = self.views.take(&record)?;
                self.observe(place, record, entry, seen, source, began, now)
            }
        }
    }

    /// The id that a record will have which a side is said to have and has not shown yet.
    pub(crate) fn unseen_record(
        &self,
        side: &SideName,
        name: &CollectionName,
        id: &NativeId,
    ) -> Result<RecordId, EngineError> {
        Ok(new_record_id(&self.plan.name, side, name, id, None)?)
    }

    /// Takes in what was seen of a record that is known by its id, or is new.
    #[expect(clippy::too_many_arguments, reason = "one observation with all that is known about it")]
    pub(crate) fn observe(
        &mut self,
        place: Place<'_>,
        record: RecordId,
        mut entry: Entry,
        seen: Observation,
        source: Source,
        began: Time,
        now: Now,
    ) -> Result<(), EngineError> {
        let Observation { id, tag, modified, content } = seen;
        let (doc, partial) = match content {
            Content::Gone => {
                self.gone(place, &record, &mut entry, id, source, now)?;
                return self.finish(record, entry, now);
            }
            Content::Whole(doc) => (doc, false),
            Content::Partial(doc) => (doc, true),
        };
        let unborn = entry.state.merged.clock.is_empty();
        if partial && unborn {
            let words = "a part of a record not yet seen".to_owned();
            self.emit(
                &record,
                &mut entry,
                Body::Doubted { side: place.side.clone(), stale: false, id: Some(id), message: None, words },
                now,
            )?;
            return self.finish(record, entry, now);
        }
        let fields = match place.plan.shape.read(&doc, partial) {
            Ok(fields) => fields,
            Err(why) => {
                self.park_stub(place, &record, &mut entry, id, ParkReason::Unreadable, why.to_string(), now)?;
                return self.finish(record, entry, now);
            }
        };
        let seen = Seen { id, tag, modified, fields, doc, source, began, certain: true };
        if unborn {
            return self.appeared(place, record, entry, seen, now);
        }
        let part = entry.state.sides.get(place.side);
        if part.is_some_and(|part| part.gone && seen.began <= part.seen_at) {
            self.doubt(place, &record, &mut entry, "the read began before we knew it was deleted", now)?;
            return self.finish(record, entry, now);
        }
        if part.is_some_and(|part| part.gone)
            && place.collection.recreate == Recreate::Fresh
            && entry.state.merged.presence(&place.collection.rules) == Presence::Deleted
        {
            // Deleted everywhere and here again: another life, with nothing of the old one.
            self.views.put(record.clone(), entry);
            let next = new_record_id(&self.plan.name, place.side, place.name, &seen.id, Some(&record))?;
            let entry = self.views.take(&next)?;
            return self.appeared(place, next, entry, seen, now);
        }
        self.compare(place, &record, &mut entry, &seen, now)?;
        self.finish(record, entry, now)
    }

    /// A record that this side had not shown before: one we know by its identity, or a new one.
    fn appeared(
        &mut self,
        place: Place<'_>,
        record: RecordId,
        mut entry: Entry,
        seen: Seen,
        now: Now,
    ) -> Result<(), EngineError> {
        let values: Vec<Value> = place
            .collection
            .identity
            .iter()
            .map(|f| seen.fields.get(f).cloned().unwrap_or_default())
            .collect();
        let Some(other) = self.views.identified(place.name, &values)?.filter(|other| *other != record) else {
            self.first_edit(place, &record, &mut entry, &seen, (false, true), now)?;
            return self.finish(record, entry, now);
        };
        let mut known = self.views.take(&other)?;
        let rules = &place.collection.rules;
        let same_identity = place
            .collection
            .identity
            .iter()
            .zip(&values)
            .all(|(f, v)| known.state.merged.value(rules, f) == *v);
        let there = match known.state.merged.presence(rules) {
            Presence::Present => true,
            Presence::Deleted => place.collection.recreate == Recreate::Revive,
            Presence::Unborn | Presence::Undecided => false,
        };
        if !same_identity || !there {
            self.views.put(other, known);
            self.first_edit(place, &record, &mut entry, &seen, (false, true), now)?;
            return self.finish(record, entry, now);
        }
        let taken =
            known.state.sides.get(place.side).filter(|part| part.has_it()).and_then(|part| part.id.clone());
        if let Some(taken) = taken {
            self.views.put(other.clone(), known);
            let words = format!(
                "{} has two records with the same identity, {:.60} and {:.60}; {other} is linked to the first: \
                 change or remove one of them there",
                place.side,
                taken.as_str(),
                seen.id.as_str()
            );
            self.park_stub(place, &record, &mut entry, seen.id, ParkReason::AmbiguousMatch, words, now)?;
            return self.finish(record, entry, now);
        }
        if entry.state.version > 0 {
            self.emit(&record, &mut entry, Body::Unlinked { side: place.side.clone() }, now)?;
            self.finish(record, entry, now)?;
        }
        if self.land_create(place, &other, &mut known, &seen, now)? {
            self.compare(place, &other, &mut known, &seen, now)?;
            return self.finish(other, known, now);
        }
        let certain = !self.drop_create(place, &other, &mut known, now)?;
        self.first_edit(place, &other, &mut known, &seen, (true, certain), now)?;
        self.finish(other, known, now)
    }

    /// A create whose fate is open, when the record turns out to be there with all that
    /// it carried: it has landed. Answers whether it has.
    pub(crate) fn land_create(
        &mut self,
        place: Place<'_>,
        record: &RecordId,
        entry: &mut Entry,
        seen: &Seen,
        now: Now,
    ) -> Result<bool, EngineError> {
        let write = entry.state.sides.get(place.side).and_then(|part| part.write.as_ref());
        let mut results = VecMap::new();
        let mut is_ours = |(field, value): (&FieldName, &Value)| {
            let Some(there) = seen.fields.get(field) else { return true };
            let image = place.plan.shape.image(field, value);
            let reformatted = !same(there, &image) && same_but_form(there, &image);
            if reformatted {
                results.insert(field.clone(), FieldResult::Reformatted(there.clone()));
            }
            reformatted || same(there, &image)
        };
        let mut ours =
            |write: &&Write| write.operation == Operation::Create && write.fields.iter().all(&mut is_ours);
        let Some(of) = write.filter(|write| ours(write)).map(|write| write.version) else {
            return Ok(false);
        };
        let body = Body::Applied {
            side: place.side.clone(),
            of,
            id: Some(seen.id.clone()),
            tag: seen.tag.clone(),
            results,
            whole: true,
        };
        self.counts.delivered += 1;
        self.emit(record, entry, body, now)?;
        Ok(true)
    }

    /// A create whose fate is open, when the record turns out to be there with other
    /// values: it is no longer to be sent. Answers whether there was one: then nobody
    /// knows whether who set them had seen it.
    fn drop_create(
        &mut self,
        place: Place<'_>,
        record: &RecordId,
        entry: &mut Entry,
        now: Now,
    ) -> Result<bool, EngineError> {
        let write = entry.state.sides.get(place.side).and_then(|part| part.write.as_ref());
        let Some(of) = write.map(|write| write.version) else { return Ok(false) };
        let words = "found by its identity".to_owned();
        let body = Body::Failed { side: place.side.clone(), of, failure: Failure::NotApplied, words };
        self.emit(record, entry, body, now)?;
        Ok(true)
    }

    /// The first edit of a side on a record: all that it shows.
    fn first_edit(
        &mut self,
        place: Place<'_>,
        record: &RecordId,
        entry: &mut Entry,
        seen: &Seen,
        (linked, certain): (bool, bool),
        now: Now,
    ) -> Result<(), EngineError> {
        let seen = &seen.open(place, entry);
        let there = seen.fields.iter().filter(|(_, value)| **value != Value::Absent);
        let fields: FieldMap = there.map(|(field, value)| (field.clone(), value.clone())).collect();
        let side = place.side;
        self.tell_way(record, now, || What::Appeared { side: side.clone(), linked, fields: fields.clone() });
        self.edit(place, record, entry, seen, fields, certain, now)
    }

    /// Compares what was seen with what the side was known to show.
    pub(crate) fn compare(
        &mut self,
        place: Place<'_>,
        record: &RecordId,
        entry: &mut Entry,
        seen: &Seen,
        now: Now,
    ) -> Result<(), EngineError> {
        let seen = &*self.without_absences(place.side, place.name, seen.open(place, entry));
        let busy = self
            .lanes
            .get(record, &Track::Deliver(place.side.clone()))
            .is_some_and(|lane| lane.busy.is_some());
        // What a webhook shows may be older than what we have seen or written since.
        let hint = matches!(seen.source, Source::Webhook(_)) && place.plan.abilities.fetch;
        if (busy || hint) && seen.source != Source::Answer {
            return self.doubt_if_different(place, record, entry, seen, now);
        }
        let mut certain = seen.certain;
        if is_back(Fault::OpenWriteForgotten) {
            // As if there were none.
        } else if self.is_write_open(place, record, entry) && seen.source != Source::Answer {
            certain = self.look(place, record, entry, seen, now)?;
        } else if seen.source == Source::Fetch {
            self.drop_refused(place, record, entry, now)?;
        }
        let nobody = SideState::default();
        let part = entry.state.sides.get(place.side).unwrap_or(&nobody);
        match verdict(place, part, seen, now) {
            Verdict::Unchanged => self.confirm(place, record, entry, seen, now),
            Verdict::Stale(_)
                if part.doubt.is_none()
                    && part.parked.as_ref().is_some_and(|p| p.reason == ParkReason::NotKept) =>
            {
                Ok(())
            }
            Verdict::Stale(words) => self.doubt(place, record, entry, words, now),
            Verdict::NotKept(fields) => self.park_not_kept(place, record, entry, fields, now),
            Verdict::Edit(fields, _) if is_another(place, part, seen, &fields) => {
                self.park_reused(place, record, entry, now)
            }
            Verdict::Edit(mut fields, stale) => {
                let cut = cut_short(place, part, &fields);
                fields.retain(|field, _| !cut.contains(field));
                if fields.is_empty() {
                    return self.park_cut_short(place, record, entry, cut, now);
                }
                // A write of ours must not go by the version that has what we cannot take in.
                let untagged = || Cow::Owned(Seen { tag: None, ..seen.clone() });
                let seen = &*if cut.is_empty() { Cow::Borrowed(seen) } else { untagged() };
                let side = place.side;
                self.tell_way(record, now, || What::Edited { side: side.clone(), fields: fields.clone() });
                self.edit(place, record, entry, seen, fields, certain, now)?;
                if !cut.is_empty() {
                    self.park_cut_short(place, record, entry, cut, now)?;
                }
                if stale {
                    self.doubt(place, record, entry, "part of it may be older than our write", now)
                } else {
                    Ok(())
                }
            }
        }
    }

    /// A write that the side is known not to have carried out, and that is not wanted
    /// any more: else it would have been sent again, and not read for.
    fn drop_refused(
        &mut self,
        place: Place<'_>,
        record: &RecordId,
        entry: &mut Entry,
        now: Now,
    ) -> Result<(), EngineError> {
        let write = entry.state.sides.get(place.side).and_then(|part| part.write.as_ref());
        let Some(of) = write.map(|write| write.version) else { return Ok(()) };
        let words = "it was refused, and is not wanted any more".to_owned();
        let body = Body::Failed { side: place.side.clone(), of, failure: Failure::NotApplied, words };
        self.emit(record, entry, body, now).map(|_| ())
    }

    /// Whether a write may or may not have been carried out.
    fn is_write_open(&self, place: Place<'_>, record: &RecordId, entry: &Entry) -> bool {
        let write = entry.state.sides.get(place.side).and_then(|part| part.write.as_ref());
        let refused =
            self.lanes.get(record, &Track::Deliver(place.side.clone())).and_then(|lane| lane.refused);
        write.is_some_and(|write| refused != Some(write.version))
    }

    /// While a request is under way nothing is concluded: the record is read again after it.
    fn doubt_if_different(
        &mut self,
        place: Place<'_>,
        record: &RecordId,
        entry: &mut Entry,
        seen: &Seen,
        now: Now,
    ) -> Result<(), EngineError> {
        let nobody = SideState::default();
        let part = entry.state.sides.get(place.side).unwrap_or(&nobody);
        let sent = part.write.as_ref().map(|write| &write.fields);
        let news = seen.fields.iter().any(|(field, value)| {
            let ours =
                sent.and_then(|sent| sent.get(field)).map(|value| place.plan.shape.image(field, value));
            !same(value, &shown(place.plan, part, field)) && !ours.is_some_and(|ours| same(value, &ours))
        });
        if news {
            let (message, words) = match &seen.source {
                Source::Webhook(message) => (message.clone(), "a webhook shows it otherwise"),
                _ => (None, "it was shown otherwise while a request was under way"),
            };
            let (side, words) = (place.side.clone(), words.to_owned());
            self.emit(record, entry, Body::Doubted { side, stale: false, id: None, message, words }, now)?;
        }
        Ok(())
    }

    /// A write has no outcome, and now we see the record: did it land? Answers
    /// whether what its author had seen is known.
    fn look(
        &mut self,
        place: Place<'_>,
        record: &RecordId,
        entry: &mut Entry,
        seen: &Seen,
        now: Now,
    ) -> Result<bool, EngineError> {
        let Some(part) = entry.state.sides.get(place.side) else { return Ok(true) };
        let Some(write) = part.write.clone() else { return Ok(true) };
        let (mut landed, mut before, mut other) = (false, true, false);
        for (field, value) in write.fields.iter() {
            let Some(there) = seen.fields.get(field) else { continue };
            let (ours, was) = (place.plan.shape.image(field, value), shown(place.plan, part, field));
            landed |= same(there, &ours) && !same(&ours, &was);
            before &= same(there, &was);
            other |= !same(there, &ours) && !same(there, &was);
        }
        if landed && write.operation != Operation::Delete {
            // What stands there as it did before was not kept; what is new is somebody's edit.
            let mut results = judge(place, part, &write.fields, &seen.fields);
            let altered = |result: &FieldResult| matches!(result, FieldResult::Altered(_));
            let edited: Vec<FieldName> =
                results.iter().filter(|(_, r)| altered(r)).map(|(field, _)| field.clone()).collect();
            edited.iter().for_each(|field| drop(results.remove(field)));
            let all =
                is_all_of_groups_in(place.collection, place.plan, &entry.state, place.side, &write.fields);
            let body = Body::Applied {
                side: place.side.clone(),
                of: write.version,
                id: Some(seen.id.clone()),
                tag: seen.tag.clone(),
                results,
                whole: all && shows_no_more(place, part, &write, seen),
            };
            self.emit(record, entry, body, now)?;
            return Ok(true);
        }
        let words = "we looked: it is not there".to_owned();
        let body =
            Body::Failed { side: place.side.clone(), of: write.version, failure: Failure::NotApplied, words };
        self.emit(record, entry, body, now)?;
        Ok(before || !other)
    }

    fn park_not_kept(
        &mut self,
        place: Place<'_>,
        record: &RecordId,
        entry: &mut Entry,
        fields: Vec<FieldName>,
        now: Now,
    ) -> Result<(), EngineError> {
        let names: Vec<&str> = fields.iter().map(FieldName::as_str).collect();
        let words =
            format!("{} answered that all was well and kept its old {}", place.side, names.join(", "));
        self.park_fields(place, record, entry, ParkReason::NotKept, words, fields, now)
    }

    /// Sets a side's part of a record aside for what became of some of its fields.
    #[expect(clippy::too_many_arguments, reason = "what to park, and why")]
    pub(crate) fn park_fields(
        &mut self,
        place: Place<'_>,
        record: &RecordId,
        entry: &mut Entry,
        reason: ParkReason,
        words: String,
        fields: Vec<FieldName>,
        now: Now,
    ) -> Result<(), EngineError> {
        let clock = entry.state.merged.clock.clone();
        let parked = Parked { reason, words, attempts: 0, fields, clock, given_up: false };
        self.emit_parked(record, entry, Lane::Side(place.side.clone()), parked, now)
    }

    /// The side still shows what was there before our write. That is believed of a read that
    /// has our write's version tag, or of a second one once the write must have settled.
    fn still_refused(
        &mut self,
        place: Place<'_>,
        record: &RecordId,
        entry: &mut Entry,
        seen: &Seen,
        fields: Vec<FieldName>,
        now: Now,
    ) -> Result<(), EngineError> {
        let Some(part) = entry.state.sides.get(place.side) else { return Ok(()) };
        // The answer itself may be older than the write: whoever took it in has the side read.
        if seen.source == Source::Answer {
            return Ok(());
        }
        if let Some(parked) = part.parked.as_ref().filter(|_| part.doubt.is_none()) {
            let passed = parked.reason == ParkReason::NotKept && parked.clock != entry.state.merged.clock;
            if !passed || !lacks_nothing(place, &entry.state) {
                return Ok(());
            }
            // Something else has changed since, and is there: it waits as before, and is not
            // read again and again to be told so.
            let parked = Parked { clock: entry.state.merged.clock.clone(), ..parked.clone() };
            let lane = Lane::Side(place.side.clone());
            return self.emit(record, entry, Body::Parked { lane, parked }, now).map(|_| ());
        }
        if part.parked.is_some() {
            // What was doubted since is settled by this read: it is as it was.
            return self.park_not_kept(place, record, entry, fields, now);
        }
        let current = seen.tag.is_some() && seen.tag == part.tag;
        let window = place.plan.settle_window;
        let settled = part.last_write.as_ref().is_none_or(|last| now.wall >= last.ended.plus(window));
        if current || settled && part.doubt.as_ref().is_some_and(|doubt| doubt.times >= 2) {
            return self.park_not_kept(place, record, entry, fields, now);
        }
        self.doubt(place, record, entry, "it still shows what was there before our write", now)
    }

    /// The side shows what it was known to show: what that settles.
    fn confirm(
        &mut self,
        place: Place<'_>,
        record: &RecordId,
        entry: &mut Entry,
        seen: &Seen,
        now: Now,
    ) -> Result<(), EngineError> {
        let state = &entry.state;
        let Some(part) = state.sides.get(place.side) else { return Ok(()) };
        let still_old = |(field, held): &(&FieldName, &Held)| {
            let view = seen.fields.get(*field);
            held.not_kept && view.is_some_and(|view| !same(view, &place.plan.shape.image(field, &held.sent)))
        };
        let refused: Vec<FieldName> =
            part.held.iter().filter(still_old).map(|(field, _)| field.clone()).collect();
        if !refused.is_empty() {
            return self.still_refused(place, record, entry, seen, refused, now);
        }
        let pending = || !lacks_nothing(place, state);
        let quiet = || seen.began > state.edited_at && part.write.is_none() && !fights(part) && !pending();
        let new_tag = seen.tag.is_some() && seen.tag != part.tag;
        let lesson = part.doubt.is_some()
            || new_tag && pending()
            || part.last_write.as_ref().is_some_and(|last| !last.shown && seen.began > last.ended)
            || part.held.values().any(|held| held.not_kept)
            || is_behind(&place.collection.rules, state, place.side) && quiet();
        if !lesson {
            return Ok(());
        }
        let clock = if quiet() && !is_back(Fault::InStepUnacknowledged) {
            state.merged.clock.clone()
        } else {
            part.acked_of_all()
        };
        self.emit(
            record,
            entry,
            Body::Confirmed { side: place.side.clone(), clock, tag: seen.tag.clone() },
            now,
        )?;
        Ok(())
    }

    /// Notes that a side has to be read again.
    pub(crate) fn doubt(
        &mut self,
        place: Place<'_>,
        record: &RecordId,
        entry: &mut Entry,
        words: &str,
        now: Now,
    ) -> Result<(), EngineError> {
        self.counts.stale_reads += 1;
        let (side, words) = (place.side.clone(), words.to_owned());
        let body = Body::Doubted { side, stale: true, id: None, message: None, words };
        self.emit(record, entry, body, now).map(|_| ())
    }

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
            let after = place.plan.shape.put(&field, &view, &before);
            (field, Change { before, after })
        };
        let low = part.unchanged_until(pass.map(super::pass::Pass::last));
        self.counts.wrong_times += u64::from(seen.modified.is_some_and(|at| !is_credible(at, low, now.wall)));
        let actor = part.actor(place.side);
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
        let touched: Vec<FieldName> = edit.changes.keys().cloned().collect();
        let raw = self.raw_of(place, record, entry, &seen.doc)?;
        let body = Body::Edited {
            edit,
            id: Some(seen.id.clone()),
            tag: seen.tag.clone(),
            source: seen.source.clone(),
            raw,
        };
        self.emit(record, entry, body, now)?;
        self.tell_decisions(place.collection, record, entry, &touched, now);
        match flapping(&entry.state, &touched) {
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

    fn park_flapping(
        &mut self,
        place: Place<'_>,
        record: &RecordId,
        entry: &mut Entry,
        fields: Vec<FieldName>,
        now: Now,
    ) -> Result<(), EngineError> {
        let names: Vec<&str> = fields.iter().map(FieldName::as_str).collect();
        let words = format!(
            "{} and another side keep putting back each other's {}: {} keeps what it has; stop one of them, \
             then replay",
            place.side,
            names.join(", "),
            place.side
        );
        self.park_fields(place, record, entry, ParkReason::Flapping, words, fields, now)
    }

    /// A side shows something else entirely under an id that was this record's.
    fn park_reused(
        &mut self,
        place: Place<'_>,
        record: &RecordId,
        entry: &mut Entry,
        now: Now,
    ) -> Result<(), EngineError> {
        let known = entry.state.sides.get(place.side).and_then(|part| part.parked.as_ref());
        if known.is_some_and(|known| known.reason == ParkReason::IdReused) {
            return Ok(());
        }
        let words = format!(
            "{} has something else entirely under the id that was this record's: if it is the same record, \
             replay; if the id was used again, discard, and give the other one an id of its own",
            place.side
        );
        self.park(record, entry, Lane::Side(place.side.clone()), ParkReason::IdReused, words, now)
    }

    /// The hash of what a side showed of a record; nothing once its personal fields are erased.
    fn raw_of(
        &mut self,
        place: Place<'_>,
        record: &RecordId,
        entry: &Entry,
        shown: &Json,
    ) -> Result<Option<RawHash>, EngineError> {
        if entry.state.erased.is_some() {
            return Ok(None);
        }
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
        fields: &[FieldName],
        now: Now,
    ) {
        let merged = &entry.state.merged;
        for field in fields.iter().filter(|field| merged.is_conflicted(field)) {
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
    fn gone(
        &mut self,
        place: Place<'_>,
        record: &RecordId,
        entry: &mut Entry,
        id: NativeId,
        source: Source,
        now: Now,
    ) -> Result<(), EngineError> {
        let Some(part) = entry.state.sides.get(place.side) else { return Ok(()) };
        if !part.has_it() {
            let clock = part.acked_of_all();
            let known = part.doubt.is_none();
            let body = Body::Confirmed { side: place.side.clone(), clock, tag: None };
            return if known { Ok(()) } else { self.emit(record, entry, body, now).map(|_| ()) };
        }
        if entry.state.merged.clock.is_empty() {
            // A hint of something that is not there.
            let body = Body::Unlinked { side: place.side.clone() };
            return self.emit(record, entry, body, now).map(|_| ());
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
        let actor = part.actor(place.side);
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

    /// Sets a record aside of which only its id on one side is known for sure.
    #[expect(clippy::too_many_arguments, reason = "what to park, and why")]
    fn park_stub(
        &mut self,
        place: Place<'_>,
        record: &RecordId,
        entry: &mut Entry,
        id: NativeId,
        reason: ParkReason,
        words: String,
        now: Now,
    ) -> Result<(), EngineError> {
        let words = if entry.state.erased.is_some() { mask_words(&words) } else { words };
        let part = entry.state.sides.get(place.side);
        if part.and_then(|part| part.parked.as_ref()).is_some_and(|p| p.reason == reason && p.words == words)
        {
            return Ok(());
        }
        if part.and_then(|part| part.id.as_ref()) != Some(&id) {
            let (side, words) = (place.side.clone(), words.clone());
            let body = Body::Doubted { side, stale: false, id: Some(id), message: None, words };
            self.emit(record, entry, body, now)?;
        }
        self.park(record, entry, Lane::Side(place.side.clone()), reason, words, now)
    }

    /// Sets a lane of a record aside.
    pub(crate) fn park(
        &mut self,
        record: &RecordId,
        entry: &mut Entry,
        lane: Lane,
        reason: ParkReason,
        words: String,
        now: Now,
    ) -> Result<(), EngineError> {
        let attempts = match &lane {
            Lane::Side(side) => entry.state.sides.get(side).map_or(0, |part| part.attempts),
            Lane::Job(job) => entry.state.jobs.get(job).map_or(0, |job| job.attempts),
            Lane::Request(version) => entry.state.requests.get(version).map_or(0, |request| request.attempts),
        };
        let clock = entry.state.merged.clock.clone();
        let parked = Parked { reason, words, attempts, fields: Vec::new(), clock, given_up: false };
        self.emit_parked(record, entry, lane, parked, now)
    }

    fn emit_parked(
        &mut self,
        record: &RecordId,
        entry: &mut Entry,
        lane: Lane,
        parked: Parked,
        now: Now,
    ) -> Result<(), EngineError> {
        let told =
            What::Parked { lane: lane.to_string(), reason: format!("{}: {}", parked.reason, parked.words) };
        self.counts.parked += 1;
        self.emit(record, entry, Body::Parked { lane, parked }, now)?;
        self.tell(Some(record), told, now);
        Ok(())
    }
}

/// Whether there is nothing that the side should be sent, now or once it is whole.
fn lacks_nothing(place: Place<'_>, state: &RecordState) -> bool {
    lacks(place.collection, state, place.side, true).is_none()
        && held_back(place.collection, state, place.side, true).is_none()
}

/// Whether a side shows a write of ours and nothing else that is new: so it has been shown
/// all of it.
fn shows_no_more(place: Place<'_>, part: &SideState, write: &Write, seen: &Seen) -> bool {
    part.held.iter().all(|(field, held)| {
        let Some(there) = seen.fields.get(field) else { return false };
        let sent = write.fields.get(field);
        same(there, &place.plan.shape.image(field, sent.unwrap_or(&held.sent)))
            || sent.is_none() && same(there, &shown(place.plan, part, field))
    })
}

/// The id of a record that `side` shows for the first time, the same whenever
/// it is asked for. `after` is the record whose native id it took over.
fn new_record_id(
    sync: &str,
    side: &SideName,
    name: &CollectionName,
    id: &NativeId,
    after: Option<&RecordId>,
) -> Result<RecordId, InvalidName> {
    let mut hasher = blake3::Hasher::new();
    let parts = [sync, name.as_str(), side.as_str(), id.as_str(), after.map_or("", RecordId::as_str)];
    for part in parts {
        hasher.update(&(part.len() as u64).to_be_bytes()).update(part.as_bytes());
    }
    let hash = hasher.finalize();
    let digits = b"0123456789abcdefghjkmnpqrstvwxyz";
    let letters = hash.as_bytes().iter().take(16).filter_map(|byte| digits.get(usize::from(byte % 32)));
    let short: String = letters.map(|b| char::from(*b)).collect();
    RecordId::try_new(format!("{name}/{short}"))
}
