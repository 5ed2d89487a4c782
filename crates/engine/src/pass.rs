//! Passes: reading collections page by page, for changes and in full.
//!
//! A cursor moves only in the same commit as the records it stands behind. A
//! full listing finds deletes, and believes them only if it was complete, if the
//! guard lets so many pass, and (where a side can be asked for one record) if
//! the record is not there when asked for by id.

mod due;
mod ended;
mod sweep;
mod taking_in;

use crate::absence::Absences;
use crate::error::EngineError;
use crate::observe::Looked;
use crate::page::{ShownPage, Sight};
use crate::plan::Plan;
use crate::regression::Regression;
use crate::seen::Seen;
use crate::stream::{Place, StreamState, stream_of};
use crate::unread::Part;
use crate::views::Views;
use crate::wake::Now;
use hms_sync_connector::{Cursor, Observation, PageToken, ReadError, ReadRequest};
use hms_sync_model::{CollectionName, FieldName, NativeId, RecordId, SideName, Time};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// How old the place of a listing may be for it to go on from there, after a start or
/// after a page that could not be read. In a longer time too much may have moved to other
/// pages.
const PLACE_AGE_MAX: Duration = Duration::from_mins(1);

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

impl Running {
    /// The page that failed, if it may be asked for again: in the middle of a pass whose last
    /// page came lately.
    fn again(&mut self, why: &ReadError, now: Time) -> Option<ReadRequest> {
        let fresh = now < self.page_came.plus(PLACE_AGE_MAX);
        let may = fresh && self.asked.after.is_some() && matches!(why, ReadError::Later { .. });
        may.then(|| self.asked.clone())
    }
}

fn absences(state: &StreamState) -> Absences {
    let withheld = state.withheld.iter().flat_map(|parked| parked.fields.iter().cloned()).collect();
    Absences { withheld, meant: state.meant.clone() }
}
