//! `schema_contract`: what is done when a side's records are of another shape than was said.
//! What a collection says holds for its sides, where they do not say otherwise.

use crate::node::{Kind, Node};
use crate::problem::Problems;
use crate::section::{self, Section};
use hms_sync_http::spec::HttpCollection;
use hms_sync_mapping::{FieldPath, Known, SideMap};

/// What is done about something that was not said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnChange {
    /// It is taken, as far as it can be, and told once.
    Evolve,
    /// The side is not read on.
    Freeze,
    /// The value counts as not mentioned.
    DiscardValue,
    /// The record is parked.
    Park,
}

/// What a side's records are to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SchemaContract {
    /// About members to which no field is mapped. Without it nobody looks for them.
    pub columns: Option<OnChange>,
    /// About fields that a whole record lacks.
    pub missing: OnChange,
    /// About values that are not of their field's type.
    pub data_type: OnChange,
    /// Places that are spoken of.
    pub known: Known,
}

const MODES: &[(&str, OnChange)] = &[
    ("evolve", OnChange::Evolve),
    ("freeze", OnChange::Freeze),
    ("discard_value", OnChange::DiscardValue),
    ("park", OnChange::Park),
    // dlt's word: of a record that is set aside nothing is lost.
    ("discard_row", OnChange::Park),
];

/// What one `schema_contract` says.
#[derive(Debug, Clone, Default)]
pub(crate) struct Said {
    columns: Option<OnChange>,
    missing: Option<OnChange>,
    data_type: Option<OnChange>,
    known_fields: Vec<FieldPath>,
}

impl Said {
    /// What a side says, and where it says nothing, its collection.
    fn or(self, of_collection: &Self) -> Self {
        let mut known_fields = self.known_fields;
        known_fields.extend(of_collection.known_fields.iter().cloned());
        Self {
            columns: self.columns.or(of_collection.columns),
            missing: self.missing.or(of_collection.missing),
            data_type: self.data_type.or(of_collection.data_type),
            known_fields,
        }
    }
}

/// Reads a `schema_contract`: one word for all, or a map.
pub(crate) fn read(node: &Node, problems: &mut Problems<'_>) -> Option<Said> {
    let mode =
        |node: &Node, what: &str, problems: &mut Problems<'_>| section::choice(node, what, MODES, problems);
    if !matches!(node.kind, Kind::Map(_)) {
        let all = mode(node, "`schema_contract`", problems);
        return Some(Said { columns: all, missing: all, data_type: all, known_fields: Vec::new() });
    }
    let mut map = Section::open(node, "`schema_contract`", problems)?;
    let mut said = Said::default();
    if let Some(node) = node.get("tables") {
        let hint = "a collection is one table: `columns` is about members that no field is mapped to";
        problems.add_hint(node.at, "`schema_contract` has no `tables`", hint);
        map.take("tables", problems);
    }
    said.columns = map.take("columns", problems).and_then(|node| mode(node, "`columns`", problems));
    said.missing = map.take("missing", problems).and_then(|node| mode(node, "`missing`", problems));
    said.data_type = map.take("data_type", problems).and_then(|node| mode(node, "`data_type`", problems));
    let known = map.take("known_fields", problems);
    let known = known.and_then(|node| section::list(node, "`known_fields`", problems)).unwrap_or_default();
    let paths = known.iter().filter_map(|node| section::parsed(node, "a path of `known_fields`", problems));
    said.known_fields = paths.collect();
    map.finish(problems);
    Some(said)
}

/// What holds for a side; nothing if nobody says anything.
pub(crate) fn settle(
    of_side: Option<Said>,
    of_collection: Option<&Said>,
    http: &HttpCollection,
    map: &SideMap,
) -> Option<SchemaContract> {
    if of_side.is_none() && of_collection.is_none() {
        return None;
    }
    let said = of_side.unwrap_or_default().or(of_collection.unwrap_or(&Said::default()));
    let own = http.own_paths().filter_map(|path| {
        let parts: Vec<String> =
            path.parts().map(|part| part.replace('\\', "\\\\").replace('.', "\\.")).collect();
        FieldPath::parse(&parts.join(".")).ok()
    });
    Some(SchemaContract {
        columns: said.columns,
        missing: said.missing.unwrap_or(OnChange::Evolve),
        data_type: said.data_type.unwrap_or(OnChange::Park),
        known: Known::new(map.paths().cloned().chain(own).chain(said.known_fields)),
    })
}
