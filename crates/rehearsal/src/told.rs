//! What is told of a rehearsal: the timeline, the writes, the conflicts. All of it is
//! read off the log's events; nothing is told that did not happen.
//!
//! `#7` is the seventh event of its record.

use hms_sync_engine::RecordState;
use hms_sync_model::{
    Author, Body, Edit, Event, FieldMap, FieldName, FieldResult, Operation, RecordId, Released, SideName,
    Source, Time, Value, VecMap,
};
use hms_sync_resolver::{Presence, Rules};
use std::collections::BTreeMap;
use std::fmt::Write;

/// How far to the right the outcomes stand, at most.
const LEFT_MAX: usize = 64;

/// A write to a side that has its outcome.
#[derive(Debug, Clone, PartialEq)]
pub struct Wrote {
    /// When the outcome came in.
    pub at: Time,
    /// Which record.
    pub record: RecordId,
    /// To which side.
    pub side: SideName,
    /// What it did.
    pub operation: Operation,
    /// The canonical values it carried.
    pub fields: FieldMap,
    /// Whether it was carried out.
    pub applied: bool,
    /// The outcome in words.
    pub outcome: String,
}

/// A field, or whether a record is there, where concurrent edits met.
#[derive(Debug, Clone, PartialEq)]
pub struct Conflict {
    /// Of which record.
    pub record: RecordId,
    /// `edit_edit`, `edit_delete` or `create_create`.
    pub kind: &'static str,
    /// Of which field; nothing if it is about the record itself.
    pub field: Option<FieldName>,
    /// What stands.
    pub value: Value,
    /// What does not, and who wanted it.
    pub losers: Vec<(String, Value)>,
    /// Why, in words.
    pub reason: String,
    /// What decided, by the name it has in the configuration.
    pub rule: &'static str,
}

#[derive(Debug)]
struct Line {
    at: Time,
    who: String,
    what: &'static str,
    /// The record, and values.
    subject: String,
    outcome: String,
}

/// All that was told so far.
#[derive(Debug, Default)]
pub(crate) struct Told {
    lines: Vec<Line>,
    pub(crate) wrote: Vec<Wrote>,
    pub(crate) conflicts: Vec<Conflict>,
    edits: BTreeMap<RecordId, Vec<(u64, Edit)>>,
    intents: BTreeMap<(RecordId, u64), (Operation, FieldMap)>,
}

/// One event, with what a person calls its record.
pub(crate) struct Heard<'a> {
    pub(crate) event: &'a Event,
    pub(crate) title: &'a str,
    pub(crate) rules: &'a Rules,
    /// The record with the event in it.
    pub(crate) state: &'a RecordState,
}

impl Told {
    /// Begins anew; what edits had seen of each other is still known.
    pub(crate) fn forget(&mut self) {
        self.lines.clear();
        self.wrote.clear();
        self.conflicts.clear();
    }

    /// The lines, times counted in seconds from `start`.
    pub(crate) fn timeline(&self, start: Time) -> String {
        let left = |line: &Line| {
            let seconds = line.at.since(start).as_secs();
            format!("{seconds:>4} {:<8} {:<8} {}", line.who, line.what, line.subject)
        };
        let lines: Vec<(String, &Line)> = self.lines.iter().map(|line| (left(line), line)).collect();
        let width = lines.iter().map(|(left, _)| left.chars().count()).max().unwrap_or(0).min(LEFT_MAX);
        let mut text = String::new();
        for (left, line) in lines {
            let row = format!("{left:<width$} {}", line.outcome);
            text.push_str(row.trim_end());
            text.push('\n');
        }
        text
    }

    fn line(&mut self, heard: &Heard<'_>, who: &str, what: &'static str, values: &str, outcome: String) {
        let name = format!("{}/{}", heard.event.record.collection(), heard.title);
        let subject = if values.is_empty() { name } else { format!("{name} {values}") };
        self.lines.push(Line { at: heard.event.at, who: who.to_owned(), what, subject, outcome });
    }

    /// Takes in one event of a record.
    pub(crate) fn hear(&mut self, heard: &Heard<'_>) {
        let (event, n) = (heard.event, heard.event.version);
        match &event.body {
            Body::Edited { edit, source, .. } => self.edited(heard, edit, source),
            Body::Intended { operation, fields, .. } => {
                self.intents.insert((event.record.clone(), n), (*operation, fields.clone()));
            }
            Body::Applied { side, of, results, .. } => {
                self.wrote(heard, side, *of, true, format!("applied #{n}{}", made_of(results)));
            }
            Body::Failed { side, of, failure, words } => {
                self.wrote(heard, side, *of, false, format!("{} #{n}: {words}", failure_word(*failure)));
            }
            Body::Confirmed { side, .. } => {
                let part = heard.state.sides.get(side);
                let all = part.is_some_and(|part| part.acked.covers(&heard.state.merged.clock));
                let what = if all { "in step" } else { "as known" };
                self.line(heard, side.as_str(), "read", "", format!("-> {what} #{n}"));
            }
            Body::Doubted { side, words, .. } => {
                self.line(heard, side.as_str(), "doubt", "", format!("-> read again #{n}: {words}"));
            }
            Body::Parked { lane, parked } => {
                let outcome = format!("-> {} #{n}: {}", parked.reason, parked.words);
                self.line(heard, &lane.to_string(), "park", "", outcome);
            }
            Body::Released { lane, action } => {
                let word = match action {
                    Released::Replay => "replayed",
                    Released::Discard => "given up",
                    Released::PushOurs => "ours pushed",
                    Released::TakeTheirs => "theirs taken",
                };
                self.line(heard, "operator", "release", &lane.to_string(), format!("-> {word} #{n}"));
            }
            Body::Unlinked { side, apart } => {
                let word = if apart.is_some() { "taken apart" } else { "unlinked" };
                self.line(heard, side.as_str(), "unlink", "", format!("-> {word} #{n}"));
            }
            Body::Linked { side, .. } => {
                self.line(heard, side.as_str(), "link", "", format!("-> linked #{n}"));
            }
            Body::Joined { .. } => {
                self.line(heard, "engine", "join", "", format!("-> one with another #{n}"));
            }
            Body::Follows { .. } => {
                self.line(heard, "engine", "follow", "", format!("-> after another #{n}"));
            }
            Body::Restored { .. }
            | Body::Queued { .. }
            | Body::Handled { .. }
            | Body::HandlerFailed { .. }
            | Body::Cursor { .. }
            | Body::Received { .. }
            | Body::Signing { .. }
            | Body::Erased { .. }
            | Body::Carried { .. }
            | Body::Archived { .. }
            | Body::TakenUp { .. } => {}
        }
    }

    fn wrote(&mut self, heard: &Heard<'_>, side: &SideName, of: u64, applied: bool, outcome: String) {
        let Some((operation, fields)) = self.intents.get(&(heard.event.record.clone(), of)).cloned() else {
            return;
        };
        self.line(heard, side.as_str(), operation.as_str(), &list(&fields), format!("<- {outcome}"));
        let (at, record, side) = (heard.event.at, heard.event.record.clone(), side.clone());
        self.wrote.push(Wrote { at, record, side, operation, fields, applied, outcome });
    }

    fn edited(&mut self, heard: &Heard<'_>, edit: &Edit, source: &Source) {
        let n = heard.event.version;
        let verb = if edit.deletes { "deleted" } else { "edited" };
        let (who, what, verb) = match &edit.actor().author {
            Author::Side(side) => (side.as_str(), source_word(source), verb),
            Author::Operator => ("operator", "command", verb),
            Author::Join => ("engine", "join", "joined"),
            Author::Engine if edit.changes.is_empty() => ("engine", "fold", "closed epochs folded"),
            Author::Engine => ("engine", "settle", "settled"),
        };
        let mut outcome = format!("-> {verb} #{n}");
        let met = self.concurrent(&heard.event.record, edit);
        if !met.is_empty() {
            let met: Vec<String> = met.iter().map(|n| format!("#{n}")).collect();
            write!(outcome, " (concurrent with {})", met.join(", ")).ok();
        }
        if !edit.certain {
            outcome.push_str(" (what its author had seen is not certain)");
        }
        let changed =
            edit.changes.iter().filter(|(_, c)| c.before != c.after || edit.actor().author == Author::Engine);
        let values: FieldMap = changed.map(|(field, c)| (field.clone(), c.after.clone())).collect();
        self.line(heard, who, what, &list(&values), outcome);
        self.edits.entry(heard.event.record.clone()).or_default().push((n, edit.clone()));
        if edit.actor().author != Author::Engine {
            self.decided(heard, edit);
        }
    }

    /// The edits before this one that its author had not seen, and that nobody since had.
    fn concurrent(&self, record: &RecordId, edit: &Edit) -> Vec<u64> {
        let before = self.edits.get(record).map(Vec::as_slice).unwrap_or_default();
        let unseen = |other: &Edit| {
            let fields = other.changes.keys().filter(|field| edit.changes.contains_key(*field));
            let unseen =
                |field: &FieldName| !edit.context_of(field).has(&other.dot) && changes(edit, other, field);
            let about_presence = edit.deletes != other.deletes && !edit.context.has(&other.dot);
            fields.into_iter().any(unseen) || about_presence
        };
        let passed = |dot| before.iter().any(|(_, later)| later.context.has(dot) && later.dot != *dot);
        let met = before.iter().filter(|(_, other)| {
            edit.actor() != other.actor()
                && unseen(other)
                && (!passed(&other.dot) || edit.deletes != other.deletes)
        });
        met.map(|(n, _)| *n).collect()
    }

    /// Where concurrent edits meet in what this one touched.
    fn decided(&mut self, heard: &Heard<'_>, edit: &Edit) {
        for conflict in heard.state.merged.conflicts(heard.rules) {
            let touched = conflict.field.as_ref().is_none_or(|field| edit.changes.contains_key(field));
            if !touched {
                continue;
            }
            let presence = heard.state.merged.presence(heard.rules);
            let (name, value, reason, rule) = if let Some(field) = &conflict.field {
                let decision = &conflict.decision;
                let (reason, rule) = (decision.reason.to_string(), decision.reason.name());
                (field.as_str(), decision.value.clone(), reason, rule)
            } else {
                let there = there(&Value::Bool(presence != Presence::Deleted));
                ("presence", there, presence_word(presence), "deletes")
            };
            let lost = conflict.decision.siblings.iter().filter(|(sibling, wins)| match &conflict.field {
                Some(_) => !wins,
                None => sibling.change.after != Value::Bool(presence != Presence::Deleted),
            });
            let losers: Vec<(String, Value)> = lost
                .map(|(sibling, _)| {
                    let value = &sibling.change.after;
                    let value = if conflict.field.is_none() { there(value) } else { value.clone() };
                    (sibling.dot.actor.to_string(), value)
                })
                .collect();
            let names: Vec<String> =
                losers.iter().map(|(who, value)| format!("{}@{who}", shown(value))).collect();
            let loser = if losers.len() > 1 { "losers" } else { "loser" };
            let why = format!("({reason}; {loser} {})", names.join(", "));
            self.line(heard, "engine", "resolve", &format!("{name}: {}", shown(&value)), why);
            let record = heard.event.record.clone();
            self.conflicts.retain(|known| known.record != record || known.field != conflict.field);
            let (kind, field) = (conflict.kind.as_str(), conflict.field);
            self.conflicts.push(Conflict { record, kind, field, value, losers, reason, rule });
        }
    }
}

/// Whether both have changed the field, and not just named it with its group.
fn changes(edit: &Edit, other: &Edit, field: &FieldName) -> bool {
    let changed = |edit: &Edit| edit.changes.get(field).is_some_and(|change| change.before != change.after);
    changed(edit) && changed(other)
}

/// Whether a record is there, in a word.
fn there(value: &Value) -> Value {
    Value::text(if *value == Value::Bool(false) { "deleted" } else { "present" })
}

fn presence_word(presence: Presence) -> String {
    match presence {
        Presence::Present | Presence::Unborn => "an edit wins over a delete",
        Presence::Deleted => "a delete wins over an edit",
        Presence::Undecided => "waits for a person",
    }
    .to_owned()
}

/// A value in one line.
fn shown(value: &Value) -> String {
    value.to_string().replace('\n', "⏎")
}

fn list(fields: &FieldMap) -> String {
    let all: Vec<String> = fields.iter().map(|(field, value)| format!("{field}={}", shown(value))).collect();
    all.join(" ")
}

fn source_word(source: &Source) -> &'static str {
    match source {
        Source::Page => "poll",
        Source::Webhook(_) => "webhook",
        Source::Answer => "answer",
        Source::Fetch => "read",
        Source::Missing => "missing",
        Source::Operator | Source::Person { .. } => "command",
        Source::Engine => "itself",
    }
}

fn failure_word(failure: hms_sync_model::Failure) -> &'static str {
    use hms_sync_model::Failure;
    match failure {
        Failure::RetryLater => "later",
        Failure::Away => "away",
        Failure::Unknown => "no answer",
        Failure::Conflict => "changed there meanwhile",
        Failure::Rejected => "refused",
        Failure::Exists => "exists",
        Failure::Gone => "gone",
        Failure::NotApplied => "not carried out",
    }
}

fn made_of(results: &VecMap<FieldName, FieldResult>) -> String {
    let words = results.iter().filter_map(|(field, result)| match result {
        FieldResult::Taken => None,
        FieldResult::Reformatted(value) => Some(format!(", {field} as {value} (reformatted)")),
        FieldResult::Altered(value) => Some(format!(", {field} as {value} (altered)")),
        FieldResult::NotKept => Some(format!(", {field} not kept")),
    });
    words.collect()
}
