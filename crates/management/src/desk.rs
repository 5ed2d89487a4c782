//! The questions people ask, whoever they ask through: one set of methods for a
//! sync that runs and for one that does not.
//!
//! A live desk asks the engine and never blocks it for long: histories are read
//! from the log beside it. Nothing is written but by the engine's own commands.

use crate::answers::{
    Erased, EventReport, History, ParkedFilter, ParkedItem, ParkedPage, Released, Running, StatusReport,
    TakenUp,
};
use crate::detail::detail;
use crate::error::{DeskError, name_fits};
use crate::offline::Stopped;
use crate::shelf::Shelf;
use crate::stats::StatsReport;
use crate::told::{Teller, Told};
use hms_sync_changelog::Log;
use hms_sync_engine::{Command, Engine, EngineError, Machine, Plan, RecordReport, Reply, Wake};
use hms_sync_model::{
    CollectionName, Event, EventId, JobName, Lane, ParkReason, RecordId, Released as Action, SideName,
};
use hms_sync_notary::Notary;
use hms_sync_vault::Vault;
use std::sync::Arc;

/// Most parked items in one answer.
pub(crate) const PARKED_MAX: usize = 500;
/// Most events in one answer.
pub(crate) const EVENTS_MAX: usize = 1_000;
/// The longest reason of an erasure, in characters.
const REASON_MAX: usize = 500;
/// The longest name of who asks for one.
const BY_MAX: usize = 100;

/// Where people ask.
#[derive(Debug, Clone)]
pub struct Desk {
    place: Place,
    /// Nothing if the engine had ended already.
    log: Option<Log>,
    /// Nothing if nobody signs.
    pub(crate) notary: Option<Notary>,
    /// What opens personal values; nothing if there are none.
    vault: Option<Vault>,
}

#[derive(Debug, Clone)]
enum Place {
    Live(Engine),
    Stopped(Arc<Stopped>),
}

impl Desk {
    /// The desk of a sync that runs.
    pub fn live(engine: Engine) -> Self {
        let (log, vault) = (engine.log(), engine.vault().cloned());
        Self { place: Place::Live(engine), log, notary: None, vault }
    }

    /// The desk of a sync that nobody is running, on what its log holds. No side
    /// is reached. Blocks while views that lag behind the log are made anew.
    pub fn stopped(plan: Plan, log: Log, vault: Option<Vault>) -> Result<Self, DeskError> {
        let stopped = Stopped::open(plan, log.clone(), vault.clone())?;
        Ok(Self { place: Place::Stopped(Arc::new(stopped)), log: Some(log), notary: None, vault })
    }

    pub(crate) fn log(&self) -> Result<Log, DeskError> {
        self.log.clone().ok_or_else(|| EngineError::Stopped.into())
    }

    /// The events of records, opened.
    pub(crate) fn shelf(&self) -> Result<Shelf, DeskError> {
        Ok(Shelf { log: self.log()?, vault: self.vault.clone() })
    }

    /// The engine, if one runs.
    pub(crate) fn engine(&self) -> Option<&Engine> {
        match &self.place {
            Place::Live(engine) => Some(engine),
            Place::Stopped(_) => None,
        }
    }

    /// The machine of a sync that nobody runs.
    pub(crate) fn at_rest(&self) -> Result<Arc<Stopped>, DeskError> {
        match &self.place {
            Place::Live(_) => Err(DeskError::Runs),
            Place::Stopped(stopped) => Ok(Arc::clone(stopped)),
        }
    }

    pub(crate) async fn look<T: Send + 'static>(
        &self,
        question: impl FnOnce(&Machine) -> Result<T, EngineError> + Send + 'static,
    ) -> Result<T, DeskError> {
        match &self.place {
            Place::Live(engine) => Ok(engine.look(question).await??),
            Place::Stopped(stopped) => stopped.look(question),
        }
    }

    pub(crate) async fn command(&self, command: Command) -> Result<Reply, DeskError> {
        let reply = match &self.place {
            Place::Live(engine) => engine.ask(|reply| Wake::Command { command, reply }).await?,
            Place::Stopped(stopped) => stopped.command(command)?,
        };
        match reply {
            Reply::Refused(why) => Err(DeskError::Refused { why }),
            Reply::Done | Reply::Count(_) | Reply::Made(_) | Reply::Stale(_) => Ok(reply),
        }
    }

    /// The sync at a glance.
    pub async fn status(&self) -> Result<StatusReport, DeskError> {
        let running = if self.engine().is_some() { Running::Live } else { Running::Stopped };
        let audit = self.audit_status();
        Ok(StatusReport { running, status: self.look(Machine::status).await?, audit })
    }

    /// How much the log holds.
    pub async fn log_stats(&self) -> Result<StatsReport, DeskError> {
        let log = self.log()?;
        beside(move || Ok(StatsReport::of(&log))).await
    }

    /// The record that goes by a name.
    pub(crate) async fn find(&self, name: &str) -> Result<RecordId, DeskError> {
        name_fits(name)?;
        let asked = name.to_owned();
        let found = self.look(move |machine| machine.find(&asked)).await?;
        found.ok_or_else(|| DeskError::NoSuchRecord { name: name.to_owned() })
    }

    /// What is parked and fits, from a record on, so many records at most.
    pub async fn parked(
        &self,
        filter: &ParkedFilter,
        after: Option<&str>,
        limit: usize,
    ) -> Result<ParkedPage, DeskError> {
        let limit = limit.clamp(1, PARKED_MAX);
        let mut filter = filter.clone();
        if let Some(name) = &filter.record {
            let record = self.find(name).await?;
            filter.record = Some(record.to_string());
            let items = self.parked_of(&record).await?;
            return Ok(ParkedPage { items: fitting(items, &filter), next: None });
        }
        let mut after = after.map(RecordId::try_new).transpose().map_err(|why| DeskError::Invalid {
            why: why.to_string(),
            hint: "`after` is the `next` of the answer before".into(),
        })?;
        loop {
            let from = after.clone();
            let items = self.look(move |machine| machine.parked(from.as_ref(), limit)).await?;
            // Held deletes come first and stand on the sync's own streams.
            let records = distinct_records(&items);
            let last = items.last().filter(|_| records >= limit).map(|item| item.record.clone());
            let items = fitting(items, &filter);
            if !items.is_empty() || last.is_none() {
                return Ok(ParkedPage { items, next: last });
            }
            after = last.and_then(|last| RecordId::try_new(last).ok());
        }
    }

    /// What of one record is parked.
    async fn parked_of(&self, record: &RecordId) -> Result<Vec<ParkedItem>, DeskError> {
        let mut after = if record.is_own_stream() { None } else { just_before(record) };
        loop {
            let from = after.clone();
            let items = self.look(move |machine| machine.parked(from.as_ref(), PARKED_MAX)).await?;
            let passed = items
                .iter()
                .any(|item| item.record.as_str() >= record.as_str() && !item.record.starts_with('@'));
            let next = items.last().filter(|_| distinct_records(&items) >= PARKED_MAX && !passed);
            let next = next.and_then(|item| RecordId::try_new(item.record.as_str()).ok());
            let found: Vec<ParkedItem> =
                items.into_iter().filter(|item| item.record == record.as_str()).collect();
            if !found.is_empty() || next.is_none() || record.is_own_stream() {
                return Ok(found);
            }
            after = next;
        }
    }

    /// Takes what fits up again, or lets it be. An open filter means all.
    pub async fn release(&self, filter: &ParkedFilter, action: Action) -> Result<Released, DeskError> {
        let mut released = 0;
        let mut after: Option<String> = None;
        let (mut found, mut other) = (false, false);
        loop {
            let page = self.parked(filter, after.as_deref(), PARKED_MAX).await?;
            other |= page.items.iter().any(|item| is_put_back(item) != is_of_put_back(action));
            for item in page.items.iter().filter(|item| is_said_of(action, item)) {
                found = true;
                released += self.release_one(item, action).await?;
            }
            let Some(next) = page.next else { break };
            after = Some(next);
        }
        match (found, other) {
            (true, _) => Ok(Released { released }),
            (false, true) => Err(said_of_others(action)),
            (false, false) => Err(DeskError::NothingParked),
        }
    }

    async fn release_one(&self, item: &ParkedItem, action: Action) -> Result<usize, DeskError> {
        let Ok(record) = RecordId::try_new(item.record.as_str()) else { return Ok(0) };
        let lanes = if record.is_own_stream() { vec![None] } else { lanes_called(&item.lane) };
        let mut released = 0;
        for lane in lanes {
            let command = Command::Release { record: record.clone(), lane, action };
            if let Reply::Count(count) = self.command(command).await? {
                released += count;
            }
        }
        Ok(released)
    }

    /// A record as it stands.
    pub async fn record(&self, name: &str) -> Result<RecordReport, DeskError> {
        let record = self.find(name).await?;
        let report = self.look(move |machine| machine.record(&record)).await?;
        report.ok_or_else(|| DeskError::NoSuchRecord { name: name.to_owned() })
    }

    /// A record's events after a version, so many at most.
    pub async fn history(&self, name: &str, after: u64, limit: usize) -> Result<History, DeskError> {
        let record = self.find(name).await?;
        let limit = limit.clamp(1, EVENTS_MAX);
        let title = self.title(&record).await?;
        let (shelf, of) = (self.shelf()?, record.clone());
        let mut events = beside(move || read_history(&shelf, &of, after, limit)).await?;
        let more = events.len() > limit;
        events.truncate(limit);
        let next = events.last().filter(|_| more).map(|event| event.version);
        let archived = match events.first().filter(|_| after == 0) {
            Some(first) => crate::archive::of_record(&self.log()?, Some(first.version)),
            None => None,
        };
        Ok(History { record: record.to_string(), title, archived, events, next })
    }

    pub(crate) async fn title(&self, record: &RecordId) -> Result<String, DeskError> {
        if record.is_own_stream() {
            return Ok(record.to_string());
        }
        let of = record.clone();
        self.look(move |machine| machine.title_of(&of)).await
    }

    /// Erases a record's personal fields: destroys the key that opens them, and closes
    /// them for good. Answers when that is done.
    pub async fn erase(&self, name: &str, by: &str, reason: &str) -> Result<Erased, DeskError> {
        for (what, text, max) in [("reason", reason, REASON_MAX), ("name of who asks", by, BY_MAX)] {
            if text.trim().is_empty() || text.chars().count() > max {
                return Err(DeskError::Invalid {
                    why: format!("an erasure needs a {what}, of {max} characters at most"),
                    hint: "it stands in the log for good: name a file number, and nobody".to_owned(),
                });
            }
        }
        let record = self.find(name).await?;
        let (by, reason) = (by.trim().to_owned(), reason.trim().to_owned());
        let asked = self.command(Command::Erase { record: record.clone(), by, reason }).await;
        asked.map_err(|why| match why {
            DeskError::Refused { why } => DeskError::NotErased { why },
            other => other,
        })?;
        let report = self.record(record.as_str()).await?;
        let fields = report.erased.map(|erased| erased.fields).unwrap_or_default();
        Ok(Erased { record: report.record, title: report.title, fields })
    }

    /// Takes a record up that is held because events of it are lost: it starts over from what
    /// its sides show. Answers when that is written down; the sides are read after.
    pub async fn take_up(&self, name: &str, by: &str, reason: &str) -> Result<TakenUp, DeskError> {
        for (what, text, max) in [("reason", reason, REASON_MAX), ("name of who asks", by, BY_MAX)] {
            if text.trim().is_empty() || text.chars().count() > max {
                return Err(DeskError::Invalid {
                    why: format!("to take a record up needs a {what}, of {max} characters at most"),
                    hint: "it stands in the log for good".to_owned(),
                });
            }
        }
        let record = self.find(name).await?;
        let (by, reason) = (by.trim().to_owned(), reason.trim().to_owned());
        let asked = self.command(Command::TakeUp { record: record.clone(), by, reason }).await;
        let made = asked.map_err(|why| match why {
            DeskError::Refused { why } => DeskError::NotTakenUp { why },
            other => other,
        })?;
        let version = if let Reply::Made(version) = made { version } else { 0 };
        let report = self.record(record.as_str()).await?;
        let unread = report.sides.into_iter().filter(|part| part.unread).map(|part| part.side).collect();
        let parked = self.parked_of(&record).await?;
        Ok(TakenUp { record: report.record, title: report.title, version, unread, parked })
    }

    /// Has a side's collection read now.
    pub async fn poll(&self, side: &str, collection: &str, full: bool) -> Result<(), DeskError> {
        let invalid = |why: hms_sync_model::InvalidName| DeskError::Invalid {
            why: why.to_string(),
            hint: "`hms-sync status FILE` shows the sides and their collections".into(),
        };
        let side = SideName::try_new(side).map_err(invalid)?;
        let collection = CollectionName::try_new(collection).map_err(invalid)?;
        self.command(Command::Poll { side, collection, full }).await.map(|_| ())
    }
}

/// Runs what blocks on a thread of its own.
pub(crate) async fn beside<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, DeskError> + Send + 'static,
) -> Result<T, DeskError> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|why| DeskError::CutOff { why: why.to_string() })?
}

fn fitting(items: Vec<ParkedItem>, filter: &ParkedFilter) -> Vec<ParkedItem> {
    items.into_iter().filter(|item| filter.fits(item)).collect()
}

fn distinct_records(items: &[ParkedItem]) -> usize {
    let mut records: Vec<&str> =
        items.iter().map(|item| item.record.as_str()).filter(|record| !record.starts_with('@')).collect();
    records.dedup();
    records.len()
}

/// Every lane that is shown as `text`: a side and a handler may share a name.
fn lanes_called(text: &str) -> Vec<Option<Lane>> {
    if let Some(version) = text.strip_prefix("request v").and_then(|n| n.parse().ok()) {
        return vec![Some(Lane::Request(version))];
    }
    let side = SideName::try_new(text).ok().map(Lane::Side);
    let job = JobName::try_new(text).ok().map(Lane::Job);
    side.into_iter().chain(job).map(Some).collect()
}

/// An id in order before `record` and after every other one before it, so that
/// a page after it begins with `record`; nothing if there is none.
fn just_before(record: &RecordId) -> Option<RecordId> {
    let mut text = record.as_str().to_owned();
    let last = text.pop()?;
    let before = char::from_u32(u32::from(last).checked_sub(1)?)?;
    text.push(before);
    // Far after everything that starts with the smaller letter.
    while text.len() + 4 <= RecordId::MAX_LEN {
        text.push('\u{10ffff}');
    }
    RecordId::try_new(text).ok()
}

impl EventReport {
    /// An event as it was told.
    pub(crate) fn of(id: EventId, event: &Event, told: &Told) -> Self {
        Self {
            record: event.record.to_string(),
            title: None,
            seq: event.seq,
            version: event.version,
            at: event.at.to_string(),
            kind: told.kind.to_owned(),
            side: told.side.as_ref().map(ToString::to_string),
            words: told.words.clone(),
            detail: detail(event),
            id: id.to_string(),
            prev: event.prev.to_string(),
        }
    }
}

/// Calls `each` for every event of a record from the first one on, until it
/// answers false. The teller needs what came before; a stream's lines do not.
pub(crate) fn walk(
    shelf: &Shelf,
    record: &RecordId,
    from: u64,
    mut each: impl FnMut(EventId, &Event) -> bool,
) -> Result<(), DeskError> {
    let mut next = from.max(1);
    loop {
        let mut page = shelf.log.history(record, next, EVENTS_MAX)?;
        let Some((_, last)) = page.last() else { return Ok(()) };
        next = last.version.saturating_add(1);
        for (id, event) in &mut page {
            if let Some(vault) = &shelf.vault {
                vault.open_event(event);
            }
            if !each(*id, event) {
                return Ok(());
            }
        }
        if page.len() < EVENTS_MAX {
            return Ok(());
        }
    }
}

/// One more than `limit`, if there are more.
fn read_history(
    shelf: &Shelf,
    record: &RecordId,
    after: u64,
    limit: usize,
) -> Result<Vec<EventReport>, DeskError> {
    let begins = shelf.log.history(record, 1, 1)?.first().map_or(1, |(_, event)| event.version);
    let mut teller = if begins > 1 { Teller::late() } else { Teller::new() };
    let mut events = Vec::new();
    let from = if record.is_own_stream() { after.saturating_add(1) } else { 1 };
    walk(shelf, record, from, |id, event| {
        let told = EventReport::of(id, event, &teller.tell(event));
        if event.version > after {
            events.push(told);
        }
        events.len() <= limit
    })?;
    Ok(events)
}

/// Whether a person can say this of what is parked.
fn is_said_of(action: Action, item: &ParkedItem) -> bool {
    is_put_back(item) == is_of_put_back(action) && (action != Action::Discard || !item.given_up)
}

/// Whether it is a side that was put back from a backup.
fn is_put_back(item: &ParkedItem) -> bool {
    item.reason == ParkReason::Regression.to_string()
}

/// Of such a side there is something else to be said than of all others.
fn is_of_put_back(action: Action) -> bool {
    match action {
        Action::PushOurs | Action::TakeTheirs => true,
        Action::Replay | Action::Discard => false,
    }
}

fn said_of_others(action: Action) -> DeskError {
    let (why, hint) = if is_of_put_back(action) {
        (
            "no side that was put back from a backup is among it",
            "replay takes up what else is parked, discard lets it be",
        )
    } else {
        (
            "a side that was put back from a backup is neither tried again nor let be",
            "push-ours writes ours back to it, take-theirs takes what it shows as its edits",
        )
    };
    DeskError::Invalid { why: why.to_owned(), hint: hint.to_owned() }
}
