//! The schema of policies: how concurrent edits of a field, or of a group of fields, merge.

use super::BoolOrText;
use schemars::JsonSchema;
use serde_json::Value as Json;
use std::collections::BTreeMap;

/// A policy, or several of which the first that can decide does.
#[derive(JsonSchema)]
#[schemars(untagged)]
pub(super) enum Resolve {
    /// One.
    One(Policy),
    /// Several.
    Chain(Vec<Policy>),
}

/// A policy by name, or with its arguments.
#[derive(JsonSchema)]
#[schemars(untagged)]
pub(super) enum Policy {
    /// By name.
    Name(PolicyName),
    /// With arguments.
    With(Box<PolicyArguments>),
}

/// Policies without arguments.
#[derive(JsonSchema)]
#[schemars(rename_all = "snake_case")]
pub(super) enum PolicyName {
    /// The edit made last.
    LastWriterWins,
    /// The edit made first.
    FirstWriterWins,
    /// The largest value.
    Max,
    /// The smallest value.
    Min,
    /// Elements merge by themselves; what is added here and removed there stays.
    Union,
    /// What each side added is summed up.
    Counter,
    /// Both changes of a text, where they do not overlap.
    MergeText,
    /// A person chooses.
    Manual,
}

/// Policies with arguments; exactly one of them.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(super) struct PolicyArguments {
    /// Sides, the preferred first.
    prefer: Option<Sides>,
    /// Values, the strongest first.
    precedence: Option<Vec<Json>>,
    /// Beside `precedence`: the same as `locks`.
    sticky: Option<Vec<Json>>,
    /// What happens to an element that is added here and removed there.
    union: Option<Union>,
    /// An expression over `siblings`; what it comes to stands.
    expression: Option<String>,
}

/// One side or several.
#[derive(JsonSchema)]
#[schemars(untagged)]
pub(super) enum Sides {
    /// One.
    One(String),
    /// Several, the preferred first.
    Several(Vec<String>),
}

/// An element that is added here and removed there.
#[derive(JsonSchema)]
#[schemars(rename_all = "snake_case")]
pub(super) enum Union {
    /// It stays.
    AddWins,
    /// It goes.
    RemoveWins,
}

/// The side whose word counts for every edit.
#[derive(JsonSchema)]
#[schemars(untagged)]
pub(super) enum Owner {
    /// Others' edits are put back.
    Side(String),
    /// With a condition.
    With(OwnerWith),
}

/// An owner with a condition.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(super) struct OwnerWith {
    /// The side.
    side: String,
    /// Others may fill the field while the owner has nothing there. Default: false.
    unless_blank: Option<BoolOrText>,
}

/// Fields that merge together.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(super) struct Group {
    /// The fields, two at least.
    fields: Vec<String>,
    /// The field that the rules look at.
    lead: String,
    /// How concurrent edits merge.
    resolve: Option<Resolve>,
    /// Values of the lead that only an operator can take out again.
    locks: Option<Vec<Json>>,
    /// Members, each with an expression: what it is in an edit of a side that does not have it.
    derive: Option<BTreeMap<String, String>>,
    /// An expression that must hold before any side is sent the group.
    require: Option<String>,
}
