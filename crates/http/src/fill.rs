//! JSON with templates in it, made ready once and filled in for each request.
//!
//! A text that is only a name (`{{ record.fee }}`) becomes what is there, digit for
//! digit; everything else becomes text.

use crate::spec::Tree;
use crate::template::{Compiled, TemplateError, value};
use minijinja::Value;
use serde_json::{Map, Value as Json};
use std::collections::BTreeMap;

/// What templates of a request may name, as JSON.
#[derive(Debug, Default)]
pub(crate) struct Names(pub(crate) Map<String, Json>);

impl Names {
    fn get(&self, path: &[String]) -> Option<&Json> {
        let (first, rest) = path.split_first()?;
        rest.iter().try_fold(self.0.get(first)?, |json, part| match json {
            Json::Object(members) => members.get(part),
            Json::Array(elements) => elements.get(part.parse::<usize>().ok()?),
            _ => None,
        })
    }

    /// The same for templates of text.
    pub(crate) fn value(&self) -> Value {
        if self.0.is_empty() {
            return Value::UNDEFINED;
        }
        let members: BTreeMap<String, Value> =
            self.0.iter().map(|(name, json)| (name.clone(), value(json))).collect();
        Value::from(members)
    }
}

/// A [`Tree`], ready to be filled in.
#[derive(Debug)]
pub(crate) enum Filling {
    Plain(Json),
    /// What is there, as it is.
    Name(Vec<String>),
    Text(Box<Compiled>),
    List(Vec<Filling>),
    Map(Vec<(String, Filling)>),
}

impl Filling {
    pub(crate) fn new(tree: &Tree, known: &[&str]) -> Result<Self, TemplateError> {
        Ok(match tree {
            Tree::Plain(json) => Self::Plain(json.clone()),
            Tree::Text(template) => {
                // Also where it turns out to be a name: this knows which there are.
                let compiled = Compiled::text(template.as_str(), known)?;
                match name(template.as_str()) {
                    _ if compiled.is_plain() => Self::Plain(template.as_str().into()),
                    Some(path) => Self::Name(path),
                    None => Self::Text(Box::new(compiled)),
                }
            }
            Tree::List(elements) => Self::List(
                elements.iter().map(|element| Self::new(element, known)).collect::<Result<_, _>>()?,
            ),
            Tree::Map(members) => {
                let member = |(name, tree): &(String, Tree)| Ok((name.clone(), Self::new(tree, known)?));
                Self::Map(members.iter().map(member).collect::<Result<_, _>>()?)
            }
        })
    }

    /// Whether it names `name` anywhere.
    pub(crate) fn uses(&self, name: &str) -> bool {
        match self {
            Self::Plain(_) => false,
            Self::Name(path) => path.first().is_some_and(|first| first == name),
            Self::Text(text) => text.uses(name),
            Self::List(elements) => elements.iter().any(|element| element.uses(name)),
            Self::Map(members) => members.iter().any(|(_, member)| member.uses(name)),
        }
    }

    /// With everything filled in. `text` is [`Names::value`] of `names`.
    pub(crate) fn fill(&self, names: &Names, text: &Value) -> Result<Json, String> {
        Ok(match self {
            Self::Plain(json) => json.clone(),
            Self::Name(path) => {
                names.get(path).cloned().ok_or_else(|| format!("there is no `{}`", path.join(".")))?
            }
            Self::Text(compiled) => {
                Json::String(compiled.fill(text).map_err(|e| e.to_string())?.into_owned())
            }
            Self::List(elements) => Json::Array(
                elements.iter().map(|element| element.fill(names, text)).collect::<Result<_, _>>()?,
            ),
            Self::Map(members) => {
                let member = |(name, member): &(String, Self)| -> Result<(String, Json), String> {
                    Ok((name.clone(), member.fill(names, text)?))
                };
                Json::Object(members.iter().map(member).collect::<Result<_, _>>()?)
            }
        })
    }
}

/// The parts of `{{ a.b }}`, if a text is nothing else.
fn name(text: &str) -> Option<Vec<String>> {
    let inner = text.trim().strip_prefix("{{")?.strip_suffix("}}")?.trim();
    let plain = |part: &str| {
        let mut chars = part.chars();
        chars.next().is_some_and(|c| c.is_ascii_alphabetic() || c == '_')
            && chars.all(|c| c.is_ascii_alphanumeric() || c == '_')
    };
    inner.split('.').map(|part| plain(part).then(|| part.to_owned())).collect()
}

/// Puts `more` over `base`: members and elements of both become one, anything else is replaced.
pub(crate) fn merge(base: &mut Json, more: Json) {
    match (base, more) {
        (Json::Object(base), Json::Object(more)) => {
            for (name, member) in more {
                merge(base.entry(name).or_insert(Json::Null), member);
            }
        }
        (Json::Array(base), Json::Array(more)) => {
            for (index, element) in more.into_iter().enumerate() {
                match base.get_mut(index) {
                    Some(there) => merge(there, element),
                    None => base.push(element),
                }
            }
        }
        (base, more) => *base = more,
    }
}

/// `inner` below these members; `0` is a list with one element.
pub(crate) fn wrap<'p>(parts: impl DoubleEndedIterator<Item = &'p str>, inner: Json) -> Json {
    parts.rev().fold(inner, |inner, part| match part {
        "0" => Json::Array(vec![inner]),
        name => Json::Object([(name.to_owned(), inner)].into_iter().collect()),
    })
}

/// How forms carry lists; no form of writing them is a standard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Lists {
    /// `a[]=1&a[]=2`.
    Bracketed,
    /// `a=1&a=2`.
    Repeated,
}

/// `a[b]=1&c[]=2`: how forms carry what is nested.
pub(crate) fn form(json: &Json, lists: Lists) -> String {
    let mut out = url::form_urlencoded::Serializer::new(String::new());
    if let Json::Object(members) = json {
        for (name, member) in members {
            pairs(name, member, lists, &mut out);
        }
    }
    out.finish()
}

fn pairs(name: &str, json: &Json, lists: Lists, out: &mut url::form_urlencoded::Serializer<'_, String>) {
    match json {
        Json::Object(members) => {
            members.iter().for_each(|(member, json)| pairs(&format!("{name}[{member}]"), json, lists, out));
        }
        Json::Array(elements) => {
            let bracketed = (lists == Lists::Bracketed).then(|| format!("{name}[]"));
            let name = bracketed.as_deref().unwrap_or(name);
            elements.iter().for_each(|json| pairs(name, json, lists, out));
        }
        Json::Null => drop(out.append_pair(name, "")),
        Json::Bool(b) => drop(out.append_pair(name, if *b { "true" } else { "false" })),
        Json::Number(n) => drop(out.append_pair(name, &n.to_string())),
        Json::String(text) => drop(out.append_pair(name, text)),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests may panic")]
    use super::{Filling, Lists, Names, form, merge, wrap};
    use serde_json::{Value as Json, json};

    fn filled(tree: Json, names: &str) -> Result<Json, String> {
        let tree = serde_json::from_value(tree).unwrap();
        let filling = Filling::new(&tree, &["id", "record"]).map_err(|e| e.to_string())?;
        let names = Names(serde_json::from_str(names).unwrap());
        filling.fill(&names, &names.value())
    }

    #[test]
    fn a_name_alone_stands_for_what_is_there() {
        let tree = json!({
            "fee": "{{ record.fee }}", "text": "no {{ record.fee }}", "all": ["{{ record }}", 7, null, true],
            "id": "{{ id }}",
        });
        let got = filled(tree, r#"{ "id": "7", "record": { "fee": 0.10 } }"#).unwrap();
        let expected: Json = serde_json::from_str(
            r#"{ "fee": 0.10, "text": "no 0.10", "all": [{ "fee": 0.10 }, 7, null, true], "id": "7" }"#,
        )
        .unwrap();
        assert_eq!(got, expected);
    }

    #[test]
    fn strangers_are_found_before_and_gaps_when_filled() {
        let error = filled(json!({ "a": ["{{ nobody.x }}"] }), "{}").unwrap_err();
        assert_eq!(error, "the template names `nobody`; known here: id, record");
        let error = filled(json!("{{ record.x }}"), r#"{ "record": {} }"#).unwrap_err();
        assert_eq!(error, "there is no `record.x`");
    }

    #[test]
    fn what_is_added_goes_beside_what_is_wrapped() {
        let mut body = wrap(["data", "0", "attributes"].into_iter(), json!({ "a": 1 }));
        assert_eq!(body, json!({ "data": [{ "attributes": { "a": 1 } }] }));
        merge(&mut body, json!({ "data": [{ "type": "permits" }], "meta": 1 }));
        assert_eq!(body, json!({ "data": [{ "attributes": { "a": 1 }, "type": "permits" }], "meta": 1 }));
    }

    #[test]
    fn forms_carry_what_is_nested() {
        let json = json!({ "a": { "b": 1, "c": ["x y", true] }, "d": null });
        let said = |lists| form(&json, lists);
        assert_eq!(said(Lists::Bracketed), "a%5Bb%5D=1&a%5Bc%5D%5B%5D=x+y&a%5Bc%5D%5B%5D=true&d=");
        assert_eq!(said(Lists::Repeated), "a%5Bb%5D=1&a%5Bc%5D=x+y&a%5Bc%5D=true&d=");
    }
}
