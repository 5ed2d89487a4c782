//! Texts of a manifest as ours: `{{ config['x'] }}` becomes a variable of the
//! environment, `{{ parameters['x'] }}` the parameter, the names of a poll ours.

use super::refs::Part;
use std::collections::BTreeMap;

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
}

/// What is said of a key of the configuration.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Told {
    pub(crate) title: String,
    pub(crate) default: Option<String>,
    pub(crate) required: bool,
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
        self.used.insert(name, told);
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
        self.told.entry(key.clone()).or_insert(Told { title, default: None, required: true });
        self.of(&[key], None)
    }

    /// A text of the manifest as ours.
    pub(crate) fn say(&mut self, text: &str, of: &Part<'_>) -> Said {
        let mut out = String::new();
        let (mut rest, mut live) = (text, false);
        while let Some((before, after)) = rest.split_once("{{") {
            out.push_str(&escaped(before));
            let Some((inside, behind)) = closed(after) else {
                return Said::Cannot("its `{{` has no `}}`".to_owned());
            };
            match self.expression(inside, of) {
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
        if out.contains("{%") {
            return match self.live(&out, of) {
                Ok(out) => Said::Template(out),
                Err(why) => Said::Cannot(why),
            };
        }
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
        refuse(
            bare,
            &["now_utc(", "today_utc(", "day_delta(", "format_datetime(", "timestamp(", "strftime("],
        )?;
        self.live(bare.trim(), of)
    }

    fn expression(&mut self, inside: &str, of: &Part<'_>) -> Result<Value, String> {
        let inside = inside.trim().trim_matches('-').trim();
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
        if !parts.all(|filter| matches!(filter.trim(), "string" | "int" | "trim")) {
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
        refuse(inside, &["duration(", "str_to_datetime(", "hash(", "base64"])?;
        if let Some(method) = method(inside) {
            return Err(format!("it calls `.{method}()`, which we have no word for"));
        }
        let mut out = String::new();
        let mut rest = inside;
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
            for name in ["config", "parameters", "options", "stream_interval", "stream_slice"] {
                let Some(tail) = rest.strip_prefix(name).filter(|_| fresh) else { continue };
                if tail.starts_with(|c: char| c.is_alphanumeric() || c == '_') {
                    continue;
                }
                let length = Place::length(tail);
                let (way, after) = tail.split_at_checked(length).unwrap_or((tail, ""));
                let whole = format!("{name}{way}");
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
        let Some(place) = Place::read(whole) else {
            return Err(format!("it uses `{name}` as a whole"));
        };
        if matches!(name, "stream_interval" | "stream_slice") {
            return match place.way.first().map(String::as_str) {
                Some("start_time") => Ok("cursor".to_owned()),
                Some("end_time") if super::cursor::has("IncrementalSync", "end_time_option") => {
                    Ok("cursor_end".to_owned())
                }
                Some("end_time") => Err("it names the end of an interval, and a poll has none".to_owned()),
                Some(other) if name == "stream_slice" => Ok(format!("stream_partition.{other}")),
                _ => Err(format!("it names `{whole}`, which a poll does not have")),
            };
        }
        match self.atom(whole, None, of) {
            Some(text) => Ok(format!("'{}'", text.replace('\'', "\\'"))),
            None => Err(format!("there is no parameter for `{whole}`")),
        }
    }
}

enum Value {
    Text(String),
    Live(String),
}

/// A name with the way into it: `config['a'].b.get('c', 'd')`.
#[derive(Debug, PartialEq, Eq)]
struct Place {
    name: String,
    way: Vec<String>,
    otherwise: Option<String>,
}

impl Place {
    fn read(text: &str) -> Option<Self> {
        let end = text.find(|c: char| !(c.is_alphanumeric() || c == '_')).unwrap_or(text.len());
        let (name, tail) = text.split_at_checked(end)?;
        let (mut rest, mut way, mut otherwise) = (tail, Vec::new(), None);
        while !rest.is_empty() {
            if let Some(inside) = rest.strip_prefix(".get(") {
                let (arguments, after) = inside.split_once(')')?;
                // `.get('a', {}).get('b')`: what stands in for a map is nothing.
                let (key, default) =
                    arguments.split_once(',').map_or((arguments, None), |(k, d)| (k, Some(d.trim())));
                way.push(literal(key.trim()).filter(|_| key.trim().starts_with(['"', '\'']))?);
                otherwise = default.and_then(literal);
                rest = after;
            } else if let Some(inside) = rest.strip_prefix('[') {
                let (key, after) = inside.split_once(']')?;
                way.push(literal(key.trim()).filter(|_| key.trim().starts_with(['"', '\'']))?);
                rest = after;
            } else {
                let inside = rest.strip_prefix('.')?;
                let end = inside.find(|c: char| !(c.is_alphanumeric() || c == '_')).unwrap_or(inside.len());
                let (key, after) = inside.split_at_checked(end)?;
                if key.is_empty() || after.starts_with('(') {
                    return None;
                }
                way.push(key.to_owned());
                rest = after;
            }
        }
        Some(Self { name: name.to_owned(), way, otherwise })
    }

    /// How long the way behind a name is.
    fn length(tail: &str) -> usize {
        let mut length = 0;
        while let Some(rest) = tail.get(length..).filter(|rest| !rest.is_empty()) {
            let step = if rest.starts_with(".get(") {
                rest.find(')').map(|at| at + 1)
            } else if rest.starts_with('[') {
                rest.find(']').map(|at| at + 1)
            } else if let Some(inside) = rest.strip_prefix('.') {
                let end = inside.find(|c: char| !(c.is_alphanumeric() || c == '_')).unwrap_or(inside.len());
                (end > 0 && !inside.get(end..).unwrap_or_default().starts_with('(')).then_some(end + 1)
            } else {
                None
            };
            match step {
                Some(step) => length += step,
                None => break,
            }
        }
        length
    }
}

/// The way into `name`, if an expression is nothing else; what stands in for a part does
/// not count.
pub(super) fn way_into(expression: &str, name: &str) -> Option<Vec<String>> {
    let place = Place::read(expression)?;
    (place.name == name && !place.way.is_empty()).then_some(place.way)
}

/// A literal's text: in quotes, a number, `true`.
fn literal(text: &str) -> Option<String> {
    for quote in ['"', '\''] {
        if let Some(inside) = text.strip_prefix(quote).and_then(|rest| rest.strip_suffix(quote)) {
            return (!inside.contains(quote)).then(|| inside.to_owned());
        }
    }
    let plain = !text.is_empty() && text.chars().all(|c| c.is_ascii_digit() || matches!(c, '.' | '-'));
    (plain || matches!(text, "true" | "false" | "True" | "False")).then(|| text.to_lowercase())
}

/// The text up to `}}` that is not in quotes, and what is behind.
fn closed(text: &str) -> Option<(&str, &str)> {
    let mut quote = None;
    let mut before = ' ';
    for (at, c) in text.char_indices() {
        match (quote, c) {
            (None, '}') if before == '}' => {
                // `{'a': {}}}`: the last two are meant.
                if text.get(at + 1..).is_some_and(|rest| rest.starts_with('}')) {
                    continue;
                }
                return Some((text.get(..at - 1)?, text.get(at + 1..)?));
            }
            (None, '"' | '\'') => quote = Some(c),
            (Some(open), c) if c == open => quote = None,
            _ => {}
        }
        before = c;
    }
    None
}

/// The parts between separators that are not in quotes or brackets.
fn split<'t>(text: &'t str, separators: &[&str]) -> Vec<&'t str> {
    let (mut parts, mut begin, mut depth, mut quote) = (Vec::new(), 0, 0_i32, None);
    let mut skip = 0;
    for (at, c) in text.char_indices() {
        if at < skip {
            continue;
        }
        match (quote, c) {
            (Some(open), c) if c == open => quote = None,
            (Some(_), _) => {}
            (None, '"' | '\'') => quote = Some(c),
            (None, '(' | '[' | '{') => depth += 1,
            (None, ')' | ']' | '}') => depth -= 1,
            (None, _) if depth == 0 => {
                let here = text.get(at..).unwrap_or_default();
                if let Some(found) = separators.iter().find(|s| here.starts_with(**s)) {
                    parts.push(text.get(begin..at).unwrap_or_default());
                    begin = at + found.len();
                    skip = begin;
                }
            }
            (None, _) => {}
        }
    }
    parts.push(text.get(begin..).unwrap_or_default());
    parts
}

/// Methods that templates of requests have too.
const OURS: [&str; 3] = ["get", "strftime", "isoformat"];

/// The reason if any of these is called.
fn refuse(inside: &str, words: &[&str]) -> Result<(), String> {
    let called = words.iter().find(|word| inside.contains(**word));
    called.map_or(Ok(()), |word| {
        Err(format!("it calls `{}`, which we have no word for", word.trim_end_matches('(')))
    })
}

/// The first argument of a call of `name`, if a text is nothing else.
pub(super) fn argument<'t>(text: &'t str, name: &str) -> Option<&'t str> {
    let inside = text.trim().strip_prefix("{{")?.strip_suffix("}}")?.trim();
    let inside = inside.strip_prefix(name)?.trim_start().strip_prefix('(')?.strip_suffix(')')?;
    split(inside, &[","]).first().map(|first| first.trim())
}

/// A method of Python's that is called and that we do not have.
fn method(text: &str) -> Option<&str> {
    let mut quote = None;
    for (at, c) in text.char_indices() {
        match (quote, c) {
            (Some(open), c) if c == open => quote = None,
            (Some(_), _) => {}
            (None, '"' | '\'') => quote = Some(c),
            (None, '.') => {
                let rest = text.get(at + 1..).unwrap_or_default();
                let end = rest.find(|c: char| !(c.is_alphanumeric() || c == '_')).unwrap_or(rest.len());
                let (name, after) = rest.split_at_checked(end).unwrap_or((rest, ""));
                if !name.is_empty() && !OURS.contains(&name) && after.starts_with('(') {
                    return Some(name);
                }
            }
            (None, _) => {}
        }
    }
    None
}

/// A plain `${` stays one.
fn escaped(text: &str) -> String {
    text.replace("${", "$${")
}

/// A name as the environment has it.
fn constant(text: &str) -> String {
    let text: String =
        text.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' }).collect();
    let text = text.trim_matches('_').to_owned();
    if text.is_empty() || text.starts_with(|c: char| c.is_ascii_digit()) { format!("X{text}") } else { text }
}
