//! A manifest's parts with their `$ref`s followed and their `$parameters` handed
//! down, as they are asked for. Nothing is copied, so no manifest can make more
//! of itself than it is; circles and chains without end are errors.

use hms_sync_config::{At, Kind, Node};
use std::collections::BTreeMap;
use std::rc::Rc;

/// The longest chain of references.
const MAX_HOPS: usize = 48;

/// What is wrong with a reference, and where it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct BadRef {
    pub(crate) at: At,
    pub(crate) what: String,
}

/// A node and the way to it from the top.
#[derive(Debug, Clone)]
struct Spot<'m> {
    node: &'m Node,
    way: Rc<Vec<String>>,
}

#[derive(Debug, Clone)]
enum Shape<'m> {
    Scalar(&'m Node),
    List(Vec<Spot<'m>>),
    Map(Vec<(At, &'m str, Spot<'m>)>),
}

type Parameters<'m> = BTreeMap<String, Part<'m>>;

/// A part of the manifest.
#[derive(Debug, Clone)]
pub(crate) struct Part<'m> {
    pub(crate) at: At,
    root: &'m Node,
    shape: Rc<Shape<'m>>,
    parameters: Rc<Parameters<'m>>,
}

impl<'m> Part<'m> {
    /// The whole manifest.
    pub(crate) fn root(root: &'m Node) -> Result<Self, BadRef> {
        let spot = Spot { node: root, way: Rc::default() };
        Self::at_spot(root, &spot, &Rc::default())
    }

    fn at_spot(root: &'m Node, spot: &Spot<'m>, parameters: &Rc<Parameters<'m>>) -> Result<Self, BadRef> {
        let shape = Rc::new(shape(root, spot, &mut Vec::new())?);
        let mut part = Self { at: spot.node.at, root, shape, parameters: Rc::clone(parameters) };
        if let Some(own) = part.own("$parameters")? {
            let mut all = (*part.parameters).clone();
            for (_, key, value) in own.entries()? {
                all.insert(key.to_owned(), value);
            }
            part.parameters = Rc::new(all);
        }
        Ok(part)
    }

    fn part(&self, spot: &Spot<'m>) -> Result<Self, BadRef> {
        Self::at_spot(self.root, spot, &self.parameters)
    }

    /// What stands at the key itself.
    pub(crate) fn own(&self, key: &str) -> Result<Option<Self>, BadRef> {
        let Shape::Map(entries) = &*self.shape else { return Ok(None) };
        let found = entries.iter().find(|(_, name, _)| *name == key);
        match found {
            Some((_, _, spot)) if !matches!(spot.node.kind, Kind::Null) => self.part(spot).map(Some),
            _ => Ok(None),
        }
    }

    /// What stands at the key, or is handed down under its name.
    pub(crate) fn get(&self, key: &str) -> Result<Option<Self>, BadRef> {
        Ok(self.own(key)?.or_else(|| self.parameters.get(key).cloned()))
    }

    /// The keys and what stands at them.
    pub(crate) fn entries(&self) -> Result<Vec<(At, &'m str, Self)>, BadRef> {
        let Shape::Map(entries) = &*self.shape else { return Ok(Vec::new()) };
        entries.iter().map(|(at, key, spot)| Ok((*at, *key, self.part(spot)?))).collect()
    }

    /// The keys alone, and where they stand.
    pub(crate) fn keys(&self) -> Vec<(At, &'m str)> {
        match &*self.shape {
            Shape::Map(entries) => entries.iter().map(|(at, key, _)| (*at, *key)).collect(),
            Shape::List(_) | Shape::Scalar(_) => Vec::new(),
        }
    }

    /// The elements of a list.
    pub(crate) fn elements(&self) -> Result<Option<Vec<Self>>, BadRef> {
        let Shape::List(spots) = &*self.shape else { return Ok(None) };
        spots.iter().map(|spot| self.part(spot)).collect::<Result<_, _>>().map(Some)
    }

    pub(crate) fn is_map(&self) -> bool {
        matches!(*self.shape, Shape::Map(_))
    }

    /// A text, a number or a truth, as text.
    pub(crate) fn text(&self) -> Option<String> {
        let Shape::Scalar(node) = &*self.shape else { return None };
        match &node.kind {
            Kind::Text(text) => Some(text.clone()),
            Kind::Number(n) => Some(n.to_string()),
            Kind::Bool(b) => Some(b.to_string()),
            Kind::Null | Kind::List(_) | Kind::Map(_) | Kind::Spoilt => None,
        }
    }

    /// Whether it is a text, and neither a number nor a truth.
    pub(crate) fn is_text(&self) -> bool {
        matches!(&*self.shape, Shape::Scalar(node) if matches!(node.kind, Kind::Text(_)))
    }

    /// The text at a key, own or handed down.
    pub(crate) fn word(&self, key: &str) -> Result<Option<String>, BadRef> {
        Ok(self.get(key)?.and_then(|part| part.text()))
    }

    /// The `type` of a component; what has a class of its own and no type is code.
    pub(crate) fn kind(&self) -> Result<String, BadRef> {
        let kind = self.own("type")?.and_then(|part| part.text()).unwrap_or_default();
        let is_code = kind.is_empty() && self.own("class_name")?.is_some();
        Ok(if is_code { "CustomComponent".to_owned() } else { kind })
    }

    /// A parameter that is text.
    pub(crate) fn parameter(&self, name: &str) -> Option<String> {
        self.parameters.get(name).and_then(Self::text)
    }

    /// A parameter, if a text is nothing else than its name and it is no text itself.
    pub(crate) fn handed(&self) -> Option<Self> {
        let text = self.text()?;
        let inside = text.trim().strip_prefix("{{")?.strip_suffix("}}")?.trim();
        let names = ["parameters", "options"];
        let way = names.iter().find_map(|name| super::terms::way_into(inside, name))?;
        let [name] = way.as_slice() else { return None };
        self.parameters.get(name).filter(|part| part.text().is_none()).cloned()
    }

    /// What it is, for a message.
    pub(crate) fn describe(&self) -> String {
        match &*self.shape {
            Shape::Scalar(node) => node.describe(),
            Shape::List(_) => "a list".to_owned(),
            Shape::Map(_) => "a map".to_owned(),
        }
    }
}

/// A text that is a reference: `#/definitions/x`, `*ref(definitions.x)`.
fn reference(text: &str) -> Option<String> {
    if let Some(inside) = text.strip_prefix("*ref(").and_then(|rest| rest.strip_suffix(')')) {
        return Some(format!("#/{}", inside.trim().replace('.', "/")));
    }
    text.starts_with("#/").then(|| text.to_owned())
}

/// What a node is once its references are followed.
fn shape<'m>(root: &'m Node, spot: &Spot<'m>, hops: &mut Vec<String>) -> Result<Shape<'m>, BadRef> {
    match &spot.node.kind {
        Kind::Text(text) => match reference(text) {
            Some(target) => follow(root, spot, &target, spot.node.at, hops),
            None => Ok(Shape::Scalar(spot.node)),
        },
        Kind::List(nodes) => {
            let inner = |(index, node)| Spot { node, way: longer(&spot.way, &usize::to_string(&index)) };
            Ok(Shape::List(nodes.iter().enumerate().map(inner).collect()))
        }
        Kind::Map(entries) => {
            let own = entries.iter().filter(|entry| entry.key != "$ref");
            let own =
                own.map(|e| (e.at, e.key.as_str(), Spot { node: &e.value, way: longer(&spot.way, &e.key) }));
            let Some(target) = entries.iter().find(|entry| entry.key == "$ref") else {
                return Ok(Shape::Map(own.collect()));
            };
            let Kind::Text(text) = &target.value.kind else {
                let what =
                    format!("`$ref` must be text as `#/definitions/x`, this is {}", target.value.describe());
                return Err(BadRef { at: target.at, what });
            };
            let text = reference(text).unwrap_or_else(|| text.clone());
            let Shape::Map(mut merged) = follow(root, spot, &text, target.value.at, hops)? else {
                return follow(root, spot, &text, target.value.at, hops);
            };
            // What stands beside `$ref` counts before what it names.
            for (at, key, value) in own {
                merged.retain(|(_, there, _)| *there != key);
                merged.push((at, key, value));
            }
            Ok(Shape::Map(merged))
        }
        Kind::Null | Kind::Bool(_) | Kind::Number(_) | Kind::Spoilt => Ok(Shape::Scalar(spot.node)),
    }
}

fn longer(way: &Rc<Vec<String>>, key: &str) -> Rc<Vec<String>> {
    let mut way = (**way).clone();
    way.push(key.to_owned());
    Rc::new(way)
}

/// What a reference names. From the top with `#/` or without; `./` from the map
/// that it stands in, `../` from the one above.
fn follow<'m>(
    root: &'m Node,
    spot: &Spot<'m>,
    text: &str,
    at: At,
    hops: &mut Vec<String>,
) -> Result<Shape<'m>, BadRef> {
    let path = absolute(text, &spot.way);
    let name = format!("#/{}", path.join("/"));
    if hops.contains(&name) {
        let what = format!("`$ref`s go round in a circle: {} -> {name}", hops.join(" -> "));
        return Err(BadRef { at, what: what.chars().take(400).collect() });
    }
    if hops.len() >= MAX_HOPS {
        return Err(BadRef { at, what: format!("more than {MAX_HOPS} `$ref`s, each naming the next") });
    }
    hops.push(name.clone());
    let top = Spot { node: root, way: Rc::default() };
    let Some(found) = find(root, &top, &path, hops)? else {
        let what = format!("there is nothing at `{}`", name.chars().take(200).collect::<String>());
        return Err(BadRef { at, what });
    };
    let shape = shape(root, &found, hops)?;
    hops.pop();
    Ok(shape)
}

fn absolute(text: &str, way: &[String]) -> Vec<String> {
    let split = |text: &str| -> Vec<String> {
        text.split('/')
            .filter(|part| !part.is_empty())
            .map(|part| part.replace("~1", "/").replace("~0", "~"))
            .collect()
    };
    let up = text.split('/').take_while(|part| *part == "..").count();
    if up == 0 && !text.starts_with("./") {
        return split(text.trim_start_matches('#'));
    }
    // The map that holds `$ref` is the last of the way; `./` is beside it.
    let keep = way.len().saturating_sub(up + 1);
    let mut path: Vec<String> = way.iter().take(keep).cloned().collect();
    path.extend(split(text).into_iter().filter(|part| part != "." && part != ".."));
    path
}

/// The node at a path; keys may have slashes in them, references may lie between.
fn find<'m>(
    root: &'m Node,
    from: &Spot<'m>,
    path: &[String],
    hops: &mut Vec<String>,
) -> Result<Option<Spot<'m>>, BadRef> {
    if path.is_empty() {
        return Ok(Some(from.clone()));
    }
    match shape(root, from, hops)? {
        Shape::Map(entries) => {
            for taken in 1..=path.len().min(8) {
                let (head, rest) = path.split_at_checked(taken).unwrap_or((path, &[]));
                let key = head.join("/");
                if let Some((_, _, inner)) = entries.iter().find(|(_, name, _)| *name == key)
                    && let Some(found) = find(root, inner, rest, hops)?
                {
                    return Ok(Some(found));
                }
            }
            Ok(None)
        }
        Shape::List(spots) => {
            let index = path.first().and_then(|part| part.parse::<usize>().ok());
            let inner = index.and_then(|index| spots.get(index));
            let rest = path.get(1..).unwrap_or_default();
            inner.map_or(Ok(None), |inner| find(root, inner, rest, hops))
        }
        Shape::Scalar(_) => Ok(None),
    }
}
