//! A record that a side had not shown before: one that is known by its identity, our own
//! create, or a new one.
//!
//! Nothing is linked that is linked already, and nothing is guessed: two that carry the same
//! identity wait for a person.

use crate::error::EngineError;
use crate::happening::What;
use crate::image::same_but_form;
use crate::machine::Machine;
use crate::observe::{Place, Seen};
use crate::plan::Recreate;
use crate::project::same;
use crate::state::{RecordState, Write};
use crate::views::Entry;
use crate::wake::Now;
use hms_sync_model::{
    Body, CollectionName, Failure, FieldMap, FieldName, FieldResult, InvalidName, NativeId, Operation,
    ParkReason, RecordId, SideName, Value, VecMap,
};
use hms_sync_resolver::Presence;

impl Machine {
    /// The record that an id begins which no record has on this side: not the one that it
    /// began before and that has another id there since, or ended, or was taken apart from it.
    pub(crate) fn record_of_new_id(
        &mut self,
        side: &SideName,
        name: &CollectionName,
        id: &NativeId,
    ) -> Result<(RecordId, Entry), EngineError> {
        self.record_apart(side, name, id, None)
    }

    /// The same, and another one than `not`. It comes taken out.
    pub(crate) fn record_apart(
        &mut self,
        side: &SideName,
        name: &CollectionName,
        id: &NativeId,
        not: Option<&RecordId>,
    ) -> Result<(RecordId, Entry), EngineError> {
        let mut record = new_record_id(&self.plan.name, side, name, id, None)?;
        loop {
            let is_another = |state: &RecordState| {
                let part = state.sides.get(side);
                let another = part.and_then(|part| part.id.as_ref()).is_some_and(|has| has != id);
                let apart = part.is_some_and(|part| part.apart.contains(id));
                another || apart || state.joined.is_some()
            };
            if not != Some(&record) {
                let entry = self.views.take(&record)?;
                if !is_another(&entry.state) {
                    return Ok((record, entry));
                }
                self.views.put(record.clone(), entry);
            }
            record = new_record_id(&self.plan.name, side, name, id, Some(&record))?;
        }
    }

    /// A record that this side had not shown before: one we know by its identity, or a new one.
    pub(crate) fn appeared(
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
            // Taken up, and not shown by any side since.
            Presence::Unborn => !known.state.merged.clock.is_empty(),
            Presence::Undecided => false,
        };
        let apart = known.state.sides.get(place.side).is_some_and(|part| part.apart.contains(&seen.id));
        if !same_identity || !there || apart {
            let again = same_identity && known.state.merged.presence(rules) == Presence::Deleted;
            self.views.put(other.clone(), known);
            if again && entry.state.follows.is_none() {
                self.emit(&record, &mut entry, Body::Follows { of: other }, now)?;
            }
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
            let why = (ParkReason::AmbiguousMatch, words, Vec::new());
            self.park_stub(place, &record, &mut entry, seen.id, why, now)?;
            return self.finish(record, entry, now);
        }
        if entry.state.version > 0 {
            self.emit(&record, &mut entry, Body::Unlinked { side: place.side.clone(), apart: None }, now)?;
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
    pub(crate) fn first_edit(
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
}

/// The id of a record that `side` shows for the first time, the same whenever
/// it is asked for. `after` is the record whose native id it took over.
pub(crate) fn new_record_id(
    sync: &str,
    side: &SideName,
    name: &CollectionName,
    id: &NativeId,
    after: Option<&RecordId>,
) -> Result<RecordId, InvalidName> {
    let parts = [sync, name.as_str(), side.as_str(), id.as_str(), after.map_or("", RecordId::as_str)];
    let mut bytes = Vec::with_capacity(parts.iter().map(|part| part.len() + 8).sum());
    for part in parts {
        bytes.extend_from_slice(&(part.len() as u64).to_be_bytes());
        bytes.extend_from_slice(part.as_bytes());
    }
    let hash = blake3::hash(&bytes);
    let digits = b"0123456789abcdefghjkmnpqrstvwxyz";
    let letters = hash.as_bytes().iter().take(16).filter_map(|byte| digits.get(usize::from(byte % 32)));
    let mut text = String::with_capacity(name.as_str().len() + 17);
    text.push_str(name.as_str());
    text.push('/');
    text.extend(letters.map(|b| char::from(*b)));
    RecordId::try_new(text)
}
