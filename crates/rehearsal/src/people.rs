//! What people do on a side: canonical values go to where the side has them, in
//! the side's own words.

use crate::error::RehearsalError;
use crate::side::Doc;
use hms_sync_engine::Shape;
use hms_sync_mapping::{FieldPath, SideMap};
use hms_sync_model::{FieldMap, SideName, Value};
use serde_json::{Map, Value as Json};

/// The fields of a side's records.
pub(crate) fn map_of<'a>(side: &SideName, shape: &'a Shape) -> Result<&'a SideMap, RehearsalError> {
    match shape {
        Shape::Fields(map) => Ok(map),
        Shape::Document => Err(RehearsalError::NoFields(side.clone())),
    }
}

/// Has somebody of `side` set `fields` in `doc`. An absent value is taken out.
pub(crate) fn set(
    side: &SideName,
    shape: &Shape,
    doc: &mut Doc,
    fields: &FieldMap,
) -> Result<(), RehearsalError> {
    let map = map_of(side, shape)?;
    for (field, value) in fields.iter() {
        let Some(path) = map.path(field) else {
            return Err(RehearsalError::NoField { side: side.clone(), field: field.clone() });
        };
        let native = map
            .native(field, value)
            .map_err(|cause| RehearsalError::Unmappable { side: side.clone(), cause })?;
        match native.filter(|_| *value != Value::Absent) {
            Some(native) => place(doc, path, native),
            None => remove(doc, path),
        }
    }
    Ok(())
}

fn place(doc: &mut Doc, path: &FieldPath, value: Json) {
    let parts: Vec<&str> = path.parts().collect();
    let Some((last, way)) = parts.split_last() else { return };
    let mut at = doc;
    for part in way {
        let member = at.entry(*part).or_insert_with(|| Json::Object(Map::new()));
        if !member.is_object() {
            *member = Json::Object(Map::new());
        }
        let Some(inner) = member.as_object_mut() else { return };
        at = inner;
    }
    at.insert((*last).to_owned(), value);
}

fn remove(doc: &mut Doc, path: &FieldPath) {
    let parts: Vec<&str> = path.parts().collect();
    let Some((last, way)) = parts.split_last() else { return };
    let mut at = doc;
    for part in way {
        let Some(inner) = at.get_mut(*part).and_then(Json::as_object_mut) else { return };
        at = inner;
    }
    at.remove(*last);
}
