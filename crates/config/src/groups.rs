//! `groups:` of a collection: fields that merge together.

use crate::fields::Fields;
use crate::node::{Entry, Node};
use crate::policies::{self, Keeps, Resolve, Scope};
use crate::problem::{Problems, nearest};
use crate::section::{self, Section};
use hms_sync_model::{FieldName, SideName, Value};

/// One group as written.
#[derive(Debug, Clone)]
pub(crate) struct Group {
    pub(crate) name: String,
    pub(crate) fields: Vec<FieldName>,
    pub(crate) lead: FieldName,
    pub(crate) resolve: Option<Resolve>,
    pub(crate) locks: Vec<Value>,
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
    for key in ["derive", "require"] {
        if let Some(node) = map.take(key, problems) {
            problems.add(node.at, format!("`{key}` of {what} is not there yet"));
        }
    }
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
    Some(Group { name: name.as_str().to_owned(), lead: lead.name.clone(), fields, resolve, locks })
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
        let own = [
            ("resolve", field.resolve.is_some()),
            ("owner", field.owner.is_some()),
            ("locks", !field.locks.is_empty()),
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
