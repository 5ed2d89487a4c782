//! Rules that act when an edit is taken in: kinds, owners, locks, and sides that fill blanks.
//!
//! What was folded under others is not what the log comes to now. Then the saved views are
//! dropped, and made anew from the events; of the log nothing is changed. Rules that act
//! when a value is asked for are not looked at: they may change at any time.

use crate::error::EngineError;
use crate::plan::Plan;
use hms_sync_changelog::{Log, View};

/// Where the saved views say what they were folded under.
const KEY: &[u8] = b"f";

/// Where they say under which plan a process last ran.
const PLAN_KEY: &[u8] = b"p";

/// What the views say of the time before a start.
#[derive(Debug)]
pub(crate) struct Before {
    /// Whether it ran under just this plan: then a record that was in step is so still.
    pub(crate) same_plan: bool,
    /// The mark of the plan that it runs under now.
    pub(crate) plan: [u8; 32],
    /// What is to be saved with the next views.
    pub(crate) to_save: Vec<View>,
}

/// Drops the saved views if they were folded under other rules.
pub(crate) fn drop_if_changed(log: &Log, plan: &Plan) -> Result<Before, EngineError> {
    let of_plan = plan_mark(plan);
    let now = [(KEY, mark(plan)), (PLAN_KEY, of_plan.to_vec())];
    let mut to_save = Vec::new();
    for (key, mark) in now {
        let before = log.view(key)?;
        if before.as_ref() == Some(&mark) {
            continue;
        }
        if key == KEY && before.is_some() {
            tracing::info!("kinds, owners or locks have changed: all records are folded anew");
            log.drop_views()?;
        }
        to_save.push((key.to_vec(), mark));
    }
    Ok(Before { same_plan: to_save.is_empty(), plan: of_plan, to_save })
}

/// A mark of all that a plan says.
pub(crate) fn plan_mark(plan: &Plan) -> [u8; 32] {
    *blake3::hash(format!("{plan:?}").as_bytes()).as_bytes()
}

/// A mark of all rules that act when an edit is taken in.
fn mark(plan: &Plan) -> Vec<u8> {
    let mut hasher = blake3::Hasher::new();
    for (name, collection) in plan.collections.iter() {
        let folding = collection.rules.folding();
        hasher.update(name.as_str().as_bytes()).update(b"\n").update(folding.as_bytes()).update(b"\n");
    }
    hasher.finalize().as_bytes().to_vec()
}
