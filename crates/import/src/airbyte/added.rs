//! `AddFields`: what is copied within a record is read where it comes from, the partition is
//! what `record_field` puts there, and what is computed of the record is made by `transformations`.

use super::made::condition_of;
use super::partitions::fields_of;
use super::refs::{BadRef, Part};
use super::terms::{split, way_into};

/// A field that is added to each record.
#[derive(Debug, Clone)]
pub(super) struct Added<'m> {
    /// Where it is put.
    pub(super) path: Vec<String>,
    pub(super) what: What,
    /// Its definition.
    pub(super) of: Part<'m>,
    /// Under which condition, if under any.
    pub(super) condition: Option<Part<'m>>,
    /// The same as an expression of ours, where the field can be made.
    pub(super) when: Option<String>,
    /// The transformation that it is of.
    pub(super) step: usize,
}

/// What is added.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum What {
    /// What stands elsewhere in the record.
    Copy(Vec<String>),
    /// The partition of this name.
    Partition(String),
    /// Anything else, made of what the record has there.
    Again,
    /// Anything else.
    Computed,
    /// The same, where it can be made of the record: a template of ours.
    Made(String),
}

impl Added<'_> {
    /// The member of the record that it is, if it is one.
    pub(super) fn name(&self) -> Option<&str> {
        match self.path.as_slice() {
            [only] => Some(only),
            _ => None,
        }
    }
}

/// All that a stream adds to its records.
pub(super) fn added<'m>(stream: &Part<'m>) -> Result<Vec<Added<'m>>, BadRef> {
    let routed = fields_of(stream)?;
    let all = stream.get("transformations")?.map(|list| list.elements()).transpose()?.flatten();
    let mut found = Vec::new();
    for (step, one) in all.unwrap_or_default().into_iter().enumerate() {
        if one.kind()? != "AddFields" {
            continue;
        }
        let condition = condition_of(&one)?;
        let always = condition.is_none();
        let fields = one.own("fields")?.map(|list| list.elements()).transpose()?.flatten();
        for of in fields.unwrap_or_default() {
            let path = of.own("path")?.map(|path| path.elements()).transpose()?.flatten();
            let path: Vec<String> = path.unwrap_or_default().iter().filter_map(Part::text).collect();
            let value = of.word("value")?.unwrap_or_default();
            let what = match what(&value, &path, &routed) {
                What::Copy(_) | What::Partition(_) | What::Computed if !always => What::Again,
                what => what,
            };
            found.push(Added { path, what, of, condition: condition.clone(), when: None, step });
        }
    }
    Ok(found)
}

fn what(value: &str, path: &[String], routed: &[String]) -> What {
    let inner = value.trim().strip_prefix("{{").and_then(|rest| rest.strip_suffix("}}"));
    let inner = formless(inner.unwrap_or_default().trim());
    if let Some(way) = way_into(inner, "record") {
        return if way == path { What::Again } else { What::Copy(way) };
    }
    let partition = way_into(inner, "stream_partition").or_else(|| way_into(inner, "stream_slice"));
    if let Some([name]) = partition.as_deref()
        && routed.contains(name)
    {
        return What::Partition(name.clone());
    }
    let named = |name: &String| {
        let after = [format!("['{name}']"), format!("[\"{name}\"]"), format!(".{name}")];
        let got = [format!(".get('{name}'"), format!(".get(\"{name}\"")];
        after.iter().chain(&got).any(|step| value.contains(&format!("record{step}")))
    };
    if path.first().is_some_and(named) { What::Again } else { What::Computed }
}

/// An expression without what changes the form of a value and not what it says: a field's type
/// reads it as the side writes it.
fn formless(expression: &str) -> &str {
    let mut terms = split(expression, &["|"]);
    while terms.len() > 1
        && terms.last().is_some_and(|term| matches!(term.trim(), "string" | "int" | "float"))
    {
        terms.pop();
    }
    let [only] = terms.as_slice() else { return expression };
    only.trim()
}
