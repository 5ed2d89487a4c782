//! Passes: reading collections page by page, for changes and in full.
//!
//! A cursor moves only in the same commit as the records it stands behind. A
//! full listing finds deletes, and believes them only if it was complete, if the
//! guard lets so many pass, and (where a side can be asked for one record) if
//! the record is not there when asked for by id.

mod sweep;
mod taking_in;

use crate::absence::Absences;
use crate::error::EngineError;
use crate::happening::What;
use crate::lane::Track;
use crate::machine::Machine;
use crate::observe::Looked;
use crate::page::{ShownPage, Sight};
use crate::plan::Plan;
use crate::regression::Regression;
use crate::seen::Seen;
use crate::stream::{Place, StreamState, stream_of};
use crate::unread::Part;
use crate::views::Views;
use crate::wake::{Effect, Now};
use hms_sync_connector::{Cursor, Observation, PageToken, ReadError, ReadRequest, Scope};
use hms_sync_model::{Body, CollectionName, FieldName, NativeId, RecordId, SideName, Source, Time};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// How many times as long as the last poll took it is until the next, if it brought
/// nothing new, as long as the side is being filled.
const ECHO_REST: u32 = 4;

/// How old the place of a listing may be for it to go on from there, after a start or
/// after a page that could not be read. In a longer time too much may have moved to other
/// pages.
const PLACE_AGE_MAX: Duration = Duration::from_mins(1);

/// How old what is known of a side may be after a start for records to be created
/// there before it is read again: no older than it may be between two polls, and
/// never more than this.
const KNOWN_AGE_MAX: Duration = Duration::from_secs(10);

/// So few are looked through one by one.
const FEW: usize = 8;

/// All collections of all sides that are read.
#[derive(Debug)]
pub(crate) struct Passes {
    all: BTreeMap<(SideName, CollectionName), Pass>,
    count: u64,
    /// Whether nothing may be written to some side.
    any_shut: bool,
}

/// One side's collection, as it is read.
#[derive(Debug)]
pub(crate) struct Pass {
    stream: RecordId,
    cursor: Option<Cursor>,
    pub(crate) listed: bool,
    /// Whether a pass has ended since the process started, or shortly before: until
    /// then, what came to the side while nobody looked is not known.
    current: bool,
    running: Option<Running>,
    next_poll: Option<Time>,
    next_full: Option<Time>,
    /// No poll before that, as long as the side is being filled.
    rests_until: Time,
    pub(crate) failures: u32,
    pub(crate) trouble: Option<String>,
    /// A page that is not asked for until deliveries have caught up.
    waiting: Option<ReadRequest>,
    /// How far a first listing had come when it was cut short.
    place: Option<Place>,
    /// When everything was last read.
    listed_at: Time,
    /// When the last full listing of this process began.
    full_began: Option<Time>,
    /// When the last one began that was complete, and whose deletes were believed.
    complete_began: Option<Time>,
    /// A listing is waited for that begins no earlier.
    wanted: Option<Time>,
    /// When the last pass that ended well began: what it did not show was not there then.
    last_began: Time,
    /// When it ended.
    last_ended: Time,
    /// When the last webhook came, by the machine's own clock.
    hooked_at: Option<Time>,
    absences: Absences,
    regression: Regression,
}

#[derive(Debug)]
#[expect(clippy::struct_excessive_bools, reason = "independent facts of one pass")]
struct Running {
    id: u64,
    full: bool,
    /// Read in full because it was time to, not because there is no cursor to start from.
    scheduled: bool,
    began: Time,
    /// The same, on the machine's own clock.
    began_mono: Time,
    page_began: Time,
    /// When the last page came in.
    page_came: Time,
    /// The page that was asked for last.
    asked: ReadRequest,
    /// When it may be asked for again.
    again_at: Option<Time>,
    /// What it has shown, if that will be asked: by a listing's end, or where a side tells of
    /// deletes and cannot be asked for a record.
    seen: Seen,
    /// It is a listing that began when no id of the side was known: what is known at its end
    /// was heard of since, and nothing can be missing.
    blank: bool,
    records: usize,
    /// Parts of the collection that it could not read.
    unread: Vec<Part>,
    /// Events made of what it brought.
    news: u64,
    sound: bool,
    /// Whether it is to be believed if it shows nothing at all.
    empty_is_meant: bool,
    cursor: Option<Cursor>,
    /// What is still to be taken in of its last page.
    left: Option<Left>,
    /// What came of the page after that, which was asked for meanwhile.
    came: Option<Came>,
    /// What is put by until it has ended.
    put_by: Vec<PutBy>,
    /// The earliest time at which something stood otherwise that was put by.
    put_by_until: Time,
    /// How many records the side has, if that was counted.
    all: Option<usize>,
}

/// A record that stands as it did earlier, and when it was asked for.
#[derive(Debug)]
pub(crate) struct PutBy {
    pub(crate) seen: Observation,
    pub(crate) began: Looked,
}

/// How many are put by.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Many {
    pub(crate) records: usize,
    /// The earliest time at which one of them stood otherwise.
    pub(crate) until: Time,
    /// How many records the side has, if that was counted.
    pub(crate) all: Option<usize>,
}

/// A page, or why there is none.
type Came = Box<Result<ShownPage, ReadError>>;

/// The rest of a page.
#[derive(Debug)]
struct Left {
    records: std::vec::IntoIter<Sight>,
    /// Those that the side lists as gone.
    gone: Vec<NativeId>,
    began: Looked,
    next: Option<PageToken>,
    cursor: Option<Cursor>,
    /// Whether the next page need not be asked for any more.
    ahead: bool,
}

impl Passes {
    pub(crate) fn new(plan: &Plan, views: &Views, restored_at: Time) -> Result<Self, EngineError> {
        let (mut all, lost_at) = (BTreeMap::new(), views.log().lost_at()?);
        let lost_at = lost_at.max(Some(restored_at).filter(|at| at.0 > 0));
        for (collection, of) in plan.collections.iter() {
            for (side, part) in of.sides.iter().filter(|(_, part)| part.abilities.read) {
                let stream = stream_of(side, collection)?;
                let mut state = views.stream(&stream)?;
                if lost_at.is_some_and(|at| at > state.listed_at) {
                    // What was written there, and what had been read, may be among what was lost.
                    let StreamState { held, withheld, meant, approved, regressed, told, .. } = state;
                    let kept = StreamState { held, withheld, meant, approved, ..StreamState::default() };
                    state = StreamState { regressed, told, ..kept };
                }
                let (absences, regression) = (absences(&state), Regression::of(&state));
                let first = Some(Time(0));
                let pass = Pass {
                    stream,
                    cursor: state.cursor.map(Cursor),
                    listed: state.listed,
                    current: false,
                    running: None,
                    next_poll: first.filter(|_| part.poll_interval.is_some()),
                    next_full: first
                        .filter(|_| !state.listed || part.full_interval.is_some() || state.told.is_some()),
                    rests_until: Time::MIN,
                    listed_at: state.listed_at,
                    full_began: None,
                    complete_began: None,
                    wanted: None,
                    failures: 0,
                    trouble: None,
                    waiting: None,
                    place: state.place,
                    last_began: state.at,
                    last_ended: state.at,
                    hooked_at: None,
                    absences,
                    regression,
                };
                all.insert((side.clone(), collection.clone()), pass);
            }
        }
        let any_shut = all.values().any(|pass| pass.regression.is_shut());
        Ok(Self { all, count: 0, any_shut })
    }

    /// Everything is to be read as on a first load.
    pub(crate) fn begin_anew(&mut self) {
        for pass in self.all.values_mut() {
            (pass.cursor, pass.place, pass.listed, pass.current) = (None, None, false, false);
            pass.ask(true);
        }
    }

    pub(crate) fn get(&self, side: &SideName, collection: &CollectionName) -> Option<&Pass> {
        if self.all.len() > FEW {
            return self.all.get(&(side.clone(), collection.clone()));
        }
        // It is asked for several times for each record: among few no key need be made.
        self.all.iter().find(|((s, c), _)| s == side && c == collection).map(|(_, pass)| pass)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&SideName, &CollectionName, &Pass)> {
        self.all.iter().map(|((side, collection), pass)| (side, collection, pass))
    }

    /// Whether everything on the side is known: it has been read once, and what
    /// changed while no process ran has been read too.
    pub(crate) fn is_listed(&self, side: &SideName, collection: &CollectionName) -> bool {
        self.get(side, collection).is_some_and(|pass| pass.listed && pass.current)
    }

    /// When the last complete listing of this process began.
    pub(crate) fn last_complete(&self, side: &SideName, collection: &CollectionName) -> Option<Time> {
        self.get(side, collection)?.complete_began
    }

    /// Has a side listed as a whole that was not since; one that cannot be, when it is next due.
    pub(crate) fn want_listing(&mut self, side: &SideName, collection: &CollectionName, since: Time) {
        let Some(pass) = self.all.get_mut(&(side.clone(), collection.clone())) else { return };
        if pass.complete_began.is_some_and(|began| began >= since) {
            return;
        }
        pass.wanted = pass.wanted.max(Some(since));
        let running = pass.running.as_ref().filter(|running| running.full).map(|running| running.began);
        if running.or(pass.full_began).is_none_or(|began| began < since) {
            pass.ask(true);
        }
    }

    /// A webhook came.
    pub(crate) fn hooked(&mut self, key: &(SideName, CollectionName), now: Now) {
        if let Some(pass) = self.all.get_mut(key) {
            pass.hooked_at = Some(now.mono);
        }
    }

    /// Takes over which fields are withheld.
    pub(crate) fn know_absences(&mut self, key: &(SideName, CollectionName), state: &StreamState) {
        if let Some(pass) = self.all.get_mut(key) {
            pass.absences = absences(state);
        }
    }

    /// Takes over what waits for a person, and what one has said.
    pub(crate) fn know_regression(&mut self, key: &(SideName, CollectionName), state: &StreamState) {
        if let Some(pass) = self.all.get_mut(key) {
            pass.regression = Regression::of(state);
            if let Some(running) = pass.running.as_mut().filter(|_| pass.regression.held) {
                running.put_by = Vec::new();
            }
        }
        self.any_shut = self.all.values().any(|pass| pass.regression.is_shut());
    }

    /// Whether what a side shows waits for a person.
    pub(crate) fn is_held(&self, side: &SideName, collection: &CollectionName) -> bool {
        self.any_shut && self.get(side, collection).is_some_and(|pass| pass.regression.held)
    }

    /// Whether nothing may be written to a side.
    pub(crate) fn is_shut(&self, side: &SideName, collection: &CollectionName) -> bool {
        self.any_shut && self.get(side, collection).is_some_and(|pass| pass.regression.is_shut())
    }

    /// Keeps a record until the pass has ended that shows it. Answers how many are kept.
    pub(crate) fn put_by(
        &mut self,
        key: &(SideName, CollectionName),
        record: PutBy,
        until: Time,
    ) -> Option<Many> {
        let running = self.all.get_mut(key)?.running.as_mut()?;
        let first = running.put_by.is_empty();
        running.put_by_until = if first { until } else { running.put_by_until.min(until) };
        running.put_by.push(record);
        Some(Many { records: running.put_by.len(), until: running.put_by_until, all: running.all })
    }

    /// How many records a side has.
    pub(crate) fn know_count(&mut self, key: &(SideName, CollectionName), all: usize) {
        if let Some(running) = self.all.get_mut(key).and_then(|pass| pass.running.as_mut()) {
            running.all = Some(all);
        }
    }

    /// Whether some of a page is still to be taken in.
    pub(crate) fn are_in_page(&self) -> bool {
        self.all.values().any(Pass::is_in_page)
    }

    pub(crate) fn next_due(&self) -> Option<Time> {
        let due =
            self.all.values().filter_map(|pass| match (&pass.running, pass.next_poll, pass.next_full) {
                (Some(running), ..) => running.again_at,
                (None, Some(poll), Some(full)) => Some(poll.max(pass.rests_until).min(full)),
                (None, poll, full) => poll.map(|poll| poll.max(pass.rests_until)).or(full),
            });
        due.min()
    }
}

impl Pass {
    /// Whether some of a page is still to be taken in.
    fn is_in_page(&self) -> bool {
        self.running.as_ref().is_some_and(|running| running.left.is_some() || running.came.is_some())
    }

    pub(crate) fn cursor(&self) -> Option<&str> {
        self.cursor.as_ref().map(|cursor| cursor.0.as_str())
    }

    pub(crate) fn stream(&self) -> &RecordId {
        &self.stream
    }

    pub(crate) fn last_began(&self) -> Time {
        self.last_began
    }

    /// Fields whose absence is not believed.
    pub(crate) fn withheld(&self) -> &BTreeSet<FieldName> {
        &self.absences.withheld
    }

    /// What is known of it as a side that may have been put back from a backup.
    pub(crate) fn regression(&self) -> &Regression {
        &self.regression
    }

    /// Whether a pass is under way that puts by what stands as it did earlier: a first listing
    /// does not, for what it shows is all new.
    pub(crate) fn puts_by(&self) -> bool {
        self.listed && self.running.is_some() && !self.regression.is_shut()
    }

    /// Whether it was asked, or need not be, if the absence of a field is meant.
    pub(crate) fn knows_absent(&self, field: &FieldName) -> bool {
        self.absences.withheld.contains(field) || self.absences.meant.contains(field)
    }

    /// When the last pass that ended well began and ended.
    pub(crate) fn last(&self) -> (Time, Time) {
        (self.last_began, self.last_ended)
    }

    /// Asks for a pass as soon as may be.
    pub(crate) fn ask(&mut self, full: bool) {
        let due = if full { &mut self.next_full } else { &mut self.next_poll };
        *due = Some(Time(0));
    }
}

/// What a pass is like from its beginning on, as [`Running`] has it.
#[derive(Debug, Clone, Copy)]
struct Kind {
    full: bool,
    scheduled: bool,
    blank: bool,
}

impl Running {
    /// A pass that begins with the page asked for, or goes on from a place.
    fn begin(id: u64, kind: Kind, place: Option<&Place>, asked: ReadRequest, now: Now) -> Self {
        let Kind { full, scheduled, blank } = kind;
        Self {
            id,
            full,
            scheduled,
            blank,
            began: place.map_or(now.wall, |place| place.began),
            began_mono: now.mono,
            page_began: now.wall,
            page_came: now.wall,
            asked,
            again_at: None,
            seen: Seen::default(),
            records: 0,
            unread: Vec::new(),
            news: 0,
            // What it showed before it was cut short is no longer known.
            sound: place.is_none(),
            empty_is_meant: false,
            cursor: None,
            left: None,
            came: None,
            put_by: Vec::new(),
            put_by_until: Time::MIN,
            all: None,
        }
    }

    /// The page that failed, if it may be asked for again: in the middle of a pass whose last
    /// page came lately.
    fn again(&mut self, why: &ReadError, now: Time) -> Option<ReadRequest> {
        let fresh = now < self.page_came.plus(PLACE_AGE_MAX);
        let may = fresh && self.asked.after.is_some() && matches!(why, ReadError::Later { .. });
        may.then(|| self.asked.clone())
    }
}

impl Machine {
    /// Asks for a full listing of a collection as soon as may be.
    pub(crate) fn ask_pass(&mut self, side: &SideName, collection: &CollectionName, full: bool) -> bool {
        match self.passes.all.get_mut(&(side.clone(), collection.clone())) {
            Some(pass) => {
                pass.ask(full);
                true
            }
            None => false,
        }
    }

    /// After a start, a full listing is due when it would have been without it, and a
    /// side that was read just now is known as well as it was, and read again when it
    /// no longer is.
    pub(crate) fn resume_listings(&mut self, now: Now) {
        for ((side, collection), pass) in &mut self.passes.all {
            let Some(part) = self.plan.collections.get(collection).and_then(|of| of.sides.get(side)) else {
                continue;
            };
            let told = pass.regression.told.is_some();
            if let (true, Some(interval)) = (pass.listed && !told, part.full_interval) {
                let wait = pass.listed_at.plus(interval).since(now.wall).min(interval);
                pass.next_full = Some(now.mono.plus(wait));
            }
            let Some(age_max) = part.poll_interval.map(|interval| interval.min(KNOWN_AGE_MAX)) else {
                continue;
            };
            let stale_at = pass.last_began.plus(age_max);
            pass.current = pass.last_began <= now.wall && now.wall < stale_at;
            if pass.current {
                // No sooner than without the restart.
                pass.next_poll = Some(now.mono.plus(stale_at.since(now.wall)));
            }
        }
    }

    /// Begins the passes whose time has come, and goes on with those that waited.
    pub(crate) fn poll_due(&mut self, now: Now) {
        if self.stopping {
            return;
        }
        let room = self.lanes.ready() < self.plan.backlog_max;
        let keys = self.any_personal || self.views.vault().is_some();
        let mut effects = Vec::new();
        for ((side, collection), pass) in &mut self.passes.all {
            // Under a contract a whole page may have to wait; a record's hash is made under its key.
            let may_read = !keys && !self.plan.contracts.contains_key(&(side.clone(), collection.clone()));
            if let Some(running) = &mut pass.running {
                running.again_at = running.again_at.filter(|at| *at > now.mono);
                let may = room && running.again_at.is_none();
                if let Some(request) = pass.waiting.take_if(|_| may) {
                    running.page_began = now.wall;
                    running.asked = request.clone();
                    let beforehand = may_read && running.full && !pass.listed;
                    effects.push(Effect::Read { side: side.clone(), pass: running.id, request, beforehand });
                }
                continue;
            }
            let due = |at: Option<Time>| at.is_some_and(|at| at <= now.mono);
            let full = due(pass.next_full) || due(pass.next_poll) && pass.cursor.is_none();
            if !full && !due(pass.next_poll) {
                continue;
            }
            let filled = || self.lanes.ready_for(&Track::Deliver(side.clone())) > 0;
            if !due(pass.next_full) && pass.rests_until > now.mono && filled() {
                continue;
            }
            let scheduled = due(pass.next_full);
            self.passes.count += 1;
            let id = self.passes.count;
            let scope = match &pass.cursor {
                Some(cursor) if !full => Scope::Since(cursor.clone()),
                _ => Scope::Everything,
            };
            let place = pass
                .place
                .clone()
                .filter(|place| full && !pass.listed && now.wall < place.at.plus(PLACE_AGE_MAX));
            let after = place.as_ref().map(|place| PageToken(place.next.clone()));
            let request = ReadRequest { collection: collection.clone(), scope, after };
            // Where it may tell of deletes and cannot be asked for a record, what it has shown is asked.
            let part = self.plan.collections.get(collection).and_then(|of| of.sides.get(side));
            let may = part.is_some_and(|part| part.abilities.fetch || !part.abilities.incremental);
            let knows_none =
                || self.views.links(side, collection, None, 1).is_ok_and(|known| known.is_empty());
            let blank = may && full && place.is_none() && knows_none();
            let kind = Kind { full, scheduled, blank };
            pass.running = Some(Running::begin(id, kind, place.as_ref(), request.clone(), now));
            let beforehand = may_read && full && !pass.listed;
            effects.push(Effect::Read { side: side.clone(), pass: id, request, beforehand });
        }
        for effect in effects {
            self.push(effect);
        }
    }

    /// Writes down how far a first listing has come: after a restart it goes on from there.
    fn note_place(
        &mut self,
        key: &(SideName, CollectionName),
        next: String,
        now: Now,
    ) -> Result<(), EngineError> {
        let Some(pass) = self.passes.all.get(key) else { return Ok(()) };
        let stream = pass.stream.clone();
        let body = Body::Cursor { side: key.0.clone(), cursor: None, listed: false, next: Some(next) };
        self.emit_stream(&stream, body, now)?;
        let place = self.views.stream(&stream)?.place;
        if let Some(pass) = self.passes.all.get_mut(key) {
            pass.place = place;
        }
        Ok(())
    }

    /// Writes down how far a collection has been read. `next` is the page that comes next
    /// in the pass, if there is one.
    fn move_cursor(
        &mut self,
        key: &(SideName, CollectionName),
        cursor: Option<Cursor>,
        next: Option<String>,
        listed: bool,
        now: Now,
    ) -> Result<(), EngineError> {
        let Some(pass) = self.passes.all.get_mut(key) else { return Ok(()) };
        let moved = cursor.is_some() && cursor != pass.cursor;
        if !moved && !listed {
            return Ok(());
        }
        if cursor.is_some() {
            pass.cursor.clone_from(&cursor);
        }
        pass.listed |= listed;
        let stream = pass.stream.clone();
        let body = Body::Cursor { side: key.0.clone(), cursor: cursor.map(|cursor| cursor.0), listed, next };
        self.emit_stream(&stream, body, now)
    }

    fn pass_ended(&mut self, key: &(SideName, CollectionName), now: Now) -> Result<(), EngineError> {
        let (side, collection) = key;
        let part = self.plan.collections.get(collection).and_then(|of| of.sides.get(side));
        let (poll, full) = part.map_or((None, None), |part| (part.poll_interval, part.full_interval));
        let Some(pass) = self.passes.all.get_mut(key) else { return Ok(()) };
        let Some(mut running) = pass.running.take() else { return Ok(()) };
        running.seen.sort();
        pass.failures = 0;
        pass.trouble = None;
        pass.place = None;
        (pass.last_began, pass.last_ended) = (running.began, now.wall);
        // While a side is being filled, most of what a poll reads is what we wrote
        // just now: then reading gets a share of the time, not all of it.
        let took = now.mono.since(running.began_mono);
        pass.rests_until = match running.news {
            0 => now.mono.plus(took.saturating_mul(ECHO_REST)),
            _ => Time::MIN,
        };
        // While its webhooks come there is less to be found.
        let told = |within: &&Duration| pass.hooked_at.is_some_and(|at| now.mono.since(at) < **within);
        let pace = self.plan.sweeps.get(key).filter(told).copied();
        pass.next_poll = poll.map(|poll| now.mono.plus(pace.unwrap_or(poll).max(poll)));
        let told = pass.regression.told;
        let mut first_listing = false;
        let mut caught_up = !std::mem::replace(&mut pass.current, true);
        let put_by = std::mem::take(&mut running.put_by);
        if running.full {
            pass.next_full = full.map(|interval| now.mono.plus(interval));
            first_listing = !pass.listed;
            let worth_noting = running.scheduled || first_listing || told.is_some();
            let records = running.records;
            if worth_noting {
                let told = What::Listed { side: side.clone(), collection: collection.clone(), records };
                self.tell(None, told, now);
            }
            self.take_in_put_by(key, put_by, now)?;
            let swept = self.sweep_if_believed(key, &running, told, now)?;
            let complete = running.sound && swept && running.unread.is_empty();
            caught_up |= self.listing_ended(key, running.began, complete);
            self.move_cursor(key, running.cursor, None, swept && worth_noting, now)?;
            caught_up |= self.is_told_done(key, told, now)?;
        } else {
            self.take_in_put_by(key, put_by, now)?;
            self.move_cursor(key, running.cursor, None, false, now)?;
        }
        if first_listing || caught_up {
            // What waited for the listing may go out now.
            self.look_at_all();
        }
        Ok(())
    }

    /// A pass has ended: what was put by was too little to be held.
    fn take_in_put_by(
        &mut self,
        key: &(SideName, CollectionName),
        put_by: Vec<PutBy>,
        now: Now,
    ) -> Result<(), EngineError> {
        put_by.into_iter().try_for_each(|PutBy { seen, began }| {
            self.intake(&key.0, &key.1, seen.into(), Source::Page, began, now)
        })
    }
}

fn absences(state: &StreamState) -> Absences {
    let withheld = state.withheld.iter().flat_map(|parked| parked.fields.iter().cloned()).collect();
    Absences { withheld, meant: state.meant.clone() }
}
