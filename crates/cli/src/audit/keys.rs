//! The log's key and its checkpoints: shown, signed, changed.

use crate::exit::{Exit, Failure};
use crate::screen::{Screen, Tone};
use crate::source::Source;
use crate::words::count;
use hms_sync_management::one_line;
use hms_sync_notary::NotaryStatus;
use std::path::Path;

/// Signs the log as it is, and shows the note.
pub(super) async fn checkpoint(screen: Screen, file: &Path, json: bool) -> Result<(), Failure> {
    let signed = Source::with_notary(file).await?.checkpoint().await?;
    if json {
        return screen.json(&signed);
    }
    screen.out(signed.note.trim_end_matches('\n'));
    screen.note(&format!(
        "signed {}; keep it where nobody who has the log can change it",
        count(signed.size, "event", "events")
    ));
    Ok(())
}

/// The key to hand out.
pub(super) async fn key(screen: Screen, file: &Path, json: bool) -> Result<(), Failure> {
    let status = Source::open(file).await?.status().await?.audit;
    let none = || {
        Failure::new(Exit::Failed, "the log has no key yet")
            .hint("it is made when the sync starts: `hms-sync run FILE`")
    };
    let status = status.ok_or_else(none)?;
    if json {
        return screen.json(&status);
    }
    screen.out(status.key.as_ref().ok_or_else(none)?);
    for line in lines(screen, &status) {
        screen.note(&line);
    }
    Ok(())
}

/// How it stands with checkpoints, a line each.
pub(crate) fn lines(screen: Screen, status: &NotaryStatus) -> Vec<String> {
    let mut lines = Vec::new();
    if let (Some(size), Some(at)) = (status.size, &status.at) {
        let ago = crate::words::ago(at, chrono::Utc::now());
        lines.push(format!("last checkpoint: {}, {ago}", count(size, "event", "events")));
    }
    if let Some(why) = &status.trouble {
        lines.push(format!("{} {}", screen.paint(Tone::Bad, "no checkpoint is signed:"), one_line(why)));
    }
    for witness in &status.witnesses {
        let size =
            witness.size.map_or_else(|| "nothing yet".to_owned(), |size| count(size, "event", "events"));
        let trouble = witness.trouble.as_ref().map_or_else(String::new, |why| format!("; {}", one_line(why)));
        lines.push(format!("witness {}: {size}{trouble}", one_line(&witness.name)));
    }
    lines
}

/// Another key.
pub(super) async fn rotate(screen: Screen, file: &Path, reason: &str) -> Result<(), Failure> {
    let status = Source::with_notary(file).await?.rotate_key(reason).await?;
    changed(screen, &status);
    Ok(())
}

/// Another origin.
pub(super) async fn new_origin(
    screen: Screen,
    file: &Path,
    origin: Option<&str>,
    reason: &str,
) -> Result<(), Failure> {
    let status = Source::with_notary(file).await?.new_origin(origin, reason).await?;
    changed(screen, &status);
    Ok(())
}

fn changed(screen: Screen, status: &NotaryStatus) {
    screen.out(status.key.as_deref().unwrap_or_default());
    screen.note("this key signs from here on, and the log says so: hand it to those who check");
}
