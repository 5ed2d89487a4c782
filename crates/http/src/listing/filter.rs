//! Which records of a listing are taken. Airbyte's order holds: the filter looks at a record as it
//! came, before `transformations`, unless `transform_before_filtering` says otherwise. It changes
//! nothing in a record, and concludes nothing from one that it leaves out.

use crate::error::SpecError;
use crate::formula::{self, Formula};
use crate::select::Lens;
use crate::spec::{FieldPath, ReadSpec};
use minijinja::context;
use serde_json::Value as Json;

/// A `record_filter`, ready to be asked.
#[derive(Debug)]
pub(super) struct Filter {
    condition: Formula,
    /// It looks at what `transformations` made.
    made_first: bool,
    /// What is looked at of records that are left out is as it came, whatever is made of them.
    ids_as_they_came: bool,
}

impl Filter {
    /// `cursor` is the field that is looked at as well. The filter of `key`, if it has one.
    pub(super) fn new(
        key: &str,
        spec: &ReadSpec,
        lens: &Lens,
        cursor: Option<&FieldPath>,
    ) -> Result<Option<Self>, SpecError> {
        let Some(selector) = &spec.record_selector else { return Ok(None) };
        let bad = |part: &str, why: &dyn ToString| {
            SpecError::new(format!("{key}.record_selector.{part}"), why.to_string())
        };
        let Some(filter) = &selector.record_filter else {
            if selector.transform_before_filtering {
                return Err(bad("transform_before_filtering", &"needs a `record_filter`"));
            }
            return Ok(None);
        };
        let condition = Formula::new(filter.condition.as_str(), &["record"])
            .map_err(|why| bad("record_filter.condition", &why))?;
        Ok(Some(Self {
            condition,
            made_first: selector.transform_before_filtering,
            ids_as_they_came: lens.leaves_alone(cursor),
        }))
    }

    /// Whether a record as it came is one of those to be taken; nothing if only what is made of
    /// it says so.
    pub(super) fn early(&self, record: &Json) -> Option<Result<bool, String>> {
        (!self.made_first).then(|| self.takes(record))
    }

    /// Whether nothing needs to be made of a record about which `early` said this: that way no
    /// record that is left out makes a page unreadable.
    pub(super) fn spares(&self, early: Option<&Result<bool, String>>) -> bool {
        self.ids_as_they_came && early.is_some_and(|takes| *takes != Ok(true))
    }

    /// The error is a part of a line for people.
    pub(super) fn takes(&self, record: &Json) -> Result<bool, String> {
        let with = context! { record => formula::value(record) };
        self.condition.is_true(&with).map_err(|e| format!("cannot be told by `record_filter`: {e}"))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests may panic")]
    use super::Filter;
    use crate::select::Lens;
    use crate::spec::HttpCollection;
    use hms_sync_hostile::Reader;
    use serde_json::{Value as Json, json};

    fn filter(condition: &str, made_first: bool) -> Result<Option<Filter>, String> {
        let selector =
            json!({ "record_filter": { "condition": condition }, "transform_before_filtering": made_first });
        let spec = json!({ "read": { "path": "/p", "record_selector": selector } });
        let spec: HttpCollection = serde_json::from_value(spec).map_err(|e| e.to_string())?;
        let lens = Lens::new("permit", &spec).map_err(|e| e.to_string())?;
        Filter::new("permit.read", spec.read.as_ref().unwrap(), &lens, None).map_err(|e| e.to_string())
    }

    #[test]
    fn hostile_record_filters() {
        let records = [
            json!({ "id": 1, "status": "open", "score": 1.5, "tags": ["x"], "nested": { "b": null } }),
            json!({ "id": "1", "status": null, "score": u64::MAX, "tags": {}, "nested": [[]], "text": "ß,🚒" }),
            json!({}),
            Json::Null,
            json!([{ "id": "x".repeat(5_000) }]),
        ];
        Reader::new("record filters")
            .sound([
                "{{ record.status == 'open' and record.tags | length > 0 }}",
                "record.get('missing', 7) == 7 or record.nested.b.c is none",
                "record['score'] > 1.25 and record.text | upper | replace('ß', 's') != 'X'",
                "record.id in [1, '1'] if record.id is defined else record.tags[::-1] | join(',')",
            ])
            .words(["{{", "}}", "record", ".id", ".status", "['score']", ".get('", "tags"])
            .minijinja()
            .fewer(200_000)
            .texts(|text| {
                let Ok(Some(early)) = filter(text, false) else { return false };
                let late = filter(text, true).unwrap().unwrap();
                let mut told = 0;
                for record in &records {
                    let takes = early.takes(record);
                    if let Err(why) = &takes {
                        assert!(why.len() < 1_000, "{why}");
                    }
                    assert_eq!(late.takes(record), takes, "it is told otherwise the second time");
                    assert!(late.early(record).is_none(), "it looks at what is made");
                    let asked = early.early(record);
                    assert_eq!(early.spares(asked.as_ref()), takes != Ok(true));
                    assert_eq!(asked, Some(takes.clone()));
                    told += usize::from(takes.is_ok());
                }
                told > 0
            });
    }
}
