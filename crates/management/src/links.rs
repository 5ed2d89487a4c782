//! A person's word about which native record is whose: asked of the engine, durable before it is
//! answered. Nothing is decided here.

use crate::answers::{Chosen, Join, LinkDifference, Relink, RelinkPreview, Unlink};
use crate::desk::Desk;
use crate::error::DeskError;
use hms_sync_engine::{Command, EngineError, Machine, Reply, Tie, Tied};
use hms_sync_model::{NativeId, RecordId, SideName};

/// The longest reason, in characters.
const REASON_MAX: usize = 500;
/// The longest name of who asks.
const BY_MAX: usize = 100;
/// Events looked at for the one that tells what was done.
const EVENTS: usize = 32;

impl Desk {
    /// Takes a record and what a side has of it apart.
    pub async fn unlink(&self, asked: &Unlink) -> Result<Chosen, DeskError> {
        let record = self.find_record(&asked.record).await?;
        let side = side_called(&asked.side)?;
        self.tie(record, Tied::Unlink(side), &asked.by, &asked.reason).await
    }

    /// Makes a native record a record's part on a side.
    pub async fn relink(&self, asked: &Relink) -> Result<Chosen, DeskError> {
        let record = self.find_record(&asked.record).await?;
        let (side, id) = (side_called(&asked.side)?, id_called(asked.id.as_deref())?);
        self.tie(record, Tied::Relink(side, id), &asked.by, &asked.reason).await
    }

    /// Makes one of two records.
    pub async fn join(&self, asked: &Join) -> Result<Chosen, DeskError> {
        let record = self.find_record(&asked.record).await?;
        let into = self.find_record(&asked.into).await?;
        self.tie(record, Tied::Join(into), &asked.by, &asked.reason).await
    }

    /// What a relink would bring together. Nothing is done.
    pub async fn relink_preview(
        &self,
        name: &str,
        side: &str,
        id: Option<&str>,
    ) -> Result<RelinkPreview, DeskError> {
        let record = self.find_record(name).await?;
        let (side, id) = (side_called(side)?, id_called(id)?);
        self.look(move |machine| preview(machine, &record, &side, id)).await
    }

    async fn tie(&self, record: RecordId, wanted: Tied, by: &str, reason: &str) -> Result<Chosen, DeskError> {
        for (what, text, max) in [("reason", reason, REASON_MAX), ("name of who asks", by, BY_MAX)] {
            if text.trim().is_empty() || text.chars().count() > max {
                return Err(DeskError::Invalid {
                    why: format!("this needs a {what}, of {max} characters at most"),
                    hint: "it stands in the log for good".to_owned(),
                });
            }
        }
        let (by, reason) = (by.trim().to_owned(), reason.trim().to_owned());
        let tie = Tie { record: record.clone(), wanted, by, reason };
        match self.command(Command::Tie(tie)).await {
            Ok(Reply::Made(version)) => {
                let told = self.history(record.as_str(), version.saturating_sub(1), EVENTS).await?;
                let is_it = |kind: &str| matches!(kind, "unlinked" | "linked" | "joined");
                let event = told.events.iter().rev().find(|event| is_it(&event.kind));
                let words = event.map(|event| event.words.clone()).unwrap_or_default();
                Ok(Chosen { record: told.record, title: told.title, version, words })
            }
            Ok(Reply::Done | Reply::Count(_) | Reply::Stale(_) | Reply::Refused(_)) => {
                Err(DeskError::Stopped)
            }
            Err(DeskError::Refused { why }) => Err(DeskError::NotTied { why }),
            Err(other) => Err(other),
        }
    }
}

fn preview(
    machine: &Machine,
    record: &RecordId,
    side: &SideName,
    id: Option<NativeId>,
) -> Result<RelinkPreview, EngineError> {
    let state = machine.state(record)?.unwrap_or_default();
    let id = id.or_else(|| state.sides.get(side)?.apart.last().cloned());
    let name = id.as_ref().map(|id| format!("{side}:{id}"));
    let now_of = name.map_or(Ok(None), |name| machine.find(&name))?.filter(|other| other != record);
    let mut differences = Vec::new();
    let theirs = now_of.as_ref().map_or(Ok(None), |other| machine.state(other))?;
    if let (Some(theirs), Some(of)) = (theirs, machine.plan().collections.get(record.collection())) {
        for (field, theirs) in theirs.merged.current(&of.rules) {
            let ours = state.merged.value(&of.rules, field);
            if ours != *theirs {
                let (ours, theirs) = (ours.to_json(), theirs.to_json());
                differences.push(LinkDifference { field: field.to_string(), ours, theirs });
            }
        }
    }
    Ok(RelinkPreview {
        record: record.to_string(),
        title: machine.title(record, &state),
        id: id.map(|id| id.to_string()),
        now_of: now_of.map(|record| record.to_string()),
        differences,
    })
}

fn side_called(name: &str) -> Result<SideName, DeskError> {
    SideName::try_new(name).map_err(|why| DeskError::Invalid {
        why: why.to_string(),
        hint: "`hms-sync status FILE` shows the sides".into(),
    })
}

fn id_called(id: Option<&str>) -> Result<Option<NativeId>, DeskError> {
    id.map(NativeId::try_new).transpose().map_err(|why| DeskError::Invalid {
        why: why.to_string(),
        hint: "give the id as the side has it".into(),
    })
}
