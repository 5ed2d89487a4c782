//! Texts of a manifest as ours: `{{ config['x'] }}` becomes a variable of the
//! environment, `{{ parameters['x'] }}` the parameter, the names of a poll ours.

use super::calls::{CLOCK, filter, method, refuse};
use super::refs::Part;
use super::terms::{Place, asked, closed, literal, split, unquoted, way_into};
use std::collections::{BTreeMap, BTreeSet};

/// What people are asked for before a source runs.
#[derive(Debug, Default)]
pub(crate) struct Variables {
    prefix: String,
    /// What the specification says of a key, by its way.
    told: BTreeMap<String, Told>,
    /// Those that are used: the variable, and what it is if it must be set.
    pub(crate) used: BTreeMap<String, Told>,
    /// URLs that only people can say.
    urls: Vec<String>,
    /// Keys of parents' parents that the stream being read names.
    pub(crate) grandparents: BTreeSet<String>,
}

/// What is said of a key of the configuration.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Told {
    pub(crate) title: String,
    pub(crate) default: Option<String>,
    pub(crate) required: bool,
    pub(crate) kind: Kind,
}

/// What a key of the configuration holds. A variable is text: an expression has to be told.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Kind {
    #[default]
    Text,
    Truth,
    Integer,
    Number,
    /// Texts; the variable has commas between them.
    List,
    Map,
}

/// A text as ours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Said {
    /// Text with nothing to fill in but the environment.
    Plain(String),
    /// A template.
    Template(String),
    /// It cannot be said; why.
    Cannot(String),
}

impl Variables {
    pub(crate) fn new(prefix: &str) -> Self {
        Self { prefix: constant(prefix), ..Self::default() }
    }

    /// What the specification says of a key.
    pub(crate) fn tell(&mut self, way: &[String], told: Told) {
        self.told.insert(way.join("."), told);
    }

    /// The reference to the variable of a key; with what stands in for it.
    pub(crate) fn of(&mut self, way: &[String], otherwise: Option<&str>) -> String {
        let mut told = self
            .told
            .get(&way.join("."))
            .cloned()
            .unwrap_or_else(|| Told { required: otherwise.is_none(), ..Told::default() });
        if let Some(text) = otherwise.filter(|_| told.default.is_none()) {
            told.default = Some(text.to_owned());
        }
        let name = format!("{}_{}", self.prefix, constant(&way.join("_")));
        let title: String = told.title.chars().filter(|c| !matches!(c, '{' | '}' | '$')).take(60).collect();
        let reference = match &told.default {
            Some(default) if !default.contains(['{', '}', '$']) => format!("${{{name}:-{default}}}"),
            _ if told.required && title.is_empty() => format!("${{{name}}}"),
            _ if told.required => format!("${{{name}:?{title}}}"),
            _ => format!("${{{name}:-}}"),
        };
        // Where one reference has nothing that stands in for it, the variable is asked for.
        match self.used.get_mut(&name) {
            Some(there) if there.default.is_none() => {
                there.required |= told.required;
                if there.title.is_empty() {
                    there.title = told.title;
                }
            }
            Some(_) | None => drop(self.used.insert(name, told)),
        }
        reference
    }

    /// The reference to a variable for a whole URL, which the manifest makes of choices.
    pub(crate) fn url(&mut self, text: &str) -> String {
        let known = self.urls.iter().position(|there| there == text);
        let number = known.unwrap_or_else(|| {
            self.urls.push(text.to_owned());
            self.urls.len() - 1
        });
        let key = if number == 0 { "base_url".to_owned() } else { format!("base_url_{}", number + 1) };
        let title = "The URL that all requests go below".to_owned();
        self.told.entry(key.clone()).or_insert(Told { title, required: true, ..Told::default() });
        self.of(&[key], None)
    }

    /// The reference to a variable that only people can say, whatever the specification says of it.
    pub(crate) fn chosen(&mut self, way: &[String], title: &str, required: bool) -> String {
        let told = self.told.entry(way.join(".")).or_default();
        if told.title.is_empty() {
            title.clone_into(&mut told.title);
        }
        if required {
            told.required = true;
        } else if told.default.is_none() && !told.required {
            return self.of(way, Some(""));
        }
        self.of(way, None)
    }

    fn kind(&self, way: &[String]) -> Kind {
        self.told.get(&way.join(".")).map_or(Kind::Text, |told| told.kind)
    }

    /// What a key holds as a value of an expression.
    fn typed(&mut self, way: &[String], reference: &str) -> Result<String, String> {
        let text = format!("'{}'", reference.replace('\'', "\\'"));
        Ok(match self.kind(way) {
            Kind::Text => text,
            Kind::Truth => format!("({text}|lower in ['true', '1', 'yes'])"),
            Kind::Integer => format!("(({text} or 0)|int)"),
            Kind::Number => format!("(({text} or 0)|float)"),
            Kind::List => format!("({text}|split(',')|map('trim')|select|list)"),
            Kind::Map => return Err(format!("it uses `{}` as a whole", way.join("."))),
        })
    }

    /// A text of the manifest as ours.
    pub(crate) fn say(&mut self, text: &str, of: &Part<'_>) -> Said {
        let text = unquoted(text);
        let text = text.as_ref();
        let mut out = String::new();
        let (mut rest, mut live) = (text, false);
        while let Some(at) = rest.find("{{").into_iter().chain(rest.find("{%")).min() {
            let (before, from) = rest.split_at_checked(at).unwrap_or((rest, ""));
            out.push_str(&escaped(before));
            let after = from.get(2..).unwrap_or_default();
            if from.starts_with("{%") {
                live = true;
                let Some((inside, behind)) = after.split_once("%}") else {
                    return Said::Cannot("its `{%` has no `%}`".to_owned());
                };
                match self.live(inside, of) {
                    Ok(statement) => out.extend(["{%", statement.as_str(), "%}"]),
                    Err(why) => return Said::Cannot(why),
                }
                rest = behind;
                continue;
            }
            let Some((inside, behind)) = closed(after) else {
                return Said::Cannot("its `{{` has no `}}`".to_owned());
            };
            // A brace beside an expression would be taken for one of its own.
            let is_brace = literal(inside.trim()).is_some_and(|text| text.contains(['{', '}']));
            match self.expression(inside, of) {
                Ok(Value::Text(_)) if is_brace && text.matches("{{").count() > 1 => {
                    live = true;
                    out.extend(["{{ ", inside.trim(), " }}"]);
                }
                Ok(Value::Text(text)) => out.push_str(&text),
                Ok(Value::Live(expression)) => {
                    live = true;
                    out.extend(["{{ ", expression.as_str(), " }}"]);
                }
                Err(why) => return Said::Cannot(why),
            }
            rest = behind;
        }
        out.push_str(&escaped(rest));
        if live { Said::Template(out) } else { Said::Plain(out) }
    }

    /// An expression of ours for a condition or a cursor.
    pub(crate) fn formula(&mut self, text: &str, of: &Part<'_>) -> Result<String, String> {
        let inside = text.trim();
        let bare = inside.strip_prefix("{{").and_then(|rest| rest.strip_suffix("}}")).unwrap_or(inside);
        if bare.contains("{{") || bare.contains("{%") {
            return Err("it is more than one expression".to_owned());
        }
        // Templates of requests look at the clock, and nothing else does.
        refuse(bare, &CLOCK)?;
        self.live(bare.trim(), of)
    }

    fn expression(&mut self, inside: &str, of: &Part<'_>) -> Result<Value, String> {
        let inside = inside.trim().trim_matches('-').trim();
        if let Some(way) = way_into(inside, "config")
            && matches!(self.kind(&way), Kind::List | Kind::Map)
        {
            return Err(format!("`{}` is no single text", way.join(".")));
        }
        if let Some(text) = self.simple(inside, of) {
            return Ok(Value::Text(text));
        }
        self.live(inside, of).map(Value::Live)
    }

    /// Text that is known now, but for the environment: terms that are put one
    /// after the other.
    fn simple(&mut self, inside: &str, of: &Part<'_>) -> Option<String> {
        let terms = split(inside, &["+", "~"]);
        // A sum of numbers is none.
        if terms.len() > 1 && terms.iter().any(|term| term.trim().parse::<f64>().is_ok()) {
            return None;
        }
        terms.into_iter().map(|term| self.term(term.trim(), of)).collect()
    }

    fn term(&mut self, term: &str, of: &Part<'_>) -> Option<String> {
        let mut alternatives = split(term, &[" or "]).into_iter().rev();
        let last = self.atom(alternatives.next()?.trim(), None, of);
        alternatives
            .fold(last, |otherwise, term| self.atom(term.trim(), otherwise.as_deref(), of).or(otherwise))
    }

    fn atom(&mut self, atom: &str, otherwise: Option<&str>, of: &Part<'_>) -> Option<String> {
        let mut parts = split(atom, &["|"]).into_iter();
        let atom = parts.next()?.trim();
        // A list is written as it is joined.
        let is_list = way_into(atom, "config").is_some_and(|way| self.kind(&way) == Kind::List);
        let is_joined = |filter: &str| is_list && matches!(filter, "join(',')" | "join(\",\")");
        let plain = |filter: &str| matches!(filter, "string" | "int" | "trim") && !is_list;
        let mut filters = parts.map(str::trim).peekable();
        if is_list && filters.peek().is_none() || !filters.all(|filter| plain(filter) || is_joined(filter)) {
            return None;
        }
        if let Some(text) = literal(atom) {
            return Some(escaped(&text));
        }
        if let Some(inner) = atom.strip_prefix('(').and_then(|rest| rest.strip_suffix(')')) {
            return self.simple(inner, of);
        }
        let place = Place::read(atom)?;
        match place.name.as_str() {
            "config" if !place.way.is_empty() => {
                Some(self.of(&place.way, place.otherwise.as_deref().or(otherwise)))
            }
            "parameters" | "options" => {
                let [name] = place.way.as_slice() else { return None };
                let given = of.parameter(name);
                match given {
                    Some(text) if text.contains("{{") => match self.say(&text, of) {
                        Said::Plain(text) => Some(text),
                        Said::Template(_) | Said::Cannot(_) => None,
                    },
                    Some(text) => Some(escaped(&text)),
                    None if atom.contains(".get(") && otherwise.is_none() => {
                        Some(place.otherwise.clone().unwrap_or_default())
                    }
                    None => place.otherwise.clone(),
                }
            }
            _ => None,
        }
    }

    /// An expression with what is known put in, and our names for a poll.
    fn live(&mut self, inside: &str, of: &Part<'_>) -> Result<String, String> {
        let renamed = super::jobs::renamed(inside);
        let inside = renamed.as_str();
        if let Some(method) = method(inside) {
            return Err(format!("it calls `.{method}()`, which we have no word for"));
        }
        if let Some(filter) = filter(inside) {
            return Err(format!("it has the filter `{filter}`, which we have no word for"));
        }
        let mut out = String::new();
        let inside = asked(inside);
        let mut rest = inside.as_str();
        'next: while let Some(c) = rest.chars().next() {
            if matches!(c, '"' | '\'') {
                let end =
                    rest.char_indices().skip(1).find(|(_, d)| *d == c).map_or(rest.len(), |(at, _)| at + 1);
                let (quoted, after) = rest.split_at_checked(end).unwrap_or((rest, ""));
                out.push_str(&escaped(quoted));
                rest = after;
                continue;
            }
            let fresh = !out.ends_with(|c: char| c.is_alphanumeric() || matches!(c, '_' | '.'));
            for name in NAMES {
                let Some(tail) = rest.strip_prefix(name).filter(|_| fresh) else { continue };
                if tail.starts_with(|c: char| c.is_alphanumeric() || c == '_') {
                    continue;
                }
                let length = Place::length(tail);
                let (way, after) = tail.split_at_checked(length).unwrap_or((tail, ""));
                let whole = format!("{name}{way}");
                if name == "config"
                    && let Some((is_there, behind)) = asks_for_none(after)
                {
                    out.push_str(&self.there(&whole, is_there)?);
                    rest = behind;
                    continue 'next;
                }
                out.push_str(&self.put(&whole, name, of)?);
                rest = after;
                continue 'next;
            }
            out.push(c);
            rest = rest.get(c.len_utf8()..).unwrap_or_default();
        }
        Ok(out)
    }

    /// What stands for a place in an expression.
    fn put(&mut self, whole: &str, name: &str, of: &Part<'_>) -> Result<String, String> {
        // What Airbyte remembers of a stream is where it is.
        if name == "stream_state" {
            return Ok("cursor".to_owned());
        }
        let Some(place) = Place::read(whole) else {
            return Err(format!("it uses `{name}` as a whole"));
        };
        if matches!(name, "stream_interval" | "stream_slice" | "stream_partition") {
            return match place.way.first().map(String::as_str) {
                Some("parent_slice") => self.grandparent(&place.way),
                Some("start_time") => Ok("cursor".to_owned()),
                Some("end_time") if super::cursor::has("IncrementalSync", "end_time_option") => {
                    Ok("cursor_end".to_owned())
                }
                Some("end_time") => Err("it names the end of an interval, and a poll has none".to_owned()),
                // More of a parent is asked for by its whole way.
                Some("extra_fields") => Ok(whole.replacen("stream_slice", "stream_partition", 1)),
                Some(_) if name == "stream_partition" && !whole.contains(".get(") => Ok(whole.to_owned()),
                None if name == "stream_partition" => Ok(whole.to_owned()),
                // Whether there is one at all: a first read has none.
                None if name == "stream_interval" => Ok("cursor".to_owned()),
                Some(other) if name != "stream_interval" => {
                    let is_word = other.chars().all(|c| c.is_alphanumeric() || c == '_');
                    let step = if is_word { format!(".{other}") } else { format!("['{other}']") };
                    Ok(format!("stream_partition{step}"))
                }
                _ => Err(format!("it names `{whole}`, which a poll does not have")),
            };
        }
        if name == "config" && !place.way.is_empty() {
            let reference = self.of(&place.way, place.otherwise.as_deref());
            return self.typed(&place.way, &reference);
        }
        match self.atom(whole, None, of) {
            Some(text) => Ok(format!("'{}'", text.replace('\'', "\\'"))),
            None => Err(format!("{NO_PARAMETER} for `{whole}`")),
        }
    }
}

impl Variables {
    /// Whether people gave a key at all: with us, whether the variable holds anything.
    fn there(&mut self, whole: &str, is_there: bool) -> Result<String, String> {
        let place = Place::read(whole).filter(|place| !place.way.is_empty());
        let place = place.ok_or_else(|| "it uses `config` as a whole".to_owned())?;
        let reference = self.of(&place.way, Some(place.otherwise.as_deref().unwrap_or_default()));
        let is = if is_there { "!=" } else { "==" };
        Ok(format!("'{}' {is} ''", reference.replace('\'', "\\'")))
    }

    /// A secret as it is, with the variable that must be set: nobody is let in by an empty one.
    pub(crate) fn needed(&mut self, text: &str) -> String {
        let name = text.strip_prefix("${").and_then(|rest| rest.strip_suffix(":-}"));
        let Some((name, told)) = name.and_then(|name| self.used.get_mut(name).map(|told| (name, told)))
        else {
            return text.to_owned();
        };
        told.required = true;
        told.default = None;
        let title: String = told.title.chars().filter(|c| !matches!(c, '{' | '}' | '$')).take(60).collect();
        if title.is_empty() { format!("${{{name}}}") } else { format!("${{{name}:?{title}}}") }
    }

    /// The key of a parent's parent: the parents are to have it, and give it on.
    fn grandparent(&mut self, way: &[String]) -> Result<String, String> {
        let [_, key] = way else {
            return Err("it names a parent further above than the parent's own".to_owned());
        };
        if key == "parent_slice" {
            return Err("it names a parent further above than the parent's own".to_owned());
        }
        self.grandparents.insert(key.clone());
        Ok(format!("stream_partition.extra_fields['{key}']"))
    }
}

enum Value {
    Text(String),
    Live(String),
}

/// What expressions name that is another with us.
const NAMES: [&str; 7] = [
    "config",
    "parameters",
    "options",
    "stream_interval",
    "stream_slice",
    "stream_partition",
    "stream_state",
];

/// What asks whether that is nothing which stands before it: whether it asks that it is there,
/// and what follows.
fn asks_for_none(text: &str) -> Option<(bool, &str)> {
    let rest = text.trim_start();
    let asks = [("is not none", true), ("!= none", true), ("is none", false), ("== none", false)];
    asks.into_iter().find_map(|(words, is_there)| {
        let (asked, behind) = rest.split_at_checked(words.len())?;
        let ends = !behind.starts_with(|c: char| c.is_alphanumeric() || c == '_');
        (asked.eq_ignore_ascii_case(words) && ends).then_some((is_there, behind))
    })
}

/// How the reason begins where a parameter is named that nothing hands down.
pub(super) const NO_PARAMETER: &str = "there is no parameter";

/// The first argument of a call of `name`, if a text is nothing else.
pub(super) fn argument<'t>(text: &'t str, name: &str) -> Option<&'t str> {
    let inside = text.trim().strip_prefix("{{")?.strip_suffix("}}")?.trim();
    let inside = inside.strip_prefix(name)?.trim_start().strip_prefix('(')?.strip_suffix(')')?;
    split(inside, &[","]).first().map(|first| first.trim())
}

/// A plain `${` stays one.
pub(super) fn escaped(text: &str) -> String {
    text.replace("${", "$${")
}

/// A name as the environment has it.
fn constant(text: &str) -> String {
    let text: String =
        text.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' }).collect();
    let text = text.trim_matches('_').to_owned();
    if text.is_empty() || text.starts_with(|c: char| c.is_ascii_digit()) { format!("X{text}") } else { text }
}
