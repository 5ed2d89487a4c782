//! All fields one side has of one collection, and a record's way through them.
//!
//! Fields are kept in the order of their names, so a record is read straight
//! into its final form. Reading takes what the side *gives*, writing what it
//! *takes*; a field the side does not have is never touched.

use crate::canonical::Unfit;
use crate::codec::{Codec, InvalidCodec};
use crate::expression::Expressions;
use crate::invert::{self, Finding};
use crate::nested::Nested;
use crate::path::Found;
use crate::{FieldPath, InvalidFormat, InvalidValues, Normal, ValueMap};
use hms_sync_model::{FieldMap, FieldName, FieldType, Value};
use serde_json::{Map, Value as Json};

/// Which way a field goes between us and a side.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Direction {
    /// The side's edits count, and it is given ours.
    #[default]
    Both,
    /// The side is given the field; what it does to it is not taken.
    ToSide,
    /// The side's edits count; it is never written.
    FromSide,
}

/// One field on one side, as configured.
#[derive(Debug, Clone, PartialEq)]
pub struct FieldMapping {
    /// The canonical field.
    pub field: FieldName,
    /// Its type.
    pub ty: FieldType,
    /// Where it lies in the side's record.
    pub path: FieldPath,
    /// Which way it goes.
    pub direction: Direction,
    /// What the side calls the values.
    pub values: Option<ValueMap>,
    /// How the side writes them: a `strftime` pattern, `epoch_s` or `epoch_ms`
    /// for dates, `text` for numbers, `number` for text. Without an offset in
    /// the pattern an instant is in UTC.
    pub format: Option<String>,
    /// What the side holds instead of null. Written for null and for an absent
    /// value, read back as null.
    pub null_as: Option<Json>,
    /// What does not count in its texts, on any side.
    pub normalize: Vec<Normal>,
    /// Expressions that write and read it, instead of values or a format.
    pub expressions: Option<Expressions>,
}

impl FieldMapping {
    /// A field that lies at `path` in its plain form, both ways.
    pub fn plain(field: FieldName, ty: FieldType, path: FieldPath) -> Self {
        Self {
            field,
            ty,
            path,
            direction: Direction::Both,
            values: None,
            format: None,
            null_as: None,
            normalize: Vec::new(),
            expressions: None,
        }
    }
}

/// Why fields cannot be mapped so.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MappingError {
    /// A field is there twice.
    #[error("field `{0}` is mapped twice")]
    FieldTwice(FieldName),
    /// Two written fields share a place, or one lies inside the other.
    #[error("fields `{first}` and `{second}` would both be written at `{path}`")]
    SamePlace {
        /// The field that has the place.
        first: FieldName,
        /// The field that wants it too.
        second: FieldName,
        /// The second one's path.
        path: FieldPath,
    },
    /// The format does not suit.
    #[error("field `{field}`: {cause}")]
    Format {
        /// Which field.
        field: FieldName,
        /// What is wrong.
        cause: InvalidFormat,
    },
    /// The value map does not suit.
    #[error("field `{field}`: {cause}")]
    Values {
        /// Which field.
        field: FieldName,
        /// What is wrong.
        cause: InvalidValues,
    },
    /// `format`, `values` and `null_as` do not suit each other.
    #[error("field `{field}`: {cause}")]
    Other {
        /// Which field.
        field: FieldName,
        /// What is wrong.
        cause: String,
    },
}

impl MappingError {
    /// The field that has to be changed.
    pub fn field(&self) -> &FieldName {
        match self {
            Self::FieldTwice(field)
            | Self::SamePlace { second: field, .. }
            | Self::Format { field, .. }
            | Self::Values { field, .. }
            | Self::Other { field, .. } => field,
        }
    }
}

/// A side's record does not hold in a field what its type says.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("field `{field}` at `{path}`: {cause}")]
pub struct UnreadableField {
    /// Which field.
    pub field: FieldName,
    /// Where in the side's record.
    pub path: FieldPath,
    /// What was there and what was expected.
    pub cause: Unfit,
}

/// A canonical value cannot be put in the side's words.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("field `{field}` cannot be written at `{path}`: {cause}")]
pub struct UnmappableField {
    /// Which field.
    pub field: FieldName,
    /// Where in the side's record.
    pub path: FieldPath,
    /// What we hold and what the side can be given.
    pub cause: Unfit,
}

#[derive(Debug, Clone)]
struct Mapped {
    field: FieldName,
    path: FieldPath,
    direction: Direction,
    codec: Codec,
}

/// All fields one side has, compiled.
#[derive(Debug, Clone, Default)]
pub struct SideMap {
    /// Ascending by field.
    fields: Vec<Mapped>,
    /// Places in `fields` of those that the side takes, ascending by path.
    by_path: Vec<usize>,
}

impl Mapped {
    fn compile(mapping: FieldMapping) -> Result<Self, MappingError> {
        let FieldMapping { field, ty, path, direction, values, format, null_as, normalize, expressions } =
            mapping;
        let (format, values, expressions) = (format.as_deref(), values.as_ref(), expressions.as_ref());
        match Codec::compile(ty, format, values, null_as, normalize, expressions) {
            Ok(codec) => Ok(Self { field, path, direction, codec }),
            Err(InvalidCodec::Format(cause)) => Err(MappingError::Format { field, cause }),
            Err(InvalidCodec::Values(cause)) => Err(MappingError::Values { field, cause }),
            Err(other) => Err(MappingError::Other { field, cause: other.to_string() }),
        }
    }

    fn takes(&self) -> bool {
        self.direction != Direction::FromSide
    }

    fn gives(&self) -> bool {
        self.direction != Direction::ToSide
    }

    /// The value in `doc`; nothing if the path is not there.
    fn read(&self, doc: &Json) -> Result<Option<Value>, UnreadableField> {
        let cause = match self.path.find(doc) {
            Found::Missing => return Ok(None),
            Found::Value(json) => match self.codec.read(json) {
                Ok(value) => return Ok(Some(value)),
                Err(cause) => cause,
            },
            Found::NoObject(json) => Unfit::new(json, "an object on the way to it"),
        };
        Err(UnreadableField { field: self.field.clone(), path: self.path.clone(), cause })
    }
}

impl SideMap {
    /// Compiles the fields of one side.
    ///
    /// # Errors
    /// At the first field that cannot be mapped as asked.
    pub fn new(fields: Vec<FieldMapping>) -> Result<Self, MappingError> {
        let compiled: Result<Vec<_>, _> = fields.into_iter().map(Mapped::compile).collect();
        let mut fields = compiled?;
        for (i, second) in fields.iter().enumerate() {
            for first in fields.iter().take(i) {
                if first.field == second.field {
                    return Err(MappingError::FieldTwice(second.field.clone()));
                }
                if first.takes() && second.takes() && first.path.overlaps(&second.path) {
                    return Err(MappingError::SamePlace {
                        first: first.field.clone(),
                        second: second.field.clone(),
                        path: second.path.clone(),
                    });
                }
            }
        }
        fields.sort_by(|a, b| a.field.cmp(&b.field));
        let taken = fields.iter().enumerate().filter(|(_, mapped)| mapped.takes());
        let mut taken: Vec<(usize, &FieldPath)> = taken.map(|(at, mapped)| (at, &mapped.path)).collect();
        taken.sort_by_key(|(_, path)| *path);
        let by_path = taken.into_iter().map(|(at, _)| at).collect();
        Ok(Self { fields, by_path })
    }

    fn get(&self, field: &FieldName) -> Option<&Mapped> {
        let at = self.fields.binary_search_by(|mapped| mapped.field.cmp(field)).ok()?;
        self.fields.get(at)
    }

    /// Whether we may write the field to the side.
    pub fn takes(&self, field: &FieldName) -> bool {
        self.get(field).is_some_and(Mapped::takes)
    }

    /// Whether the side's edits of the field count.
    pub fn gives(&self, field: &FieldName) -> bool {
        self.get(field).is_some_and(Mapped::gives)
    }

    /// The fields the side has, ascending.
    pub fn fields(&self) -> impl Iterator<Item = &FieldName> {
        self.fields.iter().map(|mapped| &mapped.field)
    }

    /// Where its fields lie.
    pub fn paths(&self) -> impl Iterator<Item = &FieldPath> {
        self.fields.iter().map(|mapped| &mapped.path)
    }

    /// The field that the side gives at a place, named by the members to step into; the first, if
    /// it gives several there.
    pub fn field_at<'s>(&'s self, place: &'s [String]) -> Option<&'s FieldName> {
        self.fields_at(place).next()
    }

    /// All fields that the side gives at a place.
    pub fn fields_at<'s>(&'s self, place: &'s [String]) -> impl Iterator<Item = &'s FieldName> {
        let there = move |mapped: &&'s Mapped| {
            mapped.path.parts().len() == place.len() && mapped.path.parts().zip(place).all(|(a, b)| a == b)
        };
        self.fields.iter().filter(|mapped| mapped.gives()).filter(there).map(|mapped| &mapped.field)
    }

    /// Where the field lies in the side's record.
    pub fn path(&self, field: &FieldName) -> Option<&FieldPath> {
        self.get(field).map(|mapped| &mapped.path)
    }

    /// How the field is written on the side.
    pub fn codec(&self, field: &FieldName) -> Option<&Codec> {
        self.get(field).map(|mapped| &mapped.codec)
    }

    /// Every field the side gives, in canonical form: absent if its path is
    /// missing, null for a null at the path or on the way.
    ///
    /// # Errors
    /// At the first field whose value its type cannot hold.
    pub fn read(&self, doc: &Json) -> Result<FieldMap, UnreadableField> {
        let given = self.fields.iter().filter(|mapped| mapped.gives());
        given.map(|m| Ok((m.field.clone(), m.read(doc)?.unwrap_or(Value::Absent)))).collect()
    }

    /// As [`Self::read`], but only fields whose path is there.
    ///
    /// # Errors
    /// At the first field whose value its type cannot hold.
    pub fn read_partial(&self, doc: &Json) -> Result<FieldMap, UnreadableField> {
        let given = self.fields.iter().filter(|mapped| mapped.gives());
        given
            .filter_map(|m| m.read(doc).map(|found| found.map(|v| (m.field.clone(), v))).transpose())
            .collect()
    }

    /// Every field that can be read, and why the others cannot: as [`Self::read`], or as
    /// [`Self::read_partial`], without ending at the first.
    pub fn read_each(&self, doc: &Json, partial: bool) -> (FieldMap, Vec<UnreadableField>) {
        let (mut fields, mut unfit) = (FieldMap::new(), Vec::new());
        fields.reserve(self.fields.len());
        for mapped in self.fields.iter().filter(|mapped| mapped.gives()) {
            match mapped.read(doc) {
                Ok(Some(value)) => drop(fields.insert(mapped.field.clone(), value)),
                Ok(None) if partial => {}
                Ok(None) => drop(fields.insert(mapped.field.clone(), Value::Absent)),
                Err(why) => unfit.push(why),
            }
        }
        (fields, unfit)
    }

    /// An object in the side's shape with those of `fields` that it takes, and
    /// nothing else. An absent value is left out, unless the side has a word
    /// for null.
    ///
    /// # Errors
    /// At the first value for which the side has no word.
    pub fn write(&self, fields: &FieldMap) -> Result<Json, UnmappableField> {
        let mut doc = Map::new();
        for (field, value) in fields.iter() {
            let Some(mapped) = self.get(field).filter(|mapped| mapped.takes()) else {
                continue;
            };
            let native = mapped.codec.write(value).map_err(|cause| UnmappableField {
                field: field.clone(),
                path: mapped.path.clone(),
                cause,
            })?;
            if let Some(native) = native {
                mapped.path.place(&mut doc, native);
            }
        }
        Ok(Json::Object(doc))
    }

    /// The same as JSON text, the keys of each object in order.
    ///
    /// # Errors
    /// As [`Self::write`].
    pub fn write_text(&self, fields: &FieldMap) -> Result<String, UnmappableField> {
        let mut doc = Nested::new();
        for mapped in self.by_path.iter().filter_map(|at| self.fields.get(*at)) {
            let Some(value) = fields.get(&mapped.field) else { continue };
            let wrote = doc.put(&mapped.path, |to| mapped.codec.write_text(value, to));
            wrote.map_err(|cause| UnmappableField {
                field: mapped.field.clone(),
                path: mapped.path.clone(),
                cause,
            })?;
        }
        Ok(doc.end())
    }

    /// Fields that the side gives and whose place is not in `doc`.
    pub fn lacking(&self, doc: &Json) -> Vec<FieldName> {
        let given = self.fields.iter().filter(|mapped| mapped.gives());
        let missing = given.filter(|mapped| matches!(mapped.path.find(doc), Found::Missing));
        missing.map(|mapped| mapped.field.clone()).collect()
    }

    /// How the side itself writes `value` in the field, whichever way the field goes; nothing
    /// for a value that is left out.
    ///
    /// # Errors
    /// When the side has no word for the value.
    pub fn native(&self, field: &FieldName, value: &Value) -> Result<Option<Json>, UnmappableField> {
        let Some(mapped) = self.get(field) else { return Ok(None) };
        let unmappable = |cause| UnmappableField { field: field.clone(), path: mapped.path.clone(), cause };
        mapped.codec.write(value).map_err(unmappable)
    }

    /// What the way of a field's values to the side and back does to them that it should
    /// not: of each kind one, tried on `samples`, on plain values and on made ones. Nothing
    /// of a field that is not written there; of one that is not read, what cannot be written.
    pub fn findings(&self, field: &FieldName, samples: &[Value]) -> Vec<Finding> {
        let Some(mapped) = self.get(field).filter(|mapped| mapped.takes()) else { return Vec::new() };
        let mut found = invert::findings(&mapped.codec, samples);
        if !mapped.gives() {
            found.retain(|finding| matches!(finding, Finding::NoWord { .. }));
        }
        found
    }

    /// What the side will show of `value`: the value itself, unless the side
    /// holds less (a day of an instant, a default for words it does not know).
    pub fn image(&self, field: &FieldName, value: &Value) -> Value {
        self.get(field).map_or_else(|| value.clone(), |mapped| mapped.codec.image(value))
    }

    /// The new canonical value when the side shows `view` and we held `source`
    /// before: what the side cannot hold survives its edit.
    pub fn put(&self, field: &FieldName, view: &Value, source: &Value) -> Value {
        self.get(field).map_or_else(|| view.clone(), |mapped| mapped.codec.put(view, source))
    }

    /// The same of a view that nobody else needs: mostly it is the value.
    pub fn put_owned(&self, field: &FieldName, view: Value, source: &Value) -> Value {
        match self.get(field).filter(|mapped| !mapped.codec.is_lossless()) {
            Some(mapped) => mapped.codec.put(&view, source),
            None => view,
        }
    }
}
