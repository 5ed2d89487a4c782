//! What a listing is cut into where there is one for each parent, or for each of some
//! values: what a partition is called, and what is known of it.

use crate::error::SpecError;
use crate::paging::hash;
use crate::select::scalar_id;
use crate::shape;
use crate::spec::{FieldPath, RequestOption};
use crate::spot::Spot;
use crate::template;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use minijinja::Value;
use serde_json::Value as Json;
use std::collections::BTreeMap;

/// What templates may name where there are partitions; both are the same.
pub(crate) const NAMES: [&str; 2] = ["stream_partition", "stream_slice"];

/// A name by which a partition is remembered: one is taken for another less than once in
/// a billion listings of ten thousand.
pub(crate) type Print = String;

/// Bytes of a print; as text a third more.
const PRINT: usize = 6;
/// The same as text.
pub(crate) const PRINT_TEXT: usize = 8;

/// One of the listings.
#[derive(Debug, Clone)]
pub(crate) struct Partition {
    /// The parent's key, or the value.
    pub(crate) key: String,
    pub(crate) print: Print,
    json: Json,
    named: Value,
}

/// How partitions are named, and where their names go.
#[derive(Debug)]
pub(crate) struct Naming {
    field: String,
    extra: Vec<FieldPath>,
    pub(crate) spot: Option<Spot>,
    record_field: Option<FieldPath>,
}

impl Naming {
    /// `key` is where it stands in the config.
    pub(crate) fn new(
        key: &str,
        field: &str,
        extra: &[FieldPath],
        option: Option<&RequestOption>,
        record_field: Option<&FieldPath>,
        is_post: bool,
    ) -> Result<Self, SpecError> {
        let bad = |name: &str, why: &str| SpecError::new(format!("{key}.{name}"), why);
        let is_name = |c: char| c.is_alphanumeric() || c == '_';
        if field.is_empty() || !field.chars().all(is_name) {
            return Err(bad("partition_field", "must be a name: letters, digits and `_`"));
        }
        if record_field.is_some_and(FieldPath::is_empty) {
            return Err(bad("record_field", "names no field"));
        }
        let spot =
            option.map(|option| Spot::new(&format!("{key}.request_option"), option, is_post)).transpose()?;
        Ok(Self { field: field.to_owned(), extra: extra.to_vec(), spot, record_field: record_field.cloned() })
    }

    /// What templates may step into.
    pub(crate) fn knows(&self, member: &str) -> bool {
        member == self.field || member == "extra_fields" && !self.extra.is_empty()
    }

    pub(crate) fn field(&self) -> &str {
        &self.field
    }

    /// The partition of a value, or of what stands at `key` in a parent's record; the error
    /// is a part of a line for people.
    pub(crate) fn partition(&self, json: &Json, parent: Option<&Json>) -> Result<Partition, String> {
        let key = scalar_id(json)?.as_str().to_owned();
        let at = |path: &FieldPath| {
            parent.and_then(|parent| path.get(parent)).map_or(Value::UNDEFINED, template::value)
        };
        let extra: BTreeMap<String, Value> =
            self.extra.iter().map(|path| (path.to_string(), at(path))).collect();
        let seen: Vec<Option<String>> = (self.extra.iter())
            .map(|path| parent.and_then(|parent| path.get(parent)).map(Json::to_string))
            .collect();
        let members: BTreeMap<String, Value> =
            [(self.field.clone(), template::value(json)), ("extra_fields".to_owned(), Value::from(extra))]
                .into();
        let print = hash(&(&key, &seen)).to_be_bytes();
        let print = URL_SAFE_NO_PAD.encode(print.get(..PRINT).unwrap_or(&print));
        Ok(Partition { key, print, json: json.clone(), named: Value::from(members) })
    }

    /// Puts the partition into one of its records.
    pub(crate) fn mark(&self, partition: &Partition, record: &mut Json) {
        let Some(path) = &self.record_field else { return };
        if record.is_object() && path.get(record).is_none_or(Json::is_null) {
            shape::put(record, path.parts(), partition.json.clone());
        }
    }
}

impl Partition {
    /// As templates see it.
    pub(crate) fn named(&self) -> Value {
        self.named.clone()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests may panic")]
    use super::{Naming, PRINT_TEXT};
    use crate::spec::FieldPath;
    use serde_json::json;

    #[test]
    fn a_partition_is_named_by_its_key_and_what_else_is_asked_for() {
        let extra = [FieldPath::dotted("owner.login")];
        let naming = |extra: &[FieldPath]| Naming::new("k", "repo", extra, None, None, false).unwrap();
        let parent = |login: &str| json!({ "name": "a", "owner": { "login": login } });
        let of = |naming: &Naming, login: &str| naming.partition(&json!("a"), Some(&parent(login))).unwrap();
        assert_eq!(of(&naming(&[]), "x").print, of(&naming(&[]), "y").print);
        assert_ne!(of(&naming(&extra), "x").print, of(&naming(&extra), "y").print);
        assert_eq!(of(&naming(&extra), "x").print.len(), PRINT_TEXT);
        assert_eq!(naming(&[]).partition(&json!(7), None).unwrap().key, "7");
        naming(&[]).partition(&json!(null), None).unwrap_err();
        Naming::new("k", "a b", &[], None, None, false).unwrap_err();
    }

    #[test]
    fn a_record_is_marked_where_it_says_nothing() {
        let naming = Naming::new("k", "p", &[], None, Some(&FieldPath::dotted("of.id")), false).unwrap();
        let partition = naming.partition(&json!(7), None).unwrap();
        for (mut record, marked) in [
            (json!({}), json!({ "of": { "id": 7 } })),
            (json!({ "of": { "id": null } }), json!({ "of": { "id": 7 } })),
            (json!({ "of": { "id": 8 } }), json!({ "of": { "id": 8 } })),
            (json!(1), json!(1)),
        ] {
            naming.mark(&partition, &mut record);
            assert_eq!(record, marked);
        }
    }
}
