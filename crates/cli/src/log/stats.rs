//! `log stats`: how much the change log holds.

use crate::exit::Failure;
use crate::screen::{Screen, Tone};
use crate::source::Source;
use crate::words::{count, grouped};
use hms_sync_management::one_line;
use std::path::Path;

pub(crate) async fn stats(screen: Screen, file: &Path, json: bool) -> Result<(), Failure> {
    let found = Source::open(file).await?.log_stats().await?;
    if json {
        return screen.json(&found);
    }
    screen.out(&format!(
        "{} in {} bytes on disk",
        count(found.events, "event", "events"),
        grouped(found.bytes)
    ));
    if let Some(why) = &found.poisoned {
        screen.out(&screen.paint(Tone::Bad, &format!("takes no more writes: {}", one_line(why))));
    }
    Ok(())
}
