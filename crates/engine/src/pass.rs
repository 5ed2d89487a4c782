//! Passes: reading collections page by page, for changes and in full.
//!
//! A cursor moves only in the same commit as the records it stands behind. A
//! full listing finds deletes, and believes them only if it was complete, if the
//! guard lets so many pass, and (where a side can be asked for one record) if
//! the record is not there when asked for by id.

use crate::absence::Absences;
use crate::error::EngineError;
use crate::happening::What;
use crate::lane::Track;
use crate::machine::Machine;
use crate::page::{ShownPage, Sight};
use crate::personal::mask_words;
use crate::plan::{Plan, Retry};
use crate::regression::Regression;
use crate::seen::Seen;
use crate::stream::{Place, StreamState, Told, stream_of};
use crate::unread::{Part, may_be_in};
use crate::views::{Views, hash_of, link_hash, record_in};
use crate::wake::{Effect, Now};
use hms_sync_connector::{Content, Cursor, Observation, Page, PageToken, ReadError, ReadRequest, Scope};
use hms_sync_model::{
    Body, Clock, CollectionName, FieldName, Lane, NativeId, ParkReason, Parked, RecordId, SideName, Source,
    Time,
};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// Waits between tries to read a collection that cannot be read.
const READ_RETRY: Retry =
    Retry { max_attempts: u32::MAX, initial: Duration::from_millis(500), max: Duration::from_secs(30) };

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

/// So many records whose deletes wait are named.
const NAMED_MAX: usize = 10;

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
    pub(crate) began: Time,
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

/// Records that were not shown, and how many there are in all.
type Missing = (Vec<(RecordId, NativeId)>, usize);

/// A page, or why there is none.
type Came = Box<Result<ShownPage, ReadError>>;

/// The rest of a page.
#[derive(Debug)]
struct Left {
    records: std::vec::IntoIter<Sight>,
    /// Those that the side lists as gone.
    gone: Vec<NativeId>,
    /// When the page was asked for.
    began: Time,
    next: Option<PageToken>,
    cursor: Option<Cursor>,
    /// Whether the next page need not be asked for any more.
    ahead: bool,
}

/// Records of a page looked at in one step: what the first of them need leaves while the others
/// are looked at, and writes go on meanwhile.
const PAGE_STEP: usize = 48;

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

    /// A page came in, or did not.
    pub(crate) fn page(
        &mut self,
        side: &SideName,
        collection: &CollectionName,
        id: u64,
        result: Result<ShownPage, ReadError>,
        now: Now,
    ) -> Result<(), EngineError> {
        let key = (side.clone(), collection.clone());
        let Some(pass) = self.passes.all.get_mut(&key) else { return Ok(()) };
        let Some(running) = pass.running.as_mut().filter(|running| running.id == id) else { return Ok(()) };
        if running.left.is_some() {
            // It was asked for ahead: first all of the page before it.
            running.came = Some(Box::new(result));
            return Ok(());
        }
        self.page_came(&key, result, now)
    }

    /// A page is to be taken in, or was not to be had.
    fn page_came(
        &mut self,
        key: &(SideName, CollectionName),
        result: Result<ShownPage, ReadError>,
        now: Now,
    ) -> Result<(), EngineError> {
        let running = self.passes.all.get(key).and_then(|pass| pass.running.as_ref());
        let Some((began, full)) = running.map(|running| (running.page_began, running.full)) else {
            return Ok(());
        };
        match result {
            Ok(page) => match self.frozen(&key.0, &key.1, page.as_they_came()) {
                Some(why) => {
                    self.page_failed(key, &why, now);
                    Ok(())
                }
                None => self.page_read(key, page, began, full, now),
            },
            Err(why) => {
                self.page_failed(key, &why, now);
                Ok(())
            }
        }
    }

    fn page_read(
        &mut self,
        key: &(SideName, CollectionName),
        mut shown: ShownPage,
        began: Time,
        full: bool,
        now: Now,
    ) -> Result<(), EngineError> {
        let (side, collection) = key;
        let (unread, known) = self.note_unread(key, std::mem::take(&mut shown.page.unread), now);
        for reason in &shown.page.unreadable {
            let (side, collection) = (side.clone(), collection.clone());
            self.tell(None, What::Unreadable { side, collection, reason: reason.clone() }, now);
        }
        let unreadable = shown.page.unreadable.len();
        self.counts.unreadable += unreadable as u64;
        // What a first listing shows is all new, and there is more to do for it.
        let first = full && self.passes.all.get(key).is_some_and(|pass| !pass.listed);
        if !first && !self.expects_all(side, collection) {
            self.notice_absences(key, shown.as_they_came(), now)?;
        }
        let (page, records) = shown.parts();
        let Some(pass) = self.passes.all.get_mut(key) else { return Ok(()) };
        let Some(running) = &mut pass.running else { return Ok(()) };
        running.page_came = now.wall;
        if running.asked.after.is_some() {
            (pass.failures, pass.trouble) = (0, None);
        }
        running.records += records.len().saturating_sub(page.shown_before);
        running.sound &= unreadable == 0 && !page.partial && known;
        running.unread.extend(unread);
        running.empty_is_meant |= page.empty_is_meant;
        if full && !running.blank {
            // What is passed over is there all the same.
            let links = page.passed_over.iter().map(|id| link_hash(side, collection.as_str(), id));
            links.for_each(|link| running.seen.put(link));
        }
        let Page { gone, next, cursor, .. } = page;
        // Of what is listed as a whole the next page is on its way while this one is taken in.
        let ahead = full && next.is_some();
        if ahead {
            let (collection, after) = (collection.clone(), next.clone());
            pass.waiting = Some(ReadRequest { collection, scope: Scope::Everything, after });
        }
        running.left = Some(Left { records: records.into_iter(), gone, began, next, cursor, ahead });
        // What is not taken in by portions waits until the next page has been asked for.
        if ahead && !first { Ok(()) } else { self.take_in(key, now) }
    }

    /// Goes on with the pages of which some is left.
    pub(crate) fn read_on(&mut self, now: Now) -> Result<(), EngineError> {
        let left = self.passes.all.iter().filter(|(_, pass)| pass.is_in_page());
        let left: Vec<(SideName, CollectionName)> = left.map(|(key, _)| key.clone()).collect();
        left.iter().try_for_each(|key| self.go_on(key, now))
    }

    /// Takes in more of a page, or begins with the one that came meanwhile.
    fn go_on(&mut self, key: &(SideName, CollectionName), now: Now) -> Result<(), EngineError> {
        let running = self.passes.all.get_mut(key).and_then(|pass| pass.running.as_mut());
        match running.filter(|running| running.left.is_none()).and_then(|running| running.came.take()) {
            Some(came) => self.page_came(key, *came, now),
            None => self.take_in(key, now),
        }
    }

    /// Takes in a portion of what is left of a page. What is known to stand as it did counts for none.
    fn take_in(&mut self, key: &(SideName, CollectionName), now: Now) -> Result<(), EngineError> {
        let (side, collection) = key;
        let Some(pass) = self.passes.all.get_mut(key) else { return Ok(()) };
        let Some(running) = &mut pass.running else { return Ok(()) };
        let Some(mut left) = running.left.take() else { return Ok(()) };
        let (full, first, began) = (running.full, running.full && !pass.listed, left.began);
        let part = self.plan.collections.get(collection).and_then(|of| of.sides.get(side));
        let keeps = !running.blank && (full || part.is_none_or(|part| !part.abilities.fetch));
        let (mut seen, events, edits) = (Vec::new(), self.counts.events, self.counts.edits);
        let mut looked_at = 0;
        while looked_at < PAGE_STEP
            && let Some(record) = left.records.next()
        {
            let link = link_hash(side, collection.as_str(), record.id());
            seen.extend(keeps.then_some(link));
            let shown = if first { None } else { self.quiet.shown(&record) };
            if shown.is_some_and(|shown| self.quiet.knows(link, shown)) {
                self.counts.observations += 1;
                continue;
            }
            looked_at += 1;
            let (id, put_by) = (record.id().clone(), self.put_by);
            self.intake(side, collection, record, Source::Page, began, now)?;
            if let Some(shown) = shown.filter(|_| self.put_by == put_by) {
                self.note_quiet(side, collection, &id, shown)?;
            }
        }
        let Some(pass) = self.passes.all.get_mut(key) else { return Ok(()) };
        // What nobody heard of before the first pass of this process is no webhook's fault.
        if pass.hooked_at.is_some() && pass.current {
            self.counts.repairs += self.counts.edits.saturating_sub(edits);
        }
        let Some(running) = &mut pass.running else { return Ok(()) };
        seen.into_iter().for_each(|link| running.seen.put(link));
        running.news += self.counts.events.saturating_sub(events);
        if left.records.len() > 0 {
            running.left = Some(left);
            return Ok(());
        }
        for id in std::mem::take(&mut left.gone) {
            self.told_gone(key, id, now)?;
        }
        let Some(pass) = self.passes.all.get_mut(key) else { return Ok(()) };
        let Some(running) = &mut pass.running else { return Ok(()) };
        if left.cursor.is_some() {
            running.cursor.clone_from(&left.cursor);
        }
        match left.next {
            Some(next) => {
                let first = running.full && !pass.listed;
                let token = next.0.clone();
                if !left.ahead {
                    let scope = pass.cursor.clone().map_or(Scope::Everything, Scope::Since);
                    let collection = collection.clone();
                    pass.waiting = Some(ReadRequest { collection, scope, after: Some(next) });
                }
                // What is put by is still to be taken in: after a crash it is read again.
                let all_in = running.put_by.is_empty();
                match left.cursor {
                    Some(cursor) if !full && all_in => {
                        self.move_cursor(key, Some(cursor), Some(token), false, now)
                    }
                    _ if first => self.note_place(key, token, now),
                    _ => Ok(()),
                }
            }
            None => self.pass_ended(key, now),
        }
    }

    fn page_failed(&mut self, key: &(SideName, CollectionName), why: &ReadError, now: Now) {
        let (side, collection) = key.clone();
        let failures = self.passes.all.get(key).map_or(0, |pass| pass.failures);
        let mut wait = self.backoff(&READ_RETRY, failures).max(READ_RETRY.initial / 4);
        match why {
            ReadError::Later { after: Some(after), .. } => wait = wait.max(*after),
            ReadError::Later { .. } | ReadError::Broken { .. } => {}
            ReadError::Denied { .. } => wait = READ_RETRY.max,
        }
        let personal = self.plan.collections.get(&collection).is_some_and(|of| !of.personal.is_empty());
        let words = why.to_string();
        let words = if personal { mask_words(&words) } else { words };
        if let Some(pass) = self.passes.all.get_mut(key) {
            let again = pass.running.as_mut().and_then(|running| running.again(why, now.wall));
            if let (Some(running), Some(request)) = (&mut pass.running, again) {
                running.again_at = Some(now.mono.plus(wait));
                pass.waiting = Some(request);
                pass.failures = failures.saturating_add(1);
                pass.trouble = Some(words);
                let told = What::ReadFailed { side, collection, reason: why.to_string() };
                return self.tell(None, told, now);
            }
            let full = pass.running.take().is_some_and(|running| running.full);
            if !matches!(why, ReadError::Later { .. }) {
                // Perhaps because of where it went on from.
                pass.place = None;
            }
            pass.waiting = None;
            pass.failures = failures.saturating_add(1);
            pass.trouble = Some(words);
            let due = if full { &mut pass.next_full } else { &mut pass.next_poll };
            *due = Some(now.mono.plus(wait));
            if full && pass.next_poll.is_some() {
                pass.next_poll = Some(now.mono.plus(wait));
            }
        }
        self.tell(None, What::ReadFailed { side, collection, reason: why.to_string() }, now);
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

    /// Looks for records that a full listing did not show, if that says anything. Answers
    /// whether all that it says has been taken in.
    fn sweep_if_believed(
        &mut self,
        key: &(SideName, CollectionName),
        running: &Running,
        told: Option<Told>,
        now: Now,
    ) -> Result<bool, EngineError> {
        if self.passes.is_held(&key.0, &key.1) {
            return Ok(false);
        }
        match told {
            // It began before a person said what is to become of it.
            Some(told) if running.began < told.at || !running.sound => Ok(false),
            Some(_) | None => Ok(!running.sound || self.sweep(key, running, now)?),
        }
    }

    /// Whether this listing was the last of those by which a person's word about a side that
    /// was put back is done; if not, the side is listed once more.
    fn is_told_done(
        &mut self,
        key: &(SideName, CollectionName),
        told: Option<Told>,
        now: Now,
    ) -> Result<bool, EngineError> {
        if told.is_none() {
            return Ok(false);
        }
        let state = self.views.stream(&stream_of(&key.0, &key.1)?)?;
        if state.told.is_none() {
            self.passes.know_regression(key, &state);
        } else if let Some(pass) = self.passes.all.get_mut(key) {
            pass.next_full = Some(now.mono.plus(pass.regression.wait()));
        }
        Ok(state.told.is_none())
    }

    /// Notes that a full listing has ended. Answers whether one was waited for.
    fn listing_ended(&mut self, key: &(SideName, CollectionName), began: Time, complete: bool) -> bool {
        let Some(pass) = self.passes.all.get_mut(key) else { return false };
        pass.full_began = Some(began);
        if complete {
            pass.complete_began = Some(began);
        }
        match pass.wanted {
            Some(since) if began < since => pass.ask(true),
            Some(_) => pass.wanted = None,
            None => return false,
        }
        true
    }

    /// Looks for records that a complete listing did not show. Answers false if
    /// their deletes wait for a person.
    fn sweep(
        &mut self,
        key: &(SideName, CollectionName),
        running: &Running,
        now: Now,
    ) -> Result<bool, EngineError> {
        let (side, collection) = key;
        let (missing, all) = self.unshown(key, running)?;
        let stream = stream_of(side, collection)?;
        let state = self.views.stream(&stream)?;
        if state.told.is_some_and(|told| told.ours) {
            return self.make_again(key, missing, now);
        }
        let guard = self.plan.collections.get(collection).map(|of| of.guard).unwrap_or_default();
        // What came there while it was listed is no sign that the listing is broken.
        let empty = running.seen.is_empty() && !missing.is_empty() && !running.empty_is_meant;
        if (empty || !guard.lets_pass(missing.len(), all)) && !state.approved {
            if state.held.is_none() {
                self.hold_deletes(key, &stream, &missing, all, now)?;
            }
            return Ok(false);
        }
        for (record, id) in missing {
            self.missing(side, collection, &record, id, now)?;
        }
        Ok(true)
    }

    /// The records that a listing did not show and should have, and how many there are in all.
    fn unshown(&self, key: &(SideName, CollectionName), running: &Running) -> Result<Missing, EngineError> {
        let (side, collection) = key;
        let (mut missing, mut all, mut after) = (Vec::new(), 0, None);
        if running.blank {
            return Ok((missing, all));
        }
        loop {
            let links = self.views.links(side, collection, after.as_deref(), 1_024)?;
            let Some((last, _)) = links.last() else { break };
            after = Some(last.clone());
            for (key, value) in links {
                if running.seen.has(hash_of(&key)) {
                    all += 1;
                    continue;
                }
                let Some(record) = record_in(&value) else { continue };
                let known = self.views.peek_if(&record, |state| has_since(state, side, running))?;
                let Some(judged) = known else { continue };
                all += 1;
                // An entry of the index may be stale: the record has another id by now.
                let absent = judged.filter(|id| !running.seen.has(link_hash(side, collection.as_str(), id)));
                missing.extend(absent.map(|id| (record, id)));
            }
        }
        Ok((missing, all))
    }

    fn hold_deletes(
        &mut self,
        (side, collection): &(SideName, CollectionName),
        stream: &RecordId,
        missing: &[(RecordId, NativeId)],
        all: usize,
        now: Now,
    ) -> Result<(), EngineError> {
        // What a side calls a person's record by may tell who it is.
        let personal = self.plan.collections.get(collection).is_some_and(|of| !of.personal.is_empty());
        let name = |(record, id): &(RecordId, NativeId)| {
            if personal { record.to_string() } else { format!("{:.60}", id.as_str()) }
        };
        let mut named: Vec<String> = missing.iter().take(NAMED_MAX).map(name).collect();
        let more = missing.len() - named.len();
        named.extend((more > 0).then(|| format!("{more} more")));
        let words = format!(
            "a listing of {side} showed {} of {all} records no more ({}); \
             replay to delete them on the other sides, discard to leave them",
            missing.len(),
            named.join(", "),
        );
        let lane = Lane::Side(side.clone());
        self.tell(Some(stream), What::Parked { lane: lane.to_string(), reason: words.clone() }, now);
        let parked = Parked {
            reason: ParkReason::MassDelete,
            words,
            attempts: 0,
            fields: Vec::new(),
            clock: Clock::default(),
            given_up: false,
        };
        self.emit_stream(stream, Body::Parked { lane, parked }, now)
    }

    /// A record that the side lists as gone.
    fn told_gone(
        &mut self,
        key: &(SideName, CollectionName),
        id: NativeId,
        now: Now,
    ) -> Result<(), EngineError> {
        let (side, collection) = key;
        if self.passes.is_held(side, collection) {
            return Ok(());
        }
        let Some(record) = self.views.linked(side, collection, &id)? else { return Ok(()) };
        let has_it = |state: &crate::state::RecordState| {
            state.sides.get(side).filter(|part| part.has_it()).and_then(|part| part.id.clone())
        };
        if self.views.peek_if(&record, has_it)? != Some(id.clone()) {
            return Ok(());
        }
        let part = self.plan.collections.get(collection).and_then(|of| of.sides.get(side));
        let can_ask = part.is_some_and(|part| part.abilities.fetch);
        let link = link_hash(side, collection.as_str(), &id);
        let running = self.passes.all.get(key).and_then(|pass| pass.running.as_ref());
        // It came back since: the list says nothing of that.
        if !can_ask && running.is_some_and(|running| running.blank || running.seen.has(link)) {
            return Ok(());
        }
        self.missing(side, collection, &record, id, now)
    }

    /// One record that a complete listing did not show.
    pub(crate) fn missing(
        &mut self,
        side: &SideName,
        collection: &CollectionName,
        record: &RecordId,
        id: NativeId,
        now: Now,
    ) -> Result<(), EngineError> {
        let part = self.plan.collections.get(collection).and_then(|of| of.sides.get(side));
        // What was set aside before it was known is not asked for.
        let stub = |state: &crate::state::RecordState| {
            let aside = state.sides.get(side).is_some_and(|part| part.parked.is_some());
            (aside && state.merged.clock.is_empty()).then_some(())
        };
        let stub = self.views.peek_if(record, stub)?.is_some();
        if part.is_some_and(|part| part.abilities.fetch) && !stub {
            let mut entry = self.views.take(record)?;
            if entry.state.sides.get(side).is_some_and(|part| part.doubt.is_some()) {
                // It is to be asked for already, when it may be.
                return self.finish(record.clone(), entry, now);
            }
            let words = "missing from a complete listing".to_owned();
            self.emit(
                record,
                &mut entry,
                Body::Doubted { side: side.clone(), stale: false, id: None, message: None, words },
                now,
            )?;
            return self.finish(record.clone(), entry, now);
        }
        let gone = Observation { id, tag: None, modified: None, content: Content::Gone };
        self.intake(side, collection, gone.into(), Source::Missing, now.wall, now)
    }
}

fn absences(state: &StreamState) -> Absences {
    let withheld = state.withheld.iter().flat_map(|parked| parked.fields.iter().cloned()).collect();
    Absences { withheld, meant: state.meant.clone() }
}

/// The side's id of a record that it should show, if nothing was heard of it since the listing
/// began, and it is in no part that could not be read.
#[expect(clippy::option_option, reason = "not there at all, or there and too fresh to judge")]
fn has_since(
    state: &crate::state::RecordState,
    side: &SideName,
    running: &Running,
) -> Option<Option<hms_sync_model::NativeId>> {
    let part = state.sides.get(side).filter(|part| part.has_it())?;
    let unread = may_be_in(&running.unread, state, side);
    let judged = part.seen_at < running.began && part.write.is_none() && !unread;
    Some(part.id.clone().filter(|_| judged))
}
