//! From events to state: the one place where a [`RecordState`] changes.
//!
//! `fold` is total: an event that cannot be applied marks the record as
//! malformed and changes nothing else, and so does one that lacks some before it. It reads no clock and no configuration
//! but the collection's rules, so a replay of the log gives what was there.

use crate::brake::flips_with;
use crate::closed::folds;
use crate::image::image_after;
use crate::observe::is_of_shape;
use crate::project::keeps_its_own;
use crate::state::{
    Doubt, Erasure, Held, JobState, LastWrite, RecordState, RequestState, SideState, Write, part_of,
};
use hms_sync_model::{
    Apart, Author, Body, Clock, Edit, Event, EventId, Failure, FieldMap, FieldName, FieldResult, Lane,
    NativeId, Operation, ParkReason, Parked, Released, SideName, Source, Tag, Time, Value, VecMap,
};
use hms_sync_resolver::fault::{Fault, is_back};
use hms_sync_resolver::{Record, Rules};

impl RecordState {
    /// Takes in one event. `id` is the event's own id.
    pub fn fold(&mut self, rules: &Rules, id: EventId, event: &Event) {
        let (at, version) = (event.at, event.version);
        self.notice_gap(version);
        self.version = version;
        self.head = id;
        match &event.body {
            Body::Edited { edit, id, tag, source, .. } => {
                self.edited(rules, edit, (id.as_ref(), tag.as_ref(), source), at);
            }
            Body::Intended { side, operation, fields, clock } => {
                let write = Write {
                    version,
                    operation: *operation,
                    fields: fields.clone(),
                    clock: clock.clone(),
                    event: id,
                    at,
                    kept: self.waiting(rules, side),
                    cut: false,
                };
                self.side_mut(side).intended(write);
            }
            Body::Applied { side, of, id, tag, results, whole } => {
                if self.requests.remove(of).is_none() {
                    let merged = &self.merged;
                    let withheld = |field: &FieldName| keeps_its_own(rules, merged, side, field);
                    let part = part_of(&mut self.sides, side);
                    part.applied(merged, withheld, *of, &Answer { id, tag, results, whole: *whole, at });
                }
            }
            Body::Failed { side, of, failure, .. } => match self.requests.get_mut(of) {
                Some(_) if *failure == Failure::Away => {}
                Some(request) => request.attempts = request.attempts.saturating_add(1),
                None => self.side_mut(side).failed(*of, *failure, at),
            },
            Body::Confirmed { side, clock, tag, but } => {
                let merged = &self.merged;
                let withheld = |field: &FieldName| keeps_its_own(rules, merged, side, field);
                let part = part_of(&mut self.sides, side);
                part.confirmed(merged, withheld, clock, (tag.as_ref(), but), at);
            }
            Body::Doubted { side, stale, id, .. } => self.side_mut(side).doubted(id.as_ref(), *stale, at),
            Body::Parked { lane, parked } => self.park(lane, Some(parked.clone())),
            Body::Released { lane, action } => self.released(lane, *action),
            Body::Unlinked { .. } | Body::Linked { .. } | Body::Joined { .. } | Body::Follows { .. } => {
                self.tied(&event.body, at);
            }
            Body::Queued { job, request } => {
                let state = RequestState { request: request.clone(), attempts: 0, parked: None };
                self.requests.insert(version, state);
                self.jobs.entry_or(job.clone(), Default::default).asked.push(request.key.clone());
            }
            Body::Handled { job, clock } => {
                let job = self.jobs.entry_or(job.clone(), Default::default);
                job.handled.merge(clock);
                job.asked.clear();
                job.attempts = 0;
                job.parked = None;
            }
            Body::HandlerFailed { job, .. } => {
                self.jobs.entry_or(job.clone(), JobState::default).failed();
            }
            Body::Erased { by, reason, fields, .. } => {
                let (by, reason, fields) = (by.clone(), reason.clone(), fields.iter().cloned().collect());
                self.erase(Erasure { at, by, reason, fields });
            }
            Body::TakenUp { sides, unread, identity, .. } => self.take_up((sides, unread), identity, at),
            // What it says is what the events before it made, where they are there.
            Body::Carried { .. } => {}
            Body::Cursor { .. } | Body::Received { .. } | Body::Signing { .. } | Body::Archived { .. } => {}
            Body::Restored { .. } => {}
        }
    }

    /// Which native record is whose.
    fn tied(&mut self, body: &Body, at: Time) {
        match body {
            Body::Unlinked { side, apart } => self.side_mut(side).unlinked(apart.as_ref()),
            Body::Linked { side, id, fields, .. } => self.side_mut(side).linked(id.as_ref(), fields, at),
            Body::Joined { into, gone, .. } => {
                self.joined = Some(into.clone());
                gone.iter().for_each(|side| self.side_mut(side).lost());
            }
            Body::Follows { of } => self.follows = Some(of.clone()),
            _ => {}
        }
    }

    /// Fields of which a side keeps its own value while a person has to decide.
    fn waiting(&self, rules: &Rules, side: &SideName) -> Vec<FieldName> {
        if self.merged.met().next().is_none() {
            return Vec::new();
        }
        let waits = |field: &&FieldName| keeps_its_own(rules, &self.merged, side, field);
        self.merged.field_names().filter(waits).cloned().collect()
    }

    /// Without some of its events a record is not what it was, nor is what sides are known
    /// to hold: it is held, for a person to look at.
    fn notice_gap(&mut self, version: u64) {
        let next = self.version.saturating_add(1);
        if version > next {
            let last = version - 1;
            let which =
                if last == next { format!("version {next}") } else { format!("versions {next} to {last}") };
            self.malformed = Some(format!("its {which} were lost in a recovery of the change log"));
            self.begin_epochs();
        }
    }

    fn edited(
        &mut self,
        rules: &Rules,
        edit: &Edit,
        (id, tag, source): (Option<&NativeId>, Option<&Tag>, &Source),
        at: Time,
    ) {
        let met = self.touched_conflicts(edit);
        let flips = flips_with(self, edit, at);
        if let Err(why) = self.merged.apply(rules, edit) {
            self.malformed = Some(why.to_string());
            return;
        }
        self.note_conflicts(edit, met, self.version, at);
        self.flips = flips;
        self.edited_at = at;
        let Some(side) = edit.actor().as_side() else {
            if edit.actor().author == Author::Engine {
                self.settled(edit);
                if folds(edit) {
                    self.close_epochs();
                }
            }
            return;
        };
        let part = self.side_mut(side);
        part.epoch = part.epoch.max(edit.actor().epoch);
        if !part.has_it() && matches!(source, Source::Webhook(_)) {
            // As what we make there: a read may not show it yet.
            part.made = Some(at);
        }
        part.edited(edit, *source == Source::Answer, at);
        if id.is_some() {
            part.id = id.cloned();
            part.gone = edit.deletes;
        }
        if tag.is_some() {
            part.tag = tag.cloned();
        }
    }

    /// A settle changes no value, and comes only when every side has been shown
    /// the value it writes down: so they have all seen it.
    fn settled(&mut self, edit: &Edit) {
        for (_, part) in self.sides.iter_mut() {
            part.acked.see(edit.actor(), edit.dot.n);
            for (_, clock) in part.but.iter_mut() {
                clock.see(edit.actor(), edit.dot.n);
            }
        }
    }

    /// Sets `lane` aside, or takes it up again.
    fn park(&mut self, lane: &Lane, parked: Option<Parked>) {
        match lane {
            Lane::Side(side) => {
                let part = self.side_mut(side);
                part.doubt = None;
                part.attempts = 0;
                for field in parked.iter().filter(|p| p.reason == ParkReason::NotKept).flat_map(|p| &p.fields)
                {
                    part.did_not_keep(field);
                }
                part.parked = parked;
            }
            Lane::Job(job) => {
                let job = self.jobs.entry_or(job.clone(), Default::default);
                job.attempts = 0;
                job.parked = parked;
            }
            Lane::Request(version) => {
                if let Some(request) = self.requests.get_mut(version) {
                    request.attempts = 0;
                    request.parked = parked;
                }
            }
        }
    }

    fn released(&mut self, lane: &Lane, action: Released) {
        let discard = action == Released::Discard;
        match lane {
            Lane::Request(version) if discard => {
                self.requests.remove(version);
            }
            Lane::Job(job) if discard => {
                let clock = self.merged.clock.clone();
                self.jobs.entry_or(job.clone(), Default::default).handled.merge(&clock);
                self.park(lane, None);
            }
            Lane::Side(side) => {
                self.side_mut(side).released(discard);
            }
            Lane::Job(_) | Lane::Request(_) => self.park(lane, None),
        }
    }
}

impl JobState {
    fn failed(&mut self) {
        self.attempts = self.attempts.saturating_add(1);
    }
}

/// What an answer to a write said.
struct Answer<'a> {
    id: &'a Option<NativeId>,
    tag: &'a Option<Tag>,
    results: &'a VecMap<FieldName, FieldResult>,
    whole: bool,
    at: Time,
}

impl SideState {
    /// The side's own edit: it holds the new values, and has seen its own past. Where only an
    /// answer `told` of it, a read may still show what was there before.
    fn edited(&mut self, edit: &Edit, told: bool, at: Time) {
        if self.held.is_empty() {
            self.held.reserve(edit.changes.len());
        }
        // What an edit names and does not change was not seen anew: the rest of a group.
        for (field, change) in edit.changes.iter().filter(|(_, change)| change.before != change.after) {
            let after = change.after.clone();
            if let Some(last) = &mut self.last_write {
                let before = self.held.get(field).map(Held::as_shown).filter(|_| told);
                last.before.remove(field);
                last.told.remove(field);
                if told {
                    last.told.insert(field.clone(), before.unwrap_or_default());
                }
            }
            let old = self.held.get(field).and_then(|held| Some((&held.sent, held.shown.as_ref()?)));
            let shown = old.and_then(|(sent, shown)| image_after(&after, sent, shown));
            self.held.insert(field.clone(), Held { sent: after, shown, not_kept: false });
        }
        if !is_back(Fault::OwnPastLeftOut) {
            self.acked.see(edit.actor(), edit.dot.n);
        }
        for (_, clock) in self.but.iter_mut() {
            clock.see(edit.actor(), edit.dot.n);
        }
        if edit.deletes {
            self.gone = true;
            self.held.clear();
            self.tag = None;
            self.last_write = None;
        }
        self.attempts = 0;
        self.doubt = None;
        self.unread = None;
        self.seen_at = at;
        // A new edit of the side is a new situation for what was set aside there.
        self.unpark();
    }

    /// Takes up again what was set aside, but for a fight: that is a person's to end.
    fn unpark(&mut self) {
        self.parked.take_if(|parked| parked.reason != ParkReason::Flapping);
    }

    fn intended(&mut self, write: Write) {
        self.unpark();
        self.write = Some(write);
    }

    /// Of the fields that are `withheld` the answer shows what the side had all the time.
    fn applied(
        &mut self,
        merged: &Record,
        withheld: impl Fn(&FieldName) -> bool,
        of: u64,
        answer: &Answer<'_>,
    ) {
        let Some(write) = self.write.take_if(|w| w.version == of) else { return };
        self.attempts = 0;
        self.doubt = None;
        self.unpark();
        self.seen_at = answer.at;
        if write.operation == Operation::Delete {
            self.deleted(&write.clock, answer.at);
            return;
        }
        let before = self.shown_before(&write);
        if write.operation == Operation::Create {
            self.made = Some(answer.at);
        }
        let past = self.last_write.take().map(LastWrite::passed).unwrap_or_default();
        let (ended, shown, told) = (answer.at, answer.whole, FieldMap::new());
        self.last_write = Some(LastWrite { ended, before, tag: self.tag.take(), shown, told, past });
        self.gone = false;
        if answer.id.is_some() {
            self.id.clone_from(answer.id);
        }
        self.tag.clone_from(answer.tag);
        self.hold(&write.fields, answer.results);
        // What they did not keep, now or before, the answer does not show them.
        let lost: Vec<FieldName> =
            self.held.iter().filter(|(_, held)| held.not_kept).map(|(field, _)| field.clone()).collect();
        let all = answer.whole && lost.is_empty() && write.kept.is_empty() && !merged.any_conflicted();
        if all && self.but.is_empty() {
            self.acked.merge(&write.clock);
            return;
        }
        self.acknowledge(merged, &write.clock, |field| {
            let written = write.fields.contains_key(field);
            let shown = answer.whole && !withheld(field) && !write.kept.contains(field);
            !lost.contains(field) && (written || shown)
        });
    }

    /// What stood in the fields of a write before it, of which it says something now.
    fn shown_before(&self, write: &Write) -> FieldMap {
        // Before an update nothing may have stood there, and may still.
        let updates = write.operation == Operation::Update;
        if self.held.is_empty() && !updates {
            return FieldMap::new();
        }
        let before = write.fields.keys().map(|field| (field.clone(), self.shown_of(field)));
        before.filter(|(_, value)| updates || *value != Value::Absent).collect()
    }

    /// What was there is another life: its numbers are not given again.
    fn begun_anew(&self) -> Self {
        let epoch = if is_back(Fault::EpochKept) { self.epoch } else { self.epoch.saturating_add(1) };
        Self { epoch, apart: self.apart.clone(), ..Self::default() }
    }

    fn unlinked(&mut self, apart: Option<&Apart>) {
        *self = self.begun_anew();
        let Some(apart) = apart else { return };
        self.unlinked = true;
        self.apart.extend(apart.id.iter().filter(|id| !self.apart.contains(id)).cloned().collect::<Vec<_>>());
    }

    /// A named native record is to be read, whatever was known of it.
    fn linked(&mut self, id: Option<&NativeId>, fields: &FieldMap, at: Time) {
        *self = self.begun_anew();
        self.held = fields.iter().map(|(field, value)| (field.clone(), Held::plain(value.clone()))).collect();
        match id {
            Some(id) => self.apart.retain(|other| other != id),
            None => self.apart.clear(),
        }
        self.id = id.cloned();
        self.doubt = id.map(|_| Doubt { raised: at, since: at, times: 0 });
    }

    /// The side no longer has it, and that is nobody's delete.
    fn lost(&mut self) {
        (self.gone, self.tag, self.last_write, self.write, self.doubt) = (true, None, None, None, None);
        self.held.clear();
    }

    fn deleted(&mut self, clock: &Clock, at: Time) {
        self.gone = true;
        self.held.clear();
        self.tag = None;
        // A read may show it still.
        self.last_write = Some(LastWrite { ended: at, ..LastWrite::default() });
        self.acked.merge(clock);
        self.but.clear();
    }

    /// Notes what the side made of each field.
    fn hold(&mut self, fields: &FieldMap, results: &VecMap<FieldName, FieldResult>) {
        if self.held.is_empty() {
            self.held.reserve(fields.len());
        }
        for (field, value) in fields.iter() {
            let held = match results.get(field) {
                None | Some(FieldResult::Taken) => Held::plain(value.clone()),
                Some(FieldResult::Reformatted(shown) | FieldResult::Altered(shown)) => {
                    Held { sent: value.clone(), shown: Some(shown.clone()), not_kept: false }
                }
                Some(FieldResult::NotKept) => {
                    let before = self.shown_of(field);
                    Held { sent: value.clone(), shown: Some(before), not_kept: true }
                }
            };
            self.held.insert(field.clone(), held);
        }
        if is_back(Fault::AnswerSwallowed) {
            for (field, result) in results.iter().filter(|(field, _)| !fields.contains_key(*field)) {
                if let FieldResult::Altered(there) = result {
                    self.held.insert(field.clone(), Held::plain(there.clone()));
                }
            }
        }
    }

    /// The side's people have been shown `clock` for the fields that `shown` names;
    /// the others stay at what they had been shown before.
    fn acknowledge(&mut self, merged: &Record, clock: &Clock, shown: impl Fn(&FieldName) -> bool) {
        let old = self.acked.clone();
        self.acked.merge(clock);
        for field in merged.field_names() {
            if shown(field) {
                if let Some(exception) = self.but.get(field) {
                    let raised = exception.clone().merged(clock);
                    self.except(merged, field, raised);
                }
            } else {
                let stays = self.but.get(field).unwrap_or(&old).clone();
                self.except(merged, field, stays);
            }
        }
    }

    /// Keeps `clock` as the exception for `field`, if it says less than `acked` does.
    fn except(&mut self, merged: &Record, field: &FieldName, clock: Clock) {
        let known = clock.covers(&self.acked) || clock.covers(&merged.seen(field));
        if known {
            self.but.remove(field);
        } else {
            self.but.insert(field.clone(), clock);
        }
    }

    fn failed(&mut self, of: u64, failure: Failure, at: Time) {
        let Some(write) = self.write_of(of) else { return };
        if write.operation == Operation::Create && failure == Failure::NotApplied {
            // What is there in its place may be what came of it.
            self.made = Some(at);
        }
        if failure != Failure::Away {
            self.attempts = self.attempts.saturating_add(1);
        }
        match failure {
            Failure::RetryLater | Failure::Away | Failure::Unknown => {}
            Failure::Conflict | Failure::Rejected | Failure::NotApplied => self.write = None,
            Failure::Exists | Failure::Gone => self.write = None,
        }
    }

    /// A field that is `withheld` has shown its people nothing of what others have, nor has
    /// one that they still do not keep.
    fn confirmed(
        &mut self,
        merged: &Record,
        withheld: impl Fn(&FieldName) -> bool,
        clock: &Clock,
        (tag, but): (Option<&Tag>, &[FieldName]),
        at: Time,
    ) {
        if tag.is_some() {
            self.tag = tag.cloned();
        }
        if self.but.is_empty() && but.is_empty() && merged.met().next().is_none() {
            self.acked.merge(clock);
        } else {
            self.acknowledge(merged, clock, |field| !withheld(field) && !but.contains(field));
        }
        self.doubt = None;
        self.unread = None;
        self.seen_at = at;
        for (_, held) in self.held.iter_mut().filter(|(field, held)| held.not_kept && !but.contains(field)) {
            *held = Held::plain(std::mem::take(&mut held.sent));
        }
        if !but.is_empty() {
            return;
        }
        // It kept what was taken for lost.
        self.parked.take_if(|parked| {
            parked.reason == ParkReason::NotKept && !parked.given_up || is_of_shape(parked)
        });
        if let Some(last) = &mut self.last_write {
            last.shown = true;
            // Reads have come to it: none shows what was there before the writes before.
            last.past = Vec::new();
        }
    }

    fn doubted(&mut self, id: Option<&NativeId>, stale: bool, at: Time) {
        if self.id.is_none() {
            self.id = id.cloned();
        }
        let doubt = self.doubt.get_or_insert(Doubt { raised: at, since: at, times: 0 });
        doubt.raised = at;
        doubt.times = doubt.times.saturating_add(stale.into());
    }

    /// The side goes on showing what was there before our write of `field`.
    fn did_not_keep(&mut self, field: &FieldName) {
        let before = self.last_write.as_ref().and_then(|last| last.before.get(field)).cloned();
        if let Some(held) = self.held.get_mut(field).filter(|held| !held.not_kept) {
            held.shown = Some(before.unwrap_or_default());
            held.not_kept = true;
        }
    }

    fn released(&mut self, discard: bool) {
        if let Some(parked) = &mut self.parked
            && discard
        {
            parked.given_up = true;
            self.write = None;
            return;
        }
        self.release_fields();
        self.attempts = 0;
        for (_, held) in self.held.iter_mut() {
            if held.not_kept {
                held.not_kept = false;
                held.sent = held.shown.take().unwrap_or_default();
            }
        }
    }

    /// What a person takes up again is compared with what the side was last known to show.
    fn release_fields(&mut self) {
        match self.parked.take() {
            Some(parked) if parked.reason == ParkReason::Altered => {
                let held = self.held.iter_mut().filter(|(field, _)| parked.fields.contains(field));
                held.for_each(|(_, held)| held.sent = held.shown.take().unwrap_or_default());
            }
            // Whatever is there now is this record.
            Some(parked) if parked.reason == ParkReason::IdReused => self.held.clear(),
            // A person has looked: what is still lacking there is written anew.
            Some(parked) if parked.reason == ParkReason::Unknown => self.write = None,
            Some(_) | None => {}
        }
    }

    /// What the side shows of `field` in canonical form, lossy sides aside.
    pub fn shown_of(&self, field: &FieldName) -> Value {
        self.held.get(field).map(Held::as_shown).unwrap_or_default()
    }

    /// The write that is under way to `side`, by the version of its event.
    pub fn write_of(&self, version: u64) -> Option<&Write> {
        self.write.as_ref().filter(|write| write.version == version)
    }
}

/// Which side an event concerns, if it concerns just one.
pub fn side_of(body: &Body) -> Option<&SideName> {
    match body {
        Body::Edited { edit, .. } => edit.actor().as_side(),
        Body::Intended { side, .. }
        | Body::Applied { side, .. }
        | Body::Failed { side, .. }
        | Body::Confirmed { side, .. }
        | Body::Doubted { side, .. }
        | Body::Unlinked { side, .. }
        | Body::Linked { side, .. }
        | Body::Cursor { side, .. }
        | Body::Parked { lane: Lane::Side(side), .. }
        | Body::Released { lane: Lane::Side(side), .. } => Some(side),
        Body::Queued { request, .. } => Some(&request.target),
        Body::Parked { .. }
        | Body::Released { .. }
        | Body::Handled { .. }
        | Body::HandlerFailed { .. }
        | Body::Received { .. }
        | Body::Signing { .. }
        | Body::Erased { .. }
        | Body::Carried { .. }
        | Body::Archived { .. }
        | Body::Joined { .. }
        | Body::Follows { .. }
        | Body::TakenUp { .. }
        | Body::Restored { .. } => None,
    }
}
