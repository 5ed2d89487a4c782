//! What holds between the fields of a group: members that follow from the others
//! (`derive`), and what must be so before anybody is sent the group (`require`).
//!
//! `derive` is asked when an edit is made, and what it comes to is written into the
//! edit: folding the log never asks again. `require` is asked of what is merged.

use crate::expression::{Expression, ExpressionError};
use crate::record::Record;
use crate::rules::{Group, Rules};
use hms_sync_model::{Author, Change, FieldName, Time, Value, VecMap};

/// The formulas of a group.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Formulas {
    /// The group's name.
    pub group: String,
    /// Members, each with what it is in an edit of somebody who does not have it. One
    /// that another names comes before that one.
    pub derive: VecMap<FieldName, Expression>,
    /// What must be so.
    pub require: Option<Expression>,
}

/// What expressions over a group's fields may name besides them.
pub const EDIT_NAMES: [&str; 2] = ["edited_at", "edited_by"];

impl Formulas {
    /// The members in an order in which none comes before one that it names; what it
    /// was itself it may name. Nothing if they go in a circle, with one that does.
    pub fn in_order(&self) -> Result<Vec<&FieldName>, &FieldName> {
        let mut left: Vec<(&FieldName, &Expression)> = self.derive.iter().collect();
        let mut order = Vec::with_capacity(left.len());
        while let Some((first, _)) = left.first() {
            let free = |(field, of): &(&FieldName, &Expression)| {
                !left.iter().any(|(other, _)| other != field && of.uses(other.as_str()))
            };
            let at = left.iter().position(free).ok_or(*first)?;
            order.push(left.remove(at).0);
        }
        Ok(order)
    }
}

/// A group that does not keep what it requires.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Broken<'a> {
    /// The group.
    pub group: &'a Group,
    /// What it requires.
    pub require: &'a Expression,
    /// Why that could not even be said.
    pub failed: Option<ExpressionError>,
}

impl Rules {
    /// Fills the members of every group that an edit changed and whose author does
    /// not have them, as `derive` says. What fails leaves a member as it was.
    pub fn derive(
        &self,
        changes: &mut VecMap<FieldName, Change>,
        has: impl Fn(&FieldName) -> bool,
        at: Time,
        by: &Author,
    ) {
        for formulas in self.formulas() {
            let Some(group) = self.groups().iter().find(|group| group.name == formulas.group) else {
                continue;
            };
            let changed = |field: &FieldName| changes.get(field).is_some_and(|c| c.before != c.after);
            if !group.fields.iter().any(changed) {
                continue;
            }
            for field in formulas.in_order().unwrap_or_default().into_iter().filter(|field| !has(field)) {
                let Some(of) = formulas.derive.get(field) else { continue };
                let (at, by) = (Value::Datetime(at), Value::from(by.to_string().as_str()));
                let mut given: Vec<(&str, &Value)> = vec![("edited_at", &at), ("edited_by", &by)];
                let members = group.fields.iter();
                given.extend(members.filter_map(|name| Some((name.as_str(), &changes.get(name)?.after))));
                let derived = of.value(&self.rule(field).ty, &given);
                if let (Ok(after), Some(change)) = (derived, changes.get_mut(field)) {
                    change.after = after;
                }
            }
        }
    }

    /// The groups whose merged values are not what they require.
    pub fn broken(&self, record: &Record) -> Vec<Broken<'_>> {
        let mut broken = Vec::new();
        for formulas in self.formulas() {
            let group = self.groups().iter().find(|group| group.name == formulas.group);
            let (Some(group), Some(require)) = (group, &formulas.require) else { continue };
            let values: Vec<Value> = group.fields.iter().map(|field| record.value(self, field)).collect();
            let names = group.fields.iter().map(FieldName::as_str);
            let given: Vec<(&str, &Value)> = names.zip(&values).collect();
            match require.holds(&given) {
                Ok(true) => {}
                Ok(false) => broken.push(Broken { group, require, failed: None }),
                Err(why) => broken.push(Broken { group, require, failed: Some(why) }),
            }
        }
        broken
    }
}
