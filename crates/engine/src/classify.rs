//! `classify` of the resolver's specification: whether what a side shows is an edit,
//! an echo of our own write, a stale read, or a write that was not kept. Pure: reads
//! no clock but the time it is given, and changes nothing.

use crate::image::same_but_form;
use crate::observe::{Place, Seen};
use crate::project::{same, shown};
use crate::state::{Held, LastWrite, SideState};
use crate::wake::Now;
use hms_sync_model::{Change, Clock, FieldMap, FieldName, Source, Stamp, Time, Value, VecMap};
use hms_sync_resolver::Rules;
use hms_sync_resolver::fault::{Fault, is_back};
use std::time::Duration;

/// How far a side's clock may run ahead of ours before its times are not believed.
const MAX_CLOCK_SKEW: Duration = Duration::from_secs(5);

/// What became of a comparison with what the side was known to show.
pub(crate) enum Verdict {
    /// It shows what it did.
    Unchanged,
    /// It may be older than a write of ours.
    Stale(&'static str),
    /// What stood before our write stands there for good.
    NotKept(Vec<FieldName>),
    /// Somebody changed these fields; the others named may be stale.
    Edit(FieldMap, bool),
}

/// Of which fields a side's people had been shown less. The fields of a group are
/// edited as one: of all of them they had seen what they had seen of each.
pub(crate) fn seen_by_group(
    rules: &Rules,
    part: &SideState,
    changes: &VecMap<FieldName, Change>,
) -> VecMap<FieldName, Clock> {
    let mut but = part.but.clone();
    for group in rules.groups().iter().filter(|group| changes.contains_key(&group.lead)) {
        let members = || group.fields.iter();
        if members().any(|field| part.but.contains_key(field)) {
            let seen = members().fold(part.acked.clone(), |seen, field| seen.common(part.acked_of(field)));
            members().for_each(|field| drop(but.insert(field.clone(), seen.clone())));
        }
    }
    but
}

/// Compares field by field: `classify` of the specification. What only listings show is taken
/// from one that may otherwise be too old: no other read tells of it afterwards.
pub(crate) fn verdict(place: Place<'_>, part: &SideState, seen: &Seen, now: Now) -> Verdict {
    match classify(place, part, seen, now) {
        Verdict::Stale(words) => match news_of_listing(place, part, seen) {
            Some(fields) => Verdict::Edit(fields, true),
            None => Verdict::Stale(words),
        },
        verdict => verdict,
    }
}

/// What a page shows otherwise of what listings fill in, and what we never write there.
pub(crate) fn news_of_listing(place: Place<'_>, part: &SideState, seen: &Seen) -> Option<FieldMap> {
    let filled = &place.plan.filled_by_listing;
    if filled.is_empty() || seen.source != Source::Page || seen.aged {
        return None;
    }
    let news = |(field, value): &(&FieldName, &Value)| {
        filled.contains(field)
            && !value.is_nothing()
            && !place.plan.shape.takes(field)
            && !same(value, &shown(place.plan, part, field))
    };
    let fields: FieldMap =
        seen.fields.iter().filter(news).map(|(field, value)| (field.clone(), value.clone())).collect();
    (!fields.is_empty()).then_some(fields)
}

fn classify(place: Place<'_>, part: &SideState, seen: &Seen, now: Now) -> Verdict {
    let differs = |(field, value): &(&FieldName, &Value)| {
        // It shows late what it was sent, or its answer had left it out.
        let is_late = |held: &&Held| held.not_kept || held.shown == Some(Value::Absent);
        let late = part.held.get(*field).filter(is_late);
        !same(value, &shown(place.plan, part, field))
            && !late.is_some_and(|held| same(value, &place.plan.shape.image(field, &held.sent)))
    };
    let different: FieldMap =
        seen.fields.iter().filter(differs).map(|(field, value)| (field.clone(), value.clone())).collect();
    if different.is_empty() {
        return Verdict::Unchanged;
    }
    if seen.source == Source::Answer || is_back(Fault::StaleReadBelieved) {
        return Verdict::Edit(different, false);
    }
    if seen.aged && seen.began <= part.seen_at {
        return Verdict::Stale("it is of a file that was begun before we last heard of the record");
    }
    let Some(last) = part.last_write.as_ref() else {
        // A webhook told of it: a read may show an earlier state of it still.
        let told = part.made.is_some_and(|made| now.wall < made.plus(place.plan.settle_window));
        let read = !part.held.is_empty() && matches!(seen.source, Source::Page | Source::Fetch);
        return if told && read {
            Verdict::Stale("a webhook told of it just now, and a read may be older")
        } else {
            Verdict::Edit(different, false)
        };
    };
    let current = seen.tag.is_some() && seen.tag == part.tag;
    let past = || last.past_within(place.plan.settle_window, now.wall);
    let of_past = seen.tag.is_some() && past().any(|past| past.tag == seen.tag);
    let earlier = seen.tag.is_some() && !current && (seen.tag == last.tag || of_past);
    // A tag that stays what it was before: what we were told of the write is not so.
    if earlier && !is_settled(place, part, last, now) {
        return Verdict::Stale("it has the version tag of before our write");
    }
    if !current && seen.began <= last.ended {
        return Verdict::Stale("the read began before our write ended");
    }
    let newer = seen.tag.is_some() && part.tag.is_some() && !current && !earlier;
    let stood = |before: Option<&Value>, field: &FieldName, value: &Value| {
        before.is_some_and(|before| same(&place.plan.shape.image(field, before), value))
    };
    // Where we wrote it, and where only the answer told of an edit.
    let as_before = |field: &FieldName, value: &Value| stood(last.before.get(field), field, value);
    let may_lag = |field: &FieldName, value: &Value| {
        as_before(field, value)
            || stood(last.told.get(field), field, value)
            || past().any(|past| stood(past.before.get(field), field, value))
    };
    if newer || !different.iter().any(|(field, value)| may_lag(field, value)) {
        return Verdict::Edit(different, false);
    }
    // The same in another form, where that form stood before: our write, reformatted.
    let reformatted = |field: &FieldName, value: &Value| {
        let sent = part.held.get(field).map(|held| place.plan.shape.image(field, &held.sent));
        as_before(field, value) && sent.is_some_and(|sent| same_but_form(value, &sent))
    };
    let different: FieldMap =
        different.into_iter().filter(|(field, value)| !reformatted(field, value)).collect();
    if different.is_empty() {
        return Verdict::Unchanged;
    }
    settle_reverts(place, part, last, different, (as_before, may_lag), now)
}

/// Whether what the side shows now is what it holds: the time in which a read may lag
/// is over, and it was looked at twice before.
fn is_settled(place: Place<'_>, part: &SideState, last: &LastWrite, now: Now) -> bool {
    let looked_twice = part.doubt.as_ref().is_some_and(|doubt| doubt.times >= 2);
    looked_twice && now.wall >= last.ended.plus(place.plan.settle_window)
}

/// Some fields show what stood there before our write: a lagging read, a write
/// that was not kept, or somebody who undid it. Time and a second look tell.
fn settle_reverts(
    place: Place<'_>,
    part: &SideState,
    last: &LastWrite,
    different: FieldMap,
    (as_before, may_lag): (impl Fn(&FieldName, &Value) -> bool, impl Fn(&FieldName, &Value) -> bool),
    now: Now,
) -> Verdict {
    let settled = is_settled(place, part, last, now);
    if settled && (last.shown || is_back(Fault::SentCountsAsKept)) {
        return Verdict::Edit(different, false);
    }
    let not_kept = different.iter().filter(|(field, value)| as_before(field, value));
    let not_kept: Vec<FieldName> = not_kept.map(|(field, _)| field.clone()).collect();
    let fresh = |(field, value): &(FieldName, Value)| {
        if settled { !not_kept.contains(field) } else { !may_lag(field, value) }
    };
    let fresh: FieldMap = different.into_iter().filter(fresh).collect();
    if settled && fresh.is_empty() {
        return Verdict::NotKept(not_kept);
    }
    if fresh.is_empty() {
        return Verdict::Stale("it shows what was there before our write");
    }
    // What was not kept is said once what is new has been taken in.
    Verdict::Edit(fresh, !not_kept.is_empty() || !settled)
}

/// When an edit can have happened: after `low`, at the latest when we heard of
/// it, and at the side's own time if that is credible.
pub(crate) fn stamp(modified: Option<Time>, low: Time, heard: Time) -> Stamp {
    let credible = modified.filter(|at| is_credible(*at, low, heard));
    let high = credible.unwrap_or(heard).min(heard);
    Stamp { low: low.min(high), high }
}

/// Whether an edit that came after `low` and was heard of at `heard` can have been made at `at`.
pub(crate) fn is_credible(at: Time, low: Time, heard: Time) -> bool {
    at <= heard.plus(MAX_CLOCK_SKEW) && at.plus(MAX_CLOCK_SKEW) >= low
}

/// Whether what a side shows under a known id has nothing left of the record it was: another
/// identity, and another value in every other field that had one.
pub(crate) fn is_another(place: Place<'_>, part: &SideState, seen: &Seen, different: &FieldMap) -> bool {
    let identity = &place.collection.identity;
    let renamed = |field: &FieldName| {
        let held = part.held.get(field).is_some_and(|held| !held.sent.is_blank());
        held && different.get(field).is_some_and(|value| !value.is_blank())
    };
    let mut others = seen.fields.keys().filter(|field| !identity.contains(field));
    let mut held = others.by_ref().filter(|field| part.held.get(*field).is_some_and(|h| !h.sent.is_blank()));
    let (mut count, mut all) = (0, true);
    for field in held.by_ref() {
        (count, all) = (count + 1, all && different.contains_key(field));
    }
    identity.iter().any(renamed) && count >= 2 && all
}
