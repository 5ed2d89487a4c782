//! What was expected beside what came, field by field, with the reason of the decision.

use hms_sync_config::{Expect, ExpectedConflict, ExpectedMerge, ExpectedWrite};
use hms_sync_engine::RecordState;
use hms_sync_model::{FieldMap, FieldName, Operation, SideName, Value};
use hms_sync_rehearsal::{Conflict, Wrote};
use hms_sync_resolver::{Presence, Rules};
use serde::Serialize;
use serde_json::Value as Json;
use std::collections::{BTreeMap, BTreeSet};

/// One thing that did not come as expected.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Mismatch {
    /// `merged`, `writes to marshal`, `conflicts`.
    pub(crate) of: String,
    /// The field, `record`, or a path in a document.
    pub(crate) field: String,
    pub(crate) expected: String,
    pub(crate) found: String,
    /// Why it came so.
    pub(crate) why: Option<String>,
}

/// What came of a test.
pub(crate) struct Came<'a> {
    pub(crate) rules: &'a Rules,
    pub(crate) state: &'a RecordState,
    pub(crate) merged: &'a FieldMap,
    pub(crate) writes: &'a [Wrote],
    pub(crate) conflicts: &'a [Conflict],
    /// The record on each side that has it.
    pub(crate) docs: &'a BTreeMap<SideName, Json>,
}

/// All that did not come as expected.
pub(crate) fn compare(expect: &Expect, came: &Came<'_>) -> Vec<Mismatch> {
    let mut found = Vec::new();
    match &expect.merged {
        Some(ExpectedMerge::Deleted) => found.extend(deleted(came)),
        Some(ExpectedMerge::Fields(fields)) => merged(fields, came, &mut found),
        None => {}
    }
    for (side, expected) in &expect.writes {
        write(side, expected, came, &mut found);
    }
    if let Some(expected) = &expect.conflicts {
        conflicts(expected, came, &mut found);
    }
    found
}

fn told(value: Option<&Value>) -> String {
    match value {
        None | Some(Value::Absent | Value::Null) => "(nothing)".to_owned(),
        Some(Value::Text(text)) if text.is_empty() => "(empty)".to_owned(),
        Some(value) => hms_sync_management::one_line(&value.to_string()),
    }
}

/// Equal, or both nothing.
fn same(a: Option<&Value>, b: Option<&Value>) -> bool {
    let there = |value: Option<&Value>| value.filter(|v| !matches!(v, Value::Absent | Value::Null)).cloned();
    there(a) == there(b)
}

fn deleted(came: &Came<'_>) -> Option<Mismatch> {
    let presence = came.state.merged.presence(came.rules);
    let there = match presence {
        Presence::Deleted => return None,
        Presence::Undecided => "a person has to decide whether it is there",
        Presence::Present | Presence::Unborn => "the record is there",
    };
    let why = came.conflicts.iter().find(|met| met.field.is_none()).map(|met| met.reason.clone());
    let (of, field) = ("merged".to_owned(), "record".to_owned());
    Some(Mismatch { of, field, expected: "deleted".to_owned(), found: there.to_owned(), why })
}

fn merged(fields: &FieldMap, came: &Came<'_>, found: &mut Vec<Mismatch>) {
    if came.state.merged.presence(came.rules) == Presence::Deleted {
        let (of, field) = ("merged".to_owned(), "record".to_owned());
        let (expected, there) = ("the record is there".to_owned(), "deleted".to_owned());
        let why = came.conflicts.iter().find(|met| met.field.is_none()).map(|met| met.reason.clone());
        found.push(Mismatch { of, field, expected, found: there, why });
        return;
    }
    for (field, expected) in fields.iter() {
        let there = came.merged.get(field);
        if !same(Some(expected), there) {
            found.push(Mismatch {
                of: "merged".to_owned(),
                field: field.to_string(),
                expected: told(Some(expected)),
                found: told(there),
                why: Some(why(field, came)),
            });
        }
    }
}

/// Why a field has its value: the rule that decided when edits met, or what holds now.
fn why(field: &FieldName, came: &Came<'_>) -> String {
    match came.conflicts.iter().find(|met| met.field.as_ref() == Some(field)) {
        Some(met) => {
            let lost: Vec<String> =
                met.losers.iter().map(|(who, v)| format!("{} of {who}", told(Some(v)))).collect();
            let why = if met.reason == met.rule { String::new() } else { format!(" ({})", met.reason) };
            format!("{}{why}; not {}", met.rule, lost.join(", "))
        }
        None => came.state.merged.decide(came.rules, field).reason.sentence(),
    }
}

fn write(side: &SideName, expected: &ExpectedWrite, came: &Came<'_>, found: &mut Vec<Mismatch>) {
    let of = format!("writes to {side}");
    let applied = || came.writes.iter().filter(|wrote| wrote.side == *side && wrote.applied);
    let mut miss = |field: String, expected: String, there: String| {
        found.push(Mismatch { of: of.clone(), field, expected, found: there, why: None });
    };
    let deletes = applied().any(|wrote| wrote.operation == Operation::Delete);
    match expected {
        ExpectedWrite::Nothing => {
            for wrote in applied() {
                miss("record".to_owned(), "nothing".to_owned(), list(wrote));
            }
        }
        ExpectedWrite::Delete => {
            if !deletes {
                let all: Vec<String> = applied().map(list).collect();
                let there = if all.is_empty() { "nothing".to_owned() } else { all.join(", then ") };
                miss("record".to_owned(), "delete".to_owned(), there);
            }
        }
        ExpectedWrite::Fields(fields) => {
            let mut written = FieldMap::new();
            for (field, value) in applied().flat_map(|wrote| wrote.fields.iter()) {
                written.insert(field.clone(), value.clone());
            }
            let names: BTreeSet<&FieldName> = fields.keys().chain(written.keys()).collect();
            for name in names {
                let (wanted, there) = (fields.get(name), written.get(name));
                if !same(wanted, there) || wanted.is_some() && there.is_none() {
                    let expected = wanted.map_or_else(|| "not written".to_owned(), |value| told(Some(value)));
                    let there = there.map_or_else(|| "not written".to_owned(), |value| told(Some(value)));
                    miss(name.to_string(), expected, there);
                }
            }
            if deletes {
                miss("record".to_owned(), "there".to_owned(), "deleted".to_owned());
            }
        }
        ExpectedWrite::Raw(doc) => match came.docs.get(side) {
            Some(there) => differing("", doc, Some(there), &mut miss),
            None => miss("record".to_owned(), doc.to_string(), "not there".to_owned()),
        },
    }
}

fn list(wrote: &Wrote) -> String {
    let fields: Vec<String> =
        wrote.fields.iter().map(|(field, value)| format!("{field}={}", told(Some(value)))).collect();
    format!("{} {}", wrote.operation.as_str(), fields.join(" ")).trim_end().to_owned()
}

/// Where a document does not say what another one says.
fn differing(path: &str, wanted: &Json, there: Option<&Json>, miss: &mut impl FnMut(String, String, String)) {
    if let (Json::Object(members), Some(Json::Object(_)) | None) = (wanted, there) {
        for (key, member) in members {
            let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
            differing(&path, member, there.and_then(|there| there.get(key)), miss);
        }
    } else if there != Some(wanted) {
        let there = there.map_or_else(|| "not there".to_owned(), Json::to_string);
        miss(path.to_owned(), wanted.to_string(), there);
    }
}

fn place(field: Option<&FieldName>) -> String {
    field.map_or_else(|| "record".to_owned(), ToString::to_string)
}

fn conflicts(expected: &[ExpectedConflict], came: &Came<'_>, found: &mut Vec<Mismatch>) {
    let mut miss = |field: Option<&FieldName>, expected: String, there: String, why: Option<String>| {
        let (of, field) = ("conflicts".to_owned(), place(field));
        found.push(Mismatch { of, field, expected, found: there, why });
    };
    for wanted in expected {
        let field = wanted.field.as_ref();
        match came.conflicts.iter().find(|met| met.field.as_ref() == field) {
            None => miss(field, "a conflict".to_owned(), "none".to_owned(), None),
            Some(met) => {
                let (one, other) = (described(wanted), as_described(met, wanted));
                if one != other {
                    miss(field, one, other, Some(met.reason.clone()));
                }
            }
        }
    }
    for met in came.conflicts.iter().filter(|met| !expected.iter().any(|wanted| wanted.field == met.field)) {
        let lost: Vec<String> =
            met.losers.iter().map(|(who, v)| format!("{} of {who}", told(Some(v)))).collect();
        let there = format!("{}: {} stands, not {}", met.kind, told(Some(&met.value)), lost.join(", "));
        miss(met.field.as_ref(), "none".to_owned(), there, Some(met.reason.clone()));
    }
}

/// What is expected of a conflict, in one line.
fn described(wanted: &ExpectedConflict) -> String {
    let losers = wanted.losers.iter().map(|(side, value)| format!("not {} of {side}", told(Some(value))));
    let parts = [
        wanted.kind.clone(),
        wanted.value.as_ref().map(|value| format!("{} stands", told(Some(value)))),
        wanted.rule.clone().map(|rule| format!("by {rule}")),
    ];
    parts.into_iter().flatten().chain(losers).collect::<Vec<_>>().join(", ")
}

/// The same of what came, as far as something is expected of it.
fn as_described(met: &Conflict, wanted: &ExpectedConflict) -> String {
    let lost =
        |side: &SideName| met.losers.iter().find(|(who, _)| who.split('#').next() == Some(side.as_str()));
    let losers = wanted.losers.iter().map(|(side, _)| match lost(side) {
        Some((_, value)) => format!("not {} of {side}", told(Some(value))),
        None => format!("nothing of {side} lost"),
    });
    let parts = [
        wanted.kind.as_ref().map(|_| met.kind.to_owned()),
        wanted.value.as_ref().map(|_| format!("{} stands", told(Some(&met.value)))),
        wanted.rule.as_ref().map(|_| format!("by {}", met.rule)),
    ];
    parts.into_iter().flatten().chain(losers).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn documents_differ_by_their_paths() {
        let mut found = Vec::new();
        let wanted = json!({ "a": { "b": 1, "c": "x" }, "d": null });
        let there = json!({ "a": { "b": 2, "c": "x", "e": 1 } });
        differing("", &wanted, Some(&there), &mut |path, wanted, there| found.push((path, wanted, there)));
        let text = |a: &str, b: &str, c: &str| (a.to_owned(), b.to_owned(), c.to_owned());
        assert_eq!(found, [text("a.b", "1", "2"), text("d", "null", "not there")]);
    }
}
