//! What became of the writes to each side, from the intent to what was read back.

use crate::answers::{Noted, WriteStory};
use crate::line::short;
use crate::told::phrases::{failed, intent, park_reason, remark, result_name};
use hms_sync_model::{
    Body, Event, Failure, FieldMap, FieldName, FieldResult, Lane, Operation, ParkReason, Released, SideName,
    Value, VecMap,
};
use serde_json::json;

/// Writes that are remembered for each side.
const WRITES_MAX: usize = 100;

/// How a write stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Open,
    Applied,
    Failed,
    Superseded,
}

impl End {
    fn name(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Applied => "applied",
            Self::Failed => "failed",
            Self::Superseded => "superseded",
        }
    }
}

#[derive(Debug)]
struct Write {
    version: u64,
    at: String,
    operation: Operation,
    fields: FieldMap,
    tries: Vec<Noted>,
    end: End,
    applied: Option<Noted>,
    results: VecMap<FieldName, FieldResult>,
    read_back: Option<Noted>,
}

/// The writes to each side, in order.
#[derive(Debug, Default)]
pub(super) struct Writes(VecMap<SideName, Vec<Write>>);

fn noted(event: &Event, kind: &str, words: String) -> Noted {
    Noted { version: event.version, at: event.at.to_string(), kind: kind.to_owned(), words }
}

impl Writes {
    /// Takes in what an event says about writes.
    pub(super) fn take(&mut self, event: &Event) {
        match &event.body {
            Body::Intended { side, operation, fields, .. } => self.intended(event, side, *operation, fields),
            Body::Applied { side, of, results, .. } => self.applied(event, side, *of, results),
            Body::Failed { side, of, failure, words } => self.failed(event, side, *of, *failure, words),
            Body::Confirmed { side, .. } => self.confirmed(event, side),
            Body::Parked { lane: Lane::Side(side), parked } => {
                let words = format!("set aside, {}: {}", park_reason(parked.reason), short(&parked.words));
                let fields = if parked.reason == ParkReason::NotKept { &parked.fields[..] } else { &[] };
                if let Some(write) = self.last(side) {
                    write.tries.push(noted(event, "parked", words));
                    for field in fields {
                        write.results.insert(field.clone(), FieldResult::NotKept);
                    }
                }
            }
            Body::Released { lane: Lane::Side(side), action } => {
                let (kind, words) = match action {
                    Released::Replay => ("replay", "a person asked to try it again"),
                    Released::Discard => ("discard", "a person let it be as it is"),
                    Released::PushOurs => ("push_ours", "a person has ours written back"),
                    Released::TakeTheirs => ("take_theirs", "a person says that it is meant as it is"),
                };
                if let Some(write) = self.last(side) {
                    write.tries.push(noted(event, kind, words.to_owned()));
                }
            }
            // What was written before says nothing of what sides hold since.
            Body::TakenUp { .. } => self.0.clear(),
            _ => {}
        }
    }

    fn last(&mut self, side: &SideName) -> Option<&mut Write> {
        self.0.get_mut(side)?.last_mut()
    }

    fn numbered(&mut self, side: &SideName, of: u64) -> Option<&mut Write> {
        self.0.get_mut(side)?.iter_mut().rfind(|write| write.version == of)
    }

    fn intended(&mut self, event: &Event, side: &SideName, operation: Operation, fields: &FieldMap) {
        let all = self.0.entry_or(side.clone(), Vec::new);
        if let Some(last) = all.last_mut().filter(|last| last.end == End::Open) {
            last.end = End::Superseded;
        }
        if all.len() >= WRITES_MAX {
            all.remove(0);
        }
        all.push(Write {
            version: event.version,
            at: event.at.to_string(),
            operation,
            fields: fields.clone(),
            tries: Vec::new(),
            end: End::Open,
            applied: None,
            results: VecMap::new(),
            read_back: None,
        });
    }

    fn applied(&mut self, event: &Event, side: &SideName, of: u64, results: &VecMap<FieldName, FieldResult>) {
        if let Some(write) = self.numbered(side, of) {
            write.end = End::Applied;
            write.applied = Some(noted(event, "applied", format!("{side} took it")));
            write.results = results.clone();
        }
    }

    fn failed(&mut self, event: &Event, side: &SideName, of: u64, failure: Failure, words: &str) {
        if let Some(write) = self.numbered(side, of) {
            let kind = json!(failure);
            write.tries.push(noted(
                event,
                kind.as_str().unwrap_or_default(),
                failed(side.as_str(), failure, words),
            ));
            if !matches!(failure, Failure::RetryLater | Failure::Away | Failure::Unknown) {
                write.end = End::Failed;
            }
        }
    }

    fn confirmed(&mut self, event: &Event, side: &SideName) {
        let Some(write) = self.last(side).filter(|write| write.end == End::Applied) else { return };
        write.results.retain(|_, result| *result != FieldResult::NotKept);
        if write.read_back.is_none() {
            write.read_back = Some(noted(event, "confirmed", format!("{side} was read and shows it")));
        }
    }

    /// The writes to a side that carried a field, or deleted the record, from a version on.
    pub(super) fn of(&self, side: &SideName, field: &FieldName, since: u64) -> Vec<WriteStory> {
        let all = self.0.get(side).map_or(&[][..], Vec::as_slice).iter();
        let carried = |write: &&Write| {
            write.version > since
                && (write.operation == Operation::Delete || write.fields.contains_key(field))
        };
        all.filter(carried).map(|write| write.story(side, field)).collect()
    }
}

impl Write {
    fn story(&self, side: &SideName, field: &FieldName) -> WriteStory {
        let value = self.fields.get(field).cloned().unwrap_or_default();
        let alone: FieldMap = self
            .fields
            .iter()
            .filter(|(name, _)| *name == field)
            .map(|(f, v)| (f.clone(), v.clone()))
            .collect();
        let result = self.results.get(field);
        let shows = match result {
            Some(FieldResult::Reformatted(shown) | FieldResult::Altered(shown)) => Some(shown.to_json()),
            Some(FieldResult::Taken | FieldResult::NotKept) | None => None,
        };
        let remark = result.and_then(|result| remark(field, result)).unwrap_or_default();
        let told = |noted: &Noted| Noted { words: format!("{}{remark}", noted.words), ..noted.clone() };
        WriteStory {
            version: self.version,
            at: self.at.clone(),
            operation: self.operation.as_str().to_owned(),
            value: Value::to_json(&value),
            words: format!("to {side}: {}", intent(self.operation, &alone)),
            tries: self.tries.clone(),
            outcome: self.end.name().to_owned(),
            applied: self.applied.as_ref().map(told),
            answer: self.applied.as_ref().map(|_| result_name(result).to_owned()),
            shows,
            read_back: self.read_back.clone(),
        }
    }
}
