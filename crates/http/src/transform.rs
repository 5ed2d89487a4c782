//! Records as they are made before anything else looks at them: fields that are computed, and
//! fields that are taken out. What comes of a record depends on it and on what a listing asked for
//! to be shown it, never on a clock or on another record, so that one read twice is one and the
//! same.

mod around;
mod removal;

pub(crate) use around::{Around, RANGE};

use crate::formula::{self, Formula, single};
use crate::partition::NAMES;
use crate::select::RECORD_MAX;
use crate::shape;
use crate::spec::{AddedField, Expression, FieldPath, HttpCollection, Transformation};
use crate::template::{self, Compiled};
use minijinja::Value;
use removal::Removal;
use serde_json::Value as Json;

/// The most fields that are made and taken out.
const FIELDS_MAX: usize = 500;

/// What is made of each record.
#[derive(Debug)]
pub(crate) struct Transform(Vec<Step>);

#[derive(Debug)]
enum Step {
    Add(Option<Formula>, Vec<(FieldPath, Made)>),
    Remove(Removal),
}

/// What a field is made by.
#[derive(Debug)]
pub(crate) enum Made {
    /// A single expression: it keeps its type.
    Typed(Formula),
    /// The same behind statements.
    Ending(Compiled),
    Text(Compiled),
}

impl Transform {
    /// The error says what is wrong.
    pub(crate) fn new(spec: &[Transformation]) -> Result<Option<Self>, String> {
        let mut steps = Vec::new();
        let mut count = 0;
        for one in spec {
            steps.push(match one {
                Transformation::AddFields { fields, condition } => {
                    count += fields.len();
                    let fields = fields.iter().map(added).collect::<Result<_, _>>()?;
                    let known: Vec<&str> = known().chain(["value", "path"]).collect();
                    Step::Add(when(condition.as_ref(), &known)?, fields)
                }
                Transformation::RemoveFields { field_pointers, condition } => {
                    count += field_pointers.len();
                    Step::Remove(Removal::new(field_pointers, condition.as_ref())?)
                }
            });
        }
        if count > FIELDS_MAX {
            return Err(format!("has more than {FIELDS_MAX} fields"));
        }
        Ok((!steps.is_empty()).then_some(Self(steps)))
    }

    /// Whether what stands at `path` may be another after it.
    pub(crate) fn touches(&self, path: &FieldPath) -> bool {
        let touched = |other: &FieldPath| path.parts().zip(other.parts()).all(|(a, b)| a == b);
        self.0.iter().any(|step| match step {
            Step::Add(_, fields) => fields.iter().any(|(other, _)| touched(other)),
            Step::Remove(removal) => removal.touches(path),
        })
    }

    /// Whether anything that is added names this.
    pub(crate) fn names(&self, name: &str) -> bool {
        self.0.iter().any(|step| match step {
            Step::Add(when, fields) => {
                when.as_ref().is_some_and(|when| when.uses(name))
                    || fields.iter().any(|(_, made)| made.names(name))
            }
            Step::Remove(_) => false,
        })
    }

    /// What is wrong with it in a collection, if anything is.
    pub(crate) fn fits(&self, spec: &HttpCollection) -> Result<(), String> {
        let mut members = Vec::new();
        for step in &self.0 {
            let Step::Add(when, fields) = step else { continue };
            for name in NAMES {
                members.extend(when.iter().flat_map(|when| when.members_of(name)));
                members.extend(fields.iter().flat_map(|(_, made)| made.members_of(name)));
            }
        }
        around::misfit(spec, |name| self.names(name), &members)
    }

    /// Of a record that is not whole nothing is made: what it is made of may be missing. Nor is
    /// what names a partition or a range where none is known. The error is a part of a line for
    /// people.
    pub(crate) fn apply(
        &self,
        record: &mut Json,
        is_whole: bool,
        around: Option<&Around>,
    ) -> Result<(), String> {
        if !record.is_object() {
            return Ok(());
        }
        let mut room = RECORD_MAX;
        for step in &self.0 {
            match step {
                Step::Add(when, fields) if is_whole => {
                    if around.is_none() && when.as_ref().is_some_and(|when| abroad(|name| when.uses(name))) {
                        continue;
                    }
                    for (path, made) in fields {
                        if around.is_some() || !abroad(|name| made.names(name)) {
                            add(record, when.as_ref(), (path, made), around, &mut room)?;
                        }
                    }
                }
                Step::Remove(removal) => removal.apply(record)?,
                Step::Add(..) => {}
            }
        }
        Ok(())
    }
}

impl Made {
    fn of(&self, record: &Json, around: &Around) -> Result<Json, String> {
        match self {
            Self::Typed(formula) => {
                let with = around.names(formula::value(record), false, &[]);
                formula::json(&formula.of(&with).map_err(|e| e.to_string())?)
            }
            Self::Ending(text) => {
                let with = around.names(formula::value(record), false, &[]);
                formula::json(&text.end(&with).map_err(|e| e.to_string())?)
            }
            Self::Text(text) => {
                let with = around.names(template::value(record), true, &[]);
                Ok(Json::String(text.fill(&with).map_err(|e| e.to_string())?.into_owned()))
            }
        }
    }

    fn names(&self, name: &str) -> bool {
        match self {
            Self::Typed(formula) => formula.uses(name),
            Self::Ending(text) | Self::Text(text) => text.uses(name),
        }
    }

    fn members_of(&self, name: &str) -> Vec<String> {
        match self {
            Self::Typed(formula) => formula.members_of(name),
            Self::Ending(text) | Self::Text(text) => text.members_of(name),
        }
    }
}

/// A field, and what it is made by; the error says what is wrong.
pub(crate) fn added(spec: &AddedField) -> Result<(FieldPath, Made), String> {
    single_place(&spec.path)?;
    let (text, known) = (spec.value.as_str(), known().collect::<Vec<_>>());
    let made = match (single(text), Compiled::ending(text, &known)) {
        (Some(_), _) => Formula::new(text, &known).map(Made::Typed),
        (None, Some(ending)) => ending.map(Made::Ending),
        (None, None) => Compiled::lenient(text, &known).map(Made::Text),
    };
    Ok((spec.path.clone(), made.map_err(|why| format!("`{}`: {why}", spec.path))?))
}

/// What is made may name these.
fn known() -> impl Iterator<Item = &'static str> {
    ["record"].into_iter().chain(NAMES).chain(RANGE)
}

/// Whether something names what only a listing knows.
fn abroad(names: impl Fn(&str) -> bool) -> bool {
    NAMES.iter().chain(&RANGE).any(|name| names(name))
}

/// A condition that may name these.
fn when(condition: Option<&Expression>, known: &[&str]) -> Result<Option<Formula>, String> {
    condition.map(|text| Formula::new(text.as_str(), known).map_err(|e| e.to_string())).transpose()
}

/// Puts a field into a record where `when` is true, which may ask what it would be.
fn add(
    record: &mut Json,
    when: Option<&Formula>,
    (path, made): (&FieldPath, &Made),
    around: Option<&Around>,
    room: &mut usize,
) -> Result<(), String> {
    let nowhere = Around::default();
    let around = around.unwrap_or(&nowhere);
    let asks = when.is_some_and(|formula| formula.uses("value") || formula.uses("path"));
    if let Some(formula) = when.filter(|_| !asks)
        && !told(formula, &around.names(formula::value(record), false, &[]))?
    {
        return Ok(());
    }
    let bad = |why: String| format!("has no `{path}`, which `transformations` make: {why}");
    let value = made.of(record, around).map_err(bad)?;
    if let Some(formula) = when.filter(|_| asks) {
        let path: Vec<String> = path.parts().map(str::to_owned).collect();
        let more = [("value", formula::value(&value)), ("path", Value::from(path))];
        if !told(formula, &around.names(formula::value(record), false, &more))? {
            return Ok(());
        }
    }
    *room = room
        .checked_sub(size(&value))
        .ok_or_else(|| bad(format!("all that is made has {RECORD_MAX} bytes at most")))?;
    shape::put(record, path.parts(), value);
    Ok(())
}

fn single_place(path: &FieldPath) -> Result<(), String> {
    if path.is_empty() || path.has_wildcard() || path.parts().any(|part| part == "**") {
        return Err(format!("`{path}` names no single field"));
    }
    Ok(())
}

fn holds(when: Option<&Formula>, record: &Json) -> Result<bool, String> {
    when.map_or(Ok(true), |formula| {
        told(formula, &Around::default().names(formula::value(record), false, &[]))
    })
}

fn told(formula: &Formula, with: &Value) -> Result<bool, String> {
    formula.is_true(with).map_err(|e| format!("cannot be told by a `condition` of `transformations`: {e}"))
}

/// About how many bytes it has.
pub(crate) fn size(json: &Json) -> usize {
    match json {
        Json::Null | Json::Bool(_) | Json::Number(_) => 8,
        Json::String(text) => text.len(),
        Json::Array(_) | Json::Object(_) => serde_json::to_vec(json).map_or(usize::MAX, |bytes| bytes.len()),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests may panic")]
    use super::Transform;
    use hms_sync_hostile::Reader;
    use serde_json::{Value as Json, json};

    fn new(spec: Json) -> Result<Option<Transform>, String> {
        Transform::new(&serde_json::from_value::<Vec<_>>(spec).map_err(|e| e.to_string())?)
    }

    fn made(spec: Json, mut record: Json) -> Json {
        new(spec).unwrap().unwrap().apply(&mut record, true, None).unwrap();
        record
    }

    #[test]
    fn fields_are_made_of_others_in_order() {
        let spec = json!([
            { "type": "AddFields", "fields": [
                { "path": ["name"], "value": "{{ record.first }} {{ record['last'] | upper }}" },
                { "path": ["meta", "count"], "value": "{{ record.tags | length + 1 }}" },
                { "path": ["label"], "value": "{{ record.name ~ '/' ~ record.meta.count }}" },
                { "path": ["open"], "value": "{{ record.state == 'open' }}" },
                { "path": ["none"], "value": "{{ record.missing.more }}" },
                { "path": ["text"], "value": "<{{ record.missing.more }}{{ record.null }}>" },
                { "path": ["fixed"], "value": "yes" },
            ] },
            { "type": "add_fields", "condition": "{{ record.open }}", "fields": [ { "path": "seen", "value": "{{ 1 }}" } ] },
            { "type": "add_fields", "condition": "not record.open", "fields": [ { "path": "not", "value": "x" } ] },
            { "type": "RemoveFields", "field_pointers": [["first"], ["tags"], ["deep", "secret"], ["lines", "0", "n"], ["no", "such"]] },
        ]);
        let record = json!({ "first": "Ada", "last": "Lo", "tags": ["a", "b"], "state": "open", "null": null,
            "deep": { "secret": 1, "kept": 2 }, "lines": [{ "n": 1, "m": 2 }] });
        assert_eq!(
            made(spec, record),
            json!({ "last": "Lo", "state": "open", "null": null, "deep": { "kept": 2 }, "lines": [{ "m": 2 }],
                "name": "Ada LO", "meta": { "count": 3 }, "label": "Ada LO/3", "open": true, "none": null,
                "text": "<>", "fixed": "yes", "seen": 1 })
        );
    }

    /// As in Airbyte, each field is asked about when those before it are there.
    #[test]
    fn a_condition_is_asked_for_each_field() {
        let spec = json!([
            { "type": "add_fields", "condition": "not record.open", "fields": [
                { "path": "open", "value": "{{ record.state == 'open' }}" }, { "path": "late", "value": "x" },
            ] },
            { "type": "AddFields", "condition": "{{ value is not none and value != '' }}", "fields": [
                { "path": "nothing", "value": "{{ record.missing }}" },
                { "path": "empty", "value": "<{{ record.missing }}" },
                { "path": "state", "value": "{{ record.missing }}" },
            ] },
            { "type": "add_fields", "condition": "{{ path[0] == 'meta' and record.late is not defined }}", "fields": [
                { "path": ["meta", "one"], "value": "{{ 1 }}" }, { "path": ["other"], "value": "{{ 2 }}" },
            ] },
            // What is not asked for need not be made.
            { "type": "add_fields", "condition": "record.state is integer", "fields": [
                { "path": "never", "value": "{{ record.state + 1 }}" },
            ] },
        ]);
        assert_eq!(
            made(spec.clone(), json!({ "state": "open" })),
            json!({ "state": "open", "open": true, "empty": "<", "meta": { "one": 1 } })
        );
        assert_eq!(
            made(spec, json!({ "state": "shut" })),
            json!({ "state": "shut", "open": false, "late": "x", "empty": "<" })
        );
    }

    #[test]
    fn of_what_is_not_whole_nothing_is_made() {
        let spec = json!([
            { "type": "add_fields", "fields": [ { "path": "name", "value": "{{ record.first }}" } ] },
            { "type": "remove_fields", "field_pointers": ["secret"] },
        ]);
        let transform = new(spec).unwrap().unwrap();
        let mut record = json!({ "id": 1, "secret": 2 });
        transform.apply(&mut record, false, None).unwrap();
        assert_eq!(record, json!({ "id": 1 }));
        let mut text = json!("ok");
        transform.apply(&mut text, true, None).unwrap();
        assert_eq!(text, json!("ok"));
    }

    #[test]
    fn times_are_written_in_another_form() {
        let fields = json!([
            { "path": "a", "value": "{{ format_datetime(record.at, '%d.%m.%Y') }}" },
            { "path": "b", "value": "in {{ str_to_datetime(record.at).year }}" },
            { "path": "c", "value": "{{ str_to_datetime(record.at) }}" },
        ]);
        let transform = new(json!([{ "type": "add_fields", "fields": fields }])).unwrap().unwrap();
        let mut record = json!({ "at": "2026-11-23T12:11:20Z" });
        transform.apply(&mut record, true, None).unwrap();
        let expected = json!({
            "at": "2026-11-23T12:11:20Z", "a": "23.11.2026", "b": "in 2026", "c": "2026-11-23 12:11:20+00:00",
        });
        assert_eq!(record, expected);
    }

    #[test]
    fn statements_come_to_what_stands_at_their_end() {
        let fields = json!([
            {
                "path": "ids",
                "value": "{% set ids = [] %}\n{% for one in record.get('people') or [] %}\n\
                          {% set _ = ids.append({'id': one.id}) %}\n{% endfor %}\n{{ ids }}\n",
            },
            { "path": "sum", "value": "{%- set n = record.n -%}{{ n + 1 }}" },
            { "path": "none", "value": "{% set n = 1 %}{{ record.missing.more }}" },
            { "path": "text", "value": "{% set n = 1 %}{{ n }} of {{ record.n }}" },
        ]);
        let record = made(
            json!([{ "type": "add_fields", "fields": fields }]),
            json!({ "n": 1, "people": [{ "id": 7, "name": "a" }, { "id": "b" }] }),
        );
        assert_eq!(record["ids"], json!([{ "id": 7 }, { "id": "b" }]));
        assert_eq!(
            (&record["sum"], &record["none"], &record["text"]),
            (&json!(2), &Json::Null, &json!("1 of 1"))
        );
    }

    #[test]
    fn what_cannot_be_used_is_told() {
        let add = |path: &str, value: &str| json!([{ "type": "add_fields", "fields": [ { "path": path, "value": value } ] }]);
        for (spec, said) in [
            (add("a", "{{ recrod.b }}"), "`a`: the expression names `recrod`"),
            (
                add("a", "x {{ next_page_token }}"),
                "`a`: the template names `next_page_token`; known here: record",
            ),
            // What depends on the clock would change with each read.
            (add("a", "{{ now_utc() }}"), "names `now_utc`"),
            (add("a", "at {{ now_utc() }}"), "names `now_utc`"),
            (add("", "b"), "names no single field"),
            (json!([{ "type": "remove_fields", "field_pointers": ["a.*"] }]), "`a.*` names no single field"),
            (json!([{ "type": "remove_fields", "field_pointers": vec!["a"; 501] }]), "more than 500"),
            (json!([{ "type": "rename_fields" }]), "unknown variant `rename_fields`"),
        ] {
            let why = new(spec).unwrap_err();
            assert!(why.contains(said), "{why}");
        }
        assert!(new(json!([])).unwrap().is_none());
    }

    #[test]
    fn no_record_becomes_large_without_end() {
        let double = |n: u8| json!({ "path": "a", "value": if n == 0 { "{{ record.long }}" } else { "{{ record.a ~ record.a }}" } });
        let fields: Vec<Json> = (0..20).map(double).collect();
        let transform = new(json!([{ "type": "add_fields", "fields": fields }])).unwrap().unwrap();
        let mut record = json!({ "long": "x".repeat(100_000) });
        let why = transform.apply(&mut record, true, None).unwrap_err();
        assert!(why.contains("has no `a`, which `transformations` make"), "{why}");
        assert!(record["a"].as_str().unwrap().len() < 16 << 20);
    }

    #[test]
    fn hostile_values_of_fields() {
        let record = json!({ "a": 1.5, "tags": ["x", "y"], "nested": { "b": null }, "text": "ß,🚒" });
        Reader::new("values of fields that are made")
            .sound([
                "{{ record.first }} {{ record['text'] | upper }}/{{ record.tags[0] }}",
                "{{ record.nested.b.c ~ record.a * 2 }}",
                "{% set l = [] %}{% for t in record.tags %}{% set _ = l.append(t) %}{% endfor %}{{ l }}",
                "{% if record.a > 1 %}{{ record.tags | join('-') }}{% endif %}.",
            ])
            .words(["{{", "}}", "{%", "%}", "record", ".a", "tags"])
            .minijinja()
            .fewer(100_000)
            .texts(|text| {
                let spec = json!([{ "type": "add_fields", "fields": [{ "path": "made", "value": text }] }]);
                new(spec).is_ok_and(|transform| {
                    transform
                        .is_some_and(|transform| transform.apply(&mut record.clone(), true, None).is_ok())
                })
            });
    }

    #[test]
    fn hostile_conditions_of_fields() {
        let record = json!({ "a": 1.5, "tags": ["x", "y"], "nested": { "b": null }, "text": "ß,🚒" });
        Reader::new("conditions of fields that are made")
            .sound([
                "{{ value is string and value | length > 1 }}",
                "path[0] == 'made' and path | length == 2 or record.made is defined",
                "record.nested.b is none and value ~ path | join('.') != 'x'",
                "{{ record.get('missing', 7) == 7 }}",
            ])
            .words(["{{", "}}", "record", "value", "path", ".a", "[0]", "tags"])
            .minijinja()
            .fewer(100_000)
            .texts(|text| {
                let fields = json!([{ "path": ["made", "it"], "value": "{{ record.text }}" }]);
                let spec = json!([{ "type": "add_fields", "fields": fields, "condition": text }]);
                let Ok(Some(transform)) = new(spec) else { return false };
                let mut made = record.clone();
                let told = transform.apply(&mut made, true, None);
                let mut whole = record.clone();
                whole["made"] = json!({ "it": "ß,🚒" });
                assert!(made == record || told.is_ok() && made == whole, "{made}");
                told.is_ok_and(|()| made == whole)
            });
    }
}
