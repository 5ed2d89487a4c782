//! The phrases that events and decisions are told in. Text from outside goes through
//! `short`, so that it stays in its line.

use crate::line::short;
use crate::told::Unseen;
use chrono::Timelike;
use hms_sync_model::{
    Apart, Author, Change, Failure, FieldMap, FieldName, FieldResult, NativeId, Operation, ParkReason,
    RecordId, SideName, Source, Time, Value,
};
use hms_sync_resolver::Deletes;

/// Who made an edit.
pub(crate) fn who(author: &Author) -> String {
    match author {
        Author::Side(side) => side.to_string(),
        Author::Operator => "a person at hms-sync".to_owned(),
        Author::Join => "the joined record".to_owned(),
        Author::Engine => "hms-sync".to_owned(),
    }
}

fn whose(author: &Author) -> String {
    match author {
        Author::Side(side) => format!("{side}'s"),
        Author::Operator => "a person's".to_owned(),
        Author::Join => "the joined record's".to_owned(),
        Author::Engine => "hms-sync's".to_owned(),
    }
}

/// Events that left the log.
pub(crate) fn archived((first, last): (u64, u64), file: &str, by: &str, reason: &str) -> String {
    let (file, by, reason) = (short(file), short(by), short(reason));
    format!("events {first} to {last} were dropped, and are in {file}: approved by {by}, {reason}")
}

/// A record that was held, taken up at somebody's word.
pub(crate) fn taken_up(by: &str, reason: &str, unread: &[SideName]) -> String {
    let sides: Vec<&str> = unread.iter().map(SideName::as_str).collect();
    format!(
        "{} had it taken up from what its sides show, without the events that are lost: {}; to be read first: {}",
        short(by),
        short(reason),
        sides.join(", ")
    )
}

/// An erasure of a record's personal fields; `of` is the record where another tells of it.
pub(crate) fn erased(of: Option<&RecordId>, by: &str, reason: &str, fields: &[FieldName]) -> String {
    let names: Vec<&str> = fields.iter().map(FieldName::as_str).collect();
    let whose = of.map_or_else(String::new, |record| format!(" of {record}"));
    format!("{} erased {}{whose}: {}", short(by), names.join(", "), short(reason))
}

/// That what came of a record's first events is written down.
pub(crate) fn carried(upto: u64) -> String {
    let events = if upto == 1 { "its first event".to_owned() } else { format!("its first {upto} events") };
    format!("{events} came to this; they may be archived")
}

/// That a record and what a side has of it went separate ways.
pub(crate) fn unlinked(side: &SideName, apart: Option<&Apart>) -> String {
    let Some(Apart { id, by, reason }) = apart else {
        return format!("no longer tied to a record of {side}");
    };
    let what = id.as_ref().map_or_else(|| side.to_string(), |id| format!("{side}'s {}", short(id)));
    let by = by.as_ref().map_or_else(String::new, |by| format!(" by {}", short(by)));
    format!("taken apart from {what}{by}: {}", short(reason))
}

/// That they came together by a person's word.
pub(crate) fn linked(side: &SideName, id: Option<&NativeId>, by: &str, reason: &str) -> String {
    let what = id.map_or_else(|| format!("{side} again"), |id| format!("{side}'s {}", short(id)));
    format!("linked to {what} by {}: {}", short(by), short(reason))
}

/// Who is meant by the name of an author as the API has it: `clerk`, `clerk#1`, `@engine`.
pub fn author_words(name: &str) -> String {
    match name.split('#').next().unwrap_or_default() {
        "@engine" => "all sides agree".to_owned(),
        "@operator" => who(&Author::Operator),
        "@join" => who(&Author::Join),
        side => short(side),
    }
}

/// `10:41:07`, with the day if it is another one than that of `beside`. UTC.
pub(crate) fn clock(at: Time, beside: Time) -> String {
    let (at, beside) = (at.to_chrono(), beside.to_chrono());
    let form = if at.date_naive() == beside.date_naive() { "%H:%M:%S" } else { "%Y-%m-%d %H:%M:%S" };
    let fraction = if at.nanosecond() == 0 { "" } else { "%.3f" };
    at.format(&format!("{form}{fraction}")).to_string()
}

/// The changes that an edit's author had not been shown, told beside a time.
pub(crate) fn unseen(all: &[Unseen], beside: Time) -> Option<String> {
    let same = all.iter().any(|unseen| unseen.same);
    let told = all.iter().filter(|unseen| unseen.same == same);
    let mut found: Vec<String> = told.map(|unseen| change_of(unseen, beside)).collect();
    found.dedup();
    (!found.is_empty()).then(|| format!("had not yet seen {}", found.join(" and ")))
}

/// The changes that came in after an edit by people who had not been shown it.
pub(crate) fn later(all: &[Unseen], beside: Time) -> Option<String> {
    let found: Vec<String> = all.iter().map(|unseen| change_of(unseen, beside)).collect();
    (!found.is_empty()).then(|| format!("{} came in later", found.join(" and ")))
}

fn change_of(unseen: &Unseen, beside: Time) -> String {
    let (whose, at) = (whose(&unseen.by), clock(unseen.at, beside));
    match &unseen.field {
        None => format!("{whose} delete at {at}"),
        Some(field) if unseen.same => format!("{whose} change of {field} at {at}"),
        Some(_) => format!("{whose} change at {at}"),
    }
}

/// How we learnt of an edit, in a word.
pub(crate) fn from(source: &Source) -> &'static str {
    match source {
        Source::Page => " (poll)",
        Source::Webhook(_) => " (webhook)",
        Source::Answer => " (answer to our write)",
        Source::Fetch => " (read)",
        Source::Missing => " (missing from the full listing)",
        Source::Operator | Source::Person { .. } | Source::Engine => "",
    }
}

/// How we learnt of an edit, in a sentence.
pub(crate) fn origin(source: &Source) -> String {
    match source {
        Source::Page => "seen in a poll".to_owned(),
        Source::Webhook(Some(message)) => format!("told by a webhook, message {}", short(message.id())),
        Source::Webhook(None) => "told by a webhook without a message id".to_owned(),
        Source::Answer => "shown in the answer to our write".to_owned(),
        Source::Fetch => "seen when the record was read".to_owned(),
        Source::Missing => "missing from the full listing".to_owned(),
        Source::Operator => "by a person at hms-sync".to_owned(),
        Source::Person { by, reason } => format!("by {} at hms-sync: {}", short(by), short(reason)),
        Source::Engine => "noted by hms-sync".to_owned(),
    }
}

/// The name of a source, as in the API.
pub(crate) fn source_name(source: &Source) -> &'static str {
    match source {
        Source::Page => "page",
        Source::Webhook(_) => "webhook",
        Source::Answer => "answer",
        Source::Fetch => "read",
        Source::Missing => "missing",
        Source::Operator | Source::Person { .. } => "operator",
        Source::Engine => "engine",
    }
}

/// What an edit did to one field.
pub(crate) fn changed(field: &FieldName, change: &Change) -> String {
    let Change { before, after } = change;
    if before == after {
        return format!("left {field} at {}", short(after));
    }
    if before.is_blank() && after.is_blank() {
        return format!("left {field} empty");
    }
    if after.is_blank() {
        return format!("cleared {field} (was {})", short(before));
    }
    if before.is_blank() {
        return format!("set {field} to {}", short(after));
    }
    format!("set {field} to {} (was {})", short(after), short(before))
}

pub(crate) fn pair(field: &FieldName, value: &Value) -> String {
    format!("{field}={}", short(value))
}

/// What a write does.
pub(crate) fn intent(operation: Operation, fields: &FieldMap) -> String {
    // A field that a new record does not have need not be told.
    let told = fields.iter().filter(|(_, value)| operation != Operation::Create || !value.is_blank());
    let fields: Vec<String> = told.map(|(field, value)| pair(field, value)).collect();
    let colon = if fields.is_empty() { "" } else { " " };
    format!("{}{colon}{}", operation.as_str(), fields.join(", "))
}

/// What a side made of a field that it was sent; nothing if it took it.
pub(crate) fn remark(field: &FieldName, result: &FieldResult) -> Option<String> {
    match result {
        FieldResult::Taken => None,
        FieldResult::Reformatted(value) => Some(format!("; it writes {field} as {}", short(value))),
        FieldResult::Altered(value) => Some(format!("; it made {field} {} of it", short(value))),
        FieldResult::NotKept => Some(format!("; it did not keep {field}")),
    }
}

/// The name of what a side made of a field, as in the API.
pub(crate) fn result_name(result: Option<&FieldResult>) -> &'static str {
    match result {
        None | Some(FieldResult::Taken) => "taken",
        Some(FieldResult::Reformatted(_)) => "reformatted",
        Some(FieldResult::Altered(_)) => "altered",
        Some(FieldResult::NotKept) => "not_kept",
    }
}

/// Why a write came to nothing.
pub(crate) fn failed(side: &str, failure: Failure, words: &str) -> String {
    let words = short(words);
    match failure {
        Failure::Conflict => format!("{side} had changed it meanwhile, so nothing was written: {words}"),
        Failure::Exists => format!("{side} has such a record already: {words}"),
        Failure::Gone => format!("{side} no longer has it: {words}"),
        Failure::Rejected => format!("{side} refused it: {words}"),
        Failure::RetryLater => format!("{side} could not take it now, to be tried again: {words}"),
        Failure::Away => format!("{side} was away or asked for less, to be tried again: {words}"),
        Failure::NotApplied => format!("{side} was looked at: the write had not been done: {words}"),
        Failure::Unknown => format!("no answer from {side}, it may or may not have been done: {words}"),
    }
}

/// Why something was set aside, for whoever reads the line.
pub(crate) fn park_reason(reason: ParkReason) -> &'static str {
    match reason {
        ParkReason::Refused => "it was refused",
        ParkReason::OutOfRetries => "tried as often as is allowed",
        ParkReason::NotKept => "the old value stayed there",
        ParkReason::Altered => "something else was made of it",
        ParkReason::Unknown => "nobody can say whether it was done",
        ParkReason::AmbiguousMatch => "two records claim to be the same",
        ParkReason::IdReused => "the side has another record under its id",
        ParkReason::Manual => "a person has to decide",
        ParkReason::Unmappable => "it does not fit the side's form",
        ParkReason::Unreadable => "it cannot be read",
        ParkReason::HandlerFailed => "the handler failed as often as is allowed",
        ParkReason::MassDelete => "too many deletes at once",
        ParkReason::Malformed => "an event of it cannot be applied",
        ParkReason::Flapping => "two sides keep undoing each other",
        ParkReason::Regression => "many records stand as they did earlier",
    }
}

/// What decides whether a record is there that one deleted and another changed.
pub(crate) fn deletes(rule: Deletes) -> &'static str {
    match rule {
        Deletes::EditWins => "deleted and changed without knowing of each other: the change stands",
        Deletes::DeleteWins => "deleted and changed without knowing of each other: the delete stands",
        Deletes::Manual => "deleted and changed without knowing of each other: a person has to decide",
    }
}
