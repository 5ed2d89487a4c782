//! `log stats`: how much the change log holds.

use crate::exit::Failure;
use crate::screen::{Screen, Tone};
use crate::source;
use crate::words::{clock_time, count, grouped};
use hms_sync_management::{CollectionStats, EventMark, StatsReport, one_line};
use std::path::Path;

pub(crate) async fn stats(screen: Screen, file: &Path, json: bool) -> Result<(), Failure> {
    let found = source::log_stats(file).await?;
    if json {
        return screen.json(&found);
    }
    screen.out(&format!(
        "{} in {} bytes on disk",
        count(found.events, "event", "events"),
        grouped(found.bytes)
    ));
    if found.archived > 0 {
        let archived = count(found.archived, "event", "events");
        screen.out(&format!("of these, {archived} are archived and no longer in the log"));
    }
    if found.events > 0 {
        details(screen, &found);
    }
    if let Some(why) = &found.poisoned {
        screen.out(&screen.paint(Tone::Bad, &format!("takes no more writes: {}", one_line(why))));
    }
    Ok(())
}

fn details(screen: Screen, found: &StatsReport) {
    screen.out(&format!(
        "one event is {:.0} bytes, and takes {:.0} on disk with all that belongs to it",
        found.payload_bytes_per_event, found.disk_bytes_per_event
    ));
    for (name, mark) in [("oldest", &found.oldest), ("newest", &found.newest)] {
        match mark {
            Some(EventMark { seq, at }) => {
                screen.out(&format!("{name}: event {}, {} UTC", grouped(*seq), clock_time(at)));
            }
            None => screen.out(&screen.paint(Tone::Bad, &format!("{name}: cannot be read"))),
        }
    }
    screen.out(&format!(
        "index: {} in {}; views: {} in {}, up to event {}",
        count(found.index.entries, "entry", "entries"),
        count(found.index.runs as u64, "run", "runs"),
        count(found.views.entries, "entry", "entries"),
        count(found.views.runs as u64, "run", "runs"),
        grouped(found.views_upto)
    ));
    if let Some(why) = &found.uncounted {
        screen.out(&screen.paint(Tone::Bad, &format!("not counted: {}", one_line(why))));
    } else {
        screen.out("");
        screen.table(&["collection", "events", "share", "records", "bytes"], rows(&found.collections));
    }
}

fn rows(collections: &[CollectionStats]) -> Vec<Vec<(Tone, String)>> {
    let row = |one: &CollectionStats| {
        let name = match one.name.as_str() {
            "@sync" => "(the sync's own)".to_owned(),
            "" => "(others)".to_owned(),
            name => one_line(name),
        };
        let share = format!("{:.1} %", one.share * 100.0);
        let cells = [name, grouped(one.events), share, grouped(one.records), grouped(one.payload_bytes)];
        cells.into_iter().map(|cell| (Tone::Plain, cell)).collect()
    };
    collections.iter().map(row).collect()
}
