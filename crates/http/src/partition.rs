//! What a listing is cut into where there is one for each parent, or for each of some
//! values: what a partition is called, and what is known of it. What is only shown of a parent,
//! and asked for in no request, makes no other partition when it changes.

mod said;

use crate::error::SpecError;
use crate::paging::hash;
use crate::select::scalar_id;
use crate::shape;
use crate::spec::{FieldPath, RequestOption};
use crate::spot::{Carries, Put, Spot};
use crate::transform::size;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use minijinja::Value;
use serde_json::Value as Json;
use std::collections::BTreeMap;

/// What templates may name where there are partitions; both are the same.
pub(crate) const NAMES: [&str; 2] = ["stream_partition", "stream_slice"];

/// The most fields of a parent that are kept beside its key.
const EXTRA_MAX: usize = 100;
/// The most bytes that all of them have together.
const EXTRA_BYTES: usize = 64 << 10;

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
    /// What templates call it.
    field: String,
    /// More of the parent; what it does not have is not there.
    extra: Vec<(String, Json)>,
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

    /// Where records may name their partition.
    pub(crate) fn marked(&self) -> Vec<Vec<String>> {
        let mut places: Vec<_> =
            self.iter().filter_map(|naming| naming.record_field.as_ref()).map(parts).collect();
        places.sort();
        places.dedup();
        places
    }

    /// Where the records of a partition name it, and what stands there.
    pub(crate) fn places(&self, partition: &Partition) -> Vec<(Vec<String>, Json)> {
        let place = |(naming, piece): (&Naming, &Piece)| {
            let path = naming.record_field.as_ref()?;
            Some((parts(path), piece.json.clone()))
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

fn parts(path: &FieldPath) -> Vec<String> {
    path.parts().map(str::to_owned).collect()
}

/// How partitions are named, and where their names go.
#[derive(Debug)]
pub(crate) struct Naming {
    field: String,
    extra: Vec<FieldPath>,
    /// Those of them that requests name.
    asked: Vec<FieldPath>,
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
        if extra.len() > EXTRA_MAX {
            let why = format!("has {} fields; {EXTRA_MAX} are taken", extra.len());
            return Err(bad("extra_fields", &why));
        }
        let spot =
            option.map(|option| Spot::new(&format!("{key}.request_option"), option, carries)).transpose()?;
        let (field, extra, record_field) = (field.to_owned(), extra.to_vec(), record_field.cloned());
        Ok(Self { field, asked: extra.clone(), extra, spot, record_field })
    }

    /// The same where these are the templates of all requests: a field of a parent that none of
    /// them names is no part of what is asked for.
    pub(crate) fn asked_by(mut self, sources: &[&str]) -> Self {
        self.asked.retain(|field| sources.iter().any(|text| said::names(text, &field.to_string())));
        self
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
        let at = |path: &FieldPath| parent.and_then(|parent| path.get(parent));
        let room =
            self.extra.iter().filter_map(at).try_fold(EXTRA_BYTES, |room, json| room.checked_sub(size(json)));
        if room.is_none() {
            return Err(format!("`extra_fields` with more than {EXTRA_BYTES} bytes"));
        }
        let extra =
            self.extra.iter().filter_map(|path| Some((path.to_string(), at(path)?.clone()))).collect();
        let seen: Vec<Option<String>> = self.asked.iter().map(|path| at(path).map(Json::to_string)).collect();
        // Those of the first kind are called as they were when there was one.
        let print = if kind == 0 { hash(&(&key, &seen)) } else { hash(&(kind, &key, &seen)) };
        let piece = Piece { kind, key, json: json.clone(), field: self.field.clone(), extra };
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
    /// As templates or expressions see it, by what JSON is to them.
    pub(crate) fn named(&self, value: fn(&Json) -> Value) -> Value {
        let mut members = BTreeMap::new();
        let mut extra = BTreeMap::new();
        for piece in &self.pieces {
            members.insert(piece.field.clone(), value(&piece.json));
            extra.extend(piece.extra.iter().map(|(name, json)| (name.clone(), value(json))));
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
        // What no request names is no part of what is asked for.
        let asked = |text: &str| naming(&extra).asked_by(&["/all", text]);
        let named = asked("/{{ stream_slice.extra_fields['owner.login'] }}");
        assert_ne!(of(&named, "x").print, of(&named, "y").print);
        assert_eq!(of(&named, "x").print, of(&naming(&extra), "x").print, "as it was called before");
        let shown = asked("/{{ stream_partition.repo }}");
        assert_eq!(of(&shown, "x").print, of(&shown, "y").print);
        assert_eq!(of(&shown, "x").print, of(&asked(""), "y").print);
        let of_it = of(&shown, "x").named(crate::template::value).get_attr("extra_fields").unwrap();
        assert_eq!(of_it.get_item(&"owner.login".into()).unwrap().as_str(), Some("x"));
        assert_eq!(of(&naming(&extra), "x").print.len(), PRINT_TEXT);
        assert_eq!(naming(&[]).partition(0, &json!(7), None).unwrap().pieces[0].key, "7");
        let kinds = [0, 1].map(|kind| naming(&[]).partition(kind, &json!(7), None).unwrap().print);
        assert_ne!(kinds[0], kinds[1], "of another kind of parents");
        naming(&[]).partition(0, &json!(null), None).unwrap_err();
        let long = "x".repeat(70_000);
        let why = naming(&extra).partition(0, &json!("a"), Some(&parent(&long))).unwrap_err();
        assert_eq!(why, "`extra_fields` with more than 65536 bytes");
        Naming::new("k", "p", &vec![extra[0].clone(); 101], None, None, Carries::Nothing).unwrap_err();
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
