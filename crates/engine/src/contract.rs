//! The schema contract: what is done when a side's record is not of the shape that was agreed.
//!
//! A value that is set aside is never taken for one that was cleared: it counts as not mentioned.
//! Nothing here is kept. What was dropped or set aside is taken in by the next read that shows it,
//! once the data or the contract is mended.

use crate::error::EngineError;
use crate::happening::What;
use crate::machine::Machine;
use crate::observe::Place;
use crate::plan::{CollectionSide, Shape};
use crate::project::shown;
use crate::state::RecordState;
use crate::wake::Now;
use hms_sync_connector::{Content, Observation, ReadError};
use hms_sync_mapping::Known;
use hms_sync_model::{CollectionName, FieldMap, FieldName, NativeId, SideName, Source, Value};
use serde_json::Value as Json;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

/// What is done about something that was not agreed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OnChange {
    /// It is taken as it is, as far as it can be, and told once.
    #[default]
    Evolve,
    /// The side is not read on before a person has acted.
    Freeze,
    /// The value counts as not mentioned; the rest of the record goes on.
    DiscardValue,
    /// The record is parked; others go on.
    Park,
}

/// What a side's records are agreed to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Contract {
    /// About members that nobody has spoken of; nothing if nobody looks for them.
    pub columns: Option<OnChange>,
    /// About fields that a whole record lacks.
    pub missing: OnChange,
    /// About values that are not of their field's type. What cannot be taken is parked.
    pub data_type: OnChange,
    /// Places that are known: of fields, and others.
    pub known: Known,
}

impl Default for Contract {
    /// Members that nobody has spoken of are passed over, what is lacking is absent, what does
    /// not fit is parked.
    fn default() -> Self {
        Self { columns: None, missing: OnChange::Evolve, data_type: OnChange::Park, known: Known::default() }
    }
}

impl Contract {
    fn freezes(&self) -> bool {
        let all = [self.columns.unwrap_or_default(), self.missing, self.data_type];
        all.contains(&OnChange::Freeze)
    }
}

/// A record that is not taken in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refused {
    freezes: bool,
    /// The fields that it is about, by name or by place.
    pub(crate) fields: Vec<FieldName>,
    pub(crate) words: String,
}

/// What of a record is taken in.
#[derive(Debug, Default)]
pub(crate) struct Fit {
    pub(crate) fields: FieldMap,
    /// What nobody has spoken of, by its place.
    strangers: Vec<String>,
    /// Values that count as not mentioned.
    dropped: Vec<String>,
}

/// How much what was shown tells of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Extent {
    /// A listing shows the record: what it lacks is absent.
    Listed,
    /// The record by itself: the same, but for what only listings fill in.
    Alone,
    /// Some of its fields: what is lacking may be there.
    Part,
}

impl Extent {
    /// Of a whole record that came so.
    pub(crate) fn by(source: &Source) -> Self {
        if *source == Source::Page { Self::Listed } else { Self::Alone }
    }
}

/// A record under the contract: what of it is taken in, or why it is not.
pub(crate) fn fit(
    contract: &Contract,
    identity: &[FieldName],
    part: &CollectionSide,
    doc: &Json,
    extent: Extent,
) -> Result<Fit, Refused> {
    let mut fit = Fit::default();
    let found = contract.columns.map(|mode| (mode, contract.known.strangers(doc)));
    match found.filter(|(_, strangers)| !strangers.is_empty()) {
        Some((OnChange::Evolve, strangers)) => fit.strangers = strangers,
        Some((OnChange::DiscardValue, strangers)) => fit.dropped = strangers,
        Some((mode @ (OnChange::Freeze | OnChange::Park), strangers)) => {
            let words = format!("no field is mapped to `{}`, which it has", strangers.join("`, `"));
            let fields =
                strangers.iter().filter_map(|place| FieldName::try_new(place.as_str()).ok()).collect();
            return Err(Refused { freezes: mode == OnChange::Freeze, fields, words });
        }
        None => {}
    }
    read(contract, identity, &part.shape, doc, extent == Extent::Part, &mut fit)?;
    if extent != Extent::Listed && !part.filled_by_listing.is_empty() {
        fit.fields.retain(|field, value| !(part.filled_by_listing.contains(field) && value.is_nothing()));
    }
    lacking(contract, identity, extent == Extent::Part, &mut fit)?;
    Ok(fit)
}

/// Reads the fields, and drops those that do not fit if that is agreed.
fn read(
    contract: &Contract,
    identity: &[FieldName],
    shape: &Shape,
    doc: &Json,
    partial: bool,
    fit: &mut Fit,
) -> Result<(), Refused> {
    let (fields, unfit) = shape.read_each(doc, partial).map_err(|why| {
        let freezes = contract.data_type == OnChange::Freeze;
        Refused { freezes, fields: Vec::new(), words: why.to_string() }
    })?;
    fit.fields = fields;
    for why in unfit {
        if contract.data_type == OnChange::DiscardValue && !identity.contains(&why.field) {
            fit.dropped.push(why.field.to_string());
            continue;
        }
        let (freezes, words) = (contract.data_type == OnChange::Freeze, why.to_string());
        return Err(Refused { freezes, fields: vec![why.field], words });
    }
    Ok(())
}

/// Looks for fields that a whole record lacks.
fn lacking(contract: &Contract, identity: &[FieldName], partial: bool, fit: &mut Fit) -> Result<(), Refused> {
    if partial || contract.missing == OnChange::Evolve {
        return Ok(());
    }
    let absent = fit.fields.iter().filter(|(_, value)| **value == Value::Absent);
    let absent: Vec<FieldName> = absent.map(|(field, _)| field.clone()).collect();
    let identifies = absent.iter().any(|field| identity.contains(field));
    if absent.is_empty() || contract.missing == OnChange::DiscardValue && !identifies {
        fit.dropped.extend(absent.iter().map(FieldName::to_string));
        fit.fields.retain(|field, _| !absent.contains(field));
        return Ok(());
    }
    let words = format!("it lacks {}", crate::aside::names(&absent));
    Err(Refused { freezes: contract.missing == OnChange::Freeze, fields: absent, words })
}

/// What sides show that nobody has spoken of, as far as it was told.
#[derive(Debug, Default)]
pub(crate) struct Strangers(BTreeMap<(SideName, CollectionName), BTreeSet<String>>);

/// Most that is remembered of one side's collection.
const REMEMBERED_MAX: usize = 64;

impl Strangers {
    /// Those of one side's collection.
    pub(crate) fn of(&self, side: &SideName, collection: &CollectionName) -> Vec<String> {
        let found = self.0.get(&(side.clone(), collection.clone()));
        found.into_iter().flatten().cloned().collect()
    }

    /// Notes them. Answers with those that are new.
    fn note(&mut self, key: (SideName, CollectionName), found: Vec<String>) -> Vec<String> {
        let known = self.0.entry(key).or_default();
        let room = |known: &BTreeSet<String>| known.len() < REMEMBERED_MAX;
        found.into_iter().filter(|place| room(known) && known.insert(place.clone())).collect()
    }
}

impl Machine {
    fn contract_of(&self, side: &SideName, name: &CollectionName) -> Option<&Contract> {
        if self.plan.contracts.is_empty() {
            return None;
        }
        self.plan.contracts.get(&(side.clone(), name.clone()))
    }

    /// Whether the absence of a field is not taken for what it is anyway.
    pub(crate) fn expects_all(&self, side: &SideName, name: &CollectionName) -> bool {
        self.contract_of(side, name).is_some_and(|contract| contract.missing != OnChange::Evolve)
    }

    /// What of a record is taken in, under the contract.
    pub(crate) fn fit(&self, place: Place<'_>, doc: &Json, extent: Extent) -> Result<Fit, Refused> {
        static PLAIN: LazyLock<Contract> = LazyLock::new(Contract::default);
        let contract = self.contract_of(place.side, place.name).unwrap_or(&PLAIN);
        fit(contract, &place.collection.identity, place.plan, doc, extent)
    }

    /// Refuses what is not the record, though it comes under its id (`{"id": "2", "restricted": true}`):
    /// it lacks the identity that the side is known to have there, or, of a record that is not known
    /// yet, all that is mapped. Taken for the record it would clear all fields everywhere. What a
    /// webhook shows is looked for anyway where it can be.
    pub(crate) fn recognised(
        &self,
        place: Place<'_>,
        state: &RecordState,
        source: &Source,
        fit: Fit,
    ) -> Result<Fit, Refused> {
        let lacks = |field: &&FieldName| {
            let pass = || self.passes.get(place.side, place.name);
            let withheld = || pass().is_some_and(|pass| pass.withheld().contains(*field));
            fit.fields.get(*field) == Some(&Value::Absent) && !withheld()
        };
        let unborn = state.merged.clock.is_empty();
        let is_hint = matches!(source, Source::Webhook(_)) && place.plan.abilities.fetch;
        let lost: Vec<FieldName> = match state.sides.get(place.side) {
            _ if is_hint && !unborn => Vec::new(),
            Some(part) if !unborn => {
                let had = |field: &&FieldName| !shown(place.plan, part, field).is_blank();
                place.collection.identity.iter().filter(lacks).filter(had).cloned().collect()
            }
            _ if unborn && fit.fields.keys().all(|field| lacks(&field)) => {
                fit.fields.keys().cloned().collect()
            }
            _ => Vec::new(),
        };
        if lost.is_empty() {
            return Ok(fit);
        }
        let words =
            format!("it lacks {}: this is not the record, or not all of it", crate::aside::names(&lost));
        Err(Refused { freezes: false, fields: lost, words })
    }

    /// Counts and tells what the contract says of a record that is taken in.
    pub(crate) fn note_fit(&mut self, place: Place<'_>, id: &NativeId, fit: &mut Fit, now: Now) {
        self.counts.discarded += fit.dropped.len() as u64;
        let strangers = std::mem::take(&mut fit.strangers);
        if strangers.is_empty() {
            return;
        }
        let (side, collection) = (place.side.clone(), place.name.clone());
        let new = self.strangers.note((side.clone(), collection.clone()), strangers);
        if !new.is_empty() {
            let reason = format!(
                "{:.60} has `{}`, to which no field is mapped: map it, or add it to `known_fields`",
                id.as_str(),
                new.join("`, `")
            );
            self.tell(None, What::SchemaChanged { side, collection, reason }, now);
        }
    }

    /// Why a page must not be taken in, if the contract says so of one of its records.
    pub(crate) fn frozen(
        &self,
        side: &SideName,
        name: &CollectionName,
        records: &[Observation],
    ) -> Option<ReadError> {
        let contract = self.contract_of(side, name).filter(|contract| contract.freezes())?;
        let of = self.plan.collections.get(name)?;
        let part = of.sides.get(side)?;
        records.iter().find_map(|seen| {
            let (doc, extent) = match &seen.content {
                Content::Whole(doc) => (doc, Extent::Listed),
                Content::Partial(doc) => (doc, Extent::Part),
                Content::Gone => return None,
            };
            let why = fit(contract, &of.identity, part, doc, extent).err().filter(|why| why.freezes)?;
            let reason = format!(
                "{name} {:.60} of {side} is not as agreed: {}. As `schema_contract` says `freeze`, nothing is \
                 read on: mend it there, or map it otherwise, or change the contract",
                seen.id.as_str(),
                why.words
            );
            Some(ReadError::Denied { reason })
        })
    }

    /// After a start under another contract, or with other fields under one: what it dropped or
    /// let stop is to be shown again.
    pub(crate) fn read_under_new_contracts(&mut self) -> Result<(), EngineError> {
        let said = |key: &(SideName, CollectionName)| {
            let shape =
                self.plan.collections.get(&key.1).and_then(|of| of.sides.get(&key.0)).map(|p| &p.shape);
            let contract = self.plan.contracts.get(key);
            blake3::hash(format!("{contract:?} {:?}", contract.and(shape)).as_bytes()).as_bytes().to_vec()
        };
        let keys: Vec<_> = self.passes.iter().map(|(s, c, _)| (s.clone(), c.clone())).collect();
        let mut changed = Vec::new();
        for key in keys {
            let view = [b"q".as_slice(), key.0.as_str().as_bytes(), b"/", key.1.as_str().as_bytes()].concat();
            let now = said(&key);
            let before = self.views.log().view(&view)?;
            let plain = !self.plan.contracts.contains_key(&key);
            if before.as_ref() != Some(&now) && (before.is_some() || !plain) {
                changed.push((key, (view, now)));
            }
        }
        for ((side, collection), view) in changed {
            self.views.save_with(view);
            self.ask_pass(&side, &collection, true);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hms_sync_mapping::{FieldMapping, FieldPath, SideMap};
    use hms_sync_model::FieldType;
    use serde_json::json;

    fn part() -> CollectionSide {
        let field = |name: &str, ty| {
            FieldMapping::plain(FieldName::try_new(name).unwrap(), ty, FieldPath::parse(name).unwrap())
        };
        let fields = vec![field("no", FieldType::String), field("fee", FieldType::Decimal)];
        let shape = Shape::Fields(SideMap::new(fields).unwrap());
        CollectionSide::new(hms_sync_connector::Abilities::default(), shape)
    }

    /// What is taken in and dropped of a record, or the words; with `!` where reading stops.
    fn check(mode: Option<OnChange>, doc: &Json, expected: &str) {
        let known = Known::new([FieldPath::parse("no").unwrap(), FieldPath::parse("fee").unwrap()]);
        let contract = match mode {
            Some(mode) => Contract { columns: Some(mode), missing: mode, data_type: mode, known },
            None => Contract::default(),
        };
        let identity = [FieldName::try_new("no").unwrap()];
        let said = match fit(&contract, &identity, &part(), doc, Extent::Listed) {
            Ok(fit) => {
                let fields: Vec<_> =
                    fit.fields.iter().map(|(field, value)| format!("{field}={value}")).collect();
                format!("{} -{} ?{}", fields.join(" "), fit.dropped.join(","), fit.strangers.join(","))
            }
            Err(why) => format!("{}{}", if why.freezes { "! " } else { "" }, why.words),
        };
        assert_eq!(said, expected, "{mode:?}");
    }

    #[test]
    fn each_mode_says_what_becomes_of_a_value_that_does_not_fit() {
        let doc = json!({ "no": "1", "fee": "dear" });
        let words = "field `fee` at `fee`: found \"dear\", expected a decimal number";
        check(None, &doc, words);
        check(Some(OnChange::Evolve), &doc, words);
        check(Some(OnChange::Park), &doc, words);
        check(Some(OnChange::Freeze), &doc, &format!("! {words}"));
        check(Some(OnChange::DiscardValue), &doc, "no=1 -fee ?");
    }

    #[test]
    fn each_mode_says_what_becomes_of_a_field_that_is_lacking() {
        let doc = json!({ "no": "1" });
        check(None, &doc, "fee=(absent) no=1 - ?");
        check(Some(OnChange::Evolve), &doc, "fee=(absent) no=1 - ?");
        check(Some(OnChange::Park), &doc, "it lacks fee");
        check(Some(OnChange::Freeze), &doc, "! it lacks fee");
        check(Some(OnChange::DiscardValue), &doc, "no=1 -fee ?");
    }

    #[test]
    fn each_mode_says_what_becomes_of_a_member_that_nobody_has_spoken_of() {
        let doc = json!({ "no": "1", "fee": 2, "colour": "red" });
        let words = "no field is mapped to `colour`, which it has";
        check(None, &doc, "fee=2 no=1 - ?");
        check(Some(OnChange::Evolve), &doc, "fee=2 no=1 - ?colour");
        check(Some(OnChange::Park), &doc, words);
        check(Some(OnChange::Freeze), &doc, &format!("! {words}"));
        check(Some(OnChange::DiscardValue), &doc, "fee=2 no=1 -colour ?");
    }

    /// Without it nobody would know which record it is.
    #[test]
    fn what_identifies_a_record_is_never_dropped() {
        let words = "field `no` at `no`: found true, expected text";
        check(Some(OnChange::DiscardValue), &json!({ "no": true, "fee": 2 }), words);
        check(Some(OnChange::DiscardValue), &json!({ "fee": 2 }), "it lacks no");
    }
}
