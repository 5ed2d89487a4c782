//! Personal fields inside the engine: sealed in every event that leaves it, masked in
//! all that onlookers are told, and closed for good once a record's are erased.
//!
//! In memory a record is whole: rules need values. What never happens here or behind
//! here: a personal value in an event as it is, in a saved view, or in a line of a log.
//! A collection without personal fields pays one look at an empty set. Tested by the
//! simulation and by `tests/erasure.rs`.

use crate::error::EngineError;
use crate::happening::What;
use crate::machine::Machine;
use crate::plan::Plan;
use crate::state::RecordState;
use hms_sync_model::{Body, Event, FieldMap, FieldName, FieldResult, RecordId, Value, VecMap};
use hms_sync_vault::Vault;
use std::borrow::Cow;
use std::collections::BTreeSet;

/// What stands for a personal value where onlookers see it.
const MASK: &str = "(personal)";

/// What stands for words of a side that may hold one.
const LEFT_OUT: &str = "the rest is left out, it may hold personal values";

/// The fields of a record's collection that are personal.
pub(crate) fn personal_of<'p>(plan: &'p Plan, record: &RecordId) -> Option<&'p BTreeSet<FieldName>> {
    let collection = plan.collections.get(record.collection())?;
    (!collection.personal.is_empty()).then_some(&collection.personal)
}

/// The fields of a record that are closed: nothing of them is taken in or brought
/// anywhere any more. Nothing if none are.
pub(crate) fn closed<'s>(
    state: &'s RecordState,
    personal: Option<&BTreeSet<FieldName>>,
) -> Option<Cow<'s, BTreeSet<FieldName>>> {
    let erased = &state.erased.as_ref()?.fields;
    match personal.filter(|personal| !personal.is_subset(erased)) {
        None => Some(Cow::Borrowed(erased)),
        Some(personal) => Some(Cow::Owned(erased | personal)),
    }
}

/// Values without those of closed fields.
pub(crate) fn without(fields: &FieldMap, closed: &BTreeSet<FieldName>) -> FieldMap {
    let open = fields.iter().filter(|(field, _)| !closed.contains(*field));
    open.map(|(field, value)| (field.clone(), value.clone())).collect()
}

/// What of a side's words is known to hold nothing of a record.
fn outline(words: &str) -> Option<String> {
    const OURS: [&str; 3] = ["cannot connect", "no answer", "asked for a pause"];
    if let Some((_, rest)) = words.split_once("answered ")
        && let Some(status) = rest.get(..3).filter(|status| status.bytes().all(|b| b.is_ascii_digit()))
    {
        return Some(format!("answered {status}"));
    }
    if let Some((before, _)) = words.split_once(" of the page ")
        && let Some((_, n)) = before.rsplit_once("record ")
        && n.parse::<u32>().is_ok()
    {
        return Some(format!("record {n} of the page"));
    }
    OURS.iter().find(|ours| words.contains(**ours)).map(|ours| (*ours).to_owned())
}

/// Words of a side, or about its record, for onlookers.
pub(crate) fn mask_words(words: &str) -> String {
    match outline(words) {
        Some(outline) => format!("{outline} ({LEFT_OUT})"),
        None if words.is_empty() => String::new(),
        None => format!("({LEFT_OUT})"),
    }
}

fn mask_fields(fields: &mut FieldMap, personal: &BTreeSet<FieldName>) {
    let shown = fields.iter_mut().filter(|(field, _)| personal.contains(*field));
    shown.filter(|(_, value)| !value.is_blank()).for_each(|(_, value)| *value = MASK.into());
}

/// What of a record's way onlookers may be told.
pub(crate) fn mask(what: &mut What, personal: &BTreeSet<FieldName>) {
    match what {
        What::Appeared { fields, .. }
        | What::Edited { fields, .. }
        | What::Chosen { fields, .. }
        | What::Delivered { fields, .. } => mask_fields(fields, personal),
        What::Decided { field, winner, losers, .. } if personal.contains(field) => {
            *winner = MASK.into();
            losers.iter_mut().for_each(|(_, value)| *value = MASK.into());
        }
        What::Parked { reason, .. } => {
            let (kind, words) = reason.split_once(": ").unwrap_or(("", reason));
            *reason = format!("{kind}: {}", mask_words(words));
        }
        What::Delayed { reason, .. }
        | What::SideAway { reason, .. }
        | What::ReadFailed { reason, .. }
        | What::SchemaChanged { reason, .. }
        | What::Unreadable { reason, .. } => *reason = mask_words(reason),
        What::Sent { request, .. } => {
            let method = request.split(' ').next().unwrap_or_default();
            *request = format!("{method} {MASK}");
        }
        What::Decided { .. }
        | What::Deleted { .. }
        | What::SideBack { .. }
        | What::Listed { .. }
        | What::Retold { .. }
        | What::Handled { .. }
        | What::Joined { .. }
        | What::TakenUp { .. }
        | What::Erased { .. } => {}
    }
}

impl Machine {
    /// The personal fields that a happening may concern: of the record, or of the side.
    pub(crate) fn personal_in(&self, record: Option<&RecordId>, what: &What) -> Option<&BTreeSet<FieldName>> {
        if !self.any_personal {
            return None;
        }
        let of = |name: &str| self.plan.collections.get(name).map(|collection| &collection.personal);
        match (record, what) {
            (Some(record), _) => personal_of(&self.plan, record),
            (
                None,
                What::ReadFailed { collection, .. }
                | What::Unreadable { collection, .. }
                | What::SchemaChanged { collection, .. },
            ) => of(collection.as_str()).filter(|personal| !personal.is_empty()),
            (None, What::SideAway { side, .. }) => {
                let mut here = self.plan.collections.values().filter(|of| of.sides.contains_key(side));
                here.find(|of| !of.personal.is_empty()).map(|of| &of.personal)
            }
            (None, _) => None,
        }
    }

    /// An event as it is to stand in the log; nothing if just as it is.
    pub(crate) fn sealed(
        &self,
        state: &RecordState,
        event: &mut Event,
    ) -> Result<Option<Event>, EngineError> {
        let personal = personal_of(&self.plan, &event.record);
        if let Some(closed) = closed(state, personal) {
            close(&mut event.body, &closed);
            return Ok(None);
        }
        let Some(personal) = personal else { return Ok(None) };
        let vault = self.vault()?;
        let mut sealed = event.clone();
        vault.seal(&mut sealed, personal)?;
        Ok(Some(sealed))
    }

    pub(crate) fn vault(&self) -> Result<&Vault, EngineError> {
        self.views.vault().ok_or(EngineError::NoVault)
    }

    /// Makes every key durable that has been made: before the events that need it.
    pub fn flush_keys(&self) -> Result<(), EngineError> {
        Ok(self.views.vault().map_or(Ok(()), Vault::flush)?)
    }
}

/// Of a record whose personal fields are erased, no word of a side's is kept: it may
/// tell again what was erased.
fn close(body: &mut Body, closed: &BTreeSet<FieldName>) {
    let keep = |fields: &mut FieldMap| fields.retain(|field, _| !closed.contains(field));
    let words = |text: &mut String| *text = mask_words(text);
    match body {
        Body::Edited { edit, tag, raw, .. } => {
            edit.changes.retain(|field, _| !closed.contains(field));
            edit.but.retain(|field, _| !closed.contains(field));
            (*tag, *raw) = (None, None);
        }
        Body::Intended { fields, .. } | Body::Linked { fields, .. } => keep(fields),
        Body::Applied { results, tag, .. } => {
            keep_results(results, closed);
            *tag = None;
        }
        Body::Confirmed { tag, .. } => *tag = None,
        Body::Failed { words: text, .. }
        | Body::Doubted { words: text, .. }
        | Body::HandlerFailed { words: text, .. } => words(text),
        Body::Parked { parked, .. } => words(&mut parked.words),
        Body::Released { .. }
        | Body::Unlinked { .. }
        | Body::Joined { .. }
        | Body::Follows { .. }
        | Body::Restored { .. }
        | Body::Queued { .. }
        | Body::Handled { .. }
        | Body::Cursor { .. }
        | Body::Received { .. }
        | Body::Signing { .. }
        | Body::Erased { .. }
        | Body::Carried { .. }
        | Body::Archived { .. }
        | Body::TakenUp { .. } => {}
    }
}

fn keep_results(results: &mut VecMap<FieldName, FieldResult>, closed: &BTreeSet<FieldName>) {
    results.retain(|field, _| !closed.contains(field));
}

/// A value that may be brought to a side: not one that is still sealed.
pub(crate) fn is_open(value: &Value) -> bool {
    !value.is_sealed()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_sides_words_onlookers_see_only_what_is_ours() {
        let left_out = |words: &str| format!("{words} ({LEFT_OUT})");
        for (words, told) in [
            (
                "PATCH /x/{id}: answered 422 Unprocessable Entity: phone 555 is taken",
                left_out("answered 422"),
            ),
            ("POST /call/555: no answer from http://x: reset", left_out("no answer")),
            ("POST /x: cannot connect to http://x: refused", left_out("cannot connect")),
            ("GET /x: record 3 of the page has no id at `id`", left_out("record 3 of the page")),
            ("answered 5é", format!("({LEFT_OUT})")),
            ("Jane Doe, 555-0199", format!("({LEFT_OUT})")),
            ("", String::new()),
        ] {
            assert_eq!(mask_words(words), told, "{words}");
            assert_eq!(mask_words(&mask_words(words)), told, "twice: {words}");
        }
    }
}
