//! Conflicts as people see them and decide them. The list is made from what the engine
//! keeps of them; one record's are told from its own events, with who knew what.
//!
//! A decision is an edit by an operator, made by the engine and durable before it is
//! answered. Who decides names the version they saw: if what they decide about has
//! been edited since, they are told what was, and nothing is done.

use crate::answers::{
    Chosen, ConflictPage, ConflictQuery, ConflictStory, Decide, MetValue, ParkedFilter, Pick,
    RecordConflicts, Restore,
};
use crate::chain::{self, Quarrel};
use crate::desk::{Desk, PARKED_MAX, beside, walk};
use crate::error::DeskError;
use crate::shelf::Shelf;
use crate::told::Teller;
use hms_sync_engine::{
    Choice, CollectionPlan, Command, ConflictItem, Machine, Plan, RecordState, Reply, Standing, Wanted,
};
use hms_sync_mapping::{canonical, from_text};
use hms_sync_model::{Author, Body, FieldMap, FieldName, FieldType, RecordId, SideName, Value};
use hms_sync_resolver::Presence;
use serde_json::Value as Json;
use std::collections::BTreeSet;

/// Records looked at for one answer, at most.
const RECORDS_MAX: usize = 256;
/// Records looked at at once.
const RECORDS_AT_ONCE: usize = 32;
/// Most conflicts in one answer, give or take those of one portion.
const CONFLICTS_MAX: usize = 500;
/// Most edits told to somebody who had not seen them.
const CHANGED_MAX: usize = 5;
/// The longest reason, in characters.
const REASON_MAX: usize = 500;
/// The longest name of who decides.
const BY_MAX: usize = 100;

impl Desk {
    /// Conflicts that fit, some at a time.
    pub async fn conflicts(&self, query: &ConflictQuery) -> Result<ConflictPage, DeskError> {
        let limit = query.limit.unwrap_or(CONFLICTS_MAX).clamp(1, CONFLICTS_MAX);
        let after = query.after.as_deref().map(RecordId::try_new).transpose();
        let mut after = after.map_err(|why| DeskError::Invalid {
            why: why.to_string(),
            hint: "`after` is the `next` of the answer before".into(),
        })?;
        let (mut conflicts, past) = (Vec::new(), query.all && !query.open);
        for _ in 0..RECORDS_MAX / RECORDS_AT_ONCE {
            let (from, some) = (after.clone(), RECORDS_AT_ONCE.min(limit));
            let (mut items, next) =
                self.look(move |machine| machine.conflicts(from.as_ref(), some, past)).await?;
            items.retain(|item| query.fits(item));
            let items = if past { self.with_losers(items).await? } else { items };
            conflicts.extend(items.into_iter().filter(|item| query.fits_sides(item)));
            after = next;
            if after.is_none() || conflicts.len() >= limit {
                break;
            }
        }
        Ok(ConflictPage { conflicts, next: after.map(|record| record.to_string()) })
    }

    /// The same, and with those that have ended what lost in them and who took part.
    async fn with_losers(&self, mut items: Vec<ConflictItem>) -> Result<Vec<ConflictItem>, DeskError> {
        let (shelf, plan) = (self.shelf()?, self.plan().await?);
        beside(move || {
            for of_one in items.chunk_by_mut(|a, b| a.record == b.record) {
                add_losers(&shelf, &plan, of_one);
            }
            Ok(items)
        })
        .await
    }

    /// A record's conflicts in full, or those of one field.
    pub async fn conflicts_of(&self, name: &str, field: Option<&str>) -> Result<RecordConflicts, DeskError> {
        let record = self.find_record(name).await?;
        let (told, _) = self.quarrels(&record, field.map(str::to_owned), u64::MAX).await?;
        let report = self.record(record.as_str()).await?;
        if let Some(field) = field.filter(|field| !report.fields.iter().any(|known| known.field == *field)) {
            let known = report.fields.into_iter().map(|field| field.field).collect();
            return Err(DeskError::NoSuchField { record: report.record, field: field.to_owned(), known });
        }
        let filter = ParkedFilter { record: Some(record.to_string()), ..ParkedFilter::default() };
        let parked = self.parked(&filter, None, PARKED_MAX).await?.items;
        Ok(RecordConflicts {
            record: report.record,
            title: report.title,
            version: told.version,
            presence: report.presence,
            conflicts: told.stories,
            parked,
        })
    }

    /// Does what a person decided.
    pub async fn decide(&self, asked: &Decide) -> Result<Chosen, DeskError> {
        let record = self.find_record(&asked.record).await?;
        let (of, field, pick) = (record.clone(), asked.field.clone(), asked.pick.clone());
        let wanted = self.look(move |machine| Ok(wanted(machine, &of, field.as_deref(), &pick))).await??;
        self.choose(record, asked.version, wanted, &asked.by, &asked.reason).await
    }

    /// Has a value that lost stand.
    pub async fn restore(&self, asked: &Restore) -> Result<Chosen, DeskError> {
        let record = self.find_record(&asked.record).await?;
        let (told, losers) = self.quarrels(&record, asked.field.clone(), asked.version).await?;
        let found = losers.into_iter().find(|lost| lost.field == asked.field && lost.number == asked.loser);
        let Some(found) = found else {
            let count = told.stories.iter().flat_map(|story| &story.values);
            let count = count.filter(|value| value.loser.is_some()).count();
            let what = asked.field.as_ref().map_or_else(String::new, |field| format!(" of {field}"));
            return Err(DeskError::Invalid {
                why: format!("no value{what} that lost has the number {}: {count} lost there", asked.loser),
                hint: "`hms-sync conflicts FILE show RECORD` numbers them".into(),
            });
        };
        self.choose(record, asked.version, found.wanted, &asked.by, &asked.reason).await
    }

    async fn choose(
        &self,
        record: RecordId,
        version: u64,
        wanted: Wanted,
        by: &str,
        reason: &str,
    ) -> Result<Chosen, DeskError> {
        for (what, text, max) in [("reason", reason, REASON_MAX), ("name of who decides", by, BY_MAX)] {
            if text.trim().is_empty() || text.chars().count() > max {
                return Err(DeskError::Invalid {
                    why: format!("a decision needs a {what}, of {max} characters at most"),
                    hint: "it stands in the log for good".to_owned(),
                });
            }
        }
        let (by, reason) = (by.trim().to_owned(), reason.trim().to_owned());
        let choice = Choice { record: record.clone(), version, wanted, by, reason };
        match self.command(Command::Choose(choice)).await {
            Ok(Reply::Made(version)) => {
                let told = self.history(record.as_str(), version.saturating_sub(1), 1).await?;
                let words = told.events.into_iter().next().map(|event| event.words).unwrap_or_default();
                Ok(Chosen { record: told.record, title: told.title, version, words })
            }
            Ok(Reply::Stale(now)) => {
                let changed = self.changed_since(&record, version).await?;
                Err(DeskError::Stale { seen: version, now, changed })
            }
            Ok(Reply::Done | Reply::Count(_) | Reply::Refused(_)) => Err(DeskError::Stopped),
            Err(DeskError::Refused { why }) => Err(DeskError::NotDecided { why }),
            Err(other) => Err(other),
        }
    }

    /// What somebody who saw `version` has not seen, in words.
    async fn changed_since(&self, record: &RecordId, version: u64) -> Result<Vec<String>, DeskError> {
        let (shelf, of) = (self.shelf()?, record.clone());
        beside(move || {
            let (mut teller, mut changed) = (Teller::new(), Vec::new());
            walk(&shelf, &of, 1, |_, event| {
                let told = teller.tell(event);
                let edited = matches!(&event.body, Body::Edited { edit, .. }
                    if edit.actor().author != Author::Engine);
                if edited && event.version > version {
                    changed.push(format!("v{} {}", event.version, told.words));
                }
                changed.len() < CHANGED_MAX
            })?;
            Ok(changed)
        })
        .await
    }

    /// The conflicts of a record as of a version, and what lost there.
    async fn quarrels(
        &self,
        record: &RecordId,
        field: Option<String>,
        version: u64,
    ) -> Result<(Told, Vec<Lost>), DeskError> {
        let (shelf, plan, of) = (self.shelf()?, self.plan().await?, record.clone());
        beside(move || {
            let (state, quarrels) = chain::quarrels(&shelf, &plan, &of, version)?;
            let wanted = |quarrel: &Quarrel| {
                field.is_none() || quarrel.field.as_ref().map(FieldName::as_str) == field.as_deref()
            };
            let (mut stories, mut losers) = (Vec::new(), Vec::new());
            for quarrel in quarrels.into_iter().filter(wanted) {
                let (story, lost) = numbered(plan.collections.get(of.collection()), quarrel);
                stories.push(story);
                losers.extend(lost);
            }
            Ok((Told { version: state.version, stories }, losers))
        })
        .await
    }
}

/// What lost in the conflicts of a record that have ended, as its own events tell it. Where they
/// cannot be read the list does not fail: whoever looks at the record is told why.
fn add_losers(shelf: &Shelf, plan: &Plan, items: &mut [ConflictItem]) {
    let mut over: Vec<_> = items.iter_mut().filter(|item| item.standing == Standing::Ended).collect();
    let record = over.first().and_then(|item| RecordId::try_new(item.record.as_str()).ok());
    let Some(record) = record else { return };
    let Ok((_, quarrels)) = chain::quarrels(shelf, plan, &record, u64::MAX) else { return };
    let personal = plan.collections.get(record.collection()).map(|of| &of.personal);
    for quarrel in quarrels.into_iter().filter(|quarrel| quarrel.standing == Standing::Ended) {
        let field = quarrel.field.as_ref();
        let own = over.iter_mut().find(|item| item.field.as_deref() == field.map(FieldName::as_str));
        let Some(item) = own else { continue };
        (item.sides, item.losers) = (quarrel.sides, quarrel.losers);
        if field.is_some_and(|field| personal.is_some_and(|of| of.contains(field))) {
            // A list does not show what is personal: not what stands, nor what lost.
            item.losers.iter_mut().for_each(|lost| lost.value.clone_from(&item.value));
        }
    }
}

struct Told {
    version: u64,
    stories: Vec<ConflictStory>,
}

/// A value that lost, and what it takes to have it stand.
struct Lost {
    field: Option<String>,
    number: usize,
    wanted: Wanted,
}

/// Gives those that lost their numbers.
fn numbered(collection: Option<&CollectionPlan>, quarrel: Quarrel) -> (ConflictStory, Vec<Lost>) {
    let Quarrel { field, kind, standing, base, reason, words, values, ended, .. } = quarrel;
    let (mut told, mut losers, mut number) = (Vec::new(), Vec::new(), 0);
    for (story, changes, deletes) in values {
        let loser = (!story.stands).then(|| {
            number += 1;
            number
        });
        if let Some(number) = loser {
            let wanted = match &field {
                None => Wanted::Present(!deletes),
                Some(field) => Wanted::Values(whole_group(collection, field, &changes)),
            };
            losers.push(Lost { field: field.as_ref().map(ToString::to_string), number, wanted });
        }
        told.push(MetValue { loser, story });
    }
    let rule = reason.to_owned();
    let field = field.map(|field| field.to_string());
    (ConflictStory { field, kind, standing, base, rule, words, values: told, ended }, losers)
}

/// A field as an edit left it, and the rest of its group as the same edit left it.
fn whole_group(collection: Option<&CollectionPlan>, field: &FieldName, changes: &FieldMap) -> FieldMap {
    let group = collection.and_then(|of| of.rules.group_of(field));
    let members = group.map_or(std::slice::from_ref(field), |group| &group.fields);
    let left = |member: &FieldName| Some((member.clone(), changes.get(member)?.clone()));
    members.iter().filter_map(left).collect()
}

/// What a person's word means for a record as it is.
fn wanted(
    machine: &Machine,
    record: &RecordId,
    field: Option<&str>,
    pick: &Pick,
) -> Result<Wanted, DeskError> {
    let Some(state) = machine.state(record)? else {
        return Err(DeskError::NoSuchRecord { name: record.to_string() });
    };
    let Some(collection) = machine.plan().collections.get(record.collection()) else {
        return Err(DeskError::NotDecided { why: "its collection is configured no longer".to_owned() });
    };
    let Some(name) = field else { return about_the_record(collection, &state, pick) };
    let configured = collection.rules.fields().map(|(field, _)| field);
    let known: BTreeSet<&FieldName> = configured.chain(state.merged.field_names()).collect();
    let Some(field) = known.iter().find(|known| known.as_str() == name).map(|field| (*field).clone()) else {
        let known = known.into_iter().map(ToString::to_string).collect();
        return Err(DeskError::NoSuchField { record: record.to_string(), field: name.to_owned(), known });
    };
    match pick {
        Pick::Winner => Ok(Wanted::Stands(field)),
        Pick::Value(json) => {
            let ty = &collection.rules.rule(&field).ty;
            let value = read_value(ty, json).map_err(|why| DeskError::Invalid {
                why: format!("{field}: {why}"),
                hint: "give a value of the field's type".into(),
            })?;
            Ok(Wanted::Values(std::iter::once((field, value)).collect()))
        }
        Pick::Side(side) => of_side(collection, &state, &field, side).map(Wanted::Values),
        Pick::Keep | Pick::Delete => Err(DeskError::Invalid {
            why: "to keep or to delete is about the record, not about a field".into(),
            hint: "leave out the field".into(),
        }),
    }
}

fn read_value(ty: &FieldType, json: &Json) -> Result<Value, hms_sync_mapping::Unfit> {
    match json {
        Json::String(text) => from_text(ty, text),
        other => canonical(ty, other),
    }
}

fn about_the_record(
    collection: &CollectionPlan,
    state: &RecordState,
    pick: &Pick,
) -> Result<Wanted, DeskError> {
    match pick {
        Pick::Keep => Ok(Wanted::Present(true)),
        Pick::Delete => Ok(Wanted::Present(false)),
        Pick::Winner => match state.merged.presence(&collection.rules) {
            Presence::Present => Ok(Wanted::Present(true)),
            Presence::Deleted => Ok(Wanted::Present(false)),
            Presence::Unborn | Presence::Undecided => Err(DeskError::NotDecided {
                why: "nothing stands yet: say whether to keep or to delete the record".to_owned(),
            }),
        },
        Pick::Side(side) => {
            let part = part_of(collection, state, side)?;
            Ok(Wanted::Present(part.is_some_and(hms_sync_engine::SideState::has_it)))
        }
        Pick::Value(_) => Err(DeskError::Invalid {
            why: "a record has no value".into(),
            hint: "name a field, or say whether to keep or to delete the record".into(),
        }),
    }
}

fn part_of<'s>(
    collection: &CollectionPlan,
    state: &'s RecordState,
    side: &str,
) -> Result<Option<&'s hms_sync_engine::SideState>, DeskError> {
    let known = collection.sides.keys().find(|known| known.as_str() == side);
    let Some(known) = known else {
        let names: Vec<&str> = collection.sides.keys().map(SideName::as_str).collect();
        return Err(DeskError::Invalid {
            why: format!("{side:?} is no side of it"),
            hint: format!("its sides are {}", names.join(", ")),
        });
    };
    Ok(state.sides.get(known))
}

/// A field, with its group, as a side left it in a conflict that goes on; else as it holds it.
fn of_side(
    collection: &CollectionPlan,
    state: &RecordState,
    field: &FieldName,
    side: &str,
) -> Result<FieldMap, DeskError> {
    let part = part_of(collection, state, side)?;
    let group = collection.rules.group_of(field);
    let members = group.map_or(std::slice::from_ref(field), |group| &group.fields);
    let left = |member: &FieldName| {
        let mut siblings = state.merged.siblings(member).iter();
        let own = siblings.find(|sibling| sibling.dot.actor.as_side().is_some_and(|s| s.as_str() == side));
        let held = || part.filter(|part| part.held.contains_key(member)).map(|part| part.shown_of(member));
        Some((member.clone(), own.map(|sibling| sibling.change.after.clone()).or_else(held)?))
    };
    let values: FieldMap = members.iter().filter_map(left).collect();
    if values.contains_key(field) {
        Ok(values)
    } else {
        Err(DeskError::NotDecided { why: format!("{side} has no {field} of it") })
    }
}

/// Whether a conflict still goes on, by what stands.
pub(crate) fn standing(open: bool) -> Standing {
    if open { Standing::Open } else { Standing::Decided }
}
