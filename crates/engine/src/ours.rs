//! Edits that are made here and not on a side: by people at hms-sync, by a join, by hms-sync itself.

use crate::state::RecordState;
use hms_sync_model::{Actor, Author, Change, Clock, Dot, Edit, FieldName, Stamp, VecMap};

impl RecordState {
    /// One of ours who edits the record, as of now. `floor` is what restores of the log have begun.
    pub(crate) fn actor_from(&self, floor: u32, author: Author) -> Actor {
        Actor { author, epoch: self.lowest_epoch(floor) }
    }

    /// Their edit, of which it is certain that they had seen `context` and what they did before.
    pub(crate) fn edit_by(
        &self,
        (author, floor): (Author, u32),
        mut context: Clock,
        changes: VecMap<FieldName, Change>,
        stamp: Stamp,
    ) -> Edit {
        let actor = self.actor_from(floor, author);
        let before = self.merged.clock.count(&actor);
        context.see(&actor, before);
        Edit {
            generation: self.merged.generation,
            dot: Dot { n: before.saturating_add(1), actor },
            context,
            but: VecMap::new(),
            changes,
            deletes: false,
            stamp,
            certain: true,
        }
    }
}
