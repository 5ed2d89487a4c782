//! A record's id as its side has it: what stands at one place of the record, or at several
//! together. Those of several are one id to all others, in a form that can be taken apart again.

use crate::select::scalar_id;
use crate::shape;
use crate::spec::{FieldPath, PrimaryKey};
use hms_sync_model::NativeId;
use serde_json::Value as Json;

/// The most parts of a key.
const PARTS_MAX: usize = 8;

/// Where ids are.
#[derive(Debug, Clone)]
pub(crate) struct RecordKey(Vec<FieldPath>);

impl RecordKey {
    pub(crate) fn new(spec: &PrimaryKey) -> Result<Self, String> {
        let paths = spec.paths();
        if paths.is_empty() || paths.iter().any(FieldPath::is_empty) {
            return Err("names no field".to_owned());
        }
        if paths.len() > PARTS_MAX {
            return Err(format!("has more than {PARTS_MAX} parts"));
        }
        if let Some(path) = paths.iter().enumerate().find_map(|(n, path)| {
            paths.iter().take(n).any(|other| within(other, path) || within(path, other)).then_some(path)
        }) {
            return Err(format!("names `{path}` twice, or something in it"));
        }
        Ok(Self(paths.to_vec()))
    }

    /// At one path, which is not empty.
    pub(crate) fn at(path: FieldPath) -> Self {
        Self(vec![path])
    }

    /// The only path, if there is one only.
    pub(crate) fn alone(&self) -> Option<&FieldPath> {
        match self.0.as_slice() {
            [only] => Some(only),
            _ => None,
        }
    }

    /// Where its parts are.
    pub(crate) fn paths(&self) -> &[FieldPath] {
        &self.0
    }

    /// How many parts it has.
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether all of it is in `json`.
    pub(crate) fn is_in(&self, json: &Json) -> bool {
        self.0.iter().all(|path| path.get(json).is_some())
    }

    /// The id of a record; the error is a part of a line for people.
    pub(crate) fn id(&self, record: &Json) -> Result<NativeId, String> {
        let part = |path: &FieldPath| match path.get(record) {
            None | Some(Json::Null) => Err(format!("has no id at `{path}`")),
            Some(json) => scalar_id(json).map_err(|why| format!("has no usable id at `{path}`: {why}")),
        };
        if let Some(path) = self.alone() {
            return part(path);
        }
        let parts: Vec<String> =
            self.0.iter().map(|path| Ok(part(path)?.as_str().to_owned())).collect::<Result<_, String>>()?;
        NativeId::try_new(Json::from(parts).to_string()).map_err(|why| format!("has no usable id: {why}"))
    }

    /// An id as templates see it: text, or for several parts a map in which each lies where it
    /// lies in a record.
    pub(crate) fn shown(&self, id: &NativeId) -> Json {
        if self.alone().is_some() {
            return id.as_str().into();
        }
        let parts: Vec<String> = serde_json::from_str(id.as_str()).unwrap_or_default();
        if parts.len() != self.0.len() {
            // From before the key was what it is.
            return id.as_str().into();
        }
        let mut map = Json::Null;
        for (path, part) in self.0.iter().zip(parts) {
            shape::put(&mut map, path.parts(), part.into());
        }
        map
    }

    /// Parts that a request does not name which names these members of `id`.
    pub(crate) fn lacking(&self, named: &[String]) -> Option<String> {
        if self.alone().is_some() {
            return None;
        }
        let first = |path: &FieldPath| path.parts().next().unwrap_or_default().to_owned();
        let missing = self.0.iter().find(|path| !named.contains(&first(path)))?;
        Some(format!(
            "does not say which record: the key has several parts, so name each, as `{{{{ id.{missing} }}}}`"
        ))
    }
}

/// Whether `inner` is `outer` or lies in it.
fn within(inner: &FieldPath, outer: &FieldPath) -> bool {
    inner.parts().len() >= outer.parts().len() && inner.parts().zip(outer.parts()).all(|(a, b)| a == b)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests may panic")]
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn key(spec: Json) -> Result<RecordKey, String> {
        RecordKey::new(&serde_json::from_value(spec).unwrap())
    }

    #[test]
    fn one_part_is_the_id_and_several_are_one() {
        let record = json!({ "no": 7, "board": { "id": "b,\"1\"" }, "id": null });
        let id = |spec| key(spec).unwrap().id(&record).map(|id| id.as_str().to_owned());
        assert_eq!(id(json!("no")), Ok("7".to_owned()));
        assert_eq!(id(json!(["no"])), Ok("7".to_owned()));
        assert_eq!(id(json!([["board", "id"]])), Ok("b,\"1\"".to_owned()));
        assert_eq!(id(json!(["board.id", "no"])), Ok(r#"["b,\"1\"","7"]"#.to_owned()));
        assert_eq!(id(json!(["no", "id"])), Err("has no id at `id`".to_owned()));
        assert_eq!(id(json!(["no", "board"])), Err("has no usable id at `board`: an object".to_owned()));
        let both = key(json!(["board.id", "no"])).unwrap();
        assert_eq!(
            both.shown(&both.id(&record).unwrap()),
            json!({ "board": { "id": "b,\"1\"" }, "no": "7" })
        );
        let before = NativeId::try_new("7").unwrap();
        assert_eq!(both.shown(&before), json!("7"));
    }

    #[test]
    fn what_is_no_key_is_told() {
        for (spec, said) in [
            (json!([]), "names no field"),
            (json!(["a", ""]), "names no field"),
            (json!(["a", "a"]), "names `a` twice"),
            (json!(["a.b", "a"]), "names `a` twice"),
            (json!(["1", "2", "3", "4", "5", "6", "7", "8", "9"]), "more than 8"),
        ] {
            let why = key(spec).unwrap_err();
            assert!(why.contains(said), "{why}");
        }
    }

    proptest! {
        /// No two records that differ in their keys have one id, and each is taken apart into what it was.
        #[test]
        fn ids_of_several_parts_are_told_apart(a in prop::collection::vec("\\PC{0,6}", 2), b in prop::collection::vec("[\",\\[\\]\\\\ab]{0,4}", 2)) {
            let both = key(json!(["x", "y.z"])).unwrap();
            let record = |parts: &[String]| json!({ "x": parts[0], "y": { "z": parts[1] } });
            let id = |parts: &[String]| both.id(&record(parts));
            if let (Ok(one), Ok(other)) = (id(&a), id(&b)) {
                prop_assert_eq!(one == other, a == b);
                prop_assert_eq!(both.shown(&one), record(&a));
            }
        }
    }
}
