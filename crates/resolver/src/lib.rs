//! Merging, pure: registers, clocks, policies.
//!
//! A record's fields are registers that keep every edit which no other edit's
//! author had seen (siblings). A policy picks the value when it is asked for,
//! and changes nothing: so merging gives the same whatever the order of arrival,
//! a policy can change later, and a losing value is never destroyed.
//!
//! What never happens here: I/O, reading a clock, randomness, async. The laws are
//! in `tests/laws`, one test for each, by the names of the specification.

mod closed;
mod few;
mod reg;
mod rules;
mod elements;
mod field;
mod flat;
mod record;
mod packed;
mod policy;
mod expression;
mod formulas;
mod number;
mod text;
mod decide;
mod reason;
#[doc(hidden)]
pub mod fault;

pub use closed::Closed;
pub use decide::{Conflict, ConflictKind, Decision};
pub use elements::Elements;
pub use expression::{Expression, ExpressionError};
pub use field::FieldState;
pub use formulas::{Broken, EDIT_NAMES, Formulas};
pub use reason::Reason;
pub use record::{Malformed, Presence, Record, Unfit};
pub use reg::{Reg, Sibling};
pub use rules::{Builder, Deletes, FieldRule, Group, InvalidRules, Kind, Owner, Policy, Rules};
