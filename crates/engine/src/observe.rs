//! From what was seen to what happened: which record an observation is of, and
//! whether it is an edit, an echo of our own write, or a stale read.
//!
//! This is `classify` and `ingest` of the resolver's specification. The rule
//! that matters most: an edit never claims that its author had seen more than
//! was on their screen. Where that cannot be found out, it claims less.

mod write;

use self::write::is_undecided;
use crate::altered::{cut_short, is_set_aside};
use crate::appear::new_record_id;
use crate::brake::fights;
use crate::classify::{Verdict, is_another, news_of_listing, verdict};
use crate::contract::Extent;
use crate::error::EngineError;
use crate::happening::What;
use crate::lane::Track;
use crate::machine::Machine;
use crate::page::{Doc, Read, Sight};
use crate::personal::{closed, without};
use crate::plan::{CollectionPlan, CollectionSide, Plan, Recreate};
use crate::project::{held_back, is_behind, lacks, same, shown};
use crate::state::{Held, RecordState, SideState};
use crate::views::Entry;
use crate::wake::Now;
use hms_sync_connector::{Content, Observation};
use hms_sync_model::{
    Body, CollectionName, FieldMap, FieldName, NativeId, ParkReason, Parked, RecordId, SideName, Source, Tag,
    Time,
};
use hms_sync_resolver::Presence;
use hms_sync_resolver::fault::{Fault, is_back};
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

impl<'a> Place<'a> {
    /// Where `record` is on `side`; nothing if the plan no longer has that.
    pub(crate) fn of(plan: &'a Plan, record: &RecordId, side: &'a SideName) -> Option<Self> {
        let (name, collection) = plan.collections.get_key_value(record.collection())?;
        let plan = collection.sides.get(side)?;
        Some(Self { side, name, collection, plan })
    }
}

/// When a side was looked at.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Looked {
    /// When the read began.
    pub(crate) at: Time,
    /// Whether that was long before it was asked for, as of a file that the side made. What
    /// became known of a record meanwhile is newer.
    pub(crate) aged: bool,
}

impl From<Time> for Looked {
    fn from(at: Time) -> Self {
        Self { at, aged: false }
    }
}

/// What was seen of one record, in canonical fields.
#[derive(Clone)]
pub(crate) struct Seen {
    pub(crate) id: NativeId,
    pub(crate) tag: Option<Tag>,
    pub(crate) modified: Option<Time>,
    pub(crate) fields: FieldMap,
    /// The record as the side showed it, or what is left of that.
    pub(crate) doc: Doc,
    pub(crate) source: Source,
    /// When the read began.
    pub(crate) began: Time,
    /// Whether that was long before it was asked for.
    pub(crate) aged: bool,
    /// Whether it is known what those who edited there had seen.
    pub(crate) certain: bool,
}

impl Seen {
    /// The same without fields that are closed.
    pub(crate) fn open(&self, place: Place<'_>, entry: &Entry) -> Cow<'_, Self> {
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
        seen: Sight,
        source: Source,
        began: Looked,
        now: Now,
    ) -> Result<(), EngineError> {
        let plan = Arc::clone(&self.plan);
        let Some(collection) = plan.collections.get(name) else { return Ok(()) };
        let Some(part) = collection.sides.get(side) else { return Ok(()) };
        let place = Place { side, name, collection, plan: part };
        self.counts.observations += 1;
        let known = match self.views.linked(side, name, seen.id())? {
            Some(record) => Some((self.views.take(&record)?, record)),
            None => None,
        };
        match known {
            Some((entry, record))
                if entry.state.sides.get(side).and_then(|p| p.id.as_ref()) == Some(seen.id()) =>
            {
                self.observe(place, record, entry, seen, source, began, now)
            }
            stale => {
                if let Some((entry, record)) = stale {
                    self.views.put(record, entry);
                }
                let (record, entry) = self.record_of_new_id(side, name, seen.id())?;
                self.observe(place, record, entry, seen, source, began, now)
            }
        }
    }

    fn look_at(
        &self,
        place: Place<'_>,
        (id, tag, modified): (NativeId, Option<Tag>, Option<Time>),
        doc: Json,
        extent: Extent,
    ) -> Read {
        Read { id, tag, modified, fit: self.fit(place, &doc, extent), doc: Doc::Whole(doc) }
    }

    /// Takes in what was seen of a record that is known by its id, or is new.
    #[expect(clippy::too_many_arguments, reason = "one observation with all that is known about it")]
    pub(crate) fn observe(
        &mut self,
        place: Place<'_>,
        record: RecordId,
        mut entry: Entry,
        seen: Sight,
        source: Source,
        Looked { at: began, aged }: Looked,
        now: Now,
    ) -> Result<(), EngineError> {
        if self.passes.is_held(place.side, place.name) {
            self.put_by += 1;
            return self.finish(record, entry, now);
        }
        let unborn = entry.state.merged.clock.is_empty();
        let read = match seen {
            Sight::Read(read) => *read,
            Sight::AsItCame(Observation { id, content: Content::Gone, .. }) => {
                if !self.lost_there(place, &record, &mut entry, now)? {
                    self.gone(place, &record, &mut entry, id, source, now)?;
                }
                return self.finish(record, entry, now);
            }
            Sight::AsItCame(Observation { id, content: Content::Partial(_), .. }) if unborn => {
                let (side, words) = (place.side.clone(), "a part of a record not yet seen".to_owned());
                let body = Body::Doubted { side, stale: false, id: Some(id), message: None, words };
                self.emit(&record, &mut entry, body, now)?;
                return self.finish(record, entry, now);
            }
            Sight::AsItCame(Observation { id, tag, modified, content: Content::Whole(doc) }) => {
                self.look_at(place, (id, tag, modified), doc, Extent::by(&source))
            }
            Sight::AsItCame(Observation { id, tag, modified, content: Content::Partial(doc) }) => {
                self.look_at(place, (id, tag, modified), doc, Extent::Part)
            }
        };
        let Read { id, tag, modified, fit, doc } = read;
        let fields = match fit.and_then(|fit| self.recognised(place, &entry.state, &source, fit)) {
            Ok(mut fit) => {
                self.note_fit(place, &id, &mut fit, now);
                fit.fields
            }
            Err(why) => {
                let why = (ParkReason::Unreadable, why.words, why.fields);
                self.park_stub(place, &record, &mut entry, id, why, now)?;
                return self.finish(record, entry, now);
            }
        };
        let seen = Seen { id, tag, modified, fields, doc, source, began, aged, certain: true };
        if unborn {
            return self.appeared(place, record, entry, seen, now);
        }
        if self.turned_back(place, &record, &mut entry, &seen, now)? {
            return self.finish(record, entry, now);
        }
        let part = entry.state.sides.get(place.side);
        // So may what a webhook shows that was long under way.
        let webhook = matches!(seen.source, Source::Webhook(_)) && place.plan.abilities.fetch;
        if part.is_some_and(|part| part.gone) && webhook {
            let words = "a webhook shows it, and it was deleted";
            self.doubt_plainly(place, &record, &mut entry, &seen, words, now)?;
            return self.finish(record, entry, now);
        }
        if let Some(words) = part.and_then(|part| too_early(place, part, &seen)) {
            self.doubt(place, &record, &mut entry, words, now)?;
            return self.finish(record, entry, now);
        }
        if part.is_some_and(|part| part.gone)
            && place.collection.recreate == Recreate::Fresh
            && entry.state.merged.presence(&place.collection.rules) == Presence::Deleted
        {
            // Deleted everywhere and here again: another life, with nothing of the old one.
            self.views.put(record.clone(), entry);
            let next = new_record_id(&self.plan.name, place.side, place.name, &seen.id, Some(&record))?;
            let mut fresh = self.views.take(&next)?;
            if fresh.state.follows.is_none() {
                self.emit(&next, &mut fresh, Body::Follows { of: record }, now)?;
            }
            return self.appeared(place, next, fresh, seen, now);
        }
        self.compare(place, &record, &mut entry, &seen, now)?;
        self.finish(record, entry, now)
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
        if self.passes.is_held(place.side, place.name) {
            return Ok(());
        }
        let seen = &*self.without_absences(place.side, place.name, seen.open(place, entry));
        let busy = self
            .lanes
            .get(record, &Track::Deliver(place.side.clone()))
            .is_some_and(|lane| lane.busy.is_some());
        // What a webhook shows may be older than what we have seen or written since.
        let unread = entry.state.sides.get(place.side).is_some_and(|part| part.unread.is_some());
        let hint = matches!(seen.source, Source::Webhook(_)) && (place.plan.abilities.fetch || unread);
        let early = self.may_precede_write(place, record, seen) && self.is_write_open(place, record, entry);
        if (busy || hint || early) && seen.source != Source::Answer {
            return self.doubt_if_different(place, record, entry, seen, now);
        }
        if unread {
            // As if it had just been linked: all that it shows is what it says.
            return self.first_edit(place, record, entry, seen, (true, true), now);
        }
        let mut certain = seen.certain;
        if is_back(Fault::OpenWriteForgotten) {
            // As if there were none.
        } else if self.is_write_open(place, record, entry) && seen.source != Source::Answer {
            if self.may_not_show_write(place, record, entry, seen, now) {
                return Ok(());
            }
            if is_undecided(place, entry, seen, now) {
                return self.doubt(
                    place,
                    record,
                    entry,
                    "it shows a part of our write, and may be older",
                    now,
                );
            }
            certain = self.look(place, record, entry, seen, now)?;
        } else if seen.source == Source::Fetch {
            self.drop_refused(place, record, entry, now)?;
        }
        let nobody = SideState::default();
        let part = entry.state.sides.get(place.side).unwrap_or(&nobody);
        match verdict(place, part, seen, now) {
            Verdict::Unchanged => self.confirm(place, record, entry, seen, now),
            Verdict::Stale(_) if is_set_aside(place, &entry.state, seen) => Ok(()),
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
        if !news {
            return Ok(());
        }
        if news_of_listing(place, part, seen).is_some() {
            // A read of the record alone will not tell.
            self.ask_pass(place.side, place.name, true);
        }
        let words = match &seen.source {
            Source::Webhook(_) => "a webhook shows it otherwise",
            _ => "it was shown otherwise while a request was under way",
        };
        self.doubt_plainly(place, record, entry, seen, words, now)
    }

    /// Notes that a side is to be asked, for what was seen says that it may have changed.
    fn doubt_plainly(
        &mut self,
        place: Place<'_>,
        record: &RecordId,
        entry: &mut Entry,
        seen: &Seen,
        words: &str,
        now: Now,
    ) -> Result<(), EngineError> {
        let message = match &seen.source {
            Source::Webhook(message) => message.clone(),
            _ => None,
        };
        let (side, words) = (place.side.clone(), words.to_owned());
        let body = Body::Doubted { side, stale: false, id: None, message, words };
        self.emit(record, entry, body, now).map(|_| ())
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
            // What is not mentioned was not seen to be there.
            held.not_kept && view.is_none_or(|view| !same(view, &place.plan.shape.image(field, &held.sent)))
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
            || part.parked.as_ref().is_some_and(is_of_shape)
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
            Body::Confirmed { side: place.side.clone(), clock, tag: seen.tag.clone(), but: Vec::new() },
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
}

/// Why a read that shows a record which is gone may be older than its delete, if it may.
fn too_early(place: Place<'_>, part: &SideState, seen: &Seen) -> Option<&'static str> {
    if !part.gone {
        return None;
    }
    if seen.began <= part.seen_at {
        return Some("the read began before we knew it was deleted");
    }
    let last = part.last_write.as_ref().filter(|_| !is_back(Fault::StaleReadBelieved))?;
    let window = place.plan.settle_window;
    (seen.began < last.ended.plus(window)).then_some("we deleted it just now, and a read may show it still")
}

/// Whether there is nothing that the side should be sent, now or once it is whole.
pub(crate) fn lacks_nothing(place: Place<'_>, state: &RecordState) -> bool {
    lacks(place.collection, state, place.side, true).is_none()
        && held_back(place.collection, state, place.side, true).is_none()
}

/// Whether it was set aside for the shape in which its side showed it.
pub(crate) fn is_of_shape(parked: &Parked) -> bool {
    parked.reason == ParkReason::Unreadable && !parked.fields.is_empty()
}
