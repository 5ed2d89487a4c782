//! Recovery: from a log that does not open, or opens and is not sound, a new one with
//! every event that is still whole, in a folder of its own. It is a ladder:
//!
//! 1. a copy of the folder is opened, and if it is sound and nothing whole lies beside
//!    it in the file, that copy is the new log;
//! 2. the same without sled's snapshots;
//! 3. the raw file is looked through for events, each of which proves itself by its hash,
//!    and a log is made of them. What is missing becomes a hole.
//!
//! The damaged folder is only read. The new one gets its name when it is finished; until
//! then it is `<name>.unfinished`, which the next recovery clears away and begins anew.

mod choose;
mod copy;
mod file;
mod lz4;
mod parts;
mod rebuild;
mod report;
mod scan;

pub use self::report::{BrokenRecord, Recovery, Way};

use self::copy::Opened;
use self::file::RawFile;
use crate::error::LogError;
use crate::folder::{self, io};
use crate::log::Log;
use crate::verify::VerifyReport;
use hms_sync_model::Time;
use std::fs;
use std::path::{Path, PathBuf};

/// Brings what is whole of the log in `dir` to `into`, which must not exist yet. `now` is
/// noted with what is lost.
///
/// # Errors
/// [`LogError::InUse`] and [`LogError::NewerFormat`] before anything is done;
/// [`LogError::NothingToRecover`] if there is no file to look at; and what the file
/// system says. `dir` is as it was in every case.
pub fn recover(dir: &Path, into: &Path, now: Time) -> Result<Recovery, LogError> {
    recover_known(dir, into, &|_| 0, now)
}

/// How many events there were at least, as is known from elsewhere. It is shown the keys that
/// the log's own events say it signs with, as far as they were found whole.
pub type Known<'k> = &'k dyn Fn(&[String]) -> u64;

/// The same where it is known from elsewhere that there were `known` events or more: those
/// that are missing at the end count as lost, and nothing else gets their numbers.
///
/// # Errors
/// As [`recover`].
pub fn recover_known(dir: &Path, into: &Path, known: Known<'_>, now: Time) -> Result<Recovery, LogError> {
    let _held = folder::hold_for_reading(dir)?;
    if into.exists() {
        return Err(LogError::InTheWay { path: into.to_owned() });
    }
    recover_held(dir, into, known, now)
}

/// The same for who holds the folder.
fn recover_held(dir: &Path, into: &Path, known: Known<'_>, now: Time) -> Result<Recovery, LogError> {
    let db = dir.join("db");
    if !db.is_file() {
        return Err(LogError::NothingToRecover { path: dir.to_owned() });
    }
    let raw = RawFile::open(dir)?;
    let finds = scan::scan(&raw)?;
    let work = begin(into)?;
    let known = known(&finds.keys);
    let farthest = finds.events.last_key_value().map_or(0, |((seq, _), _)| *seq);
    let (mut head, mut reasons) = (known, Vec::new());
    for (way, name) in [(Way::Opened, "first"), (Way::OpenedWithoutSnapshots, "second")] {
        if way == Way::OpenedWithoutSnapshots && !folder::has_snapshots(dir)? {
            continue;
        }
        let copied = work.join(name);
        match copy::open(dir, &copied, way, raw.bytes)? {
            Opened::Sound(found) if found.head >= farthest && found.head >= known => {
                finish(dir, &copied, into, &work)?;
                return Ok(Recovery::opened(dir, into, way, &found, reasons));
            }
            Opened::Sound(found) => {
                head = head.max(found.head);
                let what = if found.head < farthest { "others lie past it" } else { "there were more" };
                reasons.push(format!("it opens up to event {}, and {what}", found.head));
            }
            Opened::Damaged { head: found, why } => {
                head = head.max(found);
                reasons.push(why);
            }
        }
    }
    let fresh = work.join("third");
    let chosen = choose::choose(&raw, &finds)?;
    let rebuilt = rebuild::rebuild(&fresh, &raw, &finds, chosen, head, now)?;
    finish(dir, &fresh, into, &work)?;
    Ok(Recovery::salvaged(dir, into, rebuilt, reasons))
}

/// The folder in which a new log is made until it is finished.
fn begin(into: &Path) -> Result<PathBuf, LogError> {
    let mut name = into.as_os_str().to_owned();
    name.push(".unfinished");
    let work = PathBuf::from(name);
    if work.exists() {
        fs::remove_dir_all(&work).map_err(io("clear away", &work))?;
    }
    fs::create_dir_all(&work).map_err(io("make the folder", &work))?;
    Ok(work)
}

/// Gives the new log what lies beside the storage in the damaged folder, and its name.
fn finish(dir: &Path, made: &Path, into: &Path, work: &Path) -> Result<(), LogError> {
    copy::beside(dir, made)?;
    folder::sync(&made.join("format"))?;
    folder::sync(made)?;
    fs::rename(made, into).map_err(io("rename", made))?;
    folder::sync_parent(into)?;
    fs::remove_dir_all(work).map_err(io("clear away", work))
}

/// Puts a recovered log in the place of the damaged one, which is kept beside it.
/// Answers where.
///
/// # Errors
/// What the file system says.
pub fn replace(dir: &Path, recovered: &Path, now: Time) -> Result<PathBuf, LogError> {
    let mut name = dir.as_os_str().to_owned();
    name.push(format!(".damaged-{}", now.to_chrono().format("%Y%m%dT%H%M%SZ")));
    let aside = PathBuf::from(name);
    if aside.exists() {
        return Err(LogError::InTheWay { path: aside });
    }
    // It may have been cut off between the two.
    if dir.exists() {
        fs::rename(dir, &aside).map_err(io("rename", dir))?;
    }
    fs::rename(recovered, dir).map_err(io("rename", recovered))?;
    folder::sync_parent(dir)?;
    Ok(aside)
}

/// Recovers a log and puts the new one in its place, with the damaged one held all the while.
/// Answers where that is kept. One that was cut off at any point is simply begun again.
///
/// # Errors
/// As [`recover`] and [`replace`].
pub fn recover_in_place(dir: &Path, known: Known<'_>, now: Time) -> Result<(Recovery, PathBuf), LogError> {
    let mut name = dir.as_os_str().to_owned();
    name.push(".replacing");
    let made = PathBuf::from(name);
    if !dir.exists() && made.exists() {
        return end_replacing(dir, &made);
    }
    let _held = folder::hold_for_reading(dir)?;
    if made.exists() {
        // Finished by one that was cut off after that: the log may have gone on since.
        fs::remove_dir_all(&made).map_err(io("clear away", &made))?;
    }
    let mut report = recover_held(dir, &made, known, now)?;
    let aside = replace(dir, &made, now)?;
    (report.from, report.into) = (aside.clone(), dir.to_owned());
    Ok((report, aside))
}

/// The damaged folder was put aside, and the new one not in its place yet.
fn end_replacing(dir: &Path, made: &Path) -> Result<(Recovery, PathBuf), LogError> {
    fs::rename(made, dir).map_err(io("rename", made))?;
    folder::sync_parent(dir)?;
    let aside = newest_aside(dir)?;
    let log = Log::open(dir, crate::log::Options::default())?;
    let found = Held::of(&log);
    log.close()?;
    match found {
        Opened::Sound(found) => {
            let reasons = vec!["a recovery that was cut off had made it, and it is in place now".to_owned()];
            Ok((Recovery::opened(&aside, dir, Way::Opened, &found, reasons), aside))
        }
        Opened::Damaged { why, .. } => Err(LogError::Corrupt { path: dir.to_owned(), why }),
    }
}

/// The folder that was put aside last; the names are in order of time.
fn newest_aside(dir: &Path) -> Result<PathBuf, LogError> {
    let parent = dir.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let begins = format!("{}.damaged-", dir.file_name().unwrap_or_default().to_string_lossy());
    let names = fs::read_dir(parent).map_err(io("read the folder", parent))?.flatten();
    let ours = names
        .map(|entry| entry.path())
        .filter(|path| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(&begins)));
    Ok(ours.max().unwrap_or_else(|| dir.to_owned()))
}

/// What a log that opened holds.
#[derive(Debug)]
pub(crate) struct Held {
    head: u64,
    records: u64,
    events: u64,
    lost: Vec<crate::hole::Lost>,
    archived: Vec<crate::archived::Archived>,
}

impl Held {
    /// Of a log that is sound; otherwise how far it goes, and what is wrong.
    fn of(log: &Log) -> Opened {
        let head = log.head();
        if let Some(why) = log.stats().poisoned {
            return Opened::Damaged { head, why: why.to_string() };
        }
        match log.verify(|_| {}) {
            Ok(VerifyReport { first_bad: Some(bad), .. }) => Opened::Damaged { head, why: bad.to_string() },
            Ok(VerifyReport { events, records, lost, archived, .. }) => {
                Opened::Sound(Self { head, records, events, lost, archived })
            }
            Err(why) => Opened::Damaged { head, why: why.in_one_line() },
        }
    }
}
