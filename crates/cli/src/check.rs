//! `check`: whether the configuration is right, whether each side answers, and
//! what each can do. Reads as little as shows that, and writes nothing anywhere:
//! it makes no folder and opens no log.

use crate::args::FileArgs;
use crate::exit::{Exit, Failure};
use crate::library;
use crate::screen::{Screen, Tone};
use crate::words::count;
use futures_util::future::join_all;
use hms_sync_connector::{Abilities, Connector, Content, Observation, ReadError, ReadRequest, Scope};
use hms_sync_engine::{CollectionSide, Plan, Shape};
use hms_sync_http::spec::FieldPath;
use hms_sync_management::one_line;
use hms_sync_model::{CollectionName, FieldName, NativeId, SideName};
use serde::Serialize;
use std::collections::BTreeMap;
use std::time::Instant;

/// What was found at one side for one collection.
#[derive(Debug, Serialize)]
struct Found {
    side: String,
    collection: String,
    answers: bool,
    words: String,
    abilities: Vec<&'static str>,
    /// Whether its records come with version tags, if that could be seen.
    version_tags: Option<bool>,
    warnings: Vec<String>,
}

#[derive(Serialize)]
struct Report {
    sync: String,
    data_dir: String,
    sides: Vec<Found>,
}

pub(crate) async fn check(screen: Screen, options: &FileArgs) -> Result<(), Failure> {
    let config = library::load(&options.file)?;
    let data_dir = config.data_dir.display().to_string();
    let (hooked, cursors) = (library::hooked(&config), library::cursor_fields(&config));
    let (plan, connectors, _) = library::assemble(config)?;
    let places = plan
        .collections
        .iter()
        .flat_map(|(name, of)| of.sides.iter().map(move |(side, part)| (side, name, part)));
    let asked = places.filter_map(|(side, name, part)| {
        let connector = connectors.get(side)?;
        let hook = hooked.contains(&(side.clone(), name.clone()));
        let cursor = cursors.get(&(side.clone(), name.clone()));
        Some(async move {
            let answer = connector.check(name).await;
            let looked =
                if answer.is_ok() { look(connector.as_ref(), name, part, cursor).await } else { None };
            let (tags, doubts) = looked.unwrap_or_default();
            let mut found = found(side, name, part, Seen { hook, tags }, answer);
            found.warnings.extend(doubts);
            found
        })
    });
    let report = Report { sync: plan.name.clone(), data_dir, sides: join_all(asked).await };
    let silent = report.sides.iter().filter(|found| !found.answers).count();
    if options.json {
        screen.json(&report)?;
    } else {
        show(screen, options, &plan, &report);
    }
    if silent == 0 {
        return Ok(());
    }
    let (silent, all) = (silent as u64, report.sides.len());
    Err(Failure::new(
        Exit::Side,
        format!("{} of {all} did not answer as it should", count(silent, "place", "places")),
    )
    .hint("nothing was written anywhere; see above what each side said"))
}

/// What was seen of a side beside its answer.
#[derive(Debug, Clone, Copy)]
struct Seen {
    /// Whether it tells of changes by itself.
    hook: bool,
    /// Whether its records come with version tags.
    tags: Option<Tags>,
}

#[derive(Debug, Clone, Copy)]
struct Tags {
    shown: bool,
    /// How long the read of one record took.
    took_ms: u128,
}

/// Reads the first page twice, and one of its records by its id: whether versions come with
/// records, and what is shown in another form each time.
async fn look(
    connector: &dyn Connector,
    collection: &CollectionName,
    part: &CollectionSide,
    cursor: Option<&FieldPath>,
) -> Option<(Option<Tags>, Vec<String>)> {
    let can = part.abilities;
    if !can.read {
        return None;
    }
    let page = || ReadRequest { collection: collection.clone(), scope: Scope::Everything, after: None };
    let first = connector.read(page()).await.ok()?.records;
    let again = connector.read(page()).await.ok()?.records;
    let doubts = unseen(part, cursor, &first).into_iter().chain(unsteady(part, &first, &again)).collect();
    let one = first.into_iter().next().filter(|_| can.fetch && (can.update || can.delete));
    let Some(one) = one else { return Some((None, doubts)) };
    let began = Instant::now();
    let record = connector.fetch(collection.clone(), one.id).await.ok();
    let tags =
        record.map(|record| Tags { shown: record.tag.is_some(), took_ms: began.elapsed().as_millis() });
    Some((tags, doubts))
}

/// Places that are configured and that no record read has: misspelt, most likely.
fn unseen(part: &CollectionSide, cursor: Option<&FieldPath>, records: &[Observation]) -> Vec<String> {
    let docs: Vec<&serde_json::Value> = records.iter().filter_map(whole).collect();
    let [first, rest @ ..] = docs.as_slice() else { return Vec::new() };
    let Shape::Fields(map) = &part.shape else { return Vec::new() };
    let mut lacking = map.lacking(first);
    for doc in rest {
        let also = map.lacking(doc);
        lacking.retain(|field| also.contains(field));
    }
    let names = first.as_object().map(|members| members.keys().map(String::as_str).collect::<Vec<_>>());
    let names = one_line(&names.unwrap_or_default().join(", "));
    let read = match docs.len() {
        1 => "the one record that was read has no".to_owned(),
        many => format!("none of the {many} records that were read has"),
    };
    let fields = lacking.iter().filter_map(|field| {
        let path = map.path(field)?;
        Some(format!("{read} `{path}` (field `{field}`); the first has {names}"))
    });
    let cursor = cursor.filter(|path| docs.iter().all(|doc| path.get(doc).is_none()));
    let cursor = cursor.map(|path| {
        format!("{read} `{path}` (`cursor_field`): every poll would read everything; the first has {names}")
    });
    fields.chain(cursor).collect()
}

fn whole(shown: &Observation) -> Option<&serde_json::Value> {
    match &shown.content {
        Content::Whole(json) => Some(json),
        Content::Partial(_) | Content::Gone => None,
    }
}

/// Fields that a record showed otherwise when it was read again at once, though neither its
/// version nor its time of change is another. Each would be taken for an edit.
fn unsteady(part: &CollectionSide, first: &[Observation], again: &[Observation]) -> Vec<String> {
    let mut found = BTreeMap::new();
    for one in first {
        let same = |other: &&Observation| {
            (&other.id, &other.tag, other.modified) == (&one.id, &one.tag, one.modified)
        };
        let Some(other) = again.iter().find(same) else { continue };
        let (Some(before), Some(after)) = (whole(one), whole(other)) else { continue };
        let (Ok(before), Ok(after)) = (part.shape.read(before, false), part.shape.read(after, false)) else {
            continue;
        };
        for (field, _) in before.iter().filter(|(field, value)| after.get(*field) != Some(*value)) {
            found.entry(field.clone()).or_insert(&one.id);
        }
    }
    let told = |(field, id): (FieldName, &NativeId)| {
        let id = one_line(id.as_str());
        format!(
            "field `{field}` of record {id} differs between two reads, with nothing changed in between: each \
             would be taken for an edit; give it a type or `normalize` under which both are the same, or map \
             another field"
        )
    };
    found.into_iter().map(told).collect()
}

fn found(
    side: &SideName,
    collection: &CollectionName,
    part: &CollectionSide,
    seen: Seen,
    answer: Result<String, ReadError>,
) -> Found {
    let answers = answer.is_ok();
    let words = match answer {
        Ok(words) => words,
        Err(why) => crate::exit::in_one_line(&why),
    };
    Found {
        side: side.to_string(),
        collection: collection.to_string(),
        answers,
        words: one_line(&words),
        abilities: names(part.abilities),
        version_tags: seen.tags.map(|tags| tags.shown),
        warnings: warnings(part, seen).into_iter().chain(less(part)).collect(),
    }
}

type Has = fn(Abilities) -> bool;

/// Every ability by its name, as the table shows it.
const ABILITIES: [(&str, Has); 9] = [
    ("read", |a| a.read),
    ("changes", |a| a.incremental),
    ("fetch", |a| a.fetch),
    ("lookup", |a| a.lookup),
    ("create", |a| a.create),
    ("update", |a| a.update),
    ("delete", |a| a.delete),
    ("key", |a| a.idempotency_key),
    ("if-match", |a| a.precondition),
];

fn names(abilities: Abilities) -> Vec<&'static str> {
    ABILITIES.iter().filter(|(_, has)| has(abilities)).map(|(name, _)| *name).collect()
}

/// What cannot be done safely with a side, and what follows from it.
fn warnings(part: &CollectionSide, seen: Seen) -> Vec<String> {
    let can = part.abilities;
    let hook = seen.hook;
    let mut warnings = Vec::new();
    let protected = can.precondition && seen.tags.is_none_or(|tags| tags.shown);
    if (can.update || can.delete) && !protected {
        let why = if can.precondition {
            "its records come without a version tag"
        } else {
            "it takes no preconditions (If-Match)"
        };
        let window = match (seen.tags, part.poll_interval) {
            (Some(tags), _) => {
                format!("within about {} ms, the time of a read before each write", tags.took_ms.max(1))
            }
            (None, _) if can.fetch => "within the time of a read before each write".to_owned(),
            (None, Some(poll)) if !hook => format!("within about {} ms, the poll interval", poll.as_millis()),
            (None, _) => "since it was last heard of".to_owned(),
        };
        warnings.push(format!("{why}: a write can overwrite an unseen edit made {window}"));
    }
    if can.create && !can.idempotency_key && !can.lookup {
        warnings.push(
            "it has neither an idempotency key nor a look-up: a create whose answer is lost waits for a person"
                .to_owned(),
        );
    }
    if can.update && !can.idempotency_key && !can.fetch {
        warnings.push(
            "it has neither an idempotency key nor a fetch: an update whose answer is lost waits for a person"
                .to_owned(),
        );
    }
    if let Some(life) = can.key_valid_for
        && (can.create && !can.lookup || can.update && !can.fetch)
    {
        warnings.push(format!(
            "it remembers idempotency keys for {life:?} and has no look-up or no fetch: a write without an answer \
             that is older waits for a person"
        ));
    }
    // A subscriber is told and never asked: nothing is expected of it.
    let is_told = !can.fetch && !can.lookup;
    if !can.read && !hook && !is_told {
        warnings.push("it is neither read nor sends webhooks: edits made there are never seen".to_owned());
    }
    if can.read && part.full_interval.is_none() {
        warnings
            .push("it is read as a whole at the start only: later deletes there are not noticed".to_owned());
    }
    warnings
}

/// Fields of which the side holds less than we do, each with a value that shows it.
fn less(part: &CollectionSide) -> Vec<String> {
    let Shape::Fields(map) = &part.shape else { return Vec::new() };
    let of_field = |field| {
        map.findings(field, &[]).into_iter().map(move |finding| format!("field `{field}`: {finding}"))
    };
    map.fields().flat_map(of_field).collect()
}

fn show(screen: Screen, options: &FileArgs, plan: &Plan, report: &Report) {
    let file = options.file.display();
    screen.out(&format!(
        "{} {file}: {} is right\n",
        screen.paint(Tone::Good, "ok"),
        screen.paint(Tone::Head, &plan.name)
    ));
    for found in &report.sides {
        let (tone, mark) = if found.answers { (Tone::Good, "ok") } else { (Tone::Bad, "FAIL") };
        let place = screen.paint(Tone::Head, &format!("{} {}", found.side, found.collection));
        screen.out(&format!("{} {place}: {}", screen.paint(tone, mark), found.words));
    }
    screen.out("");
    let mut head = vec!["side", "collection"];
    head.extend(ABILITIES.iter().map(|(name, _)| *name));
    let row = |found: &Found| {
        let mut cells = vec![(Tone::Head, found.side.clone()), (Tone::Plain, found.collection.clone())];
        cells.extend(ABILITIES.iter().map(|(name, _)| {
            if *name == "if-match" && found.version_tags == Some(false) {
                (Tone::Warn, "no tags".to_owned())
            } else if found.abilities.contains(name) {
                (Tone::Good, "yes".to_owned())
            } else {
                (Tone::Faint, "-".to_owned())
            }
        }));
        cells
    };
    screen.table(&head, report.sides.iter().map(row).collect());
    let warned: Vec<&Found> = report.sides.iter().filter(|found| !found.warnings.is_empty()).collect();
    if !warned.is_empty() {
        screen.out("");
    }
    for found in warned {
        for warning in &found.warnings {
            let mark = screen.paint(Tone::Warn, "note");
            screen.out(&format!("{mark} {} {}: {warning}", found.side, found.collection));
        }
    }
}
