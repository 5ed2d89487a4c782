//! Serde's way into the tree, for the parts of a config that belong to a
//! connector: their types are theirs, the places and hints are ours.
//!
//! Serde stops at the first mistake. So the part with the mistake is marked as
//! spoilt and the rest is read again, until nothing new is found.

use crate::node::{Entry, Kind, Node};
use crate::problem::{At, Problems, nearest};
use serde::de::value::StrDeserializer;
use serde::de::{
    self, DeserializeOwned, DeserializeSeed, Deserializer, EnumAccess, IntoDeserializer, MapAccess,
    SeqAccess, Unexpected, VariantAccess, Visitor,
};
use std::fmt;

/// How many mistakes are looked for in one part.
const MAX_ROUNDS: usize = 50;

/// Reads a connector's part; every mistake in it becomes a problem.
/// `also_known` are keys of the same map that we read ourselves.
pub(crate) fn read<T: DeserializeOwned>(
    node: &Node,
    name: &str,
    also_known: &[&'static str],
    problems: &mut Problems<'_>,
) -> Option<T> {
    let mut node = node.clone();
    let mut sound = true;
    for _ in 0..MAX_ROUNDS {
        match T::deserialize(Reader { node: &node }) {
            Ok(value) => return sound.then_some(value),
            Err(stop) => {
                sound = false;
                let end = stop.trail.is_empty();
                stop.tell(&mut node, name, also_known, problems);
                if end {
                    return None;
                }
            }
        }
    }
    None
}

/// Why reading stopped, and where: indices from the innermost map or list out.
#[derive(Debug)]
struct Stop {
    at: Option<At>,
    trail: Vec<usize>,
    why: Why,
}

#[derive(Debug)]
enum Why {
    Missing(&'static str),
    Unknown { name: String, known: &'static [&'static str], variant: bool },
    Wrong { message: String, unquoted: bool },
}

impl Stop {
    fn new(why: Why) -> Self {
        Self { at: None, trail: Vec::new(), why }
    }

    /// Where it was, unless that is known better; and which way it came out.
    fn coming_out(mut self, at: At, index: usize) -> Self {
        self.at.get_or_insert(at);
        self.trail.push(index);
        self
    }

    /// Says it, and marks what must not be read again.
    fn tell(self, root: &mut Node, name: &str, also_known: &[&'static str], problems: &mut Problems<'_>) {
        let (mut node, mut path) = (root, Vec::new());
        for index in self.trail.iter().rev() {
            let Some(next) = step(node, *index, &mut path) else { return };
            node = next;
        }
        let place = if path.is_empty() { name.to_owned() } else { format!("`{}` of {name}", path.join(".")) };
        let at = self.at.unwrap_or(node.at);
        let mut inner = None;
        match self.why {
            Why::Missing(key) => {
                let said = matches!(node.get(key), Some(Node { kind: Kind::Spoilt, .. }));
                if !said {
                    problems.add(at, format!("{place} needs `{key}`"));
                }
            }
            Why::Unknown { name: found, known, variant: true } => {
                let at = culprit(node, |e| matches!(&e.value.kind, Kind::Text(text) if *text == found))
                    .map_or(at, |(_, entry)| entry.value.at);
                let found: String = found.chars().take(60).collect();
                problems.add_hint(
                    at,
                    format!("{place} cannot be `{found}`"),
                    nearest(&found, known.iter().copied()),
                );
            }
            Why::Unknown { name: found, known, variant: false } => {
                // Serde tells of a key in a `type: …` map only when it has read
                // the whole map; else the key itself is the last step of the path.
                let mut at = at;
                if let Some((index, entry)) = culprit(node, |e| e.key == found) {
                    at = entry.at;
                    inner = Some(index);
                } else {
                    path.pop();
                }
                let found: String = found.chars().take(60).collect();
                let within =
                    if path.is_empty() { name.to_owned() } else { format!("`{}` of {name}", path.join(".")) };
                let ours = if path.is_empty() { also_known } else { &[] };
                let known = known.iter().chain(ours).copied();
                problems.add_hint(at, format!("unknown key `{found}` in {within}"), nearest(&found, known));
            }
            Why::Wrong { message, unquoted } => {
                let hint = unquoted.then(|| "put it in quotes".to_owned());
                problems.push(at, format!("{place}: {}", plainly(message)), hint);
            }
        }
        if let Some(next) = inner.and_then(|index| step(node, index, &mut path)) {
            next.kind = Kind::Spoilt;
            return;
        }
        node.kind = Kind::Spoilt;
    }
}

/// What serde says, without the names of the program's types.
fn plainly(message: String) -> String {
    let numbers = ["u8", "u16", "u32", "u64", "usize", "i64"];
    match numbers.iter().find_map(|ty| message.strip_suffix(&format!("expected {ty}"))) {
        Some(found) => format!("{found}expected a whole number"),
        None => message,
    }
}

/// The entry of a map that a mistake is about.
fn culprit(node: &Node, is: impl Fn(&Entry) -> bool) -> Option<(usize, &Entry)> {
    match &node.kind {
        Kind::Map(entries) => entries.iter().enumerate().find(|(_, entry)| is(entry)),
        _ => None,
    }
}

fn step<'n>(node: &'n mut Node, index: usize, path: &mut Vec<String>) -> Option<&'n mut Node> {
    match &mut node.kind {
        Kind::Map(entries) => {
            let entry = entries.get_mut(index)?;
            path.push(entry.key.clone());
            Some(&mut entry.value)
        }
        Kind::List(nodes) => {
            path.push((index + 1).to_string());
            nodes.get_mut(index)
        }
        _ => None,
    }
}

impl fmt::Display for Stop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.why)
    }
}

impl std::error::Error for Stop {}

impl de::Error for Stop {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self::new(Why::Wrong { message: message.to_string(), unquoted: false })
    }

    fn invalid_type(found: Unexpected<'_>, expected: &dyn de::Expected) -> Self {
        let (found, plain) = match found {
            Unexpected::Unit | Unexpected::Option => ("nothing".to_owned(), false),
            Unexpected::Seq => ("a list".to_owned(), false),
            Unexpected::Map => ("a map".to_owned(), false),
            Unexpected::Str(text) => (format!("`{}`", text.chars().take(60).collect::<String>()), false),
            Unexpected::Bool(b) => (format!("`{b}`"), true),
            Unexpected::Unsigned(n) => (format!("`{n}`"), true),
            Unexpected::Signed(n) => (format!("`{n}`"), true),
            Unexpected::Float(n) => (format!("`{n}`"), true),
            other => (other.to_string(), false),
        };
        let expected = expected.to_string();
        let unquoted = plain && expected.contains("string");
        let expected = expected.replace("a string", "text").replace("string", "text");
        Self::new(Why::Wrong { message: format!("this is {found}, expected {expected}"), unquoted })
    }

    fn invalid_value(found: Unexpected<'_>, expected: &dyn de::Expected) -> Self {
        Self::invalid_type(found, expected)
    }

    fn missing_field(field: &'static str) -> Self {
        Self::new(Why::Missing(field))
    }

    fn unknown_field(field: &str, known: &'static [&'static str]) -> Self {
        Self::new(Why::Unknown { name: field.to_owned(), known, variant: false })
    }

    fn unknown_variant(variant: &str, known: &'static [&'static str]) -> Self {
        Self::new(Why::Unknown { name: variant.to_owned(), known, variant: true })
    }
}

#[derive(Clone, Copy)]
struct Reader<'n> {
    node: &'n Node,
}

/// Numbers and booleans that came as text, from quotes or from the environment.
macro_rules! from_text {
    ($($method:ident $visit:ident $type:ty;)*) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Stop> {
            match &self.node.kind {
                Kind::Text(text) => match text.trim().parse::<$type>() {
                    Ok(value) => visitor.$visit(value),
                    Err(_) => visitor.visit_str(text),
                },
                _ => self.deserialize_any(visitor),
            }
        }
    )*};
}

impl<'de> Deserializer<'de> for Reader<'_> {
    type Error = Stop;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Stop> {
        match &self.node.kind {
            Kind::Null | Kind::Spoilt => visitor.visit_unit(),
            Kind::Bool(b) => visitor.visit_bool(*b),
            Kind::Number(number) => match (number.as_u64(), number.as_i64(), number.as_f64()) {
                (Some(n), _, _) => visitor.visit_u64(n),
                (_, Some(n), _) => visitor.visit_i64(n),
                (_, _, Some(n)) => visitor.visit_f64(n),
                _ => visitor.visit_str(number.as_str()),
            },
            Kind::Text(text) => visitor.visit_str(text),
            Kind::List(nodes) => visitor.visit_seq(Elements { nodes: nodes.iter().enumerate() }),
            Kind::Map(entries) => {
                visitor.visit_map(Members { entries: entries.iter().enumerate(), value: None })
            }
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Stop> {
        match self.node.kind {
            Kind::Null => visitor.visit_none(),
            _ => visitor.visit_some(self),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Stop> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Stop> {
        match &self.node.kind {
            Kind::Text(text) => visitor.visit_enum(text.as_str().into_deserializer()),
            Kind::Map(entries) => match entries.as_slice() {
                [entry] => visitor.visit_enum(Variant { entry }),
                _ => Err(de::Error::custom("this must have exactly one key")),
            },
            _ => self.deserialize_any(visitor),
        }
    }

    from_text! {
        deserialize_bool visit_bool bool;
        deserialize_u8 visit_u8 u8;
        deserialize_u16 visit_u16 u16;
        deserialize_u32 visit_u32 u32;
        deserialize_u64 visit_u64 u64;
        deserialize_i8 visit_i8 i8;
        deserialize_i16 visit_i16 i16;
        deserialize_i32 visit_i32 i32;
        deserialize_i64 visit_i64 i64;
        deserialize_f32 visit_f32 f32;
        deserialize_f64 visit_f64 f64;
    }

    serde::forward_to_deserialize_any! {
        i128 u128 char str string bytes byte_buf unit unit_struct seq tuple tuple_struct map struct identifier ignored_any
    }
}

struct Elements<'n> {
    nodes: std::iter::Enumerate<std::slice::Iter<'n, Node>>,
}

impl<'de> SeqAccess<'de> for Elements<'_> {
    type Error = Stop;
    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Stop> {
        let Some((index, node)) = self.nodes.find(|(_, node)| !matches!(node.kind, Kind::Spoilt)) else {
            return Ok(None);
        };
        seed.deserialize(Reader { node }).map(Some).map_err(|stop| stop.coming_out(node.at, index))
    }
}

struct Members<'n> {
    entries: std::iter::Enumerate<std::slice::Iter<'n, Entry>>,
    value: Option<(usize, &'n Entry)>,
}

impl<'de> MapAccess<'de> for Members<'_> {
    type Error = Stop;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Stop> {
        let Some((index, entry)) = self.entries.find(|(_, e)| !matches!(e.value.kind, Kind::Spoilt)) else {
            return Ok(None);
        };
        self.value = Some((index, entry));
        let key: StrDeserializer<'_, Stop> = entry.key.as_str().into_deserializer();
        seed.deserialize(key).map(Some).map_err(|stop| stop.coming_out(entry.at, index))
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Stop> {
        let Some((index, entry)) = self.value.take() else {
            return Err(de::Error::custom("a value was asked for before its key"));
        };
        let node = &entry.value;
        // What is missing in a map is missing below its key.
        seed.deserialize(Reader { node }).map_err(|stop| {
            let at = if matches!(stop.why, Why::Missing(_)) { entry.at } else { node.at };
            stop.coming_out(at, index)
        })
    }
}

struct Variant<'n> {
    entry: &'n Entry,
}

impl<'de> EnumAccess<'de> for Variant<'_> {
    type Error = Stop;
    type Variant = Self;
    fn variant_seed<V: DeserializeSeed<'de>>(self, seed: V) -> Result<(V::Value, Self), Stop> {
        let key: StrDeserializer<'_, Stop> = self.entry.key.as_str().into_deserializer();
        let variant = seed.deserialize(key).map_err(|stop| stop.coming_out(self.entry.at, 0))?;
        Ok((variant, self))
    }
}

impl<'de> VariantAccess<'de> for Variant<'_> {
    type Error = Stop;

    fn unit_variant(self) -> Result<(), Stop> {
        match self.entry.value.kind {
            Kind::Null => Ok(()),
            _ => Err(de::Error::custom(format!("`{}` takes no value", self.entry.key))),
        }
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value, Stop> {
        let node = &self.entry.value;
        seed.deserialize(Reader { node }).map_err(|stop| stop.coming_out(node.at, 0))
    }

    fn tuple_variant<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value, Stop> {
        let node = &self.entry.value;
        Reader { node }.deserialize_any(visitor).map_err(|stop| stop.coming_out(node.at, 0))
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Stop> {
        self.tuple_variant(0, visitor)
    }
}
