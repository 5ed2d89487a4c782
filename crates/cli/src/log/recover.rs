//! `log recover`: a new change log of everything that is whole in a damaged one, and
//! what could not be kept. It decides nothing: what is kept is the change log's matter.

use crate::args::RecoverArgs;
use crate::exit::{Exit, Failure};
use crate::library;
use crate::screen::{Screen, Tone};
use crate::words::count;
use chrono::Utc;
use hms_sync_changelog::{Archived, Lost, Recovery, Way, recover_in_place, recover_known, replace};
use hms_sync_management::one_line;
use hms_sync_model::Time;
use hms_sync_notary::{LastSigned, last_signed};
use serde_json::{Value as Json, json};
use std::cell::RefCell;
use std::path::{Path, PathBuf};

/// Ranges and records that are named for people; JSON has all.
const SHOWN_MAX: usize = 20;

pub(crate) async fn recover_log(screen: Screen, file: &Path, options: &RecoverArgs) -> Result<(), Failure> {
    let dir = library::load(file)?.data_dir;
    let into = options.into.clone();
    let (and_replace, json) = (options.replace, options.json);
    let work = move || work(&dir, into.as_deref(), and_replace);
    let Made { report, kept_in, doubt } = tokio::task::spawn_blocking(work)
        .await
        .map_err(|why| Failure::new(Exit::Failed, format!("the recovery was cut off: {why}")))??;
    if json {
        screen.json(&as_json(&report, kept_in.as_deref(), doubt.as_deref()))?;
    } else {
        tell(screen, &report, kept_in.as_deref(), doubt.as_deref());
    }
    let lost = report.events_lost();
    if lost == 0 {
        return Ok(());
    }
    let error = format!("{} could not be recovered", count(lost, "event", "events"));
    Err(Failure::new(Exit::Failed, error).hint(
        "what the sides hold is read again when the sync runs; records that lack events wait until a person looks at them",
    ))
}

/// `data.recovered` beside `data`.
fn beside(dir: &Path) -> PathBuf {
    let mut name = dir.as_os_str().to_owned();
    name.push(".recovered");
    PathBuf::from(name)
}

/// What came of it.
struct Made {
    report: Recovery,
    kept_in: Option<PathBuf>,
    /// Why the last checkpoint was not taken at its word.
    doubt: Option<String>,
}

fn work(dir: &Path, into: Option<&Path>, and_replace: bool) -> Result<Made, Failure> {
    let failed = |why| library::store_failure(&why, None);
    let now = Time::from_chrono(Utc::now());
    let doubt = RefCell::new(None);
    // How far the log went at least: a checkpoint says so that the log itself has signed.
    let known = |keys: &[String]| {
        let LastSigned { size, doubt: why } = last_signed(dir, keys);
        doubt.replace(why);
        size
    };
    let (report, kept_in) = if and_replace && into.is_none() {
        let (report, kept_in) = recover_in_place(dir, &known, now).map_err(failed)?;
        (report, Some(kept_in))
    } else {
        let into = into.map_or_else(|| beside(dir), Path::to_owned);
        let report = recover_known(dir, &into, &known, now).map_err(failed)?;
        let kept_in = if and_replace { Some(replace(dir, &into, now).map_err(failed)?) } else { None };
        (report, kept_in)
    };
    Ok(Made { report, kept_in, doubt: doubt.into_inner() })
}

fn as_json(report: &Recovery, kept_in: Option<&Path>, doubt: Option<&str>) -> Json {
    let range =
        |lost: &Lost| json!({"first": lost.first, "last": lost.last(), "found_missing": lost.at.to_string()});
    let broken = report.broken.iter().map(|broken| {
        json!({"record": broken.record.as_str(), "lost_after": broken.after, "goes_on_at": broken.before})
    });
    json!({
        "from": report.from,
        "into": report.into,
        "damaged_kept_in": kept_in,
        "way": report.way.word(),
        "reasons": report.reasons,
        "events": report.events,
        "records": report.records,
        "last": report.last,
        "events_lost": report.events_lost(),
        "lost": report.lost.iter().map(range).collect::<Vec<_>>(),
        "records_broken": broken.collect::<Vec<_>>(),
        "left_out": report.left_out,
        "archived": report.archived.iter().map(archived).collect::<Vec<_>>(),
        "archived_ids_missing": report.ids_missing,
        "checkpoint_not_believed": doubt,
    })
}

fn archived(range: &Archived) -> Json {
    json!({"first": range.first, "last": range.last, "file": range.file})
}

fn tell(screen: Screen, report: &Recovery, kept_in: Option<&Path>, doubt: Option<&str>) {
    for reason in &report.reasons {
        screen.out(&format!("it could not be taken as it is: {}", one_line(reason)));
    }
    let how = match report.way {
        Way::Opened => "it opens as it is",
        Way::OpenedWithoutSnapshots => "it opens without its snapshots",
        Way::Salvaged => "a new log was made of what is whole in it",
    };
    screen.out(&format!(
        "{} {how}: {} of {}, up to number {}",
        screen.paint(Tone::Good, "kept:"),
        count(report.events, "event", "events"),
        count(report.records, "record or stream", "records and streams"),
        report.last
    ));
    for range in &report.archived {
        let file = one_line(&range.file);
        screen.out(&format!("archived, and no loss: {} to {}, in {file}", range.first, range.last));
    }
    if report.ids_missing > 0 {
        let ids = count(report.ids_missing, "id", "ids");
        screen.out(&format!(
            "{} {ids} of archived events: the tree is another one than was signed; the archives are not concerned",
            screen.paint(Tone::Bad, "lost:")
        ));
    }
    tell_lost(screen, report);
    if let Some(why) = doubt {
        let why = one_line(why);
        screen.note(&format!(
            "the last checkpoint is not believed, so what is lost at the end may not be named: {why}"
        ));
    }
    screen.out(&match kept_in {
        Some(aside) => {
            format!("the new log is in use from now on; the damaged one is in {}", aside.display())
        }
        None => format!("the new log is in {}; the damaged one was not touched", report.into.display()),
    });
}

fn tell_lost(screen: Screen, report: &Recovery) {
    let more = |count: usize| {
        if count > SHOWN_MAX { format!(", and {} more", count - SHOWN_MAX) } else { String::new() }
    };
    if !report.lost.is_empty() {
        let ranges: Vec<String> = report.lost.iter().take(SHOWN_MAX).map(range).collect();
        let lost = count(report.events_lost(), "event", "events");
        let word = screen.paint(Tone::Bad, "lost:");
        screen.out(&format!("{word} {lost}: {}{}", ranges.join(", "), more(report.lost.len())));
    }
    for broken in report.broken.iter().take(SHOWN_MAX) {
        let (after, before) = (broken.after.saturating_add(1), broken.before.saturating_sub(1));
        screen.out(&format!("  {} lacks {}", broken.record, versions(after, before)));
    }
    if report.broken.len() > SHOWN_MAX {
        screen.out(&format!("  and {} records more", report.broken.len() - SHOWN_MAX));
    }
    if !report.left_out.is_empty() {
        let left = count(report.left_out.len() as u64, "number", "numbers");
        screen
            .out(&format!("{left} stood only for events of a history that was given up; they count as lost"));
    }
}

fn range(lost: &Lost) -> String {
    if lost.count == 1 { lost.first.to_string() } else { format!("{} to {}", lost.first, lost.last()) }
}

fn versions(first: u64, last: u64) -> String {
    if first == last { format!("version {first}") } else { format!("versions {first} to {last}") }
}
