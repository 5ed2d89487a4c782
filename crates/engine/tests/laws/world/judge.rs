//! What must hold when all has been quiet for a while.

use super::{History, World, alike, is_listed_as_altered, name, number, side_name};
use crate::laws::Law;
use crate::side::{BY, FIELDS};
use hms_sync_engine::SideState;
use hms_sync_model::{ParkReason, RecordId};
use hms_sync_resolver::{Reason, Record, Rules};
use std::collections::BTreeSet;

impl World {
    /// What must hold when all has been quiet for a while.
    pub(super) fn judge(&mut self) {
        if self.late > 0 || self.late_writes > 0 {
            let what = format!("{} events and {} writes after all was quiet", self.late, self.late_writes);
            self.breaks(Law::quiet_means_silent_3_cycles, 0, || what);
        }
        if self.late_reads > 0 {
            let what = format!("{} records were read after all was quiet", self.late_reads);
            self.breaks(Law::nobody_reads_on, 0, || what);
        }
        let records: Vec<RecordId> = self.histories.keys().cloned().collect();
        for record in records {
            let history = &self.histories[&record];
            if !history.state.merged.clock.is_empty() {
                self.judge_one(&record, history);
            }
        }
    }

    fn judge_one(&self, record: &RecordId, history: &History) {
        let no = history.no;
        let rules = self.rules().clone();
        let merged = &history.state.merged;
        let waits = waiting(merged, &rules);
        let there = merged.presence(&rules) == hms_sync_resolver::Presence::Present;
        for i in 0..self.sides.len() {
            let side = side_name(i);
            let Some(part) = history.state.sides.get(&side) else { continue };
            if let Some(parked) = &part.parked {
                if parked.reason == ParkReason::NotKept && there {
                    self.judge_not_kept(history, part, i, &waits);
                }
                continue;
            }
            let Some(id) = part.id.as_ref().map(hms_sync_model::NativeId::as_str) else { continue };
            let Some(row) = self.sides[i].rows.get(id) else { continue };
            if row.now().gone == there || part.write.is_some() || part.doubt.is_some() {
                let what = format!("{side}: gone {} there {there} {part:?}", row.now().gone);
                self.breaks(Law::projection_settles, no, || what);
            }
            if !there {
                continue;
            }
            let doc = row.now().doc.clone();
            for f in (1..FIELDS.len()).filter(|f| self.sides[i].mood.maps[*f]) {
                let value = merged.value(&rules, &name(f));
                let same = alike(value.as_text(), doc[f].as_deref());
                let ignored = self.sides[i].mood.ignores && f == BY;
                // Nor can a user's edit in the blind window of a write that is not kept be told
                // from a side that makes something else of it: it is said to be altered.
                let altered = ignored && is_listed_as_altered(part, f, &doc);
                if !same && !waits.contains(&f) && !altered {
                    let what = format!("{side} shows {} as {:?}, and it is {value:?}", FIELDS[f], doc[f]);
                    let law = if ignored { Law::not_kept_is_pending } else { Law::n_sides_converge };
                    self.breaks(law, no, || what);
                }
                let truth = &self.parts[no][i];
                // Who sets what we were writing there cannot be told from our write.
                let late = alike(truth.last_sent(f), doc[f].as_deref());
                let swallowed = truth.last(f, u64::MAX).is_some_and(|made| made.n > truth.taken[f])
                    && !alike(truth.known(f), doc[f].as_deref())
                    && !late
                    && !altered;
                if swallowed {
                    let what = format!(
                        "{side} shows {} as {:?}, and no event says so: {truth:?}",
                        FIELDS[f], doc[f]
                    );
                    self.breaks(Law::swallows_no_automation_edit, no, || what);
                }
                let seen = {
                    let mut seen = part.acked_of(&name(f)).clone();
                    let actor = part.actor(&side);
                    seen.see(&actor, merged.clock.count(&actor));
                    seen
                };
                if !waits.contains(&f) && !seen.covers(&merged.seen(&name(f))) {
                    let what = format!(
                        "{side} shows {} and is said to have seen {seen:?} of {:?}",
                        FIELDS[f],
                        merged.seen(&name(f))
                    );
                    self.breaks(Law::in_step_acknowledges_only_when_confirmed, no, || what);
                }
            }
        }
        let parked = history.state.sides.values().any(|part| part.parked.is_some());
        let everywhere = (0..self.sides.len())
            .all(|i| history.state.sides.get(&side_name(i)).is_some_and(hms_sync_engine::SideState::has_it));
        if there && everywhere && !parked {
            self.settled(record, history, &rules, &waits);
        }
    }

    /// A side that did not keep a field has everything else, and was sent what is merged now.
    fn judge_not_kept(&self, history: &History, part: &SideState, i: usize, waits: &BTreeSet<usize>) {
        let (rules, merged) = (self.rules(), &history.state.merged);
        let Some(row) = part.id.as_ref().and_then(|id| self.sides[i].rows.get(id.as_str())) else { return };
        let mapped = (1..FIELDS.len()).filter(|f| self.sides[i].mood.maps[*f] && !waits.contains(f));
        for f in mapped {
            let value = merged.value(rules, &name(f));
            let held = part.held.get(&name(f)).filter(|held| held.not_kept);
            let there = [row.now().doc[f].as_deref(), held.and_then(|held| held.sent.as_text())];
            if !there.iter().any(|there| alike(value.as_text(), *there)) {
                let what = format!("{} was not sent {} as {value:?}: {part:?}", side_name(i), FIELDS[f]);
                self.breaks(Law::not_kept_is_pending, history.no, || what);
            }
        }
    }

    /// One value a field is left, which no other policy turns.
    fn settled(&self, _: &RecordId, history: &History, rules: &Rules, waits: &BTreeSet<usize>) {
        let merged = &history.state.merged;
        let others = super::rules(self.seed, !self.seed);
        for f in (0..FIELDS.len()).filter(|f| !waits.contains(f)) {
            let owned = rules.rule(&name(f)).owner.is_some();
            let (now, then) = (merged.value(rules, &name(f)), merged.value(&others, &name(f)));
            if !owned && now != then {
                let what = format!("{} turns from {now:?} to {then:?}", FIELDS[f]);
                self.breaks(Law::settled_survives_policy_change, history.no, || what);
            }
        }
    }
}

/// The fields of a record that wait for a person.
fn waiting(merged: &Record, rules: &Rules) -> BTreeSet<usize> {
    let fields = (1..FIELDS.len()).map(name);
    let waits = fields.filter(|f| {
        let lead = rules.group_of(f).map_or(f, |group| &group.lead);
        merged.decide(rules, lead).reason == Reason::Manual
    });
    waits.map(|f| number(&f)).collect()
}
