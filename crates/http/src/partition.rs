//! What a listing is cut into where there is one for each parent, or for each of some
//! values: what a partition is called, and what is known of it.

use crate::error::SpecError;
use crate::paging::hash;
use crate::select::scalar_id;
use crate::shape;
use crate::spec::{FieldPath, RequestOption};
use crate::spot::{Carries, Put, Spot};
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
    pub(crate) print: Print,
    /// One of each router.
    pieces: Vec<Piece>,
}

/// What one router says of a listing.
#[derive(Debug, Clone)]
pub(crate) struct Piece {
    /// Which kind of parents.
    kind: usize,
    /// The parent's key, or the value.
    pub(crate) key: String,
    json: Json,
    members: BTreeMap<String, Value>,
    extra: BTreeMap<String, Value>,
}

impl Piece {
    /// It, on its way into a request.
    pub(crate) fn put<'l>(&'l self, spot: &'l Spot) -> Put<'l> {
        Put { is_number: self.json.is_number(), ..Put::text(spot, &self.key) }
    }
}

/// How the listings of all routers are named: of each router, each kind of its parents.
#[derive(Debug)]
pub(crate) struct Namings(pub(crate) Vec<Vec<Naming>>);

impl Namings {
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Naming> {
        self.0.iter().flatten()
    }

    /// The pieces of a partition, with how each is named.
    pub(crate) fn of<'n>(&'n self, of: &'n Partition) -> impl Iterator<Item = (&'n Naming, &'n Piece)> {
        self.0.iter().zip(&of.pieces).filter_map(|(kinds, piece)| Some((kinds.get(piece.kind)?, piece)))
    }

    /// Puts the partition into one of its records.
    pub(crate) fn mark(&self, partition: &Partition, record: &mut Json) {
        self.of(partition).for_each(|(naming, piece)| naming.mark(piece, record));
    }

    /// Where the records of a partition name it, and what stands there.
    pub(crate) fn places(&self, partition: &Partition) -> Vec<(Vec<String>, Json)> {
        let place = |(naming, piece): (&Naming, &Piece)| {
            let path = naming.record_field.as_ref()?;
            Some((path.parts().map(str::to_owned).collect(), piece.json.clone()))
        };
        self.of(partition).filter_map(place).collect()
    }

    /// A partition for people: `project 7`.
    pub(crate) fn label(&self, partition: &Partition) -> String {
        let pieces = self.of(partition).map(|(naming, piece)| format!("{} {:.60}", naming.field, piece.key));
        pieces.collect::<Vec<_>>().join(", ")
    }

    /// What the partitions are, for people.
    pub(crate) fn fields(&self) -> String {
        self.iter().map(|naming| naming.field.as_str()).collect::<Vec<_>>().join(", ")
    }
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
        carries: Carries,
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
            option.map(|option| Spot::new(&format!("{key}.request_option"), option, carries)).transpose()?;
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
    pub(crate) fn partition(
        &self,
        kind: usize,
        json: &Json,
        parent: Option<&Json>,
    ) -> Result<Partition, String> {
        let key = scalar_id(json)?.as_str().to_owned();
        let at = |path: &FieldPath| {
            parent.and_then(|parent| path.get(parent)).map_or(Value::UNDEFINED, template::value)
        };
        let extra: BTreeMap<String, Value> =
            self.extra.iter().map(|path| (path.to_string(), at(path))).collect();
        let seen: Vec<Option<String>> = (self.extra.iter())
            .map(|path| parent.and_then(|parent| path.get(parent)).map(Json::to_string))
            .collect();
        let members = [(self.field.clone(), template::value(json))].into();
        // Those of the first kind are called as they were when there was one.
        let print = if kind == 0 { hash(&(&key, &seen)) } else { hash(&(kind, &key, &seen)) };
        let piece = Piece { kind, key, json: json.clone(), members, extra };
        Ok(Partition { print: printed(print), pieces: vec![piece] })
    }

    fn mark(&self, piece: &Piece, record: &mut Json) {
        let Some(path) = &self.record_field else { return };
        if record.is_object() && path.get(record).is_none_or(Json::is_null) {
            shape::put(record, path.parts(), piece.json.clone());
        }
    }
}

fn printed(number: u64) -> Print {
    let print = number.to_be_bytes();
    URL_SAFE_NO_PAD.encode(print.get(..PRINT).unwrap_or(&print))
}

impl Partition {
    /// As templates see it.
    pub(crate) fn named(&self) -> Value {
        let mut members = BTreeMap::new();
        let mut extra = BTreeMap::new();
        for piece in &self.pieces {
            members.extend(piece.members.clone());
            extra.extend(piece.extra.clone());
        }
        members.insert("extra_fields".to_owned(), Value::from(extra));
        Value::from(members)
    }

    /// The listing that is of this and of another one.
    pub(crate) fn and(&self, other: &Self) -> Self {
        let pieces = self.pieces.iter().chain(&other.pieces).cloned().collect();
        Self { print: printed(hash(&(&self.print, &other.print))), pieces }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests may panic")]
    use super::{Naming, Namings, PRINT_TEXT};
    use crate::spec::FieldPath;
    use crate::spot::Carries;
    use serde_json::json;

    #[test]
    fn a_partition_is_named_by_its_key_and_what_else_is_asked_for() {
        let extra = [FieldPath::dotted("owner.login")];
        let naming =
            |extra: &[FieldPath]| Naming::new("k", "repo", extra, None, None, Carries::Nothing).unwrap();
        let parent = |login: &str| json!({ "name": "a", "owner": { "login": login } });
        let of =
            |naming: &Naming, login: &str| naming.partition(0, &json!("a"), Some(&parent(login))).unwrap();
        assert_eq!(of(&naming(&[]), "x").print, of(&naming(&[]), "y").print);
        assert_ne!(of(&naming(&extra), "x").print, of(&naming(&extra), "y").print);
        assert_eq!(of(&naming(&extra), "x").print.len(), PRINT_TEXT);
        assert_eq!(naming(&[]).partition(0, &json!(7), None).unwrap().pieces[0].key, "7");
        let kinds = [0, 1].map(|kind| naming(&[]).partition(kind, &json!(7), None).unwrap().print);
        assert_ne!(kinds[0], kinds[1], "of another kind of parents");
        naming(&[]).partition(0, &json!(null), None).unwrap_err();
        Naming::new("k", "a b", &[], None, None, Carries::Nothing).unwrap_err();
    }

    #[test]
    fn a_record_is_marked_where_it_says_nothing() {
        let naming =
            Naming::new("k", "p", &[], None, Some(&FieldPath::dotted("of.id")), Carries::Nothing).unwrap();
        let partition = naming.partition(0, &json!(7), None).unwrap();
        let namings = Namings(vec![vec![naming]]);
        for (mut record, marked) in [
            (json!({}), json!({ "of": { "id": 7 } })),
            (json!({ "of": { "id": null } }), json!({ "of": { "id": 7 } })),
            (json!({ "of": { "id": 8 } }), json!({ "of": { "id": 8 } })),
            (json!(1), json!(1)),
        ] {
            namings.mark(&partition, &mut record);
            assert_eq!(record, marked);
        }
    }
}
