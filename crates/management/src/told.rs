//! An event as one line for a clerk: who did what, and what its author had not
//! yet seen. The only place where events become words; history, explain and the
//! API all read it from here.
//!
//! A [`Teller`] is shown a record's events in order and remembers the little it
//! needs for the next line: which writes are open, who has the record, and the
//! latest change of each field.

pub(crate) mod phrases;

use crate::line::short;
use hms_sync_model::{
    Actor, Author, Body, Edit, Event, FieldName, FieldResult, Lane, Operation, Released, SideName, Source,
    Time, VecMap,
};
use phrases::{changed, failed, from, intent, pair, park_reason, remark, who};
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
    /// For an edit: the changes of others that its author had not been shown.
    pub unseen: Vec<Unseen>,
}

/// A change that somebody else made and an edit's author had not been shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unseen {
    /// Who had made it.
    pub by: Author,
    /// Of which field; nothing if it was a delete.
    pub field: Option<FieldName>,
    /// Whether the edit and that change have to do with each other: a field of both, or a delete.
    pub same: bool,
    /// When it was written down.
    pub at: Time,
    /// Its version in the record's history.
    pub version: u64,
}

/// When a field was changed last by somebody.
#[derive(Debug, Clone, Copy)]
struct Latest {
    n: u64,
    at: Time,
    version: u64,
}

/// Tells one record's events, in order.
#[derive(Debug, Clone, Default)]
pub struct Teller {
    /// The last change of each field by each author, and the last delete of each.
    latest: VecMap<(Actor, Option<FieldName>), Latest>,
    /// Sides that were shown to have the record.
    linked: BTreeSet<SideName>,
    /// Writes and requests without an end, by the version of their event.
    open: VecMap<u64, String>,
    /// Whether it came in the middle: a side that it has not heard of may have the record.
    late: bool,
}

impl Teller {
    /// A teller who has heard nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// A teller who starts in the middle of a record's events. What it has not heard it
    /// leaves out.
    pub fn late() -> Self {
        Self { late: true, ..Self::default() }
    }

    /// The next event in words.
    pub fn tell(&mut self, event: &Event) -> Told {
        let kind = event.body.kind().as_str();
        if let Body::Edited { edit, id, source, .. } = &event.body {
            let side = edit.actor().as_side().cloned();
            let unseen = self.unseen(edit);
            let words = self.edited(event, edit, id.as_ref().map(short).as_deref(), source, &unseen);
            return Told { kind, side, words, unseen };
        }
        let (side, words) = self.told_write(event);
        Told { kind, side, words, unseen: Vec::new() }
    }

    /// What becomes of writes.
    fn told_write(&mut self, event: &Event) -> (Option<SideName>, String) {
        match &event.body {
            Body::Intended { side, operation, fields, .. } => {
                let words = format!("to {side}: {}", intent(*operation, fields));
                // What a create carries has just been told in full.
                let what = match operation {
                    Operation::Create => operation.as_str().to_owned(),
                    Operation::Update | Operation::Delete => intent(*operation, fields),
                };
                self.open.insert(event.version, what);
                (Some(side.clone()), words)
            }
            Body::Applied { side, of, id, results, .. } => {
                let words = self.applied(side, *of, id.as_ref().map(short), results);
                (Some(side.clone()), words)
            }
            Body::Failed { side, failure, words, .. } => {
                (Some(side.clone()), failed(side.as_str(), *failure, words))
            }
            Body::Confirmed { side, .. } => {
                (Some(side.clone()), format!("{side} was read and shows all of this"))
            }
            Body::Doubted { side, words, message, .. } => {
                let message = message.as_ref().map(|it| format!(" (message {})", short(it.id())));
                let (words, message) = (short(words), message.unwrap_or_default());
                (Some(side.clone()), format!("{side} will be read again: {words}{message}"))
            }
            Body::Unlinked { .. }
            | Body::Linked { .. }
            | Body::Joined { .. }
            | Body::Follows { .. }
            | Body::Restored { .. } => self.told_ties(&event.body),
            other => self.told_rest(event.version, other),
        }
    }

    /// Which native record is whose.
    fn told_ties(&mut self, body: &Body) -> (Option<SideName>, String) {
        match body {
            Body::Unlinked { side, apart } => {
                self.linked.remove(side);
                (Some(side.clone()), phrases::unlinked(side, apart.as_ref()))
            }
            Body::Linked { side, id, by, reason, .. } => {
                (Some(side.clone()), phrases::linked(side, id.as_ref(), by, reason))
            }
            Body::Joined { into, by, reason, .. } => {
                (None, format!("one with {into} from here on, by {}: {}", short(by), short(reason)))
            }
            Body::Restored { last } => {
                (None, format!("the log was put back from a backup that ended with event {last}"))
            }
            Body::Follows { of } => (None, format!("follows {of}, which had its place before")),
            _ => (None, String::new()),
        }
    }

    /// What people and handlers do, and the sync's own streams.
    fn told_rest(&mut self, version: u64, body: &Body) -> (Option<SideName>, String) {
        match body {
            Body::Parked { lane, parked } => {
                let tries = match parked.attempts {
                    0 => String::new(),
                    1 => " after 1 try".to_owned(),
                    n => format!(" after {n} tries"),
                };
                let (why, said) = (park_reason(parked.reason), short(&parked.words));
                let words = format!("{lane} set aside{tries}, {why}: {said}");
                (side_of(lane), words)
            }
            Body::Released { lane, action } => {
                let words = match action {
                    Released::Replay => format!("a person asked to try {lane} again"),
                    Released::Discard => format!("a person let {lane} be as it is"),
                    Released::PushOurs => format!("a person has ours written back to {lane}"),
                    Released::TakeTheirs => format!("a person says that {lane} is meant as it is"),
                };
                (side_of(lane), words)
            }
            Body::Queued { job, request } => {
                let what = format!("{} {}", request.method, short(&request.path));
                let words = format!("handler {job} asked for {what} at {}", request.target);
                self.open.insert(version, what);
                (Some(request.target.clone()), words)
            }
            Body::Handled { job, .. } => (None, format!("handler {job} is done with it")),
            Body::HandlerFailed { job, words } => (None, format!("handler {job} failed: {}", short(words))),
            Body::Cursor { side, cursor: None, next: Some(_), .. } => {
                (Some(side.clone()), format!("{side}: a page of the first listing was read"))
            }
            Body::Cursor { side, cursor, listed, .. } => {
                let to =
                    cursor.as_ref().map_or_else(String::new, |cursor| format!(" up to {}", short(cursor)));
                let all = if *listed { "; everything has been listed" } else { "" };
                (Some(side.clone()), format!("{side} was read{to}{all}"))
            }
            Body::Erased { of, by, reason, fields } => {
                (None, phrases::erased(of.as_ref(), by, reason, fields))
            }
            Body::TakenUp { by, reason, unread, .. } => (None, phrases::taken_up(by, reason, unread)),
            Body::Carried { upto, .. } => (None, phrases::carried(*upto)),
            Body::Archived { first, last, file, by, reason, .. } => {
                (None, phrases::archived((*first, *last), file, by, reason))
            }
            Body::Signing { key, words, .. } => {
                (None, format!("the log signs with {} from here on: {}", short(key), short(words)))
            }
            Body::Received { message } => (None, format!("webhook message {} taken in", short(message))),
            Body::Edited { .. }
            | Body::Intended { .. }
            | Body::Applied { .. }
            | Body::Failed { .. }
            | Body::Confirmed { .. }
            | Body::Doubted { .. }
            | Body::Unlinked { .. }
            | Body::Linked { .. }
            | Body::Joined { .. }
            | Body::Follows { .. }
            | Body::Restored { .. } => (None, String::new()),
        }
    }

    fn edited(
        &mut self,
        event: &Event,
        edit: &Edit,
        id: Option<&str>,
        source: &Source,
        unseen: &[Unseen],
    ) -> String {
        let side = edit.actor().as_side();
        let new = side.is_some_and(|side| self.linked.insert(side.clone()));
        let what = changes(edit, new && !self.late, id);
        let unseen = phrases::unseen(unseen, event.at).map_or_else(String::new, |words| format!("; {words}"));
        self.remember(event, edit);
        match source {
            Source::Person { by, reason } => {
                format!("{} at hms-sync {what}{unseen}: {}", short(by), short(reason))
            }
            _ => format!("{} {what}{unseen}{}", who(&edit.actor().author), from(source)),
        }
    }

    fn remember(&mut self, event: &Event, edit: &Edit) {
        let author = edit.actor();
        if matches!(author.author, Author::Engine) {
            if edit.changes.is_empty() {
                // Epochs that are over were folded: everybody has seen all of them.
                self.latest.retain(|(of, _), latest| latest.n > edit.context.count(of));
            }
            return;
        }
        let latest = Latest { n: edit.dot.n, at: event.at, version: event.version };
        for (field, change) in edit.changes.iter() {
            // The rest of a group is named and not changed.
            if change.before != change.after {
                self.latest.insert((author.clone(), Some(field.clone())), latest);
            }
        }
        if edit.deletes {
            self.latest.insert((author.clone(), None), latest);
            if let Some(side) = author.as_side() {
                self.linked.remove(side);
            }
        }
    }

    /// The changes of others that this edit's author had not been shown.
    fn unseen(&self, edit: &Edit) -> Vec<Unseen> {
        let mut found = Vec::new();
        if matches!(edit.actor().author, Author::Engine) {
            return found;
        }
        for ((author, field), Latest { n, at, version }) in self.latest.iter() {
            let seen = match field {
                Some(field) => edit.context_of(field).count(author),
                None => edit.context.count(author),
            };
            if author == edit.actor() || *n <= seen {
                continue;
            }
            let same = field.as_ref().is_none_or(|f| edit.deletes || edit.changes.contains_key(f));
            let (by, field) = (author.author.clone(), field.clone());
            found.push(Unseen { by, field, same, at: *at, version: *version });
        }
        found
    }

    fn applied(
        &mut self,
        side: &SideName,
        of: u64,
        id: Option<String>,
        results: &VecMap<FieldName, FieldResult>,
    ) -> String {
        let what = self.open.remove(&of).unwrap_or_else(|| format!("version {of}"));
        let fresh = id.is_some() && self.linked.insert(side.clone()) && !self.late;
        let id = id.filter(|_| fresh).map_or_else(String::new, |id| format!(", as its {id}"));
        let remarks: String = results.iter().filter_map(|(field, result)| remark(field, result)).collect();
        format!("{side} took it ({what}){id}{remarks}")
    }
}

fn changes(edit: &Edit, fresh: bool, id: Option<&str>) -> String {
    if edit.deletes {
        return "deleted it".to_owned();
    }
    let settled = matches!(edit.actor().author, Author::Engine);
    let known_as = id.filter(|_| fresh).map_or_else(String::new, |id| format!(" as its {id}"));
    if edit.changes.is_empty() && settled {
        return "noted that everybody has seen what came before the last link".to_owned();
    }
    if edit.changes.is_empty() {
        return format!("has it{known_as}, with nothing new");
    }
    if fresh || settled {
        let filled = edit.changes.iter().filter(|(_, c)| settled || !c.after.is_blank());
        let all: Vec<String> = filled.map(|(field, c)| pair(field, &c.after)).collect();
        let verb = if settled { "noted that all sides agree" } else { "has it" };
        return format!("{verb}{known_as}: {}", all.join(", "));
    }
    let news = edit.changes.iter().filter(|(_, c)| c.before != c.after);
    let all: Vec<String> = news.map(|(field, c)| changed(field, c)).collect();
    if all.is_empty() { "changed nothing of it".to_owned() } else { all.join(", ") }
}

fn side_of(lane: &Lane) -> Option<SideName> {
    match lane {
        Lane::Side(side) => Some(side.clone()),
        Lane::Job(_) | Lane::Request(_) => None,
    }
}
