//! What each event must hold to: that it claims what was on the screens, no more and no less.

use super::{History, Intent, QUIET, World, alike, index, name, number, side_name};
use crate::laws::Law;
use crate::screen::{beyond, upto};
use crate::side::{BY, FIELDS, Shown};
use hms_sync_changelog::Sealed;
use hms_sync_engine::SideState;
use hms_sync_model::{
    Author, Body, Clock, Edit, Event, FieldMap, FieldName, FieldResult, Operation, Source, Value,
};
use hms_sync_resolver::Record;
use std::collections::BTreeSet;

impl World {
    /// An event of the machine's: judged by the laws, and folded once more.
    pub(super) fn event(&mut self, sealed: &Sealed, side: usize, shown: &Shown) {
        self.events += 1;
        let event: Event = rmp_serde::from_slice(sealed.payload()).unwrap();
        if event.record.is_own_stream() {
            return;
        }
        if self.now > QUIET && !self.relinked {
            self.late += 1;
            self.say(|| format!("LATE {event:?}"));
        }
        let known = self.histories.contains_key(&event.record);
        if !known {
            // Which record it is shows with its first edit.
            self.histories.insert(event.record.clone(), History { no: usize::MAX, ..History::default() });
        }
        if let Body::Edited { edit, id: Some(id), .. } = &event.body {
            let id = id.as_str();
            let no = self.sides[side].rows[id].no;
            if self.histories[&event.record].no != no {
                self.histories.get_mut(&event.record).unwrap().no = no;
                self.of_no.entry(no).or_default().push(event.record.clone());
            }
            let made = shown.made.iter().find(|(of, _)| of == id).map_or(0, |(_, made)| *made);
            if edit.deletes && !self.sides[side].rows[id].now().gone {
                let what = format!("{} is said to have deleted {id}: {edit:?}", side_name(side));
                self.breaks(Law::stale_read_never_wins, no, || what);
            }
            self.edited(&event, edit, side, no, made);
        }
        if let Body::Edited { edit, .. } = &event.body {
            self.order_laws(&event, edit, self.histories[&event.record].no);
        }
        let rules = self.plan.collections.values().next().unwrap();
        let history = self.histories.get_mut(&event.record).unwrap();
        history.state.fold(&rules.rules, sealed.id, &event);
        let no = history.no;
        if self.only.is_some() || matches!(event.body, Body::Edited { .. }) {
            self.say_of(no, || format!("        {no} {:?}", event.body));
        }
        self.after(&event, no);
    }

    /// Whether a side that ignores what it is sent is taken for one that makes something else
    /// of it: so its people are taken to have been shown it.
    fn makes_something_else(&self, i: usize, f: usize, part: &SideState) -> bool {
        let held = part.held.get(&name(f)).filter(|held| !held.not_kept);
        self.sides[i].mood.ignores && f == BY && held.is_some_and(|held| held.shown.is_some())
    }

    /// What must hold of every edit that the engine ascribes to a side.
    fn edited(&mut self, event: &Event, edit: &Edit, side: usize, no: usize, made: u64) {
        // A side that reformats edits, where its answers do not say so: nothing was said anew.
        let changed = |(_, change): &(&FieldName, &hms_sync_model::Change)| {
            change.before != change.after && !alike(change.before.as_text(), change.after.as_text())
        };
        let fields: Vec<usize> = edit.changes.iter().filter(changed).map(|(f, _)| number(f)).collect();
        if self.relinked {
            return;
        }
        for (f, change) in edit.changes.iter() {
            self.parts[no][side].know(number(f), change.after.as_text().map(str::to_owned));
        }
        let mut brings = Vec::new();
        for f in fields {
            let part = &self.parts[no][side];
            let by = part.last(f, made).cloned().filter(|by| by.n > part.taken[f]);
            // Where nobody knows whether our create was there before, all that is there is theirs.
            if by.is_none() && !edit.certain || self.blind.contains(&(no, side)) {
                continue;
            }
            let Some(by) = by else {
                let what = format!("{} is said to have set {}: {edit:?}", side_name(side), FIELDS[f]);
                self.breaks(Law::stale_read_never_wins, no, || what);
                continue;
            };
            let claimed = upto(&self.parts[no], &edit.context_of(&name(f)), f, index);
            // Without versions an answer shows what somebody did just before it, as if after.
            let blind = matches!(event.body, Body::Edited { source: Source::Answer, .. })
                && !self.sides[side].mood.tags;
            let part = self.histories[&event.record].state.sides.get(&side_name(side));
            let altered = part.is_some_and(|part| self.makes_something_else(side, f, part));
            if let (false, Some(of)) = (blind || altered, beyond(&claimed, &by.seen, side)) {
                let what = format!(
                    "{} had not been shown {}: {edit:?} {by:?} {claimed:?}",
                    FIELDS[f],
                    side_name(of)
                );
                self.breaks(Law::never_claims_more_than_the_screen_showed, no, || what);
            }
            let parts = &self.parts[no];
            let less = (0..parts.len())
                .find(|of| *of != side && parts[*of].edited_between(f, claimed[*of], by.told[*of]));
            // A group of which a part was written is known no further than the rest of it is.
            let part_of_group = self.group().contains(&f)
                && self.group().iter().any(|member| edit.but.contains_key(&name(*member)));
            if let (true, Some(of)) = (edit.certain && !part_of_group, less) {
                let what = format!(
                    "{} of {} was on the screen: {edit:?} {by:?} {claimed:?}",
                    FIELDS[f],
                    side_name(of)
                );
                self.breaks(Law::claims_less_only_where_uncertain, no, || what);
            }
            if blind {
                // What they do next comes after it.
                self.parts[no][side].show(f, &claimed, false);
            }
            brings.push((f, by.n));
        }
        self.parts[no][side].take(edit.dot.actor.epoch, edit.dot.n, &brings);
        if !edit.certain {
            self.parts[no][side].doubt();
        }
        self.whole_groups(event, edit, side, no);
    }

    /// The laws of merging that can be told from the log alone.
    fn order_laws(&mut self, event: &Event, edit: &Edit, no: usize) {
        if edit.context.count(&edit.dot.actor) + 1 != edit.dot.n {
            self.breaks(Law::own_past_always, no, || format!("{edit:?}"));
        }
        let history = self.histories.get_mut(&event.record).unwrap();
        history.edits.push(edit.clone());
        if edit.actor().author == Author::Engine && edit.changes.is_empty() {
            history.folded.push(edit.clone());
        }
        let whole = |mut seen: Clock| {
            for folded in history.folded.iter().rev().filter(|folded| folded.dot != edit.dot) {
                if seen.has(&folded.dot) {
                    seen.merge(&folded.context);
                }
            }
            seen
        };
        let mut back = false;
        // What each edit says of the record, and of the fields that it touches.
        for f in edit.changes.keys().map(Some).chain([None]) {
            let seen = whole(f.map_or_else(|| edit.context.clone(), |f| edit.context_of(f)));
            let before = history.said.insert((edit.dot.actor.clone(), f.cloned()), seen.clone());
            back |= before.is_some_and(|before| !seen.covers(&before));
        }
        if back {
            let edits = history.edits.clone();
            self.breaks(Law::contexts_never_go_back, no, || format!("{edit:?} after {edits:?}"));
        }
    }

    /// Who sees a part of a group keeps the rest as it was on their screen.
    fn whole_groups(&self, event: &Event, edit: &Edit, side: usize, no: usize) {
        let groups = self.rules().groups().to_vec();
        for group in groups.iter().filter(|group| group.fields.iter().any(|f| edit.changes.contains_key(f))) {
            for f in group.fields.iter().filter(|f| !self.sides[side].mood.maps[number(f)]) {
                let history = &self.histories[&event.record];
                let seen = edit.context_of(f);
                let mut view = Record::default();
                for other in history.edits.iter().filter(|other| seen.has(&other.dot)) {
                    view.apply(self.rules(), other).unwrap();
                }
                let (then, said) =
                    (view.value(self.rules(), f), edit.changes.get(f).map(|c| c.after.clone()));
                let untouched = said.as_ref().is_none_or(|said| *said == then);
                if !untouched {
                    let what = format!("{f} was {then:?} for {}: {edit:?}", side_name(side));
                    self.breaks(Law::group_partial_side_keeps_rest, no, || what);
                }
            }
        }
    }

    /// What must hold after an event.
    fn after(&mut self, event: &Event, no: usize) {
        if self.relinked {
            return;
        }
        let history = &self.histories[&event.record];
        if let Some(why) = &history.state.malformed {
            let why = why.clone();
            return self.breaks(Law::own_past_always, no, || why);
        }
        match &event.body {
            Body::Applied { side, of, results, .. } => {
                self.agreed(event, index(side), *of, no);
                // It may have been kept and undone at once.
                let lost = |result: &FieldResult| *result == FieldResult::NotKept;
                let fields: Vec<usize> =
                    results.iter().filter(|(_, result)| lost(result)).map(|(f, _)| number(f)).collect();
                self.parts[no][index(side)].doubt_of(&fields);
            }
            Body::Intended { side, operation, fields, clock } => {
                self.intended(event, (index(side), *operation), fields, clock, no);
            }
            Body::Edited { .. } => {
                let merged = &history.state.merged;
                let twice = |f: &FieldName| {
                    let actors = merged.siblings(f).iter().map(|s| &s.dot.actor);
                    actors.clone().collect::<BTreeSet<_>>().len() != actors.count()
                };
                if let Some(f) = merged.field_names().find(|f| twice(f)).cloned() {
                    self.breaks(Law::one_sibling_per_actor, no, || format!("{f} after {event:?}"));
                }
                self.group_stands(event, no);
            }
            Body::Confirmed { side, .. } => {
                let (i, part) = (index(side), &history.state.sides.get(side).unwrap());
                if !part.has_it() {
                    return;
                }
                let claims: Vec<(usize, Clock)> = (1..FIELDS.len())
                    .filter(|f| self.sides[i].mood.maps[*f] && !self.makes_something_else(i, *f, part))
                    .map(|f| (f, part.acked_of(&name(f)).clone()))
                    .collect();
                for (f, clock) in claims {
                    let claimed = upto(&self.parts[no], &clock, f, index);
                    let seen = *self.parts[no][i].seen(f);
                    if let Some(of) = beyond(&claimed, &seen, i) {
                        let what =
                            format!("{} of {} was never shown by {}", FIELDS[f], side_name(of), side_name(i));
                        let what = format!("{what}: {event:?} {claimed:?} {seen:?}");
                        self.breaks(Law::in_step_acknowledges_only_when_confirmed, no, || what);
                    }
                }
            }
            _ => {}
        }
    }

    /// A create that a read shows to be there: somebody may have made just the same.
    fn agreed(&mut self, event: &Event, side: usize, of: u64, no: usize) {
        let intent = self.intents.get(&(event.record.clone(), of)).filter(|intent| intent.creates);
        let Some((intent, row)) = intent.zip(self.sides[side].row_of(no)) else { return };
        let doc = row.1.doc.clone();
        let part = &mut self.parts[no][side];
        for f in (0..FIELDS.len()).filter(|f| intent.fields[*f]) {
            if alike(doc[f].as_deref(), intent.values[f].as_deref()) {
                part.show(f, &intent.upto[f], false);
                part.believe(f, &intent.upto[f]);
            }
        }
    }

    fn group_stands(&self, event: &Event, no: usize) {
        let history = &self.histories[&event.record];
        for group in self.rules().groups() {
            let stands: Vec<Value> =
                group.fields.iter().map(|f| history.state.merged.value(self.rules(), f)).collect();
            let mut had = vec![vec![Value::Absent; stands.len()]];
            for edit in history.edits.iter().filter(|edit| edit.changes.contains_key(&group.lead)) {
                let of = |f: &FieldName| {
                    edit.changes
                        .get(f)
                        .cloned()
                        .unwrap_or(hms_sync_model::Change { before: Value::Absent, after: Value::Absent })
                };
                had.push(group.fields.iter().map(|f| of(f).before).collect());
                had.push(group.fields.iter().map(|f| of(f).after).collect());
            }
            let untouched = history.edits.iter().all(|edit| !edit.changes.contains_key(&group.lead));
            if !untouched && !had.contains(&stands) {
                let what = format!("nobody had {:?} as {stands:?}: {event:?}", group.fields);
                return self.breaks(Law::group_never_splits, no, || what);
            }
        }
    }

    fn intended(
        &mut self,
        event: &Event,
        (side, operation): (usize, Operation),
        fields: &FieldMap,
        clock: &Clock,
        no: usize,
    ) {
        let merged = &self.histories[&event.record].state.merged;
        let text = |value: Value| value.as_text().map(str::to_owned);
        let intent = Intent {
            side,
            creates: operation == Operation::Create,
            fields: std::array::from_fn(|f| fields.contains_key(&name(f))),
            upto: std::array::from_fn(|f| upto(&self.parts[no], clock, f, index)),
            values: std::array::from_fn(|f| text(merged.value(self.rules(), &name(f)))),
        };
        debug_assert_eq!(intent.side, side);
        for f in (0..FIELDS.len()).filter(|f| intent.fields[*f]) {
            self.parts[no][side].send(f, intent.values[f].clone());
        }
        self.intents.insert((event.record.clone(), event.version), intent);
    }
}
