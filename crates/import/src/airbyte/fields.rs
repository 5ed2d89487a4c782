//! A stream's schema as fields: read from the source, given to the second side.

use super::added::{Added, What};
use super::errors::listed;
use super::flat::{Flat, lifted};
use super::made::{condition_of, is_removed};
use super::refs::{BadRef, Part};
use super::stream::Records;
use super::{Import, OTHER};
use crate::out::{Item, Out};
use hms_sync_config::At;
use std::collections::BTreeSet;

/// The most fields of a stream.
const MAX_FIELDS: usize = 2_000;

/// Fields, and those that say which records are the same.
pub(super) struct Fields {
    pub(super) items: Vec<Item>,
    /// Each with where it is on the second side.
    pub(super) identity: Vec<(String, String)>,
}

impl Fields {
    /// Where the identity is on the second side.
    pub(super) fn there(&self) -> Vec<String> {
        self.identity.iter().map(|(_, there)| there.clone()).collect()
    }
}

impl Import {
    pub(super) fn fields(
        &mut self,
        stream: &Part<'_>,
        records: &Records,
        added: &[Added<'_>],
        side: &str,
        of: &str,
    ) -> Result<Fields, BadRef> {
        let (mut gone, flat) = self.transformed(stream, of)?;
        gone.extend(self.computed(added, records, of));
        let mut properties = self.properties(stream, of)?;
        properties.retain(|(_, name, _)| !gone.contains(name));
        let keys = records.names.iter().cloned();
        let wanted = records.cursor.clone().filter(|field| !field.contains('.'));
        for name in keys.rev().collect::<Vec<_>>().into_iter().chain(wanted) {
            if !properties.iter().any(|(_, there, _)| *there == name) {
                properties.insert(0, (stream.at, name, "string"));
            }
        }
        let (mut items, mut names) = (Vec::new(), BTreeSet::new());
        let mut identity = Vec::new();
        for (at, property, ty) in properties.into_iter().take(MAX_FIELDS) {
            let field = name(&property);
            if !names.insert(field.clone()) {
                self.notes.lost(
                    at,
                    format!("property `{property}` of {of}"),
                    "left out: another is called so",
                );
                continue;
            }
            let mut keys = records.names.iter().zip(&records.key);
            let key = keys.find_map(|(name, path)| (*name == property).then_some(path));
            let is_key = key.is_some();
            let there = if is_key { format!("{side}_{field}") } else { field.clone() };
            let own = || match (copied(added, &property), lifted(&flat, &property)) {
                (Some(copied), _) => way(copied),
                (None, Some(lifted)) => way(&lifted),
                (None, None) => way(std::slice::from_ref(&property)),
            };
            let here = key.map_or_else(own, |path| way(path));
            let ty = if is_key && ty == "json" { "string" } else { ty };
            let from = Out::Flow(vec![
                Item::own("path", Out::text(here)),
                Item::own("direction", Out::text("from_side")),
            ]);
            items.push(Item::new(
                at,
                field.clone(),
                Out::Flow(vec![
                    Item::own("type", Out::text(ty)),
                    Item::own(side, from),
                    Item::own(OTHER, Out::text(way(std::slice::from_ref(&there)))),
                ]),
            ));
            if is_key {
                identity.push((field, there));
            }
        }
        Ok(Fields { items, identity })
    }

    /// The properties of the stream's schema, with our types.
    fn properties(&mut self, stream: &Part<'_>, of: &str) -> Result<Vec<(At, String, &'static str)>, BadRef> {
        let loader = stream.get("schema_loader")?;
        let several = loader.as_ref().map(Part::elements).transpose()?.flatten();
        let loaders = several.unwrap_or_else(|| loader.clone().into_iter().collect());
        let mut found: Vec<(At, String, &'static str)> = Vec::new();
        let mut at = stream.at;
        for loader in loaders {
            at = loader.at;
            let schema = loader.own("schema")?;
            let properties = schema.map(|schema| schema.own("properties")).transpose()?.flatten();
            for (at, name, property) in properties.map(|of| of.entries()).transpose()?.unwrap_or_default() {
                if !found.iter().any(|(_, there, _)| there == name) {
                    found.push((at, name.to_owned(), type_of(&property)?));
                }
            }
        }
        if found.is_empty() {
            let instead = "its properties are not in the manifest: add the fields that you need, or have `hms-sync discover` propose them";
            self.notes.chose(at, format!("`schema_loader` of {of}"), instead);
        }
        Ok(found)
    }

    /// Says what is added and not taken over, and which properties are in no record for it.
    fn computed(&mut self, added: &[Added<'_>], records: &Records, of: &str) -> Vec<String> {
        let mut gone = Vec::new();
        for one in added {
            let name = one.path.join(".");
            let is_nested = one.name().is_none();
            let instead = match &one.what {
                What::Partition(_) | What::Made(_) => continue,
                What::Copy(_) if !is_nested => continue,
                What::Again => "left out: what the side writes there is taken as it stands",
                What::Copy(_) | What::Computed if is_nested => {
                    "left out: the member above it is taken as the side writes it"
                }
                What::Copy(_) | What::Computed => {
                    "left out: it is computed, and in no record of the side; what can be made of a record, `transformations` make"
                }
            };
            let why = self.why_not(one).map(|why| format!(" ({why})")).unwrap_or_default();
            let instead = format!("{instead}{why}");
            self.notes.lost(
                one.of.at,
                format!("`AddFields` of `{name}` in `transformations` of {of}"),
                instead,
            );
            let is_key = |name: &String| records.names.contains(name);
            if one.what == What::Computed {
                gone.extend(one.name().map(str::to_owned).filter(|name| !is_key(name)));
            }
        }
        gone
    }

    /// Transformations: what they take out is no field, and what they lift is read where it
    /// comes from; the others are left out.
    fn transformed(&mut self, stream: &Part<'_>, of: &str) -> Result<(BTreeSet<String>, Vec<Flat>), BadRef> {
        let (mut gone, mut flat) = (BTreeSet::new(), Vec::new());
        let all = stream.get("transformations")?.map(|list| list.elements()).transpose()?.flatten();
        for one in all.unwrap_or_default() {
            let kind = one.kind()?;
            if kind == "RemoveFields"
                && let Some(given) = condition_of(&one)?
            {
                self.values_gone(&one, &given, of)?;
                continue;
            }
            if kind == "RemoveFields" {
                let pointers = one.own("field_pointers")?.map(|list| list.elements()).transpose()?.flatten();
                for pointer in pointers.unwrap_or_default() {
                    let parts = pointer.elements()?.unwrap_or_default();
                    if let [only] = parts.as_slice() {
                        gone.extend(only.text());
                    } else if !is_removed(stream, &pointer)? {
                        let instead = "left out: a field is read with all that is in it";
                        self.notes.lost(pointer.at, format!("`RemoveFields` of {of}"), instead);
                    }
                }
                continue;
            }
            if kind == "AddFields" {
                continue;
            }
            if kind == "DpathFlattenFields" {
                flat.extend(self.flat(&one, of)?);
                continue;
            }
            let instead = match kind.as_str() {
                "KeysToLower" | "KeysToSnakeCase" | "KeysReplace" => {
                    "left out: a field's path has the side's own spelling: mend those that are spelt otherwise"
                }
                _ if kind.starts_with("Custom") => {
                    "left out: it is code of Airbyte's; fields are read as the side writes them"
                }
                _ => "left out: fields are mapped one by one, by their paths",
            };
            self.notes.lost(one.at, format!("`{kind}` in `transformations` of {of}"), instead);
        }
        Ok((gone, flat))
    }
}

impl Import {
    /// Says what becomes of values that are taken out by what they are.
    fn values_gone(&mut self, one: &Part<'_>, given: &Part<'_>, of: &str) -> Result<(), BadRef> {
        let place = format!("`RemoveFields` of {of}");
        if let Err(why) = self.of_values(given) {
            self.notes.lost(given.at, place, format!("left out: {why}"));
            return Ok(());
        }
        for pointer in listed(one, "field_pointers")? {
            let way = pointer.elements()?.unwrap_or_default();
            if way.iter().filter_map(Part::text).ne(["**".to_owned()]) {
                let instead = "Airbyte looks through all of a record for such values, whatever `field_pointers` say, and so do we; name the places instead of `**` if only they are meant";
                self.notes.chose(pointer.at, place, instead);
                break;
            }
        }
        Ok(())
    }
}

/// Where in a record the side has what is copied to a property.
fn copied<'a>(added: &'a [Added<'_>], property: &str) -> Option<&'a [String]> {
    added.iter().find_map(|one| match &one.what {
        What::Copy(way) if one.name() == Some(property) => Some(way.as_slice()),
        _ => None,
    })
}

/// Our type for a property.
fn type_of(property: &Part<'_>) -> Result<&'static str, BadRef> {
    let several = match property.own("anyOf")?.or(property.own("oneOf")?) {
        Some(list) => list.elements()?.unwrap_or_default(),
        None => vec![property.clone()],
    };
    for one in several {
        let given = one.own("type")?;
        let words = match &given {
            Some(given) => match given.elements()? {
                Some(list) => list.iter().filter_map(Part::text).collect(),
                None => given.text().into_iter().collect(),
            },
            None => Vec::new(),
        };
        let mut real: Vec<&str> = words.iter().map(String::as_str).filter(|word| *word != "null").collect();
        real.dedup();
        let format = one.word("format")?.unwrap_or_default();
        match (real.as_slice(), format.as_str()) {
            ([], _) if words.is_empty() => {}
            (["string"], "date") => return Ok("date"),
            (["string"], "date-time") => return Ok("datetime"),
            (["string"], _) => return Ok("string"),
            (["integer"], _) => return Ok("integer"),
            (["number"], _) => return Ok("decimal"),
            (["boolean"], _) => return Ok("bool"),
            ([], _) => {}
            _ => return Ok("json"),
        }
    }
    Ok("json")
}

/// A property's name as a field's.
pub(crate) fn name(property: &str) -> String {
    let plain = |c: char| if c.is_alphanumeric() || matches!(c, '_' | '-') { c } else { '_' };
    let name: String = property.chars().map(plain).take(48).collect();
    if name.is_empty() { "_".to_owned() } else { name }
}

/// A way as a path of a mapping: dots in a name are escaped.
pub(crate) fn way(parts: &[String]) -> String {
    let parts: Vec<String> =
        parts.iter().map(|part| part.replace('\\', "\\\\").replace('.', "\\.")).collect();
    parts.join(".")
}
