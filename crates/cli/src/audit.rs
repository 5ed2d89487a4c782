//! `audit`: whether the change log is what was written.

use crate::args::{AuditAction, AuditArgs};
use crate::exit::{Exit, Failure};
use crate::screen::{Screen, Tone};
use crate::source;
use crate::words::count;
use hms_sync_management::one_line;

pub(crate) async fn audit(screen: Screen, options: &AuditArgs) -> Result<(), Failure> {
    let AuditAction::Verify { json } = options.action;
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
        for lost in &found.lost {
            let events = count(lost.last.saturating_sub(lost.first).saturating_add(1), "event", "events");
            let (first, last, at) = (lost.first, lost.last, &lost.found);
            screen
                .out(&format!("but for {events} lost in a recovery of {}: {first} to {last}", one_line(at)));
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
    .hint("`hms-sync log FILE recover` makes a new log of every event that is whole"))
}
