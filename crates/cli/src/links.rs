//! `unlink`, `relink`, `join`: a person's word about which native record is whose.

use crate::exit::Failure;
use crate::record::title;
use crate::screen::{Screen, Tone};
use crate::source::Source;
use crate::words::value;
use clap::Args;
use hms_sync_management::{Chosen, Join, Relink, RelinkPreview, Running, Unlink, one_line};
use std::path::PathBuf;

/// Who says so, and how they are answered.
#[derive(Debug, Args)]
pub(crate) struct WhoArgs {
    /// Who says so
    #[arg(long, env = "USER", default_value = "an operator", hide_env_values = true)]
    pub(crate) by: String,
    /// Answer in JSON
    #[arg(long)]
    pub(crate) json: bool,
}

/// Who says so, and why.
#[derive(Debug, Args)]
pub(crate) struct SayArgs {
    /// Why: it stands in the log for good
    #[arg(long)]
    pub(crate) reason: String,
    #[command(flatten)]
    pub(crate) who: WhoArgs,
}

#[derive(Debug, Args)]
pub(crate) struct UnlinkArgs {
    /// The configuration
    pub(crate) file: PathBuf,
    /// The record
    pub(crate) record: String,
    /// The side
    pub(crate) side: String,
    #[command(flatten)]
    pub(crate) say: SayArgs,
}

#[derive(Debug, Args)]
pub(crate) struct RelinkArgs {
    /// The configuration
    pub(crate) file: PathBuf,
    /// The record
    pub(crate) record: String,
    /// The side
    pub(crate) side: String,
    /// The side's id [default: the one that was unlinked last; if there is none, what is found there by
    /// its identity, or a new one]
    pub(crate) id: Option<String>,
    /// Only show in what the two differ
    #[arg(long)]
    pub(crate) preview: bool,
    /// Why: it stands in the log for good
    #[arg(long, required_unless_present = "preview")]
    pub(crate) reason: Option<String>,
    #[command(flatten)]
    pub(crate) who: WhoArgs,
}

#[derive(Debug, Args)]
pub(crate) struct JoinArgs {
    /// The configuration
    pub(crate) file: PathBuf,
    /// The record that ends
    pub(crate) record: String,
    /// The record that goes on
    pub(crate) into: String,
    #[command(flatten)]
    pub(crate) say: SayArgs,
}

pub(crate) async fn unlink(screen: Screen, asked: &UnlinkArgs) -> Result<(), Failure> {
    let source = Source::open(&asked.file).await?;
    let UnlinkArgs { record, side, say, .. } = asked;
    let (by, reason) = (say.who.by.clone(), say.reason.clone());
    let done = source.unlink(&Unlink { record: record.clone(), side: side.clone(), by, reason }).await?;
    tell(screen, &source, &done, say.who.json).await
}

pub(crate) async fn relink(screen: Screen, asked: &RelinkArgs) -> Result<(), Failure> {
    let source = Source::open(&asked.file).await?;
    let RelinkArgs { record, side, id, who, reason, .. } = asked;
    if asked.preview {
        let found = source.relink_preview(record, side, id.as_deref()).await?;
        if asked.who.json {
            return screen.json(&found);
        }
        show(screen, side, &found);
        return Ok(());
    }
    let relink = Relink {
        record: record.clone(),
        side: side.clone(),
        id: id.clone(),
        by: who.by.clone(),
        reason: reason.clone().unwrap_or_default(),
    };
    let done = source.relink(&relink).await?;
    tell(screen, &source, &done, asked.who.json).await
}

pub(crate) async fn join(screen: Screen, asked: &JoinArgs) -> Result<(), Failure> {
    let source = Source::open(&asked.file).await?;
    let JoinArgs { record, into, say, .. } = asked;
    let (by, reason) = (say.who.by.clone(), say.reason.clone());
    let done = source.join(&Join { record: record.clone(), into: into.clone(), by, reason }).await?;
    tell(screen, &source, &done, say.who.json).await
}

fn show(screen: Screen, side: &str, found: &RelinkPreview) {
    screen.out(&title(screen, &found.title, &found.record));
    match (&found.id, &found.now_of) {
        (None, _) => screen.out(&format!("with what is found on {side} by its identity, or made there")),
        (Some(id), None) => screen.out(&format!("with {side}'s {}, of which nothing is known", one_line(id))),
        (Some(id), Some(now)) => {
            screen.out(&format!("with {side}'s {}, which is {now} now; that one would end", one_line(id)));
            if found.differences.is_empty() {
                screen.out("they do not differ");
            }
        }
    }
    let row = |of: &hms_sync_management::LinkDifference| {
        vec![(Tone::Head, of.field.clone()), (Tone::Plain, value(&of.ours)), (Tone::Plain, value(&of.theirs))]
    };
    if !found.differences.is_empty() {
        screen.table(&["field", "record", side], found.differences.iter().map(row).collect());
        screen.note("each is decided by the field's rules, as between two who did not know of each other");
    }
}

async fn tell(screen: Screen, source: &Source, done: &Chosen, json: bool) -> Result<(), Failure> {
    if json {
        return screen.json(done);
    }
    let name = title(screen, &done.title, &done.record);
    screen.out(&format!("{name} v{}: {}", done.version, one_line(&done.words)));
    if source.status().await?.running == Running::Stopped {
        screen.out("it is brought to the sides when the sync runs");
    }
    Ok(())
}
