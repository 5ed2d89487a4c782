//! Archives: the oldest events of a log in a file of their own, and, with somebody's
//! approval, dropped from the log.
//!
//! What never happens here: a drop of events whose file was not made durable, read back and
//! verified just before, or for which not all is written down that takes their place.

use crate::answers::{ArchivedEvents, Dropped};
use crate::audit::ExportAsk;
use crate::desk::{Desk, beside};
use crate::error::DeskError;
use crate::offline::{Stopped, now};
use crate::when::Moment;
use hms_sync_audit::{Auditor, Hashed, Range, Scope};
use hms_sync_changelog::{Archived, Log};
use hms_sync_engine::events_at;
use hms_sync_model::{Digest, RecordId, Time};
use hms_sync_notary::Notary;
use std::fs::File;
use std::io::BufReader;
use std::path::Path;

/// The longest reason, in characters.
const REASON_MAX: usize = 500;
/// The longest name of who approves, in characters.
const BY_MAX: usize = 200;
/// Records of which it is written down at once how they stand.
const RECORDS_AT_ONCE: usize = 256;

fn invalid(why: impl Into<String>) -> DeskError {
    let hint = "`hms-sync log FILE stats` shows how much there is, and since when".to_owned();
    DeskError::Invalid { why: why.into(), hint }
}

/// The events that an archive holds which is asked for; nothing if none is.
pub(crate) fn range_of(log: &Log, ask: &ExportAsk) -> Result<Option<Range>, DeskError> {
    let until = match (&ask.before, ask.until) {
        (None, None) => return Ok(None),
        (Some(_), Some(_)) => {
            return Err(invalid("an archive ends before a time or with a number, not both"));
        }
        (Some(before), None) => {
            let before = Moment::parse(before, now().wall)?.first;
            events_at(log, Time(before.0.saturating_sub(1)))?
        }
        (None, Some(until)) => until,
    };
    let first = log.dropped_upto().saturating_add(1);
    let Some(last) = log.last_to_drop(until)? else {
        return Err(invalid(format!("there is nothing to archive: the log begins with event {first}")));
    };
    if let Some(lost) = log.lost()?.into_iter().find(|lost| lost.first <= last) {
        let (from, to) = (lost.first, lost.last());
        return Err(invalid(format!(
            "events {from} to {to} were lost in a recovery; an archive ends before them"
        )));
    }
    Ok(Some(Range { first, last }))
}

/// What a file holds that is read back: the range, and the file's hash.
fn read_back(notary: &Notary, path: &Path) -> Result<(Range, [u8; 32]), DeskError> {
    let failed = |why: std::io::Error| invalid(format!("{} cannot be read back: {why}", path.display()));
    let file = File::open(path).map_err(failed)?;
    file.sync_all().map_err(failed)?;
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(failed)?;
    let mut auditor = Auditor::new();
    notary.keys().into_iter().for_each(|key| auditor.key(key));
    let mut input = BufReader::new(Hashed::new(file));
    let report = auditor.verify(&mut input, |_| {});
    let report = report.map_err(|why| invalid(format!("{} is not whole: {why}", path.display())))?;
    match report.scope {
        Scope::Range(range) if report.proven => Ok((range, input.get_ref().hash())),
        _ => Err(invalid(format!("{} is no archive that this log has signed", path.display()))),
    }
}

impl Desk {
    /// Drops the events from the log that are in an archive of it. Only of a sync that nobody
    /// runs. Blocks others until it is done; if it is cut off, the next start ends it or
    /// nothing has been dropped.
    pub async fn drop_archived(&self, path: &Path, by: &str, reason: &str) -> Result<Dropped, DeskError> {
        for (what, text, max) in [("reason", reason, REASON_MAX), ("name of who approves", by, BY_MAX)] {
            if text.trim().is_empty() || text.chars().count() > max {
                return Err(invalid(format!("a drop needs a {what}, of {max} characters at most")));
            }
        }
        let (log, notary, stopped) = (self.log()?, self.signs()?, self.at_rest()?);
        let (path, by, reason) = (path.to_owned(), by.trim().to_owned(), reason.trim().to_owned());
        beside(move || drop_events(&log, &notary, &stopped, &path, by, reason)).await
    }
}

fn drop_events(
    log: &Log,
    notary: &Notary,
    stopped: &Stopped,
    path: &Path,
    by: String,
    reason: String,
) -> Result<Dropped, DeskError> {
    let (Range { first, last }, hash) = read_back(notary, path)?;
    let from = log.dropped_upto().saturating_add(1);
    if first != from || log.last_to_drop(last)? != Some(last) {
        return Err(invalid(format!(
            "events are dropped from {from} on, and the archive begins with {first}"
        )));
    }
    let file = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let root = log.prover().head(last)?.root.0;
    let until = log.event(last)?.map_or(Time::MIN, |(_, event)| event.at);
    let records = carry_all(log, stopped, last)?;
    let at = now().wall;
    let range = Archived { first, last, at, until, hash, root, file };
    let approval = stopped.change(|machine, now| machine.approve(&range, by, reason, now))?;
    let approval = approval.ok_or_else(|| invalid("the approval could not be written down"))?;
    log.drop_archived(&range, &approval)?;
    let bytes = log.stats().bytes;
    Ok(Dropped { archived: ArchivedEvents::of(&range), records, bytes })
}

/// Writes down how everything stands that has events up to `last`. Answers of how many
/// records and streams.
fn carry_all(log: &Log, stopped: &Stopped, last: u64) -> Result<u64, DeskError> {
    let (mut after, mut count): (Option<RecordId>, u64) = (None, 0);
    loop {
        let from = after.clone();
        let (events, next) =
            stopped.change(|machine, now| machine.carry(last, from.as_ref(), RECORDS_AT_ONCE, now))?;
        stopped.flush_keys()?;
        log.append(&events)?;
        count += events.len() as u64;
        match next {
            Some(next) => after = Some(next),
            None => return Ok(count),
        }
    }
}

impl ArchivedEvents {
    /// A range as it is told.
    pub(crate) fn of(range: &Archived) -> Self {
        Self {
            first: range.first,
            last: range.last,
            file: range.file.clone(),
            hash: Digest(range.hash).to_string(),
            until: range.until.to_string(),
            dropped: range.at.to_string(),
        }
    }
}

/// What of a record whose events in the log begin with version `first` lies in archives.
pub(crate) fn of_record(log: &Log, first: Option<u64>) -> Option<String> {
    let upto = first?.checked_sub(1).filter(|upto| *upto > 0)?;
    let files: Vec<String> = log.archived().into_iter().map(|range| range.file).collect();
    let versions = if upto == 1 { "version 1 is".to_owned() } else { format!("versions 1 to {upto} are") };
    (!files.is_empty())
        .then(|| format!("{versions} archived in {}, and no longer in the log", files.join(", ")))
}

/// What of a stretch of the log that begins with event `from` lies in archives.
pub(crate) fn of_log(log: &Log, from: u64) -> Option<String> {
    let ranges: Vec<Archived> = log.archived().into_iter().filter(|range| range.last >= from).collect();
    let (first, last) = (ranges.first()?.first, ranges.last()?.last);
    let files: Vec<String> = ranges.into_iter().map(|range| range.file).collect();
    Some(format!("events {first} to {last} are archived in {}, and no longer in the log", files.join(", ")))
}
