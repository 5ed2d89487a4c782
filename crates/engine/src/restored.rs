//! A change log that was put back from a backup. What was learnt and done after the backup is
//! not in it, and others may hold it: an export, a witness. So no edit goes by a name that may
//! have been given before: all authors go on in another epoch. Every side is read in full, and
//! until a run that may, nothing is written and no handler called.

use crate::error::EngineError;
use crate::machine::Machine;
use crate::project::projection;
use crate::quiet::Quiet;
use crate::refold::plan_mark;
use crate::stream::restores_stream;
use crate::views::Views;
use crate::wake::Now;
use hms_sync_model::{Body, Time, Value};
use serde_json::Value as Json;
use std::collections::BTreeMap;

/// By how much the epochs of all authors rise: more than unlinking has raised any of them.
const EPOCHS: u32 = 1_000;

/// A write that a run would make.
#[derive(Debug, Clone, PartialEq)]
pub struct PendingWrite {
    /// Of which record.
    pub record: String,
    /// What people call it.
    pub title: String,
    /// To which side.
    pub side: String,
    /// `create`, `update` or `delete`.
    pub operation: &'static str,
    /// What it would carry.
    pub fields: BTreeMap<String, Json>,
}

/// How many writes of which kind to which side.
pub type PendingCounts = BTreeMap<(String, &'static str), usize>;

/// The lowest epoch that an edit may be made in, and when the log was last put back.
pub(crate) fn floor(views: &Views) -> Result<(u32, Time), EngineError> {
    let state = views.stream(&restores_stream()?)?;
    let restores = u32::try_from(state.version).unwrap_or(u32::MAX);
    Ok((restores.saturating_mul(EPOCHS), state.at))
}

impl Machine {
    /// Writes down that the log was put back, and begins to read everything anew.
    pub(crate) fn begin_restored(&mut self, now: Now) -> Result<(), EngineError> {
        let last = self.log().head();
        self.emit_stream(&restores_stream()?, Body::Restored { last }, now)?;
        let (floor, _) = floor(&self.views)?;
        self.floor = floor;
        self.quiet = Quiet::after(&mut self.views, &plan_mark(&self.plan), floor)?;
        self.passes.begin_anew();
        Ok(())
    }

    /// What would be written, as far as it is known: how many writes, and some of them.
    pub fn pending_writes(&self, limit: usize) -> Result<(PendingCounts, Vec<PendingWrite>), EngineError> {
        let (mut counts, mut some) = (PendingCounts::new(), Vec::new());
        for record in self.views.todo() {
            let Some(state) = self.views.peek(&record)? else { continue };
            let Some(of) = self.plan().collections.get(record.collection()) else { continue };
            for side in of.sides.keys() {
                let Some(wanted) = projection(of, &state, side, true) else { continue };
                let operation = wanted.operation.as_str();
                *counts.entry((side.to_string(), operation)).or_default() += 1;
                if some.len() < limit {
                    let shown = |(field, value): (&hms_sync_model::FieldName, &Value)| {
                        let personal = of.personal.contains(field);
                        (field.to_string(), if personal { "(personal)".into() } else { value.to_json() })
                    };
                    some.push(PendingWrite {
                        record: record.to_string(),
                        title: self.title(&record, &state),
                        side: side.to_string(),
                        operation,
                        fields: wanted.fields.iter().map(shown).collect(),
                    });
                }
            }
        }
        Ok((counts, some))
    }
}
