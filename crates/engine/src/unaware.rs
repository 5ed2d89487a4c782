//! Why a side may refuse a merged record that nobody made as it is: its fields come from
//! people who did not know of each other. Pure.

use crate::plan::CollectionPlan;
use crate::state::RecordState;
use hms_sync_model::{FieldMap, FieldName, SideName};
use std::collections::BTreeSet;

/// The words that name both edits, if what `side` was to be given was made without knowing of
/// an edit of its own.
pub(crate) fn words(
    collection: &CollectionPlan,
    state: &RecordState,
    side: &SideName,
    sent: &FieldMap,
) -> Option<String> {
    let (mut theirs, mut own) = (BTreeSet::new(), BTreeSet::new());
    for field in sent.keys() {
        for author in state.merged.siblings(field).iter().filter_map(|s| s.dot.actor.as_side()) {
            let unseen = unseen_by(collection, state, author, side, sent);
            if author != side && !unseen.is_empty() {
                theirs.insert(format!("{field} of {author}"));
                own.extend(unseen.into_iter().map(|field| format!("{field} of {side}")));
            }
        }
    }
    if own.is_empty() {
        return None;
    }
    let list = |names: BTreeSet<String>| names.into_iter().collect::<Vec<_>>().join(", ");
    Some(format!(
        "{} and {} were set without knowing of each other: if they go together, name them in `groups`",
        list(theirs),
        list(own)
    ))
}

/// Fields that people of `side` set and that those of `author` have not been shown.
fn unseen_by<'a>(
    collection: &CollectionPlan,
    state: &'a RecordState,
    author: &SideName,
    side: &SideName,
    sent: &FieldMap,
) -> Vec<&'a FieldName> {
    let Some(part) = state.sides.get(author) else { return Vec::new() };
    let given = |field: &FieldName| collection.sides.get(side).is_some_and(|plan| plan.shape.gives(field));
    let unseen = |field: &&FieldName| {
        let seen = part.acked_of(field);
        let mut siblings = state.merged.siblings(field).iter();
        !sent.contains_key(*field)
            && given(field)
            && siblings.any(|s| s.dot.actor.as_side() == Some(side) && !seen.has(&s.dot))
    };
    state.merged.field_names().filter(unseen).collect()
}
