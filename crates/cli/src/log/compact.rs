//! `log compact`: a copy of the change log in less room. The log itself is left as it is.

use crate::exit::{Exit, Failure};
use crate::library;
use crate::screen::{Screen, Tone};
use crate::words::{count, grouped};
use hms_sync_changelog::Options;
use serde::Serialize;
use std::path::{Path, PathBuf};

/// What the command says in JSON.
#[derive(Debug, Serialize)]
struct Answer {
    into: PathBuf,
    events: u64,
    bytes_before: u64,
    bytes_after: u64,
}

pub(crate) async fn compact(screen: Screen, file: &Path, into: &Path, json: bool) -> Result<(), Failure> {
    let config = library::load(file)?;
    let log = library::open_log(&config, None)?;
    let dir = into.to_owned();
    let made = tokio::task::spawn_blocking(move || log.compact_into(&dir, Options::default())).await;
    let made = made.map_err(|why| Failure::new(Exit::Failed, format!("the copy was cut off: {why}")))?;
    let made = made.map_err(|why| library::store_failure(&why, None))?;
    let into = into.to_owned();
    if json {
        let (bytes_before, bytes_after) = (made.bytes_before, made.bytes_after);
        return screen.json(&Answer { into, events: made.events, bytes_before, bytes_after });
    }
    screen.out(&format!(
        "{} {} in {}, each verified: {} bytes, {} before",
        screen.paint(Tone::Good, "copied"),
        count(made.events, "event", "events"),
        into.display(),
        grouped(made.bytes_after),
        grouped(made.bytes_before),
    ));
    screen.out(&format!(
        "to use it, while the sync is stopped: move conf, db, journal.* and snap.* out of {}, and those of the copy in",
        config.data_dir.display()
    ));
    Ok(())
}
