//! What the tests here are set up with: names, a plan of sides that can little, and a log that
//! has lost events.

use hms_sync_changelog::{Recovery, recover};
use hms_sync_connector::Abilities;
use hms_sync_engine::{CollectionPlan, CollectionSide, JobPlan, Plan, Retry, Shape, SidePlan};
use hms_sync_mapping::{FieldMapping, FieldPath, SideMap};
use hms_sync_model::{CollectionName, FieldName, FieldType, JobName, NativeId, SideName, Time};
use std::path::Path;

/// Stands in events that are to be lost, and cannot be made shorter by compression.
pub(crate) const LOST: &str = "q8Zr3Kx0vT7mWp2LsYb9";

pub(crate) fn side(name: &str) -> SideName {
    SideName::try_new(name).unwrap()
}

pub(crate) fn field(name: &str) -> FieldName {
    FieldName::try_new(name).unwrap()
}

pub(crate) fn native(id: &str) -> NativeId {
    NativeId::try_new(id).unwrap()
}

/// The collection of most plans here.
pub(crate) fn item() -> CollectionName {
    CollectionName::try_new("item").unwrap()
}

/// The handler of all plans that have one.
pub(crate) fn job() -> JobName {
    JobName::try_new("notify").unwrap()
}

/// A side that can do so much, and is handed records as they are. Nobody polls it.
pub(crate) fn part(abilities: Abilities) -> CollectionSide {
    CollectionSide::new(abilities, Shape::Document)
}

/// A side's shape of text fields by their own names.
pub(crate) fn texts(names: &[&str]) -> Shape {
    let map =
        |name: &&str| FieldMapping::plain(field(name), FieldType::String, FieldPath::parse(name).unwrap());
    Shape::Fields(SideMap::new(names.iter().map(map).collect()).unwrap())
}

/// A collection on these sides, with no rules of its own.
pub(crate) fn collection(sides: impl IntoIterator<Item = (SideName, CollectionSide)>) -> CollectionPlan {
    CollectionPlan::new(sides)
}

/// A plan of one collection, on the sides that it has.
pub(crate) fn plan(name: CollectionName, of: CollectionPlan) -> Plan {
    let mut plan = Plan::new("Test");
    for (side, _) in of.sides.iter() {
        plan.sides.insert(side.clone(), SidePlan::default());
    }
    plan.collections.insert(name, of);
    plan
}

/// A handler of the records of `collection`.
pub(crate) fn handler(collection: CollectionName, in_flight_max: usize) -> JobPlan {
    JobPlan { collection, in_flight_max, retry: Retry::default() }
}

/// Destroys every copy of the events with the mark, and recovers the log.
pub(crate) fn lose(dir: &Path, into: &Path, now: Time) -> Recovery {
    let path = dir.join("db");
    let mut bytes = std::fs::read(&path).unwrap();
    let found: Vec<usize> =
        (0..bytes.len() - LOST.len()).filter(|at| bytes[*at..].starts_with(LOST.as_bytes())).collect();
    assert!(!found.is_empty());
    found.into_iter().for_each(|at| bytes[at..at + LOST.len()].fill(0));
    std::fs::write(&path, bytes).unwrap();
    let report = recover(dir, into, now).unwrap();
    assert!(report.events_lost() > 0, "{report:?}");
    report
}
