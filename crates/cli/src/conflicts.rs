//! `conflicts`: where edits met unknown to each other, and a person's word about it.

use crate::args::{ConflictListArgs, ConflictsAction, ConflictsArgs, ResolveArgs, RestoreArgs};
use crate::exit::{Exit, Failure};
use crate::record::{presence_words, title, utc};
use crate::screen::{Screen, Tone};
use crate::source::Source;
use crate::words::{clock_time, value};
use hms_sync_engine::{ConflictItem, Standing};
use hms_sync_management::{
    Chosen, ConflictQuery, ConflictStory, Decide, MetValue, Pick, RecordConflicts, Restore, Running,
    author_words, one_line,
};

pub(crate) async fn conflicts(screen: Screen, options: &ConflictsArgs) -> Result<(), Failure> {
    let source = Source::open(&options.file).await?;
    match &options.action {
        ConflictsAction::List(wanted) => list(screen, &source, wanted).await,
        ConflictsAction::Show { record, field, json } => {
            show(screen, &source, record, field.as_deref(), *json).await
        }
        ConflictsAction::Resolve(asked) => resolve(screen, &source, asked).await,
        ConflictsAction::Restore(asked) => restore(screen, &source, asked).await,
    }
}

async fn list(screen: Screen, source: &Source, wanted: &ConflictListArgs) -> Result<(), Failure> {
    let mut query = ConflictQuery {
        side: wanted.side.clone(),
        collection: wanted.collection.clone(),
        field: wanted.field.clone(),
        kind: (!wanted.kind.is_empty()).then(|| wanted.kind.join(",")),
        open: wanted.open,
        all: wanted.all,
        after: wanted.after.clone(),
        limit: wanted.limit.and_then(|n| usize::try_from(n).ok()),
    };
    let mut items = Vec::new();
    loop {
        let page = source.conflicts(&query).await?;
        items.extend(page.conflicts);
        query.after = page.next;
        if query.after.is_none() || query.limit.is_some_and(|limit| items.len() >= limit) {
            break;
        }
    }
    if wanted.json {
        return screen.json(&items);
    }
    if items.is_empty() {
        screen.out(if wanted.all {
            "there is no conflict"
        } else {
            "there is no conflict; --all shows those that have ended"
        });
        return Ok(());
    }
    let head = ["record", "field", "kind", "stands", "lost", "why", "id"];
    screen.table(&head, items.iter().map(row).collect());
    if let Some(after) = query.after {
        screen.note(&format!("there are more: --after {after}"));
    }
    Ok(())
}

fn tone(standing: Standing) -> (Tone, &'static str) {
    match standing {
        Standing::Open => (Tone::Bad, "open"),
        Standing::Decided => (Tone::Warn, "decided"),
        Standing::Ended => (Tone::Faint, "ended"),
    }
}

fn row(item: &ConflictItem) -> Vec<(Tone, String)> {
    let (tone, standing) = tone(item.standing);
    let lost: Vec<String> = item
        .losers
        .iter()
        .map(|lost| format!("{} of {}", value(&lost.value), author_words(&lost.by)))
        .collect();
    vec![
        (Tone::Head, item.title.clone()),
        (Tone::Plain, item.field.clone().unwrap_or_else(|| "the record".to_owned())),
        (tone, format!("{}, {standing}", item.kind)),
        (Tone::Plain, value(&item.value)),
        (Tone::Plain, lost.join(", ")),
        (Tone::Plain, item.words.clone()),
        (Tone::Faint, item.record.clone()),
    ]
}

async fn show(
    screen: Screen,
    source: &Source,
    name: &str,
    field: Option<&str>,
    json: bool,
) -> Result<(), Failure> {
    let found = source.conflicts_of(name, field).await?;
    if json {
        return screen.json(&found);
    }
    head(screen, &found);
    if found.conflicts.is_empty() {
        screen.out("no edits have met here");
    }
    found.conflicts.iter().for_each(|story| tell(screen, story));
    for item in &found.parked {
        let head = screen.paint(Tone::Head, &item.lane);
        let what = screen.paint(Tone::Bad, &item.reason);
        screen.out(&format!("\n{head}: {what}: {}", one_line(&item.words)));
    }
    Ok(())
}

fn head(screen: Screen, found: &RecordConflicts) {
    let name = title(screen, &found.title, &found.record);
    screen.out(&format!("{name}, version {}  {}", found.version, utc(screen)));
    if let Some(words) = presence_words(&found.presence) {
        screen.out(&screen.paint(Tone::Warn, words));
    }
}

fn tell(screen: Screen, story: &ConflictStory) {
    let (tone, standing) = tone(story.standing);
    let field = screen.paint(Tone::Head, story.field.as_deref().unwrap_or("the record"));
    screen.out(&format!("\n{field}: {}, {}", story.kind, screen.paint(tone, standing)));
    line(screen, "rule", &format!("{}: {}", story.rule, story.words));
    if story.field.is_some() {
        line(screen, "before", &value(&story.base));
    }
    story.values.iter().for_each(|met| tell_value(screen, story, met));
    if let Some(ended) = &story.ended {
        let words = format!("v{} at {}: {}", ended.version, clock_time(&ended.at), ended.words);
        line(screen, "ended", &words);
    }
}

fn line(screen: Screen, label: &str, words: &str) {
    screen.out(&format!("  {}  {}", screen.paint(Tone::Faint, &format!("{label:<8}")), one_line(words)));
}

fn tell_value(screen: Screen, story: &ConflictStory, met: &MetValue) {
    let of = &met.story;
    let (tone, mark) = match met.loser {
        None => (Tone::Good, "stands".to_owned()),
        // Nobody has decided yet.
        Some(n) if story.values.iter().all(|met| met.loser.is_some()) => (Tone::Warn, format!("choice {n}")),
        Some(n) => (Tone::Warn, format!("loser {n}")),
    };
    let what = match (&story.field, of.value.as_bool()) {
        (None, Some(true)) => "it is there".to_owned(),
        (None, Some(false)) => "it is deleted".to_owned(),
        _ => value(&of.value),
    };
    let at = of
        .edit
        .as_ref()
        .map_or_else(String::new, |edit| format!(" at {}, v{}", clock_time(&edit.at), edit.version));
    let mark = screen.paint(tone, &format!("{mark:<8}"));
    screen.out(&format!("  {mark}  {what} by {}{at}", one_line(&of.by)));
    if let Some(edit) = &of.edit {
        line(screen, "", &format!("{}, {}; {}", edit.words, edit.source_words, edit.context_words));
    }
}

/// The version that somebody decides about: the one they name, or the one there is.
async fn version_seen(source: &Source, record: &str, named: Option<u64>) -> Result<u64, Failure> {
    match named {
        Some(version) => Ok(version),
        None => Ok(source.record(record).await?.version),
    }
}

async fn resolve(screen: Screen, source: &Source, asked: &ResolveArgs) -> Result<(), Failure> {
    let ResolveArgs { record, field, value, null, side, winner, keep, delete, decision } = asked;
    let picks = [
        value.clone().map(|text| Pick::Value(text.into())),
        null.then_some(Pick::Value(serde_json::Value::Null)),
        side.clone().map(Pick::Side),
        winner.then_some(Pick::Winner),
        keep.then_some(Pick::Keep),
        delete.then_some(Pick::Delete),
    ];
    let Some(pick) = picks.into_iter().flatten().next() else {
        return Err(Failure::new(Exit::Failed, "nothing says what is to be"));
    };
    let decide = Decide {
        record: record.clone(),
        field: field.clone(),
        pick,
        version: version_seen(source, record, decision.version).await?,
        by: decision.by.clone(),
        reason: decision.reason.clone(),
    };
    let chosen = source.decide(&decide).await?;
    done(screen, source, &chosen, decision.json).await
}

async fn restore(screen: Screen, source: &Source, asked: &RestoreArgs) -> Result<(), Failure> {
    let RestoreArgs { record, field, loser, decision } = asked;
    let restore = Restore {
        record: record.clone(),
        field: field.clone(),
        loser: *loser,
        version: version_seen(source, record, decision.version).await?,
        by: decision.by.clone(),
        reason: decision.reason.clone(),
    };
    let chosen = source.restore(&restore).await?;
    done(screen, source, &chosen, decision.json).await
}

async fn done(screen: Screen, source: &Source, chosen: &Chosen, json: bool) -> Result<(), Failure> {
    if json {
        return screen.json(chosen);
    }
    let name = title(screen, &chosen.title, &chosen.record);
    screen.out(&format!("{name} v{}: {}", chosen.version, one_line(&chosen.words)));
    if source.status().await?.running == Running::Stopped {
        screen.out("it is brought to the sides when the sync runs");
    }
    Ok(())
}
