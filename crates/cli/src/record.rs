//! `history` and `explain`: what happened to a record, and why it is as it is.

use crate::args::{ExplainArgs, HistoryArgs};
use crate::exit::Failure;
use crate::screen::{Screen, Tone};
use crate::source::Source;
use crate::words::{clock_time, value};
use hms_sync_engine::{FieldReport, SidePart};
use hms_sync_management::{EventReport, Explanation, one_line};

pub(crate) async fn history(screen: Screen, options: &HistoryArgs) -> Result<(), Failure> {
    let source = Source::open(&options.on.file).await?;
    let mut page = source.history(&options.record, options.after).await?;
    if options.on.json {
        // The whole history is one answer, however many pages it takes.
        while let Some(next) = page.next {
            let more = source.history(&options.record, next).await?;
            page.events.extend(more.events);
            page.next = more.next;
        }
        return screen.json(&page);
    }
    screen.out(&title(screen, &page.title, &page.record));
    loop {
        page.events.iter().for_each(|event| screen.out(&line(screen, event)));
        let Some(next) = page.next else { return Ok(()) };
        page = source.history(&options.record, next).await?;
    }
}

fn title(screen: Screen, title: &str, record: &str) -> String {
    let name = screen.paint(Tone::Head, &one_line(title));
    if title == record { name } else { format!("{name} {}", screen.paint(Tone::Faint, record)) }
}

/// `  v4  2026-11-23 16:30:03.123  edited     marshal set status to approved; …`.
fn line(screen: Screen, event: &EventReport) -> String {
    let at = screen.paint(Tone::Faint, &clock_time(&event.at));
    let kind = screen.paint(tone_of(&event.kind), &format!("{:<10}", event.kind));
    format!("{:>5}  {at}  {kind}  {}", format!("v{}", event.version), one_line(&event.words))
}

fn tone_of(kind: &str) -> Tone {
    match kind {
        "edited" | "received" => Tone::One,
        "applied" | "confirmed" | "handled" => Tone::Good,
        "failed" | "parked" | "handler_failed" => Tone::Bad,
        "doubted" | "released" | "unlinked" | "erased" => Tone::Warn,
        _ => Tone::Plain,
    }
}

pub(crate) async fn explain(screen: Screen, options: &ExplainArgs) -> Result<(), Failure> {
    let source = Source::open(&options.on.file).await?;
    let found = source.explain(&options.record, options.field.as_deref()).await?;
    if options.on.json {
        return screen.json(&found);
    }
    explain_record(screen, &found);
    Ok(())
}

fn explain_record(screen: Screen, found: &Explanation) {
    let gone = if found.presence == "present" { String::new() } else { format!(" ({})", found.presence) };
    screen.out(&format!("{}{gone}\n", title(screen, &found.title, &found.record)));
    found.fields.iter().for_each(|field| explain_field(screen, field));
    if let Some(erased) = &found.erased {
        screen.out(&format!(
            "{} {} at {} by {}: {}; what sides show there is passed over",
            screen.paint(Tone::Warn, "erased"),
            erased.fields.join(", "),
            clock_time(&erased.at),
            one_line(&erased.by),
            one_line(&erased.reason)
        ));
    }
    screen.out("");
    sides(screen, &found.sides);
    if !found.edits.is_empty() {
        screen.out(&screen.paint(Tone::Head, "\nedits that made it so"));
        found.edits.iter().for_each(|event| screen.out(&line(screen, event)));
    }
}

fn explain_field(screen: Screen, field: &FieldReport) {
    let name = screen.paint(Tone::Head, &format!("{:<16}", field.field));
    let why = screen.paint(Tone::Faint, &one_line(&field.reason));
    screen.out(&format!("{name} {}  {why}", value(&field.value)));
    if field.siblings.len() < 2 {
        return;
    }
    for sibling in &field.siblings {
        let (tone, mark) = if sibling.wins { (Tone::Good, "stands") } else { (Tone::Warn, "lost") };
        let (what, at) = (value(&sibling.value), clock_time(&sibling.at));
        screen.out(&format!(
            "{:>16} {what} by {} at {at}",
            screen.paint(tone, &format!("{mark:>16}")),
            sibling.by
        ));
    }
}

/// A record's part on each side.
pub(crate) fn sides(screen: Screen, parts: &[SidePart]) {
    let row = |part: &SidePart| {
        let state = match (&part.parked, part.in_step) {
            (Some(why), _) => (Tone::Bad, format!("parked, {why}")),
            (None, true) => (Tone::Good, "in step".to_owned()),
            (None, false) if part.pending.is_empty() => (Tone::Warn, "a write is under way".to_owned()),
            (None, false) => (Tone::Warn, format!("to be brought: {}", part.pending.join(", "))),
        };
        vec![
            (Tone::Head, part.side.clone()),
            (Tone::Plain, part.id.clone().unwrap_or_else(|| "not there".to_owned())),
            state,
            (Tone::Faint, part.has_seen.clone()),
        ]
    };
    screen.table(&["side", "id there", "state", "has been shown"], parts.iter().map(row).collect());
}
