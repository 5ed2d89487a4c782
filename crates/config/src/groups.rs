//! `groups:` of a collection: fields that merge together.

use crate::expressions;
use crate::fields::{self, Fields};
use crate::node::{Entry, Node};
use crate::policies::{self, Keeps, Resolve, Scope};
use crate::problem::{At, Problems, nearest};
use crate::section::{self, Section};
use hms_sync_model::{FieldName, FieldType, SideName, Time, Value, VecMap};
use hms_sync_resolver::{EDIT_NAMES, Expression, Formulas};

/// One group as written.
#[derive(Debug, Clone)]
pub(crate) struct Group {
    pub(crate) name: String,
    pub(crate) fields: Vec<FieldName>,
    pub(crate) lead: FieldName,
    pub(crate) resolve: Option<Resolve>,
    pub(crate) locks: Vec<Value>,
    pub(crate) derive: VecMap<FieldName, Expression>,
    pub(crate) require: Option<Expression>,
}

/// Reads `groups:`.
pub(crate) fn read(
    node: &Node,
    fields: &Fields,
    sides: &[SideName],
    problems: &mut Problems<'_>,
) -> Vec<Group> {
    let Some(mut map) = Section::open(node, "`groups`", problems) else { return Vec::new() };
    let mut groups: Vec<Group> = Vec::new();
    for entry in map.rest() {
        let Some(group) = one(entry, fields, sides, problems) else { continue };
        for field in &group.fields {
            if let Some(other) = groups.iter().find(|other| other.fields.contains(field)) {
                problems.add(
                    entry.at,
                    format!("field `{field}` is in groups `{}` and `{}`", other.name, group.name),
                );
            }
        }
        groups.push(group);
    }
    groups
}

fn one(entry: &Entry, all: &Fields, sides: &[SideName], problems: &mut Problems<'_>) -> Option<Group> {
    let name: FieldName = section::key(entry, problems)?;
    let what = format!("group `{name}`");
    let mut map = Section::open(&entry.value, what.clone(), problems)?;
    let fields = map.require("fields", problems).and_then(|node| members(node, &what, all, problems));
    let lead = map.require("lead", problems);
    let (resolve, locks) = (map.take("resolve", problems), map.take("locks", problems));
    let (derive, require) = (map.take("derive", problems), map.take("require", problems));
    map.finish(problems);
    let (fields, lead) = (fields?, lead?);
    let text = section::text(lead, &format!("`lead` of {what}"), problems)?;
    let Some(lead) = all.all.iter().find(|field| field.name.as_str() == text && fields.contains(&field.name))
    else {
        let hint = nearest(text, fields.iter().map(FieldName::as_str));
        problems.add_hint(
            lead.at,
            format!("`lead` of {what} must be one of its fields, this is {}", lead.describe()),
            hint,
        );
        return None;
    };
    let scope = Scope { what: &what, ty: Some(&lead.ty), sides };
    let resolve = resolve.and_then(|node| policies::resolve(node, scope, problems));
    if let Some(resolve) = resolve.as_ref().filter(|resolve| resolve.keeps != Keeps::Value) {
        problems.add(resolve.at, format!("{what}: union and counter are for single fields"));
    }
    let locks = locks.and_then(|node| policies::values(node, "`locks`", scope, problems)).unwrap_or_default();
    let members = Members::new(&what, &fields, all);
    let derive = derive.map(|node| members.derive(node, problems)).unwrap_or_default();
    let require = require.and_then(|node| members.require(node, problems));
    circles(&name, &derive, entry.at, problems);
    let (name, lead) = (name.as_str().to_owned(), lead.name.clone());
    Some(Group { name, fields, lead, resolve, locks, derive, require })
}

/// Members that are derived from each other.
fn circles(name: &FieldName, derive: &VecMap<FieldName, Expression>, at: At, problems: &mut Problems<'_>) {
    let formulas = Formulas { group: name.to_string(), derive: derive.clone(), require: None };
    if let Err(field) = formulas.in_order() {
        let message =
            format!("`derive` of group `{name}`: what `{field}` is derived from is derived from it");
        problems.add_hint(at, message, "a field may name what it was itself, and fields that do not name it");
    }
}

/// A group's fields, as its formulas know them.
struct Members<'a> {
    what: &'a str,
    types: Vec<(&'a str, &'a FieldType)>,
}

impl<'a> Members<'a> {
    fn new(what: &'a str, fields: &[FieldName], all: &'a Fields) -> Self {
        let members = all.all.iter().filter(|field| fields.contains(&field.name));
        Self { what, types: members.map(|field| (field.name.as_str(), &field.ty)).collect() }
    }

    fn names(&self, more: &[&'static str]) -> Vec<&'a str> {
        self.types.iter().map(|(name, _)| *name).chain(more.iter().copied()).collect()
    }

    /// `derive`: members, each with an expression that comes to a value of its type.
    fn derive(&self, node: &Node, problems: &mut Problems<'_>) -> VecMap<FieldName, Expression> {
        let mut found = VecMap::new();
        let what = format!("`derive` of {}", self.what);
        let Some(mut map) = Section::open(node, what.clone(), problems) else { return found };
        for entry in map.rest() {
            let known = self.types.iter().find(|(name, _)| *name == entry.key);
            let Some((_, ty)) = known else {
                let message = format!("{what} names `{:.60}`, which is no field of it", entry.key);
                problems.add_hint(entry.at, message, nearest(&entry.key, self.names(&[])));
                continue;
            };
            let Some(name) = section::key::<FieldName>(entry, problems) else { continue };
            let what = format!("`{name}` in {what}");
            let (at, by) = (Value::Datetime(Time(1_000_000)), Value::from("somebody"));
            let tried = |of: &Expression, given: &[(&str, &Value)]| {
                let edit = [("edited_at", &at), ("edited_by", &by)];
                of.value(ty, &[given, &edit].concat()).map(drop)
            };
            let names = self.names(&EDIT_NAMES);
            let read = expressions::of_fields(&entry.value, &what, &names, tried, &self.types, problems);
            if let Some(expression) = read {
                found.insert(name, expression);
            }
        }
        found
    }

    /// `require`: an expression that holds or does not.
    fn require(&self, node: &Node, problems: &mut Problems<'_>) -> Option<Expression> {
        let what = format!("`require` of {}", self.what);
        let tried = |of: &Expression, given: &[(&str, &Value)]| of.holds(given).map(drop);
        expressions::of_fields(node, &what, &self.names(&[]), tried, &self.types, problems)
    }
}

fn members(node: &Node, what: &str, all: &Fields, problems: &mut Problems<'_>) -> Option<Vec<FieldName>> {
    let before = problems.count();
    let mut members = Vec::new();
    for node in section::list(node, &format!("`fields` of {what}"), problems)? {
        let Some(name) = section::text(node, &format!("a field of {what}"), problems) else { continue };
        let Some(field) = all.get(what, name, node, problems) else { continue };
        if members.contains(&field.name) {
            problems.add(node.at, format!("{what} names `{name}` twice"));
        }
        if fields::is_keyed(&field.ty) {
            let message = format!("field `{name}` is in {what}, so its elements cannot merge by `key`");
            problems.add_hint(field.at, message, "leave it out of the group, or make it type: json");
            continue;
        }
        let own = [
            ("resolve", field.resolve.is_some()),
            ("owner", field.owner.is_some()),
            ("locks", !field.locks.is_empty()),
            ("fills_blank", field.places.iter().any(|place| place.fills_blank)),
        ];
        for (key, _) in own.into_iter().filter(|(_, is_there)| *is_there) {
            problems.add(field.at, format!("field `{name}` is in {what}, so its `{key}` belongs there"));
        }
        members.push(field.name.clone());
    }
    if problems.count() == before && members.len() < 2 {
        problems.add(node.at, format!("{what} needs two fields at least"));
    }
    (problems.count() == before).then_some(members)
}
