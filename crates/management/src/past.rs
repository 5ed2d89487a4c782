//! How a record is, how it stood, and what differs between two points of its history:
//! each folded from the record's own events.

use crate::answers::{AsOf, Diff, EventReport, Explanation, FieldDiff, PointReport};
use crate::chain;
use crate::desk::{Desk, beside};
use crate::error::DeskError;
use crate::offline::now;
use crate::shelf::Shelf;
use crate::told::Teller;
use crate::when::{Moment, Point};
use hms_sync_changelog::Log;
use hms_sync_engine::{ErasedReport, Plan, RecordReport, RecordState, state_at, version_at};
use hms_sync_model::{Body, FieldName, RecordId, Time, Value};
use hms_sync_resolver::Rules;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Most events told for one difference.
const EVENTS_MAX: usize = 100;
/// Events that a teller hears before those that are told.
pub(crate) const CONTEXT_EVENTS: u64 = 63;

impl Desk {
    /// The record that goes by a name, and not a stream of the sync's own.
    async fn find_record(&self, name: &str) -> Result<RecordId, DeskError> {
        let record = self.find(name).await?;
        if record.is_own_stream() {
            return Err(DeskError::Invalid {
                why: format!("{record} is what a side's collection went through itself, and has no fields"),
                hint: format!("`hms-sync history FILE {record}` shows it"),
            });
        }
        Ok(record)
    }

    async fn plan(&self) -> Result<Arc<Plan>, DeskError> {
        self.look(|machine| Ok(Arc::clone(machine.plan()))).await
    }

    /// A record as `state` has it.
    async fn report(&self, record: &RecordId, state: RecordState) -> Result<RecordReport, DeskError> {
        let of = record.clone();
        self.look(move |machine| Ok(machine.report(&of, &state))).await
    }

    /// What was erased of a record, though it may not have been yet where `report` is of.
    async fn erased(
        &self,
        record: &RecordId,
        report: &RecordReport,
    ) -> Result<Option<ErasedReport>, DeskError> {
        if report.erased.is_some() || self.shelf()?.vault.is_none() {
            return Ok(report.erased.clone());
        }
        let of = record.clone();
        self.look(move |machine| Ok(machine.record(&of)?.and_then(|now| now.erased))).await
    }

    /// Why a record, or one field of it, is as it is, or as it was at a time.
    pub async fn explain(
        &self,
        name: &str,
        field: Option<&str>,
        at: Option<&str>,
    ) -> Result<Explanation, DeskError> {
        let at = at.map(|at| Moment::parse(at, now().wall)).transpose()?.map(|moment| moment.last);
        let record = self.find_record(name).await?;
        let (shelf, plan, of, one) =
            (self.shelf()?, self.plan().await?, record.clone(), field.map(str::to_owned));
        let found = beside(move || {
            let version = match at {
                Some(at) => version_at(&shelf.log, &of, at)?,
                None => shelf.log.last(&of)?.map_or(0, |(version, _)| version),
            };
            let begins = shelf.log.history(&of, 1, 1)?.first().map(|(_, event)| event.version);
            let archived = crate::archive::of_record(&shelf.log, begins);
            Ok((chain::explain(&shelf, &plan, &of, one.as_deref(), version)?, archived))
        });
        let (chain::Explained { state, stories, presence, edits }, archived) = found.await?;
        let report = self.report(&record, state).await?;
        let erased = self.erased(&record, &report).await?;
        let known: Vec<String> = report.fields.iter().map(|f| f.field.clone()).collect();
        let fields: Vec<_> =
            report.fields.into_iter().filter(|f| field.is_none_or(|wanted| f.field == wanted)).collect();
        let is_erased = |field: &str| erased.as_ref().is_some_and(|of| of.fields.iter().any(|f| f == field));
        if let (Some(field), true) = (field.filter(|field| !is_erased(field)), fields.is_empty()) {
            let (record, field) = (report.record, field.to_owned());
            return Err(DeskError::NoSuchField { record, field, known });
        }
        Ok(Explanation {
            record: report.record,
            title: if report.version == 0 { self.title(&record).await? } else { report.title },
            asked: at.map(|at| at.to_string()),
            version: report.version,
            presence: report.presence,
            presence_values: presence,
            fields,
            stories,
            sides: report.sides,
            erased,
            archived,
            edits,
        })
    }

    /// A record as it stood at a time: at the last moment that `at` names.
    pub async fn as_of(&self, name: &str, at: &str) -> Result<AsOf, DeskError> {
        let at = Moment::parse(at, now().wall)?.last;
        let record = self.find_record(name).await?;
        let (shelf, plan, of) = (self.shelf()?, self.plan().await?, record.clone());
        let found = beside(move || {
            let version = version_at(&shelf.log, &of, at)?;
            let changed = written(&shelf.log, &of, version)?;
            let last = shelf.log.last(&of)?.map_or(0, |(version, _)| version);
            Ok((state_at(&shelf.log, shelf.vault.as_ref(), &plan, &of, version)?, changed, last))
        });
        let (state, changed, version_now) = found.await?;
        let version = state.version;
        let report = self.report(&record, state).await?;
        Ok(AsOf {
            erased: self.erased(&record, &report).await?,
            title: if version == 0 { self.title(&record).await? } else { report.title },
            record: report.record,
            asked: at.to_string(),
            version,
            version_now,
            changed: changed.map(|at| at.to_string()),
            presence: report.presence,
            fields: report.fields,
            sides: report.sides,
        })
    }

    /// What differs in a record between two points: versions (`v4`) or times.
    pub async fn diff(&self, name: &str, from: &str, to: &str) -> Result<Diff, DeskError> {
        let now = now().wall;
        let (from, to) = (Point::parse(from, now)?, Point::parse(to, now)?);
        let record = self.find_record(name).await?;
        let (shelf, plan, of) = (self.shelf()?, self.plan().await?, record.clone());
        let found = beside(move || {
            let (from, to) = (version_of(&shelf.log, &of, from)?, version_of(&shelf.log, &of, to)?);
            differences(&shelf, &plan, &of, from, to)
        });
        let found = found.await?;
        let [from, to] = found.ends;
        let (first, second) =
            (self.report(&record, from.state).await?, self.report(&record, to.state).await?);
        Ok(Diff {
            title: if second.version == 0 { self.title(&record).await? } else { second.title },
            record: second.record,
            from: PointReport { version: first.version, at: from.at, presence: first.presence },
            to: PointReport { version: second.version, at: to.at, presence: second.presence },
            fields: found.fields,
            presence: found.presence,
        })
    }
}

/// When a version of a record was written.
fn written(log: &Log, record: &RecordId, version: u64) -> Result<Option<Time>, DeskError> {
    let found = if version == 0 { Vec::new() } else { log.history(record, version, 1)? };
    // Of one that is archived it can only be said by when it had been written.
    let archived = log.archived().last().map(|range| range.until);
    Ok(found.first().map(|(_, event)| {
        let gone = event.version > version && event.seq > log.dropped_upto();
        archived.filter(|until| gone && *until < event.at).unwrap_or(event.at)
    }))
}

fn version_of(log: &Log, record: &RecordId, point: Point) -> Result<u64, DeskError> {
    let version = match point {
        Point::At(at) => return Ok(version_at(log, record, at)?),
        Point::Version(version) => version,
    };
    let last = log.last(record)?.map_or(0, |(version, _)| version);
    if version > last {
        return Err(DeskError::Invalid {
            why: format!("{record} has no version {version}"),
            hint: format!("its versions are v1 to v{last}; v0 is before the first"),
        });
    }
    Ok(version)
}

struct End {
    state: RecordState,
    at: Option<String>,
}

struct Differences {
    /// The first point and the second.
    ends: [End; 2],
    fields: Vec<FieldDiff>,
    presence: Vec<EventReport>,
}

/// Folds a record from the earlier of two versions to the later one, and keeps what
/// made the difference.
fn differences(
    shelf: &Shelf,
    plan: &Plan,
    record: &RecordId,
    from: u64,
    to: u64,
) -> Result<Differences, DeskError> {
    let (low, high) = (from.min(to), from.max(to));
    let none = Rules::default();
    let rules = plan.collections.get(record.collection()).map_or(&none, |of| &of.rules);
    let earlier = state_at(&shelf.log, shelf.vault.as_ref(), plan, record, low)?;
    let (mut later, mut changes) = (earlier.clone(), Changes::default());
    let start = low.saturating_sub(CONTEXT_EVENTS).saturating_add(1);
    let mut teller = if start == 1 { Teller::new() } else { Teller::late() };
    crate::desk::walk(shelf, record, start, |id, event| {
        if event.version > high {
            return false;
        }
        let told = teller.tell(event);
        if event.version > low {
            let before = later.merged.presence(rules);
            later.fold(rules, id, event);
            let flips = later.merged.presence(rules) != before;
            changes.take(event, &EventReport::of(id, event, &told), flips);
        }
        true
    })?;
    let at = |version| Ok::<_, DeskError>(written(&shelf.log, record, version)?.map(|at| at.to_string()));
    let (at_low, at_high) = (at(low)?, at(high)?);
    let (earlier, later) = (End { state: earlier, at: at_low }, End { state: later, at: at_high });
    let ends = if from <= to { [earlier, later] } else { [later, earlier] };
    let [first, second] = &ends;
    let differs = first.state.merged.presence(rules) != second.state.merged.presence(rules);
    let fields = changes.of_fields(rules, &first.state, &second.state);
    let presence = if differs { changes.presence } else { Vec::new() };
    Ok(Differences { ends, fields, presence })
}

/// The edits between two points, by what they changed.
#[derive(Default)]
struct Changes {
    fields: BTreeMap<FieldName, Vec<EventReport>>,
    presence: Vec<EventReport>,
}

impl Changes {
    fn take(&mut self, event: &hms_sync_model::Event, told: &EventReport, flips: bool) {
        if flips {
            keep(&mut self.presence, told);
        }
        let Body::Edited { edit, .. } = &event.body else { return };
        for (field, change) in edit.changes.iter() {
            // What a group names beside, and what hms-sync notes down, changes nothing.
            if change.before != change.after {
                keep(self.fields.entry(field.clone()).or_default(), told);
            }
        }
    }

    fn of_fields(&mut self, rules: &Rules, first: &RecordState, second: &RecordState) -> Vec<FieldDiff> {
        let names: BTreeSet<&FieldName> =
            first.merged.field_names().chain(second.merged.field_names()).collect();
        let there = |value: &Value| (*value != Value::Absent).then(|| value.to_json());
        let differing = names.into_iter().filter_map(|field| {
            let (before, after) = (first.merged.value(rules, field), second.merged.value(rules, field));
            (before != after).then(|| FieldDiff {
                field: field.to_string(),
                before: there(&before),
                after: there(&after),
                events: self.fields.remove(field).unwrap_or_default(),
            })
        });
        differing.collect()
    }
}

fn keep(all: &mut Vec<EventReport>, told: &EventReport) {
    if all.len() >= EVENTS_MAX {
        all.remove(0);
    }
    all.push(told.clone());
}
