//! The same meaning a second time, as simply as it can be said: every edit is
//! kept, survivors are found by walking from edit to edit, values by sorting.
//! Nothing here calls the resolver's merging.

use crate::history::{SIDE_ORDER, elements, field};
use hms_sync_model::{Actor, Author, Change, Clock, Dot, Edit, FieldName, Value};
use hms_sync_resolver::{Kind, Policy, Rules};
use std::collections::{BTreeMap, BTreeSet};

/// Every edit there is, and the rules.
pub(crate) struct Oracle<'a> {
    pub(crate) rules: &'a Rules,
    pub(crate) edits: &'a [Edit],
}

/// An edit as one register sees it.
#[derive(Clone)]
pub(crate) struct Said<'a> {
    pub(crate) edit: &'a Edit,
    pub(crate) change: Change,
    context: Clock,
}

impl<'a> Oracle<'a> {
    /// The edits that touch a field.
    pub(crate) fn said(&self, name: &FieldName) -> Vec<Said<'a>> {
        let said = |edit: &'a Edit| {
            let change = edit.changes.get(name)?.clone();
            let mut context = edit.but.get(name).unwrap_or(&edit.context).clone();
            context.see(&edit.dot.actor, edit.dot.n - 1);
            Some(Said { edit, change, context })
        };
        self.edits.iter().filter_map(said).collect()
    }

    /// The dots of everybody's concurrent values.
    pub(crate) fn survivors(&self, name: &FieldName) -> Vec<Dot> {
        let mut dots: Vec<Dot> =
            survivors(self.said(name)).iter().map(|said| said.edit.dot.clone()).collect();
        dots.sort();
        dots
    }

    /// Whether some surviving edit says that the record is there, and some that it is not.
    pub(crate) fn presence(&self) -> (bool, bool) {
        let said = |edit: &'a Edit| Said {
            edit,
            change: Change { before: Value::Absent, after: Value::Bool(!edit.deletes) },
            context: edit.context.clone(),
        };
        let left = survivors(self.edits.iter().map(said).collect());
        let says = |there: bool| left.iter().any(|said| said.change.after == Value::Bool(there));
        (says(true), says(false))
    }

    pub(crate) fn value(&self, name: &FieldName) -> Value {
        if let Some(group) = self.rules.group_of(name) {
            return self.of_group(&group.lead, name);
        }
        match self.rules.rule(name).kind {
            Kind::Value => match choose(&self.contest(name), &self.rules.rule(name).resolve) {
                Chosen::Left(edit) => edit.changes.get(name).unwrap().after.clone(),
                Chosen::Found(edit) => edit.changes.get(name).unwrap().before.clone(),
                Chosen::Made(value) => value,
            },
            Kind::Set { remove_wins } if self.rules.rule(name).key().is_some() => {
                self.objects(name, remove_wins)
            }
            Kind::Set { remove_wins } => self.set(name, remove_wins),
            Kind::Counter => {
                let whole = |value: &Value| value.to_json().as_i64().unwrap_or(0);
                Value::from(
                    self.said(name)
                        .iter()
                        .map(|s| whole(&s.change.after) - whole(&s.change.before))
                        .sum::<i64>(),
                )
            }
        }
    }

    /// The values that compete: those of the first tier that has any to offer.
    fn contest(&self, name: &FieldName) -> Vec<Said<'a>> {
        let (said, rule) = (self.said(name), self.rules.rule(name));
        let locked = locked(&said, &rule.locks);
        if !locked.is_empty() {
            return locked;
        }
        if let Some(owner) = &rule.owner {
            let counts = |actor: &Actor| {
                actor.author == Author::Operator || actor.author == Author::Side(owner.side.clone())
            };
            let owned = survivors(said.iter().filter(|s| counts(&s.edit.dot.actor)).cloned().collect());
            let gives_way = owner.unless_blank && owned.iter().all(|s| s.change.after.is_blank());
            if !owned.is_empty() && !gives_way {
                return owned;
            }
        }
        survivors(said)
    }

    /// A group is one author's: as whoever decided the lead left it, or found it.
    fn of_group(&self, lead: &FieldName, name: &FieldName) -> Value {
        match choose(&self.contest(lead), &self.rules.rule(lead).resolve) {
            Chosen::Left(winner) => winner.changes.get(name).unwrap().after.clone(),
            Chosen::Found(earliest) => earliest.changes.get(name).unwrap().before.clone(),
            Chosen::Made(value) => value,
        }
    }

    /// The edits that add or remove one element, `after` being whether it is in.
    pub(crate) fn element(&self, name: &FieldName, element: &Value) -> Vec<Said<'a>> {
        let has = |value: &Value| matches!(value, Value::Set(all) if all.contains(element));
        let said = |said: Said<'a>| {
            let (before, after) = (has(&said.change.before), has(&said.change.after));
            let change = Change { before: Value::Bool(before), after: Value::Bool(after) };
            (before != after).then_some(Said { change, ..said })
        };
        self.said(name).into_iter().filter_map(said).collect()
    }

    /// Every element that anybody ever added.
    pub(crate) fn elements(&self, name: &FieldName) -> BTreeSet<Value> {
        let after = |said: Said<'a>| match said.change.after {
            Value::Set(all) => all.to_vec(),
            _ => Vec::new(),
        };
        self.said(name).into_iter().flat_map(after).collect()
    }

    fn set(&self, name: &FieldName, remove_wins: bool) -> Value {
        let is_in = |element: &Value| {
            let left = survivors(self.element(name, element));
            let says = |there: bool| left.iter().any(|said| said.change.after == Value::Bool(there));
            if remove_wins { !says(false) && says(true) } else { says(true) }
        };
        Value::set(self.elements(name).into_iter().filter(is_in))
    }
}

/// An element that has this key in a set.
fn with_key(set: &Value, id: i64) -> Option<BTreeMap<String, i64>> {
    elements(set).into_iter().find(|element| element["id"] == id)
}

/// Sets of objects that are known by their `id`.
impl<'a> Oracle<'a> {
    /// The keys that anybody ever used.
    pub(crate) fn keys(&self, name: &FieldName) -> BTreeSet<i64> {
        let left = |said: Said<'a>| elements(&said.change.after).into_iter().map(|element| element["id"]);
        self.said(name).into_iter().flat_map(left).collect()
    }

    /// The edits that say something of an element.
    fn of_key(&self, name: &FieldName, id: i64) -> Vec<Said<'a>> {
        let says = |said: &Said<'a>| {
            let (found, left) = (with_key(&said.change.before, id), with_key(&said.change.after, id));
            found != left || said.edit.dot.actor.author == Author::Engine && left.is_some()
        };
        self.said(name).into_iter().filter(says).collect()
    }

    /// Those who left an element in, and are heard.
    pub(crate) fn left_in(&self, name: &FieldName, id: i64, remove_wins: bool) -> Vec<Said<'a>> {
        let left = survivors(self.of_key(name, id));
        let (stays, goes): (Vec<_>, Vec<_>) =
            left.into_iter().partition(|said| with_key(&said.change.after, id).is_some());
        if remove_wins && !goes.is_empty() { Vec::new() } else { stays }
    }

    /// Who stands for a member of an element, by changing it, or else by leaving it as it was.
    pub(crate) fn of_member(&self, name: &FieldName, id: i64, member: &str) -> Vec<Said<'a>> {
        let of = |set: &Value| with_key(set, id).and_then(|element| element.get(member).copied());
        let says = |said: &Said<'a>| {
            let settles = said.edit.dot.actor.author == Author::Engine;
            of(&said.change.before) != of(&said.change.after) || settles
        };
        let left = survivors(self.of_key(name, id).into_iter().filter(says).collect());
        left.into_iter().filter(|said| with_key(&said.change.after, id).is_some()).collect()
    }

    fn objects(&self, name: &FieldName, remove_wins: bool) -> Value {
        let mut chain = self.rules.rule(name).resolve.clone();
        chain.retain(|policy| *policy != Policy::Manual);
        let element = |id: &i64| {
            let left = self.left_in(name, *id, remove_wins);
            let members: Vec<_> = left.iter().filter_map(|said| with_key(&said.change.after, *id)).collect();
            let names: BTreeSet<&String> = members.iter().flat_map(BTreeMap::keys).collect();
            let value = |member: &String| {
                let of =
                    |said: &Said<'a>| with_key(&said.change.after, *id).and_then(|e| e.get(member).copied());
                let mut said = self.of_member(name, *id, member);
                if said.is_empty() {
                    said = left.iter().filter(|said| of(said).is_some()).cloned().collect();
                }
                for said in &mut said {
                    said.change.after = of(said).map_or(Value::Absent, Value::from);
                }
                let Chosen::Left(edit) = choose(&said, &chain) else { return None };
                let winner = said.iter().find(|said| said.edit.dot == edit.dot)?;
                Some((member.clone(), winner.change.after.to_json().as_i64()?))
            };
            let members: BTreeMap<String, i64> = names.into_iter().filter_map(value).collect();
            (!left.is_empty()).then(|| Value::Json(serde_json::to_string(&members).unwrap().into()))
        };
        Value::set(self.keys(name).iter().filter_map(element))
    }
}

/// Those whom nobody had seen, found by walking what each had seen, and what those had seen in turn.
pub(crate) fn survivors(said: Vec<Said<'_>>) -> Vec<Said<'_>> {
    let mut reached = vec![false; said.len()];
    for start in 0..said.len() {
        let mut walked = vec![false; said.len()];
        let mut next = vec![start];
        while let Some(at) = next.pop() {
            for (i, other) in said.iter().enumerate() {
                if i != at && !walked[i] && said[at].context.has(&other.edit.dot) {
                    walked[i] = true;
                    next.push(i);
                }
            }
        }
        assert!(!walked[start], "nobody has seen their own future");
        reached.iter_mut().zip(walked).for_each(|(reached, walked)| *reached |= walked);
    }
    said.into_iter().zip(reached).filter(|(_, reached)| !reached).map(|(said, _)| said).collect()
}

/// Edits that reached a locked value and were neither released by an operator
/// who had seen them, nor settled, nor replaced by their author with another locked value.
fn locked<'a>(said: &[Said<'a>], locks: &[Value]) -> Vec<Said<'a>> {
    let locks = |s: &Said<'_>| locks.contains(&s.change.after);
    let released = |s: &Said<'_>| {
        let (actor, n) = (&s.edit.dot.actor, s.edit.dot.n);
        said.iter().any(|other| {
            let by_operator =
                other.edit.dot.actor.author == Author::Operator && other.context.has(&s.edit.dot);
            let settled = other.edit.dot.actor.author == Author::Engine
                && other.context.has(&s.edit.dot)
                && locks(other);
            by_operator || settled || (locks(other) && other.edit.dot.actor == *actor && other.edit.dot.n > n)
        })
    };
    said.iter().filter(|s| locks(s) && !released(s)).cloned().collect()
}

/// What a chain of policies comes to.
enum Chosen<'a> {
    /// What this edit left.
    Left(&'a Edit),
    /// What this edit found.
    Found(&'a Edit),
    /// A value that is no edit's.
    Made(Value),
}

fn choose<'a>(contest: &[Said<'a>], chain: &[Policy]) -> Chosen<'a> {
    let mut left: Vec<&Said> = contest.iter().collect();
    let values = |left: &[&Said]| left.iter().map(|s| s.change.after.clone()).collect::<BTreeSet<_>>();
    for policy in chain {
        if values(&left).len() < 2 {
            break;
        }
        left.sort_by_key(|said| (said.edit.stamp.high, said.edit.dot.clone()));
        match policy {
            Policy::Manual => return Chosen::Found(left[0].edit),
            Policy::MergeText if values(&left).len() == 2 => {
                if let Some(text) = merged(&left) {
                    return Chosen::Made(text);
                }
            }
            _ => {
                let kept: Vec<&Said> = left.iter().copied().filter(|s| keeps(policy, s, &left)).collect();
                left = if kept.is_empty() { left } else { kept };
            }
        }
    }
    left.sort_by(|x, y| last_resort(x, y));
    left.last().map_or(Chosen::Made(Value::Absent), |said| Chosen::Left(said.edit))
}

/// Whether a policy keeps `said` among `all`.
fn keeps(policy: &Policy, said: &Said<'_>, all: &[&Said<'_>]) -> bool {
    let by = |s: &Said<'_>, name: &hms_sync_model::SideName| s.edit.dot.actor.as_side() == Some(name);
    let mut filled: Vec<&Value> = all.iter().map(|s| &s.change.after).filter(|v| !v.is_blank()).collect();
    filled.sort();
    match policy {
        Policy::LastWriterWins => said.edit.stamp.high >= all.iter().map(|s| s.edit.stamp.low).max().unwrap(),
        Policy::FirstWriterWins => {
            said.edit.stamp.low <= all.iter().map(|s| s.edit.stamp.high).min().unwrap()
        }
        Policy::Prefer(sides) => {
            sides.iter().find(|name| all.iter().any(|s| by(s, name))).is_some_and(|name| by(said, name))
        }
        Policy::Precedence(values) => {
            let first = values.iter().find(|value| all.iter().any(|s| s.change.after == **value));
            first == Some(&said.change.after)
        }
        Policy::Max => filled.last() == Some(&&said.change.after),
        Policy::Min => filled.first() == Some(&&said.change.after),
        Policy::MergeText | Policy::Expression(_) | Policy::Manual => true,
    }
}

/// Later, then an operator, then the side that comes first, then the greater dot.
fn last_resort(x: &Said<'_>, y: &Said<'_>) -> std::cmp::Ordering {
    let place = |s: &Said<'_>| match &s.edit.dot.actor.author {
        Author::Operator => 0,
        Author::Side(side) => {
            let named = SIDE_ORDER.iter().position(|other| *other == side.as_str());
            1 + named.unwrap_or(SIDE_ORDER.len())
        }
        Author::Join | Author::Engine => 1 + SIDE_ORDER.len(),
    };
    let by_time = x.edit.stamp.high.cmp(&y.edit.stamp.high);
    by_time.then(place(y).cmp(&place(x))).then(x.edit.dot.cmp(&y.edit.dot))
}

/// Two texts of as many lines: each run of changed lines is taken from the one who changed it.
fn merged(left: &[&Said<'_>]) -> Option<Value> {
    let mut by_value: Vec<&Said> = left.to_vec();
    by_value.sort_by(|x, y| last_resort(y, x));
    let one = by_value[0];
    let two = by_value.iter().find(|said| said.change.after != one.change.after)?;
    if one.change.before != two.change.before {
        return None;
    }
    let lines =
        |value: &Value| value.as_text().map(|text| text.split('\n').map(str::to_owned).collect::<Vec<_>>());
    let (base, ours, theirs) =
        (lines(&one.change.before)?, lines(&one.change.after)?, lines(&two.change.after)?);
    let untouched = |i: usize| base[i] == ours[i] && base[i] == theirs[i];
    let mut out: Vec<String> = Vec::new();
    let mut at = 0;
    while at < base.len() {
        let end = (at..base.len()).find(|i| untouched(*i)).unwrap_or(base.len()).max(at + 1);
        let run = at..end;
        if ours[run.clone()] == base[run.clone()] || ours[run.clone()] == theirs[run.clone()] {
            out.extend_from_slice(&theirs[run]);
        } else if theirs[run.clone()] == base[run.clone()] {
            out.extend_from_slice(&ours[run]);
        } else {
            return None;
        }
        at = end;
    }
    Some(Value::text(out.join("\n")))
}

/// The values of a group's fields, in the order of `names`.
pub(crate) fn tuple(names: &[&str], value: impl Fn(&FieldName) -> Value) -> Vec<Value> {
    names.iter().map(|name| value(&field(name))).collect()
}
