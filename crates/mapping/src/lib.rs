//! A field's way between a side's shape and the canonical one, both directions.
//!
//! Pure: no I/O, no clock, no state. A [`SideMap`] is everything one side has
//! of one collection, compiled once; [`SideMap::read`] and [`SideMap::write`]
//! are the two directions, [`SideMap::image`] and [`SideMap::put`] the lens for
//! sides that hold less than we do. Nothing here ever panics on what a side
//! sent, recurses without bound, or guesses: what does not fit a field's type
//! is an error that names the field, the place, and what was expected.
//!
//! Laws (`tests/laws.rs`): `put(image(s), s) == s`, `image(put(v, s)) == v`,
//! `read(write(v)) == image(v)`, and canonical values are fixpoints.

mod canonical;
mod codec;
mod expression;
mod invert;
mod nested;
mod format;
mod normal;
mod path;
mod known;
mod side;
mod values;

pub use canonical::{Unfit, canonical, from_text};
pub use codec::Codec;
pub use expression::{EXPRESSION_MAX, Expressions, InvalidExpression};
pub use format::InvalidFormat;
pub use invert::Finding;
pub use known::Known;
pub use normal::Normal;
pub use path::{FieldPath, InvalidPath};
pub use side::{Direction, FieldMapping, MappingError, SideMap, UnmappableField, UnreadableField};
pub use values::{InvalidValues, ValueMap};
