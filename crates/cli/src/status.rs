//! `status` and `poll`: the sides at a glance, and a read out of turn.

use crate::args::{FileArgs, PollArgs};
use crate::exit::Failure;
use crate::screen::{Screen, Tone};
use crate::source::Source;
use crate::words::{ago, count};
use chrono::Utc;
use hms_sync_engine::{CollectionStatus, SideStatus};
use hms_sync_management::{Running, StatusReport};

pub(crate) async fn status(screen: Screen, options: &FileArgs) -> Result<(), Failure> {
    let source = Source::open(&options.file).await?;
    let report = source.status().await?;
    if options.json {
        return screen.json(&report);
    }
    screen.out(&headline(screen, &source, &report));
    let status = &report.status;
    let parked = u64::try_from(status.parked).unwrap_or(u64::MAX);
    let pending = u64::try_from(status.pending).unwrap_or(u64::MAX);
    let met = status.conflicts;
    screen.out(&format!(
        "{}, {} with work to do, {}, {} open and {} decided\n",
        count(status.events, "event", "events"),
        count(pending, "record", "records"),
        count(parked, "thing parked", "things parked"),
        count(met.open, "conflict", "conflicts"),
        met.decided,
    ));
    let mut rows = Vec::new();
    for side in &status.sides {
        rows.extend(side.collections.iter().map(|of| row(report.running, side, of)));
        if side.collections.is_empty() {
            rows.push(told_row(report.running, side));
        }
    }
    screen.table(&["side", "", "collection", "last read", "all read", "cursor", "ready", "in flight"], rows);
    for side in &status.sides {
        subscription(screen, side);
        for of in &side.collections {
            trouble(screen, side, of);
        }
    }
    let signing = report.audit.as_ref().map(|audit| crate::audit::lines(screen, audit)).unwrap_or_default();
    for line in signing {
        screen.out(&line);
    }
    let mut hints = Vec::new();
    if parked > 0 {
        hints.push("`hms-sync parked FILE list` shows what is parked");
    }
    if met.open > 0 {
        hints.push("`hms-sync conflicts FILE list` shows the conflicts that wait");
    }
    if !hints.is_empty() {
        screen.out(&screen.paint(Tone::Faint, &format!("\n{}", hints.join("\n"))));
    }
    Ok(())
}

fn headline(screen: Screen, source: &Source, report: &StatusReport) -> String {
    let name = screen.paint(Tone::Head, &report.status.sync);
    match (report.running, source) {
        (Running::Live, Source::Running(client)) => {
            let access = client.access();
            let runs = screen.paint(Tone::Good, "runs");
            format!("{name} {runs} (process {}, {})", access.pid, access.url)
        }
        _ => format!(
            "{name} {}; this is what its change log holds",
            screen.paint(Tone::Warn, "is not running")
        ),
    }
}

fn state(running: Running, side: &SideStatus) -> (Tone, String) {
    let (tone, word) = match (running, side.away) {
        (Running::Live, true) => (Tone::Bad, "away"),
        (Running::Live, false) => (Tone::Good, "here"),
        (Running::Stopped, _) => (Tone::Faint, "stopped"),
    };
    (tone, word.to_owned())
}

/// A side that is told and never read.
fn told_row(running: Running, side: &SideStatus) -> Vec<(Tone, String)> {
    let nothing = || (Tone::Faint, "-".to_owned());
    let counts = [side.ready, side.in_flight].map(|n| (Tone::Plain, n.to_string()));
    let head = [(Tone::Head, side.side.clone()), state(running, side)];
    head.into_iter().chain([nothing(), nothing(), nothing(), nothing()]).chain(counts).collect()
}

fn row(running: Running, side: &SideStatus, of: &CollectionStatus) -> Vec<(Tone, String)> {
    let read = of.last_read.as_ref().map_or_else(|| "never".to_owned(), |at| ago(at, Utc::now()));
    vec![
        (Tone::Head, side.side.clone()),
        state(running, side),
        (Tone::Plain, of.collection.clone()),
        (Tone::Plain, read),
        (Tone::Plain, if of.listed { "yes" } else { "not yet" }.to_owned()),
        (Tone::Faint, of.cursor.clone().unwrap_or_default()),
        (Tone::Plain, side.ready.to_string()),
        (Tone::Plain, side.in_flight.to_string()),
    ]
}

fn trouble(screen: Screen, side: &SideStatus, of: &CollectionStatus) {
    let words = of.trouble.iter().map(|why| (Tone::Bad, why));
    for (tone, why) in words.chain(of.held.iter().map(|why| (Tone::Warn, why))) {
        let why = hms_sync_management::one_line(why);
        screen.out(&format!("{} {}: {why}", screen.paint(tone, &side.side), of.collection));
    }
    if !of.unknown_fields.is_empty() {
        let found = hms_sync_management::one_line(&of.unknown_fields.join(", "));
        let side = screen.paint(Tone::Warn, &side.side);
        screen.out(&format!("{side} {}: shows fields that nobody has mapped: {found}", of.collection));
    }
}

/// What a person asked of a subscriber.
fn subscription(screen: Screen, side: &SideStatus) {
    let name = screen.paint(Tone::Warn, &side.side);
    if let Some(why) = &side.unsubscribed {
        screen.out(&format!("{name} is told nothing more: {}", hms_sync_management::one_line(why)));
    }
    if let Some(again) = &side.replay {
        let ended = again.ended.as_deref().unwrap_or("goes on");
        screen.out(&format!(
            "{name} is told again what it took from event {} on: {} of {} looked at, {} taken, {} left out; {}",
            again.from,
            again.at,
            again.upto,
            again.told,
            again.left_out,
            hms_sync_management::one_line(ended)
        ));
    }
}

pub(crate) async fn poll(screen: Screen, options: &PollArgs) -> Result<(), Failure> {
    let source = Source::open(&options.file).await?;
    source.poll(&options.side, &options.collection, options.full).await?;
    screen.out(&format!("{} {} is being read", options.side, options.collection));
    Ok(())
}
