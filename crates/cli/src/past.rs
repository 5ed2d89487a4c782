//! `as-of` and `diff`: how a record stood, and what differs between two points of its
//! history.

use crate::args::{AsOfArgs, DiffArgs};
use crate::exit::Failure;
use crate::record::{erased, line, presence_words, sides, title, utc};
use crate::screen::{Screen, Tone};
use crate::source::Source;
use crate::words::{clock_time, value};
use hms_sync_engine::{FieldReport, SiblingReport, SidePart};
use hms_sync_management::{AsOf, Diff, FieldDiff, PointReport, author_words};
use serde_json::Value as Json;

pub(crate) async fn as_of(screen: Screen, options: &AsOfArgs) -> Result<(), Failure> {
    let source = Source::open(&options.on.file).await?;
    let found = source.as_of(&options.record, &options.time).await?;
    if options.on.json {
        return screen.json(&found);
    }
    screen.out(&format!("{}  {}", title(screen, &found.title, &found.record), utc(screen)));
    let asked = clock_time(&found.asked);
    let Some(changed) = &found.changed else {
        screen.out(&format!("at {asked} hms-sync did not know it yet"));
        return Ok(());
    };
    screen.out(&format!(
        "as it stood at {asked}: version {} of {}, the last event at {}",
        found.version,
        found.version_now,
        clock_time(changed)
    ));
    if let Some(words) = presence_words(&found.presence) {
        screen.out(&screen.paint(Tone::Warn, words));
    }
    screen.out("");
    found.fields.iter().for_each(|field| field_line(screen, field));
    if !found.fields.is_empty() {
        screen.out("");
    }
    if let Some(of) = &found.erased {
        screen.out(&format!("{}\n", erased(screen, of)));
    }
    sides(screen, &found.sides);
    found.sides.iter().for_each(|part| held_otherwise(screen, &found, part));
    Ok(())
}

fn field_line(screen: Screen, field: &FieldReport) {
    let name = screen.paint(Tone::Head, &format!("{:<16}", field.field));
    let several = field.siblings.len() > 1;
    let standing: Vec<String> = field.siblings.iter().filter(|of| of.wins && !several).map(by).collect();
    let faint = screen.paint(Tone::Faint, &standing.join(", "));
    screen.out(format!("{name} {}  {faint}", value(&field.value)).trim_end());
    for of in field.siblings.iter().filter(|_| several) {
        let (tone, mark) = if of.wins { (Tone::Good, "stands") } else { (Tone::Warn, "lost") };
        let mark = screen.paint(tone, &format!("{mark:>16}"));
        screen.out(&format!("{mark} {} {}", value(&of.value), by(of)));
    }
}

fn by(of: &SiblingReport) -> String {
    match author_words(&of.by) {
        agreed if of.by.starts_with("@engine") => agreed,
        author => format!("by {author}"),
    }
}

/// What a side held that was not the record's value.
fn held_otherwise(screen: Screen, found: &AsOf, part: &SidePart) {
    let value_of = |name: &String| found.fields.iter().find(|field| field.field == *name);
    let other = part.holds.iter().filter(|(name, held)| value_of(name).is_none_or(|of| of.value != **held));
    let other: Vec<String> = other.map(|(name, held)| format!("{name}={}", value(held))).collect();
    if !other.is_empty() {
        screen.out(&format!("{} held otherwise: {}", screen.paint(Tone::Head, &part.side), other.join(", ")));
    }
}

pub(crate) async fn diff(screen: Screen, options: &DiffArgs) -> Result<(), Failure> {
    let source = Source::open(&options.on.file).await?;
    let found = source.diff(&options.record, &options.from, &options.to).await?;
    if options.on.json {
        return screen.json(&found);
    }
    screen.out(&format!("{}  {}", title(screen, &found.title, &found.record), utc(screen)));
    screen.out(&format!("from {} to {}", point(&found.from), point(&found.to)));
    if found.fields.is_empty() && found.from.presence == found.to.presence {
        screen.out("no field differs");
        return Ok(());
    }
    presence(screen, &found);
    found.fields.iter().for_each(|field| difference(screen, field));
    Ok(())
}

/// `v4 (2026-11-23 16:30:03.123)`.
fn point(of: &PointReport) -> String {
    match &of.at {
        Some(at) => format!("v{} ({})", of.version, clock_time(at)),
        None => "before its first event".to_owned(),
    }
}

fn presence(screen: Screen, found: &Diff) {
    if found.from.presence == found.to.presence {
        return;
    }
    let words = |of: &PointReport| presence_words(&of.presence).unwrap_or("there").to_owned();
    let change = format!("{} -> {}", words(&found.from), words(&found.to));
    screen.out(&format!("\n{} {change}", screen.paint(Tone::Head, "the record")));
    found.presence.iter().for_each(|event| screen.out(&line(screen, event)));
}

fn difference(screen: Screen, field: &FieldDiff) {
    let shown = |of: &Option<Json>| of.as_ref().map_or_else(|| "(nothing)".to_owned(), value);
    let name = screen.paint(Tone::Head, &field.field);
    screen.out(&format!("\n{name} {} -> {}", shown(&field.before), shown(&field.after)));
    field.events.iter().for_each(|event| screen.out(&line(screen, event)));
}
