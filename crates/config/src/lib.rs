//! YAML in, or a [`Draft`] that a program wrote; a checked config out.
//!
//! A file is read whole, and one run names every mistake in it: with its line
//! and column, the line itself, and what would be right. What comes out is
//! complete and fits together, so nobody after this room checks a name again.
//! The order below is the order in which a file passes through.
//!
//! What never happens here: a request, a write, a value of the environment in a
//! message, a default for something that was misspelt.

mod problem;
mod node;
mod draft;
mod environment;
mod secrets;
mod expressions;
mod section;
mod bridge;
mod parents;
mod places;
mod policies;
mod field_types;
mod mappings;
mod fields;
mod groups;
mod personal;
mod rules;
mod audit;
mod cases;
mod sides;
mod contract;
mod collections;
mod types;
mod check;
mod schema;
mod reference;

pub use check::{MANAGEMENT, check, check_sides, load, parse};
pub use contract::{OnChange, SchemaContract};
pub use draft::{Draft, DraftValue};
pub use node::{Entry, Kind, MAX_BYTES, Node, tree};
pub use problem::{At, ConfigErrors, MAX_PROBLEMS, Problem};
pub use reference::Page;
pub use schema::schema;
pub use sides::{wrong_addition, wrong_pattern, wrong_removal, wrong_value};
pub use types::{
    Collection, CollectionSide, Config, Deed, Expect, ExpectedConflict, ExpectedMerge, ExpectedWrite, Guard,
    OnAltered, OnMissing, Retry, SETTLE_WINDOW, Side, Step, TestCase, Who,
};
