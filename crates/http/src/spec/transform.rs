//! What is made of records as they are read.

use super::{Expression, FieldPath, Template};
use crate::transform;
use schemars::JsonSchema;
use serde::Deserialize;

/// What is made of a record that was read, before anything but `record_filter` looks at it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub enum Transformation {
    /// Fields that are made of others.
    #[serde(alias = "AddFields")]
    AddFields {
        /// Each knows those before it.
        fields: Vec<AddedField>,
        /// An expression that is true for the records that get them; it knows `record`, and is
        /// asked for each field, of which it knows `value` and `path`. Default: all.
        #[serde(default)]
        #[schemars(example = &"record.kind == 'person'")]
        condition: Option<Expression>,
    },
    /// Fields that are taken out.
    #[serde(alias = "RemoveFields")]
    RemoveFields {
        /// Where they are.
        field_pointers: Vec<FieldPath>,
        /// An expression that is true for the records that lose them; it knows `record`. Or one
        /// that is true for the values that are taken out, wherever they are in what is at
        /// `field_pointers`, where `*` is every element or member and `**` everything below; it
        /// knows `property`, the value. Default: all.
        #[serde(default)]
        #[schemars(example = &"record.kind == 'person'")]
        condition: Option<Expression>,
    },
}

impl Transformation {
    /// Whether it can be done; the error says why not.
    pub fn check(&self) -> Result<(), String> {
        transform::Transform::new(std::slice::from_ref(self)).map(|_| ())
    }

    /// Where in a record it puts something.
    pub(crate) fn made(&self) -> impl Iterator<Item = &FieldPath> {
        let fields = match self {
            Self::AddFields { fields, .. } => fields.as_slice(),
            Self::RemoveFields { .. } => &[],
        };
        fields.iter().map(|field| &field.path)
    }
}

/// A field that is made of others.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AddedField {
    /// Where in the record it is put.
    pub path: FieldPath,
    /// What it is: a template that knows `record` and, in a listing, `stream_partition`, `cursor`
    /// and `cursor_end`. One that is a single `{{ … }}`, which `{% … %}` may stand before, keeps its
    /// type, and is null where that comes to nothing; in other text nothing is empty.
    #[schemars(example = &"{{ record.first }} {{ record.last }}")]
    pub value: Template,
}

impl AddedField {
    /// Whether it can be made of a record; the error says why not.
    pub fn check(&self) -> Result<(), String> {
        transform::added(self).map(|_| ())
    }
}
