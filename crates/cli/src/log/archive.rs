//! `log archive`: the oldest events in a file of their own, read back and verified; and with
//! somebody's approval they leave the log.
//!
//! What never happens here: an archive under its name that was not verified, or one written over.

use crate::args::ArchiveArgs;
use crate::audit::{Out, export_into};
use crate::exit::{Exit, Failure, in_one_line};
use crate::screen::{Screen, Tone};
use crate::source::{Source, failure};
use crate::words::{count, grouped};
use hms_sync_audit::{Auditor, Hashed, Range, Scope};
use hms_sync_management::{Dropped, ExportAsk};
use hms_sync_model::Digest;
use serde::Serialize;
use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};

/// What the command says in JSON.
#[derive(Debug, Serialize)]
struct Answer {
    archive: PathBuf,
    first: u64,
    last: u64,
    hash: String,
    dropped: Option<Dropped>,
}

fn failed(what: impl Into<String>) -> Failure {
    Failure::new(Exit::Failed, what.into())
}

pub(crate) async fn archive(screen: Screen, file: &Path, options: &ArchiveArgs) -> Result<(), Failure> {
    let source = Source::with_notary(file).await?;
    if options.drop && matches!(source, Source::Running(_)) {
        return Err(failed("the sync is running, and events are dropped only while it is stopped")
            .hint("stop it first; without --drop the archive alone is made"));
    }
    let (path, found) = write(&source, options).await?;
    let Found { range, hash } = found;
    let dropped = match &source {
        Source::Stopped(desk) if options.drop => {
            let by = options.approved_by.as_deref().unwrap_or_default();
            let reason = options.reason.as_deref().unwrap_or_default();
            Some(desk.drop_archived(&path, by, reason).await.map_err(failure)?)
        }
        Source::Stopped(_) | Source::Running(_) => None,
    };
    if options.json {
        let Range { first, last } = range;
        return screen.json(&Answer { archive: path, first, last, hash, dropped });
    }
    tell(screen, &path, range, &hash, dropped.as_ref());
    Ok(())
}

/// Writes the archive, and gives it its name once it was read back and is whole.
async fn write(source: &Source, options: &ArchiveArgs) -> Result<(PathBuf, Found), Failure> {
    let io = |doing: &str, path: &Path, why: std::io::Error| {
        failed(format!("cannot {doing} {}: {why}", path.display()))
    };
    std::fs::create_dir_all(&options.into).map_err(|why| io("make", &options.into, why))?;
    let ask = ExportAsk { before: options.before.clone(), until: options.until, ..ExportAsk::default() };
    let whole = options.into.join("archive.unfinished");
    // Left of one that was cut off.
    if whole.exists() {
        std::fs::remove_file(&whole).map_err(|why| io("clear away", &whole, why))?;
    }
    export_into(source, &ask, Out::open(Some(&whole))?).await?;
    let status = match source {
        Source::Stopped(desk) => desk.audit_status(),
        Source::Running(_) => source.status().await?.audit,
    };
    let keys = status.map(|status| status.keys).unwrap_or_default();
    let found = read_back(&whole, &keys)?;
    let path = options.into.join(format!("events-{}-{}.jsonl", found.range.first, found.range.last));
    if path.exists() {
        // Of a run that was cut off before the drop, or without one.
        let there = read_back(&path, &keys)?;
        std::fs::remove_file(&whole).map_err(|why| io("remove", &whole, why))?;
        return Ok((path, there));
    }
    std::fs::rename(&whole, &path).map_err(|why| io("rename", &whole, why))?;
    let folder = &options.into;
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(|why| io("sync", folder, why))?;
    Ok((path, found))
}

/// What an archive was found to be.
struct Found {
    range: Range,
    /// Of the file, in hexadecimal.
    hash: String,
}

/// `keys` are all that the log has signed with under its origin: an archive that was made before
/// a key was changed is as good as one of today.
fn read_back(path: &Path, keys: &[String]) -> Result<Found, Failure> {
    let name = path.display();
    let mut auditor = Auditor::new();
    keys.iter().filter_map(|key| key.parse().ok()).for_each(|key| auditor.key(key));
    let file = File::open(path).map_err(|why| failed(format!("{name} cannot be read back: {why}")))?;
    let mut input = BufReader::new(Hashed::new(file));
    let report = auditor.verify(&mut input, |_| {});
    let report = report.map_err(|why| failed(format!("{name} is not whole: {}", in_one_line(&why))))?;
    let Scope::Range(range) = report.scope else {
        return Err(failed(format!("{name} is no archive")));
    };
    Ok(Found { range, hash: Digest(input.get_ref().hash()).to_string() })
}

fn tell(screen: Screen, path: &Path, range: Range, hash: &str, dropped: Option<&Dropped>) {
    let events = count(range.last.saturating_sub(range.first).saturating_add(1), "event", "events");
    screen.out(&format!(
        "{} {events}, {} to {}, in {}, read back and verified",
        screen.paint(Tone::Good, "archived"),
        range.first,
        range.last,
        path.display()
    ));
    screen.out(&format!("BLAKE3 {hash}"));
    match dropped {
        None => screen.out("the log still holds them; --drop removes them from it"),
        Some(dropped) => {
            screen.out(&format!(
                "{} them from the log: {} stand in their place, and every proof goes on",
                screen.paint(Tone::Warn, "dropped"),
                count(dropped.records, "event", "events")
            ));
            screen.out(&format!(
                "it takes {} bytes on disk; `hms-sync log FILE compact` makes a copy in less room",
                grouped(dropped.bytes)
            ));
        }
    }
}
