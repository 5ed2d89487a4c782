//! An event as one line for a clerk: who did what, and what its author had not
//! yet seen. The only place where events become words; history, explain and the
//! API all read it from here.
//!
//! A [`Teller`] is shown a record's events in order and remembers the little it
//! needs for the next line: which writes are open, who has the record, and the
//! latest change of each field.

use crate::line::short;
use hms_sync_model::{
    Actor, Author, Body, Edit, Event, Failure, FieldMap, FieldName, FieldResult, Lane, Operation, RecordId,
    Released, SideName, Source, Value, VecMap,
};
use std::collections::BTreeSet;

/// An event in words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Told {
    /// The kind of event, as in the API: `edited`, `intended`, `applied`, …
    pub kind: &'static str,
    /// The side it is about, if it is about one.
    pub side: Option<SideName>,
    /// One line.
    pub words: String,
}

/// Tells one record's events, in order.
#[derive(Debug, Clone, Default)]
pub struct Teller {
    /// The last change of each field by each author, and the last delete of each.
    latest: VecMap<(Actor, Option<FieldName>), u64>,
    /// Sides that were shown to have the record.
    linked: BTreeSet<SideName>,
    /// Writes and requests without an end, by the version of their event.
    open: VecMap<u64, String>,
}

impl Teller {
    /// A teller who has heard nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// The next event in words.
    pub fn tell(&mut self, event: &Event) -> Told {
        let (kind, side, words) = match &event.body {
            Body::Edited { edit, id, source, .. } => {
                let side = edit.actor().as_side().cloned();
                let id = id.as_ref().map(short);
                let words = self.edited(edit, side.as_ref(), id.as_deref(), source);
                ("edited", side, words)
            }
            Body::Intended { side, operation, fields, .. } => {
                let words = format!("to {side}: {}", intent(*operation, fields));
                // What a create carries has just been told in full.
                let what = match operation {
                    Operation::Create => operation.as_str().to_owned(),
                    Operation::Update | Operation::Delete => intent(*operation, fields),
                };
                self.open.insert(event.version, what);
                ("intended", Some(side.clone()), words)
            }
            Body::Applied { side, of, id, results, .. } => {
                let words = self.applied(side, *of, id.as_ref().map(short), results);
                ("applied", Some(side.clone()), words)
            }
            Body::Failed { side, failure, words, .. } => {
                ("failed", Some(side.clone()), failed(side, *failure, words))
            }
            Body::Confirmed { side, .. } => {
                ("confirmed", Some(side.clone()), format!("{side} was read and shows all of this"))
            }
            Body::Doubted { side, words, .. } => {
                ("doubted", Some(side.clone()), format!("{side} will be read again: {}", short(words)))
            }
            other => self.told_rest(event.version, other),
        };
        Told { kind, side, words }
    }

    /// What people and handlers do, and the sync's own streams.
    fn told_rest(&mut self, version: u64, body: &Body) -> (&'static str, Option<SideName>, String) {
        match body {
            Body::Parked { lane, parked } => {
                let tries = match parked.attempts {
                    0 => String::new(),
                    1 => " after 1 try".to_owned(),
                    n => format!(" after {n} tries"),
                };
                let words = format!("{lane} set aside{tries}, {}: {}", parked.reason, short(&parked.words));
                ("parked", side_of(lane), words)
            }
            Body::Released { lane, action } => {
                let words = match action {
                    Released::Replay => format!("a person asked to try {lane} again"),
                    Released::Discard => format!("a person let {lane} be as it is"),
                };
                ("released", side_of(lane), words)
            }
            Body::Unlinked { side } => {
                self.linked.remove(side);
                ("unlinked", Some(side.clone()), format!("no longer tied to a record of {side}"))
            }
            Body::Queued { job, request } => {
                let what = format!("{} {}", request.method, short(&request.path));
                let words = format!("handler {job} asked for {what} at {}", request.target);
                self.open.insert(version, what);
                ("queued", Some(request.target.clone()), words)
            }
            Body::Handled { job, .. } => ("handled", None, format!("handler {job} is done with it")),
            Body::HandlerFailed { job, words } => {
                ("handler_failed", None, format!("handler {job} failed: {}", short(words)))
            }
            Body::Cursor { side, cursor: None, next: Some(_), .. } => {
                ("cursor", Some(side.clone()), format!("{side}: a page of the first listing was read"))
            }
            Body::Cursor { side, cursor, listed, .. } => {
                let to =
                    cursor.as_ref().map_or_else(String::new, |cursor| format!(" up to {}", short(cursor)));
                let all = if *listed { "; everything has been listed" } else { "" };
                ("cursor", Some(side.clone()), format!("{side} was read{to}{all}"))
            }
            Body::Erased { of, by, reason, fields } => {
                ("erased", None, erased(of.as_ref(), by, reason, fields))
            }
            Body::Received { message } => {
                ("received", None, format!("webhook message {} taken in", short(message)))
            }
            Body::Edited { .. }
            | Body::Intended { .. }
            | Body::Applied { .. }
            | Body::Failed { .. }
            | Body::Confirmed { .. }
            | Body::Doubted { .. } => ("event", None, String::new()),
        }
    }

    fn edited(&mut self, edit: &Edit, side: Option<&SideName>, id: Option<&str>, source: &Source) -> String {
        let fresh = side.is_some_and(|side| self.linked.insert(side.clone()));
        let what = changes(edit, fresh, id);
        let unseen = self.unseen(edit);
        self.remember(edit, side);
        format!("{} {what}{unseen}{}", who(&edit.actor().author), from(source))
    }

    fn remember(&mut self, edit: &Edit, side: Option<&SideName>) {
        let author = edit.actor();
        if matches!(author.author, Author::Engine) {
            return;
        }
        for field in edit.changes.keys() {
            self.latest.insert((author.clone(), Some(field.clone())), edit.dot.n);
        }
        if edit.deletes {
            self.latest.insert((author.clone(), None), edit.dot.n);
            if let Some(side) = side {
                self.linked.remove(side);
            }
        }
    }

    /// The changes of others that this edit's author had not been shown.
    fn unseen(&self, edit: &Edit) -> String {
        let mut same: Vec<String> = Vec::new();
        let mut other: Vec<String> = Vec::new();
        for ((author, field), n) in self.latest.iter() {
            let seen = match field {
                Some(field) => edit.context_of(field).count(author),
                None => edit.context.count(author),
            };
            if author == edit.actor() || *n <= seen {
                continue;
            }
            let whose = whose(&author.author);
            match field {
                None => same.push(format!("{whose} delete")),
                Some(field) if edit.deletes || edit.changes.contains_key(field) => {
                    same.push(format!("{whose} change of {field}"));
                }
                Some(_) => other.push(format!("{whose} change")),
            }
        }
        other.dedup();
        let found = if same.is_empty() { other } else { same };
        match found.as_slice() {
            [] => String::new(),
            found => format!("; had not yet seen {}", found.join(" and ")),
        }
    }

    fn applied(
        &mut self,
        side: &SideName,
        of: u64,
        id: Option<String>,
        results: &VecMap<FieldName, FieldResult>,
    ) -> String {
        let what = self.open.remove(&of).unwrap_or_else(|| format!("version {of}"));
        let fresh = id.is_some() && self.linked.insert(side.clone());
        let id = id.filter(|_| fresh).map_or_else(String::new, |id| format!(", as its {id}"));
        let remarks: String = results.iter().filter_map(|(field, result)| remark(field, result)).collect();
        format!("{side} took it ({what}){id}{remarks}")
    }
}

fn remark(field: &FieldName, result: &FieldResult) -> Option<String> {
    match result {
        FieldResult::Taken => None,
        FieldResult::Reformatted(value) => Some(format!("; it writes {field} as {}", short(value))),
        FieldResult::Altered(value) => Some(format!("; it made {field} {} of it", short(value))),
        FieldResult::NotKept => Some(format!("; it did not keep {field}")),
    }
}

fn who(author: &Author) -> String {
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

fn erased(of: Option<&RecordId>, by: &str, reason: &str, fields: &[FieldName]) -> String {
    let names: Vec<&str> = fields.iter().map(FieldName::as_str).collect();
    let whose = of.map_or_else(String::new, |record| format!(" of {record}"));
    format!("{} erased {}{whose}: {}", short(by), names.join(", "), short(reason))
}

/// How we learnt of an edit.
fn from(source: &Source) -> &'static str {
    match source {
        Source::Page => " (poll)",
        Source::Webhook(_) => " (webhook)",
        Source::Answer => " (answer to our write)",
        Source::Fetch => " (read)",
        Source::Missing => " (missing from the full listing)",
        Source::Operator | Source::Engine => "",
    }
}

fn changes(edit: &Edit, fresh: bool, id: Option<&str>) -> String {
    if edit.deletes {
        return "deleted it".to_owned();
    }
    let settled = matches!(edit.actor().author, Author::Engine);
    let known_as = id.filter(|_| fresh).map_or_else(String::new, |id| format!(" as its {id}"));
    if edit.changes.is_empty() {
        return format!("has it{known_as}, with nothing new");
    }
    if fresh || settled {
        let filled = edit.changes.iter().filter(|(_, c)| settled || !c.after.is_blank());
        let all: Vec<String> = filled.map(|(field, c)| pair(field, &c.after)).collect();
        let verb = if settled { "noted that all sides agree" } else { "has it" };
        return format!("{verb}{known_as}: {}", all.join(", "));
    }
    let all: Vec<String> =
        edit.changes.iter().map(|(field, c)| changed(field, &c.before, &c.after)).collect();
    all.join(", ")
}

fn changed(field: &FieldName, before: &Value, after: &Value) -> String {
    if after.is_blank() {
        return format!("cleared {field} (was {})", short(before));
    }
    if before.is_blank() {
        return format!("set {field} to {}", short(after));
    }
    format!("set {field} to {} (was {})", short(after), short(before))
}

fn pair(field: &FieldName, value: &Value) -> String {
    format!("{field}={}", short(value))
}

fn intent(operation: Operation, fields: &FieldMap) -> String {
    // A field that a new record does not have need not be told.
    let told = fields.iter().filter(|(_, value)| operation != Operation::Create || !value.is_blank());
    let fields: Vec<String> = told.map(|(field, value)| pair(field, value)).collect();
    let colon = if fields.is_empty() { "" } else { " " };
    format!("{}{colon}{}", operation.as_str(), fields.join(", "))
}

fn failed(side: &SideName, failure: Failure, words: &str) -> String {
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

fn side_of(lane: &Lane) -> Option<SideName> {
    match lane {
        Lane::Side(side) => Some(side.clone()),
        Lane::Job(_) | Lane::Request(_) => None,
    }
}
