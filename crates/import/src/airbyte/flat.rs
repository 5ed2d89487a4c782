//! `DpathFlattenFields`: members that are lifted out of another. Where their new names say which
//! they are, they are read where they come from.

use super::Import;
use super::refs::{BadRef, Part};

/// Members that are lifted out of one.
#[derive(Debug)]
pub(super) struct Flat {
    from: Vec<String>,
    prefix: String,
    suffix: String,
}

impl Flat {
    /// Where in a record a property is, if it was lifted from here.
    fn way(&self, property: &str) -> Option<Vec<String>> {
        let name = property.strip_prefix(&self.prefix)?.strip_suffix(&self.suffix)?;
        let name = Some(name).filter(|name| !name.is_empty())?;
        Some(self.from.iter().cloned().chain([name.to_owned()]).collect())
    }
}

/// Where in a record a property is that was lifted.
pub(super) fn lifted(flat: &[Flat], property: &str) -> Option<Vec<String>> {
    flat.iter().find_map(|one| one.way(property))
}

impl Import {
    /// Nothing if the new names do not say which members they are.
    pub(super) fn flat(&mut self, given: &Part<'_>, of: &str) -> Result<Option<Flat>, BadRef> {
        let path = given.own("field_path")?.map(|path| path.elements()).transpose()?.flatten();
        let path = path.unwrap_or_default();
        let from: Vec<String> = path.iter().filter_map(Part::text).collect();
        let keys = given.own("key_transformation")?;
        let part = |name: &str| -> Result<String, BadRef> {
            Ok(keys.as_ref().map(|keys| keys.word(name)).transpose()?.flatten().unwrap_or_default())
        };
        let (prefix, suffix) = (part("prefix")?, part("suffix")?);
        let is_plain = |text: &String| !text.contains("{{") && text != "*";
        let told = !from.is_empty() && from.len() == path.len() && from.iter().all(is_plain);
        // Without new names, a property may be what was there before as well, unless nothing else is.
        let alone = given.word("replace_record")?.is_some_and(|word| word == "true");
        let named = !(prefix.is_empty() && suffix.is_empty()) && is_plain(&prefix) && is_plain(&suffix);
        if told && (named || alone) {
            return Ok(Some(Flat { from, prefix, suffix }));
        }
        let way = if told { super::way(&from) } else { "…".to_owned() };
        let instead = format!(
            "left out: a field that stands in `{way}` is read from there: set its path to `{way}.` and its name"
        );
        self.notes.lost(given.at, format!("`DpathFlattenFields` in `transformations` of {of}"), instead);
        Ok(None)
    }
}
