//! Request options: where in a request a value goes. Nothing is left out here without a note.

use super::Import;
use super::refs::{BadRef, Part};
use crate::out::{Item, Out};

/// Where a value goes, in our words.
pub(super) enum Place {
    /// Into the parameter of this name.
    Parameter(String),
    /// Anywhere else: an option as it stands with us.
    Option(Out),
}

impl Import {
    /// An option; nothing if it names nothing that can be said.
    pub(super) fn goes(&mut self, option: &Part<'_>, place: &str) -> Result<Option<Place>, BadRef> {
        let Some(given) = option.own("field_name")?.or(option.own("field_path")?) else { return Ok(None) };
        let into = option.word("inject_into")?.unwrap_or_default();
        let name = match given.elements()? {
            Some(parts) => {
                let mut way = Vec::new();
                for part in parts {
                    // A way of which a part is missing leads somewhere else.
                    let Some(text) = self.plain(&part, place) else { return Ok(None) };
                    way.push(Out::Text(text));
                }
                Out::List(way)
            }
            None => {
                let Some(name) = self.plain(&given, place) else { return Ok(None) };
                if matches!(into.as_str(), "" | "request_parameter") {
                    return Ok(Some(Place::Parameter(name)));
                }
                // Airbyte takes a name as it is, and we take dots for steps.
                let is_body = matches!(into.as_str(), "body_json" | "body_data");
                if is_body && name.contains('.') { Out::List(vec![Out::Text(name)]) } else { Out::Text(name) }
            }
        };
        let mut items = vec![Item::new(option.at, "field_name", name)];
        if !matches!(into.as_str(), "" | "request_parameter") {
            items.push(Item::new(option.at, "inject_into", Out::Text(into)));
        }
        Ok(Some(Place::Option(Out::Map(items))))
    }

    /// The same where an option stands in any case.
    pub(super) fn option(&mut self, option: &Part<'_>, place: &str) -> Result<Option<Out>, BadRef> {
        Ok(self.goes(option, place)?.map(|there| match there {
            Place::Parameter(name) => Out::Map(vec![Item::new(option.at, "field_name", Out::Text(name))]),
            Place::Option(out) => out,
        }))
    }
}

impl Place {
    /// The key of ours that says so, of the two that there are.
    pub(super) fn item(self, from: &Part<'_>, parameter: &str, option: &str) -> Item {
        match self {
            Self::Parameter(name) => Item::new(from.at, parameter, Out::Text(name)),
            Self::Option(out) => Item::new(from.at, option, out),
        }
    }
}
