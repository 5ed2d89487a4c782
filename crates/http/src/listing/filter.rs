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
