//! The scene of a story: sides, fields and rules. Two sides that can do everything and
//! keep permits, unless a story says otherwise.

use hms_sync_connector::Abilities;
use hms_sync_engine::{
    CollectionPlan, CollectionSide, Guard, OnAltered, OnMissing, Plan, Recreate, Retry, Shape, SidePlan,
};
use hms_sync_mapping::{FieldMapping, FieldPath, SideMap};
use hms_sync_model::{CollectionName, FieldName, FieldType, SideName, Value, VecMap};
use hms_sync_resolver::{Deletes, FieldRule, Group, Policy, Rules};
use std::collections::BTreeSet;
use std::time::Duration;

pub struct Scene {
    sides: Vec<Side>,
    fields: Vec<(FieldName, FieldRule)>,
    groups: Vec<Group>,
    deletes: Deletes,
    guard: Guard,
    recreate: Recreate,
    small: bool,
}

struct Side {
    name: SideName,
    abilities: Abilities,
    settle_window: Duration,
    on_altered: OnAltered,
    on_missing: OnMissing,
    read_back: bool,
    filled_by_listing: Vec<FieldName>,
    maps: Vec<FieldMapping>,
}

pub fn side(name: &str) -> SideName {
    SideName::try_new(name).unwrap()
}

pub fn field(name: &str) -> FieldName {
    FieldName::try_new(name).unwrap()
}

pub fn permit() -> CollectionName {
    CollectionName::try_new("permit").unwrap()
}

pub fn everything() -> Abilities {
    Abilities {
        read: true,
        incremental: true,
        fetch: true,
        lookup: true,
        create: true,
        update: true,
        delete: true,
        idempotency_key: false,
        key_valid_for: None,
        precondition: true,
    }
}

pub fn strongest_first() -> Vec<Policy> {
    let values = ["revoked", "denied", "approved", "pending"].map(Value::from).to_vec();
    vec![Policy::Precedence(values), Policy::LastWriterWins]
}

impl Scene {
    /// `clerk` and `marshal` with `no` (the identity), `status` (the stronger wins) and `note`.
    pub fn new() -> Self {
        Self::of(&["clerk", "marshal"])
    }

    pub fn of(sides: &[&str]) -> Self {
        let sides = sides.iter().map(|name| Side {
            name: side(name),
            abilities: everything(),
            settle_window: Duration::from_secs(30),
            on_altered: OnAltered::KeepOurs,
            on_missing: OnMissing::Deleted,
            read_back: false,
            filled_by_listing: Vec::new(),
            maps: Vec::new(),
        });
        let scene = Self {
            sides: sides.collect(),
            fields: Vec::new(),
            groups: Vec::new(),
            deletes: Deletes::EditWins,
            guard: Guard { max_deletes: 100, max_deletes_percent: 100, ..Guard::default() },
            recreate: Recreate::Fresh,
            small: false,
        };
        let scene = scene.field("no", FieldType::String, |_| {});
        let scene = scene.field("status", FieldType::String, |rule| rule.resolve = strongest_first());
        scene.field("note", FieldType::String, |_| {})
    }

    /// A field on all sides; one that is there already is replaced.
    pub fn field(mut self, name: &str, ty: FieldType, rule: impl FnOnce(&mut FieldRule)) -> Self {
        let mut of = FieldRule { ty: ty.clone(), ..FieldRule::default() };
        rule(&mut of);
        self.fields.retain(|(other, _)| *other != field(name));
        self.fields.push((field(name), of));
        for side in &mut self.sides {
            side.maps.retain(|map| map.field != field(name));
            side.maps.push(FieldMapping::plain(field(name), ty.clone(), FieldPath::parse(name).unwrap()));
        }
        self
    }

    /// How a side has a field.
    pub fn map(mut self, on: &str, name: &str, change: impl FnOnce(&mut FieldMapping)) -> Self {
        let side = self.sides.iter_mut().find(|side| side.name.as_str() == on).unwrap();
        change(side.maps.iter_mut().find(|map| map.field.as_str() == name).unwrap());
        self
    }

    /// A side does not have a field.
    pub fn without(mut self, on: &str, name: &str) -> Self {
        let side = self.sides.iter_mut().find(|side| side.name.as_str() == on).unwrap();
        side.maps.retain(|map| map.field.as_str() != name);
        self
    }

    pub fn able(mut self, on: &str, change: impl FnOnce(&mut Abilities)) -> Self {
        change(&mut self.sides.iter_mut().find(|side| side.name.as_str() == on).unwrap().abilities);
        self
    }

    pub fn group(mut self, fields: &[&str], lead: &str, change: impl FnOnce(&mut Group)) -> Self {
        let mut group = Group {
            name: "standing".into(),
            fields: fields.iter().map(|name| field(name)).collect(),
            lead: field(lead),
            resolve: strongest_first(),
            locks: Vec::new(),
        };
        change(&mut group);
        self.groups.push(group);
        self
    }

    pub fn deletes(mut self, deletes: Deletes) -> Self {
        self.deletes = deletes;
        self
    }

    pub fn on_altered(mut self, on: &str, what: OnAltered) -> Self {
        self.sides.iter_mut().find(|side| side.name.as_str() == on).unwrap().on_altered = what;
        self
    }

    pub fn on_missing(mut self, on: &str, what: OnMissing) -> Self {
        self.sides.iter_mut().find(|side| side.name.as_str() == on).unwrap().on_missing = what;
        self
    }

    pub fn read_back(mut self, on: &str) -> Self {
        self.sides.iter_mut().find(|side| side.name.as_str() == on).unwrap().read_back = true;
        self
    }

    /// Only a side's listings are sure to show the field.
    pub fn filled_by_listing(mut self, on: &str, name: &str) -> Self {
        let side = self.sides.iter_mut().find(|side| side.name.as_str() == on).unwrap();
        side.filled_by_listing.push(field(name));
        self
    }

    pub fn guard(mut self, guard: Guard) -> Self {
        self.guard = guard;
        self
    }

    pub fn recreate(mut self, recreate: Recreate) -> Self {
        self.recreate = recreate;
        self
    }

    /// A process that keeps one record in memory and saves its views at once.
    pub fn small(mut self) -> Self {
        self.small = true;
        self
    }

    pub fn plan(self) -> Plan {
        let mut plan = Plan::new("Rehearsal");
        if self.small {
            (plan.records_max, plan.unsaved_max) = (1, 1);
        }
        let mut rules = Rules::builder()
            .side_order(self.sides.iter().map(|side| side.name.clone()))
            .deletes(self.deletes);
        let mut parts = VecMap::new();
        for side in self.sides {
            let retry = Retry { max_attempts: 5, ..Retry::default() };
            plan.sides.insert(side.name.clone(), SidePlan { in_flight_max: 4, retry });
            let part = CollectionSide {
                abilities: side.abilities,
                shape: Shape::Fields(SideMap::new(side.maps).unwrap()),
                poll_interval: None,
                full_interval: None,
                settle_window: side.settle_window,
                on_altered: side.on_altered,
                on_missing: side.on_missing,
                read_back: side.read_back,
                filled_by_listing: side.filled_by_listing,
            };
            parts.insert(side.name, part);
        }
        for (name, rule) in self.fields {
            rules = rules.field(name, rule);
        }
        for group in self.groups {
            rules = rules.group(group);
        }
        let (rules, identity) = (rules.build().unwrap(), vec![field("no")]);
        let (guard, recreate, personal) = (self.guard, self.recreate, BTreeSet::new());
        let collection = CollectionPlan { identity, rules, sides: parts, guard, recreate, personal };
        plan.collections.insert(permit(), collection);
        plan
    }
}
