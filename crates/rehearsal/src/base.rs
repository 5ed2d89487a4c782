//! A record to start from: in step on all sides, with the values that are given.
//!
//! Each field comes from a side that has it; one with an owner comes from its owner, so
//! that nobody's edit stands before the play begins but theirs.

use crate::error::RehearsalError;
use crate::rehearsal::Rehearsal;
use hms_sync_engine::{CollectionPlan, Shape};
use hms_sync_model::{CollectionName, FieldMap, FieldName, RecordId, SideName, Value};

impl Rehearsal {
    /// Has people of the sides make a record with `values`, until it is in step on all of
    /// them, and forgets how that came about: the timeline begins after it.
    pub fn base(
        &mut self,
        collection: &CollectionName,
        values: &FieldMap,
    ) -> Result<RecordId, RehearsalError> {
        let plan = std::sync::Arc::clone(&self.plan);
        let Some(of) = plan.collections.get(collection) else {
            return Err(RehearsalError::NoBase(format!("there is no collection {collection}")));
        };
        let before = self.records()?;
        let mut made: Option<RecordId> = None;
        for side in of.sides.keys() {
            let here = |(field, _): &(&FieldName, &Value)| comes_from(of, side, field);
            let of_side: FieldMap = values.iter().filter(here).map(|(f, v)| (f.clone(), v.clone())).collect();
            match &made {
                Some(record) if self.id_on(side, record).is_ok() => {
                    let merged = self.merged(record)?;
                    let differs =
                        of_side.iter().filter(|(f, v)| merged.get(*f).cloned().unwrap_or_default() != **v);
                    let changed: FieldMap = differs.map(|(f, v)| (f.clone(), v.clone())).collect();
                    if !changed.is_empty() {
                        self.edit(collection, side, record, &changed)?;
                    }
                }
                _ if gives_identity(of, side) => drop(self.put(collection, side, &of_side)?),
                _ => continue,
            }
            self.settle()?;
            let new = || Ok::<_, RehearsalError>(self.records()?.into_iter().find(|r| !before.contains(r)));
            made = if made.is_some() { made } else { new()? };
        }
        let made = made.ok_or_else(|| RehearsalError::NoBase("no side made it".to_owned()))?;
        self.check_base(&made, values)?;
        self.forget();
        Ok(made)
    }

    fn check_base(&self, record: &RecordId, values: &FieldMap) -> Result<(), RehearsalError> {
        let merged = self.merged(record)?;
        let mut wrong =
            values.iter().filter(|(field, value)| merged.get(*field).cloned().unwrap_or_default() != **value);
        let Some((field, wanted)) = wrong.next() else { return Ok(()) };
        let found = merged.get(field).cloned().unwrap_or_default().to_string();
        Err(RehearsalError::Base { field: field.clone(), wanted: wanted.to_string(), found })
    }
}

/// Whether a record of a side can be recognised by what the side shows.
fn gives_identity(of: &CollectionPlan, side: &SideName) -> bool {
    let Some(part) = of.sides.get(side) else { return false };
    of.identity.iter().all(|field| part.shape.gives(field))
}

/// Whether people of `side` can be the ones who gave `field` its value.
fn comes_from(of: &CollectionPlan, side: &SideName, field: &FieldName) -> bool {
    let Some(Shape::Fields(map)) = of.sides.get(side).map(|part| &part.shape) else { return false };
    let owner = of.rules.rule(field).owner.as_ref().map(|owner| &owner.side);
    map.gives(field) && (owner.is_none_or(|owner| owner == side) || of.identity.contains(field))
}
