//! `parked`: what was set aside, and a person's word about it.

use crate::args::{FilterArgs, ParkedAction, ParkedArgs, ReleaseArgs};
use crate::exit::{Exit, Failure};
use crate::screen::{Screen, Tone};
use crate::source::Source;
use crate::words::{count, value};
use hms_sync_engine::RecordReport;
use hms_sync_management::{ParkedFilter, ParkedItem, Running, one_line};
use hms_sync_model::Released as Action;
use serde::Serialize;

pub(crate) async fn parked(screen: Screen, options: &ParkedArgs) -> Result<(), Failure> {
    let source = Source::open(&options.file).await?;
    match &options.action {
        ParkedAction::List { filter, json } => list(screen, &source, filter, *json).await,
        ParkedAction::Show { record, json } => show(screen, &source, record, *json).await,
        ParkedAction::Replay(release) => let_go(screen, &source, release, Action::Replay).await,
        ParkedAction::Discard(release) => let_go(screen, &source, release, Action::Discard).await,
        ParkedAction::PushOurs(release) => let_go(screen, &source, release, Action::PushOurs).await,
        ParkedAction::TakeTheirs(release) => let_go(screen, &source, release, Action::TakeTheirs).await,
    }
}

fn filter_of(filter: &FilterArgs, record: Option<&String>) -> ParkedFilter {
    let FilterArgs { lane, side, reason } = filter;
    ParkedFilter { record: record.cloned(), lane: lane.clone(), side: side.clone(), reason: reason.clone() }
}

async fn list(screen: Screen, source: &Source, filter: &FilterArgs, json: bool) -> Result<(), Failure> {
    let items = source.parked(&filter_of(filter, None)).await?;
    if json {
        return screen.json(&items);
    }
    if items.is_empty() {
        screen.out("nothing is parked");
        return Ok(());
    }
    screen.table(
        &["record", "lane", "reason", "tries", "what happened", "id"],
        items.iter().map(row).collect(),
    );
    Ok(())
}

/// What a person has let be needs nobody any more, and stands back.
fn row(item: &ParkedItem) -> Vec<(Tone, String)> {
    let tone = |tone: Tone| if item.given_up { Tone::Faint } else { tone };
    vec![
        (tone(Tone::Head), item.title.clone()),
        (tone(Tone::Plain), item.lane.clone()),
        (tone(Tone::Bad), trouble(item)),
        (tone(Tone::Plain), item.attempts.to_string()),
        (tone(Tone::Plain), item.words.clone()),
        (Tone::Faint, item.record.clone()),
    ]
}

fn trouble(item: &ParkedItem) -> String {
    if item.given_up { format!("{}, given up", item.reason) } else { item.reason.clone() }
}

#[derive(Serialize)]
struct Shown {
    parked: Vec<ParkedItem>,
    record: Option<RecordReport>,
}

async fn show(screen: Screen, source: &Source, name: &str, json: bool) -> Result<(), Failure> {
    let filter = ParkedFilter { record: Some(name.to_owned()), ..ParkedFilter::default() };
    let parked = source.parked(&filter).await?;
    // Deletes that are held back belong to a collection and to no record.
    let record = if name.starts_with('@') { None } else { Some(source.record(name).await?) };
    if json {
        return screen.json(&Shown { parked, record });
    }
    if parked.is_empty() {
        screen.out(&format!("nothing of {} is parked", one_line(name)));
    }
    for item in &parked {
        let head = screen.paint(Tone::Head, &format!("{} {}", one_line(&item.title), item.lane));
        let tries = count(item.attempts.into(), "try", "tries");
        let given_up = if item.given_up { screen.paint(Tone::Faint, ", given up") } else { String::new() };
        screen.out(&format!("{head}: {} after {tries}{given_up}", screen.paint(Tone::Bad, &item.reason)));
        screen.out(&format!("  {}\n", one_line(&item.words)));
    }
    if let Some(record) = record {
        for field in &record.fields {
            screen.out(&format!("  {:<16} {}", field.field, value(&field.value)));
        }
        screen.out("");
        crate::record::sides(screen, &record.sides);
    }
    Ok(())
}

async fn let_go(
    screen: Screen,
    source: &Source,
    options: &ReleaseArgs,
    action: Action,
) -> Result<(), Failure> {
    let filter = filter_of(&options.filter, options.record.as_ref());
    if filter.is_open() && !options.all {
        return Err(Failure::new(Exit::Failed, "nothing says what is meant")
            .hint("name a record, --lane, --side or --reason, or say --all"));
    }
    let released = source.release(&filter, action).await?;
    if options.json {
        return screen.json(&released);
    }
    let many = u64::try_from(released.released).unwrap_or(u64::MAX);
    let things = count(many, "thing", "things");
    let listings = count(many, "listing", "listings");
    let when = match source.status().await?.running {
        Running::Live => "",
        Running::Stopped => " when the sync runs",
    };
    let words = match action {
        Action::Replay => format!("{things} will be tried again{when}"),
        Action::Discard => format!("{things} let be"),
        Action::PushOurs => {
            format!("{listings}: ours will be written back{when}, once everything is read there")
        }
        Action::TakeTheirs => format!("{listings}: what is shown there will be taken as edits{when}"),
    };
    screen.out(&words);
    Ok(())
}
