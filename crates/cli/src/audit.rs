//! `audit`: whether the change log is what was written, and what is taken out of it.

use crate::args::{AuditAction, AuditArgs, EraseArgs};
use crate::exit::{Exit, Failure};
use crate::screen::{Screen, Tone};
use crate::source::{self, Source};
use crate::words::count;
use hms_sync_management::one_line;

pub(crate) async fn audit(screen: Screen, options: &AuditArgs) -> Result<(), Failure> {
    match &options.action {
        AuditAction::Verify { json } => verify(screen, options, *json).await,
        AuditAction::Erase(erase) => self::erase(screen, options, erase).await,
    }
}

/// Takes no word back: whoever asks has said which record, and why.
async fn erase(screen: Screen, options: &AuditArgs, erase: &EraseArgs) -> Result<(), Failure> {
    let source = Source::open(&options.file).await?;
    let done = source.erase(&erase.record, &erase.by, &erase.reason).await?;
    if erase.json {
        return screen.json(&done);
    }
    let fields: Vec<String> = done.fields.iter().map(|field| one_line(field)).collect();
    screen.out(&format!(
        "{} {} of {}: their key is destroyed, and they are closed",
        screen.paint(Tone::Good, "erased:"),
        fields.join(", "),
        one_line(&done.title)
    ));
    screen.out("the sides keep what they hold: have it erased there, too");
    Ok(())
}

async fn verify(screen: Screen, options: &AuditArgs, json: bool) -> Result<(), Failure> {
    let found = source::verify(&options.file).await?;
    if json {
        screen.json(&found)?;
    } else if found.sound {
        let (events, records) =
            (count(found.events, "event", "events"), count(found.records, "record", "records and streams"));
        screen.out(&format!(
            "{} {events} of {records}, each as it was written",
            screen.paint(Tone::Good, "sound:")
        ));
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
