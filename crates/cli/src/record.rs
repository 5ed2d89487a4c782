//! `history`: what happened to a record; and the lines that all commands on records share.

use crate::args::HistoryArgs;
use crate::exit::Failure;
use crate::screen::{Screen, Tone};
use crate::source::Source;
use crate::words::clock_time;
use hms_sync_engine::{ErasedReport, SidePart};
use hms_sync_management::{EventReport, one_line};

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
    screen.out(&format!("{}  {}", title(screen, &page.title, &page.record), utc(screen)));
    if let Some(archived) = &page.archived {
        screen.out(&screen.paint(Tone::Warn, &one_line(archived)));
    }
    loop {
        page.events.iter().for_each(|event| screen.out(&line(screen, event)));
        let Some(next) = page.next else { return Ok(()) };
        page = source.history(&options.record, next).await?;
    }
}

pub(crate) fn title(screen: Screen, title: &str, record: &str) -> String {
    let name = screen.paint(Tone::Head, &one_line(title));
    if title == record { name } else { format!("{name} {}", screen.paint(Tone::Faint, record)) }
}

/// What all times are in.
pub(crate) fn utc(screen: Screen) -> String {
    screen.paint(Tone::Faint, "(times in UTC)")
}

/// `  v4  2026-11-23 16:30:03.123  edited     marshal set status to approved; …`.
pub(crate) fn line(screen: Screen, event: &EventReport) -> String {
    let at = screen.paint(Tone::Faint, &clock_time(&event.at));
    let kind = screen.paint(tone_of(&event.kind), &format!("{:<10}", event.kind));
    format!("{:>5}  {at}  {kind}  {}", format!("v{}", event.version), one_line(&event.words))
}

pub(crate) fn tone_of(kind: &str) -> Tone {
    match kind {
        "edited" | "received" => Tone::One,
        "applied" | "confirmed" | "handled" => Tone::Good,
        "failed" | "parked" | "handler_failed" => Tone::Bad,
        "doubted" | "released" | "unlinked" | "erased" | "taken_up" => Tone::Warn,
        _ => Tone::Plain,
    }
}

/// What was erased of a record, and that it stays so.
pub(crate) fn erased(screen: Screen, of: &ErasedReport) -> String {
    let fields: Vec<String> = of.fields.iter().map(|field| one_line(field)).collect();
    format!(
        "{} {} at {} by {}: {}; what sides show there is passed over",
        screen.paint(Tone::Warn, "erased"),
        fields.join(", "),
        clock_time(&of.at),
        one_line(&of.by),
        one_line(&of.reason)
    )
}

/// A record's part on each side.
pub(crate) fn sides(screen: Screen, parts: &[SidePart]) {
    let row = |part: &SidePart| {
        vec![
            (Tone::Head, part.side.clone()),
            (Tone::Plain, part.id.clone().unwrap_or_else(|| "not there".to_owned())),
            side_state(part),
            (Tone::Faint, shown(part)),
            (Tone::Faint, part.seen_at.as_deref().map_or_else(|| "never".to_owned(), clock_time)),
        ]
    };
    let head = ["side", "id there", "state", "has been shown", "last seen"];
    screen.table(&head, parts.iter().map(row).collect());
}

fn side_state(part: &SidePart) -> (Tone, String) {
    if part.unlinked {
        return (Tone::Warn, "unlinked: nothing is brought there".to_owned());
    }
    match (&part.parked, part.in_step) {
        (Some(why), _) => (Tone::Bad, format!("parked, {why}")),
        (None, _) if part.unread => (Tone::Warn, "to be read first".to_owned()),
        (None, true) => (Tone::Good, "in step".to_owned()),
        (None, false) if part.pending.is_empty() => (Tone::Warn, "a write is under way".to_owned()),
        (None, false) => (Tone::Warn, format!("to be brought: {}", part.pending.join(", "))),
    }
}

/// What a side's people can have seen.
fn shown(part: &SidePart) -> String {
    if part.not_shown.is_empty() {
        return "everything".to_owned();
    }
    format!("not the latest {}", part.not_shown.join(", "))
}

/// Whether a record is there, in words; nothing if it simply is.
pub(crate) fn presence_words(presence: &str) -> Option<&str> {
    match presence {
        "present" => None,
        "unborn" => Some("not known yet"),
        "undecided" => Some("deleted by one and changed by another: a person has to decide"),
        other => Some(other),
    }
}
