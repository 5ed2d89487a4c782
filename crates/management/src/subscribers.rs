//! Who is only told: telling it again what it took, and that it wants no more or wants it again.

use crate::answers::{Subscribe, Subscribed, TellAgain};
use crate::desk::{Desk, beside};
use crate::error::DeskError;
use crate::offline::now;
use crate::when::Moment;
use hms_sync_changelog::Log;
use hms_sync_engine::{Command, EngineError, events_at};
use hms_sync_model::{SideName, Time};

/// The longest reason, in characters.
const REASON_MAX: usize = 500;
/// The longest name of who asks.
const BY_MAX: usize = 100;
/// The shortest beginning of an event's id that is looked for.
const ID_MIN: usize = 8;
/// Events read at once while one is looked for.
const STRETCH_EVENTS: u64 = 1_024;

impl Desk {
    /// Begins to send again what a subscriber took since a time, or after an event.
    pub async fn tell_again(&self, asked: &TellAgain) -> Result<Subscribed, DeskError> {
        let side = side_called(&asked.side)?;
        let (log, wanted) = (self.log()?, asked.clone());
        let after = beside(move || first_of(&log, &wanted)).await?;
        let command = Command::Retell { side: side.clone(), after };
        self.command(command).await?;
        let words = format!("what {side} took after event {after} is sent again; `status` shows how far");
        Ok(Subscribed { side: side.to_string(), words })
    }

    /// Has nothing more sent to a subscriber, or again.
    pub async fn subscribe(&self, asked: &Subscribe, wanted: bool) -> Result<Subscribed, DeskError> {
        for (what, text, max) in
            [("reason", &asked.reason, REASON_MAX), ("name of who asks", &asked.by, BY_MAX)]
        {
            if text.trim().is_empty() || text.chars().count() > max {
                return Err(DeskError::Invalid {
                    why: format!("this needs a {what}, of {max} characters at most"),
                    hint: "it stands in the log for good".to_owned(),
                });
            }
        }
        let side = side_called(&asked.side)?;
        let (by, reason) = (asked.by.trim().to_owned(), asked.reason.trim().to_owned());
        let command = Command::Subscribe { side: side.clone(), wanted, by, reason };
        self.command(command).await?;
        let words = if wanted { "is told how everything stands" } else { "is told nothing more" };
        Ok(Subscribed { side: side.to_string(), words: format!("{side} {words}") })
    }
}

/// The number of the last event that is not told again.
fn first_of(log: &Log, asked: &TellAgain) -> Result<u64, DeskError> {
    match (&asked.since, &asked.after) {
        (Some(since), None) => {
            let at = Moment::parse(since, now().wall).map_err(|why| DeskError::Invalid {
                why: why.to_string(),
                hint: "as in `--since \"2 h ago\"`".to_owned(),
            })?;
            Ok(events_at(log, Time(at.first.0.saturating_sub(1)))?)
        }
        (None, Some(event)) => event_called(log, event),
        _ => Err(DeskError::Invalid {
            why: "say from when on: either a time (`since`) or an event (`after`)".to_owned(),
            hint: "an event goes by its number, its id, or the `webhook-id` that its message had".to_owned(),
        }),
    }
}

/// The number of an event that goes by its number, or by its id or the beginning of that.
fn event_called(log: &Log, name: &str) -> Result<u64, DeskError> {
    if let Ok(seq) = name.parse::<u64>()
        && name.len() < ID_MIN
    {
        return Ok(seq);
    }
    let unknown = |why: String| DeskError::Invalid {
        why,
        hint: "an event goes by its number, its id, or the `webhook-id` that its message had".to_owned(),
    };
    if name.len() < ID_MIN || !name.bytes().all(|b| b.is_ascii_hexdigit()) {
        return Err(unknown(format!("{:?} is no event", name.chars().take(40).collect::<String>())));
    }
    let (name, mut high) = (name.to_ascii_lowercase(), log.head());
    while high > 0 {
        let low = high.saturating_sub(STRETCH_EVENTS - 1).max(1);
        let found = log.events_within(low, high, usize::MAX).map_err(EngineError::from)?;
        if let Some((_, event)) = found.iter().rev().find(|(id, _)| id.to_string().starts_with(&name)) {
            return Ok(event.seq);
        }
        high = low - 1;
    }
    Err(unknown(format!("no event of the log has the id {name}")))
}

fn side_called(name: &str) -> Result<SideName, DeskError> {
    SideName::try_new(name).map_err(|why| DeskError::Invalid {
        why: why.to_string(),
        hint: "`hms-sync status FILE` shows the sides".into(),
    })
}
