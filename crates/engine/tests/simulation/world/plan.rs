//! What is kept in step in a world, and what its seed decides about it.

use crate::side::SimSide;
use hms_sync_engine::{CollectionPlan, CollectionSide, Guard, Plan, Retry, Shape, SidePlan};
use hms_sync_mapping::{FieldMapping, FieldPath, SideMap};
use hms_sync_model::{CollectionName, FieldName, FieldType, SideName, Value, VecMap};
use hms_sync_resolver::{FieldRule, Group, Policy, Rules};
use std::time::Duration;

pub(super) const FIELDS: [(&str, &str); 4] =
    [("no", "ref"), ("status", "state"), ("note", "note"), ("site", "place")];

pub(super) const PERSONAL: [&str; 2] = ["note", "site"];

pub(super) const STATUSES: [&str; 4] = ["pending", "approved", "denied", "revoked"];

/// What every personal value of these worlds begins with.
pub(super) const SECRET: &str = "secret-";

pub(super) fn side_name(i: usize) -> SideName {
    SideName::try_new(["clerk", "marshal"][i]).unwrap()
}

pub(super) fn plan(sides: &[SimSide; 2], window: Duration, grouped: bool, personal: bool) -> Plan {
    let field = |name: &str| FieldName::try_new(name).unwrap();
    let mut plan = Plan::new("Sim");
    plan.records_max = 12;
    plan.unsaved_max = 40;
    let retry =
        Retry { max_attempts: 1_000, initial: Duration::from_millis(100), max: Duration::from_secs(5) };
    let mut parts = VecMap::new();
    for (i, side) in sides.iter().enumerate() {
        let maps = FIELDS.map(|names| {
            let path = if i == 0 { names.0 } else { names.1 };
            FieldMapping::plain(field(names.0), FieldType::String, FieldPath::parse(path).unwrap())
        });
        plan.sides.insert(side_name(i), SidePlan { in_flight_max: 4, retry });
        let part = CollectionSide {
            abilities: side.abilities(),
            shape: Shape::Fields(SideMap::new(maps.to_vec()).unwrap()),
            poll_interval: Some(Duration::from_secs(2)),
            full_interval: Some(Duration::from_secs(30)),
            settle_window: window,
            on_altered: hms_sync_engine::OnAltered::default(),
            on_missing: hms_sync_engine::OnMissing::Deleted,
            read_back: false,
            filled_by_listing: Vec::new(),
        };
        parts.insert(side_name(i), part);
    }
    let precedence =
        Policy::Precedence(["revoked", "denied", "approved", "pending"].map(Value::from).to_vec());
    let rule = |resolve: Vec<Policy>| FieldRule { resolve, ..FieldRule::default() };
    let group = Group {
        name: "place".into(),
        fields: vec![field("note"), field("site")],
        lead: field("site"),
        resolve: vec![Policy::LastWriterWins],
        locks: Vec::new(),
    };
    let builder = if grouped { Rules::builder().group(group) } else { Rules::builder() };
    let rules = builder
        .side_order([side_name(0), side_name(1)])
        .field(field("no"), rule(vec![Policy::LastWriterWins]))
        .field(field("status"), rule(vec![precedence, Policy::LastWriterWins]))
        .field(field("note"), rule(vec![Policy::LastWriterWins]))
        .field(field("site"), rule(vec![Policy::Prefer(vec![side_name(1)])]))
        .build()
        .unwrap();
    let guard = Guard { max_deletes: 1_000, max_deletes_percent: 100, ..Guard::default() };
    let personal = PERSONAL.into_iter().filter(|_| personal).map(field).collect();
    let (identity, recreate) = (vec![field("no")], hms_sync_engine::Recreate::default());
    let collection = CollectionPlan { identity, rules, sides: parts, guard, recreate, personal };
    plan.collections.insert(CollectionName::try_new("permit").unwrap(), collection);
    plan
}

/// Whether two of the fields are a group in this world.
pub(super) fn is_grouped(seed: u64) -> bool {
    seed % 3 == 1
}

/// In every third world events are archived and dropped.
pub(super) fn is_archived(seed: u64) -> bool {
    seed % 3 == 1
}

/// Whether two of the fields are personal in this world.
pub(super) fn is_personal(seed: u64) -> bool {
    seed % 5 < 3
}

/// Whether users of this world put records back to what they were: a side shows again what it showed
/// before. Here nothing is personal.
pub(super) fn is_undoing(seed: u64) -> bool {
    seed % 5 == 4
}
