//! `explain`: why a record is as it is; for one field the whole way of its value, from
//! what a side showed to what became of it on the others.

use crate::args::ExplainArgs;
use crate::exit::Failure;
use crate::record::{erased, line, presence_words, sides, title, utc};
use crate::screen::{Screen, Tone};
use crate::source::Source;
use crate::words::{clock_time, value};
use hms_sync_management::{
    EditStory, Explanation, FieldStory, Noted, SideStory, ValueStory, WriteStory, one_line,
};

pub(crate) async fn explain(screen: Screen, options: &ExplainArgs) -> Result<(), Failure> {
    let source = Source::open(&options.on.file).await?;
    let found = source.explain(&options.record, options.field.as_deref(), options.at.as_deref()).await?;
    if options.on.json {
        return screen.json(&found);
    }
    head(screen, &found);
    if let Some(of) = &found.erased {
        screen.out(&format!("{}\n", erased(screen, of)));
    }
    if found.version == 0 {
        screen.out("hms-sync did not know it yet");
        return Ok(());
    }
    match (&options.field, found.stories.as_slice()) {
        (Some(_), [story]) => the_way(screen, story),
        _ => overview(screen, &found),
    }
    if !found.edits.is_empty() {
        let all = if options.field.is_some() { "\nits changes" } else { "\nedits that made it so" };
        screen.out(&screen.paint(Tone::Head, all));
        found.edits.iter().for_each(|event| screen.out(&line(screen, event)));
    }
    Ok(())
}

fn head(screen: Screen, found: &Explanation) {
    screen.out(&format!("{}  {}", title(screen, &found.title, &found.record), utc(screen)));
    if let Some(archived) = &found.archived {
        screen.out(&screen.paint(Tone::Warn, &one_line(archived)));
    }
    if let Some(asked) = &found.asked {
        screen.out(&format!("as it was at {}: version {}", clock_time(asked), found.version));
    }
    if let Some(words) = presence_words(&found.presence).filter(|_| found.version > 0) {
        screen.out(&screen.paint(Tone::Warn, words));
    }
    for says in found.presence_values.iter().filter(|says| says.value == false) {
        let Some(edit) = &says.edit else { continue };
        let mark = if says.stands { "deleted" } else { "delete overruled" };
        screen.out(&format!(
            "{} by {} at {}, {}; {}",
            screen.paint(Tone::Warn, mark),
            one_line(&edit.by),
            clock_time(&edit.at),
            one_line(&edit.source_words),
            one_line(&edit.context_words),
        ));
    }
    screen.out("");
}

/// Every field in a line, with the values that lost; and the sides.
fn overview(screen: Screen, found: &Explanation) {
    for story in &found.stories {
        let name = screen.paint(Tone::Head, &format!("{:<16}", story.field));
        let author = story.values.iter().find(|value| value.stands).map_or_else(String::new, by);
        screen.out(&format!("{name} {}  {}", value(&story.value), screen.paint(Tone::Faint, &author)));
        if story.values.len() > 1 {
            rule(screen, story);
            story.values.iter().for_each(|value| screen.out(&met(screen, value)));
        }
    }
    if !found.stories.is_empty() {
        screen.out("");
    }
    sides(screen, &found.sides);
}

fn by(of: &ValueStory) -> String {
    let at = of.edit.as_ref().map_or_else(String::new, |edit| format!(" at {}", clock_time(&edit.at)));
    format!("{}{at}", one_line(&of.by))
}

fn rule(screen: Screen, story: &FieldStory) {
    let words = format!("{:>16} {}", "", one_line(&story.words));
    screen.out(&screen.paint(Tone::Faint, &words));
}

/// One of the values that met, in a line.
fn met(screen: Screen, of: &ValueStory) -> String {
    let (tone, mark) = if of.stands { (Tone::Good, "stands") } else { (Tone::Warn, "lost") };
    format!("{} {} by {}", screen.paint(tone, &format!("{mark:>16}")), value(&of.value), by(of))
}

/// The whole way of a field's value.
fn the_way(screen: Screen, story: &FieldStory) {
    screen.out(&format!("{}: {}", screen.paint(Tone::Head, &story.field), value(&story.value)));
    screen.out(&format!("  {}", one_line(&story.words)));
    for of in &story.values {
        screen.out("");
        let (tone, mark) = if of.stands { (Tone::Good, "stands") } else { (Tone::Warn, "lost") };
        let head = screen.paint(tone, &format!("{mark:>8}"));
        screen.out(&format!("{head}  {} by {}", value(&of.value), one_line(&of.by)));
        if let Some(edit) = &of.edit {
            edit_lines(screen, edit);
        }
    }
    if let Some(settled) = &story.settled {
        screen.out("");
        note(screen, settled);
    }
    story.sides.iter().for_each(|side| side_lines(screen, story, side));
}

/// The column of labels.
fn labelled(screen: Screen, label: &str, words: &str) {
    screen.out(&format!(
        "{:>10}{}  {}",
        "",
        screen.paint(Tone::Faint, &format!("{label:<9}")),
        one_line(words)
    ));
}

fn edit_lines(screen: Screen, edit: &EditStory) {
    labelled(screen, "change", &format!("{}, v{} at {}", edit.words, edit.version, clock_time(&edit.at)));
    labelled(screen, "learnt", &edit.source_words);
    if let Some(raw) = &edit.raw {
        labelled(screen, "input", &format!("BLAKE3 {raw}"));
    }
    labelled(screen, "knowing", &edit.context_words);
}

/// `   v12  2026-11-23 16:30:04.100  to marshal: update status=revoked`.
fn at_version(screen: Screen, version: u64, at: &str, words: &str) {
    let at = screen.paint(Tone::Faint, &clock_time(at));
    screen.out(&format!("{:>8}  {at}  {}", format!("v{version}"), one_line(words)));
}

fn note(screen: Screen, noted: &Noted) {
    at_version(screen, noted.version, &noted.at, &noted.words);
}

fn side_lines(screen: Screen, story: &FieldStory, side: &SideStory) {
    let tone = match side.state.as_str() {
        "parked" | "not_kept" => Tone::Bad,
        "to_be_brought" | "under_way" => Tone::Warn,
        _ => Tone::Plain,
    };
    screen.out("");
    let words = screen.paint(tone, &one_line(&side.words));
    let shows = match &side.shows {
        Some(shows) if *shows != story.value => format!("; it shows {}", value(shows)),
        _ => String::new(),
    };
    screen.out(&format!("  {}: {words}{shows}", screen.paint(Tone::Head, &side.side)));
    side.writes.iter().for_each(|write| write_lines(screen, write));
}

fn write_lines(screen: Screen, write: &WriteStory) {
    at_version(screen, write.version, &write.at, &write.words);
    let all = write.tries.iter().chain(&write.applied).chain(&write.read_back);
    let mut all: Vec<&Noted> = all.collect();
    all.sort_by_key(|noted| noted.version);
    all.into_iter().for_each(|noted| note(screen, noted));
}
