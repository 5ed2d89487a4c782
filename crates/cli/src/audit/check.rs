//! Verifying: of the change log by who has it, of an export by anybody, offline.

use crate::args::VerifyArgs;
use crate::exit::{Exit, Failure, in_one_line};
use crate::screen::{Screen, Tone};
use crate::source;
use crate::words::count;
use hms_sync_audit::{AuditError, Auditor, Report, Scope};
use hms_sync_management::one_line;
use hms_sync_proof::{SignatureType, TreeHead, Trust, VerifierKey};
use serde::Serialize;
use std::fs::File;
use std::io::{BufReader, Read};
use std::path::{Path, PathBuf};

/// The largest checkpoint file, in bytes, a little more than any note.
const NOTE_BYTES_MAX: u64 = 257 << 10;

/// Checkpoints from earlier: what each is called, and the note.
pub(super) fn notes(files: &[PathBuf]) -> Result<Vec<(String, Vec<u8>)>, Failure> {
    let read = |path: &PathBuf| {
        let mut bytes = Vec::new();
        let file = File::open(path).and_then(|file| file.take(NOTE_BYTES_MAX).read_to_end(&mut bytes));
        file.map_err(|why| Failure::new(Exit::Failed, format!("{} cannot be read: {why}", path.display())))?;
        Ok((path.display().to_string(), bytes))
    };
    files.iter().map(read).collect()
}

fn keys(texts: &[String], what: &str) -> Result<Vec<VerifierKey>, Failure> {
    let key = |text: &String| {
        text.trim().parse::<VerifierKey>().map_err(|why| {
            Failure::new(Exit::Failed, format!("{what} is no verifier key: {why}"))
                .hint("it looks like name+1a2b3c4d+AQ…: `hms-sync audit FILE key` shows the log's")
        })
    };
    texts.iter().map(key).collect()
}

#[derive(Serialize)]
struct Shown<'a> {
    sound: bool,
    report: Option<&'a Report>,
    not_proven: Vec<String>,
    problem: Option<String>,
}

/// Verifies an export.
pub(super) async fn export(screen: Screen, file: &Path, options: &VerifyArgs) -> Result<(), Failure> {
    let mut auditor = Auditor::new();
    keys(&options.key, "--key")?.into_iter().for_each(|key| auditor.key(key));
    keys(&options.witness, "--witness")?.into_iter().for_each(|key| auditor.witness(key));
    notes(&options.checkpoint)?.into_iter().for_each(|(label, note)| auditor.older(label, note));
    if let Some(record) = &options.record {
        auditor.whole_history_of(record);
    }
    let path = file.to_owned();
    let checked = tokio::task::spawn_blocking(move || {
        let input = File::open(&path).map_err(|source| AuditError::Read { source })?;
        auditor.verify(BufReader::with_capacity(256 << 10, input), |_| {})
    });
    let checked =
        checked.await.map_err(|why| Failure::new(Exit::Failed, format!("the check was cut off: {why}")))?;
    if options.json {
        let problem = checked.as_ref().err().map(|why| one_line(&in_one_line(why)));
        let report = checked.as_ref().ok();
        let not_proven = report.map(Report::not_proven).unwrap_or_default();
        screen.json(&Shown { sound: report.is_some(), report, not_proven, problem })?;
    }
    match checked {
        Ok(report) if !options.json => {
            told(screen, &report);
            Ok(())
        }
        Ok(_) => Ok(()),
        Err(AuditError::Bad(bad)) => {
            let hint = "the export was changed, or is not of this log: ask for another one, and keep this";
            Err(Failure::new(Exit::Failed, format!("not as it was written: {}", one_line(&bad.to_string())))
                .hint(hint))
        }
        Err(why) => Err(Failure::new(Exit::Failed, one_line(&in_one_line(&why)))),
    }
}

fn told(screen: Screen, report: &Report) {
    let entries = count(report.entries, "entry", "entries");
    let what = match &report.scope {
        Scope::Whole => format!("all {entries}"),
        Scope::Record(record) => format!("the whole history of {}, {entries}", one_line(record)),
        Scope::Range(range) => format!("the archive of events {} to {}, {entries}", range.first, range.last),
        Scope::Part(_) => format!("{entries}, a part of the log"),
    };
    let size = count(report.size, "entry", "entries");
    let origin = one_line(&report.origin);
    screen.out(&format!(
        "{} {what}, each in the tree of {origin} at {size}",
        screen.paint(Tone::Good, "sound:")
    ));
    for older in &report.older {
        screen.out(&format!("continues the checkpoint of {}", count(*older, "entry", "entries")));
    }
    for witness in &report.witnesses {
        screen.out(&format!("countersigned by {}", one_line(&witness.name)));
    }
    for open in report.not_proven() {
        screen.out(&format!("{} {}", screen.paint(Tone::Warn, "not proven:"), one_line(&open)));
    }
}

/// Heads of checkpoints from earlier, which the given keys signed.
fn heads(options: &VerifyArgs, keys: &[VerifierKey]) -> Result<Vec<TreeHead>, Failure> {
    let failed = |words: String| Failure::new(Exit::Failed, words);
    let older = notes(&options.checkpoint)?;
    let Some(first) = keys.first() else {
        return match older.first() {
            None => Ok(Vec::new()),
            Some(_) => Err(failed("a checkpoint says nothing without the key that signed it".to_owned())
                .hint("give the log's verifier key with --key")),
        };
    };
    // In the words that an export is checked with.
    if let Some(key) = keys.iter().find(|key| key.kind() != SignatureType::Ed25519) {
        return Err(failed(AuditError::WitnessKey { key: key.name().to_string() }.to_string()));
    }
    if let Some(other) = keys.iter().find(|key| key.name() != first.name()) {
        let (first, second) = (first.name().to_string(), other.name().to_string());
        return Err(failed(AuditError::TwoLogs { first, second }.to_string()));
    }
    let trust = Trust::new(first.name().as_str(), keys.iter().cloned(), []);
    let trust = trust.map_err(|why| failed(in_one_line(&why)))?;
    let open = |(label, note): (String, Vec<u8>)| match trust.open(&note) {
        Ok(opened) => Ok(*opened.checkpoint().head()),
        Err(source) => Err(failed(in_one_line(&AuditError::Older { label, source }))),
    };
    older.into_iter().map(open).collect()
}

/// That the log signs or has signed with each of these keys.
fn is_of(keys: &[VerifierKey], found: &[String]) -> Result<(), Failure> {
    let strange = keys.iter().find(|key| !found.contains(&key.to_string()));
    let Some(key) = strange else { return Ok(()) };
    let error =
        format!("the key that was given is of {:?}: this log has never signed with it", key.name().as_str());
    Err(Failure::new(Exit::Failed, error)
        .hint("this is another log, or somebody has put another one in its place; `history FILE @log/keys` shows its keys"))
}

/// Verifies the change log of a configuration.
pub(super) async fn store(screen: Screen, file: &Path, options: &VerifyArgs) -> Result<(), Failure> {
    if options.record.is_some() || !options.witness.is_empty() {
        return Err(Failure::new(Exit::Failed, "--record and --witness are for exports"));
    }
    let keys = keys(&options.key, "--key")?;
    let heads = heads(options, &keys)?;
    let given = heads.len();
    let found = source::verify(file, heads).await?;
    is_of(&keys, &found.keys)?;
    if options.json {
        screen.json(&found)?;
    } else if found.sound {
        let (events, records) =
            (count(found.events, "event", "events"), count(found.records, "record", "records and streams"));
        screen.out(&format!(
            "{} {events} of {records}, each as it was written",
            screen.paint(Tone::Good, "sound:")
        ));
        for lost in &found.lost {
            let events = count(lost.last.saturating_sub(lost.first).saturating_add(1), "event", "events");
            let (first, last, at) = (lost.first, lost.last, one_line(&lost.found));
            screen.out(&format!("but for {events} lost in a recovery of {at}: {first} to {last}"));
        }
        for archived in &found.archived {
            let events =
                count(archived.last.saturating_sub(archived.first).saturating_add(1), "event", "events");
            let (first, last, file) = (archived.first, archived.last, one_line(&archived.file));
            screen.out(&format!(
                "and {events} archived in {file}: {first} to {last}, of which the log has the ids (BLAKE3 of the file {})",
                archived.hash
            ));
        }
        if found.recorded > 0 {
            let recorded = count(found.recorded, "checkpoint", "checkpoints");
            screen.out(&format!("continues {recorded} on record"));
        }
        if given == 0 {
            screen.out(&format!(
                "{} that this is the history which others were shown: give an older checkpoint of theirs",
                screen.paint(Tone::Warn, "not proven:")
            ));
        } else {
            screen.out(&format!(
                "continues {} from elsewhere",
                count(given as u64, "checkpoint", "checkpoints")
            ));
        }
    }
    if found.sound {
        return Ok(());
    }
    let problem = found.problem.unwrap_or_else(|| "it cannot be said where".to_owned());
    let sound = count(found.events, "event before it is", "events before it are");
    Err(Failure::new(
        Exit::Store,
        format!("the change log is damaged: {}; {sound} sound", one_line(&problem)),
    )
    .hint("keep a copy of the folder; the sides hold what they hold, and a new log can be made from them"))
}
