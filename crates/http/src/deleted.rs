//! Records that say of themselves that they are gone.

use crate::formula::{self, Formula};
use crate::spec::{DeletedWhen, FieldPath};
use minijinja::context;
use serde_json::Value as Json;

/// How a record says it.
#[derive(Debug)]
pub(crate) enum Deleted {
    /// It has something there.
    Set(FieldPath),
    /// It has one of these there.
    Holds(FieldPath, Vec<Json>),
    Formula(Formula),
}

impl Deleted {
    /// The error says what is wrong.
    pub(crate) fn new(spec: &DeletedWhen) -> Result<Self, String> {
        match spec {
            DeletedWhen::Expression(text) => {
                Formula::new(text.as_str(), &["record"]).map(Self::Formula).map_err(|e| e.to_string())
            }
            DeletedWhen::Field(spec) if spec.field.is_empty() => Err("`field` names no field".to_owned()),
            DeletedWhen::Field(spec) => Ok(match &spec.values {
                None => Self::Set(spec.field.clone()),
                Some(values) => Self::Holds(spec.field.clone(), values.clone()),
            }),
        }
    }

    /// Whether this one says it; the error is a part of a line for people.
    pub(crate) fn says(&self, record: &Json) -> Result<bool, String> {
        match self {
            Self::Set(field) => Ok(field.get(record).is_some_and(is_set)),
            Self::Holds(field, values) => Ok(field.get(record).is_some_and(|there| values.contains(there))),
            Self::Formula(formula) => {
                let with = context! { record => formula::value(record) };
                formula.is_true(&with).map_err(|e| format!("cannot be told by `deleted_when`: {e}"))
            }
        }
    }
}

/// Neither nothing, nor a way of saying no.
fn is_set(json: &Json) -> bool {
    match json {
        Json::Null => false,
        Json::Bool(set) => *set,
        Json::Number(n) => n.as_f64() != Some(0.0),
        Json::String(text) => !matches!(text.trim().to_ascii_lowercase().as_str(), "" | "0" | "false" | "no"),
        Json::Array(elements) => !elements.is_empty(),
        Json::Object(members) => !members.is_empty(),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests may panic")]
    use super::Deleted;
    use serde_json::{Value as Json, json};

    fn says(spec: Json, record: Json) -> bool {
        Deleted::new(&serde_json::from_value(spec).unwrap()).unwrap().says(&record).unwrap()
    }

    #[test]
    fn flags_in_all_their_forms() {
        let field = json!({ "field": "meta.deleted" });
        for (value, gone) in [
            (json!(true), true),
            (json!("2026-11-23"), true),
            (json!(1), true),
            (json!(false), false),
            (json!(0), false),
            (json!("false"), false),
            (json!(""), false),
            (json!(null), false),
        ] {
            assert_eq!(says(field.clone(), json!({ "meta": { "deleted": value } })), gone, "{value}");
        }
        assert!(!says(field, json!({})));
        let values = json!({ "field": "status", "values": ["archived", 9] });
        let shown = [json!("archived"), json!(9), json!("open")]
            .map(|s| says(values.clone(), json!({ "status": s })));
        assert_eq!(shown, [true, true, false]);
        assert!(says(json!("{{ record.status == 'gone' }}"), json!({ "status": "gone" })));
    }

    #[test]
    fn what_cannot_be_used_is_told() {
        let new = |spec: Json| Deleted::new(&serde_json::from_value(spec).unwrap());
        assert!(new(json!("recrod.x")).unwrap_err().contains("recrod"));
        assert!(new(json!({ "field": "" })).unwrap_err().contains("names no field"));
        serde_json::from_value::<crate::spec::DeletedWhen>(json!({ "field": "a", "valeus": [] }))
            .unwrap_err();
    }
}
