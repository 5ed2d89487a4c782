//! The places of a side's records that somebody has spoken of, and what lies elsewhere.
//!
//! A place speaks for all that lies in it, and for the objects on the way to it, as such: what
//! else is in those is still looked at. No deeper than the longest path.

use crate::FieldPath;
use serde_json::{Map, Value as Json};

/// Places that are known.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Known(Vec<FieldPath>);

/// Most strangers of one record that are named.
const NAMED_MAX: usize = 16;

impl Known {
    /// These places.
    pub fn new(paths: impl IntoIterator<Item = FieldPath>) -> Self {
        Self(paths.into_iter().collect())
    }

    /// Where in `doc` something lies that is in none of them, 16 of them at most. Whatever is
    /// no object has none.
    pub fn strangers(&self, doc: &Json) -> Vec<String> {
        let mut found = Vec::new();
        if let Json::Object(members) = doc {
            let all: Vec<&FieldPath> = self.0.iter().collect();
            look(members, &all, &mut Vec::new(), &mut found);
        }
        found
    }
}

fn look<'d>(
    members: &'d Map<String, Json>,
    known: &[&FieldPath],
    way: &mut Vec<&'d str>,
    found: &mut Vec<String>,
) {
    for (name, member) in members {
        if found.len() >= NAMED_MAX {
            return;
        }
        let leads = |path: &&&FieldPath| path.parts().nth(way.len()) == Some(name.as_str());
        let within: Vec<&FieldPath> = known.iter().filter(leads).copied().collect();
        way.push(name);
        let whole = within.iter().any(|path| path.parts().len() == way.len());
        match member {
            _ if whole => {}
            Json::Object(inner) if !within.is_empty() => look(inner, &within, way, found),
            // What ought to be an object on the way to a field is that field's trouble.
            _ if !within.is_empty() => {}
            _ => found.push(place(way)),
        }
        way.pop();
    }
}

/// As a path is written.
fn place(way: &[&str]) -> String {
    let escaped = |part: &&str| part.replace('\\', "\\\\").replace('.', "\\.");
    way.iter().map(escaped).collect::<Vec<_>>().join(".")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn strangers(known: &[&str], doc: &Json) -> Vec<String> {
        Known::new(known.iter().map(|path| FieldPath::parse(path).unwrap())).strangers(doc)
    }

    #[test]
    fn what_lies_elsewhere_is_named_by_its_place() {
        let doc =
            json!({ "id": 1, "geo": { "at": { "lat": 1, "lon": 2 }, "name": "x" }, "a.b": 1, "more": {} });
        assert_eq!(strangers(&["id", "geo", "a\\.b", "more"], &doc), [""; 0]);
        assert_eq!(strangers(&["id", "geo.at.lat"], &doc), ["a\\.b", "geo.at.lon", "geo.name", "more"]);
        assert_eq!(strangers(&["id", "geo.at"], &doc), ["a\\.b", "geo.name", "more"]);
        assert_eq!(strangers(&["id.of.it"], &json!({ "id": 1 })), [""; 0], "no object on the way");
        assert_eq!(strangers(&[], &json!([1])), [""; 0]);
    }

    #[test]
    fn not_more_are_named_than_anybody_reads() {
        let many: Map<String, Json> = (0..500).map(|n| (format!("f{n:03}"), json!(n))).collect();
        assert_eq!(strangers(&[], &Json::Object(many)).len(), NAMED_MAX);
    }
}
