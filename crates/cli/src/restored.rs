//! `run --restored`: the first run on a change log that was put back from a backup. Every side
//! is read in full, nothing is written, and what would be is shown.

use crate::exit::Failure;
use crate::library;
use crate::screen::{Screen, Tone};
use crate::words::value;
use hms_sync_config::Config;
use hms_sync_engine::{Engine, EngineError, PendingWrite, Status};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// Writes that are shown one by one, at most.
const SHOWN_MAX: usize = 50;
/// How often it is asked whether all is read.
const ASK_EVERY: Duration = Duration::from_millis(100);
/// How long a side that cannot be read is waited for.
const PATIENCE: Duration = Duration::from_mins(2);

/// Reads everything once. Answers when it is shown what a run would write.
pub(crate) async fn preview(screen: Screen, config: Config) -> Result<(), Failure> {
    let running = library::start_restored(config).await?;
    let read = read_all(screen, running.engine()).await;
    let found = running.engine().look(|machine| machine.pending_writes(SHOWN_MAX)).await;
    running.stop().await.map_err(|why| library::start_failure(&why))?;
    let (counts, shown) = found.and_then(|found| found).map_err(|why| library::engine_failure(&why))?;
    read.map_err(|why| library::engine_failure(&why))?;
    show(screen, &counts, &shown);
    Ok(())
}

/// Waits until every collection has been read in full and nothing is being read any more.
async fn read_all(screen: Screen, engine: &Engine) -> Result<(), EngineError> {
    let began = Instant::now();
    loop {
        let status = engine.look(hms_sync_engine::Machine::status).await??;
        let waits = unread(&status);
        if waits.is_empty() && status.sides.iter().all(|side| side.in_flight == 0 && side.ready == 0) {
            return Ok(());
        }
        if began.elapsed() > PATIENCE {
            for what in &waits {
                screen.note(&screen.paint(Tone::Warn, &format!("not read: {what}")));
            }
            return Ok(());
        }
        tokio::time::sleep(ASK_EVERY).await;
    }
}

fn unread(status: &Status) -> Vec<String> {
    let of_side = |side: &hms_sync_engine::SideStatus| {
        let open = side.collections.iter().filter(|of| !of.listed);
        let name = side.side.clone();
        open.map(move |of| {
            let why = of.trouble.as_ref().map_or_else(String::new, |why| format!(": {why}"));
            format!("{name} {}{why}", of.collection)
        })
        .collect::<Vec<_>>()
    };
    status.sides.iter().flat_map(of_side).collect()
}

fn show(screen: Screen, counts: &BTreeMap<(String, &'static str), usize>, shown: &[PendingWrite]) {
    if counts.is_empty() {
        screen.out("nothing would be written: the sides agree");
    }
    for ((side, operation), count) in counts {
        let head = screen.paint(Tone::Head, side);
        screen.out(&format!("{head}: {operation} {count}"));
    }
    let row = |of: &PendingWrite| {
        let all: Vec<String> = of.fields.iter().map(|(f, v)| format!("{f}={}", value(v))).collect();
        vec![
            (Tone::Head, of.title.clone()),
            (Tone::Plain, of.side.clone()),
            (Tone::Plain, of.operation.to_owned()),
            (Tone::Plain, all.join(" ")),
            (Tone::Faint, of.record.clone()),
        ]
    };
    if !shown.is_empty() {
        screen.table(&["record", "side", "write", "fields", "id"], shown.iter().map(row).collect());
    }
    screen.note(
        "nothing was written; `hms-sync run FILE` does what is shown, `conflicts` and `unlink` come first",
    );
}
