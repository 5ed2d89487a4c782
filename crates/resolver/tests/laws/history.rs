//! Random histories: several people edit one record, see each other's work now
//! and then, and say truthfully what they had seen. Nobody ever claims an edit
//! without what that edit's author had seen, as nobody can be shown one without
//! the other. What never happens here: two histories from one seed.

use fastrand::Rng;
use hms_sync_model::{
    Actor, Author, Change, Clock, Dot, Edit, ElementKey, FieldName, FieldType, SideName, Stamp, Time, Value,
    VecMap,
};
use hms_sync_resolver::{Deletes, FieldRule, Group, Kind, Owner, Policy, Record, Rules};
use std::collections::BTreeMap;

/// The order of the sides in the last resort; the fourth side is not named.
pub(crate) const SIDE_ORDER: [&str; 3] = ["b", "a", "c"];

/// Fields that are edited together. The first of a group is its lead.
pub(crate) const UNITS: [&[&str]; 14] = [
    &["plain"],
    &["mixed"],
    &["best"],
    &["note"],
    &["locked"],
    &["owned"],
    &["phone"],
    &["tags"],
    &["flags"],
    &["visits"],
    &["status", "since", "by"],
    &["country", "postcode"],
    &["lines"],
    &["parts"],
];

pub(crate) fn field(name: &str) -> FieldName {
    FieldName::try_new(name).unwrap()
}

pub(crate) fn side(name: &str) -> SideName {
    SideName::try_new(name).unwrap()
}

pub(crate) fn actor(name: &str) -> Actor {
    Actor::side(side(name))
}

pub(crate) fn operator() -> Actor {
    Actor { author: Author::Operator, epoch: 0 }
}

pub(crate) fn engine() -> Actor {
    Actor { author: Author::Engine, epoch: 0 }
}

pub(crate) fn words(names: &[&str]) -> Vec<Value> {
    names.iter().map(|name| Value::from(*name)).collect()
}

pub(crate) fn all_fields() -> impl Iterator<Item = FieldName> {
    UNITS.iter().copied().flatten().map(|name| field(name))
}

/// Rules for every kind of field, with policies as the seed wants them.
pub(crate) fn rules(rng: &mut Rng) -> Rules {
    let default =
        rng.choice(&[Policy::LastWriterWins, Policy::FirstWriterWins, Policy::Max]).unwrap().clone();
    let deletes = *rng.choice(&[Deletes::EditWins, Deletes::DeleteWins, Deletes::Manual]).unwrap();
    let mut plain = || FieldRule { resolve: chain(rng, true), ..FieldRule::default() };
    let kind = |kind| FieldRule { kind, ..FieldRule::default() };
    let owner = |unless_blank| Some(Owner { side: side("a"), unless_blank });
    let note = [vec![Policy::MergeText], plain().resolve].concat();
    let builder = Rules::builder()
        .side_order(SIDE_ORDER.map(side))
        .deletes(deletes)
        .default_resolve(vec![default])
        .field(field("mixed"), plain())
        .field(field("best"), FieldRule { resolve: vec![Policy::Max], ..FieldRule::default() })
        .field(field("note"), FieldRule { resolve: note, ..FieldRule::default() })
        .field(field("locked"), FieldRule { locks: words(&["w3", "w4"]), ..plain() })
        .field(field("owned"), FieldRule { owner: owner(false), ..plain() })
        .field(field("phone"), FieldRule { owner: owner(true), ..plain() })
        .field(field("tags"), kind(Kind::Set { remove_wins: false }))
        .field(field("flags"), kind(Kind::Set { remove_wins: true }))
        .field(field("lines"), by_key(false))
        .field(field("parts"), by_key(true))
        .field(field("visits"), kind(Kind::Counter));
    let mut group = |name: &str, fields: &[&str], locks: &[&str]| Group {
        name: name.into(),
        fields: fields.iter().map(|name| field(name)).collect(),
        lead: field(fields[0]),
        resolve: chain(rng, false),
        locks: words(locks),
    };
    let (standing, place) = (group("standing", UNITS[10], &["w3"]), group("place", UNITS[11], &[]));
    builder.group(standing).group(place).build().unwrap()
}

/// Rules that fold otherwise: other kinds, owners and locks for the same fields.
pub(crate) fn other_kinds(rng: &mut Rng) -> Rules {
    let mut plain = || FieldRule { resolve: chain(rng, false), ..FieldRule::default() };
    let owner = Some(Owner { side: side("b"), unless_blank: false });
    let kind = |kind| FieldRule { kind, ..FieldRule::default() };
    let builder = Rules::builder()
        .side_order(SIDE_ORDER.map(side))
        .field(field("plain"), FieldRule { locks: words(&["w1"]), ..plain() })
        .field(field("mixed"), FieldRule { owner, ..plain() })
        .field(field("locked"), plain())
        .field(field("owned"), FieldRule { locks: words(&["w0", "w3"]), ..plain() })
        .field(field("tags"), kind(Kind::Set { remove_wins: true }))
        .field(field("flags"), plain())
        .field(field("visits"), plain())
        .field(field("lines"), by_key(true))
        .field(field("parts"), plain())
        .field(field("best"), kind(Kind::Counter))
        .field(field("phone"), kind(Kind::Set { remove_wins: false }));
    builder.build().unwrap()
}

/// A set of objects that are known by their `id`.
fn by_key(remove_wins: bool) -> FieldRule {
    let of = FieldType::Object(ElementKey::new(["id"]));
    FieldRule { kind: Kind::Set { remove_wins }, ty: FieldType::Set(Box::new(of)), ..FieldRule::default() }
}

/// Some policies in some order. Merging texts makes no sense for a group's lead.
pub(crate) fn chain(rng: &mut Rng, texts: bool) -> Vec<Policy> {
    let mut names = ["a", "b", "c", "d"];
    let mut values = words(&["w0", "w1", "w2", "w3", "w4"]);
    (0..rng.usize(1..4))
        .map(|_| {
            rng.shuffle(&mut names);
            rng.shuffle(&mut values);
            match rng.u8(0..9) {
                0 | 1 => Policy::LastWriterWins,
                2 => Policy::FirstWriterWins,
                3 => Policy::Prefer(names[..2].iter().map(|name| side(name)).collect()),
                4 => Policy::Precedence(values[..2].to_vec()),
                5 => Policy::Max,
                6 => Policy::Min,
                7 => Policy::Manual,
                _ if texts => Policy::MergeText,
                _ => Policy::LastWriterWins,
            }
        })
        .collect()
}

/// The edits of one record in the order they were made, and the rules they were made under.
#[derive(Debug, Clone)]
pub(crate) struct History {
    pub(crate) rules: Rules,
    pub(crate) edits: Vec<Edit>,
}

impl History {
    pub(crate) fn new(rng: &mut Rng) -> Self {
        let mut world = World::new(rng);
        for step in 0..rng.i64(2..16) {
            world.step(rng, step);
        }
        Self { rules: world.rules, edits: world.edits }
    }

    /// The record after `edits` in their order.
    pub(crate) fn fold<'a>(&self, edits: impl IntoIterator<Item = &'a Edit>) -> Record {
        fold(&self.rules, edits)
    }

    /// The same without the counter, whose edits have to come in each actor's own order.
    pub(crate) fn without_counter(&self) -> Self {
        let mut plain = self.clone();
        for edit in &mut plain.edits {
            edit.changes.remove("visits");
        }
        plain
    }

    /// Any order of arrival, some edits more than once.
    pub(crate) fn any_order<'a>(&'a self, rng: &mut Rng) -> Vec<&'a Edit> {
        let mut arriving: Vec<&Edit> = self.edits.iter().collect();
        arriving.extend(self.edits.iter().filter(|_| rng.u8(0..4) == 0));
        rng.shuffle(&mut arriving);
        arriving
    }

    /// An order of arrival that keeps each actor's own, some edits more than once.
    pub(crate) fn own_order<'a>(&'a self, rng: &mut Rng) -> Vec<&'a Edit> {
        let mut left: Vec<&Edit> = self.edits.iter().collect();
        let mut arriving: Vec<&Edit> = Vec::new();
        while !left.is_empty() {
            let actor = &left[rng.usize(0..left.len())].dot.actor;
            let first = left.iter().position(|edit| edit.dot.actor == *actor).unwrap();
            arriving.push(left.remove(first));
            if rng.u8(0..4) == 0 {
                arriving.push(arriving[rng.usize(0..arriving.len())]);
            }
        }
        arriving
    }

    /// What a replica may have after a partition: of each actor the edits up to some point.
    pub(crate) fn part<'a>(&'a self, rng: &mut Rng) -> Vec<&'a Edit> {
        let mut upto: VecMap<Actor, u64> = VecMap::new();
        for edit in &self.edits {
            upto.insert(edit.dot.actor.clone(), rng.u64(0..6));
        }
        self.edits.iter().filter(|edit| edit.dot.n <= *upto.get(&edit.dot.actor).unwrap()).collect()
    }

    /// Any of the edits, with gaps.
    pub(crate) fn some<'a>(&'a self, rng: &mut Rng) -> Vec<&'a Edit> {
        self.edits.iter().filter(|_| rng.bool()).collect()
    }
}

pub(crate) fn fold<'a>(rules: &Rules, edits: impl IntoIterator<Item = &'a Edit>) -> Record {
    let mut record = Record::default();
    edits.into_iter().for_each(|edit| record.apply(rules, edit).unwrap());
    record
}

/// One who edits, with the record as it has been shown to them.
struct Person {
    actor: Actor,
    made: u64,
    view: Record,
    /// What they said to have seen when they last edited a unit.
    floors: VecMap<FieldName, Clock>,
}

struct World {
    rules: Rules,
    people: Vec<Person>,
    edits: Vec<Edit>,
}

impl World {
    fn new(rng: &mut Rng) -> Self {
        let mut actors = vec![actor("a"), actor("b"), actor("c"), actor("d"), operator()];
        rng.shuffle(&mut actors);
        actors.truncate(rng.usize(2..6));
        let person = |actor| Person { actor, made: 0, view: Record::default(), floors: VecMap::new() };
        Self { rules: rules(rng), people: actors.into_iter().map(person).collect(), edits: Vec::new() }
    }

    fn step(&mut self, rng: &mut Rng, step: i64) {
        let who = rng.usize(0..self.people.len());
        if rng.u8(0..16) == 0 {
            self.people[who].forget();
        }
        if rng.bool() {
            self.see(rng, who);
        }
        let edit = self.make(rng, who, step * 10);
        let person = &mut self.people[who];
        person.view.apply(&self.rules, &edit).unwrap();
        person.made += 1;
        self.edits.push(edit);
    }

    /// Somebody is shown what another has now, or what stood there after some edit.
    fn see(&mut self, rng: &mut Rng, who: usize) {
        let shown = match rng.choice(&self.edits) {
            Some(edit) if rng.bool() => {
                edit.context.clone().merged(&[(edit.dot.actor.clone(), edit.dot.n)].into_iter().collect())
            }
            _ => self.people[rng.usize(0..self.people.len())].view.clock.clone(),
        };
        let view = &mut self.people[who].view;
        for edit in self.edits.iter().filter(|edit| shown.has(&edit.dot)) {
            view.apply(&self.rules, edit).unwrap();
        }
    }

    fn make(&mut self, rng: &mut Rng, who: usize, at: i64) -> Edit {
        let mut changes = VecMap::new();
        let mut but = VecMap::new();
        for unit in UNITS {
            if rng.u8(0..3) == 0 {
                let (changed, older) = self.change(rng, who, unit);
                for name in unit.iter().map(|name| field(name)) {
                    older.iter().for_each(|seen| drop(but.insert(name.clone(), seen.clone())));
                    changes.insert(name.clone(), changed.get(&name).unwrap().clone());
                }
            }
        }
        let person = &self.people[who];
        Edit {
            generation: 0,
            dot: Dot { actor: person.actor.clone(), n: person.made + 1 },
            context: person.view.clock.clone(),
            but,
            changes,
            deletes: rng.u8(0..8) == 0,
            stamp: Stamp { low: Time(at - rng.i64(0..40)), high: Time(at + rng.i64(0..20)) },
            certain: true,
        }
    }
}

impl World {
    /// Somebody changes one unit, a group as a whole, now and then without having
    /// seen the latest of it: then the second says what they had seen.
    fn change(
        &mut self,
        rng: &mut Rng,
        who: usize,
        unit: &[&str],
    ) -> (VecMap<FieldName, Change>, Option<Clock>) {
        let (lead, person) = (field(unit[0]), &self.people[who]);
        let older = (rng.u8(0..6) == 0).then(|| person.floor(&lead));
        let had_seen = |seen: &Clock| fold(&self.rules, self.edits.iter().filter(|edit| seen.has(&edit.dot)));
        let earlier = older.as_ref().map(had_seen);
        let view = earlier.as_ref().unwrap_or(&person.view);
        let mut changes = VecMap::new();
        let chosen = rng.usize(0..unit.len());
        for (i, name) in unit.iter().enumerate() {
            if i == chosen || rng.bool() {
                let before = view.value(&self.rules, &field(name));
                let after = after(rng, name, &before);
                changes.insert(field(name), Change { before, after });
            }
        }
        self.rules.complete_groups(&mut changes, |name| view.value(&self.rules, name));
        let floor = older.clone().unwrap_or_else(|| person.view.clock.clone());
        self.people[who].floors.insert(lead, floor);
        (changes, older)
    }
}

impl Person {
    /// Restored from a backup: knows nothing any more, and goes on in the next epoch.
    fn forget(&mut self) {
        self.actor.epoch += 1;
        self.made = 0;
        self.view = Record::default();
        self.floors.clear();
    }

    /// The least they can say to have seen of a unit: what they said before, and their own past.
    fn floor(&self, lead: &FieldName) -> Clock {
        let mut seen = self.floors.get(lead).cloned().unwrap_or_default();
        seen.see(&self.actor, self.made);
        seen
    }
}

/// What somebody who sees `before` makes of it.
fn after(rng: &mut Rng, name: &str, before: &Value) -> Value {
    match name {
        "tags" | "flags" => {
            let mut elements: Vec<Value> = (0..rng.i64(0..3)).map(|_| Value::from(rng.i64(0..4))).collect();
            if let Value::Set(there) = before {
                elements.extend(there.iter().filter(|_| rng.u8(0..3) > 0).cloned());
            }
            Value::set(elements)
        }
        "lines" | "parts" => objects(rng, before),
        "visits" => Value::from(before.to_json().as_i64().unwrap_or(0) + rng.i64(-3..5)),
        "best" => Value::from(rng.i64(0..9)),
        "note" => note(rng, before),
        _ => match rng.u8(0..10) {
            0 => Value::Null,
            1 => Value::from(""),
            _ => Value::from(format!("w{}", rng.u8(0..5)).as_str()),
        },
    }
}

/// Objects taken out, put in and changed, of three that there may be.
fn objects(rng: &mut Rng, before: &Value) -> Value {
    let mut all: BTreeMap<i64, BTreeMap<String, i64>> = BTreeMap::new();
    for element in elements(before) {
        all.insert(element["id"], element);
    }
    for _ in 0..rng.usize(1..4) {
        let id = rng.i64(1..4);
        if rng.u8(0..4) == 0 {
            all.remove(&id);
            continue;
        }
        let element = all.entry(id).or_insert_with(|| [("id".to_owned(), id)].into());
        match *rng.choice(&["n", "m", "note"]).unwrap() {
            name if rng.u8(0..4) == 0 => drop(element.remove(name)),
            name => drop(element.insert(name.to_owned(), rng.i64(0..4))),
        }
    }
    Value::set(all.values().map(|element| Value::Json(serde_json::to_string(element).unwrap().into())))
}

/// The objects of a set, each with its members.
pub(crate) fn elements(set: &Value) -> Vec<BTreeMap<String, i64>> {
    let members = |element: &Value| match element {
        Value::Json(text) => serde_json::from_str(text).ok(),
        _ => None,
    };
    match set {
        Value::Set(all) => all.iter().filter_map(members).collect(),
        _ => Vec::new(),
    }
}

/// Some lines written anew. Each line begins with its place, so that no two are the same.
fn note(rng: &mut Rng, before: &Value) -> Value {
    let mut lines: Vec<String> = match before.as_text() {
        Some(text) => text.split('\n').map(str::to_owned).collect(),
        None => (0..6).map(|line| format!("{line}.")).collect(),
    };
    for (i, line) in lines.iter_mut().enumerate() {
        if rng.u8(0..4) == 0 {
            *line = format!("{i}.{}", rng.u8(0..4));
        }
    }
    Value::text(lines.join("\n"))
}
