//! One test played: the record to start from, what people do, and what came of it.

use crate::exit::in_one_line;
use crate::test::compare::{Came, Mismatch, compare};
use hms_sync_config::{Deed, Step, TestCase, Who};
use hms_sync_engine::{Choice, Command, Plan, Reply, Wanted};
use hms_sync_model::{CollectionName, FieldMap, NativeId, RecordId, SideName};
use hms_sync_rehearsal::{Rehearsal, RehearsalError};
use serde_json::Value as Json;
use std::collections::BTreeMap;

/// What came of a test.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    pub(crate) mismatches: Vec<Mismatch>,
    pub(crate) broke: Option<String>,
    pub(crate) parked: Vec<String>,
    pub(crate) timeline: String,
    pub(crate) events: u64,
}

/// Why a test cannot be played to its end.
#[derive(Debug, thiserror::Error)]
enum Broke {
    #[error(transparent)]
    Rehearsal(#[from] RehearsalError),
    #[error("the operator was refused: {0}")]
    Refused(String),
    #[error("{0}")]
    Script(String),
}

/// Plays a test. Nothing but its own collection is there.
pub(crate) fn play(plan: &Plan, collection: &CollectionName, case: &TestCase) -> Outcome {
    let mut alone = plan.clone();
    alone.collections.retain(|name, _| name == collection);
    let mut outcome = Outcome::default();
    let rehearsal = match Rehearsal::new(alone) {
        Ok(rehearsal) => rehearsal,
        Err(why) => return Outcome { broke: Some(in_one_line(&why)), ..outcome },
    };
    let mut stage = Stage { rehearsal, collection, record: None, ids: BTreeMap::new() };
    match stage.perform(case).and_then(|()| stage.came(plan, case)) {
        Ok(mismatches) => outcome.mismatches = mismatches,
        Err(why) => outcome.broke = Some(in_one_line(&why)),
    }
    let parked = stage.rehearsal.parked().unwrap_or_default();
    outcome.parked =
        parked.into_iter().map(|item| format!("{}: {}: {}", item.lane, item.reason, item.words)).collect();
    outcome.timeline = stage.rehearsal.timeline();
    outcome.events = stage.rehearsal.machine().log().head();
    outcome
}

struct Stage<'a> {
    rehearsal: Rehearsal,
    collection: &'a CollectionName,
    /// The record, once the sync knows it.
    record: Option<RecordId>,
    /// The record on sides whose people made it.
    ids: BTreeMap<SideName, NativeId>,
}

impl Stage<'_> {
    fn perform(&mut self, case: &TestCase) -> Result<(), Broke> {
        if let Some(base) = &case.base {
            self.record = Some(self.rehearsal.base(self.collection, base)?);
        }
        for step in &case.steps {
            match step {
                Step::Sync => self.sync()?,
                Step::Do(Who::Side(side), deed) => self.on_side(side, deed)?,
                Step::Do(Who::Operator, deed) => self.operate(deed)?,
            }
        }
        self.sync()
    }

    fn sync(&mut self) -> Result<(), Broke> {
        self.rehearsal.settle()?;
        if self.record.is_none() {
            let first = self.ids.iter().next().map(|(side, id)| self.rehearsal.record_of(side, id));
            self.record = first.transpose()?.flatten();
        }
        Ok(())
    }

    /// The record's id on a side.
    fn id(&self, side: &SideName) -> Option<NativeId> {
        let known = self.record.as_ref().and_then(|record| self.rehearsal.id_on(side, record).ok());
        known.or_else(|| self.ids.get(side).cloned())
    }

    fn on_side(&mut self, side: &SideName, deed: &Deed) -> Result<(), Broke> {
        let there = self.id(side);
        match (deed, there) {
            (Deed::Fields(fields), Some(id)) => self.rehearsal.edit_id(self.collection, side, &id, fields)?,
            (Deed::Fields(fields), None) => {
                let id = self.rehearsal.put(self.collection, side, fields)?;
                self.ids.insert(side.clone(), id);
            }
            (Deed::Raw(doc), there) => {
                let id = self.rehearsal.raw(self.collection, side, there.as_ref(), doc)?;
                self.ids.insert(side.clone(), id);
            }
            (Deed::Delete, _) => {
                let Some(record) = self.record.clone() else {
                    let why = "nobody can delete the record before it is known: put `sync` before that";
                    return Err(Broke::Script(why.to_owned()));
                };
                self.rehearsal.delete(self.collection, side, &record)?;
                self.ids.remove(side);
            }
        }
        Ok(())
    }

    fn operate(&mut self, deed: &Deed) -> Result<(), Broke> {
        let Some(record) = self.record.clone() else {
            let why = "the operator cannot edit the record before it is known: put `sync` before that";
            return Err(Broke::Script(why.to_owned()));
        };
        let wanted = match deed {
            Deed::Fields(fields) => Wanted::Values(fields.clone()),
            Deed::Raw(_) => return Err(Broke::Script("an operator has no documents".to_owned())),
            Deed::Delete => Wanted::Present(false),
        };
        let version = self.rehearsal.state(&record)?.version;
        let (by, reason) = ("the operator".to_owned(), "a test".to_owned());
        let choice = Choice { record, version, wanted, by, reason };
        match self.rehearsal.command(Command::Choose(choice))? {
            Some(Reply::Refused(why)) => Err(Broke::Refused(why)),
            Some(Reply::Stale(version)) => Err(Broke::Refused(format!("version {version} came between"))),
            Some(Reply::Done | Reply::Count(_) | Reply::Made(_)) | None => Ok(()),
        }
    }

    /// Compares what came with what was expected.
    fn came(&self, plan: &Plan, case: &TestCase) -> Result<Vec<Mismatch>, Broke> {
        let Some(record) = &self.record else {
            return Err(Broke::Script("no side has a record in the end".to_owned()));
        };
        let Some(of) = plan.collections.get(self.collection) else { return Ok(Vec::new()) };
        let state = self.rehearsal.state(record)?;
        let doc = |side: &SideName| -> Option<Json> {
            let id = self.rehearsal.id_on(side, record).ok()?;
            self.rehearsal.doc(self.collection, side, &id)
        };
        let docs: BTreeMap<SideName, Json> =
            of.sides.keys().filter_map(|side| Some((side.clone(), doc(side)?))).collect();
        let merged: FieldMap = state.merged.values(&of.rules);
        let came = Came {
            rules: &of.rules,
            state: &state,
            merged: &merged,
            writes: self.rehearsal.writes(),
            conflicts: self.rehearsal.conflicts(),
            docs: &docs,
        };
        Ok(compare(&case.expect, &came))
    }
}
