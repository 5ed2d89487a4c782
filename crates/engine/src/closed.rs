//! Epochs that are over are folded into those that go on, once everybody has seen all of them.
//!
//! An edit of the engine's that names no field says that it was done: what comes after it knows
//! closed epochs no more. What never happens here: a fold while something waits, or because of
//! a configuration: a replay folds where it was written down, and nowhere else.

use crate::plan::CollectionPlan;
use crate::project::is_behind;
use crate::state::RecordState;
use hms_sync_model::{Edit, FieldName};
use hms_sync_resolver::{Closed, Presence};

/// Whether an edit folds closed epochs.
pub(crate) fn folds(edit: &Edit) -> bool {
    edit.changes.is_empty() && !edit.deletes
}

/// Whether closed epochs of a record can be folded, and which fields have to be settled first.
pub(crate) fn closing(collection: &CollectionPlan, state: &RecordState) -> Option<Vec<FieldName>> {
    let (rules, merged) = (&collection.rules, &state.merged);
    if merged.clock.iter().all(|(actor, _)| actor.epoch == 0) {
        return None;
    }
    let closed = merged.closed();
    let ready = !closed.is_empty() && merged.is_decided() && merged.presence(rules) == Presence::Present;
    let all_seen = collection.sides.iter().all(|(side, plan)| match state.sides.get(side) {
        Some(part) if part.has_it() => part.write.is_none() && !is_behind(rules, state, side),
        Some(part) if part.unlinked => true,
        Some(_) | None => !plan.abilities.create,
    });
    (ready && all_seen).then(|| merged.locked_before(rules, &closed))
}

impl RecordState {
    /// Folds closed epochs, in the registers and in all that is known of who has seen what.
    pub(crate) fn close_epochs(&mut self) {
        let closed: Closed = self.merged.closed();
        if closed.is_empty() {
            return;
        }
        // A side that has made all of them itself has seen them.
        for (side, part) in self.sides.iter_mut() {
            if part.has_it() {
                let actor = part.actor(side);
                part.acked.see(&actor, self.merged.clock.count(&actor));
            }
            part.acked = closed.clock(&part.acked);
            part.but.iter_mut().for_each(|(_, clock)| *clock = closed.clock(clock));
            if let Some(write) = &mut part.write {
                write.clock = closed.clock(&write.clock);
            }
        }
        for (_, job) in self.jobs.iter_mut() {
            job.handled = closed.clock(&job.handled);
        }
        self.merged.close(&closed);
    }
}
