//! A person decides a conflict: an edit by an operator, who has seen all that it
//! touches, so that it stands against every value of before and reaches every side.
//!
//! Who decides says which version of the record they saw. If somebody has edited since
//! what the decision touches, nothing is done: two operators never overrule each other
//! unseen. Locks and owners give way, as they do to every edit of an operator.

use crate::error::EngineError;
use crate::happening::What;
use crate::machine::Machine;
use crate::past::state_at;
use crate::personal::{closed, personal_of};
use crate::state::RecordState;
use crate::taken_up::is_unread;
use crate::wake::{Now, Reply};
use hms_sync_model::{
    Author, Body, Change, Clock, Edit, FieldMap, FieldName, RecordId, Source, Stamp, Value, VecMap,
};
use hms_sync_resolver::{Presence, Rules};

/// A person's decision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Choice {
    /// About which record.
    pub record: RecordId,
    /// The version of it that they saw.
    pub version: u64,
    /// What they want.
    pub wanted: Wanted,
    /// Who they are.
    pub by: String,
    /// Why.
    pub reason: String,
}

/// What a person wants of a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wanted {
    /// A field stays at the value that stands.
    Stands(FieldName),
    /// Fields get these values.
    Values(FieldMap),
    /// The record is there, or is deleted everywhere.
    Present(bool),
}

/// Why a decision is not made.
enum Not {
    /// Somebody has edited what it touches since.
    Stale,
    /// It cannot be.
    Possible(String),
}

impl Machine {
    /// Makes an edit of a person's decision; it is durable before they are answered.
    pub(crate) fn choose(&mut self, choice: Choice, now: Now) -> Result<Reply, EngineError> {
        let Choice { record, version, wanted, by, reason } = choice;
        let mut entry = self.views.take(&record)?;
        let seen = self.seen_at(&record, &entry.state, version);
        let edit = match seen {
            Ok(seen) => self.decision(&record, &entry.state, &seen, wanted, now),
            Err(why) => {
                self.views.put(record, entry);
                return Err(why);
            }
        };
        let edit = match edit {
            Ok(edit) => edit,
            Err(not) => {
                let version = entry.state.version;
                self.views.put(record, entry);
                return Ok(match not {
                    Not::Stale => Reply::Stale(version),
                    Not::Possible(why) => Reply::Refused(why),
                });
            }
        };
        let changed = edit.changes.iter().map(|(field, change)| (field.clone(), change.after.clone()));
        let told = What::Chosen { by: by.clone(), fields: changed.collect(), deletes: edit.deletes };
        self.counts.edits += 1;
        let source = Source::Person { by, reason };
        let body = Body::Edited { edit, id: None, tag: None, source, raw: None };
        let version = self.emit(&record, &mut entry, body, now)?;
        self.tell(Some(&record), told, now);
        self.finish(record, entry, now)?;
        Ok(Reply::Made(version))
    }

    /// What somebody who saw `version` had seen. What is not durable nobody can have seen.
    fn seen_at(&self, record: &RecordId, state: &RecordState, version: u64) -> Result<Clock, EngineError> {
        if version >= state.version {
            return Ok(state.merged.clock.clone());
        }
        let then = state_at(self.log(), self.views.vault(), self.plan(), record, version)?;
        Ok(then.merged.clock)
    }

    fn decision(
        &self,
        record: &RecordId,
        state: &RecordState,
        seen: &Clock,
        wanted: Wanted,
        now: Now,
    ) -> Result<Edit, Not> {
        let impossible = |why: String| Not::Possible(why);
        let Some(collection) = self.plan().collections.get(record.collection()) else {
            return Err(impossible(format!("the configuration has no collection {:?}", record.collection())));
        };
        if let Some(why) = &state.malformed {
            return Err(impossible(format!("the record is held: {why}")));
        }
        if is_unread(collection, state) {
            return Err(impossible("it was taken up, and not every side has been read since".to_owned()));
        }
        if state.merged.clock.is_empty() {
            return Err(impossible("nothing is known of the record yet".to_owned()));
        }
        let rules = &collection.rules;
        let (values, deletes) = match wanted {
            Wanted::Stands(field) => (group_as_it_stands(rules, state, &field), false),
            Wanted::Values(values) => (values, false),
            Wanted::Present(there) => {
                return if only_engine_since(seen, &state.merged.clock) {
                    Ok(edit(self.floor, state, VecMap::new(), !there, now))
                } else {
                    Err(Not::Stale)
                };
            }
        };
        let mut changes: VecMap<FieldName, Change> = VecMap::new();
        for (field, after) in values.iter() {
            let before = state.merged.value(rules, field);
            changes.insert(field.clone(), Change { before, after: after.clone() });
        }
        rules.complete_groups(&mut changes, |field| state.merged.value(rules, field));
        if let Some(closed) = closed(state, personal_of(self.plan(), record))
            && let Some(field) = changes.keys().find(|field| closed.contains(*field))
        {
            return Err(impossible(format!("{field} was erased: nothing is taken in there any more")));
        }
        let unseen = |field: &FieldName| !only_engine_since(seen, &state.merged.seen(field));
        let deleted = state.merged.presence_siblings().iter();
        let mut deleted = deleted.filter(|sibling| sibling.change.after == Value::Bool(false));
        if changes.keys().any(unseen) || deleted.any(|sibling| !seen.has(&sibling.dot)) {
            return Err(Not::Stale);
        }
        match state.merged.presence(rules) {
            Presence::Present => Ok(edit(self.floor, state, changes, deletes, now)),
            Presence::Undecided => Err(impossible(
                "it is not decided yet whether the record is there: decide that first, without a field"
                    .to_owned(),
            )),
            Presence::Deleted | Presence::Unborn => Err(impossible(
                "the record is deleted: decide first, without a field, that it is there".to_owned(),
            )),
        }
    }
}

/// A field, and with it its whole group, as it stands.
fn group_as_it_stands(rules: &Rules, state: &RecordState, field: &FieldName) -> FieldMap {
    let members = rules.group_of(field).map_or(std::slice::from_ref(field), |group| &group.fields);
    members.iter().map(|field| (field.clone(), state.merged.value(rules, field))).collect()
}

/// Whether nobody has done anything since but what changes no value.
fn only_engine_since(seen: &Clock, now: &Clock) -> bool {
    now.iter().all(|(actor, n)| actor.author == Author::Engine || n <= seen.count(actor))
}

fn edit(
    floor: u32,
    state: &RecordState,
    changes: VecMap<FieldName, Change>,
    deletes: bool,
    now: Now,
) -> Edit {
    let seen = state.merged.clock.clone();
    Edit { deletes, ..state.edit_by((Author::Operator, floor), seen, changes, Stamp::at(now.wall)) }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests may panic")]
    use super::*;
    use crate::plan::{CollectionPlan, CollectionSide, Plan, Shape, SidePlan};
    use crate::wake::{Command, Effect, ReplyTo, Wake};
    use hms_sync_changelog::{Log, MemoryDisk};
    use hms_sync_connector::{Abilities, Content, Delivery, Observation};
    use hms_sync_mapping::{FieldMapping, FieldPath, SideMap};
    use hms_sync_model::{CollectionName, FieldType, NativeId, SideName, Time};
    use hms_sync_resolver::{FieldRule, Group, Kind, Owner, Policy};
    use serde_json::json;
    use std::sync::Arc;

    fn field(name: &str) -> FieldName {
        FieldName::try_new(name).unwrap()
    }

    fn side(name: &str) -> SideName {
        SideName::try_new(name).unwrap()
    }

    /// `status` and `by` are a group that locks at revoked, `fee` is the clerk's own.
    fn rules() -> Rules {
        let group = Group {
            name: "standing".into(),
            fields: vec![field("status"), field("by")],
            lead: field("status"),
            resolve: vec![Policy::Precedence(["revoked", "approved"].map(Value::from).to_vec())],
            locks: vec!["revoked".into()],
        };
        let owner = Some(Owner { side: side("clerk"), unless_blank: false });
        let kind = Kind::Set { remove_wins: false };
        Rules::builder()
            .default_resolve(vec![Policy::LastWriterWins])
            .field(field("fee"), FieldRule { owner, ..FieldRule::default() })
            .field(field("tags"), FieldRule { kind, ..FieldRule::default() })
            .group(group)
            .build()
            .unwrap()
    }

    fn shape() -> Shape {
        let ty = |name: &str| match name {
            "tags" => FieldType::Set(Box::new(FieldType::String)),
            _ => FieldType::String,
        };
        let place = |name| FieldMapping::plain(field(name), ty(name), FieldPath::parse(name).unwrap());
        Shape::Fields(SideMap::new(["no", "status", "by", "fee", "tags"].map(place).to_vec()).unwrap())
    }

    fn plan() -> Plan {
        let mut plan = Plan::new("Test");
        let mut sides = VecMap::new();
        for name in ["clerk", "marshal"] {
            plan.sides.insert(side(name), SidePlan::default());
            let abilities = Abilities { read: true, create: true, update: true, ..Abilities::default() };
            sides.insert(side(name), CollectionSide::new(abilities, shape()));
        }
        let identity = vec![field("no")];
        let collection = CollectionPlan { identity, rules: rules(), ..CollectionPlan::new(sides) };
        plan.collections.insert(CollectionName::try_new("permit").unwrap(), collection);
        plan
    }

    struct Scene(Machine, i64);

    impl Scene {
        fn new() -> Self {
            let log = Log::on(MemoryDisk::new()).unwrap();
            let mut scene = Self(Machine::open(Arc::new(plan()), log, 0).unwrap(), 1);
            scene.step(Wake::Stop);
            scene
        }

        fn step(&mut self, wake: Wake) -> Option<Reply> {
            self.1 += 1_000;
            let now = Now { wall: Time(self.1), mono: Time(self.1) };
            let mut answer = None;
            for effect in self.0.step(wake, now).unwrap() {
                match effect {
                    Effect::Append(events) => self.0.log().append(&events).unwrap(),
                    Effect::Reply { reply, .. } => answer = Some(reply),
                    _ => {}
                }
            }
            answer
        }

        /// A side shows the record so.
        fn shows(&mut self, name: &str, status: &str, by: &str, fee: &str, tags: &[&str]) {
            let doc = json!({ "no": "1", "status": status, "by": by, "fee": fee, "tags": tags });
            let id = NativeId::try_new(format!("{name}-1")).unwrap();
            let record = Observation { id, tag: None, modified: None, content: Content::Whole(doc) };
            let delivery = Delivery { message: None, records: vec![record], hints: Vec::new() };
            let collection = CollectionName::try_new("permit").unwrap();
            self.step(Wake::Webhook { side: side(name), collection, delivery, reply: ReplyTo(0) });
        }

        fn state(&self) -> (RecordId, RecordState) {
            let record = self.0.find("permit/1").unwrap().unwrap();
            let state = self.0.state(&record).unwrap().unwrap();
            (record, state)
        }

        fn value(&self, name: &str) -> Value {
            self.state().1.merged.value(&rules(), &field(name))
        }

        fn choose(&mut self, values: &[(&str, Value)]) -> Reply {
            let (record, state) = self.state();
            let values = values.iter().map(|(name, value)| (field(name), value.clone())).collect();
            let (by, reason) = ("ann".into(), "why".into());
            let choice =
                Choice { record, version: state.version, wanted: Wanted::Values(values), by, reason };
            self.step(Wake::Command { command: Command::Choose(choice), reply: ReplyTo(0) }).unwrap()
        }
    }

    #[test]
    fn an_operator_releases_a_lock_and_the_group_goes_with_it() {
        let mut scene = Scene::new();
        scene.shows("clerk", "revoked", "jo", "1", &["a"]);
        scene.shows("marshal", "approved", "al", "1", &["a"]);
        assert_eq!((scene.value("status"), scene.value("by")), ("revoked".into(), "jo".into()));
        assert!(matches!(
            scene.choose(&[("status", "approved".into()), ("by", "al".into())]),
            Reply::Made(_)
        ));
        assert_eq!((scene.value("status"), scene.value("by")), ("approved".into(), "al".into()));
        let decided = scene.state().1.merged.decide(&rules(), &field("status"));
        assert_eq!(decided.reason, hms_sync_resolver::Reason::OnlyValue, "{decided:?}");
    }

    #[test]
    fn an_operator_overrules_an_owner_and_changes_a_set() {
        let mut scene = Scene::new();
        scene.shows("clerk", "approved", "jo", "1", &["a", "b"]);
        scene.shows("marshal", "approved", "jo", "2", &["a", "b"]);
        assert_eq!(scene.value("fee"), "1".into());
        let tags = Value::set(["b".into(), "c".into()]);
        assert!(matches!(scene.choose(&[("fee", "3".into()), ("tags", tags.clone())]), Reply::Made(_)));
        assert_eq!((scene.value("fee"), scene.value("tags")), ("3".into(), tags));
    }

    #[test]
    fn a_group_that_is_edited_in_part_keeps_the_rest() {
        let mut scene = Scene::new();
        scene.shows("clerk", "approved", "jo", "1", &[]);
        assert!(matches!(scene.choose(&[("by", "al".into())]), Reply::Made(_)));
        assert_eq!((scene.value("status"), scene.value("by")), ("approved".into(), "al".into()));
    }
}
