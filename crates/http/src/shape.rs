//! The JSON of a request: a shape with templates in its texts.

use crate::formula::{self, Formula, single};
use crate::template::{Compiled, times};
use minijinja::Value;
use serde_json::{Map, Value as Json};

/// A body, ready to be filled in.
#[derive(Debug)]
pub(crate) enum Shape {
    /// As it is.
    Plain(Json),
    Text(Compiled),
    /// A single expression: it keeps its type.
    Typed(Formula),
    List(Vec<Shape>),
    Members(Vec<(String, Shape)>),
}

impl Shape {
    /// The error names the place and says what is wrong.
    pub(crate) fn new(json: &Json, known: &[&str]) -> Result<Self, String> {
        Ok(match json {
            Json::String(text) => match single(text) {
                Some(inner) if !times::called(inner) => {
                    Self::Typed(Formula::new(text, known).map_err(|e| e.to_string())?)
                }
                _ => Self::Text(Compiled::asking(text, known).map_err(|e| e.to_string())?),
            },
            Json::Array(elements) => Self::List(
                elements.iter().map(|element| Self::new(element, known)).collect::<Result<_, _>>()?,
            ),
            Json::Object(members) => {
                let member = |(name, json): (&String, &Json)| {
                    Ok::<_, String>((
                        name.clone(),
                        Self::new(json, known).map_err(|e| format!("`{name}`: {e}"))?,
                    ))
                };
                Self::Members(members.iter().map(member).collect::<Result<_, _>>()?)
            }
            Json::Null | Json::Bool(_) | Json::Number(_) => Self::Plain(json.clone()),
        })
    }

    /// Whether it has `name` filled in anywhere.
    pub(crate) fn uses(&self, name: &str) -> bool {
        match self {
            Self::Plain(_) => false,
            Self::Text(text) => text.uses(name),
            Self::Typed(formula) => formula.uses(name),
            Self::List(elements) => elements.iter().any(|element| element.uses(name)),
            Self::Members(members) => members.iter().any(|(_, member)| member.uses(name)),
        }
    }

    /// The members of `name` that are filled in anywhere.
    pub(crate) fn members_of(&self, name: &str) -> Vec<String> {
        match self {
            Self::Plain(_) => Vec::new(),
            Self::Text(text) => text.members_of(name),
            Self::Typed(formula) => formula.members_of(name),
            Self::List(elements) => elements.iter().flat_map(|element| element.members_of(name)).collect(),
            Self::Members(members) => {
                members.iter().flat_map(|(_, member)| member.members_of(name)).collect()
            }
        }
    }

    /// Its templates, as they were written.
    pub(crate) fn sources(&self) -> Vec<&str> {
        match self {
            Self::Plain(_) => Vec::new(),
            Self::Text(text) => vec![text.source()],
            Self::Typed(formula) => vec![formula.source()],
            Self::List(elements) => elements.iter().flat_map(Self::sources).collect(),
            Self::Members(members) => members.iter().flat_map(|(_, member)| member.sources()).collect(),
        }
    }

    /// With everything filled in. Members that come out as nothing are left out.
    pub(crate) fn fill(&self, with: &Value) -> Result<Json, String> {
        Ok(match self {
            Self::Plain(json) => json.clone(),
            Self::Text(text) => Json::String(text.fill(with).map_err(|e| e.to_string())?.into_owned()),
            Self::Typed(formula) => formula::json(&formula.of(with).map_err(|e| e.to_string())?)?,
            Self::List(elements) => {
                Json::Array(elements.iter().map(|element| element.fill(with)).collect::<Result<_, _>>()?)
            }
            Self::Members(members) => {
                let mut filled = Map::new();
                for (name, member) in members {
                    let json = member.fill(with).map_err(|e| format!("`{name}`: {e}"))?;
                    let dropped = matches!(member, Self::Typed(_))
                        && (json.is_null() || json.as_str().is_some_and(str::is_empty));
                    if !dropped {
                        filled.insert(name.clone(), json);
                    }
                }
                Json::Object(filled)
            }
        })
    }
}

/// Puts `value` at `path`, over whatever is in the way.
pub(crate) fn put<'p>(json: &mut Json, path: impl Iterator<Item = &'p str>, value: Json) {
    let mut place = json;
    for part in path {
        if !place.is_object() {
            *place = Json::Object(Map::new());
        }
        let Json::Object(members) = place else { return };
        place = members.entry(part).or_insert(Json::Null);
    }
    *place = value;
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests may panic")]
    use super::{Shape, put};
    use minijinja::context;
    use serde_json::{Value as Json, json};

    #[test]
    fn bodies_keep_types_and_leave_out_what_is_nothing() {
        let shape = json!({
            "filter": { "since": "{{ cursor }}", "text": "from {{ cursor }}", "open": true },
            "limit": "{{ page_size }}",
            "sort": ["updated", "{{ page_size + 1 }}"],
        });
        let body = Shape::new(&shape, &["cursor", "page_size"]).unwrap();
        let filled = body.fill(&context! { cursor => "x", page_size => 5 }).unwrap();
        let expected = json!({
            "filter": { "since": "x", "text": "from x", "open": true }, "limit": 5, "sort": ["updated", 6],
        });
        assert_eq!(filled, expected);
        let filled = body.fill(&context! { cursor => "", page_size => 5 }).unwrap();
        assert_eq!(filled["filter"], json!({ "text": "from ", "open": true }));
        assert!(body.uses("cursor") && !body.uses("id"));
        let error = Shape::new(&json!({ "a": { "b": "{{ x }}" } }), &["cursor"]).unwrap_err();
        assert_eq!(error, "`a`: `b`: the expression names `x`; known here: cursor");
    }

    #[test]
    fn values_are_put_where_they_belong() {
        let mut json = json!({ "page": { "size": 1 } });
        put(&mut json, ["page", "after"].into_iter(), json!("t"));
        put(&mut json, ["query", "a"].into_iter(), json!(1));
        assert_eq!(json, json!({ "page": { "size": 1, "after": "t" }, "query": { "a": 1 } }));
        let mut nothing = Json::Null;
        put(&mut nothing, ["a"].into_iter(), json!(1));
        assert_eq!(nothing, json!({ "a": 1 }));
    }
}
