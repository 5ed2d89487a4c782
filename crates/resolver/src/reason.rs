//! Why a value stands: data, and the one place that puts it into words.

use crate::rules::Policy;
use hms_sync_model::{FieldName, SideName};
use std::fmt;

/// Why a field has its value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reason {
    /// Nobody has touched the field.
    Nobody,
    /// It is the last value; whoever set it had seen all the others.
    OnlyValue,
    /// Several set the same value without knowing of each other.
    Agreed,
    /// A rule decided among values that met.
    Policy(Policy),
    /// Edits too close in time to tell which came first: the one that can have
    /// come later, then the side that comes first in the configuration.
    LastResort,
    /// A value that only an operator may leave.
    Locked,
    /// It is the owner's field.
    Owner(SideName),
    /// A person has to decide; until then the last agreed value stands.
    Manual,
    /// The field goes with the lead of its group.
    GroupLead(FieldName),
    /// Everybody's additions and removals together.
    Union,
    /// Everybody's additions summed up.
    Sum,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nobody => f.write_str("never set"),
            Self::OnlyValue => f.write_str("the last edit"),
            Self::Agreed => f.write_str("all agree"),
            Self::Policy(policy) => f.write_str(match policy {
                Policy::LastWriterWins => "the later edit",
                Policy::FirstWriterWins => "the earlier edit",
                Policy::Prefer(_) => "preferred side",
                Policy::Precedence(_) => "precedence",
                Policy::Max => "the greater value",
                Policy::Min => "the smaller value",
                Policy::MergeText => "both texts merged",
                Policy::Expression(_) => "the expression",
                Policy::Manual => "a person's choice",
            }),
            Self::LastResort => f.write_str("the later edit, order uncertain"),
            Self::Locked => f.write_str("locked: only an operator changes it"),
            Self::Owner(side) => write!(f, "{side} owns it"),
            Self::Manual => f.write_str("waits for a person"),
            Self::GroupLead(lead) => write!(f, "goes with {lead}"),
            Self::Union => f.write_str("all additions and removals"),
            Self::Sum => f.write_str("all additions summed up"),
        }
    }
}
