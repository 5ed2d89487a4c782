//! `log list`: events of the whole log, those that fit.

use crate::args::ListArgs;
use crate::exit::Failure;
use crate::record::tone_of;
use crate::screen::{Screen, Tone};
use crate::source::Source;
use crate::words::clock_time;
use hms_sync_management::{EventReport, LogQuery, one_line};
use std::path::Path;

/// Events asked for at once.
const PAGE: usize = 1_000;
/// The widest name of a record, in characters.
const NAME_MAX: usize = 24;

pub(crate) async fn list(screen: Screen, file: &Path, options: &ListArgs) -> Result<(), Failure> {
    let source = Source::open(file).await?;
    let mut wanted = query(options);
    let last = options.last.map(|n| usize::try_from(n).unwrap_or(usize::MAX));
    let mut left = last.or(options.limit).unwrap_or(usize::MAX);
    let (mut kept, mut none, mut noted) = (Vec::new(), true, false);
    while left > 0 {
        wanted.limit = Some(left.min(PAGE));
        let page = source.log_list(&wanted).await?;
        left = left.saturating_sub(page.events.len());
        if let Some(archived) = page.archived.as_ref().filter(|_| !std::mem::replace(&mut noted, true)) {
            screen.note(archived);
        }
        none &= page.events.is_empty();
        if last.is_some() {
            kept.extend(page.events);
        } else {
            page.events.iter().try_for_each(|event| show(screen, options, event))?;
        }
        let Some(next) = page.next else { break };
        wanted.after = Some(next);
    }
    kept.iter().rev().try_for_each(|event| show(screen, options, event))?;
    if none && !options.json {
        screen.note("no event fits");
    }
    Ok(())
}

fn query(options: &ListArgs) -> LogQuery {
    LogQuery {
        side: options.side.clone(),
        record: options.record.clone(),
        collection: options.collection.clone(),
        kind: (!options.kind.is_empty()).then(|| options.kind.join(",")),
        from: options.from.clone(),
        to: options.to.clone(),
        field: options.field.clone(),
        limit: None,
        after: options.after,
        reverse: options.reverse || options.last.is_some(),
    }
}

fn show(screen: Screen, options: &ListArgs, event: &EventReport) -> Result<(), Failure> {
    if options.json {
        return screen.json_line(event);
    }
    screen.out(&line(screen, event));
    Ok(())
}

/// `  1204  2026-11-23 16:30:03.123  edited     P-000002  marshal set status to approved`.
fn line(screen: Screen, event: &EventReport) -> String {
    let at = screen.paint(Tone::Faint, &clock_time(&event.at));
    let kind = screen.paint(tone_of(&event.kind), &format!("{:<10}", event.kind));
    let name = screen.paint(Tone::Head, &name(event));
    format!("{:>7}  {at}  {kind}  {name}  {}", event.seq, one_line(&event.words))
}

fn name(event: &EventReport) -> String {
    let name = event.title.as_deref().unwrap_or(&event.record);
    let name = one_line(name.strip_prefix("@sync/").unwrap_or(name));
    if name.chars().count() <= NAME_MAX {
        return name;
    }
    let mut short: String = name.chars().take(NAME_MAX - 1).collect();
    short.push('…');
    short
}
